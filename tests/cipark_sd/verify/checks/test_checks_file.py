"""A checks file is read whole, and everything wrong in it is said at once."""

from collections.abc import Callable
from pathlib import Path

import pytest
from places import ROOT

from cipark_sd.base.errors import CiparkError, InvalidValue, Problems, UnknownName
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.model import Model
from cipark_sd.verify.checks.evaluate import OutsideRun
from cipark_sd.verify.checks.file import read_checks

Write = Callable[..., Path]
EQUATIONS = """
Origin: EAST, WEST ~~|
Pool = INTEG(-leaving, Start) ~ firm ~ |
leaving = Pool * Rate ~ firm/Year ~ |
Rate = 0.1 ~ 1/Year [0,1] ~ |
Start = 10 ~ firm ~ |
Share[Origin] = 0.3, 0.7 ~ Dmnl ~ |
effect( (0,0), (9,2) ) ~ Dmnl ~ |
"""


@pytest.fixture
def model(write_mdl: Write) -> Model:
    return read_model(write_mdl(EQUATIONS))


@pytest.fixture
def read(model: Model, tmp_path: Path) -> Callable[[str], object]:
    def reading(text: str) -> object:
        path = tmp_path / "model.checks.toml"
        path.write_text(text, encoding="utf-8")
        return read_checks(path, model)

    return reading


def check(expect: str, more: str = "at = 5") -> str:
    return f"[[check]]\nid = 'A'\nexpect = {expect!r}\n{more}\n"


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("[[check", InvalidValue, "this is no TOML"),
        ("[runz]", UnknownName, ":1 has no key 'runz'; did you mean 'runs'"),
        ("[builtin]\nunit = true", UnknownName, "no key 'unit'; did you mean 'units'"),
        ("[builtin]\nunits = 3", InvalidValue, 'units is 3, expected true, false or "note"'),
        ("[builtin]\nmay_be_negative = ['Pol']", UnknownName, "'Pol'; did you mean 'Pool'"),
        ("[builtin.time_step_halving]\nat = [50]", OutsideRun, "time 50 lies outside the run"),
        ("[builtin.time_step_halving]\ntolerance = -1", InvalidValue, "a number from 0"),
        ("[runs.a]\nset = {Rat = 1}", UnknownName, "no variable 'Rat'; did you mean '[rR]ate'"),
        ("[runs.base]\nset = {Rate = 1}", InvalidValue, "another name than that of the base run"),
        (check("Pool > 1", "sett = {}"), UnknownName, "no key 'sett'; did you mean 'set'"),
        (check("Pool > 1", "set = {Rate = 'x'}"), InvalidValue, "'rate' is 'x'|'Rate' is 'x'"),
        (check("Pol > 1"), UnknownName, "'pol'; did you mean 'Pool'"),
        (check("Pool >"), CiparkError, "ends too early"),
        (check("Pool * 2"), CiparkError, "is a value; compare it with something"),
        (check("run(off, Pool) > 1"), UnknownName, "no run 'off'"),
        (check("base(base(Pool)) > 1"), CiparkError, "inside another"),
        (check("effect > 1"), CiparkError, "uses the lookup 'effect'"),
        (check("Share > 1"), CiparkError, r"gives 'Share' 0 subscript\(s\); it has \[Origin\]"),
        (check("Pool[EAST] > 1"), CiparkError, "it has no subscripts"),
        (check("Share[NORTH] > 1"), UnknownName, "no subscript 'north'"),
        (check("Pool > 1", "at = 50"), OutsideRun, "time 50 lies outside the run"),
        (check("Pool@50 > 1"), OutsideRun, "time 50 lies outside the run"),
        (check("base(Pool@50) > 1"), OutsideRun, "time 50"),
        (check("Pool > 1", "at = 'end'"), InvalidValue, 'a time, a list of times or "all"'),
        (check("Pool > 1", "at = 5\nto = 3"), InvalidValue, '"all" where there is a from or a to'),
        (check("Pool > 1", "tolerance = 'x'"), InvalidValue, "tolerance is 'x', expected a finite number"),
        ("[[check]]\nid = 'A'\nat = 5", InvalidValue, "expect is None"),
        ("[[check]]\nexpect = 'Pool > 1'", InvalidValue, "id is None"),
        (check("Pool > 1") * 2, InvalidValue, "an id that no other check"),
        ("[[conservation]]\nid='C'\nstocks = ['leaving']", InvalidValue, "'leaving', expected stocks only"),
        ("[[conservation]]\nid='C'\nstocks = []", InvalidValue, "names of stocks"),
        (
            "[[conservation]]\nid='C'\nstocks = ['Pool']\ninflows = ['base(leaving)']",
            CiparkError,
            "another run or time",
        ),
    ],
)
def test_a_mistake_is_one_clear_message(
    text: str, kind: type[CiparkError], message: str, read: Callable[[str], object]
) -> None:
    with pytest.raises(kind, match=message):
        read(text)


def test_all_mistakes_of_a_file_come_together(read: Callable[[str], object]) -> None:
    with pytest.raises(Problems) as caught:
        read("[runz]\n[runs.a]\nset = {Rat = 1}\n" + check("Pol > 1", "at = 50"))
    assert len(caught.value.problems) == 3


def test_a_missing_file_is_said(model: Model, tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="does not exist"):
        read_checks(tmp_path / "no.toml", model)


def test_a_check_without_a_time_is_of_the_last_one(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(check("Pool > 1", ""))
    assert read_checks(path, model).checks[0].times == (10.0,)


def test_a_check_that_runs_longer_may_look_later(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(check("Pool > 1", "at = 50\nset = {'FINAL TIME' = 60}"))
    assert read_checks(path, model).checks[0].times == (50.0,)


def test_the_example_in_the_documentation_is_a_checks_file(write_mdl: Write, tmp_path: Path) -> None:
    equations = """
    Pool = INTEG(Arrivals - leaving, 10) ~ firm ~ |
    Arrivals = 2 ~ firm/Year ~ |
    leaving = Pool * 0.1 ~ firm/Year ~ |
    """
    page = (ROOT / "docs" / "how-to" / "checks.md").read_text(encoding="utf-8")
    path = tmp_path / "c.toml"
    path.write_text(page.split("```toml\n")[1].split("```")[0], encoding="utf-8")
    checks = read_checks(path, read_model(write_mdl(equations)))
    assert ([check.id for check in checks.checks], [law.id for law in checks.conservation]) == (["RC1", "RC2"], ["law"])
