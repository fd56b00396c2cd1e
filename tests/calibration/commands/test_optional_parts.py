"""Each optional part of a command is made to fail in turn: it costs one line and no exit code."""

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from command_line import cipark
from matplotlib.figure import Figure
from small_study import small_study

from cipark_sd.base.optional import LOG, PARTS, attempt, left_out, recorded
from cipark_sd.pages import output
from cipark_sd.pages.parts import Drawing

pytestmark = pytest.mark.usefixtures("built_figures")
FIT = ("calibrate", ".", "--fast", "--no-profiles", "-o", "fit")
ASSESSED = (*FIT, "--compare-pysd", "--self-test", "2", "--no-player")
REPORT = ("report", "fit", "fit", "-o", "both.html")
PLAY = ("play", ".", "--draws", "prior", "-o", "p.html")
#: By part: what fails, and the command that needs it.
FAILING = {
    "figure": ("calibration.report.figures_fit.waterfall_figure", FIT),
    "player": ("calibration.commands.play.page.contents_of_study", FIT),
    "half step": ("calibration.commands.pipeline.shift_at_half_the_step", FIT),
    "course errors": ("calibration.report.collect.course_errors", FIT),
    "model checks": ("calibration.report.collect.checks_at_estimate", FIT),
    "failed draws": ("calibration.commands.pipeline.failed_draws", FIT),
    "pysd": ("calibration.commands.pipeline.replication", FIT),
    "forecast": ("calibration.assess.assessment.forecast", ASSESSED),
    "self-test": ("calibration.assess.assessment.self_test", ASSESSED),
    "discrepancies": ("calibration.assess.assessment.discrepancies", ASSESSED),
    "groups": ("calibration.assess.assessment.group_values", ASSESSED),
    "disagreements": ("cipark_sd.commands.report.disagreements", REPORT),
    "contradiction": (
        "calibration.commands.for_analyses.study.contradictions",
        PLAY,
    ),
}
#: Parts that this study has nothing for: they need rivals or hold-out origins, and go the same way.
ELSEWHERE = {"hold-out", "rivals"}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("optional")
    small_study(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        yield path


def broken(*_: Any, **__: Any) -> None:
    raise ZeroDivisionError("planted")


def test_every_part_is_made_to_fail_here() -> None:
    assert set(PARTS) == {*FAILING, *ELSEWHERE}


@pytest.mark.parametrize("command", [FIT, ASSESSED, REPORT, PLAY], ids=["fit", "assessed", "report", "play"])
def test_parts_that_fail_cost_one_line_each(
    command: tuple[str, ...], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All optional parts of a command at once: what is left is written, and the exit code is that of a whole one."""
    failing = [part for part, (_, needed_by) in FAILING.items() if needed_by == command]
    for part in failing:
        monkeypatch.setattr(FAILING[part][0], broken)
    done = cipark(*command)
    for part in failing:
        (line,) = re.findall(rf"^{re.escape(PARTS[part])}\b.* was left out: .*", done.output, re.M)
        assert "ZeroDivisionError: planted" in line
    if command[0] == "calibrate":
        log, report = ((here / "fit" / name).read_text(encoding="utf-8") for name in (LOG, "report.html"))
        assert log.count("Traceback") == len(failing)
        # terms of the glossary are marked up
        words = re.sub(r"<[^>]*>", "", report)
        assert [part for part in failing if PARTS[part] not in words] == []
        assert (here / "fit" / "summary.csv").is_file()
        assert command != FIT or not (here / "fit" / "waterfall.svg").exists()


def test_an_error_of_the_user_is_still_one_and_an_old_log_goes(here: Path) -> None:
    cipark("calibrate", ".", "--until", "never", "-o", "fit", code=2)
    (here / "fit").mkdir(exist_ok=True)
    (here / "fit" / LOG).write_text("* old\n", encoding="utf-8")
    with recorded(here / "fit"):
        assert left_out(here / "fit") == ()


def test_an_error_is_raised_as_ever_from_python() -> None:
    with pytest.raises(ZeroDivisionError):
        attempt("figure", broken, None)
    with recorded():
        assert attempt("figure", broken, 7) == 7
        with pytest.raises(ZeroDivisionError):
            attempt("figure", broken, 7, refused=ZeroDivisionError)
        with pytest.raises(KeyError):
            attempt("no such part", broken, 7)


@pytest.mark.parametrize("kind", ["link", "bytes"])
def test_the_log_of_a_sent_folder_is_read_as_its_other_files(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "sent"
    folder.mkdir()
    (tmp_path / "elsewhere").write_bytes(b"* secret\n\xff\n")
    if kind == "link":
        (folder / LOG).symlink_to(tmp_path / "elsewhere")
        with pytest.raises(OSError, match="it is a link"):
            left_out(folder)
    else:
        (tmp_path / "elsewhere").rename(folder / LOG)
        assert left_out(folder) == ("secret",)


def full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a file")


def test_a_full_disk_is_no_fault_of_a_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the command, as for every other file that cannot be written."""
    monkeypatch.setattr("cipark_sd.pages.figures.files.write_bytes", full)
    drawn = SimpleNamespace(drawings=lambda _: [Drawing("f", Figure)], tables=lambda _: {})
    with recorded(tmp_path):
        with pytest.raises(OSError, match="No space left on device"):
            output.write([drawn], None, tmp_path, "a", "")
        assert not (tmp_path / LOG).exists()


def test_a_full_disk_is_no_fault_of_the_page_that_runs_the_model(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calibration.commands.play.page.write_player", full)
    monkeypatch.setattr("cipark_sd.pages.output.draw", lambda drawing, folder: [])
    done = cipark(*FIT, code=2)
    assert (done.exit_code, done.output.count("No space left on device")) == (2, 1)
