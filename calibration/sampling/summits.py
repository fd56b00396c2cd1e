"""Tops of a posterior in normal scores of its prior, and how it curves there: where trajectories begin.

Searches by gradient start from the likeliest of many draws of the prior. Some stop at a kink or in a valley of no
weight, so the best of several counts, climbed once more. Its inverse curvature is the first measure of scale (the
Laplace approximation); a direction in which the posterior curves less than the prior has the prior's width.
"""

from dataclasses import dataclass

import numpy as np

from calibration.sampling.climbing import climbed
from calibration.sampling.densities import log_density
from calibration.sampling.hamiltonian import Sloped
from calibration.sampling.normal_scores import NormalScores
from calibration.sampling.sloped_scores import SlopedScores
from calibration.sampling.starts import possible_draws
from cipark_sd.arrays import Array

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
