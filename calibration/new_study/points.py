"""At which point of a row's period a level is: what headers and titles say of it."""

import re
from typing import Literal

from calibration.study.time_units import TimeUnit, unit_of

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
    """
    for point, patterns in _SAYS.items():
        for pattern in patterns:
            phrase = re.search(pattern, text, re.IGNORECASE)
            if phrase and period == (unit_of(phrase["unit"]) if "unit" in phrase.groupdict() else "year"):
                return point
    return None
