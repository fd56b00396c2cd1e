"""Stocks that are not to fall below zero limit what leaves them.

A stock's flows are taken in order, what enters first. A flow that drains it gets what is there and what the flows
before it leave: ``MIN(flow, stock / TIME STEP + inflows - earlier outflows)``. An inflow that turns round drains it
too, and along a chain each flow counts what the limited flow upstream brings in the same step. Nothing is made or lost:
the limit is in the flow, at both of its ends.

Source: isee systems' help, Computational Details, "Flow prioritization" (non-negativity and stock outflow
prioritization): the form of the limit, and that an outflow's priority yields to what outflows need of each other. What
the page does not say is decided here: outflows that do not need each other go in the order of the stock's list; where
limits go round in a circle, the first of it counts what enters in the same step and the last does not; and under
Runge-Kutta the limit holds in each stage, with the stock as it is there, which keeps the whole step above zero too.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar, cast

from cipark_sd.compiler.functions.slats import NAME as SLATS
from cipark_sd.compiler.unroll import unroll
from cipark_sd.model.expr import Binary, Call, Const, Expr, Neg, Ref, children, flow_terms, references
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Auxiliary, Piece, Stock, Variable

_M = TypeVar("_M", bound=Model)
_STEP, _ZERO = Ref("time_step"), Const(0.0)
#: Delays of what has entered, as the flow at the end of a conveyor is one; they do not turn round.
_DELAYS = ("delay_fixed", "conveyor_delay", SLATS)
#: Functions whose value now does not need their input now.
_LATER = (*_DELAYS, "smooth", "smooth_n", "delay", "delay_n")


@dataclass
class _Limited:
    """One flow at one stock: its place in the stock's list, and the flows of the list that it counts."""

    stock: Stock
    place: int
    flows: tuple[tuple[int, str], ...]
    counted: list[int] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.flows[self.place][1]


def with_limits(model: _M) -> _M:
    """The model with the limits of its non-negative stocks in the equations of their flows.

    A stock stays marked where all flows that drain it are limited, so that what falls below zero is a rounding; one
    that begins below zero fills up by its flows alone. Subscripts are written out where elements
    of one variable need different limits.
    """
    stocks = [stock for stock in model.stocks if any(piece.non_negative for piece in stock.pieces)]
    if not stocks:
        return model
    limited = [limit for stock in stocks for limit in _limits(model, stock)]
    limited = [limit for limit in limited if isinstance(model.by_name.get(limit.name), Auxiliary)]
    order = _Order(model, limited)
    apart = any(set(model.by_name[limit.name].dims) != set(limit.stock.dims) for limit in limited)
    if model.dimensions and (apart or order.circles):
        return cast(_M, with_limits(unroll(model)))
    order.settle()
    complete = {stock.name for stock in stocks if all(name in order.edges for name in _draining(model, stock))}
    by_flow: dict[str, list[_Limited]] = {}
    for limit in limited:
        by_flow.setdefault(limit.name, []).append(limit)
    variables: list[Variable] = []
    for variable in model.variables:
        match variable:
            case Auxiliary() if variable.name in by_flow:
                at_start = variable.name in order.at_start
                pieces = (_limited_piece(model, variable, p, by_flow[variable.name], at_start) for p in variable.pieces)
                variables.append(replace(variable, pieces=tuple(pieces)))
            case Stock() if variable.name not in complete:
                variables.append(
                    replace(variable, pieces=tuple(replace(p, non_negative=False) for p in variable.pieces))
                )
            case _:
                variables.append(variable)
    return replace(model, variables=tuple(variables))


def without_marks(model: Model) -> Model:
    """The model with the limits in its equations alone, for what has no mark for a stock."""

    def unmarked(variable: Variable) -> Variable:
        if not isinstance(variable, Stock):
            return variable
        return replace(variable, pieces=tuple(replace(piece, non_negative=False) for piece in variable.pieces))

    return replace(model, variables=tuple(map(unmarked, with_limits(model).variables)))


def _flows(stock: Stock) -> tuple[tuple[int, str], ...]:
    """The flows of a stock, each with its sign; none where its pieces or its net flow do not name them."""
    named = {tuple((sign, ref.name) for sign, ref in flows) for p in stock.pieces if (flows := flow_terms(p.flow))}
    return named.pop() if len(named) == 1 else ()


def _draining(model: Model, stock: Stock) -> Iterable[str]:
    """The flows that may take something out of a stock."""
    return (name for sign, name in _flows(stock) if sign < 0 or _may_turn_round(model.by_name[name]))


def _limits(model: Model, stock: Stock) -> list[_Limited]:
    flows, draining = _flows(stock), set(_draining(model, stock))
    return [_Limited(stock, place, flows) for place, (_, name) in enumerate(flows) if name in draining]


def _may_turn_round(variable: Variable) -> bool:
    """Whether an inflow may be negative: neither a uniflow nor what leaves a conveyor, nor a number that is not."""
    return any(isinstance(piece, Piece) and not _never_negative(piece.expr) for piece in variable.pieces)


def _never_negative(expr: Expr) -> bool:
    match expr:
        case Const(value):
            return value >= 0
        case Call("max", (_, Const(least))):
            return least >= 0
        case Call(function, _):
            return function in _DELAYS
        case _:
            return False


class _Order:
    """Which flows a limit counts, so that no value needs itself."""

    def __init__(self, model: Model, limited: list[_Limited]) -> None:
        self.limited = limited
        self.edges = {v.name: set(_needed(v)) for v in model.variables}
        starts = {v.name: {ref.name for expr in _at_start(v) for ref in references(expr)} for v in model.variables}
        wished = {name: set(needed) for name, needed in self.edges.items()}
        for limit in limited:
            wished[limit.name] |= {name for place, (_, name) in enumerate(limit.flows) if _counts(limit, place)}
            starts[limit.name] |= wished[limit.name] | {limit.stock.name}
        self.component = components(wished)
        start = components(starts)
        looped = {name for name, needed in starts.items() if any(start.get(need) == start[name] for need in needed)}
        #: Flows that are needed for the initial value of a stock that limits them.
        self.at_start = {limit.name for limit in limited if limit.name in looped}

    @property
    def circles(self) -> bool:
        """Whether a limit counts something that needs it."""
        return any(
            self.component[limit.name] == self.component[name]
            for limit in self.limited
            for place, (_, name) in enumerate(limit.flows)
            if _counts(limit, place)
        )

    def settle(self) -> None:
        """Decide what each limit counts: first what drains the stock before it, then what enters."""
        at = {(limit.stock.name, limit.place): limit for limit in self.limited}
        for draining in (True, False):
            for limit in self.limited:
                for place in range(len(limit.flows)):
                    rival = at.get((limit.stock.name, place))
                    if not _counts(limit, place) or (rival is not None) is not draining:
                        continue
                    if not self._count(limit, place) and rival is not None:
                        self._count(rival, limit.place)
        for limit in self.limited:
            limit.counted.sort()

    def _count(self, limit: _Limited, place: int) -> bool:
        name = limit.flows[place][1]
        if self.component[name] == self.component[limit.name] and self._needs(name, limit.name):
            return False
        self.edges[limit.name].add(name)
        limit.counted.append(place)
        return True

    def _needs(self, name: str, needed: str) -> bool:
        """Whether a variable needs another one of its component."""
        reached, pending = {name}, [name]
        while pending:
            current = pending.pop()
            if current == needed:
                return True
            near = {n for n in self.edges[current] if self.component.get(n) == self.component[name]} - reached
            reached |= near
            pending += near
        return False


def _counts(limit: _Limited, place: int) -> bool:
    """Whether a limit is to count a flow: one before it in the list, or any that enters."""
    return place != limit.place and (place < limit.place or limit.flows[place][0] > 0 > limit.flows[limit.place][0])


def _needed(variable: Variable) -> Iterable[str]:
    """The names that an auxiliary may need to have a value now; what goes into a delay alone comes out later."""
    pending = [piece.expr for piece in variable.pieces] if isinstance(variable, Auxiliary) else []
    while pending:
        part = pending.pop()
        match part:
            case Ref(name):
                yield name
            case Call(function, _) if function in ("initial", SLATS):
                continue
            case Call(function, (_, *settings)) if function in _LATER:
                pending += settings
            case _:
                pending += children(part)


def _at_start(variable: Variable) -> Iterable[Expr]:
    match variable:
        case Stock(pieces=stocks):
            return [piece.initial for piece in stocks]
        case Auxiliary(pieces=pieces):
            return [piece.expr for piece in pieces]
        case _:
            return []


def components(edges: Mapping[str, set[str]]) -> dict[str, int]:
    """The number of the circle of ``edges`` that each name is in; what is in none is alone with its number."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    place = {name: i for i, name in enumerate(edges)}
    pairs = [(place[name], place[need]) for name, needed in edges.items() for need in needed if need in place]
    rows, columns = zip(*pairs, strict=True) if pairs else ((), ())
    graph = csr_array(([1.0] * len(pairs), (rows, columns)), shape=(len(place), len(place)))
    _, numbers = connected_components(graph, directed=True, connection="strong")
    return dict(zip(place, map(int, numbers), strict=True))


def _limited_piece(model: Model, flow: Auxiliary, piece: Piece, limits: list[_Limited], at_start: bool) -> Piece:
    bound = dict(zip(flow.dims, piece.subscripts, strict=True))

    def ref(name: str) -> Ref:
        return Ref(name, tuple(bound[dim] for dim in model.by_name[name].dims))

    expr = piece.expr
    for limit in limits:
        there: Expr = ref(limit.stock.name) / _STEP
        for place in limit.counted:
            sign, name = limit.flows[place]
            there = Binary("+" if sign > 0 else "-", there, ref(name))
        expr = _bounded(expr, there, enters=limit.flows[limit.place][0] > 0)
    return replace(piece, expr=Call("active_initial", (expr, piece.expr)) if at_start else expr)


def _bounded(expr: Expr, there: Expr, *, enters: bool) -> Expr:
    if enters:
        return Call("max", (expr, Neg(there)))
    match expr:
        case Call("max", (wish, Const(0.0))):
            # a uniflow: the outermost is what keeps it from turning round
            return Call("max", (Call("min", (wish, there)), _ZERO))
        case _:
            return Call("min", (expr, there))
