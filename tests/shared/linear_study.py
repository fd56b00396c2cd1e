"""A study whose posterior, evidence and expected widths are known in closed form: a line, seen with normal noise."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import multivariate_normal

from calibration.study.problem import CalibrationProblem, read_problem

MODEL = """{UTF-8}
Level = INTEG(On Rise * Rise, Start) ~ firm ~ |
Start = 1 ~ firm ~ |
Rise = 0.5 ~ firm/Year ~ |
On Rise = 1 ~ 1 ~ |
INITIAL TIME = 0 ~ Year ~ |
FINAL TIME = 6 ~ Year ~ |
TIME STEP = 0.25 ~ Year ~ |
SAVEPER = TIME STEP ~ Year ~ |
"""
STUDY = """title = "A line"
[model]
file = "line.mdl"
[[observation]]
name = "level"
table = "level.csv"
kind = "level"
variable = "Level"
time = "time"
value = "level"
family = "normal"
sd = 1.0
[[parameter]]
name = "Start"
bounds = [-40, 40]
prior = { family = "normal", mean = 0, sd = 2 }
[[parameter]]
name = "Rise"
bounds = [-20, 20]
prior = { family = "normal", mean = 0, sd = 0.5 }
[method]
starts = 2
fast_starts = 2
[[rival]]
name = "rising"
why = "it rises"
set = {}
[[rival]]
name = "flat"
why = "it does not rise"
set = { "On Rise" = 0 }
"""
TIMES, SEEN = np.arange(1.0, 7.0), np.array([0.4, 2.1, 1.2, 2.6, 1.9, 3.4])
#: Derivatives of the level at :data:`TIMES` by the normal scores of start and rise, under each structure.
SLOPES = {name: np.column_stack([np.full(6, 2.0), on * 0.5 * TIMES]) for name, on in (("rising", 1.0), ("flat", 0.0))}


def linear_study(folder: Path, question: str = "") -> CalibrationProblem:
    """The study, in a folder of its own, with a ``power.toml``."""
    folder.mkdir()
    (folder / "line.mdl").write_text(MODEL)
    (folder / "problem.toml").write_text(STUDY)
    rows = "\n".join(f"{time},{seen}" for time, seen in zip(TIMES, SEEN, strict=True))
    (folder / "level.csv").write_text(f"time,level\n{rows}\n")
    if question:
        (folder / "power.toml").write_text(question)
    return read_problem(folder)


def log_evidence(name: str, seen: NDArray[np.float64] = SEEN) -> float:
    """Of a structure, numbers being jointly normal."""
    slopes = SLOPES[name]
    return float(multivariate_normal(np.zeros(6), np.eye(6) + slopes @ slopes.T).logpdf(seen))


def posterior(name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and covariance of the normal scores."""
    slopes = SLOPES[name]
    covariance = np.linalg.inv(np.eye(2) + slopes.T @ slopes)
    return covariance @ slopes.T @ SEEN, covariance
