"""Figures of a sensitivity analysis: indices over time, the Morris plane, tornado, fan, scatter matrix, convergence."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cipark_sd.plotting.runs import PALETTE
from cipark_sd.sensitivity.factors import Array
from cipark_sd.sensitivity.ranking import Moment

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Factors that have a colour of their own; the others are shown together.
SHOWN = 6
#: Rows of a heat map and of a tornado.
ROWS = 16
_REST, _TOGETHER = "0.82", "0.93"


def _figure(rows: int, columns: int, size: tuple[float, float], **more: Any) -> "tuple[Figure, np.ndarray[Any, Any]]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    return figure, np.atleast_2d(np.asarray(figure.subplots(rows, columns, squeeze=False, **more)))


def _plain(axes: "Axes") -> None:
    axes.spines[["top", "right"]].set_visible(False)


def _years(axes: "Axes") -> None:
    """Whole numbers on the axis of time, never 2012.5."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=9, steps=[1, 2, 5, 10]))
    axes.set_xlabel("time")


def _strongest(at: "xr.Dataset", count: int) -> list[int]:
    """Positions of the factors with the largest total index of one output, strongest first.

    The mean over time weighs each instant with the output's standard deviation: what moves next to nothing counts next
    to nothing.
    """
    values = at["ST"].transpose("parameter", "time").to_numpy()
    weights = np.sqrt(at["variance"].to_numpy())
    mean = (np.clip(np.where(np.isfinite(values), values, 0.0), 0, 1) * weights).mean(axis=1)
    return [int(i) for i in np.argsort(-mean, kind="stable")[:count]]


def indices_over_time(indices: "xr.Dataset", moments: Sequence[Moment] = ()) -> "Figure":
    """For each output: first-order indices as areas, what is left to interactions, and total indices with bands.

    The dark edge of an area is its index's 95 % interval, drawn around the upper end.
    """
    outputs = [str(name) for name in indices["output"].to_numpy()]
    figure, panels = _figure(len(outputs), 2, (11.5, 0.6 + 3.1 * len(outputs)), sharex=True, sharey="row")
    for row, output in enumerate(outputs):
        at = indices.sel(output=output)
        shown = _strongest(at, SHOWN)
        names = [str(at["parameter"].to_numpy()[i]) for i in shown]
        _areas(panels[row, 0], at, shown)
        _bands(panels[row, 1], at, shown)
        panels[row, 0].set_title(output, loc="left", fontsize=10)
        handles = panels[row, 1].get_lines()[: len(shown)]
        panels[row, 1].legend(handles, names, frameon=False, fontsize=7.5, loc="center left", bbox_to_anchor=(1.0, 0.5))
        for axes in panels[row]:
            _plain(axes)
            for moment in moments:
                axes.axvline(moment.time, color="0.5", linewidth=0.7, linestyle=":")
            axes.set_ylim(0, 1.02)
            axes.margins(x=0)
        panels[row, 0].set_ylabel("share of variance")
    panels[0, 1].set_title("total indices, 95 % intervals", loc="left", fontsize=10)
    for axes in panels[-1]:
        _years(axes)
    figure.supxlabel(
        "Left: first-order indices as areas, striped edges their 95 % intervals; grey: other factors; white: "
        f"interactions and error. {_made(indices)}",
        fontsize=7,
        color="0.35",
    )
    return figure


def _areas(axes: "Axes", at: "xr.Dataset", shown: Sequence[int]) -> None:
    times = at["time"].to_numpy()
    first = at["S1"].transpose("parameter", "time").to_numpy()
    widths = at["S1_conf"].transpose("parameter", "time").to_numpy()
    known = np.isfinite(first).all(axis=0)
    lower = np.zeros(len(times))
    for place, i in enumerate(shown):
        # an estimate may lie a little under zero, an area may not
        upper = lower + np.maximum(np.where(known, first[i], 0.0), 0.0)
        colour = PALETTE[place % len(PALETTE)]
        axes.fill_between(times, lower, upper, where=known.tolist(), color=colour, alpha=0.75, linewidth=0)
        edge = np.where(known, widths[i], 0.0)
        axes.fill_between(
            times,
            np.maximum(upper - edge, 0),
            upper + edge,
            where=known.tolist(),
            color=colour,
            alpha=0.25,
            hatch="////",
            linewidth=0,
        )
        lower = upper
    others = [i for i in range(len(first)) if i not in set(shown)]
    rest = np.maximum(np.where(known, first[others], 0.0).sum(axis=0), 0.0)
    axes.fill_between(times, lower, np.minimum(lower + rest, 1.0), where=known.tolist(), color=_REST, linewidth=0)


def _bands(axes: "Axes", at: "xr.Dataset", shown: Sequence[int]) -> None:
    times = at["time"].to_numpy()
    for place, i in enumerate(shown):
        total, width = at["ST"].to_numpy()[i], at["ST_conf"].to_numpy()[i]
        colour = PALETTE[place % len(PALETTE)]
        axes.plot(times, total, color=colour, linewidth=1.6)
        axes.fill_between(times, np.maximum(total - width, 0), total + width, color=colour, alpha=0.2, linewidth=0)


def heat_map(indices: "xr.Dataset", output: str) -> "Figure":
    """Total indices of the strongest factors over time; grey where there is none."""
    import matplotlib as mpl

    shown = _strongest(indices.sel(output=output), ROWS)
    at = indices["ST"].sel(output=output).transpose("parameter", "time")
    times = indices["time"].to_numpy()
    figure, panels = _figure(1, 1, (8.5, 1.2 + 0.27 * len(shown)))
    axes = panels[0, 0]
    colours = mpl.colormaps["cividis"].with_extremes(bad=_REST)
    half = np.diff(times, prepend=2 * times[0] - times[1] if len(times) > 1 else times[0] - 1) / 2
    edges = np.append(times - half, times[-1] + half[-1])
    values = np.ma.masked_invalid(at.to_numpy()[shown])
    mesh = axes.pcolormesh(edges, np.arange(len(shown) + 1), values, cmap=colours, vmin=0, vmax=1, rasterized=True)
    axes.set_yticks(np.arange(len(shown)) + 0.5, [str(indices["parameter"].to_numpy()[i]) for i in shown], fontsize=8)
    axes.invert_yaxis()
    _years(axes)
    axes.set_title(f"{output}: total index", loc="left", fontsize=10)
    figure.colorbar(mesh, ax=axes, shrink=0.8)
    figure.supxlabel(_made(indices), fontsize=7, color="0.35")
    return figure


def morris_plane(effects: "xr.Dataset", output: str, moment: Moment, *, labelled: int = 8) -> "Figure":
    """Mean absolute effect against spread of the effects, for each count of levels; the strongest have their names."""
    at = effects.sel(output=output).sel(time=moment.time, method="nearest")
    figure, panels = _figure(1, 1, (6.6, 5.2))
    axes = panels[0, 0]
    markers = "os^D"
    for number, levels in enumerate(at["levels"].to_numpy()):
        one = at.sel(levels=levels)
        x, y = one["mu_star"].to_numpy(), one["sigma"].to_numpy()
        axes.errorbar(
            x,
            y,
            xerr=one["mu_star_conf"].to_numpy(),
            fmt=markers[number % len(markers)],
            markersize=4,
            color=PALETTE[number % len(PALETTE)],
            elinewidth=0.6,
            alpha=0.8,
            label=f"{levels} levels",
        )
    first = at.isel(levels=0)
    names = [str(name) for name in at["parameter"].to_numpy()]
    reach, height = axes.get_xlim()[1], float(np.nanmax(at["sigma"]))
    _label(axes, first["mu_star"].to_numpy(), first["sigma"].to_numpy(), names, labelled, 0.05 * height)
    axes.plot([0, reach], [0, reach], color="0.7", linewidth=0.7, linestyle="--", zorder=0)
    axes.set_xlim(0, reach * 1.15)
    axes.set_ylim(bottom=0)
    units = str(at["units"].item())
    axes.set_xlabel(f"mean absolute effect over the whole distribution [{units}]")
    axes.set_ylabel(f"standard deviation of the effects [{units}]")
    axes.set_title(f"{output}, {moment.label}", loc="left", fontsize=10)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    _plain(axes)
    figure.supxlabel(
        "Above the dashed line a factor's effect depends on the others or bends more than it acts.",
        fontsize=7,
        color="0.35",
    )
    return figure


def _label(axes: "Axes", x: Array, y: Array, names: Sequence[str], count: int, step: float) -> None:
    """Names beside the points furthest to the right, each above the one below it, with a thin line to its point."""
    level = -np.inf
    for i in sorted(np.argsort(-x)[:count], key=lambda i: float(y[i])):
        level = max(level + step, float(y[i]) + 0.3 * step)
        axes.annotate(
            names[i],
            (x[i], y[i]),
            xytext=(float(x[i]) + 0.03 * float(np.nanmax(x)), level),
            fontsize=7.5,
            va="bottom",
            arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": "0.5"},
        )


def tornado_bars(found: "xr.Dataset", output: str, moment: Moment) -> "Figure":
    """Each factor at its low and its high quantile, the others at their medians, widest first."""
    at = found.sel(output=output).sel(time=moment.time, method="nearest")
    low, high, middle = at["low"].to_numpy(), at["high"].to_numpy(), float(at["middle"])
    swing = np.maximum(np.maximum(low, high), middle) - np.minimum(np.minimum(low, high), middle)
    shown = np.argsort(-np.where(np.isfinite(swing), swing, -1.0), kind="stable")[:ROWS]
    figure, panels = _figure(1, 1, (7.5, 1.3 + 0.27 * len(shown)))
    axes = panels[0, 0]
    rows = np.arange(len(shown))
    for values, colour, quantile in ((low, PALETTE[0], found.attrs["low"]), (high, PALETTE[1], found.attrs["high"])):
        axes.barh(
            rows, values[shown] - middle, left=middle, color=colour, height=0.7, label=f"at its {quantile:.0%} quantile"
        )
    axes.axvline(middle, color="0.2", linewidth=0.8)
    axes.set_yticks(rows, [str(at["parameter"].to_numpy()[i]) for i in shown], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(f"{output}, {moment.label} [{at['units'].item()}]")
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    _plain(axes)
    return figure


def fan_chart(fans: "xr.DataArray", moments: Sequence[Moment] = ()) -> "Figure":
    """Median and bands of 50, 75, 90 and 95 % of the runs, for each output."""
    outputs = [str(name) for name in fans["output"].to_numpy()]
    figure, panels = _figure(len(outputs), 1, (7.5, 0.5 + 2.7 * len(outputs)), sharex=True)
    times = fans["time"].to_numpy()
    levels = sorted(float(p) for p in fans["percentile"].to_numpy())
    for axes, output in zip(panels[:, 0], outputs, strict=True):
        at = fans.sel(output=output)
        pairs = [(p, 100 - p) for p in levels if p < 50 and 100 - p in levels]
        for number, (low, high) in enumerate(pairs):
            axes.fill_between(
                times,
                at.sel(percentile=low),
                at.sel(percentile=high),
                color=PALETTE[0],
                alpha=0.16 + 0.06 * number,
                linewidth=0,
                label=f"{high - low:g} %",
            )
        if 50.0 in levels:
            axes.plot(times, at.sel(percentile=50.0), color="black", linewidth=1.4, label="median")
        for moment in moments:
            axes.axvline(moment.time, color="0.5", linewidth=0.7, linestyle=":")
        axes.set_ylabel(f"[{at['units'].item()}]")
        axes.set_title(output, loc="left", fontsize=10)
        axes.margins(x=0)
        _plain(axes)
    panels[0, 0].legend(frameon=False, fontsize=8, loc="upper left")
    _years(panels[-1, 0])
    return figure


def scatter_matrix(drawn: "xr.Dataset", names: Sequence[str], output: str, moment: Moment) -> "Figure":
    """The output against each factor (top row) and pairs of factors coloured by the output below."""
    at = drawn.sel(output=output).sel(time=moment.time, method="nearest")
    source = "constants" if "constants" in drawn else "shares"
    columns = [drawn[source].sel(parameter=name).to_numpy() for name in names]
    values = at["values"].to_numpy()
    finite = np.isfinite(values)
    few = np.flatnonzero(finite)[:1500]
    n = len(names)
    figure, panels = _figure(n, n, (2.3 * n, 2.1 * n), sharex="col")
    low, high = np.percentile(values[finite], [2, 98]) if finite.any() else (0.0, 1.0)
    points: Any = None
    for j in range(n):
        panels[0, j].plot(columns[j][few], values[few], ".", markersize=2, color=PALETTE[0], alpha=0.5, rasterized=True)
        panels[0, j].plot(*_running_mean(columns[j][finite], values[finite]), color="black", linewidth=1.3)
        panels[0, j].set_title(names[j], fontsize=8)
        for i in range(1, n):
            axes = panels[i, j]
            if j >= i:
                axes.set_axis_off()
                continue
            points = axes.scatter(
                columns[j][few],
                columns[i][few],
                c=values[few],
                s=3,
                cmap="cividis",
                vmin=low,
                vmax=high,
                rasterized=True,
            )
            if j == 0:
                axes.set_ylabel(names[i], fontsize=8)
    for axes in panels.ravel():
        axes.tick_params(labelsize=7, labelbottom=True)
        axes.locator_params(axis="x", nbins=4)
    panels[0, 0].set_ylabel(f"[{at['units'].item()}]", fontsize=8)
    if points is not None:
        figure.colorbar(points, ax=panels[1:, :], shrink=0.6, label=f"{output}, {moment.label}")
    figure.suptitle(
        f"{output}, {moment.label}; top row: against each constant, black: mean in twenty slices", fontsize=10
    )
    return figure


def _running_mean(x: Array, y: Array, slices: int = 20) -> tuple[Array, Array]:
    order = np.argsort(x)
    parts = np.array_split(order, slices)
    return np.array([x[p].mean() for p in parts]), np.array([y[p].mean() for p in parts])


def convergence(indices: "xr.Dataset", moments: Sequence[Moment]) -> "Figure":
    """Total indices of the five strongest factors against the rows of the design, for each output and moment."""
    outputs = [str(name) for name in indices["output"].to_numpy()]
    figure, panels = _figure(len(outputs), len(moments), (4.6 * len(moments), 0.5 + 2.7 * len(outputs)), sharex=True)
    n = indices["n"].to_numpy()
    for row, output in enumerate(outputs):
        for column, moment in enumerate(moments):
            axes = panels[row, column]
            at = indices.sel(output=output).sel(time=moment.time, method="nearest")
            for place, i in enumerate(np.argsort(-at["ST"].fillna(-1).to_numpy(), kind="stable")[:5]):
                axes.errorbar(
                    n * 1.03 ** (place - 2),
                    at["ST_at_n"].to_numpy()[:, i],
                    yerr=at["ST_conf_at_n"].to_numpy()[:, i],
                    fmt="o-",
                    markersize=3,
                    linewidth=1,
                    elinewidth=0.8,
                    color=PALETTE[place],
                    label=str(at["parameter"].to_numpy()[i]),
                )
            axes.set_xscale("log", base=2)
            axes.set_ylim(bottom=0)
            axes.set_title(f"{output}, {moment.label}", loc="left", fontsize=8)
            axes.legend(frameon=False, fontsize=6.5)
            _plain(axes)
    for axes in panels[-1]:
        axes.set_xlabel("rows of the design")
    for axes in panels[:, 0]:
        axes.set_ylabel("total index")
    return figure


def shapley_bars(found: "xr.Dataset", moments: Sequence[Moment], *, count: int = 10) -> "Figure":
    """Shapley effects with their intervals, for each output and moment."""
    outputs = [str(name) for name in found["output"].to_numpy()]
    figure, panels = _figure(len(outputs), len(moments), (5 * len(moments), 0.5 + 2.9 * len(outputs)))
    for row, output in enumerate(outputs):
        for column, moment in enumerate(moments):
            axes = panels[row, column]
            at = found.sel(output=output).sel(time=moment.time, method="nearest")
            shown = np.argsort(-at["Sh"].fillna(-1).to_numpy(), kind="stable")[:count]
            axes.barh(
                np.arange(len(shown)),
                at["Sh"].to_numpy()[shown],
                xerr=at["Sh_conf"].to_numpy()[shown],
                color=PALETTE[0],
                alpha=0.8,
                height=0.7,
                error_kw={"linewidth": 0.8},
            )
            axes.set_yticks(np.arange(len(shown)), [str(at["parameter"].to_numpy()[i]) for i in shown], fontsize=7.5)
            axes.invert_yaxis()
            axes.set_title(f"{output}, {moment.label}", loc="left", fontsize=8)
            _plain(axes)
    for axes in panels[-1]:
        axes.set_xlabel("Shapley effect")
    return figure


def _made(indices: "xr.Dataset") -> str:
    facts = indices.attrs
    return f"{facts.get('rows', '?')} rows, {facts.get('runs', '?')} runs, seed {facts.get('seed', '?')}"
