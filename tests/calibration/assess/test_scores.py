"""Scores of one number, their summaries and the error of their mean, against sums written out."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from calibration.assess import scores
from calibration.assess.scores import (
    COLUMNS,
    LEVELS,
    crps_sample,
    mean_error,
    quantiles,
    summaries,
    table_of,
)

HUNDRED = np.arange(1.0, 101.0)


def number(lower: float, upper: float) -> dict[str, Any]:
    return {"label": "left 7", "time": 7.0, "lower": lower, "upper": upper}


def scored(lower: float, upper: float, draws: Any = HUNDRED) -> pd.Series:
    rng = np.random.default_rng(1)
    row = scores.score("model", 5.0, number(lower, upper), draws, draws[:, None], np.log([0.1, 0.3]), rng)
    return table_of([row]).iloc[0]


def ends_of(score: pd.Series) -> list[float]:
    return score[list(COLUMNS[-len(LEVELS) :])].tolist()


def test_quantiles_are_draws_at_the_ends_of_ninety_and_fifty_per_cent() -> None:
    assert LEVELS == (0.05, 0.25, 0.5, 0.75, 0.95)
    assert ends_of(scored(7, 7)) == [5, 25, 50, 75, 95]
    assert COLUMNS[-5:] == ("q0.05", "q0.25", "q0.5", "q0.75", "q0.95")
    assert all(math.isnan(q) for q in quantiles(np.empty(0), LEVELS))
    assert len(quantiles(np.empty(0), LEVELS)) == 5


@pytest.mark.parametrize(("lower", "upper", "inside"), [
    (5, 5, (False, True)), (4, 4, (False, False)), (25, 25, (True, True)), (24, 24, (False, True)),
    (75, 75, (True, True)), (76, 76, (False, True)), (95, 95, (False, True)), (96, 96, (False, False)),
    # an interval is inside where it meets the other
    (1, 5, (False, True)), (1, 25, (True, True)), (75, 99, (True, True)), (95, 99, (False, True)),
])  # fmt: skip
def test_a_number_is_inside_where_intervals_meet(lower: float, upper: float, inside: tuple[bool, bool]) -> None:
    score = scored(lower, upper)
    assert (score.inside_50, score.inside_90) == inside


def test_a_score_is_of_the_number_that_was_seen() -> None:
    score = scored(7, 7)
    assert (score.forecaster, score.origin, score.label, score.time) == ("model", 5.0, "left 7", 7.0)
    assert score.log_score == pytest.approx(-math.log(0.2))
    assert score.crps == crps_sample(HUNDRED, 7)
    assert 0.06 <= score.pit <= 0.07
    ends = scored(7, 9)
    assert math.isnan(ends.crps)
    assert 0.06 <= ends.pit <= 0.09
    # runs that failed are no forecast
    assert ends_of(scored(7, 7, np.append(HUNDRED, [np.nan, np.inf]))) == [5, 25, 50, 75, 95]


def test_without_a_draw_nothing_is_inside_and_the_scores_are_infinite() -> None:
    score = scored(7, 8, np.array([np.nan]))
    assert (score.label, score.time, score.lower, score.upper) == ("left 7", 7.0, 7, 8)
    assert (score.log_score, score.crps) == (math.inf, math.inf)
    assert math.isnan(score.pit)
    assert (score.inside_50, score.inside_90) == (False, False)
    assert np.isnan(ends_of(score)).all()


def at(times: Any, forecaster: str = "model", **changes: Any) -> pd.DataFrame:
    fields = {"log_score": 0.0, "crps": 0.0, "inside_50": True, "inside_90": True} | changes
    rows = [{"forecaster": forecaster, "origin": 0.0, "label": f"{t:g}", "time": float(t)} for t in times]
    return table_of(rows).assign(**fields)


@pytest.mark.parametrize("n", [5, 26])
def test_the_error_of_a_mean_is_that_of_newey_and_west(n: int) -> None:
    """Written out for numbers whose lag is 2, as it is from 5 to 27 of them, with neighbours that move together."""
    x = np.sin(np.arange(n) / 2)
    e = x - x.mean()
    products = [sum(e[i] * e[i - k] for i in range(k, n)) for k in range(3)]
    long_run = products[0] + 2 * (2 / 3 * products[1] + 1 / 3 * products[2])
    assert long_run > products[0]
    expected = math.sqrt(long_run * n / (n - 1)) / n
    assert mean_error(x, at(range(n))) == pytest.approx(expected, rel=1e-12)
    # the order is that of time
    assert mean_error(x[::-1], at(range(n - 1, -1, -1))) == pytest.approx(expected, rel=1e-12)


def test_independent_errors_are_the_least_that_is_told() -> None:
    # neighbours that go against each other make no mean more certain than independent ones
    zigzag = np.array([1.0, -1.0] * 13)
    assert mean_error(zigzag, at(range(26))) == pytest.approx(math.sqrt(26 * 26 / 25) / 26)


def test_two_numbers_are_enough_for_an_error() -> None:
    assert mean_error(np.array([1.0, 3.0]), at([1, 2])) == pytest.approx(1.0)
    assert math.isnan(mean_error(np.array([1.0]), at([1])))


def test_a_summary_is_a_line_for_each_forecaster_best_first() -> None:
    first_seen = [False, True, True, True]
    good = at([1, 2, 2, 3], crps=[math.nan, 2.0, 2.0, 2.0], inside_50=first_seen, inside_90=first_seen)
    good["log_score"] = logs = np.array([3.0, 1.0, 1.0, 1.0])
    bad = at([1, 2], "flat", log_score=9.0, crps=math.nan, inside_50=False)
    first, second = summaries(pd.concat([bad, good])).itertuples()
    assert (first.forecaster, first.n, first.n_numbers, first.n_exact) == ("model", 4, 3, 3)
    assert (first.mean_log_score, first.mean_crps) == (1.5, 2.0)
    assert (first.coverage_50, first.coverage_90) == (0.75, 0.75)
    assert first.log_score_error == mean_error(logs, good)
    assert first.crps_error == 0
    assert (second.forecaster, second.n, second.n_exact, second.mean_log_score) == ("flat", 2, 0, 9.0)
    assert math.isnan(second.mean_crps)
    assert math.isnan(second.crps_error)
    assert (second.coverage_50, second.coverage_90) == (0.0, 1.0)
