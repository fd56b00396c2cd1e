"""A plan run again and again has the bits of runs made anew."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cipark_sd.data.scenarios import Scenario, TimeSeries
from cipark_sd.engines.base import with_numbers
from cipark_sd.engines.compiled import CompiledEngine, Repeated
from cipark_sd.engines.plan import plan
from cipark_sd.engines.registry import choose
from cipark_sd.language.read.model_file import read_model

Write = Callable[..., Path]
MODEL = """
rate = 0.1 ~~| delay = 2 ~~| stages = 3 ~~| outside = 2 ~~|
inflow = outside * (1 + RANDOM UNIFORM(0, 1, 1)) ~~|
pool = INTEG(inflow - rate * pool, 10) ~~|
late = DELAY N(pool, delay, 0, stages) ~~|
"""
NAMES = {"rate": False, "stages": False, "pool": True}


@pytest.mark.parametrize("n", [1, 3, 100])
@pytest.mark.parametrize("stages", [(3,), (2, 3)], ids=["one program", "a program for each order"])
@pytest.mark.parametrize("engine", ["native", "numpy"])
def test_outputs_that_are_picked_are_those_of_a_run(
    write_mdl: Write, engine: str, stages: tuple[int, ...], n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # of thirteen blocks two at a time
    monkeypatch.setattr("cipark_sd.engines.native.engine.TAPE", 800)
    chosen = choose(engine)
    assert isinstance(chosen, CompiledEngine)
    whole = plan(
        read_model(write_mdl(MODEL, final=6)),
        Scenario("", {"outside": 3}),
        save=("late", "pool"),
        times=(1, 2, 6),
        method=None,
    )
    rng = np.random.default_rng(n)
    repeated = Repeated(chosen, whole, whole.settings, NAMES)
    outputs, times = np.array([0, 1, 1]), np.array([2, 0, 1])
    for _ in range(2):
        values = np.stack([rng.uniform(0.1, 0.5, n), rng.choice(stages, n), rng.uniform(1, 9, n)], axis=1)
        runs = np.arange(n, dtype=np.uint64)
        expected = chosen.run(whole, with_numbers(whole.settings, NAMES, values), runs)
        found = repeated.at(values, times * len(whole.outputs) + outputs)
        np.testing.assert_array_equal(found, expected[outputs, times])


def test_what_is_made_of_inputs_holds_for_their_runs_alone(write_mdl: Write) -> None:
    """Blocks of four, eight and sixteen runs in any order, and other instants, have the bits of inputs made anew."""
    engine = choose("native")
    assert isinstance(engine, CompiledEngine)
    every = Scenario("", {"outside": TimeSeries((0.0, 6.0), (1.0, 4.0))})
    whole = plan(read_model(write_mdl(MODEL, final=6)), every, save=("late", "pool"), times=None, method=None)
    repeated = Repeated(engine, whole, whole.settings, NAMES)
    rng = np.random.default_rng(5)
    inputs = {
        n: repeated._inputs(np.stack([rng.uniform(0.1, 0.5, n), np.full(n, 3.0), rng.uniform(1, 9, n)], axis=1))
        for n in (1, 100, 3, 20)
    }
    last = np.arange(len(whole.saved)) == len(whole.saved) - 1
    for of_runs in (*inputs.values(), *inputs.values()):
        fresh = replace(of_runs, seed=whole.seed)
        assert of_runs.made is inputs[1].made
        assert not fresh.made
        values = engine.execute(repeated._program, of_runs)
        np.testing.assert_array_equal(values, engine.execute(repeated._program, fresh))
        at_end = engine.execute(repeated._program, replace(of_runs, saved=last))
        np.testing.assert_array_equal(at_end, values[:, -1:])
