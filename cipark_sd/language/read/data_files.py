"""Values of data variables from files that the user names: the datasets of Vensim.

A table has times down (first column ``Time``) or across (first row), a column or row a variable, elements as
``name[a,b]``; an empty cell says nothing. A ``.dat`` file has a line with the name of a variable and then lines of time
and value, and a ``.vdf`` is Vensim's own file of a run. Source: Vensim's reference manual, "Preparing, Using and
Exporting Data" and "dat Format".
"""

import csv
import importlib.util
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cipark_sd.base.errors import CiparkError, InvalidValue, installing, raise_all
from cipark_sd.base.inputs import number_in
from cipark_sd.base.naming import canonical, override_key, split_key
from cipark_sd.base.spreadsheets import cells
from cipark_sd.language.read.external_files import read_externals, series_bytes, tags_of, with_contents
from cipark_sd.model.expr import MISSING, Table
from cipark_sd.model.model import Model
from cipark_sd.model.variables import ExternalPiece, Series

if TYPE_CHECKING:
    import pandas as pd

VDF_SUFFIXES = (".vdf", ".vdfx")
SUFFIXES = (".csv", ".tab", ".tsv", ".dat", ".xlsx", *VDF_SUFFIXES)
#: Values by time, by variable and elements.
_Points = dict[tuple[str, tuple[str, ...]], dict[float, float]]


def with_series(model: Model, files: Sequence[Path | str], *, where: str) -> Model:
    """``model`` with the values of its data variables from files; of several files that have one, the last counts.

    ``?name=FILE`` says which spreadsheet a tag of the model stands for (Vensim: Model > Settings > XLS Files).
    Only data variables take them: a column that bears the name of a variable with an equation is passed over, as in
    Vensim. How a value is found between two times is what the model says of the variable (``:RAW:`` and its like).

    Parameters
    ----------
    model : Model
    files : sequence of path
        ``.csv``, ``.tab``, ``.tsv``, ``.dat``, ``.xlsx`` (its one sheet with cells), ``.vdf`` or ``.vdfx``.
    where : str
        The option or argument that names them, for messages.

    Returns
    -------
    Model

    Raises
    ------
    InvalidValue, Problems
        For a file that is missing, cannot be read, or has nothing for any data variable.
    """
    if not files:
        return model
    tagged = _tagged(model, [str(file) for file in files if str(file).startswith("?")], where)
    tables = [Path(file) for file in files if not str(file).startswith("?")]
    contents, problems = [series_bytes(file, where=where) for file in tagged.values()], list[CiparkError]()
    if tagged:
        model = read_externals(model, tagged)
    points: _Points = {}
    n_subscripts = {variable.name: len(variable.dims) for variable in model.series}
    if tables and not n_subscripts:
        raise InvalidValue("the model", model.name, "a model that has data variables without values", where=where)
    for file in tables:
        try:
            if file.suffix.lower() not in SUFFIXES:
                raise InvalidValue("the data file", file.name, f"one of {', '.join(SUFFIXES)}", where=where)
            raw = series_bytes(file, where=where)
            read = {key: values for key, values in _read(file, raw, n_subscripts, where).items() if values}
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
    digest = with_contents(model.digest, contents)
    named = (*tagged.values(), *(file.resolve() for file in tables))
    origin = model.origin and replace(model.origin, series=named)
    return replace(model, variables=variables, digest=digest, origin=origin)


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


def _read(file: Path, raw: bytes, n_subscripts: Mapping[str, int], where: str) -> _Points:
    if file.suffix.lower() in VDF_SUFFIXES:
        table = read_vdf(file, role="the data file", where=where)
        columns = ((_key(str(head), n_subscripts), table[head].dropna()) for head in table)
        return {
            key: dict(zip(column.index.to_numpy(float).tolist(), column.to_numpy(float).tolist(), strict=True))
            for key, column in columns
            if key
        }
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


def _from_rows(file: Path, rows: Sequence[Sequence[str]], n_subscripts: Mapping[str, int]) -> _Points:
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    if not rows:
        raise InvalidValue("the data file", "empty", "a table", where=str(file))
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
    width = len(rows[0])
    return [[row[i] if i < len(row) else "" for row in rows] for i in range(width)]


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
    name, elements = split_key(override_key(label))
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
    path : Path
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
        table: pd.DataFrame = simlin.load_vdf(str(path))
    except simlin.SimlinError as problem:
        reason = " ".join(str(problem).split())
        raise InvalidValue("its content", reason, "a run of Vensim's", where=str(path)) from None
    # recorded runs of Vensim's have twice the number of the manual for :NA:
    return table.mask(table == 2 * MISSING)
