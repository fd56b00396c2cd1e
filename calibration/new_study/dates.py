"""Dates as people write them, and periods such as a month, which stand for their last day."""

import calendar
import datetime
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Literal

from calibration.study.calendar import MONTHS, unit_in
from cipark_sd.base.wording import TimeUnit

DateOrder = Literal["dmy", "mdy"]
ORDERS: tuple[DateOrder, ...] = ("dmy", "mdy")
_MONTHS = {name.casefold(): i for i, name in enumerate(calendar.month_name) if name}
_MONTHS |= {name.casefold(): i for i, name in enumerate(calendar.month_abbr) if name} | {"sept": 9}
#: Whole numbers between these are years of the calendar, where they may be years at all.
FIRST_YEAR, LAST_YEAR = 1500, 2500
_CLOCK = re.compile(r"[T ]\s*0{1,2}:00(:00(\.0+)?)?\s*(Z|[+-]00:?00)?$")
_SEASON = re.compile(r"(\d{4}) ?[-/–] ?(\d{2}|\d{4})")
_Patterns = tuple[tuple[str, Callable[..., datetime.date]], ...]


def is_year(number: float) -> bool:
    """Whether a number may be a year of the calendar."""
    return FIRST_YEAR < number < LAST_YEAR


def _day(year: str, month: str, day: str) -> datetime.date:
    """A date of its parts: a month by number or name, a year of two digits since 1970."""
    y, m = int(year), int(month) if month.isdigit() else _MONTHS[month.casefold().rstrip(".")]
    return datetime.date(y + 2000 if y < 70 else y + 1900 if y < 100 else y, m, int(day))


def _last(first: datetime.date) -> datetime.date:
    """The last day of a month."""
    return first.replace(day=calendar.monthrange(first.year, first.month)[1])


def months_earlier(date: datetime.date, n: int) -> datetime.date:
    """The same day ``n`` months before (below 0: later), the last of a month where the date is one.

    >>> months_earlier(datetime.date(2020, 2, 29), 1)
    datetime.date(2020, 1, 31)
    """
    whole = 12 * date.year + date.month - 1 - n
    last = _last(datetime.date(whole // 12, whole % 12 + 1, 1))
    return last if date == _last(date) else last.replace(day=min(date.day, last.day))


_DAYS: _Patterns = (
    (r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})", _day),
    (r"((?:19|20)\d{2})([01]\d)([0-3]\d)", _day),
    (r"(\d{1,2})\.?[-/ ]([A-Za-z]{3,9})\.?[-/ ,]+(\d{4})", lambda d, m, y: _day(y, m, d)),
    (r"([A-Za-z]{3,9})\.? (\d{1,2}),? (\d{4})", lambda m, d, y: _day(y, m, d)),
)
_PERIODS: _Patterns = (
    (r"(\d{4})[-/ ]?W(?:eek)? ?(\d{1,2})", lambda y, w: datetime.date.fromisocalendar(int(y), int(w), 7)),
    (r"(\d{4})[-/ ]?Q([1-4])", lambda y, q: _last(_day(y, str(3 * int(q)), "1"))),
    (r"Q([1-4])[-/ ]?(\d{4})", lambda q, y: _last(_day(y, str(3 * int(q)), "1"))),
    (r"(\d{4})[-/](\d{1,2})", lambda y, m: _last(_day(y, m, "1"))),
    (r"(\d{1,2})[/](\d{4})", lambda m, y: _last(_day(y, m, "1"))),
    (r"([A-Za-z]{3,9})\.?[-/ ,]+(\d{4})", lambda m, y: _last(_day(y, m, "1"))),
    (r"([A-Za-z]{3,9})\.?[-/ ](\d{2})", lambda m, y: _last(_day(f"20{y}", m, "1"))),
)
_THREE = r"(\d{1,2})[./-](\d{1,2})[./-](\d{4}|\d{2})"
_ORDERED: dict[DateOrder, _Patterns] = {
    "dmy": ((_THREE, lambda d, m, y: _day(y, m, d)),),
    "mdy": ((_THREE, lambda m, d, y: _day(y, m, d)),),
}


def date_of(text: str, order: DateOrder) -> datetime.date | None:
    """The date that a text is, the last day of the week, month or quarter that it names; None where it is none.

    ``order`` is that of day and month, where the text has numbers for both.

    >>> date_of("01.03.2020", "dmy"), date_of("2020-02", "dmy")
    (datetime.date(2020, 3, 1), datetime.date(2020, 2, 29))
    """
    text = _CLOCK.sub("", text.strip()).strip()
    for pattern, make in _DAYS + _PERIODS + _ORDERED[order]:
        if match := re.fullmatch(pattern, text, flags=re.IGNORECASE):
            with suppress(ValueError, KeyError):
                return make(*match.groups())
            return None
    return None


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

    ``name`` is that of the column. Numbers from 1 to 4 are quarters under such a name, and where the first follows the
    fourth of the year before.
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
    """
    length = MONTHS.get(unit, 0) if (unit := unit_in(name)) else 0
    if not length or any(day.day != 1 or (day.month - 1) % length for day in days):
        return ()
    return tuple(months_earlier(day, -length) - datetime.timedelta(days=1) for day in days)


def date_orders(texts: Sequence[str]) -> tuple[DateOrder, ...]:
    """The orders of day and month under which all texts are dates; more than one where the column does not tell.

    Where both are possible but only one has the dates ascend, it is that one.
    """
    gaps: dict[DateOrder, list[int]] = {}
    for order in ORDERS:
        days = [date.toordinal() for text in texts if (date := date_of(text, order))]
        if texts and len(days) == len(texts):
            gaps[order] = [b - a for a, b in pairwise(days)]
    if len(gaps) == 2 and gaps["dmy"] == gaps["mdy"]:
        return ("dmy",)
    ascending = tuple(order for order, steps in gaps.items() if all(gap > 0 for gap in steps))
    return ascending if len(ascending) == 1 else tuple(gaps)


Point = Literal["start", "middle", "end"]
#: What says each point of a period, which stands for U; and dates and words that do of a year.
_SAYS: dict[Point, tuple[str, str]] = {
    "end": (
        r"end of (the )?U|U[- ]?end|closing (stock|balance|inventory)",
        r"31(st)?\.?[ -]?de[cz](ember)?|de[cz](ember)?\.? 31(st)?|31[./]12|12/31|jahresende",
    ),
    "start": (
        r"(start|beginning) of (the )?U|U[- ]?start|opening (stock|balance|inventory)",
        r"0?1(st)?\.?[ -]jan(uary?)?|jan(uary?)?\.? 0?1(st)?|0?1\.0?1(?=\.)|01/01|jahresanfang",
    ),
    "middle": (
        r"middle of (the )?U|mid[- ]?U",
        r"30(th)?\.?[ -]?june?|june? 30(th)?|0?1(st)?\.?[ -]july?|july? 1(st)?|jahresmitte",
    ),
}


def point_in(text: str, period: TimeUnit | None) -> Point | None:
    """The point of its period that a text, such as a header, says a number is of; None where it says none.

    >>> point_in("men in prison, 31 Dec", "year"), point_in("mid-year population", "year"), point_in("1 Jan", "month")
    ('end', 'middle', None)
    """
    for point, (of_any, of_year) in _SAYS.items():
        pattern = of_any.replace("U", period or "") + (f"|{of_year}" if period == "year" else "")
        if period and re.search(rf"\b({pattern})\b", text, re.IGNORECASE):
            return point
    return None
