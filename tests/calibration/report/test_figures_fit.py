"""The data of an optimum's figures, looked at through matplotlib's own objects."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from approved import approved
from fitted_rows import fitted_rows
from scipy import stats

from calibration.inference.judge.residuals import beyond_chance
from calibration.inference.profile.interval_rules import Threshold
from calibration.inference.profile.profile import Profile
from calibration.inference.profile.verdict import Side, Verdict
from calibration.inference.search.tuning import SEARCH
from calibration.noise.priors import LogNormal, Uniform
from calibration.report.figures_fit import (
    DATA,
    GREY,
    MODEL,
    MOST_PANELS,
    OTHER,
    USES,
    answer_figure,
    draw_levels,
    fit_figure,
    prediction_profiles_figure,
    profiles_figure,
    waterfall_figure,
)
from calibration.study.parameters import Parameter, ParameterSpace
from cipark_sd.pages.figures.panels import PALETTE, TimeAxis


def axis() -> Any:
    from matplotlib.figure import Figure

    return Figure().subplots()


def points(line: Any) -> list[list[float]]:
    return line.get_xydata().tolist()


def test_levels_are_points_with_intervals_and_arrows_where_they_are_open() -> None:
    drawn = axis()
    levels = [(1.0, 2.0, 4.0, "fit"), (2.0, 5.0, np.inf, "fit"), (3.0, 6.0, 6.0, "holdout"), (4.0, 7.0, 9.0, "check")]
    assert draw_levels(drawn, levels) == 3
    labels = [line.get_label() for line in drawn.lines]
    assert labels == ["fitted", "fitted, at least", "held out", "compared only"]
    assert [points(line) for line in drawn.lines] == [[[1, 3]], [[2, 5]], [[3, 6]], [[4, 8]]]
    assert [line.get_marker() for line in drawn.lines] == ["o", "^", "o", "o"]
    segments = [segment.tolist() for lines in drawn.collections for segment in lines.get_segments()]
    assert segments == [[[1, 2], [1, 4]], [[2, 5], [2, 5]], [[3, 6], [3, 6]], [[4, 7], [4, 9]]]
    faces = [(line.get_markerfacecolor(), line.get_markeredgecolor()) for line in drawn.lines]
    assert faces == [(DATA, DATA), (DATA, DATA), ("white", DATA), ("white", OTHER)]
    assert list(USES) == ["fit", "holdout", "check"]
    assert draw_levels(axis(), levels[-1:] * 2) == 2
    assert draw_levels(axis(), ()) == 0


def row(observation: str, end: float, residual: float, use: str = "fit") -> Any:
    label = f"{observation} {end:g}"
    seen = {"end": end, "lower": end, "upper": end, "residual": residual}
    return {"observation": observation, "label": label, "use": use} | seen


def test_residuals_stand_at_their_dates_a_mark_for_each_observation() -> None:
    rows = fitted_rows(
        row("a", 1, 0.5), row("b", 2, -1.5), row("a", 3, 4.5), row("a", 4, np.nan), row("a", 5, 1, "holdout")
    )
    figure = fit_figure(
        np.array([0.0, 5.0, 10.0]), {"a": np.array([-1.0, 2.0, 3.0])}, {}, rows, axis_labels={"a": "A [firm]"},
        time=TimeAxis("Year"),
    )  # fmt: skip
    above, below = figure.axes
    assert below.lines[0].get_ydata()[0] == 0
    first, second = below.lines[1:3]
    assert (points(first), points(second)) == ([[1, 0.5], [3, 4.5]], [[2, -1.5]])
    assert [(line.get_marker(), line.get_color(), line.get_label()) for line in (first, second)] == [
        ("o", PALETTE[0], "a"), ("s", PALETTE[1], "b"),
    ]  # fmt: skip
    limit = beyond_chance(3)
    assert [line.get_ydata()[0] for line in below.lines[3:]] == [-limit, limit]
    (named,) = below.texts
    assert (named.get_text(), named.xy) == ("a 3", (3, 4.5))
    assert (named.anncoords, named.xyann) == ("offset points", (-6, 0))
    approved(below.get_title(loc="left"))
    approved(below.get_ylabel())
    assert below.get_xlabel() == "Year"
    # the last date is not cut in half, and the axis of counts holds the course
    assert [drawn.get_xlim() for drawn in figure.axes] == [(0.0, pytest.approx(10.1))] * 2
    assert above.get_ylim()[0] == -1
    assert above.get_ylabel() == "A [firm]"
    approved(above.lines[0].get_label())
    assert [text.get_text() for text in below.get_legend().get_texts()] == ["a", "b"]


def test_dates_stand_under_the_last_of_several_panels_alone() -> None:
    courses = {"a": np.array([1.0, 2.0]), "b": np.array([3.0, 4.0])}
    labels = {"a": "A", "b": "B"}
    rows = fitted_rows(row("a", 1, 0))
    figure = fit_figure(np.array([0.0, 1.0]), courses, {}, rows, axis_labels=labels, time=TimeAxis("Year"))
    assert [axes.get_xlabel() for axes in figure.axes] == ["", "", "Year"]


@pytest.mark.parametrize(("lowest", "bottom"), [(5.0, 0.0), (-2.0, -2.0)])
def test_the_answer_s_figure_has_the_course_the_numbers_and_an_axis_from_nothing(lowest: float, bottom: float) -> None:
    times, course = np.array([0.0, 5.0, 10.0]), np.array([lowest, 9.0, 12.0])
    fan = np.array([course - 2, course - 1, course, course + 1, course + 2])
    levels = fitted_rows(row("a", 4, 0), row("a", 7, 0, "check"), row("a", 9, 0))
    (drawn,) = answer_figure(
        times, course, levels, axis_label="Firms", time=TimeAxis("Year"), fan=fan, expected="11.2"
    ).axes
    model, fitted, compared = drawn.lines
    assert points(model) == [[0, lowest], [5, 9], [10, 12]]
    assert (points(fitted), points(compared)) == ([[4, 4], [9, 9]], [[7, 7]])
    assert drawn.get_ylim()[0] == bottom
    # from a fifth of their span before the first number to the last one
    assert drawn.get_xlim() == (3, pytest.approx(9.01))
    assert [text.get_text() for text in drawn.texts] == ["9 reported", "model: 11.2"]
    for band, width in zip(drawn.collections[:2], (4.0, 2.0), strict=True):
        at_five = [y for x, y in band.get_paths()[0].vertices if x == 5]
        assert (min(at_five), max(at_five)) == (9 - width / 2, 9 + width / 2)
    # of numbers that were not fitted the noise is not all that the model does not know
    judged = levels.assign(low=levels["lower"] - 1, high=levels["upper"] + 1)
    (with_bars,) = answer_figure(times, course, judged, axis_label="Firms", time=TimeAxis("Year"), noise=True).axes
    bars, *_ = with_bars.collections
    assert [path.vertices[0, 0] for path in bars.get_paths()] == [4, 9]


def test_an_axis_of_counts_starts_at_nothing() -> None:
    figure = fit_figure(
        np.array([0.0, 1.0]),
        {"a": np.array([5.0, 9.0])},
        {},
        fitted_rows(row("a", 1, 0)),
        axis_labels={"a": "A"},
        time=TimeAxis("Year"),
    )
    assert figure.axes[0].get_ylim()[0] == 0


@pytest.mark.parametrize(("worst", "ticks", "top"), [
    (0.5, ["≤ 0.001", "0.01", "0.1", "1"], 2.0),
    (6.0, ["≤ 0.001", "0.01", "0.1", "1", "10"], 12.0),
    (300.0, ["≤ 0.001", "0.01", "0.1", "1", "10", "100"], 600.0),
])  # fmt: skip
def test_the_waterfall_has_a_tick_for_each_decade_that_it_reaches(worst: float, ticks: list[str], top: float) -> None:
    reached: Any = SimpleNamespace(waterfall=np.array([0.0, 0.02, worst]), n_arrived=2)
    (drawn,) = waterfall_figure(reached).axes
    assert [label.get_text() for label in drawn.get_yticklabels()] == ticks
    assert drawn.get_yticks().tolist() == pytest.approx([1e-3, *(float(tick) for tick in ticks[1:])])
    assert drawn.get_ylim() == pytest.approx((1e-3 / 1.6, top))
    assert points(drawn.lines[1]) == [[1, 1e-3], [2, 0.02], [3, worst]]
    assert drawn.lines[0].get_ydata()[0] == SEARCH.arrived
    assert (drawn.get_xlabel(), drawn.get_ylabel()) == ("search, best first", "log density below the best")


def sides(low: float, high: float) -> Verdict:
    return Verdict(Side("bounded", low), Side("bounded", high))


def test_profiles_are_drawn_with_threshold_estimate_and_prior() -> None:
    space = ParameterSpace((Parameter("a", LogNormal(1, 1), 0.01, 100.0, "log"), Parameter("b", Uniform(-1, 3), -1, 3)))
    values = np.array([0.5, 1.0, 2.0])
    results = [
        Profile("b", values, np.array([2.0, 0.0, 3.0]), 1.0, Threshold(0.9), sides(0.6, 1.9)),
        Profile("a", values, np.array([1.0, 0.0, 4.0]), 1.0, Threshold(0.95, 3, 0), sides(0.7, 1.8)),
    ]
    figure = profiles_figure(space, np.array([1.1, 0.9]), results, ["firm", ""])
    first, second = figure.axes
    rise = stats.chi2.ppf(0.9, 1) / 2
    threshold, estimate, course = first.lines
    assert threshold.get_ydata()[0] == pytest.approx(rise)
    assert (threshold.get_linestyle(), threshold.get_color()) == ("--", GREY)
    assert (estimate.get_xdata()[0], estimate.get_color()) == (0.9, DATA)
    assert (points(course), course.get_color()) == ([[0.5, 2], [1, 0], [2, 3]], MODEL)
    prior = first.patches[0].get_extents().transformed(first.transData.inverted())
    assert (prior.x0, prior.x1) == pytest.approx(space.parameters[1].interval(0.9))
    # as many parameters as numbers: a threshold that is nowhere is not drawn, and does not count in the height
    assert [points(line) for line in second.lines[1:]] == [[[0.5, 1], [1, 0], [2, 4]]]
    assert second.lines[0].get_xdata()[0] == 1.1
    assert first.get_ylim() == pytest.approx((0, 2 * rise))
    # one height for all, so that rises can be compared by eye
    assert first.get_shared_y_axes().joined(first, second)
    assert (first.get_xscale(), second.get_xscale()) == ("linear", "log")
    assert (first.get_xlabel(), second.get_xlabel()) == ("[firm]", "[-]")
    approved(first.get_ylabel())
    approved(first.get_title(loc="left").split("\n"))
    alone = profiles_figure(space, np.array([1.1, 0.9]), results[1:], [""])
    assert alone.axes[0].get_ylim() == (0, 2)


def test_profiles_stand_four_in_a_row() -> None:
    space = ParameterSpace((Parameter("b", Uniform(-1, 3), -1, 3),))
    result = Profile("b", np.array([0.5, 1.0]), np.array([1.0, 0.0]), 1.0, Threshold(0.9), sides(0.6, 1.9))
    figure = profiles_figure(space, np.array([1.0]), [result] * 5, [""] * 5)
    grid = figure.axes[0].get_gridspec()
    assert (grid.nrows, grid.ncols) == (2, 4)
    labels = [drawn.get_ylabel() for drawn in figure.axes]
    approved(labels)
    assert [drawn.axison for drawn in figure.axes] == [True] * 5 + [False] * 3


def predicted(values: list[float], estimate: float, prior: tuple[float, float]) -> Any:
    return SimpleNamespace(
        name="left in the end", values=np.array(values), rise=np.array([2.0, 0.0, 3.0]), estimate=estimate,
        prior_low=prior[0], prior_high=prior[1], threshold=Threshold(0.95), verdict=sides(82.0, 97.0),
    )  # fmt: skip


def test_profiles_of_predictions_fill_their_axis_whatever_the_priors_say() -> None:
    figure = prediction_profiles_figure(
        [predicted([80, 90, 100], 91.0, (0, 1000)), predicted([5, 5, 5], 5.0, (4, 6))], ["left [firm]", "other"]
    )
    first, second = figure.axes
    assert first.get_xlim() == pytest.approx((77, 103))
    assert np.ptp(second.get_xlim()) == pytest.approx(0.3 * 5e-6, rel=1e-6)
    threshold, estimate, course = first.lines
    assert threshold.get_ydata()[0] == pytest.approx(stats.chi2.ppf(0.95, 1) / 2)
    assert estimate.get_xdata()[0] == 91
    assert points(course) == [[80, 2], [90, 0], [100, 3]]
    prior = first.patches[0].get_extents().transformed(first.transData.inverted())
    assert (prior.x0, prior.x1) == pytest.approx((0, 1000))
    approved(first.get_title(loc="left").split("\n"))
    approved((first.get_xlabel(), first.get_ylabel(), second.get_ylabel()))
    assert first.get_ylim() == pytest.approx((0, stats.chi2.ppf(0.95, 1)))
    many = prediction_profiles_figure([predicted([80, 90, 100], 91.0, (0, 1000))] * 4, ["x"] * 4)
    grid = many.axes[0].get_gridspec()
    assert (grid.nrows, grid.ncols) == (2, 3)


def test_a_figure_of_many_series_has_some_of_them_and_says_so() -> None:
    from matplotlib.figure import Figure

    times, names = np.arange(3.0), [f"o{i}" for i in range(MOST_PANELS + 5)]
    courses = dict.fromkeys(names, times)
    rows = fitted_rows(*(row(name, 1, 0.5) for name in names))
    figure: Figure = fit_figure(
        times, courses, {}, rows, axis_labels=dict.fromkeys(names, "x [m]"), time=TimeAxis("Time")
    )
    assert len(figure.axes) == MOST_PANELS + 1
    assert figure.get_supxlabel() == f"The first {MOST_PANELS} of {MOST_PANELS + 5} observations; fitted.csv has all."
    # of so many no mark can be told from another
    assert figure.axes[-1].get_legend() is None
