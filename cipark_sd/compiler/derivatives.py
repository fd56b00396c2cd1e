"""The derivative of each primitive operation by each of its arguments, times a number that is known.

What forward and reverse mode have in common: the one multiplies an argument's slope by it, the other the adjoint of the
result. At a kink (``min``, ``select``, a knot of a table) the derivative is that of the branch taken; steps have none.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from cipark_sd.compiler.graph import Operand, Term
from cipark_sd.compiler.primitives import segments
from cipark_sd.compiler.program import Node
from cipark_sd.model.expr import Table

#: Operations whose derivative is 0 wherever there is one.
FLAT = (
    *("lt", "le", "eq", "ne", "and", "or", "not", "floor", "trunc", "rint"),
    *("poisson_few", "poisson_try", "binomial_few", "binomial_try"),
)


def along(node: Node, args: Sequence[Term], place: int, factor: Term, value: Term) -> Term | None:
    """The derivative of an operation by one of its arguments, times a factor.

    Parameters
    ----------
    node : Node
        The operation; its own arguments are not looked at.
    args : sequence of Term
        What it reads, in the graph of the derivative.
    place : int
        Which of them the derivative is by, from 0.
    factor, value : Term
        What the derivative is multiplied by, and what the operation gives.

    Returns
    -------
    Term or None
        None where the derivative is 0.
    """
    if node.op in FLAT:
        return None
    if isinstance(node.payload, Table):
        return _of_table(node.payload, args[0], factor)
    if len(args) == 1:
        return _OF_ONE[node.op](args[0], value, factor)
    return _of_several(node.op, args, place, factor, value)


def _of_table(table: Table, at: Term, factor: Term) -> Term | None:
    if table.interpolation in ("hold_backward", "look_forward") or len(table.x) == 1:
        return None
    x, _, steepness = segments(table)
    beyond = float(steepness[-1]) if table.interpolation == "extrapolate" else 0.0
    before = float(steepness[0]) if table.interpolation == "extrapolate" else 0.0
    steps = Table(tuple(x.tolist()), (*steepness.tolist(), beyond), "hold_backward")
    return _where(at < float(x[0]), before, at.graph.table(steps, at)) * factor


def _op(op: str, a: Term) -> Term:
    return a.graph.op(op, a)


def _where(condition: Term, then: Operand, otherwise: Operand) -> Term:
    return condition.graph.select(condition, then, otherwise)


def _is(a: Term, number: float) -> Term:
    return a.graph.op("eq", a, number)


#: Of what an operation of one argument reads and gives, and the factor.
_OF_ONE: Mapping[str, Callable[[Term, Term, Term], Term]] = {
    "neg": lambda a, value, factor: -factor,
    "held": lambda a, value, factor: factor,
    "abs": lambda a, value, factor: _where(a < 0.0, -factor, factor),
    # what does not move has no slope, also where the root's is infinite
    "sqrt": lambda a, value, factor: _where(_is(factor, 0.0), 0.0, factor / (2.0 * value)),
    "exp": lambda a, value, factor: value * factor,
    "log": lambda a, value, factor: factor / a,
    "log10": lambda a, value, factor: factor / (a * math.log(10.0)),
    "sin": lambda a, value, factor: _op("cos", a) * factor,
    "cos": lambda a, value, factor: -(_op("sin", a) * factor),
    "tan": lambda a, value, factor: (1.0 + value * value) * factor,
    "asin": lambda a, value, factor: factor / _op("sqrt", 1.0 - a * a),
    "acos": lambda a, value, factor: -(factor / _op("sqrt", 1.0 - a * a)),
    "atan": lambda a, value, factor: factor / (1.0 + a * a),
    "sinh": lambda a, value, factor: _op("cosh", a) * factor,
    "cosh": lambda a, value, factor: _op("sinh", a) * factor,
    "tanh": lambda a, value, factor: (1.0 - value * value) * factor,
    "lgamma": lambda a, value, factor: _op("digamma", a) * factor,
    "erfc": lambda a, value, factor: -2.0 / math.sqrt(math.pi) * _op("exp", -(a * a)) * factor,
}


def _of_several(op: str, args: Sequence[Term], place: int, factor: Term, value: Term) -> Term | None:
    a, b = args[:2]

    def first_or(condition: Term) -> Term:
        """The factor where the argument is the one that is taken: the first where a condition holds."""
        return _where(condition, factor, 0.0) if place == 0 else _where(condition, 0.0, factor)

    match op, place:
        case ("add", _) | ("sub", 0) | ("fmod", 0):
            return factor
        case "sub", 1:
            return -factor
        case "mul", _:
            return factor * args[1 - place]
        case "div", 0:
            return factor / b
        case "div", 1:
            return -(factor / b * value)
        # as for a root, factors may be infinite at a base of 0 where what they multiply is 0, as in 0^0.5 before
        # anything has begun: what does not move has no slope, and 0^b is 0 for every b above 0
        case "pow", 0:
            return _where(_is(factor, 0.0), 0.0, b * _one_power_less(a, b, value) * factor)
        case "pow", 1:
            return _where(_is(value, 0.0), 0.0, value * _op("log", a) * factor)
        case "fmod", 1:
            return -(_op("trunc", a / b) * factor)
        case "select", 0:
            return None
        case "select", _:
            return _where(a, factor, 0.0) if place == 1 else _where(a, 0.0, factor)
        case "min", _:
            return first_or(a < b)
        case "max", _:
            return first_or(b < a)
        case _:
            raise AssertionError(op)


def _one_power_less(a: Term, b: Term, value: Term) -> Term:
    """``a^(b - 1)`` from ``value``, which is ``a^b``: a division costs less than a power."""
    of_nothing = _where(b > 1.0, 0.0, _where(_is(b, 1.0), 1.0, math.inf))
    return _where(_is(a, 0.0), of_nothing, value / a)
