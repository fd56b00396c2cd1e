"""Points of the unit cube, and the weights of a bootstrap, by row number.

Row *i* is the same whatever is computed with it, so that a design can be continued, stopped and resumed.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cipark_sd.arrays import Array
from cipark_sd.errors import InvalidValue

#: Rows whose sums are formed together; sums of blocks are added in order, whatever is run at a time.
BLOCK = 128
#: Keeps the streams of random numbers that one seed gives apart.
_BOOTSTRAP, _MORRIS, _RANDOM = 1, 2, 3

Points = Literal["sobol", "random"]


def check_power_of_two(n: int, *, where: str) -> None:
    """Raise unless ``n`` is a power of two from 16 on: what Sobol's sequence is balanced for.

    Raises
    ------
    InvalidValue
    """
    if n < 16 or n & (n - 1):
        below = 1 << max(4, n.bit_length() - 1)
        raise InvalidValue("the number of rows", n, f"a power of two such as {below} or {2 * below}", where=where)


def blocks(dimensions: int, start: int, stop: int, seed: int, points: Points = "sobol") -> Iterator[tuple[int, Array]]:
    """Rows ``start`` to ``stop`` of a design in pieces: the number of the first row, and points ``(n, dimensions)``.

    Pieces end at multiples of :data:`BLOCK`. Sobol's sequence is scrambled (Owen 1998), which keeps its balance and
    avoids the corner 0; ``random`` points are independent.
    """
    from scipy.stats import qmc

    engine = qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(seed)) if points == "sobol" else None
    if engine is not None and start:
        engine.fast_forward(start)
    first = start
    while first < stop:
        number, at = divmod(first, BLOCK)
        size = min(BLOCK - at, stop - first)
        if engine is not None:
            # pieces are powers of two, so that scipy, which judges the first piece alone, has nothing to warn of
            yield first, np.asarray(engine.random(size))
        else:
            rng = np.random.default_rng([seed, _RANDOM, number])
            yield first, rng.random((BLOCK, dimensions))[at : at + size]
        first += size


def bootstrap_weights(seed: int, first: int, size: int, resamples: int) -> Array:
    """How often each row of a block is drawn in each resample, ``(1 + resamples, size)``; the first takes each once.

    Poisson counts in place of multinomial ones, so that sums of blocks add up whatever follows.

    Source: Hanley and MacGibbon 2006, Creating non-parametric bootstrap samples using Poisson frequencies.
    """
    number, at = divmod(first, BLOCK)
    rng = np.random.default_rng([seed, _BOOTSTRAP, number])
    counts = rng.poisson(1.0, size=(BLOCK, resamples))[at : at + size].T
    return np.concatenate([np.ones((1, size)), counts])


def morris_points(
    k: int, levels: int, trajectory: int, seed: int, margins: Array
) -> tuple[Array, NDArray[np.intp], Array]:
    """One trajectory: points ``(k + 1, k)``, which factor each step moves ``(k,)``, and by how much ``(k,)``.

    The grid is Morris' own, ``j / (levels - 1)``, and a step ``levels / (2 (levels - 1))``: longer than a half, and
    another for each count of levels. A step of a half would see nothing of an effect of that period, on any grid. The
    grid and the step of a factor are drawn together into ``[margin, 1 - margin]`` by ``margins (k,)``, so that none is
    put at the end of an unbounded distribution. All levels are visited equally often.

    Source: Morris 1991, Technometrics 33, section 2; the margins are ours.
    """
    rng = np.random.default_rng([seed, _MORRIS, levels, trajectory])
    width = 1 - 2 * margins
    length = levels / (2 * (levels - 1)) * width
    low = margins + rng.integers(0, levels // 2, size=k) / (levels - 1) * width
    up = rng.random(k) < 0.5
    order = rng.permutation(k)
    moves = np.where(up, length, -length)
    points = np.repeat(np.where(up, low, low + length)[None], k + 1, axis=0)
    for step, factor in enumerate(order):
        points[step + 1 :, factor] += moves[factor]
    return np.clip(points, margins, 1 - margins), order, moves[order]
