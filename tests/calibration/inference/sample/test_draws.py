"""Posterior draws: against quadrature, as a file, and random observations against the densities they claim."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from small_study import COUNTS, small_study

from calibration.inference.sample.convergence import Effort
from calibration.inference.sample.draws import draw
from calibration.inference.sample.draws import tree as tree_of
from calibration.likelihood.posterior import posterior
from calibration.likelihood.replicate import numbers, replaced, replicate, replicate_term
from calibration.likelihood.term_density import term_log_density
from calibration.noise.families.counts import NB1, NB2, Poisson
from calibration.noise.families.measurements import Normal
from calibration.noise.families.splits import Binomial, DirichletMultinomial
from calibration.study.observations import Breakdown, Count, Noise, Quantity, Share
from cipark_sd.data.results import write_netcdf
from cipark_sd.engines.registry import choose

EFFORT = Effort(walkers=24, most_steps=1200, least_steps=400)


@pytest.fixture(scope="module")
def density(tmp_path_factory):
    return posterior(small_study(tmp_path_factory.mktemp("study")), choose("native"))


def sampled(density):
    streams = np.random.default_rng(1).spawn(2)
    return tree_of(draw(density, streams[0], effort=EFFORT), streams[1], 1)


@pytest.fixture(scope="module")
def tree(density):
    return sampled(density)


def test_the_posterior_of_two_parameters_is_that_of_quadrature(density, tree):
    size, rate = np.meshgrid(np.linspace(60, 220, 161), np.linspace(0.05, 0.5, 151), indexing="ij")
    logs = density.log_posterior(np.stack([size.ravel(), rate.ravel()], axis=1)).reshape(size.shape)
    weight = np.exp(logs - logs.max())
    weight /= weight.sum()
    for name, grid in (("size", size), ("rate", rate)):
        mean = (weight * grid).sum()
        sd = np.sqrt((weight * (grid - mean) ** 2).sum())
        draws = tree["posterior"][name].to_numpy()
        assert draws.mean() == pytest.approx(mean, abs=0.08 * sd)
        assert draws.std() == pytest.approx(sd, rel=0.05)
    assert tree.attrs["converged"] == 1


def test_the_file_gives_back_what_was_written(tree, tmp_path):
    write_netcdf(tree, tmp_path / "draws.nc")
    again = xr.open_datatree(tmp_path / "draws.nc", engine="h5netcdf")
    xr.testing.assert_identical(again, tree)
    assert set(again.children) >= {"prior", "posterior", "posterior_predictive", "log_likelihood", "observed_data"}


def test_the_same_seed_gives_the_same_tree(density, tree):
    xr.testing.assert_identical(sampled(density), tree)


def test_observed_data_are_the_counts(tree):
    assert tree["observed_data"]["left"].to_numpy().tolist() == list(COUNTS)


def test_predictions_scatter_as_the_noise_does(density):
    theta = np.repeat([[100.0, 0.2]], 20000, axis=0)
    drawn = replicate(density, theta, np.random.default_rng(2))
    expected = density.quantities(theta[:1])[0]
    assert drawn.mean(axis=0) == pytest.approx(expected, rel=0.02)
    assert drawn.var(axis=0) == pytest.approx(expected, rel=0.05)


QUANTITY = Quantity((("x", 1.0),), "at", 0, 1)
COUNT = Count("c", QUANTITY, 0, 0, Noise(Poisson()))


@pytest.mark.parametrize(
    ("term", "values"),
    [
        (COUNT, [3.0]),
        (replace(COUNT, noise=Noise(NB1(), 1.5)), [3.0]),
        (replace(COUNT, noise=Noise(NB2(), 0.7)), [3.0]),
        (replace(COUNT, noise=Noise(NB1(), 0.5), gains=QUANTITY), [2.0, 3.5]),
        (Share("s", (QUANTITY, QUANTITY), 0, 0, 12.0, Noise(Binomial())), [1.0, 4.0]),
    ],
    ids=["poisson", "nb1", "nb2", "net", "share"],
)
def test_random_numbers_have_the_mass_that_the_likelihood_gives_them(term, values):
    n = 100_000
    spread = np.full(n, term.noise.spread)
    drawn = replicate_term(term, np.repeat([values], n, axis=0), spread, np.random.default_rng(3))[:, 0]
    for value in range(6):
        seen = replace(term, lower=float(value), upper=float(value))
        mass = np.exp(term_log_density(seen, np.array([values]), spread[:1])[0])
        assert (drawn == value).mean() == pytest.approx(mass, abs=5 * np.sqrt(mass / n) + 1e-9)


def test_random_breakdowns_have_the_mass_that_the_likelihood_gives_them():
    noise = Noise(DirichletMultinomial(), 4.0)
    term = Breakdown("b", ("x", "y"), (QUANTITY, QUANTITY), (1.0, 2.0), noise)
    n = 100_000
    drawn = replicate_term(term, np.repeat([[1.0, 3.0]], n, axis=0), np.full(n, 4.0), np.random.default_rng(4))
    mass = np.exp(term_log_density(term, np.array([[1.0, 3.0]]), np.array([4.0]))[0])
    assert (drawn == [1, 2]).all(axis=1).mean() == pytest.approx(mass, abs=0.005)


def test_replaced_data_are_in_the_likelihood(density):
    drawn = np.arange(8.0)
    new = replaced(density, drawn, np.random.default_rng(1))
    assert numbers(new.problem.observations)["lower"].tolist() == drawn.tolist()


def coarse(density, term, value, rng):
    observation = replace(density.problem.observations[0], terms=(term,))
    one = replace(density, problem=replace(density.problem, observations=(observation,)))
    return replaced(one, np.array([value]), rng).problem.terms[0]


def test_an_interval_around_a_random_count_is_as_frequent_as_its_likelihood_says(density):
    term = Count("c", QUANTITY, 4.0, 6.0, Noise(Poisson()))
    rng = np.random.default_rng(5)
    mean, n = np.array([[3.0]]), 20_000
    drawn = replicate_term(term, np.repeat(mean, n, axis=0), np.zeros(n), rng)[:, 0]
    ends = [(one.lower, one.upper) for one in (coarse(density, term, value, rng) for value in drawn)]
    assert {upper - lower for lower, upper in ends} == {2.0}
    for lower in (-1.0, 0.0, 2.0, 5.0):
        own = replace(term, lower=lower, upper=lower + 2)
        # each of three places of the interval around the count is as likely
        mass = np.exp(term_log_density(own, mean, np.zeros(1))[0]) / 3
        assert np.mean([end[0] == lower for end in ends]) == pytest.approx(mass, abs=0.01)


def test_an_interval_around_a_random_measurement_is_as_frequent_as_its_likelihood_says(density):
    term = Count("c", QUANTITY, 0.0, 3.0, Noise(Normal(), 1.0))
    rng = np.random.default_rng(6)
    ends = np.array([coarse(density, term, value, rng).lower for value in rng.normal(2.0, 1.0, 20_000)])
    for low in (-1.5, 0.0, 1.0):
        own = [replace(term, lower=end, upper=end + 3) for end in np.linspace(low, low + 0.5, 51)]
        density_of_end = [np.exp(term_log_density(one, np.array([[2.0]]), np.ones(1))[0]) / 3 for one in own]
        share = np.mean((ends >= low) & (ends < low + 0.5))
        assert share == pytest.approx(0.5 * np.mean(density_of_end), abs=0.01)


def test_an_open_end_stays_where_it_was_told_and_other_numbers_are_exact(density):
    term = Share("s", (QUANTITY, QUANTITY), 8.0, 27.0, 27.0, Noise(Binomial()))
    rng = np.random.default_rng(7)
    assert coarse(density, term, 8.0, rng) == coarse(density, term, 20.0, rng) == term
    below = coarse(density, term, 7.0, rng)
    assert (below.lower, below.upper) == (7.0, 7.0)
    # so the outcomes that can be told have probability 1 together
    values = np.array([[1.0, 4.0]])
    told = [term, *(replace(term, lower=float(n), upper=float(n)) for n in range(8))]
    assert sum(np.exp(term_log_density(one, values, np.zeros(1))[0]) for one in told) == pytest.approx(1, abs=1e-12)
