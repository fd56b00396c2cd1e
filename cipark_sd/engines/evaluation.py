"""The meaning of a program: operation by operation, with NumPy, on arrays over runs."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cipark_sd.compiler.primitives import MEANING, look_up, uniform_random
from cipark_sd.compiler.program import CONSTANT, PER_RUN, Program, reached
from cipark_sd.engines.base import Inputs, Values, fixed_method, stage_times
from cipark_sd.model.expr import MISSING, Table


def start_values(program: Program, inputs: Inputs, nodes: Sequence[int]) -> list[Values]:
    """What some nodes are at the start of each run, each (n_runs,); they must not change at each step.

    Parameters
    ----------
    nodes : sequence of int
        None of them changes at each step.

    Returns
    -------
    list of Values, (n_runs,)
        In the order of ``nodes``.
    """
    with np.errstate(all="ignore"):
        run = Evaluation(program, inputs, reached(program.nodes, nodes))
        return [run.full(node) for node in nodes]


class Evaluation:
    """One call: the values of all nodes at the present instant."""

    def __init__(self, program: Program, inputs: Inputs, only: Sequence[int] | None = None) -> None:
        self.program, self.inputs = program, inputs
        self.method = fixed_method(program.method)
        self.times = stage_times(inputs.grid, program.method)
        self.instants = inputs.grid.times
        self.step = 0
        self.stage = 0
        self.values: list[Values] = [np.empty(0)] * len(program.nodes)
        if only is not None:
            self.evaluate(only)
            return
        for rate in (CONSTANT, PER_RUN):
            self.evaluate(n for n, r in enumerate(program.rates) if r == rate)
        self.states = [self.full(s.initial) for s in program.states]
        self.cells = [self.full(c.initial) for c in program.cells]
        self.lengths = [self.full(p.length).astype(np.int64) for p in program.pipes]
        # a pipe longer than the run gives its initial value throughout
        longest = len(inputs.grid.times)
        self.rings = [
            np.zeros((min(int(n.max(initial=1)), longest) if p.kind == "delay" else longest, inputs.n_runs))
            for p, n in zip(program.pipes, self.lengths, strict=True)
        ]

    def full(self, node: int) -> Values:
        """A node's value for each run."""
        return np.broadcast_to(self.values[node], (self.inputs.n_runs,))

    def evaluate(self, nodes: Iterable[int]) -> None:
        """Compute nodes, which come in order."""
        for position in nodes:
            node = self.program.nodes[position]
            if not node.args:
                self.values[position] = self.source(node.op, node.payload)
            elif node.op == "past" and isinstance(node.payload, int):
                self.values[position] = self.looked_back(node.payload, self.full(node.args[0]).astype(np.int64))
            elif isinstance(node.payload, Table):
                self.values[position] = look_up(node.payload, self.values[node.args[0]])
            else:
                self.values[position] = MEANING[node.op](*(self.values[a] for a in node.args))

    def source(self, op: str, payload: float | int | Table | None) -> Any:
        """A node without arguments."""
        if isinstance(payload, float):
            return np.array(payload)
        slot = payload if isinstance(payload, int) else 0
        match op:
            case "param":
                return self.inputs.params[slot]
            case "uniform":
                return np.array(self.inputs.uniforms[slot])
            case "initial_series":
                return self.inputs.series[slot][0]
            case "series":
                return self.inputs.series[slot][self.stage]
            case "time":
                return np.array(self.times[self.stage])
            case "instant":
                return np.array(self.instants[self.step])
            case "state":
                return self.states[slot]
            case "cell":
                return self.cells[slot]
            case "pipe":
                return self.leaving(slot)
            case "random":
                return uniform_random(self.inputs.seed, slot, self.step, self.inputs.runs)
            case "tape":
                assert self.inputs.tape is not None
                return self.inputs.tape[slot, max(self.inputs.tape.shape[1] - 1 - self.step, 0)]
            case "initial_random":
                # a draw of its own, which no step has
                return uniform_random(self.inputs.seed, slot, 2**32, self.inputs.runs)
            case _:
                raise AssertionError(op)

    def leaving(self, slot: int) -> Values:
        """What comes out of a pipe now."""
        length, ring = self.lengths[slot], self.rings[slot]
        before = self.full(self.program.pipes[slot].initial)
        if self.program.pipes[slot].conveys:
            return np.asarray(np.where(self.step < length, before, 0.0) + ring[self.step])
        entered = ring[(self.step - length) % len(ring), np.arange(self.inputs.n_runs)]
        return np.where(self.step < length, before, entered)

    def looked_back(self, slot: int, steps: NDArray[np.int64]) -> Values:
        """What went into a record so many steps ago."""
        then = self.step - steps
        there = (steps > 0) & (then >= 0)
        return np.where(there, self.rings[slot][np.where(there, then, 0), np.arange(self.inputs.n_runs)], 0.0)

    def outputs(self) -> Values:
        """Go through all steps."""
        program, inputs = self.program, self.inputs
        n_steps, per_step = len(inputs.grid.times) - 1, 1 if self.method == "euler" else 2
        result = np.empty((len(program.outputs), int(inputs.saved.sum()), inputs.n_runs))
        place = 0
        for self.step in range(n_steps + 1):
            self.stage = per_step * self.step
            self.evaluate(program.dynamic)
            if inputs.saved[self.step]:
                self.evaluate(program.observed)
                for slot, (_, node) in enumerate(program.outputs):
                    result[slot, place] = self.values[node]
                place += 1
            if self.step < n_steps:
                self.advance()
        return result

    def advance(self) -> None:
        """From this instant to the next."""
        program, dt = self.program, self.inputs.grid.step
        first = self.rates()
        following = [self.full(c.following) for c in program.cells]
        entering = [tuple(self.full(node) for node in p.taken_in) for p in program.pipes]
        puts = [None if s.put is None else self.full(s.put) for s in program.states]
        start = self.states
        match self.method:
            case "euler":
                moved = [y + k * dt for y, k in zip(start, first, strict=True)]
            case "rk2":
                second = self.rates_at(start, first, dt, 2)
                moved = [y + (a + b) * (dt / 2) for y, a, b in zip(start, first, second, strict=True)]
            case _:
                second = self.rates_at(start, first, dt / 2, 1)
                third = self.rates_at(start, second, dt / 2, 0)
                fourth = self.rates_at(start, third, dt, 1)
                slopes = zip(start, first, second, third, fourth, strict=True)
                moved = [y + (((a + b * 2.0) + c * 2.0) + d) * (dt / 6) for y, a, b, c, d in slopes]
        moved = [
            np.where(before < 0, y, MEANING["max"](y, np.array(0.0))) if s.non_negative else y
            for y, before, s in zip(moved, start, program.states, strict=True)
        ]
        self.states = [
            y if put is None else np.where(put == MISSING, y, put) for y, put in zip(moved, puts, strict=True)
        ]
        self.cells = following
        for pipe, ring, (values, *after) in zip(program.pipes, self.rings, entering, strict=True):
            if not after:
                ring[self.step % len(ring)] = values
                continue
            at = self.step + after[0].astype(np.int64)
            inside = np.flatnonzero(at < len(ring))
            before = ring[at[inside], inside] if pipe.kind == "conveyor" else 0.0
            ring[at[inside], inside] = before + values[inside]

    def rates(self) -> list[Values]:
        """The rates of the states, from what is evaluated."""
        return [self.full(s.rate) for s in self.program.states]

    def rates_at(self, start: list[Values], slopes: list[Values], dt: float, later: int) -> list[Values]:
        """The rates ``dt`` along the slopes, ``later`` half steps on."""
        self.states = [y + k * dt for y, k in zip(start, slopes, strict=True)]
        self.stage += later
        self.evaluate(self.program.rates_only)
        return self.rates()
