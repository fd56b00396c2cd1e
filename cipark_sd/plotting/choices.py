"""Choices under uncertainty: robustness measures, boxes of failure, trade-off fronts, what knowing is worth."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cipark_sd.experiments.definition import Better, Outcome
from cipark_sd.experiments.design import Front
from cipark_sd.experiments.discovery import Box, Restriction
from cipark_sd.experiments.robustness import SHARES, goodness
from cipark_sd.plotting.panels import note
from cipark_sd.plotting.runs import PALETTE
from cipark_sd.timegrid import when
from cipark_sd.wording import grouped

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

#: Bins of an input along which the share of failures is drawn.
BINS = 12
#: What is worth less than this share of the largest is not drawn.
NEXT_TO_NOTHING = 0.002


def plot_measures(
    frame: "pd.DataFrame", titles: Sequence[str], better: Better, *, title: str = "", caption: str = ""
) -> "Figure":
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
        share = str(frame.columns[column]) in SHARES
        text = f"{values[row, column]:.0%}" if share else grouped(float(values[row, column]), digits=3)
        axes.text(column, row, text, ha="center", va="center", fontsize=9, weight="bold" if best else "normal")
    axes.set_xticks(range(frame.shape[1]), [str(name).replace("_", "\n") for name in frame.columns], fontsize=9)
    axes.xaxis.tick_top()
    axes.set_yticks(range(len(frame)), list(titles), fontsize=9)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    heading = f"{title}: h" if title else "H"
    figure.suptitle(f"{heading}ow well each does in every future (bold: the best)", fontsize=11, x=0.02, ha="left")
    note(figure, caption)
    return figure


def plot_box(
    inputs: "pd.DataFrame",
    fails: NDArray[np.bool_],
    box: Box,
    *,
    title: str = "",
    caption: str = "",
    names: Mapping[str, str] | None = None,
) -> "Figure":
    """Futures by the two inputs that matter most to a box, failures marked, the box drawn; the others as bars.

    The two are those with the smallest quasi-p; the bars show which part of each input's range the box holds. A box of
    one number shows the share of futures that fail along it instead.

    Parameters
    ----------
    names : mapping of str to str, optional
        What inputs are called in words.
    """
    from matplotlib.figure import Figure

    titles = dict(names or {})
    if all(restriction.among for restriction in box.restrictions):
        return _plot_groups(inputs, fails, box, title, caption, titles)
    numeric = sorted((r for r in box.restrictions if not r.among), key=lambda r: (np.isnan(r.quasi_p), r.quasi_p))
    figure = Figure(figsize=(8.4, 4.2), layout="constrained")
    large, right = figure.subplots(1, 2, width_ratios=(3, 2))
    if len(numeric) > 1:
        _scatter(large, inputs, fails, box, (numeric[0], numeric[1]), titles)
    else:
        _along(large, inputs, fails, numeric[0], titles)
    for row, restriction in enumerate(box.restrictions):
        _side(right, row, restriction, inputs, titles.get(restriction.name, restriction.name))
    right.set_ylim(len(box.restrictions) - 0.4, -0.8)
    right.set_axis_off()
    right.set_title(_box_words(box), fontsize=8, loc="left")
    figure.suptitle(f"Where '{title}' fails", fontsize=11, x=0.02, ha="left")
    note(figure, caption)
    return figure


def _box_words(box: Box) -> str:
    return f"covers {box.coverage:.0%} of the failures;\n{box.density:.0%} of the futures in it fail"


def _plot_groups(
    inputs: "pd.DataFrame", fails: NDArray[np.bool_], box: Box, title: str, caption: str, names: Mapping[str, str]
) -> "Figure":
    """A box of categories alone: the share of futures that fail in each group, those in the box in colour."""
    from matplotlib.figure import Figure

    counts = [inputs[restriction.name].nunique() for restriction in box.restrictions]
    figure = Figure(figsize=(7.2, 1.5 + sum(0.6 + 0.24 * count for count in counts)), layout="constrained")
    panels = figure.subplots(len(counts), 1, height_ratios=counts, squeeze=False).ravel()
    for axes, restriction in zip(panels, box.restrictions, strict=True):
        column = inputs[restriction.name].to_numpy()
        groups = list(dict.fromkeys(column))
        share = [float(fails[column == group].mean()) for group in groups]
        order = np.argsort(share, kind="stable")
        colours = [PALETTE[1] if groups[i] in restriction.among else "0.75" for i in order]
        axes.barh(range(len(order)), [share[i] for i in order], color=colours, height=0.7)
        axes.set_yticks(range(len(order)), [str(groups[i]) for i in order], fontsize=8)
        axes.axvline(float(fails.mean()), color="0.4", linewidth=0.8, linestyle="--", label="of all futures")
        axes.barh([0], [0], color=PALETTE[1], label="in the box")
        axes.barh([0], [0], color="0.75", label="outside it")
        axes.set_ylabel(names.get(restriction.name, restriction.name), fontsize=9)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False, fontsize=8, loc="lower right")
    panels[0].set_title(_box_words(box).replace("\n", " "), fontsize=8, loc="left")
    panels[-1].set_xlabel("share of futures that fail")
    figure.suptitle(f"Where '{title}' fails", fontsize=11, x=0.02, ha="left")
    note(figure, caption)
    return figure


def _side(axes: "Axes", row: int, restriction: Restriction, inputs: "pd.DataFrame", name: str) -> None:
    """One input as a bar of its range, with the part that the box holds."""
    axes.hlines(row, 0, 1, color="0.85", linewidth=6)
    if restriction.among:
        axes.hlines(row, 0, len(restriction.among) / inputs[restriction.name].nunique(), color=PALETTE[1], linewidth=6)
        axes.text(0, row - 0.28, f"{name}: {', '.join(restriction.among)}", fontsize=8)
        return
    values = inputs[restriction.name].to_numpy(float)
    low, high = _ends(restriction, values)
    start, width = values.min(), np.ptp(values)
    axes.hlines(row, (low - start) / width, (high - start) / width, color=PALETTE[1], linewidth=6)
    axes.text(0, row - 0.28, f"{name}: {grouped(low, digits=3)} to {grouped(high, digits=3)}", fontsize=8)


def _ends(restriction: Restriction, values: NDArray[np.float64]) -> tuple[float, float]:
    """The ends of a side; where it is open, those of the values."""
    low = float(values.min()) if restriction.low is None else restriction.low
    return low, float(values.max()) if restriction.high is None else restriction.high


def _along(
    axes: "Axes", inputs: "pd.DataFrame", fails: NDArray[np.bool_], restriction: Restriction, names: Mapping[str, str]
) -> None:
    """The share of futures that fail in bins of one input, the box shaded."""
    values = inputs[restriction.name].to_numpy(float)
    edges = np.linspace(values.min(), values.max(), BINS + 1)
    counts, _ = np.histogram(values, edges)
    failed, _ = np.histogram(values[fails], edges)
    share = np.divide(failed, counts, out=np.full(BINS, np.nan), where=counts > 0)
    low, high = _ends(restriction, values)
    axes.axvspan(low, high, color=PALETTE[1], alpha=0.2, linewidth=0, label="the box")
    axes.stairs(share, edges, color=PALETTE[0], linewidth=1.8, label="share of futures that fail")
    axes.axhline(float(fails.mean()), color="0.4", linewidth=0.8, linestyle="--", label="of all futures")
    axes.set_ylim(0, 1.02)
    axes.set_xlabel(names.get(restriction.name, restriction.name))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)


def _scatter(
    axes: "Axes",
    inputs: "pd.DataFrame",
    fails: NDArray[np.bool_],
    box: Box,
    shown: tuple[Restriction, Restriction],
    names: Mapping[str, str],
) -> None:
    """Futures by two inputs; those that the box leaves out by its other sides are faint."""
    from matplotlib.patches import Rectangle

    x, y = shown
    across, up = inputs[x.name].to_numpy(float), inputs[y.name].to_numpy(float)
    remaining = [restriction for restriction in box.restrictions if restriction not in shown]
    inside = (
        np.all([_within(inputs, restriction) for restriction in remaining], axis=0)
        if remaining
        else np.ones(len(fails), dtype=bool)
    )
    for mask, faint, labelled in ((inside, 1.0, True), (~inside, 0.2, False)):
        fine, bad = mask & ~fails, mask & fails
        axes.plot(across[fine], up[fine], "o", color=PALETTE[0], markersize=3, alpha=0.5 * faint,
                  label="meets the demands" if labelled else None)  # fmt: skip
        axes.plot(across[bad], up[bad], "x", color=PALETTE[1], markersize=4, alpha=0.8 * faint,
                  label="fails" if labelled else None)  # fmt: skip
    if remaining:
        axes.plot([], [], "o", color=PALETTE[0], markersize=3, alpha=0.1, label="outside by another side")
    (x0, x1), (y0, y1) = (_ends(restriction, values) for restriction, values in ((x, across), (y, up)))
    axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor="black", linewidth=1.5, label="the box"))
    axes.set_xlabel(names.get(x.name, x.name))
    axes.set_ylabel(names.get(y.name, y.name))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)


def _within(inputs: "pd.DataFrame", restriction: Restriction) -> NDArray[np.bool_]:
    """The futures that one side of a box lets in."""
    if restriction.among:
        return inputs[restriction.name].isin(restriction.among).to_numpy()
    values = inputs[restriction.name].to_numpy(float)
    low = -np.inf if restriction.low is None else restriction.low
    return (values >= low) & (values <= (np.inf if restriction.high is None else restriction.high))


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
    for new, old in zip(np.c_[front.fresh.tail, front.fresh.mean], np.c_[front.searched.tail, front.searched.mean],
                        strict=True):  # fmt: skip
        upper.plot(*np.c_[old, new], color="0.85", linewidth=0.7, zorder=1)
    colours = upper.scatter(front.searched.tail, front.searched.mean, c=front.searched.cost, cmap="viridis", s=28)
    upper.plot(front.fresh.tail, front.fresh.mean, "o", color="0.6", markerfacecolor="none", markersize=4,
               label="the same on fresh futures")  # fmt: skip
    upper.plot(front.base_searched.tail, front.base_searched.mean, "*", color=PALETTE[1], markersize=13,
               label="base")  # fmt: skip
    upper.plot(front.base_fresh.tail, front.base_fresh.mean, "*", color=PALETTE[1], markerfacecolor="none",
               markersize=11, label="base on fresh futures")  # fmt: skip
    figure.colorbar(colours, ax=upper, label=f"cost [{money}]" if money else "cost")
    unit = f" [{units}]" if units else ""
    upper.set_xlabel(f"{outcome.title} {when(at, time_units)}, mean of the worst futures{unit}")
    upper.set_ylabel(f"mean of all futures{unit}")
    upper.legend(frameon=False, fontsize=8)
    _levers(lower, front, colours.cmap, time_units)
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
    figure.suptitle("Policies of which none is better in all goals", fontsize=11, x=0.02, ha="left")
    note(figure, caption)
    return figure


def _levers(axes: "Axes", front: Front, colours: "Colormap", time_units: str) -> None:
    """Each setting as a line over the ranges of the levers, in the colour of its cost."""
    low = np.array([lever.low for lever in front.levers])
    high = np.array([lever.high for lever in front.levers])
    positions = np.arange(len(low))
    span = float(np.ptp(front.searched.cost)) or 1.0
    for row, spent in zip((front.settings - low) / (high - low), front.searched.cost, strict=True):
        part = (spent - front.searched.cost.min()) / span
        axes.plot(positions, row, color=colours(float(part)), linewidth=0.9, alpha=0.6)
    base = (np.array([lever.base for lever in front.levers]) - low) / (high - low)
    axes.plot(positions, base, "*", color=PALETTE[1], markersize=11)
    names = [
        "\n".join((textwrap.fill(lever.title, 12), lever.shown(lever.low, time_units),
                   f"to {lever.shown(lever.high, time_units)}"))
        for lever in front.levers
    ]  # fmt: skip
    axes.set_xticks(positions, names, fontsize=7)
    axes.set_yticks([0, 1], ["low", "high"])


def plot_worth(
    frame: "pd.DataFrame", title: str, at: float, units: str, *, caption: str = "", time_units: str = ""
) -> "Figure":
    """What each piece of knowledge is worth, with one standard error, beside knowing everything."""
    from matplotlib.figure import Figure

    shown = frame[frame["value"] > NEXT_TO_NOTHING * frame["value"].max()].iloc[::-1]
    left_out = len(frame) - len(shown)
    figure = Figure(figsize=(7.6, 1.7 + 0.27 * len(shown)), layout="constrained")
    axes = figure.subplots()
    colours = {"everything": "0.6", "input": PALETTE[0], "measurement": PALETTE[2]}
    kinds = [str(kind) for kind in shown["kind"]]
    axes.barh(range(len(shown)), shown["value"], xerr=shown["error"], color=[colours[kind] for kind in kinds],
              height=0.6, error_kw={"linewidth": 1, "ecolor": "0.3"})  # fmt: skip
    axes.set_yticks(range(len(shown)), [str(source) for source in shown["what"]], fontsize=8)
    unit = f" [{units}]" if units else ""
    axes.set_xlabel(f"rise of expected {title[:1].lower()}{title[1:]} {when(at, time_units)}{unit}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlim(left=0)
    axes.set_ylim(-0.7, len(shown) - 0.3)
    for kind, colour in colours.items():
        axes.barh([0], [0], color=colour, label=kind)
    axes.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    figure.suptitle("What it is worth to know before choosing", fontsize=11, x=0.02, ha="left")
    nothing = f"{left_out} worth next to nothing are left out. " if left_out else ""
    nothing = f"Lines: one Monte Carlo standard error. {nothing}"
    note(figure, nothing + caption)
    return figure
