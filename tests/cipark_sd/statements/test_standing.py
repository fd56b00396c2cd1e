"""The class of a number: both ends, one, none, one that was not found, and what the priors give alone."""

import math

import pytest

from cipark_sd.statements.standing import FACTOR, NARROW, SHARE, Ends, Scale, Standing, are_near, left, standing_of

#: Of a placeholder of new-study: 344-fold.
WIDE = (11.0, 3783.0)
#: An end that leaves this share of it, on the logarithm.
AT = {share: 11.0 * (3783.0 / 11.0) ** share for share in (1 - NARROW - 0.001, 1 - NARROW + 0.001)}


@pytest.mark.parametrize(
    ("ends", "standing"),
    [
        ((242.0, 270.0), "known"),
        ((100.0, 100.0 * FACTOR * 0.999), "known"),
        ((100.0, 100.0 * FACTOR * 1.001), "narrowed"),
        # a factor of thirty is not known
        ((130.0, 3700.0), "narrowed"),
        ((196.0, None), "narrowed"),
        ((None, 22.1), "narrowed"),
        ((AT[1 - NARROW + 0.001], None), "narrowed"),
        ((AT[1 - NARROW - 0.001], None), "not narrowed"),
        ((None, None), "not narrowed"),
        ((8.0, 5000.0), "not narrowed"),
        # what lies beside the priors' interval is not what they said
        ((5.0, 12.0), "known"),
        ((1.0, 12.0), "narrowed"),
    ],
)
def test_an_end_that_cuts_the_priors_interval_narrows_and_two_that_are_near_are_known(
    ends: Ends, standing: Standing
) -> None:
    assert standing_of(ends, WIDE, "log") == standing
    # a time and its reciprocal have one class
    turned = tuple(None if end is None else 1 / end for end in reversed(ends))
    assert standing_of((turned[0], turned[1]), (1 / WIDE[1], 1 / WIDE[0]), "log") == standing
    # nothing of the data is said where an end was not computed, whatever the other one is
    assert standing_of(ends, WIDE, "log", ends_found=False) == "not found"
    doubted = standing if standing == "not narrowed" else "doubted"
    assert standing_of(ends, WIDE, "log", doubted=True) == doubted
    assert standing_of(ends, WIDE, "log", sign_assumed=True) == "assumed"


def test_what_the_priors_alone_give_is_assumed_until_the_data_narrow_it() -> None:
    prior = (1.0, 1.0 * FACTOR * 0.99)
    assert standing_of((0.9, 4.0), prior, "log") == "assumed"
    assert standing_of((None, None), prior, "log") == "assumed"
    assert standing_of((1.4, 1.6), prior, "log") == "known"
    # draws come before ends, in both directions
    assert standing_of((242.0, 270.0), WIDE, "log", narrowed=False) == "not narrowed"
    assert standing_of((8.0, 5000.0), WIDE, "log", narrowed=True) == "narrowed"


@pytest.mark.parametrize(
    ("ends", "prior", "scale", "near"),
    [
        ((40.0, 77.0), (11.0, 84.0), "identity", True),
        ((-77.0, -40.0), (-84.0, 11.0), "identity", True),
        ((20.0, 77.0), (11.0, 84.0), "identity", False),
        # a date has no factor, and zero has none
        ((2011.0, 2016.0), (2010.0, 2018.0), "identity", False),
        ((2011.0, 2012.5), (2010.0, 2018.0), "identity", True),
        ((-1.0, 2.0), (-9.0, 9.0), "identity", True),
        ((-SHARE * 9.2, SHARE * 9.2), (-9.0, 9.0), "identity", False),
        ((0.0, 2.0), (0.0, 9.0), "identity", False),
        # odds of 1 to 4 and of 3 to 7
        ((0.2, 0.42), (0.02, 0.98), "logit", True),
        ((0.2, 0.5), (0.02, 0.98), "logit", False),
        ((0.9, 0.99), (0.02, 0.98), "logit", False),
        ((0.001, 0.0031), (0.0001, 0.5), "logit", False),
        ((0.0, 0.1), (0.02, 0.98), "logit", False),
        ((3.0, None), (1.0, 9.0), "log", False),
    ],
)
def test_ends_are_near_by_a_factor_by_odds_or_beside_the_priors(
    ends: Ends, prior: tuple[float, float], scale: Scale, near: bool
) -> None:
    assert are_near(ends, prior, scale) is near


def test_the_share_that_is_left_is_that_of_the_priors_interval() -> None:
    assert left((2.0, 5.0), (0.0, 10.0)) == pytest.approx(0.3)
    assert left((-5.0, 5.0), (0.0, 10.0)) == pytest.approx(0.5)
    assert left((None, 5.0), (0.0, 10.0)) == pytest.approx(0.5)
    assert left((None, None), (0.0, 10.0)) == left((-9.0, 99.0), (0.0, 10.0)) == 1.0
    assert left((20.0, 30.0), (0.0, 10.0)) == 0.0
    # priors without a width say all there is
    assert left((2.0, 2.0), (2.0, 2.0)) == 1.0
    assert left((2.0, 5.0), (-math.inf, math.inf)) == 0.0
    assert left((None, 5.0), (-math.inf, math.inf)) == 1.0
