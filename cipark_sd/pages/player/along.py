"""What moves with a lever beside itself: dates of other events that the model computes from it.

A lever that is a date may shift other events, as in ``STEP(1, Opening Date + Shift)`` where ``Shift`` is computed from
the lever. A reader who moves one event would not expect that, so the page names these dates.
"""

from collections.abc import Iterator, Sequence

from cipark_sd.analysis.experiments.definition import Lever
from cipark_sd.base.naming import base_key
from cipark_sd.data.scenarios import Scenario
from cipark_sd.engines.plan import missing_as_nan
from cipark_sd.model.expr import Binary, Call, Expr, Ref, children, references, walk
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Auxiliary, Constant, Lookup, Variable, expressions
from cipark_sd.simulations.ensembles import ensemble

#: Where each function of the language takes times at which something happens: positions of its arguments.
TIMES = {"step": (1,), "ramp": (1, 2), "xramp": (1, 2), "pulse": (0,), "pulse_train": (0, 3), "xpulse": (0,)}
TIMES |= {"xpulse_train": (0,)}
_COMPARES = ("<", "<=", ">", ">=", "=", "<>")


def moved_along(model: Model, levers: Sequence[Lever], scenario: Scenario) -> list[tuple[str, ...]]:
    """For each lever the labels of the dates that move with it, in the order of the model.

    A date counts where some variable in between, which depends on constants alone, differs between the two ends of the
    lever in runs of the model: a shift that is switched off moves nothing.

    Raises
    ------
    CiparkError
        As :func:`cipark_sd.simulations.ensembles.ensemble`.
    """
    static = _static(model)
    bases = (frozenset(base_key(name) for name in lever.names) for lever in levers)
    between = [_between(model, static, names) for names in bases]
    if not any(between):
        return [() for _ in levers]
    ends = [Scenario("", dict.fromkeys(lever.names, end)) for lever in levers for end in (lever.low, lever.high)]
    save = tuple(dict.fromkeys(name for names in between for name in names))
    runs = ensemble(model, ends, save=save, scenario=scenario, engine="native", failures="leave")
    values = {name: missing_as_nan(runs[name].to_numpy()).reshape(len(ends), -1) for name in save}
    dates_by_lever = []
    for place, names in enumerate(between):
        moved = {name for name in names if (values[name][2 * place] != values[name][2 * place + 1]).any()}
        dates = [label for variable in model.variables for label in _dates(model, variable, moved)]
        dates_by_lever.append(tuple(dict.fromkeys(dates)))
    return dates_by_lever


def _static(model: Model) -> dict[str, frozenset[str]]:
    """By auxiliary that depends on constants alone, the names in its equations."""
    used = {
        variable.name: frozenset(ref.name for expr in expressions(variable) for ref in references(expr))
        for variable in model.variables
        if isinstance(variable, Auxiliary)
        and not any(
            isinstance(part, Call) and part.function in TIMES for expr in expressions(variable) for part in walk(expr)
        )
    }
    fixed = {variable.name for variable in model.variables if isinstance(variable, Constant | Lookup)}
    names = {*model.by_name, "time"}
    while True:
        known = fixed | used.keys()
        left = {name: refs for name, refs in used.items() if (refs & names) <= known}
        if len(left) == len(used):
            return used
        used = left


def _between(model: Model, static: dict[str, frozenset[str]], lever: frozenset[str]) -> tuple[str, ...]:
    """The static auxiliaries that are computed from a lever, directly or not."""
    reached: set[str] = set()
    while True:
        reached_now = {name for name, refs in static.items() if refs & (lever | reached)} - reached
        if not reached_now:
            return tuple(variable.name for variable in model.variables if variable.name in reached)
        reached |= reached_now


def _dates(model: Model, variable: Variable, moved: set[str]) -> Iterator[str]:
    """Labels of the dates in the equations of a variable that one of ``moved`` shifts; else the variable's own."""
    if isinstance(variable, Lookup) or not moved:
        return
    for time in (time for expr in expressions(variable) for time in _times(expr)):
        if any(ref.name in moved for ref in references(time)):
            shifted = [name for name in _shifted(time, moved) if name in model.by_name]
            yield from (model.by_name[name].label for name in shifted or [variable.name])


def _times(expr: Expr) -> Iterator[Expr]:
    """The times at which something happens in an equation."""
    for part in walk(expr):
        match part:
            case Call(function, arguments) if function in TIMES:
                yield from (arguments[place] for place in TIMES[function] if place < len(arguments))
            case Binary(operator, Ref("time"), bound) | Binary(operator, bound, Ref("time")) if operator in _COMPARES:
                yield bound


def _shifted(expr: Expr, moved: set[str]) -> Iterator[str]:
    """The names beside one of ``moved`` in a sum or a difference."""
    if isinstance(expr, Binary) and expr.operator in ("+", "-"):
        sides = [{ref.name for ref in references(side)} for side in (expr.left, expr.right)]
        for ours, theirs in (sides, sides[::-1]):
            if ours & moved and not theirs & moved:
                beside = (ref for side in (expr.left, expr.right) for ref in references(side))
                yield from (ref.name for ref in beside if ref.name in theirs)
    for part in children(expr):
        yield from _shifted(part, moved)
