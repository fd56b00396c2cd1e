"""What a column of data is: a level at a date, what happened in a window, or a count that only grows."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from calibration.new_study.columns import Axis, Clock
from calibration.new_study.matching import Match
from calibration.new_study.table import Sheet, is_missing, number_reader
from calibration.study.observations import Family
from calibration.study.priors import Array
from cipark_sd.errors import InvalidValue
from cipark_sd.model.variables import Stock

#: Whole numbers of a stock beyond this are measurements rather than counts.
MOST_COUNTED = 100_000
#: Units of what is measured and not counted, however whole its numbers are.
MEASURES = frozenset({"mg", "g", "gram", "grams", "kg", "t", "ton", "tons", "tonne", "tonnes", "mol", "l", "ml"})
MEASURES |= {"litre", "liter", "m2", "m3", "mm", "cm", "m", "km", "ha", "%", "percent", "degc", "kelvin", "pa"}
MEASURES |= {"kwh", "mwh", "mw", "gw", "kw", "joule", "usd", "eur", "gbp", "cny", "dollar", "dollars", "$", "€", "£"}
MEASURES |= {"thousand", "thousands", "million", "millions", "billion", "billions"}
#: Variance over mean below which whole numbers are no counts.
TOO_SMOOTH = 0.25
#: Ratio of the largest to the smallest value from which noise is taken to grow with the level.
_SPAN = 3.0
Shape = Literal["level", "flow", "increments"]


@dataclass(frozen=True)
class Reading:
    """A column with its numbers, NaN where there is none, in the order of the axis."""

    match: Match
    values: Array

    @property
    def seen(self) -> Array:
        """The numbers that there are."""
        return self.values[np.isfinite(self.values)]

    @property
    def counted(self) -> bool:
        """Whether all are whole numbers, none below 0, and nothing says that they were measured in some unit."""
        whole = bool(np.all(self.seen >= 0) and np.all(self.seen == np.round(self.seen)))
        bracketed = " ".join(re.findall(r"[(\[]([^)\]]*)[)\]]", self.match.column))
        units = re.split(r"[\s/*^_.\d()]+", f"{bracketed} {self.match.variable.units}".casefold())
        return whole and not MEASURES & set(units)


@dataclass(frozen=True)
class Row:
    """One number with its window in the words of the table and in model time."""

    date: str
    start: str
    time: float
    start_time: float
    given: str
    value: float


@dataclass(frozen=True)
class Series:
    """An observation to be written."""

    match: Match
    kind: Shape
    family: Family
    rows: tuple[Row, ...]
    dropped: tuple[str, ...]

    @property
    def values(self) -> Array:
        """Its numbers."""
        return np.array([row.value for row in self.rows])

    @property
    def windowed(self) -> bool:
        """Whether its table has a column of starts."""
        return self.kind == "flow"


def reading(sheet: Sheet, axis: Axis, match: Match) -> Reading:
    """The numbers of a column.

    Raises
    ------
    InvalidValue
        For a cell that is neither a number nor empty, and for a column without numbers.
    """
    texts = sheet.column(match.column)
    read = number_reader(texts, sheet.delimiter)
    values = np.array([read(texts[i]) for i in axis.rows])
    for i, value in zip(axis.rows, values, strict=True):
        if math.isnan(value) and not is_missing(texts[i]):
            expected = "a number, or nothing where it is missing"
            raise InvalidValue(match.column, texts[i], expected, where=f"{sheet.name} line {sheet.lines[i]}")
    if np.isfinite(values).sum() < 2:
        raise InvalidValue(match.column, "no numbers" if np.isnan(values).all() else "one number", "two at least",
                           where=sheet.name)  # fmt: skip
    return Reading(match, values)


def shape(data: Reading, moving: frozenset[str], growing: frozenset[str]) -> Shape:
    """A flow is read over windows; counts of a stock that only grows as increments; everything else as a level."""
    variable = data.match.variable
    if variable.name in moving:
        return "flow"
    rises = bool(np.all(np.diff(data.seen) >= 0))
    if isinstance(variable, Stock) and variable.name in growing and rises and data.counted:
        return "increments"
    return "level"


def family(data: Reading, kind: Shape) -> Family:
    """Counts are over-dispersed (NB1), measurements that span a range are lognormal, others normal."""
    seen = data.seen
    if data.counted and (kind != "level" or (seen.max() <= MOST_COUNTED and not _too_smooth(seen))):
        return "nb1"
    return "lognormal" if seen.min() > 0 and seen.max() > _SPAN * seen.min() else "normal"


def _too_smooth(seen: Array) -> bool:
    """Whether whole numbers lie closer to a curve than independent counts can: rounded measurements, such as a staff.

    The second difference of independent noise has six times its variance.
    """
    bends = np.diff(seen, 2)
    return bool(len(bends) >= 4 and np.mean(bends**2) / 6 < TOO_SMOOTH * np.mean(seen))


def series(data: Reading, kind: Shape, axis: Axis, clock: Clock, initial: float) -> Series:
    """The rows that lie within the run, with windows where they are of a flow.

    Raises
    ------
    InvalidValue
        When fewer than two are left.
    """
    rows = [row for row in _rows(data, axis, clock) if np.isfinite(row.value)]
    if kind == "flow" and not axis.dates and clock.shift == 0 and rows and rows[0].time == initial:
        # the first window would lie before the run: the column names the starts
        rows = [_later(row, axis.gap) for row in rows]
    earliest = [row.start_time if kind == "flow" else row.time for row in rows]
    kept = [row for row, time in zip(rows, earliest, strict=True) if time >= initial - 1e-9]
    dropped = tuple(row.date for row, time in zip(rows, earliest, strict=True) if time < initial - 1e-9)
    if len(kept) < 2:
        shown = f"{len(kept)} rows from the model's initial time {initial:g} on"
        expected = "two at least; does the model start late enough before the data?"
        raise InvalidValue(data.match.column, shown, expected, where="new-study")
    return Series(data.match, kind, family(data, kind), tuple(kept), dropped)


def _rows(data: Reading, axis: Axis, clock: Clock) -> Sequence[Row]:
    rows: list[Row] = []
    if axis.dates:
        calendar = clock.calendar
        if calendar is None:
            raise ValueError("dates need a calendar")
        for i, (date, value) in enumerate(zip(axis.dates, data.values, strict=True)):
            start = axis.before(date)
            start = max(start, axis.dates[i - 1]) if i else start
            text = date.isoformat()
            times = calendar.time_of(date), calendar.time_of(start)
            rows.append(Row(text, start.isoformat(), *times, text, float(value)))
        return rows
    for i, (number, value) in enumerate(zip(axis.numbers, data.values, strict=True)):
        before = number - axis.gap
        # rounding of a decimal column must not open a crack between two windows
        before = axis.numbers[i - 1] if i and axis.numbers[i - 1] > before - 1e-6 * axis.gap else before
        time, start_time = number + clock.shift, before + clock.shift
        rows.append(Row(plain(time), plain(start_time), time, start_time, plain(number), float(value)))
    return rows


def _later(row: Row, gap: float) -> Row:
    time, start = row.time + gap, row.start_time + gap
    return Row(plain(time), plain(start), time, start, row.given, row.value)


def plain(number: float) -> str:
    """A number as a file has it, whole ones without a point.

    >>> plain(3.0), plain(0.1)
    ('3', '0.1')
    """
    return str(int(number)) if number == int(number) and abs(number) < 1e15 else repr(round(number, 10))
