"""A Dataset as NetCDF-4 through HDF5 itself: of hundreds of variables xarray takes many times as long as a run.

Sources: NetCDF File Format Specifications, "The NetCDF-4 Format" (dimension scales, hidden attributes); CF conventions,
``coordinates``. Texts, truths and coordinates are written as xarray reads them.
"""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import xarray as xr

_NO_VARIABLE = "This is a netCDF dimension but not a netCDF variable."


#: A variable: its dimensions, values, attributes.
Described = tuple[tuple[str, ...], NDArray[Any], Mapping[str, str]]


def netcdf_bytes(content: "xr.Dataset") -> memoryview:
    """The bytes of a file with all variables of a Dataset.

    Raises
    ------
    TypeError
        For values or attributes that HDF5 has no type for.
    """
    variables = {
        str(name): (tuple(map(str, variable.dims)), np.asarray(variable.values), variable.attrs)
        for name, variable in content.variables.items()
    }
    sizes = {str(dim): size for dim, size in content.sizes.items()}
    return file_bytes(sizes, variables, list(map(str, content.coords)), content.attrs)


def file_bytes(
    sizes: Mapping[str, int], variables: Mapping[str, Described], coords: Sequence[str], attributes: Mapping[str, Any]
) -> memoryview:
    """The same of the sizes of dimensions, all variables, the names of those that are coordinates, and attributes."""
    import h5py

    buffer = BytesIO()
    with h5py.File(buffer, "w", track_order=True) as file:
        scales: dict[str, Any] = {}
        for number, (name, size) in enumerate(sizes.items()):
            if name in variables:
                scale, title = _created(file, name, variables[name]), name
            else:
                scale, title = file.create_dataset(name, shape=(size,), dtype=">f4"), f"{_NO_VARIABLE}{size:10d}"
            scale.make_scale(title)
            scale.attrs["_Netcdf4Dimid"] = np.int32(number)
            scales[name] = scale
        for name, variable in variables.items():
            if name not in scales:
                made = _created(file, name, variable)
                for place, dim in enumerate(variable[0]):
                    made.dims[place].attach_scale(scales[dim])
        _describe(file, attributes)
        # a name of several words cannot be told from several names
        named = [name for name in coords if name not in scales and " " not in name]
        if named:
            file.attrs["coordinates"] = " ".join(named)
    return buffer.getbuffer()


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
