"""The recipes of :mod:`cipark_sd.compiler.elementary` as functions of LLVM assembly on vectors of eight doubles."""

from typing import Protocol

from cipark_sd.compiler.elementary import Elementary

#: Each function and its number of arguments.
FUNCTIONS = {"exp": 1, "log": 1, "pow": 2}


class Emitter(Protocol):
    """What takes instructions: the body of a function."""

    lines: list[str]

    def emit(self, instruction: str) -> str:
        """Add an instruction with a result and return the result's name."""


class VectorArithmetic:
    """The operations as instructions; each value is the name of a register or a constant."""

    def __init__(self, body: Emitter, lanes: int) -> None:
        self.body, self.lanes = body, lanes
        self.v, self.i, self.b = (f"<{lanes} x {kind}>" for kind in ("double", "i64", "i1"))

    def number(self, value: float) -> str:
        from cipark_sd.engines.native_ir import splat

        return splat(value)

    def integer(self, value: int) -> str:
        from cipark_sd.engines.native_ir import splat_int

        return splat_int(value)

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

    def both(self, a: str, b: str) -> str:
        return self._of("and", self.b, a, b)

    def either(self, a: str, b: str) -> str:
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

    def left(self, a: str, places: int) -> str:
        return self._of("shl", self.i, a, self.integer(places))

    def right(self, a: str, places: int) -> str:
        return self._of("ashr", self.i, a, self.integer(places))


def definition(name: str, body: Emitter, lanes: int, attributes: str) -> str:
    """The function ``@vector_<name>``."""
    arithmetic = VectorArithmetic(body, lanes)
    names = [f"%a{i}" for i in range(FUNCTIONS[name])]
    result = getattr(Elementary(arithmetic), name)(*names)
    given = ", ".join(f"{arithmetic.v} {a}" for a in names)
    head = f"define internal {arithmetic.v} @vector_{name}({given}) {attributes} {{"
    return "\n".join([head, *body.lines, f"  ret {arithmetic.v} {result}", "}"])
