"""WebAssembly: the bits of the native engine, modules that carry a model, and what is refused."""

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from command_line import cipark
from places import CORPUS, ROOT
from same_bits import same_bits
from wasm_engine import description_of

from cipark_sd.base.errors import InvalidValue
from cipark_sd.base.library import bundled
from cipark_sd.data.scenarios import Scenario
from cipark_sd.engines.base import Settings
from cipark_sd.engines.compiled import inputs_for
from cipark_sd.engines.native.kernel import kernel
from cipark_sd.engines.plan import plan
from cipark_sd.engines.programs import program_for
from cipark_sd.engines.registry import choose
from cipark_sd.engines.wasm import compiling
from cipark_sd.engines.wasm.carried import carried
from cipark_sd.engines.wasm.compiling import Reader, leb
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.model import Model
from cipark_sd.simulations.ensembles import ensemble
from cipark_sd.simulations.simulation import simulate

pytestmark = pytest.mark.usefixtures("wasm")

Write = Callable[..., Path]
KERNEL = ROOT / "cipark_sd/pages/player/kernel.js"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")


def test_the_park_is_the_same_in_webassembly_with_drawn_constants() -> None:
    model = read_model(bundled())
    rng = np.random.default_rng(3)
    draws = {name: rng.uniform(0.3, 1.5, 31) for name in ("Return Gain", "Pool Scale", "Connectivity Scale")}
    native, wasm = (
        ensemble(model, draws, save=["Residents", "Total Operating", "Developer Cash"], engine=engine)
        for engine in ("native", "wasm")
    )
    assert wasm.attrs["engine"] == "wasm"
    for name in native.data_vars:
        assert same_bits(native[name].to_numpy(), wasm[name].to_numpy()), name


def test_runs_that_do_not_fit_into_one_memory_are_run_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    import wasm_engine

    model = read_model(CORPUS / "delay_fixed" / "model.mdl")
    whole = simulate(model, engine="wasm")
    monkeypatch.setattr(wasm_engine, "MOST", 1)
    runs = ensemble(model, [Scenario()] * 5, save=list(map(str, whole.data_vars)), engine="wasm", failures="leave")
    for name in whole.data_vars:
        for run in range(5):
            assert same_bits(runs[name].to_numpy()[run], whole[name].to_numpy()), name


def test_the_remainder_is_that_of_the_c_library_for_any_bits(write_mdl: Write) -> None:
    model = read_model(write_mdl("X = 1 ~~|\nY = 1 ~~|\nleft = X + Y ~~|\n", final=0))
    # no function of a model is the bare remainder of any two numbers, so that one takes the place of the sum
    planned = plan(model, Scenario(), save=["left"], times=None, method=None)
    whole = program_for(model, planned.outputs, Settings())
    nodes = tuple(replace(node, op="fmod") if node.op == "add" else node for node in whole.nodes)
    program = replace(whole, nodes=nodes)
    assert [node.op for node in program.nodes].count("fmod") == 1
    rng = np.random.default_rng(1)
    n = 20_000
    x, y = (rng.integers(0, 2**64, n, dtype=np.uint64).view(np.float64) for _ in range(2))
    # near each other, subnormal, whole, and any
    y[: n // 2] = np.nan_to_num(x[: n // 2]) / 3.7
    x[:2000], y[1000:3000] = 5e-324 * rng.integers(-500, 500, 2000), 5e-324 * rng.integers(-50, 50, 2000)
    x[3000:6000], y[3000:6000] = rng.integers(-99, 99, 3000), rng.integers(-9, 9, 3000)
    x[6000:6004], y[6000:6004] = [np.inf, -0.0, 5.0, 5.0], [2.0, 3.0, np.inf, -0.0]
    given = inputs_for(planned, program, Settings({"x": x, "y": y}), np.arange(n, dtype=np.uint64))
    native, numpy, wasm = (choose(name).execute(program, given) for name in ("native", "numpy", "wasm"))  # type: ignore[attr-defined]
    assert same_bits(native, numpy)
    assert same_bits(native, wasm)
    assert 0 < np.isnan(native).sum() < n / 2


def test_random_numbers_and_series_of_each_run_are_the_same(write_mdl: Write) -> None:
    model = read_model(
        write_mdl("x = RANDOM NORMAL(-9, 9, 0, 1, 0) + given ~~|\nS = INTEG(x, 0) ~~|\ngiven = GAME(3) ~~|\n")
    )
    runs = [
        Scenario(f"{i}", {"given": {"times": [0.0, 2.0 + i / 2, 5.0], "values": [1.0, i * 0.3, 2.0]}}) for i in range(5)
    ]
    native, wasm = (
        ensemble(model, runs, save=["x", "S"], engine=engine, seed=2**63 + 5) for engine in ("native", "wasm")
    )
    for name in native.data_vars:
        assert same_bits(native[name].to_numpy(), wasm[name].to_numpy()), name


def test_every_function_has_the_native_bits_for_any_number(write_mdl: Write) -> None:
    functions = ["SIN", "COS", "TAN", "ARCSIN", "ARCCOS", "ARCTAN", "SINH", "COSH", "TANH", "LN", "EXP"]
    model = read_model(
        write_mdl("X = 1 ~~|\nL = LOG(X, 10) ~~|\n" + "".join(f"r {f} = {f}(X) ~~|\n" for f in functions), final=0)
    )
    rng = np.random.default_rng(4)
    x = np.concatenate([rng.integers(0, 2**64, 4000, dtype=np.uint64).view(np.float64), rng.uniform(-9, 9, 3000)])
    x = np.concatenate([x[np.isfinite(x)], [0.0, -0.0, 1.0, -1.0, 1e6, -1e6, 1e22, 5e-324, 1.7e308]])
    save = ["L", *(f"r {name}" for name in functions)]
    native, numpy, wasm = (
        ensemble(model, {"X": x}, save=save, engine=engine, failures="leave") for engine in ("native", "numpy", "wasm")
    )
    for name in native.data_vars:
        assert same_bits(native[name].to_numpy(), numpy[name].to_numpy()), name
        assert same_bits(native[name].to_numpy(), wasm[name].to_numpy()), name


def test_a_module_that_skips_powers_of_1_and_0_gives_the_same_bits(
    write_mdl: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wasm_engine

    model = read_model(write_mdl("X=1~~|\nY=1~~|\npower=X^(Y+Time*0)~~|\n", final=1, step=1))
    planned = plan(model, Scenario(), save=["power"], times=None, method=None)
    program = program_for(model, planned.outputs, Settings())
    # blocks of two runs whose bases are alike, one of whose is 1 or 0, and any
    pairs = [pair for x in (0.0, -0.0, 1.0, 2.0) for pair in ((x, x), (x, 1.0), (0.0, x), (x, 0.7))]
    x, y = (a.ravel() for a in np.meshgrid(np.ravel(pairs), [2.5, 3.0, -3.0, 0.0, 1e308, -0.5]))
    rng = np.random.default_rng(1)
    x, y = np.append(x, np.exp(rng.uniform(-300, 300, 3000))), np.append(y, rng.normal(size=3000) * 3)
    given = inputs_for(planned, program, Settings({"x": x, "y": y}), np.arange(len(x), dtype=np.uint64))
    native = choose("native").execute(program, given)  # type: ignore[attr-defined]
    assert compiling.compiled(program, skips=True)[0] != compiling.compiled(program)[0]
    monkeypatch.setattr(wasm_engine, "compiled", partial(compiling.compiled, skips=True))
    assert same_bits(native, choose("wasm").execute(program, given))  # type: ignore[attr-defined]


@pytest.mark.parametrize("engine", ["native", "wasm"])
def test_a_table_of_many_points_is_a_search(write_mdl: Write, engine: str) -> None:
    """What is emitted for one grows by its numbers alone, and the instructions with their logarithm."""
    code, whole = [], []
    for n in (100, 400, 1600):
        points = ",".join(f"({i},{(i * 7919) % 1000})" for i in range(n))
        model = read_model(write_mdl(f"y = t(Time) ~~|\nt({points}) ~~|\n"))
        planned = plan(model, Scenario(), save=["y"], times=None, method=None)
        program = program_for(model, planned.outputs, Settings())
        if engine == "native":
            text, _, _ = kernel(program)
            whole.append(len(text))
            code.append(sum(line.startswith("  ") for line in text.splitlines()))
        else:
            module, _, _ = compiling.compiled(program)
            whole.append(len(module))
            code.append(next(len(body) for kind, body in compiling.sections(module) if kind == 10))
    assert np.polyfit(np.log([100, 400, 1600]), np.log(code), 1)[0] < 0.15, code
    assert np.polyfit(np.log([100, 400, 1600]), np.log(whole), 1)[0] < 1.05, whole


def test_without_its_package_an_engine_says_which_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from cipark_sd.engines import registry
    from cipark_sd.verify import sides

    monkeypatch.setitem(registry.ENGINES, "native", registry.ENGINES["native"]._replace(needs="no_such_package"))
    choose.cache_clear()
    with pytest.raises(InvalidValue, match=r"the engine is 'native', expected 'numpy', for want of no_such_package"):
        choose("native")
    assert "native" not in sides.engine_names(None)
    with pytest.raises(InvalidValue, match=r"one that is installed \(no_such_package\)"):
        sides.engine_names(["native", "numpy"])
    choose.cache_clear()


# --- the object file ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def obj() -> bytes:
    """The object file of a small program, as LLVM writes it."""
    from cipark_sd.engines.native.object_code import compiled

    model = read_model(CORPUS / "trigonometry" / "model.mdl")
    planned = plan(model, Scenario(), save=None, times=None, method=None)
    machine, _ = compiling._machine()
    program = program_for(model, planned.outputs, Settings())
    assembly, _, effort = kernel(program, compiling.LANES, compiling.DEFINITIONS)
    return compiled(assembly, effort, machine)


def test_a_module_has_a_memory_of_its_own_and_imports_nothing(obj: bytes) -> None:
    wasmtime = pytest.importorskip("wasmtime")
    module = wasmtime.Module(wasmtime.Engine(), compiling.linked(obj)[0])
    assert list(module.imports) == []
    assert sorted(export.name for export in module.exports) == ["memory", "run"]


def test_what_the_linker_does_not_know_is_refused(obj: bytes) -> None:
    parts = list(compiling.sections(obj))

    def again(change: Callable[[int, bytes], bytes]) -> bytes:
        return compiling.MAGIC + b"".join(
            bytes([kind]) + leb(len(body)) + body for kind, old in parts for body in [change(kind, old)]
        )

    assert compiling.linked(again(lambda kind, body: body)) == compiling.linked(obj)
    with pytest.raises(compiling.UnknownObject, match="it has sections of the kinds"):
        compiling.linked(obj + bytes([4, 1, 0]))
    with pytest.raises(compiling.UnknownObject, match=r"it imports env\.__linear_memorz"):
        compiling.linked(again(lambda kind, body: body.replace(b"memory", b"memorz") if kind == 2 else body))
    with pytest.raises(compiling.UnknownObject, match="no function 'walk'"):
        compiling.linked(obj, "walk")
    with pytest.raises(compiling.UnknownObject, match="does not go where its relocation says"):
        # calls in five bytes: one goes to another function
        compiling.linked(again(lambda kind, body: _with_another_call(parts, body) if kind == 10 else body))
    with pytest.raises(compiling.UnknownObject, match=r"an address at \d+ is not what its relocation says"):
        # numbers begin elsewhere than the code takes them to
        compiling.linked(again(lambda kind, body: _moved(body) if kind == 11 else body))
    with pytest.raises(compiling.UnknownObject, match="a relocation of kind 7"):
        compiling.linked(again(lambda kind, body: _of_another_kind(body) if kind == 0 else body))


def _relocations(body: bytes) -> Reader | None:
    reader = Reader(body)
    return reader if reader.text() == "reloc.CODE" else None


def _with_another_call(parts: list[tuple[int, bytes]], code: bytes) -> bytes:
    reader = next(found for kind, body in parts if kind == 0 and (found := _relocations(body)))
    reader.number()
    for _ in range(reader.number()):
        kind, at, _ = reader.number(), reader.number(), reader.number()
        if kind == 0:
            break
        reader.signed()
    return code[:at] + bytes([code[at] ^ 1]) + code[at + 1 :]


def _moved(data: bytes) -> bytes:
    reader = Reader(data)
    reader.number(), reader.number(), reader.take(1)
    return data[: reader.at] + bytes([data[reader.at] ^ 8]) + data[reader.at + 1 :]


def _of_another_kind(body: bytes) -> bytes:
    reader = _relocations(body)
    if reader is None:
        return body
    reader.number(), reader.number()
    return body[: reader.at] + b"\7" + body[reader.at + 1 :]


# --- a model that is carried elsewhere ------------------------------------------------------------------------


def in_node(folder: Path, module: bytes, calls: str) -> object:
    """What node prints as JSON when it has the model of a module as ``model``."""
    (folder / "model.wasm").write_bytes(module)
    script = f"""
const {{ Kernel, KernelError }} = require({json.dumps(str(KERNEL))});
const bytes = require("fs").readFileSync("model.wasm");
const hex = (values) => Buffer.from(Float64Array.from(values).buffer).toString("hex");
Kernel.of(bytes).then((model) => {{ {calls} }});
"""
    assert NODE is not None
    done = subprocess.run([NODE, "-e", script], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def from_hex(text: object) -> np.ndarray:
    return np.frombuffer(bytes.fromhex(str(text)), dtype="<f8")


def native(model: Model, values: dict[str, np.ndarray], save: list[str]) -> np.ndarray:
    """(outputs, times, runs) as a host gets them."""
    runs = ensemble(model, values, save=save, failures="leave")
    return np.concatenate([runs[name].transpose("time", "run").to_numpy()[None] for name in runs.data_vars])


@needs_node
def test_a_carried_model_gives_the_native_bits_in_node(tmp_path: Path) -> None:
    model = read_model(bundled())
    save = ["total_residents", "developer_cash"]
    made = carried(model, save=save)
    draws = {"cmg_entry_date": np.linspace(2012.8, 2018, 7), "pool_scale": np.linspace(0.3, 2, 7)}
    found = in_node(
        tmp_path,
        made.module,
        "const draws = "
        + json.dumps({name: values.tolist() for name, values in draws.items()})
        + "; model.run({}, 3); const all = hex(model.run(draws, 7)), one = hex(model.run({pool_scale: 0.5}));"
        + "console.log(JSON.stringify([all, one, hex(model.times)]))",
    )
    assert isinstance(found, list)
    assert same_bits(from_hex(found[0]), native(model, draws, save).ravel())
    assert same_bits(from_hex(found[1]), native(model, {"pool_scale": np.array([0.5])}, save).ravel())
    assert same_bits(from_hex(found[2]), simulate(model, save=save)["time"].to_numpy())


@needs_node
@pytest.mark.parametrize("method", ["euler", "rk4"])
def test_pipes_series_and_random_numbers_are_carried(tmp_path: Path, write_mdl: Write, method: str) -> None:
    model = read_model(
        write_mdl(
            "Wait = 2 ~~|\nlate = DELAY FIXED(S, Wait, 7) ~~|\nS = INTEG(noise + data, 3) ~~|\n"
            "noise = RANDOM UNIFORM(0, 1, 0) ~~|\ndata = GAME(1) ~~|\n"
        )
    )
    series = Scenario("s", {"data": {"times": [0.0, 3.0, 9.0], "values": [1.0, 4.0, -2.0]}, "S": 5.0})
    save = ["late", "s", "noise"]
    made = carried(model, series, save=save, method=method)  # type: ignore[arg-type]
    assert description_of(made.module) == json.loads(json.dumps(made.about))
    waits = np.array([0.0, 1.0, 4.0, 1000.0, 3.3])
    found = in_node(
        tmp_path,
        made.module,
        f"console.log(JSON.stringify(hex(model.run({{wait: {waits.tolist()}}}, 5, {{seed: 9n}}))))",
    )
    runs = ensemble(model, {"Wait": waits}, save=save, scenario=series, method=method, seed=9)  # type: ignore[arg-type]
    wanted = np.concatenate([runs[name].transpose("time", "run").to_numpy()[None] for name in save])
    assert same_bits(from_hex(found), wanted.ravel())


@needs_node
@pytest.mark.parametrize("method", ["euler", "rk4"])
def test_what_all_runs_share_is_computed_once_with_the_same_bits(tmp_path: Path, write_mdl: Write, method: str) -> None:
    """Constants that are numbers of the module, a timetable, and beside it data, a delay and runs of two lengths."""
    model = read_model(
        write_mdl(
            "Wait = 2 ~~|\nlate = DELAY FIXED(S, Wait, 7) ~~|\nS = INTEG(on * data + late * Rate, 3) ~~|\n"
            "on = Size * EXP(-Time / Date) + STEP(Height, Date) + RAMP(Height, Date, 7) ~~|\ndata = GAME(1) ~~|\n"
            "Size = 2 ~~|\nHeight = 0.1 ~~|\nDate = 3 ~~|\nRate = 0.01 ~~|\n"
        )
    )
    series = Scenario("s", {"data": {"times": [0.0, 3.0, 9.0], "values": [1.0, 4.0, -2.0]}, "Size": 1.5})
    save, free, varying = ["late", "s", "on"], ["date", "rate", "wait"], ["rate", "wait"]
    made = carried(model, series, save=save, method=method, free=free, varying=varying)  # type: ignore[arg-type]
    assert sorted(made.constants) == sorted(free)
    assert made.about["timetable"]["shared"] == ["date"]  # type: ignore[index, call-overload]
    draws = {"rate": np.linspace(-0.1, 0.1, 5), "wait": np.array([0.0, 1.0, 4.0, 9.0, 3.3])}
    found = in_node(
        tmp_path,
        made.module,
        f"const draws = {json.dumps({name: values.tolist() for name, values in draws.items()})};"
        "const tell = (values) => { try { return hex(model.run(values, 5)); }"
        "catch (problem) { return problem.message; } };"
        "const every = model.run({...draws, date: 5}, 5), part = model.run({...draws, date: 5}, 5, {last: 4});"
        "const cut = (output) => every.subarray(output * model.times.length * 5).subarray(0, 25);"
        "const same = [0, 1, 2].every((o) => cut(o).every((value, i) => value === part[o * 25 + i]));"
        "console.log(JSON.stringify([hex(every), tell(draws), same, tell({...draws, date: [1, 2, 3, 4, 5]})]))",
    )
    assert isinstance(found, list)
    for bits, overrides in ((found[0], {"Date": 5.0}), (found[1], {})):
        scenario = series | Scenario("", overrides)
        runs = ensemble(model, draws, save=save, scenario=scenario, method=method)  # type: ignore[arg-type]
        wanted = np.concatenate([runs[name].transpose("time", "run").to_numpy()[None] for name in save])
        assert same_bits(from_hex(bits), wanted.ravel())
    assert found[2] is True
    assert found[3] == "all runs of a call share date: it takes one number"


@needs_node
def test_values_that_need_other_stages_of_a_delay_are_refused_by_the_host(tmp_path: Path, write_mdl: Write) -> None:
    model = read_model(write_mdl("T = 6 ~~|\nN = 3 ~~|\nx = STEP(1, 2) ~~|\nout = DELAY N(x, T, 0, N) ~~|\n"))
    made = carried(model, save=["out"])
    told = in_node(
        tmp_path,
        made.module,
        "const tell = (values) => { try { return hex(model.run(values)); } catch (problem) { "
        "return problem instanceof KernelError ? problem.message : 'other: ' + problem; } };"
        "console.log(JSON.stringify([tell({t: 4}), tell({n: 2}), tell({t: 2 * model.about.time.step})]))",
    )
    assert isinstance(told, list)
    assert same_bits(from_hex(told[0]), native(model, {"T": np.array([4.0])}, ["out"]).ravel())
    assert told[1] == "these values give out DELAY N 2 stages; this file was made with 3"
    assert told[2] == "these values give out DELAY N 2 stages; this file was made with 3"


@needs_node
def test_numbers_of_a_module_lie_where_the_host_leaves_room(tmp_path: Path, write_mdl: Write) -> None:
    points = ",".join(f"({i},{i * i})" for i in range(90))
    made = carried(
        read_model(write_mdl(f"X = 1e7 ~~|\nwave = SIN(X) + TAN(X) ~~|\ny = t(X/1e6) ~~|\nt({points}) ~~|\n"))
    )
    values = in_node(tmp_path, made.module, "console.log(JSON.stringify(hex(model.run({x: [1e7, 2.5e7, 1e300]}, 3))))")
    model = made.plan.model
    names = [output["name"] for output in made.about["outputs"]]  # type: ignore[union-attr, index]
    assert int(str(made.about["free"])) > 8 * 90
    assert same_bits(from_hex(values), native(model, {"X": np.array([1e7, 2.5e7, 1e300])}, names).ravel())


def test_convert_writes_a_module_and_refuses_what_has_no_meaning_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    monkeypatch.chdir(tmp_path)
    source = str(CORPUS / "delay3" / "model.mdl")
    done = cipark("convert", source, "-o", "out.wasm")
    about = description_of(Path("out.wasm").read_bytes())
    assert about["model_digest"] == read_model(Path(source)).digest
    assert isinstance(about["outputs"], list)
    assert f"{len(about['outputs'])} outputs" in done.output
    again = cipark("convert", source, "-o", "flat.wasm", "--flat", code=2)
    assert "--flat and --inline-lookups are for Vensim and XMILE" in again.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.wasm"]


def test_the_same_model_gives_the_same_bytes() -> None:
    path = CORPUS / "smooth_n" / "model.mdl"
    assert carried(read_model(path)).module == carried(read_model(path)).module


def test_an_element_whose_name_has_a_comma_is_carried(write_mdl: Write) -> None:
    """The bracket of ``x["p, q",r]`` cannot be taken apart at its commas."""
    model = read_model(write_mdl('A: "p, q", s ~~| B: r, t ~~| x[A, B] = Time ~~|'))
    made = carried(model)
    assert [entry["label"] for entry in made.about["outputs"]] == ["x[p, q,r]", "x[p, q,t]", "x[s,r]", "x[s,t]"]  # type: ignore[attr-defined]
