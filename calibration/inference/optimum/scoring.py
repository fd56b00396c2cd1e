"""The search for a minimum of an objective that jumps: damped steps, with slopes over distances that even out jumps.

Where an equation asks whether a level is above another one, what happens moves by whole time steps. Each such move is a
small jump of the objective. The slope between two jumps says nothing of them, and a search by it ends at the first.
Over a distance at which the objective rises by about a half, expected numbers change evenly. Here their slopes are
differences over such distances, in directions that are independent of each other; the curvature follows from how the
density of each number bends (Fisher scoring). Nothing depends on which side of a jump a point lies, and the parameters
of which the likelihood is a step function move with the others.

Source: Osborne 1992, International Statistical Review 60(1), 99-117 (Fisher scoring); for its damped steps Moré 1978,
Lecture Notes in Mathematics 630, 105-116.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.inference.optimum.box_search import FLAT, Minimum, bounded_step
from calibration.inference.optimum.objective import IMPOSSIBLE, InRange, Objective
from calibration.likelihood.gradient import of_values
from cipark_sd.base.arrays import Array

#: The longest probe, and the first ones where no curvature is known, as shares of a search range.
MOST_PROBE, FIRST_PROBE = 0.1, 1e-3
#: Least curvature of a direction, its axes having one of 1.
SINGULAR = 1e-8
#: A second derivative of a density takes this share of an expected number or of a search range.
BEND = 1e-4
#: Steps at most, and over how many of them the objective has to fall by ``stall``.
MOST_STEPS, LAST_STEPS = 40, 4
#: How far walkers begin from a minimum, in standard deviations.
SPREAD = 0.5
#: What luck with jumps is worth: a minimum may be lower by as much.
DOUBT = 0.05
#: How often distances are made to suit the curvature that they show.
TURNS = 3
#: Dampings that are tried at once, each ten times the one before it: one block of lanes runs them. The first of all,
#: and the least that is none.
TRIALS, FIRST_DAMPING, LEAST_DAMPING = 8, 1e-2, 1e-7


@dataclass(frozen=True, eq=False)
class Sweep:
    """An objective about a point: the best of the places that were run, and slopes and curvature over their distance.

    Parameters
    ----------
    best : (n_free,)
    least : float
        The objective there.
    value : float
        At the point itself.
    slopes : (n_free,)
    matrix : (n_free, n_free)
        Positive.
    """

    best: Array
    least: float
    value: float
    slopes: Array
    matrix: Array


def scored(goal: Objective, start: Array, *, stall: float, matrix: Array | None = None) -> Minimum:
    """The minimum downhill of a possible ``start : (n_free,)``, the best of all places that were run.

    ``stall`` is what the last steps together have to gain, ``matrix`` a curvature that is known. Where no curvature is
    known the search begins again from its end until that gains no more.
    """
    minimum = _once(goal, np.clip(start, 0.0, 1.0), matrix, stall)
    evaluations, gained = minimum.evaluations, np.inf
    while matrix is None and gained > stall:
        again = _once(goal, minimum.point, minimum.matrix, stall)
        evaluations, gained = evaluations + again.evaluations, minimum.value - again.value
        minimum = again if gained > 0 else minimum
    return Minimum(minimum.point, minimum.value, minimum.slopes, minimum.matrix, True, evaluations, DOUBT)


def _once(goal: Objective, point: Array, matrix: Array | None, stall: float) -> Minimum:
    """Steps until the last ones have gained nothing."""
    best, least, damping, values = point, np.inf, FIRST_DAMPING, list[float]()
    for _ in range(MOST_STEPS):
        sweep = swept(goal, point, matrix)
        matrix = sweep.matrix
        if sweep.least < least:
            best, least = sweep.best, sweep.least
        values.append(sweep.value)
        if len(values) > LAST_STEPS and values[-1 - LAST_STEPS] - values[-1] < stall:
            break
        dampings = damping * 10.0 ** np.arange(TRIALS)
        scale = np.diag(np.maximum(np.diag(matrix), FLAT))
        steps = [bounded_step(matrix + share * scale, sweep.slopes, point) for share in dampings]
        trials = np.clip(point + np.array(steps), 0.0, 1.0)
        reached = goal(trials)
        place = int(reached.argmin())
        if not reached[place] < sweep.value:
            break
        damping = max(dampings[place] / 10, LEAST_DAMPING)
        point = trials[place]
        if reached[place] < least:
            best, least = point, float(reached[place])
    return Minimum(best, least, sweep.slopes, sweep.matrix, True, len(values))


def around(goal: Objective, point: Array) -> Sweep:
    """The objective about a minimum ``(n_free,)``, over distances that suit it."""
    sweep = swept(goal, point)
    for _ in range(TURNS):
        sweep = swept(goal, point, sweep.matrix)
    return sweep


def over_jumps(goal: Objective, point: Array) -> Array:
    """Of each parameter the distance ``(n_free,)`` over which the objective rises by a half about a minimum."""
    return np.clip(1 / np.sqrt(np.maximum(np.diag(around(goal, point).matrix), FLAT)), 0.0, MOST_PROBE)


def drawn_about(goal: Objective, theta: Array, n: int, rng: np.random.Generator) -> Array:
    """Full vectors ``(n, k)`` about a minimum ``(k,)``, where walkers begin; what is held is drawn from its prior."""
    point = goal.box(theta)
    directions = _probes(around(goal, point).matrix)
    spread = SPREAD * rng.standard_normal((n, len(point))) @ directions
    values = goal.theta(np.clip(point + spread, FIRST_PROBE, 1 - FIRST_PROBE))
    held = np.setdiff1d(np.arange(len(theta)), goal.free)
    space = goal.density.space
    values[:, held] = space.from_unit(rng.random((n, len(space))))[:, held]
    return values


def swept(goal: Objective, point: Array, matrix: Array | None = None) -> Sweep:
    """The objective about a point ``(n_free,)``, over the distances that a ``matrix`` of curvatures suggests."""
    density, moving = goal.density, _moving(goal)
    m = len(moving)
    probes = FIRST_PROBE * np.eye(m) if matrix is None else _probes(matrix[np.ix_(moving, moving)])
    points = np.repeat(point[None, :], 2 * m + 1, axis=0)
    points[1 : m + 1, moving] += probes
    points[m + 1 :, moving] -= probes
    points = np.clip(points, 0.0, 1.0)
    theta = goal.theta(points)
    quantities = density.quantities(theta)
    logs, by_quantity, by_theta = of_values(density, quantities, theta)
    values = -logs - goal.log_prior(theta)
    usable = np.asarray(np.isfinite(quantities).all(axis=1) & (values < IMPOSSIBLE))
    pairs = usable[1 : m + 1] & usable[m + 1 :]
    apart = (points[1 : m + 1] - points[m + 1 :])[pairs][:, moving]

    def slopes_of(numbers: Array) -> Array:
        """By the moving columns ``(m, …)`` of numbers at all places."""
        return np.asarray(np.linalg.lstsq(apart, (numbers[1 : m + 1] - numbers[m + 1 :])[pairs], rcond=1e-12)[0])

    by_moving = slopes_of(quantities)
    direct_slopes, direct_curvature = _direct(goal, point, quantities[0], by_theta[0])
    slopes, curvature = direct_slopes, np.diag(direct_curvature)
    slopes[moving] -= by_moving @ by_quantity[0]
    bends = _bends(goal, quantities[0], by_quantity[0], theta[0])
    curvature[np.ix_(moving, moving)] += (by_moving * bends) @ by_moving.T
    if goal.pull is not None:
        gaps = goal.pull.gap(theta)
        values = values + gaps**2 / 2
        by_point = np.zeros(len(point))
        if isinstance(goal.pull.quantity, InRange):
            by_point = goal.pull.at(goal, point)[1]
        else:
            by_point[moving] = slopes_of(gaps)
        slopes, curvature = slopes + gaps[0] * by_point, curvature + np.outer(by_point, by_point)
    values = np.where(values < IMPOSSIBLE, values, IMPOSSIBLE)
    place = int(values.argmin())
    return Sweep(points[place], float(values[place]), float(values[0]), slopes, curvature)


def _moving(goal: Objective) -> NDArray[np.intp]:
    """Columns of the box that may move expected numbers: all but the spreads."""
    spreads = {term.noise.spread for term in goal.density.problem.terms}
    return np.array([i for i, name in enumerate(goal.space.names) if name not in spreads], dtype=np.intp)


def _probes(matrix: Array) -> Array:
    """Directions ``(m, m)`` that are independent under a curvature, each as long as makes for a rise of a half."""
    scale = np.sqrt(np.maximum(np.diag(matrix), FLAT))
    values, vectors = np.linalg.eigh(matrix / np.outer(scale, scale))
    probes = (vectors / np.sqrt(np.maximum(values, SINGULAR))).T / scale
    return np.asarray(probes * np.minimum(1.0, MOST_PROBE / np.abs(probes).max(axis=1))[:, None])


def _bends(goal: Objective, quantities: Array, slopes: Array, theta: Array) -> Array:
    """How the density bends by each quantity ``(n_quantities,)``, by itself or by its logarithm, whichever is more.

    The one is what a normal density expects, the other a count's or a lognormal one's; neither is negative.
    """
    share = BEND * np.abs(quantities)
    beside = np.stack([quantities + share, quantities - share])
    _, ends, _ = of_values(goal.density, beside, np.stack([theta, theta]))
    with np.errstate(divide="ignore", invalid="ignore"):
        bend = -(ends[0] - ends[1]) / (2 * share)
        total = bend + np.maximum(-slopes / quantities, 0.0)
    return np.where(np.isfinite(total), np.maximum(total, 0.0), 0.0)


def _direct(goal: Objective, point: Array, quantities: Array, by_theta: Array) -> tuple[Array, Array]:
    """Slopes and curvatures ``(n_free,)`` of what parameters do beside moving quantities: priors, and spreads."""
    n, space = len(point), goal.space
    centre = np.clip(point, BEND, 1 - BEND)
    near = np.vstack([centre - BEND * np.eye(n), centre + BEND * np.eye(n)])
    theta = goal.theta(np.vstack([near, centre]))
    values = space.from_box(np.vstack([near, centre]))
    by_box = np.exp(space.log_slopes(values)) * space.widths
    _, _, ends = of_values(goal.density, np.repeat(quantities[None, :], 2 * n, axis=0), theta[:-1])
    at_ends = ends[:, goal.free] * by_box[:-1]
    rows = np.arange(n)
    bends = -(at_ends[n + rows, rows] - at_ends[rows, rows]) / (2 * BEND)
    counts = goal.prior_weight * goal.with_prior[goal.free]
    priors = space.log_priors(values) + space.log_slopes(values)
    low, high = priors[rows, rows], priors[n + rows, rows]
    slopes = -by_theta[goal.free] * by_box[-1] - counts * (high - low) / (2 * BEND)
    prior_bends = -counts * (low + high - 2 * priors[-1]) / BEND**2
    return slopes, np.maximum(bends, 0.0) + np.maximum(prior_bends, 0.0)
