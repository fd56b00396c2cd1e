"""Counts as they are reported: what happened waits, and is released at announced dates or little by little.

What comes into a cumulative count enters a waiting stock. At each event a ``share`` of those who wait is released,
between events each of them at a ``rate``. A window of reports then counts releases, not what happened in it::

    dW/dt = dM/dt - rate W,    W := (1 - share) W at each event,    R = M - W

Where what happens is a Poisson process and each waits by itself, the releases of windows that do not overlap are
independent Poisson numbers with these means, so that the noise is that of the counts and over-dispersion need not pay
for the dates of reports. The same holds of batches that wait together.

Source: Kingman 1993, Poisson Processes, section 5.1 (displacement theorem).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from calibration.readings.base import Reading
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

    def read(
        self, times: Array, course: Array, windows: Sequence[tuple[float, float]], numbers: Mapping[str, Array]
    ) -> Array:
        """What was released within each window, or by its end."""
        share, rate = (_number(value, numbers, len(course)) for value in (self.share, self.rate))
        layout = _layout(self, tuple(times.tolist()), tuple(windows))
        released = self._released(layout, course.T, share, rate)
        within = released[layout.ends]
        within[layout.inner] -= released[layout.starts[layout.inner]]
        return within.T

    def back(
        self,
        times: Array,
        course: Array,
        windows: Sequence[tuple[float, float]],
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
        grid, stops, places = self._grid(times, sorted(by_released))
        along, first = _on(times, course, grid), int(places[0])
        widths, left = _until_stops(grid, places)
        remaining = _remaining(widths, left, rate)
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

    def _grid(self, times: Array, instants: Sequence[float]) -> tuple[Array, list[float], NDArray[np.intp]]:
        """Where the course is read, the stops after the beginning, and the places of the beginning and these stops."""
        stops = sorted({*instants, *(event for event in self.events if self.begin < event <= instants[-1])})
        later = [stop for stop in stops if stop > self.begin]
        inside = times[(times > self.begin) & (times < stops[-1])]
        grid = np.unique(np.concatenate([[self.begin], inside, stops]))
        return grid, later, np.searchsorted(grid, [self.begin, *later])

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

    def _released(self, layout: "_Layout", course: Array, share: Array, rate: Array) -> Array:
        """All that was released up to each stop ``(n_stops, n)``, an event at that instant included.

        Arrays run over the points fastest; ``course : (m, n)``.
        """
        along = course[layout.step]
        ahead, between = course[layout.after[layout.moved]], layout.ahead[layout.moved, None]
        along[layout.moved] = along[layout.moved] * (1 - between) + ahead * between
        released = along[layout.stops]
        if not layout.n_later:
            return released
        came = np.add.reduceat(np.diff(along[layout.first :], axis=0) * layout.remaining(rate), layout.segments)
        fall = np.exp(-rate * layout.gaps[:, None])
        waiting = np.zeros_like(rate)
        for row, stop in enumerate(range(len(released) - layout.n_later, len(released))):
            waiting = waiting * fall[row] + came[row]
            if layout.is_event[stop]:
                waiting = waiting * (1 - share)
            released[stop] -= waiting
        return released


@dataclass(frozen=True, eq=False)
class _Layout:
    """What the releases of a course need and no number moves, the course on a ``grid`` that has all stops.

    Parameters
    ----------
    step, after, ahead : (q,)
        The time of the course before each place of the grid and the next one, and how far behind the first the place
        lies, as a share of the time between.
    first : int
        Where waiting begins on the grid.
    stops, is_event : (n_stops,)
        Ends of windows and events: their places on the grid.
    n_later : int
        How many of the stops lie behind the beginning.
    segments, gaps : (n_later,)
        Where the widths of the grid up to each later stop begin, and the time from the stop before.
    widths, cells, left : (p,), (r,), (r,)
        Different widths of the grid from the beginning on, which of them each is, and how long before its stop each
        ends.
    ends, starts, inner : (n_windows,)
        Stops at which windows end and start, and whether they start at one.
    """

    step: NDArray[np.intp]
    after: NDArray[np.intp]
    ahead: Array
    first: int
    stops: NDArray[np.intp]
    is_event: tuple[bool, ...]
    n_later: int
    segments: NDArray[np.intp]
    gaps: Array
    widths: Array
    cells: NDArray[np.intp]
    left: Array
    ends: NDArray[np.intp]
    starts: NDArray[np.intp]
    inner: NDArray[np.bool_]

    @cached_property
    def moved(self) -> NDArray[np.intp]:
        """Places that lie between two times; others take nothing from the next one, which may be no number."""
        return np.flatnonzero(self.ahead > 0)

    def remaining(self, rate: Array) -> Array:
        """Of what comes in evenly over each width, the share ``(r, n)`` that still waits at the stop.

        ``(1 - exp(-rate h)) / (rate h)`` of it waits at the end of a width ``h``.
        """
        x = rate * self.widths[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            there = np.where(x > 1e-12, -np.expm1(-x) / x, 1.0)
        return np.asarray(there[self.cells] * np.exp(-rate * self.left[:, None]))


@lru_cache(maxsize=64)
def _layout(reading: Reporting, course: tuple[float, ...], windows: tuple[tuple[float, float], ...]) -> _Layout:
    """For a course known at some times and windows of it."""
    times = np.array(course)
    instants = sorted({instant for window in windows for instant in window if np.isfinite(instant)})
    grid, later, places = reading._grid(times, instants)
    step, after, ahead = _steps(times, grid)
    apart, left = _until_stops(grid, places)
    widths, cells = np.unique(apart, return_inverse=True)
    stops = sorted({*instants, *later})
    rows = {stop: row for row, stop in enumerate(stops)}
    return _Layout(
        step=step,
        after=after,
        ahead=ahead,
        first=int(places[0]),
        stops=np.searchsorted(grid, stops),
        is_event=tuple(stop in reading.events for stop in stops),
        n_later=len(later),
        segments=places[:-1] - places[0],
        gaps=np.diff([reading.begin, *later]),
        widths=widths,
        cells=cells,
        left=left,
        ends=np.array([rows[end] for _, end in windows]),
        starts=np.array([rows.get(start, 0) for start, _ in windows]),
        inner=np.array([math.isfinite(start) for start, _ in windows]),
    )


def _on(times: Array, course: Array, grid: Array) -> Array:
    """The course ``(n, m)`` on another grid ``(q,)``, straight between two times."""
    step, after, share = _steps(times, grid)
    return np.asarray(course[:, step] * (1 - share) + course[:, after] * share)


def _off(times: Array, by_grid: Array, grid: Array) -> Array:
    """Derivatives by a course on another grid to those by the course itself; undoes :func:`_on`."""
    step, after, share = _steps(times, grid)
    by_course = np.zeros((len(times), len(by_grid)))
    np.add.at(by_course, step, (by_grid * (1 - share)).T)
    np.add.at(by_course, after, (by_grid * share).T)
    return by_course.T


def _steps(times: Array, grid: Array) -> tuple[NDArray[np.intp], NDArray[np.intp], Array]:
    """For each of the grid the time before and after it, and the share of the way between them."""
    step = np.clip(np.searchsorted(times, grid, side="right") - 1, 0, len(times) - 1)
    after = np.minimum(step + 1, len(times) - 1)
    width = times[after] - times[step]
    share = np.where(width > 0, (grid - times[step]) / np.where(width > 0, width, 1.0), 0.0)
    # at a step nothing is taken from the next one, which may be no number
    return step, np.where(share > 0, after, step), share


def _until_stops(grid: Array, places: NDArray[np.intp]) -> tuple[Array, Array]:
    """Widths ``(q,)`` of the grid from the first place on, and how long before the next stop each of them ends."""
    cells = grid[int(places[0]) :]
    return np.diff(cells), np.repeat(grid[places[1:]], np.diff(places)) - cells[1:]


def _remaining_slope(widths: Array, left: Array, rate: Array) -> Array:
    """The derivative of :func:`_remaining` by the rate."""
    x = rate[:, None] * widths
    with np.errstate(invalid="ignore", divide="ignore"):
        # by its series where it would cancel
        fall = np.where(x > 1e-4, (x * np.exp(-x) + np.expm1(-x)) / x**2, -0.5 + x / 3)
    return np.asarray(fall * widths * np.exp(-rate[:, None] * left) - left * _remaining(widths, left, rate))


def _remaining(widths: Array, left: Array, rate: Array) -> Array:
    """Of what comes in evenly over ``widths : (q,)``, which end ``left`` before a stop, the share ``(n, q)`` that still
    waits then: ``(1 - exp(-rate h)) / (rate h)`` of it waits at the end of a width ``h``."""
    x = rate[:, None] * widths
    with np.errstate(invalid="ignore", divide="ignore"):
        there = np.where(x > 1e-12, -np.expm1(-x) / x, 1.0)
    return np.asarray(there * np.exp(-rate[:, None] * left))


def _number(value: float | str, numbers: Mapping[str, Array], n: int) -> Array:
    return numbers[value] if isinstance(value, str) else np.full(n, float(value))
