"""The probability of an interval of counts, as a sum that keeps its digits far in a tail."""

import math
from collections.abc import Callable

import numpy as np

from cipark_sd.arrays import Array

LogMass = Callable[[Array], Array]
Slopes = Callable[[Array], tuple[Array, ...]]
#: Log of the probability below a lower end from which on that above it is summed itself: log(1 - p) loses digits as p
#: nears 1.
ALMOST_ALL = math.log(0.9)


def log_sum(logs: Array) -> Array:
    """Log of the sum of the exponentials over the first axis, which has one entry at least.

    The arithmetic is that of ``scipy.special.logsumexp``, which asks for types and signs that are known here and so
    takes longer than a short sum.
    """
    top = logs.max(axis=0)
    tops = logs == top
    n_tops = tops.sum(axis=0, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        below = np.where(tops, 0.0, np.exp(logs - np.where(top == -np.inf, 0.0, top))).sum(axis=0)
        return np.asarray(np.log1p(below / n_tops) + np.log(n_tops) + top)


def count_interval(
    log_mass: LogMass, lower: float, upper: float, mean: Array, sd: Array, *, least: float = 0.0
) -> Array:
    """Log probability that a count lies between ``lower`` and ``upper``, both included; either may be infinite.

    Sums the probabilities themselves in log space, so that nothing cancels far in a tail. An open upper end is the
    complement where that is safe and else a sum up to far beyond mean and lower end.

    Parameters
    ----------
    log_mass : function of ``(n_values, 1…)`` counts, giving ``(n_values, …)``
    mean, sd : (…)
        Of the count; they say how far an open sum has to go.
    least : float
        The smallest count there can be: 0, or minus infinity for what is gained less what is lost.
    """
    lower = max(lower, least)
    if upper < lower:
        return np.full(np.shape(mean), -np.inf)
    if math.isinf(upper) and lower == least:
        return np.where(np.isfinite(mean) & np.isfinite(sd) & (np.asarray(mean) >= least), 0.0, -np.inf)
    inside, below = _sums(lower, upper, mean, sd, least)
    if below is None:
        return _log_sum(log_mass, inside, mean)
    log_below = _log_sum(log_mass, below, mean)
    with np.errstate(divide="ignore", invalid="ignore"):
        complement = np.log1p(-np.exp(np.minimum(log_below, 0.0)))
    return np.where(log_below > ALMOST_ALL, _log_sum(log_mass, inside, mean), complement)


def interval_slopes(
    log_mass: LogMass, slopes: Slopes, lower: float, upper: float, mean: Array, sd: Array, *, least: float = 0.0
) -> tuple[Array, ...]:
    """Derivatives of :func:`count_interval`, where it is above zero; ``slopes`` are those of ``log_mass``."""
    lower = max(lower, least)
    nothing = tuple(np.zeros(np.shape(mean)) for _ in slopes(np.zeros((1,) * (np.ndim(mean) + 1))))
    if upper < lower or (math.isinf(upper) and lower == least):
        return nothing
    inside, below = _sums(lower, upper, mean, sd, least)
    of_inside = _mean_slopes(log_mass, slopes, inside, mean)
    if below is None:
        return of_inside
    log_below = _log_sum(log_mass, below, mean)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        odds = np.exp(log_below) / -np.expm1(np.minimum(log_below, 0.0))
        of_complement = (-odds * slope for slope in _mean_slopes(log_mass, slopes, below, mean))
        return tuple(
            np.where(log_below > ALMOST_ALL, beyond, complement)
            for beyond, complement in zip(of_inside, of_complement, strict=True)
        )


def _sums(
    lower: float, upper: float, mean: Array, sd: Array, least: float
) -> tuple[tuple[float, float], tuple[float, float] | None]:
    """The first and last count of a sum over an interval; with an open upper end, also those of what lies below."""
    usable = np.isfinite(mean) & np.isfinite(sd)

    def start(last: float) -> float:
        """Where a sum that ends at ``last`` begins when it has no lower end."""
        low = math.floor(float(np.min(np.where(usable, mean - 40 * sd, 0.0), initial=0.0)))
        return max(min(low, last), last - 20000.0) - 100

    if math.isfinite(upper):
        return (lower if math.isfinite(lower) else start(upper), upper), None
    with np.errstate(invalid="ignore"):
        finite = np.where(usable, mean + 40 * sd, 0.0)
    last = lower + min(20000.0, 100 + math.ceil(float(np.max(finite - lower, initial=0.0))))
    return (lower, last), (least if math.isfinite(least) else start(lower - 1), lower - 1)


def _counts(ends: tuple[float, float], mean: Array) -> Array:
    return np.arange(ends[0], ends[1] + 1).reshape((-1,) + (1,) * np.ndim(mean))


def _log_sum(log_mass: LogMass, ends: tuple[float, float], mean: Array) -> Array:
    return log_sum(log_mass(_counts(ends, mean)))


def _mean_slopes(log_mass: LogMass, slopes: Slopes, ends: tuple[float, float], mean: Array) -> tuple[Array, ...]:
    """The slopes of a sum: those of its counts, each by its share of the sum."""
    counts = _counts(ends, mean)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.exp(log_mass(counts) - _log_sum(log_mass, ends, mean))
        return tuple(np.where(shares > 0, shares * slope, 0.0).sum(axis=0) for slope in slopes(counts))
