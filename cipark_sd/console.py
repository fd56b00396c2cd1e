"""The console: sentences, tables and progress bars; plain text when the output goes on to a file or another program."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

#: Columns of a sentence in a pipe, which has no width of its own.
_WIDTH = 140


def say(text: str = "", *, bold: bool = False) -> None:
    """Print a sentence, wrapped at the width of the terminal or at 140 characters in a pipe."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else _WIDTH
    Console(width=width, highlight=False).print(text, style="bold" if bold else None, markup=False)


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] | None = None, title: str = ""
) -> None:
    """Print ``rows`` under ``columns``.

    Parameters
    ----------
    right : sequence of int, optional
        Positions of the columns that align to the right; without it those after the first that hold no words.
    """
    if right is None:
        right = [i for i in range(1, len(columns)) if not any(is_text(row[i]) for row in rows)]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(title=Text(title) if title else None, title_justify="left", show_edge=False, header_style="bold")
        for position, column in enumerate(columns):
            table.add_column(Text(column), justify="right" if position in right else "left", overflow="fold")
        for row in rows:
            table.add_row(*map(Text, row))
        Console().print(table)
        return
    if title:
        click.echo(title)
    widths = [max(len(row[position]) for row in (columns, *rows)) for position in range(len(columns))]
    for row in (columns, *rows):
        cells = [
            text.rjust(width) if position in right else text.ljust(width)
            for position, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        click.echo("  ".join(cells).rstrip())


def is_text(cell: str) -> bool:
    """Whether a cell of a table is words: an interval, a percentage or a signed number is not, nor is an empty cell.

    >>> [is_text(cell) for cell in ("open", "0.1 to 2e-05", "+12 %", "nan", "")]
    [True, False, False, False, False]
    """
    for part in (" to ", "e-", "e+", "nan"):
        cell = cell.replace(part, "")
    return any(character.isalpha() for character in cell)


def number(value: float) -> str:
    """A value with four significant digits, whole numbers as such.

    >>> number(41.0), number(0.123456), number(1234567.8)
    ('41', '0.1235', '1,234,568')
    """
    if value != value or value in (float("inf"), float("-inf")):
        return str(value)
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


class Bars:
    """Progress bars by name; without a terminal nothing is drawn."""

    def __init__(self, progress: "Progress | None" = None) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def show(self, name: str, completed: float, total: float | None, note: str = "") -> None:
        """Set the bar of that name, which is drawn when it is set for the first time."""
        if self._progress is None:
            return
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name)
        text = f"{name}, {note}" if note else name
        self._progress.update(self._tasks[name], completed=completed, total=total, description=text)

    def counter(self, name: str) -> Callable[[int, int], None]:
        """A function of the steps done and planned that sets the bar of that name."""
        self.show(name, 0, None)
        return partial(self.show, name)


@contextmanager
def progress_bars() -> Iterator[Bars]:
    """Bars on standard error, with the time that is left, where someone watches."""
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

    with Console(stderr=True).status(escape(text)) as status:
        yield lambda text: status.update(escape(text))
