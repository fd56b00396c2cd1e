"""Monte Carlo errors of means and limits, and the rule by which sampling ends."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from arviz_stats.base import array_stats
from scipy import stats

from calibration.inference.sample import chains as chains_module
from calibration.inference.sample.chains import Chains, run
from calibration.inference.sample.convergence import (
    CONVERGED,
    QUANTILES,
    SURE,
    Convergence,
    Criteria,
    Effort,
    convergence,
    effective,
    normal_error,
    normal_scores,
    one_by_one,
    poorest,
    quantile_error,
)
from calibration.inference.sample.draws import PER_CHAIN, thinned
from calibration.noise.priors import Normal
from calibration.study.parameters import Parameter, ParameterSpace

GOOD = Convergence("x", 1.001, 2000, 2000, 5.0, 2.0, 1.0, 5.0, 9.0, 0.05, 0.1, 0.05, 0.1, 0.06)


def walkers(rho, rng, ensembles=4, steps=500, n=24):
    """Stationary first-order autoregressions of standard normals ``(ensembles, steps, n)``, each by itself."""
    noise = rng.normal(size=(ensembles, steps, n))
    series = np.empty_like(noise)
    series[:, 0] = noise[:, 0]
    for t in range(1, steps):
        series[:, t] = rho * series[:, t - 1] + np.sqrt(1 - rho**2) * noise[:, t]
    return series


def test_what_converged_means():
    assert Criteria(r_hat=1.01, ess=400.0) == CONVERGED
    assert Effort().criteria is CONVERGED
    assert QUANTILES == (0.025, 0.5, 0.975)
    assert GOOD.reaches(CONVERGED)
    assert str(CONVERGED) == "R-hat below 1.01, effective sizes above 400"


@pytest.mark.parametrize(
    "worse",
    [{"r_hat": 1.011}, {"ess_bulk": 399.0}, {"ess_tail": 399.0}, {"r_hat": float("nan")}, {"ess_tail": float("nan")}],
)  # fmt: skip
def test_each_number_alone_can_say_that_it_has_not(worse):
    assert not replace(GOOD, **worse).reaches(CONVERGED)
    assert poorest([GOOD, replace(GOOD, name="y", **worse)]).name == "y" or "nan" in str(worse.values())


def test_the_error_of_a_limit_is_that_of_limits_of_many_runs():
    """715 effective draws know a limit to a tenth of a standard deviation."""
    assert normal_error(0.025, 715) == pytest.approx(0.1, abs=1e-3)
    drawn = np.random.default_rng(1).normal(size=(2000, 715))
    # of 2000 limits the scatter is known to 1.6%
    assert np.quantile(drawn, 0.025, axis=1).std() == pytest.approx(0.1, rel=0.1)


def test_with_one_walker_the_errors_of_quantiles_are_those_of_arviz():
    series = walkers(0.7, np.random.default_rng(2), steps=1000, n=1)
    line = convergence(["x"], series[..., None])[0]
    for share, error in zip(QUANTILES, (line.mcse_low, line.mcse_median, line.mcse_high), strict=True):
        expected = array_stats.mcse(series[..., 0], chain_axis=0, draw_axis=1, method="quantile", prob=share)
        assert error == pytest.approx(expected, rel=0.02)
    assert (line.mean, line.sd, line.median) == (series.mean(), series.std(), np.median(series))


def test_the_effective_size_of_the_tails_is_that_of_the_worse_tail():
    """Quick below and slow above: excursions upwards last long."""
    slow, quick = walkers(0.99, np.random.default_rng(3)), walkers(0.0, np.random.default_rng(4))
    values = np.where(slow > 1, 5 + slow, quick)
    low, high = (effective((values <= np.quantile(values, share)).astype(float)) for share in (0.05, 0.95))
    assert high < low / 5
    line = convergence(["x"], values[..., None])[0]
    assert line.ess_tail == pytest.approx(high)
    assert convergence(["x"], -values[..., None])[0].ess_tail == pytest.approx(high, rel=0.05)


def test_the_limit_that_is_known_worse_decides():
    slow, quick = walkers(0.99, np.random.default_rng(3)), walkers(0.0, np.random.default_rng(4))
    line = convergence(["x"], np.where(slow > 1, 5 + slow, quick)[..., None])[0]
    turned = convergence(["x"], -np.where(slow > 1, 5 + slow, quick)[..., None])[0]
    assert line.mcse_high > 2 * line.mcse_low
    assert line.limit_error == pytest.approx(turned.limit_error, rel=0.05)


def test_errors_of_means_and_limits_are_as_large_as_they_say():
    """Twenty-four independent ensembles of the sampler, taken four by four: six runs of known truth."""
    covariance = np.array([[1.0, 0.0], [0.0, 100.0]])
    precision, root = np.linalg.inv(covariance), np.linalg.cholesky(covariance)
    streams = np.random.default_rng(5).spawn(24)
    start = np.stack([stream.normal(size=(24, 2)) @ root.T for stream in streams])
    effort = Effort(ensembles=24, walkers=24, most_steps=300, least_steps=300)

    def target(x):
        return -0.5 * np.einsum("ni,ij,nj->n", x, precision, x)

    def skewed(free):
        return np.stack([free[..., 0], np.exp(free[..., 1] / 10)], axis=-1)

    chains = run(target, lambda: start, streams, ("x", "y"), skewed, effort)
    limits = stats.norm.ppf(QUANTILES)
    truth = [(0.0, *limits), (np.exp(0.5), *np.exp(limits))]
    z = []
    for first in range(0, 24, 4):
        for line, (mean, low, median, high) in zip(
            convergence(("x", "y"), skewed(chains.second_half[first : first + 4])), truth, strict=True
        ):
            z.append(
                (
                    (line.mean - mean) / line.mcse_mean,
                    (line.low - low) / line.mcse_low,
                    (line.median - median) / line.mcse_median,
                    (line.high - high) / line.mcse_high,
                )
            )
    # the root of the mean of twelve squares is known to a fifth
    assert np.sqrt(np.mean(np.square(z), axis=0)) == pytest.approx(np.ones(4), abs=0.45)
    assert np.sqrt(np.mean(np.square(z))) == pytest.approx(1, abs=0.25)


def looked_at(good, monkeypatch, most_steps=2000):
    """Steps at which a run ends whose chains are judged good after ``good`` steps only."""

    def judged(names, values):
        # the second half
        n = next(n for n in range(2 * values.shape[1] - 1, 2 * values.shape[1] + 1) if n % 10 == 0)
        return tuple(replace(GOOD, name=name, r_hat=1.0 if n in good else 1.5) for name in names)

    monkeypatch.setattr(chains_module, "convergence", judged)
    streams = np.random.default_rng(6).spawn(2)
    effort = Effort(ensembles=2, walkers=8, block=100, most_steps=most_steps, least_steps=400)
    start = np.stack([stream.normal(size=(8, 1)) for stream in streams])
    return run(lambda x: -0.5 * (x**2).sum(axis=1), lambda: start, streams, ("x",), lambda free: free, effort).n_steps


def test_one_good_look_is_not_enough(monkeypatch):
    """Looks come after 400, 500, 700, 900, 1200, 1500 and 1900 steps."""
    assert looked_at({400, 700, 900, 1500}, monkeypatch) == 900
    assert looked_at({400, 500}, monkeypatch) == 500
    assert looked_at({400, 700, 1200}, monkeypatch) == 2000


def test_draws_of_a_file_have_the_effective_sizes_of_the_chains():
    """From 400 to 4,000 of them, by ArviZ on the draws that are kept, against ours on all and the closed form."""
    rng = np.random.default_rng(7)
    rhos = [0.85, 0.95, 0.983]
    steps = 500
    free = np.stack([walkers(rho, rng, steps=2 * steps) for rho in rhos], axis=-1)
    names = [f"rho {rho}" for rho in rhos]
    found = convergence(names, free[:, steps:])
    chains = Chains(free, np.zeros(free.shape[:3]), found)
    space = ParameterSpace(tuple(Parameter(name, Normal(0, 1)) for name in names))
    drawn = thinned(SimpleNamespace(space=space), chains, PER_CHAIN)
    assert drawn.theta.shape == (4, PER_CHAIN, 3)
    for i, (rho, line) in enumerate(zip(rhos, found, strict=True)):
        truth = 4 * 24 * steps * (1 - rho) / (1 + rho)
        bulk = array_stats.ess(drawn.theta[..., i], chain_axis=0, draw_axis=1, method="bulk")
        tail = array_stats.ess(drawn.theta[..., i], chain_axis=0, draw_axis=1, method="tail", prob=(0.05, 0.95))
        assert line.ess_bulk == pytest.approx(truth, rel=0.25)
        assert bulk == pytest.approx(line.ess_bulk, rel=0.2)
        assert tail == pytest.approx(line.ess_tail, rel=0.25)
    assert found[0].ess_bulk > 3000
    assert found[2].ess_bulk < 600


# --- each rule by itself ----------------------------------------------------------------------------------------------


def test_what_is_asked_for_is_said():
    assert str(Criteria(r_hat=1.05, ess=50.0)) == "R-hat below 1.05, effective sizes above 50"
    assert str(replace(GOOD, ess_tail=1234.4, r_hat=1.0125)) == (
        "x mixes worst: R-hat 1.012, effective size 1234, Monte Carlo error 0.025 sd of the mean and 0.060 sd of the "
        "95% limits"
    )


@pytest.mark.parametrize(("changes", "reached"), [
    ({"r_hat": 1.0099}, True), ({"r_hat": 1.01}, False), ({"ess_bulk": 400.0}, False), ({"ess_bulk": 401.0}, True),
    ({"ess_tail": 400.0}, False),
])  # fmt: skip
def test_sizes_have_to_pass(changes, reached):
    assert replace(GOOD, **changes).reaches(CONVERGED) is reached


def test_without_spread_there_is_no_error_in_deviations():
    assert replace(GOOD, sd=4.0).mean_error == 0.0125
    assert np.isnan(replace(GOOD, sd=0.0).mean_error)


def test_what_never_moves_has_its_value_and_nothing_else():
    (line,) = convergence(["x"], np.full((2, 10, 4, 1), 7.0))
    assert (line.mean, line.sd, line.low, line.median, line.high) == (7, 0, 7, 7, 7)
    others = [line.r_hat, line.ess_bulk, line.ess_tail, line.mcse_mean, line.mcse_low, line.mcse_median]
    assert np.isnan([*others, line.mcse_high, line.limit_error]).all()


def test_the_poorest_is_farthest_by_its_own_worst_number():
    wanted = Criteria(r_hat=1.01, ess=400.0)
    fine = replace(GOOD, name="fine", r_hat=1.0, ess_bulk=4e4, ess_tail=4e4)
    by = {
        "r_hat": replace(fine, name="r_hat", r_hat=1.03),  # 3 times
        "bulk": replace(fine, name="bulk", ess_bulk=160.0),  # 2.5 times
        "tail": replace(fine, name="tail", ess_tail=320.0),  # 1.25 times
    }
    order = list(by.values())
    while order:
        assert poorest([fine, *order[::-1]], wanted).name == order.pop(0).name
    assert poorest([fine, replace(fine, name="stuck", r_hat=np.nan), *by.values()], wanted).name == "stuck"
    assert poorest([replace(fine, name="none", ess_bulk=0.0), by["r_hat"]], wanted).name == "none"


def test_the_error_of_a_quantile_is_half_the_way_between_its_neighbours():
    """Of a hundred draws, the median's share is Beta(51, 51) distributed."""
    ordered = np.arange(100.0) ** 2
    low, high = stats.beta(51, 51).ppf(stats.norm.cdf([-1, 1])) * 100 - 1
    expected = (ordered[int(np.ceil(high))] - ordered[int(np.floor(low))]) / 2
    assert quantile_error(ordered, 0.5, 100.0) == expected
    # no value lies before the first
    few, above = ordered[:10], stats.beta(1.002, 2.998).ppf(stats.norm.cdf(1))
    assert stats.beta(1.002, 2.998).ppf(stats.norm.cdf(-1)) * 10 < 1
    assert quantile_error(few, 0.001, 2.0) == few[int(np.ceil(above * 10 - 1))] / 2
    assert np.isnan(quantile_error(ordered, 0.5, np.nan))


def test_normal_scores_are_blom_s():
    scores = normal_scores(np.array([[3.0, 1.0], [2.0, 2.0]]))
    expected = stats.norm.ppf((np.array([[4.0, 1.0], [2.5, 2.5]]) - 0.375) / 4.25)
    assert scores == pytest.approx(expected)


def test_walkers_follow_each_other():
    values = np.arange(12.0).reshape(1, 3, 4)
    assert one_by_one(values).tolist() == [[0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]]
    assert one_by_one(values[..., None]).shape == (1, 12, 1)


@pytest.mark.parametrize(("steps", "walkers_say", "shared"), [(200.0, 1000.0, True), (200.0, 315.0, False)])
def test_the_course_counts_where_it_is_lower_beyond_doubt(monkeypatch, steps, walkers_say, shared):
    """By three relative errors of root 8 over the effective steps: 1.6 times at 200 of them."""
    from arviz_stats.base import array_stats as arviz

    values = np.random.default_rng(1).standard_normal((2, 50, 10))
    values += 10 * np.arange(50)[None, :, None]
    ratio = values.var() / values.mean(axis=2).var()
    assert ratio == pytest.approx(1, abs=0.01)
    answers = iter([steps, walkers_say])
    monkeypatch.setattr(arviz, "ess", lambda *args, **more: next(answers))
    assert effective(values) == pytest.approx(steps * ratio if shared else walkers_say)
    assert SURE == 3.0


def test_no_more_is_effective_than_there_is(monkeypatch):
    from arviz_stats.base import array_stats as arviz

    monkeypatch.setattr(arviz, "ess", lambda *args, **more: 1e6)
    assert effective(np.random.default_rng(1).standard_normal((2, 5, 4))) == 40
    assert np.isnan(effective(np.ones((2, 5, 4))))


def test_the_error_of_a_limit_reaches_the_last_draw() -> None:
    """Of ten independent draws one standard error above the 97.5% limit lies beyond the ninth."""
    low, high = stats.beta.ppf(stats.norm.cdf([-1, 1]), 10 * 0.975 + 1, 10 * 0.025 + 1)
    assert np.ceil(10 * high - 1) == 9
    draws = np.arange(10.0) ** 2
    assert quantile_error(draws, 0.975, 10.0) == (draws[9] - draws[int(10 * low - 1)]) / 2
