"""The random functions of both languages: what Vensim and XMILE call them, their units, and their draws in primitives.

Ours have Vensim's arguments: the bounds, what the distribution has, the seed. The seed is a number without meaning:
every call has a stream of its own. Sources: Vensim's reference manual, fn_random; isee systems' help, "Statistical
builtins", whose functions take a seed and two bounds after what the distribution has.

Where a distribution has a quantile function, a uniform number between the probabilities of the bounds is taken through
it. The others are sums and products of what rejection gives: of :data:`TRIES` candidates the first counts that lies
between the bounds; where none does, the last is moved to the nearer bound. A candidate of a gamma distribution is
accepted in 95 of 100 cases at least, of Poisson's and the binomial in 70.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from cipark_sd.compiler.functions.row import FREE, Function, Meaning, Reading
from cipark_sd.compiler.graph import Graph
from cipark_sd.compiler.rarer import FEW
from cipark_sd.model.expr import Binary, Call, Const, Expr, If, Neg, Ref

#: Candidates of a draw by rejection: all are refused with a probability of 1e-6 at most where the bounds are far.
TRIES = 12
Uniform = Callable[[], int]
#: Whether what two or more uniform numbers give is a draw, and the number.
Candidate = tuple[int, int]
Draw = Callable[[Graph, Uniform, Sequence[int]], int]


def uniform(g: Graph, random: Uniform, a: Sequence[int]) -> int:
    """A number between two others."""
    low, high = a[:2]
    return g.add(low, g.mul(g.sub(high, low), random()))


def _ends(g: Graph, low: int, high: int, shift: int, stretch: int) -> tuple[int, int]:
    """The bounds before shift and stretch."""
    nothing = g.op("eq", stretch, g.const(0.0))
    ends = ((low, -math.inf), (high, math.inf))
    below, above = (g.select(nothing, g.const(e), g.div(g.sub(bound, shift), stretch)) for bound, e in ends)
    return below, above


def _between(g: Graph, random: Uniform, below: int, above: int) -> int:
    return g.add(below, g.mul(random(), g.sub(above, below)))


def exponential(g: Graph, random: Uniform, a: Sequence[int]) -> int:
    """Starts at the shift; its mean beyond that is the stretch."""
    low, high, shift, scale = a[:4]
    start = g.op("max", low, shift)
    share = g.sub(g.const(1.0), g.op("exp", g.op("neg", g.div(g.sub(high, start), scale))))
    survivor = g.sub(g.const(1.0), g.mul(random(), share))
    return g.sub(start, g.mul(scale, g.op("log", survivor)))


def normal(g: Graph, random: Uniform, a: Sequence[int]) -> int:
    low, high, mean, deviation = a[:4]
    below, above = (probability(g, end) for end in _ends(g, low, high, mean, deviation))
    return g.add(mean, g.mul(deviation, quantile(g, _between(g, random, below, above))))


def triangular(g: Graph, random: Uniform, a: Sequence[int]) -> int:
    low, high, start, peak, stop = a[:5]
    unit = g.const(1.0)
    rise, fall, width = g.sub(peak, start), g.sub(stop, peak), g.sub(stop, start)

    def share(x: int) -> int:
        """The probability of what is smaller."""
        x = g.op("min", g.op("max", x, start), stop)
        before, after = g.sub(x, start), g.sub(stop, x)
        rising = g.div(g.mul(before, before), g.mul(width, rise))
        # without a side that falls nothing lies beyond the peak
        falling = g.select(g.lt(g.const(0.0), fall), g.div(g.mul(after, after), g.mul(width, fall)), g.const(0.0))
        return g.select(g.lt(x, peak), rising, g.sub(unit, falling))

    p = _between(g, random, share(low), share(high))
    early = g.add(start, g.op("sqrt", g.mul(p, g.mul(width, rise))))
    late = g.sub(stop, g.op("sqrt", g.mul(g.sub(unit, p), g.mul(width, fall))))
    return g.select(g.lt(p, g.div(rise, width)), early, late)


def weibull(g: Graph, random: Uniform, a: Sequence[int]) -> int:
    """Starts at 0 and has a mean of 1 before it is stretched and shifted."""
    low, high, shape, shift, stretch = a[:5]
    unit = g.const(1.0)
    inverse = g.div(unit, shape)
    mean = g.op("exp", g.op("lgamma", g.add(unit, inverse)))
    scale = g.div(stretch, mean)

    def surviving(x: int) -> int:
        return g.op("exp", g.op("neg", g.op("pow", g.op("max", x, g.const(0.0)), shape)))

    below, above = (surviving(end) for end in _ends(g, low, high, shift, scale))
    p = _between(g, random, below, above)
    return g.add(shift, g.mul(scale, g.op("pow", g.op("neg", g.op("log", p)), inverse)))


def logistic(g: Graph, random: Uniform, a: Sequence[int]) -> int:
    low, high, mean, scale = a[:4]
    unit = g.const(1.0)
    ends = _ends(g, low, high, mean, scale)
    below, above = (g.div(unit, g.add(unit, g.op("exp", g.op("neg", end)))) for end in ends)
    p = _between(g, random, below, above)
    return g.add(mean, g.mul(scale, g.op("log", g.div(p, g.sub(unit, p)))))


def pareto(g: Graph, random: Uniform, a: Sequence[int]) -> int:
    """From the scale on; the probability of what is larger than x is (scale / x) to the power of the shape."""
    low, high, shape, scale = a[:4]
    below, above = (g.op("pow", g.div(scale, g.op("max", end, scale)), shape) for end in (low, high))
    p = _between(g, random, below, above)
    return g.div(scale, g.op("pow", p, g.div(g.const(1.0), shape)))


def _standard_normal(g: Graph, random: Uniform) -> int:
    """Source: Box and Muller 1958, Annals of Mathematical Statistics 29, 610-611."""
    radius = g.op("sqrt", g.mul(g.const(-2.0), g.op("log", random())))
    return g.mul(radius, g.op("cos", g.mul(g.const(2.0 * math.pi), random())))


def gamma(g: Graph, random: Uniform, order: int) -> Candidate:
    """Of scale 1. Source: Marsaglia and Tsang 2000, ACM Transactions on Mathematical Software 26, 363-372."""
    unit, half = g.const(1.0), g.const(0.5)
    # of an order below 1, that of one more times a power of a uniform number
    few = g.lt(order, unit)
    d = g.sub(g.select(few, g.add(order, unit), order), g.const(1.0 / 3.0))
    x = _standard_normal(g, random)
    root = g.add(unit, g.div(x, g.op("sqrt", g.mul(g.const(9.0), d))))
    v = g.mul(g.mul(root, root), root)
    log_ratio = g.add(g.mul(half, g.mul(x, x)), g.mul(d, g.add(g.sub(unit, v), g.op("log", v))))
    accepted = g.logical_and(g.lt(g.const(0.0), v), g.lt(g.op("log", random()), log_ratio))
    shrunk = g.select(few, g.op("pow", random(), g.div(unit, order)), unit)
    return accepted, g.select(g.lt(g.const(0.0), order), g.mul(g.mul(d, v), shrunk), g.const(math.nan))


def beta(g: Graph, random: Uniform, alpha: int, beta: int) -> Candidate:
    """The share of one gamma variable in it and another."""
    (fits, x), (also, y) = gamma(g, random, alpha), gamma(g, random, beta)
    return g.logical_and(fits, also), g.div(x, g.add(x, y))


def poisson(g: Graph, random: Uniform, mean: int) -> Candidate:
    u, v = random(), random()
    few, many = g.op("poisson_few", mean, u), g.op("poisson_try", mean, u, v)
    k = g.select(g.lt(mean, g.const(FEW)), few, many)
    return g.le(g.const(0.0), k), g.select(g.le(g.const(0.0), mean), k, g.const(math.nan))


def binomial(g: Graph, random: Uniform, p: int, trials: int) -> Candidate:
    u, v, n, unit = random(), random(), g.op("rint", trials), g.const(1.0)
    rarer = g.op("min", p, g.sub(unit, p))
    few, many = g.op("binomial_few", n, rarer, u), g.op("binomial_try", n, rarer, u, v)
    k = g.select(g.lt(g.mul(n, rarer), g.const(FEW)), few, many)
    turned = g.select(g.lt(g.const(0.5), p), g.sub(n, k), k)
    right = g.logical_and(g.le(g.const(0.0), rarer), g.le(g.const(0.0), n))
    return g.le(g.const(0.0), k), g.select(right, turned, g.const(math.nan))


def negative_binomial(g: Graph, random: Uniform, p: int, successes: int) -> Candidate:
    """Trials until so many successes: Poisson's failures, whose mean is a gamma variable, and the successes."""
    fits, mean = gamma(g, random, successes)
    also, failures = poisson(g, random, g.mul(mean, g.div(g.sub(g.const(1.0), p), p)))
    return g.logical_and(fits, also), g.add(successes, failures)


def tried(candidate: Callable[..., Candidate], n: int, g: Graph, random: Uniform, a: Sequence[int]) -> int:
    """A draw by rejection; ``n`` are the distribution's own parameters, before shift and stretch."""
    low, high, *parameters = a[: 2 + n]
    shift, stretch = a[2 + n : 4 + n]
    made = []
    for _ in range(TRIES):
        accepted, standard = candidate(g, random, *parameters)
        made.append((accepted, g.add(shift, g.mul(stretch, standard))))
    drawn = g.op("max", g.op("min", made[-1][1], high), low)
    for accepted, value in reversed(made):
        inside = g.logical_and(g.le(low, value), g.le(value, high))
        drawn = g.select(g.logical_and(accepted, inside), value, drawn)
    return drawn


_ZERO, _ONE = Const(0.0), Const(1.0)


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


#: A number without end as an expression, so that conversions have a number for it.
ENDLESS = Const(1e308) * 10.0
_UNBOUNDED = (Neg(ENDLESS), ENDLESS)
Arguments = tuple[Expr, ...]


def _drawn(draw: Draw) -> Meaning:
    return lambda c, a: draw(c.graph, c.random, a)


def _distribution(
    name: str,
    parameters: str,
    units: str,
    draw: Draw,
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
            moved = bound if shift == _ZERO else bound - shift
            return moved if stretch == _ONE else moved / stretch

        bounds = () if (low, high) == _UNBOUNDED else (end(low), end(high))
        value: Expr = Call(xmile, (*inner, seed, *bounds))
        stretched = value if stretch == _ONE else stretch * value
        return stretched if shift == _ZERO else shift + stretched

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
    return Call("exp", (Call("gamma_ln", (_ONE + _ONE / shape,)),))


def _uniform_of_xmile(low: Expr = _ZERO, high: Expr = _ONE, seed: Expr = _ZERO) -> Expr:
    """Of 0 to 1 where nothing is said."""
    return Call("random_uniform", (low, high, seed))


def _monte_carlo(percent: Expr, seed: Expr = _ZERO) -> Expr:
    """1 with so many percent of probability in a unit of time, else 0."""
    drawn = _uniform_of_xmile(_ZERO, Const(100.0), seed)
    return If(Binary("<", drawn, percent * Ref("time_step")), _ONE, _ZERO)


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
        _drawn(uniform),
        "same, same, any -> same",
        "RANDOM UNIFORM",
        (
            Reading("RANDOM", "[minimum, maximum[, seed]]", _uniform_of_xmile),
            Reading("UNIFORM", "minimum, maximum[, seed]", _uniform_of_xmile),
        ),
    ),
    _distribution("random_normal", "mean, standard deviation", _LIKE, normal, "NORMAL"),
    _distribution(
        *("random_exponential", "shift, stretch", _LIKE, exponential, "EXPRND", "mean"),
        lambda mean: (_ZERO, mean),
        lambda shift, stretch: ((stretch,), shift, _ONE),
    ),
    _distribution(
        *("random_beta", "alpha, beta, shift, stretch", f"none, none, {_LIKE}", partial(tried, beta, 2)),
        *("BETA", "alpha, beta"),
        lambda alpha, beta: (alpha, beta, _ZERO, _ONE),
        lambda alpha, beta, shift, stretch: ((alpha, beta), shift, stretch),
    ),
    _distribution(
        *("random_binomial", "probability, trials, shift, stretch", f"none, any, {_LIKE}"),
        *(partial(tried, binomial, 2), "BINOMIAL", "trials, probability"),
        lambda trials, probability: (probability, trials, _ZERO, _ONE),
        lambda probability, trials, shift, stretch: ((trials, probability), shift, stretch),
    ),
    _distribution(
        *("random_gamma", "order, shift, stretch", f"none, {_LIKE}", partial(tried, gamma, 1)),
        *("GAMMA", "shape, scale"),
        lambda shape, scale: (shape, _ZERO, scale),
        lambda order, shift, stretch: ((order, stretch), shift, _ONE),
        vensim=(Reading("RANDOM GAMMA", "minimum, maximum, order, shift, stretch, seed", _gamma_of_vensim),),
    ),
    _distribution(
        *("random_negative_binomial", "probability, successes, shift, stretch", f"none, any, {_LIKE}"),
        partial(tried, negative_binomial, 2),
        in_xmile="draw a Poisson number whose mean is a gamma variable",
    ),
    _distribution(
        *("random_poisson", "mean, shift, stretch", f"any, {_LIKE}", partial(tried, poisson, 1)),
        *("POISSON", "mean"),
        lambda mean: (mean, _ZERO, _ONE),
        lambda mean, shift, stretch: ((mean,), shift, stretch),
    ),
    _distribution("random_triangular", "start, peak, stop", f"same, {_LIKE}", triangular, "TRIANGULAR"),
    # Vensim's has a mean of 1 before it is stretched, Stella's a scale of its own
    _distribution(
        *("random_weibull", "shape, shift, stretch", f"none, {_LIKE}", weibull, "WEIBULL", "shape, scale"),
        lambda shape, scale: (shape, _ZERO, scale * _mean_of_weibull(shape)),
        lambda shape, shift, stretch: ((shape, stretch / _mean_of_weibull(shape)), shift, _ONE),
    ),
    _distribution("random_logistic", "mean, scale", _LIKE, logistic, "LOGISTIC", vensim=(), in_vensim=_QUANTILES),
    _distribution("random_pareto", "shape, scale", "none, same", pareto, "PARETO", vensim=(), in_vensim=_QUANTILES),
)
XMILE = (Reading("MONTECARLO", "percent[, seed]", _monte_carlo),)
