"""Data sets of Vensim's, written here in the same layout."""

import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from cipark_sd.base.errors import InvalidValue
from cipark_sd.language.read.model_file import read_model
from cipark_sd.language.read.vensim.data_sets import read_data_set
from cipark_sd.simulations.simulation import simulate

NAN = float("nan")
SECTION = bytes.fromhex("a1374cbf")
MARKS = struct.pack("<II", 0xF6800000, 0xF6800000)


def _block(values: Sequence[float]) -> bytes:
    there = ~np.isnan(values)
    bits = np.packbits(there, bitorder="little").tobytes()
    return struct.pack("<H", there.sum()) + bits + np.asarray(values, "<f4")[there].tobytes()


def _data_set(times: Sequence[float], columns: Mapping[str, Sequence[float]], shape: int = 5) -> bytes:
    """Head, records, names, a third section, table of blocks and blocks; records stand in the opposite order."""
    records = b""
    for number, _ in reversed(list(enumerate(columns, start=1))):
        words = [0] * 16
        words[2], words[6], words[11] = 10 + number, shape, number
        record = bytearray(struct.pack("<16I", *words))
        record[32:40] = MARKS
        records += record
    time = bytearray(struct.pack("<16I", *([0] * 16)))
    time[32:40] = MARKS
    names = b"".join(struct.pack("<H", len(name) + 1) + name.encode() + b"\0" for name in columns)
    first = SECTION + bytes(20) + records + bytes(time)
    second = SECTION + bytes(16) + struct.pack("<I", 6 << 16) + b"Time\0\0" + names
    blocks = [_block(values) for values in (times, *columns.values())]
    head = bytearray(0x80)
    head[:4] = bytes.fromhex("7ff71741")
    table = len(head) + len(first) + len(second) + 24
    struct.pack_into("<I", head, 0x58, table)
    struct.pack_into("<I", head, 0x7C, len(times))
    at = table + 4 * len(blocks) + np.cumsum([0, *map(len, blocks)])[:-1]
    return bytes(head) + first + second + SECTION + bytes(20) + struct.pack(f"<{len(blocks)}I", *at) + b"".join(blocks)


TIMES = [0, 1, 2.5, 4, 5, 6, 7, 8, 9]
RAIN = [1, NAN, 3, NAN, NAN, NAN, NAN, NAN, 9]
PRICE = [NAN, 2, 2, 2, 2, 2, 2, 2, 2.5]


def test_each_variable_has_its_values_at_its_times() -> None:
    table = read_data_set(_data_set(TIMES, {"rain fall": RAIN, "price": PRICE}), "a.vdf")
    assert list(table) == ["rain fall", "price"]
    assert table.index.tolist() == TIMES
    np.testing.assert_array_equal(table.to_numpy(), np.transpose([RAIN, PRICE]))


def test_a_model_takes_it_as_series(write_mdl: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "a.vdf").write_bytes(_data_set(TIMES, {"Rain Fall": RAIN, "price": PRICE}))
    path = write_mdl("rain fall :INTERPOLATE: ~~|\nx = rain fall * 2 ~~|\n")
    run = simulate(read_model(path, series=[tmp_path / "a.vdf"]), {"FINAL TIME": 2}, save=["x"])
    assert float(run["x"][0]) == 2
    assert float(run["x"][-1]) == pytest.approx(2 * (1 + 2 * 2 / 2.5))


def test_what_is_cut_off_or_has_subscripts_is_refused() -> None:
    raw = _data_set(TIMES, {"rain": RAIN})
    for end in (0, 4, 0x60, 0x80, len(raw) // 2, len(raw) - 5):
        with pytest.raises(InvalidValue, match="a data set of Vensim's"):
            read_data_set(raw[:end], "a.vdf")
    with pytest.raises(InvalidValue, match="'rain', expected variables without subscripts"):
        read_data_set(_data_set(TIMES, {"rain": RAIN}, shape=7), "a.vdf")
