"""The parts of a study file beside its observations.

These are model, calendar, parameters, fixed values, method, questions, and variants: rival structures that are
refitted, and scenarios of the time after the data. Variants are constants set by name::

    [[rival]]
    name = "M1"
    why = "the founder is as able as China Merchants"
    set = { "Founding Capability" = 1 }

What a study asks and what only its authors can say stands in ``[report]``, all of it words or names::

    [report]
    finding = "Firms came slowly until spring 2017, then fast. The counts cannot say why."
    not_known = "why entry rose: operator, site and reform changed within three years"
    assumed = "that the operator attracted firms, and all dates"
    informed = "Which parameters do the entry data inform?"
    settle = ["a dated registry of residents"]

    [[report.cause]]
    name = "the reform of 2017"
    without = ["M6", "M9"]

``finding`` is the title of the page; ``known``, ``not_known`` and ``assumed`` go into the three lines below it. They
are the authors' words, and the page says so. What a study leaves out is computed. A cause names the rival
structures that do without it. Write no numbers of the fit here: they would not follow the next one.
"""

import datetime
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal, get_args

from calibration.noise.priors import FAMILIES, Beta, LogitNormal, Prior, Scale, Uniform, distribution
from calibration.study.calendar import UNITS, Calendar, time_unit_of
from calibration.study.constants import StepRule
from calibration.study.parameters import AIMS, Parameter, Target
from cipark_sd.analysis.experiments.definition import Structure
from cipark_sd.analysis.sensitivities.factors import constant_values
from cipark_sd.base.errors import InvalidValue, UnknownName, raise_all
from cipark_sd.base.inputs import all_beneath, beneath, place
from cipark_sd.base.library import bundled
from cipark_sd.base.naming import base_name, override_key
from cipark_sd.base.section import Section, is_number
from cipark_sd.data.scenarios import Scenario
from cipark_sd.language.read.model_file import read_model, with_series
from cipark_sd.model.model import Method as Integration
from cipark_sd.model.model import Model, digest_of
from cipark_sd.model.variables import Constant

#: Integration methods that a study may ask for.
METHODS: tuple[Integration, ...] = get_args(Integration)
TARGETS: tuple[Target, ...] = ("model", "noise")


@dataclass(frozen=True, slots=True)
class Method:
    """How the optimum is looked for; ``map`` takes the priors into account, ``ml`` only their bounds.

    ``level`` is that of all intervals of the fit. ``log_density`` says that a payoff is a log likelihood.
    """

    estimate: Literal["map", "ml"] = "map"
    starts: int = 100
    fast_starts: int = 20
    seed: int = 1
    level: float = 0.95
    log_density: bool = False


#: How groups share a parameter: one for all, one for each by itself, or in part: the prior of the sd between groups.
Pooling = Literal["common", "none"] | Prior
#: What ``series`` takes.
_FILES = "a file or a list of files with values of the model's data variables"


def by_method(model: Model, method: Integration) -> Model:
    """The model under another integration method, with a digest of its own: its numbers are others.

    Parameters
    ----------
    method : {"euler", "rk4"}

    Returns
    -------
    Model
        The same one where it has the method already.
    """
    if method == model.time.method:
        return model
    digest = digest_of(model.digest.encode(), method.encode())
    return replace(model, time=replace(model.time, method=method), digest=digest)


def model_section(section: Section, folder: Path, allow_files: Sequence[Path]) -> tuple[Model, Scenario]:
    """The model and the span of its run.

    Parameters
    ----------
    section : Section
        ``[model]``.
    folder : path
        Of the study.
    allow_files : sequence of path
        Folders and files beside the study's own that may be read.

    Raises
    ------
    Problems, ModelFileError, EquationError
        At once: without a model nothing else can be checked.
    """
    keys = {"from": "initial_time", "to": "final_time", "step": "time_step"}
    span = {control: section.number(key) for key, control in keys.items() if key in section}
    series = all_beneath(folder, section.names("series", expected=_FILES), allow_files, where=section.where)
    if "bundled" in section:
        file = bundled(section.text("bundled"))
    else:
        file = beneath(folder, section.text("file"), allow_files, where=section.where)
    raise_all(str(folder), section.problems)
    model = with_series(read_model(file, allow_files=allow_files), series, where="--series", compared=True)
    method = section.choice("method", METHODS, "euler") if "method" in section else model.time.method
    section.note_unread()
    return by_method(model, method), Scenario("", {key: value for key, value in span.items() if math.isfinite(value)})


def calendar_section(section: Section, model: Model) -> Calendar:
    """How dates become the time of the model; its unit and the study's are the same where both are known.

    Parameters
    ----------
    section : Section
        ``[dates]``.
    """
    model_unit = time_unit_of(model.time.units)
    unit = section.choice("unit", UNITS, "decimal year")
    origin = section.raw("origin")
    section.note_unread()
    if isinstance(origin, str):
        try:
            origin = datetime.date.fromisoformat(origin)
        except ValueError:
            section.wrong("origin", "a date such as 2020-03-01")
            origin = datetime.date(2000, 1, 1)
    # a date with a time is a date to Python
    if isinstance(origin, datetime.datetime) or not isinstance(origin, datetime.date | None):
        section.wrong("origin", "a date such as 2020-03-01, without a time")
        return Calendar(model_unit=model_unit)
    if (unit == "decimal year") != (origin is None):
        section.wrong("origin", "a date for all units but decimal year, and nothing for that")
        return Calendar(model_unit=model_unit)
    named = "year" if unit == "decimal year" else unit
    if "unit" in section and model_unit is not None and named != model_unit:
        section.wrong("unit", f"{model_unit!r}, since the model counts time in {model.time.units}")
        return Calendar(model_unit, origin or datetime.date(2000, 1, 1), model_unit)
    return Calendar(unit, origin, model_unit)


def parameter_section(
    section: Section, *, grouped: bool, step: float, integration: Integration, rule_of: Callable[[str], StepRule | None]
) -> tuple[Parameter, Pooling, bool] | None:
    """A parameter, how groups share it, and whether it is one for each element of what it names.

    Parameters
    ----------
    section : Section
        A ``[[parameter]]``.
    grouped : bool
        Whether the study has groups, so that the section may say how they share it.
    step, integration :
        Of the run.
    rule_of : function of a name
        What the step sets to a constant; None where it sets nothing.

    Returns
    -------
    (Parameter, Pooling, bool) or None
        None where something is wrong.
    """
    target = section.choice("target", TARGETS, "model")
    use = section.choice("use", AIMS, "CAL")
    why = section.text("why", "")
    lower, upper = section.ends("bounds", (-math.inf, math.inf))
    bounds_from: Literal["", "step"] = ""
    rule: StepRule | None = None
    if "bounds_from" in section:
        section.choice("bounds_from", ("step",))
        rule = rule_of(section.title)
        if rule is None:
            section.wrong("bounds_from", "nothing, but of a constant with the unit of time or of its inverse")
        elif math.isfinite(step):
            rule = replace(rule, lower=lower, upper=upper)
            lower, upper, is_set = rule.bounds(step, integration)
            bounds_from = "step" if is_set else ""
    prior = _prior(section, lower, upper)
    scales: tuple[Scale, ...] = ("identity", "log", "logit")
    scale = section.choice("scale", scales, prior.natural if prior else "identity")
    start = section.number("start") if "start" in section else None
    if start is not None and not lower <= start <= upper:
        section.wrong("start", f"a number within the bounds, {lower:g} to {upper:g}")
    by_element = section.flag("each")
    pooling = _pooling(section) if grouped or by_element else "common"
    if not (grouped or by_element) and "pooled" in section:
        section.raw("pooled")
        section.wrong("pooled", "nothing in a study without [[group]], unless each = true")
    section.note_unread()
    if prior is not None and section.sound:
        try:
            distribution(prior, lower, upper)
        except ValueError as fault:
            section.wrong("prior", str(fault))
        # these have their own ends between which they are searched; of the others the bounds must be those of the scale
        on_unit = isinstance(prior, LogitNormal | Beta)
        if (scale == "log" and lower < 0 and isinstance(prior, Uniform)) or (
            scale == "logit" and lower < 0 and not on_unit
        ):
            section.wrong("scale", f"'identity', since values down to {lower:g} have no {scale}")
    if not section.sound or prior is None:
        return None
    parameter = Parameter(
        section.title, prior, lower, upper, scale=scale, target=target, use=use, why=why, start=start,
        bounds_from=bounds_from, step_rule=rule,
    )  # fmt: skip
    return parameter, pooling, by_element


def _pooling(section: Section) -> Pooling:
    """What ``pooled`` and ``between`` say."""
    how = section.choice("pooled", ("common", "none", "partial"), "common")
    between = section.raw("between")
    if how != "partial":
        if between is not None:
            section.wrong("between", "nothing, except beside pooled = 'partial'")
        return "none" if how == "none" else "common"
    if not isinstance(between, Mapping):
        section.wrong("between", "the prior of the sd between groups, such as { family = 'half-normal', sd = 0.5 }")
        return "none"
    return read_prior(section, between, "between") or "none"


def _prior(section: Section, lower: float, upper: float) -> Prior | None:
    """The prior; a parameter with bounds and no prior is uniform between them."""
    content = section.raw("prior")
    if content is None:
        if math.isfinite(lower) and math.isfinite(upper):
            return Uniform(lower, upper)
        section.wrong("prior", "a prior, or bounds at both ends")
        return None
    return read_prior(section, content)


def read_prior(section: Section, content: object, key: str = "prior") -> Prior | None:
    """A family with its numbers.

    Parameters
    ----------
    section : Section
        To which the table belongs, for messages.
    content : object
        The table, or what stands in its place.
    key : str
        Of the table in the section.

    Returns
    -------
    Prior or None
        None where something is wrong.
    """
    before = len(section.problems)
    inner = Section(content, key, section.problems, within=section)
    family = FAMILIES[inner.choice("family", tuple(FAMILIES), listing="a prior is one of")]
    if len(section.problems) > before:
        return None
    numbers = {field.name: inner.number(field.name) for field in fields(family)}
    inner.note_unread()
    if len(section.problems) > before:
        return None
    prior = family(**numbers)
    if (fault := prior.fault()) is not None:
        section.problems.append(InvalidValue(key, prior, fault, where=section.at(key)))
        return None
    return prior


def fixed_section(section: Section) -> tuple[str, float]:
    """A constant that is held, and its value; the study says why."""
    value, _ = section.number("value"), section.text("why")
    return section.title, value


#: Searches of one fit.
MOST_STARTS = 100_000


def method_section(section: Section) -> Method:
    default = Method()
    method = Method(
        section.choice("estimate", ("map", "ml"), default.estimate),
        section.whole("starts", default.starts, least=1, most=MOST_STARTS),
        section.whole("fast_starts", default.fast_starts, least=1, most=MOST_STARTS),
        section.whole("seed", default.seed),
        section.number("level", default.level),
        section.flag("log_density"),
    )
    if not 0 < method.level < 1:
        section.wrong("level", "a number between 0 and 1, such as 0.95")
        return default
    return method


@dataclass(frozen=True, slots=True)
class Since:
    """What was counted of an observation after the study's data, which no fit of it has seen.

    Parameters
    ----------
    observation : str
        Its name in the study.
    time : float
        Model time.
    lower, upper : float
        Equal for a number.
    source : str
        Who reported it, and when.
    see : str
        Where the later counts are used, in words for people; may be empty.
    """

    observation: str
    time: float
    lower: float
    upper: float
    source: str
    see: str


@dataclass(frozen=True, slots=True)
class Questions:
    """A study's finding and questions in its own words, what would settle them, and what its theory rests on.

    Where ``finding``, ``known``, ``not_known`` or ``assumed`` is empty, the page computes a line in its place.
    ``causes`` are what may explain the data, each with the rivals that do not have it. ``since`` is what came later.
    """

    finding: str = ""
    known: str = ""
    not_known: str = ""
    assumed: str = ""
    informed: str = "What do the data say of the parameters?"
    caused: str = "What explains the data?"
    predicted: str = "How well were data predicted before they were seen?"
    settled: str = "What would settle what is open?"
    causes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    settle: tuple[str, ...] = ()
    supports: str = ""
    theory: str = ""
    unknown: str = ""
    since: tuple[Since, ...] = ()


def variant_section(section: Section) -> Structure:
    """A rival structure or a scenario: constants that it sets."""
    return Structure(section.title, section.text("why", ""), Scenario(section.title, constants_set(section, "set")))


def read_questions(
    section: Section, rivals: Collection[str], observations: Collection[str], calendar: Calendar
) -> Questions:
    """The study's finding and questions.

    Parameters
    ----------
    section : Section
        ``[report]``.
    rivals, observations : collection of str
        Names of the study's rivals, which a cause may name, and of its observations, of which more was counted since.
    """
    texts = {
        field.name: section.text(field.name, field.default)
        for field in fields(Questions)
        if isinstance(field.default, str)
    }

    def cause(section: Section) -> tuple[str, tuple[str, ...]]:
        without = section.names("without")
        section.problems += [
            UnknownName(rival, sorted(rivals), kind="rival", where=section.where)
            for rival in without
            if rival not in rivals
        ]
        return section.title, without

    def counted(section: Section) -> Since:
        if section.title not in observations:
            known = UnknownName(section.title, list(observations), kind="observation", where=section.where)
            section.problems.append(known)
        time, lower, upper = section.time("at", calendar.model_time), section.number("lower"), section.number("upper")
        if lower > upper:
            section.wrong("upper", "a number, not below lower")
        return Since(section.title, time, lower, upper, section.text("source"), section.text("see", ""))

    causes = section.named("cause", cause, label="report.cause")
    since = section.named("since", counted, by="observation", label="report.since")
    return Questions(**texts, causes=causes, settle=section.names("settle"), since=since)


def with_own_structure(model: Model, scenario: Scenario, rivals: tuple[Structure, ...]) -> tuple[Structure, ...]:
    """Rivals with the study's own structure first, where none of them is it: they are rivals to it.

    A rival is the study's own structure where all that it sets is as the study or the model file has it.

    Parameters
    ----------
    scenario : Scenario
        What the study sets.
    """
    if not rivals or any(_changes_nothing(model, scenario, variant.scenario) for variant in rivals):
        return rivals
    taken = {variant.id for variant in rivals}
    name = next(name for name in ("base", "own", "own structure") if name not in taken)
    return (Structure(name, "the study's own structure", Scenario(name, {})), *rivals)


def _changes_nothing(model: Model, scenario: Scenario, settings: Scenario) -> bool:
    values = {
        override_key(label): value
        for name in {base_name(key) for key in settings.overrides}
        if isinstance(constant := model.by_name.get(name), Constant)
        for label, value in constant_values(model, constant).items()
    }
    values |= {key: value for key, value in scenario.overrides.items() if isinstance(value, float)}
    return all(values.get(key) == value for key, value in settings.overrides.items())


def constants_set(section: Section, key: str) -> dict[str, float]:
    """The constants that a table sets.

    Parameters
    ----------
    section : Section
        Which notes what is wrong.
    key : str
        Of the table.

    Returns
    -------
    dict of str to float
        Values by name, in order.
    """
    raw = section.raw(key)
    values: dict[str, float] = {}
    if not isinstance(raw, Mapping):
        section.wrong(key, "a table of constants and their values, {} for the model as it is")
        return values
    for name, value in raw.items():
        if is_number(value):
            values[str(name)] = float(value)
        else:
            section.problems.append(
                InvalidValue(str(name), value, "a finite number", where=place(raw, section.name, str(name)))
            )
    return values
