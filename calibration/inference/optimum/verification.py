"""Checks of the calculation at the estimate: the same run in PySD, and half the time step.

PySD shares no code with the engine of the fit, and computes a variable of a time step some thousand times as slowly.
How many it has to compute is counted, so that what is compared depends on no clock: where there are more than
:data:`MOST_NUMBERS` the comparison is made on request only, and what was not compared says so.
"""

import math
import time
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from calibration.inference.optimum.optimise import Optimum
from calibration.likelihood.posterior import Posterior, posterior
from calibration.study.problem import CalibrationProblem
from calibration.study.sections import by_method
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import CiparkError
from cipark_sd.base.wording import number
from cipark_sd.compiler.unroll import unroll
from cipark_sd.data.scenarios import Scenario, resolve
from cipark_sd.engines.base import SLOPES
from cipark_sd.engines.registry import REFERENCE, choose

Status = Literal["agrees", "differs", "failed", "not compared"]

#: Numbers that PySD may compute without being asked to: variables, each element by itself, times time steps up to the
#: last number of the data. The park's 420,540 take it 6 s of processor time, translation included; so many take 9 s.
MOST_NUMBERS = 600_000
#: Difference, as a share of an observation's scale, above which the engines do not agree.
TOLERANCE = 1e-9
#: Move of an expected number at half the time step, in standard deviations of its noise, above which no interval is
#: judged, and above which a fit is of no use.
COARSE, UNUSABLE = 0.3, 1.0
#: What is said of an interval then.
TOO_COARSE = "not judged, since the time step is too coarse"
#: Why there are no draws of a fit of no use, though they were asked for.
UNSAMPLED = "the time step is too coarse"
#: The option that asks for the comparison whatever it takes.
OPTION = "--compare-pysd"


@dataclass(frozen=True, slots=True)
class Replication:
    """Whether PySD gives the same observed quantities at the estimate.

    Parameters
    ----------
    status : Status
    why : str
        The reason of ``failed`` and ``not compared``.
    difference : float or None
        Largest difference of an observed quantity, as a share of its observation's largest; None where there is none.
    seconds : float or None
        What the comparison took in all: translation, the measurement of the cost, and the run.
    """

    status: Status
    why: str = ""
    difference: float | None = None
    seconds: float | None = None

    @property
    def sound(self) -> bool:
        """Whether nothing speaks against the numbers of the fit; what was not compared does not."""
        return self.status in ("agrees", "not compared")

    @property
    def compared(self) -> bool:
        """Whether PySD was run."""
        return self.status != "not compared"

    @property
    def shown(self) -> str:
        """The difference in words."""
        return "none, to the last bit" if self.difference == 0 else f"{self.difference:.1e}"

    @property
    def sentence(self) -> str:
        """What a reader is told."""
        took = "" if self.seconds is None else f" ({self.seconds:.1f} s)"
        match self.status:
            case "agrees":
                at = ", compared at the times of the data"
                return f"Run again in PySD{took}{at}: largest relative difference {self.shown}."
            case "differs":
                return (
                    f"Run again in PySD{took}: DIFFERS by {self.shown}, relatively, where "
                    f"{TOLERANCE:g} is allowed; cipark certify shows which variables differ, and from when."
                )
            case "failed":
                return f"Run again in PySD{took}: FAILED, so nothing was compared: {self.why}"
            case "not compared":
                return f"Not compared with PySD: {self.why}."

    def record(self) -> dict[str, object]:
        """For a file; without the seconds, so that the same fit leaves the same file."""
        return {
            "status": self.status,
            "why": self.why,
            "largest_relative_difference": self.difference,
            "tolerance": TOLERANCE,
        }


def not_possible(problem: CalibrationProblem, engine: str) -> str:
    """Why a fit cannot be compared with PySD.

    Parameters
    ----------
    problem : CalibrationProblem
    engine : str
        Of the fit, a name of the registry of engines.

    Returns
    -------
    str
        Empty where it can.
    """
    if choose(engine).foreign:
        return "the fit itself ran in PySD"
    if problem.groups:
        return "the study runs the model for several groups together ([[group]]), which the file does not"
    method = problem.model.time.method
    return "" if method == "euler" else f"PySD has Euler's method only, and the model uses {method}"


def replication(optimum: Optimum, *, engine: str, compare: bool | None) -> Replication:
    """The observed quantities at the estimate from the engine of the fit and from PySD.

    Parameters
    ----------
    optimum : Optimum
    engine : str
        Of the fit.
    compare : bool or None
        Whether to compare; with None where PySD has no more than :data:`MOST_NUMBERS` to compute.

    Returns
    -------
    Replication
    """
    problem = optimum.goal.density.problem
    reason = not_possible(problem, engine)
    if not reason and compare is False:
        reason = f"not asked for ({OPTION})"
    elif not reason and compare is None and (numbers := numbers_in_pysd(problem)) > MOST_NUMBERS:
        reason = f"it would have to compute {numbers} numbers one by one ({OPTION})"
    if reason:
        return Replication("not compared", reason)
    started = time.perf_counter()
    try:
        theirs = posterior(problem, choose(REFERENCE)).quantities(optimum.theta)[0]
    except CiparkError as fault:
        return Replication("failed", str(fault))
    seconds = time.perf_counter() - started
    ours = optimum.goal.density.quantities(optimum.theta)[0]
    difference = largest_difference(optimum.goal.density, ours, theirs)
    if difference is None:
        return Replication("failed", "a run at the estimate has values that are not finite.", seconds=seconds)
    return Replication("agrees" if difference <= TOLERANCE else "differs", "", difference, seconds)


def numbers_in_pysd(problem: CalibrationProblem) -> int:
    """How many numbers a run has: variables of the model, each element by itself, times steps to the last datum."""
    resolved = resolve(problem.model, problem.scenario)
    last = max(quantity.end for term in problem.terms for quantity in term.quantities)
    n_steps = round((min(last, resolved.final_time) - resolved.initial_time) / resolved.time_step) + 1
    return len(tuple(unroll(problem.model).variables)) * n_steps


def largest_difference(density: Posterior, ours: Array, theirs: Array) -> float | None:
    """Of the quantities that are fitted or held out, ``ours`` and ``theirs : (n_quantities,)``.

    As a share of the largest in their observation; None where one is not finite. A row of use ``check`` does not
    count: what is only looked at decides nothing.
    """
    largest, position = 0.0, 0
    for observation in density.problem.observations:
        places: list[int] = []
        for term in observation.terms:
            if term.use != "check":
                places += range(position, position + len(term.quantities))
            position += len(term.quantities)
        if not places:
            continue
        a, b = ours[places], theirs[places]
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            return None
        scale = float(np.abs(b).max()) or 1.0
        largest = max(largest, float(np.abs(a - b).max()) / scale)
    return largest


def shift_at_half_the_step(optimum: Optimum, engine: str) -> float:
    """Largest move of an expected number when the time step is halved, in standard deviations of its noise.

    Of the fitted numbers at the estimate, whose parameters stay as they are.

    Parameters
    ----------
    optimum : Optimum
    engine : str
        Of the fit.

    Returns
    -------
    float
        NaN with PySD, where it takes too long; infinite where the model fails.
    """
    return _shift(optimum.goal.density, optimum.theta, engine) if choose(engine).compiled else math.nan


def _shift(density: Posterior, theta: Array, engine: str) -> float:
    """Of :func:`shift_at_half_the_step` for a ``density`` whose model may be integrated otherwise than in the fit."""
    from calibration.inference.optimum.residuals import fitted

    problem = density.problem
    half = resolve(problem.model, problem.scenario).time_step / 2
    finer = posterior(replace(problem, scenario=problem.scenario | Scenario("", time_step=half)), choose(engine))
    before, after = fitted(density, theta), fitted(finer, theta)
    judged = (before["use"] == "fit") & (before["sd"] > 0)
    # of a number that is known within an interval, such as a rounded one, the width is uncertain too
    width = (before["upper"] - before["lower"]).replace(np.inf, 0.0)
    uncertain = (before["sd"] ** 2 + width**2 / 12) ** 0.5
    shifts = ((after["expected"] - before["expected"]).abs() / uncertain)[judged]
    return float(shifts.max()) if np.isfinite(shifts).all() else float("inf")


def remedy(optimum: Optimum, shift: float, engine: str) -> str:
    """What brings the shift at half the step within :data:`COARSE`.

    A smaller step, by halving, since the error of Euler's method halves as well; or Runge-Kutta's method where it costs
    no more, which reads the slopes of a step four times.

    Parameters
    ----------
    optimum : Optimum
    shift : float
        As of :func:`shift_at_half_the_step`.
    engine : str
        Of the fit.

    Returns
    -------
    str
        As lines of problem.toml; empty where nothing is needed or known.
    """
    if not COARSE < shift < math.inf:
        return ""
    problem = optimum.goal.density.problem
    step, smaller = resolve(problem.model, problem.scenario).time_step, 2.0 ** math.ceil(math.log2(shift / COARSE))
    if problem.model.time.method == "euler":
        otherwise = replace(problem, model=by_method(problem.model, "rk4"))
        affordable = smaller / SLOPES["rk4"]
        for halvings in range(1 + int(math.log2(affordable)) if affordable >= 1 else 0):
            at = step / 2.0**halvings
            scenario = problem.scenario | Scenario("", time_step=at)
            tried = posterior(replace(otherwise, scenario=scenario), choose(engine))
            if _shift(tried, optimum.theta, engine) <= COARSE:
                return 'method = "rk4"' + (f" and step = {at:g}" if halvings else "")
    return f"step = {step / smaller:g}"


def half_step_sentence(shift: float, remedy: str = "") -> str:
    """What is said of half the step.

    Parameters
    ----------
    shift : float
        As of :func:`shift_at_half_the_step`.
    remedy : str
        The line to advise where the step is too coarse; empty where none is known.

    Returns
    -------
    str
        Empty where the shift was not computed.
    """
    if np.isnan(shift):
        return ""
    if np.isinf(shift):
        return "With half the time step the model fails at the estimate: the time step decides, and not the model."
    if shift > COARSE:
        advised = f": write {remedy} under [model] in problem.toml" if remedy else ""
        return (
            f"THE TIME STEP IS TOO COARSE: half the step moves an expected number by {number(shift, digits=2)} of its "
            f"noise, where {COARSE:g} is allowed: the estimate may depend on the step, so no interval is judged. "
            f"Fit with a smaller step or another method{advised}."
        )
    return f"Halving the time step changes no expected value by more than {number(shift, digits=2)} of its noise."
