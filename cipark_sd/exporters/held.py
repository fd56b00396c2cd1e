"""What one language holds over a step of Runge-Kutta and the other does not: it is refused."""

from collections.abc import Iterator

from cipark_sd.errors import UnsupportedFeature
from cipark_sd.model.expr import Call, Table, walk
from cipark_sd.model.model import Format, Model
from cipark_sd.model.variables import ExternalPiece, Series, Variable, expressions


def held_otherwise(model: Model, target: Format) -> Iterator[UnsupportedFeature]:
    """One error for each variable with data or a call that would run otherwise once written.

    Source: Vensim's manual, rungekutta.html and fn_smooth_n; data are written as tables over Time.
    """
    if model.time.method == "euler" or (target == "xmile" and not model.of_vensim):
        return
    other = model.of_vensim != (target == "vensim")
    functions = {"delay_n", "smooth_n", *(("ramp", "pulse_train") if model.of_vensim else ())} if other else set[str]()
    for variable in model.variables:
        if found := _held(variable, functions, data=model.of_vensim):
            yield UnsupportedFeature(
                f"{found} under Runge-Kutta, over whose steps Vensim holds it",
                variable=variable.label,
                where=model.name,
                alternative="let the model run by Euler's method",
            )


def _held(variable: Variable, functions: set[str], *, data: bool) -> str:
    match variable:
        case Series(pieces=pieces):
            filled = any(isinstance(piece, ExternalPiece) and isinstance(piece.source, Table) for piece in pieces)
            return "data" if data and filled else ""
        case _:
            parts = (part for expr in expressions(variable) for part in walk(expr))
            found = (part.function for part in parts if isinstance(part, Call) and part.function in functions)
            return next(found, "").replace("_", " ").upper()
