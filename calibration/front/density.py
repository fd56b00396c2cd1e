"""The log density of a study as a value that samplers and optimisers of other packages call."""

from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from calibration.inference.sample.densities import FreeDensity, prior_draws
from calibration.likelihood.gradient import log_posterior_and_gradient
from calibration.likelihood.posterior import Posterior
from calibration.likelihood.replicate import numbers, replicate
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import InvalidValue, brief_methods


@brief_methods
@dataclass(frozen=True, eq=False, repr=False)
class Density:
    """Log prior plus log likelihood of a study's parameters, up to the evidence: exact gradients, one point or many.

    >>> from calibration import read_study
    >>> density = read_study("flu_1978").density
    >>> theta = density.prior_draws(3, seed=1)
    >>> density.value(theta).shape
    (3,)
    >>> value, gradient = density.value_and_gradient(theta[0])
    >>> gradient.shape == (len(density.names),)
    True

    A point is ``(k,)`` and gives a number; many are ``(n, k)``, which cost little more, and give ``(n,)``. Outside the
    priors, or where the model fails, the log density is minus infinity and its gradient 0.

    Attributes
    ----------
    names : tuple of str
        Of the parameters, in the order of the last axis.
    is_unconstrained : bool
        Whether points are coordinates without bounds, of which the density is then taken.
    """

    posterior: Posterior
    is_unconstrained: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Of the parameters, in order."""
        return self.posterior.space.names

    @cached_property
    def bounds(self) -> Array:
        """``(k, 2)``: where each prior ends; infinite where it does not, as all are of coordinates without bounds."""
        ends = [(-np.inf, np.inf) if self.is_unconstrained else (p.lower, p.upper) for p in self.posterior.space]
        return np.array(ends)

    @cached_property
    def unconstrained(self) -> "Density":
        """The same density in coordinates without bounds, the derivative of the parameters by them counted in.

        Each parameter goes to the scale of its prior and, where the prior ends, through a logarithm or a logit.
        """
        return replace(self, is_unconstrained=True)

    def to_unconstrained(self, theta: ArrayLike) -> Array:
        """Coordinates without bounds ``(…, k)`` of values ``(…, k)``; infinite at the end of a prior."""
        return self._free.of(self._points(theta))

    def from_unconstrained(self, coordinates: ArrayLike) -> Array:
        """Undoes :meth:`to_unconstrained`."""
        return self._free.theta(self._points(coordinates))

    def value(self, theta: ArrayLike) -> float | Array:
        """The log density of a point ``(k,)``, or of many ``(n, k)`` as ``(n,)``."""
        of = self._free if self.is_unconstrained else self.posterior.log_posterior
        logs = of(np.atleast_2d(points := self._points(theta)))
        return float(logs[0]) if points.ndim == 1 else logs

    def value_and_gradient(self, theta: ArrayLike) -> tuple[float | Array, Array]:
        """The log density and its derivatives: a number and ``(k,)``, or ``(n,)`` and ``(n, k)``.

        Raises
        ------
        UnsupportedFeature, InvalidValue
            Where the model or the engine has no gradient.
        """
        of = self._free.with_gradient if self.is_unconstrained else partial(log_posterior_and_gradient, self.posterior)
        logs, slopes = of(np.atleast_2d(points := self._points(theta)))
        return (float(logs[0]), slopes[0]) if points.ndim == 1 else (logs, slopes)

    def prior_draws(self, n: int, *, seed: int = 0) -> Array:
        """``(n, k)`` draws of the priors."""
        drawn = prior_draws(self.posterior.space, n, np.random.default_rng(seed))
        return self.to_unconstrained(drawn) if self.is_unconstrained else drawn

    @property
    def observed(self) -> pd.DataFrame:
        """A row for each observed number: its ``observation``, ``label`` and ``use``, and what was seen.

        ``lower`` and ``upper`` are the ends of what was seen, equal where a number is known exactly.
        """
        return numbers(self.posterior.problem.observations)[["observation", "label", "time", "use", "lower", "upper"]]

    def simulate(self, theta: ArrayLike, *, seed: int = 0) -> Array:
        """Random observations, in the order of :attr:`observed`: ``(n_numbers,)``, or ``(n, n_numbers)``.

        NaN where the model fails, or gives a mean that the noise cannot have.
        """
        points = self._points(theta)
        values = self._free.theta(points) if self.is_unconstrained else points
        drawn = replicate(self.posterior, np.atleast_2d(values), np.random.default_rng(seed))
        return drawn[0] if points.ndim == 1 else drawn

    def __repr__(self) -> str:
        of = "unconstrained coordinates of " if self.is_unconstrained else ""
        return f"<Density of {of}{', '.join(self.names)}: {len(self.observed)} numbers observed>"

    @cached_property
    def _free(self) -> FreeDensity:
        return FreeDensity(self.posterior)

    def _points(self, theta: ArrayLike) -> Array:
        try:
            points = np.asarray(theta, dtype=float)
        except (TypeError, ValueError):
            points = np.empty(0)
        k = len(self.names)
        if points.ndim not in (1, 2) or points.shape[-1] != k:
            expected = f"{k} numbers, or rows of {k}: {', '.join(self.names)}"
            raise InvalidValue("a point", getattr(theta, "shape", theta), expected, where=self.posterior.problem.title)
        return points
