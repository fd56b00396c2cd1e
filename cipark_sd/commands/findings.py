"""What a command has found, in files and back to the last bit: Datasets as NetCDF, and all else as one record."""

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import pandas as pd
import xarray as xr

from cipark_sd import results
from cipark_sd.errors import InvalidValue
from cipark_sd.inputs import RESULT_LIMIT, own_bytes
from cipark_sd.records import WrongRecordError, from_plain, read_record, to_plain, write_record

R = TypeVar("R")
_RUNS = Mapping[str, xr.Dataset]
#: Of the record; 4 since those of all analyses are written alike.
FORMAT = "cipark_sd findings 4"


def save_result(result: object, path: Path, identity: str, attributes: Mapping[str, str]) -> None:
    """Write a result; the record comes last, so that all is there where it is.

    Parameters
    ----------
    result : dataclass
        A field that is a Dataset goes beside the record into a file of the field's name; one that is a mapping of
        Datasets, into files of its keys.
    identity : str
        What the result is of.
    attributes : mapping of str to str
        Of each Dataset.
    """
    path.unlink(missing_ok=True)
    files: dict[str, str] = {}

    def beside(name: str, runs: xr.Dataset) -> str:
        file = path.with_name(f"{name}.nc")
        results.write_netcdf(runs.assign_attrs(attributes), file)
        files[name] = _digest(file)
        return name

    content: dict[str, Any] = {}
    for field in fields(result):  # type: ignore[arg-type]
        value = getattr(result, field.name)
        match value:
            case xr.Dataset():
                content[field.name] = beside(field.name, value)
            case Mapping() if any(isinstance(entry, xr.Dataset) for entry in value.values()):
                content[field.name] = [beside(name, runs) for name, runs in value.items()]
            case _:
                content[field.name] = to_plain(value)
    write_record({"format": FORMAT, "identity": identity, "files": files, "findings": content}, path)


def load_result(kind: type[R], path: Path, identity: str) -> R | None:
    """The result of that identity; None where there is none.

    Raises
    ------
    WrongRecordError
        Where a file is damaged, of another version, or beside Datasets that are others by now.
    """
    if not path.exists():
        return None
    try:
        content = read_record(dict[str, Any], path)
        if content.get("format") != FORMAT:
            raise WrongRecordError(f"its format is {content.get('format')!r}, not {FORMAT!r}")
        files, plain = from_plain(dict[str, str], content["files"]), content["findings"]
        if content["identity"] != identity:
            return None
        for name, digest in files.items():
            if Path(name).name != name or _digest(path.with_name(f"{name}.nc")) != digest:
                raise WrongRecordError(f"{name}.nc is not the file that was written with {path.name}")
        runs = {name: results.read_netcdf(path.with_name(f"{name}.nc")) for name in files}
        return kind(**{name: _field(hint, plain[name], runs) for name, hint in _hints(kind).items()})
    except (OSError, ValueError, KeyError, TypeError, InvalidValue) as problem:
        raise WrongRecordError(f"{path.name}: {problem}") from None


def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, localns={"pd": pd, "xr": xr, "Mapping": Mapping})


def _field(hint: Any, content: Any, runs: Mapping[str, xr.Dataset]) -> Any:
    if hint is xr.Dataset:
        return runs[content]
    if hint == _RUNS:
        return {name: runs[name] for name in content}
    return from_plain(hint, content)


def _digest(path: Path) -> str:
    return hashlib.sha256(own_bytes(path.parent, path.name, RESULT_LIMIT)).hexdigest()
