"""The log density of one term, given what the model says for its quantities."""

from typing import assert_never

import numpy as np

from calibration.families.base import CountFamily, NumberFamily
from calibration.likelihood.joined import joined_log_mass
from calibration.likelihood.misclassification import recoded
from calibration.likelihood.net_counts import NetCount, Rise
from calibration.study.observations import Breakdown, Count, Share, Term
from cipark_sd.arrays import Array


def expected_numbers(term: Term, values: Array, matrix: Array | None = None) -> Array:
    """What a term's noise lies around, from the values ``(n, n_quantities)`` of its quantities.

    A ratio is divided. Of those who may have joined a part there are the joined and all of them. A breakdown has the
    sizes of its reported categories up to a factor: those of the true ones as the model or another table gives them,
    sent through the ``matrix : (n, n_true, n_reported)`` of its coding.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        match term:
            case Count():
                return values if term.denominator is None else np.asarray(values[..., :1] / values[..., -1:])
            case Breakdown():
                sizes = values[:, : term.n_true]
                if term.known_sizes is not None:
                    sizes = np.array(term.known_sizes) * (1.0 if term.recodes else sizes / values[:, term.n_true :])
                    sizes = np.broadcast_to(sizes, (len(values), term.n_true))
                return sizes if matrix is None else np.asarray((sizes[:, :, None] * matrix).sum(axis=1))
            case Share():
                if term.since is None:
                    return values
                return np.stack([values[:, 0], values[:, 0] + values[:, 1]], axis=1)
            case _:
                assert_never(term)


def term_log_density(term: Term, values: Array, spread: Array, matrix: Array | None = None) -> Array:
    """Unweighted log density ``(n,)`` of a term by itself.

    Parameters
    ----------
    values : (n, n_quantities)
    spread : (n,)
        Of its noise.
    matrix : (n, n_true, n_reported), optional
        Of its coding.
    """
    if isinstance(term, Share) and term.since is not None:
        with np.errstate(invalid="ignore"):
            return np.asarray(np.logaddexp.reduce(joined_log_mass(term, values, term.lower, term.upper), axis=1))
    values = expected_numbers(term, values, matrix)
    match term:
        case Count():
            family = number_family(term, values)
            if term.lower == term.upper:
                return family.log_density(np.array(term.lower), values[..., 0], spread)
            return family.log_interval(term.lower, term.upper, values[..., 0], spread)
        case Breakdown():
            counts = np.array(term.counts)
            if term.recodes and matrix is not None:
                return recoded(counts, np.array(term.known_sizes), matrix)
            return term.noise.family.log_density(counts, values, spread)
        case Share():
            total, probability = np.array(term.total), part(values)
            if term.lower == term.upper:
                return term.noise.family.log_density(np.array(term.lower), total, probability)
            return term.noise.family.log_interval(term.lower, term.upper, total, probability)
        case _:
            assert_never(term)


def number_family(term: Count, values: Array) -> NumberFamily:
    """The family of a number around ``values[..., 0]``: its own, or that of a net count, gains ``values[..., 1]``."""
    family = term.noise.family
    if isinstance(family, CountFamily) and term.gains is not None:
        return NetCount(family, values[..., 1])
    return plain_family(term)


def plain_family(term: Count) -> NumberFamily:
    """The family of a number whose gains are not known: in a window, counts are those of a rise."""
    family = term.noise.family
    in_window = term.quantity.how != "at" and term.denominator is None
    return Rise(family) if in_window and isinstance(family, CountFamily) else family


def part(values: Array) -> Array:
    """The share of a total ``(n,)`` that a part has, from the values of both ``(n, 2)``."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(values[:, 0] / values[:, 1])
