"""Primitive operations as LLVM assembly on vectors of doubles, a run in each lane.

What is written here is made of the program's structure and numbers alone: no name, label or text of a model gets into
it. No operation carries a fast-math flag and nothing is contracted, so each one rounds as in NumPy.
"""

import math
from collections.abc import Container, Iterable, Mapping, Sequence

from cipark_sd.compiler.elementary import Value
from cipark_sd.compiler.primitives import RANDOM_MULTIPLIERS, RANDOM_STRIDES, RECIPES, segments
from cipark_sd.compiler.program import Program
from cipark_sd.engines.native.elementary import Register, VectorArithmetic, Vectors, number
from cipark_sd.model.expr import Table

#: What every function of a kernel is given: parameters, workspace, outputs, time, the time at which the step began,
#: stage and step, series and their strides, uniforms, block, pipes and their capacities, seed and numbers of the runs.
ARGUMENTS = (
    "ptr noalias %p, ptr noalias %ws, ptr noalias %out, double %t, double %begun, i64 %stage, i64 %step, "
    "ptr noalias %series, ptr noalias %strides, ptr noalias %uni, i64 %block, ptr noalias %pipes, ptr noalias %caps, "
    "i64 %seed, ptr noalias %runs"
)
_COMPARISON = {"lt": "olt", "le": "ole", "eq": "oeq", "ne": "une"}
_INTRINSIC = {"sqrt": "sqrt", "abs": "fabs", "floor": "floor", "trunc": "trunc", "rint": "rint"}
#: Points up to which a table is a chain of comparisons; a longer one is searched by halving. For one run fewer are.
MOST_COMPARED, MOST_COMPARED_ALONE = 32, 3
#: Operations that every function reads from where they come from instead of computing them.
ON_DEMAND = ("const", "param", "uniform", "initial_series", "time", "instant", "state", "cell", "series", "tape")


def declarations(lanes: int, without: Container[str] = ()) -> str:
    """Intrinsics, and the C library's functions under names that LLVM does not know and so leaves alone.

    Parameters
    ----------
    without : container of str
        Functions of the C library that the module defines itself.

    Returns
    -------
    str
        LLVM assembly.
    """
    v, b = Vectors(lanes).v, Vectors(lanes).b
    lines = [f"declare {v} @llvm.{name}.v{lanes}f64({v})" for name in sorted(set(_INTRINSIC.values()))]
    lines.append(f"declare {v} @llvm.fma.v{lanes}f64({v}, {v}, {v})")
    lines.append(f"declare {v} @llvm.masked.gather.v{lanes}f64.v{lanes}p0(<{lanes} x ptr>, i32, {b}, {v})")
    lines.append(f"declare i1 @llvm.vector.reduce.or.v{lanes}i1({b})")
    if "fmod" not in without:
        lines.append("declare double @cipark_fmod(double, double) #1")
    return "\n".join(lines)


class Slots:
    """Places in the workspace, in vectors, and arrays of numbers."""

    def __init__(self, program: Program) -> None:
        self.states = 0
        self.cells = len(program.states)
        self.next = self.cells + len(program.cells)
        self.places: dict[tuple[str, int], int] = {}
        self.arrays: dict[tuple[str, ...], str] = {}

    def array(self, values: Sequence[float]) -> str:
        """The name of an array of numbers that the module holds."""
        return self.arrays.setdefault(tuple(map(number, values)), f"@array{len(self.arrays)}")

    def constants(self) -> list[str]:
        """The arrays as the module defines them."""
        return [
            f"{name} = private unnamed_addr constant [{len(values)} x double] ["
            + ", ".join(f"double {value}" for value in values)
            + "], align 8"
            for values, name in self.arrays.items()
        ]

    def node(self, node: int) -> int:
        """Where a node's value is kept for other functions."""
        return self.named("node", node)

    def named(self, kind: str, position: int) -> int:
        """Where a part of the integration is kept."""
        if (kind, position) not in self.places:
            self.places[kind, position] = self.next
            self.next += 1
        return self.places[kind, position]


class Body(VectorArithmetic):
    """The instructions of one function; ``held`` are nodes that it reads from where they were kept, by place."""

    def __init__(self, program: Program, slots: Slots, lanes: int, held: Mapping[int, int] | None = None) -> None:
        super().__init__("v", lanes, slots.array, fused=False)
        self.program, self.slots, self.held = program, slots, held or {}
        self.values: dict[int, Register] = {}
        self.truths: dict[int, Register] = {}
        self.row = ""

    def _address(self, pointer: str, offset: int | str, width: int) -> str:
        index = str(offset * width) if isinstance(offset, int) else offset
        return self.emit(f"getelementptr double, ptr {pointer}, i64 {index}")

    def load(self, pointer: str, offset: int | str, kind: str = "double") -> Register:
        """Load a vector from ``pointer`` at a place counted in vectors, or in doubles where it is computed."""
        address = self._address(pointer, offset, self.lanes)
        return self.made(f"load <{self.lanes} x {kind}>, ptr {address}, align 8", kind)

    def scalar(self, pointer: str, offset: int | str) -> str:
        """Load a double from ``pointer`` at a place counted in doubles."""
        return self.emit(f"load double, ptr {self._address(pointer, offset, 1)}, align 8")

    def store(self, value: Register, pointer: str, offset: int | str) -> None:
        """Store a vector to ``pointer`` at a place counted in vectors, or in doubles where it is computed."""
        address = self._address(pointer, offset, self.lanes)
        self.lines.append(f"  store {self.v} {value}, ptr {address}, align 8")

    def spread(self, scalar: str, kind: str = "double") -> Register:
        """A number in every lane."""
        vector = f"<{self.lanes} x {kind}>"
        element = self.emit(f"insertelement {vector} undef, {kind} {scalar}, i32 0")
        return self.made(
            f"shufflevector {vector} {element}, {vector} undef, <{self.lanes} x i32> zeroinitializer", kind
        )

    def constant(self, name: str) -> Register:
        """A uniform of the run as a vector: 0 is the time step."""
        return self.spread(self.scalar("%uni", int(name)))

    def use(self, node: int) -> Register:
        """A node's value: made here, loaded from where another function left it, or read from its source."""
        if node not in self.values:
            if node in self.truths:
                value = self.choose(self.truths[node], 1.0, 0.0)
            elif node in self.held:
                value = self.load("%ws", self.held[node])
            elif self.program.nodes[node].op in ON_DEMAND:
                value = self._source(node)
            else:
                value = self.load("%ws", self.slots.node(node))
            self.values[node] = value
        return self.values[node]

    def truth(self, node: int) -> Register:
        """Whether a node is not 0, in each lane."""
        if node not in self.truths:
            self.truths[node] = self.compared("une", self.use(node), 0.0)
        return self.truths[node]

    def _source(self, node: int) -> Register:
        entry = self.program.nodes[node]
        if isinstance(entry.payload, float):
            return self.number(entry.payload)
        slot = entry.payload if isinstance(entry.payload, int) else 0
        match entry.op:
            case "param":
                return self.load("%p", slot)
            case "uniform":
                return self.constant(str(slot))
            case "time":
                return self.spread("%t")
            case "instant":
                return self.spread("%begun")
            case "state":
                return self.load("%ws", self.slots.states + slot)
            case "cell":
                return self.load("%ws", self.slots.cells + slot)
            case "tape":
                return self.load(self._tape_row(), slot)
            case op:
                return self._series(slot, "0" if op == "initial_series" else "%stage")

    def _series(self, slot: int, stage: str) -> Register:
        base = self.emit(f"getelementptr i64, ptr %series, i64 {slot}")
        pointer = self.emit(f"load ptr, ptr {base}, align 8")
        stride = self.emit(f"getelementptr i64, ptr %strides, i64 {slot}")
        step = self.emit(f"load i64, ptr {stride}, align 8")
        across = self.emit(f"mul i64 {step}, %block")
        return self.load(pointer, self.emit(f"add i64 {across}, {self.emit(f'mul i64 {stage}, {self.lanes}')}"))

    def _tape_row(self) -> str:
        """Where the row of the tape begins that the step reads: the last one first, and the first one at the end.

        After the series stands the tape's address, and after their strides how many doubles lie between its blocks and
        between its rows, and the number of the last row.
        """
        if not self.row:
            n = len(self.program.series)
            numbers = [self.emit(f"getelementptr i64, ptr %strides, i64 {n + i}") for i in range(3)]
            between, along, last = (self.emit(f"load i64, ptr {number}, align 8") for number in numbers)
            left = self.emit(f"sub i64 {last}, %step")
            row = self.emit(f"select i1 {self.emit(f'icmp slt i64 {left}, 0')}, i64 0, i64 {left}")
            offset = self.emit(
                f"add i64 {self.emit(f'mul i64 {between}, %block')}, {self.emit(f'mul i64 {along}, {row}')}"
            )
            base = self.emit(f"load ptr, ptr {self.emit(f'getelementptr i64, ptr %series, i64 {n}')}, align 8")
            self.row = self.emit(f"getelementptr double, ptr {base}, i64 {offset}")
        return self.row

    def compute(self, node: int) -> None:
        """Add a node's operation."""
        entry = self.program.nodes[node]
        op, args = entry.op, entry.args
        if op in _COMPARISON:
            self.truths[node] = self.compared(_COMPARISON[op], self.use(args[0]), self.use(args[1]))
        elif op in ("and", "or"):
            self.truths[node] = self.truth(args[0]).operation(op, self.truth(args[0]), self.truth(args[1]))
        elif op == "not":
            self.truths[node] = self.made(f"xor {self.b} {self.truth(args[0])}, {self.every}", "i1")
        elif isinstance(entry.payload, Table):
            self.values[node] = self._table(entry.payload, self.use(args[0]))
        elif op == "pipe" and isinstance(entry.payload, int):
            self.values[node] = self._pipe(entry.payload)
        elif op == "past" and isinstance(entry.payload, int):
            self.values[node] = self._past(entry.payload, self.use(args[0]))
        elif op in ("random", "initial_random") and isinstance(entry.payload, int):
            step = "%step" if op == "random" else str(2**32)
            self.values[node] = self._random(entry.payload, step)
        elif op in RECIPES:
            arguments = ", ".join(f"{self.v} {self.use(a)}" for a in args)
            self.values[node] = self.made(f"call {self.v} @vector_{op}({arguments})", "double")
        elif op == "fmod":
            self.values[node] = self._by_lane(op, [self.use(a) for a in args])
        else:
            self.values[node] = self._operation(op, args)

    def _operation(self, op: str, args: Sequence[int]) -> Register:
        if op == "select":
            return self.choose(self.truth(args[0]), self.use(args[1]), self.use(args[2]))
        a = [self.use(argument) for argument in args]
        if op in ("add", "sub", "mul", "div"):
            return a[0].operation(op, *a)
        if op in _INTRINSIC:
            return self.called(_INTRINSIC[op], a[0])
        if op == "held":
            return a[0]
        if op == "neg":
            return self.made(f"fneg {self.v} {a[0]}", "double")
        assert op in ("min", "max"), op
        return self.extreme("olt" if op == "min" else "ogt", a[0], a[1])

    def extreme(self, how: str, a: Register, b: Value) -> Register:
        """``a`` where it compares so with ``b`` or is NaN, else ``b``."""
        return self.choose(self.compared(how, a, b) | self.compared("uno", a, a), a, b)

    def _by_lane(self, name: str, arguments: Sequence[Register]) -> Register:
        result = "undef"
        for lane in range(self.lanes):
            scalars = [self.emit(f"extractelement {self.v} {a}, i32 {lane}") for a in arguments]
            typed = ", ".join(f"double {s}" for s in scalars)
            element = self.emit(f"call double @cipark_{name}({typed})")
            result = self.emit(f"insertelement {self.v} {result}, double {element}, i32 {lane}")
        return Register(self, result, "double")

    def _table(self, table: Table, at: Register) -> Register:
        x, y, slope = (values.tolist() for values in segments(table))
        n = len(x)
        if n > (MOST_COMPARED_ALONE if self.lanes == 1 else MOST_COMPARED):
            return self._searched(table, at)
        if n == 1:
            return self.choose(self.compared("ord", at, at), y[0], at)
        if table.interpolation == "hold_backward":
            value = self.number(y[0])
            for j in range(1, n):
                value = self._where(at, "oge", x[j], y[j], value)
            return value
        if table.interpolation == "look_forward":
            value = self.number(y[-1])
            for j in range(n - 2, -1, -1):
                value = self._where(at, "ole", x[j], y[j], value)
            return value
        left, level, steepness = x[0], y[0], slope[0]
        for j in range(1, n - 1):
            beyond = self.compared("oge", at, x[j])
            left = self.choose(beyond, x[j], left)
            level = self.choose(beyond, y[j], level)
            steepness = self.choose(beyond, slope[j], steepness)
        return self._with_ends(table, at, steepness * (at - left) + level)

    def _where(self, at: Register, how: str, bound: float, then: Value, otherwise: Value) -> Register:
        """``then`` where an argument compares so with a number, else ``otherwise``."""
        return self.choose(self.compared(how, at, bound), then, otherwise)

    def _searched(self, table: Table, at: Register) -> Register:
        """A table of many points by halving: the same numbers as by comparisons one after the other."""
        x, y, slope = (values.tolist() for values in segments(table))

        def place(how: str, knots: Sequence[float]) -> Register:
            """The last of the knots with which ``at`` compares so, in each lane; 0 where there is none."""
            size = 1 << (len(knots) - 1).bit_length()
            # no number compares with NaN, so no lane goes beyond the last knot
            every = (*knots, *[math.nan] * (size - len(knots)))
            row, half = Register(self, self.splat_int(0), "i64"), size // 2
            while half:
                trial = row + half
                reached = self.compared(how, at, self.entry(every, trial))
                row = self.made(f"select {self.b} {reached}, {self.i} {trial}, {self.i} {row}", "i64")
                half //= 2
            return row

        if table.interpolation == "hold_backward":
            return self.entry(y, place("oge", x))
        if table.interpolation == "look_forward":
            # the knots one place on: their number below ``at`` is where the next one is
            value = self.entry(y, place("ogt", [-math.inf, *x[:-1]]))
            return self.choose(self.compared("ord", at, at), value, y[-1])
        segment = place("oge", x[:-1])
        left, level, steepness = (self.entry(values, segment) for values in (x, y, slope))
        return self._with_ends(table, at, steepness * (at - left) + level)

    def _with_ends(self, table: Table, at: Register, inner: Register) -> Register:
        """What joins the points by lines, with what holds beyond them."""
        x, y, slope = (values.tolist() for values in segments(table))
        if table.interpolation == "extrapolate":
            above = y[-1] + slope[-1] * (at - x[-1])
            return self._where(at, "ogt", x[-1], above, self._where(at, "oeq", x[-1], y[-1], inner))
        return self._where(at, "olt", x[0], y[0], self._where(at, "oge", x[-1], y[-1], inner))

    def ring(self, slot: int) -> tuple[str, str]:
        """A pipe's memory and its capacity."""
        at = self.emit(f"getelementptr i64, ptr %caps, i64 {2 * slot}")
        capacity = self.emit(f"load i64, ptr {at}, align 8")
        start = self.emit(f"load i64, ptr {self.emit(f'getelementptr i64, ptr {at}, i64 1')}, align 8")
        return self.emit(f"getelementptr double, ptr %pipes, i64 {start}"), capacity

    def arrive(self, memory: str, capacity: str, value: Register, after: Register, *, adds: bool) -> None:
        """Add what enters a conveyor to what leaves so many steps later, or put it in its place."""
        steps = self.truncated(after)
        for lane in range(self.lanes):
            then = self.emit(f"add i64 %step, {self.emit(f'extractelement {self.i} {steps}, i32 {lane}')}")
            inside = self.emit(f"icmp slt i64 {then}, {capacity}")
            # what leaves after the run is put where nothing is read any more
            row = self.emit(f"mul i64 {self.emit(f'select i1 {inside}, i64 {then}, i64 %step')}, {self.lanes}")
            place = self.emit(f"add i64 {row}, {lane}")
            address = self.emit(f"getelementptr double, ptr {memory}, i64 {place}")
            there = self.emit(f"load double, ptr {address}, align 8") if adds else "0.0"
            entered = self.emit(f"extractelement {self.v} {value}, i32 {lane}")
            self.lines.append(f"  store double {self.emit(f'fadd double {there}, {entered}')}, ptr {address}, align 8")

    def _pipe(self, slot: int) -> Register:
        pipe = self.program.pipes[slot]
        memory, capacity = self.ring(slot)
        if pipe.conveys:
            now = self.spread(self.emit("sitofp i64 %step to double"))
            begun = self.choose(now < self.use(pipe.length), self.use(pipe.initial), 0.0)
            return begun + self.load(memory, self.emit(f"mul i64 %step, {self.lanes}"))
        lengths = self.truncated(self.use(pipe.length))
        result = self.use(pipe.initial).name
        for lane in range(self.lanes):
            length = self.emit(f"extractelement {self.i} {lengths}, i32 {lane}")
            early = self.emit(f"icmp slt i64 %step, {length}")
            age = self.emit(f"sub i64 %step, {length}")
            safe = self.emit(f"select i1 {early}, i64 0, i64 {age}")
            row = self.emit(f"mul i64 {self.emit(f'urem i64 {safe}, {capacity}')}, {self.lanes}")
            entered = self.scalar(memory, self.emit(f"add i64 {row}, {lane}"))
            before = self.emit(f"extractelement {self.v} {result}, i32 {lane}")
            value = self.emit(f"select i1 {early}, double {before}, double {entered}")
            result = self.emit(f"insertelement {self.v} {result}, double {value}, i32 {lane}")
        return Register(self, result, "double")

    def _past(self, slot: int, back: Register) -> Register:
        memory, _ = self.ring(slot)
        steps = self.truncated(back)
        result = "zeroinitializer"
        for lane in range(self.lanes):
            ago = self.emit(f"extractelement {self.i} {steps}, i32 {lane}")
            then = self.emit(f"sub i64 %step, {ago}")
            past, begun = self.emit(f"icmp sgt i64 {ago}, 0"), self.emit(f"icmp sge i64 {then}, 0")
            there = self.emit(f"and i1 {past}, {begun}")
            row = self.emit(f"mul i64 {self.emit(f'select i1 {there}, i64 {then}, i64 0')}, {self.lanes}")
            entered = self.scalar(memory, self.emit(f"add i64 {row}, {lane}"))
            value = self.emit(f"select i1 {there}, double {entered}, double 0.0")
            result = self.emit(f"insertelement {self.v} {result}, double {value}, i32 {lane}")
        return Register(self, result, "double")

    def _random(self, stream: int, step: str) -> Register:
        """The same as :func:`~cipark_sd.compiler.primitives.uniform_random`, to the bit."""

        def mixed(z: Register, places: int) -> Register:
            return z.operation("xor", z, z.operation("lshr", z, places))

        run = self.load("%runs", self.emit(f"mul i64 %block, {self.lanes}"), "i64") + 1
        present = self.spread(self.emit(f"add i64 {step}, 1"), "i64")
        z = self.spread("%seed", "i64")
        for counter, stride in zip((run, present, stream + 1), RANDOM_STRIDES, strict=True):
            z = z + z.operation("mul", counter, _signed(stride))
            for shift, factor in zip((30, 27), RANDOM_MULTIPLIERS, strict=True):
                z = mixed(z, shift) * _signed(factor)
            z = mixed(z, 31)
        bits = self.made(f"uitofp {self.i} {z.operation('lshr', z, 12)} to {self.v}", "double")
        return (bits + 0.5) * 2.0**-52


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def is_source(program: Program, node: int) -> bool:
    """Whether any function reads a node from where it comes instead of computing it."""
    return program.nodes[node].op in ON_DEMAND


def arguments_of(program: Program, node: int) -> Iterable[int]:
    """The nodes that computing a node reads, a pipe's length and start included."""
    entry = program.nodes[node]
    if entry.op == "pipe" and isinstance(entry.payload, int):
        pipe = program.pipes[entry.payload]
        return (pipe.initial, pipe.length)
    return entry.args
