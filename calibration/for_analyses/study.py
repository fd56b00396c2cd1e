"""A study of this package as analyses see it; the module is its :class:`cipark_sd.study.StudyReader`.

Whether the model, with some draws of its parameters, has numbers that the data rule out.

What policies do is a difference to a base; where the base has 155 firms and 60 were counted, it is the base of another
park. The middle of the draws is set against the data, with the noise that the study gives them: not the whole of what
the draws allow, since a wide prior contains nearly everything and that is no reason to believe its middle.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from calibration.assess.rivals import with_variant
from calibration.for_analyses.draws import argument_of, find_draws
from calibration.for_analyses.optima import FIT, not_taken
from calibration.for_analyses.question import read_question
from calibration.for_analyses.study_draws import after_fit, posterior_in
from calibration.likelihood.posterior import On, Posterior
from calibration.likelihood.replicate import replicate_by_term
from calibration.sampling.densities import prior_draws
from calibration.sampling.draws import problem_digest
from calibration.study.library import DEFAULT_STUDY as DEFAULT_STUDY
from calibration.study.library import FILE as FILE
from calibration.study.library import shipped_studies as shipped_studies
from calibration.study.observations import Count
from calibration.study.parameters import share_that_may_fail
from calibration.study.priors import to_scale
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd.arrays import Array
from cipark_sd.console import Bars
from cipark_sd.experiments.definition import Structure
from cipark_sd.experiments.draws import Draws
from cipark_sd.files import OUTPUT_FOLDER
from cipark_sd.model.model import Model
from cipark_sd.scenarios import Scenario, override_key
from cipark_sd.sensitivities.evaluation import Question
from cipark_sd.sensitivities.factors import Factor
from cipark_sd.study import DrawRequest, DrawSet, FittedDraws
from cipark_sd.wording import rounded

#: The central share of what noise alone would make of the middle draw; a number outside it contradicts.
CENTRAL = 0.95
_REPLICATES = 2000


@dataclass(frozen=True, slots=True)
class Contradiction:
    """One series: what was counted by a date, and what the middle draw has there with the band of its noise.

    The band is empty, ``low`` above ``high``, where the noise cannot be around what the model has. ``of`` says which
    run it is.
    """

    observation: str
    date: str
    lower: float
    upper: float
    model: float
    low: float
    high: float
    of: str

    def __str__(self) -> str:
        observed = f"{self.lower:.4g}" if self.lower == self.upper else f"{self.lower:.4g} to {self.upper:.4g}"
        if self.low > self.high:
            return f"{self.observation} by {self.date}: {self.model:.4g} in the model, which no data can be around"
        model, low, high = (rounded(value, self.high - self.low) for value in (self.model, self.low, self.high))
        return (
            f"{self.observation} by {self.date}: {model} in the model ({self.of}; noise of the data allows "
            f"{low} to {high}), {observed} in the data"
        )


def contradictions(density: Posterior, theta: Array, rng: np.random.Generator) -> Iterator[Contradiction]:
    """Each fitted series of counts or measurements of which the last number lies outside the noise of the middle draw.

    Increments are added up from the first to the last, so that a series of entries is judged by how many there are in
    the end.

    Parameters
    ----------
    theta : (n, k)
        Of the density's parameters, in order.
    """
    expected = density.by_term(theta)
    position = 0
    for observation in density.problem.observations:
        members = list(range(position, position := position + len(observation.terms)))
        chosen = [i for i in members if isinstance(t := density.problem.terms[i], Count) and t.use == "fit"]
        if not chosen:
            continue
        if observation.kind != "increments":
            chosen = [max(chosen, key=lambda i: density.problem.terms[i].quantities[0].end)]
        model = np.sum([expected[i][:, 0] for i in chosen], axis=0)
        known = np.flatnonzero(np.isfinite(model))
        if not len(known):
            continue
        middle = known[np.argsort(model[known], kind="stable")[len(known) // 2]]
        terms = [term for i in chosen if isinstance(term := density.problem.terms[i], Count)]
        by_term = replicate_by_term(density, np.repeat(theta[None, middle], _REPLICATES, axis=0), rng)
        made = np.sum([by_term[i][:, 0] for i in chosen], axis=0)
        usable = made[np.isfinite(made)]
        # the noise of a count, say, is around no negative number
        low, high = np.quantile(usable, [(1 - CENTRAL) / 2, (1 + CENTRAL) / 2]) if len(usable) else (np.inf, -np.inf)
        lower, upper = sum(term.lower for term in terms), sum(term.upper for term in terms)
        if upper < low or lower > high:
            date = density.problem.calendar.label(terms[-1].quantity.end)
            numbers = (lower, upper, float(model[middle]), float(low), float(high))
            of = "best fit" if len(theta) == 1 else "median of the draws"
            yield Contradiction(observation.name, date, *numbers, of)


#: Prior draws whose middle is set against the data.
_PRIOR_DRAWS = 500


def read(folder: Path, allow_files: Sequence[Path] = ()) -> "CalibrationStudy":
    """The study in a folder; its files may lie beneath ``allow_files`` as well.

    Raises
    ------
    InvalidValue, UnknownName, Problems
    """
    return CalibrationStudy(read_problem(folder, allow_files=allow_files))


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
        """What the study holds fixed, over the whole time of the model rather than that of the data."""
        return Scenario("", dict(self.problem.fixed))

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

    def digest(self, structure: Structure) -> str:
        """Of model, data, priors and settings."""
        if not structure.scenario.overrides:
            # the study as it stands, as a calibration has it
            return problem_digest(self.problem)
        return problem_digest(with_variant(self.problem, structure))

    def draws(self, request: DrawRequest, bars: Bars) -> DrawSet:
        """From the posterior at hand, best fits, files or the priors; fitted first where that is asked for."""
        return find_draws(self.problem, request, bars)

    def fit_at_hand(self) -> FittedDraws | None:
        """Of ``cipark calibrate``, in its usual place."""
        return after_fit(self.problem)

    def fit_not_taken(self) -> str:
        """It is of other rows, priors or another version of the model, or has no draws."""
        place = OUTPUT_FOLDER / self.name
        if why := not_taken(self.problem, place):
            return why
        without = (place / FIT).is_file() and posterior_in(place, self.problem) is None
        return f"The fit in {place} has no posterior draws: --posterior makes them." if without else ""

    def contradictions(self, structure: Structure | None, draws: Draws | None, *, seed: int, engine: str) -> str:
        """Where the middle of the draws has numbers that the noise of the data does not allow."""
        problem = self.problem if structure is None else with_variant(self.problem, structure)
        density = On(engine)(problem)
        if draws is None:
            rng = np.random.default_rng(seed)
            theta = prior_draws(problem.space, _PRIOR_DRAWS, rng)
        else:
            rng = np.random.default_rng([seed, 3])
            theta = np.tile(problem.space.medians, (len(draws), 1))
            for position, parameter in enumerate(problem.space):
                theta[:, position] = draws.values.get(override_key(parameter.name), theta[:, position])
        return "; ".join(map(str, contradictions(density, theta, rng)))

    def question(self) -> Question:
        """What its ``sensitivity.toml`` asks."""
        return read_question(self.problem, self.parameters)
