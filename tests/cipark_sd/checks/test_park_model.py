"""The park model: its checks, no corner that explodes, priors that leave room, and what can fall as it can rise."""

import functools
import itertools

import numpy as np
import pytest

from calibration.sampling.free_density import prior_draws
from calibration.study.library import STUDIES
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd.checks.file import read_checks
from cipark_sd.checks.run import run_checks
from cipark_sd.ensembles import ensemble
from cipark_sd.frontends.model_file import read_model
from cipark_sd.library import bundled
from cipark_sd.model.model import Model
from cipark_sd.model.unit_check import check_units
from cipark_sd.model.variables import Stock
from cipark_sd.scenarios import Scenario
from cipark_sd.sensitivities.factors import constant_values
from cipark_sd.simulation import simulate

CORNERS = 3000
Ranges = dict[str, tuple[float, float]]
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
    """Each number of the model with its range, switches and dates included."""
    return {
        name: (low, high)
        for constant in park.constants
        for low, high in [constant.limits]
        if low is not None and high is not None
        for name in constant_values(park, constant)
    }


def test_the_park_does_all_that_logic_accounting_and_physics_ask(park: Model) -> None:
    checks = read_checks(bundled("cipark.checks.toml"), park)
    outcomes = run_checks(park, checks, functools.partial(simulate, engine="native"), progress=lambda *_: None)
    assert [o.id for o in outcomes if o.status == "fail"] == []
    # RC18 is that no stock is negative, RC19 the halving of the step
    numbers = {f"RC{number:02}" for number in range(1, 37)} - {"RC18", "RC19"}
    assert numbers | {"time-step"} <= {o.id for o in outcomes}


def _sound(park: Model, runs: dict[str, np.ndarray]) -> float:
    """Holds all stocks of the runs finite and not negative; the largest number of residents."""
    stocks = [variable.label for variable in park.variables if isinstance(variable, Stock)]
    with np.errstate(all="ignore"):
        found = ensemble(park, runs, save=[*stocks, "Total Residents"], times=[2016, 2020, 2030], failures="leave")
    for name in found.data_vars:
        values = found[name].values
        assert np.isfinite(values).all(), name
        assert values.min() >= -1e-9, name
    return float(found["total_residents"].values.max())


def _corners(ranges: Ranges) -> dict[str, np.ndarray]:
    sides = np.random.default_rng(7).integers(2, size=(CORNERS, len(ranges)))
    return {name: np.take(ends, side) for (name, ends), side in zip(ranges.items(), sides.T, strict=True)}


def test_no_corner_explodes_of_the_priors_or_of_all_ranges(
    park: Model, study: CalibrationProblem, ranges: Ranges
) -> None:
    assert len(ranges) > 250
    priors = {p.name: (p.lower, p.upper) for p in study.space if p.target == "model"}
    assert _sound(park, _corners(priors)) < 5000
    _sound(park, _corners(ranges))


def test_a_corner_without_first_order_control_would_explode(park: Model, ranges: Ranges) -> None:
    # a contact, a decision and an exit that take no time: each stock can lose more than it has within a step
    free = ("Minimum Contact Time", "Minimum Decision Time", "Minimum Exit Time")
    with pytest.raises(AssertionError):
        _sound(park, _corners(ranges | dict.fromkeys(free, (0.0, 0.0))))


def test_no_pair_of_extremes_explodes(park: Model, ranges: Ranges) -> None:
    values = {n: v for c in park.constants for n, v in constant_values(park, c).items() if n in ranges}
    names = list(values)
    base = np.array([values[name] for name in names])
    pairs = np.array(list(itertools.combinations(range(len(names)), 2)))
    ends = np.array([ranges[name] for name in names])
    for a, b in itertools.product((0, 1), repeat=2):
        rows = np.tile(base, (len(pairs), 1))
        for column, side in ((0, a), (1, b)):
            rows[np.arange(len(pairs)), pairs[:, column]] = ends[pairs[:, column], side]
        _sound(park, dict(zip(names, rows.T, strict=True)))


def test_each_gain_may_be_absent_and_none_is_made_strong_by_its_prior(study: CalibrationProblem) -> None:
    """Of each gain the prior is nowhere denser than at zero, and a tenth of its mass is near there."""
    for name in ZERO_AT_MODE:
        (parameter,) = (p for p in study.space if p.name == name)
        grid = np.linspace(parameter.lower, parameter.upper, 201)
        logs = np.array([float(parameter.distribution.log_density(np.array(x))) for x in (*grid, 0.0)])
        assert logs[-1] >= np.nanmax(logs[:-1]) - 1e-9, name
        draws = parameter.distribution.quantile(np.linspace(0.0005, 0.9995, 1000))
        assert (np.abs(draws) < np.quantile(np.abs(draws), 0.95) / 5).mean() > 0.1, name


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
