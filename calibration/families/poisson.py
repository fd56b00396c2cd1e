"""Counts of events that come one by one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calibration.families.base import CountFamily, Density, or_never
from cipark_sd.arrays import Array


@dataclass(frozen=True, slots=True)
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
        return mixed_poisson(mean, rng, lambda usable: usable)


def mixed_poisson(mean: Array, rng: np.random.Generator, rate: Callable[[Array], Array]) -> Array:
    """Random counts, Poisson around the ``rate`` that is drawn for each mean; NaN where the mean is negative."""
    possible = np.isfinite(mean) & (mean >= 0)
    drawn = rate(np.where(possible, mean, 0.0))
    # numpy's Poisson ends near 2**63
    return np.where(possible, rng.poisson(np.minimum(drawn, 1e15)), np.nan)
