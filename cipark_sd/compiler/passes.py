"""What is checked before lowering."""

from collections.abc import Iterator

from cipark_sd.compiler.functions import FUNCTIONS
from cipark_sd.compiler.statefuls import REDUCERS, STATEFULS
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
    shown = call.function.upper().replace("_", " ")
    if call.function in REDUCERS:
        return None
    if call.function in STATEFULS:
        least, most = STATEFULS[call.function], STATEFULS[call.function]
    elif call.function in FUNCTIONS:
        function = FUNCTIONS[call.function]
        least, most = function.least, function.most if function.most is not None else len(call.arguments)
    else:
        known = [*FUNCTIONS, *STATEFULS, *(macro.name for macro in model.macros)]
        where, instead = f"{model.name}, {variable.label!r}:", "write it with other functions, or as a macro"
        return UnknownName(call.function, known, kind="function", where=where, instead=instead)
    if least <= len(call.arguments) <= most:
        return None
    count = str(least) if least == most else f"{least} to {most}"
    return EquationError(
        model.name, variable.label, f"gives {shown} {len(call.arguments)} argument(s) instead of {count}"
    )
