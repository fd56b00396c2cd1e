"""Ctrl-C in the midst of each command: it soon says that it stops, and leaves nothing half-written."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

#: Whoever starts the tests in the background has Ctrl-C ignored in all that they start.
MAIN = "import signal; signal.signal(2, signal.default_int_handler); from cipark_sd.cli import main; main()"
FISHERY = Path(__file__).parents[1] / "shared" / "fishery"
MODEL = """{UTF-8}
level = INTEG(-loss, start) ~~| loss = level * rate * SIN(Time) ~~| start = 10 ~~| rate = 0.1 ~~| other = 2 ~~|
INITIAL TIME = 0 ~~| FINAL TIME = 1000 ~~| TIME STEP = 0.01 ~~| SAVEPER = 1 ~~|
"""
#: Seconds of the processor that a command works before it is stopped, and that it may take to end.
WORK, SOON = 4.0, 2.0
COMMANDS = {
    # within the machine code of one run
    "run": ("run", "m.mdl", "--step", "0.00001", "-o", "out.csv"),
    "run in Python": ("run", "m.mdl", "--step", "0.001", "--engine", "numpy", "-o", "out.csv"),
    "ensemble": ("ensemble", "m.mdl", "--runs", "100000", "--range", "0.2", "-o", "out"),
    "sensitivity": ("sensitivity", "m.mdl", "--rows", "16384", "-o", "out"),
    "policy": ("policy", str(FISHERY), "--runs", "1000000", "-o", "out"),
    "calibrate": ("calibrate", "flu_1978", "--starts", "5000", "--no-player", "--no-compare-pysd", "-o", "out"),
}


def worked(pid: int) -> float:
    """Seconds of the processor that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="what a process uses is read from /proc")
@pytest.mark.parametrize("case", COMMANDS)
def test_a_command_ends_soon_after_it_is_stopped(case: str, tmp_path: Path) -> None:
    (tmp_path / "m.mdl").write_text(MODEL, encoding="utf-8")
    call = [sys.executable, "-c", MAIN, *COMMANDS[case]]
    told = tmp_path / "errors.txt"
    with (
        told.open("w") as errors_file,
        subprocess.Popen(call, cwd=tmp_path, stdout=errors_file, stderr=errors_file) as run,
    ):
        while worked(run.pid) < WORK:
            assert run.poll() is None, told.read_text()
            time.sleep(0.02)
        before = used = worked(run.pid)
        run.send_signal(signal.SIGINT)
        while run.poll() is None and "stopped" not in told.read_text().lower():
            used = worked(run.pid)
            time.sleep(0.02)
        assert used - before < SOON
        # a fit is written as far as it has come
        run.wait(300)
    errors = told.read_text()
    assert "stopped" in errors.lower()
    assert run.returncode in (130, 1), errors
    assert "Traceback" not in errors
    assert not [path for path in tmp_path.rglob("*") if "partial" in path.name]
