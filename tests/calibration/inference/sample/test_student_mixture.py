"""Mixtures of Student distributions: densities by another route, draws, and what is fitted."""

import numpy as np
import pytest
from scipy import stats

from calibration.inference.sample.student_mixture import StudentMixture, apportioned, fit_mixture

ROOTS = np.array([[[1.0, 0.0], [0.5, 0.2]], [[0.3, 0.0], [0.0, 0.4]]])
MIXTURE = StudentMixture(np.array([0.3, 0.7]), np.array([[0.0, 1.0], [3.0, -2.0]]), ROOTS, 5.0)


def test_the_log_density_is_that_of_scipy():
    points = np.random.default_rng(1).normal(0, 3, (50, 2))
    parts = [
        stats.multivariate_t(mean, root @ root.T, df=5).pdf(points)
        for mean, root in zip(MIXTURE.means, MIXTURE.roots, strict=True)
    ]
    assert MIXTURE.log_density(points) == pytest.approx(np.log(0.3 * parts[0] + 0.7 * parts[1]), abs=1e-10)


def test_draws_have_the_mixture_s_moments():
    points = MIXTURE.draw(200_000, np.random.default_rng(2))
    mean = MIXTURE.shares @ MIXTURE.means
    within = sum(
        share * (5 / 3 * root @ root.T + np.outer(own - mean, own - mean))
        for share, own, root in zip(MIXTURE.shares, MIXTURE.means, ROOTS, strict=True)
    )
    assert points.mean(axis=0) == pytest.approx(mean, abs=0.02)
    assert np.cov(points.T) == pytest.approx(within, abs=0.06)


def test_shares_are_apportioned_to_within_one():
    rng = np.random.default_rng(3)
    shares = np.array([0.85, 0.1, 0.05])
    counts = np.array([apportioned(shares, 37, rng) for _ in range(2000)])
    assert (counts.sum(axis=1) == 37).all()
    assert (np.abs(counts - 37 * shares) < 1).all()
    assert counts.mean(axis=0) == pytest.approx(37 * shares, abs=0.05)


def test_a_normal_cloud_gets_one_component_and_two_get_more():
    rng = np.random.default_rng(4)
    cloud = rng.normal(size=(1500, 3)) @ np.diag([1, 5, 0.1])
    single = fit_mixture(cloud, np.ones(1500), rng)
    assert len(single.shares) == 1
    assert single.freedom == 30
    apart = np.where(rng.random(1500) < 0.3, -4, 4)[:, None] + rng.normal(size=(1500, 3))
    double = fit_mixture(apart, np.ones(1500), rng)
    assert len(double.shares) >= 2
    assert double.shares[double.means[:, 0] < 0].sum() == pytest.approx(0.3, abs=0.05)


def test_weights_count():
    rng = np.random.default_rng(5)
    points = rng.normal(0, 2, (4000, 2))
    weights = np.exp(stats.norm(1, 0.5).logpdf(points) - stats.norm(0, 2).logpdf(points)).prod(axis=1)
    fitted = fit_mixture(points, weights, rng)
    assert fitted.shares @ fitted.means == pytest.approx([1, 1], abs=0.1)


def test_heavy_tails_get_few_degrees_of_freedom():
    rng = np.random.default_rng(6)
    points = stats.multivariate_t([0, 0], np.eye(2), df=3).rvs(3000, random_state=rng)
    assert fit_mixture(points, np.ones(3000), rng).freedom <= 5


def test_joined_components_have_equal_shares_beside_the_whole_of_the_first() -> None:
    first = StudentMixture(np.array([0.3, 0.7]), np.zeros((2, 1)), np.ones((2, 1, 1)), 10.0)
    other = StudentMixture(np.array([0.5, 0.5]), np.array([[5.0], [9.0]]), np.full((2, 1, 1), 2.0))
    joined = first.joined(other)
    assert joined.shares == pytest.approx([0.1, 0.7 / 3, 1 / 3, 1 / 3])
    assert joined.means.ravel().tolist() == [0.0, 0.0, 5.0, 9.0]
    assert joined.roots.ravel().tolist() == [1.0, 1.0, 2.0, 2.0]
    assert joined.freedom == 10.0
