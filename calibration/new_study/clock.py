"""The model time that each entry of a table's column of times stands for: the units of both agree, or are converted.

The window of a flow is as long as the header of its column, or of the times, says; else it goes from row to row.
"""

import datetime
import math
import re
from dataclasses import dataclass, replace
from typing import Literal

from calibration.new_study.columns import Axis, plain
from calibration.new_study.dates import is_year
from calibration.study.calendar import Calendar, is_exact, length, time_unit_of, unit_in
from cipark_sd.base.errors import CiparkError, InvalidValue
from cipark_sd.base.inputs import number_in
from cipark_sd.base.wording import TIME_UNITS, TimeUnit
from cipark_sd.model.model import Model


@dataclass(frozen=True)
class Clock:
    """How the entries of an axis become model time.

    ``calendar`` is None where the times are numbers, which are multiplied by ``factor`` before ``shift`` is added.
    ``starts`` says that a flow's window begins at its entry, and does not end there. ``note`` says in words what was
    assumed.
    """

    calendar: Calendar | None
    note: str
    factor: float = 1.0
    shift: float = 0.0
    starts: bool = False

    def time(self, number: float) -> float:
        """Model time of a number."""
        return number * self.factor + self.shift

    def spelled(self, axis: Axis, time: float) -> tuple[str, float]:
        """A time of an axis as a study writes it, and as model time."""
        if self.calendar is None or not axis.dated:
            return plain(round(self.time(time), 10)), self.time(time)
        date = datetime.date.fromordinal(int(time))
        return date.isoformat(), self.calendar.time_of(date)


def model_unit(model: Model, chosen: TimeUnit | None) -> TimeUnit | None:
    """The unit of the model's time: of its file, else the ``chosen`` one; None where neither says one.

    Raises
    ------
    InvalidValue
        Where both do and differ.
    """
    counted = time_unit_of(model.time.units)
    if counted is not None and chosen is not None and counted != chosen:
        expected = f"{counted}, which is the model's unit of time in {model.name}: {model.time.units}; leave --unit out"
        raise InvalidValue("--unit", chosen, expected, where="new-study")
    return counted or chosen


def clock(model: Model, axis: Axis, chosen: TimeUnit | None, origin: str | None, *, windows: bool) -> Clock:
    """The clock of a model for an axis.

    ``chosen`` is what one unit of model time is, where the model's file does not say, and ``origin`` the entry at which
    the run starts. With ``windows`` data are of windows: where they start with the run, a level is at its window's end.

    Raises
    ------
    InvalidValue
        Where the unit of either is not known, or the data do not lie in the run, with what to write.
    """
    if axis.dated:
        return _of_dates(model, axis, chosen, origin, windows)
    return _of_numbers(model, axis, model_unit(model, chosen), origin, windows)


def calendar_years(axis: Axis, model: Model, chosen: TimeUnit | None) -> Axis:
    """Years of the calendar as dates, where the model counts in another unit; any other axis as it is.

    ``chosen`` is what the user says that one unit of model time is. The dates are the last days of the years.
    """
    unit = model_unit(model, chosen)
    if not axis.years or unit_in(axis.column) != "year" or unit in (None, "year"):
        return axis
    days = tuple(float(datetime.date(int(year), 12, 31).toordinal()) for year in axis.times)
    return replace(axis, times=days, dated=True, periods=True)


def _of_numbers(model: Model, axis: Axis, unit: TimeUnit | None, origin: str | None, windows: bool) -> Clock:
    initial, final = model.time.initial, model.time.final
    theirs, first = unit_in(axis.column), axis.times[0]
    if theirs == "year" and unit is None and is_year(initial) and any(initial <= n <= final for n in axis.times):
        unit = "year"
    if theirs is not None and unit is None:
        raise _no_unit(model, f"{axis.column!r} counts {theirs}s", theirs)
    factor = 1.0 if theirs is None or unit is None else length(theirs, unit)
    # a year of the calendar is that year and not the one before it
    named = axis.years and unit in (None, "year") and theirs in (None, "year") and is_year(initial)
    named = named and (axis.gap == 1 or theirs == "year")
    starts = axis.edge == "start" or (not axis.edge and (named or (windows and first * factor == initial)))
    shift, moved = 0.0, ""
    if origin is not None:
        at = number_in(origin)
        if math.isnan(at):
            raise InvalidValue("--origin", origin, f"a number, as {axis.column!r} holds", where="new-study")
        shift, moved = initial - factor * at, f"; the run starts at {axis.column} {origin}"
    elif not any(initial <= number * factor <= final for number in axis.times):
        if not (theirs == unit == "year" and is_year(first) and not is_year(initial)):
            raise _outside(model, axis, unit, factor)
        # years of the calendar for a run that counts years from its own start
        shift = initial + (axis.gap if windows and not starts else 0.0) - first
        moved = f"; none lies within the run, {initial:g} to {final:g}: the data start with the run"
    return Clock(None, _clock_words(model, axis, theirs, unit, (factor, shift), starts) + moved, factor, shift, starts)


def _clock_words(
    model: Model, axis: Axis, theirs: TimeUnit | None, unit: TimeUnit | None, line: tuple[float, float], starts: bool
) -> str:
    """What the numbers were taken for, such as: Week 1 is days 0 to 7 of the model."""
    column, (factor, shift) = axis.column, line
    if theirs is None or unit is None:
        return f"{column} is taken for the model's own time" + (f", in {model.time.units}" if model.time.units else "")
    if theirs == unit:
        return f"{column} is the model's own time, in {unit}s"
    first = axis.times[0]
    low, high = (first, first + axis.gap) if starts else (first - axis.gap, first)
    ends = f"{low * factor + shift:.6g} to {high * factor + shift:.6g}"
    mean = "" if is_exact(theirs, unit) else f"; a {theirs} is taken as {length(theirs, 'day'):g} days"
    return f"{column} counts {theirs}s, the model {unit}s: {column} {first:g} is {unit}s {ends} of the model{mean}"


def _no_unit(model: Model, shown: str, likely: TimeUnit) -> CiparkError:
    """The table has a unit of time and the model none that it can be converted to."""
    counts = f"counts in {model.time.units!r}" if model.time.units else "names no unit of time"
    further = ", ".join(unit for unit in TIME_UNITS if unit != likely)
    return CiparkError(
        f"new-study: {shown}, and the model {model.name} {counts}; write --unit {likely} where one unit of model time "
        f"is a {likely}, or --unit with another of {further}"
    )


def _outside(model: Model, axis: Axis, unit: TimeUnit | None, factor: float) -> CiparkError:
    """No entry lies within the run: whether the run goes on or the data start with it is for the user to say."""
    initial, final, column = model.time.initial, model.time.final, axis.column
    units = f" {unit}s" if unit else ""
    span = "" if factor == 1.0 else f" ({column} {initial / factor:.6g} to {final / factor:.6g})"
    shown = f"{column!r}, {axis.times[0]:g} to {axis.times[-1]:g}, lies within the model's run"
    inside = f"--origin {initial / factor:.6g} where they are the model's own time and the run continues to them"
    ways = [inside] if axis.times[0] * factor > final else []
    ways.append(f"--origin {axis.times[0] - axis.gap:.6g} where the run starts one step before them")
    return CiparkError(
        f"new-study: no {shown}, {initial:g} to {final:g}{units}{span}; say with --origin at which {column} the run "
        f"starts: {', or '.join(ways)}"
    )


def _of_dates(model: Model, axis: Axis, chosen: TimeUnit | None, origin: str | None, windows: bool) -> Clock:
    initial, unit = model.time.initial, model_unit(model, chosen)
    if unit in (None, "year") and is_year(initial):
        if origin is not None:
            expected = "nothing: the model runs in calendar years, which give each date its time"
            raise InvalidValue("--origin", origin, expected, where="new-study")
        return Clock(Calendar(), "the model runs in calendar years; a date means its end", starts=axis.edge == "start")
    if unit is None:
        spaced = f"a {axis.period}" if axis.period else f"{axis.gap:g} days"
        likely = axis.period or unit_in(axis.column) or "day"
        raise _no_unit(model, f"{axis.column!r} holds dates {spaced} apart", likely)
    _check_months(model, axis, unit, chosen)
    starts = axis.edge == "start"
    start = datetime.date.fromordinal(int(axis.before(axis.times[0]) if windows and not starts else axis.times[0]))
    if origin is not None:
        try:
            start = datetime.date.fromisoformat(origin)
        except ValueError:
            expected = f"a date such as {axis.dates[0].isoformat()}"
            raise InvalidValue("--origin", origin, expected, where="new-study") from None
    beginning = f"the run's initial time {initial:g} is the end of {start.isoformat()}"
    why = "" if origin is not None else ", so that the data start with the run"
    zero = Calendar(unit, start).date_at(-initial)
    if zero is None:
        expected = f"one that is a date where {start.isoformat()} is the start"
        raise InvalidValue("the model's initial time", initial, expected, where="new-study")
    return Clock(Calendar(unit, zero), f"one unit of model time is a {unit}; {beginning}{why}", starts=starts)


def _check_months(model: Model, axis: Axis, unit: TimeUnit, chosen: TimeUnit | None) -> None:
    """Ask about months, which programs write where nobody chose a unit, of a run as long as the data in days."""
    run, days = model.time.final - model.time.initial, axis.times[-1] - axis.times[0]
    if unit != "month" or chosen or axis.gap != 1 or not 0 < days * length("day", "month") * days < run**2:
        return
    raise CiparkError(
        f"new-study: {axis.column!r} has {days + 1:g} days, and the model {model.name} runs for {run:g} months, which "
        "programs write where nobody chose a unit of time; write --unit month where months are meant, or change the "
        "model's unit of time to days"
    )


#: What a user may say: a unit, or that windows are from row to row.
Window = TimeUnit | Literal["rows"]
#: How many times as far apart as a unit rows are before its name matters: months differ by less.
APART = 1.2
_PER = re.compile(
    r"(?:\b(?:per|each|every|a|(?:in|during|over|of|for)\s+(?:the|a|each|this))\s+|/\s*)([a-z]+)\b", re.IGNORECASE
)
_ADVERBS: dict[str, TimeUnit] = {
    "daily": "day", "weekly": "week", "monthly": "month", "quarterly": "quarter", "yearly": "year", "annual": "year",
    "annually": "year",
}  # fmt: skip


def _unit_said(column: str) -> TimeUnit | None:
    """The unit of time in which a column counts what flows, by its header; None where that says none.

    >>> [_unit_said(name) for name in ("Donations per week", "Weekly donations", "births (1/yr)", "weeks")]
    ['week', 'week', 'year', None]
    """
    words = re.findall(r"[a-z]+", column.casefold())
    units = [time_unit_of(match[1]) for match in _PER.finditer(column)] + [_ADVERBS.get(word) for word in words]
    return next((unit for unit in units if unit is not None), None)


def windowed(axis: Axis, column: str, counts: TimeUnit | None, chosen: Window | None) -> Axis:
    """The axis with the windows of a column of what flows, as it was where these go from row to row.

    ``column`` is its header, empty for one that does not flow. ``counts`` is the unit in which numbers of the axis
    count, where its own name does not say.

    Raises
    ------
    CiparkError
        Where column and times say different units, and the user has not ``chosen``, with what to write.
    """
    named = unit_in(axis.column)
    theirs: TimeUnit | None = "day" if axis.dated else named or ("year" if axis.years else counts)
    if theirs is None or chosen == "rows" or (axis.started and chosen is None):
        return axis
    # the period that each entry is, such as a week; numbers are so as years of the calendar
    if axis.dated:
        named = named if named not in (None, "day") else axis.period if axis.periods else None
    elif not (axis.years and named == "year"):
        named = None
    units = [unit for unit in ((chosen,) if chosen else (_unit_said(column), named)) if unit is not None]
    # windows of less than a day are none of dates
    if not any(length(unit, "day") >= 1 and axis.gap > APART * length(unit, theirs) for unit in units):
        return axis
    if len(set(units)) > 1:
        where, (counted, of) = "from" if axis.edge == "start" else "to", units
        way, mean = f'--window "{column}={counted}"', f'--scale "{column}={length(of, counted):.4g}"'
        raise CiparkError(
            f"new-study: {column!r} is by the {counted}, and each entry of {axis.column!r} is a {of}; "
            f"write {way} where a number is of one {counted} {where} its time, or "
            f'--window "{column}={of}" where it is of the {of}, with {mean} where it is the mean of its {counted}s'
        )
    return replace(axis, window=units[0], width=length(units[0], theirs), starts=())
