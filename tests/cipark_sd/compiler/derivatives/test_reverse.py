"""Reverse mode against forward mode, closed forms and differences."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from forward_mode import value_and_jacobian
from hypothesis import HealthCheck, given, settings
from places import script
from random_equations import models
from stella import stella
from thorough import share
from value_and_gradient import value_and_gradient

from cipark_sd.base.errors import InvalidValue, UnknownName
from cipark_sd.base.library import bundled
from cipark_sd.compiler.adjoint import adjoint
from cipark_sd.data.scenarios import Scenario
from cipark_sd.engines.base import Settings, TapeTooLong
from cipark_sd.engines.native import engine as native_engine
from cipark_sd.engines.native.engine import NativeEngine
from cipark_sd.engines.plan import plan
from cipark_sd.engines.programs import program_for
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.model import CONTROL, Method, Model
from cipark_sd.model.variables import Constant, Lookup
from cipark_sd.simulations.ensembles import ensemble
from cipark_sd.simulations.simulation import simulate

pytestmark = pytest.mark.usefixtures("wasm")

#: Both modes multiply the same derivatives in another order: they agree to this share of the sum of absolute terms.
ROUNDING = 1e-12
MODELS = Path(__file__).parent / "models"
SMOOTH = sorted(path.stem for path in MODELS.glob("*.mdl"))
BENCHMARKS = Path(__file__).parents[4] / "benchmarks"


def _constants(model: Model) -> list[str]:
    drawn = [v for v in model.variables if isinstance(v, Constant) and v.name not in CONTROL] or model.stocks[:1]
    return [f"{v.name}[{','.join(e)}]" if e else v.name for v in drawn for e in model.elements(v)]


def _agree(
    model: Model,
    point: dict[str, object],
    save: list[str],
    *,
    engine: str = "numpy",
    method: Method | None = None,
    times: list[float] | None = None,
) -> None:
    """Reverse mode is forward mode, summed with random weights."""
    values, jacobian = value_and_jacobian(model, point, save=save, engine=engine, method=method, times=times)  # type: ignore[arg-type]
    rng = np.random.default_rng(5)
    weights = {name: rng.normal(size=values[name].shape) for name in save}
    again, gradient = value_and_gradient(
        model,
        point,
        weights,
        save=save,
        engine=engine,
        method=method,
        times=times,  # type: ignore[arg-type]
    )
    assert all(np.array_equal(again[name], values[name], equal_nan=True) for name in save)
    terms = [
        (jacobian[name].to_numpy() * weights[name][:, None]).reshape(*gradient.gradient.shape, -1) for name in save
    ]
    together = np.concatenate(terms, axis=-1)
    assert np.isfinite(together).all()
    scale = np.abs(together).sum(axis=-1)
    np.testing.assert_array_less(
        np.abs(gradient.gradient.to_numpy() - together.sum(axis=-1)), ROUNDING * scale + 1e-300
    )


@pytest.mark.parametrize("feature", SMOOTH)
def test_reverse_mode_is_forward_mode(feature: str) -> None:
    model = read_model(MODELS / f"{feature}.mdl")
    rng = np.random.default_rng(3)
    point = {name: rng.uniform(2.1, 3.0, size=2) for name in _constants(model)}
    save = [v.name for v in model.variables if not isinstance(v, Lookup) and v.name not in CONTROL]
    for method in ("euler", "rk4"):
        _agree(model, point, save, method=method)


@pytest.mark.slow
@settings(
    max_examples=share(4, 20),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(models())
def test_reverse_mode_is_forward_mode_for_models_that_nobody_wrote(
    tmp_path_factory: pytest.TempPathFactory, equations: str
) -> None:
    path = tmp_path_factory.mktemp("random") / "model.mdl"
    controls = "INITIAL TIME = 0 ~~|\nFINAL TIME = 4 ~~|\nTIME STEP = 0.25 ~~|\nSAVEPER = 0.25 ~~|\n"
    path.write_text("{UTF-8}\n" + equations + controls)
    model = read_model(path)
    values = {v.name: v.pieces[0].expr.value for v in model.variables if isinstance(v, Constant) and not v.dims}  # type: ignore[union-attr]
    point = {name: np.array([value, 1.01 * value]) for name, value in values.items() if name not in CONTROL}
    save = ["x0", "x1", "m", "part", "whole", "s0", "s1", "s2"]
    for method in ("euler", "rk2", "rk4"):
        forward = value_and_jacobian(model, point, save=save, engine="numpy", method=method)[1]
        if all(np.isfinite(forward[name].to_numpy()).all() for name in save):
            _agree(model, point, save, method=method)


def test_both_engines_give_the_same_gradient_bit_for_bit(write_mdl: Callable[..., Path]) -> None:
    model = read_model(write_mdl("x = INTEG(-ABS(x) ^ r, 10) ~~|\nr = 0.3 ~~|\ny = DELAY FIXED(x * r, 1, r) ~~|\n"))
    point = {"r": np.linspace(0.2, 0.4, 19), "x": np.linspace(8.0, 10.0, 19)}
    for method in ("euler", "rk4"):
        native, slow = (
            value_and_gradient(model, point, {"x": 1.0, "y": 2.0}, save=["x", "y"], engine=engine, method=method)[1]
            for engine in ("native", "numpy")
        )
        assert native.equals(slow)
        _agree(model, point, ["x", "y"], engine="native", method=method)


@pytest.mark.parametrize("method", ["rk2", "rk4"])
def test_what_is_held_through_a_step_has_the_slope_of_its_beginning(tmp_path: Path, method: Method) -> None:
    """A pulse of XMILE that takes a share of a stock that grows, beside central differences."""
    flows = (
        '<stock name="S"><eqn>3</eqn><inflow>grow</inflow><outflow>out</outflow></stock><aux name="r"><eqn>0.3</eqn>'
        '</aux><stock name="T"><eqn>0</eqn><inflow>out</inflow></stock><flow name="grow"><eqn>r*S</eqn></flow>'
        '<flow name="out"><eqn>PULSE(S*r, 1, 1)</eqn></flow>'
    )
    model = read_model(stella(tmp_path / "m.stmx", flows, dt="0.25", stop="4", method="RK4"))
    _, gradient = value_and_gradient(model, {"r": 0.3}, {"t": 1.0, "s": 2.0}, save=["s", "t"], method=method)
    ends = [simulate(model, {"r": r}, save=["s", "t"], method=method) for r in (0.3 - 1e-5, 0.3 + 1e-5)]
    below, above = (float((run["t"] + 2 * run["s"]).sum()) for run in ends)
    np.testing.assert_allclose(gradient.gradient[0, 0], (above - below) / 2e-5, rtol=1e-8)


def test_the_gradient_of_decay_is_the_closed_form(write_mdl: Callable[..., Path]) -> None:
    model = read_model(write_mdl("x = INTEG(-x * r, 10) ~~|\nr = 0.3 ~~|\n", step=0.125, final=4))
    last = np.zeros(33)
    last[-1] = 1.0
    _, gradient = value_and_gradient(model, {"r": 0.3, "x": 10.0}, {"x": last}, save=["x"])
    factor = 1 - 0.3 * 0.125
    expected = [-10 * 32 * 0.125 * factor**31, factor**32]
    np.testing.assert_allclose(gradient.gradient[0], expected, rtol=1e-12)


def test_weights_that_depend_on_the_outputs_give_the_gradient_of_their_function(write_mdl: Callable[..., Path]) -> None:
    model = read_model(write_mdl("x = INTEG(-x * r, 10) ~~|\nr = 0.3 ~~|\n", step=0.125, final=4))
    data = np.linspace(9.0, 4.0, 33)
    point = {"r": np.array([0.2, 0.3, 0.31]), "x": 10.0 + np.zeros(3)}
    _, gradient = value_and_gradient(model, point, lambda values: {"x": -(values.x - data)}, save=["x"])
    step = 1e-5
    ends = {"r": np.array([0.31 + step, 0.31 - step]), "x": np.full(2, 10.0)}
    squares = -0.5 * ((ensemble(model, ends, save=["x"]).x.to_numpy() - data) ** 2).sum(axis=1)
    slope = (squares[0] - squares[1]) / (2 * step)
    assert gradient.gradient.sel(parameter="r")[2].item() == pytest.approx(slope, rel=1e-7)


#: Branches that are not taken, with an infinite derivative there; what begins from nothing, with one at the beginning.
@pytest.mark.parametrize(
    "equation",
    [
        "IF THEN ELSE(x > 20, a / (x - x), a * x)",
        "ZIDZ(a, x - x) + x",
        "MIN(a * x, IF THEN ELSE(x > 20, 1, 1 / (1 - a / a)))",
        "IF THEN ELSE(Time > 1, LN(Time - 1 + a * 0), a)",
        "SQRT(y) * a",
        "y ^ (a / 10) + x",
        "MAX(y, a) / (1 + EXP(-a * y))",
    ],
)
def test_what_is_not_taken_or_has_not_begun_hands_nothing_on(equation: str, write_mdl: Callable[..., Path]) -> None:
    text = f"x = INTEG(-x * 0.1 * a, 10) ~~|\na = 3 ~~|\ny = INTEG(STEP(a, 0.5) * x, 0) ~~|\nz = {equation} ~~|\n"
    model = read_model(write_mdl(text, step=0.25, final=2))
    _agree(model, {"a": np.array([3.0, 2.0]), "x": np.array([10.0, 5.0])}, ["z", "x"])
    _agree(model, {"a": np.array([3.0])}, ["z"], method="rk4")


def test_an_output_that_is_no_number_where_nobody_looks_takes_no_gradient_away(write_mdl: Callable[..., Path]) -> None:
    model = read_model(
        write_mdl("x = INTEG(a, 0) ~~|\na = 3 ~~|\nz = x / (Time * a) + LN(x) ~~|\n", step=0.25, final=2)
    )
    values, gradient = value_and_gradient(model, {"a": 3.0}, {"z": 1.0}, save=["z"], times=[1.0, 2.0])
    assert np.isfinite(values.z).all()
    # z = 1 + ln(a t)
    assert gradient.gradient.item() == pytest.approx(2 / 3)


def test_the_gradient_of_the_park_is_the_sum_of_its_tangents() -> None:
    cases = script(BENCHMARKS / "cases.py")
    for name in ("park", "world3"):
        case = cases.CASES[name]
        point = {parameter: values[:3] for parameter, values in case.draws(3).items()}
        _agree(case.model, point, list(case.saved), engine="native", times=case.eight_dates())


def test_neither_workers_nor_pieces_of_tape_change_a_bit(
    write_mdl: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = read_model(write_mdl("x = INTEG(-ABS(x) ^ r, 10) ~~|\nr = 0.3 ~~|\n"))
    planned = plan(model, Scenario(""), save=["x"], times=None, method=None)
    values = Settings(numbers={"r": np.linspace(0.1, 0.4, 50)})
    runs, places = np.arange(50, dtype=np.uint64), np.arange(int(planned.saved.sum()))

    def gradient(engine: NativeEngine) -> np.ndarray:
        return engine.run_back(planned, values, runs, ["r"], places, lambda outputs, those: outputs * those)

    whole = gradient(NativeEngine())
    monkeypatch.setattr(native_engine, "LEAST_EFFORT", 1)
    assert np.array_equal(whole, gradient(NativeEngine(workers=2)))
    monkeypatch.setattr(native_engine, "TAPE", 1)
    monkeypatch.setattr(native_engine, "TOGETHER", 8)
    assert np.array_equal(whole, gradient(NativeEngine()))
    monkeypatch.setattr(native_engine, "MOST_TAPE", 1)
    with pytest.raises(TapeTooLong, match="more than"):
        gradient(NativeEngine())


def test_a_way_back_costs_cells_for_what_moves_alone() -> None:
    program = program_for(read_model(bundled()), ["total_operating"], Settings())
    none = adjoint(program, ["no such constant"])
    assert not none.back.dynamic
    some = adjoint(program, ["lapse_rate"])
    assert 0 < len(some.back.dynamic) < len(adjoint(program, program.params).back.dynamic)


def test_what_cannot_be_derived_is_one_clear_error(write_mdl: Callable[..., Path]) -> None:
    model = read_model(write_mdl("x = INTEG(-x * r, 10) ~~|\nr = 0.3 ~~|\n"))
    with pytest.raises(UnknownName, match="saved variable"):
        value_and_gradient(model, {"r": 0.3}, {"y": 1.0}, save=["x"])
    with pytest.raises(InvalidValue, match="native or numpy, which go back"):
        value_and_gradient(model, {"r": 0.3}, {"x": 1.0}, save=["x"], engine="wasm")
    with pytest.raises(InvalidValue, match="one that has derivatives"):
        value_and_gradient(model, {"r": 0.3}, {"x": 1.0}, save=["x"], engine="pysd")


@pytest.mark.parametrize("method", ["euler", "rk4"])
def test_a_stock_that_limits_its_outflow_is_followed_back(method: Method) -> None:
    _agree(read_model(MODELS / "non_negative.xmile"), {"x": np.array([3.0, 2.2])}, ["x", "y"], method=method)


def test_random_numbers_of_a_run_are_those_of_its_way_back(write_mdl: Callable[..., Path]) -> None:
    text = "x = INTEG(a * RANDOM 0 1() - x, 1) ~~|\na = 3 ~~|\nz = SAMPLE IF TRUE(RANDOM 0 1() > 0.5, x * a, a) ~~|\n"
    model = read_model(write_mdl(text, step=0.25, final=4))
    for method in ("euler", "rk4"):
        _agree(model, {"a": np.array([3.0, 2.0])}, ["x", "z"], method=method)
