"""A calibration problem: a study folder, read and checked as a whole.

A study is a folder with ``problem.toml``, CSV tables and a README that says where the numbers come from. Everything
that is wrong with it is reported together, with the model's own names as suggestions.
"""

import datetime
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, assert_never

from calibration.dates import Calendar, Unit
from calibration.observations import (
    Breakdown,
    Count,
    Observation,
    Share,
    Term,
    counted_twice,
    quantities_of,
)
from calibration.parameters import Aim, Parameter, ParameterSpace, Target
from calibration.priors import FAMILIES, Prior, Scale, Uniform, distribution, natural_scale, prior_fault
from calibration.questions import Questions, read_questions
from calibration.tables import read_observation
from calibration.variants import Variant, read_variants, variant_problems
from cipark_sd.errors import CiparkError, InvalidValue, UnknownName, raise_all
from cipark_sd.frontends.via_pysd import read_model
from cipark_sd.library import bundled
from cipark_sd.model.model import CONTROL, Model
from cipark_sd.model.variables import Constant, Lookup, Stock, kind
from cipark_sd.scenarios import Scenario, resolve, split_key
from cipark_sd.scenarios import override_key as output_key
from cipark_sd.section import Section

FILE = "problem.toml"
Optimiser = Literal["l-bfgs-b", "least-squares", "differential-evolution"]
TARGETS: tuple[Target, ...] = ("model", "noise")
AIMS: tuple[Aim, ...] = ("CAL", "PRI")
OPTIMISERS: tuple[Optimiser, ...] = ("l-bfgs-b", "least-squares", "differential-evolution")


@dataclass(frozen=True, slots=True)
class Fixed:
    """A constant that is held, and why."""

    name: str
    value: float
    why: str


@dataclass(frozen=True, slots=True)
class Method:
    """How the optimum is looked for; ``map`` takes the priors into account, ``ml`` only their bounds."""

    estimate: Literal["map", "ml"] = "map"
    optimiser: Optimiser = "l-bfgs-b"
    starts: int = 20
    fast_starts: int = 4
    seed: int = 1


@dataclass(frozen=True)
class CalibrationProblem:
    """What is fitted to what, and how.

    Parameters
    ----------
    title, folder :
        Of the study.
    model : Model
    scenario : Scenario
        Fixed values and the time span; the parameters come on top of it.
    observations : tuple of Observation
    space : ParameterSpace
        Of the model and of the noise, in the order of the file.
    fixed : tuple of Fixed
    method : Method
    holdout : tuple of float
        Times up to which rolling-origin fits see the data.
    rivals, scenarios, experiments : tuple of Variant
        Structures to refit, what may happen after the data, and what might have been otherwise within them.
    questions : Questions
        What the report answers, in the study's own words.
    calendar : Calendar
        How dates become model time.
    """

    title: str
    folder: Path
    model: Model
    scenario: Scenario
    observations: tuple[Observation, ...]
    space: ParameterSpace
    fixed: tuple[Fixed, ...]
    method: Method
    holdout: tuple[float, ...] = ()
    calendar: Calendar = field(default_factory=Calendar)
    rivals: tuple[Variant, ...] = ()
    scenarios: tuple[Variant, ...] = ()
    experiments: tuple[Variant, ...] = ()
    questions: Questions = field(default_factory=Questions)

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """Of all observations, in order, whatever their use."""
        return tuple(term for observation in self.observations for term in observation.terms)

    @property
    def fitted_terms(self) -> tuple[Term, ...]:
        """Those in the likelihood."""
        return tuple(term for term in self.terms if term.use == "fit")


def until(problem: CalibrationProblem, time: float) -> CalibrationProblem:
    """The problem as one saw it at ``time``: terms of the fit that end later become hold-outs."""

    def held(term: Term) -> Term:
        end = max(quantity.end for quantity in term.quantities)
        return replace(term, use="holdout") if term.use == "fit" and end > time else term

    observations = tuple(replace(o, terms=tuple(held(term) for term in o.terms)) for o in problem.observations)
    return replace(problem, observations=observations)


def read_problem(folder: Path | str) -> CalibrationProblem:
    """The problem in a study folder.

    Raises
    ------
    InvalidValue
        When there is no ``problem.toml`` or it is not TOML.
    ModelFileError, EquationError, Problems
        When the model cannot be read.
    Problems
        For all that is wrong in the study, together.
    """
    folder = Path(folder)
    path = folder / FILE
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise InvalidValue("the study", str(folder), f"a folder with {FILE}", where="calibrate") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise InvalidValue("its content", str(problem), "TOML", where=str(path)) from None
    problems: list[CiparkError] = []
    top = Section(content, FILE, problems)
    title = top.text("title", folder.name)
    model, span = _model(Section(top.raw("model") or {}, "[model]", problems), folder)
    calendar = _calendar(Section(top.raw("dates") or {}, "[dates]", problems))
    observations = tuple(read_observation(table, folder, calendar, problems) for table in top.tables("observation"))
    parameters = tuple(p for table in top.tables("parameter") if (p := _parameter(table, problems)) is not None)
    fixed = tuple(_fixed(table, problems) for table in top.tables("fixed"))
    method = _method(Section(top.raw("method") or {}, "[method]", problems))
    holdout = _holdout(Section(top.raw("holdout") or {}, "[holdout]", problems), calendar)
    kinds = ("rival", "scenario", "experiment")
    rivals, scenarios, experiments = (read_variants(top.tables(kind), kind, problems) for kind in kinds)
    names = [[variant.name for variant in variants] for variants in (rivals, experiments)]
    questions = read_questions(top.raw("report") or {}, names[0], names[1], problems)
    top.done()
    problems += _names(model, observations, parameters, fixed)
    if not any(term.use == "fit" for o in observations for term in o.terms):
        problems.append(InvalidValue("[[observation]]", "nothing to fit", "one row to fit at least", where=FILE))
    if not any(p.use == "CAL" for p in parameters):
        problems.append(InvalidValue("[[parameter]]", "nothing to estimate", "one with use = 'CAL'", where=FILE))
    scenario = span
    if not problems:
        scenario = span | Scenario("fixed", {item.name: item.value for item in fixed})
        try:
            resolve(model, scenario)
        except CiparkError as problem:
            problems.append(problem)
    problems += variant_problems(model, span, (*rivals, *scenarios, *experiments), [p.name for p in parameters])
    problems += _times(model, span, observations, holdout)
    problems += counted_twice(observations, where=FILE)
    raise_all(str(path), problems)
    space = ParameterSpace(parameters)
    own = (title, folder, model, scenario, observations, space, fixed, method, holdout, calendar)
    return CalibrationProblem(*own, rivals, scenarios, experiments, questions)


def _model(section: Section, folder: Path) -> tuple[Model, Scenario]:
    """The model, which may raise its own errors: without it nothing else can be checked."""
    keys = {"from": "initial_time", "to": "final_time", "step": "time_step"}
    span = {control: section.number(key) for key, control in keys.items() if key in section}
    if "bundled" in section:
        model = read_model(bundled(section.text("bundled")))
    else:
        model = read_model(folder / section.text("file"))
    section.done()
    return model, Scenario("", {key: value for key, value in span.items() if math.isfinite(value)})


def _calendar(section: Section) -> Calendar:
    units: tuple[Unit, ...] = ("decimal year", "day", "week")
    unit = section.choice("unit", units, "decimal year")
    origin = section.raw("origin")
    section.done()
    if isinstance(origin, str):
        try:
            origin = datetime.date.fromisoformat(origin)
        except ValueError:
            section.wrong("origin", "a date such as 2020-03-01")
            origin = datetime.date(2000, 1, 1)
    if (unit == "decimal year") != (origin is None) or not isinstance(origin, datetime.date | None):
        section.wrong("origin", "a date for the unit day or week, and nothing for decimal year")
        return Calendar()
    return Calendar(unit, origin)


def _parameter(content: object, problems: list[CiparkError]) -> Parameter | None:
    name = str(content.get("name", "?")) if isinstance(content, Mapping) else "?"
    found: list[CiparkError] = []
    section = Section(content, f"parameter {name!r}", found)
    section.text("name")
    target = section.choice("target", TARGETS, "model")
    use = section.choice("use", AIMS, "CAL")
    why = section.text("why", "")
    lower, upper = -math.inf, math.inf
    bounds = section.raw("bounds")
    if bounds is not None:
        match bounds:
            case [int() | float() as low, int() | float() as high] if low < high:
                lower, upper = float(low), float(high)
            case _:
                section.wrong("bounds", "[low, high] with low below high")
    prior = _prior(section, lower, upper)
    scales: tuple[Scale, ...] = ("identity", "log", "logit")
    scale = section.choice("scale", scales, natural_scale(prior) if prior else "identity")
    section.done()
    if prior is not None and not found:
        try:
            distribution(prior, lower, upper)
        except ValueError as fault:
            section.wrong("prior", str(fault))
        if (scale == "log" and lower < 0 and isinstance(prior, Uniform)) or (scale == "logit" and lower < 0):
            section.wrong("scale", f"'identity', since values down to {lower:g} have no {scale}")
    problems += found
    return None if found or prior is None else Parameter(name, prior, lower, upper, scale, target, use, why)


def _prior(section: Section, lower: float, upper: float) -> Prior | None:
    """The prior; a parameter with bounds and no prior is uniform between them."""
    content = section.raw("prior")
    if content is None:
        if math.isfinite(lower) and math.isfinite(upper):
            return Uniform(lower, upper)
        section.wrong("prior", "a prior, or bounds at both ends")
        return None
    before = len(section.problems)
    inner = Section(content, f"{section.where}, prior", section.problems)
    family = FAMILIES[inner.choice("family", tuple(FAMILIES))]
    if len(section.problems) > before:
        return None
    numbers = {field: inner.number(field) for field in family.__slots__}
    inner.done()
    if len(section.problems) > before:
        return None
    prior = family(**numbers)
    fault = prior_fault(prior)
    if fault is not None:
        section.problems.append(InvalidValue("prior", prior, fault, where=section.where))
        return None
    return prior


def _fixed(content: object, problems: list[CiparkError]) -> Fixed:
    name = str(content.get("name", "?")) if isinstance(content, Mapping) else "?"
    section = Section(content, f"fixed {name!r}", problems)
    fixed = Fixed(section.text("name"), section.number("value"), section.text("why"))
    section.done()
    return fixed


def _method(section: Section) -> Method:
    default = Method()
    method = Method(
        section.choice("estimate", ("map", "ml"), default.estimate),
        section.choice("optimiser", OPTIMISERS, default.optimiser),
        section.whole("starts", default.starts, least=1),
        section.whole("fast_starts", default.fast_starts, least=1),
        section.whole("seed", default.seed),
    )
    section.done()
    return method


def _holdout(section: Section, calendar: Calendar) -> tuple[float, ...]:
    origins = section.raw("origins") or []
    section.done()
    times = []
    for origin in origins if isinstance(origins, list) else [origins]:
        try:
            times.append(calendar.model_time(str(origin)))
        except ValueError:
            section.wrong("origins", "dates or times")
    return tuple(sorted(times))


def _names(
    model: Model, observations: Sequence[Observation], parameters: Sequence[Parameter], fixed: Sequence[Fixed]
) -> list[CiparkError]:
    """Names that are not the model's, that cannot be set, or that are set twice."""
    problems: list[CiparkError] = []
    noise = {parameter.name for parameter in parameters if parameter.target == "noise"}
    seen: set[str] = set()
    for observation in observations:
        where = f"observation {observation.name!r}"
        outputs = {name for quantity in quantities_of([observation]) for name, _ in quantity.parts}
        problems += [p for name in sorted(outputs - seen) if (p := _output_problem(model, name, where)) is not None]
        seen |= outputs
        for spread in {term.noise.spread for term in observation.terms}:
            if isinstance(spread, str) and spread not in noise:
                problems.append(UnknownName(spread, noise, kind="noise parameter", where=where))
    spreads = {term.noise.spread for o in observations for term in o.terms}
    problems += [
        InvalidValue(
            "target", "noise", "a parameter that an observation names as its spread", where=f"parameter {name!r}"
        )
        for name in sorted(noise - {spread for spread in spreads if isinstance(spread, str)})
    ]
    settable = [(f"parameter {p.name!r}", p.name) for p in parameters if p.target == "model"]
    settable += [(f"fixed {item.name!r}", item.name) for item in fixed]
    owner: dict[str, str] = {name: f"parameter {name!r}" for name in noise}
    for where, name in settable:
        fault = _setting_problem(model, name, where)
        if fault is not None:
            problems.append(fault)
        key = output_key(name)
        if key in owner or split_key(key)[0] in owner:
            problems.append(
                InvalidValue("name", name, f"a constant that is set once; {owner.get(key)} sets it", where=where)
            )
        owner[key] = where
    names = [parameter.name for parameter in parameters]
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.append(InvalidValue("name", name, "each parameter once", where=FILE))
    return problems


def _element_problem(model: Model, name: str, where: str) -> CiparkError | None:
    base, elements = split_key(output_key(name))
    variable = model.by_name.get(base)
    if variable is None:
        labels = [v.label for v in model.variables if v.name not in CONTROL]
        return UnknownName(name.partition("[")[0].strip(), labels, where=f"{where}: model {model.name}")
    combinations_ = model.elements(variable)
    if elements in combinations_:
        return None
    shown = [f"{variable.label}[{','.join(labels)}]" if labels else variable.label for labels in combinations_]
    return (
        UnknownName(name, shown, kind="element", where=f"{where}: model {model.name}")
        if elements
        else InvalidValue("the variable", name, "one element of it: " + ", ".join(shown[:8]), where=where)
    )


def _output_problem(model: Model, name: str, where: str) -> CiparkError | None:
    fault = _element_problem(model, name, where)
    if fault is None and isinstance(model[split_key(output_key(name))[0]], Lookup):
        return InvalidValue("the variable", name, "one with a course over time, not a lookup", where=where)
    return fault


def _setting_problem(model: Model, name: str, where: str) -> CiparkError | None:
    fault = _element_problem(model, name, where)
    if fault is not None:
        return fault
    variable = model[split_key(output_key(name))[0]]
    match variable:
        case Constant() | Stock():
            return None
        case _:
            return InvalidValue("name", name, f"a constant or a stock, not the {kind(variable)} it is", where=where)


def _times(
    model: Model, span: Scenario, observations: Sequence[Observation], holdout: Sequence[float]
) -> list[CiparkError]:
    initial = model.time.initial if span.initial_time is None else span.initial_time
    final = model.time.final if span.final_time is None else span.final_time
    expected = f"a time of the run, {initial:g} to {final:g}"
    problems: list[CiparkError] = []
    for observation in observations:
        outside: dict[float, str] = {}
        for term in observation.terms:
            for quantity in term.quantities:
                outside |= {t: term.label for t in quantity.times if not initial <= t <= final and math.isfinite(t)}
                if quantity.how != "at" and not quantity.start < quantity.end:
                    window = f"{quantity.start:g} to {quantity.end:g}"
                    problems.append(
                        InvalidValue("the window", window, "a start before its end", where=repr(term.label))
                    )
        problems += [InvalidValue("the time", time, expected, where=repr(label)) for time, label in outside.items()]
    problems += [InvalidValue("origins", t, expected, where="[holdout]") for t in holdout if not initial < t < final]
    return problems


def describe(term: Term) -> str:
    """What was seen, for tables: a number, an interval, ``>= n``, or counts by category."""
    match term:
        case Count() | Share():
            if term.lower == term.upper:
                return f"{term.lower:g}"
            open_end = math.isinf(term.upper) or (isinstance(term, Share) and term.upper == term.total)
            return f">= {term.lower:g}" if open_end else f"{term.lower:g} to {term.upper:g}"
        case Breakdown():
            return "/".join(f"{count:g}" for count in term.counts)
        case _:
            assert_never(term)
