"""One run: ``simulate(model, scenario) -> xarray.Dataset``, or step by step with constants that change on the way.

The second is for games, filters, and models that are coupled. A change is a course of the constant, held from that time
on, or a stock's value at that time, and the run is made again from its beginning. So it has the bits of one run,
whatever delays and pipes the model has, and all that was set is one scenario. A step of Runge-Kutta's ends at the time
at which the next one begins: there a change of a constant begins in the middle of the next step, since nothing before
it is to move.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np
from numpy.typing import NDArray

from cipark_sd.base.errors import InvalidValue, UnknownName, UnusableInput, answered, brief_methods
from cipark_sd.base.naming import base_name, split_key
from cipark_sd.base.timegrid import saved_indices
from cipark_sd.data.described import Described, arranged, run_attributes
from cipark_sd.data.scenarios import Override, Scenario, TimeSeries
from cipark_sd.engines.base import fixed_method
from cipark_sd.engines.plan import Columns, accumulating, has_missing, missing_as_nan, plan, without_taken_in
from cipark_sd.engines.registry import choose
from cipark_sd.language.read.changes_files import ScenarioLike, as_scenario
from cipark_sd.language.read.model_file import as_model
from cipark_sd.model.expr import MISSING
from cipark_sd.model.model import Method, Model, causes
from cipark_sd.model.variables import Constant, Stock, kind
from cipark_sd.simulations.held import Span, scenario_of

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
    **span: Unpack[Span],
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
        scenario file (TOML, or Vensim's .cin or .out). A value may be a pandas.Series or a DataArray over time.
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
    span : float
        ``initial_time``, ``final_time``, ``time_step``, ``saveper`` in place of the scenario's.

    Returns
    -------
    xarray.Dataset
        See :mod:`cipark_sd.data.results`. The attribute ``first_non_finite`` is there only where a saved value is
        infinite or not a number.

    Raises
    ------
    UnknownName, InvalidValue, OffGrid, UnsupportedFeature, RunFailed, ModelFileError, Problems
    """
    model = as_model(model)
    chosen = scenario_of(model, scenario, **span)
    return course(model, chosen, save=save, times=times, engine=engine, method=method).dataset()


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
    """As :func:`simulate`, without the Dataset.

    Parameters
    ----------
    model, scenario, engine, save, times, method : as for :func:`simulate`
    """
    model = as_model(model)
    scenario = as_scenario(scenario, model)
    chosen = choose(engine)
    planned = plan(model, scenario, save=save, times=times, method=method)
    outputs = chosen.run(planned, planned.settings, np.zeros(1, dtype=np.uint64))
    if has_missing(model):
        names = accumulating(model)
        rows = [place for place, name in enumerate(planned.columns.flat) if base_name(name) in names]
        outputs = outputs.copy()
        outputs[rows] = without_taken_in(outputs[rows])
    values = {name: array[0] for name, array in planned.columns.arrays(outputs).items()}
    # a missing value is a number of the model, and no failure
    broken = "" if np.isfinite(outputs).all() else first_non_finite(planned.columns, planned.times, values)
    # one look at the whole: most models have none
    if (outputs == MISSING).any():
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

    Parameters
    ----------
    columns : of the run's outputs
    times : (n_times,)
    values : by canonical name, each (n_times, *sizes of the variable's dimensions)
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


@answered
def start(
    model: Model | Path | str,
    scenario: ScenarioLike = Scenario(),  # noqa: B008  (frozen, and neutral)
    *,
    engine: str = "native",
    method: Method | None = None,
    **span: Unpack[Span],
) -> "Running":
    """A run at its initial time.

    >>> from cipark_sd import start
    >>> run = start("core")
    >>> _ = run.to(2015)
    >>> run["Pass Fraction"] = 0.5
    >>> run.to(2019).sizes["time"] > 1
    True

    Parameters
    ----------
    model : Model or path
        What is run; a path, or the name of a model that comes with the package, is read first.
    scenario : what differs from the file, its times included; that of an earlier run, ``run.scenario``, goes on from it
    engine, method, span : as for :func:`cipark_sd.simulate`

    Returns
    -------
    Running
        At its initial time; :meth:`Running.to` and :meth:`Running.step` take it on.

    Raises
    ------
    UnknownName, InvalidValue, OffGrid, UnsupportedFeature, RunFailed, ModelFileError, Problems
    """
    model = as_model(model)
    return Running(model, scenario_of(model, scenario, **span), engine, method)


@brief_methods
class Running:
    """A run as far as it has come.

    Parameters
    ----------
    scenario : Scenario
        All that the run was given, changes on the way as courses of the constants.
    time : float
        As far as it has come.
    """

    def __init__(self, model: Model, scenario: Scenario, engine: str, method: Method | None) -> None:
        self.model, self.scenario = model, scenario
        self._engine, self._method = engine, method
        planned = plan(model, scenario, save=(), times=None, method=method)
        self._grid, self._euler = planned.grid, fixed_method(planned.integration) == "euler"
        self._place = 0

    @property
    def times(self) -> tuple[float, ...]:
        """The saved times from the beginning to the end of the run."""
        return tuple(self._grid.saved_times.tolist())

    @property
    def time(self) -> float:
        """The time to which the run has come."""
        return self.times[self._place]

    def to(self, time: float) -> "xr.Dataset":
        """Go on to a saved time; the run so far.

        Raises
        ------
        OffGrid
        InvalidValue
            For a time before the present one.
        """
        place = int(saved_indices(self._grid, [time], where=self.model.name)[0])
        if place < self._place:
            expected = f"{self.time:g} or later; start(model, run.scenario) begins again"
            raise InvalidValue("the time", time, expected, where=self.model.name)
        self._place = place
        return self.course()

    def step(self, periods: int = 1) -> "xr.Dataset":
        """Go on by some saved times; the run so far.

        Raises
        ------
        InvalidValue
            At the end of the run.
        """
        if not 0 < periods < len(self.times) - self._place:
            expected = f"1 to {len(self.times) - 1 - self._place}; Scenario('', {{…}}, final_time=…) sets another end"
            raise InvalidValue("the number of periods", periods, expected, where=self.model.name)
        return self.to(self.times[self._place + periods])

    def course(self, save: Sequence[str] | None = None) -> "xr.Dataset":
        """The run so far, as :func:`cipark_sd.simulate` gives it; ``save`` chooses variables."""
        times = self.times[: self._place + 1]
        return simulate(self.model, self.scenario, save=save, times=times, engine=self._engine, method=self._method)

    def __getitem__(self, name: str) -> "float | xr.DataArray":
        """The present value of a variable; of one with subscripts, an array."""
        base = self.model.key(base_name(self.model.protected(name)))
        if base not in self.model.by_name:
            raise UnknownName(name, self.model.names, where=self.model.name)
        course = self._set(name)
        if isinstance(course, TimeSeries) and course.times[-1] > self.time:
            return course.values[-1]
        now = simulate(
            self.model, self.scenario, save=[base], times=[self.time], engine=self._engine, method=self._method
        )
        present = now.cp[name].isel(time=0, drop=True)
        return present if present.dims else float(present)

    def __setitem__(self, name: str, value: float | Sequence[float]) -> None:
        """Set a constant from the present time on, or a stock now; at the initial time whatever a scenario can set.

        A stock goes on from there; what delays and smooths hold is kept as it is. A conveyor is not set.

        Raises
        ------
        UnknownName, InvalidValue, UnusableInput
        """
        if self._place == 0:
            # as one scenario that is given at the beginning
            scenario = self.scenario | scenario_of(self.model, {name: value})
        else:
            labels = self._elements(name)
            numbers = np.broadcast_to(np.asarray(value, dtype=float), (len(labels),)).tolist()
            courses = {label: self._changed(label, number) for label, number in zip(labels, numbers, strict=True)}
            scenario = self.scenario | Scenario("", courses)
        # it has to be one that can be run
        plan(self.model, scenario, save=(), times=None, method=None)
        self.scenario = scenario

    def __repr__(self) -> str:
        settings = ", ".join(self.scenario.overrides) or "nothing set"
        return f"<Running {self.model.name}: at {self.time:g}, until {self.times[-1]:g}; {settings}>"

    def _elements(self, name: str) -> tuple[str, ...]:
        """The labels of the elements of a constant or a stock that a name is for."""
        base, elements = split_key(self.model.key(name))
        variable = self.model.by_name.get(base)
        if variable is None:
            raise UnknownName(name, [constant.label for constant in self.model.constants], where=self.model.name)
        if not isinstance(variable, Constant | Stock):
            such = ", ".join(repr(constant.label) for constant in self.model.constants[:3])
            reason = (
                f"{variable.label!r} is {kind(variable)}; on the way constants and stocks can be set, such as {such}"
            )
            raise UnusableInput(reason, where=self.model.name)
        return (name,) if elements or not variable.dims else self.model.labels(variable)

    def _changed(self, label: str, number: float) -> TimeSeries:
        """The course of a constant that has this value from now on, or of a stock that is set to it now."""
        if not np.isfinite(number):
            raise InvalidValue(f"the value of {label!r}", number, "a finite number", where=self.model.name)
        old, stock = self._set(label), isinstance(self.model.by_name[base_name(self.model.key(label))], Stock)
        begin = self.time if self._euler or stock else self.time + self._grid.step / 2
        if isinstance(old, TimeSeries):
            earlier = [(time, value) for time, value in zip(old.times, old.values, strict=True) if time < begin]
        elif stock:
            earlier = [(self.times[0], old)] if isinstance(old, float) else []
        else:
            earlier = [(self.times[0], float(self[label]))]
        times, values = zip(*earlier, (begin, number), strict=True)
        return TimeSeries(times, values, "hold_backward")

    def _set(self, label: str) -> Override | None:
        return self.scenario.overrides.get(self.model.key(label))
