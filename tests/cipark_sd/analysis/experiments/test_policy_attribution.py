"""Factorials and Shapley values."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cipark_sd.analysis.experiments.definition import Factor, Outcome, Policy, Structure
from cipark_sd.analysis.experiments.draws import Draws
from cipark_sd.analysis.experiments.run import run_policies
from cipark_sd.analysis.experiments.settings import Setup
from cipark_sd.base.errors import InvalidValue
from cipark_sd.base.library import bundled
from cipark_sd.commands.policy.attribution import attribution, factorial, shapley_matrix
from cipark_sd.data.scenarios import Scenario
from cipark_sd.language.read.model_file import read_model

FACTORS = (
    Factor("framework", "", Scenario("", {"SW Framework": 0})),
    Factor("cmg", "", Scenario("", {"SW CMG": 0})),
    Factor("site", "", Scenario("", {"Infrastructure Delay": 2})),
)


def shapley_values(values):
    """``(…, k)`` of the values of all coalitions ``(…, 2**k)``."""
    return values @ shapley_matrix(values.shape[-1].bit_length() - 1).T


def coalitions(k, worth):
    """The worth of all coalitions by their bits."""
    return np.array([worth({i for i in range(k) if mask >> i & 1}) for mask in range(2**k)], dtype=float)


def by_permutations(values, k):
    """Shapley's definition: the mean of what a player adds over all orders of arrival."""
    found = np.zeros(k)
    orders = list(permutations(range(k)))
    for order in orders:
        mask = 0
        for player in order:
            found[player] += values[mask | 1 << player] - values[mask]
            mask |= 1 << player
    return found / len(orders)


def test_the_glove_game_gives_the_scarce_glove_two_thirds():
    """One left and two right gloves: Shapley and Shubik's example as in Roth (1988), The Shapley value."""
    values = coalitions(3, lambda s: min(len(s & {0}), len(s & {1, 2})))
    assert np.allclose(shapley_values(values), [2 / 3, 1 / 6, 1 / 6])


def test_the_airport_game_shares_each_stretch_among_those_who_need_it():
    """Littlechild and Owen (1973), Management Science 20, 370-372: costs 8, 11, 13, 18."""
    costs = [8, 11, 13, 18]
    values = coalitions(4, lambda s: max((costs[i] for i in s), default=0))
    assert np.allclose(shapley_values(values), [2, 3, 4, 9])


def test_a_vote_with_vetoes_is_shared_as_all_orders_of_arrival_share_it():
    """Two members with a veto and three without, three votes needed."""
    values = coalitions(5, lambda s: float({0, 1} <= s and len(s) >= 3))
    assert np.allclose(shapley_values(values), by_permutations(values, 5))


@settings(max_examples=30, deadline=None)
@given(arrays(float, (3, 16), elements=st.floats(-1e3, 1e3)))
def test_shapley_values_add_up_and_equal_the_definition(values):
    found = shapley_values(values)
    assert np.allclose(found.sum(axis=-1), values[:, -1] - values[:, 0], atol=1e-8)
    assert np.allclose(found[0], by_permutations(values[0], 4), atol=1e-8)


def test_a_factorial_has_all_combinations_once():
    policies = factorial(FACTORS)
    assert len({policy.scenario.overrides.get("sw_cmg", 1.0) for policy in policies}) == 2
    assert len({policy.id for policy in policies}) == 8
    assert dict(policies[-1].scenario.overrides) == {}
    assert len(policies[0].scenario.overrides) == 3


def test_a_variant_holds_in_all_combinations():
    variant = Policy("gate off", "", Scenario("", {"SW CMG Gate": 0}))
    assert all(policy.scenario.overrides["sw_cmg_gate"] == 0 for policy in factorial(FACTORS, variant))


def test_too_many_factors_are_refused():
    with pytest.raises(InvalidValue, match="1 to 12"):
        factorial(FACTORS * 5)


@pytest.fixture(scope="module")
def found():
    park = read_model(bundled())
    draws = Draws("M0", {"Pool Scale": np.array([0.4, 0.6, 0.9])}, "prior")
    outcomes = [
        Outcome("residents", "Residents", "Total Residents"),
        Outcome("share", "share", "Residents[SOE]", per="Total Residents"),
    ]
    result = run_policies(
        Setup(park), factorial(FACTORS), [Structure("M0", "")], {"M0": draws}, outcomes, [2019.9, 2030]
    )
    return result, attribution(result, FACTORS)


def test_in_the_park_shapley_values_sum_to_the_total_effect_of_each_draw(found):
    result, shares = found
    full, none = (result["residents"].sel(policy=name) for name in ("framework+cmg+site", "none"))
    assert np.allclose(shares["residents"].sum("factor"), full - none, rtol=1e-12)


def test_shares_of_something_are_not_attributed(found):
    assert "share" not in found[1]
