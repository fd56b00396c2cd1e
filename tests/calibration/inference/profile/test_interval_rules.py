"""How far a profile may rise where each series has a spread of its own: in linear models, whose answers are known."""

import numpy as np
import pytest
from scipy import stats

from calibration.inference.profile.interval_rules import IntervalRules, Threshold, bias_of, threshold_words
from cipark_sd.base.arrays import Array


def rules(slopes: Array, spreads: list[str], priors: Array | None = None, taken: int = 0) -> IntervalRules:
    """Of parameters a, b, ... whose rows have the spreads named; "" is known."""
    names = tuple("abcdefghijklmnopqrs"[: slopes.shape[1]])
    priors = np.zeros(len(names)) if priors is None else priors
    numbers = {spread: float(spreads.count(spread)) for spread in dict.fromkeys(spreads) if spread}
    return IntervalRules(0.95, names, slopes, priors, tuple(spreads), bias_of(slopes, priors, spreads, numbers, taken))


def apart(rng: np.random.Generator, *sizes: tuple[int, int]) -> Array:
    """Slopes of series that share no parameter: numbers and parameters of each."""
    slopes, row, column = np.zeros((sum(n for n, _ in sizes), sum(k for _, k in sizes))), 0, 0
    for n, k in sizes:
        slopes[row : row + n, column : column + k] = rng.standard_normal((n, k))
        row, column = row + n, column + k
    return slopes


def test_series_that_share_no_parameter_have_each_their_own_degrees_of_freedom() -> None:
    made = rules(apart(np.random.default_rng(1), (6, 2), (20, 5)), ["few"] * 6 + ["many"] * 20)
    for name, n, dof in (("a", 6, 4), ("b", 6, 4), ("c", 20, 15), ("g", 20, 15)):
        assert (made.of(name).n, made.of(name).dof) == pytest.approx((n, dof), rel=1e-9)
    assert made.of("few") == Threshold(0.95)
    # pooled it would be F(1, 19) for all
    assert made.of("a").rise > Threshold(0.95, 26, 19).rise * 1.15


def test_a_known_noise_and_a_prior_take_their_share() -> None:
    """A mean of four numbers of known noise and four of a spread of their own, the latter 3 of them left."""
    slopes = np.ones((8, 1))
    made = rules(slopes, [""] * 4 + ["spread"] * 4).of("a")
    assert Threshold(0.95).rise < made.rise < rules(slopes[4:], ["spread"] * 4).of("a").rise
    # a parameter that its prior holds takes no number from the noise
    assert rules(slopes[4:], ["spread"] * 4, np.array([1e12])).bias["spread"] == pytest.approx((4, 1))


def test_as_many_parameters_as_numbers_leave_no_interval() -> None:
    made = rules(apart(np.random.default_rng(2), (2, 2)), ["spread"] * 2)
    assert made.of("a").rise == np.inf
    assert rules(apart(np.random.default_rng(2), (3, 2)), ["spread"] * 3, taken=1).of("a").rise == np.inf
    assert rules(apart(np.random.default_rng(2), (4, 2)), ["spread"] * 4, taken=1).of("a").dof == pytest.approx(1)


def test_a_prediction_has_the_rule_of_what_it_asks() -> None:
    made = rules(apart(np.random.default_rng(3), (6, 2), (20, 5)), ["few"] * 6 + ["many"] * 20)
    few, both = made.of_gradient(np.array([1.0, 2.0, 0, 0, 0, 0, 0])), made.of_gradient(np.ones(7))
    assert few.dof == pytest.approx(4)
    assert 4 < both.dof < 19
    assert made.of_gradient(np.zeros(7)).rise < np.inf


def test_intervals_of_three_series_with_shared_parameters_hold_at_the_nominal_rate() -> None:
    """Each series has 12 numbers, five parameters of its own and four that it shares; pooled intervals hold 91%."""
    rng, group = np.random.default_rng(4), np.repeat([0, 1, 2], 12)
    spreads = [f"s{g}" for g in group]

    def height(design: Array, seen: Array, sd: Array) -> tuple[float, Array]:
        """Minus the log likelihood at its best, and the spreads there."""
        for _ in range(500):
            weights = 1 / sd[group]
            best = np.linalg.lstsq(design * weights[:, None], seen * weights, rcond=None)[0]
            before, sd = sd, np.sqrt([np.mean((seen - design @ best)[group == g] ** 2) for g in range(3)])
            if np.allclose(sd, before, rtol=1e-9):
                break
        return float(12 * np.log(sd).sum()), sd

    held, pooled, n = 0, 0, 0
    for _ in range(40):
        design = np.hstack([apart(rng, (12, 5), (12, 5), (12, 5)), rng.standard_normal((36, 4))])
        seen = rng.standard_normal(36) * np.array([1.0, 0.3, 0.1])[group]
        top, sd = height(design, seen, np.array([1.0, 0.3, 0.1]))
        made = rules(design / sd[group][:, None], spreads)
        for k, name in enumerate(made.names):
            rise = height(np.delete(design, k, axis=1), seen, sd)[0] - top
            held, n = held + (rise <= made.of(name).rise), n + 1
            pooled += rise <= Threshold(0.95, 36, 17).rise
    # parameters of one set go together: 40 sets, not 760 numbers
    assert held / n == pytest.approx(0.95, abs=0.025)
    assert pooled / n < 0.925


def test_several_rules_are_told_by_their_ends() -> None:
    low, high = Threshold(0.95, 20, 15), Threshold(0.95, 6, 4)
    assert threshold_words([low, low]) == low.words
    assert threshold_words([high, low]).startswith(f"falls of the log density by {low.rise:.3g} to {high.rise:.3g}, ")
    assert f"where chi-square(1) has {stats.chi2.ppf(0.95, 1) / 2:.4g}" in threshold_words([high, low])
    assert Threshold(0.95, 6.2, 4.1).words.endswith(
        "by F(1, 4.1), since the spread of the noise is estimated from few numbers"
    )
