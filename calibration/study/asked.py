"""The question that is asked of a study, and the course that it is about where none is asked.

A question is written as an estimand is, everywhere in this program::

    Promotion Effect                                        a constant that is fitted
    Infected at 2020-03-01                                  a variable at a date, or at a number of the model's time
    maximum of Infected at 2020-06-01                       a metric of its course from the start of the run to then
    first-below 10 of Infected at 2020-12-31                when it first falls to it; first-above: when it rises to it
    Residents at 2019-12-31, change from SW CMG = 0         an effect: as fitted, less what it is with this set
    Residents at 2019-12-31, with Rent = 2, change from Rent = 1
    Infected at 2020-03-01 above 30                         the probability that any of these is above, or below
    largest of Residents[*] at 2019-12-31                   of each element the probability that it is; also smallest;
                                                            dimensions without a * of their own are added up

or as the name of a ``[[prediction]]`` of the study.
"""

import math
import re
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from calibration.study import consistency
from calibration.study.calendar import Calendar
from calibration.study.observations import Observation, Prediction, course_of, reporting_of
from calibration.study.parameters import ParameterSpace
from cipark_sd.analysis.experiments.definition import METRICS as OUTCOMES
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import InvalidValue, UnknownName, raise_all
from cipark_sd.base.inputs import number_in
from cipark_sd.base.naming import base_name, canonical, override_key, respelled
from cipark_sd.base.wording import listed
from cipark_sd.data.estimands import of_output
from cipark_sd.data.readings import (
    METRICS,
    DoublingTime,
    FirstAbove,
    HalfTime,
    Maximum,
    Metric,
    Period,
    TimeOfMaximum,
)
from cipark_sd.data.scenarios import Scenario, resolve
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Constant, Lookup
from cipark_sd.statements.headline import parameter

_QUESTION = re.compile(
    r"(?P<variable>.+) at (?P<time>[^\s,]+)(?:, with (?P<under>.+?))?"
    r"(?:, change from (?P<against>.+))?"
)
#: What draws say in how many of them it is: after a question, and of all elements of a variable.
_BEYOND = re.compile(r"(?P<of>.+) (?P<way>above|below) (?P<threshold>\S+)")
_EXTREME = re.compile(r"(?P<way>largest|smallest) of (?P<variable>.+?)(?:\[(?P<stars>[*, ]+)\])? at (?P<time>\S+)")
#: A constant with its value among several.
_SETTING = re.compile(r"\s*(.+?)\s*=\s*([^,=]+?)\s*(?:,|$)")


class Asks(Protocol):
    """What of a problem a question is about."""

    @property
    def model(self) -> Model:
        """What is fitted."""

    @property
    def scenario(self) -> Scenario:
        """Of the run."""

    @property
    def space(self) -> ParameterSpace:
        """What is estimated."""

    @property
    def calendar(self) -> Calendar:
        """How dates become model time."""

    @property
    def about(self) -> str:
        """The estimand of its question; empty without one."""

    @property
    def observations(self) -> tuple[Observation, ...]:
        """What was seen."""

    @property
    def predictions(self) -> tuple[Prediction, ...]:
        """Numbers that the study reports."""

    @property
    def groups(self) -> tuple[object, ...]:
        """That each run the model."""


def estimand_of(model: Model, prediction: Prediction) -> str:
    """The estimand of a prediction, as records have it."""
    text = of_output(model, prediction.parts, prediction.time, under=prediction.scenario, against=prediction.against)
    match prediction.reading:
        case None:
            return text
        case Metric() as metric:
            return f"{metric.spelt} of {text}"
        case _:
            # what would have been reported is another quantity than what the model has
            return f"{text}, as reported"


@dataclass(frozen=True, slots=True)
class Event:
    """What is true in some draws and not in others.

    Parameters
    ----------
    of : tuple of str
        Estimands: one that is beyond a threshold, or several of which one is the largest or the smallest.
    """

    way: Literal["above", "below", "largest", "smallest"]
    of: tuple[str, ...]
    threshold: float = math.nan

    @property
    def words(self) -> str:
        """After "it is"."""
        return f"the {self.way}" if len(self.of) > 1 else f"{self.way} {self.threshold:.10g}"

    def holds(self, values: Array) -> NDArray[np.bool_]:
        """In which draws, of ``values (n, n_of)`` of the estimands."""
        sign = 1.0 if self.way in ("above", "largest") else -1.0
        signed, most = sign * values, sign * self.threshold
        if self.way in ("largest", "smallest"):
            return np.asarray(signed == signed.max(axis=1, keepdims=True))
        return np.asarray(signed > most)


def asked_event(problem: Asks) -> Event | None:
    """The event that the question is about; None where it is about a number, or nothing."""
    if match := _EXTREME.fullmatch(problem.about):
        of = _each_element(problem, match["variable"], match["stars"].count("*"), float(match["time"]))
        return Event(match["way"], tuple(estimand_of(problem.model, prediction) for prediction in of))  # type: ignore[arg-type]
    match = _BEYOND.fullmatch(problem.about)
    return None if match is None else Event(match["way"], (match["of"],), float(match["threshold"]))  # type: ignore[arg-type]


def _each_element(problem: Asks, name: str, n: int, time: float) -> list[Prediction]:
    """Each element of the first ``n`` dimensions of a variable at a time, added up over the others."""
    model, date = problem.model, problem.calendar.label(time)
    variable, parts = model[base_name(name)], dict[str, list[tuple[str, float]]]()
    for elements in model.elements(variable):
        label = f"{variable.label}[{','.join(model.element_labels(variable, elements)[:n])}]"
        parts.setdefault(label, []).append((model.label(variable, elements), 1.0))
    return [Prediction(f"{label} at {date}", tuple(of), time) for label, of in parts.items()]


def asked_prediction(problem: Asks, about: str) -> Prediction | None:
    """The prediction whose estimand a question is, or of which it asks whether it is beyond a threshold.

    None where it is of a constant or of several, or there is no question.
    """
    match = _BEYOND.fullmatch(about)
    about = about if match is None else match["of"]
    return next((p for p in problem.predictions if estimand_of(problem.model, p) == about), None)


def asked_outcome(problem: Asks) -> tuple[Prediction, str] | None:
    """The question where an outcome of policies may be of it, and the metric of that by name, empty for none.

    None where it is of a constant, of a sum, of another world, or of what no outcome reads, and without a question.
    """
    of = asked_prediction(problem, problem.about)
    if of is None or len(of.parts) > 1 or of.scenario.overrides:
        return None
    metric = of.reading.name if isinstance(of.reading, Metric) and of.reading.name in OUTCOMES else ""
    return (of, metric) if metric or of.reading is None else None


def read_about(problem: Asks, text: str, *, where: str) -> tuple[str, tuple[Prediction, ...]]:
    """The estimand of a question, and the problem's predictions: what is asked of the model is the first of them.

    Parameters
    ----------
    text : str
        As above.
    where : str
        For messages: what has asked.

    Raises
    ------
    InvalidValue, UnknownName, Problems
        For a question about nothing of the study.
    """
    text = " ".join(text.split())
    fitted = {override_key(p.name): p.name for p in problem.space if p.use == "CAL"}
    if (key := override_key(text)) in fitted:
        return parameter(fitted[key]), problem.predictions
    named = {canonical(prediction.name): prediction for prediction in problem.predictions}
    prediction = named.get(canonical(text))
    if prediction is None and (match := _EXTREME.fullmatch(text)):
        return _read_extreme(problem, match, where)
    if prediction is None and (match := _BEYOND.fullmatch(text)):
        about, predictions = read_about(problem, match["of"], where=where)
        return f"{about} {match['way']} {_threshold(match['threshold'], where):.10g}", predictions
    if prediction is None:
        prediction = _read(problem, text, where, list(fitted.values()))
        faults = consistency.prediction_problems(problem.model, problem.scenario, [prediction], problem.space.names)
        raise_all(where, faults)
    about = estimand_of(problem.model, prediction)
    unasked = (p for p in problem.predictions if estimand_of(problem.model, p) != about)
    # a prediction of the study that asks the same keeps its name
    prediction = asked_prediction(problem, about) or prediction
    return about, (prediction, *unasked)


def _read_extreme(problem: Asks, match: re.Match[str], where: str) -> tuple[str, tuple[Prediction, ...]]:
    """The estimand of a question about all elements of a variable, and the predictions, one of each element first."""
    model, name = problem.model, match["variable"]
    variable = model.by_name.get(base_name(name))
    if variable is None:
        raise UnknownName(name, model.names, where=where)
    if not variable.dims:
        raise InvalidValue("a question", match[0], f"a variable with elements, and {name} has none", where=where)
    n = min(max((match["stars"] or "").count("*"), 1), len(variable.dims))
    elements = _each_element(problem, name, n, _time(problem, match["time"], where))
    raise_all(where, consistency.prediction_problems(model, problem.scenario, elements, problem.space.names))
    about = f"{match['way']} of {variable.label}[{','.join('*' * n)}] at {elements[0].time:.10g}"
    of = {estimand_of(model, prediction) for prediction in elements}
    return about, (*elements, *(p for p in problem.predictions if estimand_of(model, p) not in of))


def _time(problem: Asks, text: str, where: str) -> float:
    """The model time of a date or a number."""
    try:
        return problem.calendar.model_time(text)
    except ValueError:
        raise InvalidValue("the date", text, "a date such as 2019-12-31, or a number", where=where) from None


def _threshold(text: str, where: str) -> float:
    if not math.isfinite(number := number_in(text)):
        raise InvalidValue("the threshold", text, "a number", where=where)
    return number


def _read(problem: Asks, text: str, where: str, fitted: list[str]) -> Prediction:
    """The prediction that a question writes out."""
    model = problem.model
    match = _QUESTION.fullmatch(text)
    if match is None:
        variable = model.by_name.get(base_name(text))
        if isinstance(variable, Constant):
            elements = [name for name in fitted if base_name(name) == base_name(text)] or fitted[:1]
            raise InvalidValue(
                "a question", text, f"a constant that is fitted, such as {listed(elements)}", where=where
            )
        if variable is not None and not isinstance(variable, Lookup):
            end = problem.calendar.label(resolve(model, problem.scenario).final_time)
            raise InvalidValue("a question", text, f"a variable with its date, such as '{text} at {end}'", where=where)
        known = [*fitted, *(p.name for p in problem.predictions), *model.names]
        instead = "ask for a fitted constant, or for a variable at a date, as in 'Infected at 2020-03-01'"
        raise UnknownName(text, known, where=where, instead=instead)
    name, metric = match["variable"], None
    if base_name(name) not in model.by_name:
        word, _, variable_name = name.partition(" of ")
        metric = _metric(word, variable_name, where)
        name = name if metric is None else variable_name
    if base_name(name) not in model.by_name:
        raise UnknownName(name, model.names, where=where)
    time = _time(problem, match["time"], where)
    under, against = (_settings(model, match[key], where) for key in ("under", "against"))
    return Prediction(text, ((name, 1.0),), time, under or Scenario(), against, metric)


def _metric(words: str, variable: str, where: str) -> Metric | None:
    """The metric that stands before a variable, its threshold after it; None where there is none."""
    name, _, threshold = re.sub("^first (?=above|below)", "first-", words).partition(" ")
    metric = next((metric for metric in METRICS if metric.name == name), None)
    if not isinstance(metric, FirstAbove):
        return None if threshold else metric
    if not threshold:
        expected = f"a threshold, as in '{name} 10 of {variable}'"
        raise InvalidValue("a question", words, expected, where=where)
    return replace(metric, threshold=_threshold(threshold, where))


def _settings(model: Model, text: str | None, where: str) -> Scenario | None:
    """The constants that a question sets; None where it sets none."""
    if text is None:
        return None
    values: dict[str, float] = {}
    parts = _SETTING.findall(text)
    for name, value in parts:
        try:
            values[name] = float(value)
        except ValueError:
            raise InvalidValue(name, value, "a number", where=where) from None
    if not parts or _SETTING.sub("", text):
        raise InvalidValue("what a question sets", text, "constants with their values, as in 'Rent = 2'", where=where)
    return Scenario("", {**respelled(values, model.by_name)})


def course(problem: Asks) -> tuple[Prediction, ...]:
    """What a study is about where it says nothing of it: the observed course that comes first.

    Returns
    -------
    tuple of Prediction
        Its maximum and when that is reached, the time to double and to halve, its period, and its value at the end of
        the run; none where no observation has a course.
    """
    end = resolve(problem.model, problem.scenario).final_time
    for observation in problem.observations if not problem.groups else ():
        quantity = course_of(observation)
        if (
            quantity is not None
            and reporting_of(quantity) is None
            and any(term.use == "fit" for term in observation.terms)
        ):
            readings = (Maximum(), TimeOfMaximum(), DoublingTime(), HalfTime(), Period(), None)
            return tuple(Prediction(observation.name, quantity.parts, end, reading=reading) for reading in readings)
    return ()
