"""From a calibration to its findings, the facts of its study and the checks at its estimate: what takes the model."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from calibration.assess.posterior_predictive import drawn_event, drawn_predictions, predict
from calibration.inference.judge.conditions import conditions
from calibration.inference.judge.course_errors import course_errors
from calibration.inference.judge.identifiability import identifiability
from calibration.inference.judge.residuals import fitted, other_noise_of_counts
from calibration.inference.judge.verification import (
    COARSE,
    TOO_COARSE,
    Replication,
    asked_step_words,
    not_possible,
    step_words,
)
from calibration.inference.profile.interval_rules import Threshold, residual_spreads, standard_errors
from calibration.inference.profile.profile import Profile
from calibration.inference.profile.scatter import scatter
from calibration.inference.profile.verdict import not_judged
from calibration.inference.sample.draws import PosteriorDraws, problem_digest
from calibration.inference.sample.importance import heavy_tails, relative_efficiency
from calibration.inference.sample.known_optima import Place, places_words
from calibration.inference.sample.warming import NEAR
from calibration.inference.search.optimise import Optimum, Reached
from calibration.likelihood.forward import ForwardModel, all_reported, from_nothing
from calibration.likelihood.replicate import Stage, stage_numbers
from calibration.report.findings import Curves, Fit, Observed, Posterior, Reported, StudyFacts
from calibration.study.asked import asked_prediction, course, estimand_of
from calibration.study.observations import (
    Observation,
    Prediction,
    Quantity,
    ReadQuantity,
    course_of,
    dated_levels,
    reporting_of,
)
from calibration.study.problem import CalibrationProblem, Stated
from cipark_sd.base.arrays import Array, evenly
from cipark_sd.base.naming import base_name, canonical, split_key
from cipark_sd.base.optional import attempt
from cipark_sd.base.wording import labelled
from cipark_sd.data.described import version
from cipark_sd.data.estimands import unit_of
from cipark_sd.data.readings import Metric
from cipark_sd.data.scenarios import Scenario, resolve
from cipark_sd.engines.registry import choose
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Stock
from cipark_sd.verify.checks.outcome import Outcome

if TYPE_CHECKING:
    import xarray as xr

#: Of draws whose optima have no curvature to weigh them by, as where a likelihood jumps.
NOT_WEIGHED = "Optima that searches found were not weighed: that the draws hold each was not checked."
#: Draws of a fan.
FAN = 1000


@dataclass(frozen=True, eq=False)
class Calibration:
    """One calibration with its model and objective, from which all that follows is computed.

    Parameters
    ----------
    optimum : Optimum
        The best of all searches, with what each of them found.
    profiles, predictions : tuple of Profile
        Of the fitted constants and of what the study reports, as far as they were asked for and done.
    engine : str
        That ran the model.
    replication : Replication
        Whether PySD gives the same at the estimate.
    failed : tuple of str
        Runs over draws that have failed, in sentences.
    draws : PosteriorDraws, optional
        None where nothing was sampled, or could be.
    unsampled : str
        Why there are no draws where sampling was tried, and what to do.
    step_shift : float
        Largest move of an expected number at half the time step, in standard deviations of its noise; NaN where it was
        not computed.
    stepped : str
        Why it was fitted with another time step or method than the study has, and with which; empty where it was not.
    asked_step : bool
        Whether the user has asked for the time step or the method.
    reused : str
        How many searches and profiles of an earlier run were taken up, and how many not, in words.
    """

    optimum: Optimum
    profiles: tuple[Profile, ...]
    predictions: tuple[Profile, ...]
    engine: str
    replication: Replication
    failed: tuple[str, ...]
    draws: PosteriorDraws | None = None
    unsampled: str = ""
    step_shift: float = float("nan")
    stepped: str = ""
    asked_step: bool = False
    reused: str = ""

    @property
    def interrupted(self) -> bool:
        """Whether the user stopped before all was done."""
        return self.optimum.interrupted or (self.draws is not None and self.draws.sampled.interrupted)

    @property
    def is_unjudged(self) -> bool:
        """Whether the time step is too coarse for a number of it to mean anything, and nobody has asked for it."""
        return self.step_shift > COARSE and not self.asked_step

    @property
    def problem(self) -> CalibrationProblem:
        """The study with what the command line changes of it."""
        return self.optimum.goal.density.problem

    @property
    def estimates(self) -> Mapping[str, float]:
        """The values at the optimum, by parameter."""
        return dict(zip(self.problem.space.names, self.optimum.theta.tolist(), strict=True))

    def __repr__(self) -> str:
        values = ", ".join(f"{name} {value:.4g}" for name, value in self.estimates.items())
        coarse = "; the time step is too coarse" if self.is_unjudged else ""
        if self.asked_step and self.step_shift > COARSE:
            coarse = f"; {asked_step_words(step_words(self.problem), self.step_shift)}"
        return f"<{type(self).__name__} of {self.problem.title}: {values}; {len(self.profiles)} profiles{coarse}>"


def fit_findings(made: Calibration) -> Fit:
    """The findings of a calibration, but for what follows its posterior."""
    problem, optimum, density = made.problem, made.optimum, made.optimum.goal.density
    profiles, predictions = made.profiles, made.predictions
    if made.is_unjudged:
        profiles = tuple(replace(p, verdict=not_judged(p.verdict, TOO_COARSE)) for p in profiles)
        predictions = tuple(replace(p, verdict=not_judged(p.verdict, TOO_COARSE)) for p in predictions)
    rows, identified = fitted(density, optimum.theta), identifiability(optimum)
    on = conditions(optimum, identified, profiles, rows, made.step_shift, asked_step=made.asked_step)
    profiles = tuple(
        replace(p, verdict=verdict.profile) if (verdict := on.of(p.name)) and verdict.profile else p for p in profiles
    )
    shown = curves(problem, optimum.theta, rows, made.engine)
    scattered = scatter(optimum) if optimum.goal.rough else None
    errors, no_errors = standard_errors(optimum, scattered)
    return Fit(
        study=study_facts(problem),
        optimum=Reached(**{reached.name: getattr(optimum, reached.name) for reached in fields(Reached)}),
        at_bound=optimum.at_bound,
        scatter=scattered,
        as_good=optimum.as_good(Threshold(problem.method.level).rise),
        rows=rows,
        identifiability=identified,
        errors=errors,
        no_errors=no_errors,
        residuals=_residuals(optimum),
        conditions=on,
        profiles=profiles,
        predictions=predictions,
        engine=made.engine,
        comparable=not not_possible(problem, made.engine),
        seed=problem.method.seed,
        replication=made.replication,
        curves=shown,
        course=_at_optimum(course(problem), optimum, made.engine),
        reported=_at_optimum(problem.predictions, optimum, made.engine),
        courses=attempt("course errors", lambda: course_errors(density, optimum.theta), ()),
        optima=_optima(made),
        posterior=None if made.draws is None else _posterior(made.draws, problem.method.seed, shown, made.engine),
        failed=made.failed,
        unsampled=made.unsampled,
        stepped=made.stepped,
        version=version(),
        numpy_version=np.__version__,
    )


def _residuals(optimum: Optimum) -> pd.DataFrame:
    """Spreads of residuals, and of these and of counts what another family of noise gains."""
    spreads, counts = residual_spreads(optimum), other_noise_of_counts(optimum.goal.density, optimum.theta)
    return pd.DataFrame([*spreads.to_dict("records"), *counts.to_dict("records")], columns=spreads.columns)


def _at_optimum(predictions: Sequence[Prediction], optimum: Optimum, engine: str) -> tuple[float, ...]:
    """Predictions at the estimate."""
    problem, theta = optimum.goal.density.problem, optimum.theta[None, :]
    return tuple(all_reported(problem, predictions, choose(engine), theta)[0].tolist())


def _optima(made: Calibration) -> tuple[Place, ...]:
    """The estimate and what other searches found that is nearly as good, as the draws hold them where there are any.

    The top of a sampler's coordinates is not the estimate, whose priors are taken on other scales, but near by.
    """
    goal, optimum = made.optimum.goal, made.optimum
    places = () if made.draws is None else made.draws.places
    places = places or tuple(Place(theta, 0.0) for theta in (optimum.theta, *optimum.as_good(NEAR)))
    boxes = [goal.box(place.theta) for place in places]
    at = int(np.argmin([np.abs(box - goal.box(optimum.theta)).max() for box in boxes]))
    below = [optimum.log_density + float(goal(box[None])[0]) for box in boxes]
    further = [replace(place, below=below[i]) for i, place in enumerate(places) if i != at]
    return (replace(places[at], theta=optimum.theta, below=0.0), *sorted(further, key=lambda place: place.below))


def curves(problem: CalibrationProblem, theta: Array, rows: pd.DataFrame, engine: str) -> Curves:
    """The model's trajectory of each observation that has one variable, and its dated numbers as levels.

    Increments are added up from their baseline, so that a count is drawn where it was reported; a trajectory of what
    is reported is read as the counts are.

    Parameters
    ----------
    theta : (k,)
        The estimate, on the parameters' own scales.
    rows : DataFrame
        As of :func:`calibration.inference.judge.residuals.fitted`.
    """
    dated = [o for o in problem.observations if course_of(o) is not None]
    times, values = _trajectories(problem, dated, theta[None, :], engine)
    empty = from_nothing(problem, choose(engine), theta)
    question = asked_prediction(problem, problem.about)
    parts = None if question is None else question.parts
    about = (o.name for o in dated if (quantity := course_of(o)) and quantity.parts == parts and not quantity.factor)
    return Curves(
        times,
        {observation.name: course for observation, course in zip(dated, values[0], strict=True)},
        {o.name: levels(rows[rows["observation"] == o.name], o, from_nothing=o.name in empty) for o in dated},
        next(about, ""),
    )


def _trajectories(
    problem: CalibrationProblem, dated: Sequence[Observation], theta: Array, engine: str
) -> tuple[Array, Array]:
    """The times of a run ``(n_times,)``, and what each of ``theta : (n, k)`` expects, ``(n, n_dated, n_times)``."""
    from calibration.likelihood.observation_operator import reader

    grid = problem.steps()
    quantities = [quantity for o in dated if (quantity := course_of(o)) is not None]
    if not quantities:
        return grid.times, np.empty((len(theta), 0, len(grid.times)))

    def at(quantity: Quantity, time: float) -> Quantity:
        return replace(quantity, how="at", start=time, end=time)

    read = reader([at(quantity, t) for quantity in quantities for t in grid.times.tolist()], grid, left_rule=True)
    run = ForwardModel(problem, read.outputs, read.times, choose(engine))
    numbers = {name: theta[:, problem.space.names.index(name)] for name in read.parameters}
    values = read.of_places(run.at(theta[:, problem.space.is_model], read.places), numbers)
    return grid.times, values.reshape(len(theta), len(quantities), -1)


def _fan(draws: PosteriorDraws, shown: Curves, engine: str) -> Array | None:
    """The fan of the observation that a first screen shows; None where there is none."""
    problem = draws.density.problem
    name = shown.first(o.name for o in problem.observations)
    if name is None:
        return None
    of = [observation for observation in problem.observations if observation.name == name]
    _, values = _trajectories(problem, of, evenly(draws.flat, FAN), engine)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.nanquantile(values[:, 0], [0.05, 0.25, 0.5, 0.75, 0.95], axis=0))


def levels(rows: pd.DataFrame, observation: Observation, *, from_nothing: bool = False) -> pd.DataFrame:
    """Rows as levels, as of :func:`calibration.study.observations.dated_levels`.

    Parameters
    ----------
    rows : DataFrame
        Of this observation.
    from_nothing : bool
        Whether there was nothing when its first window began.

    Returns
    -------
    DataFrame
        With ``end``, ``lower`` and ``upper`` of the levels.
    """
    dated = [level[:3] for level in dated_levels(observation, from_nothing=from_nothing)]
    end, lower, upper = np.array(dated, dtype=float).reshape(len(rows), 3).T
    return rows.assign(end=end, lower=lower, upper=upper)


def _posterior(draws: PosteriorDraws, seed: int, shown: Curves, engine: str) -> Posterior:
    density, sampled, names = draws.density, draws.sampled, draws.density.space.names
    several = places_words(draws.places, names, [line.high - line.low for line in sampled.lines])
    unweighed = "" if draws.places else NOT_WEIGHED
    r_eff = relative_efficiency(draws.theta)
    predicted = predict(density, draws.flat, stage_numbers(seed, Stage.PREDICTED), r_eff=r_eff)
    return Posterior(
        theta=draws.theta,
        how=" ".join(filter(None, [sampled.sentence, several, heavy_tails(names, draws.theta), unweighed])),
        converged=sampled.converged,
        interrupted=sampled.interrupted,
        mixing=sampled.lines,
        predicted=tuple(predicted),
        predictions=drawn_predictions(draws, density.problem.predictions),
        course=drawn_predictions(draws, course(density.problem)),
        event=drawn_event(draws),
        fan=_fan(draws, shown, engine),
        obstacle="" if sampled.converged else sampled.obstacle,
    )


def checks_at_estimate(problem: CalibrationProblem, theta: Array, engine: str) -> tuple[Outcome, ...]:
    """The outcomes of ``NAME.checks.toml`` beside the model file, each run started from the estimate.

    What a check sets itself wins over the estimate. Nothing when there is no such file.

    Parameters
    ----------
    theta : (k,)
        The estimate, on the parameters' own scales.
    engine : str
        Another one takes its place where it does not compile the model.

    Raises
    ------
    Problems
        When the file cannot be read.
    """
    from cipark_sd.engines.registry import choose, names
    from cipark_sd.simulations.simulation import simulate
    from cipark_sd.verify.checks.file import read_checks
    from cipark_sd.verify.checks.run import run_checks

    model = problem.model
    if model.origin is None:
        return ()
    beside = model.origin.path.with_name(f"{model.origin.path.stem}.checks.toml")
    if not beside.is_file():
        return ()
    estimate = Scenario("estimate", values_of(problem, theta))
    # the checks make many runs, and whatever compiles the model gives the same bits
    engine = engine if choose(engine).compiled else names(compiled=True)[0]

    def at_estimate(model: "Model", scenario: Scenario, *, save: Sequence[str]) -> "xr.Dataset":
        return simulate(model, estimate | scenario, save=save, engine=engine)

    return run_checks(model, read_checks(beside, model), at_estimate, progress=lambda name, total: None)


def values_of(problem: CalibrationProblem, theta: Array) -> dict[str, float]:
    """Constants that the study holds and those of the model that it estimates, at the estimate.

    Parameters
    ----------
    theta : (k,)
        The estimate, on the parameters' own scales.

    Returns
    -------
    dict of str to float
        By name as the study spells it.
    """
    held = dict(problem.fixed)
    space = problem.space
    return held | dict(zip(space.of_model, theta[space.is_model].tolist(), strict=True))


def study_facts(problem: CalibrationProblem) -> StudyFacts:
    """The facts of a study."""
    model = problem.model
    variables = {name: model.by_name.get(base_name(name)) for name in problem.space.names}
    return StudyFacts(
        **{stated.name: getattr(problem, stated.name) for stated in fields(Stated)},
        model=model.name,
        model_digest=model.digest,
        study_digest=problem_digest(problem),
        scenario=problem.scenario.to_json(),
        time_method=model.time.method,
        time_step=resolve(model, problem.scenario).time_step,
        time_units=model.time.units,
        units={name: variable.units for name, variable in variables.items() if variable is not None},
        starts=tuple(name for name, variable in variables.items() if isinstance(variable, Stock)),
        rivals=tuple(rival.id for rival in problem.rivals if rival.scenario.overrides),
        observations=tuple(_observed(model, observation) for observation in problem.observations),
        predictions=tuple(_reported(problem, prediction) for prediction in problem.predictions),
        course=tuple(_reported(problem, prediction) for prediction in course(problem)),
        groups=tuple(canonical(group.name) for group in problem.groups),
    )


def _observed(model: Model, observation: Observation) -> Observed:
    quantities = [quantity for term in observation.terms for quantity in term.quantities]
    names = dict.fromkeys(base_name(name) for quantity in quantities for name, _ in quantity.parts)
    reporting = reporting_of(quantities[0]) if quantities else None
    return Observed(
        observation.name,
        observation.kind,
        ", ".join(model[name].label for name in names),
        ", ".join(sorted({term.noise.family.name for term in observation.terms})),
        quantity_label(model, quantities[0].parts) if quantities else "",
        () if reporting is None else reporting.events,
    )


def quantity_label(model: Model, parts: tuple[tuple[str, float], ...]) -> str:
    """What is counted, in the modeller's names, with its units; all elements of a variable together bear its name."""
    keys = [split_key(name) for name, _ in parts]
    counted = Counter(name for name, _ in keys)
    names = [
        model.label(name) if counted[name] == len(model.elements(model[name])) else model.label(name, elements)
        for name, elements in keys
    ]
    units = model[keys[0][0]].units
    return labelled(" + ".join(dict.fromkeys(names)), units)


def _reported(problem: CalibrationProblem, prediction: Prediction) -> Reported:
    model = problem.model
    label = quantity_label(model, prediction.parts)
    metric = prediction.reading if isinstance(prediction.reading, Metric) else None
    return Reported(
        name=prediction.name,
        label=label if prediction.against is None else f"change of {label}",
        estimand=estimand_of(model, prediction),
        unit=unit_of(model, prediction.parts[0][0]) if metric is None or not metric.is_of_time else model.time.units,
        metric="" if metric is None else metric.name,
        time=prediction.time,
        observations=tuple(o.name for o in problem.observations if _same_quantity(o, prediction)),
        waits=prediction.reading is None and any(_reported_later(o, prediction) for o in problem.observations),
    )


def _reported_later(observation: Observation, prediction: Prediction) -> bool:
    """Whether counts of what a prediction is of wait until they are reported."""
    course = course_of(observation)
    return course is not None and reporting_of(course) is not None and course.parts == prediction.parts


def _same_quantity(observation: Observation, prediction: Prediction) -> bool:
    """Whether the level of an observation is what a prediction foretells, read in the same way."""
    course = course_of(observation)
    if course is None or observation.kind == "flow" or prediction.against or prediction.scenario.overrides:
        return False
    reading = course.reading if isinstance(course, ReadQuantity) else None
    return course.parts == prediction.parts and reading == prediction.reading and not course.factor
