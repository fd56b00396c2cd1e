"""Likely places of a posterior, from which searches for its top go on: where chains come to that are warmed.

A search from a draw of the prior stops at the first kink or ridge that keeps it. Chains that begin where the likelihood
has a small power, at which there is one broad hill, and that are drawn anew by weight as the power grows, come past
these (:mod:`calibration.sampling.warming`).
"""

import numpy as np

from calibration.likelihood.posterior import Posterior
from calibration.sampling.normal_scores import NormalScores
from calibration.sampling.summits import summits
from calibration.sampling.warming import WARMING, Warming
from cipark_sd.arrays import Array


def likely_places(density: Posterior, n: int, rng: np.random.Generator) -> Array:
    """Values ``(n, k)`` of the likeliest of :data:`calibration.sampling.warming.CHAINS` chains, the best first.

    None where the posterior lies so far out in a prior that no chain can be followed.

    Raises
    ------
    UnsupportedFeature, InvalidValue
        Where the model or the engine has no gradient.
    NowherePossible
        When no draw from the prior is possible.
    """
    from threadpoolctl import threadpool_limits

    # products of small matrices cost several times as much on threads of their own
    with threadpool_limits(1, user_api="blas"):
        scores = NormalScores(density)
        tops = summits(scores, 1, rng)
        if tops[0][0].far:
            return np.empty((0, len(scores.space)))
        warming = Warming(scores, tops, rng)
        warming.window(WARMING)
        warming.rise()
        return scores.theta(warming.at[np.argsort(-warming.logs, kind="stable")[:n]])
