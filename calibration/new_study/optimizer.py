"""A study from what Vensim's optimizer was given and gave: payoff definition, control, changes, and a result.

The payoff becomes the objective of the study, and the constants of the control its parameters, element by element.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from calibration.likelihood.posterior import posterior
from calibration.new_study.request import Request
from calibration.new_study.study import check_free, files_read, move_into
from calibration.new_study.text import toml
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
from cipark_sd.language.read.model_file import read_model
from cipark_sd.language.read.vensim.payoff_files import PayoffElement, read_payoff
from cipark_sd.language.read.vensim.search_controls import SearchControl, SearchRange, read_search_control
from cipark_sd.model.model import Model

#: When an element counts, by the letters of its type: a policy of a step, of the final or of the initial time.
_TIMES = {"": "each step", "F": "end", "I": "start"}


@dataclass(frozen=True)
class OptimizerStudy:
    """What was written, and what was found on the way.

    Parameters
    ----------
    payoffs : mapping of str to float
        At the start: as a plain sum over steps, and with each step times TIME STEP.
    chosen : str
        Which of the two the study maximises.
    theirs : float or None
        What a result says of its optimum.
    not_used : mapping of str to str
        Options of their optimizer.
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

    Parameters
    ----------
    request : Request
        With a model, a payoff and a control.

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
    model = read_model(path, allow_files=request.allow_files, series=request.series)
    payoff = request.payoff
    elements, control = read_payoff(payoff), read_search_control(request.control)
    changed = Scenario()
    results = [file for file in request.scenarios if file.suffix.lower() == ".out"]
    for file in request.scenarios:
        changed |= as_scenario(file, model)
    theirs = read_search_control(results[-1]).payoff if results else control.payoff
    sections = [*_parameters(model, control, changed, request.control), *_fixed(control, model, changed)]
    with draft_of(folder) as draft:
        draft.mkdir()
        for name in (path.name, *files_read(model)):
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path.parent / name, draft / name)
        for table in request.series:
            (draft / "data" / "series").mkdir(parents=True, exist_ok=True)
            shutil.copyfile(table, draft / "data" / "series" / table.name)
        head = list(_head(folder.name, path.name, request.series, changed))

        def written_with(times_step: bool) -> CalibrationProblem:
            body = [*head, *_payoff(elements, payoff, times_step=times_step), *sections]
            (draft / FILE).write_text("\n".join([*body, *_method()]) + "\n", encoding="utf-8")
            return read_problem(draft, allow_files=request.allow_files, maximised=True)

        problem = written_with(times_step=False)
        payoffs = _at_start(problem)
        if not np.isfinite(payoffs[PLAIN]):
            raise InvalidValue("the payoff at the start", payoffs[PLAIN], "a finite number", where=str(request.payoff))
        chosen = _closest(payoffs, theirs)
        if chosen == TIMES_STEP:
            problem = written_with(times_step=True)
        move_into(draft, folder)
    return OptimizerStudy(folder, len(problem.space), payoffs, chosen, theirs, control.options)


def _at_start(problem: CalibrationProblem) -> dict[str, float]:
    """The payoff of the starts, read both ways."""
    start = np.array(
        [[m if p.start is None else p.start for p, m in zip(problem.space, problem.space.medians, strict=True)]]
    )
    payoffs = {}
    for reading, times_step in ((PLAIN, False), (TIMES_STEP, True)):
        payoff = tuple(replace(p, times_step=times_step and p.at == "each step") for p in problem.payoff)
        density = posterior(replace(problem, payoff=payoff), choose("native"))
        payoffs[reading] = float(density.log_likelihood(start)[0])
    return payoffs


def _closest(payoffs: Mapping[str, float], theirs: float | None) -> str:
    """The reading that a result shows; without one the plain sum, which recorded payoffs of published models are."""
    if theirs is not None and abs(payoffs[TIMES_STEP] - theirs) < abs(payoffs[PLAIN] - theirs):
        return TIMES_STEP
    return PLAIN


def _head(title: str, model: str, series: Sequence[Path], changed: Scenario) -> Iterator[str]:
    yield from (f"title = {toml(title)}", "", "[model]", f"file = {toml(model)}")
    if series:
        yield f"series = [{', '.join(toml(f'data/series/{table.name}') for table in series)}]"
    span = {"from": changed.initial_time, "to": changed.final_time, "step": changed.time_step}
    yield from (f"{key} = {value!r}" for key, value in span.items() if value is not None)


def _payoff(elements: Sequence[PayoffElement], path: Path, *, times_step: bool) -> list[str]:
    lines: list[str] = []
    problems: list[CiparkError] = []
    for element in elements:
        where = f"{path.name}:{element.line}"
        if element.kind == "calibration" or element.modifiers not in _TIMES:
            expected = (
                "*P, *PF, *PI, *R or *RI: what compares with data is an [[observation]], by new-study and a table"
            )
            problems.append(InvalidValue("the type", element.type, expected, where=where))
            continue
        at = _TIMES[element.modifiers]
        weight = repr(element.weight) if isinstance(element.weight, float) else toml(str(element.weight))
        lines += ["", "[[payoff]]", f"name = {toml(where)}", f"variable = {toml(str(element.variable))}"]
        lines += [
            f"weight = {weight}",
            f"at = {toml(at)}",
            *(["times_step = true"] if times_step and at == "each step" else []),
        ]
    raise_all(str(path), problems)
    return lines


def _searched(model: Model, control: SearchControl) -> Iterator[tuple[str, SearchRange]]:
    """Every element that is searched, with its range; of several ranges of one the last counts."""
    ranges = {override_key(name): (name, r) for r in control.ranges for name in expanded(model, str(r.place))}
    yield from ranges.values()


def _parameters(model: Model, control: SearchControl, changed: Scenario, path: Path) -> list[str]:
    lines: list[str] = []
    problems: list[CiparkError] = []
    values = {override_key(written(key)): value for key, value in changed.overrides.items()}
    for name, searched in _searched(model, control):
        if searched.further:
            expected = "no tolerance or steps behind the range: take it away"
            problems.append(
                InvalidValue("what stands behind '|'", searched.further, expected, where=f"{path.name}:{searched.line}")
            )
        start = values.get(override_key(name), searched.start)
        lines += ["", "[[parameter]]", f"name = {toml(name)}", f"bounds = [{searched.lower!r}, {searched.upper!r}]"]
        if isinstance(start, float):
            lines.append(f"start = {min(max(start, searched.lower), searched.upper)!r}")
    raise_all(str(path), problems)
    return lines


def _fixed(control: SearchControl, model: Model, changed: Scenario) -> list[str]:
    """What changes files set beside the constants that are searched."""
    searched = {override_key(name) for name, _ in _searched(model, control)}
    lines: list[str] = []
    problems: list[CiparkError] = []
    for key, value in changed.overrides.items():
        for name, held in _single(model, written(key), value):
            if not isinstance(held, float):
                problems.append(InvalidValue(f"the change of {name!r}", "a table", "a number", where="--scenario"))
            elif override_key(name) not in searched:
                lines += ["", "[[fixed]]", f"name = {toml(name)}", f"value = {held!r}", 'why = "a changes file"']
    raise_all("--scenario", problems)
    return lines


def _single(model: Model, name: str, value: Override) -> Iterator[tuple[str, object]]:
    """The elements that a change sets, with their values."""
    variable = model.by_name.get(base_name(name))
    if variable is None or "[" in name or not variable.dims:
        yield name, value
        return
    elements = expanded(model, name)
    many = value if isinstance(value, tuple) else (value,) * len(elements)
    yield from zip(elements, many, strict=True)


def _method() -> list[str]:
    lines = ["", "[method]", 'estimate = "ml"', "starts = 10", "fast_starts = 2", "seed = 1"]
    return [*lines, "# log_density = true  # where the payoff is a log likelihood: calibrate then gives intervals"]
