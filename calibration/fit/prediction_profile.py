"""Profile likelihoods of predictions: how well the data can be fitted when the model has to say a given number.

The profile of a prediction g is, at each value, the best log density over all parameters for which g has that value. It
is walked from the optimum to both sides. Each step minimises ``objective + (g - z)^2 / (2 sigma^2)`` within the
parameters' bounds, z a little further out than the last one: whatever minimises this sum minimises the objective among
all parameters with the same g, so that g and the objective where it ends are a point of the profile, and g need not be
met exactly. Where g stops following z the model can say no more; where the profile has not risen by the threshold
until then, the side is open and no number is given for it.

Which prior counts: with ``map``, all of them, as in the objective. A prediction has no prior of its own that could be
left out, as a parameter's profile leaves out its own. A bounded side then says that data *and priors* bound it; what
the data cannot see is bounded by its prior alone. With ``ml`` no prior counts, only the bounds; open sides are then to
be expected wherever a prediction rests on what the data do not see.

All parameters move, those too that the optimum holds at their prior medians (use ``PRI``): a number that rests on one
of them would otherwise look better known than it is.

The interval holds the model's own number at the level asked for, not what would be counted: the noise of an
observation comes on top.

Source: Kreutz, Raue and Timmer 2012, BMC Systems Biology 6, 120, equations 6 to 12: the prediction profile and how it
follows from the profile of a measurement of g, with sigma the noise of that measurement.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibration.fit.box_search import Minimum, descend, measured, minimise
from calibration.fit.objective import IMPOSSIBLE, Objective, slopes
from calibration.fit.optimise import local_search
from calibration.fit.profile import LOWER, TOLERANCE, on_bounds
from calibration.fit.threshold import Threshold
from calibration.fit.verdict import Side, Verdict
from calibration.fit.walk import (
    AIM,
    FLAT_RISE,
    MOST_STEPS,
    RESOLUTION,
    Pace,
    crossing,
    jumped,
    root,
)
from cipark_sd.arrays import Array
from cipark_sd.wording import percent

#: The largest step, as the move of g when every parameter moves by this share of its range.
LARGEST = 0.1
#: Steps on one side after which the largest step doubles each time.
PATIENT = 20
#: A step that moves g by less than this share of what was asked is stuck; so many of them in a row are the end.
STUCK, MOST_STUCK = 0.02, 5

#: A prediction: full parameter vectors ``(n, k)`` to values ``(n,)``, NaN where the model fails.
Predicts = Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class PredictionProfile:
    """The profile of one prediction.

    ``values`` ascend; ``rise`` is how far the best log density at each value lies below that of the best value,
    ``best``. ``estimate`` is the value at the optimum, where some parameters may have been held. The interval ends
    where the rise is ``threshold``, if it ends; the ends of ``values`` are then as far as the model was brought.
    ``prior_low`` and ``prior_high`` hold the central interval of the same level under the priors alone.
    """

    name: str
    estimate: float
    values: Array
    rise: Array
    best: float
    threshold: Threshold
    sides: Verdict
    prior_low: float = math.nan
    prior_high: float = math.nan

    @property
    def lower(self) -> float | None:
        """The lower end of the interval, None unless the data, and priors if they count, bound it."""
        return self.sides.lower.limit

    @property
    def upper(self) -> float | None:
        """The upper end of the interval, None unless the data, and priors if they count, bound it."""
        return self.sides.upper.limit

    @property
    def verdict(self) -> str:
        """In words: which sides are bounded."""
        return "no estimated parameter changes it" if len(self.values) == 1 else str(self.sides)


@dataclass(frozen=True, eq=False)
class _Place:
    """A point of the profile: prediction ``at`` and objective ``cost`` at a minimum of objective and penalty.

    ``pull`` is the slope of the penalty there, which is that of the profile; ``aimed`` and ``sigma`` are the penalty's.
    """

    minimum: Minimum
    cost: float
    at: float
    pull: float = 0.0
    aimed: float = 0.0
    sigma: float = 1.0


def prediction_profile(
    goal: Objective,
    theta: Array,
    name: str,
    predicts: Predicts,
    *,
    rule: Threshold,
    held: tuple[str, ...] = (),
    best: Array | None = None,
) -> PredictionProfile:
    """The profile of a prediction under ``goal``, all whose free parameters move.

    Parameters
    ----------
    goal : Objective
    theta : (k,)
        The estimate.
    name : str
    predicts : function of ``(n, k)``
    rule : Threshold
        How far the profile may rise.
    held : tuple of str
        Free parameters that searches cannot move.
    best : (k,), optional
        From where a local search leads to the start of the walk; by default the estimate.
    """
    optimum = local_search(goal, goal.box(theta if best is None else best))
    walk = _Walk(goal, predicts, optimum.theta, rule.rise)
    sides = walk.sides()
    values, rise = walk.curve()
    by = "data and priors" if goal.with_prior[goal.free].any() else "the data"
    estimate = float(predicts(theta[None, :])[0])
    return PredictionProfile(
        name, estimate, values, rise, float(values[rise.argmin()]), rule, Verdict(*sides, by=by, held=held)
    )


def all_free(goal: Objective) -> Objective:
    """The objective in which every parameter moves."""
    return replace(goal, free=np.arange(len(goal.density.space)))


class _Walk:
    """The places of one profile, found so far."""

    def __init__(self, goal: Objective, predicts: Predicts, best: Array, threshold: float) -> None:
        self.goal, self.predicts, self.threshold = goal, predicts, threshold
        self.places: list[_Place] = []
        self._start_from(goal.box(best))

    def _start_from(self, point: Array) -> None:
        self.goal, around = measured(self.goal, point)
        self.matrix = around.positive
        cost, at, cost_slopes, self.slopes = cost_and_prediction(self.goal, self.predicts, point)
        self.reach = float(np.abs(self.slopes).sum())
        # how far the parameters move per unit of the prediction, and the curvature of the profile
        follow = np.linalg.solve(self.matrix, self.slopes)
        self.spread = float(self.slopes @ follow)
        self.follow = follow / self.spread if self.spread > 0 else follow
        minimum = Minimum(point, cost, cost_slopes, self.matrix, True, 1)
        self.centre = _Place(minimum, cost, at, aimed=at)
        self.places.append(self.centre)

    @property
    def least(self) -> float:
        return min(place.cost for place in self.places)

    def curve(self) -> tuple[Array, Array]:
        """Values of the prediction, ascending, and the rise at each ``(n_places,)``."""
        places = sorted(self.places, key=lambda place: place.at)
        costs = np.array([place.cost for place in places])
        return np.array([place.at for place in places]), costs - costs.min()

    def sides(self) -> tuple[Side, Side]:
        """Both sides."""
        if not self.reach > 0:
            return Side("open", self.centre.at), Side("open", self.centre.at)
        for _ in range(3):
            least = self.least
            ends = [self._side(direction) for direction in (-1.0, 1.0)]
            if self.least >= least - LOWER * self.threshold / 10:
                break
            # a better fit than the start lies on the way: its surroundings are the new centre
            best = min(self.places, key=lambda place: place.cost)
            self._start_from(minimise(self.goal, best.minimum.point, tolerance=TOLERANCE).point)
        return ends[0], ends[1]

    def _side(self, direction: float) -> Side:
        """What closes a side, with places added until it is known."""
        limit = math.sqrt(min(self.threshold, FLAT_RISE))
        pace = Pace(min(AIM * limit * math.sqrt(2 * self.spread), LARGEST * self.reach), limit)
        before = current = self.centre
        pull, stuck = current.pull, 0
        for attempt in range(MOST_STEPS):
            # where the scale of g changes along the way, steps that were right at its start would never end
            largest = LARGEST * self.reach * 2.0 ** max(0, attempt - PATIENT)
            step = pace.step
            place = self._step(before, current, direction * step, pull)
            low, high = root(current.cost - self.least), root(place.cost - self.least)
            moved = direction * (place.at - current.at)
            ahead = place.at if moved > 0 else current.at + direction * step
            if pace.refuses(current.at, low, ahead, high):
                if step <= RESOLUTION * max(abs(current.at - self.centre.at), RESOLUTION * self.reach):
                    return Side("unresolved", current.at, jumped(place.cost))
                continue
            if moved > 0 and place.cost - self.least > self.threshold:
                crossed, at_threshold = self._crossing(current, place)
                self.places.append(crossed)
                if not at_threshold:
                    return Side("unresolved", crossed.at, jumped(place.cost))
                names = on_bounds(self.goal, crossed.minimum)
                return Side("closed" if names else "bounded", crossed.at, ", ".join(names))
            if not moved > STUCK * step:
                # at a corner or a kink; a stronger pull tells whether it is the end
                stuck += 1
                pull = 3 * direction * max(abs(place.pull), abs(pull))
                if moved > 0:
                    self.places.append(place)
                    before, current = current, place
                if stuck == MOST_STUCK:
                    return Side("open", current.at)
                continue
            stuck = 0
            self.places.append(place)
            pace.accept(place.at, low, high, largest)
            before, current, pull = current, place, place.pull
        return Side("unresolved", current.at, "not followed to its end")

    def _step(self, before: _Place, current: _Place, step: float, pull: float) -> _Place:
        """The place about a step further on, ``pull`` being what keeps g where it is."""
        sigma = abs(step) / 2
        # to stay where it is g takes the pull that it has; the step comes on top
        aimed = current.at + step + sigma**2 * pull
        if before.at == current.at:
            ahead = current.minimum.point + step * self.follow
        else:
            share = min(2.0, abs(step / (current.at - before.at)))
            ahead = current.minimum.point + share * (current.minimum.point - before.minimum.point)
        ahead = np.clip(ahead, 0.0, 1.0)
        if not self.goal(ahead[None, :])[0] < IMPOSSIBLE:
            ahead = current.minimum.point
        return self._solve(ahead, aimed, sigma)

    def _crossing(self, inside: _Place, outside: _Place) -> tuple[_Place, bool]:
        """Where the rise passes the threshold, under the penalty of the place outside."""
        # at this aim the penalty leaves the place inside where it is
        first = inside.at + outside.sigma**2 * inside.pull

        def solve(share: float, nearest: _Place) -> _Place:
            aimed = first + share * (outside.aimed - first)
            return self._solve(nearest.minimum.point, aimed, outside.sigma)

        return crossing(inside, outside, self.least, self.threshold, solve)

    def _solve(self, start: Array, aimed: float, sigma: float) -> _Place:
        """The place with the least objective and penalty."""
        answers: dict[bytes, tuple[float, float, Array, Array]] = {}

        def known(box: Array) -> tuple[float, float, Array, Array]:
            key = box.tobytes()
            if key not in answers:
                answers[key] = cost_and_prediction(self.goal, self.predicts, box)
            return answers[key]

        def penalised(box: Array) -> tuple[float, Array]:
            cost, value, cost_slopes, value_slopes = known(box)
            gap = (value - aimed) / sigma
            # a model may explode after the data that it fits
            if cost >= IMPOSSIBLE or not abs(gap) < math.sqrt(IMPOSSIBLE):
                return IMPOSSIBLE, cost_slopes
            return cost + gap**2 / 2, cost_slopes + gap / sigma * value_slopes

        start = np.clip(start, 0.0, 1.0)
        across = known(start)[3]
        minimum = descend(penalised, start, self.matrix + np.outer(across, across) / sigma**2, tolerance=TOLERANCE)
        cost, value, _, _ = known(minimum.point)
        return _Place(minimum, cost, value, (aimed - value) / sigma**2, aimed, sigma)


def cost_and_prediction(goal: Objective, predicts: Predicts, box: Array) -> tuple[float, float, Array, Array]:
    """Objective and prediction at a point of the box, and the slopes of either ``(n_free,)``."""
    points, widths = goal.around(box)
    costs, values = goal(points), predicts(goal.theta(points))
    usable = np.isfinite(values) & (costs < IMPOSSIBLE)
    with np.errstate(invalid="ignore"):
        value_slopes = slopes(values, widths, usable)
    return float(costs[0]), float(values[0]), slopes(costs, widths, usable), value_slopes


def prediction_words(profiles: Sequence[PredictionProfile], *, estimate: str, held: int, rivals: int) -> list[str]:
    """What prediction profiles say in words: which prior counts, and how far open sides were followed.

    Parameters
    ----------
    estimate : {"map", "ml"}
    held : int
        Parameters that the estimate holds at their prior medians.
    rivals : int
        Rival structures of the study.
    """
    if not profiles:
        return []
    sentences = []
    opened = [profile for profile in profiles if profile.lower is None or profile.upper is None]
    for profile in opened:
        if len(profile.values) == 1:
            sentences.append(f"No estimated parameter changes {profile.name}.")
            continue
        sides = [("below", profile.lower, profile.values[0]), ("above", profile.upper, profile.values[-1])]
        ends = " and ".join(f"{side} (followed to {end:.4g})" for side, bound, end in sides if bound is None)
        sentences.append(f"Not bounded at {percent(profile.threshold.level)}: {profile.name}, {ends}.")
    if estimate == "map":
        words = "Profiles of predictions count the priors of all parameters, so that what the data do not see is "
        words += "bounded by its prior"
    else:
        words = "Profiles of predictions count no prior, only bounds, so that a prediction that rests on what the data "
        words += "do not see is open"
    if held:
        words += f"; the {held} that the estimate holds at their prior medians move as well"
    sentences.append(words + ".")
    caution = f"; its {rivals} rivals may say otherwise (--rivals)" if rivals else ""
    return [*sentences, f"These intervals leave out the doubt whether the model is built rightly{caution}."]
