"""A Monte Carlo sample that is kept run by run, and its fan by percentile."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cipark_sd.sensitivities.designs import check_power_of_two
from cipark_sd.sensitivities.response import ModelResponse, Response, at_a_time, coordinates, for_design

if TYPE_CHECKING:
    import xarray as xr

#: Percentiles of a fan: the median, and the bands of 50, 75, 90 and 95 % that Vensim's users know.
PERCENTILES = (2.5, 5.0, 12.5, 25.0, 50.0, 75.0, 87.5, 95.0, 97.5)


def sample(
    response: Response,
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
        ``values`` with dims run, output, time; ``shares`` (place in the unit cube) and, for a model, ``constants``
        with dims run, parameter. Correlated factors are drawn as they depend on each other.

    Raises
    ------
    InvalidValue
    """
    import xarray as xr
    from scipy.stats import qmc

    check_power_of_two(n, where="sample")
    shares = qmc.LatinHypercube(len(response.names), rng=np.random.default_rng(seed)).random(n)
    if isinstance(response, ModelResponse):
        shares = response.factors.joint(shares)
    scores = response.scores(shares)
    response, at_once = for_design(response, "sample", n), at_a_time(response)
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
    }
    if isinstance(response, ModelResponse):
        data["constants"] = (("run", "parameter"), response.factors.values(scores))
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
