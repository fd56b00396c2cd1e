"""What a fit is conditional on, word for word and number for number, from verdicts that are made up."""

import math
from dataclasses import replace

import pytest
from approved import approved

from calibration.inference.judge.conditions import (
    Conditions,
    ParameterVerdict,
    conditions_record,
    held_table,
    wanted_words,
)
from calibration.inference.judge.held import Held, HeldConstants
from calibration.inference.judge.residuals import Runs
from calibration.inference.profile.verdict import Side, Verdict

BOUNDED = Verdict(Side("bounded", 1.0), Side("bounded", 2.0))
OPEN = Verdict(Side("open", 1.0), Side("open", 2.0))


def held(name: str, p: float, *, score: float = 3.0) -> Held:
    return Held(name, 2.0, "model file", 1.0, score, p, (("a", 0.0),), (("a", 1.0),))


def verdict(**changes: object) -> ParameterVerdict:
    plain = ParameterVerdict("a", BOUNDED, (), 1.0, 0.0, (), 0.0, 1.0, 1.0, at_bound=False)
    return replace(plain, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(("changes", "words"), [
    ({}, "bounded by the data"),
    ({"by_data": 0.5}, "bounded by the data"),
    ({"by_data": 0.49, "leaning_on": ("b", "c")}, "bounded by the data with the priors of b and c"),
    ({"by_data": 0.49}, "bounded by the data with the priors of the others together"),
    ({"by_own_prior": 0.5}, "bounded by the data"),
    ({"by_own_prior": 0.51}, "bounded by the data; the estimate comes mainly from the prior"),
    ({"profile": None}, ""),
    ({"profile": None, "at_bound": True}, "at a bound"),
    ({"profile": None, "by_own_prior": 0.51}, "the estimate comes mainly from the prior"),
    ({"profile": None, "held": (held("z", 0.5),)}, "given z = 2"),
    ({"profile": None, "at_bound": True, "held": (held("z", 0.5),)}, "at a bound, given z = 2"),
])  # fmt: skip
def test_a_verdict_in_words(changes: dict[str, object], words: str) -> None:
    assert str(verdict(**changes)) == words


def all_of(*parameters: ParameterVerdict, constants: tuple[Held, ...] = (), why_not: str = "") -> Conditions:
    return Conditions(parameters, HeldConstants(constants, why_not), (), ())


def test_another_optimum_is_named_with_the_values_that_differ() -> None:
    double = replace(BOUNDED, gaps=((1.2, 1.5),), alternatives=(1.234567,))
    said = all_of(verdict(name="a", profile=double), verdict(name="b"), verdict(name="c", profile=None)).warnings
    approved(said)
    assert all_of(verdict(name="b")).warnings == ()
    approved(str(double))
    approved(double.interval)


@pytest.mark.parametrize(("shift", "loud"), [(0.3, False), (0.31, True), (float("nan"), False), (float("inf"), True)])
def test_a_coarse_step_is_said_before_all_else(shift: float, loud: bool) -> None:
    said = replace(all_of(verdict()), shift=shift)
    assert bool(said.first) == loud
    assert conditions_record(said)["warnings"] == ([said.first] if loud else [])


def test_remarks_word_for_word() -> None:
    resting = (held("z", 0.5),)
    first, why = all_of(
        verdict(name="a", held=resting), verdict(name="b", held=resting), verdict(name="c"), why_not="no test was made"
    ).remarks
    approved(first)
    approved(why)
    approved(all_of(verdict(name="a", held=resting)).remarks[0])
    assert all_of(verdict()).remarks == ()


@pytest.mark.parametrize(("distance", "words"), [
    (2.04, "The estimate of a, 1.235, lies 2.0 prior standard deviations above its prior median 9.877."),
    (-3.0, "The estimate of a, 1.235, lies 3.0 prior standard deviations below its prior median 9.877."),
    (2.0, ""), (-2.0, ""),
])  # fmt: skip
def test_a_far_estimate_is_warned_of(distance: float, words: str) -> None:
    found = all_of(verdict(distance=distance, estimate=1.23456, median=9.87654)).warnings
    assert len(found) == bool(words)
    assert all(warning.startswith(words) for warning in found)


def test_a_call_of_the_data_word_for_word() -> None:
    first = held("b", 0.001, score=-9.0)
    (alone,) = wanted_words(HeldConstants((first,)))
    assert first.toml in alone
    approved(alone)
    several = (first, *(held(name, 0.001, score=score) for name, score in (("c", 8.0), ("d", -7.0), ("e", 6.0))))
    said, others = wanted_words(HeldConstants(several))
    approved(said)
    approved(others)
    approved(wanted_words(HeldConstants(several[:3]))[1])
    approved(wanted_words(HeldConstants(several[:2]))[0])
    assert wanted_words(HeldConstants(())) == []


def test_the_record_has_every_number_of_a_condition() -> None:
    constant = replace(held("z", 0.001), source="prior", influence=3.0)
    untested = replace(held("y", math.nan, score=math.nan), influence=0.5)
    found = Conditions(
        (verdict(name="a", held=(constant,), by_data=0.7, by_own_prior=0.2, leaning_on=("b",), distance=1.5),
         verdict(name="c", distance=math.inf, profile=OPEN)),
        HeldConstants((untested, constant)), (Runs("left", 8, 2, 3, False),), (),
    )  # fmt: skip
    (runs,) = found.runs
    written = conditions_record(found)
    assert written["parameters"] == {
        "a": {
            "verdict": "bounded by the data, given z = 2", "conditional_on": {"z": 2.0}, "share_of_data": 0.7,
            "share_of_own_prior": 0.2, "leans_on_priors_of": ["b"], "prior_sds_from_median": 1.5,
        },
        "c": {
            "verdict": "not bounded by the data", "conditional_on": {}, "share_of_data": 1.0, "share_of_own_prior": 0.0,
            "leans_on_priors_of": [], "prior_sds_from_median": None,
        },
    }  # fmt: skip
    assert written["score_tests"] == 1
    assert written["data_ask_for"] == {"z": {"held_at": 2.0, "asks_for": "larger", "p": 0.001, "p_adjusted": 0.001}}
    assert written["runs"] == [
        {
            "observation": "left", "above": 8, "below": 2, "runs": 3, "p_few_runs": runs.few_runs,
            "p_one_sided": runs.one_sided,
        }
    ]  # fmt: skip
    assert (written["warnings"], written["remarks"]) == (list(found.warnings), list(found.remarks))
    assert written["running_totals_fitted_as_levels"] == []
    strong, weak = held_table(found.held)
    assert strong == {
        "constant": "z", "held_at": 2.0, "from": "prior", "influence": 3.0, "score": 3.0, "p": 0.001,
        "p_adjusted": 0.001, "shifts a": 0.0,
    }  # fmt: skip
    assert (weak["constant"], weak["score"], weak["p"], weak["p_adjusted"]) == ("y", None, None, None)
    assert found.of("a") is found.parameters[0]
    assert found.of("b") is None
