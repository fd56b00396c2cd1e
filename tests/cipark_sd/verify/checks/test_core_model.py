"""The core model: its checks, no corner that explodes, and two files that are one model."""

import functools
import itertools
import re
from pathlib import Path

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

from calibration.study import STUDIES
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd.analysis.experiments.catalogue import read_catalogue
from cipark_sd.analysis.sensitivities.factors import constant_values
from cipark_sd.base.library import bundled
from cipark_sd.data.scenarios import Scenario
from cipark_sd.language.read.model_file import read_model
from cipark_sd.language.write.xmile import to_xmile
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Constant, Stock
from cipark_sd.simulations.ensembles import ensemble
from cipark_sd.simulations.simulation import simulate
from cipark_sd.verify.checks.file import read_checks
from cipark_sd.verify.checks.run import run_checks
from cipark_sd.verify.checks.structure import check_units

GAINS = ("Partner Gain", "Host Gain", "Reputation Gain", "Learning Gain", "Return Gain", "Leaving Response")
STOCKS = (
    "Potential Firms",
    "Firms In Talks",
    "Registered Firms",
    "Working Firms",
    "Developer Capability",
    "Partner Commitment",
    "Host Commitment",
)


@pytest.fixture(scope="module")
def core() -> Model:
    return read_model(bundled("core.mdl"))


@pytest.fixture(scope="module")
def study() -> CalibrationProblem:
    return read_problem(STUDIES / "great_stone_core")


@pytest.fixture(scope="module")
def ranges(core: Model) -> Ranges:
    return ranges_of(core)


def test_seven_stocks_act_and_two_only_keep_account(core: Model) -> None:
    stocks = {v.label for v in core.variables if isinstance(v, Stock)}
    assert stocks == {*STOCKS, "Total Entrants", "Kept Signal"}


def test_the_core_is_dimensionally_consistent_and_says_where_all_of_it_comes_from(core: Model) -> None:
    assert check_units(core) == ()
    control = {"INITIAL TIME", "FINAL TIME", "TIME STEP", "SAVEPER"}
    assert [v.label for v in core.variables if "Source: " not in v.doc and v.label not in control] == []
    assert all(v.units for v in core.variables)


def test_the_core_does_all_that_logic_accounting_and_physics_ask(core: Model) -> None:
    checks = read_checks(bundled("core.checks.toml"), core)
    outcomes = run_checks(core, checks, functools.partial(simulate, engine="native"), progress=lambda *_: None)
    assert [o.id for o in outcomes if o.status != "pass"] == []
    assert {"time-step", "firms", "LO4"} <= {o.id for o in outcomes}


def test_both_files_are_one_model(core: Model) -> None:
    version = re.compile(r'<product version="[^"]*"')
    text = bundled("core.xmile").read_text(encoding="utf-8")
    assert version.sub("", text) == version.sub("", to_xmile(core))
    other = read_model(bundled("core.xmile"))
    scenario = Scenario("all at once", {"Cut Date[Fame]": 2016, "Host Turning Date": 2020, "Partner Gain": -0.5})
    a, b = (simulate(m, scenario, save=[*STOCKS, "Residents By Origin"]) for m in (core, other))
    for name in a.data_vars:
        np.testing.assert_allclose(a[name].values, b[name].values, rtol=1e-12, atol=1e-12)


def _sound(core: Model, runs: Runs) -> None:
    found = sound(core, runs, STOCKS, "Residents", [2016, 2020, 2031])
    # no more firms than a full pool that asks all the time
    pool, time = (runs.get(name, np.array(default)) for name, default in (("Pool Size", 500), ("Contact Time", 0.25)))
    assert (found["residents"].values[:, -1] <= pool * (2031 - 2012) / time).all()


def test_no_corner_of_the_priors_explodes(core: Model, study: CalibrationProblem) -> None:
    _sound(core, corners(ranges_of_priors(study)))


def test_no_pair_of_extremes_explodes(core: Model, ranges: Ranges) -> None:
    runs = list(pairs_of_extremes(core, ranges))
    assert sum(len(r["Pool Size"]) for r in runs) > 4000
    for at_ends in runs:
        _sound(core, at_ends)


def test_corners_without_first_order_control_would_explode(core: Model, tmp_path: Path, ranges: Ranges) -> None:
    text = bundled("core.mdl").read_text(encoding="utf-8")
    planted = text.replace("/(1+Contact Time*Wished Contact Rate)", "")
    assert planted != text
    (tmp_path / "planted.mdl").write_text(planted, encoding="utf-8")
    runs = corners(ranges)
    _sound(core, runs)
    with pytest.raises(AssertionError):
        _sound(read_model(tmp_path / "planted.mdl"), runs)


def test_half_the_step_is_the_same_park_in_the_corners_of_the_priors(core: Model, study: CalibrationProblem) -> None:
    runs = corners(ranges_of_priors(study), 500)
    steps = (1 / 128, 1 / 256)
    a, b = (
        ensemble(core, runs, save=["Residents"], times=[2016, 2018, 2020, 2031], scenario=Scenario("", time_step=step))
        for step in steps
    )
    residents, finer = a["residents"].values, b["residents"].values
    assert (np.abs(residents - finer) / np.maximum(finer, 1)).max() < 0.02


def test_each_gain_may_be_absent_and_none_is_made_strong_by_its_prior(study: CalibrationProblem) -> None:
    hold_gains_that_may_be_absent(study, GAINS)
    assert {"Partner Gain", "Host Gain"} == {name for name in GAINS if _spans_zero(study, name)}


def _spans_zero(study: CalibrationProblem, name: str) -> bool:
    (parameter,) = (p for p in study.space if p.name == name)
    low, high = parameter.interval(0.9)
    return low < 0 < high and abs(low + high) < 1e-6


def test_values_of_the_file_are_the_middle_of_the_priors(core: Model, study: CalibrationProblem) -> None:
    """Gains whose sign is open stand at the middle of the paper's sign, all others at the median, as it is rounded."""
    file = {name: value for c in core.constants for name, value in constant_values(core, c).items()}
    for parameter in study.space:
        if parameter.target == "model" and parameter.name not in ("Partner Gain", "Host Gain"):
            assert file[parameter.name] == pytest.approx(parameter.median, rel=0.06), parameter.name
    assert file["Partner Gain"] == file["Host Gain"] == pytest.approx(0.6745 * 0.5, rel=0.06)


def test_the_priors_middle_park_is_that_of_the_paper(core: Model, study: CalibrationProblem) -> None:
    """41 firms at the end of 2019, and most parks of the prior within a factor of three of it."""
    from calibration.inference.sample.densities import prior_draws

    theta = prior_draws(study.space, 2000, np.random.default_rng(5))
    runs = {p.name: theta[:, i] for i, p in enumerate(study.space) if p.target == "model"}
    residents = ensemble(core, runs, save=["Residents"], times=[2020], workers=1)["residents"].values[:, 0]
    assert np.median(residents) == pytest.approx(41, rel=0.1)
    assert 0.75 < ((residents > 41 / 3) & (residents < 41 * 3)).mean() < 0.95
    assert isinstance(core["Pool Size"], Constant)


def test_no_expectation_asks_for_a_mere_sign_and_every_loop_and_actor_is_asked_about(core: Model) -> None:
    catalogue = read_catalogue(STUDIES / "great_stone_core" / "policies.toml", core)
    ids = {policy.id for policy in catalogue.policies}
    assert {f"R{k} out" for k in range(1, 7)} | {f"R{k} cut" for k in range(1, 6)} <= ids
    assert {"operator leaves", "host turns", "agreement ends", "all leave"} <= ids
    expected = [one for policy in catalogue.policies for one in policy.expected]
    assert len(expected) > 15
    assert all(one.factor <= 0.9 if one.how == "less" else one.factor >= 1.1 for one in expected)


def test_structures_are_nested_and_loops_enter_one_by_one(study: CalibrationProblem) -> None:
    """Each loop by itself, each left out, and a row in which each has one more than the one before."""
    names = [variant.id for variant in study.rivals]
    loops = {f"R{k}" for k in range(1, 7)}
    assert {"none", "all", *loops, *(f"all but {loop}" for loop in loops)} <= set(names)
    elements = {"R1": "partner", "R2": "host", "R3": "fame", "R4": "practice", "R5": "owners"}
    sets = {v.id: dict(v.scenario.overrides) for v in study.rivals}

    def on(name: str) -> set[str]:
        off = sets[name]
        out = {"R6"} if off.get("sw_leaving_response") == 0 else set()
        out |= set(elements) if off.get("loop_on") == 0 else {k for k, e in elements.items() if f"loop_on[{e}]" in off}
        return loops - out

    row = ("none", "R3", "R3 R4", "R3 R4 R5", "R3 R4 R5 R1", "all but R6", "all")
    assert [len(on(name)) for name in row] == list(range(7))
    assert all(on(a) < on(b) for a, b in itertools.pairwise(row))
    assert all(on(loop) == {loop} and on(f"all but {loop}") == loops - {loop} for loop in loops)
