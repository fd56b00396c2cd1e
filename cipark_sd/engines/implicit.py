"""The method ``gear``: implicit steps of their own choice, for models with states that settle at very different paces.

The program becomes one of an instant, whose parameters are its constants, states, series and time, and whose outputs
are the slopes; a compiled engine runs it for many points at once, so a Jacobian costs one call. SciPy goes through the
run with it by backward differentiation formulas.

Source: Shampine and Reichelt 1997, SIAM Journal on Scientific Computing 18, 1-22 (``scipy.integrate.BDF``); Gear 1971,
Numerical Initial Value Problems in Ordinary Differential Equations.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cipark_sd.base.errors import UnsupportedFeature
from cipark_sd.base.timegrid import TimeGrid
from cipark_sd.compiler.program import PER_RUN, Node, Program, pruned
from cipark_sd.engines.base import Inputs, Values
from cipark_sd.engines.evaluation import start_values

#: Gives the outputs of a program, as an engine does by fixed steps.
Run = Callable[[Program, Inputs], Values]
#: Errors of a step: of a state's size, and of what it begins with. Robertson's problem has six digits by them at 1e5.
RELATIVE, ABSOLUTE = 1e-8, 1e-10


@dataclass(frozen=True)
class Instant:
    """A program at one instant.

    Parameters
    ----------
    slopes, observed : Program
        The rates of the states, and the outputs of the whole program. Beside the program's own parameters they have the
        states, what else it reads at an instant, its series, their first values, and time.
    reads_time : bool
        Whether time or a series has a part in the slopes.
    """

    slopes: Program
    observed: Program
    reads_time: bool


def at_instant(program: Program) -> Instant:
    """What a program computes at an instant; what cells and pipes hold is a parameter too."""
    blocks = ("state", "cell", "pipe", "series", "initial_series", "time")
    sizes = [len(part) for part in (program.states, program.cells, program.pipes, *[program.series] * 2)]
    first = dict(zip(blocks, (np.cumsum([0, *sizes]) + len(program.params)).tolist(), strict=True))
    nodes, rates = list(program.nodes), list(program.rates)
    for position, node in enumerate(nodes):
        op = "time" if node.op == "instant" else node.op
        if op in first:
            slot = node.payload if isinstance(node.payload, int) else 0
            nodes[position], rates[position] = Node("param", (), first[op] + slot), PER_RUN
    n = first["time"] + 1
    nothing: Any = dict.fromkeys(("series", "states", "cells", "pipes", "orders", "labels"), ())
    bare = replace(
        program,
        nodes=tuple(nodes),
        rates=tuple(rates),
        params=tuple(map(str, range(n))),
        defaults=(0.0,) * n,
        method="euler",
        **nothing,
    )
    reads = {program.nodes[node].op for node in program.rates_only}
    slopes = pruned(replace(bare, outputs=tuple((state.label, state.rate) for state in program.states)))
    return Instant(slopes, pruned(bare), not reads.isdisjoint(("time", "instant", "series")))


def points(program: Program, inputs: Inputs, run: int, states: Values, times: NDArray[np.float64]) -> Values:
    """The parameters of an instant, ``(n, n_points)``, at states ``(n_states, n_points)`` and their times."""
    constants = np.repeat(inputs.params[:, [run]], states.shape[1], axis=1)
    memory = np.zeros((len(program.cells) + len(program.pipes), states.shape[1]))
    courses = [series if series.ndim == 1 else series[:, run] for series in inputs.series]
    # data are joined by lines from instant to instant
    now = [np.interp(times, inputs.grid.times, course) for course in courses]
    before = [np.full(len(times), course[0]) for course in courses]
    return np.vstack([constants, states, memory, *now, *before, times])


def evaluated(execute: Run, program: Program, inputs: Inputs, run: int, params: Values) -> Values:
    """The outputs ``(n_outputs, n_points)`` of a program of an instant, for one run of the whole one."""
    grid = TimeGrid(inputs.grid.times[:1], np.ones(1, dtype=bool), inputs.grid.step, inputs.grid.saveper)
    runs = np.repeat(inputs.runs[[run]], params.shape[1])
    alone = replace(inputs, grid=grid, saved=grid.saved, series=(), params=params, runs=runs)
    return execute(program, alone)[:, 0]


def outputs(execute: Run, program: Program, inputs: Inputs) -> Values:
    """The outputs ``(n_outputs, n_saved, n_runs)``; no numbers from where a run finds no way on.

    Raises
    ------
    UnsupportedFeature
        For what a program remembers from step to step, or draws at each.
    """
    _check(program)
    instant, states = at_instant(program), program.states
    starts = np.array(start_values(program, inputs, [state.initial for state in states])).reshape(len(states), -1)
    times = inputs.grid.times[inputs.saved]
    values = np.empty((len(program.outputs), len(times), inputs.n_runs))
    for run in range(inputs.n_runs):
        course = _solved(execute, instant, program, inputs, run, starts[:, run], times)
        values[:, :, run] = evaluated(
            execute, instant.observed, inputs, run, points(program, inputs, run, course, times)
        )
    return values


def _solved(
    execute: Run,
    instant: Instant,
    program: Program,
    inputs: Inputs,
    run: int,
    start: Values,
    times: NDArray[np.float64],
) -> Values:
    """The states ``(n_states, n_times)`` of one run."""
    from scipy import integrate

    solve: Any = integrate.solve_ivp
    course = np.full((len(start), len(times)), np.nan)
    begin, end = float(inputs.grid.times[0]), float(times[-1])

    def slopes(time: float, at: Any) -> Any:
        columns = at.reshape(len(start), -1)
        params = points(program, inputs, run, columns, np.full(columns.shape[1], time))
        return evaluated(execute, instant.slopes, inputs, run, params).reshape(at.shape)

    if not len(start) or end == begin:
        course[:] = start[:, None]
        return course
    sizes = np.abs(start)
    smallest = min(sizes[sizes > 0], default=1.0)
    options: Any = {
        "t_eval": times,
        "rtol": RELATIVE,
        "atol": ABSOLUTE * np.where(sizes > 0, sizes, smallest),
        # what time switches is not stepped over
        "max_step": inputs.grid.step if instant.reads_time else np.inf,
    }
    try:
        solved = solve(slopes, (begin, end), start, "BDF", vectorized=True, **options)
    except ValueError:  # of a matrix that is no longer of numbers
        course[:, :1] = start[:, None]
        return course
    reached = np.reshape(solved.y, (len(start), -1))  # an empty list where no time was reached
    course[:, : reached.shape[1]] = reached
    return course


def _check(program: Program) -> None:
    refused: Sequence[tuple[str, str]] = [
        *((cell.label, "a value that is replaced step by step") for cell in program.cells),
        *((pipe.label, "a delay of whole steps") for pipe in program.pipes),
        *((state.label, "a stock that is set on the way") for state in program.states if state.put is not None),
        *((series.name, "data marked :RAW:") for series in program.series if series.interpolation == "raw"),
    ]
    refused = [
        *refused,
        *[(program.name, "random numbers at each step")] * any(n.op == "random" for n in program.nodes),
    ]
    if refused:
        label, feature = refused[0]
        way = "take a method with steps of one length, as --method rk4"
        raise UnsupportedFeature(feature, variable=label, where=f"{program.name}, the method gear", alternative=way)
