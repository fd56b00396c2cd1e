"""Structural error: yearly (or other) innovations on named flows and constants, with a prior on their size.

One table makes a whole vector of parameters::

    [[process]]
    name = "Demand Shock"
    on = "Entry Rate"
    every = 1
    size = { family = "half-normal", sd = 0.3 }
    persistence = 1

In window ``i`` the variable is multiplied by ``exp(x[i])`` with ``x[i] = persistence x[i - 1] + size z[i]``:
independent innovations for a persistence of 0, a random walk for 1. What is estimated is ``z``, standard normal by its
prior, so that its scale does not depend on ``size`` (non-centred: Papaspiliopoulos, Roberts and Sköld 2007, Statistical
Science 22(1), 59-73). Windows after the data have no parameters; a forecast draws their innovations.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from calibration.study.calendar import Calendar
from calibration.study.observations import Observation, quantities_of
from calibration.study.parameters import Parameter
from calibration.study.priors import Normal, Prior
from calibration.study.sections import read_prior
from calibration.study.variants import repeated
from cipark_sd.errors import CiparkError, InvalidValue, UnknownName
from cipark_sd.model.expr import Binary, Call, Const, Expr, If, Ref, rebuild
from cipark_sd.model.model import CONTROL, Model, digest_of
from cipark_sd.model.variables import Auxiliary, Constant, Piece, Stock, Variable, kind
from cipark_sd.naming import canonical
from cipark_sd.scenarios import Scenario
from cipark_sd.section import Section, is_number

#: Windows at most: each is a parameter, and a branch in the equation.
MOST = 400
#: Share of a window by which a step may come before it by rounding.
_SLACK = 1e-6


@dataclass(frozen=True, slots=True)
class Process:
    """Innovations on one variable.

    Parameters
    ----------
    name : str
        Of the process and, with an ending, of its parameters.
    on : str
        Canonical name of a constant, an auxiliary or a flow.
    starts : tuple of float
        Where windows begin, to the end of the model's own run.
    n_seen : int
        Windows that begin before the last number of the study.
    size, persistence : float or Prior
        A number, or what is estimated.
    """

    name: str
    on: str
    starts: tuple[float, ...]
    n_seen: int
    size: float | Prior
    persistence: float | Prior
    why: str = ""

    def innovation(self, window: int) -> str:
        """The name of a window's innovation."""
        return f"{self.name} from {self.starts[window]:.10g}"

    @property
    def size_name(self) -> str:
        """The name of the constant of its size."""
        return f"{self.name} Size"

    @property
    def persistence_name(self) -> str:
        """The name of the constant of its persistence."""
        return f"{self.name} Persistence"

    @property
    def innovations(self) -> tuple[Parameter, ...]:
        """A parameter for each window that has been seen."""
        return self._parameters(0, self.n_seen)

    @property
    def ahead(self) -> tuple[Parameter, ...]:
        """A parameter for each window after the data."""
        return self._parameters(self.n_seen, len(self.starts))

    def _parameters(self, first: int, last: int) -> tuple[Parameter, ...]:
        why = f"innovation of {self.name}, standard normal"
        return tuple(Parameter(self.innovation(i), Normal(0.0, 1.0), why=why) for i in range(first, last))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Size and persistence, where they are estimated, and the innovations that have been seen."""
        hyper = []
        if not isinstance(self.size, float):
            hyper.append(Parameter(self.size_name, self.size, 0.0, math.inf, self.size.natural, why=self.why))
        if not isinstance(self.persistence, float):
            of = self.persistence
            hyper.append(Parameter(self.persistence_name, of, 0.0, 1.0, of.natural, why=self.why))
        return (*hyper, *self.innovations)


def read_processes(
    top: Section, model: Model, span: Scenario, observations: Sequence[Observation], calendar: Calendar
) -> tuple[Process, ...]:
    """The ``[[process]]`` tables of a study."""
    read = [_process(section, model, span, observations, calendar) for section in top.sections("process")]
    processes = tuple(process for process in read if process is not None)
    top.problems += repeated([process.name for process in processes], "[[process]]")
    top.problems += repeated([process.on for process in processes], "[[process]], on")
    return processes


def _process(
    section: Section, model: Model, span: Scenario, observations: Sequence[Observation], calendar: Calendar
) -> Process | None:
    name = section.title
    on = canonical(section.text("on"))
    why = section.text("why", "")
    every = section.number("every", 1.0)
    if not every > 0:
        section.wrong("every", "a positive time")
        every = 1.0
    begin = model.time.initial if span.initial_time is None else span.initial_time
    if "from" in section:
        begin = calendar.time_under(section, "from")
    size = _number_or_prior(section, "size", 0.0, math.inf)
    persistence = _number_or_prior(section, "persistence", 0.0, 1.0, 0.0)
    section.note_unread()
    section.problems += _on_problems(model, on, section)
    ends = [quantity.end for quantity in quantities_of(observations) if math.isfinite(quantity.end)]
    last = max(ends, default=begin)
    final = max(model.time.final, last) if math.isfinite(model.time.final) else last
    count = math.ceil((final - begin) / every - _SLACK) if math.isfinite(begin) else 0
    if section.sound and not 1 <= count <= MOST:
        section.wrong("every", f"from 1 to {MOST} windows until the end of the run, not {count}")
    if not section.sound or size is None or persistence is None:
        return None
    starts = tuple(begin + i * every for i in range(count))
    n_seen = sum(start < last - _SLACK * every for start in starts)
    process = Process(name, on, starts, n_seen, size, persistence, why)
    names = [process.size_name, process.persistence_name, *(process.innovation(i) for i in range(count))]
    section.problems += [
        InvalidValue("name", name, f"one with which the model has no variable {label!r}", where=section.where)
        for label in names
        if canonical(label) in model.by_name
    ]
    return process


def _number_or_prior(
    section: Section, key: str, least: float, most: float, default: float | None = None
) -> float | Prior | None:
    value = section.raw(key)
    if value is None and default is not None:
        return default
    if isinstance(value, Mapping):
        return read_prior(section, value, key)
    if is_number(value) and least <= value <= most:
        return float(value)
    limit = "0 or more" if math.isinf(most) else f"{least:g} to {most:g}"
    section.wrong(key, f"a number, {limit}, or a prior such as {{ family = 'half-normal', sd = 0.3 }}")
    return None


def _on_problems(model: Model, on: str, section: Section) -> list[CiparkError]:
    variable = model.by_name.get(on)
    if variable is None:
        labels = [v.label for v in model.variables if v.name not in CONTROL]
        return [UnknownName(section.text("on"), labels, where=section.at("on"))]
    if not isinstance(variable, Constant | Auxiliary) or on in CONTROL:
        expected = f"a constant, an auxiliary or a flow, not the {kind(variable)} it is"
        return [InvalidValue("on", variable.label, expected, where=section.at("on"))]
    return []


def with_processes(model: Model, processes: Sequence[Process]) -> Model:
    """The model with the innovations of all processes, which are zero until something sets them."""
    for process in processes:
        model = _with_process(model, process)
    return model


def _with_process(model: Model, process: Process) -> Model:
    def constant(label: str, value: float) -> Constant:
        return Constant(name=canonical(label), label=label, units="Dmnl", pieces=(Piece(Const(value)),))

    def auxiliary(label: str, expr: Expr) -> Auxiliary:
        return Auxiliary(name=canonical(label), label=label, units="Dmnl", pieces=(Piece(expr),))

    def ref(label: str) -> Ref:
        return Ref(canonical(label))

    size, persistence = (value if isinstance(value, float) else 0.0 for value in (process.size, process.persistence))
    added: list[Variable] = [constant(process.size_name, size), constant(process.persistence_name, persistence)]
    levels: list[Expr] = []
    for window in range(len(process.starts)):
        name, level = process.innovation(window), f"Level of {process.innovation(window)}"
        expr: Expr = Binary("*", ref(process.size_name), ref(name))
        if levels:
            expr = Binary("+", Binary("*", ref(process.persistence_name), levels[-1]), expr)
        added += [constant(name, 0.0), auxiliary(level, expr)]
        levels.append(ref(level))
    width = process.starts[1] - process.starts[0] if len(process.starts) > 1 else 1.0
    log_factor = _chosen(levels, [start - _SLACK * width for start in process.starts])
    label = f"Factor of {process.name}"
    added.append(auxiliary(label, Call("exp", (log_factor,))))
    factor = ref(label)

    def changed(expr: Expr) -> Expr:
        if isinstance(expr, Ref) and expr.name == process.on:
            return Binary("*", expr, factor)
        return rebuild(expr, changed)

    variables = tuple(_changed(variable, process.on, changed, factor, model) for variable in model.variables)
    digest = digest_of(model.digest.encode(), repr(process).encode())
    return replace(model, variables=(*variables, *added), digest=digest)


def _chosen(levels: Sequence[Expr], starts: Sequence[float]) -> Expr:
    """The level of the window in which the time lies, by halving; nothing before the first window."""

    def among(first: int, last: int) -> Expr:
        if first == last:
            return levels[first]
        middle = (first + last + 1) // 2
        before = Binary("<", Ref("time"), Const(starts[middle]))
        return If(before, among(first, middle - 1), among(middle, last))

    return If(Binary("<", Ref("time"), Const(starts[0])), Const(0.0), among(0, len(levels) - 1))


def _changed(variable: Variable, on: str, changed: Callable[[Expr], Expr], factor: Expr, model: Model) -> Variable:
    """A variable whose equation reads, or is, what the innovations move; where stocks start is left as it is."""
    if variable.name == on and isinstance(variable, Auxiliary):
        pieces = tuple(replace(piece, expr=Binary("*", piece.expr, factor)) for piece in variable.pieces)
        return replace(variable, pieces=pieces)
    if not isinstance(model.by_name[on], Constant):
        return variable
    match variable:
        case Auxiliary():
            return replace(variable, pieces=tuple(replace(p, expr=changed(p.expr)) for p in variable.pieces))
        case Stock():
            return replace(variable, pieces=tuple(replace(p, flow=changed(p.flow)) for p in variable.pieces))
        case _:
            return variable
