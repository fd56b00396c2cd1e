"""The fan of an ensemble: the median of many runs with bands around it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cipark_sd.errors import InvalidValue
from cipark_sd.plotting.panels import timed
from cipark_sd.plotting.paper import PALETTE

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

#: Shares of the runs that lie in the bands.
BANDS = (0.5, 0.9)


def plot_fan(runs: "xr.Dataset", variables: Sequence[str] | str, *, title: str = "") -> "Figure":
    """The median over runs and the bands in which half and nine tenths of them lie, one panel for each variable.

    >>> from cipark_sd import bundled, ensemble, plot_fan
    >>> runs = ensemble(bundled("core.mdl"), {"Start Time": [1.0, 2.0, 3.0]}, save=["Residents"])
    >>> figure = plot_fan(runs, "Residents")
    >>> figure.axes[0].get_ylabel()
    'Residents [firm]'

    Parameters
    ----------
    runs : Dataset
        Of :func:`cipark_sd.ensemble`. Runs without a number at a time are left out there.
    variables : sequence of str
        By any spelling; ``Name[element]`` for one of a subscripted variable.

    Raises
    ------
    UnknownName
    InvalidValue
        Without a dim ``run`` or ``time``, or for a variable with subscripts of which no element is named.
    """
    from cipark_sd.plotting.shown import Figure

    names = [variables] if isinstance(variables, str) else list(variables)
    if not names or "run" not in runs.dims or "time" not in runs.dims:
        raise InvalidValue("what is drawn", names, "variables of an ensemble, with runs and times", where="plot_fan")
    figure = Figure(figsize=(7.2, 1.0 + 2.9 * len(names)), layout="constrained")
    panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    times = runs["time"].to_numpy()
    for axes, name in zip(panels, names, strict=True):
        course = runs.cp[name]
        if set(course.dims) != {"run", "time"}:
            raise InvalidValue("a variable", name, "one element of it, as in Name[element]", where="plot_fan")
        values = course.transpose("run", "time").to_numpy()
        for band in sorted(BANDS, reverse=True):
            low, high = np.nanquantile(values, [(1 - band) / 2, (1 + band) / 2], axis=0)
            axes.fill_between(times, low, high, color=PALETTE[0], alpha=0.2, lw=0, label=f"{band:.0%} of the runs")
        axes.plot(times, np.nanmedian(values, axis=0), color=PALETTE[0], lw=2, label="median")
        units = str(course.attrs.get("units", ""))
        axes.set_ylabel(str(course.attrs.get("long_name", name)) + (f" [{units}]" if units else ""))
    panels[0].legend(frameon=False, fontsize=8)
    panels[-1].set_xlabel(timed(panels, runs, most=9))
    if title:
        figure.suptitle(title, fontsize=11, x=0.02, ha="left")
    return figure
