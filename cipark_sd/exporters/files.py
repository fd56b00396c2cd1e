"""Text files that are there whole or not at all."""

import os
import tempfile
from pathlib import Path

from cipark_sd.errors import ModelFileError


def write_whole(path: Path, text: str) -> None:
    """Write a file in UTF-8 under a temporary name beside it and rename it when it is complete.

    Raises
    ------
    ModelFileError
        When the folder is not there or cannot be written.
    """
    try:
        handle, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as problem:
        raise ModelFileError(path, f"cannot be written: {problem.strerror}") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        # mkstemp makes files that only their owner can read
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(partial, 0o666 & ~umask)
        os.replace(partial, path)
    except OSError as problem:
        Path(partial).unlink(missing_ok=True)
        raise ModelFileError(path, f"cannot be written: {problem.strerror}") from None
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
