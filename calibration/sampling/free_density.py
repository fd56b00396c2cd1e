"""The posterior of a problem in coordinates without walls (:mod:`calibration.sampling.unconstrained`)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from calibration.likelihood.posterior import Posterior
from calibration.sampling.densities import log_density
from calibration.sampling.unconstrained import Unconstrained
from calibration.study.parameters import ParameterSpace
from cipark_sd.arrays import Array


@dataclass(frozen=True, eq=False)
class FreeDensity:
    """The ``density`` with the derivative of its parameters by the coordinates."""

    density: Posterior

    @cached_property
    def coordinates(self) -> Unconstrained:
        """Between parameters and coordinates."""
        return Unconstrained(self.density.space)

    def theta(self, free: Array) -> Array:
        """Values of coordinates ``(…, k)``."""
        return self.coordinates.theta(free)

    def log_prior(self, free: Array) -> Array:
        """``(n,)``."""
        return self.density.space.log_prior(self.theta(free)) + self.coordinates.log_jacobian(free)

    def log_likelihood(self, free: Array) -> Array:
        """``(n,)``."""
        return self.density.log_likelihood(self.theta(free))

    def draw_prior(self, n: int, rng: np.random.Generator) -> Array:
        """``(n, k)``."""
        return self.coordinates.free(prior_draws(self.density.space, n, rng))

    def __call__(self, free: Array) -> Array:
        """Log density of the posterior, up to its evidence."""
        return log_density(self, free)


def prior_draws(space: ParameterSpace, n: int, rng: np.random.Generator) -> Array:
    """``(n, k)`` draws from the prior."""
    return space.from_unit(rng.random((n, len(space))))
