"""What PySD and pysimlin are known to compute wrongly, and which variables of a model it concerns.

``repaired`` faults are mended by :mod:`cipark_sd.engines.reference.repairs`, or cannot happen to neutral labels, so
the reference engine is right there; the others show in its numbers. The corpus of the tests has a model for each, which
pins that PySD still has the fault.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cipark_sd.errors import RunFailed
from cipark_sd.model.expr import (
    Apply,
    Binary,
    Call,
    Const,
    Expr,
    Grid,
    Interpolation,
    Neg,
    Ref,
    Table,
    references,
    walk,
)
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Constant, Piece, Stock, Variable, expressions


@dataclass(frozen=True)
class Fault:
    """A fault of PySD 3.14.3 or of pysimlin: ``concerns`` says whether it can show in a variable's own equation."""

    id: str
    why: str
    repaired: bool
    concerns: Callable[[Model, Variable], bool]
    package: str = "PySD"


def _parts(variable: Variable) -> Iterator[Expr]:
    for expr in expressions(variable):
        yield from walk(expr)


def _calls(variable: Variable, *functions: str) -> Iterator[Call]:
    return (part for part in _parts(variable) if isinstance(part, Call) and part.function in functions)


def _whole(model: Model, expr: Expr) -> bool:
    """Whether an expression is a whole number, which PySD may keep as an integer."""
    match expr:
        case Const(value):
            return value == int(value)
        case Grid(values):
            return all(value == int(value) for value in values)
        case Neg(operand):
            return _whole(model, operand)
        case Ref(name) if isinstance(constant := model.by_name.get(name), Constant):
            return all(isinstance(piece, Piece) and _whole(model, piece.expr) for piece in constant.pieces)
        case _:
            return False


def _negated(model: Model, variable: Variable) -> bool:
    return any(
        isinstance(p, Neg) and isinstance(p.operand, Binary) and p.operand.operator in "*/" for p in _parts(variable)
    )


def _mixed_logic(model: Model, variable: Variable) -> bool:
    opposite = {"and": "or", "or": "and"}
    return any(
        isinstance(part, Binary)
        and any(
            isinstance(side, Binary) and side.operator == opposite.get(part.operator)
            for side in (part.left, part.right)
        )
        for part in _parts(variable)
    )


def _smooth_from_whole(order: float) -> Callable[[Model, Variable], bool]:
    def concerns(model: Model, variable: Variable) -> bool:
        return any(
            len(call.arguments) == 4 and call.arguments[3] == Const(order) and _whole(model, call.arguments[2])
            for call in _calls(variable, "smooth")
        )

    return concerns


def _varying_delay(model: Model, variable: Variable) -> bool:
    return any(
        len(call.arguments) > 1
        and not isinstance(call.arguments[1], Const)
        and not (isinstance(call.arguments[1], Ref) and isinstance(model.by_name.get(call.arguments[1].name), Constant))
        for call in _calls(variable, "delay", "delay_n")
    )


def _calls_any(*functions: str) -> Callable[[Model, Variable], bool]:
    return lambda model, variable: any(True for _ in _calls(variable, *functions))


def _runs_with(*methods: str) -> Callable[[Model, Variable], bool]:
    return lambda model, variable: isinstance(variable, Stock) and model.time.method in methods


def _inline_table(interpolation: Interpolation) -> Callable[[Model, Variable], bool]:
    return lambda model, variable: any(
        isinstance(part, Apply) and isinstance(part.table, Table) and part.table.interpolation == interpolation
        for part in _parts(variable)
    )


def _of_a_limiting_stock(model: Model, variable: Variable) -> bool:
    """Whether a variable is a non-negative stock or one of its flows."""
    limiting = {stock.name: stock.pieces for stock in model.stocks if any(p.non_negative for p in stock.pieces)}
    flows = {ref.name for pieces in limiting.values() for piece in pieces for ref in references(piece.flow)}
    return variable.name in limiting or variable.name in flows


def _never(model: Model, variable: Variable) -> bool:
    return False


_FIXED_INPUT = "The input is read after states of earlier names have moved on, unless it is a saved column."
_METHOD = "The integration method that the file asks for is ignored: it is always Euler's."
_INSIDE = "A graphical function inside a variable is joined by lines and holds its ends, whatever its type says."

FAULTS: tuple[Fault, ...] = (
    Fault(
        "negated_quotient",
        "The parentheses of a negated product or quotient to the right of / and ^ are lost: "
        "8 / -(3 / 4) is -8 / 3 / 4.",
        True,
        _negated,
    ),
    Fault(
        "logic_and_before_or",
        "ANDs and ORs are grouped from the right, so a AND b OR c means a AND (b OR c); "
        "AND binds more closely in Vensim.",
        True,
        _mixed_logic,
    ),
    Fault(
        "smoothi",
        "An initial value that is a whole number makes an integer array, which truncates the first step's input.",
        True,
        _smooth_from_whole(1.0),
    ),
    Fault("smooth3i", "As SMOOTHI: a whole initial value makes an integer array.", True, _smooth_from_whole(3.0)),
    Fault(
        "delay_n_integer_time",
        "A delay time that starts as a whole number makes an integer array, which truncates every later delay time.",
        True,
        _varying_delay,
    ),
    Fault(
        "delay_order_reduction_subscripted",
        "The order is reduced by the shortest delay time of all elements; "
        "in Vensim each element is an equation of its own.",
        False,
        lambda model, variable: bool(variable.dims) and any(True for _ in _calls(variable, "delay_n")),
    ),
    Fault(
        "delay_short",
        "DELAY1 and DELAY3 lose stages when the delay time is short; Vensim reduces the order of DELAY N alone.",
        True,
        _calls_any("delay"),
    ),
    Fault(
        "pulse_function",
        "A pulse begins at the first instant after its start, not at the nearest, and one of width 0 never.",
        True,
        _calls_any("pulse"),
    ),
    Fault(
        "pulse_train",
        "As PULSE; and the train leaves out its end, which belongs to it.",
        True,
        _calls_any("pulse_train"),
    ),
    Fault(
        "xmile_rounding",
        "INT and MOD are Vensim's, which go towards zero; XMILE's go down.",
        True,
        _calls_any("floor", "floored_modulo"),
    ),
    Fault(
        "xmile_non_negative",
        "A non-negative stock is held at zero while its outflows go on, so that material appears downstream.",
        False,
        _of_a_limiting_stock,
    ),
    Fault(
        "xmile_pulse_between",
        "A pulse of XMILE between two time points comes only where the nearest is the one after it.",
        False,
        _calls_any("xpulse", "xpulse_train"),
    ),
    Fault("delay_fixed_of_a_delay", _FIXED_INPUT, True, _calls_any("delay_fixed")),
    Fault(
        "sample_if_true_of_an_early_stock",
        "Condition and input are read after stocks of earlier names have moved on, unless they are saved columns.",
        True,
        _calls_any("sample_if_true"),
    ),
    Fault("runge_kutta", _METHOD, False, _runs_with("rk4", "rk4_auto")),
    Fault("runge_kutta_second_order", _METHOD, False, _runs_with("rk2", "rk2_auto")),
    Fault(
        "division_by_zero",
        "A scalar division by zero stops the run; an array gives inf, as IEEE arithmetic and here every division does.",
        False,
        _never,
    ),
    Fault(
        "root_of_a_negative",
        "A broken power of a negative number is complex in Python; the real power has no value.",
        False,
        _never,
    ),
    Fault(
        "variable_called_value",
        "The translation uses a local name 'value', which hides a variable of that name "
        "in an equation with several parts. Under a neutral label it hides nothing.",
        True,
        lambda model, variable: variable.name == "value",
    ),
    Fault("xmile_lookup_discrete", _INSIDE, False, _inline_table("hold_backward")),
    Fault(
        "allocate_profiles",
        "The price is searched for to some eight digits.",
        False,
        _calls_any("allocate_available"),
    ),
    Fault("xmile_lookup_extrapolate", _INSIDE, False, _inline_table("extrapolate")),
    Fault(
        "sum_over_missing_numbers",
        "SUM, PROD, VMIN and VMAX pass over what is not a number, so that what follows from it looks sound.",
        False,
        _calls_any("sum", "prod", "vmin", "vmax"),
    ),
    Fault("data_between_times", "GET DATA BETWEEN TIMES has no translation.", False, _calls_any("data_between")),
)
#: Of pysimlin 0.8.5, each against Vensim's rule; a test pins that it still has them.
SIMLIN_FAULTS: tuple[Fault, ...] = (
    Fault(
        "simlin_integer",
        "INTEGER and MODULO of a negative number go down; Vensim's go towards zero.",
        False,
        _calls_any("integer", "modulo"),
        "pysimlin",
    ),
    Fault(
        "simlin_pulse",
        "A pulse that starts between two steps begins at the step after; Vensim's begins at the nearest.",
        False,
        _calls_any("pulse", "pulse_train"),
        "pysimlin",
    ),
)
_BY_ID: Mapping[str, Fault] = {fault.id: fault for fault in FAULTS}


def faults_of(model: Model, faults: Sequence[Fault] = FAULTS) -> dict[Fault, tuple[Variable, ...]]:
    """The faults that can show in a model, with the variables in whose equations they can."""
    by_fault = {
        fault: tuple(variable for variable in model.variables if fault.concerns(model, variable)) for fault in faults
    }
    return {fault: variables for fault, variables in by_fault.items() if variables}


def fault_of_failure(model: Model, failure: RunFailed) -> Fault | None:
    """The fault for which PySD stopped, if it is a known one."""
    if "division by zero" in str(failure):
        return _BY_ID["division_by_zero"]
    if "no real power" in str(failure):
        return _BY_ID["root_of_a_negative"]
    if "get_data_between_times" in str(failure):
        return _BY_ID["data_between_times"]
    return None
