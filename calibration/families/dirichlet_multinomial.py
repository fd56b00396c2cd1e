"""How a total splits, with shares that scatter around the expected ones."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calibration.families.base import SplitFamily
from calibration.families.binomial import Binomial
from cipark_sd.arrays import Array


@dataclass(frozen=True, slots=True)
class DirichletMultinomial(SplitFamily):
    """Multinomial whose shares vary as a Dirichlet around the expected ones.

    The spread is the ``concentration``, the sum of the Dirichlet's exponents; as it grows the multinomial returns. A
    category that the model says is empty can hold no one.
    """

    name: ClassVar[str] = "dirichlet-multinomial"
    meaning: ClassVar[str] = "a total that splits; the lower the concentration, the more its shares vary"
    spread: ClassVar[str] = "concentration"

    def log_mass(self, counts: Array, shares: Array, spread: Array) -> Array:
        from scipy.special import gammaln

        exponents, total = spread[..., None] * shares, counts.sum(axis=-1)
        outside = gammaln(total + 1) + gammaln(spread) - gammaln(total + spread)
        inside = gammaln(counts + exponents) - gammaln(exponents) - gammaln(counts + 1)
        inside = np.where(exponents > 0, inside, np.where(counts == 0, 0.0, -np.inf))
        return np.asarray(outside + inside.sum(axis=-1))

    def mass_slopes(self, counts: Array, shares: Array, spread: Array) -> tuple[Array, Array]:
        from scipy.special import digamma

        exponents, total = spread[..., None] * shares, counts.sum(axis=-1)
        inside = np.where(counts == 0, 0.0, digamma(counts + exponents) - digamma(exponents))
        by_spread = digamma(spread) - digamma(total + spread) + (shares * inside).sum(axis=-1)
        return spread[..., None] * inside, by_spread

    def cell(self, total: int, share: float, spread: float) -> Array:
        from scipy import stats

        # a cell that nobody or everybody is in has no beta distribution
        if not 0 < share < 1:
            return Binomial().mass(total, share)
        return np.asarray(stats.betabinom.pmf(np.arange(total + 1), total, spread * share, spread * (1 - share)))

    def draw(self, total: int, shares: Array, spread: Array, rng: np.random.Generator) -> Array:
        weights = rng.gamma(spread[:, None] * shares)
        sums = weights.sum(axis=1, keepdims=True)
        drawn = np.where(sums > 0, weights / np.where(sums > 0, sums, 1.0), shares)
        return rng.multinomial(total, drawn / drawn.sum(axis=1, keepdims=True)).astype(float)
