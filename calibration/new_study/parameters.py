"""Which constants of a model a fit may move: what reaches the data, with a placeholder for a prior."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from calibration.new_study.matching import words
from calibration.study.constants import reaching, without_scale
from calibration.study.priors import LogitNormal, LogNormal, Normal, Prior
from cipark_sd.model.expr import Const
from cipark_sd.model.model import Model
from cipark_sd.model.units import is_dimensionless
from cipark_sd.sensitivities.factors import constant_values

#: Wide: 95 % of the prior within a factor of seven of the model's value, amounts such as a population included.
SIGMA = 1.0
#: Factor between value and bounds. The searches start from the prior, so that room beyond it costs them nothing.
REACH = 100.0
_SHARES = frozenset({"fraction", "share", "probability", "proportion"})
Role = Literal["CAL", "PRI", "fixed"]


@dataclass(frozen=True)
class Candidate:
    """A constant or the start of a stock, as a fit may take it."""

    name: str
    value: float
    units: str
    prior: Prior | None
    why: str
    role: Role
    starts: bool = False
    amount: bool = False
    least: float = 0.0
    most: float = math.inf

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Of the search, for a prior on the logarithm; its own support is enough for a normal or a share.

        A delay stays above ``least``, two of the run's time steps, and a rate below ``most``, half of all a step:
        Euler's method swings beyond that. Where the model's own value does, half or twice the value is the bound.
        """
        if isinstance(self.prior, LogNormal):
            low = max(self.value / REACH, min(self.least, self.value / 2))
            return low, min(self.value * REACH, max(self.most, 2 * self.value))
        return None


def candidates(model: Model, observed: Iterable[str]) -> list[Candidate]:
    """Every constant, and every stock that starts at a number, with a prior or the reason to hold it."""
    reach = reaching(model, observed)
    stored = {stock.units for stock in model.stocks} - {""}
    options: list[Candidate] = []
    for constant in model.constants:
        amount = constant.units in stored and not _is_rate(constant.units, model.time.units)
        for name, value in constant_values(model, constant).items():
            prior, why = _prior(model, name, value, constant.units, constant.name in reach)
            role: Role = "fixed" if prior is None else "CAL"
            least, most = _stable(model, constant.units)
            candidate = Candidate(name, value, constant.units, prior, why, role, amount=amount, least=least, most=most)
            options.append(candidate)
    for stock in model.stocks:
        literal = [piece.initial for piece in stock.pieces]
        labels = model.labels(stock)
        if stock.name not in reach or len(literal) != 1 or not isinstance(literal[0], Const):
            continue
        value = literal[0].value
        if value > 0:
            why = "where the stock starts"
            options += [
                Candidate(name, value, stock.units, LogNormal(value, SIGMA), why, "CAL", True, True) for name in labels
            ]
    return options


def _stable(model: Model, units: str) -> tuple[float, float]:
    """The least value of a delay and the largest of a rate with which the run's time step is small enough."""
    step, time = model.time.step, model.time.units
    if not time or not np.isfinite(step):
        return 0.0, math.inf
    above, _, below = units.replace(" ", "").partition("/")
    inverse = bool(above) and is_dimensionless(above) and below == time
    return (2 * step if units == time else 0.0), (1 / (2 * step) if inverse else math.inf)


def _is_rate(units: str, time: str) -> bool:
    return bool(time) and (units == time or f"/{time}" in units.replace(" ", ""))


def _prior(model: Model, name: str, value: float, units: str, reaches: bool) -> tuple[Prior | None, str]:
    """A wide prior around a value and no reason, or none and the reason."""
    if not reaches:
        return None, "no observed variable depends on it"
    reason = without_scale(model, name, value, units)
    if reason:
        return None, reason
    if value < 0:
        return Normal(value, abs(value)), ""
    if value < 1 and _SHARES & set(words(name)):
        return LogitNormal(value, SIGMA), ""
    return LogNormal(value, SIGMA), ""
