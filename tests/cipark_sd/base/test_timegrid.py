"""The one place where times are computed."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cipark_sd.base.errors import InvalidValue, OffGrid
from cipark_sd.base.timegrid import SLACK, model_time, nearest_indices, saved_indices, time_grid


@given(st.integers(1, 400), st.sampled_from([1, 2, 5, 10]), st.sampled_from([0.1, 0.125, 1 / 3, 1.0, 0.03125]))
def test_every_save_period_and_both_ends_are_saved(periods: int, steps: int, step: float) -> None:
    grid = time_grid(2010.0, 2010 + periods * steps * step, step, steps * step, where="")
    assert grid.saved_times == pytest.approx(2010 + np.arange(periods + 1) * steps * step, rel=1e-9)
    assert grid.saved[0]
    assert grid.saved[-1]


@pytest.mark.parametrize(
    ("final", "step", "saveper", "expected"),
    [
        (2.0, 0.125, 0.3, [0, 0.25, 0.625, 0.875, 1.25, 1.5, 1.75]),
        (3.0, 0.3, 1.0, [0, 0.9, 2.1, 3.0]),
        (2.0, 0.5, 0.3, [0, 0.5, 1, 1.5, 2]),
        (2.0, 1.0, 5.0, [0]),
    ],
)
def test_a_save_period_that_is_no_multiple_of_the_step_saves_the_nearest_steps(
    final: float, step: float, saveper: float, expected: list[float]
) -> None:
    grid = time_grid(0, final, step, saveper, where="m")
    np.testing.assert_allclose(grid.saved_times, expected, rtol=1e-12)


def test_a_long_run_of_steps_that_are_no_binary_fractions_loses_no_saved_time() -> None:
    assert time_grid(0, 1000, 0.01, 1, where="m").saved.sum() == 1001


def test_rounding_does_not_add_a_step() -> None:
    assert len(time_grid(0, 1, 0.1, 0.1, where="").times) == 11


def test_a_run_without_length_has_its_start() -> None:
    assert time_grid(5, 5, 1, 1, where="").saved_times.tolist() == [5]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0, -1, 1, 1), "the final time is -1, expected at least the initial time 0"),
        ((0, 1, 0, 1), "the time step is 0, expected a positive number"),
        ((0, 1, 1, float("nan")), "the save period is nan"),
        ((0, float("inf"), 1, 1), "the final time is inf"),
    ],
)
def test_a_span_that_is_none_is_an_error(values: tuple[float, float, float, float], message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        time_grid(*values, where="model")


def test_times_off_the_grid_are_named_with_the_nearest_saved_ones() -> None:
    grid = time_grid(2010, 2030, 0.25, 0.5, where="")
    with pytest.raises(OffGrid, match=r"times 2010\.25, 2031 are not .*\(from 2010 to 2030 every 0\.5\); nearest: 20"):
        saved_indices(grid, [2010, 2010.25, 2031], where="model")


def test_a_time_within_rounding_of_the_grid_is_on_it() -> None:
    grid = time_grid(0, 1, 0.1, 0.1, where="")
    assert saved_indices(grid, [0.3, 0.7], where="").tolist() == [3, 7]


@pytest.mark.parametrize("text", ["soon", "2019-13-01", "nan", "inf"])
def test_a_text_that_is_no_time_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        model_time(text, "Year")


def test_a_date_needs_a_model_that_counts_in_years() -> None:
    with pytest.raises(ValueError, match="the year, not 'Day'"):
        model_time("2019-01-01", "Day")


@given(
    st.floats(-3000, 3000),
    st.floats(0, 300),
    st.sampled_from([0.1, 0.125, 1 / 3, 1.0, 0.7, 250.0]),
)
def test_times_are_the_sums_of_a_loop_bit_for_bit(initial: float, span: float, step: float) -> None:
    expected = [initial]
    while expected[-1] + SLACK * step < initial + span:
        expected.append(expected[-1] + step)
    assert time_grid(initial, initial + span, step, step, where="").times.tolist() == expected


def test_a_step_that_rounding_shortens_still_reaches_the_end() -> None:
    # the numbers there are 2 apart, so each step of 2.9 goes on by 2 and more of them are needed than the quotient says
    start = 2.0**53
    assert time_grid(start, start + 200, 2.9, 2.9, where="").times.tolist() == [start + 2 * i for i in range(101)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            (0, 1e12, 0.25),
            r"the number of steps from 0 to 1e\+12 by 0\.25 is 4000000000000, expected at most 100,000,000",
        ),
        ((0, 10, 1e-9), r"from 0 to 10 by 1e-09 is 10000000000, expected at most 100,000,000"),
        ((0, 10, 1e-300), r"the time step is 1e-300, expected more than"),
        ((2000, 2001, 1e-14), r"the time step is 1e-14, expected more than 1\.14e-13, since 2001 and a smaller step"),
        ((9007199254740992, 9007199254741992, 1), r"the time step is 1, expected more than 1, since 9007199254741992"),
        (
            (-1e308, 1.7e308, 1e305),
            "the span of the run is inf, expected a finite number",
        ),
        ((0, 1e300, 0.25), r"the time step is 0\.25, expected more than"),
    ],
)
def test_a_grid_without_an_end_is_refused_before_memory_is_taken(
    values: tuple[float, float, float], message: str
) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(InvalidValue, match=message):
            time_grid(*values, values[2], where="model")
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_saved_times_of_a_long_run_are_found_in_linear_memory() -> None:
    grid = time_grid(0, 40_000, 1, 1, where="")
    tracemalloc.start()
    try:
        assert (saved_indices(grid, grid.saved_times.tolist(), where="") == np.arange(40_001)).all()
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@given(
    st.lists(st.integers(-50, 50), min_size=1, max_size=20, unique=True).map(sorted),
    st.lists(st.floats(-60, 60) | st.integers(-100, 100).map(lambda i: i / 2), min_size=1, max_size=20),
)
def test_the_nearest_time_is_the_first_of_the_nearest(times: list[int], wanted: list[float]) -> None:
    there, asked = np.array(times, dtype=float), np.array(wanted, dtype=float)
    expected = np.abs(there[None, :] - asked[:, None]).argmin(axis=1)
    distances = np.abs(there[nearest_indices(there, asked)] - asked)
    assert (distances == np.abs(there[expected] - asked)).all()
    halves = asked * 2 == np.round(asked * 2)
    assert (nearest_indices(there, asked)[halves] == expected[halves]).all()


def test_a_time_that_is_not_a_number_is_not_on_the_grid() -> None:
    with pytest.raises(OffGrid, match="time nan is not on the saved grid"):
        saved_indices(time_grid(0, 1, 0.5, 0.5, where=""), [float("nan")], where="model")
