"""Findings as files: a frozen dataclass as JSON, its Datasets as NetCDF beside it.

Numbers come back to the last bit. What a field is, its annotation says: a number, a text, a tuple, a mapping by text,
an array, a DataFrame, a Dataset, a dataclass, or one of these or None.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
import pandas as pd
import xarray as xr

from cipark_sd import results
from cipark_sd.errors import InvalidValue
from cipark_sd.files import write_text

F = TypeVar("F")


def save(findings: object, path: Path, identity: str, attributes: Mapping[str, str]) -> None:
    """Write findings; the JSON file comes last, so that all is there where it is.

    Parameters
    ----------
    path : Path
        Of the JSON file. A Dataset goes beside it, into the file ``NAME.nc`` of its field or its key in a mapping.
    identity : str
        What the findings are of.
    attributes : mapping of str to str
        Of each Dataset.
    """
    path.unlink(missing_ok=True)
    files: dict[str, str] = {}

    def encoded(value: Any, name: str) -> Any:
        match value:
            case xr.Dataset():
                file = path.with_name(f"{name}.nc")
                results.save(value.assign_attrs(attributes), file)
                files[file.name] = _digest(file)
                return file.name
            case pd.DataFrame():
                return {str(column): encoded(value[column].to_numpy(), "") for column in value}
            case np.ndarray():
                return {"dtype": value.dtype.str if value.dtype.kind != "O" else "O", "values": value.tolist()}
            case Mapping():
                return {key: encoded(item, key) for key, item in value.items()}
            case tuple():
                return [encoded(item, "") for item in value]
            case np.generic():
                return value.item()
        if is_dataclass(value):
            return {field.name: encoded(getattr(value, field.name), field.name) for field in fields(value)}
        return value

    content = encoded(findings, "")
    write_text(path, json.dumps({"identity": identity, "files": files, "findings": content}, indent=1) + "\n")


def load(kind: type[F], path: Path, identity: str) -> F | None:
    """Findings of that identity; None where there are none, or where a file beside them is another one by now."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["identity"] != identity:
            return None
        if any(_digest(path.with_name(name)) != digest for name, digest in content["files"].items()):
            return None
        found: F = _decoded(kind, content["findings"], path.parent)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InvalidValue):
        return None  # of another version, or cut short
    return found


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _decoded(kind: Any, content: Any, folder: Path) -> Any:
    """The value of an annotation."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        (own,) = (one for one in inner if one is not type(None))
        return None if content is None else _decoded(own, content, folder)
    if kind is xr.Dataset:
        # by its name alone, whatever the file says
        return results.load(folder / Path(content).name)
    if kind is pd.DataFrame:
        return pd.DataFrame({name: _array(column) for name, column in content.items()})
    if origin is np.ndarray:
        return _array(content)
    if origin is tuple:
        kinds = (inner[0],) * len(content) if inner[-1] is Ellipsis else inner
        return tuple(_decoded(one, item, folder) for one, item in zip(kinds, content, strict=True))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {key: _decoded(inner[1], item, folder) for key, item in content.items()}
    if is_dataclass(kind):
        hints = get_type_hints(kind, localns={"pd": pd, "xr": xr})
        return kind(**{name: _decoded(hints[name], item, folder) for name, item in content.items()})  # type: ignore[operator]
    fits = content in inner if origin is Literal else isinstance(content, (kind, int) if kind is float else kind)
    if not fits:
        raise TypeError(f"{content!r} is no {kind}")
    return content


def _array(content: Any) -> Any:
    return np.array(content["values"], dtype=content["dtype"])
