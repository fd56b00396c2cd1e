"""Measures of robustness written out for two policies in four futures, and their words."""

import numpy as np
import pytest

from cipark_sd.errors import InvalidValue
from cipark_sd.experiments.robustness import MEASURES, SHARES, goodness, measures, stability, winners

VALUES = np.array([[4.0, 0.0, 8.0, 4.0], [3.0, 3.0, 3.0, 3.0]])
MET = np.array([[True, False, True, True], [True, True, False, False]])


def test_names_words_and_directions_of_the_measures() -> None:
    assert dict(MEASURES) == {
        "mean": ("mean outcome over futures", True),
        "low": ("the outcome that nine futures in ten do better than", True),
        "worst": ("outcome in the worst future (maximin)", True),
        "mean_regret": ("mean of what another policy would have brought more", False),
        "high_regret": ("regret that nine futures in ten stay under", False),
        "worst_regret": ("largest regret (minimax regret)", False),
        "satisfied": ("share of futures in which all demands are met", True),
        "best": ("share of futures in which it is the best", True),
    }
    assert SHARES == ("satisfied", "best")


def test_each_measure_written_out() -> None:
    found = measures(VALUES, MET)
    assert list(found) == list(MEASURES)
    expected = {
        "mean": [4, 3], "low": [1.2, 3], "worst": [0, 3], "mean_regret": [0.75, 1.75], "high_regret": [2.1, 3.8],
        "worst_regret": [3, 5], "satisfied": [0.75, 0.5], "best": [0.75, 0.25],
    }  # fmt: skip
    for name, values in expected.items():
        assert found[name] == pytest.approx(values), name
    assert "satisfied" not in measures(VALUES)
    assert winners(found) == {
        "mean": 0, "low": 1, "worst": 1, "mean_regret": 0, "high_regret": 0, "worst_regret": 0, "satisfied": 0,
        "best": 0,
    }  # fmt: skip


def test_where_less_is_better_outcomes_keep_their_sign() -> None:
    found = measures(VALUES, MET, "less")
    expected = {
        "mean": [4, 3], "low": [6.8, 3], "worst": [8, 3], "mean_regret": [1.75, 0.75], "worst_regret": [5, 3],
        "satisfied": [0.75, 0.5], "best": [0.25, 0.75],
    }  # fmt: skip
    for name, values in expected.items():
        assert found[name] == pytest.approx(values), name
    assert {name: winner for name, winner in winners(found, "less").items() if winner == 0} == {"satisfied": 0}


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("better", ["more", "less"])
def test_more_is_better_after_the_turn(name: str, better: str) -> None:
    turned = name in ("mean_regret", "high_regret", "worst_regret")
    if name in ("mean", "low", "worst"):
        turned = better == "less"
    assert goodness(name, np.array([1.0, 2.0]), better).tolist() == ([-1, -2] if turned else [1, 2])  # type: ignore[arg-type]


def test_the_first_of_equals_wins() -> None:
    assert winners({"mean": np.array([1.0, 2.0, 2.0]), "worst_regret": np.array([0.0, 0.0])}) == {
        "mean": 1, "worst_regret": 0,
    }  # fmt: skip
    # and it is the best of each future in which they are equal
    assert measures(np.ones((3, 4)))["best"].tolist() == [1, 0, 0]


@pytest.mark.parametrize("values", [np.ones(3), np.ones((0, 3)), np.array([[1.0, np.nan]]), np.array([[np.inf, 1.0]])])
def test_what_is_no_table_of_numbers_is_refused(values: np.ndarray) -> None:
    with pytest.raises(InvalidValue, match="finite numbers for each policy and future"):
        measures(values)


def sure(values, satisfied=None, rivals=None, better="more", resamples=2000):
    rivals = ["M0"] * values.shape[1] if rivals is None else rivals
    found = stability(values, satisfied, rivals, np.random.default_rng(1), better=better, resamples=resamples)
    return found.set_index("measure")


def test_wins_are_shares_of_resamples() -> None:
    values = np.array([[1.0, 1.0, 1.0], [3.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
    assert sure(values, resamples=20).loc["mean", ["best", "resamples"]].tolist() == [1, 1.0]
    assert sure(values, better="less", resamples=20).loc["mean", ["best", "resamples"]].tolist() == [0, 1.0]
    # of two policies of which one wins in a future of three: that one is never drawn in (2/3)^3 of the resamples
    shaky = sure(np.array([[9.0, 0.0, 0.0], [1.0, 1.0, 1.0]]))
    assert shaky.loc["worst", ["best", "resamples"]].tolist() == [1, pytest.approx(1 - 1 / 27, abs=0.015)]
    assert shaky.loc["mean", ["best", "resamples"]].tolist() == [0, pytest.approx(1 - 8 / 27, abs=0.04)]


def test_demands_are_resampled_with_their_futures() -> None:
    found, turned = sure(VALUES, MET), sure(VALUES, ~MET)
    assert (found.loc["satisfied", "best"], turned.loc["satisfied", "best"]) == (0, 1)
    assert 0.7 < found.loc["satisfied", "resamples"] < 1


def test_rivals_are_judged_alone_and_with_their_own_demands() -> None:
    found = sure(VALUES, MET, ["M0", "M1", "M0", "M1"], resamples=1)
    by_rival = {name: winners(measures(VALUES[:, of], MET[:, of])) for name, of in (("M0", [0, 2]), ("M1", [1, 3]))}
    for measure, row in found.iterrows():
        assert row["another"] == ", ".join(name for name, best in by_rival.items() if best[measure] != row["best"])
    assert found.loc["mean", "another"] == "M1"
