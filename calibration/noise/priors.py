"""Prior distributions, truncated to bounds.

Each family is a class, whose values :func:`distribution` turns into vectorised functions.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, dataclass_transform

import numpy as np

from calibration.noise.shapes import (
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
    inverse_logit,
)
from cipark_sd.base.arrays import Array

#: The scale on which a parameter is searched and its density is taken.
Scale = Literal["identity", "log", "logit"]


#: Where values end of which all on the scale are possible.
_ENDS: Mapping[Scale, tuple[float, float]] = {
    "identity": (-math.inf, math.inf),
    "log": (0.0, math.inf),
    "logit": (0.0, 1.0),
}
#: The families by the name that a study file uses; each class enters itself.
FAMILIES: dict[str, "type[Prior]"] = {}


@dataclass_transform(frozen_default=True)
class Prior(ABC):
    """A family of priors; its fields are the numbers that a study gives, under their names.

    A class says of itself its ``name`` in a study, the ``natural`` scale on which it is closest to a normal, the scale
    ``on`` which its values have the shape of :meth:`untruncated`, and which numbers have to be ``positive``. It is made
    a frozen dataclass.
    """

    name: ClassVar[str]
    natural: ClassVar[Scale]
    on: ClassVar[Scale]
    positive: ClassVar[Sequence[str]]
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def __init_subclass__(
        cls, *, name: str, natural: Scale, on: Scale = "identity", positive: Sequence[str] = ()
    ) -> None:
        cls.name, cls.natural, cls.on, cls.positive = name, natural, on, positive
        FAMILIES[name] = dataclass(frozen=True)(cls)

    @abstractmethod
    def untruncated(self) -> Shape:
        """The shape of the value on its scale, before bounds."""

    @property
    def ends(self) -> tuple[float, float]:
        """Where values end: at ``low`` and ``high``, or where the natural scale does."""
        low, high = _ENDS[self.natural]
        return getattr(self, "low", low), getattr(self, "high", high)

    def fault(self) -> str | None:
        """What is wrong with the numbers, in words, or None."""
        wrong = not all(getattr(self, number) > 0 for number in self.positive)
        return f"{' and '.join(self.positive)} must be positive" if wrong else None


class Normal(Prior, name="normal", natural="identity", positive=("sd",)):
    """Normal with ``mean`` and standard deviation ``sd``."""

    mean: float
    sd: float

    def untruncated(self) -> Shape:
        return Bell.of(self.mean, self.sd)


class LogNormal(Prior, name="lognormal", natural="log", on="log", positive=("median", "sigma")):
    """Logarithm normal around ``log(median)`` with standard deviation ``sigma``."""

    median: float
    sigma: float

    def untruncated(self) -> Shape:
        return Bell.of(math.log(self.median), self.sigma)


class LogitNormal(Prior, name="logit-normal", natural="logit", on="logit"):
    """Logit normal around ``logit(median)`` with standard deviation ``sigma``; between 0 and 1."""

    median: float
    sigma: float

    def untruncated(self) -> Shape:
        return Bell.of(math.log(self.median / (1 - self.median)), self.sigma)

    def fault(self) -> str | None:
        right = 0 < self.median < 1 and self.sigma > 0
        return None if right else "median must lie between 0 and 1 and sigma be positive"


class Uniform(Prior, name="uniform", natural="identity"):
    """Equal density from ``low`` to ``high``."""

    low: float
    high: float

    def untruncated(self) -> Shape:
        return Flat.of(self.low, self.high - self.low)

    def fault(self) -> str | None:
        return None if self.low < self.high else "low must be below high"


class LogUniform(Prior, name="log-uniform", natural="log", on="log"):
    """Equal density of the logarithm from ``low`` to ``high``, both positive."""

    low: float
    high: float

    def untruncated(self) -> Shape:
        return Flat.of(math.log(self.low), math.log(self.high / self.low))

    def fault(self) -> str | None:
        return None if 0 < self.low < self.high else "low must be positive and below high"


class Triangular(Prior, name="triangular", natural="identity"):
    """Density rising from ``low`` to ``mode`` and falling to ``high``."""

    low: float
    mode: float
    high: float

    def untruncated(self) -> Shape:
        width = self.high - self.low
        return Triangle.of(self.low, width, (self.mode - self.low) / width)

    def fault(self) -> str | None:
        right = self.low <= self.mode <= self.high and self.low < self.high
        return None if right else "low, mode and high must ascend"


class Beta(Prior, name="beta", natural="logit", positive=("a", "b")):
    """Beta with exponents ``a - 1`` and ``b - 1``; between 0 and 1."""

    a: float
    b: float

    def untruncated(self) -> Shape:
        return BetaShape.of(0.0, 1.0, self.a, self.b)


class Gamma(Prior, name="gamma", natural="log", positive=("shape", "scale")):
    """Gamma with ``shape`` and ``scale``; its mean is their product."""

    shape: float
    scale: float

    def untruncated(self) -> Shape:
        return GammaShape.of(0.0, self.scale, self.shape)


class HalfNormal(Prior, name="half-normal", natural="log", positive=("sd",)):
    """The positive half of a normal around 0 with standard deviation ``sd`` of the whole."""

    sd: float

    def untruncated(self) -> Shape:
        return HalfBell.of(0.0, self.sd)


class Exponential(Prior, name="exponential", natural="log", positive=("mean",)):
    """Exponential with ``mean``."""

    mean: float

    def untruncated(self) -> Shape:
        return Decay.of(0.0, self.mean)


class StudentT(Prior, name="student-t", natural="identity", positive=("scale", "dof")):
    """Student's t with ``dof`` degrees of freedom around ``mean``, stretched by ``scale``."""

    mean: float
    scale: float
    dof: float

    def untruncated(self) -> Shape:
        return Student.of(self.mean, self.scale, self.dof)


class HalfCauchy(Prior, name="half-cauchy", natural="log", positive=("scale",)):
    """The positive half of a Cauchy distribution around 0; its median is ``scale``."""

    scale: float

    def untruncated(self) -> Shape:
        return HalfCauchyShape.of(0.0, self.scale)


def _zero(values: Array) -> Array:
    return np.zeros(np.shape(values))


#: To each scale; back; the slope of the way back, its logarithm, and the slope of that one, all by the value.
_TO: Mapping[Scale, Callable[[Array], Array]] = {
    "identity": np.asarray,
    "log": np.log,
    "logit": lambda values: np.log(values) - np.log1p(-values),
}
_BACK: Mapping[Scale, Callable[[Array], Array]] = {"identity": np.asarray, "log": np.exp, "logit": inverse_logit}
_SLOPE: Mapping[Scale, Callable[[Array], Array]] = {"log": np.asarray, "logit": lambda values: values * (1 - values)}
_LOG_SLOPE: Mapping[Scale, Callable[[Array], Array]] = {
    "identity": _zero,
    "log": np.log,
    "logit": lambda values: np.log(values) + np.log1p(-values),
}
_SLOPE_OF_LOG: Mapping[Scale, Callable[[Array], Array]] = {
    "identity": _zero,
    "log": lambda values: np.ones(np.shape(values)),
    "logit": lambda values: 1 - 2 * values,
}


def to_scale(values: Array, scale: Scale) -> Array:
    """Values on a scale; its ends become infinite.

    Parameters
    ----------
    values : (…)
    scale : {"identity", "log", "logit"}

    Returns
    -------
    (…)
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(_TO[scale](np.asarray(values, dtype=float)))


def from_scale(scaled: Array, scale: Scale) -> Array:
    """The values whose image under :func:`to_scale` is given.

    Parameters
    ----------
    scaled : (…)
    scale : {"identity", "log", "logit"}

    Returns
    -------
    (…)
    """
    return np.asarray(_BACK[scale](np.asarray(scaled, dtype=float)))


def log_jacobian(values: Array, scale: Scale) -> Array:
    """``log |d value / d scaled|``, which turns a density of the value into one of the scaled value.

    Parameters
    ----------
    values : (…)
    scale : {"identity", "log", "logit"}

    Returns
    -------
    (…)
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(_LOG_SLOPE[scale](np.asarray(values)))


def log_jacobian_slope(values: Array, scale: Scale) -> Array:
    """Derivative of :func:`log_jacobian` by the scaled value.

    Parameters
    ----------
    values : (…)
    scale : {"identity", "log", "logit"}

    Returns
    -------
    (…)
    """
    return np.asarray(_SLOPE_OF_LOG[scale](np.asarray(values)))


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
            logs = self.shape.log_density(_TO[self.scale](values))
            if self.scale != "identity":
                logs -= _LOG_SLOPE[self.scale](values)
            logs -= self.log_mass
        # of a number and of none the larger one is the number
        return np.where((values >= self.low) & (values <= self.high), np.fmax(logs, -np.inf), -np.inf)

    def slope(self, values: Array) -> Array:
        """Derivative of :meth:`log_density`, as if between the bounds."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            slope = self.shape.slope(_TO[self.scale](values))
            if self.scale == "identity":
                return slope
            # the density of a value is that of the scaled one over the derivative of the value by it
            return np.asarray((slope - _SLOPE_OF_LOG[self.scale](values)) / _SLOPE[self.scale](values))

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
    """A prior restricted to bounds and normalised there.

    Parameters
    ----------
    lower, upper : float
        Infinite for none.

    Returns
    -------
    Distribution
        Of this one prior: it takes arrays of any shape.

    Raises
    ------
    ValueError
        When the prior has no mass between the bounds.
    """
    scale, shape, (floor, ceiling) = prior.on, prior.untruncated(), prior.ends
    low, high = np.array(max(lower, floor)), np.array(min(upper, ceiling))
    mass, upper_tail = np.array(0.0), False
    if low < high:
        ends = to_scale(low, scale), to_scale(high, scale)
        (at_low, at_high), (above_low, above_high) = map(shape.below, ends), map(shape.above, ends)
        upper_tail = bool(above_low < at_high)
        mass = above_low - above_high if upper_tail else at_high - at_low
    if not mass > 0:
        raise ValueError(f"{prior} has no mass between {lower:g} and {upper:g}")
    return Distribution(shape, scale, low, high, at_low=at_low, above_high=above_high, mass=mass, upper_tail=upper_tail)


def side_by_side(priors: Sequence[Distribution]) -> Distribution:
    """Single priors of one kind as the columns of one distribution: the same numbers in fewer calls."""
    columns = ("low", "high", "at_low", "above_high", "mass")
    low, high, at_low, above_high, mass = (np.array([getattr(p, column) for p in priors]) for column in columns)
    shape = priors[0].shape.side_by_side(tuple(prior.shape for prior in priors))
    return replace(priors[0], shape=shape, low=low, high=high, at_low=at_low, above_high=above_high, mass=mass)
