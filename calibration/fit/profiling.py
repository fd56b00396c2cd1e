"""The profiles of one calibration, with a bar; what is done is kept and stays when the user stops."""

from dataclasses import replace
from functools import partial

import numpy as np

from calibration.fit.optimise import Optimum, maximise
from calibration.fit.prediction_profile import PredictionProfile, all_free, prediction_profile
from calibration.fit.profile import Profile, profile
from calibration.fit.threshold import threshold
from calibration.likelihood.predicted import Reported, reported
from calibration.study.predictions import Prediction
from calibration.study.problem import CalibrationProblem
from cipark_sd.checkpoints import Checkpoints
from cipark_sd.console import Bars
from cipark_sd.engines.registry import choose

#: Searches for the best of all parameters, held ones included, from which the profiles of predictions start.
JOINT_STARTS = 10
#: Draws of the priors that show what a prediction would be without data.
PRIOR_DRAWS = 2000


def profiles(optimum: Optimum, checkpoints: Checkpoints, bars: Bars) -> tuple[list[Profile], Optimum]:
    """Profiles of all fitted parameters; when the user stops, those that are done."""
    problem = optimum.goal.density.problem
    if problem.pools:
        # the best joint fit of groups and of how much they differ says nothing of either
        return [], optimum
    # innovations are many, and none of them is asked about
    innovations = {parameter.name for process in problem.processes for parameter in process.innovations}
    names = [name for name in optimum.goal.space.names if name not in innovations]
    level = problem.method.level
    bars.show("profiles", 0, len(names))
    profiles: list[Profile] = []
    try:
        for name in names:
            make = partial(profile, optimum, name, level=level)
            profiles.append(checkpoints.recall(Profile, make, "profile", name, level))
            bars.show("profiles", len(profiles), len(names), name)
    except KeyboardInterrupt:
        return profiles, replace(optimum, interrupted=True)
    return profiles, optimum


def predictions(
    optimum: Optimum, engine: str, checkpoints: Checkpoints, bars: Bars
) -> tuple[list[PredictionProfile], Optimum]:
    """Profiles of all reported predictions; when the user stops, those that are done."""
    problem = optimum.goal.density.problem
    rule = threshold(optimum.goal, problem.method.level)
    profiles: list[PredictionProfile] = []
    if not problem.predictions or problem.pools:
        return profiles, optimum
    goal = all_free(replace(optimum.goal, base=optimum.theta))
    bars.show("predictions", 0, len(problem.predictions))
    try:
        best = optimum.theta
        if len(goal.free) > len(optimum.goal.free):
            rng = np.random.default_rng([problem.method.seed, 5])
            joint = maximise(goal, starts=JOINT_STARTS, rng=rng, checkpoints=checkpoints.within("joint"))
            if joint.interrupted:
                # a profile from half a search would be kept as if it were whole
                raise KeyboardInterrupt
            best = joint.theta
        for prediction in problem.predictions:

            def make(prediction: Prediction = prediction) -> PredictionProfile:
                value = reported(problem, prediction, choose(engine))
                profile = prediction_profile(
                    goal, optimum.theta, prediction.name, value, rule=rule, held=optimum.stepwise, best=best
                )
                return _beside_prior(profile, value, problem)

            profiles.append(checkpoints.recall(PredictionProfile, make, "prediction", prediction, rule.level))
            bars.show("predictions", len(profiles), len(problem.predictions), prediction.name)
    except KeyboardInterrupt:
        return profiles, replace(optimum, interrupted=True)
    return profiles, optimum


def _beside_prior(profile: PredictionProfile, value: Reported, problem: CalibrationProblem) -> PredictionProfile:
    """The profile with the central interval of its level that the priors alone give the prediction."""
    rng, level = np.random.default_rng([problem.method.seed, 6]), profile.threshold.level
    values = value(problem.space.from_unit(rng.random((PRIOR_DRAWS, len(problem.space)))))
    usable = values[np.isfinite(values)]
    if not len(usable):
        return profile
    low, high = np.quantile(usable, [(1 - level) / 2, (1 + level) / 2])
    return replace(profile, prior_low=float(low), prior_high=float(high))
