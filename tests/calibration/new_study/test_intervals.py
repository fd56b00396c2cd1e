"""Readings that are intervals: below a limit of detection, above one, rounded heads; and several of one time."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import cipark
from scipy import stats

import cipark_sd as cp
from calibration.likelihood.posterior import posterior
from calibration.study.observations import Count
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd.engines.registry import choose

Write = Callable[..., Path]
DRUG = """
Blood = INTEG(-k * Blood, dose) ~ mg ~ |
conc = Blood / volume ~ mg/l ~ |
k = 0.4 ~ 1/Hour ~ |
dose = 20 ~ mg ~ |
volume = 5 ~ l ~ |
"""
READINGS = [(1, "2.6"), (1, "2.9"), (2, "1.7"), (4, "0.9"), (4, "0.7"), (8, "<0.2"), (8, "0.21"), (10, "<0.2")]


@pytest.fixture
def drug(write_mdl: Write, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = write_mdl(DRUG, name="drug.mdl", final=10, step=0.125)
    path.write_text(path.read_text().replace("~ Year ~", "~ Hour ~"))
    monkeypatch.chdir(path.parent)
    return path


def counts(problem: CalibrationProblem) -> list[tuple[float, float, float]]:
    return [(t.moment, t.lower, t.upper) for t in problem.terms if isinstance(t, Count)]


def by_hand(spread: float, *, k: float = 0.4) -> float:
    """The log likelihood of the readings under a lognormal error, from SciPy."""
    total = 0.0
    for time, text in READINGS:
        median = 4.0 * (1 - 0.125 * k) ** round(time / 0.125)
        law = stats.lognorm(spread, scale=median)
        total += law.logcdf(float(text[1:])) if text.startswith("<") else law.logpdf(float(text))
    return total


def test_several_readings_and_those_below_a_limit_have_the_likelihood_of_both(drug: Path) -> None:
    Path("d.csv").write_text("hour,conc\n" + "".join(f"{t},{x}\n" for t, x in READINGS))
    made = cipark("new-study", "drug.mdl", "d.csv")
    assert "3 of the times have several rows: readings of the same" in made.output
    assert "2 of the numbers are intervals: known as below or above a number" in made.output
    problem = read_problem(Path("d"))
    assert counts(problem)[5:] == [(8, 0, 0.2), (8, 0.21, 0.21), (10, 0, 0.2)]
    density = posterior(problem, choose("native"))
    for spread in (0.1, 0.3):
        theta = np.array([[spread if p.target == "noise" else p.prior.median for p in problem.space]])  # type: ignore[attr-defined]
        assert density.log_likelihood(theta)[0] == pytest.approx(by_hand(spread), rel=1e-9)


def test_a_column_that_numbers_replicates_tells_no_series_apart(drug: Path) -> None:
    lines = [f"{t},{'AB'[i % 2]},{x},{x}\n" for i, (t, x) in enumerate(2 * READINGS)]
    Path("d.csv").write_text("hour,Replicate,conc,other\n" + "".join(lines))
    made = cipark("new-study", "drug.mdl", "d.csv")
    assert "5 of the times have several rows: readings of the same" in made.output
    assert len(counts(read_problem(Path("d")))) == 2 * len(READINGS)
    Path("n.csv").write_text(
        "hour,Replicate,conc\n" + "".join(f"{t},{i % 2 + 1},{x}\n" for i, (t, x) in enumerate(READINGS))
    )
    made = cipark("new-study", "drug.mdl", "n.csv")
    assert "Replicate\tnothing\t-\tnumbers repeated readings, of which each is a row\t-" in made.output
    Path("e.csv").write_text("hour,Patient,conc,other\n" + "".join(lines))
    refused = cipark("new-study", "drug.mdl", "e.csv", code=2)
    # a column of readings with limits is none of texts
    assert "of different Patient: --series-by Patient" in refused.output
    assert "If such rows are repeated readings of the same, rename the column to Replicate" in refused.output


def test_python_reads_the_same(drug: Path) -> None:
    frame = pd.DataFrame(READINGS, columns=["hour", "conc"])
    assert counts(cp.Study(str(drug), frame).problem)[4:6] == [(4, 0.7, 0.7), (8, 0, 0.2)]


@pytest.mark.parametrize(
    ("variable", "cells", "ends"),
    [
        # measured with the same error everywhere: below a limit is anything below
        ("conc", ("3", "2.9", "2.8", "<2.7", "2.6", "≤2.5"), [(3, 3), (2.9, 2.9), (2.8, 2.8), (-math.inf, 2.7)]),
        ("conc", ("3.5", ">50", "5", "50", "20", "8"), [(3.5, 3.5), (50, math.inf), (5, 5)]),
        # counts below 5 are 4 at most
        ("gone", ("12", "<5", "7", ">=8", "0", ">8"), [(12, 12), (0, 4), (7, 7), (8, math.inf), (0, 0), (9, math.inf)]),
    ],
)
def test_what_is_below_or_above_is_as_the_noise_has_it(
    write_mdl: Write,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    cells: tuple[str, ...],
    ends: list[tuple[float, float]],
) -> None:
    model = write_mdl(DRUG + "Left = INTEG(gone, 0) ~~|gone = k * Blood ~~|", name="drug.mdl", final=10)
    monkeypatch.chdir(model.parent)
    Path("d.csv").write_text(f"t,{variable}\n" + "".join(f"{i},{x}\n" for i, x in enumerate(cells, 1)))
    cipark("new-study", "drug.mdl", "d.csv")
    assert [pair for _, *pair in counts(read_problem(Path("d")))][: len(ends)] == [list(pair) for pair in ends]


@pytest.mark.parametrize(
    ("cells", "half"),
    [
        ((12, 12, 13, 13, 14, 14, 14, 13), 0.5),
        ((12.5, 12, 13, 13, 14, 14, 14, 13), 0.0),
        ((112, 112, 113, 113, 114, 114, 114, 113), 0.0),
        # as far from any curve as independent counts are
        ((12, 20, 9, 17, 11, 22, 8, 15), 0.0),
    ],
)
def test_heads_are_intervals_of_width_one(
    write_mdl: Write, monkeypatch: pytest.MonkeyPatch, cells: tuple[float, ...], half: float
) -> None:
    model = write_mdl("Staff = INTEG(hire - Staff/stay, 12) ~~|hire = 2 ~~|stay = 6 ~~|", final=10)
    monkeypatch.chdir(model.parent)
    Path("d.csv").write_text("t,staff\n" + "".join(f"{i},{x}\n" for i, x in enumerate(cells, 1)))
    made = cipark("new-study", model.name, "d.csv")
    seen = counts(read_problem(Path("d")))
    assert [(lower, upper) for _, lower, upper in seen] == [(x - half, x + half) for x in cells]
    assert ("rounded to whole ones" in made.output) == bool(half)
