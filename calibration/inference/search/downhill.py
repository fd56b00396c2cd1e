"""From a point to the minimum that lies downhill of it: the one local search of optima, scans and profiles."""

import math
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from calibration.inference.search.box_search import Minimum, minimising
from calibration.inference.search.least_squares import polished
from calibration.inference.search.objective import IMPOSSIBLE, Objective, Search, T, ask, gather
from calibration.inference.search.scoring import scored
from calibration.inference.search.tuning import SEARCH
from calibration.inference.small_algebra import dot, two_loops
from cipark_sd.base.arrays import Array


class Spent(Exception):
    """A search has asked for as many points as it may."""


@dataclass
class Allowance:
    """How often something may still be done, by one or several searches together."""

    left: int


def within(search: Search[T], allowance: Allowance) -> Search[T]:
    """The search, in which :class:`Spent` is raised once its allowance is used up.

    Parameters
    ----------
    allowance : Allowance
        Of points that it may still ask for.
    """
    try:
        requests = next(search)
        while True:
            allowance.left -= len(requests)
            requests = search.throw(Spent()) if allowance.left < 0 else search.send((yield requests))
    except StopIteration as end:
        return cast("T", end.value)
    finally:
        search.close()


def nearing(goal: Objective, start: Array, *, most: int = 300, fall: float = 1e-6) -> Search[Minimum]:
    """Where L-BFGS steps, cut at the box, end.

    They are cheap far from a minimum. The gradient in units of the box says nothing of how near that is.

    Parameters
    ----------
    start : (n_free,), of the box: from 0 to 1
    most : int
        Steps at most.
    fall : float
        The relative fall of the objective that ends them.

    Returns
    -------
    Search
        Of a Minimum that has not converged, without a curvature.
    """
    point = goal.on_grid(start)
    value, slopes = yield from ask(goal, point)
    evaluations, changes = 1, list[tuple[Array, Array, Array]]()
    for _ in range(most):
        # a bound holds what would go beyond it
        held = ((point <= 0) & (slopes > 0)) | ((point >= 1) & (slopes < 0))
        inside = np.where(held, 0.0, slopes)
        step = _direction(inside, changes, held)
        if not dot(step, inside) < 0:
            changes.clear()
            step = _direction(inside, changes, held)
        share, reached = 1.0, False
        while not reached and share > 1e-8:
            trial = goal.on_grid(point + share * step)
            there, slopes_there = yield from ask(goal, trial)
            evaluations += 1
            promised = -dot(slopes, trial - point)
            reached = there < value and there <= value - 1e-4 * promised
            curve = there - value + promised
            if not reached:
                share *= float(np.clip(promised / (2 * curve), 0.1, 0.5)) if there < IMPOSSIBLE and curve > 0 else 0.1
        if not reached:
            break
        move, turn = trial - point, slopes_there - slopes
        if dot(move, turn) > 1e-10 * math.sqrt(dot(move, move) * dot(turn, turn)):
            changes = [(move, turn, np.array(1 / dot(move, turn))), *changes[: 20 - 1]]
        gained = value - there
        point, value, slopes = trial, there, slopes_there
        if gained < fall * max(1.0, abs(value)):
            break
    return Minimum(point, value, slopes, np.empty((0, 0)), False, evaluations)


def _direction(slopes: Array, changes: list[tuple[Array, Array, Array]], held: NDArray[np.bool_]) -> Array:
    """The step ``(n,)`` that the last changes of points and slopes tell, 0 where a bound holds."""
    if not changes:
        # the first step is no longer than a tenth of a search range
        return -slopes * (0.1 / max(0.1, float(np.abs(slopes).max(initial=0.0))))
    move, turn, _ = changes[0]
    step = two_loops(-slopes, changes, lambda step: step * (dot(move, turn) / dot(turn, turn)))
    return np.where(held, 0.0, step)


def settling(
    goal: Objective, start: Array, *, tolerance: float, stall: float | None = None, kinks: Allowance | None = None
) -> Search[Minimum]:
    """The minimum beside a point.

    By least squares where all noise is normal or lognormal; else, and where these have stuck, by a search that is
    scaled with the curvature. Where the objective jumps, by steps over its jumps.

    Parameters
    ----------
    start : (n_free,), of the box: from 0 to 1
    tolerance, stall : float
        As of :func:`calibration.inference.search.box_search.descending`; without a stall it is the tolerance, and
        ``SEARCH.stall_over_jumps`` where the objective jumps.
    kinks : Allowance, optional
        How often least squares may still stick, in all searches that share it, before they are left out. None: always.

    Returns
    -------
    Search
        Of the Minimum.
    """
    if goal.rough:
        return scored(goal, start, stall=SEARCH.stall_over_jumps if stall is None else stall)
    minimum = None
    if kinks is None or kinks.left > 0:
        minimum = polished(goal, start, tolerance=tolerance)
    if minimum is not None and minimum.converged:
        return minimum
    if kinks is not None and minimum is not None:
        kinks.left -= 1
    point = start if minimum is None else minimum.point
    second = yield from minimising(goal, point, tolerance=tolerance, stall=tolerance if stall is None else stall)
    return second if minimum is None else replace(second, evaluations=second.evaluations + minimum.evaluations)


def going_down(goal: Objective, point: Array, *, tolerance: float) -> Search[Minimum]:
    """The minimum downhill of any possible point, near or far.

    Parameters
    ----------
    point : (n_free,), of the box: from 0 to 1
    tolerance : float
        The fall of the objective that may be left.

    Returns
    -------
    Search
        Of the Minimum.
    """
    if goal.rough:
        return (yield from settling(goal, point, tolerance=tolerance))
    minimum = polished(goal, point, tolerance=tolerance)
    if minimum is not None and minimum.converged:
        return minimum
    near = yield from nearing(goal, point)
    minimum = yield from settling(goal, near.point, tolerance=tolerance)
    return replace(minimum, evaluations=minimum.evaluations + near.evaluations)


def scanning(goal: Objective, point: Array, columns: NDArray[np.intp]) -> Search[tuple[Array, int]]:
    """The best over places of parameters of which the objective is a step function.

    Each is scanned in turn; at each place the others are searched, from where the neighbour ended, and then the scan
    closes in on the best place.

    Parameters
    ----------
    point : (n_free,), of the box: from 0 to 1
    columns : (m,)
        Of the box, those that are scanned.

    Returns
    -------
    Search
        Of the best point ``(n_free,)`` and the evaluations that it took.
    """
    best, value, evaluations = point, float(goal(point[None, :])[0]), 1
    # all step parameters in turn
    for _ in range(3):
        before = value
        for column in columns.tolist():
            scan = _Scan(goal, column, columns)
            minimum, at = yield from scan.along(best)
            best, value = yield from scan.closed_in(minimum, at)
            evaluations += scan.evaluations
        if len(columns) == 1 or not value < before - 1e-6:
            break
    return best, evaluations


class _Scan:
    """A scan of one column with the others searched; ``stepwise`` columns beside it stay."""

    def __init__(self, goal: Objective, column: int, stepwise: NDArray[np.intp]) -> None:
        self.goal, self.column, self.evaluations = goal, column, 0
        self.nuisance = np.setdiff1d(np.arange(len(goal.free)), stepwise)

    def solve(self, point: Array, at: float) -> Search[tuple[Array, float]]:
        """The others searched from a point, with the column at a place."""
        point = point.copy()
        point[self.column] = at
        if len(self.nuisance):
            inner = replace(self.goal, base=self.goal.theta(point[None, :])[0], free=self.goal.free[self.nuisance])
            near = yield from nearing(inner, point[self.nuisance], most=SEARCH.scan_steps)
            point[self.nuisance] = near.point
            self.evaluations += near.evaluations
        return point, float(self.goal(point[None, :])[0])

    def along(self, point: Array) -> Search[tuple[dict[float, tuple[Array, float]], float]]:
        """All places with where their searches ended, and the best place."""
        first = float(point[self.column])
        amid = yield from self.solve(point, first)
        grid = (np.arange(SEARCH.scan_places) + 0.5) / SEARCH.scan_places
        ways = (grid[grid > first], grid[grid < first][::-1])
        ahead, behind = yield from gather([self._one_way(amid[0], places) for places in ways])
        minimum = {first: amid} | ahead | behind
        return minimum, min(minimum, key=lambda at: minimum[at][1])

    def _one_way(self, latest: Array, places: Array) -> Search[dict[float, tuple[Array, float]]]:
        """The same of places on one side, each from where its neighbour's search ended."""
        minimum = dict[float, tuple[Array, float]]()
        for at in places.tolist():
            minimum[at] = yield from self.solve(latest, at)
            # from where the model is possible
            latest = minimum[at][0] if minimum[at][1] < IMPOSSIBLE else latest
        return minimum

    def closed_in(self, minimum: dict[float, tuple[Array, float]], at: float) -> Search[tuple[Array, float]]:
        """The best point between the neighbours of the best place."""
        places = sorted({0.0, *minimum, 1.0})
        where = places.index(at)
        low, high = places[max(where - 1, 0)], places[min(where + 1, len(places) - 1)]
        best, value = minimum[at]
        # each round leaves a fifth: the last one is at rounding
        for _ in range(16):
            around = np.repeat(best[None, :], 9, axis=0)
            around[:, self.column] = np.linspace(low, high, 11)[1:-1]
            values = self.goal(around)
            self.evaluations += 1
            if float(np.ptp(np.append(values, value))) == 0.0:
                break
            place = int(values.argmin())
            trial, there = yield from self.solve(best, float(around[place, self.column]))
            if there < value:
                best, value = trial, there
            width = (high - low) / 10
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
