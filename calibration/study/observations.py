"""What was observed, as values: quantities of the model, the numbers seen for them, and the noise between the two.

An observation is a table; each of its rows (or, for a breakdown, each of its dates) becomes a term of the likelihood:

- a :class:`Count` says that a quantity, or the ratio of two, has an exact value or lies between two;
- a :class:`Breakdown` splits a total that is given, so that it adds nothing about the total;
- a :class:`Share` does so in two parts, where the count may be known as "at least" only.

A :class:`Prediction` is a number that the study reports of its model alone.

A quantity is read from the model at a date, as the difference of a cumulative or net variable between two dates, or as
the integral of a flow over a window.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, Literal, TypeVar

from calibration.noise.families.base import Family, Kind, NumberFamily, ShareFamily, SplitFamily
from calibration.noise.reporting import Reporting
from cipark_sd.data.readings import Reading
from cipark_sd.data.scenarios import Scenario

How = Literal["at", "between", "integral", "sum"]
Use = Literal["fit", "check", "holdout"]
F = TypeVar("F", bound=Family, covariant=True)
#: Outputs of the model and their signs.
Parts = tuple[tuple[str, float], ...]
#: What a series had reached: model time, the ends of an interval, the upper one infinite for *at least*, and its use.
Level = tuple[float, float, float, Use]


def signed_parts(names: tuple[str, ...]) -> Parts:
    """Names to outputs and signs; a name that starts with ``-`` is subtracted.

    >>> signed_parts(("Total Entrants", "-Spark Intake"))
    (('Total Entrants', 1.0), ('Spark Intake', -1.0))
    """
    return tuple((name[1:].strip(), -1.0) if name.startswith("-") else (name.strip(), 1.0) for name in names)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A signed sum of model outputs, read ``at`` ``end``, or between or over ``start`` and ``end``.

    ``factor`` names the noise parameter that multiplies what was read, as for cases of which a share is reported.
    """

    parts: Parts
    how: How
    start: float
    end: float
    factor: str = field(default="", kw_only=True, repr=False)

    @property
    def times(self) -> tuple[float, ...]:
        """The instants it needs."""
        return (self.end,) if self.how == "at" else (self.start, self.end)


@dataclass(frozen=True, slots=True)
class ReadQuantity(Quantity):
    """A quantity whose ``reading`` takes its whole course, and not the values at both ends alone."""

    reading: Reading


@dataclass(frozen=True, slots=True)
class SummedQuantity(Quantity):
    """A sum of outputs over steps, each part over its own ``spans``, both ends included."""

    spans: tuple[tuple[float, float], ...]


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

    Each of ``categories`` has its count and its quantity.
    """

    label: str
    categories: tuple[str, ...]
    quantities: tuple[Quantity, ...]
    counts: tuple[float, ...]
    noise: Noise[SplitFamily]
    weight: float = 1.0
    use: Use = "fit"


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
T = TypeVar("T", bound=Term)


@dataclass(frozen=True, slots=True)
class Observation:
    """One table's terms."""

    name: str
    kind: Kind
    table: str
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Prediction:
    """A number that a study reports of its model, without the noise of an observation.

    It is a quantity at a date, or how far it lies from the same quantity in another scenario; the run is made as long
    as the date needs.

    Parameters
    ----------
    parts : of names and signs
        Outputs that are added up.
    time : float
        Model time at which they are read.
    scenario : Scenario
        Constants set beside the study's own.
    against : Scenario or None
        What the number is compared with: the prediction is then the difference.
    reading : Reading or None
        Through which it is read, as an observation's counts are: it is then what would have been reported by then.
    """

    name: str
    parts: Parts
    time: float
    scenario: Scenario = Scenario()  # noqa: RUF009  (frozen, and neutral)
    against: Scenario | None = None
    reading: Reading | None = None


def parameters_of(term: Term) -> tuple[str, ...]:
    """The noise parameters that a term names: those of its noise, and of how its quantities are read."""
    readings = [quantity.reading for quantity in term.quantities if isinstance(quantity, ReadQuantity)]
    factors = [quantity.factor for quantity in term.quantities if quantity.factor]
    names = [*term.noise.names, *factors, *(name for reading in readings for name in reading.parameters)]
    return tuple(dict.fromkeys(names))


def quantities_of(observations: Sequence[Observation]) -> Iterator[Quantity]:
    """Every quantity that the observations read, in order, repeats included."""
    for observation in observations:
        for term in observation.terms:
            yield from term.quantities


def read_otherwise(term: T, change: Callable[[Quantity], Quantity]) -> T:
    """The same numbers, seen for other quantities.

    Parameters
    ----------
    change : function of a Quantity
        To the one in its place.

    Returns
    -------
    Term
        Of the same class.
    """
    if isinstance(term, Count):
        gains, below = (None if q is None else change(q) for q in (term.gains, term.denominator))
        return replace(term, quantity=change(term.quantity), gains=gains, denominator=below)
    return replace(term, quantities=tuple(map(change, term.quantities)))


def reporting_of(quantity: Quantity | None) -> Reporting | None:
    """How what a quantity counts is reported later; None where it is read at once."""
    reading = quantity.reading if isinstance(quantity, ReadQuantity) else None
    return reading if isinstance(reading, Reporting) else None


def course_of(observation: Observation) -> Quantity | None:
    """A quantity whose course stands beside the dated levels of an observation; None for a split and for a metric."""
    first = observation.terms[0] if observation.terms else None
    if isinstance(first, Count) and observation.kind != "metric":
        return first.quantity
    return first.quantities[0] if isinstance(first, Share) and _counts_a_part(observation) else None


def _counts_a_part(observation: Observation) -> bool:
    return any(isinstance(term, Share) and term.since is not None for term in observation.terms)


def dated_levels(observation: Observation, *, from_nothing: bool = False) -> list[Level]:
    """What had been reached by each number, in order: flows as mean rates in the middle of their window.

    Increments are the counts that were reported. Of what was seen in windows alone they are the running sum, where
    nothing was there before the first, as ``from_nothing`` says, and up to the first gap. After that the ends are NaN:
    a level that nobody has reported is none.

    Parameters
    ----------
    from_nothing : bool
        Whether there was nothing when its first window began (:func:`calibration.likelihood.forward.from_nothing`).

    Returns
    -------
    list of Level
        One for each count; members of a part as they were counted.
    """
    if _counts_a_part(observation):
        return [(t.quantities[0].end, t.lower, t.upper, t.use) for t in observation.terms if isinstance(t, Share)]
    levels: list[Level] = []
    reached, until = (0.0, 0.0) if from_nothing else (math.nan, math.nan), math.nan
    for term in observation.terms:
        if not isinstance(term, Count):
            continue
        start, end, time = term.quantity.start, term.quantity.end, term.quantity.end
        lower, upper = term.lower, term.upper
        if observation.kind == "flow":
            time, lower, upper = (start + end) / 2, lower / (end - start), upper / (end - start)
        elif term.level is not None:
            lower, upper = term.level
        elif is_window(term):
            follows = math.isnan(until) or math.isclose(start, until, rel_tol=1e-9)
            lower, upper = (
                end_before + rise if follows else math.nan
                for end_before, rise in zip(reached, (lower, upper), strict=True)
            )
            if term.use != "check":
                reached, until = (lower, upper), end
        levels.append((time, lower, upper, term.use))
    return levels


def is_window(term: Term) -> bool:
    """Whether a number is of a window alone, and no difference of two counts that were reported."""
    return isinstance(term, Count) and term.level is None and term.quantity.how != "at"
