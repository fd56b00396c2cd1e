"""Forecasts from files on the counts that came, against closed forms, sums written out and another program."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from approved import approved
from command_line import cipark
from scipy import stats

from calibration.assess.forecast_score import (
    Counts,
    Forecaster,
    gap_between,
    read_counts,
    read_forecasts,
    score_forecast,
)
from calibration.assess.scores import crps_at, crps_sample, energy_score
from calibration.study import STUDIES
from cipark_sd.base.errors import CiparkError

FROZEN = STUDIES / "great_stone_core" / "forecast_2020_2030.nc"
DATA = STUDIES / "great_stone_later" / "data"


def counts(values: list[float], first: int = 2020) -> Counts:
    dates = tuple(f"{first + i}-12-31" for i in range(len(values)))
    return Counts("firms", dates, np.arange(len(values)) + first + 1.0, np.array(values))


def forecaster(paths: np.ndarray, first: float = 2021.0, name: str = "model") -> Forecaster:
    return Forecaster(name, "firms", first + np.arange(paths.shape[1]), paths)


def test_crps_of_a_normal_is_the_closed_form() -> None:
    """Gneiting and Raftery 2007, equation 21."""
    draws, seen = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000), np.array([-1.3, 0.0, 2.0])
    closed = seen * (2 * stats.norm.cdf(seen) - 1) + 2 * stats.norm.pdf(seen) - 1 / math.sqrt(math.pi)
    np.testing.assert_allclose(crps_at(draws, seen), closed, atol=2e-4)


def test_crps_and_energy_of_an_ensemble_of_two() -> None:
    """Distances by hand: the mean of |x - y| less half the mean of |x - x'| over all four pairs."""
    assert crps_at(np.array([1.0, 3.0]), np.array([0.0, 2.0])).tolist() == [2 - 0.5, 1 - 0.5]
    pair = np.array([[0.0, 0.0], [3.0, 4.0]])
    assert energy_score(pair, np.array([3.0, 4.0])) == pytest.approx(5 / 2 - 5 / 4)
    # one number: the energy score is the CRPS
    assert energy_score(np.array([[1.0], [3.0]]), np.array([0.0])) == crps_sample(np.array([1.0, 3.0]), 0.0)


def test_many_numbers_have_the_score_of_each() -> None:
    draws = np.random.default_rng(1).poisson(20, 301).astype(float)
    seen = np.array([3.0, 20.0, 20.5, 60.0])
    np.testing.assert_allclose(crps_at(draws, seen), [crps_sample(draws, value) for value in seen], rtol=1e-12)


def test_place_cover_and_rises_by_hand() -> None:
    paths = np.arange(1.0, 101.0)[:, None] + np.array([0.0, 10.0, 20.0])
    scored = score_forecast(forecaster(paths), counts([40, 50, 61, 130], first=2019))
    assert scored.dates == ("2020-12-31", "2021-12-31", "2022-12-31")
    # 49 draws are fewer than 50 and one is as many; 50 of the second, 109 of the third date
    np.testing.assert_allclose(scored.pit, [0.495, 0.505, 1.0])
    assert scored.inside_90.tolist() == [True, True, False]
    assert scored.inside_50.tolist() == [True, True, False]
    rises = scored.rises
    assert rises is not None
    means, _, steeper = rises
    assert (means[0], means[-1]) == (pytest.approx(50.5 - 40), 10)
    # real rises 10, 11, 69: the slope is 29.5 a step, of a draw x it is (10 - (x - 40)) / 2
    assert steeper == 0
    rises = score_forecast(forecaster(paths), counts([40, 50, 61, 71], first=2019)).rises
    assert rises is not None
    assert rises[2] == 0.5


def test_a_count_between_two_dates_is_set_beside_the_line_between_them() -> None:
    middle = Counts("firms", ("2021.25",), np.array([2021.25]), np.array([7.0]))
    scored = score_forecast(forecaster(np.array([[0.0, 8.0], [4.0, 4.0]])), middle)
    assert scored.paths[:, 0].tolist() == [2.0, 4.0]
    with pytest.raises(CiparkError, match="no count of 'firms' lies within"):
        score_forecast(forecaster(np.zeros((2, 2)), first=2030.0), middle)


def test_a_gap_is_as_frequent_as_it_is_if_either_is_true() -> None:
    """Draws of N(0, 1) and of N(3, 1): 0 favours the first as much as half of its own draws would."""
    rng = np.random.default_rng(2)
    near, far = rng.normal(0, 1, (800, 2)), rng.normal(3, 1, (800, 2))
    seen = Counts("firms", ("a", "b"), np.array([2021.0, 2022.0]), np.array([0.0, 0.0]))
    own, rival = (score_forecast(forecaster(p, name=n), seen) for p, n in ((near, "own"), (far, "rival")))
    gap, if_own, if_rival = gap_between(own, rival)
    assert gap < -1.5
    # if the first is true half of the truths lie below 0, which favours it as much or more
    assert 0.35 < if_own < 0.65
    assert if_rival < 0.01
    back, _, chance = gap_between(rival, own)
    assert (back, chance) == (-gap, if_own)


def test_quantiles_of_a_table_are_a_distribution_without_joint_dates(tmp_path: Path) -> None:
    """Of a uniform between 0 and 10 that is known by five quantiles, and cut at the outer two."""
    rows = ["structure,scenario,observation,date,q0.05,q0.25,q0.5,q0.75,q0.95"]
    rows += [f"own,as fitted,firms,{year}-12-31,0.5,2.5,5,7.5,9.5" for year in (2020, 2021)]
    (tmp_path / "forecast.csv").write_text("\n".join(rows), encoding="utf-8")
    (found,) = read_forecasts(tmp_path / "forecast.csv")
    assert (found.name, found.series, found.joint) == ("own", "firms", False)
    scored = score_forecast(found, counts([5, 9]))
    # CRPS of U(0, 10) at y is y^2/10 - y + 10/3
    np.testing.assert_allclose(scored.crps, [2.5 - 5 + 10 / 3, 8.1 - 9 + 10 / 3], atol=0.02)
    assert math.isnan(scored.energy)
    assert scored.rises is None
    assert math.isnan(gap_between(scored, scored)[1])


def test_quantiles_of_counts_are_counts_and_bands_are_those_of_the_table(tmp_path: Path) -> None:
    levels = [0.005, *np.round(np.arange(0.01, 1, 0.01), 2).tolist(), 0.995]
    table = stats.poisson.ppf(levels, 60.0)
    head = "structure,scenario,observation,date," + ",".join(f"q{level:g}" for level in levels)
    row = "own,as fitted,firms,2020-12-31," + ",".join(map(str, table))
    (tmp_path / "forecast.csv").write_text(f"{head}\n{row}", encoding="utf-8")
    (found,) = read_forecasts(tmp_path / "forecast.csv")
    scored = score_forecast(found, counts([60]))
    assert scored.bands == [tuple(stats.poisson.ppf([0.05, 0.25, 0.5, 0.75, 0.95], 60.0))]
    # the probability of fewer and half of that of as many, without what lies beyond the outer levels
    exact = (stats.poisson.cdf(59, 60.0) + stats.poisson.cdf(60, 60.0)) / 2
    assert scored.pit[0] == pytest.approx(exact, abs=0.006)


def test_a_year_alone_is_no_date_of_a_forecast_that_has_dates(tmp_path: Path) -> None:
    """A flow of 2020 ends as the year does, a level of 2020 may be of its start: one of them would lie a year off."""
    forecast, table = tmp_path / "forecast.csv", tmp_path / "later.csv"
    table.write_text("date,firms\n2020,5\n", "utf-8")
    rows = "structure,scenario,observation,date,q0.25,q0.75\nown,as fitted,firms,{},4.5,6.5\n"
    forecast.write_text(rows.format("2020-12-31"), "utf-8")
    assert "a year may mean its start or its end" in cipark("score", forecast, table, code=2).output
    # in the model's own time a number is what it says
    forecast.write_text(rows.format("2020"), "utf-8")
    assert "counted" in cipark("score", forecast, table).output


def test_scores_of_a_small_unit_have_digits_and_without_rivals_there_is_none_to_beat(tmp_path: Path) -> None:
    forecast, table = tmp_path / "forecast.csv", tmp_path / "later.csv"
    table.write_text("date,dose\n24,0.046\n", "utf-8")
    forecast.write_text(
        "structure,scenario,observation,date,q0.05,q0.5,q0.95\nown,as fitted,dose,24,0.03,0.05,0.07\n", "utf-8"
    )
    said = cipark("score", forecast, table).output
    (mean,) = json.loads(cipark("score", forecast, table, "--json").stdout)["series"]["dose"]["scores"]["own"]["crps"]
    assert f"{mean:.{1 - math.floor(math.log10(mean))}f}" in said
    assert said.startswith("dose: all counts lie in 90% of the draws of 'own'.")
    assert "rival" not in said


def test_all_that_is_wrong_with_a_table_is_said_at_once(tmp_path: Path) -> None:
    table = tmp_path / "later.csv"
    table.write_text(
        "date,firms,use\n2020-12-31,five,fit\nsoon,5,fit\n2021-12-31,6,maybe\n2022-12-31,x,check\n", "utf-8"
    )
    with pytest.raises(CiparkError) as problem:
        read_counts([table], ["firms"], {})
    message = str(problem.value)
    assert all(part in message for part in ("row 2", "'five'", "row 3", "'soon'", "row 4", "'maybe'"))
    # a row that is only looked at is not read
    assert "'x'" not in message
    table.write_text("date,companies\n2020-12-31,5\n", "utf-8")
    with pytest.raises(CiparkError, match="a column of 'firms', or --column"):
        read_counts([table], ["firms"], {})
    assert read_counts([table], ["firms"], {"firms": "companies"})[0].values.tolist() == [5]


def run(*arguments: str) -> dict:
    result = cipark("score", *arguments, "--json", catch_exceptions=False)
    return json.loads(result.stdout)


def test_the_frozen_forecast_has_missed_by_its_own_page() -> None:
    """Numbers that another program made of the same file and counts."""
    tables = (DATA / "residents.csv", DATA / "operating.csv")
    facts = run(str(FROZEN), *tables, "--column", "working=operating")
    residents, working = (facts["series"][name] for name in ("residents", "working"))
    assert residents["observed"] == [68, 85, 99, 119, 142, 171]
    means = {name: round(entry["mean_crps"], 1) for name, entry in residents["scores"].items()}
    assert {name: means[name] for name in ("mixture", "none", "all", "two rates")} == {
        "mixture": 7.7, "none": 7.3, "all": 8.7, "two rates": 6.7,
    }  # fmt: skip
    mixture = residents["scores"]["mixture"]
    assert [round(value, 1) for value in mixture["crps"]] == [5.6, 5.5, 7.0, 7.0, 8.2, 12.7]
    assert [round(value, 2) for value in mixture["pit"]] == [0.13, 0.28, 0.31, 0.42, 0.53, 0.65]
    assert (mixture["inside_90"], mixture["inside_50"], round(mixture["energy"], 1)) == (6, 5, 23.0)
    assert round(mixture["rises"]["correlation"], 2) == -0.90
    assert working["observed"] == [37, 53]
    assert [round(value, 2) for value in working["scores"]["mixture"]["pit"]] == [0.28, 0.03]


def test_the_command_says_the_miss_first_and_refuses_what_it_cannot_read(tmp_path: Path) -> None:
    shown = cipark("score", FROZEN, DATA / "residents.csv")
    approved(shown.output)
    better = cipark("score", FROZEN, DATA / "residents.csv", "--of", "two rates")
    approved(better.output.splitlines()[0])
    for wrong, message in (
        (["--of", "mixtur"], "did you mean 'mixture'"),
        (["--scenario", "war"], "'war'"),
        (["--column", "residents"], "SERIES=COLUMN"),
    ):
        failed = cipark("score", FROZEN, DATA / "residents.csv", *wrong, code=2)
        assert message in failed.output
    file = tmp_path / "other.nc"
    xr.Dataset({"firms": (("draw", "age"), np.zeros((2, 2)))}).to_netcdf(file, engine="h5netcdf")
    assert "draw and year" in cipark("score", file, DATA / "residents.csv", code=2).output
