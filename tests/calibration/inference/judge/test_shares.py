"""Shares of what is known of a parameter: closed forms of a normal model with two parameters."""

import numpy as np
import pytest

from calibration.inference.judge.identifiability import NAMED_WITHOUT, Shares


def both(sum_of_squares: float, apart: float, prior: float) -> Shares:
    """Data on the sum of ``a`` and ``b`` and on ``a`` alone, and a prior of ``b``."""
    rows = np.array([[np.sqrt(sum_of_squares), np.sqrt(sum_of_squares)], [np.sqrt(apart), 0.0]])
    return Shares(("a", "b"), rows, np.array([0.0, prior]))


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("least", [NAMED_WITHOUT - 0.01, NAMED_WITHOUT + 0.01])
def test_a_prior_is_named_without_which_a_quarter_would_be_unknown(scale: float, least: float) -> None:
    """Without the prior the sum says nothing of ``a``; with it the information is s p / (s + p)."""
    sum_alone = scale * 1 * 3 / (1 + 3)
    apart = sum_alone * least / (1 - least)
    assert both(scale, apart, 3 * scale).leaning_on("a") == (("b",) if least < NAMED_WITHOUT else ())


def test_what_neither_data_nor_priors_know_has_no_share() -> None:
    nothing = Shares(("a", "b"), np.array([[0.0, 1.0]]), np.array([0.0, 1.0]))
    assert nothing.of_data("a") == 0.0
    assert nothing.of_own_prior("a") == 0.0
    assert nothing.leaning_on("a") == ()


def test_a_prior_that_does_not_count_has_no_share() -> None:
    assert both(1.0, 1.0, 2.0).of_own_prior("a") == 0.0
    # of b the data know s a / (s + a) = 1/2 where a is known from the second row
    assert both(1.0, 1.0, 2.0).of_own_prior("b") == pytest.approx(2 / 2.5)
