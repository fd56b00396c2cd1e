"""The random functions of both languages: what Vensim and XMILE call them, their units, and their draws.

Ours have Vensim's arguments: the bounds, what the distribution has, the seed. The seed is a number without meaning:
every call has a stream of its own. Sources: Vensim's reference manual, fn_random; isee systems' help, "Statistical
builtins", whose functions take a seed and two bounds after what the distribution has.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from cipark_sd.compiler.functions import draws
from cipark_sd.compiler.functions.row import FREE, Function, Meaning, Reading
from cipark_sd.model.expr import Binary, Call, Const, Expr, If, Neg, Ref

_ZERO, _ONE = Const(0.0), Const(1.0)
#: A number without end as an expression, so that conversions have a number for it.
ENDLESS = Binary("*", Const(1e308), Const(10.0))
_UNBOUNDED = (Neg(ENDLESS), ENDLESS)
Arguments = tuple[Expr, ...]


def _drawn(draw: draws.Draw) -> Meaning:
    return lambda c, a: draw(c.graph, c.random, a)


def _distribution(
    name: str,
    parameters: str,
    units: str,
    draw: draws.Draw,
    xmile: str = "",
    taken: str = "",
    read: Callable[..., Arguments] = lambda *parameters: parameters,
    written: Callable[..., tuple[Arguments, Expr, Expr]] = lambda *parameters: (parameters, _ZERO, _ONE),
    **options: Any,
) -> Function:
    """A random function.

    Parameters
    ----------
    parameters, units : str
        Ours and Vensim's between the bounds and the seed, and what each asks of its unit.
    xmile, taken : str
        Its name in XMILE, and what it is taken there before seed and bounds, where that is not ours.
    read : callable
        That as our parameters.
    written : callable
        Our parameters as those of XMILE's function, and by what its result is shifted and stretched.
    """
    theirs = taken or parameters
    n = theirs.count(",") + 1

    def of_xmile(*arguments: Expr) -> Expr:
        bounds = arguments[n + 1 :] or _UNBOUNDED
        seed = arguments[n] if len(arguments) > n else _ZERO
        # NAN for a seed says that there is none
        if isinstance(seed, Const) and math.isnan(seed.value):
            seed = _ZERO
        return Call(name, (*bounds, *read(*arguments[:n]), seed))

    def in_xmile(low: Expr, high: Expr, *remaining: Expr) -> Expr:
        *ours, seed = remaining
        inner, shift, stretch = written(*ours)

        def end(bound: Expr) -> Expr:
            moved = bound if shift == _ZERO else Binary("-", bound, shift)
            return moved if stretch == _ONE else Binary("/", moved, stretch)

        bounds = () if (low, high) == _UNBOUNDED else (end(low), end(high))
        value: Expr = Call(xmile, (*inner, seed, *bounds))
        stretched = value if stretch == _ONE else Binary("*", stretch, value)
        return stretched if shift == _ZERO else Binary("+", shift, stretched)

    all_parameters = f"minimum, maximum, {parameters}, seed"
    standard: dict[str, Any] = {
        "vensim": name.upper().replace("_", " "),
        "xmile": (Reading(xmile, f"{theirs}[, seed[, minimum, maximum]]", of_xmile),) if xmile else (),
        "in_xmile": in_xmile,
    }
    return Function(name, all_parameters, _drawn(draw), f"same, same, {units}, any -> same", **{**standard, **options})


def _gamma_of_vensim(low: Expr, high: Expr, order: Expr, *remaining: Expr) -> Expr:
    """An order below 1 counts as 1 (fn_random)."""
    match order:
        case Const(value) if value >= 1.0:
            return Call("random_gamma", (low, high, order, *remaining))
        case _:
            return Call("random_gamma", (low, high, Call("max", (order, _ONE)), *remaining))


def _mean_of_weibull(shape: Expr) -> Expr:
    """Of a scale of 1: the gamma function of 1 + 1 / shape."""
    return Call("exp", (Call("gamma_ln", (Binary("+", _ONE, Binary("/", _ONE, shape)),)),))


def _uniform_of_xmile(low: Expr = _ZERO, high: Expr = _ONE, seed: Expr = _ZERO) -> Expr:
    """Of 0 to 1 where nothing is said."""
    return Call("random_uniform", (low, high, seed))


def _monte_carlo(percent: Expr, seed: Expr = _ZERO) -> Expr:
    """1 with so many percent of probability in a unit of time, else 0."""
    drawn = _uniform_of_xmile(_ZERO, Const(100.0), seed)
    return If(Binary("<", drawn, Binary("*", percent, Ref("time_step"))), _ONE, _ZERO)


_LIKE = "same, same"
_QUANTILES = "take a RANDOM UNIFORM through the distribution's quantiles"
ROWS = (
    Function(
        "random_0_1",
        "[seed]",
        lambda c, a: c.random(),
        FREE,
        "RANDOM 0 1",
        # without arguments it is between 0 and 1
        in_xmile=lambda *seed: Call("RANDOM", (_ZERO, _ONE)),
    ),
    Function(
        "random_uniform",
        "minimum, maximum, seed",
        _drawn(draws.uniform),
        "same, same, any -> same",
        "RANDOM UNIFORM",
        (
            Reading("RANDOM", "[minimum, maximum[, seed]]", _uniform_of_xmile),
            Reading("UNIFORM", "minimum, maximum[, seed]", _uniform_of_xmile),
        ),
    ),
    _distribution("random_normal", "mean, standard deviation", _LIKE, draws.normal, "NORMAL"),
    _distribution(
        *("random_exponential", "shift, stretch", _LIKE, draws.exponential, "EXPRND", "mean"),
        lambda mean: (_ZERO, mean),
        lambda shift, stretch: ((stretch,), shift, _ONE),
    ),
    _distribution(
        *("random_beta", "alpha, beta, shift, stretch", f"none, none, {_LIKE}", partial(draws.tried, draws.beta, 2)),
        *("BETA", "alpha, beta"),
        lambda alpha, beta: (alpha, beta, _ZERO, _ONE),
        lambda alpha, beta, shift, stretch: ((alpha, beta), shift, stretch),
    ),
    _distribution(
        *("random_binomial", "probability, trials, shift, stretch", f"none, any, {_LIKE}"),
        *(partial(draws.tried, draws.binomial, 2), "BINOMIAL", "trials, probability"),
        lambda trials, probability: (probability, trials, _ZERO, _ONE),
        lambda probability, trials, shift, stretch: ((trials, probability), shift, stretch),
    ),
    _distribution(
        *("random_gamma", "order, shift, stretch", f"none, {_LIKE}", partial(draws.tried, draws.gamma, 1)),
        *("GAMMA", "shape, scale"),
        lambda shape, scale: (shape, _ZERO, scale),
        lambda order, shift, stretch: ((order, stretch), shift, _ONE),
        vensim=(Reading("RANDOM GAMMA", "minimum, maximum, order, shift, stretch, seed", _gamma_of_vensim),),
    ),
    _distribution(
        *("random_negative_binomial", "probability, successes, shift, stretch", f"none, any, {_LIKE}"),
        partial(draws.tried, draws.negative_binomial, 2),
        in_xmile="draw a Poisson number whose mean is a gamma variable",
    ),
    _distribution(
        *("random_poisson", "mean, shift, stretch", f"any, {_LIKE}", partial(draws.tried, draws.poisson, 1)),
        *("POISSON", "mean"),
        lambda mean: (mean, _ZERO, _ONE),
        lambda mean, shift, stretch: ((mean,), shift, stretch),
    ),
    _distribution("random_triangular", "start, peak, stop", f"same, {_LIKE}", draws.triangular, "TRIANGULAR"),
    # Vensim's has a mean of 1 before it is stretched, Stella's a scale of its own
    _distribution(
        *("random_weibull", "shape, shift, stretch", f"none, {_LIKE}", draws.weibull, "WEIBULL", "shape, scale"),
        lambda shape, scale: (shape, _ZERO, Binary("*", scale, _mean_of_weibull(shape))),
        lambda shape, shift, stretch: ((shape, Binary("/", stretch, _mean_of_weibull(shape))), shift, _ONE),
    ),
    _distribution("random_logistic", "mean, scale", _LIKE, draws.logistic, "LOGISTIC", vensim=(), in_vensim=_QUANTILES),
    _distribution(
        "random_pareto", "shape, scale", "none, same", draws.pareto, "PARETO", vensim=(), in_vensim=_QUANTILES
    ),
)
XMILE = (Reading("MONTECARLO", "percent[, seed]", _monte_carlo),)
