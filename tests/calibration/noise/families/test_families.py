"""Noise families: each is one distribution, none lacks a method, and another one needs a file and a row."""

import math
import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import numpy as np
import pytest
from places import ROOT
from scipy import integrate, stats
from small_study import STUDY, small_study

from calibration.inference.judge.residuals import fitted
from calibration.likelihood.net_counts import NetCount
from calibration.likelihood.posterior import posterior
from calibration.likelihood.replicate import replicate
from calibration.noise.families import registry
from calibration.noise.families.base import CountFamily, MeasurementFamily, NumberFamily, ShareFamily, SplitFamily
from calibration.noise.families.counts import NB1, NB2, NegativeBinomial, Poisson
from calibration.noise.families.measurements import StudentT
from calibration.study.observations import Count
from calibration.study.problem import KINDS, read_problem
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import CiparkError
from cipark_sd.engines.registry import choose

DOCS = ROOT / "docs"
MEAN, SPREAD, N = 7.0, 0.8, 20_000
NET = NetCount(NB1(), np.array([9.0]))


def example() -> tuple[MeasurementFamily, str]:
    """The family of docs/how-to/extending.md and the text of its row."""
    section = (DOCS / "how-to" / "extending.md").read_text("utf-8").split("\n## A noise family\n")[1].split("\n## ")[0]
    code, row = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    module = ModuleType("laplace")
    exec(compile(code, "extending.md", "exec"), module.__dict__)  # noqa: S102  (our own document)
    return module.Laplace(), row


NUMBERS = [*registry.NUMBERS, StudentT(dof=2.5), NET, example()[0]]


def named(family: object) -> str:
    return repr(family).split("(")[0]


def until(family: NumberFamily, value: float) -> float:
    """Probability of no more than ``value``."""
    return float(np.exp(family.log_interval(-np.inf, value, np.array([MEAN]), np.array([SPREAD])))[0])


@pytest.mark.parametrize("family", NUMBERS, ids=named)
def test_densities_and_intervals_are_of_one_distribution(family: NumberFamily) -> None:
    low, high = 3.0, 9.0
    grid = np.arange(low, high + 1) if family.discrete else np.linspace(low, high, 20_001)
    masses = np.exp(family.log_density(grid[:, None], np.array([MEAN]), np.array([SPREAD])))[:, 0]
    expected = masses.sum() if family.discrete else np.trapezoid(masses, grid)
    got = np.exp(family.log_interval(low, high, np.array([MEAN]), np.array([SPREAD])))[0]
    assert got == pytest.approx(expected, rel=1e-6)
    assert until(family, np.inf) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("family", NUMBERS, ids=named)
def test_quantiles_are_where_the_distribution_reaches_their_probability(family: NumberFamily) -> None:
    probability = np.array([0.05, 0.3, 0.95])
    for p, quantile in zip(probability, family.quantile(probability, MEAN, SPREAD).tolist(), strict=True):
        if family.discrete:
            assert until(family, quantile - 1) < p <= until(family, quantile)
        else:
            assert until(family, quantile) == pytest.approx(p, rel=1e-9)


@pytest.mark.parametrize("family", NUMBERS, ids=named)
def test_draws_come_as_often_as_the_distribution_says(family: NumberFamily) -> None:
    if family is NET:
        family = NetCount(NB1(), np.full(N, 9.0))
    drawn = family.draw(np.full(N, MEAN), np.full(N, SPREAD), np.random.default_rng(1))
    law = NET if isinstance(family, NetCount) else family
    assert drawn.shape == (N,)
    for quantile in law.quantile(np.array([0.1, 0.5, 0.9]), MEAN, SPREAD).tolist():
        p = until(law, quantile)
        assert (drawn <= quantile).mean() == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / N))


@pytest.mark.parametrize("family", [f for f in NUMBERS if isinstance(f, MeasurementFamily)], ids=named)
def test_a_score_is_the_normal_quantile_of_a_measurement(family: MeasurementFamily) -> None:
    value, mean, spread = np.array([0.5, 3.0, 7.0, 12.0]), np.array(MEAN), np.array(SPREAD)
    scores = family.score(value, mean, spread)
    np.testing.assert_allclose(stats.norm.cdf(scores), [until(family, v) for v in value], rtol=1e-9)
    np.testing.assert_allclose(family.from_score(scores, mean, spread), value, rtol=1e-9)


@pytest.mark.parametrize("family", [f for f in registry.NUMBERS if isinstance(f, CountFamily)], ids=named)
def test_counts_follow_the_recurrence_of_their_family(family: CountFamily) -> None:
    counts, mean, spread = np.arange(1.0, 60)[:, None], np.array([MEAN, 0.3]), np.array([SPREAD, 4.0])
    recurrence = family.recurrence(mean, spread)
    assert recurrence is not None
    a, b = recurrence
    ratios = np.exp(family.log_density(counts, mean, spread) - family.log_density(counts - 1, mean, spread))
    np.testing.assert_allclose(a + b / counts, ratios, rtol=1e-10)


class Far(StudentT):
    """What the law below has to refuse."""

    def sd(self, mean: Array, spread: Array) -> Array:
        return 100 * StudentT.sd(self, mean, spread)


def sd_by_density(family: MeasurementFamily) -> float:
    """From the density of a measurement on the scale that the family declares."""

    def moment(order: int) -> float:
        def integrand(away: float) -> float:
            x = centre + away
            value = np.exp(np.array([x])) if family.on_log else np.array([x])
            log_density = family.log_density(value, np.array([MEAN]), np.array([SPREAD]))[0]
            return float(away**order * np.exp(log_density + (x if family.on_log else 0.0)))

        with np.errstate(over="ignore"):
            return sum(integrate.quad(integrand, *ends, limit=200)[0] for ends in ((-np.inf, 0), (0, np.inf)))

    centre = math.log(MEAN) if family.on_log else MEAN
    assert moment(0) == pytest.approx(1, rel=1e-6)
    return math.sqrt(moment(2))


@pytest.mark.parametrize("family", [f for f in NUMBERS if isinstance(f, MeasurementFamily)], ids=named)
def test_the_sd_of_a_measurement_is_that_of_its_density_on_its_scale(family: MeasurementFamily) -> None:
    sd = np.broadcast_to(family.sd(np.array([MEAN]), np.array([SPREAD])), 1)[0]
    assert sd == pytest.approx(sd_by_density(family), rel=1e-4)
    lowest = family.quantile(np.array([1e-100]), MEAN, SPREAD)[0]
    assert (lowest > 0) == family.positive


def test_an_sd_a_hundred_times_too_large_breaks_the_law() -> None:
    with pytest.raises(AssertionError):
        test_the_sd_of_a_measurement_is_that_of_its_density_on_its_scale(Far())


def test_student_t_without_a_variance_has_its_scale() -> None:
    assert StudentT(dof=2.0).sd(np.array([MEAN]), np.array([SPREAD])) == [SPREAD]


@pytest.mark.parametrize("family", [f for f in NUMBERS if isinstance(f, CountFamily)], ids=named)
def test_the_sd_of_a_count_is_that_of_its_probabilities(family: CountFamily) -> None:
    counts = np.arange(-60.0, 400)
    mass = np.exp(family.log_density(counts[:, None], np.array([MEAN]), np.array([SPREAD])))[:, 0]
    mean = mass @ counts
    assert mean == pytest.approx(MEAN, rel=1e-9)
    expected = np.sqrt(mass @ (counts - mean) ** 2)
    assert family.sd(np.array([MEAN]), np.array([SPREAD]))[0] == pytest.approx(expected, rel=1e-6)


def differences(function: Callable[..., Array], *at: float) -> list[float]:
    """Derivatives of a function of arrays (1,) by each of them, by central differences."""
    slopes = []
    for place, number in enumerate(at):
        step = 1e-5 * number
        ends = [
            function(*(np.array([x + sign * step if i == place else x]) for i, x in enumerate(at))) for sign in (1, -1)
        ]
        slopes.append(float((ends[0] - ends[1]).item() / (2 * step)))
    return slopes


@pytest.mark.parametrize("family", NUMBERS, ids=named)
@pytest.mark.parametrize("value", [0.0, 3.0, 8.0, 30.0])
def test_slopes_are_those_of_the_density_and_of_intervals(family: NumberFamily, value: float) -> None:
    at = [MEAN, SPREAD]
    mean, spread = np.array([MEAN]), np.array([SPREAD])
    if value or not family.positive:
        own = family.slopes(np.array([value]), mean, spread)
        expected = differences(lambda m, s: family.log_density(np.array([value]), m, s), *at)
        np.testing.assert_allclose(np.concatenate(own)[:2], expected, rtol=1e-6, atol=1e-7)
    for lower, upper in ((value, value + 5.0), (value, np.inf), (-np.inf, value)):
        own = family.interval_slopes(lower, upper, mean, spread)
        if np.isfinite(family.log_interval(lower, upper, mean, spread)):
            expected = differences(lambda m, s: family.log_interval(lower, upper, m, s), *at)  # noqa: B023
            np.testing.assert_allclose(np.concatenate(own)[:2], expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("family", [f for f in NUMBERS if isinstance(f, MeasurementFamily)], ids=named)
def test_slopes_of_a_score(family: MeasurementFamily) -> None:
    for value in (0.5, 6.0, 12.0):
        own = family.score_slopes(np.array([value]), np.array([MEAN]), np.array([SPREAD]))
        expected = differences(lambda m, s: family.score(np.array([value]), m, s), MEAN, SPREAD)  # noqa: B023
        np.testing.assert_allclose(np.concatenate(own), expected, rtol=1e-6)


@pytest.mark.parametrize("gains", [Poisson(), NB1(), NB2()], ids=named)
@pytest.mark.parametrize(("gained", "mean"), [(9.0, 7.0), (9.0, -2.0), (5000.0, 40.0)])
def test_slopes_of_a_net_count(gains: CountFamily, gained: float, mean: float) -> None:
    """By net, spread and gains, with few losses and with thousands; without losses the law is that of the gains."""

    def density(m: Array, s: Array, g: Array) -> Array:
        return NetCount(gains, g).log_density(np.array([30.0]), m, s)

    own = NetCount(gains, np.array([gained])).slopes(np.array([30.0]), np.array([mean]), np.array([SPREAD]))
    expected = differences(density, mean, SPREAD, gained)
    np.testing.assert_allclose(np.concatenate(own), expected, rtol=1e-4, atol=1e-7)
    alone = NetCount(gains, np.array([7.0])).slopes(np.array([8.0]), np.array([7.0]), np.array([SPREAD]))
    whole = gains.slopes(np.array([8.0]), np.array([7.0]), np.array([SPREAD]))
    np.testing.assert_allclose(alone[0] + alone[2], whole[0], rtol=1e-12)


def test_slopes_at_a_mean_of_nothing() -> None:
    """No events expected and none seen: the log probability falls with the mean at once."""
    none = np.array([0.0])
    for family in (Poisson(), NB1(), NB2(), NegativeBinomial()):
        above = family.log_density(none, np.array([1e-9]), np.array([SPREAD]))
        np.testing.assert_allclose(family.slopes(none, none, np.array([SPREAD]))[0], above / 1e-9, rtol=1e-6)


@pytest.mark.parametrize("family", registry.SPLITS, ids=named)
def test_slopes_of_a_split(family: SplitFamily) -> None:
    counts, expected = np.array([2.0, 0.0, 4.0]), [3.0, 1.5, 6.0]
    by_expected, by_spread = family.slopes(counts, np.array([expected]), np.array([SPREAD]))

    def density(a: Array, b: Array, c: Array, s: Array) -> Array:
        return family.log_density(counts, np.stack([a, b, c], axis=-1), s)

    slopes = differences(density, *expected, SPREAD)
    np.testing.assert_allclose([*by_expected[0], *by_spread], slopes, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("family", registry.SHARES, ids=named)
def test_slopes_of_a_share(family: ShareFamily) -> None:
    total = np.array(9.0)
    for value in (0.0, 4.0, 9.0):
        slope = differences(lambda p: family.log_density(np.array([value]), total, p), 0.3)  # noqa: B023
        np.testing.assert_allclose(family.slope(np.array([value]), total, np.array([0.3])), slope, rtol=1e-6)
    for lower, upper in ((2.0, 4.0), (5.0, np.inf), (1.0, np.inf)):
        slope = differences(lambda p: family.log_interval(lower, upper, total, p), 0.3)  # noqa: B023
        np.testing.assert_allclose(family.interval_slope(lower, upper, total, np.array([0.3])), slope, rtol=1e-6)


@pytest.mark.parametrize("family", registry.SPLITS, ids=named)
def test_a_split_has_cells_and_draws_of_its_distribution(family: SplitFamily) -> None:
    total, shares = 6, np.array([0.2, 0.8])
    counts = np.arange(total + 1.0)
    masses = np.exp(
        [float(family.log_density(np.array([n, total - n]), shares, np.array(SPREAD))) for n in counts.tolist()]
    )
    np.testing.assert_allclose(family.cell(total, 0.2, SPREAD), masses, rtol=1e-9)
    drawn = family.draw(total, np.tile(shares, (N, 1)), np.full(N, SPREAD), np.random.default_rng(2))
    seen = np.array([(drawn[:, 0] == n).mean() for n in counts])
    assert (np.abs(seen - masses) < 4 * np.sqrt(masses / N) + 1e-9).all()
    assert family.cell(total, 0.0, SPREAD).tolist() == [1.0, *[0.0] * total]


@pytest.mark.parametrize("family", registry.SHARES, ids=named)
def test_a_share_has_masses_intervals_and_draws_of_its_distribution(family: ShareFamily) -> None:
    total, p = np.array(9.0), np.array([0.3])
    masses = np.exp(family.log_density(np.arange(10.0), total, p))
    np.testing.assert_allclose(family.mass(9, 0.3), masses, rtol=1e-9)
    assert np.exp(family.log_interval(2, 4, total, p))[0] == pytest.approx(masses[2:5].sum(), rel=1e-9)
    drawn = family.draw(9, np.append(np.full(N, 0.3), 1.4), np.random.default_rng(3))
    assert np.isnan(drawn[-1])
    assert drawn[:-1].mean() == pytest.approx(2.7, abs=0.05)


def test_families_are_values_with_names_of_their_own() -> None:
    families = registry.families()
    assert len({family.name for family in families}) == len(families) >= 10
    for family in families:
        assert family == type(family)()
        assert set(family.kinds) <= set(KINDS)
    assert StudentT(dof=3) != StudentT()
    with pytest.raises(FrozenInstanceError):
        StudentT().dof = 2.0  # type: ignore[misc]


def test_a_family_without_a_method_cannot_be_made() -> None:
    @dataclass(frozen=True, slots=True)
    class Forgetful(CountFamily):
        name: ClassVar[str] = "forgetful"

        def log_density(self, value: Array, mean: Array, spread: Array) -> Array:
            return value * mean * spread

        def slopes(self, value: Array, mean: Array, spread: Array) -> tuple[Array, ...]:
            return value, mean, spread

        def variance(self, mean: Array, spread: Array) -> Array:
            return mean * spread

    with pytest.raises(TypeError, match=r"abstract method '?draw"):
        Forgetful()  # type: ignore[abstract]


def study(folder: Path, old: str, new: str) -> None:
    small_study(folder)
    assert old in STUDY
    (folder / "problem.toml").write_text(STUDY.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("kind", "family", "expected"),
    [
        ("increments", "nromal", "observation 'left' has no family 'nromal'; did you mean 'normal'?"),
        ("level", "gaussian", "observation 'left' has no family 'gaussian'"),
    ],
)
def test_an_unknown_family_is_told_those_of_its_kind(tmp_path: Path, kind: str, family: str, expected: str) -> None:
    study(tmp_path, 'family = "poisson"', f'family = "{family}"')
    text = (tmp_path / "problem.toml").read_text("utf-8")
    changed = text if kind == "increments" else text.replace('"increments"', f'"{kind}"').replace("start = 0.0\n", "")
    (tmp_path / "problem.toml").write_text(changed, encoding="utf-8")
    with pytest.raises(CiparkError) as raised:
        read_problem(tmp_path)
    names = ", ".join(entry.name for entry in registry.NUMBERS if kind in entry.kinds)
    assert f"{expected} (the kind {kind} takes {names})" in str(raised.value)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ('family = "student-t"\nsd = 2.0\ndof = -1', "dof is -1, expected a positive number"),
        ('family = "normal"\nsd = 2.0\ndof = 3', "has no key 'dof'"),
        ('family = "normal"\ndispersion = 2.0', "expected a positive number or the name of a noise parameter"),
        ('family = "nb1"\ndispersion = 2.0\nautocorrelation = 0.4', "normal, lognormal, student-t"),
    ],
)
def test_options_are_those_of_the_family(tmp_path: Path, lines: str, expected: str) -> None:
    study(tmp_path, 'family = "poisson"', lines)
    with pytest.raises(CiparkError) as raised:
        read_problem(tmp_path)
    assert expected in str(raised.value)


def test_options_reach_the_family(tmp_path: Path) -> None:
    study(tmp_path, 'family = "poisson"', 'family = "student-t"\nsd = 2.0\ndof = 2.5')
    assert {term.noise.family for term in read_problem(tmp_path).terms} == {StudentT(dof=2.5)}


def test_the_example_of_the_document_is_a_family_by_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laplace, row = example()
    assert row == "NUMBERS += (Laplace(),)\n"
    monkeypatch.setattr(registry, "NUMBERS", (*registry.NUMBERS, laplace))
    study(tmp_path, 'family = "poisson"', 'family = "laplace"\nsd = 3.0\nautocorrelation = 0.3')
    density = posterior(read_problem(tmp_path), choose("native"))
    assert {term.noise.family for term in density.problem.terms} == {laplace}
    theta = density.space.medians[None, :]
    logs = density.pointwise(theta)[0]
    first = density.problem.terms[0]
    assert isinstance(first, Count)
    # nothing comes before the first number of a series
    mean = density.by_term(theta)[0][0, 0]
    assert logs[0] == pytest.approx(stats.laplace.logpdf(first.lower, mean, 3 / np.sqrt(2)), rel=1e-12)
    first_row = fitted(density, theta[0]).iloc[0]
    assert (first_row["low"], first_row["high"]) == pytest.approx(stats.laplace.ppf([0.05, 0.95], mean, 3 / np.sqrt(2)))
    assert first_row["residual"] == pytest.approx(stats.norm.ppf(stats.laplace.cdf(first.lower, mean, 3 / np.sqrt(2))))
    drawn = replicate(density, np.repeat(theta, N, axis=0), np.random.default_rng(4))
    assert drawn[:, 0].std() == pytest.approx(3, rel=0.05)
    scores = laplace.score(drawn, np.array([by[0, 0] for by in density.by_term(theta)]), np.array(3.0))
    assert np.corrcoef(scores[:, 0], scores[:, 1])[0, 1] == pytest.approx(0.3, abs=0.03)


def test_the_page_lists_the_families_of_each_kind() -> None:
    page = (DOCS / "reference" / "calibration.md").read_text("utf-8")
    table = page.split("| kind | what is compared with a row | families |")[1].split("\n\n")[0]
    listed: dict[str, list[str]] = {}
    for line in table.splitlines()[2:]:
        kind, *_, families = (cell.strip() for cell in line.strip("|").split("|"))
        last = list(listed.values())[-1] if listed else []
        listed[kind.strip("`")] = last if families == "the same" else re.findall(r"`([^`]+)`", families)
    assert listed == {kind: [f.name for f in registry.families() if kind in f.kinds] for kind in KINDS}


def test_the_page_of_each_family_names_its_spread_and_options() -> None:
    page = (DOCS / "reference" / "calibration.md").read_text("utf-8")
    rows = re.findall(r"^\| (`[a-z0-9-]+`(?:, `[a-z-]+`)*) \| [^|]+ \| (none|`[^|]+) \|$", page, flags=re.MULTILINE)
    listed = {
        name: set(re.findall(r"`(\w+)`", keys)) for names, keys in rows for name in re.findall(r"`([^`]+)`", names)
    }
    for family in registry.families():
        assert listed[family.name] == {family.spread, *(option.name for option in fields(family))} - {""}
