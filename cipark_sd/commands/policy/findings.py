"""Findings of a part as files: Datasets as NetCDF, all else as one record."""

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import numpy as np
import pandas as pd
import xarray as xr

from cipark_sd import results
from cipark_sd.errors import InvalidValue
from cipark_sd.records import from_plain, read_record, to_plain, write_record

F = TypeVar("F")
_RUNS = Mapping[str, xr.Dataset]


def findings_file(part: str) -> str:
    """The name of the file of a part's findings."""
    return f"findings-policy-{part}.zip"


def save(findings: object, path: Path, identity: str, attributes: Mapping[str, str]) -> None:
    """Write findings; the record comes last, so that all is there where it is.

    Parameters
    ----------
    findings : dataclass
        A field that is a Dataset goes beside the record into a file of the field's name; one that is a mapping of
        Datasets, into files of its keys. A DataFrame is kept by its columns.
    identity : str
        What the findings are of.
    attributes : mapping of str to str
        Of each Dataset.
    """
    path.unlink(missing_ok=True)
    files: dict[str, str] = {}

    def beside(name: str, runs: xr.Dataset) -> str:
        file = path.with_name(f"{name}.nc")
        results.save(runs.assign_attrs(attributes), file)
        files[name] = _digest(file)
        return name

    content: dict[str, Any] = {}
    for field in fields(findings):  # type: ignore[arg-type]
        value = getattr(findings, field.name)
        match value:
            case xr.Dataset():
                content[field.name] = beside(field.name, value)
            case pd.DataFrame():
                content[field.name] = columns(value)
            case Mapping() if any(isinstance(entry, xr.Dataset) for entry in value.values()):
                content[field.name] = [beside(name, runs) for name, runs in value.items()]
            case _:
                content[field.name] = to_plain(value)
    write_record({"identity": identity, "files": files, "findings": content}, path)


def load(kind: type[F], path: Path, identity: str) -> F | None:
    """Findings of that identity; None where there are none, or where a file beside them is another one by now."""
    try:
        content = read_record(dict[str, Any], path)
        files, plain = from_plain(dict[str, str], content["files"]), content["findings"]
        if content["identity"] != identity or any(Path(name).name != name for name in files):
            return None
        if any(_digest(path.with_name(f"{name}.nc")) != digest for name, digest in files.items()):
            return None
        runs = {name: results.load(path.with_name(f"{name}.nc")) for name in files}
        return kind(**{name: _field(hint, plain[name], runs) for name, hint in _hints(kind).items()})
    except (OSError, ValueError, KeyError, TypeError, InvalidValue):
        return None  # of another version, or cut short


def columns(frame: pd.DataFrame) -> dict[str, Any]:
    """A DataFrame as arrays by its columns, texts as such."""
    arrays = {str(name): frame[name].to_numpy() for name in frame}
    return {name: array.astype(str) if array.dtype.kind == "O" else array for name, array in arrays.items()}


def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, localns={"pd": pd, "xr": xr, "Mapping": Mapping})


def _field(hint: Any, content: Any, runs: Mapping[str, xr.Dataset]) -> Any:
    if hint is xr.Dataset:
        return runs[content]
    if hint == _RUNS:
        return {name: runs[name] for name in content}
    if hint is pd.DataFrame:
        return pd.DataFrame(from_plain(dict[str, np.ndarray[Any, Any]], content))
    return from_plain(hint, content)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
