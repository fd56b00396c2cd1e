"""A study's dates as model time: decimal years by :func:`cipark_sd.timegrid.decimal_year`, or days and weeks."""

import datetime
import math
from dataclasses import dataclass
from typing import Literal, assert_never

from cipark_sd.timegrid import decimal_year, number_or_date

Unit = Literal["day", "week", "decimal year"]


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
        found = number_or_date(text)
        if isinstance(found, float):
            return found
        match self.unit:
            case "decimal year":
                return decimal_year(found)
            case "day" | "week":
                if self.origin is None:
                    raise ValueError("no origin")
                days = (found - self.origin).days
                return float(days) if self.unit == "day" else days / 7
            case _:
                assert_never(self.unit)

    def label(self, time: float) -> str:
        """The date whose end a model time is, as people write it; the number itself where it is no date.

        >>> Calendar().label(2018.0), Calendar().label(2019.9014), Calendar().label(12.5)
        ('2017-12-31', '2019-11-25', '12.5')
        """
        date: datetime.date | None = None
        match self.unit:
            case "decimal year":
                # a model that counts years from some start of its own has no dates
                if 1500 < time < 2500:
                    first = datetime.date(math.ceil(time) - 1, 1, 1)
                    days = decimal_days(first.year)
                    date = first + datetime.timedelta(days=round((time - first.year) * days) - 1)
            case "day" | "week":
                if self.origin is not None:
                    date = self.origin + datetime.timedelta(days=round(time if self.unit == "day" else 7 * time))
            case _:
                assert_never(self.unit)
        if date is None or abs(self.model_time(date.isoformat()) - time) > 0.01:
            return f"{time:g}"
        return date.isoformat()


def decimal_days(year: int) -> int:
    """Days of a year."""
    return (datetime.date(year + 1, 1, 1) - datetime.date(year, 1, 1)).days
