"""What figures share: palette, letters and width of a printed page, and panels for outputs and moments.

Matplotlib is imported when the first figure is drawn, and its global settings stay untouched.
"""

import functools
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np

from cipark_sd.analysis.sensitivities.ranking import Moment
from cipark_sd.base.arrays import Array
from cipark_sd.pages.figures.time_axis import of_units

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


def styled(draw: "Callable[P, Figure]") -> "Callable[P, Figure]":
    """A function that draws a figure, with letters and lines for a printed page."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> "Figure":
        import matplotlib as mpl

        with mpl.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return drawn


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


def grid(rows: int, columns: int, height: float, **options: Any) -> "tuple[Figure, np.ndarray[Any, Any]]":
    """A figure as wide as a page, ``height`` inches high, and its panels as an array of two dimensions."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    panels = np.atleast_2d(np.asarray(figure.subplots(rows, columns, squeeze=False, **options)))
    for axes in panels.ravel():
        # ticks that are made when the figure is drawn do not know the style any more
        axes.tick_params(labelsize=SMALL)
    return figure, panels


def titled(axes: "Axes", text: str, *, columns: int = 1) -> None:
    """A title in as many lines as a panel among so many columns needs."""
    axes.set_title(textwrap.fill(text, _TITLE_LINE.get(columns, 28)), loc="left")


def timed(panels: "Iterable[Axes]", dataset: "xr.Dataset | xr.DataArray", *, most: int = 6) -> str:
    """Put the axis of time on panels; its label."""
    times, axis = dataset["time"].to_numpy(), of_units(dataset["time"].attrs.get("units"))
    return [axis.on(axes, float(times[0]), float(times[-1]), most=most) for axes in panels][-1]


def note(figure: "Figure", text: str) -> None:
    """A small line under a figure, or as many as its width needs."""
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
    """
    values = at[index].transpose("parameter", "time").to_numpy()
    weights = np.sqrt(np.nan_to_num(at["variance"].to_numpy()))
    mean = (np.clip(np.where(np.isfinite(values), values, 0.0), 0, 1) * weights).mean(axis=1)
    return [int(i) for i in np.argsort(-mean, kind="stable")[:count]]


def largest(values: Array, count: int) -> list[int]:
    """Positions of the largest values, what is no number last."""
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
    """A row of panels for each output, ``height`` inches high, and a column for each moment, with their titles.

    Parameters
    ----------
    draw : function
        Draws one output at the computed time nearest to a moment.
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
    """Names of factors by position."""
    names = dataset["parameter"].to_numpy()
    return [str(names[i]) for i in positions]


#: Shares of the draws below the ends of an interval, the outer one first, with the median in the middle.
ENDS = (0.05, 0.25, 0.5, 0.75, 0.95)


def new_figure(width: float, height: float) -> "tuple[Figure, Axes]":
    """A figure of one panel, in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def finished(figure: "Figure", panels: "Iterable[Axes]", title: str, caption: str, *, grid: str = "x") -> "Figure":
    """A title above, a small line below, and a faint grid across the axis ``grid``: ``"x"``, ``"y"``, ``"both"``."""
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        if grid:
            axes.grid(axis=grid, color="0.9", linewidth=0.6)  # type: ignore[arg-type]
        axes.set_axisbelow(True)
    figure.suptitle(title, fontsize=11, x=0.02, ha="left")
    note(figure, caption)
    return figure


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
    ends : (5,)
    dot : float
        Its size; 0 for none.
    label : bool
        Whether the bars stand in the legend.
    """
    low90, low50, median, high50, high90 = ends
    axes.hlines(row, low90, high90, color=colour, linewidth=1, zorder=3, label="90 %" if label else "")
    axes.hlines(row, low50, high50, color=colour, linewidth=thick, zorder=3, label="50 %" if label else "")
    if dot:
        axes.plot(median, row, "o", color="white", markeredgecolor=colour, markersize=dot, zorder=4)


def bands(
    axes: "Axes", times: Array, middle: Array, pairs: Mapping[str, tuple[Array, Array, float]], colour: str
) -> None:
    """A line with bands around it.

    Parameters
    ----------
    times, middle : (n_times,)
    pairs : mapping
        By what the legend says: the lower edge, the upper edge, and how opaque the band is; the widest first.
    """
    for label, (low, high, alpha) in pairs.items():
        axes.fill_between(times, low, high, color=colour, alpha=alpha, linewidth=0, label=label)
    axes.plot(times, middle, color=colour, linewidth=1.8, label="median")


def stacked(
    axes: "Axes",
    times: Array,
    heights: Iterable[Array],
    colours: Iterable[str],
    labels: Iterable[str] = (),
    **options: Any,
) -> Array:
    """Areas one above the other, from zero; where the last one ends.

    Parameters
    ----------
    heights : arrays (n_times,)
        Negative ones go downwards.
    """
    level, names = np.zeros(len(times)), iter(labels)
    for height, colour in zip(heights, colours, strict=False):
        how = {"alpha": 0.8, "linewidth": 0, **options}
        axes.fill_between(times, level, level + height, color=colour, label=next(names, ""), **how)
        level = level + height
    return level
