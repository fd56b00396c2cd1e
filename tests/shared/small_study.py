"""A small study for tests of inference: a decaying stock seen as yearly counts of what left it."""

from pathlib import Path

from calibration.study.problem import CalibrationProblem, read_problem

MODEL = """{UTF-8}
left = INTEG(leaving, 0) ~ firm ~ |
stock = INTEG(-leaving, size) ~ firm ~ |
leaving = stock * rate * pace ~ firm/year ~ |
size = 100 ~ firm ~ |
pace = 1 ~ Dmnl ~ |
rate = 0.2 ~ 1/year ~ |
INITIAL TIME = 0 ~ year ~ |
FINAL TIME = 12 ~ year ~ |
SAVEPER = TIME STEP ~ year ~ |
TIME STEP = 0.125 ~ year ~ |
"""

PARAMETERS = """[[parameter]]
name = "size"
bounds = [10, 1000]
prior = { family = "lognormal", median = 100, sigma = 0.5 }
[[parameter]]
name = "rate"
bounds = [0.01, 2]
prior = { family = "lognormal", median = 0.2, sigma = 0.5 }
"""

STUDY = f"""
title = "leaving"
[model]
file = "leaving.mdl"
[[observation]]
name = "left"
table = "left.csv"
kind = "increments"
variable = "left"
time = "time"
value = "left"
start = 0.0
family = "poisson"
{PARAMETERS}[method]
starts = 4
[holdout]
origins = ["5", "7"]
"""

#: A ``policies.toml`` of it.
POLICIES = """
title = "leaving"
times = [4, 8]
[headline]
outcome = "left"
at = 8
[[outcome]]
id = "left"
title = "Left"
variable = "left"
[[policy]]
id = "slow"
title = "Half the pace"
set = { pace = 0.5 }
expect = [{ outcome = "left", at = 8, is = "less" }, { outcome = "left", at = 8, is = "less", factor = 0.68 }]
[[policy]]
id = "fast"
title = "Twice the pace"
set = { pace = 2 }
expect = [{ outcome = "left", at = 8, is = "more" }]
[[policy]]
id = "nothing"
title = "Nothing"
set = { pace = 1 }
[[factor]]
id = "pace"
title = "Pace"
off = { pace = 0 }
"""

COUNTS = (22, 15, 13, 9, 11, 6, 4, 5)


def small_study(folder: Path, more: str = "") -> CalibrationProblem:
    (folder / "leaving.mdl").write_text(MODEL, encoding="utf-8")
    (folder / "problem.toml").write_text(STUDY + more, encoding="utf-8")
    total, lines = 0, ["time,left"]
    for year, count in enumerate(COUNTS, start=1):
        total += count
        lines.append(f"{year},{total}")
    (folder / "left.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_problem(folder)


def rival(name: str, settings: str = "", why: str = "a test") -> str:
    """A rival structure of the study, for ``more``."""
    return f'[[rival]]\nname = "{name}"\nwhy = "{why}"\nset = {{ {settings} }}\n'
