"""Prior distributions, truncated to bounds.

Each family is a frozen value; :func:`distribution` turns it into vectorised functions.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, assert_never

import numpy as np
from numpy.typing import NDArray

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


@dataclass(frozen=True, slots=True)
class _Bell:
    """A normal with scipy's formulas and names: a frozen scipy distribution costs ten times as much a call.

    The sampler asks for the density of every parameter at every step.
    """

    mean: float
    sd: float

    def logpdf(self, values: Array) -> Array:
        z = (values - self.mean) / self.sd
        return np.asarray(-(z**2) / 2.0 - 0.5 * math.log(2 * math.pi) - math.log(self.sd))

    def cdf(self, values: Array) -> Array:
        from scipy.special import ndtr

        return np.asarray(ndtr((values - self.mean) / self.sd))

    def sf(self, values: Array) -> Array:
        from scipy.special import ndtr

        return np.asarray(ndtr(-(values - self.mean) / self.sd))

    def ppf(self, shares: Array) -> Array:
        from scipy.special import ndtri

        return np.asarray(ndtri(shares) * self.sd + self.mean)

    def isf(self, shares: Array) -> Array:
        from scipy.special import ndtri

        return np.asarray(-ndtri(shares) * self.sd + self.mean)


def _on_scale(prior: Prior) -> tuple[Scale, object]:
    """The family as a distribution of the value on some scale, with scipy's methods."""
    from scipy import stats

    match prior:
        case Normal(mean, sd):
            return "identity", _Bell(mean, sd)
        case LogNormal(median, sigma):
            return "log", _Bell(math.log(median), sigma)
        case LogitNormal(median, sigma):
            return "logit", _Bell(math.log(median / (1 - median)), sigma)
        case Uniform(low, high):
            return "identity", stats.uniform(low, high - low)
        case LogUniform(low, high):
            return "log", stats.uniform(math.log(low), math.log(high / low))
        case Triangular(low, mode, high):
            return "identity", stats.triang((mode - low) / (high - low), low, high - low)
        case Beta(a, b):
            return "identity", stats.beta(a, b)
        case Gamma(shape, scale):
            return "identity", stats.gamma(shape, scale=scale)
        case HalfNormal(sd):
            return "identity", stats.halfnorm(0, sd)
        case Exponential(mean):
            return "identity", stats.expon(0, mean)
        case StudentT(mean, scale, dof):
            return "identity", stats.t(dof, mean, scale)
        case HalfCauchy(scale):
            return "identity", stats.halfcauchy(0, scale)
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


#: Where the values of a scale end.
_ENDS: Mapping[Scale, tuple[float, float]] = {
    "identity": (-math.inf, math.inf),
    "log": (0.0, math.inf),
    "logit": (0.0, 1.0),
}


@dataclass(frozen=True, slots=True)
class Distribution:
    """A truncated prior as functions of arrays of any shape.

    ``log_density`` is minus infinity outside the bounds; ``quantile`` undoes ``probability`` inside them.
    """

    log_density: Callable[[Array], Array]
    probability: Callable[[Array], Array]
    quantile: Callable[[Array], Array]


def distribution(prior: Prior, lower: float = -math.inf, upper: float = math.inf) -> Distribution:
    """``prior`` restricted to ``[lower, upper]`` and normalised there.

    Raises
    ------
    ValueError
        When the prior has no mass between the bounds.
    """
    scale, base = _on_scale(prior)
    floor, ceiling = _ENDS[scale]
    low, high = max(lower, floor), min(upper, ceiling)
    cdf, sf, ppf, isf, logpdf = (getattr(base, name) for name in ("cdf", "sf", "ppf", "isf", "logpdf"))
    at_low = float(cdf(to_scale(np.float64(low), scale)))  # type: ignore[arg-type]
    at_high = float(cdf(to_scale(np.float64(high), scale)))  # type: ignore[arg-type]
    above_low = float(sf(to_scale(np.float64(low), scale)))  # type: ignore[arg-type]
    above_high = float(sf(to_scale(np.float64(high), scale)))  # type: ignore[arg-type]
    # Both tails are kept: the difference of the smaller pair does not cancel.
    upper_tail = above_low < at_high
    mass = above_low - above_high if upper_tail else at_high - at_low
    if not mass > 0:
        raise ValueError(f"{prior} has no mass between {lower:g} and {upper:g}")

    def log_density(values: Array) -> Array:
        values = np.asarray(values, dtype=float)
        inside = (values >= low) & (values <= high)
        safe = np.where(inside, values, 0.5 * (low + high) if math.isfinite(low + high) else np.clip(1.0, low, high))
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = logpdf(to_scale(safe, scale)) - log_jacobian(safe, scale) - math.log(mass)
        logs = np.where(np.isnan(logs), -np.inf, logs)
        return np.where(inside, logs, -np.inf)

    def probability(values: Array) -> Array:
        clipped = to_scale(np.clip(values, low, high), scale)
        raw = 1 - (sf(clipped) - above_high) / mass if upper_tail else (cdf(clipped) - at_low) / mass
        return np.asarray(np.clip(raw, 0.0, 1.0))

    def quantile(shares: Array) -> Array:
        shares = np.asarray(shares, dtype=float)
        scaled = isf(above_high + (1 - shares) * mass) if upper_tail else ppf(at_low + shares * mass)
        return np.asarray(np.clip(from_scale(scaled, scale), low, high))

    return Distribution(log_density, probability, quantile)


def bell_scale(prior: Prior) -> Scale | None:
    """The scale on which a prior is normal, None where it is so on none."""
    match prior:
        case Normal():
            return "identity"
        case LogNormal():
            return "log"
        case LogitNormal():
            return "logit"
        case _:
            return None


@dataclass(frozen=True, eq=False)
class Bells:
    """Priors that are normal on one scale, a column each: the numbers of :func:`distribution`, in fewer calls.

    Parameters
    ----------
    scale : {"identity", "log", "logit"}
    mean, sd : (k,)
        On the scale.
    low, high : (k,)
        Bounds of the values.
    """

    scale: Scale
    mean: Array
    sd: Array
    low: Array
    high: Array

    @cached_property
    def _ends(self) -> tuple[Array, Array, NDArray[np.bool_], Array]:
        """Mass below the lower and above the upper bound, which tail is the smaller, and the mass between."""
        from scipy.special import ndtr

        low, high = ((to_scale(end, self.scale) - self.mean) / self.sd for end in (self.low, self.high))
        at_low, above_high, upper_tail = ndtr(low), ndtr(-high), ndtr(-low) < ndtr(high)
        return at_low, above_high, upper_tail, np.where(upper_tail, ndtr(-low) - above_high, ndtr(high) - at_low)

    @cached_property
    def _norm(self) -> tuple[Array, Array]:
        """The logarithms of the sd and of the mass, by the same function as for one prior."""
        return np.array([math.log(sd) for sd in self.sd]), np.array([math.log(mass) for mass in self._ends[3]])

    def log_density(self, values: Array) -> Array:
        """``(…, k)``."""
        inside = (values >= self.low) & (values <= self.high)
        log_sd, log_mass = self._norm
        with np.errstate(divide="ignore", invalid="ignore"):
            z = (to_scale(values, self.scale) - self.mean) / self.sd
            logs = -(z**2) / 2.0 - 0.5 * math.log(2 * math.pi) - log_sd - log_jacobian(values, self.scale) - log_mass
        return np.where(inside & ~np.isnan(logs), logs, -np.inf)

    def quantile(self, shares: Array) -> Array:
        """``(…, k)``."""
        from scipy.special import ndtri

        at_low, above_high, upper_tail, mass = self._ends
        scores = ndtri(np.where(upper_tail, above_high + (1 - shares) * mass, at_low + shares * mass))
        scaled = np.where(upper_tail, -scores, scores) * self.sd + self.mean
        return np.asarray(np.clip(from_scale(scaled, self.scale), self.low, self.high))


def bells(scale: Scale, priors: Sequence[tuple[Prior, float, float]]) -> Bells:
    """Priors, each normal on ``scale``, with their bounds."""
    floor, ceiling = _ENDS[scale]
    columns = [_on_scale(prior)[1] for prior, _, _ in priors]
    normals = [column for column in columns if isinstance(column, _Bell)]
    return Bells(
        scale,
        np.array([normal.mean for normal in normals]),
        np.array([normal.sd for normal in normals]),
        np.array([max(lower, floor) for _, lower, _ in priors]),
        np.array([min(upper, ceiling) for _, _, upper in priors]),
    )
