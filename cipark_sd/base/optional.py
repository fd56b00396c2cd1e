"""Optional parts of a command: one that fails costs its own line and nothing else.

A command opens a record with :func:`record_in`; each part of :data:`PARTS` then runs under :func:`attempt`. Where it
fails, one line says which part and why on the console and on the page, the traceback goes into :data:`LOG` beside the
results, and the command goes on with its exit code. Outside of a command, as from Python, an error is raised as ever.
"""

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TypeVar

from cipark_sd.base.console import echo
from cipark_sd.base.errors import CiparkError, shortened
from cipark_sd.base.inputs import TOML_LIMIT, own_bytes

T = TypeVar("T")
#: All optional parts, with what each is in words.
PARTS: Mapping[str, str] = {
    "figure": "The figure",
    "player": "The page that runs the model",
    "contradiction": "The comparison of the base with the data",
    "pysd": "The comparison with PySD",
    "half step": "The run at half the time step",
    "model checks": "The checks of the model at the estimate",
    "failed draws": "The count of draws with which the model fails",
    "course errors": "The comparison of curves and series",
    "forecast": "The forecast",
    "hold-out": "The hold-out",
    "rivals": "The comparison of the rivals",
    "self-test": "The self-test",
    "discrepancies": "The statistics of replicated data",
    "groups": "The values of the groups",
    "disagreements": "The comparison of the folders",
}
#: The file in the output folder that holds the tracebacks.
LOG = "left_out.log"
#: What the line of an entry begins with there.
_ENTRY = "* "


#: What was left out of one call: where its tracebacks go, and the lines; empty until there is a record.
_RECORD: ContextVar[list[tuple[Path | None, list[str]]] | None] = ContextVar("left_out", default=None)


@contextmanager
def one_call() -> Iterator[None]:
    """One call of a command: a record that is opened within it ends with it."""
    token = _RECORD.set([])
    try:
        yield
    finally:
        _RECORD.reset(token)


@contextmanager
def recorded(folder: Path | None = None) -> Iterator[None]:
    """Within it a part that fails is left out; tracebacks go to ``folder``, whose log of an earlier call goes."""
    with one_call():
        record_in(folder)
        yield


def record_in(folder: Path | None = None) -> None:
    """As :func:`recorded`, to the end of the command that runs."""
    if (record := _RECORD.get()) is not None:
        if folder is not None:
            (folder / LOG).unlink(missing_ok=True)
        record[:] = [(folder, [])]


def attempt(
    part: str,
    compute: Callable[[], T],
    otherwise: T,
    detail: str = "",
    *,
    refused: tuple[type[Exception], ...] | type[Exception] = (),
) -> T:
    """What ``compute`` gives, or ``otherwise`` where it fails.

    Parameters
    ----------
    part : a key of :data:`PARTS`
    compute : the part
    otherwise : what stands in its place where it fails
    detail : which one of several, such as the name of a figure; empty where there is one
    refused : verdicts, and faults of the disk, that end the command all the same
    """
    words = PARTS[part]
    if not (record := _RECORD.get()):
        return compute()
    folder, lines = record[0]
    try:
        return compute()
    except refused:
        raise
    except Exception as problem:
        named = f"{words} {detail}".rstrip()
        log = "" if folder is None else f" (see {LOG})"
        line = f"{named} was left out: {_reason(problem)}{log}"
        if line not in lines:
            lines.append(line)
            echo(line, err=True)
        if folder is not None:
            with (folder / LOG).open("a", encoding="utf-8") as file:
                file.write(f"{_ENTRY}{line}\n{''.join(traceback.format_exception(problem))}\n")
        return otherwise


def left_out(folder: Path) -> tuple[str, ...]:
    """The lines of all parts that are missing from the results in a folder."""
    there = (folder / LOG).is_file()
    lines = own_bytes(folder, LOG, TOML_LIMIT).decode("utf-8", "replace").splitlines() if there else ()
    return tuple(dict.fromkeys(line.removeprefix(_ENTRY) for line in lines if line.startswith(_ENTRY)))


def _reason(problem: Exception) -> str:
    """One line; the kind of an error that is no message to a user is part of it."""
    text = " ".join(str(problem).split())
    kind = "" if isinstance(problem, CiparkError) else type(problem).__name__
    return shortened(": ".join(part for part in (kind, text) if part), 200)
