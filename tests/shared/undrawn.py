"""Figures that are not drawn: they take most of the time of a command, and rest on the tables that it writes."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

if TYPE_CHECKING:
    import pytest

    from cipark_sd.pages.parts import Drawing

#: The program in a process of its own, with figures left undrawn. A shell that started the tests in the background has
#: them ignore Ctrl-C, and what they start as well, so that it is put back.
PROGRAM = """
import signal
import undrawn
from cipark_sd.commands.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
undrawn.undraw()
if __name__ == "__main__":
    main()
"""


def _empty(figure: Figure, target: "str | Path | io.BytesIO", **how: object) -> None:
    """In place of ``Figure.savefig``: an empty file."""
    if not isinstance(target, io.BytesIO):
        Path(target).touch()


#: By method of a figure, what stands in its place.
UNDRAWN: dict[str, Callable[..., None]] = {"savefig": _empty, "get_layout_engine": lambda figure: None}


def _not_built(drawing: "Drawing", folder: Path, endings: Sequence[str]) -> list[Path]:
    """In place of ``cipark_sd.pages.output.draw``: empty files, and no figure is made for them."""
    paths = [folder / f"{drawing.name}{ending}" for ending in endings]
    for path in paths:
        path.write_bytes(b"")
    return paths


def undraw(patch: "pytest.MonkeyPatch | None" = None, *, built: bool = False) -> None:
    """Make no figure from here on, or as long as the patch lasts; its file is empty.

    A figure that is ``built`` has its axes and lines, and is neither laid out nor drawn.
    """
    from cipark_sd.pages import output

    acts = [(Figure, name, act) for name, act in UNDRAWN.items()]
    for owner, name, act in [*acts, *([] if built else [(output, "draw", _not_built)])]:
        if patch is None:
            setattr(owner, name, act)
        else:
            patch.setattr(owner, name, act)
