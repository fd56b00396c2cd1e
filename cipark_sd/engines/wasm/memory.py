"""Where a module finds its inputs in its memory, and where it leaves its outputs.

The order is that of ``docs/reference/webassembly.md``, which a host in another language follows.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cipark_sd.compiler.program import Program
from cipark_sd.engines.base import Inputs
from cipark_sd.engines.blocks import Blocks
from cipark_sd.engines.wasm.compiling import Compiled


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
    def of(cls, program: Program, made: Compiled, blocks: Blocks, n_saved: int) -> "Layout":
        """For a program and its module."""
        lanes = blocks.lanes
        return cls(
            lanes,
            made.free,
            n_params=len(program.params) * lanes,
            n_saved=n_saved,
            n_out=n_saved * len(program.outputs) * lanes,
            # one vector beyond, since an array of no length has no address
            workspace=(made.workspace + 1) * lanes,
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
