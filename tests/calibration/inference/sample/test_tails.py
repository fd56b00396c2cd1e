"""Which moments of draws settle, by distributions whose moments are known to exist or not."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from calibration.inference.sample.convergence import Convergence
from calibration.inference.sample.importance import heavy_tails, tail_shape
from calibration.inference.sample.known_optima import Place
from calibration.report import collect


def drawn(distribution, seed=1):
    return distribution.rvs(size=(4, 1000), random_state=seed)


@pytest.mark.parametrize(
    ("distribution", "words"),
    [
        (stats.norm(), ""),
        (stats.expon(), ""),
        (stats.uniform(), ""),
        (stats.lognorm(0.5), ""),
        (stats.t(8), ""),
        (stats.t(1.5), "The standard deviation of rate does not settle"),
        (stats.cauchy(), "The mean and the standard deviation of rate do not settle"),
        (stats.halfcauchy(), "The "),
    ],
    ids=["normal", "exponential", "uniform", "lognormal", "t8", "t1.5", "Cauchy", "half-Cauchy"],
)
def test_moments_that_do_not_exist_are_named(distribution, words):
    said = heavy_tails(["rate"], drawn(distribution)[..., None])
    assert said.startswith(words)
    assert bool(said) is bool(words)


def test_both_kinds_are_one_sentence():
    theta = np.stack([drawn(stats.cauchy()), drawn(stats.norm()), drawn(stats.t(1.5))], axis=-1)
    said = heavy_tails(["a", "b", "c"], theta)
    assert "deviation of a do not settle; the standard deviation of c does not settle" in said


def test_a_small_hill_far_out_is_not_called_a_heavy_tail():
    """One draw in a hundred between 20 and 36, where a parameter ends: all its moments exist."""
    theta = drawn(stats.norm(10, 2))
    theta[:, ::100] = 20 + 16 * drawn(stats.beta(2, 2))[:, ::100]
    said = heavy_tails(["campaign"], theta[..., None])
    assert "of campaign do not settle: too few draws lie far out, in heavy tails or on a small hill apart." in said
    assert "may err by more than their Monte Carlo error" in said
    # the same hill of a tenth of the draws is no tail
    theta[:, ::10] = 20 + 16 * drawn(stats.beta(2, 2))[:, ::10]
    assert not heavy_tails(["campaign"], theta[..., None])


def test_light_tails_are_seldom_called_heavy():
    assert sum(tail_shape(drawn(stats.t(4), seed)) > 0.5 for seed in range(40)) <= 1


@pytest.mark.parametrize(("distribution", "more"), [(stats.cauchy(), " The mean and"), (stats.norm(), "")])
def test_what_does_not_settle_is_said_with_the_convergence(monkeypatch, distribution, more):
    monkeypatch.setattr(collect, "predict", lambda *arguments, **named: [])
    monkeypatch.setattr(collect, "drawn_predictions", lambda draws, predictions: ())
    monkeypatch.setattr(collect, "course", lambda problem: ())
    monkeypatch.setattr(collect, "drawn_event", lambda draws: ())
    monkeypatch.setattr(collect, "_fan", lambda *arguments: None)
    theta = drawn(distribution)[..., None]
    line = Convergence("rate", low=-1.0, high=1.0)
    sampled = SimpleNamespace(sentence="All converged.", converged=True, interrupted=False, lines=(line,))
    density = SimpleNamespace(space=SimpleNamespace(names=("rate",)), problem=SimpleNamespace(predictions=()))
    draws = SimpleNamespace(theta=theta, flat=theta.reshape(-1, 1), density=density, sampled=sampled, places=())
    said = collect._posterior(draws, 1, None, "native").how
    assert said.startswith(f"All converged.{more}")
    assert ("settle" in said) is bool(more)
    assert said.endswith(collect.NOT_WEIGHED)
    weighed = SimpleNamespace(**vars(draws) | {"places": (Place(np.zeros(1), 0.0, 0.9, 0.01, 0.9),)})
    assert collect.NOT_WEIGHED not in collect._posterior(weighed, 1, None, "native").how


def test_draws_that_are_all_the_same_have_no_tail():
    assert tail_shape(np.ones((4, 100))) == -np.inf
