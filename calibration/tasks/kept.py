"""What is done stays done: answers of finished tasks and chains in progress, in a folder beside the results.

A file is named after a digest of all that its content depends on: model, study, data, seed, effort and program. What
changes makes another name, so nothing old is taken for something new, and a second start finds what the first one has
finished. To start afresh, remove the folder.
"""

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cipark_sd.errors import InvalidValue
from cipark_sd.files import whole
from cipark_sd.results import version

#: The folder's name within the folder of results.
KEPT = "kept"
#: What a task found: arrays by name, which pass to another process and into a file without loss.
Answer = Mapping[str, NDArray[np.generic]]


@cache
def code() -> str:
    """A fingerprint of the program itself: another state of it may compute other numbers."""
    import calibration
    import cipark_sd

    found = hashlib.sha256()
    for package in (calibration, cipark_sd):
        for path in sorted(Path(str(package.__file__)).parent.rglob("*.py")):
            found.update(path.read_bytes())
    return found.hexdigest()


def key(*parts: object) -> str:
    """A digest of the parts' representations and of the program with the libraries that it computes with."""
    import scipy

    program = (version(), code(), np.__version__, scipy.__version__)
    return hashlib.sha256(repr((*program, *parts)).encode()).hexdigest()[:24]


def stream(rng: np.random.Generator) -> str:
    """What the numbers of a generator and of those that it spawns depend on."""
    return f"{rng.bit_generator.state} {rng.bit_generator.seed_seq}"


@dataclass(frozen=True)
class Kept:
    """Answers as files in ``folder``, which is made with the first of them."""

    folder: Path

    def answer(self, name: str) -> Answer | None:
        """The answer of that key, None where there is none.

        Raises
        ------
        InvalidValue
            For a file that cannot be read.
        """
        path = self._path(name)
        try:
            with path.open("rb") as file, np.load(file) as content:
                return dict(content.items())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as problem:
            expected = f"a whole file ({problem}); remove it, and what it holds is computed again"
            raise InvalidValue("what was kept", str(path), expected, where="calibrate") from None

    def keep(self, name: str, answer: Answer) -> None:
        """Write an answer, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with whole(self._path(name)) as partial, partial.open("wb") as file:
            # the names of an answer are its own: none is an argument of savez
            np.savez(file, **answer)  # type: ignore[arg-type]

    def _path(self, name: str) -> Path:
        return self.folder / f"answer-{name}.npz"
