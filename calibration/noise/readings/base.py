"""What a reading of a course has to know of itself: a frozen value that the likelihood asks.

A course is a quantity of the model at all steps of a run, straight between two steps, as Euler's solution is.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

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


def at(times: Array, course: Array, instant: float) -> Array:
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


def add_at(by_course: Array, times: Array, instant: float, slope: Array) -> None:
    """Add to the derivative by a course ``(n, m)`` that by its value at an instant ``(n,)``; undoes :func:`at`."""
    step, share = _step(times, instant)
    if share < 1:
        by_course[:, step] += (1 - max(share, 0.0)) * slope
    if share > 0:
        by_course[:, step + 1] += min(share, 1.0) * slope


def add_between(by_course: Array, times: Array, start: float, end: float, slopes: Array) -> None:
    """Add that by the values ``(n, q)`` of :func:`between`."""
    start, end = max(start, float(times[0])), min(end, float(times[-1]))
    add_at(by_course, times, start, slopes[:, 0])
    by_course[:, (times > start) & (times < end)] += slopes[:, 1:-1]
    add_at(by_course, times, end, slopes[:, -1])


def between(times: Array, course: Array, start: float, end: float) -> tuple[Array, Array]:
    """Times ``(q,)`` and values ``(n, q)`` of the course from ``start`` to ``end``, both included."""
    start, end = max(start, float(times[0])), min(end, float(times[-1]))
    inside = (times > start) & (times < end)
    values = np.column_stack([at(times, course, start), course[:, inside], at(times, course, end)])
    return np.concatenate([[start], times[inside], [end]]), values
