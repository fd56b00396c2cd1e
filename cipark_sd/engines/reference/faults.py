"""What pysimlin is known to compute wrongly, which variables it concerns, and where PySD stops.

What PySD gets wrong cannot show: its text (:mod:`cipark_sd.engines.reference.text`) says it in another way.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cipark_sd.errors import RunFailed
from cipark_sd.model.expr import Call, walk
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Variable, expressions


@dataclass(frozen=True)
class Fault:
    """A fault of PySD 3.14.3 or of pysimlin: ``concerns`` says whether it can show in a variable's own equation."""

    id: str
    why: str
    concerns: Callable[[Variable], bool]
    package: str = "PySD"


def _calls_any(*functions: str) -> Callable[[Variable], bool]:
    return lambda variable: any(
        isinstance(part, Call) and part.function in functions for expr in expressions(variable) for part in walk(expr)
    )


#: Where PySD 3.14.3 stops, by what it says then; a model of the tests' corpus pins each.
_STOPS: Mapping[str, Fault] = {
    "division by zero": Fault(
        "division_by_zero",
        "A scalar division by zero stops the run; an array gives inf, as IEEE arithmetic and here every division does.",
        lambda variable: False,
    ),
    "no real power": Fault(
        "root_of_a_negative",
        "A broken power of a negative number is complex in Python; the real power has no value.",
        lambda variable: False,
    ),
}
#: Of pysimlin 0.8.5, each against Vensim's rule; a test pins that it still has them.
SIMLIN_FAULTS: tuple[Fault, ...] = (
    Fault(
        "simlin_integer",
        "INTEGER and MODULO of a negative number go down; Vensim's go towards zero.",
        _calls_any("integer", "modulo"),
        "pysimlin",
    ),
    Fault(
        "simlin_pulse",
        "A pulse that starts between two steps begins at the step after; Vensim's begins at the nearest.",
        _calls_any("pulse", "pulse_train"),
        "pysimlin",
    ),
)


def faults_of(model: Model, faults: Sequence[Fault]) -> dict[Fault, tuple[Variable, ...]]:
    """The faults that can show in a model, with the variables in whose equations they can."""
    by_fault = {fault: tuple(filter(fault.concerns, model.variables)) for fault in faults}
    return {fault: variables for fault, variables in by_fault.items() if variables}


def fault_of_failure(failure: RunFailed) -> Fault | None:
    """The fault for which PySD stopped, if it is a known one."""
    return next((fault for words, fault in _STOPS.items() if words in str(failure)), None)
