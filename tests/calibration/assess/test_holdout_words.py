"""What is said of held-out numbers: who predicts better, by which score, over how many."""

import pandas as pd
import pytest

from calibration.assess.holdout import MODEL, RollingOrigin, verdict
from calibration.assess.scores import COLUMNS, table_of


def scored(forecaster: str, log_score: float, crps: float, *, inside: bool = True) -> pd.DataFrame:
    """The same two numbers, each with these scores; smaller ones are better."""
    quantiles = (1.0, 2.0, 3.0, 4.0, 5.0)
    rows = [
        (forecaster, 2020.0, label, 2021.0, 3.0, 3.0, log_score, crps, 0.0, 0.5, inside, inside, *quantiles)
        for label in ("first", "second")
    ]
    return table_of([dict(zip(COLUMNS, row, strict=True)) for row in rows])


@pytest.mark.parametrize(
    ("log_scores", "by_log"),
    [
        ((1.5, 1.5), "By log score the model predicts worse than constant and trend"),
        ((1.5, 2.5), "By log score the model predicts worse than constant"),
        ((2.5, 1.5), "By log score the model predicts worse than trend"),
        ((2.5, 2.5), "By log score no rival predicts better"),
    ],
)
@pytest.mark.parametrize(
    ("crps", "by_crps"),
    [
        ((0.5, 0.5), "by CRPS worse than constant and trend"),
        ((0.5, 1.5), "by CRPS worse than constant"),
        ((1.5, 0.5), "by CRPS worse than trend"),
        ((1.5, 1.5), "by CRPS no rival does"),
    ],
)
def test_those_that_predict_better_are_named_by_each_score(
    log_scores: tuple[float, float], by_log: str, crps: tuple[float, float], by_crps: str
) -> None:
    tables = [scored(MODEL, 2.0, 1.0, inside=False)]
    tables += [scored(*line) for line in zip(("constant", "trend"), log_scores, crps, strict=True)]
    # both in the order of their log scores
    said = verdict(RollingOrigin(pd.concat(tables), ())).replace("trend and constant", "constant and trend")
    assert said == f"{by_log}; {by_crps} (2 counts held out; 90% intervals held 0% of them)."


def test_a_model_without_rivals_is_told_what_to_compare_with() -> None:
    assert verdict(RollingOrigin(scored(MODEL, 2.0, 1.0), ())) == (
        "Mean log score 2.00 (2 counts held out; 90% intervals held 100% of them). To judge it, compare with a "
        "structure without the mechanism, such as a constant rate, as a [[rival]] (--rivals)."
    )
    assert verdict(RollingOrigin(scored("other", 2.0, 1.0), ())) == "Nothing was held out that the model could predict."


def test_scores_are_compared_over_the_numbers_that_all_predicted() -> None:
    both = pd.concat([scored(MODEL, 2.0, 1.0), scored("B", 3.0, 1.0).head(1)])
    found = RollingOrigin(both, ())
    assert found.comparable["label"].tolist() == ["first", "first"]
    assert found.summary["forecaster"].tolist() == [MODEL, "B"]
    assert found.summary["n"].tolist() == [1, 1]
