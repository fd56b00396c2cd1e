"""Units of time in the words of models and tables, and how long one is in another."""

import re
from typing import Literal, get_args

TimeUnit = Literal["second", "minute", "hour", "day", "week", "month", "quarter", "year"]
TIME_UNITS: tuple[TimeUnit, ...] = get_args(TimeUnit)

_WORDS: dict[str, TimeUnit] = {
    **dict.fromkeys(("second", "seconds", "sec", "secs"), "second"),
    **dict.fromkeys(("minute", "minutes", "min", "mins"), "minute"),
    **dict.fromkeys(("hour", "hours", "hr", "hrs"), "hour"),
    **dict.fromkeys(("day", "days", "dy", "dys"), "day"),
    **dict.fromkeys(("week", "weeks", "wk", "wks", "isoweek", "epiweek"), "week"),
    **dict.fromkeys(("month", "months", "mo", "mos", "mon", "mth", "mths"), "month"),
    **dict.fromkeys(("quarter", "quarters", "qtr", "qtrs"), "quarter"),
    **dict.fromkeys(("year", "years", "yr", "yrs", "annum"), "year"),
}
#: Letters that are a unit where nothing else stands, such as in brackets.
_LETTERS: dict[str, TimeUnit] = {
    "s": "second",
    "h": "hour",
    "d": "day",
    "w": "week",
    "q": "quarter",
    "y": "year",
    "a": "year",
}
#: Days of a unit, and months of those that the calendar makes unequal.
_DAYS: dict[TimeUnit, float] = {"second": 1 / 86400, "minute": 1 / 1440, "hour": 1 / 24, "day": 1.0, "week": 7.0}
_MONTHS: dict[TimeUnit, float] = {"month": 1.0, "quarter": 3.0, "year": 12.0}
#: A mean month of the Julian calendar, whose year has 365.25 days.
DAYS_OF_MONTH = 365.25 / 12


def unit_of(text: str) -> TimeUnit | None:
    """The unit that a model's unit of time is, None where it is none of the clock and the calendar.

    >>> unit_of("Weeks"), unit_of("yr"), unit_of("Generation"), unit_of("d")
    ('week', 'year', None, 'day')
    """
    word = text.strip().casefold().rstrip(".")
    return _WORDS.get(word) or _LETTERS.get(word)


def unit_in(name: str) -> TimeUnit | None:
    """The unit that a column's name says, the first where it says several; None where it says none.

    >>> unit_in("Week"), unit_in("t (d)"), unit_in("time_wk"), unit_in("dayOfYear"), unit_in("daylight")
    ('week', 'day', 'week', 'day', None)
    """
    for bracketed in re.findall(r"[(\[]([^)\]]*)[)\]]", name):
        unit = unit_of(bracketed)
        if unit is not None:
            return unit
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    parts = [part for part in re.split(r"[\W\d_]+", split.casefold()) if part]
    return next((_WORDS[part] for part in parts if part in _WORDS), None)


def length(unit: TimeUnit, of: TimeUnit) -> float:
    """How many of the second unit one of the first is; a month is taken as a twelfth of 365.25 days.

    >>> length("week", "day"), length("month", "year"), length("month", "day")
    (7.0, 0.08333333333333333, 30.4375)
    """
    if unit in _MONTHS and of in _MONTHS:
        return _MONTHS[unit] / _MONTHS[of]
    return _in_days(unit) / _in_days(of)


def is_exact(unit: TimeUnit, of: TimeUnit) -> bool:
    """Whether all of one unit are as long as each other in the other one.

    >>> is_exact("week", "day"), is_exact("month", "day")
    (True, False)
    """
    return (unit in _MONTHS) == (of in _MONTHS)


def _in_days(unit: TimeUnit) -> float:
    return _MONTHS[unit] * DAYS_OF_MONTH if unit in _MONTHS else _DAYS[unit]
