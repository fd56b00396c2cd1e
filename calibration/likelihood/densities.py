"""Log densities of observations given what the model predicts, vectorised over leading batch axes.

Predictions come as ``(…, n)`` or, for breakdowns, ``(…, n_categories)``; observations broadcast against them. A
prediction that a family cannot have (a negative mean, say) has log density minus infinity: nothing is floored, so that
an optimum cannot sit where the model makes no sense.

NB1 is the default for counts over windows of unequal length: its variance ``mean (1 + alpha)`` grows with the mean, so
the sum of two windows follows the same law with the same ``alpha``, and it *is* a Poisson process of batches whose
sizes follow the logarithmic distribution. NB2 (variance ``mean + alpha mean²``) has neither property and belongs to
windows of equal length.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LogMass = Callable[[Array], Array]

#: A tail of the losses that is left out of a difference of counts, as probability.
LOSS_TAIL = 1e-13
#: Mean losses up to which a difference of counts is summed number by number.
MOST_LOSSES = 2000.0


def _or_never(possible: NDArray[np.bool_], logs: Array) -> Array:
    return np.where(possible & ~np.isnan(logs), logs, -np.inf)


def normal(value: Array, mean: Array, sd: Array) -> Array:
    """Normal with standard deviation ``sd``."""
    z = (value - mean) / sd
    return np.asarray(-0.5 * z * z - np.log(sd) - 0.5 * math.log(2 * math.pi))


def lognormal(value: Array, median: Array, sigma: Array) -> Array:
    """Lognormal around ``median``, ``sigma`` the standard deviation of the logarithm."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = normal(np.log(value), np.log(median), sigma) - np.log(value)
    return _or_never((np.asarray(value) > 0) & (np.asarray(median) > 0), logs)


def student_t(value: Array, mean: Array, scale: Array, dof: float) -> Array:
    """Student's t with ``dof`` degrees of freedom, shifted and scaled."""
    from scipy.special import gammaln

    z = (value - mean) / scale
    constant = gammaln((dof + 1) / 2) - gammaln(dof / 2) - 0.5 * math.log(dof * math.pi)
    return np.asarray(constant - np.log(scale) - 0.5 * (dof + 1) * np.log1p(z * z / dof))


def poisson(value: Array, mean: Array) -> Array:
    """Poisson; a mean of exactly 0 allows the value 0 only."""
    from scipy.special import gammaln, xlogy

    with np.errstate(invalid="ignore", divide="ignore"):
        logs = xlogy(value, mean) - mean - gammaln(np.asarray(value) + 1.0)
    return _or_never((np.asarray(mean) >= 0) & (np.asarray(value) >= 0), logs)


def negative_binomial(value: Array, mean: Array, size: Array) -> Array:
    """Negative binomial with ``mean`` and ``size`` (variance ``mean + mean² / size``)."""
    from scipy.special import gammaln

    with np.errstate(invalid="ignore", divide="ignore"):
        # what depends on the model alone is computed once for all values; of no events the power is 1
        alone = -gammaln(size) - size * np.log1p(mean / size)
        power = np.where(np.asarray(value) == 0, 0.0, value * np.log(mean / (mean + size)))
        logs = gammaln(value + size) - gammaln(np.asarray(value) + 1.0) + (alone + power)
    # no events are expected: 0 is certain
    logs = np.where((np.asarray(mean) == 0) & (np.asarray(value) == 0), 0.0, logs)
    return _or_never((np.asarray(mean) >= 0) & (np.asarray(value) >= 0), logs)


def nb1(value: Array, mean: Array, alpha: Array) -> Array:
    """Negative binomial of the first kind: variance ``mean (1 + alpha)``.

    Source: Cameron and Trivedi 2013, Regression Analysis of Count Data, section 3.3.
    """
    mean = np.asarray(mean, dtype=float)
    with np.errstate(invalid="ignore"):
        # a mean of 0 would give size 0; the branch for it stands in negative_binomial
        size = np.where(mean > 0, mean, 1.0) / alpha
    return negative_binomial(value, mean, size)


def nb2(value: Array, mean: Array, alpha: Array) -> Array:
    """Negative binomial of the second kind: variance ``mean + alpha mean²``.

    Source: Cameron and Trivedi 2013, Regression Analysis of Count Data, section 3.3.
    """
    return negative_binomial(value, mean, 1.0 / np.asarray(alpha, dtype=float))


def binomial(value: Array, total: Array, probability: Array) -> Array:
    """Binomial: ``value`` of ``total``."""
    from scipy.special import gammaln, xlog1py, xlogy

    value, total = np.asarray(value, dtype=float), np.asarray(total, dtype=float)
    rest = total - value
    with np.errstate(invalid="ignore", divide="ignore"):
        ways = gammaln(total + 1) - gammaln(value + 1) - gammaln(rest + 1)
        logs = ways + xlogy(value, probability) + xlog1py(rest, -np.asarray(probability))
    return _or_never((value >= 0) & (rest >= 0) & (probability >= 0) & (probability <= 1), logs)


def multinomial(counts: Array, expected: Array) -> Array:
    """Multinomial given the total; ``counts`` and ``expected : (…, n_categories)``, the latter up to a factor."""
    from scipy.special import gammaln, xlogy

    counts, expected = np.asarray(counts, dtype=float), np.asarray(expected, dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = expected / expected.sum(axis=-1, keepdims=True)
        ways = gammaln(counts.sum(axis=-1) + 1) - gammaln(counts + 1).sum(axis=-1)
        logs = ways + xlogy(counts, shares).sum(axis=-1)
    return _or_never((expected >= 0).all(axis=-1) & (expected.sum(axis=-1) > 0), logs)


def dirichlet_multinomial(counts: Array, expected: Array, concentration: Array) -> Array:
    """Multinomial whose shares vary as a Dirichlet around the expected ones.

    ``concentration : (…)`` is the sum of the Dirichlet's exponents; as it grows the multinomial returns. A category
    that the model says is empty can hold no one.
    """
    from scipy.special import gammaln

    counts, expected = np.asarray(counts, dtype=float), np.asarray(expected, dtype=float)
    concentration = np.asarray(concentration, dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = expected / expected.sum(axis=-1, keepdims=True)
        exponents = concentration[..., None] * shares
        total = counts.sum(axis=-1)
        outside = gammaln(total + 1) + gammaln(concentration) - gammaln(total + concentration)
        inside = gammaln(counts + exponents) - gammaln(exponents) - gammaln(counts + 1)
        inside = np.where(exponents > 0, inside, np.where(counts == 0, 0.0, -np.inf))
        logs = outside + inside.sum(axis=-1)
    return _or_never((expected >= 0).all(axis=-1) & (expected.sum(axis=-1) > 0), logs)


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
    from scipy.special import logsumexp

    def summed(first: float, last: float) -> Array:
        values = np.arange(first, last + 1).reshape((-1,) + (1,) * np.ndim(mean))
        with np.errstate(divide="ignore"):
            return np.asarray(logsumexp(log_mass(values), axis=0))

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


def continuous_interval(lower: Array, upper: Array, mean: Array, sd: Array) -> Array:
    """Log probability that a normal lies between ``lower`` and ``upper``, either of which may be infinite."""
    from scipy.special import log_ndtr

    a, b = (np.asarray(lower) - mean) / sd, (np.asarray(upper) - mean) / sd
    # in the upper tail the mirrored difference keeps its digits
    mirrored = a > 0
    a, b = np.where(mirrored, -b, a), np.where(mirrored, -a, b)
    low, high = log_ndtr(a), log_ndtr(b)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.isneginf(low), high, high + np.log1p(-np.exp(low - high)))


def lognormal_interval(lower: Array, upper: Array, median: Array, sigma: Array) -> Array:
    """Log probability that a lognormal lies between ``lower`` and ``upper``; the latter may be infinite."""
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = np.log(np.maximum(lower, 0.0)), np.log(np.maximum(upper, 0.0))
        return _or_never(np.asarray(median) > 0, continuous_interval(low, high, np.log(median), sigma))


def student_t_interval(lower: Array, upper: Array, mean: Array, scale: Array, dof: float) -> Array:
    """Log probability that Student's t, shifted and scaled, lies between ``lower`` and ``upper``."""
    from scipy.special import stdtr

    a, b = (np.asarray(lower) - mean) / scale, (np.asarray(upper) - mean) / scale
    # in the upper tail the mirrored difference keeps its digits
    mirrored = a > 0
    a, b = np.where(mirrored, -b, a), np.where(mirrored, -a, b)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(stdtr(dof, b) - stdtr(dof, a)))


def recoded(counts: Array, given: Array, matrix: Array) -> Array:
    """Log probability that members of true categories are reported as ``counts``: a sum of multinomials.

    Each of the ``given`` members of a true category is reported by its row of the matrix, and only the sums over the
    true categories are seen. The probability is the coefficient of a product of multinomials, summed exactly: all
    summands are positive, so nothing cancels.

    Parameters
    ----------
    counts : (n_reported,), given : (n_true,)
        Of one total.
    matrix : (n, n_true, n_reported)

    Returns
    -------
    (n,)
    """
    # the largest reported category is the one that follows from the others, so that the lattice is small
    by_size = np.argsort(counts, kind="stable")
    matrix = matrix[:, :, by_size]
    limits = tuple(int(count) for count in np.asarray(counts)[by_size[:-1]])
    # the largest true category comes last: of its sum with the others only one entry is needed
    order = np.argsort(given, kind="stable")
    total = np.zeros((len(matrix), *(limit + 1 for limit in limits)))
    total.reshape(len(matrix), -1)[:, 0] = 1.0
    for position, k in enumerate(order):
        points, mass = _multinomial_lattice(int(given[k]), limits, matrix[:, k])
        if position == len(order) - 1:
            here = np.asarray(limits) - points
            found = sum(mass[:, i] * total[(slice(None), *place)] for i, place in enumerate(here))
        else:
            total = _with(total, points, mass)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log(found))


def _multinomial_lattice(n: int, limits: tuple[int, ...], rows: Array) -> tuple[NDArray[np.intp], Array]:
    """Counts in all categories but the last, up to ``limits``, and their masses ``(n, n_points)``; none that is nil."""
    from scipy.special import gammaln, xlogy

    axes = np.meshgrid(*(np.arange(min(limit, n) + 1) for limit in limits), indexing="ij")
    points = np.stack([axis.ravel() for axis in axes], axis=-1)
    points = points[points.sum(axis=1) <= n]
    whole = np.concatenate([points, n - points.sum(axis=1, keepdims=True)], axis=1)
    ways = gammaln(n + 1) - gammaln(whole + 1).sum(axis=1)
    mass = np.exp(ways + xlogy(whole[None], rows[:, None, :]).sum(axis=-1))
    some = mass.any(axis=0)
    return points[some], mass[:, some]


def _with(total: Array, points: NDArray[np.intp], mass: Array) -> Array:
    """The lattice of a sum, entries beyond the limits left out."""
    result = np.zeros_like(total)
    shape = (len(mass),) + (1,) * (total.ndim - 1)
    for i, place in enumerate(points):
        to = tuple(slice(int(by), None) for by in place)
        left = tuple(slice(0, size - int(by)) for by, size in zip(place, total.shape[1:], strict=True))
        result[(slice(None), *to)] += mass[:, i].reshape(shape) * total[(slice(None), *left)]
    return result


def _most_losses(mean: float) -> int:
    """A count that a Poisson variable of that mean exceeds with a probability below ``LOSS_TAIL``.

    Source: the Chernoff bound ``P(X >= x) <= exp(-mean) (e mean / x)^x``.
    """
    most = math.ceil(mean) + 1
    while mean > 0 and most - mean + most * math.log(mean / most) > math.log(LOSS_TAIL):
        most += max(1, most // 8)
    return most


def difference_of_counts(value: Array, gains: LogMass, losses: Array) -> Array:
    """Log probability that gains less losses make ``value``, gains of any count family and losses Poisson.

    A net stock changes by both. With Poisson gains this is Skellam's distribution (Skellam 1946). The sum over the
    losses stops where less than ``LOSS_TAIL`` of their probability is left. A net increment that is zero or negative,
    in the data or in the model, is nothing special here.

    Parameters
    ----------
    gains : log mass of the gains, of counts that broadcast against ``losses``
    losses : (…)
        Mean losses.
    """
    losses = np.asarray(losses, dtype=float)
    usable = np.where(np.isfinite(losses) & (losses >= 0), losses, 0.0)
    many = usable > MOST_LOSSES
    if many.any():
        ordinary = difference_of_counts(value, gains, np.where(many, 0.0, losses))
        return np.where(many, _difference_of_many(value, gains, np.where(many, usable, MOST_LOSSES)), ordinary)
    most = _most_losses(float(np.max(usable, initial=0.0)))
    lost = np.arange(most + 1, dtype=float).reshape((-1,) + (1,) * max(np.ndim(value), np.ndim(losses)))
    with np.errstate(divide="ignore"):
        logs = _log_sum(gains(value + lost) + poisson(lost, usable))
    # losses are a difference of two cumulative outputs: a rounding error below zero is no loss
    return _or_never(losses >= -1e-9, logs)


def _log_sum(logs: Array) -> Array:
    """Log of the sum of the exponentials over the first axis.

    That of scipy asks for types and signs that are known here, which takes longer than the sum.
    """
    top = logs.max(axis=0)
    top = np.where(np.isfinite(top), top, 0.0)
    return np.asarray(np.log(np.exp(logs - top).sum(axis=0)) + top)


def _difference_of_many(value: Array, gains: LogMass, losses: Array) -> Array:
    """:func:`difference_of_counts` for many losses, whose mass is smooth: a sum over every twentieth of a deviation."""
    from scipy.special import logsumexp

    width = 0.05
    steps = np.arange(-9, 9 + width / 2, width).reshape((-1,) + (1,) * max(np.ndim(value), np.ndim(losses)))
    lost = losses + steps * np.sqrt(losses)
    with np.errstate(divide="ignore"):
        logs = logsumexp(gains(value + lost) + poisson(lost, losses), axis=0) + np.log(width * np.sqrt(losses))
    return _or_never(losses >= 0, logs)
