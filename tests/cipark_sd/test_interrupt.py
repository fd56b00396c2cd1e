"""Ctrl-C in the midst of each command: it soon says that it stops, and leaves nothing half-written."""

import os
import shutil
import signal
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest
from click import Abort
from command_line import cipark
from counted import processor_seconds

from cipark_sd.commands.cli import cli, main

FISHERY = Path(__file__).parents[1] / "shared" / "fishery"
MODEL = """{UTF-8}
level = INTEG(-loss, start) ~~| loss = level * rate * SIN(Time) ~~| start = 10 ~~| rate = 0.1 ~~| other = 2 ~~|
INITIAL TIME = 0 ~~| FINAL TIME = 1000 ~~| TIME STEP = 0.01 ~~| SAVEPER = 1 ~~|
"""
#: Seconds of the processor that a command works before it is stopped, and that it may take to end and write.
WORK, MOST = 0.2, 30.0
#: By case, how much is little and how much is more than can be done before the stop, and the command that is told it.
COMMANDS = {
    # within the machine code of one run
    "run": ("1", "0.00001", "run m.mdl -o out.csv --step"),
    "run in Python": ("1", "0.001", "run m.mdl --engine numpy -o out.csv --step"),
    "ensemble": ("10", "100000", "ensemble m.mdl --range 0.2 -o out --runs"),
    "sensitivity": ("16", "16384", "sensitivity m.mdl -o out --rows"),
    "policy": ("10", "1000000", "policy fishery -o out --runs"),
    "calibrate": (
        "2",
        "5000",
        "calibrate flu_1978 --no-player --no-compare-pysd --no-profiles --no-posterior --workers 1 -o out --starts",
    ),
}


@contextmanager
def stopped_in_the_midst() -> Iterator[None]:
    """Ctrl-C for this process after some work."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def press(_: int, frame: FrameType | None) -> None:
        if frame is not None and frame.f_code.co_filename == weakref.__file__:
            # Python passes over what is raised while a weak reference is let go
            signal.setitimer(signal.ITIMER_PROF, WORK / 100)
        else:
            os.kill(os.getpid(), signal.SIGINT)

    timed = signal.signal(signal.SIGPROF, press)
    signal.setitimer(signal.ITIMER_PROF, WORK)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, timed)
        signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="work is counted by a timer of the system")
@pytest.mark.parametrize("case", COMMANDS)
def test_a_command_ends_soon_after_it_is_stopped(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undrawn_figures: None
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m.mdl").write_text(MODEL, encoding="utf-8")
    shutil.copytree(FISHERY, "fishery")
    little, much, words = COMMANDS[case]
    # a stop within an import would leave a module half made for the tests that follow
    done = cipark(*words.split(), little, standalone_mode=False)
    assert done.exception is None, done.exception
    with processor_seconds(WORK + MOST), stopped_in_the_midst():
        done = cipark(*words.replace("out", "cut").split(), much, code=None, standalone_mode=False)
    # a fit is written as far as it has come
    if case == "calibrate":
        assert done.exception is None, done.exception
        assert done.return_value == 1
        assert "stopped" in done.output.lower()
    else:
        assert isinstance(done.exception, Abort) or done.exit_code == 130, done.output
    assert not [path for path in tmp_path.rglob("*") if "partial" in path.name]


def test_the_program_says_that_it_stopped_and_its_code_is_that_of_a_signal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise Abort

    monkeypatch.setattr(cli, "main", stop)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "stopped\n"
