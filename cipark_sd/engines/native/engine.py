"""The fast engine: programs as vector code through LLVM, eight runs in a register, blocks over threads.

Object code is kept on disk under the digest of the assembly that it was made of, of LLVM and of the processor, so that
a second process does not compile again, and no change of the emitter or of a recipe is answered with old code.
Results do not depend on how runs are cut into blocks and threads, and equal the NumPy engine's bit for bit.
"""

import ctypes
import math
import os
import platform
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cipark_sd.compiler.adjoint import Adjoint
from cipark_sd.compiler.primitives import library_address
from cipark_sd.compiler.program import Program
from cipark_sd.engines.base import Inputs, TapeTooLong, Values, Weigh, back_inputs, fixed_method, taped_inputs
from cipark_sd.engines.blocks import Blocks, by_course, by_run, of_blocks, on_lines
from cipark_sd.engines.compiled import CompiledEngine
from cipark_sd.engines.native.elementary import FEW, LANES
from cipark_sd.engines.native.kernel import kernel
from cipark_sd.engines.native.object_code import TUNING, object_code
from cipark_sd.engines.plan import Columns

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

#: Bytes of tape, or of outputs of which some are read, that a worker keeps at once; of tape it may be so many where
#: that is what some runs take, which are weighed together; and no block may have more than the last of these. So many
#: runs are weighed at a time: of 8 to 128, 128 was the quickest on four of five models of the gauntlet (a tenth on the
#: next), since what weighs them has its own calls.
TAPE, LARGER_TAPE, TOGETHER, MOST_TAPE = 2**22, 2**28, 128, 2**32
#: Two vectors at once for programs that are full of elementary functions, whose steps wait for each other. Others have
#: more values alive than there are registers, and get slower. From so many runs on it is worth the second compilation.
WIDE, MANY = 16, 64
#: Operations on a vector that a thread has at least, some 4 ms of them: with fewer, handing them over made calls of
#: 512 runs of two small studies 1.7 and 2.7 times dearer, and no shorter.
LEAST_EFFORT = 2 * 10**6
#: Operations on a vector after which a call comes back, so that Python hears Ctrl-C: a tenth of a second, or a few if
#: they are functions.
PART = 5 * 10**7
_POINTER, _WHOLE = ctypes.c_void_p, ctypes.c_int64
#: What ``run`` takes: :data:`~cipark_sd.engines.native.kernel._DRIVER`.
_RUN = ctypes.CFUNCTYPE(None, _WHOLE, *[_POINTER] * 5, _WHOLE, _WHOLE, *[_POINTER] * 5, _WHOLE, _POINTER, *[_WHOLE] * 4)
_LOCK = threading.Lock()


@dataclass(frozen=True)
class NativeEngine(CompiledEngine):
    """Runs programs as machine code, on ``workers`` threads.

    With ``courses`` the outputs lie in memory course by course, for callers that put them away as they are; arithmetic
    over runs goes the other way, and in the same order for any number of them.
    """

    name: ClassVar[str] = "native"
    workers: int = 1
    courses: bool = False

    def execute(self, program: Program, inputs: Inputs) -> Values:
        """The outputs, (n_outputs, n_saved, n_runs)."""
        return (by_course if self.courses else by_run)(self._blocks(program, inputs), inputs.n_runs)

    def at(self, program: Program, inputs: Inputs, places: NDArray[np.intp]) -> Values:
        """Some outputs (n_places, n_runs); a few blocks at a time, so that what they write is near."""
        if program.method == "gear":
            return super().at(program, inputs, places)
        lanes = lanes_for(program, inputs.n_runs)
        loaded, arrays = load(program, lanes), Blocks(program, inputs, lanes)
        of_block = arrays.common.n_saved, len(program.outputs), lanes
        some = max(1, TAPE // (8 * max(math.prod(of_block), 1)))
        read = np.empty((len(places), arrays.n_blocks * lanes))

        def part(first: int, last: int) -> None:
            out = on_lines(min(some, last - first), *of_block)
            for begin in range(first, last, some):
                end = min(begin + some, last)
                _call(loaded, arrays, inputs.seed, begin, end, out)
                read[:, begin * lanes : end * lanes] = of_blocks(out[: end - begin], places)

        self._in_parts(arrays.n_blocks, len(arrays.common.saved) * loaded[2], part)
        return read[:, : inputs.n_runs]

    def _blocks(self, program: Program, inputs: Inputs) -> Values:
        """What the kernel writes, (n_blocks, n_saved, n_outputs, lanes)."""
        lanes = lanes_for(program, inputs.n_runs)
        loaded, arrays = load(program, lanes), Blocks(program, inputs, lanes)
        n_blocks = arrays.n_blocks
        out = on_lines(n_blocks, arrays.common.n_saved, len(program.outputs), lanes)
        effort = len(arrays.common.saved) * loaded[2]

        def part(first: int, last: int) -> None:
            _call(loaded, arrays, inputs.seed, first, last, out[first:])

        self._in_parts(n_blocks, effort, part)
        return out

    def execute_back(self, way: Adjoint, inputs: Inputs, places: NDArray[np.intp], weigh: Weigh) -> Values:
        """The derivatives of the weighted outputs; a few blocks at a time, so that their tape is near."""
        lanes = lanes_for(way.taped, inputs.n_runs)
        forth, back = load(way.taped, lanes), load(way.back, lanes)
        forward, backward = taped_inputs(inputs), back_inputs(way, inputs)
        arrays, back_arrays = Blocks(way.taped, forward, lanes), Blocks(way.back, backward, lanes)
        n_rows, n_slots = len(inputs.grid.times), len(way.taped.outputs)
        n_blocks, n, saved = arrays.n_blocks, way.n_outputs, np.flatnonzero(inputs.saved)
        steps, slots = saved[places // n], places % n
        bytes_of_one = 8 * n_rows * n_slots * lanes
        if bytes_of_one > MOST_TAPE:
            raise TapeTooLong(way.taped.name, bytes_of_one, MOST_TAPE)
        gradient = np.empty((n_blocks, 1, len(way.back.outputs), lanes))

        def part(first: int, last: int) -> None:
            together = min(TOGETHER // lanes, LARGER_TAPE // bytes_of_one)
            some = min(last - first, max(1, together, TAPE // bytes_of_one))
            tape = on_lines(some, n_rows, n_slots, lanes)
            rows = (n_rows * n_slots * lanes, n_slots * lanes, n_rows - 1)
            for begin in range(first, last, some):
                end = min(begin + some, last)
                _call(forth, arrays, inputs.seed, begin, end, tape)
                runs = np.arange(begin * lanes, min(end * lanes, inputs.n_runs))
                written = tape[: end - begin]
                outputs = written[:, steps, slots].transpose(1, 0, 2).reshape(len(places), -1)
                weights = np.zeros_like(outputs)
                weights[:, : len(runs)] = weigh(outputs[:, : len(runs)], runs)
                written[:, :, :n] = 0.0
                written[:, steps, slots] = weights.reshape(len(places), end - begin, lanes).transpose(1, 0, 2)
                _call(back, back_arrays, inputs.seed, begin, end, gradient[begin:], (tape.ctypes.data, rows))

        self._in_parts(n_blocks, n_rows * (forth[2] + back[2]), part)
        return by_run(gradient, inputs.n_runs)[:, 0]

    def _in_parts(self, n_blocks: int, effort: int, part: Callable[[int, int], None]) -> None:
        """Some blocks, of so many operations each, for each worker; the last for the thread that asks."""
        workers = max(1, min(self.workers, n_blocks, n_blocks * effort // LEAST_EFFORT))
        edges = [n_blocks * i // workers for i in range(workers + 1)]
        shares = [_threads(workers - 1).submit(part, *ends) for ends in pairwise(edges[:-1])]
        try:
            part(*edges[-2:])
        finally:
            # they write into memory of this call
            problems = [share.exception() for share in shares]
        for problem in filter(None, problems):
            raise problem


@cache
def _threads(n: int) -> "ThreadPoolExecutor":
    """Kept, since starting them takes as long as a thousand runs of a small model."""
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(n)


# threads do not go with a fork
os.register_at_fork(after_in_child=_threads.cache_clear)


def _call(
    loaded: tuple[Any, int, int],
    arrays: Blocks,
    seed: int,
    first: int,
    last: int,
    out: Values,
    tape: tuple[int, tuple[int, int, int]] = (0, (0, 0, 0)),
) -> None:
    """Run some of the blocks; ``tape`` is the address of that of the first of them, and what a kernel asks of it."""
    run, n_vectors, operations = loaded
    workspace = on_lines((n_vectors + 1) * arrays.lanes)
    pipes = np.empty(arrays.pipe_size + arrays.lanes)
    address, rows = tape
    strides = np.array([*arrays.strides, *rows], dtype=np.int64)
    addresses = [v.ctypes.data + 8 * first * stride for v, stride in zip(arrays.series, arrays.strides, strict=True)]
    series = np.array([*addresses, address], dtype=np.int64)
    common = arrays.common
    times, saved, uniforms = common.addresses
    arguments = (
        arrays.params[first:].ctypes.data,
        workspace.ctypes.data,
        out.ctypes.data,
        times,
        saved,
        len(common.saved) - 1,
        common.n_saved,
        series.ctypes.data,
        strides.ctypes.data,
        uniforms,
        pipes.ctypes.data,
        arrays.capacities.ctypes.data,
        seed,
        arrays.runs[first * arrays.lanes :].ctypes.data,
    )
    for begin, end, since, until in _parts(last - first, len(common.saved), operations):
        run(end, *arguments, begin, since, until, int(common.saved[:since].sum()))


def _parts(n_blocks: int, n_steps: int, operations: int) -> Iterator[tuple[int, int, int, int]]:
    """Blocks, and the steps of one, that are computed before Python can act: first and end of either."""
    steps = max(1, PART // operations)
    together = max(1, steps // n_steps)
    for begin in range(0, n_blocks, together):
        for since in range(0, n_steps, steps):
            yield begin, min(begin + together, n_blocks), since, since + steps


def lanes_for(program: Program, n_runs: int) -> int:
    """How many runs a block has; it changes no bit."""
    if n_runs <= FEW:
        return 1
    return WIDE if n_runs >= MANY and program.full_of_functions else LANES


_LOADED: dict[tuple[str, int], tuple[Any, int, int]] = {}


def load(program: Program, lanes: int = LANES) -> tuple[Any, int, int]:
    """The machine code of a program for blocks of so many runs: of this process, from disk, or compiled now.

    Parameters
    ----------
    lanes : int
        Runs of a block.

    Returns
    -------
    workspace : int
        The vectors of workspace that it needs.
    operations : int
        Of a step.
    """
    key = (program.digest, lanes)
    with _LOCK:
        if key not in _LOADED:
            _LOADED[key] = _load(program, lanes)
        return _LOADED[key]


@cache
def _machine(opt: int = 2) -> tuple[Any, str]:
    """The target machine of this processor with a level of optimisation, and what identifies the two."""
    import llvmlite
    from llvmlite import binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.add_symbol("cipark_fmod", library_address("fmod"))
    cpu, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    target = llvm.Target.from_default_triple()
    machine = target.create_target_machine(cpu=cpu, features=features, opt=opt, jit=True)
    identity = f"{llvmlite.__version__} {llvm.llvm_version_info} {target.triple} {cpu} {features} {TUNING} {opt}"
    return machine, identity


@cache
def _has_fused() -> bool:
    """Whether this processor multiplies and adds with one rounding."""
    from llvmlite import binding as llvm

    return platform.machine() in ("aarch64", "arm64") or bool(llvm.get_host_cpu_features().get("fma", False))


def _load(program: Program, lanes: int) -> tuple[Any, int, int]:
    from llvmlite import binding as llvm

    text, workspace, effort = kernel(program, lanes, fused=_has_fused(), in_parts=True)
    machine, identity = _machine(2 if effort else 0)
    code = object_code(text, effort, machine, identity)
    owner = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine_for_jit())
    owner.add_object_file(llvm.object_file.ObjectFileRef.from_data(code))
    owner.finalize_object()
    operations = max(1, {"euler": 1, "rk2": 2}.get(fixed_method(program.method), 4) * len(program.nodes))
    return _function_of(owner, "run", _RUN), workspace, operations


def _jit(text: str, name: str, signature: Any) -> Any:
    """A function of LLVM assembly as machine code of this process; none of it is from disk."""
    from llvmlite import binding as llvm

    _machine()
    owner = llvm.create_mcjit_compiler(llvm.parse_assembly(text), _machine_for_jit())
    owner.finalize_object()
    return _function_of(owner, name, signature)


def _function_of(owner: Any, name: str, signature: Any) -> Any:
    """A function of an execution engine, which holds the engine as long as it can be called itself."""
    function = signature(owner.get_function_address(name))
    function.owner = owner
    return function


def _machine_for_jit() -> Any:
    """A target machine of its own for an execution engine, which takes possession of it."""
    from llvmlite import binding as llvm

    target = llvm.Target.from_default_triple()
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=2, jit=True
    )


_PUTTING = ctypes.CFUNCTYPE(None, *[_POINTER] * 4, *[_WHOLE] * 5)

#: For each output and each of its times: the values of the runs, which lie beside each other in the source.
_PUT = """
define void @put(ptr noalias %source, ptr noalias %targets, ptr noalias %across, ptr noalias %along, i64 %n, \
i64 %times, i64 %runs, i64 %place_step, i64 %time_step) {{
entry:
  br label %place
place:
  %p = phi i64 [ 0, %entry ], [ %p1, %placed ]
  %target_at = getelementptr ptr, ptr %targets, i64 %p
  %target = load ptr, ptr %target_at, align 8
  %across_at = getelementptr i64, ptr %across, i64 %p
  %a = load i64, ptr %across_at, align 8
  %along_at = getelementptr i64, ptr %along, i64 %p
  %l = load i64, ptr %along_at, align 8
  %from0 = mul i64 %p, %place_step
  %from = getelementptr i8, ptr %source, i64 %from0
  br label %time
time:
  %t = phi i64 [ 0, %place ], [ %t1, %timed ]
  %row0 = mul i64 %t, %time_step
  %row = getelementptr i8, ptr %from, i64 %row0
  %to0 = mul i64 %t, %l
  %to = getelementptr double, ptr %target, i64 %to0
  br label %run
run:
  %r = phi i64 [ 0, %time ], [ %r1, %run ]
{values}
  %r1 = add nuw i64 %r, {together}
  %more_runs = icmp slt i64 %r1, %runs
  br i1 %more_runs, label %run, label %timed
timed:
  %t1 = add nuw i64 %t, 1
  %more_times = icmp slt i64 %t1, %times
  br i1 %more_times, label %time, label %placed
placed:
  %p1 = add nuw i64 %p, 1
  %more_places = icmp slt i64 %p1, %n
  br i1 %more_places, label %place, label %done
done:
  ret void
}}
"""
_VALUE = """\
  %r_{i} = add nuw i64 %r, {i}
  %value_at{i} = getelementptr double, ptr %row, i64 %r_{i}
  %value{i} = load double, ptr %value_at{i}, align 8
  %course{i} = mul i64 %r_{i}, %a
  %put_at{i} = getelementptr double, ptr %to, i64 %course{i}
  store double %value{i}, ptr %put_at{i}, align 8"""
#: Below so many bytes NumPy is done before the code for it is made.
LEAST = 2**20


@cache
def _put(together: int) -> Any:
    """The code for numbers of runs that are multiples of ``together``."""
    values = "\n".join(_VALUE.format(i=i) for i in range(together))
    return _jit(_PUT.format(values=values, together=together), "put", _PUTTING)


class Courses:
    """Where the outputs of an ensemble go.

    Parameters
    ----------
    arrays : mapping of str to (n_runs, n_saved, *sizes)
        Arrays of the columns, by name.
    """

    def __init__(self, columns: Columns, arrays: Mapping[str, NDArray[np.float64]]) -> None:
        self.columns, self.arrays = columns, arrays
        targets, across, along, order = [], [], [], []
        for name in columns.names:
            places = columns.places[name].reshape(-1)
            first = arrays[name].ctypes.data
            for position, place in enumerate(places.tolist()):
                if place >= 0:
                    order.append(place)
                    targets.append(first + 8 * position)
                    across.append(arrays[name][0].size)
                    along.append(len(places))
        # outputs are numbered in this order
        assert order == list(range(len(order)))
        self.targets, self.across, self.along = (np.array(n, dtype=np.int64) for n in (targets, across, along))

    def fill(self, runs: NDArray[np.intp] | slice, values: Values) -> None:
        """Put (n_flat, n_saved, n_runs) into the places of some runs, as :meth:`Columns.fill` does."""
        if isinstance(runs, np.ndarray) or values.nbytes < LEAST or values.strides[2] != values.itemsize:
            self.columns.fill(self.arrays, runs, values)
            return
        _, n_times, n_runs = values.shape
        assert n_runs == runs.stop - runs.start
        targets = self.targets + 8 * runs.start * self.across
        put = _put(LANES if n_runs % LANES == 0 else 1)
        addresses = (array.ctypes.data for array in (values, targets, self.across, self.along))
        put(*addresses, len(targets), n_times, n_runs, *values.strides[:2])
