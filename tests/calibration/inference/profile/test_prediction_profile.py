"""Prediction profiles against closed forms, against parameter profiles, and where a side is open."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from places import ROOT
from scipy import stats

from calibration.inference.profile.interval_rules import Threshold, interval_rules
from calibration.inference.profile.profile import Profile, all_free, prediction_profile, profile
from calibration.inference.search.objective import Quantity as Predicts
from calibration.inference.search.objective import objective
from calibration.inference.search.optimise import Optimum, optimise
from calibration.likelihood.forward import reported
from calibration.likelihood.posterior import posterior
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd.base.errors import Problems
from cipark_sd.data.scenarios import Scenario
from cipark_sd.engines.reference import engine as reference
from cipark_sd.engines.registry import choose

#: A straight line: y = a + b t, and what nobody has seen: c.
MODEL = """{UTF-8}
y = INTEG(b, a) ~ firm ~ |
z = INTEG(b + c * on, a) ~ firm ~ |
a = 1 ~ firm ~ |
b = 1 ~ firm/year ~ |
c = 0 ~ firm/year ~ |
on = 1 ~ Dmnl ~ |
INITIAL TIME = 0 ~ year ~ |
FINAL TIME = 5 ~ year ~ |
SAVEPER = TIME STEP ~ year ~ |
TIME STEP = 0.25 ~ year ~ |
"""
STUDY = """
title = "line"
[model]
file = "line.mdl"
[[observation]]
name = "y"
table = "y.csv"
kind = "level"
variable = "y"
family = "normal"
sd = 0.5
[[parameter]]
name = "a"
bounds = [-50, 50]
prior = { family = "normal", mean = 0, sd = 2 }
[[parameter]]
name = "b"
bounds = [-20, 20]
prior = { family = "normal", mean = 1, sd = 1.5 }
"""
UNSEEN = """
[[parameter]]
name = "c"
use = "PRI"
bounds = [-3, 3]
prior = { family = "normal", mean = 0, sd = 0.5 }
"""
LATER = """
[[prediction]]
name = "later"
variable = "y"
at = 9.6
[[prediction]]
name = "unseen"
variable = "z"
at = 10
[[prediction]]
name = "effect"
variable = "z"
at = 10
against = { on = 0 }
"""
TIMES, SEEN = np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.9, 5.2, 6.6, 9.1])
#: 95% quantile of chi-square with one degree of freedom, the square of that of the normal distribution at 97.5%.
CHI_SQUARE = float(stats.norm.ppf(0.975) ** 2)
RULE = Threshold(0.95)
DESIGN = np.stack([np.ones(4), TIMES], axis=1)


def line(folder: Path, more: str = UNSEEN + LATER) -> CalibrationProblem:
    (folder / "line.mdl").write_text(MODEL, encoding="utf-8")
    (folder / "problem.toml").write_text(STUDY + more, encoding="utf-8")
    rows = "".join(f"{t},{y}\n" for t, y in zip(TIMES, SEEN, strict=True))
    (folder / "y.csv").write_text("time,value\n" + rows, encoding="utf-8")
    return read_problem(folder)


def best(problem: CalibrationProblem, estimate: str) -> Optimum:
    density = posterior(problem, choose("native"))
    return optimise(density, starts=4, rng=np.random.default_rng(1), estimate=estimate)


def profiled(problem: CalibrationProblem, estimate: str, name: str) -> Profile:
    optimum = best(problem, estimate)
    prediction = next(one for one in problem.predictions if one.name == name)
    predicts = reported(problem, prediction, choose("native"))
    rule = interval_rules(optimum, 0.95).of(optimum.goal.space.names[0])
    return prediction_profile(replace(optimum, goal=all_free(optimum.goal)), name, predicts, rule=rule)


def test_a_parameter_that_its_prior_holds_takes_no_number_from_the_noise(tmp_path: Path) -> None:
    """Four numbers: with both parameters free two are left, and three where a prior holds the slope."""
    spread = '[[parameter]]\nname = "spread"\ntarget = "noise"\nbounds = [0.01, 50]\n'
    text = STUDY.replace("sd = 0.5\n", 'sd = "spread"\n').replace("mean = 1, sd = 1.5", "mean = 2, sd = 1e-4")
    line(tmp_path, "")
    (tmp_path / "problem.toml").write_text(text.replace("mean = 0, sd = 2 ", "mean = 0, sd = 1e4 ") + spread)
    density = posterior(read_problem(tmp_path), choose("native"))
    theta = np.array([1.0, 2.0, 0.3])
    for estimate, dof in (("ml", 2), ("map", 3)):
        goal = replace(objective(density, estimate=estimate), base=theta)  # type: ignore[arg-type]
        at: Any = SimpleNamespace(goal=goal, theta=theta, stepwise=())
        assert interval_rules(at, 0.95).of("a").dof == pytest.approx(dof, rel=1e-3)


def closed_form(direction: np.ndarray, prior: bool) -> tuple[float, float, float]:
    """Estimate and 95% interval of ``direction @ (a, b)``, by the normal equations."""
    precision = DESIGN.T @ DESIGN / 0.25 + prior * np.diag([1 / 4, 1 / 2.25])
    centre = np.linalg.solve(precision, DESIGN.T @ SEEN / 0.25 + prior * np.array([0.0, 1 / 2.25]))
    half = np.sqrt(CHI_SQUARE * direction @ np.linalg.solve(precision, direction))
    value = direction @ centre
    return value, value - half, value + half


@pytest.mark.parametrize("estimate", ["map", "ml"])
def test_on_a_line_with_normal_noise_the_interval_is_the_closed_form(tmp_path: Path, estimate: str) -> None:
    found = profiled(line(tmp_path), estimate, "later")
    value, low, high = closed_form(np.array([1, 9.6]), estimate == "map")
    assert found.best == pytest.approx(value, abs=2e-4)
    # points lie on the profile as far as the searches have converged
    assert [found.lower, found.upper] == pytest.approx([low, high], abs=2e-4)
    assert found.words == ("bounded by data and priors" if estimate == "map" else "bounded by the data")
    half = (high - low) / 2
    assert found.rise == pytest.approx(CHI_SQUARE / 2 * ((found.values - value) / half) ** 2, abs=2e-4)


def test_an_unseen_parameter_is_bounded_by_its_prior(tmp_path: Path) -> None:
    """z(10) = a + 10 b + 10 c, c normal with sd 1/2 and otherwise unknown."""
    found = profiled(line(tmp_path), "map", "unseen")
    value, low, high = closed_form(np.array([1.0, 10.0]), True)
    half = np.hypot((high - low) / 2, np.sqrt(CHI_SQUARE) * 10 * 0.5)
    assert [found.lower, found.upper] == pytest.approx([value - half, value + half], abs=1e-3)


def test_by_likelihood_alone_an_unseen_parameter_leaves_both_sides_open(tmp_path: Path) -> None:
    found = profiled(line(tmp_path), "ml", "effect")
    assert (found.lower, found.upper, found.words) == (None, None, "not bounded by the data")
    # z at 10 with and without c differ by 10 c, c within its bounds
    assert [found.values[0], found.values[-1]] == pytest.approx([-30, 30], rel=1e-3)
    assert found.rise.max() < 1e-3


def test_one_side_is_open_where_the_model_can_say_no_more(tmp_path: Path) -> None:
    """Of a prediction that is a square, nothing is below 0, and 0 fits nearly as well as the best."""
    optimum = best(line(tmp_path), "map")
    place = optimum.goal.space.names.index("a")
    centre, sd = optimum.theta[place], 0.6
    found = prediction_profile(optimum, "square", lambda theta: ((theta[:, place] - centre) / sd + 0.5) ** 2, rule=RULE)
    assert found.lower is None
    assert found.values[0] == pytest.approx(0, abs=1e-3)
    assert found.words == "bounded from above only, by data and priors"
    assert found.upper is not None


@pytest.mark.parametrize("name", ["a", "b"])
def test_the_profile_of_a_parameter_as_a_prediction_is_that_of_the_parameter(tmp_path: Path, name: str) -> None:
    """By likelihood alone; with priors a parameter's profile leaves out its own."""
    optimum = best(line(tmp_path, ""), "ml")
    place = optimum.goal.space.names.index(name)
    found = prediction_profile(optimum, name, lambda theta: theta[:, place], rule=RULE)
    expected = profile(optimum, name, level=0.95)
    assert [found.lower, found.upper] == pytest.approx([expected.lower, expected.upper], abs=5e-4)


def test_so_it_is_on_a_model_that_is_not_linear() -> None:
    optimum, place, expected = epidemic()
    # the own prior left out, as in the profile of a parameter
    counts = optimum.goal.with_prior.copy()
    counts[place] = False
    without = replace(optimum, goal=replace(optimum.goal, with_prior=counts))
    rule = interval_rules(optimum, 0.95).of("Beta")
    found = prediction_profile(without, "beta", lambda theta: theta[:, place], rule=rule)
    assert expected.lower is not None
    assert [found.lower, found.upper] == pytest.approx([expected.lower, expected.upper], rel=1e-3)


def epidemic() -> tuple[Optimum, int, Profile]:
    optimum = best(read_problem(ROOT / "calibration" / "studies" / "flu_1978"), "map")
    place = optimum.goal.density.space.names.index("Beta")
    return optimum, place, profile(optimum, "Beta", level=0.95)


def monotone(predicts: Predicts) -> Predicts:
    return lambda theta: np.exp(predicts(theta) / 10)


def test_another_unit_of_the_prediction_changes_only_the_unit(tmp_path: Path) -> None:
    problem = line(tmp_path)
    optimum = best(problem, "map")
    plain = reported(problem, problem.predictions[0], choose("native"))
    free = replace(optimum, goal=all_free(optimum.goal))
    ours = prediction_profile(free, "g", plain, rule=RULE)
    theirs = prediction_profile(free, "h", monotone(plain), rule=RULE)
    assert ours.lower is not None
    assert ours.upper is not None
    assert [theirs.lower, theirs.upper] == pytest.approx(np.exp(np.array([ours.lower, ours.upper]) / 10), rel=1e-4)


def test_another_scale_of_a_parameter_changes_nothing_by_likelihood(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    for folder in (a, b):
        folder.mkdir()
    usual = profiled(line(a, LATER.replace('"z"', '"y"')), "ml", "later")
    scaled = STUDY.replace("bounds = [-20, 20]", 'bounds = [0.01, 20]\nscale = "log"')
    problem = line(b, "")
    (b / "problem.toml").write_text(scaled + LATER.split("[[prediction]]")[1].join(["[[prediction]]", ""]))
    problem = read_problem(b)
    found = profiled(problem, "ml", "later")
    assert [found.lower, found.upper] == pytest.approx([usual.lower, usual.upper], abs=5e-4)


def test_a_prediction_that_nothing_moves_says_so(tmp_path: Path) -> None:
    optimum = best(line(tmp_path, ""), "map")
    found = prediction_profile(optimum, "fixed", lambda theta: np.full(len(theta), 3.0), rule=RULE)
    assert found.words == "no estimated parameter changes it"


def test_a_prediction_is_read_in_its_scenario_and_against_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = line(tmp_path)
    theta = np.array([[1.0, 2.0, 0.5], [0.0, 1.0, -1.0]])
    later, unseen, effect = (reported(problem, p, choose("native"))(theta) for p in problem.predictions)
    assert later == pytest.approx([1 + 9.6 * 2, 9.6])
    assert unseen == pytest.approx([1 + 25, 0])
    assert effect == pytest.approx([5, -10])
    # PySD's own run, and not another engine's under its name, goes as far as the prediction
    ran: list[float] = []
    honest = reference.run_in_pysd

    def spied(text: str, where: str, numbers: object, times: object, final_time: float, *more: object) -> object:
        ran.append(final_time)
        return honest(text, where, numbers, times, final_time, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(reference, "run_in_pysd", spied)
    longer = reported(problem, problem.predictions[0], choose("pysd"))(theta[:1])
    assert longer == pytest.approx(later[:1])
    assert len(ran) == 1
    assert ran[0] >= 9.6


def test_all_that_is_wrong_with_predictions_is_told_together(tmp_path: Path) -> None:
    wrong = """
[[prediction]]
name = "one"
variable = "yy"
at = "someday"
[[prediction]]
name = "one"
variable = "y"
at = -3
colour = "red"
against = { a = 1, nothing = 2, on = "off" }
"""
    with pytest.raises(Problems) as caught:
        line(tmp_path, wrong)
    said = "\n".join(map(str, caught.value.problems))
    for part in ("did you mean 'y'", "someday", "each once", "a time from 0 on", "colour", "not estimated",
                 "nothing", "a finite number"):  # fmt: skip
        assert part in said


def test_without_a_setting_a_prediction_is_of_the_study_itself(tmp_path: Path) -> None:
    assert line(tmp_path).predictions[0].scenario == Scenario()
