"""Finished parts of a long piece of work, kept as files: a second start reads them instead of computing them again.

A part is a few arrays under a name, in ``<folder>/kept/<digest>/<name>.npz``. The digest is of everything that the
numbers depend on (:func:`digest_of`), so that a part is found again only where it would come out the same; change the
study, the seed or the version and it is another file. What is not wanted any more may be deleted.
"""

import hashlib
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from cipark_sd.files import whole

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Record = TypeVar("Record", bound=DataclassInstance)

#: The folder in a run's output where parts are kept.
KEPT = "kept"


def digest_of(*parts: object) -> str:
    """A fingerprint of texts and numbers, 16 hexadecimal digits.

    >>> digest_of("model", 1) == digest_of("model", 1) != digest_of("model", 2)
    True
    """
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


@cache
def code() -> str:
    """A fingerprint of the program itself: another version of it may compute other numbers."""
    import calibration
    import cipark_sd

    found = hashlib.sha256()
    for package in (calibration, cipark_sd):
        for path in sorted(Path(str(package.__file__)).parent.rglob("*.py")):
            found.update(path.read_bytes())
    return found.hexdigest()


@dataclass(frozen=True, slots=True)
class Kept:
    """Parts of one piece of work.

    Parameters
    ----------
    folder : path or None
        Of the output; with None nothing is kept and nothing is found.
    digest : str
        Of what the parts depend on beside their name.
    """

    folder: Path | None
    digest: str

    def path(self, name: str) -> Path | None:
        """Where a part is kept; a name that a file cannot have is told apart by its own digest."""
        if self.folder is None:
            return None
        plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_ ") else "_" for c in name)[:60]
        own = plain if plain == name else f"{plain}-{digest_of(name)}"
        return self.folder / KEPT / self.digest / f"{own}.npz"

    def load(self, name: str) -> dict[str, NDArray[np.generic]] | None:
        """The arrays of a part, None where it is not kept or its file cannot be read."""
        path = self.path(name)
        if path is None or not path.is_file():
            return None
        try:
            # opened here: NumPy leaves a file open that it cannot read
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                return {key: stored[key] for key in stored.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            # a damaged file costs the time to compute its part again, nothing else
            return None

    def save(self, name: str, arrays: Mapping[str, object]) -> None:
        """Keep a part, whole or not at all: numbers, texts and arrays of them.

        Raises
        ------
        TypeError
            For anything else, which only a pickle could hold.
        """
        plain = {key: np.asarray(value) for key, value in arrays.items()}
        objects = [key for key, value in plain.items() if value.dtype.hasobject]
        if objects:
            raise TypeError(f"{name}: {', '.join(objects)} cannot be kept; numbers and texts can")
        path = self.path(name)
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as partial:
            np.savez(partial, **plain)  # type: ignore[arg-type]

    def recall(self, kind: "type[Record]", name: str, make: "Callable[[], Record]") -> "Record":
        """The part that is kept as ``name``, or the one that ``make`` computes, which is kept then.

        ``kind`` is a dataclass whose fields are numbers, texts, arrays and None.
        """
        stored = self.load(name)
        if stored is not None and set(stored) == {field.name for field in fields(kind)}:
            return kind(**{key: _value(array) for key, array in stored.items()})
        made = make()
        content = {field.name: getattr(made, field.name) for field in fields(kind)}
        self.save(name, {key: _NOTHING if value is None else value for key, value in content.items()})
        return made

    def count(self) -> int:
        """How many parts are kept."""
        return 0 if self.folder is None else len(list((self.folder / KEPT / self.digest).glob("*.npz")))


#: None as an array.
_NOTHING = np.zeros(0, dtype=bool)


def _value(array: NDArray[np.generic]) -> object:
    if array.ndim == 0:
        return array.item()
    return None if array.shape == (0,) and array.dtype == bool else array
