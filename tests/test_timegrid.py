"""The one place where times are computed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cipark_sd.errors import InvalidValue, OffGrid
from cipark_sd.timegrid import model_time, saved_indices, time_grid


@given(st.integers(1, 400), st.sampled_from([1, 2, 5, 10]), st.sampled_from([0.1, 0.125, 1 / 3, 1.0, 0.03125]))
def test_every_save_period_and_both_ends_are_saved(periods: int, steps: int, step: float) -> None:
    grid = time_grid(2010.0, 2010 + periods * steps * step, step, steps * step, where="")
    assert grid.saved_times == pytest.approx(2010 + np.arange(periods + 1) * steps * step, rel=1e-9)
    assert grid.saved[0]
    assert grid.saved[-1]


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
