"""Profile likelihoods of predictions: how well the data can be fitted when the model has to say a given number.

The profile of a prediction is, at each value, the best log density over all parameters for which it has that value. It
is walked from the optimum to both sides (:mod:`calibration.fit.walk`). Where the prediction stops following the pull
the model can say no more; where the profile has not risen by the threshold until then, the side is open and no number
is given for it.

Which prior counts: with ``map``, all of them, as in the objective. A prediction has no prior of its own that could be
left out, as a parameter's profile leaves out its own. A bounded side then says that data *and priors* bound it; what
the data cannot see is bounded by its prior alone. With ``ml`` no prior counts, only the bounds; open sides are then to
be expected wherever a prediction rests on what the data do not see.

All parameters move, those too that the optimum holds at their prior medians (use ``PRI``): a number that rests on one
of them would otherwise look better known than it is.

The interval holds the model's own number at the level asked for, not what would be counted: the noise of an
observation comes on top.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibration.fit.downhill import going_down
from calibration.fit.in_step import Search, run
from calibration.fit.objective import Objective, Quantity
from calibration.fit.threshold import Threshold
from calibration.fit.verdict import Verdict
from calibration.fit.walk import TOLERANCE, Walk, union
from cipark_sd.arrays import Array
from cipark_sd.wording import percent


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


def prediction_profile(
    goal: Objective,
    theta: Array,
    name: str,
    predicts: Quantity,
    *,
    rule: Threshold,
    held: tuple[str, ...] = (),
    best: Array | None = None,
    alternatives: Sequence[Array] = (),
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
    alternatives : sequence of (k,)
        Optima that are as good, from which it is walked as well.
    """
    free = [i for i in goal.free if goal.density.space.names[i] not in held]
    goal = replace(goal, base=theta, free=np.array(free, dtype=np.intp))
    starts = [theta if best is None else best, *alternatives]

    def walk_from(start: Array) -> Search[Walk]:
        walk = Walk(goal, predicts, rule.rise)
        centre = yield from going_down(goal, goal.box(start), tolerance=TOLERANCE)
        yield from walk.begin(centre.point)
        return walk

    walks, parts = run(union(starts, predicts, walk_from, rule.rise), goal.density)
    places = sorted((place for walk in walks for place in walk.places), key=lambda place: place.at)
    values = np.array([place.at for place in places])
    rise = np.array([place.cost for place in places])
    rise -= rise.min()
    by = "data and priors" if goal.with_prior[goal.free].any() else "the data"
    estimate = float(predicts(theta[None, :])[0])
    verdict = Verdict.of(parts, by=by, held=held)
    return PredictionProfile(name, estimate, values, rise, float(values[rise.argmin()]), rule, verdict)


def all_free(goal: Objective) -> Objective:
    """The objective in which every parameter moves."""
    return replace(goal, free=np.arange(len(goal.density.space)))


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
    for profile in (profile for profile in profiles if "open" in profile.sides.states):
        if len(profile.values) == 1:
            sentences.append(f"No estimated parameter changes {profile.name}.")
            continue
        sides = zip(("below", "above"), profile.sides.states, profile.values[[0, -1]], strict=True)
        ends = " and ".join(f"{side} (followed to {end:.4g})" for side, state, end in sides if state == "open")
        sentences.append(f"Not bounded at {percent(profile.threshold.level)}: {profile.name}, {ends}.")
    if estimate == "map":
        words = "Profiles of predictions count the priors of all parameters, so that what the data do not inform is "
        words += "bounded by its prior"
    else:
        words = "Profiles of predictions count no prior, only bounds, so that a prediction that depends on what the "
        words += "data do not inform is open"
    if held:
        words += f"; the {held} that the estimate holds at their prior medians move as well"
    sentences.append(words + ".")
    caution = f"; its {rivals} rivals may say otherwise (--rivals)" if rivals else ""
    return [*sentences, f"These intervals leave out the doubt whether the model is built rightly{caution}."]
