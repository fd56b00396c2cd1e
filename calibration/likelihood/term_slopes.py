"""Derivatives of the log density of terms by the values of their quantities, their spread and their coding."""

from dataclasses import dataclass
from typing import assert_never

import numpy as np

from calibration.likelihood.group_density import Group
from calibration.likelihood.joined import joined_slopes
from calibration.likelihood.misclassification import recoded_slopes
from calibration.likelihood.term_density import expected_numbers, number_family, part
from calibration.study.observations import Breakdown, Count, Share, Term
from cipark_sd.arrays import Array


@dataclass(frozen=True, eq=False)
class TermSlopes:
    """Of ``n`` rows and some terms.

    ``by_values : (n, n_terms, n_quantities)``, ``by_spread : (n, n_terms)``, and ``by_matrix : (n, n_true,
    n_reported)`` of a term with a coding.
    """

    by_values: Array
    by_spread: Array
    by_matrix: Array | None = None


def group_slopes(group: Group, values: Array, spread: Array, matrix: Array | None) -> TermSlopes:
    """Of terms that are computed together; arguments as of :func:`term_slopes`, ``values`` with an axis of terms."""
    first = group.first
    if group.counts is not None and isinstance(first, Count):
        return exact_counts_slopes(first, group.counts, values, spread)
    by_term = [term_slopes(term, values[:, place], spread, matrix) for place, term in enumerate(group.terms)]
    if len(by_term) == 1:
        return by_term[0]
    by_values = np.concatenate([slopes.by_values for slopes in by_term], axis=1)
    return TermSlopes(by_values, np.concatenate([slopes.by_spread for slopes in by_term], axis=1))


def exact_counts_slopes(term: Count, observed: Array, values: Array, spread: Array) -> TermSlopes:
    """Of exact counts ``observed : (n_terms,)``, alike but for these, and ``values : (n, n_terms, n_quantities)``."""
    expected = expected_numbers(term, values)
    family = number_family(term, expected)
    slopes = family.slopes(observed, expected[..., 0], spread[:, None])
    return _of_count(term, values, expected, slopes)


def term_slopes(term: Term, values: Array, spread: Array, matrix: Array | None = None) -> TermSlopes:
    """Of one term; arguments as of :func:`calibration.likelihood.term_density.term_log_density`."""
    match term:
        case Count():
            if term.lower == term.upper:
                return exact_counts_slopes(term, np.array([term.lower]), values[:, None], spread)
            expected = expected_numbers(term, values)
            family = number_family(term, expected)
            slopes = family.interval_slopes(term.lower, term.upper, expected[..., 0], spread)
            columns = tuple(slope[:, None] for slope in slopes)
            return _of_count(term, values[:, None], expected[:, None], columns)
        case Breakdown():
            return _of_breakdown(term, values, spread, matrix)
        case Share() if term.since is not None:
            return TermSlopes(joined_slopes(term, values)[:, None], np.zeros((len(values), 1)))
        case Share():
            total, probability, shares = np.array(term.total), part(values), term.noise.family
            if term.lower == term.upper:
                slope = shares.slope(np.array(term.lower), total, probability)
            else:
                slope = shares.interval_slope(term.lower, term.upper, total, probability)
            by_values = np.stack([slope / values[:, 1], -slope * probability / values[:, 1]], axis=1)
            return TermSlopes(by_values[:, None], np.zeros((len(values), 1)))
        case _:
            assert_never(term)


def _of_count(term: Count, values: Array, expected: Array, slopes: tuple[Array, ...]) -> TermSlopes:
    by_mean, by_spread, *by_gains = slopes
    if term.denominator is None:
        return TermSlopes(np.stack([by_mean, *by_gains], axis=-1), by_spread)
    below = values[..., -1]
    return TermSlopes(np.stack([by_mean / below, -by_mean * expected[..., 0] / below], axis=-1), by_spread)


def _of_breakdown(term: Breakdown, values: Array, spread: Array, matrix: Array | None) -> TermSlopes:
    counts, n_true = np.array(term.counts), term.n_true
    by_values = np.zeros_like(values)
    if term.recodes and matrix is not None:
        recoded = recoded_slopes(counts, np.array(term.known_sizes), matrix)
        return TermSlopes(by_values[:, None], np.zeros((len(values), 1)), recoded)
    sizes = expected_numbers(term, values)
    reported = expected_numbers(term, values, matrix)
    by_reported, by_spread = term.noise.family.slopes(counts, reported, spread)
    by_sizes = by_reported
    by_matrix: Array | None = None
    if matrix is not None:
        by_sizes = (by_reported[:, None, :] * matrix).sum(axis=-1)
        by_matrix = by_reported[:, None, :] * sizes[:, :, None]
    if term.known_sizes is None:
        by_values[:, :n_true] = by_sizes
    elif not term.recodes:
        later = values[:, n_true:]
        by_values[:, :n_true] = by_sizes * np.array(term.known_sizes) / later
        by_values[:, n_true:] = -by_sizes * sizes / later
    return TermSlopes(by_values[:, None], by_spread[:, None], by_matrix)
