"""Log densities against scipy's, and laws that they must obey."""

import numpy as np
import pytest
from scipy import special, stats

from calibration.likelihood.net_counts import Difference
from calibration.noise.families import registry
from calibration.noise.families.base import CountFamily, LogMass, count_interval, log_sum
from calibration.noise.families.counts import NB1, NB2, Poisson
from calibration.noise.families.measurements import Lognormal, Normal, StudentT
from calibration.noise.families.splits import Binomial, DirichletMultinomial, Multinomial
from cipark_sd.base.arrays import Array


def difference_of_counts(
    value: Array, gains: LogMass, losses: Array, recurrence: tuple[Array, Array] | None = None
) -> Array:
    """Log probability that gains less losses make ``value``."""
    difference = Difference(np.asarray(value))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        first = None if recurrence is None else gains(difference.gained)
        return difference.log_mass(gains, np.asarray(losses, dtype=float), recurrence, first)


MEANS = np.array([0.05, 0.7, 3.0, 12.5, 80.0])
COUNTS = np.array([0.0, 1.0, 2.0, 11.0, 60.0])[:, None]
NO_SPREAD = np.array(np.nan)


def poisson(value: Array, mean: Array) -> Array:
    return Poisson().log_density(value, mean, NO_SPREAD)


def test_normal_equals_scipy() -> None:
    got = Normal().log_density(COUNTS, MEANS, np.array(1.7))
    np.testing.assert_allclose(got, stats.norm.logpdf(COUNTS, MEANS, 1.7), rtol=1e-12)


def test_lognormal_equals_scipy() -> None:
    got = Lognormal().log_density(COUNTS + 0.5, MEANS, np.array(0.6))
    np.testing.assert_allclose(got, stats.lognorm.logpdf(COUNTS + 0.5, 0.6, scale=MEANS), rtol=1e-12)


def test_student_t_equals_scipy() -> None:
    got = StudentT(dof=3.5).log_density(COUNTS, MEANS, np.array(2.0))
    np.testing.assert_allclose(got, stats.t.logpdf(COUNTS, 3.5, MEANS, 2.0), rtol=1e-12)


def test_poisson_equals_scipy() -> None:
    np.testing.assert_allclose(poisson(COUNTS, MEANS), stats.poisson.logpmf(COUNTS, MEANS), rtol=1e-12)


def test_poisson_with_mean_zero_allows_only_zero() -> None:
    assert poisson(np.array([0.0, 1.0]), np.array(0.0)).tolist() == [0.0, -np.inf]


def test_a_negative_mean_is_impossible_and_not_floored() -> None:
    for family in (poisson, lambda y, m: NB1().log_density(y, m, np.array(1.0))):
        assert np.isneginf(family(np.array([0.0, 3.0]), np.array(-0.5))).all()


@pytest.mark.parametrize("alpha", [0.01, 1.0, 8.0])
def test_nb1_equals_scipy(alpha: float) -> None:
    expected = stats.nbinom.logpmf(COUNTS, MEANS / alpha, 1 / (1 + alpha))
    np.testing.assert_allclose(NB1().log_density(COUNTS, MEANS, np.array(alpha)), expected, rtol=1e-9)


@pytest.mark.parametrize("alpha", [0.01, 1.0, 8.0])
def test_nb2_equals_scipy(alpha: float) -> None:
    expected = stats.nbinom.logpmf(COUNTS, 1 / alpha, 1 / (1 + alpha * MEANS))
    np.testing.assert_allclose(NB2().log_density(COUNTS, MEANS, np.array(alpha)), expected, rtol=1e-9)


def test_nb1_of_two_windows_adds_up_to_nb1_of_both() -> None:
    alpha, total = np.array(2.0), 6
    parts = np.arange(total + 1.0)
    pieces = NB1().log_density(parts, np.array(1.3), alpha) + NB1().log_density(total - parts, np.array(2.2), alpha)
    whole = NB1().log_density(np.array(float(total)), np.array(3.5), alpha)
    assert np.logaddexp.reduce(pieces) == pytest.approx(float(whole), rel=1e-12)


def test_binomial_equals_scipy() -> None:
    p = np.array([0.0, 0.2, 0.9, 1.0])
    got = Binomial().log_density(np.array(3.0), np.array(10.0), p)
    np.testing.assert_allclose(got, stats.binom.logpmf(3, 10, p), rtol=1e-12)


def test_multinomial_equals_scipy_whatever_the_scale_of_the_expected() -> None:
    counts, expected = np.array([3.0, 0.0, 5.0]), np.array([[1.0, 0.0, 2.0], [0.3, 0.3, 0.4]])
    shares = expected / expected.sum(axis=1, keepdims=True)
    got = Multinomial().log_density(counts, 17 * expected, NO_SPREAD)
    np.testing.assert_allclose(got, [stats.multinomial.logpmf(counts, 8, p) for p in shares], rtol=1e-12)


def test_dirichlet_multinomial_equals_scipy() -> None:
    counts, expected = np.array([3.0, 1.0, 5.0]), np.array([1.0, 2.0, 3.0])
    got = DirichletMultinomial().log_density(counts, expected, np.array(7.0))
    assert float(got) == pytest.approx(stats.dirichlet_multinomial.logpmf([3, 1, 5], 7 * expected / 6, 9), rel=1e-12)


def test_dirichlet_multinomial_becomes_the_multinomial() -> None:
    counts, expected = np.array([3.0, 1.0, 5.0]), np.array([1.0, 2.0, 3.0])
    got = DirichletMultinomial().log_density(counts, expected, np.array(1e6))
    assert float(got) == pytest.approx(float(Multinomial().log_density(counts, expected, NO_SPREAD)), abs=1e-4)


def _interval(lower: float, upper: float, mean: float) -> float:
    means = np.array([mean])
    return float(count_interval(lambda k: poisson(k, means), lower, upper, means, means**0.5)[0])


def test_an_interval_is_a_difference_of_distribution_functions() -> None:
    expected = np.log(stats.poisson.cdf(7, 4.2) - stats.poisson.cdf(4, 4.2))
    assert _interval(5, 7, 4.2) == pytest.approx(expected, rel=1e-12)


def test_an_interval_far_in_a_tail_keeps_its_digits() -> None:
    expected = np.logaddexp(stats.poisson.logpmf(900, 0.5), stats.poisson.logpmf(901, 0.5))
    assert _interval(900, 901, 0.5) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("mean", [0.001, 0.8, 8.0, 300.0])
def test_at_least_is_the_survival_function(mean: float) -> None:
    assert _interval(8, np.inf, mean) == pytest.approx(stats.poisson.logsf(7, mean), rel=1e-9, abs=1e-100)


def test_a_normal_interval_keeps_its_digits_in_both_tails() -> None:
    left = Normal().log_interval(-41.0, -40.0, np.array(0.0), np.array(1.0))
    right = Normal().log_interval(40.0, 41.0, np.array(0.0), np.array(1.0))
    assert float(left) == pytest.approx(stats.norm.logcdf(-40), rel=1e-9)
    assert float(right) == pytest.approx(float(left), rel=1e-12)


@pytest.mark.parametrize("value", [-3.0, 0.0, 4.0])
def test_a_difference_of_poisson_counts_is_skellam(value: float) -> None:
    gains, losses = np.array([2.5, 6.0]), np.array([0.4, 3.0])
    got = difference_of_counts(np.array(value), lambda k: poisson(k, gains), losses)
    np.testing.assert_allclose(got, stats.skellam.logpmf(value, gains, losses), rtol=1e-9)


@pytest.mark.parametrize("value", [-3.0, 0.0, 4.0, 180.0])
@pytest.mark.parametrize("family", [family for family in registry.NUMBERS if isinstance(family, CountFamily)], ids=repr)
def test_a_difference_by_recurrence_is_the_sum_over_all_losses(family: CountFamily, value: float) -> None:
    gains, spread = np.array([2.5, 6.0, 0.0, 190.0, 2500.0]), np.array(0.7)
    losses = np.array([0.4, 3.0, 1.0, 12.0, 1800.0])

    def mass(count: Array) -> Array:
        return family.log_density(count, gains, spread)

    summed = difference_of_counts(np.array(value), mass, losses)
    found = difference_of_counts(np.array(value), mass, losses, family.recurrence(gains, spread))
    np.testing.assert_allclose(found, summed, rtol=1e-11)
    assert np.isfinite(found[[0, 1, 3, 4]]).all()


def test_a_log_sum_is_that_of_scipy_bit_for_bit() -> None:
    logs = np.random.default_rng(1).normal(scale=30, size=(9, 400))
    logs[3, :50], logs[:, 60], logs[2, 70], logs[:2, 80] = -np.inf, -np.inf, np.nan, 99.0
    np.testing.assert_array_equal(log_sum(logs), special.logsumexp(logs, axis=0))


def test_without_losses_a_difference_is_the_gains() -> None:
    mean, alpha = np.array([2.5, 6.0]), np.array(3.0)
    got = difference_of_counts(np.array(4.0), lambda k: NB1().log_density(k, mean, alpha), np.zeros(2))
    np.testing.assert_allclose(got, NB1().log_density(np.array(4.0), mean, alpha), rtol=1e-12)


@pytest.mark.parametrize(
    ("lower", "upper"), [(1, np.inf), (3, np.inf), (-2, np.inf), (-np.inf, 0), (-3, 2), (-np.inf, np.inf)]
)
@pytest.mark.parametrize("net", [0.0, -1.0, 4.0])
def test_an_interval_of_gains_less_losses_counts_negative_numbers(lower: float, upper: float, net: float) -> None:
    gained, lost = np.array([5.0 + max(net, 0)]), np.array([5.0 + max(-net, 0)])
    exact = stats.skellam(gained, lost)
    found = count_interval(
        lambda k: difference_of_counts(k, lambda n: poisson(n, gained), lost),
        lower,
        upper,
        gained - lost,
        np.sqrt(gained + lost),
        least=-np.inf,
    )
    below = exact.cdf(lower - 1) if np.isfinite(lower) else 0.0
    assert np.exp(found) == pytest.approx(exact.cdf(upper) - below, abs=1e-9)


def test_no_count_lies_below_nothing() -> None:
    assert _interval(-np.inf, 7, 4.2) == pytest.approx(stats.poisson.logcdf(7, 4.2), rel=1e-12)
    assert _interval(-5, -1, 4.2) == -np.inf
