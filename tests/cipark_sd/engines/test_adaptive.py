"""The adaptive engine is exact where the answer is known, and fixed steps approach it at the order of their method."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cipark_sd.errors import InvalidValue, UnsupportedFeature
from cipark_sd.frontends.model_file import read_model
from cipark_sd.model.model import Method, Model
from cipark_sd.scenarios import Scenario
from cipark_sd.simulation import simulate

Write = Callable[..., Path]
#: Shares of a value: 1e-12 a step of the integration, over forty steps.
EXACT = 1e-9


def _course(model: Model, name: str, **options: object) -> np.ndarray:
    return simulate(model, save=[name], engine="adaptive", **options)[name].to_numpy()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("equations", "form"),
    [
        ("x = INTEG(-x / 3, 100) ~~|", lambda t: 100 * np.exp(-t / 3)),
        ("x = INTEG(0.8 * x * (1 - x / 50), 2) ~~|", lambda t: 50 / (1 + 24 * np.exp(-0.8 * t))),
        ("x = INTEG(y, 0) ~~| y = INTEG(-x, 1) ~~|", np.sin),
        ("x = INTEG(Time ^ 3, 1) ~~|", lambda t: 1 + t**4 / 4),
        ("x = INTEG(STEP(2, 3), 0) ~~|", lambda t: 2 * np.maximum(t - 3, 0)),
        ("x = INTEG(STEP(2, 3.1) - x, 0) ~~|", lambda t: 2 * -np.expm1(-np.maximum(t - 3.1, 0))),
        ("x = INTEG(RAMP(2, 3, 7), 0) ~~|", lambda t: np.clip(t - 3, 0, 4) ** 2 + 8 * np.maximum(t - 7, 0)),
        ("x = SMOOTH(Time, 2) ~~|", lambda t: t - 2 + 2 * np.exp(-t / 2)),
        (
            "x = SMOOTH3I(1, 3, 0) ~~|",
            lambda t: 1 - np.exp(-t) * (1 + t + t**2 / 2),
        ),
        (
            "x = INTEG(table(Time), 0) ~~| table((0, 0), (4, 4), (10, 4)) ~~|",
            lambda t: np.where(t < 4, t**2 / 2, 4 * t - 8),
        ),
    ],
    ids=["decay", "logistic", "circle", "power", "step", "step between instants", "ramp", "smooth", "smooth3", "table"],
)
def test_the_closed_form_is_met(equations: str, form: Callable[[np.ndarray], np.ndarray], write_mdl: Write) -> None:
    model = read_model(write_mdl(equations))
    exact = form(np.arange(0, 10.001, 0.25))
    np.testing.assert_allclose(_course(model, "x"), exact, rtol=EXACT, atol=EXACT * np.abs(exact).max())


def test_a_jump_between_instants_is_found_in_calendar_years(write_mdl: Write) -> None:
    model = read_model(write_mdl("x = INTEG(IF THEN ELSE(Time > 2012.65, 1000, 1), 5) ~~|"))
    run = simulate(model, Scenario("", {}, initial_time=2010, final_time=2014), save=["x"], engine="adaptive")
    times = run["time"].to_numpy()
    np.testing.assert_allclose(run["x"], 5 + (times - 2010) + 999 * np.maximum(times - 2012.65, 0), rtol=EXACT)


def test_what_is_saved_beside_the_states_belongs_to_the_same_instant(write_mdl: Write) -> None:
    model = read_model(write_mdl("x = INTEG(-x / 3, 100) ~~| twice = 2 * x + STEP(1, 5) ~~|"))
    run = simulate(model, engine="adaptive")
    times = run["time"].to_numpy()
    np.testing.assert_array_equal(run["twice"], 2 * run["x"].to_numpy() + (times >= 5))
    assert run.attrs["integration_method"] == "adaptive"


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("rk2", 2), ("rk4", 4)])
def test_the_error_of_a_method_falls_with_its_order(method: Method, order: int, write_mdl: Write) -> None:
    model = read_model(
        write_mdl(
            "prey = INTEG(prey * (1 - hunters / 20), 30) ~~| hunters = INTEG(hunters * (prey / 40 - 1), 15) ~~|"
            "seen = SMOOTH3(prey, 2) ~~|",
            saveper="1",
        )
    )
    reference = _course(model, "seen")
    steps = [2.0**-k for k in range(4, 8)]
    errors = []
    for step in steps:
        run = simulate(model, Scenario("", {}, time_step=step, saveper=1), save=["seen"], method=method)
        errors.append(np.abs(run["seen"].to_numpy() - reference).max())
    slope = np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert slope == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize(
    ("equations", "feature"),
    [
        ("x = DELAY FIXED(Time, 1, 0) ~~|", "DELAY FIXED"),
        ("x = SAMPLE IF TRUE(Time > 3, Time, 0) ~~|", "SAMPLE IF TRUE"),
        ("x = INTEG(RANDOM UNIFORM(0, 1, 1), 0) ~~|", "random numbers"),
    ],
)
def test_what_only_exists_in_steps_is_refused(equations: str, feature: str, write_mdl: Write) -> None:
    with pytest.raises(UnsupportedFeature, match=feature):
        _course(read_model(write_mdl(equations)), "x")


def test_a_method_beside_the_adaptive_engine_is_an_error(write_mdl: Write) -> None:
    with pytest.raises(InvalidValue, match="chooses its own steps"):
        _course(read_model(write_mdl("x = INTEG(1, 0) ~~|")), "x", method="rk4")
