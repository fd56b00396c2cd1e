"""The log density of one term, given what the model says for its quantities."""

from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from calibration.likelihood import densities
from calibration.study.observations import Breakdown, Count, Noise, Share, Term

Array = NDArray[np.float64]


def expected_numbers(term: Term, values: Array, matrix: Array | None = None) -> Array:
    """What a term's noise lies around, from the values ``(n, n_quantities)`` of its quantities.

    A ratio is divided. A breakdown has the sizes of its reported categories up to a factor: those of the true ones as
    the model or another table gives them, sent through the ``matrix : (n, n_true, n_reported)`` of its coding.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        match term:
            case Count():
                return values if term.denominator is None else np.asarray(values[..., :1] / values[..., -1:])
            case Breakdown():
                sizes = values[:, : term.n_true]
                if term.given is not None:
                    sizes = np.array(term.given) * (1.0 if term.recodes else sizes / values[:, term.n_true :])
                    sizes = np.broadcast_to(sizes, (len(values), term.n_true))
                return sizes if matrix is None else np.asarray((sizes[:, :, None] * matrix).sum(axis=1))
            case Share():
                return values
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
    values = expected_numbers(term, values, matrix)
    match term:
        case Count():
            if term.lower == term.upper:
                return exact_count(term, np.array(term.lower), values, spread)
            return _interval_count(term, values, spread)
        case Breakdown():
            counts = np.array(term.counts)
            if term.recodes and matrix is not None:
                return densities.recoded(counts, np.array(term.given), matrix)
            if term.noise.family == "multinomial":
                return densities.multinomial(counts, values)
            return densities.dirichlet_multinomial(counts, values, spread)
        case Share():
            return _share(term, values)
        case _:
            assert_never(term)


def count_log_mass(noise: Noise, mean: Array, spread: Array) -> densities.LogMass:
    """The family of a count as a function of the count.

    Raises
    ------
    ValueError
        For a family that is not one of counts.
    """
    match noise.family:
        case "poisson":
            return lambda count: densities.poisson(count, mean)
        case "nb1":
            return lambda count: densities.nb1(count, mean, spread)
        case "nb2":
            return lambda count: densities.nb2(count, mean, spread)
        case _:
            raise ValueError(f"{noise.family} is not a family of counts")


def count_sd(noise: Noise, mean: Array, spread: Array) -> Array:
    """Standard deviation of a count around ``mean``."""
    with np.errstate(invalid="ignore", over="ignore"):
        match noise.family:
            case "nb1":
                variance = mean * (1 + spread)
            case "nb2":
                variance = mean + spread * mean**2
            case _:
                variance = mean
        return np.asarray(np.sqrt(np.maximum(variance, 0.0)))


def exact_count(term: Count, seen: Array, values: Array, spread: Array) -> Array:
    """Log density of exact numbers ``seen``; ``values : (…, n_quantities)``, the rest broadcast against ``(…)``."""
    mean = values[..., 0]
    match term.noise.family:
        case "normal":
            return densities.normal(seen, mean, spread)
        case "lognormal":
            return densities.lognormal(seen, mean, spread)
        case "student-t":
            return densities.student_t(seen, mean, spread, term.noise.dof)
        case _:
            return net_count(term, values, spread)[0](seen)


def _interval_count(term: Count, values: Array, spread: Array) -> Array:
    lower, upper = np.array(term.lower), np.array(term.upper)
    match term.noise.family:
        case "normal":
            return densities.continuous_interval(lower, upper, values[:, 0], spread)
        case "lognormal":
            return densities.lognormal_interval(lower, upper, values[:, 0], spread)
        case "student-t":
            return densities.student_t_interval(lower, upper, values[:, 0], spread, term.noise.dof)
    mass, mean, sd = net_count(term, values, spread)
    least = 0.0 if term.gains is None else -np.inf
    return densities.count_interval(mass, term.lower, term.upper, mean, sd, least=least)


def net_count(term: Count, values: Array, spread: Array) -> tuple[densities.LogMass, Array, Array]:
    """Log mass, mean and standard deviation of a count, as a difference of gains and losses where it is one."""
    if term.gains is None:
        mean = values[..., 0]
        return count_log_mass(term.noise, mean, spread), mean, count_sd(term.noise, mean, spread)
    net, gained = values[..., 0], values[..., 1]
    gains = count_log_mass(term.noise, gained, spread)
    losses = gained - net
    sd = np.sqrt(count_sd(term.noise, gained, spread) ** 2 + np.maximum(losses, 0.0))
    return lambda count: densities.difference_of_counts(count, gains, losses), net, sd


def _share(term: Share, values: Array) -> Array:
    total = np.array(term.total)
    with np.errstate(invalid="ignore", divide="ignore"):
        probability = values[:, 0] / values[:, 1]
    if term.lower == term.upper:
        return densities.binomial(np.array(term.lower), total, probability)
    return densities.count_interval(
        lambda count: densities.binomial(count, total, probability),
        term.lower,
        term.upper,
        probability * total,
        np.sqrt(total * probability),
    )
