"""The axis of time: years, months or days where times of a model are dates, else whole numbers with their unit."""

import datetime
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cipark_sd.base.timegrid import Dates, calendar_years
from cipark_sd.base.wording import labelled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Months and days between ticks, from the finest on.
_MONTHS, _DAYS = (1, 2, 3, 6), (1, 2, 7, 14)
#: Width of a label of a year, in those of a month and of a day: so many fewer of them have room.
_WIDER = {"year": 1.0, "month": 1.6, "day": 2.2}
#: The shortest axis with ticks at the same days of every month, in days.
_MONTHLY = 100


@dataclass(frozen=True)
class TimeAxis:
    """How an axis of time is drawn.

    Parameters
    ----------
    label : str
        Of the axis where times are no dates.
    dates : Dates or None
        Where they are.
    """

    label: str
    dates: Dates | None = None

    def on(self, axes: "Axes", first: float, last: float, *, most: int = 9) -> str:
        """Put ticks on an axis that goes from ``first`` to ``last``, at most ``most`` years; the label of the axis.

        What describes the figure in words then writes its times in the same way.
        """
        from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator

        ticks = list(date_ticks(first, last, self.dates, most)) if self.dates is not None else []
        if len(ticks) < 2:
            # quarters of a unit would make 2012.5 out of whole numbers
            whole = last - first >= 2
            axes.xaxis.set_major_locator(MaxNLocator(nbins=most, steps=[1, 2, 5, 10], integer=whole))
            return self.label
        axes.xaxis.set_major_locator(FixedLocator([time for time, _ in ticks]))
        axes.xaxis.set_major_formatter(FixedFormatter([text for _, text in ticks]))
        axes.fmt_xdata = self._written
        return "Year" if len(ticks[0][1]) == 4 else "Date"

    def _written(self, time: float) -> str:
        date = None if self.dates is None else self.dates.date_at(time)
        return f"{time:g}" if date is None else date.isoformat()


def of_units(units: object) -> TimeAxis:
    """The axis of a model's time in these units.

    >>> of_units("Year").dates is not None, of_units("Day").label, of_units("").label
    (True, 'Time [Day]', 'Time')
    """
    return TimeAxis(labelled("Time", units), calendar_years(str(units or "").strip()))


def date_ticks(first: float, last: float, dates: Dates, most: int) -> Iterator[tuple[float, str]]:
    """Times of ticks with what they are called: where a year or a month begins, or a day.

    >>> from cipark_sd.base.timegrid import calendar_years
    >>> years = calendar_years("Year")
    >>> [text for _, text in date_ticks(2009.5, 2020.0, years, 6)]
    ['2010', '2012', '2014', '2016', '2018', '2020']
    >>> [text for _, text in date_ticks(2019.0, 2019.9, years, 9)]
    ['2019-01', '2019-04', '2019-07', '2019-10']
    """
    begin, end = dates.date_at(first), dates.date_at(last)
    if begin is None or end is None:
        return
    day = datetime.timedelta(days=1)
    for date, text in _marks(begin, end, most):
        # a year or a month begins where the day before it ends; a day stands where it ends, as its numbers do
        time = dates.time_of(date if len(text) == 10 else date - day)
        if first <= time <= last:
            yield time, text


def _marks(begin: datetime.date, end: datetime.date, most: int) -> Iterator[tuple[datetime.date, str]]:
    years, days = end.year - begin.year + 1, (end - begin).days
    room = {kind: max(2, int(most / wider)) for kind, wider in _WIDER.items()}
    months = 12 * years
    if years > 3:
        stride = _round(years / room["year"])
        for year in range(stride * math.ceil(begin.year / stride), end.year + 2, stride):
            yield datetime.date(year, 1, 1), f"{year}"
    elif days > _MONTHLY:
        stride = next((s for s in _MONTHS if days / 30.4 / s <= room["month"]), 12)
        for month in range(0, months + 1, stride):
            date = datetime.date(begin.year + month // 12, month % 12 + 1, 1)
            yield date, f"{date:%Y-%m}"
    else:
        stride = next((s for s in _DAYS if days / s <= room["day"]), 28)
        for number in range(0, days + 1, stride):
            date = begin + datetime.timedelta(days=number)
            yield date, date.isoformat()


def _round(least: float) -> int:
    """The smallest of 1, 2, 5, 10, 20, 50, ... that is not below it."""
    scale = 1
    while True:
        for step in (1, 2, 5):
            if step * scale >= least:
                return step * scale
        scale *= 10
