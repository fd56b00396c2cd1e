"""Finished searches and profiles of one calibration: a second start takes them over instead of computing them again.

They stand in a folder of their own within :data:`calibration.tasks.kept.KEPT`, named after a digest of all that they
depend on. A record is a dataclass of numbers, texts, tuples of texts, arrays, None and such dataclasses, and comes back
bit for bit.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from calibration.tasks.kept import KEPT, Kept, key
from cipark_sd.files import file_name

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Record = TypeVar("Record", bound=DataclassInstance)

#: None as an array.
_NOTHING = np.zeros(0, dtype=bool)


@dataclass(frozen=True, slots=True)
class Parts:
    """Records under names.

    Parameters
    ----------
    folder : path or None
        Of the output; with None nothing is kept and nothing is found.
    digest : str
        Of what the records depend on beside their names.
    """

    folder: Path | None
    digest: str = ""

    def within(self, name: str) -> "Parts":
        """Records of a part of the work, which has names of its own."""
        return Parts(self.folder, key(self.digest, name))

    def recall(self, kind: "type[Record]", name: str, make: "Callable[[], Record]") -> "Record":
        """The record that is kept as ``name``, or the one that ``make`` computes, which is kept then.

        Raises
        ------
        InvalidValue
            For a file that cannot be read.
        TypeError
            For a record that holds what only a pickle could.
        """
        if self.folder is None:
            return make()
        kept, own = Kept(self._place(self.folder)), file_name(name, unique=True)
        stored = kept.answer(own)
        if stored is not None:
            return _built(kind, stored, "")
        made = make()
        kept.keep(own, dict(_arrays(name, made, "")))
        return made

    def count(self) -> int:
        """How many records are kept."""
        return 0 if self.folder is None else len(list(self._place(self.folder).glob("*.npz")))

    def _place(self, folder: Path) -> Path:
        return folder / KEPT / f"fit-{self.digest}"


def _arrays(name: str, record: "DataclassInstance", prefix: str) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """The fields of a record under their names; those of a record within it under both names."""
    for field in fields(record):
        value = getattr(record, field.name)
        if is_dataclass(value) and not isinstance(value, type):
            yield from _arrays(name, value, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name, _array(name, value)


def _built(kind: "type[Record]", stored: Mapping[str, NDArray[np.generic]], prefix: str) -> "Record":
    """The record from what :func:`_arrays` made of it."""
    hints = get_type_hints(kind)
    values: dict[str, object] = {}
    for field in fields(kind):
        hint = hints[field.name]
        if isinstance(hint, type) and is_dataclass(hint):
            values[field.name] = _built(hint, stored, f"{prefix}{field.name}.")
        else:
            array = stored[prefix + field.name]
            texts = get_origin(hint) is tuple
            values[field.name] = tuple(array.tolist()) if texts else _value(array)
    return kind(**values)


def _array(name: str, value: object) -> NDArray[np.generic]:
    if isinstance(value, tuple):
        return np.asarray(value, dtype=np.str_)
    array = _NOTHING if value is None else np.asarray(value)
    if array.dtype.hasobject:
        raise TypeError(f"{name}: {value!r} cannot be kept; numbers and texts can")
    return array


def _value(array: NDArray[np.generic]) -> object:
    if array.ndim == 0:
        return array.item()
    return None if array.shape == (0,) and array.dtype == bool else array
