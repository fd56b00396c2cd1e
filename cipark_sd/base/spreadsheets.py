"""Excel workbooks (``.xlsx``) in and out, as tables of texts; the only file that knows openpyxl (extra ``excel``)."""

import io
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from cipark_sd.base.errors import MissingPackage, UnknownName, UnusableInput
from cipark_sd.base.files import csv_text_of, write_archive
from cipark_sd.base.inputs import MEGABYTE, TABLE_LIMIT, read_bytes
from cipark_sd.base.wording import listed

SUFFIX = ".xlsx"
#: Parts of a workbook as text, and the rectangle from the first cell to the last. Measured: a million cells in 30 MiB
#: take 10 s, five million in 165 MiB more than 30 s, and one in the last row and column alone 5.6 GB.
WORKBOOK_LIMIT, MOST_CELLS = 64 * MEGABYTE, 4_000_000
#: Of a sheet of Excel's.
_COLUMNS = 16_384
_ROW, _CELL = re.compile(rb"<(?:\w+:)?row\b"), re.compile(rb"<(?:\w+:)?c\b")
#: Where a cell stands (letters, digits), or what may hide that.
_PLACE = re.compile(rb"""\br\s*=\s*["'](?:([A-Za-z]{0,9})(\d{1,18})["']|([^"']*&))""")
#: When a workbook was made and changed: the properties may leave it out (ECMA-376, part 2, core properties).
_TIMES = re.compile(rb"<dcterms:(created|modified)\b[^>]*>[^<]*</dcterms:\1>")


def table_bytes(path: Path, *, sheet: str | None = None) -> bytes:
    """The bytes of a CSV file; of a workbook those of a CSV file with the cells of its sheet.

    Parameters
    ----------
    sheet : of a workbook; None for the only one that has cells

    Raises
    ------
    OSError
        Where the file cannot be read.
    InvalidValue, UnknownName, MissingPackage
        For a workbook that is none, or a sheet that it does not have.
    """
    raw = read_bytes(path, TABLE_LIMIT)
    if path.suffix.lower() != SUFFIX:
        return raw
    return csv_text_of(cells(raw, path, sheet=sheet)).encode()


def cells(raw: bytes, path: Path, *, sheet: str | None = None) -> list[list[str]]:
    """The cells of one sheet as texts, dates as ISO dates; empty rows stay, so that a row keeps its number.

    Parameters
    ----------
    raw : the bytes of the workbook
    path : for messages
    sheet : None for the only one that has cells

    Returns
    -------
    list of list of str
        By row; an empty cell is an empty text.
    """
    openpyxl = _openpyxl(f"reading {path.name}")
    check_workbook(raw, where=str(path))
    try:
        # the numbers that Excel has computed last, and no formulas
        book = openpyxl.load_workbook(io.BytesIO(raw), read_only=True, data_only=True)
        tables = {page.title: [list(map(_text, row)) for row in page.iter_rows(values_only=True)]
                  for page in book.worksheets}  # fmt: skip
    except Exception as problem:  # openpyxl raises whatever comes up in a damaged file
        # its own words are a paragraph that asks for the exception below it
        reason = str(problem.__cause__ or problem.__context__ or problem).partition("\n")[0]
        raise UnusableInput(f"the file is no Excel workbook ({reason})", where=str(path)) from None
    if sheet is not None:
        if sheet not in tables:
            raise UnknownName(sheet, tables, kind="sheet", where=str(path))
        return tables[sheet]
    filled = {name: rows for name, rows in tables.items() if any(map(any, rows))}
    if len(filled) > 1:
        raise UnusableInput(
            f"several sheets have cells: {listed(map(repr, filled))}; --sheet names one", where=str(path)
        )
    return next(iter(filled.values()), [])


def check_workbook(raw: bytes, *, where: str) -> None:
    """Raise where a workbook has more than can be read: it may be small, and its sheets anything.

    Parameters
    ----------
    raw : its bytes; what is no archive passes, for whoever reads it
    where : for messages

    Raises
    ------
    UnusableInput
    """
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            size = sum(member.file_size for member in archive.infolist())
            parts = [archive.read(member) for member in archive.infolist()] if size <= WORKBOOK_LIMIT else []
    except Exception:  # zipfile raises whatever comes up in a damaged file
        return
    if size > WORKBOOK_LIMIT:
        much = f"unpacked it has {size // MEGABYTE:,} MiB, and at most {WORKBOOK_LIMIT // MEGABYTE} MiB are read"
        raise UnusableInput(f"{much}: save the sheet as CSV", where=where)
    for part in parts:
        rows, columns = _reach(part)
        if columns > _COLUMNS or rows * columns > MOST_CELLS:
            reach = f"a sheet reaches to row {rows:,} and column {columns:,}, and at most {MOST_CELLS:,} cells are read"
            raise UnusableInput(f"{reach}: delete the rows and columns that have nothing", where=where)


def _reach(part: bytes) -> tuple[int, int]:
    """The last row and column of the cells in a part of a workbook; more than there may be where that is hidden."""
    if part[:2] in (b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<"):
        # UTF-16, which no program writes there
        return _COLUMNS + 1, _COLUMNS + 1
    rows, last = 0, b""
    # cells without a place follow each other
    columns = max(len(_CELL.findall(row)) for row in _ROW.split(part))
    for place in _PLACE.finditer(part):
        if place[3]:
            return _COLUMNS + 1, _COLUMNS + 1
        rows, last = max(rows, int(place[2])), max(last, place[1].upper(), key=lambda letters: (len(letters), letters))
    return rows, max(columns, sum((letter - 64) * 26**power for power, letter in enumerate(reversed(last))))


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return value.date().isoformat() if value.time() == time() else value.isoformat(sep=" ")
        case date():
            return value.isoformat()
        case float():
            return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
        case _:
            return str(value)


def write_workbook(path: Path, sheets: Mapping[str, Iterable[Sequence[object]]]) -> Path:
    """Write a workbook of sheets with rows of numbers and texts, whole or not at all.

    A text stays a text, whatever it begins with: names of a model become no formulas. The same rows give the same
    bytes.

    Parameters
    ----------
    path : in a folder that is there
    sheets : rows of cells by the title of their sheet

    Returns
    -------
    Path
        ``path``.
    """
    openpyxl = _openpyxl(f"writing {path.name}")
    from openpyxl.cell import WriteOnlyCell

    book = openpyxl.Workbook(write_only=True)
    for title, rows in sheets.items():
        page = book.create_sheet(title)
        for row in rows:
            page.append([_cell(WriteOnlyCell, page, value) for value in row])
    content = io.BytesIO()
    book.save(content)
    with zipfile.ZipFile(content) as archive:
        return write_archive(path, ((name, _TIMES.sub(b"", archive.read(name))) for name in archive.namelist()))


def _cell(kind: Any, page: Any, value: object) -> object:
    if not isinstance(value, str):
        # a workbook has no numbers beyond the finite ones
        return value if value == value and abs(value) != float("inf") else str(value)  # type: ignore[arg-type]
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    cell = kind(page, ILLEGAL_CHARACTERS_RE.sub("\ufffd", value))
    cell.data_type = "s"
    return cell


def _openpyxl(needed_for: str) -> Any:
    try:
        import openpyxl
    except ImportError:
        raise MissingPackage("openpyxl", "excel", needed_for) from None
    return openpyxl
