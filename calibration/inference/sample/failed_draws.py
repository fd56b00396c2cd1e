"""Draws of parameters with which the model fails, or the data are impossible: how many there are, and of what.

A draw with which a number that the data ask for is no finite number has likelihood zero, so it is in no posterior. The
lower limit of a stock is no part of the likelihood; a draw below it is told, and may be too much. Whether the data are
possible at all under the priors is asked once the time step is known that serves: it is cheap, and names the term.
"""

from collections.abc import Sequence

import numpy as np

from calibration.inference.sample.densities import prior_draws
from calibration.likelihood.observation_operator import INTEGRAL
from calibration.likelihood.posterior import Posterior
from calibration.likelihood.replicate import Stage, stage_numbers
from calibration.study.observations import Breakdown, Count, Share, Term
from cipark_sd.analysis.runs.design import Listed
from cipark_sd.analysis.runs.work import Work
from cipark_sd.base.arrays import Array, evenly
from cipark_sd.base.errors import RunFailed
from cipark_sd.base.naming import base_name, canonical
from cipark_sd.data.scenarios import Scenario
from cipark_sd.engines.plan import Columns, plan
from cipark_sd.model.model import Model
from cipark_sd.simulations.ensembles import ensemble
from cipark_sd.simulations.failures import (
    BELOW,
    NOT_FINITE,
    Failures,
    Marks,
    diagnosed,
    first_places,
    labels,
    share_of,
)

#: Draws of the prior that are run, and of the posterior at most.
PRIOR, POSTERIOR = 500, 2500
#: The same with an engine that runs one draw at a time, in Python.
FEW_PRIOR, FEW_POSTERIOR = 50, 100
#: Draws that are run at a time.
_AT_A_TIME = 250
#: Draws of the priors that are looked at.
DRAWS = 200
#: Share of the draws from which on an impossible term is named.
FEW = 0.05


def failed_draws(density: Posterior, theta: Array | None, seed: int, allowed: float) -> tuple[str, ...]:
    """Run draws of the prior, and those of a posterior where there is one.

    Parameters
    ----------
    theta : (n, k) or None
        Draws of the posterior.
    seed : int
        Of the study.
    allowed : float
        The share of the posterior's draws that may fail.

    Returns
    -------
    tuple of str
        What failed, a sentence each for prior and posterior; none where nothing did.

    Raises
    ------
    TooManyFailed
        When more of the posterior's draws fail.
    """
    n_prior, n_posterior = (PRIOR, POSTERIOR) if density.runner.engine.compiled else (FEW_PRIOR, FEW_POSTERIOR)
    drawn = prior_draws(density.space, n_prior, stage_numbers(seed, Stage.FAILED_DRAWS))
    words = [_of_prior(failures_of(density, drawn))]
    if theta is not None:
        failures = failures_of(density, evenly(theta, n_posterior))
        failures.check(f"{density.problem.title}, draws of the posterior", failures.total, allowed)
        words.append(_of_posterior(failures))
    return tuple(filter(None, words))


def failures_of(density: Posterior, theta: Array) -> Failures:
    """The draws ``theta : (n, k)`` with which the model fails."""
    problem, runner = density.problem, density.runner
    in_model, names = density.space.is_model, density.space.of_model
    # rows that are only looked at ask for nothing
    fitted = {name for term in problem.fitted_terms for quantity in term.quantities for name, _ in quantity.parts}
    columns = [name.removeprefix(INTEGRAL) for name in runner.outputs]
    outputs = [base_name(name) for name in columns if name in fitted]
    saved = tuple(dict.fromkeys([*outputs, *(stock.name for stock in problem.model.stocks)]))
    failures = Failures(labels(problem.model))
    if not runner.engine.compiled:
        for row in theta[:, in_model]:
            draw = Scenario("", dict(zip(names, row.tolist(), strict=True)))
            failures.add(_alone(problem.model, problem.scenario | draw, runner.engine.name, saved).arrays)
        return failures
    for start in range(0, len(theta), _AT_A_TIME):
        rows = np.ascontiguousarray(theta[start : start + _AT_A_TIME][:, in_model])
        work = Work(problem.model, Listed(names, rows), saved, runner.engine.name, scenario=problem.scenario)
        failures.add(work.compute(0, len(rows)))
    return failures


def _alone(model: Model, scenario: Scenario, engine: str, saved: Sequence[str]) -> Marks:
    """The mark of one run, by the same rule as in an ensemble."""
    moving = plan(model, scenario, save=None, times=None, method=None).columns.names
    every = Columns.of(model, tuple(dict.fromkeys([*moving, *saved])))
    try:
        computed = ensemble(model, [scenario], save=every.names, engine=engine, failures="leave")
    except RunFailed as failure:
        marks, start = Marks.none(1), first_places(model)
        # an engine that cannot say which variable stops the run means the step as a whole
        marks.variable[:] = start.get(canonical(failure.variable), start[model.stocks[0].name])
        marks.reason[:] = NOT_FINITE
        marks.time[:] = np.nan if failure.time is None else failure.time
        return marks
    fails = diagnosed(model, computed, {name: every.places[name] for name in saved})
    return diagnosed(model, computed, every.places) if fails.reason.any() else fails


def _of_prior(failures: Failures) -> str:
    if not failures.failed:
        return ""
    reasons = {why for why, _ in failures.kinds}
    treated = []
    if NOT_FINITE in reasons:
        treated.append("where a fitted quantity has no number, the likelihood is zero")
    if BELOW in reasons:
        treated.append("the lower limit of a stock is no part of the likelihood")
    return f"{_counted(failures, 'prior')}; {' and '.join(treated)}."


def _of_posterior(failures: Failures) -> str:
    return f"{_counted(failures, 'posterior')}; they are among the draws that are reported." if failures.failed else ""


def _counted(failures: Failures, origin: str) -> str:
    counted = f"{failures.failed:,} of {failures.total:,} draws of the {origin} ({share_of(failures.share)})"
    return f"With {counted} the model fails: {'; '.join(failures.lines())}"


def impossible_terms(density: Posterior, seed: int) -> tuple[str, ...]:
    """The worst term of each observation that is impossible in more than a few percent of the draws.

    Draws under which the model gives no number are left out: they are among the failed ones.

    Parameters
    ----------
    seed : int
        Of the study.

    Returns
    -------
    tuple of str
        A sentence each: under which share of the draws with which the model gives all numbers the term has no
        probability, whether it has none at the prior medians as well, which are the file's values in a new study, and
        what makes it so.
    """
    rng = stage_numbers(seed, Stage.IMPOSSIBLE)
    drawn = density.space.from_unit(rng.random((DRAWS, len(density.space))))
    theta = np.vstack([density.space.medians, drawn])
    logs = density.pointwise(theta, fitted_only=False)
    expected = density.by_term(theta)
    fits = np.array([term.use == "fit" for term in density.problem.terms])
    runs = np.all([np.isfinite(values).all(axis=1) for values, fit in zip(expected, fits, strict=True) if fit], axis=0)
    usable = np.flatnonzero(runs[1:]) + 1
    if not len(usable):
        return ()
    never = ~np.isfinite(logs)
    shares = np.where(fits, never[usable].mean(axis=0), 0.0)
    lines, first = [], 0
    for observation in density.problem.observations:
        places = range(first, first + len(observation.terms))
        first = places.stop
        worst = max(places, key=lambda place: shares[place], default=None)
        if worst is None or not shares[worst] > FEW:
            continue
        term, there = density.problem.terms[worst], usable[never[usable, worst]]
        also = ", and at the prior medians" if runs[0] and never[0, worst] else ""
        lines.append(
            f"{observation.name}: {100 * shares[worst]:.3g}% of {len(usable)} prior draws make {term.label!r} "
            f"impossible{also}: {_rule(term, expected[worst][there])}"
        )
    return tuple(lines)


def _rule(term: Term, expected: Array) -> str:
    """Why a term has no probability under draws, by what is expected there ``(n, …)``."""
    match term:
        case Count():
            middle, names = float(np.median(expected[:, 0])), " and ".join(name for name, _ in term.quantity.parts)
            if term.noise.family.positive and middle <= 0:
                return f"{term.noise.family.name} noise is around positive numbers, and {names} is {middle:.3g}"
            if term.noise.family.discrete and middle < 0:
                return f"a count is around no negative number, and {names} is {middle:.3g}"
            if term.noise.family.discrete and middle == 0:
                return f"{term.lower:g} were counted where the model has none at all of {names}"
            return f"{term.lower:g} is out of reach of the noise around {middle:.3g}"
        case Share():
            return "the part is no more than the whole, and not below 0"
        case Breakdown():
            return "no category is negative, and all together are above 0"
