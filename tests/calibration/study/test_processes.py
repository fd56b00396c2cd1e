"""Innovations on flows and constants: what they do to a run, what a study may say, and how a forecast goes on."""

import math
from pathlib import Path

import numpy as np
import pytest
from small_study import COUNTS, MODEL, STUDY

from calibration.assess.forecast import forecast
from calibration.fit.verification import not_possible
from calibration.likelihood.posterior import On, Posterior, posterior
from calibration.likelihood.replicate import replaced, replicate
from calibration.sampling.draws import draw, problem_digest
from calibration.sampling.effort import Effort
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd.engines.registry import choose
from cipark_sd.errors import CiparkError

WALK = """
[[process]]
name = "Shock"
on = "rate"
every = 1
size = { family = "half-normal", sd = 0.5 }
persistence = 1
"""
SIZE, RATE = 0.3, 0.2


def study(folder: Path, process: str = WALK) -> CalibrationProblem:
    (folder / "leaving.mdl").write_text(MODEL, encoding="utf-8")
    (folder / "problem.toml").write_text(STUDY + process, encoding="utf-8")
    totals = np.cumsum(COUNTS)
    lines = "".join(f"{year},{total}\n" for year, total in enumerate(totals, start=1))
    (folder / "left.csv").write_text("time,left\n" + lines, encoding="utf-8")
    return read_problem(folder)


def by_hand(innovations: np.ndarray, persistence: float, size: float = 100.0) -> list[float]:
    """Yearly departures by Euler's method, written out."""
    stock, level, left = size, 0.0, []
    for innovation in innovations:
        level = persistence * level + SIZE * innovation
        before = stock
        for _ in range(8):
            stock -= stock * RATE * math.exp(level) / 8
        left.append(before - stock)
    return left


@pytest.mark.parametrize("persistence", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("on", ["rate", "leaving", "LEAVING"])
def test_innovations_move_a_constant_or_a_flow(tmp_path: Path, on: str, persistence: float) -> None:
    text = WALK.replace('"rate"', f'"{on}"').replace("persistence = 1", f"persistence = {persistence}")
    problem = study(tmp_path, text)
    names = problem.space.names
    assert names[:3] == ("size", "rate", "Shock Size")
    assert names[3:] == tuple(f"Shock from {year}" for year in range(8))
    z = np.random.default_rng(1).standard_normal(8)
    theta = np.array([[100.0, RATE, SIZE, *z]])
    np.testing.assert_allclose(
        posterior(problem, choose("native")).quantities(theta)[0], by_hand(z, persistence), rtol=1e-12
    )


def test_without_innovations_the_run_is_that_of_the_file(tmp_path: Path) -> None:
    theta = np.array([[100.0, RATE, SIZE, *np.zeros(8)]])
    plain = study(tmp_path, "")
    expected = posterior(plain, choose("native")).quantities(theta[:, :2])
    problem = study(tmp_path)
    np.testing.assert_array_equal(posterior(problem, choose("native")).quantities(theta), expected)
    assert problem_digest(problem) != problem_digest(plain)
    assert "innovations" in not_possible(problem, "native")


def test_persistence_may_be_estimated_and_a_size_be_known(tmp_path: Path) -> None:
    text = WALK.replace("persistence = 1", 'persistence = { family = "beta", a = 2, b = 2 }')
    problem = study(tmp_path, text.replace('{ family = "half-normal", sd = 0.5 }', "0.3"))
    assert problem.space.names[2] == "Shock Persistence"
    z = np.random.default_rng(2).standard_normal(8)
    theta = np.array([[100.0, RATE, 0.6, *z]])
    np.testing.assert_allclose(posterior(problem, choose("native")).quantities(theta)[0], by_hand(z, 0.6), rtol=1e-12)


def broken(density: Posterior) -> Posterior:
    """Data of many firms whose rate falls to a third after four years, which no constant rate can follow."""
    stock, counts = 600.0, []
    for year in range(8):
        left = stock * (1 - math.exp(-(0.3 if year < 4 else 0.1)))
        stock -= left
        counts.append(round(left))
    return replaced(density, np.array(counts, dtype=float), np.random.default_rng(1))


def test_a_forecast_admits_structural_error(tmp_path: Path) -> None:
    """Without innovations the band after a break misses the truth; with them it holds it and widens with time."""
    ends, medians = {}, {}
    for process in ("", WALK):
        study(
            tmp_path, process.replace("every = 1", "every = 2").replace('{ family = "half-normal", sd = 0.5 }', "0.5")
        )
        text = (tmp_path / "problem.toml").read_text("utf-8").replace("[10, 1000]", "[100, 30000]")
        (tmp_path / "problem.toml").write_text(text.replace("median = 100", "median = 600"), encoding="utf-8")
        problem = read_problem(tmp_path)
        density = broken(posterior(problem, choose("native")))
        found = draw(density, np.random.default_rng(3), effort=Effort(effective=1000))
        assert found.sampled.converged
        rows = forecast(density.problem, On("native"), found.flat, np.random.default_rng(4))
        last = rows[-1]
        ends[bool(process)] = np.array([row.quantiles[7] - row.quantiles[1] for row in rows])
        medians[bool(process)] = last.quantiles
    true_total = 600 * (1 - math.exp(-4 * 0.3 - 8 * 0.1))
    assert not medians[False][0] <= true_total <= medians[False][-1]
    assert medians[True][1] <= true_total <= medians[True][7]
    assert (np.diff(ends[True]) > 0).all()
    assert (ends[True] > 2 * ends[False]).all()


def test_forecast_draws_continue_the_innovations(tmp_path: Path) -> None:
    """A walk of known size: the spread of the log of the rate grows by its square each year."""
    problem = study(tmp_path, WALK.replace('{ family = "half-normal", sd = 0.5 }', "0.3"))
    theta = np.tile([1e9, 1e-6, *np.zeros(8)], (4000, 1))
    density = posterior(problem, choose("native"))
    assert replicate(density, theta, np.random.default_rng(1))[:, -1].std() < 40
    rows = forecast(problem, On("native"), theta, np.random.default_rng(1))
    first = np.log((np.array(rows[0].quantiles) - rows[0].level[0]) / 1000)  # type: ignore[index]
    assert first[5] - first[4] == pytest.approx(0.3 * 0.6745, rel=0.25)
    assert [row.time for row in rows] == [9, 10, 11, 12]


@pytest.mark.parametrize(
    ("process", "expected"),
    [
        (WALK.replace('"rate"', '"rat"'), "rate"),
        (WALK.replace('"rate"', '"stock"'), "a constant, an auxiliary or a flow, not the stock it is"),
        (WALK.replace("every = 1", "every = 0"), "a positive time"),
        (WALK.replace("every = 1", "every = 0.001"), "from 1 to 400 windows"),
        (WALK.replace("persistence = 1", "persistence = 1.5"), "a number, 0 to 1, or a prior"),
        (WALK.replace("half-normal", "half-moon"), "half-moon"),
        (WALK + WALK, "each once"),
        (WALK.replace('"Shock"', '"Size of Shock"\nwidth = 3'), "width"),
    ],
)
def test_what_is_wrong_with_a_process_is_told(tmp_path: Path, process: str, expected: str) -> None:
    with pytest.raises(CiparkError) as raised:
        study(tmp_path, process)
    assert expected in str(raised.value)
