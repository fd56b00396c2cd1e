"""Exact profile intervals of a curve with normal noise, by a route of their own: scipy's least squares and brentq.

Nothing of the package's engine, objective, searches, walk or thresholds takes part.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from regression_problems import Curve, Range
from scipy import optimize, stats

from cipark_sd.base.arrays import Array


@dataclass(frozen=True)
class ExactSide:
    """``bounded`` where the threshold is passed at ``at``, ``closed`` where a bound of another parameter binds there,
    ``open`` where the parameter's own bound ``at`` comes first."""

    state: str
    at: float


class ExactProfile:
    """The profile of one parameter; ``sd`` is known, or None to be estimated and held to F(1, n - p)."""

    def __init__(self, curve: Curve, name: str, ranges: Sequence[Range], *, sd: float | None, level: float) -> None:
        self.curve, self.place = curve, curve.names.index(name)
        self.x, self.y = np.array(curve.x, dtype=float), np.array(curve.y, dtype=float)
        self.low, self.high = np.array([r[0] for r in ranges]), np.array([r[1] for r in ranges])
        n, p = len(self.x), len(curve.names)
        self.best = self._fit(None, np.array(curve.estimates))
        least = self._squares(self.best)
        if sd is None:
            limit = least * (1 + stats.f.ppf(level, 1, n - p) / (n - p))
        else:
            limit = least + sd**2 * stats.chi2.ppf(level, 1)
        self.limit = float(limit)

    def _squares(self, theta: Array) -> float:
        return float(((self.curve.function(self.x, *theta) - self.y) ** 2).sum())

    def _fit(self, value: float | None, start: Array) -> Array:
        """All parameters where the sum of squares is least, one of them at a value if given."""
        free = np.ones(len(start), dtype=bool)
        full = start.copy()
        if value is not None:
            free[self.place], full[self.place] = False, value

        def residuals(logs: Array) -> Array:
            full[free] = np.exp(logs)
            return np.asarray(self.curve.function(self.x, *full) - self.y)

        low, high = np.log(self.low[free]), np.log(self.high[free])
        inside = np.clip(np.log(start[free]), low + 1e-9, high - 1e-9)
        result = optimize.least_squares(
            residuals, inside, bounds=(low, high), xtol=1e-15, ftol=1e-15, gtol=1e-15, x_scale="jac", max_nfev=2000
        )
        full[free] = np.exp(result.x)
        return full.copy()

    def side(self, direction: int) -> ExactSide:
        """Outwards on a grid of 40 values a decade, each search from the last, then the root between two of them."""
        inner, theta = self.best[self.place], self.best
        end = float((self.low if direction < 0 else self.high)[self.place])
        ratio = 10 ** (direction / 40)
        while True:
            ahead = inner * ratio
            ahead = max(ahead, end) if direction < 0 else min(ahead, end)
            following = self._fit(ahead, theta)
            if self._squares(following) > self.limit:
                break
            if ahead == end:
                return ExactSide("open", end)
            inner, theta = ahead, following

        def gap(value: float) -> float:
            return self._squares(self._fit(value, theta)) - self.limit

        at = float(optimize.brentq(gap, inner, ahead, rtol=1e-10))
        others = np.delete(self._fit(at, theta), self.place)
        low, high = np.delete(self.low, self.place), np.delete(self.high, self.place)
        binds = bool(((others < low * (1 + 1e-6)) | (others > high * (1 - 1e-6))).any())
        return ExactSide("closed" if binds else "bounded", at)
