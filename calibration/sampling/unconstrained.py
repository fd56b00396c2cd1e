"""Parameters on the whole real line, where a sampler meets no walls.

Each parameter is taken to its own scale and then, where its prior ends, through a logarithm (one end) or a logit (both
ends), as Stan does. The density gains the logarithm of the derivative.

Source: Stan Reference Manual, chapter "Constraint transforms".
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from calibration.study.parameters import ParameterSpace
from calibration.study.priors import Scale, from_scale, log_jacobian, to_scale
from cipark_sd.arrays import Array


@dataclass(frozen=True, eq=False)
class Walls:
    """Where the priors of some parameters end, all of them alike: on both sides, on one or on none.

    Parameters
    ----------
    places : (m,)
        Of the parameters.
    scale : {"identity", "log", "logit"}
        Theirs.
    low, high : (m,)
        Ends on that scale, all finite or none.
    """

    places: NDArray[np.intp]
    scale: Scale
    low: Array
    high: Array

    @cached_property
    def sides(self) -> tuple[bool, bool]:
        """Whether there is a wall below and above."""
        return bool(np.isfinite(self.low[0])), bool(np.isfinite(self.high[0]))

    def open(self, scaled: Array) -> Array:
        """Coordinates ``(…, m)`` of values on the scale."""
        match self.sides:
            case True, True:
                return np.asarray(np.log(scaled - self.low) - np.log(self.high - scaled))
            case True, False:
                return np.asarray(np.log(scaled - self.low))
            case False, True:
                return np.asarray(-np.log(self.high - scaled))
            case _:
                return scaled

    def close(self, free: Array) -> Array:
        """Undoes :meth:`open`."""
        from scipy.special import expit

        match self.sides:
            case True, True:
                return np.asarray(self.low + (self.high - self.low) * expit(free))
            case True, False:
                return np.asarray(self.low + np.exp(free))
            case False, True:
                return np.asarray(self.high - np.exp(-free))
            case _:
                return free

    def log_slope(self, free: Array) -> Array:
        """``log |d close / d free|``."""
        match self.sides:
            case True, True:
                # log of expit'(x), which is even in x and does not overflow
                size = np.abs(free)
                return np.asarray(np.log(self.high - self.low) - size - 2 * np.log1p(np.exp(-size)))
            case True, False:
                return free
            case False, True:
                return -free
            case _:
                return np.zeros_like(free)


@dataclass(frozen=True)
class Unconstrained:
    """The parameters of ``space`` as free coordinates; arrays are ``(…, k)``."""

    space: ParameterSpace

    @cached_property
    def _walls(self) -> tuple[Walls, ...]:
        """Parameters on one scale whose priors end alike, and where they end on that scale."""
        kinds: dict[object, list[int]] = {}
        support = self.space.from_unit(np.array([[0.0], [1.0]]) * np.ones(len(self.space)))
        low, high = self.space.to_scales(support)
        for i, parameter in enumerate(self.space):
            kinds.setdefault((parameter.scale, math.isfinite(low[i]), math.isfinite(high[i])), []).append(i)
        scales = [parameter.scale for parameter in self.space]
        return tuple(Walls(np.array(places), scales[places[0]], low[places], high[places]) for places in kinds.values())

    @cached_property
    def _bounds(self) -> tuple[Array, Array]:
        return np.array([p.lower for p in self.space]), np.array([p.upper for p in self.space])

    def _by_walls(self, function: Callable[[Walls, Array], Array], points: Array) -> Array:
        points = np.asarray(points, dtype=float)
        columns = np.empty_like(points)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for walls in self._walls:
                columns[..., walls.places] = function(walls, points[..., walls.places])
        return columns

    def free(self, theta: Array) -> Array:
        """Coordinates of values; infinite for a value at an end."""
        return self._by_walls(lambda walls, values: walls.open(to_scale(values, walls.scale)), theta)

    def theta(self, free: Array) -> Array:
        """Values of coordinates; undoes :meth:`free`."""
        values = self._by_walls(lambda walls, points: from_scale(walls.close(points), walls.scale), free)
        # rounding must not carry a far coordinate over a bound, where the density is zero
        return np.clip(values, *self._bounds)

    def log_jacobian(self, free: Array) -> Array:
        """``log |d theta / d free|`` summed over the parameters ``(…)``."""

        def slopes(walls: Walls, points: Array) -> Array:
            return log_jacobian(from_scale(walls.close(points), walls.scale), walls.scale) + walls.log_slope(points)

        return np.asarray(self._by_walls(slopes, free).sum(axis=-1))
