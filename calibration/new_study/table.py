"""A table as people have it: any delimiter, decimal comma or point, thousands marks, gaps, a byte-order mark.

Rows below the data that are no data are left out: totals, sources, remarks.
"""

import csv
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from calibration.new_study.dates import date_of
from cipark_sd.base.errors import CiparkError, InvalidValue, MissingFile, UnusableInput
from cipark_sd.base.inputs import as_number, lines_of
from cipark_sd.base.spreadsheets import SUFFIX, table_bytes

#: Marks of a reading of which one end alone is known, such as <0.1 below a limit of detection.
_LIMIT = re.compile(r"\s*([<>≤≥]=?)(.*)", re.DOTALL)
#: What people write where there is no number.
MISSING = frozenset(
    {"", "na", "n/a", "n.a.", "nan", "null", "none", "-", "–", "—", ".", "..", "...", "?", "#n/a", "missing"}
)
#: Of a table, as texts in memory: some 300 MB.
_MOST_CELLS = 4_000_000
_MARKS = re.compile(r"[\s\u00a0\u202f'’$€£¥%]")
_COMMA_GROUPS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?")
_NUMERAL = re.compile(r"[+-]?[\d.,]*\d[\d.,]*([eE][+-]?\d+)?")
_POINT_GROUPS = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+(,\d+)?")

#: How such a row begins, in the languages of most tables that people have.
_BEGINS = re.compile(
    r"(sub|grand )?totals?\b|sum\b|average\b|mean\b|sources?\b|notes?\b|remarks?\b|n\.?b\.|\*|†|©"
    r"|summe\b|gesamt|insgesamt|mittelwert\b|durchschnitt\b|quellen?\b|anmerkung|hinweis|somme\b|moyenne\b|fuentes?\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Sheet:
    """A table as texts.

    Parameters
    ----------
    name : str
        Of the file.
    rows : tuple of tuple of str
        As wide as the header.
    lines : tuple of int
        Where each row stands in the file.
    comma : bool, optional
        Whether the file writes 1,5 for one and a half; None where no cell of it decides.
    around : str
        The text above and below the table.
    """

    name: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]
    delimiter: str
    comma: bool | None = None
    around: str = ""

    def reader(self, texts: Sequence[str]) -> Callable[[str], float]:
        """How the numbers of a column with these texts are read: see :func:`number_reader`."""
        return number_reader(texts, self.delimiter, self.comma)

    def limits(self, column: str) -> list[tuple[str, float]]:
        """The readings of a column, each with the mark of one that is known as below or above a number alone."""
        pairs = [limit(text) for text in self.column(column)]
        read = self.reader([text for _, text in pairs])
        return [(mark, read(text)) for mark, text in pairs]

    def has_numbers(self, column: str) -> bool:
        """Whether most of its cells are numbers, those that are empty left out."""
        n_cells = sum(not is_missing(cell) for cell in self.column(column))
        return 2 * sum(math.isfinite(value) for _, value in self.limits(column)) > n_cells

    def column(self, name: str) -> tuple[str, ...]:
        """The texts of a column."""
        place = self.header.index(name)
        return tuple(row[place] for row in self.rows)


def _decoded(raw: bytes) -> str:
    """A file's text: what its byte-order mark says, UTF-8, or else Windows-1252, as spreadsheets write it."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", errors="replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def read_sheet(path: Path, sheet: str | None = None) -> Sheet:
    """The table in a file: CSV in any of its forms, or a sheet of an Excel workbook.

    Parameters
    ----------
    sheet : str, optional
        Of a workbook; None for its only one.

    Returns
    -------
    Sheet
        As texts, blanks at both ends of a cell left out.

    Raises
    ------
    InvalidValue
        When it cannot be read, has no rows, or two columns of one name.
    """
    where = path.name
    if sheet is not None and path.suffix.lower() != SUFFIX:
        raise InvalidValue("--sheet", sheet, f"a workbook ({SUFFIX}) that has sheets, not {where}", where="new-study")
    try:
        text = _decoded(table_bytes(path, sheet=sheet))
    except OSError as problem:
        reason = problem.strerror or str(problem)
        if isinstance(problem, FileNotFoundError):
            raise MissingFile(path, where="new-study") from None
        raise UnusableInput(f"{path} cannot be read ({reason})", where="new-study") from None
    if "\x00" in text or text.startswith("PK\x03\x04"):
        raise UnusableInput("the file is no text: give a CSV file or an Excel workbook (.xlsx)", where=where)
    try:
        delimiter = _delimiter(text)
        reader = csv.reader(_lines(text), delimiter=delimiter, skipinitialspace=True)
        records: list[tuple[int, list[str]]] = []
        n_cells = 0
        for record in reader:
            records.append((reader.line_num, [cell.strip() for cell in record]))
            n_cells += len(record)
            if n_cells > _MOST_CELLS:
                raise InvalidValue(
                    "the table", where, f"at most {_MOST_CELLS:,} cells: leave some out", where="new-study"
                )
    except csv.Error as problem:
        raise UnusableInput(f"no table of cells can be read ({problem})", where=where) from None
    records = [(n, cells) for n, cells in records if any(cells) and not cells[0].startswith("#")]
    # lines above the header, such as a title, fill fewer cells than the table has
    width = Counter(len(cells) for _, cells in records).most_common(1)[0][0] if records else 0
    full = (i for i, (_, cells) in enumerate(records) if sum(map(bool, cells)) >= width - 1 and any(cells[1:]))
    first = next(full, 0)
    if not records or len(records) - first < 2:
        holds = "has one line and no rows below it" if records else "is empty"
        names = "a table has a line of column names, such as time,cases, and rows below"
        raise UnusableInput(f"the file {holds}: {names}", where=where)
    header = [name or f"column {i}" for i, name in enumerate(records[first][1], start=1)]
    if all(_is_number(cell) for cell in records[first][1] if cell):
        expected = "column names, such as time,cases"
        raise InvalidValue("the first line", delimiter.join(records[first][1]), expected, where=where)
    for name in header:
        if header.count(name) > 1:
            raise UnusableInput(f"two columns are called {name!r}", where=where)
    rows = [(n, [*cells, *[""] * (len(header) - len(cells))][: len(header)]) for n, cells in records[first + 1 :]]
    lines = tuple(n for n, _ in rows)
    title = "\n".join(" ".join(cells) for _, cells in records[:first])
    table = Sheet(where, tuple(header), tuple(tuple(c) for _, c in rows), lines, delimiter, around=title)
    return replace(table, comma=_convention(table))


def is_dated_table(path: Path) -> bool:
    """Whether a file is a table as data are, and none of data variables over the model's own time.

    The latter has a first column of numbers that is called ``Time``, or times across.
    """
    if path.suffix.lower() not in (".csv", ".tsv", SUFFIX):
        return False
    try:
        sheet = read_sheet(path)
    except CiparkError:
        # the reader of data variables says what is wrong
        return False
    first, read = sheet.header[0], sheet.reader(sheet.column(sheet.header[0]))
    by_model_time = first.casefold().startswith("time") and not any(
        math.isnan(read(text)) for text in sheet.column(first)
    )
    return not by_model_time and not all(map(_is_number, sheet.header[1:]))


def without_footer(sheet: Sheet) -> tuple[Sheet, str]:
    """The table without the rows below its data, and a note that quotes them; an empty note where there are none.

    Such a row begins with text where the rows above have numbers or dates, and it is the only text of its row or says
    that it is a total or a source. A row like that further up stays, and is an error where its cells are read.
    """
    end = len(sheet.rows)
    while end > 2 and _is_footer(sheet, end - 1):
        end -= 1
    left_out = list(zip(sheet.rows, sheet.lines, strict=True))[end:]
    if not left_out:
        return sheet, ""
    quoted = ", ".join(f"line {line} ({_first(row)!r})" for row, line in left_out)
    note = f"{quoted} {'is' if len(left_out) == 1 else 'are'} below the data and left out"
    around = "\n".join([sheet.around, *(" ".join(row) for row, _ in left_out)])
    return replace(sheet, rows=sheet.rows[:end], lines=sheet.lines[:end], around=around), note


def _first(row: tuple[str, ...]) -> str:
    return next(cell for cell in row if cell)


def _is_footer(sheet: Sheet, place: int) -> bool:
    row = sheet.rows[place]
    text = _first(row)
    above = [cells[row.index(text)] for cells in sheet.rows[:place]]
    filled = [cell for cell in above if not is_missing(cell)]
    orderly = 2 * sum(map(_is_entry, filled)) > len(filled)
    alone = sum(map(bool, row)) == 1
    begins = bool(_BEGINS.match(text))
    return not is_missing(text) and not _is_entry(text) and ((orderly and (alone or begins)) or (alone and begins))


def _is_entry(text: str) -> bool:
    """Whether a cell is a number or a date."""
    return date_of(text, "dmy") is not None or date_of(text, "mdy") is not None or bool(re.fullmatch(r"[\d\W]+", text))


def _lines(text: str) -> Iterator[str]:
    return (line.rstrip("\r\n") for line in lines_of(text))


def _delimiter(text: str) -> str:
    """The mark that cuts most lines into the same number of cells, two or more."""
    lines = list(islice((line for line in _lines(text) if line.strip() and not line.startswith("#")), 200))
    best = (0.0, ",")
    for mark in (",", ";", "\t", "|"):
        widths = Counter(len(cells) for cells in csv.reader(lines, delimiter=mark) if cells)
        if not widths:
            continue
        width, often = max(widths.items(), key=lambda item: (item[0] > 1, item[1]))
        # a decimal comma cuts all lines too, but not the header: the mark that cuts the header wins
        header = len(next(csv.reader(lines[:1], delimiter=mark), []))
        score = often / len(lines) + (width == header) if width > 1 else 0.0
        best = max(best, (score, mark), key=lambda item: item[0])
    return best[1]


def _is_number(text: str) -> bool:
    try:
        as_number(text.replace(",", "."))
    except ValueError:
        return False
    return True


def is_missing(text: str) -> bool:
    """Whether a cell says that there is no number."""
    return text.strip().casefold() in MISSING


def limit(text: str) -> tuple[str, str]:
    """The mark of a reading that is known as below or above a number alone, and the rest of the cell.

    >>> limit("<0.1"), limit("≥ 50"), limit("7")
    (('<', '0.1'), ('≥', '50'), ('', '7'))
    """
    parts = _LIMIT.fullmatch(text)
    return (parts[1].replace("<=", "≤").replace(">=", "≥"), parts[2].strip()) if parts else ("", text)


def number_reader(texts: Sequence[str], delimiter: str, convention: bool | None = None) -> Callable[[str], float]:
    """How the numbers of a column are written: a function that reads one of them, NaN for what is none.

    ``convention`` says whether the file writes a decimal comma; 1.234 is a thousand and more there. Where it is None,
    no cell of the file decides, and the column as a whole has to: a mark before three digits is that of thousands where
    no number of a thousand or more lacks it and smaller ones do; with a semicolon between cells, a comma is else
    decimal.
    """
    cells = [_MARKS.sub("", text) for text in texts if not is_missing(text)]
    comma = _comma_is_decimal(cells, delimiter) if convention is None else convention
    thousands = "." if comma else ","
    grouped = _POINT_GROUPS if comma else _COMMA_GROUPS
    groups = bool(convention) or not comma or any("," in c for c in cells) or _all_grouped(cells, _POINT_GROUPS, ".")

    def number(text: str) -> float:
        cell = _MARKS.sub("", text)
        if is_missing(text):
            return math.nan
        if groups and grouped.fullmatch(cell):
            cell = cell.replace(thousands, "")
        if comma:
            cell = cell.replace(",", ".")
        try:
            value = as_number(cell)
        except ValueError:
            return math.nan
        return value if math.isfinite(value) else math.nan

    return number


def _decides(cell: str) -> bool | None:
    """Whether a number has a decimal comma (True) or a decimal point (False); None where it may be either, or is none.

    >>> _decides("1,58"), _decides("1.234.567"), _decides("0.5"), _decides("1.234"), _decides("3.5.2020")
    (True, True, False, None, None)
    """
    marks = set(re.findall("[.,]", cell))
    if not _NUMERAL.fullmatch(cell) or not marks:
        return None
    by_point, by_comma = bool(_POINT_GROUPS.fullmatch(cell)), bool(_COMMA_GROUPS.fullmatch(cell))
    if len(marks) == 2 or cell.count(min(marks)) > 1:
        return by_point if by_point or by_comma else None
    # one mark: before three digits it may be that of thousands
    return None if by_point or by_comma else "," in marks


def _convention(sheet: Sheet) -> bool | None:
    """Whether the columns of numbers have a decimal comma; None where no cell decides.

    Raises
    ------
    UnusableInput
        Where one cell has a decimal comma and another a decimal point.
    """
    examples: dict[bool, str] = {}
    for name in sheet.header:
        cells = [_MARKS.sub("", text) for text in sheet.column(name)]
        filled = [cell for cell in cells if not is_missing(cell)]
        if 2 * sum(bool(_NUMERAL.fullmatch(cell)) for cell in filled) <= len(filled):
            continue
        for cell, text, line in zip(cells, sheet.column(name), sheet.lines, strict=True):
            if (comma := _decides(cell)) is not None:
                examples.setdefault(comma, f"{text!r} ({name}, line {line})")
    if len(examples) == 2:
        raise UnusableInput(
            f"{examples[True]} has a decimal comma and {examples[False]} a decimal point: write all numbers of "
            "the file in one way",
            where=sheet.name,
        )
    return next(iter(examples), None)


def _comma_is_decimal(cells: Sequence[str], delimiter: str) -> bool:
    """Whether the column writes 1,5 for one and a half; for a file that does not decide."""
    decided = next((comma for cell in cells if (comma := _decides(cell)) is not None), None)
    if decided is not None:
        return decided
    if not any("," in cell for cell in cells):
        return delimiter == ";" and _all_grouped(cells, _POINT_GROUPS, ".")
    return delimiter == ";" and not _all_grouped(cells, _COMMA_GROUPS, ",")


def _all_grouped(cells: Sequence[str], groups: re.Pattern[str], mark: str) -> bool:
    """Whether all numbers from a thousand on have the mark before three digits, and there are smaller ones without."""
    marked = [cell for cell in cells if mark in cell]
    plain = [cell for cell in cells if mark not in cell and cell.lstrip("+-").isdigit()]
    return (
        bool(marked)
        and all(groups.fullmatch(cell) for cell in marked)
        and bool(plain)
        and all(len(cell.lstrip("+-")) <= 3 for cell in plain)
        and len(marked) + len(plain) == len(cells)
    )
