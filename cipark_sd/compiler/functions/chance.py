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
from cipark_sd.compiler.graph import Graph, Term
from cipark_sd.compiler.rarer import FEW
from cipark_sd.model.expr import Binary, Call, Const, Expr, If, Neg, Ref

#: Candidates of a draw by rejection: all are refused with a probability of 1e-6 at most where the bounds are far.
TRIES = 12
Uniform = Callable[[], Term]
#: Whether what two or more uniform numbers give is a draw, and the number.
Candidate = tuple[Term, Term]
Draw = Callable[[Graph, Uniform, Sequence[Term]], Term]


def _uniform(g: Graph, random: Uniform, a: Sequence[Term]) -> Term:
    """A number between two others."""
    low, high = a[:2]
    return low + (high - low) * random()


def _ends(g: Graph, low: Term, high: Term, shift: Term, stretch: Term) -> tuple[Term, Term]:
    """The bounds before shift and stretch."""
    nothing = g.op("eq", stretch, 0.0)
    ends = ((low, -math.inf), (high, math.inf))
    below, above = (g.select(nothing, e, (bound - shift) / stretch) for bound, e in ends)
    return below, above


def _between(g: Graph, random: Uniform, below: Term, above: Term) -> Term:
    return below + random() * (above - below)


def _exponential(g: Graph, random: Uniform, a: Sequence[Term]) -> Term:
    """Starts at the shift; its mean beyond that is the stretch."""
    low, high, shift, scale = a[:4]
    start = g.op("max", low, shift)
    share = 1.0 - g.op("exp", -((high - start) / scale))
    survivor = 1.0 - random() * share
    return start - scale * g.op("log", survivor)


def _normal(g: Graph, random: Uniform, a: Sequence[Term]) -> Term:
    low, high, mean, deviation = a[:4]
    below, above = (_probability(g, end) for end in _ends(g, low, high, mean, deviation))
    return mean + deviation * quantile(g, _between(g, random, below, above))


def _triangular(g: Graph, random: Uniform, a: Sequence[Term]) -> Term:
    low, high, start, peak, stop = a[:5]
    rise, fall, width = peak - start, stop - peak, stop - start

    def share(x: Term) -> Term:
        """The probability of what is smaller."""
        x = g.op("min", g.op("max", x, start), stop)
        before, after = x - start, stop - x
        rising = before * before / (width * rise)
        # without a side that falls nothing lies beyond the peak
        falling = g.select(fall > 0.0, after * after / (width * fall), 0.0)
        return g.select(x < peak, rising, 1.0 - falling)

    p = _between(g, random, share(low), share(high))
    early = start + g.op("sqrt", p * (width * rise))
    late = stop - g.op("sqrt", (1.0 - p) * (width * fall))
    return g.select(p < rise / width, early, late)


def _weibull(g: Graph, random: Uniform, a: Sequence[Term]) -> Term:
    """Starts at 0 and has a mean of 1 before it is stretched and shifted."""
    low, high, shape, shift, stretch = a[:5]
    inverse = 1.0 / shape
    mean = g.op("exp", g.op("lgamma", 1.0 + inverse))
    scale = stretch / mean

    def surviving(x: Term) -> Term:
        return g.op("exp", -(g.op("max", x, 0.0) ** shape))

    below, above = (surviving(end) for end in _ends(g, low, high, shift, scale))
    p = _between(g, random, below, above)
    return shift + scale * (-g.op("log", p)) ** inverse


def _logistic(g: Graph, random: Uniform, a: Sequence[Term]) -> Term:
    low, high, mean, scale = a[:4]
    ends = _ends(g, low, high, mean, scale)
    below, above = (1.0 / (1.0 + g.op("exp", -end)) for end in ends)
    p = _between(g, random, below, above)
    return mean + scale * g.op("log", p / (1.0 - p))


def _pareto(g: Graph, random: Uniform, a: Sequence[Term]) -> Term:
    """From the scale on; the probability of what is larger than x is (scale / x) to the power of the shape."""
    low, high, shape, scale = a[:4]
    below, above = ((scale / g.op("max", end, scale)) ** shape for end in (low, high))
    return scale / _between(g, random, below, above) ** (1.0 / shape)


def _standard_normal(g: Graph, random: Uniform) -> Term:
    """Source: Box and Muller 1958, Annals of Mathematical Statistics 29, 610-611."""
    radius = g.op("sqrt", -2.0 * g.op("log", random()))
    return radius * g.op("cos", 2.0 * math.pi * random())


def _gamma(g: Graph, random: Uniform, order: Term) -> Candidate:
    """Of scale 1. Source: Marsaglia and Tsang 2000, ACM Transactions on Mathematical Software 26, 363-372."""
    # of an order below 1, that of one more times a power of a uniform number
    few = order < 1.0
    d = g.select(few, order + 1.0, order) - 1.0 / 3.0
    x = _standard_normal(g, random)
    root = 1.0 + x / g.op("sqrt", 9.0 * d)
    v = root * root * root
    log_ratio = 0.5 * (x * x) + d * (1.0 - v + g.op("log", v))
    accepted = (v > 0.0) & (g.op("log", random()) < log_ratio)
    shrunk = g.select(few, random() ** (1.0 / order), 1.0)
    return accepted, g.select(order > 0.0, d * v * shrunk, math.nan)


def _beta(g: Graph, random: Uniform, alpha: Term, beta: Term) -> Candidate:
    """The share of one gamma variable in it and another."""
    (fits, x), (also, y) = _gamma(g, random, alpha), _gamma(g, random, beta)
    return fits & also, x / (x + y)


def _poisson(g: Graph, random: Uniform, mean: Term) -> Candidate:
    u, v = random(), random()
    few, many = g.op("poisson_few", mean, u), g.op("poisson_try", mean, u, v)
    k = g.select(mean < FEW, few, many)
    return k >= 0.0, g.select(mean >= 0.0, k, math.nan)


def _binomial(g: Graph, random: Uniform, p: Term, trials: Term) -> Candidate:
    u, v, n = random(), random(), g.op("rint", trials)
    rarer = g.op("min", p, 1.0 - p)
    few, many = g.op("binomial_few", n, rarer, u), g.op("binomial_try", n, rarer, u, v)
    k = g.select(n * rarer < FEW, few, many)
    turned = g.select(p > 0.5, n - k, k)
    right = (rarer >= 0.0) & (n >= 0.0)
    return k >= 0.0, g.select(right, turned, math.nan)


def negative_binomial(g: Graph, random: Uniform, p: Term, successes: Term) -> Candidate:
    """Trials until so many successes: Poisson's failures, whose mean is a gamma variable, and the successes."""
    fits, mean = _gamma(g, random, successes)
    also, failures = _poisson(g, random, mean * ((1.0 - p) / p))
    return fits & also, successes + failures


def _tried(candidate: Callable[..., Candidate], n: int, g: Graph, random: Uniform, a: Sequence[Term]) -> Term:
    """A draw by rejection; ``n`` are the distribution's own parameters, before shift and stretch."""
    low, high, *parameters = a[: 2 + n]
    shift, stretch = a[2 + n : 4 + n]
    made = []
    for _ in range(TRIES):
        accepted, standard = candidate(g, random, *parameters)
        made.append((accepted, shift + stretch * standard))
    drawn = g.op("max", g.op("min", made[-1][1], high), low)
    for accepted, value in reversed(made):
        inside = (low <= value) & (value <= high)
        drawn = g.select(accepted & inside, value, drawn)
    return drawn


_ZERO, _ONE = Const(0.0), Const(1.0)


# Numerators and denominators, constant term first. Source: Wichura 1988, Applied Statistics 37(3), algorithm AS 241,
# routine PPND16: relative accuracy about 1e-16.
_CENTRE = (
    (
        *(3.3871328727963665, 133.14166789178438, 1971.5909503065513, 13731.69376550946),
        *(45921.95393154987, 67265.7709270087, 33430.57558358813, 2509.0809287301227),
    ),
    (
        *(1.0, 42.31333070160091, 687.1870074920579, 5394.196021424751),
        *(21213.794301586597, 39307.89580009271, 28729.085735721943, 5226.495278852854),
    ),
)
_MIDDLE = (
    (
        *(1.4234371107496835, 4.630337846156546, 5.769497221460691, 3.6478483247632045),
        *(1.2704582524523684, 0.2417807251774506, 0.022723844989269184, 0.0007745450142783414),
    ),
    (
        *(1.0, 2.053191626637759, 1.6763848301838038, 0.6897673349851),
        *(0.14810397642748008, 0.015198666563616457, 0.0005475938084995345, 1.0507500716444169e-09),
    ),
)
_TAIL = (
    (
        *(6.657904643501103, 5.463784911164114, 1.7848265399172913, 0.29656057182850487),
        *(0.026532189526576124, 0.0012426609473880784, 2.7115555687434876e-05, 2.0103343992922881e-07),
    ),
    (
        *(1.0, 0.599832206555888, 0.1369298809227358, 0.014875361290850615),
        *(0.0007868691311456133, 1.8463183175100548e-05, 1.421511758316446e-07, 2.0442631033899397e-15),
    ),
)


def quantile(g: Graph, p: Term) -> Term:
    """The number below which a standard normal variable falls with probability ``p``.

    Parameters
    ----------
    p : Term
        Between 0 and 1.

    Returns
    -------
    Term
        In standard deviations.
    """
    q = p - 0.5
    inner = q * _ratio(g, _CENTRE, 0.180625 - q * q)
    tail = g.op("sqrt", -g.op("log", g.op("min", p, 1.0 - p)))
    near, far = tail - 1.6, tail - 5.0
    outer = g.select(tail <= 5.0, _ratio(g, _MIDDLE, near), _ratio(g, _TAIL, far))
    signed = g.select(q < 0.0, -outer, outer)
    return g.select(abs(q) <= 0.425, inner, signed)


def _probability(g: Graph, x: Term) -> Term:
    """The probability with which a standard normal variable falls below ``x``."""
    return 0.5 * g.op("erfc", -x / math.sqrt(2.0))


def _ratio(g: Graph, coefficients: tuple[Sequence[float], Sequence[float]], r: Term) -> Term:
    over, under = (_polynomial(g, polynomial, r) for polynomial in coefficients)
    return over / under


def _polynomial(g: Graph, coefficients: Sequence[float], r: Term) -> Term:
    total = g.const(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = total * r + coefficient
    return total


#: A number without end as an expression, so that conversions have a number for it.
ENDLESS = Const(1e308) * 10.0
_UNBOUNDED = (Neg(ENDLESS), ENDLESS)
Arguments = tuple[Expr, ...]


def _drawn(draw: Draw) -> Meaning:
    return lambda c, a: draw(c.graph, c.random, a)


# a row of the table below: each argument is a column, most at their defaults
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
    if not (isinstance(order, Const) and order.value >= 1.0):
        order = Call("max", (order, _ONE))
    return Call("random_gamma", (low, high, order, *remaining))


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
        _drawn(_uniform),
        "same, same, any -> same",
        "RANDOM UNIFORM",
        (
            Reading("RANDOM", "[minimum, maximum[, seed]]", _uniform_of_xmile),
            Reading("UNIFORM", "minimum, maximum[, seed]", _uniform_of_xmile),
        ),
    ),
    _distribution("random_normal", "mean, standard deviation", _LIKE, _normal, "NORMAL"),
    _distribution(
        *("random_exponential", "shift, stretch", _LIKE, _exponential, "EXPRND", "mean"),
        lambda mean: (_ZERO, mean),
        lambda shift, stretch: ((stretch,), shift, _ONE),
    ),
    _distribution(
        *("random_beta", "alpha, beta, shift, stretch", f"none, none, {_LIKE}", partial(_tried, _beta, 2)),
        *("BETA", "alpha, beta"),
        lambda alpha, beta: (alpha, beta, _ZERO, _ONE),
        lambda alpha, beta, shift, stretch: ((alpha, beta), shift, stretch),
    ),
    _distribution(
        *("random_binomial", "probability, trials, shift, stretch", f"none, any, {_LIKE}"),
        *(partial(_tried, _binomial, 2), "BINOMIAL", "trials, probability"),
        lambda trials, probability: (probability, trials, _ZERO, _ONE),
        lambda probability, trials, shift, stretch: ((trials, probability), shift, stretch),
    ),
    _distribution(
        *("random_gamma", "order, shift, stretch", f"none, {_LIKE}", partial(_tried, _gamma, 1)),
        *("GAMMA", "shape, scale"),
        lambda shape, scale: (shape, _ZERO, scale),
        lambda order, shift, stretch: ((order, stretch), shift, _ONE),
        vensim=(Reading("RANDOM GAMMA", "minimum, maximum, order, shift, stretch, seed", _gamma_of_vensim),),
    ),
    _distribution(
        *("random_negative_binomial", "probability, successes, shift, stretch", f"none, any, {_LIKE}"),
        partial(_tried, negative_binomial, 2),
        in_xmile="draw a Poisson number whose mean is a gamma variable",
    ),
    _distribution(
        *("random_poisson", "mean, shift, stretch", f"any, {_LIKE}", partial(_tried, _poisson, 1)),
        *("POISSON", "mean"),
        lambda mean: (mean, _ZERO, _ONE),
        lambda mean, shift, stretch: ((mean,), shift, stretch),
    ),
    _distribution("random_triangular", "start, peak, stop", f"same, {_LIKE}", _triangular, "TRIANGULAR"),
    # Vensim's has a mean of 1 before it is stretched, Stella's a scale of its own
    _distribution(
        *("random_weibull", "shape, shift, stretch", f"none, {_LIKE}", _weibull, "WEIBULL", "shape, scale"),
        lambda shape, scale: (shape, _ZERO, scale * _mean_of_weibull(shape)),
        lambda shape, shift, stretch: ((shape, stretch / _mean_of_weibull(shape)), shift, _ONE),
    ),
    _distribution("random_logistic", "mean, scale", _LIKE, _logistic, "LOGISTIC", vensim=(), in_vensim=_QUANTILES),
    _distribution("random_pareto", "shape, scale", "none, same", _pareto, "PARETO", vensim=(), in_vensim=_QUANTILES),
)
XMILE = (Reading("MONTECARLO", "percent[, seed]", _monte_carlo),)
