"""What draws say of posteriors that are known by quadrature: no mode is missing, and errors hold."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from known_posteriors import SHAPES, Exact
from thorough import THOROUGH, share

from calibration.commands.pipeline import calibrate
from calibration.commands.settings import Settings
from calibration.inference.sample.convergence import EFFORT
from calibration.inference.sample.draws import PosteriorDraws, draw, log_evidence
from calibration.inference.sample.known_optima import KnownOptima, Place, hills, known_optima, missing_words
from calibration.inference.sample.sample import ImportanceDraws, importance
from calibration.inference.sample.warming import NEAR
from calibration.inference.search.optimise import optimise
from calibration.likelihood.posterior import Posterior, posterior
from calibration.noise.priors import Scale
from calibration.report.collect import fit_findings
from calibration.study.problem import read_problem
from cipark_sd.engines.registry import choose

#: Factor within which errors that are claimed of ends hold, as a root mean square.
HOLDS = 1.5


def drawn_with(density: Posterior, seed: int) -> PosteriorDraws:
    found = optimise(density, starts=8, rng=np.random.default_rng(seed))
    optima = np.array([found.theta, *found.as_good(NEAR)])
    return draw(density, np.random.default_rng([seed, 2]), optima=optima)


# trajectories follow an alias as they do a bent valley, for ten seconds a seed
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if THOROUGH or shape != "alias"])
def test_ends_of_intervals_are_known_as_well_as_they_claim(tmp_path: Path, shape: str) -> None:
    exact: Exact = SHAPES[shape](tmp_path)
    density = posterior(read_problem(tmp_path), choose("native"))
    away = []
    for seed in range(1, share(1, 10) + 1):
        sampled = drawn_with(density, seed).sampled
        by_name = {line.name: line for line in sampled.lines}
        if sampled.converged:
            away += [
                (
                    (by_name[name].low - low) / by_name[name].mcse_low,
                    (by_name[name].high - high) / by_name[name].mcse_high,
                )
                for name, (low, high) in exact.items()
            ]
    assert away
    assert np.abs(away).max() < 5
    # one seed has few ends, which chance moves together
    assert np.sqrt(np.square(away).mean()) < share(2, 1) * HOLDS


def test_the_far_end_of_a_thin_ridge_errs_by_chance_alone(tmp_path: Path) -> None:
    """A mixture that is fitted to the bulk hardly meets it, and its few points have the largest weights."""
    exact = SHAPES["ridge"](tmp_path)["b"][1]
    density = posterior(read_problem(tmp_path), choose("native"))
    away = []
    for seed in range(share(10, 30)):
        drawn = importance(density, np.random.default_rng([seed, 9]), EFFORT, 500, None, None, None)
        if isinstance(drawn, ImportanceDraws):
            line = next(line for line in drawn.lines if line.name == "b")
            away.append((line.high - exact) / line.mcse_high)
    assert len(away) >= share(8, 25)
    assert np.mean(away) == pytest.approx(0, abs=0.9)
    assert np.sqrt(np.square(away).mean()) < share(2, 1.5)


@pytest.fixture(scope="module")
def wells(tmp_path_factory: pytest.TempPathFactory) -> tuple[Posterior, KnownOptima]:
    """Two hills, at 6.02 and 1.98 of the fifth parameter, of weights .67 and .33."""
    folder = tmp_path_factory.mktemp("wells")
    SHAPES["wells"](folder)
    density = posterior(read_problem(folder), choose("native"))
    at = [[20.4, 1.46, 2.9, 2.0, p, 0.1] for p in (6.0, 2.0)]
    return density, known_optima(density, np.array(at))


def test_each_seed_holds_both_wells(wells: tuple[Posterior, KnownOptima]) -> None:
    density, known = wells
    optima = density.space.from_unit(
        density.space.to_unit(np.array([[20.4, 1.46, 2.9, 2.0, p, 0.1] for p in (6.0, 2.0)]))
    )
    assert len(known.tops) == 2
    for seed in range(1, share(3, 10) + 1):
        drawn = draw(density, np.random.default_rng([seed, 2]), optima=optima)
        assert drawn.sampled.converged
        assert (drawn.flat[:, 4] < 4).mean() == pytest.approx(0.33, abs=0.03)
        assert [place.weight for place in drawn.places] == pytest.approx([0.6, 0.3], abs=0.04)


def test_draws_without_one_of_two_wells_have_not_converged(wells: tuple[Posterior, KnownOptima]) -> None:
    density, known = wells
    whole = draw(
        density, np.random.default_rng(1), optima=known.densities.theta(np.array([t.place for t in known.tops]))
    )
    high = whole.flat[whole.flat[:, 4] > 4]
    evidence, error = log_evidence(whole, np.random.default_rng(3))
    # what draws of the upper one alone would know of the evidence
    places = known.weighed(high, len(high), (evidence + np.log(0.67), error), np.random.default_rng(2))
    assert [place.missing for place in places] == [False, True]
    assert places[1].weight == pytest.approx(0.3, abs=0.03)
    ends = np.quantile(high, [0.025, 0.975], axis=0).tolist()
    said = missing_words(places, density.space.names, *ends)
    assert said.startswith("the draws lack the optimum at p 1.98")
    assert "30% of the posterior lies there and 0% of the draws do" in said.replace("29%", "30%").replace("31%", "30%")
    assert not missing_words(places[:1], density.space.names, *ends)


def test_two_hills_of_draws_are_told_with_shares_that_add_up() -> None:
    rng = np.random.default_rng(1)
    low, high = rng.normal([1.0, 5.0, 8.0], 0.2, (700, 3)), rng.normal([2.0, 5.0, 7.0], 0.2, (300, 3))
    draws, ends = np.concatenate([low, high]), [np.array([2.0, 5.1, 7.0]), np.array([1.0, 4.9, 8.0])]
    names = ("rate", "stay", "size")
    scales: tuple[Scale, ...] = ("log", "identity", "log")
    found = hills(ends, names, scales, draws)
    assert found is not None
    assert found.names == ("rate", "size")
    assert found.share == pytest.approx(0.3, abs=0.005)
    assert found.sentence == (
        "The posterior has two hills: rate 2 and size 7 (30% of the draws), or rate 1 and size 8 (70%). The estimate "
        "is the first, which is the lighter one. Medians and intervals are of both together."
    )
    turned = hills(ends[::-1], names, scales, draws)
    assert turned is not None
    assert turned.share == pytest.approx(1 - found.share)
    assert "lighter" not in turned.sentence
    # one end, an optimum that hardly a draw holds, no valley between
    assert hills(ends[:1], names, scales, draws) is None
    assert hills(ends[::-1], names, scales, np.concatenate([low, high[:10]])) is None
    assert hills(ends, names, scales, rng.uniform([0.5, 4.0, 6.0], [2.5, 6.0, 9.0], (1000, 3))) is None
    assert hills(ends, names, scales, rng.normal([1.5, 5.0, 7.5], [0.5, 0.5, 0.5], (1000, 3)).clip(0.1)) is None


def test_what_is_missing_by_chance_is_not_missing() -> None:
    theta = np.zeros(1)
    assert Place(theta, 0.0, weight=0.3, error=0.01, share=0.2).missing
    assert not Place(theta, 0.0, weight=0.3, error=0.04, share=0.2).missing
    assert not Place(theta, 0.0, weight=0.02, error=0.0, share=0.0).missing
    assert not Place(theta, 0.0).missing


@pytest.mark.parametrize("engine", ["native", "numpy"])
def test_tops_are_the_same_without_a_gradient(wells: tuple[Posterior, KnownOptima], engine: str) -> None:
    density, known = wells
    other = known_optima(posterior(density.problem, choose(engine)), np.array([[20.0, 1.4, 2.8, 2.1, 2.1, 0.11]]))
    assert other.tops[0].place == pytest.approx(known.tops[1].place, abs=1e-3)
    assert other.tops[0].height == pytest.approx(known.tops[1].height, abs=1e-5)
    assert other.tops[0].factor == pytest.approx(known.tops[1].factor, abs=0.02)


def test_a_lone_top_is_a_component_where_the_first_points_have_not_met_it(wells: tuple[Posterior, KnownOptima]) -> None:
    _, known = wells
    lone = replace(known, tops=known.tops[1:])
    centres = known.densities.theta(np.array([top.place for top in known.tops]))
    about = [known.densities.theta(top.around(200, 1.0, np.random.default_rng(3))) for top in known.tops]
    assert lone.beside(about[1], known.densities.of, np.random.default_rng(1)) is None
    component = lone.beside(about[0], known.densities.of, np.random.default_rng(1))
    assert component is not None
    assert component.means == pytest.approx(known.densities.of(centres[1:]), abs=0.1)
    both = known.beside(np.concatenate(about), known.densities.of, np.random.default_rng(1))
    assert both is not None
    assert both.shares.tolist() == [0.5, 0.5]


def test_a_fit_of_two_wells_has_both_places(wells: tuple[Posterior, KnownOptima], tmp_path: Path) -> None:
    SHAPES["wells"](tmp_path)
    made = calibrate(Settings(tmp_path, fast=True, posterior=True, profiles=False, compare_pysd=False, workers=0))
    fit = fit_findings(made)
    assert [place.theta[4] for place in fit.optima] == pytest.approx([6.02, 1.98], abs=0.02)
    assert [place.below for place in fit.optima] == pytest.approx([0.0, 0.707], abs=0.01)
    assert (fit.optima[0].theta == fit.optimum.theta).all()
    # tops in other coordinates may lie beside the estimate, and in another order
    assert made.draws is not None
    high, low = made.draws.places
    beside = replace(made.draws, places=(low, replace(high, theta=high.theta * 1.02, below=0.3)))
    first, second = fit_findings(replace(made, draws=beside)).optima
    assert (first.theta == fit.optimum.theta).all()
    assert (first.below, first.weight, first.share) == (0.0, high.weight, high.share)
    assert (second.below, second.weight) == (fit.optima[1].below, low.weight)
    assert fit.posterior is not None
    assert (
        "Searches found 2 optima. A region about each, which leaves out the tails, was weighed: at p 6.023 ("
        in fit.posterior.how
    )
    without = fit_findings(replace(made, draws=None))
    assert [place.theta[4] for place in without.optima] == pytest.approx([6.02, 1.98], abs=0.02)
    assert [place.below for place in without.optima] == pytest.approx([0.0, 0.707], abs=0.01)
    assert np.isnan([place.weight for place in without.optima]).all()


def test_ends_that_are_impossible_are_no_optima(
    wells: tuple[Posterior, KnownOptima], monkeypatch: pytest.MonkeyPatch
) -> None:
    density, known = wells
    nowhere = "calibration.inference.sample.known_optima._sloped"
    monkeypatch.setattr(nowhere, lambda *_: lambda points: (np.full(len(points), -np.inf), np.zeros_like(points)))
    none = known_optima(density, known.densities.theta(np.array([top.place for top in known.tops])))
    assert none.tops == none.summits == ()
    assert none.beside(density.space.medians[None], known.densities.of, np.random.default_rng(1)) is None
    assert none.weighed(density.space.medians[None], 1.0, (0.0, 0.0), np.random.default_rng(1)) == ()
