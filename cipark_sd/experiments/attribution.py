"""How much each mechanism did: a full factorial over mechanisms and the Shapley values of what it shows.

Taking one mechanism out of the whole and adding it alone to nothing give different answers, and neither adds up where
mechanisms work on each other; Shapley values do, draw by draw.
"""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from cipark_sd.arrays import Array
from cipark_sd.errors import InvalidValue
from cipark_sd.experiments.definition import Factor, Policy
from cipark_sd.scenarios import Scenario

if TYPE_CHECKING:
    import xarray as xr

#: More factors would be more runs than anyone waits for: 4096 for each draw.
MOST_FACTORS = 12


def factorial(factors: Sequence[Factor], variant: Policy | None = None) -> tuple[Policy, ...]:
    """All combinations of factors, ``2**k`` policies; bit *i* of a policy's number says that factor *i* is on.

    Parameters
    ----------
    variant : Policy, optional
        Settings that hold in all combinations.

    Raises
    ------
    InvalidValue
        Without a factor, or with more than :data:`MOST_FACTORS`.
    """
    k = len(factors)
    if not 1 <= k <= MOST_FACTORS:
        raise InvalidValue("the number of factors", k, f"1 to {MOST_FACTORS}", where="attribution")
    policies = []
    for mask in range(2**k):
        settings = variant.scenario if variant is not None else Scenario()
        for position, factor in enumerate(factors):
            settings = settings | (factor.on if mask >> position & 1 else factor.off)
        on = [factor.id for position, factor in enumerate(factors) if mask >> position & 1]
        policies.append(Policy("+".join(on) or "none", ", ".join(on) or "none", settings.renamed("")))
    return tuple(policies)


def shapley_matrix(k: int) -> Array:
    """``(k, 2**k)``: its product with the values of all coalitions gives the Shapley values.

    Source: Shapley (1953), A value for n-person games; coalitions are numbered by their bits.
    """
    matrix = np.zeros((k, 2**k))
    for mask in range(2**k):
        size = mask.bit_count()
        for player in range(k):
            if mask >> player & 1:
                matrix[player, mask] = 1 / (k * math.comb(k - 1, size - 1))
            else:
                matrix[player, mask] = -1 / (k * math.comb(k - 1, size))
    return matrix


def interaction_matrix(k: int) -> Array:
    """``(n_pairs, 2**k)``, pairs in the order of ``itertools.combinations``: the Shapley interaction index.

    Positive where two factors are worth more together than one by one, averaged over what else is there.

    Source: Grabisch and Roubens (1999), Int. J. Game Theory 28, 547-565, for pairs.
    """
    pairs = list(combinations(range(k), 2))
    matrix = np.zeros((len(pairs), 2**k))
    for row, (i, j) in enumerate(pairs):
        for mask in range(2**k):
            coalition = mask & ~(1 << i) & ~(1 << j)
            weight = 1 / ((k - 1) * math.comb(k - 2, coalition.bit_count()))
            present = (mask >> i & 1) + (mask >> j & 1)
            matrix[row, mask] = weight if present != 1 else -weight
    return matrix


def attribution(result: "xr.Dataset", factors: Sequence[Factor]) -> "xr.Dataset":
    """Shapley values and their rivals from the run of a :func:`factorial`, for each outcome.

    Returns
    -------
    xarray.Dataset
        For each outcome ``<outcome>`` (Shapley values), ``<outcome> leave one out`` (all less all without it),
        ``<outcome> add one in`` (it alone less nothing), dims ``factor, rival, draw, time``;
        ``<outcome> interaction``, dims ``pair, rival, draw, time``; ``<outcome> total``, dims ``rival, draw, time``.

    Raises
    ------
    InvalidValue
        When the result is not a factorial of these factors.
    """
    import xarray as xr

    k = len(factors)
    expected = [policy.id for policy in factorial(factors)]
    if [str(name) for name in result["policy"].to_numpy()] != expected:
        raise InvalidValue("its policies", result.sizes["policy"], f"the {2**k} of the factorial", where="attribution")
    pairs = list(combinations(range(k), 2))
    full = 2**k - 1
    variables: dict[str, Any] = {}
    dims = ("rival", "draw", "time")
    for name, array in result.data_vars.items():
        if "per" in array.attrs:
            continue  # shares do not add up
        v = array.transpose("policy", *dims).to_numpy()
        attributes = dict(array.attrs)
        variables[f"{name}"] = (("factor", *dims), np.tensordot(shapley_matrix(k), v, 1), attributes)
        out = np.stack([v[full] - v[full & ~(1 << i)] for i in range(k)])
        alone = np.stack([v[1 << i] - v[0] for i in range(k)])
        variables[f"{name} leave one out"] = (("factor", *dims), out, attributes)
        variables[f"{name} add one in"] = (("factor", *dims), alone, attributes)
        variables[f"{name} interaction"] = (("pair", *dims), np.tensordot(interaction_matrix(k), v, 1), attributes)
        variables[f"{name} total"] = (dims, v[full] - v[0], attributes)
    coords = {
        "factor": [factor.id for factor in factors],
        "factor_title": ("factor", [factor.title for factor in factors]),
        "pair": [f"{factors[i].id} x {factors[j].id}" for i, j in pairs],
    }
    shared = {key: result[key] for key in ("rival", "rival_title", "origin", "weight", "draw", "time", "instant")}
    return xr.Dataset(variables, coords=coords | shared, attrs=dict(result.attrs))
