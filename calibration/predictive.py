"""What the model says the data would be: replicated observations over joint draws, their bands, ranks and scores."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from calibration.fitted import labels_of
from calibration.observations import Breakdown, Count, Share, Term, Use
from calibration.posterior import Posterior
from calibration.priors import Array


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
    """All observed numbers, whatever their use, given joint draws ``theta : (n, k)``."""
    values = density.quantities(theta)
    logs = density.pointwise(theta, fitted_only=False)
    usable = np.isfinite(values).all(axis=-1)
    theta, values, logs = theta[usable], values[usable], logs[usable]
    rows: list[Predicted] = []
    position = 0
    for i, term in enumerate(density.problem.terms):
        here = values[:, position : position + len(term.quantities)]
        position += len(term.quantities)
        replicates = replicate(term, here, density.spread(term.noise, theta), rng)
        score = float(np.logaddexp.reduce(logs[:, i]) - math.log(len(logs)))
        for (label, lower, upper), drawn in zip(labels_of(term), replicates.T, strict=True):
            low, quarter, median, three_quarters, high = np.quantile(drawn, [0.05, 0.25, 0.5, 0.75, 0.95]).tolist()
            exact = lower == upper
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
                    _pit(drawn, lower, rng) if exact else None,
                    crps(drawn, lower) if exact else None,
                    score,
                )
            )
    return rows


def replicate(term: Term, values: Array, spread: Array, rng: np.random.Generator) -> Array:
    """One replicate of a term's numbers for each draw ``(n, n_numbers)``; ``values : (n, n_quantities)``."""
    match term:
        case Count():
            return _count(term, values, spread, rng)[:, None]
        case Breakdown():
            shares = np.clip(values, 0, None)
            shares = shares / shares.sum(axis=-1, keepdims=True)
            if term.noise.family == "dirichlet-multinomial":
                gammas = rng.gamma(np.maximum(spread[:, None] * shares, 1e-12))
                shares = gammas / gammas.sum(axis=-1, keepdims=True)
            return rng.multinomial(int(sum(term.counts)), shares).astype(float)
        case Share():
            p = np.clip(values[:, 0] / values[:, 1], 0, 1)
            return rng.binomial(int(term.total), p).astype(float)[:, None]
        case _:
            assert_never(term)


def _count(term: Count, values: Array, spread: Array, rng: np.random.Generator) -> Array:
    mean = values[:, 0]
    match term.noise.family:
        case "normal":
            return rng.normal(mean, spread)
        case "lognormal":
            return np.asarray(np.clip(mean, 0, None) * np.exp(spread * rng.standard_normal(len(mean))))
        case "student-t":
            return np.asarray(mean + spread * rng.standard_t(term.noise.dof, len(mean)))
        case family:
            gained = np.maximum(values[:, 0] if term.gains is None else values[:, 1], 0.0)
            if family == "poisson":
                counts = rng.poisson(gained)
            else:
                # a negative binomial is Poisson with a gamma mean: of variance alpha mean (NB1) or alpha mean² (NB2)
                shape = gained / spread if family == "nb1" else np.broadcast_to(1 / spread, gained.shape)
                scale = spread if family == "nb1" else gained * spread
                counts = rng.poisson(np.where(gained > 0, rng.gamma(np.maximum(shape, 1e-300), scale), 0.0))
            if term.gains is None:
                return counts.astype(float)
            return (counts - rng.poisson(np.maximum(gained - values[:, 0], 0.0))).astype(float)


def _pit(drawn: Array, seen: float, rng: np.random.Generator) -> float:
    """Source: Czado, Gneiting and Held 2009, Biometrics 65(4), 1254-1261, randomised between the steps of a count."""
    below, at = float((drawn < seen).mean()), float((drawn == seen).mean())
    return below + float(rng.random()) * at


def crps(drawn: Array, seen: float) -> float:
    """Continuous ranked probability score of a sample ``(n,)``: mean distance less half the mean distance within.

    Source: Gneiting and Raftery 2007, JASA 102(477), 359-378, equation 21.
    """
    ordered = np.sort(drawn)
    n = len(ordered)
    within = float((ordered * (2 * np.arange(1, n + 1) - n - 1)).sum()) * 2 / n**2
    return float(np.abs(ordered - seen).mean()) - within / 2


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
