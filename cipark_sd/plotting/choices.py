"""Choices under uncertainty: robustness measures, boxes of failure, trade-off fronts, what knowing is worth."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cipark_sd.experiments.definition import Better, Outcome
from cipark_sd.experiments.design import Front
from cipark_sd.experiments.discovery import Box, Restriction
from cipark_sd.experiments.robustness import goodness
from cipark_sd.plotting.runs import PALETTE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: What is worth less than this share of the largest is not drawn.
NEXT_TO_NOTHING = 0.002


def plot_measures(frame: "pd.DataFrame", titles: Sequence[str], better: Better, *, caption: str = "") -> "Figure":
    """A table of measures (rows are policies) whose cells are the darker the better within their column.

    Parameters
    ----------
    frame : DataFrame
        A row for each policy, a column for each measure of :data:`cipark_sd.experiments.robustness.MEASURES`.
    """
    from matplotlib.figure import Figure

    values = frame.to_numpy(float)
    shades = np.empty(frame.shape)
    for position, name in enumerate(frame.columns):
        good = goodness(str(name), frame[name].to_numpy(float), better)
        width = np.ptp(good)
        shades[:, position] = (good - good.min()) / width if width else 0.5
    figure = Figure(figsize=(8.4, 1.6 + 0.42 * len(frame)), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shades, cmap="Blues", vmin=-0.1, vmax=1.6, aspect="auto")
    for row, column in np.ndindex(*frame.shape):
        best = shades[row, column] == 1
        text = f"{values[row, column]:.3g}"
        axes.text(column, row, text, ha="center", va="center", fontsize=9, weight="bold" if best else "normal")
    axes.set_xticks(range(frame.shape[1]), [str(name).replace("_", "\n") for name in frame.columns], fontsize=9)
    axes.xaxis.tick_top()
    axes.set_yticks(range(len(frame)), list(titles), fontsize=9)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.suptitle("How well each policy does whatever is true (bold: the best)", fontsize=11, x=0.02, ha="left")
    _caption(figure, caption)
    return figure


def plot_box(
    inputs: "pd.DataFrame", fails: NDArray[np.bool_], box: Box, *, title: str = "", caption: str = ""
) -> "Figure":
    """Futures by the two inputs that matter most to a box, failures marked, the box drawn; the others as bars.

    The two are those with the smallest quasi-p; the bars show which part of each input's range the box holds.
    """
    from matplotlib.figure import Figure

    numeric = sorted((r for r in box.restrictions if not r.among), key=lambda r: (np.isnan(r.quasi_p), r.quasi_p))
    two = len(numeric) >= 2
    figure = Figure(figsize=(8.4, 4.2 if two else 1.6 + 0.6 * len(box.restrictions)), layout="constrained")
    if two:
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        _scatter(left, inputs, fails, numeric[0], numeric[1])
    else:
        right = figure.subplots()
    for row, one in enumerate(box.restrictions):
        right.hlines(row, 0, 1, color="0.85", linewidth=6)
        if one.among:
            share = len(one.among) / inputs[one.name].nunique()
            right.hlines(row, 0, share, color=PALETTE[1], linewidth=6)
            right.text(0, row - 0.28, f"{one.name}: {', '.join(one.among)}", fontsize=8)
            continue
        low, high = float(inputs[one.name].min()), float(inputs[one.name].max())
        ends = [((end if end is not None else other) - low) / (high - low)
                for end, other in ((one.low, low), (one.high, high))]  # fmt: skip
        right.hlines(row, *ends, color=PALETTE[1], linewidth=6)
        shown = f"{one.low if one.low is not None else low:.3g} to {one.high if one.high is not None else high:.3g}"
        right.text(0, row - 0.28, f"{one.name}: {shown}", fontsize=8)
    right.set_ylim(len(box.restrictions) - 0.4, -0.8)
    right.set_axis_off()
    told = f"covers {box.coverage:.0%} of the failures; {box.density:.0%} of the futures in it fail"
    right.set_title(told, fontsize=8, loc="left")
    figure.suptitle(f"Where '{title}' fails", fontsize=11, x=0.02, ha="left")
    _caption(figure, caption)
    return figure


def _scatter(axes: "Axes", inputs: "pd.DataFrame", fails: NDArray[np.bool_], x: Restriction, y: Restriction) -> None:
    from matplotlib.patches import Rectangle

    across, up = inputs[x.name].to_numpy(float), inputs[y.name].to_numpy(float)
    axes.plot(across[~fails], up[~fails], "o", color=PALETTE[0], markersize=3, alpha=0.5, label="meets the demands")
    axes.plot(across[fails], up[fails], "x", color=PALETTE[1], markersize=4, alpha=0.8, label="fails")
    corner = [(one.low if one.low is not None else v.min(), one.high if one.high is not None else v.max())
              for one, v in ((x, across), (y, up))]  # fmt: skip
    (x0, x1), (y0, y1) = corner
    axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor="black", linewidth=1.5))
    axes.set_xlabel(x.name)
    axes.set_ylabel(y.name)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)


def plot_front(front: Front, outcome: Outcome, at: float, *, caption: str = "") -> "Figure":
    """The front: mean against the worst futures, coloured by cost, with an arrow's tail at the fresh score.

    Below, each setting as a line over the levers' ranges.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 7.0), layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=(3, 2))
    colours = upper.scatter(front.searched.tail, front.searched.mean, c=front.searched.cost, cmap="viridis", s=28)
    upper.plot(front.fresh.tail, front.fresh.mean, "o", color="0.6", markerfacecolor="none", markersize=4,
               label="the same on fresh futures")  # fmt: skip
    upper.plot(front.base_searched.tail, front.base_searched.mean, "*", color=PALETTE[1], markersize=13,
               label="as it was")  # fmt: skip
    figure.colorbar(colours, ax=upper, label="cost")
    upper.set_xlabel(f"{outcome.title} at {at:g}, mean of the worst futures")
    upper.set_ylabel("mean of all futures")
    upper.legend(frameon=False, fontsize=8)
    low = np.array([lever.low for lever in front.levers])
    high = np.array([lever.high for lever in front.levers])
    positions = np.arange(len(low))
    span = float(np.ptp(front.searched.cost)) or 1.0
    for row, spent in zip((front.settings - low) / (high - low), front.searched.cost, strict=True):
        share = (spent - front.searched.cost.min()) / span
        lower.plot(positions, row, color=colours.cmap(float(share)), linewidth=0.9, alpha=0.6)
    base = (np.array([lever.base for lever in front.levers]) - low) / (high - low)
    lower.plot(positions, base, "*", color=PALETTE[1], markersize=11)
    names = [f"{lever.id}\n{lever.low:g} to\n{lever.high:g}".replace(" ", "\n", 1) for lever in front.levers]
    lower.set_xticks(positions, names, fontsize=8)
    lower.set_yticks([0, 1], ["low", "high"])
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
    figure.suptitle("Policies of which none is better in all goals", fontsize=11, x=0.02, ha="left")
    _caption(figure, caption)
    return figure


def plot_worth(frame: "pd.DataFrame", title: str, at: float, units: str, *, caption: str = "") -> "Figure":
    """What each piece of knowledge is worth, with one standard error, beside knowing everything."""
    from matplotlib.figure import Figure

    shown = frame[frame["value"] > NEXT_TO_NOTHING * frame["value"].max()].iloc[::-1]
    left_out = len(frame) - len(shown)
    figure = Figure(figsize=(7.6, 1.4 + 0.27 * len(shown)), layout="constrained")
    axes = figure.subplots()
    colours = {"everything": "0.6", "input": PALETTE[0], "measurement": PALETTE[2]}
    kinds = [str(kind) for kind in shown["kind"]]
    axes.barh(range(len(shown)), shown["value"], xerr=shown["error"], color=[colours[kind] for kind in kinds],
              height=0.6, error_kw={"linewidth": 1, "ecolor": "0.3"})  # fmt: skip
    axes.set_yticks(range(len(shown)), [str(what) for what in shown["what"]], fontsize=8)
    axes.set_xlabel(f"rise of expected {title[:1].lower()}{title[1:]} at {at:g}" + (f" [{units}]" if units else ""))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlim(left=0)
    axes.set_ylim(-0.7, len(shown) - 0.3)
    for kind, colour in colours.items():
        axes.barh([0], [0], color=colour, label=kind)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    figure.suptitle("What it is worth to know before choosing", fontsize=11, x=0.02, ha="left")
    nothing = f"{left_out} inputs worth next to nothing are left out. " if left_out else ""
    _caption(figure, nothing + caption)
    return figure


def _caption(figure: "Figure", caption: str) -> None:
    figure.supxlabel(caption, fontsize=7, color="0.35", x=0.02, ha="left")
