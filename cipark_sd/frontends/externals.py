"""Values that stand in spreadsheets and CSV files, read into the model.

The reading is PySD's own, so that addresses, named ranges and missing values mean what they mean there.
"""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, cast

import numpy as np

from cipark_sd.errors import CiparkError, EquationError, UnsupportedFeature, collected, raise_all
from cipark_sd.frontends.external_files import check_separator, external_names, located, outside
from cipark_sd.model.expr import Const, Table
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Constant, External, ExternalPiece, Lookup, Piece, Series, TablePiece, Variable

_InFiles = Constant | Lookup | Series


def read_externals(model: Model, tags: Mapping[str, Path] | None = None) -> Model:
    """``model`` with numbers, tables and series in the place of the files they stand in.

    Parameters
    ----------
    model : Model
    tags : mapping of str to Path, optional
        Read what stands behind these tags alone, each a file that the user named.

    Raises
    ------
    EquationError, Problems
        When a file, sheet or cell cannot be read.
    """
    problems: list[CiparkError] = []
    read = [collected(problems, partial(_read, model, variable, tags)) for variable in model.variables]
    raise_all(model.name, problems)
    variables = [variable for variable in read if variable is not None]
    if all(new is old for new, old in zip(variables, model.variables, strict=True)):
        return model
    return replace(model, variables=tuple(variables))


def tags_of(model: Model) -> list[str]:
    """The tags, ``?name``, behind which the model's numbers stand in spreadsheets; what each is, its user says."""
    names = external_names(model.variables, model.macros, model.range_files)
    return [name for name in names if name.startswith("?")]


def _read(model: Model, variable: Variable, tags: Mapping[str, Path] | None) -> Variable:
    """A variable with the numbers of all its files, or of those with these tags alone."""

    def source_of(piece: Piece | TablePiece | ExternalPiece) -> External | None:
        source = outside(piece)
        return source if tags is None or (source is not None and source.file in tags) else None

    match variable:
        case Constant() | Lookup() | Series() if any(source_of(piece) is not None for piece in variable.pieces):
            pieces: list[Any] = []
            for piece in variable.pieces:
                source = source_of(piece)
                if source is not None and tags is not None:
                    source = replace(source, file=str(tags[source.file]))
                pieces += [piece] if source is None else _pieces(model, variable, piece, source, named=bool(tags))
            changed: Variable = replace(cast(Any, variable), pieces=tuple(pieces))
            return changed
        case _:
            return variable


def _pieces(model: Model, variable: _InFiles, piece: Any, source: External, *, named: bool) -> Iterator[Any]:
    """A piece for each element, with its number or points; ``named`` says that the user named the file."""
    for elements, value in _values(model, variable, piece, source, named=named):
        match variable:
            case Constant():
                yield Piece(Const(float(value)), elements)
            case Lookup():
                yield TablePiece(value, elements)
            case Series():
                yield ExternalPiece(value, elements)


def _values(
    model: Model, variable: _InFiles, piece: ExternalPiece | TablePiece, source: External, *, named: bool
) -> list[tuple[tuple[str, ...], Any]]:
    """For each combination of elements of a piece its number, or its points as a table."""
    coords = _coordinates(model, piece.subscripts)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            array = _loaded(model, variable, source, coords, named=named)
        except CiparkError:
            raise
        except Exception as problem:  # PySD and openpyxl raise whatever comes up in a damaged or missing file
            message = str(problem).strip().rstrip(".")
            reason = message.splitlines()[-1] if message else type(problem).__name__
            what_to_do = "put it there" if isinstance(problem, FileNotFoundError) else "mend the file"
            reading = f"reads {source.file!r}: {reason}; {what_to_do}, or bring the data (--series)"
            raise EquationError(model.name, variable.label, reading) from None
    result: list[tuple[tuple[str, ...], Any]] = []
    for elements in product(*coords.values()):
        place = dict(zip(coords, elements, strict=True))
        if isinstance(variable, Constant):
            result.append((elements, float(array.loc[place]) if coords else float(array)))
            continue
        along = array.dims[0]
        section = array.loc[place] if coords else array
        x, y = np.asarray(section[along].values, dtype=float), np.asarray(section.values, dtype=float)
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


def _loaded(model: Model, variable: _InFiles, source: External, coords: Mapping[str, list[str]], *, named: bool) -> Any:
    from pysd.py_backend.external import ExtConstant, ExtData, ExtLookup

    assert model.origin is not None
    if source.file.startswith("?"):
        # Vensim resolves a tag in its settings, for which its file format is not published
        feature = f"a file behind the tag {source.file!r}"
        way = f"say which file that is (--series '{source.file}=FILE', in Python read_model(series=[…]))"
        raise UnsupportedFeature(feature, variable=variable.label, where=model.name, alternative=way)
    coordinates = dict(coords)
    there = (coordinates, model.origin.path.parent, coordinates, variable.name)
    # PySD opens the file by itself
    file = source.file if named else str(located(model.origin.path, source.file, model.origin.allowed))
    check_separator(model.origin.path, source.file, source.tab)
    place = (file, source.tab)
    reader: Any
    match variable:
        case Constant():
            reader = ExtConstant(*place, source.cell, *there)
        case Lookup():
            reader = ExtLookup(*place, source.row_or_col, source.cell, *there)
        case Series():
            reader = ExtData(*place, source.row_or_col, source.cell, variable.interpolation, *there)
    reader.initialize()
    return reader.data
