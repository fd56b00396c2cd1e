"""What the way back of a program is given, made of what its forward run was given."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cipark_sd.compiler.adjoint import Adjoint
from cipark_sd.engines.base import Inputs, Values, fixed_method, stage_times
from cipark_sd.errors import CiparkError
from cipark_sd.timegrid import TimeGrid

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
