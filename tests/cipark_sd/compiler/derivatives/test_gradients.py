"""Derivatives against central differences and closed forms."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from forward_mode import value_and_jacobian

from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.model import CONTROL
from cipark_sd.model.variables import Constant, Lookup
from cipark_sd.simulations.ensembles import ensemble

#: Models with constants to derive by; the corpus keeps to what shows a feature.
MODELS = Path(__file__).parent / "models"
#: Features whose outputs are smooth in the model's constants where these are drawn.
SMOOTH = [
    *("power", "power_function", "exp", "ln", "log", "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh"),
    *("tanh", "sqrt", "multiply_divide", "negation", "smooth", "smoothi", "smooth3", "smooth_n", "delay1", "delay3"),
    *("delay_n", "trend", "forecast", "macro", "sum", "prod", "subscript_two", "subscripted_smooth", "lookup"),
    *("active_initial", "initial", "stock", "min_max"),
]
#: Central differences with a step of 1e-6 leave about 1e-10 of rounding, and the square of the step.
DIFFERENCE = 1e-7


@pytest.mark.parametrize("feature", SMOOTH)
def test_the_jacobian_is_what_central_differences_give(feature: str) -> None:
    model = read_model(MODELS / f"{feature}.mdl")
    drawn = [v for v in model.variables if isinstance(v, Constant) and v.name not in CONTROL] or model.stocks[:1]
    names = [f"{v.name}[{','.join(e)}]" if e else v.name for v in drawn for e in model.elements(v)]
    rng = np.random.default_rng(3)
    point = {name: rng.uniform(2.1, 3.0) for name in names}
    save = [v.name for v in model.variables if not isinstance(v, Lookup) and v.name not in CONTROL]
    _, jacobian = value_and_jacobian(model, point, save=save)
    step = 1e-6
    for place, name in enumerate(names):
        ends = {other: np.array([at, at]) for other, at in point.items()}
        ends[name] = np.array([point[name] + step, point[name] - step])
        around = ensemble(model, ends, save=save)
        for output in save:
            slope = (around[output].to_numpy()[0] - around[output].to_numpy()[1]) / (2 * step)
            own = jacobian[output].to_numpy()[0, place]
            scale = max(1.0, np.abs(slope).max())
            np.testing.assert_allclose(own, slope, rtol=0, atol=DIFFERENCE * scale, err_msg=f"d {output} / d {name}")


def test_the_derivative_of_decay_is_the_closed_form(write_mdl: Callable[..., Path]) -> None:
    model = read_model(write_mdl("x = INTEG(-x * r, 10) ~~|\nr = 0.3 ~~|\n", step=0.125, final=4))
    values, jacobian = value_and_jacobian(model, {"r": 0.3, "x": 10.0}, save=["x"])
    n = np.arange(33)
    factor = 1 - 0.3 * 0.125
    np.testing.assert_allclose(values.x[0], 10 * factor**n, rtol=1e-13)
    np.testing.assert_allclose(jacobian.x.sel(parameter="r")[0], -10 * n * 0.125 * factor ** (n - 1), rtol=1e-12)
    np.testing.assert_allclose(jacobian.x.sel(parameter="x")[0], factor**n, rtol=1e-13)


def test_both_engines_give_the_same_derivatives_bit_for_bit(write_mdl: Callable[..., Path]) -> None:
    model = read_model(write_mdl("x = INTEG(-x ^ r, 10) ~~|\nr = 0.3 ~~|\ny = DELAY FIXED(x * r, 1, r) ~~|\n"))
    point = {"r": [0.2, 0.3, 0.4], "x": [8.0, 9.0, 10.0]}
    for method in ("euler", "rk4"):
        native, slow = (
            value_and_jacobian(model, point, save=["x", "y"], engine=engine, method=method)[1]
            for engine in ("native", "numpy")
        )
        assert native.equals(slow)


@pytest.mark.parametrize("engine", ["native", "numpy"])
def test_a_stock_that_limits_its_outflow_has_the_derivative_of_the_side_it_is_on(engine: str) -> None:
    """``y`` starts at twice ``x`` and takes in all of it: 2 and 1 a unit of ``x`` while it lasts, then 3 and 0."""
    model = read_model(MODELS / "non_negative.xmile")
    values, slopes = value_and_jacobian(model, {"x": 3.0}, save=["x", "y"], engine=engine)
    lasts = values["time"].to_numpy() <= 3 / 1.1
    np.testing.assert_allclose(slopes["x"].to_numpy().ravel(), np.where(lasts, 1.0, 0.0))
    np.testing.assert_allclose(slopes["y"].to_numpy().ravel(), np.where(lasts, 2.0, 3.0))
