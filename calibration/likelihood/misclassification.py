"""The probability that members of known categories are reported in others."""

import numpy as np
from numpy.typing import NDArray

from cipark_sd.arrays import Array


def recoded(counts: Array, known_totals: Array, matrix: Array) -> Array:
    """Log probability that members of true categories are reported as ``counts``: a sum of multinomials.

    Each of the ``given`` members of a true category is reported by its row of the matrix, and only the sums over the
    true categories are seen. The probability is the coefficient of a product of multinomials, summed exactly: all
    summands are positive, so nothing cancels.

    Parameters
    ----------
    counts : (n_reported,), given : (n_true,)
        Of one total.
    matrix : (n, n_true, n_reported)

    Returns
    -------
    (n,)
    """
    # the largest reported category is the one that follows from the others, so that the lattice is small
    by_size = np.argsort(counts, kind="stable")
    # all arrays run over the points fastest
    rows = np.ascontiguousarray(matrix[:, :, by_size].transpose(1, 2, 0))
    limits = tuple(int(count) for count in np.asarray(counts)[by_size[:-1]])
    # the largest true category comes last: of its sum with the others only one entry is needed
    order = np.argsort(known_totals, kind="stable")
    total = np.zeros((*(limit + 1 for limit in limits), len(matrix)))
    total[(0,) * len(limits)] = 1.0
    for position, k in enumerate(order):
        points, mass = _multinomial_lattice(int(known_totals[k]), limits, rows[k])
        if position == len(order) - 1:
            offsets = np.asarray(limits) - points
            density = sum(of_point * total[tuple(place)] for of_point, place in zip(mass, offsets, strict=True))
        else:
            total = _with(total, points, mass)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log(density))


def recoded_slopes(counts: Array, known_totals: Array, matrix: Array) -> Array:
    """Derivatives ``(n, n_true, n_reported)`` of :func:`recoded` by the entries of the matrix, as if each were free.

    The derivative of a sum of products by a row's entry is the same sum with one member less, who was reported there.
    """
    logs = recoded(counts, known_totals, matrix)
    slopes = np.zeros_like(matrix)
    for true, total in enumerate(known_totals.tolist()):
        for reported, count in enumerate(counts.tolist()):
            if total > 0 and count > 0:
                fewer, remaining = known_totals.copy(), counts.copy()
                fewer[true], remaining[reported] = total - 1, count - 1
                slopes[:, true, reported] = total * np.exp(recoded(remaining, fewer, matrix) - logs)
    return slopes


def _multinomial_lattice(n: int, limits: tuple[int, ...], rows: Array) -> tuple[NDArray[np.intp], Array]:
    """Counts in all categories but the last, up to ``limits``, and their masses ``(n_points, n)``; none that is nil."""
    from scipy.special import gammaln, xlogy

    axes = np.meshgrid(*(np.arange(min(limit, n) + 1) for limit in limits), indexing="ij")
    points = np.stack([axis.ravel() for axis in axes], axis=-1)
    points = points[points.sum(axis=1) <= n]
    whole = np.concatenate([points, n - points.sum(axis=1, keepdims=True)], axis=1)
    ways = gammaln(n + 1) - gammaln(whole + 1).sum(axis=1)
    mass = np.exp(ways[:, None] + xlogy(whole[:, :, None], rows).sum(axis=1))
    some = mass.any(axis=1)
    return points[some], mass[some]


def _with(total: Array, points: NDArray[np.intp], mass: Array) -> Array:
    """The lattice of a sum, entries beyond the limits left out."""
    result = np.zeros_like(total)
    for place, of_point in zip(points.tolist(), mass, strict=True):
        to = tuple(slice(by, None) for by in place)
        left = tuple(slice(0, size - by) for by, size in zip(place, total.shape[:-1], strict=True))
        result[to] += of_point * total[left]
    return result
