"""Recipes of random numbers, on those of :mod:`cipark_sd.compiler.rarer`: whole numbers of Poisson's and the binomial
distribution from uniform ones, and the logarithm of the gamma function that they need.

Each is a fixed number of IEEE operations, so that a draw has the same bits on every engine and takes bounded time.
"""

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from cipark_sd.compiler.rarer import Rarer

T = TypeVar("T")

#: Below this mean a whole number is looked for from 0 on; from it on transformed rejection is right.
FEW = 10.0
#: Whole numbers that are looked through: of a mean of 10, a larger one has a probability below 1e-12.
_MOST_OF_FEW = 40
#: Stirling's series of log gamma in 1 / x (Abramowitz and Stegun 1964, 6.1.40), and that of its derivative (6.3.18).
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
_STIRLING_SLOPE = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)
_HALF_LOG_TURN = 0.9189385332046727
#: From here on the series is exact to a double's last places.
_FROM = 8


class Chance(Rarer[T]):
    """Recipes that random functions need."""

    def lgamma(self, x: T) -> T:
        """The logarithm of the gamma function of a positive number, within 1e-14 or 2 units in the last place."""
        o = self.o
        product = x
        for i in range(1, _FROM):
            product = o.mul(product, o.add(x, o.number(float(i))))
        small = o.less(x, o.number(float(_FROM)))
        at = o.choose(small, o.add(x, o.number(float(_FROM))), x)
        inverse = o.div(o.number(1.0), at)
        series = o.mul(inverse, self._polynomial(o.mul(inverse, inverse), _STIRLING))
        half = o.sub(at, o.number(0.5))
        large = o.add(o.sub(o.mul(half, self.log(at)), at), o.add(o.number(_HALF_LOG_TURN), series))
        value = o.choose(small, o.sub(large, self.log(product)), large)
        return self._of_positive(x, o.choose(o.equal(x, o.number(np.inf)), x, value))

    def digamma(self, x: T) -> T:
        """The derivative of :meth:`lgamma`."""
        o = self.o
        before = o.div(o.number(1.0), x)
        for i in range(1, _FROM):
            before = o.add(before, o.div(o.number(1.0), o.add(x, o.number(float(i)))))
        small = o.less(x, o.number(float(_FROM)))
        at = o.choose(small, o.add(x, o.number(float(_FROM))), x)
        inverse = o.div(o.number(1.0), at)
        square = o.mul(inverse, inverse)
        series = o.add(o.mul(o.number(0.5), inverse), o.mul(square, self._polynomial(square, _STIRLING_SLOPE)))
        large = o.sub(self.log(at), series)
        return self._of_positive(x, o.choose(small, o.sub(large, before), large))

    def poisson_few(self, mean: T, u: T) -> T:
        """How many of Poisson's with a mean below :data:`FEW`, by inversion: those whose probabilities lie below u."""
        o = self.o
        term = self.exp(self._minus(mean))
        return self._looked_through(term, u, lambda i: o.mul(mean, o.number(1.0 / i)))

    def binomial_few(self, n: T, p: T, u: T) -> T:
        """How many of ``n`` with a mean below :data:`FEW`, by inversion; ``p`` is at most a half."""
        o = self.o
        failing = o.sub(o.number(1.0), p)
        odds = o.div(p, failing)
        term = self.exp(o.mul(n, self.log(failing)))
        return self._looked_through(
            term, u, lambda i: o.mul(o.mul(o.sub(n, o.number(i - 1.0)), odds), o.number(1.0 / i))
        )

    def poisson_try(self, mean: T, u: T, v: T) -> T:
        """How many of Poisson's with a mean of at least :data:`FEW`, or -1 where the two numbers give none.

        Source: Hoermann 1993, Insurance: Mathematics and Economics 12, 39-45, algorithm PTRS without its squeeze.
        """
        o = self.o
        b = o.add(o.number(0.931), o.mul(o.number(2.53), o.sqrt(mean)))
        a = o.add(o.number(-0.059), o.mul(o.number(0.02483), b))
        scale = o.add(o.number(1.1239), o.div(o.number(1.1328), o.sub(b, o.number(3.4))))
        k, height = self._proposed(a, b, scale, o.add(mean, o.number(0.43)), u, v)
        log_density = o.sub(o.sub(o.mul(k, self.log(mean)), mean), self.lgamma(o.add(k, o.number(1.0))))
        return o.choose(self._accepted(k, height, log_density), k, o.number(-1.0))

    def binomial_try(self, n: T, p: T, u: T, v: T) -> T:
        """How many of ``n`` with a mean of at least :data:`FEW`, or -1 where the two numbers give none.

        ``p`` is at most a half. Source: Hoermann 1993, Journal of Statistical Computation and Simulation 46, 101-110,
        algorithm BTRS without its squeeze.
        """
        o = self.o
        unit = o.number(1.0)
        failing = o.sub(unit, p)
        mean = o.mul(n, p)
        deviation = o.sqrt(o.mul(mean, failing))
        b = o.add(o.number(1.15), o.mul(o.number(2.53), deviation))
        a = o.add(o.add(o.number(-0.0873), o.mul(o.number(0.0248), b)), o.mul(o.number(0.01), p))
        scale = o.mul(o.add(o.number(2.83), o.div(o.number(5.1), b)), deviation)
        k, height = self._proposed(a, b, scale, o.add(mean, o.number(0.5)), u, v)
        mode = self._floor(o.mul(o.add(n, unit), p))
        log_density = o.mul(o.sub(k, mode), self.log(o.div(p, failing)))
        for sign, place in ((1.0, mode), (1.0, o.sub(n, mode)), (-1.0, k), (-1.0, o.sub(n, k))):
            log_density = o.add(log_density, o.mul(o.number(sign), self.lgamma(o.add(place, unit))))
        fits = o.logical_and(self._accepted(k, height, log_density), o.less(k, o.add(n, o.number(0.5))))
        return o.choose(fits, k, o.number(-1.0))

    def _looked_through(self, term: T, u: T, ratio: Callable[[int], T]) -> T:
        """How many sums of probabilities lie below ``u``; ``ratio`` is that of each to the one before."""
        o = self.o
        total, count = term, o.number(0.0)
        for i in range(1, _MOST_OF_FEW + 1):
            count = o.add(count, o.choose(o.less(total, u), o.number(1.0), o.number(0.0)))
            term = o.mul(term, ratio(i))
            total = o.add(total, term)
        return count

    def _proposed(self, a: T, b: T, scale: T, centre: T, u: T, v: T) -> tuple[T, T]:
        """A whole number by the transformed rejection, and the logarithm of what its density is compared with."""
        o = self.o
        u = o.sub(u, o.number(0.5))
        room = o.sub(o.number(0.5), self._size(u))
        k = self._floor(o.add(o.mul(o.add(o.div(o.mul(o.number(2.0), a), room), b), u), centre))
        return k, self.log(o.div(o.mul(v, scale), o.add(o.div(a, o.mul(room, room)), b)))

    def _accepted(self, k: T, height: T, log_density: T) -> T:
        o = self.o
        return o.logical_and(o.less(o.number(-0.5), k), o.less(height, log_density))

    def _floor(self, x: T) -> T:
        o = self.o
        nearest = o.rint(x)
        return o.choose(o.less(x, nearest), o.sub(nearest, o.number(1.0)), nearest)

    def _of_positive(self, x: T, value: T) -> T:
        o = self.o
        return o.choose(o.less(o.number(0.0), x), value, o.number(np.nan))
