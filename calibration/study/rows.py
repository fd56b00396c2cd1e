"""The rows of an observation's CSV file, as numbers and dates."""

import csv
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from calibration.study.calendar import Calendar
from calibration.study.observations import Use
from cipark_sd.errors import CiparkError, InvalidValue, UnknownName, UnusableInput
from cipark_sd.section import Section
from cipark_sd.spreadsheets import table_bytes

USES: tuple[Use, ...] = ("fit", "check", "holdout")
#: A column of this name says from which other rows a row was computed; such a row may not enter the fit.
DERIVED = "derived_from"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table, as numbers."""

    line: int
    date: str
    time: float
    start: float
    value: float
    lower: float
    upper: float
    total: float
    spread: float
    category: str
    use: Use

    def less(self, before: "Row") -> "Row":
        """What came since the row before, by the ends of both intervals."""
        return replace(self, lower=self.lower - before.upper, upper=self.upper - before.lower)


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column of the table holds what; empty where there is none."""

    time: str
    start: str
    value: str
    lower: str
    upper: str
    total: str
    spread: str
    category: str
    use: str


def read_rows(
    section: Section,
    path: Path | None,
    columns: Columns,
    calendar: Calendar,
    every: Use | None,
    looked_at: Sequence[str] = (),
    *,
    as_number: Callable[[str], float] = float,
) -> list[Row]:
    """The rows that the study takes of a table; those at the dates ``looked_at``, as the table spells them, are checks.

    ``every`` is the use of all others, without it that of the column. ``as_number`` reads what was seen.
    """
    where_ = section.raw("where")
    chosen = where_ if isinstance(where_, Mapping) else {}
    if where_ is not None and not chosen:
        section.wrong("where", "a table of column = value")
    if path is None:
        return []
    try:
        text = table_bytes(path).decode("utf-8-sig")
        lines = enumerate(io.StringIO(text, newline=""), start=1)
        data_lines = [(n, line) for n, line in lines if not line.startswith("#")]
        reader = csv.DictReader(line for _, line in data_lines)
        # a row is told by the line of the file on which it ends, whatever comments stand above it
        records = [(data_lines[reader.line_num - 1][0], record) for record in reader]
        header = list(reader.fieldnames or ())
    except CiparkError as problem:
        section.problems.append(problem)
        return []
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        reason = getattr(problem, "strerror", None) or problem
        section.problems.append(
            UnusableInput(f"the table {path.name!r} cannot be read ({reason})", where=section.at("table"))
        )
        return []
    required = [getattr(columns, field) for field in columns.__slots__]
    missing = [column for column in [*required, *map(str, chosen)] if column and column not in header]
    section.problems += [
        UnknownName(column, header, kind="column", where=f"{section.where}, {path.name}") for column in missing
    ]
    if missing:
        return []
    section.problems += _clashes(section.where, path.name, columns, calendar, records)
    rows = []
    dates: set[str] = set()
    for line, record in records:
        if all(record[str(column)] == str(value) for column, value in chosen.items()):
            dates.add(date := (record[columns.time] or "").strip())
            use = "check" if date in looked_at else every
            row = _row(
                section, record, columns, calendar, use, f"{section.where}, {path.name} row {line}", line, as_number
            )
            if row is not None:
                rows.append(row)
    if not rows and records:
        section.problems.append(
            InvalidValue("where", chosen, f"a row of {path.name} that it selects", where=section.where)
        )
    elif not records:
        section.problems.append(InvalidValue("table", path.name, "a table with rows", where=section.where))
    section.problems += [
        UnknownName(date, sorted(dates), kind="date", where=f"{section.at('check_at')}, {path.name}")
        for date in looked_at
        if date not in dates
    ]
    return rows


def _clashes(
    where: str, table: str, columns: Columns, calendar: Calendar, records: Sequence[tuple[int, Mapping[str, str]]]
) -> Iterator[InvalidValue]:
    """The first entry of each column of times whose unit is not the model's."""
    for column in filter(None, (columns.time, columns.start)):
        for line, record in records:
            text = (record[column] or "").strip()
            expected = calendar.clash(column, text)
            if expected is not None:
                yield InvalidValue(column, text, expected, where=f"{where}, {table} row {line}")
                break


def _row(
    section: Section,
    record: Mapping[str, str],
    columns: Columns,
    calendar: Calendar,
    every: Use | None,
    where: str,
    line: int,
    as_number: Callable[[str], float],
) -> Row | None:
    errors: list[CiparkError] = []

    def number(column: str, missing: float, read: Callable[[str], float] = float) -> float:
        text = (record[column] or "").strip() if column else ""
        if not text:
            return missing
        try:
            value = read(text)
        except ValueError:
            value = math.nan
        if math.isnan(value):
            errors.append(InvalidValue(column, text, "a number", where=where))
        return value

    def time(column: str) -> float:
        text = (record[column] or "").strip() if column else ""
        try:
            return calendar.model_time(text) if column else math.nan
        except ValueError:
            errors.append(InvalidValue(column, text, "a date such as 2019-11-26, or a number", where=where))
            return math.nan

    use = every or (record[columns.use].strip() if columns.use else "fit")
    if use not in USES:
        errors.append(UnknownName(use, USES, kind="use", where=where))
    if use == "fit" and (record.get(DERIVED) or "").strip():
        errors.append(
            InvalidValue(
                "use",
                "fit",
                f"check or holdout, since the row was derived from {record[DERIVED]!r} and would count it twice",
                where=where,
            )
        )
    value = number(columns.value, math.nan, as_number)
    lower = number(columns.lower, value, as_number)
    open_end = math.inf if columns.lower and not columns.upper and not columns.value else value
    upper = number(columns.upper, open_end, as_number)
    row = Row(
        line,
        (record[columns.time] or "").strip(),
        time(columns.time),
        time(columns.start),
        value,
        lower,
        upper,
        number(columns.total, math.nan),
        number(columns.spread, math.nan),
        (record[columns.category] or "").strip() if columns.category else "",
        cast(Use, use),
    )
    if not errors and math.isnan(lower):
        errors.append(InvalidValue(columns.value or columns.lower, "", "a number", where=where))
    if not errors and math.isnan(upper):
        errors.append(InvalidValue(columns.upper, "", "a number, or inf: at least", where=where))
    if lower > upper:
        errors.append(InvalidValue("the interval", f"{lower:g} to {upper:g}", "the lower end first", where=where))
    if columns.spread and not row.spread > 0:
        errors.append(InvalidValue(columns.spread, record[columns.spread], "a positive number", where=where))
    section.problems += errors
    return None if errors else row
