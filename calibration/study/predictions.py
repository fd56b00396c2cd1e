"""Numbers that a study reports of its model: what each is, and what it is at given parameters.

A prediction is a quantity at a date, or how far it lies from the same quantity in another scenario::

    [[prediction]]
    name = "residents at the end of 2030"
    variable = "Total Residents"
    at = "2030-12-31"

    [[prediction]]
    name = "effect of China Merchants at the end of 2019"
    variable = "Total Residents"
    at = "2019-12-31"
    against = { "SW CMG" = 0 }   # the value as fitted less the value with this

It is the model's own number, without the noise of an observation. The run is made as long as the date needs.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from calibration.likelihood.observation_operator import Reader, reader
from calibration.study.calendar import Calendar
from calibration.study.observations import Quantity
from calibration.study.priors import Array
from calibration.study.variants import constants_set, repeated
from cipark_sd.errors import CiparkError
from cipark_sd.scenarios import Scenario, resolve
from cipark_sd.section import Section
from cipark_sd.timegrid import time_grid

if TYPE_CHECKING:
    from calibration.likelihood.forward import Runner, RunnerFactory
    from calibration.study.problem import CalibrationProblem


@dataclass(frozen=True, slots=True)
class Prediction:
    """A reported number.

    Parameters
    ----------
    parts : of names and signs
        Outputs that are added up.
    time : float
        Model time at which they are read.
    scenario : Scenario
        Constants set beside the study's own.
    against : Scenario or None
        What the number is compared with: the prediction is then the difference.
    """

    name: str
    parts: tuple[tuple[str, float], ...]
    time: float
    scenario: Scenario = Scenario()  # noqa: RUF009  (frozen, and neutral)
    against: Scenario | None = None
    why: str = ""


def read_predictions(
    tables: Sequence[object], calendar: Calendar, problems: list[CiparkError]
) -> tuple[Prediction, ...]:
    """The ``[[prediction]]`` tables of a study; problems are added to the list."""
    found = tuple(_prediction(table, calendar, problems) for table in tables)
    problems += repeated([prediction.name for prediction in found], "[[prediction]]")
    return found


def _prediction(content: object, calendar: Calendar, problems: list[CiparkError]) -> Prediction:
    from calibration.study.terms import signed_parts

    name = str(content.get("name", "?")) if isinstance(content, Mapping) else "?"
    section = Section(content, f"prediction {name!r}", problems)
    section.text("name")
    why = section.text("why", "")
    names = section.names("variable")
    if not names and "variable" not in section:
        section.wrong("variable", "a variable of the model, or a list of them to add up")
    time = math.nan
    try:
        time = calendar.model_time(str(section.raw("at")))
    except ValueError:
        section.wrong("at", "a date such as 2019-12-31, or a number")
    scenario = Scenario("", constants_set(section, "set")) if "set" in section else Scenario()
    against = Scenario("", constants_set(section, "against")) if "against" in section else None
    section.done()
    return Prediction(name, signed_parts(names), time, scenario, against, why)


@dataclass(frozen=True, eq=False)
class Reported:
    """A prediction as a function of the parameters of a problem.

    ``runs`` has one runner, or two where the prediction is a difference.
    """

    prediction: Prediction
    runs: tuple[tuple["Runner", Reader, float], ...]
    is_model: NDArray[np.bool_]

    def __call__(self, theta: Array) -> Array:
        """``theta : (n, k)`` to values ``(n,)``; NaN where the model fails."""
        values = theta[:, self.is_model]
        return np.asarray(sum(sign * read(runner(values))[:, 0] for runner, read, sign in self.runs))


def reported(problem: "CalibrationProblem", prediction: Prediction, runner_of: "RunnerFactory") -> Reported:
    """The function of a prediction, its model run by what ``runner_of`` makes."""
    runs = [_run(problem, prediction, prediction.scenario, runner_of, 1.0)]
    if prediction.against is not None:
        runs.append(_run(problem, prediction, prediction.against, runner_of, -1.0))
    is_model = np.array([parameter.target == "model" for parameter in problem.space])
    return Reported(prediction, tuple(runs), is_model)


def _run(
    problem: "CalibrationProblem",
    prediction: Prediction,
    scenario: Scenario,
    runner_of: "RunnerFactory",
    sign: float,
) -> tuple["Runner", Reader, float]:
    own = resolve(problem.model, problem.scenario)
    step = own.time_step
    final = max(own.final_time, prediction.time + step)
    longer = replace(problem, scenario=problem.scenario | scenario | Scenario("", final_time=final))
    grid = time_grid(own.initial_time, final, step, step, where=problem.model.name)
    quantity = Quantity(prediction.parts, "at", prediction.time, prediction.time)
    read = reader([quantity], grid, left_rule=problem.model.time.method == "euler")
    return runner_of(longer, read.outputs, read.times), read, sign
