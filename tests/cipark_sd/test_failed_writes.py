"""Every write of a command fails once: one line, exit code 2, and each file is the old one or the new one.

A command that is killed while it writes leaves the same, and the next call ends as if nothing had been.
``CIPARK_EVERY_WRITE=1`` lets all writes of the dear commands fail too, and not some five of each, and kills more often.
"""

import errno
import io
import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import small_study
from command_line import cipark
from matplotlib.figure import Figure

from cipark_sd.commands.cli import UserError
from cipark_sd.pages.figures.files import save_figures
from cipark_sd.pages.parts import Drawing

#: Calls whose first run leaves what the second one, of another model or seed, would replace.
CHEAP = {
    "run nc": ("run", "m.mdl", "-o", "out/run.nc"),
    "run csv": ("run", "m.mdl", "-o", "out/run.csv"),
    "run xlsx": ("run", "m.mdl", "-o", "out/run.xlsx"),
    "run svg": ("run", "m.mdl", "--figure", "out/run.svg"),
    "check": ("check", "m.mdl", "-o", "out/checks.csv"),
    "convert": ("convert", "m.mdl", "-o", "out/m.xmile"),
    "certify": ("certify", "m.mdl", "--engines", "native,numpy", "-o", "out/certificate.json"),
    "play": ("play", "m.mdl", "-o", "out/m.html"),
}
DEAR = {
    "new-study": ("new-study", "study/leaving.mdl", "study/left.csv", "-o", "out/made"),
    "ensemble": ("ensemble", "m.mdl", "--runs", "300", "--variables", "left", "-o", "out/s"),
    "sensitivity": ("sensitivity", "m.mdl", "--method", "sample", "--rows", "16", "-o", "out"),
    "policy": ("policy", "study", "--draws", "prior", "--runs", "20", "--part", "effects", "-o", "out"),
    "calibrate": ("calibrate", "study", "--fast", "--no-profiles", "--no-player", "--workers", "1", "-o", "out"),
}
#: Writes of a dear command that fail in the suite.
FEW = 5
MODEL = small_study.MODEL
#: A result is taken away before what it is of, so that it is never beside another one's.
TAKEN_AWAY_FIRST = ("findings-policy-", "findings-sensitivity")


class Disk:
    """Counts what is made, opened for writing, written, closed and renamed in a folder; one of these fails or kills."""

    def __init__(self, folder: Path, failing: int | None, *, kills: bool = False) -> None:
        self.folder, self.failing, self.kills, self.steps = str(folder), failing, kills, 0

    def step(self, path: object) -> None:
        if isinstance(path, str | os.PathLike) and os.path.abspath(path).startswith(self.folder):
            self.steps += 1
            if self.steps == self.failing and self.kills:
                os.kill(os.getpid(), signal.SIGKILL)
            if self.steps == self.failing:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    def opened(self, file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if not set(mode) & set("wax+") or not isinstance(file, str | os.PathLike):
            return OPEN(file, mode, *arguments, **options)
        self.step(file)
        return Handle(OPEN(file, mode, *arguments, **options), file, self)


OPEN = io.open


class Handle:
    """A file of which a write that fails leaves half of what was to be written."""

    def __init__(self, file: Any, path: object, disk: Disk) -> None:
        self.file, self.path, self.disk = file, path, disk

    def write(self, content: Any) -> Any:
        try:
            self.disk.step(self.path)
        except OSError:
            self.file.write(content[: len(content) // 2])
            self.file.flush()
            raise
        return self.file.write(content)

    def close(self) -> None:
        if not self.file.closed:
            self.file.close()
            self.disk.step(self.path)

    def __enter__(self) -> "Handle":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.file)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


@contextmanager
def disk_of(folder: Path, failing: int | None, *, kills: bool = False) -> Iterator[Disk]:
    disk = Disk(folder, failing, kills=kills)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("io.open", disk.opened)
        patch.setattr("builtins.open", disk.opened)
        for name in ("replace", "rename", "mkdir"):
            plain = getattr(os, name)

            def stepping(*arguments: Any, plain: Any = plain, **options: Any) -> Any:
                if plain is not MKDIR:
                    disk.step(arguments[1])
                elif not os.path.isdir(arguments[0]):
                    disk.step(arguments[0])
                return plain(*arguments, **options)

            patch.setattr(os, name, stepping)
        yield disk


MKDIR = os.mkdir


def drawn_small(drawing: Drawing, folder: Path, endings: Sequence[str]) -> list[Path]:
    """In place of a figure of a page, which takes most of a command's time, one that shows of which model it is."""
    figure = Figure(figsize=(1, 1))
    figure.text(0, 0, Path("m.mdl").read_text().partition("pace = ")[2][:5])
    return save_figures(figure, folder, drawing.name, endings)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def called(arguments: tuple[str, ...]) -> BaseException | None:
    return cipark(*arguments, code=None, standalone_mode=False).exception


def killed(arguments: tuple[str, ...], step: int) -> None:
    """The command in a process of its own, which ends at a write."""
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(100)
            with disk_of(Path("out").absolute(), step, kills=True):
                called(arguments)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, (arguments, step)


def begun(folder: Path, model: str) -> Path:
    (folder / "study").mkdir(parents=True)
    small_study.small_study(folder / "study")
    (folder / "study" / "policies.toml").write_text(small_study.POLICIES, encoding="utf-8")
    (folder / "study" / "leaving.mdl").write_text(model)
    (folder / "m.mdl").write_text(model)
    (folder / "out").mkdir()
    return folder


@pytest.mark.parametrize("command", [*CHEAP, *DEAR])
def test_a_write_that_fails_leaves_the_old_file_or_the_new_one(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = CHEAP.get(command) or DEAR[command]
    old = begun(tmp_path / "old", MODEL)
    monkeypatch.setattr("cipark_sd.pages.output.draw", drawn_small)
    monkeypatch.chdir(old)
    assert called(arguments) is None
    fresh = command in ("ensemble", "new-study")
    if fresh:
        # neither takes the place of what is there
        shutil.rmtree(old / "out")
        (old / "out").mkdir()
    before = files(old / "out")
    work = tmp_path / "work"
    changed = MODEL.replace("pace = 1 ", "pace = 1.01 ")

    def prepare() -> None:
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(old, work)
        for name in ("m.mdl", "study/leaving.mdl"):
            (work / name).write_text(changed)
        monkeypatch.chdir(work)

    def again(failing: int | None) -> tuple[BaseException | None, int]:
        prepare()
        with disk_of(work / "out", failing) as disk:
            return called(arguments), disk.steps

    problem, steps = again(None)
    assert problem is None
    after = files(work / "out")
    assert after != before
    assert steps >= 3
    chosen = range(1, steps + 1)
    if command in DEAR and not os.environ.get("CIPARK_EVERY_WRITE"):
        chosen = range(1, steps + 1, max(1, steps // FEW))
    for failing in chosen:
        problem, _ = again(failing)
        where = f"write {failing} of {steps}"
        assert isinstance(problem, UserError), (where, problem)
        assert problem.exit_code == 2
        assert "No space left on device" in str(problem), where
        assert "\n" not in str(problem), where
        # a folder that is made beside its place has no other name yet
        assert command in DEAR or ".partial" not in str(problem), where
        now = files(work / "out")
        for name, content in now.items():
            assert ".partial" not in name, where
            assert content in (before.get(name), after.get(name)), f"{where}: {name}"
        gone = {name for name in before.keys() - now.keys() if not name.startswith(TAKEN_AWAY_FIRST)}
        assert not gone, where
    stride = max(1, steps // 30) if os.environ.get("CIPARK_EVERY_WRITE") else steps
    for step in range(2 * steps // 3, steps + 1, stride):
        prepare()
        killed(arguments, step)
        for name, content in files(work / "out").items():
            assert ".partial" in name or content in (before.get(name), after.get(name)), f"killed at {step}: {name}"
        assert called(arguments) is None, step
        now = files(work / "out")
        assert now.keys() == after.keys(), step
        other = {name for name in now if now[name] != after[name]}
        assert not other, step
