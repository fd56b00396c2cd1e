"""One side of a profile: the places of the walk and its pace, where the rise passes its threshold, and what closes it.

Steps aim at an even growth of the square root of the rise, which is a straight line where the profile is a parabola.
The crossing is found by root finding between two places that lie on either side of it.

An end is given the bound of another parameter, which closes the side, where the fit would be better beyond it. It is
not where the family of that parameter ends there, or near by, so that nothing lies beyond; nor where the others make up
for a way within.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from calibration.inference.search.box_search import Minimum
from calibration.inference.search.downhill import settling
from calibration.inference.search.objective import IMPOSSIBLE, InRange, Objective, Search, ask
from calibration.study.parameters import ParameterSpace
from cipark_sd.base.arrays import Array
from cipark_sd.base.wording import NO_END, interval, listed, number

#: ``bounded``: the rise of the profile passes its threshold while every other parameter is free to move. ``open``: it
#: does not before the number can go no further. ``closed``: it does, with another parameter on a bound of its search,
#: which the end is given. ``not found``: there is no number, because the rise jumps or the profile was not followed to
#: an end. ``none``: there is no profile. ``not judged``: the numbers are not those of the model.
SideState = Literal["bounded", "open", "closed", "not found", "none", "not judged"]
#: Growth of the square root of the rise that a step aims at, as share of that of the threshold, and the most of it that
#: is taken as no jump: smaller ones make more places, larger ones more searches that stick.
AIM, MOST_GROWTH = 0.25, 0.75
#: The crossing is good when the rise there is the threshold to this share of it, and the slope of the profile leads on
#: to the end. Nearer by, a search from the last place promises less than its tolerance, and takes no step.
AT_THRESHOLD = 1e-4
#: Of a parameter on which the likelihood is a step function.
STEPWISE = "no profile: the likelihood is a step function of it"


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a profile.

    Parameters
    ----------
    state : {"bounded", "open", "closed", "not found", "none", "not judged"}
    at : float
        Where the rise passes the threshold; of an open side or one that was not found, how far it was followed.
    reason : str
        Of a closed side the parameters on their bounds, such as "Delay at least 1"; of one that was not found what
        happened there; of an open one why nothing bounds it, where that is known.
    """

    state: SideState
    at: float
    reason: str = ""

    @property
    def limit(self) -> float | None:
        """The end of the interval, None where there is none."""
        return self.at if self.state in ("bounded", "closed") else None


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
        return Verdict(ordered[0].lower, last.upper, by, held, on_bound, gaps=tuple(gaps), alternatives=alternatives)

    @property
    def interval(self) -> str:
        """The interval as it is printed."""
        lower, upper = (NO_END.get(side.state, "") for side in (self.lower, self.upper))
        return interval(self.lower.limit, self.upper.limit, without=(lower, upper), gaps=self.gaps)

    @property
    def states(self) -> tuple[str, str]:
        """Of the lower and of the upper side."""
        return self.lower.state, self.upper.state

    @property
    def bounds(self) -> tuple[str, ...]:
        """The bounds of other parameters that its ends are given."""
        return tuple(dict.fromkeys(side.reason for side in (self.lower, self.upper) if side.state == "closed"))

    def __str__(self) -> str:
        return self.words(self.by)

    def words(self, by: str) -> str:
        """The sentence, with what bounds a side that is bounded."""
        below, above = ("bounded" if state == "closed" else state for state in self.states)
        states = below, above
        if states in (("none", "none"), ("not judged", "not judged")):
            return self.lower.reason
        only = "" if by == "the data" else f", by {by}"
        of_both = {
            ("bounded", "bounded"): f"bounded by {by}",
            ("open", "open"): self.lower.reason or f"not bounded by {by}",
            ("open", "bounded"): f"bounded from above only{only}",
            ("bounded", "open"): f"bounded from below only{only}",
        }
        of_each = [_words(self.lower, "below", by), _words(self.upper, "above", by)]
        bounds = f", with {listed(self.bounds)}" if self.bounds else ""
        phrases = [of_both[states] + bounds] if states in of_both else of_each
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


def _words(side: Side, where: str, by: str) -> str:
    match side.state:
        case "bounded":
            return f"bounded from {where} by {by}"
        case "closed":
            return f"bounded from {where} by {by}, with {side.reason}"
        case "open":
            return f"open {where}"
        case "not found" | "none" | "not judged":
            ahead = "" if math.isnan(side.at) else f" (from {number(side.at)})"
            return f"not found {where}{ahead}: {side.reason}"


def obstacles(goal: Objective, minimum: Minimum, threshold: float) -> Search[list[str]]:
    """The bounds of searches without which a minimum would be lower.

    Parameters
    ----------
    threshold : float
        Of the rise, of which a hundredth is no obstacle.

    Returns
    -------
    Search
        Of what each sets, such as "Delay at least 1".
    """
    if not ((minimum.point <= 0.0) | (minimum.point >= 1.0)).any():
        return []
    texts = list[str]()
    if not goal.rough:
        _, slopes = yield from ask(goal, minimum.point)
        minimum = replace(minimum, slopes=slopes)
    for name in on_bounds(goal, minimum):
        if _is_pulled(goal, name):
            # where a parameter is at its own end no other one stands in its way
            continue
        harmless = yield from _harmless(goal, minimum, name, 1e-2 * threshold)
        if not harmless:
            texts.append(bound_words(goal, minimum.point, name))
    return texts


def bound_words(goal: Objective, point: Array, name: str) -> str:
    """The bound on which a point ``(n_free,)`` of the box has a parameter, such as "Delay at least 1"."""
    column = goal.space.names.index(name)
    bound = float(goal.space.from_box(np.round(point)[None, :])[0, column])
    return f"{name} at {'most' if point[column] > 0.5 else 'least'} {number(bound)}"


def _is_pulled(goal: Objective, name: str) -> bool:
    """Whether a parameter is the one whose profile is walked."""
    quantity = goal.pull.quantity if goal.pull is not None else None
    return isinstance(quantity, InRange) and goal.free[goal.space.names.index(name)] == quantity.position


def on_bounds(goal: Objective, minimum: Minimum) -> list[str]:
    """Free parameters that a minimum has on a bound of their search, and that would move on without it."""
    # a slope over the whole range that is more than none
    pushed = 1e-3
    low = (minimum.point <= 0.0) & (minimum.slopes > pushed)
    high = (minimum.point >= 1.0) & (minimum.slopes < -pushed)
    return [name for name, stuck in zip(goal.space.names, low | high, strict=True) if stuck]


def _harmless(goal: Objective, minimum: Minimum, name: str, nothing: float) -> Search[bool]:
    """Whether a bound costs nothing: its family ends there, or the others make up for a way within it."""
    column = goal.space.names.index(name)
    upper = bool(minimum.point[column] > 0.5)
    if worth_beyond(goal, column, upper, abs(float(minimum.slopes[column]))) < nothing:
        return True
    inside = minimum.point.copy()
    inside[column] = 1 - 0.05 if upper else 0.05
    nuisance = np.delete(np.arange(len(inside)), column)
    if not len(nuisance):
        return False
    inner = replace(goal, base=goal.theta(inside[None, :])[0], free=goal.free[nuisance])
    within = yield from settling(inner, minimum.point[nuisance], tolerance=1e-8, stall=nothing / 10)
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


@dataclass(frozen=True, eq=False)
class Place:
    """A point of a profile: the quantity ``at`` and the objective ``cost`` at a minimum of objective and pull.

    ``slope`` is that of the pull there, which is that of the profile; ``aimed`` and ``sigma`` are the pull's.
    """

    minimum: Minimum
    cost: float
    at: float
    slope: float = 0.0
    aimed: float = 0.0
    sigma: float = 1.0

    @property
    def doubt(self) -> float:
        """The fall of the objective that its search has left at a kink, about."""
        return self.minimum.promised


def root(rise: float) -> float:
    """The square root of a rise, 0 for what lies below the least by rounding."""
    return math.sqrt(max(rise, 0.0))


def _next_step(step: float, before: float, after: float, limit: float) -> float:
    """The step after one on which the root of the rise grew.

    Parameters
    ----------
    before, after : float
        Roots of the rise at its ends.
    limit : float
        The root of the threshold.
    """
    growth = (after - before) / (AIM * limit)
    return step * min(4.0, max(0.3, 1 / growth if growth > 0 else 4.0))


@dataclass
class Pace:
    """The step of one side: it grows and shrinks with the rise, and closes in on a place that was too far.

    Parameters
    ----------
    limit : float
        The root of the threshold.
    """

    step: float
    limit: float
    blocked: float | None = None
    blocked_root: float = 0.0
    upwards: bool = True

    @staticmethod
    def first(limit: float, spread: float, largest: float) -> "Pace":
        """Of a parabola of that ``spread``, a variance: its rise is ``d^2 / (2 spread)`` at a distance of d."""
        return Pace(min(AIM * limit * math.sqrt(2 * spread), largest), limit)

    def too_far(self, root_here: float, root_ahead: float) -> bool:
        """Whether the root of the rise grows too much for one step, or the data are impossible."""
        return root_ahead - root_here > MOST_GROWTH * self.limit

    def shorten(self, at: float, ahead: float, root_ahead: float) -> None:
        """Make the step smaller, since the place ahead was too far."""
        self.blocked, self.blocked_root, self.upwards = ahead, root_ahead, ahead > at
        self.step = min(self.step, abs(ahead - at)) / 2

    def accept(self, place: float, before: float, after: float, largest: float) -> None:
        """Go on from a place; roots of the rise as of :func:`_next_step`."""
        self.step = min(_next_step(self.step, before, after, self.limit), largest)
        if self.blocked is not None:
            passed = place >= self.blocked if self.upwards else place <= self.blocked
            if passed or self.blocked_root - after <= MOST_GROWTH * self.limit:
                self.blocked = None
            else:
                # from nearer by, a search may pass where another one had stuck
                self.step = min(self.step, abs(self.blocked - place))


def crossing(
    inside: Place,
    outside: Place,
    least: float,
    threshold: float,
    solve: Callable[[float, Place], Search[Place]],
    near: float,
    finest: float,
) -> Search[tuple[Place, bool]]:
    """Where the rise is the threshold, between a place below and one above it.

    Secants through the roots of the rise close in on it, and halves where they do not. Where the rise jumps over the
    threshold the place is the last one below the jump; where it is above the threshold inside already, since ``least``
    has fallen, the place is the inside.

    Parameters
    ----------
    least, threshold : float
        The least objective that is known, and the rise above it.
    solve : function
        Of a share of the way from ``inside`` to ``outside`` and a place, the search of the place at that share. It
        starts from the last place below the threshold, since another one may lie in a valley of its own, and higher.
    near : float
        By how much more the rise may miss the threshold.
    finest : float
        The finest step, as share of the way.

    Returns
    -------
    Search
        Of the place, and whether the rise is the threshold there.
    """

    def gap(place: Place) -> float:
        rise = place.cost - least
        if abs(rise - threshold) <= AT_THRESHOLD * threshold + place.doubt:
            return 0.0
        return root(min(rise, IMPOSSIBLE)) - math.sqrt(threshold)

    low, high = (0.0, inside), (1.0, outside)
    if gap(inside) > 0:
        # a better fit was met on the way here, above which the place inside lies already
        return inside, False
    width, best = 1.0, min(inside, outside, key=lambda place: abs(gap(place)))
    while gap(best) and high[0] - low[0] > finest:
        below, above = gap(low[1]), gap(high[1])
        share = low[0] + (high[0] - low[0]) * min(0.95, max(0.05, below / (below - above)))
        if high[0] - low[0] > width / 2:
            share = (low[0] + high[0]) / 2
        width = high[0] - low[0]
        place = yield from solve(share, low[1])
        best = min(best, place, key=lambda place: abs(gap(place)))
        low, high = ((share, place), high) if gap(place) <= 0 else (low, (share, place))
    # over the finest step a rise without a jump grows by no more than a hundredth
    if abs(best.cost - least - threshold) <= 1e-2 * threshold + near:
        return best, True
    return low[1], False


def jumped(cost: float) -> str:
    """Why a step cannot be made small enough, given the objective beyond it."""
    return "the data are impossible beyond" if cost >= IMPOSSIBLE else "not computed: the profile is not smooth there"
