"""Data sets of Vensim's, written here in the same layout."""

import struct
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from cipark_sd.base.errors import CiparkError, InvalidValue
from cipark_sd.language.read.model_file import read_model
from cipark_sd.language.read.vensim.data_sets import read_data_set
from cipark_sd.simulations.simulation import simulate

NAN = float("nan")
SECTION = bytes.fromhex("a1374cbf")
MARK = 0xF6800000


def _block(values: Sequence[float]) -> bytes:
    there = ~np.isnan(values)
    bits = np.packbits(there, bitorder="little").tobytes()
    return struct.pack("<H", there.sum()) + bits + np.asarray(values, "<f4")[there].tobytes()


def _data_set(
    times: Sequence[float],
    columns: Mapping[str, Sequence[float] | Mapping[tuple[str, ...], Sequence[float]]],
    ranges: Mapping[str, Sequence[str]] | None = None,
) -> bytes:
    """Head, sections of records, names, shapes, nothing and ranges, table of blocks and blocks.

    Records of variables stand in the opposite order, before those of elements; arrays are over all ``ranges``, and an
    element that has no values has no block.
    """
    ranges = ranges or {}
    elements = [element for of_range in ranges.values() for element in of_range]
    names, places = b"", {}
    for name in (*columns, *elements, *ranges):
        # a name begins behind its length, at a whole word
        places[name] = (8 + len(names)) // 4 + 7
        text = name.encode() + bytes(2 - len(name) % 2)
        names += struct.pack("<H", len(text)) + text + bytes(-(2 + len(text)) % 4)
    blocks, first_blocks = [_block(times)], {}
    for name, values in columns.items():
        first_blocks[name] = len(blocks)
        of_variable = [values[at] for at in product(*ranges.values())] if isinstance(values, Mapping) else [values]
        blocks += [_block(course) if len(course) else b"" for course in of_variable]
    words = [
        [0, 0, places[name], 0, 0, 0, 32 if isinstance(columns[name], Mapping) else 5, 0, MARK, MARK, 0, first]
        for name, first in reversed(first_blocks.items())
    ]
    words += [[0, 0, places[name], 0, 0, 0, 5, 0, 5, MARK, 0, 0] for name in (*elements, *ranges)]
    references = {name: 60 + 16 * (len(columns) + place) for place, name in enumerate((*elements, *ranges))}
    shape = [0] * 27
    shape[18 : 18 + len(ranges)], shape[26] = [references[axis] for axis in ranges], len(ranges)
    of_ranges = [
        word
        for axis, of_range in ranges.items()
        for word in (references[axis], len(of_range), 0, *(references[element] for element in of_range), 0)
    ]
    sections = [
        SECTION + bytes(224) + b"".join(struct.pack("<16I", *(record + [0] * 4)) for record in words),
        SECTION + bytes(16) + struct.pack("<I", 6 << 16) + b"Time\0\0" + names + bytes(2),
        SECTION + bytes(4 * 30) + struct.pack("<27I", *shape),
        SECTION + bytes(20),
        SECTION + bytes(12) + struct.pack(f"<{len(of_ranges)}I", *of_ranges),
    ]
    head = bytearray(0x80)
    head[:4] = bytes.fromhex("7ff71741")
    table = len(head) + sum(map(len, sections))
    struct.pack_into("<I", head, 0x58, table)
    struct.pack_into("<I", head, 0x7C, len(times))
    ends = table + 4 * len(blocks) + np.cumsum([0, *map(len, blocks)])[:-1]
    at = [end if block else 0 for end, block in zip(ends, blocks, strict=True)]
    return bytes(head) + b"".join(sections) + struct.pack(f"<{len(blocks)}I", *at) + b"".join(blocks)


TIMES = [0, 1, 2.5, 4, 5, 6, 7, 8, 9]
RAIN = [1, NAN, 3, NAN, NAN, NAN, NAN, NAN, 9]
PRICE = [NAN, 2, 2, 2, 2, 2, 2, 2, 2.5]


def test_each_variable_has_its_values_at_its_times() -> None:
    table = read_data_set(_data_set(TIMES, {"rain fall": RAIN, "price": PRICE}), "a.vdf")
    assert list(table) == ["price", "rain fall"]
    assert table.index.tolist() == TIMES
    np.testing.assert_array_equal(table.to_numpy(), np.transpose([PRICE, RAIN]))


def test_a_model_takes_it_as_series(write_mdl: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "a.vdf").write_bytes(_data_set(TIMES, {"Rain Fall": RAIN, "price": PRICE}))
    path = write_mdl("rain fall :INTERPOLATE: ~~|\nx = rain fall * 2 ~~|\n")
    run = simulate(read_model(path, series=[tmp_path / "a.vdf"]), {"FINAL TIME": 2}, save=["x"])
    assert float(run["x"][0]) == 2
    assert float(run["x"][-1]) == pytest.approx(2 * (1 + 2 * 2 / 2.5))


def test_an_array_has_its_elements_the_last_subscript_first(tmp_path: Path, write_mdl: Callable[..., Path]) -> None:
    regions, kinds = ["north", "south end"], ["a", "b", "c"]
    courses = {at: [10.0 * place + time for time in range(3)] for place, at in enumerate(product(regions, kinds))}
    courses["south end", "a"] = []
    raw = _data_set([0, 1, 2], {"price": [1, 2, 3], "seen": courses}, {"Region": regions, "Kind": kinds})
    table = read_data_set(raw, "a.vdf")
    expected = {f"seen[{region},{kind}]": course for (region, kind), course in courses.items() if course}
    assert {name: table[name].tolist() for name in table} == {"price": [1, 2, 3], **expected}
    (tmp_path / "a.vdf").write_bytes(raw)
    text = "Region: north, south end ~~|\nKind: a, b, c ~~|\nseen[Region, Kind] ~~|\nx = seen[south end, b] ~~|\n"
    run = simulate(read_model(write_mdl(text), series=[tmp_path / "a.vdf"]), {"FINAL TIME": 1}, save=["x"])
    assert float(run["x"][-1]) == 41


def test_constants_are_read_from_a_data_set_at_a_time(tmp_path: Path, write_mdl: Callable[..., Path]) -> None:
    """Before the first time the first value, else the last one up to it; ranges are those of the model."""
    courses = {("north",): [1.0, 2, 3], ("south",): [10.0, NAN, 30], ("west",): [7.0, 8, 9]}
    raw = _data_set([2, 4, 6], {"Base Rate": courses, "mean": [5, 6, 7]}, {"Any": ["north", "south", "west"]})
    (tmp_path / "a.vdf").write_bytes(raw)
    path = write_mdl(
        "Region: north, south ~~|\nFile :IS: 'A.vdf' ~~|\n"
        "rate[Region] = GET VDF CONSTANTS(File, 'base rate[Region]', 5) ~~|\n"
        "early[Region] = GET VDF CONSTANTS('a.vdf', 'base rate[Region]', 1) ~~|\n"
        "late = GET VDF CONSTANTS('a.vdf', 'base rate[west]', 60) ~~|\n"
        "mean = GET VDF CONSTANTS('a.vdf', 'mean', 2) ~~|\n"
        "x[Region] = rate[Region] + 100 * early[Region] + 10000 * late + 100000 * mean ~~|\n"
    )
    run = simulate(read_model(path), {"FINAL TIME": 1}, save=["x"])
    assert run["x"].values[0].tolist() == [590102, 591010]


@pytest.mark.parametrize(
    ("name", "message"), [("base", "which has no 'base'"), ("rate[Region]", "has 2 elements of it for 1")]
)
def test_constants_that_a_data_set_does_not_have_are_told(
    tmp_path: Path, write_mdl: Callable[..., Path], name: str, message: str
) -> None:
    courses = {("north",): [1.0], ("south",): [2.0]}
    (tmp_path / "a.vdf").write_bytes(_data_set([0], {"rate": courses}, {"Region": ["north", "south"]}))
    path = write_mdl(f"Region: north, south ~~|\nm = GET VDF CONSTANTS('a.vdf', '{name}', 0) ~~|\n")
    with pytest.raises(CiparkError, match=message):
        simulate(read_model(path), {"FINAL TIME": 1})


def test_what_is_cut_off_or_of_another_layout_is_refused() -> None:
    raw = _data_set(TIMES, {"rain": RAIN, "seen": {("a",): PRICE, ("b",): PRICE}}, {"Kind": ["a", "b"]})
    assert list(read_data_set(raw, "a.vdf")) == ["seen[a]", "seen[b]", "rain"]
    unknown = raw.replace(struct.pack("<5I", 60 + 16 * 4, 2, 0, 60 + 16 * 2, 60 + 16 * 3), bytes(20))
    for file in (unknown, *(raw[:end] for end in (0, 4, 0x60, 0x80, len(raw) // 2, len(raw) - 5))):
        with pytest.raises(InvalidValue, match="a data set of Vensim's"):
            read_data_set(file, "a.vdf")
