"""A Monte Carlo sample that is kept run by run, and what is read off it: fans by percentile, PAWN."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cipark_sd.arrays import Array
from cipark_sd.sensitivities.designs import check_power_of_two
from cipark_sd.sensitivities.response import ModelResponse, Response, at_a_time, coordinates, for_design

if TYPE_CHECKING:
    import xarray as xr

#: Percentiles of a fan: the median, and the bands of 50, 75, 90 and 95 % that Vensim's users know.
PERCENTILES = (2.5, 5.0, 12.5, 25.0, 50.0, 75.0, 87.5, 95.0, 97.5)
#: Dummies whose indices say what PAWN finds where there is nothing.
_DUMMIES = 20


def sample(
    response: Response,
    *,
    n: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
    label: str = "sample",
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
    response, at_once = for_design(response, label, n), at_a_time(response)
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


def pawn(drawn: "xr.Dataset", *, seed: int, slices: int = 10) -> "xr.Dataset":
    """PAWN indices of a sample: how far the distribution of an output moves as one factor is held in a slice.

    The Kolmogorov-Smirnov distance between the output in each of ``slices`` equally likely slices of a factor and the
    output over all runs. It looks at the whole distribution, so it is a second opinion where a variance says little.
    Factors that have nothing to do with the model give what a real one has to exceed.

    Source: Pianosi and Wagener 2018, Environmental Modelling and Software 108; the dummy after Khorashadi Zadeh et al.
    2017.

    Returns
    -------
    xarray.Dataset
        ``median``, ``mean`` and ``maximum`` over the slices with dims parameter, output, time; ``dummy`` (output,
        time), the 95th percentile of the median over dummies.
    """
    import xarray as xr

    values = drawn["values"].to_numpy()
    shares = drawn["shares"].to_numpy()
    n, k = shares.shape
    rng = np.random.default_rng(seed)
    dummies = np.argsort(rng.random((_DUMMIES, n)), axis=1).T / n
    labels = np.minimum((_uniform(np.concatenate([shares, dummies], axis=1)) * slices).astype(int), slices - 1)
    columns = values.reshape(n, -1)
    distances = np.full((k + _DUMMIES, slices, columns.shape[1]), np.nan)
    for column, course in enumerate(columns.T):
        finite = np.isfinite(course)
        if finite.sum() >= 2 * slices and np.ptp(course[finite]) > 1e-9 * np.abs(course[finite]).max():
            distances[:, :, column] = _distances(course[finite], labels[finite], slices)
    cube = values.shape[1:]
    dims = ("parameter", "output", "time")
    of_inputs = distances[:k]
    over_slices = {
        "median": np.median(of_inputs, axis=1),
        "mean": of_inputs.mean(axis=1),
        "maximum": of_inputs.max(axis=1),
    }
    data: dict[str, Any] = {name: (dims, array.reshape(k, *cube)) for name, array in over_slices.items()}
    data["dummy"] = (("output", "time"), np.percentile(np.median(distances[k:], axis=1), 95, axis=0).reshape(cube))
    coords = {name: drawn[name] for name in ("parameter", "output", "units", "time")}
    return xr.Dataset(data, coords=coords, attrs={"format": "cipark_sd pawn 1", "slices": slices, "seed": seed})


def _uniform(shares: Array) -> Array:
    """Ranks as shares, so that slices are equally full."""
    return np.asarray(np.argsort(np.argsort(shares, axis=0, kind="stable"), axis=0, kind="stable") / len(shares))


def _distances(course: Array, labels: Any, slices: int) -> Array:
    """Kolmogorov-Smirnov distances ``(n_factors, slices)`` of one output's slices from all of it."""
    order = np.argsort(course, kind="stable")
    ordered = course[order]
    last = np.append(ordered[1:] != ordered[:-1], True)  # a step of both distributions is complete after its ties
    together = (np.flatnonzero(last) + 1) / len(course)
    sliced = labels[order]
    distances = np.zeros((labels.shape[1], slices))
    for part in range(slices):
        inside = np.cumsum(sliced == part, axis=0, dtype=np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            conditional = inside[last] / inside[-1]
        distances[:, part] = np.abs(conditional - together[:, None]).max(axis=0)
    return distances
