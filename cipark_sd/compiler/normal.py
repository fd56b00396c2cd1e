"""The normal distribution's quantiles in primitives."""

import math
from collections.abc import Sequence

from cipark_sd.compiler.graph import Graph

# Numerators and denominators, constant term first. Source: Wichura 1988, Applied Statistics 37(3), algorithm AS 241,
# routine PPND16: relative accuracy about 1e-16.
_CENTRE = (
    (
        3.3871328727963665,
        133.14166789178438,
        1971.5909503065513,
        13731.69376550946,
        45921.95393154987,
        67265.7709270087,
        33430.57558358813,
        2509.0809287301227,
    ),
    (
        1.0,
        42.31333070160091,
        687.1870074920579,
        5394.196021424751,
        21213.794301586597,
        39307.89580009271,
        28729.085735721943,
        5226.495278852854,
    ),
)
_MIDDLE = (
    (
        1.4234371107496835,
        4.630337846156546,
        5.769497221460691,
        3.6478483247632045,
        1.2704582524523684,
        0.2417807251774506,
        0.022723844989269184,
        0.0007745450142783414,
    ),
    (
        1.0,
        2.053191626637759,
        1.6763848301838038,
        0.6897673349851,
        0.14810397642748008,
        0.015198666563616457,
        0.0005475938084995345,
        1.0507500716444169e-09,
    ),
)
_TAIL = (
    (
        6.657904643501103,
        5.463784911164114,
        1.7848265399172913,
        0.29656057182850487,
        0.026532189526576124,
        0.0012426609473880784,
        2.7115555687434876e-05,
        2.0103343992922881e-07,
    ),
    (
        1.0,
        0.599832206555888,
        0.1369298809227358,
        0.014875361290850615,
        0.0007868691311456133,
        1.8463183175100548e-05,
        1.421511758316446e-07,
        2.0442631033899397e-15,
    ),
)


def quantile(g: Graph, p: int) -> int:
    """The number below which a standard normal variable falls with probability ``p``."""
    half, unit, zero = g.const(0.5), g.const(1.0), g.const(0.0)
    q = g.sub(p, half)
    inner = g.mul(q, _ratio(g, _CENTRE, g.sub(g.const(0.180625), g.mul(q, q))))
    tail = g.op("sqrt", g.op("neg", g.op("log", g.op("min", p, g.sub(unit, p)))))
    near, far = g.sub(tail, g.const(1.6)), g.sub(tail, g.const(5.0))
    outer = g.select(g.le(tail, g.const(5.0)), _ratio(g, _MIDDLE, near), _ratio(g, _TAIL, far))
    signed = g.select(g.lt(q, zero), g.op("neg", outer), outer)
    return g.select(g.le(g.op("abs", q), g.const(0.425)), inner, signed)


def probability(g: Graph, x: int) -> int:
    """The probability with which a standard normal variable falls below ``x``."""
    return g.mul(g.const(0.5), g.op("erfc", g.div(g.op("neg", x), g.const(math.sqrt(2.0)))))


def _ratio(g: Graph, coefficients: tuple[Sequence[float], Sequence[float]], r: int) -> int:
    over, under = (_polynomial(g, polynomial, r) for polynomial in coefficients)
    return g.div(over, under)


def _polynomial(g: Graph, coefficients: Sequence[float], r: int) -> int:
    total = g.const(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = g.add(g.mul(total, r), g.const(coefficient))
    return total
