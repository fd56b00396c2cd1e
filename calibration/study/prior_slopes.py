"""Derivatives of the log densities of priors."""

from typing import assert_never

import numpy as np
from numpy.typing import ArrayLike

from calibration.study.parameters import ParameterSpace
from calibration.study.priors import (
    Beta,
    Exponential,
    Gamma,
    HalfCauchy,
    HalfNormal,
    LogitNormal,
    LogNormal,
    LogUniform,
    Normal,
    Prior,
    StudentT,
    Triangular,
    Uniform,
)
from cipark_sd.arrays import Array


def log_prior_slopes(space: ParameterSpace, values: Array) -> Array:
    """Derivatives ``(…, k)`` of :meth:`ParameterSpace.log_prior` at ``values : (…, k)`` between the bounds."""
    columns = [prior_slope(parameter.prior, values[..., i]) for i, parameter in enumerate(space)]
    return np.stack(columns, axis=-1) if columns else np.zeros_like(values)


def log_prior_slopes_scaled(space: ParameterSpace, values: Array) -> Array:
    """Derivatives ``(…, k)`` of :meth:`ParameterSpace.log_prior_scaled` by ``values : (…, k)`` themselves."""
    columns = []
    for i, parameter in enumerate(space):
        x = values[..., i]
        with np.errstate(divide="ignore", invalid="ignore"):
            match parameter.scale:
                case "identity":
                    of_scale = np.zeros_like(x)
                case "log":
                    of_scale = 1 / x
                case "logit":
                    of_scale = (1 - 2 * x) / (x * (1 - x))
                case _:
                    assert_never(parameter.scale)
        columns.append(prior_slope(parameter.prior, x) + of_scale)
    return np.stack(columns, axis=-1) if columns else np.zeros_like(values)


def prior_slope(prior: Prior, values: Array) -> Array:
    """Derivative of a prior's log density where it is above zero; bounds change no slope between them."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(_slope(prior, np.asarray(values, dtype=float)))


def _slope(prior: Prior, x: Array) -> ArrayLike:
    match prior:
        case Normal(mean, sd):
            return (mean - x) / sd**2
        case LogNormal(median, sigma):
            return -(1 + np.log(x / median) / sigma**2) / x
        case LogitNormal(median, sigma):
            away: Array = np.log(x / (1 - x)) - np.log(median / (1 - median))
            return (2 * x - 1 - away / sigma**2) / (x * (1 - x))
        case Uniform():
            return np.zeros_like(x)
        case LogUniform():
            return -1 / x
        case Triangular(low, mode, high):
            return np.where(x < mode, 1 / (x - low), -1 / (high - x))
        case Beta(a, b):
            return np.where(a == 1, 0.0, (a - 1) / x) - np.where(b == 1, 0.0, (b - 1) / (1 - x))
        case Gamma(shape, scale):
            return np.where(shape == 1, 0.0, (shape - 1) / x) - 1 / scale
        case HalfNormal(sd):
            return -x / sd**2
        case Exponential(mean):
            return np.full_like(x, -1 / mean)
        case StudentT(mean, scale, dof):
            z = (x - mean) / scale
            return -(dof + 1) * z / (scale * (dof + z**2))
        case HalfCauchy(scale):
            return -2 * x / (scale**2 + x**2)
        case _:
            assert_never(prior)
