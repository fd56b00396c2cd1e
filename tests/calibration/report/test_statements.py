"""What pages conclude: thresholds, levels, defaults and sentences, each beside the numbers on either side of it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from approved import approved
from foretold import foretold
from scipy import stats
from small_study import small_study

from calibration.assess import contraction as contraction_module
from calibration.assess import self_test
from calibration.assess.assessment import NOTHING
from calibration.assess.contraction import Contraction
from calibration.assess.forecast import LEVELS, table_of
from calibration.assess.rivals import Comparison
from calibration.commands import pipeline
from calibration.commands.settings import Settings
from calibration.inference.search.optimise import Optimum
from calibration.report import conclusions
from calibration.report.collect import fit_findings
from calibration.report.figures_fit import fit_figure, waterfall_figure
from calibration.report.figures_posterior import forecast_figure, rivals_figure
from calibration.report.findings import Findings, Fit
from calibration.report.output import page
from calibration.report.sections.answer import warnings
from calibration.study.sections import Method, Questions
from cipark_sd.data.scenarios import Scenario
from cipark_sd.language.read.model_file import read_model
from cipark_sd.pages.figures.panels import TimeAxis
from cipark_sd.pages.parts import Pictures
from cipark_sd.simulations.simulation import simulate
from cipark_sd.statements.standing import Standing
from cipark_sd.verify.checks.course import conserved, halved
from cipark_sd.verify.checks.file import BuiltIn, Conservation, Halving, read_checks

Write = Callable[..., Path]


@pytest.fixture(scope="module")
def fit(tmp_path_factory: pytest.TempPathFactory) -> Fit:
    folder = tmp_path_factory.mktemp("leaving")
    small_study(folder)
    return fit_findings(
        pipeline.calibrate(Settings(folder, posterior=False, starts=3, engine="native", compare_pysd=False))
    )


# --- checks of a model ------------------------------------------------------------------------------------------------


def law_of(path: Path, text: str = "") -> tuple[object, Conservation]:
    model = read_model(path)
    file = path.with_name("law.toml")
    file.write_text(f"[[conservation]]\nid='l'\nstocks=['S']\ninflows=['f']\n{text}", encoding="utf-8")
    (law,) = read_checks(file, model).conservation
    return model, law


@pytest.mark.parametrize(("f", "leak", "passed"), [
    (1000.0, 0.9e-6, True), (1000.0, 1.1e-6, False), (0.001, 0.9e-9, True), (0.001, 1.1e-9, False),
])  # fmt: skip
def test_a_leak_of_more_than_a_billionth_of_the_flows_breaks_conservation(
    write_mdl: Write, f: float, leak: float, passed: bool
) -> None:
    """A share of what flows, and of one where less does."""
    path = write_mdl(f"S = INTEG(f - leak, 0) ~ firm ~ | f = {f!r} ~ firm/Year ~ | leak = {leak!r} ~ firm/Year ~ |")
    model, law = law_of(path)
    assert law.tolerance == 1e-9
    run = simulate(model, Scenario(), save=["s", "f", "leak"], engine="native")  # type: ignore[arg-type]
    assert conserved(model, "base", run, law).passed is passed  # type: ignore[arg-type]
    assert conserved(model, "base", run, replace(law, tolerance=100e-9)).passed  # type: ignore[arg-type]


def test_outflows_count_in_what_flows(write_mdl: Write) -> None:
    path = write_mdl(
        "S = INTEG(f - g - leak, 0) ~ firm ~ | f = 500 ~ firm/Year ~ | g = 500 ~ firm/Year ~ |"
        "leak = 0.9e-6 ~ firm/Year ~ |"
    )
    model, law = law_of(path, "outflows=['g']\n")
    run = simulate(model, Scenario(), save=["s", "f", "g", "leak"], engine="native")  # type: ignore[arg-type]
    assert conserved(model, "base", run, law).passed  # type: ignore[arg-type]
    larger = replace(law, tolerance=0.8e-9)
    assert not conserved(model, "base", run, larger).passed  # type: ignore[arg-type]


@pytest.mark.parametrize(("moved", "passed"), [(1.0099, True), (1.0102, False)])
def test_half_the_step_may_move_a_stock_by_one_per_cent(write_mdl: Write, moved: float, passed: bool) -> None:
    model = read_model(write_mdl("S = INTEG(1, 100) ~ firm ~ |"))
    coarse = simulate(model, Scenario(), engine="native")
    fine = coarse.copy(deep=True)
    fine["s"] = coarse["s"] * moved
    assert (Halving().tolerance, Halving().absolute, BuiltIn().halving) == (0.01, 0.0, Halving())
    assert [finding.passed for finding in halved(model, coarse, fine, Halving())] == [passed]


# --- which structures and causes --------------------------------------------------------------------------------------


def structure(name: str, behind: float, error: float, *, stacking: float = 0.0) -> Comparison:
    return Comparison(
        name, f"why {name}", True, -50.0, -60.0 - behind, behind, error, 0, stacking, -70.0, 0.1, 0.25, "chains"
    )


@pytest.mark.parametrize(("behind", "error", "close"), [
    (3.99, 0.0, True), (4.0, 0.0, True), (4.01, 0.0, False), (9.99, 5.0, True), (10.01, 5.0, False),
    (10.01, 1.0, False),
])  # fmt: skip
def test_near_the_best_is_within_two_errors_or_four(behind: float, error: float, close: bool) -> None:
    lines = [structure("M0", 0.0, 0.0), structure("M1", behind, error)]
    assert [line.name for line in conclusions.near_best(lines)] == (["M0", "M1"] if close else ["M0"])


def assessment(lines: list[Comparison], **more: object) -> SimpleNamespace:
    return SimpleNamespace(**{"comparison": lines, "refuted": {}, "contractions": (), **more})


def asked(fit: Fit, *without: str) -> SimpleNamespace:
    causes = (("a rush", without),)
    return SimpleNamespace(study=SimpleNamespace(rivals=("M0", "M1"), questions=Questions(causes=causes)))


def test_a_cause_is_needed_only_where_every_structure_without_it_is_worse(fit: Fit) -> None:
    lines = [structure("M0", 0.0, 0.0, stacking=0.7), structure("M1", 4.5, 1.0, stacking=0.3)]
    said, points = conclusions.caused(asked(fit, "M1"), assessment(lines))  # type: ignore[arg-type]
    approved(said)
    assert "do not decide" not in said
    approved(points[0])
    lines[1] = structure("M1", 4.5, 2.5, stacking=0.3)
    said, points = conclusions.caused(asked(fit, "M1"), assessment(lines))  # type: ignore[arg-type]
    approved(said)
    approved(points[0])


def test_a_refuted_structure_is_named(fit: Fit) -> None:
    refuted = {"M2": "no growth"}
    lines = [structure("M0", 0.0, 0.0)]
    said, _ = conclusions.caused(asked(fit), assessment(lines, refuted=refuted))  # type: ignore[arg-type]
    approved(said)


# --- what the data say of parameters ----------------------------------------------------------------------------------


def contraction(name: str, share: float, prior: float = 0.01) -> Contraction:
    return Contraction(name, share, prior, 0.1, "informed" if share >= 0.3 else "undecided")


def test_priors_of_what_is_not_narrowed_are_assumed(fit: Fit) -> None:
    lines = [contraction("much", 0.8), contraction("some", 0.3), contraction("less", 0.29)]
    found = SimpleNamespace(contractions=lines, comparison=())
    added = conclusions.adds(fit, found, "Checked.")  # type: ignore[arg-type]
    approved(added)


@pytest.mark.parametrize(("prior", "words"), [(0.051, ", and the prior matters"), (0.049, "")])
def test_power_scaling_separates_at_a_twentieth(prior: float, words: str) -> None:
    assert contraction("a", 0.5, prior=prior).verdict == f"narrowed{words}"
    assert contraction("a", 0.0, prior=prior).verdict == f"not narrowed{words}"
    assert contraction_module.POWERS == (1 / 1.01, 1.01)


def test_what_the_data_narrow_may_depend_on_its_prior_as_well(fit: Fit) -> None:
    lines = [contraction("a", 0.5), contraction("b", 0.5, prior=0.2), contraction("c", 0.0)]
    said: dict[str, Standing] = {"a": "known", "b": "narrowed", "c": "not narrowed"}
    approved(conclusions.supports(fit, SimpleNamespace(contractions=lines), said))  # type: ignore[arg-type]


def test_a_number_beyond_chance_is_left_to_the_noise(fit: Fit) -> None:
    n = int((fit.rows["use"] == "fit").sum())
    limit = stats.norm.isf(0.05 / 2 / n)
    for beyond, named in ((1.001, True), (0.999, False)):
        rows = fit.rows.assign(residual=[beyond * limit, *fit.rows["residual"][1:]])
        said = conclusions.supports(replace(fit, rows=rows), NOTHING, {})
        assert (f"left to its noise: {fit.rows['label'][0]}" in said) is named
        assert ("residual beyond 2.7" in said) is named


# --- the fit ----------------------------------------------------------------------------------------------------------


def test_defaults_of_the_method() -> None:
    assert Method() == Method("map", 100, 20, 1, 0.95)


def test_the_band_of_the_noise_is_the_central_ninety_per_cent(fit: Fit) -> None:
    for row in fit.rows.itertuples():
        assert (row.low, row.high) == tuple(stats.poisson.ppf([0.05, 0.95], row.expected))
        assert row.sd == pytest.approx(np.sqrt(row.expected))


def searches(optimum: Optimum, *gaps: float) -> Optimum:
    best = optimum.searches[0]
    return replace(optimum, searches=tuple(replace(best, log_density=optimum.log_density - gap) for gap in gaps))


def test_a_search_has_arrived_within_a_tenth(fit: Fit) -> None:
    optimum = searches(fit.optimum, 0.0, 0.099, 0.101)
    told = replace(fit, optimum=optimum)
    assert optimum.n_arrived == 2
    assert "2 of 3 searches ended within 0.1 of the best." in repr(page(Findings(told), Pictures()))
    figure = waterfall_figure(optimum)
    axis = figure.axes[0]
    assert axis.lines[0].get_ydata()[0] == 0.1
    assert axis.lines[1].get_ydata().tolist() == pytest.approx([1e-3, 0.099, 0.101])
    approved(axis.get_title(loc="left"))


@pytest.mark.parametrize(("gaps", "warned"), [((0.0, 0.2), True), ((0.0, 0.05), False), ((0.0,), False)])
def test_one_search_alone_at_the_best_is_warned_of(fit: Fit, gaps: tuple[float, ...], warned: bool) -> None:
    told = replace(fit, optimum=searches(fit.optimum, *gaps))
    assert any("Only one start" in words for words in warnings(Findings(told))) is warned


def test_the_main_figure_draws_course_numbers_and_residuals_where_they_are(fit: Fit) -> None:
    times, course = np.linspace(0, 8, 9), np.arange(9.0)
    ends = np.arange(1.0, len(fit.rows) + 1)
    rows = fit.rows.assign(end=ends, lower=2 * ends, upper=2 * ends + 1)
    figure = fit_figure(
        times, {"left": course}, {"left": rows}, rows, axis_labels={"left": "left [firm]"}, time=TimeAxis("year")
    )
    above, below = figure.axes
    assert above.lines[0].get_xydata().tolist() == np.column_stack([times, course]).tolist()
    assert above.lines[1].get_xydata().tolist() == [[i, 2.0 * i + 0.5] for i in range(1, len(rows) + 1)]
    intervals = [segment[:, 1].tolist() for segment in above.collections[0].get_segments()]
    assert intervals == rows[["lower", "upper"]].to_numpy().tolist()
    assert above.get_title(loc="left") == f"left (n = {len(rows)})"
    assert below.lines[1].get_ydata() == pytest.approx(rows["residual"].to_numpy())
    grey = below.patches[0].get_extents().transformed(below.transData.inverted())
    assert (grey.y0, grey.y1) == pytest.approx(stats.norm.ppf([0.025, 0.975]), abs=0.01)
    limit = stats.norm.isf(0.025 / len(rows))
    assert sorted(line.get_ydata()[0] for line in below.lines[-2:]) == pytest.approx([-limit, limit])


def test_the_self_test_s_coverage_is_of_central_intervals() -> None:
    """Ends of each mass, from draws whose quantiles are known."""
    draws = SimpleNamespace(flat=np.linspace(0.0, 1.0, 10001)[:, None])
    assert self_test.MASSES == (0.5, 0.9, 0.95)
    for place, inside in (
        (0.26, (1, 1, 1)),
        (0.24, (0, 1, 1)),
        (0.051, (0, 1, 1)),
        (0.049, (0, 0, 1)),
        (0.024, (0, 0, 0)),
    ):
        for truth in (place, 1 - place):
            assert self_test._placed(draws, np.array([truth]))[1].astype(int).tolist() == [list(inside)]  # type: ignore[arg-type]


# --- figures of what was inquired -------------------------------------------------------------------------------------


def test_bands_of_forecasts_are_the_central_ninety_and_fifty_per_cent() -> None:
    quantiles = tuple(np.arange(len(LEVELS), dtype=float))
    rows = table_of([foretold(year, quantiles) for year in (2020, 2021)])
    figure = forecast_figure(rows, {}, time=TimeAxis("year"))
    outer, inner = (collection.get_paths()[0].get_extents() for collection in figure.axes[0].collections)
    ends = [(LEVELS[round(box.y0)], LEVELS[round(box.y1)]) for box in (outer, inner)]
    assert ends == [(0.05, 0.95), (0.25, 0.75)]
    middle = figure.axes[0].lines[0].get_ydata()[0]
    assert LEVELS[round(float(middle))] == 0.5


def test_structures_are_drawn_with_twice_their_errors() -> None:
    lines = [structure("M0", 0.0, 0.0, stacking=0.7), structure("M1", 4.5, 1.5, stacking=0.3)]
    behind, weights = rivals_figure(lines).axes
    (bars,) = [collection for collection in behind.collections if len(collection.get_segments()) == 2]
    assert bars.get_segments()[1][:, 0].tolist() == [-4.5 - 3.0, -4.5 + 3.0]
    assert [patch.get_width() for patch in weights.patches] == [0.7, 0.3, 0.25, 0.25]
