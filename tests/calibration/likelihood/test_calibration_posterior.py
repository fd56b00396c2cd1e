"""Draws and predictions against what is known in closed form."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from calibration.assess.posterior_predictive import predict
from calibration.assess.scores import crps_sample
from calibration.inference.sample.convergence import CONVERGED, Effort, convergence
from calibration.inference.sample.draws import draw
from calibration.likelihood.posterior import Posterior, posterior
from calibration.likelihood.replicate import replicate_term
from calibration.noise.families.base import CountFamily
from calibration.noise.families.counts import NB1, NB2, Poisson
from calibration.study.observations import Count, Noise, Quantity
from calibration.study.problem import read_problem
from cipark_sd.data.scenarios import Scenario, TimeSeries
from cipark_sd.engines.registry import choose

Write = Callable[..., Path]
#: A gamma prior and Poisson counts are conjugate: the posterior is gamma.
SHAPE, SCALE, COUNTS = 2.0, 3.0, (4, 9, 5)


@pytest.fixture
def conjugate(write_mdl: Write, tmp_path: Path) -> Posterior:
    write_mdl("rate=5~1/Year~|total=INTEG(rate,0)~Dmnl~|")
    (tmp_path / "data.csv").write_text("time,value\n" + "".join(f"{i + 1},{n}\n" for i, n in enumerate(COUNTS)))
    (tmp_path / "problem.toml").write_text(
        '[model]\nfile = "model.mdl"\n[[observation]]\nname = "seen"\ntable = "data.csv"\nkind = "flow"\n'
        'variable = "rate"\nfamily = "poisson"\nstart = 0\n[[parameter]]\nname = "rate"\n'
        f'prior = {{ family = "gamma", shape = {SHAPE}, scale = {SCALE} }}\n'
    )
    return posterior(read_problem(tmp_path), choose("numpy"))


def test_draws_follow_the_conjugate_posterior(conjugate: Posterior) -> None:
    draws = draw(conjugate, np.random.default_rng(1), effort=Effort(walkers=16, most_steps=1000))
    expected = stats.gamma(SHAPE + sum(COUNTS), scale=1 / (1 / SCALE + len(COUNTS)))
    assert draws.sampled.converged
    # four standard errors of the mean, by the sampler's own account
    assert abs(draws.flat.mean() - expected.mean()) < 4 * draws.sampled.lines[0].mcse_mean
    np.testing.assert_allclose(np.quantile(draws.flat, [0.05, 0.5, 0.95]), expected.ppf([0.05, 0.5, 0.95]), rtol=0.04)


def test_the_walk_depends_on_the_seed_only(conjugate: Posterior) -> None:
    effort = Effort(walkers=8, block=50, most_steps=50)
    walks = [draw(conjugate, np.random.default_rng(s), effort=effort).theta for s in (3, 3, 4)]
    np.testing.assert_array_equal(walks[0], walks[1])
    assert not np.array_equal(walks[0], walks[2])


def test_independent_draws_count_fully_and_agree() -> None:
    theta = np.random.default_rng(2).normal(size=(4, 200, 20, 1))
    (found,) = convergence(("x",), theta)
    assert found.r_hat < 1.01
    assert found.ess_bulk == pytest.approx(theta.size, rel=0.25)


def test_an_ensemble_that_sits_elsewhere_is_noticed() -> None:
    theta = np.random.default_rng(2).normal(size=(4, 200, 20, 1))
    theta[3] += 1
    assert not convergence(("x",), theta)[0].reaches(CONVERGED)


def test_the_crps_of_a_normal_sample_is_the_closed_form() -> None:
    drawn = stats.norm.ppf((np.arange(20000) + 0.5) / 20000)
    z = 0.7
    expected = z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi)
    assert crps_sample(drawn, z) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("family", "variance"), [(Poisson(), 6.0), (NB1(), 6 * 3.0), (NB2(), 6 + 2 * 36.0)])
def test_replicates_have_the_mean_and_variance_of_their_family(family: CountFamily, variance: float) -> None:
    term = Count("x", Quantity((("x", 1.0),), "at", 1, 1), 3, 3, Noise(family, 2.0))
    n = 200_000
    drawn = replicate_term(term, np.full((n, 1), 6.0), np.full(n, 2.0), np.random.default_rng(5))
    assert drawn.mean() == pytest.approx(6, rel=0.02)
    assert drawn.var() == pytest.approx(variance, rel=0.05)


def test_replicates_of_a_net_count_lose_what_is_lost() -> None:
    quantity = Quantity((("x", 1.0),), "between", 0, 1)
    term = Count("x", quantity, 3, 3, Noise(Poisson()), gains=quantity)
    drawn = replicate_term(term, np.tile([-1.0, 2.0], (100_000, 1)), np.ones(100_000), np.random.default_rng(5))
    assert drawn.mean() == pytest.approx(-1, abs=0.03)
    assert drawn.var() == pytest.approx(2 + 3, rel=0.03)


def test_the_log_score_is_that_of_the_predictive_distribution(conjugate: Posterior) -> None:
    theta = stats.gamma(20, scale=0.3).ppf((np.arange(4000) + 0.5) / 4000)[:, None]
    rows = predict(conjugate, theta, np.random.default_rng(1))
    # a Poisson count with a gamma mean is negative binomial
    assert rows[0].log_score == pytest.approx(stats.nbinom.logpmf(COUNTS[0], 20, 1 / 1.3), abs=1e-3)


@pytest.mark.parametrize("engine", ["native", "numpy", "pysd"])
def test_a_parameter_takes_the_place_of_a_series_of_the_scenario(conjugate: Posterior, engine: str) -> None:
    problem = conjugate.problem
    over_time = Scenario("over time", {"rate": TimeSeries((0.0, 10.0), (1.0, 900.0))})
    driven = replace(problem, scenario=problem.scenario | over_time)
    values = np.array([[3.0], [7.0]])
    quantities = [posterior(study, choose(engine)).quantities(values) for study in (problem, driven)]
    np.testing.assert_array_equal(*quantities)
    np.testing.assert_allclose(quantities[0][:, 0], [3.0, 7.0], rtol=1e-12)
