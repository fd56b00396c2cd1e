"""The recipes of :mod:`cipark_sd.compiler.chance` as functions of LLVM assembly on vectors of doubles."""

from collections.abc import Callable
from typing import Protocol

from cipark_sd.compiler.chance import Chance
from cipark_sd.compiler.primitives import RECIPES
from cipark_sd.engines.native.text import Vectors


class Emitter(Protocol):
    """What takes instructions: the body of a function."""

    lines: list[str]

    def emit(self, instruction: str) -> str:
        """Add an instruction with a result and return the result's name."""


class VectorArithmetic(Vectors):
    """The operations as instructions; each value is the name of a register or a constant."""

    def __init__(self, body: Emitter, lanes: int, array: Callable[[tuple[float, ...]], str], fused: bool) -> None:
        super().__init__(lanes)
        self.body, self.array, self.fused = body, array, fused

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

    def lacking(self, a: str, b: str, product: str) -> str | None:
        if not self.fused:
            return None
        minus = self.body.emit(f"fneg {self.v} {product}")
        return self.body.emit(f"call {self.v} @llvm.fma.v{self.lanes}f64({self.v} {a}, {self.v} {b}, {self.v} {minus})")

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

    def sqrt(self, a: str) -> str:
        return self.body.emit(f"call {self.v} @llvm.sqrt.v{self.lanes}f64({self.v} {a})")

    def truncated(self, a: str) -> str:
        return self.body.emit(f"fptosi {self.v} {a} to {self.i}")

    def entry(self, numbers: tuple[float, ...], place: str) -> str:
        pointers = self.body.emit(f"getelementptr double, ptr {self.array(numbers)}, {self.i} {place}")
        arguments = f"<{self.lanes} x ptr> {pointers}, i32 8, {self.b} {self.every}, {self.v} zeroinitializer"
        return self.body.emit(f"call {self.v} @llvm.masked.gather.v{self.lanes}f64.v{self.lanes}p0({arguments})")


def definition(
    name: str,
    lanes: int,
    attributes: str,
    array: Callable[[tuple[float, ...]], str],
    *,
    skips: bool = False,
    fused: bool = False,
) -> str:
    """The function ``@vector_<name>``.

    One of the commoner functions has a short way for ordinary arguments, and a long one when any lane has another.

    Parameters
    ----------
    array : callable
        Gives the name of an array of numbers of the module.
    skips : bool
        Whether a power is skipped where all lanes have a base of 1 or 0. Of a model whose switches and steps hold bases
        there this takes a fifth of the time; one full of other powers takes a fifth longer, since those no longer
        share what they have in common.
    fused : bool
        Whether the processor has fused multiplication.
    """
    fast, slow = _Lines("f"), _Lines("s")
    arithmetic = VectorArithmetic(fast, lanes, array, fused)
    v = arithmetic.v
    names = [f"%a{i}" for i in range(RECIPES[name])]
    arguments = ", ".join(f"{v} {a}" for a in names)
    recipes = Chance(arithmetic)
    if not hasattr(recipes, f"plain_{name}"):
        value = getattr(recipes, name)(*names)
        head = f"define internal {v} @vector_{name}({arguments}) noinline #0 {{"
        return "\n".join([head, *fast.lines, f"  ret {v} {value}", "}"])
    ways = ""
    if skips and hasattr(recipes, f"trivial_{name}"):
        known, sure = getattr(recipes, f"trivial_{name}")(*names)
        _branch(fast, arithmetic, sure, "usual", "ordinary")
        fast.lines.append("usual:")
        ways = f"[ {known}, %entry ], "
    value, right = getattr(recipes, f"plain_{name}")(*names)
    _branch(fast, arithmetic, right, "special", "ordinary")
    ways += f"[ {value}, %{'usual' if ways else 'entry'} ], [ %long, %special ]"
    long_value = getattr(Chance(VectorArithmetic(slow, lanes, array, fused)), name)(*names)
    # the long way is a function of its own, which nothing is inlined from
    long_head = f"define internal {v} @long_{name}({arguments}) noinline cold #0 {{"
    short_head = f"define internal {v} @vector_{name}({arguments}) {attributes} {{"
    return "\n".join(
        [
            *(long_head, *slow.lines, f"  ret {v} {long_value}", "}"),
            *(short_head, "entry:", *fast.lines, "special:"),
            *(f"  %long = call {v} @long_{name}({arguments})", "  br label %ordinary", "ordinary:"),
            *(f"  %result = phi {v} {ways}", f"  ret {v} %result", "}"),
        ]
    )


def _branch(body: "_Lines", arithmetic: VectorArithmetic, right: str, elsewhere: str, then: str) -> None:
    """Go to ``then`` where all lanes are right, else to ``elsewhere``."""
    b = arithmetic.b
    wrong = body.emit(f"xor {b} {right}, {arithmetic.every}")
    some = body.emit(f"call i1 @llvm.vector.reduce.or.v{arithmetic.lanes}i1({b} {wrong})")
    body.lines.append(f"  br i1 {some}, label %{elsewhere}, label %{then}")


class _Lines:
    """Instructions with names of their own."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.lines: list[str] = []

    def emit(self, instruction: str) -> str:
        self.lines.append(f"  %{self.prefix}{len(self.lines)} = {instruction}")
        return f"%{self.prefix}{len(self.lines) - 1}"
