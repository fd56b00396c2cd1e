"""What the model says the data would be, and what a study reports of it: over joint draws, and over the priors alone.

Replicated observations with their bands, ranks and scores; reported predictions without the noise of an observation.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from calibration.assess.scores import LEVELS, crps_sample, quantiles
from calibration.inference.optimum.residuals import place_of
from calibration.inference.sampling.draws import PosteriorDraws
from calibration.inference.sampling.importance import RELIABLE, left_out_weights
from calibration.likelihood.forward import all_reported
from calibration.likelihood.posterior import Posterior
from calibration.likelihood.replicate import Stage, labels_of, numbers, replicate_by_term, stage_numbers
from calibration.study.observations import Breakdown, Count, Level, Observation, Term, Use
from cipark_sd.base.arrays import Array, evenly
from cipark_sd.statements.claims import Kind, class_of

#: What an observed number is: a count, a measurement, a count out of a known total, a cell of a breakdown.
NumberKind = Literal["count", "measurement", "share", "cell"]
#: Kinds of observation whose numbers are counts or measurements over time.
DATED = ("increments", "level", "flow")
#: Central mass of the intervals; posterior draws at most, evenly spaced, and draws of the priors.
LEVEL, DRAWS, PRIOR_DRAWS = 0.9, 4000, 2000
_QUANTILES = ((1 - LEVEL) / 2, 0.25, 0.5, 0.75, (1 + LEVEL) / 2)


def kind_of(term: Term) -> NumberKind:
    """Of the numbers of a term."""
    if isinstance(term, Breakdown):
        return "cell"
    if isinstance(term, Count):
        return "count" if term.noise.family.discrete else "measurement"
    return "share"


@dataclass(frozen=True, slots=True)
class Predicted:
    """One observed number against the replicates of all draws.

    ``low`` to ``high`` is the central 90 %, ``quarter`` to ``three_quarters`` the central 50 %. ``log_score`` is the
    log of the mean density of the whole term. ``crps`` is the continuous ranked probability score, None for an
    interval.

    ``pit`` is the randomised probability integral transform, uniform if the model is right. That of a fitted number is
    under the posterior without its term, by importance weights, where ``pareto_k`` says that these are good;
    ``left_out`` is False where they are not and the number has been seen by its prediction. ``kind`` is what the number
    is; cells of a breakdown add up to a total, so that their PITs depend on each other.
    """

    label: str
    use: Use
    lower: float
    upper: float
    low: float
    quarter: float
    median: float
    three_quarters: float
    high: float
    pit: float
    left_out: bool
    pareto_k: float
    kind: NumberKind
    crps: float | None
    log_score: float


def predict(density: Posterior, theta: Array, rng: np.random.Generator, *, r_eff: float = 1.0) -> list[Predicted]:
    """All observed numbers, whatever their use, given joint draws ``theta : (n, k)``.

    Those of an autocorrelated series are predicted from the fitted ones before them. Draws for which the model has no
    value of a number that is fitted or held out are left out; a number that is only looked at leaves out none but its
    own. ``r_eff`` is the share of the draws that is effective,
    :func:`calibration.inference.sampling.importance.relative_efficiency`.
    """
    seed = density.problem.method.seed
    names = [observation.name for observation in density.problem.observations for _ in observation.terms]
    values = density.quantities(theta)
    logs = density.pointwise(theta, fitted_only=False)
    counts = np.repeat(
        [term.use != "check" for term in density.problem.terms],
        [len(term.quantities) for term in density.problem.terms],
    )
    usable = np.isfinite(values[:, counts]).all(axis=-1)
    theta, logs = theta[usable], logs[usable]
    conditional = density.pointwise(theta, fitted_only=False, known="others", weighted=False)
    rows: list[Predicted] = []
    drawn_by_term = replicate_by_term(density, theta, rng, one_step=True)
    for i, (term, replicates) in enumerate(zip(density.problem.terms, drawn_by_term, strict=True)):
        score = float(np.logaddexp.reduce(logs[:, i]) - math.log(len(logs)))
        weights, pareto_k = np.full(len(theta), 1 / len(theta)), 0.0
        if term.use == "fit":
            smoothed, pareto_k = left_out_weights(conditional[:, i], term.weight, r_eff)
            weights = smoothed if pareto_k <= RELIABLE else weights
        for (label, lower, upper), drawn in zip(labels_of(term), replicates.T, strict=True):
            if term.use == "check":
                drawn = drawn[np.isfinite(drawn)]
                weights = np.full(len(drawn), 1 / max(len(drawn), 1))
            low, quarter, median, three_quarters, high = quantiles(drawn, LEVELS)
            rows.append(
                Predicted(
                    label, term.use, lower, upper, low, quarter, median, three_quarters, high,
                    pit=_pit(drawn, weights, lower, upper, place_of(seed, "pit", names[i], label)),
                    left_out=pareto_k <= RELIABLE, pareto_k=pareto_k, kind=kind_of(term),
                    crps=crps_sample(drawn, lower) if lower == upper and len(drawn) else None, log_score=score,
                )
            )  # fmt: skip
    return rows


def _pit(drawn: Array, weights: Array, lower: float, upper: float, place: float) -> float:
    """At ``place``, 0 to 1, between the weighted shares of draws below what was seen and not above it."""
    below, up_to = float(weights @ (drawn < lower)), float(weights @ (drawn <= upper))
    return below + place * (up_to - below)


def judged(rows: Sequence[Predicted]) -> list[Predicted]:
    """The fitted numbers whose PITs may be looked at together: all of one kind, counts where there are any.

    Cells of a breakdown are none of them: one follows from the others.
    """
    fitted = [row for row in rows if row.use == "fit"]
    for kind in ("count", "measurement", "share"):
        chosen = [row for row in fitted if row.kind == kind]
        if chosen:
            return chosen
    return []


@dataclass(frozen=True, eq=False)
class Band:
    """Predictions of one observation, increments added up.

    Parameters
    ----------
    times : (n_times,)
        Without those at which the model has no value; empty where it never has one.
    quantiles : (n_levels, n_times)
        At :data:`calibration.assess.scores.LEVELS`.
    observed : tuple of Level
        What was seen at those times, and beside a band that is not added up also what is only looked at.
    """

    observation: str
    times: Array
    quantiles: Array
    observed: tuple[Level, ...]


def bands(observations: Sequence[Observation], replicates: Array) -> Iterator[Band]:
    """A band for each observation of :data:`DATED`.

    Parameters
    ----------
    replicates : (n, n_numbers)
        As of :func:`calibration.likelihood.replicate.replicate`.
    """
    every = numbers(observations)
    has_value = np.asarray(np.isfinite(replicates).any(axis=0))
    for observation in observations:
        if observation.kind not in DATED:
            continue
        rows = every[every["observation"] == observation.name]
        # a number that is only looked at has no part in the band; where the model has no value there is none
        counted = (rows["use"] != "check").to_numpy()
        counted = has_value[rows.index] & (counted if counted.any() else ~counted)
        banded, aside = rows[counted], rows[~counted]
        if not len(banded):
            yield Band(observation.name, np.zeros(0), np.zeros((len(LEVELS), 0)), ())
            continue
        predicted = replicates[:, banded.index]
        if observation.kind == "increments":
            # beside a band of increments that are added up, a level has no place
            predicted, aside = predicted.cumsum(axis=1), rows[:0]
            middle, half = ((banded["lower"] + banded["upper"]) / 2).cumsum(), (banded["upper"] - banded["lower"]) / 2
            banded = banded.assign(lower=middle - half, upper=middle + half)
        quantiles = np.nanquantile(predicted, LEVELS, axis=0, method="inverted_cdf")
        levels = pd.concat([banded, aside])[["time", "lower", "upper", "use"]].itertuples(index=False, name=None)
        yield Band(observation.name, banded["time"].to_numpy(), quantiles, tuple(levels))


@dataclass(frozen=True, slots=True)
class DrawnPrediction:
    """A reported prediction: the model's own number, without the noise of an observation.

    Parameters
    ----------
    name : str
    quantiles : five numbers
        Of the posterior: 5, 25, 50, 75 and 95 %; NaN where the model failed with all draws.
    prior_low, prior_high : float
        Ends of the central 90 % under the priors alone.
    failed : float
        Share of the posterior draws with which the model failed.
    kind : Kind or None
        Its class; None where the model failed with all draws.
    """

    name: str
    quantiles: tuple[float, ...]
    prior_low: float
    prior_high: float
    failed: float
    kind: Kind | None = None


def drawn_predictions(drawn: PosteriorDraws) -> tuple[DrawnPrediction, ...]:
    """The study's predictions, in order; the priors' draws are those of prediction profiles."""
    problem, engine = drawn.density.problem, drawn.density.runner.engine
    theta = evenly(drawn.flat, DRAWS)
    rng = stage_numbers(problem.method.seed, Stage.PREDICTIONS_OF_PRIORS)
    prior = problem.space.from_unit(rng.random((PRIOR_DRAWS, len(problem.space))))
    values, alone = (all_reported(problem, problem.predictions, engine, rows) for rows in (theta, prior))
    lines = []
    for prediction, of_draws, of_prior in zip(problem.predictions, values.T, alone.T, strict=True):
        low, *_, high = central_quantiles(of_prior)
        failed = 1 - float(np.isfinite(of_draws).mean())
        judged = np.isfinite(of_draws).any() and np.isfinite(of_prior).any()
        kind = class_of([(of_prior, of_draws)], is_change=prediction.against is not None) if judged else None
        lines.append(DrawnPrediction(prediction.name, central_quantiles(of_draws), low, high, failed, kind))
    return tuple(lines)


def central_quantiles(values: Array) -> tuple[float, ...]:
    usable = values[np.isfinite(values)]
    return tuple(np.quantile(usable, _QUANTILES).tolist()) if len(usable) else (np.nan,) * len(_QUANTILES)
