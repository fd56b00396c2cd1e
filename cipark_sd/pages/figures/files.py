"""Figures as files.

What a figure says to who cannot see it: the numbers of its lines, points and bars, in words.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cipark_sd.base.arrays import Array
from cipark_sd.base.files import write_bytes
from cipark_sd.base.wording import number
from cipark_sd.data.described import check_writable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Characters of a description, and lines of one panel in it, at most.
LONGEST, LINES = 700, 4
#: Rows of a panel whose axis has names.
ROWS = 8
#: Format of a figure on a page, whose letters stay sharp on a phone; and with it those for slides and for print.
ON_PAGE, FOR_PRINT = (".svg",), (".svg", ".png", ".pdf")
#: Dots an inch of a figure saved as PNG.
PRINT_DPI = 200
SUFFIXES = (".png", ".svg", ".pdf")


@contextmanager
def drawing(settings: Mapping[str, object]) -> Iterator[None]:
    """Matplotlib's own defaults but for some settings, whatever file of settings it has found.

    It reads a ``matplotlibrc`` of the folder in which somebody works, who may have it from a stranger; with
    ``text.usetex`` such a file starts TeX on words of a model.

    Parameters
    ----------
    settings : mapping of str to object
        By matplotlib's names.

    Returns
    -------
    context manager
        At the end all settings are as they were.
    """
    from matplotlib import style

    with style.context(["default", dict(settings)]):
        yield


def describe(figure: "Figure") -> str:
    """The numbers of a figure, in words.

    Of lines where they begin and end, and what lies beyond; of clouds of points and of histograms where nine tenths of
    them are; of named rows their bar or point.

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
    named = bool(names) and all(any(map(str.isalpha, name)) for name in names)
    parts = list(_rows(axes, names) if named else _lines(axes))
    if parts:
        below = "" if named else axes.get_xlabel()
        # a label of axes is drawn nowhere: who draws a panel without words beside it says here what it is of
        title = _axes_label(axes) or _plain(
            axes.get_title(loc="left") or axes.get_title() or axes.get_ylabel() or below
        )
        text = "; ".join(parts)
        yield f"{title}: {text}." if title else f"{text[:1].upper()}{text[1:]}."


def _axes_label(axes: "Axes") -> str:
    """The label of axes, but for those that matplotlib makes itself."""
    label = _plain(str(axes.get_label()))
    return "" if label.startswith("<") else label


def _lines(axes: "Axes") -> Iterator[str]:
    """Of each line its ends and its largest, of a cloud of points its middle and reach; of axes without labels all."""
    drawn = [line for line in axes.lines if not str(line.get_label()).startswith("_")]
    # marks of thresholds and centres, which go across the whole panel, are none of the numbers
    unlabelled = [
        line for line in axes.lines if line.get_transform() == axes.transData and np.size(line.get_xdata()) > 2
    ]
    for line in (drawn or unlabelled)[:LINES]:
        x, y = (np.asarray(values, dtype=float) for values in line.get_data())
        known = np.isfinite(x) & np.isfinite(y)
        if not known.any():
            continue
        label = _plain(str(line.get_label())) if drawn else "" if _axes_label(axes) else _plain(axes.get_ylabel())
        x, y = x[known], y[known]
        if line.get_linestyle() in ("None", "") and (len(x) > 1 and (np.diff(x) <= 0).any()):
            yield _cloud(label, axes, x, y)
        else:
            yield _course(label, axes, x, y)
    if not axes.lines:
        yield from _histograms(axes)


def _course(label: str, axes: "Axes", x: Array, y: Array) -> str:
    # what is next to nothing beside the rest is nothing
    y = np.where(np.abs(y) < 1e-6 * np.nanmax(np.abs(y)), 0.0, y)
    first, last = (number(float(y[end]), digits=3) for end in (0, -1))
    if len(x) == 1:
        return f"{label} {last}".strip()
    beyond = [
        f"{word} {text} at {_across(axes, float(x[place]))}"
        for word, place in (("most", y.argmax()), ("least", y.argmin()))
        if (text := number(float(y[place]), digits=3)) not in (first, last)
    ]
    text = f"{label} from {first} to {last}".strip()
    return f"{', '.join([text, *beyond])} ({_across(axes, float(x[0]))} to {_across(axes, float(x[-1]))})"


def _cloud(label: str, axes: "Axes", x: Array, y: Array) -> str:
    """The middle nine tenths of points both ways, and how they go together."""
    from scipy.stats import spearmanr

    named = not _axes_label(axes)
    ways = []
    for side, name, values in (("across", axes.get_xlabel(), x), ("up", axes.get_ylabel(), y)):
        low, high = (number(float(end), digits=2) for end in np.quantile(values, (0.05, 0.95)))
        ways.append(f"{(named and _plain(name)) or side} {low} to {high}")
    varies = len(x) > 2 and np.ptp(x) > 0 and np.ptp(y) > 0
    rank = f", rank correlation {float(spearmanr(x, y).statistic):+.2f}" if varies else ""
    return f"{label} {len(x)} points, nine tenths in {' and '.join(ways)}{rank}".strip()


def _histograms(axes: "Axes") -> Iterator[str]:
    """Of outlines and bars of counts the middle and the range of nine tenths."""
    from matplotlib.patches import Rectangle, StepPatch

    outlines: list[tuple[str, Array, Array]] = []
    for patch in axes.patches:
        if isinstance(patch, StepPatch):
            values, edges_of, _ = patch.get_data()
            label = str(patch.get_label())
            outlines.append(("" if label.startswith("_") else _plain(label), np.array(values), np.array(edges_of)))
    bars = [patch for patch in axes.patches if isinstance(patch, Rectangle) and patch.get_width() > 0]
    if bars and not outlines:
        ends = [bar.get_x() for bar in bars] + [bars[-1].get_x() + bars[-1].get_width()]
        outlines = [("", np.array([bar.get_height() for bar in bars]), np.array(ends))]
    for label, counts, edges in outlines[:LINES]:
        heights = np.clip(np.nan_to_num(counts), 0, None)
        if heights.sum() <= 0 or (np.diff(edges) <= 0).any():
            continue
        share = np.concatenate([[0.0], np.cumsum(heights)]) / heights.sum()
        low, middle, high = (number(float(value), digits=2) for value in np.interp((0.05, 0.5, 0.95), share, edges))
        yield f"{label} {middle} in the middle, nine tenths from {low} to {high}".strip()


def _across(axes: "Axes", value: float) -> str:
    """A place on the axis below: a date where that is one of dates."""
    return str(axes.fmt_xdata(value)) if axes.fmt_xdata is not None else number(value)


def _rows(axes: "Axes", names: list[str]) -> Iterator[str]:
    """Of each named row the number of its bar, else of its one point, from the top."""
    from matplotlib.patches import Rectangle

    places, values = np.asarray(axes.get_yticks(), dtype=float), dict[int, float]()
    bars = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    drawn = [(bar.get_y() + bar.get_height() / 2, bar.get_x() + bar.get_width()) for bar in bars]
    points = (line.get_data() for line in axes.lines)
    drawn += [(np.ravel(y)[0], np.ravel(x)[0]) for x, y in points if np.size(y) == 1]
    for height, value in drawn:
        near = np.abs(places - height)
        if len(near) and near.min() < 0.3:
            values.setdefault(int(near.argmin()), float(value))
    ordered = sorted(values, reverse=not axes.yaxis_inverted())
    for row in ordered[:ROWS]:
        yield f"{_plain(names[row])} {number(values[row], digits=3)}"
    if len(ordered) > ROWS:
        yield f"{len(ordered) - ROWS} more rows"


def _plain(text: str) -> str:
    return " ".join(text.split())


def check_figure_path(path: Path) -> None:
    """Raise where a figure could not be saved under that name.

    Raises
    ------
    InvalidValue
    """
    check_writable(path, role="the figure file", endings=SUFFIXES, where="--figure")


def save_figure(figure: "Figure", path: Path | str) -> None:
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
    write_bytes(path, rendered(figure, path.suffix.lower()[1:], dpi=PRINT_DPI))


def rendered(figure: "Figure", kind: str, *, dpi: int) -> bytes:
    """The bytes of a figure, the same for the same figure: no dates and no random identifiers go into them.

    Parameters
    ----------
    kind : {"png", "svg", "pdf"}
    dpi : int
        Dots an inch, of PNG.
    """
    from matplotlib.text import Text

    date = {"png": "", "svg": "Date", "pdf": "CreationDate"}[kind]
    facts: dict[str, str | None] = {date: None} if date else {}
    if kind == "svg" and (words := describe(figure)):
        facts["Description"] = words
    drawn = io.BytesIO()
    # a dollar sign begins no formula, and no text goes to TeX: names come from models
    for text in figure.findobj(Text):
        text.set_parse_math(False)
        text.set_usetex(False)
    with drawing({"svg.hashsalt": "cipark", "svg.fonttype": "none", "text.parse_math": False}):
        figure.savefig(drawn, format=kind, dpi=dpi, metadata=facts)
    return drawn.getvalue()


def save_figures(figure: "Figure", folder: Path, name: str, endings: Sequence[str] = ON_PAGE) -> list[Path]:
    """Write a figure in some formats; the first is the one that a page shows.

    Its parts are laid out once, since that takes as long as drawing them.

    Parameters
    ----------
    folder : Path
        One that exists.
    name : str
        Of the files, without an ending.
    endings : sequence of str
        Some of :data:`SUFFIXES`.

    Returns
    -------
    list of Path
        In the order of the endings.

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
