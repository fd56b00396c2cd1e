"""A Monte Carlo sample that is kept run by run with its fan by percentile, and one factor at a time."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cipark_sd.arrays import Array
from cipark_sd.sensitivities.designs import check_power_of_two
from cipark_sd.sensitivities.response import ModelResponse, coordinates

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


#: Percentiles of a fan: the median, and the bands of 50, 75, 90 and 95 % that Vensim's users know.
PERCENTILES = (2.5, 5.0, 12.5, 25.0, 50.0, 75.0, 87.5, 95.0, 97.5)


def sample(
    response: ModelResponse,
    *,
    n: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> "xr.Dataset":
    """Runs over the factors' distributions, at the points of a Latin hypercube.

    Not at those of Sobol's sequence: with dozens of factors some pairs of its coordinates are far from filling their
    square at this number of points, and what is read off slices of one factor would be partly due to another.

    Source: McKay, Beckman and Conover 1979, Technometrics 21.

    Returns
    -------
    xarray.Dataset
        ``values`` with dims run, output, time; ``shares`` (place in the unit cube) and ``constants`` with dims run,
        parameter. Correlated factors are drawn as they depend on each other.

    Raises
    ------
    InvalidValue
    """
    import xarray as xr
    from scipy.stats import qmc

    check_power_of_two(n, where="sample")
    shares = qmc.LatinHypercube(len(response.names), rng=np.random.default_rng(seed)).random(n)
    shares = response.factors.joint(shares)
    scores, at_once = response.scores(shares), response.at_a_time
    response = response.for_design("sample", n)
    values = np.empty((n, len(response.outputs), len(response.times)))
    for start in range(0, n, at_once):
        part = slice(start, min(n, start + at_once))
        values[part] = response(scores[part], np.arange(part.start, part.stop, dtype=np.uint64))
        if progress is not None:
            progress(part.stop, n)
    data: dict[str, Any] = {
        "values": (("run", "output", "time"), values),
        "shares": (("run", "parameter"), shares),
        "n_failed": (("output", "time"), (~np.isfinite(values)).sum(axis=0)),
        "constants": (("run", "parameter"), response.factors.values(scores)),
    }
    return xr.Dataset(
        data, coords=coordinates(response), attrs={"format": "cipark_sd sample 1", "seed": seed, "runs": n}
    )


def fan(drawn: "xr.Dataset", percentiles: Sequence[float] = PERCENTILES) -> "xr.DataArray":
    """Percentiles of a sample over the runs that have a value: dims percentile, output, time."""
    import xarray as xr

    values = drawn["values"].to_numpy()
    with np.errstate(invalid="ignore"):
        bands = np.full((len(percentiles), *values.shape[1:]), np.nan)
        some = np.isfinite(values).any(axis=0)
        bands[:, some] = np.nanpercentile(values[:, some], percentiles, axis=0)
    coords = {"percentile": list(percentiles)} | {name: drawn[name] for name in ("output", "units", "time")}
    return xr.DataArray(bands, dims=("percentile", "output", "time"), coords=coords, name="fan")


def tornado(response: ModelResponse, *, low: float = 0.05, high: float = 0.95) -> "xr.Dataset":
    """Each factor at a low and a high quantile while all others stay at their medians.

    Returns
    -------
    xarray.Dataset
        ``low`` and ``high`` with dims parameter, output, time; ``middle``, ``n_failed`` (output, time).
    """
    import xarray as xr

    k = len(response.names)
    shares = np.full((2 * k + 1, k), 0.5)
    for i in range(k):
        shares[1 + i, i], shares[1 + k + i, i] = low, high
    response = response.for_design("tornado", len(shares))
    values = response(response.scores(shares), np.zeros(2 * k + 1, dtype=np.uint64))
    dims = ("parameter", "output", "time")
    data: dict[str, Any] = {
        "middle": (("output", "time"), values[0]),
        "low": (dims, values[1 : k + 1]),
        "high": (dims, values[k + 1 :]),
        "n_failed": (("output", "time"), (~np.isfinite(values)).sum(axis=0)),
    }
    attributes = {"format": "cipark_sd tornado 1", "low": low, "high": high}
    return xr.Dataset(data, coords=coordinates(response), attrs=attributes)


def swing(effects: "xr.Dataset") -> Array:
    """How far apart a tornado's ends lie, the middle included: ``(parameter, output, time)``."""
    ends = np.stack(
        [
            effects["low"].to_numpy(),
            effects["high"].to_numpy(),
            np.broadcast_to(effects["middle"], effects["low"].shape),
        ]
    )
    return np.asarray(ends.max(axis=0) - ends.min(axis=0))
