"""Built-in checks of a run: finite, not negative, conserved, within its tables, and the same at half the step."""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from cipark_sd.checks.definition import Conservation, Halving
from cipark_sd.checks.evaluate import BASE, NoValue, Reading, evaluate, interpolated, named_table
from cipark_sd.checks.outcome import Finding
from cipark_sd.model.expr import Apply, Expr, Table, walk
from cipark_sd.model.model import Model
from cipark_sd.model.printing import expression_text
from cipark_sd.model.variables import Stock, StockPiece, expressions

#: Round-off that a stock may be below zero, as a share of its largest size in the run or of 1 if that is smaller: an
#: outflow that empties a stock leaves some units in the last place, 1e-16 each, over thousands of steps.
ROUND_OFF = 1e-9


def negative_stocks(model: Model, run: str, result: xr.Dataset, allowed: frozenset[str]) -> Iterator[Finding]:
    """A finding for each stock that is below zero at a saved time."""
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
    """A finding for the first variable that stops being a number; what the model makes missing is no such one."""
    label, _, reached = str(result.attrs.get("first_non_finite", "")).rpartition(" is ")
    value, _, time = reached.partition(" at time ")
    if label:
        remark = f"run {run}; the first to break"
        yield Finding(f"{label} is a finite number", False, float(time), float(value), None, remark)


def conserved(model: Model, run: str, result: xr.Dataset, law: Conservation) -> Finding:
    """Whether the net flows of the stocks add up to the declared inflows less the outflows, at every saved time.

    It is the rate that is compared, from the equations of the stocks, so neither the time step nor the method of
    integration matters.
    """
    reading = Reading(model, {run: result, BASE: result}, run, result["time"].to_numpy())
    times = len(reading.times)
    net = np.zeros(times)
    for name in law.stocks:
        stock = model.by_name[name]
        assert isinstance(stock, Stock)
        for piece in stock.pieces:
            net += _over_time(_spread(model, piece, evaluate(piece.flow, reading)), times)
    declared = sum((_over_time(evaluate(flow.expr, reading), times) for flow in law.inflows), np.zeros(times))
    size = np.abs(declared)
    for flow in law.outflows:
        lost = _over_time(evaluate(flow.expr, reading), times)
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
    """For each use of a table whose argument leaves its range: at how many of the saved times, and how far."""
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
