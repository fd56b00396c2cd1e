"""Measures of robustness written out for two policies in four futures, and their words."""

import numpy as np
import pytest

from cipark_sd.errors import InvalidValue
from cipark_sd.experiments.robustness import MEASURES, SHARES, goodness, measures, stability, winners, winners_by_group

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


def test_ranks_begin_with_one_and_wins_are_shares_of_resamples() -> None:
    values = np.array([[1.0, 1.0, 1.0], [3.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
    found = stability(values, None, "mean", np.random.default_rng(1), resamples=20)
    assert (found.wins.tolist(), found.low.tolist(), found.high.tolist()) == ([0, 1, 0], [3, 1, 2], [3, 1, 2])
    turned = stability(values, None, "mean", np.random.default_rng(1), better="less", resamples=20)
    assert turned.wins.tolist() == [1, 0, 0]
    # of two policies of which one wins in a future of three: never drawn in (2/3)^3 of the resamples
    shaky = stability(
        np.array([[9.0, 0.0, 0.0], [1.0, 1.0, 1.0]]), None, "worst", np.random.default_rng(2), resamples=2000
    )
    assert shaky.wins[0] == pytest.approx(1 / 27, abs=0.015)
    assert (shaky.low.tolist(), shaky.high.tolist()) == ([2, 1], [2, 1])
    even = stability(
        np.array([[9.0, 0.0, 0.0], [1.0, 1.0, 1.0]]), None, "mean", np.random.default_rng(2), resamples=2000
    )
    assert even.wins[0] == pytest.approx(1 - 8 / 27, abs=0.04)
    assert (even.low.tolist(), even.high.tolist()) == ([1, 1], [2, 2])


def test_demands_are_resampled_with_their_futures() -> None:
    found = stability(VALUES, MET, "satisfied", np.random.default_rng(3), resamples=2000)
    whole = stability(VALUES, ~MET, "satisfied", np.random.default_rng(3), resamples=2000)
    assert found.wins[0] > 0.7 > 0.5 > whole.wins[0]
    assert stability(VALUES, None, "best", np.random.default_rng(3)).wins.sum() == pytest.approx(1)


def test_groups_are_judged_alone_and_with_their_own_demands() -> None:
    found = winners_by_group(VALUES, MET, ["M0", "M1", "M0", "M1"])
    assert list(found) == ["M0", "M1"]
    assert found["M0"] == winners(measures(VALUES[:, [0, 2]], MET[:, [0, 2]]))
    assert found["M1"] == winners(measures(VALUES[:, [1, 3]], MET[:, [1, 3]]))
    assert (found["M0"]["mean"], found["M1"]["mean"]) == (0, 1)
    assert winners_by_group(VALUES, None, ["M0"] * 4, "less")["M0"]["mean"] == 1
