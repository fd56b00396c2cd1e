"""The best fits of structures, and whether the middle of draws contradicts the data."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from small_study import COUNTS, small_study

from calibration.commands.for_analyses.draws import find_draws
from calibration.commands.for_analyses.study import CENTRAL, CalibrationStudy, contradictions
from calibration.commands.for_analyses.study_draws import best_fits, not_taken, optimum_of
from calibration.commands.play.page import write
from calibration.commands.play.request import Settings
from calibration.commands.play.study import contents_of
from calibration.inference.sampling.densities import prior_draws
from calibration.inference.sampling.draws import problem_digest
from calibration.likelihood.posterior import On
from calibration.study.problem import until
from cipark_sd.analysis.experiments.definition import Structure
from cipark_sd.analysis.study import DrawRequest
from cipark_sd.base.checkpoints import NOT_KEPT, Checkpoints
from cipark_sd.base.console import Bars
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
    found, refuted = best_fits(problem, RIVALS, tmp_path / "none", 1, engine="native", checkpoints=kept)
    assert refuted == ()
    rates = {name: float(draws.values["rate"].item()) for name, draws in found.items()}
    # with twice the pace half the rate gives the same course, but for the prior that holds it near 0.2
    assert rates["M1"] < 0.75 * rates["M0"]
    monkeypatch.setattr("calibration.commands.for_analyses.study_draws.maximise", None)
    again = best_fits(problem, RIVALS, tmp_path / "none", 1, engine="native", checkpoints=kept)[0]
    assert {name: float(draws.values["rate"].item()) for name, draws in again.items()} == rates
    assert {draws.origin for draws in again.values()} == {"optimum"}


@pytest.mark.parametrize(("estimate", "interrupted"), [("map", False), ("ml", False), ("map", True)])
def test_the_estimate_of_a_whole_fit_is_the_optimum_of_its_own_structure(
    problem, density, tmp_path, estimate, interrupted
):
    """Of any structure, and after a fit by likelihood or half a one, what a search finds."""
    theta = {"size": 120.0, "rate": 0.21}
    likelihood = float(density.log_likelihood(np.array([list(theta.values())]))[0])
    record = {"parameters": theta, "log_likelihood": likelihood, "estimate": estimate, "interrupted": interrupted}
    (tmp_path / "fit.json").write_text(json.dumps(record))
    found, _ = best_fits(problem, RIVALS, tmp_path, 1, engine="native", checkpoints=NOT_KEPT)
    optima = {name: [float(values.item()) for values in draws.values.values()] for name, draws in found.items()}
    taken = estimate == "map" and not interrupted
    assert (optima["M0"] == pytest.approx(list(theta.values()), rel=1e-12)) == taken
    assert optima["M1"][1] < 0.75 * 0.21


def test_the_optimum_of_another_fit_is_not_taken(problem, density, tmp_path):
    theta = {"size": 120.0, "rate": 0.21}
    likelihood = float(density.log_likelihood(np.array([list(theta.values())]))[0])
    path = tmp_path / "fit.json"
    path.write_text(json.dumps({"parameters": theta, "log_likelihood": likelihood}))
    assert optimum_of(tmp_path, density) == pytest.approx(list(theta.values()))
    path.write_text(json.dumps({"parameters": theta, "log_likelihood": likelihood + 0.01}))
    assert optimum_of(tmp_path, density) is None
    path.write_text("{}")
    assert optimum_of(tmp_path, density) is None
    assert optimum_of(tmp_path / "nowhere", density) is None


@pytest.mark.parametrize("time", [8.0, 5.0])
def test_a_fit_of_earlier_rows_is_not_taken_and_it_says_so(problem, tmp_path, monkeypatch, time):
    monkeypatch.chdir(tmp_path)
    fit = OUTPUT_FOLDER / problem.folder.resolve().name
    fit.mkdir(parents=True)
    theta = {"size": 120.0, "rate": 0.21}
    likelihood = float(On("native")(until(problem, time)).log_likelihood(np.array([list(theta.values())]))[0])
    record = {"parameters": theta, "log_likelihood": likelihood, "estimate": "map", "interrupted": False}
    record |= {"model_digest": problem.model.digest, "study_digest": problem_digest(until(problem, time))}
    (fit / "fit.json").write_text(json.dumps(record))
    request = DrawRequest(RIVALS[:1], "at hand", 5, 1, tmp_path / "out", "native")
    found = find_draws(problem, request, Bars())
    taken = float(found.draws["M0"].values["rate"].item()) == pytest.approx(0.21, rel=1e-12)
    assert taken == (time == 8.0)
    assert any("has fitted all rows of the study again" in note for note in found.notes) == (not taken)
    # policy, sensitivity and player say why in the same words, once
    (why,) = [note for note in found.notes if "not taken" in note] or [""]
    of_rows = f"The fit in {fit} is not taken: it is of the rows up to 5 alone, as after calibrate --until."
    assert why == ("" if taken else of_rows)
    question: Any = None
    asked: Any = SimpleNamespace(draws=None, prior=False, methods=(), share=None)
    left = why or f"The fit in {fit} has no posterior draws: --posterior makes them."
    assert inputs_of(asked, CalibrationStudy(problem), question, 8).notes[-2] == left
    settings = Settings(folder=problem.folder, runs=4, levers=("rate",))
    assert contents_of(settings, problem).notice.startswith(why or "One curve, the best fit")
    # and on the console, after what the draws are
    _, printed = write(replace(settings, target=str(problem.folder), output=tmp_path / "page.html"))
    unseen = "4 draws from the PRIOR: nothing here has seen the data. "
    assert printed.startswith(f"{unseen}{why}" if why else "One curve, the best fit")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"study_digest": "0" * 64}, "other rows, priors or settings than the study has now"),
        ({"study_digest": "0" * 64, "model_digest": "0" * 64}, "another version of the model"),
    ],
)
def test_a_fit_of_other_priors_or_of_another_model_is_not_taken(problem, density, tmp_path, changed, reason):
    """Also where the likelihood of its estimate is the same: with other priors another one is the best."""
    theta = {"size": 120.0, "rate": 0.21}
    likelihood = float(density.log_likelihood(np.array([list(theta.values())]))[0])
    record = {"parameters": theta, "log_likelihood": likelihood, "model_digest": problem.model.digest,
              "study_digest": problem_digest(problem)}  # fmt: skip
    for content, why in ((record, ""), (record | changed, f"The fit in {tmp_path} is not taken: it is of {reason}.")):
        (tmp_path / "fit.json").write_text(json.dumps(content))
        assert not_taken(problem, tmp_path) == why
        assert (optimum_of(tmp_path, density) is None) == bool(why)


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
