"""The sentences with which a study's questions are answered, word for word, from numbers that are made up."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from approved import approved
from small_study import small_study

from calibration.assess.assessment import NOTHING
from calibration.assess.contraction import Contraction
from calibration.assess.holdout import RollingOrigin
from calibration.assess.rivals import Comparison
from calibration.assess.scores import mean_error, table_of
from calibration.commands import pipeline
from calibration.commands.settings import Settings
from calibration.inference.profile.interval_rules import Threshold
from calibration.inference.profile.scatter import Scatter
from calibration.report import conclusions
from calibration.report.collect import fit_findings
from calibration.report.findings import Fit, estimates
from calibration.study.sections import Questions
from cipark_sd.base.wording import number
from cipark_sd.statements.standing import Standing


@pytest.fixture(scope="module")
def fit(tmp_path_factory: pytest.TempPathFactory) -> Fit:
    folder = tmp_path_factory.mktemp("leaving")
    small_study(folder)
    return fit_findings(
        pipeline.calibrate(Settings(folder, posterior=False, starts=2, engine="native", compare_pysd=False))
    )


#: Of the study's two constants.
KNOWN: dict[str, Standing] = {"size": "known", "rate": "known"}


def of_study(fit: Fit, **changes: Any) -> Fit:
    return replace(fit, study=replace(fit.study, **changes))


def test_without_a_posterior_directions_and_profiles_speak(fit: Fit) -> None:
    said, directions, last = conclusions.informed(fit, KNOWN)
    approved(said)
    approved(directions)
    approved(last)
    (first, second) = fit.conditions.parameters
    by_prior = replace(
        fit.conditions, parameters=(replace(first, by_own_prior=0.51), replace(second, by_own_prior=0.5))
    )
    assert "The prior decides more than the data for size." in conclusions.informed(
        replace(fit, conditions=by_prior), KNOWN
    )
    (alone, _) = conclusions.informed(replace(fit, profiles=()), {})
    assert alone == directions


def test_every_class_is_counted_with_its_constants() -> None:
    every: dict[str, Standing] = {
        "both": "known", "low": "narrowed", "high": "narrowed", "none": "not narrowed", "lost": "not found",
        "misses": "doubted", "prior": "assumed", "blank": "",
    }  # fmt: skip
    approved(conclusions.class_words(every))
    assert conclusions.class_words({"a": "known"}) == "Of 1 fitted constant: 1 known (a)."
    assert conclusions.class_words({"blank": ""}) == conclusions.class_words({}) == ""


def test_what_stands_beside_the_estimates(fit: Fit) -> None:
    (levels,) = conclusions.estimate_words(fit)
    approved(levels)
    spreads = pd.DataFrame(
        {"observation": ["left", "right"], "n": [8, 1], "sum_of_squares": 12.5, "sd": [1.25, np.nan],
         "gain": [4.2, np.nan], "other": ["normal", "lognormal"], "spread": "left noise", "other_sd": [3.1, np.nan]}
    )  # fmt: skip
    (warning,) = conclusions.noise_warnings(replace(fit, residuals=spreads))
    approved(warning)
    in_proportion = spreads.assign(gain=[2.9, 3.1], other_sd=0.25)
    approved(next(conclusions.noise_warnings(replace(fit, residuals=in_proportion))))
    without_errors = replace(fit, residuals=spreads, no_errors={"a": "at a bound", "b": "at a bound"}, profiles=())
    stepwise = replace(fit.optimum, stepwise=("a",))
    left, right, steps, without = conclusions.estimate_words(replace(without_errors, optimum=stepwise))
    approved(left)
    approved(right)
    approved(steps)
    once = conclusions.estimate_words(replace(fit, optimum=replace(fit.optimum, moved=1)))
    approved(once[1])
    approved(without)
    names = fit.study.space.names
    n = len(names)
    apart = Scatter(names, errors=np.full(n, 2.0), low=np.full(n, 9.3), high=np.full(n, 18.0), tooth=0.5, effective=900)
    approved(conclusions.estimate_words(replace(fit, scatter=apart))[-1])


def test_with_too_coarse_a_step_no_estimate_stands_without_a_verdict(fit: Fit) -> None:
    """A step that overshoots lets two rates fit as well: 0.54 and 31.5 of y' = b (a - y) with a step of 1/16."""
    unprofiled = replace(fit, profiles=(), conditions=SimpleNamespace(of=lambda name: "", first="coarse"))  # type: ignore[arg-type]
    other = fit.optimum.theta + 1.5
    coarse = replace(unprofiled, as_good=(other,))
    for row, value in zip(estimates(coarse), other.tolist(), strict=True):
        expected = f"not judged, since the time step is too coarse; another optimum as good at {number(value)}"
        assert row["use"] != "CAL" or row["verdict"] == expected
    serving = replace(coarse, conditions=SimpleNamespace(of=lambda name: "", first="", under_step=""))  # type: ignore[arg-type]
    assert {row["verdict"] for row in estimates(serving) if row["use"] == "CAL"} == {""}


# --- predictions of what was held out ---------------------------------------------------------------------------------


def scored(forecaster: str, *numbers: tuple[float, float, float]) -> pd.DataFrame:
    """Scores of numbers ``(origin, year, log score)``."""
    rows = [
        {"forecaster": forecaster, "origin": origin, "label": f"{year:g}", "time": year, "log_score": log_score}
        for origin, year, log_score in numbers
    ]
    return table_of(rows).assign(crps=1.0, inside_50=True, inside_90=True)


MODEL = scored("model", (5.0, 6.0, 1.0), (5.0, 7.0, 2.0), (6.0, 7.0, 4.0))
CONSTANT = scored("constant", (6.0, 7.0, 5.0), (5.0, 6.0, 1.5), (5.0, 7.0, 4.0))


def rolling(*scores: pd.DataFrame) -> RollingOrigin:
    return RollingOrigin(pd.concat(scores, ignore_index=True), ())


def test_gaps_are_paired_by_origin_and_number() -> None:
    difference = np.array([0.5, 2.0, 1.0])
    error = mean_error(difference, MODEL)
    assert error > 0
    assert conclusions._gaps(rolling(CONSTANT, MODEL)) == (
        "Log score of a rival less that of the model, mean over 3 predictions of 2 numbers with its standard error, "
        "in which a number that several origins predict counts once and neighbours in time may depend on each other "
        f"(positive: the model is better): constant +1.17 ± {error:.2f}."
    )


def test_a_gap_takes_two_numbers_and_a_rival_that_differs() -> None:
    assert conclusions._gaps(rolling(MODEL)) == ""
    assert conclusions._gaps(rolling(MODEL.head(1), CONSTANT[1:2])) == ""
    assert conclusions._gaps(rolling(MODEL, MODEL.assign(forecaster="the same"))) == ""
    assert conclusions._gaps(rolling(MODEL.head(2), CONSTANT[1:])) != ""
    impossible = CONSTANT.assign(log_score=[np.inf, 1.5, 4.0])
    words = conclusions._gaps(rolling(MODEL, impossible, CONSTANT.assign(forecaster="Bass")))
    assert ": Bass +1.17" in words
    assert "constant" not in words


def test_predictions_name_the_dates_that_they_rest_on(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conclusions, "verdict", lambda rolling: "The model won.")
    verdict, gap, dates = conclusions.predicted(fit, rolling(MODEL, CONSTANT))
    assert verdict == "The model won."
    approved(gap)
    approved(dates)
    assert len(conclusions.predicted(fit, rolling(MODEL))) == 2


# --- what data say, what theory adds, what nobody can know ------------------------------------------------------------

ASKED = Questions(supports="It grew.", theory="Firms follow.", unknown="The rest.")


def test_the_three_answers_begin_with_the_study_s_own_words(fit: Fit) -> None:
    asked = of_study(fit, questions=ASKED)
    assert conclusions.supports(asked, NOTHING, {}) == "It grew."
    assert conclusions.supports(asked, NOTHING, KNOWN) == "It grew. The data narrow size and rate."
    assert not fit.study.fixed
    besides = "Firms follow. Assumed besides: the structure of the model"
    in_file = "what the model file sets and the study does not name"
    assert conclusions.adds(asked, NOTHING, "Checked.") == f"{besides} and {in_file}. Checked."
    for held, words in ((1, "one constant that the study sets"), (2, "2 constants that the study sets")):
        some = of_study(asked, fixed=("a", "b")[:held])
        assert conclusions.adds(some, NOTHING, "") == f"{besides}, {in_file} and {words}."
    # what the estimate holds at a prior median is assumed as well, but for a posterior, which moves it
    first, *others = fit.study.space.parameters
    partly = of_study(asked, space=replace(fit.study.space, parameters=(replace(first, use="PRI"), *others)))
    at_median = f"{besides}, {in_file} and one parameter that the estimate holds at its prior median."
    assert conclusions.adds(partly, NOTHING, "") == at_median
    drawn: Any = SimpleNamespace(contractions=(Contraction("size", 0.9, 0.01, 0.3, "informed"),))
    assert conclusions.adds(partly, drawn, "") == f"{besides} and {in_file}."
    # a study that says nothing of its own has what its profiles say, and no empty sentence
    silent = of_study(fit, questions=Questions())
    assert conclusions.supports(silent, NOTHING, {}) != ""
    assert conclusions.unknowable(asked, NOTHING, {}) == "The rest."


def test_what_stays_unknown(fit: Fit) -> None:
    plain = of_study(fit, questions=Questions())
    approved(conclusions.unknowable(plain, NOTHING, KNOWN))
    lines = [
        Comparison(f"M{i}", "", True, -50.0, -60.0, behind, 0.5, 0, 0.5, -70.0, 0.1, 0.25, "chains")
        for i, behind in enumerate((0.0, 1.0, 9.0))
    ]
    inquiry: Any = SimpleNamespace(contractions=(), comparison=lines)
    approved(conclusions.unknowable(plain, inquiry, KNOWN))
    # of all of them no list of names is needed
    close: Any = SimpleNamespace(contractions=(), comparison=lines[:2])
    approved(conclusions.unknowable(plain, close, KNOWN))
    approved(conclusions.unknowable(plain, NOTHING, KNOWN | {"a": "not narrowed", "b": "not found", "c": "narrowed"}))


def test_the_verdict_of_a_prediction_names_what_its_parameters_are_given_once(fit: Fit) -> None:
    prediction: Any = SimpleNamespace(
        words="bounded by the data", lower=1.0, upper=3.0, prior_low=0.0, prior_high=9.0, threshold=Threshold(0.95)
    )
    assert [held.name for held in conclusions.prediction_given(fit)] == ["pace"]
    approved(conclusions.prediction_verdict(fit, prediction))
    twice = replace(fit.conditions, parameters=fit.conditions.parameters * 2)
    assert len(conclusions.prediction_given(replace(fit, conditions=twice))) == 1
    free = replace(fit, conditions=replace(fit.conditions, parameters=()))
    approved(conclusions.prediction_verdict(free, prediction))
    # an interval that is as wide as that of the priors says so
    prediction.prior_low, prediction.prior_high = 0.9, 3.1
    approved(conclusions.prediction_verdict(free, prediction))
    # what has a prior moves while a prediction is profiled: no number is given it
    (rate,) = (verdict for verdict in fit.conditions.parameters if verdict.held)
    moves = replace(rate, held=tuple(replace(held, source="prior") for held in rate.held))
    moving = replace(fit, conditions=replace(fit.conditions, parameters=(moves,)))
    assert conclusions.prediction_given(moving) == ()


def test_chance_counts_the_fitted_numbers_that_have_a_residual(fit: Fit) -> None:
    limit = conclusions.chance_limit(fit)
    first = fit.rows.head(1)
    rows = pd.concat([fit.rows, first.assign(use="check"), first.assign(residual=np.nan)])
    assert conclusions.chance_limit(replace(fit, rows=rows)) == limit
    assert conclusions.chance_limit(replace(fit, rows=pd.concat([fit.rows, first]))) > limit


# --- causes -----------------------------------------------------------------------------------------------------------


def compared(name: str, behind: float, error: float, stacking: float) -> Any:
    return SimpleNamespace(name=name, why=f"why {name}", elpd_behind=behind, behind_error=error, stacking=stacking)


def test_a_cause_is_what_structures_without_it_predict() -> None:
    """Of one that is the best itself, of one that is one unit behind, and of one that is far behind."""
    lines = (compared("M0", 0.0, 0.0, 0.75), compared("M1", 1.0, 0.5, 0.25), compared("M2", 9.0, 1.0, 0.001))
    approved(conclusions._cause("the pace", lines))


def test_what_the_data_say_is_the_classes_and_why_there_is_none(fit: Fit) -> None:
    """In a study that has no words of its own; that profiles or draws lack is said only where they do."""
    silent = of_study(fit, questions=replace(fit.study.questions, supports=""))
    approved(conclusions.supports(silent, NOTHING, KNOWN | {"rate": "narrowed"}))
    approved(conclusions.supports(silent, NOTHING, KNOWN | {"rate": "not narrowed"}))
    approved(conclusions.supports(silent, NOTHING, {"size": "doubted", "rate": "not found"}))
    approved(conclusions.supports(silent, NOTHING, {"size": "not found", "rate": "not found"}))
    approved(conclusions.supports(silent, NOTHING, {"size": "", "rate": ""}))
    approved(conclusions.supports(silent, NOTHING, {}))
    coarse = replace(silent, conditions=replace(silent.conditions, shift=0.5))
    approved(conclusions.supports(coarse, NOTHING, {"size": "not found", "rate": "not found"}))
