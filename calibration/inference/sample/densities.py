"""A posterior as samplers see it: prior and likelihood apart, of points without walls.

*Free coordinates* take each parameter to its scale and, where its prior ends, through a logarithm (one end) or a logit
(both ends), as Stan does. *Normal scores* are those of prior probabilities: the prior is standard normal, so that a
parameter of which the data say little is nearly normal whatever its prior, and the density needs no derivative.

*Scaled scores* measure innovations by their size. The prior of an innovation is standard normal, and the data see its
product with the size of all: where they see much, the posterior of both is a curved funnel that no mixture of Student
distributions fits, while it is nearly normal in ``u = z size``. Taken are the coordinates in which the starting points
are likelier under a normal of their own.

Source: Stan Reference Manual, chapter "Constraint transforms"; Papaspiliopoulos, Roberts and Sköld 2007, Statistical
Science 22(1), 59-73 (partly non-centred); Gorinova, Moore and Hoffman 2020, ICML, PMLR 119, 3648-3657 (the choice by
the fit of an approximation).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from calibration.inference.small_algebra import rounded
from calibration.likelihood.gradient import log_posterior_and_gradient
from calibration.likelihood.posterior import Posterior
from calibration.noise.priors import Scale, from_scale, log_jacobian, log_jacobian_slope, to_scale
from calibration.study.parameters import ParameterSpace
from cipark_sd.base.arrays import Array

#: Scores beyond which a probability near 1 has too few digits, and those from which on no sampler begins: what spreads
#: about such a place comes there.
FARTHEST, FAR = 7.0, 6.0
#: The unit in which places where walkers begin are rounded: they jump by the differences of these, which grow.
FINE = 2.0**-10


class Densities(Protocol):
    """A posterior in some coordinates; points are ``(n, k)``."""

    def log_prior(self, free: Array) -> Array:
        """``(n,)``: of the coordinates, normalised."""

    def log_likelihood(self, free: Array) -> Array:
        """``(n,)``; asked only where the prior is above zero."""

    def draw_prior(self, n: int, rng: np.random.Generator) -> Array:
        """``(n, k)``; a coordinate may be infinite where a value is the very end of its prior."""


def log_density(densities: Densities, free: Array) -> Array:
    """The sum of log prior and log likelihood; minus infinity where the prior is zero, and no model is run there.

    Parameters
    ----------
    free : (n, k)

    Returns
    -------
    (n,)
    """
    total = densities.log_prior(free)
    possible = np.isfinite(total)
    total = np.where(possible, total, -np.inf)
    if possible.any():
        total[possible] += densities.log_likelihood(free[possible])
    return total


def _sides(low: Array, high: Array) -> tuple[bool, bool]:
    """Whether ranges end below and above; they all do or none does."""
    return bool(np.isfinite(low[0])), bool(np.isfinite(high[0]))


def _opened(scaled: Array, low: Array, high: Array) -> Array:
    """Coordinates ``(…, m)`` of values on a scale whose ranges end at ``low, high : (m,)``."""
    match _sides(low, high):
        case True, True:
            return np.asarray(np.log(scaled - low) - np.log(high - scaled))
        case True, False:
            return np.asarray(np.log(scaled - low))
        case False, True:
            return np.asarray(-np.log(high - scaled))
        case _:
            return scaled


def _closed(free: Array, low: Array, high: Array) -> Array:
    """Undoes :func:`_opened`."""
    from scipy.special import expit

    match _sides(low, high):
        case True, True:
            return np.asarray(low + (high - low) * expit(free))
        case True, False:
            return np.asarray(low + np.exp(free))
        case False, True:
            return np.asarray(high - np.exp(-free))
        case _:
            return free


def _log_slope(free: Array, low: Array, high: Array) -> Array:
    """``log |d closed / d free|``."""
    match _sides(low, high):
        case True, True:
            # log of expit'(x), which is even in x and does not overflow
            size = np.abs(free)
            return np.asarray(np.log(high - low) - size - 2 * np.log1p(np.exp(-size)))
        case True, False:
            return free
        case False, True:
            return -free
        case _:
            return np.zeros_like(free)


def _slope_of_log_slope(free: Array, low: Array, high: Array) -> Array:
    """The derivative of :func:`_log_slope` by the coordinate."""
    match _sides(low, high):
        case True, True:
            return np.asarray(-np.tanh(free / 2))
        case True, False:
            return np.ones_like(free)
        case False, True:
            return -np.ones_like(free)
        case _:
            return np.zeros_like(free)


@dataclass(frozen=True)
class Unconstrained:
    """The parameters of ``space`` as free coordinates; arrays are ``(…, k)``."""

    space: ParameterSpace

    @cached_property
    def _walls(self) -> list[tuple[NDArray[np.intp], Scale, Array, Array]]:
        """Positions of parameters on one scale whose priors end alike, that scale, and where they end on it."""
        kinds: dict[tuple[Scale, bool, bool], list[int]] = {}
        support = self.space.from_unit(np.array([[0.0], [1.0]]) * np.ones(len(self.space)))
        low, high = self.space.to_scales(support)
        for i, parameter in enumerate(self.space):
            kinds.setdefault((parameter.scale, math.isfinite(low[i]), math.isfinite(high[i])), []).append(i)
        return [(np.array(places), kind[0], low[places], high[places]) for kind, places in kinds.items()]

    @cached_property
    def _bounds(self) -> tuple[Array, Array]:
        return np.array([p.lower for p in self.space]), np.array([p.upper for p in self.space])

    def _by_walls(self, function: Callable[[Array, Scale, Array, Array], Array], points: Array) -> Array:
        points = np.asarray(points, dtype=float)
        columns = np.empty_like(points)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for places, scale, low, high in self._walls:
                columns[..., places] = function(points[..., places], scale, low, high)
        return columns

    def free(self, theta: Array) -> Array:
        """Coordinates of values; infinite for a value at an end."""
        return self._by_walls(lambda values, scale, *ends: _opened(to_scale(values, scale), *ends), theta)

    def theta(self, free: Array) -> Array:
        """Values of coordinates; undoes :meth:`free`."""
        values = self._by_walls(lambda points, scale, *ends: from_scale(_closed(points, *ends), scale), free)
        # rounding must not carry a far coordinate over a bound, where the density is zero
        return np.clip(values, *self._bounds)

    def log_jacobian(self, free: Array) -> Array:
        """``log |d theta / d free|`` summed over the parameters ``(…)``."""

        def slopes(points: Array, scale: Scale, low: Array, high: Array) -> Array:
            scaled = _closed(points, low, high)
            return log_jacobian(from_scale(scaled, scale), scale) + _log_slope(points, low, high)

        return np.asarray(self._by_walls(slopes, free).sum(axis=-1))

    def slopes(self, free: Array) -> tuple[Array, Array]:
        """Of each parameter ``d theta / d free``, and the derivative of its logarithm by the coordinate ``(…, k)``."""

        def first(points: Array, scale: Scale, low: Array, high: Array) -> Array:
            values = from_scale(_closed(points, low, high), scale)
            return np.exp(log_jacobian(values, scale) + _log_slope(points, low, high))

        def of_log(points: Array, scale: Scale, low: Array, high: Array) -> Array:
            values = from_scale(_closed(points, low, high), scale)
            of_scale = log_jacobian_slope(values, scale) * np.exp(_log_slope(points, low, high))
            return of_scale + _slope_of_log_slope(points, low, high)

        return self._by_walls(first, free), self._by_walls(of_log, free)


@dataclass(frozen=True, eq=False)
class FreeDensity:
    """The ``density`` with the derivative of its parameters by the coordinates."""

    density: Posterior

    @cached_property
    def coordinates(self) -> Unconstrained:
        """Between parameters and coordinates."""
        return Unconstrained(self.density.space)

    def theta(self, free: Array) -> Array:
        """Values of coordinates ``(…, k)``."""
        return self.coordinates.theta(free)

    def of(self, theta: Array) -> Array:
        """Coordinates of values ``(…, k)``; infinite at an end of a prior."""
        return self.coordinates.free(theta)

    def log_prior(self, free: Array) -> Array:
        """``(n,)``."""
        return self.density.space.log_prior(self.theta(free)) + self.coordinates.log_jacobian(free)

    def log_likelihood(self, free: Array) -> Array:
        """``(n,)``."""
        return self.density.log_likelihood(self.theta(free))

    def draw_prior(self, n: int, rng: np.random.Generator) -> Array:
        """``(n, k)``."""
        return rounded(self.coordinates.free(prior_draws(self.density.space, n, rng)), FINE)

    def __call__(self, free: Array) -> Array:
        """Log density of the posterior, up to its evidence."""
        return log_density(self, free)

    def with_gradient(self, free: Array) -> tuple[Array, Array]:
        """The same with its derivatives by the coordinates ``(n, k)``, which are 0 where the density is.

        Raises
        ------
        UnsupportedFeature, InvalidValue
            Where the model or the engine has none.
        """
        logs, by_theta = log_posterior_and_gradient(self.density, self.theta(free))
        by_coordinate, of_log = self.coordinates.slopes(free)
        with np.errstate(invalid="ignore"):
            logs = logs + self.coordinates.log_jacobian(free)
            slopes = by_theta * by_coordinate + of_log
        possible = np.isfinite(logs)
        return np.where(possible, logs, -np.inf), np.where(possible[:, None], slopes, 0.0)


def prior_draws(space: ParameterSpace, n: int, rng: np.random.Generator) -> Array:
    """Draws from the prior.

    Returns
    -------
    (n, k)
        Values.
    """
    return space.from_unit(rng.random((n, len(space))))


@dataclass(frozen=True, eq=False)
class NormalScores:
    """The posterior ``density`` in normal scores; points are ``(n, k)``."""

    density: Posterior

    @property
    def space(self) -> ParameterSpace:
        """Of the posterior."""
        return self.density.space

    def theta(self, scores: Array) -> Array:
        """Values of scores ``(…, k)``."""
        from scipy.special import ndtr

        return self.space.from_unit(ndtr(scores))

    def theta_of(self, position: int, scores: Array) -> Array:
        """Values ``(…,)`` of one parameter."""
        from scipy.special import ndtr

        return self.space.parameters[position].distribution.quantile(ndtr(scores))

    def of(self, theta: Array) -> Array:
        """Scores of values ``(…, k)``; infinite at an end of a prior."""
        from scipy.special import ndtri

        return np.asarray(ndtri(self.space.to_unit(theta)))

    def log_prior(self, scores: Array) -> Array:
        """Of a standard normal in ``k`` dimensions; nothing beyond :data:`FARTHEST`."""
        k = scores.shape[-1]
        logs = -0.5 * (scores**2).sum(axis=-1) - 0.5 * k * math.log(2 * math.pi)
        return np.where((np.abs(scores) < FARTHEST).all(axis=-1), logs, -np.inf)

    def log_likelihood(self, scores: Array) -> Array:
        """``(n,)``."""
        return self.density.log_likelihood(self.theta(scores))

    def draw_prior(self, n: int, rng: np.random.Generator) -> Array:
        """``(n, k)``."""
        return rng.standard_normal((n, len(self.space)))


@dataclass(frozen=True, eq=False)
class ScaledScores:
    """The ``scores`` of a posterior with some innovations times their size; points are ``(n, k)``.

    ``pools`` are the columns of the innovations that have a size together, and the column of that size.
    """

    scores: NormalScores
    pools: tuple[tuple[NDArray[np.intp], int], ...]

    def _log_sizes(self, free: Array) -> list[Array]:
        """Of each pool the logarithm ``(…,)`` of its size over the median of its prior."""
        logs = []
        for _, position in self.pools:
            size = self.scores.theta_of(position, free[..., position])
            with np.errstate(divide="ignore"):
                logs.append(np.log(size / self.scores.space.parameters[position].median))
        return logs

    def _plain(self, free: Array, log_sizes: Sequence[Array]) -> Array:
        """Scores of coordinates."""
        scores = np.array(free, dtype=float)
        for (columns, _), logs in zip(self.pools, log_sizes, strict=True):
            with np.errstate(over="ignore", invalid="ignore"):
                scores[..., columns] = free[..., columns] * np.exp(-logs)[..., None]
        # a size of nothing leaves innovations unknown
        return np.where(np.isnan(scores), np.inf, scores)

    def free(self, scores: Array) -> Array:
        """Coordinates of scores ``(…, k)``."""
        free = np.array(scores, dtype=float)
        for (columns, _), logs in zip(self.pools, self._log_sizes(scores), strict=True):
            free[..., columns] *= np.exp(logs)[..., None]
        return free

    def theta(self, free: Array) -> Array:
        """Values of coordinates ``(…, k)``."""
        return self.scores.theta(self._plain(free, self._log_sizes(free)))

    def of(self, theta: Array) -> Array:
        """Coordinates of values ``(…, k)``."""
        return self.free(self.scores.of(theta))

    def log_prior(self, free: Array) -> Array:
        """``(n,)``: that of the scores with the derivative by the coordinates."""
        log_sizes = self._log_sizes(free)
        total = self.scores.log_prior(self._plain(free, log_sizes))
        with np.errstate(invalid="ignore"):
            for (columns, _), logs in zip(self.pools, log_sizes, strict=True):
                total = total - len(columns) * logs
        return np.where(np.isfinite(total), total, -np.inf)

    def log_likelihood(self, free: Array) -> Array:
        """``(n,)``."""
        return self.scores.density.log_likelihood(self.theta(free))

    def draw_prior(self, n: int, rng: np.random.Generator) -> Array:
        """``(n, k)``."""
        return self.free(self.scores.draw_prior(n, rng))

    def fit(self, points: Array) -> float:
        """Mean log density, up to a constant, of ``points : (n, k)``, as scores, under a normal fitted to them here."""
        free = self.free(points)
        pairs = zip(self.pools, self._log_sizes(points), strict=True)
        slopes = sum(len(columns) * float(logs.mean()) for (columns, _), logs in pairs)
        sign, log_volume = np.linalg.slogdet(np.cov(free.T))
        return slopes - 0.5 * float(log_volume) if sign > 0 and np.isfinite(free).all() else -np.inf


def suited(scores: NormalScores, points: Array) -> ScaledScores:
    """Coordinates in which points of the posterior are nearest to a normal.

    The deviations of groups that have data, pool by pool, as they are or all of them times their size.

    Parameters
    ----------
    points : (n, k)
        As scores.

    Returns
    -------
    ScaledScores
        Without pools where all stay as they are.
    """
    names, problem = scores.space.names, scores.density.problem
    # a group without data has its prior, and that is normal as it is
    informed = [
        (pool, [deviation for deviation in pool.innovations if deviation.use == "CAL"]) for pool in problem.pools
    ]
    pools = [
        (np.array([names.index(deviation.name) for deviation in deviations]), names.index(pool.size.name))
        for pool, deviations in informed
        if deviations
    ]
    chosen = ScaledScores(scores, ())
    for pool in pools:
        extended = ScaledScores(scores, (*chosen.pools, pool))
        if extended.fit(points) > chosen.fit(points):
            chosen = extended
    return chosen
