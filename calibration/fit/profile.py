"""Profile likelihoods: how well the data can be fitted when one parameter is held at each of many values.

A profile uses the likelihood and the priors of the *other* parameters, never the parameter's own prior, which would
close a side that the data leave open. Parameters that the optimum holds (use ``PRI``) stay where they are. Where the
profile has not risen by the threshold when the bound is reached, the side is open; where it has, but only with another
parameter on a bound of its own search, that bound closes it and not the data. Neither has a number. Where searches have
ended at several optima that are as good, each is walked from, and the interval is the union.

Source: Raue et al. 2009, Bioinformatics 25(15), 1923-1929.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibration.fit.downhill import settling
from calibration.fit.in_step import Search, gather, run
from calibration.fit.interval_rules import IntervalRules, interval_rules
from calibration.fit.objective import InRange
from calibration.fit.optimise import Optimum
from calibration.fit.threshold import Threshold
from calibration.fit.verdict import Part, Side, Verdict, refused
from calibration.fit.walk import TOLERANCE, Place, Walk, union
from cipark_sd.arrays import Array

#: A rise of the log density from which on a place of a walk fits better than the optimum: below it, the end of an
#: interval, where the profile has fallen by about 2, moves by less than half a percent of its distance.
BETTER = 0.02
#: The same where the objective jumps: what lies between two jumps is a matter of luck.
BETTER_OVER_JUMPS = 0.3


@dataclass(frozen=True, eq=False)
class Profile:
    """The profile of one parameter.

    ``values`` ascend; ``rise`` is how far the best log density at each value lies below that at the best value of all,
    ``best``. The interval ends where the rise is ``threshold``, if it ends. ``better`` is a full vector that fits
    better than the optimum, where the walk ended at one.
    """

    name: str
    values: Array
    rise: Array
    best: float
    threshold: Threshold
    verdict: Verdict
    better: Array | None = None

    @property
    def lower(self) -> float | None:
        """The lower end of the interval, None unless the data bound it."""
        return self.verdict.lower.limit

    @property
    def upper(self) -> float | None:
        """The upper end of the interval, None unless the data bound it."""
        return self.verdict.upper.limit


class BetterFit(Exception):
    """A walk has met a place at which the study's own objective is better than at its optimum.

    ``profile`` is what it leaves of the walk's profile.
    """

    profile: Profile

    def __init__(self, theta: Array) -> None:
        super().__init__()
        self.theta = theta


def profile(
    optimum: Optimum, name: str, *, level: float, rules: IntervalRules | None = None, stop: bool = False
) -> Profile:
    """The profile of one free parameter; arguments as of :func:`profiles_of`."""
    return profiles_of(optimum, [name], level=level, rules=rules, stop=stop)[0]


def profiles_of(
    optimum: Optimum, names: Sequence[str], *, level: float, rules: IntervalRules | None = None, stop: bool = False
) -> list[Profile]:
    """Profiles of free parameters, walked in step to both sides from the optimum and from others as good.

    Parameters
    ----------
    level : float
        Of the intervals, between 0 and 1.
    rules : IntervalRules, optional
        Those of the optimum, where they are known.
    stop : bool
        Whether to end at the first place that fits better than the optimum, which then is all that is returned: one
        profile with ``better``.
    """
    rules = interval_rules(optimum, level) if rules is None else rules
    walks = [_walked(optimum, name, rules.of(name), stop) for name in names]
    try:
        return run(gather(walks), optimum.goal.density)
    except BetterFit as fault:
        return [fault.profile]


def _walked(optimum: Optimum, name: str, rule: Threshold, stop: bool) -> Search[Profile]:
    """The search of one profile."""
    goal = optimum.goal
    position = goal.density.space.names.index(name)
    parameter, value = goal.density.space.parameters[position], float(optimum.theta[position])
    if name in optimum.stepwise:
        return Profile(name, np.array([value]), np.zeros(1), value, rule, refused(value))
    held = InRange(parameter, position)
    starts = (optimum.theta, *optimum.alternatives)
    try:
        walks, parts = yield from union(starts, held, _walk_from(optimum, held, rule, stop), rule.rise)
    except BetterFit as fault:
        fault.profile = Profile(name, np.array([value]), np.zeros(1), value, rule, refused(value), fault.theta)
        raise
    places = sorted((place for walk in walks for place in walk.places), key=lambda place: place.at)
    theta = held.values(np.array([place.at for place in places]))
    rise = np.array([place.cost for place in places])
    rise -= rise.min()
    place = float(goal.box(optimum.theta)[int(np.flatnonzero(goal.free == position)[0])])
    on_bound = "" if name not in optimum.at_bound else "lower" if place < 0.5 else "upper"

    def in_values(side: Side) -> Side:
        return replace(side, at=float(held.values(np.array([side.at]))[0]))

    of_values = [
        Part(in_values(part.lower), in_values(part.upper), float(held.values(np.array([part.centre]))[0]))
        for part in parts
    ]
    verdict = Verdict.of(of_values, held=optimum.stepwise, on_bound=on_bound)
    return Profile(name, theta, rise, float(theta[rise.argmin()]), rule, verdict)


def _walk_from(optimum: Optimum, held: InRange, rule: Threshold, stop: bool) -> Callable[[Array], Search[Walk]]:
    """Makes the walk from a full vector: of the likelihood and the others' priors.

    The prior of the parameter itself no longer counts, so that the least value may lie beside the optimum.
    """
    goal = optimum.goal
    names = goal.density.space.names
    free = np.array([i for i in goal.free if names[i] not in optimum.stepwise], dtype=np.intp)
    counts = goal.with_prior.copy()
    counts[held.position] = False
    own_prior = held.space if goal.with_prior[held.position] else None

    def walk_from(theta: Array) -> Search[Walk]:
        inner = replace(goal, base=theta, free=free, with_prior=counts)

        def watch(place: Place) -> None:
            full = inner.theta(place.minimum.point[None, :])[0]
            prior = 0.0 if own_prior is None else float(own_prior.log_prior_scaled(full[[held.position]]))
            if place.cost - prior < -optimum.log_density - (BETTER_OVER_JUMPS if goal.rough else BETTER):
                raise BetterFit(full)

        walk = Walk(inner, held, rule.rise, ends=(0.0, 1.0), watch=watch if stop else None)
        centre = yield from settling(inner, inner.box(theta), tolerance=TOLERANCE, stall=walk.stall, kinks=walk.kinks)
        yield from walk.begin(centre.point)
        return walk

    return walk_from
