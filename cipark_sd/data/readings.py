"""What is read from a whole course of the model, and metrics of a run: how high it rose, when it passed a threshold.

A reading is a frozen value that the likelihood asks. A course is a quantity of the model at all steps of a run,
straight between two steps, as Euler's solution is.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cipark_sd.base.arrays import Array

#: Starts and ends of windows.
Windows = Sequence[tuple[float, float]]
#: From courses side by side ``(n, m)`` and the numbers of their readings to what is read ``(n, n_windows)``.
ReadCourses = Callable[[Array, Mapping[str, Array]], Array]


@dataclass(frozen=True, slots=True)
class Reading(ABC):
    """A number for each window of a course."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the noise parameters that it depends on."""
        return ()

    @property
    def instants(self) -> tuple[float, ...]:
        """Instants outside the windows at which the course has to be known."""
        return ()

    @property
    def points(self) -> int:
        """At how many steps the course has to be known at least, beside those at instants; 0: at every step."""
        return 0

    @abstractmethod
    def read(self, times: Array, course: Array, windows: Windows, numbers: Mapping[str, Array]) -> Array:
        """What is read ``(n, n_windows)``.

        Parameters
        ----------
        times : (m,), ascending
            The steps of the run, from its start.
        course : (n, m)
        windows : pairs of start and end
            The start is minus infinity for what is read at the end alone.
        numbers : arrays (n,) by the name of a parameter
        """

    def reads(self, courses: Sequence[tuple[Array, Windows]]) -> ReadCourses:
        """:meth:`read` of courses that are known at the same times and windows again and again.

        A reading computes what these alone decide here, and what its courses share once for all of them.
        """
        edges = np.cumsum([0, *(len(times) for times, _ in courses)]).tolist()

        def read(along: Array, numbers: Mapping[str, Array]) -> Array:
            parts = zip(courses, pairwise(edges), strict=True)
            return np.concatenate(
                [self.read(times, along[:, a:b], windows, numbers) for (times, windows), (a, b) in parts], axis=1
            )

        return read

    @abstractmethod
    def back(
        self, times: Array, course: Array, windows: Windows, numbers: Mapping[str, Array], by_windows: Array
    ) -> tuple[Array, dict[str, Array]]:
        """Derivatives of something by the course ``(n, m)`` and, by their names, by the parameters ``(n,)``.

        ``by_windows : (n, n_windows)`` are those by what is read; other arguments are as of :meth:`read`.
        """


class Metric(Reading):
    """A number of the course within a window.

    ``name`` is the metric's in a study. ``is_time`` says that it is an instant, in model time; ``is_span`` that it is
    so much time.
    """

    name: ClassVar[str]
    meaning: ClassVar[str]
    is_time: ClassVar[bool] = False
    is_span: ClassVar[bool] = False

    @property
    def spelt(self) -> str:
        """As an estimand has it."""
        return self.name

    @property
    def is_of_time(self) -> bool:
        """Whether its unit is that of time."""
        return self.is_time or self.is_span

    def read(self, times: Array, course: Array, windows: Windows, numbers: Mapping[str, Array]) -> Array:
        """Each window by itself."""
        return np.stack([self.of(*_between(times, course, start, end)) for start, end in windows], axis=1)

    def back(
        self, times: Array, course: Array, windows: Windows, numbers: Mapping[str, Array], by_windows: Array
    ) -> tuple[Array, dict[str, Array]]:
        """Of the values that decide the metric."""
        by_course = np.zeros_like(course)
        for (start, end), by_window in zip(windows, by_windows.T, strict=True):
            slopes = self.slopes(*_between(times, course, start, end))
            _add_between(by_course, times, start, end, slopes * by_window[:, None])
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
        return _time_of_top(times, values, np.argmax(values, axis=1))

    def slopes(self, times: Array, values: Array) -> Array:
        return _slopes_of_top(times, values, np.argmax(values, axis=1))


def _time_of_top(times: Array, values: Array, top: NDArray[np.intp]) -> Array:
    """When each row of values ``(n, q)`` has the top that lies at a place ``(n,)``; NaN where a value is none."""
    bad = np.isnan(values).any(axis=1)
    if len(times) < 3:
        return np.where(bad, np.nan, times[top])
    middle, before, after, down, up = _parabola(times, values, top)
    with np.errstate(invalid="ignore", divide="ignore"):
        # where the slope of the parabola, straight between both halves, is zero
        share = down / (down - up)
        instant = times[middle] - before / 2 + share * (before + after) / 2
    inner = (top == middle) & np.isfinite(instant)
    return np.where(bad, np.nan, np.where(inner, instant, times[top]))


def _slopes_of_top(times: Array, values: Array, top: NDArray[np.intp]) -> Array:
    """Derivatives ``(n, q)`` of :func:`_time_of_top` by the values."""
    result = np.zeros_like(values)
    if len(times) < 3:
        return result
    rows = np.arange(len(values))
    middle, before, after, down, up = _parabola(times, values, top)
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = (before + after) / 2 / (down - up) ** 2
        by_down, by_up = -up * scale / before, down * scale / after
    inner = (top == middle) & np.isfinite(by_down) & np.isfinite(by_up)
    for shift, slope in ((-1, -by_down), (0, by_down - by_up), (1, by_up)):
        result[rows, middle + shift] = np.where(inner, slope, 0.0)
    return result


def _parabola(
    times: Array, values: Array, top: NDArray[np.intp]
) -> tuple[NDArray[np.intp], Array, Array, Array, Array]:
    """The middle of three steps at a top, widths before and after it, and the slopes over both, each ``(n,)``."""
    middle = np.clip(top, 1, len(times) - 2)
    a, b, c = (values[np.arange(len(values)), middle + shift] for shift in (-1, 0, 1))
    before, after = times[middle] - times[middle - 1], times[middle + 1] - times[middle]
    return middle, before, after, (b - a) / before, (c - b) / after


@dataclass(frozen=True, slots=True)
class FirstAbove(Metric):
    """When the course first reached a threshold from below; infinite where it never did."""

    name: ClassVar[str] = "first-above"
    meaning: ClassVar[str] = "when `threshold` was first reached or passed"
    is_time: ClassVar[bool] = True
    threshold: float = 0.0

    @property
    def spelt(self) -> str:
        """With its threshold."""
        return f"{self.name} {self.threshold:.10g}"

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


class DoublingTime(Metric):
    """How long the course takes to reach twice its value at the start of the window; infinite where it never does."""

    name: ClassVar[str] = "doubling-time"
    meaning: ClassVar[str] = "how long the value took to double from the start of the window"
    is_span: ClassVar[bool] = True
    factor: ClassVar[float] = 2.0

    def of(self, times: Array, values: Array) -> Array:
        relative, reached = self._relative(values)
        return np.asarray(reached.of(times, relative) - times[0])

    def slopes(self, times: Array, values: Array) -> Array:
        relative, reached = self._relative(values)
        by_relative = reached.slopes(times, relative)
        start = values[:, 0]
        with np.errstate(invalid="ignore", divide="ignore"):
            result = by_relative / start[:, None]
            result[:, 0] -= (by_relative * values).sum(axis=1) / start**2
        return np.where(np.isfinite(result), result, 0.0)

    def _relative(self, values: Array) -> tuple[Array, FirstAbove]:
        """The course as a multiple of its start, of which nothing is none, and what is read of it."""
        start = np.where(values[:, :1] > 0, values[:, :1], np.inf)
        # from nothing, or from a debt, nothing doubles: the multiple stays on the other side
        relative = np.where(np.isfinite(start), values / start, np.where(np.isnan(values), np.nan, 1.0))
        return relative, (FirstAbove if self.factor > 1 else FirstBelow)(self.factor)


class HalfTime(DoublingTime):
    """How long the course takes to fall to half of its value at the start of the window; infinite where never."""

    name: ClassVar[str] = "half-time"
    meaning: ClassVar[str] = "how long the value took to halve from the start of the window"
    factor: ClassVar[float] = 0.5


class Period(Metric):
    """Mean time from one top of a swinging course to the next; infinite where there are not two.

    A top counts where the course rises before it, and falls after it, by more than a fiftieth of its range.
    """

    name: ClassVar[str] = "period"
    meaning: ClassVar[str] = "the mean time between two tops"
    is_span: ClassVar[bool] = True

    def of(self, times: Array, values: Array) -> Array:
        first, last, n = tops(values)
        span = _time_of_top(times, values, last) - _time_of_top(times, values, first)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(n > 1, span / (n - 1), np.where(np.isnan(values).any(axis=1), np.nan, np.inf))

    def slopes(self, times: Array, values: Array) -> Array:
        first, last, n = tops(values)
        slopes = _slopes_of_top(times, values, last) - _slopes_of_top(times, values, first)
        return np.where((n > 1)[:, None], slopes / np.maximum(n - 1, 1)[:, None], 0.0)


#: Of the range of a course what it has to rise before a top and fall after it: six points of a figure of some 300.
TOP = 0.02


def tops(values: Array) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """The places of the first and the last top of each row of values ``(n, q)``, and how many it has."""
    n_rows = len(values)
    first, last, n = (np.zeros(n_rows, dtype=np.intp) for _ in range(3))
    highest, lowest, place = values[:, 0].copy(), values[:, 0].copy(), np.zeros(n_rows, dtype=np.intp)
    rising = np.zeros(n_rows, dtype=bool)
    enough = TOP * np.ptp(values, axis=1)
    for t in range(1, values.shape[1]):
        now = values[:, t]
        higher = now > highest
        place[higher] = t
        highest = np.maximum(highest, now)
        lowest = np.minimum(lowest, now)
        falls = rising & (highest - now > enough)
        last[falls] = place[falls]
        first[falls & (n == 0)] = place[falls & (n == 0)]
        n[falls] += 1
        begins = ~rising & (now - lowest > enough)
        rising = (rising & ~falls) | begins
        # what counts from here on begins here
        lowest[falls], highest[begins], place[begins] = now[falls], now[begins], t
    return first, last, n


def _alone(values: Array, places: NDArray[np.intp]) -> Array:
    """1 at one place of each row, else 0."""
    result = np.zeros_like(values)
    result[np.arange(len(values)), places] = 1.0
    return result


def _at(times: Array, course: Array, instant: float) -> Array:
    """The course ``(n,)`` at an instant of the run, by a straight line between two steps."""
    step, share = _step(times, instant)
    # an end of the step takes nothing from the other end, which may be no number
    if share <= 0:
        return course[:, step]
    if share >= 1:
        return course[:, step + 1]
    return np.asarray((1 - share) * course[:, step] + share * course[:, step + 1])


def _step(times: Array, instant: float) -> tuple[int, float]:
    """The step in which an instant lies, and which share of it has gone by."""
    if len(times) == 1:
        return 0, 0.0
    step = int(np.clip(np.searchsorted(times, instant, side="right") - 1, 0, len(times) - 2))
    return step, float((instant - times[step]) / (times[step + 1] - times[step]))


def _add_at(by_course: Array, times: Array, instant: float, slope: Array) -> None:
    """Add to the derivative by a course ``(n, m)`` that by its value at an instant ``(n,)``; undoes :func:`_at`."""
    step, share = _step(times, instant)
    if share < 1:
        by_course[:, step] += (1 - max(share, 0.0)) * slope
    if share > 0:
        by_course[:, step + 1] += min(share, 1.0) * slope


def _add_between(by_course: Array, times: Array, start: float, end: float, slopes: Array) -> None:
    """Add that by the values ``(n, q)`` of :func:`_between`."""
    start, end = max(start, float(times[0])), min(end, float(times[-1]))
    _add_at(by_course, times, start, slopes[:, 0])
    by_course[:, (times > start) & (times < end)] += slopes[:, 1:-1]
    _add_at(by_course, times, end, slopes[:, -1])


def _between(times: Array, course: Array, start: float, end: float) -> tuple[Array, Array]:
    """Times ``(q,)`` and values ``(n, q)`` of the course from ``start`` to ``end``, both included."""
    start, end = max(start, float(times[0])), min(end, float(times[-1]))
    inside = (times > start) & (times < end)
    values = np.column_stack([_at(times, course, start), course[:, inside], _at(times, course, end)])
    return np.concatenate([[start], times[inside], [end]]), values


#: The metrics of a run that a study may name, one row each.
METRICS: tuple[Metric, ...] = (
    *(Maximum(), Minimum(), TimeOfMaximum(), FirstAbove(), FirstBelow()),
    *(DoublingTime(), HalfTime(), Period()),
)
