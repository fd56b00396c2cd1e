"""A page for any model: its most influential constants as levers, its results as curves, and nothing of a fit.

A lever that is a date may shift other events, as in ``STEP(1, Opening Date + Shift)`` where ``Shift`` is computed from
the lever. A reader who moves one event would not expect that, so the page names these dates.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cipark_sd.analysis.experiments.definition import Lever
from cipark_sd.analysis.sensitivities.factors import constant_values
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import InvalidValue
from cipark_sd.base.naming import base_name, override_key
from cipark_sd.base.timegrid import time_label
from cipark_sd.base.wording import NO_UNIT
from cipark_sd.data.scenarios import Scenario
from cipark_sd.engines.plan import missing_as_nan, plan
from cipark_sd.model.expr import Binary, Call, Expr, Ref, children, references, walk
from cipark_sd.model.model import CONTROL, Model
from cipark_sd.model.variables import Auxiliary, Constant, Lookup, Variable, expressions, names_in
from cipark_sd.pages.figures.observed import Observed
from cipark_sd.pages.player.contents import Contents, Outcome, PlayedStructure, Seen
from cipark_sd.simulations.ensembles import ensemble

#: Levers and curves of a page, at most.
LEVERS, OUTCOMES = 8, 6
#: Constants whose influence is looked at, at most.
LOOKED_AT = 2000
#: Where each function of the language takes times at which something happens: positions of its arguments.
TIMES = {"step": (1,), "ramp": (1, 2), "xramp": (1, 2), "pulse": (0,), "pulse_train": (0, 3), "xpulse": (0,)}
TIMES |= {"xpulse_train": (0,)}
_COMPARES = ("<", "<=", ">", ">=", "=", "<>")
LIMITS = (
    "These are results of the equations and of the values in the file; nothing was fitted to data.",
    "Levers reach as far as the file says, else from 0, or a tenth, to twice the value in it. They are the constants "
    "that move the curves most, each alone, unless --levers names others.",
)


def contents_of(
    model: Model,
    target: str,
    *,
    variables: Sequence[str] = (),
    levers: Sequence[str] = (),
    scenario: Scenario = Scenario(),  # noqa: B008  (frozen, and neutral)
    title: str = "",
    observed: Sequence[Observed] = (),
) -> Contents:
    """The page of a model.

    Parameters
    ----------
    target : str
        How a command names the model.
    variables, levers : sequence of str
        What is shown, and what is moved; without them results and stocks, and the constants that move these most.
    scenario : Scenario
        What all runs share.
    title : str
        Empty for the model's name.
    observed : sequence of Observed
        Shown beside the curves of their variables.

    Raises
    ------
    InvalidValue, UnknownName, Problems
    """
    shown = tuple(variables) or tuple(v.label for v in _curves(model, scenario))
    outcomes = tuple(_outcome(model, name, observed) for name in shown)
    levers_shown = tuple(lever_of(model, name) for name in levers) or tuple(candidates(model))
    levers_shown = within_numbers(model, scenario, levers_shown, shown)
    if not levers_shown:
        raise InvalidValue("the constants", "none", "one at least that can be moved", where=model.name)
    chosen = levers_shown if levers else most_influential(model, scenario, levers_shown, shown)
    return Contents(
        title=title or model.name,
        model=model,
        target=target,
        scenario=scenario,
        structures=(PlayedStructure("the model"),),
        levers=chosen,
        outcomes=outcomes,
        at=_at_first(model, scenario, shown[0]),
        until=model.time.final,
        base="as in the file",
        limits=LIMITS,
        labels=_dates(model, scenario),
    )


def _dates(model: Model, scenario: Scenario) -> tuple[str, ...]:
    """What people call the saved times of a model in calendar years; of another model they are numbers."""
    labels = labels_of(model, scenario, partial(time_label, units=model.time.units))
    return labels if all("-" in label[1:] for label in labels) else ()


def labels_of(model: Model, scenario: Scenario, label: Callable[[float], str]) -> tuple[str, ...]:
    """The saved times of a model as a function writes them.

    Parameters
    ----------
    label : function
        Of a time.
    """
    return tuple(map(label, plan(model, scenario, save=(), times=None, method=None).times.tolist()))


def _curves(model: Model, scenario: Scenario) -> tuple[Variable, ...]:
    """Results, from which nothing else is computed, in half of the places, then stocks; without subscripts first."""
    used = {name for variable in model.variables for name in names_in(variable)}
    results = [variable for variable in model.auxiliaries if variable.name not in used | _static(model).keys()]
    courses = _at_the_ends(model, scenario, (), [result.name for result in results]) if results else []
    results = [result for result, values in zip(results, courses, strict=True) if np.ptp(values) > 0]
    candidates: Sequence[Variable] = (
        (*_plain(results)[: OUTCOMES // 2], *_plain(model.stocks)) or model.auxiliaries or model.series
    )
    if not candidates:
        raise InvalidValue("its variables", [], "one at least that changes", where=model.name)
    return tuple(candidates[:OUTCOMES])


def _plain(variables: Sequence[Variable]) -> list[Variable]:
    return sorted(variables, key=lambda variable: bool(variable.dims))


def _at_first(model: Model, scenario: Scenario, output: str) -> float:
    """When a page is read first: at the peak of an output that rises and falls again by half, else at the end."""
    (values,) = _at_the_ends(model, scenario, (), (output,))
    times = plan(model, scenario, save=(), times=None, method=None).times
    course = values[0].reshape(len(times), -1).sum(axis=1)
    if not np.isfinite(course).all():
        return model.time.final
    top, ends = course.max(), max(course[0], course[-1])
    return float(times[course.argmax()] if top - ends > 0.5 * (top - course.min()) else times[-1])


def _outcome(model: Model, name: str, observed: Sequence[Observed]) -> Outcome:
    levels = tuple(
        Seen(float(time), float(low), float(high), "check")
        for level in observed
        if override_key(level.variable) == override_key(name)
        for time, low, high in zip(
            level.times,
            level.values if level.low is None else level.low,
            level.values if level.high is None else level.high,
            strict=True,
        )
    )
    return Outcome(model.label(name), name, observed=levels)


def candidates(model: Model) -> list[Lever]:
    """Every constant without subscripts and each element of the others, where the value stands in the file."""
    values = {
        label: value
        for constant in model.constants
        if constant.name not in CONTROL
        for label, value in constant_values(model, constant).items()
    }
    return [_lever(model, label, value) for label, value in list(values.items())[:LOOKED_AT]]


def lever_of(model: Model, name: str) -> Lever:
    """A constant, or an element of one, as a lever.

    Parameters
    ----------
    name : str
        By any spelling.

    Returns
    -------
    Lever
        Over the range of the file, else over a guessed one.

    Raises
    ------
    UnknownName, InvalidValue
    """
    variable = model[base_name(name)]
    values = constant_values(model, variable) if isinstance(variable, Constant) else {}
    known = {override_key(label): (label, value) for label, value in values.items()}
    if override_key(name) not in known:
        raise InvalidValue("the lever", name, "a constant with one value in the file", where=model.name)
    return _lever(model, *known[override_key(name)])


def _lever(model: Model, label: str, value: float) -> Lever:
    """Over the range of the file, else over the run for one of its instants, else from 0 to twice the value."""
    variable = model[base_name(label)]
    low, high = variable.limits
    guessed = low is None or high is None or not low < high or not low <= value <= high
    if low is None or high is None or guessed:
        low, high = (min(0.0, 2 * value), max(0.0, 2 * value)) if value else (0.0, 1.0)
        if variable.units == model.time.units and 0 < model.time.initial <= value <= model.time.final:
            low, high = model.time.initial, model.time.final
    return Lever(label, (label,), float(low), float(high), guessed=guessed)


def most_influential(
    model: Model, scenario: Scenario, levers: Sequence[Lever], outputs: Sequence[str], most: int = LEVERS
) -> tuple[Lever, ...]:
    """The levers that move the outputs most between their ends, each alone.

    A move is the mean distance of the curves at both ends from that in the middle of things, as a share of the largest
    value that the output has in any of these runs; a run that leaves the numbers moves nothing.

    Parameters
    ----------
    scenario : Scenario
        What all runs share.
    outputs : sequence of str
        Variables, by any spelling.

    Returns
    -------
    tuple of Lever
        The largest move first; the first lever where none moves anything.
    """
    if len(levers) <= 1:
        return tuple(levers)
    moved = np.max([_moves(values) for values in _at_the_ends(model, scenario, levers, outputs)], axis=0)
    order = np.argsort(-moved, kind="stable")
    return tuple(levers[i] for i in order[:most] if moved[i] > 0) or tuple(levers[:1])


def within_numbers(
    model: Model, scenario: Scenario, levers: Sequence[Lever], outputs: Sequence[str]
) -> tuple[Lever, ...]:
    """The levers, of which those with a guessed range end before the outputs leave the numbers.

    A time or a capacity of nothing divides by zero: a guessed range then begins, or ends, at a tenth of the value.
    A constant of nothing has no size: its range ends at the largest value that the base run has in its units.

    Parameters
    ----------
    scenario : Scenario
        What all runs share.
    outputs : sequence of str
        Variables, by any spelling.

    Returns
    -------
    tuple of Lever
        All of them, in their order.
    """
    if not levers:
        return ()
    levers = _sized(model, scenario, levers)
    every = _at_the_ends(model, scenario, levers, outputs)
    lost = np.any([~np.isfinite(values[1:]).all(axis=1) for values in every], axis=0).reshape(-1, 2)
    located = []
    for lever, (low, high) in zip(levers, lost, strict=True):
        tenth = (lever.low + lever.high) / 20
        if lever.guessed and low and lever.low == 0:
            lever = replace(lever, low=tenth)
        if lever.guessed and high and lever.high == 0:
            lever = replace(lever, high=tenth)
        located.append(lever)
    return tuple(located)


def _sized(model: Model, scenario: Scenario, levers: Sequence[Lever]) -> list[Lever]:
    """The levers, of which one with a guessed range of 0 to 1 reaches as far as others in its units, to one digit."""
    no_size = {"", *NO_UNIT, model.time.units.lower()}
    units = [model[base_name(lever.names[0])].units if lever.guessed and lever.high == 1 else "" for lever in levers]
    sized = {unit for unit in units if unit.lower() not in no_size}
    names = [v.name for v in (*model.stocks, *model.auxiliaries) if v.units in sized]
    if not names:
        return list(levers)
    run = ensemble(model, [Scenario("base")], save=tuple(names), scenario=scenario, engine="native", failures="leave")
    largest = dict.fromkeys(sized, 0.0)
    for name in names:
        values = missing_as_nan(run[name].to_numpy())
        peak = float(values[np.isfinite(values)].max(initial=0.0))
        largest[model[name].units] = max(largest[model[name].units], peak)
    ends = [float(f"{largest.get(unit, 0.0):.0e}") or lever.high for lever, unit in zip(levers, units, strict=True)]
    return [replace(lever, high=end) for lever, end in zip(levers, ends, strict=True)]


def _at_the_ends(
    model: Model, scenario: Scenario, levers: Sequence[Lever], outputs: Sequence[str]
) -> list[NDArray[np.float64]]:
    """For each output (2 k + 1, time by time and element by element): the base, then the two ends of each lever."""
    ends = [(lever, end) for lever in levers for end in (lever.low, lever.high)]
    runs = [Scenario(f"{i}", dict.fromkeys(lever.names, end)) for i, (lever, end) in enumerate(ends)]
    bases = tuple(dict.fromkeys(base_name(name) for name in outputs))
    runs_around = ensemble(
        model, [Scenario("base"), *runs], save=bases, scenario=scenario, engine="native", failures="leave"
    )
    return [missing_as_nan(runs_around[name].to_numpy()).reshape(len(runs) + 1, -1) for name in bases]


def _moves(values: Array) -> Array:
    """(2 k + 1, n) to (k,): the first row is the base, then two for each lever."""
    finite = np.isfinite(values)
    scale = np.abs(values[finite]).max(initial=0.0) or 1.0
    with np.errstate(invalid="ignore"):
        distance = np.abs(values[1:] - values[0]).mean(axis=1) / scale
    distance[~(finite[1:] & finite[0]).all(axis=1)] = 0.0
    return np.asarray(distance.reshape(-1, 2).max(axis=1))


def moved_along(model: Model, levers: Sequence[Lever], scenario: Scenario) -> list[tuple[str, ...]]:
    """The dates that move with a lever.

    A date counts where some variable in between, which depends on constants alone, differs between the two ends of the
    lever in runs of the model: a shift that is switched off moves nothing.

    Parameters
    ----------
    scenario : Scenario
        What all runs share.

    Returns
    -------
    list of tuple of str
        For each lever their labels, in the order of the model.

    Raises
    ------
    CiparkError
        As :func:`cipark_sd.simulations.ensembles.ensemble`.
    """
    static = _static(model)
    bases = (frozenset(base_name(name) for name in lever.names) for lever in levers)
    between = [_between(model, static, names) for names in bases]
    if not any(between):
        return [() for _ in levers]
    save = tuple(dict.fromkeys(name for names in between for name in names))
    values = dict(zip(save, _at_the_ends(model, scenario, levers, save), strict=True))
    dates_by_lever = []
    for place, names in enumerate(between):
        moved = {name for name in names if (values[name][2 * place + 1] != values[name][2 * place + 2]).any()}
        dates = [label for variable in model.variables for label in _moved_dates(model, variable, moved)]
        dates_by_lever.append(tuple(dict.fromkeys(dates)))
    return dates_by_lever


def _static(model: Model) -> dict[str, frozenset[str]]:
    """By auxiliary that depends on constants alone, the names in its equations."""
    used = {
        variable.name: frozenset(names_in(variable))
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


def _moved_dates(model: Model, variable: Variable, moved: set[str]) -> Iterator[str]:
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
