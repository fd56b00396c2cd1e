"""The method gear: closed forms, published answers, the other methods with short steps, and what it refuses."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import cipark

import cipark_sd as cp
from cipark_sd.base.errors import UnsupportedFeature
from cipark_sd.engines.native.kernel import kernel
from cipark_sd.engines.plan import plan
from cipark_sd.engines.programs import program_for
from cipark_sd.verify.checks.settling import fastest_state

Write = Callable[..., Path]
ROBERTSON = """
A = INTEG(-0.04 * A + 10000 * B * D, 1) ~~|
B = INTEG(0.04 * A - 10000 * B * D - 3e+07 * B * B, 0) ~~|
D = INTEG(3e+07 * B * B, 0) ~~|
Total = A + B + D ~~|
"""
#: A stock that follows a cosine a thousand times faster than this moves, a slow one, and a chain of three stages.
FAST = """
Pace = 1000 ~~|
Fast = INTEG(-Pace * (Fast - COS(Time)), 0) ~~|
Slow = INTEG(-0.5 * Slow, Begin) ~~|
Begin = 8 ~~|
Late = DELAY3I(Slow, 0.01, 0) ~~|
"""


def fast(time: np.ndarray, pace: float) -> np.ndarray:
    at_once = pace**2 * np.cos(time) + pace * np.sin(time) - pace**2 * np.exp(-pace * time)
    return np.asarray(at_once / (1 + pace**2))


@pytest.mark.parametrize("engine", ["native", "numpy"])
def test_it_has_the_closed_form_of_a_stiff_linear_model(write_mdl: Write, engine: str) -> None:
    run = cp.simulate(write_mdl(FAST, step=0.125), method="gear", engine=engine)
    assert run.attrs["integration_method"] == "gear"
    np.testing.assert_allclose(run["fast"], fast(run.time.values, 1000), atol=1e-8)
    np.testing.assert_allclose(run["slow"], 8 * np.exp(-0.5 * run.time.values), rtol=1e-6)
    # each stage follows the one before: 3 / 0.01 of what lacks a unit of time
    settled = run["slow"].values * (300 / 299.5) ** 3
    np.testing.assert_allclose(run["late"][1:], settled[1:], rtol=1e-6)


def test_it_has_the_published_end_of_robertsons_problem(write_mdl: Write) -> None:
    """Source: Mazzia and Magherini (2008), Test Set for Initial Value Problem Solvers, ROBER at 1e11 and at 40
    (Hairer and Wanner 1996, IV.10)."""
    model = cp.read_model(write_mdl(ROBERTSON))
    end = cp.simulate(model, method="gear", final_time=1e11, time_step=1e9, saveper=1e11).isel(time=-1)
    assert float(end["d"]) == pytest.approx(0.9999999791665050, abs=1e-9)
    assert float(end["a"]) == pytest.approx(0.2083340149701255e-07, abs=1e-9)
    assert float(end["total"]) == pytest.approx(1, abs=1e-9)
    early = cp.simulate(model, method="gear", final_time=40, time_step=1, saveper=40).isel(time=-1)
    small = cp.simulate(model, method="rk4", final_time=40, time_step=2.0**-12, saveper=40).isel(time=-1)
    for name in "abd":
        assert float(early[name]) == pytest.approx(float(small[name]), rel=1e-6)


def test_native_and_numpy_have_the_same_bits_and_runs_are_those_alone(write_mdl: Write) -> None:
    model = cp.read_model(write_mdl(FAST, step=0.5))
    draws = {"Pace": [5.0, 50.0, 500.0], "Begin": [1.0, 2.0, 3.0]}
    runs = cp.ensemble(model, draws, method="gear")
    for engine in ("native", "numpy"):
        again = cp.ensemble(model, draws, method="gear", engine=engine)
        for name in ("fast", "slow", "late"):
            np.testing.assert_array_equal(runs[name], again[name])
    alone = cp.simulate(model, {"Pace": 50.0, "Begin": 2.0}, method="gear")
    np.testing.assert_array_equal(runs["fast"].isel(run=1), alone["fast"])
    np.testing.assert_allclose(runs["fast"].isel(run=0), fast(runs.time.values, 5), atol=1e-8)


def test_what_time_switches_is_not_stepped_over_and_data_are_joined_by_lines(write_mdl: Write) -> None:
    text = "Filled = INTEG(PULSE(3, 0.125) * 8 + rain, 0) ~~|\nrain = 0 ~~|\n"
    model = cp.read_model(write_mdl(text, step=0.125))
    rain = cp.TimeSeries((0.0, 4.0, 10.0), (0.0, 2.0, 2.0))
    run = cp.simulate(model, {"rain": rain}, method="gear")
    assert float(run["filled"][-1]) == pytest.approx(1 + 4 + 12, abs=1e-3)
    dry = cp.simulate(model, method="gear")
    assert float(dry["filled"].sel(time=2.75)) == 0
    assert float(dry["filled"][-1]) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("equation", "message"),
    [
        ("x = DELAY FIXED(Level, 2, 0)", "a delay of whole steps"),
        ("x = SAMPLE IF TRUE(Level > 1, Level, 0)", "a value that is replaced step by step"),
        ("x = RANDOM UNIFORM(0, 1, 1) + Level", "random numbers"),
    ],
)
def test_what_lives_by_steps_is_refused(write_mdl: Write, equation: str, message: str) -> None:
    model = cp.read_model(write_mdl(f"Level = INTEG(-x * 0.1, 3) ~~|\n{equation} ~~|\n"))
    with pytest.raises(UnsupportedFeature, match=f"the method gear: .* uses {message}.*rk4"):
        cp.simulate(model, method="gear")


def test_no_kernel_with_fixed_steps_is_made_of_it(write_mdl: Write) -> None:
    model = cp.read_model(write_mdl(FAST))
    planned = plan(model, cp.Scenario(), save=None, times=None, method="gear")
    with pytest.raises(UnsupportedFeature, match="gear"):
        kernel(program_for(model, planned.outputs, planned.settings, method="gear"))
    with pytest.raises(UnsupportedFeature, match="a stock that is set on the way"):
        cp.simulate(model, {"Slow": {2.0: 1.0}}, method="gear")


def test_a_run_without_a_way_on_says_where_it_leaves_the_numbers(write_mdl: Write) -> None:
    """It reaches infinity at time 1."""
    run = cp.simulate(write_mdl("Level = INTEG(Level * Level, 1) ~~|\n", step=0.25), method="gear")
    assert float(run["level"].sel(time=0.75)) == pytest.approx(4, rel=1e-6)
    assert np.isnan(run["level"].sel(time=slice(1.25, None))).all()
    assert "Level is nan" in run.attrs["first_non_finite"]


def test_xmile_says_gear_and_vensim_cannot(write_mdl: Write, tmp_path: Path) -> None:
    flat = write_mdl("Level = INTEG(-Level, 1) ~~|\n")
    cipark("convert", flat, "-o", tmp_path / "model.xmile")
    text = (tmp_path / "model.xmile").read_text()
    (tmp_path / "gear.xmile").write_text(text.replace('method="Euler"', 'method="Gear"'))
    model = cp.read_model(tmp_path / "gear.xmile")
    assert model.time.method == "gear"
    cipark("convert", tmp_path / "gear.xmile", "-o", tmp_path / "again.xmile")
    assert 'method="Gear"' in (tmp_path / "again.xmile").read_text()
    refused = cipark("convert", tmp_path / "gear.xmile", "-o", tmp_path / "back.mdl", code=2)
    assert "the integration method gear" in refused.output


def test_a_check_says_when_a_model_is_stiff(write_mdl: Write) -> None:
    stiff = write_mdl(ROBERTSON, step=1.0, name="stiff.mdl")
    said = cipark("check", stiff, "--only", "time-step", code=None).output
    assert "the model is stiff: take --method gear" in said
    coarse = write_mdl(FAST, step=0.125, name="coarse.mdl")
    said = cipark("check", coarse, "--only", "time-step", code=None).output
    assert "Fast settles in 0.001; take a step below 0.002" in said
    # the closed form: 4 / 0.01 of the chain's stages would be slower, and the fastest is the stock's own pace
    fastest = fastest_state(cp.read_model(coarse))
    assert fastest is not None
    assert fastest[:2] == ("Fast", pytest.approx(1e-3, rel=1e-6))
    growing = write_mdl("Level = INTEG(0.2 * Level, 1) ~~|\n", step=1.0, name="growing.mdl")
    said = cipark("check", growing, "--only", "time-step", code=None).output
    assert "differs by" in said
    assert "settles" not in said
