"""One verdict: the same class of a constant whatever the option, and what comes first where something is wrong."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from small_study import PARAMETERS, STUDY, small_study

from calibration.assess.assessment import NOTHING
from calibration.assess.posterior_predictive import Discrepancy
from calibration.commands.pipeline import calibrate
from calibration.commands.settings import Settings
from calibration.inference.judge import residuals
from calibration.inference.judge.conditions import conditions
from calibration.inference.judge.identifiability import identifiability
from calibration.inference.profile.scatter import Scatter
from calibration.inference.profile.verdict import Side
from calibration.inference.search.optimise import optimise
from calibration.likelihood.posterior import posterior
from calibration.report import conclusions
from calibration.report.collect import fit_findings
from calibration.report.findings import Findings, Fit, estimates
from calibration.report.output import page, record
from calibration.report.sections import answer
from calibration.report.sections.base import misfit
from calibration.report.sections.constants import class_changes, classes, constants
from calibration.report.sections.course import course
from calibration.study.parameters import ParameterSpace
from calibration.study.problem import read_problem
from cipark_sd.base.wording import number
from cipark_sd.engines.registry import choose
from cipark_sd.pages.parts import Pictures
from cipark_sd.statements.headline import Bounds

OPTIONS: dict[str, dict[str, Any]] = {
    "fast": {"fast": True, "posterior": False},
    "profiles": {"posterior": False},
    "posterior": {"posterior": True},
}


def fitted(folder: Path, **options: Any) -> Fit:
    return fit_findings(calibrate(Settings(study=folder, engine="native", starts=4, compare_pysd=False, **options)))


@pytest.fixture(scope="module")
def by_option(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Findings]:
    """The small study with a constant of which the data see nothing but its product with another one."""
    folder = tmp_path_factory.mktemp("leaving")
    small_study(folder, '[[parameter]]\nname = "pace"\nprior = { family = "lognormal", median = 1, sigma = 1.5 }\n')
    return {name: Findings(fitted(folder, **options)) for name, options in OPTIONS.items()}


@pytest.fixture(scope="module")
def fit(by_option: dict[str, Findings]) -> Fit:
    return by_option["profiles"].fit


def words(findings: Findings) -> str:
    return repr(page(findings, Pictures()))


def test_a_constant_has_one_class_whatever_the_option_or_the_reason_is_printed(by_option: dict[str, Findings]) -> None:
    said = {name: classes(findings) for name, findings in by_option.items()}
    assert set(said["fast"]) == {"size", "rate", "pace"}
    assert said["fast"] == said["profiles"]
    assert said["fast"]["size"] == said["posterior"]["size"] == "known"
    changes = class_changes(by_option["posterior"])
    for name, kind in said["posterior"].items():
        assert (f"{name} ({kind} by draws, {said['profiles'][name]} by its profile)" in changes) is (
            kind != said["profiles"][name]
        )
    assert changes == "" or changes in words(by_option["posterior"])
    # where a profile says otherwise, as one without an end, it is said
    (first, *others) = by_option["posterior"].fit.profiles
    lost = replace(first, verdict=replace(first.verdict, upper=Side("not found", 9.0, "a jump")))
    other = Findings(replace(by_option["posterior"].fit, profiles=(lost, *others)), by_option["posterior"].assessment)
    assert "size (known by draws, not found by its profile)" in class_changes(other)


def test_a_profile_that_holds_a_constant_makes_no_other_one_known(by_option: dict[str, Findings]) -> None:
    """A profile at one date says nothing of other dates, and draws decide where there are some."""

    def with_held(findings: Findings) -> Findings:
        profiles = tuple(replace(p, verdict=replace(p.verdict, held=("switch",))) for p in findings.fit.profiles)
        stepwise = replace(findings.fit.optimum, stepwise=("switch",))
        return replace(findings, fit=replace(findings.fit, profiles=profiles, optimum=stepwise))

    alone, drawn = with_held(by_option["profiles"]), with_held(by_option["posterior"])
    size = next(record for record in constants(alone) if record.estimand == "parameter size")
    assert size.standing == "narrowed"
    assert size.brief.endswith(", with switch held)")
    given = {row["name"]: row["standard_error_with"] for row in estimates(alone.fit) if row["standard_error"]}
    assert given["size"] == "switch held"
    assert {row["standard_error_with"] for row in estimates(by_option["profiles"].fit)} == {""}
    assert classes(drawn)["size"] == "known"
    assert "hold switch and say otherwise of size (known by draws, narrowed by its profile)" in class_changes(drawn)


@pytest.mark.parametrize("option", OPTIONS)
def test_title_lines_sections_tables_and_the_record_have_the_same_classes(
    by_option: dict[str, Findings], option: str
) -> None:
    findings = by_option[option]
    said, screen = classes(findings), answer.first_screen(findings)
    drawn, of_course = course(findings)
    assert screen.title == of_course[:1].upper() + of_course[1:]
    assert [record.brief in screen.title for record in drawn] == [True] * (findings.draws is not None)
    kept = json.loads(json.dumps(record(findings)))["classes"]
    assert kept == {f"parameter {name}": kind for name, kind in said.items()}
    tables = next(part.tables(findings) for part in (answer.First(),)) | _summary(findings)
    assert {row["name"]: row["class"] for row in tables["summary"]} == said
    text = words(findings)
    for kind, names in (("known", "known"), ("narrowed", "narrowed"), ("not narrowed", "not narrowed")):
        of_kind = [name for name, one in said.items() if one == kind]
        assert (f"{len(of_kind)} {names} (" in text) is bool(of_kind)
    if said["pace"] != "known":
        assert "Pace" in screen.not_known or "pace" in screen.not_known


def _summary(findings: Findings) -> dict[str, Any]:
    from calibration.report.sections.best_fit import Optimum

    return dict(Optimum().tables(findings))


def test_what_is_narrowed_is_not_known_and_has_its_interval(fit: Fit) -> None:
    """A factor of three is the limit, and a number that was reported stands in one line."""
    size, rate, pace = (replace(record, doubt="") for record in constants(Findings(fit)))
    known = replace(size, interval=Bounds(100.0, 299.0, 0.95, "x"), prior=Bounds(1.0, 9999.0, 0.95, "x"), number=200.0)
    wide = replace(known, interval=Bounds(100.0, 301.0, 0.95, "x"))
    assert (known.standing, wide.standing) == ("known", "narrowed")
    assert answer._known_words([known]) == f"size: {known.brief}"
    assert answer._known_words([wide]) == ""
    assert answer._not_known_words([wide, replace(wide, estimand="parameter b")]) == (
        f"narrowed only: size, {wide.brief}, and 1 more"
    )
    assert answer._title_words([wide, rate], "") == "The data narrow 1 of 2 fitted constants"
    reported = replace(wide, title="size in 2020", reported="171")
    assert answer._known_words([reported]) == f"size in 2020: 171 reported. The fitted model gives {wide.brief}"
    assert "narrowed" not in answer._not_known_words([reported])
    one_end = replace(wide, interval=Bounds(100.0, None, 0.95, "x"))
    assert "size, 200 firms (95%: at least 100)" in answer._not_known_words([one_end])
    assert answer._not_known_words([replace(pace, interval=Bounds(None, None, 0.95, "x"))]).endswith(
        ": the data do not narrow what the priors alone say"
    )


def test_nothing_speaks_from_draws_that_are_not_to_be_trusted(by_option: dict[str, Findings]) -> None:
    """Neither classes nor checks nor the sections below: all is as without draws, but for how these were made."""
    good = by_option["posterior"]
    assert good.fit.posterior is not None
    line = Discrepancy("left", "the largest count", 41.0, 13.0, 21.0, 32.0, 0.0004, True)
    assessed = replace(good.assessment, discrepancies=(line,))
    assert misfit(Findings(good.fit, assessed))
    for change in ({"converged": False, "obstacle": "20 effective draws"}, {"interrupted": True}):
        bad = Findings(replace(good.fit, posterior=replace(good.fit.posterior, **change)), assessed)
        assert bad.draws is None
        assert bad.shown is NOTHING
        assert misfit(bad) == ""
        assert classes(bad) == classes(bad.by_profiles)
        assert {record.kind for record in constants(bad)} == {"MAP optimum"}
        text = words(bad)
        assert "the largest count" not in text
        assert "by draws" not in text
        assert good.fit.posterior.how in text
        assert "neither profiles" not in text
        assert "so nothing is reported for parameters that are held" in text


def test_a_page_of_two_hills_leaves_them_open_and_says_of_which_one_a_profile_is(
    by_option: dict[str, Findings],
) -> None:
    """A third of the draws is put where one search ended; of one hill nothing is said."""
    one = by_option["posterior"].fit
    assert one.posterior is not None
    place = one.study.space.names.index("size")
    (profile,) = (profile for profile in one.profiles if profile.name == "size")
    assert profile.upper is not None
    far, theta = one.optimum.theta.copy(), one.posterior.theta.copy()
    far[place] = 2 * profile.upper
    theta[..., : theta.shape[1] // 3, place] *= far[place] / one.optimum.theta[place]
    end = replace(one.optimum.searches[-1], theta=far, log_density=one.optimum.log_density - 3)
    optimum, drawn = replace(one.optimum, searches=(*one.optimum.searches, end)), replace(one.posterior, theta=theta)
    jumps = Scatter(("size",), np.array([0.05]), np.array([0.1]), np.array([0.3]), tooth=0.5, effective=900)
    two = replace(one, optimum=optimum, posterior=drawn, scatter=jumps)
    assert two.hills is not None
    assert two.hills.share == pytest.approx(2 / 3, abs=0.01)
    known = dict.fromkeys(classes(Findings(two)), "known")
    for fit, other in ((two, True), (replace(one, scatter=jumps), False)):
        sentences = " ".join(conclusions.estimate_words(fit))
        assert ("came to no other hill" in sentences) is not other
        open_ = conclusions.unknowable(fit, by_option["posterior"].assessment, known)
        assert ("leave two places open: size" in open_) is other
        assert ("Nothing was found" in open_) is not other
        assert any("two hills" in line for line in answer.first_screen(Findings(fit)).cautions) is other
        (verdict,) = (row["verdict"] for row in estimates(fit) if row["name"] == "size")
        assert verdict.endswith(f"of two hills, and the other one is at {number(far[place])}") is other
    # draws that are not to be trusted show none, nor that there is none
    bad = replace(two, posterior=replace(drawn, converged=False))
    assert bad.hills is None
    assert "hill" not in " ".join(conclusions.estimate_words(bad))


# --- what comes first -------------------------------------------------------------------------------------------------

#: The rate cannot reach 0.2.
BOUNDED = PARAMETERS.replace("[0.01, 2]", "[0.01, 0.12]")


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Fit:
    folder = tmp_path_factory.mktemp("bounded")
    small_study(folder)
    (folder / "problem.toml").write_text(STUDY.replace(PARAMETERS, BOUNDED), encoding="utf-8")
    return fitted(folder, posterior=False)


def with_step_bound(fit: Fit, **changes: Any) -> Fit:
    verdicts = tuple(replace(verdict, step_bound=verdict.at_bound) for verdict in fit.conditions.parameters)
    return replace(fit, conditions=replace(fit.conditions, parameters=verdicts, **changes))


def test_an_estimate_on_a_bound_of_the_step_is_said_before_a_misfit_and_no_misfit_is(bounded: Fit) -> None:
    (runs,) = bounded.conditions.runs
    misses = (replace(runs, above=8, below=8, runs=2),)
    sentence = "ate lies on a bound, 0.12, that only the time step sets"
    for fit in (with_step_bound(bounded), with_step_bound(bounded, runs=misses, shift=0.5)):
        screen = answer.first_screen(Findings(fit))
        assert screen.title == f"R{sentence}"
        assert screen.cautions[0].startswith(
            "rate at 0.12 lies on a bound that only the time step sets and that a smaller one moves"
        )
        assert "misses a" not in repr(screen)
        assert json.loads(json.dumps(record(Findings(fit))))["conditions"]["warnings"][0] == screen.cautions[0]
    assert misfit(Findings(with_step_bound(bounded, runs=misses))) == f"r{sentence}"
    # of a bound that the study set itself nothing is said there, and a misfit is one
    missed = Findings(replace(bounded, conditions=replace(bounded.conditions, runs=misses)))
    assert answer.first_screen(missed).title.startswith("The model misses a pattern")
    assert "The optimum lies at a bound of rate." in answer.first_screen(missed).warnings


def test_an_end_with_another_constant_on_a_bound_is_an_end_and_counts_as_one(bounded: Fit) -> None:
    (size,) = (one for one in constants(Findings(bounded)) if one.estimand == "parameter size")
    assert size.interval is not None
    assert size.interval.bounds == ("rate at most 0.12",)
    assert "with rate at most 0.12)" in size.brief
    assert size.standing == "narrowed"
    assert replace(size, interval=replace(size.interval, states=("bounded", "bounded"))).standing == "known"
    assert answer.first_screen(Findings(bounded)).title != "The data narrow none of 2 fitted constants"
    assert "closed by" not in words(Findings(bounded))


@pytest.mark.parametrize(("bounds_from", "n"), [("step", 1), ("", 0)])
def test_the_conditions_of_a_fit_know_which_bounds_the_step_has_set(
    tmp_path: Path, bounds_from: Literal["", "step"], n: int
) -> None:
    small_study(tmp_path)
    (tmp_path / "problem.toml").write_text(STUDY.replace(PARAMETERS, BOUNDED), encoding="utf-8")
    problem = read_problem(tmp_path)
    space = ParameterSpace(tuple(replace(parameter, bounds_from=bounds_from) for parameter in problem.space))
    density = posterior(replace(problem, space=space), choose("native"))
    optimum = optimise(density, starts=2, rng=np.random.default_rng(1))
    found = conditions(optimum, identifiability(optimum), (), residuals.fitted(density, optimum.theta))
    assert [verdict.name for verdict in found.on_step_bounds] == ["rate"] * n


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_a_misfit_is_the_title_whatever_the_step_and_is_never_known(fit: Fit, shift: float) -> None:
    runs = replace(fit.conditions.runs[0], above=8, below=8, runs=2)
    missed = replace(fit, conditions=replace(fit.conditions, runs=(runs,), shift=shift))
    screen = answer.first_screen(Findings(missed))
    assert screen.title == "The model misses a pattern in the data (left)"
    assert screen.known == "Nothing firmly."
    assert any("TIME STEP" in caution for caution in screen.cautions) is bool(shift)
    right = replace(fit, conditions=replace(fit.conditions, shift=shift))
    assert (answer.first_screen(Findings(right)).title == answer.NO_FINDING) is bool(shift)


def test_only_what_hangs_on_a_doubted_series_is_doubted(fit: Fit) -> None:
    """One series sees the size alone, the other the rate and the pace."""
    seen = fit.identifiability
    assert seen.of_rows == ("left",) * len(seen.sensitivities)
    apart = replace(
        seen, names=("size", "rate", "pace"), of_rows=("counted",) * 2 + ("left",) * 2,
        sensitivities=np.array([[5.0, 0.0, 0.0], [4.0, 0.0, 0.0], [0.0, 3.0, 3.0], [0.0, 2.0, 1.0]]),
    )  # fmt: skip
    assert apart.hang_on(["left"]) == {"rate", "pace"}
    assert apart.hang_on(["counted"]) == {"size"}
    assert apart.hang_on([]) == frozenset()
    # a series that is a tenth of what is known of it moves no estimate, one that fixes another constant does
    weak = replace(apart, sensitivities=apart.sensitivities + np.array([[0, 0, 0], [0, 0, 0], [1.0, 0, 0], [0, 0, 0]]))
    assert weak.hang_on(["left"]) == {"rate", "pace"}
    tied = replace(apart, sensitivities=np.array([[5.0, 5.0, 0.0], [4.0, 4.0, 0.0], [0.0, 3.0, 3.0], [0.0, 2.0, 1.0]]))
    assert tied.hang_on(["left"]) == {"size", "rate", "pace"}
    runs = replace(fit.conditions.runs[0], above=8, below=8, runs=2)
    missed = replace(fit, identifiability=apart, conditions=replace(fit.conditions, runs=(runs,)))
    said = classes(Findings(missed))
    assert said["size"] == classes(Findings(fit))["size"] == "known"
    assert said["rate"] in ("doubted", "not narrowed")
    assert answer.first_screen(Findings(missed)).known.startswith("Size: ")
