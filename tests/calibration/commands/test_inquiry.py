"""The command from posterior to page."""

import csv
import re

import pytest
from click.testing import CliRunner
from small_study import small_study

from calibration.assess.rival_draws import RIVALS, draws_file, listed_in
from calibration.commands.calibrate import calibrate

MORE = """
[[rival]]
name = "base"
set = {}
[[rival]]
name = "slow"
why = "all leave slowly"
set = { "pace" = 0.05 }
[[scenario]]
name = "late"
set = { "pace" = 0.5 }
[[experiment]]
name = "half the pace"
set = { "pace" = 0.5 }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    study = tmp_path_factory.mktemp("study")
    small_study(study, MORE)
    out = study / "out"
    arguments = [str(study), "--all", "--fast", "--no-profiles", "--self-test", "2", "--steps", "1600", "-o", str(out)]
    result = CliRunner().invoke(calibrate, arguments, standalone_mode=False, catch_exceptions=False)
    assert result.return_value == 0, result.output
    return out


def rows(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_page_holds_its_figures_and_names_what_is_missing(folder):
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") >= 8
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    for words in ("What the data say", "What the theory adds", "What cannot be known", "missing"):
        assert words in page


def test_an_experiment_lowers_the_count_under_every_structure(folder):
    lines = rows(folder / "effects.csv")
    assert [line["structure"] for line in lines] == ["base", "slow", "mixture"]
    assert all(float(line["high"]) < 0 for line in lines if line["structure"] != "slow")


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
