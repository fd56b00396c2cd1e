"""The only place where times are computed.

Every engine follows one rule: time accumulates (``t += dt``), the run stops when ``t + 1e-5 dt`` reaches the final
time, and what is saved are the steps nearest to ``t0 + k saveper``, of two equally near ones the earlier.
"""

import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cipark_sd.base.errors import InvalidValue, OffGrid
from cipark_sd.base.inputs import as_number

#: Share of a step by which a time may miss a grid point and still count as it (PySD's own constant).
SLACK = 1e-5
#: Steps of a run, at most: their times alone take 0.8 GB.
MOST_STEPS = 100_000_000
#: How a model says that it counts years.
_YEARS = ("year", "years", "yr", "a")


def decimal_year(date: datetime.date) -> float:
    """The end of ``date`` as a decimal year: a count reported for a day includes what happened on that day.

    >>> decimal_year(datetime.date(2019, 12, 31))
    2020.0
    """
    first = datetime.date(date.year, 1, 1)
    days = (datetime.date(date.year + 1, 1, 1) - first).days
    return date.year + ((date - first).days + 1) / days


def end_of(time: float) -> datetime.date:
    """The date whose end a decimal year is; undoes :func:`decimal_year`.

    >>> end_of(2020.0), end_of(2019.9014)
    (datetime.date(2019, 12, 31), datetime.date(2019, 11, 25))
    """
    first = datetime.date(math.ceil(time) - 1, 1, 1)
    days = (datetime.date(first.year + 1, 1, 1) - first).days
    return first + datetime.timedelta(days=round((time - first.year) * days) - 1)


#: Years within which a time of a model that counts years is a date; one that counts from a start of its own has none.
_CALENDAR = (1500, 2500)


class Dates(Protocol):
    """How times of a model are dates: a time is the end of its date."""

    def time_of(self, date: datetime.date) -> float:
        """Model time of the end of a date."""
        ...

    def date_at(self, time: float) -> datetime.date | None:
        """The date whose end a time is; None where it is none."""
        ...


class CalendarYears:
    """Times are decimal years."""

    def time_of(self, date: datetime.date) -> float:
        """A decimal year."""
        return decimal_year(date)

    def date_at(self, time: float) -> datetime.date | None:
        """The date, of a year that people write with four digits."""
        return end_of(time) if _CALENDAR[0] < time < _CALENDAR[1] else None


def calendar_years(units: str) -> Dates | None:
    """How times in these units are dates; None where they are none."""
    return CalendarYears() if units.strip().lower() in _YEARS else None


def time_label(time: float, units: str) -> str:
    """A model time as people write it: a date where the model counts calendar years, else the number.

    >>> time_label(2019.9014, "Year"), time_label(12.5, "Year"), time_label(2000.0, "Day")
    ('2019-11-25', '12.5', '2000')

    Parameters
    ----------
    time : in the unit of time of the model
    units : the model's unit of time
    """
    dates = calendar_years(units)
    date = None if dates is None else dates.date_at(time)
    return f"{time:.6g}" if date is None else date.isoformat()


def number_or_date(text: str) -> float | datetime.date:
    """A finite number as it stands, or an ISO date.

    >>> number_or_date("2.5"), number_or_date("2019-11-26")
    (2.5, datetime.date(2019, 11, 26))

    Raises
    ------
    ValueError
        For anything else.
    """
    try:
        number = as_number(text)
    except ValueError:
        return datetime.date.fromisoformat(text.strip())
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is not a finite number")
    return number


def model_time(text: str, units: str) -> float:
    """A number as it stands; an ISO date as a decimal year, where the model counts in years.

    >>> model_time("2016-12-31", "Year")
    2017.0

    Parameters
    ----------
    text : of a number or a date
    units : the model's unit of time

    Returns
    -------
    float
        In the unit of time of the model.

    Raises
    ------
    ValueError
        For anything else.
    """
    moment = number_or_date(text)
    if isinstance(moment, float):
        return moment
    if units.strip().lower() not in _YEARS:
        raise ValueError(f"a calendar date needs a model whose unit of time is the year, not {units!r}")
    return decimal_year(moment)


@dataclass(frozen=True)
class TimeGrid:
    """All instants of a run and which of them are saved.

    ``times : (n_steps + 1,)`` starts at the initial time; ``saved : (n_steps + 1,)`` marks the saved ones.
    """

    times: NDArray[np.float64]
    saved: NDArray[np.bool_]
    step: float
    saveper: float

    @property
    def saved_times(self) -> NDArray[np.float64]:
        """The saved instants, ascending."""
        return self.times[self.saved]

    def chosen(self, times: Sequence[float] | None, *, where: str) -> NDArray[np.bool_]:
        """Which instants are kept: all saved ones, or those of them that are asked for.

        Raises
        ------
        OffGrid
        """
        if times is None:
            return self.saved
        marks = np.zeros_like(self.saved)
        marks[np.flatnonzero(self.saved)[saved_indices(self, times, where=where)]] = True
        return marks


def time_grid(initial: float, final: float, step: float, saveper: float, *, where: str) -> TimeGrid:
    """The instants from ``initial`` to ``final``, both included.

    Parameters
    ----------
    initial, final, step, saveper : in the unit of time of the model
    where : for messages

    Returns
    -------
    TimeGrid
        Of one call for the same numbers; its arrays cannot be written to.

    Raises
    ------
    InvalidValue
        When a value is not finite, the step or save period not positive, the end before the start, the step lost in
        the rounding of the times, or when there are more than :data:`MOST_STEPS` steps; no memory is taken before.
    """
    for quantity, value in (("the initial time", initial), ("the final time", final)):
        if not math.isfinite(value):
            raise InvalidValue(quantity, value, "a finite number", where=where)
    for quantity, value in (("the time step", step), ("the save period", saveper)):
        if not (math.isfinite(value) and value > 0):
            raise InvalidValue(quantity, value, "a positive number", where=where)
    if final < initial:
        raise InvalidValue("the final time", final, f"at least the initial time {initial:g}", where=where)
    largest = max(abs(initial), abs(final))
    if final > initial and step <= math.ulp(largest) / 2:
        least = (
            f"more than {math.ulp(largest) / 2:.3g}, since {largest:.17g} and a smaller step make {largest:.17g} again"
        )
        raise InvalidValue("the time step", step, least, where=where)
    if not math.isfinite(final + 2 * step - initial):
        raise InvalidValue("the span of the run", final - initial, "a finite number", where=where)
    n_steps = (final - initial) / step
    if n_steps > MOST_STEPS:
        span = f"the number of steps from {initial:.10g} to {final:.10g} by {step:.10g}"
        shown = round(n_steps) if n_steps < 1e15 else n_steps
        raise InvalidValue(span, shown, f"at most {MOST_STEPS:,}", where=where)
    # whole numbers of Python would make an array of integers, which machine code reads as other numbers
    return _grid(float(initial), float(final), float(step), float(saveper))


@lru_cache(maxsize=64)
def _grid(initial: float, final: float, step: float, saveper: float) -> TimeGrid:
    """The grid, made once: runs one after the other nearly always share it."""
    instants = _accumulated(initial, final, step)
    saved = np.full(len(instants), saveper <= step)
    if saveper > step:
        n_periods = int((instants[-1] - initial) / saveper + SLACK)
        saved[nearest_indices(instants, initial + saveper * np.arange(n_periods + 1, dtype=np.float64))] = True
    for array in (instants, saved):
        array.flags.writeable = False
    return TimeGrid(instants, saved, step, saveper)


def _accumulated(initial: float, final: float, step: float) -> NDArray[np.float64]:
    """``t += dt`` until ``t + 1e-5 dt`` reaches the final time."""
    # two more than the quotient; where rounding makes steps shorter than that, as many again
    n_more = int((final - initial) / step) + 2
    instants = np.array([initial])
    while instants[-1] + SLACK * step < final:
        # accumulate() adds one after the other, so these are the sums of a loop, bit for bit
        further = np.add.accumulate(np.concatenate([instants[-1:], np.full(n_more, step)]))
        instants = np.concatenate([instants, further[1:]])
    return instants[: int(np.argmin(instants + SLACK * step < final)) + 1]


def nearest_indices(sorted_times: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray[np.intp]:
    """The position of the nearest of ascending times for each that is wanted, the earlier of two equally near.

    Parameters
    ----------
    sorted_times : (n,), n at least 1
    times : (m,)

    Returns
    -------
    (m,) of int
    """
    right = np.clip(np.searchsorted(sorted_times, times), 1, max(len(sorted_times) - 1, 1))
    left = right - 1
    right = np.minimum(right, len(sorted_times) - 1)
    # strictly, so that of two equally near ones it is the left
    return np.where(sorted_times[right] - times < times - sorted_times[left], right, left)


def saved_indices(grid: TimeGrid, times: Sequence[float], *, where: str) -> NDArray[np.intp]:
    """Positions among the saved times of the times asked for.

    Parameters
    ----------
    times : in the unit of time of the model
    where : for messages

    Returns
    -------
    (len(times),) of int

    Raises
    ------
    OffGrid
        When a time is not a saved one; nothing is rounded or dropped.
    """
    saved = grid.saved_times
    requested = np.asarray(times, dtype=float)
    nearest = nearest_indices(saved, requested)
    missed = ~(np.abs(saved[nearest] - requested) <= SLACK * grid.step)
    if missed.any():
        described = f"from {saved[0]:g} to {saved[-1]:g} every {grid.saveper:g}"
        raise OffGrid(requested[missed].tolist(), grid=described, where=where, nearest=saved[nearest[missed]].tolist())
    return nearest
