"""Which methods a request comes to, and what of it contradicts itself."""

from collections.abc import Iterator

from cipark_sd.commands.sensitivity.methods import registry
from cipark_sd.commands.sensitivity.methods.base import Method
from cipark_sd.commands.sensitivity.request import Request
from cipark_sd.errors import CiparkError, InvalidValue
from cipark_sd.sensitivities.designs import check_power_of_two
from cipark_sd.sensitivities.question import Question

_WHERE = "sensitivity"


def takes_fit(request: Request) -> bool:
    """Whether draws of a fit are taken up where there are any: nothing that is asked for needs independence."""
    return request.draws is None and all(method in _joint() for method in request.methods)


def contradictions(request: Request) -> Iterator[CiparkError]:
    """Options that cannot be meant together, or not at all."""
    try:
        check_power_of_two(request.rows, where="--rows")
    except CiparkError as problem:
        yield problem
    wrong = [method for method in request.methods if method not in _joint()]
    if request.draws is not None and not request.prior and wrong:
        expected = f"{' or '.join(_joint())}: the others need constants that do not depend on each other"
        yield InvalidValue("--method", wrong[0], expected, where=f"{_WHERE} with --draws")


def contradictions_with_question(request: Request, question: Question) -> Iterator[CiparkError]:
    """Options that do not go with what is asked about."""
    if request.output is not None and str(request.output) in question.model and not request.output.exists():
        expected = f"the output folder; --variables {request.output} names an output to analyse"
        yield InvalidValue("--output", str(request.output), expected, where=_WHERE)
    first, last = question.model.time.initial, question.model.time.final
    for moment in question.moments:
        if not first <= moment.time <= last:
            yield InvalidValue("the time", moment.time, f"one of the run, {first:g} to {last:g}", where="--at")


def chosen_methods(request: Request, *, joint: bool) -> tuple[Method, ...]:
    """In the order of the page; ``joint`` where constants depend on each other."""
    if request.methods:
        return tuple(method for method in registry.METHODS if method.name in request.methods)
    return tuple(method for method in registry.METHODS if (method.default_joint if joint else method.default))


def _joint() -> tuple[str, ...]:
    """Methods that go with constants which depend on each other."""
    return tuple(method.name for method in registry.METHODS if method.joint)
