"""Which sampler makes the draws of a study, that both agree, and that it is said."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from small_study import small_study
from threadpoolctl import threadpool_info, threadpool_limits

from calibration.assess.rivals import left_out
from calibration.inference.sample import draws as drawing
from calibration.inference.sample import sample as sampling
from calibration.inference.sample.chains import Chains
from calibration.inference.sample.convergence import CONVERGED, Effort
from calibration.inference.sample.draws import draw
from calibration.inference.sample.sample import ImportanceDraws
from calibration.likelihood.posterior import posterior
from calibration.study.problem import read_problem
from cipark_sd.engines.registry import choose

pytestmark = pytest.mark.usefixtures("wasm")

EFFORT = Effort(walkers=24, most_steps=400, least_steps=400, effective=2000.0)
SHAPE, SCALE = 2.0, 3.0
STUDY = (
    '[model]\nfile = "model.mdl"\n[[observation]]\nname = "seen"\ntable = "data.csv"\nkind = "flow"\n'
    'variable = "rate"\nfamily = "poisson"\nstart = 0\n[[parameter]]\nname = "rate"\n'
    f'prior = {{ family = "gamma", shape = {SHAPE}, scale = {SCALE} }}\n'
)


def conjugate(folder, counts):
    """The density of a Poisson rate with a gamma prior, and its exact posterior."""
    controls = "INITIAL TIME=0~~|FINAL TIME=4~~|TIME STEP=1~~|SAVEPER=1~~|"
    (folder / "model.mdl").write_text("{UTF-8}\nrate=5~~|total=INTEG(rate,0)~~|" + controls)
    (folder / "data.csv").write_text("time,value\n" + "".join(f"{i + 1},{n}\n" for i, n in enumerate(counts)))
    (folder / "problem.toml").write_text(STUDY)
    exact = stats.gamma(SHAPE + sum(counts), scale=1 / (1 / SCALE + len(counts)))
    return posterior(read_problem(folder), choose("numpy")), exact


def exact_evidence(counts):
    total, shape, rate = 0.0, SHAPE, 1 / SCALE
    for count in counts:
        total += stats.nbinom.logpmf(count, shape, rate / (1 + rate))
        shape, rate = shape + count, rate + 1
    return total


@pytest.mark.parametrize("counts", [(4, 9, 5), (95, 99, 90)], ids=["in the prior", "far out in the prior"])
def test_draws_and_evidence_are_those_of_the_exact_posterior(tmp_path, counts):
    density, exact = conjugate(tmp_path, counts)
    sampled = draw(density, np.random.default_rng(1), effort=EFFORT).sampled
    assert isinstance(sampled, ImportanceDraws)
    line = sampled.lines[0]
    assert sampled.converged
    assert line.mean == pytest.approx(exact.mean(), abs=4 * line.mcse_mean)
    assert line.low == pytest.approx(exact.ppf(0.025), abs=4.5 * line.mcse_low)
    assert line.high == pytest.approx(exact.ppf(0.975), abs=4.5 * line.mcse_high)
    log_evidence, error = sampled.evidence
    assert error < 0.05
    assert log_evidence == pytest.approx(exact_evidence(counts), abs=4 * error)


def test_a_term_left_out_starts_from_the_draws_of_the_whole(tmp_path):
    counts = (4, 9, 5)
    density, _ = conjugate(tmp_path, counts)
    drawn = draw(density, np.random.default_rng(1), effort=EFFORT)
    logs = density.pointwise(drawn.flat)[:, 1]
    shape, rate = SHAPE + 9, 1 / SCALE + 2
    exact = stats.nbinom.logpmf(9, shape, rate / (1 + rate))
    evidence, error = drawn.sampled.evidence
    start = drawn.flat, -logs
    for known, within in ((), 0.05), ((evidence,), 3 * error + 0.03):
        elpd, mixed = left_out(density, 1, np.random.default_rng(2), EFFORT, start, *known)
        assert mixed
        assert elpd == pytest.approx(exact, abs=within)


def test_a_start_that_misleads_is_given_up(tmp_path, monkeypatch):
    """Where weights that began elsewhere cannot be trusted, draws of the prior are annealed before anything else."""
    density, exact = conjugate(tmp_path, (4, 9, 5))
    tried = []
    whole = drawing.importance

    def importance(density, rng, effort, per_chain, start, *rest):
        tried.append(start is not None)
        return "misled" if start is not None else whole(density, rng, effort, per_chain, start, *rest)

    monkeypatch.setattr(drawing, "importance", importance)
    start = (np.full((10, 1), exact.mean()), np.zeros(10))
    drawn = draw(density, np.random.default_rng(1), effort=EFFORT, start=start)
    assert tried == [True, False]
    assert drawn.sampled.lines[0].mean == pytest.approx(exact.mean(), abs=4 * drawn.sampled.lines[0].mcse_mean)


@pytest.fixture(scope="module")
def density(tmp_path_factory):
    return posterior(small_study(tmp_path_factory.mktemp("study")), choose("native"))


@pytest.fixture(scope="module")
def both(density):
    efforts = (EFFORT, replace(EFFORT, sampler="chains", most_steps=1000, least_steps=1000))
    return [draw(density, np.random.default_rng(3), effort=effort) for effort in efforts]


def test_importance_sampling_and_chains_agree(both):
    importance, chains = (drawn.sampled for drawn in both)
    assert isinstance(importance, ImportanceDraws)
    assert isinstance(chains, Chains)
    for line, other in zip(importance.lines, chains.lines, strict=True):
        for name, error in (("mean", "mcse_mean"), ("low", "mcse_low"), ("high", "mcse_high")):
            width = np.hypot(getattr(line, error), getattr(other, error))
            assert getattr(line, name) == pytest.approx(getattr(other, name), abs=4.5 * width)


def test_log_densities_are_those_of_chains_at_the_same_values(both):
    """Both on the free scale, so that one file can be set beside the other."""
    importance, chains = both
    place = np.abs(importance.flat[:, None] / chains.flat[None, :2000] - 1).max(axis=-1)
    near = np.unravel_index(place.argmin(), place.shape)
    assert importance.log_density.ravel()[near[0]] == pytest.approx(chains.log_density.ravel()[near[1]], abs=0.05)


def test_there_are_as_many_draws_as_the_points_are_worth(both):
    sampled = both[0].sampled
    worst = min(min((line.sd / line.mcse_mean) ** 2, line.ess_tail) for line in sampled.lines)
    assert 0.95 * worst - 4 <= both[0].theta.shape[0] * both[0].theta.shape[1] <= worst + 1


@pytest.mark.parametrize(
    ("pareto_k", "reason"),
    [
        (-9.0, r"Pareto k of its weights is -?\d\.\d\d, above -9"),
        (0.4, "too few of its points would have had weight"),
    ],
)
def test_chains_take_over_without_a_gradient_and_say_why(tmp_path, monkeypatch, pareto_k, reason):
    density = posterior(small_study(tmp_path), choose("wasm"))
    effort = replace(EFFORT, most_steps=100, least_steps=100, criteria=replace(CONVERGED, pareto_k=pareto_k))
    asked = draw(density, np.random.default_rng(4), effort=replace(effort, sampler="chains"))
    if pareto_k > 0:
        monkeypatch.setattr(sampling, "importance_sample", lambda *_, **__: None)
    instead = draw(density, np.random.default_rng(4), effort=effort)
    assert isinstance(instead.sampled, Chains)
    assert np.array_equal(instead.theta, asked.theta)
    assert "importance" not in asked.sampled.sentence
    assert re.search(
        rf"\(importance sampling was tried first: {reason}; no trajectory can be followed: .*go back",
        instead.sampled.sentence,
    )


@pytest.mark.parametrize(("hopeless", "sampler"), [(0.0, "importance"), (2.0, "hmc")])
def test_importance_sampling_of_many_parameters_is_given_up_early(density, monkeypatch, hopeless, sampler):
    """Where the rounds so far are worth little and their weights cannot be trusted; either alone is not enough."""
    monkeypatch.setattr(sampling, "MANY", 1)
    monkeypatch.setattr(sampling, "HOPELESS", hopeless)
    monkeypatch.setattr("calibration.inference.sample.adaptive_importance.EARLY", 1)
    effort = replace(EFFORT, block=20, most_steps=200)
    assert draw(density, np.random.default_rng(4), effort=effort).sampled.sampler == "importance"
    monkeypatch.setattr("calibration.inference.sample.adaptive_importance.RELIABLE", -9.0)
    assert draw(density, np.random.default_rng(4), effort=effort).sampled.sampler == sampler


def test_linear_algebra_has_one_thread_while_it_samples_and_its_own_after(tmp_path: Path) -> None:
    """On many threads the products of small matrices cost several times as much."""
    density = posterior(small_study(tmp_path), choose("native"))
    during: list[int] = []

    def threads() -> list[int]:
        return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

    with threadpool_limits(2, user_api="blas"):
        before = threads()
        draw(density, np.random.default_rng(1), on_block=lambda *_: during.extend(threads()))
        assert threads() == before
    assert set(during) == {1}
    assert before
