"""Metrics of a run as observed numbers: how high it rose, when, and when it first passed a threshold."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calibration.readings.base import Reading, between
from cipark_sd.arrays import Array


@dataclass(frozen=True, slots=True)
class Metric(Reading):
    """A number of the course within a window.

    ``name`` is the metric's in a study. ``is_time`` says that it is an instant, in model time.
    """

    name: ClassVar[str]
    meaning: ClassVar[str]
    is_time: ClassVar[bool] = False

    def read(
        self, times: Array, course: Array, windows: Sequence[tuple[float, float]], numbers: Mapping[str, Array]
    ) -> Array:
        """Each window by itself."""
        return np.stack([self.of(*between(times, course, start, end)) for start, end in windows], axis=1)

    @abstractmethod
    def of(self, times: Array, values: Array) -> Array:
        """The metric ``(n,)`` of values ``(n, q)`` at times ``(q,)``; NaN where a value is none."""


@dataclass(frozen=True, slots=True)
class Maximum(Metric):
    """The largest value."""

    name: ClassVar[str] = "maximum"
    meaning: ClassVar[str] = "the largest value in the window"

    def of(self, times: Array, values: Array) -> Array:
        return np.asarray(values.max(axis=1))


@dataclass(frozen=True, slots=True)
class Minimum(Metric):
    """The smallest value."""

    name: ClassVar[str] = "minimum"
    meaning: ClassVar[str] = "the smallest value in the window"

    def of(self, times: Array, values: Array) -> Array:
        return np.asarray(values.min(axis=1))


@dataclass(frozen=True, slots=True)
class TimeOfMaximum(Metric):
    """When the largest value was reached: the top of the parabola through it and its neighbours.

    Read at steps alone, it would be a step function of the parameters.
    """

    name: ClassVar[str] = "time-of-maximum"
    meaning: ClassVar[str] = "when the largest value was reached"
    is_time: ClassVar[bool] = True

    def of(self, times: Array, values: Array) -> Array:
        top = np.argmax(values, axis=1)
        bad = np.isnan(values).any(axis=1)
        if len(times) < 3:
            return np.where(bad, np.nan, times[top])
        middle = np.clip(top, 1, len(times) - 2)
        rows = np.arange(len(values))
        a, b, c = (values[rows, middle + shift] for shift in (-1, 0, 1))
        before, after = times[middle] - times[middle - 1], times[middle + 1] - times[middle]
        down, up = (b - a) / before, (c - b) / after
        with np.errstate(invalid="ignore", divide="ignore"):
            # where the slope of the parabola, straight between both halves, is zero
            share = down / (down - up)
            instant = times[middle] - before / 2 + share * (before + after) / 2
        inner = (top == middle) & np.isfinite(instant)
        return np.where(bad, np.nan, np.where(inner, instant, times[top]))


@dataclass(frozen=True, slots=True)
class FirstAbove(Metric):
    """When the course first reached a threshold from below; infinite where it never did."""

    name: ClassVar[str] = "first-above"
    meaning: ClassVar[str] = "when `threshold` was first reached or passed"
    is_time: ClassVar[bool] = True
    threshold: float = 0.0

    def of(self, times: Array, values: Array) -> Array:
        reached = values >= self.threshold
        first = np.argmax(reached, axis=1)
        rows, before = np.arange(len(values)), np.maximum(first - 1, 0)
        low, high = values[rows, before], values[rows, first]
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(first > 0, (self.threshold - low) / (high - low), 0.0)
        instant = times[before] + share * (times[first] - times[before])
        instant = np.where(reached.any(axis=1), instant, np.inf)
        return np.where(np.isnan(values).any(axis=1), np.nan, instant)


@dataclass(frozen=True, slots=True)
class FirstBelow(Metric):
    """When the course first fell to a threshold from above; infinite where it never did."""

    name: ClassVar[str] = "first-below"
    meaning: ClassVar[str] = "when the course first fell to `threshold`"
    is_time: ClassVar[bool] = True
    threshold: float = 0.0

    def of(self, times: Array, values: Array) -> Array:
        return FirstAbove(-self.threshold).of(times, -values)
