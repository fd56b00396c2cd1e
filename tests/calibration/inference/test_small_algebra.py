"""Linear algebra without a library's order of sums, against LAPACK and SciPy."""

import numpy as np
import pytest
from scipy import linalg, optimize

from calibration.inference.search.objective import on_grid
from calibration.inference.search.tuning import SEARCH
from calibration.inference.small_algebra import (
    backward,
    factor,
    forward,
    least_within,
    principal_axes,
    singular_directions,
    solved_rows,
    two_loops,
)
from cipark_sd.base.arrays import Array

SIZES = (1, 2, 3, 8, 15)


def ill_conditioned(n: int) -> Array:
    """A square matrix with singular values from 1 to 1e-6."""
    rng = np.random.default_rng(n)
    left, right = (np.linalg.qr(rng.standard_normal((n, n)))[0] for _ in range(2))
    return np.asarray((left * np.logspace(0, -6, n)) @ right)


@pytest.mark.parametrize("n", SIZES)
def test_axes_and_singular_directions_are_those_of_lapack(n: int) -> None:
    matrix = ill_conditioned(n)
    values, vectors = principal_axes(matrix + matrix.T)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(matrix + matrix.T), atol=1e-14)
    np.testing.assert_allclose((vectors * values) @ vectors.T, matrix + matrix.T, atol=1e-14)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(n), atol=1e-13)
    directions, moved = singular_directions(matrix)
    np.testing.assert_allclose(moved, matrix @ directions, atol=1e-15)
    lengths = np.sort(np.linalg.norm(moved, axis=0))[::-1]
    np.testing.assert_allclose(lengths, np.linalg.svd(matrix, compute_uv=False), rtol=1e-8)


@pytest.mark.parametrize("many", [0, 1, 5])
def test_two_loops_are_scipys_inverse_hessian(many: int) -> None:
    rng = np.random.default_rng(many)
    moves, slopes = rng.standard_normal((many, 3, 7)), rng.standard_normal((3, 7))
    turns = moves * rng.uniform(0.2, 3.0, (many, 3, 7))
    changes = [(move, turn, 1 / (move * turn).sum(axis=-1)) for move, turn in zip(moves, turns, strict=True)]
    found = two_loops(slopes, changes[::-1], lambda step: step)
    for row in range(3):
        judge = optimize.LbfgsInvHessProduct(moves[:, row], turns[:, row])
        np.testing.assert_allclose(found[row], judge.matvec(slopes[row]) if many else slopes[row], rtol=1e-12)
    # a change of which nothing is known is left out
    np.testing.assert_array_equal(two_loops(slopes, [(0 * slopes, 0 * slopes, np.zeros(3))], lambda step: step), slopes)


@pytest.mark.parametrize("n", SIZES)
def test_factors_solve_as_those_of_scipy(n: int) -> None:
    matrix, right = ill_conditioned(n), np.random.default_rng(1).standard_normal((n, 2))
    positive = matrix @ matrix.T + np.eye(n)
    lower = factor(positive, 1e-10)
    np.testing.assert_allclose(lower, linalg.cholesky(positive, lower=True), atol=1e-14)
    np.testing.assert_allclose(forward(lower, right), linalg.solve_triangular(lower, right, lower=True), atol=1e-13)
    np.testing.assert_allclose(backward(lower, forward(lower, right)), np.linalg.solve(positive, right), atol=1e-13)


def test_what_is_not_positive_is_lifted() -> None:
    assert np.isfinite(factor(np.array([[1.0, 2.0], [2.0, 1.0]]), 1e-10)).all()
    assert factor(np.diag([1.0, -1.0]), 1e-10)[1, 1] == pytest.approx(1e-5)
    # one pivot that is lifted after the other: entries do not grow from each to the next
    indefinite = np.full((20, 20), 2.0) - np.eye(20)
    assert np.abs(factor(indefinite, 1e-10)).max() < 20


def test_a_column_that_others_make_up_for_is_left_out() -> None:
    rows = np.random.default_rng(1).standard_normal((6, 3))
    rows[:, 2] = rows[:, 0] - 2 * rows[:, 1]
    right = np.random.default_rng(2).standard_normal(6)
    found = solved_rows(rows, right)
    assert found[2] == 0
    np.testing.assert_allclose(found[:2], np.linalg.lstsq(rows[:, :2], right, rcond=None)[0], atol=1e-13)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("seed", range(6))
def test_steps_within_bounds_are_those_of_bounded_least_squares(n: int, seed: int) -> None:
    """Some start on a bound, and some bounds hold first and have to be left again."""
    rng = np.random.default_rng(seed)
    rows, target = rng.standard_normal((2 * n, n)), rng.standard_normal(2 * n)
    low, high = -0.3 * rng.random(n), 0.3 * rng.random(n)
    low[0] = 0.0
    expected = optimize.lsq_linear(rows, target, bounds=(low - 1e-300, high + 1e-300), method="bvls", tol=1e-14).x
    np.testing.assert_allclose(least_within(rows, target, low, high), expected, atol=1e-12)


def test_points_of_searches_lie_on_a_grid_that_suits_a_steep_valley() -> None:
    points, steps = np.random.default_rng(1).random((5, 2)), np.array([1e-4, 1e-9])
    rounded = on_grid(points, steps)
    assert (rounded[:, 0] % SEARCH.grid == 0).all()
    assert (np.abs(rounded - points).max(axis=0) <= [SEARCH.grid / 2, 1e-9 / 2**12]).all()
    # what another processor has in the last bits is the same point
    assert on_grid(rounded + np.array([1e-13, -1e-14]), steps).tobytes() == rounded.tobytes()
    assert on_grid(np.array([-0.1, 1.1]), steps).tolist() == [0.0, 1.0]
