"""Who uses a store at this moment: writers share it, and what removes something has it alone.

The lock belongs to the open file, so the system takes it from a process that is killed. Chunks are written whole, and
every process computes the same bits for one, so that writers need not wait for each other.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cipark_sd.store.schema import NoStore

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be removed anyway
    fcntl = None  # type: ignore[assignment]

_FILE = ".lock"


@contextmanager
def writing(path: Path) -> Iterator[bool]:
    """Share a store with other writers; whether it was in nobody else's hands is told."""
    with _opened(path) as file:
        first = _taken(file, alone=True)
        if fcntl is not None:
            # waits for what removes something, and gives up being alone
            fcntl.flock(file, fcntl.LOCK_SH)
        yield first


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Have a store for oneself.

    Raises
    ------
    NoStore
        When another process uses it.
    """
    with _opened(path) as file:
        if not _taken(file, alone=True):
            raise NoStore(path, "another process writes to the store; stop it first, or wait until it is done")
        yield


def _opened(path: Path) -> IO[bytes]:
    """The file that carries the lock: no link, and no pipe that waits for somebody at its other end."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:
        return open(os.open(path / _FILE, flags, 0o666), "r+b", buffering=0)
    except OSError as problem:
        raise NoStore(path, f"its lock cannot be opened: {problem.strerror or problem}") from None


def _taken(file: IO[bytes], *, alone: bool) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError as problem:
        # of other errors: a file system without locks
        return problem.errno not in (errno.EWOULDBLOCK, errno.EACCES)
    return True
