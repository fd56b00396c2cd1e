"""What is around the model's runs: Python's share of a log density, counted in instructions of the interpreter."""

from pathlib import Path

import numpy as np
from counted import exponent, steps
from small_study import small_study

from calibration.likelihood.posterior import posterior
from cipark_sd.base.arrays import TOGETHER
from cipark_sd.engines.registry import choose


def test_a_batch_costs_python_what_a_point_costs(tmp_path: Path) -> None:
    """An optimiser's gradient is one part of points, a sampler's step a few; what grows with a part is arithmetic."""
    density = posterior(small_study(tmp_path), choose("native"))
    space = density.space

    def points(n: int) -> np.ndarray:
        return np.column_stack([np.linspace(p.lower * 1.5, p.upper / 1.5, n) for p in space])

    def work(n: int) -> float:
        theta = points(n)
        assert np.isfinite(density.log_posterior(theta)).all()
        return steps(lambda: density.log_posterior(theta))

    assert exponent(work, 2, TOGETHER) < 0.05
