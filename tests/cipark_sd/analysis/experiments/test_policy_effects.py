"""Experiments over draws and rivals: pairing, resuming, summaries, claims."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scipy.signal import lfilter

from cipark_sd.analysis.experiments.definition import Expected, Outcome, Policy, Structure
from cipark_sd.analysis.experiments.draws import Draws
from cipark_sd.analysis.experiments.effects import claims, effects, sign, summary, table, weighted_quantiles, weights_of
from cipark_sd.analysis.experiments.run import SettingsTask, affordable, at_steps, failures_in, run_policies
from cipark_sd.analysis.experiments.settings import Setup, moved
from cipark_sd.analysis.sensitivities.factors import constant_values
from cipark_sd.base.checkpoints import Checkpoints
from cipark_sd.base.errors import InvalidValue
from cipark_sd.base.library import bundled
from cipark_sd.data import results
from cipark_sd.data.scenarios import Scenario
from cipark_sd.execution.workers import Workers
from cipark_sd.language.read.model_file import read_model
from cipark_sd.simulations import ensembles
from cipark_sd.simulations.ensembles import ensemble
from cipark_sd.simulations.simulation import simulate
from cipark_sd.statements.claims import Evidence, Tally

RESIDENTS = Outcome("residents", "Residents", "Total Residents")
SOE = Outcome("soe share", "share", "Residents[SOE]", per="Total Residents")
BASE = Policy("base", "")
NO_CMG = Policy("E1", "No China Merchants", Scenario("", {"SW CMG": 0}))
POLICIES = (BASE, NO_CMG, Policy("E2", "", Scenario("", {"CMG Entry Date": 2012.8})))
RIVALS = (Structure("M0", ""), Structure("M1", "able founder", Scenario("", {"Founding Capability": 1})))
TIMES = (2015.33, 2019.9)
RNG = np.random.default_rng(8)
DRAWS = Draws("M0", {"Pool Scale": RNG.uniform(0.4, 0.9, 6), "Approach Hazard[SOE]": RNG.uniform(0.5, 2, 6)}, "prior")
BY_RIVAL = {"M0": DRAWS, "M1": DRAWS.under("M1")}


@pytest.fixture(scope="module")
def park():
    return read_model(bundled())


@pytest.fixture(scope="module")
def result(park):
    return run_policies(Setup(park), POLICIES, RIVALS, BY_RIVAL, [RESIDENTS, SOE], TIMES)


def test_an_experiment_equals_a_single_run_with_the_same_settings(park, result):
    scenario, instants = at_steps(park, Scenario(), TIMES)
    own = {"Pool Scale": DRAWS.values["pool_scale"][4], "Approach Hazard[SOE]": DRAWS.values["approach_hazard[soe]"][4]}
    single = simulate(
        park,
        scenario | Scenario("", own | {"Founding Capability": 1, "SW CMG": 0}),
        save=["Total Residents", "Residents"],
        times=list(instants),
        engine="native",
    )
    found = result.sel(policy="E1", rival="M1", draw=4)
    assert np.allclose(found["residents"], single["total_residents"], rtol=1e-12)
    share = single["residents"].sel(origin="SOE") / single["total_residents"]
    assert np.allclose(found["soe share"], share, rtol=1e-12)


def test_the_base_after_experiments_is_the_base(park, result):
    again = run_policies(Setup(park), (*POLICIES, Policy("base again", "")), RIVALS, BY_RIVAL, [RESIDENTS], TIMES)
    base = result["residents"].sel(policy="base").to_numpy()
    assert np.array_equal(again["residents"].sel(policy="base again").to_numpy(), base)


def test_a_draw_is_the_same_whatever_runs_with_it(park, result):
    alone = run_policies(Setup(park), (NO_CMG,), RIVALS[:1], {"M0": DRAWS.take([2])}, [RESIDENTS], TIMES)
    together = result["residents"].sel(policy="E1", rival="M0", draw=2)
    assert np.array_equal(alone["residents"].to_numpy().ravel(), together.to_numpy())


def test_no_bit_depends_on_workers_or_chunks(park, monkeypatch):
    many = Draws("M0", {"Pool Scale": np.linspace(0.4, 0.9, 70)}, "prior")

    def run():
        return run_policies(Setup(park), POLICIES, RIVALS[:1], {"M0": many}, [RESIDENTS, SOE], TIMES)

    monkeypatch.setattr(ensembles, "processors", lambda: 1)
    alone = run()
    monkeypatch.setattr(ensembles, "processors", lambda: 3)
    monkeypatch.setattr(ensembles, "chunk_size", lambda n, workers: 16)
    assert run().identical(alone)


def test_a_policy_wins_over_the_rival_and_over_the_draw(park):
    policy = Policy("p", "", Scenario("", {"Pool Scale": 2, "Founding Capability": 0.5}))
    found = run_policies(Setup(park), (policy,), RIVALS[1:], BY_RIVAL, [RESIDENTS], TIMES)
    hazards = {"Approach Hazard[SOE]": DRAWS.values["approach_hazard[soe]"], "Pool Scale": np.full(6, 2.0)}
    scenario, instants = at_steps(park, Scenario(), TIMES)
    told = ensemble(park, hazards, save=["Total Residents"], times=instants, scenario=scenario)
    assert np.array_equal(found["residents"].to_numpy()[0, 0], told["total_residents"].to_numpy())


def test_a_whole_variable_takes_back_what_was_drawn_for_an_element(park):
    policy = Policy("p", "", Scenario("", {"Approach Hazard": [1.0, 0.2, 0.2, 0.3, 0.2]}))
    found = run_policies(Setup(park), (policy,), RIVALS[:1], BY_RIVAL, [RESIDENTS], TIMES)
    fixed = Draws("M0", {"Pool Scale": DRAWS.values["pool_scale"]}, "prior")
    told = run_policies(Setup(park), (policy,), RIVALS[:1], {"M0": fixed}, [RESIDENTS], TIMES)
    assert np.array_equal(found["residents"].to_numpy(), told["residents"].to_numpy())


def test_a_policy_may_replace_a_variable_over_time(park):
    path = {"times": [2010, 2030], "values": [0.0, 0.0]}
    policy = Policy("p", "", Scenario("", {"Target Serviced Land": path}))
    found = run_policies(Setup(park), (BASE, policy), RIVALS[:1], BY_RIVAL, [RESIDENTS], TIMES)
    assert (effects(found)["residents"].sel(time=2019.9) < 0).all()


@pytest.fixture
def ran(monkeypatch):
    """The sets of settings that are run and not taken from what is kept."""
    whole, calls = SettingsTask.__call__, []

    def counted(self, tell):
        calls.append(self.label)
        return whole(self, tell)

    monkeypatch.setattr(SettingsTask, "__call__", counted)
    return calls


def stop_after(runs):
    def stop(done, total):
        if done > runs:
            raise KeyboardInterrupt

    return stop


def test_a_stopped_call_goes_on_where_it_was(park, result, tmp_path, ran):
    kept = Checkpoints(tmp_path / "kept")
    asked = (POLICIES, RIVALS, BY_RIVAL, [RESIDENTS, SOE], TIMES)
    with pytest.raises(KeyboardInterrupt):
        run_policies(Setup(park, pool=Workers(0, kept)), *asked, progress=stop_after(3 * 6))
    # three policies under one rival and one under the next
    assert len(list((tmp_path / "kept").iterdir())) == 4
    again = run_policies(Setup(park, pool=Workers(0, kept)), *asked)
    assert len(ran) == len(POLICIES) * len(RIVALS)
    xr.testing.assert_identical(again, result)
    # nothing is run for a call that is done
    xr.testing.assert_identical(run_policies(Setup(park, pool=Workers(0, kept)), *asked), result)
    assert len(ran) == len(POLICIES) * len(RIVALS)


def test_what_goes_on_is_saved_as_what_was_never_stopped(park, tmp_path):
    rivals = (Structure("M0", ""), Structure("M10", "able founder", Scenario("", {"Founding Capability": 1})))
    draws, kept = {"M0": DRAWS, "M10": DRAWS.under("M10")}, Checkpoints(tmp_path / "kept")
    asked = (POLICIES, rivals, draws, [RESIDENTS], TIMES)
    with pytest.raises(KeyboardInterrupt):
        run_policies(Setup(park, pool=Workers(0, kept)), *asked, progress=stop_after(3 * 6))
    results.save(run_policies(Setup(park, pool=Workers(0, kept)), *asked), tmp_path / "again.nc")
    results.save(run_policies(Setup(park), *asked), tmp_path / "whole.nc")
    assert results.load(tmp_path / "again.nc")["rival"].to_numpy().tolist() == ["M0", "M10"]
    xr.testing.assert_identical(results.load(tmp_path / "again.nc"), results.load(tmp_path / "whole.nc"))
    assert (tmp_path / "again.nc").read_bytes() == (tmp_path / "whole.nc").read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        {"policy": NO_CMG},
        {"draws": Draws("M0", {**DRAWS.values, "pool_scale": DRAWS.values["pool_scale"] * (1 + 1e-15)}, "prior")},
        {"times": (2015.33, 2019.8)},
        {"scenario": Scenario("", {"Founding Capability": 0.9})},
        {"engine": "numpy"},
        {"outcomes": (SOE,)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_another_call_has_kept_is_not_taken(park, change):
    def key(policy=BASE, draws=DRAWS, outcomes=(RESIDENTS,), times=TIMES, scenario=Scenario(), engine="native"):  # noqa: B008
        scenario, instants = at_steps(park, scenario, times)
        return SettingsTask(park, policy.scenario, draws, outcomes, instants, scenario, engine).key

    assert key(**change) == key(**change) != key()


def test_a_policy_that_is_added_is_all_that_is_run(park, result, tmp_path, ran):
    kept = Checkpoints(tmp_path)
    run_policies(Setup(park, pool=Workers(0, kept)), POLICIES[:2], RIVALS, BY_RIVAL, [RESIDENTS, SOE], TIMES)
    more = run_policies(Setup(park, pool=Workers(0, kept)), POLICIES, RIVALS, BY_RIVAL, [RESIDENTS, SOE], TIMES)
    assert len(ran) == len(POLICIES) * len(RIVALS)
    xr.testing.assert_identical(more, result)


def test_a_rival_without_draws_is_an_error(park):
    with pytest.raises(InvalidValue, match="the draws of the rivals"):
        run_policies(Setup(park), POLICIES, RIVALS, {"M0": DRAWS}, [RESIDENTS], TIMES)


def test_times_within_one_step_of_the_run_share_its_numbers(park):
    step = park.time.step
    between = run_policies(
        Setup(park), POLICIES[:1], RIVALS[:1], BY_RIVAL, [RESIDENTS], [2019, 2019 + 0.3 * step, 2020]
    )
    values = between["residents"].values
    assert values.shape[-1] == 3
    np.testing.assert_array_equal(values[..., 0], values[..., 1])
    assert between["instant"].values.tolist() == [2019, 2019, 2020]


def test_a_time_outside_the_run_is_an_error(park):
    with pytest.raises(InvalidValue, match="2010 to 2030"):
        run_policies(Setup(park), POLICIES, RIVALS, BY_RIVAL, [RESIDENTS], [2040])


def test_effects_are_differences_to_the_base_of_the_same_draw(result):
    found = effects(result)["residents"].sel(policy="E1").to_numpy()
    told = (result["residents"].sel(policy="E1") - result["residents"].sel(policy="base")).to_numpy()
    assert np.array_equal(found, told)


def test_effects_need_the_base(result):
    with pytest.raises(InvalidValue, match="'base' among them"):
        effects(result.isel(policy=[1, 2]))


def test_the_summary_of_a_normal_sample_finds_its_quantiles():
    found = summary(np.random.default_rng(1).normal(2, 1, 200_000))
    assert found.median == pytest.approx(2, abs=0.01)
    assert (found.low90, found.high90) == pytest.approx((2 - 1.645, 2 + 1.645), abs=0.02)
    assert (found.low50, found.high50) == pytest.approx((2 - 0.674, 2 + 0.674), abs=0.02)
    assert found.above_zero == pytest.approx(0.977, abs=0.002)


def test_the_monte_carlo_error_is_the_spread_of_means():
    rng = np.random.default_rng(2)
    samples = rng.normal(0, 3, (2000, 50))
    errors = [summary(sample).mcse for sample in samples]
    assert np.mean(errors) == pytest.approx(samples.mean(axis=1).std(), rel=0.05)


@pytest.mark.parametrize("draw", ["normal", "exponential"])
def test_the_error_of_a_median_is_the_spread_of_medians_also_of_draws_that_depend_on_each_other(draw):
    """Each value stands four times, as of a chain that seldom moves: 200 draws are worth 50."""
    samples = getattr(np.random.default_rng(4), draw)(size=(2000, 50))
    spread = np.median(samples, axis=1).std()
    found = [summary(np.repeat(sample, 4), effective=50) for sample in samples]
    assert np.mean([of.mcse_median for of in found]) == pytest.approx(spread, rel=0.05)
    assert np.mean([of.mcse for of in found]) == pytest.approx(samples.mean(axis=1).std(), rel=0.05)
    taken_as_independent = [summary(np.repeat(sample, 4)).mcse_median for sample in samples]
    assert np.mean(taken_as_independent) < 0.6 * spread
    mixture = [summary(np.repeat(sample, 4), np.ones(200), 50).mcse_median for sample in samples]
    assert np.mean(mixture) == pytest.approx(spread, rel=0.06)


def test_some_of_many_dependent_draws_are_worth_nearly_all_of_them():
    """Chains in which neighbours correlate by 0.95: 10,000 draws are worth 256, and 500 of them, taken evenly, 239."""
    rng, even, random = np.random.default_rng(6), [], []
    for _ in range(200):
        course = lfilter([np.sqrt(1 - 0.95**2)], [1, -0.95], rng.standard_normal(10_200))[200:]
        draws = Draws("M0", {"x": course}, "posterior", converged=True, independent=256.0)
        some = draws.thinned(500)
        assert (len(some), some.whole, some.effective) == (500, draws, 256)
        even.append(some.values["x"].mean() - course.mean())
        random.append(course[rng.choice(10_000, 500, replace=False)].mean() - course.mean())
    # the error that leaving draws out adds to that of the fit, which is a sixteenth
    assert np.std(even) < 0.02 < 0.04 < np.std(random)
    assert draws.thinned(10_000) is draws


def test_as_many_draws_run_as_operations_are_left_for_them(write_mdl):
    """Four times the settings have a quarter of the draws, and half the step half of them."""
    equations = "".join(f"a{i} = SIN(y + {i}) ~~|\n" for i in range(100))
    total = "+".join(f"a{i}" for i in range(100))
    model = read_model(write_mdl(f"{equations}y = INTEG({total}, 0) ~~|", step=0.01))
    many, fewer = (affordable(Setup(model), ["y", ""], n) for n in (100, 400))
    assert many == pytest.approx(4 * fewer, rel=0.01)
    finer = replace(model, time=replace(model.time, step=model.time.step / 2))
    assert affordable(Setup(finer), ["y"], 100) == pytest.approx(many / 2, rel=0.05)
    # a model without equations takes time as well
    assert 0 < affordable(Setup(read_model(write_mdl("y = INTEG(1, 0) ~~|"))), ["y"]) < 10_000_000


def test_equal_weights_change_nothing():
    values = np.random.default_rng(3).normal(size=5001)
    weighted, plain = summary(values, np.full(5001, 0.3)), summary(values)
    for name in ("mean", "median", "low90", "high50", "above_zero", "mcse"):
        assert getattr(weighted, name) == pytest.approx(getattr(plain, name), abs=2e-3)


def test_weighted_quantiles_of_a_repeated_sample_are_those_of_the_repeats():
    values, counts = np.array([5.0, 1.0, 3.0]), np.array([1000.0, 2000.0, 4000.0])
    many = np.repeat(values, counts.astype(int))
    assert np.allclose(weighted_quantiles(many, np.ones(len(many)), [0.2, 0.5]), np.quantile(many, [0.2, 0.5]))
    assert summary(values, counts).mean == pytest.approx(many.mean())


def test_failed_runs_are_left_out_of_a_summary():
    assert summary(np.array([1.0, np.nan, 3.0])).mean == 2
    assert summary(np.array([1.0, np.nan, 3.0])).n == 2


def test_the_table_shows_a_mixture_only_where_rivals_have_weights(result):
    assert set(table(result)["rival"]) == {"M0", "M1"}
    weighted = result.assign_coords(weight=("rival", [0.75, 0.25]))
    found = table(weighted)
    pick = (found["policy"] == "E1") & (found["outcome"] == "residents") & (found["time"] == 2019.9)
    means = found[pick].set_index("rival")["mean"]
    assert means["weighted"] == pytest.approx(0.75 * means["M0"] + 0.25 * means["M1"])


def test_a_claim_counts_the_draws_in_which_it_is_true():
    values = np.array([[[10.0], [10.0], [10.0], [10.0]], [[4.0], [4.9], [5.1], [12.0]]])[:, None]
    data = xr.Dataset(
        {"y": (("policy", "rival", "draw", "time"), values)},
        {"policy": ["base", "p"], "rival": ["M0"], "time": [1.0], "weight": ("rival", [np.nan])},
    )
    policy = Policy("p", "", expected=(Expected("y", 1.0, "less", factor=0.5), Expected("y", 1.0, "more")))
    half, more = claims([policy], data)
    assert half.evidence == (Evidence("M0", Tally(2, 4)),)
    assert more.evidence[0].prior.share == 0.25
    assert half.classified.kind == "undecided"


def many(own, base=10.0):
    """A policy with outcomes ``own : (n_rivals, n_draws)`` beside a base that is always the same."""
    own = np.asarray(own, dtype=float)
    values = np.stack([np.full_like(own, base), own])[..., None]
    rivals = [f"M{i}" for i in range(len(own))]
    return xr.Dataset(
        {"y": (("policy", "rival", "draw", "time"), values)},
        {"policy": ["base", "p"], "rival": rivals, "time": [1.0], "weight": ("rival", [np.nan] * len(own))},
    )


MORE = Policy("p", "", expected=(Expected("y", 1.0, "more"),))


def test_prior_and_posterior_keep_their_places():
    """Swapped, what data have informed would be what they speak against."""
    half, nearly = np.repeat([9.0, 11.0], 100)[None], np.repeat([9.0, 11.0], [10, 190])[None]
    (found,) = claims([MORE], many(half), many(nearly))
    assert (found.evidence[0].prior.share, found.evidence[0].posterior.share) == (0.5, 0.95)
    assert (found.classified.kind, found.classified.side) == ("informed", "for")
    (turned,) = claims([MORE], many(nearly), many(half))
    assert (turned.classified.kind, turned.classified.side) == ("informed", "against")


def test_a_posterior_is_worth_its_independent_draws_and_a_borrowed_one_is_none():
    half, nearly = np.repeat([[9.0, 11.0]], 100, axis=1), np.repeat([[9.0, 11.0]], [10, 190], axis=1)
    prior, after = many(np.repeat(half, 2, axis=0)), many(np.repeat(nearly, 2, axis=0))
    (found,) = claims([MORE], prior, after, {"M0": 50.0})
    assert found.evidence[0].posterior == Tally(0.95 * 50, 50)
    assert found.evidence[1].posterior is None
    assert found.classified.kind == "undecided"
    (found,) = claims([MORE], prior, after, {"M0": 200.0, "M1": 200.0})
    assert found.classified.kind == "informed"


def test_a_policy_that_changes_nothing_under_a_structure_is_idle_there():
    (found,) = claims([MORE], many([[11.0] * 95 + [10.0] * 5, [10.0] * 91 + [11.0] * 9]))
    assert [one.idle for one in found.evidence] == [False, True]


def test_the_last_bits_of_a_sum_are_no_change():
    rounded = np.nextafter(np.full(100, 10.0), np.tile([9.0, 11.0], 50))
    found = effects(many([rounded]), "base")["y"].to_numpy()
    assert not found.any()
    assert np.all(effects(many([rounded + 1e-9]), "base")["y"].to_numpy() > 0)
    lost = many([[np.nan, *rounded[1:]]])
    assert np.isnan(effects(lost, "base")["y"].to_numpy()).sum() == 1


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ([[11.0] * 100], "more"),
        ([[9.0] * 100], "less"),
        ([[11.0] * 80 + [9.0] * 20], "either"),
        ([[11.0] * 91 + [9.0] * 9], "either"),
        ([[10.0] * 100], "no change"),
        ([[10.0 - 1e-14] * 100], "no change"),
        ([[11.0] * 100, [9.0] * 100], "either"),
        ([[11.0] * 100, [10.0] * 100], "more"),
    ],
)
def test_a_sign_is_told_where_every_structure_has_it(own, told):
    assert sign(many(own), "p", "y", 1.0) == told


def test_intervals_of_a_summary_are_fifty_and_ninety_per_cent():
    """Of the whole numbers from 0 to 100, with and without weights."""
    values = np.arange(101.0)
    for found in (summary(values), summary(values, np.full(101, 1 / 101))):
        ends = (found.low90, found.low50, found.median, found.high50, found.high90)
        assert ends == pytest.approx((5, 25, 50, 75, 95), abs=0.5)


def test_no_china_merchants_is_a_small_loss_where_the_founder_is_able(result):
    at = effects(result)["residents"].sel(policy="E1", time=2019.9).mean("draw")
    assert at.sel(rival="M0") < 3 * at.sel(rival="M1") < 0


# contacts that take no time, and nobody who could resist: more than the whole pool asks within a step
WILD = Draws(
    "M0",
    {"Approach Hazard": np.array([0.2, 100.0]), "Minimum Contact Time": np.array([0.25, 0.0])},
    "prior",
)
BOUNDED = Outcome("residents", "Residents", "Total Residents", low=0, high=20000)


def test_a_run_that_leaves_what_is_possible_is_run_with_a_finer_step(park):
    scenario, instants = at_steps(park, Scenario(), [2030])
    coarse = ensemble(park, dict(WILD.values), save=["Residents"], times=instants, scenario=scenario, failures="leave")
    residents = float(coarse["residents"][1].sum(skipna=False))
    assert not 0 <= residents <= 20000
    found = SettingsTask(park, Scenario(), WILD, (BOUNDED,), instants, scenario, "native").run()
    assert found["refined"].tolist() == [False, True]
    finer = scenario | Scenario("", time_step=1 / 1024, saveper=1 / 1024)
    told = SettingsTask(park, Scenario(), WILD, (RESIDENTS,), instants, finer, "native").run()["values"][0, 1, 0]
    assert found["values"][0, 1, 0] == told
    assert 0 < told < 20000


def test_a_draw_is_refined_under_all_policies_or_none(park):
    policies = (BASE, Policy("shock", "", Scenario("", {"Approach Hazard": 0.1})))
    found = run_policies(Setup(park), policies, RIVALS[:1], {"M0": WILD}, [BOUNDED], [2030])
    assert found["refined"].to_numpy()[:, 0].tolist() == [[0, 1], [0, 1]]


def test_a_run_that_stays_impossible_is_no_number(park):
    never = Outcome("residents", "Residents", "Total Residents", low=1e9)
    found = run_policies(Setup(park), (BASE,), RIVALS[:1], {"M0": WILD}, [never], [2030])
    assert np.isnan(found["residents"]).all()
    failures = failures_in(park, found)
    assert (failures.failed, failures.total) == (2, 2)
    of_ranges = [line for line in failures.lines() if "is outside its range" in line]
    assert of_ranges == [f"1 run: {park['Total Residents'].label} is outside its range, earliest at time 2010"]


# --- numbers that tables print ----------------------------------------------------------------------------------------


def test_a_summary_counts_signs_and_knows_its_errors():
    found = summary(np.array([-2.0, 0.0, 1.0, 3.0, np.nan]))
    assert (found.n, found.mean, found.median, found.above_zero, found.below_zero) == (4, 0.5, 0.5, 0.5, 0.25)
    # of four draws, three degrees of freedom; and a share of one half
    assert found.mcse == pytest.approx(np.std([-2, 0, 1, 3], ddof=1) / 2)
    assert found.mcse_above_zero == pytest.approx(0.25)
    # one draw, and one that carries all the weight, leave an error of nothing
    assert (summary(np.array([7.0])).mcse, summary(np.array([7.0])).mcse_above_zero) == (0, 0)


def test_weights_make_a_sample_as_small_as_it_is():
    values, weights = np.array([1.0, 2.0, 4.0]), np.array([0.5, 0.25, 0.25])
    found = summary(values, 3 * weights)
    size = 1 / (0.25 + 2 * 0.0625)
    spread = weights @ (values - 2) ** 2
    assert (found.n, found.mean) == (3, 2)
    assert found.mcse == pytest.approx(np.sqrt(spread / (size - 1)))
    assert summary(np.array([1.0, -1.0]), np.array([0.75, 0.25])).mcse_above_zero == pytest.approx(
        np.sqrt(0.75 * 0.25 * (0.75**2 + 0.25**2))
    )


def test_without_a_run_a_summary_is_empty():
    found = summary(np.array([np.nan, np.inf]))
    assert found.n == 0
    assert np.isnan([found.mean, found.median, found.low50, found.high50, found.low90, found.high90]).all()
    assert np.isnan([found.above_zero, found.below_zero, found.mcse, found.mcse_above_zero, found.mcse_median]).all()


def test_weighted_quantiles_are_interpolated_between_middles_of_weights():
    # cumulative weights in the middle of each value are 0.1, 0.4 and 0.8
    values, weights = np.array([30.0, 10.0, 20.0]), np.array([2.0, 1.0, 2.0])
    assert weighted_quantiles(values, weights, [0.05, 0.1, 0.25, 0.4, 0.6, 0.8, 0.99]) == pytest.approx(
        [10, 10, 15, 20, 25, 30, 30]
    )


@pytest.mark.parametrize(("given", "expected"), [
    ([1.0, 3.0], [0.25, 0.75]), ([1.0, np.nan], None), ([0.0, 0.0], None), ([np.inf, 1.0], None),
])  # fmt: skip
def test_weights_are_used_where_all_rivals_have_one(given, expected):
    result = many([[1.0], [2.0]]).assign_coords(weight=("rival", given))
    found = weights_of(result)
    assert found is None if expected is None else found.tolist() == expected


def test_the_table_has_levels_of_the_base_beside_differences():
    result = many([[12.0, 14.0], [9.0, np.nan]], base=10.0).assign_coords(
        weight=("rival", [0.75, 0.25]),
        effective=("rival", [2.0, 1.0]),
        policy_title=("policy", ["Base", "More of it"]),
    )
    result["y"][0, 0, 1, 0] = 8.0
    lines = table(result).to_dict("records")
    assert [(line["policy"], line["title"], line["outcome"], line["time"], line["rival"]) for line in lines] == [
        ("p", "More of it", "y", 1.0, rival) for rival in ("M0", "M1", "weighted")
    ]
    assert [line["base"] for line in lines] == [9.0, 10.0, 9.25]
    assert [line["n"] for line in lines] == [2, 1, 3]
    assert [line["mean"] for line in lines[:2]] == [4.0, -1.0]
    # weights of 3/8, 3/8 and 1/8 over what ran
    assert lines[2]["mean"] == pytest.approx((2 * 3 + 6 * 3 - 1 * 1) / 7)
    failed_base = result.copy(deep=True)
    failed_base["y"][0, 1] = np.nan
    assert np.isnan(table(failed_base)["base"][1])


def test_the_refusal_names_the_policies_that_there_are(result):
    with pytest.raises(InvalidValue, match=r"its policies.* is 'E1, .*expected 'base' among them"):
        effects(result.isel(policy=[1, 2]))


def test_differences_keep_units_and_the_base_is_none_of_them(result):
    found = effects(result)
    assert found["policy"].to_numpy().tolist() == result["policy"].to_numpy().tolist()[1:]
    assert found["residents"].attrs == result["residents"].attrs
    assert found.attrs == result.attrs
    assert effects(result, "E1")["policy"].to_numpy().tolist()[0] == "base"


@pytest.mark.parametrize(
    ("how", "factor", "true"), [("more", 1.0, 2), ("less", 1.0, 1), ("more", 1.1, 1), ("less", 1.1, 2)]
)
def test_an_expectation_is_strict_and_against_a_multiple(how, factor, true):
    data = many([[12.0, 10.0, 9.0, 11.0, np.nan]])
    policy = Policy("p", "", expected=(Expected("y", 1.0, how, factor=factor),))
    (found,) = claims([policy], data)
    assert found.evidence[0].prior == Tally(true, 4)
    assert (found.policy, found.expected) == ("p", policy.expected[0])


@pytest.mark.parametrize(("same", "idle"), [(90, True), (89, False)])
def test_nine_draws_in_ten_that_stay_equal_make_a_policy_idle(same, idle):
    (found,) = claims([MORE], many([[10.0 * (1 + 1e-13)] * same + [11.0] * (100 - same)]))
    assert found.evidence[0].idle is idle
    (moved,) = claims([MORE], many([[10.0 * (1 + 1e-11)] * 100]))
    assert not moved.evidence[0].idle
    (failed_all,) = claims([MORE], many([[np.nan] * 3]))
    assert (failed_all.evidence[0].prior, failed_all.evidence[0].idle) == (Tally(0, 0), False)
    assert sign(many([[10.0] * same + [11.0] * (100 - same)]), "p", "y", 1.0) == ("no change" if idle else "either")


def test_without_a_mapping_every_fit_counts_in_full():
    (found,) = claims([MORE], many([[9.0, 11.0]]), many([[11.0, 11.0]]))
    assert found.evidence[0].posterior == Tally(2, 2)
    (unfitted,) = claims([MORE], many([[9.0, 11.0]]))
    assert unfitted.evidence[0].posterior is None


def test_an_equation_has_in_each_draw_the_values_of_that_draw_under_its_structure(park):
    less = Policy(
        "less",
        "",
        equations=(("Pool Scale", "0.8 * Pool Scale"), ("Founding Capability", "MIN(1, 2 * Founding Capability)")),
    )
    found = run_policies(Setup(park), (BASE, less), RIVALS, BY_RIVAL, [RESIDENTS], TIMES)
    # M1 sets the capability to 1; under M0 it is that of the file
    in_file = constant_values(park, park["Founding Capability"])["Founding Capability"]
    for rival, capability in (("M0", min(1.0, 2 * in_file)), ("M1", 1.0)):
        values = {**DRAWS.values, "pool_scale": 0.8 * DRAWS.values["pool_scale"]}
        by_hand = Policy("by hand", "", Scenario("", {"Founding Capability": capability}))
        own = {name: replace(draws, values=values) for name, draws in BY_RIVAL.items()}
        again = run_policies(Setup(park), (BASE, by_hand), RIVALS, own, [RESIDENTS], TIMES)
        got, expected = (of["residents"].sel(rival=rival) for of in (found, again))
        assert np.array_equal(got.sel(policy="less"), expected.sel(policy="by hand"))
        assert np.array_equal(got.sel(policy="base"), found["residents"].sel(rival=rival, policy="base"))
    ends = moved(Setup(park), (less,), RIVALS[0], DRAWS)["less"]
    middle = float(np.median(DRAWS.values["pool_scale"]))
    assert ends["pool_scale"] == pytest.approx((middle, 0.8 * middle))
    assert ends["founding_capability"] == pytest.approx((in_file, min(1.0, 2 * in_file)))


def test_a_metric_is_of_the_whole_course_until_the_time(write_mdl):
    model = read_model(write_mdl("X = 9 - (Time - 4.03) * (Time - 4.03) * k ~~|k = 1 ~~|", final=10, step=0.125))
    outcomes = [
        Outcome(name, name, "X", metric=metric)
        for name, metric in (("top", "maximum"), ("when", "time-of-maximum"), ("least", "minimum"), ("now", ""))
    ]
    draws = Draws("M", {"k": np.array([1.0, 2.0])}, "prior")
    found = run_policies(Setup(model), (BASE,), (Structure("M", ""),), {"M": draws}, outcomes, (3.0, 10.0))
    read = {name: found[name].isel(policy=0, rival=0).to_numpy() for name in ("top", "when", "least", "now")}
    k = draws.values["k"][:, None]
    np.testing.assert_allclose(read["top"], 9 - np.array([[1.03**2, 0.03**2]]) * k)
    np.testing.assert_allclose(read["when"], [[3.0, 4.03], [3.0, 4.03]])
    np.testing.assert_allclose(read["least"], 9 - np.array([[4.03**2, 5.97**2]]) * k)
    np.testing.assert_allclose(read["now"], 9 - np.array([[1.03**2, 5.97**2]]) * k)


@pytest.mark.parametrize(
    ("misfit", "factor", "kind"), [("", 1.0, "built in"), ("", 0.5, "built in"), ("a trend", 0.5, "built in")]
)
def test_of_a_change_whose_direction_is_assumed_no_size_is_informed(misfit, factor, kind):
    """Half as many is open before the data and true after them, and fewer is true in all."""
    rng = np.random.default_rng(3)
    policy = Policy("p", "", expected=(Expected("x", 1.0, "less", factor=factor),))

    def runs(shares):
        base = np.full(len(shares), 10.0)
        values = np.stack([base, base * shares])[:, None, :, None]
        coords = {"policy": ["base", "p"], "rival": ["M"], "time": [1.0]}
        return xr.Dataset({"x": (("policy", "rival", "draw", "time"), values)}, coords)

    before, after = runs(rng.uniform(0.1, 0.95, 300)), runs(rng.uniform(0.1, 0.3, 300))
    (claim,) = claims([policy], before, after, {"M": 300.0}, misfit)
    assert claim.classified.kind == kind
    # where the direction is open, the same odds inform
    turned = runs(rng.uniform(0.1, 1.6, 300))
    (claim,) = claims([policy], turned, after, {"M": 300.0}, misfit)
    assert claim.classified.kind == ("undecided" if misfit else "informed")
