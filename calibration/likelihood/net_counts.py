"""Net counts: gains of any family of counts less losses that are Poisson, where both or only the net are known."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calibration.noise.families.base import CountFamily, Density, LogMass, log_sum, or_never
from calibration.noise.families.counts import Poisson
from cipark_sd.base.arrays import Array

#: A tail of the losses that is left out of a difference of counts, as probability.
LOSS_TAIL = 1e-13
#: Mean losses up to which a difference of counts is summed number by number.
MOST_LOSSES = 2000.0
#: Ratios of summands that are computed in one call; more would leave the processor's cache.
TOGETHER = 2**14
#: Mean gains of a window in which the model falls.
BACKGROUND = 1e-6
#: Losses below this are a difference of two cumulative outputs that is rounded.
ROUNDING = 1e-9
_POISSON = Poisson()


@dataclass(frozen=True, eq=False)
class NetCount(CountFamily):
    """The family of a net count whose mean gains are known, its mean being the net increment.

    Parameters
    ----------
    gains : CountFamily
        With the spread of the observation.
    gained : (…)
        Mean gains; less the mean they are the mean losses.
    """

    name: ClassVar[str] = "net count"
    least: ClassVar[float] = -math.inf
    gains: CountFamily
    gained: Array

    def log_density(self, value: Array, mean: Array, spread: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return net_count_of(self.gains, value)(mean, self.gained, spread)

    def slopes(self, value: Array, mean: Array, spread: Array) -> tuple[Array, ...]:
        """By mean, spread and mean gains, in this order."""
        by_gained, by_spread, by_lost = _slopes(np.asarray(value, dtype=float), self.gains, self.gained, mean, spread)
        return -by_lost, by_spread, by_gained + by_lost

    def variance(self, mean: Array, spread: Array) -> Array:
        return np.asarray(self.gains.sd(self.gained, spread) ** 2 + np.maximum(self.gained - mean, 0.0))

    def draw(self, mean: Array, spread: Array, rng: np.random.Generator) -> Array:
        gained = self.gains.draw(self.gained, spread, rng)
        return np.asarray(gained - _POISSON.draw(np.maximum(self.gained - mean, 0.0), spread, rng))


@dataclass(frozen=True, slots=True)
class Rise(CountFamily):
    """The family of what came in a window of which the model knows the net rise alone.

    Where the rise is negative, the window is one of losses: Poisson ones of that size, beside gains of hardly anything
    (:data:`BACKGROUND`). What was counted is then improbable, the more so the larger the fall, and never impossible: a
    search that meets a fall finds its way out. A rise of exactly nothing allows no count, as everywhere.

    It is the first term of a :class:`NetCount` with these gains, in which no loss is hidden by a gain: never above it,
    and all but it where no count was seen. Counts below 0 have the rest of the probability; none is ever seen.
    """

    name: ClassVar[str] = "rise"
    gains: CountFamily

    def log_density(self, value: Array, mean: Array, spread: Array) -> Array:
        usable, lost = _losses(mean)
        return np.asarray(self.gains.log_density(value, usable, spread) - lost)

    def density_of(self, value: Array) -> Density:
        density = self.gains.density_of(value)

        def log_density(mean: Array, spread: Array) -> Array:
            if not (mean < 0).any():
                return density(mean, spread)
            usable, lost = _losses(mean)
            return np.asarray(density(usable, spread) - lost)

        return log_density

    def slopes(self, value: Array, mean: Array, spread: Array) -> tuple[Array, ...]:
        usable, lost = _losses(mean)
        by_mean, by_spread = self.gains.slopes(value, usable, spread)
        return np.where(lost > 0, 1.0, by_mean), by_spread

    def variance(self, mean: Array, spread: Array) -> Array:
        usable, lost = _losses(mean)
        return np.asarray(self.gains.sd(usable, spread) ** 2 + lost)

    def draw(self, mean: Array, spread: Array, rng: np.random.Generator) -> Array:
        return self.gains.draw(_losses(mean)[0], spread, rng)


def _losses(rise: Array) -> tuple[Array, Array]:
    """Mean gains and mean losses; a fall within rounding is none."""
    falls = rise < -ROUNDING
    return np.where(falls, BACKGROUND, np.maximum(rise, 0.0)), np.where(falls, BACKGROUND - rise, 0.0)


def _most_losses(mean: float) -> int:
    """A count that a Poisson variable of that mean exceeds with a probability below ``LOSS_TAIL``.

    Source: the Chernoff bound ``P(X >= x) <= exp(-mean) (e mean / x)^x``.
    """
    most = math.ceil(mean) + 1
    while mean > 0 and most - mean + most * math.log(mean / most) > math.log(LOSS_TAIL):
        most += max(1, most // 8)
    return most


def net_count_of(family: CountFamily, value: Array) -> Callable[[Array, Array, Array], Array]:
    """:meth:`NetCount.log_density` of the same numbers, again and again.

    Parameters
    ----------
    family : CountFamily
        Of the gains.
    value : (…)
        Net counts.

    Returns
    -------
    function
        Of mean, mean gains and spread, which broadcast against ``value``. Who calls it ignores the warnings of floating
        point.
    """
    difference = Difference(np.asarray(value))
    first = family.density_of(difference.gained)

    def log_density(mean: Array, gained: Array, spread: Array) -> Array:
        def gains(count: Array) -> Array:
            return family.log_density(count, gained, spread)

        recurrence = family.recurrence(gained, spread)
        if recurrence is None:
            return difference.log_mass(gains, gained - mean)
        return difference.log_mass(gains, gained - mean, recurrence, first(gained, spread))

    return log_density


class Difference:
    """A difference of counts that was seen, gains of any count family less losses that are Poisson.

    A net stock changes by both. With Poisson gains this is Skellam's distribution (Skellam 1946). The sum over the
    losses stops where less than ``LOSS_TAIL`` of their probability is left. A net increment that is zero or negative,
    in the data or in the model, is nothing special here.

    Parameters
    ----------
    value : (…)
    """

    def __init__(self, value: Array) -> None:
        from scipy.special import gammaln, xlogy

        self.value = value
        #: The first summand has no losses, or as many as a negative value takes.
        self.gained, self._lost = np.maximum(value, 0.0), np.maximum(-value, 0.0)
        ways = gammaln(self._lost + 1.0)
        # the Poisson density where, as here, no value and no mean is negative
        self._log_lost: Callable[[Array], Array] = lambda losses: xlogy(self._lost, losses) - losses - ways
        self._falls = self._falls_up_to(32)

    def log_mass(
        self,
        gains: LogMass,
        losses: Array,
        recurrence: tuple[Array, Array] | None = None,
        first: Array | None = None,
    ) -> Array:
        """Log probability of the difference; who calls it ignores the warnings of floating point.

        Parameters
        ----------
        gains : log mass of the gains, of counts that broadcast against ``losses``
        losses : (…)
            Mean losses.
        recurrence : pair of arrays, optional
            Of the gains (:meth:`CountFamily.recurrence`): one density and a product then do for all losses.
        first : (…), with ``recurrence`` only
            Log mass of the gains in the first summand, ``gains(self.gained)``.
        """
        # as if there were none where they are no number
        usable = np.fmax(losses, 0.0)
        top = float(usable.max(initial=0.0))
        if top == np.inf:
            usable = np.where(usable == np.inf, 0.0, usable)
            top = float(usable.max(initial=0.0))
        if top > MOST_LOSSES:
            many = usable > MOST_LOSSES
            ordinary = self.log_mass(gains, np.where(many, 0.0, losses))
            beyond = _difference_of_many(self.value, gains, np.where(many, usable, MOST_LOSSES))
            return np.where(many, beyond, ordinary)
        most = _most_losses(top)
        possible = losses >= -ROUNDING
        if recurrence is not None and first is not None:
            logs = first + self._log_lost(usable) + self._log_sum(usable, recurrence, most)
            # a product that overflows belongs to none of the usual sizes
            if np.fmax.reduce(logs, axis=None, initial=-np.inf) < np.inf:
                return or_never(possible, logs)
        lost = np.arange(most + 1, dtype=float).reshape((-1,) + (1,) * max(np.ndim(self.value), np.ndim(losses)))
        return or_never(possible, _log_sum(gains(self.value + lost) + _POISSON.log_density(lost, usable, usable)))

    def _log_sum(self, losses: Array, recurrence: tuple[Array, Array], most: int) -> Array:
        """Log of the sum over the losses as a multiple of the first summand, by the ratios that follow, inside out."""
        # by one name, as another thread may put a shorter one in its place
        falls = self._falls
        if most > len(falls):
            falls = self._falls = self._falls_up_to(2 * most)
        a, b = recurrence
        # the ratio of summand i to the one before is r_i = (a + b / (gained + i)) losses / (lost + i), and the sum is
        # 1 + r_1 (1 + r_2 (1 + ...)), from the last loss on
        slope = a * losses
        start = slope * self.gained + b * losses
        total = np.ones(np.broadcast_shapes(self.value.shape, start.shape))
        some = min(most, max(1, TOGETHER // max(total.size, 1)))
        falls = falls.reshape((-1,) + (1,) * (total.ndim - self.value.ndim) + self.value.shape)
        numbers = np.arange(1.0, most + 1).reshape((-1,) + (1,) * total.ndim)
        room = np.empty((some, *total.shape))
        for last in range(most, 0, -some):
            first = max(0, last - some)
            ratios = room[: last - first]
            np.multiply(slope, numbers[first:last], out=ratios)
            ratios += start
            ratios *= falls[first:last]
            for ratio in ratios[::-1]:
                total *= ratio
                total += 1.0
        return np.asarray(np.log(total))

    def _falls_up_to(self, most: int) -> Array:
        """``1 / ((gained + i) (lost + i))`` for ``i`` from 1 to ``most``, along the first axis."""
        i = np.arange(1.0, most + 1).reshape((-1,) + (1,) * self.value.ndim)
        return np.asarray(1 / ((self.gained + i) * (self._lost + i)))


def _slopes(value: Array, gains: CountFamily, gained: Array, mean: Array, spread: Array) -> tuple[Array, Array, Array]:
    """Derivatives of :meth:`Difference.log_mass` by the mean of the gains, their spread, and the mean losses.

    A Poisson probability of ``n`` changes with its mean by that of ``n - 1`` less its own, so that the last one is the
    probability of the next value over that of the value, less 1.
    """
    losses = np.asarray(gained - mean, dtype=float)
    usable = np.where(np.isfinite(losses) & (losses >= 0), losses, 0.0)
    many = usable > MOST_LOSSES
    few = np.where(many, 0.0, usable)
    whole = np.arange(_most_losses(float(np.max(few, initial=0.0))) + 1, dtype=float)
    whole = whole.reshape((-1,) + (1,) * max(value.ndim, losses.ndim))
    # the next value of what falls takes as many losses at least
    slopes = _weighed(value, gains, gained, spread, few, whole + np.maximum(-value - 1.0, 0.0))
    if not many.any():
        return slopes
    large = np.where(many, usable, MOST_LOSSES)
    steps = np.arange(-9, 9.025, 0.05).reshape((-1,) + (1,) * (whole.ndim - 1))
    smooth = _weighed(value, gains, gained, spread, large, large + steps * np.sqrt(large))
    by_gained, by_spread, by_lost = (np.where(many, a, b) for a, b in zip(smooth, slopes, strict=True))
    return by_gained, by_spread, by_lost


def _weighed(
    value: Array, gains: CountFamily, gained: Array, spread: Array, losses: Array, lost: Array
) -> tuple[Array, Array, Array]:
    """The slopes of :func:`_slopes` from a sum over numbers ``lost``, which come first of its axes."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs_lost = _POISSON.log_density(lost, losses, losses)
        logs = gains.log_density(value + lost, gained, spread) + logs_lost
        total = _log_sum(logs)
        shares = np.exp(logs - total)
        following = _log_sum(gains.log_density(value + 1 + lost, gained, spread) + logs_lost)
        by_gained, by_spread = (
            np.where(shares > 0, shares * slope, 0.0).sum(axis=0)
            for slope in gains.slopes(value + lost, gained, spread)[:2]
        )
        return by_gained, by_spread, np.exp(following - total) - 1.0


def _log_sum(logs: Array) -> Array:
    """Log of the sum of the exponentials over the first axis.

    That of scipy asks for types and signs that are known here, which takes longer than the sum.
    """
    top = logs.max(axis=0)
    top = np.where(np.isfinite(top), top, 0.0)
    return np.asarray(np.log(np.exp(logs - top).sum(axis=0)) + top)


def _difference_of_many(value: Array, gains: LogMass, losses: Array) -> Array:
    """:meth:`Difference.log_mass` for many losses, whose mass is smooth: a sum over every twentieth of a deviation."""
    width = 0.05
    steps = np.arange(-9, 9 + width / 2, width).reshape((-1,) + (1,) * max(np.ndim(value), np.ndim(losses)))
    lost = losses + steps * np.sqrt(losses)
    with np.errstate(divide="ignore"):
        summed = log_sum(gains(value + lost) + _POISSON.log_density(lost, losses, losses))
        logs = summed + np.log(width * np.sqrt(losses))
    return or_never(losses >= 0, logs)
