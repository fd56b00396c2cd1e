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

from calibration.study.priors import Array

#: Differences of log densities that are rounding and no information.
ROUNDING = 1e-9


def left_out_density(logs: Array, weight: float = 1.0, efficiency: float = 1.0) -> tuple[float, float]:
    """Log predictive density of a term left out, and Pareto k, from its log likelihood ``(n,)`` at posterior draws.

    Infinite k says that the tail cannot be judged: several draws share the lowest likelihood, or the term had another
    ``weight`` than 1 in the fit, so that leaving it out weighs draws otherwise than its density does. ``efficiency`` is
    the share of the draws that they are worth: the fewer, the more of the tail is smoothed.
    """
    if np.ptp(logs) < ROUNDING:
        return float(logs.mean()), 0.0
    if weight != 1:
        outside = np.logaddexp.reduce(-weight * logs)
        return float(np.logaddexp.reduce((1 - weight) * logs) - outside), float("inf")
    found = _fitted_tail(lambda stats: np.array(stats.loo(logs[None, :], r_eff=efficiency), dtype=float))
    if found is None:
        return float(np.log(len(logs)) - np.logaddexp.reduce(-logs)), float("inf")
    elpd, pareto_k, _ = found
    return float(elpd), float(pareto_k)


def power_weights(logs: Array, power: float) -> Array:
    """Weights ``(n,)`` that bring draws to a power of the density whose logarithm is ``logs : (n,)``; they sum to 1."""
    if np.ptp(logs) < ROUNDING:
        return np.full(len(logs), 1 / len(logs))
    found = _fitted_tail(lambda stats: np.asarray(stats.power_scale_lw(logs, alpha=power), dtype=float))
    smooth = (power - 1) * logs if found is None else found
    raw = np.exp(smooth - smooth.max())
    return np.asarray(raw / raw.sum())


def _fitted_tail(compute: Callable[[Any], Array]) -> Array | None:
    """What ``compute`` makes with arviz-stats; None where a tail of equal values has no Pareto distribution."""
    from arviz_stats.base import array_stats

    try:
        with np.errstate(divide="ignore", invalid="ignore"):
            found = compute(array_stats)
    except ValueError:
        return None
    return found if np.isfinite(found).all() else None
