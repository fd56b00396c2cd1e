"""What can be said of an expectation: built in, informed or undecided, and by which thresholds."""

import math

import numpy as np
import pytest
from approved import approved
from scipy import stats

from cipark_sd.statements import claims
from cipark_sd.statements.claims import (
    BayesFactor,
    Evidence,
    Tally,
    bayes_factor,
    classify,
    count_sentence,
    over_structures,
    wilson,
)


def seen(prior, posterior=None, n=400, idle=False, structure="M0"):
    after = None if posterior is None else Tally(posterior * n, n)
    return Evidence(structure, Tally(prior * n, n), after, idle)


def test_the_thresholds_are_those_that_the_documents_name():
    assert (claims.BUILT_IN, claims.INFORMED, claims.CONFIDENCE, claims.IDLE) == (0.9, 3.0, 0.95, 0.9)


def test_intervals_of_shares_are_wilsons():
    for count, n in ((0, 50), (7, 50), (50, 50), (450, 500)):
        judge = stats.binomtest(count, n).proportion_ci(0.95, method="wilson")
        assert wilson(count, n) == pytest.approx((judge.low, judge.high), abs=1e-12)


@pytest.mark.parametrize(
    ("evidence", "kind", "side"),
    [
        # nothing the data could do would make it untrue
        ([seen(1.0, 1.0)], "built in", "for"),
        ([seen(0.95, 0.97)], "built in", "for"),
        # the interval of 0.91 in 400 draws reaches below 0.9, and that of 0.85 lies below it
        ([seen(0.91, 0.95)], "undecided", ""),
        ([seen(0.85, 0.9)], "undecided", ""),
        # the same two shares with the fit and its absence swapped are no longer the same
        ([seen(0.5, 0.9)], "informed", "for"),
        ([seen(0.9, 0.5)], "informed", "against"),
        # a factor of 1.5 is no information, nor is one of 3.0 that is not known well enough
        ([seen(0.5, 0.6)], "undecided", ""),
        ([seen(0.5, 0.75)], "undecided", ""),
        # odds of 1 and of 4.6: over 3 with 2000 draws, not with 100
        ([seen(0.5, 0.82, 2000)], "informed", "for"),
        ([seen(0.5, 0.82, 100)], "undecided", ""),
        # the other way round: odds of 1 and of 1 / 4.6
        ([seen(0.5, 0.18, 2000)], "informed", "against"),
        ([seen(0.5, 0.18, 100)], "undecided", ""),
        ([seen(0.5, 0.4)], "undecided", ""),
        ([seen(0.5, 0.25)], "undecided", ""),
        # what the equations deny
        ([seen(0.0, 0.0)], "built in", "against"),
        # data against what is built in are worth more than its being built in
        ([seen(0.97, 0.3)], "informed", "against"),
        # without data nothing is informed
        ([seen(0.5)], "undecided", ""),
        ([seen(1.0)], "built in", "for"),
    ],
)
def test_one_structure(evidence, kind, side):
    found = classify(evidence)
    assert (found.kind, found.side) == (kind, side)


@pytest.mark.parametrize(
    ("evidence", "kind"),
    [
        ([seen(1.0, 1.0), seen(0.99, 1.0)], "built in"),
        ([seen(1.0, 1.0), seen(0.5, 0.5)], "undecided"),
        ([seen(0.5, 0.95), seen(0.4, 0.9)], "informed"),
        ([seen(0.5, 0.95), seen(0.5, 0.5)], "undecided"),
        ([seen(0.5, 0.95), seen(0.9, 0.3)], "undecided"),
        # a structure without the mechanism has nothing to say to the data, but the sign is not in all structures
        ([seen(0.5, 0.95), seen(0.0, 0.0, idle=True)], "informed"),
        ([seen(1.0, 1.0), seen(0.0, 0.0, idle=True)], "undecided"),
        # a structure that has not been fitted leaves the answer open
        ([seen(0.5, 0.95), seen(0.5)], "undecided"),
        ([seen(0.0, 0.0, idle=True)], "undecided"),
    ],
)
def test_several_structures(evidence, kind):
    assert classify(evidence).kind == kind


def test_a_class_needs_enough_draws():
    # all of 30 are true, and yet 0.89 is possible
    assert classify([seen(1.0, n=30)]).kind == "undecided"
    assert classify([seen(1.0, n=40)]).kind == "built in"


def test_the_factor_is_posterior_odds_over_prior_odds():
    factor = bayes_factor(Tally(100, 400), Tally(300, 400))
    assert factor.value == pytest.approx(9)
    assert factor.low < 9 < factor.high
    turned = bayes_factor(Tally(300, 400), Tally(100, 400))
    assert (turned.value, turned.low, turned.high) == pytest.approx((1 / 9, 1 / factor.high, 1 / factor.low))


@pytest.mark.parametrize(
    ("prior", "posterior", "text"),
    [
        ((100, 400), (300, 400), "9 (5.7 to 14)"),
        ((200, 400), (400, 400), "over 86"),
        ((200, 400), (0, 400), "under 0.012"),
        ((0, 400), (200, 400), "over 86"),
        ((0, 400), (0, 400), "not bounded"),
        ((400, 400), (400, 400), "not bounded"),
    ],
)
def test_a_count_of_none_gives_a_bound(prior, posterior, text):
    assert str(bayes_factor(Tally(*prior), Tally(*posterior))) == text


def test_the_interval_of_the_factor_covers():
    rng = np.random.default_rng(1)
    p, q, n = 0.3, 0.8, 300
    true = q / (1 - q) / (p / (1 - p))
    factors = [bayes_factor(Tally(a, n), Tally(b, n)) for a, b in rng.binomial(n, (p, q), (2000, 2)).tolist()]
    assert np.mean([f.low <= true <= f.high for f in factors]) >= 0.95


def test_fewer_independent_draws_widen_the_interval_and_leave_the_share():
    few = Tally(80, 400).worth(100)
    assert few.share == 0.2
    assert few.interval == pytest.approx(wilson(20, 100))
    assert Tally(80, 400).worth(1e9) == Tally(80, 400)


def test_over_structures_the_widest_bounds_stand():
    factors = [bayes_factor(Tally(100, 400), Tally(300, 400)), bayes_factor(Tally(200, 400), Tally(400, 400))]
    spanned = over_structures(factors)
    assert (spanned.low, math.isinf(spanned.high)) == (factors[0].low, True)
    assert str(over_structures(factors[:1])) == str(factors[0])


def test_the_sentence_counts_classes_and_says_what_they_mean():
    found = [classify([seen(1.0, 1.0)])] * 3 + [classify([seen(0.5, 0.95)])] + [classify([seen(0.5, 0.5)])] * 2
    said = count_sentence(found)
    approved(said)
    unseen = count_sentence([classify([seen(1.0)])])
    approved(unseen)
    approved(count_sentence([classify([seen(1.0), seen(1.0)])]))


# --- the ends of what is said -----------------------------------------------------------------------------------------


def test_intervals_close_exactly_at_none_and_all() -> None:
    """And nowhere else."""
    assert wilson(0, 7)[0] == 0.0
    assert wilson(7, 7)[1] == 1.0
    assert 0 < wilson(0.1, 7)[0] < 0.01
    assert 0.99 < wilson(6.9, 7)[1] < 1
    assert (wilson(0, 7)[1], wilson(7, 7)[0]) == pytest.approx((0.3543, 0.6457), abs=1e-4)


def test_without_a_draw_nothing_is_known() -> None:
    assert math.isnan(Tally(0, 0).share)
    assert Tally(0, 0).interval == (0.0, 1.0)
    assert Tally(1, 2).worth(2) == Tally(1, 2)
    assert Tally(1, 2).worth(1) == Tally(0.5, 1)


@pytest.mark.parametrize(
    ("factor", "bounds", "text"),
    [
        (BayesFactor(4.0, 2.0, 8.0), "2 to 8", "4 (2 to 8)"),
        (BayesFactor(math.inf, 2.0, math.inf), "over 2", "over 2"),
        (BayesFactor(0.0, 0.0, 0.5), "under 0.5", "under 0.5"),
        (BayesFactor(math.nan, 0.0, math.inf), "not bounded", "not bounded"),
        # of several structures there is no one value
        (BayesFactor(math.nan, 2.0, 8.0), "2 to 8", "2 to 8"),
        (BayesFactor(4.0, 0.0, 8.0), "under 8", "under 8"),
        (BayesFactor(4.0, 2.0, math.inf), "over 2", "over 2"),
        (BayesFactor(14.0, 9.96, 10.4), "10 to 10", "14 (10 to 10)"),
        (BayesFactor(0.1234, 0.0123, 9.94), "0.012 to 9.9", "0.12 (0.012 to 9.9)"),
    ],
)
def test_a_factor_is_said_by_the_ends_that_it_has(factor, bounds, text):
    assert (factor.bounds, str(factor)) == (bounds, text)


@pytest.mark.parametrize(
    ("prior", "posterior", "value"),
    [
        ((0, 4), (0, 4), math.nan), ((4, 4), (4, 4), math.nan), ((0, 4), (4, 4), math.inf), ((0, 4), (2, 4), math.inf),
        ((4, 4), (0, 4), 0.0), ((4, 4), (2, 4), 0.0), ((2, 4), (4, 4), math.inf), ((2, 4), (0, 4), 0.0),
        ((1, 4), (3, 4), 9.0),
    ],
)  # fmt: skip
def test_odds_that_are_nothing_or_infinite(prior, posterior, value):
    found = bayes_factor(Tally(*prior), Tally(*posterior)).value
    assert found == pytest.approx(value, nan_ok=True)


def test_a_class_names_its_side_and_keeps_its_evidence():
    against = classify([seen(0.9, 0.5)])
    approved(str(against))
    approved(str(classify([seen(0.5, 0.9)])))
    assert against.evidence == (seen(0.9, 0.5),)
    assert classify([seen(1.0)]).evidence == (seen(1.0),)
    assert seen(0.5).factor is None


@pytest.mark.parametrize(("factor", "side"), [(3.0, "for"), (2.99, ""), (1 / 3, "against"), (0.34, "")])
def test_a_factor_of_exactly_three_informs(factor, side, monkeypatch):
    monkeypatch.setattr(Evidence, "factor", property(lambda self: BayesFactor(factor, factor, factor)))
    assert classify([seen(0.5, 0.5)]).side == side


@pytest.mark.parametrize(("interval", "side"), [
    ((0.75, 0.8), "for"), ((0.749, 0.8), ""), ((0.1, 0.25), "against"), ((0.1, 0.251), ""),
])  # fmt: skip
def test_an_interval_that_just_reaches_the_share_is_built_in(interval, side, monkeypatch):
    """Of three in four, which a computer holds exactly."""
    monkeypatch.setattr(claims, "wilson", lambda count, n: interval)
    monkeypatch.setattr(claims, "BUILT_IN", 0.75)
    assert classify([seen(0.5)]).side == side


def test_what_is_built_in_one_way_and_informed_the_same_is_built_in():
    assert (classify([seen(1.0, 1.0)]).kind, classify([seen(0.97, 0.3)]).kind) == ("built in", "informed")
    # a structure in which the policy does nothing speaks neither way of what the equations deny
    denied = classify([seen(0.0, 0.0), seen(0.5, 0.5, idle=True)])
    assert (denied.kind, denied.side) == ("built in", "against")
    assert classify([seen(1.0), seen(0.5, idle=True)]).kind == "undecided"
    assert (classify([]).kind, classify([]).side) == ("undecided", "")


def test_over_structures_there_is_one_value_only_where_there_is_one_structure():
    low, high = BayesFactor(2.0, 1.0, 3.0), BayesFactor(5.0, 0.5, 7.0)
    spanned = over_structures([low, high])
    assert math.isnan(spanned.value)
    assert (spanned.low, spanned.high) == (0.5, 7.0)
    assert over_structures([low]).value == 2.0


def test_the_sentence_of_no_expectation_is_one_all_the_same():
    approved(count_sentence([]))
    # one expectation that has seen data is enough for a count
    mixed = count_sentence([classify([seen(0.5)]), classify([seen(0.5, 0.95)])])
    approved(mixed)


def test_a_value_of_nothing_is_no_value():
    assert str(BayesFactor(0.0, 0.1, 0.5)) == "0.1 to 0.5"


def test_columns_have_the_posterior_where_there_is_one():
    before = seen(0.5)
    assert list(before.columns) == ["prior", "prior_low", "prior_high"]
    after = seen(0.5, 0.8)
    factor = after.factor
    assert factor is not None
    assert after.columns == {
        "prior": 0.5,
        **dict(zip(("prior_low", "prior_high"), after.prior.interval, strict=True)),
        "posterior": 0.8,
        **dict(zip(("posterior_low", "posterior_high"), after.posterior.interval, strict=True)),
        "bayes_factor": factor.value,
        "bayes_factor_low": factor.low,
        "bayes_factor_high": factor.high,
    }
