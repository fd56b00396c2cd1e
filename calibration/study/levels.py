"""The numbers of a series as levels at dates, which is how a curve of the model is set beside them."""

from dataclasses import dataclass

from calibration.readings.reporting import Reporting
from calibration.study.observations import Count, Observation, Quantity, ReadQuantity, Share, Use

#: Of a curve, or a number, whose counts are reported later.
NOT_YET = "those not yet reported included"


@dataclass(frozen=True, slots=True)
class Level:
    """What a series had reached at a time, between two ends; an infinite upper end is *at least*."""

    time: float
    lower: float
    upper: float
    use: Use


def course_of(observation: Observation) -> Quantity | None:
    """A quantity whose course stands beside the dated levels of an observation; None for a split and for a metric."""
    first = observation.terms[0] if observation.terms else None
    if isinstance(first, Count) and observation.kind != "metric":
        return first.quantity
    return first.quantities[0] if isinstance(first, Share) and _counts_a_part(observation) else None


def is_reported_later(observation: Observation) -> bool:
    """Whether counts wait until they are reported."""
    course = course_of(observation)
    return isinstance(course, ReadQuantity) and isinstance(course.reading, Reporting)


def _counts_a_part(observation: Observation) -> bool:
    return any(isinstance(term, Share) and term.since is not None for term in observation.terms)


def dated_levels(observation: Observation) -> list[Level]:
    """One for each count, in order: increments as the counts that were reported or as their running sum, flows as mean
    rates in the middle of their window, members of a part as they were counted."""
    levels: list[Level] = []
    reached = 0.0
    if _counts_a_part(observation):
        return [Level(t.quantities[0].end, t.lower, t.upper, t.use) for t in observation.terms if isinstance(t, Share)]
    for term in observation.terms:
        if not isinstance(term, Count):
            continue
        start, end = term.quantity.start, term.quantity.end
        lower, upper = term.lower, term.upper
        if observation.kind == "flow":
            width = end - start
            levels.append(Level((start + end) / 2, lower / width, upper / width, term.use))
            continue
        if term.quantity.how != "at":
            if term.level is not None:
                lower, upper = term.level
            else:
                half = (upper - lower) / 2
                reached += (lower + upper) / 2
                lower, upper = reached - half, reached + half
        levels.append(Level(end, lower, upper, term.use))
    return levels
