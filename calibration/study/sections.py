"""The parts of a study file beside its observations: model, calendar, parameters, fixed values, method, hold-out."""

import datetime
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Literal

from calibration.study.calendar import UNITS, Calendar, unit_of
from calibration.study.parameters import AIMS, Parameter, Target
from calibration.study.priors import FAMILIES, Beta, LogitNormal, Prior, Scale, Uniform, distribution
from cipark_sd.errors import InvalidValue, UnknownName, raise_all
from cipark_sd.frontends.model_file import read_model
from cipark_sd.inputs import all_beneath, beneath
from cipark_sd.library import bundled
from cipark_sd.model.model import Method as Integration
from cipark_sd.model.model import Model, digest_of
from cipark_sd.scenarios import Scenario
from cipark_sd.section import Section

#: Integration methods that a study may ask for.
METHODS: tuple[Integration, ...] = ("euler", "rk4")
TARGETS: tuple[Target, ...] = ("model", "noise")


@dataclass(frozen=True, slots=True)
class Fixed:
    """A constant that is held, and why."""

    name: str
    value: float
    why: str


@dataclass(frozen=True, slots=True)
class Method:
    """How the optimum is looked for; ``map`` takes the priors into account, ``ml`` only their bounds.

    ``level`` is that of all intervals of the fit.
    """

    estimate: Literal["map", "ml"] = "map"
    starts: int = 100
    fast_starts: int = 20
    seed: int = 1
    level: float = 0.95


#: How groups share a parameter: one for all, one for each by itself, or one for each from a distribution of groups.
Pooled = Literal["common", "none", "partial"]
POOLED: tuple[Pooled, ...] = ("common", "none", "partial")


@dataclass(frozen=True, slots=True)
class Pooling:
    """How groups share a parameter; ``between`` is the prior of the sd between groups where they do in part."""

    how: Pooled = "common"
    between: Prior | None = None


#: What ``series`` takes.
_FILES = "a file or a list of files with values of the model's data variables"


def by_method(model: Model, method: Integration) -> Model:
    """The model under another integration method, with a digest of its own: its numbers are others."""
    if method == model.time.method:
        return model
    digest = digest_of(model.digest.encode(), method.encode())
    return replace(model, time=replace(model.time, method=method), digest=digest)


def model_section(section: Section, folder: Path, allow_files: Sequence[Path]) -> tuple[Model, Scenario]:
    """The model, which may raise its own errors: without it nothing else can be checked."""
    keys = {"from": "initial_time", "to": "final_time", "step": "time_step"}
    span = {control: section.number(key) for key, control in keys.items() if key in section}
    series = all_beneath(folder, section.names("series", expected=_FILES), allow_files, where=section.where)
    if "bundled" in section:
        file = bundled(section.text("bundled"))
    else:
        file = beneath(folder, section.text("file"), allow_files, where=section.where)
    raise_all(str(folder), section.problems)
    model = read_model(file, allow_files=allow_files, series=series)
    method = section.choice("method", METHODS, "euler") if "method" in section else model.time.method
    section.note_unread()
    return by_method(model, method), Scenario("", {key: value for key, value in span.items() if math.isfinite(value)})


def calendar_section(section: Section, model: Model) -> Calendar:
    """How dates become the time of ``model``; its unit and the study's are the same where both are known."""
    model_unit = unit_of(model.time.units)
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


def parameter_section(section: Section, *, grouped: bool = False) -> tuple[Parameter, Pooling] | None:
    """A parameter, and how groups share it; the latter has keys in a study with groups alone."""
    target = section.choice("target", TARGETS, "model")
    use = section.choice("use", AIMS, "CAL")
    why = section.text("why", "")
    lower, upper = section.ends("bounds", (-math.inf, math.inf))
    prior = _prior(section, lower, upper)
    scales: tuple[Scale, ...] = ("identity", "log", "logit")
    scale = section.choice("scale", scales, prior.natural if prior else "identity")
    start = section.number("start") if "start" in section else None
    if start is not None and not lower <= start <= upper:
        section.wrong("start", f"a number within the bounds, {lower:g} to {upper:g}")
    pooling = _pooling(section) if grouped else Pooling()
    if not grouped and "pooled" in section:
        section.raw("pooled")
        section.wrong("pooled", "nothing in a study without [[group]]")
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
    return Parameter(section.title, prior, lower, upper, scale, target, use, why, start), pooling


def _pooling(section: Section) -> Pooling:
    """What ``pooled`` and ``between`` say."""
    how = section.choice("pooled", POOLED, "common")
    between = section.raw("between")
    if how != "partial":
        if between is not None:
            section.wrong("between", "nothing, except beside pooled = 'partial'")
        return Pooling(how)
    if not isinstance(between, Mapping):
        section.wrong("between", "the prior of the sd between groups, such as { family = 'half-normal', sd = 0.5 }")
        return Pooling(how)
    return Pooling(how, read_prior(section, between, "between"))


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
    """A family with its numbers, from the table ``key`` of a section."""
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


def fixed_section(section: Section) -> Fixed:
    """A constant that is held."""
    return Fixed(section.title, section.number("value"), section.text("why"))


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
    )
    if not 0 < method.level < 1:
        section.wrong("level", "a number between 0 and 1, such as 0.95")
        return default
    return method


def holdout_section(section: Section, calendar: Calendar) -> tuple[float, ...]:
    """Times up to which rolling-origin fits see the data."""
    return calendar.times_under(section, "origins") if section.raw("origins") else ()


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that may explain the data, and the rivals that do not have it."""

    name: str
    without: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Questions:
    """A study's finding and questions in its own words, what would settle them, and what its theory rests on.

    Where ``finding``, ``known``, ``not_known`` or ``assumed`` is empty, the page computes a line in its place.
    """

    finding: str = ""
    known: str = ""
    not_known: str = ""
    assumed: str = ""
    informed: str = "What do the data say of the parameters?"
    caused: str = "What explains the data?"
    predicted: str = "How well were data predicted before they were seen?"
    settled: str = "What would settle what is open?"
    causes: tuple[Cause, ...] = ()
    settle: tuple[str, ...] = ()
    supports: str = ""
    theory: str = ""
    unknown: str = ""


def read_questions(section: Section, rivals: Collection[str]) -> Questions:
    """The table ``[report]``; names of rivals are checked against those of the study."""
    texts = {
        field.name: section.text(field.name, field.default)
        for field in fields(Questions)
        if isinstance(field.default, str)
    }
    causes = section.named("cause", partial(_cause, rivals=rivals), label="report.cause")
    return Questions(**texts, causes=causes, settle=section.names("settle"))


def _cause(section: Section, rivals: Collection[str]) -> Cause:
    cause = Cause(section.title, section.names("without"))
    section.problems += [
        UnknownName(rival, sorted(rivals), kind="rival", where=section.where)
        for rival in cause.without
        if rival not in rivals
    ]
    return cause
