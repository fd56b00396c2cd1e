"""Rolling origin: at each date the model is fitted to what was known then, and what came later scores it.

Every origin gets a posterior of its own from the sampler, not a normal around an optimum: with few counts the posterior
is skewed, and a forecast's width is what is tested. Baselines see the same windows. The number of scored points is part
of every summary: a difference over a dozen points is a hint, no proof. Nor is a model blind to what its author knew:
its structure and its dated events were written after the data that are held out here, those of a baseline were not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from itertools import product

import numpy as np

from calibration.assess import baselines
from calibration.assess.rivals import with_variant
from calibration.assess.scores import Score, Summary, score, summaries
from calibration.likelihood.posterior import DensityOf, Posterior
from calibration.likelihood.replicate import Number, numbers, replicate
from calibration.likelihood.streams import named_streams
from calibration.readings.reporting import Reporting
from calibration.sampling.draws import PER_CHAIN, chains_entry, draw_whole, problem_digest
from calibration.sampling.effort import EFFORT, Effort
from calibration.sampling.sample import Start
from calibration.sampling.starts import NowherePossible
from calibration.study.observations import Count, Observation, ReadQuantity, quantities_of
from calibration.study.problem import CalibrationProblem, until
from calibration.study.variants import Variant
from cipark_sd.arrays import Array
from cipark_sd.checkpoints import Arrays, Checkpoints, as_arrays, digest, from_arrays, stream
from cipark_sd.tasks.pool import OnProgress, Pool, Tell
from cipark_sd.tasks.workers import Workers
from cipark_sd.wording import listed

#: What the study's own structure is called among forecasters.
MODEL = "model"


@dataclass(frozen=True, eq=False)
class Whole:
    """Draws ``theta : (n, k)`` of a posterior of all data, and the log density of each fitted term there.

    ``logs : (n, n_terms)`` counts the weights that terms have in the fit.
    """

    theta: Array
    logs: Array

    def until(self, problem: CalibrationProblem, early: CalibrationProblem) -> Start:
        """Where sampling begins for the ``early`` state of the problem: the draws without what came later."""
        pairs = zip(problem.terms, early.terms, strict=True)
        later = np.array([then.use != "fit" for term, then in pairs if term.use == "fit"])
        return self.theta, -self.logs[:, later].sum(axis=1)


@dataclass(frozen=True)
class RollingOrigin:
    """Scores of the model, the baselines and rival structures.

    Parameters
    ----------
    scores : tuple of Score
    not_converged : tuple of float
        Origins at which a posterior is not to be used.
    structures : tuple of str
        Those of the forecasters that are rival structures, fitted at each origin like the model.
    refuted : tuple of str
        Rival structures under which what was known at an origin is impossible; they have no scores.
    """

    scores: tuple[Score, ...]
    not_converged: tuple[float, ...]
    structures: tuple[str, ...] = ()
    refuted: tuple[str, ...] = ()

    @property
    def comparable(self) -> tuple[Score, ...]:
        """Scores of the numbers that every forecaster predicted."""
        forecasters = {entry.forecaster for entry in self.scores}
        by_number: dict[tuple[float, str], set[str]] = {}
        for entry in self.scores:
            by_number.setdefault((entry.origin, entry.label), set()).add(entry.forecaster)
        return tuple(entry for entry in self.scores if by_number[entry.origin, entry.label] == forecasters)

    @property
    def summary(self) -> list[Summary]:
        """Over the comparable numbers, best log score first."""
        return summaries(self.comparable)

    @property
    def baselines(self) -> tuple[str, ...]:
        """Forecasters that know nothing of the system."""
        names = dict.fromkeys(entry.forecaster for entry in self.scores)
        return tuple(name for name in names if name != MODEL and name not in self.structures)


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores at one origin, and whether the posterior has converged; None where the data are impossible."""

    scores: tuple[Score, ...]
    converged: bool | None


@dataclass(frozen=True, eq=False)
class OriginTask:
    """Fit what was known at one origin and score what came later; beside the model, not a rival, the baselines.

    Sampling begins at ``start`` where there is one.
    """

    problem: CalibrationProblem
    origin: float
    density_of: DensityOf
    rng: np.random.Generator
    effort: Effort
    checkpoints: Checkpoints
    forecaster: str = MODEL
    start: Start | None = None

    @property
    def label(self) -> str:
        """For the bar."""
        return f"{self.origin:g}" if self.forecaster == MODEL else f"{self.forecaster} at {self.origin:g}"

    @cached_property
    def key(self) -> str:
        """Of all that the answer depends on."""
        held = [(o.name, [term for term in o.terms if term.use == "holdout"]) for o in self.problem.observations]
        parts = (self.origin, stream(self.rng), self.effort, PER_CHAIN, [entry for entry in held if entry[1]])
        rival = () if self.forecaster == MODEL else (self.forecaster,)
        start = () if self.start is None else tuple(sha256(part.tobytes()).hexdigest() for part in self.start)
        return digest("origin", problem_digest(self.problem), self.density_of, *parts, *rival, *start)

    def __call__(self, tell: Tell) -> Arrays:
        """:class:`Scored` as arrays."""
        chains, noise, baseline_rng = self.rng.spawn(3)
        density = self.density_of(self.problem)
        saved = chains_entry(self.checkpoints, density, chains, self.effort)
        try:
            drawn = draw_whole(
                density, chains, self.effort, saved, lambda steps, most, _: tell(steps, most), self.start
            )
        except NowherePossible:
            if self.forecaster == MODEL:
                raise
            return as_arrays(Scored((), None))
        scores = model_scores(density, drawn.flat, self.origin, noise, forecaster=self.forecaster)
        for observation in self.problem.observations if self.forecaster == MODEL else ():
            scores += baseline_scores(observation, self.origin, baseline_rng, most_steps=self.effort.most_steps)
        if drawn.sampled.converged:
            # chains are for going on after a stop or with more steps
            saved.discard()
        return as_arrays(Scored(tuple(scores), drawn.sampled.converged))


def rolling_origin(
    problem: CalibrationProblem,
    density_of: DensityOf,
    rng: np.random.Generator,
    *,
    rivals: Sequence[Variant] = (),
    whole: Mapping[str, Whole] | None = None,
    effort: Effort = EFFORT,
    workers: Pool | None = None,
    on_progress: OnProgress | None = None,
) -> RollingOrigin:
    """Score the model and the baselines at every origin of the study that leaves something to fit.

    Parameters
    ----------
    rivals : sequence of Variant
        Structures that are fitted and scored at every origin beside the model.
    whole : mapping of str to Whole, optional
        By forecaster, what the posterior of all data has: sampling at an origin begins there, the weight of what came
        later taken away. Without it draws of the prior are annealed.
    workers : Pool, optional
        Without them all is done in this process and nothing is kept.

    Raises
    ------
    KeyboardInterrupt
        When the user stops; origins that are done stay where the workers keep answers.
    """
    workers = Workers() if workers is None else workers
    tasks = [
        OriginTask(until(problem, origin), origin, density_of, generator, effort, workers.checkpoints)
        for origin, generator in zip(problem.holdout, rng.spawn(len(problem.holdout)), strict=True)
        if until(problem, origin).fitted_terms
    ]
    # a rival that changes nothing foretells what the model does
    scenario = problem.scenario
    neutral = [rival for rival in rivals if replace(scenario | rival.scenario, name=scenario.name) == scenario]
    differing = [rival for rival in rivals if rival not in neutral]
    streams = named_streams(rng, [f"{rival.name} {task.origin!r}" for rival in differing for task in tasks])
    tasks += [
        replace(task, problem=with_variant(task.problem, rival), rng=stream, forecaster=rival.name)
        for (rival, task), stream in zip(list(product(differing, tasks)), streams, strict=True)
    ]
    tasks = [
        replace(task, start=whole[task.forecaster].until(problem, task.problem))
        if whole is not None and task.forecaster in whole
        else task
        for task in tasks
    ]
    outcome = workers.run(tasks, on_progress)
    if outcome.interrupted:
        raise KeyboardInterrupt
    answers = [
        (task, from_arrays(Scored, answer)) for task, answer in zip(tasks, outcome.answers, strict=True) if answer
    ]
    refuted = tuple(dict.fromkeys(task.forecaster for task, scored in answers if scored.converged is None))
    answers = [(task, scored) for task, scored in answers if task.forecaster not in refuted]
    scores = tuple(entry for _, scored in answers for entry in scored.scores)
    by_model = [entry for entry in scores if entry.forecaster == MODEL]
    scores += tuple(replace(entry, forecaster=rival.name) for rival in neutral for entry in by_model)
    return RollingOrigin(
        scores,
        tuple(dict.fromkeys(task.origin for task, scored in answers if not scored.converged)),
        tuple(rival.name for rival in rivals if rival.name not in refuted),
        refuted,
    )


def model_scores(
    density: Posterior,
    theta: Array,
    origin: float,
    rng: np.random.Generator,
    *,
    forecaster: str = "model",
) -> list[Score]:
    """Scores of the numbers held out.

    The log score of a breakdown is that of the whole and stands with its first category.
    """
    drawn = replicate(density, theta, rng)
    logs = density.pointwise(theta, fitted_only=False, weighted=False)
    scores = []
    for i, number in enumerate(numbers(density.problem.observations)):
        # a row that the study holds out anyway may lie before the origin, and is no forecast then
        if number.use == "holdout" and number.time > origin:
            densities = logs[:, number.term] if number.slot == 0 else np.zeros(1)
            scores.append(score(forecaster, origin, number, drawn[:, i], densities, rng))
    return scores


def baseline_scores(
    observation: Observation, origin: float, rng: np.random.Generator, *, most_steps: int
) -> list[Score]:
    """Scores of the baselines for an observation of counts over windows, none for another kind.

    ``most_steps`` bounds their chains where it is fewer than they take by themselves.
    """
    fitted, later = _windows(observation, "fit", -np.inf), _windows(observation, "holdout", origin)
    if observation.kind not in ("increments", "flow") or len(fitted[0]) < 2 or not later[0]:
        return []
    if any(number.lower != number.upper or number.lower < 0 for number in (*fitted[0], *later[0])):
        return []
    # a probability of counts cannot be set against a density of measurements
    if any(isinstance(term, Count) and not term.noise.family.discrete for term in observation.terms):
        return []
    scores = []
    for baseline in baselines.baselines(fitted[1]):
        drawn, logs = baselines.forecast(
            baseline,
            fitted[1],
            later[1].start,
            later[1].end,
            later[1].count,
            rng.spawn(1)[0],
            most_steps=most_steps,
            layer=_layer(observation),
        )
        for i, number in enumerate(later[0]):
            scores.append(score(baseline.name, origin, number, drawn[:, i], logs[:, i], rng))
    return scores


def _layer(observation: Observation) -> Reporting | None:
    """The layer between what happens and its reports, which is no knowledge of the system."""
    readings = [q.reading for q in quantities_of([observation]) if isinstance(q, ReadQuantity)]
    return next((reading for reading in readings if isinstance(reading, Reporting)), None)


def _windows(observation: Observation, use: str, after: float) -> tuple[Sequence[Number], baselines.Windows]:
    chosen = [t for t in observation.terms if t.use == use and isinstance(t, Count) and t.quantity.end > after]
    selected = [number for number in numbers([observation]) if number.use == use and number.time > after]
    columns = np.array([(t.quantity.start, t.quantity.end, t.lower) for t in chosen], dtype=float).reshape(-1, 3)
    return selected, baselines.Windows(columns[:, 0], columns[:, 1], columns[:, 2])


def verdict(rolling: RollingOrigin) -> str:
    """In words: whether the model beat the baselines, over how many points."""
    lines = rolling.summary
    model = next((line for line in lines if line.forecaster == "model"), None)
    if model is None or not rolling.baselines or len(lines) < 2:
        return "Nothing was held out that a baseline could predict as well."
    simple = [line for line in lines if line.forecaster in rolling.baselines]
    worse = [line.forecaster for line in simple if line.mean_log_score < model.mean_log_score]
    sharper = [line.forecaster for line in simple if line.mean_crps < model.mean_crps]
    twice = "" if model.n == model.n_numbers else f", {model.n} predictions of them"
    points = f"{model.n_numbers} counts held out{twice}"
    sentence = (
        f"By log score the model predicts worse than {listed(worse)}"
        if worse
        else "By log score the model predicts better than every baseline"
    )
    sentence += f"; by CRPS worse than {listed(sharper)}" if sharper else "; by CRPS better than every baseline"
    return f"{sentence} ({points}; 90 % intervals held {model.coverage_90:.0%} of them)."
