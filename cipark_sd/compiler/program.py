"""The lowered form of a model: scalar operations, states, cells and pipes, as one frozen value.

Every engine runs this and nothing else. A program holds numbers and names, never text that is executed.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from cipark_sd.compiler.primitives import OPERATORS, RECIPES
from cipark_sd.model.expr import Call, Interpolation, Table
from cipark_sd.model.model import Method

#: How often an operation has to be done: never (a number), once a run, or at each step.
CONSTANT, PER_RUN, PER_STEP = 0, 1, 2
#: Numbers that all runs of a call share.
UNIFORMS = ("time_step", "initial_time", "final_time", "saveper")


@dataclass(frozen=True, slots=True)
class Node:
    """One scalar operation on earlier nodes.

    ``payload`` is the value of a ``const``, the position of a ``param``, ``state``, ``cell``, ``pipe``, ``series``,
    ``uniform``, ``random`` stream or place on a ``tape`` (:mod:`cipark_sd.compiler.adjoint`), and the points of a
    ``table``. Of a ``past`` it is the pipe that remembers, and the argument says how many steps to look back.
    """

    op: str
    args: tuple[int, ...] = ()
    payload: float | int | Table | None = None


def reached(nodes: Sequence[Node], roots: Iterable[int]) -> list[int]:
    """Some nodes and all that they are computed from, in order.

    Parameters
    ----------
    nodes : sequence of Node
        All of a program.
    roots : iterable of int
        The positions of some.

    Returns
    -------
    list of int
        Positions, ascending.
    """
    needed: set[int] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node not in needed:
            needed.add(node)
            stack.extend(nodes[node].args)
    return sorted(needed)


@dataclass(frozen=True, slots=True)
class State:
    """A number that its rate changes: a stock, or one stage of a delay or smooth. All are positions of nodes.

    Of a ``non_negative`` one all rates that drain it are limited (:mod:`cipark_sd.compiler.limits`): what falls below
    zero in a step is a rounding, and becomes zero. One that begins below zero fills up by its rates alone.
    ``put`` is what takes its place at the end of a step, where that is not missing.
    """

    label: str
    initial: int
    rate: int
    non_negative: bool = False
    put: int | None = None

    @property
    def read(self) -> tuple[int, ...]:
        """What a step of it needs: its rate, and what may take its place."""
        return (self.rate,) if self.put is None else (self.rate, self.put)


@dataclass(frozen=True, slots=True)
class Cell:
    """A number that is replaced at the end of each step, such as what SAMPLE IF TRUE holds."""

    label: str
    initial: int
    following: int


@dataclass(frozen=True, slots=True)
class Pipe:
    """What goes in and comes out later.

    A ``"delay"`` is a fixed one: what goes in comes out ``length`` steps later, and ``initial`` before that. On a
    ``"conveyor"`` what goes in comes out ``after`` so many steps as its entry says, together with what else does;
    ``initial`` comes out in each of the first ``length`` steps. A ``"latest"`` is a conveyor on which what entered last
    takes the place of what else would come out with it. A ``"record"`` keeps all that went in for ``past``,
    at the place of its step.
    """

    label: str
    initial: int
    entering: int
    length: int
    kind: Literal["delay", "conveyor", "latest", "record"] = "delay"
    after: int | None = None

    @property
    def conveys(self) -> bool:
        """Whether each entry says for itself when it comes out."""
        return self.after is not None

    @property
    def taken_in(self) -> tuple[int, ...]:
        """What it reads at the beginning of a step."""
        return (self.entering,) if self.after is None else (self.entering, self.after)


@dataclass(frozen=True, slots=True)
class SeriesInput:
    """Values over time that are sampled before the run; ``table`` is ``None`` where the caller brings them."""

    name: str
    table: Table | None
    interpolation: Interpolation | Literal["raw"]


@dataclass(frozen=True, slots=True)
class Order:
    """The number of stages of a delay or smooth: what was built, and the nodes that say what a run needs.

    A DELAY N or SMOOTH N has at most as many stages as steps fit into its time, so a run whose delay time is short
    needs another program; ``time`` is ``None`` for what keeps its order.
    """

    key: tuple[str, Call]
    label: str
    built: int
    order: int
    time: int | None


@dataclass(frozen=True)
class Program:
    """A model ready to be run, for the outputs that were asked for."""

    name: str
    nodes: tuple[Node, ...]
    rates: tuple[int, ...]
    params: tuple[str, ...]
    defaults: tuple[float, ...]
    series: tuple[SeriesInput, ...]
    states: tuple[State, ...]
    cells: tuple[Cell, ...]
    pipes: tuple[Pipe, ...]
    outputs: tuple[tuple[str, int], ...]
    orders: tuple[Order, ...]
    labels: tuple[tuple[str, int], ...]
    method: Method
    n_random: int = 0

    @cached_property
    def param_position(self) -> Mapping[str, int]:
        """Position of each parameter by name."""
        return {name: position for position, name in enumerate(self.params)}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything that decides what is computed; names and labels are not part of it."""
        content = (
            self.nodes,
            self.rates,
            len(self.params),
            [entry.interpolation for entry in self.series],
            [(s.initial, s.read, s.non_negative) for s in self.states],
            [(c.initial, c.following) for c in self.cells],
            [(p.initial, p.entering, p.length, p.kind, p.after) for p in self.pipes],
            [node for _, node in self.outputs],
            self.method,
        )
        return hashlib.sha256(repr(content).encode()).hexdigest()

    @cached_property
    def full_of_functions(self) -> bool:
        """Whether elementary functions are more than a tenth of what a step computes."""
        operations = [node.op for node, rate in zip(self.nodes, self.rates, strict=True) if rate == PER_STEP]
        return sum(op in RECIPES for op in operations) > 0.1 * len(operations)

    @cached_property
    def settled(self) -> bool:
        """Whether every run needs as many stages as were built, whatever its constants and its time step are."""

        def needs(order: Order) -> float | int | Table | None:
            return self.nodes[order.order].payload if self.nodes[order.order].op == "const" else None

        numbers = [(order, needs(order)) for order in self.orders]
        return all(o.time is None and isinstance(n, float) and int(n) == o.built for o, n in numbers)

    @cached_property
    def dynamic(self) -> tuple[int, ...]:
        """The per-step nodes that the states need, in order."""
        roots = [node for s in self.states for node in s.read] + [c.following for c in self.cells]
        return self.needed([*roots, *(node for p in self.pipes for node in p.taken_in)])

    @cached_property
    def rates_only(self) -> tuple[int, ...]:
        """The per-step nodes that the states' rates need at each stage of a step, in order: not what is held."""
        return self.needed([s.rate for s in self.states], held=False)

    @cached_property
    def observed(self) -> tuple[int, ...]:
        """The per-step nodes that only the outputs need, in order."""
        inner = set(self.dynamic)
        return tuple(n for n in self.needed([node for _, node in self.outputs]) if n not in inner)

    @cached_property
    def per_run(self) -> tuple[int, ...]:
        """The nodes computed once a run, in order."""
        return tuple(n for n, rate in enumerate(self.rates) if rate == PER_RUN)

    def needed(self, roots: list[int], *, held: bool = True) -> tuple[int, ...]:
        """The per-step nodes that ``roots`` need, in order; perhaps without what is held and what that alone needs."""
        nodes: set[int] = set()
        stack = [root for root in roots if self.rates[root] == PER_STEP]
        while stack:
            node = stack.pop()
            if node not in nodes and (held or self.nodes[node].op != "held"):
                nodes.add(node)
                stack.extend(a for a in self.nodes[node].args if self.rates[a] == PER_STEP and a not in nodes)
        return tuple(sorted(nodes))

    def listing(self) -> Iterator[str]:
        """The program as text for people, one line an equation, in the modeller's names."""
        names = {node: label for label, node in reversed(self.labels) if self.rates[node] != CONSTANT}
        for label, node in self.labels:
            yield f"{label} = {self._text(node, names, top=names.get(node) == label)}"
        for state in self.states:
            limit = ", not below 0" if state.non_negative else ""
            start, rate = self._text(state.initial, names), self._text(state.rate, names)
            put = "" if state.put is None else f", {self._text(state.put, names)} where there is one"
            yield f"state {state.label}: from {start}, rate {rate}{limit}{put}"
        for cell in self.cells:
            yield f"cell {cell.label}: from {self._text(cell.initial, names)}, then {self._text(cell.following, names)}"
        for pipe in self.pipes:
            steps = self._text(pipe.length if pipe.after is None else pipe.after, names)
            entering, before = self._text(pipe.entering, names), self._text(pipe.initial, names)
            if pipe.kind == "record":
                yield f"record {pipe.label}: {entering}"
            else:
                yield f"pipe {pipe.label}: {entering} after {steps} steps, {before} before"

    def _text(self, position: int, names: Mapping[int, str], *, top: bool = False) -> str:
        if position in names and not top:
            return names[position]
        node = self.nodes[position]
        parts = [self._text(argument, names) for argument in node.args]
        slot = node.payload if isinstance(node.payload, int) else 0
        match node.op:
            case "const":
                return repr(node.payload)
            case "param":
                return f"constant {self.defaults[slot]!r}" if top else self.params[slot]
            case "uniform":
                return UNIFORMS[slot]
            case "state":
                return f"state {self.states[slot].label}"
            case "cell":
                return f"cell {self.cells[slot].label}"
            case "pipe":
                return f"pipe {self.pipes[slot].label}"
            case "past":
                return f"record {self.pipes[slot].label} {parts[0]} steps ago"
            case "series":
                return f"series {self.series[slot].name}"
            case "random" | "tape":
                return f"{node.op}({slot})"
            case "table":
                assert isinstance(node.payload, Table)
                return f"table({parts[0]}; {len(node.payload.x)} points, {node.payload.interpolation})"
            case op if op in OPERATORS:
                return f"({parts[0]} {OPERATORS[op]} {parts[1]})"
            case op:
                return f"{op}({', '.join(parts)})"


def roots(program: Program) -> Iterator[int]:
    """The nodes that states, cells, pipes, outputs and orders name."""
    for state in program.states:
        yield from (state.initial, *state.read)
    for cell in program.cells:
        yield from (cell.initial, cell.following)
    for pipe in program.pipes:
        yield from (pipe.initial, pipe.length, *pipe.taken_in)
    for order in program.orders:
        yield from (order.order, *([] if order.time is None else [order.time]))
    yield from (node for _, node in program.outputs)


def pruned(program: Program) -> Program:
    """The program without nodes that nothing reads."""
    order = reached(program.nodes, roots(program))
    place = {node: position for position, node in enumerate(order)}
    nodes = (replace(program.nodes[node], args=tuple(place[a] for a in program.nodes[node].args)) for node in order)
    labels = tuple((label, node) for label, node in program.labels if node in place)
    return replace(
        renumbered(replace(program, labels=labels), place),
        nodes=tuple(nodes),
        rates=tuple(program.rates[node] for node in order),
    )


def renumbered(program: Program, place: Sequence[int] | Mapping[int, int]) -> Program:
    """The program with other numbers for the nodes that it names.

    Parameters
    ----------
    place : sequence or mapping of int to int
        The new position of each node that is named, by the present one.

    Returns
    -------
    Program
        Its nodes are those of before.
    """

    def of(node: int | None) -> int | None:
        return None if node is None else place[node]

    return replace(
        program,
        states=tuple(replace(s, initial=place[s.initial], rate=place[s.rate], put=of(s.put)) for s in program.states),
        cells=tuple(replace(c, initial=place[c.initial], following=place[c.following]) for c in program.cells),
        pipes=tuple(
            replace(p, initial=place[p.initial], entering=place[p.entering], length=place[p.length], after=of(p.after))
            for p in program.pipes
        ),
        orders=tuple(replace(o, order=place[o.order], time=of(o.time)) for o in program.orders),
        outputs=tuple((name, place[node]) for name, node in program.outputs),
        labels=tuple((label, place[node]) for label, node in program.labels),
    )
