"""The column of times of a table, and the model time that each of its entries stands for."""

import datetime
import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Literal

from calibration.new_study import dates
from calibration.new_study.dates import DateOrder, date_of, date_orders
from calibration.new_study.table import Sheet, is_missing
from calibration.study.calendar import MONTHS, unit_in
from calibration.study.constants import words_in
from cipark_sd.base.errors import InvalidValue, UnknownName, UnusableInput
from cipark_sd.base.inputs import number_in
from cipark_sd.base.wording import TimeUnit, listed

Edge = Literal["start", "end", ""]
_TIME_WORDS = frozenset({"time", "date", "period", "t", "when", "timestamp", "datetime"})
#: Words that make a length of time of a unit: a column of intervals says no moment.
_LENGTHS = frozenset({"interval", "duration", "length", "gap", "lag", "age"})
_REPLICATES = frozenset({"replicate", "replicates", "rep", "repeat", "duplicate", "parallel", "aliquot"})
_STARTS = frozenset({"start", "begin", "beginning", "begins", "starting", "commencing", "from"})
_ENDS = frozenset({"end", "ending", "ends", "until", "to", "stop", "finish"})
_MONTHS_OF: dict[int, range] = {1: range(28, 32), 3: range(89, 93), 6: range(181, 185), 12: range(365, 367)}


def _edge_of(name: str) -> Edge:
    """Whether a column's name says that it holds where windows start or end.

    >>> _edge_of("t_start"), _edge_of("Week ending"), _edge_of("days since start"), _edge_of("week")
    ('start', 'end', '', '')
    """
    parts = words_in(name)
    if parts & {"since", "after", "elapsed"}:
        return ""
    if re.search(r"\b(week of|w/c)\b", name, re.IGNORECASE):
        return "start"
    return "start" if parts & _STARTS else "end" if parts & _ENDS else ""


@dataclass(frozen=True)
class Axis:
    """The times of a table, in the order of time: numbers, or days as :meth:`datetime.date.toordinal` counts them.

    ``rows`` are places of the rows in the sheet, ``texts`` the entries as the table has them, dates as ISO. ``edge`` is
    the end of its window that an entry is, where the column's name says so; a date that starts a window is the day
    before, since a date means its end. With ``periods`` an entry names a period, such as a month, and its date is the
    last day. ``started`` names the column that holds the ``starts`` of the windows, if any. ``window`` is the length
    of each window, where that is not the usual distance of two entries, and ``width`` the same in the axis' own unit.
    """

    column: str
    rows: tuple[int, ...]
    texts: tuple[str, ...]
    times: tuple[float, ...]
    dated: bool = False
    edge: Edge = ""
    periods: bool = False
    started: str = ""
    starts: tuple[float, ...] = ()
    window: TimeUnit | None = None
    width: float = 0.0

    @cached_property
    def gap(self) -> float:
        """The usual distance of two entries: in days for dates, else in the column's own unit."""
        steps = [b - a for a, b in pairwise(sorted(set(self.times)))]
        return Counter(round(step, 9) for step in steps).most_common(1)[0][0] if steps else 1.0

    @property
    def dates(self) -> tuple[datetime.date, ...]:
        """The times, where they are days."""
        return tuple(datetime.date.fromordinal(int(time)) for time in self.times if self.dated)

    @property
    def period(self) -> TimeUnit | None:
        """The unit as long as a window, else as two entries are usually apart; None where it is not known."""
        if self.dated and not self.window:
            by_days: dict[int, TimeUnit] = {1: "day", 7: "week"}
            return next((unit for unit, n in MONTHS.items() if n == self.months), by_days.get(round(self.gap)))
        of_gap = (unit_in(self.column) or ("year" if self.years else None)) if self.gap == 1 else None
        return self.window or of_gap

    @property
    def years(self) -> bool:
        """Whether all entries are whole numbers that may be years of the calendar."""
        return not self.dated and all(time == int(time) and dates.is_year(time) for time in self.times)

    @property
    def days(self) -> bool:
        """Whether each entry is a day that stands for itself, and not for a period, as it does under "week of"."""
        return self.dated and not self.periods and not (self.edge == "start" and unit_in(self.column))

    def notes(self) -> Iterator[str]:
        """What to say of the rows: their order, and several of one time."""
        if list(self.rows) != sorted(self.rows):
            yield "the rows were not in the order of time and have been sorted"
        if n := sum(times > 1 for times in Counter(self.times).values()):
            yield f"{n} of the times {'has' if n == 1 else 'have'} several rows: readings of the same"

    @property
    def months(self) -> int:
        """How many months the usual distance of two dates is; 0 where it is one of days."""
        return next((n for n, days in _MONTHS_OF.items() if self.dated and round(self.gap) in days), 0)

    def before(self, time: float, n: int = 1) -> float:
        """A time ``n`` windows earlier, else usual distances; the last day of a month goes to that of another."""
        months = MONTHS.get(self.window, 0) if self.window else self.months
        if self.dated and months:
            return dates.months_earlier(datetime.date.fromordinal(int(time)), n * months).toordinal()
        return time - n * (round(self.width or self.gap) if self.dated else self.width or self.gap)

    def span(self, i: int, *, starts: bool) -> tuple[float, float]:
        """The start and the end of the window of an entry, no wider than usual; ``starts`` where it is its start."""
        time = self.times[i]
        if self.starts:
            return self.starts[i], time
        way = 1 if starts else -1
        neighbour, place = self.before(time, -way), i + way
        # several rows may be of one time
        while 0 <= place < len(self.times) and self.times[place] == time:
            place += way
        # rounding of a decimal column must not open a crack between two windows
        if 0 <= place < len(self.times) and abs(self.times[place] - time) < abs(neighbour - time) * (1 + 1e-6):
            neighbour = self.times[place]
        return (time, neighbour) if starts else (neighbour, time)


def read_axis(
    sheet: Sheet, column: str | None, order: DateOrder | None, values: Collection[str] = (), until: str | None = None
) -> Axis:
    """The column of times: the one that is named, else the first that looks like it; with that of the windows' starts.

    Parameters
    ----------
    column : str, optional
        The one that is named; None to guess it.
    order : DateOrder, optional
        None where the column tells it.
    values : collection of str
        Columns that are named as observations: none of them is one of times, whatever it is called.
    until : str, optional
        The last time to be read, as the table writes times.

    Returns
    -------
    Axis
        In the order of time; rows without a time are left out.

    Raises
    ------
    UnknownName, InvalidValue
    """
    if column is not None and column not in sheet.header:
        raise UnknownName(column, sheet.header, kind="column", where=sheet.name)
    header = [name for name in sheet.header if name not in values or name == column]
    edges = _edges(sheet, header)
    starts, ends = ([name for name in edges if edges[name] == edge] for edge in ("start", "end"))
    chosen = column or _guess(sheet, header)
    if column is None and _edge_of(chosen) == "start" and len(ends) == 1:
        chosen = ends[0]
    axis = _as_far(sheet, replace(_read(sheet, chosen, order), edge=_edge_of(chosen)), until)
    if axis.edge == "start" and axis.periods:
        return replace(axis, edge="")
    if axis.edge == "start" and axis.dated:
        # a day begins where the one before it ends
        return replace(axis, times=tuple(day - 1 for day in axis.times))
    return _paired(axis, _read(sheet, starts[0], order)) if axis.edge == "end" and len(starts) == 1 else axis


def _edges(sheet: Sheet, header: Sequence[str]) -> dict[str, Edge]:
    """Columns whose names say that they hold starts or ends, and that have a number or a date in each row."""

    def is_filled(texts: Sequence[str]) -> bool:
        return not any(map(is_missing, texts)) and (_are_numbers(texts, sheet) or bool(date_orders(texts)))

    return {name: edge for name in header if (edge := _edge_of(name)) and is_filled(sheet.column(name))}


def time_columns(sheet: Sheet, column: str | None, cases: Collection[str]) -> list[str]:
    """The column of times, the one that is named or the first that looks like it, and those of starts and ends.

    ``cases`` are columns that are none.
    """
    header = [name for name in sheet.header if name not in cases]
    return list(dict.fromkeys([column or _guess(sheet, header), *_edges(sheet, header)]))


def _as_far(sheet: Sheet, axis: Axis, until: str | None) -> Axis:
    """The rows up to a time, as the user writes it; all of them where none is named."""
    if until is None:
        return axis
    date = date_of(until, "dmy") if axis.dated else None
    last = date.toordinal() if date else math.nan if axis.dated else number_in(until)
    if math.isnan(last):
        raise InvalidValue("--until", until, f"a time such as {axis.texts[-1]}", where="new-study")
    n = sum(time <= last for time in axis.times)
    if n < 2:
        raise InvalidValue("--until", until, f"a time with two rows of {axis.column!r} before it", where=sheet.name)
    return replace(axis, rows=axis.rows[:n], texts=axis.texts[:n], times=axis.times[:n])


def _paired(axis: Axis, starts: Axis) -> Axis:
    """The axis with the starts of its windows, where those lie before their ends; else as it is."""
    if axis.dated != starts.dated or set(axis.rows) - set(starts.rows):
        return axis
    by_row = dict(zip(starts.rows, starts.times, strict=True))
    first = tuple(by_row[i] for i in axis.rows)
    following = list(zip(axis.times, first[1:], strict=False))
    touching = any(start == end for start, end in zip(first, axis.times, strict=True))
    if axis.dated and (touching or any(end < start for end, start in following)):
        # "2 March to 8 March" holds its first day: the window starts at the end of the day before
        first = tuple(day - 1 for day in first)
    usable = all(start < end for start, end in zip(first, axis.times, strict=True))
    # windows follow each other; a column of values does not fit in between
    usable = usable and (axis.dated or all(end <= start for end, start in following))
    return replace(axis, started=starts.column, starts=first) if usable else axis


def _read(sheet: Sheet, column: str, order: DateOrder | None) -> Axis:
    texts = sheet.column(column)
    rows = [i for i, text in enumerate(texts) if not is_missing(text)]
    cells = dates.spelled_periods(column, [texts[i] for i in rows])
    if dates.are_seasons(cells):
        raise UnusableInput(
            f"{column} is {cells[0]!r}, which is no month: a season runs from one year into the next, and the table "
            "has to say when it ends. Write its last day, such as 2001-06-30; a flow's window starts a year earlier",
            where=f"{sheet.name} line {sheet.lines[rows[0]]}",
        )
    orders = (order,) if order else date_orders(cells)
    if len(orders) > 1:
        raise UnusableInput(
            f"{cells[0]!r} may have the day or the month first: --dates dmy or --dates mdy says which",
            where=f"{sheet.name}, {column}",
        )
    ways = {"a number": list(map(sheet.reader(cells), cells))}
    if order or not orders or not _are_numbers(cells, sheet):
        readings = [[date_of(cell, o) for cell in cells] for o in orders or dates.ORDERS]
        ordinals = [[math.nan if day is None else float(day.toordinal()) for day in read] for read in readings]
        ways["a date"] = max(ordinals, key=_n_finite)
    # what most entries are the others should be
    way = "a date" if orders and "a date" in ways else max(ways, key=lambda way: _n_finite(ways[way]))
    _check_read(sheet, column, [(sheet.lines[i], cell) for i, cell in zip(rows, cells, strict=True)], ways[way], way)
    ordered = sorted(zip(ways[way], rows, strict=True))
    _check_once(ordered, sheet, column)
    times, places = tuple(time for time, _ in ordered), tuple(i for _, i in ordered)
    if way == "a number":
        return Axis(column, places, tuple(map(plain, times)), times)
    days = tuple(datetime.date.fromordinal(int(day)) for day in times)
    named = () if _edge_of(column) else dates.last_days(column, days)
    ends, periods = named or days, bool(named) or all(map(dates.is_period, cells))
    texts, times = tuple(day.isoformat() for day in ends), tuple(float(day.toordinal()) for day in ends)
    return Axis(column, places, texts, times, dated=True, periods=periods)


def _n_finite(values: Sequence[float]) -> int:
    return sum(map(math.isfinite, values))


def _check_read(sheet: Sheet, column: str, cells: Sequence[tuple[int, str]], values: Sequence[float], way: str) -> None:
    """Complain of the first of some cells, each with its line, that is not what most of them are."""
    wrong = next((cell for cell, value in zip(cells, values, strict=True) if math.isnan(value)), None)
    if wrong is None:
        return
    line, text = wrong
    where = f"{sheet.name} line {line}"
    if re.fullmatch(r"\d{4}-\d\d?-\d\d?", text):
        raise UnusableInput(f"{column} is {text!r}, and the calendar has no such day", where=where)
    expected = f"{'a number, or ' * (way == 'a number')}a date such as 2020-03-01; {_taken(column)}"
    if 2 * _n_finite(values) > len(values):
        right = next(cell for (_, cell), value in zip(cells, values, strict=True) if not math.isnan(value))
        expected = f"{way}, as {right} is: mend the cell, or take the row out if it is no data"
    raise InvalidValue(column, text, expected, where=where)


def _taken(column: str) -> str:
    return f"{column!r} was taken for the column of times, --time COL names another"


def _check_once(times: Sequence[tuple[object, int]], sheet: Sheet, column: str) -> None:
    """Complain of two cases in one column: rows of one time that a column of texts tells apart are no replicates."""
    if len({time for time, _ in times}) < 2:
        has = "one row has a time" if len(times) == 1 else "all rows have one time" if times else "no row has a time"
        raise UnusableInput(f"{has}, and two are the least", where=sheet.name)
    twice = next(((i, j) for (a, i), (b, j) in pairwise(times) if a == b), None)
    if twice is None or not (cases := cases_of(sheet, column)):
        return
    text, first = sheet.column(column)[twice[0]], min(twice)
    wheres = " ".join(f'--where "{name}={sheet.column(name)[first]}"' for name in cases)
    by = ",".join(f'"{name}"' if re.search(r"\W", name) else name for name in cases)
    lines = " and ".join(str(line) for line in sorted(sheet.lines[i] for i in twice))
    raise UnusableInput(
        f"{column} is {text} in lines {lines}, of different {listed(cases)}: --series-by {by} makes a series of "
        f"each, {wheres} chooses one. If such rows are repeated readings of the same, rename "
        f"{'the column' if len(cases) == 1 else 'these columns'} to Replicate. {_taken(column)}",
        where=sheet.name,
    )


def numbers_replicates(column: str) -> bool:
    """Whether a column says by its name that it numbers readings of the same."""
    return not _REPLICATES.isdisjoint(words_in(column))


def cases_of(sheet: Sheet, column: str, beside: Sequence[str] = ()) -> list[str]:
    """Columns of texts that tell rows of one time apart, and whose texts come again at other times.

    One that numbers readings of the same by its name tells none apart. ``column`` is that of times, ``beside`` are
    further columns whose entries the rows have in common.
    """
    times, names = list(zip(*(sheet.column(name) for name in (column, *beside)), strict=True)), list[str]()
    for name in (name for name in sheet.header if name not in (column, *beside)):
        texts = sheet.column(name)
        filled = [text for text in texts if not is_missing(text)]
        is_text = 2 * len(set(filled)) <= len(filled) and not sheet.has_numbers(name) and not date_orders(filled)
        if is_text and not numbers_replicates(name) and len({*zip(times, texts, strict=True)}) > len({*times}):
            names.append(name)
    return names


def _are_numbers(texts: Sequence[str], sheet: Sheet) -> bool:
    read = sheet.reader(texts)
    cells = [text for text in texts if not is_missing(text)]
    # 20200301 is a date although it is a number
    return bool(cells) and all(not math.isnan(read(t)) and not (len(t) == 8 and t[:2] in ("19", "20")) for t in cells)


def _guess(sheet: Sheet, header: Sequence[str]) -> str:
    """The first column of dates, else with a name of time, else of ascending numbers."""

    def rank(name: str) -> int:
        texts, parts = [text for text in sheet.column(name) if not is_missing(text)], words_in(name)
        numeric = _are_numbers(texts, sheet)
        if texts and not numeric and (date_orders(texts) or dates.are_seasons(texts)):
            return 0
        if texts and not parts & _LENGTHS and (parts & _TIME_WORDS or unit_in(name)):
            return 1 + (len(set(texts)) < len(texts)) if numeric else 3
        values = list(map(sheet.reader(texts), texts))
        return 4 if len(values) > 1 and all(a < b for a, b in pairwise(values)) else 5

    ranks = {name: rank(name) for name in header}
    chosen = min(ranks, key=ranks.__getitem__, default="")
    if ranks.get(chosen, 5) == 5:
        shown = ", ".join(map(repr, sheet.header))
        expected = f"--time names the column of times, one of {shown}"
        raise UnusableInput(f"no column has dates or ascending numbers; {expected}", where=sheet.name)
    return chosen


def plain(number: float) -> str:
    """A number as a file has it: whole ones without a point, others short where that is exact.

    >>> plain(3.0), plain(0.1 + 0.2), plain(1 / 3), plain(math.inf)
    ('3', '0.3', '0.3333333333333333', 'inf')
    """
    if float(number).is_integer() and abs(number) < 1e15:
        return str(int(number))
    # the last digits of a product are rounding
    short = f"{number:.15g}"
    return short if abs(float(short) - number) <= 4 * math.ulp(number) else repr(float(number))
