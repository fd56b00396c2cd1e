"""What a kernel reads: inputs in blocks of as many runs as a vector has lanes; the last run fills up the last block."""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cipark_sd.compiler.program import Program
from cipark_sd.engines.base import Inputs, Values, stage_times
from cipark_sd.engines.evaluation import start_values

#: Doubles in a line of a processor's cache.
LINE = 8


def on_lines(*shape: int) -> Values:
    """An array that begins with a line of the cache, so that no vector of it lies in two; its numbers are not set."""
    size = math.prod(shape)
    memory = np.empty(size + LINE)
    first = -(memory.ctypes.data // 8) % LINE
    return memory[first : first + size].reshape(shape)


@dataclass(frozen=True, eq=False)
class Common:
    """What all blocks read, whatever the numbers of their runs.

    Parameters
    ----------
    times : (n_stage_times,)
    saved : (n_steps + 1,)
    uniforms : (4,)
    series : for each series of the program (n_stage_times, lanes), None where runs have their own

    Attributes
    ----------
    addresses : tuple of int
        Of times, saved and uniforms in memory.
    """

    times: Values
    saved: NDArray[np.uint8]
    n_saved: int
    uniforms: Values
    series: tuple[Values | None, ...]
    addresses: tuple[int, int, int] = field(init=False)

    def __post_init__(self) -> None:
        read = self.times, self.saved, self.uniforms
        object.__setattr__(self, "addresses", tuple(array.ctypes.data for array in read))

    def __reduce__(self) -> tuple[object, ...]:
        # a copy, or another process, has its arrays elsewhere
        return Common, (self.times, self.saved, self.n_saved, self.uniforms, self.series)


def _common(program: Program, inputs: Inputs, lanes: int) -> Common:
    """Made once for inputs that differ in their runs alone."""
    key = Common, program.method, lanes
    common = inputs.made.get(key)
    if not isinstance(common, Common):
        times = np.ascontiguousarray(stage_times(inputs.grid, program.method))
        saved, uniforms = np.ascontiguousarray(inputs.saved, dtype=np.uint8), inputs.uniforms
        series = tuple(
            np.repeat(values[:, None], lanes, axis=1) if values.ndim == 1 else None for values in inputs.series
        )
        common = inputs.made[key] = Common(times, saved, int(saved.sum()), uniforms, series)
    return common


class Blocks:
    """The arrays of a program's inputs.

    ``params`` is (n_blocks, n_params, lanes) and each of ``series`` (n_stage_times, lanes), or (n_blocks,
    n_stage_times, lanes) where runs have their own. ``capacities`` says for each pipe how many steps it has to remember
    and where it begins among ``pipe_size`` doubles.
    """

    def __init__(self, program: Program, inputs: Inputs, lanes: int) -> None:
        self.lanes = lanes
        self.n_blocks = -(-inputs.n_runs // lanes)
        self.params = self._blocks(np.broadcast_to(inputs.params, (len(program.params), inputs.n_runs)))
        self.common = _common(program, inputs, lanes)
        self.runs = np.zeros(self.n_blocks * lanes, dtype=np.uint64)
        self.runs[: inputs.n_runs] = inputs.runs
        self.series = [
            self._blocks(values) if shared is None else shared
            for values, shared in zip(inputs.series, self.common.series, strict=True)
        ]
        self.capacities, self.pipe_size = _capacities(program, inputs, lanes)

    def _blocks(self, values: Values) -> Values:
        """(n, n_runs) as (n_blocks, n, lanes)."""
        n, n_runs = values.shape
        blocks = on_lines(self.n_blocks, n, self.lanes)
        n_full, n_rest = divmod(n_runs, self.lanes)
        whole = n_full * self.lanes
        blocks[:n_full] = values[:, :whole].reshape(n, n_full, self.lanes).transpose(1, 0, 2)
        if n_rest:
            blocks[-1, :, :n_rest], blocks[-1, :, n_rest:] = values[:, whole:], values[:, -1:]
        return blocks

    @property
    def strides(self) -> list[int]:
        """For each series how many doubles lie between those of a block and the next; 0 where all runs share it."""
        return [0 if values.ndim == 2 else values[0].size for values in self.series]


def by_run(out: Values, n_runs: int) -> Values:
    """What a kernel wrote, (n_blocks, n_saved, n_outputs, lanes), as (n_outputs, n_saved, n_runs).

    Parameters
    ----------
    out : (n_blocks, n_saved, n_outputs, lanes)
        What a kernel wrote.
    n_runs : int
        Without those that fill up the last block.

    Returns
    -------
    Values, (n_outputs, n_saved, n_runs)
    """
    n_blocks, n_saved, n_outputs, lanes = out.shape
    if n_runs == 1:
        return np.ascontiguousarray(out[0, :, :, 0].T)[:, :, None]
    return out.transpose(2, 1, 0, 3).reshape(n_outputs, n_saved, n_blocks * lanes)[:, :, :n_runs]


def by_course(out: Values, n_runs: int) -> Values:
    """The same in another order in memory: the course of an output in a run lies together.

    Parameters
    ----------
    out : (n_blocks, n_saved, n_outputs, lanes)

    Returns
    -------
    Values, (n_outputs, n_saved, n_runs)
        A view.
    """
    n_blocks, n_saved, n_outputs, lanes = out.shape
    courses = out.transpose(2, 0, 3, 1).reshape(n_outputs, n_blocks * lanes, n_saved)
    return courses[:, :n_runs].transpose(0, 2, 1)


def of_blocks(out: Values, places: NDArray[np.intp]) -> Values:
    """Some of what a kernel wrote, (n_blocks, n_saved, n_outputs, lanes), as (n_places, n_blocks * lanes).

    Parameters
    ----------
    out : (n_blocks, n_saved, n_outputs, lanes)
    places : (n_places,)
        They count the outputs of the first saved instant, then those of the second.

    Returns
    -------
    Values, (n_places, n_blocks * lanes)
    """
    n_blocks, n_saved, n_outputs, lanes = out.shape
    # what a block has at a place is copied as one item
    items = out.reshape(n_blocks, n_saved * n_outputs, lanes).view(np.dtype((np.void, 8 * lanes)))[..., 0]
    return items.T[places].view(np.float64).reshape(len(places), n_blocks * lanes)


def _capacities(program: Program, inputs: Inputs, lanes: int) -> tuple[NDArray[np.int64], int]:
    numbers: list[int] = []
    total = 0
    if program.pipes:
        lengths = start_values(program, inputs, [p.length for p in program.pipes])
        for pipe, length in zip(program.pipes, lengths, strict=True):
            # a pipe longer than the run gives its initial value throughout
            most = len(inputs.grid.times)
            steps = int(min(length.max(), most)) if pipe.kind == "delay" else most
            numbers += [steps, total]
            total += steps * lanes
    return np.array([*numbers, 0], dtype=np.int64), total
