"""Data variables that take their values from tables: formats, which columns count, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
from command_line import cipark

from cipark_sd.base.errors import InvalidValue, MissingData, Problems, UnsupportedFeature
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.expr import Table
from cipark_sd.model.variables import Series
from cipark_sd.simulations.ensembles import ensemble
from cipark_sd.simulations.simulation import simulate

Write = Callable[..., Path]
TEXT = """
R: p, q ~~|
rain :RAW: ~~|
"cost, all" ~~|
by[R] :LOOK FORWARD: ~~|
computed = Time ~~|
out = rain + computed ~~|
"""
DOWN = {
    "csv": 'Time,Rain,"by[p]","By[ Q ]",computed,"""cost, all"""\n0,1,5,6,99,2\n2,3,,8,99,\n',
    "tab": 'Time\tRain\tby[p]\tBy[ Q ]\tcomputed\t"""cost, all"""\n0\t1\t5\t6\t99\t2\n2\t3\t\t8\t99\t\n',
    "dat": "Rain / a comment\n0 1 seen\n2\t3\n\nby[p]\n0 5\nBy[ Q ] <Year>\n0 6\n2 8\ncomputed\n0 99\n"
    '"cost, all"\n0 2\n',
}
ACROSS = 'Time,0,2\nRain,1,3\n"by[p]",5,\n"By[ Q ]",6,8\ncomputed,99,99\n"""cost, all""",2,\n'


def values(path: Path, *files: Path) -> dict[str, list[Table | None]]:
    model = read_model(path, series=files)
    return {
        variable.name: [piece.source for piece in variable.pieces if piece.source is not None]  # type: ignore[misc]
        for variable in model.variables
        if isinstance(variable, Series)
    }


@pytest.mark.parametrize("form", [*DOWN, "across", "xlsx"])
def test_every_format_says_the_same(write_mdl: Write, tmp_path: Path, form: str) -> None:
    path = write_mdl(TEXT)
    if form == "xlsx":
        book = openpyxl.Workbook()
        for row in (["Time", "Rain", "by[p]", "By[ Q ]", "computed", '"cost, all"'], [0, 1, 5, 6, 99, 2]):
            book.worksheets[0].append(row)
        book.worksheets[0].append([2, 3, None, 8, 99, None])
        book.save(tmp_path / "given.xlsx")
    else:
        ending = "csv" if form == "across" else form
        (tmp_path / f"given.{ending}").write_text(ACROSS if form == "across" else DOWN[form], encoding="utf-8")
    (file,) = tmp_path.glob("given.*")
    assert values(path, file) == {
        "rain": [Table((0.0, 2.0), (1.0, 3.0))],
        "cost,_all": [Table((0.0,), (2.0,))],
        "by": [Table((0.0,), (5.0,)), Table((0.0, 2.0), (6.0, 8.0))],
    }


def test_a_computed_variable_keeps_its_equation_and_the_keyword_is_the_models(write_mdl: Write, tmp_path: Path) -> None:
    (tmp_path / "given.csv").write_text(DOWN["csv"])
    model = read_model(write_mdl(TEXT), series=[tmp_path / "given.csv"])
    run = simulate(model, save=["out", "computed"], engine="native")
    assert run["computed"].values.tolist() == run["time"].values.tolist()
    # raw: no number between the times of the table
    assert run["out"].sel(time=[0, 2]).values.tolist() == [1.0, 5.0]
    assert run["out"].sel(time=1).isnull()


@pytest.mark.parametrize("second", ["index", ""])
def test_a_column_of_elements_beside_that_of_variables_names_them(
    write_mdl: Write, tmp_path: Path, second: str
) -> None:
    table = tmp_path / "d.tab"
    table.write_text(f"Time\t{second}\t0\t2\nby\tp\t5\t\nBy\tQ\t6\t8\nRain\t\t1\t3\n")
    read = values(write_mdl(TEXT), table)
    assert read["by"] == [Table((0.0,), (5.0,)), Table((0.0, 2.0), (6.0, 8.0))]
    assert read["rain"] == [Table((0.0, 2.0), (1.0, 3.0))]


def test_a_table_down_with_an_empty_column_is_read_down(write_mdl: Write, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("Time,Rain,\n0,1,\n2,3,\n")
    assert values(write_mdl(TEXT), tmp_path / "d.csv")["rain"] == [Table((0.0, 2.0), (1.0, 3.0))]


def test_of_two_files_the_last_counts_and_the_digest_covers_both(write_mdl: Write, tmp_path: Path) -> None:
    path = write_mdl(TEXT)
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    first.write_text("Time,rain\n0,1\n")
    second.write_text("Time,rain\n0,7\n")
    assert values(path, first, second)["rain"] == [Table((0.0,), (7.0,))]
    digests = {read_model(path, series=files).digest for files in ([], [first], [second], [first, second])}
    assert len(digests) == 4


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", "Time,rain\n0,wet\n", "a value of 'rain' is 'wet', expected a number"),
        ("x.csv", "Time,rain\nnow,1\n", "a time of 'rain' is 'now', expected a number"),
        (
            "x.csv",
            "Time,rain\n0,1\n0,2\n",
            "its value at 0 is '2', expected one value of 'rain' for each time; 1 comes before",
        ),
        ("x.csv", "Time,snow\n0,1\n", "the columns of 'x.csv' is 'none of them', expected data variables: rain"),
        ("x.csv", "rain,Time\n0,1\n", "the first cell is 'rain', expected 'Time' over the times"),
        ("x.csv", "\n", "the data file is 'empty'"),
        ("x.xlsx", "no workbook", "the file is no Excel workbook"),
        ("x.vdf", "binary", "expected a run of Vensim's"),
        ("x.txt", "Time", "expected one of .csv"),
        ("", "", "does not exist"),
    ],
)
def test_a_file_that_says_nothing_is_one_clear_error(
    write_mdl: Write, tmp_path: Path, name: str, content: str, message: str
) -> None:
    path = write_mdl(TEXT)
    file = tmp_path / (name or "nowhere.csv")
    if name:
        file.write_text(content)
    with pytest.raises(InvalidValue) as caught:
        read_model(path, series=[file])
    assert message in str(caught.value)


def test_a_model_without_data_variables_takes_no_file_and_problems_come_together(
    write_mdl: Write, tmp_path: Path
) -> None:
    (tmp_path / "x.csv").write_text("Time,a\n0,1\n")
    with pytest.raises(InvalidValue, match="a model that has data variables"):
        read_model(write_mdl("a = 1 ~~|"), series=[tmp_path / "x.csv"])
    with pytest.raises(Problems):
        read_model(write_mdl(TEXT), series=[tmp_path / "x.csv", tmp_path / "y.csv"])


def test_an_element_that_the_files_leave_out_is_missing_as_in_vensim(write_mdl: Write, tmp_path: Path) -> None:
    (tmp_path / "x.dat").write_text("seen[p]\n0\t1\n10\t11\n")
    counted = "n = SUM(IF THEN ELSE(seen[R!] = :NA:, 0, 1)) ~~|"
    path = write_mdl(f"R: p, q ~~|\nseen[R] ~~|\n{counted}\n")
    run = simulate(read_model(path, series=[tmp_path / "x.dat"]), engine="numpy", save=["seen", "n"])
    assert run["n"].values.tolist() == [1.0] * 41
    assert run["seen"][0].values.tolist() == pytest.approx([1.0, float("nan")], nan_ok=True)
    with pytest.raises(MissingData, match=r"model\.mdl:3: 'seen\[p\]', 'seen\[q\]' have no equation and no data"):
        simulate(read_model(path), engine="numpy")


def test_the_command_takes_files_and_says_what_lacks(write_mdl: Write, tmp_path: Path) -> None:
    path = write_mdl(TEXT)
    lacking = cipark("run", path, "--variables", "out", code=2)
    assert isinstance(lacking.exception, MissingData) or lacking.exit_code == 2
    (tmp_path / "given.csv").write_text("Time,rain\n" + "".join(f"{t},{t}\n" for t in range(11)))
    done = cipark("run", path, "--variables", "out", "--series", tmp_path / "given.csv")
    assert "20" in done.output


def test_a_tag_for_a_spreadsheet_is_refused_by_name(write_mdl: Write) -> None:
    path = write_mdl("a = GET DIRECT CONSTANTS('?costs', 'Sheet1', 'B2') ~~|")
    with pytest.raises(
        UnsupportedFeature,
        match=r"'a' uses a file behind the tag '\?costs'.*--series '\?costs=FILE'",
    ):
        simulate(read_model(path), save=["a"])


TAGGED = """
R: p, q ~~|
a[R] = GET DIRECT CONSTANTS('?costs', 'Sheet1', 'B2') ~~|
t = GET XLS LOOKUPS('?more', 'Sheet1', 'A', 'B2') ~~|
rain := GET XLS DATA('?costs', 'Sheet1', 'A', 'C2') ~~|
snow ~~|
out = a[q] + t(1) + rain + snow ~~|
"""


def book(path: Path, *rows: tuple[object, ...]) -> Path:
    workbook = openpyxl.Workbook()
    assert workbook.active is not None
    workbook.active.title = "Sheet1"
    for row in rows:
        workbook.active.append(row)
    workbook.save(path)
    return path


def test_a_tag_is_the_spreadsheet_that_the_user_says(write_mdl: Write, tmp_path: Path) -> None:
    """Wherever that lies: it was not the model that named it."""
    path = write_mdl(TAGGED)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    book(elsewhere / "a.xlsx", ("", "x", "y"), (0, 1.5, 10), (10, 2.5, 20))
    book(elsewhere / "b.xlsx", ("", "x"), (0, 100), (2, 300))
    (tmp_path / "snow.csv").write_text("Time,snow\n0,1000\n10,1000\n")
    given = [f"?costs={elsewhere / 'a.xlsx'}", f"?more={elsewhere / 'b.xlsx'}", str(tmp_path / "snow.csv")]
    model = read_model(path, series=given)
    run = simulate(model)
    # constants go along the row
    assert float(run["out"][0]) == 10 + 200 + 10 + 1000
    assert float(run["out"].sel(time=10)) == 10 + 200 + 20 + 1000
    options = [part for entry in given for part in ("--series", entry)]
    cipark("run", path, "--variables", "out", *options)
    assert read_model(path, series=given).digest == model.digest
    book(elsewhere / "b.xlsx", ("", "x"), (0, 100), (2, 301))
    assert read_model(path, series=given).digest != model.digest
    with pytest.raises(UnsupportedFeature, match=r"the tag '\?more'"):
        simulate(read_model(path, series=[given[0], given[2]]))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("?cost=a.xlsx", r"a tag of the model: \?costs, \?more"),
        ("?costs", r"\?tag=FILE"),
        ("?costs=nowhere.xlsx", "nowhere.xlsx does not exist"),
    ],
)
def test_a_tag_that_the_model_does_not_have_and_a_file_that_is_not_there_are_named(
    write_mdl: Write, entry: str, message: str
) -> None:
    with pytest.raises(InvalidValue, match=message):
        read_model(write_mdl(TAGGED), series=[entry])


DRIVEN = """
rain ~~|
Water = INTEG(rain * runoff - Water / stay, 1) ~~|
runoff = 0.5 ~~|
stay = 3 ~~|
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ("check",),
        ("certify", "--engines", "native,numpy"),
        ("show",),
        ("convert", "-o", "again.xmile"),
        ("convert", "-o", "again.wasm"),
        ("sensitivity", "--rows", "16", "--method", "sobol", "--resamples", "2", "-o", "found"),
        ("play", "-o", "page.html"),
        ("ensemble", "--runs", "4", "--vary", "runoff=0.1:0.9", "-o", "runs"),
    ],
    ids=lambda arguments: " ".join(arguments[:3]),
)
def test_every_command_that_runs_a_model_takes_the_files(
    write_mdl: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undrawn_figures: None, arguments: tuple[str, ...]
) -> None:
    path = write_mdl(DRIVEN)
    (tmp_path / "given.csv").write_text("Time,rain\n" + "".join(f"{t},{t}\n" for t in range(11)))
    monkeypatch.chdir(tmp_path)
    command, *rest = arguments
    cipark(command, path, *rest, "--series", "given.csv")
    other = cipark(command, path, *rest, "--series", "nowhere.csv", code=2)
    assert isinstance(other.exception, InvalidValue) or other.exit_code == 2


def test_a_converted_model_holds_what_the_file_said(write_mdl: Write, tmp_path: Path) -> None:
    (tmp_path / "given.csv").write_text("Time,rain\n" + "".join(f"{t},{t * t}\n" for t in range(11)))
    model = read_model(write_mdl(DRIVEN), series=[tmp_path / "given.csv"])
    for ending in ("xmile", "mdl"):
        cipark("convert", write_mdl(DRIVEN), "-o", tmp_path / f"a.{ending}", "--series", tmp_path / "given.csv")
        again = simulate(read_model(tmp_path / f"a.{ending}"), save=["water"])
        assert (again["water"] == simulate(model, save=["water"])["water"]).all()


def test_a_vdf_is_read_as_pysimlin_reads_it(write_mdl: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing value says nothing, and a column of no data variable is passed over."""
    run = pd.DataFrame({"Rain": [1.5, np.nan, -(2.0**110), 4.5], "other": 0.0}, index=[0.0, 1.0, 2.0, 3.0])
    monkeypatch.setattr("simlin.load_vdf", lambda path: run)
    file = tmp_path / "run.vdf"
    file.write_bytes(b"a run")
    assert values(write_mdl(TEXT), file)["rain"] == [Table((0.0, 3.0), (1.5, 4.5))]


def test_a_run_of_the_model_itself_brings_no_data(
    write_mdl: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pysimlin spreads recorded data over the run; what another model computed is at its times."""
    run = pd.DataFrame({"seen": [1.0, 2.0], "Level": [3.0, 4.0]}, index=pd.Index([0.0, 1.0], name="time"))
    monkeypatch.setattr("simlin.load_vdf", lambda path: run)
    (tmp_path / "run.vdf").write_bytes(b"a run")
    path = write_mdl("seen ~~| Level = INTEG(seen, 3) ~~|", final=1)
    with pytest.raises(InvalidValue, match=r"this model's own run .*'run.vdf', expected a run of another model"):
        read_model(path, series=[tmp_path / "run.vdf"])
    path = write_mdl("seen ~~| Other = INTEG(seen, 3) ~~|", final=1)
    assert simulate(read_model(path, series=[tmp_path / "run.vdf"]))["seen"].values[-1] == 2


def test_a_stock_that_has_taken_in_a_missing_value_is_no_number(write_mdl: Write, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("time,seen\n0,1\n1,2\n2,4\n", encoding="utf-8")
    path = write_mdl("seen :RAW: ~~| Level = INTEG(seen, 3) ~~| twice = 2 * Level ~~|", final=2, step=0.5)
    done = cipark("run", path, "--series", tmp_path / "d.csv", "-o", tmp_path / "run.csv", code=None)
    assert "Level is nan at time 1, and has no number at the end of the run" in done.stderr
    assert pd.read_csv(tmp_path / "run.csv")["Level"].round(3).tolist()[:2] == [3, 3.5]
    whole = write_mdl("seen :RAW: ~~| Level = INTEG(1e25, 3) ~~| none = seen ~~|", final=2, step=0.5)
    assert simulate(read_model(whole, series=[tmp_path / "d.csv"]))["level"].values[-1] > 1e25


@pytest.mark.parametrize("function", ["SMOOTH(seen, 2)", "DELAY1(seen, 2)", "1 + SMOOTH3I(seen, 2, 0)"])
def test_what_remembers_a_missing_value_is_no_number(write_mdl: Write, tmp_path: Path, function: str) -> None:
    (tmp_path / "d.csv").write_text("time,seen\n0,1\n1,2\n3,4\n", encoding="utf-8")
    model = read_model(
        write_mdl(f"k = 1 ~~| seen :RAW: ~~| late = k * {function} ~~|", final=6, step=1), series=[tmp_path / "d.csv"]
    )
    assert np.isfinite(simulate(model)["late"][:3]).all()
    assert np.isnan(simulate(model)["late"][5:]).all()
    with pytest.warns(RuntimeWarning, match="'late' is no finite number"):
        assert np.isnan(ensemble(model, {"k": [1.0]}, save=["late"])["late"][0, 5:]).all()


def test_a_blank_cell_of_constants_is_named(write_mdl: Write, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("n,v\na,1\nb,\nc,3\n", encoding="utf-8")
    path = write_mdl("R: a, b, c ~~|\nw[R] = GET DIRECT CONSTANTS('c.csv', ',', 'B2*') ~~|\n")
    said = r"'c.csv', tab ',', from 'B2\*', has no number in the cell of 'w\[b\]', which is NaN; write one there"
    with pytest.warns(UserWarning, match=said):
        assert np.isnan(simulate(read_model(path), save=["w"])["w"].sel(r="b")).all()


def test_a_run_of_an_ensemble_that_has_taken_in_a_missing_value_failed(write_mdl: Write) -> None:
    path = write_mdl("k = 0 ~~| Level = INTEG(IF THEN ELSE(k > 1, :NA:, 1), 0) ~~|", final=2, step=1)
    with pytest.warns(RuntimeWarning, match="1 of 3 runs.*'Level' is no finite number at time 2"):
        runs = ensemble(read_model(path), {"k": [0.0, 2.0, 1.0]})
    assert runs["run_failed"].values.tolist() == [False, True, False]
    np.testing.assert_array_equal(runs["level"], [[0, 1, 2], [0, np.nan, np.nan], [0, 1, 2]])
