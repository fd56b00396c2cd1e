"""The random functions of both languages, one row each: what Vensim and XMILE call them, and their units.

Ours have Vensim's arguments: the bounds, what the distribution has, the seed. The seed is a number without meaning:
every call has a stream of its own. Sources: Vensim's reference manual, fn_random; isee systems' help, "Statistical
builtins", whose functions take a seed and two bounds after what the distribution has.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from cipark_sd.model.expr import Binary, Call, Const, Expr, Neg

#: same: all such arguments agree; time: in the unit of time; none: dimensionless; rate: 1/time; any: not looked at.
Demand = Literal["same", "time", "none", "rate", "any"]
_ZERO, _ONE = Const(0.0), Const(1.0)
#: A number without end as an expression, so that conversions have a number for it.
ENDLESS = Binary("*", Const(1e308), Const(10.0))
Arguments = tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Distribution:
    """A random function.

    Parameters
    ----------
    parameters : str
        Ours and Vensim's between the bounds and the seed.
    demands : tuple of Demand
        What each of these asks of its unit.
    vensim, xmile : str
        Its name there; empty where the language has none.
    read : callable
        What XMILE's function is given, before seed and bounds, as our parameters.
    written : callable
        Our parameters as those of XMILE's function, and by what its result is shifted and stretched.
    """

    parameters: str
    demands: tuple[Demand, ...]
    vensim: str = ""
    xmile: str = ""
    read: Callable[..., Arguments] = lambda *parameters: parameters
    written: Callable[..., tuple[Arguments, Expr, Expr]] = lambda *parameters: (parameters, _ZERO, _ONE)

    @property
    def all_parameters(self) -> str:
        """With the bounds and the seed."""
        return f"minimum, maximum, {self.parameters}, seed"


def _mean_of_weibull(shape: Expr) -> Expr:
    """Of a scale of 1: the gamma function of 1 + 1 / shape."""
    return Call("exp", (Call("gamma_ln", (Binary("+", _ONE, Binary("/", _ONE, shape)),)),))


_LIKE: tuple[Demand, Demand] = ("same", "same")
DISTRIBUTIONS: Mapping[str, Distribution] = {
    "random_normal": Distribution("mean, standard deviation", _LIKE, "RANDOM NORMAL", "NORMAL"),
    "random_exponential": Distribution(
        "shift, stretch",
        _LIKE,
        "RANDOM EXPONENTIAL",
        "EXPRND",
        lambda mean: (_ZERO, mean),
        lambda shift, stretch: ((stretch,), shift, _ONE),
    ),
    "random_beta": Distribution(
        "alpha, beta, shift, stretch",
        ("none", "none", *_LIKE),
        "RANDOM BETA",
        "BETA",
        lambda alpha, beta: (alpha, beta, _ZERO, _ONE),
        lambda alpha, beta, shift, stretch: ((alpha, beta), shift, stretch),
    ),
    "random_binomial": Distribution(
        "probability, trials, shift, stretch",
        ("none", "any", *_LIKE),
        "RANDOM BINOMIAL",
        "BINOMIAL",
        lambda trials, probability: (probability, trials, _ZERO, _ONE),
        lambda probability, trials, shift, stretch: ((trials, probability), shift, stretch),
    ),
    "random_gamma": Distribution(
        "order, shift, stretch",
        ("none", *_LIKE),
        "RANDOM GAMMA",
        "GAMMA",
        lambda shape, scale: (shape, _ZERO, scale),
        lambda order, shift, stretch: ((order, stretch), shift, _ONE),
    ),
    "random_negative_binomial": Distribution(
        "probability, successes, shift, stretch", ("none", "any", *_LIKE), "RANDOM NEGATIVE BINOMIAL"
    ),
    "random_poisson": Distribution(
        "mean, shift, stretch",
        ("any", *_LIKE),
        "RANDOM POISSON",
        "POISSON",
        lambda mean: (mean, _ZERO, _ONE),
        lambda mean, shift, stretch: ((mean,), shift, stretch),
    ),
    "random_triangular": Distribution("start, peak, stop", ("same", *_LIKE), "RANDOM TRIANGULAR", "TRIANGULAR"),
    # Vensim's has a mean of 1 before it is stretched, Stella's a scale of its own
    "random_weibull": Distribution(
        "shape, shift, stretch",
        ("none", *_LIKE),
        "RANDOM WEIBULL",
        "WEIBULL",
        lambda shape, scale: (shape, _ZERO, Binary("*", scale, _mean_of_weibull(shape))),
        lambda shape, shift, stretch: ((shape, Binary("/", stretch, _mean_of_weibull(shape))), shift, _ONE),
    ),
    "random_logistic": Distribution("mean, scale", _LIKE, xmile="LOGISTIC"),
    "random_pareto": Distribution("shape, scale", ("none", "same"), xmile="PARETO"),
}


def of_xmile(name: str, arguments: Arguments) -> Expr:
    """A call of XMILE's function as ours; ``arguments`` may end with a seed, or a seed and two bounds."""
    row = DISTRIBUTIONS[name]
    n = n_given(row)
    low, high = arguments[n + 1 :] if len(arguments) == n + 3 else (Neg(ENDLESS), ENDLESS)
    seed = arguments[n] if len(arguments) > n else _ZERO
    # NAN for a seed says that there is none
    if isinstance(seed, Const) and math.isnan(seed.value):
        seed = _ZERO
    return Call(name, (low, high, *row.read(*arguments[:n]), seed))


def n_given(row: Distribution) -> int:
    """How many parameters XMILE's function has before its seed."""
    ours = row.parameters.split(", ")
    return len(row.written(*(Const(0.0) for _ in ours))[0])


def in_xmile(name: str, arguments: Arguments) -> Expr:
    """A call of ours as XMILE's function, shifted and stretched."""
    low, high, *ours, seed = arguments
    parameters, shift, stretch = DISTRIBUTIONS[name].written(*ours)

    def end(bound: Expr) -> Expr:
        moved = bound if shift == _ZERO else Binary("-", bound, shift)
        return moved if stretch == _ONE else Binary("/", moved, stretch)

    unbounded = (low, high) == (Neg(ENDLESS), ENDLESS)
    bounds = () if unbounded else (end(low), end(high))
    drawn: Expr = Call(DISTRIBUTIONS[name].xmile, (*parameters, seed, *bounds))
    stretched = drawn if stretch == _ONE else Binary("*", stretch, drawn)
    return stretched if shift == _ZERO else Binary("+", shift, stretched)
