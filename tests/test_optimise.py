"""Searches: what is computed for them, and that a stop and a second start change nothing."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from small_study import small_study

from calibration.kept import Kept
from calibration.optimise import Optimum, optimise
from calibration.posterior import Posterior, posterior
from calibration.predict import runner_factory
from calibration.problem import read_problem
from calibration.profile import Profile, profile
from calibration.sections import Method, Optimiser

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


def small(folder: Path) -> Posterior:
    return posterior(small_study(folder), runner_factory("native"))


def everything(optimum: Optimum) -> list[tuple[bytes, bytes, float, float, int, bool, str]]:
    return [
        (s.start.tobytes(), s.theta.tobytes(), s.first, s.log_density, s.evaluations, s.converged, s.message)
        for s in optimum.searches
    ]


@pytest.mark.parametrize("optimiser", ["l-bfgs-b", "differential-evolution"])
def test_searches_go_on_after_a_stop_and_end_with_the_same_bits(tmp_path: Path, optimiser: Optimiser) -> None:
    density = small(tmp_path)

    def searched(kept: Kept | None, most: int | None = None) -> Optimum:
        def stop(done: int, total: int, best: float) -> None:
            if done == most:
                raise KeyboardInterrupt

        rng = np.random.default_rng(3)
        return optimise(density, starts=5, rng=rng, optimiser=optimiser, kept=kept, on_progress=stop)

    kept = Kept(tmp_path, "a")
    stopped = searched(kept, most=2)
    assert stopped.interrupted
    assert len(stopped.searches) == kept.count() == 2
    path = kept.path("search 2")
    assert path is not None
    before = path.stat().st_mtime_ns
    assert everything(searched(kept)) == everything(searched(None))
    # what was done was not done again
    assert path.stat().st_mtime_ns == before


def test_profiles_come_back_from_their_file(tmp_path: Path) -> None:
    optimum = optimise(small(tmp_path), starts=2, rng=np.random.default_rng(3))
    kept = Kept(tmp_path, "a")
    first = kept.recall(Profile, "profile size", lambda: profile(optimum, "size"))
    again = kept.recall(Profile, "profile size", lambda: pytest.fail("computed again"))
    assert (first.values.tobytes(), first.rise.tobytes()) == (again.values.tobytes(), again.rise.tobytes())
    assert (first.best, first.lower, first.upper) == (again.best, again.lower, again.upper)


def test_an_open_side_comes_back_as_open(tmp_path: Path) -> None:
    kept = Kept(tmp_path, "a")
    made = Profile("x", np.array([1.0, 2.0]), np.array([0.0, 0.1]), 1.0, None, None)
    kept.recall(Profile, "profile x", lambda: made)
    again = kept.recall(Profile, "profile x", lambda: pytest.fail("computed again"))
    assert (again.lower, again.upper, again.verdict) == (None, None, "not bounded by the data")
