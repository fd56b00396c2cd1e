"""The best fits of structures, and whether the middle of draws contradicts the data."""

import json
import re
from dataclasses import replace
from statistics import NormalDist
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from left_fit import leave_fit
from small_study import COUNTS, small_study

from calibration.assess.rivals import with_variant
from calibration.commands.for_analyses.draws import best_fits, find_draws
from calibration.commands.for_analyses.fitted_study import find_fit
from calibration.commands.for_analyses.study import CENTRAL, CalibrationStudy, contradictions
from calibration.commands.for_analyses.study_draws import as_draws
from calibration.commands.play.request import Settings
from calibration.commands.play.study import contents_of
from calibration.inference.sample.densities import prior_draws
from calibration.inference.sample.draws import problem_digest
from calibration.inference.search.objective import objective
from calibration.likelihood.posterior import On
from calibration.study.problem import read_problem, until
from cipark_sd.analysis.experiments.definition import Structure
from cipark_sd.analysis.experiments.draws import Draws
from cipark_sd.analysis.study import DrawRequest, DrawSet
from cipark_sd.base.checkpoints import NOT_KEPT, Checkpoints, are_signed, sign_files
from cipark_sd.base.console import Bars
from cipark_sd.base.errors import UnusableInput
from cipark_sd.base.files import OUTPUT_FOLDER
from cipark_sd.commands.sensitivity.target import inputs_of
from cipark_sd.data.scenarios import Scenario


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    return small_study(tmp_path_factory.mktemp("leaving"))


@pytest.fixture(scope="module")
def density(problem):
    return On("native")(problem)


RIVALS = (Structure("M0", "as it stands"), Structure("M1", "twice the pace", Scenario("", {"pace": 2.0})))


def test_each_structure_has_its_own_optimum_and_kept_ones_are_not_searched_again(problem, tmp_path, monkeypatch):
    kept = Checkpoints.in_output(tmp_path)
    found, refuted = best_fits(problem, RIVALS, None, 1, engine="native", checkpoints=kept)
    assert refuted == ()
    rates = {name: float(draws.values["rate"].item()) for name, draws in found.items()}
    # with twice the pace half the rate gives the same course, but for the prior that holds it near 0.2
    assert rates["M1"] < 0.75 * rates["M0"]
    monkeypatch.setattr("calibration.commands.for_analyses.draws.maximise", None)
    again = best_fits(problem, RIVALS, None, 1, engine="native", checkpoints=kept)[0]
    assert {name: float(draws.values["rate"].item()) for name, draws in again.items()} == rates
    assert {draws.origin for draws in again.values()} == {"optimum"}


THETA = np.array([120.0, 0.21])


@pytest.mark.parametrize("interrupted", [False, True])
def test_the_estimate_of_a_fit_is_the_optimum_of_its_own_structure(problem, tmp_path, interrupted):
    """Also of one by likelihood, or of half a one, which it says: what was fitted is not fitted again."""
    leave_fit(tmp_path, problem, THETA, estimate="ml", interrupted=interrupted)
    fit = find_fit(problem, tmp_path)
    found, _ = best_fits(problem, RIVALS, fit, 1, engine="native", checkpoints=NOT_KEPT)
    optima = {name: [float(values.item()) for values in draws.values.values()] for name, draws in found.items()}
    assert optima["M0"] == THETA.tolist()
    assert optima["M1"][1] < 0.75 * 0.21
    assert ("stopped before its end" in fit.sentence) == interrupted


def taken(problem: Any, folder: Any) -> dict[str, tuple[str, str, Any]]:
    """What policy, sensitivity and player take: words on the fit, its fingerprint, and its estimate or its draws."""
    request = DrawRequest(RIVALS[:1], "at hand", 5, 1, folder / "out", "native")
    asked: Any = SimpleNamespace(draws=None, prior=False, methods=(), share=None)
    question = CalibrationStudy(problem).question()
    settings = Settings(folder=problem.folder, runs=4, levers=("rate",))
    found, page = find_draws(problem, request, Bars()), contents_of(settings, problem)
    inputs = inputs_of(asked, CalibrationStudy(problem), question, 8)
    return {
        "policy": (found.notes[0], found.study_digest, found.draws["M0"].values["rate"]),
        "sensitivity": (inputs.notes[0], inputs.study_digest, inputs.basis),
        "play": (page.notice, "", page.structures[0]),
    }


@pytest.mark.parametrize("time", [8.0, 5.0])
@pytest.mark.parametrize("converged", [None, True, False])
def test_every_command_takes_the_fit_that_was_made_and_says_of_which_rows(
    problem, tmp_path, monkeypatch, time, converged
):
    monkeypatch.chdir(tmp_path)
    place, early = OUTPUT_FOLDER / problem.folder.resolve().name, until(problem, time)
    drawn = None if converged is None else np.exp(np.random.default_rng(1).normal(0, 0.1, (50, 2))) * THETA
    leave_fit(place, early, THETA, drawn, converged=bool(converged))
    rows = "" if time == 8.0 else ", of the rows up to 5"
    if converged is None:
        with pytest.raises(UnusableInput, match=f"{re.escape(str(place))}{rows}: it has no posterior draws"):
            CalibrationStudy(problem).fit_at_hand()
        monkeypatch.setattr(CalibrationStudy, "fit_at_hand", lambda self: None)
    found = taken(problem, tmp_path)
    assert found["policy"][:2] == (f"The fit is that in {place}{rows}.", problem_digest(early))
    policy, structure = found["policy"][2], found["play"][2]
    # the estimate of the fit stands for draws of which no band may be drawn
    assert structure.estimate["rate"] == 0.21
    assert set(policy) <= ({0.21} if not converged else set(drawn[:, 1]))
    assert len(structure.draws["rate"]) == (4 if converged else 0)
    assert found["play"][0].startswith(
        f"The fit is that in {place}{rows}." if rows else "One curve" if not converged else ""
    )
    assert structure.basis.origin == ("optimum" if converged is None else "posterior")
    if converged is not None:
        assert found["sensitivity"][0].startswith(f"The fit is that in {place}{rows};")
        assert found["sensitivity"][1] == problem_digest(early)
        assert (found["sensitivity"][2].origin, found["sensitivity"][2].converged) == ("posterior", converged)
    # the way on fits the same rows
    if not converged and rows:
        assert "'cipark calibrate" in found["play"][0]
        assert "--until 5 --posterior" in found["play"][0]


@pytest.mark.parametrize("of_folder", [True, False])
def test_draws_that_are_named_are_set_against_the_rows_that_they_were_fitted_to(
    problem, tmp_path, monkeypatch, of_folder
):
    """Of a fit up to a date no later row says that the model does not meet the data even after the fit."""
    monkeypatch.chdir(tmp_path)
    early, folder = until(problem, 5.0), tmp_path / "early"
    drawn = np.exp(np.random.default_rng(1).normal(0, 0.1, (50, 2))) * THETA
    leave_fit(folder, early, THETA, drawn)
    file = folder / "draws.nc"
    named = folder if of_folder else {"M0": file}
    found = find_draws(problem, DrawRequest(RIVALS[:1], named, 5, 1, tmp_path / "out", "native"), Bars())
    rows = "The draws are of the rows up to 5."
    assert found.notes == ((f"Draws: {file}. {rows}",) if of_folder else (rows,))
    assert found.study_digest == problem_digest(early)
    study = CalibrationStudy(problem)
    asked: Any = SimpleNamespace(draws=folder if of_folder else file, prior=False, methods=(), share=None)
    assert inputs_of(asked, study, study.question(), 8).notes[-1] == rows
    settings = Settings(folder=problem.folder, runs=4, levers=("rate",), draws=str(file))
    page = contents_of(settings, problem)
    assert page.notice == rows
    assert {count.use for count in page.outcomes[0].observed} == {"fit", "holdout"}
    # those of all rows are none of rows up to a date
    leave_fit(folder, problem, THETA, drawn)
    assert "rows up to" not in " ".join(
        find_draws(problem, DrawRequest(RIVALS[:1], named, 5, 1, tmp_path / "out", "native"), Bars()).notes
    )


def test_a_structure_that_was_never_fitted_is_fitted_to_the_rows_of_the_fit_and_it_says_so(
    problem, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    early = until(problem, 5.0)
    leave_fit(OUTPUT_FOLDER / problem.folder.resolve().name, early, THETA)
    found = find_draws(problem, DrawRequest(RIVALS, "at hand", 5, 1, tmp_path / "out", "native"), Bars())
    assert found.notes[1] == "Fitted here, from the estimate of that fit: M1."
    theta = np.array([[found.draws["M1"].values[name].item() for name in ("size", "rate")]])
    goal = objective(On("native")(with_variant(early, RIVALS[1])), estimate="map")
    best = goal(goal.box(theta[0])[None])[0]
    # a mode of the early rows: a step to either side is worse
    for step in (0.98, 1.02):
        for k in (0, 1):
            other = theta.copy()
            other[0, k] *= step
            assert goal(goal.box(other[0])[None])[0] > best


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"study_digest": "0" * 64}, "it is of other rows, priors or settings than the study has now"),
        ({"study_digest": "0" * 64, "model_digest": "0" * 64}, "it is of another version of the model"),
        ({"parameters": {}}, "fit.json does not say its estimate or its seed"),
        (None, "it is of other rows"),
    ],
)
def test_a_fit_of_something_else_is_refused_by_every_command_in_the_same_words(
    problem, tmp_path, monkeypatch, changed, reason
):
    """Nothing goes back to the priors, or to the values of the file, without being told to."""
    monkeypatch.chdir(tmp_path)
    place = OUTPUT_FOLDER / problem.folder.resolve().name
    leave_fit(place, problem, THETA, **(changed or {}))
    if changed is None:
        (place / "fit.json").write_text("no record", encoding="utf-8")
    request = DrawRequest(RIVALS[:1], "at hand", 5, 1, tmp_path / "out", "native")
    settings = Settings(folder=problem.folder, runs=4, levers=("rate",))
    calls = (
        lambda: find_draws(problem, request, Bars()),
        CalibrationStudy(problem).fit_at_hand,
        lambda: contents_of(settings, problem),
    )
    said = set()
    for call in calls:
        with pytest.raises(UnusableInput, match=re.escape(f"the fit in {place}: {reason}")) as told:
            call()
        said.add(str(told.value))
    (words,) = said
    assert "'--draws prior' goes without a fit" in words
    unasked = replace(request, source="prior"), replace(settings, draws="prior")
    assert find_draws(problem, unasked[0], Bars()).draws["M0"].origin == "prior"
    assert contents_of(unasked[1], problem).structures[0].basis.origin == "prior"


@pytest.mark.parametrize("part", ["fit.json", "draws.nc", "rivals/draws-M1.nc", "signatures.json", ""])
def test_every_command_says_of_a_fit_that_it_is_not_the_users_own(problem, tmp_path, monkeypatch, part):
    """Whoever sends a study may have changed the draws that lie in its output folder."""
    monkeypatch.chdir(tmp_path)
    place = OUTPUT_FOLDER / problem.folder.resolve().name
    drawn = np.exp(np.random.default_rng(1).normal(0, 0.1, (50, 2))) * THETA
    leave_fit(place, problem, THETA, drawn)
    (place / "rivals").mkdir()
    (place / "rivals" / "draws-M1.nc").write_bytes((place / "draws.nc").read_bytes())
    sign_files(place / "rivals", "draws-M1.nc")
    foreign = f"not signed by this user: 'cipark calibrate {problem.folder}' makes your own"
    if part:
        # what a sender without the key can do: change a file, or put another signature beside it
        path = place / part
        if path.suffix == ".nc":
            with h5py.File(path, "r+") as file:
                file["posterior/theta"][:] *= 1.5
        elif path.name == "fit.json":
            path.write_text(path.read_text(encoding="utf-8") + " ", encoding="utf-8")
        else:
            path.write_text(json.dumps({"fit.json": "0" * 64, "draws.nc": None}), encoding="utf-8")
    found = find_fit(problem)
    assert found is not None
    assert found.signed == (not part)
    said = taken(problem, tmp_path)
    assert [foreign in words for words, *_ in said.values()] == [bool(part)] * 3


def test_a_signature_passes_for_no_other_file(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text("1", encoding="utf-8")
    sign_files(tmp_path, "a")
    assert are_signed(tmp_path, "a")
    assert not are_signed(tmp_path, "a", "b")
    table = json.loads((tmp_path / "signatures.json").read_text(encoding="utf-8"))
    (tmp_path / "signatures.json").write_text(json.dumps(table | {"b": table["a"]}), encoding="utf-8")
    assert not are_signed(tmp_path, "b")
    # what was signed before stays so, and what is not written now is not signed by the way
    sign_files(tmp_path, "a")
    assert not are_signed(tmp_path, "b")
    for odd in ("[" * 100_000, "[]", "{", ""):
        (tmp_path / "signatures.json").write_text(odd, encoding="utf-8")
        assert not are_signed(tmp_path, "a")


def test_draws_of_an_earlier_fit_are_none_of_the_last_one(problem, tmp_path):
    drawn = np.exp(np.random.default_rng(1).normal(0, 0.1, (50, 2))) * THETA
    leave_fit(tmp_path, problem, THETA, drawn)
    assert len(find_fit(problem, tmp_path).draws) == 50
    leave_fit(tmp_path, problem, THETA)
    assert find_fit(problem, tmp_path).draws is None
    leave_fit(tmp_path, until(problem, 5.0), THETA, converged=True)
    record = json.loads((tmp_path / "fit.json").read_text(encoding="utf-8"))
    (tmp_path / "fit.json").write_text(json.dumps(record | {"converged": True}), encoding="utf-8")
    assert find_fit(problem, tmp_path).draws is None
    assert find_fit(problem, tmp_path / "nowhere") is None


def test_the_noise_of_a_contradiction_is_that_of_the_draws_and_all_series_share_one_chance(tmp_path):
    """A standard deviation of 12 was fitted, and the prior has 1: the closed form of the band is that of 12."""
    problem = noisy_study(tmp_path, series=6)
    density, rng = On("native")(problem), np.random.default_rng(1)
    level = 1 - (1 - CENTRAL) / 6
    half = NormalDist().inv_cdf((1 + level) / 2) * 12
    theta = np.array([100.0, *[12.0] * 6])
    seen = [term.lower for term in problem.terms]
    (words,) = contradictions(density, theta[None], rng)
    low, high = map(float, re.search(r"allows (-?\d+) to (\d+)\)", words).groups())
    assert (low, high) == pytest.approx((100 - half, 100 + half), abs=3)
    assert words.startswith("s5 by 1: 100")
    # 1.96 standard deviations of one series are beyond, those of six together are not
    assert [round(abs(value - 100) / 12, 1) for value in seen] == [0.0, 0.0, 0.0, 0.0, 2.2, 3.0]
    found = DrawSet(RIVALS[:1], {"M0": as_draws(problem, theta[None], "optimum", "M0")}, {})
    assert CalibrationStudy(problem).contradictions(RIVALS[0], found, seed=1, engine="native").startswith("s5 by 1")
    alone = DrawSet(RIVALS[:1], {"M0": Draws("M0", {"level": theta[:1]}, "optimum")}, {})
    # without numbers of the noise there is that of the prior, of 1: both are beyond
    assert "s4 by 1" in CalibrationStudy(problem).contradictions(RIVALS[0], alone, seed=1, engine="native")


def noisy_study(folder: Any, series: int) -> Any:
    """One constant measured by several series, each with a standard deviation that is fitted."""
    outputs = "".join(f"seen {i} = level ~ ~|\n" for i in range(series))
    control = "INITIAL TIME = 0 ~~|\nFINAL TIME = 2 ~~|\nSAVEPER = TIME STEP ~~|\nTIME STEP = 1 ~~|\n"
    (folder / "level.mdl").write_text(f"{{UTF-8}}\n{outputs}level = 100 ~ ~|\n{control}", encoding="utf-8")
    parts = ['title = "level"\n[model]\nfile = "level.mdl"\n']
    for i in range(series):
        value = 100 + {series - 2: 27, series - 1: 36}.get(i, 0)
        (folder / f"s{i}.csv").write_text(f"time,seen\n1,{value}\n", encoding="utf-8")
        parts.append(
            f'[[observation]]\nname = "s{i}"\ntable = "s{i}.csv"\nkind = "level"\nvariable = "seen {i}"\n'
            f'time = "time"\nvalue = "seen"\nfamily = "normal"\nsd = "sd {i}"\n'
        )
    for name, target, median in [("level", "model", 100), *((f"sd {i}", "noise", 1) for i in range(series))]:
        parts.append(
            f'[[parameter]]\nname = "{name}"\ntarget = "{target}"\nbounds = [0.01, 1000]\n'
            f'prior = {{ family = "lognormal", median = {median}, sigma = 0.5 }}\n'
        )
    (folder / "problem.toml").write_text("".join(parts), encoding="utf-8")
    return read_problem(folder)


def test_a_model_that_has_twice_what_was_counted_contradicts_it(density):
    rng = np.random.default_rng(1)
    spread = np.exp(rng.normal(0, 0.05, (200, 2)))
    assert list(contradictions(density, np.array([107.0, 0.2]) * spread, rng)) == []
    (words,) = contradictions(density, np.array([220.0, 0.2]) * spread, rng)
    band = r"\(median of the draws; noise of the data allows (\d+) to (\d+)\)"
    sentence = rf"left by 8: (\d+) in the model {band}, {sum(COUNTS)} in the data"
    model, low, high = map(float, re.fullmatch(sentence, words).groups())
    # eight years at a fifth a year leave a fifth of the stock, and Poisson noise of 176 is 13
    assert model == pytest.approx(220 * (1 - np.exp(-1.6)), rel=0.03)
    assert (low, high) == pytest.approx((model - 1.96 * 13.2, model + 1.96 * 13.2), rel=0.03)
    (alone,) = contradictions(density, np.array([[220.0, 0.2]]), rng)
    assert "(best fit; noise" in alone


def test_the_middle_of_the_draws_is_judged_and_not_all_that_they_reach(density):
    rng = np.random.default_rng(1)
    wide = np.column_stack([np.exp(rng.normal(np.log(220), 0.5, 300)), np.full(300, 0.2)])
    assert wide[:, 0].min() < 100
    assert len(list(contradictions(density, wide, rng))) == 1
    assert CENTRAL == 0.95


def test_priors_near_the_data_do_not_contradict_them(density):
    assert (
        list(
            contradictions(density, prior_draws(density.space, 300, np.random.default_rng(2)), np.random.default_rng(3))
        )
        == []
    )
