"""``cipark ensemble``, as a user calls it."""

from pathlib import Path

import pytest
from click.testing import Result
from command_line import cipark

from cipark_sd.data.results import load

MODEL = """{UTF-8}
level = INTEG(rate - level / life, 10) ~ m [0,?] ~ |
rate = 3 ~~| life = 5 ~ Year [1,10] ~ | kept = 7 ~~|
INITIAL TIME = 0 ~~| FINAL TIME = 4 ~~| TIME STEP = 0.5 ~~| SAVEPER = 1 ~~|
"""


def words(done: Result) -> str:
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    return " ".join(done.output.split())


def refused(*arguments: str) -> str:
    done = cipark(*arguments, code=2, catch_exceptions=True)
    return words(done)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.mdl").write_text(MODEL, encoding="utf-8")
    return tmp_path


def test_runs_are_stored_and_the_same_command_goes_on(folder: Path) -> None:
    command = (
        "ensemble",
        "m.mdl",
        "--runs",
        "600",
        "--vary",
        "rate=2.4:3.6",
        "--vary",
        "life=4:6",
        "-o",
        "s",
        "--at",
        "2",
        "--at",
        "4",
    )
    made = cipark(*command, catch_exceptions=True)
    assert "600 of 600 runs are in s: a scrambled Sobol sequence of 2 constants, seed 1." in words(made)
    assert "xarray.open_mfdataset('s/*.nc') opens them" in words(made)
    assert "No run failed." in words(made)
    files = sorted((folder / "s").glob("*.nc"))
    opened = load(files[0])
    assert (len(files), opened["level"].shape) == (3, (256, 2))
    assert opened["parameter"].to_numpy().tolist() == ["rate", "life"]
    low, high = opened["draws"].min("run").to_numpy(), opened["draws"].max("run").to_numpy()
    assert low == pytest.approx([2.4, 4], rel=0.02)
    assert high == pytest.approx([3.6, 6], rel=0.02)
    before = files[0].stat().st_mtime_ns
    files[1].unlink()
    assert "600 of 600 runs are in s" in words(cipark(*command, catch_exceptions=True))
    assert files[0].stat().st_mtime_ns == before
    assert files[1].is_file()

    (folder / "m.mdl").write_text(MODEL.replace("rate = 3", "rate = 4"), encoding="utf-8")
    assert "the model differs" in refused(*command)
    cipark(*command, "--fresh", catch_exceptions=True)
    assert load(files[0])["draws"].max() > 4


def test_what_is_set_does_not_vary_by_a_share(folder: Path) -> None:
    cipark("ensemble", "m.mdl", "--runs", "4", "--set", "rate=7", "-o", "s", catch_exceptions=True)
    assert "rate" not in load(folder / "s" / "runs-0000000.nc")["parameter"].to_numpy().tolist()


def test_a_design_in_a_file_gives_the_runs(folder: Path) -> None:
    (folder / "d.csv").write_text("life,rate\n4,1\n5,2\n", encoding="utf-8")
    cipark("ensemble", "m.mdl", "--design", "d.csv", "-o", "s", catch_exceptions=True)
    assert load(folder / "s" / "runs-0000000.nc")["draws"].to_numpy().tolist() == [[4, 1], [5, 2]]
    assert "the number of runs is 3, expected 2, the rows of d.csv" in refused(
        "ensemble", "m.mdl", "--design", "d.csv", "--runs", "3", "-o", "t"
    )


def test_runs_that_fail_are_reported_and_too_many_are_an_error(folder: Path) -> None:
    rows = "".join(f"{-5 if i % 10 == 0 else 3}\n" for i in range(100))
    (folder / "d.csv").write_text("rate\n" + rows, encoding="utf-8")
    message = refused("ensemble", "m.mdl", "--design", "d.csv", "-o", "s")
    assert "10 of 100 runs failed, which is more than the share of 0.05 of all that is allowed" in message
    assert "10 runs: level is below its lower limit, earliest at time 2" in message
    allowed = cipark(
        "ensemble", "m.mdl", "--design", "d.csv", "-o", "s", "--allow-failed", "0.1", catch_exceptions=True
    )
    assert "10 runs failed, 10.000% of those that are done" in words(allowed)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--runs", "2000000000"], "expected 1 to 1,073,741,824, the most of the design 'sobol'"),
        (["--runs", "500000000000", "--design", "random"], "expected one that fits"),
        (["--vary", "life"], "expected NAME=LOW:HIGH"),
        (["--vary", "life=1:nan"], "expected NAME=LOW:HIGH"),
        (["--vary", "life=5:1"], "the range of 'life' is '5:1'"),
        (["--vary", "gone=1:2"], "m has no variable 'gone'"),
        (["--vary", "level=1:2", "--vary", "LEVEL=1:2"], "expected each once"),
        (["--range", "2"], "a share between 0 and 1"),
        (["--part", "0/3"], "expected K/N"),
        (["--part", "4/3"], "expected K/N"),
        (["--part", "x"], "expected K/N"),
        (["--design", "gone.csv"], "the design is 'No such file or directory'"),
        (["--design", "/dev/zero"], "it is not a regular file"),
        (["--at", "0.3"], "not on the saved grid"),
        (["--variables", "gone"], "m has no variable 'gone'"),
        (["--engine", "gone"], "has no engine 'gone'"),
        (["-o", "m.mdl"], "it is no run store"),
        (["-o", "."], "it is no run store"),
        (["--dask", "tcp://10.0.0.3:8786"], "expected tls://10.0.0.3:8786"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_asked_wrongly_is_one_sentence_and_nothing_is_begun(
    arguments: list[str], message: str, folder: Path
) -> None:
    assert message in refused("ensemble", "m.mdl", "-o", "s", *arguments)
    assert sorted(path.name for path in folder.iterdir()) == ["m.mdl"]
