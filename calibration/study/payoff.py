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

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

from calibration.study.observations import Quantity, SummedQuantity
from cipark_sd.base.errors import CiparkError, InvalidValue
from cipark_sd.base.naming import flat_name, split_key
from cipark_sd.base.section import Section
from cipark_sd.base.timegrid import TimeGrid
from cipark_sd.model.expr import Binary, Ref
from cipark_sd.model.model import Model, digest_of
from cipark_sd.model.named import output_problem
from cipark_sd.model.variables import Auxiliary, Piece

At = Literal["each step", "start", "end"]
_AT: tuple[At, ...] = ("each step", "start", "end")


@dataclass(frozen=True, slots=True)
class Payoff:
    """One element of an objective: a variable of the model, or one of its elements, times a number.

    Parameters
    ----------
    output : str
        ``Name`` or ``Name[element]``.
    at : {"each step", "start", "end"}
    times_step : bool
        Whether each value of a step is multiplied by the time step.
    """

    output: str
    weight: float
    at: At
    times_step: bool = False


def payoff_section(section: Section, model: Model) -> tuple[Model, tuple[Payoff, ...]]:
    """The elements of a ``[[payoff]]``, and the model with what weighs them.

    A weight that is a variable makes a product with each element, which the model computes.
    """
    written = section.text("variable")
    weight = section.number_or_name("weight", "a number or a variable", lambda _: True) if "weight" in section else 1.0
    at = section.choice("at", _AT, "each step")
    times_step = section.raw("times_step") if "times_step" in section else False
    if not isinstance(times_step, bool) or (times_step and at != "each step"):
        section.wrong("times_step", "true or false, and beside at = 'each step' alone")
        times_step = False
    section.note_unread()
    outputs = expanded(model, written)
    names = [*outputs, *(expanded(model, weight) if isinstance(weight, str) else ())]
    faults = [p for name in names if (p := output_problem(model, name, section.where)) is not None]
    section.problems += faults
    if faults or not section.sound:
        return model, ()
    if not isinstance(weight, str):
        return model, tuple(Payoff(output, weight, at, times_step) for output in outputs)
    weights = expanded(model, weight)
    if len(weights) not in (1, len(outputs)):
        section.wrong("weight", f"one variable, or one with as many elements as {written!r}: {len(outputs)}")
        return model, ()
    prefix = f"payoff_{len(model.variables)}"
    while any(name.startswith(prefix) for name in model.by_name):
        prefix += "_"
    products = tuple(
        _product(output, weights[min(place, len(weights) - 1)], f"{prefix}_{place}")
        for place, output in enumerate(outputs)
    )
    digest = digest_of(model.digest.encode(), repr(products).encode())
    extended = replace(model, variables=(*model.variables, *products), digest=digest)
    return extended, tuple(Payoff(made.name, 1.0, at, times_step) for made in products)


def _product(output: str, weight: str, name: str) -> Auxiliary:
    """The variable times its weight."""
    expr = Binary("*", Ref(*split_key(output)), Ref(*split_key(weight)))
    return Auxiliary(name=name, label=f"payoff of {output}", pieces=(Piece(expr),))


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
    parts = tuple((p.output, p.weight * (step if p.times_step else 1.0)) for p in payoffs)
    spans = tuple({"each step": (first, last), "start": (first, first), "end": (last, last)}[p.at] for p in payoffs)
    return SummedQuantity(parts, "sum", first, last, spans)


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
