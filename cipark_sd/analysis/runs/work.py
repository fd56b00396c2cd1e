"""What one chunk of a stored ensemble computes: the values of some runs, what was set in them, and which failed.

A chunk depends on the numbers of its runs and on nothing that was computed before it, so it may be computed in any
thread, process or machine, and again.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cipark_sd.analysis.runs.design import Design
from cipark_sd.base.checkpoints import Arrays, program
from cipark_sd.base.errors import InvalidValue
from cipark_sd.data import described, results
from cipark_sd.data.described import Described
from cipark_sd.data.scenarios import Scenario
from cipark_sd.engines.base import fixed_method
from cipark_sd.engines.plan import Columns, RunPlan, missing_as_nan, plan
from cipark_sd.engines.registry import choose
from cipark_sd.execution.shared import MadeOnce
from cipark_sd.model.model import Method, Model
from cipark_sd.simulations.ensembles import drawn, ensemble
from cipark_sd.simulations.failures import (
    REASON,
    REASONS,
    TIME,
    VARIABLE,
    Marks,
    between_saved_times,
    diagnosed,
    failing,
    floors,
    labels,
    lowest,
    marked,
)

if TYPE_CHECKING:
    import xarray as xr

#: What a run has beside the variables that are saved.
DRAWS = "draws"
#: Bytes of a chunk that are aimed at, and the fewest and most runs.
CHUNK_BYTES, LEAST, MOST = 32 * 2**20, 16, 2**17
#: Chunks of an ensemble at least, so that progress is seen and workers share the work, unless they would be so small
#: that writing them takes longer than computing them.
SHARES, FEW = 64, 256
_MEANINGS = ", ".join(f"{number} {text}" for number, text in enumerate(REASONS) if number)


@dataclass(frozen=True)
class Work(MadeOnce):
    """An ensemble as a value that another process can be sent.

    Parameters
    ----------
    save : tuple of str
        Canonical names of variables.
    times : tuple of float, optional
        Some of the saved times.
    scenario : Scenario
        What all runs share; a run's own values win.
    method, seed
        As for :func:`cipark_sd.simulations.ensembles.ensemble`.
    """

    model: Model
    design: Design
    save: tuple[str, ...]
    engine: str
    times: tuple[float, ...] | None = None
    scenario: Scenario = Scenario()  # noqa: RUF009  (frozen, and neutral)
    method: Method | None = None
    seed: int = 0

    def compute(self, first: int, last: int) -> Arrays:
        """All that is stored of some runs."""
        rows = self.design.rows(first, last)
        numbers = np.arange(first, last, dtype=np.uint64)
        least = lowest(self._limits, self._plan.grid.saved_times.tolist())
        computed = self._ensemble(rows, numbers, save=self.save, times=self.times, reduce=least)
        failed = failing(computed, self._plan.columns.places, self._limits)

        def diagnose(some: NDArray[np.intp]) -> Marks:
            again = self._ensemble(rows[some], numbers[some], save=self._everything.names)
            return diagnosed(self.model, again, self._everything.places)

        marks = marked(last - first, failed, diagnose)
        late = np.flatnonzero(failed & (marks.reason == 0))
        if len(late):
            marks.put(late, between_saved_times(self.model, computed.isel(run=late)))
        return {
            **{name: missing_as_nan(computed[name].to_numpy()) for name in self.save},
            DRAWS: np.ascontiguousarray(rows),
            **marks.arrays,
        }

    def check(self) -> None:
        """Raise what the first row would, before anything is begun.

        Raises
        ------
        CiparkError
        """
        rows = self.design.rows(0, 1)
        columns = {name: rows[:, i] for i, name in enumerate(self.design.names)}
        drawn(self.model, columns, self._plan.settings)
        taken = (DRAWS, REASON, VARIABLE, TIME, "run", "parameter", "failing")
        clash = [name for name in self.save if name in taken]
        if clash:
            expected = "one with another name: the store has an array of this name"
            raise InvalidValue("a variable to save", clash[0], expected, where=self.model.name)

    @property
    def identity(self) -> dict[str, str]:
        """All that the bits depend on, by what it is."""
        return {
            "the model": self.model.digest,
            "the design": self.design.identity,
            "the scenario": self.scenario.to_json(),
            "the engine": choose(self.engine).name,
            "the method": self._plan.integration,
            "the seed": str(self.seed),
            "the saved variables": ", ".join(self.save),
            "the saved times": ", ".join(f"{time!r}" for time in self.saved_times.tolist()),
            "the version of cipark or of its libraries": program(),
        }

    @property
    def saved_times(self) -> NDArray[np.float64]:
        """The times that are stored."""
        return self._plan.times

    @property
    def bytes_per_run(self) -> int:
        """Of what is stored: values, what was set, and why and when a run failed."""
        n_values = sum(len(self.model.elements(self.model.by_name[name])) for name in self.save) * len(self.saved_times)
        return 8 * (n_values + len(self.design.names)) + sum(array.itemsize for array in Marks.none(0).arrays.values())

    def result(self, first: int, computed: Arrays) -> "xr.Dataset":
        """What :meth:`compute` gave for the runs from ``first`` on, as a result with coordinates."""
        model, n = self.model, len(computed[REASON])
        values = {name: computed[name] for name in self.save}
        data, dimensions = described.arranged(model, self.saved_times, values, "run")
        data = {DRAWS: (("run", "parameter"), computed[DRAWS], {"long_name": "what was set"}), **data}
        coords: dict[str, Described] = {
            "run": (("run",), np.arange(first, first + n), {"long_name": "run"}),
            **dimensions,
            "parameter": (("parameter",), np.array(self.design.names), {}),
            "failing": (("failing",), np.array(labels(model)), {"long_name": "what may fail"}),
            REASON: (("run",), computed[REASON], {"long_name": f"0, or why the run failed: {_MEANINGS}"}),
            VARIABLE: (("run",), computed[VARIABLE], {"long_name": "the place in 'failing' of what failed, else -1"}),
            TIME: (("run",), computed[TIME], {"long_name": "when it failed", "units": model.time.units}),
        }
        attributes = described.run_attributes(
            model,
            engine=choose(self.engine).name,
            method=fixed_method(self._plan.integration),
            time_step=self._plan.resolved.time_step,
            scenario=self.scenario.to_json(),
            seed=self.seed,
            design=self.design.sentence,
        )
        return results.dataset(data, coords, attributes)

    def _ensemble(self, rows: NDArray[np.float64], numbers: NDArray[np.uint64], **saved: Any) -> Any:
        columns = {name: rows[:, i] for i, name in enumerate(self.design.names)}
        how: dict[str, Any] = {"method": self.method, "seed": self.seed, "workers": 1, "failures": "leave", **saved}
        return ensemble(self.model, columns, scenario=self.scenario, engine=self.engine, numbers=numbers, **how)

    @cached_property
    def _plan(self) -> RunPlan:
        return plan(self.model, self.scenario, save=self.save, times=self.times, method=self.method, seed=self.seed)

    @cached_property
    def _limits(self) -> dict[str, float]:
        return floors(self.model)

    @cached_property
    def _everything(self) -> Columns:
        return plan(self.model, self.scenario, save=None, times=None, method=self.method).columns


def chunk_size(n_runs: int, bytes_per_run: int) -> int:
    """Runs of a chunk: some 32 MiB, and a 64th of the runs at most; it depends on no machine.

    Parameters
    ----------
    n_runs : int
        Of the whole ensemble.
    bytes_per_run : int
        Of what is stored.

    Returns
    -------
    int
        A multiple of :data:`LEAST`.
    >>> chunk_size(1_000_000, 5000), chunk_size(1_000, 5000), chunk_size(10**9, 8)
    (6720, 256, 131072)
    """
    size = min(max(LEAST, CHUNK_BYTES // bytes_per_run), MOST, max(FEW, -(-n_runs // SHARES)))
    return -(-size // LEAST) * LEAST
