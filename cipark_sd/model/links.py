"""Which variables stand in the equations of which."""

from cipark_sd.model.expr import Binary, Const, Expr, Neg, Ref, references, row
from cipark_sd.model.model import CONTROL, Model
from cipark_sd.model.variables import Lookup, Variable, expressions


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
