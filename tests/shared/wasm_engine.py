"""The engine ``wasm``: a program as a module of WebAssembly under wasmtime, which has to have the native engine's bits.

A module finds its inputs in its memory, and leaves its outputs there, as ``docs/reference/webassembly.md`` says, which
a host in another language follows. Tests ask for the engine by the fixture ``wasm``.
"""

import atexit
import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cipark_sd.compiler.program import Program
from cipark_sd.engines.base import Inputs, Values
from cipark_sd.engines.blocks import Blocks, by_run
from cipark_sd.engines.compiled import CompiledEngine
from cipark_sd.engines.registry import Row
from cipark_sd.engines.wasm.carried import SECTION
from cipark_sd.engines.wasm.compiling import LANES, PAGE, compiled, sections, text

if TYPE_CHECKING:
    import wasmtime

#: What the registry has to say of it.
ROW = Row(__name__, "WasmEngine", compiled=True, needs="wasmtime")
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
        module, *sizes = compiled(program)
        blocks = Blocks(program, inputs, LANES)
        layout = Layout.of(program, *sizes, blocks, int(inputs.saved.sum()))
        out = np.empty((blocks.n_blocks, layout.n_saved, len(program.outputs), LANES))
        at_once = max(1, MOST // layout.bytes_of_block)
        for first in range(0, blocks.n_blocks, at_once):
            last = min(first + at_once, blocks.n_blocks)
            out[first:last] = prepared(program, module, layout, blocks, inputs, first, last)()
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


@dataclass(frozen=True)
class Image:
    """The memory before a call: its inputs from where it is free, its size, where outputs begin, the arguments."""

    content: bytes
    size: int
    out: int
    arguments: tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """The sizes of one program's arrays, in doubles, from the address ``free`` on.

    ``n_params`` and ``n_out`` are those of a block of runs, ``workspace`` and ``pipes`` those of a call.
    """

    lanes: int
    free: int
    n_params: int
    n_saved: int
    n_out: int
    workspace: int
    pipes: int

    @classmethod
    def of(cls, program: Program, workspace: int, free: int, blocks: Blocks, n_saved: int) -> "Layout":
        """For a program and its module, which asks for a workspace and has its memory free from an address on."""
        lanes = blocks.lanes
        return cls(
            lanes,
            free,
            n_params=len(program.params) * lanes,
            n_saved=n_saved,
            n_out=n_saved * len(program.outputs) * lanes,
            # one vector beyond, since an array of no length has no address
            workspace=(workspace + 1) * lanes,
            pipes=blocks.pipe_size + lanes,
        )

    @property
    def bytes_of_block(self) -> int:
        """What one more block of runs takes, but for series of its own."""
        return 8 * (self.n_params + self.n_out + self.lanes)

    def image(self, blocks: Blocks, inputs: Inputs, first: int, last: int) -> Image:
        """The memory for some of the blocks."""
        memory = _Writer(self.free)
        params = memory.put(blocks.params[first:last])
        times, saved = memory.put(blocks.common.times), memory.put(blocks.common.saved)
        arrays = [values if values.ndim == 2 else values[first:last] for values in blocks.series]
        addresses = [memory.put(values) for values in arrays]
        series = memory.put(np.array([*addresses, 0], dtype=np.int64))
        strides = memory.put(np.array([*blocks.strides, 0], dtype=np.int64))
        uniforms, capacities = memory.put(blocks.common.uniforms), memory.put(blocks.capacities)
        runs = memory.put(blocks.runs[first * self.lanes : last * self.lanes])
        content = memory.content
        workspace = memory.leave(self.workspace)
        pipes = memory.leave(self.pipes)
        out = memory.leave((last - first) * self.n_out)
        arguments = (
            *(last - first, params, workspace, out, times, saved, len(inputs.grid.times) - 1, self.n_saved),
            *(series, strides, uniforms, pipes, capacities, _signed(inputs.seed), runs),
        )
        return Image(content, memory.size, out, arguments)


class _Writer:
    def __init__(self, free: int) -> None:
        self._parts: list[bytes] = []
        self.size = free

    @property
    def content(self) -> bytes:
        return b"".join(self._parts)

    def put(self, values: NDArray[np.generic]) -> int:
        """The address at which an array now lies, a multiple of 16."""
        written = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
        self._parts += [written, bytes(-len(written) % 16)]
        at, self.size = self.size, self.size + len(written) + -len(written) % 16
        return at

    def leave(self, n: int) -> int:
        """The address of so many doubles that are not written."""
        at, self.size = self.size, self.size + 8 * n + -8 * n % 16
        return at


def _signed(seed: int) -> int:
    """A seed as WebAssembly takes it: an integer of 64 bits with a sign."""
    return seed - 2**64 if seed >= 2**63 else seed


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


def description_of(module: bytes) -> dict[str, object]:
    """What a module says of itself."""
    name = text(SECTION)
    (content,) = (body for kind, body in sections(module) if kind == 0 and body.startswith(name))
    about = json.loads(content[len(name) :])
    assert isinstance(about, dict)
    return about
