"""Figures of what follows a posterior: forecasts that were put to the test, rivals, causes, the future, self-tests."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from calibration.assess.contraction import TYPICAL, GroupValue
from calibration.assess.holdout import RollingOrigin
from calibration.assess.rivals import Comparison
from calibration.assess.scores import LEVELS
from calibration.assess.self_test import RANKED, RankBand, SelfTest, ecdf
from calibration.report.drawing import DATA, GREY, MODEL, OTHER, cells, panels, plain_log, whole_counts, wrapped
from calibration.report.figures_fit import dated, draw_levels
from calibration.study.calendar import Calendar
from cipark_sd.plotting.paper import PALETTE, styled
from cipark_sd.plotting.time_axis import TimeAxis

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

#: Forecasters by order: the model is black, rivals have a colour and a mark each.
_COLOURS = (DATA, *PALETTE[:6])
_MARKS = "oDs^vPX"


@styled
def holdout_figure(rolling: RollingOrigin, calendar: Calendar) -> "Figure":
    """What each forecaster said of the numbers held out: medians, 90 % intervals, and what came."""
    scores = rolling.comparable if len(rolling.comparable) else rolling.scores
    origins = sorted(scores["origin"].unique())
    names = sorted(scores["forecaster"].unique(), key=lambda name: name != "model")
    figure, axes = panels(max(1, len(origins)), 1, 2.6)
    for axis, origin in zip(axes, origins, strict=False):
        of = {name: scores[(scores["origin"] == origin) & (scores["forecaster"] == name)] for name in names}
        texts, common = _shortened(of[names[0]]["label"].tolist())
        for shift, (name, rows) in enumerate(of.items()):
            x = np.arange(len(rows)) + 0.7 * ((shift + 0.5) / len(names) - 0.5)
            low, middle, high = (rows[f"q{LEVELS[place]:g}"] for place in (0, 2, 4))
            colour = _COLOURS[shift % len(_COLOURS)]
            axis.vlines(x, low, high, lw=1.4, colors=colour)
            axis.plot(x, middle, _MARKS[shift % len(_MARKS)], color=colour, ms=3, label=name)
        for place, (lower, upper) in enumerate(of[names[0]][["lower", "upper"]].to_numpy().tolist()):
            axis.fill_between([place - 0.42, place + 0.42], lower - 0.12, upper + 0.12, color="0.6", lw=0,
                              label="what came" if place == 0 else None, zorder=0)  # fmt: skip
        for edge in np.arange(len(texts) + 1) - 0.5:
            axis.axvline(edge, color="0.9", lw=0.6)
        axis.set_xlim(-0.5, len(texts) - 0.5)
        axis.set_xticks(np.arange(len(texts)), texts, rotation=0 if len(texts) <= 7 else 30,
                        ha="center" if len(texts) <= 7 else "right")  # fmt: skip
        axis.set_title(f"fitted to what was known on {calendar.label(origin)} (n = {len(texts)})")
        axis.set_ylabel(wrapped(f"{common} since the date before".strip(), 26))
        whole_counts(axis)
        axis.set_ylim(bottom=0)
    # intervals fill the panels: within one of them the legend would lie on data
    figure.legend(*axes[0].get_legend_handles_labels(), ncols=4, loc="outside upper right")
    axes[-1].set_xlabel("up to")
    return figure


def _shortened(labels: Sequence[str]) -> tuple[list[str], str]:
    """Labels without the words that all begin with, and these words."""
    if len(labels) < 2:
        first, _, last = labels[0].rpartition(" ")
        return [last], first
    first, last = min(labels), max(labels)
    n_same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    cut = first.rfind(" ", 0, n_same) + 1
    return [label[cut:] for label in labels], first[:cut].strip()


@styled
def rivals_figure(lines: Sequence[Comparison]) -> "Figure":
    """How far each structure predicts behind the best, with twice the standard error, and its weights."""
    figure, axes = panels(1, 2, 0.9 + 0.32 * len(lines), share_y=True)
    y = np.arange(len(lines))[::-1]
    behind, weights = axes
    behind.axvline(0, color=GREY, lw=0.8)
    behind.errorbar([-line.elpd_behind for line in lines], y, xerr=[2 * line.behind_error for line in lines],
                    fmt="o", ms=4, color=MODEL, elinewidth=1.2)  # fmt: skip
    behind.set_yticks(y, [wrapped(f"{line.name}: {line.why}", 44) for line in lines], fontsize=6.5)
    behind.set_xlabel("log predictive density against the best, ± 2 s.e.")
    weights.barh(y + 0.19, [line.stacking for line in lines], 0.36, color=MODEL, label="stacking weight")
    weights.barh(y - 0.19, [line.probability for line in lines], 0.36, color=OTHER, label="probability by evidence")
    weights.set_xlabel("share")
    weights.set_xlim(left=0)
    weights.tick_params(axis="y", left=False)
    figure.legend(loc="outside upper right", ncols=2)
    return figure


@styled
def forecast_figure(rows: "pd.DataFrame", levels: "Mapping[str, pd.DataFrame]", *, time: TimeAxis) -> "Figure":
    """What may come, by scenario: median, 50 % and 90 % bands after the dated numbers ``levels`` by observation."""
    observations = rows.groupby("observation", sort=False)
    figure, axes = panels(len(observations), 1, 2.0)
    for axis, (group, of) in zip(axes, observations, strict=True):
        name = str(group)
        numbers = dated(levels[name]) if name in levels else []
        n = draw_levels(axis, numbers)
        for number, scenario in enumerate(rows["scenario"].unique()):
            q = of[of["scenario"] == scenario]
            colour = PALETTE[number % len(PALETTE)]
            axis.fill_between(q["time"], q["q0.05"], q["q0.95"], color=colour, alpha=0.15, lw=0)
            axis.fill_between(q["time"], q["q0.25"], q["q0.75"], color=colour, alpha=0.3, lw=0)
            axis.plot(q["time"], q["q0.5"], ".-", color=colour, label=scenario, ms=4)
        axis.set_title(f"{name} (n = {n}; {q['draws'].iloc[0]} draws)")
        axis.set_ylim(bottom=0)
        axis.set_ylabel("level")
        first = min([end for end, *_ in numbers] + [float(of["time"].min())])
        axes[-1].set_xlabel(time.on(axis, first, float(of["time"].max())))
        whole_counts(axis)
        axis.legend(loc="upper left")
    return figure


@styled
def self_test_figure(tested: SelfTest, band: RankBand) -> "Figure":
    """How the ranks of the true parameters spread, less what is uniform, with the band that holds at all ranks."""
    columns = min(5, len(tested.names))
    n = len(tested.ranks)
    level = grid = (np.arange(RANKED) + 1) / (RANKED + 1)
    n_rows = -(-len(tested.names) // columns)
    # a single row is high enough for the label beside it
    figure, axes = panels(n_rows, columns, max(1.25, 1.8 / n_rows), share_y=True)
    for axis, name, ranks in zip(cells(axes, len(tested.names)), tested.names, tested.ranks.T, strict=True):
        axis.fill_between(grid, band.low - level, band.high - level, color="0.88", lw=0)
        axis.step(grid, ecdf(ranks) - level, color=MODEL, where="post", lw=1)
        axis.axhline(0, color=GREY, lw=0.6)
        axis.set_title(wrapped(name, 20), fontsize=7)
        axis.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    figure.supxlabel(f"rank of the true value as share ({n} synthetic data sets)", fontsize=8)
    figure.supylabel("distribution less uniform", fontsize=8)
    return figure


@styled
def groups_figure(lines: Sequence[GroupValue], units: Mapping[str, str]) -> "Figure":
    """Each pooled parameter by group: medians, central halves and 95 %, with the central half of a new group."""
    names = list(dict.fromkeys(line.parameter for line in lines))
    groups = [line.group for line in lines if line.parameter == names[0]]
    figure, axes = panels(1, len(names), 0.5 + 0.17 * len(groups), share_y=True)
    places = np.arange(len(groups))[::-1]
    for axis, name in zip(axes, names, strict=True):
        of_it = [line for line in lines if line.parameter == name]
        q = np.array([line.quantiles for line in of_it])
        axis.axvspan(q[-1, 1], q[-1, 3], color=MODEL, alpha=0.12, lw=0)
        for place, line, quantiles in zip(places, of_it, q, strict=True):
            colour = MODEL if line.fitted and line.group != TYPICAL else OTHER
            axis.hlines(place, quantiles[0], quantiles[4], lw=0.9, colors=colour)
            axis.hlines(place, quantiles[1], quantiles[3], lw=2.6, colors=colour)
            axis.plot(quantiles[2], place, "o", ms=3, color=colour)
        if (q > 0).all() and q.max() > 4 * q.min():
            plain_log(axis)
        unit = units.get(f"{name} Typical", "")
        axis.set_xlabel(wrapped(f"{name} [{unit}]" if unit else name, 30))
    axes[0].set_yticks(places, groups)
    axes[0].set_ylim(-0.6, len(groups) - 0.4)
    return figure
