"""Priors against scipy, truncation, and the cubes that go there and back."""

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from calibration.noise import priors
from calibration.study.parameters import Parameter, ParameterSpace

FAMILIES = [
    (priors.Normal(1.0, 2.0), stats.norm(1, 2)),
    (priors.LogNormal(2.0, 0.5), stats.lognorm(0.5, scale=2)),
    (priors.Uniform(-1.0, 3.0), stats.uniform(-1, 4)),
    (priors.LogUniform(0.1, 10.0), stats.loguniform(0.1, 10)),
    (priors.Triangular(0.0, 1.0, 4.0), stats.triang(0.25, 0, 4)),
    (priors.Beta(2.0, 5.0), stats.beta(2, 5)),
    (priors.Gamma(3.0, 0.5), stats.gamma(3, scale=0.5)),
    (priors.HalfNormal(1.5), stats.halfnorm(scale=1.5)),
    (priors.Exponential(2.0), stats.expon(scale=2)),
    (priors.StudentT(1.0, 2.0, 3.0), stats.t(3, 1, 2)),
    (priors.HalfCauchy(0.7), stats.halfcauchy(scale=0.7)),
]
#: A logit normal has no twin in SciPy.
ALONE = priors.LogitNormal(0.3, 0.8)
SHARES = np.array([0.01, 0.2, 0.5, 0.77, 0.999])


@pytest.mark.parametrize(("prior", "expected"), FAMILIES, ids=lambda value: type(value).__name__)
def test_a_family_equals_scipy(prior: priors.Prior, expected: Any) -> None:
    values = expected.ppf(SHARES)
    got = priors.distribution(prior)
    np.testing.assert_allclose(got.quantile(SHARES), values, rtol=1e-9)
    np.testing.assert_allclose(got.probability(values), SHARES, rtol=1e-9)
    np.testing.assert_allclose(got.log_density(values), expected.logpdf(values), rtol=1e-9, atol=1e-12)


def test_each_family_is_compared() -> None:
    assert {type(prior) for prior, _ in FAMILIES} == {*priors.FAMILIES.values()} - {type(ALONE)}


@pytest.mark.parametrize("bounds", [(-np.inf, np.inf), (0.3, 0.9), (0.6, np.inf)])
@pytest.mark.parametrize("prior", [prior for prior, _ in FAMILIES], ids=lambda prior: type(prior).__name__)
def test_priors_side_by_side_have_the_numbers_of_each(prior: priors.Prior, bounds: tuple[float, float]) -> None:
    """The second differs from the first in its bounds only."""
    single = [priors.distribution(prior, *bounds), priors.distribution(prior, bounds[0], min(bounds[1], 0.95))]
    if len({one.kind for one in single}) > 1:
        pytest.skip("these are not computed together")
    both = priors.side_by_side(single)
    shares = np.concatenate([[0.0, 1.0], np.random.default_rng(1).random(50)])
    values = both.quantile(np.stack([shares, shares], axis=1))
    for method in ("log_density", "probability"):
        together = getattr(both, method)(values)
        np.testing.assert_array_equal(
            together.T, [getattr(one, method)(x) for one, x in zip(single, values.T, strict=True)]
        )
    np.testing.assert_array_equal(values.T, [one.quantile(shares) for one in single])
    ends = [[one.low for one in single], [one.high for one in single]]
    np.testing.assert_allclose(values[:2], ends, rtol=1e-12)


def test_logit_normal_has_its_median_and_mass_one() -> None:
    got = priors.distribution(priors.LogitNormal(0.15, 0.8))
    assert float(got.quantile(np.array(0.5))) == pytest.approx(0.15)
    mass, _ = integrate.quad(lambda x: float(np.exp(got.log_density(np.array(x)))), 0, 1)
    assert mass == pytest.approx(1, abs=1e-7)


@pytest.mark.parametrize("prior", [prior for prior, _ in FAMILIES], ids=lambda prior: type(prior).__name__)
def test_a_truncated_prior_has_mass_one_between_its_bounds_and_none_outside(prior: priors.Prior) -> None:
    got = priors.distribution(prior, 0.3, 0.9)
    mass, _ = integrate.quad(lambda x: float(np.exp(got.log_density(np.array(x)))), 0.3, 0.9)
    assert mass == pytest.approx(1, abs=1e-6)
    assert np.isneginf(got.log_density(np.array([0.29, 0.91]))).all()


def test_truncation_far_in_the_upper_tail_keeps_its_digits() -> None:
    got = priors.distribution(priors.Normal(0, 1), 12, 13)
    assert float(got.quantile(np.array(0.5))) == pytest.approx(stats.truncnorm.median(12, 13), rel=1e-9)


def test_a_prior_without_mass_between_its_bounds_is_refused() -> None:
    with pytest.raises(ValueError, match="no mass"):
        priors.distribution(priors.Uniform(0, 1), 2, 3)


SPACE = ParameterSpace(
    (
        Parameter("a", priors.LogNormal(0.8, 1.0), 0.1, 6.0, "log"),
        Parameter("b", priors.LogitNormal(0.15, 0.8), 0.02, 0.6, "logit"),
        Parameter("c", priors.Triangular(0, 1, 4), 0.0, 4.0),
        Parameter("d", priors.Gamma(2, 3), scale="log"),
    )
)
cube = st.lists(st.floats(0.001, 0.999), min_size=4, max_size=4).map(np.array)


@given(cube)
def test_to_unit_undoes_from_unit(shares: np.ndarray) -> None:
    np.testing.assert_allclose(SPACE.to_unit(SPACE.from_unit(shares)), shares, atol=1e-9)


@given(cube)
def test_to_box_undoes_from_box(positions: np.ndarray) -> None:
    np.testing.assert_allclose(SPACE.to_box(SPACE.from_box(positions)), positions, atol=1e-9)


@given(cube)
def test_every_point_of_the_box_lies_within_the_bounds(positions: np.ndarray) -> None:
    for parameter, value in zip(SPACE, SPACE.from_box(np.round(positions)), strict=True):
        assert parameter.lower <= value <= parameter.upper


def test_the_log_prior_of_a_batch_is_that_of_its_rows() -> None:
    values = SPACE.from_unit(np.random.default_rng(1).random((5, 4)))
    np.testing.assert_array_equal(SPACE.log_prior(values), [SPACE.log_prior(row) for row in values])


def test_priors_together_are_each_by_itself_to_the_bit() -> None:
    """All families with bounds near and far, for values in and outside of them and in any order in memory."""
    families = [ALONE, *(prior for prior, _ in FAMILIES)]
    pairs = [(prior, upper) for upper in (0.5, 0.95) for prior in families]
    parameters = [Parameter(f"p{i}", prior, 0.05, upper) for i, (prior, upper) in enumerate(pairs)]
    space = ParameterSpace(tuple(parameters))
    rows = np.random.default_rng(2).uniform(-0.1, 1.1, (40, len(pairs)))
    rows[0, ::3], rows[1, ::4] = np.nan, np.inf
    alone = np.stack([p.distribution.log_density(x) for p, x in zip(parameters, rows.T, strict=True)], axis=1)
    assert np.isfinite(alone).any(axis=0).all()
    assert np.isneginf(alone).any(axis=0).all()
    assert space.log_priors(rows).tobytes() == alone.tobytes()
    assert space.log_priors(np.asfortranarray(rows)).tobytes() == alone.tobytes()
    assert space.log_priors(rows[5]).tobytes() == alone[5].tobytes()
    assert space.log_priors(rows.reshape(4, 10, -1)).tobytes() == alone.tobytes()


def test_the_mode_on_the_scale_of_a_lognormal_is_its_median() -> None:
    space = ParameterSpace((Parameter("a", priors.LogNormal(0.8, 1.0), scale="log"),))
    grid = np.geomspace(0.1, 5, 2001)[:, None]
    assert grid[space.log_prior_scaled(grid).argmax(), 0] == pytest.approx(0.8, rel=0.01)


def test_a_space_pickles_after_use() -> None:
    SPACE.from_unit(np.full(4, 0.5))
    assert pickle.loads(pickle.dumps(SPACE)) == SPACE
