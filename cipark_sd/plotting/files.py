"""Figures as files."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cipark_sd.files import write_bytes
from cipark_sd.plotting.description import describe
from cipark_sd.results import check_writable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Format of a figure on a page, whose letters stay sharp on a phone; and with it those for slides and for print.
ON_PAGE, FOR_PRINT = (".svg",), (".svg", ".png", ".pdf")
SUFFIXES = (".png", ".svg", ".pdf")


def check_figure_path(path: Path) -> None:
    """Raise where a figure could not be saved under that name.

    Raises
    ------
    InvalidValue
    """
    check_writable(path, role="the figure file", endings=SUFFIXES, where="--figure")


def save_figure(figure: "Figure", path: Path | str, *, dpi: int = 200) -> None:
    """Write a figure as PNG, SVG or PDF by the ending of the name; the file appears whole or not at all.

    Raises
    ------
    InvalidValue
        For another ending, or a folder that does not exist or cannot be written to.
    OSError
        Where the disk is full.
    """
    path = Path(path)
    check_figure_path(path)
    # made in memory: where the disk is full, writers stumble over what they have left open
    write_bytes(path, rendered(figure, path.suffix.lower()[1:], dpi=dpi))


def rendered(figure: "Figure", kind: str, *, dpi: int) -> bytes:
    """A figure as ``"png"``, ``"svg"`` or ``"pdf"``; the same figure gives the same bytes.

    No dates and no random identifiers go into it.
    """
    import matplotlib as mpl
    from matplotlib.text import Text

    date = {"png": "", "svg": "Date", "pdf": "CreationDate"}[kind]
    facts: dict[str, str | None] = {date: None} if date else {}
    if kind == "svg" and (words := describe(figure)):
        facts["Description"] = words
    drawn = io.BytesIO()
    # a dollar sign begins no formula: names come from models
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    with mpl.rc_context({"svg.hashsalt": "cipark", "svg.fonttype": "none", "text.parse_math": False}):
        figure.savefig(drawn, format=kind, dpi=dpi, metadata=facts)
    return drawn.getvalue()


def save_figures(figure: "Figure", folder: Path, name: str, endings: Sequence[str] = ON_PAGE) -> list[Path]:
    """Write a figure in some formats; the first is the one that a page shows.

    Its parts are laid out once, since that takes as long as drawing them.

    Raises
    ------
    InvalidValue, OSError
    """
    layout = figure.get_layout_engine()
    if layout is not None:
        layout.execute(figure)
    # matplotlib's "none" stands for an engine that does nothing, for which it draws everything once more
    figure.set_layout_engine(None)
    paths = [folder / f"{name}{ending}" for ending in endings]
    for path in paths:
        save_figure(figure, path)
    return paths
