"""What a noise family has to know of itself: frozen values that the reader of a study and the likelihood ask.

A family says which kinds of observation take it, the key of its spread in a study, and all that is computed with it.
There are three sorts, by what was observed: one number (:class:`MeasurementFamily` and :class:`CountFamily`), how a
total splits into categories (:class:`SplitFamily`), and how many of a total belong to a part (:class:`ShareFamily`).
The fields of a family are its options in a study, positive numbers with a default each; a family that has some is a
dataclass of its own.

Predictions come as ``(…, n)`` or, for splits, ``(…, n_categories)``; observations broadcast against them. A prediction
that a family cannot have (a negative mean, say) has log density minus infinity: nothing is floored, so that an optimum
cannot sit where the model makes no sense. What a count in a window does where the model falls, the likelihood says
(:class:`calibration.likelihood.net_counts.Rise`).

The probability of an interval of counts is a sum that keeps its digits far in a tail (:func:`count_interval`).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from cipark_sd.base.arrays import Array

Kind = Literal["increments", "flow", "level", "ratio", "breakdown", "share", "metric"]
#: The log density of what was seen, by what the model says for it and the spread; who calls it ignores the warnings of
#: floating point.
Density = Callable[[Array, Array], Array]


def or_never(possible: NDArray[np.bool_], logs: Array) -> Array:
    """Log densities, minus infinity where nothing is possible.

    Parameters
    ----------
    possible : (…)
    logs : (…)
        NaN counts as minus infinity.

    Returns
    -------
    (…)
    """
    # of a number and of none the larger one is the number
    return np.where(possible, np.fmax(logs, -np.inf), -np.inf)


@dataclass(frozen=True, slots=True)
class Family(ABC):
    """A noise family.

    ``name`` is the family's in a study, ``spread`` the key of its spread there, empty where it has none; ``kinds`` are
    the kinds of observation that take it. ``meaning`` says for a comment in a study what the noise and its spread are.
    """

    name: ClassVar[str]
    meaning: ClassVar[str]
    spread: ClassVar[str] = ""
    kinds: ClassVar[tuple[Kind, ...]]


class NumberFamily(Family):
    """The noise of one number around a mean, or what stands for it.

    Parameters of all methods: ``value``, ``mean`` and ``spread`` broadcast against each other; values and means are in
    the unit of the observation.
    """

    #: Whether it is of whole numbers, none of them negative.
    discrete: ClassVar[bool]
    #: Whether it has numbers above 0 alone.
    positive: ClassVar[bool] = False
    #: Whether the noise is added to the logarithm of the mean, and not to the mean: the scale of :meth:`sd`.
    on_log: ClassVar[bool] = False
    #: Whether the noise is normal, of the number or of its logarithm.
    gaussian: ClassVar[bool] = False
    #: Whether windows may differ in length: the sum over two is of the same family with the same spread.
    additive_over_windows: ClassVar[bool] = True

    @abstractmethod
    def log_density(self, value: Array, mean: Array, spread: Array) -> Array:
        """Log density, or log probability of a count."""

    def density_of(self, value: Array) -> Density:
        """:meth:`log_density` of one value, again and again: a family computes what the value alone decides here."""
        return partial(self.log_density, value)

    def density_of_interval(self, lower: float, upper: float) -> Density:
        """:meth:`log_interval` of one interval around means ``(n,)``, again and again."""
        return partial(self.log_interval, lower, upper)

    @abstractmethod
    def log_interval(self, lower: float, upper: float, mean: Array, spread: Array) -> Array:
        """Log probability that the number lies from ``lower`` to ``upper``, either of which may be infinite."""

    @abstractmethod
    def slopes(self, value: Array, mean: Array, spread: Array) -> tuple[Array, ...]:
        """Derivatives of :meth:`log_density` by mean and spread, where the density is above zero."""

    @abstractmethod
    def interval_slopes(self, lower: float, upper: float, mean: Array, spread: Array) -> tuple[Array, ...]:
        """Derivatives of :meth:`log_interval` by mean and spread, where the probability is above zero."""

    @abstractmethod
    def sd(self, mean: Array, spread: Array) -> Array:
        """Standard deviation of the noise on its scale (:attr:`on_log`)."""

    @abstractmethod
    def quantile(self, probability: Array, mean: float, spread: float) -> Array:
        """Quantiles ``(m,)`` at probabilities ``(m,)``; NaN for a mean that the family cannot have."""

    @abstractmethod
    def draw(self, mean: Array, spread: Array, rng: np.random.Generator) -> Array:
        """A random number for each mean; NaN for a mean that the family cannot have."""


class MeasurementFamily(NumberFamily):
    """The noise of a measurement, which may be autocorrelated: each has a standard normal score."""

    spread: ClassVar[str] = "sd"
    kinds: ClassVar[tuple[Kind, ...]] = ("increments", "flow", "level", "ratio", "metric")
    discrete: ClassVar[bool] = False

    @abstractmethod
    def score(self, value: Array, mean: Array, spread: Array) -> Array:
        """The standard normal quantile of the probability of no more than ``value``; NaN where it has none."""

    def score_slopes(self, value: Array, mean: Array, spread: Array) -> tuple[Array, Array]:
        """Derivatives of :meth:`score` by mean and spread, of a family that these shift and stretch.

        A score is a standard normal with the probability of the value: what changes the one changes the other, by the
        density of the value over that of the score.
        """
        score = self.score(value, mean, spread)
        by_mean = -np.exp(self.log_density(value, mean, spread) + 0.5 * score**2 + 0.5 * math.log(2 * math.pi))
        return by_mean, by_mean * (value - mean) / spread

    @abstractmethod
    def from_score(self, score: Array, mean: Array, spread: Array) -> Array:
        """The measurement whose :meth:`score` is given."""

    def sd(self, mean: Array, spread: Array) -> Array:
        """The spread itself."""
        return spread

    def interval_slopes(self, lower: float, upper: float, mean: Array, spread: Array) -> tuple[Array, ...]:
        """By the density at both ends, which a move of the mean or the spread carries over them.

        The probability below an end is a function of its score: its derivatives are those of the score times the
        density of a standard normal there.
        """
        log_probability = self.log_interval(lower, upper, mean, spread)
        by_mean, by_spread = np.zeros_like(log_probability), np.zeros_like(log_probability)
        for end, sign in ((lower, -1.0), (upper, 1.0)):
            if math.isfinite(end) and (end > 0 or not self.positive):
                score = self.score(np.array(end), mean, spread)
                with np.errstate(over="ignore", invalid="ignore"):
                    share = sign * np.exp(-0.5 * score**2 - 0.5 * math.log(2 * math.pi) - log_probability)
                of_mean, of_spread = self.score_slopes(np.array(end), mean, spread)
                by_mean, by_spread = by_mean + share * of_mean, by_spread + share * of_spread
        return by_mean, by_spread


class CountFamily(NumberFamily):
    """The noise of a count; intervals and quantiles are sums of probabilities."""

    kinds: ClassVar[tuple[Kind, ...]] = ("increments", "flow", "level", "metric")
    discrete: ClassVar[bool] = True
    #: The smallest count there can be.
    least: ClassVar[float] = 0.0

    @abstractmethod
    def variance(self, mean: Array, spread: Array) -> Array:
        """Variance of the count."""

    def recurrence(self, mean: Array, spread: Array) -> tuple[Array, Array] | None:
        """Numbers ``a, b`` with ``P(n) = (a + b / n) P(n - 1)``, None where a family has none.

        Source: Panjer 1981, ASTIN Bulletin 12(1), 22-26.
        """
        return None

    def sd(self, mean: Array, spread: Array) -> Array:
        """Standard deviation of the count, 0 around a mean that it cannot have."""
        with np.errstate(invalid="ignore", over="ignore"):
            return np.asarray(np.sqrt(np.maximum(self.variance(mean, spread), 0.0)))

    def log_interval(self, lower: float, upper: float, mean: Array, spread: Array) -> Array:
        """Log probability that the count lies from ``lower`` to ``upper``, both included."""
        sd = self.sd(mean, spread)
        return count_interval(lambda n: self.log_density(n, mean, spread), lower, upper, mean, sd, least=self.least)

    def density_of_interval(self, lower: float, upper: float) -> Density:
        """Its counts are the same whatever the mean where both ends are known."""
        lower = max(lower, self.least)
        if not -math.inf < lower <= upper < math.inf:
            return partial(self.log_interval, lower, upper)
        counts = self.density_of(np.arange(lower, upper + 1)[:, None])
        return lambda mean, spread: log_sum(counts(mean, spread))

    def interval_slopes(self, lower: float, upper: float, mean: Array, spread: Array) -> tuple[Array, ...]:
        """Sums of the slopes of the counts in the interval, by their probabilities."""
        return interval_slopes(
            lambda n: self.log_density(n, mean, spread),
            lambda n: self.slopes(n, mean, spread),
            lower,
            upper,
            mean,
            self.sd(mean, spread),
            least=self.least,
        )

    def quantile(self, probability: Array, mean: float, spread: float) -> Array:
        """The smallest counts whose distribution function reaches the probabilities."""
        centre, width = np.array([mean]), np.array([spread])
        sd = float(self.sd(centre, width)[0])
        nowhere = np.full(len(probability), math.nan)
        if not (math.isfinite(sd) and math.isfinite(mean)):
            return nowhere
        first, last = math.floor(min(0.0, mean - 10 * sd - 5)), math.ceil(mean + 12 * sd + 20)
        counts = np.arange(first, last + 1, dtype=float)
        with np.errstate(over="ignore"):
            cumulative = np.exp(self.log_density(counts[:, None], centre, width)[:, 0]).cumsum()
        return counts[np.searchsorted(cumulative, probability)] if cumulative[-1] > 0.5 else nowhere


class SplitFamily(Family):
    """How a given total splits into categories; ``expected`` and ``shares`` are ``(…, n_categories)``."""

    kinds: ClassVar[tuple[Kind, ...]] = ("breakdown",)

    def log_density(self, counts: Array, expected: Array, spread: Array) -> Array:
        """Log probability of the counts given their sum; ``expected`` up to a factor."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.density_of(counts)(np.asarray(expected, dtype=float), np.asarray(spread, dtype=float))

    def density_of(self, counts: Array) -> Density:
        """:meth:`log_density` of the same counts, again and again."""
        mass = self.mass_of(np.asarray(counts, dtype=float))

        def log_density(expected: Array, spread: Array) -> Array:
            total = expected.sum(axis=-1, keepdims=True)
            logs = mass(expected / total, spread)
            return or_never((expected >= 0).all(axis=-1) & (total[..., 0] > 0), logs)

        return log_density

    def independent(self, total: float, spread: Array) -> Array:
        """Members of a multinomial whose shares are known as well as those of ``total`` members."""
        return np.full_like(spread, total)

    @abstractmethod
    def log_mass(self, counts: Array, shares: Array, spread: Array) -> Array:
        """Log probability of the counts given their sum, where the ``shares`` are possible."""

    def mass_of(self, counts: Array) -> Density:
        """:meth:`log_mass` of the same counts, by shares and spread, again and again."""
        return partial(self.log_mass, counts)

    def slopes(self, counts: Array, expected: Array, spread: Array) -> tuple[Array, Array]:
        """Derivatives of :meth:`log_density` by ``expected`` and the spread, where the density is above zero."""
        counts, expected = np.asarray(counts, dtype=float), np.asarray(expected, dtype=float)
        with np.errstate(invalid="ignore", divide="ignore"):
            total = expected.sum(axis=-1, keepdims=True)
            shares = expected / total
            by_share, by_spread = self.mass_slopes(counts, shares, np.asarray(spread, dtype=float))
            return (by_share - (by_share * shares).sum(axis=-1, keepdims=True)) / total, by_spread

    @abstractmethod
    def mass_slopes(self, counts: Array, shares: Array, spread: Array) -> tuple[Array, Array]:
        """Derivatives of :meth:`log_mass` by each share as if it were free, and by the spread."""

    @abstractmethod
    def cell(self, total: int, share: float, spread: float) -> Array:
        """Probabilities ``(total + 1,)`` of the count of one category by itself."""

    @abstractmethod
    def draw(self, total: int, shares: Array, spread: Array, rng: np.random.Generator) -> Array:
        """Random counts ``(n, n_categories)`` for ``shares`` that add up to 1 in each row, ``spread : (n,)``."""


class ShareFamily(Family):
    """How many of a given total belong to a part."""

    kinds: ClassVar[tuple[Kind, ...]] = ("share",)

    @abstractmethod
    def log_density(self, value: Array, total: Array, probability: Array) -> Array:
        """Log probability of ``value`` of ``total``."""

    def density_of(self, value: Array, total: Array) -> Callable[[Array], Array]:
        """:meth:`log_density` of one value of a total, by the probability, again and again; as of :data:`Density`."""
        return partial(self.log_density, value, total)

    @abstractmethod
    def log_interval(self, lower: float, upper: float, total: Array, probability: Array) -> Array:
        """Log probability of ``lower`` to ``upper`` of ``total``."""

    @abstractmethod
    def slope(self, value: Array, total: Array, probability: Array) -> Array:
        """Derivative of :meth:`log_density` by the probability, where the density is above zero."""

    @abstractmethod
    def interval_slope(self, lower: float, upper: float, total: Array, probability: Array) -> Array:
        """Derivative of :meth:`log_interval` by the probability, where it is above zero."""

    @abstractmethod
    def mass(self, total: int, probability: float) -> Array:
        """Probabilities ``(total + 1,)`` of all values."""

    @abstractmethod
    def draw(self, total: int, probability: Array, rng: np.random.Generator) -> Array:
        """A random number for each probability."""


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
    """Log probability that a count lies between two ends, both included.

    Sums the probabilities themselves in log space, so that nothing cancels far in a tail. An open upper end is the
    complement where that is safe and else a sum up to far beyond mean and lower end.

    Parameters
    ----------
    log_mass : function
        Of counts ``(n_values, 1…)``, giving ``(n_values, …)``.
    lower, upper : float
        Either may be infinite.
    mean, sd : (…)
        Of the count; they say how far an open sum has to go.
    least : float
        The smallest count there can be: 0, or minus infinity for what is gained less what is lost.

    Returns
    -------
    (…)
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
    """Derivatives of :func:`count_interval`, where it is above zero.

    Parameters
    ----------
    log_mass : function
        Of counts ``(n_values, 1…)``, giving ``(n_values, …)``.
    slopes : function
        Of the same counts: the derivatives of ``log_mass``, each ``(n_values, …)``.
    lower, upper : float
        Either may be infinite.
    mean, sd : (…)
        Of the count.
    least : float
        The smallest count there can be.

    Returns
    -------
    tuple of (…)
        As many as ``slopes`` gives.
    """
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
