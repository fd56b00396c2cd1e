"""One plan for all engines: what each makes of the same runs, and what a plan refuses."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from value_and_gradient import value_and_gradient

from cipark_sd.base.errors import InvalidValue, UnknownName, UnsupportedFeature
from cipark_sd.data.scenarios import Scenario
from cipark_sd.engines import registry
from cipark_sd.engines.base import Reduction
from cipark_sd.engines.evaluation import Evaluation
from cipark_sd.engines.plan import plan
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.expr import Ref
from cipark_sd.model.model import Model, as_flat
from cipark_sd.simulations.ensembles import ensemble
from cipark_sd.simulations.simulation import simulate

Write = Callable[..., Path]
POOLS = """
Region : North, South ~~|
rate[North] = 0.1 ~~| rate[South] = 0.3 ~~|
outside = 2 ~~|
pool[Region] = INTEG(outside - rate[Region] * pool[Region], 10) ~~|
"""


@pytest.fixture
def model(write_mdl: Write) -> Model:
    return read_model(write_mdl(POOLS, final=3, step=0.5))


@pytest.mark.parametrize("engine", registry.names())
def test_many_runs_are_single_runs_on_every_engine(model: Model, engine: str) -> None:
    """A constant, one element of another, and where a stock begins."""
    draws = {"outside": [2.0, 5.0], "rate[South]": [0.3, 0.7], "pool[North]": [10.0, 1.0]}
    shared = Scenario("", {"rate[North]": 0.2})
    many = ensemble(model, draws, save=["pool"], times=[0, 1, 3], scenario=shared, engine=engine)
    for run in range(2):
        own = shared | Scenario("", {name: values[run] for name, values in draws.items()})
        single = simulate(model, own, save=["pool"], times=[0, 1, 3], engine=engine)
        np.testing.assert_array_equal(many["pool"].to_numpy()[run], single["pool"].to_numpy())
    assert many.attrs["engine"] == engine
    assert not np.array_equal(many["pool"][0], many["pool"][1])


def test_a_plan_that_ends_with_the_last_time_changes_no_bit(model: Model) -> None:
    whole = plan(model, Scenario(), save=["pool"], times=[0.5, 1], method=None)
    short = whole.to_the_last_time()
    assert short.grid.times.tolist() == [0, 0.5, 1]
    assert short.times.tolist() == whole.times.tolist() == [0.5, 1]
    for name in registry.names():
        runs = [registry.choose(name).run(one, one.settings, np.zeros(1, dtype=np.uint64)) for one in (whole, short)]
        np.testing.assert_array_equal(*runs)


def test_single_and_many_runs_refuse_a_save_period_that_does_not_fit(model: Model) -> None:
    odd = Scenario("", saveper=0.75)
    for run in (
        lambda: simulate(model, odd, engine="native"),
        lambda: ensemble(model, {"outside": [1.0]}, save=["pool"], scenario=odd, engine="native"),
        lambda: ensemble(model, [odd], save=["pool"], engine="native"),
        lambda: value_and_gradient(model, {"outside": 1.0}, {"pool": 1.0}, save=["pool"], scenario=odd),
    ):
        with pytest.raises(InvalidValue, match=r"the save period is 0\.75, expected a multiple of the time step 0.5"):
            run()


@pytest.mark.parametrize("engine", registry.names())
def test_every_engine_takes_control_variables_that_the_file_computes(write_mdl: Write, engine: str) -> None:
    path = write_mdl("years = 2 ~~| pool = INTEG(1, 0) ~~|", final=9, step=1)
    path.write_text(path.read_text().replace("FINAL TIME = 9", "FINAL TIME = years + 1"))
    run = simulate(read_model(path), save=["pool"], engine=engine)
    assert run["time"].to_numpy().tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(run["pool"], [0, 1, 2, 3], rtol=1e-9)


def test_what_an_engine_does_not_do_it_refuses(model: Model) -> None:
    total = {"total": Reduction("sum", Ref("pool[north]"))}
    with pytest.raises(UnsupportedFeature, match="the engine pysd"):
        ensemble(model, {"outside": [1.0]}, save=[], reduce=total, engine="pysd")
    with pytest.raises(InvalidValue, match="derivatives: native, numpy"):
        value_and_gradient(model, {"outside": 1.0}, {"pool": 1.0}, save=["pool"], engine="pysd")
    with pytest.raises(UnknownName, match="did you mean 'native'"):
        simulate(model, engine="nativ")


def test_a_model_with_subscripts_is_no_flat_one(model: Model) -> None:
    with pytest.raises(ValueError, match="has subscripts or macros"):
        as_flat(model)


def test_a_run_that_takes_numpy_long_is_said_before_it_begins(
    write_mdl: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Evaluation, "outputs", lambda run: np.zeros((1, 1, 1)))

    def said(final: int) -> str:
        long = read_model(write_mdl("x = INTEG(-x / 5, 1) ~~|", final=final, step=1, saveper=str(final)))
        simulate(long, save=["x"], times=[final], engine="numpy")
        return capsys.readouterr().err

    assert said(10_000) == ""
    assert said(10_000_000).startswith("numpy takes an operation at a time: 10,000,001 steps take about ")
