"""The column of times of a table, and the model time that each of its entries stands for."""

import datetime
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from calibration.new_study.dates import DateOrder, date_of, date_orders
from calibration.new_study.matching import words
from calibration.new_study.table import Sheet, is_missing, number_reader
from calibration.study.calendar import Calendar, Unit
from cipark_sd.errors import InvalidValue, UnknownName
from cipark_sd.model.model import Model

_UNIT_WORDS: dict[str, Unit] = {
    **dict.fromkeys(("day", "d"), "day"),
    **dict.fromkeys(("week", "wk", "w"), "week"),
    **dict.fromkeys(("month", "mo", "mon", "mth"), "month"),
    **dict.fromkeys(("quarter", "qtr", "q"), "quarter"),
    **dict.fromkeys(("year", "yr", "a", "y"), "year"),
}
_TIME_WORDS = frozenset(
    {*(word for word in _UNIT_WORDS if len(word) > 1), "time", "date", "period", "t", "when", "timestamp", "datetime"}
)
_MONTHS_OF: dict[int, range] = {1: range(28, 32), 3: range(89, 93), 6: range(181, 185), 12: range(365, 367)}


@dataclass(frozen=True)
class Axis:
    """The times of a table, in the order of time.

    Parameters
    ----------
    column : str
    rows : tuple of int
        Places of the rows in the sheet.
    dates : tuple of date
        Empty where times are numbers.
    numbers : tuple of float
        Empty where times are dates.
    """

    column: str
    rows: tuple[int, ...]
    dates: tuple[datetime.date, ...] = ()
    numbers: tuple[float, ...] = ()

    @property
    def gap(self) -> float:
        """The usual distance of two entries: in days for dates, else in the column's own unit."""
        steps = [b - a for a, b in pairwise(self._plain)]
        return Counter(round(step, 9) for step in steps).most_common(1)[0][0] if steps else 1.0

    @property
    def _plain(self) -> tuple[float, ...]:
        return tuple(float(date.toordinal()) for date in self.dates) or self.numbers

    @property
    def months(self) -> int:
        """How many months the usual distance of two dates is; 0 where it is one of days."""
        return next((n for n, days in _MONTHS_OF.items() if self.dates and round(self.gap) in days), 0)

    def before(self, date: datetime.date) -> datetime.date:
        """A date one usual distance earlier; the last day of a month goes to the last day of another."""
        if not self.months:
            return date - datetime.timedelta(days=round(self.gap))
        return months_earlier(date, self.months)


def months_earlier(date: datetime.date, n: int) -> datetime.date:
    """The same day ``n`` months before, the last of a month where the date is one.

    >>> months_earlier(datetime.date(2020, 2, 29), 1)
    datetime.date(2020, 1, 31)
    """
    whole = 12 * date.year + date.month - 1 - n
    year, month = whole // 12, whole % 12 + 1
    last = (datetime.date(year + month // 12, month % 12 + 1, 1) - datetime.timedelta(days=1)).day
    at_end = (date + datetime.timedelta(days=1)).month != date.month
    return datetime.date(year, month, last if at_end else min(date.day, last))


def read_axis(sheet: Sheet, column: str | None, order: DateOrder | None) -> Axis:
    """The column of times: the one that is named, else the first that looks like it.

    Raises
    ------
    UnknownName, InvalidValue
    """
    if column is not None and column not in sheet.header:
        raise UnknownName(column, sheet.header, kind="column", where=sheet.name)
    column = column or _guess(sheet)
    texts = sheet.column(column)
    rows = [i for i, text in enumerate(texts) if not is_missing(text)]
    given = [texts[i] for i in rows]
    orders = (order,) if order else date_orders(given)
    if len(orders) > 1:
        expected = f"--dates dmy or --dates mdy: {given[0]!r} may be either"
        raise InvalidValue("the order of day and month", "open", expected, where=f"{sheet.name}, {column}")
    if orders and (order or not _are_numbers(given, sheet)):
        return _dated(sheet, column, rows, given, orders[0])
    read = number_reader(given, sheet.delimiter)
    numbers = [read(text) for text in given]
    for i, text, number in zip(rows, given, numbers, strict=True):
        if math.isnan(number):
            expected = "a number, or a date such as 2020-03-01"
            raise InvalidValue(column, text, expected, where=f"{sheet.name} line {sheet.lines[i]}")
    ordered = sorted(zip(numbers, rows, strict=True))
    _check_once([number for number, _ in ordered], sheet, column)
    return Axis(column, tuple(i for _, i in ordered), numbers=tuple(number for number, _ in ordered))


def _dated(sheet: Sheet, column: str, rows: Sequence[int], given: Sequence[str], order: DateOrder) -> Axis:
    dates = []
    for i, text in zip(rows, given, strict=True):
        date = date_of(text, order)
        if date is None:
            expected = f"a date such as 2020-03-01 (day and month in the order {order})"
            raise InvalidValue(column, text, expected, where=f"{sheet.name} line {sheet.lines[i]}")
        dates.append(date)
    ordered = sorted(zip(dates, rows, strict=True))
    _check_once([date for date, _ in ordered], sheet, column)
    return Axis(column, tuple(i for _, i in ordered), dates=tuple(date for date, _ in ordered))


def _check_once(times: Sequence[object], sheet: Sheet, column: str) -> None:
    twice = next((a for a, b in pairwise(times) if a == b), None)
    if twice is None:
        if len(times) < 2:
            raise InvalidValue("its rows", len(times), "two at least with a time", where=sheet.name)
        return
    texts = [name for name in sheet.header if name != column and not _are_numbers(sheet.column(name), sheet)]
    repeated = [name for name in texts if len(set(sheet.column(name))) < len(sheet.rows)]
    hint = ""
    if repeated:
        hint = f'; choose the rows of one case with --where "{repeated[0]}={sheet.column(repeated[0])[0]}"'
    raise InvalidValue(column, str(twice), f"each time once{hint}", where=sheet.name)


def _are_numbers(texts: Sequence[str], sheet: Sheet) -> bool:
    read = number_reader(texts, sheet.delimiter)
    cells = [text for text in texts if not is_missing(text)]
    # 20200301 is a date although it is a number
    return bool(cells) and all(not math.isnan(read(t)) and not (len(t) == 8 and t[:2] in ("19", "20")) for t in cells)


def _guess(sheet: Sheet) -> str:
    filled = {name: [text for text in sheet.column(name) if not is_missing(text)] for name in sheet.header}
    for name, texts in filled.items():
        if texts and not _are_numbers(texts, sheet) and date_orders(texts):
            return name
    ascending: list[str] = []
    for name, texts in filled.items():
        read = number_reader(texts, sheet.delimiter)
        values = [read(text) for text in texts]
        if len(values) > 1 and all(a < b for a, b in pairwise(values)):
            ascending.append(name)
    numbers = [name for name, texts in filled.items() if _are_numbers(texts, sheet)]
    named = [name for name in sheet.header if _TIME_WORDS & set(words(name)) and filled[name]]
    for found in ([n for n in named if n in numbers], named, ascending):
        if found:
            return found[0]
    expected = "one with dates or ascending numbers; name it with --time: " + ", ".join(map(repr, sheet.header))
    raise InvalidValue("the column of times", None, expected, where=sheet.name)


@dataclass(frozen=True)
class Clock:
    """How the entries of an axis become model time.

    ``calendar`` is None where numbers are times already but for ``shift``; ``note`` says in words what was assumed.
    """

    calendar: Calendar | None
    shift: float
    note: str


def clock(model: Model, axis: Axis, unit: Unit | None, *, windows: bool) -> Clock:
    """The clock of a model for an axis.

    Where the model's time is not that of the data, the data start with the run: a level at the initial time, a window
    (when there are ``windows``) with its start there.
    """
    initial, final = model.time.initial, model.time.final
    first = 1 if windows else 0
    if not axis.dates:
        times = axis.numbers
        if any(initial <= time <= final for time in times):
            return Clock(None, 0.0, f"{axis.column} is the model's own time")
        shift = initial + first * axis.gap - times[0]
        note = f"no {axis.column} lies within the run, {initial:g} to {final:g}: the data were moved to its start"
        return Clock(None, shift, note)
    own = unit or next((_UNIT_WORDS[w] for w in words(model.time.units) if w in _UNIT_WORDS), None)
    if own in (None, "year") and 1500 < initial < 2500:
        return Clock(Calendar(), 0.0, "the model runs in calendar years; a date means its end")
    assumed = "" if own else f"; the model file names no unit of time: taken for the {_unit_of_gap(axis)}, see --unit"
    own = own or _unit_of_gap(axis)
    start = axis.before(axis.dates[0]) if first else axis.dates[0]
    origin = _earlier(own, start, initial)
    what = f"the run's initial time {initial:g} is the end of {start.isoformat()}, so that the data start with the run"
    return Clock(Calendar(own, origin), 0.0, f"one unit of model time is a {own}; {what}{assumed}")


def _unit_of_gap(axis: Axis) -> Unit:
    by_months: dict[int, Unit] = {1: "month", 3: "quarter", 12: "year"}
    return by_months.get(axis.months, "week" if round(axis.gap) == 7 else "day")


def _earlier(unit: Unit, date: datetime.date, n: float) -> datetime.date:
    """The date ``n`` units before, to the nearest day or month."""
    move: dict[str, Callable[[], datetime.date]] = {
        "day": lambda: date - datetime.timedelta(days=round(n)),
        "week": lambda: date - datetime.timedelta(days=round(7 * n)),
        "month": lambda: months_earlier(date, round(n)),
        "quarter": lambda: months_earlier(date, round(3 * n)),
        "year": lambda: months_earlier(date, round(12 * n)),
    }
    return move[unit]()
