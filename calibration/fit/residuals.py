"""Observed against expected, row by row, with the noise's own band: what a person looks at first."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from calibration.likelihood.posterior import Posterior
from calibration.likelihood.term_density import net_count
from calibration.study.observations import Breakdown, Count, Share, Term, Use
from calibration.study.priors import Array

#: The band of the fitted table: central mass.
BAND = 0.9


@dataclass(frozen=True, slots=True)
class FittedRow:
    """One observed number.

    ``low`` and ``high`` hold the central 90 % of the noise around ``expected``, parameters held at the estimate;
    ``residual`` is the distance to the nearest observed value in standard deviations. Both take a number of an
    autocorrelated series by itself; ``log_likelihood`` is given the numbers before it.
    """

    observation: str
    label: str
    use: Use
    start: float
    end: float
    lower: float
    upper: float
    expected: float
    low: float
    high: float
    residual: float
    log_likelihood: float


def labels_of(term: Term) -> list[tuple[str, float, float]]:
    """Label and observed interval of each number of a term; a breakdown has one a category."""
    match term:
        case Count() | Share():
            return [(term.label, term.lower, term.upper)]
        case Breakdown():
            pairs = zip(term.categories, term.counts, strict=True)
            return [(f"{term.label}: {category}", count, count) for category, count in pairs]
        case _:
            assert_never(term)


def fitted(density: Posterior, theta: Array) -> list[FittedRow]:
    """All rows at one parameter vector ``(k,)``; a breakdown gives a row a category."""
    full = theta[None, :]
    values = density.by_term(full)
    logs = density.pointwise(full, fitted_only=False)[0]
    rows: list[FittedRow] = []
    index = 0
    for observation in density.problem.observations:
        for term in observation.terms:
            here = values[index][0]
            log = float(logs[index])
            index += 1
            window = term.quantities[0]
            for label, lower, upper, expected, sd, low, high in _numbers(density, term, here, full):
                nearest = min(max(expected, lower), upper)
                residual = (nearest - expected) / sd if sd > 0 else math.nan
                rows.append(
                    FittedRow(
                        observation.name,
                        label,
                        term.use,
                        window.start,
                        window.end,
                        lower,
                        upper,
                        expected,
                        low,
                        high,
                        residual,
                        log,
                    )
                )
    return rows


def noise_sd(density: Posterior, theta: Array) -> list[tuple[float, float]]:
    """What is expected at one parameter vector ``(k,)`` and the noise's standard deviation, of each fitted number."""
    full = theta[None, :]
    return [
        (expected, sd)
        for term, here in zip(density.problem.terms, density.by_term(full), strict=True)
        if term.use == "fit"
        for _, _, _, expected, sd, _, _ in _numbers(density, term, here[0], full)
    ]


_Number = tuple[str, float, float, float, float, float, float]


def _numbers(density: Posterior, term: Count | Breakdown | Share, here: Array, theta: Array) -> Iterator[_Number]:
    """Label, observed interval, expected, its standard deviation and its band."""
    from scipy import stats

    tail = (1 - BAND) / 2
    match term:
        case Count():
            spread = density.spread(term.noise, theta)
            yield (term.label, term.lower, term.upper, float(here[0]), *_count_band(term, here[None, :], spread, tail))
        case Breakdown():
            if term.recodes:
                yield from _recoded(density, term, theta, tail)
                return
            total = sum(term.counts)
            for category, count, share in zip(term.categories, term.counts, here / here.sum(), strict=True):
                label = f"{term.label}: {category}"
                sd = math.sqrt(max(total * share * (1 - share), 0.0))
                band = stats.binom.ppf(np.array([tail, 1 - tail]), total, np.clip(share, 0, 1))
                yield label, count, count, float(total * share), sd, float(band[0]), float(band[1])
        case Share():
            p = float(here[0] / here[1])
            band = stats.binom.ppf(np.array([tail, 1 - tail]), term.total, np.clip(p, 0, 1))
            sd = math.sqrt(max(term.total * p * (1 - p), 0.0))
            yield term.label, term.lower, term.upper, term.total * p, sd, float(band[0]), float(band[1])
        case _:
            assert_never(term)


def _recoded(density: Posterior, term: Breakdown, theta: Array, tail: float) -> Iterator[_Number]:
    """Reported categories of members that another table has: sums of binomials, one a true category."""
    from scipy import stats

    matrix = density.matrix(term, theta)
    if matrix is None or term.given is None:
        return
    for category, count, column in zip(term.categories, term.counts, matrix[0].T, strict=True):
        mass = np.ones(1)
        for size, p in zip(term.given, column, strict=True):
            mass = np.convolve(mass, stats.binom.pmf(np.arange(size + 1), size, p))
        low, high = np.searchsorted(mass.cumsum(), [tail, 1 - tail])
        sizes = np.array(term.given)
        sd = math.sqrt(float((sizes * column * (1 - column)).sum()))
        yield f"{term.label}: {category}", count, count, float(sizes @ column), sd, float(low), float(high)


def _count_band(term: Count, here: Array, spread: Array, tail: float) -> tuple[float, float, float]:
    """Standard deviation and band of a count or a measurement."""
    from scipy import stats

    mean, width = float(here[0, 0]), float(spread[0])
    match term.noise.family:
        case "normal":
            low, high = stats.norm.ppf(np.array([tail, 1 - tail]), mean, width)
            return width, float(low), float(high)
        case "lognormal":
            if not mean > 0:
                return math.nan, math.nan, math.nan
            low, high = stats.lognorm.ppf(np.array([tail, 1 - tail]), width, scale=mean)
            return mean * width, float(low), float(high)
        case "student-t":
            low, high = stats.t.ppf(np.array([tail, 1 - tail]), term.noise.dof, mean, width)
            return width, float(low), float(high)
        case _:
            mass, _, sd = net_count(term, here, spread)
            deviation = float(sd[0])
            if not (math.isfinite(deviation) and math.isfinite(mean)):
                return math.nan, math.nan, math.nan
            first, last = math.floor(min(0.0, mean - 10 * deviation - 5)), math.ceil(mean + 12 * deviation + 20)
            counts = np.arange(first, last + 1)
            with np.errstate(over="ignore"):
                cumulative = np.exp(mass(counts[:, None].astype(float))[:, 0]).cumsum()
            if not cumulative[-1] > 0.5:
                return deviation, math.nan, math.nan
            low, high = counts[np.searchsorted(cumulative, [tail, 1 - tail])]
            return deviation, float(low), float(high)
