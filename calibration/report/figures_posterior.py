"""Figures of a posterior and of what follows it: hold-out, rivals, forecasts, groups, self-tests."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from calibration.assess.contraction import COLUMNS, TYPICAL
from calibration.assess.holdout import RollingOrigin
from calibration.assess.posterior_predictive import Band, Predicted
from calibration.assess.rivals import Comparison
from calibration.assess.scores import LEVELS
from calibration.assess.self_test import RANKED, SelfTest, ecdf
from calibration.report import figures_fit
from calibration.report.findings import Observed
from calibration.study.calendar import Calendar
from calibration.study.parameters import ParameterSpace
from cipark_sd.base.arrays import Array
from cipark_sd.base.wording import labelled
from cipark_sd.pages.figures.panels import PALETTE, TimeAxis, styled
from cipark_sd.pages.figures.panels import bands as banded

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

#: Points of a pair plot and parameters in it: more is a black square.
PAIR_POINTS, PAIR_MOST = 800, 7


@styled
def bands_figure(bands: Sequence[Band], observations: Sequence[Observed], *, time: TimeAxis) -> "Figure":
    """Dated numbers with 50% and 90% bands of what the posterior predicts, increments added up.

    Parameters
    ----------
    observations : sequence of Observed
        All that bands are of.
    """
    known = {observation.name: observation for observation in observations}
    figure, axes = figures_fit.panels(min(max(1, len(bands)), figures_fit.MOST_PANELS), 1, 2.1)
    figures_fit.tell_first(figure, len(bands), "observations", "predictive.csv")
    for axis, band in zip(axes, bands, strict=False):
        observation = known[band.observation]
        if not len(band.times):
            axis.set_title(f"{band.observation}: the model has no value")
            continue
        at, q = band.times, band.quantiles
        banded(axis, at, q, figures_fit.MODEL, {"90% of predictions": 0.2, "50%": 0.35}, label="median")
        n = figures_fit.draw_levels(axis, band.observed)
        added = {"increments": ",\nadded up", "level": "", "flow": "\nover each window"}[observation.kind]
        label = figures_fit.wrapped(observation.label, 30) + added
        figures_fit.name_panel(axis, f"{band.observation} (n = {n})", label, float(np.nanmin(q)))
        axis.set_xlabel(time.on(axis, float(at[0]), float(at[-1])))
    for axis in axes[:-1]:
        axis.set_xlabel("")
    figure.align_ylabels(axes)
    return figure


@styled
def posterior_figure(space: ParameterSpace, draws: Array) -> "Figure":
    """Each parameter's draws (filled) against its prior (line), ``draws : (n, k)``.

    Parameters
    ----------
    draws : (n, k)
        On the parameters' own scales.
    """
    n, columns = min(len(space), figures_fit.MOST_PANELS), min(5, len(space))
    figure, axes = figures_fit.panels(-(-n // columns), columns, 1.35)
    figures_fit.tell_first(figure, len(space), "parameters", "posterior.csv")
    for axis, parameter, column in zip(figures_fit.cells(axes, n), space, draws.T, strict=False):
        on_log = parameter.scale == "log"
        low, high = parameter.interval(0.998)
        edges = np.geomspace(low, high, 36) if on_log else np.linspace(low, high, 36)
        expected = np.diff(parameter.distribution.probability(edges))
        counts, _ = np.histogram(column, edges)
        axis.stairs(counts / len(column), edges, color=figures_fit.MODEL, fill=True, alpha=0.5, label="posterior")
        axis.stairs(expected, edges, color=figures_fit.OTHER, lw=1, label="prior")
        axis.set_xlim(low, high)
        if on_log:
            figures_fit.plain_log(axis, most=4)
        axis.set_yticks([])
        axis.spines["left"].set_visible(False)
        axis.set_title(figures_fit.wrapped(parameter.name, 20), fontsize=7)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower right", ncols=2)
    return figure


@styled
def pairs_figure(space: ParameterSpace, draws: Array, names: Sequence[str]) -> "Figure":
    """Joint draws ``(n, k)`` of some parameters, two by two, on their own scales; correlations in the upper half.

    Parameters
    ----------
    draws : (n, k)
        On the parameters' own scales.
    names : sequence of str
        The first :data:`PAIR_MOST` are drawn.
    """
    from scipy import stats

    places = [space.names.index(name) for name in names[:PAIR_MOST]]
    n = len(places)
    theta = draws[np.linspace(0, len(draws) - 1, PAIR_POINTS).round().astype(int)]
    ranked = np.atleast_2d(stats.spearmanr(draws[:, places]).statistic) if n > 2 else None
    figure, axes = figures_fit.panels(n, n, 7.2 / n)
    for row, i in enumerate(places):
        for column, j in enumerate(places):
            axis = axes[row * n + column]
            if column > row:
                axis.set_axis_off()
                if ranked is not None:
                    value = float(ranked[row, column])
                    axis.text(0.5, 0.5, f"{value:+.2f}", ha="center", va="center", transform=axis.transAxes,
                              fontsize=6 + 4 * abs(value), color=f"{0.65 * (1 - abs(value)):.2f}")  # fmt: skip
                continue
            axis.set_label(space.names[i] if row == column else f"{space.names[j]} (across) and {space.names[i]} (up)")
            on_log = [space.parameters[k].scale == "log" for k in (j, i)]
            if row == column:
                edges = _edges(draws[:, i], on_log[0])
                axis.hist(draws[:, i], bins=edges.tolist(), color=figures_fit.MODEL, alpha=0.5)
                axis.set_yticks([])
                axis.spines["left"].set_visible(False)
            else:
                axis.plot(
                    theta[:, j], theta[:, i], ".", ms=1, color=figures_fit.MODEL, alpha=0.5, mew=0, rasterized=True
                )
                if on_log[1]:
                    figures_fit.plain_log(axis, "y")
            if on_log[0]:
                figures_fit.plain_log(axis)
            axis.tick_params(labelsize=5)
            if row < n - 1:
                axis.set_xticklabels([])
            else:
                axis.set_xlabel(figures_fit.wrapped(space.names[j], 14), fontsize=6)
            if column or not row:
                axis.set_yticklabels([])
            else:
                axis.set_ylabel(figures_fit.wrapped(space.names[i], 14), fontsize=6)
    # fixed margins: to lay out a hundred panels takes longer than to draw them
    figure.set_layout_engine(None)
    figure.subplots_adjust(0.09, 0.09, 0.99, 0.99, 0.12, 0.12)
    figure.align_labels(axes)
    return figure


def _edges(values: Array, on_log: bool) -> Array:
    low, high = float(values.min()), float(values.max())
    return np.geomspace(low, high, 26) if on_log else np.linspace(low, high, 26)


@styled
def pit_figure(rows: Sequence[Predicted]) -> "Figure":
    """The ordered PIT values of numbers of one kind against uniform ones, with the 95% band that holds at each place.

    Hollow: the number could not be left out, so that its prediction has seen it.
    """
    from scipy import stats

    figure, axes = figures_fit.panels(1, 2, 2.9)
    rows = sorted(rows, key=lambda row: row.pit)
    ordered = np.array([row.pit for row in rows])
    left_out = np.array([row.left_out for row in rows])
    n = len(ordered)
    place = np.arange(1, n + 1)
    low, high = (np.asarray(stats.beta.ppf(level, place, n + 1 - place)) for level in (0.025, 0.975))
    axis, bars = axes
    axis.fill_between(place / (n + 1), low, high, color="0.85", lw=0, label="95% where predictions are right")
    axis.plot([0, 1], [0, 1], color=figures_fit.GREY, lw=0.8)
    kind = rows[0].kind
    for chosen, face, label in (
        (left_out, figures_fit.MODEL, "left out"),
        (~left_out, "white", "seen by its prediction"),
    ):
        if chosen.any():
            words = f"{chosen.sum()} {kind}{'s' if chosen.sum() > 1 else ''}, each {label}"
            axis.plot(
                (place / (n + 1))[chosen], ordered[chosen], "o", ms=3, mfc=face, mec=figures_fit.MODEL, label=words
            )
    axis.set_xlabel("expected of a uniform")
    axis.set_ylabel("probability of less than what was seen (PIT)")
    axis.set_aspect("equal")
    axis.legend(loc="upper left")
    bins = 10 if n >= 50 else 5
    bars.hist(ordered, bins=np.linspace(0, 1, bins + 1).tolist(), color=figures_fit.MODEL, alpha=0.5)
    bars.axhline(n / bins, color=figures_fit.GREY, lw=0.8)
    bars.set_xlabel("PIT")
    bars.set_ylabel(f"{kind}s")
    figures_fit.whole_counts(bars)
    return figure


#: Forecasters by order: the model is black, rivals have a colour and a mark each.
_COLOURS = (figures_fit.DATA, *PALETTE[:6])
_MARKS = "oDs^vPX"


@styled
def holdout_figure(rolling: RollingOrigin, calendar: Calendar) -> "Figure":
    """What each forecaster said of the numbers held out: medians, 90% intervals, and what came.

    Parameters
    ----------
    rolling : RollingOrigin
        With scores.
    """
    scores = rolling.comparable if len(rolling.comparable) else rolling.scores
    origins = sorted(scores["origin"].unique())
    names = sorted(scores["forecaster"].unique(), key=lambda name: name != "model")
    figure, axes = figures_fit.panels(max(1, len(origins)), 1, 2.6)
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
        axis.set_ylabel(figures_fit.wrapped(f"{common} since the date before".strip(), 26))
        figures_fit.whole_counts(axis)
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
    figure, axes = figures_fit.panels(1, 2, 0.9 + 0.32 * len(lines), share_y=True)
    y = np.arange(len(lines))[::-1]
    behind, weights = axes
    behind.axvline(0, color=figures_fit.GREY, lw=0.8)
    behind.errorbar([-line.elpd_behind for line in lines], y, xerr=[2 * line.behind_error for line in lines],
                    fmt="o", ms=4, color=figures_fit.MODEL, elinewidth=1.2)  # fmt: skip
    behind.set_yticks(y, [figures_fit.wrapped(f"{line.name}: {line.why}", 44) for line in lines], fontsize=6.5)
    behind.set_xlabel("log predictive density against the best, ± 2 s.e.")
    weights.barh(y + 0.19, [line.stacking for line in lines], 0.36, color=figures_fit.MODEL, label="stacking weight")
    weights.barh(
        y - 0.19, [line.probability for line in lines], 0.36, color=figures_fit.OTHER, label="probability by evidence"
    )
    weights.set_xlabel("share")
    weights.set_xlim(left=0)
    weights.tick_params(axis="y", left=False)
    figure.legend(loc="outside upper right", ncols=2)
    return figure


@styled
def forecast_figure(rows: "pd.DataFrame", levels: "Mapping[str, pd.DataFrame]", *, time: TimeAxis) -> "Figure":
    """What may come, by scenario: median, 50% and 90% bands after the dated numbers ``levels`` by observation.

    Parameters
    ----------
    rows : DataFrame
        As of :func:`calibration.assess.forecast.table_of`, of one structure.
    levels : by observation
        As of :class:`calibration.report.findings.Curves`.
    """
    observations = rows.groupby("observation", sort=False)
    figure, axes = figures_fit.panels(len(observations), 1, 2.0)
    for axis, (group, of) in zip(axes, observations, strict=True):
        name = str(group)
        numbers = figures_fit.dated(levels[name]) if name in levels else []
        n = figures_fit.draw_levels(axis, numbers)
        for number, scenario in enumerate(rows["scenario"].unique()):
            q = of[of["scenario"] == scenario]
            colour = PALETTE[number % len(PALETTE)]
            ends = q[[f"q{level:g}" for level in LEVELS]].to_numpy().T
            banded(axis, q["time"], ends, colour, {"_90": 0.15, "_50": 0.3}, marker=".", ms=4, label=scenario)
        figures_fit.name_panel(axis, f"{name} (n = {n}; {q['draws'].iloc[0]} draws)", "level")
        first = min([end for end, *_ in numbers] + [float(of["time"].min())])
        axes[-1].set_xlabel(time.on(axis, first, float(of["time"].max())))
    return figure


@styled
def self_test_figure(tested: SelfTest) -> "Figure":
    """How the ranks of the true parameters spread, less what is uniform, with the band that holds at all ranks.

    Parameters
    ----------
    tested : SelfTest
        As of :func:`calibration.assess.self_test.judged`.
    """
    columns = min(5, len(tested.names))
    n = len(tested.ranks)
    level = grid = (np.arange(RANKED) + 1) / (RANKED + 1)
    n_rows = -(-len(tested.names) // columns)
    # a single row is high enough for the label beside it
    figure, axes = figures_fit.panels(n_rows, columns, max(1.25, 1.8 / n_rows), share_y=True)
    for axis, name, ranks in zip(figures_fit.cells(axes, len(tested.names)), tested.names, tested.ranks.T, strict=True):
        axis.fill_between(grid, *(tested.band - level), color="0.88", lw=0)
        axis.step(grid, ecdf(ranks) - level, color=figures_fit.MODEL, where="post", lw=1)
        axis.axhline(0, color=figures_fit.GREY, lw=0.6)
        axis.set_title(figures_fit.wrapped(name, 20), fontsize=7)
        axis.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    figure.supxlabel(f"rank of the true value as share ({n} synthetic data sets)", fontsize=8)
    figure.supylabel("distribution less uniform", fontsize=8)
    return figure


@styled
def groups_figure(groups: "pd.DataFrame", units: Mapping[str, str]) -> "Figure":
    """Each pooled parameter by group: medians, central halves and 95%, with the central half of a new group.

    Parameters
    ----------
    groups : DataFrame
        As of :func:`calibration.assess.contraction.group_values`: a new group comes last.
    units : mapping of str to str
        By parameter.
    """
    names, labels = groups["parameter"].unique().tolist(), groups["group"].unique().tolist()
    figure, axes = figures_fit.panels(1, len(names), 0.5 + 0.17 * len(labels), share_y=True)
    places = np.arange(len(labels))[::-1]
    for axis, name in zip(axes, names, strict=True):
        of_it = groups[groups["parameter"] == name]
        q = of_it[COLUMNS].to_numpy()
        axis.axvspan(q[-1, 1], q[-1, 3], color=figures_fit.MODEL, alpha=0.12, lw=0)
        for place, group, n_fitted, quantiles in zip(places, of_it["group"], of_it["fitted"], q, strict=True):
            colour = figures_fit.MODEL if n_fitted and group != TYPICAL else figures_fit.OTHER
            axis.hlines(place, quantiles[0], quantiles[4], lw=0.9, colors=colour)
            axis.hlines(place, quantiles[1], quantiles[3], lw=2.6, colors=colour)
            axis.plot(quantiles[2], place, "o", ms=3, color=colour)
        if (q > 0).all() and q.max() > 4 * q.min():
            figures_fit.plain_log(axis)
        unit = units.get(f"{name} Typical", "")
        axis.set_xlabel(figures_fit.wrapped(labelled(name, unit), 30))
    axes[0].set_yticks(places, labels)
    axes[0].set_ylim(-0.6, len(labels) - 0.4)
    return figure
