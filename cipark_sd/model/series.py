"""Values over time that a scenario brings."""

import bisect
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from cipark_sd.model.expr import Interpolation


@dataclass(frozen=True, slots=True)
class TimeSeries:
    """Values at ascending times; between and beyond them as ``interpolation`` says, the ends held."""

    times: tuple[float, ...]
    values: tuple[float, ...]
    interpolation: Interpolation = "interpolate"


def value_at(series: TimeSeries, time: float) -> float:
    """What a series says at one instant.

    >>> value_at(TimeSeries((0.0, 2.0), (1.0, 5.0)), 1.0)
    3.0
    >>> value_at(TimeSeries((0.0, 2.0), (1.0, 5.0), "hold_backward"), 1.0)
    1.0
    >>> value_at(TimeSeries((0.0, 2.0), (1.0, 5.0), "extrapolate"), 3.0)
    7.0
    """
    times, values = series.times, series.values
    last = len(times) - 1
    match series.interpolation:
        case "hold_backward":
            return values[max(bisect.bisect_right(times, time) - 1, 0)]
        case "look_forward":
            return values[min(bisect.bisect_left(times, time), last)]
        case "extrapolate" if last > 0 and not times[0] <= time <= times[-1]:
            start = 0 if time < times[0] else last
            left, right = (0, 1) if time < times[0] else (last - 1, last)
            slope = (values[right] - values[left]) / (times[right] - times[left])
            return values[start] + slope * (time - times[start])
        case "interpolate" | "extrapolate":
            return float(np.interp(time, times, values))
        case _:
            assert_never(series.interpolation)
