"""Functions of arrays: sums, choices, orders and allocations.

The meanings are those of calls after unrolling, which has put elements in the place of arrays.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial, reduce
from operator import or_

from cipark_sd.base.naming import canonical
from cipark_sd.compiler.allocation import Curve, available, by_priority, market_price
from cipark_sd.compiler.functions.arithmetic import SMALL
from cipark_sd.compiler.functions.row import (
    FREE,
    KEEPS,
    PURE,
    ArrayKind,
    Context,
    Function,
    Meaning,
    Reading,
    Refused,
    Target,
)
from cipark_sd.compiler.graph import Graph, Term
from cipark_sd.model.expr import MISSING, Binary, Call, Const, Expr, If, Ref, bound_to, references

#: Rows up to which a matrix is written out: some 5 n^3 operations, so 48 rows are half a million of them.
MOST_ROWS = 48


def _inverse(g: Graph, cells: Sequence[Term]) -> tuple[Term, ...]:
    """The inverse of a square matrix, row by row; infinite or NaN where it has none.

    Rows are exchanged so that the largest of a column is divided by, which keeps rounding errors small and lets a zero
    stand on the diagonal. Columns that are done are left alone, since nothing reads them any more.

    Source: Gauss-Jordan elimination with partial pivoting (Golub and Van Loan 2013, Matrix Computations, section 3.4);
    which row is exchanged is decided by ``select``, so that it may differ from run to run.
    """
    n = round(len(cells) ** 0.5)
    # each row from the column that is to be cleared next on, then its part of what becomes the inverse
    rows = [[*cells[i * n : (i + 1) * n], *(g.const(float(i == j)) for j in range(n))] for i in range(n)]
    for k in range(n):
        for i in range(k + 1, n):
            larger = abs(rows[k][0]) < abs(rows[i][0])
            above = [g.select(larger, b, a) for a, b in zip(rows[k], rows[i], strict=True)]
            rows[i] = [g.select(larger, a, b) for a, b in zip(rows[k], rows[i], strict=True)]
            rows[k] = above
        pivot, *beyond = rows[k]
        rows[k] = [value / pivot for value in beyond]
        for i in range(n):
            if i != k:
                factor, *row_beyond = rows[i]
                rows[i] = [b - factor * a for a, b in zip(rows[k], row_beyond, strict=True)]
    return tuple(value for row in rows for value in row)


#: Actions of VECTOR SELECT, numbered from 0.
MOST_ACTIONS = 11
_ZERO, _ONE = Const(0.0), Const(1.0)


def folded(op: str) -> Meaning:
    """A reduction by an operation of two, from the left."""
    return lambda c, terms: _fold(c, op, terms)


def _fold(c: Context, op: str, terms: Sequence[Term]) -> Term:
    return reduce(lambda total, term: c.graph.op(op, total, term), terms)


def deviation(c: Context, terms: Sequence[Term]) -> Term:
    """The standard deviation of numbers about their mean, by their number; pysimlin's STDDEV is the same.

    Parameters
    ----------
    terms : sequence of Term, (n,)

    Returns
    -------
    Term
        The root of the mean of (term - mean)^2, in the units of the terms.
    """
    g, n = c.graph, c.graph.const(float(len(terms)))
    mean = _fold(c, "add", terms) / n
    distances = [term - mean for term in terms]
    return g.op("sqrt", _fold(c, "add", [d * d for d in distances]) / n)


def _ranks(c: Context, values: Sequence[Term]) -> list[Term]:
    """The place of each value in ascending order, from 0; equal values keep their order."""
    g = c.graph
    ranks = []
    for i, value in enumerate(values):
        before = [g.op("le" if j < i else "lt", rival, value) for j, rival in enumerate(values) if j != i]
        ranks.append(sum(before, g.const(0.0)))
    return ranks


def _chosen(c: Context, place: Term, values: Sequence[Term]) -> Term:
    """The value at a place that is itself computed."""
    g, chosen = c.graph, values[0]
    for i, value in enumerate(values[1:], start=1):
        chosen = g.select(g.op("eq", place, float(i)), value, chosen)
    return chosen


def _sort_order(c: Context, a: Sequence[Term]) -> Term:
    g, (place, length, direction, *values) = c.graph, a
    ranks = _ranks(c, values)
    target = g.select(direction > 0.0, place, (length - 1.0) - place)
    return sum([float(i) * g.op("eq", rank, target) for i, rank in enumerate(ranks)], g.const(0.0))


def _rank(c: Context, a: Sequence[Term]) -> Term:
    g, (place, length, direction, *values) = c.graph, a
    rank = _chosen(c, place, _ranks(c, values))
    return g.select(direction > 0.0, rank + 1.0, length - rank)


def _reorder(c: Context, a: Sequence[Term]) -> Term:
    place, length, *vectors = a
    n = int(length.number or 0)
    return _chosen(c, c.graph.op("trunc", _chosen(c, place, vectors[:n])), vectors[n:])


def _lookup(c: Context, a: Sequence[Term]) -> Term:
    """VECTOR LOOKUP after unrolling: argument, least and largest x, mode, and the heights at even distances between.

    Of the modes those are computed that are one of the lookup functions: 0 joins by lines and holds the ends, 2 is
    LOOKUP BACKWARD, 3 LOOKUP EXTRAPOLATE, 4 LOOKUP FORWARD. A height counts from 1e-6 of a distance before its place.

    Source: Vensim's manual, fn_vector_lookup.
    """
    g, (x, least, largest, mode, *heights) = c.graph, a
    n = g.const(len(heights) - 1.0)
    at = (x - least) / (largest - least) * n

    def place(number: Term, last: Term) -> Term:
        return g.op("min", g.op("max", number, 0.0), last)

    before = place(g.op("floor", at), n - 1.0)
    low, high, share = _chosen(c, before, heights[:-1]), _chosen(c, before, heights[1:]), at - before
    line = low + share * (high - low)
    held = g.select(share < 0.0, low, g.select(share < 1.0, line, high))
    backward = _chosen(c, place(g.op("floor", at + SMALL), n), heights)
    forward = _chosen(c, place(-g.op("floor", SMALL - at), n), heights)
    result = g.const(math.nan)
    for number, value in ((0.0, held), (2.0, backward), (3.0, line), (4.0, forward)):
        result = g.select(g.op("eq", mode, number), value, result)
    return result


def _elm_map(c: Context, a: Sequence[Term]) -> Term:
    """VECTOR ELM MAP after unrolling: place of the first element, offset, then all elements; none is missing.

    Source: Vensim's manual, fn_vector_elm_map: outside of the variable's range it is :NA:.
    """
    g, (first, offset, *members) = c.graph, a
    place = first + g.op("rint", offset)
    inside = (place >= 0.0) & (place < float(len(members)))
    return g.select(inside, _chosen(c, place, members), MISSING)


def _vector_select(c: Context, a: Sequence[Term]) -> Term:
    """VECTOR SELECT after unrolling: value where nothing is selected, action, error action, selections and values.

    An action that changes in the run is chosen among all of them; where it is none, there is no value, and neither
    where Vensim stops the run: error action 1 asks for a selection, 2 for no more than one, 3 for one and no other.

    Source of the actions' numbers: Vensim's manual, fn_vector_select; that they may change, a recorded run of Vensim's
    (``vector_select`` of SDXorg's test models).
    """
    g, (missing, action, error_action, *pairs) = c.graph, a
    selections, values = pairs[::2], pairs[1::2]
    number = action.number
    if number is None:
        result = g.const(math.nan)
        for kind in range(MOST_ACTIONS):
            result = g.select(g.op("eq", action, float(kind)), _selected(c, selections, values, kind), result)
    else:
        result = _selected(c, selections, values, int(number))
    chosen = [g.op("ne", selection, 0.0) for selection in selections]
    some, count = reduce(or_, chosen), _fold(c, "add", chosen)
    asks_for_one, asks_for_single = (
        g.op("eq", error_action, kind) | g.op("eq", error_action, 3.0) for kind in (1.0, 2.0)
    )
    none = asks_for_one & g.op("not", some)
    several = asks_for_single & (count > 1.0)
    return g.select(none | several, math.nan, g.select(some, result, missing))


def _selected(c: Context, selections: Sequence[Term], values: Sequence[Term], action: int) -> Term:
    """What an action makes of the selected values."""
    g = c.graph
    chosen = [g.op("ne", selection, 0.0) for selection in selections]
    if action <= 4:
        values = [selection * value for selection, value in zip(selections, values, strict=True)]
    elif action == 5:
        values = [value**selection for selection, value in zip(selections, values, strict=True)]

    def over(op: str, neutral: float) -> Term:
        terms = [g.select(yes, value, neutral) for yes, value in zip(chosen, values, strict=True)]
        return _fold(c, op, terms)

    match action:
        case 0 | 6:
            return over("add", 0.0)
        case 1 | 5 | 7:
            return over("mul", 1.0)
        case 2 | 8:
            return over("min", math.inf)
        case 3 | 9:
            return over("max", -math.inf)
        case _:
            return over("add", 0.0) / _fold(c, "add", chosen)


def _invert_matrix(c: Context, a: Sequence[Term]) -> Term:
    """INVERT MATRIX after unrolling: row and column of the element, number of columns, then the matrix."""
    row, column, length, *cells = a
    place = int(row.number or 0) * int(length.number or 0) + int(column.number or 0)
    return c.graph.family(("inverse", *cells), lambda: _inverse(c.graph, cells))[place]


def _allocate_by_priority(c: Context, a: Sequence[Term]) -> Term:
    """ALLOCATE BY PRIORITY after unrolling: claimant, number of them, width, supply, requests and priorities."""
    place, length, width, supply, *vectors = a
    n = int(length.number or 0)
    shares = c.graph.family(
        ("by priority", *a[1:]), lambda: by_priority(c.graph, vectors[:n], vectors[n:], width, supply)
    )
    return shares[int(place.number or 0)]


def _allocate_available(c: Context, a: Sequence[Term]) -> Term:
    """ALLOCATE AVAILABLE after unrolling: claimant, number of them, supply, requests, four numbers of each profile.

    A profile's first number is its kind; the shares are computed for those that the model's own constants say.
    """
    g, (place, length, supply, *vectors) = c.graph, a
    n = int(length.number or 0)
    kinds, priorities, widths = (vectors[n + i :: 4] for i in range(3))
    shapes = tuple(c.at_start(kind) for kind in kinds)

    def make() -> list[Term]:
        return available(g, vectors[:n], kinds, priorities, widths, supply, shapes)

    shares = g.family(("available", shapes, *a[1:]), make)
    return shares[int(place.number or 0)]


def within_array(places: Sequence[Expr], sizes: Sequence[int]) -> tuple[Expr, Expr]:
    """Whether places, from 1, are in an array, and the offset from its first element, the last subscript fastest.

    Parameters
    ----------
    places : sequence of Expr, (n_dims,)
        From 1; a broken number means the nearest whole one.
    sizes : sequence of int, (n_dims,)

    Returns
    -------
    inside, along : Expr
        1 or 0, and a number of elements from 0.
    """
    inside = reduce(partial(Binary, "and"), map(_within, places, sizes))
    # one place alone is rounded by VECTOR ELM MAP; of several each is, before they are one offset
    whole = places if len(places) == 1 else [Call("round", (place,)) for place in places]
    along: Expr = whole[0] - 1.0
    for place, size in zip(whole[1:], sizes[1:], strict=True):
        along = along * float(size) + (place - 1.0)
    return inside, along


def _within(place: Expr, n: int) -> Expr:
    """Whether a place is one of ``n`` to the nearest whole number."""
    return Binary("and", Binary(">=", place, Const(0.5)), Binary("<", place, Const(n + 0.5)))


def _extreme(function: str, target: Target, argument: Expr) -> Expr:
    """The least or largest of an array, whose dimensions Vensim marks; of a number it is that number."""
    argument = bound_to(argument, {name: f"{name}!" for name in target.summed})
    if not any(sub.endswith("!") for ref in references(argument) for sub in ref.subscripts):
        return argument
    return Call(function, (argument,))


def _size(target: Target, argument: Expr) -> Expr:
    """How many elements an array has along what is marked, or a dimension by its name."""
    if isinstance(argument, Ref) and not argument.subscripts:
        return Call("elmcount", (argument,)) if argument.name in target.summed else Const(1.0)
    marked = dict.fromkeys(
        s.removesuffix("!") for ref in references(argument) for s in ref.subscripts if s.endswith("!")
    )
    size: Expr = Const(1.0)
    for dim in marked:
        size = size * Call("elmcount", (Ref(dim),))
    return size


def _curves(c: Context, a: Sequence[Term]) -> list[Curve]:
    """Behind a number the quantities, then of each the four numbers of its profile."""
    many = (len(a) - 1) // 5
    kinds, priorities, widths = (a[1 + many + i :: 4] for i in range(3))
    rows = zip(a[1 : 1 + many], kinds, priorities, widths, strict=True)
    return [Curve(quantity, kind, priority, width, c.at_start(kind)) for quantity, kind, priority, width in rows]


def _market_price(c: Context, a: Sequence[Term]) -> Term:
    """FIND MARKET PRICE after unrolling: how many buyers, then the curves of these and of the sellers."""
    curves, n = _curves(c, a), int(a[0].number or 0)
    return market_price(c.graph, curves[:n], curves[n:])


def _at_price(way: Callable[[Curve, Graph, Term], Term]) -> Meaning:
    """After unrolling: the price, then one curve."""
    return lambda c, a: way(_curves(c, a)[0], c.graph, a[0])


def _mean_in_vensim(target: Target, array: Expr) -> Expr:
    return Call("sum", (array,)) / _size(target, array)


def _deviation_in_vensim(target: Target, array: Expr) -> Expr:
    """The root of the mean square less the square of the mean, both of distances to the first element.

    That is one of the numbers, so that of n of them rounding is within n units of the deviation.
    """
    first = bound_to(array, {f"{name}!": dimension.elements[0] for name, dimension in target.dimensions.items()})
    gap = array - first
    mean = _mean_in_vensim(target, gap)
    square = _mean_in_vensim(target, gap * gap) - mean * mean
    return Call("sqrt", (Call("max", (square, _ZERO)),))


def _mean_of_several(*numbers: Expr) -> Expr:
    return reduce(partial(Binary, "+"), numbers) / float(len(numbers))


def _element_in_vensim(target: Target, beyond: Expr, array: Expr, *places: Expr) -> Expr:
    if beyond != _ZERO or not isinstance(array, Ref):
        raise Refused("the function XMILE ELEMENT", "let what is beyond the array be 0, not NaN")
    ranges = [target.dimensions[dim].elements for dim in array.subscripts]
    inside, along = within_array(places, list(map(len, ranges)))
    first = Ref(array.name, tuple(elements[0] for elements in ranges))
    return If(inside, Call("vector_elm_map", (first, along)), _ZERO)


#: XMILE has reductions, but its readers differ in how they mark what is summed over: they are written out.
_reduction = partial(Function, in_xmile="write its elements out with --flat", arrays="reduction")


def _whole(spelling: str, parameters: str, meaning: Meaning, units: str | None, kind: ArrayKind) -> Function:
    """A function of whole arrays that XMILE lacks: files that other converters wrote have it under Vensim's name."""
    name, instead = canonical(spelling), "give it arrays that are whole on both sides of its equation"
    return Function(name, parameters, meaning, units, spelling, name.upper(), in_xmile=instead, arrays=kind)


def _of_any(name: str) -> Function:
    """XMILE's MIN or MAX of an array, which takes every element."""
    return _reduction(f"v{name}_xmile", "array", None, KEEPS, (), name.upper(), partial(_extreme, f"v{name}"))


ROWS = (
    _reduction("sum", "array", folded("add"), KEEPS, "SUM", "SUM"),
    _reduction("prod", "array", folded("mul"), PURE, "PROD", "PROD"),
    _reduction("vmin", "array", folded("min"), KEEPS, "VMIN"),
    _reduction("vmax", "array", folded("max"), KEEPS, "VMAX"),
    _of_any("min"),
    _of_any("max"),
    _reduction("xmile_mean", "array", None, KEEPS, xmile="MEAN", in_vensim=_mean_in_vensim),
    _reduction("xmile_size", "array", None, FREE, xmile="SIZE", in_vensim=_size),
    _reduction("xmile_stddev", "array", deviation, KEEPS, xmile="STDDEV", in_vensim=_deviation_in_vensim),
    _reduction(
        "xmile_rank", "array, place", None, "any, none -> none", xmile="RANK", in_vensim="use VECTOR SORT ORDER"
    ),
    # Source: isee systems' help, "Array builtins"
    _reduction(
        "xmile_interpolate",
        "array, place, ...",
        None,
        "same, none -> same",
        xmile="INTERPOLATE",
        in_vensim="give its elements to a lookup, or use VECTOR LOOKUP",
    ),
    # an element whose place is computed; what it is beyond the array comes first
    Function(
        *("xmile_element", "beyond, array, place, ...", None, "any, same, none -> same"),
        in_vensim=_element_in_vensim,
        in_xmile="write its elements out with --flat",
    ),
    _whole(
        "VECTOR SELECT",
        "selection, expression, missing value, action, error action",
        _vector_select,
        "any, same, any -> same",
        "selection",
    ),
    _whole("VECTOR SORT ORDER", "vector, direction", _sort_order, FREE, "vector"),
    _whole("VECTOR RANK", "vector, direction", _rank, FREE, "vector"),
    _whole("VECTOR REORDER", "vector, order", _reorder, "same, none -> same", "vector"),
    _whole("VECTOR ELM MAP", "element, offset", _elm_map, "same, none -> same", "vector"),
    _whole("VECTOR LOOKUP", "heights, x, x min, x max, mode", _lookup, "same, any -> same", "vector"),
    _whole(
        "FIND MARKET PRICE",
        "demand, demand profile, supply, supply profile",
        _market_price,
        "any, same, any, same -> same",
        "market",
    ),
    _whole("DEMAND AT PRICE", "quantity, profile, price", _at_price(Curve.demanded), "same, any -> same", "market"),
    _whole("SUPPLY AT PRICE", "quantity, profile, price", _at_price(Curve.supplied), "same, any -> same", "market"),
    _whole("INVERT MATRIX", "matrix, size", _invert_matrix, None, "vector"),
    _whole(
        "ALLOCATE AVAILABLE",
        "request, priority profile, available",
        _allocate_available,
        "same, any, same -> same",
        "allocation",
    ),
    _whole(
        "ALLOCATE BY PRIORITY",
        "request, priority, size, width, supply",
        _allocate_by_priority,
        "same, any, none, any, same -> same",
        "allocation",
    ),
    # Stella's is ALLOCATE AVAILABLE with the numbers of a profile one by one; the order of its arguments is that of a
    # file with a recorded run, ``allocate`` of SDEverywhere's models
    Function(
        "allocate",
        "available, range, request, priority, width[, kind]",
        *(None, "same, any, same, any, any, any -> same"),
        xmile="ALLOCATE",
        in_vensim="use ALLOCATE AVAILABLE",
        arrays="allocation",
    ),
)
XMILE = (Reading("MEAN", "a, b, ...", _mean_of_several),)
