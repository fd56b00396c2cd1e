"""Points of the unit cube, and the weights of a bootstrap, by row number.

Row *i* is the same whatever is computed with it, so that a design can be continued, stopped and resumed.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from cipark_sd.arrays import Array
from cipark_sd.errors import InvalidValue

#: Rows whose sums are formed together; sums of blocks are added in order, whatever is run at a time.
BLOCK = 128
#: Keeps the streams of random numbers that one seed gives apart.
_BOOTSTRAP, _RANDOM = 1, 3

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
