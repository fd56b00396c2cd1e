"""A result as arrays, and files of one: the same bytes as of its Dataset, without xarray and pandas.

Both take longer to load than most runs take to be made, and xarray writes hundreds of variables in many times what HDF5
itself takes. Sources of NetCDF-4: NetCDF File Format Specifications, "The NetCDF-4 Format" (dimension scales, hidden
attributes); CF conventions, ``coordinates``. Texts, truths and coordinates are written as xarray reads them.
"""

import importlib.metadata
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from io import BytesIO
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cipark_sd.base.errors import InvalidValue, UnusableInput
from cipark_sd.base.files import csv_text_of, remove_abandoned, write_bytes, write_text
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Variable, kind

if TYPE_CHECKING:
    import xarray as xr

FORMAT = "cipark_sd result 1"
#: A variable: its dimensions, values, attributes.
Described = tuple[tuple[str, ...], NDArray[Any], Mapping[str, str]]


@cache
def version() -> str:
    """The version of this package."""
    return importlib.metadata.version("cipark-sd")


def _variable_attributes(variable: Variable) -> dict[str, str]:
    """What a result says about one variable."""
    described = {"long_name": variable.label}
    if variable.units:
        described["units"] = variable.units
    described["kind"] = kind(variable)
    if variable.doc:
        described["description"] = variable.doc
    return described


def run_attributes(
    model: Model, *, engine: str, method: str, time_step: float, **extra: str | int | float
) -> dict[str, str | int | float]:
    """What a result says about its making.

    Parameters
    ----------
    engine : its name
    method : of integration, one with a fixed step
    time_step : in the model's unit of time
    extra : further attributes, which come last
    """
    return {
        "format": FORMAT,
        "model": model.name,
        "model_digest": model.digest,
        "engine": engine,
        "integration_method": method,
        "time_step": time_step,
        "cipark_sd_version": version(),
        **extra,
    }


def arranged(
    model: Model, times: NDArray[np.float64], values: Mapping[str, NDArray[Any]], *runs: str
) -> tuple[dict[str, Described], dict[str, Described]]:
    """Variables whose dimensions begin with ``runs`` and time, and the coordinates of all dimensions but ``runs``.

    Parameters
    ----------
    times : (n_times,)
        Saved times, in the model's unit of time.
    values : by canonical name, each (*runs, n_times, *sizes of the variable's dimensions)
    runs : names of the dimensions before time; none for a single run

    Returns
    -------
    dict, dict
        The variables, and the coordinates of time and of their dimensions.
    """
    data: dict[str, Described] = {}
    coords: dict[str, Described] = {"time": (("time",), times, {"long_name": "time", "units": model.time.units})}
    for name, array in values.items():
        variable = model.by_name[name]
        data[name] = ((*runs, "time", *variable.dims), array, _variable_attributes(variable))
        for dim in variable.dims:
            dimension = model.dimension_by_name[dim]
            coords[dim] = ((dim,), np.array(dimension.element_labels), {"long_name": dimension.label})
    return data, coords


#: The endings of files that :func:`save` writes.
SUFFIXES = (".nc", ".csv", ".xlsx")


def check_writable(path: Path | str, *, role: str = "the output file", endings: Sequence[str], where: str) -> None:
    """Raise where a file of that name could not be written, so that a run need not end before one learns of it.

    What killed processes have left unfinished in its folder is removed.

    Parameters
    ----------
    path : of the file
    role : what messages call it
    endings : those that it may have, in lower case with their dots
    where : for messages

    Raises
    ------
    InvalidValue
        For another ending, a folder that does not exist or cannot be written to, or a folder in the file's place.
    """
    path = Path(path)
    if path.suffix.lower() not in endings:
        raise InvalidValue(role, path.name, f"a name that ends in {' or '.join(endings)}", where=where)
    if not path.parent.is_dir():
        raise UnusableInput(f"{path} cannot be written, since there is no folder {str(path.parent)!r}", where=where)
    if path.is_dir() or not os.access(path.parent, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise InvalidValue(role, str(path), "a file that can be written", where=where)
    remove_abandoned(path.parent)


def save(
    data: Mapping[str, Described], coords: Mapping[str, Described], attributes: Mapping[str, Any], path: Path
) -> None:
    """Write one run as NetCDF (``.nc``) or a wide table (``.csv``), as ``results.save`` writes its Dataset.

    Each of the coordinates is of its own dimension.

    Parameters
    ----------
    data : variables, each (time, *dimensions)
    coords : one for each dimension, of its name
    attributes : what the result says of itself
    path : with the ending ``.nc`` or ``.csv``, in a folder that is there

    Raises
    ------
    InvalidValue
        Where the file cannot be written.
    """
    try:
        if path.suffix.lower() == ".nc":
            sizes = {dim: len(values) for dim, (_, values, _) in coords.items()}
            write_bytes(path, _bytes_of({"/": (sizes, {**data, **coords}, list(sizes), attributes)}))
        else:
            labels = {dim: values for dim, (_, values, _) in coords.items()}
            table = (column for name, variable in data.items() for column in columns(name, variable, labels))
            write_table(path, {"time": labels["time"], **dict(table)}, attributes)
    except OSError as problem:
        raise unwritable(path, problem) from None


def unwritable(path: Path, problem: OSError) -> InvalidValue:
    """What is wrong with a file that cannot be written after all.

    Parameters
    ----------
    path : of the file
    problem : what the system says
    """
    expected = f"a file that can be written ({problem.strerror or problem})"
    return InvalidValue("the output file", str(path), expected, where="save")


def write_table(path: Path, table: Mapping[str, NDArray[Any]], attributes: Mapping[str, object]) -> None:
    """Write columns as CSV, a missing value as an empty cell, and beside it what the result says of itself.

    Parameters
    ----------
    path : in a folder that is there
    table : columns by their heads, each (n_times,)
    attributes : what the result says of itself, of what JSON has
    """
    rows = zip(*(values.tolist() for values in table.values()), strict=True)
    cells = ([value if value == value else "" for value in row] for row in rows)
    write_text(path, csv_text_of(chain([list(table)], cells)))
    about_it = {"@context": "http://www.w3.org/ns/csvw", "url": path.name, "notes": [dict(attributes)]}
    write_text(path.with_name(f"{path.name}-metadata.json"), json.dumps(about_it, indent=2, ensure_ascii=False) + "\n")


def columns(name: str, variable: Described, labels: Mapping[str, NDArray[Any]]) -> Iterator[tuple[str, NDArray[Any]]]:
    """A variable over time as columns headed by the modeller's names, one for each element: ``Residents[SOE]``.

    Parameters
    ----------
    name : canonical, the head where the variable has no label
    variable : (time, *dimensions)
    labels : those of each dimension's elements

    Returns
    -------
    iterator of str and (n_times,) array
        Heads and numbers, the last dimension fastest.
    """
    (_, *dims), values, about = variable
    label = about.get("long_name", name)
    for place in np.ndindex(*values.shape[1:]):
        elements = ",".join(str(labels[dim][at]) for dim, at in zip(dims, place, strict=True))
        yield f"{label}[{elements}]" if dims else label, values[(slice(None), *place)]


_NO_VARIABLE = "This is a netCDF dimension but not a netCDF variable."


def netcdf_bytes(content: "xr.Dataset | xr.DataTree") -> bytes:
    """The bytes of a file with all variables of a Dataset, or of those of a tree, each a group.

    Raises
    ------
    TypeError
        For values or attributes that HDF5 has no type for.
    """
    nodes: dict[str, Any] = {"/": content}
    if hasattr(content, "subtree"):
        nodes = {node.path: node.to_dataset(inherit=False) for node in content.subtree}
    return _bytes_of({path: _parts(dataset) for path, dataset in nodes.items()})


#: What a group holds: the sizes of dimensions, all variables, the names of those that are coordinates, and attributes.
_Group = tuple[Mapping[str, int], Mapping[str, Described], Sequence[str], Mapping[Any, Any]]


def _parts(dataset: "xr.Dataset") -> _Group:
    variables = {
        str(name): (tuple(map(str, variable.dims)), np.asarray(variable.values), variable.attrs)
        for name, variable in dataset.variables.items()
    }
    sizes = {str(dim): size for dim, size in dataset.sizes.items()}
    return sizes, variables, list(map(str, dataset.coords)), dataset.attrs


def _without_slash(name: str) -> str:
    """A name for NetCDF, where "/" separates groups: U+2215 looks the same, and is turned back when it is read."""
    return name.replace("/", "\u2215")


def _bytes_of(groups: Mapping[str, _Group]) -> bytes:
    import h5py

    buffer, numbers = BytesIO(), count()
    with h5py.File(buffer, "w", track_order=True) as file:
        for path, group in groups.items():
            _fill(file if path == "/" else file.create_group(path, track_order=True), *group, numbers)
    return buffer.getvalue()


def _fill(
    place: Any,
    sizes: Mapping[str, int],
    variables: Mapping[str, Described],
    coords: Sequence[str],
    attributes: Mapping[Any, Any],
    numbers: Iterator[int],
) -> None:
    """Write a group; dimensions are numbered through all of a file."""
    scales: dict[str, Any] = {}
    sizes = {_without_slash(name): size for name, size in sizes.items()}
    variables = {
        _without_slash(name): (tuple(map(_without_slash, dims)), values, about)
        for name, (dims, values, about) in variables.items()
    }
    for name, size in sizes.items():
        if name in variables:
            scales[name] = _created(place, name, variables[name])
            scales[name].make_scale(name)
        else:
            scales[name] = place.create_dataset(name, shape=(size,), dtype=">f4")
            scales[name].make_scale(f"{_NO_VARIABLE}{size:10d}")
        scales[name].attrs["_Netcdf4Dimid"] = np.int32(next(numbers))
    for name, variable in variables.items():
        if name not in scales:
            made = _created(place, name, variable)
            for axis, dim in enumerate(variable[0]):
                made.dims[axis].attach_scale(scales[dim])
    _describe(place, attributes)
    # a name of several words cannot be told from several names
    named = [name for name in map(_without_slash, coords) if name not in scales and " " not in name]
    if named:
        place.attrs["coordinates"] = " ".join(named)


def _created(file: Any, name: str, variable: Described) -> Any:
    import h5py

    _, values, about = variable
    if values.dtype.kind == "b":
        made = file.create_dataset(name, data=values.astype(np.int8))
        made.attrs["dtype"] = "bool"
    elif values.dtype.kind in "UO":
        made = file.create_dataset(name, data=values.astype(object), dtype=h5py.string_dtype())
    else:
        made = file.create_dataset(name, data=values)
    _describe(made, about)
    return made


def _describe(place: Any, attributes: Mapping[Any, Any]) -> None:
    import h5py

    for key, value in attributes.items():
        if isinstance(value, str):
            place.attrs[key] = value
        else:
            several = np.atleast_1d(value)
            texts = several.dtype.kind == "U"
            place.attrs.create(
                key, several.astype(object) if texts else several, dtype=h5py.string_dtype() if texts else None
            )
