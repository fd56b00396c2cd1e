"""Rolling origin: at each date the model is fitted to what was known then, and what came later scores it.

Every origin gets a posterior of its own from the sampler, not a normal around an optimum: with few counts the posterior
is skewed, and a forecast's width is what is tested. Rival structures see the same windows; one without a mechanism,
such as a curve, says what a model has to beat. The number of scored points is part of every summary: a difference over
a dozen points is a hint, no proof. Nor is a model blind to what its author knew: its structure and its dated events
were written after the data that are held out here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import numpy as np
import pandas as pd

from calibration.assess.rivals import Refit, with_variant
from calibration.assess.scores import score, summaries, table_of
from calibration.inference.sample.convergence import EFFORT, Effort, OnBlock
from calibration.inference.sample.draws import PER_CHAIN, chains_entry, draw_whole, problem_digest
from calibration.inference.sample.moves import NowherePossible
from calibration.inference.sample.sample import Start
from calibration.likelihood.posterior import DensityOf, Posterior
from calibration.likelihood.replicate import named_streams, numbers, replicate
from calibration.study.problem import CalibrationProblem, until
from cipark_sd.analysis.experiments.definition import Structure
from cipark_sd.base.arrays import Array
from cipark_sd.base.checkpoints import Arrays, Checkpoints, as_arrays, digest, from_arrays, stream
from cipark_sd.base.wording import listed
from cipark_sd.execution.pool import OnProgress, Pool
from cipark_sd.execution.workers import Workers

#: What the study's own structure is called among forecasters.
MODEL = "model"
#: Draws ``(n, k)`` of a posterior of all data, and there the log density ``(n, n_terms)`` of each fitted term, counted
#: by its weight in the fit.
Whole = tuple[Array, Array]


def start_of(whole: Whole, problem: CalibrationProblem, early: CalibrationProblem) -> Start:
    """Where sampling begins for the ``early`` state of the problem: the draws without what came later.

    Parameters
    ----------
    whole : Whole
        Draws ``(n, k)`` of the posterior of all data with log densities ``(n, n_terms)`` of its fitted terms.
    problem, early : CalibrationProblem
        The study with all data, and what was known at an origin; of the same terms in the same order.

    Returns
    -------
    Start
        Draws ``(n, k)`` and log weights ``(n,)`` that take away what came later.
    """
    theta, logs = whole
    pairs = zip(problem.terms, early.terms, strict=True)
    later = np.array([then.use != "fit" for term, then in pairs if term.use == "fit"])
    return theta, -logs[:, later].sum(axis=1)


#: Random numbers of the noise for each draw of the parameters, by which a CRPS is known. With one the Monte Carlo error
#: is that of the noise mostly: of a noise three times as wide as the forecast's mean eight make it 2.3 times smaller.
NOISES = 8


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


# a stage of a calibration as Python calls it: the last five have defaults
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
    problem : CalibrationProblem
        With its origins in ``holdout``, in model time.
    density_of : DensityOf
        It has to pickle where there are workers.
    rng : Generator
        Spawns a stream for each origin, and one for each rival and origin by their names.
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
    # a rival that changes nothing foretells what the model does
    scenario = problem.scenario
    neutral = [rival for rival in rivals if replace(scenario | rival.scenario, name=scenario.name) == scenario]
    differing = [rival for rival in rivals if rival not in neutral]
    generators = rng.spawn(len(problem.holdout))
    dated = zip(problem.holdout, map(partial(until, problem), problem.holdout), generators, strict=True)
    fits = [(MODEL, origin, early, generator) for origin, early, generator in dated if early.fitted_terms]
    pairs = list(product(differing, fits))
    streams = named_streams(rng, [f"{rival.id} {origin!r}" for rival, (_, origin, *_) in pairs])
    fits += [
        (rival.id, origin, with_variant(early, rival), generator)
        for (rival, (_, origin, early, _)), generator in zip(pairs, streams, strict=True)
    ]
    tasks = []
    for forecaster, origin, early, generator in fits:
        known = None if whole is None else whole.get(forecaster)
        start = None if known is None else start_of(known, problem, early)
        tasks.append(
            origin_task((forecaster, origin), early, density_of, generator, effort, workers.checkpoints, start)
        )
    returned, interrupted = workers.run(tasks, on_progress)
    if interrupted:
        raise KeyboardInterrupt
    answers = [
        (forecaster, from_arrays(RollingOrigin, answer))
        for (forecaster, *_), answer in zip(fits, returned, strict=True)
        if answer
    ]
    refuted = tuple(dict.fromkeys(name for _, scored in answers for name in scored.refuted))
    answers = [(name, scored) for name, scored in answers if name not in refuted]
    tables = [scored.scores for _, scored in answers]
    by_model = [scored.scores for name, scored in answers if name == MODEL]
    tables += [scores.assign(forecaster=rival.id) for rival in neutral for scores in by_model]
    tables = [scores for scores in tables if len(scores)]
    return RollingOrigin(
        pd.concat(tables, ignore_index=True) if tables else table_of(()),
        tuple(dict.fromkeys(origin for _, scored in answers for origin in scored.not_converged)),
        refuted,
    )


def origin_task(
    at: tuple[str, float],
    problem: CalibrationProblem,
    density_of: DensityOf,
    rng: np.random.Generator,
    effort: Effort,
    checkpoints: Checkpoints,
    start: Start | None = None,
) -> Refit:
    """The task of one forecaster at one origin.

    Parameters
    ----------
    at : str and float
        The forecaster, and the origin in model time.
    problem : CalibrationProblem
        What was known at the origin, under the forecaster's structure.
    checkpoints : Checkpoints
        Where chains in progress are kept.
    start : Start, optional
        Where sampling begins; without it draws of the prior are annealed.

    Returns
    -------
    Refit
        Its answer is a :class:`RollingOrigin` of this forecaster and origin as arrays.
    """
    forecaster, origin = at
    held = [(o.name, [term for term in o.terms if term.use == "holdout"]) for o in problem.observations]
    parts = (stream(rng), effort, PER_CHAIN, [entry for entry in held if entry[1]], start)
    return Refit(
        f"{origin:g}" if forecaster == MODEL else f"{forecaster} at {origin:g}",
        digest("an origin", at, problem_digest(problem), density_of, *parts),
        partial(_at_origin, at, problem, density_of, rng, effort, checkpoints, start),
    )


# a task, whose arguments are what its answer depends on
def _at_origin(
    at: tuple[str, float], problem: CalibrationProblem, density_of: DensityOf, rng: np.random.Generator,
    effort: Effort, checkpoints: Checkpoints, start: Start | None, on_block: OnBlock,
) -> Arrays:  # fmt: skip
    """One forecaster's :class:`RollingOrigin` of one origin as arrays, from what was known then."""
    forecaster, origin = at
    chains, noise = rng.spawn(2)
    density = density_of(problem)
    saved = chains_entry(checkpoints, density, chains, effort)
    try:
        drawn = draw_whole(density, chains, effort, saved, on_block, start)
    except NowherePossible:
        if forecaster == MODEL:
            raise
        return as_arrays(RollingOrigin(table_of(()), (), (forecaster,)))
    scores = model_scores(density, drawn.flat, origin, noise, forecaster=forecaster)
    if drawn.sampled.converged:
        # chains are for going on after a stop or with more steps
        saved.discard()
    return as_arrays(RollingOrigin(scores, () if drawn.sampled.converged else (origin,)))


def model_scores(
    density: Posterior, theta: Array, origin: float, rng: np.random.Generator, *, forecaster: str = MODEL
) -> pd.DataFrame:
    """Scores of the numbers held out.

    The log score of a breakdown is that of the whole and stands with its first category.
    """
    drawn = replicate(density, theta, rng)
    # a stream of its own: nothing else depends on it
    noisy = replicate(density, theta, rng.spawn(1)[0], times=NOISES).reshape(len(theta), NOISES, -1)
    logs = density.pointwise(theta, fitted_only=False, weighted=False)
    scores = []
    for i, number in enumerate(numbers(density.problem.observations).to_dict("records")):
        # a row that the study holds out anyway may lie before the origin, and is no forecast then
        if number["use"] == "holdout" and number["time"] > origin:
            densities = logs[:, number["term"]] if number["slot"] == 0 else np.zeros(1)
            scores.append(score(forecaster, origin, number, drawn[:, i], noisy[..., i], densities, rng))
    return table_of(scores)


def verdict(rolling: RollingOrigin) -> str:
    """In words: which structures predicted better than the study's own, over how many points."""
    lines = rolling.summary
    by_name = {str(line["forecaster"]): line for line in lines.to_dict("records")}
    if MODEL not in by_name:
        return "Nothing was held out that the model could predict."
    model = by_name.pop(MODEL)
    twice = "" if model["n"] == model["n_numbers"] else f", {model['n']} predictions of them"
    inside = f"90% intervals held {model['coverage_90']:.0%} of them"
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
