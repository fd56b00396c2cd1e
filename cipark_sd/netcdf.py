"""A Dataset as NetCDF-4 through HDF5 itself: of hundreds of variables xarray takes many times as long as a run.

Sources: NetCDF File Format Specifications, "The NetCDF-4 Format" (dimension scales, hidden attributes); CF conventions,
``coordinates``. Texts, truths and coordinates are written as xarray reads them.
"""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

_NO_VARIABLE = "This is a netCDF dimension but not a netCDF variable."


def netcdf_bytes(content: xr.Dataset) -> memoryview:
    """The bytes of a file with all variables of a Dataset.

    Raises
    ------
    TypeError
        For values or attributes that HDF5 has no type for.
    """
    import h5py

    buffer = BytesIO()
    with h5py.File(buffer, "w", track_order=True) as file:
        scales: dict[str, Any] = {}
        for number, (dim, size) in enumerate(content.sizes.items()):
            name = str(dim)
            if name in content.variables:
                scale, title = _created(file, name, content.variables[name]), name
            else:
                scale, title = file.create_dataset(name, shape=(size,), dtype=">f4"), f"{_NO_VARIABLE}{size:10d}"
            scale.make_scale(title)
            scale.attrs["_Netcdf4Dimid"] = np.int32(number)
            scales[name] = scale
        for key, variable in content.variables.items():
            if str(key) not in scales:
                made = _created(file, str(key), variable)
                for place, dim in enumerate(variable.dims):
                    made.dims[place].attach_scale(scales[str(dim)])
        _describe(file, content.attrs)
        # a name of several words cannot be told from several names
        named = [str(name) for name in content.coords if str(name) not in scales and " " not in str(name)]
        if named:
            file.attrs["coordinates"] = " ".join(named)
    return buffer.getbuffer()


def _created(file: Any, name: str, variable: xr.Variable) -> Any:
    import h5py

    values: NDArray[Any] = np.asarray(variable.values)
    if values.dtype.kind == "b":
        made = file.create_dataset(name, data=values.astype(np.int8))
        made.attrs["dtype"] = "bool"
    elif values.dtype.kind in "UO":
        made = file.create_dataset(name, data=values.astype(object), dtype=h5py.string_dtype())
    else:
        made = file.create_dataset(name, data=values)
    _describe(made, variable.attrs)
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
