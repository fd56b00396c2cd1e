"""Statistics of data against replicates: quiet where the model made the data, loud where a fault is planted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_study import STUDY, small_study

from calibration.assess.posterior_predictive import COUNTS, MEASUREMENTS, Series, dependence, discrepancies, yearly
from calibration.likelihood.posterior import Posterior, posterior
from calibration.likelihood.replicate import replaced, replicate
from calibration.study.problem import read_problem
from cipark_sd.engines.registry import choose

THETA = np.array([5000.0, 0.25])
N = 2000


@pytest.fixture(scope="module")
def density(tmp_path_factory: pytest.TempPathFactory) -> Posterior:
    """Twelve half-yearly counts, their parameters known."""
    folder = tmp_path_factory.mktemp("study")
    small_study(folder)
    lines = "".join(f"{0.5 * i},{100 * i}\n" for i in range(1, 13))
    (folder / "left.csv").write_text("time,left\n" + lines, encoding="utf-8")
    return posterior(read_problem(folder), choose("native"))


def judged(density: Posterior, counts: np.ndarray) -> dict[str, bool]:
    known = replaced(density, counts, np.random.default_rng(1))
    theta = np.tile(THETA, (N, 1))
    lines = discrepancies(known, theta, replicate(known, theta, np.random.default_rng(2)))
    return {line.name: line.fails for line in lines}


def test_the_range_of_a_statistic_is_that_of_ninety_five_of_a_hundred_replicates(density: Posterior) -> None:
    known = replaced(density, right(density, 3), np.random.default_rng(1))
    theta = np.tile(THETA, (N, 1))
    copies = replicate(known, theta, np.random.default_rng(2))
    line = next(line for line in discrepancies(known, theta, copies) if line.name == "the largest count")
    largest = copies.max(axis=1)
    assert 0.02 < (largest < line.low).mean() <= 0.025 <= (largest <= line.low).mean()
    assert 0.02 < (largest > line.high).mean() <= 0.025 <= (largest >= line.high).mean()
    assert (largest < line.median).mean() <= 0.5 <= (largest <= line.median).mean()


def right(density: Posterior, seed: int) -> np.ndarray:
    return np.asarray(replicate(density, THETA[None], np.random.default_rng(seed))[0])


def test_right_data_fail_as_often_as_said(density: Posterior) -> None:
    """With known parameters the probabilities are uniform: one study in twenty fails, of sixty not more than seven."""
    failures = [any(judged(density, right(density, seed)).values()) for seed in range(60)]
    assert sum(failures) <= 7


def test_the_statistics_go_by_the_kind_of_data(density: Posterior, tmp_path: Path) -> None:
    assert list(judged(density, right(density, 1))) == list(COUNTS)
    small_study(tmp_path)
    (tmp_path / "problem.toml").write_text(STUDY.replace('"poisson"', '"normal"\nsd = 3.0'), encoding="utf-8")
    measured = posterior(read_problem(tmp_path), choose("native"))
    theta = np.tile([100.0, 0.2], (N, 1))
    lines = discrepancies(measured, theta, replicate(measured, theta, np.random.default_rng(2)))
    assert [line.name for line in lines] == list(MEASUREMENTS)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("the largest count", lambda counts: counts + 400 * (np.arange(12) == 4)),
        ("the scatter of residuals", lambda counts: counts + 80 * (-1.0) ** np.arange(12)),
        ("the dependence between neighbours", lambda counts: counts + 60 * np.sin(np.arange(12) / 2)),
        ("the dependence between neighbours", lambda counts: counts + 50 * (-1.0) ** np.arange(12)),
        ("the number of windows without an event", lambda counts: counts * (np.arange(12) != 7)),
        ("the scatter of yearly sums", lambda counts: counts + 60 * (np.arange(12) // 2 % 3 - 1)),
    ],
)
def test_a_planted_fault_fails_and_is_a_sentence(density: Posterior, name: str, fault: object) -> None:
    counts = np.round(fault(right(density, 3)))  # type: ignore[operator]
    known = replaced(density, counts, np.random.default_rng(1))
    theta = np.tile(THETA, (N, 1))
    lines = discrepancies(known, theta, replicate(known, theta, np.random.default_rng(2)))
    line = next(line for line in lines if line.name == name)
    assert line.fails
    assert line.sentence.startswith(f"left: {name} is ")
    assert ("less" if line.observed < line.median else "more") in line.sentence


def test_what_is_only_looked_at_has_no_part(density: Posterior) -> None:
    known = replaced(density, right(density, 1), np.random.default_rng(1))
    theta = np.tile(THETA, (N, 1))
    plain = discrepancies(known, theta, replicate(known, theta, np.random.default_rng(2)))
    observation = known.problem.observations[0]
    aside = replace(observation.terms[-1], use="check", lower=9e5, upper=9e5)
    problem = replace(known.problem, observations=(replace(observation, terms=(*observation.terms, aside)),))
    more = posterior(problem, choose("native"))
    assert discrepancies(more, theta, replicate(more, theta, np.random.default_rng(2))) == plain


def test_statistics_by_hand() -> None:
    residuals = np.array([[1.0, -1.0, 2.0, 0.0]])
    series = Series(residuals, residuals, np.array([1.0, 1.0, 2.0, 2.0]))
    assert dependence(series)[0] == pytest.approx((-1 - 2 + 0) / 3 / 1.5)
    assert yearly(series)[0] == pytest.approx((0 + (2 / np.sqrt(2)) ** 2) / 2)


#: A concentration that falls below what can be read, 0.1: from the seventh day on, of 100 e^-t.
LIMIT, DECAY = 0.1, np.array([100.0, 1.0])


def censored(folder: Path, rng: np.random.Generator, limit: float = LIMIT) -> Posterior:
    """Daily readings with a lognormal noise of a fifth, those below a limit as intervals from nothing to it."""
    small_study(folder)
    days = np.arange(1, 13)
    seen = 100 * np.exp(-days + 0.2 * rng.standard_normal(len(days)))
    rows = [
        f"{day},{0 if x < limit else x!r},{limit if x < limit else x!r}"
        for day, x in zip(days, map(float, seen), strict=True)
    ]
    (folder / "read.csv").write_text("time,low,high\n" + "\n".join(rows) + "\n", encoding="utf-8")
    parameters = STUDY[STUDY.index("[[parameter]]") :]
    (folder / "problem.toml").write_text(
        '[model]\nfile = "leaving.mdl"\n[[observation]]\nname = "read"\ntable = "read.csv"\nkind = "level"\n'
        'variable = "stock"\ntime = "time"\nvalue = "low"\nlower = "low"\nupper = "high"\n'
        'family = "lognormal"\nsd = 0.2\n' + parameters,
        encoding="utf-8",
    )
    return posterior(read_problem(folder), choose("native"))


def failing_of(density: Posterior, theta: np.ndarray) -> dict[str, float]:
    rows = np.tile(theta, (N, 1))
    lines = discrepancies(density, rows, replicate(density, rows, np.random.default_rng(2)))
    return {line.name: line.observed for line in lines if line.fails}


def euler(theta: np.ndarray) -> np.ndarray:
    """The rate with which Euler's steps of an eighth fall as fast as the exponential."""
    return np.array([theta[0], (1 - np.exp(-theta[1] / 8)) * 8])


def test_readings_below_a_limit_are_no_misfit_and_those_that_the_model_does_not_allow_are(tmp_path: Path) -> None:
    """The middle of an interval from 0 to 0.1 lies 20 deviations and more from the last numbers of a right model."""
    failed = 0
    for seed in range(20):
        density = censored(tmp_path, np.random.default_rng(seed))
        found = failing_of(density, euler(DECAY))
        failed += bool(found)
    assert failed <= 4
    # and where the model has a tenfold of the limit in the end, the interval says so
    assert failing_of(density, euler(np.array([100.0, 0.6])))["the largest residual"] > 5
