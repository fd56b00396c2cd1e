"""What the data added to the priors: contraction, and what the posterior does when prior or data weigh more.

All is computed on each parameter's own scale, so that it depends on no choice of units, and the power of a prior is
that of its density there. Partially pooled groups have values of their own beside: how far they are pulled together,
and what a new group may have.

Source: Schad, Betancourt and Vasishth 2021, Psychological Methods 26(1), 103-126 (contraction); Kallioinen, Paananen,
Bürkner and Vehtari 2024, Statistics and Computing 34, 57 (power-scaling: cumulative Jensen-Shannon distance per
doubling of the weight, and the threshold of 0.05).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calibration.inference.sample.draws import PosteriorDraws
from calibration.inference.sample.importance import power_weights
from calibration.noise.priors import Scale, from_scale, to_scale
from calibration.study.groups import Pool
from calibration.study.parameters import ParameterSpace, is_placeholder
from cipark_sd.base.arrays import Array
from cipark_sd.statements.claims import Kind, class_of

#: Power-scaling sensitivity above which a posterior moves, by Kallioinen et al.
SENSITIVE = 0.05
#: Exponents around 1 between which the sensitivity is taken, as in the paper's own software.
POWERS = (1 / 1.01, 1.01)
#: Widths of placeholders, as shares of their own, between which the move of quantiles is taken: weights that bring
#: draws of a prior there have a Pareto k of 0.2, and quantiles move by more than their errors. What is told of a
#: parameter: median and central 90%.
WIDTHS, ENDS = (0.9, 1.1), (0.05, 0.5, 0.95)
#: Names of the lines that are of no group of the study.
TYPICAL, NEW = "the typical group", "a new group"
#: What is told of draws: median, central half and 95%.
QUANTILES = (0.025, 0.25, 0.5, 0.75, 0.975)
#: The same as columns of :func:`group_values`.
COLUMNS = [f"q{100 * q:g}" for q in QUANTILES]


@dataclass(frozen=True, slots=True)
class Contraction:
    """One parameter before and after the data.

    Parameters
    ----------
    contraction : float
        One less the ratio of posterior to prior variance; 0 where nothing was learnt, negative where the data widen.
    to_prior, to_data : float
        Power-scaling sensitivity to all priors together and to the likelihood.
    kind : Kind
        Its class: informed where the draws leave little of its prior's interval, on its own scale.
    wide_low, wide_median, wide_high : float
        About where median and central 90% of its draws would lie if priors that are placeholders were twice as wide;
        NaN where these move it by no more than :data:`SENSITIVE`.
    """

    name: str
    contraction: float
    to_prior: float
    to_data: float
    kind: Kind
    wide_low: float = math.nan
    wide_median: float = math.nan
    wide_high: float = math.nan

    @property
    def on_placeholders(self) -> bool:
        """Whether it moves with priors that only say what stands in the model file."""
        return not math.isnan(self.wide_median)

    @property
    def verdict(self) -> str:
        """In words."""
        words = "narrowed" if self.kind == "informed" else "not narrowed"
        return f"{words}, and the prior matters" if self.to_prior > SENSITIVE else words


def contractions(drawn: PosteriorDraws) -> list[Contraction]:
    """A line for each parameter, in order."""
    density = drawn.density
    theta = drawn.flat
    prior = density.space.log_prior_scaled(theta)
    likelihood = density.log_likelihood(theta)
    # importance weights (2, n) that bring the draws to both powers of either density
    weights = [np.array([power_weights(logs, power) for power in POWERS]) for logs in (prior, likelihood)]
    by_placeholders = _by_placeholders(density.space, theta)
    grid = (np.arange(2000) + 0.5) / 2000
    lines = []
    for i, parameter in enumerate(density.space):
        values = to_scale(theta[:, i], parameter.scale)
        before = to_scale(parameter.distribution.quantile(grid), parameter.scale)
        to_prior, to_data = (_power_sensitivity(values, column) for column in weights)
        lines.append(
            Contraction(
                name=parameter.name,
                contraction=float(1 - values.var() / before.var()),
                to_prior=to_prior,
                to_data=to_data,
                kind=class_of([(before, values)]),
                **_widened(parameter.scale, values, by_placeholders),
            )
        )
    return lines


def _by_placeholders(space: ParameterSpace, theta: Array) -> tuple[Array, Array] | None:
    """Weights ``(2, n)`` at :data:`POWERS` and at :data:`WIDTHS` of the priors that are placeholders, if any is."""
    columns = [i for i, parameter in enumerate(space) if is_placeholder(parameter)]
    if not columns:
        return None
    logs = ParameterSpace(tuple(space.parameters[i] for i in columns)).log_prior_scaled(theta[:, columns])
    near, far = (
        np.array([power_weights(logs, power) for power in powers])
        for powers in (POWERS, [width**-2 for width in WIDTHS])
    )
    return near, far


def _widened(scale: Scale, values: Array, weights: tuple[Array, Array] | None) -> dict[str, float]:
    """The fields of a line that say where ``values : (n,)``, on their scale, go with wider placeholders.

    A normal prior c times as wide is its power of 1 / c^2. Weights that bring draws to twice the width have no variance
    where the prior is all there is, so the move is that per width, about the width that is: right for such a prior, and
    too large where data stop a parameter before.
    """
    if weights is None or not _power_sensitivity(values, weights[0]) > SENSITIVE:
        return {}
    order = np.argsort(values, kind="stable")
    narrower, wider = (np.interp(ENDS, np.cumsum(of[order]) - of[order] / 2, values[order]) for of in weights[1])
    wide = np.quantile(values, ENDS) + (wider - narrower) / (WIDTHS[1] - WIDTHS[0])
    return dict(zip(("wide_low", "wide_median", "wide_high"), from_scale(np.sort(wide), scale).tolist(), strict=True))


def _power_sensitivity(values: Array, weights: Array) -> float:
    """Cumulative Jensen-Shannon distance that the distribution of ``values : (n,)`` moves per doubling of the power."""
    from arviz_stats.base import array_stats

    return float(array_stats.power_scale_sense(values[None], weights[0][None], weights[1][None], *POWERS))


def group_values(drawn: PosteriorDraws, rng: np.random.Generator) -> pd.DataFrame:
    """A line for each pooled parameter and group, the typical group before and a new one after them.

    Parameters
    ----------
    rng : Generator
        Of the deviations of a new group, one a draw and pool.

    Returns
    -------
    DataFrame
        With ``parameter`` and ``group``, :data:`COLUMNS`, ``shrinkage`` and ``fitted``; without rows for a study
        without pools. Shrinkage is the part of a group's departure from the typical one that pooling takes away: 0
        where the group's own data decide, 1 where only the others do; NaN for the lines that are of no group.
        ``fitted`` is the number of fitted terms of the group.
    """
    problem, theta = drawn.density.problem, drawn.flat
    rows: list[tuple[object, ...]] = []
    for pool in problem.pools:
        names = problem.space.names
        typical = theta[:, names.index(pool.typical.name)]
        of_new = pool.at(problem.space, theta, rng.standard_normal((len(theta), 1)))[:, 0]
        rows.append((pool.name, TYPICAL, *_quantiles(typical), np.nan, len(problem.fitted_terms)))
        values = pool.values(problem.space, theta)
        for column, group, shrunk in zip(values.T, pool.groups, _shrinkage(pool, theta, names), strict=True):
            rows.append((pool.name, group, *_quantiles(column), shrunk, problem.n_fitted(group)))
        rows.append((pool.name, NEW, *_quantiles(of_new), np.nan, 0))
    return table_of_groups(rows)


def table_of_groups(rows: Sequence[Sequence[object]] = ()) -> pd.DataFrame:
    """The table of :func:`group_values`."""
    return pd.DataFrame(rows, columns=["parameter", "group", *COLUMNS, "shrinkage", "fitted"])


def _quantiles(values: Array) -> tuple[float, ...]:
    return tuple(np.quantile(values, QUANTILES).tolist())


def _shrinkage(pool: Pool, theta: Array, names: Sequence[str]) -> list[float]:
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
