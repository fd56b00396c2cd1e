"""A posterior with its gradient in normal scores of the prior, turned and stretched to about unit scale."""

from dataclasses import dataclass

import numpy as np

from calibration.likelihood.gradient import log_likelihood_and_gradient
from calibration.sampling.normal_scores import NormalScores
from cipark_sd.arrays import Array

#: Weight of a unit matrix in an estimated covariance, in draws, and its size: as Stan has them.
SHRINKAGE, UNIT = 5.0, 1e-3


@dataclass(frozen=True, eq=False)
class SlopedScores:
    """The posterior of ``scores`` at points ``y``, which stand for scores ``centre + y factor'``.

    Parameters
    ----------
    centre : (k,)
    factor : (k, k)
        Lower triangle.
    """

    scores: NormalScores
    centre: Array
    factor: Array

    @classmethod
    def around(cls, scores: NormalScores, points: Array) -> "SlopedScores":
        """At unit scale where ``points : (n, k)`` of the posterior, as scores, lie."""
        n, k = points.shape
        covariance = (n * np.atleast_2d(np.cov(points.T)) + SHRINKAGE * UNIT * np.eye(k)) / (n + SHRINKAGE)
        return cls(scores, points.mean(axis=0), np.linalg.cholesky(covariance))

    def scores_of(self, points: Array) -> Array:
        """Scores of points ``(…, k)``."""
        return np.asarray(self.centre + points @ self.factor.T)

    def points_of(self, scores: Array) -> Array:
        """Undoes :meth:`scores_of`."""
        from scipy.linalg import solve_triangular

        shape = scores.shape
        away = (scores - self.centre).reshape(-1, shape[-1])
        return np.asarray(solve_triangular(self.factor, away.T, lower=True).T.reshape(shape))

    def __call__(self, points: Array) -> tuple[Array, Array]:
        """Log density of the scores ``(n,)`` and its derivatives by ``points : (n, k)``.

        The prior of scores is standard normal, so that a parameter moves with its score by the density of that over its
        own.
        """
        scores = self.scores_of(points)
        logs, slopes = self.scores.log_prior(scores), np.zeros_like(scores)
        possible = np.isfinite(logs)
        if possible.any():
            inside = scores[possible]
            theta = self.scores.theta(inside)
            likelihood, by_theta = log_likelihood_and_gradient(self.scores.density, theta)
            logs[possible] += likelihood
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                moved = np.exp(-0.5 * inside**2 - 0.5 * np.log(2 * np.pi) - self.scores.space.log_priors(theta))
                slopes[possible] = by_theta * moved - inside
        logs = np.where(np.isnan(logs), -np.inf, logs)
        slopes = np.where(np.isfinite(logs)[:, None] & np.isfinite(slopes), slopes, 0.0)
        return logs, slopes @ self.factor
