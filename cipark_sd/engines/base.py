"""What a program is given, forwards and on the way back, and how it reads time and data."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cipark_sd.compiler.adjoint import Adjoint
from cipark_sd.compiler.primitives import look_up
from cipark_sd.compiler.program import SeriesInput
from cipark_sd.errors import CiparkError
from cipark_sd.model.expr import MISSING, Table
from cipark_sd.model.model import Method
from cipark_sd.timegrid import TimeGrid

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Inputs:
    """Everything that a program needs to be run ``n_runs`` times.

    Parameters
    ----------
    params : (n_params, n_runs)
    series : for each series of the program (n_stage_times,) or (n_stage_times, n_runs)
        At the times of :func:`stage_times`.
    saved : (n_steps + 1,)
        The instants whose outputs are wanted.
    runs : (n_runs,)
        The number of each run in the whole ensemble: random numbers depend on it and on nothing else of the call.
    tape : (n_slots, n_rows, n_runs), optional
        What the steps of a way back read, the last row first (:mod:`cipark_sd.compiler.adjoint`).
    """

    grid: TimeGrid
    final_time: float
    params: Values
    series: tuple[Values, ...]
    saved: NDArray[np.bool_]
    runs: NDArray[np.uint64]
    seed: int = 0
    tape: Values | None = None
    #: What an engine has made of all but ``params`` and ``runs``, by a key of its own. ``dataclasses.replace`` empties
    #: it, :meth:`with_runs` does not.
    made: dict[Hashable, object] = field(default_factory=dict, init=False, compare=False, repr=False)

    def with_runs(self, params: Values, runs: NDArray[np.uint64]) -> "Inputs":
        """The same for other runs."""
        inputs = replace(self, params=params, runs=runs)
        object.__setattr__(inputs, "made", self.made)
        return inputs

    @property
    def n_runs(self) -> int:
        """How many."""
        return len(self.runs)

    @property
    def uniforms(self) -> Values:
        """``time_step``, ``initial_time``, ``final_time``, ``saveper``."""
        return np.array([self.grid.step, self.grid.times[0], self.final_time, self.grid.saveper], dtype=float)


#: How often a method computes the slopes of a step.
SLOPES = {"euler": 1, "rk2": 2, "rk4": 4}


def fixed_method(method: Method) -> str:
    """The method that is run: the automatic variants of Vensim are run with the file's own step."""
    return method.removesuffix("_auto")


def stage_times(grid: TimeGrid, method: Method) -> Values:
    """The times at which equations are read: the instants, and with Runge-Kutta the middle of each step between."""
    if fixed_method(method) == "euler":
        return grid.times
    times = np.empty(2 * len(grid.times) - 1)
    times[::2] = grid.times
    times[1::2] = grid.times[:-1] + grid.step / 2
    return times


def sample(entry: SeriesInput, table: Table, times: Values) -> Values:
    """A series at some times; ends are held, a ``raw`` series is missing between its own times."""
    x, y = np.array(table.x), np.array(table.y)
    if entry.interpolation == "raw":
        place = np.searchsorted(x, times).clip(0, len(x) - 1)
        return np.where(x[place] == times, y[place], MISSING)
    held = "interpolate" if entry.interpolation == "extrapolate" else entry.interpolation
    return look_up(Table(table.x, table.y, held), times)


#: From outputs ``(n_places, m)`` of some runs, and the numbers ``(m,)`` of these runs among all, to the weights of the
#: outputs, of the same shape: the derivatives by the outputs of what is to be differentiated.
Weigh = Callable[[Values, NDArray[np.intp]], Values]


class TapeTooLong(CiparkError):
    """What a way back reads would take too much memory."""

    def __init__(self, model: str, size: int, most: int) -> None:
        gibibytes = 2**30
        super().__init__(
            f"{model}: going back through its steps needs {size / gibibytes:.1f} GiB for a few runs, more than "
            f"{most / gibibytes:g}; derivatives need a longer time step or a shorter run"
        )


def taped_inputs(inputs: Inputs) -> Inputs:
    """The inputs of a forward run that writes the tape: every instant is saved."""
    return replace(inputs, saved=np.ones(len(inputs.grid.times), dtype=bool))


def back_inputs(way: Adjoint, inputs: Inputs, tape: Values | None = None) -> Inputs:
    """The inputs of the way back: the instants from last to first, and one more at which its sums are read."""
    grid = inputs.grid
    n = len(grid.times)
    # the times themselves are series; the first one is what "initial time" means
    times = np.concatenate([grid.times, grid.times[-1:] + grid.step])
    saved = np.zeros(n + 1, dtype=bool)
    saved[-1] = True
    instants = np.concatenate([np.arange(n)[::-1], [0]])
    per_step = 1 if fixed_method(way.taped.method) == "euler" else 2
    series: list[NDArray[np.float64]] = []
    for kind, slot, half in way.series:
        stages = np.minimum(per_step * instants + half, per_step * (n - 1))
        match kind:
            case "series":
                series.append(inputs.series[slot][stages])
            case "initial_series":
                series.append(inputs.series[slot][:1])
            case "time":
                series.append(stage_times(grid, way.taped.method)[stages])
            case "instant":
                series.append(grid.times[instants])
            case "step":
                series.append(instants.astype(float))
    longer = TimeGrid(times, saved, grid.step, grid.saveper)
    return replace(inputs, grid=longer, series=tuple(series), saved=saved, tape=tape)
