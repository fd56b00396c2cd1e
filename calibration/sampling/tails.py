"""Tails of a posterior that are too heavy for a mean or a standard deviation of draws to settle.

The shape of a generalized Pareto distribution fitted to both tails says which moments exist: above 1/2 there is no
variance and above 1 no mean, and at the numbers of draws that are kept a mean is unreliable from 0.7 on already. A
standard error is subtracted first, so that light tails are seldom called heavy.

Source: Vehtari, Simpson, Gelman, Yao and Gabry 2024, Journal of Machine Learning Research 25(72) (0.7, and the
standard error of the shape, (1 + k) over the root of the points of the tail).
"""

import math
from collections.abc import Sequence

import numpy as np

from calibration.sampling.importance import RELIABLE
from cipark_sd.arrays import Array
from cipark_sd.wording import listed

#: Shape above which draws have no variance.
NO_VARIANCE = 0.5


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
    """Which of the draws' moments do not settle, in a sentence; empty where all do.

    Parameters
    ----------
    theta : (n_chains, n_draws, k)
        Values of the parameters.
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
    return f"{'; '.join(clauses)}: the tails are too heavy. Read medians and intervals; their ends are rough as well."
