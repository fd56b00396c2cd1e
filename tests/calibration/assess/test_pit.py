"""PITs of numbers left out: whose they are, by which weights, and which of them stand together in a figure."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import stats
from small_study import small_study

from calibration.assess import posterior_predictive
from calibration.assess.posterior_predictive import Predicted, _pit, judged, kind_of, predict
from calibration.inference.sample.importance import RELIABLE, left_out_density, left_out_weights, relative_efficiency
from calibration.likelihood.posterior import posterior, with_terms
from calibration.noise.families.counts import NB1
from calibration.noise.families.measurements import Lognormal
from calibration.noise.families.splits import Binomial, Multinomial
from calibration.report.figures_posterior import pit_figure
from calibration.study.observations import Breakdown, Count, Noise, Quantity, Share
from cipark_sd.engines.registry import choose

QUANTITY = Quantity((("x", 1.0),), "at", 0, 1)


def predicted(kind, pit=0.5, use="fit", left_out=True):
    return Predicted("r", use, 1.0, 1.0, 0.0, 0.5, 1.0, 1.5, 2.0, pit, left_out, 0.1, kind, 0.2, -1.0)


def test_counts_stand_alone_and_cells_never():
    rows = [predicted("cell"), predicted("share"), predicted("count"), predicted("measurement"),
            predicted("count", use="check")]  # fmt: skip
    assert [(row.kind, row.use) for row in judged(rows)] == [("count", "fit")]
    assert [row.kind for row in judged([rows[0], rows[1], rows[3]])] == ["measurement"]
    assert [row.kind for row in judged(rows[:2])] == ["share"]
    assert judged(rows[:1]) == []


def test_what_a_number_is():
    count = Count("c", QUANTITY, 1, 1, Noise(NB1(), 1.0))
    assert kind_of(count) == "count"
    assert kind_of(replace(count, noise=Noise(Lognormal(), 1.0))) == "measurement"
    assert kind_of(Share("s", (QUANTITY, QUANTITY), 1, 1, 4, Noise(Binomial()))) == "share"
    assert kind_of(Breakdown("b", ("x", "y"), (QUANTITY, QUANTITY), (1, 2), Noise(Multinomial()))) == "cell"


def test_a_pit_lies_between_weighted_shares():
    drawn, weights = np.array([1.0, 2.0, 2.0, 3.0]), np.array([0.4, 0.3, 0.2, 0.1])
    assert _pit(drawn, weights, 2.0, 2.0, 0.0) == pytest.approx(0.4)
    assert _pit(drawn, weights, 2.0, 2.0, 1.0) == pytest.approx(0.9)
    assert _pit(drawn, weights, 1.0, 2.0, 0.5) == pytest.approx(0.45)


def test_weights_bring_draws_to_the_posterior_without_a_term():
    """A normal mean from two measurements: without the second its posterior is known."""
    rng = np.random.default_rng(1)
    first, second = 0.0, 1.5
    draws = rng.normal((first + second) / 2, np.sqrt(1 / 2), 40_000)
    logs = stats.norm.logpdf(second, draws, 1.0)
    weights, pareto_k = left_out_weights(logs)
    assert pareto_k < RELIABLE
    assert weights.sum() == pytest.approx(1)
    assert weights @ draws == pytest.approx(first, abs=0.1)
    elpd, k = left_out_density(logs)
    assert k == pytest.approx(pareto_k)
    assert elpd == pytest.approx(stats.norm.logpdf(second, first, np.sqrt(2)), abs=0.05)
    assert float(np.log(weights @ np.exp(logs))) == pytest.approx(elpd, abs=1e-6)


def test_a_term_of_another_weight_cannot_be_left_out_by_its_density():
    weights, pareto_k = left_out_weights(np.array([-1.0, -2.0, -3.0]), weight=0.5)
    assert weights == pytest.approx(np.exp([0.5, 1.0, 1.5]) / np.exp([0.5, 1.0, 1.5]).sum())
    assert pareto_k == np.inf
    assert RELIABLE == 0.7


def test_independent_draws_are_all_effective():
    theta = np.random.default_rng(2).normal(size=(4, 1000, 3))
    assert relative_efficiency(theta) == pytest.approx(1, abs=0.1)
    assert relative_efficiency(np.repeat(theta, 4, axis=1)) == pytest.approx(0.25, abs=0.03)


@pytest.fixture(scope="module")
def density(tmp_path_factory):
    whole = posterior(small_study(tmp_path_factory.mktemp("study")), choose("native"))
    terms = [replace(term, use="check") if i == 4 else term for i, term in enumerate(whole.problem.terms)]
    return with_terms(whole, terms)


def test_fitted_numbers_are_left_out_where_that_can_be_done(density, monkeypatch):
    rng = np.random.default_rng(3)
    theta = np.stack([rng.normal(105, 12, 4000), rng.normal(0.21, 0.03, 4000)], axis=1)
    rows = predict(density, theta, np.random.default_rng(4))
    assert all(row.left_out for row in rows)
    assert {row.kind for row in rows} == {"count"}
    monkeypatch.setattr(posterior_predictive, "left_out_weights", lambda logs, *_: (np.eye(len(logs))[0], 0.9))
    poor = predict(density, theta, np.random.default_rng(4))
    assert [row.left_out for row in poor] == [row.use == "check" for row in poor]
    # what cannot be left out has been seen: every draw counts alike, and the point lies nearer a half
    plain = np.array([row.pit for row in poor if row.use == "fit"])
    fair = np.array([row.pit for row in rows if row.use == "fit"])
    assert (np.abs(plain - 0.5) <= np.abs(fair - 0.5) + 0.02).all()
    assert np.abs(plain - fair).max() > 0.005
    check = next(i for i, row in enumerate(rows) if row.use == "check")
    assert poor[check].pit == rows[check].pit


def test_the_figure_says_which_numbers_were_left_out():
    rows = [predicted("count", pit) for pit in (0.1, 0.9, 0.4)] + [predicted("count", 0.6, left_out=False)]
    figure = pit_figure(rows)
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    assert sorted(lines["3 counts, each left out"].get_ydata()) == [0.1, 0.4, 0.9]
    assert list(lines["1 count, each seen by its prediction"].get_ydata()) == [0.6]
    assert lines["1 count, each seen by its prediction"].get_markerfacecolor() == "white"
    plt.close("all")
