"""The checks file (TOML) of a model: what is run, what is expected of it.

``models/cipark.checks.toml`` shows the format and explains it at its head.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

from cipark_sd.checks.definition import (
    BUILT_IN_IDS,
    HALF_STEP,
    HALVING_TOLERANCE,
    BuiltIn,
    Check,
    Checks,
    Conservation,
    Expectation,
    Halving,
    Level,
)
from cipark_sd.checks.evaluate import BASE, OutsideRun
from cipark_sd.checks.expression import COMPARISONS, ExpressionError, name_problems, parse_expression
from cipark_sd.errors import CiparkError, InvalidValue, UnknownName, raise_all
from cipark_sd.inputs import read_toml
from cipark_sd.model.expr import Binary, Call, Const, Expr, Ref, children, walk
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Stock
from cipark_sd.naming import canonical
from cipark_sd.scenarios import Scenario, resolve
from cipark_sd.toml_lines import place


def read_checks(path: Path | str, model: Model) -> Checks:
    """The checks of a file, for ``model``.

    Raises
    ------
    InvalidValue, UnknownName, ExpressionError, OutsideRun, Problems
        For all that is wrong in the file, at once.
    """
    path = Path(path)
    try:
        content = read_toml(path)
    except (FileNotFoundError, NotADirectoryError):
        raise InvalidValue("the checks file", str(path), "a file that exists", where="--checks") from None
    reader = _Reader(path.name, model)
    checks = reader.read(content)
    # a mistake that shows on two ways is told once
    raise_all(str(path), list({str(problem): problem for problem in reader.problems}.values()))
    return checks


class _Reader:
    """Reads one file and collects what is wrong in it."""

    def __init__(self, name: str, model: Model) -> None:
        self.name = name
        self.model = model
        self.problems: list[CiparkError] = []
        self.scenarios: dict[str, Scenario] = {BASE: Scenario(BASE)}

    def read(self, content: Mapping[str, object]) -> Checks:
        self.known(content, ("builtin", "runs", "check", "conservation"), "")
        for name, run in self.table(content.get("runs", {}), "[runs]").items():
            self.run(name, run)
        builtin = self.builtin(self.table(content.get("builtin", {}), "[builtin]"))
        checks = [self.check(entry, n) for n, entry in enumerate(self.entries(content, "check"), 1)]
        conservation = [self.conservation(entry, n) for n, entry in enumerate(self.entries(content, "conservation"), 1)]
        self.unique([check.id for check in checks] + [law.id for law in conservation])
        runs = {name: scenario for name, scenario in self.scenarios.items() if name != BASE}
        return Checks(builtin, runs, tuple(checks), tuple(conservation))

    def run(self, name: str, value: object) -> None:
        where = place(value, f"[runs.{name}]")
        run = self.table(value, where)
        self.known(run, ("set", "title"), where)
        if canonical(name) == BASE:
            self.problems.append(
                InvalidValue("the name of a run", name, "another name than that of the base run", where=where)
            )
            return
        self.scenarios[canonical(name)] = self.scenario(run, canonical(name), where)

    def scenario(self, entry: Mapping[str, object], name: str, where: str) -> Scenario:
        try:
            scenario = Scenario(name, dict(cast(Mapping[str, Any], self.table(entry.get("set", {}), f"{where}, set"))))
            resolve(self.model, scenario)
            return scenario
        except CiparkError as problem:
            self.problems.append(problem)
            return Scenario(name)

    def check(self, entry: Mapping[str, object], number: int) -> Check:
        name = str(entry.get("id", f"check {number}"))
        where = place(entry, name)
        self.known(entry, ("id", "title", "source", "set", "expect", "at", "from", "to", "tolerance"), where)
        if "id" not in entry:
            self.problems.append(InvalidValue("id", None, "a short name for the check", where=where))
        before = len(self.problems)
        scenario = self.scenario(entry, name, where)
        expectations = self.expectations(entry.get("expect"), where)
        times = self.times(entry.get("at"), where, default=self.span(scenario)[1])
        start, end = (
            self.number(entry.get(key, default), key, where) for key, default in (("from", -math.inf), ("to", math.inf))
        )
        if times is not None and ("from" in entry or "to" in entry):
            self.problems.append(
                InvalidValue("at", entry.get("at"), '"all" where there is a from or a to', where=where)
            )
        if len(self.problems) == before:
            self.within(scenario, times or (), where)
            for expectation in expectations:
                self.times_within(expectation.expr, scenario, times or (), where)
        tolerance = self.tolerance(entry.get("tolerance", 0.0), where)
        title, source = str(entry.get("title", "")), str(entry.get("source", ""))
        return Check(name, title, source, scenario, expectations, times, start, end, tolerance)

    def expectations(self, value: object, where: str) -> tuple[Expectation, ...]:
        found = []
        for text in self.texts(value, "expect", where):
            expectation = self.expression(text, where)
            if expectation is None:
                continue
            if not is_claim(expectation.expr):
                self.problems.append(ExpressionError(text, f"({where}) is a value; compare it with something"))
            found.append(expectation)
        return tuple(found)

    def expression(self, text: str, where: str) -> Expectation | None:
        try:
            expr = parse_expression(text)
        except CiparkError as problem:
            self.problems.append(CiparkError(f"{where}: {problem}"))
            return None
        self.problems += name_problems(expr, text, self.model, tuple(self.scenarios), where)
        return Expectation(text, expr)

    def builtin(self, entry: Mapping[str, object]) -> BuiltIn:
        where = place(entry, "[builtin]")
        levels = ("units", "no_negative_stocks", "finite", "declared_units", "documented", "used", "lookup_ranges")
        self.known(entry, (*levels, "may_be_negative", "outputs", "time_step_halving", "extreme"), where)
        default = BuiltIn()
        negative = entry.get("no_negative_stocks")
        allowed = entry.get("may_be_negative", [])
        if isinstance(negative, Mapping):
            self.known(negative, ("except",), place(negative, "[builtin], no_negative_stocks"))
            entry = {**entry, "no_negative_stocks": True}
            allowed = negative.get("except", [])
        extreme = entry.get("extreme", False)
        names: tuple[str, ...] | Literal[True] = ()
        if extreme is True:
            names = True
        elif extreme is not False:
            names = self.names(extreme, "extreme", where)
        return BuiltIn(
            **{key: self.level(entry.get(key), key, getattr(default, key), where) for key in levels},
            may_be_negative=frozenset(self.names(allowed, "may_be_negative", where)),
            outputs=frozenset(self.names(entry.get("outputs", []), "outputs", where)),
            halving=self.halving(entry.get("time_step_halving", True), where),
            extreme=names,
        )

    def level(self, value: object, key: str, default: Level, where: str) -> Level:
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
                self.problems.append(InvalidValue(key, value, 'true, false or "note"', where=where))
                return default

    def halving(self, value: object, where: str) -> Halving | None:
        if isinstance(value, bool):
            return Halving() if value else None
        where = place(value, "[builtin], time_step_halving")
        entry = self.table(value, where)
        self.known(entry, ("tolerance", "variables", "at", "absolute"), where)
        times = self.times(entry.get("at", "all"), where, default=0.0)
        self.within(Scenario(BASE), times or (), where)
        tolerance = self.tolerance(entry.get("tolerance", HALVING_TOLERANCE), where)
        absolute = self.tolerance(entry.get("absolute", 0.0), where, "absolute")
        return Halving(tolerance, self.names(entry.get("variables", []), "variables", where), times, absolute)

    def conservation(self, entry: Mapping[str, object], number: int) -> Conservation:
        name = str(entry.get("id", f"conservation {number}"))
        where = place(entry, name)
        self.known(entry, ("id", "title", "stocks", "inflows", "outflows", "tolerance"), where)
        stocks = self.names(entry.get("stocks", []), "stocks", where)
        for stock in stocks:
            if not isinstance(self.model.by_name[stock], Stock):
                self.problems.append(
                    InvalidValue("stocks", self.model.by_name[stock].label, "stocks only", where=where)
                )
        if not stocks:
            self.problems.append(InvalidValue("stocks", entry.get("stocks"), "names of stocks", where=where))
        title = str(entry.get("title", "Nothing is made or lost"))
        inflows, outflows = (self.flows(entry, side, where) for side in ("inflows", "outflows"))
        tolerance = self.tolerance(entry.get("tolerance", 1e-9), where)
        return Conservation(name, title, stocks, inflows, outflows, tolerance)

    def flows(self, entry: Mapping[str, object], side: str, where: str) -> tuple[Expectation, ...]:
        read = [self.expression(text, where) for text in self.texts(entry.get(side, []), side, where)]
        flows = tuple(flow for flow in read if flow is not None)
        for flow in flows:
            if any(isinstance(part, Call) and part.function in ("base", "run", "at") for part in walk(flow.expr)):
                problem = ExpressionError(flow.text, f"({where}) is of another run or time; a flow is of the same")
                self.problems.append(problem)
        return flows

    def known(self, entry: Mapping[str, object], keys: Sequence[str], where: str) -> None:
        name = where.removeprefix(f"{place(entry, '')}: ")
        self.problems += [
            UnknownName(key, keys, kind="key", where=place(entry, name, key)) for key in entry if key not in keys
        ]

    def table(self, value: object, where: str) -> Mapping[str, object]:
        if isinstance(value, Mapping):
            return value
        self.problems.append(InvalidValue("the value", value, "a table", where=where))
        return {}

    def entries(self, content: Mapping[str, object], key: str) -> Iterator[Mapping[str, object]]:
        value = content.get(key, [])
        if not isinstance(value, list):
            self.problems.append(InvalidValue(key, value, f"a list of tables [[{key}]]", where=place(content, "", key)))
            return
        yield from (self.table(item, f"{self.name}, {key}") for item in value)

    def texts(self, value: object, key: str, where: str) -> tuple[str, ...]:
        items = [value] if isinstance(value, str) else value
        if isinstance(items, list) and all(isinstance(item, str) for item in items) and (items or key != "expect"):
            return tuple(items)
        self.problems.append(InvalidValue(key, value, "a text or a list of texts", where=where))
        return ()

    def names(self, value: object, key: str, where: str) -> tuple[str, ...]:
        found = []
        for name in self.texts(value, key, where):
            if name in self.model:
                found.append(canonical(name))
            else:
                self.problems.append(
                    UnknownName(name, [v.label for v in self.model.variables], where=f"{where}, {key}")
                )
        return tuple(found)

    def number(self, value: object, key: str, where: str) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value):
            return float(value)
        self.problems.append(InvalidValue(key, value, "a number", where=where))
        return 0.0

    def tolerance(self, value: object, where: str, key: str = "tolerance") -> float:
        number = self.number(value, key, where)
        if not 0 <= number < math.inf:
            self.problems.append(InvalidValue(key, value, "a number from 0", where=where))
        return number

    def times(self, value: object, where: str, *, default: float) -> tuple[float, ...] | None:
        """The times asked for; none for all of them."""
        if value == "all":
            return None
        if value is None:
            return (default,)
        items = value if isinstance(value, list) else [value]
        if not items or any(isinstance(item, str) for item in items):
            self.problems.append(InvalidValue("at", value, 'a time, a list of times or "all"', where=where))
            return ()
        return tuple(self.number(item, "at", where) for item in items)

    def unique(self, ids: Sequence[str]) -> None:
        reserved = {*BUILT_IN_IDS, HALF_STEP, *self.scenarios}
        for name in sorted({name for name in ids if ids.count(name) > 1 or name in reserved}):
            expected = "an id that no other check, no built-in one and no run has"
            self.problems.append(InvalidValue("id", name, expected, where=self.name))

    def span(self, scenario: Scenario) -> tuple[float, float]:
        try:
            resolved = resolve(self.model, scenario)
        except CiparkError:
            return -math.inf, math.inf
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
            case Call("base", (inner,)):
                self.times_within(inner, self.scenarios[BASE], times, where)
            case Call("run", (Ref(name), inner)):
                self.times_within(inner, self.scenarios[name], times, where)
            case Ref():
                self.within(scenario, times, where)
            case _:
                for child in children(expr):
                    self.times_within(child, scenario, times, where)


def is_claim(expr: Expr) -> bool:
    """Whether an expression is true or false rather than a number."""
    match expr:
        case Binary(operator, left, right):
            return operator in COMPARISONS or (operator in ("and", "or") and is_claim(left) and is_claim(right))
        case Call("not" | "at" | "base", (inner, *_)) | Call("run", (_, inner)):
            return is_claim(inner)
        case _:
            return False
