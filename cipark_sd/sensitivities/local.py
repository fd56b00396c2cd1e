"""One factor at a time, around the medians: the tornado."""

from typing import TYPE_CHECKING, Any

import numpy as np

from cipark_sd.arrays import Array
from cipark_sd.sensitivities.response import ModelResponse, coordinates

if TYPE_CHECKING:
    import xarray as xr


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
