"""Multi-start optimisation: many local searches from points spread over the priors, and what each of them reached.

A local search is L-BFGS-B, which is cheap far from the optimum, and then a search scaled by the curvature, which is
exact near it whatever the width of the bounds. Where the likelihood is a step function of a parameter, such as a date
at which something switches, no local search moves that parameter: each search is then a global one of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from calibration.fit.box_search import minimise
from calibration.fit.objective import IMPOSSIBLE, Objective, check_least_squares, objective
from calibration.fit.shared_goal import SharedGoal
from calibration.likelihood.posterior import Posterior
from calibration.study.sections import Optimiser
from cipark_sd.arrays import Array
from cipark_sd.checkpoints import NOT_KEPT, Checkpoints
from cipark_sd.errors import CiparkError
from cipark_sd.tasks.pool import Pool
from cipark_sd.tasks.records import RecordTask, records

#: Share of the prior left out at either end when starts are drawn: a search from a far tail is time lost.
START_TAIL = 0.02
#: A search counts as arrived when its log density is within this of the best one.
ARRIVED = 0.1
#: The fall of the log density that a search may leave.
TOLERANCE = 1e-10
#: Global searches at most where local ones cannot move a parameter: each costs as much as many of those.
MOST_GLOBAL = 8
#: Half the distance at which a step function is looked for, and at how many starts.
STEPWISE_STEP, STEPWISE_POINTS = 1e-6, 16

Progress = Callable[[int, int, float], None]


class NothingFits(CiparkError):
    """No start has a density above zero."""

    def __init__(self, where: str, tried: int) -> None:
        super().__init__(
            f"{where}: at none of {tried} points drawn from the priors are the data possible; look at the fitted table "
            "of a plain run: a count whose model mean is zero or negative cannot have happened"
        )


@dataclass(frozen=True, eq=False)
class Search:
    """One local search.

    ``log_density`` is that of the objective at the end, ``first`` at the start; ``theta`` and ``start`` are full
    vectors.
    """

    start: Array
    theta: Array
    first: float
    log_density: float
    evaluations: int
    converged: bool
    message: str


@dataclass(frozen=True, eq=False)
class Reached:
    """What all searches reached.

    ``searches`` ascend with the objective, best first; ``interrupted`` when the user stopped before all were done.
    """

    theta: Array
    log_density: float
    log_likelihood: float
    searches: tuple[Search, ...]
    interrupted: bool

    @property
    def waterfall(self) -> Array:
        """How far each search ended below the best one in log density, ascending ``(n_searches,)``."""
        return np.array([self.log_density - search.log_density for search in self.searches])

    @property
    def n_arrived(self) -> int:
        """Searches that ended within :data:`ARRIVED` of the best."""
        return int((self.waterfall <= ARRIVED).sum())


@dataclass(frozen=True, eq=False)
class Optimum(Reached):
    """The best of all searches, with the objective that they searched.

    ``stepwise`` names the free parameters of which the objective is a step function.
    """

    goal: Objective
    stepwise: tuple[str, ...] = ()

    @property
    def at_bound(self) -> tuple[str, ...]:
        """Free parameters that ended at an end of their range."""
        box = self.goal.box(self.theta)
        return tuple(name for name, x in zip(self.goal.space.names, box, strict=True) if x < 1e-6 or x > 1 - 1e-6)


def optimise(
    density: Posterior,
    *,
    starts: int,
    rng: np.random.Generator,
    estimate: str = "map",
    optimiser: Optimiser = "l-bfgs-b",
    checkpoints: Checkpoints = NOT_KEPT,
    pool: Pool | None = None,
    on_progress: Progress | None = None,
) -> Optimum:
    """The maximum of the posterior (``map``) or of the likelihood within bounds (``ml``).

    The first start is the prior medians or what the study says instead, the others a Latin hypercube in the unit cube
    of the priors. The searches depend on ``rng`` only. The density of a prior is taken on the parameter's scale.
    Searches that are done are kept in ``checkpoints``, whose base tells apart all that they depend on, ``rng`` and
    ``starts`` included. Without a ``pool`` all are done in this process.

    Raises
    ------
    NothingFits
        When the data are impossible at every start.
    InvalidValue
        When least squares are asked for and the objective is no sum of squares.
    KeyboardInterrupt
        When the user stops before the first search is done; later, what is done is returned.
    """
    return maximise(
        objective(density, estimate=estimate),
        starts=starts,
        rng=rng,
        optimiser=optimiser,
        checkpoints=checkpoints,
        pool=pool,
        on_progress=on_progress,
    )


def maximise(
    goal: Objective,
    *,
    starts: int,
    rng: np.random.Generator,
    optimiser: Optimiser = "l-bfgs-b",
    checkpoints: Checkpoints = NOT_KEPT,
    pool: Pool | None = None,
    on_progress: Progress | None = None,
) -> Optimum:
    """The maximum of any objective; arguments and errors as of :func:`optimise`."""
    if optimiser == "least-squares":
        check_least_squares(goal)
    points = _starts(goal, starts, rng)
    stepwise = stepwise_parameters(goal, points)
    if stepwise:
        points = points[:MOST_GLOBAL]
    n_global = len(points) if stepwise else int(optimiser == "differential-evolution")
    streams = [*rng.spawn(n_global), *[None] * (len(points) - n_global)]
    shared = SharedGoal.of(goal)
    tasks = [
        RecordTask(SearchFrom(shared, point, optimiser, stream), "search", (number,))
        for number, (point, stream) in enumerate(zip(points, streams, strict=True), start=1)
    ]
    best_so_far = -np.inf

    def tell(n_done: int, search: Search) -> None:
        nonlocal best_so_far
        best_so_far = max(best_so_far, search.log_density)
        if on_progress is not None:
            on_progress(n_done, len(points), best_so_far)

    ended, interrupted = records(Search, tasks, checkpoints, pool, tell)
    searches = [search for search in ended if search is not None]
    if not searches:
        raise KeyboardInterrupt
    searches.sort(key=lambda search: -search.log_density)
    best = searches[0]
    likelihood = float(goal.density.log_likelihood(best.theta[None, :])[0])
    return Optimum(best.theta, best.log_density, likelihood, tuple(searches), interrupted, goal, stepwise)


@dataclass(frozen=True, eq=False)
class SearchFrom:
    """A search from ``point : (n_free,)`` of the box, or with a ``stream`` a global one and then a local one."""

    shared: SharedGoal
    point: Array
    optimiser: Optimiser
    stream: np.random.Generator | None = None

    def __call__(self) -> Search:
        """The search."""
        goal = self.shared.goal
        start = self.point if self.stream is None else _global_search(goal, self.stream)
        return local_search(goal, start, self.optimiser)


def _starts(goal: Objective, n: int, rng: np.random.Generator) -> Array:
    """``(n, n_free)`` points of the box at which the data are possible, fewer where most are not."""
    from scipy.stats import qmc

    tried = 4 * n
    shares = START_TAIL + (1 - 2 * START_TAIL) * qmc.LatinHypercube(len(goal.free), rng=rng).random(tried)
    drawn = np.clip(goal.space.to_box(goal.space.from_unit(shares)), 0.0, 1.0)
    points = np.vstack([goal.box(goal.base)[None, :], drawn])
    # in blocks, since most problems need no more than the first
    possible: list[Array] = []
    for block in np.array_split(points, 4):
        possible.extend(block[goal(block) < IMPOSSIBLE])
        if len(possible) >= n:
            break
    if not possible:
        raise NothingFits(goal.density.problem.title, len(points))
    return np.array(possible[:n])


def stepwise_parameters(goal: Objective, points: Array) -> tuple[str, ...]:
    """Free parameters of which the objective is a step function: no small move changes it, a large one does.

    Looked for at ``points : (n, n_free)`` of the box; at most of them a small move has to change no bit.
    """
    n = len(goal.free)
    points = np.clip(points[:STEPWISE_POINTS], STEPWISE_STEP, 1 - STEPWISE_STEP)
    steps = STEPWISE_STEP * np.eye(n)
    moved = points[:, None, None, :] + np.stack([steps, -steps])
    values, beside = goal(points), goal(moved.reshape(-1, n)).reshape(len(points), 2, n)
    still = (beside == values[:, None, None]).all(axis=1).mean(axis=0) > 0.75
    return tuple(goal.space.names[i] for i in np.flatnonzero(still) if _jumps(goal, points[:4], int(i)))


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


def local_search(goal: Objective, point: Array, optimiser: Optimiser) -> Search:
    """One search from ``point : (n_free,)`` of the box."""
    from scipy import optimize

    first = -float(goal(point[None, :])[0])
    if optimiser == "least-squares":

        def residuals(x: Array) -> Array:
            return np.asarray(goal.residuals(x[None, :])[0])

        solution = optimize.least_squares(
            residuals,
            point,
            jac=goal.jacobian,
            bounds=(0.0, 1.0),
            ftol=1e-15,
            xtol=1e-15,
            gtol=1e-15,
            max_nfev=500,
        )
        end, evaluations, converged, message = solution.x, solution.nfev, solution.status > 0, solution.message
    else:
        result = optimize.minimize(
            goal.with_gradient,
            point,
            jac=True,
            method="L-BFGS-B",
            bounds=[(0.0, 1.0)] * len(point),
            # it only has to come near: the gradient in units of the box says nothing of how near
            options={"maxiter": 300, "ftol": 1e-6, "gtol": 1e-9},
        )
        near = minimise(goal, np.asarray(result.x), tolerance=TOLERANCE)
        end, evaluations, converged = near.point, result.nfev + near.evaluations, near.converged
        message = "no step promises a fall" if converged else "no step leads further down"
    theta = goal.theta(end[None, :])[0]
    start = goal.theta(point[None, :])[0]
    last = -float(goal(end[None, :])[0])
    runs = int(evaluations) * (2 * len(point) + 1)
    return Search(start, theta, first, last, runs, bool(converged), str(message))


def _global_search(goal: Objective, rng: np.random.Generator) -> Array:
    """Differential evolution over the box, its generations run as batches; a local search follows."""
    from scipy import optimize

    def generation(x: Array) -> Array:
        return goal(x.T)

    n = len(goal.free)
    # the stubs know the function of one point only; with vectorized=True scipy gives it (n_free, n_points)
    result = optimize.differential_evolution(
        generation,  # type: ignore[arg-type]
        optimize.Bounds(np.zeros(n), np.ones(n)),
        rng=rng,
        vectorized=True,
        updating="deferred",
        polish=False,
        maxiter=200,
        popsize=8,
        init="sobol",
        tol=0.0,
        atol=1e-3,
    )
    return np.asarray(result.x)
