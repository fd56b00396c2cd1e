"""Figures of a calibration; Matplotlib is imported when the first is drawn and its global state stays untouched."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calibration.fitted import FittedRow
from calibration.optimise import Optimum
from calibration.parameters import ParameterSpace
from calibration.predictive import Predicted
from calibration.priors import Array
from calibration.profile import THRESHOLD, Profile

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MODEL, DATA, CHECK = "#1b6ca8", "#222222", "#b5651d"
#: A residual beyond this many standard deviations is labelled with its date.
NOTABLE = 3.0


def _figure(rows: int, columns: int, size: tuple[float, float]) -> "tuple[Figure, list[Axes]]":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, list(axes.ravel())


def save(figure: "Figure", path: Path) -> None:
    """Write a figure; the ending of the name says in which format."""
    figure.savefig(path, dpi=150)


def fit_figure(
    title: str,
    times: Array,
    courses: Mapping[str, Array],
    levels: Mapping[str, Sequence[FittedRow]],
    rows: Sequence[FittedRow],
    *,
    axis_labels: Mapping[str, str],
    time_label: str,
) -> "Figure":
    """Model courses with the dated counts above, and the residuals of all fitted numbers below.

    Parameters
    ----------
    times : (n_times,)
    courses : by name of the observation, each (n_times,)
    levels : by name of the observation
        Dated levels, their interval in ``lower`` and ``upper``; those with use ``check`` are drawn hollow.
    rows : sequence of FittedRow
        For the residuals.
    axis_labels : by name of the observation
        Variable and units.
    """
    n = max(1, len(courses))
    figure, axes = _figure(n + 1, 1, (9, 3 * n + 3))
    for axis, (name, course) in zip(axes, courses.items(), strict=False):
        axis.plot(times, course, color=MODEL, label="model")
        for use, face, label in (
            ("fit", DATA, "data"),
            ("holdout", "white", "held out"),
            ("check", "white", "check only"),
        ):
            seen = [row for row in levels.get(name, ()) if row.use == use]
            if not seen:
                continue
            x = [row.end for row in seen]
            middle = np.array([(row.lower + row.upper) / 2 for row in seen])
            reach = [middle - [row.lower for row in seen], np.array([row.upper for row in seen]) - middle]
            edge = CHECK if use == "check" else DATA
            axis.errorbar(x, middle, yerr=reach, fmt="o", ms=5, mfc=face, mec=edge, ecolor=edge, ls="", label=label)
        axis.set_title(name, loc="left", fontsize=10)
        axis.set_ylabel(axis_labels[name])
        axis.set_ylim(bottom=min(0.0, float(np.nanmin(course))))
        axis.legend(frameon=False, fontsize=8, loc="upper left")
    _residuals(axes[-1] if courses else axes[0], [row for row in rows if row.use == "fit"])
    for axis in axes:
        axis.set_xlim(times[0], times[-1])
    axes[-1].set_xlabel(time_label)
    figure.suptitle(title, fontsize=11)
    return figure


def _residuals(axis: "Axes", rows: Sequence[FittedRow]) -> None:
    axis.axhline(0, color="grey", lw=0.8)
    for sd in (-2, 2):
        axis.axhline(sd, color="grey", lw=0.6, ls=":")
    names = list(dict.fromkeys(row.observation for row in rows))
    for index, name in enumerate(names):
        own = [row for row in rows if row.observation == name]
        axis.plot(
            [row.end for row in own], [row.residual for row in own], "o", ms=4, color=f"C{index % 10}", label=name
        )
    for row in rows:
        if abs(row.residual) > NOTABLE:
            axis.annotate(
                row.label,
                (row.end, row.residual),
                fontsize=7,
                ha="right",
                va="center",
                xytext=(-6, 0),
                textcoords="offset points",
            )
    # one batch must not press all other residuals onto the axis
    axis.set_yscale("symlog", linthresh=4)
    axis.set_ylabel("residual [sd]")
    axis.set_title(
        "residuals, in standard deviations of the noise (linear to 4, then logarithmic)", loc="left", fontsize=10
    )
    axis.legend(frameon=False, fontsize=7, loc="lower left", ncols=2)


def waterfall_figure(optimum: Optimum) -> "Figure":
    """How far below the best each search ended, best first."""
    figure, axes = _figure(1, 1, (6, 4))
    gaps = optimum.waterfall
    axes[0].plot(np.arange(1, len(gaps) + 1), gaps, "o-", color=MODEL, ms=4)
    axes[0].set_yscale("symlog", linthresh=1e-2)
    axes[0].set_ylim(bottom=-1e-3)
    axes[0].set_xlabel("search, best first")
    axes[0].set_ylabel("log density below the best")
    axes[0].set_title(f"{optimum.n_arrived} of {len(gaps)} searches arrived", loc="left", fontsize=10)
    return figure


def profiles_figure(optimum: Optimum, profiles: Sequence[Profile]) -> "Figure":
    """The rise of each profile with the threshold of the 95 % interval, and the prior beside it."""
    from matplotlib.ticker import NullFormatter

    columns = min(3, len(profiles))
    figure, axes = _figure(-(-len(profiles) // columns), columns, (4 * columns, 2.8 * -(-len(profiles) // columns)))
    for axis, result in zip(axes, profiles, strict=False):
        parameter = optimum.goal.density.space.parameters[optimum.goal.density.space.names.index(result.name)]
        axis.plot(result.values, result.rise, ".-", color=MODEL)
        axis.axhline(THRESHOLD, color="grey", lw=0.8, ls="--")
        axis.axvspan(*parameter.interval(), color=CHECK, alpha=0.12, lw=0)
        axis.axvline(optimum.theta[optimum.goal.density.space.names.index(result.name)], color=DATA, lw=0.8)
        axis.set_ylim(0, 2 * THRESHOLD)
        if parameter.scale == "log":
            axis.set_xscale("log")
            axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set_title(f"{result.name}\n{result.verdict}", loc="left", fontsize=8)
    for axis in axes[len(profiles) :]:
        axis.set_axis_off()
    figure.suptitle("profile likelihoods; dashed: 95 %; shaded: 95 % of the prior; line: estimate", fontsize=9)
    return figure


def posterior_figure(space: ParameterSpace, draws: Array, predicted: Sequence[Predicted]) -> "Figure":
    """Each parameter's draws against its prior, and the ranks of the fitted numbers among their replicates."""
    columns = 4
    n = len(space) + 1
    figure, axes = _figure(-(-n // columns), columns, (3.2 * columns, 2.3 * -(-n // columns)))
    for axis, parameter, column in zip(axes, space, draws.T, strict=False):
        on_log = parameter.scale == "log"
        low, high = parameter.interval(0.998)
        edges = np.geomspace(low, high, 41) if on_log else np.linspace(low, high, 41)
        expected = np.diff(parameter.distribution.probability(edges))
        counts, _ = np.histogram(column, edges)
        axis.stairs(counts / len(column), edges, color=MODEL, fill=True, alpha=0.6)
        axis.stairs(expected, edges, color=CHECK)
        if on_log:
            axis.set_xscale("log")
        axis.set_yticks([])
        axis.set_title(parameter.name, loc="left", fontsize=8)
    pits = [row.pit for row in predicted if row.use == "fit" and row.pit is not None]
    last = axes[n - 1]
    last.hist(pits, bins=np.linspace(0, 1, 11).tolist(), color=MODEL, alpha=0.6)
    last.axhline(len(pits) / 10, color="grey", lw=0.8)
    last.set_title(f"PIT of {len(pits)} fitted numbers", loc="left", fontsize=8)
    for axis in axes[n:]:
        axis.set_axis_off()
    figure.suptitle("posterior (filled) and prior (line)", fontsize=9)
    return figure
