"""The example of an ensemble Kalman filter is the exact filter of a linear model."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from places import ROOT

import cipark_sd as cp

LINEAR = """
Young = INTEG(1 - Leaving * Young, 10) ~~|
Old = INTEG(Leaving * Young - Death * Old, 20) ~~|
Leaving = 0.3 ~~|
Death = 0.1 ~~|
"""
STEP, SD = 0.25, 1.5
SEEN = {2.0: 15.0, 3.0: 18.5, 6.5: 17.0, 10.0: 12.0}


@pytest.fixture(scope="module")
def kalman() -> Any:
    spec = importlib.util.spec_from_file_location("kalman", ROOT / "benchmarks" / "kalman.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["kalman"] = module
    spec.loader.exec_module(module)
    return module


def exact(mean: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The Kalman filter of the model's Euler steps, as textbooks write it, with Old observed."""
    move = np.eye(2) + STEP * np.array([[-0.3, 0.0], [0.3, -0.1]])
    push, look, now = STEP * np.array([1.0, 0.0]), np.array([[0.0, 1.0]]), 0.0
    means, covariances = [], []
    for time, value in SEEN.items():
        for _ in range(round((time - now) / STEP)):
            mean, covariance = move @ mean + push, move @ covariance @ move.T
        now = time
        gain = covariance @ look.T / (look @ covariance @ look.T + SD**2)
        mean = mean + gain[:, 0] * (value - mean[1])
        covariance = (np.eye(2) - gain @ look) @ covariance
        means.append(mean)
        covariances.append(covariance)
    return np.array(means), np.array(covariances)


def test_it_is_the_exact_filter_of_a_linear_model(kalman: Any, write_mdl: Callable[..., Path]) -> None:
    model = cp.read_model(write_mdl(LINEAR, step=STEP))
    first = np.random.default_rng(1).multivariate_normal([10.0, 20.0], [[9.0, 2.0], [2.0, 16.0]], 40)
    made = kalman.filtered(model, {"Young": first[:, 0], "Old": first[:, 1]}, {"Old": SEEN}, SD)
    mean, covariance = exact(first.mean(axis=0), np.cov(first, rowvar=False))
    assert made.times.tolist() == list(SEEN)
    # sums of forty numbers, over forty steps
    np.testing.assert_allclose(made.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(made.covariance, covariance, rtol=1e-10)
    # and the data move what is not observed
    assert abs(made.mean[-1, 0] - exact(first.mean(axis=0), np.zeros((2, 2)))[0][-1, 0]) > 0.01


def test_what_a_delay_holds_runs_on(kalman: Any, write_mdl: Callable[..., Path]) -> None:
    model = cp.read_model(write_mdl(LINEAR + "Felt = DELAY3(Old, 3) ~~|\n", step=STEP, name="felt.mdl"))
    first = {"Young": np.array([9.0, 10.0, 12.0]), "Old": np.array([18.0, 20.0, 25.0])}
    seen = {"Old": SEEN}
    made = kalman.filtered(model, first, seen, SD)
    bare = kalman.filtered(cp.read_model(write_mdl(LINEAR, step=STEP)), first, seen, SD)
    np.testing.assert_array_equal(made.mean, bare.mean)
