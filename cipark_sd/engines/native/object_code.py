"""Object code of a kernel for any target of LLVM, kept on disk so that a second process need not make it again.

Object code is run, so an entry is taken only from whom it must come from: this user. The folder and the entry belong
to the user and nobody else may write to them, and the entry bears the user's signature over its key and its content
(:mod:`cipark_sd.base.signatures`). What fails is never loaded; one warning says so, and the run goes on without it.

An entry is written whole or not at all. Nothing that is kept here is needed: where the folder cannot be written to,
only time is lost.
"""

import contextlib
import hashlib
import hmac
import os
import stat
import warnings
from pathlib import Path
from typing import Any

from cipark_sd.base.files import whole
from cipark_sd.base.signatures import SIZE, WRITABLE_BY_OTHERS, NotTrusted, check_owner, owned, signature

#: What LLVM's passes are told beside the level of optimisation; lanes are vectors already.
TUNING = {"loop_vectorization": False, "slp_vectorization": False}


def object_code(text: str, effort: int, machine: Any, identity: str) -> bytes:
    """The object code of a kernel for a target machine, from disk or compiled now.

    The same bits come out of a run whatever the effort: no pass may change what an operation on doubles gives.

    Parameters
    ----------
    text : str
        LLVM assembly.
    effort : int
        The level of optimisation of the passes.
    machine : llvmlite.binding.TargetMachine
        Its own level is that of the choice of instructions.
    identity : str
        What tells this machine, its level and the version of LLVM from others.

    Returns
    -------
    bytes
        An object file.
    """
    key = _object_key(text, effort, identity)
    code = cached(key)
    if code is None:
        code = compiled(text, effort, machine)
        keep(key, code)
    return code


def _object_key(text: str, effort: int, identity: str) -> str:
    """The digest of all that decides what object code comes out: the assembly itself, how it is optimised, and where.

    Emitting the text costs some 2 microseconds an operation, which is what it takes never to trust a version number.
    """
    return hashlib.sha256(f"{identity} {effort}\n{text}".encode()).hexdigest()


def compiled(text: str, effort: int, machine: Any) -> bytes:
    """The object code of a kernel, compiled now.

    Parameters
    ----------
    text : str
        LLVM assembly.
    effort : int
        The level of optimisation of the passes.

    Returns
    -------
    bytes
        An object file.
    """
    from llvmlite import binding as llvm

    module = llvm.parse_assembly(text)
    module.triple = machine.triple
    module.data_layout = str(machine.target_data)
    if effort:
        options = llvm.create_pipeline_tuning_options(speed_level=effort)
        for name, value in TUNING.items():
            setattr(options, name, value)
        builder = llvm.create_pass_builder(machine, options)
        builder.getModulePassManager().run(module, builder)
    return bytes(machine.emit_object(module))


#: Where the entries lie in the folder.
_FOLDER = "kernels"
#: Bytes that entries may take up together; those that were used least recently go first.
LIMIT = 256 * 2**20


class CacheWarning(UserWarning):
    """Something in the cache is not trusted; the run goes on without it."""


def _cache_folder() -> Path:
    """Where entries are kept: ``CIPARK_CACHE`` if set, else the user's cache folder."""
    named = os.environ.get("CIPARK_CACHE")
    if named:
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_cache_dir("cipark_sd", appauthor=False))


def cached(key: str) -> bytes | None:
    """What was kept under a key, a digest in hexadecimal; None where nothing was, or nothing whole of this user's."""
    folder = _cache_folder()
    path = folder / _FOLDER / key
    try:
        _check_folders(folder, path.parent)
        signed = owned(path, WRITABLE_BY_OTHERS)
        content = signed[SIZE:]
        if not hmac.compare_digest(signature(_FOLDER, key, content), signed[:SIZE]):
            raise NotTrusted(f"{path} does not bear this user's signature or is damaged")
    except NotTrusted as reason:
        _warn(str(reason))
        return None
    except OSError:
        return None
    with contextlib.suppress(OSError):
        # the date says when an entry was last used
        os.utime(path)
    return content


def keep(key: str, content: bytes) -> None:
    """Keep something under a key, in place of what was there, and throw away what has become too much.

    Parameters
    ----------
    key : str
        A digest, in hexadecimal.
    """
    folder = _cache_folder()
    path = folder / _FOLDER / key
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        _check_folders(folder, path.parent)
        signed = signature(_FOLDER, key, content) + content
        with whole(path) as partial, open(partial, "wb", opener=_private) as file:
            file.write(signed)
        _make_room(path)
    except NotTrusted as reason:
        _warn(str(reason))
    except OSError:
        return


def _check_folders(*folders: Path) -> None:
    for folder in folders:
        about = folder.stat()
        if not stat.S_ISDIR(about.st_mode):
            raise NotADirectoryError(str(folder))
        check_owner(folder, about, WRITABLE_BY_OTHERS)


def _private(path: str, flags: int) -> int:
    """Open a new file that nobody else may read or write, whatever the user's mask."""
    return os.open(path, flags | os.O_EXCL, 0o600)


_warned = False


def _warn(reason: str) -> None:
    """Say once in a process that something is not trusted."""
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(f"the cache is not used: {reason}", CacheWarning, stacklevel=4)


def _make_room(newest: Path) -> None:
    """Remove the entries that were used least recently until the rest fits; the newest stays, whatever its size."""
    entries = []
    with os.scandir(newest.parent) as files:
        for entry in files:
            # another process may have removed it by now
            with contextlib.suppress(FileNotFoundError):
                about = entry.stat()
                entries.append((about.st_mtime_ns, about.st_size, entry.path))
    total = sum(size for _, size, _ in entries)
    # in order only where there is too much
    for _, size, path in sorted(entries) if total > LIMIT else ():
        if total <= LIMIT:
            return
        if path != str(newest):
            Path(path).unlink(missing_ok=True)
            total -= size
