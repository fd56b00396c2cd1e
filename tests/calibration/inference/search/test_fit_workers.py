"""Searches and profiles in several processes: the bits of one, and what is done stays when the user stops."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_study import small_study

from calibration.inference.profile import profile as profile_module
from calibration.inference.profile.tuning import PROFILE
from calibration.inference.search import optimise as optimisation
from calibration.inference.search.optimise import Optimum, optimise
from calibration.inference.search.tuning import SEARCH
from calibration.likelihood.posterior import Posterior, posterior
from cipark_sd.base.checkpoints import NOT_KEPT, Checkpoints, as_arrays
from cipark_sd.base.console import progress_bars
from cipark_sd.engines.registry import choose
from cipark_sd.execution import pool as tasks
from cipark_sd.execution.pool import Pool
from cipark_sd.execution.workers import Workers

PREDICTION = """
[[prediction]]
name = "at the end"
variable = "left"
at = "12"
"""


@pytest.fixture(scope="module")
def density(tmp_path_factory: pytest.TempPathFactory) -> Posterior:
    return posterior(small_study(tmp_path_factory.mktemp("study"), PREDICTION), choose("native"))


def same(first: object, second: object) -> None:
    """Two records, bit for bit."""
    arrays, expected = as_arrays(first), as_arrays(second)
    assert arrays.keys() == expected.keys()
    for name, array in arrays.items():
        assert array.tobytes() == expected[name].tobytes()


def fit(density: Posterior, pool: Pool | None, kept: Checkpoints, most: int | None = None) -> Optimum:
    def stop(done: int, total: int, best: float) -> None:
        if done == most:
            raise KeyboardInterrupt

    rng = np.random.default_rng(3)
    return optimise(density, starts=6, rng=rng, checkpoints=kept, pool=pool, on_progress=stop)


def test_workers_change_no_bit_and_a_stop_loses_nothing(
    density: Posterior, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with progress_bars() as bars:
        alone = fit(density, None, NOT_KEPT)
        profiles, _ = profile_module.profiles(alone, NOT_KEPT, bars)
        predictions, _ = profile_module.predictions(alone, NOT_KEPT, bars)
        # all but the first go to the workers, however little there is to do
        monkeypatch.setattr(tasks, "WORTH", 0.0)
        monkeypatch.setattr(optimisation, "SEARCH", replace(SEARCH, together=1))
        kept = Checkpoints(tmp_path / "kept", "a")
        with Workers(2) as pool:
            stopped = fit(density, pool, kept, most=3)
            assert stopped.interrupted
            assert len(stopped.searches) == 3
            assert not pool._busy
            together = fit(density, pool, kept)
            assert kept.reused == 3
            found, _ = profile_module.profiles(together, NOT_KEPT, bars, pool)
            foretold, _ = profile_module.predictions(together, NOT_KEPT, bars, pool)
    assert len(alone.searches) == 6
    assert len(profiles) == len(alone.goal.free)
    assert predictions
    for first, second in zip(
        [*alone.searches, *profiles, *predictions], [*together.searches, *found, *foretold], strict=True
    ):
        same(first, second)


def test_a_profile_that_is_stopped_leaves_those_before_it(density: Posterior, monkeypatch: pytest.MonkeyPatch) -> None:
    real, n_calls = profile_module.profiles_of, 0

    def second_is_stopped(*arguments: object, **options: object) -> object:
        nonlocal n_calls
        n_calls += 1
        if n_calls > 1:
            raise KeyboardInterrupt
        return real(*arguments, **options)  # type: ignore[arg-type]

    with progress_bars() as bars:
        optimum = fit(density, None, NOT_KEPT)
        monkeypatch.setattr(profile_module, "PROFILE", replace(PROFILE, together=1))
        monkeypatch.setattr(profile_module, "profiles_of", second_is_stopped)
        profiles, stopped = profile_module.profiles(optimum, NOT_KEPT, bars)
    assert len(profiles) == 1
    assert stopped.interrupted
