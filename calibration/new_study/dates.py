"""Dates as people write them, and periods such as a month, which stand for their last day."""

import calendar
import datetime
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

from calibration.study.calendar import MONTHS, time_unit_of, unit_in
from cipark_sd.base.wording import TimeUnit

DateOrder = Literal["dmy", "mdy"]
_MONTHS = {name.casefold(): i for i, name in enumerate(calendar.month_name) if name}
_MONTHS |= {name.casefold(): i for i, name in enumerate(calendar.month_abbr) if name} | {"sept": 9}
#: Whole numbers between these are years of the calendar, where they may be years at all.
FIRST_YEAR, LAST_YEAR = 1500, 2500
_CLOCK = re.compile(r"[T ]\s*0{1,2}:00(:00(\.0+)?)?\s*(Z|[+-]00:?00)?$")
_SEASON = re.compile(r"(\d{4}) ?[-/–] ?(\d{2}|\d{4})")
_Patterns = tuple[tuple[str, Callable[..., datetime.date]], ...]
_THREE = re.compile(r"(\d{1,2})[./-](\d{1,2})[./-](\d{4}|\d{2})")


def _month_end(year: int, month: int) -> datetime.date:
    return datetime.date(year, month, calendar.monthrange(year, month)[1])


def is_year(number: float) -> bool:
    """Whether a number may be a year of the calendar."""
    return FIRST_YEAR < number < LAST_YEAR


def months_earlier(date: datetime.date, n: int) -> datetime.date:
    """The same day ``n`` months before, the last of a month where the date is one.

    >>> months_earlier(datetime.date(2020, 2, 29), 1)
    datetime.date(2020, 1, 31)

    Parameters
    ----------
    n : int
        Below 0 for months later.
    """
    whole = 12 * date.year + date.month - 1 - n
    year, month = whole // 12, whole % 12 + 1
    last = (datetime.date(year + month // 12, month % 12 + 1, 1) - datetime.timedelta(days=1)).day
    at_end = (date + datetime.timedelta(days=1)).month != date.month
    return datetime.date(year, month, last if at_end else min(date.day, last))


def date_of(text: str, order: DateOrder) -> datetime.date | None:
    """The date that a text is, the last day of the week, month or quarter that it names; None where it is none.

    >>> date_of("01.03.2020", "dmy"), date_of("2020-02", "dmy")
    (datetime.date(2020, 3, 1), datetime.date(2020, 2, 29))

    Parameters
    ----------
    order : DateOrder
        Of day and month, where the text has numbers for both.
    """
    text = _CLOCK.sub("", text.strip()).strip()
    for pattern, make in _DAYS + _PERIODS:
        match = re.fullmatch(pattern, text, flags=re.IGNORECASE)
        if match:
            try:
                return make(*match.groups())
            except (ValueError, KeyError):
                return None
    match = _THREE.fullmatch(text)
    if not match:
        return None
    first, second, year = (int(part) for part in match.groups())
    day, month = (first, second) if order == "dmy" else (second, first)
    try:
        return datetime.date(year + 2000 if year < 70 else year + 1900 if year < 100 else year, month, day)
    except ValueError:
        return None


def _named(name: str) -> int:
    return _MONTHS[name.casefold().rstrip(".")]


_DAYS: _Patterns = (
    (r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})", lambda y, m, d: datetime.date(int(y), int(m), int(d))),
    (r"((?:19|20)\d{2})([01]\d)([0-3]\d)", lambda y, m, d: datetime.date(int(y), int(m), int(d))),
    (r"(\d{1,2})\.?[-/ ]([A-Za-z]{3,9})\.?[-/ ,]+(\d{4})", lambda d, m, y: datetime.date(int(y), _named(m), int(d))),
    (r"([A-Za-z]{3,9})\.? (\d{1,2}),? (\d{4})", lambda m, d, y: datetime.date(int(y), _named(m), int(d))),
)
_PERIODS: _Patterns = (
    (r"(\d{4})[-/ ]?W(?:eek)? ?(\d{1,2})", lambda y, w: datetime.date.fromisocalendar(int(y), int(w), 7)),
    (r"(\d{4})[-/ ]?Q([1-4])", lambda y, q: _month_end(int(y), 3 * int(q))),
    (r"Q([1-4])[-/ ]?(\d{4})", lambda q, y: _month_end(int(y), 3 * int(q))),
    (r"(\d{4})[-/](\d{1,2})", lambda y, m: _month_end(int(y), int(m))),
    (r"(\d{1,2})[/](\d{4})", lambda m, y: _month_end(int(y), int(m))),
    (r"([A-Za-z]{3,9})\.?[-/ ,]+(\d{4})", lambda m, y: _month_end(int(y), _named(m))),
    (r"([A-Za-z]{3,9})\.?[-/ ](\d{2})", lambda m, y: _month_end(2000 + int(y), _named(m))),
)


def is_period(text: str) -> bool:
    """Whether a date is a week, a month or a quarter, and not a day.

    >>> is_period("2020-02"), is_period("2020-02-29")
    (True, False)
    """
    return any(re.fullmatch(pattern, text.strip(), flags=re.IGNORECASE) for pattern, _ in _PERIODS)


def are_seasons(texts: Sequence[str]) -> bool:
    """Whether entries are of two years each, such as 2000/01 or 1990-91: a month is never the year after, all along."""
    pairs = [_SEASON.fullmatch(text.strip()) for text in texts]
    following = sum(1 for pair in pairs if pair and (int(pair[1]) + 1 - int(pair[2])) % 100 == 0)
    return 2 * following > len(texts)


def spelled_periods(name: str, texts: Sequence[str]) -> list[str]:
    """Entries such as 2006/1 as quarters, 2006-Q1, and 201801 as months (weeks under such a name); others as given.

    Numbers from 1 to 4 are quarters under such a name, and where the first follows the fourth of the year before.

    Parameters
    ----------
    name : str
        Of the column.

    Returns
    -------
    list of str
        As many as there were.
    """
    most, mark = (53, "W") if unit_in(name) == "week" else (12, "")
    glued = [re.fullmatch(r"((?:19|20)\d{2})(\d{2})", text.strip()) for text in texts]
    if glued and all(pair and 1 <= int(pair[2]) <= most for pair in glued):
        return [f"{pair[1]}-{mark}{pair[2]}" for pair in glued if pair]
    pairs = [re.fullmatch(r"(\d{4})[-/ ](0?[1-4])", text.strip()) for text in texts]
    numbers = [4 * int(pair[1]) + int(pair[2]) for pair in pairs if pair]
    if len(numbers) < len(texts) or unit_in(name) == "month":
        return list(texts)
    follows = any(b % 4 == 1 and b - a == 1 for a, b in pairwise(sorted(numbers)))
    named = unit_in(name) == "quarter" or re.search("quarta|trimest", name, re.IGNORECASE)
    return [f"{(n - 1) // 4}-Q{(n - 1) % 4 + 1}" for n in numbers] if named or follows else list(texts)


def last_days(name: str, days: Sequence[datetime.date]) -> tuple[datetime.date, ...]:
    """The last days of the months, quarters or years that first days stand for under such a name; none elsewhere.

    A spreadsheet shows January 2015 under "Month" as 01/01/2015.

    Parameters
    ----------
    name : str
        Of the column.

    Returns
    -------
    tuple of date
        As many as there were, or none.
    """
    length = MONTHS.get(unit, 0) if (unit := unit_in(name)) else 0
    if not length or any(day.day != 1 or (day.month - 1) % length for day in days):
        return ()
    return tuple(months_earlier(day, -length) - datetime.timedelta(days=1) for day in days)


def date_orders(texts: Sequence[str]) -> tuple[DateOrder, ...]:
    """The orders of day and month under which all texts are dates; more than one where the column does not tell.

    Where both are possible but only one has the dates ascend, it is that one.
    """
    orders: tuple[DateOrder, ...] = ("dmy", "mdy")
    possible: list[DateOrder] = []
    gaps: list[list[int]] = []
    for order in orders:
        dates = [date_of(text, order) for text in texts]
        if texts and all(date is not None for date in dates):
            days = [date.toordinal() for date in dates if date is not None]
            possible.append(order)
            gaps.append([b - a for a, b in pairwise(days)])
    if len(possible) < 2 or gaps[0] == gaps[1]:
        return tuple(possible[:1])
    ascending = [order for order, steps in zip(possible, gaps, strict=True) if all(gap > 0 for gap in steps)]
    return tuple(ascending) if len(ascending) == 1 else tuple(possible)


Point = Literal["start", "middle", "end"]
_UNIT = r"(?P<unit>year|month|quarter|week)"
_DECEMBER, _JANUARY = r"(de[cz]|december|dezember)\b", r"(jan|january|januar)\b"
#: Patterns of each point; one without a unit is of a year.
_SAYS: dict[Point, tuple[str, ...]] = {
    "end": (
        rf"\b31(st)?\.?[ -]?{_DECEMBER}",
        rf"\b{_DECEMBER}\.? 31(st)?\b",
        r"\b31[./]12\b",
        r"\b12/31\b",
        rf"\bend of (the )?{_UNIT}\b",
        rf"\b{_UNIT}[- ]?end\b",
        r"\bjahresende\b",
        r"\bclosing (stock|balance|inventory)\b",
    ),
    "start": (
        rf"\b0?1(st)?\.?[ -]{_JANUARY}",
        rf"\b{_JANUARY}\.? 0?1(st)?\b",
        r"\b0?1\.0?1\.",
        r"\b01/01\b",
        rf"\b(start|beginning) of (the )?{_UNIT}\b",
        rf"\b{_UNIT}[- ]?start\b",
        r"\bjahresanfang\b",
        r"\bopening (stock|balance|inventory)\b",
    ),
    "middle": (
        r"\b30(th)?\.?[ -]?june?\b",
        r"\bjune? 30(th)?\b",
        r"\b0?1(st)?\.?[ -]july?\b",
        r"\bjuly? 1(st)?\b",
        rf"\bmid[- ]?{_UNIT}\b",
        rf"\bmiddle of (the )?{_UNIT}\b",
        r"\bjahresmitte\b",
    ),
}


def point_in(text: str, period: TimeUnit | None) -> Point | None:
    """The point of its period that a text says a number is of, the period being as long as this unit; else None.

    >>> point_in("men in prison, 31 Dec", "year"), point_in("mid-year population", "year"), point_in("1 Jan", "month")
    ('end', 'middle', None)

    Parameters
    ----------
    text : str
        Such as the header of a column.
    period : TimeUnit, optional
        None where it is not known: such a period has no point.
    """
    for point, patterns in _SAYS.items():
        for pattern in patterns:
            phrase = re.search(pattern, text, re.IGNORECASE)
            if phrase and period == (time_unit_of(phrase["unit"]) if "unit" in phrase.groupdict() else "year"):
                return point
    return None
