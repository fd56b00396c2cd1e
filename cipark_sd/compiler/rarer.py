"""The rarer functions as recipes, on those of :mod:`cipark_sd.compiler.elementary`: sines of any number, ``tan``,
``asin``, ``acos``, ``atan``, ``sinh``, ``cosh``, ``tanh``, ``log10`` and ``erfc``, the logarithm of the gamma function,
and whole numbers of Poisson's and the binomial distribution from uniform ones.

No function of a C library takes part, so that the bits of a run depend on no machine and no browser; each recipe is a
fixed number of IEEE operations, so that it takes bounded time.

Source: ``atan``, ``asin``, ``acos`` and ``erfc`` have FDLIBM's intervals and coefficients (Sun Microsystems 1993,
``s_atan.c``, ``e_asin.c``, ``s_erf.c``); large arguments of ``sin``, ``cos`` and ``tan`` lose their turns as in Payne
and Hanek (1983, SIGNUM Newsletter 18:19), with the digits of 2/pi in groups of 24 bits; ``sinh`` and ``cosh`` near 0
are Taylor's series, elsewhere half an exponential whose argument has log 2 taken off in two doubles; ``log10`` is the
logarithm in two doubles times 1 / log 10 in two. Accuracy: ``log10``, ``sin``, ``cos``, ``asin``, ``acos`` and ``atan``
within 1.1 units in the last place, ``tan``, ``sinh``, ``cosh`` and ``tanh`` within 2, ``erfc`` within 3.
"""

import math
from collections.abc import Callable

import numpy as np

from cipark_sd.compiler.elementary import Elementary, Value

#: 1 / log 10, log 2 and half a pi as a double and what it lacks.
_INVERSE_LN10 = (0.4342944819032518, 1.098319650216765e-17)
_LN2 = (0.6931471805599453, 2.3190468138462996e-17)
_HALF_PI = (1.5707963267948966, 6.123233995736766e-17)
#: Binary digits of 2 / pi in groups; before the point there are none.
_GROUP = 24
_DIGITS = 1200
_BEFORE = 4
#: Groups of the product that are kept: what is left out is below 2^-140, and no double is nearer to a quarter of a turn
#: than 2^-62 of one (Kahan's search; Muller, Elementary Functions, 3rd ed., section 11.2).
_KEPT = 8
_ATAN = (
    *(3.33333333333329318027e-01, -1.99999999998764832476e-01, 1.42857142725034663711e-01),
    *(-1.11111104054623557880e-01, 9.09088713343650656196e-02, -7.69187620504482999495e-02),
    *(6.66107313738753120669e-02, -5.83357013379057348645e-02, 4.97687799461593236017e-02),
    *(-3.65315727442169155270e-02, 1.62858201153657823623e-02),
)
#: From which size on an interval of the arc tangent holds, and the angle that it is taken from, in two doubles.
_ATAN_FROM = (7 / 16, 11 / 16, 19 / 16, 39 / 16)
_ATAN_AT = (
    (4.63647609000806093515e-01, 2.26987774529616870924e-17),
    (7.85398163397448278999e-01, 3.06161699786838301793e-17),
    (9.82793723247329054082e-01, 1.39033110312309984516e-17),
    (1.57079632679489655800e00, 6.12323399573676603587e-17),
)
_ASIN_OVER = (
    *(1.66666666666666657415e-01, -3.25565818622400915405e-01, 2.01212532134862925881e-01),
    *(-4.00555345006794114027e-02, 7.91534994289814532176e-04, 3.47933107596021167570e-05),
)
_ASIN_UNDER = (
    *(1.0, -2.40339491173441421878e00, 2.02094576023350569471e00),
    *(-6.88283971605453293030e-01, 7.70381505559019352791e-02),
)
#: 1 / 3!, 1 / 5!, ... and 1 / 2!, 1 / 4!, ...: below 1, what is left out is below 2^-60 of the result.
_SINH = tuple(1.0 / math.factorial(n) for n in range(3, 21, 2))
_COSH = tuple(1.0 / math.factorial(n) for n in range(2, 21, 2))
_ERX = 8.45062911510467529297e-01
#: Of the error function, over and under the line: below 0.84, below 1.25, below 1 / 0.35, beyond.
_ERF = (
    (
        (
            *(1.28379167095512558561e-01, -3.25042107247001499370e-01, -2.84817495755985104766e-02),
            *(-5.77027029648944159157e-03, -2.37630166566501626084e-05),
        ),
        (
            *(1.0, 3.97917223959155352819e-01, 6.50222499887672944485e-02, 5.08130628187576562776e-03),
            *(1.32494738004321644526e-04, -3.96022827877536812320e-06),
        ),
    ),
    (
        (
            *(-2.36211856075265944077e-03, 4.14856118683748331666e-01, -3.72207876035701323847e-01),
            *(3.18346619901161753674e-01, -1.10894694282396677476e-01, 3.54783043256182359371e-02),
            -2.16637559486879084300e-03,
        ),
        (
            *(1.0, 1.06420880400844228286e-01, 5.40397917702171048937e-01, 7.18286544141962662868e-02),
            *(1.26171219808761642112e-01, 1.36370839120290507362e-02, 1.19844998467991074170e-02),
        ),
    ),
    (
        (
            *(-9.86494403484714822705e-03, -6.93858572707181764372e-01, -1.05586262253232909814e01),
            *(-6.23753324503260060396e01, -1.62396669462573470355e02, -1.84605092906711035994e02),
            *(-8.12874355063065934246e01, -9.81432934416914548592e00),
        ),
        (
            *(1.0, 1.96512716674392571292e01, 1.37657754143519042600e02, 4.34565877475229228821e02),
            *(6.45387271733267880336e02, 4.29008140027567833386e02, 1.08635005541779435134e02),
            *(6.57024977031928170135e00, -6.04244152148580987438e-02),
        ),
    ),
    (
        (
            *(-9.86494292470009928597e-03, -7.99283237680523006574e-01, -1.77579549177547519889e01),
            *(-1.60636384855821916062e02, -6.37566443368389627722e02, -1.02509513161107724954e03),
            -4.83519191608651397019e02,
        ),
        (
            *(1.0, 3.03380607434824582924e01, 3.25792512996573918826e02, 1.53672958608443695994e03),
            *(3.19985821950859553908e03, 2.55305040643316442583e03, 4.74528541206955367215e02),
            -2.24409524465858183362e01,
        ),
    ),
)

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


def _two_over_pi() -> tuple[float, ...]:
    """The digits of 2 / pi by Machin's formula in whole numbers."""
    bits = _DIGITS + 64

    def inverse_tangent(n: int) -> int:
        term = total = (1 << bits) // n
        k = 1
        while term:
            term //= -n * n
            k += 2
            total += term // k
        return total

    half_pi = 8 * inverse_tangent(5) - 2 * inverse_tangent(239)
    digits = ((1 << (bits + _DIGITS)) // half_pi) & ((1 << _DIGITS) - 1)
    groups = [(digits >> (_DIGITS - _GROUP * (i + 1))) & ((1 << _GROUP) - 1) for i in range(_DIGITS // _GROUP)]
    return *[0.0] * _BEFORE, *map(float, groups)


_TWO_OVER_PI = _two_over_pi()


class Recipes(Elementary):
    """All functions over one arithmetic."""

    def sin(self, x: Value) -> Value:
        """The sine."""
        o = self.o
        far = self._turned(*self._far(x, 0))
        return o.choose(self.is_near(x), self._wave(x, 0), o.choose(x < 0.0, self._minus(far), far))

    def cos(self, x: Value) -> Value:
        """The cosine."""
        return self.o.choose(self.is_near(x), self._wave(x, 1), self._turned(*self._far(x, 1)))

    def tan(self, x: Value) -> Value:
        """The tangent."""
        o = self.o
        quarter, r, lacking = self._quarter(x)
        near, below = (self._turned(quarter, n, *self._sine_and_cosine(r, lacking)) for n in (0, 1))
        near = near / below
        size = self._size(x)
        far = self._turned(*self._far(size, 0)) / self._turned(*self._far(size, 1))
        far = o.choose(x < 0.0, self._minus(far), far)
        return o.choose(o.equal(x, 0.0), x, o.choose(self.is_near(x), near, far))

    def log10(self, x: Value) -> Value:
        """The logarithm to base 10; whole numbers of powers of ten."""
        high, low = self._log_in_two(*self._significand(x))
        product, error = self._product(high, _INVERSE_LN10[0])
        error = error + high * _INVERSE_LN10[1]
        return self._log_ends(x, product + (error + low * _INVERSE_LN10[0]))

    def atan(self, x: Value) -> Value:
        """The arc tangent."""
        o = self.o
        size = self._size(x)
        over, under, high, low = size, 1.0, 0.0, 0.0
        for i, (first, (angle, lacking)) in enumerate(zip(_ATAN_FROM, _ATAN_AT, strict=True)):
            beyond = math.nextafter(first, 0.0) < size
            match i:
                case 0:
                    part = 2.0 * size - 1.0, 2.0 + size
                case 1:
                    part = size - 1.0, size + 1.0
                case 2:
                    part = size - 1.5, 1.0 + 1.5 * size
                case _:
                    part = -1.0, size
            over, under = o.choose(beyond, part[0], over), o.choose(beyond, part[1], under)
            high = o.choose(beyond, angle, high)
            low = o.choose(beyond, lacking, low)
        t = over / under
        z = t * t
        w = z * z
        series = z * self._polynomial(w, _ATAN[::2]) + w * self._polynomial(w, _ATAN[1::2])
        return self._odd(x, high - (t * series - low - t))

    def asin(self, x: Value) -> Value:
        """The arc sine; NaN beyond 1."""
        size = self._size(x)
        inner = size + size * self._asin_ratio(size * size)
        # pi/2 - 2 asin(sqrt((1 - x) / 2))
        outer = self._from_half_pi(*self._asin_outer(size))
        return self._up_to_one(x, self._odd(x, self.o.choose(size < 0.5, inner, outer)))

    def acos(self, x: Value) -> Value:
        """The arc cosine; NaN beyond 1."""
        o = self.o
        size = self._size(x)
        inner = self._from_half_pi(x, x * self._asin_ratio(x * x))
        twice, small = self._asin_outer(size)
        positive = twice + small
        pi, lower = (2.0 * part for part in _HALF_PI)
        negative = pi - (twice - (lower - small))
        return self._up_to_one(x, o.choose(size < 0.5, inner, o.choose(x < 0.0, negative, positive)))

    def sinh(self, x: Value) -> Value:
        """The hyperbolic sine."""
        size = self._size(x)
        half = self._half_exp(size)
        return self._odd(x, self.o.choose(size < 1.0, self._sinh_series(size), half - 0.25 / half))

    def cosh(self, x: Value) -> Value:
        """The hyperbolic cosine."""
        o = self.o
        size = self._size(x)
        half = self._half_exp(size)
        outer = half + 0.25 / half
        return o.choose(o.equal(x, x), o.choose(size < 1.0, self._cosh_series(size), outer), x)

    def tanh(self, x: Value) -> Value:
        """The hyperbolic tangent."""
        size = self._size(x)
        inner = self._sinh_series(size) / self._cosh_series(size)
        outer = 1.0 - 2.0 / (self._exp(self._clamped(2.0 * size), None) + 1.0)
        return self._odd(x, self.o.choose(size < 1.0, inner, outer))

    def erfc(self, x: Value) -> Value:
        """One less the error function."""
        o = self.o
        size = self._size(x)
        positive = x > 0.0
        ratio = self._ratio(0, x * x)
        small = 1.0 - (x + x * ratio)
        middle = 0.5 - (x * ratio + (x - 0.5))
        near = o.choose(x < 0.25, small, middle)
        ratio = self._ratio(1, size - 1.0)
        below = 1.0 - _ERX - ratio
        second = o.choose(positive, below, 1.0 + (_ERX + ratio))
        tail = self._erfc_tail(size)
        third = o.choose(positive, tail, 2.0 - tail)
        value = o.choose(size < 1.25, second, third)
        value = o.choose(size < 0.84375, near, value)
        value = o.choose(size > 28.0, o.choose(positive, 0.0, 2.0), value)
        return o.choose(o.equal(x, x), value, x)

    def _erfc_tail(self, size: Value) -> Value:
        """erfc of a number between 1.25 and 28: exp(-x^2 - 0.5625 + R) / x, the exponent in two doubles."""
        inverse = 1.0 / (size * size)
        ratio = self.o.choose(size < 1 / 0.35, self._ratio(2, inverse), self._ratio(3, inverse))
        square, lacking = self._product(size, size)
        total, error = self._sum(ratio - 0.5625, self._minus(square))
        return self._exp(self._clamped(total), error - lacking) / size

    def _ratio(self, interval: int, at: Value) -> Value:
        over, under = _ERF[interval]
        return self._polynomial(at, over) / self._polynomial(at, under)

    def _minus(self, x: Value) -> Value:
        return x * -1.0

    def _odd(self, x: Value, value: Value) -> Value:
        """The value with the sign of ``x``; NaN and zero are themselves."""
        o = self.o
        signed = o.choose(x < 0.0, self._minus(value), value)
        nonzero = (x < 0.0) | (x > 0.0)
        return o.choose(nonzero, signed, x)

    def _sum(self, a: Value, b: Value) -> tuple[Value, Value]:
        """A sum as a double and what it lacks (Knuth)."""
        total = a + b
        part = total - a
        return total, a - (total - part) + (b - part)

    def _asin_ratio(self, z: Value) -> Value:
        return z * self._polynomial(z, _ASIN_OVER) / self._polynomial(z, _ASIN_UNDER)

    def _asin_outer(self, size: Value) -> tuple[Value, Value]:
        """Twice the arc sine of the root of (1 - size) / 2, as twice the root and what is small beside it."""
        o = self.o
        z = (1.0 - size) * 0.5
        root = o.sqrt(z)
        square, error = self._product(root, root)
        lacking = (z - square - error) / (2.0 * root)
        # of 1 itself the root is 0 and lacks nothing
        lacking = o.choose(root > 0.0, lacking, 0.0)
        # the root in two doubles
        twice = 2.0 * root
        return twice, twice * self._asin_ratio(z) + 2.0 * lacking

    def _from_half_pi(self, a: Value, b: Value) -> Value:
        """pi / 2 less two numbers, of which ``b`` is small beside ``a``."""
        high, low = _HALF_PI
        total, error = self._sum(high, self._minus(a))
        return total + (error + (low - b))

    def _up_to_one(self, x: Value, value: Value) -> Value:
        o = self.o
        value = o.choose(self._size(x) > 1.0, np.nan, value)
        return o.choose(o.equal(x, x), value, x)

    def _half_exp(self, size: Value) -> Value:
        """Half the exponential of a number that is not negative."""
        total, error = self._sum(self._clamped(size), -_LN2[0])
        return self._exp(total, error - _LN2[1])

    def _sinh_series(self, size: Value) -> Value:
        z = size * size
        return size + size * z * self._polynomial(z, _SINH)

    def _cosh_series(self, size: Value) -> Value:
        z = size * size
        return 1.0 + z * self._polynomial(z, _COSH)

    def _far(self, x: Value, quarters: int) -> tuple[Value, int, Value, Value]:
        """The quarter of a turn, ``quarters``, and sine and cosine of what the size of ``x`` is beyond it.

        The size is m 2^s 2^(24 q) with a whole number m 2^s in four groups of 24 bits. Of its product with 2 / pi what
        makes whole turns is never computed, and the rest is exact in groups, carried from the last to the first.
        """
        o = self.o
        size = self._size(x)
        pieces, group = self._grouped(size)
        digits = [o.entry(_TWO_OVER_PI, group + (_BEFORE - 1 + i)) for i in range(_KEPT + 3)]
        unit, whole = 2.0 ** (-_GROUP), 2.0**_GROUP
        carry: Value = 0.0
        fraction: list[Value] = []
        for place in reversed(range(_KEPT)):
            total = carry
            for a, piece in enumerate(pieces):
                total = total + piece * digits[place + a]
            carry = o.whole(o.truncated(total * unit))
            fraction.insert(0, total - carry * whole)
        quarter, *fraction = fraction
        # from half a quarter on, it is so much before the next one
        late = fraction[0] > 2.0 ** (_GROUP - 1) - 0.5
        quarter = quarter + o.choose(late, 1.0, 0.0)
        fraction[0] = fraction[0] - o.choose(late, whole, 0.0)
        parts = [digit * 2.0 ** (-_GROUP * (i + 1)) for i, digit in enumerate(fraction)]
        high, low = self._sum(parts[0] + parts[1], parts[2] + parts[3])
        high, low = self._sum(high, low + (parts[4] + parts[5]))
        product, error = self._product(high, _HALF_PI[0])
        error = error + (high * _HALF_PI[1] + low * _HALF_PI[0])
        r = product + error
        sine, cosine = self._sine_and_cosine(r, error - (r - product))
        # what has no end has no sine
        known = size < np.inf
        sine, cosine = (o.choose(known, wave, np.nan) for wave in (sine, cosine))
        return o.truncated(quarter), quarters, sine, cosine

    def _grouped(self, size: Value) -> tuple[list[Value], Value]:
        """A number as a whole one in four groups of 24 bits, the last first, and by how many groups it is larger.

        One that is too small for it, or no number, is 1: its sine is another recipe's.
        """
        o = self.o
        usable = (size > 1.0) & (size < np.inf)
        size = o.choose(usable, size, 1.0)
        # 72 groups of 24 above the least exponent; dividing by 24 is exact enough in doubles
        exponent = (o.bits(size) >> 52) - (1023 + 52)
        group = o.truncated((o.whole(exponent) + 72.5) * (1.0 / _GROUP)) - 3
        shift = o.whole(group)
        # 2^(-24 group), in two factors that are normal numbers
        power = o.truncated(shift * (-_GROUP / 2.0))
        factor = o.double((power + 1023) << 52)
        whole = size * factor * factor
        pieces: list[Value] = []
        for place in (3, 2, 1):
            scale = 2.0 ** (_GROUP * place)
            digit = o.whole(o.truncated(whole * (1.0 / scale)))
            pieces.insert(0, digit)
            whole = whole - digit * scale
        return [whole, *pieces], group

    def lgamma(self, x: Value) -> Value:
        """The logarithm of the gamma function of a positive number, within 1e-14 or 2 units in the last place."""
        o = self.o
        product = x
        for i in range(1, _FROM):
            product = product * (x + float(i))
        small = x < float(_FROM)
        at = o.choose(small, x + float(_FROM), x)
        inverse = 1.0 / at
        series = inverse * self._polynomial(inverse * inverse, _STIRLING)
        half = at - 0.5
        large = half * self.log(at) - at + (_HALF_LOG_TURN + series)
        value = o.choose(small, large - self.log(product), large)
        return self._of_positive(x, o.choose(o.equal(x, np.inf), x, value))

    def digamma(self, x: Value) -> Value:
        """The derivative of :meth:`lgamma`."""
        o = self.o
        before = 1.0 / x
        for i in range(1, _FROM):
            before = before + 1.0 / (x + float(i))
        small = x < float(_FROM)
        at = o.choose(small, x + float(_FROM), x)
        inverse = 1.0 / at
        square = inverse * inverse
        large = self.log(at) - (0.5 * inverse + square * self._polynomial(square, _STIRLING_SLOPE))
        return self._of_positive(x, o.choose(small, large - before, large))

    def poisson_few(self, mean: Value, u: Value) -> Value:
        """How many of Poisson's with a mean below :data:`FEW`, by inversion: those whose probabilities lie below u."""
        return self._looked_through(self.exp(self._minus(mean)), u, lambda i: mean * (1.0 / i))

    def binomial_few(self, n: Value, p: Value, u: Value) -> Value:
        """How many of ``n`` with a mean below :data:`FEW`, by inversion; ``p`` is at most a half."""
        failing = 1.0 - p
        odds = p / failing
        term = self.exp(n * self.log(failing))
        return self._looked_through(term, u, lambda i: (n - (i - 1.0)) * odds * (1.0 / i))

    def poisson_try(self, mean: Value, u: Value, v: Value) -> Value:
        """How many of Poisson's with a mean of at least :data:`FEW`, or -1 where the two numbers give none.

        Source: Hoermann 1993, Insurance: Mathematics and Economics 12, 39-45, algorithm PTRS without its squeeze.
        """
        o = self.o
        b = 0.931 + 2.53 * o.sqrt(mean)
        a = -0.059 + 0.02483 * b
        scale = 1.1239 + 1.1328 / (b - 3.4)
        k, height = self._proposed(a, b, scale, mean + 0.43, u, v)
        log_density = k * self.log(mean) - mean - self.lgamma(k + 1.0)
        return o.choose(self._accepted(k, height, log_density), k, -1.0)

    def binomial_try(self, n: Value, p: Value, u: Value, v: Value) -> Value:
        """How many of ``n`` with a mean of at least :data:`FEW`, or -1 where the two numbers give none.

        ``p`` is at most a half. Source: Hoermann 1993, Journal of Statistical Computation and Simulation 46, 101-110,
        algorithm BTRS without its squeeze.
        """
        o = self.o
        failing = 1.0 - p
        mean = n * p
        deviation = o.sqrt(mean * failing)
        b = 1.15 + 2.53 * deviation
        a = -0.0873 + 0.0248 * b + 0.01 * p
        scale = (2.83 + 5.1 / b) * deviation
        k, height = self._proposed(a, b, scale, mean + 0.5, u, v)
        mode = self._floor((n + 1.0) * p)
        log_density = (k - mode) * self.log(p / failing)
        for sign, place in ((1.0, mode), (1.0, n - mode), (-1.0, k), (-1.0, n - k)):
            log_density = log_density + sign * self.lgamma(place + 1.0)
        return o.choose(self._accepted(k, height, log_density) & (k < n + 0.5), k, -1.0)

    def _looked_through(self, term: Value, u: Value, ratio: Callable[[int], Value]) -> Value:
        """How many sums of probabilities lie below ``u``; ``ratio`` is that of each to the one before."""
        total, count = term, 0.0
        for i in range(1, _MOST_OF_FEW + 1):
            count = count + self.o.choose(total < u, 1.0, 0.0)
            term = term * ratio(i)
            total = total + term
        return count

    def _proposed(self, a: Value, b: Value, scale: Value, centre: Value, u: Value, v: Value) -> tuple[Value, Value]:
        """A whole number by the transformed rejection, and the logarithm of what its density is compared with."""
        u = u - 0.5
        room = 0.5 - self._size(u)
        k = self._floor((2.0 * a / room + b) * u + centre)
        return k, self.log(v * scale / (a / (room * room) + b))

    def _accepted(self, k: Value, height: Value, log_density: Value) -> Value:
        return (k > -0.5) & (height < log_density)

    def _floor(self, x: Value) -> Value:
        o = self.o
        nearest = o.rint(x)
        return o.choose(x < nearest, nearest - 1.0, nearest)

    def _of_positive(self, x: Value, value: Value) -> Value:
        return self.o.choose(x > 0.0, value, np.nan)
