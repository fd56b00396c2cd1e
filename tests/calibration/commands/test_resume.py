"""Commands that keep checkpoints: killed in the middle they go on, end with the same bits, and can start anew."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from command_line import cipark
from linear_study import linear_study
from small_study import POLICIES, small_study

from cipark_sd.base.checkpoints import FOLDER, Arrays, Checkpoint
from cipark_sd.commands.cli import cli

PREDICTION = '[[prediction]]\nname = "end"\nvariable = "stock"\nat = 12\n'
#: By command: its arguments, and after how many checkpoints it is killed, at least one of each kind being among them.
#: Trajectories that stop among their moves are those of ``tests/calibration/inference/sample/test_hamiltonian.py``.
COMMANDS = {
    "calibrate": ("--fast --starts 2 --posterior --sampler chains --steps 400 --no-compare-pysd --no-player", 6),
    "sensitivity": ("--draws prior --method sobol --rows 512 --resamples 20", 2),
    "policy": ("--runs 20 --part effects --part attribution", 5),
    "power": ("--sets 4 --workers 1", 3),
}
#: Kills the process when it has written so many checkpoints; chains and designs are written after each block.
KILLING = """
import os, signal
from calibration.inference.sample import chains
from cipark_sd.base.checkpoints import Checkpoint
from cipark_sd.commands.cli import main
from cipark_sd.analysis.sensitivities import response, sobol
chains.SAVING, sobol.SAVE_EVERY, response.RUNS_AT_A_TIME = -1, -1, 1
save, saved = Checkpoint.save, []
def killing(self, arrays):
    global saved
    save(self, arrays)
    saved += [self.path] if self.path else []
    if len(saved) == {n}:
        os.kill(os.getpid(), signal.SIGKILL)
Checkpoint.save = killing
main()
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    small_study(folder, PREDICTION)
    (folder / "policies.toml").write_text(POLICIES, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with rivals whose fit is kept with it, as power asks for draws."""
    folder = tmp_path_factory.mktemp("fitted") / "line"
    linear_study(folder, 'against = "flat"\nsize = { "Rise" = 1.5 }\n')
    options = "--fast --posterior --no-compare-pysd --no-player"
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder.parent)
        assert cipark("calibrate", folder, *options.split()).exit_code == 0
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undrawn_figures: None) -> None:
    """No fit is at hand; figures, which take most of the time and rest on the tables, are not drawn."""
    monkeypatch.chdir(tmp_path)


def run(command: str, study: Path, out: Path, *more: str) -> None:
    done = cipark(command, study, *COMMANDS[command][0].split(), "-o", out, *more)
    assert done.exit_code in (0, 1), done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception


def same(one: Path, other: Path) -> None:
    """All tables and data sets of two folders, to the last bit."""
    names = [sorted(path.relative_to(folder) for path in folder.rglob("*.[cn][sc]*")) for folder in (one, other)]
    assert names[0] == names[1]
    assert len(names[0]) > 1
    for name in names[0]:
        if name.suffix == ".csv":
            assert (one / name).read_bytes() == (other / name).read_bytes(), name
        else:
            trees = [xr.open_datatree(folder / name, engine="h5netcdf") for folder in (one, other)]
            assert trees[0].identical(trees[1]), name


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_was_killed_goes_on_and_ends_with_the_same_bits(
    command: str, study: Path, fitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And with ``--fresh`` a command takes nothing of what is kept, here numbers that are not so."""
    arguments, n = COMMANDS[command]
    if command == "power":
        study = fitted
        shutil.copytree(fitted.parent / "cipark-output", tmp_path / "cipark-output")
    killed = subprocess.run(
        [sys.executable, "-c", KILLING.format(n=n), command, str(study), *arguments.split(), "-o", "cut"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    left = set((tmp_path / "cut" / FOLDER).glob("[!.]*"))
    shutil.copytree(tmp_path / "cut", tmp_path / "anew")
    run(command, study, tmp_path / "whole")
    taken, load = set(), Checkpoint.load

    def loading(entry: Checkpoint) -> Arrays | None:
        arrays = load(entry)
        taken.update({entry.path} if arrays else ())
        return arrays

    monkeypatch.setattr(Checkpoint, "load", loading)
    run(command, study, tmp_path / "cut")
    assert left
    assert left <= taken
    same(tmp_path / "cut", tmp_path / "whole")
    for path in (tmp_path / "anew" / FOLDER).glob("[!.]*"):
        with np.load(path) as entry:
            content = {name: array * 2 if array.dtype == float else array for name, array in entry.items()}
        np.savez(path, **content)
    run(command, study, tmp_path / "anew", "--fresh")
    same(tmp_path / "anew", tmp_path / "whole")


def test_the_commands_above_are_all_that_can_start_afresh() -> None:
    names = {
        name
        for name in cli.list_commands(None)
        if any("--fresh" in option.opts for option in cli.get_command(None, name).params)
    }
    # stores of ensembles are killed and gone on with in tests/cipark_sd/analysis/runs/test_stored.py
    assert names == {*COMMANDS, "ensemble"}
