"""Uncertain constants, outputs and effects of models; measures of their courses; studies."""

import numpy as np
import pytest
import xarray as xr

from cipark_sd.analysis.sensitivities.evaluation import Output
from cipark_sd.analysis.sensitivities.factors import Factor, Factors, Shares, around, check_factors
from cipark_sd.analysis.sensitivities.ranking import (
    Moment,
    gaps,
    leaders,
    negligible,
    ranked,
    sentences,
    unranked,
)
from cipark_sd.analysis.sensitivities.response import model_response
from cipark_sd.analysis.sensitivities.sampled import sample
from cipark_sd.analysis.sensitivities.sobol import sobol
from cipark_sd.analysis.study import find_study
from cipark_sd.base.errors import InvalidValue, UnknownName
from cipark_sd.commands.sensitivity.methods.sample import measures
from cipark_sd.data.scenarios import Scenario
from cipark_sd.language.read.model_file import read_model
from cipark_sd.simulations.ensembles import ensemble

DECAY = """
Stock= INTEG(-Stock*Rate*Switch,Start) ~ unit ~ |
Start= 100 ~ unit ~ |
Rate= 0.5 ~ 1/Year [0,1] ~ |
Switch= 1 ~ Dmnl ~ |
Unused= 7 ~ unit ~ |
Nothing= 0 ~ unit ~ |
"""


@pytest.fixture
def decay(write_mdl):
    return read_model(write_mdl(DECAY, final=4, step=0.25))


def flat(name, low, high):
    return Factor(name, lambda shares: low + shares * (high - low))


def decay_factors():
    return Factors((flat("Start", 50, 150), flat("Rate", 0.2, 0.8)))


def test_indices_of_a_model_are_those_of_its_closed_form(decay):
    """After t the Euler run is ``Start (1 - Rate dt)^n``: a product of independent factors."""
    response = model_response(decay, decay_factors(), [Output("level", "Stock")], times=[0.0, 2.0])
    found = sobol(response, n=1024, seed=1)
    np.testing.assert_allclose(found["S1"].sel(time=0.0)[:, 0], [1, 0], atol=1e-6)
    grid = (np.arange(20000) + 0.5) / 20000
    start, left = 50 + 100 * grid, (1 - (0.2 + 0.6 * grid) * 0.25) ** 8
    square = [(x**2).mean() for x in (start, left)]
    mean = [x.mean() for x in (start, left)]
    variance = square[0] * square[1] - (mean[0] * mean[1]) ** 2
    exact = [start.var() * mean[1] ** 2 / variance, left.var() * mean[0] ** 2 / variance]
    np.testing.assert_allclose(found["S1"].sel(time=2.0)[:, 0], exact, atol=0.02)


@pytest.mark.parametrize("workers", [2, 5])
def test_one_thread_and_many_give_the_same_bits(decay, workers):
    def indices(workers):
        response = model_response(decay, decay_factors(), [Output("level", "Stock")], workers=workers)
        return sobol(response, n=256, seed=1)

    assert indices(1).identical(indices(workers))


def test_an_effect_is_the_difference_of_the_same_draw_in_two_worlds(decay):
    asked = [Output("level", "Stock"), Output("effect", "Stock", Scenario("off", {"Switch": 0}))]
    response = model_response(decay, decay_factors(), asked, times=[4.0])
    drawn = sample(response, n=16, seed=1)
    level, effect = drawn["values"].to_numpy()[:, :, 0].T
    np.testing.assert_allclose(effect, level - drawn["constants"].sel(parameter="Start"), rtol=1e-12)


def test_a_world_wins_over_an_uncertain_constant_that_it_sets(decay):
    asked = [Output("effect", "Stock", Scenario("still", {"Rate": 0}))]
    drawn = sample(model_response(decay, decay_factors(), asked, times=[4.0]), n=16, seed=1)
    assert (drawn["values"] < 0).all()


def test_a_run_that_leaves_its_range_is_computed_again_with_a_shorter_step(write_mdl):
    """A rate of 9 a year is unstable at a step of a quarter (factor -1.25 a step) and stable at an eighth."""
    model = read_model(write_mdl(DECAY, final=4, step=0.25))
    factors = Factors((flat("Rate", 9, 9.5), flat("Start", 1, 2)))
    plain = sample(model_response(model, factors, [Output("y", "Stock")], times=[2.0, 4.0]), n=16, seed=1)
    assert (np.abs(plain["values"]).sel(time=4.0) > 30).all()
    mended = sample(
        model_response(model, factors, [Output("y", "Stock", None, (-1.0, 3.0))], times=[2.0, 4.0]), n=16, seed=1
    )
    assert (np.abs(mended["values"]) < 0.01).all()
    assert int(mended["n_failed"].sum()) == 0


def test_a_run_that_no_step_mends_has_failed(decay):
    drawn = sample(model_response(decay, decay_factors(), [Output("y", "Stock", None, (200.0, 300.0))]), n=16, seed=1)
    assert (drawn["n_failed"] == 16).all()


def test_a_bare_models_constants_vary_within_their_limits(decay):
    found = around(decay, 0.2)
    assert found.factors.names == ("Start", "Rate", "Switch", "Unused")
    assert found.left_out == {"Nothing": "is zero"}
    ends = found.factors.from_unit(np.array([np.zeros(4), np.ones(4)]))
    np.testing.assert_allclose(ends, [[80, 0.4, 0.8, 5.6], [120, 0.6, 1.2, 8.4]])


def test_limits_cut_the_range_and_names_are_left_out_as_asked(decay):
    found = around(decay, 0.99, without=("switch",))
    assert found.left_out["Switch"] == "as asked"
    assert found.factors.from_unit(np.ones((1, 3)))[0, 1] == pytest.approx(0.995)
    assert around(read_limits(decay), 0.9).factors.from_unit(np.ones((1, 4)))[0, 1] == pytest.approx(0.6)


def read_limits(model):
    from dataclasses import replace

    variables = tuple(replace(v, limits=(0.0, 0.6)) if v.name == "rate" else v for v in model.variables)
    return replace(model, variables=variables)


def test_dates_of_the_run_are_not_moved(write_mdl):
    text = DECAY + "Start Date= 2012 ~ Year ~ |\n"
    path = write_mdl(text, final=4)
    content = path.read_text(encoding="utf-8")
    path.write_text(
        content.replace("INITIAL TIME = 0", "INITIAL TIME = 2010").replace("FINAL TIME = 4", "FINAL TIME = 2014")
    )
    assert around(read_model(path), 0.2).left_out["Start Date"] == "is a time point of the run"


def test_shares_are_dirichlet():
    """Means and variances of the parts, from a grid of the unit cube; their sum is the whole."""
    shares = Shares(("a", "b", "c"), (0.2, 0.3, 0.5), 30)
    drawn = Factors((shares,)).from_unit(np.random.default_rng(1).random((40000, 3)))
    np.testing.assert_allclose(drawn.sum(axis=1), 1)
    np.testing.assert_allclose(drawn.mean(axis=0), [0.2, 0.3, 0.5], atol=0.003)
    np.testing.assert_allclose(drawn.var(axis=0), np.array([0.2 * 0.8, 0.3 * 0.7, 0.25]) / 31, rtol=0.05)


def test_a_constant_cannot_be_uncertain_twice():
    with pytest.raises(InvalidValue, match="each once"):
        check_factors(Factors((flat("Rate", 0, 1), flat("rate", 0, 1))), where="here")


def test_an_unknown_output_is_named_with_the_closest(decay):
    with pytest.raises(UnknownName, match="did you mean 'Stock'"):
        model_response(decay, decay_factors(), [Output("y", "Stok")])


def test_an_unknown_constant_is_named_before_thousands_of_runs(decay):
    with pytest.raises(UnknownName, match="Rat"):
        model_response(decay, Factors((flat("Rat", 0, 1),)), [Output("y", "Stock")])


TIME = np.linspace(0, 10, 81)


def test_the_peak_of_a_course_that_still_rises_is_not_known_yet(response_of):
    times = tuple(np.linspace(0, 10, 21))
    rising = response_of(1, lambda shares: (1 + shares) * np.array(times), times)
    found = measures(sample(rising, n=16, seed=1))
    assert found["y: time of the peak"].isna().all()
    assert np.isfinite(found["y: peak"]).all()


def test_measures_of_a_logistic_are_its_own(response_of):
    """Half of the ceiling and the steepest slope are both reached at the midpoint, which is the factor."""
    response = response_of(
        1, lambda x: 1 / (1 + np.exp(-4 * (TIME[None] - 3 - 2 * x[:, :1]))), times=tuple(TIME.tolist())
    )
    drawn = sample(response, n=16, seed=1)
    found = measures(drawn)
    middle = 3 + 2 * drawn["constants"].to_numpy()[:, 0]
    np.testing.assert_allclose(found["y: end value"], 1, atol=1e-6)
    np.testing.assert_allclose(found["y: time to half of the maximum"], middle, atol=0.01)
    np.testing.assert_allclose(found["y: time of steepest rise"], middle, atol=0.07)


def test_a_ranking_names_the_strongest_with_interval_and_course(response_of):
    response = response_of(2, lambda x: np.stack([x[:, 0], x[:, 0] + 3 * x[:, 1]], axis=1), times=(0.0, 1.0))
    found = sobol(response, n=256, seed=1)
    first, second = ranked(found, "y", Moment("the end", 1.0))
    assert (first.name, second.name) == ("x2", "x1")
    assert first.low < 0.9 < first.high
    assert (second.peak_time, round(second.peak)) == (0.0, 1)
    assert "the end: x2 (0.9" in sentences(found, [Moment("the end", 1.0)])[0]


@pytest.mark.parametrize(("share", "width", "ranks"), [(11.3, 44.7, False), (0.9, 0.5, False), (2.5, 0.4, False),
                                                       (1.01, 0.05, True), (0.6, 0.49, True)])  # fmt: skip
@pytest.mark.parametrize("index", ["ST", "Sh"])
def test_a_share_that_is_not_known_ranks_nothing_and_is_not_printed(index, share, width, ranks):
    """One above one, or whose interval is as wide as all that it could be."""
    dims, coords = ("parameter", "output", "time"), {"parameter": ["x1", "x2"], "output": ["y"], "time": [1.0]}
    values = {index: (dims, [[[share]], [[0.1]]]), f"{index}_conf": (dims, [[[width]], [[0.01]]])}
    found = xr.Dataset(values, coords)
    why = unranked(found.sel(output="y", time=1.0))
    assert (why == "") == ranks
    if not ranks:
        (line,) = sentences(found, [Moment("the end", 1.0)])
        assert why in line
        assert "x1" in why
        assert f"use more {'--rows' if index == 'ST' else 'draws'}" in why
        assert f"{share:g}" not in why


def moving(shares):
    """The first factor alone until time 3, then the second; nothing at time 0; a third that does nothing."""
    return np.stack([0 * shares[:, 0], shares[:, 0], shares[:, 0], shares[:, 1], shares[:, 1]], axis=1)


def test_the_strongest_factor_is_told_with_the_time_for_which_it_is(response_of):
    found = sobol(response_of(3, moving, times=(0.0, 1.0, 2.0, 3.0, 4.0)), n=256, seed=1)
    assert leaders(found, "y") == [(1.0, 3.0, "x1"), (3.0, 4.0, "x2")]


def test_times_without_an_index_are_told_with_the_reason(response_of):
    found = sobol(response_of(3, moving, times=(0.0, 1.0, 2.0, 3.0, 4.0)), n=64, seed=1)
    assert gaps(found, "y") == [(0.0, 0.0, "the variance is negligible")]


def test_what_does_nothing_is_negligible_and_what_does_something_at_one_moment_is_not(response_of):
    found = sobol(response_of(3, moving, times=(0.0, 1.0, 2.0, 3.0, 4.0)), n=256, seed=1)
    assert negligible(found, [Moment("before", 2.0), Moment("after", 4.0)]) == ["x3"]
    assert negligible(found, [Moment("after", 4.0)]) == ["x1", "x3"]


def test_the_park_study_has_all_its_uncertain_constants():
    study = find_study(None).question()
    assert len(study.factors) == 90
    assert "Pool Scale" in study.factors.names
    # what the fit holds and the analysis frees is not held any more
    assert "negotiation_time" not in study.scenario.overrides
    assert "sw_pandemic" in study.scenario.overrides


def test_the_park_runs_at_every_corner_of_its_priors():
    study = find_study(None).question()
    response = model_response(
        study.model, study.factors, study.outputs, times=[2020.0, 2030.0], scenario=study.scenario
    )
    k = len(study.factors)
    corners = np.random.default_rng(1).integers(0, 2, (200, k)) * 0.998 + 0.001
    values = response(response.scores(corners), np.arange(200, dtype=np.uint64))
    assert np.isfinite(values).all()


def test_a_study_that_is_none_is_an_error_that_says_what_would_be_one():
    with pytest.raises(InvalidValue, match="a model file, a study's folder, or a study by name"):
        find_study("no_such_study")


def test_a_row_of_a_design_draws_the_same_noise_in_all_its_runs(write_mdl):
    """So a constant that does nothing has a total index of zero although the model is noisy."""
    text = DECAY + "Seen= Stock+0*Unused+RANDOM UNIFORM(0,100,1) ~ unit ~ |"
    factors = Factors((flat("Start", 50, 150), flat("Unused", 1, 9)))
    response = model_response(read_model(write_mdl(text, final=1)), factors, [Output("y", "Seen")], times=[1.0])
    found = sobol(response, n=64, seed=1)
    assert found["ST"][1, 0, 0].item() == 0
    assert found["ST"][0, 0, 0].item() > 0.1
    # and rows differ: the noise is part of the variance
    assert found["variance"].item() > 100**2 / 12


@pytest.mark.parametrize("engine", ["native", "numpy"])
def test_runs_of_one_number_draw_the_same_noise_and_a_part_draws_as_in_the_whole(write_mdl, engine):
    model = read_model(write_mdl("Unused= 1 ~ u ~ |\nSeen= 0*Unused+RANDOM UNIFORM(0,100,1) ~ u ~ |\n", final=1))
    whole = ensemble(model, {"Unused": np.arange(6.0)}, save=["Seen"], engine=engine)["seen"].to_numpy()
    part = ensemble(model, {"Unused": [1.0, 2.0, 3.0]}, save=["Seen"], engine=engine, numbers=[4, 1, 4])
    np.testing.assert_array_equal(part["seen"].to_numpy(), whole[[4, 1, 4]])


def test_a_shorter_step_is_taken_in_both_worlds_of_an_effect(write_mdl):
    """The rate matters from 1 on only in one world; before that the effect is zero to the last bit."""
    text = """
    Stock= INTEG(-loss,Start) ~ unit [0,?] ~ |
    loss= Stock*(0.5+STEP(Rate*Switch,1)) ~ unit/Year ~ |
    Start= 1 ~ unit ~ |
    Rate= 1 ~ 1/Year ~ |
    Switch= 1 ~ Dmnl ~ |
    """
    model = read_model(write_mdl(text, final=2, step=0.25))
    asked = [Output("effect", "Stock", Scenario("off", {"Switch": 0}))]
    response = model_response(model, Factors((flat("Rate", 4, 6),)), asked, times=[1.0, 1.5])
    drawn = sample(response, n=16, seed=1)["values"][:, 0]
    assert (drawn.sel(time=1.0) == 0).all()
    assert (drawn.sel(time=1.5) < 0).all()


def test_a_misspelt_study_is_an_error_that_names_the_nearest():
    with pytest.raises(UnknownName, match="'great_ston'; did you mean 'great_stone'"):
        find_study("great_ston")
