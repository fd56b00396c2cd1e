"""Every sentence of a verdict and of a threshold, beside the numbers that lead to it."""

import math

import pytest
from approved import approved
from scipy import stats

from calibration.inference.profile.interval_rules import Threshold
from calibration.inference.profile.verdict import STEPWISE, Part, Side, Verdict, refused

STEP = Side("none", 2010.0, STEPWISE)
BOUNDED, OPEN = Side("bounded", 1.5), Side("open", 9.0)
CLOSED = Side("closed", 0.123456, "other at least 1")
JUMP, UNKNOWN = Side("not found", 2.5, "a jump"), Side("not found", math.nan, "a jump")


@pytest.mark.parametrize(("lower", "upper", "by", "words"), [
    (BOUNDED, BOUNDED, "the data", "bounded by the data"),
    (BOUNDED, BOUNDED, "the prior", "bounded by the prior"),
    (OPEN, OPEN, "the data", "not bounded by the data"),
    (OPEN, BOUNDED, "the data", "bounded from above only"),
    (OPEN, BOUNDED, "the prior", "bounded from above only, by the prior"),
    (BOUNDED, OPEN, "the data", "bounded from below only"),
    (BOUNDED, OPEN, "the prior", "bounded from below only, by the prior"),
    (CLOSED, BOUNDED, "the data",
     "bounded by the data, with other at least 1"),
    (BOUNDED, CLOSED, "the data",
     "bounded by the data, with other at least 1"),
    (CLOSED, CLOSED, "the data", "bounded by the data, with other at least 1"),
    (OPEN, CLOSED, "the data", "bounded from above only, with other at least 1"),
    (CLOSED, JUMP, "the data",
     "bounded from below by the data, with other at least 1; not found above (from 2.5): a jump"),
    (OPEN, JUMP, "the data", "open below; not found above (from 2.5): a jump"),
    (UNKNOWN, OPEN, "the data", "not found below: a jump; open above"),
    (JUMP, JUMP, "the data", "not found below (from 2.5): a jump; not found above (from 2.5): a jump"),
])  # fmt: skip
def test_what_a_profile_says(lower: Side, upper: Side, by: str, words: str) -> None:
    assert Verdict(lower, upper).words(by) == str(Verdict(lower, upper, by=by)) == words


def test_what_it_is_conditional_on_stands_around_it() -> None:
    verdict = Verdict(BOUNDED, OPEN, held=("switch", "date"), on_bound="lower")
    approved(str(verdict))
    assert Verdict(BOUNDED, OPEN).by == "the data"


@pytest.mark.parametrize(("lower", "upper", "interval"), [
    (BOUNDED, Side("bounded", 2.5), "1.5 to 2.5"), (OPEN, BOUNDED, "open to 1.5"), (BOUNDED, OPEN, "1.5 to open"),
    (CLOSED, BOUNDED, "0.123 to 1.5"), (BOUNDED, JUMP, "from 1.5, not found above"),
    (JUMP, JUMP, "not found on both sides"), (OPEN, JUMP, "open below, not found above"),
    (OPEN, OPEN, "open on both sides"), (STEP, STEP, "no profile"),
])  # fmt: skip
def test_an_interval_has_the_ends_that_were_found(lower: Side, upper: Side, interval: str) -> None:
    assert Verdict(lower, upper).interval == interval
    assert [side.limit is None for side in (BOUNDED, OPEN, CLOSED, JUMP)] == [False, True, False, True]


def part(low: float, high: float) -> Part:
    return Part(Side("bounded", low), Side("bounded", high), (low + high) / 2)


@pytest.mark.parametrize(("others", "interval", "gaps"), [
    ([(6.0, 8.0)], "1 to 2 or 6 to 8", ((2.0, 6.0),)),
    # stretches that meet or overlap leave nothing between them
    ([(2.0, 8.0)], "1 to 8", ()),
    ([(1.5, 1.8)], "1 to 2", ()),
    ([(6.0, 8.0), (3.0, 4.0)], "1 to 2 or 3 to 4 or 6 to 8", ((2.0, 3.0), (4.0, 6.0))),
])  # fmt: skip
def test_of_several_optima_the_interval_is_the_union(
    others: list[tuple[float, float]], interval: str, gaps: tuple[tuple[float, float], ...]
) -> None:
    verdict = Verdict.of([part(1.0, 2.0), *(part(*ends) for ends in others)])
    assert (verdict.interval, verdict.gaps) == (interval, gaps)
    assert verdict.alternatives == tuple((low + high) / 2 for low, high in others)


def test_a_step_function_has_no_profile() -> None:
    verdict = refused(2010.0)
    assert str(verdict) == STEPWISE == "no profile: the likelihood is a step function of it"
    assert {verdict.lower, verdict.upper} == {Side("none", 2010.0, STEPWISE)}
    # one side alone does not say it of both
    approved(str(Verdict(verdict.lower, BOUNDED)))


def test_thresholds_are_quantiles_of_chi_square_and_f() -> None:
    known, few, none = Threshold(0.9), Threshold(0.9, 6.0, 4.0), Threshold(0.9, 2.0, 0.0)
    assert known.rise == pytest.approx(stats.norm.ppf(0.95) ** 2 / 2)
    # the square of Student's t is F(1, n)
    assert few.rise == pytest.approx(3 * math.log(1 + stats.t.ppf(0.95, 4) ** 2 / 4))
    assert none.rise == math.inf
    # one degree of freedom is wide, and no less an interval
    assert Threshold(0.9, 3.0, 1.0).rise == pytest.approx(1.5 * math.log(1 + stats.t.ppf(0.95, 1) ** 2))
    approved(Threshold(0.9, 3.0, 1.0).words)
    approved(known.words)
    assert few.words == (
        f"a fall of the log density by {few.rise:.4g}, by F(1, 4), since the spread of the noise is estimated from 6 "
        "numbers"
    )
    approved(none.words)
    assert Threshold(0.9, 2.0, -1.0).rise == math.inf
    assert Threshold(0.9, 6.0, 1.0).rise < math.inf
