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

It is the model's own number, without the noise of an observation. The run is made as long as the date needs. With
``reported = "residents"`` it is what would have been reported by then, as that observation reads its counts.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial

from calibration.noise.readings.base import Reading
from calibration.noise.readings.reporting import Reporting
from calibration.study.calendar import Calendar
from calibration.study.groups import Group, element_of
from calibration.study.observations import Observation, Parts, ReadQuantity, quantities_of, signed_parts
from calibration.study.sections import constants_set, repeated
from cipark_sd.base.naming import canonical, split_key
from cipark_sd.base.section import Section
from cipark_sd.data.scenarios import Scenario


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
    reading : Reading or None
        Through which it is read, as an observation's counts are.
    """

    name: str
    parts: Parts
    time: float
    scenario: Scenario = Scenario()  # noqa: RUF009  (frozen, and neutral)
    against: Scenario | None = None
    reading: Reading | None = None


def read_predictions(top: Section, calendar: Calendar, observations: Sequence[Observation]) -> tuple[Prediction, ...]:
    """The ``[[prediction]]`` tables of a study."""
    predictions = top.named("prediction", partial(_prediction, calendar=calendar, observations=observations))
    top.problems += repeated([prediction.name for prediction in predictions], "[[prediction]]")
    return predictions


def of_groups(
    predictions: Sequence[Prediction], groups: Sequence[Group], differing: Collection[str]
) -> tuple[Prediction, ...]:
    """Predictions of which each that names what differs between groups, and no group, is made for all of them."""
    names = {canonical(group.name) for group in groups}

    def is_open(name: str) -> bool:
        base, elements = split_key(name)
        return base in differing and not names & set(elements)

    made: list[Prediction] = []
    for prediction in predictions:
        if not any(is_open(name) for name, _ in prediction.parts):
            made.append(prediction)
            continue
        for group in groups:
            parts = tuple((element_of(n, group.name) if is_open(n) else n, sign) for n, sign in prediction.parts)
            made.append(replace(prediction, name=f"{prediction.name}, {group.name}", parts=parts))
    return tuple(made)


def _prediction(section: Section, calendar: Calendar, observations: Sequence[Observation]) -> Prediction:
    section.text("why", "")
    names = section.names("variable")
    if not names and "variable" not in section:
        section.wrong("variable", "a variable of the model, or a list of them to add up")
    time = calendar.time_under(section, "at")
    scenario = Scenario("", constants_set(section, "set")) if "set" in section else Scenario()
    against = Scenario("", constants_set(section, "against")) if "against" in section else None
    reading = _reading(section, observations) if "reported" in section else None
    return Prediction(section.title, signed_parts(names), time, scenario, against, reading)


def _reading(section: Section, observations: Sequence[Observation]) -> Reading | None:
    """How the observation that ``reported`` names reads its counts."""
    layers = {
        observation.name: quantity.reading
        for observation in observations
        for quantity in quantities_of([observation])
        if isinstance(quantity, ReadQuantity) and isinstance(quantity.reading, Reporting)
    }
    name = section.text("reported")
    if name not in layers:
        known = ", ".join(layers) or "none here"
        section.wrong("reported", f"the name of an observation with 'reported' ({known})")
    return layers.get(name)
