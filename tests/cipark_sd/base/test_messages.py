"""Messages: the cause first, at most five, with file and line and what to do; mistakes that users make by hand."""

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import cipark
from counted import called
from small_study import POLICIES, STUDY, small_study

from calibration.study.problem import read_problem
from cipark_sd.base.errors import MOST_SHOWN, CiparkError, InvalidValue, Problems, UnknownName, UnusableInput, raise_all
from cipark_sd.language.read.model_file import read_model
from cipark_sd.simulations.simulation import simulate


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


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("rate=0,2", "the value of 'rate' is '0,2', expected one number; was a decimal point meant, rate=0.2?"),
        ("ratee=0.2", "leaving has no variable 'ratee'; did you mean 'rate'?"),
        ("Leaving=3", "'leaving' is computed by its equation and cannot be 3; set one of: rate, pace; or bring"),
    ],
)
def test_a_setting_that_cannot_be_says_what_can(study: Path, setting: str, message: str) -> None:
    done = cipark("run", study / "leaving.mdl", "--set", setting, code=2)
    assert message in done.stderr
    assert done.stderr.count("did you mean") == ("did you mean" in message)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            "2023-01-01,3\n2023-02-30,4\n2023-01-05,9",
            "data.csv line 3: date is '2023-02-30', and the calendar has no such day",
        ),
        ("01/02/2023,3\n03/02/2023,4\n05/02/2023,9", "'01/02/2023' may have the day or the month first: --dates dmy"),
        ("", "data.csv: the file has one line and no rows below it: a table has a line of column names"),
    ],
)
def test_the_row_that_is_wrong_is_the_one_that_is_named(study: Path, rows: str, message: str) -> None:
    model = study / "leaving.mdl"
    model.write_text(model.read_text(encoding="utf-8").replace("~ year ~", "~ day ~"), encoding="utf-8")
    (study / "data.csv").write_text(f"date,left\n{rows}\n", encoding="utf-8")
    done = cipark("new-study", model, study / "data.csv", "-o", study / "made", code=2)
    assert message in done.stderr
    assert not (study / "made").exists()


def test_what_is_left_out_or_sorted_or_changes_the_noise_is_said(study: Path) -> None:
    model = study / "leaving.mdl"
    model.write_text(model.read_text(encoding="utf-8").replace("~ year ~", "~ day ~"), encoding="utf-8")
    rows = "2023-01-05,-9\n2023-01-01,3\n2023-01-03,NA\n2023-01-07,20\n2023-01-08,"
    (study / "data.csv").write_text(f"date,left\n{rows}\n", encoding="utf-8")
    done = cipark("new-study", model, study / "data.csv", "-o", study / "made")
    assert "the rows were not in the order of time and have been sorted" in done.stdout
    assert "; 2 rows have no number: left out; " in done.stdout
    assert "; a count is never negative, and -9 is one: the noise is normal" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["new-study"], "MODEL and DATA are missing; for example, cipark new-study sir.mdl cases.csv; or copy a study"),
        (["new-study", "leaving.mdl"], "DATA is missing; for example, cipark new-study leaving.mdl cases.csv"),
        (
            ["new-study", "left.csv"],
            "MODEL is missing, and left.csv is a table; for example, cipark new-study sir.mdl left.csv",
        ),
        (
            ["new-study", "left.csv", "leaving.mdl"],
            "the model comes first and the data second: cipark new-study leaving.mdl left.csv",
        ),
        (["new-study", "leaving.mdl", "lef.csv"], "new-study: lef.csv does not exist; did you mean 'left.csv'?"),
        (["new-study", "leaving.mdl", "nothing.csv"], "nothing.csv: the file is empty: a table has a line of column"),
        (["run", "leaving.mdl", "--compare", "fst.toml"], "fst.toml does not exist; did you mean 'fast.toml'?"),
        (["run", "leaving.mdl", "--scenario", "gone/f.toml"], "does not exist, and neither does the folder 'gone'"),
        (["run", "leaving.mdl", "-o", "gone/a.csv"], "gone/a.csv cannot be written, since there is no folder 'gone'"),
        (["policy", ".", "--draws", "nix.nc"], "nix.nc does not exist; give a file of draws, or the word prior"),
        (["report", "gone"], "cipark report: gone does not exist"),
        (["report", "."], "cipark report: . has no report.json, which a finished command leaves in its output folder"),
        (["report", "--again", "."], "--again: . has no findings of a command in it"),
        (["calibrate", "leaving.mdl"], "is a model, and a study is needed: cipark new-study leaving.mdl DATA"),
        (["policy", "leaving.mdl"], "is a model, and a study is needed: cipark new-study leaving.mdl DATA"),
        (["calibrate", "left.csv"], "is a table, and a study is needed: cipark new-study MODEL left.csv makes one"),
        (["calibrate", "problem.toml"], "problem.toml is a file of a study: name its folder, ."),
        (["calibrate", "core"], "no study 'core' (did you mean: great_stone_core, great_stone_core_lifecycle)"),
        (["calibrate", "gone"], "no study 'gone'; name a folder with problem.toml, or a study that"),
    ],
)  # fmt: skip
def test_what_is_named_and_not_there_is_said_with_what_to_do(
    study: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    (study / "nothing.csv").touch()
    (study / "fast.toml").write_text("[set]\nrate = 1\n", encoding="utf-8")
    (study / "policies.toml").write_text(POLICIES, encoding="utf-8")
    monkeypatch.chdir(study)
    done = cipark(*arguments, code=2)
    assert message in done.stderr
    assert done.stdout == ""


def test_several_sheets_are_named(study: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for name in ("sick", "notes"):
        book.create_sheet(name).append([name, 1])
    book.save(study / "two.xlsx")
    done = cipark("new-study", study / "leaving.mdl", study / "two.xlsx", "-o", study / "made", code=2)
    assert "two.xlsx: several sheets have cells: 'sick' and 'notes'; --sheet names one" in done.stderr


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'table = "left.csv"', 'table = "left.csv',
            "study/problem.toml:7: this is no TOML at column 18: the line ends within a text; put a text between",
        ),
        (
            'kind = "increments"', "kind = increments",
            "study/problem.toml:8: this is no TOML at column 8: Invalid value; put a text between quotation marks",
        ),
        (
            "starts = 4", "starts = 0,5",
            "put a setting on a line of its own, and a point marks decimals",
        ),
    ],
)  # fmt: skip
def test_what_is_no_toml_is_said_with_its_line_and_the_usual_cause(
    study: Path, old: str, new: str, message: str
) -> None:
    assert message in refused(study, old, new)


def test_dates_that_cannot_be_read_leave_no_times_outside_the_run(study: Path) -> None:
    message = refused(study, "[[observation]]", '[dates]\nunit = "day"\norigin = "2023-13-01"\n\n[[observation]]')
    assert "origin is '2023-13-01', expected a date such as 2020-03-01" in message
    assert "outside the run" not in message


def test_a_study_that_fits_nothing_says_what_to_give(study: Path) -> None:
    text = STUDY.replace("use = 'CAL'", "use = 'PRI'").replace("[[parameter]]\n", "[[parameter]]\nuse = 'PRI'\n")
    assert "no [[parameter]] is fitted: give one use = 'CAL'" in refused(study, STUDY, text)


def test_the_example_of_a_column_names_a_stock_before_a_flow(study: Path) -> None:
    (study / "counts.csv").write_text("time,thermometer\n1,3\n2,4\n3,5\n", encoding="utf-8")
    text = (study / "leaving.mdl").read_text(encoding="utf-8")
    # the flow first in the file
    flow = next(line for line in text.splitlines() if line.startswith("leaving ="))
    moved = text.replace(flow + "\n", "").replace("{UTF-8}\n", "{UTF-8}\n" + flow + "\n", 1)
    (study / "leaving.mdl").write_text(moved, encoding="utf-8")
    done = cipark("new-study", study / "leaving.mdl", study / "counts.csv", code=2)
    assert '--value "thermometer=stock"' in done.stderr
    (study / "counts.csv").write_text("time,lea\n1,3\n2,4\n3,5\n", encoding="utf-8")
    # "lea" is more like "leaving", which is a flow
    assert '--value "lea=left"' in cipark("new-study", study / "leaving.mdl", study / "counts.csv", code=2).stderr


@pytest.mark.parametrize(
    ("equations", "message"),
    [
        ("a = 1 ~~|\n\nb = a * nothing ~~|", r"^model\.mdl:4: the equation of 'b' has no variable 'nothing'"),
        ("a = 1 ~~|\nb = NONESUCH(a) ~~|", r"^model\.mdl:3, 'b': has no function 'nonesuch'; write it with"),
        ("a = QUEUE FIFO(1) ~~|", r"^model\.mdl:2: 'a' uses QUEUE FIFO, which is not supported here; model the queue"),
        ("R: p, q ~~|\nv[R] = 1 ~~|\nb = v[R] ~~|", r"^model\.mdl:4: the equation of 'b' uses the subscript 'R'"),
        ("a = b ~~|\nb = a + 1 ~~|", r"^model\.mdl:2: algebraic loop a -> b -> a; put a stock"),
        ("a = 2,5 ~~|\n", r"lists 2 numbers where one belongs; a decimal number has a point, such as 2\.5"),
        ("R: p, q ~~|\na[R] = 1, 2, 3 ~~|\n", r"lists 3 numbers for 2 elements"),
        ("a = 1 ~~|\na = 2 ~~|", r"^model\.mdl:2: the equation of 'a' is defined twice; keep one"),
    ],
)
def test_what_comes_up_after_reading_names_the_line_too(
    write_mdl: Callable[..., Path], equations: str, message: str
) -> None:
    with pytest.raises(CiparkError, match=message):
        simulate(read_model(write_mdl(equations + "\n")), engine="numpy")


def test_a_model_without_its_times_says_what_to_add(tmp_path: Path) -> None:
    file, step = tmp_path / "pool.mdl", "SAVEPER = TIME STEP ~ Month ~ |\nTIME STEP = 1 ~ Month ~ |\n"
    file.write_text("x = 1 ~ ~ |\nINITIAL TIME = 0 ~ Month ~ |\n" + step)
    with pytest.raises(UnusableInput) as refused:
        simulate(file)
    line = "FINAL TIME = 100 ~ Month ~ |"
    assert str(refused.value) == f"pool: the model has no FINAL TIME; add to the file, with your own numbers: {line}"
    assert simulate(file, {"final time": 3})["time"].values[-1] == 3
    file.write_text(file.read_text() + line)
    assert simulate(file)["time"].values[-1] == 100
    file.write_text("x = 1 ~ ~ |\n" + step)
    with pytest.raises(UnusableInput, match=r"no INITIAL TIME and FINAL TIME; .*: INITIAL TIME = 0 ~  ~ | FINAL"):
        simulate(file)


def test_all_problems_of_a_file_name_their_lines(write_mdl: Callable[..., Path]) -> None:
    with pytest.raises(Problems, match=r"(?s)- model\.mdl:2: .*'x'.*- model\.mdl:3: .*'y'"):
        read_model(write_mdl("a = x ~~|\nb = y ~~|\n"))


def test_what_comes_up_in_an_xmile_file_names_the_line_too(tmp_path: Path) -> None:
    path = tmp_path / "m.xmile"
    path.write_text(
        '<xmile version="1.0" xmlns="http://docs.oasis-open.org/xmile/ns/XMILE/v1.0">\n<sim_specs><start>0</start>\n'
        "<stop>1</stop><dt>1</dt></sim_specs><model><variables>\n<aux name='a'><eqn>nothing</eqn></aux>\n"
        "</variables></model></xmile>",
        encoding="utf-8",
    )
    with pytest.raises(CiparkError, match=r"^m\.xmile:4: the equation of 'a' has no variable 'nothing'"):
        read_model(path)


def test_thousands_of_unknown_names_are_counted_and_only_those_that_are_shown_are_compared_and_placed(
    study: Path,
) -> None:
    text = STUDY + "".join(f'\n[[fixed]]\nname = "nowhere {i}"\nvalue = 1\nwhy = "x"\n' for i in range(800))
    (study / "problem.toml").write_text(text, encoding="utf-8")
    told = list[Problems]()

    def read() -> None:
        with pytest.raises(Problems) as caught:
            read_problem(study)
        told.append(caught.value)

    # 490 for each, most of which read TOML; twice as many where each is compared with all names and all tables
    assert called(read) < 600 * 800
    message = str(told[0])
    assert message.count("model leaving has no variable 'nowhere ") == message.count("problem.toml:") == MOST_SHOWN
    assert message.endswith(f"and {800 - MOST_SHOWN} more")


def test_an_unknown_name_says_what_may_be_meant_in_other_words_and_in_another_process() -> None:
    problem = UnknownName("lleft", ("left", "stay"), where="model")
    assert str(pickle.loads(pickle.dumps(problem))) == "model has no variable 'lleft'; did you mean 'left'?"
    again = UnknownName("lleft", ("left", "stay"), where="model").within("study")
    assert str(again) == "study: model has no variable 'lleft'; did you mean 'left'?"
    assert str(pickle.loads(pickle.dumps(again.saying("other words")))) == "other words"
