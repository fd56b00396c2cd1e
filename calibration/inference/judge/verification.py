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

from calibration.inference.search.optimise import Optimum
from calibration.likelihood.posterior import Posterior, posterior
from calibration.study.parameters import Parameter
from calibration.study.problem import CalibrationProblem, at_step
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import CiparkError
from cipark_sd.base.wording import listed, number
from cipark_sd.compiler.unroll import unroll
from cipark_sd.data.scenarios import Scenario, resolve
from cipark_sd.engines.base import SLOPES, fixed_method
from cipark_sd.engines.registry import REFERENCE, choose
from cipark_sd.model.model import Method as Integration

Status = Literal["agrees", "differs", "failed", "not compared"]

#: Numbers that PySD may compute without being asked to: variables, each element by itself, times time steps up to the
#: last number of the data. The park's 420,540 take it 6 s of processor time, translation included; so many take 9 s.
MOST_NUMBERS = 600_000
#: Difference, as a share of an observation's scale, above which the engines do not agree.
TOLERANCE = 1e-9
#: Move of an expected number at half the time step, in standard deviations of its noise, above which nothing is judged.
COARSE = 0.3
#: Times that a step is halved at most in search of one that serves.
HALVINGS = 7
#: Times that a smaller step may cost what another method does and is still taken: a scenario of the fit then runs the
#: model of the file to its numbers, and PySD, which has Euler's method alone, can be asked.
OTHERWISE = 2
#: What is said of an interval then.
TOO_COARSE = "not judged, since the time step is too coarse"
#: Why there are no draws then, though they were asked for.
UNSAMPLED = "the time step is too coarse"
#: The option that asks for the comparison whatever it takes.
OPTION = "--compare-pysd"


@dataclass(frozen=True, slots=True)
class Replication:
    """Whether PySD gives the same observed quantities at the estimate.

    Parameters
    ----------
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
    engine : str
        Of the fit.
    compare : bool or None
        Whether to compare; with None where PySD has no more than :data:`MOST_NUMBERS` to compute.
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
    from calibration.inference.judge.residuals import fitted

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


def on_step_bounds(optimum: Optimum) -> tuple[str, ...]:
    """Parameters whose estimate lies on a bound that the time step alone sets."""

    def by_step(parameter: Parameter, *, low: bool) -> bool:
        rule = parameter.step_rule
        stated = None if rule is None else rule.lower if low else rule.upper
        return parameter.bounds_from == "step" and stated != (parameter.lower if low else parameter.upper)

    goal = optimum.goal
    places = dict(zip(goal.space.names, goal.box(optimum.theta).tolist(), strict=True))
    at_bound = [parameter for parameter in goal.space if parameter.name in optimum.at_bound]
    return tuple(parameter.name for parameter in at_bound if by_step(parameter, low=places[parameter.name] < 0.5))


@dataclass(frozen=True, slots=True)
class Stepping:
    """A finer way to integrate the model of a fit.

    Parameters
    ----------
    step : float
        In the model's unit of time.
    method : {"euler", "rk4"}
    dearer : float
        How many times as much a run costs.
    """

    step: float
    method: Integration
    dearer: float


def finer(optimum: Optimum, shift: float, engine: str) -> Stepping | None:
    """A cheap way to integrate that serves the estimate: a smaller step, by halving, or Runge-Kutta's method.

    Half of its step moves no expected number by more than half of :data:`COARSE`, since the estimate moves too. Where
    the estimate lies on a bound that the step sets, the step is halved at least once, which moves the bound as far away
    again.

    Parameters
    ----------
    shift : float
        As of :func:`shift_at_half_the_step`.
    engine : str
        Of the fit.

    Returns
    -------
    Stepping, optional
        None where nothing finer is needed, or nothing up to :data:`HALVINGS` serves.
    """
    problem, held_back = optimum.goal.density.problem, on_step_bounds(optimum)
    if not (shift > COARSE or held_back):
        return None
    step, its_method = resolve(problem.model, problem.scenario).time_step, problem.model.time.method
    methods: tuple[Integration, ...] = (its_method,) if its_method == "rk4" else (its_method, "rk4")
    ways = [
        Stepping(step / 2.0**n, method, 2.0**n * SLOPES[fixed_method(method)] / SLOPES[fixed_method(its_method)])
        for method in methods
        for n in range(int(bool(held_back) or method == its_method), HALVINGS + 1)
    ]
    for way in sorted(ways, key=lambda way: way.dearer * (1 if way.method == its_method else OTHERWISE)):
        density = posterior(at_step(problem, way.step, way.method), choose(engine))
        if _shift(density, optimum.theta, engine) <= COARSE / 2:
            return way
    return None


def stepping_words(optimum: Optimum, shift: float, way: Stepping) -> str:
    """Why a fit goes on otherwise, how, and what that costs.

    Parameters
    ----------
    optimum : Optimum
        Before.
    shift : float
        There, as of :func:`shift_at_half_the_step`.

    Returns
    -------
    str
        A sentence.
    """
    problem, held_back = optimum.goal.density.problem, on_step_bounds(optimum)
    step = step_words(problem)
    why = f"half of it moves an expected number by {number(shift, digits=2)} of its noise"
    if math.isinf(shift):
        why = "with half of it the model fails at the estimate"
    if held_back:
        why = f"only it keeps {listed(held_back)} from going further"
    return (
        f"{step[:1].upper()}{step[1:]} is too coarse for this fit: {why}. In its place is {way.method} at "
        f"{way.step:g}{_units(problem)}, of which a run costs {way.dearer:g} times as much."
    )


def _units(problem: CalibrationProblem) -> str:
    return f" {problem.model.time.units}".rstrip()


def step_words(problem: CalibrationProblem) -> str:
    """The time step and the method of a study."""
    step = resolve(problem.model, problem.scenario).time_step
    return f"the time step of {step:g}{_units(problem)} ({problem.model.time.method})"


def asked_step_words(step: str, shift: float) -> str:
    """What is said of numbers under a step that is too coarse and that the user has asked for.

    Parameters
    ----------
    step : str
        As of :func:`step_words`.
    shift : float
        As of :func:`shift_at_half_the_step`.
    """
    changes = f"which changes the result by up to {number(shift, digits=2)} of its noise"
    return f"under {step}, {'with half of which the model fails' if math.isinf(shift) else changes}"


def remedy(optimum: Optimum, shift: float, engine: str) -> str:
    """What brings the shift at half the step within :data:`COARSE`, as of :func:`finer`.

    Parameters
    ----------
    shift : float
        As of :func:`shift_at_half_the_step`.
    engine : str
        Of the fit.

    Returns
    -------
    str
        As lines of problem.toml; empty where nothing is needed or known.
    """
    problem = optimum.goal.density.problem
    # with PySD nothing was computed, and nothing is
    if math.isnan(shift) or (way := finer(optimum, shift, engine)) is None:
        return ""
    lines = [f'method = "{way.method}"'] if way.method != problem.model.time.method else []
    if way.step != resolve(problem.model, problem.scenario).time_step:
        lines.append(f"step = {way.step:g}")
    return " and ".join(lines)


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
