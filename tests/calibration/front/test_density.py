"""The log density of a study as samplers of other packages call it."""

from pathlib import Path

import numpy as np
import pytest
from known_posteriors import alias
from scipy import stats
from scipy.optimize import approx_fprime, minimize

import cipark_sd as cp
from calibration.front.density import Density
from cipark_sd.base.errors import InvalidValue


@pytest.fixture(scope="module")
def flu() -> Density:
    return cp.read_study("flu_1978").density


@pytest.fixture(scope="module", params=["flu_1978", "nist_rat42", "hare_lynx", "crow_grouped"])
def density(request: pytest.FixtureRequest) -> Density:
    return cp.read_study(request.param).density


def test_the_density_is_that_of_the_distributions_that_the_study_names(tmp_path: Path) -> None:
    alias(tmp_path)
    of = cp.read_study(tmp_path).density
    assert of.names == ("a1", "a2", "k1", "k2")
    times = np.arange(1, 13)
    values = 10 * np.exp(-0.6 * times) + 4 * np.exp(-0.08 * times) + np.random.default_rng(5).normal(0, 0.25, 12)
    theta = of.prior_draws(6, seed=1)
    curve = theta[:, [0]] * np.exp(-theta[:, [2]] * times) + theta[:, [1]] * np.exp(-theta[:, [3]] * times)
    seen = stats.norm.logpdf(values, curve, 0.25).sum(axis=1)
    known = zip(theta.T, (7.0, 6.0, 0.3, 0.2), (0.8, 0.8, 1.2, 1.2), strict=True)
    before = np.sum([stats.lognorm.logpdf(x, sigma, scale=median) for x, median, sigma in known], axis=0)
    assert of.value(theta) == pytest.approx(seen + before, rel=1e-9)
    assert of.unconstrained.value(np.log(theta)) == pytest.approx(seen + before + np.log(theta).sum(axis=1), rel=1e-9)
    assert of.observed["lower"].to_numpy() == pytest.approx(values)


def test_the_gradient_is_that_of_differences(density: Density) -> None:
    of = density.unconstrained
    for point in of.prior_draws(30, seed=5):
        value, gradient = of.value_and_gradient(point)
        if not np.isfinite(value) or abs(value) > 1e4:
            continue
        expected = approx_fprime(point, of.value, 1e-6)
        assert gradient == pytest.approx(expected, rel=2e-3, abs=2e-3 * np.abs(expected).max() + 1e-4)


def test_coordinates_count_the_derivative_of_the_parameters_by_them(flu: Density) -> None:
    theta = flu.prior_draws(4, seed=2)
    free = flu.to_unconstrained(theta)
    assert flu.from_unconstrained(free) == pytest.approx(theta, rel=1e-12)
    for one, at in zip(theta, free, strict=True):
        turned = np.log(np.abs(np.linalg.det(approx_fprime(at, flu.from_unconstrained, 1e-7))))
        assert flu.unconstrained.value(at) - flu.value(one) == pytest.approx(turned, abs=1e-5)


def test_one_point_and_many_agree_and_beyond_a_prior_there_is_none(flu: Density) -> None:
    theta = flu.prior_draws(5, seed=3)
    values, gradients = flu.value_and_gradient(theta)
    alone = [flu.value_and_gradient(point) for point in theta]
    assert [value for value, _ in alone] == pytest.approx(values.tolist(), rel=1e-12)
    assert np.array([gradient for _, gradient in alone]) == pytest.approx(gradients, rel=1e-9)
    outside = theta[0].copy()
    outside[0] = -1.0
    assert flu.value(outside) == -np.inf
    assert not flu.value_and_gradient(outside)[1].any()


def test_simulated_observations_scatter_about_the_model(flu: Density) -> None:
    study = cp.read_study("flu_1978")
    fit = study.fit(starts=2)
    theta = np.array([fit.estimates[name] for name in flu.names])
    drawn = flu.simulate(np.repeat(theta[None], 4000, axis=0), seed=4)
    assert drawn.shape == (4000, len(flu.observed))
    expected = np.concatenate([column[0] for column in flu.posterior.by_term(theta[None])])
    error = drawn.std(axis=0) / np.sqrt(len(drawn))
    assert np.abs((drawn.mean(axis=0) - expected) / error).max() < 5


def test_draws_of_the_priors_are_those_of_the_priors(flu: Density) -> None:
    drawn = flu.prior_draws(2000, seed=8)
    for column, parameter in zip(drawn.T, flu.posterior.space, strict=True):
        assert stats.kstest(parameter.distribution.probability(column), "uniform").pvalue > 1e-4


@pytest.mark.parametrize("wrong", [[1.0], np.zeros((2, 2, 2)), "text", {"Beta": 1.0}, [[1.0], [2.0, 3.0]]])
def test_a_point_that_is_none_is_one_sentence(flu: Density, wrong: object) -> None:
    with pytest.raises(InvalidValue, match=f"{len(flu.names)} numbers, or rows of {len(flu.names)}: {flu.names[0]}"):
        flu.value(wrong)


def test_the_maximum_of_a_kept_optimiser_is_the_fit(flu: Density) -> None:
    fit = cp.read_study("flu_1978").fit(starts=2)
    theta = np.array([fit.estimates[name] for name in flu.names])
    # the estimate is the maximum on the parameters' scales, which are the coordinates where a prior has no bounds
    best = minimize(
        lambda free: tuple(-part for part in flu.unconstrained.value_and_gradient(free)),
        flu.to_unconstrained(theta) + 0.1,
        jac=True,
        method="BFGS",
    )
    assert flu.unconstrained.value(flu.to_unconstrained(theta)) <= -best.fun + 1e-9
