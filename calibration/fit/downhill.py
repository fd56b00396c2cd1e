"""From a point to the minimum that lies downhill of it: the one local search of optima, scans and profiles."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from calibration.fit.box_search import Minimum, minimising
from calibration.fit.in_step import Search, run
from calibration.fit.least_squares import polished
from calibration.fit.objective import IMPOSSIBLE, Objective
from cipark_sd.arrays import Array


def neared(goal: Objective, point: Array, *, most: int = 300, fall: float = 1e-6) -> tuple[Array, int]:
    """Where L-BFGS-B ends from ``point : (n_free,)``, and its evaluations; ``fall`` is the relative one that ends it.

    It is cheap far from a minimum. The gradient in units of the box says nothing of how near that is.
    """
    from scipy import optimize

    result = optimize.minimize(
        goal.with_gradient,
        np.clip(point, 0.0, 1.0),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, 1.0)] * len(point),
        options={"maxiter": most, "ftol": fall, "gtol": 1e-9},
    )
    return np.asarray(result.x), int(result.nfev)


def settling(goal: Objective, start: Array, *, tolerance: float, stall: float | None = None) -> Search[Minimum]:
    """The minimum beside ``start : (n_free,)``, to a promised fall of ``tolerance``.

    By least squares where all noise is normal or lognormal; else, and where these have stuck, by a search that is
    scaled with the curvature, ``stall`` being as of :func:`calibration.fit.box_search.descending`.
    """
    minimum = polished(goal, start, tolerance=tolerance)
    if minimum is not None and minimum.converged:
        return minimum
    point = start if minimum is None else minimum.point
    second = yield from minimising(goal, point, tolerance=tolerance, stall=stall)
    return second if minimum is None else replace(second, evaluations=second.evaluations + minimum.evaluations)


def settled(goal: Objective, start: Array, *, tolerance: float) -> Minimum:
    """What :func:`settling` finds."""
    return run(settling(goal, start, tolerance=tolerance), goal.density)


def beneath(goal: Objective, point: Array, *, tolerance: float) -> Minimum:
    """The minimum downhill of any possible ``point : (n_free,)``."""
    minimum = polished(goal, point, tolerance=tolerance)
    if minimum is not None and minimum.converged:
        return minimum
    near, evaluations = neared(goal, point)
    minimum = settled(goal, near, tolerance=tolerance)
    return replace(minimum, evaluations=minimum.evaluations + evaluations)


#: Places of a scan, steps of the search at each, rounds of closing in, and places of each round.
PLACES, EACH, ROUNDS, CLOSER = 24, 20, 16, 9
#: Scans of all step parameters in turn.
TURNS = 3


def scanned(goal: Objective, point: Array, columns: NDArray[np.intp]) -> tuple[Array, int]:
    """The best point ``(n_free,)`` over places of parameters of which the objective is a step function.

    Each of ``columns`` is scanned in turn; at each place the others are searched, from where the neighbour ended, and
    then the scan closes in on the best place.
    """
    best, value, evaluations = point, float(goal(point[None, :])[0]), 1
    for _ in range(TURNS):
        before = value
        for column in columns.tolist():
            scan = _Scan(goal, column, columns)
            best, value = scan.closed_in(*scan.along(best))
            evaluations += scan.evaluations
        if len(columns) == 1 or not value < before - 1e-6:
            break
    return best, evaluations


class _Scan:
    """A scan of one column with the others searched; ``stepwise`` columns beside it stay."""

    def __init__(self, goal: Objective, column: int, stepwise: NDArray[np.intp]) -> None:
        self.goal, self.column, self.evaluations = goal, column, 0
        self.nuisance = np.setdiff1d(np.arange(len(goal.free)), stepwise)

    def solve(self, point: Array, at: float) -> tuple[Array, float]:
        """The others searched from a point, with the column at a place."""
        point = point.copy()
        point[self.column] = at
        if len(self.nuisance):
            inner = replace(self.goal, base=self.goal.theta(point[None, :])[0], free=self.goal.free[self.nuisance])
            point[self.nuisance], evaluations = neared(inner, point[self.nuisance], most=EACH)
            self.evaluations += evaluations
        return point, float(self.goal(point[None, :])[0])

    def along(self, point: Array) -> tuple[dict[float, tuple[Array, float]], float]:
        """All places with where their searches ended, and the best place."""
        first = float(point[self.column])
        minimum = {first: self.solve(point, first)}
        grid = (np.arange(PLACES) + 0.5) / PLACES
        for places in (grid[grid > first], grid[grid < first][::-1]):
            latest = minimum[first][0]
            for at in places.tolist():
                minimum[at] = self.solve(latest, at)
                # from where the model is possible
                latest = minimum[at][0] if minimum[at][1] < IMPOSSIBLE else latest
        return minimum, min(minimum, key=lambda at: minimum[at][1])

    def closed_in(self, minimum: dict[float, tuple[Array, float]], at: float) -> tuple[Array, float]:
        """The best point between the neighbours of the best place."""
        places = sorted({0.0, *minimum, 1.0})
        where = places.index(at)
        low, high = places[max(where - 1, 0)], places[min(where + 1, len(places) - 1)]
        best, value = minimum[at]
        for _ in range(ROUNDS):
            around = np.repeat(best[None, :], CLOSER, axis=0)
            around[:, self.column] = np.linspace(low, high, CLOSER + 2)[1:-1]
            values = self.goal(around)
            self.evaluations += 1
            if float(np.ptp(np.append(values, value))) == 0.0:
                break
            place = int(values.argmin())
            trial, there = self.solve(best, float(around[place, self.column]))
            if there < value:
                best, value = trial, there
            width = (high - low) / (CLOSER + 1)
            low, high = max(low, best[self.column] - width), min(high, best[self.column] + width)
        return self._amid(best), value

    def _amid(self, point: Array) -> Array:
        """The point in the middle of the step that it lies on, where no prior prefers a part of it."""
        goal, column = self.goal, self.column
        if goal.with_prior[goal.free[column]] and goal.prior_weight:
            return point
        value, ends = goal(point[None, :])[0], []
        for outside in (0.0, 1.0):
            inside = float(point[column])
            for _ in range(40):
                trial = point.copy()
                trial[column] = (inside + outside) / 2
                unchanged = goal(trial[None, :])[0] == value
                inside, outside = (trial[column], outside) if unchanged else (inside, trial[column])
            ends.append(inside)
        point = point.copy()
        point[column] = sum(ends) / 2
        return point
