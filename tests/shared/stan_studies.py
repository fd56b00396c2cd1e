"""Studies whose programs of Stan were judged by Stan itself: between them they have what the programs can have."""

from pathlib import Path

import numpy as np
import pandas as pd

import cipark_sd as cp
from calibration.study.priors import Exponential, Gamma, HalfNormal, Normal, Uniform

RICH = """{UTF-8}
Heat Loss = Room Table(Tea) * MAX(Tea - Room, 0) / Delay ~ degree/Minute ~ |
Room Table((0,0),(40,0.5),(80,1.5),(200,2)) ~ Dmnl ~ |
Tea = INTEG(-Heat Loss, Start) ~ degree ~ |
Start = 90 ~ degree ~ |
Room = IF THEN ELSE(Time > 10 :AND: Step Up > 0, 20 + Step Up, 20) ~ degree ~ |
Step Up = 2 ~ degree ~ |
Delay = 10 ~ Minute ~ |
Seen = SMOOTH(Tea, Lag) ^ Power ~ degree ~ |
Lag = 2 ~ Minute ~ |
Power = 1 ~ Dmnl ~ |
Poured = INTEG(MIN(Heat Loss, 5) + EXP(-Tea/50) + PULSE(5, 2), 0) ~ degree ~ |
INITIAL TIME = 0 ~ Minute ~ |
FINAL TIME = 20 ~ Minute ~ |
TIME STEP = 0.125 ~ Minute ~ |
SAVEPER = 1 ~ Minute ~ |
"""


def rich(folder: Path) -> cp.Study:
    """A model with a table, a smooth, conditions and a pulse, with a level and counts of windows."""
    path = folder / "rich.mdl"
    path.write_text(RICH, encoding="utf-8")
    t = np.arange(1.0, 20.0)
    data = {"minute": t, "seen": np.round(70 * np.exp(-t / 12) + 20 + np.sin(9 * t), 6), "poured": np.round(5 * t)}
    priors = {
        "Start": Normal(90, 5),
        "Delay": Gamma(4, 3.0),
        "Lag": Exponential(2.0),
        "Step Up": HalfNormal(3.0),
        "Power": Uniform(0.5, 1.5),
    }
    return cp.Study(path, pd.DataFrame(data), {"seen": "Seen", "poured": "Poured"}, priors=priors)


def studies(folder: Path) -> dict[str, cp.Study]:
    """All of them by name; files are written into the folder."""
    return {"rich": rich(folder), "great_stone_curves": cp.read_study("great_stone_curves")}
