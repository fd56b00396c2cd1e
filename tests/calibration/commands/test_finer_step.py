"""Where the step is too coarse for a fit, a finer one or rk4 takes its place; what follows takes it from the fit."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from command_line import cipark
from page_text import without_links

import cipark_sd as cp
from calibration.commands import pipeline
from calibration.commands.for_analyses.fitted_study import find_fit
from calibration.commands.for_analyses.study import read
from calibration.inference.judge.verification import COARSE, Stepping
from calibration.study.problem import at_step, read_problem
from cipark_sd.base.errors import CiparkError

#: Of a record, what an option sets.
FIELDS = {"--step": "time_step", "--method": "integration_method"}
pytestmark = pytest.mark.usefixtures("undrawn_figures")
#: Decay at 3 a day, which Euler's method with half a day cannot follow: a stock of 100 after 1/2, 1, 3/2, ... days.
RATE = 3.0
TIMES = np.array([0.5, 1.0, 1.5, 2.0, 2.5, 3.0])
OBSERVED = 100 * np.exp(-RATE * TIMES) + np.array([0.4, -0.3, 0.2, 0.5, -0.4, 0.1])
#: Of a time constant that the step bounds; the file's value lies well within.
TEXT = (
    '[model]\nfile = "model.mdl"\n[[observation]]\nname = "seen"\ntable = "data.csv"\nkind = "level"\n'
    'variable = "stock"\nfamily = "normal"\nsd = 0.5\n[[parameter]]\nname = "rate"\nbounds_from = "step"\n'
    'prior = { family = "lognormal", median = 1, sigma = 1.5 }\n[method]\nstarts = 4\n'
)


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], Path]:
    """A study of the rate, in a folder of its own beneath the working folder."""

    def write(step: float) -> Path:
        folder = tmp_path / "decay"
        folder.mkdir(exist_ok=True)
        controls = {"INITIAL TIME": 0, "FINAL TIME": 4, "TIME STEP": step, "SAVEPER": 0.5}
        (folder / "model.mdl").write_text(
            "{UTF-8}\nstock=INTEG(-rate*stock,100)~thing~|\nrate=1~1/Day~|\n"
            + "".join(f"{name} = {value} ~Day~|\n" for name, value in controls.items())
        )
        rows = "".join(f"{t},{value}\n" for t, value in zip(TIMES, OBSERVED, strict=True))
        (folder / "data.csv").write_text("time,value\n" + rows)
        (folder / "problem.toml").write_text(TEXT)
        return folder

    monkeypatch.chdir(tmp_path)
    return write


def calibrate(*options: str) -> Result:
    return cipark("calibrate", "decay", "--fast", "--no-player", *options, standalone_mode=False)


def fitted() -> dict[str, Any]:
    return json.loads((Path("cipark-output") / "decay" / "fit.json").read_text())


def exact() -> float:
    """The rate of least squares of the closed form, by a fine grid."""
    rates = np.linspace(2, 4, 200_001)
    return float(rates[((100 * np.exp(-rates[:, None] * TIMES) - OBSERVED) ** 2).sum(axis=1).argmin()])


def test_a_step_that_is_too_coarse_gives_way_to_one_that_serves(study: Callable[[float], Path]) -> None:
    folder = study(0.5)
    done = calibrate()
    fit = fitted()
    assert done.return_value == 0, done.output
    assert "TOO COARSE" not in done.output
    assert fit["largest_shift_at_half_the_step"] <= COARSE
    assert (fit["integration_method"], fit["time_step"]) != ("euler", 0.5)
    assert fit["parameters"]["rate"] == pytest.approx(exact(), abs=0.02)
    assert {side["state"] for side in fit["profiles"]["rate"]["sides"].values()} == {"bounded"}
    way = f"{fit['integration_method']} at {fit['time_step']:g} Day, of which a run costs "
    assert way in fit["why_this_step"]
    assert fit["why_this_step"].startswith("The time step of 0.5 Day (euler) is too coarse for this fit: ")
    assert way in done.stderr
    assert way in (Path("cipark-output") / "decay" / "report.html").read_text()
    # as of a study that has this step and method from the start
    lines = f'method = "{fit["integration_method"]}"\nstep = {fit["time_step"]!r}\n'
    (folder / "problem.toml").write_text(TEXT.replace("[model]\n", f"[model]\n{lines}"))
    assert calibrate("--fresh").return_value == 0
    assert fitted()["why_this_step"] == ""
    assert fitted()["parameters"] == pytest.approx(fit["parameters"], rel=1e-6)
    assert fitted()["study_digest"] == fit["study_digest"]


def test_what_follows_takes_the_step_from_the_fit(study: Callable[[float], Path]) -> None:
    folder = study(0.5)
    assert read(folder).scenario.time_step is None
    calibrate()
    fit = fitted()
    own = read_problem(folder)
    taken = find_fit(own)
    assert taken is not None
    assert taken.problem.steps().step == fit["time_step"] != own.steps().step
    assert taken.problem.model.time.method == fit["integration_method"]
    following = read(folder)
    assert following.model.time.method == fit["integration_method"]
    assert following.scenario.time_step == following.question().scenario.time_step == fit["time_step"]
    # of another study than was fitted it stays as the study has it
    (folder / "problem.toml").write_text(TEXT.replace("sd = 0.5", "sd = 0.6"))
    assert read(folder).scenario.time_step is None
    with pytest.raises(CiparkError, match="it is of other rows, priors or settings"):
        find_fit(read_problem(folder))


def test_a_step_that_serves_is_left_alone(study: Callable[[float], Path]) -> None:
    study(1 / 1024)
    done = calibrate()
    assert done.return_value == 0
    assert "too coarse" not in done.stderr
    fit = fitted()
    assert (fit["integration_method"], fit["time_step"], fit["why_this_step"]) == ("euler", 1 / 1024, "")


@pytest.mark.parametrize(
    ("options", "way"), [(("--step", "0.25"), ("euler", 0.25)), (("--method", "rk4"), ("rk4", 0.5))]
)
def test_options_stand_above_what_would_serve(
    study: Callable[[float], Path], options: tuple[str, str], way: tuple[str, float]
) -> None:
    study(0.5)
    done = calibrate("--posterior", *options)
    fit = fitted()
    assert (fit["integration_method"], fit["time_step"], fit["why_this_step"]) == (*way, "")
    # who asks for a step has its posterior, of which nothing is known, and every place says under which step
    assert done.return_value == 0
    assert fit["largest_shift_at_half_the_step"] > COARSE
    assert fit["converged"] is True
    assert fit["posterior"]["rate"]["sd"] > 0
    assert fit["classes"]["parameter rate"] == "narrowed"
    assert "Known\tNothing firmly" in done.output
    under = f"under the time step of {way[1]:g} Day ({way[0]}), which changes the result by up to "
    assert fit["under_step"].startswith(under)
    page = without_links((Path("cipark-output") / "decay" / "report.html").read_text())
    for place in (done.output, page, *fit["conditions"]["warnings"][:1]):
        assert f"All numbers are {fit['under_step']}: none is called known." in place
        assert "TOO COARSE" not in place
    assert "Narrowed only: rate" in done.output
    assert f"with the time step of {way[1]:g} Day ({way[0]}))" in done.output
    taken = find_fit(read_problem(Path("decay")))
    assert fit["under_step"] in taken.source
    again = cp.read_study("decay").fit(posterior=True, **{options[0].removeprefix("--"): fit[FIELDS[options[0]]]})
    assert fit["under_step"] in repr(again)
    assert again.summary().loc["rate", "class"] == "narrowed"
    assert fit["under_step"] in again.summary().loc["rate", "verdict"]
    # what follows such a fit takes its step too
    assert taken.problem.steps().step == way[1]


@pytest.mark.parametrize("step", ["0", "-1", "nan", "5", "1e-300", "half"])
def test_a_wrong_step_is_one_error(study: Callable[[float], Path], step: str) -> None:
    study(0.5)
    done = cipark("calibrate", "decay", "--fast", "--step", step, code=2)
    assert "--step" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (Path("cipark-output") / "decay" / "fit.json").exists()


def test_what_costs_too_much_is_advised_and_not_done(
    study: Callable[[float], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    study(0.5)
    monkeypatch.setattr(pipeline, "AGAIN", 0)
    done = calibrate("--posterior")
    fit = fitted()
    assert (fit["integration_method"], fit["time_step"]) == ("euler", 0.5)
    assert "THE TIME STEP IS TOO COARSE" in done.output
    assert "Caution\tThe posterior was not sampled: the time step is too coarse." in done.output
    # nobody has asked for this step
    assert done.return_value == 1
    assert (fit["posterior"], fit["under_step"]) == (None, "")


@pytest.mark.parametrize(
    ("evaluations", "cost", "jumps", "serves"),
    [
        # 18 searches of a court and its prisons, whose finer ones took 13 s of processor time
        (3500, 49_000, False, True),
        (35_000, 49_000, False, False),
        # 24 searches of a reservoir whose likelihood jumps, whose finer ones took 3 s
        (64, 66_000, True, True),
        (640, 66_000, True, False),
        # a run of more than a million operations
        (10, 300_000, False, False),
    ],
)
def test_finer_searches_have_a_budget_of_what_those_before_took(
    monkeypatch: pytest.MonkeyPatch, evaluations: int, cost: int, *, jumps: bool, serves: bool
) -> None:
    monkeypatch.setattr(pipeline, "cost_of_a_run", lambda density: cost)
    monkeypatch.setattr(pipeline, "finer", lambda *of: Stepping(0.25, "euler", 4.0))
    goal = SimpleNamespace(density=None, free=np.arange(21), rough=jumps)
    searches = (SimpleNamespace(evaluations=evaluations),) * 24
    made: Any = SimpleNamespace(
        optimum=SimpleNamespace(goal=goal, searches=searches, interrupted=False),
        problem=SimpleNamespace(payoff=()),
        step_shift=0.4,
        asked_step=False,
        engine="native",
    )
    way, operations = pipeline._finer(made)
    assert (way is not None and operations <= pipeline.AGAIN) == serves


@pytest.mark.parametrize("step", [0.5, 1 / 1024])
def test_what_the_priors_make_impossible_is_of_the_step_of_the_fit(
    study: Callable[[float], Path], monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    study(step)
    asked: list[float] = []
    monkeypatch.setattr(
        pipeline, "impossible_terms", lambda density, seed: asked.append(density.problem.steps().step) or ()
    )
    calibrate()
    assert asked == [fitted()["time_step"]]
    assert (asked == [step]) == (step < 0.5)


def test_a_bound_of_the_step_moves_with_the_step(study: Callable[[float], Path]) -> None:
    problem = read_problem(study(0.5))
    for step, method, upper in ((0.5, "euler", 4.0), (0.25, "euler", 8.0), (0.25, "rk4", 11.14), (1.0, "euler", 2.0)):
        (parameter,) = at_step(problem, step, method).space
        assert parameter.upper == pytest.approx(upper)
        assert parameter.bounds_from == "step"
    # beyond the file's own value, 1, nothing is known of what the step carries
    (parameter,) = at_step(problem, 2.5).space
    assert (parameter.upper, parameter.bounds_from) == (np.inf, "")


def test_an_estimate_on_a_bound_of_the_step_is_fitted_again_with_a_wider_one(study: Callable[[float], Path]) -> None:
    """With a day a step Euler carries rates up to 2, and the data have 3."""
    study(1.0)
    done = calibrate()
    fit = fitted()
    assert "only it keeps rate from going further" in done.stderr or "too coarse" in done.stderr
    assert fit["at_bound"] == []
    assert fit["parameters"]["rate"] == pytest.approx(exact(), abs=0.02)
