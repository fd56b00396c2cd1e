"""The full model on the rows of great_stone_later, and a second route to the evidence of its loops and of the core's.

    python tools/results.py later_full later_loops

Draws of the full model are those of tools/later_draws.py.
"""

import numpy as np
from core_results import Array
from later_draws import FULL, SEED, SPANS, STUDY, Evidence, Fit, acting, bridged, fitted, structure, within
from later_results import FULL_MODEL, Numbers, _quantiles, working

from calibration.inference.sample.densities import FreeDensity, prior_draws
from calibration.inference.sample.moves import along_powers
from calibration.likelihood.posterior import On
from calibration.study.problem import read_problem

#: Of the second route: populations by structure, their size, and moves at each power.
POPULATIONS, SIZE, MOVES = {"R7": 4, "all": 6}, 600, 12
#: Seeds of the bridges beside that of later_fit.
BRIDGES = (1, 2)
#: Structures of the full model that are compared on all rows.
FULL_STRUCTURES = (
    FULL_MODEL[0], "no loop", "R3", "R4, R6, R11, R12", "R5", "R5b, R10", "R7", "R9", "fame without success",
)  # fmt: skip


def later_full() -> Numbers:
    """The full model on the rows to 2019 and on all."""
    name, folder = FULL_MODEL
    study = read_problem(folder)
    why = {variant.id: variant.title for variant in study.rivals}
    prior = prior_draws(study.space, 20_000, np.random.default_rng(SEED))
    spans = {span: fitted(name, span, folder) for span in SPANS}
    return {
        "spans": {
            span: _facts(fit) | {"after": {n: _quantiles(fit.of([n])) for n in fit.acting}}
            for span, fit in spans.items()
        },
        "structures": {n: {"why": why[n]} | _facts(fitted(n, "y2026", folder)) for n in FULL_STRUCTURES},
        "prior": {n: _quantiles(prior[:, i]) for i, n in enumerate(study.space.names)},
        "working": working((name,), FULL)["structures"],
    }


def _facts(fit: Fit) -> Numbers:
    return {
        "evidence": list(fit.evidence), "constants": len(fit.acting), "sampler": fit.sampler, "pareto_k": fit.pareto_k,
        "converged": fit.converged,
    }  # fmt: skip


def later_loops() -> Numbers:
    """Evidence of the core's loops by a second route, and by more bridges."""
    return {
        "second_route": {loops: list(from_none(loops)) for loops in POPULATIONS},
        "bridges": [across(seed) for seed in BRIDGES],
    }


def across(seed: int) -> float:
    """Log evidence of all loops less that of none, by another bridge from the draws without loops."""
    near, problem = fitted("none", "y2026"), acting(structure("all", "y2026", STUDY))
    return bridged(problem, near, np.random.default_rng(seed))[1][0] - near.evidence[0]


def from_none(name: str) -> Evidence:
    """Log evidence of a structure of great_stone_later less that without loops, with its error.

    Draws without loops, each with the constants of the loops from their priors, are weighted by powers of the ratio of
    the likelihoods that grow to one, and moved at each power. Populations are independent; each finds the ratio without
    bias, not its logarithm, so that their mean is of ratios.
    """
    return mean_of_ratios(np.array([population(name, number) for number in range(POPULATIONS[name])]))


def mean_of_ratios(logs: Array) -> Evidence:
    """Log of the mean of what has these logarithms, and its standard error."""
    ratios = np.exp(logs - logs.max())
    return float(logs.max() + np.log(ratios.mean())), float(ratios.std(ddof=1) / ratios.mean() / np.sqrt(len(logs)))


def population(name: str, number: int) -> float:
    """The log ratio that one population finds."""
    near, problem = fitted("none", "y2026"), acting(structure(name, "y2026", STUDY))
    density, base = FreeDensity(On("native")(problem)), On("native")(within(near.problem, near.acting))
    names = base.space.names
    at = [problem.space.names.index(n) for n in names]

    def without(free: Array) -> Array:
        return np.asarray(base.log_likelihood(density.theta(free)[:, at]))

    def start(free: Array) -> Array:
        logs = density.log_prior(free)
        possible = np.isfinite(logs)
        logs[possible] += without(free[possible])
        return np.where(possible, logs, -np.inf)

    def ratio(free: Array) -> Array:
        return density.log_likelihood(free) - without(free)

    rng = np.random.default_rng([SEED, number, 18])
    theta = prior_draws(problem.space, SIZE, rng)
    theta[:, at] = near.of(names)[rng.choice(len(near.theta), SIZE, replace=len(near.theta) < SIZE)]
    return along_powers(start, ratio, density.coordinates.free(theta), rng, moves=MOVES)[1]
