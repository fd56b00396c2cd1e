"""What a sampler is given: prior and likelihood apart, of points without walls."""

from typing import Protocol

import numpy as np

from cipark_sd.arrays import Array


class Densities(Protocol):
    """A posterior in some coordinates; points are ``(n, k)``."""

    def log_prior(self, free: Array) -> Array:
        """``(n,)``: of the coordinates, normalised."""

    def log_likelihood(self, free: Array) -> Array:
        """``(n,)``; asked only where the prior is above zero."""

    def draw_prior(self, n: int, rng: np.random.Generator) -> Array:
        """``(n, k)``; a coordinate may be infinite where a value is the very end of its prior."""


def log_density(densities: Densities, free: Array) -> Array:
    """``(n,)``: the sum of both; minus infinity where the prior is zero, and no model is run there."""
    total = densities.log_prior(free)
    possible = np.isfinite(total)
    total = np.where(possible, total, -np.inf)
    if possible.any():
        total[possible] += densities.log_likelihood(free[possible])
    return total
