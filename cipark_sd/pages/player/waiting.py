"""What was counted by each time, of curves whose counts come later: the numbers of :class:`Waiting` along a run.

``counted.js`` does the same in a browser, and the same operations in the same order.
"""

from collections.abc import Mapping

import numpy as np

from cipark_sd.arrays import Array
from cipark_sd.pages.player.contents import Waiting


def counted(times: Array, curves: Array, waiting: Waiting, beside: Mapping[str, Array]) -> Array:
    """What was counted ``(m, n)`` of ``n`` runs at ``m`` times; curves are straight between two times.

    With ``M`` the curve, ``W`` what waits and ``r`` the rate: ``dW/dt = dM/dt - r W``, a share of ``W`` leaves at each
    event, and ``M - W`` was counted.

    Parameters
    ----------
    times : (m,), ascending
    curves : (m, n)
    beside : mapping of str to (n,)
        The numbers that ``waiting`` names.
    """
    share, rate = (_number(value, beside) for value in (waiting.share, waiting.rate))
    waits = np.zeros(curves.shape[1])
    result = curves.copy()
    for step in range(1, len(times)):
        start, end = max(times[step - 1], waiting.begin), times[step]
        if end <= waiting.begin:
            continue
        rise = (curves[step] - curves[step - 1]) / (times[step] - times[step - 1])
        for event in [*(event for event in waiting.events if start < event <= end), None]:
            stop = end if event is None else event
            x = rate * (stop - start)
            # the mean share of a step's rise that still waits at its end
            left = np.divide(-np.expm1(-x), x, out=np.ones_like(x), where=x > 0)
            waits = waits * np.exp(-x) + rise * (stop - start) * left
            if event is not None:
                waits, start = waits * (1 - share), event
        result[step] = curves[step] - waits
    return result


def _number(value: float | str, beside: Mapping[str, Array]) -> Array:
    return np.atleast_1d(beside[value] if isinstance(value, str) else np.asarray(float(value)))
