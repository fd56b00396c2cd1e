"""Adaptive importance sampling against targets whose moments and evidence are known."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from calibration.inference.sample.adaptive_importance import PRIOR, Weighted, importance_sample
from calibration.inference.sample.convergence import Criteria, Effort
from calibration.inference.sample.importance import drawn_apart, smoothed, weighted_convergence, worst_size
from calibration.inference.sample.moves import annealed_draws

#: Log evidence of every target.
EVIDENCE = -3.0


@dataclass(frozen=True)
class Known:
    """A target of known density: the likelihood is its density over that of a standard normal prior."""

    k: int
    target: Callable

    def log_prior(self, free):
        return stats.norm.logpdf(free).sum(axis=1)

    def log_likelihood(self, free):
        return EVIDENCE + self.target(free) - self.log_prior(free)

    def draw_prior(self, n, rng):
        return rng.standard_normal((n, self.k))


def gaussian(x):
    return stats.multivariate_normal([0.5, -0.5, 0.0], [[0.25, 0.2, 0], [0.2, 0.25, 0], [0, 0, 0.01]]).logpdf(x)


def banana(x):
    """A normal number, and its square with noise."""
    return stats.norm(0, 0.8).logpdf(x[:, 0]) + stats.norm(x[:, 0] ** 2 - 1, 0.3).logpdf(x[:, 1])


def two_modes(x):
    """Four fifths in the broad one; between them there is nothing."""
    broad = np.log(0.8) + stats.norm(1.2, 0.2).logpdf(x).sum(axis=1)
    narrow = np.log(0.2) + stats.norm(-1.2, 0.1).logpdf(x).sum(axis=1)
    return np.logaddexp(broad, narrow)


def funnel(x):
    """Neal's, with a neck that is narrow and not a point."""
    return stats.norm(0, 0.7).logpdf(x[:, 0]) + stats.norm(0, 0.6 * np.exp(x[:, :1])).logpdf(x[:, 1:]).sum(axis=1)


def neck(x):
    """Neal's funnel in nine dimensions, whose neck is nearly a point."""
    return stats.norm(0, 1.5).logpdf(x[:, 0]) + stats.norm(0, np.exp(x[:, :1])).logpdf(x[:, 1:]).sum(axis=1)


#: Name, dimensions, target, mean and standard deviation of each coordinate.
TARGETS = {
    "gaussian": (Known(3, gaussian), (0.5, -0.5, 0.0), (0.5, 0.5, 0.1)),
    "banana": (Known(2, banana), (0.0, 0.64 - 1), (0.8, np.sqrt(2 * 0.64**2 + 0.09))),
    "two modes": (
        Known(2, two_modes),
        (0.8 * 1.2 - 0.2 * 1.2,) * 2,
        (np.sqrt(0.8 * 0.04 + 0.2 * 0.01 + 0.16 * 2.4**2),) * 2,
    ),
    # the variance is that of 0.36 exp(2 v)
    "funnel": (Known(3, funnel), (0.0,) * 3, (0.7, *(0.6 * np.exp(0.49),) * 2)),
}


def sampled(known, seed, effective=2000.0, most=60_000) -> Weighted:
    rng = np.random.default_rng(seed)
    start = annealed_draws(known, 400, rng, "known", moves=3)
    return importance_sample(
        known,
        (start, np.zeros(len(start))),
        rng,
        effort=Effort(effective=effective, criteria=Criteria(1.01, 100), most_points=most),
        worth=lambda found: worst_size(*weighed(found)),
    )


def weighed(found):
    usable, weights = found.weights()
    return found.free[usable], weights


def lines_of(found):
    points, weights = weighed(found)
    draws = points[drawn_apart(weights, 4, 400, np.random.default_rng(1))]
    return weighted_convergence([f"x{i}" for i in range(points.shape[1])], points, weights, draws)


@pytest.fixture(scope="module", params=list(TARGETS))
def target(request):
    known, means, sds = TARGETS[request.param]
    return known, means, sds, [sampled(known, seed) for seed in range(2)]


def test_the_evidence_is_known_within_its_error(target):
    for found in target[3]:
        log_evidence, error = found.evidence()
        assert error < 0.05
        assert log_evidence == pytest.approx(EVIDENCE, abs=4 * error)


def test_moments_are_known_within_their_errors(target):
    _, means, sds, runs = target
    for found in runs:
        assert smoothed(found.log_ratio)[1] < 0.7
        for line, mean, sd in zip(lines_of(found), means, sds, strict=True):
            assert line.mean == pytest.approx(mean, abs=4.5 * line.mcse_mean)
            assert line.sd == pytest.approx(sd, rel=0.15)
            assert line.r_hat < 1.02


def test_each_mode_has_its_share():
    shares = []
    for seed in range(4):
        points, weights = weighed(sampled(TARGETS["two modes"][0], 20 + seed))
        shares.append(weights[points[:, 0] > 0].sum())
    assert np.mean(shares) == pytest.approx(0.8, abs=4 * np.sqrt(0.16 / 2000 / 4))


def test_few_points_that_are_worth_little_ask_for_no_more_than_twice_as_many():
    """One large weight among the first points says little of how many are needed in all."""
    told = []
    known = TARGETS["gaussian"][0]
    start = known.draw_prior(200, np.random.default_rng(3))
    importance_sample(
        known,
        (start, known.log_likelihood(start)),
        np.random.default_rng(4),
        effort=Effort(effective=1000.0, criteria=Criteria(1.01, 100), most_points=100_000),
        worth=lambda found: 1.0 if len(found.free) < 5000 else 1000.0,
        on_points=lambda n, most: told.append(n) if most == 100_000 else None,
    )
    assert told[-1] >= 5000
    assert all(after <= 2 * before for before, after in pairwise(told))


def test_what_an_earlier_proposal_met_is_not_forgotten():
    """The weights of a narrow neck cannot be trusted: all three proposals count, against the mean of them."""
    found = sampled(Known(9, neck), 1, effective=500.0, most=4000)
    assert smoothed(found.log_ratio)[1] > 0.4
    assert found.n_proposals == 3
    assert 4000 < found.n_points <= 3 * 4000


def test_errors_are_as_large_as_they_say():
    """Misses of mean and limits in units of their errors, over ten seeds and three coordinates."""
    limits = stats.norm.ppf([0.025, 0.975])
    misses = []
    for seed in range(10):
        found = sampled(TARGETS["gaussian"][0], 40 + seed, effective=1000.0)
        for line, mean, sd in zip(lines_of(found), *TARGETS["gaussian"][1:], strict=True):
            low, high = mean + sd * limits
            misses.append([
                (line.mean - mean) / line.mcse_mean,
                (line.low - low) / line.mcse_low,
                (line.high - high) / line.mcse_high,
            ])  # fmt: skip
    assert np.sqrt(np.mean(np.square(misses), axis=0)) == pytest.approx(np.ones(3), abs=0.4)


def test_the_same_seed_gives_the_same_bits():
    first, second = (sampled(TARGETS["banana"][0], 3) for _ in range(2))
    assert np.array_equal(first.free, second.free)
    assert np.array_equal(first.log_ratio, second.log_ratio)


def test_a_weight_is_at_most_the_likelihood_over_the_share_of_the_prior(target):
    known, _, _, runs = target
    for found in runs:
        most = known.log_likelihood(found.free) - np.log(PRIOR)
        assert (found.log_ratio <= most + 1e-9).all()


def test_too_few_points_are_no_answer():
    assert sampled(TARGETS["funnel"][0], 1, most=50) is None


def test_draws_are_as_many_as_they_look():
    """Means of draws by weight scatter as those of independent ones do."""
    found = [sampled(TARGETS["banana"][0], 60 + seed, effective=400.0) for seed in range(16)]
    means = []
    for seed, one in enumerate(found):
        points, weights = weighed(one)
        places = drawn_apart(weights, 4, int(worst_size(points, weights)) // 4, np.random.default_rng(seed))
        values = points[places][..., 0].ravel()
        means.append(values.mean() / 0.8 * np.sqrt(len(values)))
    # a standard deviation from 16 values is known to 18%
    assert np.std(means) == pytest.approx(1, abs=0.55)
