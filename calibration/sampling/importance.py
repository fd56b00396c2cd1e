"""Importance sampling with Pareto-smoothed weights, from arviz-stats, for log densities that may be flat.

A Pareto distribution cannot be fitted to a tail of equal values, and arviz-stats refuses it. A prior that is flat has
the same log density at each draw, and so has a number that no parameter moves: then every draw weighs the same, and
there is nothing to smooth.

Source: Vehtari, Simpson, Gelman, Yao and Gabry 2024, Journal of Machine Learning Research 25(72) (smoothing);
Kallioinen, Paananen, Bürkner and Vehtari 2024, Statistics and Computing 34, 57 (power-scaling).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from cipark_sd.arrays import Array

#: Pareto k above which an estimate is not to be trusted.
RELIABLE = 0.7
#: Differences of log densities that are rounding and no information.
ROUNDING = 1e-9


def relative_efficiency(theta: Array) -> float:
    """Effective draws of the means per draw of ``theta : (n_chains, n_draws, k)``, over all parameters.

    What ``az.loo`` takes to see how long a tail dependent draws have.
    """
    from arviz_stats.base import array_stats

    sizes = [array_stats.ess(column, chain_axis=0, draw_axis=1, method="mean") for column in np.moveaxis(theta, -1, 0)]
    return float(np.mean(sizes) / (theta.shape[0] * theta.shape[1]))


def left_out_density(logs: Array, weight: float = 1.0, r_eff: float = 1.0) -> tuple[float, float]:
    """Log predictive density of a term left out, and Pareto k, from its log likelihood ``(n,)`` at posterior draws.

    ``r_eff`` is the :func:`relative_efficiency` of the draws.
    Infinite k says that the tail cannot be judged: several draws share the lowest likelihood, or the term had another
    ``weight`` than 1 in the fit, so that leaving it out weighs draws otherwise than its density does.
    """
    if np.ptp(logs) < ROUNDING:
        return float(logs.mean()), 0.0
    if weight != 1:
        outside = np.logaddexp.reduce(-weight * logs)
        return float(np.logaddexp.reduce((1 - weight) * logs) - outside), float("inf")
    estimates = _fitted_tail(lambda stats: np.array(stats.loo(logs[None, :], r_eff=r_eff), dtype=float))
    if estimates is None:
        return float(np.log(len(logs)) - np.logaddexp.reduce(-logs)), float("inf")
    elpd, pareto_k, _ = estimates
    return float(elpd), float(pareto_k)


def left_out_weights(logs: Array, weight: float = 1.0, r_eff: float = 1.0) -> tuple[Array, float]:
    """Weights ``(n,)`` that bring posterior draws to those without a term, summing to 1, and Pareto k.

    As of :func:`left_out_density`.
    """
    if np.ptp(logs) < ROUNDING:
        return np.full(len(logs), 1 / len(logs)), 0.0
    tail = None
    if weight == 1:
        tail = _fitted_tail(lambda stats: np.append(*stats.psislw(logs, r_eff=r_eff)))
    smooth, pareto_k = (-weight * logs, float("inf")) if tail is None else (tail[:-1], float(tail[-1]))
    raw = np.exp(smooth - smooth.max())
    return np.asarray(raw / raw.sum()), pareto_k


def power_weights(logs: Array, power: float) -> Array:
    """Weights ``(n,)`` that bring draws to a power of the density whose logarithm is ``logs : (n,)``; they sum to 1."""
    if np.ptp(logs) < ROUNDING:
        return np.full(len(logs), 1 / len(logs))
    tail = _fitted_tail(lambda stats: np.asarray(stats.power_scale_lw(logs, alpha=power), dtype=float))
    smooth = (power - 1) * logs if tail is None else tail
    raw = np.exp(smooth - smooth.max())
    return np.asarray(raw / raw.sum())


def _fitted_tail(compute: Callable[[Any], Array]) -> Array | None:
    """What ``compute`` makes with arviz-stats; None where a tail of equal values has no Pareto distribution."""
    from arviz_stats.base import array_stats

    try:
        with np.errstate(divide="ignore", invalid="ignore"):
            tail = compute(array_stats)
    except ValueError:
        return None
    return tail if np.isfinite(tail).all() else None


def smoothed(log_ratio: Array) -> tuple[Array, float]:
    """Log weights ``(n,)`` with a smoothed tail, exponentials summing to 1, and Pareto k; minus infinity stays so.

    Infinite k where the tail has no Pareto distribution though the weights differ.
    """
    usable = np.isfinite(log_ratio)
    logs = np.full(len(log_ratio), -np.inf)
    if not usable.any():
        return logs, float("inf")
    ratios = log_ratio[usable]
    if np.ptp(ratios) < ROUNDING:
        logs[usable] = -np.log(usable.sum())
        return logs, 0.0
    # it takes the logarithms of what is divided by, as of a term that is left out
    fitted = _fitted_tail(lambda stats: np.append(*stats.psislw(-ratios)))
    smooth, pareto_k = (ratios, float("inf")) if fitted is None else (fitted[:-1], float(fitted[-1]))
    logs[usable] = smooth - np.logaddexp.reduce(smooth)
    return logs, pareto_k
