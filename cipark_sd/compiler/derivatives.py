"""The derivative of each primitive operation by each of its arguments, times a number that is known.

What forward and reverse mode have in common: the one multiplies an argument's slope by it, the other the adjoint of the
result. At a kink (``min``, ``select``, a knot of a table) the derivative is that of the branch taken; steps have none.
"""

import math

from cipark_sd.compiler.graph import Graph
from cipark_sd.compiler.primitives import segments
from cipark_sd.compiler.program import Node
from cipark_sd.model.expr import Table

#: Operations whose derivative is 0 wherever there is one.
FLAT = (
    *("lt", "le", "eq", "ne", "and", "or", "not", "floor", "trunc", "rint"),
    *("poisson_few", "poisson_try", "binomial_few", "binomial_try"),
)


def along(g: Graph, node: Node, args: list[int], place: int, factor: int, value: int) -> int | None:
    """The derivative of an operation by the argument in that ``place``, times ``factor``; ``None`` where it is 0.

    Parameters
    ----------
    args, value : nodes of ``g``
        What the operation reads and what it gives.
    factor : node of ``g``
    """
    if node.op in FLAT:
        return None
    if isinstance(node.payload, Table):
        return _of_table(g, node.payload, args[0], factor)
    if len(args) == 1:
        return _of_one(g, node.op, args[0], factor, value)
    return _of_several(g, node.op, args, place, factor, value)


def _of_table(g: Graph, table: Table, at: int, factor: int) -> int | None:
    if table.interpolation in ("hold_backward", "look_forward") or len(table.x) == 1:
        return None
    x, _, steepness = segments(table)
    beyond = float(steepness[-1]) if table.interpolation == "extrapolate" else 0.0
    before = float(steepness[0]) if table.interpolation == "extrapolate" else 0.0
    steps = Table(tuple(x.tolist()), (*steepness.tolist(), beyond), "hold_backward")
    rise = g.select(g.lt(at, g.const(float(x[0]))), g.const(before), g.table(steps, at))
    return g.mul(rise, factor)


def _of_one(g: Graph, op: str, a: int, factor: int, value: int) -> int:
    def c(number: float) -> int:
        return g.const(number)

    def less(node: int) -> int:
        return g.sub(c(1.0), g.mul(node, node))

    match op:
        case "neg":
            return g.op("neg", factor)
        case "held":
            return factor
        case "abs":
            return g.select(g.lt(a, c(0.0)), g.op("neg", factor), factor)
        case "sqrt":
            return g.select(g.op("eq", factor, c(0.0)), c(0.0), g.div(factor, g.mul(c(2.0), value)))
        case "exp":
            return g.mul(value, factor)
        case "log":
            return g.div(factor, a)
        case "log10":
            return g.div(factor, g.mul(a, c(math.log(10.0))))
        case "sin":
            return g.mul(g.op("cos", a), factor)
        case "cos":
            return g.op("neg", g.mul(g.op("sin", a), factor))
        case "tan":
            return g.mul(g.add(c(1.0), g.mul(value, value)), factor)
        case "asin":
            return g.div(factor, g.op("sqrt", less(a)))
        case "acos":
            return g.op("neg", g.div(factor, g.op("sqrt", less(a))))
        case "atan":
            return g.div(factor, g.add(c(1.0), g.mul(a, a)))
        case "sinh":
            return g.mul(g.op("cosh", a), factor)
        case "cosh":
            return g.mul(g.op("sinh", a), factor)
        case "tanh":
            return g.mul(less(value), factor)
        case "lgamma":
            return g.mul(g.op("digamma", a), factor)
        case "erfc":
            return g.mul(g.mul(c(-2.0 / math.sqrt(math.pi)), g.op("exp", g.op("neg", g.mul(a, a)))), factor)
        case _:
            raise AssertionError(op)


def _of_several(g: Graph, op: str, args: list[int], place: int, factor: int, value: int) -> int | None:
    a, b, zero = args[0], args[1], g.const(0.0)

    def first_or(condition: int) -> int:
        """The factor where the argument is the one that is taken: the first where a condition holds."""
        return g.select(condition, factor, zero) if place == 0 else g.select(condition, zero, factor)

    match op, place:
        case ("add", _) | ("sub", 0) | ("fmod", 0):
            return factor
        case "sub", 1:
            return g.op("neg", factor)
        case "mul", _:
            return g.mul(factor, args[1 - place])
        case "div", 0:
            return g.div(factor, b)
        case "div", 1:
            return g.op("neg", g.mul(g.div(factor, b), value))
        # as for a root, factors may be infinite at a base of 0 where what they multiply is 0, as in 0^0.5 before
        # anything has begun: what does not move has no slope, and 0^b is 0 for every b above 0
        case "pow", 0:
            slope = g.mul(g.mul(b, _one_power_less(g, a, b, value)), factor)
            return g.select(g.op("eq", factor, zero), zero, slope)
        case "pow", 1:
            return g.select(g.op("eq", value, zero), zero, g.mul(g.mul(value, g.op("log", a)), factor))
        case "fmod", 1:
            return g.op("neg", g.mul(g.op("trunc", g.div(a, b)), factor))
        case "select", 0:
            return None
        case "select", _:
            return g.select(a, factor, zero) if place == 1 else g.select(a, zero, factor)
        case "min", _:
            return first_or(g.lt(a, b))
        case "max", _:
            return first_or(g.lt(b, a))
        case _:
            raise AssertionError(op)


def _one_power_less(g: Graph, a: int, b: int, value: int) -> int:
    """``a^(b - 1)`` from ``value``, which is ``a^b``: a division costs less than a power."""
    zero, unit = g.const(0.0), g.const(1.0)
    of_nothing = g.select(g.lt(unit, b), zero, g.select(g.op("eq", b, unit), unit, g.const(math.inf)))
    return g.select(g.op("eq", a, zero), of_nothing, g.div(value, a))
