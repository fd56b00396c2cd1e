"""Profiles of predictions, beside what the priors alone say."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from small_study import small_study

from calibration.inference.profile import profile as profile_module
from calibration.inference.search.optimise import optimise
from calibration.likelihood.posterior import posterior
from cipark_sd.base.arrays import Array
from cipark_sd.base.checkpoints import NOT_KEPT
from cipark_sd.base.console import Bars
from cipark_sd.engines.registry import choose

ASKED = '[[prediction]]\nname = "{}"\nvariable = "left"\nat = {}\n'


def test_each_prediction_has_a_profile_and_what_its_priors_alone_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    density = posterior(small_study(tmp_path, ASKED.format("a", 10) + ASKED.format("b", 12)), choose("native"))
    problem = density.problem
    optimum = optimise(density, starts=2, rng=np.random.default_rng(1))
    made, after = profile_module.predictions(optimum, NOT_KEPT, Bars())
    assert [profile.name for profile in made] == ["a", "b"]
    assert not after.interrupted

    def rate(theta: Array) -> Array:
        """In the place of a number of the model, with a prior in closed form."""
        return theta[:, problem.space.names.index("rate")]

    level = made[0].threshold.level
    beside = profile_module._beside_prior(made[0], rate, problem)  # type: ignore[arg-type]
    ends = stats.lognorm.ppf([(1 - level) / 2, (1 + level) / 2], 0.5, scale=0.2)
    # two thousand draws
    assert (beside.prior_low, beside.prior_high) == pytest.approx(tuple(ends), rel=0.1)
    impossible = profile_module._beside_prior(made[0], lambda theta: np.full(len(theta), np.nan), problem)  # type: ignore[arg-type]
    assert impossible is made[0]
