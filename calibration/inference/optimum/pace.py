"""The places of a walk along a profile, how far its steps go, and where its rise passes a threshold.

Steps aim at an even growth of the square root of the rise, which is a straight line where the profile is a parabola.
The crossing is found by root finding between two places that lie on either side of it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from calibration.inference.optimum.box_search import Minimum
from calibration.inference.optimum.in_step import Search
from calibration.inference.optimum.objective import IMPOSSIBLE

#: Growth of the square root of the rise that a step aims at, as share of that of the threshold, and the most of it that
#: is taken as no jump.
AIM, MOST_GROWTH = 0.25, 0.75
#: The most by which a step grows.
LONGER = 4.0
#: The crossing is good when the rise there is the threshold to this share of it.
AT_THRESHOLD = 1e-6
#: A rise that misses the threshold by more than this share at the finest step jumps over it; the finest step as a share
#: of the one in which the crossing lies, over which a rise without a jump grows by no more than that share.
JUMP, FINEST = 1e-2, 1e-4


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


def next_step(step: float, before: float, after: float, limit: float) -> float:
    """The step after one whose root of the rise went from ``before`` to ``after``, ``limit`` being the threshold's."""
    growth = (after - before) / (AIM * limit)
    return step * min(LONGER, max(0.3, 1 / growth if growth > 0 else LONGER))


@dataclass
class Pace:
    """The step of one side: it grows and shrinks with the rise, and closes in on a place that was too far.

    Parameters
    ----------
    step : float
    limit : float
        The root of the threshold.
    """

    step: float
    limit: float
    blocked: float | None = None
    blocked_root: float = 0.0
    upwards: bool = True

    def too_far(self, root_here: float, root_ahead: float) -> bool:
        """Whether the root of the rise grows too much for one step, or the data are impossible."""
        return root_ahead - root_here > MOST_GROWTH * self.limit

    def shorten(self, at: float, ahead: float, root_ahead: float) -> None:
        """Make the step smaller, since the place ahead was too far."""
        self.blocked, self.blocked_root, self.upwards = ahead, root_ahead, ahead > at
        self.step = min(self.step, abs(ahead - at)) / 2

    def accept(self, place: float, before: float, after: float, largest: float) -> None:
        """Go on from a place; roots of the rise as of :func:`next_step`."""
        self.step = min(next_step(self.step, before, after, self.limit), largest)
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
    near: float = 0.0,
    finest: float = FINEST,
) -> Search[tuple[Place, bool]]:
    """Where the rise is the threshold, between a place below and one above it, and whether it is so there.

    Secants through the roots of the rise close in on it, and halves where they do not. Where the rise jumps over the
    threshold the place is the last one below the jump; where it is above the threshold inside already, since ``least``
    has fallen, the place is the inside.

    Parameters
    ----------
    solve : (share, place before) -> search of the place
        The place at a share of the way from ``inside`` to ``outside``. It starts from the last place below the
        threshold, since another one may lie in a valley of its own, and higher.
    near : float
        By how much more the rise may miss the threshold.
    finest : float
        The finest step, as share of the way.
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
    if abs(best.cost - least - threshold) <= JUMP * threshold + near:
        return best, True
    return low[1], False


def jumped(cost: float) -> str:
    """Why a step cannot be made small enough, given the objective beyond it."""
    return "the data are impossible beyond" if cost >= IMPOSSIBLE else "not computed: the profile is not smooth there"
