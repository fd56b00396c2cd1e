"""Many runs: overrides, reductions, and that nothing of how they are computed shows."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cipark_sd.base.errors import InvalidValue, OffGrid, UnknownName
from cipark_sd.data.scenarios import Scenario, TimeSeries
from cipark_sd.engines.base import Reduction, Settings
from cipark_sd.engines.native.elementary import LANES
from cipark_sd.engines.native.engine import lanes_for
from cipark_sd.engines.native.object_code import CacheWarning
from cipark_sd.engines.programs import program_for
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.expr import Binary, Const, Ref, Table
from cipark_sd.model.model import Model
from cipark_sd.simulations.ensembles import LEAST, MOST, SHARES, chunk_size, ensemble

EQUATIONS = """
Own: SOE, Private ~~|
rate[Own] = 0.1, 0.2 ~~|
k = 2 ~~|
shape((0,0),(10,1)) ~~|
effect = shape(k) ~~|
x[Own] = INTEG(rate[Own] * x[Own], 1) ~~|
y = SMOOTH3(SUM(x[Own!]) * effect, k) ~~|
late = DELAY N(SUM(x[Own!]), k, 2, 3) ~~|
noise = RANDOM UNIFORM(0, 1, 0) + RANDOM UNIFORM(0, 1, 0) ~~|
"""


@pytest.fixture
def model(write_mdl: Callable[..., Path]) -> Model:
    return read_model(write_mdl(EQUATIONS))


@pytest.mark.parametrize("engine", ["native", "numpy"])
def test_a_constant_an_initial_stock_a_lookup_and_a_series_can_be_set_for_each_run(model: Model, engine: str) -> None:
    runs = [
        Scenario("base"),
        Scenario("element", {"rate[SOE]": 0.0}),
        Scenario("stock", {"x": [5, 6]}),
        Scenario("table", {"shape": Table((0, 10), (2, 2))}),
        Scenario("series", {"k": TimeSeries((0, 10), (1, 3))}),
        Scenario("other series", {"k": TimeSeries((0, 10), (1, 4))}),
    ]
    result = ensemble(model, runs, save=["x", "effect", "k"], engine=engine)
    assert list(result.scenario) == [run.name for run in runs]
    assert (result.x[1, :, 0] == 1).all()
    np.testing.assert_array_equal(result.x[2, 0], [5, 6])
    assert (result.effect[3] == 2).all()
    np.testing.assert_allclose(result.k[4, [0, 20, 40]], [1, 2, 3])
    np.testing.assert_allclose(result.k[5, [0, 20, 40]], [1, 2.5, 4])
    np.testing.assert_allclose(result.effect[0], 0.2)


def test_the_result_does_not_depend_on_chunks_workers_or_engine(model: Model) -> None:
    draws = {"k": np.linspace(0.3, 4, 50), "x[SOE]": np.linspace(1, 2, 50)}
    save = ["x", "y", "late", "noise"]
    whole = ensemble(model, draws, save=save, workers=1)
    assert whole.equals(ensemble(model, draws, save=save, workers=2, chunk=7))
    assert whole.equals(ensemble(model, draws, save=save, engine="numpy", chunk=13))


def test_a_delay_that_is_shorter_than_its_steps_has_fewer_stages_in_that_run_only(model: Model) -> None:
    together = ensemble(model, {"k": [0.3, 2.0]}, save=["late"])
    for run, k in enumerate([0.3, 2.0]):
        np.testing.assert_array_equal(together.late[run], ensemble(model, {"k": [k]}, save=["late"]).late[0])


def test_random_numbers_are_uniform_and_those_of_two_calls_and_two_runs_differ(model: Model) -> None:
    noise = ensemble(model, [Scenario()] * 400, save=["noise"], seed=5).noise.to_numpy()
    # the sum of two independent uniform numbers: mean 1, variance 1/6; five standard errors of 16,400 draws
    assert abs(noise.mean() - 1) < 5 * np.sqrt(1 / 6 / noise.size)
    assert abs(noise.var() - 1 / 6) < 0.01
    assert not np.array_equal(noise[0], noise[1])
    assert not np.array_equal(noise, ensemble(model, [Scenario()] * 400, save=["noise"], seed=6).noise.to_numpy())


def test_normal_random_numbers_have_the_distribution_that_they_should(write_mdl: Callable[..., Path]) -> None:
    from scipy.stats import kstest, truncnorm

    model = read_model(write_mdl("z = RANDOM NORMAL(-1, 3, 0.5, 2, 0) ~~|\n", final=1))
    drawn = ensemble(model, [Scenario()] * 2000, save=["z"], seed=2).z.to_numpy().ravel()
    assert kstest(drawn, truncnorm(-0.75, 1.25, loc=0.5, scale=2).cdf).pvalue > 1e-3


def test_normal_quantiles_are_exact_to_a_few_units_in_the_last_place() -> None:
    from scipy.special import ndtri

    from cipark_sd.compiler.functions.chance import quantile
    from cipark_sd.compiler.graph import Graph

    graph = Graph()
    for p in (1e-300, 1e-20, 1e-9, 0.01, 0.2, 0.5, 0.6, 0.93, 0.999999):
        assert quantile(graph, graph.const(p)).number == pytest.approx(ndtri(p), rel=1e-14, abs=1e-16)


@pytest.mark.parametrize("engine", ["native", "numpy"])
def test_a_reduction_equals_the_same_sum_over_the_saved_series(model: Model, engine: str) -> None:
    draws = {"k": np.linspace(1, 4, 20)}
    seen = TimeSeries((0.0, 2.5, 5.0, 10.0), (0.1, 0.3, 0.5, 1.0))
    miss = Binary("-", Ref("y"), Ref("seen"))
    squares = Reduction("sum", Binary("*", miss, miss), {"seen": seen}, times=seen.times)
    largest = Reduction("max", Ref("x[private]"))
    lean = ensemble(model, draws, save=[], reduce={"misfit": squares, "largest": largest}, engine=engine)
    full = ensemble(model, draws, save=["x", "y"], engine=engine)
    series = full.y.sel(time=list(seen.times)).to_numpy()
    np.testing.assert_allclose(lean.misfit, ((series - np.array(seen.values)) ** 2).sum(axis=1), rtol=1e-13)
    np.testing.assert_array_equal(lean.largest, full.x[:, :, 1].max(axis=1))
    assert set(lean.data_vars) == {"misfit", "largest"}


def test_only_the_times_asked_for_are_kept(model: Model) -> None:
    all_times = ensemble(model, {"k": [1.0, 2.0]}, save=["x"])
    some = ensemble(model, {"k": [1.0, 2.0]}, save=["x"], times=[10, 2.5])
    assert list(some.time) == [2.5, 10]
    np.testing.assert_array_equal(some.x, all_times.x.sel(time=[2.5, 10]))
    with pytest.raises(OffGrid, match=r"2\.6"):
        ensemble(model, {"k": [1.0]}, save=["x"], times=[2.6])


@pytest.mark.parametrize(
    ("draws", "error", "message"),
    [
        ({"kk": [1.0]}, UnknownName, "did you mean 'k'"),
        ({"time_step": [0.1]}, InvalidValue, "the scenario sets the times of all runs"),
        ({"y": [1.0]}, InvalidValue, "a constant or a stock"),
        ({"k": [1.0], "x": [1.0, 2.0]}, InvalidValue, "all of one length; here 'k' has 1, 'x' has 2$"),
        ({"k": 1.0}, InvalidValue, "all of one length; here 'k' has a single number$"),
        ({"k": []}, InvalidValue, "all of one length; here 'k' has 0$"),
        ({"k": [float("nan")]}, InvalidValue, "finite"),
        ({"x[Foreign]": [1.0]}, UnknownName, "no element"),
        ([Scenario("a"), Scenario("b", {"final time": 3})], InvalidValue, "share their times"),
        ([], InvalidValue, "at least one"),
    ],
)
def test_a_mistake_in_the_runs_is_named(model: Model, draws: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ensemble(model, draws, save=["x"])  # type: ignore[arg-type]


def test_damaged_object_code_is_compiled_anew(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cipark_sd.engines.native import engine as native

    monkeypatch.setenv("CIPARK_CACHE", str(tmp_path / "kernels"))
    native._LOADED.clear()
    before = ensemble(model, {"k": [1.0]}, save=["x"])
    kept = [path for path in (tmp_path / "kernels").rglob("*") if path.is_file()]
    assert kept
    for path in kept:
        path.write_bytes(path.read_bytes()[:100])
    native._LOADED.clear()
    with warnings.catch_warnings():
        # said once a process; tests of the cache hold it
        warnings.simplefilter("ignore", CacheWarning)
        assert before.equals(ensemble(model, {"k": [1.0]}, save=["x"]))


@pytest.mark.parametrize(("n_runs", "workers"), [(1, 2), (20, 2), (700, 2), (1000, 3), (10_000, 2), (300_000, 4)])
def test_automatic_chunks_are_whole_registers_that_leave_no_thread_without_work(n_runs: int, workers: int) -> None:
    size = chunk_size(n_runs, workers)
    assert size % LANES == 0
    assert size <= MOST
    # each thread has a chunk, or a register of its own is not to be had
    assert -(-n_runs // size) >= min(workers, n_runs // LANES)
    if n_runs >= workers * SHARES * LEAST:
        assert -(-n_runs // size) >= workers * (SHARES - 1)


def test_cutting_runs_automatically_changes_no_bit(model: Model) -> None:
    draws = {"k": np.linspace(1, 4, 1203)}
    one, many = (ensemble(model, draws, save=["x", "late", "noise"], workers=workers) for workers in (1, 3))
    assert one.identical(many)


def test_progress_counts_every_run(model: Model) -> None:
    told: list[tuple[int, int]] = []
    ensemble(model, {"k": np.ones(20)}, save=["x"], chunk=8, progress=lambda done, of: told.append((done, of)))
    assert told[-1] == (20, 20)


def test_a_reduction_may_use_a_constant(model: Model) -> None:
    result = ensemble(model, {"k": [3.0]}, save=[], reduce={"total": Reduction("sum", Const(1.0), times=(0.0, 1.0))})
    assert result.total.item() == 2.0


FAILING = """
D: A, B ~~|
p = 1 ~~|
root = SQRT(p - Time) ~ m ~ |
level[A] = INTEG(10, 1) ~~|
level[B] = INTEG(level[B] * p, 1) ~~|
half[A] = 1 / (Time - p) ~~|
"""


@pytest.mark.parametrize("engine", ["native", "numpy"])
def test_runs_that_leave_the_numbers_are_marked_and_counted(write_mdl: Callable[..., Path], engine: str) -> None:
    model = read_model(write_mdl(FAILING, final=4, step=0.5))
    draws = {"p": [9.0, 2.0, 3.25, 0.0]}
    with pytest.warns(RuntimeWarning) as caught:
        runs = ensemble(model, draws, save=["level", "half", "root"], engine=engine)
    (said,) = caught
    assert str(said.message).startswith(
        "3 of 4 runs left the numbers; the first is run 1, where 'half[A]' is no finite"
    )
    assert "at time 2." in str(said.message)
    np.testing.assert_array_equal(runs.run_failed, [False, True, True, True])
    assert list(runs.run_failed_variable.to_numpy()) == ["", "half[A]", "root", "half[A]"]
    np.testing.assert_array_equal(runs.run_failed_time, [np.nan, 2, 3.5, 0])
    left = ensemble(model, draws, save=["level", "half", "root"], engine=engine, failures="leave")
    assert set(runs.coords) - set(left.coords) == {"run_failed", "run_failed_variable", "run_failed_time"}
    assert runs.drop_vars(["run_failed", "run_failed_variable", "run_failed_time"]).identical(left)
    alone = ensemble(model, {"p": [9.0]}, save=["level", "half", "root"], engine=engine)
    np.testing.assert_array_equal(alone.root[0], runs.root[0])
    assert not alone.run_failed.any()


def test_a_reduction_that_is_no_number_marks_its_run(write_mdl: Callable[..., Path]) -> None:
    model = read_model(write_mdl(FAILING, final=4, step=0.5))
    total = {"total": Reduction("sum", Ref("root"))}
    with pytest.warns(RuntimeWarning, match=r"1 of 2 runs left the numbers; the first is run 1, where 'total' is no"):
        runs = ensemble(model, {"p": [9.0, 2.0]}, save=[], reduce=total)
    assert list(runs.run_failed_variable.to_numpy()) == ["", "total"]
    assert np.isnan(runs.run_failed_time).all()


def test_one_eight_and_sixteen_lanes_give_the_same_bits(write_mdl: Callable[..., Path]) -> None:
    """So few, some, and many runs of a program that is mostly elementary functions; pipes and tables are in it too."""
    model = read_model(
        write_mdl(
            "x = INTEG(EXP(-x * a) * SIN(x) - x ^ 1.3 / b, 2) ~~| y = DELAY FIXED(LN(1 + x), 3, a) ~~|"
            "t([(0,0)-(9,9)],(0,1),(2,3),(9,0)) ~~| z = t(x) + y ~~| a = 0.5 ~~| b = 4 ~~|"
        )
    )
    rng = np.random.default_rng(5)
    draws = {"a": rng.uniform(0.1, 0.9, 100), "b": rng.uniform(3, 5, 100)}
    made = [
        ensemble(model, {name: values[:n] for name, values in draws.items()}, save=["x", "z"]) for n in (2, 20, 100)
    ]
    program = program_for(model, ["x", "z"], Settings())
    assert [lanes_for(program, n) for n in (2, 20, 100)] == [1, 8, 16]
    for name in ("x", "z"):
        assert np.array_equal(made[0][name], made[2][name][:2])
        assert np.array_equal(made[1][name], made[2][name][:20])
