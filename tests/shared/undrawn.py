"""Figures that are not drawn: they take most of the time of a command, and rest on the tables that it writes."""

import io
from pathlib import Path

from matplotlib.figure import Figure

#: The program in a process of its own, with figures left undrawn. A shell that started the tests in the background has
#: them ignore Ctrl-C, and what they start as well, so that it is put back.
PROGRAM = """
import signal
from matplotlib.figure import Figure
from undrawn import undrawn
from cipark_sd.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
Figure.savefig = undrawn
if __name__ == "__main__":
    main()
"""


def undrawn(figure: Figure, target: "str | Path | io.BytesIO", **how: object) -> None:
    """In place of ``Figure.savefig``: an empty file."""
    if not isinstance(target, io.BytesIO):
        Path(target).touch()
