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
from operator import and_

from cipark_sd.compiler.graph import Graph, Term
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

    request: Term
    begin: Term
    end: Term
    width: Term


def by_priority(
    g: Graph, requests: Sequence[Term], priorities: Sequence[Term], width: Term, supply: Term
) -> list[Term]:
    """The share of each claimant.

    The next claimant in the order of priorities begins when the one before it has a fraction of its request that is
    the gap between their priorities over ``width``, or all of it. Who asks for nothing is passed over.

    Parameters
    ----------
    requests, priorities : sequence of Term, (n_claimants,)
        A larger priority comes first.
    width, supply : Term
        In the units of priorities, and of requests.

    Returns
    -------
    list of Term, (n_claimants,)
        In the units of requests.
    """
    zero = g.const(0.0)
    n = len(requests)
    before = [[_comes_before(g, priorities, j, i) for j in range(n)] for i in range(n)]
    ranks = [sum([b for j, b in enumerate(row) if j != i], g.const(0.0)) for i, row in enumerate(before)]
    level, last, some = zero, zero, zero
    begins = [zero] * n
    for place in range(n):
        at_place = [g.op("eq", rank, float(place)) for rank in ranks]
        request, priority = (_picked(g, at_place, values) for values in (requests, priorities))
        asks = g.op("ne", request, 0.0)
        gap = g.op("min", (last - priority) / width, 1.0)
        level = g.select(asks & some, level + gap, level)
        last = g.select(asks, priority, last)
        some = some | asks
        begins = [g.select(yes, level, begin) for yes, begin in zip(at_place, begins, strict=True)]
    lines = [_Line(r, b, b + 1.0, g.const(1.0)) for r, b in zip(requests, begins, strict=True)]
    return _shares(g, lines, supply, [width > 0.0])


def available(
    g: Graph,
    requests: Sequence[Term],
    kinds: Sequence[Term],
    priorities: Sequence[Term],
    widths: Sequence[Term],
    supply: Term,
    shapes: Sequence[float],
) -> list[Term]:
    """The share of each claimant.

    ``shapes`` are the kinds of profile that the shares are computed for, NaN for one that changes in a run; where
    ``kinds`` say something else in a run, the shares are NaN. Of kind 0 alone all get the same part of their requests.

    As the price falls, here as the level ``-price`` rises, a claimant's fraction goes from nothing to everything around
    its priority; a rectangular profile does so along a line, from half a width above to half a width below.

    Parameters
    ----------
    requests, kinds, priorities, widths : sequence of Term, (n_claimants,)
        Of each claimant the request and its priority profile.
    supply : Term
        In the units of requests.
    shapes : sequence of float, (n_claimants,)
        The kinds of profile that the shares are computed for, NaN for one that changes in a run.

    Returns
    -------
    list of Term, (n_claimants,)
        In the units of requests.
    """
    right = [width > 0.0 for width in widths]
    right += [g.op("eq", kind, shape) for kind, shape in zip(kinds, shapes, strict=True) if shape == shape]
    if all(shape == FIXED for shape in shapes):
        return _in_proportion(g, requests, supply, right)
    if any(shape != RECTANGULAR for shape in shapes):
        curves = [Curve(*parts) for parts in zip(requests, kinds, priorities, widths, shapes, strict=True)]
        shares = _curved(g, curves, supply, right)
        if all(shape == shape for shape in shapes):
            return shares
        fixed = reduce(and_, [g.op("eq", kind, FIXED) for kind in kinds])
        even = _in_proportion(g, requests, supply, right)
        return [g.select(fixed, a, b) for a, b in zip(even, shares, strict=True)]
    lines = []
    for request, priority, width in zip(requests, priorities, widths, strict=True):
        reach = width * 0.5
        begin, end = -(priority + reach), -(priority - reach)
        lines.append(_Line(request, begin, end, width))
    return _shares(g, lines, supply, right)


@dataclass(frozen=True)
class Curve:
    """What one buyer or seller takes at a price: the quantity, and the profile with its kind at the start of a run."""

    quantity: Term
    kind: Term
    priority: Term
    width: Term
    shape: float

    def part(self, g: Graph, price: Term) -> Term:
        """The fraction at a price."""
        x = (price - self.priority) / self.width
        if self.shape == self.shape:
            return _above(g, self.shape, x)
        part = g.const(math.nan)
        for shape in SHAPES:
            part = g.select(g.op("eq", self.kind, shape), _above(g, shape, x), part)
        return part

    def demanded(self, g: Graph, price: Term) -> Term:
        """Of a buyer: less as the price rises; of a fixed one (kind 0) all of it at any price."""
        part = g.const(1.0) if self.shape == FIXED else self.part(g, price)
        right = g.op("eq", self.kind, self.shape)
        return g.select(right, self.quantity * part, math.nan)

    def supplied(self, g: Graph, price: Term) -> Term:
        """Of a seller: more as the price rises."""
        return self.demanded(g, price) if self.shape == FIXED else self.quantity - self.demanded(g, price)


def _ends(g: Graph, curves: Sequence[Curve], reaches: Mapping[float, float]) -> tuple[Term, Term]:
    """The lowest and the highest price at which a curve changes; of an unknown kind, those of the widest."""
    most = max(reaches.values())
    spans = [(c.priority, c.width * reaches.get(c.shape, most)) for c in curves]
    low = reduce(lambda a, b: g.op("min", a, b), (middle - reach for middle, reach in spans))
    high = reduce(lambda a, b: g.op("max", a, b), (middle + reach for middle, reach in spans))
    return low, high


def market_price(g: Graph, buyers: Sequence[Curve], sellers: Sequence[Curve]) -> Term:
    """The largest price at which no more is supplied than demanded; :NA: where all quantities are fixed.

    It is looked for from the lowest to the highest end of the curves, a normal one within 5 widths of its priority and
    an exponential one within 10.

    Source: Vensim's manual, fn_find_market_price, and its recorded run (``models/allocate_price`` of SDEverywhere), for
    the ends and for fixed quantities.

    Returns
    -------
    Term
        In the units of priorities.
    """
    curved = [curve for curve in (*buyers, *sellers) if curve.shape != FIXED]
    if not curved:
        return g.const(MISSING)
    low, high = _ends(g, curved, _SEARCHED)
    for _ in range(_PRICE_HALVINGS):
        middle = 0.5 * (low + high)
        supply = sum([seller.supplied(g, middle) for seller in sellers], g.const(0.0))
        demand = sum([buyer.demanded(g, middle) for buyer in buyers], g.const(0.0))
        enough = supply <= demand
        low, high = g.select(enough, middle, low), g.select(enough, high, middle)
    wrong = sum([curve.kind - curve.shape for curve in (*buyers, *sellers)], g.const(0.0))
    return g.select(g.op("eq", wrong, 0.0), low, math.nan)


def _in_proportion(g: Graph, requests: Sequence[Term], supply: Term, conditions: Sequence[Term]) -> list[Term]:
    part = g.op("min", 1.0, supply / sum(requests, g.const(0.0)))
    right = reduce(and_, [*conditions, supply >= 0.0, *(request >= 0.0 for request in requests)])
    return [g.select(right, g.select(g.op("eq", request, 0.0), 0.0, part * request), math.nan) for request in requests]


def _curved(g: Graph, curves: Sequence[Curve], supply: Term, conditions: Sequence[Term]) -> list[Term]:
    """Shares along curves of any shape: the price at which all of the supply is given, and what each has there."""
    requests = [curve.quantity for curve in curves]

    def allotted(price: Term) -> list[Term]:
        return [curve.quantity * curve.part(g, price) for curve in curves]

    low, high = _ends(g, curves, _REACH)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        too_low = supply < sum(allotted(middle), g.const(0.0))
        low, high = g.select(too_low, middle, low), g.select(too_low, high, middle)
    # within so short an interval the curves are as good as lines
    above, below = sum(allotted(low), g.const(0.0)), sum(allotted(high), g.const(0.0))
    drop = above - below
    part = g.select(drop > 0.0, (above - supply) / drop, 0.5)
    level = allotted(low + part * (high - low))
    enough = sum(requests, g.const(0.0)) <= supply
    right = reduce(and_, [supply >= 0.0, *conditions, *(request >= 0.0 for request in requests)])
    nothing = g.op("eq", supply, 0.0)
    return [
        g.select(right, g.select(enough, request, g.select(nothing, 0.0, share)), math.nan)
        for request, share in zip(requests, level, strict=True)
    ]


def _above(g: Graph, shape: float, x: Term) -> Term:
    """The fraction that a claimant has where the price is ``x`` widths above its priority."""
    if shape == NORMAL:
        return 0.5 * g.op("erfc", x / math.sqrt(2.0))
    if shape == EXPONENTIAL:
        tail = 0.5 * g.op("exp", -abs(x))
        return g.select(x < 0.0, 1.0 - tail, tail)
    if shape == TRIANGULAR:
        far = g.op("max", 0.5 - abs(x), 0.0)
        tail = 2.0 * (far * far)
        return g.select(x < 0.0, 1.0 - tail, tail)
    return g.op("min", 1.0, g.op("max", 0.0, 0.5 - x))


def _shares(g: Graph, lines: Sequence[_Line], supply: Term, conditions: Sequence[Term]) -> list[Term]:
    corners = [corner for line in lines for corner in (line.begin, line.end)]
    amounts = [sum([_share(g, line, corner) for line in lines], g.const(0.0)) for corner in corners]
    # the last corner at which no more is given than there is, and what is given there
    start, already = g.const(-math.inf), g.const(0.0)
    for corner, amount in zip(corners, amounts, strict=True):
        later = (amount <= supply) & (start < corner)
        start, already = g.select(later, corner, start), g.select(later, amount, already)
    rising = [g.select((line.begin <= start) & (start < line.end), line.request / line.width, 0.0) for line in lines]
    level = start + (supply - already) / sum(rising, g.const(0.0))
    enough = sum([line.request for line in lines], g.const(0.0)) <= supply
    right = reduce(and_, [supply >= 0.0, *conditions, *(line.request >= 0.0 for line in lines)])
    return [g.select(right, g.select(enough, line.request, _share(g, line, level)), math.nan) for line in lines]


def _share(g: Graph, line: _Line, level: Term) -> Term:
    """What a claimant has at a level."""
    part = line.request * ((level - line.begin) / line.width)
    return g.select(level <= line.begin, 0.0, g.select(line.end <= level, line.request, part))


def _comes_before(g: Graph, priorities: Sequence[Term], j: int, i: int) -> Term:
    """Whether ``j`` is served before ``i``; of equals, the first in the list."""
    return priorities[i] <= priorities[j] if j < i else priorities[i] < priorities[j]


def _picked(g: Graph, flags: Sequence[Term], values: Sequence[Term]) -> Term:
    picked = values[-1]
    for yes, value in zip(flags[:-1], values[:-1], strict=True):
        picked = g.select(yes, value, picked)
    return picked
