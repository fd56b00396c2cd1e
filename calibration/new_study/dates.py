"""Dates as people write them, and periods such as a month, which stand for their last day."""

import calendar
import datetime
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

DateOrder = Literal["dmy", "mdy"]
_MONTHS = {name.casefold(): i for i, name in enumerate(calendar.month_name) if name}
_MONTHS |= {name.casefold(): i for i, name in enumerate(calendar.month_abbr) if name} | {"sept": 9}
_CLOCK = re.compile(r"[T ]\s*0{1,2}:00(:00(\.0+)?)?\s*(Z|[+-]00:?00)?$")
_THREE = re.compile(r"(\d{1,2})[./-](\d{1,2})[./-](\d{4}|\d{2})")


def _month_end(year: int, month: int) -> datetime.date:
    return datetime.date(year, month, calendar.monthrange(year, month)[1])


def date_of(text: str, order: DateOrder) -> datetime.date | None:
    """The date that a text is, the last day of the week, month or quarter that it names; None where it is none.

    >>> date_of("01.03.2020", "dmy"), date_of("2020-02", "dmy")
    (datetime.date(2020, 3, 1), datetime.date(2020, 2, 29))
    """
    text = _CLOCK.sub("", text.strip()).strip()
    for pattern, make in _PATTERNS:
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


_PATTERNS: tuple[tuple[str, Callable[..., datetime.date]], ...] = (
    (r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})", lambda y, m, d: datetime.date(int(y), int(m), int(d))),
    (r"((?:19|20)\d{2})([01]\d)([0-3]\d)", lambda y, m, d: datetime.date(int(y), int(m), int(d))),
    (r"(\d{4})[-/ ]?W(?:eek)? ?(\d{1,2})", lambda y, w: datetime.date.fromisocalendar(int(y), int(w), 7)),
    (r"(\d{4})[-/ ]?Q([1-4])", lambda y, q: _month_end(int(y), 3 * int(q))),
    (r"Q([1-4])[-/ ]?(\d{4})", lambda q, y: _month_end(int(y), 3 * int(q))),
    (r"(\d{4})[-/](\d{1,2})", lambda y, m: _month_end(int(y), int(m))),
    (r"(\d{1,2})[/](\d{4})", lambda m, y: _month_end(int(y), int(m))),
    (r"([A-Za-z]{3,9})\.?[-/ ,]+(\d{4})", lambda m, y: _month_end(int(y), _named(m))),
    (r"([A-Za-z]{3,9})\.?[-/ ](\d{2})", lambda m, y: _month_end(2000 + int(y), _named(m))),
    (r"(\d{1,2})\.?[-/ ]([A-Za-z]{3,9})\.?[-/ ,]+(\d{4})", lambda d, m, y: datetime.date(int(y), _named(m), int(d))),
    (r"([A-Za-z]{3,9})\.? (\d{1,2}),? (\d{4})", lambda m, d, y: datetime.date(int(y), _named(m), int(d))),
)


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
