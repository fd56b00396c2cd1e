"""A tank whose outlet opens above a level: the likelihood jumps along all that moves the day on which it does so."""

from pathlib import Path

import numpy as np

from calibration.inference.search.objective import Objective, objective
from calibration.likelihood.posterior import Posterior, posterior
from calibration.study.problem import read_problem
from cipark_sd.base.arrays import Array
from cipark_sd.engines.registry import choose

#: What the tank draws while its outlet is open.
OPENING = "IF THEN ELSE(water > level, wide, 0)"
TRUTH = {"rain": 10.0, "swing": 0.8, "level": 100.0, "wide": 14.0}
MONTHS, SD = 60, 2.0


def study_of(folder: Path, drawn: str, observed: Array) -> Posterior:
    """A tank with a seasonal inflow; what is drawn is an equation of its water."""
    constants = "".join(f"{name} = {value} ~ ~ |\n" for name, value in TRUTH.items())
    (folder / "tank.mdl").write_text(
        "{UTF-8}\nwater = INTEG(inflow - drawn, 90) ~ ~ |\n"
        "inflow = rain * (1 + swing * COS(6.28318 * Time / 12)) ~ ~ |\n"
        f"drawn = {drawn} ~ ~ |\n{constants}"
        f"INITIAL TIME = 0 ~ ~ |\nFINAL TIME = {MONTHS} ~ ~ |\nTIME STEP = 0.03125 ~ ~ |\nSAVEPER = 1 ~ ~ |\n",
        encoding="utf-8",
    )
    rows = "".join(f"{month},{value:.2f}\n" for month, value in enumerate(observed, start=1))
    (folder / "water.csv").write_text("time,value\n" + rows, encoding="utf-8")
    priors = "".join(
        f'[[parameter]]\nname = "{name}"\nprior = {{ family = "lognormal", median = {value * factor}, sigma = 1 }}\n'
        for (name, value), factor in zip(TRUTH.items(), (1.1, 0.9, 1.2, 0.8), strict=True)
    )
    (folder / "problem.toml").write_text(
        '[model]\nfile = "tank.mdl"\n[[observation]]\nname = "water"\ntable = "water.csv"\nkind = "level"\n'
        f'variable = "water"\nfamily = "normal"\nsd = {SD}\n[method]\nestimate = "map"\n{priors}',
        encoding="utf-8",
    )
    return posterior(read_problem(folder), choose("native"))


def made(folder: Path, drawn: str) -> Objective:
    """The objective of data that the model made at the truth, with noise."""
    blank = study_of(folder, drawn, np.ones(MONTHS))
    expected = blank.quantities(np.array([list(TRUTH.values())]))[0]
    noise = np.random.default_rng(1).normal(0.0, SD, MONTHS)
    return objective(study_of(folder, drawn, expected + noise), estimate="map")
