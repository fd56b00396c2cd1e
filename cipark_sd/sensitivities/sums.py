"""Sums over the rows of a Saltelli design, for the estimate and for each bootstrap resample.

They are all that is kept of the runs, so memory does not grow with their number, and rows can be added at any time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cipark_sd.arrays import Array

#: Numbers that are multiplied with the weights at a time: few large products, since each one wakes all threads.
SLAB = 1 << 22


def _weighted(weights: Array, values: NDArray[np.generic]) -> Array:
    """``(R + 1, n)`` times ``(n, k, C)``, ``(R + 1, k, C)``."""
    n, k, size = values.shape
    return np.asarray(weights @ np.ascontiguousarray(values, dtype=float).reshape(n, k * size)).reshape(-1, k, size)


@dataclass(eq=False)
class SobolSums:
    """Weighted sums; ``C`` are outputs and times together, ``R + 1`` the estimate and its resamples.

    Attributes
    ----------
    centre : (C,)
        What outputs are taken relative to, so that sums of squares keep their digits.
    weight : (R + 1,)
        Of all rows.
    base : (3, R + 1, C)
        Count, sum and sum of squares of the two base samples.
    first : (2, R + 1, k, C)
        Sums of ``B (AB - A)`` and ``AB - A``.
    total : (R + 1, k, C)
        Sums of ``(AB - A)^2 / 2``.
    count : (R + 1, k, C) or None
        Weight of the rows that are complete; None as long as all are.
    failed : (C,)
        Runs without a finite value.
    """

    k: int
    resamples: int
    size: int
    rows: int = 0
    centre: Array = field(default_factory=lambda: np.empty(0))
    spread: Array = field(default_factory=lambda: np.empty(0))
    weight: Array = field(default_factory=lambda: np.empty(0))
    base: Array = field(default_factory=lambda: np.empty(0))
    first: Array = field(default_factory=lambda: np.empty(0))
    total: Array = field(default_factory=lambda: np.empty(0))
    count: Array | None = None
    failed: Array = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        shape = (self.resamples + 1, self.size)
        self.weight = np.zeros(self.resamples + 1)
        self.base = np.zeros((3, *shape))
        self.first = np.zeros((2, self.resamples + 1, self.k, self.size))
        self.total = np.zeros((self.resamples + 1, self.k, self.size))
        self.failed = np.zeros(self.size)
        self.spread = np.zeros(self.size)

    def add(self, a: Array, b: Array, ab: Array, weights: Array) -> None:
        """Add rows.

        Parameters
        ----------
        a, b : (n, C)
        ab : (k, n, C)
            The first sample with one column of the second.
        weights : (R + 1, n)

        A square beyond the largest number makes the variance infinite, which whoever asks for an index is told.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            self._add(a, b, ab, weights)

    def _add(self, a: Array, b: Array, ab: Array, weights: Array) -> None:
        if self.rows == 0:
            finite = np.isfinite(a)
            self.centre = np.where(finite, a, 0.0).sum(axis=0) / np.maximum(finite.sum(axis=0), 1)
        self.spread = np.fmax(self.spread, np.fmax(np.fmax.reduce(np.abs(a)), np.fmax.reduce(np.abs(b))))
        a, b, ab = (x - self.centre for x in (a, b, ab))
        lost = [(~np.isfinite(x)).sum(axis=tuple(range(x.ndim - 1))) for x in (a, b, ab)]
        self.failed += np.sum(lost, axis=0)
        for sample in (a, b):
            finite = np.isfinite(sample)
            values = np.where(finite, sample, 0.0)
            self.base[0] += weights @ finite
            self.base[1] += weights @ values
            self.base[2] += weights @ values**2
        whole = np.isfinite(a) & np.isfinite(b)
        some_failed, known_b, row_weight = bool(np.any(lost)), np.where(whole, b, 0.0), weights.sum(axis=1)
        self._incomplete(some_failed)
        slab = max(1, SLAB // a.size)
        for start in range(0, self.k, slab):
            block = slice(start, min(start + slab, self.k))
            change = ab[block].transpose(1, 0, 2) - a[:, None]
            counted = row_weight[:, None, None]
            if some_failed:
                complete = whole[:, None] & np.isfinite(change)
                change, counted = np.where(complete, change, 0.0), _weighted(weights, complete)
            self.first[0][:, block] += _weighted(weights, known_b[:, None] * change)
            self.first[1][:, block] += _weighted(weights, change)
            self.total[:, block] += _weighted(weights, change**2 / 2)
            if self.count is not None:
                self.count[:, block] += counted
        self.weight += row_weight
        self.rows += len(a)

    def _incomplete(self, now: bool) -> None:
        """From the first failed run on, complete rows are counted factor by factor."""
        if now and self.count is None:
            self.count = np.broadcast_to(self.weight[:, None, None], self.total.shape).copy()

    @property
    def negligible(self) -> Array:
        """Where the variance is rounding, ``(C,)``: a standard deviation under 1e-9 of the largest value."""
        with np.errstate(over="ignore"):
            return np.asarray(self.variance[0] <= (1e-9 * self.spread) ** 2)

    @property
    def variance(self) -> Array:
        """``(R + 1, C)``, of the two base samples together."""
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            mean = self.base[1] / self.base[0]
            return np.asarray(np.maximum(self.base[2] / self.base[0] - mean**2, 0.0))

    @property
    def mean(self) -> Array:
        """``(C,)``."""
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            return np.asarray(self.centre + self.base[1, 0] / self.base[0, 0])

    def indices(self) -> tuple[Array, Array]:
        """First-order and total indices ``(k, R + 1, C)``.

        Source: Saltelli et al. 2010, Computer Physics Communications 181, table 2, rows (b) and (f), the first with
        the outputs relative to their mean.
        """
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            # a resample may miss the few rows that vary; it has no index then
            variance = np.where(np.logical_or(self.negligible, self.variance <= 0), np.nan, self.variance)
            mean = self.base[1] / self.base[0]
            count = self.weight[:, None, None] if self.count is None else self.count
            first = (self.first[0] - mean[:, None] * self.first[1]) / count / variance[:, None]
            total = self.total / count / variance[:, None]
        return first.swapaxes(0, 1), total.swapaxes(0, 1)

    def arrays(self) -> dict[str, Array]:
        """Everything by name, for a file."""
        names = ("centre", "spread", "weight", "base", "first", "total", "failed", "count")
        arrays = {name: getattr(self, name) for name in names}
        return {"rows": np.array(self.rows), **{name: array for name, array in arrays.items() if array is not None}}

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Undoes :meth:`arrays`."""
        for name, array in arrays.items():
            setattr(self, name, int(array) if name == "rows" else np.array(array))
