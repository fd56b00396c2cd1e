"""Fits that others have published come back from the studies that are shipped, to the digits that they print.

Two routes: ``published`` is what stands in the literature, ``by scipy`` the same optimum found with closed forms or
scipy's integrator, which shares no code with the engine, the reader of tables or the optimiser.
"""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import integrate, optimize

from calibration.inference.judge.residuals import fitted
from calibration.inference.sample.convergence import Effort
from calibration.inference.sample.draws import draw
from calibration.inference.search.optimise import Optimum, optimise
from calibration.likelihood.posterior import posterior
from calibration.study import STUDIES
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd.base.arrays import Array
from cipark_sd.data.scenarios import Scenario
from cipark_sd.engines.registry import choose


def shipped(name: str) -> CalibrationProblem:
    return read_problem(STUDIES / name)


def best(problem: CalibrationProblem) -> Optimum:
    density = posterior(problem, choose("native"))
    method = problem.method
    rng = np.random.default_rng(method.seed)
    return optimise(density, starts=method.starts, rng=rng, estimate=method.estimate)


def residuals(optimum: Optimum, theta: Array) -> Array:
    """Expected less observed numbers."""
    density = optimum.goal.density
    return density.quantities(theta)[0] - fitted(density, theta)["lower"].to_numpy()


def squares(optimum: Optimum) -> float:
    """Sum of squared residuals in the units of the data."""
    return float((residuals(optimum, optimum.theta) ** 2).sum())


def standard_deviations(optimum: Optimum, sd: float) -> Array:
    """Of the estimates, from the curvature: residuals are in units of their standard deviation."""
    columns = []
    for i, value in enumerate(optimum.theta):
        ahead, behind = optimum.theta.copy(), optimum.theta.copy()
        ahead[i], behind[i] = value * (1 + 1e-5), value * (1 - 1e-5)
        columns.append((residuals(optimum, ahead) - residuals(optimum, behind)) / (2e-5 * value * sd))
    jacobian = np.stack(columns, axis=1)
    return np.sqrt(np.diag(np.linalg.inv(jacobian.T @ jacobian)))


#: Study, residual standard deviation, sum of squares, estimates, their standard deviations.
CERTIFIED = [
    (
        "nist_rat42",
        1.1587725499,
        8.0565229338,
        [7.2462237576e01, 2.6180768402e00, 6.7359200066e-02],
        [1.7340283401e00, 8.8295217536e-02, 3.4465663377e-03],
    ),
    (
        "nist_rat43",
        28.262414662,
        8786.4049080,
        [6.9964151270e02, 5.2771253025e00, 7.5962938329e-01, 1.2792483859e00],
        [1.6302297817e01, 2.0828735829e00, 1.9566123451e-01, 6.8761936385e-01],
    ),
]
#: Six digits of the estimates: Rat43 is ill-conditioned, and derivatives are difference quotients.
ESTIMATES = 2e-6


@pytest.mark.parametrize(("name", "sd", "sum_of_squares", "estimates", "errors"), CERTIFIED)
def test_growth_as_a_rate_gives_the_certified_curve(
    name: str, sd: float, sum_of_squares: float, estimates: list[float], errors: list[float]
) -> None:
    optimum = best(shipped(name))
    np.testing.assert_allclose(optimum.theta, estimates, rtol=ESTIMATES)
    assert squares(optimum) == pytest.approx(sum_of_squares, rel=1e-8)
    np.testing.assert_allclose(standard_deviations(optimum, sd), errors, rtol=1e-4)


def test_the_file_s_method_is_what_makes_the_digits() -> None:
    """Euler with a step of 1 moves the growth rate by per cents: the certificate is one of the integration too."""
    from dataclasses import replace

    problem = shipped("nist_rat42")
    euler = replace(problem, model=replace(problem.model, time=replace(problem.model.time, method="euler")))
    coarse = replace(euler, scenario=euler.scenario | Scenario("", time_step=1.0))
    moved = best(coarse).theta / np.array(CERTIFIED[0][3]) - 1
    assert 0.01 < moved[2] < 0.1


def test_air_conditioners_give_the_published_least_squares_of_bass_diffusion() -> None:
    """Srinivasan and Mason 1986, Marketing Science 5(2): p = 0.0094, q = 0.3748, m = 18.713 million."""
    market, innovation, imitation = best(shipped("bass_air_conditioners")).theta
    assert f"{innovation:.4f} {imitation:.4f} {market:.0f}" == "0.0094 0.3748 18713"


def test_air_conditioners_by_scipy() -> None:
    sales = np.array([96, 195, 238, 380, 1045, 1230, 1267, 1828, 1586, 1673, 1800, 1580, 1500.0])
    time = np.arange(14.0)

    def misfit(theta: Array) -> Array:
        market, p, q = theta
        grown = np.exp(-(p + q) * time)
        return np.asarray(np.diff(market * (1 - grown) / (1 + q / p * grown)) - sales)

    found = optimize.least_squares(misfit, [18000, 0.01, 0.4], x_scale=[1e4, 0.01, 0.1], xtol=1e-14, ftol=1e-14)
    np.testing.assert_allclose(best(shipped("bass_air_conditioners")).theta, found.x, rtol=1e-5)


def test_grouped_failures_give_the_published_power_law() -> None:
    """MIL-HDBK-189 (1981), grouped data of Crow: beta = 0.753, lambda = 1.53."""
    scale, growth = best(shipped("crow_grouped")).theta
    assert f"{growth:.3f} {scale:.2f}" == "0.753 1.53"


def test_grouped_failures_solve_crow_s_equation() -> None:
    """The likelihood equation for beta of Crow 1974, whose root is found by bisection."""
    counts, ends = np.array([13, 16, 5, 8, 7.0]), np.arange(0, 101, 20.0)

    def equation(beta: float) -> float:
        power = ends**beta
        logs = np.where(ends > 0, power * np.log(np.where(ends > 0, ends, 1)), 0.0)
        return float((counts * (np.diff(logs) / np.diff(power) - np.log(ends[-1]))).sum())

    beta = optimize.brentq(equation, 0.3, 2, xtol=1e-12)
    expected = [counts.sum() / ends[-1] ** beta, beta]
    np.testing.assert_allclose(best(shipped("crow_grouped")).theta, expected, rtol=1e-5)


def drawn(name: str, *, most_steps: int) -> dict[str, Array]:
    """Posterior draws by parameter."""
    density = posterior(shipped(name), choose("native"))
    found = draw(density, np.random.default_rng(1), effort=Effort(most_steps=most_steps, least_steps=400))
    assert found.sampled.converged
    return dict(zip(density.space.names, found.flat.T, strict=True))


@pytest.mark.slow
def test_the_boarding_school_gives_the_published_posterior() -> None:
    """Grinsztajn, Semenova, Margossian and Riou 2021, Statistics in Medicine 40(27): means and quantiles as printed.

    beta 1.73, gamma 0.54, R0 about 3.2, recovery 1.9 days; the Monte Carlo error of our means is below half a unit.
    """
    draws = drawn("flu_1978", most_steps=6000)
    beta, gamma = draws["Beta"], draws["Gamma"]
    assert beta.mean() == pytest.approx(1.73, abs=0.01)
    assert gamma.mean() == pytest.approx(0.54, abs=0.01)
    assert (beta / gamma).mean() == pytest.approx(3.2, abs=0.06)
    assert (1 / gamma).mean() == pytest.approx(1.86, abs=0.03)


def infected(beta: float, gamma: float) -> Array:
    """The first day's fortnight of the boarding school, by scipy's integrator."""

    def rates(_: float, state: Array) -> list[float]:
        caught = beta * state[0] * state[1] / 763
        return [-caught, caught - gamma * state[1]]

    days = np.arange(1, 15.0)
    return integrate.solve_ivp(rates, [0, 14], [762, 1], t_eval=days, rtol=1e-10, atol=1e-10).y[1]


def test_the_boarding_school_s_likelihood_by_scipy() -> None:
    from scipy import stats

    seen = np.array([3, 8, 26, 76, 225, 298, 258, 233, 189, 128, 68, 29, 14, 4])
    density = posterior(shipped("flu_1978"), choose("native"))
    beta, gamma, inverse = 1.6, 0.5, 0.15
    mean, size = infected(beta, gamma), 1 / inverse
    expected = stats.nbinom.logpmf(seen, size, size / (size + mean)).sum()
    ours = density.log_likelihood(np.array([[beta, gamma, inverse]]))[0]
    assert ours == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
def test_hare_and_lynx_give_the_published_posterior() -> None:
    """Carpenter 2018, Predator-prey population dynamics: the Lotka-Volterra model in Stan, posterior means."""
    draws = drawn("hare_lynx", most_steps=6000)
    published: dict[str, tuple[float, float]] = {
        "Hare Growth": (0.55, 0.01),
        "Predation": (0.028, 0.0007),
        "Lynx Decline": (0.80, 0.015),
        "Conversion": (0.024, 0.0007),
        "First Hare": (34.0, 0.3),
        "First Lynx": (5.9, 0.1),
        "hare sigma": (0.25, 0.01),
        "lynx sigma": (0.25, 0.01),
    }
    for name, (mean, slack) in published.items():
        assert draws[name].mean() == pytest.approx(mean, abs=slack), name


def _problems() -> list[str]:
    return sorted(path.parent.name for path in STUDIES.glob("*/problem.toml"))


@pytest.mark.parametrize("name", _problems())
def test_a_shipped_study_has_a_page_with_its_sources(name: str) -> None:
    page = (STUDIES / name / "README.md").read_text(encoding="utf-8")
    assert len(page.splitlines()) > 5
    checked: Callable[[str], bool] = lambda text: "ource" in text or "comes from" in text  # noqa: E731
    assert checked(page)
