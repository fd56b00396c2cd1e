"""Baselines of held-out numbers, and what is said of them: who predicts worse, by which score, over how many."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_study import COUNTS, small_study

from calibration.assess.holdout import MODEL, RollingOrigin, _windows, baseline_scores, verdict
from calibration.assess.scores import Score
from calibration.families.normal import Normal
from calibration.study.observations import Noise
from calibration.study.problem import until


def scored(forecaster: str, log_score: float, crps: float, *, inside: bool = True) -> list[Score]:
    """The same two numbers, each with these scores; smaller ones are better."""
    return [
        Score(
            forecaster, 2020.0, label, 2021.0, 3.0, 3.0, (1.0, 2.0, 3.0, 4.0, 5.0), log_score, crps, 0.5, inside, inside
        )
        for label in ("first", "second")
    ]


@pytest.mark.parametrize(
    ("log_scores", "by_log"),
    [
        ((1.5, 1.5), "By log score the model predicts worse than constant and trend"),
        ((1.5, 2.5), "By log score the model predicts worse than constant"),
        ((2.5, 1.5), "By log score the model predicts worse than trend"),
        ((2.5, 2.5), "By log score the model predicts better than every baseline"),
    ],
)
@pytest.mark.parametrize(
    ("crps", "by_crps"),
    [
        ((0.5, 0.5), "by CRPS worse than constant and trend"),
        ((0.5, 1.5), "by CRPS worse than constant"),
        ((1.5, 0.5), "by CRPS worse than trend"),
        ((1.5, 1.5), "by CRPS better than every baseline"),
    ],
)
def test_those_that_predict_better_are_named_by_each_score(
    log_scores: tuple[float, float], by_log: str, crps: tuple[float, float], by_crps: str
) -> None:
    scores = scored(MODEL, 2.0, 1.0, inside=False)
    for name, log_score, of_crps in zip(("constant", "trend"), log_scores, crps, strict=True):
        scores += scored(name, log_score, of_crps)
    # both in the order of their log scores
    said = verdict(RollingOrigin(tuple(scores), ())).replace("trend and constant", "constant and trend")
    assert said == f"{by_log}; {by_crps} (2 counts held out; 90 % intervals held 0% of them)."


def test_rival_structures_are_no_baselines() -> None:
    scores = tuple(scored(MODEL, 2.0, 1.0) + scored("rival", 1.0, 0.5))
    assert verdict(RollingOrigin(scores, (), ("rival",))).startswith("Nothing was held out")
    both = scores + tuple(scored("constant", 3.0, 2.0))
    assert "worse than" not in verdict(RollingOrigin(both, (), ("rival",)))


def test_baselines_foretell_what_comes_after_the_origin_from_what_came_before(tmp_path: Path) -> None:
    problem = until(small_study(tmp_path), 5.0)
    (observation,) = problem.observations
    known, windows = _windows(observation, "fit", -np.inf)
    assert [number.time for number in known] == windows.end.tolist() == [1, 2, 3, 4, 5]
    assert windows.count.tolist() == list(COUNTS[:5])
    later, windows = _windows(observation, "holdout", 6.0)
    assert [number.time for number in later] == windows.end.tolist() == [7, 8]
    assert windows.count.tolist() == list(COUNTS[6:])
    scores = baseline_scores(observation, 5.0, np.random.default_rng(1), most_steps=50)
    by_name = Counter(entry.forecaster for entry in scores)
    assert set(by_name.values()) == {3}
    assert {entry.time for entry in scores} == {6.0, 7.0, 8.0}
    # densities of measurements cannot be set against probabilities of counts
    measured = tuple(replace(term, noise=Noise(Normal())) for term in observation.terms)
    assert baseline_scores(replace(observation, terms=measured), 5.0, np.random.default_rng(1), most_steps=50) == []
