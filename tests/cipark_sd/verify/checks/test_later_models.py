"""The models of the counts to January 2026: what logic asks of the core, and in both land that is finite and built."""

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from model_corners import corners, ranges_of_priors

from calibration.study import STUDIES
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd.base.library import bundled
from cipark_sd.data.scenarios import Scenario
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.variables import Stock
from cipark_sd.simulations.ensembles import ensemble
from cipark_sd.simulations.simulation import simulate
from cipark_sd.verify.checks.file import read_checks
from cipark_sd.verify.checks.run import run_checks

#: Serviced land and residents; what makes firms come fast, and what takes the limit away.
STUDIED = {
    "great_stone_later": (
        ("Serviced Area", "Residents"),
        {"Reference Entry": 200, "Land Per Firm": 0.05},
        {"On[Site]": 0},
    ),
    "great_stone_full_later": (
        ("Serviced Land", "Total Residents"),
        {"Pool Scale": 5, "Approach Hazard": 1, "Land Per Firm": 0.05},
        {"SW Plot Limit": 0},
    ),
}
#: Hectares in January 2026 (S55), in km2.
BUILT = 8.5


@pytest.fixture(scope="module", params=STUDIED)
def study(request: pytest.FixtureRequest) -> CalibrationProblem:
    return read_problem(STUDIES / str(request.param))


def _column(label: str) -> str:
    return label.lower().replace(" ", "_")


def test_the_core_does_all_that_logic_accounting_and_physics_ask() -> None:
    model = read_model(bundled("core_later.mdl"))
    checks = read_checks(bundled("core_later.checks.toml"), model)
    outcomes = run_checks(model, checks, functools.partial(simulate, engine="native"), progress=lambda *_: None)
    assert [o.id for o in outcomes if o.status == "fail"] == []
    assert {"residents", "PH1", "AC2", *(f"R{loop}" for loop in range(1, 8))} <= {o.id for o in outcomes}


def test_the_second_stage_is_not_built_unless_it_is_decided(study: CalibrationProblem) -> None:
    land, *_ = STUDIED[study.folder.name][0]
    begun = {"Stage Two Date": 2026} if study.folder.name == "great_stone_later" else {"Phase Two Date": 2020.2}
    base, more = (
        simulate(study.model, study.scenario | Scenario("", {**sets}, final_time=2030.0), save=[land])
        for sets in ({}, begun)
    )
    assert float(base[_column(land)].sel(time=2026, method="nearest")) == pytest.approx(BUILT, abs=0.15)
    assert float(base[_column(land)][-1]) == pytest.approx(BUILT, abs=0.15)
    assert float(more[_column(land)][-1]) > BUILT + 2


def test_nobody_registers_without_a_plot(study: CalibrationProblem) -> None:
    """Many would come; what they hold is set against what is serviced."""
    (land, residents), rush, unbound = STUDIED[study.folder.name]
    held = {}
    for limit, sets in (("bound", rush), ("unbound", rush | unbound)):
        run = simulate(study.model, study.scenario | Scenario("", sets, final_time=2030.0), save=[land, residents])
        firms, area = (float(run[_column(name)][-1]) for name in (residents, land))
        held[limit] = rush["Land Per Firm"] * firms / area
    assert 0.9 < held["bound"] <= 1.05
    assert held["unbound"] > 1.5


@pytest.mark.parametrize(
    ("limit", "kept"),
    [("1-SW Plot Limit*(1-", True), ("1-SW Plot Limit*Infrastructure Adequacy*(1-", False)],
    ids=["as it is", "as far as the site is ready"],
)
def test_plots_bind_the_full_model_before_the_site_is_ready_and_leak_nothing(
    limit: str, kept: bool, tmp_path: Path
) -> None:
    text = bundled("cipark.mdl").read_text(encoding="utf-8")
    assert "1-SW Plot Limit*(1-" in text
    (tmp_path / "m.mdl").write_text(text.replace("1-SW Plot Limit*(1-", limit), encoding="utf-8")
    model = read_model(tmp_path / "m.mdl")
    checks, by = read_checks(bundled("cipark.checks.toml"), model), functools.partial(simulate, engine="native")
    outcomes = run_checks(model, checks, by, only=["RC40"], progress=lambda *_: None)
    assert {o.id: o.status == "pass" for o in outcomes}["RC40"] == kept


def test_rules_are_not_lobbied_for_as_the_model_is_shipped() -> None:
    """A gain of 0 leaves every bit: the factor is 1 whatever the capability. RC42 has the other side."""
    model = read_model(bundled("cipark.mdl"))
    of = [simulate(model, {"Lobbying Gain": gain}, save=["Lobbied Rules"])["lobbied_rules"].values for gain in (0, 0.1)]
    assert (of[0] == 1.0).all()
    assert (of[1] < 1.0).any()


def test_no_corner_of_the_priors_explodes(study: CalibrationProblem) -> None:
    (land, residents), *_ = STUDIED[study.folder.name]
    runs = corners(ranges_of_priors(study), 600)
    stocks = [v.label for v in study.model.variables if isinstance(v, Stock)]
    scenario, times = study.scenario | Scenario("", final_time=2031.0), [2016, 2020, 2026, 2031]
    save = [*stocks, land, residents]
    with np.errstate(all="ignore"):
        found = ensemble(study.model, runs, save=save, times=times, scenario=scenario, failures="leave")
    for name in found.data_vars:
        assert np.isfinite(found[name].values).all(), name
    firms = found[_column(residents)].values
    assert firms.min() >= -1e-9
    if study.model.name == "core_later":
        assert (runs["Land Per Firm"][:, None] * firms <= found[_column(land)].values + 2e-6).all()


def test_without_the_least_time_of_a_plot_corners_would_explode(tmp_path: Path) -> None:
    planted = (
        bundled("core_later.mdl").read_text(encoding="utf-8").replace("asking[Origin]*Plots Suffice", "asking[Origin]")
    )
    (tmp_path / "planted.mdl").write_text(planted, encoding="utf-8")
    study = replace(read_problem(STUDIES / "great_stone_later"), model=read_model(tmp_path / "planted.mdl"))
    with pytest.raises(AssertionError):
        test_no_corner_of_the_priors_explodes(study)
