"""``exp``, ``log``, ``pow``, ``sin`` and ``cos`` as recipes of IEEE operations that every engine follows to the bit.

The C library's functions take one number at a time, which on models full of powers is most of a run. Vector libraries
differ from machine to machine. So each function is written once, over values that are either NumPy's
arrays or registers of the emitter of vector code, and no step of it may be contracted or reordered.

Source: the argument reductions and the coefficients of ``log``, ``sin`` and ``cos`` are those of FDLIBM (Sun
Microsystems 1993, ``e_exp.c``, ``e_log.c``, ``k_sin.c``, ``k_cos.c``); ``exp`` is Taylor's series on the reduced
argument; ``pow`` is ``exp`` of the product of ``y`` and a logarithm in two doubles (Dekker 1971, Numerische Mathematik
18:224). Accuracy: all but ``pow`` within 1.1 units in the last place; ``pow`` too while ``|y log x| < 8``,
within 60 (a part in 10^14) at the ends of the range, and exact where the result is a whole number below 2^53.
"""

import math
import struct
from abc import ABC, abstractmethod
from typing import Any, Protocol, Self

import numpy as np

#: A double, a 64-bit integer or a truth for each run: NumPy's array, or a register of the emitter. Both have Python's
#: operators, between each other and with a Python number beside them, and each is one rounded operation.
Value = Any

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


class Operators(ABC):
    """Python's operators as operations by name, on the value itself and numbers beside it."""

    @abstractmethod
    def operation(self, name: str, *operands: Any) -> Self:
        """The result of an operation such as ``add`` on these operands, of which one is the value."""

    def __add__(self, other: Any) -> Self:
        return self.operation("add", self, other)

    def __radd__(self, other: Any) -> Self:
        return self.operation("add", other, self)

    def __sub__(self, other: Any) -> Self:
        return self.operation("sub", self, other)

    def __rsub__(self, other: Any) -> Self:
        return self.operation("sub", other, self)

    def __mul__(self, other: Any) -> Self:
        return self.operation("mul", self, other)

    def __rmul__(self, other: Any) -> Self:
        return self.operation("mul", other, self)

    def __truediv__(self, other: Any) -> Self:
        return self.operation("div", self, other)

    def __rtruediv__(self, other: Any) -> Self:
        return self.operation("div", other, self)

    def __lt__(self, other: Any) -> Self:
        return self.operation("lt", self, other)

    def __gt__(self, other: Any) -> Self:
        return self.operation("lt", other, self)

    def __and__(self, other: Any) -> Self:
        return self.operation("and", self, other)

    def __or__(self, other: Any) -> Self:
        return self.operation("or", self, other)


class Arithmetic(Protocol):
    """What values have no operator for."""

    def equal(self, a: Value, b: Value) -> Value: ...
    def rint(self, a: Value) -> Value: ...
    def sqrt(self, a: Value) -> Value: ...
    def choose(self, condition: Value, a: Value, b: Value) -> Value: ...
    def bits(self, a: Value) -> Value: ...
    def double(self, a: Value) -> Value: ...
    def whole(self, a: Value) -> Value: ...
    def truncated(self, a: Value) -> Value: ...
    def entry(self, numbers: tuple[float, ...], place: Value) -> Value: ...
    def lacking(self, a: Value, b: Value, product: Value) -> Value | None:
        """What a rounded product lacks, where one operation gives it: it is a double, so that bits are the same."""


class Elementary:
    """The functions over one arithmetic."""

    def __init__(self, arithmetic: Arithmetic) -> None:
        self.o = arithmetic

    def exp(self, x: Value) -> Value:
        """The exponential; infinite above 709.79, 0 below -745.14."""
        return self._exp(self._clamped(x), None)

    def log(self, x: Value) -> Value:
        """The natural logarithm; NaN of negative numbers, minus infinity of 0."""
        return self._log_ends(x, self._log(*self._significand(x)))

    def _log_ends(self, x: Value, value: Value) -> Value:
        """A logarithm, whatever its base, with what it is of numbers that are not positive or have no end."""
        o = self.o
        value = o.choose(o.equal(x, np.inf), x, value)
        value = o.choose(o.equal(x, 0.0), -np.inf, value)
        value = o.choose(x < 0.0, np.nan, value)
        return o.choose(o.equal(x, x), value, x)

    def pow(self, x: Value, y: Value) -> Value:
        """``x`` to the power ``y``, with C's rules for 0, infinities, NaN and negative ``x``."""
        o = self.o
        size = self._size(x)
        high, low = self._log_in_two(*self._significand(size))
        product, error = self._times(y, high, low)
        # outside of it the result is 0 or infinite, and the error may be no number
        error = o.choose(self._size(product) < 800.0, error, 0.0)
        value = self._exp(self._clamped(product), error)
        grows = y > 0.0
        value = o.choose(o.equal(size, 0.0), o.choose(grows, 0.0, np.inf), value)
        value = o.choose(o.equal(size, np.inf), o.choose(grows, np.inf, 0.0), value)
        # a base of size 1 makes 0 times infinity of an infinite power
        value = o.choose(o.equal(size, 1.0) & o.equal(y, y), 1.0, value)
        value = o.choose(o.equal(x, x), value, x)
        value = o.choose(o.equal(y, y), self._signed(x, y, size, value), y)
        return o.choose(o.equal(y, 0.0) | o.equal(x, 1.0), 1.0, value)

    def plain_sin(self, x: Value) -> tuple[Value, Value]:
        """The sine, and whether it is right: of sizes up to :data:`FAR`."""
        return self._wave(x, 0), self.is_near(x)

    def plain_cos(self, x: Value) -> tuple[Value, Value]:
        """The cosine, and whether it is right: of sizes up to :data:`FAR`."""
        return self._wave(x, 1), self.is_near(x)

    def is_near(self, x: Value) -> Value:
        """Whether three parts of pi suffice to take whole turns off."""
        return self._size(x) < FAR

    def plain_exp(self, x: Value) -> tuple[Value, Value]:
        """The exponential, and whether it is right: of sizes below 700."""
        return self._exp(x, None, plain=True), self._size(x) < 700.0

    def plain_log(self, x: Value) -> tuple[Value, Value]:
        """The logarithm, and whether it is right: of positive normal numbers."""
        return self._log(*self._significand(x, plain=True)), self._is_normal(x)

    def plain_pow(self, x: Value, y: Value) -> tuple[Value, Value]:
        """The power, and whether it is right: of positive normal numbers, where the result is one too."""
        product, error = self._times(y, *self._log_in_two(*self._significand(x, plain=True)))
        return self._exp(product, error, plain=True), self._is_normal(x) & (self._size(product) < 700.0)

    def trivial_pow(self, x: Value, y: Value) -> tuple[Value, Value]:
        """The power, and whether it is right: of 1, by 0, and of 0 (not of minus 0) where the exponent is positive."""
        o = self.o
        unit = o.equal(x, 1.0) | o.equal(y, 0.0)
        # of all numbers 0 alone has no bit that is set
        nothing = o.equal(o.double(o.bits(x) + _ONE_BITS), 1.0)
        return o.choose(unit, 1.0, 0.0), unit | (nothing & (y > 0.0))

    def _is_normal(self, x: Value) -> Value:
        return (math.nextafter(2.0**-1022, 0.0) < x) & (x < np.inf)

    def _wave(self, x: Value, quarters: int) -> Value:
        """The sine of ``x`` and so many quarters of a turn."""
        o = self.o
        quarter, r, lacking = self._quarter(x)
        value = self._turned(quarter, quarters, *self._sine_and_cosine(r, lacking))
        # minus zero has a sine of its own
        return o.choose(o.equal(x, 0.0), x, value) if quarters == 0 else value

    def _quarter(self, x: Value) -> tuple[Value, Value, Value]:
        """The nearest quarter of a turn, as an integer, and what ``x`` is beyond it, with what that lacks."""
        rounded = x * _TWO_OVER_PI + _ROUND
        n = rounded - _ROUND
        first, second, third = (n * part for part in _HALF_PI)
        rough = x - first
        finer = rough - second
        low = third - (rough - finer - second)
        r = finer - low
        return self.o.bits(rounded) - _ROUND_BITS, r, finer - r - low

    def _sine_and_cosine(self, r: Value, lacking: Value) -> tuple[Value, Value]:
        """Sine and cosine of ``r + lacking``, which lies within an eighth of a turn of 0."""
        z = r * r
        cube, half = z * r, 0.5 * z
        sine_series = self._polynomial(z, _SIN[1:])
        inner = z * (0.5 * lacking - cube * sine_series) - lacking
        sine = r - (inner - cube * _SIN[0])
        remaining = 1.0 - half
        series = z * z * self._polynomial(z, _COS) - r * lacking
        return sine, remaining + (1.0 - remaining - half + series)

    def _turned(self, quarter: Value, quarters: int, sine: Value, cosine: Value) -> Value:
        """The sine after a turn by quarters."""
        o = self.o
        place = quarter + quarters
        # the second bit of the quarter turns the sign, the first takes the cosine
        odd = o.whole(place & 1)
        value = o.choose(o.equal(odd, 0.0), sine, cosine)
        turned = o.whole(place & 2)
        return o.choose(o.equal(turned, 0.0), value, value * -1.0)

    def _size(self, x: Value) -> Value:
        o = self.o
        return o.double(o.bits(x) & (2**63 - 1))

    def _signed(self, x: Value, y: Value, size: Value, value: Value) -> Value:
        """The power of a negative base, from that of its size."""
        o = self.o
        half = y * 0.5
        entire = o.equal(o.rint(y), y)
        # the half of the smallest number rounds to 0
        even = entire & o.equal(o.rint(half), half)
        # of a zero too, which no comparison tells
        negative = o.double((o.bits(x) & _SIGN_BIT) + _ONE_BITS) < 0.0
        unknown = o.choose((size > 0.0) & (size < np.inf), np.nan, value)
        return o.choose(negative, o.choose(even, value, o.choose(entire, value * -1.0, unknown)), value)

    def _clamped(self, x: Value) -> Value:
        o = self.o
        return o.choose(x > 800.0, 800.0, o.choose(x < -800.0, -800.0, x))

    def _exp(self, x: Value, error: Value | None, *, plain: bool = False) -> Value:
        """The exponential of ``x + error``, where ``error`` is small beside ``x``, which is below 800 in size.

        One that is ``plain`` is below 700 in size, so that its result is a normal number; it gives the same bits.
        """
        o = self.o
        rounded = x * _INVERSE_LN2 + _ROUND
        k = rounded - _ROUND
        power = o.bits(rounded) - _ROUND_BITS
        high, low = x - k * _LN2_HIGH, k * _LN2_LOW
        if error is not None:
            low = low - error
        r = high - low
        lacking = high - r - low
        t = r * r
        # even and odd terms apart, so that neither waits for the other; a division would take longer than both
        curved = self._polynomial(t, _EXP_EVEN) + r * self._polynomial(t, _EXP_ODD)
        y = 1.0 + (r + (t * curved + lacking))
        if plain:
            return y * o.double((power + 1023) << 52)
        # two factors, since 2^k alone may be beyond the range where the result is not
        first = power >> 1
        second = power - first
        for part in (first, second):
            y = y * o.double((part + 1023) << 52)
        return y

    def _polynomial(self, at: Value, coefficients: tuple[float, ...]) -> Value:
        value: Value = coefficients[-1]
        for coefficient in reversed(coefficients[:-1]):
            value = coefficient + at * value
        return value

    def _significand(self, x: Value, *, plain: bool = False) -> tuple[Value, Value]:
        """``k`` and ``f`` with ``x = 2^k (1 + f)`` and ``1 + f`` between the square roots of 1/2 and 2."""
        o = self.o
        if plain:
            return self._taken_apart(x)
        tiny = x < 2.0**-1022
        k, f = self._taken_apart(o.choose(tiny, x * 2.0**54, x))
        return k - o.choose(tiny, 54.0, 0.0), f

    def _taken_apart(self, x: Value) -> tuple[Value, Value]:
        o = self.o
        bits = o.bits(x)
        k = (bits - _SIGNIFICAND_BITS) >> 52
        f = o.double(bits - (k << 52)) - 1.0
        return o.whole(k), f

    def _log_series(self, z: Value) -> Value:
        """The terms beyond the first, by odd and even powers of ``z``."""
        w = z * z
        return w * self._polynomial(w, _LOG[1::2]) + z * self._polynomial(w, _LOG[::2])

    def _log(self, k: Value, f: Value) -> Value:
        """``k log 2 + log(1 + f)``."""
        s = f / (2.0 + f)
        series, half_square = self._log_series(s * s), 0.5 * f * f
        inner = s * (half_square + series) + k * _LN2_LOW
        return k * _LN2_HIGH - (half_square - inner - f)

    def _log_in_two(self, k: Value, f: Value) -> tuple[Value, Value]:
        """``k log 2 + log(1 + f)`` as a double and what it lacks."""
        divisor = 2.0 + f
        divisor_low = f - (divisor - 2.0)
        inverse = 1.0 / divisor
        s = f * inverse
        product, error = self._product(s, divisor)
        remainder = f - product - error - s * divisor_low
        s_low = remainder * inverse
        series = s * self._log_series(s * s)
        # log(1 + f) = 2 s + s R(s^2), s in two doubles
        leading, twice = k * _LN2_HIGH, 2.0 * s
        high = leading + twice
        low = twice - (high - leading)
        low = low + (k * _LN2_LOW + 2.0 * s_low + series)
        total = high + low
        return total, low - (total - high)

    def _times(self, y: Value, high: Value, low: Value) -> tuple[Value, Value]:
        product, error = self._product(y, high)
        return product, error + y * low

    def _product(self, a: Value, b: Value) -> tuple[Value, Value]:
        """A product as a double and what it lacks."""
        o = self.o
        product = a * b
        fused = o.lacking(a, b, product)
        if fused is not None:
            return product, fused
        # halves of 26 bits, rounded to the nearest, so that no product of two of them is
        rounded = (o.bits(v) + _HALF_OF_LOW for v in (a, b))
        a_high, b_high = (o.double(bits & _HIGH_HALF) for bits in rounded)
        a_low, b_low = a - a_high, b - b_high
        error = a_high * b_high - product
        error = error + a_high * b_low + a_low * b_high + a_low * b_low
        return product, error
