"""Objectives that jump: whether one does, and the search for its minimum by damped steps over the jumps.

Where an equation asks whether a level is above another one, what happens moves by whole time steps. Each such move is a
small jump of the objective. The slope between two jumps says nothing of them, and a search by it ends at the first.
Over a distance at which the objective rises by about a half, expected numbers change evenly. Here their slopes are
differences over such distances, in directions that are independent of each other; the curvature follows from how the
density of each number bends (Fisher scoring). Nothing depends on which side of a jump a point lies, and the parameters
of which the likelihood is a step function move with the others.

Source: Osborne 1992, International Statistical Review 60(1), 99-117 (Fisher scoring); for its damped steps Moré 1978,
Lecture Notes in Mathematics 630, 105-116.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from calibration.inference.search.box_search import Minimum, bounded_step
from calibration.inference.search.objective import IMPOSSIBLE, InRange, Objective
from calibration.inference.search.tuning import SEARCH
from calibration.inference.small_algebra import principal_axes, solved_rows, times
from calibration.likelihood.gradient import of_values
from cipark_sd.base.arrays import Array


def scored(goal: Objective, start: Array, *, stall: float, matrix: Array | None = None) -> Minimum:
    """The minimum downhill of a possible point, the best of all places that were run.

    Parameters
    ----------
    start : (n_free,), of the box: from 0 to 1
    stall : float
        What the last steps together have to gain.
    matrix : (n_free, n_free), optional
        A curvature that is known. None: the search begins again from its end until that gains no more.
    """
    minimum = _once(goal, goal.on_grid(start), matrix, stall)
    evaluations, gained = minimum.evaluations, np.inf
    while matrix is None and gained > stall:
        again = _once(goal, minimum.point, minimum.matrix, stall)
        evaluations, gained = evaluations + again.evaluations, minimum.value - again.value
        minimum = again if gained > 0 else minimum
    return replace(minimum, evaluations=evaluations, promised=SEARCH.doubt)


def _once(goal: Objective, point: Array, matrix: Array | None, stall: float) -> Minimum:
    """Steps until the last ones have gained nothing."""
    best, least, damping, values = point, np.inf, 1e-2, list[float]()
    for _ in range(40):
        sweep, value = swept(goal, point, matrix)
        matrix = sweep.matrix
        if sweep.value < least:
            best, least = sweep.point, sweep.value
        values.append(value)
        if len(values) > SEARCH.last_sweeps and values[-1 - SEARCH.last_sweeps] - values[-1] < stall:
            break
        dampings = damping * 10.0 ** np.arange(SEARCH.trials)
        scale = np.diag(np.maximum(np.diag(matrix), SEARCH.flat))
        steps = [bounded_step(matrix + share * scale, sweep.slopes, point) for share in dampings]
        trials = goal.on_grid(point + np.array(steps))
        reached = goal(trials)
        place = int(reached.argmin())
        if not reached[place] < value:
            break
        damping = max(dampings[place] / 10, 1e-7)
        point = trials[place]
        if reached[place] < least:
            best, least = point, float(reached[place])
    return replace(sweep, point=best, value=least, evaluations=len(values))


def around(goal: Objective, point: Array) -> Minimum:
    """The objective about a minimum, over distances that suit it.

    Parameters
    ----------
    point : (n_free,), of the box: from 0 to 1

    Returns
    -------
    Minimum
        As of :func:`swept`.
    """
    sweep, _ = swept(goal, point)
    # three turns: distances that suit the curvature that they show
    for _ in range(3):
        sweep, _ = swept(goal, point, sweep.matrix)
    return sweep


def over_jumps(goal: Objective, point: Array) -> Array:
    """Distances over which the objective rises by a half about a minimum.

    Parameters
    ----------
    point : (n_free,), of the box: from 0 to 1

    Returns
    -------
    (n_free,)
        Of each parameter, as share of its search range.
    """
    return np.clip(1 / np.sqrt(np.maximum(np.diag(around(goal, point).matrix), SEARCH.flat)), 0.0, SEARCH.most_probe)


def drawn_about(goal: Objective, theta: Array, n: int, rng: np.random.Generator, spread: float = 0.5) -> Array:
    """Points about a minimum, where walkers begin, what is held drawn from its prior.

    Parameters
    ----------
    theta : (k,)
        The minimum.
    spread : float
        In standard deviations.

    Returns
    -------
    (n, k)
        Full vectors.
    """
    point = goal.box(theta)
    directions = even_directions(around(goal, point).matrix)
    away = spread * rng.standard_normal((n, len(point))) @ directions
    values = goal.theta(np.clip(point + away, SEARCH.first_probe, 1 - SEARCH.first_probe))
    held = np.setdiff1d(np.arange(len(theta)), goal.free)
    space = goal.density.space
    values[:, held] = space.from_unit(rng.random((n, len(space))))[:, held]
    return values


def swept(goal: Objective, point: Array, matrix: Array | None = None) -> tuple[Minimum, float]:
    """The objective about a point, over the distances that a curvature suggests.

    Parameters
    ----------
    point : (n_free,), of the box: from 0 to 1
    matrix : (n_free, n_free), optional
        The curvature. None: the distances are ``SEARCH.first_probe``.

    Returns
    -------
    Minimum, float
        The best of the places that were run, with slopes and curvature about the point; and the objective at the point.
    """
    density = goal.density
    moving = _moving(goal)
    m = len(moving)
    probes = SEARCH.first_probe * np.eye(m) if matrix is None else even_directions(matrix[np.ix_(moving, moving)])
    points = np.repeat(point[None, :], 2 * m + 1, axis=0)
    points[1 : m + 1, moving] += probes
    points[m + 1 :, moving] -= probes
    points = goal.on_grid(points)
    theta = goal.theta(points)
    quantities = density.quantities(theta)
    logs, by_quantity, by_theta = of_values(density, quantities, theta)
    values = -logs - goal.log_prior(theta)
    usable = np.asarray(np.isfinite(quantities).all(axis=1) & (values < IMPOSSIBLE))
    pairs = usable[1 : m + 1] & usable[m + 1 :]
    apart = points[1 : m + 1, moving] - points[m + 1 :, moving]

    def slopes_of(numbers: Array) -> Array:
        """By the moving columns ``(m, …)`` of numbers at all places."""
        # along a direction of which one side is impossible there is none
        differences = np.where(pairs[:, None], numbers[1 : m + 1] - numbers[m + 1 :], 0.0)
        return solved_rows(apart, differences)

    by_moving = slopes_of(quantities)
    direct_slopes, direct_curvature = _direct(goal, point, quantities[0], by_theta[0])
    slopes, curvature = direct_slopes, np.diag(direct_curvature)
    slopes[moving] -= times(by_moving, by_quantity[0])
    bends = _bends(goal, quantities[0], by_quantity[0], theta[0])
    curvature[np.ix_(moving, moving)] += np.array([times(by_moving, row) for row in by_moving * bends])
    if goal.pull is not None:
        gaps = goal.pull.gap(theta)
        values = values + gaps**2 / 2
        by_point = np.zeros(len(point))
        if isinstance(goal.pull.quantity, InRange):
            by_point = goal.pull.at(goal, point)[1]
        else:
            by_point[moving] = slopes_of(gaps[:, None])[:, 0]
        slopes, curvature = slopes + gaps[0] * by_point, curvature + np.outer(by_point, by_point)
    values = np.where(values < IMPOSSIBLE, values, IMPOSSIBLE)
    place = int(values.argmin())
    return Minimum(points[place], float(values[place]), slopes, curvature, True, 1), float(values[0])


def even_directions(matrix: Array) -> Array:
    """Directions that are independent under a curvature, each as long as makes for a rise of a half.

    Parameters
    ----------
    matrix : (m, m)

    Returns
    -------
    (m, m)
        A direction in each row.
    """
    scale = np.sqrt(np.maximum(np.diag(matrix), SEARCH.flat))
    values, vectors = principal_axes(matrix / np.outer(scale, scale))
    probes = (vectors / np.sqrt(np.maximum(values, 1e-8))).T / scale
    return np.asarray(probes * np.minimum(1.0, SEARCH.most_probe / np.abs(probes).max(axis=1))[:, None])


def _bends(goal: Objective, quantities: Array, slopes: Array, theta: Array) -> Array:
    """How the density bends by each quantity ``(n_quantities,)``, by itself or by its logarithm, whichever is more.

    The one is what a normal density expects, the other a count's or a lognormal one's; neither is negative.
    """
    share = 1e-4 * np.abs(quantities)
    beside = np.stack([quantities + share, quantities - share])
    _, ends, _ = of_values(goal.density, beside, np.stack([theta, theta]))
    with np.errstate(divide="ignore", invalid="ignore"):
        bend = -(ends[0] - ends[1]) / (2 * share)
        total = bend + np.maximum(-slopes / quantities, 0.0)
    return np.where(np.isfinite(total), np.maximum(total, 0.0), 0.0)


def _direct(goal: Objective, point: Array, quantities: Array, by_theta: Array) -> tuple[Array, Array]:
    """Slopes and curvatures ``(n_free,)`` of what parameters do beside moving quantities: priors, and spreads."""
    n, space, step = len(point), goal.space, 1e-4
    centre = np.clip(point, step, 1 - step)
    near = np.vstack([centre - step * np.eye(n), centre + step * np.eye(n)])
    theta = goal.theta(np.vstack([near, centre]))
    values = space.from_box(np.vstack([near, centre]))
    by_box = np.exp(space.log_slopes(values)) * space.widths
    _, _, ends = of_values(goal.density, np.repeat(quantities[None, :], 2 * n, axis=0), theta[:-1])
    at_ends = ends[:, goal.free] * by_box[:-1]
    rows = np.arange(n)
    bends = -(at_ends[n + rows, rows] - at_ends[rows, rows]) / (2 * step)
    counts = goal.prior_weight * goal.with_prior[goal.free]
    priors = space.log_priors(values) + space.log_slopes(values)
    low, high = priors[rows, rows], priors[n + rows, rows]
    slopes = -by_theta[goal.free] * by_box[-1] - counts * (high - low) / (2 * step)
    prior_bends = -counts * (low + high - 2 * priors[-1]) / step**2
    return slopes, np.maximum(bends, 0.0) + np.maximum(prior_bends, 0.0)


def is_rough(goal: Objective, point: Array) -> bool:
    """Whether the objective jumps near a point along several parameters.

    Parameters
    ----------
    point : (n_free,), of the box: from 0 to 1
    """
    moving = _moving(goal)
    return len(moving) >= SEARCH.along and int((jumps(goal, point, moving) > 0.01).sum()) >= SEARCH.along


def _moving(goal: Objective) -> NDArray[np.intp]:
    """Columns of the box of what may move an expected number, which a spread does not."""
    spreads = {term.noise.spread for term in goal.density.problem.terms}
    return np.array([i for i, name in enumerate(goal.space.names) if name not in spreads], dtype=np.intp)


def jumps(goal: Objective, point: Array, columns: NDArray[np.intp] | None = None) -> Array:
    """The largest jump near a point along parameters: what is left of a change after 34 halvings.

    Parameters
    ----------
    point : (n_free,), of the box: from 0 to 1
    columns : (m,), optional
        Of the box; all without it.

    Returns
    -------
    (m,)
    """
    columns = np.arange(len(point)) if columns is None else columns
    n, rows, at = len(point), np.arange(len(columns)), point[columns, None]

    def along(places: Array) -> Array:
        """The objective with each parameter at some places ``(m, n_places)``."""
        points = np.repeat(point[None, :], places.size, axis=0).reshape(*places.shape, n)
        points[rows, :, columns] = places
        return goal(points.reshape(-1, n)).reshape(places.shape)

    # a wider window takes jumps for near that no search meets, a narrower one misses those that are far apart; 34
    # halvings leave next to nothing of what changes little by little
    value, widths = float(goal(point[None, :])[0]), np.full(len(columns), 0.02)
    for _ in range(34):
        ends = along(np.clip(at + widths[:, None] * [-1.0, 1.0], 0.0, 1.0))
        far = np.abs(ends - value).max(axis=1) > 2.0
        if not far.any():
            break
        widths = np.where(far, widths / 3, widths)
    places = np.clip(at + widths[:, None] * np.linspace(-1.0, 1.0, 33), 0.0, 1.0)
    values = along(places)
    steepest = np.abs(np.diff(values, axis=1)).argmax(axis=1)
    low, high = places[rows, steepest], places[rows, steepest + 1]
    below, above = values[rows, steepest], values[rows, steepest + 1]
    for _ in range(34):
        middle = (low + high) / 2
        between = along(middle[:, None])[:, 0]
        first = np.abs(between - below) >= np.abs(above - between)
        low, high = np.where(first, low, middle), np.where(first, middle, high)
        below, above = np.where(first, below, between), np.where(first, between, above)
    return np.asarray(np.abs(above - below))


def stepwise_parameters(goal: Objective, points: Array) -> tuple[str, ...]:
    """Free parameters of which the objective is a step function: no small move changes it, a large one does.

    Parameters
    ----------
    points : (n, n_free), of the box: from 0 to 1
        Where it is looked for, at the first sixteen; at more than three in four of them a small move
        has to change no bit of the likelihood.
    """
    n, columns, goal = len(goal.free), _moving(goal), replace(goal, prior_weight=0.0)
    if not len(columns):
        return ()
    step = 1e-6
    points = np.clip(points[:16], step, 1 - step)
    steps = step * np.eye(n)[columns]
    moved = points[:, None, None, :] + np.stack([steps, -steps])
    values, beside = goal(points), goal(moved.reshape(-1, n)).reshape(len(points), 2, len(columns))
    still = (beside == values[:, None, None]).all(axis=1).mean(axis=0) > 0.75
    return tuple(goal.space.names[i] for i in columns[still] if _jumps(goal, points[:4], int(i)))


def _jumps(goal: Objective, points: Array, position: int) -> bool:
    """Whether the largest change of the objective along one parameter happens at once, and not little by little."""

    def along(point: Array, places: Array) -> Array:
        line = np.repeat(point[None, :], len(places), axis=0)
        line[:, position] = places
        return goal(line)

    for point in points:
        places = np.linspace(0, 1, 41)
        values = along(point, places)
        changes = np.abs(np.diff(values))
        change = float(changes.max())
        if not change > 0:
            continue
        where = int(changes.argmax())
        low, high = places[where], places[where + 1]
        for _ in range(50):
            ends = along(point, np.array([low, (low + high) / 2, high]))
            first = abs(ends[1] - ends[0]) >= abs(ends[2] - ends[1])
            low, high = (low, (low + high) / 2) if first else ((low + high) / 2, high)
            change = float(max(abs(ends[1] - ends[0]), abs(ends[2] - ends[1])))
        # fifty halvings leave next to nothing of what changes little by little
        return change > 1e-6 * float(changes.max())
    return False
