"""Where samplers start: draws of the prior with which the data are possible, annealed to the posterior."""

import numpy as np

from calibration.sampling.annealing import annealed
from calibration.sampling.densities import Densities, log_density
from cipark_sd.arrays import Array
from cipark_sd.errors import CiparkError

#: How often draws are made, twice as many as are wanted, before those that are possible have to do.
TRIES = 20


class NowherePossible(CiparkError):
    """No draw from the prior has a density above zero."""

    def __init__(self, where: str, tried: int) -> None:
        super().__init__(
            f"{where}: at none of {tried} draws from the prior are the data possible, so no chain can start"
        )


def possible_draws(densities: Densities, n: int, rng: np.random.Generator, where: str) -> Array:
    """``(n, k)`` draws from the prior with which the data are possible.

    Raises
    ------
    NowherePossible
        When none of many is; ``where`` names what is sampled.
    """
    possible: list[Array] = []
    tried = 0
    for _ in range(TRIES):
        free = densities.draw_prior(2 * n, rng)
        tried += len(free)
        free = free[np.isfinite(free).all(axis=1)]
        possible.extend(free[np.isfinite(log_density(densities, free))])
        if len(possible) >= n:
            return np.array(possible[:n])
    if not possible:
        raise NowherePossible(where, tried)
    # few are possible: the rest are drawn from them again and spread by the moves
    chosen = np.array(possible)[rng.integers(len(possible), size=n)]
    return np.asarray(chosen + 1e-3 * rng.standard_normal(chosen.shape))


def annealed_draws(
    densities: Densities, n: int, rng: np.random.Generator, where: str, *, moves: int | None = None
) -> Array:
    """``(n, k)`` draws from the prior, annealed to the posterior; arguments as of :func:`possible_draws`."""
    drawn = possible_draws(densities, n, rng, where)
    ends = annealed(densities.log_prior, densities.log_likelihood, drawn, rng, moves=moves)
    # data too precise for so few points: copies of one have no differences to move along, draws of the prior have
    return drawn if len(np.unique(ends, axis=0)) < len(ends) // 10 else ends
