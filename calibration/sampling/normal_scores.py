"""Parameters by the normal scores of their prior probabilities: where the prior is standard normal.

A parameter of which the data say little has a posterior near its prior, and so a nearly normal one in these
coordinates, whatever the family of the prior and its bounds. The density needs no derivative: with respect to the
prior it is the likelihood.
"""

import math
from dataclasses import dataclass

import numpy as np

from calibration.likelihood.posterior import Posterior
from calibration.study.parameters import ParameterSpace
from cipark_sd.arrays import Array

#: Scores beyond which a probability near 1 has too few digits.
FARTHEST = 7.0


@dataclass(frozen=True, eq=False)
class NormalScores:
    """The posterior ``density`` in normal scores; points are ``(n, k)``."""

    density: Posterior

    @property
    def space(self) -> ParameterSpace:
        """Of the posterior."""
        return self.density.space

    def theta(self, scores: Array) -> Array:
        """Values of scores ``(…, k)``."""
        from scipy.special import ndtr

        return self.space.from_unit(ndtr(scores))

    def theta_of(self, position: int, scores: Array) -> Array:
        """Values ``(…,)`` of one parameter."""
        from scipy.special import ndtr

        return self.space.parameters[position].distribution.quantile(ndtr(scores))

    def scores(self, theta: Array) -> Array:
        """Scores of values ``(…, k)``; infinite at an end of a prior."""
        from scipy.special import ndtri

        return np.asarray(ndtri(self.space.to_unit(theta)))

    def log_prior(self, scores: Array) -> Array:
        """Of a standard normal in ``k`` dimensions; nothing beyond :data:`FARTHEST`."""
        k = scores.shape[-1]
        logs = -0.5 * (scores**2).sum(axis=-1) - 0.5 * k * math.log(2 * math.pi)
        return np.where((np.abs(scores) < FARTHEST).all(axis=-1), logs, -np.inf)

    def log_likelihood(self, scores: Array) -> Array:
        """``(n,)``."""
        return self.density.log_likelihood(self.theta(scores))

    def draw_prior(self, n: int, rng: np.random.Generator) -> Array:
        """``(n, k)``."""
        return rng.standard_normal((n, len(self.space)))
