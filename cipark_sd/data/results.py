"""The schema of a result: an :class:`xarray.Dataset` that says what it is.

Dims are ``time`` and then subscripts, with ``scenario``, ``run`` or ``chain, draw`` in front where there are several
runs. Variables go by canonical name and carry ``long_name`` (the modeller's name), ``units`` and ``kind``. The
Dataset's attributes say which model, scenario, engine, method, step and version made it.
"""

import csv
import errno
import io
import json
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from xarray.backends.memory import InMemoryDataStore
from xarray.indexes import PandasIndex

from cipark_sd.base.errors import InvalidValue, MissingFile, UnknownName, UnusableInput
from cipark_sd.base.files import write_bytes
from cipark_sd.base.inputs import MEGABYTE, UnreadableFile, read_bytes
from cipark_sd.base.naming import canonical, override_key, protected_among, split_key
from cipark_sd.base.spreadsheets import cells, table_bytes, write_workbook
from cipark_sd.data.described import (
    FORMAT,
    SUFFIXES,
    Described,
    check_writable,
    columns,
    netcdf_bytes,
    unwritable,
    write_table,
)
from cipark_sd.data.netcdf import DAMAGED, Group, read_groups


class Dataset(xr.Dataset):  # type: ignore[no-untyped-call]
    """A result, whose variables go by canonical names; another one is a short error that proposes them."""

    __slots__ = ()

    def __getitem__(self, key: Any) -> Any:
        try:
            return super().__getitem__(key)
        except KeyError:
            if not isinstance(key, str):
                raise
            there = override_key(key) in self.variables
        advice = f"did you mean {override_key(key)!r}, or result.cp[{key!r}]?" if there else ""
        raise UnknownName(key, () if there else map(str, self.variables), where="the result", instead=advice)


def dataset(
    data: Mapping[str, Described], coords: Mapping[str, Described], attributes: Mapping[str, str | int | float]
) -> xr.Dataset:
    """The Dataset ``xr.Dataset(data, coords, attrs)`` of variables that fit the coordinates and each other.

    Parameters
    ----------
    data : dimensions, values and attributes of each variable; every dimension has a coordinate
    coords : the same of coordinates; one that bears the name of its one dimension becomes an index
    attributes : what the result says of itself

    Notes
    -----
    Hundreds of variables that are made together need no alignment, which takes ten times as long as a run. xarray makes
    its own copies in this way; a version of it without the method is given the variables as they are.
    """
    construct = getattr(Dataset, "_construct_direct", None)
    if construct is None:
        base = Dataset(coords=coords, attrs=dict(attributes))
        return base.assign({name: xr.Variable(*described) for name, described in data.items()})
    variables = {
        name: xr.Variable(dims, values, dict(about), fastpath=True) for name, (dims, values, about) in data.items()
    }
    indexes: dict[str, PandasIndex] = {}
    for name, (dims, values, about) in coords.items():
        coordinate = {name: xr.Variable(dims, values, dict(about), fastpath=True)}
        if dims == (name,):
            indexes[name] = _index(name, values)
            coordinate = indexes[name].create_variables(coordinate)
        variables |= coordinate
    made: Dataset = construct(
        variables=variables,
        coord_names=set(coords),
        dims={name: len(coords[name][1]) for name in indexes},
        attrs=dict(attributes),
        indexes=indexes,
    )
    return made


#: Indexes of as many small coordinates are kept: the runs and the times of call after call are the same.
_KEPT, _SMALL = 64, 2**15


def _index(name: str, values: NDArray[Any]) -> PandasIndex:
    """The index of a coordinate; pandas takes longer to make one than some models take to run."""
    if values.nbytes > _SMALL or values.dtype == object:
        return _made_index(name, values)
    return _kept_index(name, values.dtype.str, values.tobytes())


@lru_cache(maxsize=_KEPT)
def _kept_index(name: str, dtype: str, content: bytes) -> PandasIndex:
    # a frombuffer view cannot be written to, and an index never is
    return _made_index(name, np.frombuffer(content, dtype=dtype))


def _made_index(name: str, values: NDArray[Any]) -> PandasIndex:
    # xarray asks dask about an array, which takes longer to load than a run; an index of pandas is none of dask's
    index = pd.Index(values, dtype=object if values.dtype == object else None)
    return PandasIndex(index, name, coord_dtype=values.dtype)


@xr.register_dataset_accessor("cp")  # type: ignore[no-untyped-call]
class Labelled:
    """Variables of a result by their names as people write them: ``run.cp["Pool[East]"]``."""

    def __init__(self, result: xr.Dataset) -> None:
        self._result = result

    def __getitem__(self, label: str) -> xr.DataArray:
        """The variable or drawn input of that name; of ``Name[element]``, that element.

        Raises
        ------
        UnknownName
            With the closest names there are.
        """
        result = self._result
        key = override_key(protected_among(label, set(map(str, result.variables))))
        if key in result.variables:
            return result[key]
        base, elements = split_key(key)
        known = [str(array.attrs.get("long_name", name)) for name, array in result.variables.items()]
        if base not in result.variables:
            raise UnknownName(label, known, where="the result")
        array = result[base]
        dims = [dim for dim in array.dims if dim not in ("run", "scenario", "chain", "draw", "time")]
        if len(elements) != len(dims):
            raise UnknownName(label, [str(array.attrs.get("long_name", base))], where="the result")
        for dim, element in zip(dims, elements, strict=True):
            names = [str(name) for name in result[dim].to_numpy()]
            places = [place for place, name in enumerate(names) if canonical(name) == canonical(element)]
            if not places:
                raise UnknownName(element, names, kind="element", where=str(array.attrs.get("long_name", base)))
            array = array.isel({dim: places[0]})
        return array


#: What a sheet of a workbook holds (Excel specifications and limits, Microsoft).
_MOST_ROWS, _MOST_COLUMNS = 1_048_576, 16_384


def save(result: xr.Dataset, path: Path | str) -> None:
    """Write a result as NetCDF (``.nc``) or as a wide table (``.csv``, ``.xlsx``); files appear whole or not at all.

    >>> import tempfile
    >>> from cipark_sd import bundled, load, save, simulate
    >>> run = simulate(bundled("core.mdl"), save=["Residents"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(run, f"{folder}/run.nc")
    ...     load(f"{folder}/run.nc").identical(run)
    True

    A CSV file is the table and nothing else, so that everything opens it. What the result says of itself stands beside
    it in ``NAME.csv-metadata.json``, where the W3C's CSV on the Web looks for it; in a workbook on a sheet ``about``.

    Parameters
    ----------
    result : of a run or of many
    path : its ending says which kind of file it is

    Raises
    ------
    InvalidValue
        For another ending, or where the file cannot be written.
    """
    path = Path(path)
    check_writable(path, endings=SUFFIXES, where="save")
    try:
        _write(result, path)
    except OSError as problem:
        raise unwritable(path, problem) from None


def load_what_writes() -> None:
    """Load the packages that xarray loads with the first Dataset.

    An import that Ctrl-C cuts short leaves half of a package behind, with which no result can be written any more; so
    a command that writes what is done when it is stopped loads them before.
    """
    xr.Dataset({"a": ("x", [0.0])})


def write_netcdf(content: "xr.Dataset | xr.DataTree", path: Path) -> Path:
    """Write a Dataset or a tree of them as NetCDF, whole or not at all.

    It is made in memory and written at once: where the disk is full, the HDF5 library leaves a file open that it
    cannot close, and takes the process down at its end.

    Parameters
    ----------
    content : a tree becomes groups
    path : in a folder that is there

    Returns
    -------
    Path
        ``path``.
    """
    return write_bytes(path, netcdf_bytes(content))


def read_netcdf(path: Path) -> xr.Dataset:
    """The Dataset that :func:`write_netcdf` wrote, in memory, with its numbers as they stand there."""
    result = dataset_of(read_groups(path, "/", limit=sys.maxsize)["/"], path)
    # how it was stored says nothing of what may be joined to it: a text of three letters would be cut to the two here
    result = result.drop_encoding()
    return result.rename({name: str(name).replace("\u2215", "/") for name in result.variables if "\u2215" in str(name)})


def dataset_of(group: Group, path: Path, *, times: bool = False) -> xr.Dataset:
    """A group of a NetCDF file as a Dataset, its conventions (scales, missing values, coordinates) applied.

    Parameters
    ----------
    group : of :func:`~cipark_sd.data.netcdf.read_groups`
    path : of the file, for messages
    times : whether numbers that say "days since" or alike become dates

    Raises
    ------
    OSError
        For a damaged file.
    """
    try:
        variables = {
            name: xr.Variable(dims, values, about, {"dtype": str} if values.dtype == object else None)
            for name, (dims, values, about) in group.variables.items()
        }
        store = InMemoryDataStore(variables, group.attributes)  # type: ignore[no-untyped-call]
        return xr.load_dataset(store, engine="store", decode_times=times, decode_timedelta=times)
    except DAMAGED as problem:
        raise UnreadableFile(errno.EINVAL, f"it is damaged ({problem})", str(path)) from None


def _write(result: xr.Dataset, path: Path) -> None:
    if path.suffix.lower() == ".nc":
        write_netcdf(result, path)
        return
    table, attributes = to_table(result), _attributes(result)
    if path.suffix.lower() == ".xlsx":
        if len(table.columns) >= _MOST_COLUMNS or len(table) >= _MOST_ROWS:
            size = f"{len(table):,} rows and {len(table.columns) + 1:,} columns"
            expected = (
                f"{_MOST_ROWS:,} rows and {_MOST_COLUMNS:,} columns at most in .xlsx; --variables and --at choose"
            )
            raise InvalidValue("the table", size, expected, where="save")
        rows = zip(table.index.tolist(), *(table[column].tolist() for column in table), strict=True)
        write_workbook(path, {"run": [("time", *table.columns), *rows], "about": attributes.items()})
        return
    written = {str(name): table[name].to_numpy() for name in table}
    write_table(path, {"time": table.index.to_numpy(), **written}, attributes)


def _attributes(result: xr.Dataset) -> dict[str, object]:
    """What a result says of itself, in types of Python."""
    return {str(key): value.item() if isinstance(value, np.generic) else value for key, value in result.attrs.items()}


def load(path: Path | str) -> xr.Dataset:
    """A result from a file that :func:`save` or ``cipark run`` has written, in memory.

    >>> import tempfile
    >>> from cipark_sd import bundled, load, save, simulate
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(simulate(bundled("core.mdl"), save=["Residents"]), f"{folder}/run.nc")
    ...     load(f"{folder}/run.nc").attrs["model"]
    'core'

    Parameters
    ----------
    path : Path or str
        NetCDF, ``.csv`` or ``.xlsx``.

    Returns
    -------
    Dataset
        Of NetCDF as :func:`cipark_sd.simulate` or :func:`cipark_sd.ensemble` gave it. Of a table each column is a
        variable over time, ``Pool[East]`` too: :func:`to_table` gives the same one.

    Raises
    ------
    InvalidValue
        When the file is not a result of this package.
    """
    path = Path(path)
    try:
        if path.suffix.lower() in SUFFIXES[1:]:
            return _from_table(path)
        # a run may be of any size
        result = read_netcdf(path)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFile(path, where="load") from None
    except OSError as problem:
        reason = problem.strerror or "the file is no NetCDF, which save() writes; read_model() reads models"
        if path.is_dir():
            reason = "it is a folder; load_fit() reads what fit.save() left in one"
        raise UnusableInput(reason, where=str(path)) from None
    if result.attrs.get("format") != FORMAT:
        raise InvalidValue("its format", result.attrs.get("format"), repr(FORMAT), where=str(path))
    return Dataset(result.data_vars, result.coords, result.attrs)


def _from_table(path: Path) -> Dataset:
    """What a table holds, and what the file or the sheet beside it says of it, if that is there."""
    book = path.suffix.lower() == SUFFIXES[2]
    try:
        text = table_bytes(path, sheet="run" if book else None).decode("utf-8-sig")
        head, *rows = csv.reader(io.StringIO(text))
        times, *values = np.array([[float(cell or "nan") for cell in row] for row in rows]).T
        beside = path.with_name(f"{path.name}-metadata.json")
        if book:
            about = dict(row[:2] for row in cells(path.read_bytes(), path, sheet="about"))
        else:
            about = json.loads(read_bytes(beside, MEGABYTE))["notes"][0] if beside.is_file() else {}
        named = zip(head[1:], values, strict=True)
        columns = {override_key(name): ("time", column, {"long_name": name}) for name, column in named}
        return Dataset(columns, {"time": times}, dict(about))
    except (ValueError, TypeError, LookupError) as problem:
        expected = f"a first column of times and numbers under names, as save() writes them ({problem})"
        raise InvalidValue("the table", path.name, expected, where="load") from None


def to_table(result: xr.Dataset) -> pd.DataFrame:
    """One row a time, one column a variable and element, headed by the modeller's names, such as ``Residents[SOE]``.

    Parameters
    ----------
    result : Dataset
        Of one run: :func:`cipark_sd.simulate`.

    Returns
    -------
    DataFrame
        Indexed by time, in the model's unit.
    """
    table: dict[str, NDArray[Any]] = {}
    labels = {str(dim): result[dim].values for dim in result.dims}
    for name, array in result.data_vars.items():
        over_time = array if "time" in array.dims else array.expand_dims(time=result["time"])
        # values and no to_numpy(), which loads dask where it is installed
        variable = over_time.transpose("time", ...).variable
        table |= columns(str(name), (tuple(map(str, variable.dims)), variable.values, variable.attrs), labels)
    return pd.DataFrame(table, index=pd.Index(result["time"].values, name="time"))
