"""A run step by step: the bits of one run, and changes on the way that later ones do not undo."""

import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from value_and_gradient import value_and_gradient

import cipark_sd as cp
from cipark_sd.base.errors import InvalidValue, OffGrid, UnknownName, UnsupportedFeature, UnusableInput
from cipark_sd.engines.native import kernel

Write = Callable[..., Path]
#: A stock with an outflow, delays of three kinds, a smooth, an initial value and a constant with subscripts.
MODEL = """
Region: East, West ~~|
Share[Region] = 0.1, 0.2 ~ 1/Year ~ |
Rate = 0.3 ~ 1/Year ~ |
Pool[Region] = INTEG(-Share[Region] * Pool[Region], 100) ~ firm ~ |
Town = INTEG(-Leaving, 50) ~ firm ~ |
Leaving = Rate * Town ~ firm/Year ~ |
Late = DELAY FIXED(Leaving, 1.5, 3) ~ firm/Year ~ |
Slow = DELAY3(Leaving, 2) ~ firm/Year ~ |
Smoothed = SMOOTH(Rate, 2) ~ 1/Year ~ |
First = INITIAL(Rate) ~ 1/Year ~ |
"""


@pytest.fixture
def model(write_mdl: Write) -> cp.Model:
    return cp.read_model(write_mdl(MODEL))


@pytest.mark.parametrize("engine", ["native", "numpy"])
def test_a_run_in_parts_has_the_bits_of_one_run(model: cp.Model, engine: str) -> None:
    run = cp.start(model, engine=engine)
    run.to(2)
    run.step(3)
    whole = run.to(10)
    assert whole.identical(cp.simulate(model, engine=engine))
    same = cp.start(model, engine=engine)
    same.to(4)
    same["Rate"] = 0.3
    for name in ("town", "late", "slow", "smoothed", "first", "pool"):
        np.testing.assert_array_equal(same.to(10)[name], whole[name])


def test_a_change_begins_at_its_time_and_moves_nothing_before(model: cp.Model) -> None:
    run = cp.start(model)
    before = run.to(4)
    run["Rate"] = 0.5
    run.to(6)
    run["Rate"] = 0
    after = run.to(10)
    early = after.sel(time=slice(0, 3.75))
    for name in ("town", "late", "slow", "smoothed", "leaving"):
        np.testing.assert_array_equal(early[name], before.sel(time=slice(0, 3.75))[name])
    # the steps of Euler's method by hand
    town = 50 * (1 - 0.3 / 4) ** 16 * (1 - 0.5 / 4) ** 8
    assert run["Town"] == pytest.approx(town, rel=1e-12)
    assert run["First"] == 0.3
    assert after.cp["Leaving"].sel(time=4).item() == pytest.approx(0.5 * after.cp["Town"].sel(time=4).item())
    again = cp.start(model, pickle.loads(pickle.dumps(run.scenario)))
    assert again.to(10).identical(after)


def test_elements_and_arrays_of_constants_are_set(model: cp.Model) -> None:
    run = cp.start(model)
    run.to(4)
    run["Share[East]"] = 0
    run.to(6)
    assert run["Pool[East]"] == pytest.approx(100 * (1 - 0.1 / 4) ** 16)
    run["Share"] = [0.4, 0.0]
    run.to(8)
    assert run["Pool[East]"] == pytest.approx(100 * (1 - 0.1 / 4) ** 16 * (1 - 0.4 / 4) ** 8)
    assert run["Pool[West]"] == pytest.approx(100 * (1 - 0.2 / 4) ** 24)
    assert run["Share"].to_numpy().tolist() == [0.4, 0.0]  # type: ignore[union-attr]


def test_at_the_beginning_a_change_is_one_of_the_scenario(model: cp.Model) -> None:
    run = cp.start(model)
    run["Town"] = 20
    run["Rate"] = 0.1
    assert run.to(10).identical(cp.simulate(model, {"Town": 20, "Rate": 0.1}))
    assert repr(run) == "<Running model: at 10, until 10; town, rate>"


def test_what_cannot_be_done_is_said(model: cp.Model) -> None:
    run = cp.start(model)
    with pytest.raises(UnknownName, match="did you mean 'Rate'"):
        run["Rat"] = 1
    run.to(4)
    with pytest.raises(UnusableInput, match=r"'Leaving' is auxiliary; on the way constants and stocks can be set"):
        run["Leaving"] = 1
    with pytest.raises(InvalidValue, match="a finite number"):
        run["Town"] = math.nan
    with pytest.raises(UnknownName, match="did you mean 'Rate'"):
        run["Rat"] = 1
    with pytest.raises(InvalidValue, match="a finite number"):
        run["Rate"] = math.nan
    with pytest.raises(InvalidValue, match="4 or later"):
        run.to(3)
    with pytest.raises(OffGrid):
        run.to(4.1)
    with pytest.raises(InvalidValue, match=r"1 to 24.*final_time"):
        run.step(25)
    with pytest.raises(UnknownName):
        run["Rat"]


@pytest.mark.parametrize("method", ["rk4", "rk2"])
def test_a_change_between_steps_of_runge_kutta_moves_nothing_before(
    model: cp.Model, method: Literal["rk4", "rk2"]
) -> None:
    run = cp.start(model, method=method)
    before = run.to(4)
    run["Rate"] = 0.5
    assert run["Rate"] == 0.5
    after = run.to(10)
    for name in ("town", "late", "slow", "smoothed"):
        np.testing.assert_array_equal(after[name].sel(time=slice(0, 4)), before[name])
    # the closed form, to the error of the method and half a step at the old rate
    decay = math.log(float(after.cp["Town"].sel(time=4)) / run["Town"])  # type: ignore[arg-type]
    assert 6 * 0.5 - 0.25 * 0.2 / 2 - 0.01 < decay < 6 * 0.5
    same = cp.start(model, method=method)
    same.to(4)
    same["Rate"] = 0.3
    np.testing.assert_array_equal(same.to(10)["town"], cp.simulate(model, method=method)["town"])


@pytest.mark.usefixtures("wasm")
@pytest.mark.parametrize("method", ["euler", "rk2", "rk4"])
@pytest.mark.parametrize("short", [kernel.SHORT, 0])
def test_a_stock_set_on_the_way_goes_on_from_there(
    model: cp.Model, method: Literal["euler", "rk2", "rk4"], short: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "SHORT", short)
    made = {}
    for engine in ("native", "numpy", "wasm"):
        run = cp.start(model, {"Town": 40}, engine=engine, method=method)
        before = run.to(4)
        run["Town"] = 80
        assert (run["Town"], run["Leaving"]) == (80, 0.3 * 80)
        run.to(6)
        run["Pool"] = [1, 2]
        run["Pool[East]"] = 5
        run.to(8)
        run["Town"] = 7
        made[engine] = run.to(10)
        for name in ("town", "late", "slow", "pool"):
            np.testing.assert_array_equal(made[engine][name].sel(time=slice(0, 3.75)), before[name][:-1])
    assert made["native"].drop_attrs().identical(made["numpy"].drop_attrs())
    assert made["native"].drop_attrs().identical(made["wasm"].drop_attrs())
    x = 0.25 * 0.3
    decay = {"euler": 1 - x, "rk2": 1 - x + x**2 / 2, "rk4": 1 - x + x**2 / 2 - x**3 / 6 + x**4 / 24}[method]
    town = made["native"].cp["Town"]
    assert [float(town.sel(time=time)) for time in (3.75, 4, 7.75, 8, 10)] == pytest.approx(
        [40 * decay**15, 80, 80 * decay**15, 7, 7 * decay**8], rel=1e-12
    )
    assert float(made["native"].cp["Pool[West]"].sel(time=6)) == 2
    # what the delays hold is kept: the new level leaves 1.5 later
    late = made["native"].cp["Late"].sel(time=[5.25, 5.5]).values
    assert late == pytest.approx([0.3 * 40 * decay**15, 24], rel=1e-12)
    # all that was set is one scenario, and may be written down
    again = cp.simulate(model, pickle.loads(pickle.dumps(run.scenario)), method=method)
    assert again.drop_attrs().identical(made["native"].drop_attrs())


def test_runs_that_are_set_apart_are_an_ensemble(model: cp.Model) -> None:
    scenarios = [cp.Scenario("", {"Town": cp.TimeSeries((2.0, 5.0), (a, 9.0))}) for a in (1.0, 2.0, 3.0)]
    runs = cp.ensemble(model, scenarios, save=["Town", "Slow"])
    for place, scenario in enumerate(scenarios):
        alone = cp.simulate(model, scenario)
        for name in ("town", "slow"):
            np.testing.assert_array_equal(runs[name].isel(run=place), alone[name])
    # drawn initial values are not what is set later
    drawn = cp.ensemble(model, {"Town": [50.0, 70.0]}, scenario=scenarios[0], save=["Town"])
    np.testing.assert_array_equal(drawn["town"].isel(run=0), runs["town"].isel(run=0))
    assert float(drawn.cp["Town"].isel(run=1, time=0)) == 70


@pytest.mark.parametrize("method", ["euler", "rk2", "rk4"])
def test_derivatives_end_where_a_stock_is_set(model: cp.Model, method: Literal["euler", "rk2", "rk4"]) -> None:
    put = cp.Scenario("", {"Town": cp.TimeSeries((4.0,), (80.0,))})
    at = {"Rate": 0.3, "Town": 50.0}
    weights = {"town": [1.0, 1.0], "slow": [0.0, 1.0]}
    how = {"save": ["Town", "Slow"], "times": [3.0, 6.0], "scenario": put, "method": method}
    _, gradient = value_and_gradient(model, at, weights, **how)  # type: ignore[arg-type]

    def total(rate: float, town: float) -> float:
        run = cp.simulate(model, {"Rate": rate, "Town": cp.TimeSeries((0.0, 4.0), (town, 80.0))}, method=method)
        return float(run.cp["Town"].sel(time=[3, 6]).sum() + run.cp["Slow"].sel(time=6))

    by_rate = (total(0.3 + 1e-6, 50) - total(0.3 - 1e-6, 50)) / 2e-6
    by_town = (total(0.3, 50 + 1e-3) - total(0.3, 50 - 1e-3)) / 2e-3
    np.testing.assert_allclose(gradient["gradient"].values.ravel(), [by_rate, by_town], rtol=1e-7)


def test_what_is_not_set_on_the_way_is_said(model: cp.Model, write_mdl: Write) -> None:
    with pytest.raises(UnsupportedFeature, match=r"a stock that is set on the way.*native"):
        cp.simulate(model, {"Town": cp.TimeSeries((2.0,), (1.0,))}, engine="pysd")
    with pytest.raises(OffGrid):
        cp.simulate(model, {"Town": cp.TimeSeries((2.1,), (1.0,))})
    belt = "In = 3 ~~|\nOn = INTEG(In - Out, 6) ~~|\nOut = DELAY FIXED(In, 2, 3) ~~|\n"
    run = cp.start(write_mdl(belt, name="belt.mdl"))
    run.to(4)
    with pytest.raises(UnusableInput, match=r"'On' leaves it by the delay of 'Out'.*set what enters it"):
        run["On"] = 2
