"""The later years: a forecast frozen once, pages of kept results, and a study in which the rival is nested."""

import hashlib
import itertools
import json
import math
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from places import ROOT

from calibration.assess.forecast_score import Counts
from calibration.inference.sample.densities import prior_draws
from calibration.study import STUDIES
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd import simulate
from cipark_sd.analysis.experiments.catalogue import read_catalogue
from cipark_sd.base.library import bundled
from cipark_sd.data.scenarios import Scenario
from cipark_sd.language.read.model_file import read_model

sys.path.insert(0, str(ROOT / "tools"))

import later_draws
import later_full
import later_pages
import later_results

STUDY = STUDIES / "great_stone_later"
FILE = STUDY / "forecast_2026_2032.nc"


@pytest.fixture(scope="module")
def study() -> CalibrationProblem:
    return read_problem(STUDY)


@pytest.fixture(scope="module")
def frozen() -> xr.Dataset:
    with xr.open_dataset(FILE, engine="h5netcdf") as content:
        return content.load()


def test_the_pages_are_those_of_the_kept_results_and_the_frozen_file() -> None:
    score, fit, loops, ahead, full, power, parks = (
        later_pages.kept_numbers(name)
        for name in ("later_score", "later_fit", "later_loops", "later_next", "later_full", "later_power", "parks")
    )
    for path, text in (
        (ROOT / "docs" / "results" / "score.md", later_pages.score_page(score)),
        (
            ROOT / "docs" / "results" / "later_years.md",
            later_pages.later_years_page(fit, loops, ahead, full, score, power),
        ),
        (ROOT / "docs" / "results" / "parks.md", later_pages.parks_page(parks)),
        (STUDY / "forecast.md", later_pages.forecast_page()),
    ):
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: python tools/later_pages.py"
    # another number gives another page
    score["series"]["residents"]["scores"]["two rates"]["mean_crps"] = 9.9
    assert "against 7.7" in later_pages.score_page(score)
    assert "9.9 against" in later_pages.score_page(score)


def test_what_the_counts_could_not_have_said_is_so_by_the_kept_result() -> None:
    power = later_pages.kept_numbers("later_power")
    loops = [power["rivals"][name] for name in later_pages.LOOPS]
    # a strong loop is missed in most parks, the step of 2017 is not, and counts of the park do not part its factors
    assert max(row["shown"] / row["sets"] for row in loops) < 0.5
    reform = power["rivals"]["none, no reform"]
    assert reform["ruled_out"] > 0.9 * reform["sets"]
    gains = ("Gain[Partner]", "Gain[Host]", "Gain[Owners]")
    register, index = (power["value"][data] for data in ("register", "commitment"))
    assert all(index[gain] < 0.5 < register[gain] for gain in gains)
    assert power["value"]["capability"]["Learning Gain"] < 0.5 < power["value"]["commitment"]["Learning Gain"]
    # another count gives another sentence
    power["rivals"]["R3"]["shown"] = 31
    assert "R3 in 31" in later_pages._strong_loops(power)


def test_the_widths_are_those_of_an_independent_program() -> None:
    """Linearised by a separate NumPy program of the model at one point; here they are means over draws of the fit."""
    value = later_pages.kept_numbers("later_power")["value"]
    names = ("Gain[Partner]", "Gain[Host]", "Gain[Owners]", "Reputation Gain", "Learning Gain", "Lobbying Gain")
    for data, widths in (
        ("these data", (0.98, 0.94, 0.72, 0.67, 0.94, 1.00)),
        ("register", (0.97, 0.94, 0.71, 0.66, 0.93, 0.99)),
        ("six more years", (0.97, 0.89, 0.63, 0.64, 0.93, 0.99)),
        ("ten parks", (0.92, 0.90, 0.48, 0.44, 0.78, 0.95)),
        ("commitment", (0.34, 0.29, 0.08, 0.62, 0.93, 0.99)),
        ("capability", (0.28, 0.29, 0.07, 0.58, 0.20, 0.99)),
    ):
        found = [value[data][name] for name in names]
        assert found == pytest.approx(widths, abs=0.1), data


def test_the_words_beside_the_decisions_are_those_of_the_kept_result() -> None:
    ahead = later_pages.kept_numbers("later_next")
    rows = {row["title"]: row for row in ahead["rows"]}
    assert ahead["title"].startswith("No option has a 90% chance of 5% more firms at work; closest: Lighter admission")
    assert max(row["worst"] for row in rows.values()) < 0.9
    assert later_pages._lowest(ahead).startswith("Fewest firms work with “Plots taken back” (after three years")
    # another table gives another sentence
    changed = [row | {"working": [-90, -80, -70]} if row["title"] == "Stage two now" else row for row in ahead["rows"]]
    assert later_pages._lowest({**ahead, "rows": changed}).startswith("Fewest firms work with “Stage two now” (")
    assert later_pages._lowest({**ahead, "rows": [row | {"working": [0, 0, 0]} for row in ahead["rows"]]}) == ""


def test_what_the_page_says_of_the_full_model_is_what_was_found() -> None:
    full, fit, score = (later_pages.kept_numbers(name) for name in ("later_full", "later_fit", "later_score"))
    crps = {name: entry["mean_crps"] for name, entry in score["series"]["residents"]["scores"].items()}
    new, rival = (f"{name}, new study, from 2019" for name in ("some never start", "two rates"))
    assert crps[new] < crps[rival] < crps["full model of today"]
    assert score["series"]["residents"]["full"]["gap"] == pytest.approx(crps[new] - crps[rival])
    residents, working = (score["series"][series]["full"] for series in ("residents", "working"))
    assert residents["gap"] < 0 < working["gap"]
    assert min(residents["if_rival"], working["if_forecast"]) > 0.1, "neither gap is more than chance"
    against, alone = later_pages._full_differences(fit, full), later_pages._alone(full)
    assert abs(against["two rates"]) < 0.5, "as well as two rates, and no better"
    assert 0 < against["fame"] < alone["R5b, R10"] < against["no loop"] < math.log(10)
    assert max(alone, key=lambda name: alone[name]) == "R5b, R10"
    assert [row["sampler"] for row in full["structures"].values()] == ["hmc", *["importance"] * 8]
    assert all(row["converged"] for row in (*full["structures"].values(), *full["spans"].values()))


def test_all_loops_have_one_number_from_two_routes() -> None:
    together = later_pages.all_loops(*map(later_pages.kept_numbers, ("later_fit", "later_loops")))
    assert together["second"] < together["number"] < together["bridge"] < 0
    # of two routes far apart the error is half of what they differ by; of two that agree it is that of the second
    fit = {"structures": {"none": {"y2026": [-5.0]}, "all": {"y2026": [-5.5]}}}
    routes = {"second_route": {"all": [-1.5, 0.1]}, "bridges": [-0.4, -0.6]}
    assert later_pages.all_loops(fit, routes) == pytest.approx(
        {"number": -1, "error": 0.5, "bridge": -0.5, "second": -1.5}
    )
    routes["second_route"]["all"][0] = -0.5
    assert later_pages.all_loops(fit, routes)["error"] == pytest.approx(0.1)


def test_a_mean_of_ratios_is_not_that_of_their_logarithms() -> None:
    """Lognormal ratios: the logarithm of their mean lies half their variance above the mean of the logarithms."""
    logs = np.random.default_rng(1).normal(-1.0, 0.3, 200_000)
    number, error = later_full.mean_of_ratios(logs)
    assert number == pytest.approx(-1 + 0.3**2 / 2, abs=0.003)
    assert error == pytest.approx(math.sqrt(math.expm1(0.3**2) / 200_000), rel=0.02)


def test_the_prior_of_each_loop_reaches_from_nothing_to_what_matters(study: CalibrationProblem) -> None:
    """In 200 draws of the priors: more than 5 % of the residents of 2030 in some of them, less in others."""
    theta = prior_draws(study.space, 200, np.random.default_rng(1))
    every = later_draws.Fit(study, theta, (0.0, 0.0), None, study.space.names)
    assert all(0.1 < share < 0.9 for share in later_results.matters(every, theta).values())
    # a prior that is all but zero would never matter
    theta[:, [study.space.names.index(gain) for gain in later_results.LOOPS.values()]] *= 0.01
    assert max(later_results.matters(every, theta).values()) < 0.1


def test_the_forecast_is_made_once_and_knows_nothing_later(frozen: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = hashlib.sha256(FILE.read_bytes()).hexdigest()
    assert digest in (STUDY / "forecast.md").read_text(encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["later_results.py", str(FILE)])
    with pytest.raises(SystemExit, match="made once"):
        later_results.main()
    for name in json.loads(frozen.attrs["data_digests"]):
        rows = pd.read_csv(STUDY / "data" / name, dtype=str)
        # a target is dated by the year that it is for
        known = rows[~rows["variable"].str.contains("target")] if "variable" in rows else rows
        for column in {"date", "end"} & set(rows.columns):
            assert known[column].str[:7].max() <= "2026-01", name


def test_the_rival_of_the_counts_alone_has_the_rate_that_was_seen_and_its_noise() -> None:
    """52 in three years: mean 52/3 a year; after t years the variance is (1 + d) mean t (1 + t / 3)."""
    dates = tuple(f"{year}-12-31" for year in range(2016, 2021))
    seen = Counts("firms", dates, np.arange(2017.0, 2022.0), np.array([8.0, 22.0, 41.0, 60.0, 68.0]))
    ahead = later_results.drift(seen, 2017.0, 2021.0, [2021.0, 2022.0], 1.5, np.random.default_rng(3), n=40_000)
    means, variances = ahead.paths.mean(axis=0) - 60, ahead.paths.var(axis=0)
    np.testing.assert_allclose(means, [52 / 3, 104 / 3], rtol=0.01)
    expected = [2.5 * 52 / 3 * t * (1 + t / 3) for t in (1, 2)]
    np.testing.assert_allclose(variances, expected, rtol=0.04)


def test_its_draws_hang_together(frozen: xr.Dataset) -> None:
    assert frozen["year"].values.tolist() == list(range(2026, 2033))
    assert bool((frozen["working"] <= frozen["residents"]).all())
    share = frozen["working"] / np.maximum(frozen["residents"], 1)
    np.testing.assert_allclose(frozen["share"], share, atol=1e-6)
    evidence = json.loads(frozen.attrs["log_evidence"])
    weights = np.exp(np.array(list(evidence.values())) - max(evidence.values()))
    np.testing.assert_allclose(frozen["weight"].sel(structure=list(evidence)), weights / weights.sum(), rtol=1e-12)
    mixed, parts = frozen["residents"].sel(structure="mixture"), frozen["residents"].sel(structure=list(evidence))
    assert bool((mixed == parts).all("year").any("structure").all())


def test_counts_ahead_are_the_last_ones_and_what_the_noise_adds(
    study: CalibrationProblem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mean and variance by hand: 10 entries and 4 starts a year, 2 exits, one of them of a firm at work."""
    names, n = study.space.names, 40_000
    theta = np.zeros((n, len(names)))
    theta[:, [names.index("entry dispersion"), names.index("start dispersion")]] = 1.5, 0.5
    fit = later_draws.Fit(study, theta, (0.0, 0.0), 0.0, names)
    growth = {"Total Registered": 10, "Firms Left": 2, "Total Started": 4, "Working Firms": 3, "Residents": 8}

    def straight(fit: object, theta: np.ndarray, times: list[float], scenario: object) -> dict[str, np.ndarray]:
        return {name: np.tile(rate * np.array(times), (len(theta), 1)) for name, rate in growth.items()}

    monkeypatch.setattr(later_results, "runs", straight)
    rng = np.random.default_rng(4)
    residents, working = later_results.ahead(fit, theta, (2026.0, 2025.0), (171, (53, 53)), [2027.0, 2028.0], rng)
    assert residents.mean(axis=0) == pytest.approx([179, 187], abs=0.2)
    assert residents[:, 1].var() == pytest.approx(20 * 2.5 + 4, rel=0.04)
    # two years of starts lie between the report and the first date
    assert working.mean(axis=0) == pytest.approx([59, 62], abs=0.1)
    assert working[:, 0].var() == pytest.approx(8 * 1.5 + 2, rel=0.04)


def test_structures_of_the_kept_result_are_those_of_the_study(study: CalibrationProblem) -> None:
    fit = later_pages.kept_numbers("later_fit")
    assert tuple(fit["structures"]) == later_results.COMPARED["y2026"]
    assert {name: row["why"] for name, row in fit["structures"].items()}.items() <= {
        variant.id: variant.title for variant in study.rivals
    }.items()
    differences = later_pages.Differences(
        {"a": {"y2019": [1.0], "y2026": [5.0]}, "b": {"y2019": [0.5], "y2026": [7.0]}}
    )
    assert (differences["a less b"], differences["a less b to 2019"]) == (-2.0, 0.5)


def test_only_what_moves_the_rows_is_sampled(study: CalibrationProblem) -> None:
    from calibration.assess.rivals import with_variant

    rival = next(variant for variant in study.rivals if variant.id == "two rates")
    whole = later_draws.up_to(with_variant(study, rival), later_draws.SPANS["y2026"])
    assert set(later_draws.acting(whole).space.names) == {
        "Reference Entry", "Origin Weight[Chinese]", "Origin Weight[Belarusian]", "Reform Effect", "Pandemic Loss",
        "Serious Share", "Start Time", "Leaving Rate", "entry dispersion", "start dispersion",
    }  # fmt: skip
    early = later_draws.up_to(whole, later_draws.SPANS["y2019"])
    assert "Pandemic Loss" not in later_draws.acting(early).space.names


def test_the_rival_nested_in_the_model_is_its_closed_form() -> None:
    """Entry at one rate, of which a part is serious; all leave at rate m, serious ones start at rate s."""
    model = read_model(bundled("core_later.mdl"))
    rate, serious, m, s = 12.0, 0.6, 0.05, 0.4
    constants = {"On": 0, "On[NeverStart]": 1, "Reference Entry": rate, "Serious Share": serious, "Leaving Rate": m}
    run = simulate(model, {**constants, "Start Time": 1 / s}, save=["Residents", "Working Firms", "Firms Left"])
    passed = 2020.0 - math.ceil(2012.43 * 64) / 64
    at = run.sel(time=2020.0)
    residents = rate / m * (1 - math.exp(-m * passed))
    waiting = serious * rate / (m + s) * (1 - math.exp(-(m + s) * passed))
    assert float(at["residents"]) == pytest.approx(residents, rel=2e-3)
    assert float(at["working_firms"]) == pytest.approx(serious * residents - waiting, rel=4e-3)
    assert float(at["firms_left"]) == pytest.approx(rate * passed - residents, rel=5e-3)


def test_plots_are_taken_back_as_a_cohort_in_a_steady_state_would_lose_them() -> None:
    """Of firms that start at rate s, exp(-s T) have not started after the time of grace T; idle ones all pass it."""
    model = read_model(bundled("core_later.mdl"))
    constants = {"On": 0, "On[NeverStart]": 1, "Reclaim Date": 2012, "Leaving Rate": 0.002, "Start Time": 2.5}
    save = ["starting", "leaving", "Firms"]
    run = simulate(model, {**constants, "Serious Share": 0.6, "Grace Time": 3}, save=save).isel(time=-1)
    serious = run["leaving"].sel(stage="Serious").sum() - 0.002 * run["firms"].sel(stage="Serious").sum()
    reclaimed = float(serious / (serious + run["starting"].sum()))
    assert reclaimed == pytest.approx(math.exp(-3 / 2.5), rel=5e-3)
    idle = run["firms"].sel(stage="Idle").sum()
    assert float(run["leaving"].sel(stage="Idle").sum() / idle) == pytest.approx(1 / 3 + 0.002, rel=1e-9)


def test_each_lever_of_the_decisions_does_nothing_at_its_base_and_something_elsewhere(
    study: CalibrationProblem,
) -> None:
    catalogue = read_catalogue(STUDY / "policies.toml", study.model)

    def working(sets: dict[str, float]) -> np.ndarray:
        scenario = catalogue.settings | Scenario("", sets, final_time=2036.0)
        return simulate(study.model, scenario, save=["Working Firms"])["working_firms"].values

    plain = simulate(study.model, Scenario("", final_time=2036.0), save=["Working Firms"])["working_firms"].values
    np.testing.assert_array_equal(working({}), plain)
    for lever in catalogue.levers:
        (name,) = lever.names
        assert lever.base is not None
        beside = {"Reclaim Date": 2026.25} if name == "Grace Time" else {}
        moved = working({**beside, name: lever.low})
        np.testing.assert_array_equal(working({**beside, name: lever.base}), working(beside))
        assert abs(moved[-1] - working(beside)[-1]) > 0.5, name


def test_no_row_stands_twice_in_the_likelihood(study: CalibrationProblem) -> None:
    """Windows of net and of gross counts tile the years without an overlap, and add up to the residents."""
    windows = [
        (term.quantity.start, term.quantity.end, observation.name, term.lower)
        for observation in study.observations
        if observation.name in ("net entry", "registrations")
        for term in observation.terms
        if term.use == "fit"
    ]
    windows.sort()
    for before, after in itertools.pairwise(windows):
        assert before[1] <= after[0] + 1e-9
    exits = {o.name: o for o in study.observations}["exits"]
    net = [low for *_, name, low in windows if name == "net entry"]
    # two firms' doubt about two year ends is in the intervals; the middle numbers add up to the last count
    rows = pd.read_csv(STUDY / "data" / "net_windows.csv")["net"].sum()
    gross = sum(low for *_, name, low in windows if name == "registrations")
    lost = pd.read_csv(STUDY / "data" / "exits.csv")["exits"].sum()
    assert len(net) == 18
    assert len(exits.terms) == 4
    assert rows + gross - lost == 171


def test_a_part_that_is_left_out_leaves_its_constants_without_effect(study: CalibrationProblem) -> None:
    """Both sides: with the part its constant moves the residents."""
    model = study.model
    for part, constants in (("Shock", {"Shock Effect": -1}), ("LightDecree", {"Light Decree Effect": 1})):
        for on in (0, 1):
            base = simulate(model, {f"On[{part}]": on}, save=["Residents"])["residents"].values[-1]
            moved = simulate(model, {f"On[{part}]": on, **constants}, save=["Residents"])["residents"].values[-1]
            assert (moved != base) == bool(on)


def test_the_first_study_and_its_forecast_are_untouched() -> None:
    score = later_pages.kept_numbers("later_score")
    assert score["sha256"] == hashlib.sha256(later_results.FROZEN.read_bytes()).hexdigest()
    core = read_problem(STUDIES / "great_stone_core")
    assert replace(core, title="").model.name == "core"
    assert max(q.end for t in core.fitted_terms for q in t.quantities) <= 2020.05
