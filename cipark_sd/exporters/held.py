"""What one language computes by whole steps and the other does not: it is refused where the numbers would be others."""

from collections.abc import Iterator

from cipark_sd.errors import UnsupportedFeature
from cipark_sd.model.expr import Call, Const, Expr, Grid, Ref, Table, walk
from cipark_sd.model.model import Format, Model
from cipark_sd.model.variables import Constant, ExternalPiece, Piece, Series, Variable, expressions

_STAGED = ("delay", "delay_n", "smooth", "smooth_n")
#: Orders of which both languages have functions of their equations.
_FIXED = (Const(1.0), Const(3.0))


def held_otherwise(model: Model, target: Format) -> Iterator[UnsupportedFeature]:
    """One error for each variable with data or a call that would run otherwise once written.

    Source: Vensim's manual, rungekutta.html, fn_delay_n and fn_smooth_n; data are written as tables over Time.
    """
    if target == "xmile" and not model.of_vensim:
        return
    translated = model.of_vensim != (target == "vensim")
    functions = {*_STAGED, *(("ramp", "pulse_train") if model.of_vensim else ())} if translated else set[str]()
    for variable in model.variables:
        problems: list[tuple[str, str]] = []
        if translated and (call := _of_other_stages(variable, model)):
            way = "give it a constant time of more steps than stages, or write the stages as stocks"
            problems.append((f"{call}, of which Vensim has other stages", way))
        if model.time.method != "euler" and (feature := _held(variable, functions, data=model.of_vensim)):
            way = "let the model run by Euler's method"
            problems.append((f"{feature} under Runge-Kutta, over whose steps Vensim holds it", way))
        for text, way in problems:
            yield UnsupportedFeature(text, variable=variable.label, where=model.name, alternative=way)


def _calls(variable: Variable) -> Iterator[Call]:
    """The calls in a variable's equations; of delays and smooths those that Vensim has as DELAY N and SMOOTH N."""
    for part in (part for expr in expressions(variable) for part in walk(expr)):
        if isinstance(part, Call) and not (part.function in ("delay", "smooth") and part.arguments[3] in _FIXED):
            yield part


def _of_other_stages(variable: Variable, model: Model) -> str:
    """A call whose time or order changes, or whose time has no step for each stage."""
    for call in _calls(variable):
        if call.function in _STAGED:
            times, orders = (_numbers(call.arguments[place], model) for place in (1, 3))
            if not times or not orders:
                return f"{_title(call)} with a time or an order that changes"
            if max(orders) * model.time.step > min(times):
                return f"{_title(call)} with more stages than steps in its time"
    return ""


def _numbers(expr: Expr, model: Model) -> list[float]:
    """All that an expression may be, none where it may change in the run."""
    match expr:
        case Const(value):
            return [value]
        case Ref(name) if isinstance(constant := model.by_name.get(name), Constant):
            literals = [piece.expr if isinstance(piece, Piece) else None for piece in constant.pieces]
            values = [e.values if isinstance(e, Grid) else (e.value,) for e in literals if isinstance(e, Grid | Const)]
            return [number for row in values for number in row] if len(values) == len(literals) else []
        case _:
            return []


def _title(call: Call) -> str:
    name = f"{call.function}_n" if call.function in ("delay", "smooth") else call.function
    return name.replace("_", " ").upper()


def _held(variable: Variable, functions: set[str], *, data: bool) -> str:
    match variable:
        case Series(pieces=pieces):
            filled = any(isinstance(piece, ExternalPiece) and isinstance(piece.source, Table) for piece in pieces)
            return "data" if data and filled else ""
        case _:
            return next((_title(call) for call in _calls(variable) if call.function in functions), "")
