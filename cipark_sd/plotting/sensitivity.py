"""Figures of a sensitivity analysis besides indices: tornado and fan."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cipark_sd.plotting.panels import (
    ROWS,
    by_moment,
    grid,
    largest,
    names_of,
    note,
    outputs_of,
    timed,
    with_unit,
)
from cipark_sd.plotting.paper import PALETTE, TINY, styled
from cipark_sd.sensitivities.ranking import Moment

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@styled
def tornado_bars(swings: "xr.Dataset", moments: Sequence[Moment]) -> "Figure":
    """Each factor at its low and its high quantile, the others at their medians, widest first."""
    from cipark_sd.sensitivities.sample import swing

    rows = min(ROWS, swings.sizes["parameter"])

    def drawn(axes: "Axes", at: "xr.Dataset") -> None:
        low, high, middle = at["low"].to_numpy(), at["high"].to_numpy(), float(at["middle"])
        shown = largest(swing(at), rows)
        for values, opposite, colour, end in ((low, high, PALETTE[0], "low"), (high, low, PALETTE[1], "high")):
            label = f"at its {swings.attrs[end]:.0%} quantile"
            reach, opposite_reach = values[shown] - middle, np.abs(opposite[shown] - middle)
            drawn_bars = axes.barh(range(rows), reach, left=middle, color=colour, height=0.7, label=label)
            # of two ends on the same side the nearer one lies in front
            for bar, near in zip(drawn_bars, np.abs(reach) < opposite_reach, strict=True):
                bar.set_zorder(3 if near else 2)
        axes.axvline(middle, color="0.2", linewidth=0.8, zorder=4)
        axes.set_yticks(range(rows), names_of(swings, shown), fontsize=TINY)
        axes.invert_yaxis()
        axes.set_xlabel(with_unit("", at["units"].item()).strip())

    figure, panels = by_moment(swings, moments, 0.6 + 0.15 * rows, drawn)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    note(figure, "One constant at a time, all others at their medians: what constants do together is not in it.")
    return figure


@styled
def fan_chart(fans: "xr.DataArray", moments: Sequence[Moment] = (), *, first: bool = False) -> "Figure":
    """Median and bands of 50, 75, 90 and 95 % of the runs, for each output.

    Parameters
    ----------
    first : bool
        The first output alone, so small that the letters can be read on a phone.
    """
    outputs = outputs_of(fans)[: 1 if first else None]
    figure, panels = grid(len(outputs), 1, 0.4 + 1.9 * len(outputs), sharex=True)
    if first:
        figure.set_size_inches(4.4, 2.9)
        panels[0, 0].tick_params(labelsize=9.5)
    times = fans["time"].to_numpy()
    levels = sorted(float(p) for p in fans["percentile"].to_numpy())
    for axes, output in zip(panels[:, 0], outputs, strict=True):
        at = fans.sel(output=output)
        pairs = [(p, 100 - p) for p in levels if p < 50 and 100 - p in levels]
        for number, (low, high) in enumerate(pairs):
            ends, tint = (at.sel(percentile=end) for end in (low, high)), 0.2 + 0.6 * number / max(1, len(pairs) - 1)
            axes.fill_between(times, *ends, color=_tint(tint), linewidth=0, label=f"{high - low:g} %")
        if 50.0 in levels:
            axes.plot(times, at.sel(percentile=50.0), color="black", linewidth=1.4, label="median")
        for moment in moments:
            axes.axvline(moment.time, color="0.5", linewidth=0.7, linestyle=":")
        axes.set_title(with_unit(output, at["units"].item()))
        axes.margins(x=0)
    panels[0, 0].legend(loc="best", fontsize=9 if first else None)
    panels[-1, 0].set_xlabel(timed(panels[:, 0], fans, most=7 if first else 9), fontsize=10 if first else None)
    if first:
        panels[0, 0].title.set_fontsize(10)
    elif moments:
        note(figure, "Bands: central shares of the runs. Dotted: " + ", ".join(moment.label for moment in moments))
    return figure


def _tint(depth: float) -> tuple[float, ...]:
    """The first colour, mixed with white; opaque, so that the legend shows what the panel does."""
    from matplotlib.colors import to_rgb

    return tuple(1 - depth * (1 - part) for part in to_rgb(PALETTE[0]))
