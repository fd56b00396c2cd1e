"""Frozen values in files: bit for bit, the same bytes each time, and no damage passes."""

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from cipark_sd.base import records
from cipark_sd.base.arrays import Array
from cipark_sd.base.inputs import JSON_LIMIT
from cipark_sd.base.records import WrongRecordError, from_plain, read_record, write_record
from cipark_sd.data.scenarios import Scenario, TimeSeries
from cipark_sd.model.expr import Table


@dataclass(frozen=True, eq=False)
class Inner:
    name: str
    values: Array


@dataclass(frozen=True, eq=False)
class Outer:
    parts: tuple[Inner, ...]
    by_name: dict[str, float | None]
    count: int
    limit: float
    last: Inner | None = None


@dataclass(frozen=True)
class Held:
    scenario: Scenario


def test_a_scenario_with_every_kind_of_override_comes_back(tmp_path: Path) -> None:
    table, series = Table((0.0, 1.0), (2.0, 3.0)), TimeSeries((0.0, 1.0), (2.0, 3.0), "hold_backward")
    held = Held(Scenario("a", {"x": 0.1, "y": [1, 2], "t": table, "z": series}, time_step=0.5))
    assert read_record(Held, write_record(held, tmp_path / "a.zip")) == held


@pytest.mark.parametrize("value", ["x", {"kind": "scenario"}, {"x": [0.0]}, [1.0, "x"], None, True])
def test_what_is_no_override_is_refused(value: object) -> None:
    with pytest.raises(WrongRecordError):
        from_plain(Held, {"scenario": {"overrides": {"x": value}}})


VALUE = Outer(
    (Inner("a", np.array([0.1, np.nan, -np.inf])), Inner("é", np.zeros((2, 0, 3)))),
    {"x": 1 / 3, "y": None},
    2,
    float("inf"),
    Inner("last", np.array(5e-324)),
)


def test_a_value_comes_back_bit_for_bit_and_has_the_same_bytes_again(tmp_path: Path) -> None:
    again = read_record(Outer, write_record(VALUE, tmp_path / "a.zip"))
    assert (again.by_name, again.count, again.limit) == (VALUE.by_name, VALUE.count, VALUE.limit)
    assert again.last is not None
    for mine, theirs in zip((*again.parts, again.last), (*VALUE.parts, VALUE.last), strict=True):
        assert theirs is not None
        assert mine.name == theirs.name
        assert mine.values.shape == theirs.values.shape
        assert mine.values.tobytes() == theirs.values.tobytes()
    assert write_record(again, tmp_path / "b.zip").read_bytes() == (tmp_path / "a.zip").read_bytes()


def test_a_damaged_file_another_type_and_objects_are_refused(tmp_path: Path) -> None:
    path = write_record(VALUE, tmp_path / "a.zip")
    with pytest.raises(WrongRecordError, match="parts"):
        read_record(Inner, path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(WrongRecordError, match="no file of records"):
        read_record(Outer, path)
    with pytest.raises(FileNotFoundError):
        read_record(Outer, tmp_path / "none.zip")
    with pytest.raises(TypeError, match="cannot be kept"):
        write_record(Inner("a", np.array([object()])), tmp_path / "c.zip")
    assert not (tmp_path / "c.zip").exists()


#: The flags and the method of a member, in its own header and in the list at the end of an archive.
HEADERS = {"an unknown method": (10, 8, b"\x63\0"), "a password": (8, 6, b"\1\0"), "bzip2": (10, 8, b"\x0c\0")}


@pytest.mark.parametrize("case", [*HEADERS, "a header that is cut"])
def test_archives_that_python_cannot_unpack_are_refused(case: str, tmp_path: Path) -> None:
    path = write_record(Inner("a", np.zeros(3)), tmp_path / "a.zip")
    if case in HEADERS:
        listed, own, value = HEADERS[case]
        content = bytearray(path.read_bytes())
        for start, place in ((b"PK\1\2", listed), (b"PK\3\4", own)):
            at = content.index(start) + place
            content[at : at + 2] = value
        path.write_bytes(content)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("content.json", '{"name": "a", "values": {"array": 0}}')
            archive.writestr("0.npy", b"\x93NUMPY\1\0\x08\0{'a': ([")
    with pytest.raises(WrongRecordError):
        read_record(Inner, path)


def test_an_array_is_unpacked_once_however_often_a_file_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, counted = tmp_path / "a.zip", []
    array = io.BytesIO()
    np.save(array, np.zeros(3))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("0.npy", array.getvalue())
        archive.writestr("content.json", json.dumps({"name": "a", "values": [{"array": 0}] * 100}))
    plain = zipfile.ZipFile.read
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda self, name: counted.append(name) or plain(self, name))
    with pytest.raises(WrongRecordError, match="no array"):
        read_record(Inner, path)
    assert counted == ["content.json", "0.npy"]


def test_a_file_that_unpacks_to_more_than_is_read_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_record(Inner("a", np.zeros(10_000)), tmp_path / "a.zip")
    assert path.stat().st_size < 1000
    monkeypatch.setattr(records, "ARCHIVE_LIMIT", 10_000)
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("it is unpacked"))
    with pytest.raises(WrongRecordError, match=r"unpacked it has 80,\d+ bytes, and at most 10,000 are read"):
        read_record(Inner, path)
    monkeypatch.setattr(records, "ARCHIVE_LIMIT", 100)
    with pytest.raises(OSError, match="at most 100 bytes are read"):
        read_record(Inner, path)


def test_a_text_that_would_fill_the_memory_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of brackets alone Python makes objects of many times their size."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("content.json", b"[" + b"[]," * (JSON_LIMIT // 3) + b"[]]")
    assert path.stat().st_size < 100_000
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("it is unpacked"))
    with pytest.raises(WrongRecordError, match="its text has 8,388,610 bytes, and at most 8,388,608 are read"):
        read_record(Inner, path)
