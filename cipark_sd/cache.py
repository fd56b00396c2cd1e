"""What is kept on disk so that a second process need not do it again: parsed models and object code.

An entry is written whole or not at all, carries a checksum, and counts as absent when it is damaged. Nothing that is
kept here is needed: where the folder cannot be written to, only time is lost. The folder is the user's own; an entry
is data (:mod:`cipark_sd.model.stored`) or object code that this package compiled, never pickled objects.
"""

import contextlib
import hashlib
import os
from pathlib import Path

from cipark_sd.files import whole

#: Bytes that a kind of entry may take up together; the entries that were used least recently go first.
LIMITS = {"kernels": 256 * 2**20, "models": 64 * 2**20}
_CHECKSUM = 32


def cache_folder() -> Path:
    """Where entries are kept: ``CIPARK_CACHE`` if set, else the user's cache folder."""
    named = os.environ.get("CIPARK_CACHE")
    if named:
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_cache_dir("cipark_sd", appauthor=False))


def kept(kind: str, key: str) -> bytes | None:
    """What was kept under a key; ``None`` when nothing was, or when it is damaged.

    Parameters
    ----------
    kind : {"kernels", "models"}
    key : str
        A digest, in hexadecimal.
    """
    path = _path(kind, key)
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(content[_CHECKSUM:]).digest() != content[:_CHECKSUM]:
        return None
    with contextlib.suppress(OSError):
        # the date says when an entry was last used
        os.utime(path)
    return content[_CHECKSUM:]


def keep(kind: str, key: str, content: bytes) -> None:
    """Keep something under a key, in place of what was there, and throw away what has become too much."""
    path = _path(kind, key)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as partial:
            partial.write_bytes(hashlib.sha256(content).digest() + content)
        _make_room(path, LIMITS[kind])
    except OSError:
        return


def _path(kind: str, key: str) -> Path:
    return cache_folder() / kind / key


def _make_room(newest: Path, limit: int) -> None:
    """Remove the entries that were used least recently until the rest fits; the newest stays, whatever its size."""
    entries = []
    with os.scandir(newest.parent) as found:
        for entry in found:
            # another process may have removed it by now
            with contextlib.suppress(FileNotFoundError):
                about = entry.stat()
                entries.append((about.st_mtime_ns, about.st_size, entry.path))
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries):
        if total <= limit:
            return
        if path != str(newest):
            Path(path).unlink(missing_ok=True)
            total -= size
