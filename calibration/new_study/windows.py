"""How long the window of a flow is: as the header of its column, or of the times, says; else from row to row."""

import re
from dataclasses import replace
from typing import Literal

from calibration.new_study.columns import Axis
from calibration.study.calendar import TimeUnit, length, unit_in, unit_of
from cipark_sd.errors import CiparkError

#: What a user may say: a unit, or that windows are from row to row.
Window = TimeUnit | Literal["rows"]
#: How many times as far apart as a unit rows are before its name matters: months differ by less.
APART = 1.2
#: Windows of less than a day are none of dates.
_LEAST = 1.0
_PER = re.compile(
    r"(?:\b(?:per|each|every|a|(?:in|during|over|of|for)\s+(?:the|a|each|this))\s+|/\s*)([a-z]+)\b", re.IGNORECASE
)
_ADVERBS: dict[str, TimeUnit] = {
    "daily": "day", "weekly": "week", "monthly": "month", "quarterly": "quarter", "yearly": "year", "annual": "year",
    "annually": "year",
}  # fmt: skip


def unit_said(column: str) -> TimeUnit | None:
    """The unit of time in which a column counts what flows, by its header; None where that says none.

    >>> unit_said("Donations per week"), unit_said("Weekly donations"), unit_said("births (1/yr)"), unit_said("weeks")
    ('week', 'week', 'year', None)
    """
    words = re.findall(r"[a-z]+", column.casefold())
    units = [unit_of(match[1]) for match in _PER.finditer(column)] + [_ADVERBS.get(word) for word in words]
    return next((unit for unit in units if unit is not None), None)


def _named(axis: Axis) -> TimeUnit | None:
    """The period that each entry is by its column's name, such as a week; numbers are so as years of the calendar."""
    unit = unit_in(axis.column)
    if axis.dates:
        return unit if unit not in (None, "day") else axis.period if axis.periods else None
    return "year" if axis.years and unit == "year" else None


def windowed(axis: Axis, column: str, counts: TimeUnit | None, chosen: Window | None) -> Axis:
    """The axis with the windows of a column of what flows.

    Parameters
    ----------
    counts : TimeUnit or None
        The unit in which numbers of the axis count, where its own name does not say.
    chosen : Window or None
        What the user says.

    Raises
    ------
    CiparkError
        Where column and times say different units, with what to write.
    """
    theirs: TimeUnit | None = "day" if axis.dates else unit_in(axis.column) or ("year" if axis.years else counts)
    if theirs is None or chosen == "rows" or (axis.started and chosen is None):
        return axis

    def shorter(unit: TimeUnit | None) -> bool:
        """Whether rows are further apart than such a unit."""
        return unit is not None and length(unit, "day") >= _LEAST and axis.gap > APART * length(unit, theirs)

    options = (chosen, None) if chosen else (unit_said(column), _named(axis))
    units = [unit for unit in options if unit is not None]
    if not any(map(shorter, units)):
        return axis
    if len(set(units)) > 1:
        raise _two(axis, column, *units)
    return replace(axis, window=units[0], width=length(units[0], theirs), start_dates=(), start_numbers=())


def _two(axis: Axis, column: str, counted: TimeUnit, named: TimeUnit) -> CiparkError:
    """The header of a column says one unit, and the times are of another."""
    where = "from" if axis.edge == "start" else "to"
    way, mean = f'--window "{column}={counted}"', f'--scale "{column}={length(named, counted):.4g}"'
    return CiparkError(
        f"new-study: {column!r} is by the {counted}, and each entry of {axis.column!r} is a {named}; write {way} where "
        f'a number is of one {counted} {where} its time, or --window "{column}={named}" where it is of the {named}, '
        f"with {mean} where it is the mean of its {counted}s"
    )
