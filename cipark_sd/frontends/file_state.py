"""Which files a model reads and what they hold by now."""

from collections.abc import Sequence
from pathlib import Path

from cipark_sd.errors import InvalidValue, MissingFile, ModelFileError
from cipark_sd.inputs import MODEL_LIMIT, TABLE_LIMIT, read_bytes
from cipark_sd.model.model import digest_of

VENSIM_SUFFIXES = (".mdl",)
XMILE_SUFFIXES = (".xmile", ".xml", ".stmx", ".itmx")


def with_contents(digest: str, contents: Sequence[bytes]) -> str:
    """The digest of a model together with what the files hold that its data variables were given."""
    return digest_of(digest.encode(), *contents) if contents else digest


def series_bytes(file: Path, *, where: str) -> bytes:
    """What a table with values of data variables holds.

    Raises
    ------
    InvalidValue
        When there is none, or it cannot be read.
    """
    try:
        return read_bytes(file, TABLE_LIMIT)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFile(file, where=where) from None
    except OSError as problem:
        raise InvalidValue("the data file", problem.strerror, "a table that can be read", where=str(file)) from None


def model_bytes(path: Path) -> bytes:
    """What a model file holds.

    Raises
    ------
    ModelFileError
        When it cannot be read: a folder, a pipe, a device, a file beyond all size.
    """
    try:
        return read_bytes(path, MODEL_LIMIT)
    except IsADirectoryError:
        raise ModelFileError(path, "is a folder, not a model file") from None
    except OSError as problem:
        raise ModelFileError(path, f"cannot be read: {problem.strerror}") from None
