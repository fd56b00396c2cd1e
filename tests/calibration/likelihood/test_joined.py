"""Counts of a part given the whole: against a multinomial over all dates, members one by one, and in a fit."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from small_study import MODEL, PARAMETERS

from calibration.inference.judge.residuals import fitted
from calibration.inference.profile.interval_rules import standard_errors
from calibration.inference.search.optimise import optimise
from calibration.likelihood.posterior import Posterior, posterior
from calibration.likelihood.replicate import replaced, replicate
from calibration.study.problem import read_problem
from cipark_sd.base.errors import CiparkError
from cipark_sd.engines.registry import choose

STUDY = f"""
title = "who has left"
[model]
file = "leaving.mdl"
[[observation]]
name = "left"
table = "left.csv"
kind = "share"
numerator = "left"
denominator = ["left", "stock"]
time = "time"
lower = "low"
upper = "high"
total = "counted"
start = 0.0
family = "binomial"
{PARAMETERS.split("[[parameter]]")[2].join(["[[parameter]]", ""])}[method]
starts = 4
estimate = "ml"
"""
EXACT = "time,low,high,counted\n2,7,7,30\n3,11,11,30\n6,20,20,30\n"
COARSE = "time,low,high,counted\n2,7,7,30\n3,9,12,30\n6,18,20,30\n8,21,21,30\n"


def study(folder: Path, table: str = EXACT, text: str = STUDY) -> Posterior:
    (folder / "leaving.mdl").write_text(MODEL, encoding="utf-8")
    (folder / "left.csv").write_text(table, encoding="utf-8")
    (folder / "problem.toml").write_text(text, encoding="utf-8")
    return posterior(read_problem(folder), choose("native"))


def gone(times: list[float], rate: float) -> np.ndarray:
    """Shares that have left by each time, by Euler's steps of the model file."""
    return 1 - (1 - rate / 8) ** (8 * np.array(times))


@pytest.mark.parametrize("table", [EXACT, COARSE], ids=["exact", "intervals"])
def test_rows_together_are_one_multinomial_over_all_dates(tmp_path: Path, table: str) -> None:
    """Each of thirty leaves in one of the windows or in none; an interval is a sum over what may have been."""
    density = study(tmp_path, table)
    rows = [tuple(map(float, line.split(","))) for line in table.splitlines()[1:]]
    for rate in (0.1, 0.3):
        left = gone([row[0] for row in rows], rate)
        cells = np.diff(np.concatenate([[0], left, [1]]))
        mass = 0.0
        for counts in product(*(range(int(low), int(high) + 1) for _, low, high, _ in rows)):
            steps = np.diff([0, *counts, 30])
            mass += stats.multinomial.pmf(steps, 30, cells) if (steps >= 0).all() else 0.0
        assert density.log_likelihood(np.array([[rate]]))[0] == pytest.approx(np.log(mass), rel=1e-9)


def test_a_growing_whole_gives_its_new_members_the_same_chance(tmp_path: Path) -> None:
    """Forty are there at the third date; those who had left before are known, and each other one has left or not."""
    density = study(tmp_path, EXACT.replace("6,20,20,30", "6,20,20,40"))
    left = gone([3, 6], 0.2)
    chance = (left[1] - left[0]) / (1 - left[0])
    expected = stats.binom.logpmf(9, 29, chance)
    assert density.pointwise(np.array([[0.2]]))[0, 2] == pytest.approx(expected, rel=1e-9)
    row = fitted(density, np.array([0.2])).iloc[2]
    assert row["expected"] == pytest.approx(11 + 29 * chance, rel=1e-9)
    assert row["sd"] == pytest.approx(np.sqrt(29 * chance * (1 - chance)), rel=1e-6)


def test_draws_are_members_one_by_one(tmp_path: Path) -> None:
    density = study(tmp_path, COARSE)
    n = 20_000
    drawn = replicate(density, np.full((n, 1), 0.2), np.random.default_rng(1))
    rng = np.random.default_rng(2)
    # thirty members who leave at times of their own; courses that agree with the rows before are kept
    steps = rng.geometric(0.2 / 8, size=(400_000, 30)) / 8
    counts = np.stack([(steps <= time).sum(axis=1) for time in (2, 3, 6, 8)], axis=1)
    agree = (counts[:, 0] == 7) & (counts[:, 1] >= 9) & (counts[:, 1] <= 12)
    kept = counts[agree, 2]
    assert drawn[:, 2].mean() == pytest.approx(kept.mean(), abs=5 * kept.std() / np.sqrt(min(n, len(kept))))
    assert drawn[:, 2].std() == pytest.approx(kept.std(), rel=0.05)


def test_the_rate_is_recovered_and_its_standard_error_is_right(tmp_path: Path) -> None:
    density = study(tmp_path, "time,low,high,counted\n1,20,20,100\n2,35,35,150\n4,60,62,150\n7,100,100,180\n")
    rng, pulls = np.random.default_rng(5), []
    for _ in range(40):
        made = replaced(density, replicate(density, np.array([[0.2]]), rng)[0], rng)
        best = optimise(made, starts=2, rng=np.random.default_rng(1), estimate="ml")
        pulls.append((best.theta[0] - 0.2) / standard_errors(best)[0]["rate"])
    assert abs(np.mean(pulls)) < 3 / np.sqrt(40)
    assert 0.7 < np.std(pulls) < 1.35


@pytest.mark.parametrize(
    ("table", "text", "expected"),
    [
        (EXACT.replace("6,20,20", "6,9,9"), STUDY, "no fewer than the 11 of the row before"),
        (EXACT.replace("6,20,20", "6,31,31"), STUDY, "between 0 and the total"),
        (EXACT, STUDY.replace("start = 0.0", 'start = 0.0\nstart_time = "low"'), "names the column of the windows"),
        (
            EXACT,
            STUDY.replace(
                "[[parameter]]",
                '[[observation]]\nname = "again"\ntable = "left.csv"\nkind = "increments"\nvariable = "left"\n'
                'time = "time"\nvalue = "low"\nstart = 0.0\nfamily = "poisson"\n[[parameter]]',
                1,
            ),
            "count the same events twice",
        ),
    ],
)
def test_what_cannot_be_is_told(tmp_path: Path, table: str, text: str, expected: str) -> None:
    with pytest.raises(CiparkError) as raised:
        study(tmp_path, table, text)
    assert expected in str(raised.value)
