"""The sampler against targets whose moments are known, and its promises about seeds and interruptions."""

from dataclasses import replace

import numpy as np
import pytest
from arviz_stats.base import array_stats
from thorough import share

from calibration.inference.sample.chains import Chains, run
from calibration.inference.sample.convergence import (
    CONVERGED,
    Criteria,
    Effort,
    convergence,
    effective,
    one_by_one,
    poorest,
)
from calibration.inference.sample.densities import Unconstrained, prior_draws
from calibration.inference.sample.moves import MOVES, along_powers, step
from calibration.noise.priors import Beta, Exponential, LogNormal, Normal, Uniform
from calibration.study.parameters import Parameter, ParameterSpace
from cipark_sd.base.checkpoints import Checkpoints, CheckpointWarning

EFFORT = Effort(ensembles=4, walkers=24, block=100, most_steps=2000, least_steps=400)


def same(x):
    return x


def chains(target, k, seed, effort=EFFORT, **more) -> Chains:
    streams = np.random.default_rng(seed).spawn(effort.ensembles)

    def start():
        return np.stack([stream.normal(0, 3, (effort.walkers, k)) for stream in streams])

    return run(target, start, streams, tuple(f"x{i}" for i in range(k)), same, effort, **more)


PRECISION = np.linalg.inv([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 100.0]])


def gaussian(x):
    return -0.5 * np.einsum("ni,ij,nj->n", x, PRECISION, x)


def banana(x):
    return -0.5 * x[:, 0] ** 2 - 0.5 * ((x[:, 1] - x[:, 0] ** 2) / 0.5) ** 2


def test_moments_of_a_correlated_gaussian_are_found():
    found = chains(gaussian, 3, 1, Effort(walkers=24, most_steps=1600, least_steps=1600))
    points = found.second_half.reshape(-1, 3)
    for i, sd in enumerate((1, 1, 10)):
        assert abs(points[:, i].mean()) < 4 * found.lines[i].mcse_mean
        assert points[:, i].std() == pytest.approx(sd, rel=0.03)
    assert np.corrcoef(points.T)[0, 1] == pytest.approx(0.9, abs=0.01)


def test_moments_of_a_banana_are_found():
    found = chains(banana, 2, 2, Effort(walkers=24, most_steps=2400, least_steps=2400))
    points = found.second_half.reshape(-1, 2)
    assert points[:, 0].var() == pytest.approx(1, rel=0.06)
    # the mean of a squared standard normal
    assert points[:, 1].mean() == pytest.approx(1, abs=0.08)
    assert np.median(points[:, 1] - points[:, 0] ** 2) == pytest.approx(0, abs=0.03)


def test_the_snooker_alone_keeps_a_gaussian(monkeypatch):
    monkeypatch.setattr("calibration.inference.sample.moves.SNOOKER", 1.0)
    rngs = np.random.default_rng(3).spawn(1)
    target = lambda x: -0.5 * (x**2).sum(axis=1)  # noqa: E731
    position = rngs[0].normal(size=(1, 200, 5))
    logs = target(position[0])[None]
    seen = []
    for _ in range(1500):
        position, logs = step(target, position, logs, rngs)
        seen.append(position[0])
    assert np.var(seen, axis=(0, 1)) == pytest.approx(np.ones(5), rel=0.05)


def test_the_same_seed_gives_the_same_bits():
    effort = Effort(walkers=24, most_steps=100, least_steps=100)
    one, two = chains(gaussian, 3, 4, effort), chains(gaussian, 3, 4, effort)
    assert np.array_equal(one.position, two.position)


def test_an_ensemble_does_not_depend_on_how_many_there_are():
    few = Effort(ensembles=2, walkers=24, most_steps=100, least_steps=100)
    many = Effort(ensembles=4, walkers=24, most_steps=100, least_steps=100)
    assert np.array_equal(chains(gaussian, 3, 5, few).position, chains(gaussian, 3, 5, many).position[:2])


def test_an_interrupted_run_goes_on_to_the_same_bits(tmp_path):
    effort = Effort(walkers=24, block=50, most_steps=400, least_steps=400)
    whole = chains(gaussian, 3, 6, effort)
    calls = 0

    def stopping(x):
        nonlocal calls
        calls += 1
        if calls == 300:
            raise KeyboardInterrupt
        return gaussian(x)

    part = chains(stopping, 3, 6, effort, saved=Checkpoints(tmp_path).entry("chains"))
    assert part.interrupted
    assert part.n_steps == 100
    resumed = chains(gaussian, 3, 6, effort, saved=Checkpoints(tmp_path).entry("chains"))
    assert not resumed.interrupted
    assert np.array_equal(resumed.position, whole.position)


OFTEN_JUDGED = Effort(ensembles=2, walkers=12, block=20, most_steps=2000, least_steps=40)


@pytest.fixture(scope="module")
def never_stopped() -> Chains:
    return chains(gaussian, 3, 1, OFTEN_JUDGED)


@pytest.mark.parametrize("stop", [150, 420, 610])
def test_a_stop_does_not_move_the_steps_at_which_chains_are_judged(stop, never_stopped, tmp_path):
    # judgements that count from the stop end there as well where chains of 400 steps are enough
    assert 600 < never_stopped.n_steps < OFTEN_JUDGED.most_steps
    calls = 0

    def stopping(x):
        nonlocal calls
        calls += 1
        if calls == stop:
            raise KeyboardInterrupt
        return gaussian(x)

    chains(stopping, 3, 1, OFTEN_JUDGED, saved=Checkpoints(tmp_path).entry("chains"))
    resumed = chains(gaussian, 3, 1, OFTEN_JUDGED, saved=Checkpoints(tmp_path).entry("chains"))
    assert np.array_equal(resumed.position, never_stopped.position)


UNREACHED = Criteria(r_hat=1.01, ess=1e9)


@pytest.mark.parametrize(("first", "then"), [(120, 80), (50, 120), (120, 50), (80, 120)])
def test_another_budget_takes_the_steps_that_it_would_have_taken_alone(tmp_path, first, then):
    """Fewer or more steps than are kept, whole numbers of blocks or not."""
    before, after = (
        Effort(walkers=12, block=20, most_steps=n, least_steps=min(n, 40), criteria=UNREACHED) for n in (first, then)
    )
    saved = Checkpoints(tmp_path).entry("chains")
    chains(gaussian, 3, 1, before, saved=saved)
    again, alone = chains(gaussian, 3, 1, after, saved=saved), chains(gaussian, 3, 1, after)
    assert np.array_equal(again.position, alone.position)
    assert again.lines == alone.lines


def test_a_budget_that_cuts_a_block_does_not_shift_the_looks_of_a_larger_one(tmp_path):
    wanted = Criteria(r_hat=1.2, ess=50)
    cut, whole = (Effort(walkers=24, most_steps=n, least_steps=min(n, 400), criteria=wanted) for n in (250, 2000))
    saved = Checkpoints(tmp_path).entry("chains")
    assert chains(gaussian, 3, 1, cut, saved=saved).n_steps == 250
    again, alone = chains(gaussian, 3, 1, whole, saved=saved), chains(gaussian, 3, 1, whole)
    assert again.n_steps == alone.n_steps < 2000
    assert np.array_equal(again.position, alone.position)


def test_damaged_chains_are_drawn_anew_with_a_warning(tmp_path):
    effort = Effort(walkers=24, most_steps=200, least_steps=200)
    saved = Checkpoints(tmp_path).entry("chains")
    whole = chains(gaussian, 3, 1, effort, saved=saved)
    saved.path.write_bytes(saved.path.read_bytes()[:-100])
    with pytest.warns(CheckpointWarning, match="not signed by this user"):
        again = chains(gaussian, 3, 1, effort, saved=saved)
    assert np.array_equal(again.position, whole.position)


def test_ensembles_in_different_modes_are_reported_as_not_converged():
    def two_modes(x):
        return np.logaddexp(-0.5 * ((x - 30) ** 2).sum(axis=1), -0.5 * ((x + 30) ** 2).sum(axis=1))

    streams = np.random.default_rng(7).spawn(4)
    start = np.stack([s.normal(30 * sign, 1, (24, 2)) for s, sign in zip(streams, (1, 1, -1, -1), strict=True)])
    effort = replace(EFFORT, most_steps=600)
    found = run(two_modes, lambda: start, streams, ("a", "b"), same, effort)
    assert not found.converged
    assert found.n_steps == effort.most_steps
    assert poorest(found.lines).r_hat > 1.5


def wide(x):
    return -0.5 * (x**2).sum(axis=1) / 100


def start_from(likelihood, seed, n=1000, k=3):
    """Draws of the prior :func:`wide`, annealed."""
    rng = np.random.default_rng(seed)
    return along_powers(wide, likelihood, rng.normal(0, 10, (n, k)), rng, moves=MOVES)[0]


def test_modes_keep_the_share_that_belongs_to_them():
    """One four times as probable as the other, whose peak is the higher of the two: its volume is 1/8."""

    def two_modes(x):
        broad = np.log(0.8) - 0.5 * (((x - 8) / 2) ** 2).sum(axis=1)
        narrow = np.log(0.2 * 8) - 0.5 * ((x + 8) ** 2).sum(axis=1)
        return np.logaddexp(broad, narrow)

    shares = [(start_from(two_modes, seed)[:, 0] > 0).mean() for seed in range(10)]
    assert np.mean(shares) == pytest.approx(0.8, abs=0.04)


def test_no_walker_starts_in_a_mode_of_no_weight():
    def with_a_hollow(x):
        return np.logaddexp(-0.5 * ((x - 8) ** 2).sum(axis=1), -20 - 0.5 * ((x + 8) ** 2).sum(axis=1))

    assert (start_from(with_a_hollow, 3)[:, 0] > 0).all()


def test_data_that_are_far_more_precise_than_the_prior_are_reached():
    centre = np.array([1.0, -2.0, 5.0])
    found = start_from(lambda x: -0.5 * (((x - centre) / 1e-4) ** 2).sum(axis=1), 6)
    assert len(np.unique(found, axis=0)) > 100
    assert found.mean(axis=0) == pytest.approx(centre, abs=1e-3)


def test_the_evidence_along_powers_is_that_of_two_normals():
    """Three data of variance 0.25 at 2, the prior N(0, 100): the evidence is N(2; 0, 100.25) for each."""

    def data(x):
        return -0.5 * ((x - 2) ** 2 / 0.25 + np.log(2 * np.pi * 0.25)).sum(axis=1)

    exact = 3 * -0.5 * (4 / 100.25 + np.log(2 * np.pi * 100.25))
    found = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        found.append(along_powers(wide, data, rng.normal(0, 10, (800, 3)), rng, moves=6)[1])
    assert np.mean(found) == pytest.approx(exact, abs=0.1)


def test_annealed_draws_of_a_normal_posterior_have_its_moments():
    precision = np.array([[9.0, 4.0, 0.0], [4.0, 4.0, 1.0], [0.0, 1.0, 1.0]])
    centre = np.array([1.0, -2.0, 5.0])

    def likelihood(x):
        return -0.5 * np.einsum("ni,ij,nj->n", x - centre, precision, x - centre)

    found = start_from(likelihood, 4, n=4000)
    cov = np.linalg.inv(precision + np.eye(3) / 100)
    assert found.mean(axis=0) == pytest.approx(cov @ precision @ centre, abs=0.1)
    assert np.cov(found.T) == pytest.approx(cov, rel=0.15, abs=0.05)


def test_an_impossible_half_of_the_prior_does_not_stop_the_annealing():
    found = start_from(lambda x: np.where(x[:, 0] > 0, -0.5 * ((x - 8) ** 2).sum(axis=1), -np.inf), 5)
    assert found.mean(axis=0) == pytest.approx([8 / 1.01] * 3, abs=0.2)


def test_chains_that_begin_with_a_lost_walker_have_not_converged():
    logs = np.full((2, 400, 24), -1.0)
    logs[1, 200:, 3] = -80
    steady = convergence(("x",), np.random.default_rng(1).normal(size=(2, 200, 24, 1)))
    position = np.zeros((2, 400, 24, 1))
    assert Chains(position, logs[:1], steady).converged
    lost = Chains(position, logs, steady)
    assert not lost.converged
    assert not lost.reaches(Criteria(r_hat=2.0, ess=0.0))
    assert lost.n_stranded == 1


def test_a_quantity_that_never_moves_has_not_converged():
    found = convergence(["stuck"], np.ones((4, 100, 8, 1)))
    assert not found[0].reaches(CONVERGED)


def test_with_one_walker_the_statistics_are_those_of_arviz():
    rng = np.random.default_rng(8)
    noise = rng.normal(size=(4, 1000))
    series = np.zeros_like(noise)
    for t in range(1, 1000):
        series[:, t] = 0.7 * series[:, t - 1] + noise[:, t]
    one = convergence(["x"], series[:, :, None, None])[0]
    assert one.r_hat == pytest.approx(array_stats.rhat(series, chain_axis=0, draw_axis=1, method="rank"), rel=1e-12)
    assert one.ess_bulk == pytest.approx(array_stats.ess(series, chain_axis=0, draw_axis=1, method="bulk"), rel=0.01)
    assert one.ess_tail == pytest.approx(
        array_stats.ess(series, chain_axis=0, draw_axis=1, method="tail", prob=(0.05, 0.95)), rel=0.02
    )
    assert one.mcse_mean == pytest.approx(array_stats.mcse(series, chain_axis=0, draw_axis=1, method="mean"), rel=0.02)


def test_walkers_that_lie_apart_are_seen_by_r_hat_as_a_file_has_them():
    """One walker follows the other in a file, so that ArviZ splits a chain into two halves of the walkers."""
    rng = np.random.default_rng(10)
    values = rng.normal(size=(4, 60, 8))
    values[:, :, 4:] += 0.6
    theirs = array_stats.rhat(one_by_one(values), chain_axis=0, draw_axis=1, method="rank")
    assert theirs > 1.03
    assert convergence(["x"], values[..., None])[0].r_hat == pytest.approx(theirs, rel=1e-9)


def test_effective_draws_count_what_walkers_share():
    """Walkers that move together are worth one of them."""
    course = np.random.default_rng(9).normal(size=(4, 500, 1))
    together = np.repeat(course, 10, axis=2)
    assert effective(together) == pytest.approx(effective(course), rel=0.15)


@pytest.mark.slow
def test_effective_draws_predict_the_scatter_of_means_of_independent_ensembles():
    n = share(28, 100)
    found = chains(gaussian, 3, 14, Effort(ensembles=n, walkers=24, most_steps=400, least_steps=400))
    values = found.second_half[..., 0]
    scatter = values.mean(axis=(1, 2)).var(ddof=1)
    # a variance from 28 means is known to 27%, from 100 to 14%
    assert values.var() / scatter == pytest.approx(effective(values) / n, rel=0.45)


SPACE = ParameterSpace(
    (
        Parameter("a", Normal(1, 2)),
        Parameter("b", LogNormal(1, 1), 0.1, 6.0, "log"),
        Parameter("c", Uniform(-1, 3), -1, 3),
        Parameter("d", Beta(2, 3), scale="logit"),
        Parameter("e", Exponential(2)),
        Parameter("f", Normal(0, 1), upper=0.5),
    )
)


def test_free_coordinates_go_back_and_forth():
    coordinates = Unconstrained(SPACE)
    theta = prior_draws(SPACE, 200, np.random.default_rng(10))
    assert coordinates.theta(coordinates.free(theta)) == pytest.approx(theta, rel=1e-9)


def test_the_log_jacobian_is_the_derivative():
    coordinates = Unconstrained(SPACE)
    free = np.random.default_rng(11).normal(size=(20, len(SPACE)))
    h = 1e-6
    slopes = [
        (coordinates.theta(free + h * e) - coordinates.theta(free - h * e))[:, i] / (2 * h)
        for i, e in enumerate(np.eye(len(SPACE)))
    ]
    assert coordinates.log_jacobian(free) == pytest.approx(np.log(slopes).sum(axis=0), abs=1e-6)


def test_priors_alone_are_sampled_as_they_are():
    coordinates = Unconstrained(SPACE)

    def target(free):
        return SPACE.log_prior(coordinates.theta(free)) + coordinates.log_jacobian(free)

    found = chains(target, len(SPACE), 12, Effort(walkers=24, most_steps=800, least_steps=800))
    uniform = SPACE.to_unit(coordinates.theta(found.second_half.reshape(-1, len(SPACE))))
    for q in (0.1, 0.5, 0.9):
        assert (uniform < q).mean(axis=0) == pytest.approx(np.full(len(SPACE), q), abs=0.03)
