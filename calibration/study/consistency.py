"""Whether the parts of a study agree: names that are the model's, constants set once, times within the run.

No event may enter the likelihood twice, by rows of the fit whose windows or dates meet on the same variable. Only rows
that can meet are compared, so that the work grows with the rows and not with their pairs: those that share a date are
looked up by it, and a sweep over the windows in order of their starts keeps those that are still open.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations
from typing import Literal

import numpy as np

from calibration.study.observations import (
    Breakdown,
    Count,
    Observation,
    Prediction,
    Quantity,
    ReadQuantity,
    Share,
    Term,
    parameters_of,
    quantities_of,
    reporting_of,
)
from calibration.study.parameters import Parameter
from cipark_sd.analysis.experiments.definition import Structure
from cipark_sd.base.errors import CiparkError, InvalidValue, UnknownName, UnusableInput, collected
from cipark_sd.base.naming import base_name, override_key
from cipark_sd.data.readings import Metric
from cipark_sd.data.scenarios import Scenario, resolve
from cipark_sd.model.model import Model
from cipark_sd.model.named import output_problem, setting_problem


def name_problems(
    model: Model,
    observations: Sequence[Observation],
    parameters: Sequence[Parameter],
    fixed: Sequence[str],
    *,
    complete: bool,
) -> list[CiparkError]:
    """Names that are not the model's, that cannot be set, or that are set twice.

    Parameters
    ----------
    parameters : sequence of Parameter
        Of the model and of the noise.
    fixed : sequence of str
        Constants that are held.
    complete : bool
        Whether all observations could be read, so that what no observation names is named nowhere.
    """
    problems: list[CiparkError] = []
    noise = {parameter.name for parameter in parameters if parameter.target == "noise"}
    used: set[str] = set()
    earlier: set[str] = set()
    for observation in observations:
        where = f"observation {observation.name!r}"
        outputs = {name for quantity in quantities_of([observation]) for name, _ in quantity.parts}
        problems += [p for name in sorted(outputs - earlier) if (p := output_problem(model, name, where)) is not None]
        earlier |= outputs
        names = dict.fromkeys(name for term in observation.terms for name in parameters_of(term))
        problems += [
            UnknownName(name, noise, kind="noise parameter", where=where) for name in names if name not in noise
        ]
        used |= names.keys()
    problems += _range_problems(observations, parameters)
    expected = "a parameter that an observation names as its spread, autocorrelation, factor, share or rate"
    unused = sorted(noise - used) if complete else []
    problems += [InvalidValue("target", "noise", expected, where=f"parameter {name!r}") for name in unused]
    settable = [(f"parameter {p.name!r}", p.name) for p in parameters if p.target == "model"]
    settable += [(f"fixed {name!r}", name) for name in fixed]
    owner: dict[str, str] = {name: f"parameter {name!r}" for name in noise}
    for where, name in settable:
        if (fault := setting_problem(model, name, where)) is not None:
            problems.append(fault)
        key = override_key(name)
        if key in owner or base_name(key) in owner:
            expected = f"a constant that is set once; {owner.get(key)} sets it"
            problems.append(InvalidValue("name", name, expected, where=where))
        owner[key] = where
    times = Counter(parameter.name for parameter in parameters)
    repeated = sorted(name for name in times if times[name] > 1)
    problems += [InvalidValue("name", name, "each parameter once", where="[[parameter]]") for name in repeated]
    return problems


def _range_problems(observations: Sequence[Observation], parameters: Sequence[Parameter]) -> list[CiparkError]:
    """Noise parameters that may take values which no spread, autocorrelation, factor, share or rate has."""
    problems: list[CiparkError] = []
    noises = {term.noise for o in observations for term in o.terms}
    layers = [layer for q in quantities_of(observations) if (layer := reporting_of(q)) is not None]
    limits = (
        ({noise.spread for noise in noises}, math.inf, "none below 0, for a spread"),
        ({layer.rate for layer in layers}, math.inf, "none below 0, for a rate"),
        ({q.factor for q in quantities_of(observations)}, math.inf, "none below 0, for a factor"),
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


def unused_events(events: Iterable[str], tables: Sequence[object]) -> list[CiparkError]:
    """Events that no observation uses.

    Parameters
    ----------
    tables : sequence
        The ``[[observation]]`` tables as they stand in the file: one that could not be read may name an event too.
    """
    named: set[object] = set()
    for table in tables:
        layer = table.get("reported") if isinstance(table, Mapping) else None
        value = layer.get("at") if isinstance(layer, Mapping) else None
        named.update(name for name in (value if isinstance(value, list) else [value]) if isinstance(name, str))
    expected = "an event that an observation names in reported"
    return [InvalidValue("name", name, expected, where="[[event]]") for name in events if name not in named]


def variant_problems(
    model: Model, span: Scenario, variants: Sequence[Structure], parameters: Sequence[str]
) -> list[CiparkError]:
    """Variants that set what the model does not have or what is estimated.

    Parameters
    ----------
    span : Scenario
        Of the run.
    parameters : sequence of str
        Names of what is estimated.
    """
    problems: list[CiparkError] = []
    for variant in variants:
        problems += _settings_problems(model, span, variant.scenario, parameters, f"variant {variant.id!r}", "set")
    return problems


def _settings_problems(
    model: Model, span: Scenario, changes: Scenario, parameters: Sequence[str], where: str, key: str
) -> list[CiparkError]:
    """What is wrong with constants set under ``key``."""
    estimated = {override_key(name) for name in parameters}
    expected = "a constant that is not estimated, else the parameter would have no effect"
    problems: list[CiparkError] = [
        InvalidValue(key, name, expected, where=where) for name in changes.overrides if override_key(name) in estimated
    ]
    collected(problems, partial(resolve, model, span | changes))
    return problems


def prediction_problems(
    model: Model, span: Scenario, predictions: Sequence[Prediction], parameters: Sequence[str]
) -> list[CiparkError]:
    """Predictions of what the model does not have, before it starts, or with constants that cannot be set.

    Parameters
    ----------
    span : Scenario
        Of the run.
    parameters : sequence of str
        Names of what is estimated.
    """
    problems: list[CiparkError] = []
    initial = resolve(model, span).initial_time
    for prediction in predictions:
        where = f"prediction {prediction.name!r}"
        outputs = dict.fromkeys(name for name, _ in prediction.parts)
        problems += [p for name in outputs if (p := output_problem(model, name, where)) is not None]
        if prediction.time < initial:
            problems.append(InvalidValue("at", prediction.time, f"a time from {initial:g} on", where=where))
        for key, scenario in (("set", prediction.scenario), ("against", prediction.against)):
            if scenario is not None:
                problems += _settings_problems(model, span, scenario, parameters, where, key)
    return problems


def time_problems(
    model: Model, span: Scenario, observations: Sequence[Observation], holdout: Sequence[float]
) -> list[CiparkError]:
    """Windows that end before they start, and times outside of the run.

    Parameters
    ----------
    span : Scenario
        Of the run.
    holdout : sequence of float
        Model times of the origins of hold-outs.
    """
    run = resolve(model, span)
    initial, final = run.initial_time, run.final_time
    problems: list[CiparkError] = []
    for observation in observations:
        outside: dict[float, str] = {}
        for term in observation.terms:
            for quantity in term.quantities:
                times = [t for t in quantity.times if not initial <= t <= final and math.isfinite(t)]
                # the end of a window is the start of the next
                outside = dict.fromkeys(times, term.label) | outside
                if quantity.how != "at" and not quantity.start < quantity.end:
                    window, where = f"{quantity.start:g} to {quantity.end:g}", repr(term.label)
                    problems.append(InvalidValue("the window", window, "a start before its end", where=where))
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
    expected = f"a time of the run, {initial:g} to {final:g}"
    problems += [InvalidValue("origins", t, expected, where="[holdout]") for t in holdout if not initial < t < final]
    return problems


class CountedTwice(CiparkError):
    """The same events would enter the likelihood twice."""

    def __init__(self, where: str, first: str, second: str, reason: str) -> None:
        super().__init__(f"{where}: {first} and {second} count the same events twice: {reason}")


def counted_twice(observations: Sequence[Observation], *, where: str) -> Iterator[CountedTwice]:
    """What is used for the fit and stands in it twice already.

    Increments or flows of one variable over windows that overlap; a level of a variable whose increments are fitted;
    a level in two tables of which most numbers are the same (several of one table, and others, are replicates); a count
    and a breakdown at the same date that read the same output; two splits of the same total at one date or over windows
    that overlap.

    Parameters
    ----------
    where : str
        For messages: the file.

    Yields
    ------
    CountedTwice
        Of a pair of tables the first rows that meet, within a table each row that meets an earlier one.
    """
    tables = [(o.name, o.kind) for o in observations for term in o.terms if term.use == "fit"]
    terms = [term for o in observations for term in o.terms if term.use == "fit"]
    named: set[Hashable] = set()
    pairs = sorted(_candidates(tables, terms))
    apart = _readings_apart(tables, terms, pairs)
    for i, j in pairs:
        if (tables[i], tables[j]) in apart and _reading(terms[i], terms[j]):
            continue
        key = (tables[i], tables[j]) if tables[i][0] != tables[j][0] else j
        if key not in named and (reason := _overlap(terms[i], terms[j], tables[i] == tables[j])) is not None:
            named.add(key)
            yield CountedTwice(where, f"{terms[i].label!r}", f"{terms[j].label!r}", reason)


def _readings_apart(
    tables: Sequence[Hashable], terms: Sequence[Term], pairs: Iterable[tuple[int, int]]
) -> set[tuple[Hashable, Hashable]]:
    """Two tables that read a level at the same times and do not agree at most of them: readings of their own."""
    agree: Counter[tuple[Hashable, Hashable]] = Counter()
    for i, j in pairs:
        if tables[i] != tables[j] and (reading := _reading(terms[i], terms[j])):
            agree[tables[i], tables[j]] += 1 if reading == "the same" else -1
    return {pair for pair, excess in agree.items() if excess <= 0}


def _reading(first: Term, second: Term) -> Literal["", "the same", "another"]:
    """Whether two rows read one level at one time, and the same number; empty where they do not."""
    if not isinstance(first, Count) or not isinstance(second, Count) or _ratio_of(first) != _ratio_of(second):
        return ""
    a, b = first.quantity, second.quantity
    if a.how != "at" or b.how != "at" or a.end != b.end or not _variables(first) & _variables(second):
        return ""
    return "the same" if (first.lower, first.upper) == (second.lower, second.upper) else "another"


def _candidates(tables: Sequence[Hashable], terms: Sequence[Term]) -> set[tuple[int, int]]:
    """Pairs of terms that may count the same: at least one for each term and each table that it meets."""
    sorts = [(table, _sort(term)) for table, term in zip(tables, terms, strict=True)]
    equal: dict[Hashable, list[int]] = defaultdict(list)
    windows: dict[str, list[int]] = defaultdict(list)
    mixed: dict[str, dict[Hashable, int]] = defaultdict(dict)
    for i, term in enumerate(terms):
        lead = term.quantities[0]
        if isinstance(term, Count) and _metric(lead) is not None:
            equal[lead].append(i)
        for name in _variables(term):
            if lead.how == "at":
                equal[name, lead.end].append(i)
            else:
                windows[name].append(i)
            # a level and an increment meet whatever their times
            mixed[name].setdefault((sorts[i], lead.how == "at"), i)
    pairs: set[tuple[int, int]] = set()
    for met in equal.values():
        first: dict[Hashable, int] = {}
        pairs.update((first.setdefault(sorts[i], i), i) for i in met)
        pairs.update(combinations(first.values(), 2))
    for met in windows.values():
        pairs.update(_open_together(sorts, terms, met))
    for kinds in mixed.values():
        pairs.update(combinations(kinds.values(), 2))
    return {(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]}


def _sort(term: Term) -> Hashable:
    """What two terms of one table have in common that meet the same other terms, their times aside."""
    match term:
        case Count():
            kind: Hashable = _ratio_of(term)
        case Share():
            kind = term.since is None
        case Breakdown():
            kind = len(term.categories)
    return type(term), kind, tuple(dict.fromkeys(quantity.parts for quantity in term.quantities))


def _open_together(
    sorts: Sequence[Hashable], terms: Sequence[Term], members: Sequence[int]
) -> Iterator[tuple[int, int]]:
    """Pairs of terms whose windows overlap: each with the last to end of earlier ones, by table and sort."""
    windows = {i: (terms[i].quantities[0].start, terms[i].quantities[0].end) for i in members}
    still_open: dict[Hashable, int] = {}
    for i in sorted(members, key=lambda i: (*windows[i], i)):
        start, end = windows[i]
        still_open = {sort: j for sort, j in still_open.items() if windows[j][1] > start}
        for j in still_open.values():
            yield j, i
        if sorts[i] not in still_open or windows[still_open[sorts[i]]][1] < end:
            still_open[sorts[i]] = i


def _overlap(first: Term, second: Term, of_one_table: bool) -> str | None:
    """How two terms count the same events, in words; None where they do not."""
    shared = ", ".join(sorted(_variables(first) & _variables(second)))
    match first, second:
        case Count(), Count():
            return _counts_overlap(first, second, shared, of_one_table)
        case Count(), (Breakdown() | Share()):
            return _part_overlaps(first, second, shared)
        case ((Breakdown() | Share()), Count()):
            return _part_overlaps(second, first, shared)
        case ((Breakdown() | Share()), (Breakdown() | Share())):
            return _splits_overlap(first, second, shared)
        case _:
            return None


def _counts_overlap(first: Count, second: Count, shared: str, of_one_table: bool) -> str | None:
    a, b = first.quantity, second.quantity
    metric = _metric(a)
    if metric is not None or _metric(b) is not None:
        return f"both say the {metric.name} of {shared}" if metric is not None and a == b else None
    # a ratio says nothing about the size of its parts
    if not shared or _ratio_of(first) != _ratio_of(second):
        return None
    if a.how == b.how == "at":
        # a level may be read several times; a table of the same numbers is the same readings
        repeated = not of_one_table and _reading(first, second) == "the same"
        reason = f"{shared} at time {a.end:g} is the same number in both; give one another use, such as use = 'check'"
        return reason if repeated else None
    if "at" in (a.how, b.how):
        return (
            f"a level of {shared} is the sum of its increments; give one of the two another use, such as use = 'check'"
        )
    return _windows_overlap(a, b, shared)


def _part_overlaps(count: Count, split: Breakdown | Share, shared: str) -> str | None:
    a, b = count.quantity, split.quantities[0]
    if isinstance(split, Share) and split.since is not None and a.how != "at" and a.parts == b.parts:
        return _windows_overlap(a, b, shared)
    is_part = any(a.parts == quantity.parts for quantity in split.quantities)
    if shared and a.how == b.how == "at" and a.end == b.end and is_part:
        return f"{shared} at that date is a category of the breakdown already"
    return None


def _splits_overlap(first: Breakdown | Share, second: Breakdown | Share, shared: str) -> str | None:
    """Two splits of the same total at one date or over windows that overlap."""
    a, b = first.quantities[0], second.quantities[0]
    first_parts, second_parts = _split_parts(first), _split_parts(second)
    if not first_parts & second_parts:
        return None
    if a.how == b.how == "at":
        equal = first_parts == second_parts or isinstance(first, Share) or isinstance(second, Share)
        return f"both split the same total at time {a.end:g}" if a.end == b.end and equal else None
    return None if "at" in (a.how, b.how) else _windows_overlap(a, b, shared)


def _windows_overlap(a: Quantity, b: Quantity, shared: str) -> str | None:
    if max(a.start, b.start) < min(a.end, b.end):
        return (
            f"the windows {a.start:.2f} to {a.end:.2f} and {b.start:.2f} to {b.end:.2f} of {shared} overlap; "
            "cut them so that each time point lies in one"
        )
    return None


def _variables(term: Term) -> set[str]:
    """All that a term reads of the model."""
    return {name for quantity in term.quantities for name, _ in quantity.parts}


def _metric(quantity: Quantity) -> Metric | None:
    reading = quantity.reading if isinstance(quantity, ReadQuantity) else None
    return reading if isinstance(reading, Metric) else None


def _ratio_of(count: Count) -> Hashable:
    return None if count.denominator is None else (count.quantity.parts, count.denominator.parts)


def _split_parts(split: Breakdown | Share) -> set[tuple[tuple[str, float], ...]]:
    chosen = split.quantities if isinstance(split, Breakdown) else split.quantities[:1]
    return {quantity.parts for quantity in chosen}
