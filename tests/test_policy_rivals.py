"""Posteriors of rivals for policy experiments: sampled once, kept, weighted."""

import numpy as np
import pytest

from calibration.assess.rival_draws import WEIGHTS, draws_file, fitted
from calibration.for_analyses.study_draws import draws_for, read_weights
from calibration.sampling.sample import Effort
from calibration.study.library import find_study
from calibration.study.problem import read_problem
from cipark_sd.experiments.definition import Rival
from cipark_sd.scenarios import Scenario

RIVALS = (Rival("M0", ""), Rival("M1", "able founder", Scenario("", {"Founding Capability": 1})))
#: Far from converged: what is tested is what becomes of the draws.
BRIEF = Effort(ensembles=2, walkers=36, block=20, most_steps=40, least_steps=20)


@pytest.fixture(scope="module")
def problem():
    return read_problem(find_study("great_stone"))


@pytest.mark.slow
def test_rivals_are_sampled_once_and_each_has_its_own_draws(problem, tmp_path):
    fitted(problem, RIVALS, tmp_path, 1, engine="native", effort=BRIEF)
    files = {rival.id: draws_file(tmp_path, rival.id) for rival in RIVALS}
    weights = tmp_path / WEIGHTS
    found = draws_for(problem, RIVALS, [f"{r}={p}" for r, p in files.items()], 20, 1, read_weights(weights, RIVALS))
    assert {draws.origin for draws in found.values()} == {"posterior"}
    assert sum(draws.weight for draws in found.values()) == pytest.approx(1, abs=1e-5)
    assert not np.array_equal(found["M0"].values["pool_scale"], found["M1"].values["pool_scale"])
    times = [path.stat().st_mtime_ns for path in files.values()]
    fitted(problem, RIVALS, tmp_path, 1, engine="native", effort=BRIEF)
    assert [path.stat().st_mtime_ns for path in files.values()] == times
    fitted(problem, RIVALS, tmp_path, 2, engine="native", effort=BRIEF)
    assert [path.stat().st_mtime_ns for path in files.values()] != times
