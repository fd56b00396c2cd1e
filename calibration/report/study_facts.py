"""What findings know of the study that they are about: names, units and questions, without the model itself."""

from collections import Counter
from dataclasses import dataclass, fields

from calibration.inference.sampling.draws import problem_digest
from calibration.noise.readings.reporting import Reporting
from calibration.study.observations import NOT_YET, Observation, ReadQuantity, course_of, is_reported_later
from calibration.study.predictions import Prediction
from calibration.study.problem import CalibrationProblem, Stated
from cipark_sd.base.naming import base_key, canonical, split_key
from cipark_sd.base.wording import labelled, written_unit
from cipark_sd.data.estimands import of_output, unit_of
from cipark_sd.data.scenarios import resolve
from cipark_sd.model.model import Model
from cipark_sd.pages.figures.time_axis import TimeAxis, of_units


@dataclass(frozen=True, slots=True)
class Observed:
    """One observation.

    Parameters
    ----------
    variables : str
        Of the model, in the modeller's names.
    families : str
        Of its noise.
    label : str
        Of an axis: what its first number is of, with units.
    jumps : tuple of float
        Times at which what waited is reported together.
    """

    name: str
    kind: str
    variables: str
    families: str
    label: str
    jumps: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Reported:
    """A prediction of the study: its name, the label of an axis, its estimand and unit, its time, and the observations
    that are of the same quantity. ``waits`` says that reports of it come later, so that it has more than was reported.
    """

    name: str
    label: str
    estimand: str
    unit: str
    time: float
    observations: tuple[str, ...]
    waits: bool

    @property
    def title(self) -> str:
        """Its name, and what it counts where that is not what was counted."""
        return f"{self.name}, {NOT_YET}" if self.waits else self.name


@dataclass(frozen=True, eq=False, kw_only=True)
class StudyFacts(Stated):
    """A study, for tables, figures and sentences.

    Parameters
    ----------
    scenario : str
        As one line of JSON.
    study_digest : str
        Of all that the posterior depends on, as in ``draws.nc``.
    time_method, time_step, time_units :
        Of the run.
    units : by parameter of the model
        As the model file has them.
    rivals : tuple of str
        Names of the structures other than the study's own, which may stand among them for its weight.
    groups : tuple of str
        Canonical names of the groups that each run the model.
    """

    model: str
    model_digest: str
    study_digest: str
    scenario: str
    time_method: str
    time_step: float
    time_units: str
    units: dict[str, str]
    rivals: tuple[str, ...]
    observations: tuple[Observed, ...]
    predictions: tuple[Reported, ...]
    groups: tuple[str, ...] = ()

    @property
    def deviations(self) -> frozenset[str]:
        """Parameters that say how far a group lies from the typical one, of which its value is told instead."""
        return frozenset(deviation.name for pool in self.pools for deviation in pool.innovations)

    @property
    def time(self) -> TimeAxis:
        """How an axis of model time is drawn: with dates where the study has some."""
        return TimeAxis(of_units(self.time_units).label, self.calendar)

    def unit(self, name: str) -> str:
        """Units of a constant of the model, nothing for a pure number or a parameter of the noise."""
        return written_unit(self.units.get(name))


def study_facts(problem: CalibrationProblem) -> StudyFacts:
    """The facts of a study."""
    model, units = problem.model, {}
    for parameter in problem.space:
        variable = model.by_name.get(base_key(parameter.name))
        if variable is not None:
            units[parameter.name] = variable.units
    return StudyFacts(
        **{stated.name: getattr(problem, stated.name) for stated in fields(Stated)},
        model=model.name,
        model_digest=model.digest,
        study_digest=problem_digest(problem),
        scenario=problem.scenario.to_json(),
        time_method=model.time.method,
        time_step=resolve(model, problem.scenario).time_step,
        time_units=model.time.units,
        units=units,
        rivals=tuple(rival.id for rival in problem.rivals if rival.scenario.overrides),
        observations=tuple(_observed(model, observation) for observation in problem.observations),
        predictions=tuple(_reported(problem, prediction) for prediction in problem.predictions),
        groups=tuple(canonical(group.name) for group in problem.groups),
    )


def _observed(model: Model, observation: Observation) -> Observed:
    quantities = [quantity for term in observation.terms for quantity in term.quantities]
    names = dict.fromkeys(base_key(name) for quantity in quantities for name, _ in quantity.parts)
    return Observed(
        observation.name,
        observation.kind,
        ", ".join(model[name].label for name in names),
        ", ".join(sorted({term.noise.family.name for term in observation.terms})),
        quantity_label(model, quantities[0].parts) if quantities else "",
        quantities[0].reading.events
        if quantities and isinstance(quantities[0], ReadQuantity) and isinstance(quantities[0].reading, Reporting)
        else (),
    )


def quantity_label(model: Model, parts: tuple[tuple[str, float], ...]) -> str:
    """What is counted, in the modeller's names, with its units; all elements of a variable together bear its name."""
    keys = [split_key(name) for name, _ in parts]
    counted = Counter(name for name, _ in keys)
    names = [
        model.label(name) if counted[name] == len(model.elements(model[name])) else model.label(name, elements)
        for name, elements in keys
    ]
    units = model[keys[0][0]].units
    return labelled(" + ".join(dict.fromkeys(names)), units)


def _reported(problem: CalibrationProblem, prediction: Prediction) -> Reported:
    model = problem.model
    label = quantity_label(model, prediction.parts)
    under, against = prediction.scenario, prediction.against
    return Reported(
        prediction.name,
        label if prediction.against is None else f"change of {label}",
        # what would have been reported is another quantity than what the model has
        of_output(model, prediction.parts, prediction.time, under=under, against=against)
        + ("" if prediction.reading is None else ", as reported"),
        unit_of(model, prediction.parts[0][0]),
        prediction.time,
        tuple(o.name for o in problem.observations if _same_quantity(o, prediction)),
        prediction.reading is None and any(_reported_later(o, prediction) for o in problem.observations),
    )


def _reported_later(observation: Observation, prediction: Prediction) -> bool:
    """Whether counts of what a prediction is of wait until they are reported."""
    course = course_of(observation)
    return is_reported_later(observation) and course is not None and course.parts == prediction.parts


def _same_quantity(observation: Observation, prediction: Prediction) -> bool:
    """Whether the level of an observation is what a prediction foretells, read in the same way."""
    course = course_of(observation)
    if course is None or observation.kind == "flow" or prediction.against or prediction.scenario.overrides:
        return False
    reading = course.reading if isinstance(course, ReadQuantity) else None
    return course.parts == prediction.parts and reading == prediction.reading
