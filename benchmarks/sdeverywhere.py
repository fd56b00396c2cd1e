"""SDEverywhere's generated C of a model file, compiled for this processor or as WebAssembly: one run of it.

The project has no part of SDEverywhere. A folder has to hold ``@sdeverywhere/compile`` in ``node_modules`` and its run
time in ``c`` (``packages/cli/src/c`` of its repository). WebAssembly needs clang for wasm32 with a C library, as
``zig cc`` is.
"""

import ctypes
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from cases import Case
from numpy.typing import NDArray

_GENERATE = """
import {{ parseAndGenerate }} from '@sdeverywhere/compile'
import {{ readFileSync }} from 'fs'
const [model, folder, ...outputVarNames] = process.argv.slice(1)
await parseAndGenerate(
  readFileSync(model, 'utf8'), 'vensim', {{ inputVarNames: [], outputVarNames }}, ['generateC'], '.', 'made', folder)
"""
_PARTS = ("model.c", "vensim.c", "macros.c", "allocation.c")
OneRun = Callable[[], NDArray[np.float64]]


def generated(case: Case, sde: Path, folder: Path) -> list[str]:
    """The C files of a model, its generated one first, and where their heads are."""
    node = ["node", "--input-type=module", "-e", _GENERATE.format(), str(case.path), str(folder), *case.saved]
    subprocess.run(node, cwd=sde, check=True, capture_output=True)
    return [str(folder / "made.c"), *(str(sde / "c" / part) for part in _PARTS), f"-I{sde / 'c'}"]


def native(case: Case, sde: Path, folder: Path, compiler: str) -> OneRun:
    """One run as machine code of this processor; it gives the outputs, (n_outputs, n_saved)."""
    library = folder / f"{abs(hash(compiler))}.so"
    flags = ["-O3", "-march=native", "-shared", "-fPIC", "-Wl,-Bsymbolic", "-w"]
    subprocess.run([*compiler.split(), *flags, *generated(case, sde, folder), "-o", str(library), "-lm"], check=True)
    call = ctypes.CDLL(str(library)).runModel
    call.argtypes, call.restype = [ctypes.c_void_p] * 2, None
    out = np.empty((len(case.saved), len(case.grid.saved_times)))

    def run() -> NDArray[np.float64]:
        call(None, out.ctypes.data)
        return out

    return run


def webassembly(case: Case, sde: Path, folder: Path, zig: str) -> OneRun:
    """One run as WebAssembly under wasmtime, with vectors of 128 bits allowed."""
    import wasmtime

    module = folder / "sde.wasm"
    flags = ["-target", "wasm32-wasi", "-O3", "-msimd128", "-mexec-model=reactor", "-w"]
    flags += [f"-Wl,--export={name}" for name in ("runModel", "malloc")]
    subprocess.run([*zig.split(), "cc", *flags, *generated(case, sde, folder), "-o", str(module)], check=True)
    engine = wasmtime.Engine()
    store, linker = wasmtime.Store(engine), wasmtime.Linker(engine)
    linker.define_wasi()
    store.set_wasi(wasmtime.WasiConfig())
    instance: Any = linker.instantiate(store, wasmtime.Module.from_file(engine, str(module)))
    exports = instance.exports(store)
    exports["_initialize"](store)
    shape = (len(case.saved), len(case.grid.saved_times))
    size = 8 * shape[0] * shape[1]
    at = exports["malloc"](store, size)

    def run() -> NDArray[np.float64]:
        exports["runModel"](store, 0, at)
        return np.frombuffer(exports["memory"].read(store, at, at + size)).reshape(shape)

    return run
