"""What is computed of a model for each draw: outputs over time, with what is known of the runs that fail."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cipark_sd.analysis.experiments.definition import METRICS
from cipark_sd.analysis.sensitivities.factors import Factors
from cipark_sd.analysis.sensitivities.ranking import Moment
from cipark_sd.base.arrays import Array
from cipark_sd.base.checkpoints import Arrays
from cipark_sd.base.naming import base_name, override_key, split_key
from cipark_sd.data.scenarios import Scenario, resolve
from cipark_sd.engines.plan import Columns, checked, grid_of, missing_as_nan, plan
from cipark_sd.execution.shared import MadeOnce
from cipark_sd.model.model import Model
from cipark_sd.simulations.ensembles import ensemble
from cipark_sd.simulations.failures import (
    OUTSIDE,
    Marks,
    diagnosed,
    failing,
    first_places,
    floors,
    lowest,
    marked,
)

if TYPE_CHECKING:
    import xarray as xr

Rows = NDArray[np.uint64]
#: How often the step of a run that leaves its range is halved.
HALVINGS = 5


@dataclass(frozen=True)
class Output:
    """A course over time that is looked at.

    Parameters
    ----------
    variable : str
        ``Name`` or ``Name[element]``.
    without : Scenario, optional
        Where given, the output is the effect: the variable less what it is under this scenario, with the same values
        of the uncertain constants.
    range : (float, float)
        In which the variable itself can lie. A run that leaves it, or has no finite value, is one in which the time
        step is too long for the drawn constants; it is computed again at half the step, up to :data:`HALVINGS` times,
        and counts as failed only if that does not help.
    metric : str
        What is read of the course up to each saved time, by its name in
        :data:`cipark_sd.analysis.experiments.definition.METRICS`; empty for its value.
    """

    label: str
    variable: str
    without: Scenario | None = None
    range: tuple[float, float] = (-np.inf, np.inf)
    metric: str = ""

    @property
    def worlds(self) -> tuple[Scenario | None, ...]:
        """All that have to be run for it."""
        return (None,) if self.without is None else (None, self.without)

    def units(self, model: Model) -> str:
        """As the model's file writes them: of an instant those of time."""
        return (
            model.time.units if self.metric and METRICS[self.metric].is_time else model[base_name(self.variable)].units
        )

    def of(self, times: Array, course: Array) -> Array:
        """What is looked at of a course of the variable, each ``(n, n_times)``."""
        if not self.metric:
            return course
        read = METRICS[self.metric].of
        return np.stack([read(times[: end + 1], course[:, : end + 1]) for end in range(len(times))], axis=1)


@dataclass(frozen=True, eq=False)
class Evaluation(MadeOnce):
    """Outputs of a model as a function of values of its constants; a value that another process can be sent.

    Parameters
    ----------
    names : tuple of str
        The constants, in order.
    times : (n_times,)
        Saved times of the run.
    scenario : Scenario
        What all runs share.
    workers : int, optional
        Threads; they change no bit.
    """

    model: Model
    names: tuple[str, ...]
    definitions: tuple[Output, ...]
    times: Array
    scenario: Scenario
    engine: str
    workers: int | None = None

    @property
    def n_worlds(self) -> int:
        """How many runs one draw costs."""
        return len(self._worlds)

    @cached_property
    def _worlds(self) -> dict[str, Scenario | None]:
        """By a key, each world that an output is looked at in or an effect is measured against, once."""
        return {world_key(world): world for output in self.definitions for world in output.worlds}

    @cached_property
    def _limits(self) -> dict[str, float]:
        return floors(self.model)

    def __call__(self, values: Array, rows: Rows) -> Arrays:
        """``values : (n, k)`` to ``values`` (n, n_outputs, n_times), NaN where a run failed, and marks of the runs.

        A run in which an output leaves its range, or a stock falls below the lower limit of the file is computed
        again with a step halved up to :data:`HALVINGS` times, and fails if none helps.
        """
        result, wrong = self._outputs(values, rows, 0)
        for halvings in range(1, HALVINGS + 1):
            failed = np.flatnonzero(wrong.any(axis=1))
            if not len(failed):
                break
            # what was right keeps its step: another output that fails must not move it
            before = wrong[failed]
            again, after = self._outputs(values[failed], rows[failed], halvings)
            result[failed] = np.where(before[:, :, None], again, result[failed])
            wrong[failed] = before & after
        result[wrong] = np.nan
        bad = np.asarray(wrong.any(axis=1))
        marks = marked(len(rows), bad, lambda some: self._diagnosed(values[some], rows[some]))
        return {"values": result, **marks.arrays}

    def _outputs(self, values: Array, rows: Rows, halvings: int) -> tuple[Array, NDArray[np.bool_]]:
        """Outputs with the step halved so often, and which of them it is too long for in some world ``(n, n_outputs)``.

        All worlds of a draw have the same step, so that its error is in no difference between them.
        """
        courses: dict[str, dict[str, Array]] = {}
        wrong = np.zeros((len(rows), len(self.definitions)), dtype=bool)
        for key in self._worlds:
            courses[key], impossible = self._courses(key, values, rows, halvings)
            wrong |= impossible[:, None]
        result = []
        for place, output in enumerate(self.definitions):
            of_worlds = [courses[world_key(world)][output.variable] for world in output.worlds]
            looked_at = [output.of(self.times, course) for course in of_worlds]
            result.append(looked_at[0] - (looked_at[1] if output.without else 0.0))
            low, high = output.range
            for course in of_worlds:
                wrong[:, place] |= ~((course >= low) & (course <= high) & np.isfinite(course)).all(axis=1)
        return np.stack(result, axis=1), wrong

    def _within(self, key: str, values: Array, halvings: int) -> tuple[dict[str, Array], Scenario]:
        """What is drawn and what is set in one world."""
        world, scenario = self._worlds[key], self.scenario
        draws = dict(zip(self.names, np.ascontiguousarray(values.T), strict=True))
        if world is not None:
            scenario = scenario | world
            # the world without wins over an uncertain constant that it sets
            ruled = {override_key(name) for name in world.overrides}
            draws = {name: column for name, column in draws.items() if override_key(name) not in ruled}
        if halvings:
            step = resolve(self.model, scenario).time_step / 2**halvings
            scenario = scenario | Scenario("", time_step=step)
        return draws, scenario

    def _courses(
        self, key: str, values: Array, rows: Rows, halvings: int
    ) -> tuple[dict[str, Array], NDArray[np.bool_]]:
        """Courses by variable ``(n, n_times)`` in one world, and which runs cannot be, whatever the output ``(n,)``."""
        draws, scenario = self._within(key, values, halvings)
        variables = [output.variable for output in self.definitions if key in map(world_key, output.worlds)]
        save = list(dict.fromkeys(base_name(variable) for variable in variables))
        limits = self._limits
        least = lowest(limits, grid_of(self.model, checked(self.model, scenario)).saved_times.tolist())
        result = self._ensemble(draws, rows, scenario, save=save, times=self.times.tolist(), reduce=least)
        courses = {variable: self._course(result, variable).copy() for variable in variables}
        return courses, failing(result, {}, limits)

    def _ensemble(self, draws: dict[str, Array], rows: Rows, scenario: Scenario, **saved: Any) -> "xr.Dataset":
        how: dict[str, Any] = {"numbers": rows, "workers": self.workers, "failures": "leave", **saved}
        return ensemble(self.model, draws, scenario=scenario, engine=self.engine, **how)

    def _course(self, result: "xr.Dataset", variable: str) -> Array:
        """One element over time ``(n, n_times)``."""
        base, elements = split_key(variable)
        array = result[base].to_numpy()
        place = self.model.elements(self.model[base]).index(elements)
        return missing_as_nan(np.asarray(array.reshape(*array.shape[:2], -1)[:, :, place]))

    @cached_property
    def _everything(self) -> Columns:
        moving = plan(self.model, self.scenario, save=None, times=None, method=None).columns.names
        # an output may be a constant
        bases = [base_name(output.variable) for output in self.definitions]
        return Columns.of(self.model, tuple(dict.fromkeys([*moving, *bases])))

    def _diagnosed(self, values: Array, rows: Rows) -> Marks:
        """The first bad value of each run that failed, in the first world that has one, with the model's own step."""
        marks, every = Marks.none(len(rows)), np.arange(len(rows))
        for key in self._worlds:
            draws, scenario = self._within(key, values, 0)
            result = self._ensemble(draws, rows, scenario, save=self._everything.names, times=None)
            marks.put(every, diagnosed(self.model, result, self._everything.places))
            marks.put(every, self._impossible(result, key))
        return marks

    def _impossible(self, result: "xr.Dataset", key: str) -> Marks:
        """Where an output first leaves its range."""
        marks, start, times = Marks.none(result.sizes["run"]), first_places(self.model), result["time"].to_numpy()
        earliest = np.full(len(marks.reason), len(times))
        for output in self.definitions:
            base, elements = split_key(output.variable)
            if key not in map(world_key, output.worlds) or base not in result:
                continue
            course = self._course(result, output.variable)
            bad = ~((course >= output.range[0]) & (course <= output.range[1]))
            at = np.where(bad.any(axis=1), bad.argmax(axis=1), len(times))
            sooner = at < earliest
            marks.reason[sooner] = OUTSIDE
            marks.variable[sooner] = start[base] + self.model.elements(self.model[base]).index(elements)
            marks.time[sooner], earliest[sooner] = times[at[sooner]], at[sooner]
        return marks


def world_key(world: Scenario | None) -> str:
    """By which a world is known."""
    return "" if world is None else world.to_json()


@dataclass(frozen=True)
class Question:
    """What is uncertain and what is asked.

    Parameters
    ----------
    every : float, optional
        Time between the instants at which indices are computed; None where the study says none.
    is_asked : bool
        Whether the first output at the first moment is what somebody has asked about.
    asides : mapping of str to str
        By override key of a variable what tells its numbers from what was reported.
    """

    title: str
    model: Model
    factors: Factors
    outputs: tuple[Output, ...]
    moments: tuple[Moment, ...]
    scenario: Scenario
    every: float | None = None
    is_asked: bool = False
    asides: Mapping[str, str] = field(default_factory=dict)
