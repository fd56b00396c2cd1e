"""Figures of joint draws: predictions of the data, priors beside posteriors, pairs, ranks of the data."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from calibration.assess.posterior_predictive import Band, Predicted
from calibration.report.drawing import GREY, MODEL, OTHER, cells, panels, plain_log, whole_counts, wrapped
from calibration.report.figures_fit import draw_levels
from calibration.report.study_facts import Observed
from calibration.study.parameters import ParameterSpace
from cipark_sd.arrays import Array
from cipark_sd.plotting.paper import styled
from cipark_sd.plotting.time_axis import TimeAxis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Points of a pair plot and parameters in it: more is a black square.
PAIR_POINTS, PAIR_MOST = 800, 7


@styled
def bands_figure(bands: Sequence[Band], observations: Sequence[Observed], *, time: TimeAxis) -> "Figure":
    """Dated numbers with 50 % and 90 % bands of what the posterior predicts, increments added up."""
    known = {observation.name: observation for observation in observations}
    figure, axes = panels(max(1, len(bands)), 1, 2.1)
    for axis, band in zip(axes, bands, strict=False):
        observation = known[band.observation]
        if not len(band.times):
            axis.set_title(f"{band.observation}: the model has no value")
            continue
        at, q = band.times, band.quantiles
        axis.fill_between(at, q[0], q[4], color=MODEL, alpha=0.2, lw=0, label="90 % of predictions")
        axis.fill_between(at, q[1], q[3], color=MODEL, alpha=0.35, lw=0, label="50 %")
        axis.plot(at, q[2], color=MODEL, label="median")
        n = draw_levels(axis, [(number.time, number.lower, number.upper, number.use) for number in band.observed])
        axis.set_title(f"{band.observation} (n = {n})")
        added = {"increments": ",\nadded up", "level": "", "flow": "\nover each window"}[observation.kind]
        axis.set_ylabel(wrapped(observation.label, 30) + added)
        axis.set_ylim(bottom=min(0.0, float(np.nanmin(q))))
        axis.set_xlabel(time.on(axis, float(at[0]), float(at[-1])))
        whole_counts(axis)
        axis.legend(loc="upper left")
    for axis in axes[:-1]:
        axis.set_xlabel("")
    figure.align_ylabels(axes)
    return figure


@styled
def posterior_figure(space: ParameterSpace, draws: Array) -> "Figure":
    """Each parameter's draws (filled) against its prior (line), ``draws : (n, k)``."""
    columns = min(5, len(space))
    figure, axes = panels(-(-len(space) // columns), columns, 1.35)
    for axis, parameter, column in zip(cells(axes, len(space)), space, draws.T, strict=True):
        on_log = parameter.scale == "log"
        low, high = parameter.interval(0.998)
        edges = np.geomspace(low, high, 36) if on_log else np.linspace(low, high, 36)
        expected = np.diff(parameter.distribution.probability(edges))
        counts, _ = np.histogram(column, edges)
        axis.stairs(counts / len(column), edges, color=MODEL, fill=True, alpha=0.5, label="posterior")
        axis.stairs(expected, edges, color=OTHER, lw=1, label="prior")
        axis.set_xlim(low, high)
        if on_log:
            plain_log(axis, most=4)
        axis.set_yticks([])
        axis.spines["left"].set_visible(False)
        axis.set_title(wrapped(parameter.name, 20), fontsize=7)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower right", ncols=2)
    return figure


@styled
def pairs_figure(space: ParameterSpace, draws: Array, names: Sequence[str]) -> "Figure":
    """Joint draws ``(n, k)`` of some parameters, two by two, on their own scales; correlations in the upper half."""
    from scipy import stats

    places = [space.names.index(name) for name in names[:PAIR_MOST]]
    n = len(places)
    theta = draws[np.linspace(0, len(draws) - 1, PAIR_POINTS).round().astype(int)]
    ranked = np.atleast_2d(stats.spearmanr(draws[:, places]).statistic) if n > 2 else None
    figure, axes = panels(n, n, 7.2 / n)
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
                axis.hist(draws[:, i], bins=edges.tolist(), color=MODEL, alpha=0.5)
                axis.set_yticks([])
                axis.spines["left"].set_visible(False)
            else:
                axis.plot(theta[:, j], theta[:, i], ".", ms=1, color=MODEL, alpha=0.5, mew=0, rasterized=True)
                if on_log[1]:
                    plain_log(axis, "y")
            if on_log[0]:
                plain_log(axis)
            axis.tick_params(labelsize=5)
            if row < n - 1:
                axis.set_xticklabels([])
            else:
                axis.set_xlabel(wrapped(space.names[j], 14), fontsize=6)
            if column or not row:
                axis.set_yticklabels([])
            else:
                axis.set_ylabel(wrapped(space.names[i], 14), fontsize=6)
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
    """The ordered PIT values of numbers of one kind against uniform ones, with the 95 % band that holds at each place.

    Hollow: the number could not be left out, so that its prediction has seen it.
    """
    from scipy import stats

    figure, axes = panels(1, 2, 2.9)
    rows = sorted(rows, key=lambda row: row.pit)
    ordered = np.array([row.pit for row in rows])
    left_out = np.array([row.left_out for row in rows])
    n = len(ordered)
    place = np.arange(1, n + 1)
    low, high = (np.asarray(stats.beta.ppf(level, place, n + 1 - place)) for level in (0.025, 0.975))
    axis, bars = axes
    axis.fill_between(place / (n + 1), low, high, color="0.85", lw=0, label="95 % where predictions are right")
    axis.plot([0, 1], [0, 1], color=GREY, lw=0.8)
    kind = rows[0].kind
    for chosen, face, label in ((left_out, MODEL, "left out"), (~left_out, "white", "seen by its prediction")):
        if chosen.any():
            words = f"{chosen.sum()} {kind}{'s' if chosen.sum() > 1 else ''}, each {label}"
            axis.plot((place / (n + 1))[chosen], ordered[chosen], "o", ms=3, mfc=face, mec=MODEL, label=words)
    axis.set_xlabel("expected of a uniform")
    axis.set_ylabel("probability of less than what was seen (PIT)")
    axis.set_aspect("equal")
    axis.legend(loc="upper left")
    bins = 10 if n >= 50 else 5
    bars.hist(ordered, bins=np.linspace(0, 1, bins + 1).tolist(), color=MODEL, alpha=0.5)
    bars.axhline(n / bins, color=GREY, lw=0.8)
    bars.set_xlabel("PIT")
    bars.set_ylabel(f"{kind}s")
    whole_counts(bars)
    return figure
