"""Rival structures: each refitted to the same data, compared by what they predict, and mixed.

Two comparisons stand side by side since they ask different things. **Stacking** of leave-one-out predictions asks which
mixture predicts a term that it has not seen; weights near those of the best predictor are common, and a model that is
nearly the twin of another may get nothing. **Evidence** asks how probable the data were under each structure *and its
priors*: importance sampling has it as the mean of its weights, chains are bridged to it. A term whose Pareto k exceeds
0.7 has a leave-one-out density that importance sampling cannot know: it is left out in earnest, and under all
structures, so that like is compared with like. The posterior that has not seen the term is sampled by importance from
the draws of the one that has, with the term's weight taken away. Both evidences are known then, and their ratio is the
term's density given the others: ``p(y) / p(y without the term)``. It needs no mean of densities over draws, which few
of them would carry for a term that the others hardly allow.

Source: Vehtari, Gelman and Gabry 2017, Statistics and Computing 27, 1413-1432 (PSIS-LOO); Yao, Vehtari, Simpson and
Gelman 2018, Bayesian Analysis 13(3), 917-1007 (stacking).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.assess.scores import log_mean_exp
from calibration.inference.sample.convergence import EFFORT, UNSAVED, USABLE, Convergence, Effort, OnBlock
from calibration.inference.sample.draws import (
    PER_CHAIN,
    PosteriorDraws,
    chains_entry,
    draw_whole,
    log_evidence,
    problem_digest,
)
from calibration.inference.sample.importance import RELIABLE, left_out_density, relative_efficiency
from calibration.inference.sample.moves import NowherePossible
from calibration.inference.sample.sample import ImportanceDraws, Start
from calibration.likelihood.posterior import DensityOf, Posterior, with_terms
from calibration.likelihood.replicate import Stage, named_streams, stage_numbers
from calibration.study.problem import CalibrationProblem
from cipark_sd.analysis.experiments.definition import Structure
from cipark_sd.base.arrays import Array
from cipark_sd.base.checkpoints import Arrays, Checkpoints, as_arrays, digest, from_arrays, stream
from cipark_sd.execution.pool import Pool, Progress, Tell
from cipark_sd.execution.workers import Workers

#: What a posterior without a term needs for one density, which no tail decides.
MIXED = replace(USABLE, pareto_k=RELIABLE)
#: Of a posterior of which one number is read: the error of its evidence is some two hundredths.
LEFT_OUT = Effort(block=100, most_steps=1000, least_steps=400, criteria=MIXED, effective=250.0)
#: Effective draws of a structure's parameter known worst: scores, evidence and effects of policies are read from them.
STRUCTURE = 2000.0
#: Data sets of terms drawn with replacement, and steps of the weights' iteration in each: the spread between them
#: matters, not their digits.
RESAMPLED, RESAMPLED_STEPS = 400, 300
#: Called with the name of a stage and how far it is.
OnStage = Callable[[str, Progress], None]


def untold(stage: str, now: Progress) -> None:
    """For stages whose progress is not followed."""


@dataclass(frozen=True, eq=False)
class Sampled:
    """A posterior and how well it predicts.

    Parameters
    ----------
    theta : (n_chains, n_draws, k)
    best_log_likelihood : float
        Among the draws.
    log_likelihood : (n_chains, n_draws, n_terms)
        Of each fitted term, given the others where a series remembers.
    elpd : (n_terms,)
        Log predictive density of each fitted term, that term left out.
    pareto_k : (n_terms,)
        Where it exceeds :data:`RELIABLE` under any rival the density comes from a posterior without the term, if that
        was asked.
    log_evidence : float
        And its standard error.
    converged : bool
        The draws, and those of the posteriors without a term.
    sampler : str
        What made the draws: ``importance`` or ``chains``.
    """

    theta: Array
    convergence: tuple[Convergence, ...]
    best_log_likelihood: float
    log_likelihood: Array
    elpd: Array
    pareto_k: Array
    log_evidence: float
    evidence_error: float
    converged: bool
    sampler: str


@dataclass(frozen=True, eq=False)
class RivalFit(Sampled):
    """What was sampled of one structure."""

    variant: Structure

    @property
    def flat(self) -> Array:
        """``(n_chains * n_draws, k)``."""
        return self.theta.reshape(-1, self.theta.shape[-1])


#: All structures that could be fitted; those under which the data are impossible whatever the parameters; and whether
#: the user stopped before all were done.
Fitted = tuple[tuple[RivalFit, ...], tuple[Structure, ...], bool]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One line of the comparison; ``elpd_behind`` and its standard error are against the best.

    ``stacking_error`` is the standard deviation of the weight over terms drawn with replacement.
    """

    name: str
    why: str
    converged: bool
    best_log_likelihood: float
    elpd: float
    elpd_behind: float
    behind_error: float
    n_unreliable: int
    stacking: float
    log_evidence: float
    evidence_error: float
    probability: float
    sampler: str
    stacking_error: float = math.nan


def with_variant(problem: CalibrationProblem, variant: Structure) -> CalibrationProblem:
    """The problem with a variant's constants set.

    Parameters
    ----------
    variant : Structure
        What it sets wins over the study's scenario.
    """
    return replace(problem, scenario=problem.scenario | variant.scenario)


@dataclass(frozen=True, eq=False)
class Refit:
    """A posterior to be sampled, as a task that another process can be sent.

    Parameters
    ----------
    label : str
        For the bar.
    key : str
        A digest of all that the answer depends on.
    sample : function of an OnBlock
        It has to pickle.
    """

    label: str
    key: str
    sample: Callable[[OnBlock], Arrays]

    def __call__(self, tell: Tell) -> Arrays:
        """The answer."""
        return self.sample(lambda steps, most, _: tell(steps, most))


def _sampled(
    problem: CalibrationProblem, density_of: DensityOf, chains: np.random.Generator, bridge: np.random.Generator,
    effort: Effort, checkpoints: Checkpoints, on_block: OnBlock,
) -> Arrays:  # fmt: skip
    """:class:`Sampled` as arrays; ``refuted`` alone where the data are impossible."""
    density = density_of(problem)
    saved = chains_entry(checkpoints, density, chains, effort)
    try:
        drawn = draw_whole(density, chains, effort, saved, on_block)
    except NowherePossible:
        return {"refuted": np.array(True)}
    logs, elpd, pareto_k = leave_one_out(drawn)
    evidence, error = log_evidence(drawn, bridge)
    if drawn.sampled.converged:
        # chains are for going on after a stop or with more steps; they are a hundred times as large as the answer
        saved.discard()
    return as_arrays(
        Sampled(
            theta=drawn.theta,
            convergence=drawn.sampled.lines,
            best_log_likelihood=float(density.log_likelihood(drawn.flat).max()),
            log_likelihood=logs.reshape(*drawn.theta.shape[:2], -1),
            elpd=elpd,
            pareto_k=pareto_k,
            log_evidence=evidence,
            evidence_error=error,
            converged=drawn.sampled.converged,
            sampler=drawn.sampled.sampler,
        )
    )


def rival_numbers(seed: int) -> np.random.Generator:
    """The random numbers of a study's rivals: one set of weights for one study, whichever command asks for it."""
    return stage_numbers(seed, Stage.RIVALS)


def fit_rivals(
    problem: CalibrationProblem,
    density_of: DensityOf,
    rng: np.random.Generator,
    *,
    effort: Effort = EFFORT,
    refit: Effort | None = LEFT_OUT,
    workers: Pool | None = None,
    on_stage: OnStage = untold,
) -> Fitted:
    """Refit every rival of the study; a rival's draws depend on its name and not on which others there are.

    Parameters
    ----------
    density_of : DensityOf
        It has to pickle where there are workers.
    rng : Generator
        Gives each rival streams by its name.
    effort : Effort
        Effective draws beyond :data:`STRUCTURE` are not asked for.
    refit : Effort, optional
        For the terms of high Pareto k, each of which gets a posterior without it under every rival.
    workers : Pool, optional
        Without them all is done in this process and nothing is kept.
    on_stage : function, optional
        Called with the name of the stage and how far it is.

    Returns
    -------
    Fitted
        When the user stops, the rivals that are done.
    """
    workers = Workers() if workers is None else workers
    effort = replace(effort, effective=min(effort.effective, STRUCTURE))
    variants = {variant.id: (variant, with_variant(problem, variant)) for variant in problem.rivals}
    pairs = [generator.spawn(2) for generator in named_streams(rng, list(variants))]
    streams = {name: (chains, bridge) for name, (chains, bridge) in zip(variants, pairs, strict=True)}
    tasks = [
        Refit(
            name,
            digest("rival", problem_digest(under), density_of, *map(stream, streams[name]), effort, PER_CHAIN),
            partial(_sampled, under, density_of, *streams[name], effort, workers.checkpoints),
        )
        for name, (_, under) in variants.items()
    ]
    returned, interrupted = workers.run(tasks, partial(on_stage, "rivals"))
    answers = {name: answer for name, answer in zip(variants, returned, strict=True) if answer}
    refuted = tuple(variants[name][0] for name, answer in answers.items() if "refuted" in answer)
    fits = {
        name: RivalFit(**vars(from_arrays(Sampled, answer)), variant=variants[name][0])
        for name, answer in answers.items()
        if "refuted" not in answer
    }
    unclear = [] if interrupted else unclear_terms(list(fits.values()))
    again = [(name, position) for name in fits for position in unclear]
    if refit is None or not again:
        return tuple(fits.values()), refuted, interrupted
    returned, interrupted = workers.run(
        [
            _without_term(variants[name][1], fits[name], density_of, position, streams[name][1].spawn(1)[0], refit)
            for name, position in again
        ],
        partial(on_stage, "leave-one-out"),
    )
    for (name, position), answer in zip(again, returned, strict=True):
        if answer is not None:
            fits[name].elpd[position] = float(answer["elpd"])
            if not answer["mixed"]:
                fits[name] = replace(fits[name], converged=False)
    return tuple(fits.values()), refuted, interrupted


def _without_term(
    problem: CalibrationProblem,
    fit: RivalFit,
    density_of: DensityOf,
    position: int,
    rng: np.random.Generator,
    effort: Effort,
) -> Refit:
    """The task of a posterior that has not seen the fitted term at ``position``."""
    term = problem.fitted_terms[position]
    start = fit.flat, -term.weight * fit.log_likelihood[..., position].ravel()
    # a bridge between chains is not known well enough for a difference of evidences
    evidence = fit.log_evidence if fit.sampler == ImportanceDraws.sampler else math.nan
    key = digest("left out", problem_digest(problem), density_of, position, start, evidence, stream(rng), effort)
    work = partial(_left_out_arrays, problem, density_of, position, rng, effort, start, evidence)
    return Refit(f"{fit.variant.id} without {term.label}", key, work)


def _left_out_arrays(problem: CalibrationProblem, density_of: DensityOf, *how: Any) -> Arrays:
    """:func:`left_out` as arrays."""
    elpd, mixed = left_out(density_of(problem), *how)
    return {"elpd": np.array(elpd), "mixed": np.array(mixed)}


def left_out(
    density: Posterior,
    position: int,
    rng: np.random.Generator,
    effort: Effort,
    start: Start | None = None,
    log_evidence: float = math.nan,
    on_block: OnBlock | None = None,
) -> tuple[float, bool]:
    """Log predictive density of the fitted term at ``position`` under a posterior that has not seen it.

    And whether that posterior mixed well enough for it, by :data:`MIXED`.

    Parameters
    ----------
    density : Posterior
        Of all terms.
    position : int
        Among the fitted terms.
    effort : Effort
        Its criteria are :data:`MIXED` here.
    start : (n, k) and (n,), optional
        Draws of the posterior that has seen the term, and the weights that take it away. Without, or where the weights
        cannot be trusted, all is sampled anew.
    log_evidence : float
        Of the posterior that has seen it, by importance sampling; NaN without.

    Returns
    -------
    float and bool
        Log density of the term given the others, and whether the posterior mixed.
    """
    fitted = [i for i, term in enumerate(density.problem.terms) if term.use == "fit"]
    chosen = fitted[position]
    weight = density.problem.terms[chosen].weight
    terms = [replace(t, use="holdout") if i == chosen else t for i, t in enumerate(density.problem.terms)]
    without = with_terms(density, terms)
    drawn = draw_whole(without, rng, replace(effort, criteria=MIXED), UNSAVED, on_block, start)
    mixed = drawn.sampled.reaches(MIXED)
    if math.isfinite(log_evidence) and weight == 1 and isinstance(drawn.sampled, ImportanceDraws):
        return log_evidence - drawn.sampled.evidence[0], mixed
    logs = density.pointwise(drawn.flat, known="others", weighted=False)[:, position]
    return log_mean_exp(logs), mixed


def unclear_terms(fits: Sequence[RivalFit]) -> list[int]:
    """Positions of the terms whose Pareto k exceeds :data:`RELIABLE` under any of the rivals.

    A density just below the limit is still too high, as a rule: were it set against one that was left out in earnest,
    the rival with the lower k would gain by it.
    """
    return [int(i) for i in np.flatnonzero((np.array([fit.pareto_k for fit in fits]) > RELIABLE).any(axis=0))]


def leave_one_out(drawn: PosteriorDraws) -> tuple[Array, Array, Array]:
    """PSIS-LOO of each fitted term: log likelihood ``(n_draws, n_terms)``, log density and Pareto k ``(n_terms,)``."""
    logs = drawn.density.pointwise(drawn.flat, known="others", weighted=False)
    weights = [term.weight for term in drawn.density.problem.fitted_terms]
    r_eff = relative_efficiency(drawn.theta)
    densities = [left_out_density(column, weight, r_eff) for column, weight in zip(logs.T, weights, strict=True)]
    return logs, np.array([elpd for elpd, _ in densities]), np.array([k for _, k in densities])


def stacking(elpd: Array, *, steps: int = 20_000, tolerance: float = 1e-10) -> Array:
    """Weights ``(n_models,)`` that maximise the summed log of the mixed densities; ``elpd : (n_models, n_terms)``.

    The objective is concave and this is its EM iteration, which never leaves the simplex: each weight becomes
    ``w_k mean_i (p_ki / sum_j w_j p_ji)``, the mean probability that term ``i`` came from model ``k``.

    Parameters
    ----------
    elpd : (n_models, n_terms)
        Log predictive densities of the terms, each left out.
    steps, tolerance : int and float
        Of the iteration: most steps, and the largest change of a weight that ends it.

    Returns
    -------
    (n_models,)
        They add up to 1.
    """
    # only ratios within a term count, and these do not overflow
    density = np.exp(elpd - elpd.max(axis=0))
    weights = np.full(len(elpd), 1 / len(elpd))
    for _ in range(steps):
        new = weights * (density / (weights @ density)).mean(axis=1)
        if np.abs(new - weights).max() < tolerance:
            return np.asarray(new / new.sum())
        weights = new
    return np.asarray(weights / weights.sum())


def stacking_errors(elpd: Array, rng: np.random.Generator) -> Array:
    """Standard deviation of each stacking weight over data sets of terms drawn with replacement.

    Parameters
    ----------
    elpd : (n_models, n_terms)
    """
    n = elpd.shape[1]
    weights = [
        stacking(elpd[:, rng.integers(n, size=n)], steps=RESAMPLED_STEPS, tolerance=1e-6) for _ in range(RESAMPLED)
    ]
    return np.asarray(np.std(weights, axis=0, ddof=1))


def compare(fits: Sequence[RivalFit]) -> list[Comparison]:
    """A line for each rival, best predictor first."""
    elpd = np.array([fit.elpd for fit in fits])
    weights, errors = stacking(elpd), stacking_errors(elpd, np.random.default_rng(0))
    evidence = np.array([fit.log_evidence for fit in fits])
    probability = np.exp(evidence - np.logaddexp.reduce(evidence))
    best = int(elpd.sum(axis=1).argmax())
    n = elpd.shape[1]
    lines = []
    for i, fit in enumerate(fits):
        behind = elpd[best] - elpd[i]
        lines.append(
            Comparison(
                name=fit.variant.id,
                why=fit.variant.title,
                converged=fit.converged,
                best_log_likelihood=fit.best_log_likelihood,
                elpd=float(elpd[i].sum()),
                elpd_behind=float(behind.sum()),
                # of a sum of n terms (Vehtari, Gelman and Gabry 2017)
                behind_error=float(np.sqrt(n * behind.var(ddof=1))) if n > 1 else math.nan,
                n_unreliable=int((fit.pareto_k > RELIABLE).sum()),
                stacking=float(weights[i]),
                log_evidence=fit.log_evidence,
                evidence_error=fit.evidence_error,
                probability=float(probability[i]),
                sampler=fit.sampler,
                stacking_error=float(errors[i]),
            )
        )
    return sorted(lines, key=lambda line: -line.elpd)


def mixture(
    fits: Sequence[RivalFit], weights: Sequence[float], n: int, rng: np.random.Generator
) -> list[tuple[Structure, Array]]:
    """Joint draws of the mixture: for each rival its share of ``n`` draws ``(n_own, k)``, rivals without any left out.

    Counts are apportioned by largest remainder, so that no chance is added to the weights.

    Parameters
    ----------
    weights : sequence of float, one a fit
        Not below 0; their sum does not matter.
    n : int
        Draws of all rivals together.
    rng : Generator
        Chooses the draws of each; with replacement only where more are asked for than there are.

    Returns
    -------
    list of Structure and (n_own, k)
    """
    exact = np.asarray(weights, dtype=float) / np.sum(weights) * n
    counts: NDArray[np.intp] = np.floor(exact).astype(np.intp)
    for i in np.argsort(counts - exact, kind="stable")[: n - int(counts.sum())]:
        counts[i] += 1
    mixed = []
    for fit, count in zip(fits, counts, strict=True):
        if count:
            rows = rng.choice(len(fit.flat), size=int(count), replace=bool(count > len(fit.flat)))
            mixed.append((fit.variant, fit.flat[rows]))
    return mixed
