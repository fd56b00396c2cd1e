"""TOML tables that know their file and the lines of their keys, so that a message can name the place.

``tomllib`` reads the text and says nothing of lines. Here the text, which it has accepted, is split into statements:
with strings and comments covered, a statement ends where a line does outside all brackets. The keys are again read by
``tomllib``, so that quotes, dots and escapes are understood in one place.
"""

import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

#: Strings of all four kinds, and comments; in a text that is TOML whatever starts first is the one that counts.
_COVERED = re.compile(
    r'"{3}(?:\\.|[^\\])*?"{3,5}' r"|'{3}.*?'{3,5}" r'|"(?:\\.|[^"\\\n])*"' r"|'[^'\n]*'|#[^\n]*", re.DOTALL
)
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


def place(content: object, where: str, key: str | None = None) -> str:
    """``file:line: where`` of a table or of one of its keys; ``where`` alone for what was not read from a file."""
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
