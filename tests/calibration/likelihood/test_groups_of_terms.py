"""Terms that are computed together: each has the bits that it has by itself, and more of them cost no more calls."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from counted import exponent, steps
from places import ROOT
from small_study import MODEL, PARAMETERS

from calibration.inference.sample.densities import prior_draws
from calibration.likelihood.posterior import Posterior, posterior
from calibration.likelihood.replicate import replaced, replicate
from calibration.likelihood.term_density import Group, term_log_density
from calibration.noise.families.splits import Binomial
from calibration.study import STUDIES
from calibration.study.observations import Noise, Quantity, Share, Since
from calibration.study.problem import read_problem
from cipark_sd.base.arrays import Array
from cipark_sd.engines.registry import choose

FOLDERS = {
    "park": STUDIES / "great_stone",
    "core": STUDIES / "great_stone_core",
    "first park": ROOT / "benchmarks" / "studies" / "first_park",
    "other parks": STUDIES / "other_parks",
    "influenza": STUDIES / "flu_1978",
}
ROWS = """
[[observation]]
name = "{kind}"
table = "{kind}.csv"
kind = "{kind}"
time = "time"
start = 0.0
lower = "low"
upper = "high"
"""
COUNTS = 'variable = "left"\nfamily = "nb1"\ndispersion = 0.5\n'
SHARES = 'numerator = "left"\ndenominator = ["left", "stock"]\ntotal = "counted"\nfamily = "binomial"\n'


def alone(density: Posterior, theta: Array) -> Array:
    """Log densities ``(n, n_terms)``, term by term."""
    values, columns = density.quantities(theta), []
    for term, slot in zip(density.problem.terms, density.slots, strict=True):
        of_term, spread = np.ascontiguousarray(values[:, slot]), density.spread(term.noise, theta)
        logs = term_log_density(term, of_term, spread)
        columns.append(np.where(np.isfinite(of_term).all(axis=1) & ~np.isnan(logs), logs, -np.inf))
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("study", FOLDERS)
def test_terms_together_are_each_by_itself(study: str) -> None:
    """Also of data that the model has made. A net count alone sums to another last loss than in a group."""
    density = posterior(read_problem(FOLDERS[study]), choose("native"))
    theta = prior_draws(density.space, 6, np.random.default_rng(1))
    drawn = replicate(density, theta[:1], np.random.default_rng(2))[0]
    for looked_at in (density, replaced(density, drawn, np.random.default_rng(3))):
        with np.errstate(all="ignore"):
            expected = alone(looked_at, theta)
        logs = looked_at.pointwise(theta, fitted_only=False, weighted=False)
        net = np.array([getattr(term, "gains", None) is not None for term in looked_at.problem.terms])
        assert logs[:, ~net].tobytes() == expected[:, ~net].tobytes()
        np.testing.assert_allclose(logs[:, net], expected[:, net], rtol=1e-12)


def test_shares_that_cannot_be_and_intervals_without_a_count() -> None:
    """Intervals that begin below zero, are empty, or say less than what had joined before."""
    pair = tuple(Quantity(((name, 1.0),), "between", 0.0, 1.0) for name in ("part", "whole"))
    noise = Noise(Binomial())
    terms = [
        Share("exact", pair, 3.0, 3.0, 10.0, noise),
        Share("all", pair, 0.0, 10.0, 10.0, noise),
        Share("from below", pair, -2.0, 4.0, 10.0, noise),
        Share("below", pair, -2.0, -1.0, 10.0, noise),
        Share("none", pair, -0.5, -0.2, 10.0, noise),
        Share("joined", pair, 5.0, 5.0, 10.0, noise, since=Since(3.0)),
        Share("joined, an interval", pair, 2.5, 6.0, 10.0, noise, since=Since(3.0)),
        Share("fewer than before", pair, 1.0, 2.0, 10.0, noise, since=Since(3.0)),
    ]
    values = np.array([[[0.2, 3.0], [1.0, 1.0], [0.0, 2.0], [-1.0, 2.0], [3.0, 1.0], [0.0, 0.0]]] * len(terms))
    group = Group.of(range(len(terms)), terms, [slice(2 * i, 2 * i + 2) for i in range(len(terms))])
    with np.errstate(all="ignore"):
        logs = group.log_density(np.ascontiguousarray(values.transpose(0, 2, 1)), np.ones(6))
        expected = [term_log_density(term, values[0], np.ones(6)) for term in terms]
    assert logs.tobytes() == np.stack(expected).tobytes()
    assert np.isneginf(logs[[3, 4, 7]]).all()


@pytest.mark.parametrize("kind", ["increments", "share"])
def test_more_rows_cost_no_more_calls(tmp_path: Path, kind: str) -> None:
    """Of exact counts and of shares of any kind; Python's part of a density is what a sampler pays at each step."""

    def work(n: int) -> float:
        folder = tmp_path / f"{n}"
        folder.mkdir()
        (folder / "leaving.mdl").write_text(MODEL, encoding="utf-8")
        times = np.linspace(0.5, 12, n)
        # a row that follows an interval depends on all since the last exact one, and stands alone
        rows = "".join(f"{time:.3f},{5 + i},{5 + i},{60 + i}\n" for i, time in enumerate(times))
        (folder / f"{kind}.csv").write_text("time,low,high,counted\n" + rows, encoding="utf-8")
        table = ROWS.format(kind=kind) + (SHARES if kind == "share" else COUNTS)
        text = f'title = "rows"\n[model]\nfile = "leaving.mdl"\n{table}{PARAMETERS}'
        (folder / "problem.toml").write_text(text, encoding="utf-8")
        density = posterior(read_problem(folder), choose("native"))
        theta = np.array([[100.0, 0.2]])
        assert np.isfinite(density.log_posterior(theta)).all()
        return steps(lambda: density.log_posterior(theta))

    assert exponent(work, 4, 64) < 0.02


def test_what_the_data_decide_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log factorials of the park's counts, totals and splits are those of the first density.

    A function that is made for data has its own name for the log gamma function; one that is made later has another.
    """
    density = posterior(read_problem(FOLDERS["park"]), choose("native"))
    theta = prior_draws(density.space, 3, np.random.default_rng(1))
    first = density.log_posterior(theta)
    from scipy import special

    sizes: list[int] = []
    gammaln = special.gammaln
    monkeypatch.setattr(special, "gammaln", lambda x: (sizes.append(np.size(x)), gammaln(x))[1])
    again = density.log_posterior(theta)
    assert again.tobytes() == first.tobytes()
    assert sizes == []
    fresh = posterior(replace(density.problem), choose("native"))
    fresh.log_posterior(theta)
    assert sizes
