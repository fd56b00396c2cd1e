"""The judge of the gauntlet: what it passes and what it does not, on planted results; and that its cases are whole."""

import base64
import json
import math
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from places import ROOT

sys.path.insert(0, str(ROOT / "benchmarks" / "gauntlet"))

import gauntlet_case
import gauntlet_chain
import gauntlet_check
import gauntlet_data
import gauntlet_intervals
import gauntlet_likelihood
import gauntlet_page
import gauntlet_searches
import gauntlet_texts

from calibration.noise.priors import LogNormal
from calibration.study.parameters import Parameter, ParameterSpace
from calibration.study.problem import read_problem
from cipark_sd.language.read.model_file import read_model

SMALL = """
title = "Growth"
field = "test"
command = 'cipark new-study growth.mdl data.csv --value "grams = g=Mass"'
[truth]
"Rate" = 0.5
"Share" = [0.2, 0.4]
[table]
file = "data.csv"
rows = 10
unit = "month"
start = 2019-12-01
thousands = ","
missing = "n/a"
time = { header = "Month", format = "%b %Y" }
[[column]]
header = "grams"
variable = "Mass"
reading = "level"
noise = { law = "normal", sd = 0 }
digits = 1
every = 2
[[column]]
header = "grown"
variable = "Growing"
reading = "flow"
noise = { law = "lognormal", sd = 0 }
"""
MODEL = "Rate=\n\t0.5\n\t~\t1/Month\n\t~\tfirst\n\t|\n\nShare[R]=\n\t0.2, 0.4\n\t~\t1\n\t|\n"


@pytest.fixture
def small(tmp_path: Path) -> gauntlet_case.Case:
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "case.toml").write_text(SMALL)
    (folder / "growth.mdl").write_text(MODEL)
    return gauntlet_case.read("small", tmp_path)


@pytest.mark.parametrize("name", gauntlet_case.names())
def test_a_case_is_whole(name: str, tmp_path: Path) -> None:
    case = gauntlet_case.read(name)
    model = read_model(case.model)
    assert 20 <= len(model.variables) <= 60
    assert all(case.constant(key) == numbers for key, numbers in case.truth.items()), "the file holds the truth"
    assert case.text(case.in_file(1, 1)) == case.text(case.truth)
    (tmp_path / case.model.name).write_text(case.text(case.in_file(10, 1)), encoding="utf-8")
    wrong = read_model(tmp_path / case.model.name)
    assert {v.name for v in wrong.variables} == {v.name for v in model.variables}
    words = " ".join(case.command)
    assert case.model.name in words
    assert str(case.table["file"]) in words


def test_constants_are_wrong_by_no_more_than_their_level_and_fractions_stay_fractions(small: Any) -> None:
    for seed in range(20):
        (rate,), shares = small.in_file(10, seed).values()
        assert all(0 < value < 1 for value in (rate, *shares))
        assert 1 / 10.6 < rate / (1 - rate) < 10.6
    text = small.text({"Rate": (1.5,), "Share": (0.25, 0.75)})
    assert "Rate=\n\t1.5\n\t~" in text
    assert "\t0.25, 0.75\n" in text
    with pytest.raises(ValueError, match="0 constants 'Ratio'"):
        small.text({"Ratio": (1.0,)})


def test_numbers_are_the_model_s_at_their_times_and_the_last_fifth_is_not_in_the_table(
    small: Any, tmp_path: Path
) -> None:
    times = np.arange(0, 10.001, 0.25)
    made = gauntlet_data.observe(small, 1, times, {"Mass": 1000 + 300 * times, "Growing": 20 * times})
    assert made["grams"][2] == gauntlet_data.Number(3.0, 3.0, 1900.0)
    # Euler's sum over the steps of the window: 20 * 0.25 * (1 + 1.25 + 1.5 + 1.75)
    assert made["grown"][1] == gauntlet_data.Number(1.0, 2.0, round(20 * 0.25 * 5.5))
    lines = gauntlet_data.write(small, gauntlet_data.known(small, made), tmp_path).read_text().splitlines()
    assert lines[:3] == ["Month,grams,grown", 'Dec 2019,"1,300.0",8', "Jan 2020,n/a,28"]
    assert len(lines) == 1 + 8


def test_a_column_in_thousands_and_a_last_row_of_sums(small: Any, tmp_path: Path) -> None:
    columns = (small.columns[0], replace(small.columns[1], per=10.0))
    case = replace(small, columns=columns, table={**small.table, "total": "Sum"})
    times = np.arange(0, 10.001, 0.25)
    made = gauntlet_data.observe(case, 1, times, {"Mass": 1000 + 300 * times, "Growing": 20 * times})
    assert [made["grown"][row].value for row in (0, 1)] == [10.0, 30.0]
    lines = gauntlet_data.write(case, gauntlet_data.known(case, made), tmp_path).read_text().splitlines()
    assert lines[1:3] == ['Dec 2019,"1,300.0",1', "Jan 2020,n/a,3"]
    # 7.5, 27.5, ..., 147.5 of the eight rows, in tens
    assert lines[-1] == "Sum,n/a,64"


SUMMARY = "name,use,estimate,profile_low,profile_high,low_side,high_side\n"


def _intervals(small: Any, monkeypatch: pytest.MonkeyPatch, low: str, high: str) -> dict[str, gauntlet_check.Check]:
    monkeypatch.setattr(gauntlet_intervals, "truths", lambda case: {"rate": 0.5})
    from io import StringIO

    text = SUMMARY + f"Rate,CAL,0.6,{low},{high},bounded,bounded\nnoise,CAL,1,0.5,2,bounded,bounded\n"
    return {c.question: c for c in gauntlet_intervals.intervals(small, pd.read_csv(StringIO(text)))}


@pytest.mark.parametrize(
    ("low", "high", "failed"),
    [
        ("0.4", "0.7", set()),
        ("0.55", "0.7", {"intervals", "excluded"}),
        ("0.55", "", {"informs", "intervals", "excluded"}),
        ("", "", {"informs", "intervals"}),
        ("0.4", "0.58", {"inside"}),
    ],
)
def test_intervals_are_held_against_the_truth(
    low: str, high: str, failed: set[str], small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = _intervals(small, monkeypatch, low, high)
    assert {question for question, check in checks.items() if not check.passed} == failed


def _surface(wall: float = 10.0) -> gauntlet_searches.Surface:
    """Two parameters that the data see as a product, and a third one by itself; ``wall`` bounds the second."""
    bounds = {"a": (0.01, 100.0), "b": (1 / wall, wall), "c": (0.1, 10.0)}
    parameters = tuple(Parameter(n, LogNormal(1.0, 1.0), *ends, scale="log") for n, ends in bounds.items())

    def log_likelihood(theta: np.ndarray) -> np.ndarray:
        x = np.log(theta)
        return -0.5 * ((x[:, 0] + x[:, 1]) ** 2 + x[:, 2] ** 2) / 0.1**2

    density = SimpleNamespace(space=ParameterSpace(parameters), log_likelihood=log_likelihood)
    return gauntlet_searches.Surface(density, np.ones(3), np.arange(3), with_priors=False)


@pytest.mark.parametrize(
    ("place", "wall", "state"), [(2, 10.0, "closed"), (0, 200.0, "open"), (0, 3.0, "edge"), (1, 10.0, "open")]
)
def test_a_plain_profile_tells_closed_from_open_and_from_another_parameter_s_end(
    place: int, wall: float, state: str
) -> None:
    surface = _surface(wall)
    word, at, better = gauntlet_searches.walk(surface, surface.box(np.ones(3)), 0.0, place, 1, 1.92)
    assert word == state
    assert better < 1e-6
    if state == "closed":
        # the closed form: a standard deviation of 0.1 times 1.96, within a step
        assert 0.1 * 1.96 <= (at - 0.5) * math.log(100) < 0.1 * 1.96 + 0.1


def test_a_side_is_no_end_where_only_slopes_are_misled() -> None:
    surface = _surface(200.0)
    smooth = surface.density.log_likelihood
    # terraces along the valley a b = 1: no slope leads along it
    surface.density.log_likelihood = lambda theta: np.round(smooth(theta)) - 0.1 * np.abs(np.log(theta[:, 2]))
    assert surface.climb(surface.box(np.array([3.0, 1.0, 1.0])), held=0)[1] < -50
    assert gauntlet_searches.walk(surface, surface.box(np.ones(3)), 0.0, 0, 1, 1.92)[0] == "open"


def test_a_search_arrives_and_a_profile_from_below_the_top_says_so() -> None:
    surface = _surface()
    start = surface.box(np.array([3.0, 0.5, 2.0]))
    _, height = surface.climb(start)
    assert height == pytest.approx(0, abs=1e-6)
    low = float(surface.heights(start[None, :])[0])
    assert gauntlet_searches.walk(surface, start, low, 2, 1, 1.92)[2] > 3


RECORD = {
    "estimand": "parameter Rate",
    "number": 0.6123,
    "kind": "ML optimum",
    "conditional_on": [],
    "interval": {"low": 0.4, "high": None, "by": "profile likelihood"},
}
CONSOLE = "Finding\tThe data narrow Rate\nKnown\tRate: 0.61 1/Month (95%: 0.40 to 0.90); and 2 more constants.\n"
PAGE = (
    "<tr><td>parameter Rate</td><td>0.61 1/Month</td><td>0.40 to open <span>(95%, profile likelihood)</span></td></tr>"
)
ROW = {"name": "Rate", "estimate": 0.6123, "low_side": "bounded", "high_side": "open"}
DRAWS = {"basis": "posterior", "interval": {"low": 0.401, "high": 0.8999, "by": "central draws"}, "kind": "median"}


@pytest.mark.parametrize(
    ("record", "row", "console", "page", "fault"),
    [
        ({}, {}, CONSOLE, PAGE, ""),
        ({"number": 0.7}, {}, CONSOLE, PAGE, "headline 0.7, table"),
        ({}, {"high_side": "closed"}, CONSOLE, PAGE, "open high in the headline and 'closed'"),
        ({}, {"low_side": "unresolved"}, CONSOLE, PAGE, "0.40 low in the headline and 'unresolved'"),
        ({"estimand": "the number"}, {}, CONSOLE, PAGE, "no parameter has a headline"),
        ({}, {}, CONSOLE, "", "not among the headlines"),
        ({}, {}, CONSOLE, PAGE.replace("0.61", "0.62"), "page 0.62"),
        ({}, {}, CONSOLE, PAGE.replace("0.40 to", "0.41 to"), "0.41 low on the page, record 0.4"),
        ({}, {}, "", PAGE, "the console has no finding"),
        ({}, {}, CONSOLE.replace("0.61", "0.62"), PAGE, "which no record has"),
        ({}, {}, CONSOLE.replace("0.90", "0.91"), PAGE, "which no record has"),
    ],
)
def test_one_quantity_has_one_number(
    record: dict[str, Any], row: dict[str, Any], console: str, page: str, fault: str, tmp_path: Path
) -> None:
    (tmp_path / "report.json").write_text(json.dumps({"headlines": [RECORD | record, RECORD | DRAWS]}))
    pd.DataFrame([ROW | row]).to_csv(tmp_path / "summary.csv", index=False)
    (tmp_path / "report.html").write_text(page)
    (tmp_path / "calibrate.out").write_text(console)
    check = gauntlet_texts.agree(tmp_path, tmp_path / "none", tmp_path)
    assert check.passed == (not fault)
    assert fault in check.words


@pytest.mark.parametrize(("median", "fault"), [(0.6123, ""), (0.7, "headline 0.6123, table 0.7")])
def test_where_draws_are_the_headlines_they_are_compared(median: float, fault: str, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps({"headlines": [RECORD | DRAWS]}))
    pd.DataFrame([ROW]).to_csv(tmp_path / "summary.csv", index=False)
    pd.DataFrame([{"name": "Rate", "median": median, "sd": 0.1}]).to_csv(tmp_path / "posterior.csv", index=False)
    row = "<tr><td>parameter Rate</td><td>0.61</td><td>0.40 to 0.90 (90%, central draws)</td></tr>"
    (tmp_path / "report.html").write_text(row)
    (tmp_path / "calibrate.out").write_text(CONSOLE)
    check = gauntlet_texts.agree(tmp_path, tmp_path / "none", tmp_path)
    assert check.passed == (not fault)
    assert fault in check.words


@pytest.mark.parametrize(
    ("apart", "beside", "fault"),
    [(0.0, ["n"], ""), (0.5, ["n"], "median of rate"), (0.0, [], "60 numbers of draws for 7 names")],
)
def test_draws_of_the_player_are_those_of_the_report(
    apart: float, beside: list[str], fault: str, tmp_path: Path
) -> None:
    (output := tmp_path / "output").mkdir()
    pd.DataFrame([{"name": "Rate", "median": 2.0, "sd": 0.1}, {"name": "n", "median": 9.0, "sd": 1}]).to_csv(
        output / "posterior.csv", index=False
    )
    spread = np.linspace(-0.1, 0.1, 31)
    values = np.concatenate([2 + apart + spread, 9 + spread])[: 62 if beside else 60]
    data = {
        "structures": [{"drawn": ["rate"] if beside else ["rate", "x", "y", "z", "a", "b", "c"], "beside": beside}],
        "draws": [base64.b64encode(values.astype("<f8").tobytes()).decode()],
    }
    page = f'<script type="application/json" id="data">{json.dumps(data)}</script>'
    (output / "player.html").write_text(page)
    faults = list(gauntlet_texts._of_player(output))
    assert [fault in found for found in faults] == ([True] if fault else [])


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("The posterior has not converged. Finance: information", ""),
        ("The posterior has converged", "R-hat 1.3"),
        ("grams is a running total fitted as a level", "it is a level"),
        ("mean nan", "'nan'"),
        ("This is a fault of cipark", "fault"),
    ],
)
def test_false_sentences_are_listed(text: str, fault: str, small: Any, tmp_path: Path) -> None:
    (tmp_path / "calibrate.out").write_text(text)
    checks = {"converged": gauntlet_check.Check("converged", False, "R-hat 1.3")}
    check = gauntlet_texts.sentences(small, tmp_path, tmp_path / "none", checks)
    assert check.passed == (not fault)
    assert fault in check.words


@pytest.mark.parametrize(
    ("cell", "number", "is_right"), [("0.61 kg", 0.6123, True), ("620", 615.0, True), ("620", 606.0, False)]
)
def test_a_rounded_number_is_known_by_its_digits(cell: str, number: float, is_right: bool) -> None:
    assert gauntlet_texts._is_rounded(cell, number) is is_right


def test_a_command_that_takes_too_long_is_stopped_with_its_workers_and_a_refusal_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = gauntlet_chain.run(("cipark", "run", "none.mdl"), tmp_path, "run", 20)
    assert (step.exit, step.ended_well) == (2, False)
    assert step.last.startswith("error")
    busy = tmp_path / "busy"
    busy.write_text("#!/bin/sh\nsleep 300 & echo $!\nwhile true; do :; done\n")
    busy.chmod(0o755)
    monkeypatch.setattr(gauntlet_chain, "CIPARK", busy)
    step = gauntlet_chain.run(("cipark", "x"), tmp_path, "x", 1)
    assert (step.exit, step.ended_well, step.limit) == (-1, False, 1)
    state = Path(f"/proc/{int((tmp_path / 'x.out').read_text())}/stat")
    for _ in range(200):
        # ended, or ended and not asked for its exit code
        if not state.exists() or state.read_text().split()[2] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the worker goes on")


def test_rates_are_pooled_over_the_data_sets_of_a_case_and_other_checks_are_not() -> None:
    def record(seed: int, hits: int, passed: bool) -> dict[str, Any]:
        checks = [
            {"question": "intervals", "passed": hits == 10, "hits": hits, "of": 10, "words": ""},
            {"question": "inside", "passed": passed, "hits": 0, "of": 0, "words": "x"},
        ]
        return {"case": "a", "level": 1, "seed": seed, "version": "v", "steps": [], "checks": checks}

    sets = [record(1, 8, True), record(2, 10, True)]
    assert gauntlet_page.verdict("intervals", sets) == (True, "18/20")
    assert gauntlet_page.verdict("intervals", [record(1, 8, True)]) == (False, "8/10")
    assert gauntlet_page.verdict("inside", [*sets, record(3, 10, False)]) == (False, "2 of 3")
    page = gauntlet_page.markdown([*sets, record(3, 10, False)], [])
    assert "**2 of 3**" in page


@pytest.mark.parametrize(
    ("failing", "codes", "said"),
    [
        ({"exits": "", "converged": ""}, (0, 1), True),
        ({"exits": "", "converged": ""}, (0, -1), False),
        ({"exits": "", "converged": ""}, (1, 0), False),
        ({"exits": "", "converged": "", "posterior": "a, truth 1"}, (0, 1), False),
        ({"exits": "", "converged": "", "posterior": "no draws"}, (0, 1), True),
        ({"exits": "", "informs": "", "sides": "a above (not found)"}, (1, 0), True),
        ({"exits": "", "informs": "", "sides": "a above (open)"}, (1, 0), False),
        ({"exits": "", "informs": "", "intervals": "no interval"}, (1, 0), True),
        ({"exits": "", "informs": "", "intervals": "a 1 to 2, truth 3"}, (1, 0), False),
        ({"exits": "", "informs": "", "sides": "a above (not found)"}, (0, 1), False),
        ({"exits": "", "inside": ""}, (1, 1), False),
        ({"exits": ""}, (0, 1), True),
        ({"exits": ""}, (0, 70), False),
        ({"converged": ""}, (0, 0), False),
        ({}, (0, 0), False),
    ],
)
def test_a_case_that_says_rightly_what_it_lacks_is_counted(
    failing: dict[str, str], codes: tuple[int, int], said: bool
) -> None:
    plain = ("exits", "converged", "inside", "informs")
    checks = [{"question": q, "passed": q not in failing, "words": "", "hits": 0, "of": 0} for q in plain]
    rates = ("posterior", "sides", "intervals")
    checks += [{"question": q, "words": failing.get(q, ""), "hits": 0 if q in failing else 9, "of": 9} for q in rates]
    steps = [{"name": name, "exit": code} for name, code in zip(("calibrate", "posterior"), codes, strict=True)]
    assert gauntlet_page.says_what_it_lacks([{"steps": steps, "checks": checks}]) is said


@pytest.mark.parametrize(
    ("last", "hits", "said"),
    [
        ("Caution\tThe draws are worth 283 independent ones: ends", 9, True),
        ("Read next\treport.html", 9, False),
        ("Caution\tThe draws are worth 283 independent ones: ends", 7, False),
    ],
)
def test_draws_that_say_what_they_are_worth_say_what_they_lack(last: str, hits: int, said: bool) -> None:
    checks = [
        {"question": "converged", "passed": False, "words": "", "hits": 0, "of": 0},
        {"question": "posterior", "passed": hits > 8, "words": "", "hits": hits, "of": 10},
    ]
    steps = [{"name": "posterior", "exit": 0, "last": last}]
    assert gauntlet_page.says_what_it_lacks([{"steps": steps, "checks": checks}]) is said


@pytest.mark.parametrize(("hits", "said"), [(9, True), (7, False)])
def test_bands_of_other_data_sets_have_to_hold_as_in_a_case_that_passes(hits: int, said: bool) -> None:
    def checks(words: str, hits: int, of: int, *, passed: bool) -> list[dict[str, object]]:
        plain = [{"question": q, "passed": passed, "words": "", "hits": 0, "of": 0} for q in ("exits", "converged")]
        return [*plain, {"question": "forecasts", "passed": passed, "words": words, "hits": hits, "of": of}]

    steps = [[{"name": "posterior", "exit": code}] for code in (1, 0)]
    sets = [checks("no forecast", 0, 0, passed=False), checks("", hits, 10, passed=True)]
    records = [{"steps": step, "checks": of_set} for step, of_set in zip(steps, sets, strict=True)]
    assert gauntlet_page.says_what_it_lacks(records) is said


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path, Any]:
    """The small case through the first two commands: case, folder, numbers of all rows."""
    case = gauntlet_case.read("growth", ROOT / "benchmarks" / "gauntlet" / "quick")
    folder = tmp_path_factory.mktemp("growth")
    (folder / case.model.name).write_text(case.text(case.in_file(3, 1)), encoding="utf-8")
    made = gauntlet_data.observe(case, 1, *gauntlet_data.run_truth(case, folder))
    gauntlet_data.write(case, gauntlet_data.known(case, made), folder)
    for name, command in (
        ("new-study", case.command),
        ("calibrate", ("cipark", "calibrate", "weights", "--fast", "--no-player", "--workers", "1")),
    ):
        step = gauntlet_chain.run(command, folder, name, 60)
        assert step.ended_well, step.last
    return case, folder, made


def _fitted(judged: tuple[Any, Path, Any]) -> Any:
    case, folder, _ = judged
    return gauntlet_likelihood.load(case, folder / "weights", folder / "cipark-output" / "weights")


def test_the_truth_of_pysd_is_the_closed_form(judged: tuple[Any, Path, Any], tmp_path: Path) -> None:
    times, courses = gauntlet_data.run_truth(judged[0], tmp_path)
    logistic = 80 / (1 + (80 / 3 - 1) * np.exp(-0.5 * times))
    # Euler's method with steps of an eighth
    assert np.abs(courses["Biomass"] / logistic - 1).max() < 0.05


def test_a_right_fit_passes(judged: tuple[Any, Path, Any]) -> None:
    fitted = _fitted(judged)
    checks = [gauntlet_likelihood.feasible(fitted), gauntlet_likelihood.optimum(fitted)]
    checks += gauntlet_likelihood.profiles(fitted, 1)
    assert [check.words for check in checks if not check.passed] == []
    assert (checks[2].question, checks[2].hits, checks[2].of) == ("sides", 6, 6)


def test_a_fit_is_judged_with_its_own_step_and_method(judged: tuple[Any, Path, Any], tmp_path: Path) -> None:
    case, folder, _ = judged
    for part in (case.model.name, "weights"):
        (shutil.copytree if (folder / part).is_dir() else shutil.copy)(folder / part, tmp_path / part)
    options = ("--fast", "--no-player", "--workers", "1", "--method", "rk4", "--step", "0.5")
    step = gauntlet_chain.run(("cipark", "calibrate", "weights", *options), tmp_path, "calibrate", 60)
    assert step.ended_well, step.last
    fitted = gauntlet_likelihood.load(case, tmp_path / "weights", tmp_path / "cipark-output" / "weights")
    assert gauntlet_likelihood.optimum(fitted).words == ""
    by_euler = replace(fitted, fit=fitted.fit | {"time_step": 0.125, "integration_method": "euler"})
    assert "is printed" in gauntlet_likelihood.optimum(by_euler).words


def test_a_fit_that_is_short_and_ends_that_are_wrong_are_seen(judged: tuple[Any, Path, Any]) -> None:
    fitted = _fitted(judged)
    place = fitted.place("Capacity")
    names = fitted.density.space.names
    worse = {**fitted.fit["parameters"], names[place]: fitted.estimate[place] * 1.1}
    there = np.array([[worse[name] for name in names]])
    low = float((fitted.density.log_likelihood(there) + fitted.density.space.log_prior_scaled(there))[0])
    short = gauntlet_likelihood.Fitted(
        fitted.case, fitted.study, {**fitted.fit, "parameters": worse, "log_density": low}, fitted.summary
    )
    check = gauntlet_likelihood.optimum(short)
    assert not check.passed
    assert "log units short" in check.words
    planted = fitted.summary.copy()
    planted.loc[planted.name == "Start", ["profile_low", "low_side"]] = [np.nan, "unresolved"]
    planted.loc[planted.name == "Growth Rate", "profile_high"] = fitted.fit["parameters"]["Growth Rate"] * 1.001
    sides, ends = gauntlet_likelihood.profiles(
        gauntlet_likelihood.Fitted(fitted.case, fitted.study, fitted.fit, planted), 1
    )
    assert (sides.passed, sides.hits, sides.of) == (False, 5, 6)
    assert "Start below (unresolved)" in sides.words
    assert not ends.passed
    assert ends.words.startswith("Growth Rate to")


def test_a_series_that_is_read_as_something_else_is_seen(judged: tuple[Any, Path, Any], tmp_path: Path) -> None:
    case, folder, made = judged
    study = tmp_path / "weights"
    shutil.copytree(folder / "weights", study)
    known = gauntlet_data.known(case, made)
    assert gauntlet_likelihood.read_as(case, read_problem(study), study, known).passed
    flow = replace(case, columns=(replace(case.columns[0], reading="flow"),))
    assert "level, not flow" in gauntlet_likelihood.read_as(flow, read_problem(study), study, known).words
    later = {
        header: {r: replace(n, start=n.end + 1, end=n.end + 1) for r, n in c.items()} for header, c in known.items()
    }
    assert "1 to 1, not 2 to 2" in gauntlet_likelihood.read_as(case, read_problem(study), study, later).words
    fewer = {header: dict(list(c.items())[1:]) for header, c in known.items()}
    assert "20 rows, not 19" in gauntlet_likelihood.read_as(case, read_problem(study), study, fewer).words
    thousands = {header: {r: replace(n, value=n.value * 1000) for r, n in c.items()} for header, c in known.items()}
    assert " for " in gauntlet_likelihood.read_as(case, read_problem(study), study, thousands).words
    problem = study / "problem.toml"
    text = problem.read_text(encoding="utf-8")
    problem.write_text(text.replace('variable = "Biomass"', 'variable = "Capacity"'), encoding="utf-8")
    assert "Capacity, not Biomass" in gauntlet_likelihood.read_as(case, read_problem(study), study, known).words


@pytest.mark.parametrize(
    ("lower", "upper", "is_right"),
    [
        (12, 12, True),
        (11.5, 12.5, True),
        (11, 13, False),
        (12.5, 13.5, False),
        (11.5, math.inf, False),
        (11, 11, False),
    ],
)
def test_a_number_may_be_read_as_the_interval_of_its_rounding(
    lower: float, upper: float, is_right: bool, small: Any
) -> None:
    column = replace(small.columns[1], reading="level", digits=0)
    term = SimpleNamespace(quantity=SimpleNamespace(start=3.0, end=3.0), lower=lower, upper=upper)
    faults = gauntlet_likelihood._windows(column, [term], [gauntlet_data.Number(3.0, 3.0, 12.0)])
    assert faults == ([] if is_right else [f"grown: {lower:g} to {upper:g} for 12"])


def test_data_that_the_truth_cannot_make_are_named(judged: tuple[Any, Path, Any]) -> None:
    fitted = _fitted(judged)
    fitted.__dict__["truth"] = np.where(np.arange(len(fitted.estimate)) == fitted.place("Start"), -5.0, fitted.estimate)
    check = gauntlet_likelihood.feasible(fitted)
    assert not check.passed
    assert "dry mass, g" in check.words


def test_draws_and_bands_are_held_against_the_truth(
    small: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import xarray as xr

    monkeypatch.setattr(gauntlet_intervals, "truths", lambda case: {"rate": 0.0})

    def checks(shift: float, apart: float) -> dict[str, gauntlet_check.Check]:
        values = np.random.default_rng(1).standard_normal((4, 500)) + shift + apart * np.arange(4)[:, None]
        tree = xr.DataTree.from_dict({"posterior": xr.Dataset({"Rate": (("chain", "draw"), values)})})
        tree.to_netcdf(tmp_path / "draws.nc", engine="h5netcdf")
        return {c.question: c for c in gauntlet_intervals.draws(small, tmp_path)}

    good, apart, away = checks(0, 0), checks(-1.5, 1), checks(4, 0)
    assert (good["converged"].passed, good["posterior"].passed) == (True, True)
    assert (apart["converged"].passed, apart["posterior"].passed) == (False, True)
    assert (away["converged"].passed, away["posterior"].passed) == (True, False)
    header = "scenario,observation,time,q0.05,q0.95\n"
    made = {"grams": {8: gauntlet_data.Number(9.0, 9.0, 5.0)}, "grown": {8: gauntlet_data.Number(8.0, 9.0, 5.0)}}
    # draws that have not converged have no forecast, so that none is counted as missed
    none = gauntlet_intervals.forecasts(small, tmp_path, made)
    assert (none.passed, none.of) == (False, 0)
    (tmp_path / "forecast.csv").write_text(header + "as fitted,grams,9,4,6\nas fitted,grown,9,4,6\n")
    assert gauntlet_intervals.forecasts(small, tmp_path, made).passed
    (tmp_path / "forecast.csv").write_text(header + "as fitted,grams,9,4,6\n")
    assert gauntlet_intervals.forecasts(small, tmp_path, made).words == "none of grown"
    (tmp_path / "forecast.csv").write_text(header + "as fitted,grams,9,6,7\nas fitted,grown,9,4,6\n")
    assert gauntlet_intervals.forecasts(small, tmp_path, made).hits == 1


def test_a_plain_search_comes_down_from_a_first_step_into_an_abyss() -> None:
    """A model that grows without bound away from the data falls to -1e226 within the box, and has no slopes there."""
    surface = _surface()
    near = surface.density.log_likelihood

    def steep(theta: np.ndarray) -> np.ndarray:
        x = np.log(theta)
        return np.where(np.abs(x).max(axis=1) < 2, near(theta), -1e226)

    fallen = replace(surface, density=SimpleNamespace(space=surface.density.space, log_likelihood=steep))
    start = fallen.box(np.array([3.0, 3.0, 0.5]))
    assert fallen.heights(start[None, :])[0] < -100
    assert fallen.climb(start)[1] == pytest.approx(0.0, abs=0.01)
