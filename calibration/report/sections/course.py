"""What a study is about where it says nothing of it, by the shape of its first course: a wave, a swing, growth."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from calibration.report.findings import Findings, Fit
from calibration.report.sections.base import ReportPart, record
from calibration.report.sections.constants import kind_of
from calibration.report.sections.predictions import by_draws, is_beyond, unseen
from cipark_sd.base.wording import is_date, said_date
from cipark_sd.data.readings import TOP, DoublingTime, HalfTime, Maximum, Period, TimeOfMaximum, tops
from cipark_sd.pages.blocks import Section
from cipark_sd.pages.parts import Pictures
from cipark_sd.statements.headline import Details, Headline

#: A course that swings has this many tops, and one that has come to rest moves less than :data:`TOP` of its range in
#: this last share of the run.
SWINGS, LAST = 3, 0.1
Shape = Literal["wave", "swing", "growth", "decline", "limit", "other"]
#: What is said of a course, by its shape, before its end; the first of it is its title, but of growth and decline.
SAID: Mapping[Shape, tuple[str, ...]] = {
    "wave": (Maximum.name, TimeOfMaximum.name),
    "swing": (Period.name,),
    "growth": (DoublingTime.name,),
    "decline": (HalfTime.name,),
    "limit": (),
    "other": (),
}
END = "end"


class Course(ReportPart):
    """Numbers of the course that is observed first, by its shape, without the noise of an observation."""

    def headlines(self, findings: Findings) -> Iterator[Headline]:
        """Medians of draws where there are some to be trusted, else the estimate, which has no interval."""
        yield from _numbers(findings).values()

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """None: the first screen says it."""
        return iter(())


def _numbers(findings: Findings) -> dict[str, Headline]:
    """By the metric, or :data:`END`; empty without a course."""
    fit, drawn = findings.fit, findings.draws
    if not fit.study.course:
        return {}
    if drawn is not None and len(drawn.course):
        details = list(by_draws(drawn, drawn.course))
    else:
        details = [(value, Details(unit="", kind=kind_of(fit))) for value in fit.course]
    *metrics, end = zip(fit.study.course, details, strict=True)
    values = {reported.metric: (reported, *detail) for reported, detail in metrics} | {END: (end[0], *end[1])}
    start = float(fit.curves.times[0])
    numbers = {}
    for name in (*SAID[_shape(fit)], END):
        reported, value, known = values[name]
        if not np.isfinite(value):
            continue
        # a peak lies where it is, and not at the end of the run; a period is one of all times
        times = {Maximum.name: TimeOfMaximum.name, TimeOfMaximum.name: TimeOfMaximum.name}
        spans = {DoublingTime.name: start + value, HalfTime.name: start + value, Period.name: start, END: reported.time}
        at = replace(reported, time=values[times[name]][1] if name in times else spans[name])
        beyond = (unseen(fit),) if is_beyond(fit, at) else ()
        known |= {"unit": reported.unit, "conditional_on": beyond, "title": _title(fit, name)}
        numbers[name] = record(findings, reported.estimand, value, **known)
    return numbers


def course(findings: Findings) -> tuple[list[Headline], str]:
    """The numbers of the course that a first screen draws, and what they come to, as a title has it.

    Returns
    -------
    list of Headline, str
        The maximum or the period where the course has one, and the end; nothing where a number is missing.
    """
    numbers = _numbers(findings)
    shape = _shape(findings.fit) if numbers else "other"
    if not {*SAID[shape], END} <= numbers.keys():
        return [], ""
    # without an interval there is nothing to draw, and an instant is none beside levels
    instants = {TimeOfMaximum.name, DoublingTime.name, HalfTime.name}
    levels = [number for name, number in numbers.items() if name not in instants]
    drawn = [number for number in levels if number.interval is not None and not findings.fit.conditions.first]
    top = levels[0]
    when = f" {_when(findings.fit, numbers[TimeOfMaximum.name])}" if shape == "wave" else ""
    return drawn, f"{top.title}: {top.brief}{when}{_alone(top)}"


def _alone(record: Headline) -> str:
    return ", by the best fit" if record.interval is None else ""


def course_words(findings: Findings) -> str:
    """Between which times the peak lies, or how fast the course moves; empty where the data do not make it known."""
    numbers, fit = _numbers(findings), findings.fit
    shape = _shape(fit) if numbers else "other"
    if not SAID[shape] or (number := numbers.get(SAID[shape][-1])) is None or number.standing != "known":
        return ""
    assert number.interval is not None  # a number without one has no class
    low, high = number.interval.ends()
    if shape == "wave":
        first, last = (
            "" if end is None else date_words(fit, end) for end in (number.interval.low, number.interval.high)
        )
        peak = f"The peak of {_name(fit)} comes between"
        if first and last:
            return f"{peak} {first} and {last} (90%)" if first != last else ""
        return f"{peak} {_unit(fit)} {low} and {high} (90%)"
    verb = {"swing": "swings once in", "growth": "first doubles within", "decline": "first halves within"}[shape]
    return f"{_name(fit)} {verb} {number.brief}"


def _shape(fit: Fit) -> Shape:
    """What the course at the estimate is like."""
    values = fit.curves.courses[fit.study.course[0].name]
    if not np.isfinite(values).all():
        return "other"
    height, first, last = float(np.ptp(values)), float(values[0]), float(values[-1])
    top = float(values.max())
    if int(tops(values[None, :])[2][0]) >= SWINGS:
        return "swing"
    if top - max(first, last) > TOP * height:
        return "wave"
    if 0 <= last <= first / 2:
        return "decline"
    times = fit.curves.times
    ending = values[times >= times[-1] - LAST * (times[-1] - times[0])]
    if height and np.ptp(ending) < TOP * height:
        return "limit"
    return "growth" if 0 < 2 * first <= last else "other"


def _name(fit: Fit) -> str:
    return fit.study.course[0].label.partition(" [")[0]


def _title(fit: Fit, metric: str) -> str:
    name = _name(fit)
    if metric == END:
        return f"{name} settles at" if _shape(fit) == "limit" else f"{name} {_at(fit, float(fit.curves.times[-1]))}"
    words = {
        Maximum.name: "Peak",
        TimeOfMaximum.name: "Time of the peak",
        Period.name: "Period",
        DoublingTime.name: "First doubling time",
        HalfTime.name: "First half time",
    }
    return f"{words[metric]} of {name}"


def date_words(fit: Fit, time: float) -> str:
    """The date at a time; empty in a study without dates."""
    label = fit.study.calendar.label
    labels = [label(end) for end in fit.rows["end"] if np.isfinite(end)]
    at = fit.study.calendar.date_at(time)
    if at is None or not labels or not all(map(is_date, labels)):
        return ""
    return said_date(at.isoformat())


def _at(fit: Fit, time: float, text: str = "") -> str:
    if date := date_words(fit, time):
        return f"on {date}"
    return f"at {_unit(fit)} {text or f'{time:.6g}'}"


def _unit(fit: Fit) -> str:
    """What a number of the time axis is called, such as "day"."""
    return fit.study.time_units.lower().removesuffix("s") or "time"


def _when(fit: Fit, when: Headline) -> str:
    """When, with the digits that its interval carries."""
    return _at(fit, when.number, when.value.partition(" ")[0])
