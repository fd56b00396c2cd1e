"""Checks of the calculation: the estimate again in PySD, really there, and at half the time step."""

import ast
import html
import json
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from approved import approved
from click.testing import Result
from command_line import cipark
from page_text import without_links
from places import ROOT

from calibration.commands import pipeline
from calibration.inference.judge import verification
from calibration.inference.judge.verification import (
    COARSE,
    MOST_NUMBERS,
    TOLERANCE,
    Replication,
    half_step_sentence,
    largest_difference,
    not_possible,
    numbers_in_pysd,
    replication,
    shift_at_half_the_step,
)
from calibration.inference.search.optimise import optimise
from calibration.likelihood.posterior import posterior
from calibration.study.problem import read_problem
from cipark_sd.base.wording import without_exponents
from cipark_sd.engines.reference import engine as reference
from cipark_sd.engines.registry import choose

pytestmark = pytest.mark.usefixtures("undrawn_figures")
Write = Callable[..., Path]

DECAY = "stock=INTEG(-rate*stock,100)~~|rate=0.3~~|"
#: PySD stops at a scalar division by zero, where arithmetic has an infinite value.
DIVISION = "rate=0.3~~|stock=INTEG(IF THEN ELSE(1/(Time-3)>0,-rate,-rate)*stock,100)~~|"


@pytest.fixture
def study(write_mdl: Write, tmp_path: Path) -> Callable[..., Path]:
    """A study of one rate, from five measurements."""

    def write(equations: str, variable: str, values: str, *, step: float = 0.125) -> Path:
        write_mdl(equations, step=step)
        rows = "".join(f"{time},{value}\n" for time, value in zip((2, 4, 6, 8, 10), values.split(), strict=True))
        (tmp_path / "data.csv").write_text("time,value\n" + rows)
        (tmp_path / "problem.toml").write_text(
            '[model]\nfile = "model.mdl"\n[[observation]]\nname = "seen"\ntable = "data.csv"\nkind = "level"\n'
            f'variable = "{variable}"\nfamily = "normal"\nsd = 2.0\n'
            '[[parameter]]\nname = "rate"\nbounds = [0.01, 1.9]\n[method]\nstarts = 2\n'
        )
        return tmp_path

    return write


@pytest.fixture
def runs_in_pysd(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that the reference engine itself has run, whatever the engine was called."""
    ran: list[str] = []
    honest = reference.run_in_pysd

    def spied(text: str, where: str, *rest: object) -> object:
        ran.append(where)
        return honest(text, where, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(reference, "run_in_pysd", spied)
    return ran


def calibrate(folder: Path, *options: str, held: bool = True) -> Result:
    """With the step and method of the study, as where a finer one costs too much, or as the fit chooses them."""
    arguments = [
        "calibrate",
        str(folder),
        "--no-profiles",
        "--no-posterior",
        "--no-player",
        "-o",
        str(folder / "out"),
        *options,
    ]
    with patch.object(pipeline, "AGAIN", 0 if held else pipeline.AGAIN):
        return cipark(*arguments, standalone_mode=False)


def written(folder: Path) -> tuple[dict[str, object], str]:
    """The comparison in fit.json, and the page."""
    record = json.loads((folder / "out" / "fit.json").read_text(encoding="utf-8"))["comparison_with_pysd"]
    page = (folder / "out" / "report.html").read_text(encoding="utf-8")
    return record, html.unescape(without_links(page))


def test_a_model_on_which_both_agree_is_compared_in_pysd(study, runs_in_pysd) -> None:
    folder = study(DECAY, "stock", "55 30 17 9 5")
    done = calibrate(folder)
    assert done.return_value == 0, done.output
    assert len(runs_in_pysd) == 1
    record, page = written(folder)
    assert record["status"] == "agrees"
    assert record["largest_relative_difference"] <= 1e-12
    assert "Run again in PySD (" in page
    assert " s), compared at the times of the data: largest relative difference" in page
    assert "DIFFERS" not in page


def test_a_difference_is_seen_everywhere(study, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = reference.run_in_pysd

    def wrong(*rest: object) -> object:
        return {name: 1.02 * values for name, values in honest(*rest).items()}  # type: ignore[arg-type]

    monkeypatch.setattr(reference, "run_in_pysd", wrong)
    folder = study(DECAY, "stock", "55 30 17 9 5")
    done = calibrate(folder)
    assert done.return_value == 1
    record, page = written(folder)
    assert record["status"] == "differs"
    assert record["largest_relative_difference"] > 0.01
    shown = without_exponents(f"{record['largest_relative_difference']:.1e}")
    for said in (done.output, page):
        assert f"DIFFERS by {shown}" in " ".join(said.split())
        assert "largest relative difference" not in said
    # once as a warning on top, once among the checks
    assert page.count(f"DIFFERS by {shown}") == 2


def test_a_run_that_fails_in_pysd_is_no_agreement(study) -> None:
    folder = study(DIVISION, "stock", "55 30 17 9 5", step=1)
    done = calibrate(folder)
    assert done.return_value == 1
    record, page = written(folder)
    assert (record["status"], record["largest_relative_difference"]) == ("failed", None)
    assert "FAILED, so nothing was compared" in done.output
    assert "FAILED, so nothing was compared" in page


def test_a_number_that_is_only_looked_at_does_not_decide(study) -> None:
    """PySD stops where it divides by zero: that keeps it from the series that asks for it, and from no other."""
    folder = study(DECAY + "over=1/(Time-3)~~|", "stock", "55 30 17 9 5")
    problem = (folder / "problem.toml").read_text()
    aside = problem.partition("[[observation]]")[2].partition("[[parameter]]")[0].replace('"seen"', '"aside"')
    aside = "[[observation]]" + aside.replace('"stock"', '"over"') + 'use_all = "check"\n'
    (folder / "problem.toml").write_text(problem.replace("[[observation]]", aside + "[[observation]]"))
    assert calibrate(folder).return_value == 0
    assert written(folder)[0]["status"] == "agrees"


def test_what_is_not_compared_says_so_everywhere(study, runs_in_pysd, monkeypatch) -> None:
    folder = study(DECAY, "stock", "55 30 17 9 5")
    monkeypatch.setattr(verification, "numbers_in_pysd", lambda problem: 601_234)
    done = calibrate(folder)
    assert done.return_value == 0
    assert runs_in_pysd == []
    record, page = written(folder)
    assert record["status"] == "not compared"
    assert record["largest_relative_difference"] is None
    assert "Not compared with PySD: it would have to compute 601234 numbers one by one (--compare-pysd)." in page
    assert "none, to the last bit" not in page
    assert "largest relative difference" not in page
    assert "The estimate run again in PySD (--compare-pysd)." in page
    assert calibrate(folder, "--compare-pysd").return_value == 0
    assert len(runs_in_pysd) == 1
    assert written(folder)[0]["status"] == "agrees"


@pytest.mark.parametrize("option", ["--fast", "--no-compare-pysd"])
def test_a_comparison_can_be_left_out(study, runs_in_pysd, option) -> None:
    folder = study(DECAY, "stock", "55 30 17 9 5")
    assert calibrate(folder, option).return_value == 0
    assert runs_in_pysd == []
    record, page = written(folder)
    assert record["status"] == "not compared"
    assert "Not compared with PySD: not asked for (--compare-pysd)." in page


def test_the_engine_that_is_recorded_is_the_one_that_ran(study, runs_in_pysd) -> None:
    folder = study(DECAY, "stock", "55 30 17 9 5")
    done = calibrate(folder, "--engine", "pysd", "--starts", "1")
    assert done.return_value == 0, done.output
    assert len(runs_in_pysd) > 10
    assert json.loads((folder / "out" / "fit.json").read_text())["engine"] == "pysd"
    assert "Not compared with PySD: the fit itself ran in PySD." in written(folder)[1]


def test_the_same_fit_leaves_the_same_file_whatever_it_took() -> None:
    quick, slow = (Replication("agrees", "", 0.0, seconds) for seconds in (1.0, 9.0))
    assert quick.record() == slow.record()
    approved(quick.sentence)
    assert "(9.0 s)" in slow.sentence


def test_the_cost_is_every_element_of_every_variable_at_every_step(study) -> None:
    one = numbers_in_pysd(read_problem(study(DECAY, "stock", "55 30 17 9 5", step=0.5)))
    two = numbers_in_pysd(read_problem(study(DECAY, "stock", "55 30 17 9 5", step=0.25)))
    assert one % 21 == two % 41 == 0
    assert one // 21 == two // 41
    more = DECAY + "more[k] = 1 ~~| k : a, b, c ~~|"
    assert numbers_in_pysd(read_problem(study(more, "stock", "55 30 17 9 5", step=0.5))) == one + 3 * 21


@pytest.mark.parametrize(("step", "said"), [(0.125, "neutral"), (0.5, "coarse"), (1.0, "unusable")])
def test_a_step_that_is_too_coarse_comes_first_and_leaves_no_interval(study, step: float, said: str) -> None:
    """By Euler the stock after 2 years is 100 (1 - rate step)^(2 / step), and the noise is 2."""
    folder = study(DECAY, "stock", "55 30 17 9 5", step=step)
    done = calibrate(folder, "--fast", "--no-player", "--profiles")
    fit = json.loads((folder / "out" / "fit.json").read_text())
    shift = fit["largest_shift_at_half_the_step"]
    assert (shift <= COARSE) == (said == "neutral")
    assert done.return_value == int(said != "neutral")
    states = {side["state"] for profile in fit["profiles"].values() for side in profile["sides"].values()}
    assert states == ({"bounded"} if said == "neutral" else set())
    loud = "THE TIME STEP IS TOO COARSE: half the step moves an expected number by "
    assert (loud in done.output) == (said != "neutral")
    if said == "neutral":
        assert "TIME STEP" not in done.output
        page = written(folder)[1]
        assert "Halving the time step changes no expected value by more than " in page
        assert "bounded by the data" in page
    else:
        finding, caution, *_ = done.output.splitlines()
        approved(finding)
        assert caution.startswith(f"Caution\t{loud}")
        assert "bounded by the data" not in written(folder)[1]
        first = fit["conditions"]["warnings"][0]
        assert first.startswith(loud)
        assert written(folder)[1].count(loud) >= 1
        advised = re.search(r"write (.+) under \[model\] in problem.toml", first)[1]
        problem = folder / "problem.toml"
        lines = advised.replace(" and ", "\n")
        problem.write_text(problem.read_text().replace("[model]\n", f"[model]\n{lines}\n"))
        assert calibrate(folder, "--fast", "--no-player", held=False).return_value == 0
        assert json.loads((folder / "out" / "fit.json").read_text())["why_this_step"] == ""
        assert json.loads((folder / "out" / "fit.json").read_text())["largest_shift_at_half_the_step"] <= COARSE


def test_a_rounded_number_moves_by_what_its_width_allows(study: Callable[..., Path]) -> None:
    """Of a noise that rounding hides, the width is what an expected number is uncertain by."""
    folder, times = study(DECAY, "stock", "55 30 17 9 5", step=0.5), np.array([2, 4, 6, 8, 10])
    text = (folder / "problem.toml").read_text().replace("sd = 2.0", "sd = 0.02")
    moved = np.abs(100 * (1 - 0.25 * 0.3) ** (times / 0.25) - 100 * (1 - 0.5 * 0.3) ** (times / 0.5)).max()
    rows = "".join(f"{t},{v},{v - 0.5},{v + 0.5}\n" for t, v in zip(times, (55, 30, 17, 9, 5), strict=True))
    (folder / "data.csv").write_text("time,value,low,high\n" + rows)
    for lower, upper, sd in (("value", "value", 0.02), ("low", "high", np.hypot(0.02, 1 / np.sqrt(12)))):
        columns = f'lower = "{lower}"\nupper = "{upper}"\n'
        (folder / "problem.toml").write_text(text.replace("variable =", columns + "variable =", 1))
        density = posterior(read_problem(folder), choose("native"))
        assert verification._shift(density, np.array([0.3]), "native") == pytest.approx(moved / sd, rel=1e-9)


@pytest.mark.parametrize(("step", "is_sampled"), [(0.125, True), (0.5, False)])
def test_no_posterior_is_drawn_with_a_step_that_is_too_coarse(study, step: float, is_sampled: bool) -> None:
    folder = study(DECAY, "stock", "55 30 17 9 5", step=step)
    done = calibrate(folder, "--fast", "--no-player", "--posterior")
    assert (folder / "out" / "draws.nc").exists() == is_sampled
    assert done.return_value == int(not is_sampled)
    why = "the posterior was not sampled (the time step is too coarse)"
    assert (why in written(folder)[1]) == (not is_sampled)


def test_nine_seconds_are_the_limit(study, monkeypatch) -> None:
    assert (MOST_NUMBERS, TOLERANCE) == (600_000, 1e-9)
    problem = read_problem(study(DECAY, "stock", "55 30 17 9 5"))
    density = posterior(problem, choose("native"))
    optimum = optimise(density, starts=1, rng=np.random.default_rng(1), estimate="ml")
    for numbers, status in ((600_000, "agrees"), (600_001, "not compared")):
        monkeypatch.setattr(verification, "numbers_in_pysd", lambda problem, n=numbers: n)
        found = replication(optimum, engine="native", compare=None)
        assert found.status == status


def test_a_difference_is_a_share_of_its_observation(study) -> None:
    problem = read_problem(study(DECAY, "stock", "55 30 17 9 5"))
    density = posterior(problem, choose("native"))
    theirs = np.array([50.0, 20.0, 10.0, 5.0, 0.0])
    assert largest_difference(density, theirs + np.array([0, 0, 0, 0, 5e-8]), theirs) == pytest.approx(1e-9)
    assert largest_difference(density, theirs, theirs) == 0
    assert largest_difference(density, theirs, theirs * np.nan) is None


def test_half_the_step_moves_what_euler_moves(study) -> None:
    """A stock of 100 that decays by Euler with steps of 1/2 and 1/4, seen with a standard deviation of 2."""
    problem = read_problem(study(DECAY, "stock", "55 30 17 9 5", step=0.5))
    density = posterior(problem, choose("native"))
    optimum = optimise(density, starts=2, rng=np.random.default_rng(1), estimate="ml")
    rate, time = float(optimum.theta[0]), np.array([2, 4, 6, 8, 10])
    coarse, fine = ((1 - rate * step) ** (time / step) * 100 for step in (0.5, 0.25))
    assert np.abs(fine - coarse).max() > 1
    assert shift_at_half_the_step(optimum, "native") == pytest.approx(np.abs(fine - coarse).max() / 2, rel=1e-9)
    assert np.isnan(shift_at_half_the_step(optimum, "pysd"))


def test_half_the_step_is_said_with_its_number() -> None:
    assert half_step_sentence(float("nan")) == ""
    approved(half_step_sentence(float("inf")))


#: What a user calls in Python has a documented default; nothing of ours may rest on it.
ENTRANCES = {
    *("simulate", "start", "ensemble"),
    *("Setup", "ema_model"),
}
#: A check is handed a function that has its engine already, and the settings of a calibration name theirs.
OTHERS = {("cipark_sd/verify/checks/run.py", "simulate"), ("calibration/commands/calibrate.py", "calibrate")}


def trees(words: Collection[str]) -> Iterator[tuple[Path, ast.Module]]:
    """The modules that have one of the words."""
    for package in ("cipark_sd", "calibration"):
        for path in sorted((ROOT / package).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            if any(word in text for word in words):
                yield path.relative_to(ROOT), ast.parse(text)


def with_a_default(tree: ast.Module) -> Iterator[str]:
    """Functions and classes whose engine need not be named."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            places = [*node.args.posonlyargs, *node.args.args]
            usual = places[len(places) - len(node.args.defaults) :]
            usual += [a for a, d in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if d is not None]
            if "engine" in {argument.arg for argument in usual}:
                yield node.name
        if isinstance(node, ast.ClassDef):
            fields = [field for field in node.body if isinstance(field, ast.AnnAssign) and field.value is not None]
            if any(isinstance(field.target, ast.Name) and field.target.id == "engine" for field in fields):
                yield node.name


def test_below_the_entrances_no_engine_has_a_default() -> None:
    # what a command line asks for has the default that its option says
    declared = {"Request", "Settings"}
    assert {name for _, tree in trees(["engine"]) for name in with_a_default(tree)} - declared == ENTRANCES


def test_every_call_of_an_entrance_names_the_engine() -> None:
    silent, names = [], ENTRANCES - {"start"}  # many things start
    for path, tree in trees(names):
        for node in ast.walk(tree):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
                name = called.attr
            else:
                name = called.id if isinstance(called, ast.Name) else ""
            if name not in names or (str(path), name) in OTHERS or not isinstance(node, ast.Call):
                continue
            if "engine" not in {keyword.arg for keyword in node.keywords}:
                silent.append(f"{path}:{node.lineno} {name}")
    assert silent == []


def test_a_small_shift_is_said_with_two_digits() -> None:
    words = "Halving the time step changes no expected value by more than 0.12 of its noise."
    assert half_step_sentence(0.1234) == words


WHY = {
    "groups": "the study runs the model for several groups together ([[group]]), which the file does not",
    "method": "PySD has Euler's method only, and the model uses rk4",
}


@pytest.mark.parametrize(
    ("engine", "study", "why"),
    [
        ("pysd", {}, "the fit itself ran in PySD"),
        ("native", {"groups": ("a",)}, WHY["groups"]),
        ("native", {"method": "rk4"}, WHY["method"]),
        ("native", {}, ""),
    ],
)
def test_why_pysd_cannot_be_asked(engine: str, study: dict[str, Any], why: str) -> None:
    time = SimpleNamespace(method=study.pop("method", "euler"))
    problem = SimpleNamespace(**{"groups": ()} | study, model=SimpleNamespace(time=time))
    assert not_possible(problem, engine) == why  # type: ignore[arg-type]
