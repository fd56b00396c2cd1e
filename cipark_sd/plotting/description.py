"""What a figure says to who cannot see it: the numbers of its lines, points and bars, in words."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cipark_sd.arrays import Array
from cipark_sd.wording import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Characters of a description, and lines of one panel in it, at most.
LONGEST, LINES = 700, 4
#: Rows of a panel whose axis has names.
ROWS = 8


def describe(figure: "Figure") -> str:
    """The numbers of a figure: where labelled lines begin and end, and their largest; of named rows their middle.

    Returns
    -------
    str
        Sentences; empty for a figure without numbers that can be told so.
    """
    panels = [sentence for axes in figure.axes for sentence in _panel(axes)]
    text = ""
    for place, sentence in enumerate(panels):
        if len(text) + len(sentence) > LONGEST:
            return f"{text} And {len(panels) - place} more.".strip()
        text = f"{text} {sentence}".strip()
    return text


def _panel(axes: "Axes") -> Iterator[str]:
    names = [label.get_text() for label in axes.get_yticklabels()]
    parts = list(_cells(axes, names)) or list(_rows(axes, names) if _named(names) else _lines(axes))
    if parts:
        title = _plain(axes.get_title(loc="left") or axes.get_title() or axes.get_ylabel())
        text = "; ".join(parts)
        yield f"{title}: {text}." if title else f"{text[:1].upper()}{text[1:]}."


def _cells(axes: "Axes", names: list[str]) -> Iterator[str]:
    """Of a map of cells the largest, with its row and its column where both have names or numbers."""
    from matplotlib.collections import QuadMesh

    maps = [*axes.images, *(entry for entry in axes.collections if isinstance(entry, QuadMesh))]
    for drawn in maps[:1]:
        values: Array = np.ma.filled(np.ma.asarray(drawn.get_array(), dtype=float), np.nan)
        if values.ndim != 2 or not np.isfinite(values).any():
            continue
        row, column = np.unravel_index(int(np.nanargmax(values)), values.shape)
        heads = [label.get_text() for label in axes.get_xticklabels()]
        where = f" in {_plain(names[row])}" if len(names) == values.shape[0] else ""
        where += f", {_plain(heads[column])}" if where and len(heads) == values.shape[1] else ""
        size = f"{values.shape[0]} rows of {values.shape[1]} cells"
        least, most = (number(float(end(values)), digits=2) for end in (np.nanmin, np.nanmax))
        yield f"{size} from {least} to {most}{where}"


def _named(names: list[str]) -> bool:
    """Whether the rows of an axis have names and no numbers."""
    return bool(names) and all(any(character.isalpha() for character in name) for name in names)


def _lines(axes: "Axes") -> Iterator[str]:
    n_lines = 0
    for line in axes.lines:
        label = str(line.get_label())
        x, y = (np.asarray(values, dtype=float) for values in line.get_data())
        known = np.isfinite(x) & np.isfinite(y)
        if label.startswith("_") or not known.any() or n_lines == LINES:
            continue
        n_lines += 1
        first, last = (number(float(y[known][end]), digits=3) for end in (0, -1))
        ends = f"{number(float(x[known][0]))} to {number(float(x[known][-1]))}"
        if known.sum() == 1:
            yield f"{_plain(label)} {last}"
        else:
            most = number(float(y[known].max()), digits=3)
            largest = "" if most in (first, last) else f", {most} at most"
            yield f"{_plain(label)} from {first} to {last}{largest} ({ends})"


def _rows(axes: "Axes", names: list[str]) -> Iterator[str]:
    """Of each named row the number of its bar, else of its one point, from the top."""
    from matplotlib.patches import Rectangle

    places = axes.get_yticks()
    values: dict[int, float] = {}
    for patch in axes.patches:
        if not isinstance(patch, Rectangle):
            continue
        row = _row(patch.get_y() + patch.get_height() / 2, places)
        if row is not None:
            values.setdefault(row, patch.get_x() + patch.get_width())
    for line in axes.lines:
        x, y = (np.asarray(values_of, dtype=float) for values_of in line.get_data())
        row = _row(float(y[0]), places) if len(y) == 1 else None
        if row is not None:
            values.setdefault(row, float(x[0]))
    ordered = sorted(values, reverse=not axes.yaxis_inverted())
    for row in ordered[:ROWS]:
        yield f"{_plain(names[row])} {number(values[row], digits=3)}"
    if len(ordered) > ROWS:
        yield f"{len(ordered) - ROWS} more rows"


def _row(height: float, places: "Sequence[float] | Array") -> int | None:
    near = np.abs(np.asarray(places, dtype=float) - height)
    return int(near.argmin()) if len(near) and near.min() < 0.3 else None


def _plain(text: str) -> str:
    return " ".join(text.replace("$", "").split())
