"""The engine that runs a program as a module of WebAssembly under wasmtime, with the bits of the native one."""

import atexit
import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cipark_sd.compiler.program import Program
from cipark_sd.engines.base import Inputs, Values
from cipark_sd.engines.blocks import Blocks, by_run
from cipark_sd.engines.compiled import CompiledEngine
from cipark_sd.engines.wasm.compiling import LANES, compiled
from cipark_sd.engines.wasm.linking import PAGE
from cipark_sd.engines.wasm.memory import Layout

if TYPE_CHECKING:
    import wasmtime

#: Bytes of memory that a call of a module takes, about; more runs are computed in several calls.
MOST = 2**28
_LOCK = threading.Lock()
_MODULES: "dict[bytes, wasmtime.Module]" = {}


@dataclass(frozen=True)
class WasmEngine(CompiledEngine):
    """Runs programs as WebAssembly; each call has a memory of its own."""

    name: ClassVar[str] = "wasm"

    def execute(self, program: Program, inputs: Inputs) -> Values:
        """The outputs, (n_outputs, n_saved, n_runs)."""
        made = compiled(program)
        blocks = Blocks(program, inputs, LANES)
        layout = Layout.of(program, made, blocks, int(inputs.saved.sum()))
        out = np.empty((blocks.n_blocks, layout.n_saved, len(program.outputs), LANES))
        at_once = max(1, MOST // layout.bytes_of_block)
        for first in range(0, blocks.n_blocks, at_once):
            last = min(first + at_once, blocks.n_blocks)
            out[first:last] = prepared(program, made.module, layout, blocks, inputs, first, last)()
        return by_run(out, inputs.n_runs)


@cache
def _machine() -> "wasmtime.Engine":
    import wasmtime

    # what is left to the end of the process is let go before wasmtime itself is gone
    atexit.register(_let_go)
    return wasmtime.Engine()


def _let_go() -> None:
    _MODULES.clear()
    _machine.cache_clear()


def _module(code: bytes) -> "wasmtime.Module":
    """The machine code of a module, which all threads share."""
    import wasmtime

    with _LOCK:
        key = hashlib.sha256(code).digest()
        if key not in _MODULES:
            _MODULES[key] = wasmtime.Module(_machine(), code)
        return _MODULES[key]


def prepared(
    program: Program, code: bytes, layout: Layout, blocks: Blocks, inputs: Inputs, first: int, last: int
) -> Callable[[], Values]:
    """A module with some blocks of runs in its memory; it computes them and gives what a kernel writes."""
    import wasmtime

    module = _module(code)
    store = wasmtime.Store(_machine())
    instance: Any = wasmtime.Instance(store, module, [])
    exports = instance.exports(store)
    memory, run = exports["memory"], exports["run"]
    image = layout.image(blocks, inputs, first, last)
    memory.grow(store, -(-image.size // PAGE) - memory.size(store))
    memory.write(store, image.content, layout.free)

    def compute() -> Values:
        run(store, *image.arguments)
        values = np.frombuffer(memory.read(store, image.out, image.size), dtype=np.float64)
        return values.reshape(last - first, layout.n_saved, len(program.outputs), LANES)

    return compute
