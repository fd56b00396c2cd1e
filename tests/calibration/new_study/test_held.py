"""What a new study holds: as --fix says, and what is no quantity or could not be played; what it says of many."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import cipark

from calibration.study.problem import read_problem

Write = Callable[..., Path]
CARE = """
Age: A65, A75~~|
Residents[Age] = INTEG(coming[Age] - Residents[Age] / Stay[Age], Start[Age]) ~ Person ~ |
coming[Age] = Need[Age] * Wish[Age] * Elderly + Residents[A65] / Width of Group[Age] + Old ~ Person/Year ~ |
Old = Residents[A65] / Endless ~~|
Waiting[Age] = INTEG(Residents[Age] / Delay - Waiting[Age], 3) ~ Person ~ |
Start[Age] = 300, 350 ~ Person ~ |
Need[Age] = 0.01, 0.02 ~ 1/Year ~ |
Wish[Age] = Waiting[Age] / (Waiting[Age] + 300) ~~|
Elderly = 9000 ~ Person ~ |
Stay[Age] = 8, 6 ~ Year ~ |
Width of Group[Age] = 10, 1e+09 ~ Year ~ |
Endless = 1e+12 ~~|
Delay = 2 ~ Year ~ |
Class Size = 25 ~ Person ~ |
"""
ROWS = "time,residents A65,residents A75\n" + "".join(f"{i},{300 + i}.5,{350 - i}.5\n" for i in range(1, 11))


@pytest.fixture
def care(write_mdl: Write, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = write_mdl(CARE, name="care.mdl", final=10)
    monkeypatch.chdir(path.parent)
    Path("d.csv").write_text(ROWS)
    return path


def fixed() -> dict[str, float]:
    return dict(read_problem(Path("d")).fixed)


def test_patterns_hold_constants_at_the_file_s_values_or_others(care: Path) -> None:
    cipark("new-study", "care.mdl", "d.csv", "--fix", "need,Sta*[A65]", "--fix", "elderly=8500")
    held = fixed()
    assert [held[name] for name in ("Need[A65]", "Need[A75]", "Start[A65]", "Stay[A65]", "Elderly")] == [
        0.01, 0.02, 300, 8, 8500,
    ]  # fmt: skip
    fitted = {p.name for p in read_problem(Path("d")).space if p.target == "model"}
    assert fitted == {"Start[A75]", "Stay[A75]", "Delay"}


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("Neet", r"no constant or start of a stock 'Neet'; did you mean 'Need"),
        ("Need=many", r"--fix is 'Need=many', expected NAME=VALUE with a number"),
        ("St?", "no constant or start of a stock"),
    ],
)
def test_a_pattern_that_holds_nothing_is_one_sentence(care: Path, pattern: str, message: str) -> None:
    made = cipark("new-study", "care.mdl", "d.csv", "--fix", pattern, code=2)
    assert re.search(message, made.output), made.output
    assert not Path("d").exists()


def test_what_is_no_quantity_or_cannot_be_played_is_held_with_its_reason(care: Path) -> None:
    made = cipark("new-study", "care.mdl", "d.csv")
    held = fixed()
    assert {"Width of Group[A65]", "Width of Group[A75]", "Endless", "Waiting[A65]", "Waiting[A75]"} <= held.keys()
    assert "Width of Group[A65]\theld\tat 10\tthe width of a group" in made.output
    assert "Width of Group[A75]\theld\tat 1000000000\tstands for ever" in made.output
    assert "Endless\theld\tat 1000000000000\tstands for what has no end" in made.output
    assert "Waiting[A65], Waiting[A75]\theld\tat 3, 3\ta number where a stock with subscripts starts" in made.output
    # a size that is no time is a quantity as any other, and 2 years of a run of 10 are one
    assert "Class Size\theld\tat 25\tno observed variable depends on it" in made.output
    assert "Delay" not in held


def test_examples_in_the_study_are_what_a_study_takes(care: Path) -> None:
    cipark("new-study", "care.mdl", "d.csv")
    file = Path("d/problem.toml")
    text = file.read_text()
    examples = re.findall(r"# (\[\[.*?)(?=\n#\n|\n\n)", text, re.DOTALL)
    assert [example.split("]]")[0][2:] for example in examples] == ["fixed", "parameter"]
    plain = [re.sub(r"^# ", "", example, flags=re.MULTILINE) for example in examples]
    name = tomllib.loads(plain[0])["fixed"][0]["name"]
    block = re.search(rf'\[\[parameter\]\]\nname = "{re.escape(name)}"\n.*?\n\n', text, re.DOTALL)
    assert block is not None
    for example in plain:
        file.write_text(text.replace(block[0], example + "\n\n"))
        problem = read_problem(Path("d"))
        assert (name in dict(problem.fixed)) == example.startswith("[[fixed]]")


@pytest.mark.parametrize("n", [30, 31])
def test_many_free_constants_are_said(write_mdl: Write, monkeypatch: pytest.MonkeyPatch, n: int) -> None:
    places = ", ".join(f"p{i}" for i in range(n - 1))
    values = ", ".join("2" for _ in range(n - 1))
    model = write_mdl(
        f"K: {places}~~|X = INTEG(SUM(Rate[K!]) * pace, 5) ~~|Rate[K] = {values} ~~|pace = 0.1 ~~|", final=10
    )
    monkeypatch.chdir(model.parent)
    Path("d.csv").write_text("t,x\n" + "".join(f"{i},{i + 5}.5\n" for i in range(1, 11)))
    made = cipark("new-study", model.name, "d.csv")
    # the start of the stock is one more, where it is not held
    free = sum(p.target == "model" for p in read_problem(Path("d")).space)
    assert ("constants are free" in made.output) == (free > 30)
    assert free <= 30 or '--fix "Rate"' in made.output


def test_the_console_and_the_study_show_one_table_of_guesses(care: Path) -> None:
    made = cipark("new-study", "care.mdl", "d.csv", "--fix", "Elderly")
    rows = [line.split("\t") for line in made.output.splitlines() if "\t" in line]
    written = re.sub(r"\n#   ", " ", Path("d/problem.toml").read_text()).splitlines()
    assert {len(row) for row in rows} == {5}
    assert [row[1] for row in rows[:5]] == ["becomes", "time", "Residents[A65]", "Residents[A75]", "fitted"]
    assert [row for row in rows if f"# {' | '.join(row)}" not in written] == []
    assert ["Elderly", "held", "at 9000", "stated when the study was made", "a [[parameter]]"] in rows
