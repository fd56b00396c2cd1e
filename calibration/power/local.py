"""A posterior as a normal distribution about its mode, corrected by importance weights.

Coordinates are normal scores: the prior is standard normal, so that a constant of which the data say little is normal
already. Points of a Student distribution about the mode are weighed by the posterior, and the mean of their weights is
the evidence. Their scale is the posterior's where numbers are linear and their noise is normal: the inverse of the
prior's information, which is 1, and that of the expected numbers. Scores that move nothing are drawn from their prior.

Source: Geweke 1989, Econometrica 57, 1317-1339 (importance weights over a Student distribution about the mode).
"""

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.inference.profile.information import standardised_rows
from calibration.inference.sample.densities import FARTHEST, NormalScores, log_density
from calibration.inference.sample.importance import smoothed
from calibration.inference.sample.student_mixture import StudentMixture
from calibration.likelihood.gradient import of_values
from cipark_sd.base.arrays import Array

#: Half the distance of difference quotients, in standard deviations of the prior: it errs by a thousandth of the slope
#: of a quantile, and dates of a model move by whole time steps over it.
STEP = 0.05
#: The same for the second derivative by a parameter of the noise, which no run of the model blurs.
WIDE_STEP = 0.2
#: Steps to a mode at most, the gain in log density that ends them, and how often a step is halved.
STEPS, SETTLED, HALVED = 12, 0.05, 6
#: The gain from which on a step has gone so far that the precision is another one.
FAR = 2.0
#: Degrees of freedom of the points, and their scale over that of the posterior. Of six structures of a park, with 19 to
#: 23 scores that move something, 5 degrees leave 50 to 180 effective points of 2,000, and 60 too few in the tails.
FREEDOM, WIDER = 15.0, 1.1


@dataclass(frozen=True, eq=False)
class Local:
    """Weighted points of a posterior.

    Parameters
    ----------
    points : (n, k)
        Normal scores.
    weights : (n,)
        Summing to 1, with a smoothed tail.
    log_evidence, error : float
        Log marginal likelihood given what is held, and its standard error.
    pareto_k : float
        Of the weights.
    """

    points: Array
    weights: Array
    log_evidence: float
    error: float
    pareto_k: float

    @property
    def widths(self) -> Array:
        """Standard deviations ``(k,)``, those of the prior being 1."""
        return np.sqrt(self.weights @ (self.points - self.weights @ self.points) ** 2)

    def draws(self, n: int, rng: np.random.Generator) -> Array:
        """``(n, k)`` of the points by their weights, each as often as it should be, to within one."""
        edges = np.cumsum(self.weights)
        places = np.searchsorted(edges, (rng.random() + np.arange(n)) / n * edges[-1])
        return self.points[rng.permutation(np.minimum(places, len(edges) - 1))]


def information(scores: NormalScores, point: Array) -> Array:
    """What each fitted term is expected to tell of the scores ``(n_terms, k, k)``; nothing of the noise.

    Parameters
    ----------
    point : (k,)
    """
    density, k = scores.density, len(point)
    theta = scores.theta(np.concatenate([point + STEP * np.eye(k), point - STEP * np.eye(k)]))
    rows = standardised_rows(density, scores.theta(point), density.by_term(theta))
    terms = np.zeros((len(density.problem.terms), k, k))
    for place, block in rows.items():
        slopes = np.array([row[:k] - row[k:] for row in block]).reshape(-1, k) / (2 * STEP)
        terms[place] = slopes.T @ slopes
    return terms


def local_fit(
    scores: NormalScores, start: Array, rng: np.random.Generator, n: int, held: Collection[int] = ()
) -> Local:
    """Weighted points of a posterior.

    Parameters
    ----------
    start : (k,)
        Where the mode is climbed to from.
    n : int
        Points.
    held : collection of int
        Places of scores that stay as they are at the start; their priors count nowhere.
    """
    free = ~np.isin(np.arange(len(start)), list(held))
    middle, precision = _mode(scores, np.array(start, dtype=float), free)
    moved = free & (np.diagonal(precision) > 1)
    points = np.repeat(middle[None], n, axis=0)
    points[:, free & ~moved] = rng.standard_normal((n, int((free & ~moved).sum())))
    covariance = np.linalg.inv(precision[np.ix_(moved, moved)])
    root = np.linalg.cholesky(WIDER * covariance)
    student = StudentMixture(np.ones(1), middle[None, moved], root[None], FREEDOM)
    points[:, moved] = student.draw(n, rng)
    # what is held or drawn from its prior has that prior on both sides
    outside = (0.5 * points[:, ~moved] ** 2 + 0.5 * math.log(2 * math.pi)).sum(axis=1)
    ratio = log_density(scores, points) + outside - student.log_density(points[:, moved])
    top = float(ratio.max())
    if not math.isfinite(top):
        return Local(points, np.full(n, 1 / n), -math.inf, math.nan, math.inf)
    plain = np.exp(ratio - top)
    logs, pareto_k = smoothed(ratio)
    error = float(plain.std(ddof=1) / plain.mean() / math.sqrt(n))
    return Local(points, np.exp(logs), top + math.log(plain.mean()), error, pareto_k)


def _slopes(scores: NormalScores, point: Array) -> tuple[Array, Array, Array]:
    """Quantities ``(q,)``, derivatives by the scores ``(q, k)``, and that of each parameter by its own ``(k,)``."""
    k, moves = len(point), STEP * np.eye(len(point))
    theta = scores.theta(np.concatenate([point[None], point + moves, point - moves]))
    values = scores.density.quantities(theta)
    by_scores = (values[1 : k + 1] - values[k + 1 :]).T / (2 * STEP)
    return values[0], by_scores, np.diagonal(theta[1 : k + 1] - theta[k + 1 :]) / (2 * STEP)


def _precision(scores: NormalScores, point: Array) -> Array:
    """Prior and expected information ``(k, k)``, and of the noise the curvature of the likelihood."""
    precision = information(scores, point).sum(axis=0)
    noise = np.flatnonzero(~scores.space.is_model)
    moves = WIDE_STEP * np.eye(len(point))[noise]
    logs = scores.log_likelihood(np.concatenate([point[None], point + moves, point - moves]))
    with np.errstate(invalid="ignore"):
        bends = (2 * logs[0] - logs[1 : len(noise) + 1] - logs[len(noise) + 1 :]) / WIDE_STEP**2
    precision[noise, noise] += np.where(np.isfinite(bends), np.maximum(bends, 0.0), 0.0)
    return np.asarray(precision + np.eye(len(point)))


def _mode(scores: NormalScores, point: Array, free: NDArray[np.bool_]) -> tuple[Array, Array]:
    """The mode near a possible point, and the precision ``(k, k)`` about it."""
    value, precision = float(log_density(scores, point[None])[0]), _precision(scores, point)
    for _ in range(STEPS):
        numbers, by_scores, by_own = _slopes(scores, point)
        _, by_numbers, by_theta = of_values(scores.density, numbers[None], scores.theta(point)[None])
        read = np.isfinite(by_scores).all(axis=1)
        slope = by_numbers[0, read] @ by_scores[read] + by_theta[0] * by_own - point
        step = np.zeros_like(point)
        step[free] = np.linalg.solve(precision[np.ix_(free, free)], slope[free])
        trials = np.clip(point + step * 0.5 ** np.arange(float(HALVED))[:, None], STEP - FARTHEST, FARTHEST - STEP)
        reached = log_density(scores, trials)
        gain = float(reached.max()) - value
        if not gain > 0:
            break
        point, value = trials[int(reached.argmax())], value + gain
        if gain < SETTLED:
            break
        if gain > FAR:
            precision = _precision(scores, point)
    return point, _precision(scores, point)
