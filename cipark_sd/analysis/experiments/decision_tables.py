"""Equations and ``[[decision]]`` tables of a catalogue, read and checked against a model."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np

from cipark_sd.analysis.experiments.definition import BASE, Decision, Decisions, Outcome, Rule
from cipark_sd.analysis.sensitivities.ranking import Moment
from cipark_sd.base.errors import CiparkError, InvalidValue, UnknownName
from cipark_sd.base.inputs import number_in
from cipark_sd.base.naming import base_name, split_key
from cipark_sd.base.section import Section, is_number
from cipark_sd.data.scenarios import Scenario, TimeSeries, resolve
from cipark_sd.model.expr import Call, Const, Expr, Ref, Table, rebuild, references, walk
from cipark_sd.model.model import CONTROL, Model
from cipark_sd.model.named import output_problem, setting_problem
from cipark_sd.model.variables import Constant, Series
from cipark_sd.verify.checks.evaluate import ExpressionError, Reading, evaluate, name_problems, parse_expression

_T = TypeVar("_T")


#: An id is part of the names of variables that the model gets.
_ID = re.compile(r"\w[\w .-]*")


def _with_value(expr: Expr, value: float) -> Expr:
    """An equation of one variable with a number in its place."""
    return Const(value) if isinstance(expr, Ref) else rebuild(expr, partial(_with_value, value=value))


class DecisionReader:
    """Reads values and decisions for one model and collects what is wrong with them."""

    def __init__(self, model: Model, moment: Callable[[str], Moment]) -> None:
        self.model, self.moment, self.dates = model, moment, dict[float, str]()
        self.problems: list[CiparkError] = []

    def read_all(self, top: Section, key: str, read: Callable[[Section], _T], *, name: str = "") -> tuple[_T, ...]:
        """All tables ``[[key]]``, which messages name by their ids, or by their number where they have none."""
        items = []
        for number, content in enumerate(top.tables(key), 1):
            label = content.get("id") if isinstance(content, dict) else None
            title = f"{key} {label!r}" if isinstance(label, str) else f"{name or f'[[{key}]]'} {number}"
            items.append(Section(content, title, self.problems, within=top).entirely(read))
        return tuple(items)

    def once(self, key: str, ids: Sequence[str]) -> None:
        """Each id once, and none that of the run that all others are compared with."""
        for id_ in dict.fromkeys(id_ for id_ in ids if ids.count(id_) > 1 or id_ == BASE):
            expected = f"each id once, and none {BASE!r}, which is doing nothing: the run without a policy"
            self.problems.append(InvalidValue("the id", id_, expected, where=f"[[{key}]]"))

    def known(self, names: Sequence[str], known: Sequence[str], kind: str, where: str) -> None:
        """Names that have to be among those of a kind."""
        self.problems += [UnknownName(name, known, kind=kind, where=where) for name in names if name not in known]

    def settings(self, section: Section, key: str, name: str) -> Scenario:
        return self.checked_settings(section, key, name, section.raw(key))

    def checked_settings(self, section: Section, key: str, name: str, content: object) -> Scenario:
        if content is None:
            return Scenario(name)
        if not isinstance(content, dict):
            section.wrong(key, "a table of names and values")
            return Scenario(name)
        known = len(self.problems)
        content = {label: self.course(label, value, section.at(key)) for label, value in content.items()}
        for label, value in content.items():
            # one by one, so that each wrong name and value is told
            self.resolved(section, name, {label: value})
        scenario = self.resolved(section, name, content) if len(self.problems) == known else Scenario(name)
        if any(getattr(scenario, control) is not None for control in CONTROL):
            section.wrong(key, "settings without the time span: runs that are compared share their times")
        return scenario

    def resolved(self, section: Section, name: str, content: dict[str, Any]) -> Scenario:
        try:
            scenario = Scenario(name, content)
            resolve(self.model, scenario)
        except CiparkError as problem:
            self.problems.append(CiparkError(f"{section.where}: {problem}"))
            return Scenario(name)
        return scenario

    def input_of(self, name: str) -> Series | None:
        """The data variable of a name; None where it is another variable, or none."""
        variable = self.model.by_name.get(base_name(name))
        return variable if isinstance(variable, Series) else None

    def course(self, name: str, value: object, where: str) -> object:
        """Of a data variable: a number at all times, or an equation of its own values, as a course; else the value."""
        variable = self.input_of(name)
        if variable is None or not (is_number(value) or isinstance(value, str)):
            return value
        if not math.isnan(number := number_in(str(value))):
            return TimeSeries((self.model.time.initial,), (number,))
        itself, known = Ref(*split_key(name)), len(self.problems)
        expr, way = self.checked_equation(str(value), where), variable.interpolation
        tables = [piece.source for piece in variable.pieces if piece.subscripts in ((), itself.subscripts)]
        table = tables[-1] if tables else None
        if (
            expr is not None
            and all(ref == itself for ref in references(expr))
            and isinstance(table, Table)
            and way != "raw"
        ):
            reading = Reading(self.model, {}, BASE, np.zeros(0))
            return TimeSeries(table.x, tuple(float(evaluate(_with_value(expr, y), reading)) for y in table.y), way)
        if len(self.problems) == known:
            expected = f"a number, or an equation of its own values, such as '0.95 * {name}'"
            self.problems.append(InvalidValue(f"the value of {name!r}", value, expected, where=where))
        return value

    def times(self, section: Section, key: str) -> tuple[float, ...]:
        times = section.times(key, self.model_time)
        for time in times:
            self.within_run(f"a time of {key}", time, section.at(key))
        return times

    def time(self, section: Section, key: str, default: float | None = None) -> float:
        return section.time(key, self.model_time, default)

    def model_time(self, text: str) -> float:
        """Of a date by the calendar of the study, or of a number."""
        moment = self.moment(text)
        self.dates[moment.time] = moment.label
        return moment.time

    def within_run(self, label: str, time: float, where: str) -> None:
        """A time that has to be one of the run."""
        first, last = self.model.time.initial, self.model.time.final
        if not first <= time <= last:
            self.problems.append(InvalidValue(label, time, f"a time of the run, {first:g} to {last:g}", where=where))

    def output(self, name: str, where: str) -> None:
        self.problems += filter(None, [output_problem(self.model, name, where, whole=True)])

    def constant(self, name: str, where: str) -> None:
        self.problems += filter(None, [setting_problem(self.model, name, where, stocks=False, whole=True)])

    def equation(self, section: Section, key: str) -> str:
        """An equation of the model's variables that is one number at each time; empty without the key."""
        if key not in section:
            return ""
        text = section.text(key)
        if text:
            self.checked_equation(text, section.at(key))
        return text

    def checked_equation(self, text: str, where: str) -> Expr | None:
        """The expression that a text writes; None where it is none of this model."""
        try:
            expr = parse_expression(text)
        except CiparkError as problem:
            self.problems.append(CiparkError(f"{where}: {problem}"))
            return None
        problems = list(name_problems(expr, text, self.model, (), where))
        problems += [
            ExpressionError(text, f"reads another time or another run by {part.function}(), which a run cannot")
            for part in walk(expr)
            if isinstance(part, Call) and part.function in ("at", "base", "run")
        ]
        spans = [
            f"{ref.name}[{','.join(ref.subscripts)}]"
            for ref in references(expr)
            if any(name in self.model.dimension_by_name for name in ref.subscripts)
        ]
        if spans:
            expected = "one number: an element in place of the range, or SUM(name[range!])"
            problems.append(InvalidValue("the equation", text, expected, where=where))
        self.problems += problems
        return None if problems else expr

    def decisions(
        self, top: Section, outcomes: Sequence[Outcome], headline: tuple[str, float], times: Sequence[float]
    ) -> Decisions | None:
        """All decisions of a file; None where it has none."""
        shared, tables = top.table("decisions"), top.tables("decision")
        if not tables:
            if "decisions" in top:
                self.problems.append(InvalidValue("[[decision]]", "none", "at least one", where=shared.where))
            return None
        date = self.date(shared, "date")
        budget = self.budget(shared)
        read = self.read_all(top, "decision", lambda table: self.decision(table, date, budget))
        self.once("decision", [decision.id for decision in read])
        events = [decision.id for decision in read if decision.event and not decision.under]
        for decision in read:
            if decision.under and (decision.under not in events or decision.under == decision.id):
                where = f"decision {decision.id!r}, under"
                self.problems.append(UnknownName(decision.under, events, kind="event", where=where))
        outcome, at = shared.text("outcome", headline[0]), self.time(shared, "at", headline[1])
        margin = shared.number("margin", 0.05)
        if not 0 <= margin < 1:
            shared.wrong("margin", "a share from 0 to below 1, such as 0.05: a smaller change does not count")
        beside = shared.names("beside")
        self.known((outcome, *beside), [known.id for known in outcomes], "outcome", shared.where)
        if times and math.isfinite(at) and at not in times:
            shared.wrong("at", "one of the times of the file")
        if math.isfinite(date) and math.isfinite(at) and at <= date:
            shared.wrong("at", f"a time after the date of the decision, {date:g}")
        shared.note_unread()
        return Decisions(date, outcome, at, margin, read, beside)

    def date(self, section: Section, key: str, default: float | None = None) -> float:
        """A time of the run."""
        value = self.time(section, key, default)
        if math.isfinite(value):
            self.within_run(key, value, section.at(key))
        return value

    def budget(self, section: Section) -> str:
        """A number or an equation, as an equation; empty without one."""
        value = section.raw("budget")
        return repr(float(value)) if is_number(value) else self.equation(section, "budget")

    def decision(self, section: Section, date: float, budget: str) -> Decision:
        """One alternative, with its first rule in the table itself and further ones below it."""
        id_, title = section.text("id"), section.text("title")
        if id_ and not _ID.fullmatch(id_):
            section.wrong("id", "letters, digits, blanks, dots and dashes")
        note, source, event = section.text("note", ""), section.text("source", ""), section.flag("event")
        under = section.text("under", "")
        further = self.read_all(section, "rule", lambda table: self.rule(table, date), name="rule")
        rules = (self.rule(section, date), *further)
        cost, spend = self.cost(section, "cost", constant=True), self.cost(section, "spend")
        own_budget = self.budget(section)
        limit = own_budget or (budget if cost or spend else "")
        if own_budget and not (cost or spend):
            section.wrong("budget", "a cost or spend beside it, which it limits")
        return Decision(
            id_, title, rules, note=note, cost=cost, spend=spend, budget=limit, source=source, event=event, under=under
        )

    def rule(self, section: Section, default: float) -> Rule:
        """What is set, from when on, and on which condition."""
        date = self.date(section, "date", default)
        when = self.equation(section, "when")
        content = section.raw("set")
        if not isinstance(content, dict) or not content:
            section.wrong("set", "a table of constants and their new values")
            return Rule((), date, when)
        return Rule(self.equations(section, "set", content), date, when)

    def equations(
        self, section: Section, key: str, content: Mapping[str, Any], *, constant: bool = False
    ) -> tuple[tuple[str, str], ...]:
        """Constants, or elements of them, with what they are set to; ``constant`` asks for equations of constants."""
        where, settings = section.at(key), []
        for name, value in content.items():
            self.constant(name, where)
            if is_number(value):
                settings.append((name, repr(float(value))))
            elif isinstance(value, str) and value.strip():
                expr = self.checked_equation(value, where)
                settings.append((name, value))
                if constant and expr is not None and not self._of_constants(expr):
                    expected = "an equation of constants, which have one value in a run"
                    self.problems.append(InvalidValue(f"the value of {name!r}", value, expected, where=where))
            else:
                expected = "a number or an equation; an array takes one of its elements at a time"
                self.problems.append(InvalidValue(f"the value of {name!r}", value, expected, where=where))
        return tuple(settings)

    def _of_constants(self, expr: Expr) -> bool:
        return all(isinstance(self.model.by_name.get(ref.name), Constant) for ref in references(expr))

    def cost(self, section: Section, key: str, *, constant: bool = False) -> str:
        """An equation of costs, which names a number with a range: a cost that is known to the penny is not known."""
        value = section.raw(key)
        if is_number(value):
            section.wrong(key, "the name of a number with a range ([[uncertainty]]), or an equation with one")
            return ""
        text = section.text(key, "")
        expr = self.checked_equation(text, section.at(key)) if text else None
        if expr is None:
            return text
        names = [ref.name for ref in references(expr)]
        if not names:
            section.wrong(key, "an equation with at least one number that has a range ([[uncertainty]])")
        if constant and not self._of_constants(expr):
            section.wrong(key, "an equation of constants, since it is paid once; 'spend' is paid over time")
        return text
