"""What runs that are there already say of single factors: the mean of an output in slices of a factor.

A design of its own for each of many questions would cost millions of runs. Here one sample answers all of them, though
for single effects only: what factors do together is what the indices leave of one.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from cipark_sd.arrays import Array
from cipark_sd.sensitivities.designs import BLOCK, bootstrap_weights

if TYPE_CHECKING:
    import xarray as xr

#: Runs in each of the equally likely slices of a factor, and limits of their number. With s slices a straight line
#: loses 1 / s^2 of its share, a wave with s / 8 crests 5 %.
RUNS, FEWEST, MOST = 64, 4, 64
_Z95 = 1.959963984540054
#: A variance under this share of the squared size of the values is rounding.
_ROUNDING = 1e-18


def single_effects(drawn: "xr.Dataset", *, seed: int, resamples: int = 100) -> "xr.Dataset":
    """First-order indices of a sample, by the correlation ratio with the adjustment for the number of slices.

    The adjustment takes away what slices of a factor that does nothing would explain by chance, so an index of such a
    factor lies around zero and may be below.

    Source: Pearson 1905 for the ratio; Kelley 1935, Proceedings of the National Academy of Sciences 21, for the
    adjustment; the bootstrap is that of :func:`cipark_sd.sensitivities.designs.bootstrap_weights`.

    Parameters
    ----------
    drawn : Dataset
        As :func:`cipark_sd.sensitivities.sample.sample` gives it; runs without a value are left out.

    Returns
    -------
    xarray.Dataset
        ``S1`` and ``S1_conf`` (half the 95 % interval) with dims parameter, output, time; ``variance`` and ``n_failed``
        with dims output, time. NaN where the variance is negligible.
    """
    import xarray as xr

    values = drawn["values"].to_numpy()
    cube = values.shape[1:]
    effects, variance = _ratios(values.reshape(len(values), -1), drawn["shares"].to_numpy(), seed, resamples)
    k = effects.shape[0]
    dims = ("parameter", "output", "time")
    data: dict[str, Any] = {
        "S1": (dims, effects[:, 0].reshape(k, *cube), {"long_name": "first-order index"}),
        "S1_conf": (dims, (_Z95 * effects[:, 1:].std(axis=1, ddof=1)).reshape(k, *cube)),
        "variance": (("output", "time"), variance.reshape(cube)),
        "n_failed": (("output", "time"), (~np.isfinite(values)).sum(axis=0)),
    }
    coords = {name: drawn[name] for name in ("parameter", "output", "units", "time")}
    return xr.Dataset(data, coords=coords, attrs={"format": "cipark_sd single effects 1", "seed": seed})


def pooled_effects(flags: Array, shares: Array, *, seed: int, resamples: int = 100) -> tuple[Array, Array]:
    """How much of which of several things is the case each factor explains: indices ``(k,)`` and half intervals.

    Parameters
    ----------
    flags : (n_runs, n_things)
        Shares that add up to one in each run.

    Source: Gamboa, Janon, Klein and Lagnoux 2014, Electronic Journal of Statistics 8, for an index of several outputs
    together: the sum of what is explained over the sum of the variances.
    """
    between, whole = _parts(flags, shares, seed, resamples)
    effects = between.sum(axis=-1) / np.where(whole.sum(axis=-1) > 0, whole.sum(axis=-1), np.nan)
    return effects[:, 0], _Z95 * effects[:, 1:].std(axis=1, ddof=1)


def _ratios(values: Array, shares: Array, seed: int, resamples: int) -> tuple[Array, Array]:
    """Indices ``(k, R + 1, C)`` of columns ``(n, C)``, and their variances ``(C,)``."""
    between, whole = _parts(values, shares, seed, resamples)
    spread = np.nan_to_num(np.abs(values)).max(axis=0)
    known = whole > _ROUNDING * spread**2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(known, between / whole, np.nan), whole[0]


def _parts(values: Array, shares: Array, seed: int, resamples: int) -> tuple[Array, Array]:
    """Variance of the means of slices, adjusted ``(k, R + 1, C)``, and of all runs ``(R + 1, C)``."""
    n, k = shares.shape
    slices = min(max(n // RUNS, FEWEST), MOST)
    weights = np.concatenate(
        [bootstrap_weights(seed, first, min(BLOCK, n - first), resamples) for first in range(0, n, BLOCK)], axis=1
    )
    finite = np.isfinite(values)
    centre = np.where(finite, values, 0.0).sum(axis=0) / np.maximum(finite.sum(axis=0), 1)
    y = np.where(finite, values - centre, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        count = weights @ finite
        mean = (weights @ y) / count
        whole = (weights @ y**2) / count - mean**2
        between = np.empty((k, *whole.shape))
        for i in range(k):
            between[i] = _between(y, finite, np.argsort(shares[:, i], kind="stable"), weights, mean, slices)
        # distinct runs, not weights: drawing a run twice tells no more
        distinct = np.maximum(finite.sum(axis=0), slices + 1)
        inside = whole - between
        return whole - inside * (distinct - 1) / (distinct - slices), whole


def _between(y: Array, finite: Any, order: Any, weights: Array, mean: Array, slices: int) -> Array:
    """Weighted variance of the means of a factor's slices, ``(R + 1, C)``."""
    count, squares = np.zeros(mean.shape), np.zeros(mean.shape)
    for part in np.array_split(order, slices):
        sums = weights[:, part] @ finite[part]
        with np.errstate(invalid="ignore", divide="ignore"):
            apart = np.where(sums > 0, (weights[:, part] @ y[part]) / sums - mean, 0.0)
        count += sums
        squares += sums * apart**2
    return np.asarray(squares / count)
