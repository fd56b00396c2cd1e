"""What figures with a panel for each output and moment share."""

import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cipark_sd.arrays import Array
from cipark_sd.model.units import is_dimensionless
from cipark_sd.plotting.paper import PALETTE, SMALL, TINY, WIDTH
from cipark_sd.plotting.time_axis import of_units
from cipark_sd.sensitivities.ranking import Moment

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Okabe and Ito's colours without the yellow, which is faint as a line, then darker ones of Tol's muted scheme (2021):
#: a factor keeps its colour in all panels.
COLOURS = (*PALETTE[:6], "#332288", "#882255", "#999933", "#661100", "#117733", "#AA4499", "#44AA99", "#888888")
#: Factors that have a colour of their own in a panel; the others are shown together.
SHOWN = 6
#: Rows of a tornado.
ROWS = 14
REST = "0.82"
_NOTE: Any = {"fontsize": TINY, "color": "0.35"}
#: Characters of the line under a figure, by its width, and of a title above one of so many columns.
_LETTERS_AN_INCH, _TITLE_LINE = 17.8, {1: 90, 2: 38, 3: 32}


def grid(rows: int, columns: int, height: float, **options: Any) -> "tuple[Figure, np.ndarray[Any, Any]]":
    """A figure as wide as a page, ``height`` inches high, and its panels as an array of two dimensions."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    panels = np.atleast_2d(np.asarray(figure.subplots(rows, columns, squeeze=False, **options)))
    for axes in panels.ravel():
        # ticks that are made when the figure is drawn do not know the style any more
        axes.tick_params(labelsize=SMALL)
    return figure, panels


def titled(axes: "Axes", text: str, *, columns: int = 1) -> None:
    """A title in as many lines as a panel among so many columns needs."""
    axes.set_title(textwrap.fill(text, _TITLE_LINE.get(columns, 28)), loc="left")


def with_unit(text: str, unit: object) -> str:
    """``text [unit]``, without brackets where there is no unit."""
    known = str(unit).strip()
    return f"{text} [{known}]" if not is_dimensionless(known) else text


def timed(panels: "Iterable[Axes]", dataset: "xr.Dataset | xr.DataArray", *, most: int = 6) -> str:
    """Put the axis of time on panels; its label."""
    times, axis = dataset["time"].to_numpy(), of_units(dataset["time"].attrs.get("units"))
    return [axis.on(axes, float(times[0]), float(times[-1]), most=most) for axes in panels][-1]


def note(figure: "Figure", text: str) -> None:
    """A small line under a figure, or as many as its width needs."""
    figure.supxlabel(textwrap.fill(text, int(_LETTERS_AN_INCH * figure.get_figwidth())), **_NOTE)


def made(dataset: "xr.Dataset") -> str:
    """How a result was made, for the line under its figure."""
    facts = dataset.attrs
    return (
        ", ".join(f"{facts[key]} {key}" for key in ("rows", "draws", "runs") if key in facts)
        + f", seed {facts['seed']}"
    )


def strongest(at: "xr.Dataset", index: str, count: int) -> list[int]:
    """Positions of the factors with the largest index of one output, strongest first.

    The mean over time weighs each instant with the output's standard deviation: what moves next to nothing counts next
    to nothing.
    """
    values = at[index].transpose("parameter", "time").to_numpy()
    weights = np.sqrt(np.nan_to_num(at["variance"].to_numpy()))
    mean = (np.clip(np.where(np.isfinite(values), values, 0.0), 0, 1) * weights).mean(axis=1)
    return [int(i) for i in np.argsort(-mean, kind="stable")[:count]]


def largest(values: Array, count: int) -> list[int]:
    """Positions of the largest values, what is no number last."""
    return [int(i) for i in np.argsort(-np.where(np.isfinite(values), values, -np.inf), kind="stable")[:count]]


def colours(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name, in the order in which they come."""
    distinct = dict.fromkeys(names)
    return {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(distinct)}


def by_moment(
    dataset: "xr.Dataset",
    moments: Sequence[Moment],
    height: float,
    draw: "Callable[[Axes, xr.Dataset], None]",
    **how: Any,
) -> "tuple[Figure, np.ndarray[Any, Any]]":
    """A row of panels for each output, ``height`` inches high, and a column for each moment, with their titles.

    Parameters
    ----------
    draw : function
        Draws one output at the computed time nearest to a moment.
    """
    outputs = outputs_of(dataset)
    figure, panels = grid(len(outputs), len(moments), 0.5 + height * len(outputs), **how)
    for row, output in enumerate(outputs):
        for axes, moment in zip(panels[row], moments, strict=True):
            draw(axes, dataset.sel(output=output).sel(time=moment.time, method="nearest"))
            titled(axes, f"{output}, {moment.label}", columns=len(moments))
    return figure, panels


def outputs_of(dataset: "xr.Dataset | xr.DataArray") -> list[str]:
    """Labels of the outputs."""
    return [str(name) for name in dataset["output"].to_numpy()]


def names_of(dataset: "xr.Dataset", positions: Sequence[int]) -> list[str]:
    """Names of factors by position."""
    names = dataset["parameter"].to_numpy()
    return [str(names[i]) for i in positions]
