"""Residuals that remember: a first-order autocorrelation over any gaps in time.

Each measurement has a standard normal score, which its family gives
(:meth:`calibration.noise.families.base.MeasurementFamily.score`). Scores are a stationary Gaussian process whose
correlation over a gap is ``phi ** (gap / lag)``: a first-order autoregression where dates are even, and the same
process seen less often where they are not. The process is Markov, so a score depends on its nearest known neighbours
only.

Source: Robinson 1977, Stochastic Processes and their Applications 6(1), 9-24 (unequal spacing); Song 2000, Scandinavian
Journal of Statistics 27(2), 305-320 (densities under a Gaussian copula).
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from calibration.study.observations import Count, Memory
from cipark_sd.base.arrays import Array

#: What a fitted score is judged by: those before it, so that a product is the joint density, or all the others.
Known = Literal["earlier", "others"]


@dataclass(frozen=True, eq=False)
class Series:
    """The terms of one autocorrelated series, by time.

    Parameters
    ----------
    members : (m,)
        Positions among all terms of the problem.
    times : (m,), ascending
    fitted : (m,)
        Whether the term is in the fit; only those are known to the others.
    """

    memory: Memory
    members: NDArray[np.intp]
    times: Array
    fitted: NDArray[np.bool_]

    def conditional(self, scores: Array, phi: Array, known: Known = "earlier") -> tuple[Array, Array]:
        """Mean and variance ``(n, m)`` of each score given fitted ones, for ``scores : (n, m)`` and ``phi : (n,)``.

        A term that is not in the fit is given its fitted neighbours on both sides.
        """
        places = np.arange(len(self.times))
        observed = places[self.fitted]
        before = np.searchsorted(observed, places, side="left") - 1
        after = np.searchsorted(observed, places, side="right")
        past, past_score = self._neighbour(scores, phi, before, observed)
        future, future_score = self._neighbour(scores, phi, after, observed)
        if known == "earlier":
            future = np.where(self.fitted, 0.0, future)
        return bridge(past, past_score, future, future_score)

    def _neighbour(
        self, scores: Array, phi: Array, points: NDArray[np.intp], observed: NDArray[np.intp]
    ) -> tuple[Array, Array]:
        """Correlation with, and score of, the fitted neighbour in the ``which``-th place; 0 where there is none."""
        there = (points >= 0) & (points < len(observed))
        if not there.any():
            return np.zeros_like(scores), np.zeros_like(scores)
        place = observed[np.clip(points, 0, len(observed) - 1)]
        gap = np.where(there, np.abs(self.times - self.times[place]), np.inf)
        return self.correlation(phi, gap), np.where(there, scores[:, place], 0.0)

    def correlation(self, phi: Array, gap: Array) -> Array:
        """``(n, m)`` over gaps ``(m,)``; NaN for a ``phi`` outside 0 to 1."""
        usable = np.where((phi >= 0) & (phi < 1), phi, np.nan)
        return np.asarray(usable[:, None] ** (gap / self.memory.lag))

    def log_gain(self, scores: Array, phi: Array, known: Known = "earlier") -> Array:
        """``(n, m)``: what the neighbours add to the log density that each term has by itself."""
        mean, variance = self.conditional(scores, phi, known)
        with np.errstate(invalid="ignore", over="ignore"):
            return np.asarray(-0.5 * ((scores - mean) ** 2 / variance + np.log(variance) - scores**2))

    def log_gain_slopes(self, scores: Array, phi: Array, weights: Array) -> tuple[Array, Array]:
        """Derivatives by ``scores : (n, m)`` and by ``phi``, ``(n,)``, of the gains times ``weights : (m,)``.

        The gains are those of the fitted terms given the earlier ones.
        """
        observed = np.flatnonzero(self.fitted)
        before, after, factors = observed[:-1], observed[1:], weights[observed[1:]]
        lags = np.abs(self.times[after] - self.times[before]) / self.memory.lag
        phi = phi[:, None]
        past, by_phi = phi**lags, lags * phi ** (lags - 1)
        new, variance = scores[:, after] - past * scores[:, before], 1 - past**2
        by_scores = np.zeros_like(scores)
        by_scores[:, after] += factors * (scores[:, after] - new / variance)
        by_scores[:, before] += factors * new * past / variance
        by_past = new * scores[:, before] / variance - (new / variance) ** 2 * past + past / variance
        return by_scores, (factors * by_past * by_phi).sum(axis=1)

    def only(self, chosen: NDArray[np.bool_]) -> "Series":
        """The series of some of its terms, ``chosen : (m,)``."""
        return replace(self, members=self.members[chosen], times=self.times[chosen], fitted=self.fitted[chosen])

    def sample(self, scores: Array, phi: Array, normals: Array) -> Array:
        """Random scores ``(n, m)``: a new course of the fitted terms, and the others as they go on from the old one.

        Parameters
        ----------
        normals : (n, m)
            Standard normal numbers of each term.
        """
        fresh, nothing = np.empty_like(scores), np.zeros(len(scores))
        known = {j: scores[:, j] for j in np.flatnonzero(self.fitted).tolist()}
        last: int | None = None
        before = nothing
        for i, noise in enumerate(normals.T):
            if self.fitted[i]:
                rho = self._pair(phi, i, last)
                fresh[:, i] = rho * before + np.sqrt(1 - rho**2) * noise
                last, before = i, fresh[:, i]
                continue
            past = max((j for j in known if j < i), default=None)
            future = min((j for j in known if j > i), default=None)
            past_score, future_score = (nothing if j is None else known[j] for j in (past, future))
            mean, variance = bridge(self._pair(phi, i, past), past_score, self._pair(phi, i, future), future_score)
            fresh[:, i] = mean + np.sqrt(variance) * noise
            known[i] = fresh[:, i]
        return fresh

    def _pair(self, phi: Array, i: int, j: int | None) -> Array:
        if j is None:
            return np.zeros(len(phi))
        return self.correlation(phi, np.abs(self.times[[i]] - self.times[j]))[:, 0]


def bridge(past: Array, past_score: Array, future: Array, future_score: Array) -> tuple[Array, Array]:
    """Mean and variance of a score between two known ones, or beside one.

    With correlations ``a`` and ``b`` to the scores ``x`` before and ``y`` after it, whose own is ``a b``::

        mean = (a (1 - b²) x + b (1 - a²) y) / (1 - a² b²),    variance = (1 - a²) (1 - b²) / (1 - a² b²)

    Source: Anderson 2003, An Introduction to Multivariate Statistical Analysis, theorem 2.5.1.

    Parameters
    ----------
    past, future : (…)
        Correlation with the known score before and after it; 0 where there is none.
    past_score, future_score : (…)

    Returns
    -------
    (…), (…)
    """
    away = 1 - (past * future) ** 2
    mean = (past * (1 - future**2) * past_score + future * (1 - past**2) * future_score) / away
    return np.asarray(mean), np.asarray((1 - past**2) * (1 - future**2) / away)


def series_of(terms: "list[tuple[int, Count]]", memory: Memory) -> Series:
    """The series of some terms.

    Parameters
    ----------
    terms : list of int and Count
        Each with its position among all terms of the problem, in any order.
    """
    ordered = sorted(terms, key=lambda pair: pair[1].moment)
    return Series(
        memory,
        np.array([i for i, _ in ordered], dtype=np.intp),
        np.array([term.moment for _, term in ordered]),
        np.array([term.use == "fit" for _, term in ordered]),
    )
