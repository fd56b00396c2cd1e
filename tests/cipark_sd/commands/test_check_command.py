"""``cipark check`` as people call it: the table, the report, the exit code."""

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from approved import approved

from cipark_sd.commands.cli import main

Write = Callable[..., Path]
EQUATIONS = """
Pool = INTEG(-leaving, Start) ~ firm ~ In the pool |
leaving = Pool * Rate ~ firm/Year ~ Out |
Rate = 0.1 ~ 1/Year [0,1] ~ Out |
Start = 10 ~ firm [1,20] ~ At the start |
"""
CHECKS = "[[check]]\nid = 'A'\ntitle = 'Half is left'\nsource = 's.1'\nexpect = 'Pool > 5'\nat = {at}\n"


@pytest.fixture
def cipark(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cipark", *map(str, arguments)])
        with pytest.raises(SystemExit) as leaving:
            main()
        captured = capsys.readouterr()
        return int(leaving.value.code or 0), captured.out, captured.err

    return call


Cipark = Callable[..., tuple[int, str, str]]


def test_a_model_that_passes_exits_with_0(cipark: Cipark, write_mdl: Write) -> None:
    code, out, _ = cipark("check", write_mdl(EQUATIONS, step=0.125))
    assert (code, "0 failed" in out) == (0, True)


def test_the_checks_file_beside_the_model_is_used_and_a_failure_exits_with_1(cipark: Cipark, write_mdl: Write) -> None:
    path = write_mdl(EQUATIONS, step=0.125)
    path.with_name("model.checks.toml").write_text(CHECKS.format(at=9))
    code, out, _ = cipark("check", path)
    assert code == 1
    approved(out)  # 10 (1 - 0.1/8)^72 = 4.04 is the number that fails


def test_bad_input_exits_with_2_and_one_message(cipark: Cipark, write_mdl: Write, tmp_path: Path) -> None:
    checks = tmp_path / "mine.toml"
    checks.write_text(CHECKS.format(at=99))
    code, out, err = cipark("check", write_mdl(EQUATIONS), "--checks", checks)
    assert (code, out) == (2, "")
    assert err == f"error: {checks}:1: A: time 99 lies outside the run (from 0 to 10)\n"


def test_an_unknown_engine_exits_with_2(cipark: Cipark, write_mdl: Write) -> None:
    code, _, err = cipark("check", write_mdl(EQUATIONS), "--engine", "pisd")
    assert (code, "did you mean 'pysd'" in err) == (2, True)


def test_a_report_of_another_kind_exits_with_2_before_any_run(cipark: Cipark, write_mdl: Write) -> None:
    code, _, err = cipark("check", write_mdl(EQUATIONS), "-o", "report.xls")
    assert (code, "ends in .csv or .json" in err) == (2, True)


def test_the_report_has_every_finding(cipark: Cipark, write_mdl: Write, tmp_path: Path) -> None:
    checks = tmp_path / "mine.toml"
    checks.write_text(CHECKS.format(at=5))
    for name in ("report.csv", "report.json"):
        cipark("check", write_mdl(EQUATIONS), "--checks", checks, "--only", "A", "-o", tmp_path / name)
    (row,) = csv.DictReader((tmp_path / "report.csv").read_text(encoding="utf-8").splitlines())
    (entry,) = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert (row["id"], row["status"], row["claim"]) == ("A", "pass", "Pool > 5")
    assert float(row["left"]) == entry["findings"][0]["left"] == pytest.approx(10 * (1 - 0.1 / 4) ** 20)


def test_extreme_drives_each_constant_to_its_limits(cipark: Cipark, write_mdl: Write) -> None:
    code, out, _ = cipark("check", write_mdl(EQUATIONS), "--extreme", "--only", "extreme")
    assert (code, "Constants at their limits (4 runs)" in out) == (0, True)
