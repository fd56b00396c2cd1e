"""Searches: what is computed for them, and that a stop and a second start change nothing."""

from pathlib import Path

import numpy as np

from calibration.posterior import posterior
from calibration.predict import runner_factory
from calibration.problem import read_problem
from calibration.sections import Method

PARK = Path(__file__).parent.parent / "calibration" / "studies" / "great_stone"


def test_terms_that_are_only_looked_at_change_no_bit_of_the_others() -> None:
    problem = read_problem(PARK)
    density = posterior(problem, runner_factory("native"))
    theta = problem.space.from_unit(np.random.default_rng(1).uniform(0.05, 0.95, (20, len(problem.space))))
    fitted = [term.use == "fit" for term in problem.terms]
    assert not all(fitted)
    assert np.array_equal(density.pointwise(theta), density.pointwise(theta, fitted_only=False)[:, fitted])


def test_a_study_that_does_not_say_gets_a_hundred_searches() -> None:
    assert Method().starts == read_problem(PARK).method.starts == 100
