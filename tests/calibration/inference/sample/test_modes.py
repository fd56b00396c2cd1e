"""Modes that chains seldom leave are weighed by their evidence, whatever share of the chains began there."""

import numpy as np
import pytest
from scipy import stats

from calibration.inference.sample.convergence import CONVERGED
from calibration.inference.sample.modes import Modes, boxes, holds, settled, weighed
from cipark_sd.base.arrays import Array

#: Two normals in two dimensions: place, deviation and weight.
PLACES, SDS, WEIGHTS = np.array([[-3.0, 0.0], [3.0, 1.0]]), (0.3, 0.6), (0.8, 0.2)


class TwoNormals:
    """A posterior that is a mixture, all of it in the likelihood: the prior is flat."""

    def __init__(self, weights: tuple[float, float] = WEIGHTS) -> None:
        self.weights = weights

    def draw_prior(self, n: int, rng: np.random.Generator) -> Array:
        return rng.uniform(-9, 9, (n, 2))

    def log_prior(self, scores: Array) -> Array:
        return np.zeros(len(scores))

    def log_likelihood(self, scores: Array) -> Array:
        parts = zip(PLACES, SDS, self.weights, strict=True)
        logs = [np.log(w) + stats.norm.logpdf(scores, place, sd).sum(axis=1) for place, sd, w in parts]
        return np.asarray(np.logaddexp.reduce(logs))


def chains(n_first: int, n_second: int, seed: int = 1) -> Array:
    """Chains of 200 draws in each mode."""
    rng = np.random.default_rng(seed)
    of = np.repeat([0, 1], [n_first, n_second])
    return np.asarray(PLACES[of][:, None] + np.array(SDS)[of][:, None, None] * rng.standard_normal((len(of), 200, 2)))


def found(target: TwoNormals, drawn: Array) -> Modes | None:
    logs = target.log_likelihood(drawn.reshape(-1, 2)).reshape(drawn.shape[:2])
    return weighed(target, drawn, drawn, (drawn, logs), ("a", "b"), 4, np.random.default_rng(2))


@pytest.mark.parametrize("n_second", [4, 24])
def test_modes_weigh_what_their_evidence_says_and_not_their_chains(n_second: int) -> None:
    drawn = chains(24, n_second)
    modes = found(TwoNormals(), drawn)
    assert modes is not None
    assert modes.weights == pytest.approx(WEIGHTS, abs=0.01)
    assert modes.errors.max() < 0.05
    assert modes.evidence[0] == pytest.approx(0.0, abs=0.05)
    assert modes.apart == "a"
    assert "2 modes, apart in a, between which chains seldom go: they weigh 80.0%" in modes.sentence.replace(
        "79.", "80."
    )
    assert (drawn.reshape(-1, 2)[modes.places][..., 0] > 0).mean() == pytest.approx(0.2, abs=0.02)
    of_a, of_b = modes.lines
    assert of_a.mean == pytest.approx(-1.8, abs=4 * of_a.mcse_mean + 0.06)
    assert of_b.mean == pytest.approx(0.2, abs=4 * of_b.mcse_mean + 0.01)
    assert of_a.r_hat < 1.02
    assert of_a.ess_bulk > 400


def test_a_mode_that_has_not_converged_is_not_passed_off() -> None:
    """Half of the chains of the heavy mode sit at its edge."""
    drawn = chains(24, 8)
    drawn[:12, :, 1] = 0.9 + 0.02 * (drawn[:12, :, 1] - 0.9)
    drawn[12, :, 1] *= 4
    modes = found(TwoNormals(), drawn)
    assert modes is not None
    assert max(line.r_hat for line in modes.lines) > 1.1


def test_more_draws_make_the_evidence_of_a_light_mode_known() -> None:
    """Of 50 draws of each chain, a bent mode that few chains are in has too few for a proposal that fits it."""

    class Bent(TwoNormals):
        def log_likelihood(self, scores: Array) -> Array:
            straight = scores.copy()
            straight[:, 1] -= np.where(scores[:, 0] > 0, 2 * (scores[:, 0] - 3.0) ** 2, 0.0)
            return super().log_likelihood(straight)

    target, many = Bent(), chains(24, 3)
    many[24:, :, 1] += 2 * (many[24:, :, 0] - 3.0) ** 2
    logs = target.log_likelihood(many.reshape(-1, 2)).reshape(many.shape[:2])
    few, of_few = many[:, ::4], logs[:, ::4]
    alone, helped = (
        weighed(target, few, few, dense, ("a", "b"), 4, np.random.default_rng(2))
        for dense in ((few, of_few), (many, logs))
    )
    assert alone is not None
    assert helped is not None
    assert helped.errors.max() < 0.8 * alone.errors.max()
    assert helped.weights == pytest.approx(WEIGHTS, abs=0.04)


def test_a_mode_that_has_not_converged_counts_by_its_weight() -> None:
    """Chains of the second mode stay in either half of it."""
    drawn = chains(24, 8)
    drawn[24:28, :, 1] += 0.4
    drawn[28:, :, 1] -= 0.4
    light, heavy = (found(TwoNormals(weights), drawn) for weights in ((0.98, 0.02), (0.2, 0.8)))
    assert light is not None
    assert heavy is not None
    assert max(line.r_hat for line in light.lines) < 1.02
    assert max(line.r_hat for line in heavy.lines) > 1.1
    assert not settled(drawn, drawn, ("a", "b"), CONVERGED)


def test_one_mode_and_a_single_chain_elsewhere_are_left_as_they_are() -> None:
    assert found(TwoNormals(), chains(24, 0)) is None
    assert found(TwoNormals(), chains(24, 1)) is None


def test_a_chain_that_goes_between_modes_belongs_to_both() -> None:
    drawn = chains(24, 8)
    drawn[:4, 100:] = drawn[24:28, 100:]
    modes = found(TwoNormals(), drawn)
    assert modes is not None
    assert modes.weights == pytest.approx(WEIGHTS, abs=0.01)
    assert settled(drawn, drawn, ("a", "b"), CONVERGED)


def test_chains_that_often_go_between_need_no_weighing() -> None:
    """Each draw is of either mode, so that the share of draws is the weight."""
    drawn = chains(16, 16)
    order = np.random.default_rng(3).permuted(np.arange(32)[:, None] + np.zeros((1, 200), dtype=int), axis=0)
    drawn = np.take_along_axis(drawn, order[..., None], axis=0)
    assert len(boxes(drawn)) == 1
    assert found(TwoNormals(), drawn) is None
    assert not settled(drawn, drawn, ("a", "b"), CONVERGED)


def test_a_valley_between_slow_chains_is_no_mode() -> None:
    """Each of 32 chains stays in a tenth of a normal distribution."""
    rng = np.random.default_rng(4)
    drawn = rng.standard_normal((32, 1, 2)) + 0.1 * rng.standard_normal((32, 200, 2))
    assert len(boxes(drawn)) == 1


def test_three_modes_are_told_apart() -> None:
    rng = np.random.default_rng(5)
    places = np.array([[-3.0, 0.0], [3.0, 3.0], [3.0, -3.0]])[np.repeat([0, 1, 2], 10)]
    drawn = places[:, None] + rng.standard_normal((30, 200, 2)) * 0.5
    regions = boxes(drawn)
    assert len(regions) == 3
    assert sorted(int(holds(region, drawn).sum()) for region in regions) == [2000] * 3


def test_a_handful_of_draws_is_no_mode_of_its_own() -> None:
    """Two modes in the first coordinate; a draw each of two chains of one is by the other, and far in the second."""
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(6, 60, 2))
    scores[:3, :, 0] -= 20
    scores[:2, 0] = np.array([0.0, 20.0]) + rng.normal(size=(2, 2))
    assert len(boxes(scores)) == 2
    assert not settled(scores, scores, ("a", "b"), CONVERGED)
