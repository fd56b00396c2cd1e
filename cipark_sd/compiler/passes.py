"""What is checked before lowering."""

from collections.abc import Iterator

from cipark_sd.compiler.functions.registry import FUNCTIONS
from cipark_sd.compiler.functions.row import fits, numbers_of
from cipark_sd.errors import CiparkError, EquationError, UnknownName, raise_all
from cipark_sd.model.expr import Call, Expr, walk
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Auxiliary, Stock, Variable


def equations(variable: Variable) -> Iterator[Expr]:
    """The expressions of a variable: its equations, or its flows and initial values."""
    match variable:
        case Auxiliary(pieces=pieces):
            yield from (piece.expr for piece in pieces)
        case Stock(pieces=stocks):
            for stock in stocks:
                yield from (stock.flow, stock.initial)
        case _:
            return


def check_functions(model: Model) -> None:
    """Refuse functions that do not exist and wrong numbers of arguments, all at once.

    Functions of the languages that nothing here can run have been refused by the front end already.

    Raises
    ------
    UnknownName, EquationError, Problems
    """
    problems: dict[str, CiparkError] = {}
    for variable in model.variables:
        for equation in equations(variable):
            for part in walk(equation):
                if isinstance(part, Call):
                    problem = _problem(model, variable, part)
                    if problem is not None:
                        problems.setdefault(str(problem), problem)
    raise_all(model.name, list(problems.values()))


def _problem(model: Model, variable: Variable, call: Call) -> CiparkError | None:
    row = FUNCTIONS.get(call.function)
    if row is None:
        known = [*FUNCTIONS, *(macro.name for macro in model.macros)]
        where, instead = f"{model.name}, {variable.label!r}:", "write it with other functions, or as a macro"
        return UnknownName(call.function, known, kind="function", where=where, instead=instead)
    # those of arrays have their elements by now
    if row.arrays or fits(row.parameters, len(call.arguments)):
        return None
    count = " to ".join(map(str, numbers_of(row.parameters)))
    return EquationError(
        model.name, variable.label, f"gives {row.title} {len(call.arguments)} argument(s) instead of {count}"
    )
