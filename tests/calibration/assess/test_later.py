"""What follows the fit, on synthetic data: bands that hold under the right structure, and do not under a break."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_study import MODEL, small_study

from calibration.assess.self_test import MASSES, SelfTest, _holds, self_test
from calibration.inference.sample.convergence import Criteria, Effort
from calibration.likelihood.posterior import On
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd.data.scenarios import Scenario

QUICK = Effort(ensembles=2, most_steps=400, criteria=Criteria(r_hat=1.05, ess=150), confirmed=False, effective=200.0)


def study(folder: Path) -> CalibrationProblem:
    """The small study, with a constant that lets the rate break after the data, in year 8."""
    small_study(folder)
    broken = "leaving = stock * rate * pace * IF THEN ELSE(Time >= 8, later, 1) ~ firm/year ~ |\nlater = 1 ~ Dmnl ~ |"
    text = MODEL.replace("leaving = stock * rate * pace ~ firm/year ~ |", broken)
    (folder / "leaving.mdl").write_text(text, encoding="utf-8")
    return read_problem(folder)


def coverage_of(problem: CalibrationProblem, n: int, later: float | None = None) -> SelfTest:
    maker = None
    if later is not None:
        maker = replace(problem, scenario=problem.scenario | Scenario("", {"later": later}))
    return self_test(problem, On("native"), n, np.random.default_rng(7), maker=maker, effort=QUICK)


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> SelfTest:
    return coverage_of(study(tmp_path_factory.mktemp("right")), 30)


def test_numbers_to_come_lie_in_their_intervals(right: SelfTest) -> None:
    """Of thirty data sets 95% intervals hold the truth in 25 at least, but for one chance in a hundred."""
    assert right.later == tuple(f"left at {year}" for year in range(9, 13))
    assert (right.later_coverage[:, MASSES.index(0.95)] >= 25 / 30).all()
    # intervals that hold everything would be too wide
    assert right.later_coverage[:, 0].mean() < 0.85


def test_a_break_costs_the_coverage_of_forecasts(tmp_path: Path) -> None:
    broken = coverage_of(study(tmp_path), 12, later=3.0)
    last = MASSES.index(0.9)
    assert broken.later_coverage[1, last] < 0.7


def test_without_another_maker_the_ranks_are_what_they_were(right: SelfTest, tmp_path: Path) -> None:
    """A maker that is the study itself is a route of its own through the same numbers."""
    same = coverage_of(study(tmp_path), 4, later=1.0)
    np.testing.assert_array_equal(same.ranks, right.ranks[:4])
    np.testing.assert_array_equal(same.later_inside, right.later_inside[:4])


def test_an_interval_holds_its_ends() -> None:
    values = np.arange(1.0, 101.0)
    assert _holds(values, 3.0) == [False, False, True]
    assert _holds(values, 50.0) == [True, True, True]
    assert _holds(np.full(5, 0.1 + 0.2), 0.3) == [True, True, True]
    assert _holds(np.full(3, np.nan), 1.0) == [False, False, False]
