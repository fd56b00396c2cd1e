"""How a total splits, each member by itself."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calibration.families.base import Array, SplitFamily, or_never
from calibration.families.binomial import Binomial


@dataclass(frozen=True, slots=True)
class Multinomial(SplitFamily):
    """Multinomial given the total."""

    name: ClassVar[str] = "multinomial"

    def log_density(self, counts: Array, expected: Array, spread: Array) -> Array:
        from scipy.special import gammaln, xlogy

        counts, expected = np.asarray(counts, dtype=float), np.asarray(expected, dtype=float)
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = expected / expected.sum(axis=-1, keepdims=True)
            ways = gammaln(counts.sum(axis=-1) + 1) - gammaln(counts + 1).sum(axis=-1)
            logs = ways + xlogy(counts, shares).sum(axis=-1)
        return or_never((expected >= 0).all(axis=-1) & (expected.sum(axis=-1) > 0), logs)

    def cell(self, total: int, share: float, spread: float) -> Array:
        return Binomial().mass(total, share)

    def draw(self, total: int, shares: Array, spread: Array, rng: np.random.Generator) -> Array:
        return rng.multinomial(total, shares).astype(float)
