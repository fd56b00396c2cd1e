"""Counts: of events that come one by one, and those that scatter more than Poisson's.

NB1 is the default for counts over windows of unequal length: its variance ``mean (1 + alpha)`` grows with the mean, so
the sum of two windows follows the same law with the same ``alpha``, and it *is* a Poisson process of batches whose
sizes follow the logarithmic distribution. NB2 (variance ``mean + alpha mean²``) has neither property and belongs to
windows of equal length.

Source: Cameron and Trivedi 2013, Regression Analysis of Count Data, section 3.3.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

import numpy as np

from calibration.noise.families.base import CountFamily, Density, or_never
from cipark_sd.base.arrays import Array


class Poisson(CountFamily):
    """Poisson; a mean of exactly 0 allows the value 0 only."""

    name: ClassVar[str] = "poisson"
    meaning: ClassVar[str] = "counts with variance = mean"

    def log_density(self, value: Array, mean: Array, spread: Array) -> Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.density_of(value)(np.asarray(mean), spread)

    def density_of(self, value: Array) -> Density:
        from scipy.special import gammaln, xlogy

        value = np.asarray(value)
        with np.errstate(invalid="ignore", divide="ignore"):
            ways = gammaln(value + 1.0)
        possible = value >= 0

        def log_density(mean: Array, spread: Array) -> Array:
            return or_never((mean >= 0) & possible, xlogy(value, mean) - mean - ways)

        return log_density

    def slopes(self, value: Array, mean: Array, spread: Array) -> tuple[Array, ...]:
        with np.errstate(invalid="ignore", divide="ignore"):
            by_mean = np.where(value == 0, 0.0, value / mean) - 1.0
        return by_mean, np.zeros_like(by_mean * spread)

    def variance(self, mean: Array, spread: Array) -> Array:
        return mean

    def recurrence(self, mean: Array, spread: Array) -> tuple[Array, Array]:
        return np.zeros(np.shape(mean)), mean

    def draw(self, mean: Array, spread: Array, rng: np.random.Generator) -> Array:
        return _mixed_poisson(mean, rng, lambda usable: usable)


def _mixed_poisson(mean: Array, rng: np.random.Generator, rate: Callable[[Array], Array]) -> Array:
    """Random counts, Poisson around the ``rate`` that is drawn for each mean; NaN where the mean is negative."""
    possible = np.isfinite(mean) & (mean >= 0)
    drawn = rate(np.where(possible, mean, 0.0))
    # numpy's Poisson ends near 2**63
    return np.where(possible, rng.poisson(np.minimum(drawn, 1e15)), np.nan)


class GammaPoisson(CountFamily):
    """Poisson's law under a rate that is gamma distributed with a ``size``; families differ in what that is."""

    @abstractmethod
    def size(self, mean: Array, spread: Array) -> Array:
        """The shape of the gamma distribution."""

    def log_density(self, value: Array, mean: Array, spread: Array) -> Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.density_of(value)(mean, spread)

    def density_of(self, value: Array) -> Density:
        log_density = _negative_binomial_of(value)
        return lambda mean, spread: log_density(mean, self.size(mean, spread))

    def recurrence(self, mean: Array, spread: Array) -> tuple[Array, Array]:
        size = self.size(mean, spread)
        share = np.asarray(mean) / (mean + size)
        return share, (size - 1) * share


class NB1(GammaPoisson):
    """Negative binomial of the first kind: variance ``mean (1 + alpha)``, ``alpha`` the spread."""

    name: ClassVar[str] = "nb1"
    meaning: ClassVar[str] = "counts with variance = mean * (1 + dispersion); poisson has no dispersion"
    spread: ClassVar[str] = "dispersion"

    def slopes(self, value: Array, mean: Array, spread: Array) -> tuple[Array, ...]:
        mean = np.asarray(mean, dtype=float)
        size = self.size(mean, spread)
        by_mean, by_size = _negative_binomial_slopes(value, mean, size)
        # where none are expected none came, and the log probability is a straight line of the mean
        none = -np.log1p(spread) / spread
        return np.where(mean > 0, by_mean + by_size / spread, none), np.where(mean > 0, -by_size * size / spread, 0.0)

    def variance(self, mean: Array, spread: Array) -> Array:
        return np.asarray(mean * (1 + spread))

    def size(self, mean: Array, spread: Array) -> Array:
        # a mean of 0 would give size 0; the branch for it stands in _negative_binomial_of
        return np.asarray(np.where(np.asarray(mean) > 0, mean, 1.0) / spread)

    def draw(self, mean: Array, spread: Array, rng: np.random.Generator) -> Array:
        # a gamma with mean m and variance m alpha, so that the mixture has variance m (1 + alpha)
        return _mixed_poisson(mean, rng, lambda usable: rng.gamma(usable / spread, spread))


class NB2(GammaPoisson):
    """Negative binomial of the second kind: variance ``mean + alpha mean²``, ``alpha`` the spread."""

    name: ClassVar[str] = "nb2"
    meaning: ClassVar[str] = "counts with variance = mean + dispersion * mean^2"
    spread: ClassVar[str] = "dispersion"
    additive_over_windows: ClassVar[bool] = False

    def size(self, mean: Array, spread: Array) -> Array:
        return 1.0 / np.asarray(spread, dtype=float)

    def slopes(self, value: Array, mean: Array, spread: Array) -> tuple[Array, ...]:
        size = self.size(mean, spread)
        by_mean, by_size = _negative_binomial_slopes(value, mean, size)
        return by_mean, -by_size * size * size

    def variance(self, mean: Array, spread: Array) -> Array:
        return np.asarray(mean + spread * mean**2)

    def draw(self, mean: Array, spread: Array, rng: np.random.Generator) -> Array:
        return _mixed_poisson(mean, rng, lambda usable: usable * rng.gamma(1 / spread, spread))


class NegativeBinomial(GammaPoisson):
    """NB2 by mean and size, as Stan's ``neg_binomial_2``: variance ``mean + mean² / size``, ``size`` the spread."""

    name: ClassVar[str] = "negative-binomial"
    meaning: ClassVar[str] = "counts with variance = mean + mean^2 / size"
    spread: ClassVar[str] = "size"
    additive_over_windows: ClassVar[bool] = False

    def size(self, mean: Array, spread: Array) -> Array:
        return np.asarray(spread, dtype=float)

    def slopes(self, value: Array, mean: Array, spread: Array) -> tuple[Array, ...]:
        return _negative_binomial_slopes(value, mean, np.asarray(spread, dtype=float))

    def variance(self, mean: Array, spread: Array) -> Array:
        return np.asarray(mean + mean**2 / spread)

    def draw(self, mean: Array, spread: Array, rng: np.random.Generator) -> Array:
        return _mixed_poisson(mean, rng, lambda usable: usable * rng.gamma(spread, 1 / spread))


def _negative_binomial_of(value: Array) -> Callable[[Array, Array], Array]:
    """The log probability of one value, or of several, by mean and size (variance ``mean + mean² / size``)."""
    from scipy.special import gammaln

    value = np.asarray(value)
    none, possible = value == 0, value >= 0
    with np.errstate(invalid="ignore", divide="ignore"):
        ways = gammaln(value + 1.0)

    def log_probability(mean: Array, size: Array) -> Array:
        mean = np.asarray(mean)
        # what depends on the model alone is computed once for all values; of no events the power is 1
        alone = -gammaln(size) - size * np.log1p(mean / size)
        power = np.where(none, 0.0, value * np.log(mean / (mean + size)))
        logs = gammaln(value + size) - ways + (alone + power)
        # no events are expected: 0 is certain
        logs = np.where((mean == 0) & none, 0.0, logs)
        return or_never((mean >= 0) & possible, logs)

    return log_probability


def _negative_binomial_slopes(value: Array, mean: Array, size: Array) -> tuple[Array, Array]:
    """Derivatives of :func:`_negative_binomial_of` by mean and size."""
    from scipy.special import digamma

    with np.errstate(invalid="ignore", divide="ignore"):
        left = (value + size) / (mean + size)
        by_mean = np.where(np.asarray(value) == 0, 0.0, value / mean) - left
        return by_mean, digamma(value + size) - digamma(size) - np.log1p(mean / size) + 1.0 - left
