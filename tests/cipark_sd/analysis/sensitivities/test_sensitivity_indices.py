"""Indices against closed forms and against SALib on the same runs, and their promises about order and size."""

import numpy as np
import pytest

import cipark_sd.analysis.sensitivities.sobol as sobol_module
from cipark_sd.analysis.sensitivities import response as response_module
from cipark_sd.analysis.sensitivities.given_data import Explained
from cipark_sd.analysis.sensitivities.ranking import unranked
from cipark_sd.analysis.sensitivities.response import BLOCK, blocks, bootstrap_weights
from cipark_sd.analysis.sensitivities.sampled import sample
from cipark_sd.analysis.sensitivities.shapley import shapley
from cipark_sd.analysis.sensitivities.sobol import sensitivity, sobol
from cipark_sd.base.checkpoints import Checkpoints
from cipark_sd.base.errors import InvalidValue
from cipark_sd.commands.sensitivity.methods.sample import fan, swing, tornado

#: Stated aim for the closed forms at 1024 rows.
CLOSE = 0.03


def ishigami(shares):
    """Ishigami and Homma 1990 with a = 7, b = 0.1."""
    x = -np.pi + 2 * np.pi * shares
    return np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])


def ishigami_indices():
    """First-order, total, and the one interaction (1 with 3)."""
    a, b = 7.0, 0.1
    v1, v2 = (1 + b * np.pi**4 / 5) ** 2 / 2, a**2 / 8
    v13 = b**2 * np.pi**8 * 8 / 225
    v = v1 + v2 + v13
    return np.array([v1, v2, 0]) / v, np.array([v1 + v13, v2, v13]) / v, v13 / v


G = np.array([0.0, 1.0, 4.5, 9.0, 99.0, 99.0, 99.0, 99.0])


def g_function(shares):
    """Sobol's g."""
    return np.prod((np.abs(4 * shares - 2) + G) / (1 + G), axis=1)


def g_indices():
    partial = 1 / (3 * (1 + G) ** 2)
    v = np.prod(1 + partial) - 1
    return partial / v, partial * np.prod(1 + partial) / (1 + partial) / v


@pytest.mark.parametrize("seed", range(5))
def test_ishigami_is_met_within_the_stated_error(response_of, seed):
    first, total, _ = ishigami_indices()
    found = sobol(response_of(3, ishigami), n=1024, seed=seed)
    np.testing.assert_allclose(found["S1"][:, 0, 0], first, atol=CLOSE)
    np.testing.assert_allclose(found["ST"][:, 0, 0], total, atol=CLOSE)


@pytest.mark.parametrize("seed", range(5))
def test_sobols_g_is_met_within_the_stated_error(response_of, seed):
    first, total = g_indices()
    found = sobol(response_of(8, g_function), n=1024, seed=seed)
    np.testing.assert_allclose(found["S1"][:, 0, 0], first, atol=CLOSE)
    np.testing.assert_allclose(found["ST"][:, 0, 0], total, atol=CLOSE)


def test_indices_equal_salibs_on_the_same_runs(response_of):
    """SALib's own functions, given the outputs relative to the mean of the two base samples."""
    from SALib.analyze import sobol as salib

    k, n = 3, 256
    found = sobol(response_of(k, ishigami), n=n, seed=3)
    shares = np.concatenate([piece for _, piece in blocks(2 * k, 0, n, 3)])
    a, b = shares[:, :k], shares[:, k:]
    ya, yb = ishigami(a), ishigami(b)
    middle = np.concatenate([ya, yb]).mean()

    def crossed(one, other, i):
        mixed = one.copy()
        mixed[:, i] = other[:, i]
        return ishigami(mixed) - middle

    ya, yb = ya - middle, yb - middle
    for i in range(k):
        ab = crossed(a, b, i)
        assert found["S1"][i, 0, 0] == pytest.approx(float(salib.first_order(ya, ab, yb)), abs=1e-12)
        assert found["ST"][i, 0, 0] == pytest.approx(float(salib.total_order(ya, ab, yb)), abs=1e-12)


def test_mean_and_variance_are_those_of_the_base_samples(response_of):
    found = sobol(response_of(3, ishigami), n=512, seed=2)
    shares = np.concatenate([piece for _, piece in blocks(6, 0, 512, 2)])
    values = np.concatenate([ishigami(shares[:, :3]), ishigami(shares[:, 3:])])
    assert float(found["mean"][0, 0]) == pytest.approx(values.mean(), rel=1e-12)
    assert float(found["variance"][0, 0]) == pytest.approx(values.var(), rel=1e-12)


def test_a_block_in_pieces_is_the_whole_block():
    for points in ("sobol", "random"):
        ((_, whole),) = blocks(3, 0, BLOCK, 1, points)
        pieces = [*blocks(3, 0, 16, 1, points), *blocks(3, 16, 64, 1, points), *blocks(3, 64, BLOCK + 32, 1, points)]
        assert [first for first, _ in pieces] == [0, 16, 64, BLOCK]
        assert np.array_equal(np.concatenate([piece for _, piece in pieces])[:BLOCK], whole)
    weights = [bootstrap_weights(1, first, size, 5) for first, size in ((0, 16), (16, 48), (64, 64))]
    assert np.array_equal(np.concatenate(weights, axis=1), bootstrap_weights(1, 0, BLOCK, 5))


def counting(calls, stop_at=0):
    def response(shares):
        calls.append(len(shares))
        if len(calls) == stop_at:
            raise KeyboardInterrupt
        return ishigami(shares)

    return response


def test_twice_the_rows_continue_the_design(response_of, tmp_path):
    calls, kept = [], Checkpoints(tmp_path)
    sobol(response_of(3, ishigami), n=256, seed=1, checkpoints=kept)
    continued = sobol(response_of(3, counting(calls)), n=1024, seed=1, checkpoints=kept)
    assert sum(calls) == 5 * (1024 - 256)
    assert continued.identical(sobol(response_of(3, ishigami), n=1024, seed=1))
    # the smaller design went into the larger
    assert len(list(tmp_path.iterdir())) == 1


def test_a_kept_design_that_is_larger_changes_no_result(response_of, tmp_path):
    kept = Checkpoints(tmp_path)
    sobol(response_of(3, ishigami), n=2048, seed=1, checkpoints=kept)
    again = sobol(response_of(3, ishigami), n=256, seed=1, checkpoints=kept)
    assert again.identical(sobol(response_of(3, ishigami), n=256, seed=1))


def test_a_stopped_design_goes_on_and_repeats_no_run(response_of, tmp_path, monkeypatch):
    monkeypatch.setattr(sobol_module, "SAVE_EVERY", 0.0)
    monkeypatch.setattr(response_module, "RUNS_AT_A_TIME", 5 * BLOCK)
    kept, calls = Checkpoints(tmp_path), []
    with pytest.raises(KeyboardInterrupt):
        sobol(response_of(3, counting(calls, 4)), n=1024, seed=1, checkpoints=kept)
    resumed = sobol(response_of(3, counting(calls)), n=1024, seed=1, checkpoints=kept)
    assert sum(calls) == 5 * 1024 + 5 * BLOCK  # the batch that was stopped is all that runs twice
    assert resumed.identical(sobol(response_of(3, ishigami), n=1024, seed=1))


def test_a_design_that_is_stopped_keeps_all_runs_that_were_computed(response_of, tmp_path, monkeypatch):
    monkeypatch.setattr(response_module, "RUNS_AT_A_TIME", 5 * 128)
    with pytest.raises(KeyboardInterrupt):
        sobol(response_of(3, counting([], 3)), n=1024, seed=1, checkpoints=Checkpoints(tmp_path))
    (entry,) = tmp_path.iterdir()
    with np.load(entry) as kept:
        assert int(kept["rows"]) == 2 * 128


@pytest.mark.parametrize("change", [{"seed": 2}, {"resamples": 20}])
def test_a_design_of_something_else_is_not_taken(response_of, tmp_path, change):
    kept, asked = Checkpoints(tmp_path), {"n": 128, "seed": 1}
    sobol(response_of(3, ishigami), **asked, checkpoints=kept)
    asked |= change
    found = sobol(response_of(3, ishigami), **asked, checkpoints=kept)
    assert found.identical(sobol(response_of(3, ishigami), **asked))
    assert len(list(tmp_path.iterdir())) == 2


def test_rows_do_not_depend_on_how_many_are_run_at_a_time(response_of, monkeypatch):
    whole = sobol(response_of(3, ishigami), n=1024, seed=1)
    monkeypatch.setattr(response_module, "RUNS_AT_A_TIME", 1)
    assert whole.identical(sobol(response_of(3, ishigami), n=1024, seed=1))


def test_an_output_without_variance_has_no_index_but_a_reason(response_of):
    response = response_of(2, lambda x: np.stack([np.full(len(x), 3.0), x.sum(axis=1)], axis=1), times=(0.0, 1.0))
    found = sobol(response, n=64, seed=1)
    assert np.isnan(found["S1"][:, 0, 0]).all()
    assert found["reason"].to_numpy().tolist() == [["the variance is negligible", ""]]
    assert np.isfinite(found["S1"][:, 0, 1]).all()


def test_a_variance_beyond_the_largest_number_has_no_index_but_a_reason(response_of):
    with np.errstate(over="ignore", invalid="ignore"):
        found = sobol(response_of(2, lambda x: 10.0 ** (400 * x[:, 0] - 100)), n=64, seed=1)
    assert np.isnan(found["ST"]).all()
    assert "beyond the largest number" in found["reason"].item()


def test_rounding_on_a_large_value_is_no_variance(response_of):
    response = response_of(2, lambda x: 1e6 + 1e-9 * np.sin(1e6 * x[:, 0]))
    assert sobol(response, n=64, seed=1)["reason"].item() == "the variance is negligible"


def test_failed_runs_are_counted_and_left_out(response_of):
    """A hundredth of the cube fails: the indices of the linear function hardly move, and nothing becomes NaN."""

    def failing(shares):
        return np.where(shares[:, 2] > 0.99, np.nan, 2 * shares[:, 0] + shares[:, 1])

    found = sobol(response_of(3, failing), n=1024, seed=1)
    assert 0 < int(found["n_failed"].item()) < 0.02 * found.attrs["runs"]
    np.testing.assert_allclose(found["S1"][:, 0, 0], [0.8, 0.2, 0.0], atol=CLOSE)


def test_poisson_weights_are_one_on_average_and_the_first_row_is_the_estimate():
    weights = bootstrap_weights(1, 0, BLOCK, 400)
    assert (weights[0] == 1).all()
    assert weights[1:].mean() == pytest.approx(1.0, abs=0.02)
    np.testing.assert_array_equal(weights[:, :5], bootstrap_weights(1, 0, 5, 400))


@pytest.mark.slow
def test_intervals_cover_at_their_rate_or_more_often(response_of):
    """The bootstrap knows nothing of the balance of Sobol's points, so that intervals are on the wide side."""
    first, total, _ = ishigami_indices()
    inside = []
    for seed in range(100):
        found = sobol(response_of(3, ishigami), n=1024, seed=seed)
        for name, exact in (("S1", first), ("ST", total)):
            inside.append(np.abs(found[name][:, 0, 0] - exact) <= found[f"{name}_conf"][:, 0, 0])
    assert np.mean(inside) >= 0.95


def test_shapley_effects_share_an_interaction_of_independent_inputs_equally(response_of):
    first, _, interaction = ishigami_indices()
    found = shapley(sample(response_of(3, ishigami), n=2048, seed=1), seed=1)
    missed = np.abs(found["Sh"][:, 0, 0] - (first + np.array([1, 0, 1]) * interaction / 2))
    assert (missed <= np.minimum(found["Sh_conf"][:, 0, 0], CLOSE)).all()


def test_no_share_is_given_of_what_is_too_rough_for_the_runs(response_of):
    """Waves that are far shorter than the distance of the points: 4 to 1 is true, and nobody can see it."""
    found = shapley(sample(response_of(2, lambda x: np.sin(2e3 * x[:, 0]) + 0.5 * x[:, 1]), n=1024, seed=1), seed=1)
    assert np.isnan(found["Sh"]).all()
    assert "all constants together explain" in found["reason"].item()
    assert "too rough" in found["reason"].item()


@pytest.mark.parametrize(
    ("whole", "beside", "words"),
    [
        (0.91, 0.0, ""),
        (0.89, 0.0, "explain 89% of the variance"),
        (1.0, 0.14, ""),
        (1.0, 0.16, "too rough a function of x2"),
    ],
)
def test_what_an_estimate_misses_widens_its_interval_until_it_ends_the_ranking(
    response_of, monkeypatch, whole, beside, words
):
    one = np.ones((2, 1))
    estimate = Explained(0.5 * one, 0.01 * one, 0.4 * one, np.array([[0.4], [0.4 + beside]]), whole * np.ones(1))
    monkeypatch.setattr("cipark_sd.analysis.sensitivities.shapley.explained", lambda *_: estimate)
    shares = shapley(sample(response_of(2, lambda x: x[:, 0]), n=256, seed=1), seed=1)
    assert words in shares["reason"].item()
    assert bool(words) == bool(shares["reason"].item()) == bool(np.isnan(shares["Sh"]).all())
    if not words:
        widths = 1.96 * 0.01 + (1 - whole) + np.array([0, beside])
        np.testing.assert_allclose(shares["Sh_conf"][:, 0, 0], widths, atol=1e-4)


def test_too_few_runs_and_runs_without_variance_have_their_reason(response_of):
    flat_and_sum = response_of(20, lambda x: np.stack([0 * x[:, 0], x.sum(axis=1)], axis=1), times=(0.0, 1.0))
    found = shapley(sample(flat_and_sum, n=128, seed=1), seed=1)
    assert found["reason"].to_numpy().tolist() == [
        ["the variance is negligible", "128 different draws are too few for 20 constants, which take 200"]
    ]


def test_draws_that_have_not_converged_have_no_share(response_of):
    found = shapley(sample(response_of(3, ishigami), n=256, seed=1), seed=1, doubt="not converged")
    assert found["reason"].item() == "not converged"
    assert np.isnan(found["Sh"]).all()


@pytest.mark.parametrize(("failing", "ranked"), [(0.05, True), (0.15, False)])
def test_more_than_a_tenth_of_failed_runs_ends_a_ranking(response_of, failing, ranked):
    def partly(shares):
        return np.where(shares[:, 2] > 1 - failing, np.nan, 2 * shares[:, 0] + shares[:, 1])

    runs = response_of(3, partly)
    for found in (shapley(sample(runs, n=1024, seed=1), seed=1), sobol(runs, n=1024, seed=1)):
        why = unranked(found.isel(output=0, time=0))
        assert (why == "") == ranked or "ST" in found
        assert ranked or "runs failed" in why


def test_a_tornado_moves_one_factor_and_knows_its_middle(response_of):
    found = tornado(response_of(2, lambda x: 10 * x[:, 0] - x[:, 1]), low=0.1, high=0.9)
    np.testing.assert_allclose(found["low"][:, 0, 0], [0.5, 4.9])
    np.testing.assert_allclose(found["high"][:, 0, 0], [8.5, 4.1])
    np.testing.assert_allclose(swing(found)[:, 0, 0], [8.0, 0.8])


def test_a_fan_has_the_percentiles_of_its_distribution(response_of):
    drawn = sample(response_of(1, lambda x: 100 * x[:, 0]), n=4096, seed=1)
    np.testing.assert_allclose(fan(drawn, (5.0, 50.0, 95.0))[:, 0, 0], [5, 50, 95], atol=0.1)


def test_rows_that_are_no_power_of_two_are_refused_with_those_next_to_it(response_of):
    with pytest.raises(InvalidValue, match="512 or 1024"):
        sobol(response_of(3, ishigami), n=1000, seed=1)


BENT = "Stock= INTEG(Rate,0) ~ ~ |\nRate= b+(a-5)*(a-5) ~ ~ |\na= 5 ~ ~ |\nb= 3 ~ ~ |\n"


def test_python_takes_draws_as_they_are_and_no_ranges_beside_them(write_mdl):
    """Of what the data know, a alone says nothing and b little, however far each of them goes (a ridge that bends)."""
    u, noise = np.random.default_rng(1).normal(size=(2, 2000))
    draws = {"a": 5 + 1.5 * u, "b": 6 - (1.5 * u) ** 2 + 0.1 * noise}
    model = write_mdl(BENT, final=20)
    found = sensitivity(model, draws, "Stock").isel(output=0, time=0)
    assert float(found["variance"]) == pytest.approx((20 * 0.1) ** 2 * noise.var(), rel=1e-6)
    np.testing.assert_allclose(found["Sh"], [0.445, 0.555], atol=CLOSE)
    assert abs(found["alone"].sel(parameter="a")) < CLOSE
    with pytest.raises(InvalidValue, match="two numbers each, or as many draws of each"):
        sensitivity(model, draws | {"b": (1, 2)}, "Stock")
