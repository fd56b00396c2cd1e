"""Plain searches on a study's log density: by SciPy in the box of its search ranges, warm started.

Only the values of the log likelihood and of the priors are the study's; differences, searches and profiles are not.
"""

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import optimize

from calibration.likelihood.posterior import Posterior

Array = np.ndarray[Any, np.dtype[np.float64]]

#: Half a central difference, as share of a search range.
STEP = 1e-4
#: What an impossible point costs.
IMPOSSIBLE = 1e8
#: A parameter this near to an end of its range is on it.
EDGE = 1e-5
#: Points of a search without slopes, and its first steps in shares of the search ranges: along dengue's jumps 3,000
#: points find places 0.1 below the top where L-BFGS-B and SLSQP stay 1.93 below it.
FELT, RADIUS = 3000, 0.03
#: Other points that are looked at, and those of them from which a search begins.
NEAREST, LIKELIEST = 60, 4


@dataclass
class Surface:
    """Log density over the box of the free parameters; ``left_out`` is the one whose own prior does not count."""

    density: Posterior
    base: Array
    free: Array
    with_priors: bool
    deadline: float = np.inf
    left_out: int = -1
    evaluations: int = field(default=0)

    def theta(self, box: Array) -> Array:
        """Full vectors of points ``(n, n_free)``."""
        full = np.repeat(self.base[None, :], len(box), axis=0)
        space = self.density.space
        whole = np.repeat(space.to_box(self.base)[None, :], len(box), axis=0)
        whole[:, self.free] = np.clip(box, 0, 1)
        full[:, self.free] = space.from_box(whole)[:, self.free]
        return full

    def box(self, theta: Array) -> Array:
        """The point of a full vector."""
        return np.clip(self.density.space.to_box(theta)[self.free], 0, 1)

    def heights(self, box: Array) -> Array:
        """Log density ``(n,)``."""
        theta = self.theta(box)
        self.evaluations += len(theta)
        total = self.density.log_likelihood(theta)
        if self.with_priors:
            priors = self.density.space.log_prior_scaled(theta)
            if self.left_out >= 0:
                from calibration.study.parameters import ParameterSpace

                own_prior = ParameterSpace((self.density.space.parameters[self.left_out],))
                priors = priors - own_prior.log_prior_scaled(theta[:, [self.left_out]])
            total = total + priors
        # a depth without bound would end the line search of a first step
        return np.where(np.isfinite(total), np.maximum(total, -IMPOSSIBLE), -IMPOSSIBLE)

    def climb(
        self, start: Array, held: int | None = None, iterations: int = 100, method: str = "L-BFGS-B"
    ) -> tuple[Array, float]:
        """The top that a method reaches from a point; ``held`` is a place of ``free`` that does not move."""
        moving = np.array([i for i in range(len(start)) if i != held], dtype=int)
        best = (np.clip(start, 0, 1), -IMPOSSIBLE)

        def fall(point: Array) -> tuple[float, Array]:
            nonlocal best
            whole = np.repeat(start[None, :], 2 * len(moving) + 1, axis=0)
            whole[:, moving] = point
            rows = np.arange(len(moving))
            whole[1 + rows, moving] = np.minimum(point + STEP, 1)
            whole[1 + len(moving) + rows, moving] = np.maximum(point - STEP, 0)
            heights = self.heights(whole)
            up, down = heights[1 : 1 + len(moving)], heights[1 + len(moving) :]
            width = whole[1 + rows, moving] - whole[1 + len(moving) + rows, moving]
            usable = (up > -IMPOSSIBLE) & (down > -IMPOSSIBLE)
            if heights[0] > best[1]:
                best = (whole[0].copy(), float(heights[0]))
            if time.process_time() > self.deadline:
                raise StopIteration
            return -float(heights[0]), -np.where(usable, (up - down) / width, 0.0)

        try:
            for _ in range(3):
                before = best[1]
                options = {"maxiter": iterations, "ftol": 1e-12} | ({"gtol": 1e-5} if method == "L-BFGS-B" else {})
                point = best[0][moving]
                optimize.minimize(fall, point, jac=True, method=method, bounds=[(0, 1)] * len(point), options=options)
                if best[1] < before + 0.01:
                    break
        except StopIteration:
            pass
        return best

    def feel(self, start: Array, held: int) -> tuple[Array, float]:
        """The top that is reached without slopes, which mislead where the density jumps."""
        moving = np.array([i for i in range(len(start)) if i != held], dtype=int)
        whole = start.copy()

        def fall(point: Array) -> float:
            if time.process_time() > self.deadline:
                raise StopIteration
            whole[moving] = point
            return -float(self.heights(whole[None, :])[0])

        options, bounds = {"maxfev": FELT, "initial_tr_radius": RADIUS}, [(0, 1)] * len(moving)
        try:
            ended = optimize.minimize(fall, start[moving], method="COBYQA", bounds=bounds, options=options)
        except StopIteration:
            return start, -IMPOSSIBLE
        whole[moving] = ended.x
        return whole, -float(ended.fun)

    def on_edge(self, point: Array, held: int) -> bool:
        """Whether another parameter of the model is at an end of its range."""
        parameters = self.density.space.parameters
        return any(
            (x < EDGE or x > 1 - EDGE) and parameters[self.free[i]].target == "model"
            for i, x in enumerate(point)
            if i != held
        )


def walk(
    surface: Surface, top: Array, height: float, place: int, side: int, rise: float, starts: Array | None = None
) -> tuple[str, float, float]:
    """Follows one side of a plain profile from the top; where it has risen, searches go on from ``starts`` as well.

    Of these points ``(n, n_free)`` the likeliest of those that are nearest to where it has risen are taken.

    Returns
    -------
    state : str
        ``closed``, ``open`` (flat to the end of the range), ``edge`` (another parameter is at an end of its range) or
        ``late`` (no time).
    at : float
        The first point of the box with the rise.
    better : float
        By how much the best point on the way is above the top.
    """
    point, step, better, last = top.copy(), 0.01, 0.0, 0.0
    while True:
        x = float(np.clip(point[place] + side * step, 0, 1))
        trial = point.copy()
        trial[place] = x
        reached, value = surface.climb(trial, held=place, iterations=40)
        if time.process_time() > surface.deadline:
            return "late", x, better
        fallen = height - value
        if fallen >= rise:
            # a thin valley holds L-BFGS-B up: a dense quasi-Newton method goes on from where it ended
            reached, value = surface.climb(reached, held=place, iterations=150, method="SLSQP")
            for again in [] if starts is None else _likeliest(surface, starts, place, x):
                if height - value >= rise:
                    reached, value = max((reached, value), surface.climb(again, held=place), key=lambda top: top[1])
            if height - value >= rise:
                # slopes may have been misled all the way
                reached, value = max((reached, value), surface.feel(trial, place), key=lambda top: top[1])
            if time.process_time() > surface.deadline:
                return "late", x, better
            fallen = height - value
        better = max(better, -fallen)
        if fallen >= rise:
            return ("edge" if surface.on_edge(reached, place) else "closed"), x, better
        if x in (0.0, 1.0):
            return "open", x, better
        step = min(step * 2, 0.12) if fallen - last < rise / 4 else step
        point, last = reached, fallen


def _likeliest(surface: Surface, starts: Array, place: int, x: float) -> Array:
    """Of the points nearest to ``x`` those, moved there, at which the density is highest."""
    nearest = starts[np.argsort(np.abs(starts[:, place] - x), kind="stable")[:NEAREST]].copy()
    nearest[:, place] = x
    return nearest[np.argsort(-surface.heights(nearest), kind="stable")[:LIKELIEST]]
