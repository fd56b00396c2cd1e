"""Results say what they are, and survive being written and read."""

import json
import re
import subprocess
import sys
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from cipark_sd.base.errors import InvalidValue, UnknownName, UnusableInput
from cipark_sd.data.described import save as save_content
from cipark_sd.data.results import load, read_netcdf, save, to_table, write_netcdf
from cipark_sd.data.scenarios import Scenario
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.model import Model
from cipark_sd.simulations.simulation import course, simulate

Write = Callable[..., Path]

EQUATIONS = """
Region: East, "West/North" ~~|
People[Region] = INTEG(births[Region], 1) ~ people ~ Those who live there |
births[Region] = People[Region] * 0.1 ~ people/Year ~ |
"R&D/cost share" = Time / 7 ~ Dmnl ~ |
"""


@pytest.fixture
def model(write_mdl: Write) -> Model:
    return read_model(write_mdl(EQUATIONS, name="Größe.mdl"))


def test_a_result_says_how_it_was_made(model: Model) -> None:
    run = simulate(model, Scenario("dry", {"people": 2}))
    assert {key: run.attrs[key] for key in ("model", "model_digest", "engine", "integration_method", "time_step")} == {
        "model": "Größe",
        "model_digest": model.digest,
        "engine": "native",
        "integration_method": "euler",
        "time_step": 0.25,
    }
    assert run.attrs["scenario"] == '{"name": "dry", "set": {"people": 2.0}}'


def test_a_variable_carries_name_units_kind_and_documentation(model: Model) -> None:
    assert simulate(model)["people"].attrs == {
        "long_name": "People",
        "units": "people",
        "kind": "stock",
        "description": "Those who live there",
    }


def test_a_result_comes_back_from_netcdf_as_it_was(model: Model, tmp_path: Path) -> None:
    run = simulate(model)
    save(run, tmp_path / "run.nc")
    xr.testing.assert_identical(load(tmp_path / "run.nc"), run)


def test_a_table_comes_back_as_the_table_that_it_was(model: Model, tmp_path: Path) -> None:
    run = simulate(model)
    run["births"][0] = np.nan
    save(run, tmp_path / "run.csv")
    back = load(tmp_path / "run.csv")
    pd.testing.assert_frame_equal(to_table(back), to_table(run), check_exact=True)
    assert back.attrs == run.attrs
    np.testing.assert_array_equal(back.cp["births[East]"], run.cp["births[East]"])
    save(run, tmp_path / "run.xlsx")
    book = load(tmp_path / "run.xlsx")
    # openpyxl writes 16 digits of a number
    pd.testing.assert_frame_equal(to_table(book), to_table(run), rtol=1e-15)
    assert book.attrs == {key: str(value) for key, value in run.attrs.items()}
    (tmp_path / "run.csv-metadata.json").unlink()
    pd.testing.assert_frame_equal(to_table(load(tmp_path / "run.csv")), to_table(run))
    for name, content in (("a.csv", "time,b\n1,x\n"), ("b.csv", ""), ("c.csv", "time,b\n1,2\n")):
        (tmp_path / name).write_text(content)
        (tmp_path / "c.csv-metadata.json").write_text("[]")
        with pytest.raises(InvalidValue, match=f"the table is '{name}'"):
            load(tmp_path / name)
    with pytest.raises(UnusableInput, match="load_fit"):
        load(tmp_path)


def test_a_name_of_the_file_is_answered_in_a_few_lines(model: Model) -> None:
    run = simulate(model)
    with pytest.raises(
        KeyError, match=r"no variable 'People'; did you mean 'people', or result.cp\['People'\]"
    ) as caught:
        run["People"]
    assert len(traceback.format_exception(caught.value)) < 15
    with pytest.raises(UnknownName, match="no variable 'peple'; did you mean 'people'"):
        run.sel(time=0)["peple"]
    assert run.get("nothing") is None


def test_no_variable_of_a_netcdf_file_is_attached_to_its_coordinates_twice(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detached = []
    with h5py.File(tmp_path / "one.h5", "w") as file:
        dimension = type(file.create_dataset("one", data=[1.0]).dims[0])
    monkeypatch.setattr(dimension, "detach_scale", lambda self, scale: detached.append(scale))
    save(simulate(model), tmp_path / "run.nc")
    assert not detached


def test_plain_xarray_opens_the_netcdf(model: Model, tmp_path: Path) -> None:
    save(simulate(model), tmp_path / "run.nc")
    with xr.open_dataset(tmp_path / "run.nc") as opened:
        assert opened["people"].sel(region="East", time=10).item() == pytest.approx(1.025**40)
        assert opened.attrs["model_digest"] == model.digest


def test_plain_pandas_opens_the_table(model: Model, tmp_path: Path) -> None:
    run = simulate(model)
    save(run, tmp_path / "run.csv")
    table = pd.read_csv(tmp_path / "run.csv", index_col="time")
    assert list(table.columns) == [
        "People[East]",
        "People[West/North]",
        "births[East]",
        "births[West/North]",
        "R&D/cost share",
    ]
    # pandas before 3 reads a number to one bit beside it
    pd.testing.assert_frame_equal(table, to_table(run), rtol=1e-15, atol=0)


@pytest.mark.parametrize("name", ["run.csv", "run.nc"])
def test_a_run_is_written_without_xarray_and_pandas_to_the_same_bytes(
    write_mdl: Write, tmp_path: Path, name: str
) -> None:
    # missing and infinite values, a name with a comma
    model = read_model(write_mdl(EQUATIONS + 'odd = LN(Time - 5) ~~|\n"a, b" = 1 / odd ~~|\n'))
    run = course(model, engine="native")
    save(run.dataset(), tmp_path / name)
    files = sorted(tmp_path.glob(f"{name}*"))
    expected = [path.read_bytes() for path in files]
    assert np.isnan(run.values["odd"]).any()
    assert np.isinf(run.values["odd"]).any()
    save_content(*run.content, tmp_path / name)
    assert [path.read_bytes() for path in files] == expected


def test_a_tree_comes_back_as_xarray_would_write_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = {
        "/": xr.Dataset(attrs={"format": "a tree"}),
        "/draws": xr.Dataset({"rate": (("chain", "draw"), np.eye(2, 3), {"units": "1/Year"})}, {"chain": [0, 1]}),
        "/seen": xr.Dataset(
            {"used": ("draw", [True, False]), "label": ("draw", ["East", "Größe"]), "at": 2019.5}, {"draw": [4, 7]}
        ),
    }
    tree = xr.DataTree.from_dict(groups)
    tree.to_netcdf(tmp_path / "theirs.nc", engine="h5netcdf")
    monkeypatch.delattr(xr.DataTree, "to_netcdf")
    write_netcdf(tree, tmp_path / "ours.nc")
    ours, theirs = (xr.open_datatree(tmp_path / name, engine="h5netcdf").load() for name in ("ours.nc", "theirs.nc"))
    assert ours.identical(theirs)
    for path, node in theirs.subtree_with_keys:
        for name, variable in node.dataset.variables.items():
            assert ours[path].dataset[name].dtype == variable.dtype


def test_a_command_that_writes_one_run_loads_neither_xarray_nor_pandas(tmp_path: Path) -> None:
    code = (
        "import sys; from cipark_sd.commands.cli import cli; cli(sys.argv[1:], standalone_mode=False); "
        "assert not {'xarray', 'pandas'} & set(sys.modules)"
    )
    for ending in ("csv", "nc"):
        run = ["run", "core", "-o", str(tmp_path / f"run.{ending}")]
        subprocess.run([sys.executable, "-c", code, *run], check=True, capture_output=True)


def test_how_a_table_was_made_stands_beside_it(model: Model, tmp_path: Path) -> None:
    run = simulate(model)
    save(run, tmp_path / "run.csv")
    said = json.loads((tmp_path / "run.csv-metadata.json").read_text(encoding="utf-8"))
    assert (said["@context"], said["url"], said["notes"]) == ("http://www.w3.org/ns/csvw", "run.csv", [run.attrs])


def test_a_workbook_has_the_table_and_how_it_was_made(model: Model, tmp_path: Path) -> None:
    run = simulate(model)
    # a name that a spreadsheet would compute
    run["births"].attrs["long_name"] = "=1+1"
    save(run, tmp_path / "run.xlsx")
    table = pd.read_excel(tmp_path / "run.xlsx", sheet_name="run", index_col="time", engine="openpyxl")
    # openpyxl writes 16 digits of a number, and Excel shows 15
    pd.testing.assert_frame_equal(table, to_table(run), rtol=1e-15, check_dtype=False)
    assert "=1+1[East]" in table.columns
    about = pd.read_excel(tmp_path / "run.xlsx", sheet_name="about", header=None, index_col=0, engine="openpyxl")[1]
    assert about["model_digest"] == model.digest
    with zipfile.ZipFile(tmp_path / "run.xlsx") as archive:
        # nothing says when it was written: the same run gives the same bytes
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert not re.search(rb"\dT\d\d:\d\d", archive.read("docProps/core.xml"))
    wide = run.expand_dims(scenario=[f"s{i}" for i in range(4000)])
    with pytest.raises(InvalidValue, match="16,384 columns"):
        save(wide, tmp_path / "wide.xlsx")
    assert not (tmp_path / "wide.xlsx").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("run.xls", r"ends in \.nc or \.csv or \.xlsx"),
        ("run", r"ends in \.nc or \.csv"),
        ("no/where/run.nc", "there is no folder"),
    ],
)
def test_a_file_that_cannot_be_written_is_an_error_and_leaves_nothing(
    model: Model, tmp_path: Path, name: str, message: str
) -> None:
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InvalidValue, match=message):
        save(simulate(model), tmp_path / name)
    assert sorted(tmp_path.iterdir()) == before


def test_a_failing_write_leaves_the_old_file_and_no_remains(model: Model, tmp_path: Path) -> None:
    run = simulate(model)
    save(run, tmp_path / "run.nc")
    before = (tmp_path / "run.nc").read_bytes()
    with pytest.raises(TypeError):
        save(run.assign_attrs(odd=object()), tmp_path / "run.nc")
    assert (tmp_path / "run.nc").read_bytes() == before
    assert not list(tmp_path.glob(".*"))


def test_all_kinds_of_values_come_back_from_netcdf(tmp_path: Path) -> None:
    """The judge is xarray: its reader and its writer. Dimensions have a coordinate or none, and one has no length."""
    written = xr.Dataset(
        {
            "number": (("run", "time"), np.array([[1.5, np.nan], [-0.0, np.inf]]), {"units": "m", "range": [0.0, 1.0]}),
            "small": ("time", np.arange(2, dtype=np.float32)),
            "count": ("bare", np.arange(3, dtype=np.int64), {"few": np.int32(2)}),
            "flag": ("run", np.array([True, False])),
            "text": ("run", np.array(["a", "Größe"], dtype=object), {"words": ["one", "two"]}),
            "scalar": ((), np.float64(2.5)),
            "nothing": ("none", np.zeros(0)),
        },
        coords={"time": [0.0, 0.5], "run": np.array([3, 4]), "label": ("run", np.array(["x", "yy"]))},
        attrs={"format": "some", "seed": 4, "empty": ""},
    )
    write_netcdf(written, tmp_path / "all.nc")
    read = read_netcdf(tmp_path / "all.nc")
    assert read.identical(written)
    assert np.signbit(read["number"].values[1, 0])
    written.to_netcdf(tmp_path / "theirs.nc", engine="h5netcdf")
    theirs = read_netcdf(tmp_path / "theirs.nc")
    assert {name: read[name].dtype for name in read.variables} == {
        name: theirs[name].dtype for name in theirs.variables
    }


def test_a_foreign_netcdf_file_is_not_taken_for_a_result(tmp_path: Path) -> None:
    xr.Dataset({"a": ("time", np.zeros(2))}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(InvalidValue, match="its format is None"):
        load(tmp_path / "other.nc")


def test_a_file_that_is_no_netcdf_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "other.nc").write_text("no")
    with pytest.raises(InvalidValue, match="the file is no NetCDF"):
        load(tmp_path / "other.nc")
