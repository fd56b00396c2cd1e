"""Arithmetic, rounding, logic and elementary functions.

Conventions are Vensim's, as its reference manual (https://www.vensim.com/documentation) has them or its recorded runs
show them, and XMILE's (1.0, section 3) for functions of its own: a quantity below 1e-6 counts as zero. Truth is 1,
falsehood 0.
"""

import math
from collections.abc import Callable, Sequence
from functools import reduce

from cipark_sd.compiler.functions.row import FREE, KEEPS, PURE, Context, Function, Reading, Target, primitive
from cipark_sd.compiler.graph import Term
from cipark_sd.model.expr import Binary, Call, Const, Expr, If, Neg, Ref, Table

#: What Vensim takes for zero.
SMALL = 1e-6
_ZERO, _ONE, _PI = Const(0.0), Const(1.0), Const(math.pi)
_LARGE = "write a large number"


def _xidz(c: Context, a: Sequence[Term]) -> Term:
    """``a / b``, or ``x`` where ``b`` is what Vensim takes for zero."""
    numerator, denominator, otherwise = a
    return c.graph.select(abs(denominator) < SMALL, otherwise, numerator / denominator)


def safediv(c: Context, a: Sequence[Term]) -> Term:
    """``a / b``, or ``x`` where ``b`` is zero, which in XMILE is 0 alone.

    Source: XMILE 1.0, section 3.5.1 (SAFEDIV) and 3.3.1 (``//``).

    Parameters
    ----------
    a : sequence of Term, (2,) or (3,)
        Numerator, denominator and ``x``, 0 where it is missing.
    """
    numerator, denominator, *otherwise = a
    return c.graph.select(
        c.graph.op("eq", denominator, 0.0), otherwise[0] if otherwise else 0.0, numerator / denominator
    )


def zidz(c: Context, a: Sequence[Term]) -> Term:
    """``a / b``, or 0 where ``b`` is zero.

    Parameters
    ----------
    a : sequence of Term, (2,)
        Numerator and denominator.
    """
    return _xidz(c, (*a, c.graph.const(0.0)))


def _quantum(c: Context, a: Sequence[Term]) -> Term:
    g, (value, unit) = c.graph, a
    return g.select(unit < SMALL, value, unit * g.op("trunc", value / unit))


def _floored_modulo(c: Context, a: Sequence[Term]) -> Term:
    """XMILE's ``MOD``: the remainder has the divisor's sign; with a divisor of 0 it is the value.

    Source: XMILE 1.0, section 3.3.1, which takes Knuth's: x - y floor(x / y).
    """
    g, (value, divisor) = c.graph, a
    remainder = value - divisor * g.op("floor", value / divisor)
    return g.select(g.op("eq", divisor, 0.0), value, remainder)


def _factorial(c: Context, a: Sequence[Term]) -> Term:
    """Of whole numbers; beyond 170 there is no double for it."""
    g, (n,) = c.graph, a
    table = Table(tuple(map(float, range(171))), tuple(map(float, map(math.factorial, range(171)))), "hold_backward")
    value = g.select(n > 170.5, math.inf, g.table(table, g.op("rint", n)))
    return g.select(n >= 0.0, value, math.nan)


def _normal_part(c: Context, a: Sequence[Term]) -> Term:
    """The probability of a normal number between two: half the difference of their complementary error functions."""
    g, (left, right, mean, deviation) = c.graph, a
    scale = deviation * math.sqrt(2.0)
    from_left, from_right = (g.op("erfc", (end - mean) / scale) for end in (left, right))
    return 0.5 * (from_left - from_right)


def _normal_of_xmile(left: Expr, right: Expr, mean: Expr = _ZERO, deviation: Expr = _ONE) -> Expr:
    return Call("normal_part", (left, right, mean, deviation))


def _permutations(n: Expr, r: Expr) -> Expr:
    return Call("factorial", (n,)) / Call("factorial", (n - r,))


def _annuity(rate: Expr, n: Expr) -> tuple[Expr, Expr]:
    """What 1 grows to over ``n`` periods, and what ``n`` payments of 1, each at the end of one, grow to.

    So that ``pv * growth + pmt * payments + fv = 0``. Source: isee systems' help, "Financial builtins".
    """
    growth = Binary("^", _ONE + rate, n)
    return growth, If(Binary("=", rate, _ZERO), n, (growth - _ONE) / rate)


def _payment(rate: Expr, n: Expr, present: Expr, future: Expr) -> Expr:
    growth, payments = _annuity(rate, n)
    return Neg(present * growth + future) / payments


def _present_value(rate: Expr, n: Expr, payment: Expr, future: Expr) -> Expr:
    growth, payments = _annuity(rate, n)
    return Neg(payment * payments + future) / growth


def _future_value(rate: Expr, n: Expr, payment: Expr, present: Expr) -> Expr:
    growth, payments = _annuity(rate, n)
    return Neg(present * growth + payment * payments)


def _compounded(percent: Expr) -> Expr:
    """The fraction per time that, compounded at every step, gives so many percent in one unit of time."""
    growth = _ONE + percent / 100.0
    return (Binary("^", growth, Ref("time_step")) - _ONE) / Ref("time_step")


def _truncated(value: Expr) -> Expr:
    """The whole number next to zero in XMILE, whose INT is the one below."""
    return If(Binary("<", value, _ZERO), Neg(Call("floor", (Neg(value),))), Call("floor", (value,)))


def _quantum_in_xmile(value: Expr, unit: Expr) -> Expr:
    steps = _truncated(value / unit)
    return If(Binary("<", unit, Const(SMALL)), value, unit * steps)


def _modulo_in_xmile(value: Expr, unit: Expr) -> Expr:
    """Vensim's remainder has the sign of the value, XMILE's that of the divisor."""
    steps = _truncated(value / unit)
    return If(Binary("<", unit, Const(SMALL)), _ZERO, value - unit * steps)


def _hyperbolic(sign: str, divide: bool = False) -> Callable[[Expr], Expr]:
    def written(x: Expr) -> Expr:
        up, down = Call("exp", (x,)), Call("exp", (Neg(x),))
        over = Binary("+" if sign == "+" else "-", up, down)
        return over / (up + down if divide else Const(2.0))

    return written


def _floor(value: Expr) -> Expr:
    """The whole number below in Vensim, whose INTEGER is the one next to zero."""
    whole = Call("integer", (value,))
    return If(Binary(">", whole, value), whole - _ONE, whole)


def _rounded(value: Expr) -> Expr:
    """The nearest whole number, of two the even one, in Vensim."""
    above = _floor(value + 0.5)
    halfway = Binary("=", above - value, Const(0.5))
    odd = Binary("<>", Call("modulo", (above, Const(2.0))), _ZERO)
    return If(Binary("and", halfway, odd), above - _ONE, above)


def _floored_modulo_in_vensim(target: Target, value: Expr, divisor: Expr) -> Expr:
    remainder = value - divisor * _floor(value / divisor)
    return If(Binary("=", divisor, _ZERO), value, remainder)


def guarded(over: Expr, under: Expr, otherwise: Expr) -> Expr:
    """Vensim's XIDZ without the function, for XMILE, whose SAFEDIV asks for a divisor of 0 alone.

    Parameters
    ----------
    over, under, otherwise : Expr
        ``over / under``, or ``otherwise`` where ``under`` is nearer to 0 than :data:`SMALL`.
    """
    return If(Binary("<", Call("abs", (under,)), Const(SMALL)), otherwise, over / under)


def unless_zero(over: Expr, under: Expr, otherwise: Expr) -> Expr:
    """XMILE's SAFEDIV without the function, for Vensim, whose XIDZ takes small divisors for 0.

    Parameters
    ----------
    over, under, otherwise : Expr
        ``over / under``, or ``otherwise`` where ``under`` is 0.
    """
    return If(Binary("=", under, _ZERO), otherwise, over / under)


def _extreme(function: str) -> Function:
    """In XMILE of more than two numbers too; of one, an array, it is another function."""
    several = Reading(function.upper(), "a, b, ...", lambda *a: reduce(lambda x, y: Call(function, (x, y)), a))
    return Function(function, "a, b", primitive(function), KEEPS, function.upper(), several)


def _plain(name: str, op: str, units: str, in_xmile: Callable[..., Expr] | None = None) -> Function:
    """A primitive of one argument that both languages call by our name; in XMILE perhaps an expression."""
    return Function(name, "x", primitive(op), units, name.upper(), () if in_xmile else name.upper(), in_xmile=in_xmile)


ROWS = (
    _plain("abs", "abs", KEEPS),
    Function("sqrt", "x", primitive("sqrt"), None, "SQRT", "SQRT"),
    _plain("exp", "exp", PURE),
    _plain("ln", "log", PURE),
    Function(
        "log10", "x", primitive("log10"), PURE, xmile="LOG10", in_vensim=lambda target, x: Call("log", (x, Const(10.0)))
    ),
    Function(
        "log",
        "x, base",
        lambda c, a: c.graph.op("log", a[0]) / c.graph.op("log", a[1]),
        PURE,
        "LOG",
        in_xmile=lambda x, base: Call("LN", (x,)) / Call("LN", (base,)),
    ),
    *(_plain(name, name, PURE) for name in ("sin", "cos", "tan")),
    *(_plain(name, name.replace("rc", ""), PURE) for name in ("arcsin", "arccos", "arctan")),
    _plain("sinh", "sinh", PURE, _hyperbolic("-")),
    _plain("cosh", "cosh", PURE, _hyperbolic("+")),
    _plain("tanh", "tanh", PURE, _hyperbolic("-", divide=True)),
    _plain("integer", "trunc", KEEPS, _truncated),
    Function("floor", "x", primitive("floor"), KEEPS, xmile="INT", in_vensim=lambda target, x: _floor(x)),
    Function("round", "x", primitive("rint"), KEEPS, xmile="ROUND", in_vensim=lambda target, x: _rounded(x)),
    Function("quantum", "x, unit", _quantum, KEEPS, "QUANTUM", in_xmile=_quantum_in_xmile),
    Function("modulo", "x, divisor", lambda c, a: a[0] - _quantum(c, a), KEEPS, "MODULO", in_xmile=_modulo_in_xmile),
    Function(
        "floored_modulo",
        "x, divisor",
        _floored_modulo,
        KEEPS,
        xmile=("MOD", "MODULO"),
        in_vensim=_floored_modulo_in_vensim,
    ),
    Function("power", "base, exponent", primitive("pow"), None, "POWER", in_xmile=lambda a, b: Binary("^", a, b)),
    _extreme("min"),
    _extreme("max"),
    # an operator of both languages
    Function("not", "condition", primitive("not"), FREE),
    Function("xidz", "a, b, x", _xidz, None, "XIDZ", in_xmile=guarded),
    Function("zidz", "a, b", zidz, None, "ZIDZ", in_xmile=lambda a, b: guarded(a, b, _ZERO)),
    Function(
        "safediv",
        "a, b, x = 0",
        safediv,
        None,
        xmile="SAFEDIV(a, b[, x])",
        in_vensim=lambda target, *arguments: unless_zero(*arguments),
    ),
    Function("pi", "", lambda c, a: c.graph.const(math.pi), FREE, in_vensim=lambda _: _PI, in_xmile=lambda: _PI),
    Function("inf", "", lambda c, a: c.graph.const(math.inf), FREE, in_vensim=_LARGE, in_xmile=_LARGE),
    Function("factorial", "n", _factorial, PURE, xmile="FACTORIAL", in_vensim="write the number, or a lookup"),
    Function(
        "normal_part",
        "left, right, mean, deviation",
        _normal_part,
        "same, same, same, same -> none",
        xmile=Reading("NORMALCDF", "left, right[, mean, deviation]", _normal_of_xmile),
        in_vensim="write its values as a lookup of the distance from the mean",
        in_xmile=lambda *ours: Call("NORMALCDF", ours),
    ),
    Function("gamma_ln", "x", primitive("lgamma"), PURE, "GAMMA LN", "GAMMALN"),
)
#: Spellings of what is an expression of other functions.
VENSIM = (Reading("IF THEN ELSE", "condition, then, else", If), Reading("GAME", "value", lambda value: value))
XMILE = (
    Reading("IF THEN ELSE", "condition, then, else", If),
    Reading("ROOTN", "x, n", lambda x, n: Binary("^", x, _ONE / n)),
    Reading("PERCENT", "x", lambda x: Const(100.0) * x),
    # of the run before; in a first one, its initial value (isee systems' help, "Data builtins")
    Reading("ENDVAL", "input[, initial]", lambda *a: a[1] if a[1:] else Call("initial", a)),
    Reading("CGROWTH", "percent", _compounded),
    Reading("PMT", "rate, periods, present value, future value", _payment),
    Reading("PV", "rate, periods, payment, future value", _present_value),
    Reading("FV", "rate, periods, payment, present value", _future_value),
    Reading("PERMUTATIONS", "n, r", _permutations),
    Reading("COMBINATIONS", "n, r", lambda n, r: _permutations(n, r) / Call("factorial", (r,))),
)
