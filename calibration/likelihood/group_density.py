"""The log density of terms that are computed together: what their data alone decide is computed once."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from calibration.families.base import CountFamily
from calibration.families.count_interval import log_sum
from calibration.likelihood.net_counts import net_count_of
from calibration.likelihood.term_density import expected_numbers, plain_family, term_log_density
from calibration.study.observations import Breakdown, Count, Share, Term
from cipark_sd.arrays import Array

#: Log densities ``(n_terms, n)`` of a group by what the model says ``(n_terms, n_quantities of each, n)``, the spread
#: of its noise, ``(n,)`` or one number, and the matrix of its coding ``(n, n_true, n_reported)`` where it has one. Who
#: calls it ignores the warnings of floating point.
GroupDensity = Callable[[Array, Array, Array | None], Array]
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
    terms : tuple of Term
    log_density : GroupDensity
    """

    members: NDArray[np.intp]
    slots: NDArray[np.intp]
    terms: tuple[Term, ...]
    log_density: GroupDensity

    @classmethod
    def of(cls, members: Sequence[int], terms: Sequence[Term], slots: Sequence[slice]) -> "Group":
        """Terms of one group (:func:`group_of`), or one that stands alone."""
        places = np.array([np.arange(slot.start, slot.stop) for slot in slots], dtype=np.intp)
        return cls(np.array(members, dtype=np.intp), places, tuple(terms), group_density(terms))

    @property
    def first(self) -> Term:
        """What it says of its noise, coding and use holds for all."""
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


def group_density(terms: Sequence[Term]) -> GroupDensity:
    """Of terms of one group, or of one that stands alone."""
    first = terms[0]
    if isinstance(first, Count) and first.lower == first.upper:
        return _of_exact_counts([term for term in terms if isinstance(term, Count)])
    if isinstance(first, Share) and _in_one_window(first):
        return _of_shares([term for term in terms if isinstance(term, Share)])
    if isinstance(first, Count) and first.gains is None:
        return _of_interval(first)
    if isinstance(first, Breakdown) and not first.recodes:
        return _of_breakdown(first)
    return lambda values, spread, matrix: term_log_density(first, _by_point(values), spread, matrix)[None]


def _by_point(values: Array) -> Array:
    """Those of one term, ``(n, n_quantities)``."""
    return np.ascontiguousarray(values[0].T)


def _of_exact_counts(terms: Sequence[Count]) -> GroupDensity:
    term, observed = terms[0], np.array([term.lower for term in terms])[:, None]
    family = term.noise.family
    if term.gains is not None and isinstance(family, CountFamily):
        net = net_count_of(family, observed)
        return lambda values, spread, matrix: net(values[:, 0], values[:, 1], spread)
    density = plain_family(term).density_of(observed)
    if term.denominator is None:
        return lambda values, spread, matrix: density(values[:, 0], spread)
    return lambda values, spread, matrix: density(values[:, 0] / values[:, -1], spread)


def _of_interval(term: Count) -> GroupDensity:
    density = plain_family(term).density_of_interval(term.lower, term.upper)

    def log_density(values: Array, spread: Array, matrix: Array | None) -> Array:
        return density(expected_numbers(term, _by_point(values))[:, 0], spread)[None]

    return log_density


def _of_breakdown(term: Breakdown) -> GroupDensity:
    density = term.noise.family.density_of(np.array(term.counts))
    return lambda values, spread, matrix: density(expected_numbers(term, _by_point(values), matrix), spread)[None]


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

    def log_density(values: Array, spread: Array, matrix: Array | None) -> Array:
        # of those who may have joined there are the joined and the rest, of others the part and the whole
        part, whole = values[:, 0], np.where(joined, values[:, 0] + values[:, 1], values[:, 1])
        logs = density((part / whole)[rows])
        result = logs[firsts]
        for place, those, summed in sums:
            result[place] = summed(logs[those])
        return result

    return log_density
