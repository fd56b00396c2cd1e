"""The constants of a model that could be estimated: those that reach what was observed and have a scale."""

import re
from collections.abc import Collection, Iterable

from cipark_sd.model.expr import Binary, Call, Const, Ref, references, walk
from cipark_sd.model.model import Model
from cipark_sd.model.variables import expressions

#: Why a constant that is on or off is held.
SWITCH = "a switch"
_SWITCHES = frozenset({"switch", "sw", "flag", "toggle", "seed"})


def reaching(model: Model, names: Iterable[str]) -> frozenset[str]:
    """Canonical names of everything on which the variables depend, through stocks and their starts too."""
    macros = {
        ref.name for macro in model.macros for v in macro.variables for e in expressions(v) for ref in references(e)
    }
    reached: set[str] = set()
    waiting = [*names, *(name for name in macros if name in model.by_name)]
    while waiting:
        name = waiting.pop()
        variable = model.by_name.get(name)
        if name in reached or variable is None:
            continue
        reached.add(name)
        waiting += [ref.name for expr in expressions(variable) for ref in references(expr)]
    return frozenset(reached)


def without_scale(model: Model, name: str, value: float, units: str) -> str:
    """Why a constant is not a quantity that can be a little larger or smaller; nothing where it is one."""
    if value == 0:
        return "it is zero, which gives no scale to guess a prior from"
    if value in (0, 1) and _SWITCHES & set(re.split(r"[\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).casefold())):
        return SWITCH
    if model.time.units and units == model.time.units and 0 < model.time.initial <= value <= model.time.final:
        return "names a time point of the run"
    return ""


def exponents(model: Model) -> frozenset[str]:
    """Canonical names of what stands in an exponent."""
    parts = (part for variable in model.variables for expr in expressions(variable) for part in walk(expr))
    powers = [
        part.right if isinstance(part, Binary) else part.arguments[1]
        for part in parts
        if (isinstance(part, Binary) and part.operator == "^") or (isinstance(part, Call) and part.function == "power")
    ]
    return frozenset(ref.name for power in powers for ref in references(power))


def complements(model: Model) -> frozenset[str]:
    """Canonical names of what is taken from 1, as a share is whose rest goes elsewhere."""
    parts = (part for variable in model.variables for expr in expressions(variable) for part in walk(expr))
    return frozenset(
        part.right.name
        for part in parts
        if isinstance(part, Binary) and part.operator == "-" and part.left == Const(1.0) and isinstance(part.right, Ref)
    )


def chains(model: Model) -> dict[str, int]:
    """Canonical names of what a delay or smooth takes as its time, each with the most stages that share it.

    DELAY N and SMOOTH N of Vensim are left out: they have no more stages than steps fit into their time.
    """
    longest: dict[str, int] = {}
    for part in (part for variable in model.variables for expr in expressions(variable) for part in walk(expr)):
        if isinstance(part, Call) and part.function in ("delay", "smooth"):
            _, time, _, order = part.arguments
            if isinstance(time, Ref) and isinstance(order, Const):
                longest[time.name] = max(int(order.value), longest.get(time.name, 1))
    return longest


def beside_equations(model: Model, names: Collection[str]) -> dict[str, float]:
    """Numbers of single elements, by label, of variables of which other elements are computed; zeros left out.

    Such a variable is no constant, so that neither a scenario nor a fit can set the number.
    """
    numbers: dict[str, float] = {}
    for variable in model.auxiliaries:
        if variable.name not in names or not variable.dims:
            continue
        for piece in variable.pieces:
            if isinstance(piece.expr, Const) and piece.expr.value and piece.subscripts in model.elements(variable):
                numbers[model.label(variable.name, piece.subscripts)] = piece.expr.value
    return numbers
