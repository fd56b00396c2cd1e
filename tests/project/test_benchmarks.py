"""The benchmark scripts run, and the large model gives the same on two engines."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from places import ROOT
from thorough import THOROUGH

from cipark_sd.data.scenarios import Scenario
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.variables import Constant, Lookup
from cipark_sd.simulations.simulation import simulate

BENCHMARKS = ROOT / "benchmarks"
SCRIPTS = (
    "speed",
    "large",
    "gradient",
    "self_test",
    "new_study_coverage",
    "new_study_draws",
    "samplers",
)
#: Those that the suite runs; all of them with ``CIPARK_THOROUGH=1``, and mypy holds all of them to the packages.
QUICKEST = ("large",)


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS if THOROUGH else QUICKEST)
def test_benchmark_script_runs_in_its_quick_mode(script: str, tmp_path: Path) -> None:
    if script == "speed" and shutil.which("g++") is None:
        pytest.fail("the benchmark against C needs g++")
    made = subprocess.run(
        [sys.executable, str(BENCHMARKS / f"{script}.py"), "--quick"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    assert any(word in made.stdout for word in ("ratio", "goal", "differs", "wrong", "ranks"))


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_benchmark_script_is_in_the_list(script: str) -> None:
    assert f"`{script}.py`" in (BENCHMARKS / "README.md").read_text(encoding="utf-8")


def test_a_side_ten_times_below_its_bound_ends_a_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from measure import Time, refuse_nonsense

    refuse_nonsense({"ours": Time(1.0, 1.0), "C": Time(9.0, 9.0)}, "ours", "C")
    with pytest.raises(SystemExit, match="ours cannot be 11 times as fast as C"):
        refuse_nonsense({"ours": Time(1.0, 1.0), "C": Time(11.0, 11.0)}, "ours", "C")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["world3", "power"])
def test_numpy_engine_gives_the_native_bits_on(name: str) -> None:
    model = read_model(BENCHMARKS / "models" / f"{name}.mdl")
    save = [v.name for v in model.variables if not isinstance(v, Constant | Lookup)][:40]
    # a fifth of the power system's days
    span = Scenario("", final_time=60.0) if name == "power" and not THOROUGH else Scenario("")
    native, numpy = (simulate(model, span, save=save, engine=engine) for engine in ("native", "numpy"))
    for variable in save:
        assert np.array_equal(native[variable], numpy[variable]), variable


@pytest.mark.parametrize("name", ["world3", "power"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_pysimlin_agrees_on(name: str) -> None:
    import simlin

    model = read_model(BENCHMARKS / "models" / f"{name}.mdl")
    theirs = simlin.load(str(BENCHMARKS / "models" / f"{name}.mdl")).run(analyze_loops=False).results
    save = [v.name for v in model.variables if not isinstance(v, Constant | Lookup) and v.name in theirs]
    own = simulate(model, save=save, engine="native")
    assert len(save) > 25
    for variable in save:
        values = own[variable].values
        # 2,400 steps of sums that are taken in another order
        assert np.abs(values - theirs[variable].to_numpy()).max() <= 1e-12 * np.abs(values).max() + 1e-300, variable


def test_world3_standard_run_overshoots_and_collapses() -> None:
    run = simulate(
        read_model(BENCHMARKS / "models" / "world3.mdl"), save=["population", "food_per_capita"], engine="native"
    )
    people = run["population"]
    # Dynamics of Growth in a Finite World, standard run: 1.6 thousand million people in 1900, a peak of 7 before 2050
    assert float(people.sel(time=1900)) == 1.6e9
    assert 6.8e9 < float(people.max()) < 7.3e9
    assert 2025 < float(people.idxmax()) < 2050
    assert float(people.sel(time=2100)) < 0.6 * float(people.max())


def test_derivatives_of_the_park_model_are_numbers_where_a_run_starts_from_nothing() -> None:
    from value_and_gradient import value_and_gradient

    from cipark_sd.base.library import bundled

    # capability^exponent and firms^elasticity begin at a base of 0
    at = {"Reputation Strength": 0.7, "Agglomeration Elasticity": 0.2}
    _, slopes = value_and_gradient(read_model(bundled()), at, {"total_operating": 1.0}, save=["Total Operating"])
    assert np.isfinite(slopes["gradient"].values).all()
    assert (slopes["gradient"].values != 0).all()
