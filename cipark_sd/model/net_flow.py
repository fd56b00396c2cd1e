"""The flows in a stock's net flow, where it is a sum and difference of variables."""

from cipark_sd.model.expr import Binary, Const, Expr, Neg, Ref, row


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
