"""The log density of terms, given what the model says for their quantities.

Terms that differ in numbers only are computed together: what their data alone decide is computed once
(:func:`_group_density`). One term is more than a family's. Of a part whose members are counted again and again,
members stay in the part once they are in it: of the ``total`` that a whole counts, those of the count before are in the
part already; of the others each has joined since with the chance ``joined / (joined + rest)`` that the model gives, the
``rest`` being the model's members that are not in the part at the end. A count that was told as an interval is summed
over, so that the product over the rows of a series is the probability of all of them together.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from calibration.likelihood.net_counts import NetCount, Rise, net_count_of
from calibration.noise.families.base import CountFamily, NumberFamily, ShareFamily, log_sum
from calibration.study.observations import Breakdown, Count, Share, Term
from cipark_sd.base.arrays import Array


def expected_numbers(term: Term, values: Array) -> Array:
    """What a term's noise lies around.

    A ratio is divided. Of those who may have joined a part there are the joined and all of them. A breakdown has the
    sizes of its categories up to a factor.

    Parameters
    ----------
    values : (n, n_quantities)
        Of a count also ``(…, n_quantities)``.

    Returns
    -------
    (n, …)
        A count has its mean first, and its mean gains where these are known; a share its part and its whole.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        match term:
            case Count():
                return values if term.denominator is None else np.asarray(values[..., :1] / values[..., -1:])
            case Breakdown():
                return values
            case Share():
                if term.since is None:
                    return values
                return np.stack([values[:, 0], values[:, 0] + values[:, 1]], axis=1)


def term_log_density(term: Term, values: Array, spread: Array) -> Array:
    """Unweighted log density of a term by itself.

    Parameters
    ----------
    values : (n, n_quantities)
    spread : (n,)
        Of its noise.

    Returns
    -------
    (n,)
    """
    if isinstance(term, Share) and term.since is not None:
        with np.errstate(invalid="ignore"):
            return np.asarray(np.logaddexp.reduce(joined_log_mass(term, values, term.lower, term.upper), axis=1))
    values = expected_numbers(term, values)
    match term:
        case Count():
            family = number_family(term, values)
            if term.lower == term.upper:
                return family.log_density(np.array(term.lower), values[..., 0], spread)
            return family.log_interval(term.lower, term.upper, values[..., 0], spread)
        case Breakdown():
            return term.noise.family.log_density(np.array(term.counts), values, spread)
        case Share():
            total, probability = np.array(term.total), part(values)
            if term.lower == term.upper:
                return term.noise.family.log_density(np.array(term.lower), total, probability)
            return term.noise.family.log_interval(term.lower, term.upper, total, probability)


def number_family(term: Count, values: Array) -> NumberFamily:
    """The family of a number: its own, or that of a net count.

    Parameters
    ----------
    values : (…, n_quantities)
        As of :func:`expected_numbers`: mean, then mean gains where the term has them.

    Returns
    -------
    NumberFamily
        To be asked around ``values[..., 0]``.
    """
    family = term.noise.family
    if isinstance(family, CountFamily) and term.gains is not None:
        return NetCount(family, values[..., 1])
    return _plain_family(term)


def _plain_family(term: Count) -> NumberFamily:
    """The family of a number whose gains are not known: in a window, counts are those of a rise."""
    family = term.noise.family
    in_window = term.quantity.how != "at" and term.denominator is None
    return Rise(family) if in_window and isinstance(family, CountFamily) else family


def part(values: Array) -> Array:
    """The share of a total ``(n,)`` that a part has, from the values of both ``(n, 2)``."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(values[:, 0] / values[:, 1])


def joined_log_mass(term: Share, values: Array, lower: float = 0, upper: float | None = None) -> Array:
    """Log probabilities of the counts from ``lower`` to ``upper``, given all rows before.

    Parameters
    ----------
    term : Share
        With ``since``.
    values : (n, n_quantities)
        Those of the term: members joined and left over in its own window, then in those of ``since.earlier``.
    lower, upper : float
        None for the total as upper end.

    Returns
    -------
    (n, q)
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
    """Derivatives of the log of the sum of :func:`joined_log_mass` over the term's own interval.

    Each window's chance is carried forward by itself: there are few of them.

    Parameters
    ----------
    term : Share
        With ``since``.
    values : (n, n_quantities)

    Returns
    -------
    (n, n_quantities)
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
            shares = _shares(logs)
            logs = logs - np.logaddexp.reduce(logs, axis=1, keepdims=True)
            slopes = slopes - (shares[..., None] * slopes).sum(axis=1, keepdims=True)
        chance = pairs[:, place, 0] / pairs[:, place].sum(axis=1)
        gained, left = reached[None, :] - counts[:, None], total - counts
        moved = logs[:, :, None] + family.log_density(gained[None], left[None, :, None], chance[:, None, None])
        shares = _shares(moved)
        moves = family.slope(np.clip(gained, 0, left[:, None])[None], left[None, :, None], chance[:, None, None])
        logs = np.logaddexp.reduce(moved, axis=1)
        slopes = (shares[..., None] * slopes[:, :, None]).sum(axis=1)
        slopes[..., place] += (shares * np.where(shares > 0, moves, 0.0)).sum(axis=1)
        counts = reached
    by_chance = (_shares(logs)[..., None] * slopes).sum(axis=1)
    whole = pairs.sum(axis=2)
    chance = pairs[..., 0] / whole
    return np.stack([by_chance * (1 - chance) / whole, -by_chance * chance / whole], axis=2).reshape(values.shape)


def _shares(logs: Array) -> Array:
    """Shares of a sum over the second axis, whose summands have these logarithms; none of a sum of nothing."""
    top = logs.max(axis=1, keepdims=True, initial=-np.inf)
    powers = np.exp(logs - np.where(np.isfinite(top), top, 0.0))
    total = powers.sum(axis=1, keepdims=True)
    return np.asarray(powers / np.where(total > 0, total, 1.0))


#: Log densities ``(n_terms, n)`` of a group by what the model says ``(n_terms, n_quantities of each, n)``, and the
#: spread of its noise, ``(n,)`` or one number. Who calls it ignores the warnings of floating point.
GroupDensity = Callable[[Array, Array], Array]
#: Counts in the interval of a share from which on it is computed alone.
NARROW = 64


@dataclass(frozen=True, eq=False)
class Group:
    """Terms that are computed together.

    Parameters
    ----------
    members : (n_terms,)
        Positions among all terms of the problem.
    slots : (n_terms, n_quantities of each)
        Where their quantities stand among all.
    """

    members: NDArray[np.intp]
    slots: NDArray[np.intp]
    terms: tuple[Term, ...]
    log_density: GroupDensity

    @classmethod
    def of(cls, members: Sequence[int], terms: Sequence[Term], slots: Sequence[slice]) -> "Group":
        """Terms of one group (:func:`group_of`), or one that stands alone."""
        places = np.array([np.arange(slot.start, slot.stop) for slot in slots], dtype=np.intp)
        return cls(np.array(members, dtype=np.intp), places, tuple(terms), _group_density(terms))

    @property
    def first(self) -> Term:
        """What it says of its noise and use holds for all."""
        return self.terms[0]

    @cached_property
    def weights(self) -> Array:
        """Of the terms in the fit ``(n_terms,)``."""
        return np.array([term.weight for term in self.terms])

    @cached_property
    def counts(self) -> Array | None:
        """What was seen ``(n_terms,)`` where the terms are exact counts."""
        counts = [term.lower for term in self.terms if isinstance(term, Count) and term.lower == term.upper]
        return np.array(counts) if counts else None

    @property
    def fitted(self) -> bool:
        """Whether they are in the fit."""
        return self.first.use == "fit"


def group_of(term: Term) -> Hashable | None:
    """What terms have to share to be computed together; None for a term that stands alone.

    Exact counts under the same noise and with the same use differ in numbers only. So do shares but for the windows
    before theirs; wide intervals would need too much memory at a time.
    """
    if isinstance(term, Count) and term.lower == term.upper:
        single = term.gains is None, term.denominator is None, term.quantity.how == "at"
        return Count, term.noise, single, term.use
    if isinstance(term, Share) and _in_one_window(term) and term.upper - term.lower < NARROW:
        return Share, term.noise, term.use
    return None


def _group_density(terms: Sequence[Term]) -> GroupDensity:
    """Of terms of one group, or of one that stands alone."""
    first = terms[0]
    if isinstance(first, Count) and first.lower == first.upper:
        return _of_exact_counts([term for term in terms if isinstance(term, Count)])
    if isinstance(first, Share) and _in_one_window(first):
        return _of_shares([term for term in terms if isinstance(term, Share)])
    if isinstance(first, Count) and first.gains is None:
        return _of_interval(first)
    if isinstance(first, Breakdown):
        return _of_breakdown(first)
    return lambda values, spread: term_log_density(first, _by_point(values), spread)[None]


def _by_point(values: Array) -> Array:
    """Those of one term, ``(n, n_quantities)``."""
    return np.ascontiguousarray(values[0].T)


def _of_exact_counts(terms: Sequence[Count]) -> GroupDensity:
    term, observed = terms[0], np.array([term.lower for term in terms])[:, None]
    family = term.noise.family
    if term.gains is not None and isinstance(family, CountFamily):
        net = net_count_of(family, observed)
        return lambda values, spread: net(values[:, 0], values[:, 1], spread)
    density = _plain_family(term).density_of(observed)
    if term.denominator is None:
        return lambda values, spread: density(values[:, 0], spread)
    return lambda values, spread: density(values[:, 0] / values[:, -1], spread)


def _of_interval(term: Count) -> GroupDensity:
    density = _plain_family(term).density_of_interval(term.lower, term.upper)

    def log_density(values: Array, spread: Array) -> Array:
        return density(expected_numbers(term, _by_point(values))[:, 0], spread)[None]

    return log_density


def _of_breakdown(term: Breakdown) -> GroupDensity:
    density = term.noise.family.density_of(np.array(term.counts))
    return lambda values, spread: density(expected_numbers(term, _by_point(values)), spread)[None]


def _in_one_window(term: Share) -> bool:
    return term.since is None or not term.since.earlier


def _counts(term: Share) -> Array:
    """The counts that a share may be; one that no count can be where there are none."""
    if term.since is None and term.lower == term.upper:
        return np.array([term.lower])
    lower = max(term.lower, 0.0) if term.since is None else np.ceil(term.lower)
    return np.arange(lower, term.upper + 1) if lower <= term.upper else np.array([-1.0])


def _of_shares(terms: Sequence[Share]) -> GroupDensity:
    """Shares of what is at risk in one window: the probabilities of all counts of all their intervals in one call."""
    counts = [_counts(term) for term in terms]
    before = np.array([0.0 if term.since is None else term.since.before for term in terms])
    left = np.array([term.total for term in terms]) - before
    rows = np.repeat(np.arange(len(terms)), [len(c) for c in counts])
    density = terms[0].noise.family.density_of((np.concatenate(counts) - before[rows])[:, None], left[rows][:, None])
    joined = np.array([term.since is not None for term in terms])[:, None]
    ends = np.cumsum([len(c) for c in counts])
    sums = [
        (place, slice(end - len(c), end), log_sum if term.since is None else np.logaddexp.reduce)
        for place, (term, c, end) in enumerate(zip(terms, counts, ends.tolist(), strict=True))
        if len(c) > 1
    ]
    firsts: NDArray[np.intp] = ends - [len(c) for c in counts]

    def log_density(values: Array, spread: Array) -> Array:
        # of those who may have joined there are the joined and the rest, of others the part and the whole
        part, whole = values[:, 0], np.where(joined, values[:, 0] + values[:, 1], values[:, 1])
        logs = density((part / whole)[rows])
        result = logs[firsts]
        for place, those, summed in sums:
            result[place] = summed(logs[those])
        return result

    return log_density
