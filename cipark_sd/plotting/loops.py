"""Which feedback loops drive a run, as areas over time."""

from typing import TYPE_CHECKING

import numpy as np

from cipark_sd.plotting.runs import PALETTE

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

#: Names with a colour of their own.
_SHOWN = 7


def plot_loops(found: "xr.Dataset") -> "Figure":
    """The strongest loops in run 0, reinforcing above and balancing below zero, and their bands over draws."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    times = found["time"].to_numpy()
    up, down = (found[name].transpose("run", "loop", "time").to_numpy() for name in ("reinforcing", "balancing"))
    names = [str(name) for name in found["loop"].to_numpy()]
    strongest = [int(i) for i in np.argsort(-(up + down)[0].mean(axis=1), kind="stable")[:_SHOWN]]
    rest = [i for i in range(len(names)) if i not in strongest]
    figure = Figure(figsize=(10.5, 7.4), layout="constrained")
    areas, lines = figure.subplots(2, 1, sharex=True)
    above, below = np.zeros(len(times)), np.zeros(len(times))
    for place, i in enumerate(strongest):
        colour = PALETTE[place % len(PALETTE)]
        areas.fill_between(times, above, above + up[0, i], color=colour, alpha=0.8, linewidth=0, label=names[i])
        areas.fill_between(times, -below, -below - down[0, i], color=colour, alpha=0.8, linewidth=0)
        above, below = above + up[0, i], below + down[0, i]
        total = (up + down)[:, i]
        lines.plot(times, total[0], color=colour, linewidth=1.5)
        if len(total) > 2:
            low, high = np.percentile(total[1:], [10, 90], axis=0)
            lines.fill_between(times, low, high, color=colour, alpha=0.15, linewidth=0)
    areas.fill_between(times, above, above + up[0, rest].sum(axis=0), color="0.85", linewidth=0, label="the others")
    areas.fill_between(times, -below, -below - down[0, rest].sum(axis=0), color="0.85", linewidth=0)
    areas.axhline(0, color="black", linewidth=0.8)
    areas.set_ylabel("share of scores\nbalancing | reinforcing")
    areas.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    lines.set_ylabel("share of scores, both polarities")
    n = len(up) - 1
    lines.set_title(f"bands: 80 % of {n} draws" if n > 1 else "", loc="left", fontsize=9)
    for axes in (areas, lines):
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0)
    lines.set_ylim(0, 1)
    lines.xaxis.set_major_locator(MaxNLocator(nbins=9, steps=[1, 2, 5, 10]))
    lines.set_xlabel("time")
    figure.supxlabel(
        "Loops That Matter scores; what is missing from one stands in loops too small to list", fontsize=7, color="0.35"
    )
    return figure
