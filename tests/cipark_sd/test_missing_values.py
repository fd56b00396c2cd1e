"""Vensim's ``:NA:`` is a number of the model: no run fails by it, and nobody sees the number."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from places import ROOT

from cipark_sd.analysis.experiments.definition import Outcome
from cipark_sd.analysis.experiments.draws import Draws
from cipark_sd.analysis.experiments.run import SettingsTask
from cipark_sd.analysis.runs.design import Listed
from cipark_sd.analysis.runs.work import Work
from cipark_sd.data.scenarios import Scenario
from cipark_sd.engines.wasm.carried import carried
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.model import Model
from cipark_sd.pages.player.page import native_base
from cipark_sd.simulations.ensembles import ensemble
from cipark_sd.simulations.failures import REASON
from cipark_sd.simulations.simulation import course, simulate
from cipark_sd.verify.checks.file import Checks
from cipark_sd.verify.checks.run import run_checks

#: ``seen`` is missing up to 2; ``broken`` is no number where k is 0.
MODEL = """
A: a1, a2 ~~|
S = INTEG(1, 0) ~~|
Low = INTEG(IF THEN ELSE(Time = 1, :NA: - Low, IF THEN ELSE(Low = :NA:, 5 - :NA:, 0)), 5) ~ [0,?] ~|
seen = IF THEN ELSE(Time < 2, :NA:, S) ~~|
part[a1] = seen ~~|
part[a2] = S ~~|
k = 1 ~~|
broken = LN(k) * 0 + S ~~|
"""
MISSING = [True, True, False, False]


@pytest.fixture
def model(write_mdl: Callable[..., Path]) -> Model:
    return read_model(write_mdl(MODEL, final=3, step=1))


@pytest.mark.parametrize("engine", ["native", "numpy"])
def test_a_stored_run_with_a_missing_value_is_no_failed_one(model: Model, engine: str) -> None:
    stored = Work(model, Listed(("k",), np.array([[1.0], [0.0]])), ("seen", "part", "low", "broken"), engine=engine)
    found = stored.compute(0, 2)
    assert (found[REASON] > 0).tolist() == [False, True]
    assert np.isnan(found["seen"]).tolist() == [MISSING, MISSING]
    assert np.isnan(found["part"][0]).any(axis=1).tolist() == MISSING
    assert np.isnan(found["low"][0]).tolist() == [False, False, True, False]


def test_an_outcome_may_be_missing_under_a_policy_and_no_infinite_one(model: Model) -> None:
    draws = Draws("", {"k": np.array([1.0, 0.0])}, "prior")
    for outcome in (
        Outcome("a", "A", "seen", low=0),
        Outcome("b", "B", "part", low=0),
        Outcome("c", "C", "S", per="seen"),
    ):
        found = SettingsTask(model, Scenario(), draws, (outcome,), (0, 1, 2, 3), Scenario(), "native").run()
        assert np.isnan(found["values"][0]).tolist() == [MISSING, MISSING]
        assert not found[REASON].any()
    read = ((Outcome("d", "D", "broken"),), (0, 3))
    broken = SettingsTask(model, Scenario(), draws, *read, Scenario(), "native").run()
    assert (broken[REASON] > 0).tolist() == [False, True]


def test_a_check_looks_for_what_left_the_numbers_and_a_run_ends_with_them(write_mdl: Callable[..., Path]) -> None:
    # at half the step the stock takes in half of a missing value
    lines = [line for line in MODEL.splitlines() if not line.startswith("Low")]
    model = read_model(write_mdl("\n".join(lines), final=3, step=1))

    def finite(scenario: Scenario) -> str:
        checks = Checks(runs={"r": scenario})
        outcomes = run_checks(model, checks, simulate, progress=lambda name, total: None)  # type: ignore[arg-type]
        return next(outcome.status for outcome in outcomes if outcome.id == "finite")

    assert (finite(Scenario("r")), finite(Scenario("r", {"k": 0}))) == ("pass", "fail")
    ends = [course(model, Scenario("r", {"k": k}), engine="native").ends_without_numbers for k in (1, 0)]
    assert ends == [False, True]


def test_ensembles_show_no_number_and_leave_it_to_those_who_judge(model: Model) -> None:
    assert np.isnan(ensemble(model, [Scenario()], save=["seen"])["seen"][0]).values.tolist() == MISSING
    left = ensemble(model, [Scenario()], save=["seen"], failures="leave")["seen"][0].values
    assert left.tolist() == [-(2.0**109)] * 2 + [2.0, 3.0]


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_a_page_shows_no_number_and_its_digest_is_of_what_it_shows(model: Model, tmp_path: Path) -> None:
    made = carried(model, save=["seen"])
    (tmp_path / "model.wasm").write_bytes(made.module)
    kernel = json.dumps(str(ROOT / "cipark_sd/pages/player/kernel.js"))
    script = f"""require({kernel}).Kernel.of(require("fs").readFileSync("model.wasm")).then((model) =>
        console.log(JSON.stringify(Array.from(model.run({{}}, 1)))));"""
    done = subprocess.run(["node", "-e", script], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == [None, None, 2, 3]
    assert np.isnan(native_base(made, {}, {}, 1)[0, :, 0]).tolist() == MISSING
