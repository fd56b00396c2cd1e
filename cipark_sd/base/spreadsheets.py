"""Excel workbooks (``.xlsx``) in and out, as tables of texts; the only file that knows openpyxl (extra ``excel``)."""

import io
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from cipark_sd.base.errors import InvalidValue, MissingPackage, UnknownName, UnusableInput
from cipark_sd.base.files import csv_text_of, write_archive
from cipark_sd.base.inputs import TABLE_LIMIT, read_bytes
from cipark_sd.base.wording import listed

SUFFIX = ".xlsx"
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
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > TABLE_LIMIT:
            raise InvalidValue("its size unpacked", size, f"{TABLE_LIMIT} bytes at most", where=str(path))
        # the numbers that Excel has computed last, and no formulas
        book = openpyxl.load_workbook(io.BytesIO(raw), read_only=True, data_only=True)
        tables = {page.title: [list(map(_text, row)) for row in page.iter_rows(values_only=True)]
                  for page in book.worksheets}  # fmt: skip
    except InvalidValue:
        raise
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
