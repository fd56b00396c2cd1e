"""The checks file (TOML) of a model: what is run, what is expected of it.

``models/cipark.checks.toml`` shows the format and explains it at its head.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from cipark_sd.base.errors import CiparkError, InvalidValue, MissingFile, UnknownName, raise_all
from cipark_sd.base.inputs import read_toml
from cipark_sd.base.naming import canonical, respelled
from cipark_sd.base.section import Section
from cipark_sd.data.scenarios import Scenario, resolve
from cipark_sd.model.expr import Binary, Call, Const, Expr, Ref, children, walk
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Stock
from cipark_sd.verify.checks.evaluate import (
    BASE,
    COMPARISONS,
    ExpressionError,
    OutsideRun,
    name_problems,
    parse_expression,
)

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
#: The keys of those that are asked for by a :data:`Level`.
_LEVELS = tuple(key for key in BUILT_IN_IDS.values() if key not in ("halving", "extreme"))
#: One per cent between a step and its half is the limit that the park model's trial used; judgement.
HALVING_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True)
class Check:
    """One check in the modeller's words.

    ``expectations`` are what has to be true, as written and as read. ``times`` are those of the test; none means every
    saved time from ``start`` to ``end``.
    """

    id: str
    title: str
    source: str
    scenario: Scenario
    expectations: tuple[tuple[str, Expr], ...]
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
    inflows: tuple[Expr, ...]
    outflows: tuple[Expr, ...]
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


def read_checks(path: Path | str, model: Model, *, named: bool = False) -> Checks:
    """The checks of a file, for ``model``.

    Parameters
    ----------
    path : of the TOML file
    model : whose names the file uses
    named : whether somebody named this very file; a link is followed then wherever it leads

    Raises
    ------
    InvalidValue, UnknownName, ExpressionError, OutsideRun, Problems
        For all that is wrong in the file, at once.
    """
    path = Path(path)
    try:
        content = read_toml(path, named=named)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFile(path, where="--checks") from None
    reader = _Reader(model)
    checks = reader.read(respelled(content, model.by_name))
    # a mistake that shows on two ways is told once
    raise_all(str(path), list({str(problem): problem for problem in reader.problems}.values()))
    return checks


class _Reader:
    """Reads one file and collects what is wrong in it."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.problems: list[CiparkError] = []
        self.scenarios: dict[str, Scenario] = {BASE: Scenario(BASE)}

    def read(self, content: Mapping[str, object]) -> Checks:
        file = Section(content, "", self.problems)
        runs = file.table("runs")
        for name in runs.content:
            self.run(name, runs.table(name, name))
        builtin = file.table("builtin").entirely(self.builtin)
        checks = [entry.entirely(self.check) for entry in self.entries(file, "check")]
        laws = [entry.entirely(self.conservation) for entry in self.entries(file, "conservation")]
        self.unique(file, [*(check.id for check in checks), *(law.id for law in laws)])
        file.note_unread()
        named = {name: scenario for name, scenario in self.scenarios.items() if name != BASE}
        return Checks(builtin, named, tuple(checks), tuple(laws))

    def entries(self, file: Section, key: str) -> Iterator[Section]:
        for number, content in enumerate(file.tables(key), 1):
            named = content if isinstance(content, Mapping) else {}
            yield Section(content, str(named.get("id", f"{key} {number}")), self.problems, within=file)

    def run(self, name: str, run: Section) -> None:
        if canonical(name) == BASE:
            expected = "another name than that of the base run"
            self.problems.append(InvalidValue("the name of a run", name, expected, where=run.where))
            return
        run.raw("title")
        self.scenarios[canonical(name)] = self.scenario(run, canonical(name))
        run.note_unread()

    def scenario(self, entry: Section, name: str) -> Scenario:
        settings = entry.table("set", "set")
        try:
            scenario = Scenario(name, dict(cast(Mapping[str, Any], settings.content)))
            resolve(self.model, scenario)
            return scenario
        except CiparkError as problem:
            self.problems.append(problem)
            return Scenario(name)

    def check(self, entry: Section) -> Check:
        name = entry.text("id")
        before = len(self.problems)
        scenario = self.scenario(entry, name or entry.name)
        if "expect" not in entry:
            entry.wrong("expect", "a text or a list of texts")
        expectations = self.expectations(entry)
        times = self.times(entry, default=self.span(scenario)[1])
        start, end = entry.number("from", -math.inf), entry.number("to", math.inf)
        if times is not None and ("from" in entry or "to" in entry):
            entry.wrong("at", '"all" where there is a from or a to')
        if len(self.problems) == before:
            self.within(scenario, times or (), entry.where)
            for _, expr in expectations:
                self.times_within(expr, scenario, times or (), entry.where)
        return Check(
            id=name,
            title=str(entry.raw("title") or ""),
            source=str(entry.raw("source") or ""),
            scenario=scenario,
            expectations=expectations,
            times=times,
            start=start,
            end=end,
            tolerance=self.tolerance(entry, "tolerance", 0.0),
        )

    def expectations(self, entry: Section) -> tuple[tuple[str, Expr], ...]:
        expectations = self.expressions(entry, "expect")
        for text, expr in expectations:
            if not _is_claim(expr):
                problem = f"({entry.where}) is a value; compare it with something"
                self.problems.append(ExpressionError(text, problem))
        return expectations

    def expressions(self, entry: Section, key: str) -> tuple[tuple[str, Expr], ...]:
        expressions = []
        for text in self.texts(entry, key, "a text or a list of texts"):
            try:
                expr = parse_expression(text)
            except CiparkError as problem:
                self.problems.append(CiparkError(f"{entry.where}: {problem}"))
                continue
            self.problems += name_problems(expr, text, self.model, tuple(self.scenarios), entry.where)
            expressions.append((text, expr))
        return tuple(expressions)

    def builtin(self, entry: Section) -> BuiltIn:
        default, read = BuiltIn(), {}
        exempt = self.names(entry, "may_be_negative")
        for key in _LEVELS:
            value = entry.raw(key)
            if key == "no_negative_stocks" and isinstance(value, Mapping):
                stocks = entry.table(key, key)
                exempt, value = self.names(stocks, "except"), True
                stocks.note_unread()
            read[key] = self.level(entry, key, value, getattr(default, key))
        extreme = entry.raw("extreme")
        return BuiltIn(
            **read,
            may_be_negative=frozenset(exempt),
            outputs=frozenset(self.names(entry, "outputs")),
            halving=self.halving(entry),
            extreme=True if extreme is True else () if extreme is False else self.names(entry, "extreme"),
        )

    def level(self, entry: Section, key: str, value: object, default: Level) -> Level:
        match value:
            case None:
                return default
            case True:
                return "fail"
            case False:
                return "off"
            case "note":
                return "note"
            case _:
                entry.wrong(key, 'true, false or "note"')
                return default

    def halving(self, builtin: Section) -> Halving | None:
        value = builtin.raw("time_step_halving")
        if value is None or isinstance(value, bool):
            return None if value is False else Halving()

        def read(entry: Section) -> Halving:
            times = self.times(entry, default=None)
            self.within(Scenario(BASE), times or (), entry.where)
            return Halving(
                self.tolerance(entry, "tolerance", HALVING_TOLERANCE),
                self.names(entry, "variables"),
                times,
                self.tolerance(entry, "absolute", 0.0),
            )

        return builtin.table("time_step_halving", "time_step_halving").entirely(read)

    def conservation(self, entry: Section) -> Conservation:
        name = str(entry.raw("id") or entry.name)
        stocks = self.names(entry, "stocks", "names of stocks")
        for stock in stocks:
            if not isinstance(self.model.by_name[stock], Stock):
                label = self.model.by_name[stock].label
                self.problems.append(InvalidValue("stocks", label, "stocks only", where=entry.where))
        if not entry.raw("stocks"):
            entry.wrong("stocks", "names of stocks")
        title = entry.text("title", "Nothing is made or lost")
        inflows, outflows = self.flows(entry, "inflows"), self.flows(entry, "outflows")
        return Conservation(name, title, stocks, inflows, outflows, self.tolerance(entry, "tolerance", 1e-9))

    def flows(self, entry: Section, side: str) -> tuple[Expr, ...]:
        flows = self.expressions(entry, side)
        for text, flow in flows:
            if any(isinstance(part, Call) and part.function in ("run", "at") for part in walk(flow)):
                problem = f"({entry.where}) is of another run or time; a flow is of the same"
                self.problems.append(ExpressionError(text, problem))
        return tuple(flow for _, flow in flows)

    def texts(self, entry: Section, key: str, expected: str) -> tuple[str, ...]:
        return () if entry.raw(key) == [] else entry.names(key, expected=expected)

    def names(self, entry: Section, key: str, expected: str = "a name or a list of names") -> tuple[str, ...]:
        names = []
        for name in self.texts(entry, key, expected):
            if name in self.model:
                names.append(canonical(name))
            else:
                labels = [variable.label for variable in self.model.variables]
                self.problems.append(UnknownName(name, labels, where=f"{entry.at(key)}, {key}"))
        return tuple(names)

    def tolerance(self, entry: Section, key: str, default: float) -> float:
        number = entry.number(key, default)
        if number < 0:
            entry.wrong(key, "a number from 0")
        return number

    def times(self, entry: Section, *, default: float | None) -> tuple[float, ...] | None:
        """The times asked for; None for all of them."""
        value = entry.raw("at")
        if value == "all" or (value is None and default is None):
            return None
        items = value if isinstance(value, list) else [default if value is None else value]
        numbers = [float(item) for item in items if isinstance(item, int | float) and not isinstance(item, bool)]
        if not items or len(numbers) < len(items) or any(map(math.isnan, numbers)):
            entry.wrong("at", 'a time, a list of times or "all"')
            return ()
        return tuple(numbers)

    def unique(self, file: Section, ids: Sequence[str]) -> None:
        reserved = {*BUILT_IN_IDS, HALF_STEP, *self.scenarios}
        for name in sorted({name for name in ids if ids.count(name) > 1 or name in reserved}):
            expected = "an id that no other check, no built-in one and no run has"
            self.problems.append(InvalidValue("id", name, expected, where=file.where))

    def span(self, scenario: Scenario) -> tuple[float, float]:
        resolved = resolve(self.model, scenario)
        return resolved.initial_time, resolved.final_time

    def within(self, scenario: Scenario, times: Sequence[float], where: str) -> None:
        """Note times outside a run; a span that the file makes depend on the run is left to the run."""
        first, last = self.span(scenario)
        outside = [time for time in times if time < first or time > last]
        if outside:
            self.problems.append(OutsideRun(outside, f"from {first:g} to {last:g}", where=where))

    def times_within(self, expr: Expr, scenario: Scenario, times: Sequence[float], where: str) -> None:
        match expr:
            case Call("at", (inner, Const(time))):
                self.within(scenario, (time,), where)
                self.times_within(inner, scenario, (time,), where)
            case Call("run", (Ref(name), inner)):
                self.times_within(inner, self.scenarios[name], times, where)
            case Ref():
                self.within(scenario, times, where)
            case _:
                for child in children(expr):
                    self.times_within(child, scenario, times, where)


def _is_claim(expr: Expr) -> bool:
    """Whether an expression is true or false rather than a number."""
    match expr:
        case Binary(operator, left, right):
            return operator in COMPARISONS or (operator in ("and", "or") and _is_claim(left) and _is_claim(right))
        case Call("not" | "at", (inner, *_)) | Call("run", (_, inner)):
            return _is_claim(inner)
        case _:
            return False
