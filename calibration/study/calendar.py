"""A study's dates as model time: decimal years (:func:`cipark_sd.base.timegrid.decimal_year`), or units from an origin.

Units of time are those of models and tables, in their words; how long one is in another.
"""

import calendar
import datetime
import math
import re
from dataclasses import dataclass
from typing import Literal

from cipark_sd.base.timegrid import CalendarYears, decimal_year, end_of, number_or_date
from cipark_sd.base.wording import TIME_UNITS, TimeUnit

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
    "s": "second", "h": "hour", "d": "day", "w": "week", "q": "quarter", "y": "year", "a": "year",
}  # fmt: skip
#: Days of a unit, and months of those that the calendar makes unequal.
_DAYS: dict[TimeUnit, float] = {"second": 1 / 86400, "minute": 1 / 1440, "hour": 1 / 24, "day": 1.0, "week": 7.0}
MONTHS: dict[TimeUnit, int] = {"month": 1, "quarter": 3, "year": 12}
#: A mean month of the Julian calendar, whose year has 365.25 days.
DAYS_OF_MONTH = 365.25 / 12


def time_unit_of(text: str) -> TimeUnit | None:
    """The unit that a model's unit of time is, None where it is none of the clock and the calendar.

    >>> time_unit_of("Weeks"), time_unit_of("yr"), time_unit_of("Generation"), time_unit_of("d")
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
        unit = time_unit_of(bracketed)
        if unit is not None:
            return unit
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    parts = [part for part in re.split(r"[\W\d_]+", split.casefold()) if part]
    return next((_WORDS[part] for part in parts if part in _WORDS), None)


def length(unit: TimeUnit, of: TimeUnit) -> float:
    """How many of one unit another one is.

    >>> length("week", "day"), length("month", "year"), length("month", "day")
    (7.0, 0.08333333333333333, 30.4375)

    Parameters
    ----------
    unit, of : TimeUnit
        A month is taken as a twelfth of 365.25 days.

    Returns
    -------
    float
        ``unit`` counted in ``of``.
    """
    if unit in MONTHS and of in MONTHS:
        return MONTHS[unit] / MONTHS[of]
    return _in_days(unit) / _in_days(of)


def is_exact(unit: TimeUnit, of: TimeUnit) -> bool:
    """Whether all of one unit are as long as each other in another one.

    >>> is_exact("week", "day"), is_exact("month", "day")
    (True, False)
    """
    return (unit in MONTHS) == (of in MONTHS)


def _in_days(unit: TimeUnit) -> float:
    return MONTHS[unit] * DAYS_OF_MONTH if unit in MONTHS else _DAYS[unit]


Unit = Literal[TimeUnit, "decimal year"]
UNITS: tuple[Unit, ...] = (*TIME_UNITS, "decimal year")
#: How many of the shorter units a day is.
_A_DAY = {"second": 86400, "minute": 1440, "hour": 24, "day": 1}
#: Model time between a date and what its label says, up to which the label is the date.
_NEAR = 0.01


@dataclass(frozen=True, slots=True)
class Calendar:
    """How a study's dates become model time.

    ``decimal year`` needs no origin; the other units count from the origin, which is time 0. A month is a month of the
    calendar, whatever its length, and a day within it a share of it. ``model_unit`` is that of the model's time, None
    where its file does not say one.
    """

    unit: Unit = "decimal year"
    origin: datetime.date | None = None
    model_unit: TimeUnit | None = None

    def clash(self, column: str, text: str) -> str | None:
        """Why an entry of a column of times cannot stand for model time, in words; None where nothing is against it.

        A number stands as it is, so the column's name may not say another unit than the model's.

        >>> Calendar(model_unit="day").clash("Week", "3")
        "model time, in days: the model counts days, and 'Week' is a column of weeks"
        """
        if self.model_unit is None:
            return None
        try:
            is_number = isinstance(number_or_date(text), float)
        except ValueError:
            return None
        theirs = unit_in(column)
        if is_number and theirs is not None and theirs != self.model_unit:
            counted = f"{self.model_unit}s"
            return f"model time, in {counted}: the model counts {counted}, and {column!r} is a column of {theirs}s"
        counted = "year" if self.unit == "decimal year" else self.unit
        if not is_number and counted != self.model_unit:
            return f'[dates] with unit = "{self.model_unit}" and an origin: the model counts {self.model_unit}s'
        return None

    def model_time(self, text: str) -> float:
        """A number as it stands, an ISO date (``2019-11-26``) by the rule of this calendar.

        Raises
        ------
        ValueError
            For anything else.
        """
        value = number_or_date(text)
        return value if isinstance(value, float) else self.time_of(value)

    def time_of(self, date: datetime.date) -> float:
        """Model time of a date.

        >>> Calendar("month", datetime.date(2020, 1, 31)).time_of(datetime.date(2020, 3, 31))
        2.0

        Raises
        ------
        ValueError
            For a calendar that lacks its origin.
        """
        if self.unit == "decimal year":
            return decimal_year(date)
        if self.origin is None:
            raise ValueError("no origin")
        match self.unit:
            case "second" | "minute" | "hour" | "day":
                return float((date - self.origin).days * _A_DAY[self.unit])
            case "week":
                return (date - self.origin).days / 7
            case "month" | "quarter":
                return (_months(date) - _months(self.origin)) / MONTHS[self.unit]
            case "year":
                return decimal_year(date) - decimal_year(self.origin)

    def label(self, time: float) -> str:
        """The date whose end a model time is, as people write it; the number itself where it is no date.

        >>> Calendar().label(2018.0), Calendar().label(2019.9014), Calendar().label(12.5)
        ('2017-12-31', '2019-11-25', '12.5')
        """
        date = self.date_at(time)
        if date is None or abs(self.time_of(date) - time) > _NEAR:
            return f"{time:g}"
        return date.isoformat()

    def date_at(self, time: float) -> datetime.date | None:
        """The date whose end a model time is; None where there is none."""
        origin = self.origin
        try:
            match self.unit:
                case "decimal year":
                    return CalendarYears().date_at(time) if self.model_unit in (None, "year") else None
                case _ if origin is None:
                    return None
                case "second" | "minute" | "hour" | "day":
                    return origin + datetime.timedelta(days=round(time / _A_DAY[self.unit]))
                case "week":
                    return origin + datetime.timedelta(days=round(7 * time))
                case "month" | "quarter":
                    return _after_months(_months(origin) + MONTHS[self.unit] * time)
                case "year":
                    return end_of(decimal_year(origin) + time)
        except (ValueError, OverflowError):
            # beyond the years that dates have
            return None


def _months(date: datetime.date) -> float:
    """The end of a date in months since the start of the calendar: the last day of a month is a whole number."""
    days = calendar.monthrange(date.year, date.month)[1]
    return 12 * (date.year - 1) + date.month - 1 + date.day / days


def _after_months(months: float) -> datetime.date:
    """The date whose end that is; undoes :func:`_months`."""
    whole = math.ceil(months - 1e-9) - 1
    year, month = 1 + whole // 12, 1 + whole % 12
    days = calendar.monthrange(year, month)[1]
    return datetime.date(year, month, min(max(round((months - whole) * days), 1), days))
