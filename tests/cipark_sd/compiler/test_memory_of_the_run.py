"""Functions that remember a whole run: Stella's HISTORY and Vensim's DELAY MATERIAL."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from forward_mode import value_and_jacobian
from value_and_gradient import value_and_gradient

from cipark_sd.base.errors import CiparkError
from cipark_sd.language.read.model_file import read_model
from cipark_sd.language.write.mdl import write_mdl as to_file
from cipark_sd.simulations.ensembles import ensemble
from cipark_sd.simulations.simulation import simulate

pytestmark = pytest.mark.usefixtures("wasm")

Write = Callable[..., Path]
HEAD = """<?xml version="1.0" encoding="utf-8"?>
<xmile version="1.0" xmlns="http://docs.oasis-open.org/xmile/ns/XMILE/v1.0">
  <header><vendor>test</vendor><product version="1.0">test</product></header>
  <sim_specs method="{method}"><start>1</start><stop>6</stop><dt>0.5</dt></sim_specs>
  <model><variables>{variables}</variables></model>
</xmile>
"""
TIMES = np.arange(1, 6.5, 0.5)


def xmile(path: Path, method: str = "Euler", **equations: str) -> Path:
    made = "".join(f'<aux name="{name}"><eqn>{text}</eqn></aux>' for name, text in equations.items())
    path.write_text(HEAD.format(method=method, variables=made))
    return path


def looked_back(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """By isee's help: 0 where the time is later than now or before the first; here all times are those of steps."""
    result = np.zeros(len(TIMES))
    for row, (now, then) in enumerate(zip(TIMES, at, strict=True)):
        if TIMES[0] <= then <= now:
            result[row] = values[np.flatnonzero(then == TIMES)[0]]
    return result


@pytest.mark.parametrize("engine", ["native", "numpy", "wasm"])
@pytest.mark.parametrize("method", ["Euler", "RK4"])
def test_history_gives_the_value_of_a_time_of_the_run_and_0_outside_of_it(
    tmp_path: Path, engine: str, method: str
) -> None:
    path = xmile(
        tmp_path / "m.xmile",
        method,
        x="TIME * TIME",
        lag="2",
        before="HISTORY(x, TIME - 2)",
        named="HISTORY(x, TIME - lag)",
        fixed="HISTORY(x, 3)",
        now="HISTORY(x, TIME)",
        later="HISTORY(x, TIME + 1)",
        never="HISTORY(x, 0.3)",
        moving="HISTORY(x, TIME - 1 - STEP(2, 4))",
        begun="INIT(HISTORY(x, 1)) + INIT(HISTORY(x, 0))",
    )
    run = simulate(read_model(path), engine=engine)
    x = TIMES**2
    for name, at in {
        "before": TIMES - 2,
        "named": TIMES - 2,
        "fixed": np.full(len(TIMES), 3.0),
        "now": TIMES,
        "later": TIMES + 1,
        "never": np.full(len(TIMES), 0.3),
        "moving": TIMES - 1 - 2 * (TIMES >= 4),
    }.items():
        assert np.array_equal(run[name], looked_back(x, at)), name
    assert (run["begun"] == 1).all()


def test_what_was_seen_may_decide_on_what_is_looked_back_at(tmp_path: Path) -> None:
    path = xmile(tmp_path / "m.xmile", steps="1 + HISTORY(SELF, TIME - DT)", a="b + 1", b="HISTORY(a, TIME - 1) * 2")
    run = simulate(read_model(path))
    assert np.array_equal(run["steps"], np.arange(1, 12))
    assert run["a"].values.tolist() == [1, 1, 3, 3, 7, 7, 15, 15, 31, 31, 63]
    with pytest.raises(CiparkError, match=r"a -> b -> a|b -> a -> b"):
        simulate(read_model(xmile(tmp_path / "m.xmile", a="b + 1", b="HISTORY(a, TIME - STEP(1, 2)) * 2")))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_time_between_two_steps_and_a_lag_that_vanishes_are_no_numbers(tmp_path: Path) -> None:
    """Whether Stella interpolates is documented nowhere; the run names the variable."""
    path = xmile(tmp_path / "m.xmile", x="TIME", lag="1", between="HISTORY(x, 3.2)", back="HISTORY(x, TIME - lag)")
    run = simulate(read_model(path))
    assert np.array_equal(np.isnan(run["between"]), TIMES > 3.2)
    assert np.isnan(simulate(read_model(path), {"lag": 0.0})["back"]).all()
    with pytest.warns(RuntimeWarning, match="'between' is no finite number at time 3.5"):
        ensemble(read_model(path), {"lag": [1.0]}, save=["between"])
    with pytest.raises(CiparkError, match=r"HISTORY\(input, time\) takes 2 arguments, here are 3"):
        read_model(xmile(tmp_path / "m.xmile", x="1", y="HISTORY(x, 1, 2)"))


def test_runs_of_an_ensemble_look_back_each_at_their_own_course(tmp_path: Path) -> None:
    path = xmile(tmp_path / "m.xmile", a="1", x="a * TIME", lag="1", back="HISTORY(x, TIME - lag)")
    model = read_model(path)
    draws = {"a": np.linspace(1, 3, 70), "lag": np.resize([0.5, 1.0, 2.5, 9.0], 70)}
    many = ensemble(model, draws, save=["back"])["back"].values
    for number, (a, lag) in enumerate(zip(*draws.values(), strict=True)):
        assert np.array_equal(many[number], looked_back(a * TIMES, TIMES - lag)), number
    _, slopes = value_and_jacobian(model, {"a": 2.0}, save=["back"])
    assert np.array_equal(slopes["back"].values.reshape(-1), looked_back(TIMES, TIMES - 1))
    with pytest.raises(CiparkError, match=r"HISTORY.*take differences of runs"):
        value_and_gradient(model, {"a": 2.0}, {"back": 1.0}, save=["back"])


def arrived(entering: np.ndarray, steps: np.ndarray, first: float) -> np.ndarray:
    """What leaves at each step: of the start in each of the first steps, and all that has come through."""
    result = np.zeros(len(entering))
    result[: steps[0]] = first
    for step, (value, later) in enumerate(zip(entering, steps, strict=True)):
        if step + later < len(result):
            result[step + later] += value
    return result


@pytest.mark.parametrize("engine", ["native", "numpy", "wasm"])
@pytest.mark.parametrize("method", ["euler", "rk4"])
def test_delay_material_adds_up_what_leaves_together(write_mdl: Write, engine: str, method: str) -> None:
    """Vensim's manual: a delay that shortens adds, one that lengthens leaves gaps, of the missing value."""
    path = write_mdl(
        "time back = 2 - STEP(1.5, 2) + STEP(4, 6) ~~|\nentering = Time + 1 ~~|\n"
        "out = DELAY MATERIAL(entering, time back, 7, 0) ~~|\n",
        final=12,
        step=0.5,
    )
    model = read_model(path)
    run = simulate(model, engine=engine, method=method)
    times = np.arange(0, 12.5, 0.5)
    steps = ((2 - 1.5 * (times >= 2) + 4 * (times >= 6)) / 0.5).astype(int)
    assert np.array_equal(run["out"], arrived(times + 1, steps, 7.0))


def test_delay_material_takes_no_other_missing_value_and_is_written_again(write_mdl: Write, tmp_path: Path) -> None:
    equations = "d = 1 + STEP(1, 2) ~~|\nout = DELAY MATERIAL(Time, d, 7, {missing}) ~~|\n"
    model = read_model(write_mdl(equations.format(missing=0)))
    to_file(model, tmp_path / "again.mdl")
    assert np.array_equal(simulate(read_model(tmp_path / "again.mdl"))["out"], simulate(model)["out"])
    assert "out = DELAY MATERIAL(Time, d, 7, 0)" in (tmp_path / "again.mdl").read_text()
    with pytest.raises(CiparkError, match="DELAY MATERIAL is computed with a missing value of 0"):
        read_model(write_mdl(equations.format(missing=5)))


def test_a_conveyor_and_previous_are_written_as_equations_of_their_own(tmp_path: Path) -> None:
    """In Vensim a fixed delay has to follow the equals sign."""
    path = xmile(tmp_path / "m.xmile", x="TIME", y="1 + PREVIOUS(x, 3) * PREVIOUS(x + 1, 4)")
    model = read_model(path)
    to_file(model, tmp_path / "m.mdl")
    text = (tmp_path / "m.mdl").read_text()
    assert "y = 1 + y delayed * y delayed 2" in text
    assert "y delayed = DELAY FIXED(x, TIME STEP, 3)" in text
    assert np.array_equal(simulate(read_model(tmp_path / "m.mdl"))["y"], simulate(model)["y"])
    path = xmile(tmp_path / "m.xmile", x="TIME", y="HISTORY(x, 2)")
    with pytest.raises(CiparkError, match="HISTORY"):
        to_file(read_model(path), tmp_path / "m.mdl")
