"""Headline records: what they say, that they come back as they were, and what is said where two differ."""

import json
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from approved import approved

from cipark_sd.base.records import WrongRecordError, from_plain, to_plain
from cipark_sd.base.wording import band
from cipark_sd.commands.report import disagreements, mixtures
from cipark_sd.pages.blocks import headline_table
from cipark_sd.statements.claims import Basis
from cipark_sd.statements.headline import HEAD, Bounds, Headline, Scale, cells, in_words, output, parameter, sentences

RATE = Headline(
    estimand=parameter("rate"),
    number=0.2034,
    unit="1/year",
    kind="MAP optimum",
    interval=Bounds(0.15, None, 0.9, "profile likelihood"),
    conditional_on=("pace = 1",),
    basis=None,
    command="cipark calibrate",
    model_digest="m" * 64,
    study_digest="s" * 64,
    seed=3,
    version="0.1.0",
)
DRAWN = replace(RATE, number=0.21, kind="median", basis=Basis("posterior", 400, converged=False), seed=4)
TWO = replace(
    RATE, interval=Bounds(0.203, 3.19, 0.95, "profile likelihood", ("bounded", "bounded"), gaps=((0.314, 0.7),))
)


def test_a_record_says_what_it_is_and_what_it_is_conditional_on() -> None:
    approved(str(RATE))
    assert DRAWN.estimate == "posterior median"
    approved(DRAWN.conditions)
    assert replace(DRAWN, basis=Basis("optimum", 1)).estimate == "best fit"
    assert replace(RATE, estimand=output("Firms", 9.5), title="firms left").name == "firms left (Firms at 9.5)"
    approved(dict(zip(HEAD, cells(RATE), strict=True))["from"])


@pytest.mark.parametrize(
    "record", [RATE, DRAWN, replace(DRAWN, basis=Basis("prior", 50)), replace(RATE, seed=None), TWO]
)
def test_a_record_comes_back_from_strict_json_as_it_was(record: Headline) -> None:
    text = json.dumps(to_plain(record), allow_nan=False)
    again = from_plain(Headline, json.loads(text))
    assert json.dumps(to_plain(again), allow_nan=False) == text
    assert repr(again) == repr(record)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "guess"}, "kind"),
        ({"number": "0.2"}, "number"),
        ({"number": True}, "number"),
        ({"number": "nan"}, "finite"),
        ({"colour": "red"}, "colour"),
        ({"interval": {"low": 0.1, "high": 0.3, "level": 95.0, "by": "x"}}, "between 0 and 1"),
        ({"interval": {"low": 0.4, "high": 0.3, "level": 0.5, "by": "x"}}, "in order"),
    ],
)
def test_what_is_no_record_is_refused_with_its_place(change: dict[str, object], message: str) -> None:
    with pytest.raises(WrongRecordError, match=message):
        from_plain(Headline, to_plain(RATE) | change)
    missing = to_plain(RATE)
    del missing["seed"]
    with pytest.raises(WrongRecordError, match="seed"):
        from_plain(Headline, missing)


def test_a_side_with_an_end_is_never_open() -> None:
    assert Bounds(0.1, 0.3, 0.9, "central draws").states == ("bounded", "bounded")
    assert Bounds(0.1, None, 0.9, "profile likelihood", states=("open", "closed")).states == ("bounded", "closed")
    plain = to_plain(RATE)
    assert plain["interval"]["states"] == ("bounded", "open")
    # as files of earlier versions have it
    assert from_plain(Headline, plain | {"interval": plain["interval"] | {"states": ["open", "open"]}}) == RATE


def test_records_are_frozen_and_kinds_are_told_apart() -> None:
    with pytest.raises(FrozenInstanceError):
        RATE.number = 1.0  # type: ignore[misc]


ASKED = replace(
    RATE,
    estimand=output("Firms", 9),
    title="firms",
    unit="firm",
    number=56.0,
    interval=Bounds(38.0, 82.0, 0.95, "profile likelihood"),
    prior=Bounds(8.3, 106.0, 0.95, "central draws"),
    reported="60",
    conditional_on=("the study's own structure", "Size[a] = 15", "Size[b] = 60", "pace = 1"),
)
EFFECT = replace(
    ASKED,
    estimand=output("Firms", 9, against="switch = 0"),
    title="effect of the operator",
    number=17.0,
    interval=Bounds(3.8, 47.0, 0.95, "profile likelihood"),
    prior=Bounds(1.6, 40.0, 0.95, "central draws"),
    reported="",
)


def test_what_was_reported_and_what_the_priors_say_stand_beside_a_number() -> None:
    approved(in_words(ASKED))
    approved(cells(ASKED)[1:3])
    approved(cells(EFFECT)[2])
    approved(in_words(replace(ASKED, prior=None, reported="")))


@pytest.mark.parametrize(("scale", "narrower"), [("identity", (True, False)), ("log", (False, False))])
def test_a_rate_and_the_time_that_is_its_reciprocal_are_narrowed_alike(
    scale: Scale, narrower: tuple[bool, bool]
) -> None:
    """An interval of which three quarters of the priors' are left on the logarithm, and less on the number itself."""
    ours, alone = (0.01, 15.0), (0.1, 80.0)
    turned = [(1 / high, 1 / low) for low, high in (ours, alone)]
    for pair, narrow in zip(((ours, alone), turned), narrower, strict=True):
        interval, prior = (Bounds(*ends, 0.9, "central draws") for ends in pair)
        record = replace(RATE, interval=interval, prior=prior, scale=scale)
        assert (record.standing != "not narrowed") is narrow


def test_a_share_is_narrowed_on_its_logits() -> None:
    def left_of(low: float, high: float) -> float:
        interval, prior = Bounds(low, high, 0.9, "x"), Bounds(0.02, 0.98, 0.9, "x")
        return replace(RATE, interval=interval, prior=prior, scale="logit").width_left

    assert left_of(0.0003, 0.1) == pytest.approx(np.log(0.1 / 0.9 * 0.98 / 0.02) / (2 * np.log(0.98 / 0.02)))
    assert [left_of(0.02, 0.5), left_of(0.5, 0.98)] == pytest.approx([0.5, 0.5])
    # an end of the scale is as far as none
    assert [left_of(0.0, 0.5), left_of(0.5, 1.0)] == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize(
    ("interval", "prior", "caution"),
    [
        # a range as wide as that of the priors, and a sign that these have already
        ((3.8, 47.0), (1.6, 40.0), ": its sign is assumed"),
        ((3.8, 20.0), (1.6, 40.0), ": its sign is assumed"),
        ((-47.0, -3.8), (-40.0, -1.6), ": its sign is assumed"),
        ((3.8, 47.0), (-1.6, 40.0), ": the data do not narrow it"),
        ((3.8, 20.0), (-1.6, 40.0), ""),
        # three tenths narrower is no narrower, more is
        ((0.0, 7.0), (-1.0, 9.0), ": the data do not narrow it"),
        ((0.0, 6.9), (-1.0, 9.0), ""),
        ((3.8, None), (-1.6, 40.0), ": the data do not narrow it"),
    ],
)
def test_an_effect_says_what_of_it_is_assumed(
    interval: tuple[float, float | None], prior: tuple[float, float], caution: str
) -> None:
    ours, alone = Bounds(*interval, 0.95, "profile likelihood"), Bounds(*prior, 0.95, "central draws")
    said = in_words(replace(EFFECT, number=interval[0], interval=ours, prior=alone))
    assert said.endswith(f"the priors alone say {' to '.join(alone.ends())}{caution}")
    assert (": no finding; the model says " in said) is ("its sign is assumed" in caution)
    # the sign of a level is no finding of anybody
    level = in_words(replace(EFFECT, interval=ours, prior=alone, estimand=output("Firms", 9)))
    assert "its sign" not in level


def test_what_all_numbers_are_given_stands_once_and_the_rest_with_each() -> None:
    alone = "assumptions alone after 2019-12-31"
    later = replace(ASKED, title="firms later", conditional_on=(*ASKED.conditional_on, alone))
    first, second, shared = sentences([ASKED, later])
    assert "given" not in first
    assert second.endswith(f"; given {alone}")
    approved(shared)
    approved(sentences([later])[0])
    table = headline_table([ASKED, later])
    approved(table.caption.replace("given", "Given"))
    column = table.head.index("conditional on")
    assert [row[column] for row in table.rows] == ["", f"given {alone}"]


def test_one_value_everywhere_is_no_disagreement() -> None:
    assert disagreements([("a", [RATE]), ("b", [replace(RATE, command="cipark policy")])]) == []
    # two estimates of one folder stand beside each other on its own page
    assert disagreements([("a", [RATE, DRAWN])]) == []


def test_estimates_of_one_kind_are_compared_where_all_folders_have_them() -> None:
    assert disagreements([("a", [RATE, DRAWN]), ("b", [RATE])]) == []
    (sentence,) = disagreements([("a", [RATE, DRAWN]), ("b", [RATE, replace(DRAWN, number=0.22, seed=5)])])
    assert "MAP optimum" not in sentence
    approved(sentence)
    # a third folder that shares no kind with the others is set beside all of them
    (sentence,) = disagreements([("a", [RATE]), ("b", [RATE]), ("c", [DRAWN])])
    assert sentence.count("MAP optimum") == 2


def test_two_values_of_one_estimand_are_told_with_all_that_differs() -> None:
    (sentence,) = disagreements([("fit", [RATE]), ("policies", [DRAWN])])
    approved(sentence)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model_digest": "x"}, "the model."),
        ({"study_digest": "x"}, "the study (data, priors or scenario)."),
        ({"conditional_on": ()}, "what the number is conditional on."),
        ({"version": "9"}, "the version of the program."),
        ({"unit": "1/day"}, "the unit."),
        ({}, "run its command again."),
    ],
)
def test_the_reason_of_a_difference_is_the_field_that_differs(change: dict[str, object], reason: str) -> None:
    other = replace(RATE, number=0.3, **change)  # type: ignore[arg-type]
    (sentence,) = disagreements([("a", [RATE]), ("b", [other])])
    assert sentence.endswith(reason)


def test_draws_models_and_studies_that_are_mixed_are_warned_of() -> None:
    prior = replace(DRAWN, basis=Basis("prior", 100), study_digest="")
    assert mixtures([("a", [RATE, DRAWN]), ("b", [DRAWN])]) == []
    (warning,) = mixtures([("a", [RATE, DRAWN]), ("b", [prior])])
    approved(warning)
    # a page without a number has a study behind it, too
    (studies,) = mixtures([("a", [DRAWN]), ("b", [])], {"a": DRAWN.study_digest, "b": "another"})
    assert studies.startswith("Numbers here rest on different studies (data, priors or scenario): ")
    assert studies.split(": ")[1].endswith("another in b. They are no results of one analysis.")
    assert mixtures([("a", [DRAWN]), ("b", [])], {"a": DRAWN.study_digest, "b": DRAWN.study_digest}) == []
    models = mixtures([("a", [RATE]), ("b", [replace(RATE, model_digest="x", study_digest="y")])])
    assert [text.split(": ")[0] for text in models] == [
        "Numbers here rest on different models",
        "Numbers here rest on different studies (data, priors or scenario)",
    ]


@pytest.mark.parametrize("apart", [0.3, 0.04, 1e-3, 1e-9, -1e-9, -0.04])
def test_numbers_that_differ_however_little_are_told(apart: float) -> None:
    (sentence,) = disagreements([("a", [RATE]), ("b", [replace(RATE, number=RATE.number + apart)])])
    assert sentence.startswith(f"{RATE.estimand} has several numbers: ")
    assert disagreements([("a", [RATE]), ("b", [replace(RATE)])]) == []


@pytest.mark.parametrize(
    ("low", "high", "states", "shown", "words"),
    [
        (1.0, 3.0, ("bounded", "bounded"), "1.0 to 3.0 (95%, profile likelihood)", ", between 1.0 and 3.0 (95%)"),
        (None, None, ("open", "open"), "open on both sides (95%, profile likelihood)",
         ", unbounded (at 95%)"),
        (1.0, None, ("bounded", "open"), "1 to open (95%, profile likelihood)",
         ", at least 1 (95%); the data leave the other side open"),
        (1.0, None, ("bounded", "not found"),
         "from 1, not found above (95%, profile likelihood; standard error 0.3)",
         ", at least 1 (95%); the other end was not found"),
        (None, None, ("not found", "not found"),
         "not found on both sides (95%, profile likelihood; standard error 0.3)",
         ", with no end of its range (not found on both sides, at 95%)"),
        (None, None, ("open", "not found"),
         "open below, not found above (95%, profile likelihood; standard error 0.3)",
         ", with no end of its range (open below, not found above, at 95%)"),
        (None, None, ("none", "none"), "no profile: the likelihood is a step function of it",
         "; the likelihood is a step function of it, which has no profile"),
        (None, None, ("not judged", "not judged"), "not judged (95%, profile likelihood)",
         ", with no range: the time step is too coarse"),
    ],
)  # fmt: skip
def test_each_state_of_a_side_has_its_own_words(
    low: float | None, high: float | None, states: tuple[str, str], shown: str, words: str
) -> None:
    """Open is said of no side but one that is open."""
    record = replace(RATE, number=2.0, interval=Bounds(low, high, 0.95, "profile likelihood", states, error=0.3))
    assert record.bounds == shown
    said = in_words(record)
    assert said.endswith(words)
    assert ("open" in shown) == ("open" in states)
    assert ("open" in said or "unbounded" in said) == ("open" in states)


def test_an_end_that_another_parameter_s_bound_gives_is_printed_with_it() -> None:
    """It is an end, the bound is its condition, and without that the number is not known: it may go on."""
    given = ("Payment Delay at least 1",)
    both = Bounds(241.6, 270.0, 0.95, "profile likelihood", ("closed", "bounded"), bounds=given)
    record = replace(RATE, number=250.0, unit="", interval=both, prior=Bounds(11, 3783, 0.95, "x"), scale="log")
    assert record.brief == "250 (95%: 242 to 270, with Payment Delay at least 1)"
    assert record.standing == "narrowed"
    assert replace(record, interval=replace(both, states=("bounded", "bounded"), bounds=())).standing == "known"
    assert "do not narrow" not in in_words(record)
    assert in_words(record).startswith("rate: 250, between 242 and 270 (95%), with Payment Delay at least 1")
    assert both.missing == ()
    one = replace(record, interval=Bounds(196.0, None, 0.95, "profile likelihood", ("closed", "open"), bounds=given))
    assert one.standing == "narrowed"
    assert one.brief.endswith("(95%: at least 196, with Payment Delay at least 1)")
    assert from_plain(Headline, json.loads(json.dumps(to_plain(one)))) == one


def test_draws_whose_ends_are_near_by_chance_make_no_number_known() -> None:
    """A factor of three decides, with both ends moved apart by their errors."""
    drawn = Bounds(6.1, 18.2, 0.9, "central draws", widest=(6.0, 18.1))
    record = replace(DRAWN, number=13.0, interval=drawn, prior=Bounds(0.1, 900, 0.9, "x"), scale="log")
    assert 18.2 / 6.1 < 3 < 18.1 / 6.0
    assert record.standing == "narrowed"
    assert replace(record, interval=replace(drawn, widest=(6.06, 18.1))).standing == "known"
    assert from_plain(Headline, json.loads(json.dumps(to_plain(record)))) == record


def test_a_number_that_is_one_in_all_draws_is_not_open() -> None:
    """The time of a peak that is always the first."""
    never, some = Bounds(0.0, 0.0, 0.9, "central draws"), Bounds(0.0, 4.0, 0.9, "central draws")
    record = replace(DRAWN, number=0.0, interval=never, prior=never, judged="undecided")
    assert record.standing == ""
    assert in_words(record).endswith("the priors alone say 0 to 0")
    moves = replace(record, interval=some, prior=some)
    assert moves.standing == "not narrowed"
    assert in_words(moves).endswith("the data do not narrow it")


def test_an_interval_around_two_optima_has_both_stretches() -> None:
    approved(TWO.bounds)
    approved(in_words(TWO))


@pytest.mark.parametrize(
    ("number", "interval", "shown"),
    [
        (1890.82, Bounds(None, None, 0.95, "profile likelihood", ("none", "none"), error=0.0625), "1890.82"),
        (1889.5, Bounds(1885.1, 1895.4, 0.95, "central draws"), "1890"),
        (1889.53, Bounds(1889.1, 1889.9, 0.95, "central draws"), "1889.53"),
        (1890.82, Bounds(None, None, 0.95, "profile likelihood"), "1891"),
        (740.0, Bounds(None, None, 0.95, "profile likelihood", ("not found", "not found"), error=49.0), "740"),
    ],
)
def test_digits_follow_the_interval_or_the_error_and_not_the_size(number: float, interval: Bounds, shown: str) -> None:
    assert replace(RATE, number=number, interval=interval, unit="").value == shown


@pytest.mark.parametrize("level", [0.0, 1.0, 1.5, 95.0, -0.5])
def test_a_level_is_a_share(level: float) -> None:
    with pytest.raises(ValueError, match=f"the level of an interval lies between 0 and 1, not at {level}"):
        Bounds(1.0, 2.0, level, "central draws")


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.0, 12.0, "0 to 12"),
        (1_234_567.0, 2_345_678.0, "1234567 to 2345678"),
        (-3.0, -2.0, "-3 to -2"),
        (0.5, 12.0, "0.50 to 12"),
        (-float("inf"), 12.0, "-inf to 12"),
    ],
)
def test_a_band_of_whole_numbers_has_all_their_digits(low: float, high: float, words: str) -> None:
    assert band(low, high) == words
