"""The park model: its checks, no corner that explodes, priors that leave room, and what can fall as it can rise."""

import functools

import numpy as np
import pytest
from model_corners import (
    Ranges,
    Runs,
    corners,
    hold_gains_that_may_be_absent,
    pairs_of_extremes,
    ranges_of,
    ranges_of_priors,
    sound,
)
from thorough import share

from calibration.inference.sample.densities import prior_draws
from calibration.study import STUDIES
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd.analysis.sensitivities.factors import constant_values
from cipark_sd.base.library import bundled
from cipark_sd.data.scenarios import Scenario
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Stock
from cipark_sd.simulations.ensembles import ensemble
from cipark_sd.simulations.simulation import simulate
from cipark_sd.verify.checks.file import read_checks
from cipark_sd.verify.checks.run import run_checks
from cipark_sd.verify.checks.structure import check_units

ZERO_AT_MODE = (
    "Capability Exponent",
    "Connectivity Scale",
    "Agglomeration Elasticity",
    "Reputation Strength",
    "Partner Gain",
    "Host Gain",
    "Owner Gain",
    "Push Gain",
    "Learning Per Entrant",
    "Return Gain",
)
SHOCKS = (
    "SW Pandemic",
    "SW Later Sanctions",
    "SW Closed Borders",
    "SW CMG Leaves",
    "SW Host Turns Away",
    "SW Framework Ends",
)


@pytest.fixture(scope="module")
def park() -> Model:
    return read_model(bundled())


def test_the_park_model_is_dimensionally_consistent_and_every_variable_has_units(park: Model) -> None:
    assert check_units(park) == ()


def test_pysimlin_finds_no_unit_that_is_wrong_either() -> None:
    import simlin

    assert [issue for issue in simlin.load(bundled()).check() if "unit" in issue.message] == []


def test_a_unit_that_is_wrong_in_the_park_model_is_found_in_its_place(park: Model) -> None:
    import dataclasses

    wrong = dataclasses.replace(park["Unit Land Cost"], units="MUSD")
    variables = tuple(wrong if variable.name == wrong.name else variable for variable in park.variables)
    found = {issue.variable for issue in check_units(dataclasses.replace(park, variables=variables))}
    assert found == {"Required Cash", "affordable land start", "infrastructure spending"}


@pytest.fixture(scope="module")
def study() -> CalibrationProblem:
    return read_problem(STUDIES / "great_stone")


@pytest.fixture(scope="module")
def ranges(park: Model) -> Ranges:
    return ranges_of(park)


def test_the_park_does_all_that_logic_accounting_and_physics_ask(park: Model) -> None:
    checks = read_checks(bundled("cipark.checks.toml"), park)
    outcomes = run_checks(park, checks, functools.partial(simulate, engine="native"), progress=lambda *_: None)
    assert [o.id for o in outcomes if o.status == "fail"] == []
    # RC18 is that no stock is negative, RC19 the halving of the step
    numbers = {f"RC{number:02}" for number in range(1, 37)} - {"RC18", "RC19"}
    assert numbers | {"time-step"} <= {o.id for o in outcomes}


def _largest(park: Model, runs: Runs) -> float:
    """The largest number of residents of runs whose stocks are all finite and not negative."""
    stocks = [variable.label for variable in park.variables if isinstance(variable, Stock)]
    found = sound(park, runs, stocks, "Total Residents", [2016, 2020, 2030])
    return float(found["total_residents"].values.max())


def test_no_corner_explodes_of_the_priors_or_of_all_ranges(
    park: Model, study: CalibrationProblem, ranges: Ranges
) -> None:
    assert len(ranges) > 250
    assert _largest(park, corners(ranges_of_priors(study))) < 5000
    _largest(park, corners(ranges))


def test_a_corner_without_first_order_control_would_explode(park: Model, ranges: Ranges) -> None:
    # a contact, a decision and an exit that take no time: each stock can lose more than it has within a step
    free = ("Minimum Contact Time", "Minimum Decision Time", "Minimum Exit Time")
    with pytest.raises(AssertionError):
        _largest(park, corners(ranges | dict.fromkeys(free, (0.0, 0.0))))


@pytest.mark.slow
def test_no_pair_of_extremes_explodes(park: Model, ranges: Ranges) -> None:
    for at_ends in pairs_of_extremes(park, ranges, every=share(12, 1)):
        _largest(park, at_ends)


def test_a_range_that_ends_where_the_park_explodes_is_met_by_the_pairs(park: Model, ranges: Ranges) -> None:
    # land that is built in no time: the end of one range, which every part of the pairs has
    at_low_ends = next(pairs_of_extremes(park, ranges | {"Land Build Time": (0.0, 2.0)}, every=12))
    with pytest.raises(AssertionError):
        _largest(park, at_low_ends)


def test_each_gain_may_be_absent_and_none_is_made_strong_by_its_prior(study: CalibrationProblem) -> None:
    hold_gains_that_may_be_absent(study, ZERO_AT_MODE)


def test_the_priors_middle_park_is_that_of_the_paper(park: Model, study: CalibrationProblem) -> None:
    """41 firms at the end of 2019, and more than nine parks of the prior in ten within a factor of three of it."""
    theta = prior_draws(study.space, 2000, np.random.default_rng(5))
    runs = {p.name: theta[:, i] for i, p in enumerate(study.space) if p.target == "model"}
    residents = ensemble(park, runs, save=["Total Residents"], times=[2020], workers=1)["total_residents"].values[:, 0]
    assert np.median(residents) == pytest.approx(41, rel=0.1)
    assert 0.9 < ((residents > 41 / 3) & (residents < 41 * 3)).mean() < 0.99


def test_constants_that_carry_a_claim_are_drawn(study: CalibrationProblem) -> None:
    drawn = {p.name for p in study.space}
    claims = {"Founding Capability", "Reform Weight", "Infrastructure Floor", "Base Exit Rate", "Lapse Rate"}
    assert drawn >= claims | set(ZERO_AT_MODE)


def test_values_of_the_file_are_the_middle_of_the_priors_where_nothing_is_fitted(
    park: Model, study: CalibrationProblem
) -> None:
    file = {name: value for c in park.constants for name, value in constant_values(park, c).items()}
    for parameter in study.space:
        if parameter.target == "model" and parameter.use == "PRI":
            assert file[parameter.name] == pytest.approx(parameter.median, rel=0.02, abs=1e-9), parameter.name


def test_no_shock_touches_what_came_before_and_each_one_acts(park: Model) -> None:
    base = simulate(park, Scenario("base", {}), save=["Total Residents"])["total_residents"]
    for name in SHOCKS:
        found = simulate(park, Scenario(name, {name: 1}), save=["Total Residents"])["total_residents"]
        assert np.array_equal(found.sel(time=slice(2010, 2020)), base.sel(time=slice(2010, 2020))), name
        assert not np.allclose(found.sel(time=2030), base.sel(time=2030), rtol=1e-4), name


def test_pysimlin_opens_the_file_in_the_other_language() -> None:
    """With a table by name this program ends the whole process: tables stand inline."""
    import simlin

    assert [issue for issue in simlin.load(bundled("cipark.xmile")).check() if "unit" in issue.message] == []
