"""Profile likelihoods: how well the data can be fitted when one parameter is held at each of many values.

A profile uses the likelihood and the priors of the *other* parameters, never the parameter's own prior, which would
close a side that the data leave open. Parameters that the optimum holds (use ``PRI``) stay where they are. Where the
profile has not risen by the threshold when the bound is reached, the side is open; where it has, but only with another
parameter on a bound of its own search, that bound closes it and not the data. Neither has a number.

Source: Raue et al. 2009, Bioinformatics 25(15), 1923-1929.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from calibration.fit.box_search import FLAT, Curvature, Minimum, descend, measured, minimise
from calibration.fit.objective import IMPOSSIBLE, Objective
from calibration.fit.optimise import Optimum
from calibration.fit.threshold import Threshold, threshold
from calibration.fit.verdict import Side, Verdict, refused
from calibration.fit.walk import (
    AIM,
    FLAT_RISE,
    MOST_STEPS,
    RESOLUTION,
    ROUNDING,
    Pace,
    crossing,
    jumped,
    root,
)
from cipark_sd.arrays import Array

#: The largest step, as share of the parameter's search range.
LARGEST = 0.1
#: The fall of the log density that a search of the other parameters may leave.
TOLERANCE = 1e-8
#: A slope over the whole range of a parameter on its bound that is more than none.
PUSHED = 1e-3
#: A second search that ends lower than the first by this share of the threshold shows that the first one had stuck.
LOWER = 1e-3


@dataclass(frozen=True, eq=False)
class Profile:
    """The profile of one parameter.

    ``values`` ascend; ``rise`` is how far the best log density at each value lies below that at the best value of all,
    ``best``. The interval ends where the rise is ``threshold``, if it ends.
    """

    name: str
    values: Array
    rise: Array
    best: float
    threshold: Threshold
    verdict: Verdict

    @property
    def lower(self) -> float | None:
        """The lower end of the interval, None unless the data bound it."""
        return self.verdict.lower.limit

    @property
    def upper(self) -> float | None:
        """The upper end of the interval, None unless the data bound it."""
        return self.verdict.upper.limit


@dataclass(frozen=True, eq=False)
class _Place:
    """A point of the profile: the parameter's place in the box, and the minimum over the others."""

    at: float
    minimum: Minimum

    @property
    def cost(self) -> float:
        return self.minimum.value


def profile(optimum: Optimum, name: str, *, level: float) -> Profile:
    """The profile of the free parameter ``name``, walked from the optimum to both sides.

    Parameters
    ----------
    level : float
        Of the interval, between 0 and 1.
    """
    goal = optimum.goal
    position = goal.density.space.names.index(name)
    value = float(optimum.theta[position])
    if name in optimum.stepwise:
        return Profile(name, np.array([value]), np.zeros(1), value, Threshold(level), refused(value))
    rule = threshold(goal, level) if goal.density.space.parameters[position].target == "model" else Threshold(level)
    counts = goal.with_prior.copy()
    counts[position] = False
    walk = _Walk(replace(goal, base=optimum.theta, with_prior=counts), position, rule.rise)
    sides = walk.sides()
    theta, rise = walk.curve()
    place = float(goal.box(optimum.theta)[int(np.flatnonzero(goal.free == position)[0])])
    on_bound = "" if name not in optimum.at_bound else "lower" if place < 0.5 else "upper"
    verdict = Verdict(*sides, held=optimum.stepwise, on_bound=on_bound)
    return Profile(name, theta, rise, float(theta[rise.argmin()]), rule, verdict)


class _Walk:
    """The places of one profile, found so far, in the box of the free parameters."""

    def __init__(self, goal: Objective, position: int, threshold: float) -> None:
        self.goal, hessian = measured(goal, goal.box(goal.base))
        self.column = int(np.flatnonzero(goal.free == position)[0])
        self.threshold = threshold
        self.inner = replace(self.goal, free=np.delete(goal.free, self.column))
        # the prior of the parameter itself no longer counts, so the least value may lie beside the optimum
        self.places: dict[float, _Place] = {}
        self._start_from(self._least_from(goal.box(goal.base), hessian))

    def _least_from(self, point: Array, hessian: Curvature) -> Array:
        result = descend(self.goal.with_gradient, point, hessian.positive, tolerance=TOLERANCE)
        return result.point if result.converged else minimise(self.goal, point, tolerance=TOLERANCE).point

    def _start_from(self, point: Array) -> None:
        """Take a point of the box as the centre: the curvature there gives first steps and first searches."""
        self.goal, hessian = measured(self.goal, point)
        self.inner = replace(self.inner, steps=self.goal.steps)
        self.matrix = hessian.positive
        self.centre = float(point[self.column])
        nuisance = np.delete(np.arange(len(point)), self.column)
        self.rest_matrix = self.matrix[np.ix_(nuisance, nuisance)]
        # how the others follow the parameter, and the curvature of the profile, at the centre
        self.follow = (
            -np.linalg.solve(self.rest_matrix, self.matrix[nuisance, self.column]) if len(nuisance) else np.empty(0)
        )
        self.bend = float(self.matrix[self.column, self.column] + self.matrix[self.column, nuisance] @ self.follow)
        self.centre_others = point[nuisance]
        self._add(self._solve(self.centre, self.centre_others, self.rest_matrix))

    def _add(self, place: _Place) -> None:
        self.places[place.at] = place

    @property
    def least(self) -> float:
        return min(place.cost for place in self.places.values())

    def _solve(self, at: float, start: Array, matrix: Array) -> _Place:
        """The best of the other parameters with this one at a place."""
        full = np.insert(np.clip(start, 0.0, 1.0), self.column, at)
        held = replace(self.inner, base=self.goal.theta(full[None, :])[0])
        if not len(start):
            return _Place(at, Minimum(start, float(held(start[None, :])[0]), start, matrix, True, 1))
        start = np.delete(full, self.column)
        result = descend(held.with_gradient, start, matrix, tolerance=TOLERANCE)
        if not result.converged and result.value < IMPOSSIBLE:
            again = minimise(held, result.point, tolerance=TOLERANCE)
            result = again if again.value <= result.value else result
        return _Place(at, result)

    def sides(self) -> tuple[Side, Side]:
        """Both sides, walked until the least value of all is known."""
        for _ in range(4):
            least = self.least
            ends = [self._side(direction) for direction in (-1.0, 1.0)]
            if self.least >= least - LOWER * self.threshold / 10:
                break
            # a better fit than the optimum lies on the way: its surroundings are the new centre
            best = min(self.places.values(), key=lambda place: place.cost)
            self._start_from(self._least_from(self._full(best), Curvature(self.matrix, self.goal.steps)))
        return ends[0], ends[1]

    def _side(self, direction: float) -> Side:
        """What closes a side, with places added until it is known."""
        before = inside = self.places[self.centre]
        step = min(AIM * math.sqrt(2 * min(self.threshold, FLAT_RISE) / max(self.bend, FLAT)), LARGEST)
        pace = Pace(step, math.sqrt(min(self.threshold, FLAT_RISE)))
        for _ in range(MOST_STEPS):
            if inside.at == (0.0 if direction < 0 else 1.0):
                return Side("open", self._value(inside.at))
            at = min(1.0, max(0.0, inside.at + direction * pace.step))
            place = self._solve(at, self._ahead(before, inside, at), inside.minimum.matrix)
            root_inside, root_place = root(inside.cost - self.least), root(place.cost - self.least)
            if pace.refuses(inside.at, root_inside, at, root_place):
                if abs(at - inside.at) <= max(ROUNDING, RESOLUTION * abs(at - self.centre)):
                    return Side("unresolved", self._value(inside.at), jumped(place.cost))
                continue
            if place.cost - self.least > self.threshold:
                if inside.cost - self.least > self.threshold:
                    # the walk met a better fit; both sides are walked again from there
                    return Side("unresolved", self._value(inside.at), "a better fit lies on the way")
                crossed, at_threshold = self._crossing(inside, place)
                if not at_threshold:
                    self._add(crossed)
                    return Side("unresolved", self._value(crossed.at), jumped(place.cost))
                again = self._solve(crossed.at, self.centre_others, self.rest_matrix)
                if again.cost > crossed.cost - LOWER * self.threshold:
                    self._add(crossed)
                    names = on_bounds(self.inner, crossed.minimum)
                    return Side("closed" if names else "bounded", self._value(crossed.at), ", ".join(names))
                # the searches along the walk had stuck beside a lower valley: on from there
                before = place = again
            self._add(place)
            pace.accept(place.at, root_inside, root_place, LARGEST)
            before, inside = (place if before is place else inside), place
        return Side("unresolved", self._value(inside.at), "not followed to its end")

    def _crossing(self, inside: _Place, outside: _Place) -> tuple[_Place, bool]:
        def solve(share: float, nearest: _Place) -> _Place:
            at = inside.at + share * (outside.at - inside.at)
            return self._solve(at, nearest.minimum.point, nearest.minimum.matrix)

        return crossing(inside, outside, self.least, self.threshold, solve)

    def _ahead(self, before: _Place, current: _Place, at: float) -> Array:
        """Where the others are expected at a place: along the curvature from the centre, then on the last line."""
        if before.at == current.at:
            return np.clip(current.minimum.point + (at - current.at) * self.follow, 0.0, 1.0)
        return _along(before, current, at)

    def _full(self, place: _Place) -> Array:
        return np.insert(place.minimum.point, self.column, place.at)

    def _value(self, at: float) -> float:
        return float(self._theta(np.array([at]))[0])

    def _theta(self, places: Array) -> Array:
        alone = replace(self.goal, free=self.goal.free[[self.column]])
        return alone.theta(places[:, None])[:, self.goal.free[self.column]]

    def curve(self) -> tuple[Array, Array]:
        """Values of the parameter, ascending, and the rise at each ``(n_places,)``."""
        places = np.array(sorted(self.places))
        costs = np.array([self.places[at].cost for at in places])
        return self._theta(places), costs - costs.min()


def _along(first: _Place, second: _Place, at: float) -> Array:
    """The others on the line through two places, not further out than thrice their distance."""
    if first.at == second.at:
        return second.minimum.point
    share = min(3.0, max(-3.0, (at - second.at) / (second.at - first.at)))
    return np.clip(second.minimum.point + share * (second.minimum.point - first.minimum.point), 0.0, 1.0)


def on_bounds(goal: Objective, minimum: Minimum) -> list[str]:
    """Free parameters that a minimum has on a bound of their search, and that would move on without it."""
    low = (minimum.point <= 0.0) & (minimum.slopes > PUSHED)
    high = (minimum.point >= 1.0) & (minimum.slopes < -PUSHED)
    return [name for name, stuck in zip(goal.space.names, low | high, strict=True) if stuck]
