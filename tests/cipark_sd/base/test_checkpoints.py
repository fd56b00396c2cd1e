"""What is kept comes back bit for bit, only where it belongs, and never damaged."""

import hmac
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from cipark_sd.base import checkpoints, signatures
from cipark_sd.base.checkpoints import FOLDER, NOT_KEPT, Checkpoints, CheckpointWarning, digest, program
from cipark_sd.base.errors import UnusableInput


@dataclass(frozen=True)
class Part:
    low: float | None
    high: float | None


@dataclass(frozen=True, eq=False)
class Record:
    theta: np.ndarray
    count: int
    gap: float
    done: bool
    message: str
    missing: float | None
    names: tuple[str, ...]
    ends: Part
    empty: np.ndarray


THETA = np.array([0.1, np.nan, -np.inf, 5e-324, -0.0])
MADE = Record(THETA, 7, float("inf"), True, "ended: <1>", None, ("a", "ß"), Part(None, 0.25), np.zeros(0, dtype=bool))


def made() -> Record:
    return MADE


def never() -> Record:
    raise AssertionError("computed again")


def test_a_record_comes_back_bit_for_bit(tmp_path: Path) -> None:
    Checkpoints(tmp_path, "a").recall(Record, made, "search", 1)
    kept = Checkpoints(tmp_path, "a")
    record = kept.recall(Record, never, "search", 1)
    assert kept.reused == 1
    assert record.theta.tobytes() == MADE.theta.tobytes()
    values = (record.count, record.gap, record.done, record.message, record.missing)
    assert values == (7, float("inf"), True, "ended: <1>", None)
    assert [type(value) for value in values] == [int, float, bool, str, type(None)]
    assert (record.names, record.ends) == (("a", "ß"), Part(None, 0.25))
    assert (record.empty.shape, record.empty.dtype) == ((0,), np.dtype(bool))


@pytest.mark.parametrize(
    ("base", "label", "parts"),
    [
        ("b", "profile x/y", (1.0,)),
        ("a", "profile x_y", (1.0,)),
        ("a", "profile x/y" + "z" * 99, (1.0,)),
        ("a", "profile x/y", (1.0 + 2**-52,)),
        ("a", "profile x/y", (1,)),
        ("a", "profile x/y", (1.0, None)),
    ],
)
def test_it_is_not_found_under_another_base_label_or_part(
    tmp_path: Path, base: str, label: str, parts: tuple[object, ...]
) -> None:
    Checkpoints(tmp_path, "a").recall(Record, made, "profile x/y", 1.0)
    with pytest.raises(AssertionError, match="again"):
        Checkpoints(tmp_path, base).recall(Record, never, label, *parts)


def test_another_program_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Checkpoints(tmp_path)
    kept.entry("x").save({"value": np.arange(3)})
    assert kept.entry("x").load() is not None
    monkeypatch.setattr(checkpoints, "program", lambda: "another")
    assert kept.entry("x").load() is None


def test_the_program_is_both_packages_and_the_libraries_that_compute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: seen.append(path) or read(path))
    before = program.__wrapped__()
    assert {"checkpoints.py", "sample.py", "sobol.py", "workers.py"} <= {path.name for path in seen}
    versions = checkpoints.importlib.metadata.version
    monkeypatch.setattr(
        checkpoints.importlib.metadata, "version", lambda name: versions(name) + "x" * (name == "llvmlite")
    )
    assert program.__wrapped__() != before


@dataclass(frozen=True)
class Holder:
    values: np.ndarray


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.ones(5000), np.where(np.arange(5000) == 2500, 1 + 2**-52, 1.0)),
        (Holder(np.ones(5000)), Holder(np.where(np.arange(5000) == 2500, 1 + 2**-52, 1.0))),
        ({"a": np.zeros(1)}, {"a": np.array([-0.0])}),
        ([np.zeros(2, dtype=np.float32)], [np.zeros(2)]),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (Holder(np.array([0.1])), Holder(np.array([0.1 + 2**-56]))),
    ],
)
def test_arrays_count_to_the_last_bit(one: object, other: object) -> None:
    assert digest(one) != digest(other)
    assert digest(one) == digest(one)


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "_sentences", set[str]())


def flipped(path: Path) -> None:
    content = path.read_bytes()
    at = content.index(THETA.tobytes())
    path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])


def of_other_work(path: Path) -> None:
    other = Checkpoints(path.parent, "a").entry("search", 2)
    other.save({"value": np.arange(3)})
    assert other.path is not None
    other.path.rename(path)


def changed_and_written_again(path: Path) -> None:
    with np.load(path) as arrays:
        content = dict(arrays)
    np.savez(path, **{name: array * 1.2 if array.dtype.kind == "f" else array for name, array in content.items()})


def signed_by_another_user(path: Path) -> None:
    content = path.read_bytes()[: -signatures.SIZE]
    path.write_bytes(content + hmac.digest(bytes(32), content, "sha256"))


def of_objects(path: Path) -> None:
    np.savez(path, what=np.array([print], dtype=object))


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"a text"),
        *(flipped, of_other_work, changed_and_written_again, signed_by_another_user, of_objects),
    ],
)
def test_what_this_user_has_not_signed_is_computed_anew_and_said_once(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    kept = Checkpoints(tmp_path, "a")
    kept.recall(Record, made, "search", 1)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    damage(path)
    with pytest.warns(CheckpointWarning, match="not signed by this user .*: it is computed anew"):
        kept.recall(Record, made, "search", 1)
    assert path.read_bytes() == content
    path.write_bytes(b"again")
    # a second warning would be an error here
    kept.recall(Record, made, "search", 1)
    assert path.read_bytes() == content
    assert kept.reused == 0
    kept.recall(Record, never, "search", 1)
    assert kept.reused == 1
    assert kept.origin.startswith("reused 1 searches and profiles of an earlier run (")
    assert kept.origin.endswith("; 2 that are not signed by this user are computed anew")


@pytest.mark.skipif(os.name == "nt", reason="a mode says who may read on POSIX systems")
def test_without_a_key_of_ones_own_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    signatures.key_file().parent.mkdir()
    signatures.key_file().write_bytes(bytes(32))
    signatures.key_file().chmod(0o644)
    with pytest.warns(CheckpointWarning, match=r"nothing is kept to go on from.*can be read or written by other users"):
        Checkpoints(tmp_path / "c").recall(Record, made, "search", 1)
    assert not (tmp_path / "c").exists()


def test_objects_are_not_kept(tmp_path: Path) -> None:
    @dataclass
    class Odd:
        what: object

    with pytest.raises(TypeError, match="cannot be kept"):
        Checkpoints(tmp_path).recall(Odd, lambda: Odd(object()), "odd")
    assert list(tmp_path.iterdir()) == []


def test_parts_of_the_work_have_entries_of_their_own(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path, "a")
    kept.recall(Record, made, "search", 1)
    with pytest.raises(AssertionError, match="again"):
        kept.within("joint").recall(Record, never, "search", 1)
    kept.within("joint").recall(Record, made, "search", 1)
    kept.within("joint").recall(Record, never, "search", 1)
    assert kept.reused == 1


def test_what_a_killed_process_left_unfinished_is_removed(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from cipark_sd.base.files import whole\n"
        "with whole(Path(sys.argv[1], 'task.npz')) as partial:\n"
        "    partial.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    folder = tmp_path / FOLDER
    folder.mkdir()
    subprocess.run([sys.executable, "-c", script, str(folder)], check=False)
    assert [path.name.startswith(".partial-") for path in folder.iterdir()] == [True]
    Checkpoints.in_output(tmp_path)
    assert list(folder.iterdir()) == []


def test_nothing_is_kept_without_a_folder() -> None:
    NOT_KEPT.recall(Record, made, "search", 1)
    with pytest.raises(AssertionError, match="again"):
        NOT_KEPT.recall(Record, never, "search", 1)
    NOT_KEPT.entry("x").discard()


def test_fresh_removes_checkpoints_and_no_other_file(tmp_path: Path) -> None:
    kept = Checkpoints.in_output(tmp_path)
    kept.recall(Record, made, "search", 1)
    foreign = [tmp_path / FOLDER / name for name in ("weights.npz", "model-last.npz", f"note-{'a' * 24}.txt")]
    for path in (*foreign, tmp_path / "fit.json"):
        path.write_text("mine")
    with pytest.raises(AssertionError, match="again"):
        Checkpoints.in_output(tmp_path, fresh=True).recall(Record, never, "search", 1)
    assert sorted((tmp_path / FOLDER).iterdir()) == sorted(foreign)
    for path in foreign:
        path.unlink()
    Checkpoints.in_output(tmp_path, fresh=True)
    assert [path.name for path in tmp_path.iterdir()] == ["fit.json"]


def test_a_linked_folder_is_refused_and_nothing_goes_through_it(tmp_path: Path) -> None:
    elsewhere, out = tmp_path / "elsewhere", tmp_path / "out"
    for folder in (elsewhere, out):
        folder.mkdir()
    kept = elsewhere / f"task-{'a' * 24}.npz"
    kept.write_text("mine")
    (out / FOLDER).symlink_to(elsewhere)
    for fresh in (True, False):
        with pytest.raises(UnusableInput, match=f"{FOLDER}: the folder is a link"):
            Checkpoints.in_output(out, fresh=fresh)
    assert [path.name for path in elsewhere.iterdir()] == [kept.name]


def a_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def in_a_linked_folder(path: Path) -> None:
    path.parent.rename(path.parents[1] / "elsewhere")
    path.parent.symlink_to("elsewhere")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (a_link, "it is a link"),
        (a_pipe, "it is not a regular file"),
        (a_folder, "it is a folder"),
        (in_a_linked_folder, "it is a link"),
    ],
)
def test_what_is_no_file_of_the_folder_is_not_read(change: Callable[[Path], None], said: str, tmp_path: Path) -> None:
    entry = Checkpoints(tmp_path / FOLDER).entry("x")
    entry.save({"value": np.arange(3)})
    assert entry.path is not None
    change(entry.path)
    with pytest.warns(CheckpointWarning, match=rf"is not used \({said}.*\): it is computed anew"):
        assert entry.load() is None
