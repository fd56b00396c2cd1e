"""What the priors make impossible is named with the rule; what is possible is not mentioned."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from command_line import cipark
from scipy import stats
from small_study import small_study

from calibration.inference.sample.failed_draws import _rule, impossible_terms
from calibration.inference.search.optimise import NothingFits
from calibration.likelihood.posterior import posterior
from calibration.noise.families.counts import Poisson
from calibration.noise.families.measurements import Lognormal
from calibration.study.observations import Breakdown, Count, Share
from calibration.study.problem import read_problem, until
from cipark_sd.engines.registry import choose

LEVEL = [('kind = "increments"', 'kind = "level"'), ('variable = "left"', 'variable = "stock"'), ("start = 0.0\n", "")]


def named(folder: Path, changes: list[tuple[str, str]], model: tuple[str, str] = ("", "")) -> tuple[str, ...]:
    small_study(folder)
    for name, pairs in (("problem.toml", changes), ("leaving.mdl", [model])):
        text = (folder / name).read_text(encoding="utf-8")
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new, 1) if old else text
        (folder / name).write_text(text, encoding="utf-8")
    return impossible_terms(posterior(read_problem(folder), choose("numpy")), 1)


def share_and_n(line: str) -> tuple[float, int]:
    """The share of the draws that a line names, and of how many."""
    percent, n = re.findall(r"([\d.]+)% of (\d+) prior draws", line)[0]
    return float(percent) / 100, int(n)


def test_a_possible_study_has_nothing_to_say(tmp_path: Path) -> None:
    assert named(tmp_path, []) == ()
    assert named(tmp_path, LEVEL) == ()


def test_a_level_that_falls_below_nothing_is_named_with_its_share(tmp_path: Path) -> None:
    """The stock falls by a line: below 0 at time 8 where 320 times the rate is above the size."""
    (line,) = named(tmp_path, LEVEL, ("stock * rate * pace", "40 * rate * pace"))
    assert "'left 8' impossible: a count is around no negative number, and stock is -" in line
    share, n = share_and_n(line)
    assert n == 200
    # log(320 rate / size) is normal around log(0.64) with standard deviation 0.5 sqrt(2); bounds cut next to nothing
    assert share == pytest.approx(stats.norm.cdf(np.log(0.64) / np.sqrt(0.5)), abs=4 * np.sqrt(0.25 * 0.75 / 200))


@pytest.mark.parametrize("falls", [True, False])
def test_a_fit_of_which_nothing_is_possible_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, falls: bool
) -> None:
    def no_search(*arguments: Any, **named: Any) -> None:
        raise NothingFits("leaving", 16)

    named(tmp_path, LEVEL, ("stock * rate * pace", "40 * rate * pace") if falls else ("", ""))
    monkeypatch.setattr("calibration.commands.pipeline.optimise", no_search)
    monkeypatch.chdir(tmp_path)
    said = cipark("calibrate", tmp_path, "--engine", "numpy", code=2).output
    warned, _, _ = said.partition("error: leaving: the data are impossible at all 16 points")
    assert warned != said
    assert ("'left 8' impossible: a count is around no negative number" in warned) == falls


def test_what_no_draw_makes_possible_is_so_at_the_medians_too(tmp_path: Path) -> None:
    (line,) = named(tmp_path, [], ("pace = 1", "pace = 0"))
    assert share_and_n(line) == (1, 200)
    assert "impossible, and at the prior medians: 22 were counted where the model has none at all of left" in line


def test_draws_with_which_the_model_fails_are_left_out(tmp_path: Path) -> None:
    """A rate above 0.25, in a third of the draws, divides by nothing."""
    (line,) = named(tmp_path, LEVEL, ("stock * rate * pace", "80 * rate / MAX(0, 0.25 - rate) * 0.25"))
    assert share_and_n(line)[1] == pytest.approx(
        200 * stats.norm.cdf(np.log(0.25 / 0.2) / 0.5), abs=4 * np.sqrt(200 * 0.22)
    )


def test_numbers_that_are_not_fitted_make_nothing_impossible(tmp_path: Path) -> None:
    """Of the stock that falls below nothing at time 8 in a quarter of the draws, the first two numbers are fitted."""
    (line,) = named(tmp_path, LEVEL, ("stock * rate * pace", "40 * rate * pace"))
    assert "'left 8'" in line
    assert impossible_terms(posterior(until(read_problem(tmp_path), 2.0), choose("numpy")), 1) == ()


@pytest.mark.parametrize(("n_impossible", "n_named"), [(10, 0), (11, 1)])
def test_more_than_a_twentieth_of_the_draws_is_named(tmp_path: Path, n_impossible: int, n_named: int) -> None:
    problem = small_study(tmp_path)
    logs = np.zeros((201, len(problem.terms)))
    logs[1 : 1 + n_impossible, 3] = -np.inf
    density: Any = SimpleNamespace(
        space=problem.space,
        problem=problem,
        pointwise=lambda theta, fitted_only: logs,
        by_term=lambda theta: [np.full((201, 1), 2.0) for _ in problem.terms],
    )
    found = impossible_terms(density, 1)
    assert len(found) == n_named
    assert all("'left 4' impossible" in line and line.startswith("left: 5.5%") for line in found)


@pytest.mark.parametrize(
    ("family", "expected", "rule"),
    [
        (Poisson(), -1.0, "a count is around no negative number, and left is -1"),
        (Poisson(), 0.0, "22 were counted where the model has none at all of left"),
        (Poisson(), 3.0, "22 is out of reach of the noise around 3"),
        (Lognormal(), 0.0, "lognormal noise is around positive numbers, and left is 0"),
        (Lognormal(), 0.5, "22 is out of reach of the noise around 0.5"),
    ],
)
def test_the_rule_says_what_the_noise_allows(tmp_path: Path, family: Any, expected: float, rule: str) -> None:
    term = small_study(tmp_path).terms[0]
    assert isinstance(term, Count)
    noisy = replace(term, noise=replace(term.noise, family=family))
    assert _rule(noisy, np.array([[expected - 1], [expected], [expected + 1]])) == rule


def test_the_rules_of_parts_of_a_whole() -> None:
    assert _rule(object.__new__(Share), np.zeros((1, 2))) == "the part is no more than the whole, and not below 0"
    rule = "no category is negative, and all together are above 0"
    assert _rule(object.__new__(Breakdown), np.zeros((1, 2))) == rule
