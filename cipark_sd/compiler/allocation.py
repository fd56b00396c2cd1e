"""ALLOCATE BY PRIORITY and ALLOCATE AVAILABLE written out as single operations.

Both share a supply out so that each claimant's fraction rises along a line from nothing to its whole request while a
common level rises; they differ in where each line begins and ends. The level at which all of the supply is given lies
between two of these corners, where everything is a line, and so is computed without iteration. Curves of other shapes
are inverted by halving an interval a fixed number of times and one chord at the end.

Source: Vensim's reference manual, "Allocation Overview" and "Specifying the Curves", and its recorded runs; the rules
for what is missing there are those of PySD 3.14 (``pysd/py_backend/allocation.py``). Where PySD stops, for negative
requests and supplies and widths that are not positive, the shares are NaN.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from cipark_sd.compiler.graph import Graph
from cipark_sd.model.expr import MISSING

#: Claimants up to which an allocation is written out: some 20 n^2 operations.
MOST_CLAIMANTS = 24
#: Kinds of priority profile, as Vensim numbers them ("Specifying the Curves"). Of kind 0 a recorded run shows what is
#: taken at a price and no shares, of kind 5 neither.
FIXED = 0.0
RECTANGULAR, TRIANGULAR, NORMAL, EXPONENTIAL = 1.0, 2.0, 3.0, 4.0
SHAPES = (RECTANGULAR, TRIANGULAR, NORMAL, EXPONENTIAL)
#: How many widths from its priority a claimant has all or nothing, to rounding.
_REACH = {RECTANGULAR: 0.5, TRIANGULAR: 0.5, NORMAL: 8.5, EXPONENTIAL: 38.0}
_SEARCHED = {RECTANGULAR: 0.5, TRIANGULAR: 0.5, NORMAL: 5.0, EXPONENTIAL: 10.0}
#: After these a price is exact to rounding.
_PRICE_HALVINGS = 52
#: After these the interval is some 1e-8 widths, and a chord in it exact to rounding.
_HALVINGS = 32


@dataclass(frozen=True)
class _Line:
    """One claimant: what it asks for, at which levels its share begins and ends to rise, and how fast."""

    request: int
    begin: int
    end: int
    width: int


def by_priority(g: Graph, requests: Sequence[int], priorities: Sequence[int], width: int, supply: int) -> list[int]:
    """The share of each claimant.

    The next claimant in the order of priorities begins when the one before it has a fraction of its request that is
    the gap between their priorities over ``width``, or all of it. Who asks for nothing is passed over.
    """
    zero, unit = g.const(0.0), g.const(1.0)
    n = len(requests)
    before = [[_comes_before(g, priorities, j, i) for j in range(n)] for i in range(n)]
    ranks = [_total(g, [b for j, b in enumerate(row) if j != i]) for i, row in enumerate(before)]
    level, last, some = zero, zero, zero
    begins = [zero] * n
    for place in range(n):
        at_place = [g.op("eq", rank, g.const(float(place))) for rank in ranks]
        request, priority = (_picked(g, at_place, values) for values in (requests, priorities))
        asks = g.op("ne", request, zero)
        gap = g.op("min", g.div(g.sub(last, priority), width), unit)
        level = g.select(g.logical_and(asks, some), g.add(level, gap), level)
        last = g.select(asks, priority, last)
        some = g.logical_or(some, asks)
        begins = [g.select(yes, level, begin) for yes, begin in zip(at_place, begins, strict=True)]
    lines = [_Line(r, b, g.add(b, unit), unit) for r, b in zip(requests, begins, strict=True)]
    return _shares(g, lines, supply, [g.lt(zero, width)])


def available(
    g: Graph,
    requests: Sequence[int],
    kinds: Sequence[int],
    priorities: Sequence[int],
    widths: Sequence[int],
    supply: int,
    shapes: Sequence[float],
) -> list[int]:
    """The share of each claimant.

    ``shapes`` are the kinds of profile that the shares are computed for, NaN for one that changes in a run; where
    ``kinds`` say something else in a run, the shares are NaN. Of kind 0 alone all get the same part of their requests.

    As the price falls, here as the level ``-price`` rises, a claimant's fraction goes from nothing to everything around
    its priority; a rectangular profile does so along a line, from half a width above to half a width below.
    """
    right = [g.lt(g.const(0.0), width) for width in widths]
    right += [g.op("eq", kind, g.const(shape)) for kind, shape in zip(kinds, shapes, strict=True) if shape == shape]
    if all(shape == FIXED for shape in shapes):
        return _in_proportion(g, requests, supply, right)
    if any(shape != RECTANGULAR for shape in shapes):
        curves = [Curve(*parts) for parts in zip(requests, kinds, priorities, widths, shapes, strict=True)]
        shares = _curved(g, curves, supply, right)
        if all(shape == shape for shape in shapes):
            return shares
        fixed = reduce(g.logical_and, [g.op("eq", kind, g.const(FIXED)) for kind in kinds])
        even = _in_proportion(g, requests, supply, right)
        return [g.select(fixed, a, b) for a, b in zip(even, shares, strict=True)]
    half = g.const(0.5)
    lines = []
    for request, priority, width in zip(requests, priorities, widths, strict=True):
        reach = g.mul(width, half)
        begin, end = g.op("neg", g.add(priority, reach)), g.op("neg", g.sub(priority, reach))
        lines.append(_Line(request, begin, end, width))
    return _shares(g, lines, supply, right)


@dataclass(frozen=True)
class Curve:
    """What one buyer or seller takes at a price: the quantity, and the profile with its kind at the start of a run."""

    quantity: int
    kind: int
    priority: int
    width: int
    shape: float

    def part(self, g: Graph, price: int) -> int:
        """The fraction at a price."""
        x = g.div(g.sub(price, self.priority), self.width)
        if self.shape == self.shape:
            return _above(g, self.shape, x)
        part = g.const(math.nan)
        for shape in SHAPES:
            part = g.select(g.op("eq", self.kind, g.const(shape)), _above(g, shape, x), part)
        return part

    def demanded(self, g: Graph, price: int) -> int:
        """Of a buyer: less as the price rises; of a fixed one (kind 0) all of it at any price."""
        part = g.const(1.0) if self.shape == FIXED else self.part(g, price)
        right = g.op("eq", self.kind, g.const(self.shape))
        return g.select(right, g.mul(self.quantity, part), g.const(math.nan))

    def supplied(self, g: Graph, price: int) -> int:
        """Of a seller: more as the price rises."""
        return self.demanded(g, price) if self.shape == FIXED else g.sub(self.quantity, self.demanded(g, price))


def _ends(g: Graph, curves: Sequence[Curve], reaches: Mapping[float, float]) -> tuple[int, int]:
    """The lowest and the highest price at which a curve changes; of an unknown kind, those of the widest."""
    most = max(reaches.values())
    spans = [(c.priority, g.mul(c.width, g.const(reaches.get(c.shape, most)))) for c in curves]
    low = reduce(lambda a, b: g.op("min", a, b), (g.sub(middle, reach) for middle, reach in spans))
    high = reduce(lambda a, b: g.op("max", a, b), (g.add(middle, reach) for middle, reach in spans))
    return low, high


def market_price(g: Graph, buyers: Sequence[Curve], sellers: Sequence[Curve]) -> int:
    """The largest price at which no more is supplied than demanded; :NA: where all quantities are fixed.

    It is looked for from the lowest to the highest end of the curves, a normal one within 5 widths of its priority and
    an exponential one within 10.

    Source: Vensim's manual, fn_find_market_price, and its recorded run (``models/allocate_price`` of SDEverywhere), for
    the ends and for fixed quantities.
    """
    curved = [curve for curve in (*buyers, *sellers) if curve.shape != FIXED]
    if not curved:
        return g.const(MISSING)
    low, high = _ends(g, curved, _SEARCHED)
    for _ in range(_PRICE_HALVINGS):
        middle = g.mul(g.const(0.5), g.add(low, high))
        supply = _total(g, [seller.supplied(g, middle) for seller in sellers])
        demand = _total(g, [buyer.demanded(g, middle) for buyer in buyers])
        enough = g.le(supply, demand)
        low, high = g.select(enough, middle, low), g.select(enough, high, middle)
    wrong = _total(g, [g.sub(curve.kind, g.const(curve.shape)) for curve in (*buyers, *sellers)])
    return g.select(g.op("eq", wrong, g.const(0.0)), low, g.const(math.nan))


def _in_proportion(g: Graph, requests: Sequence[int], supply: int, conditions: Sequence[int]) -> list[int]:
    part = g.op("min", g.const(1.0), g.div(supply, _total(g, requests)))
    zero = g.const(0.0)
    right = reduce(g.logical_and, [*conditions, g.le(zero, supply), *(g.le(zero, request) for request in requests)])
    return [
        g.select(right, g.select(g.op("eq", request, zero), zero, g.mul(part, request)), g.const(math.nan))
        for request in requests
    ]


def _curved(g: Graph, curves: Sequence["Curve"], supply: int, conditions: Sequence[int]) -> list[int]:
    """Shares along curves of any shape: the price at which all of the supply is given, and what each has there."""
    zero, half = g.const(0.0), g.const(0.5)
    requests = [curve.quantity for curve in curves]

    def allotted(price: int) -> list[int]:
        return [g.mul(curve.quantity, curve.part(g, price)) for curve in curves]

    low, high = _ends(g, curves, _REACH)
    for _ in range(_HALVINGS):
        middle = g.mul(half, g.add(low, high))
        too_low = g.lt(supply, _total(g, allotted(middle)))
        low, high = g.select(too_low, middle, low), g.select(too_low, high, middle)
    # within so short an interval the curves are as good as lines
    above, below = _total(g, allotted(low)), _total(g, allotted(high))
    drop = g.sub(above, below)
    part = g.select(g.lt(zero, drop), g.div(g.sub(above, supply), drop), half)
    level = allotted(g.add(low, g.mul(part, g.sub(high, low))))
    enough = g.le(_total(g, requests), supply)
    right = g.le(zero, supply)
    for condition in (*conditions, *(g.le(zero, request) for request in requests)):
        right = g.logical_and(right, condition)
    nothing = g.op("eq", supply, zero)
    return [
        g.select(right, g.select(enough, request, g.select(nothing, zero, share)), g.const(math.nan))
        for request, share in zip(requests, level, strict=True)
    ]


def _above(g: Graph, shape: float, x: int) -> int:
    """The fraction that a claimant has where the price is ``x`` widths above its priority."""
    zero, unit, half, two = (g.const(number) for number in (0.0, 1.0, 0.5, 2.0))
    if shape == NORMAL:
        return g.mul(half, g.op("erfc", g.div(x, g.const(math.sqrt(2.0)))))
    if shape == EXPONENTIAL:
        tail = g.mul(half, g.op("exp", g.op("neg", g.op("abs", x))))
        return g.select(g.lt(x, zero), g.sub(unit, tail), tail)
    if shape == TRIANGULAR:
        far = g.op("max", g.sub(half, g.op("abs", x)), zero)
        tail = g.mul(two, g.mul(far, far))
        return g.select(g.lt(x, zero), g.sub(unit, tail), tail)
    return g.op("min", unit, g.op("max", zero, g.sub(half, x)))


def _shares(g: Graph, lines: Sequence[_Line], supply: int, conditions: Sequence[int]) -> list[int]:
    zero = g.const(0.0)
    corners = [corner for line in lines for corner in (line.begin, line.end)]
    amounts = [_total(g, [_share(g, line, corner) for line in lines]) for corner in corners]
    # the last corner at which no more is given than there is, and what is given there
    start, already = g.const(-math.inf), g.const(0.0)
    for corner, amount in zip(corners, amounts, strict=True):
        later = g.logical_and(g.le(amount, supply), g.lt(start, corner))
        start, already = g.select(later, corner, start), g.select(later, amount, already)
    rising = [
        g.select(g.logical_and(g.le(line.begin, start), g.lt(start, line.end)), g.div(line.request, line.width), zero)
        for line in lines
    ]
    level = g.add(start, g.div(g.sub(supply, already), _total(g, rising)))
    enough = g.le(_total(g, [line.request for line in lines]), supply)
    right = g.le(zero, supply)
    for condition in (*conditions, *(g.le(zero, line.request) for line in lines)):
        right = g.logical_and(right, condition)
    return [
        g.select(right, g.select(enough, line.request, _share(g, line, level)), g.const(math.nan)) for line in lines
    ]


def _share(g: Graph, line: _Line, level: int) -> int:
    """What a claimant has at a level."""
    part = g.mul(line.request, g.div(g.sub(level, line.begin), line.width))
    inside = g.select(g.le(line.end, level), line.request, part)
    return g.select(g.le(level, line.begin), g.const(0.0), inside)


def _comes_before(g: Graph, priorities: Sequence[int], j: int, i: int) -> int:
    """Whether ``j`` is served before ``i``; of equals, the first in the list."""
    return (g.le if j < i else g.lt)(priorities[i], priorities[j])


def _picked(g: Graph, flags: Sequence[int], values: Sequence[int]) -> int:
    picked = values[-1]
    for yes, value in zip(flags[:-1], values[:-1], strict=True):
        picked = g.select(yes, value, picked)
    return picked


def _total(g: Graph, terms: Sequence[int]) -> int:
    total = g.const(0.0)
    for term in terms:
        total = g.add(total, term)
    return total
