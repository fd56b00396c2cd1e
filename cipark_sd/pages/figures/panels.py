"""What figures share: palette, letters and width of a printed page, panels, bands, and the axis of time.

Matplotlib is imported when the first figure is drawn, and its global settings stay untouched.
"""

import datetime
import functools
import math
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count, repeat
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np

from cipark_sd.analysis.sensitivities.ranking import Moment
from cipark_sd.base.arrays import Array
from cipark_sd.base.timegrid import Dates, calendar_years
from cipark_sd.base.wording import labelled
from cipark_sd.pages.figures.files import drawing

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")

#: Okabe and Ito's palette (2008), which people with colour-vision deficiencies can tell apart; black is for the data.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
#: Inches across two columns of a journal's page.
WIDTH = 7.2
#: Letters in points, for print at that width.
SMALL, TINY = 7, 6.5
_STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.labelsize": 7.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    # names come from models, and a dollar sign in them begins no formula
    "text.parse_math": False,
}


#: Okabe and Ito's colours without the yellow, which is faint as a line, then darker ones of Tol's muted scheme (2021):
#: a factor keeps its colour in all panels.
COLOURS = (*PALETTE[:6], "#332288", "#882255", "#999933", "#661100", "#117733", "#AA4499", "#44AA99", "#888888")
#: Factors that have a colour of their own in a panel; the others are shown together.
SHOWN = 6
#: Rows of a tornado.
ROWS = 14
REST = "0.82"
_NOTE: Any = {"fontsize": TINY, "color": "0.35"}
#: Characters of the line under a figure, by its width, and of a title above one of so many columns.
_LETTERS_AN_INCH, _TITLE_LINE = 17.8, {1: 90, 2: 38, 3: 32}
#: Months and days between ticks of the axis of time, from the finest on.
_MONTHS, _DAYS = (1, 2, 3, 6), (1, 2, 7, 14)
#: Width of a label of a year, in those of a month and of a day: so many fewer of them have room.
_WIDER = {"year": 1.0, "month": 1.6, "day": 2.2}
#: The shortest axis with ticks at the same days of every month, in days.
_MONTHLY = 100


def styled(draw: "Callable[P, Figure]") -> "Callable[P, Figure]":
    """A function that draws a figure, with letters and lines for a printed page."""
    return _under(_STYLE, draw)


def plain(draw: "Callable[P, Figure]") -> "Callable[P, Figure]":
    """A function that draws a figure as matplotlib does by itself."""
    return _under({}, draw)


def _under(settings: Mapping[str, Any], draw: "Callable[P, Figure]") -> "Callable[P, Figure]":
    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> "Figure":
        with drawing(settings):
            return draw(*args, **kwargs)

    return drawn


#: Shares of the draws below the ends of an interval, the outer one first, with the median in the middle.
ENDS = (0.05, 0.25, 0.5, 0.75, 0.95)


def grid(
    rows: int, columns: int, height: float, *, width: float = WIDTH, letters: float | None = SMALL, **options: Any
) -> "tuple[Figure, np.ndarray[Any, Any]]":
    """A figure of panels, which a notebook shows as well; every figure of a page is made here.

    Parameters
    ----------
    rows, columns : int
        Of its panels.
    height, width : float
        Of the figure, in inches.
    letters : float, optional
        Points of the numbers at ticks; None for those of the style where ticks are made.
    options
        Of :meth:`matplotlib.figure.Figure.subplots`.

    Returns
    -------
    (Figure, (rows, columns))
        And its panels.
    """
    from cipark_sd.pages.figures.shown import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, **options)
    for axes in panels.ravel() if letters else ():
        # ticks that are made when the figure is drawn do not know the style any more
        axes.tick_params(labelsize=letters)
    return figure, panels


def titled(axes: "Axes", text: str, *, columns: int = 1) -> None:
    """Put a title above a panel, in as many lines as it needs.

    Parameters
    ----------
    columns : int
        Panels beside each other.
    """
    axes.set_title(textwrap.fill(text, _TITLE_LINE.get(columns, 28)), loc="left")


def timed(panels: "Iterable[Axes]", dataset: "xr.Dataset | xr.DataArray", *, most: int = 6) -> str:
    """Put the axis of time on panels.

    Parameters
    ----------
    dataset : Dataset or DataArray
        Its coordinate ``time`` has the units.
    most : int
        Years with a tick, at most.

    Returns
    -------
    str
        The label of the axis.
    """
    times, axis = dataset["time"].to_numpy(), of_units(dataset["time"].attrs.get("units"))
    return [axis.on(axes, float(times[0]), float(times[-1]), most=most) for axes in panels][-1]


def note(figure: "Figure", text: str) -> None:
    """Put a small line under a figure, or as many as its width needs."""
    figure.supxlabel(textwrap.fill(text, int(_LETTERS_AN_INCH * figure.get_figwidth())), **_NOTE)


def made(dataset: "xr.Dataset") -> str:
    """How a result was made, for the line under its figure."""
    facts = dataset.attrs
    return (
        ", ".join(f"{facts[key]} {key}" for key in ("rows", "draws", "runs") if key in facts)
        + f", seed {facts['seed']}"
    )


def strongest(at: "xr.Dataset", index: str, count: int) -> list[int]:
    """Positions of the factors with the largest index of one output, strongest first.

    The mean over time weighs each instant with the output's standard deviation: what moves next to nothing counts next
    to nothing.

    Parameters
    ----------
    at : Dataset
        Of one output, over ``parameter`` and ``time``, with its ``variance``.
    index : str
        The name of the index.
    """
    values = at[index].transpose("parameter", "time").to_numpy()
    weights = np.sqrt(np.nan_to_num(at["variance"].to_numpy()))
    mean = (np.clip(np.where(np.isfinite(values), values, 0.0), 0, 1) * weights).mean(axis=1)
    return [int(i) for i in np.argsort(-mean, kind="stable")[:count]]


def largest(values: Array, count: int) -> list[int]:
    """Positions of the largest values, what is no number last.

    Parameters
    ----------
    values : (n,)

    Returns
    -------
    list of int
        The largest first.
    """
    return [int(i) for i in np.argsort(-np.where(np.isfinite(values), values, -np.inf), kind="stable")[:count]]


def colours(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name, in the order in which they come."""
    distinct = dict.fromkeys(names)
    return {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(distinct)}


def by_moment(
    dataset: "xr.Dataset",
    moments: Sequence[Moment],
    height: float,
    draw: "Callable[[Axes, xr.Dataset], None]",
    **how: Any,
) -> "tuple[Figure, np.ndarray[Any, Any]]":
    """A row of panels for each output and a column for each moment, with their titles.

    Parameters
    ----------
    dataset : Dataset
        Over ``output`` and ``time``.
    height : float
        Of a row, in inches.
    draw : function
        Draws one output at the computed time nearest to a moment.
    how
        As the options of :func:`grid`.

    Returns
    -------
    (Figure, (n_outputs, n_moments))
        And its panels.
    """
    outputs = outputs_of(dataset)
    figure, panels = grid(len(outputs), len(moments), 0.5 + height * len(outputs), **how)
    for row, output in enumerate(outputs):
        for axes, moment in zip(panels[row], moments, strict=True):
            draw(axes, dataset.sel(output=output).sel(time=moment.time, method="nearest"))
            titled(axes, f"{output}, {moment.label}", columns=len(moments))
    return figure, panels


def outputs_of(dataset: "xr.Dataset | xr.DataArray") -> list[str]:
    """Labels of the outputs."""
    return [str(name) for name in dataset["output"].to_numpy()]


def names_of(dataset: "xr.Dataset", positions: Sequence[int]) -> list[str]:
    """Names of factors by position.

    Parameters
    ----------
    dataset : Dataset
        Over ``parameter``.
    """
    names = dataset["parameter"].to_numpy()
    return [str(names[i]) for i in positions]


def interval(
    axes: "Axes",
    row: float,
    ends: Sequence[float] | Array,
    colour: str,
    *,
    thick: float = 4,
    dot: float = 4,
    label: bool = False,
) -> None:
    """A thin bar from the first of :data:`ENDS` to the last, a thick one between, and a dot at the median.

    Parameters
    ----------
    row : float
        Its height.
    ends : (5,)
    thick : float
        Of the thick bar, in points.
    dot : float
        Its size; 0 for none.
    label : bool
        Whether the bars stand in the legend.
    """
    low90, low50, median, high50, high90 = ends
    axes.hlines(row, low90, high90, color=colour, linewidth=1, zorder=3, label="90%" if label else "")
    axes.hlines(row, low50, high50, color=colour, linewidth=thick, zorder=3, label="50%" if label else "")
    if dot:
        axes.plot(median, row, "o", color="white", markeredgecolor=colour, markersize=dot, zorder=4)


def bands(
    axes: "Axes", times: Array, ends: "Sequence[Array] | Array", colour: str, tints: Mapping[str, float], **line: Any
) -> None:
    """A line with bands around it.

    Parameters
    ----------
    times : (n_times,)
    ends : (5, n_times)
        Of the :data:`ENDS`.
    tints : mapping of str to float
        By what the legend says of each band, the wider one first, how opaque it is; a label that begins with ``_``
        stands in no legend.
    line
        Of :meth:`matplotlib.axes.Axes.plot`, for the median.
    """
    low90, low50, middle, high50, high90 = ends
    for (label, tint), edges in zip(tints.items(), ((low90, high90), (low50, high50)), strict=True):
        axes.fill_between(times, *edges, color=colour, alpha=tint, linewidth=0, label=label)
    axes.plot(times, middle, color=colour, **line)


def stacked(
    axes: "Axes",
    times: Array,
    heights: Iterable[Array],
    colours: Iterable[str],
    labels: Iterable[str] = (),
    **options: Any,
) -> Array:
    """Areas one above the other, from zero.

    Parameters
    ----------
    times : (n_times,)
    heights : iterable of (n_times,)
        Negative ones go downwards.
    colours : iterable of str
        One for each, or more.
    labels : iterable of str
        Of the first ones, for the legend.
    options
        Of :meth:`matplotlib.axes.Axes.fill_between`.

    Returns
    -------
    (n_times,)
        Where the last one ends.
    """
    level, how = np.zeros(len(times)), {"alpha": 0.8, "linewidth": 0, **options}
    for height, colour, label in zip(heights, colours, chain(labels, repeat("")), strict=False):
        axes.fill_between(times, level, level + height, color=colour, label=label, **how)
        level = level + height
    return level


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

        ticks = list(_date_ticks(first, last, self.dates, most)) if self.dates is not None else []
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


def _date_ticks(first: float, last: float, dates: Dates, most: int) -> Iterator[tuple[float, str]]:
    """Times of ticks with what they are called: where a year or a month begins, or a day.

    >>> from cipark_sd.base.timegrid import calendar_years
    >>> years = calendar_years("Year")
    >>> [text for _, text in _date_ticks(2009.5, 2020.0, years, 6)]
    ['2010', '2012', '2014', '2016', '2018', '2020']
    >>> [text for _, text in _date_ticks(2019.0, 2019.9, years, 9)]
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
    steps: Iterator[int] = (step * 10**power for power in count() for step in (1, 2, 5))
    return next(step for step in steps if step >= least)
