"""Stores that somebody else made: nothing of them is run, and no more memory is taken than a chunk may have."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("zarr", reason="the extra store is not installed")

from cipark_sd.store.chunks import RunStore
from cipark_sd.store.schema import Column, Layout, NoStore, array_name


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("good") / "s.zarr"
    columns = {"level": Column(("time",), (3,)), "a/../../b": Column((), (), "<i4", -1)}
    layout = Layout(10, 4, columns, {"time": np.arange(3.0), "who": np.array(["x", "yy"])}, {"the model": "m"}, {})
    store = RunStore.of(path, layout)
    store.entry("chunk", 0).save({"level": np.ones((4, 3)), "a/../../b": np.arange(4, dtype="<i4")})
    return path


def put(*keys: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


META, LEVEL = "metadata", "level/.zarray"
CHANGES: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "pickles": (put(META, LEVEL, "filters", value=[{"id": "pickle", "protocol": 5}]), "which are never read"),
    "objects": (put(META, LEVEL, "dtype", value="|O"), "'|O', which is never read"),
    "records": (put(META, LEVEL, "dtype", value=[["a", "<f8"]]), "which is never read"),
    "packed by a stranger": (put(META, LEVEL, "compressor", value={"id": "pickle"}), "packed by 'pickle'"),
    "a chunk of a terabyte": (put(META, LEVEL, "dtype", value="<U200000000"), "9,600,000,000 bytes, and at most"),
    "chunks of another cut": (put(META, LEVEL, "chunks", value=[4, 2]), "is not cut by runs"),
    "packed by something that has no bound": (put(META, LEVEL, "compressor", "id", value="zlib"), "only blosc is read"),
    "columns that are no names": (put(META, ".zattrs", "columns", value={"level": ["x"]}), "it claims the columns"),
    "no identity": (put(META, ".zattrs", "identity", value=None), "it does not say what it holds"),
    "a negative size": (put(META, LEVEL, "shape", value=[-1, 3]), "has the sizes"),
    "no runs": (put(META, ".zattrs", "runs", value=0), "it claims 0 runs"),
    "too many runs": (put(META, ".zattrs", "runs", value=10**15), "does not have 1000000000000000 rows"),
    "another format": (put(META, ".zattrs", "format", value="other"), "its format is 'other'"),
    "a schema of text": (put(META, ".zattrs", "schema", value="1"), "its schema is '1'"),
    "a newer schema": (put(META, ".zattrs", "schema", value=7), "has schema 7, and this version reads up to 1"),
    "a column that is not there": (put(META, ".zattrs", "columns", value={"gone": "gone"}), "metadata are damaged"),
    "columns that are a number": (put(META, ".zattrs", "columns", value=3), "metadata are damaged"),
    "a path as a name": (put(META, "../../x/.zarray", value={}), "an array is called '../../x'"),
    "no metadata": (put(META, value=[]), "metadata are damaged"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_store_that_was_tampered_with_is_one_sentence(case: str, good: Path, tmp_path: Path) -> None:
    change, message = CHANGES[case]
    path = tmp_path / "s.zarr"
    shutil.copytree(good, path)
    content = json.loads((path / ".zmetadata").read_text())
    change(content)
    (path / ".zmetadata").write_text(json.dumps(content))
    with pytest.raises(NoStore) as problem:
        RunStore(path)
    assert message in str(problem.value)


@pytest.mark.parametrize("raw", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b'{"metadata": {".zattrs": 3}}'])
def test_metadata_that_are_none(raw: bytes, good: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.zarr"
    shutil.copytree(good, path)
    (path / ".zmetadata").write_bytes(raw)
    with pytest.raises(NoStore, match="metadata are damaged"):
        RunStore(path)


def test_a_pickle_in_the_place_of_a_chunk_is_never_loaded(good: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path(tmp_path / "ran").touch, ())

    path = tmp_path / "s.zarr"
    shutil.copytree(good, path)
    (path / "level" / "0.0").write_bytes(pickle.dumps(Bomb()))
    assert not RunStore(path).entry("chunk", 0).whole()
    assert not (tmp_path / "ran").exists()


def test_metadata_beside_the_checked_ones_are_not_read(good: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.zarr"
    shutil.copytree(good, path)
    content = json.loads((path / LEVEL).read_text()) | {"dtype": "|O", "filters": [{"id": "pickle", "protocol": 5}]}
    (path / LEVEL).write_text(json.dumps(content))
    assert RunStore(path).read("level", 0, 4).tolist() == np.ones((4, 3)).tolist()
    assert RunStore(path).open()["level"].dtype == float


def test_a_variable_whose_name_is_a_path_stays_in_the_store(good: Path) -> None:
    assert array_name("a/../../b").startswith("a_b-")
    assert (good / array_name("a/../../b") / "0").is_file()
    assert RunStore(good).open()["a/../../b"].to_numpy()[:4].tolist() == [0, 1, 2, 3]


def test_a_folder_that_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(NoStore, match="it is no run store"):
        RunStore(tmp_path)
    with pytest.raises(NoStore, match="it is no run store"):
        RunStore(tmp_path / "gone")
