"""From a net flow to inflows and outflows.

Vensim writes one expression, XMILE names flows. Where the expression is a sum and difference of variables that span the
stock's own subscripts, those variables are the flows; otherwise one flow of its own carries the expression.
"""

from dataclasses import dataclass

from cipark_sd.model.expr import Binary, Const, Expr, Neg, Ref, row
from cipark_sd.model.model import CONTROL, Model
from cipark_sd.model.variables import Auxiliary, Constant, Stock


@dataclass(frozen=True)
class Flows:
    """Names of the flows of one stock, in the order of the equation."""

    inflows: tuple[str, ...]
    outflows: tuple[str, ...]


def split(model: Model, stock: Stock) -> Flows | None:
    """The flows of a stock, or ``None`` where the expression names none.

    The order of the additions is the only thing that changes: all inflows first, as XMILE has it.
    """
    if len(stock.pieces) != 1 or stock.pieces[0].subscripts != stock.dims or stock.pieces[0].exceptions:
        return None
    terms = _terms(stock.pieces[0].flow)
    if terms is None or len({ref.name for _, ref in terms}) < len(terms):
        return None
    for _, ref in terms:
        flow = model.by_name.get(ref.name)
        if not isinstance(flow, Auxiliary | Constant) or flow.name in CONTROL:
            return None
        if flow.dims != stock.dims or ref.subscripts != stock.dims:
            return None
    return Flows(tuple(ref.name for sign, ref in terms if sign > 0), tuple(ref.name for sign, ref in terms if sign < 0))


def _terms(expr: Expr) -> list[tuple[int, Ref]] | None:
    """Signed references of ``a - b + c``; parentheses after a sign are left to a flow of their own."""
    match expr:
        case Const(0.0):
            return []
        case Ref():
            return [(1, expr)]
        case Neg(Ref() as ref):
            return [(-1, ref)]
        case Binary():
            first, operations = row(expr)
            terms = _terms(first)
            for operation in operations:
                match operation:
                    case Binary("+" | "-" as operator, _, Ref() as right) if terms is not None:
                        terms = [*terms, (1 if operator == "+" else -1, right)]
                    case _:
                        return None
            return terms
        case _:
            return None
