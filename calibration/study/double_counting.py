"""Events that would enter the likelihood twice: rows of the fit whose windows or dates meet on the same variable.

Only rows that can meet are compared, so that the work grows with the rows and not with their pairs: those that share a
date are looked up by it, and a sweep over the windows in order of their starts keeps those that are still open.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from calibration.readings.metrics import Metric
from calibration.study.observations import Breakdown, Count, Observation, Quantity, ReadQuantity, Share, Term
from cipark_sd.errors import CiparkError


class CountedTwice(CiparkError):
    """The same events would enter the likelihood twice."""

    def __init__(self, where: str, first: str, second: str, reason: str) -> None:
        super().__init__(f"{where}: {first} and {second} count the same events twice: {reason}")


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A row of the fit: its table, its term, and the quantity that has its date or window."""

    table: tuple[str, str]
    term: Term
    lead: Quantity

    @property
    def variables(self) -> set[str]:
        """All that it reads of the model."""
        return {name for quantity in self.term.quantities for name, _ in quantity.parts}

    @property
    def sort(self) -> Hashable:
        """What two rows of one table have in common that meet the same other rows, their times aside."""
        match self.term:
            case Count() as count:
                kind: Hashable = _ratio_of(count)
            case Share() as share:
                kind = share.since is None
            case split:
                kind = split.known_sizes is not None, split.recodes, split.n_true
        return type(self.term), kind, tuple(dict.fromkeys(quantity.parts for quantity in self.term.quantities))


def counted_twice(observations: Sequence[Observation], *, where: str) -> Iterator[CountedTwice]:
    """What is used for the fit and stands in it twice already.

    Increments or flows of one variable over windows that overlap; a level of a variable whose increments are fitted; a
    count and a breakdown at the same date that read the same output; two splits of the same total at one date or over
    windows that overlap. Of a pair of tables the first rows are named, within a table each row that meets an earlier
    one.
    """
    rows = [
        _Fitted((observation.name, observation.kind), term, term.quantities[0])
        for observation in observations
        for term in observation.terms
        if term.use == "fit"
    ]
    named: set[Hashable] = set()
    for i, j in sorted(_candidates(rows)):
        first, second = rows[i], rows[j]
        key = (first.table, second.table) if first.table[0] != second.table[0] else j
        if key not in named and (reason := _overlap(first.term, second.term)) is not None:
            named.add(key)
            yield CountedTwice(where, f"{first.term.label!r}", f"{second.term.label!r}", reason)


def _candidates(rows: Sequence[_Fitted]) -> set[tuple[int, int]]:
    """Pairs of rows that may count the same: at least one for each row and each table that it meets."""
    equal: dict[Hashable, list[int]] = defaultdict(list)
    windows: dict[str, list[int]] = defaultdict(list)
    mixed: dict[str, dict[Hashable, int]] = defaultdict(dict)
    for i, row in enumerate(rows):
        if isinstance(row.term, Count) and _metric(row.lead) is not None:
            equal[row.lead].append(i)
        if isinstance(row.term, Breakdown) and row.term.known_sizes is not None:
            equal[row.term.known_sizes, row.term.coding].append(i)
        for name in row.variables:
            if row.lead.how == "at":
                equal[name, row.lead.end].append(i)
            else:
                windows[name].append(i)
            # a level and an increment meet whatever their times
            mixed[name].setdefault((row.table, row.sort, row.lead.how == "at"), i)
    pairs: set[tuple[int, int]] = set()
    for met in equal.values():
        first: dict[Hashable, int] = {}
        for i in met:
            earlier = first.setdefault((rows[i].table, rows[i].sort), i)
            pairs.add((earlier, i))
        pairs.update(combinations(first.values(), 2))
    for met in windows.values():
        pairs.update(_open_together(rows, met))
    for kinds in mixed.values():
        pairs.update(combinations(kinds.values(), 2))
    return {(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]}


def _open_together(rows: Sequence[_Fitted], members: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Pairs of rows whose windows overlap: each with the last to end of earlier ones, by table and sort."""
    still_open: dict[Hashable, int] = {}
    for i in sorted(members, key=lambda i: (rows[i].lead.start, rows[i].lead.end, i)):
        start, end = rows[i].lead.start, rows[i].lead.end
        still_open = {sort: j for sort, j in still_open.items() if rows[j].lead.end > start}
        for j in still_open.values():
            yield j, i
        sort = (rows[i].table, rows[i].sort)
        if sort not in still_open or rows[still_open[sort]].lead.end < end:
            still_open[sort] = i


def _overlap(first: Term, second: Term) -> str | None:
    match first, second:
        case Count(), Count():
            shared = _shared(first.quantities, second.quantities)
            a, b = first.quantity, second.quantity
            metric = _metric(a)
            if metric is not None or _metric(b) is not None:
                return f"both say the {metric.name} of {shared}" if metric is not None and a == b else None
            # a ratio says nothing about the size of its parts
            if not shared or _ratio_of(first) != _ratio_of(second):
                return None
            if a.how == "at" and b.how == "at":
                return f"{shared} is given at time {a.end:g} by both" if a.end == b.end else None
            if a.how == "at" or b.how == "at":
                return (
                    f"a level of {shared} is the sum of its increments; give one of the two another use, "
                    "such as use = 'check'"
                )
            return _windows_overlap(a, b, shared)
        case (Count() as count, (Breakdown() | Share()) as split) | (
            (Breakdown() | Share()) as split,
            Count() as count,
        ):
            shared = _shared(count.quantities, split.quantities)
            a, b = count.quantity, split.quantities[0]
            if isinstance(split, Share) and split.since is not None and a.how != "at" and a.parts == b.parts:
                return _windows_overlap(a, b, shared)
            same_date = count.quantity.how == "at" and split.quantities[0].how == "at"
            if shared and same_date and count.quantity.end == split.quantities[0].end and _is_part(count, split):
                return f"{shared} at that date is a category of the breakdown already"
            return None
        case ((Breakdown() | Share()), (Breakdown() | Share())):
            return _split_twice(first, second)
        case _:
            return None


def _metric(quantity: Quantity) -> Metric | None:
    reading = quantity.reading if isinstance(quantity, ReadQuantity) else None
    return reading if isinstance(reading, Metric) else None


def _ratio_of(count: Count) -> object:
    return None if count.denominator is None else (count.quantity.parts, count.denominator.parts)


def _windows_overlap(a: Quantity, b: Quantity, shared: str) -> str | None:
    if max(a.start, b.start) < min(a.end, b.end):
        return (
            f"the windows {a.start:.2f} to {a.end:.2f} and {b.start:.2f} to {b.end:.2f} of {shared} overlap; "
            "cut them so that each time point lies in one"
        )
    return None


def _split_twice(first: Breakdown | Share, second: Breakdown | Share) -> str | None:
    """Two splits of the same total at one date or over windows that overlap.

    A split whose sizes are given, or whose members are, adds no split of the same total to the other.
    """
    known = [split.known_sizes is not None for split in (first, second) if isinstance(split, Breakdown)]
    first_parts, second_parts = _split_parts(first), _split_parts(second)
    a, b = first.quantities[0], second.quantities[0]
    if isinstance(first, Breakdown) and isinstance(second, Breakdown) and first.recodes != second.recodes:
        equal = first.known_sizes is not None and (first.known_sizes, first.coding) == (
            second.known_sizes,
            second.coding,
        )
        return "both recode members of one table; fit either of them" if equal else None
    if not first_parts & second_parts or (any(known) and not all(known)):
        return None
    if a.how == "at" and b.how == "at":
        equal = first_parts == second_parts or isinstance(first, Share) or isinstance(second, Share)
        return f"both split the same total at time {a.end:g}" if a.end == b.end and equal else None
    if a.how == "at" or b.how == "at":
        return None
    return _windows_overlap(a, b, _shared(first.quantities, second.quantities))


def _split_parts(split: Breakdown | Share) -> set[tuple[tuple[str, float], ...]]:
    chosen = split.quantities[: split.n_true] if isinstance(split, Breakdown) else split.quantities[:1]
    return {quantity.parts for quantity in chosen}


def _shared(first: Sequence[Quantity], second: Sequence[Quantity]) -> str:
    names = {name for quantity in first for name, _ in quantity.parts}
    return ", ".join(sorted(names & {name for quantity in second for name, _ in quantity.parts}))


def _is_part(count: Count, split: Breakdown | Share) -> bool:
    return any(count.quantity.parts == quantity.parts for quantity in split.quantities)
