"""What the model says the data would be: replicated observations over joint draws, their bands, ranks and scores."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from calibration.assess.scores import LEVELS, crps_sample, quantiles
from calibration.fit.quantile_residuals import place_of
from calibration.likelihood.posterior import Posterior
from calibration.likelihood.replicate import labels_of, replicate_by_term
from calibration.sampling.importance import RELIABLE, left_out_weights
from calibration.study.observations import Breakdown, Count, Term, Use
from cipark_sd.arrays import Array

#: What an observed number is: a count, a measurement, a count out of a known total, a cell of a breakdown.
Kind = Literal["count", "measurement", "share", "cell"]


def kind_of(term: Term) -> Kind:
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
    kind: Kind
    crps: float | None
    log_score: float


def predict(density: Posterior, theta: Array, rng: np.random.Generator, *, r_eff: float = 1.0) -> list[Predicted]:
    """All observed numbers, whatever their use, given joint draws ``theta : (n, k)``.

    Those of an autocorrelated series are predicted from the fitted ones before them. Draws for which the model has no
    value of a number that is fitted or held out are left out; a number that is only looked at leaves out none but its
    own. ``r_eff`` is the share of the draws that is effective,
    :func:`calibration.sampling.importance.relative_efficiency`.
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
