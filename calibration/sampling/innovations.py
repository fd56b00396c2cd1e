"""Normal scores in which innovations are measured by their size, as far as the data know them.

The prior of an innovation is standard normal, and what the data see is its product with the size of all: where they
see much, the posterior of both is a curved funnel that no mixture of Student distributions fits. In coordinates
``u = z size`` it is nearly normal, while ``z`` itself suits innovations that the data leave alone. Those
of a process are taken as that of both in which the starting points are likelier under a normal of their own.

Source: Papaspiliopoulos, Roberts and Sköld 2007, Statistical Science 22(1), 59-73 (partly non-centred); Gorinova, Moore
and Hoffman 2020, ICML, PMLR 119, 3648-3657 (the choice by the fit of an approximation).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.sampling.normal_scores import NormalScores
from cipark_sd.arrays import Array


@dataclass(frozen=True, eq=False)
class Scaled:
    """Innovations in some ``columns``, times their size, which stands in the column ``size``."""

    columns: NDArray[np.intp]
    size: int


@dataclass(frozen=True, eq=False)
class ScaledScores:
    """The ``scores`` of a posterior with some innovations times their size; points are ``(n, k)``."""

    scores: NormalScores
    processes: tuple[Scaled, ...]

    def _log_sizes(self, free: Array) -> list[Array]:
        """Of each process the logarithm ``(…,)`` of its size over the median of its prior."""
        logs = []
        for process in self.processes:
            size = self.scores.theta_of(process.size, free[..., process.size])
            with np.errstate(divide="ignore"):
                logs.append(np.log(size / self.scores.space.parameters[process.size].median))
        return logs

    def _plain(self, free: Array, log_sizes: Sequence[Array]) -> Array:
        """Scores of coordinates."""
        scores = np.array(free, dtype=float)
        for process, logs in zip(self.processes, log_sizes, strict=True):
            with np.errstate(over="ignore", invalid="ignore"):
                scores[..., process.columns] = free[..., process.columns] * np.exp(-logs)[..., None]
        # a size of nothing leaves innovations unknown
        return np.where(np.isnan(scores), np.inf, scores)

    def free(self, scores: Array) -> Array:
        """Coordinates of scores ``(…, k)``."""
        free = np.array(scores, dtype=float)
        for process, logs in zip(self.processes, self._log_sizes(scores), strict=True):
            free[..., process.columns] *= np.exp(logs)[..., None]
        return free

    def theta(self, free: Array) -> Array:
        """Values of coordinates ``(…, k)``."""
        return self.scores.theta(self._plain(free, self._log_sizes(free)))

    def log_prior(self, free: Array) -> Array:
        """``(n,)``: that of the scores with the derivative by the coordinates."""
        log_sizes = self._log_sizes(free)
        total = self.scores.log_prior(self._plain(free, log_sizes))
        with np.errstate(invalid="ignore"):
            for process, logs in zip(self.processes, log_sizes, strict=True):
                total = total - len(process.columns) * logs
        return np.where(np.isfinite(total), total, -np.inf)

    def log_likelihood(self, free: Array) -> Array:
        """``(n,)``."""
        return self.scores.density.log_likelihood(self.theta(free))

    def draw_prior(self, n: int, rng: np.random.Generator) -> Array:
        """``(n, k)``."""
        return self.free(self.scores.draw_prior(n, rng))

    def fit(self, points: Array) -> float:
        """Mean log density, up to a constant, of ``points : (n, k)``, as scores, under a normal fitted to them here."""
        free = self.free(points)
        pairs = zip(self.processes, self._log_sizes(points), strict=True)
        slopes = sum(len(process.columns) * float(logs.mean()) for process, logs in pairs)
        sign, log_volume = np.linalg.slogdet(np.cov(free.T))
        return slopes - 0.5 * float(log_volume) if sign > 0 and np.isfinite(free).all() else -np.inf


def suited(scores: NormalScores, points: Array) -> NormalScores | ScaledScores:
    """Coordinates in which ``points : (n, k)`` of the posterior, as scores, are nearest to a normal.

    The deviations of groups that have data, pool by pool, as they are or all of them times their size.
    """
    names, problem = scores.space.names, scores.density.problem
    # a group without data has its prior, and that is normal as it is
    informed = [
        (pool, [deviation for deviation in pool.innovations if deviation.use == "CAL"]) for pool in problem.pools
    ]
    processes = [
        Scaled(np.array([names.index(deviation.name) for deviation in deviations]), names.index(pool.size.name))
        for pool, deviations in informed
        if deviations
    ]
    chosen: tuple[Scaled, ...] = ()
    for process in processes:
        extended = (*chosen, process)
        if ScaledScores(scores, extended).fit(points) > ScaledScores(scores, chosen).fit(points):
            chosen = extended
    return ScaledScores(scores, chosen) if chosen else scores
