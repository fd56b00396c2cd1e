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

from calibration.readings.base import Reading, at, between
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
        """Where waiting begins."""
        return (self.begin,)

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
        last = instants[-1]
        events = {event for event in self.events if self.begin < event <= last}
        waiting = np.zeros(len(course))
        released: dict[float, Array] = {}
        position = self.begin
        for instant in sorted({*instants, *events}):
            if instant > position:
                waiting = waiting * np.exp(-rate * (instant - position))
                waiting = waiting + _still_waiting(*between(times, course, position, instant), rate)
                position = instant
            if instant in events:
                waiting = waiting * (1 - share)
            released[instant] = at(times, course, instant) - waiting
        return released


def _still_waiting(times: Array, course: Array, rate: Array) -> Array:
    """Of what came in between the times ``(q,)``, how much waits at the last of them ``(n,)``.

    Straight between two times the course rises evenly, so that of a rise over ``h`` the share
    ``(1 - exp(-rate h)) / (rate h)`` is left at its end.
    """
    widths, left = np.diff(times), times[-1] - times[1:]
    x = rate[:, None] * widths
    with np.errstate(invalid="ignore", divide="ignore"):
        remaining = np.where(x > 1e-12, -np.expm1(-x) / x, 1.0)
    return np.asarray((np.diff(course, axis=1) * remaining * np.exp(-rate[:, None] * left)).sum(axis=1))


def _number(value: float | str, numbers: Mapping[str, Array], n: int) -> Array:
    return numbers[value] if isinstance(value, str) else np.full(n, float(value))
