"""Profile likelihoods: how well the data can be fitted when one number is held at each of many values.

The profile of a parameter uses the likelihood and the priors of the *other* parameters, never the parameter's own
prior, which would close a side that the data leave open. Parameters that the optimum holds (use ``PRI``) stay where
they are. Where the profile has not risen by the threshold when the bound is reached, the side is open and has no
number; where it has, but only with another parameter on a bound of its own search, the end is given that bound. Where
searches have ended at several optima that are as good, each is walked from, and the interval is the union.

The profile of a prediction is, at each value, the best log density over all parameters for which it has that value.
Where the prediction stops following the pull the model can say no more; where the profile has not risen by the
threshold until then, the side is open. With ``map`` all priors count, so that a bounded side says that data *and
priors* bound it; with ``ml`` only bounds do, and open sides are to be expected wherever a prediction rests on what the
data do not see. All parameters move, those too that the optimum holds: a number that rests on one of them would
otherwise look better known than it is. The interval holds the model's own number, not what would be counted: the noise
of an observation comes on top.

Source: Raue et al. 2009, Bioinformatics 25(15), 1923-1929.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from calibration.inference.profile.interval_rules import IntervalRules, Threshold, interval_rules
from calibration.inference.profile.tuning import PROFILE
from calibration.inference.profile.verdict import Part, Place, Verdict, refused
from calibration.inference.profile.walk import Walk, union
from calibration.inference.search.downhill import going_down, settling
from calibration.inference.search.objective import InRange, Objective, Quantity, Search, gather, run
from calibration.inference.search.optimise import Optimum, maximise
from calibration.likelihood.forward import reported
from calibration.likelihood.replicate import Stage, draws_of_priors, stage_numbers
from calibration.study.observations import Prediction
from calibration.study.problem import CalibrationProblem
from cipark_sd.base.arrays import Array
from cipark_sd.base.checkpoints import Checkpoints
from cipark_sd.base.console import Bars
from cipark_sd.base.wording import percent
from cipark_sd.execution.pool import Pool, RecordTask, records


@dataclass(frozen=True, eq=False)
class Profile:
    """The profile of one parameter or prediction.

    The interval ends where the rise is ``threshold``, if it ends; of a prediction the ends of ``values`` are then as
    far as the model was brought.

    Parameters
    ----------
    values : (n,)
        Ascending.
    rise : (n,)
        How far the best log density at each value lies below that at the best value of all.
    best : float
        That value.
    better : (k,), optional
        A full vector that fits better than the optimum, where the walk ended at one.
    estimate : float
        Of a prediction the value at the optimum, where some parameters may have been held.
    prior_low, prior_high : float
        Of a prediction the central interval of the same level under the priors alone; NaN where there is none.
    """

    name: str
    values: Array
    rise: Array
    best: float
    threshold: Threshold
    verdict: Verdict
    better: Array | None = None
    estimate: float = math.nan
    prior_low: float = math.nan
    prior_high: float = math.nan

    @property
    def lower(self) -> float | None:
        """The lower end of the interval, None where there is none."""
        return self.verdict.lower.limit

    @property
    def upper(self) -> float | None:
        """The upper end of the interval, None where there is none."""
        return self.verdict.upper.limit

    @property
    def words(self) -> str:
        """Of a prediction which sides are bounded."""
        return "no estimated parameter changes it" if len(self.values) == 1 else str(self.verdict)

    @staticmethod
    def of(
        name: str,
        walks: Sequence[Walk],
        threshold: Threshold,
        verdict: Verdict,
        values_of: Callable[[Array], Array] = lambda at: at,
        estimate: float = math.nan,
    ) -> "Profile":
        """The places of all walks; ``values_of`` makes values of where these have their quantity, as it is without."""
        places = sorted((place for walk in walks for place in walk.places), key=lambda place: place.at)
        values, rise = values_of(np.array([place.at for place in places])), np.array([place.cost for place in places])
        rise -= rise.min()
        return Profile(name, values, rise, float(values[rise.argmin()]), threshold, verdict, estimate=estimate)


class BetterFit(Exception):
    """A walk has met a place at which the study's own objective is better than at its optimum.

    ``profile`` is what it leaves of the walk's profile.
    """

    profile: Profile

    def __init__(self, theta: Array) -> None:
        super().__init__()
        self.theta = theta


def profile(optimum: Optimum, name: str, *, level: float, stop: bool = False) -> Profile:
    """The profile of one free parameter.

    Parameters
    ----------
    level, stop :
        As of :func:`profiles_of`.
    """
    return profiles_of(optimum, [name], level=level, stop=stop)[0]


def profiles_of(
    optimum: Optimum, names: Sequence[str], *, level: float, rules: IntervalRules | None = None, stop: bool = False
) -> list[Profile]:
    """Profiles of free parameters, walked in step to both sides from the optimum and from others as good.

    Parameters
    ----------
    level : float
        Of the intervals, between 0 and 1.
    rules : IntervalRules, optional
        Those of the optimum. None: they are computed.
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
        fault.profile = Profile(name, np.array([value]), np.zeros(1), value, rule, refused(value), better=fault.theta)
        raise
    place = float(goal.box(optimum.theta)[int(np.flatnonzero(goal.free == position)[0])])
    on_bound = "" if name not in optimum.at_bound else "lower" if place < 0.5 else "upper"

    def in_values(at: float) -> float:
        return float(held.values(np.array([at]))[0])

    of_values = [
        Part(
            replace(part.lower, at=in_values(part.lower.at)),
            replace(part.upper, at=in_values(part.upper.at)),
            in_values(part.centre),
        )
        for part in parts
    ]
    verdict = Verdict.of(of_values, held=optimum.stepwise, on_bound=on_bound)
    return Profile.of(name, walks, rule, verdict, held.values)


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
            if place.cost - prior < -optimum.log_density - (
                PROFILE.better_over_jumps if goal.rough else PROFILE.better
            ):
                raise BetterFit(full)

        walk = Walk(inner, held, rule.rise, watch=watch if stop else None)
        centre = yield from settling(
            inner, inner.box(theta), tolerance=PROFILE.tolerance, stall=walk.stall, kinks=walk.kinks
        )
        yield from walk.begin(centre.point)
        return walk

    return walk_from


def prediction_profile(
    optimum: Optimum, name: str, predicts: Quantity, *, rule: Threshold, best: Array | None = None
) -> Profile:
    """The profile of a prediction, while all parameters move that are free at an optimum and that searches can move.

    It is walked from optima that are as good as well.

    Parameters
    ----------
    predicts : function
        Full vectors ``(n, k)`` to values ``(n,)``.
    rule : Threshold
        How far the profile may rise.
    best : (k,), optional
        From where a local search leads to the start of the walk. None: the estimate.
    """
    theta, held = optimum.theta, optimum.stepwise
    free = [i for i in optimum.goal.free if optimum.goal.density.space.names[i] not in held]
    goal = replace(optimum.goal, base=theta, free=np.array(free, dtype=np.intp))
    starts = [theta if best is None else best, *optimum.alternatives]

    def walk_from(start: Array) -> Search[Walk]:
        walk = Walk(goal, predicts, rule.rise)
        centre = yield from going_down(goal, goal.box(start), tolerance=PROFILE.tolerance)
        yield from walk.begin(centre.point)
        return walk

    walks, parts = run(union(starts, predicts, walk_from, rule.rise), goal.density)
    by = "data and priors" if goal.with_prior[goal.free].any() else "the data"
    verdict = Verdict.of(parts, by=by, held=held)
    return Profile.of(name, walks, rule, verdict, estimate=float(predicts(theta[None, :])[0]))


def all_free(goal: Objective) -> Objective:
    """The objective in which every parameter moves."""
    return replace(goal, free=np.arange(len(goal.density.space)))


def prediction_words(profiles: Sequence[Profile], *, estimate: str, held: int, rivals: int) -> list[str]:
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
    for profile in (profile for profile in profiles if "open" in profile.verdict.states):
        if len(profile.values) == 1:
            sentences.append(f"No estimated parameter changes {profile.name}.")
            continue
        sides = zip(("below", "above"), profile.verdict.states, profile.values[[0, -1]], strict=True)
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


def profiles(
    optimum: Optimum, checkpoints: Checkpoints, bars: Bars, pool: Pool | None = None
) -> tuple[list[Profile], Optimum]:
    """Profiles of all fitted parameters.

    A profile that meets a better fit ends there: the optimum goes to it, and all are walked anew.

    Parameters
    ----------
    pool : Pool, optional
        None: all are walked in this process.

    Returns
    -------
    list of Profile, Optimum
        When the user stops, those that are done; and the best fit that they have found.
    """
    problem = optimum.goal.density.problem
    if problem.pools:
        # the best joint fit of groups and of how much they differ says nothing of either
        return [], optimum
    names = optimum.goal.space.names
    groups = [tuple(names[first : first + PROFILE.together]) for first in range(0, len(names), PROFILE.together)]
    bars.show("profiles", 0, len(names))

    def tell(n_done: int, _: list[Profile]) -> None:
        bars.show("profiles", min(n_done * PROFILE.together, len(names)), len(names))

    # the optimum goes to a better fit that a profile has met so often
    for turn in range(6):
        rules = interval_rules(optimum, problem.method.level)
        optimum = replace(optimum, alternatives=optimum.as_good(max(rules.of(name).rise for name in names)))
        stop = turn < 5
        kind = f"profiles {turn}" if turn else "profiles"
        # of all that was searched a profile asks for the ends alone
        walked = partial(profiles_of, replace(optimum, searches=()), level=rules.level, rules=rules, stop=stop)
        tasks = [RecordTask(partial(walked, group), kind, (group, rules.level, stop)) for group in groups]
        reached, interrupted = records(list[Profile], tasks, checkpoints, pool, tell)
        made = [result for results in reached if results is not None for result in results]
        better = [result.better for result in made if result.better is not None]
        if interrupted or not better:
            break
        for theta in better:
            optimum = optimum.better(theta)
    results = [result for result in made if result.better is None]
    return results, replace(optimum, interrupted=interrupted)


def _prediction_of(optimum: Optimum, prediction: Prediction, rules: IntervalRules, best: Array) -> Profile:
    """The profile of a prediction beside what the priors alone give; arguments as of :func:`prediction_profile`."""
    goal, problem = optimum.goal, optimum.goal.density.problem
    value = reported(problem, prediction, goal.density.runner.engine)
    _, gradient = goal.of_quantity(value, goal.box(optimum.theta))
    rule = rules.of_gradient(gradient[[goal.space.names.index(name) for name in rules.names]])
    return _beside_prior(prediction_profile(optimum, prediction.name, value, rule=rule, best=best), value, problem)


def _beside_prior(profile: Profile, value: Quantity, problem: CalibrationProblem) -> Profile:
    """The profile with the central interval of its level that the priors alone give the prediction."""
    values, level = value(draws_of_priors(problem)), profile.threshold.level
    usable = values[np.isfinite(values)]
    if not len(usable):
        return profile
    low, high = np.quantile(usable, [(1 - level) / 2, (1 + level) / 2])
    return replace(profile, prior_low=float(low), prior_high=float(high))


def predictions(
    optimum: Optimum, checkpoints: Checkpoints, bars: Bars, pool: Pool | None = None
) -> tuple[list[Profile], Optimum]:
    """Profiles of all reported predictions.

    Parameters
    ----------
    optimum, checkpoints, bars, pool :
        As of :func:`profiles`.

    Returns
    -------
    list of Profile, Optimum
        When the user stops, those that are done; and the optimum, which says whether he did.
    """
    problem = optimum.goal.density.problem
    n = len(problem.predictions)
    if not n or problem.pools:
        return [], optimum
    bars.show("predictions", 0, n)
    moving = replace(optimum, goal=all_free(replace(optimum.goal, base=optimum.theta)), searches=())
    rules, best = interval_rules(moving, problem.method.level), optimum.theta
    if len(moving.goal.free) > len(optimum.goal.free):
        rng, entries = stage_numbers(problem.method.seed, Stage.PREDICTIONS), checkpoints.within("joint")
        try:
            joint = maximise(moving.goal, starts=10, rng=rng, wider=False, checkpoints=entries, pool=pool)
        except KeyboardInterrupt:
            return [], replace(optimum, interrupted=True)
        if joint.interrupted:
            # a profile from half a search would be kept as if it were whole
            return [], replace(optimum, interrupted=True)
        best, highest = joint.theta, max(rules.of(name).rise for name in moving.goal.space.names)
        moving = replace(moving, alternatives=joint.as_good(highest))
    tasks = [
        RecordTask(partial(_prediction_of, moving, prediction, rules, best), "prediction", (prediction, rules.level))
        for prediction in problem.predictions
    ]

    def tell(n_done: int, made: Profile) -> None:
        bars.show("predictions", n_done, n, made.name)

    reached, interrupted = records(Profile, tasks, checkpoints, pool, tell)
    return [made for made in reached if made is not None], replace(optimum, interrupted=interrupted)
