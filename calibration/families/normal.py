"""Measurements with the same error everywhere."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calibration.families.base import MeasurementFamily, mirrored_ends
from cipark_sd.arrays import Array


@dataclass(frozen=True, slots=True)
class Normal(MeasurementFamily):
    """Normal with standard deviation ``spread``."""

    name: ClassVar[str] = "normal"
    meaning: ClassVar[str] = "measurements with the same error everywhere; sd in the units of the data"
    gaussian: ClassVar[bool] = True

    def log_density(self, value: Array, mean: Array, spread: Array) -> Array:
        z = (value - mean) / spread
        return np.asarray(-0.5 * z * z - np.log(spread) - 0.5 * math.log(2 * math.pi))

    def log_interval(self, lower: float, upper: float, mean: Array, spread: Array) -> Array:
        from scipy.special import log_ndtr

        a, b = mirrored_ends(lower, upper, mean, spread)
        low, high = log_ndtr(a), log_ndtr(b)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(np.isneginf(low), high, high + np.log1p(-np.exp(low - high)))

    def slopes(self, value: Array, mean: Array, spread: Array) -> tuple[Array, ...]:
        z = (value - mean) / spread
        return z / spread, (z * z - 1.0) / spread

    def quantile(self, probability: Array, mean: float, spread: float) -> Array:
        from scipy import stats

        return np.asarray(stats.norm.ppf(probability, mean, spread))

    def draw(self, mean: Array, spread: Array, rng: np.random.Generator) -> Array:
        return np.asarray(mean + spread * rng.standard_normal(len(mean)))

    def score(self, value: Array, mean: Array, spread: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((value - mean) / spread)

    def score_slopes(self, value: Array, mean: Array, spread: Array) -> tuple[Array, Array]:
        return -1.0 / spread + 0.0 * mean, (mean - value) / spread**2

    def from_score(self, score: Array, mean: Array, spread: Array) -> Array:
        with np.errstate(invalid="ignore", over="ignore"):
            return np.asarray(mean + spread * score)
