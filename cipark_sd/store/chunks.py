"""The chunks of a store as entries of checkpoints: the same ``there``, ``load``, ``save`` and ``discard``."""

import hashlib
import shutil
import uuid
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cipark_sd.checkpoints import Arrays, CheckpointWarning
from cipark_sd.store.lock import alone
from cipark_sd.store.schema import MARKS, Layout, array_name, attributes_of, begin, check_same

if TYPE_CHECKING:
    import xarray as xr

#: How Zarr calls a file that is not finished.
_UNFINISHED = ".partial"


@dataclass(frozen=True)
class RunStore:
    """A store that exists.

    Parameters
    ----------
    path : Path
        Its folder, whose metadata are checked when it is opened.

    Raises
    ------
    NoStore
    """

    path: Path

    @classmethod
    def of(cls, path: Path, layout: Layout) -> "RunStore":
        """The store of a layout, begun where there is none.

        Raises
        ------
        NoStore, InvalidValue
            When something else is in its place.
        """
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            begin(path, layout)
        check_same(path, layout)
        return cls(path)

    def __post_init__(self) -> None:
        _ = self.attributes

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """What the store says of itself."""
        return attributes_of(self.path)

    @property
    def n_runs(self) -> int:
        """Complete or not."""
        return int(self.attributes["runs"])

    @property
    def chunk(self) -> int:
        """Runs of a chunk; the last may have fewer."""
        return int(self.attributes["chunk"])

    @property
    def n_chunks(self) -> int:
        """Complete or not."""
        return -(-self.n_runs // self.chunk)

    def bounds(self, number: int) -> tuple[int, int]:
        """The first run of a chunk and the one after its last."""
        return number * self.chunk, min((number + 1) * self.chunk, self.n_runs)

    def entry(self, label: str, *parts: object) -> "StoredChunk":
        """The chunk of a number, as ``entry("task", key)`` of other checkpoints: the key is the number."""
        return StoredChunk(self, int(str(parts[0])))

    def complete(self) -> NDArray[np.bool_]:
        """Which chunks are complete, (n_chunks,): one look at a folder."""
        there = np.zeros(self.n_chunks, dtype=bool)
        for path in self._folder(MARKS).iterdir():
            number = path.name.partition(".")[0]
            if number.isdigit() and path.name == f"{number}.0" and int(number) < self.n_chunks:
                there[int(number)] = True
        return there

    def n_complete(self) -> int:
        """Runs of complete chunks."""
        there = self.complete()
        missing = self.n_chunks * self.chunk - self.n_runs if there[-1] else 0
        return int(there.sum()) * self.chunk - missing

    def size(self) -> int:
        """Bytes on disk."""
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())

    def read(self, name: str, first: int, last: int) -> NDArray[Any]:
        """A column of some runs, complete or not, (last - first, ...)."""
        return np.asarray(self._arrays[array_name(name)][first:last])

    def open(self) -> "xr.Dataset":
        """All of it as one Dataset that reads what is asked for; runs that are not complete are NaN.

        With dask installed its arrays are chunked as the store is. ``run`` has no coordinate: a thousand million
        numbers say no more than that they are counted.
        """
        import importlib.util

        import xarray as xr

        chunks: Any = {} if importlib.util.find_spec("dask") else None
        stored: xr.Dataset = xr.open_zarr(
            self.path, consolidated=True, chunks=chunks, zarr_format=2, mask_and_scale=False
        )
        stored = stored.drop_vars(MARKS)
        renamed = {name: array.attrs["name"] for name, array in stored.variables.items() if "name" in array.attrs}
        return stored.rename({old: new for old, new in renamed.items() if old != new and old in stored.variables})

    def remove_unfinished(self) -> int:
        """Remove what killed processes left, and say how many files it was. Nobody else may be at work."""
        return sum(_removed(path) for path in self.path.rglob(f"*{_UNFINISHED}"))

    def remove(self) -> None:
        """Remove the store.

        Raises
        ------
        NoStore
            When another process writes to it.
        """
        with alone(self.path):
            # the marks first: what is left of a removal that is stopped is an incomplete store
            shutil.rmtree(self._folder(MARKS))
            shutil.rmtree(self.path)

    @cached_property
    def _group(self) -> Any:
        import zarr

        return zarr.open_group(self.path, mode="r+", zarr_format=2, use_consolidated=True)

    @cached_property
    def _arrays(self) -> Mapping[str, Any]:
        names = [*self.attributes["columns"], MARKS]
        # an array of one value, such as one where every run failed, is written as any other
        return {name: self._group[name].with_config({"write_empty_chunks": True}) for name in names}

    def coordinate(self, name: str) -> NDArray[Any]:
        """The coordinate of a dim, (n,)."""
        return np.asarray(self._group[name][:])

    def _folder(self, name: str) -> Path:
        return self.path / array_name(name)

    @property
    def columns(self) -> Mapping[str, str]:
        """The names of what is stored of a run, by the names of their arrays."""
        return dict(self.attributes["columns"])


def _removed(path: Path) -> bool:
    path.unlink(missing_ok=True)
    return True


@dataclass(frozen=True)
class StoredChunk:
    """One chunk."""

    store: RunStore
    number: int

    @property
    def _mark(self) -> Path:
        return self.store.path / MARKS / f"{self.number}.0"

    @property
    def there(self) -> bool:
        """Whether it is complete."""
        return self._mark.is_file()

    def load(self) -> Arrays | None:
        """The content of the chunk; None where it is not complete, or damaged, which is warned of."""
        if not self.there:
            return None
        try:
            content = dict(self._content())
            mark = bytes(self.store._arrays[MARKS][self.number])
        except (OSError, ValueError, RuntimeError, MemoryError) as problem:
            self._not_used(f"is damaged ({problem})")
            return None
        if _digest(content) != mark:
            self._not_used("is damaged (it does not have its digest)")
            return None
        return content

    def whole(self) -> bool:
        """Whether the content can be read and has its digest."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CheckpointWarning)
            return self.load() is not None

    def save(self, arrays: Arrays) -> None:
        """Write the chunk: its content, each file whole or not at all, and then its mark."""
        first, last = self.store.bounds(self.number)
        if set(arrays) != set(self.store.columns.values()):
            raise ValueError(f"the chunk has {sorted(arrays)}, the store {sorted(self.store.columns.values())}")
        for name, values in arrays.items():
            if len(values) != last - first:
                raise ValueError(f"{name!r} has {len(values)} runs, the chunk {last - first}")
            self._write(array_name(name), values)
        self._write(MARKS, np.frombuffer(_digest(arrays), dtype="u1")[None])

    def _write(self, name: str, values: NDArray[Any]) -> None:
        """Write the file of a chunk, whole or not at all, as Zarr would, whose own way takes half as long again."""
        array = self.store._arrays[name]
        content = np.ascontiguousarray(values, dtype=array.dtype)
        if content.shape != array.chunks:
            # the last chunk is as long as the others in its file
            padded = np.full(array.chunks, array.fill_value, dtype=array.dtype)
            padded[: len(content)] = content
            content = padded
        file = self.store.path / name / ".".join([str(self.number), *"0" * (content.ndim - 1)])
        partial = file.with_name(f"{file.name}.{uuid.uuid4().hex}{_UNFINISHED}")
        try:
            partial.write_bytes(array.metadata.compressor.encode(content))
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)

    def discard(self) -> None:
        """Take the mark away: the content is computed anew and written over."""
        self._mark.unlink(missing_ok=True)

    def _content(self) -> Iterator[tuple[str, NDArray[Any]]]:
        first, last = self.store.bounds(self.number)
        for name in self.store.columns.values():
            yield name, self.store.read(name, first, last)

    def _not_used(self, reason: str) -> None:
        text = f"{self.store.path}: chunk {self.number} {reason}"
        warnings.warn(text, CheckpointWarning, stacklevel=3)


def _digest(arrays: Arrays) -> bytes:
    """SHA-256 of names, kinds, shapes and bytes."""
    content = hashlib.sha256()
    for name in sorted(arrays):
        values = np.ascontiguousarray(arrays[name])
        content.update(f"{name}\n{values.dtype.str}\n{values.shape}\n".encode())
        content.update(values.data if values.size else b"")
    return content.digest()
