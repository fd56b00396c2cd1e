"""Whether the parts of a study agree: names that are the model's, constants set once, times within the run.

No event may enter the likelihood twice, by rows of the fit whose windows or dates meet on the same variable. Only rows
that can meet are compared, so that the work grows with the rows and not with their pairs: those that share a date are
looked up by it, and a sweep over the windows in order of their starts keeps those that are still open.
"""

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np

from calibration.noise.readings.metrics import Metric
from calibration.noise.readings.reporting import Reporting
from calibration.study.classification import Coding
from calibration.study.observations import (
    Breakdown,
    Count,
    Observation,
    Quantity,
    ReadQuantity,
    Share,
    Term,
    parameters_of,
    quantities_of,
)
from calibration.study.parameters import Parameter
from calibration.study.predictions import Prediction
from cipark_sd.analysis.experiments.definition import Structure
from cipark_sd.base.errors import CiparkError, InvalidValue, UnknownName, UnusableInput, collected
from cipark_sd.base.naming import base_key, override_key, split_key, split_name
from cipark_sd.data.scenarios import Scenario, resolve
from cipark_sd.model.model import CONTROL, Model
from cipark_sd.model.variables import Constant, Lookup, Stock, kind


def name_problems(
    model: Model,
    observations: Sequence[Observation],
    parameters: Sequence[Parameter],
    fixed: Sequence[str],
    *,
    complete: bool,
) -> list[CiparkError]:
    """Names that are not the model's, that cannot be set, or that are set twice.

    ``complete`` says whether all observations could be read, so that what no observation names is named nowhere.
    """
    problems: list[CiparkError] = []
    noise = {parameter.name for parameter in parameters if parameter.target == "noise"}
    earlier: set[str] = set()
    for observation in observations:
        where = f"observation {observation.name!r}"
        outputs = {name for quantity in quantities_of([observation]) for name, _ in quantity.parts}
        problems += [p for name in sorted(outputs - earlier) if (p := output_problem(model, name, where)) is not None]
        earlier |= outputs
        for name in dict.fromkeys(name for term in observation.terms for name in parameters_of(term)):
            if name not in noise:
                problems.append(UnknownName(name, noise, kind="noise parameter", where=where))
    problems += _range_problems(observations, parameters)
    used = {name for o in observations for term in o.terms for name in parameters_of(term)}
    used |= {parameter.name for parameter in coding_parameters(observations)}
    problems += [
        InvalidValue(
            "target",
            "noise",
            "a parameter that an observation names as its spread, autocorrelation, share or rate",
            where=f"parameter {name!r}",
        )
        for name in sorted(noise - used)
        if complete
    ]
    settable = [(f"parameter {p.name!r}", p.name) for p in parameters if p.target == "model"]
    settable += [(f"fixed {name!r}", name) for name in fixed]
    owner: dict[str, str] = {name: f"parameter {name!r}" for name in noise}
    for where, name in settable:
        fault = _setting_problem(model, name, where)
        if fault is not None:
            problems.append(fault)
        key = override_key(name)
        if key in owner or base_key(key) in owner:
            problems.append(
                InvalidValue("name", name, f"a constant that is set once; {owner.get(key)} sets it", where=where)
            )
        owner[key] = where
    names = [parameter.name for parameter in parameters]
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.append(InvalidValue("name", name, "each parameter once", where="[[parameter]]"))
    return problems


def _range_problems(observations: Sequence[Observation], parameters: Sequence[Parameter]) -> list[CiparkError]:
    """Noise parameters that may take values which no spread, autocorrelation, share or rate has."""
    problems: list[CiparkError] = []
    noises = {term.noise for o in observations for term in o.terms}
    readings = [q.reading for q in quantities_of(observations) if isinstance(q, ReadQuantity)]
    layers = [reading for reading in readings if isinstance(reading, Reporting)]
    limits = (
        ({noise.spread for noise in noises}, math.inf, "none below 0, for a spread"),
        ({layer.rate for layer in layers}, math.inf, "none below 0, for a rate"),
        ({layer.share for layer in layers}, 1.0, "within 0 and 1, for a share"),
        ({noise.memory.phi for noise in noises if noise.memory}, 1.0, "within 0 and 1, for an autocorrelation"),
    )
    for parameter in parameters:
        low, high = parameter.distribution.quantile(np.array([0.0, 1.0])).tolist()
        problems += [
            InvalidValue("its range", f"{low:g} to {high:g}", expected, where=f"parameter {parameter.name!r}")
            for names, most, expected in limits
            if parameter.target == "noise" and parameter.name in names and not 0 <= low <= high <= most
        ]
    return problems


def coding_parameters(observations: Sequence[Observation]) -> tuple[Parameter, ...]:
    """Parameters of the codings that a fitted breakdown has; one that is only looked at keeps its prior mean."""
    terms = [term for o in observations for term in o.terms if isinstance(term, Breakdown) and term.use == "fit"]
    codings = dict.fromkeys(term.coding for term in terms if term.coding is not None)
    return tuple(parameter for coding in codings for parameter in coding.parameters)


def coding_problems(codings: Iterable[Coding], observations: Sequence[Observation]) -> list[CiparkError]:
    """Codings that no observation uses."""
    used = {term.coding for o in observations for term in o.terms if isinstance(term, Breakdown)}
    return [
        InvalidValue("name", coding.name, "a coding that a breakdown names", where="[[coding]]")
        for coding in codings
        if coding not in used
    ]


def event_problems(events: Iterable[str], observations: Sequence[object]) -> list[CiparkError]:
    """Events that none of the ``[[observation]]`` tables names."""
    named: set[object] = set()
    for table in observations:
        layer = table.get("reported") if isinstance(table, Mapping) else None
        value = layer.get("at") if isinstance(layer, Mapping) else None
        named.update(name for name in (value if isinstance(value, list) else [value]) if isinstance(name, str))
    expected = "an event that an observation names in reported"
    return [InvalidValue("name", name, expected, where="[[event]]") for name in events if name not in named]


def _element_problem(model: Model, name: str, where: str) -> CiparkError | None:
    base, elements = split_key(name)
    variable = model.by_name.get(base)
    if variable is None:
        labels = [v.label for v in model.variables if v.name not in CONTROL]
        return UnknownName(split_name(name)[0], labels, where=f"{where}: model {model.name}")
    if elements in model.elements(variable):
        return None
    shown = model.labels(variable)
    return (
        UnknownName(name, shown, kind="element", where=f"{where}: model {model.name}")
        if elements
        else InvalidValue("the variable", name, "one element of it: " + ", ".join(shown[:8]), where=where)
    )


def output_problem(model: Model, name: str, where: str) -> CiparkError | None:
    """What keeps a name from being read as an observed quantity, None when nothing does."""
    fault = _element_problem(model, name, where)
    if fault is None and isinstance(model[base_key(name)], Lookup):
        return InvalidValue("the variable", name, "one with values over time, not a lookup", where=where)
    return fault


def _setting_problem(model: Model, name: str, where: str) -> CiparkError | None:
    fault = _element_problem(model, name, where)
    if fault is not None:
        return fault
    variable = model[base_key(name)]
    match variable:
        case Constant() | Stock():
            return None
        case _:
            return InvalidValue("name", name, f"a constant or a stock, not the {kind(variable)} it is", where=where)


def variant_problems(
    model: Model, scenario: Scenario, variants: Sequence[Structure], parameters: Sequence[str]
) -> list[CiparkError]:
    """Variants that set what the model does not have or what is estimated."""
    problems: list[CiparkError] = []
    for variant in variants:
        problems += setting_problems(model, scenario, variant.scenario, parameters, f"variant {variant.id!r}", "set")
    return problems


def setting_problems(
    model: Model, scenario: Scenario, changes: Scenario, parameters: Sequence[str], where: str, key: str
) -> list[CiparkError]:
    """What is wrong with constants set under ``key``."""
    estimated = {override_key(name) for name in parameters}
    expected = "a constant that is not estimated, else the parameter would have no effect"
    problems: list[CiparkError] = [
        InvalidValue(key, name, expected, where=where) for name in changes.overrides if override_key(name) in estimated
    ]
    collected(problems, partial(resolve, model, scenario | changes))
    return problems


def prediction_problems(
    model: Model, span: Scenario, predictions: Sequence[Prediction], parameters: Sequence[Parameter]
) -> list[CiparkError]:
    """Predictions of what the model does not have, before it starts, or with constants that cannot be set."""
    problems: list[CiparkError] = []
    initial = model.time.initial if span.initial_time is None else span.initial_time
    names = [parameter.name for parameter in parameters]
    for prediction in predictions:
        where = f"prediction {prediction.name!r}"
        outputs = dict.fromkeys(name for name, _ in prediction.parts)
        problems += [p for name in outputs if (p := output_problem(model, name, where)) is not None]
        if prediction.time < initial:
            problems.append(InvalidValue("at", prediction.time, f"a time from {initial:g} on", where=where))
        for key, scenario in (("set", prediction.scenario), ("against", prediction.against)):
            if scenario is not None:
                problems += setting_problems(model, span, scenario, names, where, key)
    return problems


def time_problems(
    model: Model, span: Scenario, observations: Sequence[Observation], holdout: Sequence[float]
) -> list[CiparkError]:
    initial = model.time.initial if span.initial_time is None else span.initial_time
    final = model.time.final if span.final_time is None else span.final_time
    expected = f"a time of the run, {initial:g} to {final:g}"
    problems: list[CiparkError] = []
    for observation in observations:
        outside: dict[float, str] = {}
        for term in observation.terms:
            for quantity in term.quantities:
                times = [t for t in quantity.times if not initial <= t <= final and math.isfinite(t)]
                # the end of a window is the start of the next
                outside = dict.fromkeys(times, term.label) | outside
                if quantity.how != "at" and not quantity.start < quantity.end:
                    window = f"{quantity.start:g} to {quantity.end:g}"
                    problems.append(
                        InvalidValue("the window", window, "a start before its end", where=repr(term.label))
                    )
        if outside:
            first = min(outside)
            many = f"{len(outside)} of its times lie" if len(outside) > 1 else "one of its times lies"
            problems.append(
                UnusableInput(
                    f"{many} outside the run, {initial:g} to {final:g}: {outside[first]!r} is time {first:g}; look at "
                    "[dates] origin and unit, and at from and to of [model]",
                    where=f"observation {observation.name!r}",
                )
            )
    problems += [InvalidValue("origins", t, expected, where="[holdout]") for t in holdout if not initial < t < final]
    return problems


class CountedTwice(CiparkError):
    """The same events would enter the likelihood twice."""

    def __init__(self, where: str, first: str, second: str, reason: str) -> None:
        super().__init__(f"{where}: {first} and {second} count the same events twice: {reason}")


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A row of the fit: its table, its term, and the quantity that has its date or window."""

    table: tuple[str, str]
    term: Term
    lead: Quantity

    @property
    def variables(self) -> set[str]:
        """All that it reads of the model."""
        return {name for quantity in self.term.quantities for name, _ in quantity.parts}

    @property
    def sort(self) -> Hashable:
        """What two rows of one table have in common that meet the same other rows, their times aside."""
        match self.term:
            case Count() as count:
                kind: Hashable = _ratio_of(count)
            case Share() as share:
                kind = share.since is None
            case split:
                kind = split.known_sizes is not None, split.recodes, split.n_true
        return type(self.term), kind, tuple(dict.fromkeys(quantity.parts for quantity in self.term.quantities))


def counted_twice(observations: Sequence[Observation], *, where: str) -> Iterator[CountedTwice]:
    """What is used for the fit and stands in it twice already.

    Increments or flows of one variable over windows that overlap; a level of a variable whose increments are fitted; a
    count and a breakdown at the same date that read the same output; two splits of the same total at one date or over
    windows that overlap. Of a pair of tables the first rows are named, within a table each row that meets an earlier
    one.
    """
    rows = [
        _Fitted((observation.name, observation.kind), term, term.quantities[0])
        for observation in observations
        for term in observation.terms
        if term.use == "fit"
    ]
    named: set[Hashable] = set()
    for i, j in sorted(_candidates(rows)):
        first, second = rows[i], rows[j]
        key = (first.table, second.table) if first.table[0] != second.table[0] else j
        if key not in named and (reason := _overlap(first.term, second.term)) is not None:
            named.add(key)
            yield CountedTwice(where, f"{first.term.label!r}", f"{second.term.label!r}", reason)


def _candidates(rows: Sequence[_Fitted]) -> set[tuple[int, int]]:
    """Pairs of rows that may count the same: at least one for each row and each table that it meets."""
    equal: dict[Hashable, list[int]] = defaultdict(list)
    windows: dict[str, list[int]] = defaultdict(list)
    mixed: dict[str, dict[Hashable, int]] = defaultdict(dict)
    for i, row in enumerate(rows):
        if isinstance(row.term, Count) and _metric(row.lead) is not None:
            equal[row.lead].append(i)
        if isinstance(row.term, Breakdown) and row.term.known_sizes is not None:
            equal[row.term.known_sizes, row.term.coding].append(i)
        for name in row.variables:
            if row.lead.how == "at":
                equal[name, row.lead.end].append(i)
            else:
                windows[name].append(i)
            # a level and an increment meet whatever their times
            mixed[name].setdefault((row.table, row.sort, row.lead.how == "at"), i)
    pairs: set[tuple[int, int]] = set()
    for met in equal.values():
        first: dict[Hashable, int] = {}
        for i in met:
            earlier = first.setdefault((rows[i].table, rows[i].sort), i)
            pairs.add((earlier, i))
        pairs.update(combinations(first.values(), 2))
    for met in windows.values():
        pairs.update(_open_together(rows, met))
    for kinds in mixed.values():
        pairs.update(combinations(kinds.values(), 2))
    return {(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]}


def _open_together(rows: Sequence[_Fitted], members: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Pairs of rows whose windows overlap: each with the last to end of earlier ones, by table and sort."""
    still_open: dict[Hashable, int] = {}
    for i in sorted(members, key=lambda i: (rows[i].lead.start, rows[i].lead.end, i)):
        start, end = rows[i].lead.start, rows[i].lead.end
        still_open = {sort: j for sort, j in still_open.items() if rows[j].lead.end > start}
        for j in still_open.values():
            yield j, i
        sort = (rows[i].table, rows[i].sort)
        if sort not in still_open or rows[still_open[sort]].lead.end < end:
            still_open[sort] = i


def _overlap(first: Term, second: Term) -> str | None:
    match first, second:
        case Count(), Count():
            shared = _shared(first.quantities, second.quantities)
            a, b = first.quantity, second.quantity
            metric = _metric(a)
            if metric is not None or _metric(b) is not None:
                return f"both say the {metric.name} of {shared}" if metric is not None and a == b else None
            # a ratio says nothing about the size of its parts
            if not shared or _ratio_of(first) != _ratio_of(second):
                return None
            if a.how == "at" and b.how == "at":
                return f"{shared} is given at time {a.end:g} by both" if a.end == b.end else None
            if a.how == "at" or b.how == "at":
                return (
                    f"a level of {shared} is the sum of its increments; give one of the two another use, "
                    "such as use = 'check'"
                )
            return _windows_overlap(a, b, shared)
        case (Count() as count, (Breakdown() | Share()) as split) | (
            (Breakdown() | Share()) as split,
            Count() as count,
        ):
            shared = _shared(count.quantities, split.quantities)
            a, b = count.quantity, split.quantities[0]
            if isinstance(split, Share) and split.since is not None and a.how != "at" and a.parts == b.parts:
                return _windows_overlap(a, b, shared)
            same_date = count.quantity.how == "at" and split.quantities[0].how == "at"
            if shared and same_date and count.quantity.end == split.quantities[0].end and _is_part(count, split):
                return f"{shared} at that date is a category of the breakdown already"
            return None
        case ((Breakdown() | Share()), (Breakdown() | Share())):
            return _split_twice(first, second)
        case _:
            return None


def _metric(quantity: Quantity) -> Metric | None:
    reading = quantity.reading if isinstance(quantity, ReadQuantity) else None
    return reading if isinstance(reading, Metric) else None


def _ratio_of(count: Count) -> object:
    return None if count.denominator is None else (count.quantity.parts, count.denominator.parts)


def _windows_overlap(a: Quantity, b: Quantity, shared: str) -> str | None:
    if max(a.start, b.start) < min(a.end, b.end):
        return (
            f"the windows {a.start:.2f} to {a.end:.2f} and {b.start:.2f} to {b.end:.2f} of {shared} overlap; "
            "cut them so that each time point lies in one"
        )
    return None


def _split_twice(first: Breakdown | Share, second: Breakdown | Share) -> str | None:
    """Two splits of the same total at one date or over windows that overlap.

    A split whose sizes are given, or whose members are, adds no split of the same total to the other.
    """
    known = [split.known_sizes is not None for split in (first, second) if isinstance(split, Breakdown)]
    first_parts, second_parts = _split_parts(first), _split_parts(second)
    a, b = first.quantities[0], second.quantities[0]
    if isinstance(first, Breakdown) and isinstance(second, Breakdown) and first.recodes != second.recodes:
        equal = first.known_sizes is not None and (first.known_sizes, first.coding) == (
            second.known_sizes,
            second.coding,
        )
        return "both recode members of one table; fit either of them" if equal else None
    if not first_parts & second_parts or (any(known) and not all(known)):
        return None
    if a.how == "at" and b.how == "at":
        equal = first_parts == second_parts or isinstance(first, Share) or isinstance(second, Share)
        return f"both split the same total at time {a.end:g}" if a.end == b.end and equal else None
    if a.how == "at" or b.how == "at":
        return None
    return _windows_overlap(a, b, _shared(first.quantities, second.quantities))


def _split_parts(split: Breakdown | Share) -> set[tuple[tuple[str, float], ...]]:
    chosen = split.quantities[: split.n_true] if isinstance(split, Breakdown) else split.quantities[:1]
    return {quantity.parts for quantity in chosen}


def _shared(first: Sequence[Quantity], second: Sequence[Quantity]) -> str:
    names = {name for quantity in first for name, _ in quantity.parts}
    return ", ".join(sorted(names & {name for quantity in second for name, _ in quantity.parts}))


def _is_part(count: Count, split: Breakdown | Share) -> bool:
    return any(count.quantity.parts == quantity.parts for quantity in split.quantities)
