"""What the priors make impossible is named before any search, with the rule; what is possible is not mentioned."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from small_study import small_study

from calibration.fit.feasibility import Impossible, impossible_terms
from calibration.likelihood.posterior import posterior
from calibration.study.problem import read_problem
from cipark_sd.engines.registry import choose

LEVEL = [('kind = "increments"', 'kind = "level"'), ('variable = "left"', 'variable = "stock"'), ("start = 0.0\n", "")]


def named(folder: Path, changes: list[tuple[str, str]], model: tuple[str, str] = ("", "")) -> tuple[Impossible, ...]:
    small_study(folder)
    for name, pairs in (("problem.toml", changes), ("leaving.mdl", [model])):
        text = (folder / name).read_text(encoding="utf-8")
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new, 1) if old else text
        (folder / name).write_text(text, encoding="utf-8")
    return impossible_terms(posterior(read_problem(folder), choose("numpy")), 1)


def test_a_possible_study_has_nothing_to_say(tmp_path: Path) -> None:
    assert named(tmp_path, []) == ()
    assert named(tmp_path, LEVEL) == ()


def test_a_level_that_falls_below_nothing_is_named_with_its_share(tmp_path: Path) -> None:
    """The stock falls by a line: below 0 at time 8 where 320 times the rate is above the size."""
    (line,) = named(tmp_path, LEVEL, ("stock * rate * pace", "40 * rate * pace"))
    assert "'left 8' impossible: a count is around no negative number, and stock is -" in str(line)
    assert (line.n, line.at_file) == (200, False)
    # log(320 rate / size) is normal around log(0.64) with standard deviation 0.5 sqrt(2); bounds cut next to nothing
    assert line.share == pytest.approx(stats.norm.cdf(np.log(0.64) / np.sqrt(0.5)), abs=4 * np.sqrt(0.25 * 0.75 / 200))


def test_what_no_draw_makes_possible_is_so_at_the_medians_too(tmp_path: Path) -> None:
    (line,) = named(tmp_path, [], ("pace = 1", "pace = 0"))
    assert (line.share, line.n, line.at_file) == (1, 200, True)
    assert "impossible, and at the prior medians: 22 were counted where the model has none at all of left" in str(line)


def test_draws_with_which_the_model_fails_are_left_out(tmp_path: Path) -> None:
    """A rate above 0.25, in a third of the draws, divides by nothing."""
    (line,) = named(tmp_path, LEVEL, ("stock * rate * pace", "80 * rate / MAX(0, 0.25 - rate) * 0.25"))
    assert line.n == pytest.approx(200 * stats.norm.cdf(np.log(0.25 / 0.2) / 0.5), abs=4 * np.sqrt(200 * 0.22))
