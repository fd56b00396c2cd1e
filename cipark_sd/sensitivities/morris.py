"""Morris screening over time: which factors matter at all, at a cost of k + 1 runs for each trajectory."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cipark_sd.arrays import Array
from cipark_sd.errors import InvalidValue
from cipark_sd.sensitivities.designs import morris_points
from cipark_sd.sensitivities.response import Response, at_a_time, coordinates, for_design

if TYPE_CHECKING:
    import xarray as xr

_Z95 = 1.959963984540054


def morris(
    response: Response,
    *,
    trajectories: int,
    seed: int,
    levels: Sequence[int] = (4, 6),
    resamples: int = 200,
    progress: Callable[[int, int], None] | None = None,
) -> "xr.Dataset":
    """Elementary effects: change of an output per unit of the cube as one factor moves by more than half of it.

    Each count of levels has a grid and a step of its own, ``levels / (2 (levels - 1))``.

    Parameters
    ----------
    trajectories : int
        For each count of levels.
    levels : sequence of int
        Even counts; a second one, whose grid and step are others, shows whether they make the result.

    Returns
    -------
    xarray.Dataset
        Dims ``levels``, ``parameter``, ``output``, ``time``: ``mu`` (mean effect), ``mu_star`` (mean absolute effect),
        ``mu_star_conf`` (half its 95 % bootstrap interval), ``sigma`` (standard deviation), and ``n_failed`` (effects
        without a value), ``rank_agreement`` (output, time: the lowest rank correlation of mu_star between counts).

    Source: Morris 1991, Technometrics 33; Campolongo, Cariboni and Saltelli 2007 for ``mu_star``.

    Raises
    ------
    InvalidValue
    """
    import xarray as xr

    if trajectories < 2:
        raise InvalidValue("the trajectories", trajectories, "at least 2", where="morris")
    for count in levels:
        if count < 2 or count % 2:
            raise InvalidValue("the levels", count, "an even number from 2 on", where="morris")
    planned, completed = len(levels) * trajectories * (len(response.names) + 1), 0
    parts: dict[str, list[Array]] = {name: [] for name in ("mu", "mu_star", "mu_star_conf", "sigma", "n_failed")}
    for count in levels:

        def counted(runs: int, before: int = completed) -> None:
            if progress is not None:
                progress(before + runs, planned)

        effects = elementary_effects(response, trajectories, count, seed, counted)
        completed += trajectories * (len(response.names) + 1)
        moments = _moments(effects, seed, resamples)
        for name, array in moments.items():
            parts[name].append(array)
    dims = ("levels", "parameter", "output", "time")
    data: dict[str, Any] = {name: (dims, np.array(arrays)) for name, arrays in parts.items()}
    data["n_failed"] = (dims, np.array(parts["n_failed"]).astype(np.int64))
    data["rank_agreement"] = (("output", "time"), rank_agreement(np.array(parts["mu_star"])))
    coords = {"levels": list(levels)} | coordinates(response)
    attributes = {"format": "cipark_sd morris 1", "seed": seed, "trajectories": trajectories, "runs": planned}
    return xr.Dataset(data, coords=coords, attrs=attributes)


def elementary_effects(
    response: Response, trajectories: int, levels: int, seed: int, progress: Callable[[int], None] | None = None
) -> Array:
    """``(trajectories, k, n_outputs, n_times)``; NaN where one of the two runs failed."""
    k = len(response.names)
    effects = np.full((trajectories, k, len(response.outputs), len(response.times)), np.nan)
    margins = _margins(response, levels)
    at_once = max(1, at_a_time(response) // (k + 1))
    response = for_design(response, f"morris with {levels} levels", trajectories * (k + 1))
    for first in range(0, trajectories, at_once):
        numbers = range(first, min(first + at_once, trajectories))
        planned = [morris_points(k, levels, number, seed, margins) for number in numbers]
        shares = np.concatenate([points for points, _, _ in planned])
        rows = np.repeat(np.array(numbers, dtype=np.uint64), k + 1)
        values = response(response.scores(shares), rows).reshape(len(planned), k + 1, *effects.shape[2:])
        for number, (_, order, moves), values_of_trajectory in zip(numbers, planned, values, strict=True):
            effects[number, order] = np.diff(values_of_trajectory, axis=0) / moves[:, None, None]
        if progress is not None:
            progress((numbers[-1] + 1) * (k + 1))
    return effects


def _margins(response: Response, levels: int) -> Array:
    """How far each factor's grid keeps from the ends of its distribution: ``(k,)``, 0 where both ends are near.

    An end is near when it is finite and no further from the quantile beside it than a bounded distribution's: four
    times as far as the next one (a triangular distribution's is 2.4 times, an unbounded one's far more).
    """
    beside = 1 / 64
    shares = np.array([0.0, beside, 2 * beside, 1 - 2 * beside, 1 - beside, 1.0])
    with np.errstate(all="ignore"):
        scores = response.scores(np.repeat(shares[:, None], len(response.names), axis=1))
        gaps = np.abs(np.diff(scores, axis=0))
        near = np.isfinite(scores[[0, -1]]).all(axis=0) & (gaps[0] <= 4 * gaps[1]) & (gaps[-1] <= 4 * gaps[-2])
    return np.where(near, 0.0, 1 / (4 * levels))


def _moments(effects: Array, seed: int, resamples: int) -> dict[str, Array]:
    n = len(effects)
    finite = np.isfinite(effects)
    count = finite.sum(axis=0)
    values = np.where(finite, effects, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mu = values.sum(axis=0) / count
        spread = np.where(finite, effects - mu, 0.0)
        sigma = np.sqrt((spread**2).sum(axis=0) / np.where(count > 1, count - 1, np.nan))
        weights = np.random.default_rng([seed, n]).multinomial(n, np.full(n, 1 / n), size=resamples).astype(float)
        flat, whole = np.abs(values).reshape(n, -1), finite.reshape(n, -1).astype(float)
        means = (weights @ flat) / (weights @ whole)
        return {
            "mu": mu,
            "mu_star": np.abs(values).sum(axis=0) / count,
            "mu_star_conf": _Z95 * means.std(axis=0, ddof=1).reshape(mu.shape),
            "sigma": sigma,
            "n_failed": n - count,
        }


def rank_agreement(importance: Array) -> Array:
    """The lowest Spearman correlation between the first and each other ranking; ``(n, k, …)`` to ``(…)``.

    A factor without a value in one of them is in none. NaN where there is one ranking only, or nothing to rank.
    """
    from scipy.stats import rankdata

    if len(importance) < 2:
        return np.full(importance.shape[2:], np.nan)
    known = np.isfinite(importance).all(axis=0)
    ranks = rankdata(np.where(known, importance, np.nan), axis=1, nan_policy="omit")
    ranks = np.where(
        known, ranks - np.where(known, ranks, 0.0).sum(axis=1, keepdims=True) / np.maximum(known.sum(axis=0), 1), 0.0
    )
    norms = np.sqrt((ranks**2).sum(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(((ranks[:1] * ranks[1:]).sum(axis=1) / (norms[:1] * norms[1:])).min(axis=0))
