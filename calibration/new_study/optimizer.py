"""A study from what Vensim's optimizer was given and gave: payoff definition, control, changes, and a result.

The payoff becomes the objective of the study, and the constants of the control its parameters, element by element.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from calibration.likelihood.posterior import posterior
from calibration.new_study.folders import bring, check_free, move_into
from calibration.new_study.request import Request
from calibration.new_study.text import block, toml
from calibration.study import FILE
from calibration.study.payoff import expanded
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd.base.errors import CiparkError, InvalidValue, UnusableInput, raise_all
from cipark_sd.base.files import draft_of, file_name
from cipark_sd.base.library import located
from cipark_sd.base.naming import base_name, override_key
from cipark_sd.data.scenarios import Override, Scenario, written
from cipark_sd.engines.registry import choose
from cipark_sd.language.read.changes_files import as_scenario
from cipark_sd.language.read.model_file import read_model, with_series
from cipark_sd.language.read.vensim.payoff_files import PayoffElement, read_payoff
from cipark_sd.language.read.vensim.search_controls import SearchControl, SearchRange, read_search_control
from cipark_sd.model.model import Model

#: When an element counts, by the letters of its type: a policy of a step, of the final or of the initial time.
_TIMES = {"": "each step", "F": "end", "I": "start"}
#: What a calibration adds at each datum; a weight is 1 over the noise, its sd, its variance, or its scale.
_DISTRIBUTIONS = {"": "squares", "G": "normal", "K": "normal by variance", "R": "laplace", "P": "poisson"}


@dataclass(frozen=True)
class OptimizerStudy:
    """What was written, and what was found on the way.

    ``payoffs`` are those at the start, as a plain sum over steps and with each step times TIME STEP, and ``chosen`` is
    which of the two the study maximises; ``theirs`` is what a result says of its optimum, ``not_used`` are options of
    their optimizer.
    """

    folder: Path
    n_parameters: int
    payoffs: Mapping[str, float]
    chosen: str
    theirs: float | None
    not_used: Mapping[str, str]


PLAIN, TIMES_STEP = "a plain sum over steps", "each step times TIME STEP"


def from_optimizer(request: Request) -> OptimizerStudy:
    """Write the study of a payoff and a control.

    Raises
    ------
    CiparkError
        For what is missing, cannot be read or cannot be translated.
    """
    if request.model is None or request.payoff is None or request.control is None:
        lacking = "MODEL" if request.model is None else "--payoff" if request.payoff is None else "--control"
        example = "cipark new-study my.mdl --payoff fit.vpd --control fit.voc"
        raise UnusableInput(f"{lacking} is missing; for example, {example}", where="new-study")
    if request.data is not None:
        raise InvalidValue("DATA", request.data.name, "no table beside --payoff", where="new-study")
    folder = request.output or Path(file_name(request.payoff.stem))
    check_free(folder, force=request.force)
    path = located(request.model)
    model = read_model(path, allow_files=request.allow_files)
    model = with_series(model, request.series, where="--series", compared=True)
    elements, control = read_payoff(request.payoff), read_search_control(request.control)
    changed = Scenario()
    results = [file for file in request.scenarios if file.suffix.lower() == ".out"]
    for file in request.scenarios:
        changed |= as_scenario(file, model)
    theirs = read_search_control(results[-1]).payoff if results else control.payoff
    problems: list[CiparkError] = []
    payoff = partial(_payoff, elements, request.payoff.name, problems)
    plain, sections = list(payoff(times_step=False)), list(_fixed(control, model, changed, problems))
    sections[:0] = _parameters(model, control, changed, request.control.name, problems)
    raise_all("new-study", problems)
    with draft_of(folder) as draft:
        series = bring(draft, path, model, request.series)
        head = list(_head(folder.name, path.name, series, changed))

        def written_with(payoff: Iterable[str]) -> CalibrationProblem:
            (draft / FILE).write_text("\n".join([*head, *payoff, *sections, _METHOD]), encoding="utf-8")
            try:
                return read_problem(draft, allow_files=request.allow_files, maximised=True)
            except CiparkError as fault:
                # the draft, which goes, is no place that a user could look at
                raise UnusableInput(str(fault).replace(f"{draft}{os.sep}", ""), where="new-study") from None

        problem = written_with(plain)
        payoffs = _at_start(problem)
        if not np.isfinite(payoffs[PLAIN]):
            raise InvalidValue("the payoff at the start", payoffs[PLAIN], "a finite number", where=str(request.payoff))
        # without a result the plain sum, which recorded payoffs of published models are
        chosen = PLAIN if theirs is None else min(payoffs, key=lambda reading: abs(payoffs[reading] - theirs))
        if chosen == TIMES_STEP:
            problem = written_with(payoff(times_step=True))
        move_into(draft, folder)
    return OptimizerStudy(folder, len(problem.space), payoffs, chosen, theirs, control.options)


def _at_start(problem: CalibrationProblem) -> dict[str, float]:
    """The payoff of the starts, read both ways."""
    start = np.array(
        [[m if p.start is None else p.start for p, m in zip(problem.space, problem.space.medians, strict=True)]]
    )
    payoffs = {}
    is_summed = any(p.at == "each step" for p in problem.payoff)
    for reading, times_step in ((PLAIN, False), (TIMES_STEP, True))[: 1 + is_summed]:
        payoff = tuple(replace(p, times_step=times_step and p.at == "each step") for p in problem.payoff)
        density = posterior(replace(problem, payoff=payoff), choose("native"))
        payoffs[reading] = float(density.log_likelihood(start)[0])
    return payoffs


def _head(title: str, model: str, series: Sequence[str], changed: Scenario) -> Iterator[str]:
    yield from (f"title = {toml(title)}", "", "[model]", f"file = {toml(model)}")
    if series:
        yield f"series = [{', '.join(map(toml, series))}]"
    span = {"from": changed.initial_time, "to": changed.final_time, "step": changed.time_step}
    yield from (f"{key} = {value!r}" for key, value in span.items() if value is not None)


def _payoff(
    elements: Sequence[PayoffElement], file: str, problems: list[CiparkError], *, times_step: bool
) -> Iterator[str]:
    for element in elements:
        where, letters = f"{file}:{element.line}", element.modifiers
        known, is_data = (_DISTRIBUTIONS, True) if element.kind == "calibration" else (_TIMES, False)
        says = known.get(letters.replace("L", "", 1))
        if says is None or (letters == "P" and element.weight != 1.0):
            expected = "*P or *R, with I or F, or *C, with G, K, R or with P and a weight of 1; L beside each"
            problems.append(InvalidValue("the type", element.type, expected, where=where))
            continue
        weight = repr(element.weight) if isinstance(element.weight, float) else toml(str(element.weight))
        keys = {"name": toml(where), "variable": toml(str(element.variable)), "weight": weight}
        if is_data:
            keys |= {"data": toml(str(element.data or element.variable)), "distribution": toml(says)}
        else:
            keys |= {"at": toml(says)} | ({"times_step": "true"} if times_step and says == "each step" else {})
        yield block("\n[[payoff]]", **keys | ({"log": "true"} if "L" in letters else {}))
        if is_data and says == "squares" and isinstance(element.weight, float) and element.weight > 0:
            yield f'# as a log density: distribution = "normal", weight = {1 / element.weight:.10g} (the sd)'


def _searched(model: Model, control: SearchControl) -> dict[str, tuple[str, SearchRange]]:
    """Every element that is searched, by key, with its range; of several ranges of one the last counts."""
    return {override_key(name): (name, r) for r in control.ranges for name in expanded(model, str(r.place))}


def _parameters(
    model: Model, control: SearchControl, changed: Scenario, file: str, problems: list[CiparkError]
) -> Iterator[str]:
    values = {override_key(written(key)): value for key, value in changed.overrides.items()}
    for key, (name, searched) in _searched(model, control).items():
        if searched.further:
            expected, where = "no tolerance or steps behind the range: take it away", f"{file}:{searched.line}"
            problems.append(InvalidValue("what stands behind '|'", searched.further, expected, where=where))
        start = values.get(key, searched.start)
        keys = {"name": toml(name), "bounds": f"[{searched.lower!r}, {searched.upper!r}]"}
        if isinstance(start, float):
            keys["start"] = repr(min(max(start, searched.lower), searched.upper))
        yield block("\n[[parameter]]", **keys)


def _fixed(control: SearchControl, model: Model, changed: Scenario, problems: list[CiparkError]) -> Iterator[str]:
    """What changes files set beside the constants that are searched."""
    searched = _searched(model, control)
    for key, value in changed.overrides.items():
        for name, held in _single(model, written(key), value):
            if not isinstance(held, float):
                problems.append(InvalidValue(f"the change of {name!r}", "a table", "a number", where="--scenario"))
            elif override_key(name) not in searched:
                yield block("\n[[fixed]]", name=toml(name), value=repr(held), why=toml("a changes file"))


def _single(model: Model, name: str, value: Override) -> Iterator[tuple[str, object]]:
    """The elements that a change sets, with their values."""
    variable = model.by_name.get(base_name(name))
    if variable is None or "[" in name or not variable.dims:
        yield name, value
        return
    elements = expanded(model, name)
    many = value if isinstance(value, tuple) else (value,) * len(elements)
    yield from zip(elements, many, strict=True)


_METHOD = """
[method]
estimate = "ml"
starts = 10
fast_starts = 2
seed = 1
# log_density = true  # where the payoff is a log likelihood: calibrate then gives intervals
"""
