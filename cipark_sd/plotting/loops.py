"""Which feedback loops drive a run, as areas over time."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cipark_sd.arrays import Array
from cipark_sd.plotting.marks import stacked
from cipark_sd.plotting.panels import COLOURS, note, timed, titled
from cipark_sd.plotting.paper import SMALL, TINY, WIDTH, styled
from cipark_sd.sensitivities.loops import OTHERS, bands, leading

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Names with a colour of their own.
_SHOWN = 6


@styled
def plot_loops(dominance: "xr.Dataset") -> "Figure":
    """The strongest loops, reinforcing above and balancing below zero; each with its median and 90 % band over draws;
    and in which share of the draws each leads.

    Areas are of run 0, the file's own constants.
    """
    from matplotlib.figure import Figure

    times = dominance["time"].to_numpy()
    up, down = (dominance[name].transpose("run", "loop", "time").to_numpy() for name in ("reinforcing", "balancing"))
    names = [str(name) for name in dominance["loop"].to_numpy()]
    draws = len(up) - 1
    mean = (up + down)[0 if draws < 2 else slice(1, None)].reshape(-1, len(names), len(times)).mean(axis=(0, 2))
    unnamed = [i for i, name in enumerate(names) if name == OTHERS]
    strongest = [int(i) for i in np.argsort(-mean, kind="stable") if i not in unnamed][:_SHOWN]
    figure = Figure(figsize=(WIDTH, 7.6 if draws > 1 else 6.2), layout="constrained")
    parts = np.asarray(
        figure.subfigures(3 if draws > 1 else 2, 1, height_ratios=(1.0, 1.15, 0.75)[: 3 if draws > 1 else 2])
    )
    areas, bottom = parts[0].subplots(), parts[1]
    _areas(areas, times, up[0], down[0], strongest, names)
    panels = bottom.subplots(2, 3, sharex=True, sharey=True).ravel()
    for place, (axes, i) in enumerate(zip(panels, strongest, strict=False)):
        colour, total = COLOURS[place], (up + down)[:, i]
        if draws > 1:
            low, middle, high = bands(dominance)[:, i]
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
    if draws > 1:
        last = parts[2].subplots()
        _leading(last, times, leading(dominance), strongest)
        timed([last], dominance, most=9)
    over = (
        f"areas: the file's own constants; panels: band and line 90 % and median of {draws} draws, thin line the "
        "file's own; last: in which share of the draws a loop has the largest score; "
        if draws > 1
        else ""
    )
    note(figure, f"Loops That Matter scores, {over}what is missing from one is in loops too small to list")
    return figure


def _leading(axes: "Axes", times: Array, shares: Array, strongest: Sequence[int]) -> None:
    """In which share of the draws each of the strongest leads, one above the other; white where others do."""
    stacked(axes, times, shares[strongest], COLOURS)
    axes.set_ylim(0, 1)
    axes.margins(x=0)
    axes.tick_params(labelsize=SMALL)
    axes.set_ylabel("share of draws\nin which it leads")


def _areas(axes: "Axes", times: Array, up: Array, down: Array, strongest: Sequence[int], names: Sequence[str]) -> None:
    weaker = [i for i in range(len(names)) if i not in strongest]
    colours, labels = [*COLOURS[: len(strongest)], "0.85"], [*(names[i] for i in strongest), "the others"]
    for values, shown in ((up, labels), (-down, [])):
        heights = [*values[strongest], values[weaker].sum(axis=0)]
        stacked(axes, times, heights, colours, shown)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_ylabel("share of scores\nbalancing | reinforcing")
    axes.legend(fontsize=TINY, handlelength=1.2, loc="center left", bbox_to_anchor=(1.0, 0.5))
