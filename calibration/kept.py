"""Finished parts of a long piece of work, kept as files: a second start reads them instead of computing them again.

A part is a few arrays under a name, in ``<folder>/kept/<name>-<digest>.npz``. The digest is of everything that the
numbers depend on (:func:`digest_of`), so that a part is found again only where it would come out the same; change the
study, the seed or the version and it is another file.
"""

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cipark_sd.files import whole

#: The folder in a run's output where parts are kept.
KEPT = "kept"


def digest_of(*parts: object) -> str:
    """A fingerprint of texts and numbers, 16 hexadecimal digits.

    >>> digest_of("model", 1) == digest_of("model", 1) != digest_of("model", 2)
    True
    """
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


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
        """Where a part is kept. What a file name cannot hold does not matter: the whole name is in the digest."""
        if self.folder is None:
            return None
        plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in name)
        return self.folder / KEPT / f"{plain[:60]}-{digest_of(self.digest, name)}.npz"

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
