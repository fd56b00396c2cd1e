"""The user's signature: what is kept between calls is taken only from whom it must come from, this user.

A signature is HMAC-SHA-256 over what something is, its key and its content, under a random key of the user's, which
lies in the user's own state folder and beside nothing that is signed. Who sends a folder does not have it, and so
neither kernels nor checkpoints nor chunks of an ensemble that others wrote are believed. Another machine of the same
user has it where the home folder is shared.
"""

import contextlib
import hmac
import os
import stat
import tempfile
from functools import cache
from pathlib import Path

#: Bytes of a signature, and of the key.
SIZE = 32
WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_BINARY = getattr(os, "O_BINARY", 0)


class NotTrusted(Exception):
    """What is wrong with a file or folder that must be this user's, as the end of a sentence."""


def key_file() -> Path:
    """Where the user's key lies: in the user's state folder."""
    import platformdirs

    return Path(platformdirs.user_state_dir("cipark_sd", appauthor=False)) / "cache.key"


def signature(kind: str, key: str, content: bytes | memoryview) -> bytes:
    """The user's signature of some content.

    Parameters
    ----------
    kind : of thing, so that none passes for one of another kind
    key : which one of its kind
    content : all of it

    Returns
    -------
    bytes
        :data:`SIZE` of them.

    Raises
    ------
    NotTrusted, OSError
        Where the user's key cannot be had.
    """
    made = hmac.new(_user_key(key_file()), f"{kind}\n{key}\n".encode(), "sha256")
    made.update(content)
    return made.digest()


@cache
def _user_key(path: Path) -> bytes:
    """The user's key, made when it is first asked for."""
    try:
        key = owned(path, stat.S_IRWXG | stat.S_IRWXO)
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # made whole under another name, mode 0600, and linked: of two processes at once the first gives the key
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".cache.key-")
        try:
            with open(handle, "wb") as file:
                file.write(os.urandom(SIZE))
            with contextlib.suppress(FileExistsError):
                os.link(name, path)
        finally:
            os.unlink(name)
        key = owned(path, stat.S_IRWXG | stat.S_IRWXO)
    if len(key) != SIZE:
        raise NotTrusted(f"the key {path} is damaged (delete it, and a new one is made)")
    return key


def owned(path: Path, forbidden: int) -> bytes:
    """What a file of this user's holds; no link is followed.

    Parameters
    ----------
    forbidden : bits of the mode that may not be set

    Raises
    ------
    NotTrusted, OSError
    """
    if path.is_symlink():
        raise NotTrusted(f"{path} is a link")
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | _BINARY)
    with open(handle, "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise NotTrusted(f"{path} is not a regular file")
        check_owner(path, about, forbidden)
        return file.read()


def check_owner(path: Path, about: os.stat_result, forbidden: int) -> None:
    """Raise where a file or folder is another user's, or others may do with it what the bits of a mode say.

    Parameters
    ----------
    path : for messages
    about : what the system says of it
    forbidden : bits of the mode

    Raises
    ------
    NotTrusted
    """
    # elsewhere than on POSIX systems the mode says nothing of other users; the signature does
    if not hasattr(os, "geteuid"):
        return
    if about.st_uid != os.geteuid():
        raise NotTrusted(f"{path} belongs to another user")
    if about.st_mode & forbidden:
        verb = "read or written" if forbidden & stat.S_IRGRP else "written"
        raise NotTrusted(f"{path} can be {verb} by other users (mode {stat.S_IMODE(about.st_mode):04o})")
