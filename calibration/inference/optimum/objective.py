"""What an optimiser minimises: a function of a point in the search box, evaluated for many points together.

The box spans the free parameters only; the others stay where a full vector has them. Derivatives are central
differences whose points all go to the model in one batch. Slopes say nothing of a jump, and a search by them ends at
one: so it is where an equation of the model asks whether a level is above another, and what happens then moves by a
whole time step.
"""

import pickle
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from calibration.likelihood.posterior import On, Posterior
from calibration.study.parameters import Parameter, ParameterSpace
from cipark_sd.base.arrays import Array

#: Half the distance of a difference quotient, as share of a parameter's range on its scale, where no other is known.
STEP = 1e-4
#: What a point costs where the density is zero or the model fails: a line search backs away from it.
IMPOSSIBLE = 1e10
#: A number that a point says: full parameter vectors ``(n, k)`` to values ``(n,)``, NaN where the model fails.
Quantity = Callable[[Array], Array]
#: The part of a search range in which jumps are looked for, made smaller until the objective changes by no more than
#: this, and at how many places of it.
WINDOW, MOST_CHANGE, PLACES = 0.02, 2.0, 33
#: Halvings after which next to nothing is left of what changes little by little.
HALVINGS = 34
#: The jump that counts, and along how many parameters it has to be there: along one alone it is a date's, which is
#: scanned.
JUMP, ALONG = 0.01, 3
#: Half the distance at which a step function is looked for, and at how many starts.
STEPWISE_STEP, STEPWISE_POINTS = 1e-6, 16


@dataclass(frozen=True, eq=False)
class InRange:
    """A parameter as a quantity: its place in its search range, 0 to 1."""

    parameter: Parameter
    position: int

    @cached_property
    def space(self) -> ParameterSpace:
        """Of the parameter alone."""
        return ParameterSpace((self.parameter,))

    def __call__(self, theta: Array) -> Array:
        return np.clip(self.space.to_box(theta[:, [self.position]])[:, 0], 0.0, 1.0)

    def values(self, places: Array) -> Array:
        """Places ``(n,)`` of the range as values."""
        return self.space.from_box(places[:, None])[:, 0]


@dataclass(frozen=True, eq=False)
class Pull:
    """A term ``(quantity - aim)^2 / (2 sigma^2)``, which draws a quantity to a value."""

    quantity: Quantity
    aim: float
    sigma: float

    def gap(self, theta: Array) -> Array:
        """``(quantity - aim) / sigma``, ``(n,)``."""
        return (self.quantity(theta) - self.aim) / self.sigma

    def at(self, goal: "Objective", point: Array) -> tuple[float, Array]:
        """The gap at a point ``(n_free,)`` of the box, and its slopes ``(n_free,)``."""
        at, by_point = goal.of_quantity(self.quantity, point)
        return (at - self.aim) / self.sigma, by_point / self.sigma


@dataclass(frozen=True, eq=False)
class Objective:
    """Minus the log density over the search box of the free parameters.

    Parameters
    ----------
    density : Posterior
    base : (k,)
        Values of all parameters; those that are not free keep them.
    free : (n_free,)
        Positions of the free parameters.
    with_prior : (k,)
        Whether the prior of each parameter counts, on its own scale; its bounds always do.
    steps : (k,)
        Half the distance of each parameter's difference quotient, as share of its range on its scale.
    prior_weight : float
        Of the log priors that count: ``1 / c^2`` makes a normal prior c times as wide, 0 leaves the likelihood.
    pull : Pull, optional
        What is added to minus the log density.
    rough : bool
        Whether the density jumps along most parameters, so that searches take slopes over longer distances.
    """

    density: Posterior
    base: Array
    free: NDArray[np.intp]
    with_prior: NDArray[np.bool_]
    steps: Array
    prior_weight: float = 1.0
    pull: Pull | None = None
    rough: bool = False

    @cached_property
    def space(self) -> ParameterSpace:
        """The free parameters."""
        return ParameterSpace(tuple(self.density.space.parameters[i] for i in self.free))

    @cached_property
    def _counted(self) -> ParameterSpace:
        """The parameters whose priors count."""
        counts = zip(self.density.space, self.with_prior, strict=True)
        return ParameterSpace(tuple(parameter for parameter, counted in counts if counted))

    @cached_property
    def _content(self) -> bytes:
        """Its fields, the density as a problem and the name of an engine."""
        parts = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name != "density"}
        return pickle.dumps((self.density.problem, self.density.runner.engine.name, parts))

    def __reduce__(self) -> tuple[object, ...]:
        return _sent, (self._content,)

    def theta(self, box: Array) -> Array:
        """Full parameter vectors ``(n, k)`` of points ``(n, n_free)``."""
        full = np.repeat(self.base[None, :], len(box), axis=0)
        full[:, self.free] = self.space.from_box(box)
        return full

    def box(self, theta: Array) -> Array:
        """The point ``(n_free,)`` of a full vector ``(k,)``."""
        return np.clip(self.space.to_box(theta[self.free]), 0.0, 1.0)

    def log_prior(self, theta: Array) -> Array:
        """Of the parameters whose prior counts, on their scales, times its weight ``(n,)``; ``theta : (n, k)``."""
        if not self.prior_weight or not len(self._counted):
            return np.zeros(len(theta))
        return self.prior_weight * self._counted.log_prior_scaled(theta[:, self.with_prior])

    def __call__(self, box: Array) -> Array:
        """``(n,)`` for points ``(n, n_free)``; :data:`IMPOSSIBLE` where the density is zero."""
        theta = self.theta(box)
        total = -self.log_prior(theta) - self.density.log_likelihood(theta)
        if self.pull is not None:
            with np.errstate(over="ignore", invalid="ignore"):
                total = total + self.pull.gap(theta) ** 2 / 2
        return np.where(total < IMPOSSIBLE, total, IMPOSSIBLE)

    def with_gradient(self, point: Array) -> tuple[float, Array]:
        """Value and gradient ``(n_free,)`` at one point ``(n_free,)``."""
        points, widths = self.around(point)
        values = self(points)
        return float(values[0]), slopes(values, widths, values < IMPOSSIBLE)

    def of_quantity(self, quantity: Quantity, point: Array) -> tuple[float, Array]:
        """A quantity at a point ``(n_free,)``, and its slopes ``(n_free,)``."""
        if isinstance(quantity, InRange):
            column = self.free == quantity.position
            return float(point[column][0]), column.astype(float)
        points, widths = self.around(point)
        values = quantity(self.theta(points))
        with np.errstate(invalid="ignore"):
            return float(values[0]), slopes(values, widths, np.isfinite(values))

    def around(self, point: Array) -> tuple[Array, Array]:
        """The point, its neighbours ahead and behind in each direction, and how far those are."""
        n = len(point)
        steps = self.steps[self.free]
        ahead, behind = np.minimum(point + steps, 1.0), np.maximum(point - steps, 0.0)
        points = np.repeat(point[None, :], 2 * n + 1, axis=0)
        rows = np.arange(n)
        points[1 + rows, rows], points[1 + n + rows, rows] = ahead, behind
        return points, np.concatenate([ahead - point, point - behind])


def fourth_order(numbers: Callable[[Array], Array], point: Array, columns: NDArray[np.intp], steps: Array) -> Array:
    """Derivatives ``(n_numbers, m)`` of numbers of points ``(n, k)`` by some columns of one, over steps ``(m,)``."""
    m = len(columns)
    moves = np.zeros((m, len(point)))
    moves[np.arange(m), columns] = steps
    # near a bound about a point within it
    centre = np.clip(np.repeat(point[None, :], m, axis=0), 2 * np.abs(moves), 1 - 2 * np.abs(moves))
    values = numbers(np.vstack([centre - 2 * moves, centre - moves, centre + moves, centre + 2 * moves]))
    far_behind, behind, ahead, far_ahead = values.reshape(4, m, -1)
    return np.asarray(((8 * (ahead - behind) - (far_ahead - far_behind)) / (12 * steps[:, None])).T)


def slopes(values: Array, widths: Array, usable: NDArray[np.bool_]) -> Array:
    """Derivatives ``(n,)`` from values at a point, ahead and behind ``(2 n + 1,)`` and how far those are ``(2 n,)``.

    The parabola's where the sides differ in width, as near a bound; where one side is not usable the other one alone
    gives the slope.
    """
    n = len(widths) // 2
    centre, ahead, behind = values[0], values[1 : n + 1], values[n + 1 :]
    width_ahead = np.where(usable[1 : n + 1], widths[:n], 0.0)
    width_behind = np.where(usable[n + 1 :], widths[n:], 0.0)
    up = np.where(width_ahead > 0, (ahead - centre) / np.where(width_ahead > 0, width_ahead, 1.0), 0.0)
    down = np.where(width_behind > 0, (centre - behind) / np.where(width_behind > 0, width_behind, 1.0), 0.0)
    width = width_ahead + width_behind
    # the narrower side counts for more
    share = np.where(width > 0, width_behind / np.where(width > 0, width, 1.0), 0.0)
    share = np.where(width_behind == 0, 1.0, np.where(width_ahead == 0, 0.0, share))
    return np.asarray(share * up + (1 - share) * down)


def objective(density: Posterior, *, estimate: str, base: Array | None = None) -> Objective:
    """The objective of the study's own optimum: all CAL parameters free, the others at ``base`` or prior medians.

    Without a ``base`` the free ones stand where the first search begins.
    """
    free = np.array([i for i, parameter in enumerate(density.space) if parameter.use == "CAL"], dtype=np.intp)
    counts = np.full(len(density.space), estimate == "map")
    steps = np.full(len(density.space), STEP)
    return Objective(density, density.space.first if base is None else base, free, counts, steps)


def is_rough(goal: Objective, point: Array) -> bool:
    """Whether the objective jumps near a point ``(n_free,)`` of the box along several parameters."""
    return int((jumps(goal, point) > JUMP).sum()) >= ALONG


def jumps(goal: Objective, point: Array) -> Array:
    """The largest jump near a point ``(n_free,)`` along each parameter ``(n_free,)``."""
    n, rows = len(point), np.arange(len(point))

    def along(places: Array) -> Array:
        """The objective with each parameter at some places ``(n_free, m)``."""
        points = np.repeat(point[None, :], places.size, axis=0).reshape(*places.shape, n)
        points[rows, :, rows] = places
        return goal(points.reshape(-1, n)).reshape(places.shape)

    value, widths = float(goal(point[None, :])[0]), np.full(n, WINDOW)
    for _ in range(HALVINGS):
        ends = along(np.clip(point[:, None] + widths[:, None] * [-1.0, 1.0], 0.0, 1.0))
        far = np.abs(ends - value).max(axis=1) > MOST_CHANGE
        if not far.any():
            break
        widths = np.where(far, widths / 3, widths)
    places = np.clip(point[:, None] + widths[:, None] * np.linspace(-1.0, 1.0, PLACES), 0.0, 1.0)
    values = along(places)
    steepest = np.abs(np.diff(values, axis=1)).argmax(axis=1)
    low, high = places[rows, steepest], places[rows, steepest + 1]
    below, above = values[rows, steepest], values[rows, steepest + 1]
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        between = along(middle[:, None])[:, 0]
        first = np.abs(between - below) >= np.abs(above - between)
        low, high = np.where(first, low, middle), np.where(first, middle, high)
        below, above = np.where(first, below, between), np.where(first, between, above)
    return np.asarray(np.abs(above - below))


@lru_cache(maxsize=16)
def _sent(content: bytes) -> Objective:
    """The objective of what it was sent as: a process that gets one again and again compiles its model once."""
    problem, engine, parts = pickle.loads(content)
    return Objective(On(engine)(problem), **parts)


def stepwise_parameters(goal: Objective, points: Array) -> tuple[str, ...]:
    """Free parameters of which the objective is a step function: no small move changes it, a large one does.

    Looked for at ``points : (n, n_free)`` of the box; at most of them a small move has to change no bit of the
    likelihood.
    """
    n, goal = len(goal.free), replace(goal, prior_weight=0.0)
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
