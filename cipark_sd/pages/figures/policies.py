"""Policies: their effects, their course over time, and what each mechanism did."""

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from cipark_sd.analysis.experiments.definition import BASE, ONLY
from cipark_sd.analysis.experiments.effects import WEIGHTED
from cipark_sd.base.errors import InvalidValue
from cipark_sd.base.timegrid import when
from cipark_sd.base.wording import labelled
from cipark_sd.pages.figures.panels import ENDS, PALETTE, bands, finished, interval, new_figure, timed

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.figure import Figure

_BLUE, _GREY = PALETTE[0], "0.55"


def plot_tornado(
    frame: "pd.DataFrame",
    outcome: str,
    at: float,
    *,
    title: str = "",
    caption: str = "",
    time_units: str = "",
    most: int | None = None,
) -> "Figure":
    """Effects of all policies on one outcome, the largest first.

    Thick and thin bars are the 50 and 90 % intervals over the rivals by weight where the table has them, else under the
    first rival; grey ticks are the medians under each of the others.

    Parameters
    ----------
    most : int, optional
        So many of them, in a small figure for a page that says in its own words what is drawn.
    frame : DataFrame
        Of :func:`cipark_sd.analysis.experiments.effects.table`.

    Raises
    ------
    InvalidValue
        When the table has no such outcome or time.
    """
    of = frame[(frame["outcome"] == outcome) & np.isclose(frame["time"], at)]
    if of.empty:
        raise InvalidValue("the outcome and time", (outcome, at), "one of the table", where="plot_tornado")
    first = WEIGHTED if (of["rival"] == WEIGHTED).any() else of["rival"].iloc[0]
    shown = of[of["rival"] == first].sort_values("median", key=np.abs, kind="stable")
    shown = shown.tail(most or len(shown))
    n, small = len(shown), most is not None
    figure, axes = new_figure(4.4, 1 + 0.42 * n) if small else new_figure(7.2, 1.2 + 0.24 * n)
    ends = shown[["low90", "low50", "median", "high50", "high90"]].to_numpy(float)
    for row, (policy, of_policy) in enumerate(zip(shown["policy"], ends, strict=True)):
        medians = of[(of["policy"] == policy) & (of["rival"] != first)]["median"]
        axes.plot(medians, np.full(len(medians), row), "|", color=_GREY, markersize=7, zorder=2)
        interval(axes, row, of_policy, _BLUE)
    axes.axvline(0, color="black", linewidth=0.8)
    titles = zip(shown["title"], shown["policy"], strict=True)
    names = [textwrap.fill(name, 22) if small else f"{name}  {policy}" for name, policy in titles]
    axes.set_yticks(range(n), names, fontsize=8)
    axes.set_ylim(-0.7, n - 0.3)
    below = f"{title or outcome} {when(at, time_units)}: difference to base"
    axes.set_xlabel(textwrap.fill(below, 36) if small else below)
    if small:
        # the page says what is drawn, in letters of its own
        axes.spines[["top", "right", "left"]].set_visible(False)
        return figure
    several = of["rival"].nunique() > 1
    source = "Structures by weight: m" if first == WEIGHTED else f"Structure {first}: m" if several else "M"
    how = f"{source}edian, 50 and 90 %" + ("; grey: medians under each structure" if several else "")
    return finished(figure, [axes], "Effects of each policy", f"{how}. {caption}")


def plot_fans(result: "xr.Dataset", outcome: str, *, caption: str = "") -> "Figure":
    """The course of an outcome under each policy: median, 50 and 90 % bands, with the base's median beside them."""
    from matplotlib.figure import Figure

    policies = [str(name) for name in result["policy"].to_numpy()]
    shown = [name for name in policies if name != BASE] or policies
    times = result["time"].to_numpy()
    array = result[outcome].isel(rival=0).transpose("policy", "draw", "time")
    ends = {name: np.nanquantile(array.sel(policy=name).to_numpy(), ENDS, axis=0) for name in policies}
    columns = min(2, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(7.2, 0.9 + 2.5 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for number, (axes, name) in enumerate(zip(panels, shown, strict=False)):
        low90, low50, middle, high50, high90 = ends[name]
        pairs = {"90 %": (low90, high90, 0.18), "50 %": (low50, high50, 0.35)}
        bands(axes, times, middle, pairs, PALETTE[number % len(PALETTE)])
        if BASE in policies and name != BASE:
            axes.plot(times, ends[BASE][2], color="black", linewidth=1, linestyle="--", label="base, median")
        axes.set_title(f"{name}  {result['policy_title'].sel(policy=name).item()}", fontsize=9, loc="left")
        axes.margins(x=0.01)
    # when all is drawn: a limit that is set stops the shared axis from growing
    if min(*(np.nanmin(ends[name][0]) for name in shown), np.nanmin(ends.get(BASE, ends[shown[0]])[2])) >= 0:
        panels[0].set_ylim(bottom=0)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    panels[0].legend(frameon=False, fontsize=8)
    label = str(result[outcome].attrs.get("long_name", outcome))
    figure.supylabel(labelled(label, result[outcome].attrs.get("units")), fontsize=9)
    for axes in panels[: len(shown)][-columns:]:
        axes.set_xlabel(timed(panels[: len(shown)], result, most=5), fontsize=9)
    return finished(figure, panels, "The largest effects over time", f"{_rival(result)}{caption}", grid="y")


def _rival(result: "xr.Dataset") -> str:
    """Whose draws a figure of the first rival shows; nothing to say where there is one structure only."""
    name = str(result["rival"].to_numpy()[0])
    return "" if name == ONLY else f"Structure {name}. "


def plot_shapley(
    shapley: "xr.Dataset", outcome: str, at: float, *, title: str = "", caption: str = "", time_units: str = ""
) -> "Figure":
    """What each mechanism did: Shapley values with bands, leave-one-out and add-one-in beside them.

    Parameters
    ----------
    shapley : Dataset
        Of :func:`cipark_sd.commands.policy.attribution.attribution`.
    """
    values = shapley[outcome].sel(time=at).transpose("factor", "rival", "draw").to_numpy()
    order = np.argsort(np.nanmean(values[:, 0], axis=-1), kind="stable")
    figure, axes = new_figure(7.2, 1.6 + 0.5 * len(order))
    for row, factor in enumerate(order):
        first = not row
        mean = np.nanmean(values[factor, 0])
        axes.barh(row, mean, height=0.55, color=_BLUE, alpha=0.45, label="Shapley, mean" if first else None)
        interval(axes, row, np.nanquantile(values[factor, 0], ENDS), _BLUE, dot=0, label=first)
        of_rivals = np.nanmean(values[factor, 1:], axis=-1)
        label = "Shapley under other structures" if first and len(of_rivals) else None
        axes.plot(of_rivals, np.full(len(of_rivals), row), "|", color="black", markersize=11, alpha=0.6, label=label)
        for name, marker, colour in (("leave one out", "<", PALETTE[1]), ("add one in", ">", PALETTE[2])):
            alone = float(shapley[f"{outcome} {name}"].sel(time=at).isel(rival=0, factor=factor).mean("draw"))
            axes.plot(alone, row - 0.36, marker, color=colour, markersize=6, label=name if first else None)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(order)), [str(t) for t in shapley["factor_title"].to_numpy()[order]], fontsize=9)
    axes.set_ylim(-0.8, len(order) - 0.4)
    low, high = axes.get_xlim()
    axes.set_xlim(low - 0.03 * (high - low), high)
    axes.set_xlabel(f"{title or outcome} {when(at, time_units)}")
    axes.legend(frameon=False, fontsize=8, loc="best")
    heading = "What each mechanism did of the difference between all and none"
    return finished(figure, [axes], heading, f"{_rival(shapley)}{caption}")
