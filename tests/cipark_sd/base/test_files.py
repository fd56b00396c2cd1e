"""Files and folders of commands: atomic, with one error, under safe names; and one of each thing that all need."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from command_line import cipark
from places import ROOT

from cipark_sd.analysis.study import find_folder, known_studies
from cipark_sd.base.errors import InvalidValue, UnknownName, UnusableInput
from cipark_sd.base.files import check_inner, csv_text, file_name, output_folder, unused_removed, whole, write_table
from cipark_sd.pages.blocks import Page
from cipark_sd.pages.page import write_page

STUDY = "problem.toml"


def test_an_output_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    assert output_folder(tmp_path / "a" / "b").is_dir()


def test_an_output_folder_that_cannot_be_made_names_the_option(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    with pytest.raises(
        InvalidValue, match=r"--figure: the output folder is '.*taken', expected one that can be made"
    ) as e:
        output_folder(tmp_path / "taken", where="--figure")
    assert "name another one with --figure" in str(e.value)


@pytest.mark.parametrize("link", ["cipark-output", "cipark-output/pool-sensitivity"])
def test_a_link_in_a_study_does_not_lead_its_results_elsewhere(
    link: str, tmp_path: Path, write_mdl: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mdl("pool = INTEG(-pool / life, 8) ~~| life = 5 ~~|", name="pool.mdl", final=2)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / link).parent.mkdir(exist_ok=True)
    (tmp_path / link).symlink_to(tmp_path / "elsewhere")
    done = cipark("sensitivity", "pool.mdl", "--rows", "16", code=2)
    assert f"error: {link}: the folder is a link to '{tmp_path / 'elsewhere'}': remove it" in done.stderr
    cipark("ensemble", "pool.mdl", "--runs", "16", code=2 if link == "cipark-output" else 0)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_link_that_the_user_names_is_followed_and_said(
    tmp_path: Path, write_mdl: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mdl("pool = INTEG(-pool / life, 8) ~~| life = 5 ~~|", name="pool.mdl", final=2)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").symlink_to("elsewhere")
    with pytest.warns(
        UserWarning, match=re.escape(f"out is a link: what is written there goes to {tmp_path / 'elsewhere'}")
    ):
        cipark("ensemble", "pool.mdl", "--runs", "16", "-o", "out/runs")
    assert (tmp_path / "elsewhere" / "runs" / "ensemble.json").is_file()
    with pytest.raises(UnusableInput, match="out: the folder is a link, and none is followed there"):
        check_inner(tmp_path / "out")


@pytest.mark.parametrize("command", [["calibrate"], ["policy"], ["sensitivity"], ["report", "."]])
def test_all_commands_say_the_same_of_a_folder_that_cannot_be_made(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    write_page(Page("t", "i", ()), tmp_path)
    output = "taken/page.html" if command[0] == "report" else "taken"
    result = cipark(*command, "-o", output, code=2)
    assert "--output: the output folder is 'taken', expected one that can be made and written to" in result.output


def test_a_misspelt_name_leaves_no_folder_and_takes_none_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from small_study import small_study

    (tmp_path / "study").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "kept.txt").write_text("kept", encoding="utf-8")
    small_study(tmp_path / "study")
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    for place in ([], ["-o", "empty"], ["-o", "full/new/newer"]):
        result = cipark("calibrate", "study", "--scenario", "lat", *place, code=2)
        assert "has no scenario 'lat'" in result.output
        assert sorted(tmp_path.rglob("*")) == before


def test_what_a_failed_command_has_written_stays(tmp_path: Path) -> None:
    def failing() -> None:
        folder = output_folder(tmp_path / "a" / "b")
        (folder / "begun.npz").write_bytes(b"a chunk")
        output_folder(tmp_path / "c")
        raise KeyError

    with pytest.raises(KeyError), unused_removed():
        failing()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "b", "begun.npz"]


def test_file_names_hold_nothing_that_a_file_system_minds() -> None:
    assert file_name("../Residents [SOE] / a:b") == "residents_soe_a_b"
    assert file_name("???") == "unnamed"


def test_unique_file_names_differ_where_their_texts_do() -> None:
    texts = ["a b", "a_b", "a/b", "A b", "x" * 61, "x" * 62, "ä", "a", "", "search 1", "search 2"]
    names = [file_name(text, unique=True) for text in texts]
    assert len({name.casefold() for name in names}) == len(texts)
    assert max(map(len, names)) < 80


def test_a_table_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_table(tmp_path / "table.csv", [{"a": 1, "b": None}])
    assert path.read_bytes() == b"a,b\n1,\n"

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cipark_sd.base.files.os.replace", full)
    with pytest.raises(OSError, match="No space"):
        write_table(path, pd.DataFrame({"a": [2]}))
    assert path.read_bytes() == b"a,b\n1,\n"
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from cipark_sd.base.files import whole\n"
        "with whole(Path(sys.argv[1], 'a.csv')) as partial:\n"
        "    partial.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".partial-")
    with whole(tmp_path / "b.csv") as mine:
        mine.write_text("half")
        foreign = tmp_path / f".partial-{'0' * 8}-1-{'0' * 8}-c.csv"
        foreign.write_text("another machine's")
        (tmp_path / "data.csv").write_text("x")
        output_folder(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {mine.name, foreign.name, "data.csv"}


def test_nobody_can_foretell_the_name_of_an_unfinished_file(tmp_path: Path) -> None:
    names = set()
    for _ in range(8):
        with whole(tmp_path / "a.csv") as partial:
            partial.write_text("")
            names.add(partial.name)
    assert len(names) == 8


def test_a_frame_says_of_each_row_what_draws_it_rests_on(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [0.1, 0.2]})
    path = write_table(tmp_path / "table.csv", frame, draws="prior")
    assert path.read_bytes() == b"draws,x\nprior,0.1\nprior,0.2\n"
    assert list(frame) == ["x"]


def test_columns_without_rows_are_a_header() -> None:
    assert csv_text([], ("a", "b")) == "a,b\n"
    assert csv_text([]) == ""


def test_an_unknown_study_is_answered_with_the_near_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "problem.toml").touch()
    with pytest.raises(UnknownName, match=r"^policy has no study 'great_ston'; did you mean 'great_stone'"):
        find_folder("great_ston", file=STUDY, where="policy")
    with pytest.raises(
        UnknownName,
        match=r"no study 'zzzz'; name a folder .* \(known: .*great_stone,.*mine\)$",
    ):
        find_folder("zzzz", file=STUDY, where="calibrate")
    assert known_studies("zzzz", STUDY)[-1] == "mine"


def test_a_folder_without_a_study_does_not_hide_the_study_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "great_stone").mkdir()
    assert (find_folder("great_stone", file=STUDY, where="policy") / "problem.toml").is_file()
    (tmp_path / "empty").mkdir()
    assert find_folder("empty", file=STUDY, where="policy") == Path("empty")


@pytest.mark.parametrize(
    ("pattern", "place"),
    [
        (r"rich\.(progress|table)", "cipark_sd/base/console.py"),
        (r"csv\.(writer|DictWriter)|\.to_csv\(", "cipark_sd/base/files.py"),
        (r"^Array = NDArray\[np\.float64\]", "cipark_sd/base/arrays.py"),
        (r"tomllib\.loads\(text\)", "cipark_sd/base/inputs.py"),
        (r"def (_is_text|_is_word|is_text)\b", "cipark_sd/base/console.py"),
        (r"\"dmnl\"", "cipark_sd/base/wording.py"),
    ],
)
def test_there_is_one_of_each(pattern: str, place: str) -> None:
    modules = [path for package in ("cipark_sd", "calibration") for path in (ROOT / package).rglob("*.py")]
    places = {
        path.relative_to(ROOT).as_posix()
        for path in modules
        if re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    # a result's table has a head of attributes, which no other table has
    assert places - {"cipark_sd/data/results.py"} == {place}
