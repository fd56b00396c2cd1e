"""Whether the parts of a study agree: names that are the model's, constants set once, times within the run."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from calibration.readings.reporting import Reporting
from calibration.study.classification import Coding
from calibration.study.observations import Breakdown, Observation, ReadQuantity, parameters_of, quantities_of
from calibration.study.parameters import Parameter
from calibration.study.predictions import Prediction
from calibration.study.sections import Fixed
from calibration.study.variants import setting_problems
from cipark_sd.errors import CiparkError, InvalidValue, UnknownName, UnusableInput
from cipark_sd.model.model import CONTROL, Model
from cipark_sd.model.variables import Constant, Lookup, Stock, kind
from cipark_sd.naming import split_name
from cipark_sd.scenarios import Scenario, split_key
from cipark_sd.scenarios import override_key as output_key


def name_problems(
    model: Model,
    observations: Sequence[Observation],
    parameters: Sequence[Parameter],
    fixed: Sequence[Fixed],
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
    settable += [(f"fixed {item.name!r}", item.name) for item in fixed]
    owner: dict[str, str] = {name: f"parameter {name!r}" for name in noise}
    for where, name in settable:
        fault = _setting_problem(model, name, where)
        if fault is not None:
            problems.append(fault)
        key = output_key(name)
        if key in owner or split_key(key)[0] in owner:
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


def _element_problem(model: Model, name: str, where: str) -> CiparkError | None:
    base, elements = split_key(output_key(name))
    variable = model.by_name.get(base)
    if variable is None:
        labels = [v.label for v in model.variables if v.name not in CONTROL]
        return UnknownName(split_name(name)[0], labels, where=f"{where}: model {model.name}")
    combinations_ = model.elements(variable)
    if elements in combinations_:
        return None
    shown = [f"{variable.label}[{','.join(labels)}]" if labels else variable.label for labels in combinations_]
    return (
        UnknownName(name, shown, kind="element", where=f"{where}: model {model.name}")
        if elements
        else InvalidValue("the variable", name, "one element of it: " + ", ".join(shown[:8]), where=where)
    )


def output_problem(model: Model, name: str, where: str) -> CiparkError | None:
    """What keeps a name from being read as an observed quantity, None when nothing does."""
    fault = _element_problem(model, name, where)
    if fault is None and isinstance(model[split_key(output_key(name))[0]], Lookup):
        return InvalidValue("the variable", name, "one with values over time, not a lookup", where=where)
    return fault


def _setting_problem(model: Model, name: str, where: str) -> CiparkError | None:
    fault = _element_problem(model, name, where)
    if fault is not None:
        return fault
    variable = model[split_key(output_key(name))[0]]
    match variable:
        case Constant() | Stock():
            return None
        case _:
            return InvalidValue("name", name, f"a constant or a stock, not the {kind(variable)} it is", where=where)


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
