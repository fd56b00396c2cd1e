"""The console: sentences, tables and progress bars; plain text when the output goes on to a file or another program.

Whatever is printed goes through here: a text of a model or a study could else set a terminal's title, write to its
clipboard or turn the order of letters round.
"""

import codecs
import json
import math
import os
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import click

from cipark_sd.base.wording import without_exponents

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

#: A number with commas between its thousands.
_THOUSANDS = re.compile(r"(?<![\d,.])\d{1,3}(?:,\d{3})+(?![\d,])")
#: Columns of a sentence in a pipe, which has no width of its own; and those beyond which lines are tiring to read.
_WIDTH, _READABLE = 140, 100
#: Control characters but for the ends of lines and tabs, marks of direction, and Unicode's own ends of lines.
_CONTROL = re.compile(r"[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def escaped(text: str) -> str:
    r"""The text with control characters and marks of direction as escapes, which are those of JSON as well.

    >>> escaped("\x1b]0;title\x07 \u202e"), escaped("größe\t1\n")
    ('\\u001b]0;title\\u0007 \\u202e', 'größe\t1\n')
    """
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class Printable(Protocol):
    """Something that a command says: a value, so that whoever calls it has its text and a terminal its columns."""

    def show(self, stream: IO[str]) -> None:
        """Write it for people where the stream is a terminal, else as it goes on to a file or another program."""


#: What a command says, part by part.
Printed = Sequence[str | Printable]


def show(printed: Iterable[str | Printable], stream: IO[str]) -> None:
    """Write parts one after the other; a text is one line or several, as they are."""
    for part in printed:
        if isinstance(part, str):
            echo(part, stream=stream)
        else:
            part.show(stream)


def echo(text: str = "", *, err: bool = False, head: str = "", stream: IO[str] | None = None) -> None:
    """Print ``head`` in bold and ``text`` as they are, escapes apart.

    Parameters
    ----------
    text, head : of one line or several; ``head`` stands before ``text`` in bold
    stream : by default standard output, or standard error with ``err``
    """
    text = (click.style(escaped(head), bold=True) if head else "") + escaped(text)
    # click takes an ASCII stream for UTF-8 unless it is handed over
    click.echo(text, file=stream or (sys.stderr if err else sys.stdout))


def as_json(value: object) -> str:
    """Strict JSON for standard output: letters beyond ASCII where the stream is UTF-8, else their escapes.

    Parameters
    ----------
    value : of what JSON has; :func:`plain` makes it
    """
    return json.dumps(value, ensure_ascii=not _is_utf8(sys.stdout), allow_nan=False)


def plain(value: object) -> Any:
    """Numbers and arrays of NumPy, paths and non-finite numbers as what JSON has.

    >>> plain({"a": (1.5, float("nan")), "b": Path("x")})
    {'a': [1.5, 'nan'], 'b': 'x'}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (str, bool)) or value is None:
        return value
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Sequence):
        return [plain(entry) for entry in value]
    return value


def _is_utf8(stream: object) -> bool:
    encoding = getattr(stream, "encoding", None)
    return encoding is None or codecs.lookup(encoding).name.startswith("utf")


def prepare_streams() -> None:
    """Make output possible: nothing is printed where a stream is closed, and escapes where it lacks a letter."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            # the lowest number that is free: else the next file that is opened would get what is printed
            os.open(os.devnull, os.O_RDWR)
        stream = getattr(sys, name)
        if stream is None:
            # it is the process's own, and open until its end
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115
        elif number and not _is_utf8(stream) and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


@dataclass(frozen=True)
class Sentence:
    """A sentence, wrapped at the width of the terminal or at 140 characters in a pipe; exponents are written out."""

    text: str
    bold: bool = False

    def show(self, stream: IO[str]) -> None:
        """As of :class:`Printable`."""
        from rich.console import Console

        Console(file=stream, width=None if stream.isatty() else _WIDTH, highlight=False).print(
            escaped(without_exponents(self.text)), style="bold" if self.bold else None, markup=False
        )


@dataclass(frozen=True)
class NamedLines:
    """Lines with their names: on a terminal under each other, the first one in bold without its name; in a pipe with a
    tab after the name.
    """

    lines: Sequence[tuple[str, str]]

    def show(self, stream: IO[str]) -> None:
        """As of :class:`Printable`."""
        if not stream.isatty():
            show((f"{name}\t{' '.join(without_exponents(text).split())}" for name, text in self.lines), stream)
            return
        width = max(len(name) for name, _ in self.lines[1:]) + 2
        room = min(shutil.get_terminal_size().columns, _READABLE)
        for place, (name, text) in enumerate(self.lines):
            head = name.ljust(width) if place else ""
            # a path is one word, so that it can be copied
            first, *following = textwrap.wrap(
                without_exponents(text), max(room - len(head), 20), break_long_words=False, break_on_hyphens=False
            ) or [""]
            echo(first if place else "", head=head or first, stream=stream)
            for part in following:
                echo(" " * len(head) + part if place else "", head="" if place else part, stream=stream)


@dataclass(frozen=True)
class Rows:
    """A table of texts: aligned on a terminal, with tabs between the cells in a pipe.

    Parameters
    ----------
    columns : the heads
    rows : as many cells a row as there are columns
    right : positions of the columns that align to the right on a terminal; None for those after the first without words
    title : above the table; empty for none
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: Sequence[int] | None = None
    title: str = ""

    def show(self, stream: IO[str]) -> None:
        """As of :class:`Printable`."""
        rows = [[escaped(without_exponents(cell)) for cell in row] for row in self.rows]
        columns, title, right = [*map(escaped, self.columns)], escaped(self.title), self.right
        if right is None:
            right = [i for i in range(1, len(columns)) if not any(is_text(row[i]) for row in rows)]
        if stream.isatty():
            room = shutil.get_terminal_size().columns
            for block in _blocks(columns, rows, right, room):
                _print_block(columns, rows, right, block, title, stream)
                title = ""
            return
        lines = ("\t".join(" ".join(_ungrouped(cell).split()) for cell in row) for row in (columns, *rows))
        show((title, *lines) if title else lines, stream)


def _ungrouped(cell: str) -> str:
    """A cell of numbers without commas between thousands, which no program reads; words as they are.

    >>> _ungrouped("1,234 to 5,678,901"), _ungrouped("1,234 firms"), _ungrouped("1,5")
    ('1234 to 5678901', '1,234 firms', '1,5')
    """
    return cell if is_text(cell) else _THOUSANDS.sub(lambda match: match[0].replace(",", ""), cell)


#: Between two columns of a table on a terminal; and the width to which a column of words may shrink.
_GAP, _WORDS = 3, 18


def _blocks(
    columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int], room: int
) -> list[list[int] | None]:
    """Columns that stand side by side: all where there is room, words wrapped; where there is none, numbers in blocks
    that each begin with the first column, and anything else as a list, which is None.
    """
    widths = _widths(columns, rows)
    least = [width if place in right else min(width, _WORDS) for place, width in enumerate(widths)]
    if sum(least) + _GAP * len(widths) <= room:
        return [list(range(len(columns)))]
    if any(place not in right for place in range(1, len(columns))):
        return [None]
    blocks: list[list[int] | None] = []
    for place in range(1, len(columns)):
        block = blocks[-1] if blocks else None
        if block is not None and sum(widths[column] + _GAP for column in block) + widths[place] <= room:
            block.append(place)
        else:
            blocks.append([0, place])
    return blocks


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(row[place]) for row in (columns, *rows)) for place in range(len(columns))]


def _print_block(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Sequence[int],
    block: list[int] | None,
    title: str,
    stream: IO[str],
) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=stream, width=shutil.get_terminal_size().columns, highlight=False)
    if block is None:
        if title:
            console.print(Text(title, style="italic"))
        for row in rows:
            if row[0]:
                console.print(Text(row[0], style="bold"))
            for column, cell in zip(columns[1:], row[1:], strict=True):
                if cell:
                    text = f"{column}: {cell}" if column else cell
                    for line in textwrap.wrap(text, console.width, initial_indent="  ", subsequent_indent="    "):
                        console.print(Text(line))
        return
    table = Table(title=Text(title) if title else None, title_justify="left", show_edge=False, header_style="bold")
    widths = _widths(columns, rows)
    for position in block:
        numbers = position in right
        least = widths[position] if numbers else min(widths[position], _WORDS)
        table.add_column(
            Text(columns[position]),
            justify="right" if numbers else "left",
            overflow="fold",
            no_wrap=numbers,
            min_width=least,
        )
    for row in rows:
        table.add_row(*(Text(row[position]) for position in block))
    console.print(table)


def is_text(cell: str) -> bool:
    """Whether a cell of a table is words: an interval, a percentage or a signed number is not, nor is an empty cell.

    >>> [is_text(cell) for cell in ("open", "0.1 to 2e-05", "+12%", "nan", "")]
    [True, False, False, False, False]
    """
    for part in (" to ", "e-", "e+", "nan"):
        cell = cell.replace(part, "")
    return any(character.isalpha() for character in cell)


#: Seconds of work between two lines on standard error, where nobody watches bars: a log stays short.
LINE_EVERY = 60.0


class Bars:
    """Progress bars by name; without a terminal a line now and then."""

    def __init__(self, progress: "Progress | None" = None) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._begun = self._last_line = time.monotonic()

    def show(self, name: str, completed: float, total: float | None, note: str = "") -> None:
        """Set the bar of that name, which is drawn when it is set for the first time."""
        if self._progress is None:
            now = time.monotonic()
            if now - self._last_line >= LINE_EVERY:
                self._last_line = now
                of = "" if total is None else f" of {total:g}"
                line = f"{name}{f', {note}' if note else ''}: {completed:g}{of}, {(now - self._begun) / 60:.0f} min"
                print(escaped(line), file=sys.stderr, flush=True)
            return
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name)
        text = escaped(f"{name}, {note}" if note else name)
        self._progress.update(self._tasks[name], completed=completed, total=total, description=text)

    def counter(self, name: str) -> Callable[[int, int], None]:
        """A function of the steps done and planned that sets the bar of that name."""
        self.show(name, 0, None)
        return partial(self.show, name)


@contextmanager
def progress_bars() -> Iterator[Bars]:
    """Bars on standard error, with the time that is left, where someone watches; else a line every minute."""
    if not sys.stderr.isatty():
        yield Bars()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield Bars(progress)


@contextmanager
def busy(text: str) -> Iterator[Callable[[str], None]]:
    """A sign of life on a terminal while the body runs; what it gets changes the text."""
    if not sys.stderr.isatty():
        yield lambda text: None
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status(escape(escaped(text))) as status:
        yield lambda text: status.update(escape(escaped(text)))
