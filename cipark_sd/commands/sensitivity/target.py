"""What ``cipark sensitivity`` is asked about: a study or a bare model, and what options change of it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import click

from cipark_sd.commands.options import variable_names
from cipark_sd.commands.sensitivity.request import RANGE, Request, contradictions, contradictions_with_study
from cipark_sd.errors import CiparkError, InvalidValue, Problems, UnknownName, raise_all
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Constant
from cipark_sd.scenarios import Scenario, override_key, parse_assignments, resolve, split_key
from cipark_sd.sensitivity.factors import around, element_label
from cipark_sd.sensitivity.ranking import Moment
from cipark_sd.sensitivity.response import Output, output_problem
from cipark_sd.sensitivity.study import Study, find_study

T = TypeVar("T")

#: Outputs of a bare model when none is named.
_STOCKS = 3


def asked_study(request: Request) -> Study:
    """What the user named, with what the options change but for draws; all that is wrong is told at once.

    Raises
    ------
    InvalidValue, UnknownName, Problems
    """
    problems = list(contradictions(request))
    study = _collected(problems, partial(_named, request, problems))
    if study is not None:
        model = study.model
        problems += contradictions_with_study(request, study)
        each = {output.variable: output for output in study.outputs}.values()
        problems += [p for output in each if (p := output_problem(model, output)) is not None]
        worlds = {w.to_json(): study.scenario | w for o in study.outputs for w in o.worlds if w is not None}
        for world in worlds.values():
            _collected(problems, partial(resolve, model, world))
    raise_all("sensitivity", problems)
    assert study is not None  # else there is a problem
    return study


def _collected(problems: list[CiparkError], compute: Callable[[], T]) -> T | None:
    """What is computed, or None with the problems that it raised among the others."""
    try:
        return compute()
    except Problems as several:
        problems += several.problems
    except CiparkError as problem:
        problems.append(problem)
    return None


def _named(request: Request, problems: list[CiparkError]) -> Study:
    """The study or the model, with the outputs and moments of the options."""
    target = request.target
    if target is not None and Path(target).is_file():
        study = _bare(Path(target), request, problems)
    else:
        study = find_study(target, request.allow_files)
        for option, given in (("--range", request.share is not None), ("--leave-out", bool(request.leave_out))):
            if given:
                expected = "a model file: a study has priors"
                problems.append(InvalidValue(option, "given with a study", expected, where="sensitivity"))
    if request.outputs:
        names = variable_names(study.model, request.outputs)
        study = replace(study, outputs=tuple(Output(name, name) for name in names))
    if request.effect is not None:
        world = parse_assignments([request.effect], where="--effect")
        label = f"effect against {request.effect}"
        added = [Output(f"{o.label}, {label}", o.variable, world, o.range) for o in study.outputs]
        study = replace(study, outputs=(*study.outputs, *added))
    if request.moments:
        study = replace(study, moments=tuple(Moment(f"{time:g}", time) for time in request.moments))
    return study


def _bare(path: Path, request: Request, problems: list[CiparkError]) -> Study:
    from cipark_sd.frontends.model_file import read_model

    model = read_model(path, allow_files=request.allow_files)
    problems += _unknown(model, request.leave_out)
    found = around(model, RANGE if request.share is None else request.share, without=request.leave_out)
    by_reason: dict[str, list[str]] = {}
    for name, reason in found.left_out.items():
        by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        why = "" if reason == "as asked" else f", since each {reason}" if len(names) > 1 else f", since it {reason}"
        click.echo(f"note: held{why}: {', '.join(names)}", err=True)
    asked = variable_names(model, request.outputs) or _stocks(model)
    if not asked:
        raise InvalidValue("the outputs", "none", "--variables NAMES: the model has no stock", where=model.name)
    return Study(
        title=model.name,
        model=model,
        factors=found.factors,
        outputs=tuple(Output(name, name) for name in asked),
        moments=(Moment("at the end", model.time.final),),
        scenario=Scenario(),
        name=path.stem,
        origin="ranges",
    )


def _unknown(model: Model, names: Sequence[str]) -> Iterator[UnknownName]:
    """Constants to be left out that are none."""
    constants = [constant.label for constant in model.constants]
    for name in names:
        base, elements = split_key(override_key(name))
        variable = model.by_name.get(base)
        if not isinstance(variable, Constant):
            yield UnknownName(name, constants, kind="constant", where="--leave-out")
        elif elements and elements not in model.elements(variable):
            known = [",".join(element) for element in model.elements(variable)]
            yield UnknownName(name, known, kind="element", where=f"--leave-out: {variable.label}")


def _stocks(model: Model) -> tuple[str, ...]:
    """The first stocks, each element of one with subscripts on its own."""
    names: list[str] = []
    for stock in model.stocks:
        names += [element_label(model, stock, element) for element in model.elements(stock)]
    left = len(names) - _STOCKS
    if left > 0:
        click.echo(
            f"note: of {len(names)} stocks the first {_STOCKS} are explained; --variables NAMES asks for others",
            err=True,
        )
    return tuple(names[:_STOCKS])
