"""The first screen of a fit: its numbers are those of the records, each with the class that its interval gives it."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from approved import approved
from fitted_rows import fitted_rows
from small_study import STUDY, rival, small_study

from calibration.assess.posterior_predictive import Discrepancy
from calibration.commands.pipeline import calibrate
from calibration.commands.settings import Settings
from calibration.inference.profile.verdict import Side
from calibration.report import output
from calibration.report.collect import fit_findings, study_facts
from calibration.report.findings import Curves, Findings, Fit
from calibration.report.output import fitted_scenario, page, record, write
from calibration.report.sections import answer
from calibration.report.sections.answer import cautions
from calibration.report.sections.base import misfit
from calibration.report.sections.constants import classes
from cipark_sd.base.naming import override_key
from cipark_sd.base.wording import number
from cipark_sd.data.scenarios import read_scenario
from cipark_sd.pages import first_screen
from cipark_sd.pages.blocks import FirstScreen
from cipark_sd.pages.parts import Pictures
from cipark_sd.simulations.simulation import simulate
from cipark_sd.statements import headline
from cipark_sd.statements.headline import Bounds


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("answer")
    small_study(folder)
    return folder


def test_an_initial_value_that_goes_by_the_name_of_its_stock_says_so(tmp_path: Path) -> None:
    small_study(tmp_path)
    size = STUDY.replace('name = "size"', 'name = "stock"')
    for text, called in ((STUDY, "size"), (size, "stock at the start")):
        (tmp_path / "problem.toml").write_text(text, encoding="utf-8")
        fit = fit_findings(calibrate(Settings(study=tmp_path, posterior=False, engine="native", starts=2)))
        first, rate = answer.constants(Findings(fit))
        assert (first.called, rate.called) == (called, "rate")
        assert f"<h2>{called[:1].upper()}{called[1:]}</h2>" in first_screen._number(first)


@pytest.fixture(scope="module")
def fit(folder: Path) -> Fit:
    return fit_findings(calibrate(Settings(study=folder, posterior=False, engine="native", starts=4)))


def screen(findings: Findings) -> FirstScreen:
    (block,) = (
        block
        for section in page(findings, Pictures()).sections
        for block in section.blocks
        if isinstance(block, FirstScreen)
    )
    return block


def test_the_page_begins_with_its_finding_and_the_console_has_the_same_lines(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    findings = Findings(fit)
    found = screen(findings)
    records = answer.leading(findings)
    known = [record for record in records if record.standing == "known"]
    assert known
    # without draws the end of the course has the estimate alone
    assert found.title == f"Left at year 12: {number(fit.course[-1])} firms, by the best fit"
    assert known[0].brief in found.known
    write(findings, tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    places = [text.index(part) for part in ("<h1", 'alt="', *(f"</svg>{name}<" for name, _ in found.lines), "Limits.")]
    assert places == sorted(places)
    assert text.index("Limits.") < text.index('<details class="part">')
    assert (tmp_path / "answer.svg").is_file()
    output.ending(findings, tmp_path / "report.html").show(sys.stdout)
    printed = dict(line.split("\t") for line in capsys.readouterr().out.splitlines())
    assert printed == {"Finding": f"{found.subject}: {found.title}", **dict(found.lines),
                       "Read next": str(tmp_path / "report.html")}  # fmt: skip


def test_constants_are_judged_on_the_scale_on_which_they_are_searched(fit: Fit) -> None:
    scales = {headline.parameter(parameter.name): parameter.scale for parameter in fit.study.space}
    records = answer.leading(Findings(fit))
    assert {record.estimand: record.scale for record in records}.items() <= scales.items()
    assert "log" in {record.scale for record in records}
    assert [record.width_left for record in records] == sorted(record.width_left for record in records)


def test_every_side_that_no_search_came_to_is_in_the_caution_unless_draws_give_the_interval(fit: Fit) -> None:
    """Given up, or where the profile jumps: such a constant is neither narrowed nor left open."""
    first, second = fit.profiles[:2]
    reasons = ("given up after 90 points", "not computed: the profile is not smooth there")
    profiles = tuple(
        replace(profile, verdict=replace(profile.verdict, upper=Side("not found", 3.0, reason)))
        for profile, reason in zip((first, second), reasons, strict=True)
    )
    shown = Findings(replace(fit, profiles=profiles))
    assert list(cautions(shown)) == [
        f"An end of the interval of {first.name} was not found within the budget of its searches: --posterior gives it "
        "by draws.",
        f"An end of the interval of {second.name} was not found, since the profile is not smooth there: --posterior "
        "gives it by draws.",
    ]
    assert shown.fit.unfound == (first.name, second.name)
    assert set(classes(shown).values()) == {"not found"}
    assert answer.first_screen(shown).title == "The intervals of 2 of 2 fitted constants were not found"
    one = Findings(replace(fit, profiles=(profiles[0], second)))
    assert classes(one)[second.name] == "known"
    assert answer._title_words(answer.leading(one), "") == (
        "The data narrow 1 of 2 fitted constants, and of 1 it was not found"
    )


@pytest.mark.parametrize(
    ("interval", "prior", "change", "standing"),
    [
        # 70% as wide as the priors' interval is not narrower, less is
        ((0.0, 7.0), (0.0, 10.0), False, "not narrowed"),
        ((0.0, 6.9), (0.0, 10.0), False, "narrowed"),
        ((2.4, 6.9), (0.0, 10.0), False, "known"),
        ((3.0, 9.0), (2.0, 9.0), True, "assumed"),
        ((-9.0, -3.0), (-9.0, -2.0), True, "assumed"),
        ((4.0, 9.0), (-2.0, 5.0), True, "known"),
        # the priors give the sign, however far the data narrow the size, unless the data turn it
        ((3.0, 5.0), (2.0, 9.0), True, "assumed"),
        ((-3.0, -1.0), (2.0, 9.0), True, "known"),
        ((3.0, None), (2.0, 9.0), True, "assumed"),
        ((3.0, None), (2.0, 9.0), False, "not narrowed"),
        ((5.0, None), (2.0, 9.0), False, "narrowed"),
    ],
)
def test_the_class_of_a_number_follows_from_its_interval_and_that_of_the_priors(
    fit: Fit, interval: tuple[float, float | None], prior: tuple[float, float], change: bool, standing: str
) -> None:
    record = answer.leading(Findings(fit))[0]
    estimand = headline.output("Firms", 9, against="switch = 0" if change else "")
    judged = replace(
        record,
        estimand=estimand,
        number=interval[0],
        interval=Bounds(*interval, 0.9, "x"),
        prior=Bounds(*prior, 0.9, "x"),
        scale="identity",
    )
    assert judged.standing == standing
    assert replace(judged, prior=None).standing == replace(judged, interval=None).standing == ""
    # the class by draws comes before that by intervals, and data that the model misses inform nothing
    for kind, doubt, said in (("informed", "", ("known", "narrowed")), ("undecided", "", ("not narrowed",)),
                              ("built in", "", ("assumed",)), ("informed", "a trend", ("doubted",))):  # fmt: skip
        assert replace(judged, judged=kind, doubt=doubt).standing in said
    unknown = replace(judged, interval=Bounds(3.0, None, 0.9, "x", states=("bounded", "not found")))
    assert unknown.standing == "not found"


@pytest.mark.parametrize(
    ("number", "ends", "against", "brief"),
    [
        (57.4, (40.2, 76.6), "", "57 firms (90%: 40 to 77)"),
        (17.0, (3.8, 47.0), "a = 0", "17 firms more (90%: 4 to 47)"),
        (-9.0, (-26.0, -3.0), "a = 0", "9 firms fewer (90%: 3 to 26)"),
        (2.2, (1.1, 3.9), "", "2.2 firms (90%: 1.1 to 3.9)"),
        (2.0, (-5.0, 9.0), "a = 0", "2 firms (90%: -5 to 9)"),
        # no more digits than the interval bears, with commas
        (8613730952.0, (8544000419.0, 8666175808.0), "", "8,610,000,000 firms (90%: 8,540,000,000 to 8,670,000,000)"),
    ],
)
def test_a_change_of_one_sign_is_so_much_more_or_fewer(
    fit: Fit, number: float, ends: tuple[float, float], against: str, brief: str
) -> None:
    record = answer.leading(Findings(fit))[0]
    estimand = headline.output("Firms", 9, against=against)
    interval = Bounds(*ends, 0.9, "central draws")
    assert replace(record, estimand=estimand, number=number, unit="firm", interval=interval).brief == brief


def test_a_row_outside_its_band_is_counted(fit: Fit) -> None:
    first = fit.rows[fit.rows["use"] == "fit"].iloc[0]
    rows = fit.rows.copy()
    rows.loc[first.name, ["lower", "upper"]] = first["high"] + 1
    before, after = (int(answer.fit_words(one).split()[0]) for one in (fit, replace(fit, rows=rows)))
    assert after == before - (first["low"] <= first["upper"] and first["lower"] <= first["high"])


@pytest.mark.parametrize(
    ("lower", "upper", "inside"),
    [(-2, -1, 0), (-2, 0, 1), (-2, 0.5, 1), (0.2, 0.8, 1), (0.5, 3, 1), (1, 3, 1), (2, 3, 0), (-2, 3, 1)],
)
def test_a_number_that_is_known_as_an_interval_counts_where_it_meets_the_band(
    fit: Fit, lower: float, upper: float, inside: int
) -> None:
    """Ends in units of the band: 0 is its lower end, 1 its upper one."""
    row = fit.rows[fit.rows["use"] == "fit"].iloc[[0]]
    ends = [row["low"] + (row["high"] - row["low"]) * share for share in (lower, upper)]
    one = replace(fit, rows=row.assign(lower=ends[0], upper=ends[1]))
    assert answer.fit_words(one).startswith(f"{inside} of 1 fitted numbers lie within")


def failing(fit: Fit, *, fails: bool) -> Findings:
    line = Discrepancy(fit.study.observations[0].name, "dependence", 0.7, -0.5, 0.0, 0.5, 0.003, fails)
    assessed: Any = SimpleNamespace(comparison=(), rolling=None, interrupted=False, discrepancies=(line,))
    return Findings(fit, assessed)


def test_nothing_is_known_of_a_model_that_misses_a_pattern_of_the_data(fit: Fit) -> None:
    fits, misses = (first for first in (answer.first_screen(failing(fit, fails=fails)) for fails in (False, True)))
    records = [answer.leading(failing(fit, fails=fails)) for fails in (False, True)]
    assert [any(record.standing == "known" for record in some) for some in records] == [True, False]
    assert "misses a pattern" in misses.title
    assert misses.known == "Nothing firmly."
    assert "misses a pattern" not in fits.title + fits.known
    name = records[1][0].dated.removeprefix("parameter ")
    assert name in misses.not_known.lower()
    assert name not in fits.not_known.lower()


def test_residuals_that_stay_on_one_side_make_nothing_known(fit: Fit) -> None:
    runs = replace(fit.conditions.runs[0], above=8, below=8, runs=2)
    judged = replace(fit, conditions=replace(fit.conditions, runs=(runs,)))
    assert misfit(Findings(fit)) == ""
    assert fit.conditions.runs[0].observation in misfit(Findings(judged))
    assert json.loads(json.dumps(record(Findings(judged))))["misfit"] == misfit(Findings(judged))


@pytest.mark.parametrize("kind", ["level", "increments"])
def test_the_caption_says_which_range_the_figure_has(fit: Fit, kind: str) -> None:
    """Of levels the noise is drawn; that of a running total is of its increases, which are not in the figure."""
    (observed, *_) = fit.study.observations
    rows = fit.curves.levels[observed.name]
    last = float(rows["end"].iloc[-1])
    jumps = (last, last + 1)
    study = replace(fit.study, observations=(replace(observed, kind=kind, jumps=jumps),))
    said = answer.caption_words(Findings(replace(fit, study=study)))
    assert ("Grey bars" in said) is (kind == "level")
    assert ("increases of the running total" in said) is (kind == "increments")
    assert f"Jump on {fit.study.calendar.label(jumps[0])}: " in said
    drawing = next(iter(answer.First().drawings(Findings(replace(fit, study=study)))))
    assert drawing.options is not None
    assert drawing.options["noise"] is (kind == "level")
    held_out = fit.curves.levels | {observed.name: rows.assign(use=["fit"] * (len(rows) - 1) + ["holdout"])}
    of_some = replace(fit, study=study, curves=replace(fit.curves, levels=held_out))
    assert ("Grey bars at fitted numbers: " in answer.caption_words(Findings(of_some))) is (kind == "level")


@pytest.mark.parametrize("n", [0, 1, 2])
@pytest.mark.parametrize("compared", [False, True])
def test_rival_structures_that_were_not_fitted_are_a_limit(fit: Fit, n: int, compared: bool) -> None:
    assessed: Any = SimpleNamespace(comparison=("something",) if compared else (), rolling=None)
    study = replace(fit.study, rivals=tuple(f"M{i}" for i in range(n)), holdout=())
    said = answer.limits(SimpleNamespace(fit=replace(fit, study=study), assessment=assessed))  # type: ignore[arg-type]
    assert ("rival" in said) is (n > 0 and not compared)
    assert len(said.split()) <= 25


def test_open_sides_and_missing_ranges_are_said_in_words(fit: Fit) -> None:
    record = answer.leading(Findings(fit))[0]
    for interval, words in (
        (Bounds(None, None, 0.95, "x"), "95%: unbounded"),
        (Bounds(None, None, 0.95, "x", states=("not found", "not found")), "95%: ends not computed"),
        (Bounds(1.5, None, 0.95, "x"), "95%: at least 1.5"),
        (Bounds(None, 1.5, 0.95, "x"), "95%: at most 1.5"),
        (Bounds(1.5, 23.456, 0.9, "x"), "90%: 1.5 to 23"),
    ):
        assert replace(record, unit="", interval=interval).brief.endswith(f"({words})")
    assert replace(record, interval=None).brief == replace(record, interval=None).value


def test_what_was_not_asked_stands_in_one_line_at_the_end_and_nowhere_else(fit: Fit) -> None:
    sections = page(Findings(fit), Pictures()).sections
    titles = [section.title for section in sections]
    assert titles.index("Not run") == len(titles) - 1
    (block,) = sections[-1].blocks
    assert "--posterior" in repr(block)
    assert "Not asked for" not in repr(sections[:-1])
    assert "What the data say. '" not in repr(sections)


def test_the_fitted_scenario_runs_the_model_at_the_estimate(fit: Fit, folder: Path, tmp_path: Path) -> None:
    write(Findings(fit), tmp_path)
    scenario = read_scenario(tmp_path / "fitted.toml")
    fitted = {
        p.name: v for p, v in zip(fit.study.space, fit.optimum.theta.tolist(), strict=True) if p.target == "model"
    }
    for name, value in fitted.items():
        assert scenario.overrides[override_key(name)] == value
    held = json.loads(fit.study.scenario).get("set", {})
    assert set(scenario.overrides) == set(held) | set(map(override_key, fitted))
    run = simulate(folder / "leaving.mdl", scenario)
    ((observation, course),) = fit.curves.courses.items()
    assert observation
    np.testing.assert_allclose(course, np.interp(fit.curves.times, run["time"], run["left"]), rtol=1e-12)
    timed = replace(
        fit, study=replace(fit.study, scenario='{"final_time": 9.0, "set": {"pace": 1.5, "a": [1.0, 2.0]}}')
    )
    (tmp_path / "timed.toml").write_text(fitted_scenario(timed), encoding="utf-8")
    read = read_scenario(tmp_path / "timed.toml")
    assert (read.final_time, read.overrides["pace"], read.overrides["a"]) == (9.0, 1.5, (1.0, 2.0))


def test_the_structure_of_the_study_itself_is_no_other_one(fit: Fit, tmp_path: Path) -> None:
    problem = small_study(tmp_path, rival("base") + rival("slow", "pace = 0.05") + rival("fast", "pace = 0.5"))
    facts = study_facts(problem)
    assert facts.rivals == ("slow", "fast")
    approved(screen(Findings(replace(fit, study=facts))).limits)


ASKED = """
[[prediction]]
name = "left later"
variable = "left"
at = 10
[[prediction]]
name = "left at the end"
variable = "left"
at = 8
[[prediction]]
name = "slower"
variable = "left"
at = 8
against = { pace = 0.5 }
[report]
finding = "Half of them left."
assumed = "that all leave alike"
"""


def test_numbers_within_the_data_come_first_and_a_study_s_own_words_are_named(tmp_path: Path) -> None:
    small_study(tmp_path, ASKED)
    fit = fit_findings(calibrate(Settings(study=tmp_path, posterior=False, engine="native", starts=4)))
    found = screen(Findings(fit))
    approved((found.title, found.assumed))
    assert answer.OWN_WORDS in found.limits
    approved([record.title for record in found.numbers])
    assert found.known.startswith(f"Left at the end: {fit.rows['lower'].sum():.0f} reported. The fitted model gives ")
    # a row that is compared only leaves the last date as it was
    uses = [*fit.rows["use"][:-1], "check"]
    earlier = replace(fit, rows=fit.rows.assign(use=uses))
    assert all("assumptions alone after 7" in r.conditional_on for r in screen(Findings(earlier)).numbers)
    plain = replace(fit, study=replace(fit.study, questions=replace(fit.study.questions, finding="", assumed="")))
    computed = screen(Findings(plain))
    approved(computed.title)
    assert "structure" in computed.assumed
    assert answer.OWN_WORDS not in computed.limits


def seen(end: float, lower: float, use: str = "fit") -> Any:
    return {"end": end, "lower": lower, "use": use}


def drawn(courses: dict[str, list[float]], **levels: list[Any]) -> Any:
    """Two observations of which a fit may have courses and numbers; dates of 2019 count in years."""
    entries = (SimpleNamespace(name="first"), SimpleNamespace(name="second"))
    curves = Curves(
        times=np.array([1.0, 2.0, 3.0]), courses={name: np.array(course) for name, course in courses.items()},
        levels={name: fitted_rows(*rows) for name, rows in levels.items()},
    )  # fmt: skip
    calendar = SimpleNamespace(label=lambda time: f"{time:g}")
    return SimpleNamespace(curves=curves, study=SimpleNamespace(observations=entries, calendar=calendar))


def test_the_first_observation_with_a_course_that_was_fitted_is_drawn() -> None:
    both = {"first": [1.0, 2.0, 3.0], "second": [1.0, 2.0, 3.0]}
    assert answer.first_shown(drawn(both)) == "first"
    assert answer.first_shown(drawn(both, first=[seen(1, 5, "check")], second=[seen(1, 5)])) == "second"
    assert answer.first_shown(drawn({"second": both["second"]}, first=[seen(1, 5)])) == "second"
    assert answer.first_shown(drawn({}, first=[seen(1, 5)])) is None
