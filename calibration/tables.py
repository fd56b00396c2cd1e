"""An observation's table of a study file, with its CSV file, to terms of the likelihood."""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import cast

from calibration.dates import Calendar
from calibration.observations import (
    COUNTS,
    FAMILIES_OF,
    SPREAD_OF,
    Breakdown,
    Count,
    How,
    Kind,
    Noise,
    Observation,
    Quantity,
    Share,
    Term,
    Use,
)
from cipark_sd.errors import CiparkError, InvalidValue, UnknownName
from cipark_sd.section import Section

KINDS: tuple[Kind, ...] = ("increments", "flow", "level", "breakdown", "share")
USES: tuple[Use, ...] = ("fit", "check", "holdout")
#: A column of this name says from which other rows a row was computed; such a row may not enter the fit.
DERIVED = "derived_from"


@dataclass(frozen=True, slots=True)
class _Row:
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


@dataclass(frozen=True, slots=True)
class _Columns:
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


def read_observation(content: object, folder: Path, calendar: Calendar, problems: list[CiparkError]) -> Observation:
    """The observation that ``[[observation]]`` describes; problems are added to the list."""
    name = str(content.get("name", "?")) if isinstance(content, Mapping) else "?"
    section = Section(content, f"observation {name!r}", problems)
    section.text("name")
    kind = section.choice("kind", KINDS)
    table = section.text("table")
    family = section.choice("family", FAMILIES_OF[kind])
    spread = SPREAD_OF.get(family, "")
    columns = _Columns(
        time=section.text("time", "time"),
        start=section.text("start_time", "") if "start_time" in section else "",
        value=section.text("value", "value") if "value" in section or "lower" not in section else "",
        lower=section.text("lower") if "lower" in section else "",
        upper=section.text("upper") if "upper" in section else "",
        total=section.text("total") if kind == "share" else "",
        spread=section.text("sd_column") if "sd_column" in section else "",
        category=section.text("category") if kind == "breakdown" else "",
        use=section.text("use") if "use" in section else "",
    )
    noise = Noise(
        family, _spread(section, spread, columns), section.number("dof", 4.0) if family == "student-t" else 4.0
    )
    weight = section.number("weight", 1.0)
    if not weight > 0:
        section.wrong("weight", "a positive number")
    every = section.choice("use_all", USES, "fit") if "use_all" in section else None
    rows = _rows(section, folder / table, columns, calendar, every)
    terms = _Terms(section, name, noise, weight).of(kind, rows)
    section.done()
    return Observation(name, kind, table, tuple(terms))


def _spread(section: Section, key: str, columns: _Columns) -> float | str:
    """The number or the noise parameter's name under ``dispersion``, ``sd`` or ``concentration``."""
    if not key:
        return 1.0
    if columns.spread:
        return math.nan
    value = section.raw(key)
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return float(value)
    section.wrong(key, "a positive number or the name of a noise parameter")
    return 1.0


def _rows(section: Section, path: Path, columns: _Columns, calendar: Calendar, every: Use | None) -> list[_Row]:
    where_ = section.raw("where")
    chosen = where_ if isinstance(where_, Mapping) else {}
    if where_ is not None and not chosen:
        section.wrong("where", "a table of column = value")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(line for line in file if not line.startswith("#"))
            records = list(reader)
            header = list(reader.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        section.problems.append(
            InvalidValue("table", str(path.name), f"a readable CSV file ({problem})", where=section.where)
        )
        return []
    wanted = [getattr(columns, field) for field in columns.__slots__]
    missing = [column for column in [*wanted, *map(str, chosen)] if column and column not in header]
    section.problems += [
        UnknownName(column, header, kind="column", where=f"{section.where}, {path.name}") for column in missing
    ]
    if missing:
        return []
    rows = []
    for line, record in enumerate(records, start=2):
        if all(record[str(column)] == str(value) for column, value in chosen.items()):
            row = _row(section, record, columns, calendar, every, f"{section.where}, {path.name} row {line}", line)
            if row is not None:
                rows.append(row)
    if not rows and records:
        section.problems.append(
            InvalidValue("where", chosen, f"a row of {path.name} that it selects", where=section.where)
        )
    elif not records:
        section.problems.append(InvalidValue("table", path.name, "a table with rows", where=section.where))
    return rows


def _row(
    section: Section,
    record: Mapping[str, str],
    columns: _Columns,
    calendar: Calendar,
    every: Use | None,
    where: str,
    line: int,
) -> _Row | None:
    found: list[CiparkError] = []

    def number(column: str, missing: float) -> float:
        text = (record[column] or "").strip() if column else ""
        if not text:
            return missing
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if math.isnan(value):
            found.append(InvalidValue(column, text, "a number", where=where))
        return value

    def time(column: str) -> float:
        text = (record[column] or "").strip() if column else ""
        try:
            return calendar.model_time(text) if column else math.nan
        except ValueError:
            found.append(InvalidValue(column, text, "a date such as 2019-11-26, or a number", where=where))
            return math.nan

    use = every or (record[columns.use].strip() if columns.use else "fit")
    if use not in USES:
        found.append(UnknownName(use, USES, kind="use", where=where))
    if use == "fit" and (record.get(DERIVED) or "").strip():
        found.append(
            InvalidValue(
                "use",
                "fit",
                f"check or holdout, since the row was derived from {record[DERIVED]!r} and would count it twice",
                where=where,
            )
        )
    value = number(columns.value, math.nan)
    lower = number(columns.lower, value)
    upper = number(columns.upper, math.inf if columns.lower and not columns.upper and not columns.value else value)
    row = _Row(
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
    if not found and math.isnan(lower):
        found.append(InvalidValue(columns.value or columns.lower, "", "a number", where=where))
    if lower > upper:
        found.append(InvalidValue("the interval", f"{lower:g} to {upper:g}", "the lower end first", where=where))
    if columns.spread and not row.spread > 0:
        found.append(InvalidValue(columns.spread, record[columns.spread], "a positive number", where=where))
    section.problems += found
    return None if found else row


def signed_parts(names: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    """Names to outputs and signs; a name that starts with ``-`` is subtracted.

    >>> signed_parts(("Total Entrants", "-Spark Intake"))
    (('Total Entrants', 1.0), ('Spark Intake', -1.0))
    """
    return tuple((name[1:].strip(), -1.0) if name.startswith("-") else (name.strip(), 1.0) for name in names)


@dataclass(frozen=True)
class _Terms:
    """Rows to terms; one method a kind."""

    section: Section
    name: str
    noise: Noise
    weight: float

    def of(self, kind: Kind, rows: list[_Row]) -> list[Term]:
        match kind:
            case "increments" | "flow":
                return self._windows(kind, rows)
            case "level":
                parts = self._parts("variable")
                return [
                    self._count(row, Quantity(parts, "at", row.time, row.time), row.lower, row.upper) for row in rows
                ]
            case "breakdown":
                return self._breakdowns(rows)
            case "share":
                return self._shares(rows)

    def _parts(self, key: str) -> tuple[tuple[str, float], ...]:
        names = self.section.names(key)
        if not names and key not in self.section:
            self.section.wrong(key, "a variable of the model, or a list of them to add up")
        return signed_parts(names)

    def _count(self, row: _Row, quantity: Quantity, lower: float, upper: float, gains: Quantity | None = None) -> Count:
        noise = self.noise if math.isnan(row.spread) else Noise(self.noise.family, row.spread, self.noise.dof)
        family = noise.family
        if family in COUNTS and any(math.isfinite(end) and end != round(end) for end in (lower, upper)):
            expected = f"whole numbers for the family {family}"
            self.section.problems.append(
                InvalidValue(f"row {row.line}", f"{lower:g} to {upper:g}", expected, where=self.section.where)
            )
        if family in ("lognormal", "student-t") and lower != upper:
            expected = "an exact value; intervals are for counts and for the normal family"
            self.section.problems.append(
                InvalidValue(f"row {row.line}", f"{lower:g} to {upper:g}", expected, where=self.section.where)
            )
        label = f"{self.name} {row.date}"
        return Count(label, quantity, lower, upper, noise, gains, self.weight, row.use)

    def _windows(self, kind: Kind, rows: list[_Row]) -> list[Term]:
        parts = self._parts("variable")
        gains = self._parts("gains") if "gains" in self.section else None
        if gains and (kind == "flow" or self.noise.family not in COUNTS):
            self.section.wrong("gains", "none, except for increments of counts")
        how: How = "between" if kind == "increments" else "integral"

        def term(row: _Row, start: float, lower: float, upper: float) -> Count:
            gained = Quantity(gains, "between", start, row.time) if gains else None
            return self._count(row, Quantity(parts, how, start, row.time), lower, upper, gained)

        if "start_time" in self.section:
            if "start" in self.section:
                self.section.wrong("start", "nothing, since start_time names the column of the windows' starts")
            return [term(row, row.start, row.lower, row.upper) for row in rows]
        first = self.section.number("start", math.nan) if "start" in self.section else None
        rows = sorted(rows, key=lambda row: row.time)
        if kind == "flow":
            starts = [first if first is not None else math.nan, *(row.time for row in rows[:-1])]
            if first is None and rows:
                self.section.wrong("start", "the time at which the first row's window starts")
            return [term(row, start, row.lower, row.upper) for row, start in zip(rows, starts, strict=True)]
        used = [row for row in rows if row.use != "check"]
        if first is not None:
            used.insert(0, _Row(0, "start", first, first, 0.0, 0.0, 0.0, math.nan, math.nan, "", "fit"))
        terms: list[Term] = [
            term(row, before.time, row.lower - before.upper, row.upper - before.lower) for before, row in pairwise(used)
        ]
        if not terms and rows:
            self.section.wrong("table", "two dated counts at least, or a start")
        # a count that is only looked at is compared with the level that the model has
        checks = [row for row in rows if row.use == "check"]
        return terms + [
            self._count(row, Quantity(parts, "at", row.time, row.time), row.lower, row.upper) for row in checks
        ]

    def _breakdowns(self, rows: list[_Row]) -> list[Term]:
        mapping = Section(
            self.section.raw("categories") or {}, f"{self.section.where}, categories", self.section.problems
        )
        parts = {category: signed_parts(mapping.names(category)) for category in mapping.content}
        if len(parts) < 2:
            self.section.wrong("categories", "two categories at least, each with the model variables that make it")
            return []
        how: How = "between" if "start_time" in self.section else "at"
        terms: list[Term] = []
        groups: dict[tuple[float, float], dict[str, _Row]] = {}
        for row in rows:
            group = groups.setdefault((row.time, row.start if how == "between" else row.time), {})
            if row.category not in parts:
                self.section.problems.append(
                    UnknownName(row.category, parts, kind="category", where=f"{self.section.where} row {row.line}")
                )
            if row.category in group:
                self.section.problems.append(
                    InvalidValue(f"row {row.line}", row.category, "each category once a date", where=self.section.where)
                )
            group[row.category] = row
        for (time, start), group in groups.items():
            lacking = [category for category in parts if category not in group]
            if lacking or not group.keys() <= parts.keys():
                if lacking:
                    expected = "all categories at each date; lacking " + ", ".join(map(repr, lacking))
                    self.section.problems.append(InvalidValue("time", time, expected, where=self.section.where))
                continue
            first = next(iter(group.values()))
            quantities = tuple(Quantity(parts[category], how, start, time) for category in parts)
            counts = tuple(group[category].value for category in parts)
            label = f"{self.name} {first.date}"
            terms.append(Breakdown(label, tuple(parts), quantities, counts, self.noise, self.weight, first.use))
        return terms

    def _shares(self, rows: list[_Row]) -> list[Term]:
        numerator, denominator = self._parts("numerator"), self._parts("denominator")
        how: How = "between" if "start_time" in self.section else "at"
        terms: list[Term] = []
        for row in rows:
            start = row.start if how == "between" else row.time
            pair = (Quantity(numerator, how, start, row.time), Quantity(denominator, how, start, row.time))
            upper = min(row.upper, row.total)
            if not 0 <= row.lower <= upper:
                self.section.problems.append(
                    InvalidValue(f"row {row.line}", row.lower, "between 0 and the total", where=self.section.where)
                )
            label = f"{self.name} {row.date}"
            terms.append(Share(label, pair, row.lower, upper, row.total, self.noise, self.weight, row.use))
        return terms
