"""Atomic file writes: whoever reads at the same time, or after a stop, sees the old file or the new one."""

import csv
import hashlib
import io
import os
import platform
import secrets
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from cipark_sd.base.errors import InvalidValue, ModelFileError, UnusableInput

if TYPE_CHECKING:
    import pandas as pd


#: Where commands write when they are told no other place.
OUTPUT_FOLDER = Path("cipark-output")


#: Characters of a file's name that come from a text; file systems take some 250 bytes.
_NAME_LENGTH = 60


#: Folders that :func:`make_folder` made within :func:`unused_removed`.
_MADE: ContextVar[list[Path] | None] = ContextVar("made", default=None)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it."""
    missing = [place.absolute() for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    if (made := _MADE.get()) is not None:
        made += missing


def output_folder(folder: Path, *, where: str = "--output") -> Path:
    """The folder itself, made with those above it where it is not there yet, without what a killed process left in it.

    It is made before anything is computed, so that a place that cannot be written to is told at once.

    Parameters
    ----------
    where : the option that names it, for messages

    Returns
    -------
    Path
        ``folder``.

    Raises
    ------
    InvalidValue
        When it cannot be made or written to, or is a link that nobody has named.
    """
    check_links(folder, where=where)
    expected = f"one that can be made and written to ({{}}); name another one with {where}"
    try:
        make_folder(folder)
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise InvalidValue("the output folder", str(folder), expected.format(reason), where=where) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InvalidValue("the output folder", str(folder), expected.format("permission denied"), where=where)
    remove_abandoned(folder)
    return folder


def check_links(folder: Path, *, where: str) -> None:
    """Raise where a folder for output that nobody has named is a link; say where one leads that somebody has named.

    Whoever sends a study, with a link in it, does not choose where results go.

    Parameters
    ----------
    where : the option that names it, for messages

    Raises
    ------
    UnusableInput
    """
    links = [place for place in (folder, *folder.parents) if not place.is_absolute() and place.is_symlink()]
    if links and folder.parts[:1] == OUTPUT_FOLDER.parts:
        sentence = f"the folder is a link to {str(links[0].resolve())!r}: remove it, or name a folder with {where}"
        raise UnusableInput(sentence, where=str(links[0]))
    if links:
        warnings.warn(f"{links[0]} is a link: what is written there goes to {links[0].resolve()}", stacklevel=3)


def check_inner(folder: Path) -> None:
    """Raise where a folder within an output folder is a link.

    Raises
    ------
    UnusableInput
        Whoever sends an output folder does not choose where files come and go.
    """
    if folder.is_symlink():
        raise UnusableInput("the folder is a link, and none is followed there: remove it", where=str(folder))


@contextmanager
def unused_removed() -> Iterator[None]:
    """Within it the folders that are made go again where something fails before anything is in them."""
    made = list[Path]()
    token = _MADE.set(made)
    try:
        yield
    except BaseException:
        for place in sorted(made, key=lambda place: len(place.parts), reverse=True):
            # one that holds something stays
            with suppress(OSError):
                place.rmdir()
        raise
    finally:
        _MADE.reset(token)


def file_name(text: str, *, unique: bool = False) -> str:
    """A text as the stem of a file's name: folded letters and digits, all else an underscore.

    >>> file_name("New cases (per week)"), file_name("a/b", unique=True), file_name("a_b", unique=True)
    ('new_cases_per_week', 'a_b-c14cddc033', 'a_b')

    Parameters
    ----------
    unique : whether another text must get another name; what was changed or cut is then told apart by a digest

    Returns
    -------
    str
        Without an ending.
    """
    folded = "".join(character if character.isalnum() else "_" for character in text.casefold())
    name = "_".join(filter(None, folded.split("_"))) or "unnamed"
    if unique and (name != text or len(name) > _NAME_LENGTH):
        return f"{name[:_NAME_LENGTH]}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"
    return name


def _partial_of(process: int | str) -> str:
    """How the names of files begin that a process of this machine has not finished."""
    return f".partial-{hashlib.sha256(platform.node().encode()).hexdigest()[:8]}-{process}-"


def remove_abandoned(folder: Path) -> None:
    """Remove what processes of this machine left unfinished in a folder, files and folders, as they were killed."""
    start = _partial_of("")[:-1]
    for path in folder.glob(f"{start}*"):
        process = path.name.removeprefix(start).partition("-")[0]
        if not process.isdigit() or _runs(int(process)):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def draft_of(folder: Path) -> Iterator[Path]:
    """Where a folder may be made, beside it; that goes at the end, and what killed processes have left at once."""
    place = folder.resolve()
    place.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(place.parent)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=_partial_of(os.getpid())) as temporary:
        yield Path(temporary) / place.name


def _runs(process: int) -> bool:
    if os.name == "nt":  # there a signal of 0 is not a question
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        pass
    return True


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to; it takes the place of ``path`` at the end and is removed after an error.

    The name ends as that of ``path`` does, since writers choose a format by it; nobody can foretell it, so that no link
    can wait there.
    """
    partial = path.with_name(f"{_partial_of(os.getpid())}{secrets.token_hex(4)}-{path.name}")
    try:
        yield partial
        os.replace(partial, path)
    except OSError as problem:
        # people know the file by its own name
        problem.filename = str(path) if problem.filename == str(partial) else problem.filename
        raise
    finally:
        partial.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes | memoryview) -> Path:
    """Write bytes, whole or not at all.

    Parameters
    ----------
    path : in a folder that is there
    content : all of the file

    Returns
    -------
    Path
        ``path``.
    """
    with whole(path) as partial:
        partial.write_bytes(content)
    return path


def write_archive(path: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    """Write names and contents as a ZIP archive, whole or not at all; the same members give the same bytes.

    Parameters
    ----------
    path : in a folder that is there
    members : names and contents, in their order in the archive

    Returns
    -------
    Path
        ``path``.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in members:
            # dated 1980: a time of writing would make other bytes
            archive.writestr(zipfile.ZipInfo(name), member, zipfile.ZIP_DEFLATED)
    return write_bytes(path, content.getvalue())


def write_text(path: Path, text: str) -> Path:
    """Write a text in UTF-8 with line ends as they are, whole or not at all.

    Parameters
    ----------
    path : in a folder that is there
    text : all of the file

    Returns
    -------
    Path
        ``path``.
    """
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")
    return path


def csv_text(rows: Sequence[Mapping[str, object]], columns: Sequence[str] | None = None) -> str:
    """Rows as CSV under their keys or under ``columns``; None is an empty cell. Empty without rows and columns.

    Parameters
    ----------
    rows : values by column
    columns : in their order; None for the keys of the first row

    Returns
    -------
    str
        With lines that end in a line feed.
    """
    text = io.StringIO()
    names = list(columns or (rows[0] if rows else ()))
    if names:
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: "" if value is None else value for key, value in row.items()} for row in rows)
    return text.getvalue()


def csv_text_of(rows: Iterable[Sequence[object]]) -> str:
    """Rows of texts and numbers as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def write_table(
    path: Path,
    table: "Sequence[Mapping[str, object]] | pd.DataFrame",
    *,
    columns: Sequence[str] | None = None,
    draws: str = "",
) -> Path:
    """Write a table as CSV, whole or not at all.

    Parameters
    ----------
    path : in a folder that is there
    table : rows, or a frame, whose index is left out
    columns : of rows, in their order; None for the keys of the first
    draws : what draws a frame rests on, for a first column that says it of each row; empty for no such column

    Returns
    -------
    Path
        ``path``.
    """
    if isinstance(table, Sequence):
        return write_text(path, csv_text(table, columns))
    if draws:
        table = table.assign(draws=draws)[["draws", *table.columns]]
    return write_text(path, table.to_csv(index=False, lineterminator="\n"))


def write_whole(path: Path, text: str) -> None:
    """Write a model file in UTF-8, whole or not at all.

    Parameters
    ----------
    text : all of the file

    Raises
    ------
    ModelFileError
        When the folder is not there or cannot be written.
    """
    try:
        write_text(path, text)
    except OSError as problem:
        raise ModelFileError(path, f"cannot be written: {problem.strerror}") from None
