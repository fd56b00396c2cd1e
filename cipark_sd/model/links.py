"""Which variables stand in the equations of which, and which of them are flows.

Vensim writes one expression of a net flow, XMILE names inflows and outflows. Where the expression is a sum and
difference of variables that span the stock's own subscripts, those variables are the flows.
"""

from dataclasses import dataclass

from cipark_sd.model.expr import Binary, Const, Expr, Neg, Ref, references, row
from cipark_sd.model.model import CONTROL, Model
from cipark_sd.model.variables import Auxiliary, Constant, Lookup, Stock, Variable, expressions, kind


def causes(model: Model, variable: Variable) -> list[str]:
    """The variables in the equations of one, in the order in which they stand there; tables and itself left out."""
    names = dict.fromkeys(ref.name for expr in expressions(variable) for ref in references(expr))
    return [
        name
        for name in names
        if name in model.by_name
        and name not in (variable.name, *CONTROL)
        and not isinstance(model.by_name[name], Lookup)
    ]


def uses(model: Model, variable: Variable) -> list[str]:
    """The variables in whose equations one stands, in the order of the file; itself left out."""
    return [
        user.name
        for user in model.variables
        if user.name != variable.name
        and any(ref.name == variable.name for expr in expressions(user) for ref in references(expr))
    ]


def terms(net: Expr) -> list[tuple[int, Ref]] | None:
    """The flows of ``a - b + c`` in order, each with its sign; None for any other expression.

    Parentheses after a sign are left alone.

    >>> terms(Binary("-", Ref("births"), Ref("deaths")))
    [(1, Ref(name='births', subscripts=())), (-1, Ref(name='deaths', subscripts=()))]
    """
    match net:
        case Const(0.0):
            return []
        case Ref():
            return [(1, net)]
        case Neg(Ref() as ref):
            return [(-1, ref)]
        case Binary():
            first, operations = row(net)
            flows = terms(first)
            for operation in operations:
                match operation:
                    case Binary("+" | "-" as operator, _, Ref() as right) if flows is not None:
                        flows = [*flows, (1 if operator == "+" else -1, right)]
                    case _:
                        return None
            return flows
        case _:
            return None


@dataclass(frozen=True)
class Flows:
    """Names of the flows of one stock, in the order of the equation."""

    inflows: tuple[str, ...]
    outflows: tuple[str, ...]


def split(model: Model, stock: Stock) -> Flows | None:
    """The flows of a stock, or ``None`` where the expression names none.

    The order of the additions is the only thing that changes: all inflows first, as XMILE has it.
    """
    alike: set[tuple[tuple[int, str], ...]] = set()
    for piece in stock.pieces:
        signed = terms(piece.flow)
        if signed is None or piece.exceptions or any(ref.subscripts != piece.subscripts for _, ref in signed):
            return None
        alike.add(tuple((sign, ref.name) for sign, ref in signed))
    if len(alike) != 1:
        return None
    (flows,) = alike
    if len({name for _, name in flows}) < len(flows):
        return None
    for _, name in flows:
        flow = model.by_name.get(name)
        if not isinstance(flow, Auxiliary | Constant) or flow.name in CONTROL or flow.dims != stock.dims:
            return None
    return Flows(tuple(name for sign, name in flows if sign > 0), tuple(name for sign, name in flows if sign < 0))


def kinds(model: Model) -> dict[str, str]:
    """What each variable is, by its name; an auxiliary that is a flow of a stock is a ``flow``."""
    flows = {
        name for stock in model.stocks if (parts := split(model, stock)) for name in (*parts.inflows, *parts.outflows)
    }
    return {
        variable.name: "flow" if isinstance(variable, Auxiliary) and variable.name in flows else kind(variable)
        for variable in model.variables
    }
