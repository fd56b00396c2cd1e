"""The end of a search where all noise is normal or lognormal: Levenberg-Marquardt steps within the box.

A spread that is estimated has a closed form given the residuals, so each point is judged with the best spreads that it
allows and the steps are those of the other parameters alone (variable projection). The slopes are those of residuals:
a valley of condition 1e5 has an objective of condition 1e10, in which second differences see nothing.

Sources: Golub and Pereyra 2003, Inverse Problems 19(2), R1-R26 (parameters that are solved for); Moré 1978, Lecture
Notes in Mathematics 630, 105-116 (steps); Transtrum and Sethna 2012, arXiv:1201.5885 (steps that bend with a valley);
Fornberg 1988, Mathematics of Computation 51, 699-706 (differences of fourth order).
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from calibration.inference.search.box_search import Minimum
from calibration.inference.search.objective import Objective, fourth_order, on_grid
from calibration.inference.search.tuning import SEARCH
from calibration.inference.small_algebra import dot, least_within, singular_directions, times, triangular
from calibration.study.observations import Count, Term
from calibration.study.parameters import ParameterSpace
from cipark_sd.base.arrays import Array


def is_square(term: Term) -> TypeGuard[Count]:
    """Whether a term's log density is a square: an exact measurement with normal or lognormal noise by itself."""
    return (
        isinstance(term, Count)
        and term.lower == term.upper
        and term.noise.family.gaussian
        and term.noise.memory is None
    )


@dataclass(frozen=True, eq=False)
class Squares:
    """An objective as a sum of squares.

    Parameters
    ----------
    spreads : dict of int to (n,) int
        Columns of free spreads in the box, and places of the fitted terms that have them.
    weights, observed : (n_terms,)
        Of the terms, and what was seen.
    on_log : (n_terms,) bool
        Whether residuals are those of logarithms.
    numerators, divisors : (n_terms,) int
        The quantity that a term is, and the one that it is divided by: itself where there is none.
    noises : tuple of float or str
        The spread of each term, a number or a parameter's name.
    """

    goal: Objective
    spreads: dict[int, NDArray[np.intp]]
    weights: Array
    observed: Array
    on_log: NDArray[np.bool_]
    numerators: NDArray[np.intp]
    divisors: NDArray[np.intp]
    noises: tuple[float | str, ...]

    @staticmethod
    def of(goal: Objective) -> "Squares | None":
        """None for a payoff, and where a fitted term is no exact measurement with (log)normal noise by itself."""
        if goal.density.problem.payoff:
            return None
        rows, places = list[tuple[float, float, bool, int, int, float | str]](), dict[float | str, list[int]]()
        for term, slot in zip(goal.density.problem.terms, goal.density.slots, strict=True):
            if term.use != "fit":
                continue
            if not is_square(term):
                return None
            divisor = slot.start if term.denominator is None else slot.stop - 1
            places.setdefault(term.noise.spread, []).append(len(rows))
            rows.append((term.weight, term.lower, term.noise.family.on_log, slot.start, divisor, term.noise.spread))
        weights, observed, on_log, numerators, divisors, noises = zip(*rows, strict=True)
        columns = goal.space.positions
        spreads = {columns[str(name)]: np.array(those) for name, those in places.items() if name in columns}
        return Squares(
            goal,
            spreads,
            weights=np.array(weights),
            observed=np.array(observed),
            on_log=np.array(on_log),
            numerators=np.array(numerators),
            divisors=np.array(divisors),
            noises=noises,
        )

    @cached_property
    def moving(self) -> NDArray[np.intp]:
        """Columns of the box that are stepped."""
        return np.array([i for i in range(len(self.goal.free)) if i not in self.spreads], dtype=np.intp)

    @cached_property
    def _counted(self) -> NDArray[np.intp]:
        """Moving columns whose prior counts."""
        goal = self.goal
        return self.moving[goal.with_prior[goal.free[self.moving]] & (goal.prior_weight > 0)]

    @cached_property
    def _counted_space(self) -> ParameterSpace:
        return ParameterSpace(tuple(self.goal.space.parameters[column] for column in self._counted))

    def gaps(self, box: Array) -> Array:
        """Observed less expected numbers, of logarithms where the noise is in proportion, and the pull's gap.

        ``(n, n_terms + 1)``; not finite where the model fails.
        """
        theta = self.goal.theta(box)
        values = self.goal.density.quantities(theta)
        above, below = values[:, self.numerators], values[:, self.divisors]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            expected = np.where(self.divisors > self.numerators, above / below, above)
            gaps = np.where(self.on_log, np.log(self.observed / expected), self.observed - expected)
        pull = np.zeros(len(box)) if self.goal.pull is None else self.goal.pull.gap(theta)
        return np.column_stack([gaps, pull])

    def moved(self, point: Array, step: Array) -> tuple[Array, Array]:
        """The point after a step ``(n_moving,)`` within the box, and its gaps ``(n_terms + 1,)``."""
        trial = point.copy()
        trial[self.moving] = np.clip(point[self.moving] + step, 0.0, 1.0)
        return trial, self.gaps(trial[None, :])[0]

    def solved(self, point: Array, gaps: Array) -> Array:
        """The point ``(n_free,)`` with the spreads that suit its gaps ``(n_terms + 1,)`` best."""
        point, gaps = point.copy(), gaps[:-1]
        if self.spreads:
            with np.errstate(over="ignore"):
                squares = np.array([dot(self.weights[rows], gaps[rows] ** 2) for rows in self.spreads.values()])
            numbers = np.array([self.weights[rows].sum() for rows in self.spreads.values()])
            point[list(self.spreads)] = self._spread_space.to_box(self._best_spreads(numbers, squares))
        return np.clip(point, 0.0, 1.0)

    @cached_property
    def _spread_space(self) -> ParameterSpace:
        """The free spreads."""
        return ParameterSpace(tuple(self.goal.space.parameters[column] for column in self.spreads))

    @cached_property
    def _spread_ends(self) -> Array:
        """Logarithms of the ends of their ranges ``(2, n_spreads)``."""
        ends = np.repeat([[0.0], [1.0]], len(self._spread_space), axis=1)
        return np.log(np.maximum(self._spread_space.from_box(ends), 1e-300))

    def _best_spreads(self, n: Array, squares: Array) -> Array:
        """The spreads that suit sums of ``squares`` over ``n`` numbers best, within their ranges and with their priors.

        Newton steps for the logarithm of each spread between points on either side, and halves where they leave these.
        """
        space = self._spread_space
        weight = self.goal.prior_weight * self.goal.with_prior[self.goal.free[list(self.spreads)]]
        low, high = self._spread_ends
        at = np.clip(np.log(np.maximum(squares / n, 1e-300)) / 2, low, high)
        if not weight.any():
            return np.asarray(np.exp(at))
        low, high = np.maximum(low, at - 5), np.minimum(high, at + 5)
        before, prior_before = at, np.zeros(len(space))
        for turn in range(60):
            spread = np.exp(at)
            with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
                prior = weight * space.log_prior_slopes_scaled(spread) * spread / np.exp(space.log_slopes(spread))
                slope = n - squares / spread**2 - prior
                curved = np.where(at == before, 0.0, (prior - prior_before) / (at - before)) if turn else 0.0
                step = -slope / (2 * squares / spread**2 - curved)
            low, high = np.where(slope < 0, at, low), np.where(slope > 0, at, high)
            ahead = np.where((at + step > low) & (at + step < high), at + step, (low + high) / 2)
            before, prior_before, at = at, prior, np.where(slope == 0, at, ahead)
            if (np.abs(at - before) <= 1e-12).all():
                break
        return np.asarray(np.exp(at))

    def cost(self, point: Array, gaps: Array) -> float:
        """The objective, up to what no parameter changes."""
        theta = self.goal.theta(point[None, :])
        sds = self.sds(theta[0])
        spreads = dot(self.weights, np.log(sds[:-1]))
        with np.errstate(over="ignore"):
            return float(((gaps / sds) ** 2).sum() / 2) + spreads - float(self.goal.log_prior(theta)[0])

    def sds(self, theta: Array) -> Array:
        """Spread of each term at ``theta : (k,)``, over the root of its weight; 1 for the pull ``(n_terms + 1,)``."""
        spreads = np.where(self._positions >= 0, theta[self._positions], self._constants)
        return np.append(spreads / np.sqrt(self.weights), 1.0)

    @cached_property
    def _constants(self) -> Array:
        """Spreads of the terms that are numbers ``(n_terms,)``, NaN for the others."""
        return np.array([np.nan if isinstance(noise, str) else noise for noise in self.noises])

    @cached_property
    def _positions(self) -> NDArray[np.intp]:
        """Positions of the spreads that are parameters ``(n_terms,)``, -1 for the others."""
        positions = self.goal.density.space.positions
        return np.array([positions[noise] if isinstance(noise, str) else -1 for noise in self.noises], dtype=np.intp)

    def slopes(self, point: Array, steps: Array) -> Array:
        """Of the gaps by the moving columns ``(n_terms + 1, n_moving)``, by differences of fourth order."""
        return fourth_order(self.gaps, point, self.moving, steps)

    def prior_rows(self, point: Array) -> tuple[Array, Array]:
        """Priors as residuals: their slopes ``(n_rows, n_moving)`` and values ``(n_rows,)`` at a point."""
        slopes, values = np.zeros((len(self._counted), len(self.moving))), np.zeros(len(self._counted))
        if not len(self._counted):
            return slopes, values
        step, space = 1e-4, self._counted_space
        at = np.clip(point[self._counted], step, 1 - step) + step * np.array([[-1.0], [0.0], [1.0]])
        theta = space.from_box(at)
        low, middle, high = -self.goal.prior_weight * (space.log_priors(theta) + space.log_slopes(theta))
        roots = np.sqrt(np.maximum((low + high - 2 * middle) / step**2, 1e-3))
        slopes[np.arange(len(roots)), np.searchsorted(self.moving, self._counted)] = roots
        return slopes, (high - low) / (2 * step) / roots


def polished(goal: Objective, start: Array, *, tolerance: float) -> Minimum | None:
    """The minimum that lies downhill.

    Parameters
    ----------
    start : (n_free,), of the box: from 0 to 1
    tolerance : float
        The promised fall of the objective at which the search has converged.

    Returns
    -------
    Minimum or None
        None where the objective is no sum of squares, or not at the start.
    """
    squares = Squares.of(goal)
    if squares is None or not len(squares.moving):
        return None
    point = np.clip(start, 0.0, 1.0)
    gaps = squares.gaps(point[None, :])[0]
    if not np.isfinite(gaps).all():
        return None
    point = squares.solved(point, gaps)
    cost, damping, evaluations = squares.cost(point, gaps), 1e-4, 1
    steps = np.full(len(squares.moving), 1e-4)
    last, refused = math.inf, False
    for _ in range(200):
        slopes, rests, steps, runs = _linear(squares, point, gaps, steps)
        evaluations += runs
        if slopes is None or evaluations > SEARCH.most_runs:
            break
        scale = np.sqrt(np.maximum((slopes**2).sum(axis=0), SEARCH.flat))
        inside = point[squares.moving]
        step = _bounded_step(slopes, rests, scale, inside, 0.0)
        promised = last_promised = _promised(slopes, rests, step)
        if not promised > tolerance:
            # the last digits: what these steps gain is lost in the rounding of the objective
            if tolerance > SEARCH.last_digits or not 0 < promised < last / 4:
                return _ended(squares, point, slopes, True, evaluations)
            (trial, there), last = squares.moved(point, step), promised
            evaluations += 1
            if not np.isfinite(there).all():
                return _ended(squares, point, slopes, True, evaluations)
            point, gaps = squares.solved(trial, there), there
            cost = squares.cost(point, gaps)
            continue
        while damping <= 1e12:
            step = _bounded_step(slopes, rests, scale, inside, damping)
            promised = _promised(slopes, rests, step)
            if refused:
                step = step + _bend(squares, point, slopes, rests, step, scale, damping)
            trial, there = squares.moved(point, on_grid(inside + step, steps) - inside)
            evaluations += 1 + refused
            if np.isfinite(there).all():
                trial = squares.solved(trial, there)
                reached = squares.cost(trial, there)
                fall = cost - reached
                if fall > 1e-4 * promised > 0:
                    break
            damping, refused = max(5 * damping, 1e-12), True
        else:
            # what no step gains is lost in the rounding of the objective
            return _ended(squares, point, slopes, last_promised < 1e-7, evaluations)
        point, gaps, cost = trial, there, reached
        # a valley that has bent once goes on bending
        good = fall > 0.5 * promised
        damping, refused = (damping / 10, refused and damping > 1e-4) if good else (damping / 2, True)
    return _ended(squares, point, slopes, False, evaluations)


def _linear(squares: Squares, point: Array, gaps: Array, steps: Array) -> tuple[Array | None, Array, Array, int]:
    """Slopes and values of all residuals at a point, in standard deviations, with steps that suit them.

    No slopes where the model fails beside the point; last, the runs that it took.
    """
    sds = squares.sds(squares.goal.theta(point[None, :])[0])
    prior_slopes, prior_values = squares.prior_rows(point)
    runs = 0
    for _ in range(4):
        slopes = np.vstack([squares.slopes(point, steps) / sds[:, None], prior_slopes])
        runs += 4 * len(steps)
        if not np.isfinite(slopes).all():
            if (steps <= 1e-10).all():
                return None, gaps, steps, runs
            steps = np.maximum(steps / 100, 1e-10)
            continue
        with np.errstate(divide="ignore"):
            better = np.clip(5e-3 / np.sqrt((slopes**2).sum(axis=0)), 1e-10, 1e-4)
        near = (better > steps / 3) & (better < steps * 3)
        if near.all():
            return slopes, np.concatenate([gaps / sds, prior_values]), steps, runs
        steps = better
    rests = np.concatenate([gaps / sds, prior_values])
    return (slopes if np.isfinite(slopes).all() else None), rests, steps, runs


def _bounded_step(slopes: Array, rests: Array, scale: Array, inside: Array, damping: float) -> Array:
    """The damped step ``(n_moving,)`` to the least sum of squares within the box."""
    upper, along = triangular(slopes / scale, rests, least=0.0)
    directions, moved = singular_directions(upper)
    singular = np.sqrt((moved**2).sum(axis=0))
    # a direction that the differences cannot tell from none is not stepped along
    rounding = 1e-8
    resolved = singular > rounding * singular.max()
    directions, moved, singular = directions[:, resolved], moved[:, resolved], singular[resolved]
    least = max(damping, 100 * rounding**2)
    free = -times(directions, times(moved.T, along) / (singular**2 + least)) / scale
    if ((inside + free >= 0) & (inside + free <= 1)).all():
        return free
    n = len(scale)
    rows = np.vstack([(singular * directions).T, math.sqrt(least) * np.eye(n)])
    target = -np.concatenate([times(moved.T, along) / singular, np.zeros(n)])
    return np.clip(least_within(rows, target, -inside * scale, (1 - inside) * scale) / scale, -inside, 1 - inside)


def _bend(
    squares: Squares, point: Array, slopes: Array, rests: Array, step: Array, scale: Array, damping: float
) -> Array:
    """What a step ``(n_moving,)`` lacks to stay in a valley that bends; none where that is too much."""
    n, share = len(squares.weights) + 1, 0.1
    # the second derivative of the residuals along a share of the step, from one more run
    _, gaps = squares.moved(point, share * step)
    none = np.zeros_like(step)
    if not np.isfinite(gaps).all():
        return none
    sds = squares.sds(squares.goal.theta(point[None, :])[0])
    second = np.zeros_like(rests)
    second[:n] = 2 / share * ((gaps / sds - rests[:n]) / share - times(slopes[:n], step))
    bend = _bounded_step(slopes, second / 2, scale, point[squares.moving] + step, damping)
    little = dot(bend * scale, bend * scale) < 0.75**2 * dot(step * scale, step * scale)
    return bend if little else none


def _promised(slopes: Array, rests: Array, step: Array) -> float:
    """How far half the sum of squares falls along a step."""
    moved = times(slopes, step)
    return -(dot(moved, rests) + dot(moved, moved) / 2)


def _ended(squares: Squares, point: Array, slopes: Array | None, converged: bool, evaluations: int) -> Minimum:
    """Where the search ended, with the slopes of the objective and its curvature there."""
    goal, n = squares.goal, len(point)
    matrix = np.zeros((n, n))
    if slopes is not None:
        matrix[np.ix_(squares.moving, squares.moving)] = [times(slopes.T, column) for column in slopes.T]
    for column, rows in squares.spreads.items():
        parameter, at = goal.space.parameters[column], goal.space.from_box(point[None, :])[0][column]
        step = 1e-6
        near = np.clip(point[column] + np.array([-step, step]), 0.0, 1.0)
        moved = ParameterSpace((parameter,)).from_box(near[:, None])[:, 0]
        relative = float((moved[1] - moved[0]) / (near[1] - near[0]) / at)
        # the second derivative of n log s + S / (2 s^2) by log s, where S is n s^2
        matrix[column, column] = 2 * float(squares.weights[rows].sum()) * relative**2
    value, slope = float(goal(point[None, :])[0]), np.zeros(n)
    if ((point <= 0) | (point >= 1)).any():
        value, slope = goal.with_gradient(point)
    return Minimum(point, value, slope, matrix, converged, evaluations)
