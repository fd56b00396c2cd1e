"""The fast engine: programs as vector code through LLVM, eight runs in a register, blocks over threads.

Object code is kept on disk under the digest of the assembly that it was made of, of LLVM and of the processor, so that
a second process does not compile again, and no change of the emitter or of a recipe is answered with old code.
Results do not depend on how runs are cut into blocks and threads, and equal the NumPy engine's bit for bit.
"""

import ctypes
import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cipark_sd.cache import keep, kept
from cipark_sd.compiler.primitives import LIBRARY, library_address
from cipark_sd.compiler.program import Program
from cipark_sd.engines.base import Inputs, Values, stage_times
from cipark_sd.engines.compiled import CompiledEngine
from cipark_sd.engines.evaluation import start_values
from cipark_sd.engines.native.kernel import Kernel, kernel
from cipark_sd.engines.native.text import LANES

_POINTER = ctypes.c_void_p
_SIGNATURE = ctypes.CFUNCTYPE(
    None,
    ctypes.c_int64,
    *([_POINTER] * 5),
    ctypes.c_int64,
    ctypes.c_int64,
    *([_POINTER] * 5),
    ctypes.c_int64,
    _POINTER,
)
#: What LLVM's passes are told beside the level of optimisation; lanes are vectors already.
_TUNING = {"loop_vectorization": False, "slp_vectorization": False}
_LOCK = threading.Lock()


@dataclass(frozen=True)
class Loaded:
    """Machine code that can be called, with the execution engine that owns it."""

    call: Any
    workspace: int
    owner: Any


@dataclass(frozen=True)
class NativeEngine(CompiledEngine):
    """Runs programs as machine code, on ``workers`` threads."""

    name: ClassVar[str] = "native"
    workers: int = 1

    def execute(self, program: Program, inputs: Inputs) -> Values:
        """The outputs, (n_outputs, n_saved, n_runs)."""
        loaded = load(program)
        n_blocks = -(-inputs.n_runs // LANES)
        n_saved, n_outputs = int(inputs.saved.sum()), len(program.outputs)
        arrays = _Arrays(program, inputs, n_blocks)
        out = np.empty((n_blocks, n_saved, n_outputs, LANES))
        workers = max(1, min(self.workers, n_blocks))
        edges = [n_blocks * i // workers for i in range(workers + 1)]

        def part(first: int, last: int) -> None:
            workspace = np.empty((loaded.workspace + 1) * LANES)
            pipes = np.empty(arrays.pipe_size + LANES)
            series, strides = arrays.series(first)
            loaded.call(
                last - first,
                arrays.params[first:].ctypes.data,
                workspace.ctypes.data,
                out[first:].ctypes.data,
                arrays.times.ctypes.data,
                arrays.saved.ctypes.data,
                len(inputs.grid.times) - 1,
                n_saved,
                series.ctypes.data,
                strides.ctypes.data,
                arrays.uniforms.ctypes.data,
                pipes.ctypes.data,
                arrays.capacities.ctypes.data,
                inputs.seed,
                arrays.runs[first * LANES :].ctypes.data,
            )

        if workers == 1:
            part(0, n_blocks)
        else:
            with ThreadPoolExecutor(workers) as pool:
                list(pool.map(part, edges[:-1], edges[1:]))
        return out.transpose(2, 1, 0, 3).reshape(n_outputs, n_saved, n_blocks * LANES)[:, :, : inputs.n_runs]


class _Arrays:
    """What a kernel reads, in blocks of eight runs; the last block is filled up with the last run."""

    def __init__(self, program: Program, inputs: Inputs, n_blocks: int) -> None:
        self.n_blocks = n_blocks
        self.params = self._blocks(np.broadcast_to(inputs.params, (len(program.params), inputs.n_runs)))
        self.times = np.ascontiguousarray(stage_times(inputs.grid, program.method))
        self.saved = np.ascontiguousarray(inputs.saved, dtype=np.uint8)
        self.uniforms = inputs.uniforms
        self.runs = np.zeros(n_blocks * LANES, dtype=np.uint64)
        self.runs[: inputs.n_runs] = inputs.runs
        self._series: list[tuple[Values, int]] = []
        for values in inputs.series:
            if values.ndim == 1:
                self._series.append((np.repeat(values[:, None], LANES, axis=1).copy(), 0))
            else:
                blocks = self._blocks(values)
                self._series.append((blocks, blocks[0].size))
        self.capacities, self.pipe_size = _capacities(program, inputs)

    def _blocks(self, values: Values) -> Values:
        """(n, n_runs) as (n_blocks, n, 8)."""
        n, n_runs = values.shape
        filled = np.empty((n, self.n_blocks * LANES))
        filled[:, :n_runs] = values
        filled[:, n_runs:] = values[:, -1:]
        return np.ascontiguousarray(filled.reshape(n, self.n_blocks, LANES).transpose(1, 0, 2))

    def series(self, first: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Addresses of the series from a block on, and how far apart blocks are."""
        addresses = [v.ctypes.data + 8 * stride * first for v, stride in self._series]
        strides = [stride for _, stride in self._series]
        return np.array([*addresses, 0], dtype=np.int64), np.array([*strides, 0], dtype=np.int64)


def _capacities(program: Program, inputs: Inputs) -> tuple[NDArray[np.int64], int]:
    """For each pipe how many steps it has to remember and where it begins, and the size of all, in doubles."""
    told: list[int] = []
    total = 0
    if program.pipes:
        for length in start_values(program, inputs, [p.length for p in program.pipes]):
            # a pipe longer than the run gives its initial value throughout
            steps = int(min(length.max(), len(inputs.grid.times)))
            told += [steps, total]
            total += steps * LANES
    return np.array([*told, 0], dtype=np.int64), total


_LOADED: dict[str, Loaded] = {}


def load(program: Program) -> Loaded:
    """The machine code of a program: of this process, from disk, or compiled now."""
    with _LOCK:
        if program.digest not in _LOADED:
            _LOADED[program.digest] = _load(program)
        return _LOADED[program.digest]


@cache
def _machine() -> tuple[Any, str]:
    """The target machine of this processor, and what identifies it."""
    import llvmlite
    from llvmlite import binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    for name in LIBRARY:
        llvm.add_symbol(f"cipark_{name}", library_address(name))
    cpu, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    target = llvm.Target.from_default_triple()
    machine = target.create_target_machine(cpu=cpu, features=features, opt=2, jit=True)
    identity = f"{llvmlite.__version__} {llvm.llvm_version_info} {target.triple} {cpu} {features} {_TUNING}"
    return machine, identity


def _load(program: Program) -> Loaded:
    from llvmlite import binding as llvm

    machine, identity = _machine()
    made = kernel(program)
    key = object_key(made, identity)
    code = kept("kernels", key)
    if code is None:
        code = _compiled(made, machine)
        keep("kernels", key, code)
    owner = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine_for_jit())
    owner.add_object_file(llvm.object_file.ObjectFileRef.from_data(code))
    owner.finalize_object()
    return Loaded(_SIGNATURE(owner.get_function_address("run")), made.workspace, owner)


def object_key(made: Kernel, identity: str) -> str:
    """The digest of all that decides what object code comes out: the assembly itself, how it is optimised, and where.

    Emitting the text costs some 2 microseconds an operation, which is what it takes never to trust a version number.
    """
    return hashlib.sha256(f"{identity} {made.short}\n{made.text}".encode()).hexdigest()


def machine_for_jit() -> Any:
    """A target machine of its own for an execution engine, which takes possession of it."""
    from llvmlite import binding as llvm

    target = llvm.Target.from_default_triple()
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=2, jit=True
    )


def _compiled(made: Kernel, machine: Any) -> bytes:
    from llvmlite import binding as llvm

    module = llvm.parse_assembly(made.text)
    module.triple = machine.triple
    module.data_layout = str(machine.target_data)
    options = llvm.create_pipeline_tuning_options(speed_level=2 if made.short else 1)
    for name, value in _TUNING.items():
        setattr(options, name, value)
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return bytes(machine.emit_object(module))
