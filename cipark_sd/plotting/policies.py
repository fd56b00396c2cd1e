"""Policies: their effects, their course over time, and what each mechanism did."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cipark_sd.errors import InvalidValue
from cipark_sd.experiments.definition import BASE, ONLY
from cipark_sd.experiments.effects import WEIGHTED
from cipark_sd.plotting.panels import note, timed
from cipark_sd.plotting.runs import PALETTE
from cipark_sd.timegrid import when

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.axes import Axes
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
        Of :func:`cipark_sd.experiments.effects.table`.

    Raises
    ------
    InvalidValue
        When the table has no such outcome or time.
    """
    of = frame[(frame["outcome"] == outcome) & np.isclose(frame["time"], at)]
    if of.empty:
        raise InvalidValue("the outcome and time", (outcome, at), "one of the table", where="plot_tornado")
    first = WEIGHTED if (of["rival"] == WEIGHTED).any() else of["rival"].iloc[0]
    differences = of[of["rival"] == first].copy()
    differences["size"] = differences["median"].abs()
    differences = differences.sort_values("size", kind="stable").tail(most or len(differences))
    figure, axes = (
        _figure(7.2, 1.2 + 0.24 * len(differences)) if most is None else _figure(4.4, 1 + 0.42 * len(differences))
    )
    ends = differences[["low90", "low50", "median", "high50", "high90"]].to_numpy(float)
    for row, (policy, (low90, low50, median, high50, high90)) in enumerate(
        zip(differences["policy"], ends, strict=True)
    ):
        medians = of[(of["policy"] == policy) & (of["rival"] != first)]["median"]
        axes.plot(medians, np.full(len(medians), row), "|", color=_GREY, markersize=7, zorder=2)
        axes.hlines(row, low90, high90, color=_BLUE, linewidth=1, zorder=3)
        axes.hlines(row, low50, high50, color=_BLUE, linewidth=4, zorder=3)
        axes.plot(median, row, "o", color="white", markeredgecolor=_BLUE, markersize=4, zorder=4)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(
        range(len(differences)),
        [f"{title}  {policy}" for title, policy in zip(differences["title"], differences["policy"], strict=True)]
        if most is None
        else [textwrap.fill(title, 22) for title in differences["title"]],
        fontsize=8,
    )
    axes.set_ylim(-0.7, len(differences) - 0.3)
    below = f"{title or outcome} {when(at, time_units)}: difference to base"
    axes.set_xlabel(below if most is None else textwrap.fill(below, 36))
    if most is not None:
        # the page says what is drawn, in letters of its own
        axes.spines[["top", "right", "left"]].set_visible(False)
        return figure
    several = of["rival"].nunique() > 1
    source = "Structures by weight: m" if first == WEIGHTED else f"Structure {first}: m" if several else "M"
    how = f"{source}edian, 50 and 90 %" + ("; grey: medians under each structure" if several else "")
    return _finished(figure, axes, "x", "Effects of each policy", f"{how}. {caption}")


def plot_fans(result: "xr.Dataset", outcome: str, *, caption: str = "") -> "Figure":
    """The course of an outcome under each policy: median, 50 and 90 % bands, with the base's median beside them."""
    policies = [str(name) for name in result["policy"].to_numpy()]
    shown = [name for name in policies if name != BASE] or policies
    times = result["time"].to_numpy()
    array = result[outcome].isel(rival=0).transpose("policy", "draw", "time")
    columns = min(2, len(shown))
    rows = -(-len(shown) // columns)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 0.9 + 2.5 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    lowest: list[float] = []
    for axes, name, colour in zip(panels, shown, _colours(len(shown)), strict=False):
        low90, low50, middle, high50, high90 = np.nanquantile(
            array.sel(policy=name).to_numpy(), [0.05, 0.25, 0.5, 0.75, 0.95], axis=0
        )
        axes.fill_between(times, low90, high90, color=colour, alpha=0.18, linewidth=0, label="90 %")
        axes.fill_between(times, low50, high50, color=colour, alpha=0.35, linewidth=0, label="50 %")
        axes.plot(times, middle, color=colour, linewidth=1.8, label="median")
        if BASE in policies and name != BASE:
            base = np.nanquantile(array.sel(policy=BASE).to_numpy(), 0.5, axis=0)
            axes.plot(times, base, color="black", linewidth=1, linestyle="--", label="base, median")
            lowest.append(float(np.nanmin(base)))
        lowest.append(float(np.nanmin(low90)))
        title = str(result["policy_title"].sel(policy=name).item())
        axes.set_title(f"{name}  {title}", fontsize=9, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.margins(x=0.01)
    # when all is drawn: a limit that is set stops the shared axis from growing
    if min(lowest) >= 0:
        panels[0].set_ylim(bottom=0)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    panels[0].legend(frameon=False, fontsize=8)
    label = str(result[outcome].attrs.get("long_name", outcome))
    units = result[outcome].attrs.get("units")
    figure.supylabel(f"{label} [{units}]" if units else label, fontsize=9)
    for axes in panels[: len(shown)][-columns:]:
        axes.set_xlabel(timed(panels[: len(shown)], result, most=5), fontsize=9)
    figure.suptitle("The largest effects over time", fontsize=11, x=0.02, ha="left")
    note(figure, f"{_rival(result)}{caption}")
    return figure


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
    found : Dataset
        Of :func:`cipark_sd.experiments.attribution.attribution`.
    """
    values = shapley[outcome].sel(time=at).transpose("factor", "rival", "draw").to_numpy()
    order = np.argsort(np.nanmean(values[:, 0], axis=-1), kind="stable")
    figure, axes = _figure(7.2, 1.6 + 0.5 * len(order))
    first = True
    for row, factor in enumerate(order):
        low90, low50, high50, high90 = np.nanquantile(values[factor, 0], [0.05, 0.25, 0.75, 0.95])
        mean = np.nanmean(values[factor, 0])
        axes.barh(row, mean, height=0.55, color=_BLUE, alpha=0.45, label="Shapley, mean" if first else None)
        axes.hlines(row, low90, high90, color=_BLUE, linewidth=1, label="90 %" if first else "")
        axes.hlines(row, low50, high50, color=_BLUE, linewidth=4, label="50 %" if first else "")
        of_rivals = np.nanmean(values[factor, 1:], axis=-1)
        axes.plot(of_rivals, np.full(len(of_rivals), row), "|", color="black", markersize=11, alpha=0.6,
                  label="Shapley under other structures" if first and len(of_rivals) else None)  # fmt: skip
        for name, marker, colour in (("leave one out", "<", PALETTE[1]), ("add one in", ">", PALETTE[2])):
            alone = float(shapley[f"{outcome} {name}"].sel(time=at).isel(rival=0, factor=factor).mean("draw"))
            axes.plot(alone, row - 0.36, marker, color=colour, markersize=6, label=name if first else None)
        first = False
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(order)), [str(t) for t in shapley["factor_title"].to_numpy()[order]], fontsize=9)
    axes.set_ylim(-0.8, len(order) - 0.4)
    low, high = axes.get_xlim()
    axes.set_xlim(low - 0.03 * (high - low), high)
    axes.set_xlabel(f"{title or outcome} {when(at, time_units)}")
    axes.legend(frameon=False, fontsize=8, loc="best")
    return _finished(
        figure,
        axes,
        "x",
        "What each mechanism did of the difference between all and none",
        f"{_rival(shapley)}{caption}",
    )


def _figure(width: float, height: float) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _finished(figure: "Figure", axes: "Axes", grid: str, title: str, caption: str) -> "Figure":
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x" if grid == "x" else "y", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    figure.suptitle(title, fontsize=11, x=0.02, ha="left")
    note(figure, caption)
    return figure


def _colours(n: int) -> Sequence[str]:
    return [PALETTE[i % len(PALETTE)] for i in range(n)]
