"""Headline records: what they say, that they come back as they were, and what is said where two differ."""

import json
from dataclasses import FrozenInstanceError, replace

import pytest

from cipark_sd.basis import Basis
from cipark_sd.headline import HEAD, Bounds, Headline, cells, disagreements, mixtures, output, parameter
from cipark_sd.records import WrongRecordError, from_plain, to_plain

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


def test_a_record_says_what_it_is_and_what_it_is_conditional_on() -> None:
    assert str(RATE) == (
        "parameter rate: 0.20 1/year [MAP optimum, 0.15 to open (90 %, profile likelihood); given pace = 1]"
    )
    assert DRAWN.estimate == "posterior median"
    assert DRAWN.conditions == "given pace = 1; posterior, 400 draws, not converged"
    assert replace(DRAWN, basis=Basis("laplace", 9)).estimate == "Laplace median"
    assert replace(RATE, estimand=output("Firms", 9.5), title="firms left").name == "firms left (Firms at 9.5)"
    assert dict(zip(HEAD, cells(RATE), strict=True))["from"] == "cipark calibrate, seed 3"


@pytest.mark.parametrize("record", [RATE, DRAWN, replace(DRAWN, basis=Basis("laplace", 50)), replace(RATE, seed=None)])
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


def test_records_are_frozen_and_kinds_are_told_apart() -> None:
    with pytest.raises(FrozenInstanceError):
        RATE.number = 1.0  # type: ignore[misc]


def test_one_value_everywhere_is_no_disagreement() -> None:
    assert disagreements([("a", [RATE]), ("b", [replace(RATE, command="cipark policy")])]) == []
    # two estimates of one folder stand beside each other on its own page
    assert disagreements([("a", [RATE, DRAWN])]) == []


def test_estimates_of_one_kind_are_compared_where_all_folders_have_them() -> None:
    assert disagreements([("a", [RATE, DRAWN]), ("b", [RATE])]) == []
    (sentence,) = disagreements([("a", [RATE, DRAWN]), ("b", [RATE, replace(DRAWN, number=0.22, seed=5)])])
    assert "MAP optimum" not in sentence
    assert sentence.endswith("They differ in the seed.")
    # a third folder that shares no kind with the others is set beside all of them
    (sentence,) = disagreements([("a", [RATE]), ("b", [RATE]), ("c", [DRAWN])])
    assert sentence.count("MAP optimum") == 2


def test_two_values_of_one_estimand_are_told_with_all_that_differs() -> None:
    (sentence,) = disagreements([("fit", [RATE]), ("policies", [DRAWN])])
    assert sentence.startswith("parameter rate has several numbers: 0.2034 1/year in fit (MAP optimum; given pace = 1)")
    assert "0.21 1/year in policies (posterior median; given pace = 1; posterior, 400 draws, not converged)" in sentence
    assert sentence.endswith("They differ in the kind of estimate, the draws and the seed.")


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


def test_an_unknown_quality_of_draws_is_no_difference() -> None:
    laplace = replace(DRAWN, basis=Basis("laplace", 50))
    other = replace(laplace, number=0.3, basis=Basis("laplace", 50, pareto_k=float("nan") * 1), seed=9)
    (sentence,) = disagreements([("a", [laplace]), ("b", [other])])
    assert sentence.endswith("They differ in the seed.")


def test_draws_models_and_studies_that_are_mixed_are_warned_of() -> None:
    prior = replace(DRAWN, basis=Basis("prior", 100), study_digest="")
    assert mixtures([("a", [RATE, DRAWN]), ("b", [DRAWN])]) == []
    (warning,) = mixtures([("a", [RATE, DRAWN]), ("b", [prior])])
    assert "different kinds of draws: posterior draws in a; draws from the priors in b." in warning
    models = mixtures([("a", [RATE]), ("b", [replace(RATE, model_digest="x", study_digest="y")])])
    assert [text.split(": ")[0] for text in models] == [
        "Numbers here rest on different models",
        "Numbers here rest on different studies (data, priors or scenario)",
    ]
