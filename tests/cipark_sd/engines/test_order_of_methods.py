"""Fixed steps approach the course in continuous time at the order of their method."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from cipark_sd import Scenario, read_model, simulate
from cipark_sd.model.model import Method

MODEL = """
prey = INTEG(prey * (1 - hunters / 20), 30) ~~| hunters = INTEG(hunters * (prey / 40 - 1), 15) ~~|
seen = SMOOTH3(prey, 2) ~~|
"""


def _rates(time: float, state: np.ndarray) -> list[float]:
    """The same equations, the smooth in its three stages."""
    prey, hunters, one, two, three = state
    pace = 3 / 2
    return [
        prey * (1 - hunters / 20),
        hunters * (prey / 40 - 1),
        pace * (prey - one),
        pace * (one - two),
        pace * (two - three),
    ]


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("rk2", 2), ("rk4", 4)])
def test_the_error_of_a_method_falls_with_its_order(method: Method, order: int, write_mdl: Callable[..., Path]) -> None:
    model = read_model(write_mdl(MODEL, saveper="1"))
    times = np.arange(11.0)
    true = solve_ivp(_rates, (0, 10), [30, 15, 30, 30, 30], "DOP853", times, rtol=1e-12, atol=1e-12).y[4]
    steps = [2.0**-k for k in range(4, 8)]
    errors = []
    for step in steps:
        run = simulate(model, Scenario("", {}, time_step=step, saveper=1), save=["seen"], method=method)
        errors.append(np.abs(run["seen"].to_numpy() - true).max())
    assert np.polyfit(np.log(steps), np.log(errors), 1)[0] == pytest.approx(order, abs=0.1)
