"""What ``cipark sensitivity`` asks about a study.

Parameters that a study fits keep their priors; ``sensitivity.toml`` beside ``problem.toml`` adds the constants that are
held fixed in the fit, and says which outputs are looked at, and when.
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial

from calibration.study.priors import Prior, Triangular, Uniform, distribution
from calibration.study.problem import CalibrationProblem
from calibration.study.sections import read_prior
from cipark_sd.errors import CiparkError, collected, raise_all
from cipark_sd.inputs import read_toml
from cipark_sd.naming import respelled
from cipark_sd.scenarios import Scenario, override_key, resolve
from cipark_sd.section import Section
from cipark_sd.sensitivities.evaluation import Output, Question
from cipark_sd.sensitivities.factors import Factor, Factors, Shares, check_factors
from cipark_sd.sensitivities.ranking import Moment
from cipark_sd.timegrid import time_label

FILE = "sensitivity.toml"


def read_question(problem: CalibrationProblem, parameters: Sequence[Factor]) -> Question:
    """Factors, outputs and moments of a study.

    Without a ``sensitivity.toml`` the factors are the fitted parameters alone and the outputs are the observed
    variables at the end of the run.

    Raises
    ------
    InvalidValue, UnknownName, Problems
    """
    path = problem.folder / FILE
    content = respelled(read_toml(path), problem.model.by_name) if path.exists() else {}
    problems: list[CiparkError] = []
    top = Section(content, "", problems)
    blocks: list[Factor | Shares] = list(parameters)
    blocks += [factor for section in top.sections("factor") if (factor := _factor(section)) is not None]
    blocks += [shares for shares in top.unnamed("shares", _shares) if shares is not None]
    outputs = top.unnamed("output", _output)
    moments = top.unnamed("moment", partial(_moment, units=problem.model.time.units))
    if "drain" in top:
        top.raw("drain")
        top.wrong("drain", "none: a stock has its lower limit in the model file, as [0,?]")
    every = top.number("every", 0.0)
    top.note_unread()
    raise_all(str(path), problems)
    factors = Factors(tuple(blocks))
    check_factors(factors, where=str(path))
    drawn = {override_key(name) for name in factors.names}
    held = {name: value for name, value in problem.fixed if override_key(name) not in drawn}
    scenario = Scenario("", held)
    resolved = resolve(problem.model, scenario)
    return Question(
        problem.title,
        problem.model,
        factors,
        outputs or _observed(problem),
        moments or (Moment("at the end", resolved.final_time),),
        scenario,
        every or None,
    )


def _observed(problem: CalibrationProblem) -> tuple[Output, ...]:
    """What the study fits or holds out; a row that is only looked at adds no output."""
    terms = [term for term in problem.terms if term.use != "check"]
    names = dict.fromkeys(name for term in terms for quantity in term.quantities for name, _ in quantity.parts)
    return tuple(Output(name, name) for name in names)


def _factor(section: Section) -> Factor | None:
    why = section.text("why")
    low, high = section.ends("bounds")
    mode = section.number("mode", float("nan"))
    prior = _prior(section, low, high, mode)
    section.note_unread()
    if prior is not None and section.sound:
        try:
            return Factor(section.title, distribution(prior, low, high).quantile, why)
        except ValueError as fault:
            section.wrong("prior", str(fault))
    return None


def _prior(section: Section, low: float, high: float, mode: float) -> Prior | None:
    """A family with its numbers; with ``mode`` a triangle between the bounds; else flat between them."""
    content = section.raw("prior")
    if content is None:
        if mode != mode:
            return Uniform(low, high)
        if low <= mode <= high:
            return Triangular(low, mode, high)
        section.wrong("mode", f"a number from {low:g} to {high:g}")
        return None
    return read_prior(section, content)


def _shares(section: Section) -> Shares | None:
    parts = section.names("parts")
    means = section.raw("means")
    concentration, total = section.number("concentration"), section.number("total", 1.0)
    why = section.text("why")
    numbers = [float(x) for x in means if isinstance(x, int | float)] if isinstance(means, list) else []
    if len(numbers) != len(parts) or len(parts) < 2 or min(numbers, default=0.0) <= 0:
        section.wrong("means", "as many positive numbers as parts, two at least")
    if not concentration > 0:
        section.wrong("concentration", "a positive number")
    return None if not section.sound else Shares(parts, tuple(numbers), concentration, total, why)


def _output(section: Section) -> Output:
    variable = section.text("variable")
    label = section.text("label", variable or "?")
    without = section.raw("without")
    reach = section.ends("range", (-math.inf, math.inf))
    if without is None:
        return Output(label, variable, None, reach)
    if not isinstance(without, Mapping):
        section.wrong("without", 'a table such as { "SW CMG" = 0 }')
        return Output(label, variable)
    return Output(label, variable, collected(section.problems, partial(Scenario, "without", dict(without))), reach)


def _moment(section: Section, units: str) -> Moment:
    time = section.number("time", 0.0)
    label = section.text("label", time_label(time, units))
    if "time" not in section:
        section.wrong("time", "a number")
    return Moment(label, time)
