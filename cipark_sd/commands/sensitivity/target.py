"""What ``cipark sensitivity`` is asked about, what options change of it, and what constants vary over."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from cipark_sd.analysis.experiments.draws import read_file
from cipark_sd.analysis.sensitivities.evaluation import Output, Question
from cipark_sd.analysis.sensitivities.factors import Factors, around, margins
from cipark_sd.analysis.sensitivities.ranking import Moment
from cipark_sd.analysis.sensitivities.response import check_power_of_two
from cipark_sd.analysis.study import STOCKS, FittedDraws, PlainModel, Study, find_study, stock_names
from cipark_sd.base.arrays import Array
from cipark_sd.base.console import echo
from cipark_sd.base.errors import CiparkError, InvalidValue, UnknownName, UnusableInput, collected, raise_all
from cipark_sd.base.library import located
from cipark_sd.base.naming import base_name, override_key, split_key
from cipark_sd.base.optional import attempt
from cipark_sd.commands.options import variable_names
from cipark_sd.commands.sensitivity.findings import Inputs
from cipark_sd.commands.sensitivity.methods.registry import METHODS
from cipark_sd.commands.sensitivity.request import RANGE, Request
from cipark_sd.data.scenarios import resolve
from cipark_sd.model.model import Model
from cipark_sd.model.named import output_problem
from cipark_sd.model.variables import Constant, Stock
from cipark_sd.statements.claims import Basis, worth


def target_of(request: Request) -> tuple[Study, Question]:
    """What the user named, with what the options change but for draws; all that is wrong is told at once.

    Raises
    ------
    InvalidValue, UnknownName, Problems
    """
    problems = list(_contradictions(request))
    named = collected(problems, partial(_named, request, problems))
    if named is not None:
        _, question = named
        problems += _contradictions_with_question(request, question)
        by_variable = {output.variable: output for output in question.outputs}.values()
        problems += [p for output in by_variable if (p := output_problem(question.model, output.variable)) is not None]
        worlds = {w.to_json(): question.scenario | w for o in question.outputs for w in o.worlds if w is not None}
        for world in worlds.values():
            collected(problems, partial(resolve, question.model, world))
    raise_all("sensitivity", problems)
    assert named is not None  # else there is a problem
    return named


def _contradictions(request: Request) -> Iterator[CiparkError]:
    """Options that cannot be meant together, or not at all."""
    try:
        check_power_of_two(request.rows, where="--rows")
    except CiparkError as problem:
        yield problem
    if request.about and (request.outputs or request.moments or request.every is not None):
        expected = "alone, or --variables, --at and --every in its place"
        yield InvalidValue("--about", request.about, expected, where="sensitivity")
    wrong = [method for method in request.methods if method not in _joint()]
    if request.draws is not None and not request.prior and wrong:
        expected = f"{' or '.join(_joint())}: the others need constants that do not depend on each other"
        yield InvalidValue("--method", wrong[0], expected, where="sensitivity with --draws")


def _contradictions_with_question(request: Request, question: Question) -> Iterator[CiparkError]:
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


def _named(request: Request, problems: list[CiparkError]) -> tuple[Study, Question]:
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
    chosen = bool(request.outputs or request.moments) or request.every is not None
    question = study.question(request.about or ("" if chosen else None))
    if request.about and not question.is_asked:
        expected = "a variable at a date, its change or a metric of its saved course; of a model --variables and --at"
        problems.append(InvalidValue("--about", request.about, expected, where="sensitivity"))
    if request.outputs:
        names = variable_names(study.model, request.outputs)
        question = replace(question, outputs=tuple(Output(name, name) for name in names))
    elif not study.has_data:
        _tell_stocks(study.model)
    if request.moments:
        question = replace(question, moments=tuple(_moment(study, text) for text in request.moments))
    return study, question


def _moment(study: Study, text: str) -> Moment:
    try:
        return study.moment(text)
    except ValueError:
        raise InvalidValue("the time", text, "a date such as 2019-12-31, or a number", where="--at") from None


def _bare(path: Path, request: Request, problems: list[CiparkError]) -> PlainModel:
    from cipark_sd.language.read.model_file import read_model

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
            yield UnknownName(name, model.labels(variable), kind="element", where=f"--leave-out: {variable.label}")


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
            f"note: of {len(names)} stocks the first {STOCKS} are explained; --variables NAMES chooses others", err=True
        )


def inputs_of(request: Request, study: Study, question: Question, n: int) -> Inputs:
    """What varies by the request: named draws, those of a fit that is at hand, else priors or ranges.

    Parameters
    ----------
    question : Question
        With the factors of the study's priors, or of a bare model's ranges.
    n : int
        Draws that priors and ranges are sampled by.

    Raises
    ------
    InvalidValue
    """
    if request.draws is not None and not request.prior:
        draws = read_draws(request.draws)
        notes = (f"The draws are those of {draws.source}.", study.rows_of(draws.study_digest))
        return _after(study, question, draws, tuple(filter(None, notes)))
    fit = None if request.prior else study.fit_at_hand()
    if fit is not None:
        if wrong := [method for method in request.methods if method not in _joint()]:
            expected = (
                f"{' or '.join(_joint())} after the fit in {fit.source}, whose constants depend on each other; with "
                "--draws prior it is computed over the priors"
            )
            raise InvalidValue("--method", wrong[0], expected, where="sensitivity")
        alternative = "'--draws prior' analyses the assumptions before the fit instead."
        return _after(study, question, fit, (f"The fit is that in {fit.source}; {alternative}",))
    basis = Basis("prior" if study.has_data else "ranges", n)
    return Inputs(question, basis, tuple(_without_fit(request, study)))


def _after(study: Study, question: Question, fit: FittedDraws, notes: tuple[str, ...]) -> Inputs:
    """Draws as they are, and beside them what has none."""
    drawn, held = _drawn(question.model, fit.columns, fit.source)
    known = {override_key(name) for name in (*drawn, *held)}
    blocks = [b for b in question.factors.blocks if not known & {override_key(name) for name in b.names}]
    assumed = Factors(tuple(blocks))
    if len(assumed):
        is_held, adds = ("constant has no draws. It is held", "its range adds") if len(assumed) == 1 else (
            "constants have no draws. They are held", "their ranges add"
        )  # fmt: skip
        notes += (f"{len(assumed)} {is_held} as the study or the model file says; what {adds} has its own section.",)
    fitted = {name: value for name, value in study.scenario.overrides.items() if override_key(name) not in known}
    freed = {name: value for name, value in question.scenario.overrides.items() if override_key(name) not in known}
    return Inputs(
        replace(question, factors=margins(drawn), scenario=replace(question.scenario, overrides=fitted | freed | held)),
        fit.basis,
        notes,
        fit.study_digest,
        np.stack(list(drawn.values()), axis=1),
        assumed,
        replace(question.scenario, overrides=freed | held),
    )


def _without_fit(request: Request, study: Study) -> list[str]:
    """What to know of an analysis that has seen no data, and how there is one that has."""
    if not study.has_data:
        share = RANGE if request.share is None else request.share
        reason = "as --range says" if request.share is not None else "since --range says nothing else"
        return [f"Each constant varies within {share:.0%} of its value in the file, {reason}."]
    notes = [
        "The constants vary over their priors: this says which assumptions matter before the data, not what the data "
        "left open. No number here is a finding about the world."
    ]
    against = attempt("contradiction", lambda: study.contradictions(None, None, seed=0, engine="native"), "")
    if against:
        notes.append(f"These priors contradict the data: {against}.")
    how = " if you leave out --draws" if request.prior else ""
    notes.append(f"For what is left after the data run 'cipark calibrate', then this command; it uses that fit{how}.")
    return notes


def read_draws(path: Path) -> FittedDraws:
    """Draws by name, of a file or of the folder of a fit, with what the file says of them.

    Raises
    ------
    InvalidValue
    """
    file = path / "draws.nc" if path.is_dir() else path
    columns, facts, _ = read_file(file)
    try:
        converged = None if "converged" not in facts else bool(facts["converged"])
        few = worth(float(str(facts.get("worth", math.inf))))
    except ValueError as problem:
        reason = f"what the file says of its draws cannot be read ({problem}); make it again"
        raise UnusableInput(reason, where=str(file)) from None
    n = len(next(iter(columns.values()), ()))
    return FittedDraws(Basis("posterior", n, converged, few), columns, str(path), str(facts.get("study_digest", "")))


def _drawn(model: Model, table: Mapping[str, Array], where: str) -> tuple[dict[str, Array], dict[str, float]]:
    """Constants and starts of stocks that vary over draws, and those that never do, by name.

    A column that is neither (a noise parameter, say) is left out.

    Parameters
    ----------
    table : mapping of str to (n,)
    where : str
        Where the draws come from, for messages.

    Raises
    ------
    InvalidValue
    """
    named = {
        name: column
        for name, column in table.items()
        if isinstance(model.by_name.get(base_name(name)), Constant | Stock)
    }
    bad = [name for name, column in named.items() if not np.isfinite(column).all()]
    if bad:
        raise InvalidValue("the draws of", ", ".join(bad), "finite numbers", where=where)
    varied = {name: column for name, column in named.items() if len(column) and np.ptp(column) > 0}
    if not varied:
        raise InvalidValue("the draws", ", ".join(table), f"some constants of {model.name} that vary", where=where)
    return varied, {name: float(column[0]) for name, column in named.items() if name not in varied}
