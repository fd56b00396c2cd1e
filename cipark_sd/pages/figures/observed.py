"""Observed values that stand beside a run, and how a model likes to be shown: ``my.display.toml`` beside ``my.mdl``.

::

    [table]                       # what `cipark run` prints
    columns = ["Total Residents", "Serviced Land"]
    every = 1                     # one row for each year (the model's unit of time)

    [figure]                      # what `cipark run` draws
    variables = ["Total Residents"]
    title = "Residents of the park"

    [observed]                    # points beside the lines
    package = "calibration"       # or leave it out: the file is sought beside this one
    file = "studies/great_stone/data/residents.csv"
    columns = { "Total Residents" = "residents" }
    only = { use = "fit" }
    low = "low"
    high = "high"
    label = "registered"
"""

import importlib.util
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cipark_sd.base.errors import CiparkError, InvalidValue, MissingFile, UnknownName, raise_all
from cipark_sd.base.inputs import as_number, beneath, read_toml
from cipark_sd.base.naming import canonical
from cipark_sd.base.section import Section
from cipark_sd.base.spreadsheets import table_bytes
from cipark_sd.base.timegrid import model_time
from cipark_sd.model.model import Model

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Observed:
    """Dated values of one scalar variable of a model, ``(n_rows,)`` each; ``low`` and ``high`` may be None."""

    variable: str
    times: NDArray[np.float64]
    values: NDArray[np.float64]
    low: NDArray[np.float64] | None = None
    high: NDArray[np.float64] | None = None
    label: str = "observed"

    def within(self, first: float, last: float) -> "Observed":
        """The rows whose time lies in the run."""
        inside = (self.times >= first) & (self.times <= last)
        low, high = (None if edge is None else edge[inside] for edge in (self.low, self.high))
        return Observed(self.variable, self.times[inside], self.values[inside], low, high, self.label)


def read_observed(
    model: Model,
    path: Path,
    columns: Mapping[str, str] | None = None,
    only: Mapping[str, str] | None = None,
    edges: tuple[str, str] = ("", ""),
    label: str = "observed",
) -> tuple[Observed, ...]:
    """The observed values in a CSV file with a column ``date`` (ISO dates, or numbers in the model's unit of time).

    Parameters
    ----------
    columns : mapping of str to str, optional
        Column by variable; without it each column that bears the name of a variable is one.
    only : mapping of str to str, optional
        Rows are kept where these columns have these texts.
    edges : (str, str)
        Columns with the low and the high end of the value's range, or empty.
    label : str
        What the values are called in a figure.

    Returns
    -------
    tuple of Observed
        One for each variable, its rows ascending in time.

    Raises
    ------
    InvalidValue, UnknownName, Problems
        For a missing file or column, a date or number that is none, a variable that the model does not have.
    """
    import pandas as pd

    where = str(path)
    try:
        frame = pd.read_csv(io.BytesIO(table_bytes(path)), dtype=str, keep_default_na=False)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFile(path, where="--data") from None
    except (OSError, ValueError) as problem:
        reason = " ".join(str(getattr(problem, "strerror", None) or problem).split())
        reason = "no text in UTF-8" if isinstance(problem, UnicodeDecodeError) else reason
        raise InvalidValue("the data file", reason, "a CSV table", where=where) from None
    if not isinstance(frame.index, pd.RangeIndex):
        raise InvalidValue("its first row", f"{len(frame.columns)} names", "a name for each column", where=where)
    columns = columns or {name: name for name in frame.columns if canonical(name) in model.by_name}
    needed = ["date", *columns.values(), *(only or ()), *filter(None, edges)]
    raise_all(where, [UnknownName(c, frame.columns, kind="column", where=where) for c in needed if c not in frame])
    if not columns:
        raise InvalidValue(
            "its columns", ", ".join(frame.columns), f"at least one named like a variable of {model.name}", where=where
        )
    for column, text in (only or {}).items():
        frame = frame[frame[column] == text]
    problems: list[CiparkError] = []
    times = _column(frame, "date", lambda text: model_time(text, model.time.units), where, problems)
    ranges = [_column(frame, name, as_number, where, problems) if name else None for name in edges]
    series = []
    for name, column in columns.items():
        variable = model[name]
        if variable.dims:
            raise InvalidValue(f"the variable {variable.label!r}", "subscripted", "a scalar variable", where=where)
        values = _column(frame, column, as_number, where, problems, blank_is_missing=True)
        problems += _twice(frame, times, values, column, where)
        series.append((variable.name, values))
    raise_all(where, problems)
    result = []
    for name, values in series:
        order = np.argsort(times, kind="stable")
        order = order[~np.isnan(values[order])]
        low, high = (None if edge is None or len(series) > 1 else edge[order] for edge in ranges)
        result.append(Observed(name, times[order], values[order], low, high, label))
    return tuple(result)


def _twice(
    frame: "pd.DataFrame", times: NDArray[np.float64], values: NDArray[np.float64], column: str, where: str
) -> Iterator[CiparkError]:
    """Each row whose time another row has before it, where both have a value."""
    line_of: dict[float, int] = {}
    for row, time, value in zip(frame.index, times, values, strict=True):
        line = int(row) + 2
        if np.isnan(time) or np.isnan(value):
            continue
        if time in line_of:
            expected = f"one value of {column!r} for each time; line {line_of[time]} has this time already"
            yield InvalidValue(f"'date' in line {line}", f"{time:.10g}", expected, where=where)
        line_of.setdefault(time, line)


def _column(
    frame: "pd.DataFrame",
    column: str,
    convert: Callable[[str], float],
    where: str,
    problems: list[CiparkError],
    *,
    blank_is_missing: bool = False,
) -> NDArray[np.float64]:
    """A column as numbers; what is none goes to ``problems`` with its line."""
    values = np.full(len(frame), np.nan)
    for position, (row, text) in enumerate(frame[column].items()):
        if blank_is_missing and not text.strip():
            continue
        try:
            values[position] = convert(text)
            if not np.isfinite(values[position]):
                raise ValueError(text)
        except ValueError:
            expected = "a date such as 2019-12-31 or a number" if column == "date" else "a number"
            problems.append(InvalidValue(f"{column!r} in line {int(str(row)) + 2}", text, expected, where=where))
    return values


def _nothing(model: Model) -> tuple[Observed, ...]:
    return ()


@dataclass(frozen=True)
class Display:
    """Empty where the file says nothing."""

    columns: tuple[str, ...] = ()
    every: float | None = None
    variables: tuple[str, ...] = ()
    title: str = ""
    #: Reads the observed values for a model.
    observed: Callable[[Model], tuple[Observed, ...]] = _nothing


def display_of(model_path: Path, allow_files: Sequence[Path] = ()) -> Display:
    """The display file beside a model.

    Parameters
    ----------
    allow_files : sequence of Path
        The observed values lie beneath the folder of the file, beneath the package that it names, or beneath one of
        these.

    Returns
    -------
    Display
        An empty one where there is no file.

    Raises
    ------
    InvalidValue, UnknownName, Problems
        For a file that is not TOML, a key that is not known, or a value of the wrong kind.
    """
    path = model_path.with_suffix(".display.toml")
    if not path.exists():
        return Display()
    content, problems = read_toml(path), list[CiparkError]()
    top = Section(content, "", problems)
    table, figure, observed = map(top.table, ("table", "figure", "observed"))
    every = table.number("every") if "every" in table else None
    if every is not None and every <= 0:
        table.wrong("every", "a positive number")
    columns, variables, title = table.names("columns"), figure.names("variables"), figure.text("title", "")
    file = observed.text("file") if "observed" in top else ""
    package, low, high = (observed.text(key, "") for key in ("package", "low", "high"))
    label = observed.text("label", "observed")
    named = [observed.table(key, key) for key in ("columns", "only")]
    by_name, only = ({name: entries.text(name) for name in entries.content} for entries in named)
    for section in (top, table, figure, observed):
        section.note_unread()
    raise_all(str(path), problems)
    if not file:
        return Display(columns, every, variables, title)
    folder = _folder_of(package) if package else path.parent
    if folder is None:
        raise InvalidValue("'package' in [observed]", package, "an installed package", where=str(path))
    place = beneath(folder, file, allow_files, where=str(path))
    read = partial(read_observed, path=place, columns=by_name, only=only, edges=(low, high), label=label)
    return Display(columns, every, variables, title, read)


def _folder_of(package: str) -> Path | None:
    """The folder of an installed package, of which nothing is imported: a display file names data, and data only.

    Python imports ``a`` to find ``a.b``, so only ``a`` is sought that way, and ``b`` is a folder in it.
    """
    top, *inner = package.split(".")
    if not all(part.isidentifier() for part in (top, *inner)):
        return None
    try:
        spec = importlib.util.find_spec(top)
    except ValueError:
        # a module that runs without a place of its own, such as __main__
        return None
    places = (spec and spec.submodule_search_locations) or ()
    return next((folder for place in places if (folder := Path(place, *inner)).is_dir()), None)
