"""What is said of held-out numbers: who predicts worse, by which score, over how many."""

import pytest

from calibration.assess.holdout import MODEL, RollingOrigin, verdict
from calibration.assess.scores import Score


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
