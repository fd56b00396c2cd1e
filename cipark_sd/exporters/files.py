"""Text files that are there whole or not at all."""

from pathlib import Path

from cipark_sd.errors import ModelFileError
from cipark_sd.files import write_text


def write_whole(path: Path, text: str) -> None:
    """Write a model file in UTF-8, whole or not at all.

    Raises
    ------
    ModelFileError
        When the folder is not there or cannot be written.
    """
    try:
        write_text(path, text)
    except OSError as problem:
        raise ModelFileError(path, f"cannot be written: {problem.strerror}") from None
