"""The log density of a problem's parameters with its gradient, for about five runs whatever their number.

The model goes forth and back through its steps (:mod:`cipark_sd.compiler.adjoint`); between the two the density of the
terms is differentiated by what the model says, and its slopes are what the outputs are weighed with.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.likelihood.autocorrelation import Series
from calibration.likelihood.posterior import Posterior
from calibration.likelihood.term_density import expected_numbers
from calibration.likelihood.term_slopes import TermSlopes, group_slopes
from calibration.study.observations import Breakdown, Count
from cipark_sd.arrays import Array


def log_posterior_and_gradient(density: Posterior, theta: Array) -> tuple[Array, Array]:
    """:meth:`Posterior.log_posterior` ``(n,)`` and its derivatives ``(n, k)`` by the parameters themselves.

    Where the density is zero the derivatives are 0.
    """
    theta = np.atleast_2d(np.asarray(theta, dtype=float))
    logs, gradient = density.space.log_prior(theta), np.zeros_like(theta)
    possible = np.isfinite(logs)
    if possible.any():
        likelihood, slopes = log_likelihood_and_gradient(density, theta[possible])
        logs[possible] += likelihood
        gradient[possible] = slopes + density.space.log_prior_slopes(theta[possible])
    logs = np.where(np.isnan(logs), -np.inf, logs)
    return logs, np.where(np.isfinite(logs)[:, None], gradient, 0.0)


def log_likelihood_and_gradient(density: Posterior, theta: Array) -> tuple[Array, Array]:
    """:meth:`Posterior.log_likelihood` ``(n,)`` and its derivatives ``(n, k)``.

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
            logs[places], by_values, by_theta = _of_values(density, density.reader.of_places(outputs, numbers), rows)
            by_outputs, by_numbers = density.reader.back(outputs, by_values.T, numbers)
        for name, slope in by_numbers.items():
            by_theta[:, density.space.names.index(name)] += slope
        gradient[places] = by_theta
        return by_outputs

    is_model = density.is_model
    slopes = density.runner.back(theta[:, is_model], density.reader.places, weigh)
    gradient[:, is_model] += slopes
    return logs, np.where(np.isfinite(logs)[:, None], gradient, 0.0)


@dataclass(frozen=True, eq=False)
class _Sums:
    """Derivatives added up: by the quantities ``(n, n_quantities)`` and directly by the parameters ``(n, k)``."""

    by_values: Array
    by_theta: Array

    def add(self, name: float | str, names: tuple[str, ...], slope: Array) -> None:
        """Add to the derivative by a parameter, where what is said is one."""
        if isinstance(name, str):
            self.by_theta[:, names.index(name)] += slope


def _of_values(density: Posterior, values: Array, theta: Array) -> tuple[Array, Array, Array]:
    """Log likelihood ``(n,)`` and its derivatives by ``values : (n, n_quantities)`` and directly by ``theta``."""
    names = density.space.names
    summands: dict[int, Array] = {}
    logs, sums = np.zeros(len(values)), _Sums(np.zeros_like(values), np.zeros_like(theta))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for group in density.groups:
            if not group.fitted:
                continue
            term, slots = group.first, group.slots
            weights = group.weights
            by_term = np.ascontiguousarray(values[:, slots].transpose(1, 2, 0))
            of_terms = density.group_log_density(group, by_term, theta)
            if group.counts is not None:
                summands[group.members[0]] = weights @ of_terms
            else:
                summands |= dict(zip(group.members.tolist(), weights[:, None] * of_terms, strict=True))
            spread, matrix = density.spread(term.noise, theta), density.matrix(term, theta)
            slopes = group_slopes(group, values[:, slots], spread, matrix)
            sums.by_values[:, slots] += slopes.by_values * weights[:, None]
            sums.add(term.noise.spread, names, slopes.by_spread @ weights)
            if isinstance(term, Breakdown):
                _add_coding(term, slopes, weights, theta, names, sums)
        # in the order of the terms, so that no last bit depends on which are computed together
        for place in sorted(summands):
            logs += summands[place]
        for series in density.series:
            logs += _add_memory(density, values, theta, series, sums)
    return np.where(np.isnan(logs), -np.inf, logs), *_possible(logs, sums)


def _possible(logs: Array, sums: _Sums) -> tuple[Array, Array]:
    """Derivatives where the density is above zero, and 0 elsewhere."""
    some = np.isfinite(logs)[:, None]
    return np.where(some, sums.by_values, 0.0), np.where(some, sums.by_theta, 0.0)


def _add_coding(
    term: Breakdown, slopes: TermSlopes, weights: Array, theta: Array, names: tuple[str, ...], sums: _Sums
) -> None:
    if term.coding is None or slopes.by_matrix is None:
        return
    for name, moved in term.coding.matrix_slopes(theta, names).items():
        sums.add(name, names, weights[0] * (slopes.by_matrix * moved).sum(axis=(1, 2)))


def _add_memory(density: Posterior, values: Array, theta: Array, series: Series, sums: _Sums) -> Array:
    """Add the derivatives of what remembered residuals gain; the gain itself ``(n,)``."""
    names = density.space.names
    weights = np.array([term.weight for _, term, _ in density.measured(series)]) * series.fitted
    scores, phi = density.scores(series, values, theta), density.phi(series, theta)
    gain = np.where(series.fitted, series.log_gain(scores, phi), 0.0) @ weights
    by_score, by_phi = series.log_gain_slopes(scores, phi, weights)
    sums.add(series.memory.phi, names, by_phi)
    for column, (i, term, family) in enumerate(density.measured(series)):
        slots = density.slots[i]
        mean, spread = expected_numbers(term, values[:, slots])[:, 0], density.spread(term.noise, theta)
        by_mean, by_spread = family.score_slopes(np.array(term.lower), mean, spread)
        of_score = by_score[:, column]
        sums.add(term.noise.spread, names, of_score * by_spread)
        sums.by_values[:, slots] += _through_ratio(term, values[:, slots], mean, of_score * by_mean)
    return np.asarray(gain)


def _through_ratio(term: Count, values: Array, mean: Array, slope: Array) -> Array:
    """From a derivative by what a count lies around to those by its quantities."""
    if term.denominator is None:
        return slope[:, None]
    return np.stack([slope / values[:, -1], -slope * mean / values[:, -1]], axis=1)
