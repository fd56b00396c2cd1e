"""An objective that searches and profiles in other processes share: it is sent as what it is made of."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from calibration.fit.objective import Objective
from calibration.likelihood.posterior import On
from calibration.study.problem import CalibrationProblem
from cipark_sd.arrays import Array
from cipark_sd.tasks.shared import MadeOnce


@dataclass(frozen=True, eq=False)
class SharedGoal(MadeOnce):
    """The fields of an :class:`Objective`, its density as a problem and the name of an engine."""

    problem: CalibrationProblem
    engine: str
    base: Array
    free: NDArray[np.intp]
    with_prior: NDArray[np.bool_]
    steps: Array
    prior_weight: float
    rough: bool

    @staticmethod
    def of(goal: Objective) -> "SharedGoal":
        """An objective as it is sent; in this process nothing is made anew."""
        density = goal.density
        engine = density.runner.engine.name
        shared = SharedGoal(
            density.problem, engine, goal.base, goal.free, goal.with_prior, goal.steps, goal.prior_weight, goal.rough
        )
        shared.__dict__["goal"] = goal
        return shared

    @cached_property
    def goal(self) -> Objective:
        """The objective, made once in each process."""
        density = On(self.engine)(self.problem)
        return Objective(
            density, self.base, self.free, self.with_prior, self.steps, self.prior_weight, rough=self.rough
        )
