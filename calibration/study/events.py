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
from cipark_sd.errors import InvalidValue, UnknownName
from cipark_sd.section import Section


@dataclass(frozen=True, slots=True)
class Event:
    """Dates of one kind, as model time, ascending."""

    name: str
    times: tuple[float, ...]
    why: str


def read_events(top: Section, calendar: Calendar) -> dict[str, Event]:
    """The ``[[event]]`` tables of a study by name."""

    def event(section: Section) -> Event:
        return Event(section.title, calendar.times_under(section, "dates"), section.text("why", ""))

    events = top.named("event", event)
    top.problems += repeated([event.name for event in events], "[[event]]")
    return {event.name: event for event in events}


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
    inner = section.table("reported", "reported")
    times = events_of(inner, "at", events)
    if "at" not in inner:
        inner.wrong("at", "the name of an [[event]], or a list of them")
    or_name = ", or the name of a noise parameter"
    share = inner.number_or_name("share", f"a number from 0 to 1{or_name}", lambda share: 0 <= share <= 1, 1.0)
    rate = inner.number_or_name("rate", f"a number not below 0{or_name}", lambda rate: rate >= 0, 0.0)
    inner.note_unread()
    return Reporting(times, share, rate, begin)
