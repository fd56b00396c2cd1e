"""What figures are made of: intervals in named rows, bands over time, areas one above the other."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cipark_sd.arrays import Array
from cipark_sd.plotting.panels import note

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
