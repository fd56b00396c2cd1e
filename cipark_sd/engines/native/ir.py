"""Primitive operations as LLVM assembly on vectors of eight doubles.

What is written here is made of the program's structure and numbers alone: no name, label or text of a model gets into
it. No operation carries a fast-math flag and nothing is contracted, so each one rounds as in NumPy.
"""

from collections.abc import Iterable, Sequence

from cipark_sd.compiler.primitives import LIBRARY, segments
from cipark_sd.compiler.program import CONSTANT, PER_RUN, PER_STEP, Program
from cipark_sd.engines.native.elementary import FUNCTIONS
from cipark_sd.engines.native.text import LANES, B, I, V, splat, splat_int
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
_ON_DEMAND = ("const", "param", "uniform", "initial_series", "time", "instant", "state", "cell", "series")
_RANDOM_STRIDES = (0x9E3779B97F4A7C15, 0xD1B54A32D192ED03, 0x8CB92BA72F3D8DD7)
_RANDOM_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


def declarations() -> str:
    """Intrinsics, and the C library's functions under names that LLVM does not know and so leaves alone."""
    lines = [f"declare {V} @llvm.{name}.v{LANES}f64({V})" for name in sorted(set(_INTRINSIC.values()))]
    lines.append(f"declare i1 @llvm.vector.reduce.or.v{LANES}i1({B})")
    for name, (_, n) in LIBRARY.items():
        lines.append(f"declare double @cipark_{name}({', '.join(['double'] * n)}) #1")
    return "\n".join(lines)


class Slots:
    """Places in the workspace, in vectors."""

    def __init__(self, program: Program) -> None:
        self.states = 0
        self.cells = len(program.states)
        self.next = self.cells + len(program.cells)
        self.nodes: dict[int, int] = {}
        self.extra: dict[tuple[str, int], int] = {}

    def node(self, node: int) -> int:
        """Where a node's value is kept for other functions."""
        if node not in self.nodes:
            self.nodes[node] = self._new()
        return self.nodes[node]

    def named(self, kind: str, position: int) -> int:
        """Where a part of the integration is kept."""
        if (kind, position) not in self.extra:
            self.extra[kind, position] = self._new()
        return self.extra[kind, position]

    def _new(self) -> int:
        self.next += 1
        return self.next - 1


class Body:
    """The instructions of one function."""

    def __init__(self, program: Program, slots: Slots) -> None:
        self.program, self.slots = program, slots
        self.lines: list[str] = []
        self.values: dict[int, str] = {}
        self.truths: dict[int, str] = {}
        self._count = 0

    def emit(self, instruction: str) -> str:
        """Add an instruction with a result and return the result's name."""
        self._count += 1
        name = f"%v{self._count}"
        self.lines.append(f"  {name} = {instruction}")
        return name

    def load(self, pointer: str, offset: int | str, kind: str = V, width: int = LANES) -> str:
        """Load from ``pointer`` at a place counted in ``width`` doubles."""
        index = str(offset * width) if isinstance(offset, int) else offset
        address = self.emit(f"getelementptr double, ptr {pointer}, i64 {index}")
        return self.emit(f"load {kind}, ptr {address}, align 8")

    def store(self, value: str, pointer: str, offset: int | str, kind: str = V) -> None:
        """Store to ``pointer`` at a place counted in vectors, or in doubles where it is computed."""
        index = str(offset * LANES) if isinstance(offset, int) else offset
        address = self.emit(f"getelementptr double, ptr {pointer}, i64 {index}")
        self.lines.append(f"  store {kind} {value}, ptr {address}, align 8")

    def spread(self, scalar: str) -> str:
        """A double in every lane."""
        one = self.emit(f"insertelement {V} undef, double {scalar}, i32 0")
        return self.emit(f"shufflevector {V} {one}, {V} undef, <{LANES} x i32> zeroinitializer")

    def spread_int(self, scalar: str) -> str:
        """An integer in every lane."""
        one = self.emit(f"insertelement {I} undef, i64 {scalar}, i32 0")
        return self.emit(f"shufflevector {I} {one}, {I} undef, <{LANES} x i32> zeroinitializer")

    def constant(self, name: str) -> str:
        """A uniform of the run as a vector: 0 is the time step."""
        return self.spread(self.load("%uni", int(name), "double", 1))

    def use(self, node: int) -> str:
        """A node's value: made here, loaded from where another function left it, or read from its source."""
        if node in self.values:
            return self.values[node]
        if node in self.truths:
            value = self.emit(f"select {B} {self.truths[node]}, {V} {splat(1.0)}, {V} zeroinitializer")
        elif self.program.nodes[node].op in _ON_DEMAND:
            value = self._source(node)
        else:
            value = self.load("%ws", self.slots.node(node))
        self.values[node] = value
        return value

    def truth(self, node: int) -> str:
        """Whether a node is not 0, in each lane."""
        if node not in self.truths:
            self.truths[node] = self.emit(f"fcmp une {V} {self.use(node)}, zeroinitializer")
        return self.truths[node]

    def _source(self, node: int) -> str:
        entry = self.program.nodes[node]
        if isinstance(entry.payload, float):
            return splat(entry.payload)
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
            case op:
                return self._series(slot, "0" if op == "initial_series" else "%stage")

    def _series(self, slot: int, stage: str) -> str:
        base = self.emit(f"getelementptr i64, ptr %series, i64 {slot}")
        pointer = self.emit(f"load ptr, ptr {base}, align 8")
        stride = self.emit(f"getelementptr i64, ptr %strides, i64 {slot}")
        step = self.emit(f"load i64, ptr {stride}, align 8")
        across = self.emit(f"mul i64 {step}, %block")
        along = self.emit(f"mul i64 {stage}, {LANES}")
        return self.load(pointer, self.emit(f"add i64 {across}, {along}"))

    def compute(self, node: int) -> None:
        """Add a node's operation."""
        entry = self.program.nodes[node]
        op, args = entry.op, entry.args
        if op in _COMPARISON:
            a, b = self.use(args[0]), self.use(args[1])
            self.truths[node] = self.emit(f"fcmp {_COMPARISON[op]} {V} {a}, {b}")
        elif op in ("and", "or"):
            self.truths[node] = self.emit(f"{op} {B} {self.truth(args[0])}, {self.truth(args[1])}")
        elif op == "not":
            ones = "<" + ", ".join(["i1 true"] * LANES) + ">"
            self.truths[node] = self.emit(f"xor {B} {self.truth(args[0])}, {ones}")
        elif isinstance(entry.payload, Table):
            self.values[node] = self._table(entry.payload, self.use(args[0]))
        elif op == "pipe" and isinstance(entry.payload, int):
            self.values[node] = self._pipe(entry.payload)
        elif op in ("random", "initial_random") and isinstance(entry.payload, int):
            step = "%step" if op == "random" else str(2**32)
            self.values[node] = self._random(entry.payload, step)
        elif op in FUNCTIONS:
            given = ", ".join(f"{V} {self.use(a)}" for a in args)
            self.values[node] = self.emit(f"call {V} @vector_{op}({given})")
        elif op in LIBRARY:
            self.values[node] = self._by_lane(op, [self.use(a) for a in args])
        else:
            self.values[node] = self._operation(op, args)

    def _operation(self, op: str, args: Sequence[int]) -> str:
        if op == "select":
            condition = self.truth(args[0])
            return self.emit(f"select {B} {condition}, {V} {self.use(args[1])}, {V} {self.use(args[2])}")
        a = [self.use(argument) for argument in args]
        if op in _ARITHMETIC:
            return self.emit(f"{_ARITHMETIC[op]} {V} {a[0]}, {a[1]}")
        if op in _INTRINSIC:
            return self.emit(f"call {V} @llvm.{_INTRINSIC[op]}.v{LANES}f64({V} {a[0]})")
        if op == "neg":
            return self.emit(f"fneg {V} {a[0]}")
        if op == "present":
            known = self.emit(f"fcmp ord {V} {a[0]}, {a[0]}")
            return self.emit(f"select {B} {known}, {V} {a[0]}, {V} {a[1]}")
        assert op in ("min", "max"), op
        return self.extreme("olt" if op == "min" else "ogt", a[0], a[1])

    def extreme(self, comparison: str, a: str, b: str) -> str:
        """``a`` where it compares so with ``b`` or is NaN, else ``b``."""
        first = self.emit(f"fcmp {comparison} {V} {a}, {b}")
        unknown = self.emit(f"fcmp uno {V} {a}, {a}")
        either = self.emit(f"or {B} {first}, {unknown}")
        return self.emit(f"select {B} {either}, {V} {a}, {V} {b}")

    def _by_lane(self, name: str, arguments: Sequence[str]) -> str:
        result = "undef"
        for lane in range(LANES):
            scalars = [self.emit(f"extractelement {V} {a}, i32 {lane}") for a in arguments]
            given = ", ".join(f"double {s}" for s in scalars)
            one = self.emit(f"call double @cipark_{name}({given}) #1")
            result = self.emit(f"insertelement {V} {result}, double {one}, i32 {lane}")
        return result

    def _table(self, table: Table, at: str) -> str:
        x, y, slope = segments(table)
        n = len(x)

        def chosen(comparison: str, bound: float, then: str, otherwise: str) -> str:
            condition = self.emit(f"fcmp {comparison} {V} {at}, {splat(bound)}")
            return self.emit(f"select {B} {condition}, {V} {then}, {V} {otherwise}")

        if n == 1:
            return self.emit(f"select {B} {self.emit(f'fcmp ord {V} {at}, {at}')}, {V} {splat(y[0])}, {V} {at}")
        if table.interpolation == "hold_backward":
            value = splat(y[0])
            for j in range(1, n):
                value = chosen("oge", x[j], splat(y[j]), value)
            return value
        if table.interpolation == "look_forward":
            value = splat(y[-1])
            for j in range(n - 2, -1, -1):
                value = chosen("ole", x[j], splat(y[j]), value)
            return value
        left, level, steepness = splat(x[0]), splat(y[0]), splat(slope[0])
        for j in range(1, n - 1):
            condition = self.emit(f"fcmp oge {V} {at}, {splat(x[j])}")
            left = self.emit(f"select {B} {condition}, {V} {splat(x[j])}, {V} {left}")
            level = self.emit(f"select {B} {condition}, {V} {splat(y[j])}, {V} {level}")
            steepness = self.emit(f"select {B} {condition}, {V} {splat(slope[j])}, {V} {steepness}")
        rise = self.emit(f"fmul {V} {steepness}, {self.emit(f'fsub {V} {at}, {left}')}")
        inner = self.emit(f"fadd {V} {rise}, {level}")
        if table.interpolation == "extrapolate":
            beyond = self.emit(f"fmul {V} {splat(slope[-1])}, {self.emit(f'fsub {V} {at}, {splat(x[-1])}')}")
            above = self.emit(f"fadd {V} {splat(y[-1])}, {beyond}")
            return chosen("ogt", x[-1], above, chosen("oeq", x[-1], splat(y[-1]), inner))
        return chosen("olt", x[0], splat(y[0]), chosen("oge", x[-1], splat(y[-1]), inner))

    def ring(self, slot: int) -> tuple[str, str]:
        """A pipe's memory and its capacity."""
        capacity = self.emit(f"load i64, ptr {self.emit(f'getelementptr i64, ptr %caps, i64 {2 * slot}')}, align 8")
        start = self.emit(f"load i64, ptr {self.emit(f'getelementptr i64, ptr %caps, i64 {2 * slot + 1}')}, align 8")
        return self.emit(f"getelementptr double, ptr %pipes, i64 {start}"), capacity

    def _pipe(self, slot: int) -> str:
        pipe = self.program.pipes[slot]
        memory, capacity = self.ring(slot)
        lengths = self.emit(f"fptosi {V} {self.use(pipe.length)} to {I}")
        result = self.use(pipe.initial)
        for lane in range(LANES):
            length = self.emit(f"extractelement {I} {lengths}, i32 {lane}")
            early = self.emit(f"icmp slt i64 %step, {length}")
            age = self.emit(f"sub i64 %step, {length}")
            safe = self.emit(f"select i1 {early}, i64 0, i64 {age}")
            row = self.emit(f"mul i64 {self.emit(f'urem i64 {safe}, {capacity}')}, {LANES}")
            entered = self.load(memory, self.emit(f"add i64 {row}, {lane}"), "double")
            before = self.emit(f"extractelement {V} {result}, i32 {lane}")
            value = self.emit(f"select i1 {early}, double {before}, double {entered}")
            result = self.emit(f"insertelement {V} {result}, double {value}, i32 {lane}")
        return result

    def _random(self, stream: int, step: str) -> str:
        run = self.load("%runs", self.emit(f"mul i64 %block, {LANES}"), I)
        run = self.emit(f"add {I} {run}, {splat_int(1)}")
        counters = (
            run,
            self.spread_int(self.emit(f"add i64 {step}, 1")),
            splat_int(stream + 1),
        )
        z = self.spread_int("%seed")
        for counter, stride in zip(counters, _RANDOM_STRIDES, strict=True):
            z = self.emit(f"add {I} {z}, {self.emit(f'mul {I} {counter}, {splat_int(_signed(stride))}')}")
            for shift, factor in zip((30, 27), _RANDOM_MULTIPLIERS, strict=True):
                z = self.emit(f"xor {I} {z}, {self.emit(f'lshr {I} {z}, {splat_int(shift)}')}")
                z = self.emit(f"mul {I} {z}, {splat_int(_signed(factor))}")
            z = self.emit(f"xor {I} {z}, {self.emit(f'lshr {I} {z}, {splat_int(31)}')}")
        bits = self.emit(f"uitofp {I} {self.emit(f'lshr {I} {z}, {splat_int(12)}')} to {V}")
        return self.emit(f"fmul {V} {self.emit(f'fadd {V} {bits}, {splat(0.5)}')}, {splat(2.0**-52)}")


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def is_source(program: Program, node: int) -> bool:
    """Whether any function reads a node from where it comes instead of computing it."""
    return program.nodes[node].op in _ON_DEMAND


def arguments_of(program: Program, node: int) -> Iterable[int]:
    """The nodes that computing a node reads, a pipe's length and start included."""
    entry = program.nodes[node]
    if entry.op == "pipe" and isinstance(entry.payload, int):
        pipe = program.pipes[entry.payload]
        return (pipe.initial, pipe.length)
    return entry.args


__all__ = ["CONSTANT", "PER_RUN", "PER_STEP", "Body", "Slots", "arguments_of", "declarations", "is_source"]
