"""Differential-evolution moves of an ensemble of walkers, vectorised.

A walker jumps along the difference of two others, or along the line to a third one (the snooker). Half of the walkers
move at a time and only the other half is looked at, so that the moves of a half are independent and one batch computes
all of them. Proposals adapt to the shape of the target by themselves; scale and correlation need no tuning.

The moves are written here since the snooker of emcee 3.1.6 divides by the root of a length where the length belongs and
so samples another distribution: on a standard normal of 5 dimensions it gives variances of 0.69.

Source: ter Braak 2006, Statistics and Computing 16, 239-249; ter Braak and Vrugt 2008, ibid. 18, 435-446 (snooker, its
acceptance ratio on p. 437); Nelson, Ford and Payne 2014, ApJS 210, 11 (spread of the jump factor); Foreman-Mackey et
al. 2013, PASP 125, 306 (two halves).
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from cipark_sd.base.arrays import Array

#: Log density ``(n,)`` of points ``(n, k)``.
Target = Callable[[Array], Array]

#: Share of snooker moves, and of the others the share that jumps from mode to mode.
SNOOKER, MODE_JUMP = 0.2, 0.1
#: Relative spread of the jump factor, so that a walker can leave the lattice of differences.
JITTER = 1e-5
#: Ends of the snooker's jump factor.
SNOOKER_FACTOR = (1.2, 2.2)


def proposal(moving: Array, complement: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Proposed positions ``(m, k)`` of walkers ``(m, k)`` that look at ``others : (n, k)``, n at least 3.

    The second array ``(m,)`` is the logarithm of the factor by which the ratio of densities is to be multiplied.
    """
    m, k = moving.shape
    first, second, third = _three(len(complement), m, rng)
    snooker = rng.random(m) < SNOOKER
    jumps = rng.random(m) < MODE_JUMP
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
) -> tuple[Array, Array, Array]:
    """One move of every walker of independent ensembles, two batches in all.

    Parameters
    ----------
    target : log density of points ``(n, k)``
    position : (n_ensembles, n_walkers, k)
    log_density : (n_ensembles, n_walkers)
    rngs : one generator an ensemble, so that an ensemble does not depend on how many there are

    Returns
    -------
    position, log_density, accepted
        The new ones and which walkers moved.
    """
    position, log_density = position.copy(), log_density.copy()
    n_ensembles, n_walkers, k = position.shape
    accepted = np.zeros((n_ensembles, n_walkers), dtype=bool)
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
        accepted[rows, moving] = takes
    return position, log_density, accepted
