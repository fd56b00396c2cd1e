"""What ``cipark sensitivity`` is asked about: a study or a bare model, and what options change of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from cipark_sd.commands.options import variable_names
from cipark_sd.commands.sensitivity.methods.registry import METHODS
from cipark_sd.commands.sensitivity.request import RANGE, Request
from cipark_sd.console import echo
from cipark_sd.errors import CiparkError, InvalidValue, UnknownName, collected, raise_all
from cipark_sd.library import located
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Constant
from cipark_sd.scenarios import resolve, split_key
from cipark_sd.sensitivities.designs import check_power_of_two
from cipark_sd.sensitivities.evaluation import Output, Question
from cipark_sd.sensitivities.factors import around
from cipark_sd.sensitivities.ranking import Moment
from cipark_sd.sensitivities.response import output_problem
from cipark_sd.study import STOCKS, PlainModel, Study, find_study, stock_names
from cipark_sd.timegrid import time_label


@dataclass(frozen=True)
class Target:
    """A study, and what is asked about it."""

    study: Study
    question: Question


def target_of(request: Request) -> Target:
    """What the user named, with what the options change but for draws; all that is wrong is told at once.

    Raises
    ------
    InvalidValue, UnknownName, Problems
    """
    problems = list(contradictions(request))
    target = collected(problems, partial(_named, request, problems))
    if target is not None:
        question = target.question
        problems += contradictions_with_question(request, question)
        by_variable = {output.variable: output for output in question.outputs}.values()
        problems += [p for output in by_variable if (p := output_problem(question.model, output)) is not None]
        worlds = {w.to_json(): question.scenario | w for o in question.outputs for w in o.worlds if w is not None}
        for world in worlds.values():
            collected(problems, partial(resolve, question.model, world))
    raise_all("sensitivity", problems)
    assert target is not None  # else there is a problem
    return target


def takes_fit(request: Request) -> bool:
    """Whether draws of a fit are taken up where there are any: nothing that is asked for needs independence."""
    return request.draws is None and all(method in _joint() for method in request.methods)


def contradictions(request: Request) -> Iterator[CiparkError]:
    """Options that cannot be meant together, or not at all."""
    try:
        check_power_of_two(request.rows, where="--rows")
    except CiparkError as problem:
        yield problem
    wrong = [method for method in request.methods if method not in _joint()]
    if request.draws is not None and not request.prior and wrong:
        expected = f"{' or '.join(_joint())}: the others need constants that do not depend on each other"
        yield InvalidValue("--method", wrong[0], expected, where="sensitivity with --draws")


def contradictions_with_question(request: Request, question: Question) -> Iterator[CiparkError]:
    """Options that do not go with what is asked about."""
    if request.output is not None and str(request.output) in question.model and not request.output.exists():
        expected = f"the output folder; --variables {request.output} names an output to analyse"
        yield InvalidValue("--output", str(request.output), expected, where="sensitivity")
    first, last = question.model.time.initial, question.model.time.final
    for moment in question.moments:
        if not first <= moment.time <= last:
            yield InvalidValue("the time", moment.time, f"one of the run, {first:g} to {last:g}", where="--at")


def _joint() -> tuple[str, ...]:
    """Methods that go with constants which depend on each other."""
    return tuple(method.name for method in METHODS if method.joint)


def _named(request: Request, problems: list[CiparkError]) -> Target:
    """The study or the model, with the outputs and moments of the options."""
    target = request.target
    study: Study
    file = None if target is None else located(Path(target), studies=False)
    if file is not None and file.is_file():
        study = _bare(file, request, problems)
    else:
        study = find_study(target, request.allow_files)
        of_a_model = {
            "--range": (request.share is not None, "priors"),
            "--leave-out": (bool(request.leave_out), "priors"),
            "--series": (bool(request.series), "series in [model]"),
        }
        for option, (present, instead) in of_a_model.items():
            if present:
                expected = f"a model file: a study has {instead}"
                problems.append(InvalidValue(option, "given with a study", expected, where="sensitivity"))
    question = study.question()
    if request.outputs:
        names = variable_names(study.model, request.outputs)
        question = replace(question, outputs=tuple(Output(name, name) for name in names))
    elif not study.has_data:
        _tell_stocks(study.model)
    if request.moments:
        question = replace(
            question, moments=tuple(Moment(time_label(time, study.model.time.units), time) for time in request.moments)
        )
    return Target(study, question)


def _bare(path: Path, request: Request, problems: list[CiparkError]) -> PlainModel:
    from cipark_sd.frontends.model_file import read_model

    model = read_model(path, allow_files=request.allow_files, series=request.series)
    problems += _unknown(model, request.leave_out)
    factors = around(model, RANGE if request.share is None else request.share, without=request.leave_out)
    by_reason: dict[str, list[str]] = {}
    for name, reason in factors.left_out.items():
        by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        why = "" if reason == "as asked" else f", since each {reason}" if len(names) > 1 else f", since it {reason}"
        echo(f"note: held{why}: {', '.join(names)}", err=True)
    return PlainModel(path.stem, path.parent, model, factors.constants)


def _unknown(model: Model, names: Sequence[str]) -> Iterator[UnknownName]:
    """Constants to be left out that are none."""
    constants = [constant.label for constant in model.constants]
    for name in names:
        base, elements = split_key(model.key(name))
        variable = model.by_name.get(base)
        if not isinstance(variable, Constant):
            yield UnknownName(name, constants, kind="constant", where="--leave-out")
        elif elements and elements not in model.elements(variable):
            known = [",".join(element) for element in model.elements(variable)]
            yield UnknownName(name, known, kind="element", where=f"--leave-out: {variable.label}")


def _tell_stocks(model: Model) -> None:
    """Say of which stocks alone a model is explained.

    Raises
    ------
    InvalidValue
        When it has none.
    """
    names = stock_names(model)
    if not names:
        raise InvalidValue("the outputs", "none", "--variables NAMES: the model has no stock", where=model.name)
    if len(names) > STOCKS:
        echo(
            f"note: of {len(names)} stocks the first {STOCKS} are explained; --variables NAMES chooses others",
            err=True,
        )
