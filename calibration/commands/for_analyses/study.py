"""A study of this package as analyses see it; the module is its :class:`cipark_sd.analysis.study.StudyReader`.

What policies do is a difference to a base; where the base has 155 firms and 60 were counted, it is the base of another
park. The middle of the draws is set against the data, with the noise that the study gives them: not the whole of what
the draws allow, since a wide prior contains nearly everything and that is no reason to believe its middle.

``sensitivity.toml`` beside ``problem.toml`` is what ``cipark sensitivity`` asks: parameters that the study fits keep
their priors; the file adds constants that are held fixed in the fit, and says which outputs are looked at, and when.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from calibration.assess.rivals import with_variant
from calibration.commands.for_analyses.draws import find_draws
from calibration.commands.for_analyses.fitted_study import (
    argument_of,
    as_fitted,
    as_in_fit,
    find_fit,
    rows_words,
)
from calibration.commands.for_analyses.study_draws import as_draws
from calibration.inference.sample.densities import prior_draws
from calibration.likelihood.posterior import On, Posterior
from calibration.likelihood.replicate import replicate_by_term
from calibration.noise.priors import Prior, Triangular, Uniform, distribution, to_scale
from calibration.report.findings import NOT_YET
from calibration.study import DEFAULT_STUDY as DEFAULT_STUDY
from calibration.study import FILE as FILE
from calibration.study import shipped_studies as shipped_studies
from calibration.study.asked import asked_outcome
from calibration.study.calendar import Calendar
from calibration.study.observations import Count, Observation, course_of, reporting_of
from calibration.study.parameters import share_that_may_fail
from calibration.study.problem import CalibrationProblem, read_problem, with_question
from calibration.study.sections import read_prior
from cipark_sd.analysis.experiments.definition import Structure
from cipark_sd.analysis.sensitivities.evaluation import Output, Question
from cipark_sd.analysis.sensitivities.factors import Factor, Factors, Shares, check_factors
from cipark_sd.analysis.sensitivities.ranking import Moment
from cipark_sd.analysis.study import DrawRequest, DrawSet, FittedDraws
from cipark_sd.base.arrays import Array
from cipark_sd.base.console import Bars
from cipark_sd.base.errors import CiparkError, UnusableInput, collected, raise_all
from cipark_sd.base.inputs import read_toml
from cipark_sd.base.naming import override_key, respelled
from cipark_sd.base.section import Section
from cipark_sd.base.wording import rounded
from cipark_sd.data import estimands
from cipark_sd.data.scenarios import Scenario, resolve
from cipark_sd.model.model import Model
from cipark_sd.statements.claims import UNSEEN

#: The central share of what noise makes of the middle draw, over all series together; what lies outside contradicts.
CENTRAL = 0.95
#: Random numbers beyond each end of that share: the chance that lies beyond is then known to a third.
_BEYOND = 10
#: Prior draws whose middle is set against the data.
_PRIOR_DRAWS = 500
QUESTIONS = "sensitivity.toml"


def contradictions(density: Posterior, theta: Array, rng: np.random.Generator) -> Iterator[str]:
    """Each fitted series of counts or measurements of which the last number lies outside the noise of the middle draw.

    Increments are added up from the first to the last, so that a series of entries is judged by how many there are in
    the end.

    Parameters
    ----------
    theta : (n, k)
        Of the density's parameters, in order.
    rng : Generator
        Of the noise around the middle draw.

    Returns
    -------
    iterator of str
        A sentence without its full stop for each such series.
    """
    expected = density.by_term(theta)
    judged = list(_last_numbers(density.problem.observations))
    # all series together fail a right model no more often than one alone would
    beyond = (1 - CENTRAL) / 2 / max(len(judged), 1)
    n = math.ceil(_BEYOND / beyond)
    noise = theta[np.arange(n) % len(theta)][:, ~density.space.is_model]
    for observation, chosen in judged:
        model = np.sum([expected[i][:, 0] for i in chosen], axis=0)
        known = np.flatnonzero(np.isfinite(model))
        if not len(known):
            continue
        middle = known[np.argsort(model[known], kind="stable")[len(known) // 2]]
        around = np.repeat(theta[None, middle], n, axis=0)
        around[:, ~density.space.is_model] = noise
        by_term = replicate_by_term(density, around, rng)
        made = np.sum([by_term[i][:, 0] for i in chosen], axis=0)
        usable = made[np.isfinite(made)]
        # the noise of a count, say, is around no negative number
        low, high = np.quantile(usable, [beyond, 1 - beyond]) if len(usable) else (np.inf, -np.inf)
        terms = [term for i in chosen if isinstance(term := density.problem.terms[i], Count)]
        lower, upper = sum(term.lower for term in terms), sum(term.upper for term in terms)
        if upper < low or lower > high:
            of = "best fit" if len(theta) == 1 else "median of the draws"
            observed = f"{lower:.4g}" if lower == upper else f"{lower:.4g} to {upper:.4g}"
            date = density.problem.calendar.label(terms[-1].quantity.end)
            if low > high:
                words = f"{model[middle]:.4g} in the model, which no data can be around"
            else:
                number, least, most = (rounded(float(value), high - low) for value in (model[middle], low, high))
                words = (
                    f"{number} in the model ({of}; noise of the data allows {least} to {most}), {observed} in the data"
                )
            yield f"{observation.name} by {date}: {words}"


def _last_numbers(observations: Sequence[Observation]) -> Iterator[tuple[Observation, list[int]]]:
    """Each fitted series with the positions, among all terms, of those that its last number is the sum of."""
    position = 0
    for observation in observations:
        fitted = {
            i: term
            for i, term in enumerate(observation.terms, position)
            if isinstance(term, Count) and term.use == "fit"
        }
        position += len(observation.terms)
        if fitted and observation.kind == "increments":
            yield observation, list(fitted)
        elif fitted:
            yield observation, [max(fitted, key=lambda i: fitted[i].quantities[0].end)]


def read(folder: Path, allow_files: Sequence[Path] = ()) -> "CalibrationStudy":
    """The study in a folder, with the time step and the question of its fit.

    Its files may lie beneath ``allow_files`` as well.

    Raises
    ------
    InvalidValue, UnknownName, Problems
    """
    return CalibrationStudy(as_in_fit(read_problem(folder, allow_files=allow_files)))


@dataclass(frozen=True)
class CalibrationStudy:
    """A model with data, priors and rival structures."""

    problem: CalibrationProblem
    has_data: bool = True

    @property
    def allowed(self) -> float:
        """The share of runs that may fail."""
        return share_that_may_fail(self.problem.space)

    @property
    def name(self) -> str:
        """That of its folder."""
        return self.problem.folder.resolve().name

    @property
    def title(self) -> str:
        """For people."""
        return self.problem.title

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self.problem.folder

    @property
    def argument(self) -> str:
        """A blank and the folder; empty for the study that runs when none is named."""
        return argument_of(self.problem)

    @property
    def model(self) -> Model:
        """What is fitted."""
        return self.problem.model

    @property
    def scenario(self) -> Scenario:
        """What the study holds fixed, and its step, over the whole time of the model rather than that of the data."""
        return Scenario("", dict(self.problem.fixed), time_step=self.problem.scenario.time_step)

    @cached_property
    def parameters(self) -> tuple[Factor, ...]:
        """Those of the model, not of the noise."""
        return tuple(
            Factor(
                parameter.name, parameter.distribution.quantile, parameter.why, partial(to_scale, scale=parameter.scale)
            )
            for parameter in self.problem.space
            if parameter.target == "model"
        )

    @property
    def structures(self) -> tuple[Structure, ...]:
        """The rivals that it refits."""
        return self.problem.rivals

    def draws(self, request: DrawRequest, bars: Bars) -> DrawSet:
        """From the posterior at hand, best fits, files or the priors; fitted first where that is asked for."""
        return find_draws(self.problem, request, bars)

    def fit_at_hand(self) -> FittedDraws | None:
        """Of ``cipark calibrate``, in its usual place."""
        fit = find_fit(self.problem)
        if fit is None:
            return None
        if fit.draws is None:
            ways = f"'{fit.command} --posterior' makes them, '--draws prior' goes without a fit"
            raise UnusableInput(f"it has no posterior draws: {ways}", where=f"the fit in {fit.source}")
        spelt = {override_key(name): name for name in self.problem.space.names}
        columns = {spelt[key]: values for key, values in fit.draws.values.items()}
        return FittedDraws(fit.draws.basis, columns, fit.source, fit.digest)

    def rows_of(self, digest: str) -> str:
        """A sentence where draws with this fingerprint are of the rows up to a date; empty where not."""
        return rows_words((as_fitted(self.problem, digest) or (None, ""))[1])

    def contradictions(self, structure: Structure | None, draw_set: DrawSet | None, *, seed: int, engine: str) -> str:
        """Where the middle of the draws has numbers that the noise of the data, as those draws have it, rules out."""
        problem = self.problem
        if draw_set is not None:
            problem, _ = as_fitted(problem, draw_set.study_digest) or (problem, "")
        problem = problem if structure is None else with_variant(problem, structure)
        density = On(engine)(problem)
        if draw_set is None or structure is None:
            rng = np.random.default_rng(seed)
            draws = as_draws(problem, prior_draws(problem.space, _PRIOR_DRAWS, rng), "prior")
        else:
            rng, draws = np.random.default_rng([seed, 3]), draw_set.draws[structure.id]
        # before a fit it is the middle of what was assumed of the noise, after one what the draws have
        noise = {} if draws.origin in UNSEEN else draws.noise
        known = {override_key(name): values for name, values in (*draws.values.items(), *noise.items())}
        theta = np.tile(problem.space.medians, (len(draws), 1))
        for position, parameter in enumerate(problem.space):
            theta[:, position] = known.get(override_key(parameter.name), theta[:, position])
        return "; ".join(contradictions(density, theta, rng))

    def moment(self, text: str) -> Moment:
        """By the study's calendar."""
        return _moment_at(self.problem.calendar, self.problem.calendar.model_time(text))

    def question(self, about: str | None = None) -> Question:
        """What its ``sensitivity.toml`` asks, after what its fit was asked, or ``about`` is."""
        problem = with_question(self.problem, about, where="--about") if about else self.problem
        question = replace(read_question(problem, self.parameters), asides=dict.fromkeys(_waiting(problem), NOT_YET))
        return question if about == "" else _with_asked(question, problem)


def _waiting(problem: CalibrationProblem) -> set[str]:
    """Variables, by override key, of which counts come later than what they count."""
    courses = filter(None, map(course_of, problem.observations))
    return {override_key(name) for course in courses if reporting_of(course) for name, _ in course.parts}


def _with_asked(question: Question, problem: CalibrationProblem) -> Question:
    """The question with what the study was asked first; as it is where that is no course, or another world's.

    A metric is of the whole course, which is looked at where each step is saved.
    """
    model, outcome = problem.model, asked_outcome(problem)
    resolved = resolve(model, question.scenario)
    whole = question.every is None and resolved.saveper == resolved.time_step
    if outcome is None or (outcome[1] and not whole):
        return question
    of, metric = outcome
    name = of.parts[0][0]
    against = "" if of.against is None else f", change from {estimands.settings(model, of.against)}"
    label = f"{metric} of {model.label(name)}".capitalize() if metric else model.label(name)

    def is_asked(output: Output) -> bool:
        before, after = ({} if world is None else world.overrides for world in (output.without, of.against))
        return override_key(output.variable) == override_key(name) and output.metric == metric and before == after

    moment = _moment_at(problem.calendar, of.time)
    new = Output(f"{label}{against}", name, of.against, metric=metric)
    first = next((output for output in question.outputs if is_asked(output)), new)
    date = next((date for date in question.moments if math.isclose(date.time, of.time)), moment)
    outputs = (first, *(output for output in question.outputs if output is not first))
    moments = (date, *(later for later in question.moments if later is not date))
    return replace(question, outputs=outputs, moments=moments, is_asked=True)


def read_question(problem: CalibrationProblem, parameters: Sequence[Factor]) -> Question:
    """Factors, outputs and moments of a study.

    Without a ``sensitivity.toml`` the factors are the fitted parameters alone and the outputs are the observed
    variables at the end of the run.

    Raises
    ------
    InvalidValue, UnknownName, Problems
    """
    path = problem.folder / QUESTIONS
    content = respelled(read_toml(path), problem.model.by_name) if path.exists() else {}
    problems: list[CiparkError] = []
    top = Section(content, "", problems)
    blocks: list[Factor | Shares] = list(parameters)
    blocks += [factor for section in top.sections("factor") if (factor := _factor(section)) is not None]
    blocks += [shares for shares in top.unnamed("shares", _shares) if shares is not None]
    outputs = top.unnamed("output", _output)
    moments = top.unnamed("moment", partial(_moment, calendar=problem.calendar))
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
    scenario = Scenario("", held, time_step=problem.scenario.time_step)
    resolved = resolve(problem.model, scenario)
    return Question(
        title=problem.title,
        model=problem.model,
        factors=factors,
        outputs=outputs or _observed(problem),
        moments=moments or (Moment("at the end", resolved.final_time),),
        scenario=scenario,
        every=every or None,
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


def _moment(section: Section, calendar: Calendar) -> Moment:
    moment = _moment_at(calendar, section.time("time", calendar.model_time))
    return replace(moment, label=section.text("label", moment.label))


def _moment_at(calendar: Calendar, time: float) -> Moment:
    return Moment(calendar.label(time), time)
