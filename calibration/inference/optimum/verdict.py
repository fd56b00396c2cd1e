"""What a profile says of its two sides: how far the data bound a number, and what closes a side if the data do not.

A bound of another parameter closes a side where the fit would be better beyond it. It does not where the family of the
parameter ends there, or near by, so that nothing lies beyond; nor where the other parameters make up for a way within.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from calibration.inference.optimum.box_search import Minimum
from calibration.inference.optimum.downhill import settling
from calibration.inference.optimum.in_step import Search, ask
from calibration.inference.optimum.objective import InRange, Objective
from calibration.study.parameters import ParameterSpace
from cipark_sd.base.wording import NO_END, interval, listed, number

#: ``bounded``: the rise of the profile passes its threshold while every other parameter is free to move. ``open``: it
#: does not before the number can go no further. ``closed``: it does, but only with another parameter on a bound of its
#: search. ``not found``: there is no number, because the rise jumps or the profile was not followed to an end.
#: ``none``: there is no profile. ``not judged``: the numbers are not those of the model.
SideState = Literal["bounded", "open", "closed", "not found", "none", "not judged"]
#: Of a parameter on which the likelihood is a step function.
STEPWISE = "no profile: the likelihood is a step function of it"
#: A slope over the whole range of a parameter on its bound that is more than none.
PUSHED = 1e-3
#: A bound is no obstacle where all that lies beyond it, or a way within it, is worth less than this share of the
#: threshold; how far within, as share of the range.
NOTHING, WITHIN = 1e-2, 0.05
#: The fall of the log density that a search may leave.
TOLERANCE = 1e-8


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a profile.

    Parameters
    ----------
    state : {"bounded", "open", "closed", "not found", "none", "not judged"}
    at : float
        Where the rise passes the threshold; of an open side or one that was not found, how far it was followed.
    reason : str
        Of a closed side the parameters on their bounds, of one that was not found what happened there; of an open one
        why nothing bounds it, where that is known.
    """

    state: SideState
    at: float
    reason: str = ""

    @property
    def limit(self) -> float | None:
        """The end of the interval, None unless the data bound the side."""
        return self.at if self.state == "bounded" else None


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of an interval around one optimum, ``centre`` being the number there."""

    lower: Side
    upper: Side
    centre: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Both sides of a profile, and what they are conditional on.

    Parameters
    ----------
    lower, upper : Side
    by : str
        What bounds a side that is bounded: the data, or the data and priors.
    held : tuple of str
        Parameters that the searches of the profile could not move.
    on_bound : {"", "lower", "upper"}
        The bound of its search on which the estimate itself lies.
    gaps : tuple of (float, float)
        Stretches within that do not belong to the interval, ascending.
    alternatives : tuple of float
        The number at other optima that are as good.
    """

    lower: Side
    upper: Side
    by: str = "the data"
    held: tuple[str, ...] = ()
    on_bound: str = ""
    gaps: tuple[tuple[float, float], ...] = ()
    alternatives: tuple[float, ...] = ()

    @staticmethod
    def of(parts: Sequence[Part], *, by: str = "the data", held: tuple[str, ...] = (), on_bound: str = "") -> "Verdict":
        """Of stretches around optima that are equally good, that of the estimate first."""
        ordered = sorted(parts, key=lambda part: part.lower.at)
        gaps, last = list[tuple[float, float]](), ordered[0]
        for part in ordered[1:]:
            if part.lower.at > last.upper.at:
                gaps.append((last.upper.at, part.lower.at))
            last = max(last, part, key=lambda part: part.upper.at)
        alternatives = tuple(part.centre for part in parts[1:])
        return Verdict(ordered[0].lower, last.upper, by, held, on_bound, tuple(gaps), alternatives)

    @property
    def interval(self) -> str:
        """The interval as it is printed."""
        lower, upper = (NO_END.get(side.state, "") for side in (self.lower, self.upper))
        return interval(self.lower.limit, self.upper.limit, without=(lower, upper), gaps=self.gaps)

    @property
    def states(self) -> tuple[str, str]:
        """Of the lower and of the upper side."""
        return self.lower.state, self.upper.state

    def __str__(self) -> str:
        return self.words(self.by)

    def words(self, by: str) -> str:
        """The sentence, with what bounds a side that is bounded."""
        states = self.states
        if states in (("none", "none"), ("not judged", "not judged")):
            return self.lower.reason
        if states == ("bounded", "bounded"):
            phrases = [f"bounded by {by}"]
        elif states == ("open", "open"):
            phrases = [self.lower.reason or f"not bounded by {by}"]
        elif states == ("open", "bounded"):
            phrases = [f"bounded from above only{_with(by)}"]
        elif states == ("bounded", "open"):
            phrases = [f"bounded from below only{_with(by)}"]
        else:
            phrases = [_words(self.lower, "below", by), _words(self.upper, "above", by)]
        if self.on_bound:
            phrases.insert(0, f"estimate on its {self.on_bound} bound")
        if self.alternatives:
            phrases.append(f"another optimum as good at {listed(number(value) for value in self.alternatives)}")
        if self.held:
            phrases.append("with " + ", ".join(self.held) + " held")
        return "; ".join(phrases)


def not_judged(verdict: Verdict, reason: str) -> Verdict:
    """A verdict in which neither side is judged."""
    lower, upper = (Side("not judged", side.at, reason) for side in (verdict.lower, verdict.upper))
    return replace(verdict, lower=lower, upper=upper, gaps=(), on_bound="")


def refused(estimate: float) -> Verdict:
    """Of a parameter that has no profile from local searches."""
    side = Side("none", estimate, STEPWISE)
    return Verdict(side, side)


def _with(by: str) -> str:
    """What bounds one side, where it is not the data alone."""
    return "" if by == "the data" else f", by {by}"


def _words(side: Side, where: str, by: str) -> str:
    match side.state:
        case "bounded":
            return f"bounded from {where} by {by}"
        case "open":
            return f"open {where}"
        case "closed":
            return f"closed from {where} at {number(side.at)} by the bound of {side.reason}"
        case "not found" | "none" | "not judged":
            ahead = "" if math.isnan(side.at) else f" (from {number(side.at)})"
            return f"not found {where}{ahead}: {side.reason}"


def obstacles(goal: Objective, minimum: Minimum, threshold: float) -> Search[list[str]]:
    """Parameters on a bound of their search without which ``minimum`` would be lower by a share of ``threshold``."""
    if not ((minimum.point <= 0.0) | (minimum.point >= 1.0)).any():
        return []
    names = list[str]()
    if not goal.rough:
        _, slopes = yield from ask(goal, minimum.point)
        minimum = replace(minimum, slopes=slopes)
    for name in on_bounds(goal, minimum):
        if _is_pulled(goal, name):
            # where a parameter is at its own end no other one stands in its way
            continue
        harmless = yield from _harmless(goal, minimum, name, NOTHING * threshold)
        if not harmless:
            names.append(name)
    return names


def _is_pulled(goal: Objective, name: str) -> bool:
    """Whether a parameter is the one whose profile is walked."""
    quantity = goal.pull.quantity if goal.pull is not None else None
    return isinstance(quantity, InRange) and goal.free[goal.space.names.index(name)] == quantity.position


def on_bounds(goal: Objective, minimum: Minimum) -> list[str]:
    """Free parameters that a minimum has on a bound of their search, and that would move on without it."""
    low = (minimum.point <= 0.0) & (minimum.slopes > PUSHED)
    high = (minimum.point >= 1.0) & (minimum.slopes < -PUSHED)
    return [name for name, stuck in zip(goal.space.names, low | high, strict=True) if stuck]


def _harmless(goal: Objective, minimum: Minimum, name: str, nothing: float) -> Search[bool]:
    """Whether a bound costs nothing: its family ends there, or the others make up for a way within it."""
    column = goal.space.names.index(name)
    upper = bool(minimum.point[column] > 0.5)
    if worth_beyond(goal, column, upper, abs(float(minimum.slopes[column]))) < nothing:
        return True
    inside = minimum.point.copy()
    inside[column] = 1 - WITHIN if upper else WITHIN
    nuisance = np.delete(np.arange(len(inside)), column)
    if not len(nuisance):
        return False
    inner = replace(goal, base=goal.theta(inside[None, :])[0], free=goal.free[nuisance])
    within = yield from settling(inner, minimum.point[nuisance], tolerance=TOLERANCE, stall=nothing / 10)
    return within.value < minimum.value + nothing


def worth_beyond(goal: Objective, column: int, upper: bool, slope: float) -> float:
    """What a parameter on its bound could gain by going on to the natural edge of its kind, by its slope in the box.

    The edges are 0 for what cannot be negative and 0 and 1 for a share: a dispersion of 0 is a Poisson count. Infinite
    where there is none beyond.
    """
    parameter = goal.space.parameters[column]
    share = parameter.scale == "logit" or (parameter.lower == 0 and parameter.upper == 1)
    bound = float(goal.space.from_box(np.full((1, len(goal.free)), float(upper)))[0, column])
    edge = (1.0 if share else math.inf) if upper else (0.0 if bound >= 0 else -math.inf)
    if math.isinf(edge):
        return math.inf
    step = 1e-6
    ends = np.array([[1 - step], [1.0]]) if upper else np.array([[0.0], [step]])
    width = np.diff(ParameterSpace((parameter,)).from_box(ends)[:, 0])[0] / step
    return slope / float(width) * abs(edge - bound)
