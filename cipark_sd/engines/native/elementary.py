"""The recipes of :mod:`cipark_sd.compiler.elementary` as functions of LLVM assembly on vectors of doubles."""

from typing import Protocol

from cipark_sd.compiler.elementary import Elementary
from cipark_sd.engines.native.text import Vectors

#: Each function and its number of arguments.
FUNCTIONS = {"exp": 1, "log": 1, "pow": 2, "sin": 1, "cos": 1}
#: Those that leave large arguments to the C library.
_NEAR = ("sin", "cos")


class Emitter(Protocol):
    """What takes instructions: the body of a function."""

    lines: list[str]

    def emit(self, instruction: str) -> str:
        """Add an instruction with a result and return the result's name."""


class VectorArithmetic(Vectors):
    """The operations as instructions; each value is the name of a register or a constant."""

    def __init__(self, body: Emitter, lanes: int) -> None:
        super().__init__(lanes)
        self.body = body

    def number(self, value: float) -> str:
        return self.splat(value)

    def integer(self, value: int) -> str:
        return self.splat_int(value)

    def _of(self, instruction: str, kind: str, a: str, b: str) -> str:
        return self.body.emit(f"{instruction} {kind} {a}, {b}")

    def add(self, a: str, b: str) -> str:
        return self._of("fadd", self.v, a, b)

    def sub(self, a: str, b: str) -> str:
        return self._of("fsub", self.v, a, b)

    def mul(self, a: str, b: str) -> str:
        return self._of("fmul", self.v, a, b)

    def div(self, a: str, b: str) -> str:
        return self._of("fdiv", self.v, a, b)

    def rint(self, a: str) -> str:
        return self.body.emit(f"call {self.v} @llvm.rint.v{self.lanes}f64({self.v} {a})")

    def less(self, a: str, b: str) -> str:
        return self._of("fcmp olt", self.v, a, b)

    def equal(self, a: str, b: str) -> str:
        return self._of("fcmp oeq", self.v, a, b)

    def logical_and(self, a: str, b: str) -> str:
        return self._of("and", self.b, a, b)

    def logical_or(self, a: str, b: str) -> str:
        return self._of("or", self.b, a, b)

    def choose(self, condition: str, a: str, b: str) -> str:
        return self.body.emit(f"select {self.b} {condition}, {self.v} {a}, {self.v} {b}")

    def bits(self, a: str) -> str:
        return self.body.emit(f"bitcast {self.v} {a} to {self.i}")

    def double(self, a: str) -> str:
        return self.body.emit(f"bitcast {self.i} {a} to {self.v}")

    def whole(self, a: str) -> str:
        return self.body.emit(f"sitofp {self.i} {a} to {self.v}")

    def add_integers(self, a: str, b: str) -> str:
        return self._of("add", self.i, a, b)

    def sub_integers(self, a: str, b: str) -> str:
        return self._of("sub", self.i, a, b)

    def and_integers(self, a: str, b: str) -> str:
        return self._of("and", self.i, a, b)

    def shift_left(self, a: str, places: int) -> str:
        return self._of("shl", self.i, a, self.integer(places))

    def right(self, a: str, places: int) -> str:
        return self._of("ashr", self.i, a, self.integer(places))


def definition(name: str, lanes: int, attributes: str) -> str:
    """The function ``@vector_<name>``: a short way for ordinary arguments, and a long one when any lane has another."""
    fast, slow = _Lines("f"), _Lines("s")
    arithmetic = VectorArithmetic(fast, lanes)
    v, b = arithmetic.v, arithmetic.b
    names = [f"%a{i}" for i in range(FUNCTIONS[name])]
    short = Elementary(arithmetic)
    if name in _NEAR:
        value = getattr(short, name)(*names)
        special = short.far(names[0])
        long_value = _far_lanes(name, slow, arithmetic, special, value)
    else:
        value, right = getattr(short, f"plain_{name}")(*names)
        special = fast.emit(f"xor {b} {right}, {arithmetic.every}")
        long_value = getattr(Elementary(VectorArithmetic(slow, lanes)), name)(*names)
    some = fast.emit(f"call i1 @llvm.vector.reduce.or.v{lanes}i1({b} {special})")
    arguments = ", ".join(f"{v} {a}" for a in names)
    # the long way is a function of its own, which nothing is inlined from
    long_given = f"{arguments}, {b} {special}, {v} {value}"
    long_head = f"define internal {v} @long_{name}({arguments}, {b} {special}, {v} {value}) noinline cold #0 {{"
    short_head = f"define internal {v} @vector_{name}({arguments}) {attributes} {{"
    return "\n".join(
        [
            *(long_head, *slow.lines, f"  ret {v} {long_value}", "}"),
            *(short_head, "entry:", *fast.lines),
            *(f"  br i1 {some}, label %special, label %ordinary", "special:"),
            *(f"  %long = call {v} @long_{name}({long_given})", "  br label %ordinary", "ordinary:"),
            *(f"  %result = phi {v} [ {value}, %entry ], [ %long, %special ]", f"  ret {v} %result", "}"),
        ]
    )


def _far_lanes(name: str, body: Emitter, arithmetic: VectorArithmetic, far: str, near: str) -> str:
    """The lanes with a large argument by the C library, the others as they were."""
    v, b = arithmetic.v, arithmetic.b
    made = "undef"
    for lane in range(arithmetic.lanes):
        element = body.emit(f"extractelement {v} %a0, i32 {lane}")
        called = body.emit(f"call double @cipark_{name}(double {element})")
        made = body.emit(f"insertelement {v} {made}, double {called}, i32 {lane}")
    return body.emit(f"select {b} {far}, {v} {made}, {v} {near}")


class _Lines:
    """Instructions with names of their own."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.lines: list[str] = []

    def emit(self, instruction: str) -> str:
        self.lines.append(f"  %{self.prefix}{len(self.lines)} = {instruction}")
        return f"%{self.prefix}{len(self.lines) - 1}"
