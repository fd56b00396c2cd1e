"""Measurements with heavier tails than normal."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calibration.families.base import MeasurementFamily, mirrored_ends
from cipark_sd.arrays import Array


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

        a, b = mirrored_ends(lower, upper, mean, spread)
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
