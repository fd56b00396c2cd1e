"""The rarer functions as recipes, on those of :mod:`cipark_sd.compiler.elementary`: sines of any number, ``tan``,
``asin``, ``acos``, ``atan``, ``sinh``, ``cosh``, ``tanh``, ``log10`` and ``erfc``.

No function of a C library takes part, so that the bits of a run depend on no machine and no browser.

Source: ``atan``, ``asin``, ``acos`` and ``erfc`` have FDLIBM's intervals and coefficients (Sun Microsystems 1993,
``s_atan.c``, ``e_asin.c``, ``s_erf.c``); large arguments of ``sin``, ``cos`` and ``tan`` lose their turns as in Payne
and Hanek (1983, SIGNUM Newsletter 18:19), with the digits of 2/pi in groups of 24 bits; ``sinh`` and ``cosh`` near 0
are Taylor's series, elsewhere half an exponential whose argument has log 2 taken off in two doubles; ``log10`` is the
logarithm in two doubles times 1 / log 10 in two. Accuracy: ``log10``, ``sin``, ``cos``, ``asin``, ``acos`` and ``atan``
within 1.1 units in the last place, ``tan``, ``sinh``, ``cosh`` and ``tanh`` within 2, ``erfc`` within 3.
"""

import math
from typing import TypeVar

import numpy as np

from cipark_sd.compiler.elementary import Elementary

T = TypeVar("T")

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
    return (*[0.0] * _BEFORE, *map(float, groups))


_TWO_OVER_PI = _two_over_pi()


class Rarer(Elementary[T]):
    """All functions over one arithmetic."""

    def sin(self, x: T) -> T:
        """The sine."""
        o = self.o
        far = self._turned(*self._far(x, 0))
        return o.choose(self.is_near(x), self._wave(x, 0), o.choose(o.less(x, o.number(0.0)), self._minus(far), far))

    def cos(self, x: T) -> T:
        """The cosine."""
        return self.o.choose(self.is_near(x), self._wave(x, 1), self._turned(*self._far(x, 1)))

    def tan(self, x: T) -> T:
        """The tangent."""
        o = self.o
        quarter, r, lacking = self._quarter(x)
        near = o.div(*(self._turned(quarter, n, *self._sine_and_cosine(r, lacking)) for n in (0, 1)))
        size = self._size(x)
        far = o.div(self._turned(*self._far(size, 0)), self._turned(*self._far(size, 1)))
        far = o.choose(o.less(x, o.number(0.0)), self._minus(far), far)
        return o.choose(o.equal(x, o.number(0.0)), x, o.choose(self.is_near(x), near, far))

    def log10(self, x: T) -> T:
        """The logarithm to base 10; whole numbers of powers of ten."""
        o = self.o
        high, low = self._log_in_two(*self._significand(x))
        product, error = self._product(high, o.number(_INVERSE_LN10[0]))
        error = o.add(error, o.mul(high, o.number(_INVERSE_LN10[1])))
        value = o.add(product, o.add(error, o.mul(low, o.number(_INVERSE_LN10[0]))))
        return self._log_ends(x, value)

    def atan(self, x: T) -> T:
        """The arc tangent."""
        o = self.o
        size, unit = self._size(x), o.number(1.0)
        over, under = size, unit
        high, low = o.number(0.0), o.number(0.0)
        for i, (first, (angle, lacking)) in enumerate(zip(_ATAN_FROM, _ATAN_AT, strict=True)):
            beyond = o.less(o.number(math.nextafter(first, 0.0)), size)
            match i:
                case 0:
                    part = o.sub(o.mul(o.number(2.0), size), unit), o.add(o.number(2.0), size)
                case 1:
                    part = o.sub(size, unit), o.add(size, unit)
                case 2:
                    part = o.sub(size, o.number(1.5)), o.add(unit, o.mul(o.number(1.5), size))
                case _:
                    part = o.number(-1.0), size
            over, under = o.choose(beyond, part[0], over), o.choose(beyond, part[1], under)
            high = o.choose(beyond, o.number(angle), high)
            low = o.choose(beyond, o.number(lacking), low)
        t = o.div(over, under)
        z = o.mul(t, t)
        w = o.mul(z, z)
        series = o.add(o.mul(z, self._polynomial(w, _ATAN[::2])), o.mul(w, self._polynomial(w, _ATAN[1::2])))
        value = o.sub(high, o.sub(o.sub(o.mul(t, series), low), t))
        return self._odd(x, value)

    def asin(self, x: T) -> T:
        """The arc sine; NaN beyond 1."""
        o = self.o
        size = self._size(x)
        inner = o.add(size, o.mul(size, self._asin_ratio(o.mul(size, size))))
        # pi/2 - 2 asin(sqrt((1 - x) / 2))
        outer = self._from_half_pi(*self._asin_outer(size))
        value = self._odd(x, o.choose(o.less(size, o.number(0.5)), inner, outer))
        return self._up_to_one(x, value)

    def acos(self, x: T) -> T:
        """The arc cosine; NaN beyond 1."""
        o = self.o
        size = self._size(x)
        inner = self._from_half_pi(x, o.mul(x, self._asin_ratio(o.mul(x, x))))
        twice, small = self._asin_outer(size)
        positive = o.add(twice, small)
        pi, lower = (o.number(2.0 * part) for part in _HALF_PI)
        negative = o.sub(pi, o.sub(twice, o.sub(lower, small)))
        outer = o.choose(o.less(x, o.number(0.0)), negative, positive)
        return self._up_to_one(x, o.choose(o.less(size, o.number(0.5)), inner, outer))

    def sinh(self, x: T) -> T:
        """The hyperbolic sine."""
        o = self.o
        size = self._size(x)
        half = self._half_exp(size)
        outer = o.sub(half, o.div(o.number(0.25), half))
        return self._odd(x, o.choose(o.less(size, o.number(1.0)), self._sinh_series(size), outer))

    def cosh(self, x: T) -> T:
        """The hyperbolic cosine."""
        o = self.o
        size = self._size(x)
        half = self._half_exp(size)
        outer = o.add(half, o.div(o.number(0.25), half))
        value = o.choose(o.less(size, o.number(1.0)), self._cosh_series(size), outer)
        return o.choose(o.equal(x, x), value, x)

    def tanh(self, x: T) -> T:
        """The hyperbolic tangent."""
        o = self.o
        size, unit, two = self._size(x), o.number(1.0), o.number(2.0)
        inner = o.div(self._sinh_series(size), self._cosh_series(size))
        outer = o.sub(unit, o.div(two, o.add(self._exp(self._clamped(o.mul(two, size)), None), unit)))
        return self._odd(x, o.choose(o.less(size, unit), inner, outer))

    def erfc(self, x: T) -> T:
        """One less the error function."""
        o = self.o
        size, unit, two = self._size(x), o.number(1.0), o.number(2.0)
        positive = o.less(o.number(0.0), x)
        ratio = self._ratio(0, o.mul(x, x))
        small = o.sub(unit, o.add(x, o.mul(x, ratio)))
        middle = o.sub(o.number(0.5), o.add(o.mul(x, ratio), o.sub(x, o.number(0.5))))
        near = o.choose(o.less(x, o.number(0.25)), small, middle)
        ratio = self._ratio(1, o.sub(size, unit))
        below = o.sub(o.number(1.0 - _ERX), ratio)
        second = o.choose(positive, below, o.add(unit, o.add(o.number(_ERX), ratio)))
        tail = self._erfc_tail(size)
        third = o.choose(positive, tail, o.sub(two, tail))
        value = o.choose(o.less(size, o.number(1.25)), second, third)
        value = o.choose(o.less(size, o.number(0.84375)), near, value)
        value = o.choose(o.less(o.number(28.0), size), o.choose(positive, o.number(0.0), two), value)
        return o.choose(o.equal(x, x), value, x)

    def _erfc_tail(self, size: T) -> T:
        """erfc of a number between 1.25 and 28: exp(-x^2 - 0.5625 + R) / x, the exponent in two doubles."""
        o = self.o
        inverse = o.div(o.number(1.0), o.mul(size, size))
        ratio = o.choose(o.less(size, o.number(1 / 0.35)), self._ratio(2, inverse), self._ratio(3, inverse))
        square, lacking = self._product(size, size)
        total, error = self._sum(o.sub(ratio, o.number(0.5625)), self._minus(square))
        return o.div(self._exp(self._clamped(total), o.sub(error, lacking)), size)

    def _ratio(self, interval: int, at: T) -> T:
        over, under = _ERF[interval]
        return self.o.div(self._polynomial(at, over), self._polynomial(at, under))

    def _minus(self, x: T) -> T:
        return self.o.mul(x, self.o.number(-1.0))

    def _odd(self, x: T, value: T) -> T:
        """The value with the sign of ``x``; NaN and zero are themselves."""
        o = self.o
        signed = o.choose(o.less(x, o.number(0.0)), self._minus(value), value)
        nonzero = o.logical_or(o.less(x, o.number(0.0)), o.less(o.number(0.0), x))
        return o.choose(nonzero, signed, x)

    def _sum(self, a: T, b: T) -> tuple[T, T]:
        """A sum as a double and what it lacks (Knuth)."""
        o = self.o
        total = o.add(a, b)
        part = o.sub(total, a)
        return total, o.add(o.sub(a, o.sub(total, part)), o.sub(b, part))

    def _asin_ratio(self, z: T) -> T:
        return self.o.div(self.o.mul(z, self._polynomial(z, _ASIN_OVER)), self._polynomial(z, _ASIN_UNDER))

    def _asin_outer(self, size: T) -> tuple[T, T]:
        """Twice the arc sine of the root of (1 - size) / 2, as twice the root and what is small beside it."""
        o = self.o
        z = o.mul(o.sub(o.number(1.0), size), o.number(0.5))
        root = o.sqrt(z)
        square, error = self._product(root, root)
        lacking = o.div(o.sub(o.sub(z, square), error), o.mul(o.number(2.0), root))
        # of 1 itself the root is 0 and lacks nothing
        lacking = o.choose(o.less(o.number(0.0), root), lacking, o.number(0.0))
        # the root in two doubles
        twice = o.mul(o.number(2.0), root)
        return twice, o.add(o.mul(twice, self._asin_ratio(z)), o.mul(o.number(2.0), lacking))

    def _from_half_pi(self, a: T, b: T) -> T:
        """pi / 2 less two numbers, of which ``b`` is small beside ``a``."""
        o = self.o
        high, low = (o.number(part) for part in _HALF_PI)
        total, error = self._sum(high, self._minus(a))
        return o.add(total, o.add(error, o.sub(low, b)))

    def _up_to_one(self, x: T, value: T) -> T:
        o = self.o
        value = o.choose(o.less(o.number(1.0), self._size(x)), o.number(np.nan), value)
        return o.choose(o.equal(x, x), value, x)

    def _half_exp(self, size: T) -> T:
        """Half the exponential of a number that is not negative."""
        o = self.o
        total, error = self._sum(self._clamped(size), o.number(-_LN2[0]))
        return self._exp(total, o.sub(error, o.number(_LN2[1])))

    def _sinh_series(self, size: T) -> T:
        o = self.o
        z = o.mul(size, size)
        return o.add(size, o.mul(o.mul(size, z), self._polynomial(z, _SINH)))

    def _cosh_series(self, size: T) -> T:
        o = self.o
        z = o.mul(size, size)
        return o.add(o.number(1.0), o.mul(z, self._polynomial(z, _COSH)))

    def _far(self, x: T, quarters: int) -> tuple[T, int, T, T]:
        """The quarter of a turn, ``quarters``, and sine and cosine of what the size of ``x`` is beyond it.

        The size is m 2^s 2^(24 q) with a whole number m 2^s in four groups of 24 bits. Of its product with 2 / pi what
        makes whole turns is never computed, and the rest is exact in groups, carried from the last to the first.
        """
        o = self.o
        size = self._size(x)
        pieces, group = self._grouped(size)
        digits = [o.entry(_TWO_OVER_PI, o.add_integers(group, o.integer(_BEFORE - 1 + i))) for i in range(_KEPT + 3)]
        unit, whole = o.number(2.0**-_GROUP), o.number(2.0**_GROUP)
        carry = o.number(0.0)
        fraction: list[T] = []
        for place in reversed(range(_KEPT)):
            total = carry
            for a, piece in enumerate(pieces):
                total = o.add(total, o.mul(piece, digits[place + a]))
            carry = o.whole(o.truncated(o.mul(total, unit)))
            fraction.insert(0, o.sub(total, o.mul(carry, whole)))
        quarter, *fraction = fraction
        # from half a quarter on, it is so much before the next one
        late = o.less(o.number(2.0 ** (_GROUP - 1) - 0.5), fraction[0])
        quarter = o.add(quarter, o.choose(late, o.number(1.0), o.number(0.0)))
        fraction[0] = o.sub(fraction[0], o.choose(late, whole, o.number(0.0)))
        parts = [o.mul(digit, o.number(2.0 ** (-_GROUP * (i + 1)))) for i, digit in enumerate(fraction)]
        high, low = self._sum(o.add(parts[0], parts[1]), o.add(parts[2], parts[3]))
        high, low = self._sum(high, o.add(low, o.add(parts[4], parts[5])))
        product, error = self._product(high, o.number(_HALF_PI[0]))
        error = o.add(error, o.add(o.mul(high, o.number(_HALF_PI[1])), o.mul(low, o.number(_HALF_PI[0]))))
        r = o.add(product, error)
        sine, cosine = self._sine_and_cosine(r, o.sub(error, o.sub(r, product)))
        # what has no end has no sine
        known = o.less(size, o.number(np.inf))
        sine, cosine = (o.choose(known, wave, o.number(np.nan)) for wave in (sine, cosine))
        return o.truncated(quarter), quarters, sine, cosine

    def _grouped(self, size: T) -> tuple[list[T], T]:
        """A number as a whole one in four groups of 24 bits, the last first, and by how many groups it is larger.

        One that is too small for it, or no number, is 1: its sine is another recipe's.
        """
        o = self.o
        usable = o.logical_and(o.less(o.number(1.0), size), o.less(size, o.number(np.inf)))
        size = o.choose(usable, size, o.number(1.0))
        # 72 groups of 24 above the least exponent; dividing by 24 is exact enough in doubles
        exponent = o.sub_integers(o.right(o.bits(size), 52), o.integer(1023 + 52))
        group = o.sub_integers(
            o.truncated(o.mul(o.add(o.whole(exponent), o.number(72.5)), o.number(1.0 / _GROUP))), o.integer(3)
        )
        shift = o.whole(group)
        # 2^(-24 group), in two factors that are normal numbers
        power = o.truncated(o.mul(shift, o.number(-_GROUP / 2.0)))
        factor = o.double(o.shift_left(o.add_integers(power, o.integer(1023)), 52))
        whole = o.mul(o.mul(size, factor), factor)
        pieces: list[T] = []
        for place in (3, 2, 1):
            scale = 2.0 ** (_GROUP * place)
            digit = o.whole(o.truncated(o.mul(whole, o.number(1.0 / scale))))
            pieces.insert(0, digit)
            whole = o.sub(whole, o.mul(digit, o.number(scale)))
        return [whole, *pieces], group
