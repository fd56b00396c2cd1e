"""How many members of a whole have joined a part, given the whole and the counts before.

Members stay in the part once they are in it. Of the ``total`` that a whole counts, those of the count before are in the
part already; of the others each has joined since with the chance ``joined / (joined + rest)`` that the model gives, the
``rest`` being the model's members that are not in the part at the end. A count that was told as an interval is summed
over, so that the product over the rows of a series is the probability of all of them together.
"""

import numpy as np

from calibration.families.base import ShareFamily
from calibration.study.observations import Share
from cipark_sd.arrays import Array


def joined_log_mass(term: Share, values: Array, lower: float = 0, upper: float | None = None) -> Array:
    """Log probabilities ``(n, q)`` of the counts from ``lower`` to ``upper``, or to the total, given all rows before.

    Parameters
    ----------
    values : (n, n_quantities)
        Those of the term: members joined and left over in its own window, then in those of ``since.earlier``.
    """
    since = term.since
    assert since is not None
    pairs = values.reshape(len(values), -1, 2)
    logs = np.zeros((len(values), 1))
    counts = np.array([since.before])
    for place, (low, high, total) in enumerate(since.earlier, start=1):
        reached = np.arange(max(low, since.before), min(high, total) + 1)
        logs = _step(term.noise.family, logs, counts, reached, total, pairs[:, place])
        counts = reached
    with np.errstate(invalid="ignore"):
        logs = logs - np.logaddexp.reduce(logs, axis=1, keepdims=True)
    reached = np.arange(np.ceil(lower), (term.total if upper is None else upper) + 1)
    return _step(term.noise.family, logs, counts, reached, term.total, pairs[:, 0])


def _step(family: ShareFamily, logs: Array, counts: Array, reached: Array, total: float, pair: Array) -> Array:
    """From log probabilities ``(n, p)`` of ``counts`` to those ``(n, q)`` of ``reached``, by the ``pair : (n, 2)``."""
    with np.errstate(invalid="ignore", divide="ignore"):
        chance = pair[:, 0] / pair.sum(axis=1)
    joining = reached[None, :] - counts[:, None]
    moved = family.log_density(joining[None], (total - counts)[None, :, None], chance[:, None, None])
    with np.errstate(invalid="ignore"):
        return np.asarray(np.logaddexp.reduce(logs[:, :, None] + moved, axis=1))


def joined_slopes(term: Share, values: Array) -> Array:
    """Derivatives ``(n, n_quantities)`` of the log of the sum of :func:`joined_log_mass` over the term's own interval.

    Each window's chance is carried forward by itself: there are few of them.
    """
    since = term.since
    assert since is not None
    pairs = values.reshape(len(values), -1, 2)
    family, n_windows = term.noise.family, pairs.shape[1]
    logs, slopes = np.zeros((len(values), 1)), np.zeros((len(values), 1, n_windows))
    counts = np.array([since.before])
    windows = [*enumerate(since.earlier, start=1), (0, (np.ceil(term.lower), term.upper, term.total))]
    for place, (low, high, total) in windows:
        reached = np.arange(max(low, since.before) if place else low, min(high, total) + 1)
        if not place:
            shares = _shares(logs, 1)
            logs = logs - np.logaddexp.reduce(logs, axis=1, keepdims=True)
            slopes = slopes - (shares[..., None] * slopes).sum(axis=1, keepdims=True)
        chance = pairs[:, place, 0] / pairs[:, place].sum(axis=1)
        gained, left = reached[None, :] - counts[:, None], total - counts
        moved = logs[:, :, None] + family.log_density(gained[None], left[None, :, None], chance[:, None, None])
        shares = _shares(moved, 1)
        moves = family.slope(np.clip(gained, 0, left[:, None])[None], left[None, :, None], chance[:, None, None])
        logs = np.logaddexp.reduce(moved, axis=1)
        slopes = (shares[..., None] * slopes[:, :, None]).sum(axis=1)
        slopes[..., place] += (shares * np.where(shares > 0, moves, 0.0)).sum(axis=1)
        counts = reached
    by_chance = (_shares(logs, 1)[..., None] * slopes).sum(axis=1)
    whole = pairs.sum(axis=2)
    chance = pairs[..., 0] / whole
    return np.stack([by_chance * (1 - chance) / whole, -by_chance * chance / whole], axis=2).reshape(values.shape)


def _shares(logs: Array, axis: int) -> Array:
    """Shares of a sum whose summands have these logarithms; none of a sum of nothing."""
    top = logs.max(axis=axis, keepdims=True, initial=-np.inf)
    powers = np.exp(logs - np.where(np.isfinite(top), top, 0.0))
    total = powers.sum(axis=axis, keepdims=True)
    return np.asarray(powers / np.where(total > 0, total, 1.0))
