"""A study's predictions as functions of its parameters: the model run forward and read at the reported time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibration.likelihood.forward import ForwardModel
from calibration.likelihood.observation_operator import Reader, reader
from calibration.study.observations import Quantity, ReadQuantity
from calibration.study.predictions import Prediction
from calibration.study.problem import CalibrationProblem
from cipark_sd.arrays import Array
from cipark_sd.engines.registry import Engine
from cipark_sd.scenarios import Scenario, resolve

#: The scenarios of a prediction, and when its runs end.
_Runs = tuple[Scenario, Scenario | None, float]


@dataclass(frozen=True, eq=False)
class Reported:
    """Predictions of one scenario as functions of the parameters of a problem.

    ``runs`` has one forward model, or two where the predictions are differences.
    """

    predictions: tuple[Prediction, ...]
    runs: tuple[tuple[ForwardModel, Reader, float], ...]

    def __call__(self, theta: Array) -> Array:
        """``theta : (n, k)`` to values ``(n, n_predictions)``; NaN where the model fails."""
        space = self.runs[0][0].problem.space
        readings = [prediction.reading for prediction in self.predictions if prediction.reading is not None]
        numbers = {name: theta[:, space.names.index(name)] for reading in readings for name in reading.parameters}
        values = theta[:, space.is_model]
        return np.asarray(
            sum(sign * read.of_places(runner.at(values, read.places), numbers) for runner, read, sign in self.runs)
        )


def reported(problem: CalibrationProblem, prediction: Prediction, engine: Engine) -> Callable[[Array], Array]:
    """The function of a prediction, from ``(n, k)`` to ``(n,)``, its model run on that engine."""
    of_one = _together(problem, (prediction,), engine)
    return lambda theta: of_one(theta)[:, 0]


def all_reported(problem: CalibrationProblem, predictions: Sequence[Prediction], engine: Engine, theta: Array) -> Array:
    """Predictions ``(n, n_predictions)`` at ``theta : (n, k)``; those of one scenario share their runs."""
    values = np.empty((len(theta), len(predictions)))
    by_runs: dict[_Runs, list[int]] = {}
    for i, prediction in enumerate(predictions):
        by_runs.setdefault(_runs_of(problem, prediction), []).append(i)
    for places in by_runs.values():
        values[:, places] = _together(problem, tuple(predictions[i] for i in places), engine)(theta)
    return values


def _together(problem: CalibrationProblem, predictions: tuple[Prediction, ...], engine: Engine) -> Reported:
    """Predictions that differ in what is read alone."""
    scenario, against, final = _runs_of(problem, predictions[0])
    runs = [_run(problem, predictions, scenario, final, engine, 1.0)]
    if against is not None:
        runs.append(_run(problem, predictions, against, final, engine, -1.0))
    return Reported(predictions, tuple(runs))


def _runs_of(problem: CalibrationProblem, prediction: Prediction) -> _Runs:
    """What the runs of a prediction rest on: its scenarios, and when a run ends that reaches it."""
    numbers = resolve(problem.model, problem.scenario)
    final = max(numbers.final_time, prediction.time + numbers.time_step)
    return prediction.scenario, prediction.against, final


def _run(
    problem: CalibrationProblem,
    predictions: tuple[Prediction, ...],
    scenario: Scenario,
    final: float,
    engine: Engine,
    sign: float,
) -> tuple[ForwardModel, Reader, float]:
    longer = replace(problem, scenario=problem.scenario | scenario | Scenario("", final_time=final))
    left_rule = problem.model.time.method == "euler"
    read = reader(list(map(_quantity, predictions)), problem.steps(final), left_rule=left_rule)
    return ForwardModel(longer, read.outputs, read.times, engine), read, sign


def _quantity(prediction: Prediction) -> Quantity:
    """What is read of the run."""
    parts, time = prediction.parts, prediction.time
    if prediction.reading is None:
        return Quantity(parts, "at", time, time)
    return ReadQuantity(parts, "at", time, time, prediction.reading)
