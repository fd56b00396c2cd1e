"""One run: ``simulate(model, scenario) -> xarray.Dataset``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cipark_sd.base.errors import answered
from cipark_sd.data.described import Described, arranged, run_attributes
from cipark_sd.data.scenarios import Scenario
from cipark_sd.engines.plan import Columns, missing_as_nan, plan
from cipark_sd.engines.registry import choose
from cipark_sd.language.read.changes_files import ScenarioLike, as_scenario
from cipark_sd.language.read.model_file import as_model
from cipark_sd.model.model import Method, Model, causes

if TYPE_CHECKING:
    import xarray as xr


@answered
def simulate(
    model: Model | Path | str,
    scenario: ScenarioLike = Scenario(),  # noqa: B008  (frozen, and neutral)
    *,
    save: Sequence[str] | None = None,
    times: Sequence[float] | None = None,
    engine: str = "native",
    method: Method | None = None,
) -> "xr.Dataset":
    """The course of a model under a scenario.

    >>> from cipark_sd import bundled, simulate
    >>> run = simulate(bundled("core.mdl"), {"Start Time": 2.0}, save=["Residents"])
    >>> run.cp["Residents"].dims
    ('time',)

    Parameters
    ----------
    model : Model or path
        A path is read first, see :func:`cipark_sd.read_model`.
    scenario : Scenario, mapping or path
        What differs from the file; a mapping of names to numbers is a scenario without a name, a path is that of a
        scenario file (TOML, or Vensim's .cin).
    save : sequence of str, optional
        Variables by any spelling of their names; without it everything that can change in the run, so all but lookups
        and constants that keep their value.
    times : sequence of float, optional
        Some of the saved times; without it all of them.
    engine : str
        ``"native"`` and ``"numpy"`` run the compiled program and give the same bits; ``"pysd"`` is the reference,
        an independent program.
    method : Method, optional
        Without it the file's own. An engine that does not have it says so; none falls back to another.

    Returns
    -------
    xarray.Dataset
        See :mod:`cipark_sd.data.results`. The attribute ``first_non_finite`` is there only where a saved value is
        infinite or not a number.

    Raises
    ------
    UnknownName, InvalidValue, OffGrid, UnsupportedFeature, RunFailed, ModelFileError, Problems
    """
    return course(model, scenario, save=save, times=times, engine=engine, method=method).dataset()


@dataclass(frozen=True, eq=False)
class Course:
    """One run as arrays, for those who need no Dataset of it.

    Parameters
    ----------
    times : (n_times,)
    values : by canonical name, each (n_times, *sizes of the variable's dimensions)
    first_non_finite : str
        Where the run first leaves the numbers; empty when it never does.
    ends_without_numbers : bool
        Whether something that left the numbers has not come back by the end.
    """

    model: Model
    scenario: Scenario
    times: NDArray[np.float64]
    values: Mapping[str, NDArray[np.float64]]
    engine: str
    method: str
    time_step: float
    first_non_finite: str
    ends_without_numbers: bool

    @property
    def content(self) -> tuple[dict[str, Described], dict[str, Described], Mapping[str, str | int | float]]:
        """The variables, coordinates and attributes that the run's Dataset and its files are made of."""
        extra = {"first_non_finite": self.first_non_finite} if self.first_non_finite else {}
        attributes = run_attributes(
            self.model,
            engine=self.engine,
            method=self.method,
            time_step=self.time_step,
            scenario=self.scenario.to_json(),
            **extra,
        )
        return (*arranged(self.model, self.times, self.values), attributes)

    def dataset(self) -> "xr.Dataset":
        """The run as :func:`simulate` gives it."""
        # xarray takes longer to come than most runs take to be made
        from cipark_sd.data import results

        return results.dataset(*self.content)


def course(
    model: Model | Path | str,
    scenario: ScenarioLike = Scenario(),  # noqa: B008  (frozen, and neutral)
    *,
    engine: str,
    save: Sequence[str] | None = None,
    times: Sequence[float] | None = None,
    method: Method | None = None,
) -> Course:
    """As :func:`simulate`, without the Dataset."""
    model = as_model(model)
    scenario = as_scenario(scenario, model)
    chosen = choose(engine)
    planned = plan(model, scenario, save=save, times=times, method=method)
    outputs = chosen.run(planned, planned.settings, np.zeros(1, dtype=np.uint64))
    values = {name: array[0] for name, array in planned.columns.arrays(outputs).items()}
    # a missing value is a number of the model, and no failure
    broken = "" if np.isfinite(outputs).all() else first_non_finite(planned.columns, planned.times, values)
    values = {name: missing_as_nan(array) for name, array in values.items()}
    return Course(
        model,
        scenario,
        planned.times,
        values,
        engine=chosen.name,
        method=planned.integration,
        time_step=planned.resolved.time_step,
        first_non_finite=broken,
        ends_without_numbers=not np.isfinite(outputs[:, -1]).all(),
    )


def first_non_finite(columns: Columns, times: NDArray[np.float64], values: Mapping[str, NDArray[np.float64]]) -> str:
    """Where a run first leaves the numbers, such as ``'Stock[A] is inf at time 3'``; empty when it never does.

    Of several at one time it is the first in whose equation none of the others stands. Elements that have no equation
    in the file are no numbers and do not count.
    """
    earliest: dict[str, tuple[int, str]] = {}
    for name, array in values.items():
        flat = array.reshape(len(times), -1)
        rows, positions = np.nonzero(~np.isfinite(flat) & (columns.places[name].reshape(-1) >= 0))
        if len(rows):
            variable = columns.model.by_name[name]
            label = columns.model.label(variable, columns.model.elements(variable)[positions[0]])
            earliest[name] = int(rows[0]), f"{label} is {flat[rows[0], positions[0]]:g} at time {times[rows[0]]:g}"
    first = min((row for row, _ in earliest.values()), default=None)
    marks = {name: mark for name, (row, mark) in earliest.items() if row == first}
    of_their_own = (
        name for name in marks if marks.keys().isdisjoint(causes(columns.model, columns.model.by_name[name]))
    )
    return marks[next(of_their_own, next(iter(marks)))] if marks else ""
