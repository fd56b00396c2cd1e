"""Announced dates of a study at which those who wait are released::

    [[event]]
    name = "ceremonies"
    dates = ["2019-07-01", "2019-07-02"]
    why = "announced by the park a month before"

An observation names them in ``reported``, so that its counts are releases of what waited
(:mod:`calibration.readings.reporting`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from calibration.readings.reporting import Reporting
from calibration.study.calendar import Calendar
from calibration.study.variants import repeated
from cipark_sd.errors import CiparkError, InvalidValue, UnknownName
from cipark_sd.section import Section


@dataclass(frozen=True, slots=True)
class Event:
    """Dates of one kind, as model time, ascending."""

    name: str
    times: tuple[float, ...]
    why: str


def read_events(tables: Sequence[object], calendar: Calendar, problems: list[CiparkError]) -> dict[str, Event]:
    """The ``[[event]]`` tables of a study by name; problems are added to the list."""
    events = [_event(table, calendar, problems) for table in tables]
    problems += repeated([event.name for event in events], "[[event]]")
    return {event.name: event for event in events}


def _event(content: object, calendar: Calendar, problems: list[CiparkError]) -> Event:
    name = str(content.get("name", "?")) if isinstance(content, Mapping) else "?"
    section = Section(content, f"event {name!r}", problems)
    section.text("name")
    why = section.text("why", "")
    dates = section.raw("dates")
    section.note_unread()
    times = []
    for date in dates if isinstance(dates, list) else [dates]:
        try:
            times.append(calendar.model_time(str(date)))
        except ValueError:
            section.wrong("dates", "a list of dates such as 2019-07-01, or of numbers")
            break
    return Event(name, tuple(sorted(set(times))), why)


def unused_events(events: Mapping[str, Event], observations: Sequence[object]) -> list[InvalidValue]:
    """A problem for each event that none of the ``[[observation]]`` tables names."""
    named: set[object] = set()
    for table in observations:
        content = table if isinstance(table, Mapping) else {}
        layer = content.get("reported")
        value = layer.get("at") if isinstance(layer, Mapping) else None
        named.update(name for name in (value if isinstance(value, list) else [value]) if isinstance(name, str))
    expected = "an event that an observation names in reported"
    return [InvalidValue("name", name, expected, where="[[event]]") for name in events if name not in named]


def events_of(section: Section, key: str, events: Mapping[str, Event]) -> tuple[float, ...]:
    """The times of the events that ``key`` of a section names, ascending."""
    times: set[float] = set()
    for name in section.names(key):
        if name in events:
            times.update(events[name].times)
        else:
            section.problems.append(UnknownName(name, list(events), kind="[[event]]", where=section.at(key)))
    return tuple(sorted(times))


def reporting_of(section: Section, events: Mapping[str, Event], begin: float) -> Reporting | None:
    """The layer that ``reported`` of an observation describes, None where there is none."""
    if "reported" not in section:
        return None
    inner = Section(section.raw("reported"), "reported", section.problems, within=section)
    times = events_of(inner, "at", events)
    if "at" not in inner:
        inner.wrong("at", "the name of an [[event]], or a list of them")
    share, rate = _number(inner, "share", 1.0, 1.0), _number(inner, "rate", 0.0, None)
    inner.note_unread()
    return Reporting(times, share, rate, begin)


def _number(section: Section, key: str, default: float, most: float | None) -> float | str:
    value = section.raw(key)
    if value is None:
        return default
    if isinstance(value, str) and value:
        return value
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and value >= 0
        and (most is None or value <= most)
    ):
        return float(value)
    limit = "not below 0" if most is None else f"from 0 to {most:g}"
    section.wrong(key, f"a number {limit}, or the name of a noise parameter")
    return default
