"""Files that appear whole or not at all: whoever reads beside us, or after a stop, sees the old file or the new one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Where commands write when they are told no other place.
OUTPUT_FOLDER = Path("cipark-output")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to; it takes the place of ``path`` at the end and is removed after an error.

    The name ends as that of ``path`` does, since writers choose a format by it.
    """
    partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes | memoryview) -> Path:
    """Write bytes, whole or not at all."""
    with whole(path) as partial:
        partial.write_bytes(content)
    return path


def write_text(path: Path, text: str) -> Path:
    """Write a text in UTF-8 with line ends as they are, whole or not at all."""
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")
    return path
