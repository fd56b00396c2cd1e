"""What the model says the data would be: replicated observations over joint draws, their bands, ranks and scores."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from calibration.assess.scores import LEVELS, crps_sample, quantiles, randomised_pit
from calibration.fit.residuals import labels_of
from calibration.likelihood.posterior import Posterior
from calibration.likelihood.replicate import replicate_by_term
from calibration.likelihood.streams import term_streams
from calibration.study.observations import Use
from calibration.study.priors import Array


@dataclass(frozen=True, slots=True)
class Predicted:
    """One observed number against the replicates of all draws.

    ``low`` to ``high`` is the central 90 %, ``quarter`` to ``three_quarters`` the central 50 %. ``pit`` is the
    randomised probability integral transform, uniform if the model is right. ``log_score`` is the log of the mean
    density of the whole term. ``crps`` is the continuous ranked probability score; it and ``pit`` are None for an
    interval.
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
    pit: float | None
    crps: float | None
    log_score: float

    def within(self, mass: float) -> bool:
        """Whether the central 50 or 90 % band meets the observed interval."""
        low, high = (self.low, self.high) if mass > 0.7 else (self.quarter, self.three_quarters)
        return self.lower <= high and self.upper >= low


def predict(density: Posterior, theta: Array, rng: np.random.Generator) -> list[Predicted]:
    """All observed numbers, whatever their use, given joint draws ``theta : (n, k)``.

    Those of an autocorrelated series are predicted from the fitted ones before them. Draws for which the model has no
    value of a number that is fitted or held out are left out; a number that is only looked at leaves out none but its
    own.
    """
    values = density.quantities(theta)
    logs = density.pointwise(theta, fitted_only=False)
    counts = np.repeat(
        [term.use != "check" for term in density.problem.terms],
        [len(term.quantities) for term in density.problem.terms],
    )
    usable = np.isfinite(values[:, counts]).all(axis=-1)
    theta, logs = theta[usable], logs[usable]
    rows: list[Predicted] = []
    drawn_by_term = replicate_by_term(density, theta, rng, one_step=True)
    streams = term_streams(rng, density.problem.terms)
    for i, (term, replicates) in enumerate(zip(density.problem.terms, drawn_by_term, strict=True)):
        score = float(np.logaddexp.reduce(logs[:, i]) - math.log(len(logs)))
        for (label, lower, upper), drawn in zip(labels_of(term), replicates.T, strict=True):
            drawn = drawn[np.isfinite(drawn)] if term.use == "check" else drawn
            low, quarter, median, three_quarters, high = quantiles(drawn, LEVELS)
            exact = lower == upper and len(drawn) > 0
            rows.append(
                Predicted(
                    label,
                    term.use,
                    lower,
                    upper,
                    low,
                    quarter,
                    median,
                    three_quarters,
                    high,
                    randomised_pit(drawn, lower, upper, streams[i]) if exact else None,
                    crps_sample(drawn, lower) if exact else None,
                    score,
                )
            )
    return rows


@dataclass(frozen=True, slots=True)
class Score:
    """How numbers of one use were predicted, taken together."""

    use: Use
    n: int
    log_score: float
    crps: float
    within_50: float
    within_90: float


def scores(density: Posterior, predicted: list[Predicted]) -> Iterator[Score]:
    """One a use; the log score adds up whole terms, the others are means over numbers."""
    numbers = iter(predicted)
    by_use: dict[Use, tuple[list[float], list[Predicted]]] = {}
    for term in density.problem.terms:
        rows = [next(numbers) for _ in labels_of(term)]
        logs, all_rows = by_use.setdefault(term.use, ([], []))
        logs.append(rows[0].log_score)
        all_rows.extend(rows)
    for use, (logs, rows) in by_use.items():
        exact = [row.crps for row in rows if row.crps is not None]
        yield Score(
            use,
            len(rows),
            sum(logs),
            float(np.mean(exact)) if exact else math.nan,
            float(np.mean([row.within(0.5) for row in rows])),
            float(np.mean([row.within(0.9) for row in rows])),
        )
