"""A model's own objective: variables that a fit maximises as they are, in the place of observations::

    [[payoff]]
    name = "fit to the cases"
    variable = "log likelihood of cases[Region]"   # a range: all of its elements are added up
    weight = 1                                     # or the name of a variable
    at = "each step"                               # a plain sum over all steps, the last included

``log_density = true`` in ``[method]`` says that the sum is a log likelihood, so that profiles and draws mean something.

``at = "each step"`` adds up the values of all steps; with ``times_step = true`` each is multiplied by the time step
first, as for an area under a curve. ``at = "start"`` and ``at = "end"`` take one value, of the first or the last step.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, product
from typing import Literal

import numpy as np

from calibration.study.observations import Quantity, SummedQuantity
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import CiparkError, InvalidValue
from cipark_sd.base.naming import flat_name, override_key, split_key
from cipark_sd.base.section import Section
from cipark_sd.base.timegrid import TimeGrid, time_grid
from cipark_sd.compiler.unroll import unroll
from cipark_sd.data.scenarios import Scenario, resolve
from cipark_sd.language.read.external_files import read_externals
from cipark_sd.language.read.model_file import recorded
from cipark_sd.model.expr import MISSING, Binary, Call, Const, Expr, Neg, Ref, Table
from cipark_sd.model.model import Model, digest_of
from cipark_sd.model.named import output_problem
from cipark_sd.model.variables import Auxiliary, ExternalPiece, Piece, Series, Variable

At = Literal["each step", "start", "end", "data"]
_AT: tuple[At, ...] = ("each step", "start", "end")
#: What a comparison adds at a time of its data, of the model's value, the datum and the weight; constants that nothing
#: moves are left out.
_DISTRIBUTIONS: dict[str, Callable[[Expr, Expr, Expr], Expr]] = {
    "squares": lambda model, datum, weight: Neg(_squared((model - datum) * weight)),
    "normal": lambda model, datum, sd: Neg(_squared((model - datum) / sd) / 2.0 + Call("ln", (sd,))),
    "normal by variance": lambda model, datum, variance: Neg(
        (_squared(model - datum) / variance + Call("ln", (variance,))) / 2.0
    ),
    "laplace": lambda model, datum, scale: Neg(Call("abs", (model - datum,)) / scale + Call("ln", (scale,))),
    "poisson": lambda model, datum, weight: (datum * Call("ln", (model,)) - model) * weight,
}


def _squared(expr: Expr) -> Expr:
    return expr * expr


@dataclass(frozen=True, slots=True)
class Payoff:
    """What is added up of one variable of the model.

    Parameters
    ----------
    output : str
        ``Name`` or ``Name[element]``.
    at : {"each step", "start", "end", "data"}
    times_step : bool
        Whether each value of a step is multiplied by the time step.
    times : tuple of float
        Those of the data, where it counts at these alone.
    """

    output: str
    at: At
    times_step: bool = False
    times: tuple[float, ...] = ()


def payoff_section(section: Section, model: Model, span: Scenario) -> tuple[Model, tuple[Payoff, ...]]:
    """The elements of a ``[[payoff]]``, and the model with what it adds up of them.

    Parameters
    ----------
    span : Scenario
        The times of the run; a datum counts at the step nearest to it.
    """
    written, is_log = section.text("variable"), section.flag("log")
    weight = section.number_or_name("weight", "a number or a variable", lambda _: True) if "weight" in section else 1.0
    data = section.text("data") if "data" in section else None
    at: At = section.choice("at", _AT, "each step") if data is None else "data"
    distribution = section.choice("distribution", tuple(_DISTRIBUTIONS), "squares") if data is not None else ""
    times_step = section.flag("times_step")
    if times_step and at != "each step":
        section.wrong("times_step", "true or false, and beside at = 'each step' alone")
    section.note_unread()
    outputs = expanded(model, written)
    weights = expanded(model, weight) if isinstance(weight, str) else []
    faults = [p for name in [*outputs, *weights] if (p := output_problem(model, name, section.where)) is not None]
    section.problems += faults
    if faults or not section.sound:
        return model, ()
    if weights and len(weights) not in (1, len(outputs)):
        section.wrong("weight", f"one variable, or one with as many elements as {written!r}: {len(outputs)}")
        return model, ()
    factors: list[Expr] = [Const(weight)] if isinstance(weight, float) else [Ref(*split_key(name)) for name in weights]
    factors *= len(outputs) // len(factors)
    values: list[Expr] = [Ref(*split_key(output)) for output in outputs]
    values = [Call("ln", (value,)) for value in values] if is_log else values
    if data is None:
        sums: dict[tuple[float, ...], list[Expr]] = {
            (): [value * factor for value, factor in zip(values, factors, strict=True)]
        }
        return _with_sums(section, model, sums, at, times_step=times_step)
    courses = _courses(section, model, data, _times(model, span), is_log=is_log)
    if len(courses) != len(outputs):
        if section.sound:
            section.wrong("data", f"data of as many elements as {written!r}: {len(outputs)}")
        return model, ()
    added: list[Series] = []
    sums = {}
    for value, factor, course in zip(values, factors, courses, strict=True):
        # an element without data adds nothing
        if course.x:
            name = f"{_prefix(model)}_data_{len(added)}"
            added.append(Series(name=name, label=f"{section.where} {name}", pieces=(ExternalPiece(course),)))
            sums.setdefault(course.x, []).append(_DISTRIBUTIONS[distribution](value, Ref(name), factor))
    return _with_sums(section, _with(model, added), sums, at, times_step=False)


def _courses(section: Section, model: Model, data: str, times: Array, *, is_log: bool) -> list[Table]:
    """The data of each element at steps of the run; nothing where there are none, which is noted."""
    base, _ = split_key(data)
    names = expanded(model, data)
    faults = [p for name in names if (p := output_problem(model, name, section.at("data"))) is not None]
    if faults:
        section.problems += faults
        return []
    known = model.by_name[base]
    if not isinstance(known, Series):
        # data of a variable that the model computes stand in the files under its own name
        known = recorded(model, known, where=section.at("data"))
    courses = []
    if known.pieces:
        flat = unroll(read_externals(replace(model, variables=(known,))))
        courses = [_at_steps(flat.by_name[override_key(name)], times, is_log=is_log) for name in names]
    if not any(course.x for course in courses):
        section.wrong("data", "a data variable, or one of which the files of series have data within the run")
    return courses


def _at_steps(data: Variable, times: Array, *, is_log: bool) -> Table:
    """The points of data without subscripts, each at the step nearest to it, or their logarithms."""
    (piece,) = data.pieces
    source = piece.source if isinstance(piece, ExternalPiece) else None
    points = zip(source.x, source.y, strict=True) if isinstance(source, Table) else ()
    steps = {
        float(times[np.argmin(np.abs(times - x))]): math.log(y) if is_log else y
        for x, y in points
        if y != MISSING and times[0] <= x <= times[-1] and (y > 0 or not is_log)
    }
    return Table(tuple(steps), tuple(steps.values()))


def _times(model: Model, span: Scenario) -> Array:
    """The steps of the run."""
    run = resolve(model, span)
    return time_grid(run.initial_time, run.final_time, run.time_step, run.time_step, where=model.name).times


def _with_sums(
    section: Section, model: Model, sums: Mapping[tuple[float, ...], Sequence[Expr]], at: At, *, times_step: bool
) -> tuple[Model, tuple[Payoff, ...]]:
    """The model with the sum of what counts at the same times: one output for all its elements."""
    added = [
        Auxiliary(
            name=f"{_prefix(model)}_{place}",
            label=f"{section.where} sum {place}",
            pieces=(Piece(_sum(parts)),),
        )
        for place, parts in enumerate(sums.values())
    ]
    payoffs = [Payoff(made.name, at, times_step, times) for made, times in zip(added, sums, strict=True)]
    return _with(model, added), tuple(payoffs)


def _sum(parts: Sequence[Expr]) -> Expr:
    """Halves of halves: a row of thousands would be nested as deep."""
    half = len(parts) // 2
    return Binary("+", _sum(parts[:half]), _sum(parts[half:])) if half else parts[0]


def _with(model: Model, added: Sequence[Variable]) -> Model:
    digest = digest_of(model.digest.encode(), repr(added).encode())
    return replace(model, variables=(*model.variables, *added), digest=digest)


def _prefix(model: Model) -> str:
    """What no name of the model begins with."""
    prefix = f"payoff_{len(model.variables)}"
    while any(name.startswith(prefix) for name in model.by_name):
        prefix += "_"
    return prefix


def expanded(model: Model, name: str) -> list[str]:
    """The elements that a name stands for.

    Parameters
    ----------
    name : str
        ``Name``, or ``Name[range, element]``.

    Returns
    -------
    list of str
        In order; the name itself where the variable has no subscripts, or is not there.
    """
    base, subscripts = split_key(name)
    variable, ranges = model.by_name.get(base), model.dimension_by_name
    if variable is None or not variable.dims:
        return [name]
    labels = dict(zip(model.elements(variable), model.labels(variable), strict=True))
    choices = [ranges[sub].elements if sub in ranges else (sub,) for sub in subscripts]
    return [labels.get(at, flat_name(base, at)) for at in product(*choices)] if subscripts else list(labels.values())


def payoff_quantity(payoffs: Sequence[Payoff], grid: TimeGrid) -> Quantity:
    """What the fit maximises, as one number of the run: a weighted sum over elements and steps.

    Parameters
    ----------
    grid : TimeGrid
        The steps of the run.
    """
    first, last = float(grid.times[0]), float(grid.times[-1])
    step = float(grid.times[1] - grid.times[0])
    parts = tuple((p.output, step if p.times_step else 1.0) for p in payoffs)
    spans = {"each step": ((first, last),), "start": ((first, first),), "end": ((last, last),)}
    of_each = [spans[p.at] if p.at != "data" else tuple((time, time) for time in p.times) for p in payoffs]
    repeated = [part for part, several in zip(parts, of_each, strict=True) for _ in several]
    return SummedQuantity(tuple(repeated), "sum", first, last, tuple(chain.from_iterable(of_each)))


def payoff_problems(
    payoffs: Sequence[Payoff], n_observations: int, where: str, *, log_density: bool
) -> list[CiparkError]:
    """What keeps an objective from being fitted.

    Parameters
    ----------
    log_density : bool
        Whether the study says that its payoff is a log density.
    n_observations : int
        Sections of the study.
    where : str
        The file.
    """
    if payoffs and n_observations:
        expected = "no [[observation]] beside it: write what was observed as a payoff of the model, or leave the payoff"
        return [InvalidValue("[[payoff]]", f"{n_observations} observations", expected, where=where)]
    if log_density and not payoffs:
        return [InvalidValue("log_density", True, "nothing without a [[payoff]]", where=f"[method] in {where}")]
    return []
