"""What weighted independent points say of each parameter, and how well they know it.

An average with weights that sum to 1 has the variance of the sum of squares of each weight times the distance from the
average (the delta method for a ratio). The *effective size* of a quantity is its variance over that: how many
independent draws of the posterior would know its mean as well. For a quantile it is that of the share below it.

Source: Geweke 1989, Econometrica 57, 1317-1339, theorem 2 (error of a weighted average); Owen 2013, Monte Carlo Theory,
Methods and Examples, section 9.3 (effective sizes of each quantity).
"""

from collections.abc import Sequence

import numpy as np

from calibration.sampling.convergence import QUANTILES, Convergence, normal_error, quantile_places
from cipark_sd.arrays import Array

#: The quantiles whose shares make the effective size of the tails.
TAILS = (0.05, 0.95)


def weighted_convergence(names: Sequence[str], values: Array, weights: Array, draws: Array) -> tuple[Convergence, ...]:
    """A line for each quantity.

    Parameters
    ----------
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
    """The least effective size of a mean or a tail's share over the columns of ``values : (n, k)``."""
    least = float("inf")
    for column in values.T:
        order = np.argsort(column, kind="stable")
        ordered, of_ordered = column[order], weights[order]
        below = np.cumsum(of_ordered)
        sizes = [_effective(ordered, of_ordered)]
        sizes += [_effective_share(below, of_ordered, share) for share in TAILS]
        least = min(least, *sizes)
    return least


def _line(name: str, values: Array, weights: Array, draws: Array) -> Convergence:
    from arviz_stats.base import array_stats
    from scipy import stats

    order = np.argsort(values, kind="stable")
    ordered, of_ordered = values[order], weights[order]
    below = np.cumsum(of_ordered)
    mean = float(of_ordered @ ordered)
    sd = float(np.sqrt(of_ordered @ (ordered - mean) ** 2))
    low, median, high = (float(_quantile(ordered, below, share)) for share in QUANTILES)
    if ordered[0] == ordered[-1]:
        none = float("nan")
        return Convergence(name, none, none, none, mean, 0.0, low, median, high, none, none, none, none, none)
    # the share below the middle of each point, as ranks have it
    scores = np.asarray(stats.norm.ppf(np.clip(below - of_ordered / 2, 1e-12, 1 - 1e-12)))
    sizes = [_effective_share(below, of_ordered, share) for share in QUANTILES]
    of_low, of_median, of_high = (
        _quantile_error(ordered, below, share, size) for share, size in zip(QUANTILES, sizes, strict=True)
    )
    return Convergence(
        name,
        float(array_stats.rhat(draws, chain_axis=0, draw_axis=1, method="rank")),
        _effective(scores, of_ordered),
        min(_effective_share(below, of_ordered, share) for share in TAILS),
        mean,
        sd,
        low,
        median,
        high,
        sd / float(np.sqrt(_effective(ordered, of_ordered))),
        of_low,
        of_median,
        of_high,
        max(normal_error(QUANTILES[i], sizes[i]) for i in (0, 2)),
    )


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
        return float("nan")
    return (_quantile(ordered, below, float(sides[1])) - _quantile(ordered, below, float(sides[0]))) / 2


def drawn_apart(weights: Array, n_chains: int, n_draws: int, rng: np.random.Generator) -> Array:
    """Places ``(n_chains, n_draws)`` of points, each chain drawn by weight from a part of the points of its own.

    Systematic resampling in random order: a point is drawn as often as it should be, to within one.
    """
    order = rng.permutation(len(weights))
    rows = []
    for part in np.array_split(order, n_chains):
        edges = np.cumsum(weights[part])
        places = (rng.random() + np.arange(n_draws)) / n_draws * edges[-1]
        chosen = part[np.minimum(np.searchsorted(edges, places), len(part) - 1)]
        rows.append(rng.permutation(chosen))
    return np.array(rows)
