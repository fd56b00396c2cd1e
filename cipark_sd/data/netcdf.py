"""NetCDF files that somebody else made, read in a process of its own with limits of time and memory.

HDF5 can link to other files, map their arrays (virtual datasets) and keep numbers in files beside: whoever sends a file
does not choose which files of its reader come in, so what does not stay in the file is refused. And its library, in C,
never ends on some damaged files and crashes on others; nothing in its process can stop it then. So a child opens the
file and hands back plain arrays; whatever becomes of the child is an error of the file. What this user's own commands
have written and signed is opened here: a child takes a quarter of a second, several times in each command after a fit.
"""

import errno
import faulthandler
import io
import math
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cipark_sd.base.inputs import MEGABYTE, RESULT_LIMIT, UnreadableFile, check_readable

#: What h5py and what reads with it make of a damaged file.
DAMAGED = (RuntimeError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError, EOFError)
#: Seconds of the processor (on Windows, of the clock) that the child has to look through a file; a small one takes 0.3.
PATIENCE = 10.0
#: Bytes a second that it reads at least, packed and unpacked: 1,000 arrays in 9 MB take 2.4 s, 240 MB in 30 take 3.
PACE = 2 * MEGABYTE
#: Bytes that the child may take beyond its libraries and twice the arrays.
ROOM = 512 * MEGABYTE
#: The exit code with which it ends where it is the clock that counts.
_SLOW = 1
#: A child has one thread and looks for no module in the working folder.
CHILD = ("-P", "-c", "from cipark_sd.data.netcdf import answer; answer()")


class Group(NamedTuple):
    """A group of a file: by name each variable's dims, values and attributes, as they stand there; and its own."""

    variables: dict[str, tuple[tuple[str, ...], NDArray[Any], dict[str, Any]]]
    attributes: dict[str, Any]


def read_groups(path: Path, *names: str, limit: int = RESULT_LIMIT) -> dict[str, Group]:
    """Groups of a NetCDF file, in memory.

    Parameters
    ----------
    names : of the groups whose arrays are wanted, ``/`` for the root
    limit : bytes of the file; unpacked it has as many, or as many as it has packed

    Returns
    -------
    dict of str to Group
        Those that the file has; the root is always among them, with its attributes at least.

    Raises
    ------
    OSError
        For a file that is no regular one or no HDF5, is too large or damaged, or takes anything from other files.
    """
    # what is imported here is nothing that the child needs
    from cipark_sd.base.checkpoints import signed_bytes

    check_readable(path, limit)
    content = signed_bytes(path.parent, path.name)
    if content is not None:
        return {name: Group(*group) for name, group in _groups(io.BytesIO(content), names).items()}
    words = [sys.executable, *CHILD, os.fspath(path), str(min(limit, RESULT_LIMIT)), str(PATIENCE), *names]
    single = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    nothing, env = subprocess.DEVNULL, os.environ | single
    child = subprocess.Popen(words, env=env, stdin=nothing, stdout=subprocess.PIPE, stderr=nothing)
    begun = False
    try:
        assert child.stdout is not None
        begun = bool(pickle.load(child.stdout))
        sizes = pickle.load(child.stdout)
        arrays = [bytearray(size) for size in sizes]
        if any(child.stdout.readinto(array) != len(array) for array in arrays):  # type: ignore[attr-defined]
            raise EOFError
        groups, number, text = pickle.load(child.stdout, buffers=arrays)
    except (EOFError, pickle.UnpicklingError):
        raise UnreadableFile(errno.EINVAL, _how_it_ended(child.wait(), begun), str(path)) from None
    finally:
        child.kill()
        child.communicate()
    if groups is None:
        raise UnreadableFile(number, text, str(path)) if number else OSError(text)
    return {name: Group(*group) for name, group in groups.items()}


def _how_it_ended(code: int, begun: bool) -> str:
    if not begun:
        return f"the process that reads it ended before it began, with exit code {code}"
    if code in (_SLOW, -getattr(signal, "SIGXCPU", _SLOW)):
        return "it is damaged: reading it does not end"
    return f"it is damaged: the HDF5 library ends the process that reads it, with exit code {code}"


def answer() -> None:
    """The child: write what :func:`read_groups` asks for to standard output."""
    _, path, limit, patience, *names = sys.argv
    _within(float(patience))
    import h5netcdf  # noqa: F401

    out, groups, number, text = sys.stdout.buffer, None, 0, ""
    pickle.dump(True, out)
    out.flush()
    try:
        _allow(ROOM)
        size = _unpacked(path, int(limit)) + os.stat(path).st_size
        _within(float(patience) + size / PACE)
        _allow(ROOM + 2 * size)
        groups = _groups(path, names)
    except OSError as problem:
        # without a number it is h5py's, of a file that is none
        number, text = problem.errno or 0, problem.strerror or str(problem)
    except MemoryError:
        number, text = errno.ENOMEM, "it is damaged: it takes more memory than its arrays have"
    except DAMAGED as problem:
        number, text = errno.EINVAL, f"it is damaged ({problem})"
    buffers = list[pickle.PickleBuffer]()
    try:
        reply = pickle.dumps((groups, number, text), 5, buffer_callback=buffers.append)
    except (*DAMAGED, pickle.PicklingError) as problem:
        buffers, reply = [], pickle.dumps((None, errno.EINVAL, f"it is damaged ({problem})"))
    pickle.dump([buffer.raw().nbytes for buffer in buffers], out)
    for buffer in buffers:
        out.write(buffer.raw())
    out.write(reply)
    out.flush()
    # what a damaged file has done to the library is not tidied up
    os._exit(0)


def _within(seconds: float) -> None:
    """End this process when it has taken so long, whatever code of C does then."""
    try:
        import resource
    except ImportError:
        # a thread of C ends the process, and does not wait for the interpreter
        faulthandler.dump_traceback_later(seconds, exit=True)
        return
    # the system leaves no image of the process behind
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    limit = math.ceil(time.process_time() + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def _allow(room: int) -> None:
    """Let this process take some bytes more than now, where the system counts them (Linux)."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (ImportError, OSError):
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = pages * resource.getpagesize() + room
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def _unpacked(path: str, limit: int) -> int:
    """The bytes of all arrays of a file that takes nothing from others; OSError for any other one."""
    import h5py

    with h5py.File(path, "r") as file:
        fault, unpacked = _reaches_out(file)
    most = max(limit, os.stat(path).st_size)
    if unpacked > most:
        fault = f"unpacked it has {unpacked / MEGABYTE:,.0f} MiB, and at most {most // MEGABYTE:,} MiB are read"
    if fault:
        raise UnreadableFile(errno.EINVAL, fault, path)
    return unpacked


def _reaches_out(file: Any) -> tuple[str, int]:
    """What of an HDF5 file does not stay in it, empty where all does, and its size unpacked."""
    import h5py

    size, pending = 0, [(file, "")]
    known = {h5py.h5o.get_info(file.id).addr}
    while pending:
        group, path = pending.pop()
        for key in group:
            name = f"{path}{key}"
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                return f"{name!r} is a link, and none is followed", size
            item = group[key]
            place = h5py.h5o.get_info(item.id).addr
            if isinstance(item, h5py.Group):
                if place in known:
                    return f"{name!r} is a group that is elsewhere too", size
                pending.append((item, f"{name}/"))
            elif isinstance(item, h5py.Dataset) and place not in known:
                if item.external or item.is_virtual:
                    return f"{name!r} takes its numbers from other files, and none is read", size
                size += item.nbytes
            known.add(place)
    return "", size


def _groups(file_or_path: str | io.BytesIO, names: Sequence[str]) -> dict[str, tuple[Any, Any]]:
    """The groups that are asked for and there, and the attributes of the root."""
    import h5netcdf

    with h5netcdf.File(file_or_path, "r", decode_vlen_strings=True, phony_dims="access") as file:
        groups: dict[str, tuple[Any, Any]] = {"/": ({}, _attributes(file))}
        for name in names:
            if name == "/" or name in file:
                group = file[name] if name != "/" else file
                variables = {
                    str(label): (tuple(variable.dimensions), np.asarray(variable[...]), _attributes(variable))
                    for label, variable in group.variables.items()
                }
                groups[name] = variables, _attributes(group)
    return groups


def _attributes(place: Any) -> dict[str, Any]:
    """What a group or a variable says of itself; a text that is no UTF-8 stays bytes."""
    about = dict(place.attrs)
    for name, value in about.items():
        if isinstance(value, bytes):
            with suppress(UnicodeDecodeError):
                about[name] = value.decode()
    return about
