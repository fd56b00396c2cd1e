"""The certificate: every engine runs the same model on the same grid, and all their numbers are compared.

Columns that are nothing but what rounding leaves of larger numbers, such as a check that sums up to zero, are compared
on the scale of these.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cipark_sd.base.arrays import Array
from cipark_sd.base.console import plain
from cipark_sd.base.errors import InvalidValue
from cipark_sd.data.described import version
from cipark_sd.data.scenarios import Scenario
from cipark_sd.engines.plan import checked, grid_of
from cipark_sd.model.expr import Binary, Call, Const, Expr, Neg, Ref, row, walk
from cipark_sd.model.model import Method, Model
from cipark_sd.model.variables import Auxiliary, Stock, Variable, names_in
from cipark_sd.verify.sides import CertificateRun, LeftOut, Side, engine_names, recorded_side, side_of

#: A double holds 16 digits; a sum of some thousand terms, carried through a run, keeps 12 of them. What is left of the
#: terms beyond that is rounding; a number of the model's own that is so small beside its terms would be as well.
CANCELLED = 1e-12


def _round_off(question: CertificateRun, largest: Mapping[str, float]) -> dict[str, float]:
    """For columns that are only what rounding leaves of larger numbers, by flat name, the scale of these.

    ``entered - left - present`` is zero in exact arithmetic and some 1e-13 in any other, another 1e-13 on each engine.
    A column counts as one when its largest value is below :data:`CANCELLED` of the largest term of the sum that defines
    it, as far as the largest values of what it refers to bound that term.
    """
    tops: dict[str, float] = {}
    for column, (name, _) in question.labels.items():
        tops[name] = max(tops.get(name, 0.0), largest[column])
    rounded: dict[str, float] = {}
    names: set[str] = set()
    while True:
        fresh = set()
        for variable in question.model.over_time:
            scale = 0.0 if variable.name in names else _largest_term(question, variable, tops, names)
            columns = question.model.flat_names(variable)
            made = [column for column in columns if 0 < largest[column] <= CANCELLED * scale]
            rounded |= dict.fromkeys(made, scale)
            if made:
                fresh.add(variable.name)
                tops[variable.name] = scale
        if not fresh:
            return rounded
        names |= fresh


def _largest_term(question: CertificateRun, variable: Variable, tops: Mapping[str, float], rounded: set[str]) -> float:
    """A bound of the terms that a variable's equations add up; 0 where they add up nothing."""
    match variable:
        case Auxiliary(pieces=pieces):
            exprs, share = [piece.expr for piece in pieces], 1.0
        case Stock(pieces=stock_pieces):
            exprs, share = [piece.flow for piece in stock_pieces], question.grid.step
        case _:
            return 0.0
    return share * max(_bound(expr, tops) if _adds_up(expr, rounded) else 0.0 for expr in exprs)


def _adds_up(expr: Expr, rounded: set[str]) -> bool:
    """Whether an expression has a sum, or is made of what is round-off itself."""
    return any(
        (isinstance(part, Binary) and part.operator in ("+", "-")) or (isinstance(part, Ref) and part.name in rounded)
        for part in walk(expr)
    )


def _bound(expr: Expr, tops: Mapping[str, float]) -> float:
    """The largest value that an expression can have, by the largest of what it refers to; 0 where that says nothing."""
    match expr:
        case Const(value):
            return abs(value)
        case Ref(name):
            return tops.get(name, 0.0)
        case Binary("+" | "-"):
            first, operations = row(expr)
            return max(_bound(part, tops) for part in (first, *(operation.right for operation in operations)))
        case Binary("*", left, right):
            return _bound(left, tops) * _bound(right, tops)
        case Binary("/", left, Const(value)) if value:
            return _bound(left, tops) / abs(value)
        case Neg(operand) | Call("abs" | "sum", (operand,)):
            return _bound(operand, tops)
        case _:
            return 0.0


Agreement = Literal["equal bits", "agree", "differ"]


@dataclass(frozen=True)
class Difference:
    """One column on two sides.

    ``largest`` is a share of the column's scale, infinite where one side has a number and the other has none, at the
    time ``at``. ``apart_from`` is the first time at which it is beyond the tolerance, ``None`` when it never is;
    ``left`` and ``right`` are the values of the two sides then, or at ``at``.
    """

    column: str
    largest: float
    at: float
    apart_from: float | None
    left: float
    right: float
    equal_bits: bool


@dataclass(frozen=True)
class Pair:
    """Two sides: the columns that both have. ``first`` part first, and their inputs have not parted by then."""

    left: str
    right: str
    tolerance: float
    differences: tuple[Difference, ...]
    first: tuple[str, ...]

    @property
    def apart(self) -> tuple[Difference, ...]:
        """The columns beyond the tolerance."""
        return tuple(difference for difference in self.differences if difference.apart_from is not None)

    @property
    def worst(self) -> Difference | None:
        """The column that differs most."""
        return max(self.differences, key=lambda difference: difference.largest, default=None)

    @property
    def verdict(self) -> Agreement:
        """In one word or two."""
        if self.apart:
            return "differ"
        return "equal bits" if all(difference.equal_bits for difference in self.differences) else "agree"


@dataclass(frozen=True)
class Certificate:
    """What the sides have in common and what not.

    Parameters
    ----------
    scales : mapping of str to float
        What differences of a column are a share of.
    rounded : mapping of str to float
        The columns that are only what rounding left, with the scale of what they are made of.
    """

    question: CertificateRun
    sides: tuple[Side, ...]
    left_out: tuple[LeftOut, ...]
    pairs: tuple[Pair, ...]
    scales: Mapping[str, float]
    rounded: Mapping[str, float]

    @property
    def certified(self) -> bool:
        """Whether all agree."""
        return not any(side.failed for side in self.left_out) and all(pair.verdict != "differ" for pair in self.pairs)


def certify(
    model: Model,
    scenario: Scenario = Scenario(),  # noqa: B008  (frozen, and neutral)
    *,
    engines: Sequence[str] | None = None,
    recorded: Path | str | None = None,
    method: Method | None = None,
    recorded_tolerance: float | None = None,
    begin: Callable[[str], None] = lambda name: None,
) -> Certificate:
    """Run a model on all engines, on the same step and with the same method, and compare every column.

    Parameters
    ----------
    engines : some of those of :mod:`cipark_sd.verify.sides`; None for all that are installed
    recorded : a run from elsewhere: a wide ``.csv`` or ``.tab``, or Vensim's ``.vdf``; None for no such run
    method : None for the file's own
    recorded_tolerance : against the recorded run, a share of a column's scale
        None for that between engines, or for a ``.vdf`` :data:`~cipark_sd.verify.sides.SINGLE_PRECISION`.
    begin : called with the name of each engine before it runs

    Raises
    ------
    InvalidValue
        When fewer than two sides are left to be compared.
    UnknownName, ModelFileError, Problems
        For an engine, a file or a scenario that cannot be used.
    """
    if not model.over_time:
        raise InvalidValue("its variables", [], "at least one stock or auxiliary", where=model.name)
    names = engine_names(engines)
    question = CertificateRun(model, scenario, method, grid_of(model, checked(model, scenario)))
    extra = None if recorded is None else recorded_side(question, Path(recorded), recorded_tolerance)
    runs: list[Side | LeftOut] = []
    for name in names:
        begin(name)
        runs.append(side_of(question, name))
    sides = [run for run in (*runs, extra) if isinstance(run, Side)]
    left_out = [run for run in runs if isinstance(run, LeftOut)]
    if len(sides) < 2 and not any(side.failed for side in left_out):
        reasons = "; ".join(f"{side.name}: {side.reason}" for side in left_out)
        expected = "two runs" + (f" ({reasons})" if reasons else "")
        raise InvalidValue("what can be compared", [side.name for side in sides], expected, where="certify")
    largest = _largest(question, sides)
    rounded = _round_off(question, largest)
    scales = {column: top or 1.0 for column, top in largest.items()} | rounded
    pairs = tuple(_compare(question, left, right, scales) for left, right in combinations(sides, 2))
    return Certificate(question, tuple(sides), tuple(left_out), pairs, scales, rounded)


def _largest(question: CertificateRun, sides: Sequence[Side]) -> dict[str, float]:
    """The largest finite value of each column on any engine."""
    columns = [side.columns for side in sides if not side.recorded]
    largest = {}
    for name in question.labels:
        values = [np.abs(side[name]) for side in columns if name in side]
        largest[name] = max((float(v[np.isfinite(v)].max(initial=0.0)) for v in values), default=0.0)
    return largest


def _compare(question: CertificateRun, left: Side, right: Side, scales: Mapping[str, float]) -> Pair:
    """The columns that two sides have."""
    times, differences = question.grid.saved_times, []
    tolerance = 0.0 if left.exact and right.exact else right.tolerance
    for column in question.labels:
        if column not in left.columns or column not in right.columns:
            continue
        a, b = left.columns[column], right.columns[column]
        if right.recorded:
            missing = np.isnan(b)
            if missing.all():
                continue
            a, b = np.where(missing, 0.0, a), np.where(missing, 0.0, b)
        # 0 and -0 are equal numbers of other bits
        zeros = np.array_equal(np.signbit(a[a == 0]), np.signbit(b[b == 0]))
        shares = _shares(a, b, scales[column])
        beyond = shares > tolerance
        at = int(shares.argmax())
        first = int(beyond.argmax()) if beyond.any() else None
        shown = at if first is None else first
        differences.append(
            Difference(
                column=column,
                largest=float(shares[at]),
                at=float(times[at]),
                apart_from=None if first is None else float(times[first]),
                left=float(a[shown]),
                right=float(b[shown]),
                equal_bits=bool(np.array_equal(a, b, equal_nan=True) and zeros),
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


def _first(question: CertificateRun, differences: Sequence[Difference]) -> tuple[str, ...]:
    """Of the columns that part first, those of variables whose inputs at the same time have not parted by then."""
    apart = {d.column: d.apart_from for d in differences if d.apart_from is not None}
    earliest = min(apart.values(), default=0.0)
    columns = [column for column, time in apart.items() if time == earliest]
    owners = {question.labels[column][0] for column in columns}
    inputs = {
        name: set(names_in(variable))
        for name, variable in question.model.by_name.items()
        if name in owners and not isinstance(variable, Stock)
    }
    roots = {name for name in owners if not inputs.get(name, set()) & (owners - {name})}
    # variables in a circle of equal times have no root
    return tuple(column for column in columns if question.labels[column][0] in (roots or owners))


def as_json(certificate: Certificate) -> dict[str, Any]:
    """Everything that a certificate says, in types that JSON has; an infinite difference is the text ``"inf"``."""
    question = certificate.question
    labels = {column: label for column, (_, label) in question.labels.items()}
    facts: dict[str, Any] = plain(
        {
            "format": "cipark_sd certificate 2",
            "certified": certificate.certified,
            "model": question.model.name,
            "model_digest": question.model.digest,
            "scenario": json.loads(question.scenario.to_json()),
            "integration_method": question.method or question.model.time.method,
            "time_step": question.grid.step,
            "saved_times": len(question.grid.saved_times),
            "cipark_sd_version": version(),
            "sides": [
                {"name": s.name, "version": s.version, "columns": len(s.columns), "remarks": list(s.remarks)}
                for s in certificate.sides
            ],
            "left_out": [asdict(side) for side in certificate.left_out],
            "round_off": [
                {"column": labels[column], "compared_on_the_scale_of_its_terms": scale}
                for column, scale in certificate.rounded.items()
            ],
            "pairs": [
                {
                    "left": pair.left,
                    "right": pair.right,
                    "verdict": pair.verdict,
                    "tolerance": pair.tolerance,
                    "columns": len(pair.differences),
                    "apart": len(pair.apart),
                    "part_first_in": [labels[column] for column in pair.first],
                    "differences": [
                        asdict(difference)
                        | {"column": labels[difference.column], "scale": certificate.scales[difference.column]}
                        for difference in pair.differences
                    ],
                }
                for pair in certificate.pairs
            ],
        }
    )
    return facts
