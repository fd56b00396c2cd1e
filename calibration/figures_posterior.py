"""Figures of draws, forecasts and rivals."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from calibration.draws import PosteriorDraws
from calibration.figures import CHECK, DATA, MODEL, _figure
from calibration.holdout import RollingOrigin
from calibration.priors import Array
from calibration.replicate import numbers
from calibration.rivals import Comparison
from calibration.scores import Score

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Points of a pair plot and parameters in it: more is a black square.
PAIR_POINTS, PAIR_MOST = 800, 8


def bands_figure(drawn: PosteriorDraws, replicates: Array) -> "Figure":
    """Dated numbers with 50 % and 90 % bands of what the posterior predicts, increments added up.

    ``replicates : (n, n_numbers)`` as of :func:`calibration.replicate.replicate`.
    """
    observations = [o for o in drawn.density.problem.observations if o.kind in ("increments", "level", "flow")]
    every = numbers(drawn.density.problem.observations)
    figure, axes = _figure(max(1, len(observations)), 1, (9, 3.2 * max(1, len(observations))))
    for axis, observation in zip(axes, observations, strict=False):
        chosen = [i for i, number in enumerate(every) if number.observation == observation.name]
        own = replicates[:, chosen]
        seen = np.array([(every[i].time, every[i].lower, every[i].upper) for i in chosen])
        if observation.kind == "increments":
            own = own.cumsum(axis=1)
            middle = seen[:, 1:].mean(axis=1).cumsum()
            half = (seen[:, 2] - seen[:, 1]) / 2
            seen[:, 1], seen[:, 2] = middle - half, middle + half
        q = np.nanquantile(own, [0.05, 0.25, 0.5, 0.75, 0.95], axis=0)
        time = seen[:, 0]
        axis.fill_between(time, q[0], q[4], color=MODEL, alpha=0.2, lw=0, label="90 %")
        axis.fill_between(time, q[1], q[3], color=MODEL, alpha=0.35, lw=0, label="50 %")
        axis.plot(time, q[2], color=MODEL, lw=1, label="median")
        upper = np.where(np.isfinite(seen[:, 2]), seen[:, 2], seen[:, 1])
        axis.vlines(time, seen[:, 1], upper, color=DATA)
        axis.plot(time, (seen[:, 1] + upper) / 2, "o", color=DATA, ms=4, label="data")
        axis.set_title(observation.name, loc="left", fontsize=10)
        axis.legend(frameon=False, fontsize=8, loc="upper left")
    return figure


def pairs_figure(drawn: PosteriorDraws, names: Sequence[str]) -> "Figure":
    """Joint draws of some parameters, two by two, on their own scales."""
    space = drawn.density.space
    places = [space.names.index(name) for name in names[:PAIR_MOST]]
    n = len(places)
    theta = drawn.flat[np.linspace(0, len(drawn.flat) - 1, PAIR_POINTS).round().astype(int)]
    figure, axes = _figure(n, n, (1.5 * n + 1, 1.5 * n + 1))
    for row, i in enumerate(places):
        for column, j in enumerate(places):
            axis = axes[row * n + column]
            if column > row:
                axis.set_axis_off()
                continue
            if row == column:
                axis.hist(drawn.flat[:, i], bins=30, color=MODEL, alpha=0.6)
                axis.set_yticks([])
            else:
                axis.plot(theta[:, j], theta[:, i], ".", ms=1, color=MODEL)
            axis.tick_params(labelsize=5)
            if row == n - 1:
                axis.set_xlabel(space.names[j], fontsize=6)
            if column == 0:
                axis.set_ylabel(space.names[i], fontsize=6)
    return figure


def mixing_figure(drawn: PosteriorDraws, names: Sequence[str]) -> "Figure":
    """Course of each ensemble's mean, and how the ranks of each ensemble's draws spread over all draws."""
    from scipy import stats

    chosen = [drawn.density.space.names.index(name) for name in names]
    free = drawn.chains.position
    figure, axes = _figure(len(chosen), 2, (9, 1.6 * len(chosen) + 0.5))
    for row, i in enumerate(chosen):
        trace, rank = axes[2 * row], axes[2 * row + 1]
        for course in free[..., i].mean(axis=2):
            trace.plot(course, lw=0.6)
        trace.axvline(drawn.chains.n_steps // 2, color="grey", lw=0.8)
        trace.set_title(drawn.density.space.names[i], loc="left", fontsize=7)
        kept = drawn.theta[..., i]
        ranks = stats.rankdata(kept).reshape(kept.shape) / kept.size
        for own in ranks:
            rank.hist(own, bins=20, range=(0, 1), histtype="step")
        rank.set_yticks([])
        for axis in (trace, rank):
            axis.tick_params(labelsize=6)
    axes[0].set_title(
        "ensemble means, warm-up left of the line: " + axes[0].get_title(loc="left"), loc="left", fontsize=7
    )
    axes[1].set_title("ranks by ensemble: level when mixed", loc="left", fontsize=7)
    return figure


def pit_figure(pits: Sequence[float]) -> "Figure":
    """The ordered PIT values against uniform ones, with the 95 % band that holds at each place."""
    from scipy import stats

    figure, axes = _figure(1, 1, (4.5, 4))
    ordered = np.sort(pits)
    n = len(ordered)
    place = np.arange(1, n + 1)
    low, high = (np.asarray(stats.beta.ppf(level, place, n + 1 - place)) for level in (0.025, 0.975))
    axis = axes[0]
    axis.fill_between(place / (n + 1), low, high, color="grey", alpha=0.25, lw=0)
    axis.plot([0, 1], [0, 1], color="grey", lw=0.8)
    axis.plot(place / (n + 1), ordered, "o", ms=3, color=MODEL)
    axis.set_xlabel("expected")
    axis.set_ylabel(f"PIT of {n} numbers")
    return figure


def holdout_figure(found: RollingOrigin) -> "Figure":
    """What each forecaster said of the numbers held out: medians, 90 % intervals, and what came."""
    comparable = found.comparable or found.scores
    origins = sorted({one.origin for one in comparable})
    names = list(dict.fromkeys(one.forecaster for one in comparable))
    figure, axes = _figure(max(1, len(origins)), 1, (10, 3.4 * max(1, len(origins))))
    for axis, origin in zip(axes, origins, strict=False):
        own: list[list[Score]] = [
            [one for one in comparable if one.origin == origin and one.forecaster == name] for name in names
        ]
        labels = [one.label for one in own[0]]
        for shift, (name, scores) in enumerate(zip(names, own, strict=True)):
            x = np.arange(len(scores)) + 0.8 * (shift + 0.5) / len(names) - 0.4
            q = np.array([one.quantiles for one in scores]).reshape(-1, 5)
            axis.vlines(x, q[:, 0], q[:, 4], lw=1.5, colors=f"C{shift}", label=name)
            axis.plot(x, q[:, 2], "_", color=f"C{shift}", ms=6)
        middle = [(one.lower + one.upper) / 2 for one in own[0]]
        axis.plot(np.arange(len(labels)), middle, "D", color=DATA, ms=4, label="what came", zorder=3)
        axis.set_xticks(np.arange(len(labels)), labels, rotation=30, ha="right", fontsize=7)
        axis.set_title(f"as seen at {origin:.2f}", loc="left", fontsize=9)
        axis.legend(frameon=False, fontsize=7, ncols=4)
    return figure


def rivals_figure(lines: Sequence[Comparison]) -> "Figure":
    """How far each structure predicts behind the best, with twice the standard error, and its weights."""
    figure, axes = _figure(1, 2, (10, 0.35 * len(lines) + 1.5))
    y = np.arange(len(lines))[::-1]
    labels = [f"{line.name}: {line.why}"[:60] for line in lines]
    behind, weights = axes
    behind.errorbar(
        [-line.elpd_behind for line in lines], y, xerr=[2 * line.behind_error for line in lines], fmt="o", color=MODEL
    )
    behind.axvline(0, color="grey", lw=0.8)
    behind.set_yticks(y, labels, fontsize=7)
    behind.set_xlabel("log predictive density against the best")
    weights.barh(y + 0.2, [line.stacking for line in lines], 0.35, color=MODEL, label="stacking weight")
    weights.barh(y - 0.2, [line.probability for line in lines], 0.35, color=CHECK, label="probability by evidence")
    weights.set_yticks([])
    weights.legend(frameon=False, fontsize=7)
    return figure
