"""From a model, overrides and names to arrays: what the NumPy and the native engine have in common.

A model is written out flat, changed as the overrides say, lowered for the outputs that are wanted, and run. Programs
are remembered, so that the second call with the same model, names and kinds of override only runs.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from cipark_sd.compiler.controls import control_values
from cipark_sd.compiler.lower import Orders, lower
from cipark_sd.compiler.macros import inline_macros
from cipark_sd.compiler.program import CONSTANT, Program
from cipark_sd.compiler.starts import stages
from cipark_sd.compiler.tangents import with_tangents
from cipark_sd.compiler.unroll import flat_name, unroll
from cipark_sd.engines.base import Engine, Inputs, Values, sample, stage_times
from cipark_sd.engines.numpy_ import start_values
from cipark_sd.errors import InvalidValue
from cipark_sd.model.expr import Call, Const, Expr, Interpolation, Ref, Table
from cipark_sd.model.model import CONTROL, Method, Model
from cipark_sd.model.variables import (
    Auxiliary,
    Constant,
    ExternalPiece,
    Lookup,
    Piece,
    Series,
    Stock,
    TablePiece,
    Variable,
)
from cipark_sd.scenarios import Override, Resolved, TimeSeries
from cipark_sd.timegrid import TimeGrid, saved_indices

#: How many models and programs are remembered.
REMEMBERED = 64
_T = TypeVar("_T")


@dataclass(frozen=True)
class Reduction:
    """A number for each run that is put together while it runs, such as a sum of squared misfits.

    Parameters
    ----------
    how : {"sum", "min", "max"}
    expr : Expr
        Over variables of the flat model (``residents[soe]``) and over ``data``.
    data : mapping of str to TimeSeries
        Series that the expression uses beside the model's variables, such as observations.
    times : tuple of float, optional
        The saved times that count; without it all that the call keeps.
    """

    how: Literal["sum", "min", "max"]
    expr: Expr
    data: Mapping[str, TimeSeries] = field(default_factory=dict)
    times: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Settings:
    """Overrides by name in the flat model; a number, or one for each run.

    ``numbers`` sets constants, ``initials`` stocks, ``tables`` lookups and ``series`` any variable over time.
    """

    numbers: Mapping[str, float | Values] = field(default_factory=dict)
    initials: Mapping[str, float | Values] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)
    series: Mapping[str, TimeSeries | tuple[TimeSeries, ...]] = field(default_factory=dict)
    reductions: Mapping[str, Reduction] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[object, ...]:
        """What decides which program is run; runs that agree in it can be run together."""
        interpolations = tuple(sorted((name, interpolation(entry)) for name, entry in self.series.items()))
        tables = tuple(sorted(self.tables.items(), key=lambda item: item[0]))
        reductions = tuple((name, one.how, one.expr, tuple(one.data)) for name, one in self.reductions.items())
        return (tuple(sorted(self.initials)), tables, interpolations, reductions)


def interpolation(entry: TimeSeries | tuple[TimeSeries, ...]) -> Interpolation:
    """How a series, or the series of several runs, is read between its times."""
    return entry.interpolation if isinstance(entry, TimeSeries) else entry[0].interpolation


def settings(model: Model, resolved: Resolved) -> Settings:
    """The overrides of one checked scenario, element by element."""
    numbers: dict[str, float | Values] = {}
    initials: dict[str, float | Values] = {}
    tables: dict[str, Table] = {}
    series: dict[str, TimeSeries | tuple[TimeSeries, ...]] = {}

    def put(variable: Variable, name: str, value: float | Table | TimeSeries) -> None:
        for kind in (numbers, initials, tables, series):
            kind.pop(name, None)
        match value:
            case Table():
                tables[name] = value
            case TimeSeries():
                series[name] = value
            case _:
                (initials if isinstance(variable, Stock) else numbers)[name] = value

    def whole(variable: Variable, value: Override) -> None:
        for position, elements in enumerate(model.elements(variable)):
            one = value[position] if isinstance(value, tuple) else value
            put(variable, flat_name(variable.name, elements), one)

    for name, value in resolved.whole.items():
        whole(model.by_name[name], value)
    for (name, elements), single in resolved.elements.items():
        put(model.by_name[name], flat_name(name, elements), single)
    return Settings(numbers, initials, tables, series)


_LOCK = threading.RLock()
_FLAT: OrderedDict[int, tuple[Model, Model]] = OrderedDict()
_PROGRAMS: OrderedDict[object, tuple[Model, Program]] = OrderedDict()
_TANGENTS: OrderedDict[int, tuple[Program, Program]] = OrderedDict()


def _remember(store: "OrderedDict[_K, _T]", key: "_K", make: Callable[[], _T]) -> _T:
    with _LOCK:
        if key not in store:
            store[key] = make()
            if len(store) > REMEMBERED:
                store.popitem(last=False)
        store.move_to_end(key)
        return store[key]


_K = TypeVar("_K")


def flat_model(model: Model) -> Model:
    """The model without files, subscripts and macros, as the lowering takes it."""
    from cipark_sd.frontends.externals import read_externals

    def make() -> tuple[Model, Model]:
        # the model is kept too, so that its identity stays its own
        return model, inline_macros(unroll(read_externals(model), keep_reductions=True))

    return _remember(_FLAT, id(model), make)[1]


def start_name(stock: str) -> str:
    """The constant that holds a stock's initial value where one is set; no variable of a file can be called so."""
    return f"initial {stock}"


def changed(flat: Model, shape: Settings) -> Model:
    """The flat model in which what the settings override is a constant, another table or a data variable."""
    if not (shape.initials or shape.tables or shape.series or shape.reductions):
        return flat
    variables: list[Variable] = []
    for variable in flat.variables:
        name = variable.name
        match variable:
            case Stock(pieces=(stock,)) if name in shape.initials:
                start = start_name(name)
                variables.append(replace(variable, pieces=(replace(stock, initial=Ref(start)),)))
                variables.append(Constant(name=start, label=f"initial {variable.label}", pieces=(Piece(Const(0.0)),)))
            case Lookup() if name in shape.tables:
                variables.append(replace(variable, pieces=(TablePiece(shape.tables[name]),)))
            case _ if name in shape.series:
                data = Series(
                    name=name,
                    label=variable.label,
                    units=variable.units,
                    pieces=(ExternalPiece(None),),
                    interpolation=interpolation(shape.series[name]),
                )
                variables.append(data)
            case _:
                variables.append(variable)
    for name, reduction in shape.reductions.items():
        taken = Ref(taken_name(name))
        call = Call(f"reduce: {reduction.how}", (taken, reduction.expr))
        variables.append(Auxiliary(name=name, label=name, pieces=(Piece(call),)))
        for data_name in (taken.name, *reduction.data):
            if data_name not in flat.by_name and all(v.name != data_name for v in variables):
                kept = interpolation(shape.series[data_name])
                variables.append(
                    Series(name=data_name, label=data_name, pieces=(ExternalPiece(None),), interpolation=kept)
                )
    return replace(flat, variables=tuple(variables))


def taken_name(reduction: str) -> str:
    """The series that is 1 where a reduction takes a value in."""
    return f"taken {reduction}"


def with_reductions(
    given: Settings, reductions: Mapping[str, Reduction], grid: TimeGrid, kept: NDArray[np.bool_], *, where: str
) -> Settings:
    """The settings with reductions and the series that they read.

    Raises
    ------
    OffGrid
        When a reduction's time is not a saved one.
    """
    series = dict(given.series)
    for name, reduction in reductions.items():
        taken = kept
        if reduction.times is not None:
            taken = np.zeros_like(grid.saved)
            taken[np.flatnonzero(grid.saved)[saved_indices(grid, reduction.times, where=where)]] = True
        marks = np.where(taken, 1.0, 0.0)
        series[taken_name(name)] = TimeSeries(tuple(grid.times.tolist()), tuple(marks.tolist()))
        series |= reduction.data
    return replace(given, series=series, reductions=dict(reductions))


def program_for(
    model: Model,
    save: Sequence[str],
    shape: Settings,
    *,
    method: Method | None = None,
    orders: Orders | None = None,
) -> Program:
    """The program that computes flat variables under settings of some shape."""
    flat = flat_model(model)
    method = method or model.time.method
    key = (id(model), tuple(save), shape.shape, method, tuple((orders or {}).items()))

    def make() -> tuple[Model, Program]:
        with_method = replace(flat, time=replace(flat.time, method=method))
        return model, lower(changed(with_method, shape), save, orders=orders)

    return _remember(_PROGRAMS, key, make)[1]


def tangents_of(program: Program) -> Program:
    """The program with its derivatives (see :func:`cipark_sd.compiler.tangents.with_tangents`), made once."""
    return _remember(_TANGENTS, id(program), lambda: (program, with_tangents(program)))[1]


@dataclass(frozen=True)
class Task:
    """What is the same for all runs of a call."""

    model: Model
    save: tuple[str, ...]
    grid: TimeGrid
    final_time: float
    saved: NDArray[np.bool_]
    method: Method | None = None
    seed: int = 0


def run_settings(task: Task, given: Settings, runs: NDArray[np.uint64] | int, engine: Engine) -> Values:
    """The outputs of runs that share the shape of their settings, (n_save, n_saved, n_runs).

    ``runs`` are their numbers in the whole ensemble, or how many there are.
    """
    if isinstance(runs, int):
        runs = np.arange(runs, dtype=np.uint64)
    program = program_for(task.model, task.save, given, method=task.method)
    inputs = inputs_for(task, program, given, runs)
    groups = by_orders(program, inputs)
    if groups is None:
        return engine.run(program, inputs)
    result = np.empty((len(task.save), int(task.saved.sum()), len(runs)))
    for orders, members in groups:
        own = program_for(task.model, task.save, given, method=task.method, orders=orders)
        result[:, :, members] = engine.run(own, inputs_for(task, own, part(given, members), runs[members]))
    return result


def part(given: Settings, members: NDArray[np.intp] | slice) -> Settings:
    """The settings of some of the runs."""

    def cut(values: Mapping[str, float | Values]) -> dict[str, float | Values]:
        return {name: value[members] if isinstance(value, np.ndarray) else value for name, value in values.items()}

    series: dict[str, TimeSeries | tuple[TimeSeries, ...]] = {}
    for name, entry in given.series.items():
        if isinstance(entry, tuple):
            numbers = np.arange(len(entry))[members]
            series[name] = tuple(entry[i] for i in numbers)
        else:
            series[name] = entry
    return replace(given, numbers=cut(given.numbers), initials=cut(given.initials), series=series)


def inputs_for(task: Task, program: Program, given: Settings, runs: NDArray[np.uint64]) -> Inputs:
    """What a program is given: its own constants but for the settings, and its series at the times it reads them."""
    params = np.repeat(np.array(program.defaults)[:, None], len(runs), axis=1)
    starts = {start_name(name): value for name, value in given.initials.items()}
    for name, value in {**given.numbers, **starts}.items():
        slot = program.param_position.get(name)
        if slot is not None:
            params[slot] = value
    times = stage_times(task.grid, program.method)
    series = []
    for entry in program.series:
        own = given.series.get(entry.name)
        if isinstance(own, tuple):
            series.append(np.stack([sample(entry, Table(s.times, s.values), times) for s in own], axis=1))
            continue
        table = Table(own.times, own.values) if own is not None else entry.table
        if table is None:
            label = flat_model(task.model).by_name[entry.name].label
            raise InvalidValue(
                f"the data variable {label!r}", None, "a time series from the scenario", where=task.model.name
            )
        series.append(sample(entry, table, times))
    return Inputs(task.grid, task.final_time, params, tuple(series), task.saved, runs, seed=task.seed)


def by_orders(program: Program, inputs: Inputs) -> list[tuple[Orders, NDArray[np.intp]]] | None:
    """Runs grouped by the stages that their delays need; ``None`` when all need what the program has."""
    if not program.orders:
        return None
    step = inputs.grid.step
    needed = []
    for order in program.orders:
        nodes = [order.order] if order.time is None else [order.order, order.time]
        if all(program.rates[node] == CONSTANT for node in nodes):
            nodes = nodes[:1]
        values = start_values(program, inputs, nodes)
        pairs = np.array([values[0], values[1] if len(values) > 1 else np.full(inputs.n_runs, np.nan)])
        if order.time is not None and len(values) == 1:
            (fixed,) = start_values(program, inputs, [order.time])
            pairs[1] = fixed
        # nearly always every run needs what was built, which is told without going through the runs
        settled = np.floor(pairs[0]) == order.built
        if order.time is not None:
            settled &= ~(order.built * step > pairs[1])
        own = np.full(inputs.n_runs, order.built)
        if not settled.all():
            unique, back = np.unique(pairs[:, ~settled], axis=1, return_inverse=True)
            counts = [
                stages(float(n), None if order.time is None else float(time), step, order.label, program.name)
                for n, time in unique.T
            ]
            own[~settled] = np.array(counts)[back.reshape(-1)]
        needed.append(own)
    table = np.array(needed)
    if (table == np.array([[order.built] for order in program.orders])).all():
        return None
    kinds, back = np.unique(table, axis=1, return_inverse=True)
    keys = [order.key for order in program.orders]
    return [
        (dict(zip(keys, map(int, kind), strict=True)), np.flatnonzero(back.reshape(-1) == i))
        for i, kind in enumerate(kinds.T)
    ]


def with_controls(model: Model, resolved: Resolved) -> Resolved:
    """The scenario with control variables that the file computes put in as numbers."""
    unknown = [name for name in CONTROL if np.isnan(getattr(resolved, name))]
    if not unknown:
        return resolved
    given = {name: getattr(resolved, name) for name in CONTROL if name not in unknown}
    numbers = {n: v for n, v in settings(model, resolved).numbers.items() if isinstance(v, float)}
    found = given | control_values(flat_model(model), given, numbers)
    initial, final, step, saveper = (found[name] for name in CONTROL)
    return replace(resolved, initial_time=initial, final_time=final, time_step=step, saveper=saveper)
