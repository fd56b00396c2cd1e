"""Mixtures of multivariate Student distributions, and their fit to weighted points.

The fit is by expectation and maximisation. Components share their degrees of freedom, which are chosen from a grid by
the likelihood in each step. How many components there are is chosen by points that the fit has not seen: the mean log
density there is what separates a proposal from its target, up to a constant (Kullback and Leibler's divergence).

Source: Peel and McLachlan 2000, Statistics and Computing 10, 339-348 (the steps); Kent, Tyler and Vardi 1994,
Communications in Statistics - Simulation and Computation 23, 441-453 (the scale divided by the sum of the weights,
which needs fewer steps).
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calibration.inference.small_algebra import rounded
from cipark_sd.base.arrays import Array

#: Degrees of freedom that a mixture may have.
FREEDOMS = (3.0, 5.0, 10.0, 30.0)
#: Numbers of components that are tried, one after another, while unseen points speak for more.
SIZES = (1, 2, 4, 8)
#: Points for each mean and entry of a scale matrix, below which no further component is tried.
POINTS_EACH = 1.0
#: What a further component has to add to the mean log density of unseen points.
GAIN = 0.01
#: Steps of a fit at most, of one that is only compared, and the rise of the mean log density that ends either.
STEPS, STEPS_COMPARED, SETTLED = 24, 12, 1e-3
#: Steps between two looks at the degrees of freedom.
LOOK_AT_FREEDOM = 4
#: How many points the shape of all counts for in that of each component, so that none collapses onto a few.
PSEUDO_POINTS = 2.0
#: Share of the points beyond the end of a coordinate: some of them lie beyond the 2.5% where an interval ends.
END = 0.05


@dataclass(frozen=True, eq=False)
class StudentMixture:
    """A mixture of ``J`` components in ``k`` dimensions.

    Parameters
    ----------
    shares : (J,)
        Of the components, summing to 1.
    means : (J, k)
    roots : (J, k, k)
        Lower triangular factors of the scale matrices.
    freedom : float
        Degrees of freedom of every component.
    """

    shares: Array
    means: Array
    roots: Array
    freedom: float = FREEDOMS[1]

    def log_density(self, points: Array) -> Array:
        """``(n,)`` at points ``(n, k)``."""
        return _log_sum(np.log(self.shares) + self.by_component(self.distances(points), self.freedom))

    def distances(self, points: Array) -> Array:
        """Squared distance ``(n, J)`` of each point from each mean in the component's own scale."""
        from scipy.linalg import solve_triangular

        columns = []
        for mean, root in zip(self.means, self.roots, strict=True):
            columns.append((solve_triangular(root, (points - mean).T, lower=True, check_finite=False) ** 2).sum(axis=0))
        return np.stack(columns, axis=1)

    def by_component(self, distances: Array, freedom: float) -> Array:
        """Log densities ``(n, J)`` of each component."""
        k = self.means.shape[1]
        volume = np.log(np.abs(np.diagonal(self.roots, axis1=1, axis2=2))).sum(axis=1)
        constant = math.lgamma((freedom + k) / 2) - math.lgamma(freedom / 2) - 0.5 * k * math.log(freedom * math.pi)
        return np.asarray(constant - volume - 0.5 * (freedom + k) * np.log1p(distances / freedom))

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """``(n, k)``; each component gives its share, so that chance is in the points alone."""
        counts = apportioned(self.shares, n, rng)
        k = self.means.shape[1]
        normals = rng.standard_normal((n, k))
        stretch = np.sqrt(self.freedom / rng.chisquare(self.freedom, n))
        component = np.repeat(np.arange(len(counts)), counts)
        points = np.empty((n, k))
        for j, (mean, root) in enumerate(zip(self.means, self.roots, strict=True)):
            members = component == j
            points[members] = mean + stretch[members, None] * (normals[members] @ root.T)
        return points

    def widened(self, factor: float, freedom: float) -> "StudentMixture":
        """The same with scales ``factor`` times as long and other degrees of freedom."""
        return StudentMixture(self.shares, self.means, factor * self.roots, freedom)

    def rounded(self) -> "StudentMixture":
        """The same on every processor, in coordinates of about unit scale."""
        roots = rounded(self.roots, np.diagonal(self.roots, axis1=1, axis2=2)[..., None])
        return replace(self, shares=rounded(self.shares, 1e-3), means=rounded(self.means), roots=roots)

    def joined(self, beside: "StudentMixture") -> "StudentMixture":
        """The components of both: this one as a whole has the share of each component beside it."""
        n = len(beside.shares)
        shares = np.concatenate([self.shares, n * beside.shares]) / (n + 1)
        means, roots = np.concatenate([self.means, beside.means]), np.concatenate([self.roots, beside.roots])
        return StudentMixture(shares, means, roots, self.freedom)


def apportioned(shares: Array, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """How many of ``n`` each share gets: systematic, so that each number is off by less than one.

    Parameters
    ----------
    shares : (J,)
        Of any sum.

    Returns
    -------
    (J,)
        They add up to ``n``.
    """
    edges = np.floor(np.cumsum(shares) / np.sum(shares) * n + rng.random()).astype(np.intp)
    # rounding must not lose one
    edges[-1] = n
    return np.diff(np.minimum(edges, n), prepend=0)


def fit_mixture(points: Array, weights: Array, rng: np.random.Generator, near: int | None = None) -> StudentMixture:
    """A mixture for weighted points, with as many components as unseen points speak for.

    Parameters
    ----------
    points : (n, k)
    weights : (n,)
        Of any sum.
    near : int, optional
        A number of components that was right before: only its neighbours are tried. None: all are.
    """
    n, k = points.shape
    weights = weights / weights.sum()
    order = rng.permutation(n)
    first, second = order[: n // 2], order[n // 2 :]
    effective = 1 / float(weights @ weights)
    best, size = -math.inf, 1 if near is None else max(1, near // 2)
    for candidate in SIZES if near is None else [size for size in SIZES if near // 2 <= size <= 2 * near]:
        numbers_each = k * (k + 3) / 2
        if candidate > 1 and effective / 2 < POINTS_EACH * candidate * numbers_each:
            break
        gain = 0.0
        for training, held_out in ((first, second), (second, first)):
            if not (weights[training].sum() > 0 and weights[held_out].sum() > 0):
                continue
            mixture = _fit(points[training], weights[training], candidate, rng, STEPS_COMPARED)
            gain += float(weights[held_out] @ mixture.log_density(points[held_out]))
        if not gain > best + GAIN:
            break
        best, size = gain, candidate
    return _fit(points, weights, size, rng, STEPS)


def end_components(points: Array, weights: Array, freedom: float) -> StudentMixture:
    """A component for what lies beyond the 5% and one for what lies beyond the 95% of each coordinate.

    Parameters
    ----------
    points : (n, k)
    weights : (n,)
        Of any sum.
    freedom : float
        Degrees of freedom.

    Returns
    -------
    StudentMixture
        Of equal shares.
    """
    weights = weights / weights.sum()
    whole = _covariance(points, weights)
    means, roots = [], []
    for column in points.T:
        order = np.argsort(column, kind="stable")
        n_low, n_high = np.searchsorted(np.cumsum(weights[order]), [END, 1 - END], side="right")
        for members in (order[: max(n_low, 1)], order[min(n_high, len(order) - 1) :]):
            shares = weights[members] / weights[members].sum()
            n = 1 / float(shares @ shares)
            scale = (n * _covariance(points[members], shares) + PSEUDO_POINTS * END * whole) / (n + PSEUDO_POINTS)
            means.append(shares @ points[members])
            roots.append(np.linalg.cholesky(scale))
    return StudentMixture(np.full(len(means), 1 / len(means)), np.array(means), np.array(roots), freedom)


def _covariance(points: Array, weights: Array) -> Array:
    """Covariance ``(k, k)`` of points whose weights sum to 1, positive definite where it varies nowhere too."""
    away = points - weights @ points
    covariance = (away * weights[:, None]).T @ away
    variances = np.diag(covariance)
    # rounding must leave the matrix positive definite
    return np.asarray(covariance + 1e-9 * np.diag(np.where(variances > 0, variances, 1.0)))


def _fit(points: Array, weights: Array, size: int, rng: np.random.Generator, steps: int) -> StudentMixture:
    """A mixture of ``size`` components."""
    weights = weights / weights.sum()
    effective = 1 / float(weights @ weights)
    mixture, whole = _begin(points, weights, size, rng)
    before = -math.inf
    for step in range(steps):
        distances = mixture.distances(points)
        tried = FREEDOMS if step % LOOK_AT_FREEDOM == 1 else (mixture.freedom,)
        logs = {freedom: np.log(mixture.shares) + mixture.by_component(distances, freedom) for freedom in tried}
        sums = {freedom: _log_sum(by_component) for freedom, by_component in logs.items()}
        density, freedom = max((float(weights @ total), freedom) for freedom, total in sums.items())
        if density < before + SETTLED and step > LOOK_AT_FREEDOM:
            break
        before = density
        # the share of each component in a point, times its weight; a far point counts less for mean and scale, by
        # (freedom + k) / (freedom + distance)
        belongs = np.exp(logs[freedom] - sums[freedom][:, None]) * weights[:, None]
        counted = belongs * (freedom + points.shape[1]) / (freedom + distances)
        shares = belongs.sum(axis=0)
        usable = np.flatnonzero(effective * shares > 1)
        means, roots = [], []
        for j in usable:
            total = counted[:, j].sum()
            mean = counted[:, j] @ points / total
            away = points - mean
            scale = (away * counted[:, [j]]).T @ away / total
            # as if some points more had the shape of all
            mass = effective * shares[j]
            scale = (mass * scale + PSEUDO_POINTS * whole) / (mass + PSEUDO_POINTS)
            means.append(mean)
            roots.append(np.linalg.cholesky(scale))
        mixture = StudentMixture(
            shares[usable] / shares[usable].sum(), np.array(means), np.array(roots), float(freedom)
        )
    return mixture


def _begin(points: Array, weights: Array, size: int, rng: np.random.Generator) -> tuple[StudentMixture, Array]:
    """Where the steps begin, and the covariance that a component falls back on.

    Means are points, each far from those before it (Arthur and Vassilvitskii 2007); scales are that of all points, made
    smaller so that the components together fill about the same room.
    """
    k = points.shape[1]
    centre, covariance = weights @ points, _covariance(points, weights)
    away = points - centre
    whole = np.asarray(np.linalg.cholesky(covariance), dtype=float)
    if size == 1:
        return StudentMixture(np.ones(1), centre[None], whole[None], FREEDOMS[1]), covariance
    from scipy.linalg import solve_triangular

    white = solve_triangular(whole, away.T, lower=True, check_finite=False).T
    chosen = [int(np.searchsorted(np.cumsum(weights), rng.random()))]
    for _ in range(size - 1):
        nearest = np.min([((white - white[c]) ** 2).sum(axis=1) for c in chosen], axis=0) * weights
        chosen.append(int(np.searchsorted(np.cumsum(nearest) / nearest.sum(), rng.random())))
    chosen = [min(c, len(points) - 1) for c in chosen]
    smaller = covariance * size ** (-2 / k)
    roots = np.repeat(np.asarray(np.linalg.cholesky(smaller), dtype=float)[None], size, axis=0)
    return StudentMixture(np.full(size, 1 / size), points[chosen], roots, FREEDOMS[1]), smaller


def _log_sum(logs: Array) -> Array:
    """Log of the sum of exponentials over the last axis."""
    top = logs.max(axis=-1, keepdims=True)
    return np.asarray(np.log(np.exp(logs - top).sum(axis=-1)) + top[..., 0])
