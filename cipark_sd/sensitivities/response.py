"""What is asked of a model: outputs over time as a function of scores, many points at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cipark_sd.arrays import Array
from cipark_sd.ensembles import ensemble
from cipark_sd.errors import InvalidValue, UnknownName
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Lookup
from cipark_sd.naming import canonical
from cipark_sd.scenarios import Scenario, override_key, resolve, split_key
from cipark_sd.sensitivities.factors import Factors, element_label

Rows = NDArray[np.uint64]
#: How often the step of a run that leaves its range is halved.
HALVINGS = 5


@dataclass(frozen=True)
class Output:
    """A course over time that is looked at.

    Parameters
    ----------
    label : str
    variable : str
        ``Name`` or ``Name[element]``.
    without : Scenario, optional
        Where given, the output is the effect: the variable less what it is under this scenario, with the same values
        of the uncertain constants.
    under : Scenario, optional
        The world in which the variable is looked at; without it the one in which nothing is changed.
    range : (float, float)
        In which the variable itself can lie. A run that leaves it, or has no finite value, is one in which the time
        step is too long for the drawn constants; it is computed again at half the step, up to :data:`HALVINGS` times,
        and counts as failed only if that does not help.
    """

    label: str
    variable: str
    without: Scenario | None = None
    range: tuple[float, float] = (-np.inf, np.inf)
    under: Scenario | None = None

    @property
    def worlds(self) -> tuple[Scenario | None, ...]:
        """All that have to be run for it."""
        return (self.under,) if self.without is None else (self.under, self.without)


class Response(Protocol):
    """A function of the unit cube, in two steps so that a cross design computes each coordinate's score once."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the factors."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Labels."""

    @property
    def units(self) -> tuple[str, ...]:
        """Of the outputs."""

    @property
    def times(self) -> Array:
        """``(n_times,)``."""

    @property
    def time_units(self) -> str:
        """Of the times."""

    @property
    def signature(self) -> str:
        """What decides the values; equal signatures may share runs."""

    def scores(self, shares: Array) -> Array:
        """Each coordinate for itself, ``(…, k)`` to ``(…, k)``."""

    def __call__(self, scores: Array, rows: Rows) -> Array:
        """``scores : (n, k)`` to ``(n, n_outputs, n_times)``; NaN where a run failed.

        ``rows : (n,)`` number the runs for a model's random functions: runs of one number draw the same.
        """


@dataclass(frozen=True, eq=False)
class ModelResponse:
    """Outputs of a model.

    Parameters
    ----------
    times : (n_times,)
        Saved times of the run.
    scenario : Scenario
        What all runs share.
    workers : int, optional
        Threads; they change no bit.
    drains : tuple of (str, str)
        A flow and the stock that it empties, with the same subscripts: where the flow takes more than the whole stock
        in one step, the step is too long for the drawn constants, and the run is computed again as for
        :attr:`Output.range`.
    """

    model: Model
    factors: Factors
    definitions: tuple[Output, ...]
    times: Array
    scenario: Scenario
    engine: str
    workers: int | None = None
    drains: tuple[tuple[str, str], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Of the factors."""
        return self.factors.names

    @property
    def outputs(self) -> tuple[str, ...]:
        """Labels."""
        return tuple(output.label for output in self.definitions)

    @property
    def units(self) -> tuple[str, ...]:
        """Of the outputs."""
        return tuple(self.model[split_key(override_key(output.variable))[0]].units for output in self.definitions)

    @property
    def time_units(self) -> str:
        """Of the times."""
        return self.model.time.units

    @cached_property
    def signature(self) -> str:
        """What decides the values: model, factors by their quantiles, outputs, times, scenario."""
        from cipark_sd.model.model import digest_of

        probes = self.factors.from_unit(np.linspace(0.05, 0.95, 7)[:, None].repeat(len(self.factors), axis=1))
        outputs = [(o.label, o.variable, *map(_key, (o.under, o.without)), o.range) for o in self.definitions]
        texts = [self.model.digest, repr(self.names), repr(self.drains), repr(outputs), self.scenario.to_json()]
        return digest_of(*(text.encode() for text in texts), probes.tobytes(), self.times.tobytes())

    @property
    def n_scenarios(self) -> int:
        """How many runs one point of a design costs."""
        return len(self._worlds)

    @cached_property
    def _worlds(self) -> dict[str, Scenario | None]:
        """By a key, each world that an output is looked at in or an effect is measured against, once."""
        return {_key(world): world for output in self.definitions for world in output.worlds}

    def scores(self, shares: Array) -> Array:
        """Each coordinate for itself, ``(…, k)`` to ``(…, k)``."""
        return self.factors.scores(shares)

    def __call__(self, scores: Array, rows: Rows) -> Array:
        """``scores : (n, k)`` to ``(n, n_outputs, n_times)``."""
        values = self.factors.values(scores)
        result, wrong = self._outputs(values, rows, 0)
        failed = np.flatnonzero(wrong.any(axis=1))
        for halvings in range(1, HALVINGS + 1):
            if not len(failed):
                break
            # what was right keeps its step: another output that fails must not move it
            before = wrong[failed]
            again, after = self._outputs(values[failed], rows[failed], halvings)
            result[failed] = np.where(before[:, :, None], again, result[failed])
            wrong[failed] = before & after
            failed = failed[wrong[failed].any(axis=1)]
        result[wrong] = np.nan
        return result

    def _outputs(self, values: Array, rows: Rows, halvings: int) -> tuple[Array, NDArray[np.bool_]]:
        """Outputs with the step halved so often, and which of them it is too long for in some world ``(n, n_outputs)``.

        All worlds of a draw have the same step, so that its error is in no difference between them.
        """
        draws = dict(zip(self.names, np.ascontiguousarray(values.T), strict=True))
        worlds = {key: self._run(key, draws, rows, halvings) for key in self._worlds}
        result = np.stack(
            [
                worlds[_key(output.under)][0][output.variable]
                - (worlds[_key(output.without)][0][output.variable] if output.without else 0.0)
                for output in self.definitions
            ],
            axis=1,
        )
        drained = np.any([drained for _, drained in worlds.values()], axis=0)
        wrong = [
            drained | _outside(output, {key: worlds[key][0] for key in map(_key, output.worlds)})
            for output in self.definitions
        ]
        return result, np.stack(wrong, axis=1)

    def _run(
        self, key: str, draws: dict[str, Array], rows: Rows, halvings: int
    ) -> tuple[dict[str, Array], NDArray[np.bool_]]:
        """Courses by variable ``(n, n_times)`` in one world, and which runs drain more than there is ``(n,)``."""
        world, scenario = self._worlds[key], self.scenario
        outputs = [output for output in self.definitions if key in map(_key, output.worlds)]
        if world is not None:
            scenario = scenario | world
            # the world without wins over an uncertain constant that it sets
            ruled = {override_key(name) for name in world.overrides}
            draws = {name: column for name, column in draws.items() if override_key(name) not in ruled}
        step = resolve(self.model, scenario).time_step / 2**halvings
        if halvings:
            scenario = scenario | Scenario("", time_step=step)
        return self._courses(outputs, draws, rows, scenario, step)

    def _courses(
        self, outputs: Sequence[Output], draws: dict[str, Array], rows: Rows, scenario: Scenario, step: float
    ) -> tuple[dict[str, Array], NDArray[np.bool_]]:
        """Courses by variable ``(n, n_times)``, and which runs drain more than there is ``(n,)``."""
        keys = {output.variable: split_key(override_key(output.variable)) for output in outputs}
        result = ensemble(
            self.model,
            draws,
            save=list(dict.fromkeys([*(base for base, _ in keys.values()), *(n for d in self.drains for n in d)])),
            times=self.times.tolist(),
            scenario=scenario,
            engine=self.engine,
            numbers=rows,
            workers=self.workers,
            failures="leave",
        )
        courses = {}
        for variable, (base, elements) in keys.items():
            array = result[base].to_numpy()
            dims = self.model[base].dims
            index = tuple(
                self.model.dimension_by_name[dim].elements.index(element)
                for dim, element in zip(dims, elements, strict=True)
            )
            courses[variable] = array.reshape(*array.shape[:2], -1)[:, :, _place(array.shape[2:], index)].copy()
        wrong = np.zeros(len(rows), dtype=bool)
        for flow, stock in self.drains:
            # as few copies as can be: for many runs these are the largest arrays, and the outputs have theirs already
            taken, there = result[canonical(flow)].to_numpy() * step, result[canonical(stock)].to_numpy()
            np.abs(taken, out=taken)
            np.abs(there, out=there)
            wrong |= (taken > there).reshape(len(rows), -1).any(axis=1)
        return courses, wrong


def coordinates(response: Response) -> dict[str, Any]:
    """Of a Dataset over factors, outputs and times, with the units of the outputs and of time."""
    return {
        "parameter": list(response.names),
        "output": list(response.outputs),
        "units": (("output",), list(response.units)),
        "time": (("time",), response.times, {"units": response.time_units}),
    }


def _outside(output: Output, worlds: dict[str, dict[str, Array]]) -> NDArray[np.bool_]:
    """``(n,)``: whether an output's variable leaves its range, or has no finite value, in one of its worlds."""
    low, high = output.range
    courses = [world[output.variable] for world in worlds.values()]
    inside = [((course >= low) & (course <= high) & np.isfinite(course)).all(axis=1) for course in courses]
    return np.asarray(~np.all(inside, axis=0))


def _place(shape: tuple[int, ...], index: tuple[int, ...]) -> int:
    return int(np.ravel_multi_index(index, shape)) if shape else 0


def _key(world: Scenario | None) -> str:
    return "" if world is None else world.to_json()


def model_response(
    model: Model,
    factors: Factors,
    outputs: Sequence[Output],
    *,
    times: Sequence[float] | None = None,
    scenario: Scenario = Scenario(),  # noqa: B008  (frozen, and neutral)
    engine: str = "native",
    workers: int | None = None,
    drains: Sequence[tuple[str, str]] = (),
) -> ModelResponse:
    """The checked response of a model; without ``times`` all saved ones.

    Raises
    ------
    UnknownName, InvalidValue, OffGrid, Problems
    """
    from cipark_sd.engines.plan import checked, grid_of
    from cipark_sd.errors import CiparkError, raise_all
    from cipark_sd.sensitivities.factors import check_factors

    check_factors(factors, where=model.name)
    problems: list[CiparkError] = []
    problems += [
        UnknownName(name, [v.label for v in model.variables], where=model.name)
        for drain in drains
        for name in drain
        if name not in model
    ]
    problems += [p for output in outputs if (p := output_problem(model, output)) is not None]
    if not outputs:
        problems.append(InvalidValue("the outputs", "none", "at least one", where=model.name))
    raise_all(model.name, problems)
    if times is None:
        times = grid_of(model, checked(model, scenario)).saved_times.tolist()
    response = ModelResponse(model, factors, tuple(outputs), np.array(times), scenario, engine, workers, tuple(drains))
    # one run finds names and times that the model does not have before thousands are planned
    response(response.scores(np.full((1, len(factors)), 0.5)), np.zeros(1, dtype=np.uint64))
    return response


def output_problem(model: Model, output: Output) -> InvalidValue | UnknownName | None:
    """What is wrong with an output's variable, if anything."""
    base, elements = split_key(override_key(output.variable))
    variable = model.by_name.get(base)
    if variable is None:
        return UnknownName(output.variable, [v.label for v in model.variables], where=model.name)
    if isinstance(variable, Lookup):
        return InvalidValue("an output", output.variable, "a variable with a course over time", where=model.name)
    if elements not in model.elements(variable):
        known = [element_label(model, variable, element) for element in model.elements(variable)]
        expected = f"one element of it, such as {known[0]}" if variable.dims else "no element"
        return InvalidValue("an output", output.variable, expected, where=model.name)
    return None
