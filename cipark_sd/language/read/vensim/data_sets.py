"""Vensim's data sets (``.vdf`` that begin with ``7f f7 17 41``): values over time of variables, arrays among them.

Sections follow each other: of records, of names, of shapes, one that is not read, and of ranges. A record of 16 words
names its variable by the place of the name, its shape by a place among the shapes, and the first of its blocks. A shape
says its ranges, each by its record, and a range its elements, by their records; of an array the last subscript goes
round first. A block is a count, a bit for each time, and as many numbers of four bytes. Source: docs/design/vdf.md of
the repository bpowers/simlin, and data sets of published models.
"""

import struct
from collections.abc import Iterator
from itertools import product

import numpy as np
import pandas as pd

from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import InvalidValue

_SECTION = bytes.fromhex("a1374cbf")
_MARK = 0xF6800000
#: Words of the head: where the table of blocks is, and how many times there are.
_BLOCKS, _TIMES = 0x58, 0x7C
#: Bytes from a section to the first record and of a record, from a section to its words, and of a record's number in a
#: reference to it.
_FIRST, _RECORD, _HEAD, _REFERENCE = 228, 64, 24, 60
#: Words of a record: the place of its name, its shape, its mark and the first block; and the shape of one without
#: subscripts.
_NAME, _SHAPE, _MARKED, _BLOCK, _SCALAR = 2, 6, 8, 11, 5
#: Words of a shape: the first of its ranges, and how many there are.
_RANGES, _N_RANGES = 18, 26


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
        For a file that is cut off or of another layout.
    """
    try:
        return _read(raw)
    except (struct.error, LookupError, ValueError, OverflowError):
        content = "cut off or of another layout"
        raise InvalidValue("its content", content, "a data set of Vensim's", where=where) from None


def _word(raw: bytes, at: int) -> int:
    return int(struct.unpack_from("<I", raw, at)[0])


def _read(raw: bytes) -> pd.DataFrame:
    n_times, blocks = _word(raw, _TIMES), _word(raw, _BLOCKS)
    if not 0 < n_times <= 8 * len(raw):
        raise ValueError(n_times)
    records, names, shapes, _, ranges = list(_places(raw, _SECTION))[:5]
    by_place, columns = dict(_names(raw, names, shapes)), dict[str, Array]()
    elements = _elements(raw, ranges, blocks, records, by_place)
    for at in range(records + _FIRST, names - _RECORD + 1, _RECORD):
        words = struct.unpack_from("<16I", raw, at)
        name = by_place.get(words[_NAME], "Time")
        if words[_MARKED] != _MARK or not words[_BLOCK] or name == "Time":
            continue
        axes = _axes(raw, shapes, words[_SHAPE])
        for place, of_one in enumerate(product(*(elements[axis] for axis in axes)), start=words[_BLOCK]):
            # each has a bit for each time in the file
            if len(columns) * n_times > 8 * len(raw):
                raise ValueError(n_times)
            # an element without data has no block
            if at_block := _word(raw, blocks + 4 * place):
                columns[f"{name}[{','.join(of_one)}]" if axes else name] = _block(raw, at_block, n_times)
    return pd.DataFrame(columns, index=pd.Index(_block(raw, _word(raw, blocks), n_times), name="Time"))


def _axes(raw: bytes, shapes: int, shape: int) -> list[int]:
    """References to the ranges of a shape, which counts words of its section from 1."""
    if shape == _SCALAR:
        return []
    at = shapes + 4 * (shape - 1)
    n = _word(raw, at + 4 * _N_RANGES)
    if not 0 < n < _N_RANGES - _RANGES:
        raise ValueError(n)
    return [_word(raw, at + 4 * (_RANGES + i)) for i in range(n)]


def _elements(raw: bytes, start: int, end: int, records: int, names: dict[int, str]) -> dict[int, list[str]]:
    """The names of each range's elements, by the reference to it: a range, a count, 0, its elements, and 0."""
    ranges, at = {}, start + _HEAD - 8
    while at + 8 < end:
        axis, n = _word(raw, at), _word(raw, at + 4)
        of_range = [(_word(raw, at + 12 + 4 * i) - _REFERENCE) // 16 for i in range(n)]
        ranges[axis] = [names[_word(raw, records + _FIRST + _RECORD * number + 4 * _NAME)] for number in of_range]
        at += 4 * (n + 4)
    return ranges


def _places(raw: bytes, mark: bytes) -> Iterator[int]:
    at = raw.find(mark)
    while at >= 0:
        yield at
        at = raw.find(mark, at + 1)


def _names(raw: bytes, start: int, end: int) -> Iterator[tuple[int, str]]:
    """The names of a section behind the first one, ``Time``, by their places in words, as records count them.

    What is behind the last one is no text. Vensim's own are left out.
    """
    # the length of the first name is in the head of the section
    at = start + _HEAD + (_word(raw, start + 20) >> 16)
    while at < end - 2:
        (length,) = struct.unpack_from("<H", raw, at)
        name = raw[at + 2 : at + 2 + length].split(b"\0")[0].decode("utf-8", "replace")
        if name and not name.startswith("."):
            yield (at + 2 - start - _HEAD) // 4 + 7, name
        at += 2 + length


def _block(raw: bytes, at: int, n_times: int) -> Array:
    """A variable's values at all times ``(n_times,)``."""
    size = -(-n_times // 8)
    (count,) = struct.unpack_from("<H", raw, at)
    bits = np.unpackbits(np.frombuffer(raw, np.uint8, size, at + 2), bitorder="little")[:n_times].astype(bool)
    values = np.full(n_times, np.nan)
    values[bits] = np.frombuffer(raw, "<f4", count, at + 2 + size)
    return values
