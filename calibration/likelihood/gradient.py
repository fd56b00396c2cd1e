"""The log density of a problem's parameters with its gradient, for about five runs whatever their number.

The model goes forth and back through its steps (:mod:`cipark_sd.compiler.adjoint`); between the two the density of the
terms is differentiated by what the model says, and its slopes are what the outputs are weighed with.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from calibration.likelihood.autocorrelation import Series
from calibration.likelihood.posterior import Posterior
from calibration.likelihood.term_density import Group, expected_numbers, joined_slopes, number_family, part
from calibration.study.observations import Breakdown, Count, Share, Term
from cipark_sd.base.arrays import Array

#: Derivatives of ``n`` rows and some terms: by what the terms read ``(n, n_terms, n_quantities)``, and by the spread
#: ``(n, n_terms)``.
_TermSlopes = tuple[Array, Array]


def _group_slopes(group: Group, values: Array, spread: Array) -> _TermSlopes:
    """Of terms that are computed together; arguments as of :func:`_term_slopes`, ``values`` with an axis of terms."""
    first = group.first
    if group.counts is not None and isinstance(first, Count):
        return _exact_counts_slopes(first, group.counts, values, spread)
    by_term = [_term_slopes(term, values[:, place], spread) for place, term in enumerate(group.terms)]
    if len(by_term) == 1:
        return by_term[0]
    by_values, by_spread = zip(*by_term, strict=True)
    return np.concatenate(by_values, axis=1), np.concatenate(by_spread, axis=1)


def _exact_counts_slopes(term: Count, observed: Array, values: Array, spread: Array) -> _TermSlopes:
    """Of exact counts ``observed : (n_terms,)``, alike but for these, and ``values : (n, n_terms, n_quantities)``."""
    expected = expected_numbers(term, values)
    family = number_family(term, expected)
    slopes = family.slopes(observed, expected[..., 0], spread[:, None])
    return _of_count(term, values, expected, slopes)


def _term_slopes(term: Term, values: Array, spread: Array) -> _TermSlopes:
    """Of one term that is no exact count; arguments as of :func:`.term_density.term_log_density`."""
    match term:
        case Count():
            expected = expected_numbers(term, values)
            family = number_family(term, expected)
            slopes = family.interval_slopes(term.lower, term.upper, expected[..., 0], spread)
            columns = tuple(slope[:, None] for slope in slopes)
            return _of_count(term, values[:, None], expected[:, None], columns)
        case Breakdown():
            by_sizes, by_spread = term.noise.family.slopes(np.array(term.counts), values, spread)
            return by_sizes[:, None], by_spread[:, None]
        case Share() if term.since is not None:
            return joined_slopes(term, values)[:, None], np.zeros((len(values), 1))
        case Share():
            total, probability, shares = np.array(term.total), part(values), term.noise.family
            if term.lower == term.upper:
                slope = shares.slope(np.array(term.lower), total, probability)
            else:
                slope = shares.interval_slope(term.lower, term.upper, total, probability)
            by_values = np.stack([slope / values[:, 1], -slope * probability / values[:, 1]], axis=1)
            return by_values[:, None], np.zeros((len(values), 1))


def _of_count(term: Count, values: Array, expected: Array, slopes: tuple[Array, ...]) -> _TermSlopes:
    by_mean, by_spread, *by_gains = slopes
    if term.denominator is None:
        return np.stack([by_mean, *by_gains], axis=-1), by_spread
    below = values[..., -1]
    return np.stack([by_mean / below, -by_mean * expected[..., 0] / below], axis=-1), by_spread


def log_likelihood_and_gradient(density: Posterior, theta: Array) -> tuple[Array, Array]:
    """The log likelihood and its derivatives.

    Parameters
    ----------
    theta : (n, k)

    Returns
    -------
    (n,), (n, k)
        The derivative is 0 where the likelihood is.

    Raises
    ------
    UnsupportedFeature, InvalidValue
        Where the model or the engine has none.
    """
    theta = np.atleast_2d(np.asarray(theta, dtype=float))
    logs, gradient = np.empty(len(theta)), np.zeros_like(theta)

    def weigh(outputs: Array, places: NDArray[np.intp]) -> Array:
        """Outputs ``(n_places, m)`` of some rows to the derivatives by them."""
        rows = theta[places]
        numbers = density.numbers(rows)
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            logs[places], by_values, by_theta = of_values(density, density.reader.of_places(outputs, numbers), rows)
            by_outputs, by_numbers = density.reader.back(outputs, by_values.T, numbers)
        for name, slope in by_numbers.items():
            by_theta[:, density.space.positions[name]] += slope
        gradient[places] = by_theta
        return by_outputs

    is_model = density.space.is_model
    slopes = density.runner.back(theta[:, is_model], density.reader.places, weigh)
    gradient[:, is_model] += slopes
    return logs, np.where(np.isfinite(logs)[:, None], gradient, 0.0)


def log_posterior_and_gradient(density: Posterior, theta: Array) -> tuple[Array, Array]:
    """:meth:`Posterior.log_posterior` with its derivatives by the parameters themselves.

    Parameters
    ----------
    theta : (n, k)

    Returns
    -------
    (n,), (n, k)
        The derivative is 0 where the density is; no model is run where the prior is.

    Raises
    ------
    UnsupportedFeature, InvalidValue
        Where the model or the engine has none.
    """
    prior, gradient = density.space.log_prior(theta), np.zeros_like(theta)
    possible = np.isfinite(prior)
    logs = np.where(possible, prior, -np.inf)
    if possible.any():
        likelihood, slopes = log_likelihood_and_gradient(density, theta[possible])
        logs[possible] += likelihood
        gradient[possible] = slopes + density.space.log_prior_slopes(theta[possible])
    return logs, np.where(np.isfinite(logs)[:, None], gradient, 0.0)


def of_values(density: Posterior, values: Array, theta: Array) -> tuple[Array, Array, Array]:
    """The log likelihood and its derivatives, given what the model says.

    Parameters
    ----------
    values : (n, n_quantities)
        As of :meth:`Posterior.quantities`.
    theta : (n, k)

    Returns
    -------
    (n,), (n, n_quantities), (n, k)
        The log likelihood, and its derivatives by ``values`` and directly by ``theta``, ``values`` held.
    """
    positions = density.space.positions
    summands: dict[int, Array] = {}
    logs, by_values, by_theta = np.zeros(len(values)), np.zeros_like(values), np.zeros_like(theta)
    if density.problem.payoff:
        logs = np.where(np.isfinite(values[:, -1]), values[:, -1], -np.inf)
        by_values[:, -1] = np.isfinite(logs)
        return logs, by_values, by_theta
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for group in density.groups:
            if not group.fitted:
                continue
            term, slots, weights = group.first, group.slots, group.weights
            by_term = np.ascontiguousarray(values[:, slots].transpose(1, 2, 0))
            of_terms = density.group_log_density(group, by_term, theta)
            if group.counts is not None:
                summands[group.members[0]] = (weights[:, None] * of_terms).sum(axis=0)
            else:
                summands |= dict(zip(group.members.tolist(), weights[:, None] * of_terms, strict=True))
            spread = density.spread(term.noise, theta)
            of_group, by_spread = _group_slopes(group, values[:, slots], spread)
            by_values[:, slots] += of_group * weights[:, None]
            _add(by_theta, positions, term.noise.spread, (by_spread * weights).sum(axis=1))
        # in the order of the terms, so that no last bit depends on which are computed together
        for place in sorted(summands):
            logs += summands[place]
        for series in density.series:
            logs += _add_memory(density, values, theta, series, by_values, by_theta)
    # where the density is zero there is no derivative
    some = np.isfinite(logs)[:, None]
    logs = np.where(np.isnan(logs), -np.inf, logs)
    return logs, np.where(some, by_values, 0.0), np.where(some, by_theta, 0.0)


def _add(by_theta: Array, positions: Mapping[str, int], name: float | str, slope: Array) -> None:
    """Add to the derivative by a parameter, where what is said is one."""
    if isinstance(name, str):
        by_theta[:, positions[name]] += slope


def _add_memory(
    density: Posterior, values: Array, theta: Array, series: Series, by_values: Array, by_theta: Array
) -> Array:
    """Add the derivatives of what remembered residuals gain; the gain itself ``(n,)``."""
    positions = density.space.positions
    weights = np.array([term.weight for _, term, _ in density.measured(series)]) * series.fitted
    scores, phi = density.scores(series, values, theta), density.phi(series, theta)
    gain = np.where(series.fitted, series.log_gain(scores, phi) * weights, 0.0).sum(axis=1)
    by_score, by_phi = series.log_gain_slopes(scores, phi, weights)
    _add(by_theta, positions, series.memory.phi, by_phi)
    for column, (i, term, family) in enumerate(density.measured(series)):
        slots = density.slots[i]
        expected, spread = expected_numbers(term, values[:, slots]), density.spread(term.noise, theta)
        by_mean, by_spread = family.score_slopes(np.array(term.lower), expected[:, 0], spread)
        of_score = by_score[:, column]
        _add(by_theta, positions, term.noise.spread, of_score * by_spread)
        by_values[:, slots] += _of_count(term, values[:, slots], expected, (of_score * by_mean, of_score))[0]
    return np.asarray(gain)
