"""Elementary functions to many digits, in decimal arithmetic: what recipes in doubles are judged by.

Nothing here is shared with the recipes: series at the number itself, after pi from Machin's formula.
"""

from collections.abc import Callable
from decimal import Decimal, localcontext

_DIGITS = 60
#: Beside them, so many digits of pi as the largest double needs.
_MORE = 330


def _inverse_tangent_of_inverse(n: int, scale: int) -> int:
    term = total = scale // n
    k, sign = 1, 1
    while term:
        term //= n * n
        k, sign = k + 2, -sign
        total += sign * term // k
    return total


def _pi() -> Decimal:
    digits = _DIGITS + _MORE + 20
    scale = 10**digits
    quarter = 4 * _inverse_tangent_of_inverse(5, scale) - _inverse_tangent_of_inverse(239, scale)
    with localcontext(prec=digits):
        return Decimal(4 * quarter) / scale


PI = _pi()


def _series(first: Decimal, factor: Callable[[int], Decimal]) -> Decimal:
    total, term, n = first, first, 1
    while term and abs(term) > abs(total) * Decimal(10) ** -_DIGITS:
        term *= factor(n)
        total += term
        n += 1
    return total


def _reduced(x: Decimal) -> Decimal:
    with localcontext(prec=_DIGITS + _MORE):
        return x - (x / (2 * PI)).to_integral_value() * 2 * PI


def sin(x: Decimal) -> Decimal:
    r = _reduced(x)
    return _series(r, lambda n: -r * r / (2 * n * (2 * n + 1)))


def cos(x: Decimal) -> Decimal:
    r = _reduced(x)
    return _series(Decimal(1), lambda n: -r * r / (2 * n * (2 * n - 1)))


def tan(x: Decimal) -> Decimal:
    return sin(x) / cos(x)


def atan(x: Decimal) -> Decimal:
    # halved until the series is short: atan x = 2 atan(x / (1 + sqrt(1 + x^2)))
    halved = 0
    while abs(x) > Decimal("0.05"):
        x, halved = x / (1 + (1 + x * x).sqrt()), halved + 1
    total, power, n = x, x, 1
    while power and abs(power) > abs(total) * Decimal(10) ** -_DIGITS:
        power *= -x * x
        total += power / (2 * n + 1)
        n += 1
    return total * 2**halved


def asin(x: Decimal) -> Decimal:
    return atan(x / ((1 - x) * (1 + x)).sqrt()) if abs(x) < 1 else x * PI / 2


def acos(x: Decimal) -> Decimal:
    return 2 * atan(((1 - x) / (1 + x)).sqrt()) if x > -1 else +PI


def sinh(x: Decimal) -> Decimal:
    if abs(x) < 1:
        return _series(x, lambda n: x * x / (2 * n * (2 * n + 1)))
    return (x.exp() - (-x).exp()) / 2


def cosh(x: Decimal) -> Decimal:
    return (x.exp() + (-x).exp()) / 2


def tanh(x: Decimal) -> Decimal:
    return sinh(x) / cosh(x)


def log10(x: Decimal) -> Decimal:
    return x.log10()


def erfc(x: Decimal) -> Decimal:
    if x < 3:
        # the error function by its series with terms of one sign
        total = term = x
        n = 0
        while term and abs(term) > abs(total) * Decimal(10) ** -_DIGITS:
            n += 1
            term *= 2 * x * x / (2 * n + 1)
            total += term
        return 1 - 2 / PI.sqrt() * (-x * x).exp() * total
    fraction = x
    for n in range(400, 0, -1):
        fraction = x + Decimal(n) / 2 / fraction
    return (-x * x).exp() / PI.sqrt() / fraction


def errors_in_last_places(name: str, arguments: list[float], values: list[float]) -> list[float]:
    """How far values of a function are from exact ones, in units in the last place of the exact one."""
    import math

    function = globals()[name]
    errors = []
    with localcontext(prec=_DIGITS + 25):
        for argument, value in zip(arguments, values, strict=True):
            exact = function(Decimal(argument))
            unit = math.ulp(float(exact))
            errors.append(float(abs(Decimal(value) - exact) / Decimal(unit)))
    return errors
