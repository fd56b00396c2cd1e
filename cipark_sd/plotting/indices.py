"""Figures of indices: shares of variance over time, heat maps, convergence."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cipark_sd.plotting.panels import (
    REST,
    ROWS,
    SHOWN,
    at_moment,
    colours,
    grid,
    largest,
    made,
    names_of,
    note,
    outputs_of,
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


@styled
def indices_over_time(indices: "xr.Dataset", moments: Sequence[Moment] = ()) -> "Figure":
    """For each output: first-order indices as areas, what is left to interactions, and total indices with bands.

    The striped edge of an area is its index's 95 % interval, drawn around the upper end.
    """
    figure, panels = _over_time(indices, ("S1", "ST"), moments)
    titled(panels[0, 0], f"{outputs_of(indices)[0]}: first-order indices, stacked", columns=2)
    titled(panels[0, 1], "total indices, 95 % intervals", columns=2)
    note(
        figure,
        "Left: striped edges are 95 % intervals; grey: all other constants; white: interactions and error. "
        f"Dotted: the dates of the tables. {made(indices)}",
    )
    return figure


@styled
def shapley_over_time(indices: "xr.Dataset", moments: Sequence[Moment] = ()) -> "Figure":
    """For each output: Shapley effects as areas, and the strongest with their bands."""
    figure, panels = _over_time(indices, ("Sh", "Sh"), moments)
    titled(panels[0, 0], f"{outputs_of(indices)[0]}: Shapley effects, stacked", columns=2)
    titled(panels[0, 1], "Shapley effects, 95 % intervals", columns=2)
    note(figure, f"Grey: all other constants. Dotted: the dates of the tables. {made(indices)}")
    return figure


def _over_time(
    indices: "xr.Dataset", pair: tuple[str, str], moments: Sequence[Moment]
) -> "tuple[Figure, np.ndarray[tuple[int, int], np.dtype[np.object_]]]":
    """A row for each output: an index stacked, and one as lines with bands."""
    outputs = outputs_of(indices)
    figure, panels = grid(len(outputs), 2, 0.5 + 2.1 * len(outputs), sharex=True, sharey="row")
    shown = {output: strongest(indices.sel(output=output), pair[1], SHOWN) for output in outputs}
    palette = colours(name for output in outputs for name in names_of(indices, shown[output]))
    for row, output in enumerate(outputs):
        at = indices.sel(output=output)
        _areas(panels[row, 0], at, pair[0], shown[output], palette)
        _bands(panels[row, 1], at, pair[1], shown[output], palette)
        titled(panels[row, 0], output, columns=2)
        names = names_of(indices, shown[output])
        handles = panels[row, 1].get_lines()[: len(names)]
        panels[row, 1].legend(
            handles, names, fontsize=TINY, handlelength=1.2, loc="center left", bbox_to_anchor=(1.0, 0.5)
        )
        for axes in panels[row]:
            for moment in moments:
                axes.axvline(moment.time, color="0.5", linewidth=0.7, linestyle=":")
            axes.set_ylim(0, 1.02)
            axes.margins(x=0)
        panels[row, 0].set_ylabel("share of variance")
    label = timed(panels.ravel(), indices)
    for axes in panels[-1]:
        axes.set_xlabel(label)
    return figure, panels


def _areas(axes: "Axes", at: "xr.Dataset", index: str, shown: Sequence[int], palette: Mapping[str, str]) -> None:
    times = at["time"].to_numpy()
    first = at[index].transpose("parameter", "time").to_numpy()
    widths = at[f"{index}_conf"].transpose("parameter", "time").to_numpy()
    known = np.isfinite(first).all(axis=0)
    lower = np.zeros(len(times))
    for i, name in zip(shown, names_of(at, shown), strict=True):
        # an estimate may lie a little under zero, an area may not
        upper = lower + np.maximum(np.where(known, first[i], 0.0), 0.0)
        axes.fill_between(times, lower, upper, where=known.tolist(), color=palette[name], alpha=0.75, linewidth=0)
        edge = np.where(known, widths[i], 0.0)
        axes.fill_between(
            times,
            np.maximum(upper - edge, 0),
            upper + edge,
            where=known.tolist(),
            color=palette[name],
            alpha=0.25,
            hatch="////",
            linewidth=0,
        )
        lower = upper
    unshown = [i for i in range(len(first)) if i not in set(shown)]
    remainder = np.maximum(np.where(known, first[unshown], 0.0).sum(axis=0), 0.0)
    axes.fill_between(times, lower, np.minimum(lower + remainder, 1.0), where=known.tolist(), color=REST, linewidth=0)


def _bands(axes: "Axes", at: "xr.Dataset", index: str, shown: Sequence[int], palette: Mapping[str, str]) -> None:
    times = at["time"].to_numpy()
    for i, name in zip(shown, names_of(at, shown), strict=True):
        total, width = at[index].to_numpy()[i], at[f"{index}_conf"].to_numpy()[i]
        axes.plot(times, total, color=palette[name], linewidth=1.6)
        axes.fill_between(
            times, np.maximum(total - width, 0), total + width, color=palette[name], alpha=0.2, linewidth=0
        )


@styled
def heat_map(indices: "xr.Dataset", index: str = "ST", *, long_name: str = "total index") -> "Figure":
    """An index of the strongest factors of each output over time; grey where there is none."""
    import matplotlib as mpl

    outputs, times = outputs_of(indices), indices["time"].to_numpy()
    rows = min(ROWS, indices.sizes["parameter"])
    figure, panels = grid(len(outputs), 1, 0.7 + (0.4 + 0.15 * rows) * len(outputs), sharex=True)
    ramp = mpl.colormaps["cividis"].with_extremes(bad=REST)
    half = np.diff(times, prepend=2 * times[0] - times[1] if len(times) > 1 else times[0] - 1) / 2
    edges = np.append(times - half, times[-1] + half[-1])
    for axes, output in zip(panels[:, 0], outputs, strict=True):
        shown = strongest(indices.sel(output=output), index, rows)
        values = np.ma.masked_invalid(
            indices[index].sel(output=output).transpose("parameter", "time").to_numpy()[shown]
        )
        # up to what is there: on a scale to one most of a map would be dark
        top = min(1.0, max(0.1, float(np.ma.filled(values, 0.0).max())))
        mesh = axes.pcolormesh(edges, np.arange(rows + 1), values, cmap=ramp, vmin=0, vmax=top, rasterized=True)
        axes.set_yticks(np.arange(rows) + 0.5, names_of(indices, shown), fontsize=TINY)
        axes.invert_yaxis()
        axes.set_title(output, loc="left")
        figure.colorbar(mesh, ax=axes, shrink=0.9, label=long_name)
    panels[-1, 0].set_xlabel(timed(panels[:, 0], indices, most=9))
    note(figure, f"Grey: no index, since the output does not vary yet. {made(indices)}")
    return figure


@styled
def convergence(indices: "xr.Dataset", moments: Sequence[Moment]) -> "Figure":
    """Total indices of the five strongest factors against the rows of the design, for each output and moment."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    outputs = outputs_of(indices)
    figure, panels = grid(len(outputs), len(moments), 0.5 + 1.7 * len(outputs), sharex=True)
    n = indices["n"].to_numpy()
    for row, output in enumerate(outputs):
        for column, moment in enumerate(moments):
            axes, at = panels[row, column], at_moment(indices, output, moment)
            shown = largest(at["ST"].to_numpy(), 5)
            names = names_of(indices, shown)
            palette = colours(names)
            for place, (i, name) in enumerate(zip(shown, names, strict=True)):
                axes.errorbar(
                    n * 1.03 ** (place - 2),
                    at["ST_at_n"].to_numpy()[:, i],
                    yerr=at["ST_conf_at_n"].to_numpy()[:, i],
                    fmt="o-",
                    markersize=3,
                    linewidth=1,
                    elinewidth=0.8,
                    color=palette[name],
                    label=name,
                )
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_formatter(FuncFormatter(lambda rows, _: f"{rows:,.0f}"))
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.set_ylim(bottom=0)
            titled(axes, f"{output}, {moment.label}", columns=len(moments))
            axes.legend(fontsize=TINY, handlelength=1.2, loc="center left", bbox_to_anchor=(1.0, 0.5))
    note(
        figure,
        "The five strongest constants; bars are 95 % intervals. With more rows of the same design the indices should "
        f"stay in the intervals, and the intervals halve with four times the rows. {made(indices)}",
    )
    for axes in panels[-1]:
        axes.set_xlabel("rows of the design")
    for axes in panels[:, 0]:
        axes.set_ylabel("total index")
    return figure
