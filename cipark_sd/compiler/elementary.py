"""``exp``, ``log``, ``pow``, ``sin`` and ``cos`` as recipes of IEEE operations that every engine follows to the bit.

The C library's functions take one number at a time, which on models full of powers is most of a run. Vector libraries
differ from machine to machine. So each function is written once, over an :class:`Arithmetic` that is either NumPy's or
the emitter of vector code, and no step of it may be contracted or reordered.

Source: the argument reductions and the coefficients of ``log``, ``sin`` and ``cos`` are those of FDLIBM (Sun
Microsystems 1993, ``e_exp.c``, ``e_log.c``, ``k_sin.c``, ``k_cos.c``); ``exp`` is Taylor's series on the reduced
argument; ``pow`` is ``exp`` of the product of ``y`` and a logarithm in two doubles (Dekker 1971, Numerische Mathematik
18:224). Accuracy: all but ``pow`` within 1.1 units in the last place; ``pow`` too while ``|y log x| < 8``,
within 60 (a part in 10^14) at the ends of the range, and exact where the result is a whole number below 2^53.
"""

import math
import struct
from typing import Generic, Protocol, TypeVar

import numpy as np

T = TypeVar("T")

_INVERSE_LN2 = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
#: 1 / 2!, 1 / 4!, ... and 1 / 3!, 1 / 5!, ...: what is left out is below 2^-57 of the result.
_EXP_EVEN = tuple(1.0 / math.factorial(n) for n in range(2, 14, 2))
_EXP_ODD = tuple(1.0 / math.factorial(n) for n in range(3, 14, 2))
_LOG = (
    *(6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01, 2.222219843214978396e-01),
    *(1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860511658591e-01),
)
_SIN = (
    *(-1.66666666666666324348e-01, 8.33333333332248946124e-03, -1.98412698298579493134e-04),
    *(2.75573137070700676789e-06, -2.50507602534068634195e-08, 1.58969099521155010221e-10),
)
_COS = (
    *(4.16666666666666019037e-02, -1.38888888888741095749e-03, 2.48015872894767294178e-05),
    *(-2.75573143513906633035e-07, 2.08757232129817482790e-09, -1.13596475577881948265e-11),
)
_TWO_OVER_PI = 6.36619772367581382433e-01
#: A half of pi in three parts, the first two with 33 bits.
_HALF_PI = (1.57079632673412561417e00, 6.07710050630396597660e-11, 2.02226624879595063154e-21)
#: From this size on, turns are taken off with as many digits of pi as the number needs (:mod:`~.rarer`).
FAR = 1e6
#: Adding it to a number of moderate size leaves the nearest whole number in the last bits.
_ROUND = 1.5 * 2.0**52
_ROUND_BITS = int.from_bytes(struct.pack(">d", _ROUND), "big")
#: Below the smallest significand that is kept, about the square root of a half.
_SIGNIFICAND_BITS = 0x3FE6A09E00000000
_HIGH_HALF, _HALF_OF_LOW = -(1 << 27), 1 << 26
_SIGN_BIT = -(2**63)
_ONE_BITS = 0x3FF0000000000000


class Arithmetic(Protocol[T]):
    """Doubles, 64-bit integers and truths, each a value of the same Python type."""

    def number(self, value: float) -> T: ...
    def add(self, a: T, b: T) -> T: ...
    def sub(self, a: T, b: T) -> T: ...
    def mul(self, a: T, b: T) -> T: ...
    def div(self, a: T, b: T) -> T: ...
    def rint(self, a: T) -> T: ...
    def less(self, a: T, b: T) -> T: ...
    def equal(self, a: T, b: T) -> T: ...
    def logical_and(self, a: T, b: T) -> T: ...
    def logical_or(self, a: T, b: T) -> T: ...
    def choose(self, condition: T, a: T, b: T) -> T: ...
    def bits(self, a: T) -> T: ...
    def double(self, a: T) -> T: ...
    def whole(self, a: T) -> T: ...
    def integer(self, value: int) -> T: ...
    def add_integers(self, a: T, b: T) -> T: ...
    def sub_integers(self, a: T, b: T) -> T: ...
    def and_integers(self, a: T, b: T) -> T: ...
    def shift_left(self, a: T, places: int) -> T: ...
    def right(self, a: T, places: int) -> T: ...
    def sqrt(self, a: T) -> T: ...
    def truncated(self, a: T) -> T: ...
    def entry(self, numbers: tuple[float, ...], place: T) -> T: ...
    def lacking(self, a: T, b: T, product: T) -> T | None:
        """What a rounded product lacks, where one operation gives it: it is a double, so that bits are the same."""


class Elementary(Generic[T]):
    """The functions over one arithmetic."""

    def __init__(self, arithmetic: Arithmetic[T]) -> None:
        self.o = arithmetic

    def exp(self, x: T) -> T:
        """The exponential; infinite above 709.79, 0 below -745.14."""
        return self._exp(self._clamped(x), None)

    def log(self, x: T) -> T:
        """The natural logarithm; NaN of negative numbers, minus infinity of 0."""
        return self._log_ends(x, self._log(*self._significand(x)))

    def _log_ends(self, x: T, value: T) -> T:
        """A logarithm, whatever its base, with what it is of numbers that are not positive or have no end."""
        o = self.o
        value = o.choose(o.equal(x, o.number(np.inf)), x, value)
        value = o.choose(o.equal(x, o.number(0.0)), o.number(-np.inf), value)
        value = o.choose(o.less(x, o.number(0.0)), o.number(np.nan), value)
        return o.choose(o.equal(x, x), value, x)

    def pow(self, x: T, y: T) -> T:
        """``x`` to the power ``y``, with C's rules for 0, infinities, NaN and negative ``x``."""
        o = self.o
        zero, unit, infinity = o.number(0.0), o.number(1.0), o.number(np.inf)
        size = self._size(x)
        high, low = self._log_in_two(*self._significand(size))
        product, error = self._times(y, high, low)
        # outside of it the result is 0 or infinite, and the error may be no number
        error = o.choose(o.less(self._size(product), o.number(800.0)), error, zero)
        value = self._exp(self._clamped(product), error)
        grows = o.less(zero, y)
        value = o.choose(o.equal(size, zero), o.choose(grows, zero, infinity), value)
        value = o.choose(o.equal(size, infinity), o.choose(grows, infinity, zero), value)
        # a base of size 1 makes 0 times infinity of an infinite power
        value = o.choose(o.logical_and(o.equal(size, unit), o.equal(y, y)), unit, value)
        value = o.choose(o.equal(x, x), value, x)
        value = o.choose(o.equal(y, y), self._signed(x, y, size, value), y)
        return o.choose(o.logical_or(o.equal(y, zero), o.equal(x, unit)), unit, value)

    def plain_sin(self, x: T) -> tuple[T, T]:
        """The sine, and whether it is right: of sizes up to :data:`FAR`."""
        return self._wave(x, 0), self.is_near(x)

    def plain_cos(self, x: T) -> tuple[T, T]:
        """The cosine, and whether it is right: of sizes up to :data:`FAR`."""
        return self._wave(x, 1), self.is_near(x)

    def is_near(self, x: T) -> T:
        """Whether three parts of pi suffice to take whole turns off."""
        return self.o.less(self._size(x), self.o.number(FAR))

    def plain_exp(self, x: T) -> tuple[T, T]:
        """The exponential, and whether it is right: of sizes below 700."""
        return self._exp(x, None, plain=True), self.o.less(self._size(x), self.o.number(700.0))

    def plain_log(self, x: T) -> tuple[T, T]:
        """The logarithm, and whether it is right: of positive normal numbers."""
        return self._log(*self._significand(x, plain=True)), self._is_normal(x)

    def plain_pow(self, x: T, y: T) -> tuple[T, T]:
        """The power, and whether it is right: of positive normal numbers, where the result is one too."""
        o = self.o
        product, error = self._times(y, *self._log_in_two(*self._significand(x, plain=True)))
        right = o.logical_and(self._is_normal(x), o.less(self._size(product), o.number(700.0)))
        return self._exp(product, error, plain=True), right

    def trivial_pow(self, x: T, y: T) -> tuple[T, T]:
        """The power, and whether it is right: of 1, by 0, and of 0 (not of minus 0) where the exponent is positive."""
        o = self.o
        unit = o.logical_or(o.equal(x, o.number(1.0)), o.equal(y, o.number(0.0)))
        # of all numbers 0 alone has no bit that is set
        nothing = o.equal(o.double(o.add_integers(o.bits(x), o.integer(_ONE_BITS))), o.number(1.0))
        right = o.logical_or(unit, o.logical_and(nothing, o.less(o.number(0.0), y)))
        return o.choose(unit, o.number(1.0), o.number(0.0)), right

    def _is_normal(self, x: T) -> T:
        o = self.o
        return o.logical_and(o.less(o.number(math.nextafter(2.0**-1022, 0.0)), x), o.less(x, o.number(np.inf)))

    def _wave(self, x: T, quarters: int) -> T:
        """The sine of ``x`` and so many quarters of a turn."""
        o = self.o
        quarter, r, lacking = self._quarter(x)
        value = self._turned(quarter, quarters, *self._sine_and_cosine(r, lacking))
        # minus zero has a sine of its own
        return o.choose(o.equal(x, o.number(0.0)), x, value) if quarters == 0 else value

    def _quarter(self, x: T) -> tuple[T, T, T]:
        """The nearest quarter of a turn, as an integer, and what ``x`` is beyond it, with what that lacks."""
        o = self.o
        rounded = o.add(o.mul(x, o.number(_TWO_OVER_PI)), o.number(_ROUND))
        n = o.sub(rounded, o.number(_ROUND))
        first, second, third = (o.mul(n, o.number(part)) for part in _HALF_PI)
        rough = o.sub(x, first)
        finer = o.sub(rough, second)
        low = o.sub(third, o.sub(o.sub(rough, finer), second))
        r = o.sub(finer, low)
        return o.sub_integers(o.bits(rounded), o.integer(_ROUND_BITS)), r, o.sub(o.sub(finer, r), low)

    def _sine_and_cosine(self, r: T, lacking: T) -> tuple[T, T]:
        """Sine and cosine of ``r + lacking``, which lies within an eighth of a turn of 0."""
        o = self.o
        z = o.mul(r, r)
        cube, half = o.mul(z, r), o.mul(o.number(0.5), z)
        sine_series = self._polynomial(z, _SIN[1:])
        inner = o.sub(o.mul(z, o.sub(o.mul(o.number(0.5), lacking), o.mul(cube, sine_series))), lacking)
        sine = o.sub(r, o.sub(inner, o.mul(cube, o.number(_SIN[0]))))
        remaining = o.sub(o.number(1.0), half)
        series = o.sub(o.mul(o.mul(z, z), self._polynomial(z, _COS)), o.mul(r, lacking))
        return sine, o.add(remaining, o.add(o.sub(o.sub(o.number(1.0), remaining), half), series))

    def _turned(self, quarter: T, quarters: int, sine: T, cosine: T) -> T:
        """The sine after a turn by quarters."""
        o = self.o
        place = o.add_integers(quarter, o.integer(quarters))
        # the second bit of the quarter turns the sign, the first takes the cosine
        odd = o.whole(o.and_integers(place, o.integer(1)))
        value = o.choose(o.equal(odd, o.number(0.0)), sine, cosine)
        turned = o.whole(o.and_integers(place, o.integer(2)))
        return o.choose(o.equal(turned, o.number(0.0)), value, o.mul(value, o.number(-1.0)))

    def _size(self, x: T) -> T:
        o = self.o
        return o.double(o.and_integers(o.bits(x), o.integer(2**63 - 1)))

    def _signed(self, x: T, y: T, size: T, value: T) -> T:
        """The power of a negative base, from that of its size."""
        o = self.o
        half = o.mul(y, o.number(0.5))
        entire = o.equal(o.rint(y), y)
        # the half of the smallest number rounds to 0
        even = o.logical_and(entire, o.equal(o.rint(half), half))
        # of a zero too, which no comparison tells
        sign = o.double(o.add_integers(o.and_integers(o.bits(x), o.integer(_SIGN_BIT)), o.integer(_ONE_BITS)))
        negative = o.less(sign, o.number(0.0))
        inside = o.logical_and(o.less(o.number(0.0), size), o.less(size, o.number(np.inf)))
        unknown = o.choose(inside, o.number(np.nan), value)
        minus = o.mul(value, o.number(-1.0))
        return o.choose(negative, o.choose(even, value, o.choose(entire, minus, unknown)), value)

    def _clamped(self, x: T) -> T:
        o = self.o
        bound, least = o.number(800.0), o.number(-800.0)
        return o.choose(o.less(bound, x), bound, o.choose(o.less(x, least), least, x))

    def _exp(self, x: T, error: T | None, *, plain: bool = False) -> T:
        """The exponential of ``x + error``, where ``error`` is small beside ``x``, which is below 800 in size.

        One that is ``plain`` is below 700 in size, so that its result is a normal number; it gives the same bits.
        """
        o = self.o
        rounded = o.add(o.mul(x, o.number(_INVERSE_LN2)), o.number(_ROUND))
        k = o.sub(rounded, o.number(_ROUND))
        power = o.sub_integers(o.bits(rounded), o.integer(_ROUND_BITS))
        high, low = o.sub(x, o.mul(k, o.number(_LN2_HIGH))), o.mul(k, o.number(_LN2_LOW))
        if error is not None:
            low = o.sub(low, error)
        r = o.sub(high, low)
        lacking = o.sub(o.sub(high, r), low)
        t = o.mul(r, r)
        # even and odd terms apart, so that neither waits for the other; a division would take longer than both
        curved = o.add(self._polynomial(t, _EXP_EVEN), o.mul(r, self._polynomial(t, _EXP_ODD)))
        y = o.add(o.number(1.0), o.add(r, o.add(o.mul(t, curved), lacking)))
        if plain:
            return o.mul(y, o.double(o.shift_left(o.add_integers(power, o.integer(1023)), 52)))
        # two factors, since 2^k alone may be beyond the range where the result is not
        first = o.right(power, 1)
        second = o.sub_integers(power, first)
        for part in (first, second):
            y = o.mul(y, o.double(o.shift_left(o.add_integers(part, o.integer(1023)), 52)))
        return y

    def _polynomial(self, at: T, coefficients: tuple[float, ...]) -> T:
        o = self.o
        value = o.number(coefficients[-1])
        for coefficient in reversed(coefficients[:-1]):
            value = o.add(o.number(coefficient), o.mul(at, value))
        return value

    def _significand(self, x: T, *, plain: bool = False) -> tuple[T, T]:
        """``k`` and ``f`` with ``x = 2^k (1 + f)`` and ``1 + f`` between the square roots of 1/2 and 2."""
        o = self.o
        if plain:
            return self._taken_apart(x)
        tiny = o.less(x, o.number(2.0**-1022))
        scaled = o.choose(tiny, o.mul(x, o.number(2.0**54)), x)
        k, f = self._taken_apart(scaled)
        return o.sub(k, o.choose(tiny, o.number(54.0), o.number(0.0))), f

    def _taken_apart(self, x: T) -> tuple[T, T]:
        o = self.o
        bits = o.bits(x)
        k = o.right(o.sub_integers(bits, o.integer(_SIGNIFICAND_BITS)), 52)
        f = o.sub(o.double(o.sub_integers(bits, o.shift_left(k, 52))), o.number(1.0))
        return o.whole(k), f

    def _series(self, f: T) -> tuple[T, T, T]:
        """``s = f / (2 + f)``, the series in ``s^2`` and ``f^2 / 2``."""
        o = self.o
        s = o.div(f, o.add(o.number(2.0), f))
        z = o.mul(s, s)
        return s, self._log_series(z), o.mul(o.mul(o.number(0.5), f), f)

    def _log_series(self, z: T) -> T:
        """The terms beyond the first, by odd and even powers of ``z``."""
        o = self.o
        w = o.mul(z, z)
        return o.add(o.mul(w, self._polynomial(w, _LOG[1::2])), o.mul(z, self._polynomial(w, _LOG[::2])))

    def _log(self, k: T, f: T) -> T:
        """``k log 2 + log(1 + f)``."""
        o = self.o
        s, series, half_square = self._series(f)
        inner = o.add(o.mul(s, o.add(half_square, series)), o.mul(k, o.number(_LN2_LOW)))
        return o.sub(o.mul(k, o.number(_LN2_HIGH)), o.sub(o.sub(half_square, inner), f))

    def _log_in_two(self, k: T, f: T) -> tuple[T, T]:
        """``k log 2 + log(1 + f)`` as a double and what it lacks."""
        o = self.o
        two = o.number(2.0)
        divisor = o.add(two, f)
        divisor_low = o.sub(f, o.sub(divisor, two))
        inverse = o.div(o.number(1.0), divisor)
        s = o.mul(f, inverse)
        product, error = self._product(s, divisor)
        remainder = o.sub(o.sub(o.sub(f, product), error), o.mul(s, divisor_low))
        s_low = o.mul(remainder, inverse)
        series = o.mul(s, self._log_series(o.mul(s, s)))
        # log(1 + f) = 2 s + s R(s^2), s in two doubles
        leading, twice = o.mul(k, o.number(_LN2_HIGH)), o.mul(two, s)
        high = o.add(leading, twice)
        low = o.sub(twice, o.sub(high, leading))
        low = o.add(low, o.add(o.add(o.mul(k, o.number(_LN2_LOW)), o.mul(two, s_low)), series))
        total = o.add(high, low)
        return total, o.sub(low, o.sub(total, high))

    def _times(self, y: T, high: T, low: T) -> tuple[T, T]:
        product, error = self._product(y, high)
        return product, self.o.add(error, self.o.mul(y, low))

    def _product(self, a: T, b: T) -> tuple[T, T]:
        """A product as a double and what it lacks."""
        o = self.o
        product = o.mul(a, b)
        fused = o.lacking(a, b, product)
        if fused is not None:
            return product, fused
        # halves of 26 bits, rounded to the nearest, so that no product of two of them is
        rounded = (o.add_integers(o.bits(v), o.integer(_HALF_OF_LOW)) for v in (a, b))
        a_high, b_high = (o.double(o.and_integers(bits, o.integer(_HIGH_HALF))) for bits in rounded)
        a_low, b_low = o.sub(a, a_high), o.sub(b, b_high)
        error = o.sub(o.mul(a_high, b_high), product)
        error = o.add(o.add(o.add(error, o.mul(a_high, b_low)), o.mul(a_low, b_high)), o.mul(a_low, b_low))
        return product, error
