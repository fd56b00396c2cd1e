"""The full model on the rows of great_stone_later, and a second route to the evidence of its loops and of the core's.

    python tools/results.py later_full

Draws of the full model are those of tools/later_draws.py.
"""

import numpy as np
from core_results import Array
from later_draws import SEED, STUDY, Evidence, acting, bridged, fitted, structure, within
from later_results import FULL_MODEL, Numbers, _quantiles

from calibration.likelihood.posterior import On
from calibration.sampling.annealing import along_powers
from calibration.sampling.free_density import FreeDensity, prior_draws

#: Of the second route: populations by structure, their size, and moves at each power.
POPULATIONS, SIZE, MOVES = {"R7": 4, "all": 6}, 600, 12
#: Seeds of the bridges beside that of later_fit.
BRIDGES = (1, 2)


def later_full() -> Numbers:
    """Evidence and constants of the full model on the rows to 2019, and all loops of the core by a second route."""
    name, folder = FULL_MODEL
    first = fitted(name, "y2019", folder)
    return {
        "evidence": list(first.evidence),
        "constants": len(first.acting),
        "pareto_k": first.pareto_k,
        "after": {n: _quantiles(first.of([n])) for n in first.acting},
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
    the likelihoods that grow to one, and moved at each power. Populations are independent; the error is theirs.
    """
    ratios = [population(name, number) for number in range(POPULATIONS[name])]
    return float(np.mean(ratios)), float(np.std(ratios, ddof=1) / np.sqrt(len(ratios)))


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
