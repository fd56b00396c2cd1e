"""ArviZ reads the draws and says what we say."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from small_study import COUNTS, small_study

from calibration.assess.assessment import RIVALS
from calibration.assess.posterior_predictive import predict
from calibration.assess.rival_draws import draws_file, keep_rivals
from calibration.assess.rivals import compare, fit_rivals, leave_one_out
from calibration.inference.sample.convergence import Effort
from calibration.inference.sample.draws import draw, tree
from calibration.likelihood.posterior import On, posterior, with_terms
from cipark_sd.data.results import write_netcdf
from cipark_sd.engines.registry import choose

with warnings.catch_warnings():
    # what the older generation says of the newer one when it is imported
    warnings.simplefilter("ignore")
    az = pytest.importorskip("arviz", reason="arviz is in the extra dev")

#: The generation of the package: before 1, one package with InferenceData; since then three with DataTree.
OLD = int(az.__version__.split(".")[0]) < 1
EFFORT = Effort(walkers=24, most_steps=800, least_steps=400)
RIVAL = """
[[rival]]
name = "M1"
why = "slower"
set = { "pace" = 0.6 }
[[rival]]
name = "M2"
why = "faster"
set = { "pace" = 1.5 }
"""


@pytest.fixture(scope="module")
def density(tmp_path_factory):
    """Eight yearly counts, of which the fifth is looked at only."""
    whole = posterior(small_study(tmp_path_factory.mktemp("study"), RIVAL), choose("native"))
    terms = [replace(term, use="check") if i == 4 else term for i, term in enumerate(whole.problem.terms)]
    return with_terms(whole, terms)


@pytest.fixture(scope="module", params=["importance", "chains"])
def drawn(density, request):
    return draw(density, np.random.default_rng(1), effort=replace(EFFORT, sampler=request.param))


@pytest.fixture(scope="module")
def path(drawn, tmp_path_factory):
    path = tmp_path_factory.mktemp("draws") / "draws.nc"
    write_netcdf(tree(drawn, np.random.default_rng(2), 1), path)
    return path


@pytest.fixture(scope="module")
def opened(path):
    return az.from_netcdf(path)


def test_the_summary_is_ours(drawn, opened):
    summary, tails = az.summary(opened, round_to="none"), []
    for line in drawn.sampled.lines:
        theirs = summary.loc[line.name]
        # draws against all positions: within the errors of both
        assert float(theirs["mean"]) == pytest.approx(line.mean, abs=4 * line.mcse_mean)
        assert float(theirs["sd"]) == pytest.approx(line.sd, rel=0.05)
        assert float(theirs["ess_bulk"]) == pytest.approx(line.ess_bulk, rel=0.3)
        # weighed points may know a tail better than the draws that are kept of them
        tails.append(float(theirs["ess_tail"]) / min(line.ess_tail, len(drawn.flat)))
        assert float(theirs["mcse_mean"]) == pytest.approx(line.mcse_mean, rel=0.3)
        assert float(theirs["r_hat"]) < 1.01
    # both count the shares beyond the 5% and the 95% quantile and take the lesser size: .83 to 1.02 in 117 of 120
    # lines of chains. In three, of other seeds, and in both lines as a processor without AVX computes them, the course
    # of an ensemble's mean, which ArviZ does not see, was slow by chance and lowered ours: 1.9 to 3.0
    assert 0.8 < min(tails) <= max(tails) < (3.3 if drawn.sampled.sampler == "chains" else 1.15)


def test_leave_one_out_is_ours_and_over_the_fitted_terms_alone(drawn, opened):
    found = az.loo(opened, pointwise=True)
    _, elpd, pareto_k = leave_one_out(drawn)
    assert found.n_data_points == 7 == len(COUNTS) - 1
    assert np.asarray(found.loo_i if OLD else found.elpd_i) == pytest.approx(elpd, abs=1e-3)
    assert np.asarray(found.pareto_k) == pytest.approx(pareto_k, abs=0.02)


def test_the_groups_are_what_they_are_called(density, drawn, path):
    groups = xr.open_datatree(path, engine="h5netcdf")
    fitted, compared = groups["log_likelihood"].to_dataset(), groups["log_likelihood_check"].to_dataset()
    assert list(fitted.data_vars) == ["fitted"]
    assert list(compared.data_vars) == ["compared"]
    assert compared["compared_use"].to_numpy().tolist() == ["check"]
    assert fitted["fitted_term"].to_numpy().tolist()[0] == f"left: {density.problem.terms[0].label}"
    theta = np.stack([groups["posterior"][name] for name in density.space.names], axis=-1).reshape(-1, 2)
    logs = density.pointwise(theta, fitted_only=False)
    assert fitted["fitted"].to_numpy().reshape(-1, 7) == pytest.approx(np.delete(logs, 4, axis=1))
    assert compared["compared"].to_numpy().reshape(-1, 1) == pytest.approx(logs[:, [4]])
    of_chains = drawn.sampled.sampler == "chains"
    assert ("walker" in groups.attrs["draws"]) == of_chains
    assert groups.attrs["sampler"].startswith("Ensemble chains:" if of_chains else "Adaptive importance sampling:")
    assert ("pareto_k" in groups.attrs) != of_chains


def test_the_convergence_in_the_file_is_that_of_the_chains(drawn, path):
    group = xr.open_datatree(path, engine="h5netcdf")["convergence"].to_dataset()
    for line in drawn.sampled.lines:
        own = group.sel(parameter=line.name)
        for field in ("mean", "sd", "low", "median", "high", "mcse_mean", "mcse_low", "mcse_high", "ess_tail"):
            assert float(own[field]) == getattr(line, field)


@pytest.mark.parametrize("group", ["prior", "posterior"])
def test_predictions_of_prior_and_posterior_are_drawn(group, density, drawn, opened):
    import matplotlib.pyplot as plt

    predicted = opened[f"{group}_predictive"]["left"].to_numpy().reshape(-1, len(COUNTS))
    theta = np.stack([opened[group][name].to_numpy() for name in density.space.names], axis=-1).reshape(-1, 2)
    means = density.quantities(theta)
    error = np.sqrt((means.var(axis=0) + means.mean(axis=0)) / 1000)
    assert np.abs(predicted.mean(axis=0) - means.mean(axis=0)).max() < 5 * error.max()
    if group == "posterior":
        ours = predict(density, drawn.flat, np.random.default_rng(3))
        assert np.median(predicted, axis=0) == pytest.approx([row.median for row in ours], abs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if OLD:
            axis = az.plot_ppc(opened, group=group, kind="cumulative", num_pp_samples=20, random_seed=1, observed=True)
            observed = next(line for line in axis.get_lines() if "Observed" in str(line.get_label()))
            assert observed.get_xdata().max() == pytest.approx(max(COUNTS), rel=0.1)
        else:
            az.plot_ppc_dist(opened, group=f"{group}_predictive", kind="ecdf", num_samples=20)
    plt.close("all")


def test_rivals_are_compared_as_we_compare_them(density, tmp_path):
    fits, *_ = fit_rivals(density.problem, On("native"), np.random.default_rng(4), effort=EFFORT, refit=None)
    lines = compare(fits)
    keep_rivals(density.problem, fits, (), lines, tmp_path / RIVALS)
    files = {fit.variant.id: az.from_netcdf(draws_file(tmp_path / RIVALS, fit.variant.id)) for fit in fits}
    with warnings.catch_warnings():
        # of a term whose Pareto k is above 0.7, which both count
        warnings.simplefilter("ignore")
        theirs = az.compare(files, method="stacking", **({} if OLD else {"round_to": "none"}))
        loos = {name: az.loo(file) for name, file in files.items()}
    for line in lines:
        own = theirs.loc[line.name]
        assert float(own["elpd_loo" if OLD else "elpd"]) == pytest.approx(line.elpd, abs=0.06)
        assert float(own["weight"]) == pytest.approx(line.stacking, abs=0.02)
        found = loos[line.name]
        assert float(found.elpd_loo if OLD else found.elpd) == pytest.approx(line.elpd, abs=1e-3)
    assert sorted(theirs.index, key=lambda name: theirs.loc[name, "rank"]) == [line.name for line in lines]
