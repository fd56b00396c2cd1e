"""Numbers, intervals and lists as a person reads them."""

import math
import re
from collections.abc import Iterable
from decimal import Decimal


def number(value: float, *, digits: int = 4) -> str:
    """A number to some significant digits, a whole one below a million with all of its digits.

    Exponents are for what nobody writes out: below a millionth, and from a million millions on.

    >>> number(1886.0, digits=3), number(0.123456), number(123456.7, digits=3)
    ('1886', '0.1235', '123000')
    >>> number(0.0000123, digits=3), number(1.5e-9, digits=3), number(2.5e15)
    ('0.0000123', '1.5e-09', '2.5e+15')
    """
    if not math.isfinite(value):
        return f"{value}"
    if value == round(value) and abs(value) < 1e6:
        return f"{value:.0f}"
    text = f"{value:.{digits}g}"
    return f"{Decimal(text):f}" if "e" in text and 1e-6 <= abs(value) < 1e12 else text


_EXPONENT = re.compile(r"(?<![\w.])([+-]?\d+(?:\.\d+)?)e([+-]\d+)(?!\w)")


def without_exponents(text: str) -> str:
    """A sentence with the numbers written out that :func:`number` would write out.

    >>> without_exponents("from 1.1e+03 to 2e-05, at most 1e-12")
    'from 1100 to 0.00002, at most 1e-12'
    """

    def written(match: re.Match[str]) -> str:
        value = Decimal(match[0])
        return f"{value:f}" if 1e-6 <= abs(value) < 1e12 else match[0]

    return _EXPONENT.sub(written, text)


def interval(
    low: float | None, high: float | None, *, without: tuple[str, str] = ("open", "open"), digits: int = 3
) -> str:
    """Both ends; ends that are close get the digits of their difference.

    ``without`` is what stands for either end where it is None or infinite.

    >>> interval(1886.2, 1895.7), interval(0.5, None), interval(12.3456, 45.6)
    ('1886.2 to 1895.7', '0.5 to open', '12.3 to 45.6')
    """
    ends = [end for end in (low, high) if end is not None and math.isfinite(end)]
    size = max((abs(end) for end in ends), default=0.0)
    width = max(ends) - min(ends) if len(ends) == 2 else 0.0
    if width > 0:
        # two digits of the width
        digits = min(15, max(digits, math.ceil(math.log10(size / width)) + 2))
    elif len(ends) == 1 and 1000 <= size < 10000:
        # a year has four
        digits = max(digits, 4)
    texts = [
        absent if end is None or math.isinf(end) else number(end, digits=digits)
        for end, absent in zip((low, high), without, strict=True)
    ]
    return " to ".join(texts)


def percent(level: float) -> str:
    """A level as it is printed.

    >>> percent(0.95), percent(0.999)
    ('95 %', '99.9 %')
    """
    return f"{100 * level:.6g} %"


def listed(names: Iterable[str], none: str = "none") -> str:
    """Names as a person lists them.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    names = list(names)
    if not names:
        return none
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
