"""The shape of a trajectory rather than its values: peak, time of the peak, time of steepest rise."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cipark_sd.arrays import Array

if TYPE_CHECKING:
    import xarray as xr

#: What is measured of a course, in order.
MEASURES = ("end value", "peak", "time of the peak", "time to half of the maximum", "time of steepest rise")


def measures(drawn: "xr.Dataset") -> "xr.Dataset":
    """Measures of each run's course as a sample of its own, with one time: ``<output>: <measure>`` are its outputs.

    The time to half of the maximum is when the course first reaches half of its largest value, the steepest rise is
    in the middle of the interval with the largest slope; both, and the time of the peak, are NaN where the course
    never rises or where they lie at the end, so that they are not yet known.
    """
    import xarray as xr

    values, times = drawn["values"].to_numpy(), drawn["time"].to_numpy()
    columns = [_measured(values[:, i], times) for i in range(values.shape[1])]
    labels = [f"{output}: {measure}" for output in drawn["output"].to_numpy() for measure in MEASURES]
    unit_of_time = str(drawn["time"].attrs.get("units", ""))
    units = [
        unit_of_time if measure.startswith("time") else str(unit)
        for unit in drawn["units"].to_numpy()
        for measure in MEASURES
    ]
    array = np.concatenate(columns, axis=1)[:, :, None]
    data: dict[str, Any] = {
        "values": (("run", "output", "time"), array),
        "shares": drawn["shares"],
        "n_failed": (("output", "time"), (~np.isfinite(array)).sum(axis=0)),
    }
    coords: dict[str, Any] = {
        "parameter": drawn["parameter"],
        "output": labels,
        "units": (("output",), units),
        "time": times[-1:],
    }
    return xr.Dataset(data, coords=coords, attrs={"format": "cipark_sd measures 1", "runs": len(array)})


def _measured(course: Array, times: Array) -> Array:
    """``(n, n_times)`` to ``(n, n_measures)``."""
    n = len(course)
    finite: NDArray[np.bool_] = np.asarray(np.isfinite(course).all(axis=1))
    y = np.where(finite[:, None], course, 0.0)
    rows = np.arange(n)
    top = y.argmax(axis=1)
    peak = y[rows, top]
    rises = np.ptp(y, axis=1) > 1e-9 * np.abs(y).max(axis=1, initial=1e-300)
    half = peak / 2
    first = (y >= half[:, None]).argmax(axis=1)
    before = np.maximum(first - 1, 0)
    step = y[rows, first] - y[rows, before]
    with np.errstate(invalid="ignore", divide="ignore"):
        reached = times[before] + (half - y[rows, before]) / step * (times[first] - times[before])
    reached = np.where((first > 0) & rises & (peak > 0), reached, np.nan)
    slopes = np.diff(y, axis=1) / np.diff(times)
    steepest = slopes.argmax(axis=1)
    inside = (slopes[rows, steepest] > 0) & (steepest > 0) & (steepest < slopes.shape[1] - 1)
    inflection = np.where(inside, (times[steepest] + times[np.minimum(steepest + 1, len(times) - 1)]) / 2, np.nan)
    peak_time = np.where(rises & (top < len(times) - 1), times[top], np.nan)
    measures = np.stack([y[:, -1], peak, peak_time, reached, inflection], axis=1)
    return np.where(finite[:, None], measures, np.nan)
