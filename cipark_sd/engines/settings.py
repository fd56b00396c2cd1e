"""The overrides of runs, element by element, and the numbers that are put together while a model runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cipark_sd.compiler.unroll import flat_name
from cipark_sd.engines.base import Values
from cipark_sd.model.expr import Expr, Interpolation, Table
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Stock, Variable
from cipark_sd.scenarios import Override, Resolved, TimeSeries
from cipark_sd.timegrid import TimeGrid


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
        reductions = tuple(
            (name, reduction.how, reduction.expr, tuple(reduction.data)) for name, reduction in self.reductions.items()
        )
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
            number = value[position] if isinstance(value, tuple) else value
            put(variable, flat_name(variable.name, elements), number)

    for name, value in resolved.whole.items():
        whole(model.by_name[name], value)
    for (name, elements), single in resolved.elements.items():
        put(model.by_name[name], flat_name(name, elements), single)
    return Settings(numbers, initials, tables, series)


def part(settings: Settings, members: NDArray[np.intp] | slice) -> Settings:
    """The settings of some of the runs."""

    def cut(values: Mapping[str, float | Values]) -> dict[str, float | Values]:
        return {name: value[members] if isinstance(value, np.ndarray) else value for name, value in values.items()}

    series: dict[str, TimeSeries | tuple[TimeSeries, ...]] = {}
    for name, entry in settings.series.items():
        if isinstance(entry, tuple):
            numbers = np.arange(len(entry))[members]
            series[name] = tuple(entry[i] for i in numbers)
        else:
            series[name] = entry
    return replace(settings, numbers=cut(settings.numbers), initials=cut(settings.initials), series=series)


def with_numbers(settings: Settings, names: Mapping[str, bool], values: Values) -> Settings:
    """The settings with a number ``(n_runs, n_names)`` of each run for flat names, and whether each starts a stock."""
    numbers, initials = dict(settings.numbers), dict(settings.initials)
    for (name, starts_stock), column in zip(names.items(), values.T, strict=True):
        (initials if starts_stock else numbers)[name] = np.ascontiguousarray(column)
    return replace(settings, numbers=numbers, initials=initials)


def start_name(stock: str) -> str:
    """The constant that holds a stock's initial value where one is set; no variable of a file can be called so."""
    return f"initial {stock}"


def taken_name(reduction: str) -> str:
    """The series that is 1 where a reduction takes a value in."""
    return f"taken {reduction}"


def with_reductions(
    settings: Settings, reductions: Mapping[str, Reduction], grid: TimeGrid, saved: NDArray[np.bool_], *, where: str
) -> Settings:
    """The settings with reductions and the series that they read.

    Raises
    ------
    OffGrid
        When a reduction's time is not a saved one.
    """
    series = dict(settings.series)
    for name, reduction in reductions.items():
        taken = saved if reduction.times is None else grid.chosen(reduction.times, where=where)
        marks = np.where(taken, 1.0, 0.0)
        series[taken_name(name)] = TimeSeries(tuple(grid.times.tolist()), tuple(marks.tolist()))
        series |= reduction.data
    return replace(settings, series=series, reductions=dict(reductions))
