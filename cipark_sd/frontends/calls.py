"""Calls of functions that are something else in the model's own terms: their arguments counted, then rebuilt."""

from collections.abc import Callable, Mapping, Sequence

from cipark_sd.frontends.climbing import SyntaxProblem
from cipark_sd.model.expr import Call, Const, Expr

Meaning = Callable[[Sequence[Expr]], Expr]


class WrongCall(Exception):
    """A call with the wrong number of arguments."""


def meant(meanings: Mapping[str, Meaning], function: str, arguments: tuple[Expr, ...], at: int) -> Expr:
    """A call in the model's own terms; a function that is not in ``meanings`` keeps its name and its arguments.

    Raises
    ------
    SyntaxProblem
        For a wrong number of arguments, at ``at``.
    """
    meaning = meanings.get(function)
    if meaning is None:
        return Call(function, arguments)
    try:
        return meaning(arguments)
    except WrongCall as problem:
        raise SyntaxProblem(at, str(problem)) from None


def rebuilt(spelling: str, parameters: str, build: Callable[..., Expr]) -> Meaning:
    """A function of exactly these parameters."""
    expected = parameters.split(", ")

    def meaning(arguments: Sequence[Expr]) -> Expr:
        if len(arguments) != len(expected):
            raise WrongCall(f"{spelling}({parameters}) takes {len(expected)} arguments, here are {len(arguments)}")
        return build(*arguments)

    return meaning


def counted(name: str, spelling: str, parameters: str) -> Meaning:
    """The same function, its arguments counted."""
    return rebuilt(spelling, parameters, lambda *arguments: Call(name, arguments))


def of_order(function: str, order: float) -> Callable[..., Expr]:
    """A delay or smooth of fixed order that starts from a value of its own, or from its input."""

    def build(value: Expr, time: Expr, initial: Expr | None = None) -> Expr:
        return Call(function, (value, time, value if initial is None else initial, Const(order)))

    return build
