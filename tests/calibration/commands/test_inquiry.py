"""The command from posterior to page."""

import csv
import html
import re
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from command_line import cipark
from no_computing import Computed, forbid_computing
from small_study import rival, small_study

from calibration.assess.rival_draws import RIVALS, draws_file, listed_in
from calibration.commands.calibrate import calibrate
from calibration.report.collect import curves
from calibration.report.findings import load
from cipark_sd.pages.page import read_page
from cipark_sd.simulations.simulation import simulate

MORE = rival("base") + rival("slow", "pace = 0.05", "all leave slowly")
MORE += """
[[scenario]]
name = "late"
set = { "pace" = 0.5 }
"""


PREDICTIONS = """
[[prediction]]
name = "left in the end"
variable = "left"
at = "12"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    study = tmp_path_factory.mktemp("study")
    small_study(study, MORE + PREDICTIONS)
    out = study / "out"
    arguments = ["calibrate", str(study), "--all", "--fast", "--self-test", "2", "--steps", "1600", "-o", str(out)]
    result = cipark(*arguments, standalone_mode=False, catch_exceptions=False)
    assert result.return_value == 0, result.output
    return out


def rows(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_page_holds_its_figures_and_names_what_is_missing(folder):
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/svg+xml;base64,") >= 8
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    for words in ("What the data say", "What the theory adds", "What cannot be known", "missing"):
        assert words in page


def test_weights_of_rivals_add_up(folder):
    lines = rows(folder / "rivals.csv")
    assert sum(float(line["stacking"]) for line in lines) == pytest.approx(1)
    assert sum(float(line["probability"]) for line in lines) == pytest.approx(1)


def test_the_draws_of_the_rivals_stand_where_policy_experiments_look(folder):
    assert listed_in(folder / RIVALS) == {"base": False, "slow": False}
    assert all(draws_file(folder / RIVALS, name).is_file() for name in ("base", "slow"))


def test_forecasts_are_quantiles_at_dates_by_scenario(folder):
    lines = rows(folder / "forecast.csv")
    assert {line["scenario"] for line in lines} == {"as fitted", "late"}
    assert all(float(line["q0.05"]) <= float(line["q0.5"]) <= float(line["q0.95"]) for line in lines)


def test_an_unknown_scenario_is_told_the_known_ones(tmp_path):
    small_study(tmp_path, MORE)
    with pytest.raises(Exception, match=r"did you mean 'late'"):
        CliRunner().invoke(
            calibrate, [str(tmp_path), "--scenario", "lat"], standalone_mode=False, catch_exceptions=False
        )


# --- findings ---------------------------------------------------------------------------------------------------------


def made_from_findings(folder):
    """Files that the findings alone decide: not the page that runs the model, nor the signature of who computed."""
    apart = {"draws.nc", "findings-calibrate.zip", "player.html", "signatures.json"}
    return {path.name for path in folder.iterdir() if path.is_file()} - apart


def test_a_folder_is_made_again_from_its_findings_byte_by_byte_and_nothing_is_computed(folder, tmp_path):
    again = tmp_path / "again"
    again.mkdir()
    shutil.copy(folder / "findings-calibrate.zip", again)
    shutil.copy(folder / "player.html", again)  # the report takes it up where it is there
    with pytest.MonkeyPatch.context() as patch:
        forbid_computing(patch)
        arguments = ["report", "--again", str(again), "-o", str(tmp_path / "all.html")]
        result = cipark(*arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    names = made_from_findings(folder)
    assert {"report.html", "report.json", "fit.json", "summary.csv", "bands.svg", "self_test.svg"} <= names
    assert made_from_findings(again) == names
    for name in sorted(names):
        assert (again / name).read_bytes() == (folder / name).read_bytes(), name


def test_computing_would_have_been_noticed(folder, tmp_path):
    problem = small_study(tmp_path, MORE)
    with pytest.MonkeyPatch.context() as patch:
        forbid_computing(patch)
        with pytest.raises(Computed):
            curves(problem, problem.space.medians, [], "native")
        with pytest.raises(Computed):
            simulate(problem.model, engine="native")
        with pytest.raises(Computed):
            np.random.default_rng(1)


def test_findings_that_cannot_be_read_are_refused_and_nothing_is_written(folder, tmp_path):
    (tmp_path / "findings-calibrate.zip").write_bytes((folder / "findings-calibrate.zip").read_bytes()[:-100])
    result = cipark("report", "--again", tmp_path, "-o", tmp_path / "all.html", code=2)
    assert "findings that this version wrote" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["findings-calibrate.zip"]


def test_console_page_and_headlines_have_one_value_of_a_prediction(folder):
    found = load(folder)
    (record,) = [one for one in read_page(folder).headlines if one.title == "left in the end"]
    assert record.estimand == "left at 12"
    drawn = rows(folder / "drawn_predictions.csv")[0]
    assert (record.number, record.interval.low, record.interval.high) == tuple(
        float(drawn[name]) for name in ("q50", "q5", "q95")
    )
    assert (record.kind, record.unit, record.seed) == ("median", "firm", 1)
    # draws that can be trusted are its only interval: there is no profile beside them
    assert found.fit.predictions == ()
    assert not (folder / "predictions.csv").exists()
    assert record.study_digest == found.fit.study.study_digest != ""
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert html.escape(record.name) in page
    medians = {one.estimand: one for one in read_page(folder).headlines if one.kind == "median" and one.basis}
    lines = {line["name"]: line for line in rows(folder / "posterior.csv")}
    assert medians["parameter rate"].number == float(lines["rate"]["median"])
    assert (
        medians["parameter rate"].basis.label
        == found.fit.posterior.basis.label
        == f"posterior, {found.fit.posterior.flat.shape[0]} draws, converged"
    )
    # what is computed over fewer draws says so
    records = read_page(folder).headlines
    future = next(one for one in records if one.estimand == "observation left at 12, scenario late")
    lines = [line for line in rows(folder / "forecast.csv") if line["structure"] == "the study's own"]
    last = [line for line in lines if line["scenario"] == "late"][-1]
    assert (future.number, future.basis.n) == (float(last["q0.5"]), int(last["draws"]))
