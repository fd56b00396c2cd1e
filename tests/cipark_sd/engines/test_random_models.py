"""Models that nobody wrote: every engine has to agree with PySD on them, and a disagreement shrinks to its cause."""

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cipark_sd.ensembles import ensemble
from cipark_sd.frontends.model_file import read_model
from cipark_sd.scenarios import Scenario
from cipark_sd.simulation import simulate

#: Two programs round sums and powers in another way; a value that is the small difference of large ones keeps the
#: rounding of the large ones, so it is measured against the largest value of the whole model.
ROUNDING = 1e-10
N_STOCKS = 3
#: A function of the model's own, with a stock in it.
MACRO = """:MACRO: blend(input, pace)
blend = (input + kept) / 2 ~~|
kept = INTEG((SIN(input) - kept) / (1 + pace), 0.5) ~~|
:END OF MACRO:"""
#: Models of the thorough test; more of them by the environment, for whoever has changed an engine.
MANY = int(os.environ.get("CIPARK_RANDOM_MODELS", "200"))

names = st.sampled_from([f"c{i}" for i in range(3)] + [f"S{i}" for i in range(N_STOCKS)] + ["Time"])
numbers = st.sampled_from(["0.5", "1", "2", "3.25", "7"])


def _joined(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Expressions one level deeper; divisors and arguments are kept where both engines have a finite value."""
    return st.one_of(
        st.tuples(parts, st.sampled_from("+-*"), parts).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(parts, parts).map(lambda t: f"({t[0]} / (1 + ABS({t[1]})))"),
        st.tuples(parts, st.sampled_from(["0.5", "1.5", "2"])).map(lambda t: f"(ABS({t[0]}) + 0.1)^{t[1]}"),
        st.tuples(st.sampled_from(["SIN", "ARCTAN", "TANH", "ABS"]), parts).map(lambda t: f"{t[0]}({t[1]})"),
        st.tuples(st.sampled_from(["MIN", "MAX"]), parts, parts).map(lambda t: f"{t[0]}({t[1]}, {t[2]})"),
        st.tuples(parts, st.sampled_from(["<", ">="]), parts, parts, parts).map(
            lambda t: f"IF THEN ELSE({t[0]} {t[1]} {t[2]}, {t[3]}, {t[4]})"
        ),
        st.tuples(parts, parts).map(lambda t: f"ZIDZ({t[0]}, INTEGER({t[1]}))"),
        st.tuples(parts, parts).map(lambda t: f"MODULO({t[0]}, 1 + ABS({t[1]}))"),
        # of names only: PySD loses the parentheses of a negated quotient
        names.map(lambda name: f"(-{name})"),
        st.tuples(parts, numbers).map(lambda t: f"STEP({t[0]}, {t[1]})"),
        st.tuples(numbers, numbers).map(lambda t: f"PULSE({t[0]}, {t[1]})"),
        parts.map(lambda p: f"table({p})"),
        st.tuples(parts, numbers).map(lambda t: f"blend({t[0]}, {t[1]})"),
    )


expressions = st.recursive(st.one_of(names, numbers), _joined, max_leaves=6)
memories = st.tuples(
    st.sampled_from(["SMOOTH({0}, {1})", "SMOOTH3I({0}, {1}, 0.5)", "DELAY1I({0}, {1}, 1.5)", "DELAY3({0}, {1})"]),
    expressions,
    numbers,
).map(lambda t: t[0].format(t[1], t[2]))


@st.composite
def models(draw: st.DrawFn) -> str:
    """The equations of a model whose stocks are held together by decay, so that none runs away."""
    lines = [MACRO, *(f"c{i} = {draw(numbers)} ~~|" for i in range(3))]
    lines.append("table((-2,1),(0,2.5),(1,0.5),(4,3)) ~~|")
    lines += [f"x{i} = {draw(expressions)} ~~|" for i in range(3)]
    lines.append(f"m = {draw(memories)} ~~|")
    lines += ["side: left, right ~~|", f"weight[side] = {draw(numbers)}, {draw(numbers)} ~~|"]
    lines.append(f"part[side] = INTEG(weight[side] * SIN({draw(expressions)}) - part[side] / 3, weight[side]) ~~|")
    lines.append("whole = SUM(part[side!]) + part[left] ~~|")
    for i in range(N_STOCKS):
        inflow = draw(st.sampled_from(["x0", "x1", "x2", "m", "whole"]))
        lines.append(f"S{i} = INTEG(SIN({inflow}) - S{i} / 4, {draw(numbers)}) ~~|")
    return "\n".join(lines) + "\n"


def _agree(equations: str, folder: Path) -> None:
    path = folder / "model.mdl"
    controls = "INITIAL TIME = 0 ~~|\nFINAL TIME = 4 ~~|\nTIME STEP = 0.25 ~~|\nSAVEPER = 0.25 ~~|\n"
    path.write_text("{UTF-8}\n" + equations + controls)
    model = read_model(path)
    save = ["x0", "x1", "x2", "m", "part", "whole", *(f"s{i}" for i in range(N_STOCKS))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = simulate(model, save=save, engine="pysd")
    native, slow = (
        ensemble(model, [Scenario()], save=save, engine=engine, failures="leave") for engine in ("native", "numpy")
    )
    largest = max(1.0, *(float(np.abs(reference[name]).max()) for name in save))
    for name in save:
        np.testing.assert_array_equal(native[name].to_numpy(), slow[name].to_numpy(), err_msg=name)
        np.testing.assert_allclose(
            native[name][0], reference[name], rtol=0, atol=ROUNDING * largest, err_msg=f"{name} in\n{equations}"
        )


_CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=15, deadline=None, derandomize=True, database=None, suppress_health_check=_CHECKS)
@given(models())
def test_a_random_model_runs_the_same_in_every_engine(tmp_path_factory: pytest.TempPathFactory, equations: str) -> None:
    _agree(equations, tmp_path_factory.mktemp("random"))


@pytest.mark.slow
@settings(max_examples=MANY, deadline=None, derandomize=True, database=None, suppress_health_check=_CHECKS)
@given(models())
def test_many_random_models_run_the_same(tmp_path_factory: pytest.TempPathFactory, equations: str) -> None:
    _agree(equations, tmp_path_factory.mktemp("random"))
