"""How many of a total belong to a part, and how it splits: each member by itself, or with shares that scatter."""

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from calibration.noise.families.base import Density, ShareFamily, SplitFamily, count_interval, interval_slopes, or_never
from cipark_sd.base.arrays import Array


class Binomial(ShareFamily):
    """Binomial."""

    name: ClassVar[str] = "binomial"
    meaning: ClassVar[str] = "members of the total, each with the same chance to belong to the part"

    def log_density(self, value: Array, total: Array, probability: Array) -> Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.density_of(value, total)(np.asarray(probability))

    def density_of(self, value: Array, total: Array) -> Callable[[Array], Array]:
        from scipy.special import gammaln, xlog1py, xlogy

        value, total = np.asarray(value, dtype=float), np.asarray(total, dtype=float)
        failures = total - value
        with np.errstate(invalid="ignore", divide="ignore"):
            ways = gammaln(total + 1) - gammaln(value + 1) - gammaln(failures + 1)
        possible = (value >= 0) & (failures >= 0)

        def log_density(probability: Array) -> Array:
            logs = ways + xlogy(value, probability) + xlog1py(failures, -probability)
            return or_never(possible & (probability >= 0) & (probability <= 1), logs)

        return log_density

    def log_interval(self, lower: float, upper: float, total: Array, probability: Array) -> Array:
        mean, sd = probability * total, np.sqrt(total * probability)
        return count_interval(lambda n: self.log_density(n, total, probability), lower, upper, mean, sd)

    def slope(self, value: Array, total: Array, probability: Array) -> Array:
        failures = np.asarray(total, dtype=float) - value
        with np.errstate(invalid="ignore", divide="ignore"):
            won = np.where(np.asarray(value) == 0, 0.0, value / probability)
            return np.asarray(won - np.where(failures == 0, 0.0, failures / (1.0 - probability)))

    def interval_slope(self, lower: float, upper: float, total: Array, probability: Array) -> Array:
        mean, sd = probability * total, np.sqrt(total * probability)
        return interval_slopes(
            lambda n: self.log_density(n, total, probability),
            # beyond the total there is nothing
            lambda n: (np.where(n <= total, self.slope(np.minimum(n, total), total, probability), 0.0),),
            lower,
            upper,
            mean,
            sd,
        )[0]

    def mass(self, total: int, probability: float) -> Array:
        from scipy import stats

        return np.asarray(stats.binom.pmf(np.arange(total + 1), total, probability))

    def draw(self, total: int, probability: Array, rng: np.random.Generator) -> Array:
        possible = (probability >= 0) & (probability <= 1)
        return np.where(possible, rng.binomial(total, np.where(possible, probability, 0.0)), np.nan)


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


class DirichletMultinomial(SplitFamily):
    """Multinomial whose shares vary as a Dirichlet around the expected ones.

    The spread is the ``concentration``, the sum of the Dirichlet's exponents; as it grows the multinomial returns. A
    category that the model says is empty can hold no one.
    """

    name: ClassVar[str] = "dirichlet-multinomial"
    meaning: ClassVar[str] = "a total that splits; the lower the concentration, the more its shares vary"
    spread: ClassVar[str] = "concentration"

    def independent(self, total: float, spread: Array) -> Array:
        # the variance of a share is that of the multinomial times (total + spread) / (1 + spread)
        return total * (1 + spread) / (total + spread)

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
