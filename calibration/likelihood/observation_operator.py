"""From the model's steps to the quantities that were observed.

Euler's solution is a straight line between steps, so reading a stock between two steps by linear interpolation is
exact for the solution as computed, whatever the window: one day counts as 1/365 of a year although the step may be
1/32. For Runge-Kutta it is second-order accurate in the step. A flow's integral is the sum that a stock filled by it
would hold: the left rule under Euler, the trapezoidal rule else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from calibration.study.observations import Quantity
from cipark_sd.timegrid import SLACK, TimeGrid

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Reader:
    """A linear map from outputs at steps to quantities.

    Parameters
    ----------
    outputs : tuple of str
        Names as in the study.
    times : (n_times,)
        The steps that are needed.
    weights : (n_quantities, n_outputs * n_times)
    """

    outputs: tuple[str, ...]
    times: Array
    weights: Array

    @cached_property
    def _sparse(self) -> "csr_array":
        from scipy.sparse import csr_array

        return csr_array(self.weights)

    def __call__(self, values: Array) -> Array:
        """``values : (n, n_outputs, n_times)`` to quantities ``(n, n_quantities)``; NaN only where a NaN is read."""
        with np.errstate(invalid="ignore", over="ignore"):
            return np.asarray((self._sparse @ values.reshape(len(values), -1).T).T)


def reader(quantities: Sequence[Quantity], grid: TimeGrid, *, left_rule: bool) -> Reader:
    """The map for ``quantities`` on the steps of ``grid``; ``left_rule`` for Euler."""
    outputs = tuple(dict.fromkeys(name for quantity in quantities for name, _ in quantity.parts))
    n_steps = len(grid.times)
    full = np.zeros((len(quantities), len(outputs), n_steps))
    for row, quantity in zip(full, quantities, strict=True):
        match quantity.how:
            case "at":
                course = _at(grid.times, quantity.end)
            case "between":
                course = _at(grid.times, quantity.end) - _at(grid.times, quantity.start)
            case "integral":
                course = _until(grid.times, quantity.end, left_rule) - _until(grid.times, quantity.start, left_rule)
        for name, sign in quantity.parts:
            row[outputs.index(name)] += sign * course
    needed = np.flatnonzero(full.any(axis=(0, 1)))
    return Reader(outputs, grid.times[needed], full[:, :, needed].reshape(len(quantities), -1))


def _bracket(times: Array, instant: float) -> tuple[int, float]:
    """The step at or before an instant and how far, as a share of the step, the instant lies behind it."""
    step = int(np.clip(np.searchsorted(times, instant, side="right") - 1, 0, len(times) - 1))
    if step + 1 < len(times):
        width = times[step + 1] - times[step]
        share = (instant - times[step]) / width
        if share > 1 - SLACK:
            return step + 1, 0.0
        return step, float(share) if share > SLACK else 0.0
    return step, 0.0


def _at(times: Array, instant: float) -> Array:
    weights = np.zeros(len(times))
    step, share = _bracket(times, instant)
    weights[step] = 1 - share
    if share:
        weights[step + 1] = share
    return weights


def _until(times: Array, instant: float, left_rule: bool) -> Array:
    """Weights of the integral from the start to ``instant``."""
    weights = np.zeros(len(times))
    step, share = _bracket(times, instant)
    widths = np.diff(times)
    if left_rule:
        weights[:step] = widths[:step]
        if share:
            weights[step] = share * widths[step]
        return weights
    weights[:step] += widths[:step] / 2
    weights[1 : step + 1] += widths[:step] / 2
    if share:
        part = share * widths[step]
        weights[step] += part * (1 - share / 2)
        weights[step + 1] += part * share / 2
    return weights
