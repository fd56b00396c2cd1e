"""The Laplace approximation of a posterior: its mode and curvature, in coordinates without walls.

It costs seconds where chains cost minutes, and it is an approximation: wherever draws of it are used, that is said.
Points of a Student distribution with that centre and curvature, whose tails reach further than a normal's, are drawn
anew by their importance weights, which takes away most of what is skewed about the posterior. How far the result can
be trusted is told by the Pareto shape of the weights' tail.

Source: Tierney and Kadane 1986, Journal of the American Statistical Association 81, 82-86; Geweke 1989, Econometrica
57, 1317-1339, for the Student distribution; Rubin 1988, Bayesian Statistics 3, for resampling; Vehtari et al. 2024,
Journal of Machine Learning Research 25(72), for the smoothing and Pareto k.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from calibration.likelihood.posterior import Posterior
from calibration.sampling.free_density import FreeDensity, prior_draws
from calibration.sampling.unconstrained import Unconstrained
from cipark_sd.arrays import Array

#: Half the distance of difference quotients, in standard deviations of the prior: of slopes, and of curvatures.
_SLOPE, _CURVATURE = 1e-4, 1e-2
#: Where a search starts at most, in the same unit: a parameter at its bound is infinitely far out in free coordinates.
_FARTHEST = 4.0
#: Prior draws that tell where the prior lies in free coordinates.
_PRIOR = 4000
#: What a point costs where the density is zero.
_IMPOSSIBLE = 1e10
#: Points that are weighted, and degrees of freedom of their distribution.
_POINTS, _FREEDOM = 6000, 5
#: The least curvature, so that no direction gets more than twice the width of its prior, and the greatest: beyond it a
#: direction has no width that a computed covariance could hold beside the others.
_FLAT, _STEEP = 0.25, 1e7


@dataclass(frozen=True, eq=False)
class Laplace:
    """An approximation.

    Parameters
    ----------
    mode : (k,)
        In free coordinates, standardised by the prior's mean and standard deviation there.
    covariance : (k, k)
        The inverse of the curvature there, in the same coordinates.
    theta : (n, k)
        Draws in the parameters' own units; a point of large weight comes more than once.
    pareto_k : float
        Of the weights; above 0.7 the draws do not stand for the posterior. Infinite where no tail can be fitted.
    effective : float
        How many independent draws of the posterior all points are worth, by their weights.
    """

    mode: Array
    covariance: Array
    theta: Array
    pareto_k: float
    effective: float


def laplace(density: Posterior, theta: Array, n: int, rng: np.random.Generator) -> Laplace:
    """``n`` draws of the approximation at the mode that a search from ``theta : (k,)`` reaches.

    The mode is that of the posterior in free coordinates, with all parameters free, and so not quite the estimate of a
    fit, whose density is taken on the parameters' own scales.
    """
    from scipy import optimize, stats

    target, coordinates = FreeDensity(density), Unconstrained(density.space)
    # from a stream of its own, so that the place of the mode does not depend on how many draws are wanted
    prior = coordinates.free(prior_draws(density.space, _PRIOR, np.random.default_rng(0)))
    centre, width = prior.mean(axis=0), prior.std(axis=0)
    start = (coordinates.free(np.asarray(theta, dtype=float)[None, :])[0] - centre) / width
    start = np.clip(start, -_FARTHEST, _FARTHEST)

    def cost(points: Array) -> Array:
        logs = target(centre + width * points)
        return np.where(np.isfinite(logs), -logs, _IMPOSSIBLE)

    def with_slope(point: Array) -> tuple[float, Array]:
        k = len(point)
        steps = _SLOPE * np.eye(k)
        values = cost(np.vstack([point[None, :], point + steps, point - steps]))
        return float(values[0]), (values[1 : k + 1] - values[k + 1 :]) / (2 * _SLOPE)

    optimum = optimize.minimize(with_slope, start, jac=True, method="L-BFGS-B", options={"maxiter": 500, "gtol": 1e-4})
    mode = np.asarray(optimum.x)
    covariance = _inverse(_curvature(cost, mode))
    around = stats.multivariate_t(mode, covariance, df=_FREEDOM)
    points = np.asarray(around.rvs(_POINTS, random_state=rng)).reshape(_POINTS, -1)
    logs, pareto_k = _smoothed(target(centre + width * points) - np.atleast_1d(around.logpdf(points)))
    weights = np.exp(logs - np.logaddexp.reduce(logs))
    # one random offset for evenly spaced places: a weight of twice 1/n gives two draws, not two on average
    places = np.searchsorted(weights.cumsum(), (np.arange(n) + rng.random()) / n * (1 - 1e-12))
    drawn = rng.permutation(points[np.minimum(places, _POINTS - 1)])
    effective = float(1 / (weights @ weights))
    return Laplace(mode, covariance, coordinates.theta(centre + width * drawn), pareto_k, effective)


def _curvature(cost: Callable[[Array], Array], mode: Array) -> Array:
    """Second differences ``(k, k)`` at the mode, all points in one batch."""
    k = len(mode)
    steps = _CURVATURE * np.eye(k)
    rows, columns = np.triu_indices(k)
    corners = [a * steps[rows] + b * steps[columns] for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
    values = cost(np.vstack([mode + corner for corner in corners])).reshape(4, -1)
    second = (values[0] - values[1] - values[2] + values[3]) / (4 * _CURVATURE**2)
    matrix = np.zeros((k, k))
    matrix[rows, columns] = second
    matrix[columns, rows] = second
    return matrix


def _inverse(curvature: Array) -> Array:
    """The covariance; a direction in which the density does not curve gets the widest that is allowed."""
    values, vectors = np.linalg.eigh(curvature)
    covariance = (vectors / np.clip(values, _FLAT, _STEEP)) @ vectors.T
    return np.asarray((covariance + covariance.T) / 2)


def _smoothed(ratios: Array) -> tuple[Array, float]:
    """Log weights with a smoothed tail, and its Pareto shape; points at which the posterior is zero weigh nothing."""
    from arviz_stats.base import array_stats

    logs = np.full(len(ratios), -np.inf)
    finite = np.isfinite(ratios)
    logs[finite] = ratios[finite]
    try:
        # it takes the logarithms of what is divided by, as of a term that is left out
        logs[finite], k = array_stats.psislw(-ratios[finite])
    except ValueError:
        return logs, float("inf")
    return logs, float(k)
