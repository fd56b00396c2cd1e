"""Choices under uncertainty: boxes of failure and trade-off fronts."""

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cipark_sd.experiments.definition import Outcome
from cipark_sd.experiments.design import Front
from cipark_sd.experiments.discovery import Box, Restriction
from cipark_sd.plotting.marks import finished
from cipark_sd.plotting.panels import with_unit
from cipark_sd.plotting.paper import TINY
from cipark_sd.plotting.runs import PALETTE
from cipark_sd.timegrid import when

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

#: Bins of an input along which the share of failures is drawn.
BINS = 12


def plot_box(
    inputs: "pd.DataFrame",
    fails: NDArray[np.bool_],
    box: Box,
    *,
    title: str = "",
    caption: str = "",
    names: Mapping[str, str] | None = None,
) -> "Figure":
    """The share of futures that fail along each input that a box restricts, the box in colour.

    Parameters
    ----------
    names : mapping of str to str, optional
        What inputs are called in words.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 1.3 + 1.9 * len(box.restrictions)), layout="constrained")
    panels = figure.subplots(len(box.restrictions), 1, squeeze=False)[:, 0]
    for axes, side in zip(panels, box.restrictions, strict=True):
        _side(axes, inputs[side.name].to_numpy(), fails, side)
        axes.axhline(float(fails.mean()), color="0.4", linewidth=0.8, linestyle="--", label="of all futures")
        axes.set_xlabel((names or {}).get(side.name, side.name))
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    fullest = max(panels, key=lambda axes: len(axes.get_legend_handles_labels()[0]))
    fullest.legend(frameon=False, fontsize=8)
    words = f"Covers {box.coverage:.0%} of the failures; {box.density:.0%} of the futures in it fail. "
    return finished(figure, panels, f"Where '{title}' fails: share of futures", words + caption, grid="")


def _side(axes: "Axes", column: NDArray[Any], fails: NDArray[np.bool_], side: Restriction) -> None:
    """The groups of an input, or bins of it, with the share that fails; what the box holds in colour."""
    if side.among:
        groups = list(dict.fromkeys(column))
        share = [float(fails[column == group].mean()) for group in groups]
        axes.bar(range(len(groups)), share, color=[PALETTE[1] if g in side.among else "0.75" for g in groups])
        axes.set_xticks(range(len(groups)), list(map(str, groups)), fontsize=TINY)
        return
    values = column.astype(float)
    edges = np.linspace(values.min(), values.max(), BINS + 1)
    counts, failed = (np.histogram(part, edges)[0] for part in (values, values[fails]))
    share_of_bin = np.divide(failed, counts, out=np.full(BINS, np.nan), where=counts > 0)
    low = values.min() if side.low is None else side.low
    high = values.max() if side.high is None else side.high
    axes.axvspan(low, high, color=PALETTE[1], alpha=0.2, linewidth=0, label="the box")
    axes.stairs(share_of_bin, edges, color=PALETTE[0], linewidth=1.8, label="share that fails")


def plot_front(
    front: Front,
    outcome: Outcome,
    at: float,
    *,
    units: str = "",
    money: str = "",
    caption: str = "",
    time_units: str = "",
) -> "Figure":
    """The front: mean against the worst futures, coloured by cost, beside the same settings on fresh futures.

    Below, each setting as a line over the levers' ranges.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 7.0), layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=(3, 2))
    searched, fresh = ((scores.tail, scores.mean) for scores in (front.searched, front.fresh))
    upper.plot([searched[0], fresh[0]], [searched[1], fresh[1]], color="0.85", linewidth=0.7, zorder=1)
    colours = upper.scatter(*searched, c=front.searched.cost, cmap="viridis", s=28)
    star: dict[str, Any] = {"color": PALETTE[1], "markersize": 12}
    for scores, marker, how, label in (
        (front.fresh, "o", {"color": "0.6", "markersize": 4, "markerfacecolor": "none"}, "the same on fresh futures"),
        (front.base_searched, "*", star, "base"),
        (front.base_fresh, "*", star | {"markerfacecolor": "none"}, "base on fresh futures"),
    ):
        upper.plot(scores.tail, scores.mean, marker, label=label, **how)
    figure.colorbar(colours, ax=upper, label=f"cost [{money}]" if money else "cost")
    upper.set_xlabel(with_unit(f"{outcome.title} {when(at, time_units)}, mean of the worst futures", units))
    upper.set_ylabel(with_unit("mean of all futures", units))
    upper.legend(frameon=False, fontsize=8)
    _levers(lower, front, colours.cmap, time_units)
    return finished(figure, (upper, lower), "Policies of which none is better in all goals", caption, grid="both")


def _levers(axes: "Axes", front: Front, colours: "Colormap", time_units: str) -> None:
    """Each setting as a line over the ranges of the levers, in the colour of its cost."""
    low, high, base = (np.array([getattr(lever, end) for lever in front.levers]) for end in ("low", "high", "base"))
    costs = front.searched.cost
    for row, part in zip(front.settings, (costs - costs.min()) / (float(np.ptp(costs)) or 1.0), strict=True):
        axes.plot(range(len(low)), (row - low) / (high - low), color=colours(float(part)), linewidth=0.9, alpha=0.6)
    axes.plot(range(len(low)), (base - low) / (high - low), "*", color=PALETTE[1], markersize=11)
    ranges = ["\nto ".join(lever.shown(end, time_units) for end in (lever.low, lever.high)) for lever in front.levers]
    titles = [textwrap.fill(lever.title, 12) for lever in front.levers]
    axes.set_xticks(range(len(low)), [f"{a}\n{b}" for a, b in zip(titles, ranges, strict=True)], fontsize=7)
    axes.set_yticks([0, 1], ["low", "high"])
