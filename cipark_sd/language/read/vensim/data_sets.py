"""Vensim's data sets (``.vdf`` that begin with ``7f f7 17 41``): values over time of variables without subscripts.

A section of names and a table of records follow each other. Records that stand for a variable carry two marks;
sorted by their third word they are in the order of the names, and name a place in the table of blocks. A block is a
count, a bit for each time, and as many numbers of four bytes. Source: docs/design/vdf.md of the repository
bpowers/simlin, and data sets of published models.
"""

import struct
from collections.abc import Iterator

import numpy as np
import pandas as pd

from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import InvalidValue

_SECTION = bytes.fromhex("a1374cbf")
_MARKS = struct.pack("<II", 0xF6800000, 0xF6800000)
#: Words of the head: where the table of blocks is, and how many times there are.
_BLOCKS, _TIMES = 0x58, 0x7C
#: The shape of a record without subscripts.
_SCALAR = 5


def read_data_set(raw: bytes, where: str) -> pd.DataFrame:
    """The variables of a data set.

    Parameters
    ----------
    where : str
        The file, for messages.

    Returns
    -------
    DataFrame, (n_times, n_variables)
        NaN where there is no value; the index is time.

    Raises
    ------
    InvalidValue
        For a file that is cut off or of another layout, and for one that has variables with subscripts.
    """
    try:
        return _read(raw, where)
    except (struct.error, IndexError, ValueError, OverflowError):
        content = "cut off or of another layout"
        raise InvalidValue("its content", content, "a data set of Vensim's", where=where) from None


def _word(raw: bytes, at: int) -> int:
    return int(struct.unpack_from("<I", raw, at)[0])


def _read(raw: bytes, where: str) -> pd.DataFrame:
    n_times, blocks = _word(raw, _TIMES), _word(raw, _BLOCKS)
    if not 0 < n_times <= 8 * len(raw):
        raise ValueError(n_times)
    starts = list(_places(raw, _SECTION))[:3]
    columns = {}
    names = list(_names(raw, starts[1], starts[2]))
    # each variable has a bit for each time in the file
    if len(names) * n_times > 8 * len(raw):
        raise ValueError(n_times)
    for (_, shape, index), name in zip(sorted(_records(raw, starts[0], starts[1])), names, strict=False):
        if index == 0 or name == "Time":
            continue
        if shape != _SCALAR:
            expected = "variables without subscripts; save it as a table (.csv, .dat) for --series"
            raise InvalidValue("the variable", name, expected, where=where)
        columns[name] = _block(raw, _word(raw, blocks + 4 * index), n_times)
    return pd.DataFrame(columns, index=pd.Index(_block(raw, _word(raw, blocks), n_times), name="Time"))


def _places(raw: bytes, mark: bytes) -> Iterator[int]:
    at = raw.find(mark)
    while at >= 0:
        yield at
        at = raw.find(mark, at + 1)


def _names(raw: bytes, start: int, end: int) -> Iterator[str]:
    """The names of a section, ``Time`` first; what is behind the last one is no text. Vensim's own are left out."""
    yield "Time"
    # the length of the first name, Time, is in the head of the section
    at = start + 24 + (_word(raw, start + 20) >> 16)
    while at < end - 2:
        (length,) = struct.unpack_from("<H", raw, at)
        name = raw[at + 2 : at + 2 + length].split(b"\0")[0].decode("utf-8", "replace")
        at += 2 + length
        if name and not name.startswith("."):
            yield name


def _records(raw: bytes, start: int, end: int) -> Iterator[tuple[tuple[int, int], int, int]]:
    """Order, shape and number of block of each variable."""
    for at in _places(raw, _MARKS):
        if start < at < end:
            yield (_word(raw, at - 24), at), _word(raw, at - 8), _word(raw, at + 12)


def _block(raw: bytes, at: int, n_times: int) -> Array:
    """A variable's values at all times ``(n_times,)``."""
    size = -(-n_times // 8)
    (count,) = struct.unpack_from("<H", raw, at)
    bits = np.unpackbits(np.frombuffer(raw, np.uint8, size, at + 2), bitorder="little")[:n_times].astype(bool)
    values = np.full(n_times, np.nan)
    values[bits] = np.frombuffer(raw, "<f4", count, at + 2 + size)
    return values
