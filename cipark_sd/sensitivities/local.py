"""One factor at a time: derivatives over the whole cube (DGSM), and the tornado around the medians."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from cipark_sd.arrays import Array
from cipark_sd.sensitivities.designs import blocks, bootstrap_weights, check_power_of_two
from cipark_sd.sensitivities.response import Response, coordinates, for_design

if TYPE_CHECKING:
    import xarray as xr

#: Width of a difference quotient in the unit cube.
STEP = 1e-3
_Z95 = 1.959963984540054


def dgsm(
    response: Response,
    *,
    n: int,
    seed: int,
    resamples: int = 100,
    progress: Callable[[int, int], None] | None = None,
) -> "xr.Dataset":
    """Derivative-based measures: the mean square of an output's derivative along each coordinate of the cube.

    Divided by pi squared times the variance it is an upper bound of the factor's total index (coordinates are uniform),
    so a small bound clears a factor at a cost of k + 1 runs for each of ``n`` points.

    Source: Sobol and Kucherenko 2009, Mathematics and Computers in Simulation 79; the bound is their theorem 2 for
    uniform variables.

    Returns
    -------
    xarray.Dataset
        ``nu`` (mean square of the derivative), ``bound`` (of the total index) and ``bound_conf`` with dims parameter,
        output, time; ``variance`` and ``n_failed`` (output, time).

    Raises
    ------
    InvalidValue
    """
    import xarray as xr

    check_power_of_two(n, where="dgsm")
    k, cube = len(response.names), (len(response.outputs), len(response.times))
    size = cube[0] * cube[1]
    squares = np.zeros((k, resamples + 1, size))
    counts = np.zeros_like(squares)
    moments = np.zeros((3, resamples + 1, size))
    failed = np.zeros(size)
    response = for_design(response, "dgsm", n * (k + 1))
    for first, shares in blocks(k, 0, n, seed):
        rows = len(shares)
        ahead = np.where(shares + STEP < 1, STEP, -STEP)
        points = np.repeat(shares[None], k + 1, axis=0)
        for i in range(k):
            points[i + 1, :, i] += ahead[:, i]
        numbers = np.tile(np.arange(first, first + rows, dtype=np.uint64), k + 1)
        values = response(response.scores(points.reshape(-1, k)), numbers).reshape(k + 1, rows, size)
        weights = bootstrap_weights(seed, first, rows, resamples)
        finite = np.isfinite(values)
        failed += (~finite).sum(axis=(0, 1))
        base = np.where(finite[0], values[0], 0.0)
        moments += np.array([weights @ finite[0], weights @ base, weights @ base**2])
        for i in range(k):
            usable = finite[0] & finite[i + 1]
            slope = np.where(usable, values[i + 1] - values[0], 0.0) / ahead[:, i : i + 1]
            squares[i] += weights @ slope**2
            counts[i] += weights @ usable
        if progress is not None:
            progress((first + rows) * (k + 1), n * (k + 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = moments[1] / moments[0]
        variance = np.maximum(moments[2] / moments[0] - mean**2, 0.0)
        variance = np.where(variance <= (1e-9 * np.abs(mean)) ** 2, np.nan, variance)
        nu = squares / counts
        bound = nu / (np.pi**2 * variance)
    dims = ("parameter", "output", "time")
    data: dict[str, Any] = {
        "nu": (dims, nu[:, 0].reshape(k, *cube)),
        "bound": (dims, bound[:, 0].reshape(k, *cube)),
        "bound_conf": (dims, (_Z95 * bound[:, 1:].std(axis=1, ddof=1)).reshape(k, *cube)),
        "variance": (("output", "time"), variance[0].reshape(cube)),
        "n_failed": (("output", "time"), failed.reshape(cube).astype(np.int64)),
    }
    return xr.Dataset(data, coords=coordinates(response), attrs={"format": "cipark_sd dgsm 1", "seed": seed, "rows": n})


def tornado(response: Response, *, low: float = 0.05, high: float = 0.95) -> "xr.Dataset":
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
    response = for_design(response, "tornado", len(shares))
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
