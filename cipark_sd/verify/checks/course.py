"""What is asked of runs: values finite and not negative, flows conserved, tables within their range, half the step, and
the modeller's own expectations.

Chains of stocks are found in the equations: a flow joins two stocks where it is a term of both net flows, subtracted
from one and added to the other. What enters or leaves a chain as a whole is added up beside it while the model runs, by
the same method and steps, so that the sums agree whatever both are; what is left over was made or lost.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cipark_sd.base.errors import InvalidValue
from cipark_sd.base.naming import flat_name
from cipark_sd.compiler.limits import components
from cipark_sd.data.scenarios import Scenario, resolve
from cipark_sd.engines.programs import flat_model
from cipark_sd.model.expr import Apply, Binary, Call, Const, Expr, Operator, Ref, Table, flow_terms, walk
from cipark_sd.model.model import Model
from cipark_sd.model.printing import expression_text
from cipark_sd.model.variables import Stock, StockPiece, expressions
from cipark_sd.verify.checks.evaluate import BASE, NoValue, Reading, compared, evaluate, interpolated, named_table
from cipark_sd.verify.checks.file import Check, Conservation, Halving
from cipark_sd.verify.checks.outcome import Finding
from cipark_sd.verify.checks.settling import STIFF, fastest_state

#: Round-off that a stock may be below zero, as a share of its largest size in the run or of 1 if that is smaller: an
#: outflow that empties a stock leaves some units in the last place, 1e-16 each, over thousands of steps.
ROUND_OFF = 1e-9


def negative_stocks(model: Model, run: str, result: xr.Dataset, allowed: frozenset[str]) -> Iterator[Finding]:
    """A finding for each stock that is below zero at a saved time.

    Parameters
    ----------
    run : its name, for the remark
    result : of the run; stocks that it did not save are passed over
    allowed : canonical names of the stocks that may be negative
    """
    for stock in model.stocks:
        if stock.name in allowed or stock.name not in result:
            continue
        # a variable, no array with its coordinates: to find those takes a pass over the whole dataset
        column = result.variables[stock.name]
        values = column.to_numpy()
        least = np.fmin.reduce(values, axis=tuple(i for i, dim in enumerate(column.dims) if dim != "time"))
        below = np.flatnonzero(least < -ROUND_OFF * max(float(np.fmax.reduce(np.abs(values), axis=None)), 1.0))
        if below.size:
            where = int(below[0])
            remark = f"run {run}; lowest {float(np.fmin.reduce(least)):.6g}"
            yield Finding(f"{stock.label} >= 0", False, float(result["time"][where]), float(least[where]), 0.0, remark)


def not_finite(run: str, result: xr.Dataset) -> Iterator[Finding]:
    """A finding for the first variable that stops being a number; what the model makes missing is no such one.

    Parameters
    ----------
    run : its name, for the remark
    result : with the attribute ``first_non_finite`` where a value is none

    Returns
    -------
    iterator of Finding
        One at most.
    """
    label, _, reached = str(result.attrs.get("first_non_finite", "")).rpartition(" is ")
    value, _, time = reached.partition(" at time ")
    if label:
        remark = f"run {run}; the first to break"
        yield Finding(f"{label} is a finite number", False, float(time), float(value), None, remark)


def conserved(model: Model, run: str, result: xr.Dataset, law: Conservation) -> Finding:
    """Whether the net flows of the stocks add up to the declared inflows less the outflows, at every saved time.

    It is the rate that is compared, from the equations of the stocks, so neither the time step nor the method of
    integration matters.

    Parameters
    ----------
    run : its name, for the remark
    result : of the run, with what the flows and the law refer to

    Returns
    -------
    Finding
        With the time that decides: the first at which it fails, else the one where it is closest to failing.

    Raises
    ------
    NoValue
        Where a flow cannot be computed from saved results.
    """
    reading = Reading(model, {run: result, BASE: result}, run, result["time"].to_numpy())
    times = len(reading.times)
    net = np.zeros(times)
    for name in law.stocks:
        stock = model.by_name[name]
        assert isinstance(stock, Stock)
        for piece in stock.pieces:
            net += _over_time(_spread(model, piece, evaluate(piece.flow, reading)), times)
    declared = sum((_over_time(evaluate(flow, reading), times) for flow in law.inflows), np.zeros(times))
    size = np.abs(declared)
    for flow in law.outflows:
        lost = _over_time(evaluate(flow, reading), times)
        declared, size = declared - lost, size + np.abs(lost)
    excess = np.abs(net - declared) - law.tolerance * np.maximum(size, 1.0)
    claim = f"net flow of {' + '.join(model.by_name[name].label for name in law.stocks)} = inflows - outflows"
    failed = ~(excess <= 0)
    where = int(np.flatnonzero(failed)[0]) if failed.any() else int(np.argmax(excess))
    return Finding(
        claim, not failed.any(), float(reading.times[where]), float(net[where]), float(declared[where]), f"run {run}"
    )


def _spread(model: Model, piece: StockPiece, value: xr.DataArray) -> xr.DataArray:
    """A flow for each element that the equation is for: one that is the same for all of them is counted for each."""
    for subscript in piece.subscripts:
        dimension = model.dimension_by_name.get(subscript)
        if dimension is not None and subscript not in value.dims:
            value = value.expand_dims({subscript: np.array(dimension.element_labels)})
    for exception in piece.exceptions:
        keep = xr.DataArray(True)
        for subscript, excluded in zip(piece.subscripts, exception, strict=True):
            dimension = model.dimension_by_name.get(subscript)
            if dimension is None or excluded == subscript:
                continue
            part = model.dimension_by_name.get(excluded)
            excluded_elements = set(part.elements) if part is not None else {excluded}
            inside = np.array([element in excluded_elements for element in dimension.elements])
            keep = keep & xr.DataArray(inside, dims=(subscript,))
        value = value.where(~keep, 0.0)
    return value


def _over_time(value: xr.DataArray, times: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The sum over all subscripts, at each time."""
    total = value.sum([dim for dim in value.dims if dim != "time"], skipna=False).to_numpy()
    return np.broadcast_to(total, (times,)).astype(float)


def beyond_tables(model: Model, run: str, result: xr.Dataset) -> Iterator[Finding]:
    """For each use of a table whose argument leaves its range: at how many of the saved times, and how far.

    Parameters
    ----------
    run : its name, for the remark
    result : of the run, with the arguments of tables

    Returns
    -------
    iterator of Finding
        Of the uses that leave the range, and of those whose argument cannot be computed, which pass.
    """
    reading = Reading(model, {run: result, BASE: result}, run, result["time"].to_numpy())
    inspected: set[Expr] = set()
    for variable in model.variables:
        for expr in (part for equation in expressions(variable) for part in walk(equation)):
            if not isinstance(expr, Apply) or expr.reading is not None or expr in inspected:
                continue
            inspected.add(expr)
            name = (
                expression_text(model, expr) if not isinstance(expr.table, Table) else f"the table in {variable.label}"
            )
            try:
                table = expr.table if isinstance(expr.table, Table) else named_table(expr.table, model)
                argument = evaluate(expr.argument, reading)
            except NoValue as problem:
                yield Finding(f"{name} stays in its range", True, remark=f"not checked: {problem}")
                continue
            low, high = float(argument.min()), float(argument.max())
            outside = (argument < table.x[0]) | (argument > table.x[-1])
            subscripts = [dim for dim in outside.dims if dim != "time"]
            count = int(np.broadcast_to(outside.any(subscripts).to_numpy(), reading.times.shape).sum())
            if count:
                spans = f"argument from {low:.4g} to {high:.4g}, table from {table.x[0]:.4g} to {table.x[-1]:.4g}"
                remark = f"run {run}; outside at {count} of {len(reading.times)} saved times; {spans}"
                yield Finding(f"{name} stays in its range", False, remark=remark)


def halved(model: Model, coarse: xr.Dataset, fine: xr.Dataset, limits: Halving) -> Iterator[Finding]:
    """The change of each variable with half the time step; all stocks where none is named.

    At given times a difference is measured against the larger of the two values there; over the whole run against the
    largest value in it, since a relative difference means nothing where a variable passes through zero.

    Parameters
    ----------
    coarse, fine : runs at the step and at half of it, saved at the same times

    Returns
    -------
    iterator of Finding
        One for each variable that changes over time.
    """
    names = limits.variables or tuple(stock.name for stock in model.stocks)
    for name in names:
        label = model.by_name[name].label
        times = np.asarray(coarse["time"] if limits.times is None else limits.times, dtype=float)
        if "time" not in coarse[name].dims:
            continue
        values = [interpolated(result[name], times).to_numpy().reshape(len(times), -1) for result in (coarse, fine)]
        # an element without an equation is NaN throughout and is no result
        there = ~np.isnan(values).all(axis=(0, 1))
        if not there.any():
            # no number at any time, which the check of finite values says
            continue
        values = [value[:, there] for value in values]
        sizes = np.maximum(*np.abs(values))
        scale = np.maximum(sizes.max() if limits.times is None else sizes, np.finfo(float).tiny)
        with np.errstate(invalid="ignore"):
            apart = np.abs(values[0] - values[1])
            # a value that is no number any more has no step at which it settles
            share = np.where(apart <= limits.absolute, 0.0, apart / scale)
        worst = np.unravel_index(int(np.argmax(np.where(np.isfinite(share), share, np.inf))), share.shape)
        passed = bool((share <= limits.tolerance).all())
        remark = f"differs by {share[worst]:.3%}, limit {limits.tolerance:.3%}"
        claim = f"{label} at the step = {label} at half of it"
        yield Finding(claim, passed, float(times[worst[0]]), float(values[0][worst]), float(values[1][worst]), remark)


def too_coarse(model: Model) -> Iterator[Finding]:
    """That a state of the base run settles faster than the step can follow, and whether the model is stiff."""
    fastest, resolved = fastest_state(model), resolve(model, Scenario())
    if fastest is None or resolved.time_step < 2 * fastest[1]:
        return
    label, settles, time = fastest
    stiff = (resolved.final_time - resolved.initial_time) / settles > STIFF
    way = "the model is stiff: take --method gear" if stiff else f"take a step below {2 * settles:.2g}"
    remark = f"{label} settles in {settles:.2g}; {way}"
    yield Finding("the step is short enough to be stable", False, time, resolved.time_step, 2 * settles, remark)


def tested(model: Model, check: Check, runs: Mapping[str, xr.Dataset]) -> Iterator[Finding]:
    """One finding for each expectation of a check; ``runs`` are the base run, the named ones and the check's own.

    The check's own run stands under its ``id``.

    Parameters
    ----------
    runs : by name: the base run, the named ones, and the check's own under its ``id``

    Raises
    ------
    OutsideRun, InvalidValue
        For times that a run does not have.
    """
    reading = Reading(model, runs, check.id, _times(check, runs[check.id]), check.tolerance)
    for text, expr in check.expectations:
        yield _judged(text, expr, reading)


def _times(check: Check, result: xr.Dataset) -> NDArray[np.float64]:
    if check.times is not None:
        return np.array(check.times)
    saved: NDArray[np.float64] = result["time"].to_numpy()
    within = saved[(saved >= check.start) & (saved <= check.end)]
    if not within.size:
        raise InvalidValue("from and to", [check.start, check.end], "bounds with a saved time between", where=check.id)
    return within


def _judged(text: str, expr: Expr, reading: Reading) -> Finding:
    truth = _by_time(evaluate(expr, reading) != 0, reading)
    sides = list(_comparisons(expr, reading))
    finite = np.ones(len(reading.times), dtype=bool)
    for _, *pair in sides:
        finite &= np.logical_and.reduce([_by_time(abs(side) < np.inf, reading) for side in pair])
    holds = truth & finite
    where = _closest(sides, reading) if holds.all() else int(np.flatnonzero(~holds)[0])
    left, right = _deciding(sides, where, reading)
    remark = "" if finite[where] else "not a finite number"
    return Finding(text, bool(holds.all()), float(reading.times[where]), left, right, remark)


def _comparisons(expr: Expr, reading: Reading) -> Iterator[tuple[Operator, xr.DataArray, xr.DataArray]]:
    """The comparisons of a claim in reading order, with both sides in the run and at the time around them."""
    match expr:
        case Binary("and" | "or", left, right):
            yield from _comparisons(left, reading)
            yield from _comparisons(right, reading)
        case Binary(operator, left, right):
            yield operator, evaluate(left, reading), evaluate(right, reading)
        case Call("not", (inner,)):
            yield from _comparisons(inner, reading)
        case Call("run", (Ref(name), inner)):
            yield from _comparisons(inner, replace(reading, run=name))
        case Call("at", (inner, Const(time))):
            yield from _comparisons(inner, replace(reading, times=np.full(len(reading.times), time)))


def _by_time(truth: xr.DataArray, reading: Reading) -> NDArray[np.bool_]:
    """True at each time where it is for all elements."""
    over_elements = truth.all([dim for dim in truth.dims if dim != "time"]).to_numpy()
    return np.broadcast_to(over_elements, reading.times.shape).astype(bool)


_Sides = list[tuple[Operator, xr.DataArray, xr.DataArray]]


def _closest(sides: _Sides, reading: Reading) -> int:
    """The time at which the first comparison is nearest to turning over."""
    _, left, right = sides[0]
    gap = abs(left - right)
    gap = gap.min([dim for dim in gap.dims if dim != "time"])
    return int(np.argmin(np.broadcast_to(gap.to_numpy(), reading.times.shape)))


def _deciding(sides: _Sides, where: int, reading: Reading) -> tuple[float, float]:
    """Left and right of the first comparison that is false at that time, else of the first, at its worst element."""
    chosen: tuple[float, float] | None = None
    for operator, left, right in sides:
        first, second = xr.broadcast(*(side.isel(time=where, missing_dims="ignore") for side in (left, right)))
        false = np.flatnonzero(compared(operator, first, second, reading.tolerance).to_numpy().ravel() == 0)
        worst = int(false[0]) if false.size else 0
        numbers = float(first.to_numpy().ravel()[worst]), float(second.to_numpy().ravel()[worst])
        if false.size:
            return numbers
        chosen = chosen or numbers
    assert chosen is not None  # every claim has a comparison in it
    return chosen


#: Roundings over a run, as a share of the largest amount in the chain and of what moves in a step.
ROUNDINGS = 1e-9


@dataclass(frozen=True)
class Chain:
    """Stocks that flows join, each an element of a variable; ``crossing`` are the flows that enter or leave them all.

    Parameters
    ----------
    stocks, inside : tuple of Ref
        ``inside`` are the flows from one of the stocks to another.
    crossing : tuple of (int, Ref)
        What a unit of each flow adds to all stocks together.
    account : str
        The variable beside the model that adds up what crosses.
    """

    stocks: tuple[Ref, ...]
    inside: tuple[Ref, ...]
    crossing: tuple[tuple[int, Ref], ...]
    account: str


def chains(model: Model) -> tuple[Chain, ...]:
    """The chains of two stocks or more; inside a macro there are none."""
    elements = {flat_name(v.name, e): Ref(v.name, e) for v in model.variables for e in model.elements(v)}
    added: dict[str, dict[str, int]] = {}
    for stock in flat_model(model).stocks:
        flows = flow_terms(stock.pieces[0].flow)
        if stock.name in elements and flows is not None and all(ref.name in elements for _, ref in flows):
            added[stock.name] = defaultdict(int)
            for sign, ref in flows:
                added[stock.name][ref.name] += sign
    by_flow: dict[str, dict[str, int]] = defaultdict(dict)
    for name, flows_of_it in added.items():
        for flow, sign in flows_of_it.items():
            by_flow[flow][name] = sign
    joined = {flow: ends for flow, ends in by_flow.items() if min(ends.values()) < 0 < max(ends.values())}
    listed: list[Chain] = []
    for members in _groups(list(added), joined.values()):
        touching = dict.fromkeys(flow for name in members for flow in added[name])
        totals = {flow: sum(added[name].get(flow, 0) for name in members) for flow in touching}
        account = f"conserved_{len(listed) + 1}"
        while account in model.by_name:
            account += "_"
        listed.append(
            Chain(
                tuple(elements[name] for name in members),
                tuple(elements[flow] for flow in touching if flow in joined),
                tuple((total, elements[flow]) for flow, total in totals.items() if total),
                account,
            )
        )
    return tuple(listed)


def _groups(names: Sequence[str], joined: Iterable[Iterable[str]]) -> list[list[str]]:
    """The names that are joined to others, group by group, in order."""
    beside: dict[str, set[str]] = {name: set() for name in names}
    for first, *linked in joined:
        beside[first].update(linked)
        for name in linked:
            beside[name].add(first)
    members: dict[int, list[str]] = defaultdict(list)
    for name, group in components(beside).items():
        members[group].append(name)
    return [joined_names for joined_names in members.values() if len(joined_names) > 1]


def with_accounts(model: Model, every: Sequence[Chain]) -> Model:
    """The model with a stock beside it for each chain that something enters or leaves.

    Parameters
    ----------
    every : as of :func:`chains`

    Returns
    -------
    Model
        ``model`` itself where there are no chains.
    """
    accounts = []
    for chain in every:
        net: Expr = Const(0.0)
        for number, flow in chain.crossing:
            part = flow if abs(number) == 1 else Const(float(abs(number))) * flow
            net = Binary("+" if number > 0 else "-", net, part)
        label = f"What enters and leaves {_label(model, chain)}"
        accounts.append(Stock(name=chain.account, label=label, pieces=(StockPiece(net, Const(0.0)),)))
    return replace(model, variables=(*model.variables, *accounts)) if accounts else model


def unaccounted(model: Model, run: str, result: xr.Dataset, every: Sequence[Chain]) -> Iterator[Finding]:
    """A finding for each chain whose stocks change by something else than what enters and leaves, with how much.

    Parameters
    ----------
    model : Model, without the accounts
    run : its name, for the remark
    result : of the model :func:`with_accounts`, with stocks, flows and accounts
    every : as of :func:`chains`
    """
    times, column = result["time"].to_numpy(), _columns(model, result)
    step = float(np.min(np.diff(times), initial=1.0))
    for chain in every:
        amounts = np.array([column(ref) for ref in chain.stocks])
        account = result.variables[chain.account].to_numpy() * np.ones_like(times)
        moving = [np.abs(column(ref)) for ref in (*chain.inside, *(flow for _, flow in chain.crossing))]
        # values that are no numbers are another check's
        with np.errstate(invalid="ignore"):
            change = amounts.sum(axis=0) - amounts[:, 0].sum()
            size = np.abs(amounts).sum(axis=0) + np.abs(account) + step * np.sum(moving, axis=0)
            there = np.isfinite(size)
            largest = np.maximum.accumulate(np.where(there, size, 0.0))
            wrong = np.flatnonzero(there & (np.abs(change - account) > ROUNDINGS * largest))
        if wrong.size:
            at, last = int(wrong[0]), int(wrong[-1])
            apart = change[last] - account[last]
            remark = f"run {run}; {apart:+.6g} by {float(times[last]):g}: {'made' if apart > 0 else 'lost'}"
            claim = f"{_label(model, chain)}: change = what enters - what leaves"
            yield Finding(claim, False, float(times[at]), float(change[at]), float(account[at]), remark)


def _columns(model: Model, result: xr.Dataset) -> Callable[[Ref], NDArray[np.float64]]:
    times = result.sizes["time"]
    tables: dict[str, NDArray[np.float64]] = {}

    def column(ref: Ref) -> NDArray[np.float64]:
        variable = model.by_name[ref.name]
        if ref.name not in tables:
            values = result.variables[ref.name].transpose("time", ..., missing_dims="ignore").to_numpy()
            shape = values.shape[values.ndim - len(variable.dims) :]
            tables[ref.name] = np.broadcast_to(values, (times, *shape)).reshape(times, -1)
        place = 0
        for dim, element in zip(variable.dims, ref.subscripts, strict=True):
            members = model.dimension_by_name[dim].elements
            place = place * len(members) + members.index(element)
        return tables[ref.name][:, place]

    return column


def _label(model: Model, chain: Chain) -> str:
    names = [model.label(ref.name, ref.subscripts) for ref in chain.stocks[:6]]
    hidden = len(chain.stocks) - len(names)
    return " + ".join(names) + (f" and {hidden} more" if hidden else "")
