"""What every command of the calibration shows in the same way: bars, and text with square brackets."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


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
