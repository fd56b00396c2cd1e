"""Runs at draws: those of a fit as they are, or a sample of independent factors."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from cipark_sd.analysis.sensitivities.factors import Factors
from cipark_sd.analysis.sensitivities.response import ModelResponse, check_power_of_two, coordinates
from cipark_sd.base.arrays import Array

if TYPE_CHECKING:
    import xarray as xr

#: Called with the runs done and the runs planned.
Progress = Callable[[int, int], None]


def hypercube(factors: Factors, n: int, seed: int) -> Array:
    """Values of independent factors at the points of a Latin hypercube ``(n, k)``.

    Not at those of Sobol's sequence: with dozens of factors some pairs of its coordinates are far from filling their
    square at this number of points, and what is read off slices of one factor would be partly due to another.

    Source: McKay, Beckman and Conover 1979, Technometrics 21.

    Returns
    -------
    (n, k)
    """
    from scipy.stats import qmc

    return factors.from_unit(qmc.LatinHypercube(len(factors), rng=np.random.default_rng(seed)).random(n))


def sample(response: ModelResponse, *, n: int, seed: int, progress: Progress | None = None) -> "xr.Dataset":
    """Runs over the factors' distributions.

    Parameters
    ----------
    n : int
        Runs, a power of two.

    Returns
    -------
    xarray.Dataset
        As of :func:`at_draws`.

    Raises
    ------
    InvalidValue
    """
    check_power_of_two(n, where="sample")
    return at_draws(response, hypercube(response.factors, n, seed), seed=seed, progress=progress)


def at_draws(
    response: ModelResponse, draws: Array, *, seed: int, design: str = "sample", progress: Progress | None = None
) -> "xr.Dataset":
    """A run at each draw.

    Parameters
    ----------
    draws : (n, k)
        Values of its constants, however they depend on each other.
    seed : int
        That the draws come from, for the record.
    design : str
        By which failed runs are told.

    Returns
    -------
    xarray.Dataset
        ``values`` with dims run, output, time; ``constants`` with dims run, parameter; ``n_failed`` (output, time).
    """
    import xarray as xr

    n, at_once = len(draws), response.at_a_time
    response = response.for_design(design, n)
    values = np.empty((n, len(response.outputs), len(response.times)))
    for start in range(0, n, at_once):
        part = slice(start, min(n, start + at_once))
        values[part] = response.at_values(draws[part], np.arange(part.start, part.stop, dtype=np.uint64))
        if progress is not None:
            progress(part.stop, n)
    data: dict[str, Any] = {
        "values": (("run", "output", "time"), values),
        "n_failed": (("output", "time"), (~np.isfinite(values)).sum(axis=0)),
        "constants": (("run", "parameter"), draws),
    }
    attributes = {"format": "cipark_sd sample 2", "seed": seed, "runs": n}
    return xr.Dataset(data, coords=coordinates(response), attrs=attributes)
