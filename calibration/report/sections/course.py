"""What a study is about where it says nothing of it: how high its first course rises, when, and where it ends."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from calibration.report.findings import Findings, Fit
from calibration.report.sections.base import ReportPart, record
from calibration.report.sections.constants import kind_of
from calibration.report.sections.predictions import by_draws, is_beyond, unseen
from cipark_sd.base.wording import is_date, said_date
from cipark_sd.pages.blocks import Section
from cipark_sd.pages.parts import Pictures
from cipark_sd.statements.headline import Details, Headline

#: Of the height of a course what it has to fall from its top to either end, so that a reader sees a peak in a figure of
#: some 300 points: six of them.
PEAK = 0.02


class Course(ReportPart):
    """Maximum, its time, and the end of the course that is observed first, without the noise of an observation."""

    def headlines(self, findings: Findings) -> Iterator[Headline]:
        """Medians of draws where there are some to be trusted, else the estimate, which has no interval."""
        fit, drawn = findings.fit, findings.draws
        if drawn is not None and len(drawn.course):
            details = list(by_draws(drawn, drawn.course))
        else:
            details = [(value, Details(unit="", kind=kind_of(fit))) for value in fit.course]
        for reported, (value, known), title in zip(fit.study.course, details, _titles(fit), strict=False):
            if np.isfinite(value):
                # a peak lies where it is, and not at the end of the run
                at = replace(reported, time=details[1][0]) if reported is not fit.study.course[-1] else reported
                beyond = (unseen(fit),) if is_beyond(fit, at) else ()
                known |= {"unit": reported.unit, "conditional_on": beyond, "title": title}
                yield record(findings, reported.estimand, value, **known)

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """None: the first screen says it."""
        return iter(())


def course(findings: Findings) -> tuple[list[Headline], str]:
    """The numbers of the course that a first screen draws, and what they come to, as a title has it.

    Returns
    -------
    list of Headline, str
        The maximum where the course falls after it, and the end; nothing where a number is missing.
    """
    records = list(Course().headlines(findings))
    if len(records) != 3:
        return [], ""
    top, when, end = records
    # without an interval there is nothing to draw
    drawn = [record for record in records if record.interval is not None and not findings.fit.conditions.first]
    if not _has_peak(findings.fit):
        return drawn[2:], f"{end.title}: {end.brief}{_alone(end)}"
    return drawn[::2], f"{top.title}: {top.brief} {_when(findings.fit, when)}{_alone(top)}"


def _alone(record: Headline) -> str:
    return ", by the best fit" if record.interval is None else ""


def peak_words(findings: Findings) -> str:
    """Between which times the peak lies; empty where there is none, or the data do not make it known."""
    records = list(Course().headlines(findings))
    if len(records) != 3 or records[1].standing != "known" or not _has_peak(findings.fit):
        return ""
    assert records[1].interval is not None  # a number without one has no class
    ends = records[1].interval.low, records[1].interval.high
    first, last = ("" if end is None else date_words(findings.fit, end) for end in ends)
    peak = f"The peak of {_name(findings.fit)} comes between"
    if first and last:
        return f"{peak} {first} and {last} (90%)" if first != last else ""
    return f"{peak} {_unit(findings.fit)} {' and '.join(records[1].interval.ends())} (90%)"


def _name(fit: Fit) -> str:
    return fit.study.course[0].label.partition(" [")[0]


def _titles(fit: Fit) -> Sequence[str]:
    name, end = _name(fit) if fit.study.course else "", float(fit.curves.times[-1])
    return f"Peak of {name}", f"Time of the peak of {name}", f"{name} {_at(fit, end)}"


def _has_peak(fit: Fit) -> bool:
    """Whether the course at the estimate has its top within the run."""
    values = fit.curves.courses[fit.study.course[0].name]
    height = float(np.nanmax(values) - np.nanmin(values))
    return float(np.nanmax(values) - max(values[0], values[-1])) > PEAK * height


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
