"""Shapley effects of given draws against closed forms: ridges, bananas, modes, constants that do nothing."""

from itertools import permutations

import numpy as np
import pytest
from scipy.special import ndtr

from cipark_sd.analysis.sensitivities.given_data import explained, fewest

#: What a thousand draws are known to give: three of the standard errors that are claimed, which are 0.02 at most.
CLOSE = 0.045


def gaussian_shapley(beta, correlation):
    """Exact effects of a linear function of correlated standard normals, by all orders (Owen and Prieur 2017)."""
    k = len(beta)

    def share(kept):
        c = correlation[kept] @ beta
        return c @ np.linalg.solve(correlation[np.ix_(kept, kept)], c) if kept else 0.0

    orders, effects = list(permutations(range(k))), np.zeros(k)
    for order in orders:
        for place, constant in enumerate(order):
            effects[constant] += share(list(order[: place + 1])) - share(list(order[:place]))
    return effects / len(orders) / (beta @ correlation @ beta)


def found(draws, output, seed=0):
    return explained(draws, np.asarray(output)[:, None], np.random.default_rng(seed))


RIDGES = [
    (np.array([1.0, 1.0]), np.array([[1, -0.999], [-0.999, 1]])),
    (np.array([1.0, 1.0, 1.0]), np.array([[1, 0, 0], [0, 1, 0.9], [0, 0.9, 1]])),
    (
        np.array([1.0, -2.0, 0.5, 0.1]),
        np.array([[1, 0.5, 0.2, 0], [0.5, 1, -0.3, 0.6], [0.2, -0.3, 1, 0], [0, 0.6, 0, 1]]),
    ),
    (np.arange(1.0, 7.0), np.full((6, 6), 0.4) + 0.6 * np.eye(6)),
]


@pytest.mark.parametrize(("beta", "correlation"), RIDGES)
def test_effects_on_a_gaussian_ridge_are_those_of_the_closed_form(beta, correlation):
    draws = np.random.default_rng(1).multivariate_normal(np.zeros(len(beta)), correlation, 1000)
    shares = found(draws, draws @ beta)
    np.testing.assert_allclose(shares.effects[:, 0], gaussian_shapley(beta, correlation), atol=CLOSE)
    assert shares.whole[0] == pytest.approx(1, abs=1e-3)


def test_more_constants_than_all_sets_are_visited_of_keep_the_closed_form():
    """Of eight independent ones an effect is its part of the variance; the two of a pair share what they have."""
    correlation = np.eye(8)
    correlation[0, 1] = correlation[1, 0] = 0.8
    draws = np.random.default_rng(1).multivariate_normal(np.zeros(8), correlation, 2000)
    beta = np.array([1.0, 1, 1, 0, 0, 0, 0, 2])
    variance = beta @ correlation @ beta
    exact = np.array([1.8, 1.8, 1, 0, 0, 0, 0, 4]) / variance
    np.testing.assert_allclose(found(draws, draws @ beta).effects[:, 0], exact, atol=CLOSE)


def test_a_ridge_that_bends_back_leaves_a_constant_without_a_share_of_its_own():
    """``rate = b + (a - 5)^2`` is what the data know: b alone says little of it, a nothing, both all."""
    rng, sd = np.random.default_rng(3), 0.1
    u = rng.standard_normal(2000)
    a, noise = 5 + 1.5 * u, sd * rng.standard_normal(2000)
    b = 6 - (a - 5) ** 2 + noise
    # E[noise | b] by quadrature over u, at each b of a fine grid
    at, grid = np.linspace(-40, 7, 4001), np.linspace(0, 5.5, 4001)
    residual = at[:, None] - 6 + 2.25 * grid**2
    weights = np.exp(-0.5 * (residual / sd) ** 2 - 0.5 * grid**2)
    mass = weights.sum(axis=1)
    mean = (weights * residual).sum(axis=1) / np.maximum(mass, 1e-300)
    of_b = (mass / mass.sum()) @ mean**2 / sd**2
    shares = found(np.stack([a, b], axis=1), b + (a - 5) ** 2)
    np.testing.assert_allclose(shares.alone[:, 0], [0, of_b], atol=CLOSE)
    np.testing.assert_allclose(shares.effects[:, 0], [(1 - of_b) / 2, (1 + of_b) / 2], atol=0.02)


def test_a_banana_shares_the_output_that_both_of_its_constants_have():
    rng = np.random.default_rng(3)
    x = rng.standard_normal(1000)
    other = x**2 + 0.3 * rng.standard_normal(1000)
    of_x = 2 / 2.09
    np.testing.assert_allclose(
        found(np.stack([x, other], axis=1), other).effects[:, 0], [of_x / 2, 1 - of_x / 2], atol=0.01
    )


def test_two_modes_share_what_tells_them_apart():
    """Given one constant the mode is known, so that knowing it explains all but the scatter of the other within it."""
    rng = np.random.default_rng(3)
    side = rng.choice([-3.0, 3.0], 1000, p=[0.67, 0.33])
    one, other = side + 0.5 * rng.standard_normal((2, 1000))
    shares = found(np.stack([one, other], axis=1), one + 2 * other)
    spread, scatter = 9 * 4 * 0.67 * 0.33, 0.25
    variance = 9 * spread + 5 * scatter
    alone = np.array([1 - 4 * scatter / variance, 1 - scatter / variance])
    np.testing.assert_allclose(shares.alone[:, 0], alone, atol=0.01)
    np.testing.assert_allclose(shares.effects[:, 0], (alone + 1 - alone[::-1]) / 2, atol=0.01)


def test_many_constants_that_do_nothing_have_no_share_and_pairs_are_found():
    draws = np.random.default_rng(1).standard_normal((2000, 40))
    shares = found(draws, draws[:, 0] + draws[:, 1] * draws[:, 2] + draws[:, 3] ** 2)
    exact = np.r_[0.25, 0.125, 0.125, 0.5, np.zeros(36)]
    np.testing.assert_allclose(shares.effects[:, 0], exact, atol=0.05)
    assert np.abs(shares.effects[4:, 0]).max() < 0.01


@pytest.mark.parametrize("case", [1, 2])
def test_the_error_that_is_claimed_is_the_error_that_is_made(case):
    """The claimed 95% hold the closed form in 95% of 60 sets of draws, to within the chance of 60."""
    beta, correlation = RIDGES[case]
    exact, rng = gaussian_shapley(beta, correlation), np.random.default_rng(7)
    inside = []
    for _ in range(60):
        draws = rng.multivariate_normal(np.zeros(len(beta)), correlation, 500)
        shares = found(draws, draws @ beta)
        inside.append(np.abs(shares.effects[:, 0] - exact) <= 1.96 * shares.error[:, 0])
    assert 0.89 <= np.mean(inside) <= 0.99


def test_draws_that_stand_for_several_are_no_neighbours_of_themselves():
    """Noise of which each value is written five times: nobody can foretell it."""
    rng = np.random.default_rng(1)
    draws, noise = rng.standard_normal((200, 3)), rng.standard_normal(200)
    shares = found(np.repeat(draws, 5, axis=0), np.repeat(noise, 5))
    once = found(draws, noise)
    np.testing.assert_allclose(shares.effects, once.effects, atol=1e-9)
    np.testing.assert_allclose(shares.error, once.error, atol=1e-9)
    assert abs(shares.whole[0]) < 0.15


def test_what_the_regressors_cannot_follow_shows_in_the_whole_and_beside_its_constant():
    draws = np.random.default_rng(1).random((2000, 2))
    shares = found(draws, np.sin(60 * draws[:, 0]) + 0.2 * draws[:, 1])
    assert shares.whole[0] < 0.3
    assert shares.neighbours[0, 0] > 0.9


def test_a_step_is_seen_by_neighbours():
    draws = np.random.default_rng(1).random((2000, 2))
    shares = found(draws, 1.0 * (ndtr(draws[:, 0]) > ndtr(0.5)))
    assert shares.neighbours[0, 0] > shares.alone[0, 0] + 0.05


def test_too_few_draws_are_refused():
    draws = np.random.default_rng(1).standard_normal((fewest(30) - 1, 30))
    with pytest.raises(ValueError, match="299 different draws of 30 constants are too few"):
        found(draws, draws[:, 0])
