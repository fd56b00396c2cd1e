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
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cipark_sd.base.arrays import Array
from cipark_sd.data.readings import ReadCourses, Reading, Windows

Places = NDArray[np.intp]


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

    Parameters
    ----------
    begin : float
        When nothing waits yet.
    courses : pairs of times ``(m,)`` and windows
        Each is read on a grid that has the times and all stops, where windows end and what waits is released.
    """

    def __init__(self, begin: float, events: Sequence[float], courses: Sequence[tuple[Array, Windows]]) -> None:
        places: dict[str, list[Places]] = defaultdict(list)
        numbers: list[tuple[Array, ...]] = []
        later_stops: list[tuple[float, int]] = []
        # how many of each the courses above have, from which places are counted
        n_times = n_grid = n_stops = n_windows = n_rises = 0
        for i, (times, windows) in enumerate(courses):
            instants = sorted({instant for window in windows for instant in window if math.isfinite(instant)})
            grid, later, of_later = _grid_of(begin, events, times, instants)
            step, after, ahead = _steps_of(times, grid)
            widths, left = _until_stops(grid, of_later)
            stops = sorted({*instants, *later})
            rows = {stop: n_stops + row for row, stop in enumerate(stops)}
            inner = [place for place, (start, _) in enumerate(windows) if math.isfinite(start)]
            of_course = {
                "step": step + n_times,
                "after": after + n_times,
                "stops": np.searchsorted(grid, stops) + n_grid,
                "later": [rows[stop] for stop in later],
                "rises": of_later[0] + np.arange(len(widths)) + n_grid,
                "segments": of_later[:-1] - of_later[0] + n_rises,
                "ends": [rows[end] for _, end in windows],
                "starts": [rows[windows[place][0]] for place in inner],
                "inner": [n_windows + place for place in inner],
            }
            for name, array in of_course.items():
                places[name].append(np.asarray(array, dtype=np.intp))
            numbers.append((ahead, np.diff([begin, *later]), widths, left))
            later_stops += [(stop, i) for stop in later]
            n_times, n_grid, n_stops = n_times + len(times), n_grid + len(grid), n_stops + len(stops)
            n_windows, n_rises = n_windows + len(windows), n_rises + len(widths)
        place = {name: np.concatenate(parts) for name, parts in places.items()}
        ahead, gaps, widths, left = (np.concatenate(parts) for parts in zip(*numbers, strict=True))
        # others take nothing from the next time, which may be no number
        self._moved = np.flatnonzero(ahead > 0)
        self._step, self._after, self._ahead = place["step"], place["after"][self._moved], ahead[self._moved, None]
        self._stops, self._later, self._gaps = place["stops"], place["later"], gaps[:, None]
        self._rises, self._segments = place["rises"], place["segments"]
        self._ends, self._starts, self._inner = place["ends"], place["starts"], place["inner"]
        # what waits of what came in over a width is the same for all courses that have the width
        cells, cell = np.unique([widths, left], axis=1, return_inverse=True)
        self._widths, self._cell = Widths(*cells), cell.reshape(-1)
        instants = sorted({stop for stop, _ in later_stops})
        self._is_event = [stop in events for stop in instants]
        self._stop = np.array([instants.index(stop) for stop, _ in later_stops], dtype=np.intp)
        self._course = np.array([i for _, i in later_stops], dtype=np.intp)
        self._shape = len(instants), len(courses)

    def within(self, courses: Array, share: Array, rate: Array) -> Array:
        """What was released ``(n_windows, n)`` within each window or by its end, an event at its end included.

        Parameters
        ----------
        courses : (m, n)
        share, rate : (n,)
        """
        along = courses[self._step]
        along[self._moved] = along[self._moved] * (1 - self._ahead) + courses[self._after] * self._ahead
        released = along[self._stops]
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


def _grid_of(
    begin: float, events: Sequence[float], times: Array, instants: Sequence[float]
) -> tuple[Array, list[float], Places]:
    """Where a course is read, the stops after the beginning, and the places of the beginning and these stops."""
    stops = sorted({*instants, *(event for event in events if begin < event <= instants[-1])})
    later = [stop for stop in stops if stop > begin]
    inside = times[(times > begin) & (times < stops[-1])]
    grid = np.unique(np.concatenate([[begin], inside, stops]))
    return grid, later, np.searchsorted(grid, [begin, *later])


def _steps_of(times: Array, grid: Array) -> tuple[Places, Places, Array]:
    """For each of the grid the time before and after it, and the share of the way between them."""
    step = np.clip(np.searchsorted(times, grid, side="right") - 1, 0, len(times) - 1)
    after = np.minimum(step + 1, len(times) - 1)
    width = times[after] - times[step]
    share = np.where(width > 0, (grid - times[step]) / np.where(width > 0, width, 1.0), 0.0)
    # at a step nothing is taken from the next one, which may be no number
    return step, np.where(share > 0, after, step), share


def _until_stops(grid: Array, places: Places) -> tuple[Array, Array]:
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
        return self.reads([(times, windows)])(course, numbers)

    def reads(self, courses: Sequence[tuple[Array, Windows]]) -> ReadCourses:
        """What no number moves is computed here, and all courses go from stop to stop together."""
        releases = Releases(self.begin, self.events, courses)

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
        grid, stops, places = _grid_of(self.begin, self.events, times, sorted(by_released))
        along, first = _on(times, course, grid), int(places[0])
        widths, left = _until_stops(grid, places)
        remaining = Widths(widths, left).remaining(rate).T
        rise = np.diff(along[:, first:], axis=1)
        came = np.add.reduceat(rise * remaining, places[:-1] - first, axis=1) if len(stops) else rise[:, :0]
        states = list(self._waiting(stops, came, share, rate))
        # by_waiting is the derivative by what waits at a stop, which less is released of by then: R = M - W
        by_along, by_came = np.zeros_like(along), np.zeros_like(came)
        by_waiting, by_share, by_rate = (np.zeros(len(course)) for _ in range(3))
        for stop, slope in by_released.items():
            by_along[:, np.searchsorted(grid, stop)] += slope
        for i in reversed(range(len(stops))):
            span, waited, arrived = states[i]
            by_waiting = by_waiting - by_released.get(stops[i], np.zeros(len(course)))
            if stops[i] in self.events:
                # W := (1 - share) W
                by_share -= by_waiting * arrived
                by_waiting = by_waiting * (1 - share)
            # W = W_before exp(-rate span) + what came since and still waits
            by_came[:, i] = by_waiting
            by_waiting = by_waiting * np.exp(-rate * span)
            by_rate -= by_waiting * span * waited
        # what came over a cell is the rise of the course over it, times the share of it that still waits at the stop
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


def _on(times: Array, course: Array, grid: Array) -> Array:
    """The course ``(n, m)`` on another grid ``(q,)``, straight between two times."""
    step, after, share = _steps_of(times, grid)
    return np.asarray(course[:, step] * (1 - share) + course[:, after] * share)


def _off(times: Array, by_grid: Array, grid: Array) -> Array:
    """Derivatives by a course on another grid to those by the course itself; undoes :func:`_on`."""
    step, after, share = _steps_of(times, grid)
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
