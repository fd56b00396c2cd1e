"""What is done otherwise for long programs and long tables: the same bits as the NumPy engine, at bounded cost.

Costs are counted, never timed: instructions of a kernel, steps of the interpreter, bytes at the peak.
"""

import os
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from counted import exponent, peak, steps
from places import CORPUS

from cipark_sd.base.timegrid import saved_indices, time_grid
from cipark_sd.compiler.lower import lower
from cipark_sd.data.scenarios import Scenario, TimeSeries
from cipark_sd.engines.native import engine as native
from cipark_sd.engines.native import ir
from cipark_sd.engines.native import kernel as kernels
from cipark_sd.engines.plan import plan
from cipark_sd.engines.programs import flat_model
from cipark_sd.engines.registry import choose
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.expr import Table
from cipark_sd.model.model import CONTROL, Method
from cipark_sd.model.variables import Lookup
from cipark_sd.simulations.ensembles import ensemble
from cipark_sd.simulations.simulation import simulate

pytestmark = pytest.mark.usefixtures("wasm")

Write = Callable[..., Path]
#: Each reads a state, a cell or a pipe where another one is written.
MEMORY = """
first = INTEG(second, 1) ~~|
second = INTEG(-first * 0.5, 2) ~~|
third = INTEG(third * 0.1 - first, 3) ~~|
held = SAMPLE IF TRUE(first > 1, second, 0.5) ~~|
later = SAMPLE IF TRUE(second > 0, held, 0.25) ~~|
piped = DELAY FIXED(first, 1.5, 7) ~~|
twice = DELAY FIXED(piped, 1, 8) ~~|
slow = DELAY N(second, 3 + first * 0.1, 0, 3) ~~|
into = INTEG(piped, 0) ~~|
"""
CUT = ["smooth3", "delay_fixed_of_a_delay", "xmile_non_negative", "runge_kutta", "runge_kutta_second_order"]


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every program counts as long, in the smallest pieces."""
    for name, value in (("SHORT", 0), ("PIECE", 3), ("EACH", 1)):
        monkeypatch.setattr(kernels, name, value)


def both(path: Path, method: Method | None = None) -> tuple[np.ndarray, np.ndarray]:
    model = read_model(path)
    names = [v.name for v in model.variables if not isinstance(v, Lookup) and v.name not in CONTROL]
    runs = [simulate(model, save=names, engine=engine, method=method) for engine in ("native", "numpy")]
    native, numpy = (np.concatenate([run[name].values.reshape(len(run.time), -1) for name in names], 1) for run in runs)
    return native, numpy


@pytest.mark.parametrize("method", get_args(Method)[:5])
def test_a_program_in_pieces_has_the_bits_of_one_that_is_whole(write_mdl: Write, cut: None, method: Method) -> None:
    native, numpy = both(write_mdl(MEMORY), method)
    assert np.isfinite(native).all()
    np.testing.assert_array_equal(native, numpy)


#: Elements that differ in numbers, constants, states, memory, tables and streams, and share what has no elements.
ALIKE = """
D: (e1-e9) ~~|
rate[D] = 0.01,0.02,0.03,0.04,0.05,0.06,0.07,0.08,0.09 ~~|
few: e2, e5 ~~|
common = 1.5 ~~|
line((0,0),(3,2),(9,4)) ~~|
level[D] = INTEG(rate[D] * level[D] * common - out[D], 1) ~~|
out[D] = MIN(level[D] / 3, 0.2) + IF THEN ELSE(level[D] > total / 9, rate[D] ^ 0.5, -0.125) ~~|
total = SUM(level[D!]) ~~|
read[D] = line(level[D] * 2) + MAX(rate[D], drawn[D]) ~~|
drawn[D] = RANDOM UNIFORM(0, 1, 0) ~~|
late[D] = DELAY FIXED(read[D], 2 * rate[D] + 1, 0.5) ~~|
smooth[D] = SMOOTH3(late[D], 2) ~~|
held[D] = SAMPLE IF TRUE(smooth[D] > 0.5, smooth[D], total) ~~|
number[D] = D ~~|
part[few] = held[few] * number[few] + Time ~~|
"""


@pytest.mark.parametrize("method", get_args(Method)[:5])
def test_elements_in_pieces_have_the_bits_of_numpy(write_mdl: Write, cut: None, method: Method) -> None:
    path = write_mdl(ALIKE)
    model = read_model(path)
    native, numpy = both(path, method)
    assert np.isfinite(native).all()
    np.testing.assert_array_equal(native, numpy)
    wasm = simulate(model, save=["held", "part"], engine="wasm", method=method)
    assert wasm.equals(simulate(model, save=["held", "part"], engine="numpy", method=method))


@pytest.mark.parametrize("feature", CUT)
def test_features_in_pieces_have_the_bits_of_numpy(cut: None, feature: str) -> None:
    (path,) = (p for p in (CORPUS / feature).iterdir() if p.stem == "model")
    native, numpy = both(path)
    np.testing.assert_array_equal(native, numpy)


@pytest.mark.parametrize("method", get_args(Method)[:3])
@pytest.mark.parametrize("steps_at_once", [1, 3])
def test_a_call_in_parts_has_the_bits_of_the_whole(
    write_mdl: Write, monkeypatch: pytest.MonkeyPatch, method: Method, steps_at_once: int
) -> None:
    """States, cells, pipes, series, random numbers and saved times go on where the part before has ended."""
    chance = "p = 1 ~~|\nr = RANDOM UNIFORM(0, p, 3) ~~|\nlast = INTEG(r * s + SAMPLE IF TRUE(r > 0.4, r, 0), 0) ~~|\n"
    model = read_model(write_mdl(f"{MEMORY}{chance}s:INTERPOLATE: ~~|\n"))
    span = Scenario("", {"s": TimeSeries((0.0, 100.0), (1.0, 3.0))})
    save = ["later", "twice", "slow", "into", "last"]
    for n in (1, 20):
        draws = {"p": np.linspace(0.5, 1, n)}

        def runs(draws: dict[str, Any] = draws) -> Any:
            return ensemble(model, draws, scenario=span, save=save, method=method, engine="native", workers=1)

        whole = runs()
        operations: list[int] = []
        load = native.load

        def counted(*given: Any, load: Any = load, operations: list[int] = operations) -> Any:
            operations.append(load(*given)[2])
            monkeypatch.setattr(native, "PART", steps_at_once * operations[-1])
            return load(*given)

        with monkeypatch.context() as small:
            small.setattr(native, "load", counted)
            assert runs().equals(whole)
        assert operations


def test_ctrl_c_is_heard_within_one_long_run(write_mdl: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's handler runs between two calls of the kernel, and no call makes more operations than its part."""
    chain = "".join(f"a{i} = SIN(a{i - 1} + {i}) ~~|\n" for i in range(1, 400))
    model = read_model(write_mdl(f"a0 = Time ~~|\n{chain}x = INTEG(a399, 0) ~~|\n"))
    load, made = native.load, list[int]()

    def stopped_in_the_second(*given: Any) -> Any:
        run, workspace, operations = load(*given)

        def call(last: int, *more: Any) -> None:
            begin, since, until = more[-4:-1]
            made.append((last - begin) * (until - since) * operations)
            if len(made) == 2:
                os.kill(os.getpid(), signal.SIGINT)
            run(last, *more)

        return call, workspace, operations

    monkeypatch.setattr(native, "load", stopped_in_the_second)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            simulate(model, Scenario(final_time=1e5), save=["x"], times=[1e5], engine="native")
    finally:
        signal.signal(signal.SIGINT, handler)
    assert len(made) == 2
    # a tenth of a second, or a few where they are functions
    assert max(made) <= native.PART <= 5 * 10**7


@pytest.mark.parametrize("interpolation", ["interpolate", "extrapolate", "hold_backward", "look_forward"])
def test_a_long_table_is_searched_with_the_numbers_of_a_chain(
    write_mdl: Write, monkeypatch: pytest.MonkeyPatch, interpolation: Any
) -> None:
    rng = np.random.default_rng(3)
    # equal knots are steps
    x = np.sort(np.round(rng.uniform(0, 50, 300), 1))
    table = Table(tuple(x.tolist()), tuple(rng.normal(size=300).tolist()), interpolation)
    at = np.concatenate([x, np.nextafter(x, -1), np.nextafter(x, 99), [-5, 60, 0, 1e305, -1e305, 1e304]])
    # draws are finite; what is beyond them is made of some
    special = (
        "at = IF THEN ELSE(a = 1e305, 1 / 0, IF THEN ELSE(a = -1e305, -1 / 0, IF THEN ELSE(a = 1e304, 0 / 0, a))) ~~|"
    )
    model = read_model(write_mdl(f"t((0,0),(1,1)) ~~|\na = 1 ~~|\n{special}\ny = t(at) ~~|\n"))
    shared = Scenario("", {"t": table})
    results = []
    for most, engine in ((32, "native"), (10_000, "native"), (32, "numpy")):
        monkeypatch.setattr(ir, "MOST_COMPARED", most)
        run = ensemble(model, {"a": at}, scenario=shared, save=["y"], engine=engine, failures="leave")
        results.append(run["y"].values)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def instructions(text: str) -> list[int]:
    """The lines of each function of a module."""
    return [len(body.splitlines()) for body in re.findall(r"^define .*?^}", text, re.MULTILINE | re.DOTALL)]


def program(path: Path, *, last: bool = False) -> Any:
    """The program of all variables, or of the last alone, which needs the others."""
    flat = flat_model(read_model(path))
    names = [v.name for v in flat.variables if not isinstance(v, Lookup) and v.name not in CONTROL]
    return lower(flat, names[-1:] if last else names)


def stocks(n: int) -> str:
    """Stocks that all depend on their sum."""
    text = f"E: (e1-e{n}) ~~|\ns[E] = INTEG(s[E] * 0.1 - total * 0.01, E) ~~|\ntotal = SUM(s[E!]) ~~|\n"
    return text + "begun = INITIAL(total) ~~|\n"


def chain(n: int) -> str:
    """Variables of which each needs the next one in the file."""
    links = "".join(f"v{i} = v{i + 1} * 1.5 + {i} ~~|\n" for i in range(1, n))
    return links + f"v{n} = Time ~~|\nv0 = v1 ~~|\n"


def total(n: int) -> str:
    """One sum of many terms."""
    return (
        "".join(f"v{i} = Time + {i} ~~|\n" for i in range(n))
        + "all = "
        + "+".join(f"v{i}" for i in range(n))
        + " ~~|\n"
    )


@pytest.mark.parametrize("text", [stocks, chain, total])
def test_writing_out_and_lowering_grow_with_the_model(write_mdl: Write, text: Callable[[int], str]) -> None:
    def work(n: int) -> float:
        path = write_mdl(text(n))
        return steps(lambda: program(path, last=True))

    assert exponent(work, 50, 200) < 1.1


def test_a_run_grows_with_its_variables_and_an_ensemble_with_its_runs(write_mdl: Write) -> None:
    """What is around the kernel: plan, arrays, Dataset."""

    def variables(n: int) -> float:
        model = read_model(write_mdl(chain(n)))
        simulate(model)
        return steps(lambda: simulate(model))

    assert exponent(variables, 50, 400) < 1.05
    model = read_model(write_mdl(chain(20) + "p = 1 ~~|\n"))

    def runs(n: int) -> float:
        draws = {"p": np.linspace(0.5, 1.5, n)}
        ensemble(model, draws, save=["v0", "v1"], workers=1)
        return steps(lambda: ensemble(model, draws, save=["v0", "v1"], workers=1))

    assert exponent(runs, 64, 4096) < 0.6


def test_reading_grows_with_the_file(write_mdl: Write) -> None:
    def read(n: int) -> Callable[[], object]:
        path = write_mdl(chain(n))
        return lambda: read_model(path)

    read(2)()
    assert exponent(lambda n: steps(read(n)), 25, 100) < 1.05
    assert exponent(lambda n: peak(read(n)), 100, 800) < 1.05


def test_all_variables_at_all_times_grow_with_their_numbers(write_mdl: Write) -> None:
    """Not even a copy of what is written is made beside: the peak is little more than the result."""
    model = read_model(write_mdl(chain(20) + "p = 1 ~~|\n", final=8, step=0.125, saveper=0.125))
    names = [v.name for v in model.variables if v.name not in CONTROL]

    def all_of(n: int) -> Callable[[], Any]:
        return lambda: ensemble(model, {"p": np.linspace(0.5, 1.5, n)}, save=names, workers=1, chunk=64)

    all_of(64)()
    assert exponent(lambda n: peak(all_of(n)), 512, 4096) < 1.05
    assert peak(all_of(4096)) < 1.2 * all_of(4096)().nbytes

    def times(n: int) -> float:
        span = Scenario("", final_time=n / 8)
        simulate(model, span)
        return steps(lambda: simulate(model, span))

    assert exponent(times, 64, 1024) < 0.05


@pytest.mark.parametrize("n_runs", [1024, 4096])
def test_threads_share_the_runs(write_mdl: Write, monkeypatch: pytest.MonkeyPatch, n_runs: int) -> None:
    """The largest share falls with the number of threads; what is too little work for them is left whole."""
    model = read_model(write_mdl("p = 1 ~~|\nx = INTEG(p, 0) ~~|\n"))
    shares: list[int] = []
    call = native._call

    def counted(loaded: Any, arrays: Any, seed: int, first: int, last: int, *rest: Any) -> None:
        shares.append(last - first)
        call(loaded, arrays, seed, first, last, *rest)

    monkeypatch.setattr(native, "_call", counted)

    expected = ensemble(model, {"p": np.linspace(0, 1, n_runs)}, save=["x"], workers=1)["x"].values.T[None]

    def largest(workers: int, n: int = n_runs) -> float:
        shares.clear()
        planned = plan(model, Scenario(), save=["x"], times=None, method=None)
        shared = replace(planned.settings, numbers={**planned.settings.numbers, "p": np.linspace(0, 1, n)})
        values = choose("native", workers).run(planned, shared, np.arange(n, dtype=np.uint64))
        np.testing.assert_array_equal(values, expected[:, :, :: (n_runs - 1) // (n - 1)])
        assert len(shares) == workers or n < n_runs
        return max(shares)

    # its runs are too short to be shared
    with pytest.raises(AssertionError):
        largest(8)
    assert len(shares) == 1
    monkeypatch.setattr(native, "LEAST_EFFORT", 1)
    assert exponent(largest, 1, 8) == -1.0


def test_a_kernel_grows_with_its_program_and_no_function_of_it_does(write_mdl: Write) -> None:
    made = {n: instructions(kernels.kernel(program(write_mdl(stocks(n))))[0]) for n in (400, 1600)}
    assert exponent(lambda n: sum(made[n]), 400, 1600) < 1.05
    # the driver calls each piece once
    assert max(sorted(made[1600])[:-1]) < 1.1 * max(sorted(made[400])[:-1])


def test_a_table_grows_with_the_logarithm_of_its_points(write_mdl: Write) -> None:
    def work(n: int) -> float:
        points = ",".join(f"({i},{i % 7})" for i in range(n))
        return sum(instructions(kernels.kernel(program(write_mdl(f"t({points}) ~~|\ny = t(Time) ~~|\n")))[0]))

    assert work(4096) - work(2048) == work(2048) - work(1024) < 10


def test_memory_of_saved_times_grows_with_their_number() -> None:
    def work(n: int) -> None:
        grid = time_grid(0.0, float(n), 1.0, 1.0, where="test")
        saved_indices(grid, grid.saved_times.tolist(), where="test")

    assert exponent(lambda n: peak(lambda: work(n)), 2_000, 32_000) < 1.1


def test_a_stock_is_saved_forty_thousand_times(write_mdl: Write) -> None:
    run = simulate(read_model(write_mdl("s = INTEG(1, 0) ~~|\n")), Scenario(final_time=40_000, time_step=1, saveper=1))
    assert run.sizes["time"] == 40_001
    assert float(run["s"][-1]) == 40_000


@pytest.mark.parametrize("engine", ["native", "numpy", "wasm"])
def test_a_span_in_whole_numbers_is_that_in_floats(write_mdl: Write, engine: str) -> None:
    """Machine code that reads whole numbers as floats counts in 5e-324; such a grid stayed for the runs after it."""
    model = read_model(write_mdl("s = INTEG(1, 0) ~~|\n"))
    for span in ({"final_time": 37, "time_step": 1}, {"final_time": 37.0, "time_step": 1.0}):
        run = simulate(model, Scenario("", initial_time=0, saveper=1, **span), engine=engine)
        assert run["time"].dtype == float
        assert run["s"].values.tolist() == list(range(38))


@pytest.mark.parametrize("n", [400, 1_900])
def test_a_sum_of_many_terms_is_one_equation(write_mdl: Write, n: int) -> None:
    run = simulate(read_model(write_mdl(total(n))), save=["all"], engine="numpy" if n > 400 else "native")
    assert float(run["all"][0]) == n * (n - 1) / 2


def test_a_series_of_a_scenario_may_be_long(write_mdl: Write) -> None:
    times = tuple(np.arange(5_000.0).tolist())
    run = simulate(read_model(write_mdl("a = 1 ~~|\nb = a * 2 ~~|\n")), Scenario("", {"a": TimeSeries(times, times)}))
    assert float(run["b"][-1]) == 20


@pytest.mark.parametrize("method", ["euler", "rk4"])
def test_a_very_long_program_is_compiled_as_written_and_has_the_same_bits(
    write_mdl: Write, monkeypatch: pytest.MonkeyPatch, cut: None, method: Method
) -> None:
    path = write_mdl(MEMORY + "grown = EXP(first * 0.1) ^ 1.5 ~~|\n")
    model = read_model(path)
    planned = plan(model, Scenario(""), save=["grown"], times=None, method=method)
    program = lower(flat_model(model), planned.outputs)
    assert kernels.kernel(program)[2] == 1
    monkeypatch.setattr(kernels, "LONG", 0)
    assert kernels.kernel(program)[2] == 0
    native, numpy = both(path, method)
    np.testing.assert_array_equal(native, numpy)
