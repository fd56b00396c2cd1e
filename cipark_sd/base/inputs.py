"""The files that a user gives: regular ones, of bounded size, and beneath the folders that the user has named.

A pipe, a device or a file of ``/proc`` may never end, or wait for ever; a file of 20 GB takes all memory before its
first line is understood. Each of them is refused here, before it is opened or before it is read.

Tables of TOML know their file and the lines of their keys, so that a message can name the place. ``tomllib`` reads the
text and says nothing of lines. Here the text, which it has accepted, is split into statements: with strings and
comments covered, a statement ends where a line does outside all brackets. The keys are again read by ``tomllib``, so
that quotes, dots and escapes are understood in one place.
"""

import errno
import math
import os
import re
import stat
import tomllib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cipark_sd.base.errors import CiparkError, InvalidValue, UnusableInput

MEGABYTE = 2**20
#: The largest model in public use has 2 MB.
MODEL_LIMIT = 64 * MEGABYTE
#: A file of this size with a key a line takes 10 s and 400 MiB; rows of data stand in tables.
TOML_LIMIT = 4 * MEGABYTE
#: Tables of data, spreadsheets and recorded runs.
TABLE_LIMIT = 512 * MEGABYTE
#: JSON that a command wrote, and the whole of an archive of findings with its arrays. As objects of Python a JSON takes
#: up to 28 times its size (measured: brackets alone); the largest of the park's has 0.2 MB, with its arrays 1.5 MB.
JSON_LIMIT, ARCHIVE_LIMIT = 8 * MEGABYTE, 64 * MEGABYTE
#: Results of many runs, and work in progress.
RESULT_LIMIT = 4096 * MEGABYTE

#: Levels of lists and tables in a TOML file.
DEEPEST = 100
_LONG_KEY = re.compile(rf"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){{{DEEPEST}}}""")

OPTION = "--allow-files"


class UnreadableFile(OSError):
    """A file that is not read, whatever it holds; ``strerror`` says why, as for a file that the system refuses."""


class OutsideFolder(CiparkError):
    """A file that a model or a study names and that lies elsewhere."""

    def __init__(self, file: str, target: Path, folder: Path, *, where: str) -> None:
        self.file = file
        super().__init__(
            f"{where}: the file {file!r} lies at {str(target)!r}, outside the folder {str(folder)!r}; allow it with "
            f"{OPTION} {target.parent} (in Python: allow_files)"
        )


def check_readable(path: Path, limit: int) -> None:
    """Raise where a file is no regular one or has more than ``limit`` bytes; nothing is opened.

    Raises
    ------
    OSError
        FileNotFoundError and its like where the system says so, else :class:`UnreadableFile`.
    """
    _check(path.stat(), path, limit)


def _check(about: os.stat_result, path: Path, limit: int) -> None:
    if stat.S_ISDIR(about.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
    if not stat.S_ISREG(about.st_mode):
        raise UnreadableFile(errno.EINVAL, "it is not a regular file", str(path))
    if about.st_size > limit:
        unit, name = (MEGABYTE, "MiB") if limit >= MEGABYTE else (1, "bytes")
        size = f"it has {about.st_size / unit:,.0f} {name}, and at most {limit // unit:,} {name} are read"
        raise UnreadableFile(errno.EFBIG, size, str(path))


def read_bytes(path: Path, limit: int) -> bytes:
    """What a regular file of at most ``limit`` bytes holds.

    Raises
    ------
    OSError
        As :func:`check_readable`, and for a file that grows beyond its own size while it is read, or has none although
        it has content, as those of ``/proc``.
    """
    check_readable(path, limit)
    # another file may have taken its place by now; opening must not wait for it
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(handle, "rb") as file:
        about = os.fstat(file.fileno())
        _check(about, path, limit)
        return file.read(about.st_size)


def own_bytes(folder: Path, name: str, limit: int) -> bytes:
    """What a regular file beneath a folder holds, whose name may come from a file of that folder.

    Whoever sends a folder does not choose files outside of it: the name leads down alone, and no part of it is a link.

    Parameters
    ----------
    name : of the file, relative to the folder, with ``/`` between the parts

    Raises
    ------
    OSError
        As :func:`read_bytes`, and for a name or a link that may lead elsewhere.
    """
    parts = Path(name).parts
    if not parts or Path(name).is_absolute() or ".." in parts or "\0" in name:
        raise UnreadableFile(errno.EINVAL, "it does not lie in the folder", name)
    for depth in range(len(parts)):
        if folder.joinpath(*parts[: depth + 1]).is_symlink():
            raise UnreadableFile(errno.ELOOP, "it is a link, and none is followed there", str(folder / name))
    return read_bytes(folder / name, limit)


def read_text(path: Path, limit: int, *, encoding: str = "utf-8") -> str:
    """The text of a regular file of at most ``limit`` bytes, its line ends as Python has them.

    Parameters
    ----------
    encoding : of Python's names

    Raises
    ------
    OSError, UnicodeDecodeError
    """
    return read_bytes(path, limit).decode(encoding).replace("\r\n", "\n").replace("\r", "\n")


def as_number(text: str) -> float:
    """The number that a cell is.

    Raises
    ------
    ValueError
        Where it is none, nor a number of Python's notation alone, such as ``1_0`` for 10.
    """
    if "_" in text:
        raise ValueError(text)
    return float(text)


def number_in(text: str | None) -> float:
    """The number that a cell or an attribute is; NaN where it is none.

    >>> number_in(" 2.5"), number_in("two"), number_in(None)
    (2.5, nan, nan)
    """
    try:
        return as_number(text or "nan")
    except ValueError:
        return math.nan


def lines_of(text: str) -> Iterator[str]:
    """The lines of a text with their ends, one at a time: a list of them takes many times the memory of the text."""
    return (match[0] for match in re.finditer(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text))


def all_beneath(folder: Path, files: Sequence[str], allow_files: Sequence[Path], *, where: str) -> tuple[Path, ...]:
    """The files that a file of ``folder`` names, each as :func:`beneath` gives it.

    Parameters
    ----------
    folder : of the file that names them
    files : as it names them, relative to the folder or absolute
    allow_files : further folders in which they may lie
    where : for messages

    Returns
    -------
    tuple of Path
        Absolute, links resolved.
    """
    return tuple(beneath(folder, file, allow_files, where=where) for file in files)


def beneath(folder: Path, file: str, allowed: Sequence[Path], *, where: str) -> Path:
    """The path of a file that a model or a study in ``folder`` names.

    Parameters
    ----------
    folder : of the model or the study
    file : as it names the file, relative to the folder or absolute
    allowed : further folders in which files may lie
    where : for messages

    Returns
    -------
    Path
        Absolute, links resolved.

    Raises
    ------
    OutsideFolder
        When the file, links resolved, lies neither beneath ``folder`` nor beneath one of ``allowed``.
    InvalidValue
        When the name is none.
    """
    places = [place.resolve() for place in (folder, *allowed)]
    written = [Path(os.path.abspath(place)) for place in (folder, *allowed)]
    named = Path(os.path.abspath(folder / file))
    # by its letters first: to look up a name of Windows' network is to call the computer that it names
    if not any(named.is_relative_to(place) for place in (*places, *written)):
        raise OutsideFolder(file, named, folder, where=where)
    try:
        target = (folder / file).resolve()
    except (OSError, ValueError, RuntimeError) as problem:
        raise InvalidValue("the file's name", file, f"a path ({problem})", where=where) from None
    if not any(target.is_relative_to(place) for place in places):
        raise OutsideFolder(file, target, folder, where=where)
    return target


#: Strings of all four kinds, and comments; in a text that is TOML whatever starts first is the one that counts.
_COVERED = re.compile(
    r'"{3}(?:\\.|[^\\])*?"{3,5}' r"|'{3}.*?'{3,5}" r'|"(?:\\.|[^"\\\n])*"' r"|'[^'\n]*'|#[^\n]*", re.DOTALL
)
#: What is the cause of an error of TOML's reader as a rule, by words of it.
_CAUSES = {
    "Illegal character": "put a text between two quotation marks",
    "Invalid value": "put a text between quotation marks, and a point marks decimals",
    "Expected newline": "put a setting on a line of its own, and a point marks decimals",
}
_Path = tuple[str | int, ...]


class LinedTable(dict[str, Any]):
    """A table, the file it stands in, and the lines of itself and of its keys, counted from 1."""

    def __init__(self, content: Mapping[str, Any], file: Path, line: int, lines: Mapping[str, int]) -> None:
        super().__init__(content)
        self.file = file
        self.line = line
        self.lines = lines

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (dict(self), self.file, self.line, self.lines)


def check_own(path: Path) -> None:
    """Raise where a file that is found by its name, beside one that somebody named, is a link out of its folder.

    Whoever sends a folder does not choose files outside of it.

    Raises
    ------
    UnusableInput
    """
    if path.is_symlink() and not path.resolve().is_relative_to(path.parent.resolve()):
        reason = "the file is a link out of its folder, and none is followed there: put the file itself in its place"
        raise UnusableInput(reason, where=str(path))


def read_toml(path: Path, *, named: bool = False) -> LinedTable:
    """What a TOML file says, in tables that know their lines.

    Parameters
    ----------
    named : whether somebody named this very file; a link is followed then wherever it leads

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        For the caller, who knows what the file is for.
    InvalidValue
        When it cannot be read or is not TOML.
    UnusableInput
        When it is a link out of its folder that nobody has named.
    """
    return parsed_toml(toml_text(path, named=named), path)


def toml_text(path: Path, *, named: bool = False) -> str:
    """The text of a TOML file; see :func:`read_toml`."""
    if not named:
        check_own(path)
    try:
        # some editors put a byte-order mark first
        return read_text(path, TOML_LIMIT, encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        raise
    except UnicodeDecodeError as problem:
        raise UnusableInput(f"the file is no text, and so no TOML ({problem})", where=str(path)) from None
    except OSError as problem:
        raise UnusableInput(f"the file cannot be read ({problem.strerror})", where=str(path)) from None


def _no_toml(reason: str, path: Path) -> UnusableInput:
    """An error of TOML's reader with file and line first, and what is the cause as a rule."""
    match = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", reason)
    if match is None:
        return UnusableInput(f"this is no TOML: {reason}", where=str(path))
    hint = next((f"; {cause}" for words, cause in _CAUSES.items() if words in match[1]), "")
    words = match[1].replace("Illegal character '\\n'", "the line ends within a text")
    return UnusableInput(f"this is no TOML at column {match[3]}: {words}{hint}", where=f"{path}:{match[2]}")


def parsed_toml(text: str, path: Path) -> LinedTable:
    """A text as TOML; see :func:`read_toml`.

    Parameters
    ----------
    text : of the file
    path : for messages, and for the places of tables

    Returns
    -------
    LinedTable
        Tables within it are such tables too.
    """
    nested = UnusableInput("lists or tables are nested too deeply", where=str(path))
    # the work of tomllib grows with the square of the parts of a key
    if _LONG_KEY.search(text):
        raise nested
    try:
        content = tomllib.loads(text)
    except ValueError as problem:
        # beside TOML's own errors, Python's for a number of thousands of digits
        raise _no_toml(str(problem), path) from None
    except RecursionError:
        raise nested from None
    pending: list[tuple[object, int]] = [(content, 0)]
    while pending:
        item, depth = pending.pop()
        if depth > DEEPEST:
            raise nested
        match item:
            case dict() | list():
                inner = item.values() if isinstance(item, dict) else item
                pending += [(value, depth + 1) for value in inner]
            case int() as number if not -(2**63) <= number < 2**63:
                # TOML 1.0: whole numbers of 64 bits, and an error beyond
                # Python writes no number of thousands of digits to the base of ten
                digits = str(number) if number.bit_length() < 2**13 else f"{number:#x}"
                shown = f"{digits[:20]}… with {len(digits)} digits"
                raise InvalidValue("a whole number", shown, "less than 2^63", where=str(path))
            case _:
                pass
    return lined(content, text, path)


def place(content: object, where: str, key: str | None = None) -> str:
    """``file:line: where`` of a table or of one of its keys; ``where`` alone for what was not read from a file.

    Parameters
    ----------
    content : a table of TOML, or a mapping from elsewhere
    where : what the table is called; empty for the file itself
    key : one of the table's; None for the table
    """
    if not isinstance(content, LinedTable):
        return where
    line = content.line if key is None else content.lines.get(key, content.line)
    return f"{content.file}:{line}{f': {where}' if where else ''}"


def lined(content: Mapping[str, Any], text: str, file: Path) -> LinedTable:
    """What ``tomllib`` read from ``text``, with lines."""
    return _table(content, (), 1, _lines(text), file)


def _table(content: Mapping[str, Any], path: _Path, line: int, lines: Mapping[_Path, int], file: Path) -> LinedTable:
    line = lines.get(path, line)
    key_lines = {key: lines.get((*path, key), line) for key in content}
    values = {key: _value(value, (*path, key), key_lines[key], lines, file) for key, value in content.items()}
    return LinedTable(values, file, line, key_lines)


def _value(value: Any, path: _Path, line: int, lines: Mapping[_Path, int], file: Path) -> Any:
    if isinstance(value, dict):
        return _table(value, path, line, lines, file)
    if isinstance(value, list):
        return [_value(item, (*path, i), line, lines, file) for i, item in enumerate(value)]
    return value


def _lines(text: str) -> dict[_Path, int]:
    """The line of each table, key and item of a list: the first that names it."""
    lines: dict[_Path, int] = {}
    counts: dict[_Path, int] = {}
    table: _Path = ()
    for line, statement, items in _statements(text):
        header = statement.startswith("[")
        *above, last = _key(statement if header else f"{statement}=0")
        path: _Path = () if header else table
        for part in above:
            path = (*path, part)
            lines.setdefault(path, line)
            # a header within an array of tables is of its last table
            path = (*path, counts[path] - 1) if header and path in counts else path
        path = (*path, last)
        lines.setdefault(path, line)
        if statement.startswith("[["):
            counts[path] = counts.get(path, 0) + 1
            path = (*path, counts[path] - 1)
            lines[path] = line
        lines |= {(*path, place): line for place, line in enumerate(items)}
        table = path if header else table
    return lines


def _key(statement: str) -> tuple[str, ...]:
    """The parts of a dotted key, read by tomllib."""
    parts: list[str] = []
    content: Any = tomllib.loads(statement)
    while content and isinstance(content, dict):
        ((part, content),) = content.items()
        parts.append(part)
        content = content[0] if isinstance(content, list) else content
    return tuple(parts)


def _statements(text: str) -> Iterator[tuple[int, str, list[int]]]:
    """Headers as they stand, and the keys of all other statements; the line of each, and of the items of its list."""
    covered = _COVERED.sub(lambda match: ("\0" if match[0][0] != "#" else " ") * len(match[0]), text)
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    start = depth = 0
    for mark in re.finditer(r"[\[{]|[\]}]|\n|\Z", covered):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(mark[0], 0)
        if depth or mark[0] not in ("", "\n"):
            continue
        part = covered[start : mark.start()]
        begin = start + len(part) - len(part.lstrip())
        if part.strip() and part.lstrip().startswith("["):
            yield bisect_right(starts, begin), text[begin : start + len(part.rstrip())], []
        elif part.strip():
            value = covered.index("=", begin) + 1
            items = [bisect_right(starts, value + offset) for offset in _items(covered[value : mark.start()])]
            yield bisect_right(starts, begin), text[begin : value - 1], items
        start = mark.end()


def _items(value: str) -> Iterator[int]:
    """Where the items of a list begin; nothing for another value."""
    depth, awaited = 0, False
    if not value.lstrip().startswith("["):
        return
    for offset, character in enumerate(value):
        if character.isspace():
            continue
        if character in "]}":
            depth -= 1
            continue
        if awaited:
            yield offset
        awaited = depth == 1 and character == ","
        if character in "[{":
            depth += 1
            awaited = depth == 1
