"""The box at the top of the page of a fit: its numbers are those of the records, and its sentences are counted."""

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from small_study import rival, small_study

from calibration.commands.pipeline import calibrate
from calibration.commands.settings import Settings
from calibration.report.collect import fit_findings
from calibration.report.findings import Findings, Fit
from calibration.report.output import page, write
from calibration.report.record import fitted_scenario
from calibration.report.sections import answer
from calibration.report.study_facts import study_facts
from cipark_sd import headline
from cipark_sd.headline import Bounds
from cipark_sd.pages.blocks import Answer
from cipark_sd.pages.parts import Pictures
from cipark_sd.scenarios import override_key, read_scenario
from cipark_sd.simulation import simulate


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("answer")
    small_study(folder)
    return folder


@pytest.fixture(scope="module")
def fit(folder: Path) -> Fit:
    return fit_findings(calibrate(Settings(study=folder, engine="native", starts=4)))


def box(findings: Findings) -> Answer:
    (block,) = (
        block
        for section in page(findings, Pictures()).sections
        for block in section.blocks
        if isinstance(block, Answer)
    )
    return block


def test_the_page_begins_with_numbers_their_range_and_how_well_it_fits(fit: Fit, tmp_path: Path) -> None:
    findings = Findings(fit)
    found = box(findings)
    records = answer.leading(findings)
    assert 1 <= len(records) <= answer.NUMBERS
    for record in records:
        (line,) = (text for text in found.numbers if text.startswith(record.title or record.estimand[10:]))
        assert record.value in line
        assert record.interval is not None
        assert record.interval.low is not None
        low, high = record.interval.ends()
        assert f"between {low} and {high} " in line
        # two digits of its width at most, and the number as many
        assert max(len(number.strip("-0.").replace(".", "")) for number in (low, high)) <= 3
    judged = [row for row in fit.rows if row.use == "fit" and math.isfinite(row.low)]
    inside = [row for row in judged if row.low <= row.upper and row.lower <= row.high]
    assert found.fit.startswith(
        f"Fit: {len(inside)} of {len(judged)} fitted numbers lie within the 90 % band of the noise."
    )
    assert "Each range is of one number by itself." in found.cannot
    write(findings, tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert text.index('class="answer"') < text.index("<nav")
    assert (tmp_path / "answer.svg").is_file()


def test_a_row_outside_its_band_is_counted(fit: Fit) -> None:
    first = next(row for row in fit.rows if row.use == "fit" and math.isfinite(row.low))
    far = replace(first, lower=first.high + 1, upper=first.high + 1)
    changed = replace(fit, rows=tuple(far if row is first else row for row in fit.rows))
    before, after = (int(answer.fit_words(one).split()[1]) for one in (fit, changed))
    assert after == before - (first.low <= first.upper and first.lower <= first.high)


@pytest.mark.parametrize(
    ("lower", "upper", "inside"),
    [(-2, -1, 0), (-2, 0, 1), (-2, 0.5, 1), (0.2, 0.8, 1), (0.5, 3, 1), (1, 3, 1), (2, 3, 0), (-2, 3, 1)],
)
def test_a_number_that_is_known_as_an_interval_counts_where_it_meets_the_band(
    fit: Fit, lower: float, upper: float, inside: int
) -> None:
    """Ends in units of the band: 0 is its lower end, 1 its upper one."""
    row = next(row for row in fit.rows if row.use == "fit" and math.isfinite(row.low))
    ends = [row.low + (row.high - row.low) * share for share in (lower, upper)]
    one = replace(fit, rows=(replace(row, lower=ends[0], upper=ends[1]),))
    assert answer.fit_words(one).startswith(f"Fit: {inside} of 1 fitted numbers lie within")


@pytest.mark.parametrize(
    ("rivals", "words"),
    [
        ((), ""),
        (("one",), "whether the rival structure fits as well"),
        (("one", "two"), "whether any of 2 rival structures fits as well"),
    ],
)
@pytest.mark.parametrize("compared", [False, True])
def test_rival_structures_that_were_not_compared_are_named(
    fit: Fit, rivals: tuple[str, ...], words: str, compared: bool
) -> None:
    assessed = SimpleNamespace(comparison=("something",) if compared else (), rolling=None)
    findings = SimpleNamespace(
        fit=replace(fit, study=replace(fit.study, rivals=rivals, holdout=())), assessment=assessed
    )
    said = " ".join(answer.untested(findings))
    assert (words in said) if words and not compared else (said == "")
    assert not said or said.startswith("Not tested in this run: whether ")


def test_open_sides_and_missing_ranges_are_said_in_words(fit: Fit) -> None:
    record = answer.leading(Findings(fit))[0]
    for interval, words in (
        (None, "with no range computed for it"),
        (Bounds(None, None, 0.95, "x"), "bounded on neither side by the data (at 95 %)"),
        (Bounds(1.5, None, 0.95, "x"), "at least 1.5 (95 %); the data leave the other side open"),
        (Bounds(None, 1.5, 0.95, "x"), "at most 1.5 (95 %); the data leave the other side open"),
        (Bounds(1.5, 23.456, 0.9, "x"), "between 1.5 and 23 (90 %)"),
    ):
        assert headline.in_words(replace(record, interval=interval)).endswith(words)
    both = [replace(record, conditional_on=("a = 1",)), replace(record, conditional_on=("a = 1",), title="other")]
    assert headline.sentences(both)[-1] == "All of these given a = 1."
    assert headline.sentences([both[0], replace(record, conditional_on=())])[0].endswith("; given a = 1")


def test_what_was_not_asked_stands_in_one_line_at_the_end_and_nowhere_else(fit: Fit) -> None:
    sections = page(Findings(fit), Pictures()).sections
    titles = [section.title for section in sections]
    assert titles.index("Not run") == len(titles) - 2
    (block,) = sections[-2].blocks
    assert "--posterior" in repr(block)
    assert "Not asked for" not in repr(sections[:-2])
    assert "What the data say. '" not in repr(sections)


def test_the_fitted_scenario_runs_the_model_at_the_estimate(fit: Fit, folder: Path, tmp_path: Path) -> None:
    write(Findings(fit), tmp_path)
    scenario = read_scenario(tmp_path / "fitted.toml")
    fitted = {
        p.name: v for p, v in zip(fit.study.space, fit.optimum.theta.tolist(), strict=True) if p.target == "model"
    }
    for name, value in fitted.items():
        assert scenario.overrides[override_key(name)] == value
    held = json.loads(fit.study.scenario).get("set", {})
    assert set(scenario.overrides) == set(held) | set(map(override_key, fitted))
    run = simulate(folder / "leaving.mdl", scenario)
    ((observation, course),) = fit.curves.courses.items()
    assert observation
    np.testing.assert_allclose(course, np.interp(fit.curves.times, run["time"], run["left"]), rtol=1e-12)
    timed = replace(
        fit, study=replace(fit.study, scenario='{"final_time": 9.0, "set": {"pace": 1.5, "a": [1.0, 2.0]}}')
    )
    (tmp_path / "timed.toml").write_text(fitted_scenario(timed), encoding="utf-8")
    read = read_scenario(tmp_path / "timed.toml")
    assert (read.final_time, read.overrides["pace"], read.overrides["a"]) == (9.0, 1.5, (1.0, 2.0))


def test_the_structure_of_the_study_itself_is_no_other_one(fit: Fit, tmp_path: Path) -> None:
    problem = small_study(tmp_path, rival("base") + rival("slow", "pace = 0.05") + rival("fast", "pace = 0.5"))
    facts = study_facts(problem)
    assert facts.rivals == ("slow", "fast")
    said = box(Findings(replace(fit, study=facts))).cannot
    assert "Not tested in this run: whether any of 2 rival structures fits as well" in said


ASKED = """
[[prediction]]
name = "left later"
variable = "left"
at = 10
[[prediction]]
name = "left at the end"
variable = "left"
at = 8
[[prediction]]
name = "slower"
variable = "left"
at = 8
against = { pace = 0.5 }
[report]
question = "How many left?"
"""


def test_numbers_within_the_data_come_first_with_what_was_reported_and_the_priors(tmp_path: Path) -> None:
    small_study(tmp_path, ASKED)
    fit = fit_findings(calibrate(Settings(study=tmp_path, engine="native", starts=4)))
    found = box(Findings(fit))
    assert found.question == "How many left?"
    end, slower, later, shared = found.numbers
    seen = sum(row.lower for row in fit.rows)
    assert end.startswith(f"left at the end: {seen:.0f} reported; the model says ")
    assert "; the priors alone say " in end
    assert "reported" not in slower
    assert slower.endswith("its sign is assumed")
    assert later.startswith("left later: ")
    assert later.endswith("; given assumptions alone after 8")
    assert shared == "All of these given pace = 1."
    # a row that was looked at and not fitted leaves the last date as it was
    looked_at = replace(fit.rows[-1], use="check")
    earlier = replace(fit, rows=(*fit.rows[:-1], looked_at))
    assert box(Findings(earlier)).numbers[-1] == "All of these given pace = 1, assumptions alone after 7."


def seen(end: float, lower: float, use: str = "fit") -> Any:
    return SimpleNamespace(end=end, lower=lower, use=use)


def drawn(courses: dict[str, list[float]], **levels: list[Any]) -> Any:
    """Two observations of which a fit may have courses and numbers; dates of 2019 count in years."""
    entries = (SimpleNamespace(name="first"), SimpleNamespace(name="second"))
    curves = SimpleNamespace(
        times=np.array([1.0, 2.0, 3.0]), courses={name: np.array(course) for name, course in courses.items()},
        levels=levels,
    )  # fmt: skip
    calendar = SimpleNamespace(label=lambda time: f"{time:g}")
    return SimpleNamespace(curves=curves, study=SimpleNamespace(observations=entries, calendar=calendar))


def test_the_first_observation_with_a_course_that_was_fitted_is_drawn() -> None:
    both = {"first": [1.0, 2.0, 3.0], "second": [1.0, 2.0, 3.0]}
    assert answer.first_shown(drawn(both)) == "first"
    assert answer.first_shown(drawn(both, first=[seen(1, 5, "check")], second=[seen(1, 5)])) == "second"
    assert answer.first_shown(drawn({"second": both["second"]}, first=[seen(1, 5)])) == "second"
    assert answer.first_shown(drawn({}, first=[seen(1, 5)])) is None
    assert answer.picture_words(drawn({})) == ""


def test_the_picture_is_described_by_its_last_numbers() -> None:
    course = {"first": [1.0, 2.5, math.nan]}
    rows = [seen(2, 41), seen(1, 40), seen(3, math.nan), seen(4, 99, "check")]
    end = ". Line: the model at the optimum; points: what was reported."
    words = "first: the model ends at 2.5 at time 2"
    assert answer.picture_words(drawn(course, first=rows)) == f"{words}; reported last were 41 at time 2{end}"
    assert answer.picture_words(drawn(course)) == f"{words}{end}"
    nothing = drawn({"first": [math.nan] * 3}, first=rows)
    assert answer.picture_words(nothing) == (
        "first: the model has no number at the optimum. Points: what was reported."
    )


@pytest.mark.parametrize(
    ("label", "words"), [("2019-12-31", "on 2019-12-31"), ("8", "at time 8"), ("-8", "at time -8")]
)
def test_dates_and_times_are_told_apart(label: str, words: str) -> None:
    assert answer._when(label) == words
