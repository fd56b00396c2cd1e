"""Primitive operations as LLVM assembly on vectors of doubles, a run in each lane.

What is written here is made of the program's structure and numbers alone: no name, label or text of a model gets into
it. No operation carries a fast-math flag and nothing is contracted, so each one rounds as in NumPy.
"""

import math
from collections.abc import Container, Iterable, Mapping, Sequence

from cipark_sd.compiler.primitives import RECIPES, segments
from cipark_sd.compiler.program import Program
from cipark_sd.engines.native.elementary import Vectors, number
from cipark_sd.model.expr import Table

#: What every function of a kernel is given: parameters, workspace, outputs, time, the time at which the step began,
#: stage and step, series and their strides, uniforms, block, pipes and their capacities, seed and numbers of the runs.
ARGUMENTS = (
    "ptr noalias %p, ptr noalias %ws, ptr noalias %out, double %t, double %begun, i64 %stage, i64 %step, "
    "ptr noalias %series, ptr noalias %strides, ptr noalias %uni, i64 %block, ptr noalias %pipes, ptr noalias %caps, "
    "i64 %seed, ptr noalias %runs"
)
_ARITHMETIC = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}
_COMPARISON = {"lt": "olt", "le": "ole", "eq": "oeq", "ne": "une"}
_INTRINSIC = {"sqrt": "sqrt", "abs": "fabs", "floor": "floor", "trunc": "trunc", "rint": "rint"}
#: Points up to which a table is a chain of comparisons; a longer one is searched by halving. For one run fewer are.
MOST_COMPARED, MOST_COMPARED_ALONE = 32, 3
#: Operations that every function reads from where they come from instead of computing them.
ON_DEMAND = ("const", "param", "uniform", "initial_series", "time", "instant", "state", "cell", "series", "tape")
_RANDOM_STRIDES = (0x9E3779B97F4A7C15, 0xD1B54A32D192ED03, 0x8CB92BA72F3D8DD7)
_RANDOM_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


def declarations(lanes: int, without: Container[str] = ()) -> str:
    """Intrinsics, and the C library's functions under names that LLVM does not know and so leaves alone.

    Parameters
    ----------
    lanes : int
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
        self.arrays: dict[tuple[str, tuple[str, ...]], str] = {}

    def array(self, values: Sequence[float]) -> str:
        """The name of an array of numbers that the module holds."""
        return self._array_name("double", tuple(map(number, values)))

    def table(self, values: Sequence[int]) -> str:
        """The name of an array of whole numbers that the module holds."""
        return self._array_name("i64", tuple(map(str, values)))

    def _array_name(self, kind: str, values: tuple[str, ...]) -> str:
        return self.arrays.setdefault((kind, values), f"@array{len(self.arrays)}")

    def constants(self) -> list[str]:
        """The arrays as the module defines them."""
        return [
            f"{name} = private unnamed_addr constant [{len(values)} x {kind}] ["
            + ", ".join(f"{kind} {value}" for value in values)
            + "], align 8"
            for (kind, values), name in self.arrays.items()
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


class Body(Vectors):
    """The instructions of one function; ``held`` are nodes that it reads from where they were kept, by place."""

    def __init__(self, program: Program, slots: Slots, lanes: int, held: Mapping[int, int] | None = None) -> None:
        super().__init__(lanes)
        self.program, self.slots, self.held = program, slots, held or {}
        self.lines: list[str] = []
        self.values: dict[int, str] = {}
        self.truths: dict[int, str] = {}
        #: Where the capacity of a pipe is, where that is computed.
        self.rings: dict[int, str] = {}
        self.row = ""
        self._count = 0

    def emit(self, instruction: str) -> str:
        """Add an instruction with a result and return the result's name."""
        self._count += 1
        name = f"%v{self._count}"
        self.lines.append(f"  {name} = {instruction}")
        return name

    def load(self, pointer: str, offset: int | str, kind: str = "", width: int = 0) -> str:
        """Load a vector, or a value of another ``kind``, from ``pointer`` at a place counted in ``width`` doubles."""
        index = str(offset * (width or self.lanes)) if isinstance(offset, int) else offset
        address = self.emit(f"getelementptr double, ptr {pointer}, i64 {index}")
        return self.emit(f"load {kind or self.v}, ptr {address}, align 8")

    def store(self, value: str, pointer: str, offset: int | str) -> None:
        """Store a vector to ``pointer`` at a place counted in vectors, or in doubles where it is computed."""
        index = str(offset * self.lanes) if isinstance(offset, int) else offset
        address = self.emit(f"getelementptr double, ptr {pointer}, i64 {index}")
        self.lines.append(f"  store {self.v} {value}, ptr {address}, align 8")

    def spread(self, scalar: str) -> str:
        """A double in every lane."""
        element = self.emit(f"insertelement {self.v} undef, double {scalar}, i32 0")
        return self.emit(f"shufflevector {self.v} {element}, {self.v} undef, <{self.lanes} x i32> zeroinitializer")

    def spread_int(self, scalar: str) -> str:
        """An integer in every lane."""
        element = self.emit(f"insertelement {self.i} undef, i64 {scalar}, i32 0")
        return self.emit(f"shufflevector {self.i} {element}, {self.i} undef, <{self.lanes} x i32> zeroinitializer")

    def constant(self, name: str) -> str:
        """A uniform of the run as a vector: 0 is the time step."""
        return self.spread(self.load("%uni", int(name), "double", 1))

    def use(self, node: int) -> str:
        """A node's value: made here, loaded from where another function left it, or read from its source."""
        if node in self.values:
            return self.values[node]
        if node in self.truths:
            value = self.emit(
                f"select {self.b} {self.truths[node]}, {self.v} {self.splat(1.0)}, {self.v} zeroinitializer"
            )
        elif node in self.held:
            value = self.load("%ws", self.held[node])
        elif self.program.nodes[node].op in ON_DEMAND:
            value = self._source(node)
        else:
            value = self.load("%ws", self.slots.node(node))
        self.values[node] = value
        return value

    def truth(self, node: int) -> str:
        """Whether a node is not 0, in each lane."""
        if node not in self.truths:
            self.truths[node] = self.emit(f"fcmp une {self.v} {self.use(node)}, zeroinitializer")
        return self.truths[node]

    def _source(self, node: int) -> str:
        entry = self.program.nodes[node]
        if isinstance(entry.payload, float):
            return self.splat(entry.payload)
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

    def _series(self, slot: int, stage: str) -> str:
        base = self.emit(f"getelementptr i64, ptr %series, i64 {slot}")
        pointer = self.emit(f"load ptr, ptr {base}, align 8")
        stride = self.emit(f"getelementptr i64, ptr %strides, i64 {slot}")
        step = self.emit(f"load i64, ptr {stride}, align 8")
        across = self.emit(f"mul i64 {step}, %block")
        along = self.emit(f"mul i64 {stage}, {self.lanes}")
        return self.load(pointer, self.emit(f"add i64 {across}, {along}"))

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
            a, b = self.use(args[0]), self.use(args[1])
            self.truths[node] = self.emit(f"fcmp {_COMPARISON[op]} {self.v} {a}, {b}")
        elif op in ("and", "or"):
            self.truths[node] = self.emit(f"{op} {self.b} {self.truth(args[0])}, {self.truth(args[1])}")
        elif op == "not":
            self.truths[node] = self.emit(f"xor {self.b} {self.truth(args[0])}, {self.every}")
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
            self.values[node] = self.emit(f"call {self.v} @vector_{op}({arguments})")
        elif op == "fmod":
            self.values[node] = self._by_lane(op, [self.use(a) for a in args])
        else:
            self.values[node] = self._operation(op, args)

    def _operation(self, op: str, args: Sequence[int]) -> str:
        if op == "select":
            condition = self.truth(args[0])
            return self.emit(f"select {self.b} {condition}, {self.v} {self.use(args[1])}, {self.v} {self.use(args[2])}")
        a = [self.use(argument) for argument in args]
        if op in _ARITHMETIC:
            return self.emit(f"{_ARITHMETIC[op]} {self.v} {a[0]}, {a[1]}")
        if op in _INTRINSIC:
            return self.emit(f"call {self.v} @llvm.{_INTRINSIC[op]}.v{self.lanes}f64({self.v} {a[0]})")
        if op == "held":
            return a[0]
        if op == "neg":
            return self.emit(f"fneg {self.v} {a[0]}")
        assert op in ("min", "max"), op
        return self.extreme("olt" if op == "min" else "ogt", a[0], a[1])

    def extreme(self, comparison: str, a: str, b: str) -> str:
        """``a`` where it compares so with ``b`` or is NaN, else ``b``."""
        first = self.emit(f"fcmp {comparison} {self.v} {a}, {b}")
        unknown = self.emit(f"fcmp uno {self.v} {a}, {a}")
        either = self.emit(f"or {self.b} {first}, {unknown}")
        return self.emit(f"select {self.b} {either}, {self.v} {a}, {self.v} {b}")

    def _by_lane(self, name: str, arguments: Sequence[str]) -> str:
        result = "undef"
        for lane in range(self.lanes):
            scalars = [self.emit(f"extractelement {self.v} {a}, i32 {lane}") for a in arguments]
            typed = ", ".join(f"double {s}" for s in scalars)
            element = self.emit(f"call double @cipark_{name}({typed})")
            result = self.emit(f"insertelement {self.v} {result}, double {element}, i32 {lane}")
        return result

    def _table(self, table: Table, at: str) -> str:
        x, y, slope = segments(table)
        n = len(x)

        if n > (MOST_COMPARED_ALONE if self.lanes == 1 else MOST_COMPARED):
            return self._searched(table, at)
        if n == 1:
            known = self.emit(f"fcmp ord {self.v} {at}, {at}")
            return self.emit(f"select {self.b} {known}, {self.v} {self.splat(y[0])}, {self.v} {at}")
        if table.interpolation == "hold_backward":
            value = self.splat(y[0])
            for j in range(1, n):
                value = self._where(at, "oge", x[j], self.splat(y[j]), value)
            return value
        if table.interpolation == "look_forward":
            value = self.splat(y[-1])
            for j in range(n - 2, -1, -1):
                value = self._where(at, "ole", x[j], self.splat(y[j]), value)
            return value
        left, level, steepness = self.splat(x[0]), self.splat(y[0]), self.splat(slope[0])
        for j in range(1, n - 1):
            condition = self.emit(f"fcmp oge {self.v} {at}, {self.splat(x[j])}")
            left = self.emit(f"select {self.b} {condition}, {self.v} {self.splat(x[j])}, {self.v} {left}")
            level = self.emit(f"select {self.b} {condition}, {self.v} {self.splat(y[j])}, {self.v} {level}")
            steepness = self.emit(f"select {self.b} {condition}, {self.v} {self.splat(slope[j])}, {self.v} {steepness}")
        rise = self.emit(f"fmul {self.v} {steepness}, {self.emit(f'fsub {self.v} {at}, {left}')}")
        return self._with_ends(table, at, self.emit(f"fadd {self.v} {rise}, {level}"))

    def _where(self, at: str, comparison: str, bound: float, then: str, otherwise: str) -> str:
        """``then`` where an argument compares so with a number, else ``otherwise``."""
        condition = self.emit(f"fcmp {comparison} {self.v} {at}, {self.splat(bound)}")
        return self.emit(f"select {self.b} {condition}, {self.v} {then}, {self.v} {otherwise}")

    def _searched(self, table: Table, at: str) -> str:
        """A table of many points by halving: the same numbers as by comparisons one after the other."""
        x, y, slope = (values.tolist() for values in segments(table))

        def place(comparison: str, knots: Sequence[float]) -> str:
            """The last of the knots with which ``at`` compares so, in each lane; 0 where there is none."""
            size = 1 << (len(knots) - 1).bit_length()
            # no number compares with NaN, so no lane goes beyond the last knot
            array = self.slots.array((*knots, *[math.nan] * (size - len(knots))))
            row, half = self.splat_int(0), size // 2
            while half:
                trial = self.emit(f"add {self.i} {row}, {self.splat_int(half)}")
                reached = self.emit(f"fcmp {comparison} {self.v} {at}, {self._gathered(array, trial)}")
                row = self.emit(f"select {self.b} {reached}, {self.i} {trial}, {self.i} {row}")
                half //= 2
            return row

        if table.interpolation == "hold_backward":
            return self._gathered(self.slots.array(y), place("oge", x))
        if table.interpolation == "look_forward":
            # the knots one place on: their number below ``at`` is where the next one is
            value = self._gathered(self.slots.array(y), place("ogt", [-math.inf, *x[:-1]]))
            known = self.emit(f"fcmp ord {self.v} {at}, {at}")
            return self.emit(f"select {self.b} {known}, {self.v} {value}, {self.v} {self.splat(y[-1])}")
        segment = place("oge", x[:-1])
        left, level, steepness = (self._gathered(self.slots.array(values), segment) for values in (x, y, slope))
        rise = self.emit(f"fmul {self.v} {steepness}, {self.emit(f'fsub {self.v} {at}, {left}')}")
        return self._with_ends(table, at, self.emit(f"fadd {self.v} {rise}, {level}"))

    def _gathered(self, array: str, places: str) -> str:
        """The numbers of an array at a place of its own for each lane."""
        pointers = self.emit(f"getelementptr double, ptr {array}, {self.i} {places}")
        arguments = f"<{self.lanes} x ptr> {pointers}, i32 8, {self.b} {self.every}, {self.v} zeroinitializer"
        return self.emit(f"call {self.v} @llvm.masked.gather.v{self.lanes}f64.v{self.lanes}p0({arguments})")

    def _with_ends(self, table: Table, at: str, inner: str) -> str:
        """What joins the points by lines, with what holds beyond them."""
        x, y, slope = segments(table)

        if table.interpolation == "extrapolate":
            beyond = self.emit(
                f"fmul {self.v} {self.splat(slope[-1])}, {self.emit(f'fsub {self.v} {at}, {self.splat(x[-1])}')}"
            )
            above = self.emit(f"fadd {self.v} {self.splat(y[-1])}, {beyond}")
            return self._where(at, "ogt", x[-1], above, self._where(at, "oeq", x[-1], self.splat(y[-1]), inner))
        return self._where(at, "olt", x[0], self.splat(y[0]), self._where(at, "oge", x[-1], self.splat(y[-1]), inner))

    def ring(self, slot: int) -> tuple[str, str]:
        """A pipe's memory and its capacity."""
        place = self.rings.get(slot) or str(2 * slot)
        at = self.emit(f"getelementptr i64, ptr %caps, i64 {place}")
        capacity = self.emit(f"load i64, ptr {at}, align 8")
        start = self.emit(f"load i64, ptr {self.emit(f'getelementptr i64, ptr {at}, i64 1')}, align 8")
        return self.emit(f"getelementptr double, ptr %pipes, i64 {start}"), capacity

    def arrive(self, memory: str, capacity: str, value: str, after: str, *, adds: bool) -> None:
        """Add what enters a conveyor to what leaves so many steps later, or put it in its place."""
        steps = self.emit(f"fptosi {self.v} {after} to {self.i}")
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

    def _pipe(self, slot: int) -> str:
        pipe = self.program.pipes[slot]
        memory, capacity = self.ring(slot)
        if pipe.conveys:
            now = self.spread(self.emit("sitofp i64 %step to double"))
            early = self.emit(f"fcmp olt {self.v} {now}, {self.use(pipe.length)}")
            begun = self.emit(f"select {self.b} {early}, {self.v} {self.use(pipe.initial)}, {self.v} zeroinitializer")
            arrived = self.load(memory, self.emit(f"mul i64 %step, {self.lanes}"))
            return self.emit(f"fadd {self.v} {begun}, {arrived}")
        lengths = self.emit(f"fptosi {self.v} {self.use(pipe.length)} to {self.i}")
        result = self.use(pipe.initial)
        for lane in range(self.lanes):
            length = self.emit(f"extractelement {self.i} {lengths}, i32 {lane}")
            early = self.emit(f"icmp slt i64 %step, {length}")
            age = self.emit(f"sub i64 %step, {length}")
            safe = self.emit(f"select i1 {early}, i64 0, i64 {age}")
            row = self.emit(f"mul i64 {self.emit(f'urem i64 {safe}, {capacity}')}, {self.lanes}")
            entered = self.load(memory, self.emit(f"add i64 {row}, {lane}"), "double")
            before = self.emit(f"extractelement {self.v} {result}, i32 {lane}")
            value = self.emit(f"select i1 {early}, double {before}, double {entered}")
            result = self.emit(f"insertelement {self.v} {result}, double {value}, i32 {lane}")
        return result

    def _past(self, slot: int, back: str) -> str:
        memory, _ = self.ring(slot)
        steps = self.emit(f"fptosi {self.v} {back} to {self.i}")
        result = "zeroinitializer"
        for lane in range(self.lanes):
            ago = self.emit(f"extractelement {self.i} {steps}, i32 {lane}")
            then = self.emit(f"sub i64 %step, {ago}")
            past, begun = self.emit(f"icmp sgt i64 {ago}, 0"), self.emit(f"icmp sge i64 {then}, 0")
            there = self.emit(f"and i1 {past}, {begun}")
            row = self.emit(f"mul i64 {self.emit(f'select i1 {there}, i64 {then}, i64 0')}, {self.lanes}")
            entered = self.load(memory, self.emit(f"add i64 {row}, {lane}"), "double")
            value = self.emit(f"select i1 {there}, double {entered}, double 0.0")
            result = self.emit(f"insertelement {self.v} {result}, double {value}, i32 {lane}")
        return result

    def _random(self, stream: int, step: str) -> str:
        run = self.load("%runs", self.emit(f"mul i64 %block, {self.lanes}"), self.i)
        run = self.emit(f"add {self.i} {run}, {self.splat_int(1)}")
        counters = (run, self.spread_int(self.emit(f"add i64 {step}, 1")), self.splat_int(stream + 1))
        z = self.spread_int("%seed")
        for counter, stride in zip(counters, _RANDOM_STRIDES, strict=True):
            z = self.emit(
                f"add {self.i} {z}, {self.emit(f'mul {self.i} {counter}, {self.splat_int(_signed(stride))}')}"
            )
            for shift, factor in zip((30, 27), _RANDOM_MULTIPLIERS, strict=True):
                z = self.emit(f"xor {self.i} {z}, {self.emit(f'lshr {self.i} {z}, {self.splat_int(shift)}')}")
                z = self.emit(f"mul {self.i} {z}, {self.splat_int(_signed(factor))}")
            z = self.emit(f"xor {self.i} {z}, {self.emit(f'lshr {self.i} {z}, {self.splat_int(31)}')}")
        bits = self.emit(f"uitofp {self.i} {self.emit(f'lshr {self.i} {z}, {self.splat_int(12)}')} to {self.v}")
        return self.emit(
            f"fmul {self.v} {self.emit(f'fadd {self.v} {bits}, {self.splat(0.5)}')}, {self.splat(2.0**-52)}"
        )


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def is_source(program: Program, node: int) -> bool:
    """Whether any function reads a node from where it comes instead of computing it.

    Parameters
    ----------
    program : Program
    node : int

    Returns
    -------
    bool
    """
    return program.nodes[node].op in ON_DEMAND


def arguments_of(program: Program, node: int) -> Iterable[int]:
    """The nodes that computing a node reads, a pipe's length and start included.

    Parameters
    ----------
    program : Program
    node : int

    Returns
    -------
    iterable of int
    """
    entry = program.nodes[node]
    if entry.op == "pipe" and isinstance(entry.payload, int):
        pipe = program.pipes[entry.payload]
        return (pipe.initial, pipe.length)
    return entry.args
