"""Observed against expected, row by row, with the noise's own band: what a person looks at first."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from calibration.fit.quantile_residuals import NOWHERE, Tails, count_tails, mass_tails, place_of
from calibration.likelihood.posterior import Posterior
from calibration.likelihood.term_density import net_count
from calibration.study.observations import Breakdown, Count, Share, Term, Use
from calibration.study.priors import Array

#: The band of the fitted table: central mass.
BAND = 0.9


@dataclass(frozen=True, slots=True)
class FittedRow:
    """One observed number.

    ``low`` and ``high`` hold the central 90 % of the noise around ``expected``, parameters held at the estimate, and
    ``sd`` is its standard deviation. ``residual`` is the randomised quantile residual of
    :mod:`calibration.fit.quantile_residuals`. These take a number of an autocorrelated series, and a cell of a
    breakdown, by itself; ``log_likelihood`` is given the numbers before it, and that of the whole breakdown.
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
    sd: float
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
    quantities = density.quantities(full)
    values = density.by_term(full)
    logs = density.pointwise(full, fitted_only=False)[0]
    seed = density.problem.method.seed
    rows: list[FittedRow] = []
    index = position = 0
    for observation in density.problem.observations:
        for term in observation.terms:
            raw = quantities[:, position : position + len(term.quantities)]
            window = term.quantities[0]
            for number in _numbers(density, term, raw, values[index][0], full):
                place = place_of(seed, observation.name, number.label, window.start, window.end)
                rows.append(
                    FittedRow(
                        observation.name,
                        number.label,
                        term.use,
                        window.start,
                        window.end,
                        number.lower,
                        number.upper,
                        number.expected,
                        number.low,
                        number.high,
                        number.sd,
                        number.tails.residual(place),
                        float(logs[index]),
                    )
                )
            index += 1
            position += len(term.quantities)
    return rows


@dataclass(frozen=True, slots=True)
class _Number:
    """One observed number with what the noise around it does."""

    label: str
    lower: float
    upper: float
    expected: float
    sd: float
    low: float
    high: float
    tails: Tails


def _numbers(
    density: Posterior, term: Count | Breakdown | Share, raw: Array, here: Array, theta: Array
) -> Iterator[_Number]:
    """The numbers of a term; ``raw : (1, n_quantities)`` as the model says, ``here`` what the noise lies around."""
    spread = density.spread(term.noise, theta)
    match term:
        case Count():
            expected = float(here[0])
            sd, low, high = _count_band(term, here[None, :], spread, (1 - BAND) / 2)
            tails = count_tails(term, raw, spread) if math.isfinite(sd) else NOWHERE
            yield _Number(term.label, term.lower, term.upper, expected, sd, low, high, tails)
        case Breakdown():
            masses = _cells(density, term, here, spread, theta)
            for category, count, mass in zip(term.categories, term.counts, masses, strict=True):
                yield _of_total(f"{term.label}: {category}", count, count, mass)
        case Share():
            mass = _binomial(round(term.total), float(here[0] / here[1]))
            yield _of_total(term.label, term.lower, term.upper, mass)
        case _:
            assert_never(term)


def _of_total(label: str, lower: float, upper: float, mass: Array) -> _Number:
    """A number out of a total, with the probabilities ``mass : (total + 1,)``."""
    if not np.isfinite(mass).all():
        return _Number(label, lower, upper, *(math.nan,) * 4, NOWHERE)
    tail = (1 - BAND) / 2
    counts = np.arange(len(mass))
    expected = float(mass @ counts)
    sd = math.sqrt(float(mass @ (counts - expected) ** 2))
    # the sum of all may be one less a rounding error
    low, high = np.minimum(np.searchsorted(mass.cumsum(), [tail, 1 - tail]), len(mass) - 1)
    return _Number(label, lower, upper, expected, sd, float(low), float(high), mass_tails(mass, lower, upper))


def _cells(density: Posterior, term: Breakdown, here: Array, spread: Array, theta: Array) -> list[Array]:
    """The probabilities of each cell of a breakdown by itself."""
    from scipy import stats

    total = round(sum(term.counts))
    matrix = density.matrix(term, theta)
    if term.recodes and matrix is not None and term.given is not None:
        return [_recoded(term.given, column) for column in matrix[0].T]
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = here / here.sum()
    if term.noise.family == "multinomial":
        return [_binomial(total, float(share)) for share in shares]
    counts, concentration = np.arange(total + 1), float(spread[0])
    # a cell that nobody or everybody is in has no beta distribution
    return [
        stats.betabinom.pmf(counts, total, concentration * share, concentration * (1 - share))
        if 0 < share < 1
        else _binomial(total, float(share))
        for share in shares
    ]


def _binomial(total: int, probability: float) -> Array:
    from scipy import stats

    return np.asarray(stats.binom.pmf(np.arange(total + 1), total, probability))


def _recoded(given: Sequence[float], column: Array) -> Array:
    """Reported members of a category whose true categories have known sizes: a sum of binomials."""
    mass = np.ones(1)
    for size, probability in zip(given, column, strict=True):
        mass = np.convolve(mass, _binomial(round(size), float(probability)))
    return mass


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
