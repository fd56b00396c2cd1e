"""Measurements of positive numbers with an error in proportion."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calibration.families.base import MeasurementFamily, or_never
from calibration.families.normal import Normal
from cipark_sd.arrays import Array


@dataclass(frozen=True, slots=True)
class Lognormal(MeasurementFamily):
    """Lognormal around the median ``mean``; ``spread`` is the standard deviation of the logarithm."""

    name: ClassVar[str] = "lognormal"
    meaning: ClassVar[str] = "measurements with an error in proportion; sd of the logarithm"
    positive: ClassVar[bool] = True
    on_log: ClassVar[bool] = True
    gaussian: ClassVar[bool] = True

    def log_density(self, value: Array, mean: Array, spread: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = Normal().log_density(np.log(value), np.log(mean), spread) - np.log(value)
        return or_never((np.asarray(value) > 0) & (np.asarray(mean) > 0), logs)

    def log_interval(self, lower: float, upper: float, mean: Array, spread: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            low, high = np.log(max(lower, 0.0)), np.log(max(upper, 0.0))
            return or_never(np.asarray(mean) > 0, Normal().log_interval(low, high, np.log(mean), spread))

    def slopes(self, value: Array, mean: Array, spread: Array) -> tuple[Array, ...]:
        z = self.score(value, mean, spread)
        return z / (spread * mean), (z * z - 1.0) / spread

    def quantile(self, probability: Array, mean: float, spread: float) -> Array:
        from scipy import stats

        if not mean > 0:
            return np.full(len(probability), np.nan)
        return np.asarray(stats.lognorm.ppf(probability, spread, scale=mean))

    def draw(self, mean: Array, spread: Array, rng: np.random.Generator) -> Array:
        possible = mean > 0
        drawn = np.where(possible, mean, 1.0) * np.exp(spread * rng.standard_normal(len(mean)))
        return np.where(possible, drawn, np.nan)

    def score(self, value: Array, mean: Array, spread: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((np.log(value) - np.log(mean)) / spread)

    def score_slopes(self, value: Array, mean: Array, spread: Array) -> tuple[Array, Array]:
        return -1.0 / (spread * mean), -self.score(value, mean, spread) / spread

    def from_score(self, score: Array, mean: Array, spread: Array) -> Array:
        with np.errstate(invalid="ignore", over="ignore"):
            return np.where(mean > 0, mean * np.exp(spread * score), np.nan)
