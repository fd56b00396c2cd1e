"""Searches in step, the scale of a top, and where chains begin; judged by functions whose tops are known."""

from pathlib import Path

import numpy as np
import pytest
from small_study import small_study

from calibration.inference.sample.densities import NormalScores
from calibration.inference.sample.sloped_scores import SlopedScores
from calibration.inference.sample.warming import CHAINS, Summit, climbed, inverse_curvature, starts, summits
from calibration.inference.small_algebra import DIGITS
from calibration.likelihood.posterior import posterior
from cipark_sd.base.arrays import Array
from cipark_sd.engines.registry import choose


def rosenbrock(points: Array) -> tuple[Array, Array]:
    """Rosenbrock's valley turned over: its top is 0, at (1, 1)."""
    x, y = points.T
    slopes = np.column_stack([2 * (1 - x) + 400 * x * (y - x**2), -200 * (y - x**2)])
    return -((1 - x) ** 2) - 100 * (y - x**2) ** 2, slopes


def test_searches_find_the_top_of_a_curved_valley() -> None:
    start = np.array([[-1.2, 1.0], [2.0, -3.0], [0.0, 0.0]])
    ends, logs = climbed(rosenbrock, start)
    assert ends == pytest.approx(np.ones((3, 2)), abs=2e-4)
    assert logs == pytest.approx(0.0, abs=1e-7)


def test_a_search_does_not_depend_on_those_beside_it() -> None:
    start = np.array([[-1.2, 1.0], [2.0, -3.0]])
    together, alone = climbed(rosenbrock, start)[0], climbed(rosenbrock, start[:1])[0]
    assert together[0] == pytest.approx(alone[0], abs=1e-6)


def test_a_search_stops_below_a_cliff() -> None:
    def cliff(points: Array) -> tuple[Array, Array]:
        inside = points[:, 0] < 0.5
        return np.where(inside, points[:, 0], -np.inf), np.where(inside[:, None], 1.0, 0.0)

    ends, logs = climbed(cliff, np.array([[0.0], [-2.0]]))
    assert (ends < 0.5).all()
    assert logs == pytest.approx(0.5, abs=1e-6)


def test_a_summit_is_where_the_density_curves_as_it_says(tmp_path: Path) -> None:
    scores = NormalScores(posterior(small_study(tmp_path), choose("native")))
    found = summits(scores, 2, np.random.default_rng(1))
    assert len(found) == 2
    top = found[0][0]
    assert not top.far
    target = SlopedScores(scores, np.zeros(2), np.eye(2))
    height, slopes = target(top.place[None])
    assert height[0] == pytest.approx(top.height)
    assert slopes == pytest.approx(0.0, abs=1e-2)
    # second differences of the density itself, and not of the gradients that the scale was made of
    step = 1e-2
    for axis in top.factor.T:
        around = target(top.place + np.array([[-step], [0.0], [step]]) * axis)[0]
        assert (2 * around[1] - around[0] - around[2]) / step**2 == pytest.approx(1.0, rel=0.02)


def test_tops_far_out_and_distances() -> None:
    top = Summit(np.array([1.0, 2.0]), 0.0, np.diag([0.5, 2.0]))
    assert not top.far
    assert top.distances(np.array([2.0, 2.0])) == pytest.approx(2 / np.sqrt(2))
    assert Summit(np.array([1.0, -6.5]), 0.0, np.eye(2)).far
    cloud = top.around(4000, 0.7, np.random.default_rng(3))
    assert cloud.std(axis=0) == pytest.approx([0.35, 1.4], rel=0.05)


def test_the_scale_of_a_normal_balances_to_its_own(tmp_path: Path) -> None:
    """Draws and slopes of a normal say the same scale; in it both have unit covariance."""
    rng = np.random.default_rng(4)
    covariance = np.array([[1.0, 0.8], [0.8, 2.0]])
    precision = np.linalg.inv(covariance)

    class Normal(SlopedScores):
        def __call__(self, points: Array) -> tuple[Array, Array]:
            scores = self.scores_of(points)
            return -0.5 * np.einsum("ni,ij,nj->n", scores, precision, scores), -(scores @ precision) @ self.factor

    drawn = rng.multivariate_normal(np.zeros(2), covariance, size=4000)
    scores = NormalScores(posterior(small_study(tmp_path), choose("numpy")))
    factor = Normal(scores, np.zeros(2), np.eye(2)).balanced(drawn).factor
    assert factor @ factor.T == pytest.approx(covariance, rel=0.08)


def test_a_scale_that_rounding_makes_singular_stays_a_scale(tmp_path: Path) -> None:
    """One direction 1e9 times as steep as the other, and turned: an eigenvalue of 1 is rounding beside 1e18."""
    turned = np.array([[0.6, -0.8], [0.8, 0.6]])

    class Cliff(SlopedScores):
        def __call__(self, points: Array) -> tuple[Array, Array]:
            steep = points @ turned * [1e9, 1.0] @ turned.T
            return -0.5 * (points * steep).sum(axis=1), -steep

    drawn = np.random.default_rng(5).standard_normal((200, 2))
    scores = NormalScores(posterior(small_study(tmp_path), choose("numpy")))
    for turn in np.linspace(0, 3, 40):
        along = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        assert np.isfinite(Cliff(scores, np.zeros(2), np.eye(2)).balanced(drawn @ along).factor).all()


def test_a_kink_is_as_narrow_as_it_is_steep_and_a_valley_as_wide_as_the_prior() -> None:
    bends = np.array([-4.0, 400.0, -0.01])

    def kinked(points: Array) -> tuple[Array, Array]:
        return 0.5 * (bends * points**2).sum(axis=1), bends * points

    assert inverse_curvature(kinked, np.zeros(3)) == pytest.approx(np.diag([0.5, 0.05, 1.0]), rel=2**-DIGITS)


def test_chains_start_where_the_data_are_possible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wall round the top that leaves one in a thousand of the first starts tried."""
    scores = NormalScores(posterior(small_study(tmp_path), choose("numpy")))

    def walled(_: object, points: Array) -> Array:
        return np.where((np.abs(points) < 0.02).all(axis=1), 0.0, -np.inf)

    monkeypatch.setattr("calibration.inference.sample.warming.log_density", walled)
    top = Summit(np.zeros(2), 0.0, np.eye(2))
    begun = starts(scores, [top], np.random.default_rng(1))
    assert begun.shape == (CHAINS, 2)
    assert np.isfinite(walled(scores, begun)).all()
    assert len(np.unique(begun, axis=0)) == CHAINS


def test_groups_begin_at_known_tops_that_they_have_not_found(tmp_path: Path) -> None:
    scores = NormalScores(posterior(small_study(tmp_path), choose("native")))
    alone = summits(scores, 2, np.random.default_rng(1))
    top = alone[0][0]
    elsewhere = Summit(top.place + 5 * top.factor[:, 0], top.height - 1, top.factor)
    found = summits(scores, 2, np.random.default_rng(1), [elsewhere, top])
    # what a group found itself it has once
    assert [len(group) for group in found] == [len(group) + 1 for group in alone]
    assert all(any(other is elsewhere for other in group[1:]) for group in found)
    higher = Summit(elsewhere.place, top.height + 20, top.factor)
    assert [group == [higher] for group in summits(scores, 2, np.random.default_rng(1), [higher])] == [True, True]
