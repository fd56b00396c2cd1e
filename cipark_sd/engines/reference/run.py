"""One run in PySD: overrides go in, values over our dimensions come out."""

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from cipark_sd.compiler.subscripts import Subscripts
from cipark_sd.engines.reference.neutral import Labels
from cipark_sd.engines.reference.translation import one_line
from cipark_sd.errors import RunFailed
from cipark_sd.frontends.vensim.variables import owner_of_part
from cipark_sd.model.expr import Table
from cipark_sd.model.model import CONTROL, Model
from cipark_sd.model.variables import Auxiliary, Constant, Lookup, Series, Stock, Variable
from cipark_sd.scenarios import Override, Resolved, TimeSeries, value_at

Values = NDArray[np.float64]


class _NoOutput:
    """The output object that PySD's stepping asks for; values are read directly instead."""

    def set_capture_elements(self, capture_elements: object) -> None:
        """Nothing to capture."""

    def initialize(self, model: object) -> None:
        """Nothing to prepare."""

    def update(self, model: object) -> None:
        """Nothing to save."""


class PySDRun:
    """A freshly loaded PySD model, from overrides to values; used for one run and thrown away."""

    def __init__(self, model: Model, loaded: Any, scratch: Path, labels: Labels) -> None:
        self.model = model
        self.loaded = loaded
        self.scratch = scratch
        self.labels = labels
        self.python_names = {name: loaded.namespace[label] for name, label in labels.variables.items()}
        # what an array reads from files for some of its elements is a variable of ours and part of one in PySD
        self.parts = [
            name
            for variable in model.variables
            if (name := variable.name) not in labels.variables and owner_of_part(name) in labels.variables
        ]
        for name in self.parts:
            self.python_names[name] = self.python_names[owner_of_part(name)]

    def apply(self, resolved: Resolved) -> None:
        """Put the scenario's times and overrides in place of the file's."""
        controls = {name: _constantly(getattr(resolved, name)) for name in CONTROL}
        # PySD sets the initial time back to this dictionary's before a run
        self.loaded.components._control_vars.update(controls)
        self.loaded.time._set_control_vars(**controls)
        names = [*resolved.whole, *(name for name, _ in resolved.elements if name not in resolved.whole)]
        for name in dict.fromkeys(names):
            elements = {at: value for (owner, at), value in resolved.elements.items() if owner == name}
            with self._reporting():
                self._override(self.model.by_name[name], resolved.whole.get(name), elements)

    def _override(
        self,
        variable: Variable,
        whole: Override | None,
        elements: Mapping[tuple[str, ...], float | TimeSeries],
    ) -> None:
        components = self.loaded.components
        python_name = self.python_names[variable.name]
        match variable:
            case Lookup():
                assert isinstance(whole, Table)
                self._set_table(variable, whole)
            case Stock():
                integrator = getattr(components, self._dependency(python_name, "_integ"))
                integrator.init_func = self._overridden(variable, integrator.init_func, whole, elements)
            case Constant() | Auxiliary() | Series():
                function = getattr(components, python_name)
                original = getattr(function, "__wrapped__", function)
                replacement = self._overridden(variable, original, whole, elements)
                moving = not isinstance(variable, Constant) or any(
                    isinstance(value, TimeSeries) for value in (whole, *elements.values())
                )
                if not moving:
                    replacement = _constantly(replacement())
                replacement.__name__ = python_name
                replacement.__dict__.update({k: v for k, v in vars(original).items() if k != "__wrapped__"})
                self.loaded._dependencies[python_name] = {"time": 1} if moving else {}
                components._set_component(python_name, replacement)
                self.loaded.cache.cached_funcs.discard(python_name)
            case _:
                assert_never(variable)

    def _overridden(
        self,
        variable: Variable,
        original: Callable[[], Any],
        whole: Override | None,
        elements: Mapping[tuple[str, ...], float | TimeSeries],
    ) -> Callable[[], Any]:
        """A function without arguments that gives the overridden value in PySD's form."""
        shape = tuple(len(self.model.dimension_by_name[dim].elements) for dim in variable.dims)
        places = {element: place for place, element in enumerate(self.model.elements(variable))}
        time = self.loaded.time

        def compute() -> Any:
            match whole:
                case None if len(elements) == len(places):
                    values = np.empty(shape)
                case None:
                    values = np.array(self._ours(variable, original()), dtype=float)
                case TimeSeries():
                    values = np.full(shape, value_at(whole, time()))
                case float():
                    values = np.full(shape, whole)
                case tuple():
                    values = np.array(whole, dtype=float).reshape(shape)
                case Table():
                    raise AssertionError("scenarios.resolve lets tables through for lookups only")
                case _:
                    assert_never(whole)
            for element, value in elements.items():
                values.flat[places[element]] = value_at(value, time()) if isinstance(value, TimeSeries) else value
            return self._theirs(variable, values)

        return compute

    def _set_table(self, variable: Lookup, table: Table) -> None:
        import xarray as xr

        holder = getattr(self.loaded.components, self._dependency(self.python_names[variable.name], "__lookup__"))
        coords = dict(holder.final_coords)
        shape = (len(table.x), *(len(values) for values in coords.values()))
        values = np.broadcast_to(np.reshape(table.y, (-1, *(1,) * len(coords))), shape).copy()
        holder.data = xr.DataArray(values, {"lookup_dim": list(table.x), **coords}, ["lookup_dim", *coords])
        holder.interp = table.interpolation

    def _dependency(self, python_name: str, start: str) -> str:
        """The PySD object behind a variable: its integrator, its table."""
        dependencies = self.loaded._dependencies[python_name]
        if start in dependencies:
            return str(dependencies[start])
        return next(str(name) for name in dependencies if name.startswith(start))

    def start(self) -> None:
        """Initialise at the initial time.

        All variables count as outputs, whatever is saved, so that PySD caches the same ones and gives the same bits.
        """
        with self._reporting():
            self.loaded.set_stepper(_NoOutput())

    def step(self) -> None:
        """Go one time step on."""
        with self._reporting():
            self.loaded.step()

    def value(self, name: str) -> Values:
        """A variable now, ``(*sizes of its dimensions)``."""
        variable = self.model.by_name[name]
        with self._reporting():
            value = getattr(self.loaded.components, self.python_names[name])()
        if np.iscomplexobj(value):
            raise RunFailed(
                self.model.name,
                "a negative number has no real power with a fractional exponent",
                variable=variable.label,
                time=self.loaded.time(),
            )
        values = self._ours(variable, value)
        if name in self.parts:
            subscripts = Subscripts.of(self.model)
            for place, at in enumerate(self.model.elements(variable)):
                if not any(subscripts.applies(piece, at) for piece in variable.pieces):
                    values.flat[place] = np.nan
        return values

    def _axes(self, variable: Variable) -> tuple[list[str], list[list[int]], list[list[int]]]:
        """PySD's dimensions of a variable and, for each, where the elements stand that both sides have: here, there.

        A variable that is defined for some elements only may get a wider dimension in PySD than in our model.
        """
        dims = list(getattr(self.loaded.components, self.python_names[variable.name]).subscripts or ())
        places: list[list[int]] = []
        there: list[list[int]] = []
        for ours, theirs in zip(variable.dims, dims, strict=True):
            known = self.model.dimension_by_name[ours].elements
            elements = [self.labels.elements[element] for element in self.loaded._subscript_dict[theirs]]
            shared = [element for element in elements if element in known]
            places.append([known.index(element) for element in shared])
            there.append([elements.index(element) for element in shared])
        return dims, places, there

    def _ours(self, variable: Variable, value: Any) -> Values:
        """A value in PySD's form as an array over our dimensions; elements that PySD does not have are NaN."""
        shape = tuple(len(self.model.dimension_by_name[dim].elements) for dim in variable.dims)
        if not getattr(value, "dims", ()):
            return np.full(shape, float(value))
        dims, places, there = self._axes(variable)
        if set(dims) == set(value.dims):
            # constants of a file that fill part of a range come with those elements only
            value = value.reindex({dim: self.loaded._subscript_dict[dim] for dim in dims}).transpose(*dims)
        array = np.asarray(value, dtype=float)
        result = np.full(shape, np.nan)
        result[np.ix_(*places)] = array[np.ix_(*there)]
        return result

    def _theirs(self, variable: Variable, values: Values) -> Any:
        """An array over our dimensions in PySD's form."""
        import xarray as xr

        dims, places, there = self._axes(variable)
        if not dims:
            return float(values)
        coords = {dim: self.loaded._subscript_dict[dim] for dim in dims}
        array = np.full(tuple(len(elements) for elements in coords.values()), np.nan)
        array[np.ix_(*there)] = values[np.ix_(*places)]
        return xr.DataArray(array, coords, dims)

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        """Errors of generated code as the name of the variable and the time."""
        try:
            yield
        except Exception as problem:  # generated code raises whatever its equation leads to
            time = self.loaded.time()
            raise RunFailed(
                self.model.name,
                self.labels.restored(one_line(problem)),
                variable=self._culprit(problem),
                time=None if time is None else float(time),
            ) from problem

    def _culprit(self, problem: Exception) -> str:
        """The label of the variable whose generated function stood innermost, or nothing."""
        labels = {self.python_names[v.name]: v.label for v in self.model.variables if v.name in self.python_names}
        label = ""
        for frame, _ in traceback.walk_tb(problem.__traceback__):
            if Path(frame.f_code.co_filename).parent == self.scratch:
                label = labels.get(frame.f_code.co_name, label)
        return label


def _constantly(value: Any) -> Callable[[], Any]:
    return lambda: value
