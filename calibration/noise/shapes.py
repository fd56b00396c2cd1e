"""Shapes of priors on the whole scale, before bounds: many parameters of one shape in one call.

The formulas are those of ``scipy.stats``, whose frozen distributions cost ten times as much a call; a sampler asks for
the density or the quantile of every parameter at every step. Shares and values are ``(…, k)``, a column for each
parameter; location, width and exponents are ``(k,)`` or single numbers.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Self

import numpy as np

from cipark_sd.base.arrays import Array


def _special() -> Any:
    """SciPy's functions, which take long to import."""
    from scipy import special

    return special


def inverse_logit(values: Array) -> Array:
    """``1 / (1 + exp(-x))``."""
    return np.asarray(_special().expit(values))


@dataclass(frozen=True, eq=False)
class Shape(ABC):
    """A standard distribution, moved by its ``location`` and stretched by its ``width``; asked within its support."""

    location: Array
    width: Array

    @cached_property
    def _log_width(self) -> Array:
        return np.asarray(np.vectorize(math.log, otypes=[float])(self.width))

    def log_density(self, values: Array) -> Array:
        """Of values within the support."""
        return np.asarray(self._log_density((values - self.location) / self.width) - self._log_width)

    def slope(self, values: Array) -> Array:
        """Derivative of the log density of values within the support."""
        return np.asarray(self._slope((values - self.location) / self.width) / self.width)

    def below(self, values: Array) -> Array:
        """Probability of less."""
        return self._below((values - self.location) / self.width)

    def above(self, values: Array) -> Array:
        """Probability of more, with all its digits far above."""
        return self._above((values - self.location) / self.width)

    def with_below(self, shares: Array) -> Array:
        """The value below which a share lies."""
        return np.asarray(self._with_below(shares) * self.width + self.location)

    def with_above(self, shares: Array) -> Array:
        """The value above which a share lies."""
        return np.asarray(self._with_above(shares) * self.width + self.location)

    @abstractmethod
    def _log_density(self, x: Array) -> Array: ...

    @abstractmethod
    def _slope(self, x: Array) -> Array: ...

    @abstractmethod
    def _below(self, x: Array) -> Array: ...

    def _above(self, x: Array) -> Array:
        return 1 - self._below(x)

    @abstractmethod
    def _with_below(self, shares: Array) -> Array: ...

    def _with_above(self, shares: Array) -> Array:
        return self._with_below(1 - shares)

    @classmethod
    def of(cls, *numbers: float) -> Self:
        """The shape of one parameter with these numbers, in the order of the fields."""
        return cls(*(np.array(float(number)) for number in numbers))

    @classmethod
    def side_by_side(cls, shapes: "tuple[Self, ...]") -> Self:
        """Shapes of this kind, each of one parameter, as one of many."""
        return cls(*(np.array([getattr(shape, f.name) for shape in shapes]) for f in fields(cls)))


class Bell(Shape):
    """Normal."""

    def _log_density(self, x: Array) -> Array:
        return np.asarray(-(x**2) / 2.0 - 0.5 * math.log(2 * math.pi))

    def _slope(self, x: Array) -> Array:
        return -x

    def _below(self, x: Array) -> Array:
        return np.asarray(_special().ndtr(x))

    def _above(self, x: Array) -> Array:
        return self._below(-x)

    def _with_below(self, shares: Array) -> Array:
        return np.asarray(_special().ndtri(shares))

    def _with_above(self, shares: Array) -> Array:
        return -self._with_below(shares)


class HalfBell(Shape):
    """The positive half of a normal."""

    def _log_density(self, x: Array) -> Array:
        return np.asarray(0.5 * math.log(2.0 / math.pi) - x * x / 2.0)

    def _slope(self, x: Array) -> Array:
        return -x

    def _below(self, x: Array) -> Array:
        return np.asarray(_special().erf(x / math.sqrt(2)))

    def _above(self, x: Array) -> Array:
        return np.asarray(2 * _special().ndtr(-x))

    def _with_below(self, shares: Array) -> Array:
        return np.asarray(_special().ndtri((1 + shares) / 2.0))

    def _with_above(self, shares: Array) -> Array:
        return np.asarray(-_special().ndtri(shares / 2))


class Flat(Shape):
    """Equal density over the width."""

    def _log_density(self, x: Array) -> Array:
        return np.zeros(np.shape(x))

    def _slope(self, x: Array) -> Array:
        return np.zeros(np.shape(x))

    def _below(self, x: Array) -> Array:
        return x

    def _with_below(self, shares: Array) -> Array:
        return shares


@dataclass(frozen=True, eq=False)
class Triangle(Shape):
    """Rising to the ``mode``, a share of the width, and falling from there."""

    mode: Array

    def _log_density(self, x: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            rising, falling = 2 * x / self.mode, 2 * (1 - x) / (1 - self.mode)
            return np.asarray(np.log(np.where((x < self.mode) | (self.mode == 1), rising, falling)))

    def _slope(self, x: Array) -> Array:
        return np.where((x < self.mode) | (self.mode == 1), 1 / x, -1 / (1 - x))

    def _below(self, x: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            rising, falling = x * x / self.mode, (x * x - 2 * x + self.mode) / (self.mode - 1)
            return np.where((x < self.mode) | (self.mode == 1), rising, falling)

    def _with_below(self, shares: Array) -> Array:
        rising, falling = np.sqrt(self.mode * shares), 1 - np.sqrt((1 - self.mode) * (1 - shares))
        return np.where(shares < self.mode, rising, falling)


@dataclass(frozen=True, eq=False)
class BetaShape(Shape):
    """Beta with exponents ``a - 1`` and ``b - 1``."""

    a: Array
    b: Array

    def _log_density(self, x: Array) -> Array:
        return np.asarray(
            _special().xlog1py(self.b - 1.0, -x) + _special().xlogy(self.a - 1.0, x) - _special().betaln(self.a, self.b)
        )

    def _slope(self, x: Array) -> Array:
        return np.where(self.a == 1, 0.0, (self.a - 1) / x) - np.where(self.b == 1, 0.0, (self.b - 1) / (1 - x))

    def _below(self, x: Array) -> Array:
        return np.asarray(_special().betainc(self.a, self.b, x))

    def _above(self, x: Array) -> Array:
        return np.asarray(_special().betaincc(self.a, self.b, x))

    def _with_below(self, shares: Array) -> Array:
        return np.asarray(_special().betaincinv(self.a, self.b, shares))

    def _with_above(self, shares: Array) -> Array:
        return np.asarray(_special().betainccinv(self.a, self.b, shares))


@dataclass(frozen=True, eq=False)
class GammaShape(Shape):
    """Gamma with exponent ``a - 1``."""

    a: Array

    def _log_density(self, x: Array) -> Array:
        return np.asarray(_special().xlogy(self.a - 1.0, x) - x - _special().gammaln(self.a))

    def _slope(self, x: Array) -> Array:
        return np.where(self.a == 1, 0.0, (self.a - 1) / x) - 1

    def _below(self, x: Array) -> Array:
        return np.asarray(_special().gammainc(self.a, x))

    def _above(self, x: Array) -> Array:
        return np.asarray(_special().gammaincc(self.a, x))

    def _with_below(self, shares: Array) -> Array:
        return np.asarray(_special().gammaincinv(self.a, shares))

    def _with_above(self, shares: Array) -> Array:
        return np.asarray(_special().gammainccinv(self.a, shares))


class Decay(Shape):
    """Exponential."""

    def _log_density(self, x: Array) -> Array:
        return -x

    def _slope(self, x: Array) -> Array:
        return np.full(np.shape(x), -1.0)

    def _below(self, x: Array) -> Array:
        return np.asarray(-_special().expm1(-x))

    def _above(self, x: Array) -> Array:
        return np.asarray(np.exp(-x))

    def _with_below(self, shares: Array) -> Array:
        return np.asarray(-_special().log1p(-shares))

    def _with_above(self, shares: Array) -> Array:
        with np.errstate(divide="ignore"):
            return np.asarray(-np.log(shares))


@dataclass(frozen=True, eq=False)
class Student(Shape):
    """Student's t."""

    dof: Array

    def _log_density(self, x: Array) -> Array:
        constant = np.log(_special().poch(0.5 * self.dof, 0.5)) - 0.5 * (np.log(self.dof) + math.log(math.pi))
        return np.asarray(constant - (self.dof + 1) / 2 * np.log1p(x * x / self.dof))

    def _slope(self, x: Array) -> Array:
        return -(self.dof + 1) * x / (self.dof + x * x)

    def _below(self, x: Array) -> Array:
        return np.asarray(_special().stdtr(self.dof, x))

    def _above(self, x: Array) -> Array:
        return self._below(-x)

    def _with_below(self, shares: Array) -> Array:
        # the inverse is finite or none at the ends
        inside = (shares > 0) & (shares < 1)
        return np.where(
            inside, _special().stdtrit(self.dof, np.where(inside, shares, 0.5)), np.where(shares > 0.5, np.inf, -np.inf)
        )

    def _with_above(self, shares: Array) -> Array:
        return -self._with_below(shares)


class HalfCauchyShape(Shape):
    """The positive half of a Cauchy distribution."""

    def _log_density(self, x: Array) -> Array:
        return np.asarray(math.log(2.0 / math.pi) - _special().log1p(x * x))

    def _slope(self, x: Array) -> Array:
        return -2 * x / (1 + x * x)

    def _below(self, x: Array) -> Array:
        return np.asarray(2.0 / math.pi * np.arctan(x))

    def _above(self, x: Array) -> Array:
        return np.asarray(2.0 / math.pi * np.arctan2(1, x))

    def _with_below(self, shares: Array) -> Array:
        # half a pi is not exact
        return np.where(shares < 1, np.tan(math.pi / 2 * shares), np.inf)

    def _with_above(self, shares: Array) -> Array:
        with np.errstate(divide="ignore"):
            return np.asarray(1.0 / np.tan(math.pi * shares / 2))
