"""Scores, contraction, rivals and self-tests against closed forms and against each other."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from small_study import rival, small_study
from thorough import share

from calibration.assess import rivals
from calibration.assess.contraction import contractions
from calibration.assess.forecast import forecast
from calibration.assess.holdout import model_scores, rolling_origin, verdict
from calibration.assess.rivals import compare, fit_rivals, leave_one_out, left_out, mixture, stacking
from calibration.assess.scores import (
    crps_error,
    crps_sample,
    log_mean_exp,
    log_score_of,
    mean_error,
    randomised_pit,
)
from calibration.assess.self_test import RANKED, ecdf, judged, rank_band, self_test
from calibration.inference.sample.chains import Chains
from calibration.inference.sample.convergence import Criteria, Effort, convergence, one_by_one
from calibration.inference.sample.densities import FreeDensity, Unconstrained
from calibration.inference.sample.draws import PosteriorDraws, draw, log_evidence
from calibration.inference.sample.modes import bridge
from calibration.likelihood.posterior import Posterior, posterior, with_terms
from calibration.study.problem import read_problem, until
from cipark_sd.analysis.experiments.definition import Structure
from cipark_sd.base.errors import Problems
from cipark_sd.data.scenarios import Scenario
from cipark_sd.engines.registry import choose

EFFORT = Effort(walkers=24, most_steps=800, least_steps=400)
CHAINS = replace(EFFORT, sampler="chains", ensembles=2)


def density_of(problem):
    return posterior(problem, choose("native"))


def test_crps_of_a_sample_is_the_integral_over_its_steps():
    draws = np.random.default_rng(1).normal(size=11)
    edges = np.sort(np.append(draws, 0.3))
    middle = (edges[1:] + edges[:-1]) / 2
    steps = np.array([(draws <= m).mean() - (m >= 0.3) for m in middle])
    assert crps_sample(draws, 0.3) == pytest.approx((steps**2 * np.diff(edges)).sum(), rel=1e-12)


def test_the_error_of_a_crps_is_that_of_other_draws_and_falls_with_more_noise() -> None:
    """Means of deviation 0.3 under a noise of 1: the score of a normal of variance 1.09."""
    sd, seen = math.sqrt(1.09), 0.7
    z = seen / sd
    exact = sd * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / math.sqrt(math.pi))
    rng, away, claimed = np.random.default_rng(1), {1: [], 8: []}, {1: [], 8: []}
    for times in away:
        for _ in range(200):
            draws = 0.3 * rng.standard_normal((400, 1)) + rng.standard_normal((400, times)) - seen
            away[times].append(crps_sample(draws.ravel(), 0.0) - exact)
            claimed[times].append(crps_error(draws))
        assert np.sqrt(np.square(away[times]).mean()) == pytest.approx(np.mean(claimed[times]), rel=0.15)
    assert np.mean(claimed[1]) / np.mean(claimed[8]) == pytest.approx(2.3, abs=0.2)
    assert math.isnan(crps_error(np.zeros((1, 4))))


def test_the_log_score_of_draws_is_that_of_their_density() -> None:
    draws = stats.norm.ppf((np.arange(4000) + 0.5) / 4000)
    for seen in (0.0, 1.0, 2.0):
        assert log_score_of(draws, seen) == pytest.approx(-stats.norm.logpdf(seen), abs=0.05)
    counts = np.random.default_rng(1).poisson(80, 4000).astype(float)
    assert log_score_of(counts, 85.0) == pytest.approx(-stats.poisson.logpmf(85, 80), abs=0.08)
    assert math.isnan(log_score_of(draws, 9.0))
    assert math.isnan(log_score_of(np.ones(9), 1.0))


def test_crps_of_a_large_sample_is_that_of_its_distribution():
    draws = np.random.default_rng(2).poisson(4.2, 200_000).astype(float)
    k = np.arange(200)
    expected = ((stats.poisson.cdf(k, 4.2) - (k >= 9)) ** 2).sum()
    assert crps_sample(draws, 9) == pytest.approx(expected, rel=0.01)


def test_the_randomised_pit_is_uniform_when_the_forecast_is_right():
    rng = np.random.default_rng(3)
    pits = [randomised_pit(rng.poisson(2.0, 2000).astype(float), y, y, rng) for y in rng.poisson(2.0, 2000)]
    assert stats.kstest(pits, "uniform").pvalue > 0.01


def test_the_pit_is_not_uniform_when_the_forecast_is_too_narrow():
    rng = np.random.default_rng(4)
    pits = [randomised_pit(rng.normal(0, 0.5, 500), y, y, rng) for y in rng.normal(0, 1, 500)]
    assert stats.kstest(pits, "uniform").pvalue < 1e-6


def test_the_log_score_does_not_underflow():
    assert log_mean_exp(np.array([-2000.0, -2000.0])) == pytest.approx(-2000)


def scores_of(labels):
    return pd.DataFrame({"label": list(labels), "time": [float(label) for label in labels]})


def test_a_number_that_two_origins_predict_is_one_piece_of_evidence():
    values = np.array([1.0, 3.0, 2.0, 6.0])
    once = mean_error(values, scores_of("1234"))
    assert once >= values.std(ddof=1) / 2
    twice = mean_error(np.repeat(values, 2), scores_of("11223344"))
    assert twice == pytest.approx(once)
    assert np.isnan(mean_error(values, scores_of("1111")))
    assert np.isnan(mean_error(np.array([1.0, np.inf]), scores_of("12")))


@pytest.mark.parametrize(("correlation", "twice"), [(0.0, True), (0.3, False), (0.3, True)])
def test_the_error_of_a_mean_score_is_its_spread(correlation, twice):
    """Over numbers whose scores depend on the neighbour's, each predicted from one origin or two."""
    rng = np.random.default_rng(23)
    n, found = 40, []
    labels = [str(i) for i in range(n)] * (2 if twice else 1)
    scores = scores_of(labels)
    for _ in range(400):
        values = rng.standard_normal(n)
        for i in range(1, n):
            values[i] = correlation * values[i - 1] + np.sqrt(1 - correlation**2) * values[i]
        values = np.concatenate([values, values + 0.3 * rng.standard_normal(n)]) if twice else values
        found.append((values.mean(), mean_error(values, scores)))
    mean, error = np.array(found).T
    assert 0.8 < np.sqrt((error**2).mean()) / mean.std() < 1.3


SHAPE, SCALE, COUNTS = 2.0, 3.0, (4, 9, 5)


@pytest.fixture(scope="module")
def conjugate(tmp_path_factory):
    """Exact draws of a Poisson rate with a gamma prior."""
    folder = tmp_path_factory.mktemp("conjugate")
    controls = "INITIAL TIME=0~~|FINAL TIME=4~~|TIME STEP=1~~|SAVEPER=1~~|"
    (folder / "model.mdl").write_text("{UTF-8}\nrate=5~~|total=INTEG(rate,0)~~|" + controls)
    (folder / "data.csv").write_text("time,value\n" + "".join(f"{i + 1},{n}\n" for i, n in enumerate(COUNTS)))
    (folder / "problem.toml").write_text(
        '[model]\nfile = "model.mdl"\n[[observation]]\nname = "seen"\ntable = "data.csv"\nkind = "flow"\n'
        'variable = "rate"\nfamily = "poisson"\nstart = 0\n[[parameter]]\nname = "rate"\n'
        f'prior = {{ family = "gamma", shape = {SHAPE}, scale = {SCALE} }}\n'
    )
    density = density_of(read_problem(folder))
    return exact_draws(density, np.random.default_rng(5).standard_normal((4, 80, 25)))


def exact_draws(density, normals):
    """Draws of the conjugate posterior by their normal scores ``(n_ensembles, n_steps, n_walkers)``."""
    exact = stats.gamma(SHAPE + sum(COUNTS), scale=1 / (1 / SCALE + len(COUNTS)))
    theta = exact.ppf(stats.norm.cdf(normals))[..., None]
    free = Unconstrained(density.space).free(theta)
    logs = FreeDensity(density)(free.reshape(-1, 1)).reshape(normals.shape)
    warm = np.zeros_like(free)
    chains = Chains(
        np.concatenate([warm, free], axis=1),
        np.concatenate([np.zeros_like(logs), logs], axis=1),
        convergence(("rate",), free),
    )
    return PosteriorDraws(density, chains, one_by_one(theta), one_by_one(logs[..., None])[..., 0])


def exact_left_out(i):
    shape, rate = SHAPE + sum(COUNTS) - COUNTS[i], 1 / SCALE + len(COUNTS) - 1
    return stats.nbinom.logpmf(COUNTS[i], shape, rate / (1 + rate))


def test_leaving_one_out_is_exact_on_a_conjugate_model(conjugate):
    _, elpd, pareto_k = leave_one_out(conjugate)
    assert elpd == pytest.approx([exact_left_out(i) for i in range(3)], abs=0.03)
    assert (pareto_k < 0.7).all()


def test_a_term_left_out_in_earnest_has_the_same_density(conjugate):
    # one posterior of some thousand draws knows it to 0.035
    found = np.mean([left_out(conjugate.density, 1, np.random.default_rng(seed), CHAINS)[0] for seed in range(3)])
    assert found == pytest.approx(exact_left_out(1), abs=0.045)


def exact_evidence():
    """The product of what each count is predicted to be, given those before it."""
    total, shape, rate = 0.0, SHAPE, 1 / SCALE
    for count in COUNTS:
        total += stats.nbinom.logpmf(count, shape, rate / (1 + rate))
        shape, rate = shape + count, rate + 1
    return total


def test_the_evidence_is_exact_on_a_conjugate_model(conjugate):
    expected = exact_evidence()
    found, error = log_evidence(conjugate, np.random.default_rng(7))
    assert error < 0.02
    assert found == pytest.approx(expected, abs=5 * error)


def test_the_error_of_the_evidence_knows_that_draws_depend_on_each_other():
    """A bridge from chains whose neighbours correlate by 0.9 to a normal beside theirs: the error is the spread."""
    rng = np.random.default_rng(21)
    target, proposal, found = stats.norm(0, 1), stats.norm(1.5, 1), []
    for _ in range(200):
        draws = rng.standard_normal((2, 60, 10))
        for step in range(1, 60):
            draws[:, step] = 0.9 * draws[:, step - 1] + np.sqrt(1 - 0.81) * draws[:, step]
        here, there = (target.logpdf(x) - proposal.logpdf(x) for x in (draws, proposal.rvs(60, random_state=rng)))
        found.append(bridge(here, there))
    log_ratio, error = np.array(found).T
    assert log_ratio.mean() == pytest.approx(0, abs=4 * log_ratio.std() / np.sqrt(200))
    # 0.66 where the draws of the chains count as independent
    assert 0.8 < np.sqrt((error**2).mean()) / log_ratio.std() < 1.25


def test_draws_that_depend_on_each_other_are_worth_fewer(conjugate, monkeypatch):
    told = []
    monkeypatch.setattr(rivals, "left_out_density", lambda logs, weight, efficiency: told.append(efficiency) or (0, 0))
    leave_one_out(conjugate)
    normals = np.random.default_rng(22).standard_normal((4, 400, 5))
    for step in range(1, 400):
        normals[:, step] = 0.8 * normals[:, step - 1] + 0.6 * normals[:, step]
    leave_one_out(exact_draws(conjugate.density, normals))
    # the efficiency of a first-order autoregression is (1 - 0.8) / (1 + 0.8)
    assert told[:3] == pytest.approx([1, 1, 1], abs=0.15)
    assert told[3:] == pytest.approx([1 / 9] * 3, rel=0.4)


def test_stacking_finds_the_mixture_that_made_the_data():
    rng = np.random.default_rng(8)
    y = np.where(rng.random(20_000) < 0.3, rng.normal(-2, 1, 20_000), rng.normal(2, 1, 20_000))
    elpd = np.stack([stats.norm(-2, 1).logpdf(y), stats.norm(2, 1).logpdf(y)])
    assert stacking(elpd) == pytest.approx([0.3, 0.7], abs=0.02)


def test_stacking_gives_all_to_a_model_that_is_better_everywhere():
    assert stacking(np.array([[-1.0, -2.0, -1.5], [-2.0, -3.0, -1.6]])) == pytest.approx([1, 0], abs=1e-4)


RIVALS = rival("base") + rival("short", "pace = 0.05", "all leave too slowly")
RIVALS += '[[scenario]]\nname = "late"\nset = {}\n'


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return small_study(folder, RIVALS)


@pytest.fixture(scope="module")
def drawn(study):
    return draw(density_of(study), np.random.default_rng(9), effort=EFFORT)


def test_the_structure_that_fits_gets_the_weight(study):
    fits, *_ = fit_rivals(study, density_of, np.random.default_rng(10), effort=EFFORT)
    lines = compare(fits)
    assert [line.name for line in lines] == ["base", "short"]
    assert lines[0].probability > 0.9
    assert lines[0].elpd_behind == 0
    assert sum(line.stacking for line in lines) == pytest.approx(1)


def test_a_structure_under_which_the_data_cannot_be_is_refuted_and_the_others_go_on(study):
    impossible = Structure("nothing leaves", "", Scenario("", {"pace": 0.0}))
    rivals = replace(study, rivals=(impossible, study.rivals[0]))
    fits, refuted, _ = fit_rivals(rivals, density_of, np.random.default_rng(12), effort=EFFORT, refit=None)
    assert [variant.id for variant in refuted] == ["nothing leaves"]
    assert [fit.variant.id for fit in fits] == ["base"]


def test_a_rival_whose_chains_hold_a_lost_walker_has_not_converged(study, monkeypatch):
    alone = replace(study, rivals=study.rivals[:1])
    few = replace(CHAINS, most_steps=200, least_steps=200, criteria=Criteria(r_hat=1.2, ess=20))
    (whole,), *_ = fit_rivals(alone, density_of, np.random.default_rng(11), effort=few, refit=None)
    assert whole.converged
    monkeypatch.setattr(Chains, "n_stranded", 1)
    (fit,), *_ = fit_rivals(alone, density_of, np.random.default_rng(11), effort=few, refit=None)
    assert not fit.converged


def test_a_mixture_has_its_shares_of_draws(study):
    fits, *_ = fit_rivals(study, density_of, np.random.default_rng(11), effort=EFFORT, refit=None)
    mixed = mixture(fits, [0.25, 0.75], 1000, np.random.default_rng(1))
    assert [(variant.id, len(theta)) for variant, theta in mixed] == [("base", 250), ("short", 750)]


def test_a_rival_that_sets_what_is_estimated_is_refused_with_the_other_faults(tmp_path):
    rivals = ('"x"\nset = { "rate" = 1 }', '"y"\nset = {}', '"y"\nset = {}')
    with pytest.raises(Problems, match=r"a constant that is not estimated") as caught:
        small_study(tmp_path, "".join(f"[[rival]]\nname = {rival}\n" for rival in rivals))
    assert "each once" in str(caught.value)


def test_rivals_have_the_study_s_own_structure_among_them(tmp_path):
    def names(more):
        return [variant.id for variant in small_study(tmp_path, more).rivals]

    slow = rival("slow", "pace = 0.5")
    assert names("") == []
    assert names(slow) == ["base", "slow"]
    assert small_study(tmp_path, slow).rivals[0].title == "the study's own structure"
    assert names(slow + rival("M0")) == ["slow", "M0"]
    # what is set as the file has it changes nothing
    assert names(rival("as it is", "pace = 1") + slow) == ["as it is", "slow"]
    assert names(rival("base", "pace = 0.5")) == ["own", "base"]


def test_a_rival_with_an_unknown_name_is_told_the_known_one(tmp_path):
    with pytest.raises(Exception, match=r"did you mean 'pace'"):
        small_study(tmp_path, '[[rival]]\nname = "x"\nset = { "pase" = 1 }\n')


def test_contraction_of_exact_draws_is_that_of_the_two_gammas(conjugate):
    line = contractions(conjugate)[0]
    prior, post = np.log(stats.gamma(SHAPE, scale=SCALE).rvs(200_000, random_state=1)), np.log(conjugate.flat[:, 0])
    assert line.contraction == pytest.approx(1 - post.var() / prior.var(), abs=0.01)
    assert line.to_data > line.to_prior
    assert line.verdict.startswith("narrowed")


def test_draws_of_the_prior_are_told_from_a_posterior(study):
    density = density_of(study)
    theta = density.space.from_unit(np.random.default_rng(12).random((1, 4000, 2)))
    lines = contractions(PosteriorDraws(density, None, theta, np.zeros((1, 4000))))
    assert all(line.verdict.startswith("not narrowed") for line in lines)


def test_a_parameter_is_judged_on_the_scale_on_which_it_is_searched(conjugate):
    """Draws moved down by a fifth leave 94% of the prior on the logarithm; fivefold, its upper part is cut off."""
    density = conjugate.density
    (parameter,) = density.space
    assert parameter.scale == "log"
    drawn = density.space.from_unit(np.random.default_rng(12).random((1, 4000, 1)))
    kinds = []
    for power, lower in ((1.0, 1.25), (1.0, 5.0), (0.5, 1 / 5)):
        moved = parameter.median * (drawn / parameter.median) ** power / lower
        kinds.append(contractions(PosteriorDraws(density, None, moved, np.zeros((1, 4000))))[0].kind)
    assert kinds == ["undecided", "informed", "informed"]


def test_the_numbers_after_an_origin_are_scored(study):
    """The study's own rows of use holdout that lie before the origin are no forecasts."""
    found = rolling_origin(study, density_of, np.random.default_rng(15), effort=EFFORT)
    (line,) = found.summary.to_dict("records")
    assert line["n"] == 4
    assert "counts held out" in verdict(found)
    seen = until(study, 3.0)
    terms = seen.observations[0].terms
    before = with_terms(density_of(seen), [replace(terms[0], use="holdout"), *terms[1:]])
    scores = model_scores(before, np.array([[100.0, 0.2]] * 20), 3.0, np.random.default_rng(1))
    assert scores["label"].tolist() == [term.label for term in terms if term.use == "holdout"]


def test_a_forecast_goes_on_from_the_last_count(study, drawn):
    rows = forecast(study, density_of, drawn.flat, np.random.default_rng(16), scenarios=study.scenarios)
    assert rows["scenario"].tolist() == ["as fitted"] * 4 + ["late"] * 4
    assert rows["time"].tolist() == [9, 10, 11, 12] * 2
    assert rows["q0.025"][0] >= 85
    # the same draws and random numbers under a scenario that sets nothing
    assert rows.drop(columns="scenario").loc[0].equals(rows.drop(columns="scenario").loc[4])
    size, rate = drawn.flat.T
    expected = (size * (np.exp(-8 * rate) - np.exp(-12 * rate))).mean()
    assert rows["mean"][3] - 85 == pytest.approx(expected, rel=0.1)


def test_the_band_holds_the_share_of_uniform_ranks_that_it_says():
    rng = np.random.default_rng(17)
    low, high = rank_band(200, rng)
    courses = np.array([ecdf(rng.integers(100, size=200)) for _ in range(1000)])
    inside = ((courses >= low) & (courses <= high)).all(axis=1).mean()
    assert inside == pytest.approx(0.95, abs=0.03)


def test_ranks_of_a_posterior_that_is_too_narrow_leave_the_band():
    rng = np.random.default_rng(18)
    ranks = np.where(rng.random(200) < 0.5, rng.integers(0, 20, 200), rng.integers(80, 100, 200))
    low, high = rank_band(200, rng)
    assert ((ecdf(ranks) < low) | (ecdf(ranks) > high)).any()


#: Two parameters need fewer steps than the default for as many effective draws.
QUICK = Effort(
    ensembles=2,
    walkers=24,
    most_steps=1000,
    least_steps=200,
    criteria=Criteria(r_hat=1.05, ess=2 * RANKED),
    confirmed=False,
)


@pytest.mark.slow
def test_intervals_cover_at_their_rate_and_ranks_are_uniform(study):
    """A sentinel: ``benchmarks/self_test.py`` makes as many data sets as a rate needs."""
    found = self_test(study, density_of, share(16, 40), np.random.default_rng(101), effort=QUICK)
    assert found.n_not_converged == 0
    assert 0.9 <= found.pooled[2] <= 0.99
    assert judged(found, 1).outside == ()


@pytest.mark.slow
def test_a_likelihood_that_counts_the_data_twice_is_found_out(study, monkeypatch):
    honest = Posterior.log_likelihood
    monkeypatch.setattr(Posterior, "log_likelihood", lambda self, theta: 2 * honest(self, theta))
    found = self_test(study, density_of, share(16, 40), np.random.default_rng(20), effort=QUICK)
    assert found.pooled[2] < 0.9


def test_weights_count_in_the_fit_and_not_in_scores(study):
    density = density_of(study)
    half = with_terms(density, [replace(term, weight=0.5) for term in density.problem.terms])
    theta = np.array([[100.0, 0.2], [80.0, 0.3]])
    assert half.log_likelihood(theta) == pytest.approx(density.log_likelihood(theta) / 2)
    assert half.pointwise(theta, weighted=False) == pytest.approx(density.pointwise(theta))
