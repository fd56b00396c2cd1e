"""Whether an expectation is true, and the numbers that decide it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cipark_sd.checks.definition import Check, Expectation
from cipark_sd.checks.evaluate import NoValue, Reading, compared, evaluate
from cipark_sd.checks.outcome import Finding
from cipark_sd.errors import InvalidValue
from cipark_sd.model.expr import Binary, Call, Const, Expr, Operator, Ref
from cipark_sd.model.model import Model


def tested(model: Model, check: Check, runs: Mapping[str, xr.Dataset]) -> Iterator[Finding]:
    """One finding for each expectation of a check; ``runs`` are the base run, the named ones and the check's own.

    The check's own run stands under its ``id``.

    Raises
    ------
    OutsideRun, InvalidValue
        For times that a run does not have.
    """
    reading = Reading(model, runs, check.id, _times(check, runs[check.id]), check.tolerance)
    for expectation in check.expectations:
        yield _judged(expectation, reading)


def _times(check: Check, result: xr.Dataset) -> NDArray[np.float64]:
    if check.times is not None:
        return np.array(check.times)
    saved: NDArray[np.float64] = result["time"].to_numpy()
    within = saved[(saved >= check.start) & (saved <= check.end)]
    if not within.size:
        raise InvalidValue("from and to", [check.start, check.end], "bounds with a saved time between", where=check.id)
    return within


def _judged(expectation: Expectation, reading: Reading) -> Finding:
    truth = _by_time(evaluate(expectation.expr, reading) != 0, reading)
    sides = list(_comparisons(expectation.expr, reading))
    finite = np.ones(len(reading.times), dtype=bool)
    for _, *pair in sides:
        finite &= np.logical_and.reduce([_by_time(abs(side) < np.inf, reading) for side in pair])
    holds = truth & finite
    where = _closest(sides, reading) if holds.all() else int(np.flatnonzero(~holds)[0])
    left, right = _deciding(sides, where, reading)
    remark = "" if finite[where] else "not a finite number"
    return Finding(expectation.text, bool(holds.all()), float(reading.times[where]), left, right, remark)


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
        case _:
            raise NoValue("something that is not true or false")


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
