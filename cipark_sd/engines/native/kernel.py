"""A program as one LLVM module: functions of bounded size and the loop over blocks, steps and stages.

LLVM's time grows faster than a function's length, so long programs are cut into functions that hand values on
through a workspace; short ones are inlined into one loop and optimised as a whole.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from cipark_sd.base.errors import UnsupportedFeature
from cipark_sd.compiler.primitives import RECIPES
from cipark_sd.compiler.program import Program
from cipark_sd.engines.base import fixed_method
from cipark_sd.engines.native.elementary import LANES, Register, definition
from cipark_sd.engines.native.ir import ARGUMENTS, Body, Slots, arguments_of, declarations, is_source
from cipark_sd.model.expr import MISSING

#: Operations in one function of a long program.
PIECE = 100
#: A program of at most so many operations is compiled as one function, with more optimisation.
SHORT = 1500
#: The same for a way back, whose functions would hand on most of what they compute.
SHORT_BACK = 6000
#: A program of more operations is compiled as it is written. LLVM's passes and its careful choice of instructions take
#: nine tenths of the time there, and save an eighth of a run's: values wait in memory between the pieces anyway.
LONG = 8000
#: States, cells or outputs that one function of a long program takes care of.
EACH = 50

_NAMES = ARGUMENTS.replace("noalias ", "")
#: Writes what is done to some members of a list, by their positions.
Fill = Callable[[Body, range], None]


def kernel(
    program: Program,
    lanes: int = LANES,
    library: Mapping[str, str] | None = None,
    *,
    skips: bool = False,
    fused: bool = False,
    in_parts: bool = False,
) -> tuple[str, int, int]:
    """The module of a program; its function ``run`` computes blocks of ``lanes`` runs.

    Parameters
    ----------
    lanes : int
        Runs of a block.
    library : mapping of str to str, optional
        LLVM assembly that defines functions which otherwise come from the C library (``@cipark_fmod``), by name.
    skips : bool
        Whether powers of 1 and 0 are skipped (:func:`cipark_sd.engines.native.elementary.definition`).
    fused : bool
        Whether the processor has fused multiplication; it changes no bit.
    in_parts : bool
        Whether ``run`` takes the first block that it computes, the step from which it goes on with a block, that before
        which it stops, and how many times were saved before.

    Returns
    -------
    text : str
        LLVM assembly.
    workspace : int
        The vectors of workspace that it needs.
    effort : int
        How much optimisation pays: 2 all, 1 some, 0 none.
    """
    return _Module(program, lanes, library or {}, skips, fused, in_parts).build()


class _Module:
    def __init__(
        self, program: Program, lanes: int, library: Mapping[str, str], skips: bool, fused: bool, in_parts: bool
    ) -> None:
        if program.method == "gear":
            raise UnsupportedFeature("gear", variable="the method", where=program.name, alternative="take rk4 or euler")
        self.program, self.lanes, self.library = program, lanes, library
        self.fused, self.in_parts = fused, in_parts
        # one lane is always of one mind; powers in plenty share what they have in common where none is skipped
        self.skips = skips or (lanes == 1 and not program.full_of_functions)
        self.slots = Slots(program)
        self.method = fixed_method(program.method)
        reads_tape = any(node.op == "tape" for node in program.nodes)
        self.short = len(program.nodes) <= (SHORT_BACK if reads_tape else SHORT)
        self.functions: list[str] = []

    def build(self) -> tuple[str, int, int]:
        program = self.program
        groups = {
            "prologue": self._computed(program.per_run),
            "dynamic": self._computed(program.dynamic),
            "observed": self._computed(program.observed),
            "rates": self._computed(program.rates_only) if self.method != "euler" else [],
        }
        pieces = {name: self._pieces(nodes) for name, nodes in groups.items()}
        self.crossing = self._crossing([piece for parts in pieces.values() for piece in parts])
        calls = {
            name: [self._function(f"{name}{i}", self._compute, piece) for i, piece in enumerate(parts)]
            for name, parts in pieces.items()
        }
        conveys = any(pipe.conveys for pipe in program.pipes)
        cleared = [(len(program.pipes), self._clear)] if conveys else []
        calls["start"] = self._copied("states", [state.initial for state in program.states], "%ws", self.slots.states)
        calls["start"] += self._copied("cells", [cell.initial for cell in program.cells], "%ws", self.slots.cells)
        calls["start"] += self._group("pipes", *cleared)
        calls["outputs"] = self._copied("outputs", [node for _, node in program.outputs], "%out")
        advance = self._advance(calls["rates"])
        used = sorted({node.op for node in program.nodes} & set(RECIPES))
        attributes = f"{'alwaysinline' if self.short else 'noinline'} #0"
        how: dict[str, bool] = {"skips": self.skips, "fused": self.fused}
        made = [definition(name, self.lanes, attributes, self.slots.array, **how) for name in used]
        made += self.library.values()
        text = "\n".join(
            [
                declarations(self.lanes, without=self.library),
                *self.slots.constants(),
                *made,
                *([_CLEAR] if conveys else []),
                *self.functions,
                self._driver(calls, advance),
                _ATTRIBUTES.format(stack=_ON_LINES if self.lanes >= LANES else ""),
            ]
        )
        return text, self.slots.next, 2 if self.short else 1 if len(program.nodes) <= LONG else 0

    def _computed(self, nodes: Sequence[int]) -> list[int]:
        return [node for node in nodes if not is_source(self.program, node)]

    def _pieces(self, nodes: list[int]) -> list[list[int]]:
        if self.short:
            return [nodes] if nodes else []
        return [nodes[i : i + PIECE] for i in range(0, len(nodes), PIECE)]

    def _crossing(self, pieces: Sequence[list[int]]) -> set[int]:
        """Nodes that another function reads than the one that computes them."""
        program = self.program
        nodes = {node for s in program.states for node in (s.initial, *s.read)}
        nodes |= {c.initial for c in program.cells} | {c.following for c in program.cells}
        nodes |= {node for p in program.pipes for node in p.taken_in} | {node for _, node in program.outputs}
        for piece in pieces:
            inside = set(piece)
            for node in piece:
                nodes.update(a for a in arguments_of(program, node) if a not in inside)
        return {node for node in nodes if not is_source(program, node)}

    def _group(self, name: str, *parts: tuple[int, Fill], hold: Sequence[int] = ()) -> list[str]:
        """Functions that do something to each of a number of states, cells or the like, one part after the other.

        Of a short program it is one function. Of a long one it is several, and what they read and one of them may
        write, ``hold``, is kept first.
        """
        if self.short:

            def everything(body: Body) -> None:
                for node in hold:
                    body.use(node)
                for n, fill in parts:
                    fill(body, range(n))

            return [self._function(name, everything)]

        def keep(body: Body, members: range) -> None:
            for i in members:
                body.store(body.use(hold[i]), "%ws", self.slots.named("held", hold[i]))

        made = []
        for number, (n, fill) in enumerate([(len(hold), keep), *parts]):
            held = {node: self.slots.named("held", node) for node in hold} if number else {}
            for first in range(0, n, EACH):
                members = range(first, min(first + EACH, n))
                made.append(self._function(f"{name}_{number}_{first}", fill, members, held=held))
        return made

    def _function(
        self, name: str, fill: Callable[..., None], *arguments: object, held: Mapping[int, int] | None = None
    ) -> str:
        body = Body(self.program, self.slots, self.lanes, held)
        fill(body, *arguments)
        attributes = "alwaysinline " if self.short else "noinline "
        head = f"define internal void @{name}({ARGUMENTS}) {attributes}#0 {{"
        self.functions.append("\n".join([head, *body.lines, "  ret void", "}"]))
        return name

    def _compute(self, body: Body, piece: list[int]) -> None:
        for node in piece:
            body.compute(node)
        for node in piece:
            if node in self.crossing:
                body.store(body.use(node), "%ws", self.slots.node(node))

    def _clear(self, body: Body, members: range) -> None:
        """Conveyors are empty."""
        for i in members:
            if self.program.pipes[i].conveys:
                memory, capacity = body.ring(i)
                doubles = body.emit(f"mul i64 {capacity}, {self.lanes}")
                body.lines.append(f"  call void @clear(ptr {memory}, i64 {doubles})")

    def _copied(self, name: str, nodes: Sequence[int], pointer: str, first: int = 0) -> list[str]:
        """Functions that store values at places one after the other, in vectors from ``first`` on."""

        def store(body: Body, members: range) -> None:
            for i in members:
                body.store(body.use(nodes[i]), pointer, first + i)

        return self._group(name, (len(nodes), store))

    def _advance(self, rates: list[str]) -> list[tuple[int, list[str]]]:
        """What is called after the outputs: by half steps after the instant, functions."""
        program = self.program
        states, cells, pipes = len(program.states), len(program.cells), len(program.pipes)
        moving = [s.rate for s in program.states]
        remembered = [c.following for c in program.cells] + [node for p in program.pipes for node in p.taken_in]
        # states and cells that are read where others are written
        slopes = [node for node in dict.fromkeys(moving) if program.nodes[node].op == "state"]
        read = [node for node in dict.fromkeys([*moving, *remembered]) if program.nodes[node].op in ("state", "cell")]
        if self.method == "euler":
            parts = ((cells, self._cells), (pipes, self._pipes), (states, self._euler))
            return [(0, self._group("euler", *parts, hold=read))]
        # the share of the step to the next stage's state, and what the weighted slopes are divided by in the end
        share, divisor = (1.0, 2.0) if self.method == "rk2" else (0.5, 6.0)
        memory = ((cells, self._keep_cells), (pipes, self._keep_pipes))
        stages = [(0, self._group("first", *memory, (states, partial(self._first, share=share)), hold=read))]
        for name, share in (("second", 0.5), ("third", 1.0)) if self.method == "rk4" else ():
            middle = self._group(name, (states, partial(self._middle, share=share)), hold=slopes)
            stages.append((1, [*rates, *middle]))
        taken = ((cells, self._take_cells), (pipes, self._take_pipes))
        last = self._group("last", (states, partial(self._last, divisor=divisor)), *taken, hold=slopes)
        return [*stages, (2, [*rates, *last])]

    def _step(self, body: Body, share: float) -> Register:
        """A share of the time step."""
        dt = body.constant("0")
        return dt if share == 1.0 else dt * share

    def _set_state(self, body: Body, i: int, value: Register, before: Register | None = None) -> None:
        """A state moves; at the end of a step, which is told ``before``, what was not below zero does not fall below it
        by a rounding, and what is put takes its place."""
        if before is not None and self.program.states[i].non_negative:
            value = body.choose(before < 0.0, value, body.extreme("ogt", value, 0.0))
        put = self.program.states[i].put
        if before is not None and put is not None:
            there = body.use(put) if self.method == "euler" else body.load("%ws", self.slots.named("put", i))
            value = body.choose(body.equal(there, MISSING), value, there)
        body.store(value, "%ws", self.slots.states + i)

    def _cells(self, body: Body, members: range) -> None:
        """Cells take what the beginning of the step gave."""
        for i in members:
            body.store(body.use(self.program.cells[i].following), "%ws", self.slots.cells + i)

    def _pipes(self, body: Body, members: range) -> None:
        """Pipes take in what the beginning of the step gave."""
        for i in members:
            self._enter(body, i, *(body.use(node) for node in self.program.pipes[i].taken_in))

    def _enter(self, body: Body, i: int, value: Register, after: Register | None = None) -> None:
        memory, capacity = body.ring(i)
        if after is not None:
            body.arrive(memory, capacity, value, after, adds=self.program.pipes[i].kind == "conveyor")
            return
        row = body.emit(f"mul i64 {body.emit(f'urem i64 %step, {capacity}')}, {self.lanes}")
        body.store(value, memory, row)

    def _euler(self, body: Body, members: range) -> None:
        """``y + k dt``."""
        dt = body.constant("0")
        for i in members:
            level = body.load("%ws", self.slots.states + i)
            slope = body.use(self.program.states[i].rate)
            self._set_state(body, i, level + slope * dt, level)

    def _keep_cells(self, body: Body, members: range) -> None:
        # later stages compute these nodes again, with other states
        for i in members:
            body.store(body.use(self.program.cells[i].following), "%ws", self.slots.named("cell", i))

    def _keep_pipes(self, body: Body, members: range) -> None:
        for i in members:
            for part, node in zip(("pipe", "after"), self.program.pipes[i].taken_in, strict=False):
                body.store(body.use(node), "%ws", self.slots.named(part, i))

    def _first(self, body: Body, members: range, share: float) -> None:
        """Keep the beginning of the step and go along the first slope."""
        dt, slots = self._step(body, share), self.slots
        for i in members:
            level, slope = body.load("%ws", slots.states + i), body.use(self.program.states[i].rate)
            body.store(level, "%ws", slots.named("level", i))
            body.store(slope, "%ws", slots.named("slope", i))
            if (put := self.program.states[i].put) is not None:
                body.store(body.use(put), "%ws", slots.named("put", i))
            self._set_state(body, i, level + slope * dt)

    def _middle(self, body: Body, members: range, share: float) -> None:
        """Add twice the slope to the sum, and go along it from the beginning of the step."""
        dt, slots = self._step(body, share), self.slots
        for i in members:
            slope = body.use(self.program.states[i].rate)
            total = body.load("%ws", slots.named("slope", i))
            body.store(total + slope * 2.0, "%ws", slots.named("slope", i))
            self._set_state(body, i, body.load("%ws", slots.named("level", i)) + slope * dt)

    def _last(self, body: Body, members: range, divisor: float) -> None:
        """``y + (((k1 + 2 k2) + 2 k3) + k4) dt / 6``, or ``y + (k1 + k2) dt / 2``; in this order, as NumPy's engine."""
        slots = self.slots
        dt = body.constant("0") / divisor
        for i in members:
            slope = body.use(self.program.states[i].rate)
            total = body.load("%ws", slots.named("slope", i)) + slope
            level = body.load("%ws", slots.named("level", i))
            self._set_state(body, i, level + total * dt, level)

    def _take_cells(self, body: Body, members: range) -> None:
        for i in members:
            body.store(body.load("%ws", self.slots.named("cell", i)), "%ws", self.slots.cells + i)

    def _take_pipes(self, body: Body, members: range) -> None:
        for i in members:
            parts = ("pipe", "after")[: len(self.program.pipes[i].taken_in)]
            self._enter(body, i, *(body.load("%ws", self.slots.named(part, i)) for part in parts))

    def _driver(self, calls: dict[str, list[str]], advance: list[tuple[int, list[str]]]) -> str:
        per_step = 1 if self.method == "euler" else 2
        names = _NAMES.replace("%p,", "%pb,").replace("%out,", "%ob,")

        def called(functions: Sequence[str], now: str = "%now", stage: str = "%stage", begun: str = "%now") -> str:
            arguments = names.replace("%t,", f"{now},").replace("%begun", begun).replace("%stage", stage)
            return "\n".join(f"  call void @{name}({arguments})" for name in functions)

        later = []
        for i, (halves, functions) in enumerate(advance):
            if halves == 0:
                later.append(called(functions))
                continue
            later.append(f"  %stage{i} = add i64 %stage, {halves}")
            later.append(f"  %at{i} = getelementptr double, ptr %times, i64 %stage{i}")
            later.append(f"  %now{i} = load double, ptr %at{i}, align 8")
            later.append(called(functions, f"%now{i}", f"%stage{i}"))
        n_params, n_outputs = len(self.program.params), len(self.program.outputs)
        start = called([*calls["prologue"], *calls["start"]], "0.0", "0", "0.0").replace("i64 %step", "i64 0")
        start = start.replace("%ob", "%out")
        return _DRIVER.format(
            params=n_params * self.lanes,
            outputs=n_outputs * self.lanes,
            per_step=per_step,
            start=start,
            dynamic=called(calls["dynamic"]),
            observed=called([*calls["observed"], *calls["outputs"]]),
            advance="\n".join(later),
            **(_IN_PARTS if self.in_parts else _WHOLE),
        )


#: Vectors that do not fit into registers are kept where none lies in two lines of the processor's cache: LLVM knows too
#: late that there will be any. The park's runs take a tenth less.
_ON_LINES = " alignstack=64"
_ATTRIBUTES = """
attributes #0 = {{ nounwind{stack} "prefer-vector-width"="512" "min-legal-vector-width"="512" }}
attributes #1 = {{ nounwind readnone willreturn }}
"""

#: Stores that LLVM does not turn into a call of a library's function, which WebAssembly lacks.
_CLEAR = """
define internal void @clear(ptr %memory, i64 %n) #0 {
entry:
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %i1, %next ]
  %at = getelementptr double, ptr %memory, i64 %i
  store volatile double 0.0, ptr %at, align 8
  %i1 = add i64 %i, 1
  %more = icmp slt i64 %i1, %n
  br i1 %more, label %next, label %done
done:
  ret void
}
"""

#: Where a call begins and ends: as its last arguments say, or with the first block and step, and with the last.
_IN_PARTS = {
    "more": ", i64 %first, i64 %from, i64 %until, i64 %before",
    **{name: f"%{name}" for name in ("first", "from", "until", "before")},
}
_WHOLE = {"more": "", "first": "0", "from": "0", "until": "9223372036854775807", "before": "0"}
_DRIVER = """
define void @run(i64 %blocks, ptr noalias %p, ptr noalias %ws, ptr noalias %out, ptr noalias %times, \
ptr noalias %saved, i64 %steps, i64 %kept, ptr noalias %series, ptr noalias %strides, ptr noalias %uni, \
ptr noalias %pipes, ptr noalias %caps, i64 %seed, ptr noalias %runs{more}) #0 {{
entry:
  br label %next_block
next_block:
  %block = phi i64 [ {first}, %entry ], [ %block1, %end_block ]
  %more = icmp slt i64 %block, %blocks
  br i1 %more, label %begin, label %done
begin:
  %poff = mul i64 %block, {params}
  %pb = getelementptr double, ptr %p, i64 %poff
  %ooff0 = mul i64 %block, {outputs}
  %ooff = mul i64 %ooff0, %kept
  %obase = getelementptr double, ptr %out, i64 %ooff
  %begun = icmp sgt i64 {from}, 0
  br i1 %begun, label %go, label %start
start:
{start}
  br label %go
go:
  br label %next_step
next_step:
  %step = phi i64 [ {from}, %go ], [ %step1, %advance ]
  %place = phi i64 [ {before}, %go ], [ %place1, %advance ]
  %stage = mul i64 %step, {per_step}
  %at = getelementptr double, ptr %times, i64 %stage
  %now = load double, ptr %at, align 8
  %omove = mul i64 %place, {outputs}
  %ob = getelementptr double, ptr %obase, i64 %omove
{dynamic}
  %sat = getelementptr i8, ptr %saved, i64 %step
  %flag = load i8, ptr %sat, align 1
  %wanted = icmp ne i8 %flag, 0
  br i1 %wanted, label %observe, label %after
observe:
{observed}
  %place2 = add i64 %place, 1
  br label %after
after:
  %place1 = phi i64 [ %place, %next_step ], [ %place2, %observe ]
  %last = icmp sge i64 %step, %steps
  br i1 %last, label %end_block, label %advance
advance:
{advance}
  %step1 = add i64 %step, 1
  %within = icmp slt i64 %step1, {until}
  br i1 %within, label %next_step, label %end_block
end_block:
  %block1 = add i64 %block, 1
  br label %next_block
done:
  ret void
}}
"""
