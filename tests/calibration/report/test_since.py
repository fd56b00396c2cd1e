"""What was counted after the data of a study stands beside the number that its fit gives."""

import csv
import re
from pathlib import Path

import pytest
from command_line import cipark
from one_number import faults, places
from small_study import small_study

from calibration.study import STUDIES
from calibration.study.problem import read_problem
from cipark_sd.base.errors import CiparkError


def since(observation: str = "left", lower: float = 140, upper: float = 141) -> str:
    table = f'[[report.since]]\nobservation = "{observation}"\nat = 10\nlower = {lower}\nupper = {upper}\n'
    return f'{table}source = "the registry, 2026"\nsee = "Another study fits it"\n'


@pytest.mark.parametrize("drawn", [True, False])
def test_the_console_and_the_page_set_it_beside_the_forecast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undrawn_figures: None, drawn: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    small_study(tmp_path, since())
    option = "--posterior" if drawn else "--no-posterior"
    said = cipark("calibrate", ".", "--fast", option, "--no-profiles", "--no-player", "-o", "fit").output
    (line,) = (line for line in said.splitlines() if line.startswith("Caution"))
    between = ""
    if drawn:
        with (tmp_path / "fit" / "forecast.csv").open(encoding="utf-8") as file:
            (row,) = (row for row in csv.DictReader(file) if float(row["time"]) == 10)
        middle, low, high = (f"{float(row[q]):.0f}" for q in ("q0.5", "q0.05", "q0.95"))
        between = f"; forecast from here: {middle} (90%: {low} to {high})"
    # a number that stands in a sentence is that of a record
    assert list(faults(list(places(tmp_path / "fit")))) == []
    sentence = f"Left, 10: 140 to 141 counted since (the registry, 2026){between}. Another study fits it."
    assert line == f"Caution\t{sentence}"
    page = re.sub("<[^>]*>", "", (tmp_path / "fit" / "report.html").read_text(encoding="utf-8"))
    # on the first screen, and beside the forecast where there is one
    assert page.count("140 to 141 counted since") == 1 + drawn
    before = (tmp_path / "fit" / "report.html").read_bytes()
    cipark("report", "--again", "fit", "-o", "again.html")
    assert (tmp_path / "fit" / "report.html").read_bytes() == before


@pytest.mark.parametrize(
    ("table", "message"), [(since("right"), "right"), (since(lower=141, upper=140), "not below lower")]
)
def test_what_it_is_of_has_to_be_an_observation_and_its_ends_in_order(tmp_path: Path, table: str, message: str) -> None:
    with pytest.raises(CiparkError, match=message):
        small_study(tmp_path, table)


def test_the_later_count_of_the_park_is_that_of_the_later_study() -> None:
    problem = read_problem(STUDIES / "great_stone")
    (counted,) = problem.questions.since
    assert (counted.observation, problem.calendar.label(counted.time)) == ("residents", "2025-12-31")
    with (STUDIES / "great_stone_later" / "data" / "residents.csv").open(encoding="utf-8") as file:
        (row,) = (row for row in csv.DictReader(file) if row["date"] == "2025-12-31")
    assert (counted.lower, counted.upper) == (float(row["low"]), float(row["high"]))
    assert "reported 29 Jan 2026" in row["note"]
    with (STUDIES / "great_stone_later" / "data" / "sources.csv").open(encoding="utf-8") as file:
        assert any(row["source_id"] == "S55" and "29 Jan 2026" in row["title"] for row in csv.DictReader(file))
    assert counted.source == "news.by, 29 January 2026, S55 of great_stone_later"
    files = re.findall(r"docs/\S+\.md", counted.see)
    assert files
    assert all((Path(__file__).parents[3] / file).is_file() for file in files)
