"""What was observed, as values: quantities of the model, the numbers seen for them, and the noise between the two.

An observation is a table; each of its rows (or, for a breakdown, each of its dates) becomes a term of the likelihood:

- a :class:`Count` says that a quantity, or the ratio of two, has an exact value or lies between two;
- a :class:`Breakdown` splits a total that is given, so that it adds nothing about the total; its categories may be
  those of another coding than the model's (:mod:`calibration.study.classification`);
- a :class:`Share` does so in two parts, where the count may be known as "at least" only.

A quantity is read from the model at a date, as the difference of a cumulative or net variable between two dates, or as
the integral of a flow over a window.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Generic, Literal, TypeVar

from calibration.families.base import Family, Kind, NumberFamily, ShareFamily, SplitFamily
from calibration.readings.base import Reading
from calibration.readings.metrics import Metric
from calibration.study.classification import Coding
from cipark_sd.errors import CiparkError

How = Literal["at", "between", "integral"]
Use = Literal["fit", "check", "holdout"]
F = TypeVar("F", bound=Family, covariant=True)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A signed sum of model outputs, read ``at`` ``end``, or between or over ``start`` and ``end``."""

    parts: tuple[tuple[str, float], ...]
    how: How
    start: float
    end: float

    @property
    def times(self) -> tuple[float, ...]:
        """The instants it needs."""
        return (self.end,) if self.how == "at" else (self.start, self.end)


@dataclass(frozen=True, slots=True)
class ReadQuantity(Quantity):
    """A quantity whose ``reading`` takes its whole course, and not the values at both ends alone."""

    reading: Reading


@dataclass(frozen=True, slots=True)
class Memory:
    """Autocorrelation of the residuals of one series.

    ``phi``, a number or the name of a noise parameter, is the correlation of two residuals that lie ``lag`` apart; over
    any other gap it is ``phi ** (gap / lag)``, so that a missing or irregular date needs nothing more.
    """

    series: str
    phi: float | str
    lag: float = 1.0


@dataclass(frozen=True, slots=True)
class Noise(Generic[F]):
    """A family and its spread, which is a number or the name of a noise parameter.

    With a ``memory`` the spread is that of a residual by itself, not of what is new in it.
    """

    family: F
    spread: float | str = 1.0
    memory: Memory | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The noise parameters that it names."""
        phi = None if self.memory is None else self.memory.phi
        return tuple(name for name in (self.spread, phi) if isinstance(name, str))


@dataclass(frozen=True, slots=True)
class Count:
    """A number (``lower == upper``) or an interval seen for a quantity; ``upper`` may be infinite: at least.

    ``gains`` is the gross inflow over the same window where the quantity is the increment of a net stock: the losses
    are then gains less increment, and the number is a difference of two counts. With a ``denominator`` the number was
    seen for the ratio of the two quantities. ``level`` is what the series had reached at the end of the window, as
    reported: the ends of its interval; None where only windows are known.
    """

    label: str
    quantity: Quantity
    lower: float
    upper: float
    noise: Noise[NumberFamily]
    gains: Quantity | None = None
    weight: float = 1.0
    use: Use = "fit"
    denominator: Quantity | None = None
    level: tuple[float, float] | None = None

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """In the order in which the likelihood takes their values."""
        return tuple(q for q in (self.quantity, self.gains, self.denominator) if q is not None)

    @property
    def moment(self) -> float:
        """The instant for which its residual stands: the date, or the middle of the window."""
        return self.quantity.end if self.quantity.how == "at" else (self.quantity.start + self.quantity.end) / 2


@dataclass(frozen=True, slots=True)
class Breakdown:
    """How a total splits into categories.

    ``categories`` and ``counts`` are as reported. Without a ``coding`` each has its quantity; with one, the quantities
    are those of the coding's true categories. ``known_sizes`` holds the sizes of the true categories where another
    table has them already: the model then says only how much of each category lies in the window (the quantities are
    followed by those of the date of the other table), or nothing at all where the very same members were coded twice.
    """

    label: str
    categories: tuple[str, ...]
    quantities: tuple[Quantity, ...]
    counts: tuple[float, ...]
    noise: Noise[SplitFamily]
    weight: float = 1.0
    use: Use = "fit"
    coding: Coding | None = None
    known_sizes: tuple[float, ...] | None = None

    @property
    def n_true(self) -> int:
        """Number of true categories."""
        return len(self.categories) if self.coding is None else len(self.coding.true)

    @property
    def recodes(self) -> bool:
        """Whether the very members of another table are coded again, so that the model has no part in it."""
        return self.known_sizes is not None and len(self.quantities) == self.n_true


@dataclass(frozen=True, slots=True)
class Since:
    """The counts of a part before a row: the last exact one, and the lower end, upper end and total of those after."""

    before: float
    earlier: tuple[tuple[float, float, float], ...] = ()

    @property
    def reached(self) -> float:
        """The last count before, the middle of an interval."""
        return sum(self.earlier[-1][:2]) / 2 if self.earlier else self.before


@dataclass(frozen=True, slots=True)
class Share:
    """How many of a total belong to a part: exactly, between two numbers, or at least.

    With ``since`` it is told who has joined the part since the counts before. The quantities are then, in pairs, those
    of the model that joined in a window and those that are not in the part at its end: of the row's own window, and of
    the windows of ``since.earlier`` in their order. Without it they are the part and the whole.
    """

    label: str
    quantities: tuple[Quantity, ...]
    lower: float
    upper: float
    total: float
    noise: Noise[ShareFamily]
    weight: float = 1.0
    use: Use = "fit"
    since: Since | None = None

    @property
    def at_risk(self) -> float:
        """Members that may be found in the part, those of the count before left out."""
        return self.total if self.since is None else self.total - self.since.reached


Term = Count | Breakdown | Share


@dataclass(frozen=True, slots=True)
class Observation:
    """One table's terms."""

    name: str
    kind: Kind
    table: str
    terms: tuple[Term, ...]


class CountedTwice(CiparkError):
    """The same events would enter the likelihood twice."""

    def __init__(self, where: str, first: str, second: str, reason: str) -> None:
        super().__init__(f"{where}: {first} and {second} count the same events twice: {reason}")


def parameters_of(term: Term) -> tuple[str, ...]:
    """The noise parameters that a term names: those of its noise and of the readings of its quantities."""
    readings = [quantity.reading for quantity in term.quantities if isinstance(quantity, ReadQuantity)]
    return tuple(dict.fromkeys([*term.noise.names, *(name for reading in readings for name in reading.parameters)]))


def quantities_of(observations: Sequence[Observation]) -> Iterator[Quantity]:
    """Every quantity that the observations read, in order, repeats included."""
    for observation in observations:
        for term in observation.terms:
            yield from term.quantities


def counted_twice(observations: Sequence[Observation], *, where: str) -> Iterator[CountedTwice]:
    """What is used for the fit and stands in it twice already.

    Increments or flows of one variable over windows that overlap; a level of a variable whose increments are fitted; a
    count and a breakdown at the same date that read the same output; two splits of the same total at one date or over
    windows that overlap.
    """
    fitted = [
        (observation.name, observation.kind, term)
        for observation in observations
        for term in observation.terms
        if term.use == "fit"
    ]
    pairs: set[tuple[str, str]] = set()
    for (name, kind, term), (other_name, other_kind, second) in combinations(fitted, 2):
        reason = _overlap(term, second)
        key = (f"{name}/{kind}", f"{other_name}/{other_kind}")
        # one sentence for a pair of tables says it all; within a table each pair of rows is named
        if reason is None or (name != other_name and key in pairs):
            continue
        pairs.add(key)
        yield CountedTwice(where, f"{term.label!r}", f"{second.label!r}", reason)


def _overlap(first: Term, second: Term) -> str | None:
    match first, second:
        case Count(), Count():
            shared = _shared(first.quantities, second.quantities)
            a, b = first.quantity, second.quantity
            if _metric(a) is not None or _metric(b) is not None:
                return f"both say the {_metric_name(a)} of {shared}" if a == b else None
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


def _metric_name(quantity: Quantity) -> str:
    metric = _metric(quantity)
    return "" if metric is None else metric.name


def _ratio_of(count: Count) -> object:
    return None if count.denominator is None else (count.quantity.parts, count.denominator.parts)


def _windows_overlap(a: Quantity, b: Quantity, shared: str) -> str | None:
    if max(a.start, b.start) < min(a.end, b.end):
        return (
            f"the windows {a.start:.2f} to {a.end:.2f} and {b.start:.2f} to {b.end:.2f} of {shared} overlap; "
            "cut them so that each moment lies in one"
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
        return "both code members of one table anew; fit either of them" if equal else None
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
