"""The log densities of many priors at once, those of one shape together whatever their scales."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from calibration.study.priors import Distribution, Scale, side_by_side
from cipark_sd.arrays import Array


class JointPrior:
    """Single priors as the columns of one, their log densities to the bit.

    It costs calls, and not numbers: the columns are put in order by shape and scale, so that each step is one call for
    all of them or for those that follow each other.
    """

    def __init__(self, priors: Sequence[Distribution]) -> None:
        kinds: dict[type, dict[Scale, list[int]]] = {}
        for i, prior in enumerate(priors):
            kinds.setdefault(type(prior.shape), {}).setdefault(prior.scale, []).append(i)
        order: list[int] = []
        self._scales: list[tuple[Literal["log", "logit"], slice]] = []
        self._shapes = []
        for scales in kinds.values():
            start = len(order)
            for scale, places in scales.items():
                if scale != "identity":
                    self._scales.append((scale, slice(len(order), len(order) + len(places))))
                order += places
            together = slice(start, len(order))
            self._shapes.append((together, side_by_side([priors[i] for i in order[together]]).shape))
        self._order = np.array(order, dtype=np.intp)
        self._low, self._high, self._log_mass = (
            np.array([getattr(priors[i], name) for i in order]) for name in ("low", "high", "log_mass")
        )

    def log_density(self, values: Array) -> Array:
        """Of each of ``values : (…, k)``, in their order in memory; minus infinity outside the bounds."""
        ordered = values[..., self._order]
        scaled, logs, log_slope = ordered, np.empty_like(ordered), None
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            if self._scales:
                scaled, log_slope = ordered.copy(), np.zeros_like(ordered)
                for scale, columns in self._scales:
                    # as to_scale and log_jacobian, which take the same logarithms
                    log = np.log(ordered[..., columns])
                    if scale == "log":
                        scaled[..., columns] = log_slope[..., columns] = log
                    else:
                        log_rest = np.log1p(-ordered[..., columns])
                        scaled[..., columns], log_slope[..., columns] = log - log_rest, log + log_rest
            for columns, shape in self._shapes:
                logs[..., columns] = shape.log_density(scaled[..., columns])
            if log_slope is not None:
                logs -= log_slope
            logs -= self._log_mass
        possible = (ordered >= self._low) & (ordered <= self._high)
        result = np.empty_like(values)
        # of a number and of none the larger one is the number
        result[..., self._order] = np.where(possible, np.fmax(logs, -np.inf), -np.inf)
        return result

    def slopes(self, values: Array) -> Array:
        """Derivatives of :meth:`log_density` ``(…, k)`` at ``values : (…, k)``, as if between the bounds."""
        ordered = values[..., self._order]
        scaled, slopes = ordered.copy(), np.empty_like(ordered)
        by_scale, of_scale = np.ones_like(ordered), np.zeros_like(ordered)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for scale, columns in self._scales:
                x = ordered[..., columns]
                if scale == "log":
                    scaled[..., columns], by_scale[..., columns], of_scale[..., columns] = np.log(x), x, 1.0
                else:
                    scaled[..., columns] = np.log(x) - np.log1p(-x)
                    by_scale[..., columns], of_scale[..., columns] = x * (1 - x), 1 - 2 * x
            for columns, shape in self._shapes:
                slopes[..., columns] = shape.slope(scaled[..., columns])
            result = np.empty_like(values)
            # the density of a value is that of the scaled one over the derivative of the value by it
            result[..., self._order] = (slopes - of_scale) / by_scale
        return result
