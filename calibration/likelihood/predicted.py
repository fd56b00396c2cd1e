"""A study's predictions as functions of its parameters: the model run forward and read at the reported time."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calibration.likelihood.forward import ForwardModel
from calibration.likelihood.observation_operator import Reader, reader
from calibration.study.observations import Quantity, ReadQuantity
from calibration.study.predictions import Prediction
from calibration.study.problem import CalibrationProblem
from cipark_sd.arrays import Array
from cipark_sd.engines.registry import Engine
from cipark_sd.scenarios import Scenario, resolve
from cipark_sd.timegrid import time_grid


@dataclass(frozen=True, eq=False)
class Reported:
    """A prediction as a function of the parameters of a problem.

    ``runs`` has one forward model, or two where the prediction is a difference.
    """

    prediction: Prediction
    runs: tuple[tuple[ForwardModel, Reader, float], ...]
    is_model: NDArray[np.bool_]

    def __call__(self, theta: Array) -> Array:
        """``theta : (n, k)`` to values ``(n,)``; NaN where the model fails."""
        values, reading = theta[:, self.is_model], self.prediction.reading
        names = () if reading is None else reading.parameters
        numbers = {name: theta[:, self.runs[0][0].problem.space.names.index(name)] for name in names}
        return np.asarray(sum(sign * read(runner(values), numbers)[:, 0] for runner, read, sign in self.runs))


def reported(problem: CalibrationProblem, prediction: Prediction, engine: Engine) -> Reported:
    """The function of a prediction, its model run on that engine."""
    runs = [_run(problem, prediction, prediction.scenario, engine, 1.0)]
    if prediction.against is not None:
        runs.append(_run(problem, prediction, prediction.against, engine, -1.0))
    is_model = np.array([parameter.target == "model" for parameter in problem.space])
    return Reported(prediction, tuple(runs), is_model)


def _run(
    problem: CalibrationProblem,
    prediction: Prediction,
    scenario: Scenario,
    engine: Engine,
    sign: float,
) -> tuple[ForwardModel, Reader, float]:
    numbers = resolve(problem.model, problem.scenario)
    step = numbers.time_step
    final = max(numbers.final_time, prediction.time + step)
    longer = replace(problem, scenario=problem.scenario | scenario | Scenario("", final_time=final))
    grid = time_grid(numbers.initial_time, final, step, step, where=problem.model.name)
    quantity = Quantity(prediction.parts, "at", prediction.time, prediction.time)
    if prediction.reading is not None:
        quantity = ReadQuantity(prediction.parts, "at", prediction.time, prediction.time, prediction.reading)
    read = reader([quantity], grid, left_rule=problem.model.time.method == "euler")
    return ForwardModel(longer, read.outputs, read.times, engine), read, sign
