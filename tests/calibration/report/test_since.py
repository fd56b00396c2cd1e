"""What was counted after the data of a study stands beside the number that its fit gives."""

import csv
import re
from pathlib import Path

import pytest
from command_line import cipark
from small_study import small_study

from calibration.study import STUDIES
from calibration.study.problem import read_problem
from cipark_sd.base.errors import CiparkError

ASKED = '[[prediction]]\nname = "left at the end"\nvariable = "left"\nat = 12\n'


def since(prediction: str = "left at the end", lower: float = 140, upper: float = 141) -> str:
    table = f'[[report.since]]\nprediction = "{prediction}"\nlower = {lower}\nupper = {upper}\n'
    return f'{ASKED}{table}source = "the registry, 2026"\nsee = "a later study fits it"\n'


def test_the_console_and_the_page_set_it_beside_the_number_of_the_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undrawn_figures: None
) -> None:
    monkeypatch.chdir(tmp_path)
    small_study(tmp_path, since())
    said = cipark("calibrate", ".", "--posterior", "--no-profiles", "--no-player", "-o", "fit").output
    line = next(line for line in said.splitlines() if line.startswith("Caution"))
    assert re.search(r"Left at the end: \d+ firms \(90%: \d+ to \d+\) in this fit; 140 to 141 were counted since", line)
    assert line.endswith("(the registry, 2026). A later study fits it.")
    page = re.sub("<[^>]*>", "", (tmp_path / "fit" / "report.html").read_text(encoding="utf-8"))
    # on the first screen, and beside the forecast
    assert page.count("140 to 141 were counted since") == 2


@pytest.mark.parametrize(
    ("table", "message"),
    [(since("left at the beginning"), "left at the beginning"), (since(lower=141, upper=140), "not below lower")],
)
def test_what_it_is_of_has_to_be_a_prediction_and_its_ends_in_order(tmp_path: Path, table: str, message: str) -> None:
    with pytest.raises(CiparkError, match=message):
        small_study(tmp_path, table)


def test_the_later_count_of_the_park_is_that_of_the_later_study() -> None:
    (counted,) = read_problem(STUDIES / "great_stone").questions.since
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
