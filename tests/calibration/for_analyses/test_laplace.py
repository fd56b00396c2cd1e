"""The Laplace approximation against the posterior itself, computed on a grid."""

import json

import h5netcdf
import numpy as np
import pytest
from scipy import stats
from small_study import COUNTS, small_study

from calibration.assess.rival_draws import draws_file
from calibration.for_analyses.approximation import approximated, optimum_of
from calibration.for_analyses.contradiction import CENTRAL, contradictions
from calibration.for_analyses.study_draws import draws_from_file
from calibration.likelihood.posterior import On
from calibration.sampling.free_density import prior_draws
from calibration.sampling.laplace import _inverse, laplace
from cipark_sd.checkpoints import NOT_KEPT, Checkpoints
from cipark_sd.experiments.definition import Structure
from cipark_sd.scenarios import Scenario


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    return small_study(tmp_path_factory.mktemp("leaving"))


@pytest.fixture(scope="module")
def density(problem):
    return On("native")(problem)


@pytest.fixture(scope="module")
def exact(density):
    """Moments of log size and log rate by quadrature."""
    size, rate = np.meshgrid(np.linspace(np.log(40), np.log(400), 150), np.linspace(np.log(0.03), np.log(1), 150))
    logs = np.column_stack([size.ravel(), rate.ravel()])
    # the density of the logarithms has the values themselves as its derivative
    weights = density.log_posterior(np.exp(logs)) + logs.sum(axis=1)
    weights = np.exp(weights - weights.max())
    weights /= weights.sum()
    mean = weights @ logs
    return mean, ((logs - mean).T * weights) @ (logs - mean)


def test_moments_are_near_those_of_the_posterior(density, exact):
    found = laplace(density, np.array([100.0, 0.2]), 4000, np.random.default_rng(1))
    logs = np.log(found.theta)
    mean, covariance = exact
    sd = np.sqrt(np.diag(covariance))
    error = 1 / np.sqrt(found.effective)
    assert found.effective > 1000
    assert np.abs(logs.mean(axis=0) - mean) / sd == pytest.approx([0, 0], abs=4 * error)
    assert logs.std(axis=0) == pytest.approx(sd, rel=4 * error)
    assert np.corrcoef(logs.T)[0, 1] == pytest.approx(covariance[0, 1] / sd.prod(), abs=4 * error)
    assert found.pareto_k < 0.7


def test_the_same_seed_gives_the_same_draws(density):
    one, two = (laplace(density, np.array([100.0, 0.2]), 500, np.random.default_rng(3)).theta for _ in range(2))
    assert np.array_equal(one, two)


def test_the_mode_does_not_depend_on_where_the_search_starts(density):
    found = [laplace(density, np.array(start), 10, np.random.default_rng(1)) for start in ([100, 0.2], [400, 0.9])]
    assert found[0].mode == pytest.approx(found[1].mode, abs=1e-3)


def test_an_approximation_that_is_far_from_the_posterior_says_so(density, monkeypatch):
    # a tenth of the width: the posterior reaches far beyond all draws
    monkeypatch.setattr("calibration.sampling.laplace._inverse", lambda curvature: np.linalg.inv(curvature) / 100)
    assert laplace(density, np.array([100.0, 0.2]), 10, np.random.default_rng(1)).pareto_k > 0.7


RIVALS = (Structure("M0", "as it stands"), Structure("M1", "twice the pace", Scenario("", {"pace": 2.0})))


def test_each_structure_has_draws_at_its_own_optimum_and_kept_ones_are_not_made_again(problem, tmp_path, monkeypatch):
    kept = Checkpoints.in_output(tmp_path)
    files, refuted = approximated(problem, RIVALS, None, tmp_path, 1, engine="native", checkpoints=kept)
    assert refuted == ()
    rates = {name: draws_from_file(problem, path, name).values["rate"] for name, path in files.items()}
    # with twice the pace half the rate gives the same course, but for the prior that holds it near 0.2
    assert np.median(rates["M1"]) < 0.75 * np.median(rates["M0"])
    before = files["M1"].read_bytes()
    monkeypatch.setattr("calibration.for_analyses.approximation.laplace", None)
    assert approximated(problem, RIVALS, None, tmp_path, 1, engine="native", checkpoints=kept)[0] == files
    assert files["M1"].read_bytes() == before


@pytest.mark.parametrize(("estimate", "interrupted"), [("map", False), ("ml", False), ("map", True)])
def test_the_estimate_of_a_whole_fit_is_the_optimum_of_its_own_structure(
    problem, density, tmp_path, estimate, interrupted
):
    """Of any structure, and after a fit by likelihood or half a one, what a search finds."""
    theta = {"size": 120.0, "rate": 0.21}
    likelihood = float(density.log_likelihood(np.array([list(theta.values())]))[0])
    record = {"parameters": theta, "log_likelihood": likelihood, "estimate": estimate, "interrupted": interrupted}
    (tmp_path / "fit.json").write_text(json.dumps(record))
    files, _ = approximated(problem, RIVALS, tmp_path, tmp_path, 1, engine="native", checkpoints=NOT_KEPT)
    optima = {}
    for name, path in files.items():
        with h5netcdf.File(path, "r") as file:
            optima[name] = file.attrs["optimum"].tolist()
    taken = estimate == "map" and not interrupted
    assert (optima["M0"] == pytest.approx(list(theta.values()), rel=1e-12)) == taken
    assert optima["M1"][1] < 0.75 * 0.21


def test_what_a_file_says_of_its_draws_is_read_with_them(problem, tmp_path):
    kept = NOT_KEPT
    files, _ = approximated(problem, RIVALS[:1], None, tmp_path, 1, engine="native", checkpoints=kept)
    assert files == {"M0": draws_file(tmp_path, "M0")}
    draws = draws_from_file(problem, files["M0"], "M0")
    assert draws.origin == "laplace"
    assert draws.pareto_k < 0.7
    assert len(draws) == 1000
    assert 100 < draws.effective <= 1000
    assert "Laplace approximation" in draws.basis.sentence
    assert "; near the posterior (Pareto k" in draws.basis.sentence


def test_the_optimum_of_another_fit_is_not_taken(problem, density, tmp_path):
    theta = {"size": 120.0, "rate": 0.21}
    likelihood = float(density.log_likelihood(np.array([list(theta.values())]))[0])
    path = tmp_path / "fit.json"
    path.write_text(json.dumps({"parameters": theta, "log_likelihood": likelihood}))
    assert optimum_of(tmp_path, density) == pytest.approx(list(theta.values()))
    path.write_text(json.dumps({"parameters": theta, "log_likelihood": likelihood + 0.01}))
    assert optimum_of(tmp_path, density) is None
    path.write_text("{}")
    assert optimum_of(tmp_path, density) is None
    assert optimum_of(tmp_path / "nowhere", density) is None


def test_a_model_that_has_twice_what_was_counted_contradicts_it(density):
    rng = np.random.default_rng(1)
    spread = np.exp(rng.normal(0, 0.05, (200, 2)))
    assert list(contradictions(density, np.array([107.0, 0.2]) * spread, rng)) == []
    (found,) = contradictions(density, np.array([220.0, 0.2]) * spread, rng)
    assert (found.observation, found.lower, found.date) == ("left", sum(COUNTS), "8")
    # eight years at a fifth a year leave a fifth of the stock, and Poisson noise of 176 is 13
    assert found.model == pytest.approx(220 * (1 - np.exp(-1.6)), rel=0.03)
    assert (found.low, found.high) == pytest.approx((found.model - 1.96 * 13.2, found.model + 1.96 * 13.2), rel=0.03)
    assert str(found).startswith("left by 8: 17")
    assert str(found).endswith("85 in the data")


def test_the_middle_of_the_draws_is_judged_and_not_all_that_they_reach(density):
    rng = np.random.default_rng(1)
    wide = np.column_stack([np.exp(rng.normal(np.log(220), 0.5, 300)), np.full(300, 0.2)])
    assert wide[:, 0].min() < 100
    assert len(list(contradictions(density, wide, rng))) == 1
    assert CENTRAL == 0.95


def test_priors_near_the_data_do_not_contradict_them(density):
    assert (
        list(
            contradictions(density, prior_draws(density.space, 300, np.random.default_rng(2)), np.random.default_rng(3))
        )
        == []
    )


def test_a_curvature_that_no_covariance_can_hold_ends_nothing():
    """Flat, steep as a wall, and turning the wrong way, beside each other: what a wall of impossible data gives."""
    curvature = np.diag([2.5e13, -1e3, 0.0, 4.0])
    covariance = _inverse(curvature)
    assert np.linalg.eigvalsh(covariance).min() > 0
    stats.multivariate_t(np.zeros(4), covariance, df=5).rvs(3, random_state=1)
    assert covariance[3, 3] == pytest.approx(0.25)
