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

The interval holds the model's own number at 95 %, not what would be counted: the noise of an observation comes on top.

Source: Kreutz, Raue and Timmer 2012, BMC Systems Biology 6, 120, equations 6 to 12: the prediction profile and how it
follows from the profile of a measurement of g, with sigma the noise of that measurement.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibration.fit.objective import IMPOSSIBLE, Objective, slopes
from calibration.fit.optimise import local_search
from calibration.fit.profile import AIM, MOST_STEPS, THRESHOLD, crossing
from calibration.study.priors import Array
from calibration.study.problem import CalibrationProblem

#: First step, as the move of g when every parameter moves by this share of its range, and the largest and smallest.
FIRST, LARGEST, SMALLEST = 0.02, 0.1, 1e-5
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
    ``best``. ``estimate`` is the value at the optimum, where some parameters may have been held. ``lower`` and
    ``upper`` are None where the side is open; the ends of ``values`` are then as far as the model was brought.
    ``prior_low`` and ``prior_high`` hold the central 95 % of the prediction under the priors alone.
    """

    name: str
    estimate: float
    values: Array
    rise: Array
    best: float
    lower: float | None
    upper: float | None
    prior_low: float = math.nan
    prior_high: float = math.nan

    @property
    def verdict(self) -> str:
        """In words: which sides are bounded."""
        if len(self.values) == 1:
            return "no estimated parameter changes it"
        match self.lower is None, self.upper is None:
            case False, False:
                return "bounded"
            case True, False:
                return "open below"
            case False, True:
                return "open above"
            case _:
                return "open on both sides"


@dataclass(frozen=True, eq=False)
class _Place:
    """A point of the profile; ``pull`` is the slope of the penalty there, which is that of the profile."""

    box: Array
    cost: float
    value: float
    pull: float = 0.0


def prediction_profile(
    goal: Objective, theta: Array, name: str, predicts: Predicts, *, best: Array | None = None
) -> PredictionProfile:
    """The profile of a prediction under ``goal``, all whose free parameters move.

    Parameters
    ----------
    goal : Objective
    theta : (k,)
        The estimate.
    name : str
    predicts : function of ``(n, k)``
    best : (k,), optional
        From where a local search leads to the start of the walk; by default the estimate.
    """
    found = local_search(goal, goal.box(theta if best is None else best), "l-bfgs-b")
    start = _Place(goal.box(found.theta), -found.log_density, float(predicts(found.theta[None, :])[0]))
    walked = [start]
    reach = float(np.abs(_both(goal, predicts, start.box)[3]).sum())
    for direction in (-1.0, 1.0):
        if reach > 0:
            _walk(goal, predicts, walked, start, direction, reach)
    walked.sort(key=lambda place: place.value)
    values = np.array([place.value for place in walked])
    costs = np.array([place.cost for place in walked])
    rise = costs - costs.min()
    where = int(rise.argmin())
    return PredictionProfile(
        name,
        float(predicts(theta[None, :])[0]),
        values,
        rise,
        float(values[where]),
        crossing(values[: where + 1][::-1], rise[: where + 1][::-1]),
        crossing(values[where:], rise[where:]),
    )


def all_free(goal: Objective) -> Objective:
    """The objective in which every parameter moves."""
    return replace(goal, free=np.arange(len(goal.density.space)))


def _walk(
    goal: Objective, predicts: Predicts, walked: list[_Place], start: _Place, direction: float, reach: float
) -> None:
    """Add places on one side until the profile has risen well over the threshold or g moves no more."""
    step, stuck = FIRST * reach, 0
    before, here = start, start
    for done in range(MOST_STEPS):
        # where the scale of g changes along the way, steps that were right at its start would never end
        largest = LARGEST * reach * 2.0 ** max(0, done - PATIENT)
        sigma = step / 2
        # to stay where it is g takes the pull that it has; the step comes on top
        aimed = here.value + direction * step + sigma**2 * here.pull
        found = _solve(goal, predicts, _ahead(goal, before, here, step), aimed, sigma)
        rise, moved = found.cost - here.cost, direction * (found.value - here.value)
        if (found.cost >= IMPOSSIBLE or rise > 3 * AIM * THRESHOLD) and step > SMALLEST * reach:
            step /= 3
            continue
        if not moved > STUCK * step:
            # at a corner or a kink; a stronger pull tells whether it is the end
            stuck += 1
            pull = 3 * direction * max(abs(found.pull), abs(here.pull))
            if moved > 0:
                walked.append(found)
                before, here = here, found
            if stuck == MOST_STUCK:
                return
            here = replace(here, pull=pull)
            continue
        stuck = 0
        walked.append(found)
        if found.cost - min(place.cost for place in walked) > 1.3 * THRESHOLD:
            return
        growth = 2.0 if rise <= 0 else math.sqrt(AIM * THRESHOLD / rise)
        step = float(np.clip(step * np.clip(growth, 0.5, 2.0), SMALLEST * reach, largest))
        before, here = here, found


def _ahead(goal: Objective, before: _Place, here: _Place, step: float) -> Array:
    """Where to start: on the line through the last two places, if the data are possible there."""
    if here.value == before.value:
        return here.box
    share = step / abs(here.value - before.value)
    guess = np.clip(here.box + min(share, 2.0) * (here.box - before.box), 0.0, 1.0)
    return guess if goal(guess[None, :])[0] < IMPOSSIBLE else here.box


def _solve(goal: Objective, predicts: Predicts, start: Array, aimed: float, sigma: float) -> _Place:
    """The place with the least objective and penalty."""
    from scipy import optimize

    def penalised(box: Array) -> tuple[float, Array]:
        cost, value, cost_slopes, value_slopes = _both(goal, predicts, box)
        gap = (value - aimed) / sigma
        # a model may explode after the data that it fits
        if cost >= IMPOSSIBLE or not abs(gap) < math.sqrt(IMPOSSIBLE):
            return IMPOSSIBLE, cost_slopes
        return cost + gap**2 / 2, cost_slopes + gap / sigma * value_slopes

    result = optimize.minimize(
        penalised,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, 1.0)] * len(start),
        options={"maxiter": 100, "ftol": 1e-8, "gtol": 1e-3},
    )
    box = np.asarray(result.x)
    cost, value, _, _ = _both(goal, predicts, box)
    return _Place(box, cost, value, (aimed - value) / sigma**2)


def _both(goal: Objective, predicts: Predicts, box: Array) -> tuple[float, float, Array, Array]:
    """Objective and prediction at a point of the box, and the slopes of either ``(n_free,)``."""
    points, widths = goal.around(box)
    costs, values = goal(points), predicts(goal.theta(points))
    usable = np.isfinite(values) & (costs < IMPOSSIBLE)
    with np.errstate(invalid="ignore"):
        value_slopes = slopes(values, widths, usable)
    return float(costs[0]), float(values[0]), slopes(costs, widths, usable), value_slopes


def prediction_words(found: Sequence[PredictionProfile], problem: CalibrationProblem) -> list[str]:
    """What prediction profiles say in words: which prior counts, and how far open sides were followed."""
    if not found:
        return []
    said = []
    opened = [one for one in found if one.lower is None or one.upper is None]
    for one in opened:
        if len(one.values) == 1:
            said.append(f"No estimated parameter changes {one.name}.")
            continue
        sides = [("below", one.lower, one.values[0]), ("above", one.upper, one.values[-1])]
        ends = " and ".join(f"{side} (followed to {end:.4g})" for side, bound, end in sides if bound is None)
        said.append(f"Not bounded at 95 %: {one.name}, {ends}.")
    held = [parameter.name for parameter in problem.space if parameter.use == "PRI"]
    if problem.method.estimate == "map":
        words = "Profiles of predictions count the priors of all parameters, so that what the data do not see is "
        words += "bounded by its prior"
    else:
        words = "Profiles of predictions count no prior, only bounds, so that a prediction that rests on what the data "
        words += "do not see is open"
    if held:
        words += f"; the {len(held)} that the estimate holds at their prior medians move as well"
    said.append(words + ".")
    rivals = f"; its {len(problem.rivals)} rivals may say otherwise (--rivals)" if problem.rivals else ""
    return [*said, f"These intervals hold no doubt about the structure of the model{rivals}."]
