"""The type of all numbers in arrays, and parts of long ones."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Rows whose arrays are worked on together: more leave the processor's cache.
TOGETHER = 256


def evenly(rows: Array, most: int) -> Array:
    """At most ``most`` of the rows, evenly spaced from the first to the last.

    Parameters
    ----------
    rows : Array, (n, ...)
    most : at least 1

    Returns
    -------
    Array, (min(n, most), ...)
    """
    return np.asarray(rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int)])


def near(n: int) -> list[slice]:
    """Slices of ``n`` rows, about even, so that none is a single row of many, whose sums have another order.

    >>> near(600)
    [slice(0, 200, None), slice(200, 400, None), slice(400, 600, None)]
    """
    n_parts = -(-n // TOGETHER)
    return [slice(n * i // n_parts, n * (i + 1) // n_parts) for i in range(n_parts)]
