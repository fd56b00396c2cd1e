"""Questions whose answer may rest on uncertain constants: does a claim hold, and which alternative is best?"""

from dataclasses import dataclass

import numpy as np

from cipark_sd.scenarios import Scenario
from cipark_sd.sensitivities.factors import Factor


@dataclass(frozen=True)
class Alternative:
    """Settings that are tried; without a scenario everything is as it was."""

    id: str
    title: str
    scenario: Scenario | None = None


@dataclass(frozen=True)
class Quantity:
    """A variable at a time, by what it is compared; divided by another one where ``per`` names one."""

    title: str
    variable: str
    time: float
    per: str = ""
    range: tuple[float, float] = (-np.inf, np.inf)


@dataclass(frozen=True)
class Claim:
    """``quantity`` under ``alternative`` is more (or less) than ``factor`` times what it is under ``than``."""

    alternative: str
    quantity: Quantity
    increasing: bool
    than: str
    factor: float = 1.0

    def __str__(self) -> str:
        how, times = ("more" if self.increasing else "less"), ("" if self.factor == 1 else f"{self.factor:g} times ")
        return f"{self.alternative}: {self.quantity.title} at {self.quantity.time:g} {how} than {times}{self.than}"


@dataclass(frozen=True)
class Choice:
    """Which of some alternatives has the most (or the least) of a quantity."""

    quantity: Quantity
    increasing: bool
    alternatives: tuple[str, ...]

    def __str__(self) -> str:
        return f"{'most' if self.increasing else 'least'} {self.quantity.title} at {self.quantity.time:g}"


@dataclass(frozen=True)
class Decisions:
    """What is asked.

    Parameters
    ----------
    extra : tuple of Factor
        Constants that are uncertain for a decision only; one that an alternative in question sets is left out.
    """

    alternatives: tuple[Alternative, ...] = ()
    claims: tuple[Claim, ...] = ()
    choices: tuple[Choice, ...] = ()
    extra: tuple[Factor, ...] = ()
