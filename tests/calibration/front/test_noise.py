"""Noise of one's own: its law is tested, its numbers are those of closed forms, and no file holds it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

import cipark_sd as cp
from calibration import Noise
from calibration.noise.priors import LogNormal
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import CiparkError, InvalidValue, UnknownName, UnusableInput

POOL = """{UTF-8}
Pool = INTEG(-Leaving, 100) ~ firm ~ |
Leaving = Rate * Pool ~ firm/year ~ |
Rate = 0.2 ~ 1/year ~ |
INITIAL TIME = 2000 ~ year ~ |
FINAL TIME = 2010 ~ year ~ |
TIME STEP = 0.125 ~ year ~ |
SAVEPER = TIME STEP ~ year ~ |
"""
YEARS = np.arange(2001, 2010)
#: Around 100 that lose a fifth of themselves a year, with one that is far off.
FIRMS = np.array([81.5, 66.2, 55.9, 45.1, 90.0, 29.4, 24.1, 20.6, 16.3])


def laplace(value: Array, mean: Array, spread: Array) -> Array:
    return -np.abs(value - mean) / spread - np.log(2 * spread)


def draws(mean: Array, spread: Array, rng: np.random.Generator) -> Array:
    return rng.laplace(mean, spread)


def inflated(value: Array, mean: Array, spread: Array) -> Array:
    """A Poisson count, or in a fifth of the cases nothing."""
    return np.log(np.where(value == 0, 0.2, 0) + 0.8 * stats.poisson.pmf(value, mean))


def poisson(value: Array, mean: Array, spread: Array) -> Array:
    return np.asarray(stats.poisson.logpmf(value, mean))


def inflated_draws(mean: Array, spread: Array, rng: np.random.Generator) -> Array:
    return np.where(rng.random(len(mean)) < 0.2, 0, rng.poisson(mean))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> cp.Study:
    path = tmp_path_factory.mktemp("pool") / "pool.mdl"
    path.write_text(POOL)
    frame = pd.DataFrame({"year": YEARS, "firms": FIRMS})
    noise = {"firms": Noise(laplace, draws, LogNormal(5, 1))}
    return cp.Study(path, frame, {"firms": "Pool"}, noise=noise, priors={"Pool": 100}, estimate="ml")


def test_the_fit_is_that_of_the_law(study: cp.Study) -> None:
    def distance(rate: float) -> float:
        # Euler's method in steps of an eighth
        return float(np.abs(FIRMS - 100 * (1 - rate / 8) ** (8 * (YEARS - 2000))).sum())

    # of Laplace's law the best course has the smallest sum of distances, and the spread is their mean
    best = optimize.minimize_scalar(distance, bounds=(0.1, 0.4), method="bounded", options={"xatol": 1e-9})
    fit = study.fit(starts=4, posterior=True)
    assert fit.estimates == pytest.approx({"Rate": best.x, "firms noise": best.fun / len(FIRMS)}, rel=1e-3)
    normal = optimize.minimize_scalar(
        lambda rate: float(((FIRMS - 100 * (1 - rate / 8) ** (8 * (YEARS - 2000))) ** 2).sum()), (0.1, 0.4)
    )
    assert abs(normal.x - best.x) > 0.005, "another law has another best course"
    assert fit.idata["posterior"]["Rate"].median() == pytest.approx(best.x, abs=0.01)
    # the answer, with bands and residuals, is shown
    assert "<iframe" in fit._repr_html_()
    for refused in (fit.save, fit.report):
        with pytest.raises(UnusableInput, match=r"noise of firms: .* which no file holds"):
            refused(Path("nowhere"))


def test_such_a_study_is_in_no_folder(study: cp.Study, tmp_path: Path) -> None:
    for refused in (lambda: study.save(tmp_path / "kept"), lambda: cp.play(study), lambda: cp.policy(study)):
        with pytest.raises(UnusableInput, match=r"noise of firms: .* which no file holds"):
            refused()
    assert not list(tmp_path.iterdir())


def test_numbers_of_a_law_are_those_of_its_closed_form() -> None:
    noise, exact = Noise(laplace, draws, 3.0), stats.laplace(20, 3)
    probabilities = np.array([0.001, 0.025, 0.5, 0.9, 0.999])
    np.testing.assert_allclose(noise.quantile(probabilities, 20, 3), exact.ppf(probabilities), atol=0.02)
    mean, spread = np.array([20.0]), np.array([3.0])
    for low, high in ((19, 24), (-np.inf, 12), (60, np.inf), (60, 61)):
        chance = exact.cdf(high) - exact.cdf(low) if low < 20 else exact.sf(low) - exact.sf(high)
        assert noise.log_interval(low, high, mean, spread)[0] == pytest.approx(np.log(chance), abs=2e-4)
    assert noise.sd(mean, spread)[0] == pytest.approx(exact.ppf(0.8413447460685429) - 20, abs=0.02)
    by_mean, by_spread = noise.slopes(np.array([27.0]), mean, spread)
    assert (by_mean[0], by_spread[0]) == pytest.approx((1 / 3, 7 / 9 - 1 / 3), rel=1e-7)
    assert noise.interval_slopes(30, np.inf, mean, spread)[0][0] == pytest.approx(1 / 3, rel=1e-3)


def test_counts_may_have_a_law_of_their_own() -> None:
    noise = Noise(inflated, inflated_draws, discrete=True)
    mean, spread = np.array([10.0]), np.array([1.0])
    assert noise.quantile(np.array([0.1, 0.25, 0.6]), 10, 1).tolist() == [0, *(stats.poisson.ppf([0.0625, 0.5], 10))]
    within = 0.8 * (stats.poisson.cdf(12, 10) - stats.poisson.cdf(4, 10))
    assert np.exp(noise.log_interval(5, 12, mean, spread))[0] == pytest.approx(within)
    nothing = 0.2 + 0.8 * stats.poisson.pmf(0, 10)
    assert np.exp(noise.log_interval(-np.inf, 0, mean, spread))[0] == pytest.approx(nothing)


@pytest.mark.parametrize(
    ("made", "fault"),
    [
        (lambda: Noise(lambda v, m, s: laplace(v, m, s) + np.log(2), draws, 2.0), "integrates to 2, expected 1"),
        (lambda: Noise(laplace, lambda m, s, rng: rng.laplace(m, 1.05 * s), 2.0), "of the draws are at most"),
        (lambda: Noise(laplace, lambda m, s, rng: rng.laplace(m[:7], s[:7]), 2.0), r"draw gives \(7,\) numbers"),
        (lambda: Noise(lambda v, m, s: np.zeros(3), draws, 2.0), r"log_density gives \(3,\) numbers"),
        (lambda: Noise(inflated, draws, discrete=True), "not whole"),
        (lambda: Noise(poisson, inflated_draws, discrete=True), "of the draws are at most [0-3],"),
        (lambda: Noise(laplace, draws, "5"), "expected a number to hold"),
    ],
    ids=["mass", "draws", "draws' shape", "density's shape", "whole", "counts", "spread"],
)  # fmt: skip
def test_what_is_no_law_is_refused(made: Callable[[], Any], fault: str) -> None:
    with pytest.raises(CiparkError, match=fault):
        made()


def test_a_column_that_is_not_there_and_numbers_that_are_not_whole(study: cp.Study) -> None:
    from calibration.front.noise import with_noise

    with pytest.raises(UnknownName, match="did you mean 'firms'"):
        with_noise(study.problem, {"firm": next(iter(study.noises.values()))})
    with pytest.raises(InvalidValue, match="a whole number for this noise"):
        with_noise(study.problem, {"firms": Noise(inflated, inflated_draws, discrete=True)})


def test_the_same_function_gives_the_same_digest_wherever_it_lies() -> None:
    assert repr(Noise(laplace, draws, 3.0)) == repr(Noise(laplace, draws, 3.0))
    assert repr(Noise(laplace, draws, 3.0)) != repr(Noise(laplace, draws, 4.0))
