"""What a page shows of a study: levers of its policies or its fit, draws of its posterior, and what was counted."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from calibration.assess.posterior_predictive import central_quantiles
from calibration.commands.for_analyses.fitted_study import FittedStudy, as_fitted, find_fit, rows_words
from calibration.commands.for_analyses.study import CalibrationStudy
from calibration.commands.for_analyses.study_draws import as_draws, draws_from_file, said_of
from calibration.commands.play.catalogue import FEWEST, named_levers, outcomes_of
from calibration.commands.play.request import Settings
from calibration.likelihood.forward import all_reported, from_nothing
from calibration.likelihood.replicate import PRIOR_DRAWS, draws_of_priors
from calibration.noise.reporting import Reporting
from calibration.study import STUDIES
from calibration.study.asked import asked_prediction
from calibration.study.observations import Prediction, course_of, dated_levels, reporting_of
from calibration.study.parameters import Parameter
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd.analysis.experiments.catalogue import FILE as POLICIES
from cipark_sd.analysis.experiments.catalogue import read_catalogue
from cipark_sd.analysis.experiments.definition import ONLY, Catalogue, Lever
from cipark_sd.analysis.experiments.definition import Structure as Rival
from cipark_sd.analysis.experiments.draws import Draws
from cipark_sd.analysis.experiments.run import affordable
from cipark_sd.analysis.experiments.settings import Setup
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import InvalidValue, ModelFileError, UnsupportedFeature
from cipark_sd.base.library import bundled
from cipark_sd.base.naming import base_name, canonical, one_name, override_key
from cipark_sd.base.optional import attempt
from cipark_sd.data.scenarios import Scenario
from cipark_sd.engines.registry import choose
from cipark_sd.model.expr import Const, Ref
from cipark_sd.model.model import Model, digest_of
from cipark_sd.model.variables import Constant, Piece, Stock
from cipark_sd.pages.player.contents import Contents, Outcome, PlayedStructure, Seen, Waiting
from cipark_sd.pages.player.of_model import (
    LEVERS,
    OUTCOMES,
    candidates,
    labels_of,
    most_influential,
    within_numbers,
)
from cipark_sd.statements.claims import UNSEEN, Basis
from cipark_sd.statements.headline import parameter

#: Operations of the runs that a lever makes: of the park's 200. And numbers that a page holds of its draws, which are
#: some 200 kB of it.
WORK, NUMBERS = 300_000_000, 20_000
#: Share of the draws that lie beyond each end of a fitted parameter's lever.
TAIL = 0.01
FITTED_LIMIT = "Levers show what the equations imply. Bands show doubt about the constants, not about the model."
ONE_CURVE = "Levers show what the equations imply. One curve, without intervals."
FAN = (
    "Bands are of the expected number, as in the report; counts scatter around it. A fitted constant that you move "
    "takes one value in all draws, so that the band narrows."
)
CLASSES = (
    "Informed by the data: the interval is at most 70% as wide as that of the priors, or the data move the odds of the "
    "sign threefold, in every model that was fitted. Assumed by the model: the priors alone give the same sign in nine "
    "of ten draws, and the data do not narrow it, or only the level that is changed. Not decided by the data: neither. "
    "A number of the report has the class that it has there."
)
NO_RIVALS = "Rival models were not fitted: 'cipark calibrate {study} --posterior --rivals' adds their medians."
PRIOR_LIMIT = "PRIOR: no data have been used, so no number here is a finding about the world."
HOW = "'cipark calibrate {study} --posterior' fits the model; this command then uses that fit."
BEYOND = (
    "After the last count, from which a reported number goes on, and where levers leave what was observed, all numbers "
    "rest on the equations alone."
)
NO_DRAWS = (
    "One curve, the best fit. 'cipark calibrate {study} --posterior' adds intervals, and says what the data inform."
)
UNSOUND = (
    "One curve, the best fit: the posterior draws cannot be trusted. 'cipark calibrate {study} --posterior --steps N' "
    "samples longer."
)


def contents_of(request: Settings, problem: CalibrationProblem | None = None) -> Contents:
    """The page of a study, or of one that was read already.

    Parameters
    ----------
    problem : CalibrationProblem, optional
        None to read the study in ``request.folder``.

    Raises
    ------
    InvalidValue, UnknownName, Problems
    """
    problem = problem or read_problem(request.folder, allow_files=request.allow_files)
    path = request.folder / POLICIES
    catalogue = read_catalogue(path, problem.model, CalibrationStudy(problem).moment) if path.is_file() else None
    fit = None if request.draws else find_fit(problem, request.fit)
    named = _name(problem) + (f" --until {fit.until}" if fit is not None and fit.until else "")
    problem, of_rows = _rows(request, problem, fit)
    structures = _structures(request, problem, fit, request.runs or _affordable(problem))
    first = structures[0]
    printed = _printed(problem, first.every, first.every_beside)
    printed_prior = _printed(problem, first.every_prior, first.every_prior_beside)
    played = with_starts(problem.model, structures[0].draws)
    structures = tuple(_renamed(structure, problem.model) for structure in structures)
    digest, problem = problem.model.digest, replace(problem, model=played)
    first = structures[0]
    drawn = {override_key(name) for name in first.draws}
    fixed = {name: value for name, value in problem.fixed if override_key(name) not in drawn}
    whole = Scenario("", fixed, time_step=problem.scenario.time_step)
    scenario = whole | catalogue.settings if catalogue else problem.scenario
    outcomes = tuple(
        replace(outcome, printed=printed.get(key, ()), printed_prior=printed_prior.get(key, ()))
        if outcome.waiting is not None
        else outcome
        for outcome in _outcomes(request, problem, catalogue, first)
        for key in [override_key(outcome.variable)]
    )
    counted = [count.time for outcome in outcomes for count in outcome.observed]
    planned = catalogue.headline[1] if catalogue else problem.model.time.final
    question = _question_of(request, problem)
    # numbers are read at the date that is asked for, else at the last count of the curve that is shown first
    at = max([count.time for count in outcomes[0].observed] or counted, default=planned)
    at = question.time if question is not None and question.reading is None else at
    unseen = first.basis is not None and first.basis.origin in UNSEEN
    return Contents(
        title=problem.title,
        model=problem.model,
        target=_target(request, problem.model),
        scenario=scenario,
        structures=structures,
        levers=_levers(request, problem, catalogue, scenario, first, outcomes),
        outcomes=outcomes,
        at=at,
        # a quarter beyond the counts, so that one sees where they end
        until=min(
            problem.model.time.final,
            max([planned, at, *(max(dates) + (max(dates) - min(dates)) / 4 for dates in [counted] if dates)]),
        ),
        data_end=max(counted, default=math.nan),
        base="as assumed" if unseen else "as fitted",
        limits=tuple(limit.format(study=named) for limit in _limits(structures, with_rivals=bool(_variants(problem)))),
        notice=" ".join(filter(None, (of_rows, _notice(problem, request.seed, first.basis, named)))),
        misfit="" if fit is None else fit.misfit,
        classes={} if fit is None else {_estimand_of(fit.problem.model, of): kind for of, kind in fit.classes.items()},
        labels=labels_of(problem.model, scenario, problem.calendar.label),
        model_digest=digest,
    )


def _affordable(problem: CalibrationProblem) -> int:
    """How many draws a page runs again as a lever moves, and holds beside as many of the priors."""
    runs = affordable(Setup(problem.model, engine="native"), [stock.name for stock in problem.model.stocks], work=WORK)
    return max(FEWEST, min(runs, NUMBERS // len(problem.space), PRIOR_DRAWS))


def _limits(structures: Sequence[PlayedStructure], *, with_rivals: bool) -> tuple[str, ...]:
    """What a reader must not overlook, by what the draws are, and that rivals of the study were not fitted."""
    basis = structures[0].basis
    if basis is not None and basis.origin in UNSEEN:
        return PRIOR_LIMIT, HOW, FAN, BEYOND
    if basis is not None and not basis.bands:
        return ONE_CURVE, BEYOND
    return (FITTED_LIMIT, CLASSES, FAN, BEYOND, *([NO_RIVALS] if with_rivals and len(structures) == 1 else []))


def _name(problem: CalibrationProblem) -> str:
    """The study as a command names it: one that comes with the package by its name alone."""
    folder = problem.folder.resolve()
    return folder.name if folder.parent == STUDIES.resolve() else str(problem.folder)


def _rows(request: Settings, problem: CalibrationProblem, fit: FittedStudy | None) -> tuple[CalibrationProblem, str]:
    """The study with the rows that were fitted, and which fit it is: of one of all rows nothing else is expected."""
    if fit is not None and request.fit is not None:
        # a page for its report or for Python, which know where the fit is
        return fit.problem, f"The rows up to {fit.until} were fitted." if fit.until else ""
    if fit is not None:
        return fit.problem, fit.sentence if fit.until or fit.interrupted or not fit.signed else ""
    if request.draws in (None, "prior"):
        return problem, ""
    early, end = as_fitted(problem, said_of(Path(request.draws)).get("study_digest")) or (problem, "")
    return early, rows_words(end)


def _notice(problem: CalibrationProblem, seed: int, basis: Basis | None, named: str) -> str:
    """The line beneath the title: what to do for intervals, or that priors contradict the data; mostly none."""
    if basis is None or basis.origin not in UNSEEN:
        advice = UNSOUND if basis is not None and basis.origin == "posterior" else NO_DRAWS
        return "" if basis is None or basis.bands else advice.format(study=named)
    study = CalibrationStudy(problem)
    against = attempt("contradiction", lambda: study.contradictions(None, None, seed=seed, engine="native"), "")
    return f"These priors contradict the data: {against}." if against else ""


def _renamed(structure: PlayedStructure, model: Model) -> PlayedStructure:
    """Draws and estimate of a stock's start under the constant that means it."""
    estimate = {start_of(model, name): value for name, value in structure.estimate.items()}
    draws, prior, every, every_prior = (
        {start_of(model, name): values for name, values in some.items()}
        for some in (structure.draws, structure.prior, structure.every, structure.every_prior)
    )
    return replace(structure, draws=draws, estimate=estimate, prior=prior, every=every, every_prior=every_prior)


def _estimand_of(model: Model, estimand: str) -> str:
    """An estimand of a report, that of a stock's start under the constant that means it."""
    name = estimand.removeprefix(parameter(""))
    return estimand if name == estimand else parameter(start_of(model, name))


def _target(request: Settings, model: Model) -> str:
    """The model's file as a command names it, as far as the user has named it: no folder of this machine."""
    if model.origin is None:
        return model.name
    file = Path(model.origin.path)
    if file.parent.resolve() == request.folder.resolve() and request.folder.parent.resolve() != STUDIES.resolve():
        return str(request.folder / file.name)
    try:
        # the name under which a command knows it
        return file.stem if bundled(file.name) == file else file.name
    except ModelFileError:
        return file.name


def _structures(
    request: Settings, problem: CalibrationProblem, fit: FittedStudy | None, runs: int
) -> tuple[PlayedStructure, ...]:
    """The study as it stands, and its rivals as far as there are draws of them: those of the same fit, or of priors."""
    prior = as_draws(problem, draws_of_priors(problem), "prior")
    if fit is not None:
        draws, estimate = fit.usable, fit.optimum
    elif request.draws and request.draws != "prior":
        draws, estimate = draws_from_file(problem, request.draws, ONLY), None
    else:
        draws, estimate = prior.take(np.arange(runs)), None
    first = _structure(runs, problem, "the model as fitted", Scenario(), draws, prior, estimate)
    if draws.origin in UNSEEN:
        first = replace(first, title="the model as it is")
        return (
            first,
            *(replace(first, title=_named(variant), scenario=variant.scenario) for variant in _variants(problem)),
        )
    files = fit.archive(problem.rivals).files if fit is not None and problem.rivals else {}
    drawn = {r.id: draws_from_file(problem, files[r.id], r.id) for r in _variants(problem) if r.id in files}
    if not draws.basis.bands or not all(draws.basis.bands for draws in drawn.values()):
        return (first,)
    rivals = [
        _structure(runs, problem, _named(variant), variant.scenario, drawn[variant.id], prior, None)
        for variant in _variants(problem)
        if variant.id in drawn
    ]
    return (first, *rivals)


def _variants(problem: CalibrationProblem) -> list[Rival]:
    """The rivals of a study but the one that is the study as it stands."""
    return [variant for variant in problem.rivals if variant.scenario.overrides]


def _named(variant: Rival) -> str:
    """A rival as people say it, its code in brackets."""
    return f"{variant.title} ({variant.id})" if variant.title else variant.id


def _structure(
    runs: int,
    problem: CalibrationProblem,
    title: str,
    scenario: Scenario,
    draws: Draws,
    prior: Draws,
    estimate: Draws | None,
) -> PlayedStructure:
    """A structure with some of its draws, and all of them where it is the first.

    Of draws that are no basis for a band there is the best fit alone.
    """
    some = draws.thinned(runs)
    shown = slice(None) if draws.basis.bands else slice(0)
    apart = draws.basis.bands and draws.origin not in UNSEEN
    few = prior.take(np.arange(runs))
    whole = apart and not scenario.overrides
    middle, middle_beside = (
        {name: float(np.median(values)) for name, values in of.items()}
        for of in ((estimate or draws).values, (estimate or draws).noise)
    )
    return PlayedStructure(
        title,
        scenario,
        draws={name: values[shown] for name, values in some.values.items()},
        estimate=middle,
        basis=draws.basis,
        beside={name: np.append(values[shown], middle_beside[name]) for name, values in some.noise.items()},
        prior=few.values if apart else {},
        prior_beside={name: few.noise[name] for name in draws.noise} if apart else {},
        every=draws.values if whole else {},
        every_beside=draws.noise if whole else {},
        every_prior=prior.values if whole else {},
        every_prior_beside={name: prior.noise[name] for name in draws.noise} if whole else {},
    )


def _question_of(request: Settings, problem: CalibrationProblem) -> Prediction | None:
    """What the study is about, whose curve comes first; None where it has none of its own, or outputs are named."""
    question = asked_prediction(problem, problem.about)
    return None if question is None or len(question.parts) > 1 or request.variables else question


def _outcomes(
    request: Settings, problem: CalibrationProblem, catalogue: Catalogue | None, first: PlayedStructure
) -> tuple[Outcome, ...]:
    levels = _levels_of(problem)
    chosen = [] if request.variables or catalogue is None else list(outcomes_of(catalogue, problem.model))
    if not chosen:
        # sums over the run, such as those of flows alone, have no curve
        model, names = problem.model, map(problem.model.protected, request.variables or levels)
        chosen = [Outcome(model.label(name), name) for name in names]
    if (question := _question_of(request, problem)) is not None:
        name = question.parts[0][0]
        of_it = [outcome for outcome in chosen if override_key(outcome.variable) == override_key(name)]
        of_it = of_it or [Outcome(problem.model.label(name), name)]
        chosen = [*of_it, *(outcome for outcome in chosen if outcome not in of_it)]
    by_key = {override_key(name): values for name, values in levels.items()}
    if not chosen:
        raise InvalidValue("the outputs", "none", "--variables NAMES", where="cipark play")
    waiting = _waiting(problem, first)

    def beside(outcome: Outcome) -> Outcome:
        key = override_key(outcome.variable)
        observed, waits = by_key.get(key, ()), waiting.get(key)
        exact = [count for count in observed if count.use == "fit" and math.isfinite(count.high)]
        last = max(exact, key=lambda count: count.time, default=None) if waits is not None else None
        goes_on = None if last is None else (last.time, (last.low + last.high) / 2)
        return replace(outcome, observed=observed, waiting=waits, last=goes_on)

    return tuple(outcome if outcome.per else beside(outcome) for outcome in chosen[:OUTCOMES])


#: By variable: times and five quantiles.
Printed = dict[str, tuple[tuple[float, tuple[float, ...]], ...]]


def _printed(problem: CalibrationProblem, every: Mapping[str, Array], beside: Mapping[str, Array]) -> Printed:
    """The numbers of the report for levels that are counted later, which the page reads less finely."""
    columns = {**{override_key(name): values for name, values in beside.items()}, **every}
    if not {override_key(name) for name in problem.space.names} <= columns.keys():
        return {}
    theta = np.column_stack([columns[override_key(name)] for name in problem.space.names])
    read = [
        prediction
        for prediction in problem.predictions
        if len(prediction.parts) == 1
        and prediction.parts[0][1] == 1
        and prediction.against is None
        and not prediction.scenario.overrides
        and isinstance(prediction.reading, Reporting)
    ]
    numbers: Printed = {}
    for prediction, values in zip(read, all_reported(problem, read, choose("native"), theta).T, strict=True):
        key = override_key(prediction.parts[0][0])
        numbers[key] = (*numbers.get(key, ()), (prediction.time, central_quantiles(values)))
    return numbers


def _levels_of(problem: CalibrationProblem) -> dict[str, tuple[Seen, ...]]:
    """By variable what was counted of it, in the order of the study; sums and splits have no curve of their own."""
    levels_of: dict[str, list[Seen]] = {}
    empty = from_nothing(problem, choose("native"), problem.space.medians)
    for observation in problem.observations:
        quantity = course_of(observation)
        if quantity is None or observation.kind == "ratio":
            continue
        parts = quantity.parts
        if len(parts) != 1 or parts[0][1] != 1:
            continue
        levels = [
            Seen(time, lower, upper, use, problem.calendar.label(time))
            for time, lower, upper, use in dated_levels(observation, from_nothing=observation.name in empty)
            if not math.isnan(lower)
        ]
        levels_of.setdefault(parts[0][0], []).extend(levels)
    return {name: tuple(levels) for name, levels in levels_of.items()}


def _waiting(problem: CalibrationProblem, first: PlayedStructure) -> dict[str, Waiting]:
    """By variable how its counts are reported later: of the study's numbers that are read so, as far as draws tell."""
    by_variable: dict[str, Waiting] = {}
    for observation in problem.observations:
        course = course_of(observation)
        reading = reporting_of(course)
        if reading is not None and all(name in first.beside for name in reading.parameters):
            waiting = Waiting(reading.events, reading.share, reading.rate, reading.begin)
            variables = [name for name, _ in course.parts] if course else []
            read = [p.parts[0][0] for p in problem.predictions if p.reading == reading and len(p.parts) == 1]
            by_variable |= {override_key(name): waiting for name in (*variables, *read)}
    return by_variable


def _levers(
    request: Settings,
    problem: CalibrationProblem,
    catalogue: Catalogue | None,
    scenario: Scenario,
    structure: PlayedStructure,
    outcomes: Sequence[Outcome],
) -> tuple[Lever, ...]:
    """Those that are named, of the policies, or the fitted constants and then what else moves the curves most."""
    model = problem.model
    priors = {override_key(start_of(model, parameter.name)): parameter for parameter in problem.space}
    fitted = {
        override_key(name): _fitted(
            model, name, np.append(values, structure.estimate[name]), priors.get(override_key(name))
        )
        for name, values in structure.draws.items()
    }
    if named := named_levers(request, model, catalogue, fitted):
        return named
    fitted_scenario = scenario | Scenario("", dict(structure.estimate))
    shown = [outcome.variable for outcome in outcomes]
    first = most_influential(model, fitted_scenario, tuple(fitted.values()), shown, LEVERS)
    unfitted = [lever for lever in candidates(model) if override_key(lever.names[0]) not in fitted]
    unfitted = list(within_numbers(model, fitted_scenario, unfitted, shown))
    return (
        (*first, *most_influential(model, fitted_scenario, unfitted, shown, LEVERS - len(first))) if unfitted else first
    )


def _fitted(model: Model, name: str, values: Array, parameter: Parameter | None) -> Lever:
    """A fitted constant over 95% of its prior and nearly all of its draws, ends rounded outwards to whole steps."""
    low, high = (float(value) for value in np.quantile(values, [TAIL, 1 - TAIL]))
    if parameter is not None:
        ends_of_prior = parameter.interval()
        low, high = min(low, ends_of_prior[0]), max(high, ends_of_prior[1])
    if not low < high:
        low, high = low - abs(low) / 2 - 0.5, high + abs(high) / 2 + 0.5
    step = Lever("", (name,), low, high).step
    ends = [float(f"{end * step:.12g}") for end in (np.floor(low / step), np.ceil(high / step))]
    title = model.label(name)
    # a stock and its start are spelt alike
    at_start = override_key(title) != override_key(name)
    return Lever(f"{title} at the start" if at_start else title, (name,), ends[0], ends[1])


def start_of(model: Model, name: str) -> str:
    """The constant that stands for a drawn name: that of a stock's start, else the name itself.

    Parameters
    ----------
    name : str
        As draws have it, in any spelling.

    Returns
    -------
    str
        Canonical for a stock.
    """
    variable = model.by_name.get(base_name(name))
    return canonical(one_name("start of", variable.name)) if isinstance(variable, Stock) else name


def with_starts(model: Model, names: Iterable[str]) -> Model:
    """The model in which the starts of the stocks among ``names`` are constants, spelt as the stocks are.

    A run that sets such a constant is that of a run which sets the start of the stock, bit for bit.

    Raises
    ------
    UnsupportedFeature
        For a stock with subscripts.
    """
    started = dict.fromkeys(base_name(name) for name in names)
    stocks = [variable for name in started if isinstance(variable := model.by_name.get(name), Stock)]
    for stock in stocks:
        if stock.dims:
            raise UnsupportedFeature(
                "a start that was fitted, with subscripts",
                variable=stock.label,
                where="play",
                alternative="give the start by a constant and fit that",
            )
        constant = start_of(model, stock.name)
        pieces = tuple(replace(piece, initial=Ref(constant)) for piece in stock.pieces)
        variables = [replace(stock, pieces=pieces) if v.name == stock.name else v for v in model.variables]
        # what it is in the file is not asked: each run sets it
        start = Constant(name=constant, label=stock.label, units=stock.units, pieces=(Piece(Const(0.0)),))
        digest = digest_of(model.digest.encode(), constant.encode())
        model = replace(model, variables=(*variables, start), digest=digest)
    return model
