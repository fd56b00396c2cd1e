"""Finished searches and profiles of one calibration: a second start takes them over instead of computing them again.

They stand in a folder of their own within :data:`calibration.tasks.kept.KEPT`, named after a digest of all that they
depend on. A record is a frozen dataclass that :mod:`cipark_sd.records` can write, and comes back bit for bit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from calibration.tasks.kept import KEPT, key
from cipark_sd.errors import InvalidValue
from cipark_sd.files import file_name
from cipark_sd.records import WrongRecordError, read_record, write_record

Record = TypeVar("Record")


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

    def recall(self, kind: type[Record], name: str, make: Callable[[], Record]) -> Record:
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
        path = self._place(self.folder) / f"{file_name(name, unique=True)}.zip"
        try:
            return read_record(kind, path)
        except FileNotFoundError:
            made = make()
        except WrongRecordError as problem:
            expected = f"a whole file ({problem}); remove it, and what it holds is computed again"
            raise InvalidValue("what was kept", str(path), expected, where="calibrate") from None
        path.parent.mkdir(parents=True, exist_ok=True)
        write_record(made, path)
        return made

    def count(self) -> int:
        """How many records are kept."""
        return 0 if self.folder is None else len(list(self._place(self.folder).glob("*.zip")))

    def _place(self, folder: Path) -> Path:
        return folder / KEPT / f"fit-{self.digest}"
