"""A posterior with its gradient in normal scores of the prior, straightened, turned and stretched to unit scale."""

from dataclasses import dataclass, replace

import numpy as np

from calibration.likelihood.gradient import log_likelihood_and_gradient
from calibration.sampling.normal_scores import NormalScores
from calibration.sampling.shears import Shear, straightening
from cipark_sd.arrays import Array
from cipark_sd.checkpoints import Arrays

#: Weight of a unit matrix in an estimated covariance, in draws, and its size: as Stan has them.
SHRINKAGE, UNIT = 5.0, 1e-3


@dataclass(frozen=True, eq=False)
class SlopedScores:
    """The posterior of ``scores`` at points ``y``, which stand for scores ``centre + y factor'``, bent by the shears.

    Parameters
    ----------
    centre : (k,)
    factor : (k, k)
        Lower triangle.
    shears : tuple of Shear
        The first one is applied last.
    power : float
        Of the likelihood: less than 1 for a posterior that is as wide as with fewer data.
    """

    scores: NormalScores
    centre: Array
    factor: Array
    shears: tuple[Shear, ...] = ()
    power: float = 1.0

    @classmethod
    def around(cls, scores: NormalScores, points: Array, power: float = 1.0) -> "SlopedScores":
        """At unit scale where ``points : (n, k)`` of the posterior, as scores, lie."""
        n, k = points.shape
        shears = straightening(points)
        for shear in shears:
            points = shear.straighten(points)
        covariance = (n * np.atleast_2d(np.cov(points.T)) + SHRINKAGE * UNIT * np.eye(k)) / (n + SHRINKAGE)
        return cls(scores, points.mean(axis=0), np.linalg.cholesky(covariance), shears, power)

    def balanced(self, drawn: Array) -> "SlopedScores":
        """The same in a scale that balances how ``drawn : (n, k)``, scores, and the slopes there spread.

        The geometric mean of the draws' covariance and the inverse of the slopes': of a normal both are the same, and
        where sheets turn, the slopes know how thin they are. Source: Bhatia 2007, Positive Definite Matrices, chapter 4
        (the mean of two matrices); Cai and others 2024, PMLR 235, 5258-5297 (a normal that matches draws and slopes).
        """
        points = self.points_of(drawn)
        slopes = self(points)[1]
        unit = UNIT * np.eye(points.shape[1])
        spread, steepness = np.cov(points.T) + unit, slopes.T @ slopes / len(slopes) + unit
        root = _root(spread)
        scale = root @ np.linalg.inv(_root(root @ steepness @ root)) @ root
        return replace(self, factor=self.factor @ np.linalg.cholesky((scale + scale.T) / 2))

    def arrays(self) -> Arrays:
        """What the points stand for, without the posterior."""
        return {
            "centre": self.centre,
            "factor": self.factor,
            "bent": np.array([(shear.bent, shear.by) for shear in self.shears], dtype=np.intp).reshape(-1, 2),
            "slopes": np.array([shear.slopes for shear in self.shears]).reshape(-1, len(self.centre)),
        }

    @classmethod
    def of(cls, scores: NormalScores, stored: Arrays) -> "SlopedScores":
        """Undoes :meth:`arrays`."""
        centre, factor, slopes = (np.array(stored[name], dtype=float) for name in ("centre", "factor", "slopes"))
        pairs = np.array(stored["bent"], dtype=np.intp).tolist()
        shears = tuple(Shear(bent, by, of_one) for (bent, by), of_one in zip(pairs, slopes, strict=True))
        return cls(scores, centre, factor, shears)

    def scores_of(self, points: Array) -> Array:
        """Scores of points ``(…, k)``."""
        scores = self.centre + points @ self.factor.T
        for shear in reversed(self.shears):
            scores = shear.bend(scores)
        return np.asarray(scores)

    def points_of(self, scores: Array) -> Array:
        """Undoes :meth:`scores_of`."""
        from scipy.linalg import solve_triangular

        shape = scores.shape
        for shear in self.shears:
            scores = shear.straighten(scores)
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
            logs[possible] += self.power * likelihood
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                moved = np.exp(-0.5 * inside**2 - 0.5 * np.log(2 * np.pi) - self.scores.space.log_priors(theta))
                slopes[possible] = self.power * by_theta * moved - inside
        logs = np.where(np.isnan(logs), -np.inf, logs)
        slopes = np.where(np.isfinite(logs)[:, None] & np.isfinite(slopes), slopes, 0.0)
        for shear in self.shears:
            # a shear moves no coordinate that it reads, so that bent points have what it needs
            slopes = shear.back(scores, slopes)
            scores = shear.straighten(scores) if len(self.shears) > 1 else scores
        return logs, slopes @ self.factor


def _root(matrix: Array) -> Array:
    """The symmetric root of a positive definite matrix; an eigenvalue that rounding makes negative is its least."""
    values, vectors = np.linalg.eigh(matrix)
    least = len(values) * np.finfo(float).eps * values[-1]
    return np.asarray((vectors * np.sqrt(np.maximum(values, least))) @ vectors.T)
