"""What the estimates, intervals and verdicts of a fit are conditional on: one value, and its sentences, for all pages.

- the verdict of each parameter: what the profile says, whether data or priors decide, and which held constants matter;
- held constants for which the data ask for another value (:mod:`calibration.inference.judge.held`);
- series whose residuals stay on one side of the model (:mod:`calibration.inference.judge.residuals`);
- estimates far from their prior medians;
- running totals that are fitted as levels (:mod:`calibration.study.cumulative`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from calibration.inference.judge.held import Held, HeldConstants, held_constants
from calibration.inference.judge.identifiability import DECIDES, Identifiability, shares
from calibration.inference.judge.residuals import Runs, runs_words, series_runs
from calibration.inference.judge.verification import (
    COARSE,
    asked_step_words,
    half_step_sentence,
    on_step_bounds,
    remedy,
    step_words,
)
from calibration.inference.profile.information import ONE_SD
from calibration.inference.profile.profile import Profile
from calibration.inference.profile.verdict import Side, Verdict
from calibration.inference.search.optimise import Optimum
from calibration.noise.priors import to_scale
from calibration.study.cumulative import cumulative_levels, cumulative_words
from calibration.study.parameters import Parameter
from cipark_sd.base.wording import first_of, listed, number

if TYPE_CHECKING:
    import pandas as pd

#: Prior standard deviations from the prior median beyond which an estimate contradicts its prior.
FAR = 2.0
#: Held constants that a verdict names, and a sentence lists; the others are counted and stand in ``held.csv``.
NAMED = 2
_first_few = partial(first_of, most=NAMED, surplus="more that are held")


@dataclass(frozen=True, slots=True)
class ParameterVerdict:
    """What is said of the estimate of one fitted parameter.

    Parameters
    ----------
    profile : Verdict, optional
        None where no profile was asked for.
    held : tuple of Held
        Held constants on which the estimate rests.
    by_data : float
        Share of the data in what is known of it while the others' priors count, 1 where no prior counts.
    by_own_prior : float
        Share of its own prior, which its profile leaves out.
    leaning_on : tuple of str
        Fitted parameters whose priors make up for what the data do not say.
    distance : float
        Of the estimate from the prior median, in prior standard deviations.
    step_bound : bool
        Whether that is a bound which the time step alone sets.
    """

    name: str
    profile: Verdict | None
    held: tuple[Held, ...]
    by_data: float
    by_own_prior: float
    leaning_on: tuple[str, ...]
    distance: float
    estimate: float
    median: float
    at_bound: bool
    step_bound: bool = False

    @property
    def by(self) -> str:
        """What bounds a side of the profile that is bounded."""
        if self.by_data >= DECIDES:
            return "the data"
        return "the data with the priors of " + (listed(self.leaning_on) if self.leaning_on else "the others together")

    def __str__(self) -> str:
        """The verdict as it stands beside the interval."""
        without = "at a bound" if self.at_bound else ""
        words = without if self.profile is None else self.profile.words(self.by)
        if self.by_own_prior > DECIDES:
            words += f"{'; ' if words else ''}the estimate comes mainly from the prior"
        if self.held:
            words += f"{', given ' if words else 'given '}{given_words(self.held)}"
        return words


def given_words(held: Sequence[Held]) -> str:
    """Held constants with their values, the first ones by name."""
    return _first_few([f"{constant.name} = {constant.value:.4g}" for constant in held])


@dataclass(frozen=True, slots=True)
class Conditions:
    """All that a fit is conditional on.

    Parameters
    ----------
    parameters : tuple of ParameterVerdict
        Of the fitted parameters, in order.
    levels : tuple of str and int
        Running totals that are fitted as levels, each with how many of its numbers are.
    shift : float
        How far half the time step moves an expected number, in standard deviations of its noise.
    remedy : str
        What to write into problem.toml where that is too far.
    asked_step : str
        The time step and the method in words, where the user has asked for them; empty where they are the study's.
    """

    parameters: tuple[ParameterVerdict, ...]
    held: HeldConstants
    runs: tuple[Runs, ...]
    levels: tuple[tuple[str, int], ...]
    shift: float = 0.0
    remedy: str = ""
    asked_step: str = ""

    def of(self, name: str) -> ParameterVerdict | None:
        """The verdict of a fitted parameter, None of any other."""
        return next((verdict for verdict in self.parameters if verdict.name == name), None)

    @property
    def first(self) -> str:
        """What makes all numbers doubtful, and so is said before any of them; empty where nothing does."""
        return half_step_sentence(self.shift, self.remedy) if self.shift > COARSE and not self.asked_step else ""

    @property
    def under_step(self) -> str:
        """What every number is under: a step that is too coarse and was asked for; empty where it serves."""
        return asked_step_words(self.asked_step, self.shift) if self.asked_step and self.shift > COARSE else ""

    @property
    def of_the_step(self) -> str:
        """What is said of the time step before any number; empty where nothing is."""
        return f"All numbers are {self.under_step}: none is called known." if self.under_step else self.first

    @property
    def on_step_bounds(self) -> tuple[ParameterVerdict, ...]:
        """Estimates on bounds that the time step alone sets, with which no misfit says anything of the model."""
        return tuple(verdict for verdict in self.parameters if verdict.step_bound)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What keeps the intervals from meaning what they say: these stand first on every page."""
        of_the_model = () if self.on_step_bounds else (*runs_words(self.runs), *wanted_words(self.held))
        return (
            *cumulative_words(self.levels),
            *of_the_model,
            *_other_words(self.parameters),
            *(far_words(verdict) for verdict in self.parameters if abs(verdict.distance) > FAR),
        )

    @property
    def remarks(self) -> tuple[str, ...]:
        """What else is to be known of the verdicts."""
        sentences = []
        resting = [verdict.name for verdict in self.parameters if verdict.held]
        if resting:
            sentences.append(
                f"What {listed(resting)} {'is' if len(resting) == 1 else 'are'} given is fixed: another "
                "value of it would move the estimate by more than a standard error, or is confounded with it in the "
                "data. The interval treats the value as known; --posterior varies what has a prior."
            )
        if self.held.why_not:
            sentences.append(self.held.why_not[:1].upper() + self.held.why_not[1:] + ".")
        return tuple(sentences)


def _other_words(verdicts: Sequence[ParameterVerdict]) -> list[str]:
    """Other optima that are as good as the estimate."""
    values = [
        f"{verdict.name} {listed(number(value) for value in verdict.profile.alternatives)}"
        for verdict in verdicts
        if verdict.profile is not None and verdict.profile.alternatives
    ]
    if not values:
        return []
    return [f"Another optimum is as good as the estimate: {'; '.join(values)}."]


def step_bound_words(verdicts: Sequence[ParameterVerdict]) -> str:
    """What is said of estimates on bounds that the time step alone sets, with what to do; empty without any."""
    if not verdicts:
        return ""
    where = listed(f"{verdict.name} at {number(verdict.estimate)}" for verdict in verdicts)
    lies = "lies on a bound" if len(verdicts) == 1 else "lie on bounds"
    return (
        f"{where} {lies} that only the time step sets and that a smaller one moves: fit with a smaller --step. Until "
        "then a misfit says nothing of the model."
    )


def wanted_words(held: HeldConstants) -> list[str]:
    """Held constants for which the data ask for another value, and how to have them fitted."""
    significant = held.significant
    if not significant:
        return []
    first, n = significant[0], held.n_tested
    after = f" after {n} tests" if n > 1 else ""
    sentences = [
        f"{first.name} is held at {first.value:.4g}; the data favour a {first.asks_for} value (score test, "
        f"p = {held.adjusted(first):.2g}{after}): fit it ({first.toml} in problem.toml), or say why its value is known."
    ]
    if len(significant) > 1:
        further = [f"{constant.name} = {constant.value:.4g} ({constant.asks_for})" for constant in significant[1:]]
        sentences.append(
            f"The same misfit, or another one, shows in {_first_few(further)}: fit one of them, then look again "
            "(held.csv)."
        )
    return sentences


def far_words(verdict: ParameterVerdict) -> str:
    """An estimate that contradicts its prior."""
    where = "above" if verdict.distance > 0 else "below"
    return (
        f"The estimate of {verdict.name}, {verdict.estimate:.4g}, lies {abs(verdict.distance):.1f} prior standard "
        f"deviations {where} its prior median {verdict.median:.4g}. Replace a placeholder; where the prior is "
        "knowledge, look for what else the model lacks."
    )


def conditions(
    optimum: Optimum,
    identifiability: Identifiability,
    profiles: Iterable[Profile],
    rows: "pd.DataFrame",
    shift: float = 0.0,
    *,
    asked_step: bool = False,
) -> Conditions:
    """What the fit at an optimum is conditional on.

    Parameters
    ----------
    identifiability : Identifiability
        There.
    profiles : iterable of Profile
        As far as they were computed.
    rows : pd.DataFrame
        Fitted numbers, as of :func:`calibration.inference.judge.residuals.fitted`.
    shift : float
        As of :func:`calibration.inference.judge.verification.shift_at_half_the_step`.
    asked_step : bool
        Whether the user has asked for the time step or the method.
    """
    problem, engine = optimum.goal.density.problem, optimum.goal.density.runner.engine.name
    by_profile = {result.name: result.verdict for result in profiles}
    information = shares(optimum, identifiability)
    held = held_constants(optimum, information, engine)
    verdicts, by_step = [], on_step_bounds(optimum)
    for position in optimum.goal.free:
        parameter, estimate = problem.space.parameters[position], float(optimum.theta[position])
        name, inner = parameter.name, parameter.name in information.names
        deciding = held.deciding(name)
        verdicts.append(
            ParameterVerdict(
                name=name,
                profile=unbounded(by_profile.get(name), deciding),
                held=deciding,
                by_data=information.of_data(name) if inner else 1.0,
                by_own_prior=information.of_own_prior(name) if inner else 0.0,
                leaning_on=information.leaning_on(name) if inner else (),
                distance=prior_distance(parameter, estimate),
                estimate=estimate,
                median=parameter.median,
                at_bound=name in optimum.at_bound,
                step_bound=name in by_step,
            )
        )
    levels = cumulative_levels(problem.model, problem.observations)
    runs = series_runs(rows, problem.observations)
    step = step_words(problem) if asked_step else ""
    return Conditions(tuple(verdicts), held, runs, levels, shift, remedy(optimum, shift, engine), step)


def unbounded(verdict: Verdict | None, held: Sequence[Held]) -> Verdict | None:
    """A verdict that has no ends where the data cannot tell the parameter from a held one whose prior is its own.

    A constant without a prior is taken for known, and the interval is the one given its value.

    Parameters
    ----------
    verdict : Verdict, optional
        None where no profile was computed.
    held : sequence of Held
        Held constants on which the estimate rests.
    """
    guesses = [constant.name for constant in held if constant.alias and constant.source == "prior"]
    if verdict is None or not guesses:
        return verdict
    reason = f"not identified by the data: confounded with {listed(guesses)}"
    lower, upper = (Side("open", side.at, reason) for side in (verdict.lower, verdict.upper))
    return replace(verdict, lower=lower, upper=upper, gaps=())


def prior_distance(parameter: Parameter, value: float) -> float:
    """From the prior median, in halves of the central 68% of the prior, on the scale that suits its family.

    A uniform prior is flat on its own scale, whichever one is searched: no estimate within its bounds contradicts it.
    """
    scale = parameter.prior.natural
    low, high = to_scale(np.array(parameter.interval(ONE_SD)), scale)
    estimate, middle = to_scale(np.array([value, parameter.median]), scale)
    return float((estimate - middle) / ((high - low) / 2))


def conditions_record(conditions: Conditions) -> dict[str, object]:
    """For a program: what each estimate is conditional on, the clear score tests, runs and what is warned of."""
    return {
        "warnings": [
            *filter(None, [step_bound_words(conditions.on_step_bounds), conditions.of_the_step]),
            *conditions.warnings,
        ],
        "remarks": list(conditions.remarks),
        "parameters": {
            verdict.name: {
                "verdict": str(verdict),
                "conditional_on": {held.name: held.value for held in verdict.held},
                "share_of_data": verdict.by_data,
                "share_of_own_prior": verdict.by_own_prior,
                "leans_on_priors_of": list(verdict.leaning_on),
                "prior_sds_from_median": verdict.distance if np.isfinite(verdict.distance) else None,
            }
            for verdict in conditions.parameters
        },
        "score_tests": conditions.held.n_tested,
        "data_ask_for": {
            constant.name: {
                "held_at": constant.value,
                "asks_for": constant.asks_for,
                "p": constant.probability,
                "p_adjusted": conditions.held.adjusted(constant),
            }
            for constant in conditions.held.significant
        },
        "runs": [
            {
                "observation": test.observation,
                "above": test.above,
                "below": test.below,
                "runs": test.runs,
                "p_few_runs": test.few_runs,
                "p_one_sided": test.one_sided,
            }
            for test in conditions.runs
        ],
        "running_totals_fitted_as_levels": [name for name, _ in conditions.levels],
    }


def held_table(tests: HeldConstants) -> list[dict[str, object]]:
    """A line a held constant that matters to the fitted numbers, what asks most clearly for another value first."""
    ordered = sorted(tests.constants, key=lambda constant: -abs(constant.score) if np.isfinite(constant.score) else 0.0)
    return [
        {
            "constant": constant.name,
            "held_at": constant.value,
            "from": constant.source,
            "influence": constant.influence,
            "score": constant.score if np.isfinite(constant.score) else None,
            "p": constant.probability if np.isfinite(constant.probability) else None,
            "p_adjusted": tests.adjusted(constant) if np.isfinite(constant.probability) else None,
            **{f"shifts {name}": value for name, value in constant.shifts},
        }
        for constant in ordered
    ]
