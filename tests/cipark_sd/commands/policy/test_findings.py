"""Findings of ``cipark policy``: saved and loaded to the last bit; their parts as a table."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.typing import NDArray

from cipark_sd.base.records import WrongRecordError, columns, read_record, write_record
from cipark_sd.commands.policy.output import PARTS, kinds
from cipark_sd.commands.policy.request import NAMES, UNDER_PRIORS
from cipark_sd.data import described, results
from cipark_sd.pages.output import load_result, save_result


@dataclass(frozen=True)
class Inner:
    way: Literal["more", "less"]
    value: float | None


@dataclass(frozen=True)
class Everything:
    number: float
    count: int
    sure: bool
    text: str
    inner: Inner | None
    none: Inner | None
    pairs: tuple[tuple[str, float], ...]
    two: tuple[str, float]
    by_name: Mapping[str, Inner]
    array: NDArray[np.bool_]
    columns: Mapping[str, NDArray[Any]]
    frame: pd.DataFrame
    runs: xr.Dataset
    several: Mapping[str, xr.Dataset]


def dataset(value: float) -> xr.Dataset:
    data = {"a/b": ("x", np.array([value, np.nan]))}
    return xr.Dataset(data, {"x": ["p", "q"]}, attrs={"format": described.FORMAT})


@pytest.fixture
def everything() -> Everything:
    frame = pd.DataFrame({"x": [0.1, np.nan, -np.inf], "n": [1, 2, 3], "s": ["a", "", "ü"], "b": [True, False, True]})
    return Everything(
        number=1 / 3,
        count=7,
        sure=False,
        text='a "b"\n',
        inner=Inner("less", None),
        none=None,
        pairs=(("a", np.nextafter(1.0, 2.0)), ("b", float("inf"))),
        two=("c", 5e-324),
        by_name={"k": Inner("more", 2.0)},
        array=np.array([[True, False]]),
        columns=columns(frame[["x", "s"]]),
        frame=frame,
        runs=dataset(0.1),
        several={"one": dataset(1.0), "two": dataset(2.0)},
    )


def test_every_kind_of_field_comes_back_to_the_last_bit(everything: Everything, tmp_path: Path) -> None:
    path = tmp_path / "findings.zip"
    save_result(everything, path, "me", {"basis": "b"})
    assert {file.name for file in tmp_path.iterdir()} == {"findings.zip", "runs.nc", "one.nc", "two.nc"}
    found = load_result(Everything, path, "me")
    assert found is not None
    plain = ("number", "count", "sure", "text", "inner", "none", "pairs", "two", "by_name")
    for name in plain:
        assert getattr(found, name) == getattr(everything, name), name
    assert (found.array.dtype, found.array.tolist()) == (np.dtype(bool), [[True, False]])
    pd.testing.assert_frame_equal(found.frame, everything.frame, check_exact=True)
    assert found.runs.identical(everything.runs.assign_attrs(basis="b"))
    assert found.columns["s"].tolist() == ["a", "", "ü"]
    assert found.several["two"]["a/b"].to_numpy()[0] == 2.0


def test_findings_of_something_else_or_beside_other_runs_are_not_taken(everything: Everything, tmp_path: Path) -> None:
    path = tmp_path / "findings.zip"
    assert load_result(Everything, path, "me") is None
    save_result(everything, path, "me", {})
    assert load_result(Everything, path, "another") is None
    with pytest.raises(WrongRecordError, match="way"):
        load_result(Inner, path, "me")
    runs = (tmp_path / "runs.nc").read_bytes()
    results.save(dataset(0.2), tmp_path / "runs.nc")
    with pytest.raises(WrongRecordError, match=r"runs\.nc is not the file that was written with findings\.zip"):
        load_result(Everything, path, "me")
    (tmp_path / "runs.nc").write_bytes(runs)
    assert load_result(Everything, path, "me") is not None
    # earlier versions wrote no format, and other names of columns
    write_record({k: v for k, v in read_record(dict[str, Any], path).items() if k != "format"}, path)
    with pytest.raises(WrongRecordError, match="its format is None, not 'cipark_sd findings 4'"):
        load_result(Everything, path, "me")


@pytest.mark.parametrize(
    ("field", "value"),
    [("number", "x"), ("count", 1.5), ("text", None), ("inner", {"way": "up", "value": 1.0}), ("two", ["c"])],
)
def test_a_file_that_is_no_finding_is_not_taken(
    everything: Everything, tmp_path: Path, field: str, value: object
) -> None:
    path = tmp_path / "findings.zip"
    save_result(everything, path, "me", {})
    content = read_record(dict[str, Any], path)
    content["findings"][field] = value
    write_record(content, path)
    with pytest.raises(WrongRecordError, match=r"findings\.zip: "):
        load_result(Everything, path, "me")
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(WrongRecordError, match=r"findings\.zip: "):
        load_result(Everything, path, "me")


def test_a_file_names_no_runs_but_those_beside_it(everything: Everything, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    path = tmp_path / "out" / "findings.zip"
    save_result(everything, path, "me", {})
    results.save(dataset(9.0), tmp_path / "runs.nc")
    content = read_record(dict[str, Any], path)
    content["files"]["../runs"] = hashlib.sha256((tmp_path / "runs.nc").read_bytes()).hexdigest()
    content["findings"]["runs"] = "../runs"
    write_record(content, path)
    with pytest.raises(WrongRecordError, match="is not the file"):
        load_result(Everything, path, "me")


def test_each_part_has_a_name_and_a_type_of_result() -> None:
    assert [*PARTS] == [UNDER_PRIORS, *NAMES]
    assert len(set(kinds().values())) == len(PARTS)
