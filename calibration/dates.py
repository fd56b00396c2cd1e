"""A study's dates as model time: decimal years by :func:`cipark_sd.timegrid.decimal_year`, or days and weeks."""

import datetime
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
