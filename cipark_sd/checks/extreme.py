"""Extreme conditions: each constant at the ends of its sensible range, one at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from cipark_sd.errors import InvalidValue, raise_all
from cipark_sd.model.expr import Const, Grid
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Constant, Piece
from cipark_sd.scenarios import Scenario

#: What stands in for an open upper end: ten times the value.
FAR = 10.0


@dataclass(frozen=True, slots=True)
class Condition:
    """One constant at one value, all of its elements alike."""

    name: str
    scenario: Scenario


def conditions(model: Model, names: tuple[str, ...] | Literal[True]) -> tuple[Condition, ...]:
    """The runs to make: for the named constants, or for all that have limits.

    The lower end is the lower limit, or 0 where there is none and the constant is positive; the upper end is the upper
    limit, or ten times the largest value where there is none. A value that the constant has anyway is left out.

    Raises
    ------
    InvalidValue
        When a name is not that of a constant.
    """
    if names is True:
        chosen = [constant for constant in model.constants if constant.limits != (None, None)]
    else:
        variables = [model[name] for name in names]
        chosen = [variable for variable in variables if isinstance(variable, Constant)]
        raise_all(
            model.name,
            [
                InvalidValue("extreme", variable.label, "constants only", where=model.name)
                for variable in variables
                if not isinstance(variable, Constant)
            ],
        )
    return tuple(condition for constant in chosen for condition in _ends(model, constant))


def _ends(model: Model, constant: Constant) -> Iterator[Condition]:
    size = model.n_elements(constant)
    values = _values(constant)
    lower, upper = constant.limits
    if lower is None and values and min(values) > 0:
        lower = 0.0
    if upper is None and values and max(values) > 0:
        upper = FAR * max(values)
    for end in dict.fromkeys((lower, upper)):
        if end is None or set(values) == {end}:
            continue
        name = f"{constant.label} = {end:g}"
        yield Condition(name, Scenario(name, {constant.name: end if not constant.dims else (end,) * size}))


def _values(constant: Constant) -> tuple[float, ...]:
    """The numbers that stand in the model file."""
    numbers: list[float] = []
    for piece in constant.pieces:
        match piece:
            case Piece(Const(value)):
                numbers.append(value)
            case Piece(Grid(values)):
                numbers.extend(values)
            case _:
                pass
    return tuple(numbers)
