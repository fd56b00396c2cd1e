"""A count in a window in which the model falls is improbable and never impossible; elsewhere nothing changes."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from small_study import small_study

from calibration.likelihood.net_counts import BACKGROUND, NetCount, Rise
from calibration.likelihood.posterior import posterior
from calibration.noise.families.base import CountFamily
from calibration.noise.families.counts import NB1, NB2, Poisson
from cipark_sd.engines.registry import choose

SPREAD = np.array(0.7)


@pytest.mark.parametrize("family", [Poisson(), NB1(), NB2()])
def test_a_rise_has_the_bits_of_its_family(family: CountFamily) -> None:
    values, means = np.arange(6.0)[:, None], np.array([0.0, 1e-7, 0.3, 2.0, 40.0])
    known = family.log_density(values, means, SPREAD)
    assert np.array_equal(Rise(family).log_density(values, means, SPREAD), known)
    with np.errstate(divide="ignore", invalid="ignore"):
        assert np.array_equal(Rise(family).density_of(values)(means, SPREAD), known)
    assert Rise(family).log_density(np.array(1.0), np.array(0.0), SPREAD) == -np.inf


@pytest.mark.parametrize("family", [Poisson(), NB1(), NB2()])
def test_a_fall_is_the_first_term_of_a_net_count_with_next_to_no_gains(family: CountFamily) -> None:
    values, falls = np.arange(5.0)[:, None], np.array([-0.09, -2.0, -30.0])
    net = NetCount(family, np.full(3, BACKGROUND)).log_density(values, falls, SPREAD)
    rise = Rise(family).log_density(values, falls, SPREAD)
    assert (rise <= net + 1e-9).all()
    assert np.allclose(rise[:, 0], net[:, 0], rtol=0, atol=0.1)
    assert np.allclose(rise[0, :2], net[0, :2], rtol=0, atol=1e-5)


def test_nothing_counted_in_a_fall_is_as_likely_as_no_loss() -> None:
    density = Rise(Poisson()).log_density(np.array(0.0), np.array(-0.09), SPREAD)
    assert density == pytest.approx(stats.poisson(0.09).logpmf(0), abs=1e-5)


def test_a_fall_within_rounding_is_none() -> None:
    assert Rise(Poisson()).log_density(np.array(0.0), np.array(-1e-12), SPREAD) == 0.0


@pytest.mark.parametrize("family", [Poisson(), NB1(), NB2()])
def test_slopes_are_difference_quotients_and_lead_out_of_a_fall(family: CountFamily) -> None:
    rise, values, means = Rise(family), np.array([0.0, 3.0]), np.array([-4.0, -0.2])
    by_mean, by_spread = rise.slopes(values, means, SPREAD)
    h = 1e-5
    ahead, behind = (rise.log_density(values, means + step, SPREAD) for step in (h, -h))
    assert np.allclose(by_mean, (ahead - behind) / (2 * h), atol=1e-6)
    assert (by_mean > 0).all()
    ahead, behind = (rise.log_density(values, means, SPREAD + step) for step in (h, -h))
    assert np.allclose(by_spread, (ahead - behind) / (2 * h), atol=1e-5)


def test_increments_of_a_stock_that_falls_have_a_likelihood(tmp_path: Path) -> None:
    """The stock of the small study only falls: as increments of it, the counts are improbable."""
    small_study(tmp_path)
    path = tmp_path / "problem.toml"
    text = path.read_text(encoding="utf-8")
    assert 'variable = "left"' in text
    path.write_text(text.replace('variable = "left"', 'variable = "stock"'), encoding="utf-8")
    from calibration.study.problem import read_problem

    density = posterior(read_problem(tmp_path), choose("native"))
    value = density.log_likelihood(density.space.medians[None])[0]
    assert np.isfinite(value)
    assert value < -100
