"""Moves of an ensemble of walkers by differential evolution, and draws of the prior that these anneal to the posterior.

A walker jumps along the difference of two others, or along the line to a third one (the snooker). Half of the walkers
move at a time and only the other half is looked at, so that the moves of a half are independent and one batch computes
all of them. Proposals adapt to the shape of the target by themselves; scale and correlation need no tuning.

The moves are written here since the snooker of emcee 3.1.6 divides by the root of a length where the length belongs and
so samples another distribution: on a standard normal of 5 dimensions it gives variances of 0.69.

A walker that starts from the prior may climb into a mode of hardly any weight and stay there, since the differences of
others do not lead out of it. So samplers start from a population that is weighted by the data a little at a time. At
each weight those that the data speak against are replaced by copies of others, in proportion, and all are moved a few
times, so that each mode keeps about the share that belongs to it.

Source: ter Braak 2006, Statistics and Computing 16, 239-249; ter Braak and Vrugt 2008, ibid. 18, 435-446 (snooker, its
acceptance ratio on p. 437); Nelson, Ford and Payne 2014, ApJS 210, 11 (spread of the jump factor); Foreman-Mackey et
al. 2013, PASP 125, 306 (two halves); Del Moral, Doucet and Jasra 2006, Journal of the Royal Statistical Society B 68,
411-436 (section 3.3.2.3: annealing); Jasra, Stephens, Doucet and Tsagaris 2011, Scandinavian Journal of Statistics 38,
1-22 (weights that rise so that a given share of the sample remains effective).
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from calibration.inference.sample.densities import Densities, log_density
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import CiparkError

#: Log density ``(n,)`` of points ``(n, k)``.
Target = Callable[[Array], Array]

#: Share of snooker moves, and of the others the share that jumps from mode to mode.
SNOOKER, MODE_JUMP = 0.2, 0.1
#: Relative spread of the jump factor, so that a walker can leave the lattice of differences.
JITTER = 1e-5
#: Ends of the snooker's jump factor.
SNOOKER_FACTOR = (1.2, 2.2)
#: Effective share of the population that a rise of the weight leaves.
REMAINS = 0.5
#: Moves of everyone at each weight.
MOVES = 6
#: The smallest rise, so that the search for it ends.
LEAST_RISE = 1e-14
#: How often draws are made, twice as many as are wanted, before those that are possible have to do.
TRIES = 20


def proposal(moving: Array, complement: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Where walkers propose to go, and by what the ratio of densities has to be corrected.

    Along a difference of two others ``x + g (y - z)``, ``g = 2.38 / sqrt(2 k)`` (ter Braak 2006); along the
    line to a third one ``x + s (x - z)``, where s is the projection of the difference, stretched.

    Parameters
    ----------
    moving : (m, k)
    complement : (n, k)
        The others that they look at, at least 3.

    Returns
    -------
    (m, k), (m,)
        Proposed positions, and logarithms of the factors by which the ratio of densities is to be multiplied.
    """
    m, k = moving.shape
    first, second, third = _three(len(complement), m, rng)
    snooker = rng.random(m) < SNOOKER
    jumps = rng.random(m) < MODE_JUMP
    # a factor of 1 takes a walker from its mode into that of another one
    factor = np.where(jumps, 1.0, 2.38 / math.sqrt(2 * k)) * (1 + JITTER * rng.standard_normal(m))
    straight = moving + factor[:, None] * (complement[first] - complement[second])
    line = moving - complement[third]
    length = np.linalg.norm(line, axis=1)
    along = ((complement[first] - complement[second]) * line).sum(axis=1) / np.where(length > 0, length, 1.0) ** 2
    stretch = rng.uniform(*SNOOKER_FACTOR, m) * along
    # two walkers at the same place span no line
    snooker &= length > 0
    moved = np.where(snooker[:, None], moving + stretch[:, None] * line, straight)
    with np.errstate(divide="ignore"):
        # the distance to the third walker becomes |1 + stretch| times what it was
        correction = np.where(snooker, (k - 1) * np.log(np.abs(1 + stretch)), 0.0)
    return moved, correction


def _three(n: int, m: int, rng: np.random.Generator) -> tuple[NDArray[np.intp], ...]:
    """Three different numbers below ``n`` for each of ``m``."""
    a = rng.integers(n, size=m)
    b = rng.integers(n - 1, size=m)
    b += b >= a
    c = rng.integers(n - 2, size=m)
    low, high = np.minimum(a, b), np.maximum(a, b)
    c += c >= low
    c += c >= high
    return a, b, c


def step(
    target: Target, position: Array, log_density: Array, rngs: Sequence[np.random.Generator]
) -> tuple[Array, Array]:
    """One move of every walker of independent ensembles, two batches in all.

    Parameters
    ----------
    target : log density of points ``(n, k)``
    position : (n_ensembles, n_walkers, k)
    log_density : (n_ensembles, n_walkers)
    rngs : one generator an ensemble, so that an ensemble does not depend on how many there are

    Returns
    -------
    (n_ensembles, n_walkers, k), (n_ensembles, n_walkers)
        Where the walkers are then, and their log densities.
    """
    position, log_density = position.copy(), log_density.copy()
    n_ensembles, n_walkers, k = position.shape
    orders = np.stack([rng.permutation(n_walkers) for rng in rngs])
    half = n_walkers // 2
    rows = np.arange(n_ensembles)[:, None]
    for moving, complement in ((orders[:, :half], orders[:, half:]), (orders[:, half:], orders[:, :half])):
        proposals = [proposal(position[e, moving[e]], position[e, complement[e]], rng) for e, rng in enumerate(rngs)]
        proposed = np.stack([points for points, _ in proposals])
        new = target(proposed.reshape(-1, k)).reshape(n_ensembles, -1)
        dice = np.stack([np.log(rng.random(moving.shape[1])) for rng in rngs])
        ratio = new - log_density[rows, moving] + np.stack([factor for _, factor in proposals])
        # a comparison with NaN is false: where the density is none the walker stays
        takes = dice < ratio
        position[rows, moving] = np.where(takes[..., None], proposed, position[rows, moving])
        log_density[rows, moving] = np.where(takes, new, log_density[rows, moving])
    return position, log_density


class NowherePossible(CiparkError):
    """No draw from the prior has a density above zero."""

    def __init__(self, where: str, tried: int) -> None:
        super().__init__(
            f"{where}: at none of {tried} draws from the prior are the data possible, so no chain can start"
        )


def possible_draws(densities: Densities, n: int, rng: np.random.Generator, where: str) -> Array:
    """Draws from the prior with which the data are possible.

    Parameters
    ----------
    where : str
        What is sampled, for the error.

    Returns
    -------
    (n, k)

    Raises
    ------
    NowherePossible
        When none of many is.
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
    """Draws from the prior, annealed to the posterior.

    Parameters
    ----------
    densities, n, rng, where :
        As of :func:`possible_draws`.
    moves : int
        Of everyone at each weight of the data.

    Returns
    -------
    (n, k)
    """
    drawn = possible_draws(densities, n, rng, where)
    ends, _ = along_powers(densities.log_prior, densities.log_likelihood, drawn, rng, moves=moves)
    # data too precise for so few points: copies of one have no differences to move along, draws of the prior have
    return drawn if len(np.unique(ends, axis=0)) < len(ends) // 10 else ends


def along_powers(
    prior: Target, likelihood: Target, start: Array, rng: np.random.Generator, *, moves: int
) -> tuple[Array, float]:
    """Draws of the posterior, from ones of the prior.

    Parameters
    ----------
    prior, likelihood : function
        Log densities ``(n,)`` of points ``(n, k)``. The likelihood is asked only where the prior is above zero.
    start : (n, k)
        Draws of the prior.
    moves : int
        Of everyone at each weight.

    Returns
    -------
    (n, k), float
        About as many draws, and the log evidence: the product of the mean weights of all rises.
    """
    weight, points, evidence = 0.0, start, 0.0
    logs = likelihood(points)
    while weight < 1:
        rise = _rise(logs, 1 - weight)
        weight = 1.0 if rise >= 1 - weight else weight + rise
        weights = np.exp(rise * (logs - logs.max()))
        evidence += float(rise * logs.max() + np.log(weights.mean()))
        points = points[resampled(weights, len(points), rng)]
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
        position, density = step(tempered, position, density, [rng])
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


def resampled(weights: Array, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Points drawn by weight, each as often as it should be, to within one: systematic resampling, one random number.

    Parameters
    ----------
    weights : (m,)
        Of the points, of any sum.

    Returns
    -------
    (n,)
        Places of the points, ascending.
    """
    places = (rng.random() + np.arange(n)) / n
    return np.minimum(np.searchsorted(np.cumsum(weights) / weights.sum(), places), len(weights) - 1).astype(np.intp)
