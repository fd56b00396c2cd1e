"""Figures of an optimum: the model beside the data, where searches ended, profiles."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from calibration.inference.judge.residuals import beyond_chance, unexplained
from calibration.inference.profile.profile import Profile
from calibration.inference.search.optimise import Reached
from calibration.inference.search.tuning import SEARCH
from calibration.study.parameters import ParameterSpace
from cipark_sd.base.arrays import Array
from cipark_sd.base.wording import percent
from cipark_sd.pages.figures.panels import PALETTE, TimeAxis, bands, grid, note, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MODEL, OTHER, DATA, GREY = PALETTE[0], PALETTE[1], "#000000", "0.5"
#: Panels of a figure: 30 are drawn in 4 s, and 60 in 13, since each is aligned with all others.
MOST_PANELS = 30


def panels(rows: int, columns: int, height: float, *, share_y: bool = False) -> "tuple[Figure, list[Axes]]":
    """A figure as wide as a page with ``rows * columns`` panels, each ``height`` inches high.

    Parameters
    ----------
    share_y : bool
        Whether the panels of a row have one vertical axis.

    Returns
    -------
    Figure, and list of Axes
        Row by row.
    """
    figure, axes = grid(rows, columns, rows * height, letters=None, sharey="row" if share_y else False)
    return figure, list(axes.ravel())


def tell_first(figure: "Figure", n: int, things: str, table: str) -> None:
    """Say under a figure that only the first :data:`MOST_PANELS` of ``n`` things have a panel, where they are more."""
    if n > MOST_PANELS:
        note(figure, f"The first {MOST_PANELS} of {n:,} {things}; {table} has all.")


def plain_log(axis: "Axes", side: str = "x", *, most: int = 5) -> None:
    """A logarithmic axis with numbers as people write them: 0.1, 0.2, 0.5, and fewer of them over more decades.

    Parameters
    ----------
    axis : Axes
        With its limits: ticks go by them.
    side : "x" or "y"
    most : int
        Ticks.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    (axis.set_xscale if side == "x" else axis.set_yscale)("log")
    low, high = axis.get_xlim() if side == "x" else axis.get_ylim()
    line = axis.xaxis if side == "x" else axis.yaxis
    line.set_major_locator(FixedLocator(_log_ticks(low, high, most)))
    line.set_minor_locator(NullLocator())
    line.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _log_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """At most ``most`` round numbers from ``low`` to ``high``, two of them where there are any.

    >>> _log_ticks(0.03, 2.0)
    [0.03, 0.1, 0.3, 1.0]
    >>> _log_ticks(0.01, 5000)
    [0.01, 1.0, 100.0]
    """
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    series: list[tuple[list[float], int]] = [
        ([1, 1.5, 2, 3, 4, 5, 6, 8], 1),
        ([1, 2, 3, 5], 1),
        ([1, 2, 5], 1),
        ([1, 3], 1),
        ([1], 1),
        ([1], 2),
        ([1], 4),
    ]
    ticks: list[float] = []
    for steps, stride in series:
        ticks = [float(f"{step}e{decade}") for decade in decades if decade % stride == 0 for step in steps]
        ticks = [value for value in ticks if low <= value <= high]
        if len(ticks) <= most:
            break
    return ticks


def whole_counts(axis: "Axes") -> None:
    """Ticks at whole numbers of what is counted."""
    from matplotlib.ticker import MaxNLocator

    axis.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))


def name_panel(axis: "Axes", title: str, label: str, least: float = 0.0) -> None:
    """What a panel of counts over time has beside its lines: title, label, whole numbers from 0 or less, a legend.

    Parameters
    ----------
    title, label : str
        Above the panel, and of its vertical axis.
    least : float
        Of what is drawn.
    """
    axis.set_title(title)
    axis.set_ylabel(label)
    axis.set_ylim(bottom=min(0.0, least))
    whole_counts(axis)
    axis.legend(loc="upper left")


def wrapped(text: str, width: int) -> str:
    """Text in lines of at most ``width`` letters; a subscript goes on a line of its own rather than over the edge."""
    return "\n".join(textwrap.wrap(text.replace("[", " ["), width)).replace(" [", "[")


def cells(axes: "list[Axes]", used: int) -> "Iterator[Axes]":
    """The first ``used`` panels; the rest are emptied."""
    for axis in axes[used:]:
        axis.set_axis_off()
    yield from axes[:used]


#: How a use of a row is drawn: face, edge, label.
USES = {
    "fit": (DATA, DATA, "fitted"),
    "holdout": ("white", DATA, "held out"),
    "check": ("white", OTHER, "compared only"),
}
_MARKS = "osD^vPX"


@styled
def fit_figure(
    times: Array,
    courses: Mapping[str, Array],
    levels: "Mapping[str, pd.DataFrame]",
    rows: "pd.DataFrame",
    *,
    axis_labels: Mapping[str, str],
    time: TimeAxis,
) -> "Figure":
    """Model courses with the dated counts above, and the residuals of all fitted numbers below.

    Parameters
    ----------
    times : (n_times,)
    courses : by name of the observation, each (n_times,)
    levels : by name of the observation
        Dated levels, their interval in ``lower`` and ``upper``; those with use ``check`` are drawn hollow.
    rows : DataFrame
        Fitted numbers, for the residuals.
    axis_labels : by name of the observation
        Variable and units.
    """
    shown = list(courses.items())[:MOST_PANELS]
    figure, axes = panels(len(shown) + 1, 1, 1.9)
    tell_first(figure, len(courses), "observations", "fitted.csv")
    for axis, (name, course) in zip(axes, shown, strict=False):
        axis.plot(times, course, color=MODEL, label="model at the optimum")
        n = draw_levels(axis, dated(levels[name])) if name in levels else 0
        name_panel(axis, f"{name} (n = {n})", wrapped(axis_labels[name], 26), float(np.nanmin(course)))
    _residuals(axes[-1], rows[(rows["use"] == "fit") & np.isfinite(rows["residual"])])
    for axis in axes:
        # a point at the very end is not to be cut in half
        axis.set_xlim(times[0], times[-1] + 0.01 * (times[-1] - times[0]))
        axes[-1].set_xlabel(time.on(axis, float(times[0]), float(times[-1])))
    figure.align_ylabels(axes)
    return figure


# what a figure may show beside its trajectory; the last five have defaults
@styled
def answer_figure(
    times: Array,
    course: Array,
    levels: "pd.DataFrame",
    *,
    axis_label: str,
    time: TimeAxis,
    fan: Array | None = None,
    expected: str = "",
    noise: bool = False,
    narrow: bool = False,
) -> "Figure":
    """One trajectory with its dated numbers, as far as these go, for the first screen of a page.

    Parameters
    ----------
    times, course : (n_times,)
        The median of draws, as in the fan, where there is one; else the model at the optimum.
    levels : DataFrame
        As for :func:`fit_figure`.
    axis_label : str
        Variable and units.
    fan : (5, n_times), optional
        Quantiles of draws at :data:`cipark_sd.pages.figures.panels.ENDS`.
    expected : str, optional
        The last number of the model as the page has it.
    noise : bool
        Whether bars show where the noise of rows lies. Those of held-out rows hold the draws as well.
    narrow : bool
        Whether it is for a phone.
    """
    (width, height), letters = ((3.9, 3.1), 9.5) if narrow else ((7.9, 4.2), 10)
    figure, ((axis,),) = grid(1, 1, height, width=width, letters=None)
    if fan is None:
        axis.plot(times, course, color=EXPECTED, lw=2)
    else:
        bands(axis, times, fan, EXPECTED, {"_90": 0.16, "_50": 0.32}, lw=2)
    judged = levels[(levels["use"] != "check") & np.isfinite(levels["low"] + levels["high"]) & noise]
    axis.vlines(judged["end"], judged["low"], judged["high"], color="0.6", lw=2)
    draw_levels(axis, dated(levels), colour=COUNTED, size=5.5)
    start, end = _shown_span(times, levels)
    axis.set_xlim(start, end)
    axis.set_ylim(bottom=min(0.0, float(np.nanmin(course))))
    _name_ends(axis, times, course, levels, expected, letters, end)
    axis.set_title(wrapped(axis_label, 40 if narrow else 80), fontsize=letters, color="0.35")
    time.on(axis, start, end, most=4 if narrow else 7)
    whole_counts(axis)
    axis.tick_params(labelsize=letters, length=3)
    axis.grid(axis="y", color="0.9")
    axis.set_axisbelow(True)
    axis.spines["left"].set_visible(False)
    return figure


#: Of a first screen: what was counted, and what the model expects.
COUNTED, EXPECTED = "#b0440a", "#1c5d94"


def _shown_span(times: Array, levels: "pd.DataFrame") -> tuple[float, float]:
    """From a fifth of the data's span before their first number to their last one; all where there is none."""
    ends = levels.loc[np.isfinite(levels["lower"]), "end"]
    if len(ends) < 2:
        return float(times[0]), float(times[-1])
    first, last = float(ends.min()), float(ends.max())
    span = last - first
    return max(float(times[0]), first - 0.2 * span), min(float(times[-1]), last + 0.002 * span)


def _name_ends(
    axis: "Axes", times: Array, course: Array, levels: "pd.DataFrame", expected: str, letters: float, end: float
) -> None:
    """What was reported last, and what the model has there, to the right of the lines."""
    from cipark_sd.base.wording import number

    finite = np.isfinite(course)
    last = float(np.interp(end, times[finite], course[finite])) if finite.any() else np.nan
    names = [(last, f"model: {expected or number(last, digits=3)}", EXPECTED, "bold")]
    reported = levels[np.isfinite(levels["lower"]) & (levels["use"] != "check")]
    if len(reported):
        lower, upper = map(float, reported.loc[reported["end"].idxmax(), ["lower", "upper"]])
        text = number(lower) if lower == upper else f"{number(lower)} to {number(upper)}"
        names.append(((lower + min(upper, lower * 2 + 1)) / 2, f"{text} reported", COUNTED, "bold"))
    low, high = axis.get_ylim()
    gap, below = 0.065 * (high - low), -np.inf
    for value, text, colour, weight in sorted(names):
        if np.isfinite(value):
            below = max(value, below + gap)
            axis.annotate(text, (1.012, below), xycoords=("axes fraction", "data"), color=colour, weight=weight,
                          fontsize=letters, va="center", annotation_clip=False)  # fmt: skip


def dated(rows: "pd.DataFrame") -> list[tuple[float, float, float, str]]:
    """Rows as :func:`draw_levels` takes them."""
    return list(rows[["end", "lower", "upper", "use"]].itertuples(index=False, name=None))


def draw_levels(
    axis: "Axes", numbers: Sequence[tuple[float, float, float, str]], *, colour: str = DATA, size: float = 4
) -> int:
    """Dated numbers ``(time, lower, upper, use)`` as points with their interval; how many there are.

    Those that are only looked at are not counted, unless there are no others. A number known from below only has an
    arrow upwards in place of an interval.

    Parameters
    ----------
    numbers : sequence of (time, lower, upper, use)
        In model time and the unit of the data; ``upper`` is infinite where a number is known from below.
    colour : str
        Of what was fitted or held out.
    size : float
        Of the points.
    """
    for use, (*shades, label) in USES.items():
        face, edge = (colour if shade == DATA else shade for shade in shades)
        points = np.array([(t, low, high) for t, low, high, used in numbers if used == use]).reshape(-1, 3)
        if not len(points):
            continue
        open_end = ~np.isfinite(points[:, 2])
        upper = np.where(open_end, points[:, 1], points[:, 2])
        middle = (points[:, 1] + upper) / 2
        axis.vlines(points[:, 0], points[:, 1], upper, color=edge, lw=1, zorder=3)
        style = {"ls": "", "ms": size, "mfc": face, "mec": edge, "mew": 0.9, "zorder": 4}
        axis.plot(points[~open_end, 0], middle[~open_end], "o", label=label, clip_on=False, **style)  # type: ignore[arg-type]
        if open_end.any():
            axis.plot(points[open_end, 0], middle[open_end], "^", label=f"{label}, at least", **style)  # type: ignore[arg-type]
    return sum(use != "check" for *_, use in numbers) or len(numbers)


def _residuals(axis: "Axes", rows: "pd.DataFrame") -> None:
    axis.axhline(0, color=GREY, lw=0.8)
    axis.axhspan(-1.96, 1.96, color="0.94", lw=0, zorder=0)
    index = 0
    for index, (name, chosen) in enumerate(rows.groupby("observation", sort=False)):
        mark, colour = _MARKS[index % len(_MARKS)], PALETTE[index % len(PALETTE)]
        axis.plot(chosen["end"], chosen["residual"], mark, ms=3.5, color=colour, label=name)
    limit = beyond_chance(len(rows))
    for place in (-limit, limit):
        axis.axhline(place, color=GREY, lw=0.6, ls=":")
    for label, end, residual in unexplained(rows)[["label", "end", "residual"]].itertuples(index=False, name=None):
        axis.annotate(label, (end, residual), fontsize=7, ha="right", va="center",
                      xytext=(-6, 0), textcoords="offset points")  # fmt: skip
    axis.set_ylabel("quantile residual\n[standard normal]")
    axis.set_title(f"residuals of {len(rows)} fitted numbers (grey: 95% of each; dotted: 95% of all together)")
    if index < MOST_PANELS:
        # below the panel: a residual may lie anywhere in it
        axis.legend(loc="upper left", bbox_to_anchor=(0, -0.3), ncols=3)


@styled
def waterfall_figure(optimum: Reached) -> "Figure":
    """How far below the best each search ended, best first; what is closer than a thousandth counts as the best."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = panels(1, 1, 2.4)
    axis, gaps, floor = axes[0], optimum.waterfall, 1e-3
    axis.axhline(SEARCH.arrived, color=GREY, lw=0.8, ls="--")
    axis.plot(np.arange(1, len(gaps) + 1), np.maximum(gaps, floor), "o-", color=MODEL, ms=4, lw=0.8)
    axis.set_ylim(floor / 1.6, max(1.0, float(np.nanmax(gaps))) * 2)
    plain_log(axis, "y")
    ticks = [floor, *(10.0**decade for decade in range(-2, 9) if decade < 1 or gaps.max() > 10**decade / 2)]
    axis.set_yticks(ticks, [f"≤ {floor:g}", *(f"{tick:g}" for tick in ticks[1:])])
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("search, best first")
    axis.set_ylabel("log density below the best")
    axis.set_title(f"{optimum.n_arrived} of {len(gaps)} searches ended within {SEARCH.arrived:g} of the best (dashed)")
    return figure


@styled
def profiles_figure(space: ParameterSpace, theta: Array, profiles: Sequence[Profile], units: Sequence[str]) -> "Figure":
    """The rise of each profile with the threshold of its interval, and the prior's of the same level beside it.

    Parameters
    ----------
    theta : (k,)
        The estimate, on the parameters' own scales.
    profiles : sequence of Profile
        One at least.
    units : sequence of str, one a profile
        Empty for a pure number.
    """
    figure, axes = _profile_panels(profiles, 4, 1.65, "profiles.csv")
    for axis, result, unit in zip(axes, profiles, units, strict=False):
        place = space.names.index(result.name)
        parameter = space.parameters[place]
        _draw_profile(axis, result, float(theta[place]), parameter.interval(result.threshold.level), 24)
        if parameter.scale == "log":
            plain_log(axis)
        axis.set_xlabel(f"[{unit}]" if unit else "[-]", fontsize=7)
    return figure


@styled
def prediction_profiles_figure(profiles: Sequence[Profile], axis_labels: Sequence[str]) -> "Figure":
    """The rise of each prediction's profile, the threshold of its interval, and what the priors alone say.

    Parameters
    ----------
    profiles : sequence of Profile
        One at least.
    axis_labels : sequence of str, one a profile
    """
    figure, axes = _profile_panels(profiles, 3, 2.0, "prediction_profiles.csv")
    for axis, result, label in zip(axes, profiles, axis_labels, strict=False):
        _draw_profile(axis, result, result.estimate, (result.prior_low, result.prior_high), 30)
        # priors may reach much further than the profile; the profile is what is to be seen
        width = max(float(np.ptp(result.values)), 1e-6 * abs(result.estimate), 1e-12)
        axis.set_xlim(result.values[0] - 0.15 * width, result.values[-1] + 0.15 * width)
        axis.set_xlabel(wrapped(label, 34))
    return figure


def _profile_panels(profiles: Sequence[Profile], most: int, height: float, table: str) -> "tuple[Figure, list[Axes]]":
    """A figure with a panel for each profile, twice as high as the highest threshold."""
    n, columns = min(len(profiles), MOST_PANELS), min(most, len(profiles))
    figure, axes = panels(-(-n // columns), columns, height, share_y=True)
    tell_first(figure, len(profiles), "profiles", table)
    top = 2 * max((p.threshold.rise for p in profiles if np.isfinite(p.threshold.rise)), default=1.0)
    for axis in axes[::columns]:
        axis.set_ylim(0, top)
        axis.set_ylabel("fall of the log density")
    return figure, list(cells(axes, n))


def _draw_profile(axis: "Axes", result: Profile, estimate: float, prior: tuple[float, float], width: int) -> None:
    """The rise, the threshold of its interval, the estimate, and the interval of the prior."""
    axis.axvspan(*prior, color=OTHER, alpha=0.12, lw=0)
    if np.isfinite(result.threshold.rise):
        axis.axhline(result.threshold.rise, color=GREY, lw=0.8, ls="--")
    axis.axvline(estimate, color=DATA, lw=0.8)
    axis.plot(result.values, result.rise, ".-", color=MODEL, ms=3)
    verdict = result.verdict
    named = f"{percent(result.threshold.level)}: {verdict.interval}"
    axis.set_title(f"{wrapped(result.name, width)}\n{named}", fontsize=7)
