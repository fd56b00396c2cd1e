"""What the calibration shows in the same way everywhere: tables, bars, and text with square brackets."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


def printer() -> "Console":
    """Where tables and sentences go: as wide as the terminal, or 140 characters in a pipe."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 140, highlight=False)


def progress_bars() -> "Progress | None":
    """Bars where someone watches, nothing in a pipe."""
    if not sys.stderr.isatty():
        return None
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True))


def plain(text: str) -> str:
    """Text in which square brackets stay what they are."""
    return text.replace("[", r"\[")
