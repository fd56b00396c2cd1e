"""Two runs side by side: how far apart each column is, and where and when it first is too far."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cipark_sd.arrays import Array
from cipark_sd.certificates.sides import Question, Side
from cipark_sd.engines.reference.faults import Fault
from cipark_sd.model.expr import references
from cipark_sd.model.variables import Stock, expressions

#: Largest difference between engines, as a share of a column's scale (its largest value in the run). What limits it:
#: sums in another order and another library's ``exp`` differ in the last of 16 digits at each step, and a run of some
#: thousand steps gathers such differences to 1e-14 or 1e-13; a mistake in an equation is far larger.
TOLERANCE = 1e-12
#: The same against a run of Vensim's own (``.vdf``), which holds single precision and was computed in it: rounding of
#: 6e-8 at each step.
SINGLE_PRECISION = 1e-3
Verdict = Literal["equal bits", "agree", "known fault", "differ"]


@dataclass(frozen=True)
class Difference:
    """One column on two sides.

    ``largest`` is a share of the column's scale, infinite where one side has a number and the other has none, at the
    time ``at``. ``apart`` is the first time at which it is beyond the tolerance, ``None`` when it never is; ``values``
    are those of the two sides then, or at ``at``. ``fault`` names the known fault that the column depends on.
    """

    column: str
    largest: float
    at: float
    apart: float | None
    values: tuple[float, float]
    same_bits: bool
    fault: str = ""


@dataclass(frozen=True)
class Pair:
    """Two sides: the columns that both have."""

    left: str
    right: str
    tolerance: float
    differences: tuple[Difference, ...]
    #: The columns that part first and whose inputs have not parted by then: where to look.
    first: tuple[str, ...]

    @property
    def apart(self) -> tuple[Difference, ...]:
        """The columns beyond the tolerance."""
        return tuple(difference for difference in self.differences if difference.apart is not None)

    @property
    def worst(self) -> Difference | None:
        """The column that differs most."""
        return max(self.differences, key=lambda difference: difference.largest, default=None)

    @property
    def verdict(self) -> Verdict:
        """In one word or two."""
        if self.apart:
            return "known fault" if all(difference.fault for difference in self.apart) else "differ"
        return "equal bits" if all(difference.same_bits for difference in self.differences) else "agree"


def compare(
    question: Question,
    left: Side,
    right: Side,
    scales: Mapping[str, float],
    *,
    tolerance: float,
    concerned: Mapping[str, str],
) -> Pair:
    """The columns of two sides.

    Parameters
    ----------
    scales : mapping of str to float
        Scale of each column.
    tolerance : float
        Share of the scale; 0 asks for the same bits.
    concerned : mapping of str to str
        Variables that a known fault of one of the two sides reaches, and the fault.
    """
    times = question.grid.saved_times
    differences = []
    for column, (variable, _) in question.labels.items():
        if column not in left.columns or column not in right.columns:
            continue
        a, b = left.columns[column], right.columns[column]
        if left.recorded or right.recorded:
            missing = np.isnan(a if left.recorded else b)
            if missing.all():
                continue
            a, b = np.where(missing, 0.0, a), np.where(missing, 0.0, b)
        bit_equal = np.array_equal(a, b, equal_nan=True) and np.array_equal(
            np.signbit(a[a == 0]), np.signbit(b[b == 0])
        )
        shares = _shares(a, b, scales[column])
        beyond = shares > tolerance
        at = int(shares.argmax())
        first = int(beyond.argmax()) if beyond.any() else None
        shown = at if first is None else first
        differences.append(
            Difference(
                column,
                float(shares[at]),
                float(times[at]),
                None if first is None else float(times[first]),
                (float(a[shown]), float(b[shown])),
                bool(bit_equal),
                concerned.get(variable, ""),
            )
        )
    return Pair(left.name, right.name, tolerance, tuple(differences), _first(question, differences))


def _shares(a: Array, b: Array, scale: float) -> NDArray[np.float64]:
    """Differences as shares of a scale; the same infinity or NaN on both sides is none."""
    with np.errstate(all="ignore"):
        shares = np.abs(a - b) / scale
    odd = ~np.isfinite(a) | ~np.isfinite(b)
    alike = (a == b) | (np.isnan(a) & np.isnan(b))
    return np.where(odd, np.where(alike, 0.0, np.inf), shares)


def _first(question: Question, differences: Sequence[Difference]) -> tuple[str, ...]:
    apart = [difference for difference in differences if difference.apart is not None]
    if not apart:
        return ()
    earliest = min(difference.apart for difference in apart if difference.apart is not None)
    columns = [difference.column for difference in apart if difference.apart == earliest]
    owners = {question.labels[column][0] for column in columns}
    roots = {name for name in owners if not _inputs_now(question, name) & (owners - {name})}
    # variables in a circle of equal times have no root
    return tuple(column for column in columns if question.labels[column][0] in (roots or owners))


def _inputs_now(question: Question, name: str) -> set[str]:
    """What a variable is computed from at the same instant."""
    variable = question.model.by_name[name]
    if isinstance(variable, Stock):
        return set()
    return {ref.name for expr in expressions(variable) for ref in references(expr)}


def reached(question: Question, faults: Mapping[Fault, Collection[str]]) -> dict[str, str]:
    """The variables that faults reach, through any chain of equations, with the fault that reaches them."""
    model = question.model
    readers: dict[str, set[str]] = {}
    for variable in model.variables:
        for expr in expressions(variable):
            for ref in references(expr):
                readers.setdefault(ref.name, set()).add(variable.name)
    by_variable: dict[str, str] = {}
    for fault, names in faults.items():
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in by_variable:
                by_variable[name] = fault.id
                waiting.extend(readers.get(name, ()))
    return by_variable
