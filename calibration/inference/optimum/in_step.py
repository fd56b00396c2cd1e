"""Searches that run in step: each asks for the objective at points, and one batch of runs answers all of them.

A search is a generator. It yields lists of requests, is sent a list of answers, and returns what it has found. Sixty
points in one batch cost about as much as three of them one by one. An answer depends on its request alone, so what a
search finds does not depend on which others run beside it.

Slopes are exact where the engine differentiates the model (:mod:`calibration.likelihood.gradient`), and central
differences elsewhere. At a kink, as of a MIN, an exact slope is that of one side.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast
from weakref import WeakKeyDictionary

import numpy as np

from calibration.inference.optimum.objective import IMPOSSIBLE, Objective, slopes
from calibration.likelihood.gradient import log_likelihood_and_gradient
from calibration.likelihood.posterior import Posterior
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import InvalidValue, UnsupportedFeature

T = TypeVar("T")


#: Whether there are slopes, as was found for each density.
_SLOPES: WeakKeyDictionary[Posterior, bool] = WeakKeyDictionary()

#: An objective and a point ``(n_free,)`` of its box.
Request = tuple[Objective, Array]
#: The log likelihood, minus infinity where the data are impossible or the model fails, and its slopes ``(k,)`` in the
#: box; the log priors ``(k,)`` of all parameters on their scales, and theirs.
Answer = tuple[float, Array, Array, Array]
Search = Generator[list[Request], list[Answer], T]


def gather(searches: Sequence[Search[T]]) -> Search[list[T]]:
    """One search that runs all of ``searches`` in step and returns what each has found, in order.

    What one of them raises ends the others.
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


class Spent(Exception):
    """A search has asked for as many points as it may."""


@dataclass
class Allowance:
    """How often something may still be done, by one or several searches together."""

    left: int


def within(search: Search[T], allowance: Allowance) -> Search[T]:
    """The search, in which :class:`Spent` is raised once its allowance is used up."""
    try:
        requests = next(search)
        while True:
            allowance.left -= len(requests)
            requests = search.throw(Spent()) if allowance.left < 0 else search.send((yield requests))
    except StopIteration as end:
        return cast("T", end.value)
    finally:
        search.close()


def run(search: Search[T], density: Posterior) -> T:
    """What a search finds whose requests are of objectives with that density."""
    exact = has_slopes(density)
    try:
        requests = next(search)
        while True:
            requests = search.send(_answers(density, requests, exact))
    except StopIteration as end:
        return cast("T", end.value)


def ask(goal: Objective, point: Array) -> Search[tuple[float, Array]]:
    """The objective and its slopes ``(n_free,)`` at a point ``(n_free,)`` of its box."""
    ((likelihood, likelihood_slopes, priors, prior_slopes),) = yield [(goal, point)]
    total = -likelihood
    slope = -likelihood_slopes
    if goal.prior_weight:
        total -= goal.prior_weight * float(priors[goal.with_prior].sum())
        slope = slope - goal.prior_weight * np.where(goal.with_prior, prior_slopes, 0.0)
    slope = slope[goal.free]
    if not total < IMPOSSIBLE:
        return IMPOSSIBLE, np.zeros(len(point))
    if goal.pull is not None:
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
