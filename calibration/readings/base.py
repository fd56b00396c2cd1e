"""What a reading of a course has to know of itself: a frozen value that the likelihood asks.

A course is a quantity of the model at all steps of a run, straight between two steps, as Euler's solution is.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cipark_sd.arrays import Array


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
    def read(
        self, times: Array, course: Array, windows: Sequence[tuple[float, float]], numbers: Mapping[str, Array]
    ) -> Array:
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


def at(times: Array, course: Array, instant: float) -> Array:
    """The course ``(n,)`` at an instant of the run, by a straight line between two steps."""
    step = int(np.clip(np.searchsorted(times, instant, side="right") - 1, 0, max(len(times) - 2, 0)))
    if len(times) == 1:
        return course[:, 0]
    share = (instant - times[step]) / (times[step + 1] - times[step])
    # an end of the step takes nothing from the other end, which may be no number
    if share <= 0:
        return course[:, step]
    if share >= 1:
        return course[:, step + 1]
    return np.asarray((1 - share) * course[:, step] + share * course[:, step + 1])


def between(times: Array, course: Array, start: float, end: float) -> tuple[Array, Array]:
    """Times ``(q,)`` and values ``(n, q)`` of the course from ``start`` to ``end``, both included."""
    start, end = max(start, float(times[0])), min(end, float(times[-1]))
    inside = (times > start) & (times < end)
    values = np.column_stack([at(times, course, start), course[:, inside], at(times, course, end)])
    return np.concatenate([[start], times[inside], [end]]), values
