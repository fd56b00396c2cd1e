"""The rows of a CSV file, as numbers and dates: those of an observation, and those that drive variables of the model.

A driver takes the place of an equation, so that a sector is fitted alone, given what enters it::

    [[driver]]
    variable = "registering[SOE]"
    table = "data/residents.csv"
    kind = "increments"          # running totals of what the variable brings in
    time = "date"
    value = "residents"
    start = 2010.0
    factor = 0.13                # of them

The equation of the variable is not used, and with it all feedback that ends in it. A run of increments is conserved:
each step of the run has what came in it, straight between two counts. A ``level`` is read straight between two dates.

Source of drivers: Homer 2012, System Dynamics Review 28(3), 281-294 (partial-model testing).
"""

import csv
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import cast

from calibration.study import shipped_studies
from calibration.study.calendar import Calendar
from calibration.study.groups import Group
from calibration.study.observations import Use
from cipark_sd.base.errors import CiparkError, InvalidValue, UnknownName, UnusableInput, collected
from cipark_sd.base.inputs import beneath, lines_of
from cipark_sd.base.section import Section
from cipark_sd.base.spreadsheets import table_bytes

USES: tuple[Use, ...] = ("fit", "check", "holdout")
#: A column of this name says from which other rows a row was computed; such a row may not enter the fit.
DERIVED = "derived_from"
#: Of one observation: five centuries of days, and about half a gigabyte of terms.
MOST_ROWS = 200_000


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table, as numbers; NaN where there is no column.

    ``title`` is what people call it, such as the year in which it ends; its date where the table does not say.
    """

    line: int
    date: str
    time: float
    start: float
    value: float
    lower: float
    upper: float
    use: Use
    total: float = math.nan
    spread: float = math.nan
    category: str = ""
    group: str = ""
    title: str = ""

    def less(self, before: "Row") -> "Row":
        """What came since the row before, by the ends of both intervals."""
        return replace(self, lower=self.lower - before.upper, upper=self.upper - before.lower)


#: Keys of an observation whose texts are of its table, whatever variables are called.
COLUMN_KEYS = frozenset({
    "table", "time", "start_time", "value", "lower", "upper", "total", "sd_column", "category", "use", "where",
    "row_title",
})  # fmt: skip
#: Which column of a table holds what, by the field of :class:`Row`; a column without a name is none.
Columns = Mapping[str, str]


def read_rows(
    section: Section,
    tables: "Tables",
    columns: Columns,
    every: Use | None = None,
    looked_at: Sequence[str] = (),
    *,
    as_number: Callable[[str], float] = float,
) -> list[Row]:
    """The rows that the study takes of a table.

    Parameters
    ----------
    section : Section
        That names the table and, under ``where``, which of its rows it takes; it notes what is wrong.
    columns : mapping of str to str
        The column of each field of :class:`Row`; empty for a field without one.
    every : {"fit", "check", "holdout"}, optional
        The use of all rows but those looked at; None for what the column says.
    looked_at : sequence of str
        Dates, as the table spells them, whose rows are checks.
    as_number : function of str
        Reads what was seen.

    Returns
    -------
    list of Row
        None of them where the table cannot be read.
    """
    path, where_ = tables.path(section), section.raw("where")
    chosen = where_ if isinstance(where_, Mapping) else {}
    if where_ is not None and not chosen:
        section.wrong("where", "a table of column = value")
    if path is None:
        return []
    named = {field: column for field, column in columns.items() if column}
    rows, dates = list[Row](), set[str]()
    try:
        records = Records(path)
        missing = [column for column in [*named.values(), *map(str, chosen)] if column not in records.header]
        section.problems += [
            UnknownName(column, records.header, kind="column", where=f"{section.where}, {path.name}")
            for column in missing
        ]
        if missing:
            return []
        for line, place, record in _records(section, path, records, named, chosen, tables.calendar):
            dates.add(date := (record[named["time"]] or "").strip())
            use = "check" if date in looked_at else every
            row, errors = _row(record, named, tables.calendar, as_number, use, place, line)
            section.problems += errors
            if not errors:
                rows.append(row)
        section.problems += [
            UnknownName(date, sorted(dates), kind="date", where=f"{section.at('check_at')}, {path.name}")
            for date in looked_at
            if date not in dates
        ]
        return rows
    except CiparkError as problem:
        section.problems.append(problem)
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        reason = getattr(problem, "strerror", None) or problem
        section.problems.append(
            UnusableInput(f"the table {path.name!r} cannot be read ({reason})", where=section.at("table"))
        )
    return []


class Records:
    """The records of a table, read one after the other, each with the line of the file on which it ends.

    Lines that begin with ``#`` are comments.
    """

    def __init__(self, path: Path) -> None:
        self._line = 0
        self._reader = csv.DictReader(self._lines(path))
        self.header = list(self._reader.fieldnames or ())

    def _lines(self, path: Path) -> Iterator[str]:
        for line in lines_of(table_bytes(path).decode("utf-8-sig")):
            self._line += 1
            if not line.startswith("#"):
                yield line

    def __iter__(self) -> Iterator[tuple[int, dict[str, str]]]:
        for record in self._reader:
            yield self._line, record


def _records(
    section: Section,
    path: Path,
    records: Records,
    columns: Columns,
    chosen: Mapping[object, object],
    calendar: Calendar,
) -> Iterator[tuple[int, str, dict[str, str]]]:
    """The records that ``chosen`` leaves in, one after the other, each with its line of the file and where that is.

    Those that it leaves out take no memory.
    """
    n_read = n_chosen = 0
    clashes = [column for field in ("time", "start") if (column := columns.get(field))]
    for file_line, record in records:
        n_read += 1
        if not all(record[str(column)] == str(value) for column, value in chosen.items()):
            continue
        n_chosen += 1
        if n_chosen > MOST_ROWS:
            most = f"{MOST_ROWS:,} rows at most; choose some with where, or add them up over longer windows"
            raise InvalidValue("table", path.name, most, where=section.where)
        place = f"{section.where}, {path.name} row {file_line}"
        for column in tuple(clashes):
            # the first entry alone whose unit is not the model's
            if (expected := calendar.clash(column, text := (record[column] or "").strip())) is not None:
                clashes.remove(column)
                section.problems.append(InvalidValue(column, text, expected, where=place))
        yield file_line, place, record
    if not n_read:
        section.problems.append(InvalidValue("table", path.name, "a table with rows", where=section.where))
    elif not n_chosen:
        section.problems.append(
            InvalidValue("where", chosen, f"a row of {path.name} that it selects", where=section.where)
        )


def _row(
    record: Mapping[str, str], columns: Columns, calendar: Calendar, as_number: Callable[[str], float],
    every: Use | None, where: str, line: int,
) -> tuple[Row, list[CiparkError]]:  # fmt: skip
    """A row, and what is wrong with it."""
    errors = list[CiparkError]()
    cells = {field: (record[column] or "").strip() for field, column in columns.items()}

    def number(field: str, missing: float, read: Callable[[str], float] = float) -> float:
        text = cells.get(field)
        if not text:
            return missing
        try:
            value = read(text)
        except ValueError:
            value = math.nan
        if math.isnan(value):
            errors.append(InvalidValue(columns[field], text, "a number", where=where))
        return value

    def time(field: str) -> float:
        try:
            return calendar.model_time(cells[field]) if field in cells else math.nan
        except ValueError:
            expected = "a date such as 2019-11-26, or a number"
            errors.append(InvalidValue(columns[field], cells[field], expected, where=where))
            return math.nan

    use = every or cells.get("use", "fit")
    if use not in USES:
        errors.append(UnknownName(use, USES, kind="use", where=where))
    if use == "fit" and (record.get(DERIVED) or "").strip():
        expected = f"check or holdout, since the row was derived from {record[DERIVED]!r} and would count it twice"
        errors.append(InvalidValue("use", "fit", expected, where=where))
    value = number("value", math.nan, as_number)
    lower = number("lower", value, as_number)
    open_end = math.inf if "lower" in columns and not {"upper", "value"} & columns.keys() else value
    upper = number("upper", open_end, as_number)
    row = Row(
        line=line,
        date=cells["time"],
        time=time("time"),
        start=time("start"),
        value=value,
        lower=lower,
        upper=upper,
        use=cast(Use, use),
        total=number("total", math.nan),
        spread=number("spread", math.nan),
        category=cells.get("category", ""),
        group=cells.get("group", ""),
        title=cells.get("title") or cells["time"],
    )
    if not errors and math.isnan(lower):
        errors.append(InvalidValue(columns.get("value") or columns["lower"], "", "a number", where=where))
    if not errors and math.isnan(upper):
        errors.append(InvalidValue(columns["upper"], "", "a number, or inf: at least", where=where))
    if lower > upper:
        errors.append(InvalidValue("the interval", f"{lower:g} to {upper:g}", "the lower end first", where=where))
    if "spread" in columns and not row.spread > 0:
        errors.append(InvalidValue(columns["spread"], record[columns["spread"]], "a positive number", where=where))
    return row, errors


def table_folder(section: Section, folder: Path) -> Path | None:
    """The folder of an observation's table: that of the study of the package which it names, else its own.

    Parameters
    ----------
    section : Section
        Which notes a study that there is not.
    folder : path
        Of the study.

    Returns
    -------
    path or None
        None where there is no such study.
    """
    if "study" not in section:
        return folder
    name, shipped = section.text("study"), shipped_studies()
    if name not in shipped:
        section.problems.append(
            UnknownName(name, list(shipped), kind="study of the package", where=section.at("study"))
        )
    return shipped.get(name)


@dataclass(frozen=True, slots=True)
class Tables:
    """What the tables of a study share.

    Parameters
    ----------
    folder : path
        Of the study.
    events : by name
        Model times, ascending.
    allow_files : sequence of path
        Folders and files beside those of the study where a table may lie.
    """

    folder: Path
    calendar: Calendar
    events: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    groups: Sequence[Group] = ()
    allow_files: Sequence[Path] = ()

    def path(self, section: Section) -> Path | None:
        """Where the table that a section names lies; None, with the problem noted, where it may not be read."""
        folder, table = table_folder(section, self.folder), section.text("table")
        if folder is None:
            return None
        return collected(section.problems, partial(beneath, folder, table, self.allow_files, where=section.where))
