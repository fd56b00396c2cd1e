"""What a checks file says, as values."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from cipark_sd.model.expr import Expr
from cipark_sd.scenarios import Scenario

#: fail: a finding fails the check; note: it is shown and counts for nothing; off: not looked for.
Level = Literal["fail", "note", "off"]
#: Name of the run at half the time step.
HALF_STEP = "half the time step"
#: Ids of the built-in checks, in the order of the report, with the field of :class:`BuiltIn` that asks for each.
BUILT_IN_IDS: Mapping[str, str] = {
    "units": "units",
    "declared-units": "declared_units",
    "documented": "documented",
    "used": "used",
    "finite": "finite",
    "negative-stocks": "no_negative_stocks",
    "conservation": "conservation",
    "lookup-ranges": "lookup_ranges",
    "time-step": "halving",
    "extreme": "extreme",
}
#: One per cent between a step and its half is the limit that the park model's trial used; judgement.
HALVING_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True)
class Expectation:
    """One expression that has to be true, as written and as read."""

    text: str
    expr: Expr


@dataclass(frozen=True, slots=True)
class Check:
    """One check in the modeller's words.

    ``times`` are those of the test; none means every saved time from ``start`` to ``end``.
    """

    id: str
    title: str
    source: str
    scenario: Scenario
    expectations: tuple[Expectation, ...]
    times: tuple[float, ...] | None
    start: float = -math.inf
    end: float = math.inf
    tolerance: float = 0.0


@dataclass(frozen=True, slots=True)
class Halving:
    """How much may change with half the time step; no ``times`` means every saved time.

    ``tolerance`` is a share of the value; a difference up to ``absolute`` passes whatever share it is.
    """

    tolerance: float = HALVING_TOLERANCE
    variables: tuple[str, ...] = ()
    times: tuple[float, ...] | None = None
    absolute: float = 0.0


@dataclass(frozen=True, slots=True)
class Conservation:
    """Stocks that together change by these flows only; flows are expressions, summed over their subscripts."""

    id: str
    title: str
    stocks: tuple[str, ...]
    inflows: tuple[Expectation, ...]
    outflows: tuple[Expectation, ...]
    tolerance: float


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """Which built-in checks are made; the defaults are those of a model without a checks file.

    ``extreme`` are the names of constants to drive to their limits, or true for all that have limits.
    """

    units: Level = "fail"
    no_negative_stocks: Level = "fail"
    finite: Level = "fail"
    conservation: Level = "fail"
    declared_units: Level = "note"
    documented: Level = "note"
    used: Level = "note"
    lookup_ranges: Level = "note"
    may_be_negative: frozenset[str] = frozenset()
    outputs: frozenset[str] = frozenset()
    halving: Halving | None = Halving()
    extreme: tuple[str, ...] | Literal[True] = ()


@dataclass(frozen=True, slots=True)
class Checks:
    """Everything a checks file says."""

    builtin: BuiltIn = BuiltIn()
    runs: Mapping[str, Scenario] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    conservation: tuple[Conservation, ...] = ()
