"""Measurements: with the same error everywhere, with heavier tails, or positive with an error in proportion."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calibration.noise.families.base import MeasurementFamily, or_never
from cipark_sd.base.arrays import Array


def _mirrored_ends(lower: float, upper: float, mean: Array, spread: Array) -> tuple[Array, Array]:
    """The ends of an interval in spreads from the mean, mirrored in the upper tail, where a difference loses digits."""
    a, b = (np.asarray(lower) - mean) / spread, (np.asarray(upper) - mean) / spread
    return np.where(a > 0, -b, a), np.where(a > 0, -a, b)


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

        a, b = _mirrored_ends(lower, upper, mean, spread)
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


@dataclass(frozen=True, slots=True)
class StudentT(MeasurementFamily):
    """Student's t with ``dof`` degrees of freedom, shifted and scaled: ``spread`` is its scale.

    A score is the normal quantile of the residual's probability (a Gaussian copula), so that each residual of an
    autocorrelated series is Student's exactly by itself.
    """

    name: ClassVar[str] = "student-t"
    meaning: ClassVar[str] = "measurements with heavy tails; sd in the units of the data"
    dof: float = 4.0

    def sd(self, mean: Array, spread: Array) -> Array:
        """Of up to 2 degrees of freedom, which have none, the scale."""
        return spread * math.sqrt(self.dof / (self.dof - 2)) if self.dof > 2 else spread

    def log_density(self, value: Array, mean: Array, spread: Array) -> Array:
        from scipy.special import gammaln

        z, dof = (value - mean) / spread, self.dof
        constant = gammaln((dof + 1) / 2) - gammaln(dof / 2) - 0.5 * math.log(dof * math.pi)
        return np.asarray(constant - np.log(spread) - 0.5 * (dof + 1) * np.log1p(z * z / dof))

    def log_interval(self, lower: float, upper: float, mean: Array, spread: Array) -> Array:
        from scipy.special import stdtr

        a, b = _mirrored_ends(lower, upper, mean, spread)
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(stdtr(self.dof, b) - stdtr(self.dof, a)))

    def slopes(self, value: Array, mean: Array, spread: Array) -> tuple[Array, ...]:
        z = (value - mean) / spread
        pull = (self.dof + 1.0) * z / (self.dof + z * z)
        return pull / spread, (pull * z - 1.0) / spread

    def quantile(self, probability: Array, mean: float, spread: float) -> Array:
        from scipy import stats

        return np.asarray(stats.t.ppf(probability, self.dof, mean, spread))

    def draw(self, mean: Array, spread: Array, rng: np.random.Generator) -> Array:
        return np.asarray(mean + spread * rng.standard_t(self.dof, len(mean)))

    def score(self, value: Array, mean: Array, spread: Array) -> Array:
        from scipy.special import ndtri, stdtr

        with np.errstate(divide="ignore", invalid="ignore"):
            residual = (value - mean) / spread
            tail = np.maximum(stdtr(self.dof, -np.abs(residual)), 1e-300)
            return np.asarray(-np.sign(residual) * ndtri(tail))

    def from_score(self, score: Array, mean: Array, spread: Array) -> Array:
        from scipy.special import ndtr, stdtrit

        with np.errstate(invalid="ignore", over="ignore"):
            return np.asarray(mean - np.sign(score) * spread * stdtrit(self.dof, ndtr(-np.abs(score))))
