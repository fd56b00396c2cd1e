"""A Dataset as NetCDF-4 through HDF5 itself: of hundreds of variables xarray takes many times as long as a run.

Sources: NetCDF File Format Specifications, "The NetCDF-4 Format" (dimension scales, hidden attributes); CF conventions,
``coordinates``. Texts, truths and coordinates are written as xarray reads them.
"""

from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import xarray as xr

_NO_VARIABLE = "This is a netCDF dimension but not a netCDF variable."


#: A variable: its dimensions, values, attributes.
Described = tuple[tuple[str, ...], NDArray[Any], Mapping[str, str]]


def netcdf_bytes(content: "xr.Dataset | xr.DataTree") -> memoryview:
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


def file_bytes(
    sizes: Mapping[str, int], variables: Mapping[str, Described], coords: Sequence[str], attributes: Mapping[str, Any]
) -> memoryview:
    """The same of the sizes of dimensions, all variables, the names of those that are coordinates, and attributes."""
    return _bytes_of({"/": (sizes, variables, coords, attributes)})


#: What a group holds: arguments of :func:`file_bytes`.
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


def _bytes_of(groups: Mapping[str, _Group]) -> memoryview:
    import h5py

    buffer, numbers = BytesIO(), count()
    with h5py.File(buffer, "w", track_order=True) as file:
        for path, group in groups.items():
            _fill(file if path == "/" else file.create_group(path, track_order=True), *group, numbers)
    return buffer.getbuffer()


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
            scale, title = _created(place, name, variables[name]), name
        else:
            scale, title = place.create_dataset(name, shape=(size,), dtype=">f4"), f"{_NO_VARIABLE}{size:10d}"
        scale.make_scale(title)
        scale.attrs["_Netcdf4Dimid"] = np.int32(next(numbers))
        scales[name] = scale
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
