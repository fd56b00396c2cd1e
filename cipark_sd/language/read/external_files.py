"""The files that a model names: which they are, whether they may be read, and the values that stand in them.

A model file is data that may come from anyone, so what it names must lie beneath its own folder or beneath one that the
user has allowed, and be a regular file of bounded size. PySD opens these files by itself; so each of them is looked at
here first. The reading of values is PySD's own, so that addresses, named ranges and missing values mean what they mean
there.
"""

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path, PureWindowsPath
from typing import Any, cast

import numpy as np

from cipark_sd.base.errors import (
    CiparkError,
    EquationError,
    ModelFileError,
    UnsupportedFeature,
    collected,
    raise_all,
)
from cipark_sd.base.inputs import TABLE_LIMIT, UnreadableFile, beneath, check_readable, read_bytes
from cipark_sd.base.naming import flat_name, override_key, split_key
from cipark_sd.base.spreadsheets import check_workbook
from cipark_sd.model.expr import Const, Table
from cipark_sd.model.model import Model
from cipark_sd.model.variables import (
    Constant,
    External,
    ExternalPiece,
    Lookup,
    Piece,
    Series,
    StockPiece,
    TablePiece,
    Variable,
)


def external_names(model: Model) -> list[str]:
    """The files that a model names, each once, as it spells them, in order."""
    files = set(model.range_files)
    for variable in (*model.variables, *(inner for macro in model.macros for inner in macro.variables)):
        files |= {source.file for piece in variable.pieces if (source := _outside(piece)) is not None}
    return sorted(files)


def _outside(piece: Piece | StockPiece | TablePiece | ExternalPiece) -> External | None:
    """Where a piece's numbers stand, of one that has them in a file."""
    match piece:
        case ExternalPiece(source=External() as source) | TablePiece(table=External() as source):
            return source
        case _:
            return None


def _located(path: Path, file: str, allowed: Sequence[Path]) -> Path:
    """Where a file lies that the model at ``path`` names, as on Windows, where Vensim runs, by a name in any case.

    A missing file is left to the run.

    Raises
    ------
    OutsideFolder
        When that is neither beneath the model's folder nor beneath one of ``allowed``.
    ModelFileError
        When it is no regular file, too large, or empty.
    """
    folder = path.resolve().parent
    target = beneath(folder, in_any_case(folder, file), allowed, where=path.name)
    try:
        check_readable(target, TABLE_LIMIT)
        if target.stat().st_size == 0:
            # so are the files of /proc, some of which wait for ever when they are opened
            raise UnreadableFile(0, "it is empty", str(target))
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as problem:
        raise ModelFileError(path, f"names the file {file!r}, which cannot be read: {problem.strerror}") from None
    return target


def in_any_case(folder: Path, file: str) -> str:
    """The one file beneath a model's folder whose name is ``file`` but for capitals and backslashes; else ``file``.

    Parameters
    ----------
    folder : Path
        Of the model.
    file : str
        As the model spells it.
    """
    at, parts = folder, file.replace("\\", "/").split("/")
    try:
        # a name with a root of its own is not looked up here: on Windows it may be that of another computer
        if ".." in parts or PureWindowsPath(file).anchor or (folder / file).exists():
            return file
        for part in parts:
            (entry,) = [entry for entry in at.iterdir() if part.casefold() == entry.name.casefold()]
            at /= entry.name
    except (OSError, ValueError):  # no such folder, no such name, or more than one
        return file
    return str(at)


def _check_separator(path: Path, file: str, tab: str) -> None:
    """Raise where a model reads a text file with a separator of more than one character.

    Vensim's is one character; PySD would take a longer one for a regular expression, and compile it.

    Raises
    ------
    ModelFileError
    """
    text_file = Path(file).suffix.casefold() not in (".xls", ".xlsx", ".xlsm", ".xlsb", ".odf", ".ods", ".odt")
    if text_file and len(tab) > 1 and not tab[0].isalnum():
        raise ModelFileError(path, f"reads {file!r} with the separator {tab!r}, which has more than one character")


def check_located(path: Path, files: Iterable[str], allowed: Sequence[Path]) -> None:
    """Raise where one of the files may not be read, with all of them at once.

    Parameters
    ----------
    path : Path
        Of the model.
    files : iterable of str
        As the model spells them.
    allowed : sequence of Path
        Folders beneath which they may lie, beside the model's own.

    Raises
    ------
    OutsideFolder, ModelFileError, Problems
    """
    problems: list[CiparkError] = []
    for file in files:
        collected(problems, partial(_located, path, file, allowed))
    raise_all(str(path), problems)


def external_contents(path: Path, files: Sequence[str], allowed: Sequence[Path]) -> Iterator[bytes]:
    """The bytes of each file that the model at ``path`` names; a missing file is left to the run.

    Parameters
    ----------
    path : Path
        Of the model.
    files : sequence of str
        As the model spells them.
    allowed : sequence of Path
        Folders beneath which they may lie, beside the model's own.

    Raises
    ------
    OutsideFolder, ModelFileError, Problems
    """
    check_located(path, files, allowed)
    for file in files:
        target = _located(path, file, allowed)
        if target.is_file():
            content = read_bytes(target, TABLE_LIMIT)
            check_workbook(content, where=f"{path.name}, which reads {file!r}")
            yield content


_InFiles = Constant | Lookup | Series


def read_externals(model: Model, tags: Mapping[str, Path] | None = None) -> Model:
    """``model`` with numbers, tables and series in the place of the files they stand in.

    Parameters
    ----------
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
    return [name for name in external_names(model) if name.startswith("?")]


def _read(model: Model, variable: Variable, tags: Mapping[str, Path] | None) -> Variable:
    """A variable with the numbers of all its files, or of those with these tags alone."""

    def source_of(piece: Piece | TablePiece | ExternalPiece) -> External | None:
        source = _outside(piece)
        return source if tags is None or (source is not None and source.file in tags) else None

    if not isinstance(variable, _InFiles) or all(source_of(piece) is None for piece in variable.pieces):
        return variable
    pieces: list[Any] = []
    for piece in variable.pieces:
        source = source_of(piece)
        if source is not None and tags is not None:
            source = replace(source, file=str(tags[source.file]))
        pieces += [piece] if source is None else _pieces(model, variable, piece, source, named=bool(tags))
    changed: Variable = replace(cast(Any, variable), pieces=tuple(pieces))
    return changed


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
            raise EquationError(model.name, variable.label, _unread(source, problem)) from None
    result: list[tuple[tuple[str, ...], Any]] = []
    lacking: list[tuple[str, ...]] = []
    for elements in product(*coords.values()):
        place = dict(zip(coords, elements, strict=True))
        if isinstance(variable, Constant):
            number = float(array.loc[place]) if coords else float(array)
            result.append((elements, number))
            lacking += [elements] if math.isnan(number) else []
            continue
        along = array.dims[0]
        section = array.loc[place] if coords else array
        x, y = np.asarray(section[along].values, dtype=float), np.asarray(section.values, dtype=float)
        known = ~np.isnan(y)
        result.append((elements, Table(tuple(x[known].tolist()), tuple(y[known].tolist()))))
    if lacking:
        shown = repr(model.label(variable, lacking[0])) + (
            f" and {len(lacking) - 1} more elements" if lacking[1:] else ""
        )
        reason = f"{source.file!r}, tab {source.tab!r}, from {source.cell!r}, has no number in the cell of {shown}"
        warnings.warn(f"{model.name}: {reason}, which is NaN; write one there", stacklevel=2)
    return result


def _unread(source: External, problem: Exception) -> str:
    """Why nothing was read from a file, in our words: PySD's name its own parts."""
    if isinstance(problem, FileNotFoundError):
        return f"reads {source.file!r}, which is not there; put it there, or bring the data (--series)"
    along = f" along {source.row_or_col!r}" if source.row_or_col else ""
    reason = f"reads {source.file!r}, tab {source.tab!r}, from {source.cell!r}{along}, where no numbers can be read"
    if len(source.tab) == 1 and not source.file.lower().endswith((".xls", ".xlsx", ".xlsm")):
        reason += f" with {source.tab!r} between the columns"
    return f"{reason}; mend the cells or the place, or bring the data (--series)"


def _coordinates(model: Model, subscripts: tuple[str, ...]) -> Mapping[str, list[str]]:
    coords = {}
    for position, sub in enumerate(subscripts):
        dimension = model.dimension_by_name.get(sub)
        coords[f"d{position}"] = list(dimension.elements) if dimension is not None else [sub]
    return coords


def _loaded(model: Model, variable: _InFiles, source: External, coords: Mapping[str, list[str]], *, named: bool) -> Any:
    from pysd.py_backend.external import ExtConstant, ExtData, ExtLookup

    assert model.origin is not None
    if source.file.lower().endswith(".vdf"):
        return _recorded(model, variable, source, coords)
    if source.file.startswith("?"):
        # Vensim resolves a tag in its settings, for which its file format is not published
        feature = f"a file behind the tag {source.file!r}"
        way = f"say which file that is (--series '{source.file}=FILE', in Python read_model(series=[…]))"
        raise UnsupportedFeature(feature, variable=variable.label, where=model.name, alternative=way)
    coordinates = dict(coords)
    there = (coordinates, model.origin.path.parent, coordinates, variable.name)
    # PySD opens the file by itself
    file = source.file if named else str(_located(model.origin.path, source.file, model.origin.allowed))
    _check_separator(model.origin.path, source.file, source.tab)
    place = (file, source.tab)
    reader: Any
    match variable:
        case Constant():
            reader = ExtConstant(*place, source.cell, *there)
        case Lookup():
            reader = ExtLookup(*place, source.row_or_col, source.cell, *there)
        case Series():
            # a blank cell is no point of the data: PySD would put one there by the keyword
            reader = ExtData(*place, source.row_or_col, source.cell, "raw", *there)
    reader.initialize()
    return reader.data


def _recorded(model: Model, variable: _InFiles, source: External, coords: Mapping[str, list[str]]) -> Any:
    """Numbers of a variable of a data set at a time, or at the one before it; before all times the first one.

    Ranges of its name are those of the model. Source: Vensim's reference manual, fn_get_vdf_constants, which does not
    say what counts between two times.
    """
    import xarray as xr

    from cipark_sd.language.read.vensim.data_sets import read_data_set

    assert model.origin is not None
    target = _located(model.origin.path, source.file, model.origin.allowed)
    table = read_data_set(read_bytes(target, TABLE_LIMIT), where=str(target))
    columns = {override_key(str(head)): table[head].dropna() for head in table}
    name, subscripts = split_key(source.tab)
    keys = [override_key(flat_name(name, elements)) for elements in product(*_coordinates(model, subscripts).values())]
    lacking = [key for key in keys if key not in columns]
    shape = tuple(map(len, coords.values()))
    if lacking or math.prod(shape) != len(keys):
        has_not = f"has no {lacking[0]!r}" if lacking else f"has {len(keys)} elements of it for {math.prod(shape)}"
        reason = f"reads {source.tab!r} of {source.file!r}, which {has_not}; bring a data set that has it"
        raise EquationError(model.name, variable.label, reason)
    last = [max(int(np.searchsorted(columns[key].index, float(source.cell), side="right")) - 1, 0) for key in keys]
    numbers = [
        columns[key].iloc[place] if len(columns[key]) else math.nan for key, place in zip(keys, last, strict=True)
    ]
    return xr.DataArray(np.reshape(numbers, shape), coords, tuple(coords))
