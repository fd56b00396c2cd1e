"""Four models with known constants, the data that they would give, and the same models with constants that are wrong.

The constants that decide the size of what is seen stand last in each file, so that a choice of parameters by their
order would meet them last.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from cipark_sd.arrays import Array
from cipark_sd.frontends.model_file import read_model
from cipark_sd.naming import canonical
from cipark_sd.scenarios import Scenario
from cipark_sd.simulation import simulate

#: By what a constant of the model file differs from the truth, up or down by chance.
FACTOR = 3.0


@dataclass(frozen=True)
class Column:
    """A column of the table: what it is a reading of, and how its noise is drawn around the truth."""

    variable: str
    noise: Callable[[Array, np.random.Generator], Array]
    flow: bool = False


@dataclass(frozen=True)
class Case:
    """A model with the true constants, and its table.

    Parameters
    ----------
    equations : str
        With ``{name}`` where a number of ``truth`` stands.
    unit : str
        Of time, and the name of the table's column of times.
    final : float
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

    def model(self, folder: Path, factors: Mapping[str, float]) -> Path:
        """The model file with each true constant times its factor, 1 where none is named."""
        values = {re.sub(r"\W", "_", name): value * factors.get(name, 1.0) for name, value in self.truth.items()}
        signs = "".join("+" if factors.get(name, 1.0) > 1 else "-" for name in self.truth) if factors else "true"
        path = folder / f"{self.name}_{signs}.mdl"
        if not path.exists():
            control = (f"INITIAL TIME=0~{self.unit}~|\nFINAL TIME={self.final}~{self.unit}~|\n"
                       f"TIME STEP=0.125~{self.unit}~|\nSAVEPER=1~{self.unit}~|\n")  # fmt: skip
            path.write_text("{UTF-8}\n" + self.equations.format(**values) + control, encoding="utf-8")
        return path

    def expected(self, folder: Path) -> tuple[Array, dict[str, Array]]:
        """Times, and what each column would be without noise: a flow is the sum over the unit before."""
        return _expected(self, folder)

    def __hash__(self) -> int:
        return hash(self.name)


@cache
def _expected(case: Case, folder: Path) -> tuple[Array, dict[str, Array]]:
    names = [column.variable for column in case.columns.values()]
    run = simulate(read_model(case.model(folder, {})), Scenario(saveper=0.125), save=names)
    columns = {}
    for header, column in case.columns.items():
        course = run[canonical(column.variable)].to_numpy()
        columns[header] = course[:-1].reshape(case.final, 8).mean(axis=1) if column.flow else course[8::8]
    return np.arange(1.0, case.final + 1), columns


def overdispersed(dispersion: float) -> Callable[[Array, np.random.Generator], Array]:
    """Counts whose variance is ``mean * (1 + dispersion)``."""

    def draw(mean: Array, rng: np.random.Generator) -> Array:
        return rng.negative_binomial(mean / dispersion, 1 / (1 + dispersion)).astype(float)

    return draw


def in_proportion(sd: float) -> Callable[[Array, np.random.Generator], Array]:
    """Measurements whose logarithm has the standard deviation ``sd``."""

    def draw(mean: Array, rng: np.random.Generator) -> Array:
        return np.asarray(np.round(mean * np.exp(sd * rng.standard_normal(len(mean))), 4))

    return draw


def everywhere(sd: float) -> Callable[[Array, np.random.Generator], Array]:
    """Measurements with the same error everywhere."""

    def draw(mean: Array, rng: np.random.Generator) -> Array:
        return np.asarray(np.round(mean + sd * rng.standard_normal(len(mean)), 4))

    return draw


EPIDEMIC = Case(
    "epidemic",
    """Susceptible = INTEG(-New Infections, Population) ~person~|
Infected = INTEG(New Infections - Recovering, {Infected}) ~person~|
New Infections = Contact Rate * Susceptible * Infected / Population ~person/Day~|
Recovering = Infected / Duration ~person/Day~|
Beds = 40 ~bed~|
Duration = {Duration} ~Day~|
Contact Rate = {Contact_Rate} ~1/Day~|
Population = {Population} ~person~|
""",
    "Day",
    30,
    {"Duration": 4.0, "Contact Rate": 0.7, "Population": 1500.0, "Infected": 5.0},
    {"new infections": Column("New Infections", overdispersed(1.0), flow=True)},
)
DIFFUSION = Case(
    "diffusion",
    """Owners = INTEG(Sales, 0) ~set~|
Sales = (Innovation + Imitation * Owners / Market) * (Market - Owners) ~set/Year~|
Innovation = {Innovation} ~1/Year~|
Imitation = {Imitation} ~1/Year~|
Market = {Market} ~set~|
""",
    "Year",
    14,
    {"Innovation": 0.02, "Imitation": 0.45, "Market": 3000.0},
    {"sales": Column("Sales", overdispersed(3.0), flow=True)},
)
GROWTH = Case(
    "growth",
    """Biomass = INTEG(Growing, {Biomass}) ~g~|
Growing = Growth Rate * Biomass * (1 - Biomass / Capacity) ~g/Week~|
Growth Rate = {Growth_Rate} ~1/Week~|
Capacity = {Capacity} ~g~|
""",
    "Week",
    20,
    {"Growth Rate": 0.5, "Capacity": 80.0, "Biomass": 3.0},
    {"biomass": Column("Biomass", in_proportion(0.1))},
)
STAFF = Case(
    "staff",
    """Juniors = INTEG(Hiring - Promoting, {Juniors}) ~person~|
Seniors = INTEG(Promoting - Leaving, {Seniors}) ~person~|
Promoting = Juniors / Time To Promotion ~person/Year~|
Leaving = Seniors / Stay ~person/Year~|
Time To Promotion = {Time_To_Promotion} ~Year~|
Stay = {Stay} ~Year~|
Hiring = {Hiring} ~person/Year~|
""",
    "Year",
    18,
    {"Time To Promotion": 4.0, "Stay": 6.0, "Hiring": 60.0, "Juniors": 40.0, "Seniors": 90.0},
    {"juniors": Column("Juniors", in_proportion(0.05)), "leaving": Column("Leaving", overdispersed(0.5), flow=True)},
)
CASES = {case.name: case for case in (EPIDEMIC, DIFFUSION, GROWTH, STAFF)}
