"""Model files, the one way to read one, and values of its data variables from files that the user names.

The latter are the datasets of Vensim. A table has times down (first column ``Time``) or across (first row), a column or
row a variable, elements as ``name[a,b]``; an empty cell says nothing. A ``.dat`` file has a line with the name of a
variable and then lines of time and value, and a ``.vdf`` is Vensim's own file of a run. Source: Vensim's reference
manual, "Preparing, Using and Exporting Data" and "dat Format".
"""

import csv
import importlib.util
import io
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cipark_sd.base.errors import (
    CiparkError,
    InvalidValue,
    MissingFile,
    ModelFileError,
    UnusableInput,
    installing,
    like_file,
    raise_all,
)
from cipark_sd.base.inputs import MODEL_LIMIT, TABLE_LIMIT, check_readable, number_in, read_bytes
from cipark_sd.base.library import located
from cipark_sd.base.naming import canonical, split_key
from cipark_sd.base.spreadsheets import cells
from cipark_sd.language.read.external_files import read_externals, tags_of
from cipark_sd.model.expr import MISSING, Table
from cipark_sd.model.model import Model, digest_of
from cipark_sd.model.variables import ExternalPiece, Series, Variable

if TYPE_CHECKING:
    import pandas as pd

VENSIM_SUFFIXES = (".mdl",)
SUFFIXES = (*VENSIM_SUFFIXES, ".xmile", ".xml", ".stmx", ".itmx")
VDF_SUFFIXES = (".vdf", ".vdfx")
#: How a data set of Vensim's begins.
DATA_SET = bytes.fromhex("7ff71741")
_DATA_SUFFIXES = (".csv", ".tab", ".tsv", ".dat", ".xlsx", *VDF_SUFFIXES)
#: Values by time, by variable and elements.
_Points = dict[tuple[str, tuple[str, ...]], dict[float, float]]


def read_model(path: Path | str, *, allow_files: Sequence[Path | str] = (), series: Sequence[Path | str] = ()) -> Model:
    """The model in a Vensim (``.mdl``) or XMILE (``.xmile``, ``.xml``, ``.stmx``) file.

    >>> from cipark_sd import bundled, read_model
    >>> model = read_model(bundled("core.mdl"))
    >>> model["Potential Firms"].units
    'firm'

    Parameters
    ----------
    path : path
        Or the name of a model that comes with the package, such as ``core``.
    allow_files : sequence of path
        Folders beneath which files may lie that the model names (``GET DIRECT …``), beside the model's own.
    series : sequence of path
        Files with values over time for the model's data variables; see
        :func:`cipark_sd.language.read.model_file.with_series`.
    Returns
    -------
    Model
        With its equations as they stand; nothing has been run.

    Raises
    ------
    ModelFileError
        When the file is missing, is neither format, is no regular file or too large, or cannot be taken apart into
        equations.
    OutsideFolder
        When it names a file that lies elsewhere, links resolved.
    EquationError, UnknownName, Problems
        For what is wrong in the equations, all of it at once.
    InvalidValue
        When a file of ``series`` cannot be read or has nothing for the model.
    """
    path = located(Path(path))
    # Path raises where a name is too long
    if not os.path.exists(path):
        raise ModelFileError(path, _missing(path))
    if path.suffix.lower() not in SUFFIXES and not path.is_dir():
        listed = ", ".join(SUFFIXES)
        raise ModelFileError(path, f"is neither a Vensim nor an XMILE model (known endings: {listed})")
    raw = model_bytes(path)
    allowed = tuple(Path(folder).resolve() for folder in allow_files)
    # of the two readers the one that is needed
    if path.suffix.lower() in VENSIM_SUFFIXES:
        from cipark_sd.language.read.vensim.reader import read_vensim as read
    else:
        from cipark_sd.language.read.xmile.reader import read_xmile as read
    return with_series(read(path, raw, allowed), series, where="--series")


def as_model(model: Model | Path | str) -> Model:
    """A model as it is; of a path, the model in that file.

    Raises
    ------
    ModelFileError, OutsideFolder, EquationError, UnknownName, Problems
        As :func:`read_model`.
    UnusableInput
        For anything else.
    """
    if not isinstance(model, Model | Path | str):
        within = "; its model is .model" if hasattr(model, "model") else ""
        raise UnusableInput(f"{type(model).__name__} is neither a model nor a path{within}", where="the model")
    return model if isinstance(model, Model) else read_model(model)


def _missing(path: Path) -> str:
    folder = path.parent if path.parent.is_dir() else Path()
    near = like_file(path.name, (entry.name for entry in folder.iterdir() if entry.is_file()))
    return "does not exist" + (f"; did you mean {near!r}?" if near else "")


def model_bytes(path: Path) -> bytes:
    """What a model file holds.

    Raises
    ------
    ModelFileError
        When it cannot be read: a folder, a pipe, a device, a file beyond all size.
    """
    try:
        return read_bytes(path, MODEL_LIMIT)
    except IsADirectoryError:
        raise ModelFileError(path, "is a folder, not a model file") from None
    except OSError as problem:
        raise ModelFileError(path, f"cannot be read: {problem.strerror}") from None


def with_series(model: Model, files: Sequence[Path | str], *, where: str, compared: bool = False) -> Model:
    """``model`` with the values of its data variables from files; of several files that have one, the last counts.

    ``?name=FILE`` says which spreadsheet a tag of the model stands for (Vensim: Model > Settings > XLS Files).
    Only data variables take them: a column that bears the name of a variable with an equation is passed over, as in
    Vensim. How a value is found between two times is what the model says of the variable (``:RAW:`` and its like).

    Parameters
    ----------
    files : sequence of path
        ``.csv``, ``.tab``, ``.tsv``, ``.dat``, ``.xlsx`` (its one sheet with cells), ``.vdf`` or ``.vdfx``.
    where : str
        The option or argument that names them, for messages.
    compared : bool
        Whether a file may have nothing but data of variables with equations, for comparisons (:func:`recorded`).

    Raises
    ------
    InvalidValue, Problems
        For a file that is missing, cannot be read, or has nothing for any data variable.
    """
    if not files:
        return model
    tagged = _tagged(model, [str(file) for file in files if str(file).startswith("?")], where)
    tables = [Path(file) for file in files if not str(file).startswith("?")]
    contents, problems = [_series_bytes(file, where=where) for file in tagged.values()], list[CiparkError]()
    if tagged:
        model = read_externals(model, tagged)
    points: _Points = {}
    n_subscripts = {variable.name: len(variable.dims) for variable in (model.variables if compared else model.series)}
    if tables and not n_subscripts:
        raise InvalidValue("the model", model.name, "a model that has data variables without values", where=where)
    for file in tables:
        try:
            if file.suffix.lower() not in _DATA_SUFFIXES:
                raise InvalidValue("the data file", file.name, f"one of {', '.join(_DATA_SUFFIXES)}", where=where)
            raw = _series_bytes(file, where=where)
            read = {key: values for key, values in _read(model, file, raw, n_subscripts, where).items() if values}
            if not read:
                names = ", ".join(variable.label for variable in model.series[:8])
                raise InvalidValue(
                    f"the columns of {file.name!r}", "none of them", f"data variables: {names}", where=where
                )
            points |= read
            contents.append(raw)
        except CiparkError as problem:
            problems.append(problem)
    raise_all(where, problems)
    variables = tuple(
        _filled(model, variable, points) if isinstance(variable, Series) else variable for variable in model.variables
    )
    digest = digest_of(model.digest.encode(), *contents) if contents else model.digest
    named = (*tagged.values(), *(file.resolve() for file in tables))
    origin = model.origin and replace(model.origin, series=named)
    return replace(model, variables=variables, digest=digest, origin=origin)


def recorded(model: Model, variable: Variable, *, where: str) -> Series:
    """What the files of a model's data variables have under the name of a variable that the model computes.

    Such columns are passed over where the model runs, and are what a comparison with data means.

    Parameters
    ----------
    variable : Variable
        Of the model.
    where : str
        What asks for it, for messages.

    Returns
    -------
    Series
        Without any piece where the files have none.
    """
    points: _Points = {}
    for file in model.origin.series if model.origin else ():
        if file.suffix.lower() in _DATA_SUFFIXES:
            raw = _series_bytes(file, where=where)
            points |= _read(model, file, raw, {variable.name: len(variable.dims)}, where)
    return _filled(model, Series(name=variable.name, label=variable.label, dims=variable.dims, pieces=()), points)


def _series_bytes(file: Path, *, where: str) -> bytes:
    """What a table with values of data variables holds.

    Raises
    ------
    InvalidValue
        When there is none, or it cannot be read.
    """
    try:
        return read_bytes(file, TABLE_LIMIT)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFile(file, where=where) from None
    except OSError as problem:
        raise InvalidValue("the data file", problem.strerror, "a table that can be read", where=str(file)) from None


def _tagged(model: Model, entries: Sequence[str], where: str) -> dict[str, Path]:
    """The file of each tag, as entries ``?name=FILE`` have it."""
    known, files = tags_of(model), dict[str, Path]()
    for entry in entries:
        tag, _, file = entry.partition("=")
        if tag not in known or not file:
            expected = f"?tag=FILE with a tag of the model: {', '.join(known) or 'it has none'}"
            raise InvalidValue("the tag", entry, expected, where=where)
        files[tag] = Path(file).resolve()
    return files


def _filled(model: Model, variable: Series, points: _Points) -> Series:
    """A data variable with what the files have of it, element by element.

    An element that they leave out keeps the data that it has, and is missing where there are none, as in Vensim.
    """
    by_elements = {elements: values for (name, elements), values in points.items() if name == variable.name}
    if not by_elements:
        return variable
    known = [elements for elements in model.elements(variable) if elements in by_elements]
    pieces = [ExternalPiece(_table(by_elements[elements]), elements) for elements in known]
    if all(piece.source is None for piece in variable.pieces):
        left_out = (elements for elements in model.elements(variable) if elements not in by_elements)
        pieces += [ExternalPiece(Table((0.0,), (MISSING,)), elements) for elements in left_out]
    # of the pieces that cover an element the last one counts
    return replace(variable, pieces=(*variable.pieces, *pieces))


def _table(values: Mapping[float, float]) -> Table:
    times = sorted(values)
    return Table(tuple(times), tuple(values[time] for time in times))


def _read(model: Model, file: Path, raw: bytes, n_subscripts: Mapping[str, int], where: str) -> _Points:
    if raw.startswith(DATA_SET):
        from cipark_sd.language.read.vensim.data_sets import read_data_set

        return _of_columns(read_data_set(raw, str(file)), n_subscripts)
    if file.suffix.lower() in VDF_SUFFIXES:
        table = read_vdf(file, role="the data file", where=where)
        # pysimlin 0.8.5 spreads the points of what was data in a run evenly over it: times and values are wrong
        recorded = {split_key(str(head))[0] for head in table}
        if model.stocks and all(stock.name in recorded for stock in model.stocks):
            expected = "a run of another model, which computes them, or the data as a table (.csv, .xlsx, .dat, .tab)"
            raise InvalidValue("the data variables of this model's own run", file.name, expected, where=where)
        return _of_columns(table, n_subscripts)
    if file.suffix.lower() == ".xlsx":
        return _from_rows(file, cells(raw, file), n_subscripts)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", "replace")
    if file.suffix.lower() == ".dat":
        return _from_dat(file, text, n_subscripts)
    separator = "," if file.suffix.lower() == ".csv" else "\t"
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        rows = list(csv.reader(io.StringIO(lines), delimiter=separator))
    except csv.Error as problem:
        raise InvalidValue("the data file", str(problem), "a table of cells", where=str(file)) from None
    return _from_rows(file, rows, n_subscripts)


def _of_columns(table: "pd.DataFrame", n_subscripts: Mapping[str, int]) -> _Points:
    """The columns of data variables, without what is missing."""
    columns = ((_key(str(head), n_subscripts), table[head].dropna()) for head in table)
    return {
        key: dict(zip(column.index.to_numpy(float).tolist(), column.to_numpy(float).tolist(), strict=True))
        for key, column in columns
        if key
    }


def _from_rows(file: Path, rows: Sequence[Sequence[str]], n_subscripts: Mapping[str, int]) -> _Points:
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    if not rows:
        raise InvalidValue("the data file", "empty", "a table", where=str(file))
    beyond = [cell for cell in rows[0][2:] if cell.strip()]
    if beyond and not _is_number(rows[0][1]) and all(map(_is_number, beyond)):
        # a column of variables and one of their elements, and times across
        named = [f"{row[0]}[{row[1]}]" if row[1:] and row[1].strip() else row[0] for row in rows]
        rows = [[rows[0][0], *rows[0][2:]], *([name, *row[2:]] for name, row in zip(named[1:], rows[1:], strict=True))]
    # times across where the first row goes on with numbers
    across = len(rows[0]) > 1 and all(_is_number(cell) for cell in rows[0][1:] if cell.strip())
    if not across and not canonical(rows[0][0]).startswith("time"):
        expected = "'Time' over the times, or times in the first row"
        raise InvalidValue("the first cell", rows[0][0], expected, where=f"{file}:1")
    table = rows if across else _turned(rows)
    points: _Points = {}
    for row in table[1:]:
        key = _key(row[0], n_subscripts)
        if key is None:
            continue
        place = points[key] = {}
        for time, value in zip(table[0][1:], row[1:], strict=False):
            if time.strip() and value.strip():
                at = _number(time, f"a time of {row[0]!r}", file)
                number = _number(value, f"a value of {row[0]!r}", file)
                if place.setdefault(at, number) != number:
                    expected = f"one value of {row[0]!r} for each time; {place[at]:.10g} comes before"
                    raise InvalidValue(f"its value at {at:.10g}", f"{number:.10g}", expected, where=str(file))
    return points


def _turned(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    return [[row[i] if i < len(row) else "" for row in rows] for i in range(len(rows[0]))]


def _from_dat(file: Path, text: str, n_subscripts: Mapping[str, int]) -> _Points:
    points: _Points = {}
    place: dict[float, float] | None = None
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and _is_number(words[0]) and _is_number(words[1]):
            if place is not None:
                place[float(words[0])] = float(words[1])
        elif words:
            # behind the name a time base in angle brackets or a comment
            key = _key(line.partition("/")[0].partition("<")[0], n_subscripts)
            place = None if key is None else points.setdefault(key, {})
    return points


def _key(label: str, n_subscripts: Mapping[str, int]) -> tuple[str, tuple[str, ...]] | None:
    """Variable and elements of a column, where it is a data variable with as many subscripts."""
    name, elements = split_key(label)
    return (name, elements) if n_subscripts.get(name) == len(elements) else None


def _is_number(text: str) -> bool:
    return math.isfinite(number_in(text))


def _number(text: str, quantity: str, file: Path) -> float:
    if not _is_number(text):
        raise InvalidValue(quantity, text, "a number", where=str(file))
    return float(text)


def read_vdf(path: Path, *, role: str, where: str) -> "pd.DataFrame":
    """The columns of a run by variable and element, NaN where there is no value; the index is time.

    Parameters
    ----------
    role, where : str
        What the file is, and the option that names it, for messages.

    Returns
    -------
    DataFrame, (n_times, n_columns)

    Raises
    ------
    InvalidValue
        When pysimlin is not installed or does not read the file. ``role`` and ``where`` are for the message.
    """
    if importlib.util.find_spec("simlin") is None:
        expected = f"a .csv, or pysimlin installed to read a .vdf ({installing('loops')})"
        raise InvalidValue(role, path.name, expected, where=where)
    import simlin

    try:
        check_readable(path, TABLE_LIMIT)
        table: pd.DataFrame = simlin.load_vdf(str(path))
    except OSError as problem:
        raise UnusableInput(f"the file cannot be read ({problem.strerror})", where=str(path)) from None
    except simlin.SimlinError as problem:
        reason = " ".join(str(problem).split())
        raise InvalidValue("its content", reason, "a run of Vensim's", where=str(path)) from None
    # recorded runs of Vensim's have twice the number of the manual for :NA:
    return table.mask(table == 2 * MISSING)
