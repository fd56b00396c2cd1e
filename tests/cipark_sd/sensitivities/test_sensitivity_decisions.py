"""Claims and choices over uncertain constants, and the estimator that reads single effects off a sample."""

from dataclasses import replace

import numpy as np
import pytest

from cipark_sd.claims import classify
from cipark_sd.experiments.definition import Catalogue, Expected, Outcome, Policy, Robustness, Uncertainty
from cipark_sd.frontends.model_file import read_model
from cipark_sd.scenarios import Scenario
from cipark_sd.sensitivities.deciding import Sampling, best_alternatives, claims_over_draws, with_classes
from cipark_sd.sensitivities.decisions import Choice, Claim, Decisions, decisions_of, read_decisions
from cipark_sd.sensitivities.evaluation import Output
from cipark_sd.sensitivities.factors import Factor, Factors
from cipark_sd.sensitivities.question import Question
from cipark_sd.sensitivities.ranking import Moment
from cipark_sd.sensitivities.sample import sample
from cipark_sd.sensitivities.slices import pooled_effects, single_effects
from cipark_sd.sensitivities.verdicts import choice_sentences, claim_sentences, deciding, evidence_of
from cipark_sd.study import find_study

DECAY = """
Stock= INTEG(-Stock*Rate*Switch,Start) ~ unit ~ |
Gone= INTEG(Stock*Rate*Switch,0) ~ unit ~ |
Start= 100 ~ unit ~ |
Rate= 0.15 ~ 1/Year ~ |
Switch= 1 ~ Dmnl ~ |
"""
LEFT = Outcome("left", "what is left", "Stock")
MORE = Claim("slow", LEFT, Expected("left", 2.0, "more"))
SLOW = Policy("slow", "Slow decay", Scenario("", {"Rate": 0.1}))
SAME = Policy("slow too", "Slow decay again", Scenario("", {"Rate": 0.1}))
BASE = Policy("base", "As it was")


def flat(name, low, high):
    return Factor(name, lambda shares: low + shares * (high - low))


@pytest.fixture
def study_of(write_mdl):
    model = read_model(write_mdl(DECAY, final=4, step=0.25))

    def make(**decisions):
        factors = Factors((flat("Start", 90, 110), flat("Rate", 0.05, 0.25)))
        asked = Decisions((BASE, SLOW, SAME), **decisions)
        moment = (Moment("end", 4.0),)
        return Question("decay", model, factors, (Output("level", "Stock"),), moment, Scenario(), decisions=asked)

    return make


def ishigami(shares):
    x = -np.pi + 2 * np.pi * shares
    return np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])


#: Of Ishigami's function: first-order indices in closed form.
EXACT = (0.3139, 0.4424, 0.0)


def test_single_effects_of_ishigami_are_met_within_the_stated_error(response_of):
    found = single_effects(sample(response_of(3, ishigami), n=4096, seed=1), seed=1)
    np.testing.assert_allclose(found["S1"][:, 0, 0], EXACT, atol=0.03)


def test_a_factor_that_does_nothing_is_not_blamed_for_another_among_seventy(response_of):
    """At 1024 points of Sobol's sequence some of 77 coordinates are far from independent; in a hypercube none are."""
    drawn = sample(response_of(77, lambda x: np.exp(2 * x[:, 5])), n=1024, seed=1)
    found = single_effects(drawn, seed=1)["S1"][:, 0, 0].to_numpy()
    assert found[5] == pytest.approx(1.0, abs=0.01)
    assert np.delete(found, 5).max() < 0.04


@pytest.mark.slow
def test_intervals_of_single_effects_cover(response_of):
    inside = []
    for seed in range(100):
        found = single_effects(sample(response_of(3, ishigami), n=1024, seed=seed), seed=seed)
        inside.append(np.abs(found["S1"][:, 0, 0] - EXACT) <= found["S1_conf"][:, 0, 0])
    assert np.mean(inside) >= 0.90


def test_runs_without_a_value_are_left_out_of_slices(response_of):
    def failing(shares):
        return np.where(shares[:, 1] > 0.9, np.nan, shares[:, 0])

    found = single_effects(sample(response_of(2, failing), n=1024, seed=1), seed=1)
    assert float(found["S1"][0, 0, 0]) == pytest.approx(1.0, abs=0.01)
    assert int(found["n_failed"][0, 0]) == pytest.approx(102, abs=2)


def test_an_output_that_does_not_vary_has_no_single_effects(response_of):
    found = single_effects(sample(response_of(2, lambda x: np.full(len(x), 3.0)), n=64, seed=1), seed=1)
    assert np.isnan(found["S1"]).all()


def test_what_decides_alone_has_an_index_of_one():
    shares = np.random.default_rng(1).random((1024, 2))
    first = (shares[:, 0] > 0.5).astype(float)
    index, _ = pooled_effects(np.stack([first, 1 - first], axis=1), shares, seed=1)
    np.testing.assert_allclose(index, [1.0, 0.0], atol=0.03)


def test_a_claim_is_true_in_the_share_of_draws_in_which_it_is_in_closed_form(study_of):
    """Slow decay leaves more than the drawn rate where that is over 0.1: in three quarters of its range."""
    found = claims_over_draws(study_of(claims=(MORE,)), Sampling(n=1024, seed=1))
    assert float(found["true"][0]) == pytest.approx(0.75, abs=0.001)
    assert float(found["true_low"][0]) < 0.75 < float(found["true_high"][0])
    assert [name for name, _, _ in deciding(found.isel(claim=0))] == ["Rate"]


def test_the_margin_of_a_claim_has_its_factor_and_its_direction(study_of):
    """Euler's method leaves Start (1 - Rate dt)^8 after two years."""
    claim = Claim("slow", LEFT, Expected("left", 2.0, "less", factor=0.5))
    found = claims_over_draws(study_of(claims=(claim,)), Sampling(n=1024, seed=1))
    left = [100 * (1 - rate * 0.25) ** 8 for rate in (0.1, 0.15)]
    assert float(found["margin"].sel(percentile=50)[0]) == pytest.approx(0.5 * left[1] - left[0], rel=0.02)
    assert float(found["true"][0]) == 0
    assert "; assumed by the model 1 (" in " ".join(claim_sentences(with_classes(found, found, None)))


def test_claims_are_classed_by_the_same_rule_as_policies(study_of):
    """Three quarters of the priors' draws and all of a narrower range: odds of 3, and more than can be counted."""
    study = study_of(claims=(MORE,))
    prior = claims_over_draws(study, Sampling(n=1024, seed=1))
    fitted = replace(study, factors=Factors((*study.factors.blocks[:-1], flat("Rate", 0.15, 0.2))))
    after = claims_over_draws(fitted, Sampling(n=1024, seed=1))
    at = with_classes(after, prior, 400).isel(claim=0)
    evidence = evidence_of(at)
    assert evidence.prior.share == pytest.approx(0.75, abs=0.001)
    assert (evidence.posterior.share, evidence.posterior.n) == (1, 400)
    assert classify([evidence]).kind == "informed"
    assert evidence.factor.low > 20
    assert not evidence.idle
    said = list(claim_sentences(with_classes(after, prior, 400)))
    assert "informed by the data 1 (" in said[0]
    assert (
        "informed by the data, probability 0.75 under the priors and 1.00 after the fit; Bayes factor over" in said[1]
    )
    # without a fit the same claim is undecided, and it says so
    assert "informed by the data none, since" in next(iter(claim_sentences(with_classes(prior, prior, None))))


def test_a_claim_about_a_policy_that_does_nothing_is_known_as_such(study_of):
    found = claims_over_draws(study_of(claims=(replace(MORE, policy="base"),)), Sampling(n=64, seed=1))
    assert float(found["same"][0]) == 1
    assert evidence_of(with_classes(found, found, None).isel(claim=0)).idle


def test_a_share_is_one_variable_by_another(study_of):
    """What is left over what is gone: above one for slow decay in all draws."""
    share = Outcome("share", "left by gone", "Stock", per="Gone")
    claim = Claim("slow", share, Expected("share", 2.0, "more", than="slow", factor=0.5))
    found = claims_over_draws(study_of(claims=(claim,)), Sampling(n=64, seed=1))
    left = (1 - 0.1 * 0.25) ** 8
    np.testing.assert_allclose(found["margin"][:, 0], 0.5 * left / (1 - left), rtol=1e-9)


def test_equal_alternatives_share_a_draw_and_the_best_changes_with_what_decides(study_of):
    found = best_alternatives(
        study_of(choices=(Choice(LEFT, 2.0, ("base", "slow", "slow too")),)), Sampling(n=1024, seed=1)
    )
    best = found["best"].isel(choice=0).to_series()
    np.testing.assert_allclose(best[["base", "slow", "slow too"]], [0.25, 0.375, 0.375], atol=0.001)
    assert float(found["changes"][0]) == pytest.approx(1 - 0.375, abs=0.001)
    index = found["S1"].isel(choice=0).to_series()
    assert index["Rate"] == pytest.approx(1.0, abs=0.01)
    assert index["Start"] == pytest.approx(0.0, abs=0.03)
    assert float(found["best_at_low"].sel(parameter="Rate", alternative="base")[0]) == pytest.approx(1.0)
    assert "Slow decay 38%" in " ".join(choice_sentences(found))


def test_less_is_best_where_it_is_wanted(study_of):
    found = best_alternatives(
        study_of(choices=(Choice(replace(LEFT, better="less"), 2.0, ("base", "slow")),)), Sampling(n=256, seed=1)
    )
    assert float(found["best"].sel(alternative="base")[0]) == pytest.approx(0.75, abs=0.01)


def test_a_constant_that_is_uncertain_for_decisions_only_is_drawn_unless_an_alternative_sets_it(study_of):
    claims, uncertain = (MORE,), (Uncertainty("s", "", "Switch", 0.5, 1),)
    found = claims_over_draws(study_of(claims=claims, uncertainties=uncertain), Sampling(n=64, seed=1))
    assert found["parameter"].to_numpy().tolist() == ["Start", "Rate", "Switch"]
    set_by_one = (Uncertainty("r", "", "Rate", 0, 1),)
    found = claims_over_draws(study_of(claims=claims, uncertainties=set_by_one), Sampling(n=64, seed=1))
    assert found["parameter"].to_numpy().tolist() == ["Start", "Rate"]


def test_a_catalogue_becomes_claims_and_choices():
    outcome = Outcome("debt", "Debt", "Stock", better="less", low=0.0)
    policy = Policy("E1", "No switch", Scenario("", {"Switch": 0}), (Expected("debt", 2.0, "less", factor=0.5),))
    strategies = (Policy("a", "A", Scenario("", {"Rate": 1})), Policy("b", "B"))
    catalogue = Catalogue(
        title="",
        digest="",
        outcomes=(outcome,),
        times=(2.0,),
        headline=("debt", 2.0),
        policies=(Policy("base", "As it was"), policy),
        rivals=(),
        strategies=strategies,
        uncertainties=(Uncertainty("w", "Whole", "Start", 1, 3, whole=True),),
        robustness=Robustness("debt", 2.0, ("a", "b"), (), 10, 1),
    )
    found = decisions_of(catalogue)
    assert found.claims == (Claim("E1", outcome, policy.expected[0]),)
    assert str(found.claims[0]) == "E1: Debt at 2 less than 0.5 times base"
    assert found.choices == (Choice(outcome, 2.0, ("a", "b")),)
    assert str(found.choices[0]) == "least Debt at 2"
    assert [policy.id for policy in found.policies] == ["base", "E1", "a", "b"]
    np.testing.assert_array_equal(found.uncertainties[0].quantile(np.array([0.0, 0.34, 0.99, 1.0])), [1, 2, 3, 3])


def test_all_expectations_of_the_parks_policies_are_claims():
    park = find_study(None)
    decisions = read_decisions(park.folder, park.model)
    named = {claim.policy for claim in decisions.claims}
    assert {f"E{number}" for number in range(1, 21)} <= named
    assert len(decisions.choices) == 2
