"""Arrays that are equal to the bit."""

import numpy as np


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal to the bit, but for the sign and payload of NaN, which IEEE and WebAssembly leave open."""
    known = ~np.isnan(a)
    return bool((known == ~np.isnan(b)).all() and (a[known].view(np.int64) == b[known].view(np.int64)).all())
