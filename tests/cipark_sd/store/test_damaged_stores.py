"""Stores that are damaged, or were sent: each kind of damage is found, none of it is waited for, and all is mended."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

pytest.importorskip("zarr", reason="the extra store is not installed")

from numcodecs import Blosc

from cipark_sd.cli import UserError, cli
from cipark_sd.store.chunks import RunStore

MODEL = """stock = INTEG(inflow, 1)~~|
inflow = rate * stock~~|
rate = 0.1~~|
INITIAL TIME = 0~~|
FINAL TIME = 3~~|
TIME STEP = 1~~|
SAVEPER = 1~~|
"""
CHUNK = 256
RUNS = 20 * CHUNK
MAKE = ("ensemble", "m.mdl", "--runs", f"{RUNS}", "--variables", "stock", "-o", "s.zarr")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model and a store of 20 chunks."""
    folder = tmp_path_factory.mktemp("good")
    (folder / "m.mdl").write_text(MODEL)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert cipark(*MAKE).exit_code == 0
    return folder


@pytest.fixture
def store(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(good, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "s.zarr"


def cipark(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, standalone_mode=False)


def ended(*arguments: str) -> tuple[int, str]:
    """The exit code of a command, and its words; what is no error of the input is raised."""
    done = cipark(*arguments)
    if done.exception is None:
        return int(done.return_value or 0), " ".join(done.output.split())
    if not isinstance(done.exception, UserError):
        raise done.exception
    return done.exception.exit_code, str(done.exception)


def random_bytes(path: Path) -> None:
    path.write_bytes(np.random.default_rng(1).bytes(3000))


def random_content(path: Path) -> None:
    """Behind a header that is right."""
    raw = path.read_bytes()
    path.write_bytes(raw[:16] + np.random.default_rng(1).bytes(len(raw) - 16))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def another_type(path: Path) -> None:
    path.write_bytes(Blosc().encode(np.ones((256, 4), dtype="<f4")))


def another_size(path: Path) -> None:
    path.write_bytes(Blosc().encode(np.ones((300, 4))))


def other_numbers(path: Path) -> None:
    path.write_bytes(Blosc().encode(np.ones((256, 4))))


def a_size_beyond_memory(path: Path) -> None:
    path.write_bytes(b"\2\1\1\1" + b"\xf0\xff\xff\x7f" * 2 + (16).to_bytes(4, "little"))


def a_link(path: Path) -> None:
    there = path.parents[2] / f"elsewhere-{path.name}"
    path.rename(there)
    path.symlink_to(there)


def a_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_folder(path: Path) -> None:
    path.unlink()
    (path / "inner").mkdir(parents=True)


def nothing(path: Path) -> None:
    path.unlink()


#: Of a chunk: what is seen without unpacking it, and what is not.
SEEN = (random_bytes, empty, cut, another_type, another_size, a_size_beyond_memory, a_link, a_device, a_pipe, a_folder)
UNSEEN = (random_content, other_numbers, nothing)
#: Of the mark by which a chunk is known to be whole; the first alone still looks like one.
MARKS = (random_content, random_bytes, a_link, a_pipe, a_folder)


def test_each_damage_is_found_not_sampled_dropped_and_made_again(store: Path, good: Path) -> None:
    kinds = [("stock", damage) for damage in (*SEEN, *UNSEEN)] + [("chunk_digest", damage) for damage in MARKS]
    for number, (array, damage) in enumerate(kinds):
        damage(store / array / f"{number}.0")
    code, said = ended("runs", "verify", "s.zarr", "--sample", "60", "--all-chunks")
    assert code == 1
    for number in range(RUNS // CHUNK):
        sentence = f"chunk {number} (runs {number * CHUNK:,} to {(number + 1) * CHUNK - 1:,}) is damaged"
        assert (sentence in said) == (number < len(kinds)), (sentence, kinds[number:][:1])
    assert "comes out otherwise" not in said
    shown = ended("runs", "show", "s.zarr")
    assert shown[0] == 0, shown
    assert f"{RUNS - CHUNK * (len(SEEN) + 1 + len(MARKS) - 1):,} of {RUNS:,} are complete" in shown[1]
    assert f"{len(kinds)} damaged chunks" in ended("runs", "clean", "s.zarr")[1]
    made = ended(*MAKE)
    assert made[0] == 0, made
    assert f"{RUNS:,} of {RUNS:,} runs are in s.zarr" in made[1]
    assert "verify" in made[1]
    assert ended("runs", "verify", "s.zarr", "--sample", "60", "--all-chunks") == (
        0, "60 runs came out bit for bit, and 20 chunks have their digests.",
    )  # fmt: skip
    for file in sorted((good / "s.zarr").rglob("*.*")):
        if file.is_file() and file.parent.name in ("stock", "chunk_digest", "draws"):
            assert (store / file.relative_to(good / "s.zarr")).read_bytes() == file.read_bytes(), file


def test_an_ensemble_does_not_take_a_chunk_by_its_mark_alone(store: Path) -> None:
    for number, damage in enumerate((random_bytes, a_pipe, nothing)):
        damage(store / "stock" / f"{number}.0")
    assert RunStore(store).n_complete() == RUNS - 3 * CHUNK
    assert ended(*MAKE)[0] == 0
    assert ended("runs", "verify", "s.zarr", "--sample", "60")[0] == 0


@pytest.mark.parametrize("damage", [random_content, a_pipe, a_device, random_bytes])
@pytest.mark.parametrize("file", ["failing/0", "run_failed/0"])
def test_what_all_chunks_need_is_one_sentence_where_it_is_damaged(
    file: str, damage: Callable[[Path], None], store: Path
) -> None:
    damage(store / file)
    code, said = ended("runs", "show", "s.zarr")
    if file == "failing/0" and damage is random_content:
        # nothing says what it should be, and no run failed
        return
    if file == "run_failed/0" and damage is not random_content:
        assert f"{RUNS - CHUNK:,} of {RUNS:,} are complete" in said
        return
    assert code == 2
    assert f"damaged ({file}: " in said


def metadata(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def damage(store: Path) -> None:
        content = json.loads((store / ".zmetadata").read_text())
        change(content["metadata"][".zattrs"])
        (store / ".zmetadata").write_text(json.dumps(content))

    return damage


def folder_of_an_array(make: Callable[[Path], None]) -> Callable[[Path], None]:
    def damage(store: Path) -> None:
        shutil.rmtree(store / "chunk_digest")
        make(store / "chunk_digest")

    return damage


WHOLE: dict[str, tuple[Callable[[Path], None], str]] = {
    "a model whose name has a NUL": (metadata(lambda about: about.update(model_file="a\0b")), "--model"),
    "a model whose name is a number": (metadata(lambda about: about.update(model_file=3)), "--model"),
    "no recipe": (metadata(lambda about: about.update(recipe=None)), "it does not say how it was made"),
    "a recipe that is a list": (metadata(lambda about: about.update(recipe=[1])), "it does not say how it was made"),
    "no scenario": (metadata(lambda about: about.pop("scenario")), "the scenario is ''"),
    "no marks": (folder_of_an_array(lambda path: None), "has no folder of its own"),
    "marks elsewhere": (folder_of_an_array(lambda path: path.symlink_to("..")), "has no folder of its own"),
    "metadata that are a pipe": (lambda store: a_pipe(store / ".zmetadata"), "it is not a regular file"),
    "metadata that are a link": (lambda store: a_link(store / "stock" / "../.zmetadata"), "it is a link"),
}


@pytest.mark.parametrize("case", WHOLE)
def test_a_store_whose_metadata_are_wrong_is_one_sentence(case: str, store: Path) -> None:
    damage, message = WHOLE[case]
    damage(store)
    code, said = ended("runs", "verify", "s.zarr", *(["--model", "m.mdl"] if message != "--model" else []))
    assert code == 2
    assert message in said


def test_a_lock_that_is_a_pipe_is_not_waited_for_and_a_link_is_not_followed(store: Path) -> None:
    (store / ".lock").unlink()
    os.mkfifo(store / ".lock")
    assert ended("runs", "clean", "s.zarr")[0] == 0
    (store / ".lock").unlink()
    (store / ".lock").symlink_to("../made")
    assert "its lock cannot be opened" in ended("runs", "clean", "s.zarr")[1]
    assert not (store.parent / "made").exists()
