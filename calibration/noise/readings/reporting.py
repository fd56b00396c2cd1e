"""Counts as they are reported: what happened waits, and is released at announced dates or little by little.

What comes into a cumulative count enters a waiting stock. At each event a ``share`` of those who wait is released,
between events each of them at a ``rate``. A window of reports then counts releases, not what happened in it::

    dW/dt = dM/dt - rate W,    W := (1 - share) W at each event,    R = M - W

Where what happens is a Poisson process and each waits by itself, the releases of windows that do not overlap are
independent Poisson numbers with these means, so that the noise is that of the counts and over-dispersion need not pay
for the dates of reports. The same holds of batches that wait together.

Source: Kingman 1993, Poisson Processes, section 5.1 (displacement theorem).

Releases of what waits, of several courses from stop to stop together; what no number moves is computed once.

Arrays run over the points fastest. Stops are ends of windows and events.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from calibration.noise.readings.base import ReadCourses, Reading, Windows
from cipark_sd.base.arrays import Array

Places = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Layout:
    """A course on a ``grid`` that has all its stops.

    Parameters
    ----------
    times : (m,)
        At which the course is known.
    step, after, ahead : (q,)
        The time of the course before each place of the grid and the next one, and how far behind the first the place
        lies, as a share of the time between.
    stops, places : (n_stops,)
        Instants, and where they are on the grid.
    later, segments, gaps : (n_later,)
        Which stops lie behind the beginning, which of ``rises`` is the first of those up to each, and the time from
        the stop before.
    rises, widths, left : (r,)
        Places of the grid from the beginning on, the time to the next one, and that from the next one to its stop.
    ends, starts, inner : (n_windows,), (n_inner,), (n_inner,)
        Stops at which windows end, those at which windows start that do, and which windows these are.
    """

    times: Array
    step: Places
    after: Places
    ahead: Array
    stops: Sequence[float]
    places: Places
    later: Places
    segments: Places
    gaps: Array
    rises: Places
    widths: Array
    left: Array
    ends: Places
    starts: Places
    inner: Places


def layout_of(begin: float, events: Sequence[float], times: Array, windows: Windows) -> Layout:
    """For a course known at some times and windows of it, where waiting begins at an instant."""
    instants = sorted({instant for window in windows for instant in window if math.isfinite(instant)})
    grid, later, places = grid_of(begin, events, times, instants)
    step, after, ahead = steps_of(times, grid)
    widths, left = until_stops(grid, places)
    stops = sorted({*instants, *later})
    rows = {stop: row for row, stop in enumerate(stops)}
    return Layout(
        times=times,
        step=step,
        after=after,
        ahead=ahead,
        stops=stops,
        places=np.searchsorted(grid, stops),
        later=np.arange(len(stops) - len(later), len(stops)),
        segments=places[:-1] - places[0],
        gaps=np.diff([begin, *later]),
        rises=places[0] + np.arange(len(widths)),
        widths=widths,
        left=left,
        ends=np.array([rows[end] for _, end in windows], dtype=np.intp),
        starts=np.array([rows[start] for start, _ in windows if math.isfinite(start)], dtype=np.intp),
        inner=np.flatnonzero([math.isfinite(start) for start, _ in windows]),
    )


class Widths:
    """Widths of time ``(r,)`` over which something comes in evenly, which end ``left : (r,)`` before a stop."""

    def __init__(self, widths: Array, left: Array) -> None:
        self._different, self._number = np.unique(widths, return_inverse=True)
        self._left = left[:, None]

    def remaining(self, rate: Array) -> Array:
        """Of what comes in, the share ``(r, n)`` that still waits at the stop where a ``rate : (n,)`` is released.

        ``(1 - exp(-rate h)) / (rate h)`` of it waits at the end of a width ``h``.
        """
        x = rate * self._different[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            at_end = np.where(x > 1e-12, -np.expm1(-x) / x, 1.0)
        return np.asarray(at_end[self._number] * np.exp(-rate * self._left))


class Releases:
    """Of courses, one below the other in all arrays, so that each step is one call for all of them.

    At a stop that a course does not have nothing of it falls and nothing comes, so that no bit of it changes.
    """

    def __init__(self, layouts: Sequence[Layout], events: Sequence[float]) -> None:
        def above(name: str) -> list[int]:
            """How many of something there are in the layouts above each of them."""
            return [sum(len(getattr(higher, name)) for higher in layouts[:i]) for i in range(len(layouts))]

        def below(name: str, counts: Sequence[int]) -> Places:
            """Places of all layouts, those above counted."""
            return np.concatenate([getattr(layout, name) + n for layout, n in zip(layouts, counts, strict=True)])

        ahead = np.concatenate([layout.ahead for layout in layouts])
        # others take nothing from the next time, which may be no number
        self._moved = np.flatnonzero(ahead > 0)
        self._step, self._after = below("step", above("times")), below("after", above("times"))[self._moved]
        self._ahead = ahead[self._moved, None]
        self._places, self._rises = below("places", above("step")), below("rises", above("step"))
        self._ends, self._starts = below("ends", above("stops")), below("starts", above("stops"))
        self._inner, self._later = below("inner", above("ends")), below("later", above("stops"))
        self._segments = below("segments", above("rises"))
        self._gaps = np.concatenate([layout.gaps for layout in layouts])[:, None]
        # what waits of what came in over a width is the same for all courses that have the width
        cells = np.concatenate([[layout.widths, layout.left] for layout in layouts], axis=1)
        (widths, left), number = np.unique(cells, axis=1, return_inverse=True)
        self._widths, self._cell = Widths(widths, left), number.reshape(-1)
        stops = [(layout.stops[place], i) for i, layout in enumerate(layouts) for place in layout.later]
        instants = sorted({stop for stop, _ in stops})
        self._is_event = [stop in events for stop in instants]
        self._stop = np.array([instants.index(stop) for stop, _ in stops], dtype=np.intp)
        self._course = np.array([i for _, i in stops], dtype=np.intp)
        self._shape = len(instants), len(layouts)

    def within(self, courses: Array, share: Array, rate: Array) -> Array:
        """What was released ``(n_windows, n)`` within each window or by its end, an event at its end included.

        Parameters
        ----------
        courses : (m, n)
        share, rate : (n,)
        """
        along = courses[self._step]
        along[self._moved] = along[self._moved] * (1 - self._ahead) + courses[self._after] * self._ahead
        released = along[self._places]
        if len(self._gaps):
            released[self._later] -= self._waiting(along, share, rate)
        within = released[self._ends]
        within[self._inner] -= released[self._starts]
        return within

    def _waiting(self, along: Array, share: Array, rate: Array) -> Array:
        """What waits after each stop ``(n_later, n)``, by the courses ``(q, n)`` on their grids."""
        rises = along[self._rises + 1]
        rises -= along[self._rises]
        rises *= self._widths.remaining(rate)[self._cell]
        came, fall = np.zeros((*self._shape, len(rate))), np.ones((*self._shape, len(rate)))
        came[self._stop, self._course] = np.add.reduceat(rises, self._segments)
        fall[self._stop, self._course] = np.exp(-rate * self._gaps)
        withheld, before = 1 - share, np.zeros((self._shape[1], len(rate)))
        # what comes becomes what waits, row by row
        for waiting, still, is_event in zip(came, fall, self._is_event, strict=True):
            still *= before
            waiting += still
            if is_event:
                waiting *= withheld
            before = waiting
        return came[self._stop, self._course]


def grid_of(
    begin: float, events: Sequence[float], times: Array, instants: Sequence[float]
) -> tuple[Array, list[float], Places]:
    """Where a course is read, the stops after the beginning, and the places of the beginning and these stops."""
    stops = sorted({*instants, *(event for event in events if begin < event <= instants[-1])})
    later = [stop for stop in stops if stop > begin]
    inside = times[(times > begin) & (times < stops[-1])]
    grid = np.unique(np.concatenate([[begin], inside, stops]))
    return grid, later, np.searchsorted(grid, [begin, *later])


def steps_of(times: Array, grid: Array) -> tuple[Places, Places, Array]:
    """For each of the grid the time before and after it, and the share of the way between them."""
    step = np.clip(np.searchsorted(times, grid, side="right") - 1, 0, len(times) - 1)
    after = np.minimum(step + 1, len(times) - 1)
    width = times[after] - times[step]
    share = np.where(width > 0, (grid - times[step]) / np.where(width > 0, width, 1.0), 0.0)
    # at a step nothing is taken from the next one, which may be no number
    return step, np.where(share > 0, after, step), share


def until_stops(grid: Array, places: Places) -> tuple[Array, Array]:
    """Widths ``(r,)`` of the grid from the first place on, and how long before the next stop each of them ends."""
    cells = grid[int(places[0]) :]
    return np.diff(cells), np.repeat(grid[places[1:]], np.diff(places)) - cells[1:]


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
        self, times: Array, course: Array, windows: Windows, numbers: Mapping[str, Array], by_windows: Array
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
