"""What a page shows of a study: levers of its policies or its fit, draws of its posterior, and what was counted."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from calibration.commands.play.catalogue import levers_of, outcomes_of
from calibration.commands.play.request import Request
from calibration.commands.play.starts import start_of, with_starts
from calibration.for_analyses.approximation import optimum_of
from calibration.for_analyses.fit_at_hand import after_fit
from calibration.for_analyses.study import CalibrationStudy
from calibration.for_analyses.study_draws import draws_from_file, draws_from_prior
from calibration.likelihood.posterior import On
from calibration.study.levels import NOT_YET, course_of, dated_levels, is_reported_later
from calibration.study.parameters import Parameter
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd.arrays import Array
from cipark_sd.basis import UNSEEN, Basis
from cipark_sd.commands.policy.target import Target
from cipark_sd.console import progress_bars
from cipark_sd.errors import InvalidValue, ModelFileError
from cipark_sd.experiments import definition
from cipark_sd.experiments.catalogue import FILE as POLICIES
from cipark_sd.experiments.catalogue import read_catalogue
from cipark_sd.experiments.definition import ONLY, Catalogue
from cipark_sd.experiments.draws import Draws
from cipark_sd.files import OUTPUT_FOLDER
from cipark_sd.library import bundled
from cipark_sd.model.model import Model
from cipark_sd.optional import attempt
from cipark_sd.pages.player.contents import Contents, Lever, Outcome, Seen, Structure
from cipark_sd.pages.player.of_model import LEVERS, OUTCOMES, candidates, lever_of, most_influential, within_numbers
from cipark_sd.scenarios import Scenario, override_key, split_key
from cipark_sd.study import DrawRequest, DrawSource

#: Share of the draws that lie beyond each end of a fitted parameter's lever.
TAIL = 0.01
FITTED_LIMIT = (
    "What a lever does follows from the model's equations, not from an experiment; the fan is what the data leave open."
)
ONE_CURVE = (
    "One curve, the optimum: the draws at hand are no basis for a band. What a lever does follows from the model's "
    "equations, not from an experiment."
)
FAN = (
    "The fan is of the expected numbers, without the scatter of single counts. A fitted constant that is moved takes "
    "one value in all draws, so that the fan narrows: it is then given that value."
)
PRIOR_LIMIT = "PRIOR: no draw has seen the data, so that no number here is a finding about the world."
HOW = "'cipark calibrate' fits the model, and this command then takes its fit up."
BEYOND = "Where levers or dates leave what was observed, nothing but the equations speaks for the numbers."


def contents_of(request: Request, problem: CalibrationProblem | None = None) -> Contents:
    """The page of a study, or of one that was read already.

    Raises
    ------
    InvalidValue, UnknownName, Problems
    """
    problem = problem or read_problem(request.folder, allow_files=request.allow_files)
    path = request.folder / POLICIES
    catalogue = read_catalogue(path, problem.model) if path.is_file() else None
    structures = _structures(request, problem, catalogue)
    played = with_starts(problem.model, structures[0].draws)
    structures = tuple(_renamed(structure, problem.model) for structure in structures)
    digest, problem = problem.model.digest, replace(problem, model=played)
    first = structures[0]
    drawn = {override_key(name) for name in first.draws}
    fixed = {item.name: item.value for item in problem.fixed if override_key(item.name) not in drawn}
    scenario = Scenario("", fixed) | catalogue.settings if catalogue else problem.scenario
    outcomes = _outcomes(request, problem, catalogue)
    last = max((s.time for outcome in outcomes for s in outcome.observed), default=problem.model.time.final)
    at = catalogue.headline[1] if catalogue else last
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
        until=max(at, last),
        base="as assumed" if unseen else "as fitted",
        limits=_limits(first.basis),
        warning=_warning(problem, request.seed) if unseen else "",
        labels=_labels(problem, scenario),
        model_digest=digest,
    )


def _limits(basis: Basis | None) -> tuple[str, ...]:
    """What a reader must not overlook, by what the draws are."""
    if basis is not None and basis.origin in UNSEEN:
        return PRIOR_LIMIT, HOW, FAN, BEYOND
    return (FITTED_LIMIT, FAN, BEYOND) if basis is None or basis.bands else (ONE_CURVE, BEYOND)


def _renamed(structure: Structure, model: Model) -> Structure:
    """Draws and estimate of a stock's start under the constant that stands for it."""
    draws = {start_of(model, name): values for name, values in structure.draws.items()}
    estimate = {start_of(model, name): value for name, value in structure.estimate.items()}
    return replace(structure, draws=draws, estimate=estimate)


def _target(request: Request, model: Model) -> str:
    """The model's file as a command names it, as far as the user has named it: no folder of this machine."""
    from calibration.study.library import STUDIES

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


def _warning(problem: CalibrationProblem, seed: int) -> str:
    study = CalibrationStudy(problem)
    against = attempt("contradiction", lambda: study.contradictions(None, None, seed=seed, engine="native"), "")
    return f"These priors contradict the data: {against}." if against else ""


def _labels(problem: CalibrationProblem, scenario: Scenario) -> tuple[str, ...]:
    from cipark_sd.engines.plan import plan

    times = plan(problem.model, scenario, save=(), times=None, method=None).times
    try:
        return tuple(problem.calendar.label(float(time)) for time in times)
    except (ValueError, OverflowError):
        # times before the first date that a calendar knows
        return ()


def _structures(request: Request, problem: CalibrationProblem, catalogue: Catalogue | None) -> tuple[Structure, ...]:
    if request.structures:
        return _rivals(request, problem, catalogue)
    draws, estimate = _draws(request, problem)
    return (_structure("as the study has it", Scenario(), draws, estimate),)


def _structure(title: str, scenario: Scenario, draws: Draws, estimate: Mapping[str, float]) -> Structure:
    middle = {name: float(np.median(values)) for name, values in draws.values.items()}
    # of draws that are no basis for a band there is the optimum alone
    shown = draws.values if draws.basis.bands else {name: values[:0] for name, values in draws.values.items()}
    return Structure(title, scenario, shown, {**middle, **estimate}, draws.basis)


def _draws(request: Request, problem: CalibrationProblem) -> tuple[Draws, Mapping[str, float]]:
    """The draws that are asked for, thinned, and the estimate at hand, none for priors."""
    rng = np.random.default_rng(request.seed)
    if request.draws == "prior":
        return draws_from_prior(problem, request.runs, rng, ONLY), {}
    if request.draws:
        return draws_from_file(problem, request.draws, ONLY).thinned(request.runs, rng), {}
    place = request.fit or OUTPUT_FOLDER / problem.folder.resolve().name
    fit = after_fit(problem, request.scratch, request.seed, place=place)
    if fit is None:
        return draws_from_prior(problem, request.runs, rng, ONLY), {}
    basis: Basis = fit.basis
    draws = Draws(ONLY, fit.columns, basis.origin, converged=basis.converged, pareto_k=basis.pareto_k)
    density = On("native")(problem)
    theta = optimum_of(place, density)
    named = {} if theta is None else dict(zip(problem.space.names, theta.tolist(), strict=True))
    model_only = {override_key(name): value for name, value in named.items() if override_key(name) in draws.values}
    return draws.thinned(request.runs, rng), model_only


def _rivals(request: Request, problem: CalibrationProblem, catalogue: Catalogue | None) -> tuple[Structure, ...]:
    """Each structure of the study with draws of its own; those that the data refute are left out."""
    if catalogue is None or not problem.rivals:
        expected = f"a study with [[rival]] in problem.toml and with {POLICIES}"
        raise InvalidValue("--structures", problem.title, expected, where="cipark play")
    study = Target(request.folder, catalogue, CalibrationStudy(problem))
    source: DrawSource = "prior" if request.draws == "prior" else Path(request.draws) if request.draws else "at hand"
    draw_request = DrawRequest(
        study.rivals, source, request.runs, request.seed, request.scratch, engine="native", known=study.rivals
    )
    with progress_bars() as bars:
        made = study.study.draws(draw_request, bars)
    return tuple(_structure(_named(rival), rival.scenario, made.draws[rival.id], {}) for rival in made.structures)


def _named(rival: definition.Structure) -> str:
    return f"{rival.id}: {rival.title}" if rival.title else rival.id


def _outcomes(request: Request, problem: CalibrationProblem, catalogue: Catalogue | None) -> tuple[Outcome, ...]:
    levels = _levels_of(problem)
    if not request.variables and catalogue is not None:
        chosen = list(outcomes_of(catalogue))
    else:
        model, names = problem.model, map(problem.model.protected, request.variables or levels)
        chosen = [Outcome(model.label(*split_key(override_key(name))), name) for name in names]
    by_key = {override_key(name): values for name, values in levels.items()}
    if not chosen:
        raise InvalidValue("the outputs", "none", "--variables NAMES", where="cipark play")
    waiting = {override_key(name) for name in _waiting(problem)}

    def beside(outcome: Outcome) -> Outcome:
        key = override_key(outcome.variable)
        return replace(outcome, observed=by_key.get(key, ()), note=NOT_YET if key in waiting else "")

    return tuple(outcome if outcome.per else beside(outcome) for outcome in chosen[:OUTCOMES])


def _levels_of(problem: CalibrationProblem) -> dict[str, tuple[Seen, ...]]:
    """By variable what was counted of it, in the order of the study; sums and splits have no curve of their own."""
    levels_of: dict[str, list[Seen]] = {}
    for observation in problem.observations:
        quantity = course_of(observation)
        if quantity is None or observation.kind == "ratio":
            continue
        parts = quantity.parts
        if len(parts) != 1 or parts[0][1] != 1:
            continue
        levels = [
            Seen(level.time, level.lower, level.upper, level.use, problem.calendar.label(level.time))
            for level in dated_levels(observation)
        ]
        levels_of.setdefault(parts[0][0], []).extend(levels)
    return {name: tuple(levels) for name, levels in levels_of.items()}


def _waiting(problem: CalibrationProblem) -> set[str]:
    """Variables whose counts are reported later than they happen."""
    return {
        name
        for observation in problem.observations
        if is_reported_later(observation) and (course := course_of(observation)) is not None
        for name, _ in course.parts
    }


def _levers(
    request: Request,
    problem: CalibrationProblem,
    catalogue: Catalogue | None,
    scenario: Scenario,
    structure: Structure,
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
    if request.levers:
        return tuple(
            fitted.get(override_key(name)) or lever_of(model, name) for name in map(model.protected, request.levers)
        )
    if catalogue is not None and catalogue.levers:
        return levers_of(catalogue)
    fitted_scenario = scenario | Scenario("", dict(structure.estimate))
    shown = [outcome.variable for outcome in outcomes]
    first = most_influential(model, fitted_scenario, tuple(fitted.values()), shown, LEVERS)
    unfitted = [lever for lever in candidates(model) if override_key(lever.names[0]) not in fitted]
    unfitted = list(within_numbers(model, fitted_scenario, unfitted, shown))
    return (
        (*first, *most_influential(model, fitted_scenario, unfitted, shown, LEVERS - len(first))) if unfitted else first
    )


def _fitted(model: Model, name: str, values: Array, parameter: Parameter | None) -> Lever:
    """A fitted constant over 95 % of its prior and nearly all of its draws, ends rounded outwards to whole steps."""
    low, high = (float(value) for value in np.quantile(values, [TAIL, 1 - TAIL]))
    if parameter is not None:
        ends_of_prior = parameter.interval()
        low, high = min(low, ends_of_prior[0]), max(high, ends_of_prior[1])
    if not low < high:
        low, high = low - abs(low) / 2 - 0.5, high + abs(high) / 2 + 0.5
    step = Lever("", (name,), low, high).step
    ends = [float(f"{end * step:.12g}") for end in (np.floor(low / step), np.ceil(high / step))]
    title = model.label(*split_key(model.key(name)))
    # a stock and its start are spelt alike
    at_start = override_key(title) != override_key(name)
    return Lever(f"{title} at the start" if at_start else title, (name,), ends[0], ends[1])
