"""Figures of indices: shares of variance over time."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cipark_sd.plotting.panels import (
    REST,
    SHOWN,
    colours,
    grid,
    made,
    names_of,
    note,
    outputs_of,
    stacked,
    strongest,
    timed,
    titled,
)
from cipark_sd.plotting.paper import TINY, styled
from cipark_sd.sensitivities.ranking import Moment

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Beside a panel, where names do not cover what is drawn.
_BESIDE = {"fontsize": TINY, "handlelength": 1.2, "loc": "center left", "bbox_to_anchor": (1.0, 0.5)}


@styled
def indices_over_time(indices: "xr.Dataset", moments: Sequence[Moment] = ()) -> "Figure":
    """For each output an index as areas, what is left to interactions, and an index as lines with 95 % bands.

    First-order and total indices, or Shapley effects twice, whichever the Dataset has. The striped edge of an area is
    its index's 95 % interval, drawn around the upper end.
    """
    shapley = "Sh" in indices
    areas, lines = ("Sh", "Sh") if shapley else ("S1", "ST")
    outputs = outputs_of(indices)
    figure, panels = grid(len(outputs), 2, 0.5 + 2.1 * len(outputs), sharex=True, sharey="row")
    shown = {output: strongest(indices.sel(output=output), lines, SHOWN) for output in outputs}
    palette = colours(name for output in outputs for name in names_of(indices, shown[output]))
    for row, output in enumerate(outputs):
        at = indices.sel(output=output).transpose("parameter", "time", ...)
        _areas(panels[row, 0], at, areas, shown[output], palette)
        _bands(panels[row, 1], at, lines, shown[output], palette)
        titled(panels[row, 0], output, columns=2)
        panels[row, 1].legend(**_BESIDE)
        for axes in panels[row]:
            for moment in moments:
                axes.axvline(moment.time, color="0.5", linewidth=0.7, linestyle=":")
            axes.set_ylim(0, 1.02)
            axes.margins(x=0)
        panels[row, 0].set_ylabel("share of variance")
    label = timed(panels.ravel(), indices)
    for axes in panels[-1]:
        axes.set_xlabel(label)
    titled(panels[0, 0], f"{outputs[0]}: {'Shapley effects' if shapley else 'first-order indices'}, stacked", columns=2)
    titled(panels[0, 1], f"{'Shapley effects' if shapley else 'total indices'}, 95 % intervals", columns=2)
    left = "" if shapley else "; white: interactions and error"
    words = (
        f"Left: striped edges are 95 % intervals; grey: all other constants{left}. Dotted: the moments of the tables."
    )
    note(figure, f"{words} {made(indices)}")
    return figure


def _areas(axes: "Axes", at: "xr.Dataset", index: str, shown: Sequence[int], palette: Mapping[str, str]) -> None:
    times, first, widths = (at[name].to_numpy() for name in ("time", index, f"{index}_conf"))
    known = np.isfinite(first).all(axis=0)
    # an estimate may lie a little under zero, an area may not
    heights = np.maximum(np.where(known, first, 0.0), 0.0)
    tints = [palette[name] for name in names_of(at, shown)]
    inside = {"where": known.tolist()}
    for place, (i, tint) in enumerate(zip(shown, tints, strict=True)):
        upper = heights[shown[: place + 1]].sum(axis=0)
        edge = np.where(known, widths[i], 0.0)
        ends = np.maximum(upper - edge, 0), upper + edge
        axes.fill_between(times, *ends, color=tint, alpha=0.25, hatch="////", linewidth=0, **inside)
    unshown = [i for i in range(len(first)) if i not in set(shown)]
    remainder = np.maximum(np.where(known, first[unshown], 0.0).sum(axis=0), 0.0)
    below = stacked(axes, times, heights[shown], tints, alpha=0.75, **inside)
    axes.fill_between(times, below, np.minimum(below + remainder, 1.0), color=REST, linewidth=0, **inside)


def _bands(axes: "Axes", at: "xr.Dataset", index: str, shown: Sequence[int], palette: Mapping[str, str]) -> None:
    times, total, width = (at[name].to_numpy() for name in ("time", index, f"{index}_conf"))
    for i, name in zip(shown, names_of(at, shown), strict=True):
        axes.plot(times, total[i], color=palette[name], linewidth=1.6, label=name)
        ends = np.maximum(total[i] - width[i], 0), total[i] + width[i]
        axes.fill_between(times, *ends, color=palette[name], alpha=0.2, linewidth=0)
