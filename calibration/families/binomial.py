"""How many of a total belong to a part, each by itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calibration.families.base import ShareFamily, or_never
from calibration.families.count_interval import count_interval, interval_slopes
from cipark_sd.arrays import Array


@dataclass(frozen=True, slots=True)
class Binomial(ShareFamily):
    """Binomial."""

    name: ClassVar[str] = "binomial"
    meaning: ClassVar[str] = "members of the total, each with the same chance to belong to the part"

    def log_density(self, value: Array, total: Array, probability: Array) -> Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.density_of(value, total)(np.asarray(probability))

    def density_of(self, value: Array, total: Array) -> Callable[[Array], Array]:
        from scipy.special import gammaln, xlog1py, xlogy

        value, total = np.asarray(value, dtype=float), np.asarray(total, dtype=float)
        failures = total - value
        with np.errstate(invalid="ignore", divide="ignore"):
            ways = gammaln(total + 1) - gammaln(value + 1) - gammaln(failures + 1)
        possible = (value >= 0) & (failures >= 0)

        def log_density(probability: Array) -> Array:
            logs = ways + xlogy(value, probability) + xlog1py(failures, -probability)
            return or_never(possible & (probability >= 0) & (probability <= 1), logs)

        return log_density

    def log_interval(self, lower: float, upper: float, total: Array, probability: Array) -> Array:
        mean, sd = probability * total, np.sqrt(total * probability)
        return count_interval(lambda n: self.log_density(n, total, probability), lower, upper, mean, sd)

    def slope(self, value: Array, total: Array, probability: Array) -> Array:
        failures = np.asarray(total, dtype=float) - value
        with np.errstate(invalid="ignore", divide="ignore"):
            won = np.where(np.asarray(value) == 0, 0.0, value / probability)
            return np.asarray(won - np.where(failures == 0, 0.0, failures / (1.0 - probability)))

    def interval_slope(self, lower: float, upper: float, total: Array, probability: Array) -> Array:
        mean, sd = probability * total, np.sqrt(total * probability)
        return interval_slopes(
            lambda n: self.log_density(n, total, probability),
            # beyond the total there is nothing
            lambda n: (np.where(n <= total, self.slope(np.minimum(n, total), total, probability), 0.0),),
            lower,
            upper,
            mean,
            sd,
        )[0]

    def mass(self, total: int, probability: float) -> Array:
        from scipy import stats

        return np.asarray(stats.binom.pmf(np.arange(total + 1), total, probability))

    def draw(self, total: int, probability: Array, rng: np.random.Generator) -> Array:
        possible = (probability >= 0) & (probability <= 1)
        return np.where(possible, rng.binomial(total, np.where(possible, probability, 0.0)), np.nan)
