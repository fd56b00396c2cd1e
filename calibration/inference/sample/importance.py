"""Importance weights: smoothed by a Pareto distribution, and what weighted independent points say.

Smoothing is that of arviz-stats. A Pareto distribution cannot be fitted to a tail of equal values, and arviz-stats
refuses it: a prior that is flat has the same log density at each draw, and then every draw weighs the same.

An average with weights that sum to 1 has the variance of the sum of squares of each weight times the distance from the
average (the delta method for a ratio). The *effective size* of a quantity is its variance over that: how many
independent draws of the posterior would know its mean as well. For a quantile it is that of the share below it.

The shape of a Pareto distribution fitted to the tails of a parameter says which moments exist: above 1/2 there is no
variance and above 1 no mean, and at the numbers of draws that are kept a mean is unreliable from 0.7 on already. A
standard error is subtracted first, so that light tails are seldom called heavy.

Source: Vehtari, Simpson, Gelman, Yao and Gabry 2024, Journal of Machine Learning Research 25(72) (smoothing, 0.7, and
the standard error of the shape); Kallioinen, Paananen, Bürkner and Vehtari 2024, Statistics and Computing 34, 57
(power-scaling); Geweke 1989, Econometrica 57, 1317-1339, theorem 2 (error of a weighted average); Owen 2013, Monte
Carlo Theory, Methods and Examples, section 9.3 (effective sizes of each quantity).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from calibration.inference.sample.convergence import LIMITS, QUANTILES, TAILS, Convergence, errors_of, quantile_places
from cipark_sd.base.arrays import Array
from cipark_sd.base.wording import listed

#: Pareto k above which an estimate is not to be trusted.
RELIABLE = 0.7
#: Differences of log densities that are rounding and no information.
ROUNDING = 1e-9
#: Shape above which draws have no variance.
NO_VARIANCE = 0.5


def relative_efficiency(theta: Array) -> float:
    """Effective draws of the means per draw of ``theta : (n_chains, n_draws, k)``, over all parameters.

    What ``az.loo`` takes to see how long a tail dependent draws have.
    """
    from arviz_stats.base import array_stats

    sizes = [array_stats.ess(column, chain_axis=0, draw_axis=1, method="mean") for column in np.moveaxis(theta, -1, 0)]
    return float(np.mean(sizes) / (theta.shape[0] * theta.shape[1]))


def left_out_density(logs: Array, weight: float = 1.0, r_eff: float = 1.0) -> tuple[float, float]:
    """Log predictive density of a term left out, and Pareto k.

    ``p(y | others) = 1 / mean(1 / p(y | theta))`` over draws of the posterior, with the largest ratios smoothed
    (Vehtari et al. 2024).

    Parameters
    ----------
    logs : (n,)
        Log likelihood of the term at posterior draws.
    weight : float
        Of the term in the fit.
    r_eff : float
        The :func:`relative_efficiency` of the draws.

    Returns
    -------
    float, float
        Infinite k says that the tail cannot be judged: several draws share the lowest likelihood, or the term had
        another ``weight`` than 1, so that leaving it out weighs draws otherwise than its density does.
    """
    if np.ptp(logs) < ROUNDING:
        return float(logs.mean()), 0.0
    if weight != 1:
        outside = np.logaddexp.reduce(-weight * logs)
        return float(np.logaddexp.reduce((1 - weight) * logs) - outside), math.inf
    estimates = _fitted_tail(lambda stats: np.array(stats.loo(logs[None, :], r_eff=r_eff), dtype=float))
    if estimates is None:
        return float(np.log(len(logs)) - np.logaddexp.reduce(-logs)), math.inf
    return float(estimates[0]), float(estimates[1])


def left_out_weights(logs: Array, weight: float = 1.0, r_eff: float = 1.0) -> tuple[Array, float]:
    """Weights that bring posterior draws to those without a term, and Pareto k.

    Parameters
    ----------
    logs, weight, r_eff :
        As of :func:`left_out_density`.

    Returns
    -------
    (n,), float
        The weights sum to 1.
    """
    if np.ptp(logs) < ROUNDING:
        return np.full(len(logs), 1 / len(logs)), 0.0
    tail = None
    if weight == 1:
        tail = _fitted_tail(lambda stats: np.append(*stats.psislw(logs, r_eff=r_eff)))
    smooth, pareto_k = (-weight * logs, math.inf) if tail is None else (tail[:-1], float(tail[-1]))
    return _normalised(smooth), pareto_k


def power_weights(logs: Array, power: float) -> Array:
    """Weights that bring draws to a power of a density.

    Parameters
    ----------
    logs : (n,)
        Logarithm of the density at the draws.

    Returns
    -------
    (n,)
        They sum to 1.
    """
    if np.ptp(logs) < ROUNDING:
        return np.full(len(logs), 1 / len(logs))
    tail = _fitted_tail(lambda stats: np.asarray(stats.power_scale_lw(logs, alpha=power), dtype=float))
    return _normalised((power - 1) * logs if tail is None else tail)


def _normalised(logs: Array) -> Array:
    """Exponentials that sum to 1."""
    raw = np.exp(logs - logs.max())
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
        return logs, math.inf
    ratios = log_ratio[usable]
    if np.ptp(ratios) < ROUNDING:
        logs[usable] = -np.log(usable.sum())
        return logs, 0.0
    # it takes the logarithms of what is divided by, as of a term that is left out
    fitted = _fitted_tail(lambda stats: np.append(*stats.psislw(-ratios)))
    smooth, pareto_k = (ratios, math.inf) if fitted is None else (fitted[:-1], float(fitted[-1]))
    logs[usable] = smooth - np.logaddexp.reduce(smooth)
    return logs, pareto_k


def weighted_convergence(names: Sequence[str], values: Array, weights: Array, draws: Array) -> tuple[Convergence, ...]:
    """A line for each quantity, of weighted independent points.

    Parameters
    ----------
    names : sequence of str
        The quantities.
    values : (n, k)
    weights : (n,)
        Summing to 1.
    draws : (n_chains, n_draws, k)
        Drawn from disjoint parts of the points by their weights: R-hat is that of these.
    """
    return tuple(
        _line(name, values[:, i], weights, draws[..., i] if draws.size else np.zeros((2, 2)))
        for i, name in enumerate(names)
    )


def worst_size(values: Array, weights: Array) -> float:
    """The least effective size of a mean or a tail's share over all quantities.

    Parameters
    ----------
    values : (n, k)
    weights : (n,)
        Summing to 1.
    """
    least = math.inf
    for column in values.T:
        ordered, of_ordered, below = _in_order(column, weights)
        least = min(least, _effective(ordered, of_ordered), _tail_size(below, of_ordered))
    return least


def _line(name: str, values: Array, weights: Array, draws: Array) -> Convergence:
    from arviz_stats.base import array_stats
    from scipy import stats

    ordered, of_ordered, below = _in_order(values, weights)
    mean = float(of_ordered @ ordered)
    quantiles = {end: _quantile(ordered, below, share) for end, share in zip(LIMITS, QUANTILES, strict=True)}
    if ordered[0] == ordered[-1]:
        return Convergence(name, mean=mean, sd=0.0, **quantiles)
    sd = float(np.sqrt(of_ordered @ (ordered - mean) ** 2))
    # the share below the middle of each point, as ranks have it
    scores = np.asarray(stats.norm.ppf(np.clip(below - of_ordered / 2, 1e-12, 1 - 1e-12)))
    sizes = [_effective_share(below, of_ordered, share) for share in QUANTILES]
    errors = [_quantile_error(ordered, below, share, size) for share, size in zip(QUANTILES, sizes, strict=True)]
    return Convergence(
        name,
        r_hat=float(array_stats.rhat(draws, chain_axis=0, draw_axis=1, method="rank")),
        ess_bulk=_effective(scores, of_ordered),
        ess_tail=_tail_size(below, of_ordered),
        mean=mean,
        sd=sd,
        **quantiles,
        mcse_mean=sd / float(np.sqrt(_effective(ordered, of_ordered))),
        **errors_of(errors, sizes),
    )


def _in_order(values: Array, weights: Array) -> tuple[Array, Array, Array]:
    """Values ``(n,)`` in ascending order, their weights, and the weight up to each."""
    order = np.argsort(values, kind="stable")
    return values[order], weights[order], np.cumsum(weights[order])


def _tail_size(below: Array, weights: Array) -> float:
    """The lesser effective size of the shares at :data:`TAILS`, for points in ascending order."""
    return min(_effective_share(below, weights, share) for share in TAILS)


def _effective(values: Array, weights: Array) -> float:
    """Effective size of the mean of ``values : (n,)``."""
    away = (values - weights @ values) ** 2
    error = float(weights**2 @ away)
    return float(weights @ away) / error if error > 0 else 0.0


def _effective_share(below: Array, weights: Array, share: float) -> float:
    """Effective size of the share below the quantile at ``share``, for points in ascending order."""
    return _effective((below <= share).astype(float), weights)


def _quantile(ordered: Array, below: Array, share: float) -> float:
    """The smallest point with at least ``share`` of the weight up to it."""
    return float(ordered[min(int(np.searchsorted(below, share)), len(ordered) - 1)])


def _quantile_error(ordered: Array, below: Array, share: float, size: float) -> float:
    """MCSE of a quantile: half the distance of the quantiles one standard error of the share either side."""
    sides = quantile_places(share, size)
    if not np.isfinite(sides).all():
        return math.nan
    return (_quantile(ordered, below, float(sides[1])) - _quantile(ordered, below, float(sides[0]))) / 2


def drawn_apart(weights: Array, n_chains: int, n_draws: int, rng: np.random.Generator) -> Array:
    """Points drawn by weight, each chain from a part of the points of its own.

    Systematic resampling in random order: within its part a point is drawn as often as it should be, to within one.
    Each chain has as many draws, whatever its part weighs: parts of many points, none of which weighs much, weigh
    nearly the same.

    Parameters
    ----------
    weights : (n,)
    n_chains, n_draws : int
        Chains, and draws of each.

    Returns
    -------
    (n_chains, n_draws)
        Places among the points.
    """
    order = rng.permutation(len(weights))
    rows = []
    for part in np.array_split(order, n_chains):
        edges = np.cumsum(weights[part])
        places = (rng.random() + np.arange(n_draws)) / n_draws * edges[-1]
        chosen = part[np.minimum(np.searchsorted(edges, places), len(part) - 1)]
        rows.append(rng.permutation(chosen))
    return np.array(rows)


def tail_shape(draws: Array) -> float:
    """A lower bound, by one standard error, of the shape of the heavier tail of ``draws : (n_chains, n_draws)``."""
    from arviz_stats.base import array_stats

    if np.ptp(draws) == 0:
        return -math.inf
    try:
        shape = float(np.asarray(array_stats.pareto_khat(draws, chain_axis=0, draw_axis=1, r_eff=1.0, tail="both")))
    except ValueError:
        # a tail of equal values ends at a wall
        return -math.inf
    # a fifth of the draws or three times their root is the tail
    points = min(0.2 * draws.size, 3 * math.sqrt(draws.size))
    return shape - (1 + abs(shape)) / math.sqrt(points) if math.isfinite(shape) else -math.inf


def heavy_tails(names: Sequence[str], theta: Array) -> str:
    """Which of the draws' moments do not settle.

    The fitted shape of a tail does not tell a heavy one from a hill far out that few draws have met.

    Parameters
    ----------
    names : sequence of str
        The parameters.
    theta : (n_chains, n_draws, k)
        Their values.

    Returns
    -------
    str
        A sentence; empty where all moments settle.
    """
    shapes = {name: tail_shape(theta[..., i]) for i, name in enumerate(names)}
    without_mean = [name for name, shape in shapes.items() if shape > RELIABLE]
    without_sd = [name for name, shape in shapes.items() if NO_VARIANCE < shape <= RELIABLE]
    clauses = []
    if without_mean:
        clauses.append(f"The mean and the standard deviation of {listed(without_mean)} do not settle")
    if without_sd:
        clauses.append(f"{'the' if clauses else 'The'} standard deviation of {listed(without_sd)} does not settle")
    if not clauses:
        return ""
    return (
        f"{'; '.join(clauses)}: too few draws lie far out, in heavy tails or on a small hill apart. Read medians and "
        "intervals; their ends are rough as well, and may err by more than their Monte Carlo error."
    )
