"""What the data tell of parameters at a point: expected numbers in standard deviations of their noise, by their slopes.

What each prior tells is beside it, by the curvature of its log density on the parameter's scale.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from calibration.inference.search.objective import Objective
from calibration.likelihood.posterior import Posterior
from calibration.likelihood.term_density import number_family
from calibration.noise.priors import to_scale
from calibration.study.observations import Breakdown, Count, Share
from calibration.study.parameters import Parameter, ParameterSpace
from cipark_sd.base.arrays import Array

#: Central mass of a normal distribution within one standard deviation.
ONE_SD = 0.6826894921


def standardised_slopes(goal: Objective, theta: Array, columns: NDArray[np.intp], steps: Array) -> Array:
    """Derivatives of the expected numbers, in standard deviations of their noise, by central differences.

    Parameters
    ----------
    theta : (k,)
        Where.
    columns : (m,)
        Of the box.
    steps : (m,)
        Half the distance of each quotient, as share of a search range.

    Returns
    -------
    (n_rows, m)
        By places in the box.
    """
    point, m = goal.box(theta), len(columns)
    moves = np.eye(len(point))[columns] * steps[:, None]
    ahead, behind = np.clip(point + moves, 0, 1), np.clip(point - moves, 0, 1)
    rows = standardised(goal.density, theta, goal.density.by_term(goal.theta(np.vstack([ahead, behind]))))
    widths = (ahead - behind)[np.arange(m), columns]
    return np.asarray((rows[:m] - rows[m:]).T / widths)


def prior_sd(parameter: Parameter) -> float:
    """Half the central 68% of the prior, on the parameter's scale."""
    low, high = to_scale(np.array(parameter.interval(ONE_SD)), parameter.scale)
    return float((high - low) / 2)


def prior_information(goal: Objective, point: Array) -> Array:
    """What each prior tells of its parameter: minus the second derivative of its log density on the parameter's scale.

    Parameters
    ----------
    point : (n_free,), of the box: from 0 to 1
        Of the box.

    Returns
    -------
    (n_free,)
        By places in the box.
    """
    step = 1e-3
    centre = np.clip(point, step, 1 - step)
    low, middle, high = (
        np.array(
            [
                float(ParameterSpace((parameter,)).log_prior_scaled(np.array([[value]]))[0])
                for parameter, value in zip(goal.space, values, strict=True)
            ]
        )
        for values in goal.space.from_box(centre + step * np.array([[-1.0], [0.0], [1.0]]))
    )
    return np.asarray((2 * middle - low - high) / step**2)


def standardised(density: Posterior, theta: Array, values: list[Array]) -> Array:
    """Expected observations over the standard deviation of their noise.

    Parameters
    ----------
    theta : (k,)
        At which the noise is taken.
    values : list of (n, …)
        What each term's noise lies around, as of ``density.by_term``.

    Returns
    -------
    (n, n_rows)
        Of the fitted terms; a breakdown has a row for each category.
    """
    rows = standardised_rows(density, theta, values)
    return np.stack([row for block in rows.values() for row in block], axis=-1)


def standardised_rows(density: Posterior, theta: Array, values: list[Array]) -> dict[int, list[Array]]:
    """The same by term.

    Autocorrelated ones less what those before them say, so that the rows are independent.

    Parameters
    ----------
    density, theta, values :
        As of :func:`standardised`.

    Returns
    -------
    dict of int to list of (n,)
        By the position of the term.
    """
    theta = theta[None, :]
    centre = density.by_term(theta)
    rows: dict[int, list[Array]] = {}
    for i, (term, base, ends) in enumerate(zip(density.problem.terms, centre, values, strict=True)):
        if term.use != "fit":
            continue
        match term:
            case Count():
                sd = number_family(term, base).sd(base[:, 0], density.spread(term.noise, theta))
                if term.noise.family.discrete:
                    # an expected count of nearly nothing has a standard deviation of nearly nothing
                    sd = np.maximum(sd, 1e-3)
                scaled = np.log(ends[:, 0]) if term.noise.family.on_log else ends[:, 0]
                rows[i] = [np.sqrt(term.weight) * scaled / sd]
            case Breakdown():
                shares = base / base.sum(axis=-1, keepdims=True)
                moved = ends / ends.sum(axis=-1, keepdims=True)
                # a category that is empty at the optimum has no standard deviation
                some = shares[0] > 0
                size = term.weight * term.noise.family.independent(sum(term.counts), density.spread(term.noise, theta))
                rows[i] = list((moved * np.sqrt(size / np.where(some, shares, 1.0))).T[some])
            case Share():
                p = base[:, 0] / base[:, 1]
                rows[i] = [np.sqrt(term.weight * term.at_risk / (p * (1 - p))) * ends[:, 0] / ends[:, 1]]
    for series in density.series:
        fitted = [i for i in series.members.tolist() if i in rows]
        if fitted:
            scores = np.stack([rows[i][0] for i in fitted], axis=1)
            alone = replace(series, members=np.array(fitted), times=series.times[series.fitted],
                            fitted=np.ones(len(fitted), dtype=bool))  # fmt: skip
            mean, variance = alone.conditional(scores, np.repeat(density.phi(series, theta), len(scores)))
            for i, column in zip(fitted, ((scores - mean) / np.sqrt(variance)).T, strict=True):
                rows[i] = [column]
    return rows
