"""Searches for tops by gradient, many in step: each tick asks for the density of all of them at once.

Limited-memory BFGS with steps that are halved until the density rises enough. A gradient of many points costs little
more than one of a few, so that two dozen searches take about as long as one.

Source: Nocedal and Wright 2006, Numerical Optimization, algorithms 3.1 (steps) and 7.4 (direction).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cipark_sd.arrays import Array

#: Steps that a direction is made from, and the share of the rise that a slope promises which has to come.
MEMORY, PROMISED = 20, 1e-4
#: Evaluations of each search at most, the relative rise below which it ends, and the shortest share of a step.
TICKS, SETTLED, SHORTEST = 400, 1e-9, 1e-8


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
