"""Counts as they are reported: what happened waits, and is released at announced dates or little by little.

What comes into a cumulative count enters a waiting stock. At each event a ``share`` of those who wait is released,
between events each of them at a ``rate``. A window of reports then counts releases, not what happened in it::

    dW/dt = dM/dt - rate W,    W := (1 - share) W at each event,    R = M - W

Where what happens is a Poisson process and each waits by itself, the releases of windows that do not overlap are
independent Poisson numbers with these means, so that the noise is that of the counts and over-dispersion need not pay
for the dates of reports. The same holds of batches that wait together.

Source: Kingman 1993, Poisson Processes, section 5.1 (displacement theorem).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from calibration.readings.base import ReadCourses, Reading, Windows
from calibration.readings.releases import Releases, Widths, grid_of, layout_of, steps_of, until_stops
from cipark_sd.arrays import Array


@dataclass(frozen=True, slots=True)
class Reporting(Reading):
    """Releases of what waits.

    Parameters
    ----------
    events : tuple of float
        Instants at which a share of what waits is released.
    share, rate : float or str
        A number or the name of a noise parameter: between 0 and 1, and per unit of time.
    begin : float
        When nothing waits yet.
    """

    events: tuple[float, ...]
    share: float | str
    rate: float | str
    begin: float

    @property
    def parameters(self) -> tuple[str, ...]:
        """Those of share and rate."""
        return tuple(value for value in (self.share, self.rate) if isinstance(value, str))

    @property
    def instants(self) -> tuple[float, ...]:
        """Where waiting begins, and the events."""
        return (self.begin, *self.events)

    @property
    def points(self) -> int:
        """Some hundred: between two of them what comes in is spread evenly."""
        return 256

    def read(self, times: Array, course: Array, windows: Windows, numbers: Mapping[str, Array]) -> Array:
        """What was released within each window, or by its end."""
        return _reads(self, tuple(times.tolist()), tuple(windows))(course, numbers)

    def reads(self, courses: Sequence[tuple[Array, Windows]]) -> ReadCourses:
        """What no number moves is computed here, and all courses go from stop to stop together."""
        layouts = [layout_of(self.begin, self.events, times, windows) for times, windows in courses]
        releases = Releases(layouts, self.events)

        def read(along: Array, numbers: Mapping[str, Array]) -> Array:
            share, rate = (_number(value, numbers, len(along)) for value in (self.share, self.rate))
            return releases.within(along.T, share, rate).T

        return read

    def back(
        self,
        times: Array,
        course: Array,
        windows: Windows,
        numbers: Mapping[str, Array],
        by_windows: Array,
    ) -> tuple[Array, dict[str, Array]]:
        """From the last stop to the first: what waits at each of them carries the derivatives of all later releases."""
        share, rate = (_number(value, numbers, len(course)) for value in (self.share, self.rate))
        by_released: dict[float, Array] = {}
        for window, by_window in zip(windows, by_windows.T, strict=True):
            for stop, sign in zip(window, (-1.0, 1.0), strict=True):
                if np.isfinite(stop):
                    by_released[stop] = by_released.get(stop, np.zeros(len(course))) + sign * by_window
        grid, stops, places = grid_of(self.begin, self.events, times, sorted(by_released))
        along, first = _on(times, course, grid), int(places[0])
        widths, left = until_stops(grid, places)
        remaining = Widths(widths, left).remaining(rate).T
        rise = np.diff(along[:, first:], axis=1)
        came = np.add.reduceat(rise * remaining, places[:-1] - first, axis=1) if len(stops) else rise[:, :0]
        states = list(self._waiting(stops, came, share, rate))
        by_along, by_came = np.zeros_like(along), np.zeros_like(came)
        by_waiting, by_share, by_rate = (np.zeros(len(course)) for _ in range(3))
        for stop, slope in by_released.items():
            by_along[:, np.searchsorted(grid, stop)] += slope
        for i in reversed(range(len(stops))):
            span, waited, arrived = states[i]
            by_waiting = by_waiting - by_released.get(stops[i], np.zeros(len(course)))
            if stops[i] in self.events:
                by_share -= by_waiting * arrived
                by_waiting = by_waiting * (1 - share)
            by_came[:, i] = by_waiting
            by_waiting = by_waiting * np.exp(-rate * span)
            by_rate -= by_waiting * span * waited
        by_cells = np.repeat(by_came, np.diff(places), axis=1)
        by_along[:, first + 1 : places[-1] + 1] += by_cells * remaining
        by_along[:, first : places[-1]] -= by_cells * remaining
        by_rate += (by_cells * rise * _remaining_slope(widths, left, rate)).sum(axis=1)
        slopes = zip((self.share, self.rate), (by_share, by_rate), strict=True)
        return _off(times, by_along, grid), {name: slope for name, slope in slopes if isinstance(name, str)}

    def _waiting(
        self, stops: Sequence[float], came: Array, share: Array, rate: Array
    ) -> Iterator[tuple[float, Array, Array]]:
        """For each stop the time since the one before, what waited then, and what waits now, before an event."""
        waiting, position = np.zeros(len(came)), self.begin
        for stop, new in zip(stops, came.T, strict=True):
            arrived = waiting * np.exp(-rate * (stop - position)) + new
            yield stop - position, waiting, arrived
            waiting = arrived * (1 - share) if stop in self.events else arrived
            position = stop


@lru_cache(maxsize=64)
def _reads(reading: Reporting, times: tuple[float, ...], windows: tuple[tuple[float, float], ...]) -> ReadCourses:
    return reading.reads([(np.array(times), windows)])


def _on(times: Array, course: Array, grid: Array) -> Array:
    """The course ``(n, m)`` on another grid ``(q,)``, straight between two times."""
    step, after, share = steps_of(times, grid)
    return np.asarray(course[:, step] * (1 - share) + course[:, after] * share)


def _off(times: Array, by_grid: Array, grid: Array) -> Array:
    """Derivatives by a course on another grid to those by the course itself; undoes :func:`_on`."""
    step, after, share = steps_of(times, grid)
    by_course = np.zeros((len(times), len(by_grid)))
    np.add.at(by_course, step, (by_grid * (1 - share)).T)
    np.add.at(by_course, after, (by_grid * share).T)
    return by_course.T


def _remaining_slope(widths: Array, left: Array, rate: Array) -> Array:
    """The derivative ``(n, q)`` of :meth:`Widths.remaining` by the rate."""
    x = rate[:, None] * widths
    with np.errstate(invalid="ignore", divide="ignore"):
        # by its series where it would cancel
        fall = np.where(x > 1e-4, (x * np.exp(-x) + np.expm1(-x)) / x**2, -0.5 + x / 3)
    return np.asarray(fall * widths * np.exp(-rate[:, None] * left) - left * Widths(widths, left).remaining(rate).T)


def _number(value: float | str, numbers: Mapping[str, Array], n: int) -> Array:
    return numbers[value] if isinstance(value, str) else np.full(n, float(value))
