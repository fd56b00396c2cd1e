"""What Stan computes of the programs that ``stan_program`` writes.

``python tests/shared/stan_judge.py FOLDER [STUDY ...]`` has Stan judge them, by pystan, and keeps programs and numbers
in FOLDER; ``tests/calibration/likelihood/stan`` is what it kept (pystan 3.10, httpstan 4.13).
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from stan_program import stan_program

import cipark_sd as cp
from calibration.inference.sample.densities import prior_draws
from calibration.noise.priors import Exponential, Gamma, HalfNormal, Uniform

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
POOL = {"Start": 80, "Gain": 20, "Share": 0.4, "Rate": 0.2, "Twice": "2*Pool", "Half": "Pool/2", "Third": "Pool/3"}
ROWS = (70, 58, 49, 41, 37, 29, 26, 20)
NOISE = {
    "Pool": '"lognormal"\nsd = "Spread"',
    "Twice": '"student-t"\nsd = "Spread"',
    "Half": '"poisson"',
    "Third": '"negative-binomial"\nsize = 8',
}
POOL_PRIORS = {
    "Start": '"log-uniform", low = 50, high = 200',
    "Gain": '"student-t", mean = 20, scale = 4, dof = 4',
    "Share": '"logit-normal", median = 0.4, sigma = 1',
    "Rate": '"beta", a = 2, b = 5',
    "Spread": '"half-cauchy", scale = 0.3',
}
PRIORS = {"Delay": Gamma(4, 3.0), "Lag": Exponential(2.0), "Step Up": HalfNormal(3.0), "Power": Uniform(0.5, 1.5)}


def tea(folder: Path) -> cp.Study:
    """A model by Euler's method with a table, a smooth, conditions and a pulse; a level, and counts of windows."""
    path = folder / "tea.mdl"
    path.write_text(TEA, encoding="utf-8")
    t = np.arange(1.0, 20.0)
    data = {"time": t, "seen": np.round(70 * np.exp(-t / 12) + 20 + np.sin(9 * t), 6), "poured": np.round(5 * t)}
    return cp.Study(path, pd.DataFrame(data), {"seen": "Seen", "poured": "Poured"}, priors=PRIORS)


def pool(folder: Path) -> cp.Study:
    """A model by Runge-Kutta's method of the second order, with the noise and the priors that the others lack."""
    place = folder / "pool"
    place.mkdir()
    cells = "".join(f"<aux name='{name}'><eqn>{text}</eqn></aux>" for name, text in POOL.items())
    stock = "<stock name='Pool'><eqn>Start</eqn><inflow>coming</inflow><outflow>going</outflow></stock>"
    flows = (
        "<flow name='coming'><eqn>Gain*Share*EXP(-TIME/5)</eqn></flow><flow name='going'><eqn>Rate*Pool</eqn></flow>"
    )
    specs = "<sim_specs method='RK2'><start>0</start><stop>8</stop><dt>0.25</dt></sim_specs>"
    head = "<xmile version='1.0' xmlns='http://docs.oasis-open.org/xmile/ns/XMILE/v1.0'><header><vendor>v</vendor>"
    head += "<product version='1'>p</product></header>"
    (place / "pool.xmile").write_text(
        f"{head}{specs}<model><variables>{stock}{flows}{cells}</variables></model></xmile>"
    )
    (place / "rows.csv").write_text("time,n\n" + "".join(f"{t},{n}\n" for t, n in zip(range(1, 9), ROWS, strict=True)))
    text = 'title = "pool"\n[model]\nfile = "pool.xmile"\n'
    for variable, noise in NOISE.items():
        text += f'[[observation]]\nname = "{variable}"\ntable = "rows.csv"\nkind = "level"\nvariable = "{variable}"\n'
        text += f'time = "time"\nvalue = "n"\nfamily = {noise}\n'
    for name, prior in POOL_PRIORS.items():
        target = 'target = "noise"\n' if name == "Spread" else ""
        text += f'[[parameter]]\nname = "{name}"\n{target}prior = {{ family = {prior} }}\nwhy = "a test"\n'
    (place / "problem.toml").write_text(text)
    return cp.read_study(place)


def studies(folder: Path) -> dict[str, cp.Study]:
    """By name; ``flu_1978`` is integrated by Runge-Kutta's method, with counts of the second kind."""
    return {"tea": tea(folder), "flu_1978": cp.read_study("flu_1978"), "pool": pool(folder)}


def points(study: cp.Study) -> np.ndarray:
    """Draws of the priors ``(POINTS, k)``."""
    return prior_draws(study.problem.space, POINTS, np.random.default_rng(3))


def judged(study: cp.Study) -> dict[str, Any]:
    """Stan's log density and its slopes at the points, by the parameters themselves."""
    import stan

    model, theta = stan.build(stan_program(study.problem)), points(study)
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
        chosen = studies(Path(scratch))
        target = Path(sys.argv[1])
        for name, judged_study in ((name, chosen[name]) for name in sys.argv[2:] or chosen):
            (target / f"{name}.stan").write_text(stan_program(judged_study.problem), encoding="utf-8")
            (target / f"{name}.json").write_text(json.dumps(judged(judged_study)) + "\n", encoding="utf-8")
