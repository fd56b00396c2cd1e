"""Files that never end, wait for ever or fill all memory are refused before they are opened."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import cipark

from cipark_sd.base import inputs
from cipark_sd.base.errors import CiparkError, InvalidValue, ModelFileError
from cipark_sd.base.inputs import read_bytes
from cipark_sd.data.results import load
from cipark_sd.data.scenarios import read_scenario
from cipark_sd.language.read.model_file import read_model
from cipark_sd.pages.figures.observed import read_observed

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes and devices are those of POSIX systems"),
]
Write = Callable[..., Path]


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(20 * 2**30)


KINDS: dict[str, tuple[Callable[[Path], None], str]] = {
    "pipe": (pipe, "it is not a regular file"),
    "device": (device, "it is not a regular file"),
    "sparse": (sparse, "it has 20,480 MiB, and at most"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["model.mdl", "model.xmile"])
def test_a_model(kind: str, name: str, tmp_path: Path) -> None:
    make, message = KINDS[kind]
    make(tmp_path / name)
    with pytest.raises(ModelFileError, match=f"cannot be read: {message}"):
        read_model(tmp_path / name)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reading", ["scenario", "checks", "display", "observed values", "draws", "data of a study"])
def test_what_stands_beside_a_model(kind: str, reading: str, write_mdl: Write, tmp_path: Path) -> None:
    path = write_mdl("level = INTEG(-rate * level, 1) ~~| rate = 0.1 ~~|", final=1, step=1)
    make, message = KINDS[kind]
    arguments = {
        "scenario": ["run", str(path), "--scenario", "x.toml"],
        "checks": ["check", str(path), "--checks", "x.toml"],
        "display": ["run", str(path)],
        "observed values": ["run", str(path), "--data", "x.csv", "--figure", str(tmp_path / "x.png")],
        "draws": ["sensitivity", str(path), "--draws", "x.csv"],
        "data of a study": ["new-study", str(path), "x.csv", "-o", str(tmp_path / "study")],
    }[reading]
    name = next((part for part in arguments if part in ("x.toml", "x.csv")), "model.display.toml")
    make(tmp_path / name)
    if reading == "display" and kind == "device":
        # nobody has named it
        message = "the file is a link out of its folder"
    done = cipark(*[str(tmp_path / part) if part == name else part for part in arguments], code=2)
    assert message in " ".join(done.output.split())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["CONSTANTS('x.csv', ',', 'A1')", "SUBSCRIPT('x.csv', ',', 'A1', 'A', '')"])
def test_a_file_that_a_model_names(kind: str, way: str, write_mdl: Write, tmp_path: Path) -> None:
    make, message = KINDS[kind]
    make(tmp_path / "x.csv")
    left = "Place:" if "SUBSCRIPT" in way else "rate ="
    path = write_mdl(f"{left} GET DIRECT {way} ~~| other = 1 ~~|")
    expected = r"lies at '/dev/zero', outside" if kind == "device" else rf"names the file 'x\.csv'.* {message}"
    with pytest.raises(CiparkError, match=expected):
        read_model(path)


@pytest.mark.skipif(not Path("/proc/kmsg").exists(), reason="needs /proc")
def test_a_file_of_proc_that_waits_is_not_opened_even_where_it_is_allowed(write_mdl: Write) -> None:
    path = write_mdl("rate = GET DIRECT CONSTANTS('/proc/kmsg', ',', 'A1') ~~|")
    with pytest.raises(CiparkError, match="lies at '/proc/kmsg', outside"):
        read_model(path)
    with pytest.raises(ModelFileError, match="which cannot be read: it is empty"):
        read_model(path, allow_files=["/proc"])


def test_a_run_that_is_a_pipe_or_gone_is_not_waited_for(tmp_path: Path) -> None:
    pipe(tmp_path / "run.nc")
    with pytest.raises(InvalidValue, match="it is not a regular file"):
        load(tmp_path / "run.nc")


def test_a_table_of_a_study(tmp_path: Path) -> None:
    from calibration.study.calendar import Calendar
    from calibration.study.rows import Tables, read_rows
    from cipark_sd.base.section import Section

    pipe(tmp_path / "data.csv")
    problems: list[CiparkError] = []
    columns = {"time": "time", "value": "value"}
    section = Section({"table": "data.csv"}, "observation 'seen'", problems)
    assert read_rows(section, Tables(tmp_path, Calendar()), columns) == []
    assert "it is not a regular file" in str(problems)


def test_a_file_may_have_as_much_as_is_allowed_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_bytes(path, 5) == b"12345"
    with pytest.raises(inputs.UnreadableFile):
        read_bytes(path, 4)


def test_what_is_read_at_all_is_read_as_before(write_mdl: Write, tmp_path: Path) -> None:
    model = read_model(write_mdl("level = INTEG(1, 0) ~~|"))
    (tmp_path / "seen.csv").write_bytes(b"\xef\xbb\xbfdate,level\r\n1,2\r\n")
    (tmp_path / "s.toml").write_bytes(b'name = "s"\r\n[set]\r\nlevel = 3\r\n')
    assert read_observed(model, tmp_path / "seen.csv")[0].values.tolist() == [2]
    assert read_scenario(tmp_path / "s.toml").overrides["level"] == 3
