"""The walk along a profile: outwards from the least value of an objective, to where its rise passes a threshold.

A walk has a cost and a pull. The cost is the objective; the pull ``(g - z)^2 / (2 sigma^2)`` draws a quantity g of the
parameters outwards, z a little further at each step. Whatever minimises the sum minimises the objective among all
parameters with the same g: g and the objective where it ends are a point of the profile, and g need not be met exactly.
The quantity is a parameter's place in its range, or a number that the model says.

Each search starts from the last one's end. Steps aim at an even growth of the square root of the rise, which is a
straight line where the profile is a parabola. No step has a floor but rounding, so a steep rise is resolved however
wide the search range is, and a jump is told from one. A rise that looks like a jump is searched again from the place
before it. The crossing is found by root finding between two places on either side of it. Both sides are walked in step
(:mod:`calibration.inference.search.objective`), and so are the walks of many quantities.

Source: Kreutz, Raue and Timmer 2012, BMC Systems Biology 6, 120, equations 6 to 12: the profile of a prediction follows
from that of a measurement of g, with sigma the noise of that measurement.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from calibration.inference.profile.tuning import PROFILE
from calibration.inference.profile.verdict import (
    AT_THRESHOLD,
    Pace,
    Part,
    Place,
    Side,
    crossing,
    jumped,
    obstacles,
    root,
)
from calibration.inference.sample.convergence import cost_of_a_run
from calibration.inference.search.box_search import Minimum, descending, measured, minimising, positive
from calibration.inference.search.downhill import Allowance, Spent, nearing, settling, within
from calibration.inference.search.objective import IMPOSSIBLE, InRange, Objective, Pull, Quantity, Search, ask, gather
from calibration.inference.search.scoring import around, scored
from calibration.inference.search.tuning import SEARCH
from calibration.likelihood.posterior import Posterior
from cipark_sd.base.arrays import Array
from cipark_sd.base.wording import listed

#: What is said of a side whose searches have used them up, and which way each side goes.
SPENT, SIDES = "given up", (-1.0, 1.0)


class Walk:
    """The places of one profile, found so far; :meth:`begin` comes first.

    Parameters
    ----------
    watch : function, optional
        Called with each new place; what it raises ends the walk.

    Attributes
    ----------
    ends : (float, float)
        Where the quantity can go no further; infinite of a prediction.
    matrix : (n_free, n_free)
        The curvature at the centre.
    follow : (n_free,)
        How far the parameters move per unit of the quantity, along the valley.
    spread : float
        The variance of the quantity under that curvature: a rise of r lies ``sqrt(2 r spread)`` from the centre.
    outside : dict of float to Place
        Of each side the last place above the threshold.
    beyond : list of (k,)
        Full vectors in other valleys that lie below the threshold, beyond an end.
    lower : float
        The share of the threshold by which a search has to end lower to count as another one; it grows.
    """

    def __init__(
        self,
        goal: Objective,
        quantity: Quantity,
        threshold: float,
        *,
        watch: Callable[[Place], None] | None = None,
    ) -> None:
        self.goal, self.quantity, self.threshold = goal, quantity, threshold
        self.ends = (0.0, 1.0) if isinstance(quantity, InRange) else (-math.inf, math.inf)
        self.watch, self.floor = watch, math.inf
        self.places: list[Place] = []
        self.most = _most_swept(goal) if goal.rough else most_asked(goal.density)
        self.allowances = {direction: Allowance(self.most) for direction in SIDES}
        self.outside: dict[float, Place] = {}
        self.beyond: list[Array] = []
        self.lower, self.kinks = PROFILE.lower_over_jumps if goal.rough else PROFILE.lower, Allowance(SEARCH.kinked)

    def begin(self, point: Array) -> Search[None]:
        """Take a minimum of the goal ``(n_free,)`` as the centre: its curvature gives first steps and searches."""
        if self.goal.rough:
            self.matrix = around(self.goal, point).matrix
        else:
            self.goal, curved = yield from measured(self.goal, point)
            self.matrix = positive(curved)
        cost, cost_slopes = yield from ask(self.goal, point)
        at, self.slopes = self.goal.of_quantity(self.quantity, point)
        self.reach = float(np.abs(self.slopes).sum())
        # of a quadratic objective with curvature H the least at g + dg lies at x + H^-1 s dg / (s' H^-1 s)
        follow = np.linalg.solve(self.matrix, self.slopes)
        self.spread = float(self.slopes @ follow)
        self.follow = follow / self.spread if self.spread > 0 else follow
        self.centre = Place(Minimum(point, cost, cost_slopes, self.matrix, True, 1), cost, at, aimed=at)
        self._add(self.centre)

    def _add(self, place: Place) -> None:
        self.places.append(place)
        if self.watch is not None:
            self.watch(place)

    @property
    def is_prediction(self) -> bool:
        """Whether it is a number of the model that is walked along, and no parameter."""
        return math.isinf(self.ends[0])

    @property
    def rise(self) -> float:
        """The threshold, by which steps are chosen; an infinite one is taken for a large one."""
        return min(self.threshold, 1e4)

    @property
    def stall(self) -> float:
        """What the last steps of a search have to gain for it to go on."""
        return PROFILE.stall * self.lower / PROFILE.lower * self.rise

    @property
    def least(self) -> float:
        """The least objective that is known."""
        return min(self.floor, *(place.cost for place in self.places))

    def sides(self, floor: float = math.inf) -> Search[tuple[Side, Side]]:
        """Both sides, walked until the least value of all is known; ``floor`` is one that is known from elsewhere."""
        self.floor = floor
        if not self.reach > 0:
            return Side("open", self.centre.at), Side("open", self.centre.at)
        ends: tuple[Side | None, Side | None] = (None, None)
        while True:
            least = self.least
            low, high = yield from gather([self._affordable_side(direction) for direction in SIDES])
            yield from gather([self._levelled(direction) for direction in SIDES])
            spent = min(allowance.left for allowance in self.allowances.values()) < 0
            if spent or self.least >= least - self.lower * self.threshold / (1 if self.goal.rough else 10):
                return self._or_before(low, ends[0]), self._or_before(high, ends[1])
            ends = low, high
            self._grow_patient()
            # a better fit than the centre lies on the way: its surroundings are the new centre
            best = min(self.places, key=lambda place: place.cost)
            centre = yield from settling(
                self.goal, best.minimum.point, tolerance=PROFILE.tolerance, stall=self.stall, kinks=self.kinks
            )
            yield from self.begin(centre.point)

    @staticmethod
    def _or_before(side: Side, before: Side | None) -> Side:
        """A side, or its end above a fit that was not as good where there is none above the better one."""
        return before if before is not None and before.state == "bounded" and side.state == "not found" else side

    def _grow_patient(self) -> None:
        self.lower = min(PROFILE.patience * self.lower, PROFILE.most_lower)

    def _affordable_side(self, direction: float) -> Search[Side]:
        """What closes a side, or how far its allowance led."""
        try:
            return (yield from within(self._side(direction), self.allowances[direction]))
        except Spent:
            farthest = max(self.places, key=lambda place: direction * place.at)
            side = yield from self._between(direction)
            return Side("not found", farthest.at, f"{SPENT} after {self.most:,} points") if side is None else side

    def _between(self, direction: float) -> Search[Side | None]:
        """The end between the last places within and outside, where they leave little room for it."""
        within_it = [place for place in self.places if place.cost - self.least <= self.threshold]
        inside = max(within_it, key=lambda place: direction * place.at)
        outside = self.outside.get(direction, inside)
        low, high = ((place.cost - self.least) / self.threshold for place in (inside, outside))
        nearly = PROFILE.nearly_over_jumps if self.goal.rough else PROFILE.nearly
        if not 1 - nearly <= low <= 1 < high <= 1 + nearly:
            return None
        if not 0 < direction * (outside.at - inside.at) <= PROFILE.apart * abs(inside.at - self.centre.at):
            return None
        share = (1 - root(low)) / (root(high) - root(low))
        return (yield from self._end(inside, inside.at + share * (outside.at - inside.at)))

    def _end(self, place: Place, at: float) -> Search[Side]:
        """The side that ends beside a place."""
        goal = replace(self.goal, pull=Pull(self.quantity, place.aimed, place.sigma))
        bounds = yield from obstacles(goal, place.minimum, self.rise)
        return Side("closed" if bounds else "bounded", at, listed(bounds, none=""))

    def _side(self, direction: float) -> Search[Side]:
        """What closes a side, with places added until it is known."""
        pace = Pace.first(math.sqrt(self.rise), self.spread, 0.1 * self.reach)
        before = current = self.centre
        pull, stuck, refused = current.slope, 0, 0
        attempt = -1
        while True:
            attempt += 1
            if self._at_end(current.at, direction):
                return Side("open", current.at)
            # where the scale of the quantity changes along the way, steps right at its start would never end
            largest = 0.1 * self.reach * 2.0 ** max(0, attempt - 20)
            step = pace.step
            place = yield from self._step(before, current, direction * step, pull)
            low, high = root(current.cost - self.least), root(place.cost - self.least)
            refused = refused + 1 if pace.too_far(low, high) else 0
            if refused in PROFILE.suspect:
                place = yield from self._again(place, current)
                high = root(place.cost - self.least)
            moved = direction * (place.at - current.at)
            ahead = place.at if moved > 0 else current.at + direction * step
            if pace.too_far(low, high):
                pace.shorten(current.at, ahead, high)
                if step <= max(1e-13 * self.reach, 1e-9 * abs(current.at - self.centre.at)):
                    return Side("not found", current.at, jumped(place.cost))
                continue
            place = yield from self._this_side(current, place, direction)
            if moved > 0 and place.cost - self.least > self.threshold:
                self.outside[direction] = place
                side, place = yield from self._crossed(current, place)
                if side is not None:
                    return side
                # the searches along the walk had stuck beside a lower valley: on from there
                before = current = place
                pull = place.slope
                continue
            if not moved > 0.02 * step:
                # at a corner or a kink; a stronger pull over a smaller step tells whether it is the end
                stuck += 1
                pace.step = step / 3
                pull = 3 * direction * max(abs(place.slope), abs(pull))
                if moved > 0:
                    self._add(place)
                    before, current = current, place
                if stuck == 5:
                    return self._wall(current, direction)
                continue
            stuck = 0
            self._add(place)
            pace.accept(place.at, low, high, largest)
            before, current, pull = current, place, place.slope

    def _levelled(self, direction: float) -> Search[None]:
        """Places that lie higher than one further out are searched again from there, where they have stuck."""
        outwards = [place for place in self.places if direction * (place.at - self.centre.at) > 0]
        outwards.sort(key=lambda place: direction * place.at)
        for i in reversed(range(len(outwards) - 1)):
            inner, outer = outwards[i : i + 2]
            if inner.cost > outer.cost + (self.lower if self.goal.rough else PROFILE.lower) * self.threshold:
                again = yield from self._solve(outer.minimum.point, inner.aimed, inner.sigma, outer)
                if again.minimum.value < inner.minimum.value:
                    self.places[self.places.index(inner)] = outwards[i] = again

    def _wall(self, current: Place, direction: float) -> Side:
        """What a side ends at that no pull moves: the end of what the model can say, or a jump before a known end."""
        if self.is_prediction:
            return Side("open", current.at)
        # along the quantity alone, since what jumps does so whatever the others are
        inside, outside = 0.0, (self.ends[1] - current.at if direction > 0 else current.at - self.ends[0])
        beyond = IMPOSSIBLE
        along = np.where(self.slopes != 0, np.sign(self.slopes), 0.0) * direction
        for _ in range(60):
            middle = (inside + outside) / 2
            cost = float(self.goal(np.clip(current.minimum.point + middle * along, 0.0, 1.0)[None, :])[0])
            if cost - self.least <= self.threshold:
                inside = middle
            else:
                outside, beyond = middle, cost
        return Side("not found", current.at + direction * inside, jumped(beyond))

    def _at_end(self, at: float, direction: float) -> bool:
        low, high = self.ends
        return at <= low + 1e-12 if direction < 0 else at >= high - 1e-12

    def _crossed(self, inside: Place, outside: Place) -> Search[tuple[Side | None, Place]]:
        """What closes a side between two places; no side where another search ends lower, at the place given."""
        if inside.cost - self.least > self.threshold:
            # the walk met a better fit; both sides are walked again from there
            return Side("not found", inside.at, "a better fit lies on the way"), inside
        direction = outside.at - inside.at
        for _ in range(3):
            place, at_threshold = yield from self._crossing(inside, outside)
            if self.is_prediction:
                break
            # from elsewhere: what looks like the end, or like a jump, may be where the searches have stuck
            if at_threshold:
                first = place
                second = yield from self._from_centre(place)
            else:
                first = outside
                second = yield from self._again(outside, place)
            if not second.minimum.value < first.minimum.value - self.lower * self.threshold:
                break
            second = yield from self._this_side(first, second, math.copysign(1.0, direction))
            if second.cost - self.least <= self.threshold:
                self._grow_patient()
                self._add(second)
                return None, second
            if (second.at - inside.at) * direction <= 0:
                break
            outside = second
        at = place.at
        if at_threshold and not self.goal.rough:
            place, at = yield from self._refined(place, (inside.at, outside.at))
        self._add(place)
        if not at_threshold:
            amid = (yield from self._between(math.copysign(1.0, direction))) if self.goal.rough else None
            return Side("not found", place.at, jumped(outside.cost)) if amid is None else amid, place
        return (yield from self._end(place, at)), place

    def _step(self, before: Place, current: Place, step: float, pull: float) -> Search[Place]:
        """The place about a step further on, ``pull`` being what keeps the quantity where it is."""
        # a pull as wide as half a step holds the quantity to it however flat the profile is
        sigma = abs(step) / 2
        # the least of cost and (g - z)^2 / (2 sigma^2) has the cost's slope (z - g) / sigma^2: to stay where it is the
        # quantity takes the pull that it has; the step comes on top
        aimed = current.at + step + sigma**2 * pull
        if before.at == current.at:
            ahead = current.minimum.point + step * self.follow
        else:
            share = min(2.0, abs(step / (current.at - before.at)))
            ahead = current.minimum.point + share * (current.minimum.point - before.minimum.point)
        ahead = np.clip(ahead, 0.0, 1.0)
        value, _ = yield from ask(self.goal, ahead)
        start = ahead if value < IMPOSSIBLE else current.minimum.point
        return (yield from self._solve(start, aimed, sigma, current, PROFILE.rough))

    def _again(self, place: Place, current: Place) -> Search[Place]:
        """The same step from the place before it, with the curvature measured anew, where that ends lower."""
        goal = replace(self.goal, pull=Pull(self.quantity, place.aimed, place.sigma))
        if goal.rough:
            return self._over_jumps(goal, current.minimum.point, anew=True)
        minimum = yield from minimising(goal, current.minimum.point, tolerance=PROFILE.tolerance, stall=self.stall)
        second = self._place(minimum, place.aimed, place.sigma)
        return second if second.minimum.value < place.minimum.value else place

    def _this_side(self, near: Place, far: Place, direction: float) -> Search[Place]:
        """The place further out, or one on the ridge before it; what lies beyond that is kept for a walk of its own."""
        ridge = None if far.cost - self.least > self.threshold else (yield from self._ridge(near, far, direction))
        if ridge is None:
            return far
        self.beyond.append(self.goal.theta(far.minimum.point[None, :])[0])
        return ridge

    def _ridge(self, near: Place, far: Place, direction: float) -> Search[Place | None]:
        """The place above the threshold between two below it, where the profile rises from the one to the other.

        A pull only leads to about where it aims, and so over a ridge into the next valley. Between a rise and a fall
        no place lies higher than where the tangents meet, but for a bend upwards, from which the rise goes on.
        """
        for _ in range(8):
            width = far.at - near.at
            if self.goal.rough or not (direction * near.slope > 0 > direction * far.slope and direction * width > 0):
                return None
            ahead = (far.cost - near.cost - far.slope * width) / (near.slope - far.slope)
            if near.cost + near.slope * ahead - self.least <= self.threshold:
                return None
            at = near.at + min(max(ahead / width, 0.1), 0.9) * width
            solved = yield from gather(
                [self._solve(start.minimum.point, at, 1e-3 * abs(width), start) for start in (near, far)]
            )
            middle = min(solved, key=lambda place: place.cost)
            if middle.cost - self.least > self.threshold:
                return middle
            near, far = (middle, far) if direction * middle.slope > 0 else (near, middle)
        return None

    def _refined(self, place: Place, between: tuple[float, float]) -> Search[tuple[Place, float]]:
        """The end to all digits, from a place where the rise nearly is the threshold: Newton steps on its root."""
        for _ in range(3):
            goal, near = replace(self.goal, pull=Pull(self.quantity, place.aimed, place.sigma)), place.minimum
            minimum = yield from descending(
                goal, near.point, near.matrix, tolerance=PROFILE.at_end, stall=PROFILE.tolerance
            )
            place = self._place(minimum, place.aimed, place.sigma)
            rise = place.cost - self.least
            if not place.slope * (between[1] - between[0]) > 0:
                return place, place.at
            ahead = place.at + 2 * root(rise) * (math.sqrt(self.threshold) - root(rise)) / place.slope
            at = min(max(ahead, min(between)), max(between))
            if abs(rise - self.threshold) <= AT_THRESHOLD * self.threshold:
                break
            # the slope of the parabola there keeps it
            steeper = place.slope * (at - self.centre.at) / (place.at - self.centre.at)
            place = replace(place, aimed=at + place.sigma**2 * steeper)
        return place, at

    def _from_centre(self, place: Place) -> Search[Place]:
        """The place from the centre, by two ways where slopes lead; the better one."""
        if self.goal.rough:
            return (yield from self._moved(place))
        solved = yield from self._solve(self.centre.minimum.point, place.aimed, place.sigma)
        moved = yield from self._moved(place)
        return min(solved, moved, key=lambda tried: tried.minimum.value)

    def _moved(self, place: Place) -> Search[Place]:
        """The place from the centre with the parameter alone moved there, by a search that follows bent valleys."""
        goal = replace(self.goal, pull=Pull(self.quantity, place.aimed, place.sigma))
        along = self.slopes / float(self.slopes @ self.slopes)
        start = self.centre.minimum.point + (place.at - self.centre.at) * along
        if goal.rough:
            return self._over_jumps(goal, start, anew=True)
        near = yield from nearing(goal, start, fall=1e-9)
        return self._place(replace(near, matrix=place.minimum.matrix), place.aimed, place.sigma)

    def _crossing(self, inside: Place, outside: Place) -> Search[tuple[Place, bool]]:
        """Where the rise passes the threshold, under the pull of the place outside."""
        # at this aim the pull leaves the place inside where it is
        first = inside.at + outside.sigma**2 * inside.slope

        def solve(share: float, before: Place) -> Search[Place]:
            aimed = first + share * (outside.aimed - first)
            place = yield from self._solve(before.minimum.point, aimed, outside.sigma, before)
            if place.cost - self.least > self.threshold:
                self.outside[math.copysign(1.0, outside.at - inside.at)] = place
            return place

        near, finest = (SEARCH.doubt, PROFILE.finest_over_jumps) if self.goal.rough else (0.0, 1e-4)
        return (yield from crossing(inside, outside, self.least, self.threshold, solve, near, finest))

    def _model(self, start: Array, near: Place, sigma: float) -> Array:
        """The quadratic model of objective and pull with which a search begins."""
        if self.is_prediction:
            across = self.goal.of_quantity(self.quantity, start)[1]
            return np.asarray(self.matrix + np.outer(across, across) / sigma**2)
        # of a parameter the pull is the same everywhere, so that what the last search learnt goes on
        pulls = np.outer(self.slopes, self.slopes)
        learnt = near.minimum.matrix - pulls / near.sigma**2 if near.aimed != near.at else self.matrix
        return np.asarray(learnt + pulls / sigma**2)

    def _solve(
        self, start: Array, aimed: float, sigma: float, near: Place | None = None, rough: float = 1.0
    ) -> Search[Place]:
        """The place with the least objective and pull; ``rough`` times the share ``PROFILE.stall`` ends the search."""
        goal = replace(self.goal, pull=Pull(self.quantity, aimed, sigma))
        start = np.clip(start, 0.0, 1.0)
        if goal.rough:
            return self._over_jumps(goal, start, rough)
        matrix = self._model(start, self.centre if near is None else near, sigma)
        minimum = yield from descending(goal, start, matrix, tolerance=PROFILE.tolerance, stall=rough * self.stall)
        # a prediction's place need not be met exactly, and one that looks like a jump is searched again
        least_fall = rough * self.lower * self.rise
        if minimum.promised > least_fall and minimum.value < IMPOSSIBLE and not self.is_prediction:
            second = yield from settling(
                goal, minimum.point, tolerance=PROFILE.tolerance, stall=self.stall, kinks=self.kinks
            )
            if not second.value < minimum.value - least_fall:
                self._grow_patient()
            minimum = second if second.value <= minimum.value else minimum
        return self._place(minimum, aimed, sigma)

    def _over_jumps(self, goal: Objective, start: Array, rough: float = 1.0, *, anew: bool = False) -> Place:
        """The place with the least of an objective that jumps: a parameter is held, a prediction is pulled.

        A search ``anew`` begins from no other place than ``start``.
        """
        assert goal.pull is not None
        aimed, sigma = goal.pull.aim, goal.pull.sigma
        if not self.is_prediction:
            aimed, sigma = min(max(aimed, self.ends[0]), self.ends[1]), 1e-6
            minimum = self._holding(start, aimed, rough * self.stall, anew)
        else:
            across = goal.of_quantity(self.quantity, start)[1] / sigma
            minimum = scored(goal, start, stall=rough * self.stall, matrix=self.matrix + np.outer(across, across))
        self.allowances[math.copysign(1.0, aimed - self.centre.at)].left -= minimum.evaluations
        return self._place(minimum, aimed, sigma)

    def _holding(self, start: Array, aimed: float, stall: float, anew: bool) -> Minimum:
        """The least of the objective with the parameter at a place; a pull would not move it over a jump."""
        column = int(np.flatnonzero(self.slopes)[0])
        nuisance = np.delete(np.arange(len(start)), column)
        starts = np.array([start, *([] if anew else self._beside(aimed))])
        starts = np.clip(np.vstack([starts, starts + (aimed - starts[:, [column]]) * self.follow]), 0.0, 1.0)
        starts[:, column] = aimed
        point = starts[int(self.goal(starts).argmin())]
        inner = replace(self.goal, base=self.goal.theta(point[None, :])[0], free=self.goal.free[nuisance])
        held = scored(inner, point[nuisance], stall=stall, matrix=self.matrix[np.ix_(nuisance, nuisance)])
        point[nuisance] = held.point
        return replace(held, point=point, slopes=np.insert(held.slopes, column, 0.0))

    def _beside(self, aimed: float) -> list[Array]:
        """The nearest places that are known on either side of a quantity, and what lies between them."""
        known = [*self.places, *self.outside.values()]
        lower = max((place for place in known if place.at < aimed), key=lambda place: place.at, default=None)
        upper = min((place for place in known if place.at > aimed), key=lambda place: place.at, default=None)
        points = [place.minimum.point for place in (lower, upper) if place is not None]
        if lower is not None and upper is not None:
            share = (aimed - lower.at) / (upper.at - lower.at)
            points.append(points[0] + share * (points[1] - points[0]))
        return points

    def _place(self, minimum: Minimum, aimed: float, sigma: float) -> Place:
        if isinstance(self.quantity, InRange):
            at = self.goal.of_quantity(self.quantity, minimum.point)[0]
        else:
            at = float(self.quantity(self.goal.theta(minimum.point[None, :]))[0])
        cost = minimum.value - ((at - aimed) / sigma) ** 2 / 2 if minimum.value < IMPOSSIBLE else IMPOSSIBLE
        return Place(minimum, cost, at, (aimed - at) / sigma**2, aimed, sigma)


def most_asked(density: Posterior) -> int:
    """Points that a side may ask for, whatever the machine."""
    cost = cost_of_a_run(density)
    return min(
        PROFILE.most_asked, PROFILE.least_asked if cost is None else max(PROFILE.least_asked, PROFILE.work // cost)
    )


def _most_swept(goal: Objective) -> int:
    """Steps over jumps that a side may take, whatever the machine."""
    cost = cost_of_a_run(goal.density)
    return (
        PROFILE.least_swept
        if cost is None
        else max(PROFILE.least_swept, PROFILE.over_jumps // (2 * len(goal.free) * cost))
    )


def union(
    starts: Sequence[Array], quantity: Quantity, walk_from: Callable[[Array], Search[Walk]], threshold: float
) -> Search[tuple[list[Walk], list[Part]]]:
    """Walks from several optima, and the stretches in which the rise is below a threshold.

    The rise is that above the least of all walks. What starts within a stretch is not walked again; what lies in a
    valley that a walk has met beyond its end is.

    Parameters
    ----------
    starts : sequence of (k,)
        Full vectors, the best first.
    walk_from : function
        Of a full vector, the search of a walk that has begun there.

    Returns
    -------
    Search
        Of the walks and the stretches.
    """
    walks, parts, waiting = list[Walk](), list[Part](), [*starts]
    while waiting:
        theta = waiting.pop(0)
        at = float(quantity(theta[None, :])[0])
        if any(part.lower.at <= at <= part.upper.at for part in parts):
            continue
        walk = yield from walk_from(theta)
        walks.append(walk)
        floor, at = min(walk.least for walk in walks), walk.centre.at
        if walk.centre.cost - floor <= threshold and not any(part.lower.at <= at <= part.upper.at for part in parts):
            lower, upper = yield from walk.sides(floor)
            parts.append(Part(lower, upper, walk.centre.at))
            waiting += walk.beyond
    return walks, parts
