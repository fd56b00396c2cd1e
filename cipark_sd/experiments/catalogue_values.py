"""Values that tables of a catalogue hold: settings, ranges, times, and names of the model."""

import math
from collections.abc import Callable
from itertools import product
from typing import Any, TypeVar

from cipark_sd.errors import CiparkError, InvalidValue, UnknownName
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Constant, Lookup, kind
from cipark_sd.scenarios import Scenario, override_key, resolve, split_key
from cipark_sd.section import Section

_S = TypeVar("_S")


class ValueReader:
    """Reads values for one model and collects what is wrong with them."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.problems: list[CiparkError] = []

    def table(self, top: Section, key: str, read: Callable[[Section], _S]) -> _S | None:
        """The table ``[key]``; None where there is none."""
        return self.whole(top.table(key), read) if key in top else None

    def tables(self, section: Section, key: str, name: str, read: Callable[[Section], _S]) -> tuple[_S, ...]:
        """The tables ``[[key]]`` within another, called ``name`` in messages."""
        return tuple(self.whole(Section(content, name, self.problems), read) for content in section.tables(key))

    def whole(self, section: Section, read: Callable[[Section], _S]) -> _S:
        """A table, all of whose keys have to be known."""
        value = read(section)
        section.note_unread()
        return value

    def settings(self, section: Section, key: str, name: str) -> Scenario:
        content = section.raw(key)
        if content is None:
            return Scenario(name)
        if not isinstance(content, dict):
            section.wrong(key, "a table of names and values")
            return Scenario(name)
        known = len(self.problems)
        for label, value in content.items():
            # one by one, so that each wrong name and value is told
            self.resolved(section, name, {label: value})
        scenario = self.resolved(section, name, content) if len(self.problems) == known else Scenario(name)
        if any(
            getattr(scenario, control) is not None for control in ("initial_time", "final_time", "time_step", "saveper")
        ):
            section.wrong(key, "settings without the time span: runs that are compared share their times")
        return scenario

    def resolved(self, section: Section, name: str, content: dict[str, Any]) -> Scenario:
        try:
            scenario = Scenario(name, content)
            resolve(self.model, scenario)
        except CiparkError as problem:
            self.problems.append(_within(section.where, problem))
            return Scenario(name)
        return scenario

    def range(self, section: Section) -> tuple[float, float]:
        match section.raw("range"):
            case [int() | float() as low, int() | float() as high] if low < high:
                return float(low), float(high)
            case _:
                section.wrong("range", "[low, high] with low below high")
                return math.nan, math.nan

    def times(self, section: Section, key: str) -> tuple[float, ...]:
        value = section.raw(key)
        if not isinstance(value, list) or not value or not all(isinstance(t, int | float) for t in value):
            section.wrong(key, "a list of times")
            return ()
        times = tuple(sorted({float(t) for t in value}))
        first, last = self.model.time.initial, self.model.time.final
        for time in times:
            if not first <= time <= last:
                self.problems.append(
                    InvalidValue(
                        f"a time of {key}", time, f"one of the run, {first:g} to {last:g}", where=section.at(key)
                    )
                )
        return times

    def output(self, name: str, where: str) -> None:
        base, elements = split_key(override_key(name))
        variable = self.model.by_name.get(base)
        if variable is None:
            self.problems.append(UnknownName(name, [v.label for v in self.model.variables], where=where))
        elif isinstance(variable, Lookup):
            self.problems.append(
                InvalidValue("the variable", name, "one with values over time, not a lookup", where=where)
            )
        elif elements and elements not in self.model.elements(variable):
            dims = [self.model.dimension_by_name[dim].element_labels for dim in variable.dims]
            shown = [f"{variable.label}[{','.join(labels)}]" for labels in product(*dims)]
            self.problems.append(UnknownName(name, shown, kind="element", where=where))

    def constant(self, name: str, where: str) -> None:
        self.output(name, where)
        variable = self.model.by_name.get(split_key(override_key(name))[0])
        if variable is not None and not isinstance(variable, Constant):
            self.problems.append(
                InvalidValue("the name", name, f"a constant, not the {kind(variable)} it is", where=where)
            )


def _within(where: str, problem: CiparkError) -> CiparkError:
    """A problem with the table in which it stands."""
    return CiparkError(f"{where}: {problem}")
