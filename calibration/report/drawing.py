"""What the figures of a calibration have in common: panels, colours, axes."""

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from cipark_sd.plotting.paper import PALETTE, WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MODEL, OTHER, DATA, GREY = PALETTE[0], PALETTE[1], "#000000", "0.5"


def panels(rows: int, columns: int, height: float, *, share_y: bool = False) -> "tuple[Figure, list[Axes]]":
    """A figure as wide as a page with ``rows * columns`` panels, each ``height`` inches high."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from cipark_sd.plotting.shown import Figure

    figure = Figure(figsize=(WIDTH, rows * height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, sharey="row" if share_y else False)
    return figure, list(axes.ravel())


def plain_log(axis: "Axes", side: str = "x", *, most: int = 5) -> None:
    """A logarithmic axis with numbers as people write them: 0.1, 0.2, 0.5, and fewer of them over more decades."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    (axis.set_xscale if side == "x" else axis.set_yscale)("log")
    low, high = axis.get_xlim() if side == "x" else axis.get_ylim()
    line = axis.xaxis if side == "x" else axis.yaxis
    line.set_major_locator(FixedLocator(log_ticks(low, high, most)))
    line.set_minor_locator(NullLocator())
    line.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def log_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """At most ``most`` round numbers from ``low`` to ``high``, two of them where there are any.

    >>> log_ticks(0.03, 2.0)
    [0.03, 0.1, 0.3, 1.0]
    >>> log_ticks(0.01, 5000)
    [0.01, 1.0, 100.0]
    """
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    series: list[tuple[list[float], int]] = [
        ([1, 1.5, 2, 3, 4, 5, 6, 8], 1),
        ([1, 2, 3, 5], 1),
        ([1, 2, 5], 1),
        ([1, 3], 1),
        ([1], 1),
        ([1], 2),
        ([1], 4),
    ]
    ticks: list[float] = []
    for steps, stride in series:
        ticks = [float(f"{step}e{decade}") for decade in decades if decade % stride == 0 for step in steps]
        ticks = [value for value in ticks if low <= value <= high]
        if len(ticks) <= most:
            break
    return ticks


def whole_counts(axis: "Axes") -> None:
    """Ticks at whole numbers of what is counted."""
    from matplotlib.ticker import MaxNLocator

    axis.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))


def wrapped(text: str, width: int) -> str:
    """Text in lines of at most ``width`` letters; a subscript goes on a line of its own rather than over the edge."""
    return "\n".join(textwrap.wrap(text.replace("[", " ["), width)).replace(" [", "[")


def cells(axes: "list[Axes]", used: int) -> "Iterator[Axes]":
    """The first ``used`` panels; the rest are emptied."""
    for axis in axes[used:]:
        axis.set_axis_off()
    yield from axes[:used]
