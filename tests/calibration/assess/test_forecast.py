"""Forecasts: from where each series goes on, to which dates, and what the table says of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_study import small_study

from calibration.assess import forecast as module
from calibration.assess.forecast import LEVELS, OWN, QUANTILES, forecast, origins, table_of
from calibration.likelihood.posterior import On
from calibration.noise.families.measurements import Normal
from calibration.study.problem import CalibrationProblem, read_problem

THETA = np.array([[100.0, 0.2]] * 400)


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> CalibrationProblem:
    return small_study(tmp_path_factory.mktemp("study"))


def ahead(problem: CalibrationProblem, *, end: float = 12.0, every: float = 1.0, **changes: Any) -> Any:
    (observation,) = problem.observations
    terms = tuple(replace(term, **changes) for term in observation.terms)
    return module._future(replace(observation, terms=terms), end, every)


def test_levels_are_those_of_the_table() -> None:
    assert LEVELS[:4] == (0.001, 0.005, 0.01, 0.02)
    assert {0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975, *(i / 100 for i in range(1, 100))} < set(LEVELS)


def test_dates_follow_the_last_fitted_number_up_to_the_end(problem: CalibrationProblem) -> None:
    """Whole multiples of what is asked, the first after the number itself, the last at the final time."""
    for every, dates in ((1.0, [9, 10, 11, 12]), (3.0, [9, 12]), (5.0, [10]), (4.0, [12]), (0.1, None)):
        future = ahead(problem, every=every)
        ends = [term.quantity.end for term in future.ahead.terms]
        if dates is None:
            assert ends == pytest.approx(np.arange(8.1, 12.05, 0.1))
        else:
            assert ends == dates
            assert [term.quantity.start for term in future.ahead.terms] == [8, *dates[:-1]]
        assert future.origin == 8
    # 0.3 / 0.1 is a little less than 3, and the number at 0.3 is known
    third = replace(problem.observations[0].terms[0].quantity, start=0.2, end=0.3)
    ends = [term.quantity.end for term in ahead(problem, end=0.6, every=0.1, quantity=third).ahead.terms]
    assert ends == pytest.approx([0.4, 0.5, 0.6])
    assert ahead(problem, end=8.5) is None
    assert ahead(problem, end=9).ahead.terms[0].quantity.end == 9
    assert ahead(problem, use="check") is None


def test_what_lies_ahead_is_counted_in_full_and_known_to_no_fit(problem: CalibrationProblem) -> None:
    future = ahead(problem, weight=0.5)
    for term in future.ahead.terms:
        assert (term.use, term.weight, term.level, term.label) == ("holdout", 1.0, None, f"left {term.quantity.end:g}")
    assert future.known.terms == ()


def test_a_count_goes_on_from_what_it_had_reached(problem: CalibrationProblem) -> None:
    assert ahead(problem).level == (85, 85)
    assert ahead(problem, level=None, lower=1.0, upper=2.0).level == (8, 16)
    rng = np.random.default_rng(1)
    exact = ahead(problem)
    assert exact.start(3, rng).tolist() == [85, 85, 85]
    whole = replace(exact, level=(84.5, 87.0)).start(4000, rng)
    assert set(whole.tolist()) == {85, 86, 87}
    assert np.bincount(whole.astype(int))[85:] / 4000 == pytest.approx([1 / 3] * 3, abs=0.04)
    assert replace(exact, level=(84.0, np.inf)).start(2, rng).tolist() == [84, 84]
    assert replace(exact, level=None).start(2, rng).tolist() == [0, 0]
    # also where one number alone lies ahead
    assert set(replace(ahead(problem, every=5.0), level=(1.0, 2.0)).start(40, rng).tolist()) == {1, 2}
    terms = tuple(replace(term, noise=replace(term.noise, family=Normal(), spread=1.0)) for term in exact.ahead.terms)
    measured = replace(exact, ahead=replace(exact.ahead, terms=terms), level=(84.0, 86.0)).start(4000, rng)
    assert (measured.min() >= 84) & (measured.max() <= 86)
    assert measured.mean() == pytest.approx(85, abs=0.05)
    assert len(set(measured.tolist())) > 3000


def test_a_forecast_adds_up_what_comes_after(problem: CalibrationProblem) -> None:
    rows = forecast(problem, On("native"), THETA, np.random.default_rng(1), every=2.0)
    named = ["scenario", "observation", "time", "origin_time", "origin_level"]
    assert rows[named].to_numpy().tolist() == [["as fitted", "left", 10, 8, "85"], ["as fitted", "left", 12, 8, "85"]]
    expected = 85 + 100 * (np.exp(-8 * 0.2) - np.exp(-rows["time"].to_numpy() * 0.2))
    assert rows["mean"].to_numpy() == pytest.approx(expected, abs=0.6)
    assert rows["draws"].tolist() == [400, 400]
    assert (rows[QUANTILES].diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)
    assert rows["q0.5"].to_numpy() == pytest.approx(expected, abs=1.5)
    assert forecast(problem, On("native"), THETA, np.random.default_rng(1), every=50.0).empty


def test_a_flow_is_forecast_over_windows_as_long_as_its_last_one(tmp_path: Path) -> None:
    """What leaves in each two years, and not what has left since the last row."""
    problem = small_study(tmp_path)
    text = (tmp_path / "problem.toml").read_text()
    text = text.replace('kind = "increments"', 'kind = "flow"').replace('variable = "left"', 'variable = "leaving"')
    (tmp_path / "problem.toml").write_text(text)
    (tmp_path / "left.csv").write_text("time,left\n2,33\n4,22\n6,15\n8,10\n")
    rows = forecast(read_problem(tmp_path), On("native"), THETA, np.random.default_rng(1))
    assert rows[["time", "origin_time", "origin_level"]].to_numpy().tolist() == [[10, 8, ""], [12, 8, ""]]
    times = rows["time"].to_numpy()
    expected = 100 * (np.exp(-(times - 2) * 0.2) - np.exp(-times * 0.2))
    assert rows["mean"].to_numpy() == pytest.approx(expected, abs=0.6)
    assert problem.observations[0].kind == "increments"


def row(name: str, level: str, date: str = "2019-07-02", origin: float = 2019.5) -> dict[str, Any]:
    return {"observation": name, "origin_date": date, "origin_time": origin, "origin_level": level}


@pytest.mark.parametrize(("level", "words"), [
    (None, ""), ((85.0, 85.0), "85"), ((80.0, 85.5), "80 to 85.5"), ((80.0, np.inf), "at least 80"),
])  # fmt: skip
def test_the_table_and_the_sentence_say_where_a_series_had_come(
    level: Any, words: str, problem: CalibrationProblem
) -> None:
    future = replace(ahead(problem), level=level)
    first, *_ = module._rows(problem, OWN, "as fitted", future, np.full((100, 4), 90.0))
    assert list(first) == module.COLUMNS
    assert first | dict.fromkeys(QUANTILES, 0) == {
        "structure": "the study's own", "scenario": "as fitted", "observation": "left", "date": "9", "time": 9.0,
        "origin_date": "8", "origin_time": 8.0, "origin_level": words, "mean": 90.0, "draws": 100,
        **dict.fromkeys(QUANTILES, 0),
    }  # fmt: skip
    beside = f", {words}" if words else ""
    assert origins(table_of([first])) == (f"left continues from its own last fitted row, of time 8{beside}.",)


def test_each_series_has_one_sentence_and_a_time_without_a_date_is_a_number() -> None:
    rows = table_of([row("left", "", "8", 8.0), row("left", "1", "9", 9.0), row("other", "")])
    assert origins(rows) == (
        "left continues from its own last fitted row, of time 8.",
        "other continues from its own last fitted row, of 2019-07-02.",
    )


def test_draws_that_failed_are_left_out(problem: CalibrationProblem) -> None:
    future = ahead(problem)
    drawn = np.array([[90.0, np.nan, 1, 1], [92.0, np.nan, 1, 1]])
    rows = module._rows(problem, OWN, "late", future, drawn)
    assert [row["time"] for row in rows] == [9, 11, 12]
    assert (rows[0]["scenario"], rows[0]["mean"], rows[0]["draws"]) == ("late", 91, 2)


def test_courses_ahead_are_those_of_what_is_fitted(problem: CalibrationProblem) -> None:
    ((name, (times, paths)),) = module.courses_ahead(problem, On("native"), THETA[:3], 1).items()
    assert (name, times, paths.shape) == ("left", (9.0, 10.0, 11.0, 12.0), (3, 4))
    (observation,) = problem.observations
    looked_at = tuple(replace(term, use="check") for term in observation.terms)
    unfitted = replace(problem, observations=(replace(observation, terms=looked_at),))
    assert module.courses_ahead(unfitted, On("native"), THETA[:3], 1) == {}
