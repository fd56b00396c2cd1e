"""Counts as they are reported: what happened waits, and is released at announced dates or little by little.

What comes into a cumulative count enters a waiting stock. At each event a ``share`` of those who wait is released,
between events each of them at a ``rate``. A window of reports then counts releases, not what happened in it::

    dW/dt = dM/dt - rate W,    W := (1 - share) W at each event,    R = M - W

Where what happens is a Poisson process and each waits by itself, the releases of windows that do not overlap are
independent Poisson numbers with these means, so that the noise is that of the counts and over-dispersion need not pay
for the dates of reports. The same holds of batches that wait together.

Source: Kingman 1993, Poisson Processes, section 5.1 (displacement theorem).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

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
        ends = {instant for window in windows for instant in window if np.isfinite(instant)}
        released = self._released(times, course, sorted(ends), share, rate)
        columns = [released[end] - (released[start] if np.isfinite(start) else 0.0) for start, end in windows]
        return np.stack(columns, axis=1)

    def _released(
        self, times: Array, course: Array, instants: Sequence[float], share: Array, rate: Array
    ) -> dict[float, Array]:
        """All that was released up to each instant, an event at that instant included."""
        events = {event for event in self.events if self.begin < event <= instants[-1]}
        stops = sorted({*instants, *events})
        later = [stop for stop in stops if stop > self.begin]
        inside = times[(times > self.begin) & (times < stops[-1])]
        grid = np.unique(np.concatenate([[self.begin], inside, stops]))
        along = _on(times, course, grid)
        first = int(np.searchsorted(grid, self.begin))
        places = np.searchsorted(grid, [self.begin, *later])
        remaining = _remaining(np.diff(grid[first:]), np.repeat(later, np.diff(places)) - grid[first + 1 :], rate)
        came = np.diff(along[:, first:], axis=1) * remaining
        came = np.add.reduceat(came, places[:-1] - first, axis=1) if later else came
        released = {stop: along[:, np.searchsorted(grid, stop)] for stop in stops}
        waiting, position = np.zeros(len(course)), self.begin
        for stop, new in zip(later, came.T, strict=True):
            waiting = waiting * np.exp(-rate * (stop - position)) + new
            if stop in events:
                waiting = waiting * (1 - share)
            released[stop] = released[stop] - waiting
            position = stop
        return released


def _on(times: Array, course: Array, grid: Array) -> Array:
    """The course ``(n, m)`` on another grid ``(q,)``, straight between two times."""
    step = np.clip(np.searchsorted(times, grid, side="right") - 1, 0, len(times) - 1)
    after = np.minimum(step + 1, len(times) - 1)
    width = times[after] - times[step]
    share = np.where(width > 0, (grid - times[step]) / np.where(width > 0, width, 1.0), 0.0)
    # at a step nothing is taken from the next one, which may be no number
    after = np.where(share > 0, after, step)
    return np.asarray(course[:, step] * (1 - share) + course[:, after] * share)


def _remaining(widths: Array, left: Array, rate: Array) -> Array:
    """Of what comes in evenly over ``widths : (q,)``, which end ``left`` before a stop, the share ``(n, q)`` that still
    waits then: ``(1 - exp(-rate h)) / (rate h)`` of it waits at the end of a width ``h``."""
    x = rate[:, None] * widths
    with np.errstate(invalid="ignore", divide="ignore"):
        there = np.where(x > 1e-12, -np.expm1(-x) / x, 1.0)
    return np.asarray(there * np.exp(-rate[:, None] * left))


def _number(value: float | str, numbers: Mapping[str, Array], n: int) -> Array:
    return numbers[value] if isinstance(value, str) else np.full(n, float(value))
