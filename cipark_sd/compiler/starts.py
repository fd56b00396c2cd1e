"""Numbers that a program's structure depends on: what nodes are at the start of a model's own run."""

from collections.abc import Sequence

import numpy as np

from cipark_sd.compiler.graph import Graph
from cipark_sd.compiler.primitives import MEANING, look_up
from cipark_sd.compiler.program import PER_STEP, UNIFORMS, SeriesInput
from cipark_sd.errors import EquationError
from cipark_sd.model.expr import Table
from cipark_sd.model.model import TimeSpec

#: Stages of one delay or smooth; each one is a state of the model.
MOST_STAGES = 10_000


def extend(
    numbers: list[float],
    last: int,
    graph: Graph,
    defaults: Sequence[float],
    series: Sequence[SeriesInput],
    time: TimeSpec,
) -> None:
    """Add to ``numbers`` what the nodes up to ``last`` are; one that changes at each step is NaN."""
    for position in range(len(numbers), last + 1):
        numbers.append(_computed(position, numbers, graph, defaults, series, time))


def _computed(
    position: int,
    numbers: Sequence[float],
    graph: Graph,
    defaults: Sequence[float],
    series: Sequence[SeriesInput],
    time: TimeSpec,
) -> float:
    node = graph.nodes[position]
    if graph.rates[position] == PER_STEP:
        return float("nan")
    match node.op, node.payload:
        case "const", float(value):
            return value
        case "param", int(slot):
            return defaults[slot]
        case "uniform", int(slot):
            controls = {"time_step": time.step, "initial_time": time.initial, "final_time": time.final}
            return controls.get(UNIFORMS[slot], time.saveper)
        case "initial_series", int(slot):
            entry = series[slot]
            return float("nan") if entry.table is None else float(look_up(entry.table, time.initial))
        case "table", Table() as table:
            return float(look_up(table, numbers[node.args[0]]))
        case "initial_random", _:
            return 0.5
        case _:
            with np.errstate(all="ignore"):
                return float(MEANING[node.op](*(np.float64(numbers[a]) for a in node.args)))


def stages(order: float, time: float | None, step: float, label: str, where: str) -> int:
    """How many stages a delay or smooth has; where its ``time`` counts, no more than there are steps in it.

    Raises
    ------
    EquationError
        When the order is not a number of at least 1, or gives more than :data:`MOST_STAGES` stages.
    """
    if not order >= 1 or not np.isfinite(order):
        raise EquationError(where, label, f"has the order {order:g}; it takes a whole number from 1")
    n = int(order)
    if time is not None and max(time, 0.0) < n * step:
        # an order of a billion is not counted down one by one
        n = min(n, int(max(time, 0.0) / step) + 2)
        while n > 1 and n * step > time:
            n -= 1
    if n > MOST_STAGES:
        reason = f"has the order {order:g}; at most {MOST_STAGES:,} stages are computed (a DELAY FIXED has no stages)"
        raise EquationError(where, label, reason)
    return n
