"""Parameters in order: values, the unit cube of their priors, and the box in which an optimiser looks.

The unit cube is the priors' own: ``from_unit`` is the quantile function, so uniform points in the cube are draws from
the prior. The search box is another cube: linear between the bounds on each parameter's scale, so that a flat stretch
of a prior takes no more room than a steep one.

Some priors are placeholders that a program wrote around the values of a model file, until somebody says what was known:
as long as the ``why`` begins so. What the data do not tell of such a constant stays near the file; an estimate far out
in its prior says that the file is wrong in something large, such as a unit.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from calibration.noise.priors import (
    Distribution,
    LogitNormal,
    LogNormal,
    Normal,
    Prior,
    Scale,
    distribution,
    from_scale,
    log_jacobian,
    log_jacobian_slope,
    side_by_side,
    to_scale,
)
from calibration.study.constants import StepRule
from cipark_sd.base.arrays import Array
from cipark_sd.base.wording import listed, number
from cipark_sd.simulations.failures import ALLOWED, ALLOWED_OF_PLACEHOLDERS

Target = Literal["model", "noise"]
Columns = slice | NDArray[np.intp]
#: Fitted, or held at the prior median by the optimiser and drawn by the sampler.
Aim = Literal["CAL", "PRI"]
AIMS: tuple[Aim, ...] = ("CAL", "PRI")
#: Quantile at which an open end of a prior is closed for the search.
SEARCH_TAIL = 1e-6


@dataclass(frozen=True)
class Parameter:
    """A quantity to be estimated.

    Parameters
    ----------
    name : str
        As the study spells it: a constant of the model, an element ``Name[element]`` of one, or a noise parameter.
    lower, upper : float
        Bounds; the prior is truncated to them.
    scale : {"identity", "log", "logit"}
        On which it is searched and on which the density of a maximum a posteriori estimate is taken.
    target : {"model", "noise"}
    use : {"CAL", "PRI"}
        Fitted, or held at the prior median by the optimiser and drawn by the sampler.
    start : float, optional
        Where the first search begins; None for the prior median.
    bounds_from : {"", "step"}
        What set the bounds where no knowledge of the constant did: the time step of the run.
    step_rule : StepRule, optional
        Which bounds another step sets.
    """

    name: str
    prior: Prior
    lower: float = -math.inf
    upper: float = math.inf
    scale: Scale = "identity"
    target: Target = "model"
    use: Aim = "CAL"
    why: str = ""
    # no part of what a posterior depends on, and so not of its digest
    start: float | None = field(default=None, repr=False)
    bounds_from: Literal["", "step"] = field(default="", repr=False)
    step_rule: StepRule | None = field(default=None, repr=False)

    @cached_property
    def distribution(self) -> Distribution:
        """The truncated prior."""
        return distribution(self.prior, self.lower, self.upper)

    def __getstate__(self) -> dict[str, object]:
        # made again when asked for
        return {name: value for name, value in self.__dict__.items() if name != "distribution"}

    @cached_property
    def median(self) -> float:
        """Of the truncated prior."""
        return float(self.distribution.quantile(np.array(0.5)))

    def interval(self, mass: float = 0.95) -> tuple[float, float]:
        """The central interval of the truncated prior."""
        ends = self.distribution.quantile(np.array([(1 - mass) / 2, (1 + mass) / 2]))
        return float(ends[0]), float(ends[1])

    @cached_property
    def search_range(self) -> tuple[float, float]:
        """Where the optimiser looks, on :attr:`scale`: the bounds, and far prior quantiles where one is open."""
        tails = self.distribution.quantile(np.array([SEARCH_TAIL, 1 - SEARCH_TAIL]))
        bounds, far = to_scale(np.array([self.lower, self.upper]), self.scale), to_scale(tails, self.scale)
        low, high = np.where(np.isfinite(bounds), bounds, far)
        return float(low), float(high)


def _columns(places: Sequence[int]) -> Columns:
    """Positions as a slice where they follow each other: it copies nothing."""
    if list(places) == list(range(places[0], places[-1] + 1)):
        return slice(places[0], places[-1] + 1)
    return np.array(places)


@dataclass(frozen=True)
class ParameterSpace:
    """Parameters in order. The last axis of every array is the parameter, axes before it are a batch."""

    parameters: tuple[Parameter, ...]

    def __len__(self) -> int:
        return len(self.parameters)

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self.parameters)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """In order."""
        return tuple(parameter.name for parameter in self.parameters)

    @cached_property
    def positions(self) -> dict[str, int]:
        """By name."""
        return {name: position for position, name in enumerate(self.names)}

    @cached_property
    def is_model(self) -> NDArray[np.bool_]:
        """Which of them are the model's ``(k,)``; others are of the noise."""
        return np.array([parameter.target == "model" for parameter in self.parameters], dtype=bool)

    @cached_property
    def of_model(self) -> tuple[str, ...]:
        """Names of the model's own, in order."""
        return tuple(parameter.name for parameter in self.parameters if parameter.target == "model")

    @property
    def first(self) -> Array:
        """Where the first search begins ``(k,)``; prior medians of what is not fitted."""
        return np.array([p.median if p.start is None or p.use == "PRI" else p.start for p in self.parameters])

    @property
    def medians(self) -> Array:
        """Prior medians ``(k,)``."""
        return np.array([parameter.median for parameter in self.parameters])

    @cached_property
    def _priors(self) -> tuple[list[int], list[tuple[slice, Distribution]]]:
        """The parameters in an order in which those of one kind follow each other, and the priors of each kind."""
        kinds: dict[object, list[int]] = {}
        for i, parameter in enumerate(self.parameters):
            kinds.setdefault(parameter.distribution.kind, []).append(i)
        priors, end = [], 0
        for places in kinds.values():
            start, end = end, end + len(places)
            priors.append((slice(start, end), side_by_side([self.parameters[i].distribution for i in places])))
        return [i for places in kinds.values() for i in places], priors

    @cached_property
    def _scales(self) -> tuple[tuple[Columns, Scale], ...]:
        """The scales of the parameters, and where those of each stand."""
        scales: dict[Scale, list[int]] = {}
        for i, parameter in enumerate(self.parameters):
            scales.setdefault(parameter.scale, []).append(i)
        return tuple((_columns(places), scale) for scale, places in scales.items())

    @cached_property
    def _box(self) -> tuple[Array, Array, Array, Array]:
        """Low ends and widths of the search ranges on the scales, and bounds, ``(k,)`` each."""
        low, high = np.array([parameter.search_range for parameter in self.parameters]).reshape(-1, 2).T
        bounds = np.array([(parameter.lower, parameter.upper) for parameter in self.parameters]).reshape(-1, 2).T
        return low, high - low, bounds[0], bounds[1]

    def __getstate__(self) -> dict[str, object]:
        # made again when asked for
        return {"parameters": self.parameters}

    def _of_priors(self, method: Literal["probability", "quantile", "log_density", "slope"], values: Array) -> Array:
        """A function of all priors, those of one kind together: it costs calls, and not numbers."""
        values, (order, kinds) = self._checked(values), self._priors
        ordered, result = values[..., order], np.empty_like(values)
        columns = np.empty_like(ordered)
        for places, priors in kinds:
            columns[..., places] = getattr(priors, method)(ordered[..., places])
        result[..., order] = columns
        return result

    def _by_scale(self, function: Callable[[Array, Scale], Array], values: Array) -> Array:
        """A function of the values of each scale."""
        values = self._checked(values)
        columns = np.empty_like(values)
        for places, scale in self._scales:
            columns[..., places] = function(values[..., places], scale)
        return columns

    def _checked(self, values: Array) -> Array:
        values = np.asarray(values, dtype=float)
        if values.shape[-1:] != (len(self),):
            raise ValueError(f"the last axis has {values.shape[-1:]} entries, the space has {len(self)} parameters")
        return values

    def from_unit(self, shares: Array) -> Array:
        """``shares : (…, k)`` between 0 and 1 to values: prior quantiles."""
        return self._of_priors("quantile", shares)

    def to_unit(self, values: Array) -> Array:
        """``values : (…, k)`` to prior probabilities; undoes :meth:`from_unit`."""
        return self._of_priors("probability", values)

    def log_prior(self, values: Array) -> Array:
        """Log density ``(…)`` of ``values : (…, k)`` themselves."""
        return np.asarray(self.log_priors(values).sum(axis=-1))

    def log_priors(self, values: Array) -> Array:
        """Log density ``(…, k)`` of each of ``values : (…, k)``."""
        return self._of_priors("log_density", values)

    def log_prior_slopes(self, values: Array) -> Array:
        """Derivatives ``(…, k)`` of :meth:`log_prior` at ``values : (…, k)`` between the bounds."""
        return self._of_priors("slope", values)

    def log_prior_slopes_scaled(self, values: Array) -> Array:
        """Derivatives ``(…, k)`` of :meth:`log_prior_scaled` by the values on their scales."""
        of_scale = self._by_scale(log_jacobian_slope, values)
        return np.asarray(self.log_prior_slopes(values) * np.exp(self.log_slopes(values)) + of_scale)

    def log_prior_scaled(self, values: Array) -> Array:
        """Log density ``(…)`` of the values on their own scales: its maximum depends on no choice of units."""
        return np.asarray((self.log_priors(values) + self.log_slopes(values)).sum(axis=-1))

    def to_scales(self, values: Array) -> Array:
        """``values : (…, k)`` on the scale of each parameter."""
        return self._by_scale(to_scale, values)

    def from_scales(self, scaled: Array) -> Array:
        """Undoes :meth:`to_scales`."""
        return self._by_scale(from_scale, scaled)

    def log_slopes(self, values: Array) -> Array:
        """``log |d value / d scaled|`` ``(…, k)``."""
        return self._by_scale(log_jacobian, values)

    @property
    def widths(self) -> Array:
        """Of the search ranges, on the parameters' scales ``(k,)``."""
        return self._box[1]

    def to_box(self, values: Array) -> Array:
        """``values : (…, k)`` to the search box, in which each parameter's range on its scale is 0 to 1."""
        low, width, _, _ = self._box
        return np.asarray((self.to_scales(values) - low) / width)

    def from_box(self, positions: Array) -> Array:
        """``positions : (…, k)`` in the search box to values; undoes :meth:`to_box`."""
        low, width, lower, upper = self._box
        # rounding must not carry a corner of the box over a bound, where the density is zero
        return np.clip(self.from_scales(low + self._checked(positions) * width), lower, upper)


PLACEHOLDER = "placeholder"
#: Prior standard deviations between an estimate and the file's value from which on the file is said to be far off.
FAR = 1.5


def is_placeholder(parameter: Parameter) -> bool:
    """Whether its prior only says what stands in the model file."""
    return parameter.target == "model" and parameter.why.startswith(PLACEHOLDER)


def share_that_may_fail(parameters: Iterable[Parameter]) -> float:
    """Of all runs: most of them where a prior is a placeholder, since nobody stated its range."""
    return ALLOWED_OF_PLACEHOLDERS if any(map(is_placeholder, parameters)) else ALLOWED


def far_off(parameters: Iterable[Parameter], theta: Iterable[float]) -> list[tuple[str, float, float, float]]:
    """The fitted constants whose estimates are far from their placeholders, the farthest first.

    Parameters
    ----------
    theta : (k,)
        Estimates in the order of the parameters, in their units.

    Returns
    -------
    list of tuple
        Name, estimate, the file's value, and how many prior standard deviations the estimate lies above it.
    """
    lines = []
    for parameter, estimate in zip(parameters, theta, strict=True):
        if is_placeholder(parameter) and parameter.use == "CAL":
            match parameter.prior:
                case LogNormal(value, width) | LogitNormal(value, width) | Normal(value, width):
                    on_scale = to_scale(np.array([estimate, value]), parameter.scale)
                    lines.append((parameter.name, estimate, value, float(on_scale[0] - on_scale[1]) / width))
    return sorted((line for line in lines if abs(line[-1]) >= FAR), key=lambda line: -abs(line[-1]))


def placeholder_words(parameters: Iterable[Parameter], theta: Iterable[float]) -> list[str]:
    """That an answer in which priors count leans on placeholders, once, and where the model file is far off.

    Parameters
    ----------
    theta : (k,)
        Estimates in the order of the parameters, in their units.

    Returns
    -------
    list of str
        Sentences; none without a placeholder.
    """
    parameters, theta = tuple(parameters), tuple(theta)
    n = sum(map(is_placeholder, parameters))
    if not n:
        return []
    sentences = [
        f"The priors of {n} constants are placeholders around the values in the model file: what the data do not "
        "inform stays near the file. Put in problem.toml what was known before the data."
    ]
    lines = far_off(parameters, theta)
    if lines:
        shown = [f"{name} ({number(estimate)} for {number(value)} in the file)" for name, estimate, value, _ in lines]
        sentences.append(
            f"The model file is far off in {listed(shown)}: {FAR:g} or more prior standard deviations. Check units and "
            "the time step; where the file is only a rough guess, new-study --prior-width 2 makes wider priors."
        )
    return sentences
