"""What partially pooled groups have: their values, how far they are pulled together, and what a new group may have."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.sampling.draws import PosteriorDraws
from calibration.study.groups import Pool
from calibration.study.priors import to_scale
from cipark_sd.arrays import Array

#: Names of the lines that are of no group of the study.
TYPICAL, NEW = "the typical group", "a new group"
#: What is told of draws: median, central half and 95 %.
QUANTILES = (0.025, 0.25, 0.5, 0.75, 0.975)


@dataclass(frozen=True, slots=True)
class GroupValue:
    """A parameter in one group.

    ``quantiles`` are :data:`QUANTILES` of the draws. ``shrinkage`` is the part of a group's departure from the typical
    one that pooling takes away: 0 where the group's own data decide, 1 where only the others do; NaN for the lines
    that are of no group. ``fitted`` is the number of fitted terms of the group.
    """

    parameter: str
    group: str
    quantiles: tuple[float, ...]
    shrinkage: float
    fitted: int


def group_values(drawn: PosteriorDraws, rng: np.random.Generator) -> list[GroupValue]:
    """A line for each pooled parameter and group, the typical group before and a new one after them."""
    problem, theta = drawn.density.problem, drawn.flat
    lines: list[GroupValue] = []
    for pool in problem.pools:
        names = problem.space.names
        typical = theta[:, names.index(pool.typical.name)]
        of_new = pool.at(problem.space, theta, rng.standard_normal((len(theta), 1)))[:, 0]
        lines.append(GroupValue(pool.name, TYPICAL, _quantiles(typical), np.nan, len(problem.fitted_terms)))
        values = pool.values(problem.space, theta)
        for column, group, shrunk in zip(values.T, pool.groups, shrinkage(pool, theta, names), strict=True):
            lines.append(GroupValue(pool.name, group, _quantiles(column), shrunk, problem.n_fitted(group)))
        lines.append(GroupValue(pool.name, NEW, _quantiles(of_new), np.nan, 0))
    return lines


def _quantiles(values: Array) -> tuple[float, ...]:
    return tuple(np.quantile(values, QUANTILES).tolist())


def shrinkage(pool: Pool, theta: Array, names: Sequence[str]) -> list[float]:
    """The variance that is left in each deviation where the typical value and the sd between groups are known.

    With normal data ``y`` of variance ``s**2`` and an sd ``t`` between groups this is ``s**2 / (s**2 + t**2)``, the
    weight of the typical group in a group's estimate (Gelman and others 2013, Bayesian Data Analysis, section 5.4).
    A deviation has then the mean ``(y - typical) t / (s**2 + t**2)``; what is left is its variance around a regression
    on ``t / (c**2 + t**2)``, for ``c`` of 0 and one and four medians of ``t``, alone and times ``typical``.
    """
    typical = to_scale(theta[:, names.index(pool.typical.name)], pool.scale)
    size = theta[:, names.index(pool.size.name)]
    pulls = [size / (c**2 + size**2) for c in np.array([0.0, 1.0, 4.0]) * np.median(size)]
    known = np.column_stack([np.ones(len(theta)), *(pull * by for pull in pulls for by in (1.0, typical))])
    known /= np.abs(known).max(axis=0)
    deviations = theta[:, [names.index(deviation.name) for deviation in pool.innovations]]
    left = deviations - known @ np.linalg.lstsq(known, deviations, rcond=None)[0]
    return [float(variance) for variance in np.clip(left.var(axis=0), 0.0, 1.0)]
