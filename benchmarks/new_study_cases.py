"""Seven models with known constants, the data that they would give, and the same models with constants that are wrong.

The constants that decide the size of what is observed are last in each file, so that a choice of parameters by their
order would meet them last. Four models have one optimum; a drug has two (absorption and elimination change places), a
club has constants that no data tell apart, and counts of faults are Poisson, the edge of the family that is fitted.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

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
    final, ahead : int
        Rows of the table, one a unit of time, and those that come after it.
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
    ahead: int = 4

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
            control = (f"INITIAL TIME=0~{self.unit}~|\nFINAL TIME={self.final + self.ahead}~{self.unit}~|\n"
                       f"TIME STEP=0.125~{self.unit}~|\nSAVEPER=1~{self.unit}~|\n")  # fmt: skip
            path.write_text("{UTF-8}\n" + self.equations.format(**values) + control, encoding="utf-8")
        return path

    def expected(self, folder: Path) -> tuple[Array, dict[str, Array]]:
        """Times, and what each column would be without noise: a flow is the sum over the unit before.

        Rows that come after the table are the last ``ahead``.
        """
        return _expected(self, folder)

    def __hash__(self) -> int:
        return hash(self.name)


@cache
def _expected(case: Case, folder: Path) -> tuple[Array, dict[str, Array]]:
    names = [column.variable for column in case.columns.values()]
    run = simulate(read_model(case.model(folder, {})), Scenario(saveper=0.125), save=names)
    columns, n = {}, case.final + case.ahead
    for header, column in case.columns.items():
        course = run[canonical(column.variable)].to_numpy()
        columns[header] = course[:-1].reshape(n, 8).mean(axis=1) if column.flow else course[8::8]
    return np.arange(1.0, n + 1), columns


def overdispersed(dispersion: float) -> Callable[[Array, np.random.Generator], Array]:
    """Counts whose variance is ``mean * (1 + dispersion)``."""

    def draw(mean: Array, rng: np.random.Generator) -> Array:
        return rng.negative_binomial(mean / dispersion, 1 / (1 + dispersion)).astype(float)

    return draw


def poisson(mean: Array, rng: np.random.Generator) -> Array:
    """Counts whose variance is their mean."""
    return rng.poisson(mean).astype(float)


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
DRUG = Case(
    "drug",
    """Gut = INTEG(-Absorbing, 100) ~mg~|
Plasma = INTEG(Absorbing - Eliminating, 0) ~mg~|
Absorbing = Absorption * Gut ~mg/Hour~|
Eliminating = Elimination * Plasma ~mg/Hour~|
Concentration = Plasma / Volume ~mg/l~|
Absorption = {Absorption} ~1/Hour~|
Elimination = {Elimination} ~1/Hour~|
Volume = {Volume} ~l~|
""",
    "Hour",
    10,
    {"Absorption": 1.2, "Elimination": 0.25, "Volume": 20.0},
    {"concentration": Column("Concentration", in_proportion(0.12))},
)
CLUB = Case(
    "club",
    """Members = INTEG(Joining - Leaving, {Members}) ~person~|
Joining = Word Of Mouth * Members * (1 - Members / Town) ~person/Month~|
Leaving = Members / Stay ~person/Month~|
Word Of Mouth = {Word_Of_Mouth} ~1/Month~|
Stay = {Stay} ~Month~|
Town = {Town} ~person~|
""",
    "Month",
    20,
    {"Word Of Mouth": 0.6, "Stay": 8.0, "Town": 1000.0, "Members": 20.0},
    {"members": Column("Members", in_proportion(0.08))},
)
FAULTS = Case(
    "faults",
    """Faults = INTEG(-Finding, {Faults}) ~fault~|
Finding = Faults / Time To Find ~fault/Week~|
Time To Find = {Time_To_Find} ~Week~|
""",
    "Week",
    25,
    {"Time To Find": 8.0, "Faults": 150.0},
    {"finding": Column("Finding", poisson, flow=True)},
)
CASES = {case.name: case for case in (EPIDEMIC, DIFFUSION, GROWTH, STAFF, DRUG, CLUB, FAULTS)}
