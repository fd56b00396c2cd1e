"""Metrics of a run: on curves of known form, and fitted in a study."""

from pathlib import Path

import numpy as np
import pytest
from scipy.signal import find_peaks
from small_study import MODEL

from calibration.inference.search.optimise import optimise
from calibration.likelihood.posterior import Posterior, posterior
from calibration.study.problem import read_problem
from cipark_sd.base.errors import CiparkError
from cipark_sd.data.readings import (
    METRICS,
    DoublingTime,
    FirstAbove,
    FirstBelow,
    HalfTime,
    Maximum,
    Metric,
    Minimum,
    Period,
    TimeOfMaximum,
    tops,
)
from cipark_sd.engines.registry import choose

TIMES = np.linspace(0, 10, 81)
#: A hill with its top at 4.03, between two steps, and a straight line.
COURSES = np.stack([9 - (TIMES - 4.03) ** 2, 2 * TIMES - 3])

STUDY = """
title = "peaks"
[model]
file = "leaving.mdl"
[[observation]]
name = "half gone"
table = "half.csv"
kind = "metric"
metric = "first-above"
threshold = 50
variable = "left"
family = "normal"
sd = 0.1
[[parameter]]
name = "rate"
bounds = [0.01, 2]
[method]
estimate = "ml"
starts = 4
"""


def read(metric: Metric, *window: float) -> np.ndarray:
    start, end = window or (-np.inf, 10.0)
    return np.asarray(metric.read(TIMES, COURSES, [(start, end)], {})[:, 0])


@pytest.mark.parametrize(
    ("metric", "window", "expected"),
    [
        (Maximum(), (), [9, 17]),
        (Maximum(), (0.3, 2.0), [9 - 2.03**2, 1]),
        (Minimum(), (), [9 - 5.97**2, -3]),
        (TimeOfMaximum(), (), [4.03, 10]),
        (TimeOfMaximum(), (5.0, 7.0), [5, 7]),
        (FirstAbove(5.0), (), [2.03, 4]),
        (FirstAbove(5.0), (3.0, 10.0), [3, 4]),
        (FirstBelow(5.0), (3.0, 10.0), [6.03, 3]),
        (FirstAbove(10.0), (), [np.inf, 6.5]),
    ],
)
def test_a_metric_is_that_of_the_curve(metric: Metric, window: tuple[float, ...], expected: list[float]) -> None:
    np.testing.assert_allclose(read(metric, *window), expected, atol=2e-3)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_run_that_fails_has_no_metric(metric: Metric) -> None:
    courses = np.where(TIMES > 5, np.nan, COURSES)
    assert np.isnan(metric.read(TIMES, courses, [(-np.inf, 10.0)], {})).all()
    # what never comes is infinite, and no failure
    assert not np.isnan(metric.read(TIMES, courses, [(-np.inf, 4.5)], {})).any()


def half_gone(folder: Path, seen: str = "3.0") -> Posterior:
    (folder / "leaving.mdl").write_text(MODEL, encoding="utf-8")
    (folder / "problem.toml").write_text(STUDY, encoding="utf-8")
    (folder / "half.csv").write_text(f"time,value\n12,{seen}\n", encoding="utf-8")
    return posterior(read_problem(folder), choose("native"))


def test_when_half_had_left_tells_the_rate(tmp_path: Path) -> None:
    """Euler's solution of a decay is half gone after ``n`` steps with ``(1 - rate / 8) ** n = 1 / 2``."""
    best = optimise(half_gone(tmp_path), starts=4, rng=np.random.default_rng(1))
    assert best.theta[0] == pytest.approx(8 * (1 - 0.5 ** (1 / 24)), rel=1e-6)


def test_a_run_that_never_gets_there_is_impossible(tmp_path: Path) -> None:
    assert np.isneginf(half_gone(tmp_path).log_likelihood(np.array([[0.02]])))[0]


def test_an_instant_may_be_a_date(tmp_path: Path) -> None:
    density = half_gone(tmp_path, "0003-12-31")
    assert density.problem.terms[0].lower == 4.0  # type: ignore[union-attr]


def test_an_unknown_metric_is_told_those_there_are(tmp_path: Path) -> None:
    half_gone(tmp_path)
    (tmp_path / "problem.toml").write_text(STUDY.replace("first-above", "peak"), encoding="utf-8")
    with pytest.raises(CiparkError, match="metric"):
        read_problem(tmp_path)


def test_a_period_is_that_of_sines_and_its_tops_are_those_that_scipy_finds() -> None:
    times = np.linspace(0.0, 50.0, 1001)
    periods = np.random.default_rng(0).uniform(3.0, 12.0, 6)
    courses = np.stack([np.exp(-0.01 * times) * np.sin(2 * np.pi * times / period + 1) for period in periods])
    assert Period().of(times, courses) == pytest.approx(periods, rel=1e-6)
    first, last, n = tops(courses)
    for row, course in enumerate(courses):
        found, _ = find_peaks(course, prominence=0.02 * np.ptp(course))
        assert (first[row], last[row], n[row]) == (found[0], found[-1], len(found))
    assert Period().of(times, times[None, :]) == np.inf


@pytest.mark.parametrize("metric", [Period(), DoublingTime(), HalfTime()])
def test_slopes_of_spans_are_those_of_differences(metric: Metric) -> None:
    times = np.linspace(0.0, 30.0, 301)
    swing = 10 + np.exp(-0.01 * times) * np.sin(2 * np.pi * times / 7 + 1)
    course = {"period": swing, "doubling-time": 3 * np.exp(0.1 * times), "half-time": 5 * np.exp(-0.1 * times)}
    values = course[metric.name][None, :]
    nudges = 1e-6 * np.eye(len(times))
    by_differences = (metric.of(times, values + nudges) - metric.of(times, values - nudges)) / 2e-6
    assert metric.slopes(times, values)[0] == pytest.approx(by_differences, abs=1e-4)
    if metric.name != "period":
        assert metric.of(times, values) == pytest.approx(np.log(2) / 0.1, rel=1e-4)
        nothing = np.zeros((1, len(times)))
        assert metric.of(times, nothing) == np.inf
        assert not metric.slopes(times, nothing).any()
