"""Tops of a posterior in normal scores of its prior, and how it curves there: where trajectories begin.

Searches by gradient start from the likeliest of many draws of the prior, all in step: a gradient of many points costs
little more than one of a few. They are limited-memory BFGS with steps that are halved until the density rises enough.
Some stop at a kink or in a valley of no weight, so the best of several counts, climbed once more. Its inverse curvature
is the first measure of scale (the Laplace approximation); a direction in which the posterior curves less than the prior
has the prior's width.

Source: Nocedal and Wright 2006, Numerical Optimization, algorithms 3.1 (steps) and 7.4 (direction).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from calibration.inference.sampling.densities import NormalScores, log_density
from calibration.inference.sampling.hamiltonian import Sloped
from calibration.inference.sampling.sloped_scores import SlopedScores
from calibration.inference.sampling.starts import possible_draws
from cipark_sd.base.arrays import Array

#: Searches of each group of chains, and draws of the prior of which each is made from one of the likeliest.
SEARCHES, LOOKED_AT = 6, 40
#: Score from which on a top lies too far out in a prior.
FAR = 6.0
#: Half the distance of difference quotients of gradients.
_APART = 1e-3
#: Log units below the best top within which another one is worth chains.
NEAR = 10.0
#: Distance between two tops, in the scale of the lower one, from which on they are two.
DISTINCT = 1.0
#: Steps that a direction is made from, and the share of the rise that a slope promises which has to come.
MEMORY, PROMISED = 20, 1e-4
#: Evaluations of each search at most, the relative rise below which it ends, and the shortest share of a step.
TICKS, SETTLED, SHORTEST = 400, 1e-9, 1e-8


@dataclass(frozen=True, eq=False)
class Summit:
    """A top.

    Parameters
    ----------
    place : (k,)
        Scores.
    height : float
        Log density of the scores.
    factor : (k, k)
        Lower triangle, whose product with its transpose is the inverse curvature.
    """

    place: Array
    height: float
    factor: Array

    @property
    def far(self) -> bool:
        """Whether it lies so far out in a prior that scores run out of digits."""
        return bool((np.abs(self.place) > FAR).any())

    def around(self, n: int, spread: float, rng: np.random.Generator) -> Array:
        """Scores ``(n, k)`` about the top, at ``spread`` times its scale."""
        return np.asarray(self.place + spread * rng.standard_normal((n, len(self.place))) @ self.factor.T)

    def distance(self, place: Array) -> float:
        """Of scores ``(k,)``, a root mean square over the parameters in the scale of the top."""
        from scipy.linalg import solve_triangular

        away = solve_triangular(self.factor, place - self.place, lower=True)
        return float(np.sqrt((away**2).mean()))


def summits(scores: NormalScores, groups: int, rng: np.random.Generator) -> list[list[Summit]]:
    """For each group of chains what searches of its own found, the highest first, all within :data:`NEAR` of the best.

    A group of which no search came so near has the best of the others.

    Raises
    ------
    UnsupportedFeature, InvalidValue
        Where the model or the engine has no gradient.
    NowherePossible
        When no draw from the prior is possible.
    """
    k = len(scores.space)
    target = SlopedScores(scores, np.zeros(k), np.eye(k))
    starts = [_likeliest(scores, stream) for stream in rng.spawn(groups)]
    places, heights = climbed(target, np.concatenate(starts))
    owner = np.repeat(np.arange(groups), [len(start) for start in starts])
    highest = [int(np.flatnonzero(owner == group)[np.argmax(heights[owner == group])]) for group in range(groups)]
    places[highest], heights[highest] = climbed(target, places[highest])
    best = int(np.argmax(heights))
    by_group = []
    for group in range(groups):
        near = np.flatnonzero((owner == group) & (heights > heights[best] - NEAR))
        ordered = near[np.argsort(-heights[near], kind="stable")] if len(near) else np.array([best])
        by_group.append(
            _different([Summit(places[i], float(heights[i]), inverse_curvature(target, places[i])) for i in ordered])
        )
    return by_group


def _likeliest(scores: NormalScores, rng: np.random.Generator) -> Array:
    """Starts ``(n, k)`` of one group's searches: the likeliest of possible draws of the prior."""
    drawn = possible_draws(scores, LOOKED_AT * SEARCHES, rng, scores.density.problem.title)
    return drawn[np.argsort(-log_density(scores, drawn), kind="stable")[:SEARCHES]]


def _different(tops: list[Summit]) -> list[Summit]:
    """Those that are apart from all higher ones."""
    different: list[Summit] = []
    for top in tops:
        if all(min(top.distance(higher.place), higher.distance(top.place)) > DISTINCT for higher in different):
            different.append(top)
    return different


def inverse_curvature(target: Sloped, place: Array) -> Array:
    """The lower factor of the inverse curvature, by differences of gradients."""
    k = len(place)
    steps = _APART * np.eye(k)
    slopes = target(np.vstack([place + steps, place - steps]))[1]
    curvature = (slopes[k:] - slopes[:k]) / (2 * _APART)
    values, vectors = np.linalg.eigh((curvature + curvature.T) / 2)
    # scores have a standard normal prior: less than 1 is a valley; far below 0 is a kink, as narrow as it is steep
    return np.linalg.cholesky((vectors / np.maximum(np.abs(values), 1.0)) @ vectors.T)


@dataclass
class _Searches:
    """Where searches are: points, densities, slopes, and the last changes of points and slopes, newest first."""

    points: Array
    logs: Array
    slopes: Array
    moves: Array
    turns: Array

    def directions(self) -> Array:
        """``(n, k)``: the slopes times the inverse curvature that the last changes tell."""
        towards = self.slopes.copy()
        products = (self.moves * self.turns).sum(axis=2)
        known = products > 0
        inverse = np.where(known, 1 / np.where(known, products, 1.0), 0.0)
        shares = []
        for i in range(MEMORY):
            shares.append(inverse[:, i] * (self.moves[:, i] * towards).sum(axis=1))
            towards -= shares[i][:, None] * self.turns[:, i]
        scale = (self.turns[:, 0] ** 2).sum(axis=1) * inverse[:, 0]
        longest = np.maximum(1.0, np.sqrt((self.slopes**2).sum(axis=1)))
        towards *= np.where(known[:, 0], 1 / np.where(scale > 0, scale, 1.0), 1 / longest)[:, None]
        for i in reversed(range(MEMORY)):
            back = inverse[:, i] * (self.turns[:, i] * towards).sum(axis=1)
            towards += (shares[i] - back)[:, None] * self.moves[:, i]
        return towards

    def move(self, rows: Array, points: Array, logs: Array, slopes: Array) -> None:
        """Go on to points that are higher; a change that tells no curvature is not kept."""
        moves, turns = points - self.points[rows], self.slopes[rows] - slopes
        product = (moves * turns).sum(axis=1)
        curved = product > 1e-10 * np.sqrt((moves**2).sum(axis=1) * (turns**2).sum(axis=1))
        for changes, new in ((self.moves, moves), (self.turns, turns)):
            changes[rows[curved], 1:] = changes[rows[curved], :-1]
            changes[rows[curved], 0] = new[curved]
        self.points[rows], self.logs[rows], self.slopes[rows] = points, logs, slopes


def climbed(target: Callable[[Array], tuple[Array, Array]], start: Array) -> tuple[Array, Array]:
    """Ends ``(n, k)`` of searches from ``start : (n, k)``, where the density is above zero, and log densities ``(n,)``.

    Parameters
    ----------
    target : function
        Log density ``(n,)`` and gradient ``(n, k)`` of points ``(n, k)``.
    """
    n, k = start.shape
    logs, slopes = target(start)
    now = _Searches(start.copy(), logs, slopes, np.zeros((n, MEMORY, k)), np.zeros((n, MEMORY, k)))
    towards, share, going = now.directions(), np.ones(n), np.isfinite(logs)
    for _ in range(TICKS):
        rows = np.flatnonzero(going)
        if not len(rows):
            break
        tried = now.points[rows] + share[rows, None] * towards[rows]
        logs, slopes = target(tried)
        promised = PROMISED * share[rows] * (towards[rows] * now.slopes[rows]).sum(axis=1)
        higher = logs > now.logs[rows] + np.maximum(promised, 0.0)
        settled = higher & (logs - now.logs[rows] < SETTLED * np.maximum(1.0, np.abs(logs)))
        now.move(rows[higher], tried[higher], logs[higher], slopes[higher])
        share[rows] = np.where(higher, 1.0, 0.5 * share[rows])
        going[rows] = ~settled & (share[rows] > SHORTEST)
        if higher.any():
            towards[rows[higher]] = now.directions()[rows[higher]]
    return now.points, now.logs
