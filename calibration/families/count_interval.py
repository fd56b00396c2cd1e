"""The probability of an interval of counts, as a sum that keeps its digits far in a tail."""

import math
from collections.abc import Callable

import numpy as np

from cipark_sd.arrays import Array

LogMass = Callable[[Array], Array]


def log_sum(logs: Array) -> Array:
    """Log of the sum of the exponentials over the first axis, which has one entry at least.

    The arithmetic is that of ``scipy.special.logsumexp``, which asks for types and signs that are known here and so
    takes longer than a short sum.
    """
    top = logs.max(axis=0)
    tops = logs == top
    n_tops = tops.sum(axis=0, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        below = np.where(tops, 0.0, np.exp(logs - np.where(np.isneginf(top), 0.0, top))).sum(axis=0)
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

    def summed(first: float, last: float) -> Array:
        return log_sum(log_mass(np.arange(first, last + 1).reshape((-1,) + (1,) * np.ndim(mean))))

    usable = np.isfinite(mean) & np.isfinite(sd)
    lower = max(lower, least)
    if upper < lower:
        return np.full(np.shape(mean), -np.inf)

    def start(last: float) -> float:
        """Where a sum that ends at ``last`` begins when it has no lower end."""
        low = math.floor(float(np.min(np.where(usable, mean - 40 * sd, 0.0), initial=0.0)))
        return max(min(low, last), last - 20000.0) - 100

    if math.isfinite(upper):
        return summed(lower if math.isfinite(lower) else start(upper), upper)
    if lower == least:
        return np.where(usable & (np.asarray(mean) >= least), 0.0, -np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        below = summed(least if math.isfinite(least) else start(lower - 1), lower - 1)
        complement = np.log1p(-np.exp(np.minimum(below, 0.0)))
        finite = np.where(usable, mean + 40 * sd, 0.0)
    beyond = summed(lower, lower + min(20000.0, 100 + math.ceil(float(np.max(finite - lower, initial=0.0)))))
    # log(1 - p) loses digits as p nears 1
    return np.where(below > math.log(0.9), beyond, complement)
