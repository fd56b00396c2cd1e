"""Chains on their way from tops to where a posterior is heavy: draws anew by weights, and a posterior of two hills."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from calibration.inference.sample import sloped_scores, warming
from calibration.inference.sample.hamiltonian import ACCEPTED
from calibration.inference.sample.warming import WINDOW, Summit, Warming, anew, warmed
from cipark_sd.base.arrays import Array


def test_chains_are_drawn_as_often_as_their_weights_say_and_groups_never_meet() -> None:
    rng = np.random.default_rng(2)
    weights = rng.dirichlet(np.ones(8), size=3)
    counts = np.mean([np.bincount(anew(np.log(weights) + 700, rng), minlength=24) for _ in range(4000)], axis=0)
    assert counts.reshape(3, 8) == pytest.approx(8 * weights, abs=0.05)
    once = np.bincount(anew(np.log(weights), rng), minlength=24).reshape(3, 8)
    assert (once.sum(axis=1) == 8).all()
    assert (np.abs(once - 8 * weights) < 1).all()


def test_a_chain_that_is_impossible_is_not_drawn() -> None:
    places = anew(np.array([[-np.inf, 0.0, -np.inf, 0.0]]), np.random.default_rng(1))
    assert sorted(places) == [1, 1, 3, 3]


class _Space:
    """Two standard normal parameters, which are their own scores."""

    names = ("a", "b")

    def __len__(self) -> int:
        return 2

    def log_priors(self, theta: Array) -> Array:
        return -0.5 * theta**2 - 0.5 * np.log(2 * np.pi)


def _hills(monkeypatch: pytest.MonkeyPatch, far: float) -> Any:
    """Scores whose likelihood has two normal hills in the first of two parameters, the second one thrice as heavy."""

    def likelihood(points: Array) -> tuple[Array, Array]:
        logs = np.log([0.25, 0.75]) - 0.5 * ((points[:, :1] - [-far, far]) / 0.3) ** 2
        total = np.logaddexp(*logs.T)
        slope = (np.exp(logs - total[:, None]) * ([-far, far] - points[:, :1])).sum(axis=1) / 0.3**2
        return total, np.column_stack([slope, np.zeros(len(points))])

    return _scores(monkeypatch, likelihood)


def _scores(monkeypatch: pytest.MonkeyPatch, likelihood: Callable[[Array], tuple[Array, Array]]) -> Any:
    scores = SimpleNamespace(
        theta=lambda points: points,
        log_prior=lambda points: -0.5 * (points**2).sum(axis=-1),
        log_likelihood=lambda points: likelihood(points)[0],
        density=None,
        space=_Space(),
    )
    monkeypatch.setattr(sloped_scores, "log_likelihood_and_gradient", lambda _, theta: likelihood(theta))
    return scores


def test_a_likelihood_that_jumps_is_warmed_with_longer_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer moves are accepted then; of a smooth one as many as ever."""

    def jumping(points: Array) -> tuple[Array, Array]:
        return -height * (np.floor(points * 4).sum(axis=1) % 2), np.zeros_like(points)

    scores, top = _scores(monkeypatch, jumping), Summit(np.zeros(2), 0.0, np.eye(2))
    accepted = {}
    for height in (0.0, 2.5):
        warming = Warming(scores, [[top]] * 2, np.random.default_rng(1))
        warming.rise()
        warming.window(WINDOW)
        accepted[height] = warming.accepted
    assert accepted[0.0] == ACCEPTED
    assert 0.6 < accepted[2.5] < 0.85


def test_hills_between_which_no_chain_goes_get_chains_by_their_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    """All chains begin on the lighter hill."""
    monkeypatch.setattr(warming, "WARM", 0.02)

    scores = _hills(monkeypatch, 1.5)
    top = Summit(np.array([-1.5, 0.0]), 0.0, np.diag([0.3, 1.0]))
    shares = []
    for seed in range(2):
        warm, chains = warmed(scores, [[top]] * 4, np.random.default_rng(seed))
        at = warm.target.scores_of(chains.stand[0])
        shares.append(np.mean(at[:, 0] > 0))
        assert warm.target.power == 1.0
        assert np.abs(np.abs(at[:, 0]).mean() - 1.5) < 0.3
    # the two hills are alike but for their weight
    assert np.mean(shares) == pytest.approx(0.75, abs=0.1)
