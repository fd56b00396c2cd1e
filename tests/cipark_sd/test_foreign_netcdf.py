"""NetCDF files that somebody else made: no number of another file comes in, and no more memory is taken than stated."""

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

import h5py
import numpy as np
import pytest
import xarray as xr

from cipark_sd.analysis.experiments.draws import read_file
from cipark_sd.base.checkpoints import sign_files
from cipark_sd.base.errors import CiparkError
from cipark_sd.base.inputs import UnreadableFile
from cipark_sd.base.records import write_record
from cipark_sd.commands.sensitivity import findings
from cipark_sd.commands.sensitivity.target import read_draws
from cipark_sd.data import netcdf
from cipark_sd.data.described import FORMAT
from cipark_sd.data.results import load
from cipark_sd.pages.output import FORMAT as OF_FINDINGS

SECRET = 4711.0


def linked(file: h5py.File, secret: Path) -> None:
    file["more"] = h5py.ExternalLink(str(secret), "/y")


def linked_below(file: h5py.File, secret: Path) -> None:
    file.create_group("a/b")["more"] = h5py.ExternalLink(secret.name, "/y")


def virtual(file: h5py.File, secret: Path) -> None:
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource(str(secret), "y", (4,))
    file.create_virtual_dataset("more", layout)


def beside(file: h5py.File, secret: Path) -> None:
    file.create_dataset("more", (4,), "f8", external=[(str(secret), 0, 32)])


def to_a_link(file: h5py.File, secret: Path) -> None:
    file["more"] = h5py.SoftLink("/y")


def within_itself(file: h5py.File, secret: Path) -> None:
    file.create_group("a")["again"] = file["/"]


def a_terabyte(file: h5py.File, secret: Path) -> None:
    file.create_dataset("more", (10**12,), "f8", chunks=(10**6,), compression="gzip")


TRICKS: dict[Callable[[h5py.File, Path], None], str] = {
    linked: "'more' is a link, and none is followed",
    linked_below: "'a/b/more' is a link, and none is followed",
    to_a_link: "'more' is a link, and none is followed",
    virtual: "'more' takes its numbers from other files",
    beside: "'more' takes its numbers from other files",
    within_itself: "'a/again' is a group that is elsewhere too",
    a_terabyte: "unpacked it has 7,629,395 MiB, and at most ",
}


def made(path: Path, trick: Callable[[h5py.File, Path], None] | None, group: str | None = None) -> Path:
    """A file with a number at four times, and a trick."""
    secret = path.with_name("secret.h5")
    run = xr.Dataset({"y": (("chain", "draw"), np.full((1, 4), SECRET))}, attrs={"format": FORMAT})
    run.to_netcdf(secret, engine="h5netcdf")
    own = run.assign(y=run["y"] + np.arange(4.0))
    own.to_netcdf(path, engine="h5netcdf", group=group)
    with h5py.File(path, "a") as file:
        # two names for one array are common, and no trick
        file[f"{group or ''}/twice"] = file[f"{group or ''}/y"]
        if trick is not None:
            trick(file, secret)
    return path


@pytest.mark.parametrize("trick", TRICKS)
def test_a_file_that_reaches_out_is_one_sentence(trick: Callable[[h5py.File, Path], None], tmp_path: Path) -> None:
    path = made(tmp_path / "a.nc", trick)
    with pytest.raises(UnreadableFile) as problem:
        netcdf.read_groups(path)
    assert TRICKS[trick] in str(problem.value.strerror)
    with pytest.raises(CiparkError) as told:
        load(path)
    assert TRICKS[trick] in str(told.value)


@pytest.mark.parametrize("trick", TRICKS)
def test_draws_that_reach_out_are_not_taken(trick: Callable[[h5py.File, Path], None], tmp_path: Path) -> None:
    with pytest.raises(CiparkError) as told:
        read_draws(made(tmp_path / "draws.nc", trick, "posterior"))
    assert TRICKS[trick] in str(told.value)


@pytest.mark.parametrize("trick", TRICKS)
def test_findings_that_reach_out_are_not_taken(trick: Callable[[h5py.File, Path], None], tmp_path: Path) -> None:
    digest = hashlib.sha256(made(tmp_path / "sobol.nc", trick).read_bytes()).hexdigest()
    record = {"format": OF_FINDINGS, "identity": "", "files": {"sobol": digest}, "findings": {}}
    write_record(record, tmp_path / findings.FILE)
    with pytest.raises(CiparkError) as told:
        findings.load(tmp_path)
    assert TRICKS[trick] in str(told.value)


def test_what_stays_in_its_file_is_read(tmp_path: Path) -> None:
    path = made(tmp_path / "a.nc", None)
    np.testing.assert_array_equal(load(path)["y"].to_numpy(), SECRET + np.arange(4.0)[None, :])
    columns = read_draws(made(tmp_path / "draws.nc", None, "posterior")).columns
    np.testing.assert_array_equal(columns["y"], SECRET + np.arange(4.0))


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.nc").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\x00" * 64)
    with pytest.raises(CiparkError, match="NetCDF"):
        load(tmp_path / "a.nc")


def draws_file(path: Path) -> bytearray:
    """Draws of two parameters, as xarray writes them, and their bytes."""
    group = xr.Dataset({"a": (("chain", "draw"), np.ones((2, 30))), "b": (("chain", "draw", "c"), np.ones((2, 30, 2)))})
    group.assign_coords(c=["x", "y"]).to_netcdf(path, engine="h5netcdf", group="posterior")
    return bytearray(path.read_bytes())


@pytest.mark.parametrize("seed", range(10))
def test_a_damaged_file_of_draws_is_one_sentence_or_read(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes of its header and of its tables are others: whatever the libraries make of that is an error of ours."""
    monkeypatch.setattr(netcdf, "PATIENCE", 2.0)
    path, rng = tmp_path / "draws.nc", np.random.default_rng(seed)
    content = draws_file(path)
    for place in rng.integers(len(content), size=rng.integers(1, 60)):
        content[place] = rng.integers(256)
    path.write_bytes(content)
    with contextlib.suppress(CiparkError):
        read_file(path)


#: What a child does in place of reading, and what is said of its file then.
CHILDREN = {
    "while True: pass": "it is damaged: reading it does not end",
    "import os; os.abort()": r"it is damaged: the HDF5 library ends the process that reads it, with exit code -6",
    "x = bytearray(2**33)": "it is damaged: it takes more memory than its arrays have",
    "raise RuntimeError('no link')": r"it is damaged \(no link\)",
    "raise KeyError('a')": r"it is damaged \('a'\)",
    "b'\\xff'.decode()": r"it is damaged \('utf-8'",
}


@pytest.mark.parametrize("act", CHILDREN)
def test_whatever_becomes_of_the_child_is_an_error_of_the_file(
    act: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = f"from cipark_sd.data import netcdf\ndef act(*_):\n  {act}\nnetcdf._groups = act\nnetcdf.answer()"
    monkeypatch.setattr(netcdf, "CHILD", ("-P", "-c", planted))
    monkeypatch.setattr(netcdf, "PATIENCE", 2.0)
    path = tmp_path / "draws.nc"
    draws_file(path)
    with pytest.raises(CiparkError, match=CHILDREN[act]):
        read_file(path)


def test_a_file_on_which_the_library_never_ends_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(netcdf, "PATIENCE", 2.0)
    content = draws_file(tmp_path / "draws.nc")
    # the first object of the heap that holds the scales of dimensions has the number 0, which is that of its free space
    content[content.index(b"GCOL") + 16] = 0
    (tmp_path / "draws.nc").write_bytes(content)
    with pytest.raises(CiparkError, match="it is damaged: reading it does not end"):
        read_file(tmp_path / "draws.nc")


def test_without_limits_of_the_system_the_clock_ends_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = "import sys; sys.modules['resource'] = None; from cipark_sd.data import netcdf\n"
    planted += "def act(*_):\n  while True: pass\nnetcdf._groups = act\nnetcdf.answer()"
    monkeypatch.setattr(netcdf, "CHILD", ("-P", "-c", planted))
    monkeypatch.setattr(netcdf, "PATIENCE", 4.0)
    draws_file(tmp_path / "draws.nc")
    with pytest.raises(CiparkError, match="it is damaged: reading it does not end"):
        read_file(tmp_path / "draws.nc")


def test_a_child_that_cannot_begin_is_told_from_a_damaged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netcdf, "CHILD", ("-P", "-c", "import there_is_no_such_module"))
    draws_file(tmp_path / "draws.nc")
    with pytest.raises(CiparkError, match="the process that reads it ended before it began, with exit code 1"):
        load(tmp_path / "draws.nc")


def test_draws_that_are_texts_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "draws.nc"
    xr.Dataset({"a": (("chain", "draw"), np.array([["x", "y"]]))}).to_netcdf(path, engine="h5netcdf", group="posterior")
    with pytest.raises(CiparkError, match="could not convert string to float"):
        read_file(path)


def test_what_the_user_has_signed_is_read_here_and_after_a_change_by_a_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = made(tmp_path / "own.nc", None, "posterior")
    expected = netcdf.read_groups(own, "/posterior", "/convergence")
    sign_files(tmp_path, own.name)
    begun = list[object]()
    monkeypatch.setattr(netcdf, "CHILD", ("-c", "raise SystemExit(2)"))
    monkeypatch.setattr(netcdf.subprocess, "Popen", lambda *words, **more: begun.append(words) or Popen(*words, **more))
    found = netcdf.read_groups(own, "/posterior", "/convergence")
    assert (list(found), begun) == (list(expected), [])
    for name, group in expected.items():
        np.testing.assert_equal(found[name].variables, group.variables)
        np.testing.assert_equal(found[name].attributes, group.attributes)
    with h5py.File(own, "a") as file:
        linked(file, tmp_path / "secret.h5")
    with pytest.raises(UnreadableFile, match="the process that reads it ended before it began"):
        netcdf.read_groups(own, "/posterior")
    assert len(begun) == 1
