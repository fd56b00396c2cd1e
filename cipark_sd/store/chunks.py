"""The chunks of a store as entries of checkpoints: the same ``there``, ``load``, ``save`` and ``discard``."""

import hashlib
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cipark_sd.checkpoints import Arrays, CheckpointWarning
from cipark_sd.store.arrays import Damaged, StoredArray
from cipark_sd.store.lock import alone
from cipark_sd.store.schema import MARK, MARKS, Layout, NoStore, array_name, begin, check_same, metadata_of

if TYPE_CHECKING:
    import xarray as xr

#: Files that are not finished, those of earlier versions among them.
_UNFINISHED = "*.partial*"


class DamagedChunk(NoStore):
    """A store of which something cannot be read."""

    def __init__(self, path: Path, problem: Damaged) -> None:
        super().__init__(path, f"a chunk is damaged ({problem}); cipark runs clean drops it")


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
        _ = self._metadata

    @cached_property
    def _metadata(self) -> tuple[dict[str, Any], Mapping[str, StoredArray]]:
        return metadata_of(self.path)

    @property
    def attributes(self) -> dict[str, Any]:
        """What the store says of itself."""
        return self._metadata[0]

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

    def marked(self) -> NDArray[np.intp]:
        """The chunks that the store calls complete, ascending: one look at a folder."""
        names = (path.name.partition(".") for path in (self.path / MARKS).iterdir())
        numbers = (int(number) for number, _, ending in names if (ending, number.isdecimal()) == ("0", True))
        return np.array(sorted({number for number in numbers if number < self.n_chunks}), dtype=np.intp)

    def complete(self) -> NDArray[np.bool_]:
        """Which chunks are complete, (n_chunks,): those with a mark whose files are there and have their sizes."""
        there = np.zeros(self.n_chunks, dtype=bool)
        there[[number for number in self.marked() if self.entry("chunk", number).there]] = True
        return there

    def n_complete(self, complete: NDArray[np.bool_] | None = None) -> int:
        """Runs of complete chunks."""
        there = self.complete() if complete is None else complete
        missing = self.n_chunks * self.chunk - self.n_runs if there[-1] else 0
        return int(there.sum()) * self.chunk - missing

    def size(self) -> int:
        """Bytes on disk."""
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())

    def read(self, name: str, first: int, last: int) -> NDArray[Any]:
        """A column of some runs, complete or not, (last - first, ...).

        Raises
        ------
        DamagedChunk
        """
        try:
            return self._arrays[array_name(name)].read(first, last)
        except Damaged as problem:
            raise DamagedChunk(self.path, problem) from None

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
        return sum(_removed(path) for path in self.path.rglob(_UNFINISHED))

    def remove(self) -> None:
        """Remove the store.

        Raises
        ------
        NoStore
            When another process writes to it.
        """
        with alone(self.path):
            # the marks first: what is left of a removal that is stopped is an incomplete store
            shutil.rmtree(self.path / MARKS)
            shutil.rmtree(self.path)

    @property
    def _arrays(self) -> Mapping[str, StoredArray]:
        return self._metadata[1]

    def coordinate(self, name: str) -> NDArray[Any]:
        """The coordinate of a dim, (n,).

        Raises
        ------
        NoStore
            Where it has none, or one that cannot be read.
        """
        if name not in self._arrays:
            raise NoStore(self.path, f"it has no {name!r}")
        try:
            return self._arrays[name].read(0, self._arrays[name].shape[0])
        except Damaged as problem:
            raise NoStore(self.path, f"what it says of {name!r} is damaged ({problem})") from None

    @property
    def columns(self) -> Mapping[str, str]:
        """The names of what is stored of a run, by the names of their arrays."""
        return dict(self.attributes["columns"])


def _removed(path: Path) -> bool:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    return True


@dataclass(frozen=True)
class StoredChunk:
    """One chunk."""

    store: RunStore
    number: int

    @property
    def there(self) -> bool:
        """Whether it has its mark, and files of the right sizes; only :meth:`load` sees their content."""
        arrays = self.store._arrays
        return all(arrays[name].plausible(self.number) for name in (MARKS, *self.store.columns))

    def load(self) -> Arrays | None:
        """The content of the chunk; None where it has no mark, or is damaged, which is warned of."""
        content, reason = self._read()
        if reason:
            text = f"{self.store.path}: chunk {self.number} is damaged ({reason})"
            warnings.warn(text, CheckpointWarning, stacklevel=2)
        return content

    def content(self) -> Arrays | None:
        """As :meth:`load`, and nothing is warned of."""
        return self._read()[0]

    def _read(self) -> tuple[Arrays | None, str]:
        """The content, or None and what is wrong with it."""
        first, last = self.store.bounds(self.number)
        try:
            mark = self.store.read(MARKS, self.number, self.number + 1)
            if not mark.any():
                return None, ""
            content = {name: self.store.read(name, first, last) for name in self.store.columns.values()}
        except (DamagedChunk, MemoryError) as problem:
            return None, str(problem)
        if mark.shape != (1, MARK) or _digest(content) != mark.tobytes():
            return None, "it does not have its digest"
        return content, ""

    def whole(self) -> bool:
        """Whether the content can be read and has its digest."""
        return self.content() is not None

    def save(self, arrays: Arrays) -> None:
        """Write the chunk: its content, each file whole or not at all, and then its mark."""
        first, last = self.store.bounds(self.number)
        if set(arrays) != set(self.store.columns.values()):
            raise ValueError(f"the chunk has {sorted(arrays)}, the store {sorted(self.store.columns.values())}")
        for name, values in arrays.items():
            if len(values) != last - first:
                raise ValueError(f"{name!r} has {len(values)} runs, the chunk {last - first}")
            self.store._arrays[array_name(name)].write_chunk(self.number, values)
        self.store._arrays[MARKS].write_chunk(self.number, np.frombuffer(_digest(arrays), dtype="u1")[None])

    def discard(self) -> None:
        """Take the mark away: the content is computed anew and written over."""
        _removed(self.store.path / self.store._arrays[MARKS].file(self.number))


def _digest(arrays: Arrays) -> bytes:
    """SHA-256 of names, kinds, shapes and bytes."""
    content = hashlib.sha256()
    for name in sorted(arrays):
        values = np.ascontiguousarray(arrays[name])
        content.update(f"{name}\n{values.dtype.str}\n{values.shape}\n".encode())
        content.update(values.data if values.size else b"")
    return content.digest()
