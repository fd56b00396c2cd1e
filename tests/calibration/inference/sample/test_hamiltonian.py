"""Hamiltonian Monte Carlo: distributions that are known, its warnings, and a study with a gradient."""

import itertools
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from small_study import small_study

from calibration.inference.sample import trajectories, warming
from calibration.inference.sample.convergence import (
    CONVERGED,
    EFFORT,
    LEAST_STEPS,
    MOST_STEPS,
    UNSAVED,
    Convergence,
    Criteria,
    Effort,
    affordable_steps,
    convergence,
    n_effective,
)
from calibration.inference.sample.densities import NormalScores
from calibration.inference.sample.draws import draw
from calibration.inference.sample.hamiltonian import (
    ACCEPTED,
    LEAPS,
    RunningChains,
    Sloped,
    Trajectories,
    adapted,
    suited,
)
from calibration.inference.sample.sloped_scores import SlopedScores
from calibration.inference.sample.student_mixture import StudentMixture
from calibration.inference.sample.trajectories import LEAST, Soundness, TrajectoryDraws
from calibration.inference.small_algebra import DIGITS
from calibration.likelihood.posterior import posterior
from calibration.study.sections import by_method
from cipark_sd.base.arrays import Array
from cipark_sd.base.checkpoints import Arrays, Checkpoint, Checkpoints
from cipark_sd.data.scenarios import Scenario, resolve
from cipark_sd.engines.registry import choose

SHORT = Effort(ensembles=2, block=60, most_steps=4000, sampler="hmc")


def followed(target: Sloped, start: Array, n_draws: int, rng: np.random.Generator) -> Trajectories:
    """Draws after an adaptation of 60."""
    before = RunningChains((start, *target(start)), rng)
    step = adapted(target, before, 0.3, 1.5, 60)
    return draws(RunningChains(before.stand, rng), target, step, n_draws)


def draws(chains: RunningChains, target: Sloped, step: float, n_draws: int, reach: float = 1.5) -> Trajectories:
    while chains.n_draws < n_draws:
        chains.move(target, step, reach)
    return chains.draws()


def normal(covariance: Array) -> Sloped:
    precision = np.linalg.inv(covariance)

    def target(points: Array) -> tuple[Array, Array]:
        slopes = -points @ precision
        return 0.5 * (points * slopes).sum(axis=1), slopes

    return target


def component(mean: Array, scale: float) -> StudentMixture:
    """A proposal of one component."""
    return StudentMixture(np.ones(1), mean[None], scale * np.eye(len(mean))[None])


def gaussian(covariance: Array) -> Trajectories:
    rng = np.random.default_rng(3)
    return followed(normal(covariance), rng.standard_normal((16, len(covariance))), 400, rng)


def test_a_normal_distribution_is_sampled() -> None:
    covariance = np.array([[1.0, 0.9, 0.0], [0.9, 1.2, 0.2], [0.0, 0.2, 0.3]])
    drawn = gaussian(covariance)
    for line, variance in zip(convergence(["a", "b", "c"], drawn.points[:, :, None]), np.diag(covariance), strict=True):
        assert line.r_hat < 1.02
        assert line.ess_bulk > 1000
        assert abs(line.mean) < 4 * line.mcse_mean
        assert line.sd == pytest.approx(np.sqrt(variance), rel=0.04)
    found = np.cov(drawn.points.reshape(-1, 3).T)
    np.testing.assert_allclose(found, covariance, atol=0.06)
    assert not drawn.diverged.any()


def test_jumps_give_a_small_hill_that_no_move_reaches_its_share() -> None:
    """Of 3%, by a proposal that has it with 30% and the other one where it is not."""
    shares, means = np.array([0.97, 0.03]), np.array([[0.0, 0.0], [14.0, 0.0]])

    def target(points: Array) -> tuple[Array, Array]:
        away = means - points[:, None]
        logs = np.log(shares) - 0.5 * (away**2).sum(axis=2)
        belongs = np.exp(logs - np.logaddexp.reduce(logs, axis=1, keepdims=True))
        return np.logaddexp.reduce(logs, axis=1), (belongs[..., None] * away).sum(axis=1)

    proposal = StudentMixture(np.array([0.7, 0.3]), means + 0.5, 1.3 * np.stack([np.eye(2)] * 2))
    start = np.random.default_rng(3).standard_normal((64, 2))
    found = []
    for jumped_to in (proposal, None):
        chains = RunningChains((start, *target(start)), np.random.default_rng(4), jumped_to)
        points = draws(chains, target, 0.5, 600).points[:, 100:]
        found.append(float((points[..., 0] > 7).mean()))
    assert found == [pytest.approx(0.03, abs=0.006), 0.0]


def test_tails_and_a_wall_are_sampled() -> None:
    """A gamma of shape 3 through its logarithm: skewed, its mean and variance known."""

    def target(points: Array) -> tuple[Array, Array]:
        return (3 * points - np.exp(points)).sum(axis=1), 3 - np.exp(points)

    rng = np.random.default_rng(4)
    drawn = followed(target, rng.standard_normal((16, 2)) * 0.3 + 1, 500, rng)
    values = np.exp(drawn.points)
    for line in convergence(["a", "b"], values[:, :, None]):
        assert abs(line.mean - 3) < 4 * line.mcse_mean
        assert line.sd == pytest.approx(np.sqrt(3), rel=0.06)


@pytest.mark.parametrize("step", [0.9, 1.2])
def test_steps_that_are_too_long_change_no_expectation(step: float) -> None:
    """Of a normal in 40 dimensions the squared length is 40 on average, whatever share of moves is rejected."""
    rng = np.random.default_rng(6)
    target, start = normal(np.eye(40)), rng.standard_normal((256, 40))
    drawn = draws(RunningChains((start, *target(start)), rng), target, step, 600, reach=100)
    assert 0.5 < drawn.accepted.mean() < 0.9
    (line,) = convergence(["length"], (drawn.points**2).sum(axis=2)[:, :, None, None])
    assert abs(line.mean - 40) < 4 * line.mcse_mean < 0.85


@pytest.mark.parametrize("beyond", [-np.inf, -1e5])
def test_a_wall_is_no_divergence_a_cliff_is_one_and_what_lies_beyond_is_never_drawn(beyond: float) -> None:
    """A standard normal below 1/2: its mean is minus the density there over the probability."""

    def target(points: Array) -> tuple[Array, Array]:
        inside = points[:, 0] < 0.5
        return np.where(inside, -0.5 * (points**2).sum(axis=1), beyond), np.where(inside[:, None], -points, 0.0)

    rng = np.random.default_rng(5)
    start = -np.abs(rng.standard_normal((8, 1)))
    drawn = draws(RunningChains((start, *target(start)), rng), target, 0.5, 800)
    ended, other = (drawn.walled, drawn.diverged) if beyond == -np.inf else (drawn.diverged, drawn.walled)
    assert 0.03 < ended[drawn.careful].mean() < 0.9
    assert not other.any()
    assert not drawn.accepted[ended].any()
    assert drawn.points.max() < 0.5
    expected = -np.exp(-0.125) / np.sqrt(2 * np.pi) / 0.6914625
    (line,) = convergence(["a"], drawn.points[:, :, None])
    assert abs(line.mean - expected) < 4 * line.mcse_mean < 0.2


def test_a_wall_on_the_way_leaves_the_step_as_it_is() -> None:
    """Many trajectories end at it, whatever the step; one that is far too large meets it at once, and gets smaller."""

    def target(points: Array) -> tuple[Array, Array]:
        inside = points[:, 0] < 0
        return np.where(inside, -0.5 * (points**2).sum(axis=1), -np.inf), -points

    start = np.full((32, 2), -0.5)
    chains = RunningChains((start, *target(start)), np.random.default_rng(1))
    step = adapted(target, chains, 0.3, 1.5, 60)
    assert chains.draws().walled.mean() > 0.1
    assert step > 0.1

    def narrow(points: Array) -> tuple[Array, Array]:
        inside = (np.abs(points) < 1e-3).all(axis=1)
        return np.where(inside, 0.0, -np.inf), np.zeros_like(points)

    start = np.zeros((32, 2))
    chains = RunningChains((start, *narrow(start)), np.random.default_rng(1))
    assert adapted(narrow, chains, 0.3, 1.5, 60) < 1e-3


def test_jumps_let_fewer_moves_be_accepted_and_a_smooth_density_does_not() -> None:
    """Shorter steps meet a jump as often a length of path; longer ones go farther for as many gradients."""
    smooth = normal(np.eye(8))

    def jumping(points: Array) -> tuple[Array, Array]:
        logs, slopes = smooth(points)
        return logs - 2.5 * (np.floor(points * 2).sum(axis=1) % 2), slopes

    speeds = {}
    for name, target in (("smooth", smooth), ("jumping", jumping)):
        rng = np.random.default_rng(5)
        start = rng.standard_normal((64, 8))
        chains = RunningChains((start, *target(start)), rng)
        step = adapted(target, chains, 0.3, 1.5, 120)
        accepted, longer = suited(chains.draws(40), step, 1.5)
        if name == "smooth":
            assert (accepted, longer) == (ACCEPTED, step)
            continue
        assert 0.6 < accepted < 0.85
        for share in (ACCEPTED, accepted):
            before = RunningChains(chains.stand, rng)
            step = adapted(target, before, step, 1.5, 120, share)
            away = draws(RunningChains(before.stand, rng), target, step, 20).points
            speeds[share] = float(((away[:, -1] - away[:, 0]) ** 2).mean())
    assert speeds[accepted] > 1.3 * speeds[ACCEPTED]


def test_a_wall_and_a_chain_that_sticks_do_not_lengthen_steps() -> None:
    """Both reject moves of any length."""
    target = normal(np.eye(4))
    start = np.random.default_rng(1).standard_normal((64, 4))
    chains = RunningChains((start, *target(start)), np.random.default_rng(2))
    step = adapted(target, chains, 0.3, 1.5, 120)
    drawn = chains.draws(40)
    assert suited(drawn, step, 1.5) == (ACCEPTED, step)
    sticking = np.arange(64)[:, None] < 4
    assert suited(replace(drawn, accepted=np.where(sticking, 0.1, drawn.accepted)), step, 1.5) == (ACCEPTED, step)
    walled = np.random.default_rng(3).random(drawn.walled.shape) < 0.2
    met = replace(drawn, accepted=np.where(walled, 0.0, drawn.accepted), walled=walled)
    assert suited(met, step, 1.5) == (ACCEPTED, step)


def test_chains_that_accept_little_are_found() -> None:
    """One begins where the normal is a hundredth as wide as the step can follow."""

    def target(points: Array) -> tuple[Array, Array]:
        narrow = np.where(points[:, :1] > 50, 1e4, 1.0)
        away = points - np.where(points[:, :1] > 50, 100.0, 0.0)
        return -0.5 * (narrow * away**2).sum(axis=1), -narrow * away

    start = np.array([[0.1], [-0.2], [100.0], [0.3]])
    chains = RunningChains((start, *target(start)), np.random.default_rng(2))
    draws(chains, target, 0.5, 40)
    assert chains.stuck.tolist() == [False, False, True, False]


def test_the_same_seed_gives_the_same_bits() -> None:
    first, again = (gaussian(np.eye(3)) for _ in range(2))
    assert np.array_equal(first.points, again.points)


@pytest.mark.parametrize("stop", [0, 1, 60])
def test_chains_go_on_from_their_arrays_to_the_same_bits(stop: int) -> None:
    """By whatever stream; what they went on from stays as it was."""
    target = normal(np.diag([1.0, 4.0, 0.2]))

    def begun(seed: int) -> RunningChains:
        start = np.linspace(-1, 1, 12).reshape(4, 3)
        return RunningChains((start, *target(start)), np.random.default_rng(seed), component(np.zeros(3), 1.5))

    whole = draws(begun(1), target, 0.2, 90)
    stopped = begun(1)
    draws(stopped, target, 0.2, stop)
    kept = stopped.arrays()
    draws(stopped, target, 0.2, stop + 10)
    again = RunningChains.of(kept, np.random.default_rng(9))
    assert again.n_draws == stop
    gone_on = draws(again, target, 0.2, 90)
    for field in fields(Trajectories):
        assert np.array_equal(getattr(gone_on, field.name), getattr(whole, field.name)), field.name


def test_slopes_of_the_scores_are_differences(tmp_path: Path) -> None:
    density = posterior(small_study(tmp_path), choose("numpy"))
    scores = NormalScores(density)
    cloud = np.random.default_rng(0).standard_normal((50, 2)) * 0.4
    target = SlopedScores.around(scores, cloud)
    points = target.points_of(cloud[:4])
    np.testing.assert_allclose(target.scores_of(points), cloud[:4], atol=1e-12)
    logs, slopes = target(points)
    inside = scores.log_prior(cloud[:4]) + scores.log_likelihood(cloud[:4])
    np.testing.assert_allclose(logs, inside, rtol=1e-12)
    for place in range(2):
        step = np.zeros(2)
        step[place] = 1e-6
        slope = (target(points + step)[0] - target(points - step)[0]) / 2e-6
        np.testing.assert_allclose(slopes[:, place], slope, rtol=2**-DIGITS, atol=2**-DIGITS)


@pytest.fixture(scope="module", autouse=True)
def every_draw_is_kept() -> Iterator[None]:
    """Draws of a longer run are others where they are thinned; two parameters are learnt from a third of the moves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trajectories, "KEPT", 10_000)
        for name, moves in {"WARMING": 20, "RUNG": 4, "WINDOW": 30, "LAST": 20}.items():
            patch.setattr(warming, name, moves)
        yield


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> TrajectoryDraws:
    density = posterior(small_study(tmp_path_factory.mktemp("hmc")), choose("native"))
    sampled = draw(density, np.random.default_rng(1), effort=SHORT).sampled
    assert isinstance(sampled, TrajectoryDraws)
    return sampled


def test_trajectories_agree_with_importance_sampling(drawn: TrajectoryDraws, tmp_path: Path) -> None:
    density = posterior(small_study(tmp_path), choose("native"))
    weighed = draw(density, np.random.default_rng(1), effort=EFFORT).sampled
    assert weighed.sampler == "importance"
    for own, other in zip(drawn.lines, weighed.lines, strict=True):
        assert abs(own.mean - other.mean) < 4 * np.hypot(own.mcse_mean, other.mcse_mean)
        assert own.sd == pytest.approx(other.sd, rel=0.15)


def stopping(*_: object) -> None:
    raise KeyboardInterrupt


def test_draws_are_the_same_whatever_the_workers(drawn: TrajectoryDraws, tmp_path: Path) -> None:
    from cipark_sd.engines.native.engine import NativeEngine

    density = posterior(small_study(tmp_path), NativeEngine(workers=2))
    first = draw(density, np.random.default_rng(1), effort=SHORT, on_block=stopping).sampled
    assert np.array_equal(first.position, drawn.position[:, : first.n_steps])


def test_a_stop_changes_no_bit_and_ensembles_of_that_name_are_left_alone(
    drawn: TrajectoryDraws, tmp_path: Path
) -> None:
    """Stopped some moves after its first look, and gone on with; so too after ensembles under the same name."""
    density = posterior(small_study(tmp_path), choose("native"))
    saved, save, written = Checkpoints(tmp_path).entry("chains"), Checkpoint.save, itertools.count(1)

    def stopping_among_moves(entry: Checkpoint, arrays: Arrays) -> None:
        save(entry, arrays)
        if next(written) == 135:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trajectories, "SAVING", -1)
        patch.setattr(Checkpoint, "save", stopping_among_moves)
        part = draw(density, np.random.default_rng(1), effort=SHORT, saved=saved).sampled
    assert part.interrupted
    # among the moves after the first look, so that some are left to be made
    assert 120 < next(written) - 2 < drawn.n_moves
    gone_on = draw(density, np.random.default_rng(1), effort=SHORT, saved=saved).sampled
    assert np.array_equal(gone_on.position, drawn.position)
    assert part.n_steps == 120 < drawn.n_steps
    assert np.array_equal(part.position, drawn.position[:, :120])
    chains = replace(SHORT, sampler="chains", walkers=12, block=20, most_steps=40)
    alone, beside = (
        draw(density, np.random.default_rng(1), effort=chains, saved=entry).sampled for entry in (UNSAVED, saved)
    )
    assert np.array_equal(alone.position, beside.position)
    whole = draw(density, np.random.default_rng(1), effort=SHORT, saved=saved).sampled
    assert isinstance(whole, TrajectoryDraws)
    assert np.array_equal(whole.position, drawn.position)
    assert whole.n_gradients == drawn.n_gradients
    resumed = draw(density, np.random.default_rng(1), effort=SHORT, saved=saved, on_block=stopping).sampled
    assert resumed.interrupted


def test_draws_that_are_not_sound_have_not_converged(drawn: TrajectoryDraws) -> None:
    loose = Criteria(r_hat=9.0, ess=1.0)
    assert replace(drawn, soundness=Soundness(diverged=0.005)).reaches(loose)
    assert not replace(drawn, soundness=Soundness(diverged=0.05)).reaches(loose)
    assert "64 chains of" in drawn.sentence
    assert "(importance sampling was tried first: k is 0.9)" in replace(drawn, reason="k is 0.9").sentence


def test_few_effective_draws_may_be_used_but_none_that_lack_an_optimum(drawn: TrajectoryDraws) -> None:
    def with_size(size: float) -> TrajectoryDraws:
        lines = tuple(replace(line, r_hat=1.04, ess_bulk=900.0, ess_tail=size) for line in drawn.lines)
        return replace(drawn, lines=lines, soundness=Soundness())

    assert with_size(394.0).converged
    assert not with_size(394.0).reaches(CONVERGED)
    assert not with_size(99.0).converged
    lacking = replace(with_size(900.0), missing="the draws lack the optimum at p 1.98")
    assert not lacking.converged
    assert lacking.obstacle == "the draws lack the optimum at p 1.98"
    assert n_effective(with_size(394.0).lines) == 394.0
    assert n_effective([Convergence("still")]) == 0.0


def test_what_stands_in_the_way_is_the_parameter_that_moves_slowly_or_what_is_not_sound(
    drawn: TrajectoryDraws,
) -> None:
    first = drawn.lines[0]
    lines = tuple(replace(line, r_hat=1.0, ess_bulk=900.0, ess_tail=900.0) for line in drawn.lines[1:])
    steps = drawn.n_gradients // drawn.soundness.n_chains
    slow = replace(drawn, lines=(replace(first, r_hat=1.004, ess_bulk=50.0, ess_tail=900.0), *lines))
    assert slow.obstacle == (
        f"chains move slowly in {first.name} (R-hat 1.004, 50 of 100 effective draws): "
        f"--steps {1000 * -(-2 * steps // 1000)} may be enough, or a narrower prior of it"
    )
    apart = replace(slow, lines=(replace(first, r_hat=1.2, ess_bulk=50.0, ess_tail=900.0), *lines))
    assert f"--steps {1000 * -(-4 * steps // 1000)} " in apart.obstacle
    modes = replace(slow, soundness=replace(drawn.soundness, modes="The posterior has 2 modes."))
    assert modes.obstacle.startswith(f"there are several modes, within which chains move slowly in {first.name} ")
    elsewhere = replace(slow, soundness=replace(drawn.soundness, n_apart=8, apart="a"))
    assert elsewhere.obstacle == "8 chains stay at other optima, apart in a, whose weight is not known"
    diverged = replace(slow, soundness=Soundness(diverged=0.05, n_chains=64))
    assert "too many to trust the draws" in diverged.obstacle


def test_trajectories_are_followed_where_weights_fail(tmp_path: Path) -> None:
    """The order: weights first, then trajectories, ensembles where there is no gradient."""
    density = posterior(small_study(tmp_path), choose("native"))
    effort = replace(SHORT, sampler="importance", walkers=24, least_steps=40, most_steps=200, block=20)
    effort = replace(effort, criteria=replace(effort.criteria, pareto_k=-9.0))
    instead = draw(density, np.random.default_rng(1), effort=effort).sampled
    assert instead.sampler == "hmc"
    assert "importance sampling was tried first: Pareto k" in instead.sentence


def test_a_budget_of_steps_ends_the_chains_and_a_larger_one_goes_on(drawn: TrajectoryDraws, tmp_path: Path) -> None:
    """To the bits of a budget that was large from the start; and chains that went further give the first of them."""
    density = posterior(small_study(tmp_path), choose("native"))
    saved = Checkpoints(tmp_path).entry("chains")
    never = replace(SHORT, criteria=Criteria(r_hat=1.0, ess=1e9), most_steps=900)

    def steps(effort: Effort, saved: Checkpoint = UNSAVED) -> tuple[int, Array]:
        sampled = draw(density, np.random.default_rng(1), effort=effort, saved=saved).sampled
        assert isinstance(sampled, TrajectoryDraws)
        assert not sampled.interrupted
        return sampled.n_gradients // 64, sampled.position

    larger = replace(never, most_steps=1200)
    few, first = steps(never, saved)
    many, second = steps(larger, saved)
    assert few <= 900 < many <= 1200
    assert len(first[0]) < len(second[0])
    assert np.array_equal(second[:, : first.shape[1]], first)
    assert np.array_equal(steps(larger)[1], second)
    for effort, expected in ((never, first), (larger, second)):
        assert np.array_equal(steps(effort, saved)[1], expected)
    # a budget that the adaptation has used up leaves as many draws as can be judged
    assert steps(replace(never, most_steps=1))[1].shape[1] == LEAST


def test_modes_that_mix_worse_than_all_chains_are_no_help(
    drawn: TrajectoryDraws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    density = posterior(small_study(tmp_path), choose("native"))
    worse = SimpleNamespace(lines=[replace(line, r_hat=1.5) for line in drawn.lines], away=0.0)
    monkeypatch.setattr(trajectories, "weighed", lambda *_: worse)
    assert np.array_equal(draw(density, np.random.default_rng(1), effort=SHORT).sampled.position, drawn.position)


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize(("settled", "known"), [(False, True), (True, False), (True, True)])
def test_chains_end_where_they_mix_or_each_mode_has_settled_and_nothing_stands_in_the_way(
    settled: bool, known: bool, mixed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the second look, whatever R-hat is over all; else the budget ends them."""
    density = posterior(small_study(tmp_path), choose("native"))
    criteria = Criteria(r_hat=9.0, ess=1.0) if mixed else Criteria(r_hat=1.0001, ess=1e9)
    never = replace(SHORT, criteria=criteria, most_steps=1500)
    monkeypatch.setattr(trajectories, "settled", lambda *_: settled)
    monkeypatch.setattr(TrajectoryDraws, "reaches", lambda *_: known)
    looks: list[int] = []
    drawn = draw(density, np.random.default_rng(1), effort=never, on_block=lambda n, *_: looks.append(n)).sampled
    assert isinstance(drawn, TrajectoryDraws)
    ends = (settled or mixed) and known
    assert (len(looks) == 2) is ends
    assert (looks[-1] >= 1500 - LEAPS) is not ends


def test_a_larger_model_affords_fewer_steps(tmp_path: Path) -> None:
    """Half the time step is twice the work of the model, which is all that counts of a large one."""
    problem = small_study(tmp_path)
    step = resolve(problem.model, problem.scenario).time_step

    def steps(shorter: float) -> int:
        finer = replace(problem, scenario=problem.scenario | Scenario("", time_step=step / shorter))
        return affordable_steps(posterior(finer, choose("native")))

    assert steps(1) == MOST_STEPS
    assert steps(256) == pytest.approx(steps(128) / 2, rel=0.2)
    assert steps(2048) == LEAST_STEPS < steps(256)
    four = replace(problem, model=by_method(problem.model, "rk4"), scenario=Scenario("", time_step=step / 64))
    assert affordable_steps(posterior(four, choose("native"))) == pytest.approx(steps(256), rel=0.1)
