"""Prior distributions, truncated to bounds.

Each family is a frozen value; :func:`distribution` turns it into vectorised functions.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, assert_never

import numpy as np

from calibration.study.shapes import (
    Bell,
    BetaShape,
    Decay,
    Flat,
    GammaShape,
    HalfBell,
    HalfCauchyShape,
    Shape,
    Student,
    Triangle,
)
from cipark_sd.arrays import Array

#: The scale on which a parameter is searched and its density is taken.
Scale = Literal["identity", "log", "logit"]


@dataclass(frozen=True, slots=True)
class Normal:
    """Normal with ``mean`` and standard deviation ``sd``."""

    mean: float
    sd: float


@dataclass(frozen=True, slots=True)
class LogNormal:
    """Logarithm normal around ``log(median)`` with standard deviation ``sigma``."""

    median: float
    sigma: float


@dataclass(frozen=True, slots=True)
class LogitNormal:
    """Logit normal around ``logit(median)`` with standard deviation ``sigma``; between 0 and 1."""

    median: float
    sigma: float


@dataclass(frozen=True, slots=True)
class Uniform:
    """Equal density from ``low`` to ``high``."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class LogUniform:
    """Equal density of the logarithm from ``low`` to ``high``, both positive."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Triangular:
    """Density rising from ``low`` to ``mode`` and falling to ``high``."""

    low: float
    mode: float
    high: float


@dataclass(frozen=True, slots=True)
class Beta:
    """Beta with exponents ``a - 1`` and ``b - 1``; between 0 and 1."""

    a: float
    b: float


@dataclass(frozen=True, slots=True)
class Gamma:
    """Gamma with ``shape`` and ``scale``; its mean is their product."""

    shape: float
    scale: float


@dataclass(frozen=True, slots=True)
class HalfNormal:
    """The positive half of a normal around 0 with standard deviation ``sd`` of the whole."""

    sd: float


@dataclass(frozen=True, slots=True)
class Exponential:
    """Exponential with ``mean``."""

    mean: float


@dataclass(frozen=True, slots=True)
class StudentT:
    """Student's t with ``dof`` degrees of freedom around ``mean``, stretched by ``scale``."""

    mean: float
    scale: float
    dof: float


@dataclass(frozen=True, slots=True)
class HalfCauchy:
    """The positive half of a Cauchy distribution around 0; its median is ``scale``."""

    scale: float


Prior = (
    Normal
    | LogNormal
    | LogitNormal
    | Uniform
    | LogUniform
    | Triangular
    | Beta
    | Gamma
    | HalfNormal
    | Exponential
    | StudentT
    | HalfCauchy
)

#: The families by the name that a study file uses; the keys of a prior are the fields of its class.
FAMILIES: Mapping[str, type[Prior]] = {
    "normal": Normal,
    "lognormal": LogNormal,
    "logit-normal": LogitNormal,
    "uniform": Uniform,
    "log-uniform": LogUniform,
    "triangular": Triangular,
    "beta": Beta,
    "gamma": Gamma,
    "half-normal": HalfNormal,
    "exponential": Exponential,
    "student-t": StudentT,
    "half-cauchy": HalfCauchy,
}


def prior_fault(prior: Prior) -> str | None:
    """What is wrong with a prior's numbers, in words, or None."""
    match prior:
        case Normal(_, sd) | HalfNormal(sd):
            return None if sd > 0 else "sd must be positive"
        case LogNormal(median, sigma):
            return None if median > 0 and sigma > 0 else "median and sigma must be positive"
        case LogitNormal(median, sigma):
            return None if 0 < median < 1 and sigma > 0 else "median must lie between 0 and 1 and sigma be positive"
        case Uniform(low, high):
            return None if low < high else "low must be below high"
        case LogUniform(low, high):
            return None if 0 < low < high else "low must be positive and below high"
        case Triangular(low, mode, high):
            return None if low <= mode <= high and low < high else "low, mode and high must ascend"
        case Beta(a, b) | Gamma(a, b):
            return None if a > 0 and b > 0 else "both numbers must be positive"
        case StudentT(_, scale, dof):
            return None if scale > 0 and dof > 0 else "scale and dof must be positive"
        case HalfCauchy(scale):
            return None if scale > 0 else "scale must be positive"
        case Exponential(mean):
            return None if mean > 0 else "mean must be positive"
        case _:
            assert_never(prior)


def natural_scale(prior: Prior) -> Scale:
    """The scale on which the family is closest to a normal."""
    match prior:
        case Normal() | Uniform() | Triangular() | StudentT():
            return "identity"
        case LogNormal() | LogUniform() | Gamma() | HalfNormal() | Exponential() | HalfCauchy():
            return "log"
        case LogitNormal() | Beta():
            return "logit"
        case _:
            assert_never(prior)


def _on_scale(prior: Prior) -> tuple[Scale, Shape, float, float]:
    """The family as a shape of the value on some scale, and where its values end."""

    def number(value: float) -> Array:
        return np.array(float(value))

    origin, unit = number(0.0), number(1.0)
    match prior:
        case Normal(mean, sd):
            return "identity", Bell(number(mean), number(sd)), -math.inf, math.inf
        case LogNormal(median, sigma):
            return "log", Bell(number(math.log(median)), number(sigma)), 0.0, math.inf
        case LogitNormal(median, sigma):
            return "logit", Bell(number(math.log(median / (1 - median))), number(sigma)), 0.0, 1.0
        case Uniform(low, high):
            return "identity", Flat(number(low), number(high - low)), low, high
        case LogUniform(low, high):
            return "log", Flat(number(math.log(low)), number(math.log(high / low))), low, high
        case Triangular(low, mode, high):
            width = high - low
            return "identity", Triangle(number(low), number(width), number((mode - low) / width)), low, high
        case Beta(a, b):
            return "identity", BetaShape(origin, unit, number(a), number(b)), 0.0, 1.0
        case Gamma(shape, scale):
            return "identity", GammaShape(origin, number(scale), number(shape)), 0.0, math.inf
        case HalfNormal(sd):
            return "identity", HalfBell(origin, number(sd)), 0.0, math.inf
        case Exponential(mean):
            return "identity", Decay(origin, number(mean)), 0.0, math.inf
        case StudentT(mean, scale, dof):
            return "identity", Student(number(mean), number(scale), number(dof)), -math.inf, math.inf
        case HalfCauchy(scale):
            return "identity", HalfCauchyShape(origin, number(scale)), 0.0, math.inf
        case _:
            assert_never(prior)


def to_scale(values: Array, scale: Scale) -> Array:
    """``values`` on ``scale``; the ends of the scale become infinite."""
    with np.errstate(divide="ignore", invalid="ignore"):
        match scale:
            case "identity":
                return np.asarray(values, dtype=float)
            case "log":
                return np.asarray(np.log(values))
            case "logit":
                return np.asarray(np.log(values) - np.log1p(-np.asarray(values)))
            case _:
                assert_never(scale)


def from_scale(scaled: Array, scale: Scale) -> Array:
    """The values whose image under :func:`to_scale` is ``scaled``."""
    from scipy.special import expit

    match scale:
        case "identity":
            return np.asarray(scaled, dtype=float)
        case "log":
            return np.asarray(np.exp(scaled))
        case "logit":
            return np.asarray(expit(scaled))
        case _:
            assert_never(scale)


def log_jacobian(values: Array, scale: Scale) -> Array:
    """``log |d value / d scaled|``, which turns a density of the value into one of the scaled value."""
    with np.errstate(divide="ignore", invalid="ignore"):
        match scale:
            case "identity":
                return np.zeros(np.shape(values))
            case "log":
                return np.asarray(np.log(values))
            case "logit":
                return np.asarray(np.log(values) + np.log1p(-np.asarray(values)))
            case _:
                assert_never(scale)


def log_jacobian_slope(values: Array, scale: Scale) -> Array:
    """Derivative of :func:`log_jacobian` by the scaled value."""
    match scale:
        case "identity":
            return np.zeros(np.shape(values))
        case "log":
            return np.ones(np.shape(values))
        case "logit":
            return np.asarray(1 - 2 * values)
        case _:
            assert_never(scale)


@dataclass(frozen=True, eq=False)
class Distribution:
    """Truncated priors of one shape, a column each, as functions of arrays ``(…, k)``; one prior takes any shape.

    Parameters
    ----------
    scale : {"identity", "log", "logit"}
        On which the ``shape`` is that of the value.
    low, high : (k,)
        Bounds of the values.
    at_low, above_high, mass : (k,)
        Probability below the lower and above the upper bound, and between the two.
    upper_tail : bool
        Which tail the numbers are computed in: the difference of the smaller two probabilities does not cancel.
    """

    shape: Shape
    scale: Scale
    low: Array
    high: Array
    at_low: Array
    above_high: Array
    mass: Array
    upper_tail: bool

    @cached_property
    def log_mass(self) -> Array:
        """Of :attr:`mass`."""
        return np.asarray(np.vectorize(math.log, otypes=[float])(self.mass))

    @property
    def kind(self) -> tuple[type[Shape], Scale, bool]:
        """What priors have to share to be computed together."""
        return type(self.shape), self.scale, self.upper_tail

    def log_density(self, values: Array) -> Array:
        """Minus infinity outside the bounds."""
        values = np.asarray(values, dtype=float)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            logs = self.shape.log_density(to_scale(values, self.scale))
            if self.scale != "identity":
                logs = logs - log_jacobian(values, self.scale)
            logs = logs - self.log_mass
        return np.where((values >= self.low) & (values <= self.high) & ~np.isnan(logs), logs, -np.inf)

    def probability(self, values: Array) -> Array:
        """Of less, given the bounds."""
        clipped = to_scale(np.clip(values, self.low, self.high), self.scale)
        if self.upper_tail:
            raw = 1 - (self.shape.above(clipped) - self.above_high) / self.mass
        else:
            raw = (self.shape.below(clipped) - self.at_low) / self.mass
        return np.asarray(np.clip(raw, 0.0, 1.0))

    def quantile(self, shares: Array) -> Array:
        """Undoes :meth:`probability` between the bounds."""
        shares = np.asarray(shares, dtype=float)
        if self.upper_tail:
            scaled = self.shape.with_above(self.above_high + (1 - shares) * self.mass)
        else:
            scaled = self.shape.with_below(self.at_low + shares * self.mass)
        return np.asarray(np.clip(from_scale(scaled, self.scale), self.low, self.high))


def distribution(prior: Prior, lower: float = -math.inf, upper: float = math.inf) -> Distribution:
    """``prior`` restricted to ``[lower, upper]`` and normalised there.

    Raises
    ------
    ValueError
        When the prior has no mass between the bounds.
    """
    scale, shape, floor, ceiling = _on_scale(prior)
    low, high = np.array(max(lower, floor)), np.array(min(upper, ceiling))
    mass, upper_tail = np.array(0.0), False
    if low < high:
        ends = to_scale(low, scale), to_scale(high, scale)
        (at_low, at_high), (above_low, above_high) = map(shape.below, ends), map(shape.above, ends)
        upper_tail = bool(above_low < at_high)
        mass = above_low - above_high if upper_tail else at_high - at_low
    if not mass > 0:
        raise ValueError(f"{prior} has no mass between {lower:g} and {upper:g}")
    return Distribution(shape, scale, low, high, at_low, above_high, mass, upper_tail)


def side_by_side(priors: Sequence[Distribution]) -> Distribution:
    """Single priors of one kind as the columns of one distribution: the same numbers in fewer calls."""
    first = priors[0]

    def column(name: str) -> Array:
        return np.array([getattr(prior, name) for prior in priors])

    low, high, at_low, above_high, mass = (column(name) for name in ("low", "high", "at_low", "above_high", "mass"))
    shape = first.shape.side_by_side(tuple(prior.shape for prior in priors))
    return Distribution(shape, first.scale, low, high, at_low, above_high, mass, first.upper_tail)
