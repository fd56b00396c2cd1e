"""A run step by step: the bits of one run, and changes on the way that later ones do not undo."""

import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

import cipark_sd as cp
from cipark_sd.base.errors import InvalidValue, OffGrid, UnknownName, UnusableInput

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
    with pytest.raises(UnusableInput, match=r"'Town' is a state.*constants can be set, such as 'Share'"):
        run["Town"] = 1
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
