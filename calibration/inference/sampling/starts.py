"""Where samplers start: draws of the prior with which the data are possible, annealed to the posterior.

A walker that starts from the prior may climb into a mode of hardly any weight and stay there, since the differences of
others do not lead out of it. Here a population is weighted by the data a little at a time. At each weight those that
the data speak against are replaced by copies of others, in proportion, and all are moved a few times, so that each mode
keeps about the share that belongs to it.

Source: Del Moral, Doucet and Jasra 2006, Journal of the Royal Statistical Society B 68, 411-436 (section 3.3.2.3);
Jasra, Stephens, Doucet and Tsagaris 2011, Scandinavian Journal of Statistics 38, 1-22 (weights that rise so that a
given share of the sample remains effective).
"""

import numpy as np
from numpy.typing import NDArray

from calibration.inference.sampling.densities import Densities, log_density
from calibration.inference.sampling.moves import Target, step
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import CiparkError

#: Effective share of the population that a rise of the weight leaves.
REMAINS = 0.5
#: Moves of everyone at each weight.
MOVES = 6
#: The smallest rise, so that the search for it ends.
LEAST_RISE = 1e-14
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


def annealed_draws(densities: Densities, n: int, rng: np.random.Generator, where: str, *, moves: int = MOVES) -> Array:
    """``(n, k)`` draws from the prior, annealed to the posterior; arguments as of :func:`possible_draws`."""
    drawn = possible_draws(densities, n, rng, where)
    ends, _ = along_powers(densities.log_prior, densities.log_likelihood, drawn, rng, moves=moves)
    # data too precise for so few points: copies of one have no differences to move along, draws of the prior have
    return drawn if len(np.unique(ends, axis=0)) < len(ends) // 10 else ends


def along_powers(
    prior: Target, likelihood: Target, start: Array, rng: np.random.Generator, *, moves: int
) -> tuple[Array, float]:
    """Points ``(n, k)``, about as many draws of the posterior, and the log evidence.

    The evidence is the product of the mean weights of all rises.

    Parameters
    ----------
    prior, likelihood : log densities of points ``(n, k)``
        The likelihood is asked only where the prior is above zero.
    start : (n, k)
        Draws of the prior.
    moves : int
        Of everyone at each weight.
    """
    weight, points, evidence = 0.0, start, 0.0
    logs = likelihood(points)
    while weight < 1:
        rise = _rise(logs, 1 - weight)
        weight = 1.0 if rise >= 1 - weight else weight + rise
        weights = np.exp(rise * (logs - logs.max()))
        evidence += float(rise * logs.max() + np.log(weights.mean()))
        points = points[_resampled(weights, rng)]
        points = _moved(prior, likelihood, weight, points, moves, rng)
        logs = likelihood(points)
    return points, evidence


def _moved(
    prior: Target, likelihood: Target, weight: float, points: Array, moves: int, rng: np.random.Generator
) -> Array:
    def tempered(at: Array) -> Array:
        total = prior(at)
        possible = np.isfinite(total)
        total[~possible] = -np.inf
        if possible.any():
            total[possible] += weight * likelihood(at[possible])
        return total

    position, density = points[None], tempered(points)[None]
    for _ in range(moves):
        position, density, _ = step(tempered, position, density, [rng])
    return np.asarray(position[0])


def _rise(logs: Array, most: float) -> float:
    """How far the data's weight may rise until the effective share of the points falls to :data:`REMAINS`."""

    def share(rise: float) -> float:
        weights = np.exp(rise * (logs - logs.max()))
        return float(weights.sum() ** 2 / (weights**2).sum() / len(logs))

    if share(most) >= REMAINS:
        return most
    low, high = 0.0, most
    while high - low > 1e-3 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if share(middle) >= REMAINS else (low, middle)
        if high < LEAST_RISE:
            return LEAST_RISE
    return low


def _resampled(weights: Array, rng: np.random.Generator) -> NDArray[np.intp]:
    """Which points are kept, and how often: systematic resampling, ``(n,)``."""
    n = len(weights)
    places = (rng.random() + np.arange(n)) / n
    return np.minimum(np.searchsorted(np.cumsum(weights) / weights.sum(), places), n - 1).astype(np.intp)
