"""A posterior with its gradient in normal scores of the prior, straightened, turned and stretched to unit scale.

No covariance sees a bend. Where data fix a product, as the size of a walk times where it went, a coordinate lies near a
curved sheet: narrow across, and across is another direction at every place. A trajectory then steps as the narrowest
place wants it. A *shear* takes from a coordinate its products with one other that tell of it, which leaves the sheet
flat, and volumes as they are.

Source: Parno and Marzouk 2018, SIAM/ASA Journal on Uncertainty Quantification 6(2), 645-682 (maps that straighten a
posterior, fitted to its draws); these are triangular ones of a single component.
"""

from dataclasses import dataclass, replace

import numpy as np

from calibration.inference.sample.densities import NormalScores
from calibration.inference.small_algebra import forward, rounded
from calibration.likelihood.gradient import log_likelihood_and_gradient
from cipark_sd.base.arrays import Array
from cipark_sd.base.checkpoints import Arrays

#: By how much the variance around what the others tell has to fall, how many may follow each other, and draws for each
#: number that is fitted.
FALL, MOST, DRAWS = 1.5, 6, 4
#: What is added to a variance of 1, so that none is 0.
RIDGE = 1e-9
#: Weight of a unit matrix in an estimated covariance, in draws, and its size: as Stan has them.
SHRINKAGE, UNIT = 5.0, 1e-3


@dataclass(frozen=True, eq=False)
class Shear:
    """Coordinate ``bent`` is what it was plus that of ``by`` times the ``slopes : (k,)``, which leave ``bent`` out."""

    bent: int
    by: int
    slopes: Array

    def bend(self, points: Array) -> Array:
        """Of straight points ``(…, k)``."""
        moved = points.copy()
        moved[..., self.bent] += points[..., self.by] * (points @ self.slopes)
        return moved

    def straighten(self, points: Array) -> Array:
        """Undoes :meth:`bend`."""
        moved = points.copy()
        moved[..., self.bent] -= points[..., self.by] * (points @ self.slopes)
        return moved

    def back(self, points: Array, slopes: Array) -> Array:
        """Derivatives by straight ``points : (n, k)`` of what has derivatives ``slopes : (n, k)`` by the bent ones."""
        moved = slopes + (slopes[:, self.bent] * points[:, self.by])[:, None] * self.slopes
        moved[:, self.by] += slopes[:, self.bent] * (points @ self.slopes)
        return moved


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
        factor = rounded_factor(np.linalg.cholesky(covariance))
        return cls(scores, rounded(points.mean(axis=0), np.diag(factor)), factor, shears, power)

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
        return replace(self, factor=rounded_factor(self.factor @ np.linalg.cholesky((scale + scale.T) / 2)))

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
        for shear in self.shears:
            scores = shear.straighten(scores)
        return np.moveaxis(forward(self.factor, np.moveaxis(scores - self.centre, -1, 0)), 0, -1)

    def __call__(self, points: Array) -> tuple[Array, Array]:
        """Log density of the scores ``(n,)`` and its derivatives by ``points : (n, k)``, which are rounded.

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
        slopes = slopes @ self.factor
        return logs, rounded(slopes, np.maximum(np.abs(slopes), 1.0))


def straightening(points: Array) -> tuple[Shear, ...]:
    """Shears that bring forth ``points : (n, k)`` of a posterior, the first one to be applied last."""
    shears: list[Shear] = []
    # annealed draws that were drawn twice say nothing twice
    points = np.unique(points, axis=0)
    while len(shears) < MOST:
        shear = _best(points)
        if shear is None:
            break
        shears.append(shear)
        points = shear.straighten(points)
    return tuple(shears)


def _best(points: Array) -> Shear | None:
    """The shear after which a coordinate's variance around what the others tell falls most, where it falls enough."""
    n, k = points.shape
    if k < 3 or n < DRAWS * 2 * k:
        return None
    sds = points.std(axis=0)
    if not (sds > 0).all():
        return None
    x = (points - points.mean(axis=0)) / sds
    # of a regression of one column on all others, 1 over the diagonal of the inverse of X'X is the residual sum of
    # squares: one inverse tells it for every column
    # what tells nothing of its own has an inverse all the same
    least = RIDGE * n * np.eye(2 * k)
    linear = 1 / np.diag(np.linalg.inv(x.T @ x + least[:k, :k])) / (n - k)
    best, fall = None, FALL
    for by in range(k):
        products = x * x[:, by : by + 1]
        features = np.column_stack([x, products - products.mean(axis=0)])
        inverse = np.linalg.inv(features.T @ features + least)
        # of a coordinate and its own product, given all others: a coordinate's own product may not explain it, so both
        # leave the regression together, by the Schur complement of their two rows
        first, between, product = (np.diag(inverse[i:, j:])[:k] for i, j in ((0, 0), (0, k), (k, k)))
        left = product / (first * product - between**2) / (n - 2 * k)
        left[by] = np.inf
        bent = int(np.argmin(left / linear))
        if linear[bent] / left[bent] > fall:
            fall = linear[bent] / left[bent]
            columns = np.delete(np.arange(2 * k), [bent, k + bent])
            slopes = np.zeros(2 * k)
            slopes[columns] = np.linalg.lstsq(features[:, columns], x[:, bent])[0]
            best = Shear(bent, by, rounded(slopes[k:] * sds[bent] / (sds[by] * sds), 1 / 256))
    return best


def rounded_factor(factor: Array) -> Array:
    """A lower triangle ``(k, k)``, each row rounded by its diagonal."""
    return rounded(factor, np.diag(factor)[:, None])


def _root(matrix: Array) -> Array:
    """The symmetric root of a positive definite matrix; an eigenvalue that rounding makes negative is its least."""
    values, vectors = np.linalg.eigh(matrix)
    least = len(values) * np.finfo(float).eps * values[-1]
    return np.asarray((vectors * np.sqrt(np.maximum(values, least))) @ vectors.T)
