"""The profiles of one calibration, with a bar; what is done is kept and stays when the user stops."""

import math
from dataclasses import dataclass, replace

import numpy as np

from calibration.fit.interval_rules import IntervalRules, interval_rules, rules_at
from calibration.fit.objective import Quantity
from calibration.fit.optimise import Optimum, maximise
from calibration.fit.prediction_profile import PredictionProfile, all_free, prediction_profile
from calibration.fit.profile import Profile, profiles_of
from calibration.fit.shared_goal import SharedGoal
from calibration.likelihood.predicted import reported
from calibration.likelihood.streams import Stage, stage_numbers
from calibration.study.predictions import Prediction
from calibration.study.problem import CalibrationProblem
from cipark_sd.arrays import Array
from cipark_sd.checkpoints import Checkpoints
from cipark_sd.console import Bars
from cipark_sd.tasks.pool import Pool, RecordTask, records

#: Searches for the best of all parameters, held ones included, from which the profiles of predictions start.
JOINT_STARTS = 10
#: Parameters whose profiles are walked in step, whatever the number of workers.
TOGETHER = 32
#: Times that the optimum goes to a better fit that a profile has met.
MOST_TURNS = 5
#: Draws of the priors that show what a prediction would be without data.
PRIOR_DRAWS = 2000


@dataclass(frozen=True, eq=False)
class Profiles:
    """Profiles of some parameters, or the one that met a better fit."""

    made: tuple[Profile, ...]


@dataclass(frozen=True, eq=False)
class ProfilesOf:
    """The profiles of some free parameters, walked in step from an optimum."""

    shared: SharedGoal
    theta: Array
    log_density: float
    stepwise: tuple[str, ...]
    alternatives: tuple[Array, ...]
    names: tuple[str, ...]
    rules: IntervalRules
    stop: bool

    def __call__(self) -> Profiles:
        """The profiles."""
        # of all that was searched a profile asks for the ends alone
        start = (self.theta, self.log_density, math.nan, (), False)
        optimum = Optimum(*start, self.shared.goal, self.stepwise, self.alternatives)
        made = profiles_of(optimum, self.names, level=self.rules.level, rules=self.rules, stop=self.stop)
        return Profiles(tuple(made))


def profiles(
    optimum: Optimum, checkpoints: Checkpoints, bars: Bars, pool: Pool | None = None
) -> tuple[list[Profile], Optimum]:
    """Profiles of all fitted parameters, and the best that they have found; when the user stops, those that are done.

    A profile that meets a better fit ends there: the optimum goes to it, and all are walked anew.
    """
    problem = optimum.goal.density.problem
    if problem.pools:
        # the best joint fit of groups and of how much they differ says nothing of either
        return [], optimum
    names = optimum.goal.space.names
    shared = SharedGoal.of(optimum.goal)
    groups = [tuple(names[first : first + TOGETHER]) for first in range(0, len(names), TOGETHER)]
    bars.show("profiles", 0, len(names))

    def tell(n_done: int, made: Profiles) -> None:
        bars.show("profiles", min(n_done * TOGETHER, len(names)), len(names))

    for turn in range(MOST_TURNS + 1):
        rules = interval_rules(optimum, problem.method.level)
        optimum = replace(optimum, alternatives=optimum.as_good(max(rules.of(name).rise for name in names)))
        start, stop = (optimum.theta, optimum.log_density, optimum.stepwise, optimum.alternatives), turn < MOST_TURNS
        kind = f"profiles {turn}" if turn else "profiles"
        tasks = [
            RecordTask(ProfilesOf(shared, *start, group, rules, stop), kind, (group, rules.level, stop))
            for group in groups
        ]
        reached, interrupted = records(Profiles, tasks, checkpoints, pool, tell)
        made = [result for results in reached if results is not None for result in results.made]
        better = [result.better for result in made if result.better is not None]
        if interrupted or not better:
            break
        for theta in better:
            optimum = optimum.better(theta)
    results = [result for result in made if result.better is None]
    return results, replace(optimum, interrupted=interrupted)


@dataclass(frozen=True, eq=False)
class PredictionOf:
    """The profile of a prediction beside what the priors alone give; arguments as of :func:`prediction_profile`."""

    shared: SharedGoal
    theta: Array
    prediction: Prediction
    rules: IntervalRules
    held: tuple[str, ...]
    best: Array
    alternatives: tuple[Array, ...]

    def __call__(self) -> PredictionProfile:
        """The profile."""
        goal = self.shared.goal
        problem, name = goal.density.problem, self.prediction.name
        value = reported(problem, self.prediction, goal.density.runner.engine)
        _, gradient = goal.of_quantity(value, goal.box(self.theta))
        made = prediction_profile(
            goal,
            self.theta,
            name,
            value,
            rule=self.rules.of_gradient(gradient[[goal.space.names.index(name) for name in self.rules.names]]),
            held=self.held,
            best=self.best,
            alternatives=self.alternatives,
        )
        return _beside_prior(made, value, problem)


def predictions(
    optimum: Optimum, checkpoints: Checkpoints, bars: Bars, pool: Pool | None = None
) -> tuple[list[PredictionProfile], Optimum]:
    """Profiles of all reported predictions; when the user stops, those that are done."""
    problem = optimum.goal.density.problem
    n = len(problem.predictions)
    if not n or problem.pools:
        return [], optimum
    goal = all_free(replace(optimum.goal, base=optimum.theta))
    bars.show("predictions", 0, n)
    rules = rules_at(goal, optimum.theta, optimum.stepwise, problem.method.level)
    best, alternatives = optimum.theta, optimum.alternatives
    if len(goal.free) > len(optimum.goal.free):
        rng = stage_numbers(problem.method.seed, Stage.PREDICTIONS)
        try:
            entries = checkpoints.within("joint")
            joint = maximise(goal, starts=JOINT_STARTS, rng=rng, wider=False, checkpoints=entries, pool=pool)
        except KeyboardInterrupt:
            return [], replace(optimum, interrupted=True)
        if joint.interrupted:
            # a profile from half a search would be kept as if it were whole
            return [], replace(optimum, interrupted=True)
        best, alternatives = joint.theta, joint.as_good(max(rules.of(name).rise for name in goal.space.names))
    shared = SharedGoal.of(goal)
    tasks = [
        RecordTask(
            PredictionOf(shared, optimum.theta, prediction, rules, optimum.stepwise, best, alternatives),
            "prediction",
            (prediction, rules.level),
        )
        for prediction in problem.predictions
    ]

    def tell(n_done: int, made: PredictionProfile) -> None:
        bars.show("predictions", n_done, n, made.name)

    reached, interrupted = records(PredictionProfile, tasks, checkpoints, pool, tell)
    return [made for made in reached if made is not None], replace(optimum, interrupted=interrupted)


def _beside_prior(profile: PredictionProfile, value: Quantity, problem: CalibrationProblem) -> PredictionProfile:
    """The profile with the central interval of its level that the priors alone give the prediction."""
    rng, level = stage_numbers(problem.method.seed, Stage.PREDICTIONS_OF_PRIORS), profile.threshold.level
    values = value(problem.space.from_unit(rng.random((PRIOR_DRAWS, len(problem.space)))))
    usable = values[np.isfinite(values)]
    if not len(usable):
        return profile
    low, high = np.quantile(usable, [(1 - level) / 2, (1 + level) / 2])
    return replace(profile, prior_low=float(low), prior_high=float(high))
