"""Importance sampling where log densities are flat, and where they are not."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from calibration.assess.rivals import unclear_terms
from calibration.inference.sample.importance import left_out_density, power_weights


def test_a_flat_density_weighs_all_draws_the_same():
    assert power_weights(np.full(400, -3.0), 0.8) == pytest.approx(np.full(400, 1 / 400))


def test_a_number_that_no_parameter_moves_is_predicted_as_well_without_it():
    assert left_out_density(np.full(400, -3.0)) == (-3.0, 0.0)


def test_equal_values_in_a_tail_leave_the_weights_as_they_are():
    logs = np.where(np.arange(1000) < 900, -5.0, -1.0)
    density, pareto_k = left_out_density(logs)
    # the harmonic mean of the likelihoods
    assert density == pytest.approx(-np.log(0.9 * np.exp(5) + 0.1 * np.exp(1)))
    assert pareto_k == np.inf
    weights = power_weights(logs, 1.25)
    assert weights[-1] / weights[0] == pytest.approx(np.exp(0.25 * 4))


def test_the_density_of_a_tail_that_can_be_fitted_is_that_of_the_term_left_out():
    """A normal mean with a flat prior, known from nine data: the tenth, left out, is normal about their mean."""
    rng = np.random.default_rng(2)
    data = rng.normal(size=10)
    draws = rng.normal(data.mean(), np.sqrt(1 / 10), 40_000)
    exact = stats.norm(data[:9].mean(), np.sqrt(1 + 1 / 9)).logpdf(data[9])
    density, pareto_k = left_out_density(stats.norm(draws, 1).logpdf(data[9]))
    assert density == pytest.approx(exact, abs=0.01)
    assert -0.5 < pareto_k < 0.5


def test_the_fewer_draws_are_worth_the_more_of_the_tail_is_smoothed():
    from arviz_stats.base import array_stats

    logs = stats.norm(np.random.default_rng(3).normal(1.5, 0.5, 4000), 1).logpdf(-0.5)
    for efficiency in (1.0, 0.1):
        expected = array_stats.loo(logs[None], r_eff=efficiency)
        assert left_out_density(logs, 1.0, efficiency) == pytest.approx([float(one) for one in expected[:2]])
    assert left_out_density(logs, 1.0, 0.1) != left_out_density(logs)


def test_a_term_that_is_unclear_under_one_rival_is_left_out_in_earnest_under_all():
    one, other = (SimpleNamespace(pareto_k=np.array(k)) for k in ([0.2, 0.9, 0.1], [0.69, 0.3, np.inf]))
    assert unclear_terms([one, other]) == [1, 2]


def test_power_weights_give_the_moments_of_the_power():
    """A normal density to the power of 0.8 is normal with a variance of 1 / 0.8."""
    draws = np.random.default_rng(1).normal(size=20_000)
    weights = power_weights(stats.norm.logpdf(draws), 0.8)
    assert weights.sum() == pytest.approx(1)
    assert weights @ draws**2 == pytest.approx(1.25, abs=0.05)
