"""Rolling origin: at each date the model is fitted to what was known then, and what came later scores it.

Every origin gets a posterior of its own from the sampler, not a normal around an optimum: with few counts the posterior
is skewed, and a forecast's width is what is tested. Rival structures see the same windows; one without a mechanism,
such as a curve, says what a model has to beat. The number of scored points is part of every summary: a difference over
a dozen points is a hint, no proof. Nor is a model blind to what its author knew: its structure and its dated events
were written after the data that are held out here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from itertools import product

import numpy as np
import pandas as pd

from calibration.assess.rivals import with_variant
from calibration.assess.scores import score, summaries, table_of
from calibration.inference.sampling.convergence import EFFORT, Effort
from calibration.inference.sampling.draws import PER_CHAIN, chains_entry, draw_whole, problem_digest
from calibration.inference.sampling.sample import Start
from calibration.inference.sampling.starts import NowherePossible
from calibration.likelihood.posterior import DensityOf, Posterior
from calibration.likelihood.replicate import named_streams, numbers, replicate
from calibration.study.problem import CalibrationProblem, until
from cipark_sd.analysis.experiments.definition import Structure
from cipark_sd.base.arrays import Array
from cipark_sd.base.checkpoints import Arrays, Checkpoints, as_arrays, digest, from_arrays, stream
from cipark_sd.base.wording import listed
from cipark_sd.execution.pool import OnProgress, Pool, Tell
from cipark_sd.execution.workers import Workers

#: What the study's own structure is called among forecasters.
MODEL = "model"


#: Draws ``(n, k)`` of a posterior of all data, and there the log density ``(n, n_terms)`` of each fitted term, counted
#: by its weight in the fit.
Whole = tuple[Array, Array]


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores at one origin, and whether the posterior has converged; None where the data are impossible."""

    scores: pd.DataFrame
    converged: bool | None


def start_of(whole: Whole, problem: CalibrationProblem, early: CalibrationProblem) -> Start:
    """Where sampling begins for the ``early`` state of the problem: the draws without what came later."""
    theta, logs = whole
    pairs = zip(problem.terms, early.terms, strict=True)
    later = np.array([then.use != "fit" for term, then in pairs if term.use == "fit"])
    return theta, -logs[:, later].sum(axis=1)


@dataclass(frozen=True, eq=False)
class RollingOrigin:
    """Scores of the model and of rival structures, fitted at each origin.

    Parameters
    ----------
    scores : DataFrame
        As of :func:`calibration.assess.scores.table_of`.
    not_converged : tuple of float
        Origins at which a posterior is not to be used.
    refuted : tuple of str
        Rival structures under which what was known at an origin is impossible; they have no scores.
    """

    scores: pd.DataFrame
    not_converged: tuple[float, ...]
    refuted: tuple[str, ...] = ()

    @property
    def comparable(self) -> pd.DataFrame:
        """Scores of the numbers that every forecaster predicted."""
        n = self.scores.groupby(["origin", "label"])["forecaster"].transform("nunique")
        return self.scores[n == self.scores["forecaster"].nunique()]

    @property
    def summary(self) -> pd.DataFrame:
        """Over the comparable numbers, best log score first."""
        return summaries(self.comparable)


@dataclass(frozen=True, eq=False)
class OriginTask:
    """Fit what was known at one origin and score what came later.

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
        return digest("scores at an origin", problem_digest(self.problem), self.density_of, *parts, *rival, *start)

    def __call__(self, tell: Tell) -> Arrays:
        """:class:`Scored` as arrays."""
        chains, noise = self.rng.spawn(2)
        density = self.density_of(self.problem)
        saved = chains_entry(self.checkpoints, density, chains, self.effort)
        try:
            drawn = draw_whole(
                density, chains, self.effort, saved, lambda steps, most, _: tell(steps, most), self.start
            )
        except NowherePossible:
            if self.forecaster == MODEL:
                raise
            return as_arrays(Scored(table_of(()), None))
        scores = model_scores(density, drawn.flat, self.origin, noise, forecaster=self.forecaster)
        if drawn.sampled.converged:
            # chains are for going on after a stop or with more steps
            saved.discard()
        return as_arrays(Scored(scores, drawn.sampled.converged))


def rolling_origin(
    problem: CalibrationProblem,
    density_of: DensityOf,
    rng: np.random.Generator,
    *,
    rivals: Sequence[Structure] = (),
    whole: Mapping[str, Whole] | None = None,
    effort: Effort = EFFORT,
    workers: Pool | None = None,
    on_progress: OnProgress | None = None,
) -> RollingOrigin:
    """Score the model at every origin of the study that leaves something to fit.

    Parameters
    ----------
    rivals : sequence of Structure
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
    streams = named_streams(rng, [f"{rival.id} {task.origin!r}" for rival in differing for task in tasks])
    tasks += [
        replace(task, problem=with_variant(task.problem, rival), rng=stream, forecaster=rival.id)
        for (rival, task), stream in zip(list(product(differing, tasks)), streams, strict=True)
    ]
    tasks = [
        replace(task, start=start_of(whole[task.forecaster], problem, task.problem))
        if whole is not None and task.forecaster in whole
        else task
        for task in tasks
    ]
    returned, interrupted = workers.run(tasks, on_progress)
    if interrupted:
        raise KeyboardInterrupt
    answers = [(task, from_arrays(Scored, answer)) for task, answer in zip(tasks, returned, strict=True) if answer]
    refuted = tuple(dict.fromkeys(task.forecaster for task, scored in answers if scored.converged is None))
    answers = [(task, scored) for task, scored in answers if task.forecaster not in refuted]
    tables = [scored.scores for _, scored in answers if len(scored.scores)]
    by_model = [scored.scores for task, scored in answers if task.forecaster == MODEL]
    tables += [scores.assign(forecaster=rival.id) for rival in neutral for scores in by_model if len(scores)]
    return RollingOrigin(
        pd.concat(tables, ignore_index=True) if tables else table_of(()),
        tuple(dict.fromkeys(task.origin for task, scored in answers if not scored.converged)),
        refuted,
    )


def model_scores(
    density: Posterior, theta: Array, origin: float, rng: np.random.Generator, *, forecaster: str = MODEL
) -> pd.DataFrame:
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
    return table_of(scores)


def verdict(rolling: RollingOrigin) -> str:
    """In words: which structures predicted better than the study's own, over how many points."""
    lines = rolling.summary
    by_name = {str(line["forecaster"]): line for line in lines.to_dict("records")}
    if MODEL not in by_name:
        return "Nothing was held out that the model could predict."
    model = by_name.pop(MODEL)
    twice = "" if model["n"] == model["n_numbers"] else f", {model['n']} predictions of them"
    inside = f"90 % intervals held {model['coverage_90']:.0%} of them"
    points = f"({model['n_numbers']} counts held out{twice}; {inside})"
    if not by_name:
        return (
            f"Mean log score {model['mean_log_score']:.2f} {points}. To judge it, compare with a structure without the "
            "mechanism, such as a constant rate, as a [[rival]] (--rivals)."
        )
    worse, sharper = (
        listed((name for name, line in by_name.items() if line[key] < model[key]), none="")
        for key in ("mean_log_score", "mean_crps")
    )
    by_log = f"By log score the model predicts worse than {worse}" if worse else "By log score no rival predicts better"
    by_crps = f"by CRPS worse than {sharper}" if sharper else "by CRPS no rival does"
    return f"{by_log}; {by_crps} {points}."
