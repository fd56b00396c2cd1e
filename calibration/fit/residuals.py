"""Observed against expected, row by row, with the noise's own band: what a person looks at first."""

import math
from collections.abc import Iterator, Sequence
from typing import assert_never

import numpy as np
import pandas as pd

from calibration.families.splits import Binomial
from calibration.fit.quantile_residuals import NOWHERE, Tails, count_tails, mass_tails, place_of
from calibration.likelihood.posterior import Posterior
from calibration.likelihood.replicate import labels_of
from calibration.likelihood.term_density import joined_log_mass, number_family
from calibration.study.observations import Breakdown, Count, Share
from cipark_sd.arrays import Array

#: The band of the fitted table: central mass.
BAND = 0.9


#: The columns of a table of fitted numbers, a row each. ``low`` and ``high`` hold the central 90 % of the noise around
#: ``expected``, parameters held at the estimate, and ``sd`` is its standard deviation. ``residual`` is the randomised
#: quantile residual of :mod:`calibration.fit.quantile_residuals`. These take a number of an autocorrelated series, and
#: a cell of a breakdown, by itself; ``log_likelihood`` is given the numbers before it, and that of the whole breakdown.
COLUMNS = (
    *("observation", "label", "use", "start", "end", "lower", "upper"),
    *("expected", "low", "high", "sd", "residual", "log_likelihood"),
)


def table_of(rows: Sequence[Sequence[object]] = ()) -> pd.DataFrame:
    """Rows of fitted numbers in a table."""
    # an empty column of texts would have no finite numbers
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys(COLUMNS[3:], float))


def fitted(density: Posterior, theta: Array) -> pd.DataFrame:
    """All numbers at one parameter vector ``(k,)``; a breakdown gives a row a category."""
    full = theta[None, :]
    quantities = density.quantities(full)
    values = density.by_term(full)
    logs = density.pointwise(full, fitted_only=False)[0]
    seed = density.problem.method.seed
    rows: list[tuple[object, ...]] = []
    index = 0
    for observation in density.problem.observations:
        for term in observation.terms:
            raw = quantities[:, density.slots[index]]
            window = term.quantities[0]
            numbers = _numbers(density, term, raw, values[index][0], full)
            for (label, lower, upper), (*number, tails) in zip(labels_of(term), numbers, strict=True):
                named = (observation.name, label, term.use, window.start, window.end, lower, upper)
                residual = tails.residual(place_of(seed, observation.name, label, window.start, window.end))
                rows.append((*named, *number, residual, float(logs[index])))
            index += 1
    return table_of(rows)


#: Of the noise around one observed number: what is expected, the low and high end of the band, sd, and tails.
_Number = tuple[float, float, float, float, Tails]


def _numbers(
    density: Posterior, term: Count | Breakdown | Share, raw: Array, values: Array, theta: Array
) -> Iterator[_Number]:
    """The numbers of a term; ``raw : (1, n_quantities)`` as the model says, ``values`` what the noise lies around."""
    spread = density.spread(term.noise, theta)
    match term:
        case Count():
            expected = float(values[0])
            sd, low, high = _band(term, values[None, :], spread)
            tails = count_tails(term, raw, spread) if math.isfinite(sd) else NOWHERE
            yield expected, low, high, sd, tails
        case Breakdown():
            masses = _cells(density, term, values, spread, theta)
            for count, mass in zip(term.counts, masses, strict=True):
                yield _of_total(count, count, mass)
        case Share() if term.since is not None:
            yield _of_total(term.lower, term.upper, np.exp(joined_log_mass(term, raw)[0]))
        case Share():
            mass = term.noise.family.mass(round(term.total), float(values[0] / values[1]))
            yield _of_total(term.lower, term.upper, mass)
        case _:
            assert_never(term)


def _of_total(lower: float, upper: float, mass: Array) -> _Number:
    """A number out of a total, with the probabilities ``mass : (total + 1,)``."""
    if not np.isfinite(mass).all():
        return math.nan, math.nan, math.nan, math.nan, NOWHERE
    tail = (1 - BAND) / 2
    counts = np.arange(len(mass))
    expected = float(mass @ counts)
    sd = math.sqrt(float(mass @ (counts - expected) ** 2))
    # the sum of all may be one less a rounding error
    low, high = np.minimum(np.searchsorted(mass.cumsum(), [tail, 1 - tail]), len(mass) - 1)
    return expected, float(low), float(high), sd, mass_tails(mass, lower, upper)


def _cells(density: Posterior, term: Breakdown, values: Array, spread: Array, theta: Array) -> list[Array]:
    """The probabilities of each cell of a breakdown by itself."""
    total = round(sum(term.counts))
    matrix = density.matrix(term, theta)
    if term.recodes and matrix is not None and term.known_sizes is not None:
        return [_recoded(term.known_sizes, column) for column in matrix[0].T]
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = values / values.sum()
    return [term.noise.family.cell(total, float(share), float(spread[0])) for share in shares]


def _recoded(sizes: Sequence[float], column: Array) -> Array:
    """Reported members of a category whose true categories have known sizes: a sum of binomials."""
    mass = np.ones(1)
    for size, probability in zip(sizes, column, strict=True):
        mass = np.convolve(mass, Binomial().mass(round(size), float(probability)))
    return mass


def _band(term: Count, values: Array, spread: Array) -> tuple[float, float, float]:
    """Standard deviation and band of a count or a measurement; ``values : (1, n)``, ``spread : (1,)``."""
    family, mean, tail = number_family(term, values), float(values[0, 0]), (1 - BAND) / 2
    low, high = family.quantile(np.array([tail, 1 - tail]), mean, float(spread[0])).tolist()
    sd = float(family.sd(values[:, 0], spread)[0])
    if family.on_log:
        # of the number itself, to first order
        sd = mean * sd if mean > 0 else math.nan
    return (sd, low, high) if math.isfinite(sd) else (math.nan, math.nan, math.nan)
