"""The type of all numbers in arrays, and parts of long ones."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Rows whose arrays are worked on together, and numbers of one such array, 512 KiB: more leave the processor's cache.
#: Of 999 terms 64 rows take half as long a row as 128.
TOGETHER, NUMBERS = 256, 2**16


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


def near(n: int, width: int = 1, least: int = 3) -> list[slice]:
    """Slices of ``n`` rows, about even, so that none is a single row of many, whose sums have another order.

    Parameters
    ----------
    width : int
        Numbers in a row.
    least : int
        Rows of a slice at most however wide they are, from 3 on.

    >>> near(600)
    [slice(0, 200, None), slice(200, 400, None), slice(400, 600, None)]
    >>> near(7, width=10**6)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 7, None)]
    """
    n_parts = -(-n // min(max(NUMBERS // width, least), TOGETHER))
    return [slice(n * i // n_parts, n * (i + 1) // n_parts) for i in range(n_parts)]
