"""Random functions in primitives: draws between bounds, each from streams of its own.

Where a distribution has a quantile function, a uniform number between the probabilities of the bounds is taken through
it. The others are sums and products of what rejection gives: of :data:`TRIES` candidates the first counts that lies
between the bounds; where none does, the last is moved to the nearer bound. A candidate of a gamma distribution is
accepted in 95 of 100 cases at least, of Poisson's and the binomial in 70.

Source of arguments and truncation: Vensim's reference manual, fn_random.
"""

import math
from collections.abc import Callable, Sequence

from cipark_sd.compiler.chance import FEW
from cipark_sd.compiler.graph import Graph
from cipark_sd.compiler.normal import probability, quantile

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
