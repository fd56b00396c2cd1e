"""What people hold in their hands is taken as it is: values and tables of pandas, xarray, NumPy and SciPy."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

import cipark_sd as cp
from cipark_sd.base.errors import InvalidValue, UnusableInput

TIMES, VALUES = [2012.0, 2016.0], [1.0, 3.0]
COURSE = cp.TimeSeries((2012.0, 2016.0), (1.0, 3.0))
COUNTS = {"year": [2016, 2017, 2018, 2019], "firms": [8, 23, 42, 60]}
STACKED = pd.DataFrame({"unique_id": ["firms"] * 4, "ds": COUNTS["year"], "y": COUNTS["firms"]})


@pytest.mark.parametrize(
    "value",
    [
        pd.Series(VALUES, TIMES),
        xr.DataArray(VALUES, dims="time", coords={"time": TIMES}),
        dict(zip(TIMES, VALUES, strict=True)),
    ],
    ids=["Series", "DataArray", "dict"],
)
def test_a_course_is_a_time_series(value: Any) -> None:
    expected = cp.simulate("core", {"Start Time": COURSE}, save=["Residents"])
    assert cp.simulate("core", {"Start Time": value}, save=["Residents"]).identical(expected)
    assert cp.start("core", {"Start Time": value}).scenario == cp.Scenario("", {"Start Time": COURSE})
    assert cp.Scenario("", {"Start Time": value}) == cp.Scenario("", {"Start Time": COURSE})
    table = cp.simulate("core", pd.DataFrame({"Start Time": VALUES}, TIMES), save=["Residents"])
    assert table.identical(expected)


def test_arrays_and_series_of_numbers_are_numbers() -> None:
    expected = cp.simulate("core", {"Start Time": 1.2}, save=["Residents"])["residents"]
    for scenario in (
        {"Start Time": np.array(1.2)},
        {"Start Time": np.array([1.2])},
        {"Start Time": np.float64(1.2)},
        pd.Series({"Start Time": 1.2}),
    ):
        np.testing.assert_array_equal(cp.simulate("core", scenario, save=["Residents"])["residents"], expected)  # type: ignore[arg-type]


def test_a_course_that_is_none_is_one_sentence() -> None:
    with pytest.raises(InvalidValue, match="the times of 'Start Time'"):
        cp.simulate("core", {"Start Time": pd.Series([1.0, 2.0], [2016.0, 2012.0])})  # type: ignore[dict-item]
    with pytest.raises(InvalidValue, match="of 'Start Time' is"):
        cp.simulate("core", {"Start Time": pd.Series([1.0, np.nan], TIMES)})  # type: ignore[dict-item]
    with pytest.raises(InvalidValue, match="of 'Start Time' is"):
        cp.simulate("core", {"Start Time": pd.Series(VALUES, pd.to_datetime(["2012-01-01", "2016-01-01"]))})  # type: ignore[dict-item]


def test_a_distribution_is_no_value_of_one_run() -> None:
    with pytest.raises(InvalidValue, match=r"'Start Time' is 'a distribution'.*cp.ensemble its draws"):
        cp.Scenario("", {"Start Time": stats.norm(2, 0.2)})  # type: ignore[dict-item]


def test_the_times_of_a_run_are_keywords() -> None:
    scenario = cp.Scenario("", {"Start Time": 2}, final_time=2021.0, saveper=1.0)
    expected = cp.simulate("core", scenario, save=["Residents"])
    run = cp.simulate("core", {"Start Time": 2}, save=["Residents"], final_time=2021.0, saveper=1.0)
    assert run.identical(expected)
    # what is said last counts
    assert cp.simulate("core", scenario, save=["Residents"], final_time=2014).time[-1] == 2014
    assert cp.start("core", final_time=2014).times[-1] == 2014
    assert cp.ensemble("core", [{}], save=["Residents"], final_time=2014).time[-1] == 2014
    with pytest.raises(TypeError, match="no option 'final_tme'; did you mean 'final_time'"):
        cp.simulate("core", final_tme=2014)  # type: ignore[call-arg]


def test_a_sensitivity_takes_distributions_of_scipy() -> None:
    """Of a uniform one it is that of its ends, bit for bit."""
    plain = cp.sensitivity("core", {"Start Time": (1, 3), "Pass Fraction": (0.2, 0.6)}, "Residents", n=64)
    laws = {"Start Time": stats.uniform(1, 2), "Pass Fraction": (0.2, 0.6)}
    np.testing.assert_allclose(cp.sensitivity("core", laws, "Residents", n=64)["ST"], plain["ST"], rtol=1e-9)
    normal = cp.sensitivity("core", {"Start Time": stats.norm(2, 0.2)}, "Residents", n=64)
    assert float(normal["ST"].squeeze()) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    "data",
    [
        COUNTS,
        pd.Series(COUNTS["firms"], pd.Index(COUNTS["year"], name="year"), name="firms"),
        xr.DataArray(COUNTS["firms"], dims="year", coords={"year": COUNTS["year"]}, name="firms"),
        STACKED,
        STACKED.rename(columns={"unique_id": "variable", "ds": "year", "y": "value"}),
    ],
    ids=["dict", "Series", "DataArray", "panel", "tidy"],
)
def test_a_study_takes_a_table_in_any_form(data: Any) -> None:
    expected = cp.Study("core", pd.DataFrame(COUNTS), {"firms": "Residents"})
    study = cp.Study("core", data, {"firms": "Residents"})
    rows = [
        [(term.label.split()[-1], term.lower, term.upper) for o in made.problem.observations for term in o.terms]
        for made in (study, expected)
    ]
    assert rows[0] == rows[1] != []


def test_a_study_takes_a_run_and_refuses_two_values_at_one_time() -> None:
    run = cp.simulate("core", save=["Residents"], saveper=1)
    study = cp.Study("core", run, {"Residents": "Residents"})
    assert len(study.problem.observations[0].terms) > 3
    with pytest.raises(UnusableInput, match="two rows of one 'unique_id' at one 'ds'"):
        cp.Study("core", pd.concat([STACKED, STACKED]), {"firms": "Residents"})
