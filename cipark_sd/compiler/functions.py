"""The one table of functions: what each function of Vensim and XMILE is in primitives.

Conventions are Vensim's, as its reference manual (https://www.vensim.com/documentation) has them or its recorded runs
show them, and XMILE's (1.0, section 3) for functions of its own: a quantity below 1e-6 counts as zero, and times are
compared with a slack of 1e-6 or half a step. Truth is 1, falsehood 0.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from cipark_sd.compiler.allocation import available, by_priority
from cipark_sd.compiler.draws import DRAWS, Draw, uniform
from cipark_sd.compiler.graph import Graph
from cipark_sd.compiler.matrices import inverse
from cipark_sd.model.distributions import DISTRIBUTIONS
from cipark_sd.model.expr import MISSING, Table

#: What Vensim takes for zero.
SMALL = 1e-6
#: Actions of VECTOR SELECT, numbered from 0.
MOST_ACTIONS = 11


@dataclass(frozen=True)
class Context:
    """What a function's meaning may use: the graph, two times, a fresh stream of random numbers, and what a node is at
    the start of the model's own run.

    ``instant`` is the time at which the present step began, which stays while Runge-Kutta looks ahead in ``time``.
    """

    graph: Graph
    time: int
    instant: int
    random: Callable[[], int]
    at_start: Callable[[int], float]


Meaning = Callable[[Context, Sequence[int]], int]


@dataclass(frozen=True)
class Function:
    """How many arguments a function takes and what it is in primitives."""

    least: int
    most: int | None
    meaning: Meaning


def _primitive(op: str, n: int = 1) -> Function:
    return Function(n, n, lambda c, a: c.graph.op(op, *a))


def _is_small(c: Context, node: int) -> int:
    return c.graph.lt(c.graph.op("abs", node), c.graph.const(SMALL))


def xidz(c: Context, a: Sequence[int]) -> int:
    """``a / b``, or ``x`` where ``b`` is zero."""
    numerator, denominator, otherwise = a
    return c.graph.select(_is_small(c, denominator), otherwise, c.graph.div(numerator, denominator))


def zidz(c: Context, a: Sequence[int]) -> int:
    """``a / b``, or 0 where ``b`` is zero."""
    return xidz(c, (*a, c.graph.const(0.0)))


def _quantum(c: Context, a: Sequence[int]) -> int:
    g, (value, unit) = c.graph, a
    return g.select(g.lt(unit, g.const(SMALL)), value, g.mul(unit, g.op("trunc", g.div(value, unit))))


def _modulo(c: Context, a: Sequence[int]) -> int:
    return c.graph.sub(a[0], _quantum(c, a))


def _floored_modulo(c: Context, a: Sequence[int]) -> int:
    """XMILE's ``MOD``: the remainder has the divisor's sign; with a divisor of 0 it is the value.

    Source: XMILE 1.0, section 3.3.1, which takes Knuth's: x - y floor(x / y).
    """
    g, (value, divisor) = c.graph, a
    remainder = g.sub(value, g.mul(divisor, g.op("floor", g.div(value, divisor))))
    return g.select(g.op("eq", divisor, g.const(0.0)), value, remainder)


def _middle(c: Context) -> int:
    """The middle of the present step, which Vensim calls ``time plus``: events act at the instant nearest to them."""
    return c.graph.add(c.instant, c.graph.div(c.graph.uniform("time_step"), c.graph.const(2.0)))


def _step(c: Context, a: Sequence[int]) -> int:
    """Source: Vensim's manual, fn_step."""
    height, start = a
    return c.graph.mul(height, c.graph.lt(start, _middle(c)))


def _ramp(c: Context, a: Sequence[int]) -> int:
    g, (slope, start, *end) = c.graph, a
    until = g.op("min", end[0], c.time) if end else c.time
    begun = g.lt(start, g.add(c.time, g.const(SMALL)))
    return g.mul(g.mul(begun, slope), g.sub(until, start))


def _pulse(c: Context, a: Sequence[int]) -> int:
    """1 from the instant nearest to the start on, for a width; a width of 0 is one step.

    Source: Vensim's manual, fn_pulse.
    """
    g, (start, width) = c.graph, a
    lasting = g.select(g.op("eq", width, g.const(0.0)), g.uniform("time_step"), width)
    return g.logical_and(g.lt(start, _middle(c)), g.lt(_middle(c), g.add(start, lasting)))


def _pulse_train(c: Context, a: Sequence[int]) -> int:
    """Pulses of at least one step that begin again at each interval, up to and with the end.

    Where the interval is no longer than a pulse, there is no pause.

    Source: Vensim's manual, fn_pulse_train; that the end belongs to it, a recorded run of Vensim's
    (``models/pulsetrain`` of SDEverywhere).
    """
    g, (start, interval, width, end) = c.graph, a
    lasting = g.op("max", width, g.uniform("time_step"))
    phase = g.op("fmod", g.sub(_middle(c), start), interval)
    on = g.logical_or(g.le(interval, lasting), g.lt(phase, lasting))
    begun = g.logical_and(g.lt(start, _middle(c)), g.le(g.sub(c.instant, g.const(SMALL)), end))
    return g.logical_and(begun, on)


def _since(c: Context, start: int) -> int:
    """The time since a pulse, with the slack of comparisons."""
    return c.graph.add(c.graph.sub(c.instant, start), c.graph.const(SMALL))


def _quantity_once(c: Context, start: int) -> int:
    """Whether the one step of an XMILE pulse is now: the first time point at or after its time.

    Source: XMILE 1.0, section 3.5.4, for a time on the grid; between time points, pysimlin.
    """
    g, since = c.graph, _since(c, start)
    return g.logical_and(g.le(g.const(0.0), since), g.lt(since, g.uniform("time_step")))


def _quantity_again(c: Context, start: int, interval: int) -> int:
    """Whether one of the steps of repeated XMILE pulses is now, each at the first time point at or after its time.

    An interval of 0 is a single pulse; pulses that are closer than a step are one in each step.
    """
    g, since = c.graph, _since(c, start)
    inside = g.logical_and(g.le(g.const(0.0), since), g.lt(g.op("fmod", since, interval), g.uniform("time_step")))
    return g.select(g.op("eq", interval, g.const(0.0)), _quantity_once(c, start), inside)


def _height(c: Context, magnitude: int, inside: int) -> int:
    return c.graph.select(inside, c.graph.div(magnitude, c.graph.uniform("time_step")), c.graph.const(0.0))


def _folded(op: str) -> Meaning:
    """A reduction by an operation of two, from the left."""
    return lambda c, terms: _fold(c, op, terms)


def _fold(c: Context, op: str, terms: Sequence[int]) -> int:
    return reduce(lambda total, term: c.graph.op(op, total, term), terms)


def _deviation(c: Context, terms: Sequence[int]) -> int:
    """The standard deviation of numbers about their mean, by their number; pysimlin's STDDEV is the same."""
    g, n = c.graph, c.graph.const(float(len(terms)))
    mean = g.div(_fold(c, "add", terms), n)
    distances = [g.sub(term, mean) for term in terms]
    return g.op("sqrt", g.div(_fold(c, "add", [g.mul(d, d) for d in distances]), n))


def _factorial(c: Context, a: Sequence[int]) -> int:
    """Of whole numbers; beyond 170 there is no double for it."""
    g, (n,) = c.graph, a
    table = Table(tuple(map(float, range(171))), tuple(map(float, map(math.factorial, range(171)))), "hold_backward")
    value = g.select(g.lt(g.const(170.5), n), g.const(math.inf), g.table(table, g.op("rint", n)))
    return g.select(g.le(g.const(0.0), n), value, g.const(math.nan))


def _ranks(c: Context, values: Sequence[int]) -> list[int]:
    """The place of each value in ascending order, from 0; equal values keep their order."""
    g = c.graph
    ranks = []
    for i, value in enumerate(values):
        before = [g.op("le" if j < i else "lt", rival, value) for j, rival in enumerate(values) if j != i]
        ranks.append(_sum_of(c, before))
    return ranks


def _sum_of(c: Context, terms: Sequence[int]) -> int:
    total = c.graph.const(0.0)
    for term in terms:
        total = c.graph.add(total, term)
    return total


def _chosen(c: Context, place: int, values: Sequence[int]) -> int:
    """The value at a place that is itself computed."""
    g, chosen = c.graph, values[0]
    for i, value in enumerate(values[1:], start=1):
        chosen = g.select(g.op("eq", place, g.const(float(i))), value, chosen)
    return chosen


def _sort_order(c: Context, a: Sequence[int]) -> int:
    g, (place, length, direction, *values) = c.graph, a
    ranks = _ranks(c, values)
    last = g.sub(length, g.const(1.0))
    target = g.select(g.lt(g.const(0.0), direction), place, g.sub(last, place))
    members = [g.mul(g.const(float(i)), g.op("eq", rank, target)) for i, rank in enumerate(ranks)]
    return _sum_of(c, members)


def _rank(c: Context, a: Sequence[int]) -> int:
    g, (place, length, direction, *values) = c.graph, a
    rank = _chosen(c, place, _ranks(c, values))
    return g.select(g.lt(g.const(0.0), direction), g.add(rank, g.const(1.0)), g.sub(length, rank))


def _reorder(c: Context, a: Sequence[int]) -> int:
    place, length, *vectors = a
    n = int(c.graph.value(length) or 0)
    return _chosen(c, c.graph.op("trunc", _chosen(c, place, vectors[:n])), vectors[n:])


def _elm_map(c: Context, a: Sequence[int]) -> int:
    """VECTOR ELM MAP after unrolling: place of the first element, offset, then all elements; none is missing.

    Source: Vensim's manual, fn_vector_elm_map: outside of the variable's range it is :NA:.
    """
    g, (first, offset, *members) = c.graph, a
    place = g.add(first, g.op("rint", offset))
    inside = g.logical_and(g.le(g.const(0.0), place), g.lt(place, g.const(float(len(members)))))
    return g.select(inside, _chosen(c, place, members), g.const(MISSING))


def _drawn(draw: Draw) -> Meaning:
    return lambda c, a: draw(c.graph, c.random, a)


def _vector_select(c: Context, a: Sequence[int]) -> int:
    """VECTOR SELECT after unrolling: value where nothing is selected, action, error action, selections and values.

    An action that changes in the run is chosen among all of them; where it is none, there is no value, and neither
    where Vensim stops the run: error action 1 asks for a selection, 2 for no more than one, 3 for one and no other.

    Source of the actions' numbers: Vensim's manual, fn_vector_select; that they may change, a recorded run of Vensim's
    (``vector_select`` of SDXorg's test models).
    """
    g, (missing, action, error_action, *pairs) = c.graph, a
    selections, values = pairs[::2], pairs[1::2]
    number = g.value(action)
    if number is None:
        result = g.const(math.nan)
        for kind in range(MOST_ACTIONS):
            result = g.select(g.op("eq", action, g.const(float(kind))), _selected(c, selections, values, kind), result)
    else:
        result = _selected(c, selections, values, int(number))
    chosen = [g.op("ne", selection, g.const(0.0)) for selection in selections]
    some, count = reduce(g.logical_or, chosen), _fold(c, "add", chosen)
    asks_for_one, asks_for_single = (
        g.logical_or(g.op("eq", error_action, g.const(kind)), g.op("eq", error_action, g.const(3.0)))
        for kind in (1.0, 2.0)
    )
    none = g.logical_and(asks_for_one, g.op("not", some))
    several = g.logical_and(asks_for_single, g.lt(g.const(1.0), count))
    return g.select(g.logical_or(none, several), g.const(math.nan), g.select(some, result, missing))


def _selected(c: Context, selections: Sequence[int], values: Sequence[int], action: int) -> int:
    """What an action makes of the selected values."""
    g = c.graph
    chosen = [g.op("ne", selection, g.const(0.0)) for selection in selections]
    if action <= 4:
        values = [g.mul(selection, value) for selection, value in zip(selections, values, strict=True)]
    elif action == 5:
        values = [g.op("pow", value, selection) for selection, value in zip(selections, values, strict=True)]

    def over(op: str, neutral: float) -> int:
        terms = [g.select(yes, value, g.const(neutral)) for yes, value in zip(chosen, values, strict=True)]
        return _fold(c, op, terms)

    match action:
        case 0 | 6:
            return over("add", 0.0)
        case 1 | 5 | 7:
            return over("mul", 1.0)
        case 2 | 8:
            return over("min", math.inf)
        case 3 | 9:
            return over("max", -math.inf)
        case _:
            return g.div(over("add", 0.0), _fold(c, "add", chosen))


def _invert_matrix(c: Context, a: Sequence[int]) -> int:
    """INVERT MATRIX after unrolling: row and column of the element, number of columns, then the matrix."""
    row, column, length, *cells = a
    place = int(c.graph.value(row) or 0) * int(c.graph.value(length) or 0) + int(c.graph.value(column) or 0)
    return c.graph.family(("inverse", *cells), lambda: inverse(c.graph, cells))[place]


def _allocate_by_priority(c: Context, a: Sequence[int]) -> int:
    """ALLOCATE BY PRIORITY after unrolling: claimant, number of them, width, supply, requests and priorities."""
    place, length, width, supply, *vectors = a
    n = int(c.graph.value(length) or 0)
    shares = c.graph.family(
        ("by priority", *a[1:]), lambda: by_priority(c.graph, vectors[:n], vectors[n:], width, supply)
    )
    return shares[int(c.graph.value(place) or 0)]


def _allocate_available(c: Context, a: Sequence[int]) -> int:
    """ALLOCATE AVAILABLE after unrolling: claimant, number of them, supply, requests, four numbers of each profile.

    A profile's first number is its kind; the shares are computed for those that the model's own constants say.
    """
    g, (place, length, supply, *vectors) = c.graph, a
    n = int(g.value(length) or 0)
    kinds, priorities, widths = (vectors[n + i :: 4] for i in range(3))
    shapes = tuple(c.at_start(kind) for kind in kinds)

    def make() -> list[int]:
        return available(g, vectors[:n], kinds, priorities, widths, supply, shapes)

    shares = g.family(("available", shapes, *a[1:]), make)
    return shares[int(g.value(place) or 0)]


def _time_value(c: Context, a: Sequence[int]) -> int:
    """The current time (0) or that of the start (1), moved by an offset.

    Source: Vensim's manual, fn_get_time_value, measure 0.
    """
    g, (relative, offset, _) = c.graph, a
    return g.add(g.uniform("initial_time") if g.value(relative) == 1.0 else c.time, offset)


def _elsewhere(c: Context, a: Sequence[int]) -> int:
    raise AssertionError("another pass has made operations of it")


FUNCTIONS: Mapping[str, Function] = {
    "abs": _primitive("abs"),
    "sqrt": _primitive("sqrt"),
    "exp": _primitive("exp"),
    "ln": _primitive("log"),
    "log10": _primitive("log10"),
    "log": Function(2, 2, lambda c, a: c.graph.div(c.graph.op("log", a[0]), c.graph.op("log", a[1]))),
    "sin": _primitive("sin"),
    "cos": _primitive("cos"),
    "tan": _primitive("tan"),
    "arcsin": _primitive("asin"),
    "arccos": _primitive("acos"),
    "arctan": _primitive("atan"),
    "sinh": _primitive("sinh"),
    "cosh": _primitive("cosh"),
    "tanh": _primitive("tanh"),
    "integer": _primitive("trunc"),
    "not": _primitive("not"),
    "power": _primitive("pow", 2),
    "min": _primitive("min", 2),
    "max": _primitive("max", 2),
    "pi": Function(0, 0, lambda c, a: c.graph.const(3.141592653589793)),
    "inf": Function(0, 0, lambda c, a: c.graph.const(float("inf"))),
    "quantum": Function(2, 2, _quantum),
    "floor": _primitive("floor"),
    "round": _primitive("rint"),
    "factorial": Function(1, 1, _factorial),
    "xmile_stddev": Function(1, None, _deviation),
    "modulo": Function(2, 2, _modulo),
    "floored_modulo": Function(2, 2, _floored_modulo),
    "xidz": Function(3, 3, xidz),
    "zidz": Function(2, 2, zidz),
    "step": Function(2, 2, _step),
    "ramp": Function(3, 3, _ramp),
    "xramp": Function(2, 2, _ramp),
    "pulse": Function(2, 2, _pulse),
    "pulse_train": Function(4, 4, _pulse_train),
    "xpulse": Function(2, 2, lambda c, a: _height(c, a[1], _quantity_once(c, a[0]))),
    "xpulse_train": Function(3, 3, lambda c, a: _height(c, a[2], _quantity_again(c, a[0], a[1]))),
    "sum": Function(1, None, _folded("add")),
    "prod": Function(1, None, _folded("mul")),
    "vmin": Function(1, None, _folded("min")),
    "vmax": Function(1, None, _folded("max")),
    "vector_sort_order": Function(3, None, _sort_order),
    "vector_rank": Function(3, None, _rank),
    "vector_reorder": Function(3, None, _reorder),
    "vector_elm_map": Function(3, None, _elm_map),
    "random_0_1": Function(0, 1, lambda c, a: c.random()),
    "random_uniform": Function(3, 3, _drawn(uniform)),
    **{
        name: Function(n := DISTRIBUTIONS[name].all_parameters.count(",") + 1, n, _drawn(draw))
        for name, draw in DRAWS.items()
    },
    "gamma_ln": _primitive("lgamma"),
    "vector_select": Function(5, None, _vector_select),
    # a table before it comes to operations: compiler/data_between.py
    "data_between": Function(3, 3, _elsewhere),
    # made by the lowering, which knows the data
    "raw_data": Function(1, 1, _elsewhere),
    "get_time_value": Function(3, 3, _time_value),
    "invert_matrix": Function(4, None, _invert_matrix),
    "allocate_by_priority": Function(6, None, _allocate_by_priority),
    "allocate_available": Function(8, None, _allocate_available),
}
