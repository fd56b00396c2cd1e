"""What a run store is made of, how one is begun, and which are refused.

A store is a Zarr group of format 2, whose metadata are consolidated: xarray, R and Julia open it without this package.
Each array has the dim ``run`` in front and is chunked along it. ``chunk_digest`` holds the SHA-256 of the content of a
chunk, which is written after the content: a chunk that has none is not complete.

A store is data. Before anything of one is decoded, its metadata are checked: only numbers and fixed-length text, only
codecs that decode to bytes, and no chunk that memory could not hold. An array of objects or a pickle is refused.
"""

import json
import math
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cipark_sd.checkpoints import digest
from cipark_sd.errors import CiparkError, InvalidValue, MissingPackage
from cipark_sd.files import file_name, unfinished_name
from cipark_sd.inputs import MODEL_LIMIT, own_bytes
from cipark_sd.store.arrays import StoredArray

FORMAT = "cipark_sd runs"
#: Of what this version writes. A store of a larger number is refused; those of smaller ones are read.
SCHEMA = 1
#: The array of marks.
MARKS = "chunk_digest"
#: Bytes of a mark.
MARK = 32
#: Bytes of one chunk in one array, decoded, beyond which a store is not opened.
LARGEST_CHUNK = 2**30
_METADATA = ".zmetadata"
#: What names of arrays are made of: no path, and nothing that is hidden.
_PLAIN = re.compile(r"\w[\w-]*")


class NoStore(CiparkError):
    """A folder that is no run store, or one that cannot be used."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        super().__init__(f"{path}: {reason}")


@dataclass(frozen=True, eq=False)
class Column:
    """Numbers that each run has.

    Parameters
    ----------
    dims : tuple of str
        Those after ``run``.
    shape : tuple of int
        Of one run.
    dtype : str
        As NumPy spells it.
    fill : float or int
        What a run has that is not computed yet.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str = "<f8"
    fill: float | int = math.nan
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of one run."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True, eq=False)
class Layout:
    """What a store is to hold.

    Parameters
    ----------
    n_runs, chunk : int
        Runs in all, and runs of a chunk.
    columns : mapping of str to Column
    coordinates : mapping of str to array
        By the name of their dim, each (n,).
    identity : mapping of str to str
        All that the bits depend on, by what it is. Another identity is another store.
    about : mapping
        What readers like to know beside it; plain data.
    """

    n_runs: int
    chunk: int
    columns: Mapping[str, Column]
    coordinates: Mapping[str, NDArray[np.generic]]
    identity: Mapping[str, str]
    about: Mapping[str, Any]

    @property
    def n_chunks(self) -> int:
        """How many."""
        return -(-self.n_runs // self.chunk)

    @property
    def bytes_per_run(self) -> int:
        """Without compression."""
        return sum(column.size for column in self.columns.values())

    @property
    def key(self) -> str:
        """The digest of the identity and of what is stored of it."""
        stored = [(name, column.dims, column.shape, column.dtype) for name, column in self.columns.items()]
        return digest(dict(self.identity), self.n_runs, self.chunk, stored)


def array_name(name: str) -> str:
    """The name of an array: that of the variable where it is plain, and a path to nowhere else in any case."""
    return file_name(name, unique=True)


def require_zarr(needed_for: str) -> None:
    """Raise where zarr or numcodecs is not installed.

    Raises
    ------
    MissingPackage
    """
    try:
        import numcodecs  # noqa: F401
        import zarr  # noqa: F401
    except ImportError:
        raise MissingPackage("zarr with numcodecs", "store", needed_for) from None


def begin(path: Path, layout: Layout) -> None:
    """Make an empty store, whole or not at all; where another process was faster, its store stands.

    The files are those that Zarr would write, which it does in threads of its own: where one of them fails, the others
    go on writing.
    """
    described: dict[str, dict[str, object]] = {}
    for name, values in layout.coordinates.items():
        described |= _described(name, values.shape, values.shape, values.dtype.str, None, (name,), {})
    for name, column in layout.columns.items():
        shape, chunks = (layout.n_runs, *column.shape), (layout.chunk, *column.shape)
        dims = ("run", *column.dims)
        described |= _described(name, shape, chunks, column.dtype, column.fill, dims, column.attributes)
    described |= _described(MARKS, (layout.n_chunks, MARK), (1, MARK), "|u1", 0, ("chunk", "byte"), {})
    described[".zgroup"] = {"zarr_format": 2}
    described[".zattrs"] = {
        "format": FORMAT,
        "schema": SCHEMA,
        "key": layout.key,
        "identity": dict(layout.identity),
        "runs": layout.n_runs,
        "chunk": layout.chunk,
        "columns": {array_name(name): name for name in layout.columns},
        **layout.about,
    }
    partial = path.with_name(unfinished_name(path.name))
    try:
        for name, content in described.items():
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            (partial / name).write_text(json.dumps(content), encoding="utf-8")
        for name, values in layout.coordinates.items():
            array = array_name(name)
            StoredArray.of(partial, array, described[f"{array}/.zarray"]).write_chunk(0, values)
        together = {"metadata": described, "zarr_consolidated_format": 1}
        (partial / _METADATA).write_text(json.dumps(together), encoding="utf-8")
        try:
            os.rename(partial, path)
        except OSError:
            # a folder with content is not replaced
            if not (path / _METADATA).is_file():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _described(
    name: str,
    shape: Sequence[int],
    chunks: Sequence[int],
    dtype: str,
    fill: float | int | None,
    dims: Sequence[str],
    attributes: Mapping[str, Any],
) -> dict[str, dict[str, object]]:
    """The metadata of an array by their files (Zarr storage specification, version 2)."""
    array: dict[str, object] = {
        "zarr_format": 2,
        "shape": list(shape),
        "chunks": [max(1, size) for size in chunks],
        "dtype": np.dtype(dtype).str,
        "fill_value": fill if fill is None or math.isfinite(fill) else "NaN",
        "order": "C",
        "filters": None,
        "dimension_separator": ".",
        "compressor": {"id": "blosc", "cname": "lz4", "clevel": 1, "shuffle": 1, "blocksize": 0},
    }
    attached = {"_ARRAY_DIMENSIONS": [array_name(dim) for dim in dims], "name": name, **attributes}
    return {f"{array_name(name)}/.zarray": array, f"{array_name(name)}/.zattrs": attached}


def metadata_of(path: Path) -> tuple[dict[str, Any], dict[str, StoredArray]]:
    """The attributes of a store and its arrays, whose metadata are checked.

    Raises
    ------
    NoStore
        For what is none, one of a newer schema, and one that holds what is not read.
    """
    try:
        content = json.loads(own_bytes(path, _METADATA, MODEL_LIMIT))
        metadata = content["metadata"]
        attributes = dict(metadata[".zattrs"])
        if attributes["format"] != FORMAT:
            raise NoStore(path, f"it is no run store: its format is {attributes['format']!r}, expected {FORMAT!r}")
        if not isinstance(attributes["schema"], int) or attributes["schema"] < 1:
            raise NoStore(path, f"it is no run store: its schema is {attributes['schema']!r}")
        if attributes["schema"] > SCHEMA:
            raise NoStore(
                path,
                f"the store has schema {attributes['schema']}, and this version reads up to {SCHEMA}; it was made by "
                f"cipark {attributes.get('cipark_sd_version', 'of a later version')}: use that or a later one",
            )
        described = {name.removesuffix("/.zarray"): of for name, of in metadata.items() if name.endswith("/.zarray")}
        arrays = {name: _array_of(path, name, of) for name, of in described.items()}
        _check_sizes(path, attributes, arrays)
    except (FileNotFoundError, NotADirectoryError):
        raise NoStore(path, "it is no run store (cipark ensemble makes one with -o)") from None
    except OSError as problem:
        raise NoStore(path, f"it cannot be read: {problem.strerror or problem}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise NoStore(path, f"its metadata are damaged ({type(problem).__name__}: {problem})") from None
    return attributes, arrays


def _array_of(path: Path, name: str, described: Mapping[str, Any]) -> StoredArray:
    if not _PLAIN.fullmatch(name):
        raise NoStore(path, f"an array is called {name!r}, which is no name that is written here")
    folder = path / name
    if folder.is_symlink() or not folder.is_dir():
        raise NoStore(path, f"the array {name!r} has no folder of its own in it")
    array = StoredArray.of(path, name, described)
    if array.n_bytes > LARGEST_CHUNK:
        raise NoStore(path, f"a chunk of {name!r} has {array.n_bytes:,} bytes, and at most {LARGEST_CHUNK:,} are read")
    return array


def _check_sizes(path: Path, attributes: Mapping[str, Any], arrays: Mapping[str, StoredArray]) -> None:
    runs, chunk, columns = attributes["runs"], attributes["chunk"], attributes["columns"]
    if not all(isinstance(size, int) and size > 0 for size in (runs, chunk)):
        raise NoStore(path, f"it claims {runs!r} runs in chunks of {chunk!r}")
    if not all(isinstance(name, str) and array_name(name) == array for array, name in columns.items()):
        raise NoStore(path, f"it claims the columns {columns!r}")
    if not isinstance(attributes["identity"], dict) or not isinstance(attributes["key"], str):
        raise NoStore(path, "it does not say what it holds")
    expected = dict.fromkeys(columns, (runs, chunk)) | {MARKS: (-(-runs // chunk), 1)}
    for name, sizes in expected.items():
        if (arrays[name].shape[0], arrays[name].chunks[0]) != sizes:
            raise NoStore(path, f"the array {name!r} does not have {sizes[0]} rows in chunks of {sizes[1]}")


def check_same(path: Path, layout: Layout) -> None:
    """Raise unless the store holds what a layout says.

    Raises
    ------
    NoStore, InvalidValue
    """
    attributes, _ = metadata_of(path)
    if (attributes["key"], attributes["runs"], attributes["chunk"]) == (layout.key, layout.n_runs, layout.chunk):
        return
    stored = attributes["identity"]
    changed = [name for name, value in layout.identity.items() if stored.get(name) != value]
    if attributes["runs"] != layout.n_runs:
        changed.append(f"the number of runs ({attributes['runs']:,}, asked for {layout.n_runs:,})")
    differences = ", ".join(changed) or "what is saved of a run"
    expected = "another folder with -o, or --fresh to remove what is there"
    raise InvalidValue("the run store", f"of other runs: {differences} differs", expected, where=str(path))
