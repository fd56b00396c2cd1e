"""Value of information, and inputs that no data inform."""

import math

import numpy as np
import pytest

from cipark_sd.analysis.experiments.alternatives import partial
from cipark_sd.analysis.experiments.definition import Uncertainty
from cipark_sd.analysis.experiments.draws import Draws


def normal_case(n=4000, s1=2.0, s2=1.0):
    rng = np.random.default_rng(5)
    first, second = rng.normal(0, s1, n), rng.normal(0, s2, n)
    return first, second, np.stack([np.zeros(n), first + second])


def unit_loss(sd):
    """E[max(0, X)] of a normal around 0: sd / sqrt(2 pi)."""
    return sd / math.sqrt(2 * math.pi)


def test_partial_information_has_its_closed_form():
    first, second, utilities = normal_case()
    rng = np.random.default_rng(0)
    for known, sd in ((first, 2.0), (second, 1.0)):
        value, error = partial(utilities, known, rng=rng)
        assert value == pytest.approx(unit_loss(sd), abs=4 * error + 0.03)


def test_what_has_nothing_to_do_with_the_choice_is_worth_next_to_nothing():
    _, _, utilities = normal_case()
    value, _ = partial(utilities, np.random.default_rng(9).normal(size=4000), rng=np.random.default_rng(0))
    assert 0 <= value < 0.03


def test_a_group_is_worth_what_its_members_means_tell():
    groups = np.repeat([0.0, 1.0], 500)
    utilities = np.stack([np.zeros(1000), np.where(groups == 0, 3.0, -3.0)])
    value, _ = partial(utilities, groups, rng=np.random.default_rng(0))
    assert value == pytest.approx(1.5, rel=1e-6)


def test_a_curved_utility_has_its_closed_form():
    """E[max(0, X^2 - 1)] of a standard normal is twice its density at 1."""
    rng = np.random.default_rng(6)
    first, second = rng.normal(size=4000), rng.normal(size=4000)
    utilities = np.stack([np.zeros(4000), first**2 - 1 + second])
    value, error = partial(utilities, first, rng=rng)
    exact = 2 * math.exp(-0.5) / math.sqrt(2 * math.pi)
    assert value == pytest.approx(exact, abs=3 * error)
    assert error < 0.05 * exact


def test_the_error_of_a_worth_is_how_much_it_varies():
    rng = np.random.default_rng(7)
    values, errors = [], []
    for _ in range(40):
        first, second = rng.normal(0, 2, 400), rng.normal(0, 1, 400)
        value, error = partial(np.stack([np.full(400, 0.5), first + second]), first, rng=rng)
        values.append(value)
        errors.append(error)
    assert np.mean(errors) == pytest.approx(np.std(values, ddof=1), rel=0.35)
    # E[max(0.5, X)] - 0.5 of a normal with sd 2
    exact = 2 * math.exp(-0.03125) / math.sqrt(2 * math.pi) - 0.5 * (1 - 0.5 * (1 + math.erf(0.25 / math.sqrt(2))))
    assert np.mean(values) == pytest.approx(exact, abs=3 * np.std(values) / math.sqrt(40))


def test_nothing_is_worth_more_than_perfect_information_even_where_the_regression_misfits():
    rng = np.random.default_rng(8)
    x, y = rng.random(500), rng.random(500)
    utilities = np.stack([np.zeros(500), np.where((x > 0.5) == (y > 0.5), 30.0, -0.1) - 5 * x, 20 * x * y**4])
    whole = float(utilities.max(axis=0).mean() - utilities.mean(axis=1).max())
    for known in (x, y, x * y, x + y):
        assert 0 <= partial(utilities, known, rng=rng)[0] <= whole


def test_inputs_without_data_are_drawn_beside_the_others_and_fill_their_ranges():
    shock = Uncertainty("shock", "", "SW Pandemic", 0, 1, whole=True)
    leave = Uncertainty("exit", "", "Base Exit Rate", 0.0, 0.06)
    draws = Draws("M0", {"Pool Scale": np.linspace(0.4, 0.9, 100)}, "prior")
    widened = draws.widened((shock, leave), 0)
    assert np.array_equal(widened.values["pool_scale"], draws.values["pool_scale"])
    assert np.unique(widened.values["sw_pandemic"], return_counts=True)[1].tolist() == [50, 50]
    counts, _ = np.histogram(widened.values["base_exit_rate"], bins=np.linspace(0, 0.06, 101))
    assert (counts == 1).all()
    assert np.array_equal(draws.widened((), 0).values["pool_scale"], draws.values["pool_scale"])
