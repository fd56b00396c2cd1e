"""Messages: the cause first, at most five, with file and line and what to do; mistakes that users make by hand."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from small_study import STUDY, small_study

from calibration.study.problem import read_problem
from cipark_sd.cli import cli
from cipark_sd.errors import MOST_SHOWN, CiparkError, InvalidValue, Problems, UnknownName, raise_all


@pytest.fixture
def study(tmp_path: Path) -> Path:
    small_study(tmp_path)
    return tmp_path


def refused(folder: Path, old: str, new: str) -> str:
    assert old in STUDY
    (folder / "problem.toml").write_text(STUDY.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(CiparkError) as caught:
        read_problem(folder)
    return str(caught.value).replace(str(folder), "study")


def test_a_misspelt_key_is_the_one_message_and_not_its_consequences(study: Path) -> None:
    message = refused(study, 'kind = "increments"', 'kindd = "increments"')
    assert message == "study/problem.toml:8: observation 'left' has no key 'kindd'; did you mean 'kind'?"


def test_times_outside_the_run_are_one_line(study: Path) -> None:
    (study / "left.csv").write_text("time,left\n1,3\n2,4\n55,9\n66,12\n", encoding="utf-8")
    message = refused(study, "starts = 4", "starts = 4")
    assert message.startswith(
        "study/problem.toml:5: observation 'left': 2 of its times lie outside the run, 0 to 12: 'left 55' is time 55;"
    )
    assert "\n" not in message


def test_a_table_that_is_missing_is_named_with_its_line_and_nothing_follows_from_it(study: Path) -> None:
    message = refused(study, 'table = "left.csv"', 'table = "nix.csv"')
    assert message == (
        "study/problem.toml:7: observation 'left': the table 'nix.csv' cannot be read (No such file or directory)"
    )


def test_a_single_mistake_names_file_and_line(study: Path) -> None:
    message = refused(study, 'variable = "left"', 'variable = "lleft"')
    assert message == (
        "study/problem.toml:5: observation 'left': model leaving has no variable 'lleft'; did you mean 'left'?"
    )


def test_an_unknown_family_is_answered_with_those_that_there_are(study: Path) -> None:
    message = refused(study, 'family = "poisson"', 'family = "negbin"')
    assert "has no family 'negbin'" in message
    assert "poisson, nb1, nb2" in message


def test_at_most_five_problems_are_shown_and_misspelt_keys_come_first() -> None:
    many: list[CiparkError] = [InvalidValue(f"value {i}", i, "another", where="w") for i in range(7)]
    # a range that cannot be read comes before the name that it leaves unknown
    many.append(UnknownName("size", ["items"], kind="dimension", where="w"))
    many.append(UnknownName("colour", ["color"], kind="key", where="w"))
    with pytest.raises(Problems) as caught:
        raise_all("w", many)
    lines = str(caught.value).splitlines()
    assert lines[0] == "w has 9 problems:"
    assert lines[1] == "  - w has no key 'colour'; did you mean 'color'?"
    assert "value 0" in lines[2]
    assert lines[-1] == "  - and 4 more"
    assert len(lines) == MOST_SHOWN + 2
    # all of them stay in the value
    assert len(caught.value.problems) == 9


def test_one_problem_of_a_file_keeps_its_class_and_names_the_file() -> None:
    with pytest.raises(UnknownName, match=r"^a/b\.toml: w has no variable 'x'") as caught:
        raise_all("a/b.toml", [UnknownName("x", [], where="w")])
    assert (caught.value.name, caught.value.kind) == ("x", "variable")
    assert str(caught.value) == caught.value.message


def cipark(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("rate=0,2", "the value of 'rate' is '0,2', expected one number; was a decimal point meant, rate=0.2?"),
        ("ratee=0.2", "leaving has no variable 'ratee'; did you mean 'rate'?"),
        ("Leaving=3", "'leaving' is computed by its equation and cannot be 3; set one of: rate, pace; or bring"),
    ],
)
def test_a_setting_that_cannot_be_says_what_can(study: Path, setting: str, message: str) -> None:
    done = cipark("run", study / "leaving.mdl", "--set", setting)
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stderr.count("did you mean") == ("did you mean" in message)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            "2023-01-01,3\n2023-02-30,4\n2023-01-05,9",
            "line 3: date is '2023-02-30', expected a date, as '2023-01-01'",
        ),
        ("2023-01-01,3\n2023-01-05,4\n2023-01-05,9", "date is 2023-01-05 in lines 3 and 4, and each time"),
        ("01/02/2023,3\n03/02/2023,4\n05/02/2023,9", "'01/02/2023' may have the day or the month first: --dates dmy"),
        ("", "there are 1 lines with cells, where a table has a line of column names"),
    ],
)
def test_the_row_that_is_wrong_is_the_one_that_is_named(study: Path, rows: str, message: str) -> None:
    model = study / "leaving.mdl"
    model.write_text(model.read_text(encoding="utf-8").replace("~ year ~", "~ day ~"), encoding="utf-8")
    (study / "data.csv").write_text(f"date,left\n{rows}\n", encoding="utf-8")
    done = cipark("new-study", model, study / "data.csv", "-o", study / "made")
    assert done.exit_code == 2
    assert message in done.stderr
    assert not (study / "made").exists()


def test_what_is_left_out_or_sorted_or_changes_the_noise_is_said(study: Path) -> None:
    model = study / "leaving.mdl"
    model.write_text(model.read_text(encoding="utf-8").replace("~ year ~", "~ day ~"), encoding="utf-8")
    rows = "2023-01-05,-9\n2023-01-01,3\n2023-01-03,NA\n2023-01-07,20\n2023-01-08,"
    (study / "data.csv").write_text(f"date,left\n{rows}\n", encoding="utf-8")
    done = cipark("new-study", model, study / "data.csv", "-o", study / "made")
    assert done.exit_code == 0, done.output
    assert "the rows were not in the order of time and have been sorted" in done.stdout
    assert "2 rows have no number in left or no time: left out" in done.stdout
    assert "-9 is below nothing, so that these are no counts: the noise is normal" in done.stdout
