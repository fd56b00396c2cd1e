"""Draws of parameters with which the model fails: how many of the prior's and of the posterior's, and of what.

A draw with which a number that the data ask for is no finite number has likelihood zero, so it is in no posterior. The
lower limit of a stock is no part of the likelihood; a draw below it is told, and may be too much.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.likelihood.observation_operator import INTEGRAL
from calibration.likelihood.posterior import Posterior
from calibration.likelihood.streams import Stage, stage_numbers
from calibration.sampling.free_density import prior_draws
from cipark_sd.arrays import Array, evenly
from cipark_sd.engines.plan import Columns, plan
from cipark_sd.ensembles import ensemble
from cipark_sd.errors import RunFailed
from cipark_sd.failures import (
    BELOW,
    NOT_FINITE,
    Failures,
    Marks,
    diagnosed,
    first_places,
    floors,
    labels,
    share_of,
)
from cipark_sd.model.model import Model
from cipark_sd.naming import canonical
from cipark_sd.runs.design import Listed
from cipark_sd.runs.work import Work
from cipark_sd.scenarios import Scenario, override_key, split_key

#: Draws of the prior that are run, and of the posterior at most.
PRIOR, POSTERIOR = 500, 2500
#: The same with an engine that runs one draw at a time, in Python.
FEW_PRIOR, FEW_POSTERIOR = 50, 100
#: Draws that are run at a time.
_AT_A_TIME = 250


@dataclass(frozen=True, slots=True)
class FailedDraws:
    """What failed, in sentences; both are empty where nothing did."""

    prior: str
    posterior: str

    @property
    def sentences(self) -> list[str]:
        """Those that say something."""
        return [sentence for sentence in (self.prior, self.posterior) if sentence]


def failed_draws(density: Posterior, theta: Array | None, seed: int, allowed: float) -> FailedDraws:
    """Run draws of the prior, and those of a posterior where there is one.

    Parameters
    ----------
    theta : (n, k) or None
        Draws of the posterior.
    allowed : float
        The share of the posterior's draws that may fail.

    Raises
    ------
    TooManyFailed
    """
    n_prior, n_posterior = (PRIOR, POSTERIOR) if density.runner.engine.compiled else (FEW_PRIOR, FEW_POSTERIOR)
    drawn = prior_draws(density.space, n_prior, stage_numbers(seed, Stage.FAILED_DRAWS))
    prior = failures_of(density, drawn)
    if theta is None:
        return FailedDraws(_of_prior(prior), "")
    chosen = evenly(theta, n_posterior)
    failures = failures_of(density, chosen)
    failures.check(f"{density.problem.title}, draws of the posterior", failures.total, allowed)
    return FailedDraws(_of_prior(prior), _of_posterior(failures))


def failures_of(density: Posterior, theta: Array) -> Failures:
    """The draws ``theta : (n, k)`` with which the model fails."""
    problem, runner = density.problem, density.runner
    in_model, names = density.space.is_model, density.space.of_model
    # rows that are only looked at ask for nothing
    fitted = {name for term in problem.fitted_terms for quantity in term.quantities for name, _ in quantity.parts}
    columns = [name.removeprefix(INTEGRAL) for name in runner.outputs]
    outputs = [split_key(override_key(name))[0] for name in columns if name in fitted]
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
    limits = floors(model)
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
    fails = diagnosed(model, computed, {name: every.places[name] for name in saved}, limits)
    return diagnosed(model, computed, every.places, limits) if fails.reason.any() else fails


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
