"""The seam between fitting and simulating: a batch of parameter vectors in, outputs at the needed steps out.

Everything above this module sees a :class:`ForwardModel` only, and the study's predictions as functions of its
parameters: the model run forward and read at the reported time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from calibration.likelihood.observation_operator import INTEGRAL, reader
from calibration.study.observations import Prediction, Quantity, ReadQuantity, is_window
from calibration.study.problem import CalibrationProblem
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import InvalidValue, RunFailed
from cipark_sd.base.naming import base_name, override_key, split_key
from cipark_sd.data.scenarios import Scenario, resolve
from cipark_sd.engines.registry import Engine
from cipark_sd.model.expr import Const, Ref
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Stock, StockPiece

if TYPE_CHECKING:
    from cipark_sd.engines.base import Settings, Weigh
    from cipark_sd.engines.compiled import Repeated
    from cipark_sd.engines.plan import RunPlan

#: What is nothing of a thing that is counted: a stock that starts at zero may have the trace of a flow.
NOTHING = 1e-6
#: How many models with added stocks are remembered: programs are, by the identity of their model.
REMEMBERED = 64
#: Models with added stocks, and what they were made from.
_EXTENDED: dict[tuple[int, tuple[str, ...]], tuple[Model, Model]] = {}


def with_integrals(model: Model, flows: tuple[str, ...]) -> Model:
    """The model with a stock for each flow ``Name`` or ``Name[element]``, which it fills from zero; made once."""
    if not flows:
        return model
    key = (id(model), flows)
    if key not in _EXTENDED:
        added = tuple(
            Stock(
                name=_integral_name(flow),
                label=f"integral of {flow}",
                pieces=(StockPiece(Ref(*split_key(flow)), Const(0.0)),),
            )
            for flow in flows
        )
        _EXTENDED[key] = model, replace(model, variables=(*model.variables, *added))
        if len(_EXTENDED) > REMEMBERED:
            del _EXTENDED[next(iter(_EXTENDED))]
    return _EXTENDED[key][1]


def _integral_name(flow: str) -> str:
    """The stock's name: names of a file have no blanks."""
    return f"integral of {override_key(flow)}"


def _finite_or_none(values: Array) -> Array:
    """The values, NaN where one is infinite."""
    finite = np.isfinite(values)
    return values if finite.all() else np.where(finite, values, np.nan)


@dataclass(frozen=True, eq=False)
class ForwardModel:
    """The model of a problem on an engine, run once for each row of parameters.

    A run that fails (overflow, a division by zero, values that are not finite) gives NaN in its rows and leaves its
    neighbours alone.

    Parameters
    ----------
    outputs : tuple of str
        ``Name`` or ``Name[element]``, or an integral of such a flow.
    times : (n_times,)
        Steps of the run, ascending.
    """

    problem: CalibrationProblem
    outputs: tuple[str, ...]
    times: Array
    engine: Engine

    @cached_property
    def _fixed(self) -> "tuple[RunPlan, Settings]":
        """What is the same for all rows."""
        from cipark_sd.engines.plan import plan

        flows = tuple(name.removeprefix(INTEGRAL) for name in self.outputs if name.startswith(INTEGRAL))
        model = with_integrals(self.problem.model, flows)
        scenario = self.problem.scenario
        every_step = scenario | Scenario("", saveper=resolve(model, scenario).time_step)
        whole = plan(model, every_step, save=(), times=self.times.tolist(), method=None)
        flat = tuple(
            _integral_name(name.removeprefix(INTEGRAL)) if name.startswith(INTEGRAL) else override_key(name)
            for name in self.outputs
        )
        # a parameter's value takes the place of what the scenario gives it over time
        series = {name: values for name, values in whole.settings.series.items() if name not in self._parameters}
        return replace(whole.to_the_last_time(), outputs=flat), replace(whole.settings, series=series)

    @cached_property
    def _parameters(self) -> dict[str, bool]:
        """Flat names of the model's parameters, in order, and whether they start a stock."""
        by_name, names = self.problem.model.by_name, self.problem.space.of_model
        return {override_key(name): isinstance(by_name[base_name(name)], Stock) for name in names}

    def __call__(self, values: Array) -> Array:
        """``values : (n, n_model_parameters)`` to outputs ``(n, n_outputs, n_times)``."""
        from cipark_sd.engines.base import with_numbers

        plan, fixed = self._fixed
        settings = with_numbers(fixed, self._parameters, values)
        runs = np.arange(len(values), dtype=np.uint64)
        compute = self.engine.run if self.engine.compiled else self._one_by_one
        result = compute(plan, settings, runs)
        return _finite_or_none(result).transpose(2, 0, 1)

    def at(self, values: Array, places: NDArray[np.intp]) -> Array:
        """Some outputs ``(n_places, n)``: places count those of the first time, then of the second, and so on.

        The last batch is remembered, read-only: bands, scores and checks of draws ask for the same runs in turn.
        """
        latest = self._latest.get("at")
        if latest is not None and latest[1] is places and np.array_equal(latest[0], values):
            return latest[2]
        if self._repeated is None:
            outputs = self(values)[:, places % len(self.outputs), places // len(self.outputs)].T
        else:
            outputs = _finite_or_none(self._repeated.at(values, places))
        outputs.flags.writeable = False
        self._latest["at"] = np.array(values), places, outputs
        return outputs

    @cached_property
    def _latest(self) -> dict[str, tuple[Array, NDArray[np.intp], Array]]:
        """The last parameters, places and outputs of :meth:`at`."""
        return {}

    @property
    def n_operations(self) -> int | None:
        """Operations of one run, all steps together; None for an engine that runs no programs."""
        return None if self._repeated is None else self._repeated.n_operations

    @cached_property
    def _repeated(self) -> "Repeated | None":
        """For engines that run programs."""
        from cipark_sd.engines.compiled import CompiledEngine, Repeated

        if not isinstance(self.engine, CompiledEngine):
            return None
        return Repeated(self.engine, *self._fixed, self._parameters)

    def back(self, values: Array, places: NDArray[np.intp], weigh: "Weigh") -> Array:
        """The derivatives ``(n, n_model_parameters)`` of the sum of outputs times what ``weigh`` makes of them.

        ``places`` of the outputs are as of :meth:`at`.

        Raises
        ------
        UnsupportedFeature, InvalidValue
            Where the model or the engine has none.
        """
        if self._repeated is None:
            expected = "one that has derivatives"
            raise InvalidValue("the engine", self.engine.name, expected, where=self.problem.model.name)
        return np.asarray(self._repeated.back(values, places, weigh).T)

    def _one_by_one(self, plan: "RunPlan", settings: "Settings", runs: NDArray[np.uint64]) -> Array:
        """The outputs ``(n_outputs, n_times, n)`` of an engine that stops at a value that it does not have."""
        from cipark_sd.engines.base import part

        result = np.full((len(plan.outputs), int(plan.saved.sum()), len(runs)), np.nan)
        for row in range(len(runs)):
            place = slice(row, row + 1)
            self._fill(plan, part(settings, place), runs[place], range(len(plan.outputs)), result[:, :, place])
        return result

    def _fill(
        self, plan: "RunPlan", settings: "Settings", run: NDArray[np.uint64], outputs: Sequence[int], result: Array
    ) -> None:
        """Outputs of one run; where it fails, those alone that can be had without the others."""
        try:
            reduced = replace(plan, outputs=tuple(plan.outputs[place] for place in outputs))
            result[list(outputs)] = self.engine.run(reduced, settings, run)
        except RunFailed:
            # an equation that has no value keeps PySD from what asks for it, and from nothing else
            if len(outputs) > 1:
                for place in outputs:
                    self._fill(plan, settings, run, (place,), result)


def reported(problem: CalibrationProblem, prediction: Prediction, engine: Engine) -> Callable[[Array], Array]:
    """The function of a prediction, its model run on an engine.

    Returns
    -------
    function
        From parameters ``(n, k)`` to ``(n,)``, NaN where a run fails.
    """
    of_one = _together(problem, (prediction,), engine)
    return lambda theta: of_one(theta)[:, 0]


def all_reported(problem: CalibrationProblem, predictions: Sequence[Prediction], engine: Engine, theta: Array) -> Array:
    """Predictions at some parameters; those of one scenario share their runs.

    Parameters
    ----------
    theta : (n, k)

    Returns
    -------
    (n, n_predictions)
        NaN where a run fails.
    """
    values = np.empty((len(theta), len(predictions)))
    by_runs: dict[object, list[int]] = {}
    for i, prediction in enumerate(predictions):
        key = prediction.scenario, prediction.against, _end(problem, prediction)
        by_runs.setdefault(key, []).append(i)
    for places in by_runs.values():
        values[:, places] = _together(problem, [predictions[i] for i in places], engine)(theta)
    return values


def from_nothing(problem: CalibrationProblem, engine: Engine, theta: Array) -> frozenset[str]:
    """Observations of increments in windows of which the model has nothing when the first window begins.

    Their running sum is a level then (:func:`calibration.study.observations.dated_levels`).

    Parameters
    ----------
    theta : (k,)

    Returns
    -------
    frozenset of str
        Their names.
    """
    first = {o.name: o.terms[0] for o in problem.observations if o.kind == "increments" and is_window(o.terms[0])}
    starts = [Prediction(name, term.quantities[0].parts, term.quantities[0].start) for name, term in first.items()]
    values = all_reported(problem, starts, engine, theta[None, :])[0]
    return frozenset(start.name for start, value in zip(starts, values, strict=True) if abs(value) < NOTHING)


def _end(problem: CalibrationProblem, prediction: Prediction) -> float:
    """When a run ends that reaches the time of a prediction."""
    numbers = resolve(problem.model, problem.scenario)
    return max(numbers.final_time, prediction.time + numbers.time_step)


def _together(
    problem: CalibrationProblem, predictions: Sequence[Prediction], engine: Engine
) -> Callable[[Array], Array]:
    """Predictions that differ in what is read alone, from ``(n, k)`` to ``(n, n_predictions)``; NaN where a run fails.

    Those that are differences take two runs.
    """
    space, first = problem.space, predictions[0]
    final, left_rule = _end(problem, first), problem.model.time.method == "euler"
    read = reader(list(map(_quantity, predictions)), problem.steps(final), left_rule=left_rule)

    def run(scenario: Scenario) -> ForwardModel:
        longer = replace(problem, scenario=problem.scenario | scenario | Scenario("", final_time=final))
        return ForwardModel(longer, read.outputs, read.times, engine)

    runs = [(run(first.scenario), 1.0)] + ([(run(first.against), -1.0)] if first.against is not None else [])
    readings = [prediction.reading for prediction in predictions if prediction.reading is not None]
    names = [name for reading in readings for name in reading.parameters]

    def at(theta: Array) -> Array:
        numbers, values = {name: theta[:, space.names.index(name)] for name in names}, theta[:, space.is_model]
        outputs = ((sign, runner.at(values, read.places)) for runner, sign in runs)
        return np.asarray(sum(sign * read.of_places(output, numbers) for sign, output in outputs))

    return at


def _quantity(prediction: Prediction) -> Quantity:
    """What is read of the run."""
    parts, time = prediction.parts, prediction.time
    if prediction.reading is None:
        return Quantity(parts, "at", time, time)
    return ReadQuantity(parts, "at", time, time, prediction.reading)
