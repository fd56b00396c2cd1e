"""PULSE of XMILE: each pulse is one step, at the first time point at or after its time, on the grid or not."""

import math
from pathlib import Path

import numpy as np
import pytest
from stella import stella

from cipark_sd.base.errors import UnsupportedFeature
from cipark_sd.language.read.model_file import read_model
from cipark_sd.language.write.mdl import write_mdl
from cipark_sd.language.write.xmile import write_xmile
from cipark_sd.simulations.simulation import simulate

pytestmark = pytest.mark.usefixtures("wasm")

#: Calls with their first pulse and their interval; 0 is none.
CALLS = {
    "PULSE(3, 1.1)": (1.1, 0.0),
    "PULSE(3, 1.1, 2)": (1.1, 2.0),
    "PULSE(3, 1.2, 2.1)": (1.2, 2.1),
    "PULSE(3, 1, 2)": (1.0, 2.0),
    "PULSE(3, 2)": (2.0, 0.0),
    "PULSE(3, 0.13, 0)": (0.13, 0.0),
    "PULSE(3, start, apart)": (1.1, 0.7),
}


@pytest.mark.parametrize("method", ["Euler", "RK4"])
@pytest.mark.parametrize("dt", ["0.25", "0.1"])
def test_each_pulse_happens_once_on_the_grid_or_not(tmp_path: Path, dt: str, method: str) -> None:
    flows = "".join(f'<flow name="f{i}"><eqn>{call}</eqn></flow>' for i, call in enumerate(CALLS))
    stocks = "".join(f'<stock name="s{i}"><eqn>0</eqn><inflow>f{i}</inflow></stock>' for i in range(len(CALLS)))
    given = '<aux name="start"><eqn>1.1</eqn></aux><aux name="apart"><eqn>0.7</eqn></aux>'
    model = read_model(stella(tmp_path / "m.stmx", flows + stocks + given, dt=dt, stop="6", method=method))
    write_xmile(model, tmp_path / "again.stmx")
    runs = [simulate(model), simulate(model, engine="numpy"), simulate(read_model(tmp_path / "again.stmx"))]
    if method == "Euler":
        write_mdl(model, tmp_path / "m.mdl")
        runs.append(simulate(read_model(tmp_path / "m.mdl")))
    step, n = float(dt), round(6 / float(dt)) + 1
    for i, (first, interval) in enumerate(CALLS.values()):
        expected = np.zeros(n)
        times = [first + k * interval for k in range(20 if interval else 1)]
        for place in (math.ceil(time / step - 1e-9) for time in times):
            expected[place : place + 1] = 3 / step
        for run in runs:
            np.testing.assert_allclose(run[f"f{i}"], expected, rtol=1e-15, err_msg=f"f{i}")
            np.testing.assert_array_equal(run[f"f{i}"], runs[0][f"f{i}"])
        # the quantity has come in whole, whatever the method
        np.testing.assert_allclose(runs[0][f"s{i}"][-1], expected[:-1].sum() * step, rtol=1e-12)


@pytest.mark.parametrize("engine", ["native", "numpy", "wasm"])
@pytest.mark.parametrize("method", ["Euler", "RK2", "RK4"])
def test_a_pulse_takes_what_there_is_at_the_beginning_of_its_step(tmp_path: Path, method: str, engine: str) -> None:
    """As Stella's recorded run of PANDEM's model_01 has it; stage by stage 0.4 of 1 would stay under RK4.

    One a year flows in: what a pulse leaves is what has come in during its step.
    """
    flows = "".join(
        f'<stock name="S{i}"><eqn>3</eqn><inflow>in{i}</inflow><outflow>out{i}</outflow></stock>'
        f'<stock name="T{i}"><eqn>0</eqn><inflow>out{i}</inflow></stock>'
        f'<flow name="in{i}"><eqn>1</eqn></flow><flow name="out{i}"><eqn>{pulse.format(f"S{i}")}</eqn></flow>'
        for i, pulse in enumerate(("PULSE({}, 1, 1)", "PULSE({}, 2)", "PULSE({})"))
    )
    model = read_model(stella(tmp_path / "m.stmx", flows, dt="0.25", stop="4", method=method))
    run = simulate(model, engine=engine)
    after = [0.25, 0.5, 0.75, 1.0]
    np.testing.assert_allclose(run["s0"], [3, 3.25, 3.5, 3.75, 4, *(after * 3)], rtol=1e-15)
    np.testing.assert_allclose(run["s1"], [*np.arange(3, 5.1, 0.25), *np.arange(0.25, 2.1, 0.25)], rtol=1e-15)
    np.testing.assert_allclose(run["s2"], [3, *[0.25] * 16], rtol=1e-15)
    for i in range(3):
        np.testing.assert_allclose(run[f"s{i}"] + run[f"t{i}"], 3 + run["time"], rtol=1e-15)


@pytest.mark.parametrize("engine", ["native", "numpy", "wasm"])
def test_under_runge_kutta_vensims_inputs_move_from_step_to_step(tmp_path: Path, engine: str) -> None:
    """Vensim's manual says so of RAMP and STEP; Stella's RAMP moves within a step, as pysimlin has it.

    S' = 2 (t - 1) from 1 on is a parabola where it is followed, and a sum of rectangles where it is not.
    """
    text = "s = INTEG(RAMP(2, 1, 3), 0) ~~|\nr = INTEG(STEP(r, 1), 1) ~~|\n"
    controls = "INITIAL TIME = 0 ~~|\nFINAL TIME = 4 ~~|\nTIME STEP = 1 ~~|\nSAVEPER = 1 ~~|\n"
    (tmp_path / "v.mdl").write_text(f"{{UTF-8}}\n{text}{controls}\\\\\\---/// Sketch\n///---\\\\\\\n15:0,0,0,5,0,0\n")
    model = read_model(tmp_path / "v.mdl")
    assert model.time.method == "rk4"
    run = simulate(model, engine=engine)
    np.testing.assert_array_equal(run["s"], [0, 0, 0, 2, 6])
    np.testing.assert_allclose(run["r"], [1, 1, 2, 4, 8], rtol=1e-15)
    flow = '<stock name="S"><eqn>0</eqn><inflow>f</inflow></stock><flow name="f"><eqn>RAMP(2, 1, 3)</eqn></flow>'
    followed = read_model(stella(tmp_path / "m.stmx", flow, stop="4", method="RK4"))
    write_mdl(followed, tmp_path / "again.mdl")
    for read in (followed, read_model(tmp_path / "again.mdl")):
        np.testing.assert_allclose(simulate(read, engine=engine)["s"], [0, 0, 1, 4, 8], rtol=1e-15, atol=1e-15)
    with pytest.raises(UnsupportedFeature, match="RAMP under Runge-Kutta, over whose steps Vensim holds it"):
        write_xmile(model, tmp_path / "v.stmx")


def test_another_engine_has_the_same_pulses(tmp_path: Path) -> None:
    pysimlin = pytest.importorskip("simlin")
    flows = "".join(f'<flow name="f{i}"><eqn>{call}</eqn></flow>' for i, call in enumerate(list(CALLS)[:6]))
    path = stella(tmp_path / "m.stmx", flows, dt="0.25", stop="6")
    theirs = pysimlin.load(path).run().results
    ours = simulate(read_model(path))
    for i in range(6):
        np.testing.assert_allclose(ours[f"f{i}"], theirs[f"f{i}"].to_numpy(), err_msg=f"f{i}")
