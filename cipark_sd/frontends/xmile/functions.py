"""XMILE's functions that are something else in the model's own terms, by canonical name and number of arguments.

A function that is not here keeps its name and its arguments. Source: XMILE 1.0, section 3.5.
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial

from cipark_sd.frontends.calls import Meaning, WrongCall, of_order
from cipark_sd.model.distributions import DISTRIBUTIONS, ENDLESS, n_given, of_xmile
from cipark_sd.model.expr import Binary, Call, Const, Expr, If, Ref

_ZERO = Const(0.0)


def _by_count(spelling: str, **meanings: Meaning) -> Meaning:
    """A function whose meaning depends on how many arguments it gets: ``_2`` for two."""
    counts = {int(key.removeprefix("_")): meaning for key, meaning in meanings.items()}

    def meaning(arguments: Sequence[Expr]) -> Expr:
        translate = counts.get(len(arguments))
        if translate is None:
            expected = " or ".join(map(str, sorted(counts)))
            raise WrongCall(f"{spelling} takes {expected} arguments, here are {len(arguments)}")
        return translate(arguments)

    return meaning


def _call(function: str, *order: int) -> Meaning:
    """The function of that name, its arguments in that order; as they stand where none is given."""
    return lambda arguments: Call(function, tuple(arguments[place] for place in order or range(len(arguments))))


def _extended(function: str, *extra: Expr) -> Meaning:
    """The function of that name with arguments that XMILE leaves out."""
    return lambda arguments: Call(function, (*arguments, *extra))


def _delay(function: str, order: float) -> Meaning:
    build = of_order(function, order)
    return lambda arguments: build(*arguments)


def _extreme(function: str) -> Meaning:
    """MIN or MAX: of an array, of two numbers, or of more."""

    def meaning(arguments: Sequence[Expr]) -> Expr:
        if not arguments:
            raise WrongCall(f"{function.upper()} takes 1 argument or more, here is none")
        if len(arguments) == 1:
            return Call(f"v{function}_xmile", tuple(arguments))
        folded = arguments[0]
        for argument in arguments[1:]:
            folded = Call(function, (folded, argument))
        return folded

    return meaning


def _mean(arguments: Sequence[Expr]) -> Expr:
    """Of an array, or of several numbers."""
    if len(arguments) == 1:
        return Call("xmile_mean", tuple(arguments))
    if not arguments:
        raise WrongCall("MEAN takes 1 argument or more, here is none")
    total = arguments[0]
    for argument in arguments[1:]:
        total = Binary("+", total, argument)
    return Binary("/", total, Const(float(len(arguments))))


def _previous(arguments: Sequence[Expr]) -> Expr:
    """The value one step before."""
    return Call("delay_fixed", (arguments[0], Ref("time_step"), arguments[1] if len(arguments) > 1 else _ZERO))


def _uniform(arguments: Sequence[Expr]) -> Expr:
    """RANDOM(low, high, seed): of 0 to 1 where nothing is said."""
    low, high, *seed = arguments or (_ZERO, Const(1.0))
    return Call("random_uniform", (low, high, *(seed or (_ZERO,))))


def _distribution(name: str) -> Meaning:
    """A random function: what it needs, then perhaps a seed, and behind it two bounds."""
    row, n = DISTRIBUTIONS[name], n_given(DISTRIBUTIONS[name])
    return _by_count(row.xmile, **{f"_{count}": partial(of_xmile, name) for count in (n, n + 1, n + 3)})


def _monte_carlo(arguments: Sequence[Expr]) -> Expr:
    """1 with so many percent of probability in a unit of time, else 0."""
    percent, *seed = arguments
    drawn = Call("random_uniform", (_ZERO, Const(100.0), *(seed or (_ZERO,))))
    return If(Binary("<", drawn, Binary("*", percent, Ref("time_step"))), Const(1.0), _ZERO)


FUNCTIONS: Mapping[str, Meaning] = {
    "init": _by_count("INIT", _1=_call("initial")),
    "delay": _by_count("DELAY", _2=_call("delay_fixed", 0, 1, 0), _3=_call("delay_fixed")),
    "delay1": _by_count("DELAY1", _2=_delay("delay", 1.0), _3=_delay("delay", 1.0)),
    "delay3": _by_count("DELAY3", _2=_delay("delay", 3.0), _3=_delay("delay", 3.0)),
    "delayn": _by_count("DELAYN", _3=_call("delay_n", 0, 1, 0, 2), _4=_call("delay_n", 0, 1, 3, 2)),
    "smth1": _by_count("SMTH1", _2=_delay("smooth", 1.0), _3=_delay("smooth", 1.0)),
    "smth3": _by_count("SMTH3", _2=_delay("smooth", 3.0), _3=_delay("smooth", 3.0)),
    "smthn": _by_count("SMTHN", _3=_call("smooth_n", 0, 1, 0, 2), _4=_call("smooth_n", 0, 1, 3, 2)),
    "trend": _by_count("TREND", _2=_extended("trend", _ZERO), _3=_call("trend")),
    "forcst": _by_count("FORCST", _3=_extended("forecast", _ZERO), _4=_call("forecast")),
    "history": _by_count("HISTORY", _2=_call("xmile_history")),
    "previous": _by_count("PREVIOUS", _1=_previous, _2=_previous),
    "safediv": _by_count("SAFEDIV", _2=_call("zidz"), _3=_call("xidz")),
    "ramp": _by_count("RAMP", _2=_call("xramp"), _3=_call("ramp")),
    # without times it is in every step
    "pulse": _by_count(
        "PULSE",
        _1=lambda a: Binary("/", a[0], Ref("time_step")),
        _2=_call("xpulse", 1, 0),
        _3=_call("xpulse_train", 1, 2, 0),
    ),
    "random": _by_count("RANDOM", _0=_uniform, _2=_uniform, _3=_uniform),
    "uniform": _by_count("UNIFORM", _2=_uniform, _3=_uniform),
    **{row.xmile.lower(): _distribution(name) for name, row in DISTRIBUTIONS.items() if row.xmile},
    "montecarlo": _by_count("MONTECARLO", _1=_monte_carlo, _2=_monte_carlo),
    "gammaln": _by_count("GAMMALN", _1=_call("gamma_ln")),
    "max": _extreme("max"),
    "min": _extreme("min"),
    "int": _by_count("INT", _1=_call("floor")),
    "round": _by_count("ROUND", _1=_call("round")),
    "rootn": _by_count("ROOTN", _2=lambda a: Binary("^", a[0], Binary("/", Const(1.0), a[1]))),
    "percent": _by_count("PERCENT", _1=lambda a: Binary("*", Const(100.0), a[0])),
    "factorial": _by_count("FACTORIAL", _1=_call("factorial")),
    "mean": _mean,
    "size": _by_count("SIZE", _1=_call("xmile_size")),
    "stddev": _by_count("STDDEV", _1=_call("xmile_stddev")),
    "rank": _by_count("RANK", _2=_call("xmile_rank")),
    "mod": _by_count("MOD", _2=_call("floored_modulo")),
    "modulo": _by_count("MODULO", _2=_call("floored_modulo")),
    "if_then_else": _by_count("IF_THEN_ELSE", _3=lambda arguments: If(*arguments)),
}
#: What XMILE (1.0, section 3.5) provides without an equation.
PROVIDED: Mapping[str, Expr] = {
    "dt": Ref("time_step"),
    "starttime": Ref("initial_time"),
    "stoptime": Ref("final_time"),
    "pi": Call("pi", ()),
    "inf": ENDLESS,
    "nan": Const(math.nan),
}
