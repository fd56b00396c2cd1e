"""How a total splits, each member by itself."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calibration.families.base import Density, SplitFamily
from calibration.families.binomial import Binomial
from cipark_sd.arrays import Array


@dataclass(frozen=True, slots=True)
class Multinomial(SplitFamily):
    """Multinomial given the total."""

    name: ClassVar[str] = "multinomial"
    meaning: ClassVar[str] = "a total whose members fall into categories independently"

    def log_mass(self, counts: Array, shares: Array, spread: Array) -> Array:
        return self.mass_of(counts)(shares, spread)

    def mass_of(self, counts: Array) -> Density:
        from scipy.special import gammaln, xlogy

        ways = gammaln(counts.sum(axis=-1) + 1) - gammaln(counts + 1).sum(axis=-1)
        return lambda shares, spread: np.asarray(ways + xlogy(counts, shares).sum(axis=-1))

    def mass_slopes(self, counts: Array, shares: Array, spread: Array) -> tuple[Array, Array]:
        by_share = np.where(counts == 0, 0.0, counts / shares)
        return by_share, np.zeros(by_share.shape[:-1])

    def cell(self, total: int, share: float, spread: float) -> Array:
        return Binomial().mass(total, share)

    def draw(self, total: int, shares: Array, spread: Array, rng: np.random.Generator) -> Array:
        return rng.multinomial(total, shares).astype(float)
