"""Changes files of Vensim's as scenarios."""

from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import cipark

from cipark_sd.base.errors import CiparkError, Problems
from cipark_sd.language.read.changes_files import as_scenario, read_changes
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.expr import Table
from cipark_sd.simulations.simulation import simulate

Write = Callable[..., Path]
MODEL = """
Region: north, south ~~|
Item: i1, i2, i3 ~~|
birth rate = 1 ~~|
price[Region, Item] = 1 ~~|
cost[Item] = 5 ~~|
effect((0,0),(10,10)) ~~|
old((0,0),(10,10)) ~~|
s = INTEG(birth rate, 0) ~~|
out = SUM(price[north, Item!]) + 10 * SUM(price[south, Item!]) + effect(5) + old(5) + cost[i2] ~~|
"""
CHANGES = """{a comment? no: the first line may name the encoding}
BIRTH_RATE= 0.5
birth  rate = 2

Price[north,Item]= 1,
  2, 3
price[ South , i2 ] = -7
cost[Item] = 4
effect(
 (0,0), (10, 20)
)
OLD( 0,10, 5,5)
FINAL TIME = 4
"""


def test_entries_are_changes_and_the_last_of_a_name_counts(write_mdl: Write, tmp_path: Path) -> None:
    model = read_model(write_mdl(MODEL))
    (tmp_path / "high.cin").write_text(CHANGES.partition("\n")[2])
    scenario = read_changes(tmp_path / "high.cin", model)
    assert scenario.name == "high"
    assert scenario.final_time == 4
    assert scenario.overrides["birth_rate"] == 2
    assert scenario.overrides["price[north,i3]"] == 3
    assert scenario.overrides["price[south,i2]"] == -7
    assert scenario.overrides["effect"] == Table((0.0, 10.0), (0.0, 20.0))
    assert scenario.overrides["old"] == Table((0.0, 10.0), (5.0, 5.0))
    run = simulate(model, scenario, save=["s", "out"])
    assert float(run["s"][-1]) == 8
    assert float(run["out"][0]) == 6 + 10 * (1 - 7 + 1) + 10 + 5 + 4


OPTIMUM = """:COMSYS After 1200 simulations
:COMSYS Best payoff is -12.5
:OPTIMIZER=Powell
:C birth rate = 9
:COMMENT birth rate = 8
{ birth rate = 7
  cost[Item] = 6 }
0 <= birth rate = 0.25 <= 1 | FRAC=0.01
0<=cost[i2]=3<=5
1e-06 <= cost[i1] <= 9
"""


def test_an_optimum_sets_what_lies_between_its_bounds(write_mdl: Write, tmp_path: Path) -> None:
    model = read_model(write_mdl(MODEL))
    (tmp_path / "best.out").write_text(OPTIMUM)
    assert dict(as_scenario(tmp_path / "best.out", model).overrides) == {"birth_rate": 0.25, "cost[i2]": 3}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("a = b", r"bad\.cin:2: the entry is 'a = b', expected NAME = number or NAME\(points\)"),
        ("0.0 <= birth rate = x <= .1", r"bad\.cin:2: the line is"),
        ("birth rate :IS: 'text'", "the entry is"),
        ("price[east, i1] = 3", "has no dimension or element 'east'"),
        ("price[Region, Item] = 1, 2", r"expected 1 or 6 numbers"),
        ("x : a, b", "changes neither a constant nor a lookup"),
    ],
)
def test_what_is_no_change_has_its_line(write_mdl: Write, tmp_path: Path, entry: str, message: str) -> None:
    (tmp_path / "bad.cin").write_text("birth rate = 1\n" + entry + "\n")
    with pytest.raises(CiparkError, match=message):
        read_changes(tmp_path / "bad.cin", read_model(write_mdl(MODEL)))


def test_all_problems_come_together_and_unknown_names_with_them(write_mdl: Write, tmp_path: Path) -> None:
    (tmp_path / "bad.cin").write_text("a = b\nc = d\n")
    with pytest.raises(Problems):
        read_changes(tmp_path / "bad.cin", read_model(write_mdl(MODEL)))


def test_commands_take_it_as_a_scenario(write_mdl: Write, tmp_path: Path) -> None:
    path = write_mdl(MODEL)
    (tmp_path / "high.cin").write_text("birth rate = 7\n")
    done = cipark("run", path, "--variables", "s", "--scenario", tmp_path / "high.cin")
    assert "70" in done.output
    missing = cipark("run", path, "--scenario", tmp_path / "low.cin", code=2)
    assert isinstance(missing.exception, CiparkError) or missing.exit_code == 2
