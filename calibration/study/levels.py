"""The numbers of a series as levels at dates, which is how a curve of the model is set beside them."""

from dataclasses import dataclass

from calibration.study.observations import Count, Observation, Use


@dataclass(frozen=True, slots=True)
class Level:
    """What a series had reached at a time, between two ends; an infinite upper end is *at least*."""

    time: float
    lower: float
    upper: float
    use: Use


def dated_levels(observation: Observation) -> list[Level]:
    """One for each count, in order: increments as the counts that were reported or as their running sum, flows as mean
    rates in the middle of their window."""
    levels: list[Level] = []
    reached = 0.0
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
