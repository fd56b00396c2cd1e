"""Which feedback loops drive a run, as areas over time."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cipark_sd.arrays import Array
from cipark_sd.plotting.panels import COLOURS, note, timed, titled
from cipark_sd.plotting.paper import SMALL, TINY, WIDTH, styled

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Names with a colour of their own.
_SHOWN = 6


@styled
def plot_loops(dominance: "xr.Dataset") -> "Figure":
    """The strongest loops in run 0, reinforcing above and balancing below zero, and each with its band over draws."""
    from matplotlib.figure import Figure

    times = dominance["time"].to_numpy()
    up, down = (dominance[name].transpose("run", "loop", "time").to_numpy() for name in ("reinforcing", "balancing"))
    names = [str(name) for name in dominance["loop"].to_numpy()]
    strongest = [int(i) for i in np.argsort(-(up + down)[0].mean(axis=1), kind="stable")[:_SHOWN]]
    draws = len(up) - 1
    figure = Figure(figsize=(WIDTH, 6.2), layout="constrained")
    parts = np.asarray(figure.subfigures(2, 1, height_ratios=(1.0, 1.15)))
    areas, bottom = parts[0].subplots(), parts[1]
    _areas(areas, times, up[0], down[0], strongest, names)
    panels = bottom.subplots(2, 3, sharex=True, sharey=True).ravel()
    for place, (axes, i) in enumerate(zip(panels, strongest, strict=False)):
        colour, total = COLOURS[place], (up + down)[:, i]
        if draws > 1:
            low, middle, high = np.percentile(total[1:], [10, 50, 90], axis=0)
            axes.fill_between(times, low, high, color=colour, alpha=0.25, linewidth=0)
            axes.plot(times, middle, color=colour, linewidth=1.2)
        axes.plot(times, total[0], color="0.25" if draws > 1 else colour, linewidth=0.8)
        titled(axes, names[i], columns=3)
    for axes in panels[len(strongest) :]:
        axes.set_axis_off()
    for axes in (areas, *panels):
        axes.tick_params(labelsize=SMALL)
        axes.margins(x=0)
    panels[0].set_ylim(0, 1)
    bottom.supylabel("share of scores", fontsize=SMALL)
    timed([areas], dominance, most=9)
    bottom.supxlabel(timed(panels, dominance, most=4), fontsize=SMALL)
    over = (
        f"below: thin line the file's own constants, band and line 80 % and median of {draws} draws; "
        if draws > 1
        else ""
    )
    note(figure, f"Loops That Matter scores, {over}what is missing from one stands in loops too small to list")
    return figure


def _areas(axes: "Axes", times: Array, up: Array, down: Array, strongest: Sequence[int], names: Sequence[str]) -> None:
    above, below = np.zeros(len(times)), np.zeros(len(times))
    for place, i in enumerate(strongest):
        colour = COLOURS[place]
        axes.fill_between(times, above, above + up[i], color=colour, alpha=0.8, linewidth=0, label=names[i])
        axes.fill_between(times, -below, -below - down[i], color=colour, alpha=0.8, linewidth=0)
        above, below = above + up[i], below + down[i]
    weaker = [i for i in range(len(names)) if i not in strongest]
    axes.fill_between(times, above, above + up[weaker].sum(axis=0), color="0.85", linewidth=0, label="the others")
    axes.fill_between(times, -below, -below - down[weaker].sum(axis=0), color="0.85", linewidth=0)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_ylabel("share of scores\nbalancing | reinforcing")
    axes.legend(fontsize=TINY, handlelength=1.2, loc="center left", bbox_to_anchor=(1.0, 0.5))
