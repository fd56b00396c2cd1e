"""Functions of data, which ``compiler/data_between.py`` makes something of: values at a time, and statistics of points.

Source: Vensim's manual, fn_get_data_between_times and fn_get_data_min.
"""

import math
from collections.abc import Mapping, Sequence

from cipark_sd.compiler.functions.arrays import folded
from cipark_sd.compiler.functions.row import KEEPS, Context, Function, Meaning, Reading
from cipark_sd.model.expr import MISSING, Call

_AS_LOOKUP = "write the points as a lookup and call it"
_NUMBER = "compute the number from the data beforehand and write it as a constant"
#: Statistics of the points between two times, by the name of the function, and what they are of these points.
STATISTICS: Mapping[str, str] = {f"get_data_{name}": f"data: {name}" for name in ("mean", "median", "min", "max")}


def _median(c: Context, there: Sequence[int], values: Sequence[int], n: int) -> int:
    """The mean of the two values in the middle, which are one where their number is odd."""
    g = c.graph
    order = sorted(range(len(values)), key=lambda place: g.value(values[place]) or 0.0)
    last = g.sub(n, g.const(1.0))
    middles = [g.op("floor", g.div(number, g.const(2.0))) for number in (last, n)]
    before, terms = g.const(0.0), []
    for place in order:
        taken = g.add(*(g.op("eq", before, middle) for middle in middles))
        terms.append(g.mul(g.mul(there[place], taken), values[place]))
        before = g.add(before, there[place])
    return g.div(folded("add")(c, terms), g.const(2.0))


def _statistic(name: str) -> Meaning:
    """Of a first and a last time, and of times and values in turn."""

    def meaning(c: Context, a: Sequence[int]) -> int:
        g, (first, last, *points) = c.graph, a
        times, values = points[::2], points[1::2]
        there = [g.logical_and(g.le(first, time), g.le(time, last)) for time in times]
        n, beyond = folded("add")(c, there), {"min": math.inf, "max": -math.inf}.get(name, 0.0)
        if name == "median":
            value = _median(c, there, values, n)
        else:
            taken = [g.select(is_there, v, g.const(beyond)) for is_there, v in zip(there, values, strict=True)]
            value = g.div(folded("add")(c, taken), n) if name == "mean" else folded(name)(c, taken)
        return g.select(g.lt(g.const(0.0), n), value, g.const(MISSING))

    return meaning


def _row(function: str, parameters: str, units: str) -> Function:
    spelling = function.replace("_", " ").upper()
    return Function(function, parameters, None, units, spelling, in_vensim=_NUMBER, in_xmile=_NUMBER)


ROWS = (
    Function(
        "raw_data",
        "data",
        None,
        KEEPS,
        in_vensim="mark the data themselves as :RAW:",
        in_xmile="bring the data at its times alone",
    ),
    Function(
        "data_between",
        "data, time[, mode]",
        None,
        "same, time, none -> same",
        (
            Reading("GET DATA BETWEEN TIMES", "data, time, mode", lambda *a: Call("data_between", a)),
            Reading("GET DATA AT TIME", "data, time", lambda *a: Call("data_between", a)),
        ),
        in_vensim=_AS_LOOKUP,
        in_xmile=_AS_LOOKUP,
    ),
    *(_row(name, "data, first time, last time", "same, time -> same") for name in STATISTICS),
    *(_row(f"get_data_{name}_time", "data", "any -> time") for name in ("first", "last")),
    _row("get_data_total_points", "data", "any -> none"),
    *(
        Function(name, "first time, last time, time, value, ...", _statistic(name.removeprefix("data: ")), None)
        for name in STATISTICS.values()
    ),
)
