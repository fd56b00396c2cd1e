"""The full model on the rows of great_stone_later, and a second route to the evidence of its loops and of the core's.

    python tools/results.py later_full

Draws of the full model are those of tools/later_draws.py.
"""

import numpy as np
from core_results import Array
from later_draws import FULL, SEED, STUDY, Evidence, Fit, acting, fitted, structure, within
from later_results import FULL_MODEL, WORKING, Numbers, _quantiles, runs

from calibration.likelihood.posterior import On
from calibration.sampling.annealing import along_powers
from calibration.sampling.free_density import FreeDensity, prior_draws
from calibration.study.calendar import Calendar
from calibration.study.problem import read_problem
from cipark_sd.scenarios import Scenario

#: Structures of the full model on all rows; the first to 2019 as well.
COMPARED = (FULL_MODEL[0], "starts fell", "cut at one", "no loop")
#: Gains of loops, with what is set where a loop is left out.
GAINS = {
    "Host Gain": {"Host Gain": 0}, "Partner Gain": {"Partner Gain": 0}, "Owner Gain": {"Owner Gain": 0},
    "Push Gain": {"SW Push": 0}, "Learning Per Entrant": {"SW Learning": 0}, "Return Gain": {"SW Firm Return": 0},
    "Agglomeration Elasticity": {"SW Agglomeration": 0}, "Reputation Strength": {"SW Reputation": 0},
    "Fame Reach": {"Fame Reach": 0}, "Fund Attraction": {"Fund Attraction": 0},
}  # fmt: skip
#: Of the second route: populations, their size, moves at each power, and draws for what a loop changes.
POPULATIONS, SIZE, MOVES, SOME = 4, 600, 12, 200


def later_full() -> Numbers:
    """Evidence, constants and firms at work of the full model, and all loops of the core by a second route."""
    study = read_problem(FULL)
    fits = {name: fitted(name, "y2026", FULL) for name in COMPARED}
    first = fits[FULL_MODEL[0]]
    before = prior_draws(study.space, 20_000, np.random.default_rng(SEED))
    matter = {
        when: matters(first, theta) for when, theta in (("prior", before[:SOME]), ("posterior", first.some(SOME)))
    }
    times = [Calendar().model_time(date) for date in WORKING]
    at_work = {name: runs(fit, fit.some(), times)["Working Firms"] for name, fit in fits.items()}
    return {
        "structures": {
            name: {
                "why": next(v.why for v in study.rivals if v.name == name),
                "constants": len(fit.acting),
                "pareto_k": fit.pareto_k,
                "y2026": list(fit.evidence),
                **({"y2019": list(fitted(name, "y2019", FULL).evidence)} if name == FULL_MODEL[0] else {}),
            }
            for name, fit in fits.items()
        },
        "prior": {n: _quantiles(before[:, i]) for i, n in enumerate(study.space.names)},
        "constants": {name: {n: _quantiles(fit.of([n])) for n in fit.acting} for name, fit in fits.items()},
        "working": {n: {d: _quantiles(v[:, i]) for i, d in enumerate(WORKING)} for n, v in at_work.items()},
        "matters": {gain: {when: shares[gain] for when, shares in matter.items()} for gain in GAINS},
        "second_route": {name: list(from_none(name)) for name in ("R7", "all")},
    }


def matters(fit: Fit, theta: Array) -> dict[str, float]:
    """The part of the draws in which a loop changes the residents of 2030 by more than 5 %, others in place."""
    with_it = runs(fit, theta, [2031.0])["Residents"]
    shares = {}
    for gain, without in GAINS.items():
        names = fit.problem.space.names
        values = theta.copy()
        switches = {}
        for name, value in without.items():
            if name in names:
                values[:, names.index(name)] = value
            else:
                switches[name] = value
        other = runs(fit, values, [2031.0], Scenario("", switches))["Residents"]
        shares[gain] = float((np.abs(with_it - other) > 0.05 * other).mean())
    return shares


def from_none(name: str) -> Evidence:
    """Log evidence of a structure of great_stone_later less that without loops, with its error.

    Draws without loops, each with the constants of the loops from their priors, are weighted by powers of the ratio of
    the likelihoods that grow to one, and moved at each power. Populations are independent; the error is theirs.
    """
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

    found = []
    for population in range(POPULATIONS):
        rng = np.random.default_rng([SEED, population, 18])
        theta = prior_draws(problem.space, SIZE, rng)
        theta[:, at] = near.of(names)[rng.choice(len(near.theta), SIZE, replace=len(near.theta) < SIZE)]
        found.append(along_powers(start, ratio, density.coordinates.free(theta), rng, moves=MOVES)[1])
    return float(np.mean(found)), float(np.std(found, ddof=1) / np.sqrt(POPULATIONS))
