"""Flat variables gathered into the arrays of subscripted ones."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cipark_sd.compiler.subscripts import Subscripts, check_array_sizes
from cipark_sd.compiler.unroll import flat_name
from cipark_sd.engines.base import Values
from cipark_sd.model.expr import MISSING
from cipark_sd.model.model import Model


def missing_as_nan(values: Values) -> Values:
    """Numbers as results show them: NaN where they are Vensim's ``:NA:``; no copy where none is."""
    missing = values == MISSING
    return np.where(missing, np.nan, values) if missing.any() else values


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

    def label(self, name: str, elements: Sequence[str]) -> str:
        """One element of a saved variable in the modeller's words, such as ``Residents[SOE]``."""
        variable = self.model.by_name[name]
        return variable.label + Subscripts.of(self.model).labels(tuple(elements), variable.dims)

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
