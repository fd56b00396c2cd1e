"""Searches: what is computed for them, and that a stop and a second start change nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from places import ROOT
from small_study import small_study

from calibration.inference.search import optimise as optimisation
from calibration.inference.search.optimise import Optimum, optimise
from calibration.inference.search.tuning import SEARCH
from calibration.likelihood.posterior import Posterior, posterior
from calibration.study.problem import read_problem
from calibration.study.sections import Method
from cipark_sd.base.checkpoints import NOT_KEPT, Checkpoints
from cipark_sd.engines.registry import choose

PARK = ROOT / "calibration" / "studies" / "great_stone"


def test_terms_that_are_only_looked_at_change_no_bit_of_the_others() -> None:
    problem = read_problem(PARK)
    density = posterior(problem, choose("native"))
    theta = problem.space.from_unit(np.random.default_rng(1).uniform(0.05, 0.95, (20, len(problem.space))))
    fitted = [term.use == "fit" for term in problem.terms]
    assert not all(fitted)
    assert np.array_equal(density.pointwise(theta), density.pointwise(theta, fitted_only=False)[:, fitted])


def test_a_study_that_does_not_say_gets_a_hundred_searches() -> None:
    assert Method().starts == read_problem(PARK.parent / "other_parks").method.starts == 100


def small(folder: Path) -> Posterior:
    return posterior(small_study(folder), choose("native"))


def everything(optimum: Optimum) -> list[tuple[bytes, float, float, int, bool]]:
    return [(s.theta.tobytes(), s.first, s.log_density, s.evaluations, s.converged) for s in optimum.searches]


def test_searches_go_on_after_a_stop_and_end_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    density = small(tmp_path)
    monkeypatch.setattr(optimisation, "SEARCH", replace(SEARCH, together=1))

    def searched(checkpoints: Checkpoints, most: int | None = None) -> Optimum:
        def stop(done: int, total: int, best: float) -> None:
            if done == most:
                raise KeyboardInterrupt

        rng = np.random.default_rng(3)
        return optimise(density, starts=5, rng=rng, checkpoints=checkpoints, on_progress=stop)

    checkpoints = Checkpoints(tmp_path / "kept", "a")
    stopped = searched(checkpoints, most=2)
    assert stopped.interrupted
    assert len(stopped.searches) == len(list((tmp_path / "kept").iterdir())) == 2
    path = max((tmp_path / "kept").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    before = path.stat().st_mtime_ns
    assert everything(searched(checkpoints)) == everything(searched(NOT_KEPT))
    # what was done was not done again
    assert path.stat().st_mtime_ns == before
