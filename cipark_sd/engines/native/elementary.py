"""Vectors of lanes as LLVM assembly writes them, and the recipes of :mod:`cipark_sd.compiler.rarer` on these."""

import struct
from collections.abc import Callable

from cipark_sd.compiler.elementary import Operators, Value
from cipark_sd.compiler.primitives import RECIPES
from cipark_sd.compiler.rarer import Recipes

#: Runs that the native engine has in a vector.
LANES = 8
#: The instruction of each operator on doubles and truths; those of integers have its name.
_INSTRUCTIONS = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv", "lt": "fcmp olt", "and": "and", "or": "or"}
#: Up to so many runs are computed one by one, which takes less than a vector of eight.
FEW = 2


def number(value: float) -> str:
    """A double, to the bit."""
    return "0x" + struct.pack(">d", value).hex().upper()


class Vectors:
    """The types of vectors of so many lanes, ``v`` of doubles, ``i`` of integers and ``b`` of truths."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.v, self.i, self.b = (f"<{lanes} x {kind}>" for kind in ("double", "i64", "i1"))

    def splat(self, value: float) -> str:
        """The same double in every lane."""
        return "<" + ", ".join([f"double {number(value)}"] * self.lanes) + ">"

    def splat_int(self, value: int) -> str:
        """The same integer in every lane."""
        return "<" + ", ".join([f"i64 {value}"] * self.lanes) + ">"

    @property
    def every(self) -> str:
        """True in every lane."""
        return "<" + ", ".join(["i1 true"] * self.lanes) + ">"


class VectorArithmetic(Vectors):
    """What registers have no operator for, as instructions of one function, whose registers ``prefix`` names."""

    def __init__(self, prefix: str, lanes: int, array: Callable[[tuple[float, ...]], str], fused: bool) -> None:
        super().__init__(lanes)
        self.prefix, self.array, self.fused = prefix, array, fused
        self.lines: list[str] = []

    def emit(self, instruction: str) -> str:
        """Add an instruction with a result and return the result's name."""
        self.lines.append(f"  %{self.prefix}{len(self.lines)} = {instruction}")
        return f"%{self.prefix}{len(self.lines) - 1}"

    def everywhere(self, truth: "Register", then: str, elsewhere: str) -> None:
        """Go to ``then`` where it is true in all lanes, else to ``elsewhere``."""
        wrong = self.emit(f"xor {self.b} {truth.name}, {self.every}")
        some = self.emit(f"call i1 @llvm.vector.reduce.or.v{self.lanes}i1({self.b} {wrong})")
        self.lines.append(f"  br i1 {some}, label %{elsewhere}, label %{then}")

    def made(self, instruction: str, kind: str) -> "Register":
        """The result of an instruction."""
        return Register(self, self.emit(instruction), kind)

    def number(self, value: float) -> "Register":
        """The same number in every lane."""
        return Register(self, self.splat(value), "double")

    def text(self, value: Value, kind: str = "double") -> str:
        """A register's name; a number in every lane."""
        if isinstance(value, Register):
            return value.name
        return self.splat(value) if kind == "double" else self.splat_int(value)

    def called(self, name: str, *values: Value) -> "Register":
        """An intrinsic of LLVM's."""
        arguments = ", ".join(f"{self.v} {self.text(value)}" for value in values)
        return self.made(f"call {self.v} @llvm.{name}.v{self.lanes}f64({arguments})", "double")

    def compared(self, how: str, a: Value, b: Value) -> "Register":
        """A comparison that LLVM has a word for."""
        return self.made(f"fcmp {how} {self.v} {self.text(a)}, {self.text(b)}", "i1")

    def equal(self, a: Value, b: Value) -> "Register":
        return self.compared("oeq", a, b)

    def rint(self, a: Value) -> "Register":
        return self.called("rint", a)

    def sqrt(self, a: Value) -> "Register":
        return self.called("sqrt", a)

    def choose(self, condition: Value, a: Value, b: Value) -> "Register":
        return self.made(
            f"select {self.b} {condition.name}, {self.v} {self.text(a)}, {self.v} {self.text(b)}", "double"
        )

    def bits(self, a: Value) -> "Register":
        return self.made(f"bitcast {self.v} {self.text(a)} to {self.i}", "i64")

    def double(self, a: Value) -> "Register":
        return self.made(f"bitcast {self.i} {a.name} to {self.v}", "double")

    def whole(self, a: Value) -> "Register":
        return self.made(f"sitofp {self.i} {a.name} to {self.v}", "double")

    def truncated(self, a: Value) -> "Register":
        return self.made(f"fptosi {self.v} {self.text(a)} to {self.i}", "i64")

    def entry(self, numbers: tuple[float, ...], place: Value) -> "Register":
        pointers = self.emit(f"getelementptr double, ptr {self.array(numbers)}, {self.i} {place.name}")
        arguments = f"<{self.lanes} x ptr> {pointers}, i32 8, {self.b} {self.every}, {self.v} zeroinitializer"
        gather = f"@llvm.masked.gather.v{self.lanes}f64.v{self.lanes}p0"
        return self.made(f"call {self.v} {gather}({arguments})", "double")

    def lacking(self, a: Value, b: Value, product: Value) -> "Register | None":
        if not self.fused:
            return None
        return self.called("fma", a, b, self.made(f"fneg {self.v} {self.text(product)}", "double"))


class Register(Operators):
    """A vector that an instruction gave, by its name; ``kind`` is LLVM's of its elements."""

    def __init__(self, arithmetic: VectorArithmetic, name: str, kind: str) -> None:
        self.arithmetic, self.name, self.kind = arithmetic, name, kind

    def __str__(self) -> str:
        return self.name

    def operation(self, name: str, *operands: Value) -> "Register":
        """One of the operators, as an instruction on vectors of this kind."""
        o, integer = self.arithmetic, self.kind == "i64"
        a, b = (o.text(operand, self.kind) for operand in operands)
        instruction = name if integer else _INSTRUCTIONS[name]
        return o.made(f"{instruction} <{o.lanes} x {self.kind}> {a}, {b}", "i1" if name == "lt" else self.kind)

    def __lshift__(self, places: int) -> "Register":
        return self.operation("shl", self, places)

    def __rshift__(self, places: int) -> "Register":
        return self.operation("ashr", self, places)


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
    name : str
        Of :data:`~cipark_sd.compiler.primitives.RECIPES`.
    attributes : str
        LLVM's, of the short way.
    array : callable
        Gives the name of an array of numbers of the module.
    skips : bool
        Whether a power is skipped where all lanes have a base of 1 or 0. Of a model whose switches and steps hold bases
        there this takes a fifth of the time; one full of other powers takes a fifth longer, since those no longer
        share what they have in common.
    fused : bool
        Whether the processor has fused multiplication.

    Returns
    -------
    str
        LLVM assembly.
    """
    fast, slow = (VectorArithmetic(prefix, lanes, array, fused) for prefix in "fs")
    v = fast.v
    names = [f"%a{i}" for i in range(RECIPES[name])]
    arguments = ", ".join(f"{v} {a}" for a in names)
    recipes = Recipes(fast)
    registers = [Register(fast, argument, "double") for argument in names]
    if not hasattr(recipes, f"plain_{name}"):
        value = getattr(recipes, name)(*registers)
        head = f"define internal {v} @vector_{name}({arguments}) noinline #0 {{"
        return "\n".join([head, *fast.lines, f"  ret {v} {value.name}", "}"])
    ways = ""
    if skips and hasattr(recipes, f"trivial_{name}"):
        known, sure = getattr(recipes, f"trivial_{name}")(*registers)
        fast.everywhere(sure, "ordinary", "usual")
        fast.lines.append("usual:")
        ways = f"[ {known.name}, %entry ], "
    value, right = getattr(recipes, f"plain_{name}")(*registers)
    fast.everywhere(right, "ordinary", "special")
    ways += f"[ {value.name}, %{'usual' if ways else 'entry'} ], [ %long, %special ]"
    long_value = getattr(Recipes(slow), name)(*(Register(slow, argument, "double") for argument in names))
    # the long way is a function of its own, which nothing is inlined from
    long_head = f"define internal {v} @long_{name}({arguments}) noinline cold #0 {{"
    short_head = f"define internal {v} @vector_{name}({arguments}) {attributes} {{"
    return "\n".join(
        [
            *(long_head, *slow.lines, f"  ret {v} {long_value.name}", "}"),
            *(short_head, "entry:", *fast.lines, "special:"),
            *(f"  %long = call {v} @long_{name}({arguments})", "  br label %ordinary", "ordinary:"),
            *(f"  %result = phi {v} {ways}", f"  ret {v} %result", "}"),
        ]
    )
