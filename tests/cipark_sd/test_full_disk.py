"""A disk that is full, in a process of its own: one sentence, exit code 2, and nothing left behind.

``test_failed_writes.py`` lets each write of each command fail.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import small_study

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="limits of files are those of POSIX systems")
Write = Callable[..., Path]
#: Files of the process may have so many bytes, as on a disk with as much room.
ROOM = 400
LIMITED = (
    "import resource, sys; sys.dont_write_bytecode = True; resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}));"
    "sys.argv = ['cipark', *sys.argv[1:]]; from cipark_sd.commands.cli import main; main()"
)
MODEL = "Stock = INTEG(-rate * Stock, 1) ~ m ~ | rate = 0.1 ~ 1/Year ~ |"


def cipark(folder: Path, *arguments: str, room: int = ROOM, **options: object) -> "subprocess.CompletedProcess[str]":
    call = [sys.executable, "-c", LIMITED.format(room=room), *arguments]
    return subprocess.run(call, cwd=folder, text=True, stderr=subprocess.PIPE, timeout=120, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "model.mdl", "-o", "out/run.nc"),
        ("run", "model.mdl", "--figure", "out/run.pdf"),
    ],
    ids=lambda arguments: f"{arguments[0]} {arguments[-1]}",
)
def test_a_full_disk_is_one_sentence_and_leaves_nothing(arguments: tuple[str, ...], write_mdl: Write) -> None:
    folder = write_mdl(MODEL, step=0.01).parent
    (folder / "out").mkdir()
    done = cipark(folder, *arguments, stdout=subprocess.DEVNULL)
    assert done.returncode == 2, done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("error: ")], done.stderr
    assert "Traceback" not in done.stderr
    assert "File too large" in done.stderr
    assert list((folder / "out").iterdir()) == []


@pytest.mark.parametrize("arguments", [("show", "model.mdl"), ("run", "model.mdl"), ("--help",)], ids=" ".join)
def test_output_that_cannot_be_printed_is_one_sentence(arguments: tuple[str, ...], write_mdl: Write) -> None:
    folder = write_mdl(MODEL).parent
    with open("/dev/full", "w") as full:
        done = cipark(folder, *arguments, room=-1, stdout=full)
    assert (done.returncode, done.stderr) == (2, "error: the output cannot be written: No space left on device\n")


@pytest.mark.parametrize("file", ["model.mdl", "missing.mdl"])
def test_a_mistake_that_nothing_can_say_is_no_verdict(file: str, write_mdl: Write) -> None:
    folder = write_mdl(MODEL).parent
    call = [sys.executable, "-c", LIMITED.format(room=-1), "run", file]
    with open("/dev/full", "w") as full:
        assert subprocess.run(call, cwd=folder, stdout=full, stderr=full, timeout=120).returncode == 2


def test_a_reader_that_has_seen_enough_is_no_error(write_mdl: Write) -> None:
    folder = write_mdl(MODEL).parent
    call = [sys.executable, "-c", LIMITED.format(room=-1), "show", "model.mdl"]
    with subprocess.Popen(call, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_a_report_of_checks_into_a_folder_that_is_gone(write_mdl: Write) -> None:
    folder = write_mdl(MODEL).parent
    done = cipark(folder, "check", "model.mdl", "-o", "gone/report.csv", room=-1, stdout=subprocess.DEVNULL)
    assert done.returncode == 2
    assert done.stderr == "error: -o: gone/report.csv cannot be written, since there is no folder 'gone'\n"


def test_a_full_disk_stops_a_fit(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    small_study.small_study(tmp_path / "study")
    (tmp_path / "out").mkdir()
    call = ("calibrate", "study", "--fast", "--no-profiles", "--no-player", "-o", "out")
    done = cipark(tmp_path, *call, stdout=subprocess.DEVNULL)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "File too large" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []
