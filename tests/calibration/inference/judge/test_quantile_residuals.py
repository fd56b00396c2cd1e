"""Randomised quantile residuals: standard normal for every family, and what is said of those beyond chance."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from fitted_rows import fitted_rows
from scipy import stats
from small_study import small_study

from calibration.assess.assessment import NOTHING
from calibration.inference.judge import residuals
from calibration.inference.judge.residuals import (
    FAMILY_LEVEL,
    NOWHERE,
    beyond_chance,
    count_tails,
    fitted,
    mass_tails,
    other_noise_of_counts,
    place_of,
    quantile_residual,
    unexplained,
)
from calibration.likelihood.posterior import posterior, with_terms
from calibration.likelihood.replicate import replicate_term
from calibration.noise.families.counts import NB1, NB2, Poisson
from calibration.noise.families.measurements import Lognormal, Normal, StudentT
from calibration.noise.families.splits import Binomial, DirichletMultinomial, Multinomial
from calibration.report import conclusions
from calibration.report.collect import levels
from calibration.study.observations import Breakdown, Count, Noise, Quantity, Share
from cipark_sd.engines.registry import choose

QUANTITY = Quantity((("x", 1.0),), "at", 0, 1)
COUNT = Count("c", QUANTITY, 0, 0, Noise(Poisson()))
N = 800


def standard_normal(values):
    """Kolmogorov and Smirnov at a level that one seed in a thousand leaves."""
    return stats.kstest(values, "norm").pvalue > 1e-3


def residual_of(term, values, place):
    spread = np.full(1, term.noise.spread)
    return quantile_residual(count_tails(term, np.array([values]), spread), place)


@pytest.mark.parametrize(
    ("noise", "values", "gains"),
    [
        (Noise(Poisson()), [2.0], None),
        (Noise(NB1(), 3.0), [1.0], None),
        (Noise(NB2(), 0.7), [4.0], None),
        (Noise(NB1(), 0.5), [2.0, 3.5], QUANTITY),
        (Noise(Normal(), 2.0), [5.0], None),
        (Noise(Lognormal(), 0.6), [5.0], None),
        (Noise(StudentT(dof=3.0), 2.0), [5.0], None),
    ],
    ids=["poisson", "nb1", "nb2", "net", "normal", "lognormal", "student-t"],
)
@pytest.mark.parametrize("width", [0.0, 2.0])
def test_residuals_are_standard_normal_where_the_model_is_right(noise, values, gains, width):
    """Exact numbers and intervals of a fixed partition, as a report that rounds gives them."""
    rng = np.random.default_rng(1)
    term = replace(COUNT, noise=noise, gains=gains)
    drawn = replicate_term(term, np.repeat([values], N, axis=0), np.full(N, noise.spread), rng)[:, 0]
    kept = {}
    found = []
    for value, place in zip(drawn.tolist(), rng.random(N).tolist(), strict=True):
        lower, upper = value, value
        if width:
            # three counts to a report, or all measurements between two marks
            counts = noise.family.discrete
            step = width + 1 if counts else width
            lower = step * math.floor(value / step)
            upper = lower + width
            lower = max(lower, 0.0) if noise.family.positive else lower
        if (lower, upper) not in kept:
            seen = replace(term, lower=lower, upper=upper)
            kept[lower, upper] = count_tails(seen, np.array([values]), np.full(1, noise.spread))
        found.append(quantile_residual(kept[lower, upper], place))
    assert standard_normal(found)


def test_residuals_of_measurements_are_the_usual_ones():
    term = replace(COUNT, noise=Noise(Normal(), 2.0), lower=9.0, upper=9.0)
    for place in (0.01, 0.5, 0.99):
        assert residual_of(term, [5.0], place) == pytest.approx(2.0, abs=1e-9)
        logs = replace(term, noise=Noise(Lognormal(), 0.5))
        assert residual_of(logs, [5.0], place) == pytest.approx(math.log(9 / 5) / 0.5, abs=1e-9)
        heavy = replace(term, noise=Noise(StudentT(dof=4.0), 2.0))
        expected = stats.norm.ppf(stats.t.cdf(2.0, 4.0))
        assert residual_of(heavy, [5.0], place) == pytest.approx(expected, abs=1e-9)


def test_residuals_of_counts_are_those_of_scipy():
    term = replace(COUNT, noise=Noise(NB1(), 3.0), lower=4.0, upper=6.0)
    size = 2.0 / 3.0
    law = stats.nbinom(size, size / (size + 2.0))
    for place in (0.1, 0.5, 0.9):
        share = law.cdf(3) + place * (law.cdf(6) - law.cdf(3))
        assert residual_of(term, [2.0], place) == pytest.approx(stats.norm.ppf(share), abs=1e-6)
    at_least = replace(term, upper=math.inf)
    assert residual_of(at_least, [2.0], 0.5) == pytest.approx(stats.norm.ppf((1 + law.cdf(3)) / 2), abs=1e-6)


def test_a_batch_is_no_miracle():
    """Eleven firms where a twentieth of one was expected: 21 standard deviations off, and a residual of 3.4."""
    term = replace(COUNT, noise=Noise(NB1(), 4.12), lower=11.0, upper=11.0)
    mean = 0.053
    assert (11 - mean) / math.sqrt(mean * 5.12) > 20
    size = mean / 4.12
    below = stats.nbinom.sf(10, size, size / (size + mean))
    assert stats.norm.isf(below) < residual_of(term, [mean], 0.5) < 3.45


def test_far_tails_keep_their_digits():
    term = replace(COUNT, noise=Noise(Poisson()), lower=400.0, upper=400.0)
    expected = -stats.norm.ppf(stats.poisson.sf(400, 100.0) + 0.5 * stats.poisson.pmf(400, 100.0))
    assert residual_of(term, [100.0], 0.5) == pytest.approx(expected, rel=1e-6)
    assert residual_of(replace(term, lower=0.0, upper=0.0), [300.0], 0.5) < -20


def test_what_the_noise_cannot_lie_around_has_no_residual():
    assert math.isnan(residual_of(replace(COUNT, lower=3.0, upper=3.0), [-1.0], 0.5))
    assert math.isnan(quantile_residual(NOWHERE, 0.5))


def test_the_cells_of_tables_have_the_law_of_one_cell():
    noise = Noise(DirichletMultinomial(), 4.0)
    term = Breakdown("b", ("x", "y", "z"), (QUANTITY,) * 3, (3.0, 5.0, 2.0), noise)
    here = np.array([2.0, 5.0, 3.0])
    masses = residuals._cells(term, here, np.array([4.0]))
    rng = np.random.default_rng(2)
    drawn = replicate_term(term, np.repeat([here], 40_000, axis=0), np.full(40_000, 4.0), rng)
    for mass, column in zip(masses, drawn.T, strict=True):
        assert mass == pytest.approx(np.bincount(column.astype(int), minlength=11) / 40_000, abs=0.01)
        # and the band of the table is that of the draws: a binomial's would be narrower by what the shares vary
        _, low, high, sd, _ = residuals._of_total(0, 0, mass)
        ends = np.quantile(column, [0.05, 0.95], method="inverted_cdf").tolist()
        assert [low, high] == ends
        assert sd == pytest.approx(column.std(), rel=0.02)
    plain = residuals._cells(replace(term, noise=Noise(Multinomial())), here, np.ones(1))
    assert plain[0] == pytest.approx(stats.binom.pmf(np.arange(11), 10, 0.2), abs=1e-12)


def test_a_number_out_of_a_total_lies_between_its_shares():
    mass = stats.binom.pmf(np.arange(11), 10, 0.3)
    tails = mass_tails(mass, 2, 4)
    share = stats.binom.cdf(1, 10, 0.3) + 0.25 * (stats.binom.cdf(4, 10, 0.3) - stats.binom.cdf(1, 10, 0.3))
    assert quantile_residual(tails, 0.25) == pytest.approx(stats.norm.ppf(share), abs=1e-9)
    assert mass_tails(mass, 8, math.inf) == pytest.approx(
        (math.log(stats.binom.cdf(7, 10, 0.3)), math.log(stats.binom.sf(7, 10, 0.3)), 0.0, -math.inf), abs=1e-9
    )


@pytest.fixture(scope="module")
def density(tmp_path_factory):
    return posterior(small_study(tmp_path_factory.mktemp("study")), choose("native"))


THETA = np.array([100.0, 0.2])


def test_the_table_of_fitted_numbers_holds_them(density):
    rows = fitted(density, THETA)
    means = density.quantities(THETA)[0]
    for row, mean in zip(rows.itertuples(), means, strict=True):
        place = place_of(density.problem.method.seed, "left", row.label, row.start, row.end)
        share = stats.poisson.cdf(row.lower - 1, mean) + place * stats.poisson.pmf(row.lower, mean)
        assert row.residual == pytest.approx(stats.norm.ppf(share), abs=1e-6)
        assert row.sd == pytest.approx(math.sqrt(mean))
    assert rows["residual"].is_unique


def test_a_residual_depends_on_the_seed_and_on_no_other_number(density):
    rows = fitted(density, THETA)
    terms = [replace(term, use="check") if i == 3 else term for i, term in enumerate(density.problem.terms)]
    assert fitted(with_terms(density, terms), THETA)["residual"].equals(rows["residual"])
    problem = density.problem
    other = replace(density, problem=replace(problem, method=replace(problem.method, seed=problem.method.seed + 1)))
    assert (fitted(other, THETA)["residual"] != rows["residual"]).all()
    assert 0.49 < np.mean([place_of(1, name) for name in range(5000)]) < 0.51


def row(residual, use="fit", label="r", **more):
    return {"residual": residual, "use": use, "label": label} | more


def test_how_far_a_residual_may_lie_depends_on_how_many_there_are():
    assert FAMILY_LEVEL == 0.05
    assert beyond_chance(1) == pytest.approx(1.959964, abs=1e-6)
    assert beyond_chance(34) == pytest.approx(stats.norm.isf(0.025 / 34))
    largest = np.abs(np.random.default_rng(3).normal(size=(20_000, 34))).max(axis=1)
    assert (largest > beyond_chance(34)).mean() == pytest.approx(0.05, abs=0.006)
    rows = [*(row(0.3) for _ in range(33)), row(3.1, label="near")]
    assert unexplained(fitted_rows(*rows)).empty
    assert unexplained(fitted_rows(*rows[:33], row(-3.3, label="far")))["label"].tolist() == ["far"]
    assert unexplained(fitted_rows(row(9.0, use="check"), row(1.5), row(math.nan))).empty
    # of two numbers the same is beyond chance that is not among 34
    assert len(unexplained(fitted_rows(row(3.1, label="near"), row(0.1)))) == 1


def test_the_sentence_names_what_is_beyond_chance_only():
    def said(*rows):
        asked = SimpleNamespace(questions=SimpleNamespace(supports=""))
        fit = SimpleNamespace(rows=fitted_rows(*rows), study=asked)
        return conclusions.supports(fit, NOTHING, {"a": "not narrowed"})

    few = [row(0.5) for _ in range(15)]
    assert "Not explained" not in said(*few, row(2.9))
    assert said(*few, row(3.4, label="2019-07-02")) == (
        "The data narrow no fitted constant firmly. "
        "Not explained by the model, and left to its noise: 2019-07-02 (quantile residual beyond 3.0, which a right "
        "model has in one study in twenty)."
    )


def test_running_totals_of_intervals_add_their_ends():
    ends = ((2.0, 4.0), (5.0, 5.0), (0.0, 6.0))
    terms = tuple(
        replace(COUNT, quantity=Quantity((("x", 1.0),), "between", i, i + 1), lower=lower, upper=upper)
        for i, (lower, upper) in enumerate(ends)
    )
    rows = [row(0.0, start=i, end=i + 1.0, lower=lower, upper=upper) for i, (lower, upper) in enumerate(ends)]
    observation = SimpleNamespace(name="o", kind="increments", terms=terms)
    found = levels(fitted_rows(*rows), observation, from_nothing=True)
    assert found[["lower", "upper"]].to_numpy().tolist() == [[2.0, 4.0], [7.0, 9.0], [7.0, 15.0]]


def test_shares_in_the_table(density):
    share = Share("s", (QUANTITY, QUANTITY), 3.0, 5.0, 12.0, Noise(Binomial()))
    ((expected, low, high, sd, tails),) = list(residuals._numbers(
        SimpleNamespace(spread=lambda noise, theta: np.ones(1)), share, np.array([[1.0, 4.0]]), np.array([1.0, 4.0]),
        np.zeros((1, 0))))  # fmt: skip
    law = stats.binom(12, 0.25)
    assert (expected, sd) == (pytest.approx(3.0), pytest.approx(1.5))
    assert (low, high) == (law.ppf(0.05), law.ppf(0.95))
    share_at = law.cdf(2) + 0.5 * (law.cdf(5) - law.cdf(2))
    assert quantile_residual(tails, 0.5) == pytest.approx(stats.norm.ppf(share_at), abs=1e-9)


def of_counts(family, law, *, spread="dispersion", widths=(1.0,)):
    """What the other kind gains of 60 counts from 3 to 500 that follow a ``law``, under one of the kinds."""
    means = np.geomspace(3, 500, 60)
    seen = law.draw(means, np.full(60, 4.0 if law.name == "nb1" else 0.2), np.random.default_rng(7))
    noise = Noise(family, spread)
    reads = [Quantity((("x", 1.0),), "between", i, i + widths[i % len(widths)]) for i in range(60)]
    terms = [Count(str(i), reads[i], number, number, noise) for i, number in enumerate(seen)]
    problem = SimpleNamespace(observations=(SimpleNamespace(name="cases", terms=terms),))
    density = SimpleNamespace(problem=problem, by_term=lambda theta: [np.full((1, 1), mean) for mean in means])
    return means, seen, other_noise_of_counts(density, np.zeros(1)).to_dict("records")


@pytest.mark.parametrize("law", [NB1(), NB2()])
@pytest.mark.parametrize("family", [NB1(), NB2()])
def test_the_other_kind_of_counts_gains_what_scipy_says(family, law) -> None:
    means, seen, (row,) = of_counts(family, law)

    def best(name: str) -> tuple[float, float]:
        grid = np.geomspace(1e-3, 1e3, 4001)[:, None]
        size = means / grid if name == "nb1" else 1 / grid + 0 * means
        logs = stats.nbinom.logpmf(seen, size, size / (size + means)).sum(axis=1)
        return logs.max(), grid[logs.argmax(), 0]

    other = {"nb1": "nb2", "nb2": "nb1"}[family.name]
    assert (row["other"], row["spread"]) == (other, "dispersion")
    assert row["gain"] == pytest.approx(best(other)[0] - best(family.name)[0], abs=1e-3)
    assert row["other_sd"] == pytest.approx(best(other)[1], rel=0.02)
    assert (row["gain"] > conclusions.DECISIVE) == (family.name != law.name)


def test_a_kind_of_counts_is_judged_where_its_dispersion_is_fitted_and_windows_are_equal() -> None:
    assert of_counts(NB1(), NB2(), spread=4.0)[2] == []
    assert of_counts(NB1(), NB2(), widths=(1.0, 2.0))[2] == []
    assert of_counts(Poisson(), NB2())[2] == []


@pytest.mark.parametrize(("family", "words"), [("nb2", "the mean's square"), ("nb1", "grows with the mean,")])
def test_counts_that_ask_for_the_other_kind_say_what_to_write(family, words) -> None:
    row = {"observation": "cases", "gain": 4.0, "other": family, "spread": "dispersion", "other_sd": 0.2}
    (warning,) = conclusions.noise_warnings(SimpleNamespace(residuals=pd.DataFrame([row])))
    assert words in warning
    assert f'write family = "{family}" for it, and a prior of dispersion around 0.2, as a dispersion: ' in warning
    assert not list(conclusions.noise_warnings(SimpleNamespace(residuals=pd.DataFrame([row | {"gain": 2.9}]))))
