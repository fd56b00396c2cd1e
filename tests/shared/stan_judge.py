"""What Stan computes of the programs that ``study.stan()`` writes.

``python tests/shared/stan_judge.py FOLDER`` has Stan judge them, by pystan, and keeps programs and numbers in FOLDER;
``tests/calibration/front/stan`` is what it kept (pystan 3.10, httpstan 4.13).
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import cipark_sd as cp
from calibration.sampling.free_density import prior_draws
from calibration.study.priors import Exponential, Gamma, HalfNormal, Uniform

#: Points at which densities are compared.
POINTS = 20
TEA = """{UTF-8}
Heat Loss = Room Table(Tea) * MAX(Tea - Room, 0) / Delay ~~|
Room Table((0,0),(40,0.5),(80,1.5),(200,2)) ~~|
Tea = INTEG(-Heat Loss, 90) ~~|
Room = IF THEN ELSE(Time > 10 :AND: Step Up > 0, 20 + Step Up, 20) ~~|
Step Up = 2 ~~|
Delay = 10 ~~|
Seen = SMOOTH(Tea, Lag) ^ Power ~~|
Lag = 2 ~~|
Power = 1 ~~|
Poured = INTEG(MIN(Heat Loss, 5) + EXP(-Tea / 50) + PULSE(5, 2), 0) ~~|
INITIAL TIME = 0 ~~|
FINAL TIME = 20 ~~|
TIME STEP = 0.125 ~~|
SAVEPER = 1 ~~|
"""
PRIORS = {"Delay": Gamma(4, 3.0), "Lag": Exponential(2.0), "Step Up": HalfNormal(3.0), "Power": Uniform(0.5, 1.5)}


def tea(folder: Path) -> cp.Study:
    """A model by Euler's method with a table, a smooth, conditions and a pulse; a level, and counts of windows."""
    path = folder / "tea.mdl"
    path.write_text(TEA, encoding="utf-8")
    t = np.arange(1.0, 20.0)
    data = {"time": t, "seen": np.round(70 * np.exp(-t / 12) + 20 + np.sin(9 * t), 6), "poured": np.round(5 * t)}
    return cp.Study(path, pd.DataFrame(data), {"seen": "Seen", "poured": "Poured"}, priors=PRIORS)


def studies(folder: Path) -> dict[str, cp.Study]:
    """By name; ``flu_1978`` is integrated by Runge-Kutta's method, with counts of the second kind."""
    return {"tea": tea(folder), "flu_1978": cp.read_study("flu_1978")}


def points(study: cp.Study) -> np.ndarray:
    """Draws of the priors ``(POINTS, k)``."""
    return prior_draws(study.problem.space, POINTS, np.random.default_rng(3))


def judged(study: cp.Study) -> dict[str, Any]:
    """Stan's log density and its slopes at the points, by the parameters themselves."""
    import stan

    model, theta = stan.build(study.stan()), points(study)
    logs, slopes = [], []
    for row in theta:
        free = model.unconstrain_pars({f"p{i}": value for i, value in enumerate(row.tolist(), 1)})
        logs.append(model.log_prob(free, adjust_transform=False))
        by_free = zip(model.grad_log_prob(free), study.problem.space, row.tolist(), strict=True)
        slopes.append([_by_value(slope, p.distribution, value) for slope, p, value in by_free])
    return {"theta": theta.tolist(), "log_posterior": logs, "slopes": slopes}


def _by_value(slope: float, known: Any, value: float) -> float:
    """The slope by a parameter, of that by Stan's free one, with whose scale the density has changed.

    Source: Stan Reference Manual, chapter "Constraint transforms".
    """
    above, below = value - float(known.low), float(known.high) - value
    match np.isfinite([above, below]).tolist():
        case [True, True]:
            return (slope * (above + below) - (below - above)) / (above * below)
        case [True, False]:
            return (slope - 1) / above
        case [False, True]:
            return (1 - slope) / below
    return slope


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        for name, judged_study in studies(Path(scratch)).items():
            target = Path(sys.argv[1])
            (target / f"{name}.stan").write_text(judged_study.stan(), encoding="utf-8")
            (target / f"{name}.json").write_text(json.dumps(judged(judged_study)) + "\n", encoding="utf-8")
