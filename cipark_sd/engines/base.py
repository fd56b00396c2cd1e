"""What runs are given by name, what is put together while they run, and what a program is given, forwards and back."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from cipark_sd.base.errors import CiparkError, one_of
from cipark_sd.base.naming import flat_name
from cipark_sd.base.timegrid import SLACK, TimeGrid, saved_indices
from cipark_sd.compiler.adjoint import Adjoint
from cipark_sd.compiler.primitives import look_up
from cipark_sd.compiler.program import SeriesInput
from cipark_sd.data.scenarios import Override, Resolved, TimeSeries
from cipark_sd.model.expr import MISSING, Expr, Interpolation, Table
from cipark_sd.model.model import Method, Model
from cipark_sd.model.variables import Stock, Variable

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Inputs:
    """Everything that a program needs to be run ``n_runs`` times.

    Parameters
    ----------
    params : (n_params, n_runs)
    series : for each series of the program (n_stage_times,) or (n_stage_times, n_runs)
        At the times of :func:`stage_times`.
    saved : (n_steps + 1,)
        The instants whose outputs are wanted.
    runs : (n_runs,)
        The number of each run in the whole ensemble: random numbers depend on it and on nothing else of the call.
    tape : (n_slots, n_rows, n_runs), optional
        What the steps of a way back read, the last row first (:mod:`cipark_sd.compiler.adjoint`).
    """

    grid: TimeGrid
    final_time: float
    params: Values
    series: tuple[Values, ...]
    saved: NDArray[np.bool_]
    runs: NDArray[np.uint64]
    seed: int = 0
    tape: Values | None = None
    #: What an engine has made of all but ``params`` and ``runs``, by a key of its own. ``dataclasses.replace`` empties
    #: it, :meth:`with_runs` does not.
    made: dict[Hashable, object] = field(default_factory=dict, init=False, compare=False, repr=False)

    def with_runs(self, params: Values, runs: NDArray[np.uint64]) -> "Inputs":
        """The same for other runs."""
        inputs = replace(self, params=params, runs=runs)
        object.__setattr__(inputs, "made", self.made)
        return inputs

    @property
    def n_runs(self) -> int:
        """How many."""
        return len(self.runs)

    @property
    def uniforms(self) -> Values:
        """``time_step``, ``initial_time``, ``final_time``, ``saveper``."""
        return np.array([self.grid.step, self.grid.times[0], self.final_time, self.grid.saveper], dtype=float)


#: How often a method computes the slopes of a step; of ``gear``, whose steps are its own, a guess.
SLOPES = {"euler": 1, "rk2": 2, "rk4": 4, "gear": 4}


def fixed_method(method: Method) -> str:
    """The method that is run: the automatic variants of Vensim are run with the file's own step."""
    return method.removesuffix("_auto")


def stage_times(grid: TimeGrid, method: Method) -> Values:
    """The times at which equations are read: the instants, and with Runge-Kutta the middle of each step between.

    Returns
    -------
    Values, (n_stage_times,)
        In units of time: n_steps + 1 of them for Euler's method and gear, else 2 n_steps + 1.
    """
    if fixed_method(method) in ("euler", "gear"):
        return grid.times
    times = np.empty(2 * len(grid.times) - 1)
    times[::2] = grid.times
    times[1::2] = grid.times[:-1] + grid.step / 2
    return times


def sample(entry: SeriesInput, table: Table, times: Values) -> Values:
    """A series at some times; ends are held, a ``raw`` series is missing between its own times.

    Parameters
    ----------
    entry : SeriesInput
        Says how it is read between its times.
    table : Table
        Its times and values.
    times : (n,)

    Returns
    -------
    Values, (n,)
    """
    x, y = np.array(table.x), np.array(table.y)
    if entry.interpolation == "raw":
        place = np.searchsorted(x, times).clip(0, len(x) - 1)
        return np.where(x[place] == times, y[place], MISSING)
    held = "interpolate" if entry.interpolation == "extrapolate" else entry.interpolation
    return look_up(Table(table.x, table.y, held), times)


def put_at(grid: TimeGrid, course: TimeSeries, n_stages: int, *, where: str) -> Values:
    """What takes a stock's place, at the beginning of the step that ends there; elsewhere missing.

    Parameters
    ----------
    course : TimeSeries
        Its times are saved ones; that at the beginning of the run is the stock's initial value, and those after its end
        count for nothing.
    n_stages : int
        Of the whole run, as :func:`stage_times` has them.

    Returns
    -------
    Values, (n_stages,)

    Raises
    ------
    OffGrid
    """
    values = np.full(n_stages, MISSING)
    inside = np.array(course.times) <= grid.times[-1] + SLACK * grid.step
    places = np.flatnonzero(grid.saved)[saved_indices(grid, np.array(course.times)[inside], where=where)]
    per_step = 2 if n_stages > len(grid.times) else 1
    values[per_step * (places[places > 0] - 1)] = np.array(course.values)[inside][places > 0]
    return values


#: From outputs ``(n_places, m)`` of some runs, and the numbers ``(m,)`` of these runs among all, to the weights of the
#: outputs, of the same shape: the derivatives by the outputs of what is to be differentiated.
Weigh = Callable[[Values, NDArray[np.intp]], Values]


class TapeTooLong(CiparkError):
    """What a way back reads would take too much memory."""

    def __init__(self, model: str, size: int, most: int) -> None:
        gibibytes = 2**30
        super().__init__(
            f"{model}: going back through its steps needs {size / gibibytes:.1f} GiB for a few runs, more than "
            f"{most / gibibytes:g}; derivatives need a longer time step or a shorter run"
        )


def taped_inputs(inputs: Inputs) -> Inputs:
    """The inputs of a forward run that writes the tape: every instant is saved."""
    return replace(inputs, saved=np.ones(len(inputs.grid.times), dtype=bool))


def back_inputs(way: Adjoint, inputs: Inputs, tape: Values | None = None) -> Inputs:
    """The inputs of the way back: the instants from last to first, and one more at which its sums are read.

    Parameters
    ----------
    inputs : Inputs
        Of the forward run.
    tape : (n_slots, n_rows, n_runs), optional
        What the forward run wrote, weights in the places of its outputs; None where an engine hands it on by itself.
    """
    grid = inputs.grid
    n = len(grid.times)
    # the times themselves are series; the first one is what "initial time" means
    times = np.concatenate([grid.times, grid.times[-1:] + grid.step])
    saved = np.zeros(n + 1, dtype=bool)
    saved[-1] = True
    instants = np.concatenate([np.arange(n)[::-1], [0]])
    per_step = 1 if fixed_method(way.taped.method) == "euler" else 2
    series: list[NDArray[np.float64]] = []
    for kind, slot, half in way.series:
        stages = np.minimum(per_step * instants + half, per_step * (n - 1))
        match kind:
            case "series":
                series.append(inputs.series[slot][stages])
            case "initial_series":
                series.append(inputs.series[slot][:1])
            case "time":
                series.append(stage_times(grid, way.taped.method)[stages])
            case "instant":
                series.append(grid.times[instants])
            case "step":
                series.append(instants.astype(float))
    longer = TimeGrid(times, saved, grid.step, grid.saveper)
    return replace(inputs, grid=longer, series=tuple(series), saved=saved, tape=tape)


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
        for kind in (numbers, tables, series, *(() if isinstance(value, TimeSeries) else (initials,))):
            kind.pop(name, None)
        match value:
            case Table():
                tables[name] = value
            case TimeSeries():
                series[name] = value
                if isinstance(variable, Stock) and value.times[0] <= resolved.initial_time:
                    initials[name] = value.values[0]
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
    """The settings of some of the runs.

    Parameters
    ----------
    members : (n,) or slice
        Positions of the runs.

    Returns
    -------
    Settings
        Numbers and series of these runs; what all share as it is.
    """

    def cut(values: Mapping[str, float | Values]) -> dict[str, float | Values]:
        return {name: value[members] if isinstance(value, np.ndarray) else value for name, value in values.items()}

    series: dict[str, TimeSeries | tuple[TimeSeries, ...]] = {}
    for name, entry in settings.series.items():
        if isinstance(entry, tuple):
            series[name] = tuple(entry[i] for i in np.arange(len(entry))[members])
        else:
            series[name] = entry
    return replace(settings, numbers=cut(settings.numbers), initials=cut(settings.initials), series=series)


def with_numbers(settings: Settings, names: Mapping[str, bool], values: Values) -> Settings:
    """The settings with a number ``(n_runs, n_names)`` of each run for flat names, and whether each starts a stock.

    Parameters
    ----------
    names : mapping of str to bool
        Flat names, in the order of the columns, and whether each starts a stock.
    values : (n_runs, n_names)
    """
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

    Parameters
    ----------
    reductions : mapping of str to Reduction
        By the name of the output.
    saved : (n_steps + 1,)
        The instants that count where a reduction names none.
    where : str
        The model's name, for messages.

    Raises
    ------
    OffGrid, InvalidValue
        When a reduction's time is not a saved one, or it is none that there is.
    """
    series, known = dict(settings.series), dict[str, Reduction]()
    for name, reduction in reductions.items():
        how = cast(Any, one_of(reduction.how, ("sum", "min", "max"), f"how {name!r} is reduced", where=where))
        known[name] = replace(reduction, how=how)
        taken = saved if reduction.times is None else grid.chosen(reduction.times, where=where)
        marks = np.where(taken, 1.0, 0.0)
        series[taken_name(name)] = TimeSeries(tuple(grid.times.tolist()), tuple(marks.tolist()))
        series |= reduction.data
    return replace(settings, series=series, reductions=known)
