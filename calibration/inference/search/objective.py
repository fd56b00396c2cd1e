"""What an optimiser minimises, a function of a point in the search box, and how searches ask for it, all in step.

The box spans the free parameters only; the others stay where a full vector has them. A search is a generator. It yields
lists of requests, is sent a list of answers, and returns what it has found; one batch of runs answers the requests of
all searches that run in step. Sixty points in one batch cost about as much as three of them one by one. An answer
depends on its request alone, so what a search finds does not depend on which others run beside it.

Slopes are exact where the engine differentiates the model (:mod:`calibration.likelihood.gradient`), and central
differences elsewhere. At a kink, as of a MIN, an exact slope is that of one side; of a jump slopes say nothing, and a
search by them ends at one (:mod:`calibration.inference.search.scoring`).
"""

import pickle
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import TypeVar, cast
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from calibration.inference.search.tuning import SEARCH
from calibration.likelihood.gradient import log_likelihood_and_gradient
from calibration.likelihood.posterior import On, Posterior
from calibration.study.parameters import Parameter, ParameterSpace
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import InvalidValue, UnsupportedFeature

#: What a point costs where the density is zero or the model fails: a line search backs away from it.
IMPOSSIBLE = 1e10
#: A number that a point says: full parameter vectors ``(n, k)`` to values ``(n,)``, NaN where the model fails.
Quantity = Callable[[Array], Array]
T = TypeVar("T")
#: An objective and a point ``(n_free,)`` of its box.
Request = tuple["Objective", Array]
#: The log likelihood, minus infinity where the data are impossible or the model fails, and its slopes ``(k,)`` in the
#: box; the log priors ``(k,)`` of all parameters on their scales, and theirs.
Answer = tuple[float, Array, Array, Array]
#: A search: it yields requests, is sent answers, and returns what it has come to.
Search = Generator[list[Request], list[Answer], T]
#: Whether there are slopes, as was found for each density.
_SLOPES: WeakKeyDictionary[Posterior, bool] = WeakKeyDictionary()


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

    def on_grid(self, points: Array) -> Array:
        """The points ``(…, n_free)`` that searches run in the place of these: within the box, and on its grid."""
        return on_grid(points, self.steps[self.free])

    def log_prior(self, theta: Array) -> Array:
        """Of the parameters whose prior counts, on their scales, times its weight ``(n,)``; ``theta : (n, k)``."""
        if not self.prior_weight or not len(self._counted):
            return np.zeros(len(theta))
        return self.prior_weight * self._counted.log_prior_scaled(theta[:, self.with_prior])

    def __call__(self, box: Array) -> Array:
        """``(n,)`` for points ``(n, n_free)``; :data:`IMPOSSIBLE` where the density is zero."""
        return self.at(self.theta(box))

    def at(self, theta: Array) -> Array:
        """``(n,)`` for full parameter vectors ``(n, k)``, as a call gives it for points of the box."""
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


def on_grid(points: Array, steps: Array) -> Array:
    """Points of the box on a grid of powers of two, of which sums and shares are exact.

    Parameters
    ----------
    points : (…, n)
    steps : (n,)
        Half the distances of difference quotients, as shares of the search ranges.

    Returns
    -------
    (…, n)
        From 0 to 1.
    """
    grid = np.minimum(SEARCH.grid, 2.0 ** np.floor(np.log2(SEARCH.grid_of_step * steps)))
    return np.asarray(np.clip(np.round(points / grid) * grid, 0.0, 1.0))


def fourth_order(numbers: Callable[[Array], Array], point: Array, columns: NDArray[np.intp], steps: Array) -> Array:
    """Derivatives by differences of fourth order: ``(8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12 h`` (Fornberg 1988).

    Parameters
    ----------
    numbers : function
        Points ``(n, k)`` to numbers ``(n, n_numbers)``.
    point : (k,)
    columns : (m,)
        By which derivatives are taken.
    steps : (m,)
        The h of each.

    Returns
    -------
    (n_numbers, m)
    """
    m = len(columns)
    moves = np.zeros((m, len(point)))
    moves[np.arange(m), columns] = steps
    # near a bound about a point within it
    centre = np.clip(np.repeat(point[None, :], m, axis=0), 2 * np.abs(moves), 1 - 2 * np.abs(moves))
    values = numbers(np.vstack([centre - 2 * moves, centre - moves, centre + moves, centre + 2 * moves]))
    far_behind, behind, ahead, far_ahead = values.reshape(4, m, -1)
    return np.asarray(((8 * (ahead - behind) - (far_ahead - far_behind)) / (12 * steps[:, None])).T)


def slopes(values: Array, widths: Array, usable: NDArray[np.bool_]) -> Array:
    """Derivatives from values at a point and on either side of it.

    The parabola's where the sides differ in width, as near a bound; where one side is not usable the other one alone
    gives the slope.

    Parameters
    ----------
    values : (2 n + 1,)
        At the point, ahead in each direction, and behind.
    widths : (2 n,)
        How far these are.
    usable : (2 n + 1,) bool

    Returns
    -------
    (n,)
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
    """The objective of the study's own optimum: all CAL parameters free.

    Parameters
    ----------
    estimate : {"map", "ml"}
        Whether all priors count or none.
    base : (k,), optional
        Values of all parameters. None: those where the first search begins, and prior medians of what is held.
    """
    free = np.array([i for i, parameter in enumerate(density.space) if parameter.use == "CAL"], dtype=np.intp)
    counts = np.full(len(density.space), estimate == "map")
    steps = np.full(len(density.space), SEARCH.step)
    return Objective(density, density.space.first if base is None else base, free, counts, steps)


@lru_cache(maxsize=16)
def _sent(content: bytes) -> Objective:
    """The objective of what it was sent as: a process that gets one again and again compiles its model once."""
    problem, engine, parts = pickle.loads(content)
    return Objective(On(engine)(problem), **parts)


def gather(searches: Sequence[Search[T]]) -> Search[list[T]]:
    """One search that runs others in step; what one of them raises ends all.

    Returns
    -------
    Search
        Of what each has found, in order.
    """
    results: dict[int, T] = {}
    pending: dict[int, list[Request]] = {}

    def resume(number: int, answers: list[Answer] | None) -> None:
        try:
            pending[number] = next(searches[number]) if answers is None else searches[number].send(answers)
        except StopIteration as end:
            results[number] = end.value
            pending.pop(number, None)

    try:
        for number in range(len(searches)):
            resume(number, None)
        while pending:
            now = list(pending.items())
            answers = yield [request for _, requests in now for request in requests]
            first = 0
            for number, requests in now:
                resume(number, answers[first : first + len(requests)])
                first += len(requests)
    finally:
        for search in searches:
            search.close()
    return [results[number] for number in range(len(searches))]


def run(search: Search[T], density: Posterior) -> T:
    """Answers a search until it ends.

    Parameters
    ----------
    density : Posterior
        Of the objectives of all its requests.

    Returns
    -------
    T
        What the search returns.
    """
    exact = has_slopes(density)
    try:
        requests = next(search)
        while True:
            requests = search.send(_answers(density, requests, exact))
    except StopIteration as end:
        return cast("T", end.value)


def ask(goal: Objective, point: Array) -> Search[tuple[float, Array]]:
    """The objective at a point of its box.

    Parameters
    ----------
    point : (n_free,), of the box: from 0 to 1

    Returns
    -------
    Search
        Of the value, at most :data:`IMPOSSIBLE`, and its slopes ``(n_free,)``, 0 there.
    """
    ((likelihood, likelihood_slopes, priors, prior_slopes),) = yield [(goal, point)]
    total, slope = -likelihood, -likelihood_slopes
    if goal.prior_weight:
        total -= goal.prior_weight * float(priors[goal.with_prior].sum())
        slope = slope - goal.prior_weight * np.where(goal.with_prior, prior_slopes, 0.0)
    slope = slope[goal.free]
    if goal.pull is not None and total < IMPOSSIBLE:
        gap, by_point = goal.pull.at(goal, point)
        total, slope = total + gap**2 / 2, slope + gap * by_point
    return (float(total), slope) if total < IMPOSSIBLE else (IMPOSSIBLE, np.zeros(len(point)))


def has_slopes(density: Posterior) -> bool:
    """Whether the engine differentiates the model."""
    if density not in _SLOPES:
        try:
            log_likelihood_and_gradient(density, density.space.medians[None, :])
        except (UnsupportedFeature, InvalidValue):
            _SLOPES[density] = False
        else:
            _SLOPES[density] = True
    return _SLOPES[density]


def _answers(density: Posterior, requests: Sequence[Request], exact: bool) -> list[Answer]:
    """Answers to all requests, from one batch of runs."""
    space = density.space
    theta = np.array([goal.base for goal, _ in requests])
    box = np.full(theta.shape, 0.5)
    free = np.zeros(theta.shape, dtype=bool)
    for row, (goal, point) in enumerate(requests):
        box[row, goal.free] = point
        free[row, goal.free] = True
    theta = np.where(free, space.from_box(box), theta)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        log_slopes, widths = space.log_slopes(theta), np.where(free, space.widths, 0.0)
        if exact:
            likelihood, by_theta = log_likelihood_and_gradient(density, theta)
            likelihood_slopes = by_theta * (np.exp(log_slopes) * widths)
        else:
            likelihood, likelihood_slopes = _by_differences(density, requests)
        priors = space.log_priors(theta) + log_slopes
        prior_slopes = space.log_prior_slopes_scaled(theta) * widths
    return [
        (float(likelihood[row]), _finite(likelihood_slopes[row]), priors[row], _finite(prior_slopes[row]))
        for row in range(len(requests))
    ]


def _finite(values: Array) -> Array:
    return np.where(np.isfinite(values), values, 0.0)


def _by_differences(density: Posterior, requests: Sequence[Request]) -> tuple[Array, Array]:
    """Log likelihoods ``(n,)`` and their slopes in the box ``(n, k)``."""
    around = [goal.around(point) for goal, point in requests]
    logs = density.log_likelihood(
        np.vstack([goal.theta(points) for (goal, _), (points, _) in zip(requests, around, strict=True)])
    )
    likelihood, by_box, first = np.empty(len(requests)), np.zeros((len(requests), len(density.space))), 0
    for row, ((goal, _), (points, widths)) in enumerate(zip(requests, around, strict=True)):
        values = logs[first : first + len(points)]
        first += len(points)
        likelihood[row] = values[0]
        if np.isfinite(values[0]):
            by_box[row, goal.free] = slopes(values, widths, np.isfinite(values))
    return likelihood, by_box
