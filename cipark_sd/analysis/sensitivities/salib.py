"""The uncertain constants of a model as SALib takes them: its methods run on our ensemble."""

from typing import Any

import numpy as np

from cipark_sd.analysis.sensitivities.factors import Factors


def salib_problem(factors: Factors, *, edge: float = 1 / 16) -> dict[str, Any]:
    """Names and bounds of factors for SALib, in shares of their distributions.

    A sample of SALib's for this problem is a set of points ``(n, k)`` of the unit cube, which
    ``response(response.scores(points), rows)`` runs: any prior is its quantile function, and an effect is that of a
    whole distribution.

    Parameters
    ----------
    edge : float
        The share that is kept from an end at which a distribution has no finite value: Morris' grids lie on the bounds.

    Returns
    -------
    dict
        ``num_vars``, ``names``, and ``bounds`` ``[low, high]`` of each, as shares.
    >>> from cipark_sd.analysis.sensitivities.factors import Factor
    >>> salib_problem(Factors((Factor("Rate", np.exp), Factor("Room", np.log))))
    {'num_vars': 2, 'names': ['Rate', 'Room'], 'bounds': [[0.0, 1.0], [0.0625, 1.0]]}
    """
    k = len(factors)
    with np.errstate(all="ignore"):
        low, high = (np.isfinite(factors.scores(np.full((1, k), end)))[0] for end in (0.0, 1.0))
    bounds = [[0.0 if a else edge, 1.0 if b else 1 - edge] for a, b in zip(low, high, strict=True)]
    return {"num_vars": k, "names": list(factors.names), "bounds": bounds}
