"""Files of what checks found: a row a finding, an object a check."""

import csv
import json
from pathlib import Path

import pytest

from cipark_sd.base.errors import InvalidValue
from cipark_sd.verify.checks.outcome import Finding, Outcome, outcome, write_report

FOUND = [
    outcome("empty", "Nothing to look at", []),
    Outcome("law", "Größe", "checks.toml", "fail", (Finding("a = b", False, 2.0, 1.5, float("nan"), "far"),)),
]


def test_a_table_has_a_row_for_each_finding_and_one_for_a_check_without(tmp_path: Path) -> None:
    write_report(FOUND, tmp_path / "c.CSV")
    rows = list(csv.DictReader((tmp_path / "c.CSV").read_text(encoding="utf-8").splitlines()))
    assert [(row["id"], row["source"], row["status"], row["passed"]) for row in rows] == [
        ("empty", "built in", "pass", "True"),
        ("law", "checks.toml", "fail", "False"),
    ]
    assert (rows[1]["time"], rows[1]["left"], rows[1]["remark"]) == ("2.0", "1.5", "far")


def test_json_keeps_letters_and_numbers_and_writes_what_it_has_no_number_for_as_text(tmp_path: Path) -> None:
    write_report(FOUND, tmp_path / "c.json")
    text = (tmp_path / "c.json").read_text(encoding="utf-8")
    assert '"Größe"' in text
    empty, law = json.loads(text)
    assert (empty["source"], empty["findings"]) == ("built in", [])
    (finding,) = law["findings"]
    assert (finding["time"], finding["left"], finding["right"]) == (2.0, 1.5, "nan")


def test_another_ending_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidValue, match=r"^-o: the report is 'c\.txt', expected a name that ends in \.csv or \.json"
    ):
        write_report(FOUND, tmp_path / "c.txt")
    assert not list(tmp_path.iterdir())
