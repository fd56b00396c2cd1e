"""Metrics of a run as observed numbers: how high it rose, when, and when it first passed a threshold."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from calibration.noise.readings.base import Reading, Windows, add_between, between
from cipark_sd.base.arrays import Array


class Metric(Reading):
    """A number of the course within a window.

    ``name`` is the metric's in a study. ``is_time`` says that it is an instant, in model time.
    """

    name: ClassVar[str]
    meaning: ClassVar[str]
    is_time: ClassVar[bool] = False

    def read(self, times: Array, course: Array, windows: Windows, numbers: Mapping[str, Array]) -> Array:
        """Each window by itself."""
        return np.stack([self.of(*between(times, course, start, end)) for start, end in windows], axis=1)

    def back(
        self, times: Array, course: Array, windows: Windows, numbers: Mapping[str, Array], by_windows: Array
    ) -> tuple[Array, dict[str, Array]]:
        """Of the values that decide the metric."""
        by_course = np.zeros_like(course)
        for (start, end), by_window in zip(windows, by_windows.T, strict=True):
            slopes = self.slopes(*between(times, course, start, end))
            add_between(by_course, times, start, end, slopes * by_window[:, None])
        return by_course, {}

    @abstractmethod
    def slopes(self, times: Array, values: Array) -> Array:
        """Derivatives ``(n, q)`` of :meth:`of` by the values."""

    @abstractmethod
    def of(self, times: Array, values: Array) -> Array:
        """The metric ``(n,)`` of values ``(n, q)`` at times ``(q,)``; NaN where a value is none."""


class Maximum(Metric):
    """The largest value."""

    name: ClassVar[str] = "maximum"
    meaning: ClassVar[str] = "the largest value in the window"

    def of(self, times: Array, values: Array) -> Array:
        return np.asarray(values.max(axis=1))

    def slopes(self, times: Array, values: Array) -> Array:
        return _alone(values, np.argmax(values, axis=1))


class Minimum(Metric):
    """The smallest value."""

    name: ClassVar[str] = "minimum"
    meaning: ClassVar[str] = "the smallest value in the window"

    def of(self, times: Array, values: Array) -> Array:
        return np.asarray(values.min(axis=1))

    def slopes(self, times: Array, values: Array) -> Array:
        return _alone(values, np.argmin(values, axis=1))


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

    def slopes(self, times: Array, values: Array) -> Array:
        result = np.zeros_like(values)
        if len(times) < 3:
            return result
        top = np.argmax(values, axis=1)
        middle, rows = np.clip(top, 1, len(times) - 2), np.arange(len(values))
        a, b, c = (values[rows, middle + shift] for shift in (-1, 0, 1))
        before, after = times[middle] - times[middle - 1], times[middle + 1] - times[middle]
        down, up = (b - a) / before, (c - b) / after
        with np.errstate(invalid="ignore", divide="ignore"):
            scale = (before + after) / 2 / (down - up) ** 2
            by_down, by_up = -up * scale / before, down * scale / after
        inner = (top == middle) & np.isfinite(by_down) & np.isfinite(by_up)
        for shift, slope in ((-1, -by_down), (0, by_down - by_up), (1, by_up)):
            result[rows, middle + shift] = np.where(inner, slope, 0.0)
        return result


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

    def slopes(self, times: Array, values: Array) -> Array:
        result, rows = np.zeros_like(values), np.arange(len(values))
        first = np.argmax(values >= self.threshold, axis=1)
        before = np.maximum(first - 1, 0)
        low, high = values[rows, before], values[rows, first]
        with np.errstate(invalid="ignore", divide="ignore"):
            share = (self.threshold - low) / (high - low)
            pace = (times[first] - times[before]) / (high - low)
            # what is reached from the start, or never, does not move
            result[rows, before] = np.where(first > 0, (share - 1) * pace, 0.0)
            result[rows, first] += np.where(first > 0, -share * pace, 0.0)
        return result


class FirstBelow(FirstAbove):
    """When the course first fell to a threshold from above; infinite where it never did."""

    name: ClassVar[str] = "first-below"
    meaning: ClassVar[str] = "when the variable first fell to `threshold`"

    def of(self, times: Array, values: Array) -> Array:
        return FirstAbove(-self.threshold).of(times, -values)

    def slopes(self, times: Array, values: Array) -> Array:
        return -FirstAbove(-self.threshold).slopes(times, -values)


def _alone(values: Array, places: NDArray[np.intp]) -> Array:
    """1 at one place of each row, else 0."""
    result = np.zeros_like(values)
    result[np.arange(len(values)), places] = 1.0
    return result


#: The metrics of a run that a study may name, one row each.
METRICS: tuple[Metric, ...] = (Maximum(), Minimum(), TimeOfMaximum(), FirstAbove(), FirstBelow())
