"""Standard errors of the estimates from the information at the optimum, and the spread of the residuals.

Where all fitted numbers are measurements with normal or lognormal noise the information on the parameters of the model
is Fisher's, from the slopes of the expected numbers, as in certified nonlinear regressions; otherwise it is the
curvature of the objective. With ``map`` the priors add to it. Where the spread of the noise is estimated, errors are
those of the residual variance over ``n - p`` numbers instead of n, as in regression.

Source: Seber and Wild 1989, Nonlinear Regression, sections 2.1 and 2.8; certified errors of NIST are of this kind.
"""

import math
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from calibration.inference.optimum.box_search import FLAT, curvature, suiting_steps
from calibration.inference.optimum.diagnostics import prior_information, standardised
from calibration.inference.optimum.interval_rules import interval_rules
from calibration.inference.optimum.objective import IMPOSSIBLE, Objective
from calibration.inference.optimum.optimise import Optimum
from calibration.inference.optimum.scoring import around
from calibration.study.observations import Count
from cipark_sd.base.arrays import Array

#: Least eigenvalue, relative to the largest, of information whose diagonal is 1, from which errors are told.
SINGULAR = 1e-12
#: How often curvature is measured again where it cannot be inverted.
ROUNDS = 4


@dataclass(frozen=True, slots=True)
class ResidualSpread:
    """Residuals of one fitted observation whose noise is normal or lognormal with one spread.

    Parameters
    ----------
    observation : str
    n : int
        Fitted numbers.
    squares : float
        Their residual sum of squares; of logarithms where the noise is lognormal.
    sd : float
        Residual standard deviation, over the numbers less the observation's part of the fitted parameters; NaN where
        that leaves nothing.
    """

    observation: str
    n: int
    squares: float
    sd: float


@dataclass(frozen=True, eq=False)
class StandardErrors:
    """Standard errors of the free parameters in their own units, None where the information leaves them undetermined.

    ``why_not`` says of each such parameter why.
    """

    values: dict[str, float | None]
    why_not: dict[str, str]
    residuals: tuple[ResidualSpread, ...]


def standard_errors(optimum: Optimum) -> StandardErrors:
    """Standard errors at the optimum, given the parameters that it holds and those on a bound."""
    goal = optimum.goal
    names, point = goal.space.names, goal.box(optimum.theta)
    why_not = dict.fromkeys(optimum.stepwise, "the likelihood is a step function of it")
    why_not |= dict.fromkeys(optimum.at_bound, "on a bound")
    moving = np.array([i for i, name in enumerate(names) if name not in why_not], dtype=np.intp)
    values: dict[str, float | None] = dict.fromkeys(names)
    if len(moving):
        inner = replace(goal, base=optimum.theta, free=goal.free[moving])
        errors = _errors(optimum, inner)
        widths = _widths(inner, point[moving])
        for i, error, width in zip(moving, errors, widths, strict=True):
            if math.isfinite(error):
                values[names[i]] = float(error * width)
            else:
                why_not[names[i]] = "the data do not determine it together with the others"
    return StandardErrors(values, why_not, residual_spreads(optimum))


def _errors(optimum: Optimum, goal: Objective) -> Array:
    """Standard errors ``(n_free,)`` in the box; infinite where the information is singular."""
    rough, theta = goal.rough, optimum.theta
    information = around(goal, goal.box(theta)).matrix if rough else _information(goal, theta)
    diagonal = np.diag(information)
    errors = np.full(len(diagonal), np.inf)
    # what nothing depends on has no error, and takes none from the others
    informed = diagonal > FLAT
    if informed.any():
        scale = np.sqrt(diagonal[informed])
        values, vectors = np.linalg.eigh(information[np.ix_(informed, informed)] / np.outer(scale, scale))
        known = values > SINGULAR * max(1.0, float(values.max()))
        variances = (vectors**2 / np.where(known, values, 1.0)).sum(axis=1) / scale**2
        undetermined = (vectors[:, ~known] ** 2).sum(axis=1) > SINGULAR
        errors[informed] = np.where(undetermined, np.inf, np.sqrt(variances))
    rules = interval_rules(optimum, 0.95)
    return np.asarray(errors * np.sqrt([rules.of(name).inflation for name in goal.space.names]))


def _information(goal: Objective, theta: Array) -> Array:
    """Of the free parameters, in the box ``(n_free, n_free)``."""
    point = goal.box(theta)
    observed = curvature(goal, point)
    terms = goal.density.problem.fitted_terms
    measured = all(
        isinstance(term, Count)
        and term.lower == term.upper
        and term.noise.family.gaussian
        and term.noise.memory is None
        for term in terms
    )
    model = np.flatnonzero([parameter.target == "model" for parameter in goal.space])
    if not measured or not len(model):
        return _along_axes(goal, point, observed)
    slopes = _slopes(goal, theta, point, model, suiting_steps(observed))
    information = np.zeros_like(observed)
    information[np.ix_(model, model)] = slopes.T @ slopes
    noise = np.setdiff1d(np.arange(len(goal.free)), model)
    information[np.ix_(noise, noise)] = observed[np.ix_(noise, noise)]
    counted = model[goal.with_prior[goal.free[model]]]
    information[counted, counted] += prior_information(goal, point)[counted]
    return information


def _along_axes(goal: Objective, point: Array, matrix: Array) -> Array:
    """Curvature that cannot be inverted, measured again along its principal axes.

    Quotients along pairs of parameters err by a share of the steepest direction, which may be more than the curvature
    of the flattest; along the axes each direction has a step that suits it.
    """
    for _ in range(ROUNDS):
        diagonal = np.diag(matrix)
        if not (diagonal > FLAT).all():
            break
        scale = np.sqrt(diagonal)
        values, vectors = np.linalg.eigh(matrix / np.outer(scale, scale))
        if values.min() > SINGULAR * values.max():
            break
        axes = vectors / scale[:, None]
        axes /= np.abs(axes).max(axis=0)
        back = np.linalg.inv(axes)
        turned = curvature(partial(_along, goal, point, axes), np.full(len(point), 0.5))
        matrix = back.T @ turned @ back
    return matrix


def _along(goal: Objective, point: Array, axes: Array, moves: Array) -> Array:
    """The objective at ``moves - 0.5`` along the axes, in columns; outside the box it is impossible."""
    box = point + (moves - 0.5) @ axes.T
    inside = ((box >= 0) & (box <= 1)).all(axis=1)
    return np.where(inside, goal(np.clip(box, 0, 1)), IMPOSSIBLE)


def _slopes(goal: Objective, theta: Array, point: Array, model: NDArray[np.intp], steps: Array) -> Array:
    """Of the expected numbers over their noise by the parameters of the model in the box ``(n_rows, n_model)``."""
    moves = np.eye(len(point))[model] * steps[model][:, None]
    ahead, behind = np.clip(point + moves, 0, 1), np.clip(point - moves, 0, 1)
    rows = standardised(goal.density, theta, goal.density.by_term(goal.theta(np.vstack([ahead, behind]))))
    widths = (ahead - behind)[np.arange(len(model)), model]
    return np.asarray((rows[: len(model)] - rows[len(model) :]).T / widths)


def _widths(goal: Objective, point: Array) -> Array:
    """How far each parameter moves per unit of its box ``(n_free,)``."""
    step = 1e-6
    low, high = np.clip(point - step, 0, 1), np.clip(point + step, 0, 1)
    moved = goal.space.from_box(np.stack([low, high]))
    return np.asarray((moved[1] - moved[0]) / (high - low))


def residual_spreads(optimum: Optimum) -> tuple[ResidualSpread, ...]:
    """Of the fitted observations that are exact measurements under one noise each."""
    problem, density = optimum.goal.density.problem, optimum.goal.density
    expected = density.by_term(optimum.theta[None, :])
    ends = np.cumsum([0, *(len(observation.terms) for observation in problem.observations)])
    n_model = sum(optimum.goal.density.space.parameters[i].target == "model" for i in optimum.goal.free)
    n_fitted = len(problem.fitted_terms)
    spreads = []
    for observation, (first, last) in zip(problem.observations, pairwise(ends), strict=True):
        terms = [(t, e) for t, e in zip(observation.terms, expected[first:last], strict=True) if t.use == "fit"]
        counts = [(t, float(e[0, 0])) for t, e in terms if isinstance(t, Count) and t.lower == t.upper]
        noises = {t.noise for t, _ in counts}
        if not counts or len(counts) < len(terms) or len(noises) > 1:
            continue
        family = next(iter(noises)).family
        if not family.gaussian:
            continue
        gaps = [math.log(t.lower / e) if family.on_log else t.lower - e for t, e in counts]
        squares = sum(t.weight * gap**2 for (t, _), gap in zip(counts, gaps, strict=True))
        dof = sum(t.weight for t, _ in counts) * (1 - n_model / n_fitted)
        sd = math.sqrt(squares / dof) if dof > 0 else math.nan
        spreads.append(ResidualSpread(observation.name, len(counts), squares, sd))
    return tuple(spreads)
