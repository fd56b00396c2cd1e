"""Samplers and optimisers of other packages draw a posterior that is known, called as their documents say.

They are the extra ``samplers``; a package that is not there is skipped by name.
"""

import warnings
from typing import Any

import numpy as np
import pytest
from known_posteriors import write_study

import cipark_sd as cp
from calibration.front.density import Density

TIMES = np.arange(1, 13)
#: Means and standard deviations of the priors of an intercept and a slope.
CENTRE, WIDTH = np.array([18.0, 1.0]), np.array([10.0, 2.0])


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> tuple[Density, np.ndarray, np.ndarray]:
    """A straight line under normal noise and priors, with the mean and the covariance of its posterior."""
    folder = tmp_path_factory.mktemp("line")
    seen = 20 + 1.5 * TIMES + np.random.default_rng(11).normal(0, 1, 12)
    priors = {name: f"normal {mean} {sd}" for name, mean, sd in zip("ab", CENTRE, WIDTH, strict=True)}
    write_study(folder, "curve=a+b*Time a=18 b=1", {"curve": (seen, 1.0)}, priors)
    design = np.column_stack([TIMES**0, TIMES])
    covariance = np.linalg.inv(design.T @ design + np.diag(WIDTH**-2))
    return cp.read_study(folder).density, covariance @ (design.T @ seen + CENTRE / WIDTH**2), covariance


def package(name: str) -> Any:
    with warnings.catch_warnings():
        # what others warn of at their import is theirs
        warnings.simplefilter("ignore")
        return pytest.importorskip(name)


def check(theta: np.ndarray, mean: np.ndarray, covariance: np.ndarray, n_effective: float) -> None:
    """Draws ``(n, 2)`` that are worth so many: within four standard errors of their mean and their spread."""
    sd = np.sqrt(np.diag(covariance))
    assert np.abs(theta.mean(axis=0) - mean).max() < (4 * sd / np.sqrt(n_effective)).max()
    assert np.abs(theta.std(axis=0) / sd - 1).max() < 4 / np.sqrt(2 * n_effective)
    assert np.corrcoef(theta.T)[0, 1] == pytest.approx(covariance[0, 1] / sd.prod(), abs=0.1)


@pytest.mark.filterwarnings("ignore")
def test_emcee_draws_it(line: tuple[Density, np.ndarray, np.ndarray]) -> None:
    emcee, (density, *known) = package("emcee"), line
    np.random.seed(1)  # noqa: NPY002  (the generator that emcee begins with)
    sampler = emcee.EnsembleSampler(32, len(density.names), density.value, vectorize=True)
    sampler.run_mcmc(density.prior_draws(32, seed=1), 1500)
    check(sampler.get_chain(discard=500, flat=True), *known, n_effective=500)


@pytest.mark.filterwarnings("ignore")
def test_nutpie_draws_it(line: tuple[Density, np.ndarray, np.ndarray]) -> None:
    nutpie, (density, *known) = package("nutpie"), line
    free, k = density.unconstrained, len(density.names)
    model = package("nutpie.compiled_pyfunc").from_pyfunc(
        k,
        lambda: free.value_and_gradient,
        lambda *_: lambda point: {"theta": free.from_unconstrained(point)},
        [np.dtype(float)],
        [(k,)],
        ["theta"],
        make_initial_point_fn=lambda chain: free.prior_draws(1, seed=int(chain) % 4)[0],
    )
    drawn = nutpie.sample(model, draws=400, tune=200, chains=2, cores=1, seed=1, progress_bar=False)
    check(np.asarray(drawn.posterior["theta"]).reshape(-1, k), *known, n_effective=300)


@pytest.mark.filterwarnings("ignore")
def test_pints_draws_it(line: tuple[Density, np.ndarray, np.ndarray]) -> None:
    pints, (density, *known) = package("pints"), line

    class LogPosterior(pints.LogPDF):  # type: ignore[name-defined, misc]
        def __call__(self, theta: np.ndarray) -> float:
            return float(density.value(theta))

        def evaluateS1(self, theta: np.ndarray) -> tuple[Any, np.ndarray]:  # noqa: N802  (PINTS' own name)
            return density.value_and_gradient(theta)

        def n_parameters(self) -> int:
            return len(density.names)

    np.random.seed(1)  # noqa: NPY002  (the generator that PINTS draws from)
    controller = pints.MCMCController(LogPosterior(), 2, list(known[0] + np.eye(2)), method=pints.NoUTurnMCMC)
    controller.set_max_iterations(500)
    controller.set_log_to_screen(False)
    check(controller.run()[:, 200:].reshape(-1, 2), *known, n_effective=200)


@pytest.mark.filterwarnings("ignore")
def test_pypesto_finds_its_optimum(line: tuple[Density, np.ndarray, np.ndarray]) -> None:
    pypesto, (density, mean, _) = package("pypesto"), line
    objective = pypesto.Objective(
        fun=lambda theta: -density.value(theta), grad=lambda theta: -density.value_and_gradient(theta)[1]
    )
    ends = np.array([mean - 20, mean + 20])
    problem = pypesto.Problem(objective, *ends, x_names=list(density.names))
    result = package("pypesto.optimize").minimize(problem, n_starts=3, progress_bar=False)
    assert result.optimize_result.x[0] == pytest.approx(mean, rel=1e-4)


def test_simulations_and_draws_of_the_prior_are_what_inference_without_a_likelihood_needs(
    line: tuple[Density, np.ndarray, np.ndarray],
) -> None:
    """A regression of parameters on simulated data is the posterior mean, since all is normal."""
    density, mean, _ = line
    theta = density.prior_draws(20_000, seed=1)
    data = np.column_stack([np.ones(len(theta)), density.simulate(theta, seed=2)])
    weights = np.linalg.lstsq(data, theta, rcond=None)[0]
    estimate = np.concatenate([[1.0], density.observed["lower"]]) @ weights
    assert estimate == pytest.approx(mean, abs=0.05)
