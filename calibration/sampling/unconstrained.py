"""Parameters on the whole real line, where a sampler meets no walls.

Each parameter is taken to its own scale and then, where its prior ends, through a logarithm (one end) or a logit (both
ends), as Stan does. The density gains the logarithm of the derivative.

Source: Stan Reference Manual, chapter "Constraint transforms".
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from calibration.study.parameters import ParameterSpace
from calibration.study.priors import from_scale, log_jacobian, to_scale
from cipark_sd.arrays import Array


@dataclass(frozen=True)
class Unconstrained:
    """The parameters of ``space`` as free coordinates; arrays are ``(…, k)``."""

    space: ParameterSpace

    @cached_property
    def _ends(self) -> tuple[tuple[float, float], ...]:
        """Where each prior ends, on the parameter's scale."""
        ends = []
        for parameter in self.space:
            support = parameter.distribution.quantile(np.array([0.0, 1.0]))
            low, high = to_scale(support, parameter.scale)
            ends.append((float(low), float(high)))
        return tuple(ends)

    def free(self, theta: Array) -> Array:
        """Coordinates of values; infinite for a value at an end."""
        columns = []
        for i, (parameter, (low, high)) in enumerate(zip(self.space, self._ends, strict=True)):
            scaled = to_scale(np.asarray(theta, dtype=float)[..., i], parameter.scale)
            with np.errstate(divide="ignore", invalid="ignore"):
                columns.append(_open(scaled, low, high))
        return np.stack(columns, axis=-1)

    def theta(self, free: Array) -> Array:
        """Values of coordinates; undoes :meth:`free`."""
        columns = []
        for i, (parameter, (low, high)) in enumerate(zip(self.space, self._ends, strict=True)):
            with np.errstate(over="ignore"):
                value = from_scale(_close(free[..., i], low, high), parameter.scale)
            # rounding must not carry a far coordinate over a bound, where the density is zero
            columns.append(np.clip(value, parameter.lower, parameter.upper))
        return np.stack(columns, axis=-1)

    def log_jacobian(self, free: Array) -> Array:
        """``log |d theta / d free|`` summed over the parameters ``(…)``."""
        total = np.zeros(free.shape[:-1])
        for i, (parameter, (low, high)) in enumerate(zip(self.space, self._ends, strict=True)):
            with np.errstate(over="ignore"):
                scaled = _close(free[..., i], low, high)
                total = total + log_jacobian(from_scale(scaled, parameter.scale), parameter.scale)
            total = total + _log_slope(free[..., i], low, high)
        return np.asarray(total)


def _open(scaled: Array, low: float, high: float) -> Array:
    match math.isfinite(low), math.isfinite(high):
        case True, True:
            return np.asarray(np.log(scaled - low) - np.log(high - scaled))
        case True, False:
            return np.asarray(np.log(scaled - low))
        case False, True:
            return np.asarray(-np.log(high - scaled))
        case _:
            return scaled


def _close(free: Array, low: float, high: float) -> Array:
    from scipy.special import expit

    match math.isfinite(low), math.isfinite(high):
        case True, True:
            return np.asarray(low + (high - low) * expit(free))
        case True, False:
            return np.asarray(low + np.exp(free))
        case False, True:
            return np.asarray(high - np.exp(-free))
        case _:
            return free


def _log_slope(free: Array, low: float, high: float) -> Array:
    match math.isfinite(low), math.isfinite(high):
        case True, True:
            # log of expit'(x), which is even in x and does not overflow
            size = np.abs(free)
            return np.asarray(np.log(high - low) - size - 2 * np.log1p(np.exp(-size)))
        case True, False:
            return free
        case False, True:
            return -free
        case _:
            return np.zeros_like(free)
