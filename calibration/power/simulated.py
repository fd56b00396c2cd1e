"""Data sets that a structure makes, each fitted by it and by others: what such data would say.

Parameters come from the draws of the structure; where a size is stated, from its posterior with that constant held.
Numbers come from the model and its noise, as coarsely known as the real ones. Each data set has the evidence of a
structure by importance weights about its mode (:mod:`calibration.power.local`), and some are sampled in full as well.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from calibration.assess.rivals import LEFT_OUT, Refit
from calibration.inference.sample.convergence import OnBlock
from calibration.inference.sample.densities import NormalScores, log_density
from calibration.inference.sample.draws import PER_CHAIN, problem_digest
from calibration.inference.sample.sample import ImportanceDraws, importance
from calibration.likelihood.posterior import DensityOf
from calibration.likelihood.replicate import Stage, named_streams, replaced, replicate, stage_numbers
from calibration.power.local import Local, information, local_fit
from calibration.study.problem import CalibrationProblem
from cipark_sd.base.arrays import Array, evenly
from cipark_sd.base.checkpoints import Arrays, digest

#: Points of one fit: of the park's structures they know a log evidence to 0.1 to 0.2, where data sets differ by one.
POINTS = 800
#: How many times as many draw parameters of a stated size, and begin the fit of the real data.
WELL = 4
#: Points of a fit in full, at most: as many know the log evidence of the park's structures to 0.05.
FULL_POINTS = 40_000
#: Draws among which a fit looks for a place to begin.
TRIED = 200


@dataclass(frozen=True, eq=False)
class Structured:
    """A structure of a study.

    Parameters
    ----------
    problem : CalibrationProblem
        Under the structure.
    near : (n, k)
        Parameters about where its posterior lies.
    drawn : bool
        Whether they are draws of this very structure.
    held : mapping of str to float
        Constants of a stated size.
    """

    name: str
    problem: CalibrationProblem
    near: Array
    drawn: bool
    held: Mapping[str, float]


def evidence_task(of: Structured, density_of: DensityOf) -> Refit:
    """The log evidence of a structure on the real data, as a task.

    Returns
    -------
    Refit
        Of ``evidence`` and ``error``, single numbers: of the study's own sampler where its weights can be trusted.
    """
    key = digest("power evidence", problem_digest(of.problem), density_of, of.near, POINTS * WELL, FULL_POINTS)
    return Refit(f"{of.name}, these data", key, partial(_evidence, of, density_of))


def simulation_task(maker: Structured, fitted: Structured, density_of: DensityOf, n: int, check: int) -> Refit:
    """Data sets of one structure fitted by another, as a task.

    Parameters
    ----------
    n, check : int
        Data sets, and how many of them are sampled in full as well.

    Returns
    -------
    Refit
        Of ``evidence``, ``pareto_k (n,)``, ``widths (n, k)``, ``acts (k,)`` and ``full (check,)``.
    """
    digests = [problem_digest(of.problem) for of in (maker, fitted)]
    parts = (maker.near, maker.drawn, dict(maker.held), fitted.near, maker.name, fitted.name)
    key = digest("power", *digests, density_of, *parts, maker.problem.method.seed, n, check, POINTS)
    return Refit(f"{maker.name} by {fitted.name}", key, partial(_simulated, maker, fitted, density_of, n, check))


def makers(of: Structured, scores: NormalScores, n: int, rng: np.random.Generator) -> Array:
    """Normal scores ``(n, k)`` of parameters that make data sets."""
    near = scores.of(of.near)
    places = {scores.space.names.index(name): value for name, value in of.held.items()}
    terms = information(scores, np.median(near, axis=0)).sum(axis=0)
    # what moves nothing under the structure has no size there
    acting = {place: value for place, value in places.items() if terms[place, place] > 0}
    if of.drawn and not acting:
        return evenly(near, n)
    for place, value in acting.items():
        near[:, place] = scores.of(np.where(np.arange(len(terms)) == place, value, of.near[0]))[place]
    return local_fit(scores, _best(scores, near), rng, WELL * POINTS, tuple(acting)).draws(n, rng)


def _best(scores: NormalScores, points: Array) -> Array:
    """The likeliest ``(k,)`` of some points ``(n, k)``."""
    return np.asarray(points[int(log_density(scores, points).argmax())])


def _numbers(of: Structured, *names: str) -> Sequence[np.random.Generator]:
    return named_streams(stage_numbers(of.problem.method.seed, Stage.POWER), names)


def _evidence(of: Structured, density_of: DensityOf, on_block: OnBlock) -> Arrays:
    scores, (rng,) = NormalScores(density_of(of.problem)), _numbers(of, f"real data {of.name}")
    fit = local_fit(scores, _best(scores, evenly(scores.of(of.near), TRIED)), rng, WELL * POINTS)
    evidence, error = _in_full(scores, fit, rng.spawn(1)[0])
    if not math.isfinite(evidence):
        evidence, error = fit.log_evidence, fit.error
    return {"evidence": np.array(evidence), "error": np.array(error)}


def _simulated(
    maker: Structured, fitted: Structured, density_of: DensityOf, n: int, check: int, on_block: OnBlock
) -> Arrays:
    """As of :func:`simulation_task`."""
    making, sampling = _numbers(maker, f"made by {maker.name}", f"{maker.name} by {fitted.name}")
    by, judge = NormalScores(density_of(maker.problem)), density_of(fitted.problem)
    points = makers(maker, by, n, making)
    drawn = replicate(by.density, by.theta(points), making)
    near = evenly(by.of(fitted.near), TRIED)
    acts = information(NormalScores(judge), np.median(near, axis=0)).sum(axis=0).diagonal() > 0
    fits, full = list[Local](), list[float]()
    for number, (point, numbers, rounding) in enumerate(zip(points, drawn, making.spawn(n), strict=True), start=1):
        scores = NormalScores(replaced(judge, numbers, rounding))
        fits.append(local_fit(scores, _best(scores, np.vstack([point, near])), sampling, POINTS))
        if number <= check:
            full.append(_in_full(scores, fits[-1], sampling.spawn(1)[0])[0])
        on_block(number, n, None)
    return {
        "evidence": np.array([fit.log_evidence for fit in fits]),
        "pareto_k": np.array([fit.pareto_k for fit in fits]),
        "widths": np.array([fit.widths for fit in fits]),
        "acts": acts,
        "full": np.array(full),
    }


def _in_full(scores: NormalScores, fit: Local, rng: np.random.Generator) -> tuple[float, float]:
    """The log evidence by the study's own importance sampler, with its error; NaN where that fails."""
    possible = fit.weights > 0
    if not math.isfinite(fit.log_evidence):
        return math.nan, math.nan
    start = scores.theta(fit.points[possible]), np.log(fit.weights[possible])
    effort = replace(LEFT_OUT, most_points=FULL_POINTS)
    drawn = importance(scores.density, rng, effort, PER_CHAIN, start, None, None)
    return drawn.evidence if isinstance(drawn, ImportanceDraws) else (math.nan, math.nan)
