"""Every way to a time grid without an end is refused in one sentence with the numbers."""

from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import cipark
from small_study import STUDY, small_study

Write = Callable[..., Path]
LONG = "the number of steps from 0 to 1e+12 by 0.25 is 4000000000000, expected at most 100,000,000"
MODEL = "level = INTEG(-rate * level, 1) ~ m ~| rate = 0.1 ~ 1/Year [0.01,1] ~|"
XMILE = (
    '<xmile version="1.0" xmlns="http://docs.oasis-open.org/xmile/ns/XMILE/v1.0"><header><name>m</name></header>'
    "<sim_specs><start>0</start><stop>1e12</stop><dt>0.25</dt></sim_specs><model><variables>"
    '<aux name="a"><eqn>time * 2</eqn></aux></variables></model></xmile>'
)


def refused(*arguments: str) -> str:
    done = cipark(*arguments, code=2)
    return done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "1e12"], LONG),
        (["--set", "FINAL TIME=1e12"], LONG),
        (["--scenario", "long.toml"], LONG),
        (["--step", "1e-9"], "from 0 to 10 by 1e-09 is 10000000000, expected at most 100,000,000"),
        (["--set", "TIME STEP=1e-300"], "the time step is 1e-300, expected more than"),
        (
            ["--from", "9007199254740992", "--to", "9007199254749992", "--step", "1"],
            "the time step is 1.0",
        ),
        (["--to", "1e300"], "the time step is 0.25, expected more than"),
        (["--to", "1e12", "--engine", "pysd"], LONG),
        (["--to", "1e12", "--engine", "numpy"], LONG),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_run(arguments: list[str], message: str, write_mdl: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_mdl(MODEL)
    (path.parent / "long.toml").write_text("[time]\nto = 1e12\n", encoding="utf-8")
    monkeypatch.chdir(path.parent)
    assert message in refused("run", str(path), *arguments)


@pytest.mark.parametrize("command", ["run", "check", "certify", "sensitivity"])
def test_a_model_file(command: str, write_mdl: Write) -> None:
    assert "expected at most 100,000,000" in refused(command, str(write_mdl(MODEL, final=10**12)))


def test_an_xmile_file(tmp_path: Path) -> None:
    (tmp_path / "m.xmile").write_text(XMILE, encoding="utf-8")
    assert LONG in refused("run", str(tmp_path / "m.xmile"))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("to = 1e12", "from 0 to 1e+12 by 0.125 is 8000000000000, expected at most 100,000,000"),
        ("step = 1e-300", "the time step is 1e-300, expected more than"),
    ],
)
def test_a_study(entry: str, message: str, tmp_path: Path) -> None:
    small_study(tmp_path)
    (tmp_path / "problem.toml").write_text(STUDY.replace("[model]", f"[model]\n{entry}"), encoding="utf-8")
    assert message in refused("calibrate", str(tmp_path))


def test_a_time_in_the_data_of_a_study(tmp_path: Path) -> None:
    small_study(tmp_path)
    with (tmp_path / "left.csv").open("a", encoding="utf-8") as file:
        file.write("1e300,99\n")
    output = refused("calibrate", str(tmp_path))
    assert len(output) < 1000


def test_a_time_in_data(write_mdl: Write) -> None:
    path = write_mdl(MODEL)
    (path.parent / "seen.csv").write_text("time,level\n0,1\n1,0.9\n1e300,0.8\n", encoding="utf-8")
    output = refused("new-study", str(path), str(path.parent / "seen.csv"), "-o", str(path.parent / "study"))
    assert "expected" in output
    assert not (path.parent / "study").exists()
