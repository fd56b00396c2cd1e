"""Values that stand in spreadsheets and CSV files, read into the model.

The reading is PySD's own, so that addresses, named ranges and missing values mean what they mean there.
"""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from cipark_sd.errors import CiparkError, EquationError, raise_all
from cipark_sd.model.expr import Const, Table
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Constant, External, ExternalPiece, Lookup, Piece, Series, TablePiece, Variable


def read_externals(model: Model) -> Model:
    """``model`` with numbers, tables and series in the place of the files they stand in.

    Raises
    ------
    EquationError, Problems
        When a file, sheet or cell cannot be read.
    """
    problems: list[CiparkError] = []
    variables: list[Variable] = []
    for variable in model.variables:
        try:
            variables.append(_read(model, variable))
        except CiparkError as problem:
            problems.append(problem)
    raise_all(model.name, problems)
    if all(new is old for new, old in zip(variables, model.variables, strict=True)):
        return model
    return replace(model, variables=tuple(variables))


def _read(model: Model, variable: Variable) -> Variable:
    match variable:
        case Constant(pieces=pieces) if any(isinstance(p, ExternalPiece) for p in pieces):
            constants: list[Piece | ExternalPiece] = []
            for piece in pieces:
                if isinstance(piece, ExternalPiece) and isinstance(piece.source, External):
                    for elements, value in _values(model, variable, piece, piece.source):
                        constants.append(Piece(Const(float(value)), elements))
                else:
                    constants.append(piece)
            return replace(variable, pieces=tuple(constants))
        case Lookup(pieces=tables) if any(isinstance(p.table, External) for p in tables):
            read: list[TablePiece] = []
            for table in tables:
                if isinstance(table.table, External):
                    for elements, points in _values(model, variable, table, table.table):
                        read.append(TablePiece(points, elements))
                else:
                    read.append(table)
            return replace(variable, pieces=tuple(read))
        case Series(pieces=series) if any(isinstance(p.source, External) for p in series):
            data: list[ExternalPiece] = []
            for entry in series:
                if isinstance(entry.source, External):
                    for elements, points in _values(model, variable, entry, entry.source):
                        data.append(ExternalPiece(points, elements))
                else:
                    data.append(entry)
            return replace(variable, pieces=tuple(data))
        case _:
            return variable


def _values(
    model: Model, variable: Variable, piece: ExternalPiece | TablePiece, source: External
) -> list[tuple[tuple[str, ...], Any]]:
    """For each combination of elements of a piece its number, or its points as a table."""
    coords = _coordinates(model, piece.subscripts)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            array = _loaded(model, variable, source, coords)
        except Exception as problem:  # PySD and openpyxl raise whatever comes up in a damaged or missing file
            reason = str(problem).strip().splitlines()[-1] if str(problem).strip() else type(problem).__name__
            raise EquationError(model.name, variable.label, f"reads {source.file!r}: {reason}") from None
    result: list[tuple[tuple[str, ...], Any]] = []
    for elements in product(*coords.values()):
        place = dict(zip(coords, elements, strict=True))
        if isinstance(variable, Constant):
            result.append((elements, float(array.loc[place]) if coords else float(array)))
            continue
        along = array.dims[0]
        own = array.loc[place] if coords else array
        x, y = np.asarray(own[along].values, dtype=float), np.asarray(own.values, dtype=float)
        known = ~np.isnan(y)
        points = Table(tuple(x[known].tolist()), tuple(y[known].tolist()))
        result.append((elements, points))
    return result


def _coordinates(model: Model, subscripts: tuple[str, ...]) -> Mapping[str, list[str]]:
    coords = {}
    for position, sub in enumerate(subscripts):
        dimension = model.dimension_by_name.get(sub)
        coords[f"d{position}"] = list(dimension.elements) if dimension is not None else [sub]
    return coords


def _loaded(model: Model, variable: Variable, source: External, coords: Mapping[str, list[str]]) -> Any:
    from pysd.py_backend.external import ExtConstant, ExtData, ExtLookup

    assert model.origin is not None
    root, given = model.origin.path.parent, dict(coords)
    match variable:
        case Constant():
            constant = ExtConstant(source.file, source.tab, source.cell, given, root, given, variable.name)
            constant.initialize()
            return constant.data
        case Lookup():
            lookup = ExtLookup(
                source.file, source.tab, source.row_or_col, source.cell, given, root, given, variable.name
            )
            lookup.initialize()
            return lookup.data
        case Series():
            keyword = variable.interpolation
            data = ExtData(
                source.file, source.tab, source.row_or_col, source.cell, keyword, given, root, given, variable.name
            )
            data.initialize()
            return data.data
        case _:
            raise AssertionError(variable)
