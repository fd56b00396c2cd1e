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

#: The rows that the full model is sampled on.
SPAN = "y2019"
#: Structures of the full model that are near enough to the first for its draws to be weighted by their likelihood.
NEAR = ("cut at one", "no loop")
#: Loops with their gain, and what is set where a loop is left out.
LOOPS = {
    "R3": ("Learning Per Entrant", "SW Learning"), "R4": ("Owner Gain", "Owner Gain"),
    "R5": ("Agglomeration Elasticity", "SW Agglomeration"), "R5b": ("Reputation Strength", "SW Reputation"),
    "R6": ("Host Gain", "Host Gain"), "R7": ("Fund Attraction", "Fund Attraction"),
    "R9": ("Return Gain", "SW Firm Return"), "R10": ("Fame Reach", "Fame Reach"),
    "R11": ("Partner Gain", "Partner Gain"), "B9": ("Push Gain", "SW Push"),
}  # fmt: skip
#: Of the second route: populations, their size, moves at each power, and draws for what a loop changes.
POPULATIONS, SIZE, MOVES, SOME = 4, 600, 12, 200


def later_full() -> Numbers:
    """Evidence, constants and firms at work of the full model, and all loops of the core by a second route."""
    study, name = read_problem(FULL), FULL_MODEL[0]
    first = fitted(name, SPAN, FULL)
    before = prior_draws(study.space, 20_000, np.random.default_rng(SEED))
    matter = {
        when: matters(first, theta) for when, theta in (("prior", before[:SOME]), ("posterior", first.some(SOME)))
    }
    times = [Calendar().model_time(date) for date in WORKING]
    at_work = runs(first, first.some(), times)["Working Firms"]
    return {
        "evidence": list(first.evidence),
        "constants": len(first.acting),
        "pareto_k": first.pareto_k,
        "less": {other: weighted_to(first, other) for other in NEAR},
        "after": {n: _quantiles(first.of([n])) for n in first.acting},
        "working": {date: _quantiles(at_work[:, i]) for i, date in enumerate(WORKING)},
        "loops": [
            {
                "loop": f"{loop} {gain}",
                "prior": _quantiles(before[:, study.space.names.index(gain)]),
                "posterior": _quantiles(first.of([gain])),
                "matters": {when: shares[loop] for when, shares in matter.items()},
            }
            for loop, (gain, _) in LOOPS.items()
        ],
        "second_route": {name: list(from_none(name)) for name in ("R7", "all")},
    }


def weighted_to(fit: Fit, name: str) -> list[float]:
    """Log evidence of a near structure less that of the fit, its error, and the share of the draws that is left."""
    logs = [On("native")(problem).log_likelihood(fit.theta) for problem in (structure(name, SPAN, FULL), fit.problem)]
    ratios = np.exp(logs[0] - logs[1])
    error = ratios.std(ddof=1) / ratios.mean() / np.sqrt(len(ratios))
    left = ratios.sum() ** 2 / (ratios**2).sum() / len(ratios)
    return [float(np.log(ratios.mean())), float(error), float(left)]


def matters(fit: Fit, theta: Array) -> dict[str, float]:
    """The part of the draws in which a loop changes the residents of 2030 by more than 5 %, others in place."""
    with_it = runs(fit, theta, [2031.0])["Residents"]
    shares, names = {}, fit.problem.space.names
    for loop, (_, left_out) in LOOPS.items():
        values, drawn = theta.copy(), left_out in names
        if drawn:
            values[:, names.index(left_out)] = 0
        other = runs(fit, values, [2031.0], Scenario("", {} if drawn else {left_out: 0}))["Residents"]
        shares[loop] = float((np.abs(with_it - other) > 0.05 * other).mean())
    return shares


def from_none(name: str) -> Evidence:
    """Log evidence of a structure of great_stone_later less that without loops, with its error.

    Draws without loops, each with the constants of the loops from their priors, are weighted by powers of the ratio of
    the likelihoods that grow to one, and moved at each power. Populations are independent; the error is theirs.
    """
    found = [population(name, number) for number in range(POPULATIONS)]
    return float(np.mean(found)), float(np.std(found, ddof=1) / np.sqrt(POPULATIONS))


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
