"""The files of one array of a store, each a chunk of runs packed by Blosc, as Zarr writes and reads them.

They are read here and not by Zarr, which follows links, waits for pipes and unpacks whatever size a file claims.
"""

import shutil
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cipark_sd.files import write_bytes
from cipark_sd.inputs import own_bytes

#: Bytes before the content of a chunk, which say its sizes (c-blosc, README_CHUNK_FORMAT); it may not be packed at all.
_HEADER = 16
#: Beside ``U``, texts of fixed length, in coordinates.
_KINDS = "fiubU"


class Damaged(ValueError):
    """The file of a chunk that is not one."""


@dataclass(frozen=True, eq=False)
class StoredArray:
    """An array of a store.

    Parameters
    ----------
    store : Path
    name : str
        Of its folder.
    shape, chunks : tuple of int
    dtype : dtype
    fill
        What stands where nothing is written.
    """

    store: Path
    name: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: "np.dtype[Any]"
    fill: Any

    @classmethod
    def of(cls, store: Path, name: str, described: Mapping[str, Any]) -> "StoredArray":
        """The array that Zarr's metadata describe.

        Raises
        ------
        ValueError, KeyError, TypeError, AttributeError
            For others than are written here: numbers and texts of fixed length, packed by Blosc in C's order.
        """
        if not isinstance(described["dtype"], str) or np.dtype(described["dtype"]).kind not in _KINDS:
            raise ValueError(f"the array {name!r} holds {described['dtype']!r}, which is never read")
        if described["filters"]:
            raise ValueError(f"the array {name!r} has the filters {described['filters']!r}, which are never read")
        if described["compressor"]["id"] != "blosc":
            raise ValueError(f"the array {name!r} is packed by {described['compressor']['id']!r}; only blosc is read")
        if described["order"] != "C" or described.get("dimension_separator", ".") != ".":
            raise ValueError(f"the array {name!r} has another order than is written here")
        shape, chunks = tuple(described["shape"]), tuple(described["chunks"])
        sizes = [*shape, *chunks]
        if not all(isinstance(size, int) and 0 <= size < 2**62 for size in sizes) or not all(chunks):
            raise ValueError(f"the array {name!r} has the sizes {sizes}")
        if not 0 < len(shape) == len(chunks) or shape[1:] != chunks[1:]:
            raise ValueError(f"the array {name!r} is not cut by runs: {list(shape)} in chunks of {list(chunks)}")
        dtype = np.dtype(described["dtype"])
        fill = 0 if described["fill_value"] is None else described["fill_value"]
        return cls(store, name, shape, chunks, dtype, np.array(fill).astype(dtype))

    @property
    def n_bytes(self) -> int:
        """Of a chunk, unpacked."""
        size = self.dtype.itemsize
        for length in self.chunks:
            size *= length
        return size

    def file(self, number: int) -> str:
        """The file of a chunk, from the store's folder."""
        return f"{self.name}/{'.'.join([str(number), *'0' * (len(self.chunks) - 1)])}"

    def plausible(self, number: int) -> bool:
        """Whether the file of a chunk is there, is a file, and has the sizes that it claims; it is not unpacked."""
        path = self.store / self.file(number)
        try:
            if path.is_symlink() or not path.is_file():
                return False
            with path.open("rb") as file:
                self._check(file.read(_HEADER), path.stat().st_size)
        except (OSError, Damaged):
            return False
        return True

    def read_chunk(self, number: int) -> NDArray[Any]:
        """The content of a chunk, (*chunks); of one that is not there the fill.

        Raises
        ------
        Damaged
        """
        from numcodecs.blosc import decompress

        content: NDArray[Any] = np.full(self.chunks, self.fill, dtype=self.dtype)
        try:
            raw = own_bytes(self.store, self.file(number), self.n_bytes + _HEADER)
            self._check(raw, len(raw))
            decompress(raw, content)
        except FileNotFoundError:
            pass
        except OSError as problem:
            raise Damaged(f"{self.file(number)}: {problem.strerror or problem}") from None
        except (ValueError, RuntimeError) as problem:
            raise Damaged(f"{self.file(number)}: {problem}") from None
        return content

    def _check(self, header: bytes, size: int) -> None:
        if len(header) < _HEADER:
            raise Damaged("it is too short")
        unpacked, _, packed = struct.unpack_from("<III", header, 4)
        if (unpacked, packed) != (self.n_bytes, size):
            raise Damaged("it does not have the sizes of a chunk")

    def read(self, first: int, last: int) -> NDArray[Any]:
        """Some rows, (last - first, ...).

        Raises
        ------
        Damaged
        """
        size = self.chunks[0]
        parts = [
            self.read_chunk(number)[max(first - number * size, 0) : last - number * size]
            for number in range(first // size, -(-last // size))
        ]
        return np.concatenate(parts) if parts else np.empty((0, *self.shape[1:]), self.dtype)

    def write_chunk(self, number: int, values: NDArray[Any]) -> None:
        """Write the file of a chunk, whole or not at all; Zarr's own way takes half as long again."""
        from numcodecs import Blosc

        content = np.ascontiguousarray(values, dtype=self.dtype)
        if content.shape != self.chunks:
            # the last chunk is as long as the others in its file
            padded = np.full(self.chunks, self.fill, dtype=self.dtype)
            padded[: len(content)] = content
            content = padded
        file = self.store / self.file(number)
        if file.is_dir() and not file.is_symlink():
            shutil.rmtree(file)
        write_bytes(file, Blosc(cname="lz4", clevel=1, shuffle=Blosc.SHUFFLE).encode(content))
