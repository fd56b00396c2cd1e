"""What a run computes: the model, its times and its outputs, made once and handed down to whatever engine runs it.

Control variables may be computed by the file instead of stated; flat variables are gathered into the arrays of
subscripted ones.
"""

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast, get_args

import numpy as np
from numpy.typing import NDArray

from cipark_sd.base.errors import (
    CiparkError,
    InvalidValue,
    UnknownName,
    UnsupportedFeature,
    UnusableInput,
    one_of,
    raise_all,
)
from cipark_sd.base.naming import flat_name
from cipark_sd.base.timegrid import TimeGrid, time_grid
from cipark_sd.base.wording import listed
from cipark_sd.compiler.functions.registry import remembers
from cipark_sd.compiler.lower import Lowering
from cipark_sd.compiler.passes import Pending, check_functions
from cipark_sd.compiler.program import PER_STEP
from cipark_sd.compiler.subscripts import Subscripts, check_array_sizes
from cipark_sd.data.scenarios import Resolved, Scenario, TimeSeries, resolve
from cipark_sd.engines.base import Settings, Values, settings
from cipark_sd.engines.programs import flat_model, remember
from cipark_sd.language.read.checked import lines_of
from cipark_sd.model.expr import MISSING, Call, Const, walk
from cipark_sd.model.model import CONTROL, FlatModel, Method, Model
from cipark_sd.model.variables import Auxiliary, Constant, Lookup, Piece, Stock, expressions


def missing_as_nan(values: Values) -> Values:
    """Numbers as results show them: NaN where they are Vensim's ``:NA:``; no copy where none is."""
    missing = values == MISSING
    return np.where(missing, np.nan, values) if missing.any() else values


#: A stock beyond it, in a model with missing values, has taken one in: a millionth of :NA:, for small time steps.
_TAKEN_IN = 1e-6 * abs(MISSING)


def has_missing(model: Model) -> bool:
    """Whether a value can be missing: :NA: in an equation, or data marked :RAW:."""
    return any(data.interpolation == "raw" for data in model.series) or any(
        part == Const(MISSING) for v in model.variables for expr in expressions(v) for part in walk(expr)
    )


def accumulating(model: Model) -> frozenset[str]:
    """The stocks, and the variables whose equation remembers, as SMOOTH does."""
    return frozenset(
        v.name
        for v in model.variables
        if isinstance(v, Stock)
        or any(isinstance(p, Call) and remembers(p.function) for expr in expressions(v) for p in walk(expr))
    )


def without_taken_in(stocks: Values) -> Values:
    """Stocks, or what remembers, whose second axis is time: no numbers from where they added up a missing value.

    One that is set to :NA: and back has taken in nothing.
    """
    beyond = np.abs(stocks) > _TAKEN_IN
    taken_in = np.logical_or.accumulate(beyond & (stocks != MISSING), axis=1)
    return np.where(taken_in & beyond, np.nan, stocks)


@dataclass(frozen=True)
class Columns:
    """Which flat variables make up the variables that are saved."""

    model: Model
    names: tuple[str, ...]
    flat: tuple[str, ...]
    places: Mapping[str, NDArray[np.intp]]

    @classmethod
    def of(cls, model: Model, names: Sequence[str]) -> "Columns":
        """For variables by canonical name; an element without an equation has the place -1."""
        subscripts = Subscripts.of(model)
        # before the first name of a million is made
        check_array_sizes(model, subscripts)
        flat: list[str] = []
        places: dict[str, NDArray[np.intp]] = {}
        for name in names:
            variable = model.by_name[name]
            sizes = [len(model.dimension_by_name[dim].elements) for dim in variable.dims]
            positions = []
            for elements in model.elements(variable):
                has_equation = any(subscripts.applies(piece, elements) for piece in variable.pieces)
                positions.append(len(flat) if has_equation else -1)
                if has_equation:
                    flat.append(flat_name(name, elements))
            places[name] = np.array(positions, dtype=np.intp).reshape(sizes)
        return cls(model, tuple(names), tuple(flat), places)

    def arrays(self, values: Values) -> dict[str, NDArray[np.float64]]:
        """(n_flat, n_saved, n_runs) as (n_runs, n_saved, *sizes) by name."""
        n_saved, n_runs = values.shape[1:]
        if n_runs == 1:
            # of one run every variable stands together already, one after the other
            return {name: self._of_one(values, places) for name, places in self.places.items()}
        arrays = self.empty(n_runs, n_saved)
        self.fill(arrays, slice(None), values)
        return arrays

    @staticmethod
    def _of_one(values: Values, places: NDArray[np.intp]) -> NDArray[np.float64]:
        """(n_flat, n_saved, 1) as (1, n_saved, *sizes) of one variable."""
        if places.ndim == 0:
            # with a number for an index it is no copy
            return np.asarray(values[places.item()]).T
        elements = np.where(places.reshape(-1, 1) >= 0, values[places.reshape(-1), :, 0], np.nan)
        return np.ascontiguousarray(elements.T).reshape(1, -1, *places.shape)

    def empty(self, n_runs: int, n_saved: int) -> dict[str, NDArray[np.float64]]:
        """Arrays for so many runs, by name."""
        shapes = {name: (n_runs, n_saved, *places.shape) for name, places in self.places.items()}
        if not shapes:
            return {}
        sizes = [math.prod(shape) for shape in shapes.values()]
        # in one piece, which the system hands out in large pages
        together = np.split(np.empty(sum(sizes)), np.cumsum(sizes)[:-1])
        arrays = {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), together, strict=True)}
        for name, array in arrays.items():
            # an element without an equation is no number; all others are filled
            if (self.places[name] < 0).any():
                array[:] = np.nan
        return arrays

    def fill(self, arrays: Mapping[str, NDArray[np.float64]], runs: NDArray[np.intp] | slice, values: Values) -> None:
        """Put (n_flat, n_saved, n_runs) into the places of some runs."""
        for name in self.names:
            flat = arrays[name].reshape(*arrays[name].shape[:2], -1)
            for position, place in enumerate(self.places[name].reshape(-1)):
                if place >= 0:
                    flat[runs, :, position] = values[place].T


@dataclass(frozen=True, eq=False)
class RunPlan:
    """What is the same for all runs of a call.

    Parameters
    ----------
    resolved : Resolved
        The scenario that all runs share, its control variables as numbers.
    columns : Columns
        The variables that are kept, and the elements that they are made of.
    outputs : tuple of str
        The flat names that an engine computes: those of ``columns``, in their order, and what a caller adds.
    grid : TimeGrid
        All instants of the run.
    saved : (n_steps + 1,)
        The instants whose outputs are kept.
    method : Method, optional
        The method asked for; None for the file's own.
    seed : int
        Of the model's random functions.
    """

    model: Model
    resolved: Resolved
    columns: Columns
    outputs: tuple[str, ...]
    grid: TimeGrid
    saved: NDArray[np.bool_]
    method: Method | None = None
    seed: int = 0

    @property
    def times(self) -> Values:
        """The instants whose outputs are kept, ascending."""
        return self.grid.times[self.saved]

    @property
    def settings(self) -> Settings:
        """The overrides that all runs share, element by element."""
        return settings(self.model, self.resolved)

    @property
    def integration(self) -> Method:
        """The method that is run, asked for or the file's own."""
        return self.method or self.model.time.method

    def to_the_last_time(self) -> "RunPlan":
        """The plan without the steps after the last instant that is kept, which change nothing that is read."""
        end = int(np.flatnonzero(self.saved)[-1]) + 1
        grid = replace(self.grid, times=self.grid.times[:end], saved=self.grid.saved[:end])
        return replace(self, grid=grid, saved=self.saved[:end])


def plan(
    model: Model,
    scenario: Scenario | Resolved,
    *,
    save: Sequence[str] | None,
    times: Sequence[float] | None,
    method: Method | None,
    seed: int = 0,
) -> RunPlan:
    """The plan of runs of a model.

    Parameters
    ----------
    scenario : Scenario or Resolved
        What all runs share.
    save : sequence of str or None
        Variables by any spelling of their names; None for everything that can change in a run, so all but lookups and
        constants that keep their value.
    times : sequence of float or None
        Some of the saved times; None for all of them.
    method : Method or None
        In any case of letters; None for the file's own.
    seed : int
        Of the model's random functions.

    Raises
    ------
    UnknownName, InvalidValue, OffGrid, UnsupportedFeature, Problems
    """
    if method is not None:
        method = cast(Method, one_of(method, get_args(Method), "the integration method", where=model.name))
    with lines_of(model):
        resolved = checked(model, scenario) if isinstance(scenario, Scenario) else scenario
        grid = grid_of(model, resolved)
        columns = _columns_of(model, _saved_names(model, save) if save is not None else _moving(model, resolved))
        saved = grid.chosen(times, where=model.name)
    return RunPlan(model, resolved, columns, columns.flat, grid, saved, method=method, seed=seed)


_NAMES: OrderedDict[tuple[int, frozenset[str]], tuple[Model, tuple[str, ...]]] = OrderedDict()
_COLUMNS: OrderedDict[tuple[int, tuple[str, ...]], Columns] = OrderedDict()


def _columns_of(model: Model, names: tuple[str, ...]) -> Columns:
    """The columns of variables by canonical name, made once for a model and names; they keep the model."""
    return remember(_COLUMNS, (id(model), names), lambda: Columns.of(model, names))


def checked(model: Model, scenario: Scenario) -> Resolved:
    """The scenario checked against the model, control variables that the file computes put in as numbers.

    A scenario's time step and save period have to fit; a file whose own do not is saved at the nearest steps.

    Raises
    ------
    UnknownName, InvalidValue, UnsupportedFeature, Problems
    """
    resolved = _with_controls(model, resolve(model, scenario))
    if scenario.time_step is None and scenario.saveper is None:
        return resolved
    ratio = resolved.saveper / resolved.time_step if resolved.time_step else math.nan
    if math.isfinite(ratio) and ratio > 0 and (round(ratio) < 1 or abs(ratio - round(ratio)) > 1e-5):
        expected = f"a multiple of the time step {resolved.time_step:g} (--save-every, --step)"
        raise InvalidValue("the save period", resolved.saveper, expected, where=model.name)
    return resolved


def grid_of(model: Model, resolved: Resolved) -> TimeGrid:
    """The instants of a run.

    Raises
    ------
    InvalidValue
    """
    return time_grid(resolved.initial_time, resolved.final_time, resolved.time_step, resolved.saveper, where=model.name)


def _saved_names(model: Model, save: Sequence[str]) -> tuple[str, ...]:
    """Canonical names of variables that have values over time, in the order asked for, each once.

    Raises
    ------
    UnknownName, InvalidValue, Problems
    """
    problems: list[CiparkError] = []
    names: dict[str, None] = {}
    for request in save:
        variable = model.by_name.get(model.key(request))
        if variable is None:
            problems.append(UnknownName(request, model.names, where=model.name))
        elif isinstance(variable, Lookup):
            problems.append(InvalidValue("a variable to save", variable.label, "not a lookup", where=model.name))
        else:
            names[variable.name] = None
    raise_all(model.name, problems)
    return tuple(names)


def _moving(model: Model, resolved: Resolved) -> tuple[str, ...]:
    """Everything that can change in a run, in the order of the file."""
    data = {name for name, value in resolved.whole.items() if isinstance(value, TimeSeries)}
    data |= {name for (name, _), value in resolved.elements.items() if isinstance(value, TimeSeries)}
    key = (id(model), frozenset(data))

    def names() -> tuple[Model, tuple[str, ...]]:
        return model, tuple(
            variable.name
            for variable in model.variables
            if variable.name not in CONTROL
            and not isinstance(variable, Lookup)
            and (not isinstance(variable, Constant) or variable.name in data)
        )

    return remember(_NAMES, key, names)[1]


def _with_controls(model: Model, resolved: Resolved) -> Resolved:
    """The scenario with control variables that the file computes put in as numbers."""
    unknown = [name for name in CONTROL if np.isnan(getattr(resolved, name))]
    if not unknown:
        return resolved
    numbers_in_file = {name: getattr(resolved, name) for name in CONTROL if name not in unknown}
    numbers = {n: v for n, v in settings(model, resolved).numbers.items() if isinstance(v, float)}
    values = numbers_in_file | _control_values(flat_model(model), numbers_in_file, numbers)
    initial, final, step, saveper = (values[name] for name in CONTROL)
    return replace(resolved, initial_time=initial, final_time=final, time_step=step, saveper=saveper)


_GIVE = "give the number in the scenario"
#: What a Vensim file says of each control variable.
_LINES = {
    "initial_time": "INITIAL TIME = 0",
    "final_time": "FINAL TIME = 100",
    "time_step": "TIME STEP = 1",
    "saveper": "SAVEPER = TIME STEP",
}


def _control_values(model: FlatModel, overrides: Mapping[str, float], numbers: Mapping[str, float]) -> dict[str, float]:
    """Control variables that the file computes, as numbers at the start of a run.

    Parameters
    ----------
    overrides : mapping
        Control variables that are known.
    numbers : mapping
        Constants that are overridden.

    Raises
    ------
    UnsupportedFeature
        When one of them changes in the run.
    UnusableInput
        When the model lacks one.
    UnknownName, EquationError, Problems
        For functions that do not exist or have a wrong number of arguments.
    """
    check_functions(model)
    values = dict(overrides)
    for _ in CONTROL:
        for name in CONTROL:
            if name in values:
                continue
            value = _control_value(model, name, values, numbers)
            if np.isfinite(value):
                values[name] = value
    missing = [name for name in CONTROL if name not in values]
    absent = [name for name in missing if name not in model.by_name]
    if absent:
        lines = " ".join(f"{_LINES[name]} ~ {model.time.units} ~ |" for name in absent)
        sentence = f"the model has no {listed(_LINES[name].partition(' =')[0] for name in absent)}"
        raise UnusableInput(f"{sentence}; add to the file, with your own numbers: {lines}", where=model.name)
    if missing:
        label = model.by_name[missing[0]].label
        feature = "an equation that has no number at the start"
        raise UnsupportedFeature(feature, variable=label, where=model.name, alternative=_GIVE)
    return {name: values[name] for name in CONTROL if name not in overrides}


def _control_value(model: FlatModel, name: str, values: Mapping[str, float], numbers: Mapping[str, float]) -> float:
    variable = model.by_name.get(name)
    match variable:
        case Constant(pieces=(Piece(Const(value)),)):
            # a number in another file
            return value
    if not isinstance(variable, Auxiliary):
        return float("nan")
    initial, final, step, saveper = (values.get(control, float("nan")) for control in CONTROL)
    time = replace(model.time, initial=initial, final=final, step=step, saveper=saveper)
    lowering = Lowering(replace(model, time=time), {})
    expr = variable.pieces[0].expr
    while True:
        try:
            moving, node = lowering.run(expr, name), lowering.start(expr, name)
            break
        except Pending as pending:
            lowering.demanded(*pending.demands)
    if moving.rate == PER_STEP:
        feature = "an equation that changes in the run"
        raise UnsupportedFeature(feature, variable=variable.label, where=model.name, alternative=_GIVE)
    lowering.defaults = [numbers.get(p, d) for p, d in zip(lowering.params, lowering.defaults, strict=True)]
    return lowering.number(node)
