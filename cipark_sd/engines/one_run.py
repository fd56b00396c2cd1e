"""One run under a checked scenario, for the engines that run programs."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cipark_sd.engines.base import Engine
from cipark_sd.engines.columns import Columns
from cipark_sd.engines.compiled import Task, run_settings, settings, with_controls
from cipark_sd.model.model import Method, Model
from cipark_sd.scenarios import Resolved
from cipark_sd.timegrid import saved_indices, time_grid


def run_one(
    model: Model,
    resolved: Resolved,
    engine: Engine,
    *,
    save: Sequence[str],
    times: NDArray[np.float64],
    method: Method | None = None,
) -> dict[str, NDArray[np.float64]]:
    """One run under a checked scenario: by name (n_times, *sizes), at saved times of its grid."""
    resolved = with_controls(model, resolved)
    grid = time_grid(resolved.initial_time, resolved.final_time, resolved.time_step, resolved.saveper, where=model.name)
    columns = Columns.of(model, save)
    saved = np.zeros_like(grid.saved)
    saved[np.flatnonzero(grid.saved)[saved_indices(grid, times.tolist(), where=model.name)]] = True
    task = Task(model, columns.flat, grid, resolved.final_time, saved, method)
    values = run_settings(task, settings(model, resolved), 1, engine)
    return {name: array[0] for name, array in columns.arrays(values).items()}
