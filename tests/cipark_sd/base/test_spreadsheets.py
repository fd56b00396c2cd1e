"""Workbooks as tables of data: for a new study, for a study, beside a run, for data variables."""

import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import openpyxl
import pytest
from small_study import COUNTS, STUDY, small_study

from calibration.new_study.table import read_sheet
from calibration.study.problem import read_problem
from cipark_sd.base.errors import InvalidValue, UnknownName, UnusableInput
from cipark_sd.base.spreadsheets import table_bytes
from cipark_sd.language.read.model_file import read_model
from cipark_sd.pages.figures.observed import read_observed


def workbook(path: Path, **sheets: list[list[object]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        page = book.create_sheet(name)
        for row in rows:
            page.append(row)
    book.save(path)
    return path


def test_cells_are_texts_as_in_a_csv_file(tmp_path: Path) -> None:
    rows = [["day", "cases"], [datetime(2023, 1, 2), 3], [datetime(2023, 1, 3, 12, 30), 4.5], [None, 1e21]]
    path = workbook(tmp_path / "a.xlsx", data=rows, empty=[])
    assert table_bytes(path).decode() == "day,cases\n2023-01-02,3\n2023-01-03 12:30:00,4.5\n,1e+21\n"


def test_a_study_reads_the_same_rows_from_a_workbook(tmp_path: Path) -> None:
    plain = small_study(tmp_path)
    total, rows = 0, [["time", "left"]]
    for year, count in enumerate(COUNTS, start=1):
        rows.append([year, total := total + count])
    workbook(tmp_path / "left.xlsx", counts=rows)
    (tmp_path / "problem.toml").write_text(STUDY.replace('"left.csv"', '"left.xlsx"'), encoding="utf-8")
    (book,), (text,) = read_problem(tmp_path).observations, plain.observations
    assert book.table == "left.xlsx"
    assert book.terms == text.terms
    sheet = read_sheet(tmp_path / "left.xlsx")
    assert (sheet.header, sheet.rows[0]) == (("time", "left"), ("1", "22"))


def test_points_beside_a_run_and_series_come_from_a_workbook(write_mdl: Callable[..., Path], tmp_path: Path) -> None:
    path = write_mdl("s = INTEG(rain, 0) ~~|\nrain ~~|\n")
    weather = workbook(tmp_path / "weather.xlsx", notes=[], data=[["Time", "rain"], [0, 1], [10, 2]])
    model = read_model(path, series=[weather])
    seen = workbook(tmp_path / "seen.xlsx", data=[["date", "s"], [1, 2], [2, 3.5]])
    (points,) = read_observed(model, seen)
    assert (points.times.tolist(), points.values.tolist()) == ([1, 2], [2, 3.5])


def test_of_several_sheets_one_is_named(tmp_path: Path) -> None:
    path = workbook(tmp_path / "two.xlsx", a=[["time", "x"], [1, 2], [2, 3]], b=[["time", "y"], [1, 5], [2, 6]])
    with pytest.raises(InvalidValue, match="several sheets have cells: 'a' and 'b'; --sheet names one"):
        read_sheet(path)
    assert read_sheet(path, "b").header == ("time", "y")
    with pytest.raises(UnknownName, match="'c'"):
        read_sheet(path, "c")
    (tmp_path / "plain.csv").write_text("time,x\n1,2\n2,3\n")
    with pytest.raises(InvalidValue, match="that has sheets"):
        read_sheet(tmp_path / "plain.csv", "a")


def test_a_file_that_is_no_workbook_or_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "no.xlsx").write_text("time,x\n")
    with pytest.raises(InvalidValue, match="the file is no Excel workbook"):
        read_sheet(tmp_path / "no.xlsx")
    path = workbook(tmp_path / "large.xlsx", a=[["time", "x"], [1, 2]])
    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    monkeypatch.setattr("cipark_sd.base.spreadsheets.WORKBOOK_LIMIT", size - 1)
    with pytest.raises(InvalidValue, match=r"unpacked it has .* save the sheet as CSV"):
        table_bytes(path)


def with_sheet(path: Path, content: bytes) -> Path:
    """A workbook whose only sheet is this XML."""
    workbook(path, one=[["time", "x"]])
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    (page,) = (name for name in members if name.startswith("xl/worksheets/"))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in members.items():
            archive.writestr(name, content if name == page else part)
    return path


SPACE = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
FAR = f'<worksheet xmlns="{SPACE}"><sheetData>{{}}</sheetData></worksheet>'
#: Sheets of a few bytes that reach far, whatever way they say so.
REACHING = {
    "corner": FAR.format('<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>').encode(),
    "beyond": FAR.format('<row r="99999999999"><c r="ZZZZZZ99999999999"><v>1</v></c></row>').encode(),
    "one row": FAR.format(f'<row r="1">{"<c><v>1</v></c>" * 20_000}</row>').encode(),
    "prefix": FAR.format(f'<x:row r="1">{"<x:c><x:v>1</x:v></x:c>" * 20_000}</x:row>').encode(),
    "hidden": FAR.format('<row r="1"><c r="&#88;FD1"><v>1</v></c></row>').encode(),
    "UTF-16": FAR.format('<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>').encode("utf-16"),
}


@pytest.mark.parametrize("way", REACHING)
def test_a_workbook_whose_cells_reach_too_far_is_refused_before_it_is_read(
    way: str, write_mdl: Callable[..., Path], tmp_path: Path
) -> None:
    """One cell in the last row and column took 5.6 GB where a model reads it."""
    path = with_sheet(tmp_path / "far.xlsx", REACHING[way])
    with pytest.raises(UnusableInput, match=r"a sheet reaches to row .* cells are read"):
        table_bytes(path)
    with pytest.raises(UnusableInput, match=r"which reads 'far.xlsx': a sheet reaches to row"):
        read_model(write_mdl("rate = GET DIRECT CONSTANTS('far.xlsx', 'one', 'B2') ~~|"))


def test_a_workbook_of_many_rows_is_read(tmp_path: Path) -> None:
    rows = "".join(f'<row r="{n}"><c r="B{n}"><v>{n}</v></c></row>' for n in range(1, 5001))
    path = with_sheet(tmp_path / "long.xlsx", FAR.format(rows).encode())
    assert table_bytes(path).decode().splitlines()[-1] == ",5000"


def test_what_is_said_of_a_workbook_that_is_none_is_one_line(tmp_path: Path) -> None:
    """Entities within entities, of which openpyxl says in a paragraph that somebody may see the exception below."""
    path = workbook(tmp_path / "a.xlsx", one=[["time", "x"], [1, 2]])
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 9))
    (page,) = (name for name in members if name.startswith("xl/worksheets/"))
    cell = '<row r="1"><c r="A1" t="inlineStr"><is><t>&e8;</t></is></c></row>'
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    members[page] = (
        f'<?xml version="1.0"?><!DOCTYPE w [<!ENTITY e0 "xxxxxxxxxx">{entities}]>'
        f'<worksheet xmlns="{space}"><sheetData>{cell}</sheetData></worksheet>'
    ).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(InvalidValue, match=r"the file is no Excel workbook \(.+\)$") as refused:
        table_bytes(path)
    assert "\n" not in str(refused.value)
