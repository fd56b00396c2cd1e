"""A run that goes on step by step, in which constants change on the way: for games, and for models that are coupled.

A change is a course of the constant, held from that time on, and the run is made again from its beginning. So it has
the bits of one run, whatever delays and pipes the model has, and all that was set is one scenario. A step of
Runge-Kutta's ends at the time at which the next one begins: there a change begins in the middle of the next step, since
nothing before it is to move.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cipark_sd.base.errors import InvalidValue, UnknownName, UnusableInput, answered
from cipark_sd.base.naming import base_name, split_key
from cipark_sd.base.timegrid import saved_indices
from cipark_sd.data.scenarios import Scenario, TimeSeries
from cipark_sd.engines.base import fixed_method
from cipark_sd.engines.plan import plan
from cipark_sd.language.read.changes_files import ScenarioLike, as_scenario
from cipark_sd.language.read.model_file import as_model
from cipark_sd.model.model import Method, Model
from cipark_sd.model.variables import Constant, Stock, kind
from cipark_sd.simulations.simulation import simulate

if TYPE_CHECKING:
    import xarray as xr


@answered
def start(
    model: Model | Path | str,
    scenario: ScenarioLike = Scenario(),  # noqa: B008  (frozen, and neutral)
    *,
    engine: str = "native",
    method: Method | None = None,
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
    scenario : Scenario, mapping or path
        What differs from the file, its times included. That of an earlier run, ``run.scenario``, goes on from it.
    engine, method :
        As for :func:`cipark_sd.simulate`.

    Raises
    ------
    UnknownName, InvalidValue, OffGrid, UnsupportedFeature, RunFailed, ModelFileError, Problems
    """
    model = as_model(model)
    return Running(model, as_scenario(scenario, model), engine, method)


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
            raise UnknownName(name, [variable.label for variable in self.model], where=self.model.name)
        course = self._course_of(name)
        if course is not None and course.times[-1] > self.time:
            return course.values[-1]
        now = simulate(
            self.model, self.scenario, save=[base], times=[self.time], engine=self._engine, method=self._method
        )
        present = now.cp[name].isel(time=0, drop=True)
        return present if present.dims else float(present)

    def __setitem__(self, name: str, value: float | Sequence[float]) -> None:
        """Set a constant from the present time on; at the initial time whatever a scenario can set.

        Raises
        ------
        UnknownName, InvalidValue, UnusableInput
        """
        if self._place == 0:
            # as one scenario that is given at the beginning; it has to be one that can be run
            scenario = self.scenario | Scenario("", {name: value})  # type: ignore[dict-item]
            plan(self.model, scenario, save=(), times=None, method=None)
            self.scenario = scenario
            return
        labels, numbers = self._elements(name, value)
        self.scenario = self.scenario | Scenario(
            "", {label: self._changed(label, number) for label, number in zip(labels, numbers, strict=True)}
        )

    def __repr__(self) -> str:
        settings = ", ".join(self.scenario.overrides) or "nothing set"
        return f"<Running {self.model.name}: at {self.time:g}, until {self.times[-1]:g}; {settings}>"

    def _elements(self, name: str, value: float | Sequence[float]) -> tuple[list[str], list[float]]:
        """The labels that are set, and a number for each."""
        key = self.model.key(name)
        base, elements = split_key(key)
        variable = self.model.by_name.get(base)
        if variable is None:
            raise UnknownName(name, [constant.label for constant in self.model.constants], where=self.model.name)
        if not isinstance(variable, Constant):
            role = (
                "a state of the run, which follows from what came before"
                if isinstance(variable, Stock)
                else kind(variable)
            )
            reason = f"{variable.label!r} is {role}; on the way constants can be set, such as {self._constants()}"
            raise UnusableInput(reason, where=self.model.name)
        labels = [name] if elements or not variable.dims else list(self.model.labels(variable))
        numbers = np.broadcast_to(np.asarray(value, dtype=float), (len(labels),)).tolist()
        return labels, numbers

    def _changed(self, label: str, number: float) -> TimeSeries:
        """The course of a constant that has this value from now on."""
        if not np.isfinite(number):
            raise InvalidValue(f"the value of {label!r}", number, "a finite number", where=self.model.name)
        course, begin = self._course_of(label), self.time if self._euler else self.time + self._grid.step / 2
        if course is not None:
            earlier = [(time, old) for time, old in zip(course.times, course.values, strict=True) if time < begin]
        else:
            earlier = [(self.times[0], float(self[label]))]
        times, values = zip(*earlier, (begin, number), strict=True)
        return TimeSeries(times, values, "hold_backward")

    def _course_of(self, label: str) -> TimeSeries | None:
        course = self.scenario.overrides.get(self.model.key(label))
        return course if isinstance(course, TimeSeries) else None

    def _constants(self) -> str:
        return ", ".join(repr(constant.label) for constant in self.model.constants[:3])
