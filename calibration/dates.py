"""Dates as model time; the only place where a calendar date becomes a number."""

import datetime
import math
from dataclasses import dataclass
from typing import Literal, assert_never

Unit = Literal["day", "week", "decimal year"]


def decimal_year(date: datetime.date) -> float:
    """The end of ``date`` as a decimal year.

    A count reported for a day includes what happened on that day, and the count of 31 December closes the year.

    >>> decimal_year(datetime.date(2019, 12, 31))
    2020.0
    >>> round(decimal_year(datetime.date(2019, 11, 26)), 4)
    2019.9041
    """
    first = datetime.date(date.year, 1, 1)
    days = (datetime.date(date.year + 1, 1, 1) - first).days
    return date.year + ((date - first).days + 1) / days


@dataclass(frozen=True, slots=True)
class Calendar:
    """How a study's dates become model time.

    ``decimal year`` needs no origin; ``day`` and ``week`` count from the origin, which is time 0.
    """

    unit: Unit = "decimal year"
    origin: datetime.date | None = None

    def model_time(self, text: str) -> float:
        """A number as it stands, an ISO date (``2019-11-26``) by the rule of this calendar.

        Raises
        ------
        ValueError
            For anything else.
        """
        try:
            number = float(text)
        except ValueError:
            date = datetime.date.fromisoformat(text.strip())
        else:
            if not math.isfinite(number):
                raise ValueError(text)
            return number
        match self.unit:
            case "decimal year":
                return decimal_year(date)
            case "day" | "week":
                if self.origin is None:
                    raise ValueError("no origin")
                days = (date - self.origin).days
                return float(days) if self.unit == "day" else days / 7
            case _:
                assert_never(self.unit)
