"""Profile likelihoods: how well the data can be fitted when one parameter is held at each of many values.

A profile uses the likelihood and the priors of the *other* parameters, never the parameter's own prior, which would
close a side that the data leave open. Parameters that the optimum holds (use ``PRI``) stay where they are. Where the
profile has not risen by the threshold when the bound is reached, the side is reported as open, and no number is given
for it.

Source: Raue et al. 2009, Bioinformatics 25(15), 1923-1929; steps chosen by the rise of the profile as there.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from calibration.fit.objective import IMPOSSIBLE, Objective
from calibration.fit.optimise import Optimum
from calibration.study.priors import Array

#: Half the 95 % quantile of chi-square with one degree of freedom.
THRESHOLD = 1.9207294103470623
#: Rise of the profile that a step aims at, as share of the threshold, and the largest and smallest steps in the box.
AIM, LARGEST, SMALLEST = 0.25, 0.1, 1e-3
#: Steps on one side after which it is given up as flat.
MOST_STEPS = 60


@dataclass(frozen=True, eq=False)
class Profile:
    """The profile of one parameter.

    ``values`` ascend; ``rise`` is how far the best log density at each value lies below that at the best value of all.
    ``lower`` and ``upper`` are None where the side is open.
    """

    name: str
    values: Array
    rise: Array
    best: float
    lower: float | None
    upper: float | None

    @property
    def verdict(self) -> str:
        """In words: how far the data bound the parameter."""
        match self.lower is None, self.upper is None:
            case False, False:
                return "bounded by the data"
            case True, False:
                return "bounded from above only"
            case False, True:
                return "bounded from below only"
            case _:
                return "not bounded by the data"


def profile(optimum: Optimum, name: str, *, on_step: Callable[[float], None] | None = None) -> Profile:
    """The profile of the free parameter ``name``, walked from the optimum to both sides."""
    goal = optimum.goal
    position = goal.density.space.names.index(name)
    counts = goal.with_prior.copy()
    counts[position] = False
    open_goal = replace(goal, base=optimum.theta, with_prior=counts)
    inner = replace(open_goal, free=goal.free[goal.free != position])
    alone = replace(open_goal, free=np.array([position], dtype=np.intp))
    centre = float(alone.box(optimum.theta)[0])
    # the prior of the parameter itself no longer counts, so the walk's own best may lie beside the optimum
    walked = {centre: _best_at(inner, alone, centre, inner.box(optimum.theta))}
    for direction in (-1.0, 1.0):
        _walk(inner, alone, walked, centre, direction, on_step)
    places = np.array(sorted(walked))
    values = np.array([walked[x][0] for x in places])
    least = values.min()
    rise = values - least
    theta = alone.theta(places[:, None])[:, position]
    where = int(rise.argmin())
    lower = crossing(places[: where + 1][::-1], rise[: where + 1][::-1])
    upper = crossing(places[where:], rise[where:])

    def value(place: float | None) -> float | None:
        return None if place is None else float(alone.theta(np.array([[place]]))[0, position])

    return Profile(name, theta, rise, float(theta[where]), value(lower), value(upper))


def _best_at(inner: Objective, alone: Objective, place: float, start: Array) -> tuple[float, Array]:
    """The least objective with the parameter at ``place``, and where in the box of the others it is."""
    from scipy import optimize

    held = replace(inner, base=alone.theta(np.array([[place]]))[0])
    if len(held.free) == 0:
        return float(held(np.empty((1, 0)))[0]), start
    result = optimize.minimize(
        held.with_gradient,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, 1.0)] * len(start),
        options={"maxiter": 50, "ftol": 1e-7, "gtol": 1e-2},
    )
    return float(result.fun), np.asarray(result.x)


def _walk(
    inner: Objective,
    alone: Objective,
    walked: dict[float, tuple[float, Array]],
    centre: float,
    direction: float,
    on_step: Callable[[float], None] | None,
) -> None:
    """Add places on one side until the profile has risen well over the threshold or the bound is reached."""
    place, step = centre, 0.02
    current, others = walked[centre]
    for _ in range(MOST_STEPS):
        if place in (0.0, 1.0):
            return
        following = min(1.0, max(0.0, place + direction * step))
        value, found = _best_at(inner, alone, following, others)
        rise = value - current
        if (value >= IMPOSSIBLE or rise > 3 * AIM * THRESHOLD) and step > SMALLEST:
            step = max(SMALLEST, step / 3)
            continue
        walked[following] = (value, found)
        if on_step is not None:
            on_step(following)
        least = min(entry[0] for entry in walked.values())
        if value - least > 1.3 * THRESHOLD:
            return
        growth = 2.0 if rise <= 0 else math.sqrt(AIM * THRESHOLD / rise)
        step = float(np.clip(step * np.clip(growth, 0.5, 2.0), SMALLEST, LARGEST))
        place, current, others = following, value, found


def crossing(places: Array, rise: Array) -> float | None:
    """Where the rise, read outwards from its least value, first passes the threshold; None where it never does."""
    over = np.flatnonzero(rise > THRESHOLD)
    if not len(over):
        return None
    i = int(over[0])
    # near its minimum a profile is a parabola, so its root is interpolated by a line
    a, b = np.sqrt(rise[i - 1]), np.sqrt(rise[i])
    share = (math.sqrt(THRESHOLD) - a) / (b - a)
    return float(places[i - 1] + share * (places[i] - places[i - 1]))
