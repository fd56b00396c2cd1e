"""What is asked before lowering: what an expression needs first, and which calls nothing can run."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from cipark_sd.base.errors import CiparkError, EquationError, UnknownName, raise_all
from cipark_sd.compiler.allocation import FIXED, MOST_CLAIMANTS, SHAPES
from cipark_sd.compiler.functions.registry import FUNCTIONS, remembers
from cipark_sd.compiler.functions.row import fits, numbers_of
from cipark_sd.compiler.graph import Term
from cipark_sd.model.expr import Binary, Call, Expr, Ref, children, walk
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Variable, expressions

Reading = Literal["start", "run"]
#: A variable in one of its readings.
Demand = tuple[str, Reading]


class Pending(Exception):
    """An expression met variables that have to be lowered first, in the order in which it needs them."""

    def __init__(self, demands: Sequence[Demand]) -> None:
        self.demands = tuple(demands)


def needed_at_once(expr: Expr) -> Iterator[str]:
    """The names that an expression needs to have a value now, each once, in reading order.

    What is inside a function with memory is left out: it may be needed later only, as the input of a delay.
    """
    names: set[str] = set()
    pending = [expr]
    while pending:
        part = pending.pop()
        # the two that nearly all of an equation is made of go first
        if isinstance(part, Binary):
            pending += (part.right, part.left)
        elif isinstance(part, Ref) and not part.subscripts:
            if part.name not in names:
                names.add(part.name)
                yield part.name
        elif not (isinstance(part, Call) and remembers(part.function)):
            pending += reversed(children(part))


def check_functions(model: Model) -> None:
    """Refuse functions that do not exist and wrong numbers of arguments, all at once.

    Functions of the languages that nothing here can run have been refused by the front end already.

    Raises
    ------
    UnknownName, EquationError, Problems
    """
    problems: dict[str, CiparkError] = {}
    for variable in model.variables:
        for equation in expressions(variable):
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


def variant_refused(function: str, a: Sequence[Term], at_start: Callable[[Term], float]) -> tuple[str, str] | None:
    """What to refuse of a call, after unrolling, whose variant has no meaning in primitives.

    Parameters
    ----------
    function : str
        By our name.
    a : sequence of Term
        The call's arguments.
    at_start : callable
        What a term is at the start of the model's own run.

    Returns
    -------
    tuple of str, or None
        The feature and the way round it; None where the call has a meaning.
    """
    match function:
        case "vector_select" if a[1].number not in (None, *range(11)) or a[2].number not in (None, *range(4)):
            return (
                "VECTOR SELECT with an action that is not a whole number from 0 to 10, or an error action beyond 3",
                "use one of these",
            )
        case "get_time_value" if a[0].number not in (0.0, 1.0) or a[2].number != 0.0:
            return "GET TIME VALUE of calendar or clock", "use Time and arithmetic"
        case "allocate_by_priority" | "allocate_available" if (a[1].number or 0) > MOST_CLAIMANTS:
            shown = function.upper().replace("_", " ")
            return f"{shown} among more than {MOST_CLAIMANTS}", "allocate to groups of them first"
        case "allocate_by_priority" if at_start(a[2]) == 0.0:
            # the manual has no sum for it, and a width that goes to 0 shares equal priorities in more than one way
            return "ALLOCATE BY PRIORITY of width 0", "give it a small width"
        case "find_market_price" if len(a) > 1 + 5 * MOST_CLAIMANTS:
            return f"FIND MARKET PRICE among more than {MOST_CLAIMANTS}", "find the price with a stock"
        case "demand_at_price" | "supply_at_price" | "find_market_price":
            if any(at_start(kind) not in (FIXED, *SHAPES) for kind in a[1 + (len(a) - 1) // 5 :: 4]):
                shown = function.upper().replace("_", " ")
                return f"{shown} with a priority profile of another kind than 0 to 4", "use one of these"
        case "allocate_available":
            claimants = int(a[1].number or 0)
            kinds = {at_start(kind) for kind in a[3 + claimants :: 4]}
            if kinds != {FIXED} and any(kind == kind and kind not in SHAPES for kind in kinds):
                return (
                    "ALLOCATE AVAILABLE with a priority profile of another kind than 1 to 4 (rectangular, triangular, "
                    "normal, exponential), or 0 for some claimants alone",
                    "use one of these",
                )
    return None
