"""Derivatives by reverse mode: a program that goes through the steps of another one from the last to the first.

What the forward run read at each step stands on a tape; the way back computes what it needs of each step again and adds
up, for each node, the derivative of a weighted sum of outputs by that node. Adjoints of states and cells, and the sums
for what is computed once a run, are cells of the program of the way back; a fixed delay goes back through a fixed delay
of the same length. So the way back is an ordinary program, whatever the number of parameters, and every engine runs it.

Its steps are the instants of the forward run, the last one first, and one more, at which the sums are whole and its
outputs are read. A node whose adjoint is 0 adds nothing to what it reads, even where its derivative is infinite, as in
the branch that is not taken. At a kink (``min``, ``select``, a knot of a table) the derivative is that of the branch
taken; steps have none. A root of 0, or another power below 1, hands nothing on either: a base of exactly 0 has as
a rule not begun to move, so that the infinite derivative would multiply no slope.

Source: Griewank and Walther 2008, Evaluating Derivatives, 2nd ed., chapters 3 and 4; Hager 2000, Numerische Mathematik
87, 247-282 (adjoints of Runge-Kutta steps).
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from cipark_sd.base.errors import UnsupportedFeature
from cipark_sd.compiler.graph import Graph, Operand, Term
from cipark_sd.compiler.primitives import segments
from cipark_sd.compiler.program import PER_STEP, Cell, Node, Pipe, Program, SeriesInput, pruned
from cipark_sd.model.expr import MISSING, Table

#: Of what a series of the way back is made: a series of the forward run, its first value, its times or its steps.
Kind = Literal["series", "initial_series", "time", "instant", "step"]
#: For each stage of a method: half steps after the instant, the share of a step from the state to the stage along the
#: slope of the stage before, and the share of a step that the state moves along the stage's own slope.
_STAGES: Mapping[str, tuple[tuple[int, tuple[float, float], tuple[float, float]], ...]] = {
    "euler": ((0, (0, 1), (1, 1)),),
    "rk2": ((0, (0, 1), (1, 2)), (2, (1, 1), (1, 2))),
    "rk4": ((0, (0, 1), (1, 6)), (1, (1, 2), (1, 3)), (1, (1, 2), (1, 3)), (2, (1, 1), (1, 6))),
}
#: Operations whose derivative is 0 wherever there is one.
FLAT = (
    *("lt", "le", "eq", "ne", "and", "or", "not", "floor", "trunc", "rint"),
    *("poisson_few", "poisson_try", "binomial_few", "binomial_try"),
)
#: What is finite wherever what it reads is.
_FINITE = (
    *("neg", "held", "add", "sub", "mul", "min", "max", "abs", "select"),
    *("sin", "cos", "atan", "tanh", "table", *FLAT),
)
_ALWAYS_FINITE = ("const", "param", "uniform", "time", "instant", "state", "cell", "random", "initial_random")


@dataclass(frozen=True)
class Adjoint:
    """A program's way back.

    Parameters
    ----------
    taped : Program
        The forward run, whose outputs are those of the program, then what goes on the tape.
    back : Program
        Its outputs are the derivatives by the parameters asked for. ``tape`` nodes read the outputs of ``taped`` at
        the step, and in the places of the program's own outputs their weights.
    series : tuple of (kind, slot, half steps)
        What each series of ``back`` is.
    n_outputs : int
        Of the program.
    """

    taped: Program
    back: Program
    series: tuple[tuple[Kind, int, int], ...]
    n_outputs: int


def adjoint(program: Program, parameters: Sequence[str]) -> Adjoint:
    """The way back of a program, for derivatives by some of its parameters.

    Parameters
    ----------
    parameters : sequence of str
        Constants of the program, in the order of the derivatives; one that it lacks has the derivative 0.

    Returns
    -------
    Adjoint
        The outputs of its ``back`` are the derivatives, in that order.

    Raises
    ------
    UnsupportedFeature
        For what looks back at a run or adds up what leaves together.
    """
    refused = [("a HISTORY or a delay whose time changes", p.label) for p in program.pipes if p.kind != "delay"]
    for feature, label in refused + [("gear", "the method")] * (program.method == "gear"):
        where, way = f"{program.name}, derivatives by reverse mode", "take differences of runs (ensemble)"
        raise UnsupportedFeature(feature, variable=label, where=where, alternative=way)
    return _Way(program, parameters).build()


class _Way:
    def __init__(self, program: Program, parameters: Sequence[str]) -> None:
        self.program, self.parameters, self.graph = program, parameters, Graph()
        self.stages = _STAGES[program.method.removesuffix("_auto")]
        self.active = _moving(program, {program.param_position[n] for n in parameters if n in program.param_position})
        self.finite = _finite(program)
        self.series: list[tuple[Kind, int, int]] = []
        self.tape: list[int] = []
        #: Copies of what is computed once a run, and adjoints of it that the step adds.
        self.once: dict[int, Term] = {}
        self.added: dict[int, Term] = {}
        self.copies: list[dict[int, Term]] = []

    def build(self) -> Adjoint:
        program, g = self.program, self.graph
        for node, rate in enumerate(program.rates):
            if rate != PER_STEP:
                self.once[node] = self._copied(node, self.once, 0)
        observed = sorted({*program.dynamic, *program.observed})
        for stage in range(len(self.stages)):
            copies = dict(self.once)
            if stage:
                copies |= {node: copy for node, copy in self.copies[0].items() if program.nodes[node].op == "held"}
            self.copies.append(copies)
            for node in program.rates_only if stage else observed:
                copies[node] = self._copied(node, copies, stage)
        states = {("state", i): (s.initial, s.rate) for i, s in enumerate(program.states)}
        cells_read = {("cell", i): (c.initial, c.following) for i, c in enumerate(program.cells)}
        moving = {key: reads[0] for key, reads in (states | cells_read).items() if not self.active.isdisjoint(reads)}
        levels = {key: g.source("cell", i) for i, key in enumerate(moving)}
        # what was put in a state's place does not depend on what was there
        put = {("state", i): self.copies[0][s.put] for i, s in enumerate(program.states) if s.put is not None}
        after = levels | {
            key: g.select(g.op("eq", put[key], MISSING), levels[key], 0.0) for key in put.keys() & levels.keys()
        }
        moved, entering = self._step(after, observed)
        zero = g.const(0.0).node
        sums = {node: g.source("cell", len(levels) + i) for i, node in enumerate(self.added)}
        cells = [Cell(f"adjoint of {op} {i}", zero, moved[op, i].node) for op, i in levels]
        cells += [Cell(f"sum {i}", zero, (sums[node] + term).node) for i, (node, term) in enumerate(self.added.items())]
        pipes = [
            Pipe(f"adjoint of {p.label}", zero, entering[i].node, self.once[p.length].node)
            for i, p in enumerate(program.pipes)
        ]
        self.added = sums
        for key, initial in moving.items():
            self._add(initial, levels[key], self.added)
        self._sweep(program.per_run, self.once, self.added)
        return self._made(cells, pipes)

    def _copied(self, node: int, copies: Mapping[int, Term], stage: int) -> Term:
        """A node of the forward run in the way back, at a stage of the step."""
        g, entry, half = self.graph, self.program.nodes[node], self.stages[stage][0]
        if isinstance(entry.payload, Table):
            return g.table(entry.payload, copies[entry.args[0]])
        if entry.args:
            return g.op(entry.op, *(copies[a] for a in entry.args))
        slot = entry.payload if isinstance(entry.payload, int) else 0
        match entry.op:
            case "state" if stage:
                rate = self.program.states[slot].rate
                return self._taped(node) + self.copies[stage - 1][rate] * self._share(self.stages[stage][1])
            case "state" | "cell" | "pipe" | "random":
                return self._taped(node)
            case "series":
                return self._read("series", slot, half)
            case "initial_series":
                return g.source("initial_series", self._slot("initial_series", slot, 0))
            case "time":
                return self._read("time", 0, half)
            case "instant":
                return self._read("instant", 0, 0)
            case _:
                return g.source(entry.op, entry.payload)

    def _taped(self, node: int) -> Term:
        if node not in self.tape:
            self.tape.append(node)
        return self.graph.source("tape", len(self.program.outputs) + self.tape.index(node))

    def _slot(self, kind: Kind, slot: int, half: int) -> int:
        if (kind, slot, half) not in self.series:
            self.series.append((kind, slot, half))
        return self.series.index((kind, slot, half))

    def _read(self, kind: Kind, slot: int, half: int) -> Term:
        return self.graph.source("series", self._slot(kind, slot, half))

    def _share(self, share: tuple[float, float]) -> Term:
        """A share of the time step."""
        step, (above, below) = self.graph.uniform("time_step"), share
        return step if share == (1, 1) else step * above / below

    def _step(
        self, levels: Mapping[tuple[str, int], Term], observed: Sequence[int]
    ) -> tuple[dict[tuple[str, int], Term], list[Term]]:
        """One step back: adjoints of states and cells before it, and what enters the delays of the way back.

        ``levels`` are the adjoints of states and cells after it, of those that move.
        """
        program, g = self.program, self.graph
        zero = g.const(0.0)
        later: dict[int, Term] = {}
        sources = {(e.op, e.payload): n for n, e in enumerate(program.nodes) if e.op in ("state", "cell", "pipe")}
        total: dict[tuple[str, int], Term] = dict.fromkeys(
            [("cell", i) for i in range(len(program.cells))] + [("pipe", i) for i in range(len(program.pipes))], zero
        )
        total |= {key: level for key, level in levels.items() if key[0] == "state"}
        held: dict[int, Term] = {}
        for stage in reversed(range(len(self.stages))):
            # what is held is of the first stage, whichever reads it
            adjoints = {} if stage else held
            share = self._share(self.stages[stage][2])
            for (op, i), level in levels.items():
                if op == "cell":
                    continue
                seed = level * share
                if i in later:
                    # the next stage stands where this slope led to
                    seed = seed + later[i] * self._share(self.stages[stage + 1][1])
                self._add(program.states[i].rate, seed, adjoints)
            if stage == 0:
                for (op, i), level in levels.items():
                    if op == "cell":
                        self._add(program.cells[i].following, level, adjoints)
                for i, pipe in enumerate(program.pipes):
                    self._add(pipe.entering, g.source("pipe", i), adjoints)
                for i, (_, node) in enumerate(program.outputs):
                    self._add(node, g.source("tape", i), adjoints)
            self._sweep(program.rates_only if stage else observed, self.copies[stage], adjoints)
            for node in [node for node in adjoints if stage and program.nodes[node].op == "held"]:
                self._add(node, adjoints[node], held)
            later = {}
            for (op, slot), node in sources.items():
                if node in adjoints and isinstance(slot, int):
                    total[op, slot] = total[op, slot] + adjoints[node]
                    if op == "state":
                        later[slot] = adjoints[node]
        for i, pipe in enumerate(program.pipes):
            before = self._read("step", 0, 0) < g.op("trunc", self.once[pipe.length])
            self._add(pipe.initial, g.select(before, total["pipe", i], 0.0), {})
        return total, [total["pipe", i] for i in range(len(program.pipes))]

    def _add(self, node: int, term: Term, adjoints: dict[int, Term]) -> None:
        """Add to the adjoint of a node: of the step, or of what is computed once a run."""
        if node not in self.active:
            return
        target = adjoints if self.program.rates[node] == PER_STEP else self.added
        if node not in target:
            target[node] = term
        elif (entry := self.graph.nodes[term.node]).op == "neg":
            target[node] = target[node] - Term(self.graph, entry.args[0])
        else:
            target[node] = target[node] + term

    def _sweep(self, nodes: Iterable[int], copies: Mapping[int, Term], adjoints: dict[int, Term]) -> None:
        """Hand the adjoints of nodes, which come in order, on to what they read."""
        g = self.graph
        for node in reversed(tuple(nodes)):
            entry = self.program.nodes[node]
            factor = adjoints.get(node)
            if factor is None or not entry.args:
                continue
            args = [copies[a] for a in entry.args]
            for place, argument in enumerate(entry.args):
                if argument not in self.active:
                    continue
                term = along(entry, args, place, factor, copies[node])
                if term is None:
                    continue
                if not self._bounded(entry, place):
                    term = g.select(self._moves(entry.op, args, place, factor), term, 0.0)
                self._add(argument, term, adjoints)

    def _moves(self, op: str, args: Sequence[Term], place: int, factor: Term) -> Term:
        """Where an operation hands on anything; elsewhere it does not, whatever its derivative is."""
        g = self.graph
        moves, something = g.op("ne", factor, 0.0), g.op("ne", args[0], 0.0)
        if op == "sqrt":
            return moves & something
        if op == "pow" and place == 0:
            return moves & (something | (args[1] >= 1.0))
        return moves

    def _bounded(self, entry: Node, place: int) -> bool:
        """Whether an operation's derivative is finite for sure."""
        match entry.op:
            case "mul":
                return self.finite[entry.args[1 - place]]
            case "div":
                divisor = self.program.nodes[entry.args[1]]
                return divisor.op == "const" and divisor.payload != 0.0 and (place == 0 or self.finite[entry.args[0]])
            case "fmod":
                return place == 0
            case "sin" | "cos" | "atan" | "tanh":
                return self.finite[entry.args[0]]
            case op:
                return op in ("neg", "held", "add", "sub", "min", "max", "abs", "select", "table")

    def _made(self, cells: Sequence[Cell], pipes: Sequence[Pipe]) -> Adjoint:
        """What is reached from the cells, pipes and derivatives, and nothing else."""
        program, g = self.program, self.graph
        zero = g.const(0.0)
        nodes = {node.payload: n for n, node in enumerate(program.nodes) if node.op == "param"}
        gradient = []
        for name in self.parameters:
            node = nodes.get(program.param_position.get(name, -1))
            gradient.append((name, (zero if node is None else self.added.get(node, zero)).node))
        without = replace(program, states=(), orders=(), labels=(), method="euler", n_random=0, outputs=tuple(gradient))
        back = pruned(
            replace(without, nodes=tuple(g.nodes), rates=tuple(g.rates), cells=tuple(cells), pipes=tuple(pipes))
        )
        n_outputs = len(program.outputs)
        used = {op: sorted({_payload(n) for n in back.nodes if op in n.op}) for op in ("tape", "series")}
        slots = {slot: n_outputs + i for i, slot in enumerate(s for s in used["tape"] if s >= n_outputs)}

        def moved(node: Node) -> Node:
            if node.op == "tape":
                return replace(node, payload=slots.get(_payload(node), _payload(node)))
            return replace(node, payload=used["series"].index(_payload(node))) if "series" in node.op else node

        taped = [(f"tape {slot}", self.tape[slot - n_outputs]) for slot in slots]
        inputs = tuple(SeriesInput(str(slot), None, "raw") for slot in used["series"])
        back = replace(back, nodes=tuple(map(moved, back.nodes)), series=inputs)
        series = tuple(self.series[slot] for slot in used["series"])
        return Adjoint(replace(program, outputs=(*program.outputs, *taped)), back, series, n_outputs)


def _payload(node: Node) -> int:
    assert isinstance(node.payload, int)
    return node.payload


def _moving(program: Program, params: set[int]) -> set[int]:
    """The nodes that move with any of some parameters."""
    parts = {
        **{("state", i): (s.initial, s.rate) for i, s in enumerate(program.states)},
        **{("cell", i): (c.initial, c.following) for i, c in enumerate(program.cells)},
        **{("pipe", i): (p.initial, p.entering) for i, p in enumerate(program.pipes)},
    }
    moving: set[tuple[str, object]] = {("param", slot) for slot in params}
    while True:
        active: set[int] = set()
        for position, node in enumerate(program.nodes):
            if node.args:
                read = node.args[1:] if node.op == "select" else node.args
                moves = node.op not in FLAT and not active.isdisjoint(read)
            else:
                moves = (node.op, node.payload) in moving
            if moves:
                active.add(position)
        added = {key for key, reads in parts.items() if not active.isdisjoint(reads)} - moving
        if not added:
            return active
        moving |= added


def _finite(program: Program) -> list[bool]:
    """Which nodes are finite for sure in a run that is."""
    finite: list[bool] = []
    for node in program.nodes:
        if not node.args:
            infinite = isinstance(node.payload, float) and node.payload - node.payload != 0.0
            finite.append(node.op in _ALWAYS_FINITE and not infinite)
        else:
            finite.append(node.op in _FINITE and all(finite[a] for a in node.args))
    return finite


def along(node: Node, args: Sequence[Term], place: int, factor: Term, value: Term) -> Term | None:
    """The derivative of an operation by one of its arguments, times a factor.

    Parameters
    ----------
    node : Node
        The operation; its own arguments are not looked at.
    args : sequence of Term
        What it reads, in the graph of the derivative.
    place : int
        Which of them the derivative is by, from 0.
    factor, value : Term
        What the derivative is multiplied by, and what the operation gives.

    Returns
    -------
    Term or None
        None where the derivative is 0.
    """
    if node.op in FLAT:
        return None
    if isinstance(node.payload, Table):
        return _of_table(node.payload, args[0], factor)
    if len(args) == 1:
        return _OF_ONE[node.op](args[0], value, factor)
    return _of_several(node.op, args, place, factor, value)


def _of_table(table: Table, at: Term, factor: Term) -> Term | None:
    if table.interpolation in ("hold_backward", "look_forward") or len(table.x) == 1:
        return None
    x, _, steepness = (values.tolist() for values in segments(table))
    before, beyond = (steepness[0], steepness[-1]) if table.interpolation == "extrapolate" else (0.0, 0.0)
    steps = Table(tuple(x), (*steepness, beyond), "hold_backward")
    return _where(at < x[0], before, at.graph.table(steps, at)) * factor


def _op(op: str, a: Term) -> Term:
    return a.graph.op(op, a)


def _where(condition: Term, then: Operand, otherwise: Operand) -> Term:
    return condition.graph.select(condition, then, otherwise)


def _is(a: Term, number: float) -> Term:
    return a.graph.op("eq", a, number)


#: Of what an operation of one argument reads and gives, and the factor.
_OF_ONE: Mapping[str, Callable[[Term, Term, Term], Term]] = {
    "neg": lambda a, value, factor: -factor,
    "held": lambda a, value, factor: factor,
    "abs": lambda a, value, factor: _where(a < 0.0, -factor, factor),
    # what does not move has no slope, also where the root's is infinite
    "sqrt": lambda a, value, factor: _where(_is(factor, 0.0), 0.0, factor / (2.0 * value)),
    "exp": lambda a, value, factor: value * factor,
    "log": lambda a, value, factor: factor / a,
    "log10": lambda a, value, factor: factor / (a * math.log(10.0)),
    "sin": lambda a, value, factor: _op("cos", a) * factor,
    "cos": lambda a, value, factor: -(_op("sin", a) * factor),
    "tan": lambda a, value, factor: (1.0 + value * value) * factor,
    "asin": lambda a, value, factor: factor / _op("sqrt", 1.0 - a * a),
    "acos": lambda a, value, factor: -(factor / _op("sqrt", 1.0 - a * a)),
    "atan": lambda a, value, factor: factor / (1.0 + a * a),
    "sinh": lambda a, value, factor: _op("cosh", a) * factor,
    "cosh": lambda a, value, factor: _op("sinh", a) * factor,
    "tanh": lambda a, value, factor: (1.0 - value * value) * factor,
    "lgamma": lambda a, value, factor: _op("digamma", a) * factor,
    "erfc": lambda a, value, factor: -2.0 / math.sqrt(math.pi) * _op("exp", -(a * a)) * factor,
}


def _of_several(op: str, args: Sequence[Term], place: int, factor: Term, value: Term) -> Term | None:
    a, b = args[:2]

    def first_or(condition: Term) -> Term:
        """The factor where the argument is the one that is taken: the first where a condition holds."""
        return _where(condition, factor, 0.0) if place == 0 else _where(condition, 0.0, factor)

    match op, place:
        case ("add", _) | ("sub", 0) | ("fmod", 0):
            return factor
        case "sub", 1:
            return -factor
        case "mul", _:
            return factor * args[1 - place]
        case "div", 0:
            return factor / b
        case "div", 1:
            return -(factor / b * value)
        # as for a root, factors may be infinite at a base of 0 where what they multiply is 0, as in 0^0.5 before
        # anything has begun: what does not move has no slope, and 0^b is 0 for every b above 0
        case "pow", 0:
            return _where(_is(factor, 0.0), 0.0, b * _one_power_less(a, b, value) * factor)
        case "pow", 1:
            return _where(_is(value, 0.0), 0.0, value * _op("log", a) * factor)
        case "fmod", 1:
            return -(_op("trunc", a / b) * factor)
        case "select", 0:
            return None
        case "select", _:
            return _where(a, factor, 0.0) if place == 1 else _where(a, 0.0, factor)
        case "min", _:
            return first_or(a < b)
        case "max", _:
            return first_or(b < a)
        case _:
            raise AssertionError(op)


def _one_power_less(a: Term, b: Term, value: Term) -> Term:
    """``a^(b - 1)`` from ``value``, which is ``a^b``: a division costs less than a power."""
    of_nothing = _where(b > 1.0, 0.0, _where(_is(b, 1.0), 1.0, math.inf))
    return _where(_is(a, 0.0), of_nothing, value / a)
