"""Finished searches and profiles of one calibration: a second start takes them over instead of computing them again.

They stand in a folder of their own within :data:`calibration.tasks.kept.KEPT`, named after a digest of all that they
depend on. A record is a dataclass of numbers, texts, arrays and None, and comes back bit for bit.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from calibration.tasks.kept import KEPT, Kept, key

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
        kept, own = Kept(self._place(self.folder)), _file_name(name)
        stored = kept.answer(own)
        if stored is not None:
            return kind(**{field: _value(array) for field, array in stored.items()})
        made = make()
        kept.keep(own, {field.name: _array(name, getattr(made, field.name)) for field in fields(kind)})
        return made

    def count(self) -> int:
        """How many records are kept."""
        return 0 if self.folder is None else len(list(self._place(self.folder).glob("*.npz")))

    def _place(self, folder: Path) -> Path:
        return folder / KEPT / f"fit-{self.digest}"


def _file_name(name: str) -> str:
    """The name as it stands where a file may have it, else told apart by a digest."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_ ") else "_" for c in name)[:60]
    return plain if plain == name else f"{plain}-{key(name)}"


def _array(name: str, value: object) -> NDArray[np.generic]:
    array = _NOTHING if value is None else np.asarray(value)
    if array.dtype.hasobject:
        raise TypeError(f"{name}: {value!r} cannot be kept; numbers and texts can")
    return array


def _value(array: NDArray[np.generic]) -> object:
    if array.ndim == 0:
        return array.item()
    return None if array.shape == (0,) and array.dtype == bool else array
