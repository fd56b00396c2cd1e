"""Seven models with known constants, the data that they would give, and the same models with constants that are wrong.

The constants that decide the size of what is observed are last in each file, so that a choice of parameters by their
order would meet them last. Four models have one optimum; a drug has two (absorption and elimination change places), a
club has constants that no data tell apart, and counts of faults are Poisson, the edge of the family that is fitted.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from cipark_sd.base.arrays import Array
from cipark_sd.base.naming import canonical
from cipark_sd.data.scenarios import Scenario
from cipark_sd.language.read.model_file import read_model
from cipark_sd.simulations.simulation import simulate

#: By what constants of a model file are wrong, up or down by chance: exactly so much, or up to it.
OFF: Mapping[str, tuple[float, bool]] = {
    "right": (1.0, True),
    "exactly 3": (3.0, True),
    "up to 3": (3.0, False),
    "up to 10": (10.0, False),
    "exactly 10": (10.0, True),
}
#: Rows that come after the table.
AHEAD = 4
FILE = Path(__file__).parent / "studies" / "unedited.toml"


@dataclass(frozen=True)
class Column:
    """A column of the table: what it is a reading of, and the law and the size of its noise around the truth."""

    variable: str
    law: str
    size: float = 0.0
    flow: bool = False

    def noise(self, mean: Array, rng: np.random.Generator) -> Array:
        """Numbers ``(n,)`` around their means; ``overdispersed`` counts have a variance of ``mean * (1 + size)``."""
        match self.law:
            case "overdispersed":
                return rng.negative_binomial(mean / self.size, 1 / (1 + self.size)).astype(float)
            case "poisson":
                return rng.poisson(mean).astype(float)
            case "in proportion":
                return np.asarray(np.round(mean * np.exp(self.size * rng.standard_normal(len(mean))), 4))
        raise ValueError(f"unknown noise {self.law!r}")


@dataclass(frozen=True)
class Case:
    """A model with the true constants, and its table.

    Parameters
    ----------
    equations : str
        With ``{name}`` where a number of ``truth`` stands.
    unit : str
        Of time, and the name of the table's column of times.
    final : int
        Rows of the table, one a unit of time.
    truth : mapping of str to float
        By the name in ``equations``: constants and starts of stocks.
    columns : mapping of str to Column
    """

    name: str
    equations: str
    unit: str
    final: int
    truth: Mapping[str, float]
    columns: Mapping[str, Column]

    def factors(self, off: str, rng: np.random.Generator) -> dict[str, float]:
        """What each constant of a file is multiplied with."""
        size, exactly = OFF[off]
        powers = rng.choice([-1, 1], len(self.truth)) if exactly else rng.uniform(-1, 1, len(self.truth))
        return dict(zip(self.truth, (size**powers).tolist(), strict=True))

    def model(self, folder: Path, factors: Mapping[str, float]) -> Path:
        """The model file with each true constant times its factor, 1 where none is named."""
        values = {re.sub(r"\W", "_", name): value * factors.get(name, 1.0) for name, value in self.truth.items()}
        signs = "_".join(f"{factors.get(name, 1.0):.3g}" for name in self.truth)
        path = folder / f"{self.name}_{signs}.mdl"
        if not path.exists():
            control = (f"INITIAL TIME=0~{self.unit}~|\nFINAL TIME={self.final + AHEAD}~{self.unit}~|\n"
                       f"TIME STEP=0.125~{self.unit}~|\nSAVEPER=1~{self.unit}~|\n")  # fmt: skip
            path.write_text("{UTF-8}\n" + self.equations.format(**values) + control, encoding="utf-8")
        return path

    def expected(self, folder: Path) -> tuple[Array, dict[str, Array]]:
        """Times, and what each column would be without noise: a flow is the sum over the unit before.

        Rows that come after the table are the last :data:`AHEAD`.
        """
        return _expected(self, folder)

    def __hash__(self) -> int:
        return hash(self.name)


@cache
def _expected(case: Case, folder: Path) -> tuple[Array, dict[str, Array]]:
    names = [column.variable for column in case.columns.values()]
    run = simulate(read_model(case.model(folder, {})), Scenario(saveper=0.125), save=names)
    columns, n = {}, case.final + AHEAD
    for header, column in case.columns.items():
        course = run[canonical(column.variable)].to_numpy()
        columns[header] = course[:-1].reshape(n, 8).mean(axis=1) if column.flow else course[8::8]
    return np.arange(1.0, n + 1), columns


def _column(entry: dict[str, Any]) -> Column:
    return Column(entry["variable"], entry["law"], entry.get("size", 0.0), entry.get("flow", False))


CASES = {
    name: Case(name, **(case | {"columns": {header: _column(entry) for header, entry in case["columns"].items()}}))
    for name, case in tomllib.loads(FILE.read_text(encoding="utf-8")).items()
}
