"""The one table of functions for XMILE: how each of ours is said with the standard's own.

Source: XMILE 1.0 (OASIS, 2015), sections 3.5 and 3.6; what ours mean is in :mod:`cipark_sd.compiler.functions`.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial

from cipark_sd.model.distributions import DISTRIBUTIONS, in_xmile
from cipark_sd.model.expr import Binary, Call, Const, Expr, If, Neg, Ref

Arguments = tuple[Expr, ...]


class Refused(Exception):
    """A call that XMILE cannot say."""

    def __init__(self, feature: str, alternative: str) -> None:
        super().__init__(feature)
        self.feature = feature
        self.alternative = alternative


#: A call to one of XMILE's functions, the two sides of ``mod``, or an expression of ours that needs no function.
Written = Call | tuple[Expr, Expr] | Expr
_TIME, _STEP = Ref("time"), Ref("time_step")
#: The middle of the present step, with which Vensim compares the times of events.
_MIDDLE = Binary("+", _TIME, Binary("/", _STEP, Const(2.0)))
#: What counts as zero.
_SLACK = Const(1e-6)
_ZERO = Const(0.0)


def _unchanged(name: str, n: int) -> Callable[[Arguments], Written]:
    def written(arguments: Arguments) -> Written:
        if len(arguments) != n:
            raise Refused(f"{name} with {len(arguments)} arguments", f"give it {n}")
        return Call(name, arguments)

    return written


def _ordered(kind: str, names: Mapping[float, str]) -> Callable[[Arguments], Written]:
    """``kind`` (input, time, initial, order)."""

    def written(arguments: Arguments) -> Written:
        value, time, initial, order = arguments
        start = () if initial == value else (initial,)
        match order:
            case Const(n) if n in names:
                return Call(names[n], (value, time, *start))
            case _:
                return Call(kind, (value, time, order, *start))

    return written


def _delayed(arguments: Arguments) -> Written:
    """DELAY; of one step, PREVIOUS, which may be of the variable itself."""
    value, time, initial = arguments
    if time == _STEP:
        return Call("PREVIOUS", (value, initial))
    return Call("DELAY", (value, time) if initial == value else (value, time, initial))


def _log(arguments: Arguments) -> Written:
    value, base = arguments
    return Binary("/", Call("ln", (value,)), Call("ln", (base,)))


def _truncated(value: Expr) -> Expr:
    """The whole number next to zero; XMILE's INT is the one below."""
    return If(Binary("<", value, _ZERO), Neg(Call("floor", (Neg(value),))), Call("floor", (value,)))


def _integer(arguments: Arguments) -> Written:
    (value,) = arguments
    return _truncated(value)


def _quantum(arguments: Arguments) -> Written:
    value, unit = arguments
    steps = _truncated(Binary("/", value, unit))
    return If(Binary("<", unit, _SLACK), value, Binary("*", unit, steps))


def _modulo(arguments: Arguments) -> Written:
    """Vensim's remainder has the sign of the value, XMILE's that of the divisor."""
    value, unit = arguments
    steps = _truncated(Binary("/", value, unit))
    return If(Binary("<", unit, _SLACK), _ZERO, Binary("-", value, Binary("*", unit, steps)))


def _begun(start: Expr) -> Expr:
    """1 once ``start`` has come: STEP rounds to the nearest instant and holds a whole step, as Vensim's pulses do."""
    return Call("step", (Const(1.0), start))


def _pulse(arguments: Arguments) -> Written:
    """Vensim's pulse is a height for a while; XMILE's is a quantity in one step, so two steps have to do."""
    start, width = arguments
    match width:
        case Const(0.0):
            lasting: Expr = _STEP
        case Const() | Ref("time_step"):
            lasting = width
        case _:
            lasting = If(Binary("=", width, _ZERO), _STEP, width)
    return If(Binary(">", _begun(start), _begun(Binary("+", start, lasting))), Const(1.0), _ZERO)


def _pulse_train(arguments: Arguments) -> Written:
    start, interval, width, end = arguments
    lasting = Call("max", (width, _STEP))
    phase = Call("floored_modulo", (Binary("-", _MIDDLE, start), interval))
    on = Binary("or", Binary("<=", interval, lasting), Binary("<", phase, lasting))
    begun = Binary("and", Binary("<", start, _MIDDLE), Binary("<=", Binary("-", _TIME, _SLACK), end))
    return If(Binary("and", begun, on), Const(1.0), _ZERO)


def _hyperbolic(sign: str, divide: bool = False) -> Callable[[Arguments], Written]:
    def written(arguments: Arguments) -> Written:
        (x,) = arguments
        up, down = Call("exp", (x,)), Call("exp", (Neg(x),))
        over = Binary("+" if sign == "+" else "-", up, down)
        return Binary("/", over, Binary("+", up, down) if divide else Const(2.0))

    return written


def _time_value(arguments: Arguments) -> Written:
    """Time, or that of the start, moved by an offset: the measures that are run have no others."""
    match arguments:
        case (Const(0.0 | 1.0 as relative), offset, Const(0.0)):
            return Binary("+", Ref("initial_time") if relative else _TIME, offset)
        case _:
            raise Refused("GET TIME VALUE of calendar or clock", "use Time and arithmetic")


BUILT_IN: Mapping[str, Callable[[Arguments], Written]] = {
    **{name: _unchanged(name.upper(), 1) for name in ("abs", "sqrt", "exp", "ln", "log10", "sin", "cos", "tan")},
    **{name: _unchanged(name.upper(), 1) for name in ("arcsin", "arccos", "arctan")},
    "floor": _unchanged("INT", 1),
    "round": _unchanged("ROUND", 1),
    "factorial": _unchanged("FACTORIAL", 1),
    "integer": _integer,
    "initial": _unchanged("INIT", 1),
    "min": _unchanged("MIN", 2),
    "max": _unchanged("MAX", 2),
    "step": _unchanged("STEP", 2),
    "xramp": _unchanged("RAMP", 2),
    # the standard's RAMP goes on for ever; the third argument, its end, is what PySD, Stella and pysimlin accept too
    "ramp": _unchanged("RAMP", 3),
    "zidz": _unchanged("SAFEDIV", 2),
    "xidz": _unchanged("SAFEDIV", 3),
    "xpulse": lambda a: Call("PULSE", (a[1], a[0])),
    "xpulse_train": lambda a: Call("PULSE", (a[2], a[0], a[1])),
    "pulse": _pulse,
    "pulse_train": _pulse_train,
    "floored_modulo": lambda a: (a[0], a[1]),
    "modulo": _modulo,
    "quantum": _quantum,
    "log": _log,
    "power": lambda a: Binary("^", a[0], a[1]),
    "pi": lambda a: Const(math.pi),
    "sinh": _hyperbolic("-"),
    "cosh": _hyperbolic("+"),
    "tanh": _hyperbolic("-", divide=True),
    "smooth": _ordered("SMTHN", {1.0: "SMTH1", 3.0: "SMTH3"}),
    "delay": _ordered("DELAYN", {1.0: "DELAY1", 3.0: "DELAY3"}),
    "smooth_n": _ordered("SMTHN", {}),
    "delay_n": _ordered("DELAYN", {}),
    "delay_fixed": _delayed,
    "trend": _unchanged("TREND", 3),
    "forecast": _unchanged("FORCST", 4),
    # without arguments it is between 0 and 1
    "random_0_1": lambda a: Call("RANDOM", (_ZERO, Const(1.0))),
    "random_uniform": _unchanged("RANDOM", 3),
    **{name: partial(in_xmile, name) for name, row in DISTRIBUTIONS.items() if row.xmile},
    "gamma_ln": _unchanged("GAMMALN", 1),
    "get_time_value": _time_value,
    "xmile_history": _unchanged("HISTORY", 2),
}

#: Functions of whole arrays that XMILE lacks: they are written under Vensim's names, with underscores, as files that
#: other converters wrote have them.
VENSIM_NAMED = frozenset(
    (
        "vector_select",
        "vector_sort_order",
        "vector_rank",
        "vector_reorder",
        "vector_elm_map",
        "invert_matrix",
        "allocate_available",
        "allocate_by_priority",
    )
)

#: What has no counterpart in XMILE that its readers agree on, with the way round each.
UNSUPPORTED: Mapping[str, str] = {
    **dict.fromkeys(VENSIM_NAMED, "give it arrays that are whole on both sides of its equation"),
    "active_initial": "give that part of the equation a variable of its own",
    "sample_if_true": "give what is summed over a variable of its own",
    "inf": "write a large number",
    "random_negative_binomial": "draw a Poisson number whose mean is a gamma variable",
    "conveyor_delay": "use a delay time that does not change",
    "raw_data": "bring the data at its times alone",
    "data_between": "write the points as a lookup and call it",
    "vensim_npv": "accumulate the discounted flow in a stock",
    "vensim_npve": "accumulate the discounted flow in a stock",
}
