"""Each optional part of a command is made to fail in turn: it costs one line and no exit code."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from small_study import small_study

from cipark_sd.cli import cli
from cipark_sd.optional import LOG, PARTS

FIT = ("calibrate", ".", "--fast", "--no-profiles", "-o", "fit")
ASSESSED = (*FIT, "--compare-pysd", "--self-test", "2", "--no-player")
REPORT = ("report", "fit", "fit", "-o", "both.html")
#: By part: what fails, and the command that needs it.
FAILING = {
    "figure": ("calibration.report.figures_fit.waterfall_figure", FIT),
    "player": ("calibration.commands.play.report.contents_of", FIT),
    "half step": ("calibration.report.collect.shift_at_half_the_step", FIT),
    "course errors": ("calibration.report.collect.course_errors", FIT),
    "model checks": ("calibration.report.model_checks.checks_at_estimate", FIT),
    "failed draws": ("calibration.commands.pipeline.failed_draws", FIT),
    "pysd": ("calibration.commands.pipeline.replication", FIT),
    "forecast": ("calibration.assess.assessment.forecast", ASSESSED),
    "self-test": ("calibration.assess.assessment.self_test", ASSESSED),
    "discrepancies": ("calibration.assess.assessment.discrepancies", ASSESSED),
    "groups": ("calibration.assess.assessment.group_values", ASSESSED),
    "disagreements": ("cipark_sd.pages.combined.disagreements", REPORT),
    "contradiction": (
        "calibration.for_analyses.study.contradictions",
        ("play", ".", "--draws", "prior", "-o", "p.html"),
    ),
}
#: Parts that this study has nothing for: they need rivals or hold-out origins, and go the same way.
ELSEWHERE = {"hold-out", "rivals", "effect lines"}


def cipark(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("optional")
    small_study(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        yield path


@pytest.fixture(scope="module")
def whole(here: Path) -> dict[tuple[str, ...], Result]:
    return {command: cipark(*command) for command in (ASSESSED, FIT, REPORT)}


def broken(*_: Any, **__: Any) -> None:
    raise ZeroDivisionError("planted")


def test_every_part_is_made_to_fail() -> None:
    assert set(PARTS) == {*FAILING, *ELSEWHERE}


@pytest.mark.parametrize("part", FAILING)
def test_a_part_that_fails_costs_one_line(
    part: str, here: Path, whole: dict[tuple[str, ...], Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, command = FAILING[part]
    monkeypatch.setattr(place, broken)
    done = cipark(*command)
    assert done.exit_code == (whole[command].exit_code if command in whole else 0), done.output
    (line,) = re.findall(rf"^{re.escape(PARTS[part])}\b.* was left out: .*", done.output, re.M)
    assert "ZeroDivisionError: planted" in line
    if command[0] == "calibrate":
        assert "Traceback" in (here / "fit" / LOG).read_text(encoding="utf-8")
        report = (here / "fit" / "report.html").read_text(encoding="utf-8")
        assert f"{PARTS[part]}" in report
        assert "was left out: ZeroDivisionError: planted" in report


def test_nothing_is_left_out_where_nothing_fails(whole: dict[tuple[str, ...], Result], here: Path) -> None:
    """And the log of an earlier call has gone."""
    (here / "fit" / LOG).write_text("* old\n", encoding="utf-8")
    assert "left out:" not in cipark(*FIT).output
    assert not (here / "fit" / LOG).exists()


def test_an_error_of_the_user_is_still_one(here: Path) -> None:
    assert cipark("calibrate", ".", "--until", "never").exit_code == 2
