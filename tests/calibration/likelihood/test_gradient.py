"""The gradient of the log posterior against differences of the log posterior."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_study import MODEL

from calibration.front.density import Density
from calibration.inference.sample.densities import prior_draws
from calibration.likelihood.posterior import Posterior, posterior, with_terms
from calibration.noise.priors import (
    FAMILIES,
    Beta,
    Exponential,
    Gamma,
    HalfCauchy,
    HalfNormal,
    LogitNormal,
    LogNormal,
    LogUniform,
    Normal,
    Prior,
    Scale,
    StudentT,
    Triangular,
    Uniform,
)
from calibration.study import STUDIES
from calibration.study.parameters import Parameter, ParameterSpace
from calibration.study.problem import read_problem
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import InvalidValue
from cipark_sd.engines.registry import choose

#: Of the larger of the slope and what rounding of the log density leaves of a difference.
CLOSE = 1e-5


def check(density: Posterior, theta: Array) -> None:
    """Both numbers at ``theta : (n, k)``; differences take the best of three steps, as kinks and rounding ask for."""
    logs, gradient = Density(density).value_and_gradient(theta)
    np.testing.assert_allclose(logs, density.log_posterior(theta), rtol=1e-12)
    for place, name in enumerate(density.space.names):
        best = np.full(len(theta), np.inf)
        for relative in (1e-4, 1e-5, 1e-6):
            step = relative * np.abs(theta[:, place]) + 1e-9
            up, down = theta.copy(), theta.copy()
            up[:, place] += step
            down[:, place] -= step
            slope = (density.log_posterior(up) - density.log_posterior(down)) / (up - down)[:, place]
            scale = np.abs(slope) + 1e-4 * np.abs(logs) / np.abs(theta[:, place])
            best = np.minimum(best, np.abs(gradient[:, place] - slope) / scale)
        assert best.max() < CLOSE, name


def possible(density: Posterior, n: int, n_drawn: int = 60) -> Array:
    """Some draws of the prior with which the data are possible."""
    drawn = prior_draws(density.space, n_drawn, np.random.default_rng(1))
    return drawn[np.isfinite(density.log_posterior(drawn))][:n]


@pytest.mark.parametrize("study", ["flu_1978", "hare_lynx", "great_stone_core"])
def test_gradients_of_studies_are_differences(study: str) -> None:
    density = posterior(read_problem(STUDIES / study), choose("native"))
    check(density, possible(density, 3))


def test_gradients_of_every_kind_of_term_are_differences() -> None:
    """All observations of the park fitted: net counts, intervals, shares, breakdowns."""
    problem = read_problem(STUDIES / "great_stone", fit_also=["origins, management coding"])
    density = posterior(problem, choose("native"))
    whole = with_terms(density, [replace(term, use="fit", weight=0.7) for term in problem.terms])
    check(whole, possible(whole, 2, 400))


#: Series that remember, of each kind of measurement, and a ratio among them.
REMEMBERED = """[model]
file = "leaving.mdl"
[[observation]]
name = "stock"
table = "stock.csv"
kind = "{kind}"
{variable}
family = "{family}"
sd = "sd"
autocorrelation = "phi"
[[parameter]]
name = "size"
prior = {{ family = "lognormal", median = 100, sigma = 0.2 }}
[[parameter]]
name = "rate"
prior = {{ family = "gamma", shape = 4, scale = 0.05 }}
[[parameter]]
name = "sd"
target = "noise"
prior = {{ family = "half-normal", sd = 0.5 }}
[[parameter]]
name = "phi"
target = "noise"
prior = {{ family = "uniform", low = 0, high = 0.99 }}
"""


@pytest.mark.parametrize("family", ["normal", "lognormal", "student-t"])
@pytest.mark.parametrize("kind", ["level", "ratio"])
def test_gradients_through_residuals_that_remember_are_differences(tmp_path: Path, family: str, kind: str) -> None:
    (tmp_path / "leaving.mdl").write_text(MODEL)
    scale = 1.0 if kind == "level" else 0.01
    rows = [(1, 80, "fit"), (3, 57, "fit"), (4, 50, "check"), (5, 33, "fit"), (6.5, 22, "fit")]
    table = "time,value,use\n" + "".join(f"{time},{scale * value},{use}\n" for time, value, use in rows)
    (tmp_path / "stock.csv").write_text(table)
    whole = 'variable = "stock"' if kind == "level" else 'numerator = "stock"\ndenominator = "size"'
    variable = f'{whole}\nuse = "use"'
    (tmp_path / "problem.toml").write_text(REMEMBERED.format(kind=kind, family=family, variable=variable))
    density = posterior(read_problem(tmp_path), choose("numpy"))
    check(density, np.array([[100.0, 0.22, 0.3, 0.4], [90.0, 0.18, 0.5, 0.9]]))


PRIORS: list[Prior] = [
    *(Normal(1.2, 0.5), LogNormal(0.5, 0.4), LogitNormal(0.3, 0.8), Uniform(0.1, 0.9), LogUniform(0.1, 0.9)),
    *(Triangular(0.1, 0.5, 0.9), Beta(2.0, 3.5), Gamma(2.0, 0.3), HalfNormal(0.7), Exponential(0.4)),
    *(StudentT(0.2, 0.5, 4.0), HalfCauchy(0.6)),
]


def test_each_family_has_slopes_that_are_compared() -> None:
    assert {type(prior) for prior in PRIORS} == {*FAMILIES.values()}


@pytest.mark.parametrize("scale", ["identity", "log", "logit"])
@pytest.mark.parametrize("prior", PRIORS, ids=lambda prior: type(prior).__name__)
def test_slopes_of_a_prior_are_differences(prior: Prior, scale: Scale) -> None:
    # two in one space, one of them of another scale: the columns are put in order by shape and scale
    space = ParameterSpace((Parameter("a", prior, 0.05, 0.95, scale), Parameter("b", LogNormal(0.3, 1.0), scale="log")))
    at, step = np.array([[0.2, 0.5], [0.4, 0.1], [0.7, 3.0]]), 1e-6
    for column in range(2):
        move = step * np.eye(2)[column]
        slopes = (space.log_prior(at + move) - space.log_prior(at - move)) / (2 * step)
        np.testing.assert_allclose(space.log_prior_slopes(at)[:, column], slopes, rtol=1e-7, atol=1e-8)
        ahead, behind = (space.from_scales(space.to_scales(at) + side) for side in (move, -move))
        slopes = (space.log_prior_scaled(ahead) - space.log_prior_scaled(behind)) / (2 * step)
        np.testing.assert_allclose(space.log_prior_slopes_scaled(at)[:, column], slopes, rtol=1e-7, atol=1e-8)


def test_where_the_density_is_zero_the_gradient_is_too() -> None:
    density = posterior(read_problem(STUDIES / "flu_1978"), choose("numpy"))
    theta = np.array([possible(density, 1)[0], possible(density, 1)[0]])
    theta[1, 0] = -1.0
    logs, gradient = Density(density).value_and_gradient(theta)
    assert np.isneginf(logs[1])
    assert not gradient[1].any()
    assert gradient[0].all()


def test_an_engine_without_derivatives_says_so() -> None:
    density = posterior(read_problem(STUDIES / "flu_1978"), choose("pysd"))
    with pytest.raises(InvalidValue, match="one that has derivatives"):
        Density(density).value_and_gradient(np.array([[1.7, 0.5, 0.1]]))
