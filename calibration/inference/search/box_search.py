"""Local minima in the unit box by a quasi-Newton method that is scaled by the curvature.

L-BFGS-B measures a gradient in units of the box. Where a search range is a thousand times as wide as what the data
allow, a gradient is either far from zero at the minimum or, cut to the distance from a bound, near zero away from it.
Here each step is the minimum of a quadratic model within the box, and a search has converged when that model promises
a fall of the objective that is too small to matter: both are the same in any units of the parameters.

Sources: Nocedal and Wright 2006, Numerical Optimization, 2nd ed.: sections 18.2 and 16.7 (steps within bounds), 3.5
(backtracking by interpolation) and procedure 18.2 (damped update); Lewis and Overton 2013, Mathematical Programming
141, 135-163 (quasi-Newton steps across kinks, with a line search by bisection).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calibration.inference.sample.convergence import cost_of_a_run
from calibration.inference.search.objective import IMPOSSIBLE, Objective, Search, ask, gather, has_slopes
from calibration.inference.search.tuning import SEARCH
from calibration.inference.small_algebra import (
    backward,
    dot,
    factor,
    forward,
    least_within,
    principal_axes,
    times,
)
from cipark_sd.base.arrays import Array, near


@dataclass(frozen=True, eq=False)
class Minimum:
    """Where a search ended: ``slopes`` of the objective there and the quadratic model's ``matrix``.

    ``converged`` when the model promises no further fall; ``evaluations`` counts gradients; ``promised`` is the fall
    that the model promises still, which kinks and differences keep from being had.
    """

    point: Array
    value: float
    slopes: Array
    matrix: Array
    converged: bool
    evaluations: int
    promised: float = 0.0


def positive(matrix: Array) -> Array:
    """A curvature with negative and vanishing directions turned up, so that every step leads downhill."""
    scale = np.sqrt(np.maximum(np.abs(np.diag(matrix)), SEARCH.flat))
    values, vectors = principal_axes(matrix / np.outer(scale, scale))
    lifted = np.maximum(np.abs(values), 1e-10)
    return np.asarray(np.outer(scale, scale) * ((vectors * lifted)[:, None, :] * vectors).sum(axis=2))


def suiting_steps(matrix: Array) -> Array:
    """The steps ``(n,)`` that suit a gradient where the curvature is ``matrix``, or has that diagonal."""
    # a difference quotient over the whole width of a steep valley would not be its slope
    diagonal = np.diag(matrix) if matrix.ndim == 2 else matrix
    widths = 1 / np.sqrt(np.maximum(np.abs(diagonal), 1.0))
    return np.clip(2e-3 * widths, 1e-10, 1e-4)


def own_curvature(goal: Callable[[Array], Array], point: Array) -> Array:
    """The diagonal of :func:`curvature`, ``(n_free,)``, at a cost that grows with the parameters alone.

    Parameters
    ----------
    goal, point
        As of :func:`curvature`.
    """
    return _along_axes(goal, point)[2]


def curvature(goal: Callable[[Array], Array], point: Array) -> Array:
    """Second derivatives by central differences, inwards of the bounds of the box.

    Parameters
    ----------
    goal : function
        Points ``(n, n_free)`` to values ``(n,)``.
    point : (n_free,), of the box: from 0 to 1

    Returns
    -------
    (n_free, n_free)
        0 where a point beside it is impossible.
    """
    n = len(point)
    centre, steps, second, (values, possible) = _along_axes(goal, point)
    ahead, behind = values[1 : n + 1], values[n + 1 :]
    matrix = np.diag(second)
    # of f(+a +b) + f(-a -b) and the values along both axes the mixed derivative is left, to second order
    first, partner = np.triu_indices(n, 1)
    if len(first):
        pair_steps = np.diag(steps)
        up, down = np.empty(len(first)), np.empty(len(first))
        at_once = max(1, SEARCH.corner_numbers // (2 * n))
        for start in range(0, len(first), at_once):
            part = slice(start, start + at_once)
            together = pair_steps[first[part]] + pair_steps[partner[part]]
            up[part], down[part] = np.split(goal(np.vstack([centre + together, centre - together])), 2)
        usable = (up < IMPOSSIBLE) & (down < IMPOSSIBLE) & possible[first] & possible[partner]
        mixed = up + down - ahead[first] - behind[first] - ahead[partner] - behind[partner] + 2 * values[0]
        matrix[first, partner] = np.where(usable, mixed / (2 * steps[first] * steps[partner]), 0.0)
        matrix[partner, first] = matrix[first, partner]
    return matrix


def _along_axes(
    goal: Callable[[Array], Array], point: Array
) -> tuple[Array, Array, Array, tuple[Array, NDArray[np.bool_]]]:
    """Second derivatives along each axis: about what point, over what steps, and from what values.

    Last, the values there, ahead and behind, and where all three are possible.
    """
    n = len(point)
    better, parts = np.full(n, 1e-4), near(2 * n + 1, n)
    # far above rounding, within the parabola
    probed_rise = 1e-4
    for _ in range(6):
        steps = better
        centre = np.clip(point, steps, 1 - steps)
        moves = np.vstack([np.zeros(n), np.diag(steps), -np.diag(steps)])
        values = np.concatenate([goal(centre + moves[part]) for part in parts])
        ahead, behind = values[1 : n + 1], values[n + 1 :]
        possible = (ahead < IMPOSSIBLE) & (behind < IMPOSSIBLE) & (values[0] < IMPOSSIBLE)
        rise = np.where(possible, np.abs(ahead + behind - 2 * values[0]) / 2, np.inf)
        right = possible & (rise > probed_rise / 30) & (rise < probed_rise * 30)
        with np.errstate(divide="ignore"):
            suiting = np.where(possible, steps * np.sqrt(probed_rise / rise), steps / 100)
        better = np.where(right, steps, np.clip(suiting, 1e-10, 1e-2))
        if (better == steps).all():
            break
    second = np.where(possible, (ahead + behind - 2 * values[0]) / steps**2, 0.0)
    return centre, steps, second, (values, possible)


def measured(goal: Objective, point: Array) -> Search[tuple[Objective, Array]]:
    """The curvature at a point.

    Parameters
    ----------
    point : (n_free,), of the box: from 0 to 1

    Returns
    -------
    Search
        Of the objective with steps of its difference quotients that suit the point, and the curvature
        ``(n_free, n_free)``.
    """
    n, cost = len(point), cost_of_a_run(goal.density)
    is_costly = cost is not None and n >= SEARCH.slopes_from and n * (n - 1) * cost > SEARCH.costly
    if is_costly and has_slopes(goal.density):
        matrix = yield from curvature_of_slopes(goal, point)
    else:
        matrix = curvature(goal, point)
    steps = goal.steps.copy()
    steps[goal.free] = suiting_steps(matrix)
    return replace(goal, steps=steps), matrix


def curvature_of_slopes(goal: Objective, point: Array) -> Search[Array]:
    """:func:`curvature` with the mixed derivatives from slopes, which a jump of the objective leaves as they are."""
    n = len(point)
    centre, steps, second, _ = _along_axes(goal, point)
    moves = np.diag(steps)
    ends = yield from gather([ask(goal, end) for end in np.vstack([centre + moves, centre - moves])])
    values = np.array([value for value, _ in ends]).reshape(2, n)
    possible = (values[0] < IMPOSSIBLE) & (values[1] < IMPOSSIBLE)
    ahead, behind = np.array([slope for _, slope in ends]).reshape(2, n, n)
    rows = np.where(possible[:, None], (ahead - behind) / (2 * steps[:, None]), 0.0)
    matrix = np.where(possible[:, None] & possible, (rows + rows.T) / 2, 0.0)
    matrix[~possible, ~possible] = second[~possible]
    return matrix


def minimising(goal: Objective, start: Array, *, tolerance: float, stall: float) -> Search[Minimum]:
    """The minimum that lies downhill, the curvature measured at the start, and anew where a search from it has stuck.

    Parameters
    ----------
    start : (n_free,), of the box: from 0 to 1
    tolerance, stall : float
        As of :func:`descending`.

    Returns
    -------
    Search
        Of the Minimum.
    """
    point, evaluations, last = start, 0, np.inf
    for _ in range(4):
        scaled, matrix = yield from measured(goal, point)
        result = yield from descending(scaled, point, positive(matrix), tolerance=tolerance, stall=stall)
        evaluations += result.evaluations + len(point)
        point = result.point
        if result.converged or not result.value < last - stall:
            break
        last = result.value
    return replace(result, evaluations=evaluations)


def descending(goal: Objective, start: Array, matrix: Array, *, tolerance: float, stall: float) -> Search[Minimum]:
    """Quasi-Newton steps within the box.

    A kink keeps the promise of the quadratic model for good. Steps that end where the slope has turned teach the model
    how steep both sides are, and the search ends once its last steps together gain too little.

    Parameters
    ----------
    start : (n_free,), of the box: from 0 to 1
    matrix : (n_free, n_free)
        The first quadratic model, positive definite.
    tolerance : float
        The promised fall of the objective at which the search has converged.
    stall : float
        What its ten last steps together have to gain.

    Returns
    -------
    Search
        Of the Minimum.
    """
    point = goal.on_grid(start)
    value, slopes = yield from ask(goal, point)
    evaluations, values = 1, [value]
    for _ in range(120):
        step = bounded_step(matrix, slopes, point)
        promised = -(dot(slopes, step) + dot(step, times(matrix, step)) / 2)
        if not promised > tolerance:
            minimum = Minimum(point, value, slopes, matrix, True, evaluations)
            return (yield from _to_last_digits(goal, minimum, promised)) if tolerance <= SEARCH.last_digits else minimum
        (end, there, slopes_there), trials = yield from _along(goal, point, step, value, slopes)
        evaluations += trials
        if not there < value:
            return Minimum(point, value, slopes, matrix, False, evaluations, promised=promised)
        matrix = _updated(matrix, end - point, slopes_there - slopes)
        point, value, slopes = end, there, slopes_there
        values.append(value)
        gained = values[-1 - 10] - value if len(values) > 10 else np.inf
        if gained < stall:
            return Minimum(point, value, slopes, matrix, True, evaluations, promised=min(promised, gained))
    return Minimum(point, value, slopes, matrix, False, evaluations, promised=min(promised, gained))


def _to_last_digits(goal: Objective, minimum: Minimum, promised: float) -> Search[Minimum]:
    """Steps by slopes alone, whose gain is lost in rounding, while each promises a quarter of the last one at most."""
    last = np.inf
    while 0 < promised < last / 4:
        point, matrix = minimum.point, minimum.matrix
        trial = goal.on_grid(point + bounded_step(matrix, minimum.slopes, point))
        value, slopes = yield from ask(goal, trial)
        if value > minimum.value + SEARCH.last_digits * max(1.0, abs(value)):
            break
        matrix = _updated(matrix, trial - point, slopes - minimum.slopes)
        minimum = Minimum(trial, value, slopes, matrix, True, minimum.evaluations + 1)
        step = bounded_step(matrix, slopes, trial)
        last, promised = promised, -(dot(slopes, step) + dot(step, times(matrix, step)) / 2)
    return minimum


def _along(
    goal: Objective, point: Array, step: Array, value: float, slopes: Array
) -> Search[tuple[tuple[Array, float, Array], int]]:
    """The end of a line search: lower by a share of what the slope promises, and where the slope is less steep.

    Bisection finds such a point across kinks as well. Beside point, value and slopes it says how many points it tried.
    """
    fall = -dot(slopes, step)
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(step > 0, (1 - point) / step, np.where(step < 0, -point / step, np.inf))
    longest = max(1.0, float(room.min()))
    low, high, share = 0.0, np.inf, 1.0
    reached, trials = (point, value, slopes), 0
    # low: too steep still; high: not low enough
    for _ in range(40):
        trials += 1
        trial = goal.on_grid(point + share * step)
        there, slopes_there = yield from ask(goal, trial)
        if there > value - 1e-4 * share * fall:
            high = share
        else:
            reached = trial, there, slopes_there
            if -dot(slopes_there, step) <= 0.9 * fall or share >= longest:
                break
            low = share
        if low > 0:
            share = (low + high) / 2 if high < np.inf else min(2 * share, longest)
            if high - low < 0.1 * low:
                break
        else:
            # the least of the parabola through both values and the slope, kept away from either end
            curve = there - value + share * fall
            share *= float(np.clip(share * fall / (2 * curve), 0.1, 0.5)) if there < IMPOSSIBLE and curve > 0 else 0.1
            if share < 1e-8:
                break
    return reached, trials


def bounded_step(matrix: Array, slopes: Array, point: Array) -> Array:
    """The step to the least of the quadratic model within the box.

    Without a bound in the way ``-H^-1 g``, by Cholesky factors.

    Parameters
    ----------
    matrix : (n, n)
    slopes : (n,)
    point : (n,)
        Of the box.

    Returns
    -------
    (n,)
    """
    # in units in which the diagonal is 1
    scale = np.sqrt(np.maximum(np.diag(matrix), SEARCH.flat))
    scaled = matrix / np.outer(scale, scale)
    lower = factor(scaled, 1e-10)
    target = -forward(lower, slopes / scale)
    free = backward(lower, target) / scale
    ahead = point + free
    if ((ahead >= 0) & (ahead <= 1)).all():
        return np.asarray(free)
    within = least_within(lower.T, target, -point * scale, (1 - point) * scale)
    return np.clip(within / scale, -point, 1 - point)


def _updated(matrix: Array, step: Array, change: Array) -> Array:
    """The damped update of Broyden, Fletcher, Goldfarb and Shanno, which stays positive definite."""
    ahead = times(matrix, step)
    along = dot(step, ahead)
    product = dot(step, change)
    if not along > 0:
        return matrix
    # where the slope has not turned enough, part of it is taken for what the model had promised (Powell's damping)
    if product < 0.2 * along:
        share = 0.8 * along / (along - product)
        change = share * change + (1 - share) * ahead
        product = dot(step, change)
    updated = matrix - np.outer(ahead, ahead) / along + np.outer(change, change) / product
    return np.asarray((updated + updated.T) / 2)
