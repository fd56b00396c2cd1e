"""The course of one run, with observed values where there are some, and the fan of many."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cipark_sd.base.errors import InvalidValue, UnknownName
from cipark_sd.base.naming import canonical, protected_among
from cipark_sd.base.wording import labelled, written_unit
from cipark_sd.pages.figures.observed import Observed
from cipark_sd.pages.figures.panels import PALETTE, bands, timed

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Panels below each other that a figure has room for.
MOST_PANELS = 8
_STYLES = ("-", "--", "-.", ":")


def plot_run(
    result: "xr.Dataset",
    variables: Sequence[str] | str = (),
    observations: Sequence[Observed] = (),
    *,
    title: str = "",
    caption: str | None = None,
) -> "Figure":
    """A figure with one panel for each unit, the variables of that unit in it, and observed values as points.

    >>> from cipark_sd import bundled, plot_run, simulate
    >>> figure = plot_run(simulate(bundled("core.mdl")), ["Residents", "Potential Firms"])
    >>> len(figure.axes)
    1

    Parameters
    ----------
    variables : sequence of str
        By any spelling of their names; the elements of a subscripted one are a line each. Without any, all of the
        result.
    observations : sequence of Observed
        Points, with a bar from ``low`` to ``high``, in the panel of their variable.
    caption : str, optional
        The line under the figure; without it model, engine, method and step of the run.

    Raises
    ------
    UnknownName
        For a variable that the result does not hold.
    InvalidValue
        For more units than fit below each other, or a result with more dimensions than time and subscripts.
    """
    by_units: dict[str, list[str]] = {}
    for variable in (variables,) if isinstance(variables, str) else variables or map(str, result.data_vars):
        name = canonical(protected_among(variable, set(map(str, result.data_vars))))
        if name not in result.data_vars:
            known = [str(array.attrs.get("long_name", key)) for key, array in result.data_vars.items()]
            raise UnknownName(variable, known, where="the result")
        by_units.setdefault(written_unit(result[name].attrs.get("units")), []).append(name)
    if not 0 < len(by_units) <= MOST_PANELS:
        expected = f"variables of at most {MOST_PANELS} units; name some of {', '.join(map(str, result.data_vars))}"
        raise InvalidValue("the number of units", len(by_units), expected, where="plot_run")
    figure, panels = _below_each_other(len(by_units), title)
    for axes, (units, names) in zip(panels, by_units.items(), strict=True):
        _draw_panel(
            axes, result, names, units, [series for series in observations if canonical(series.variable) in names]
        )
    figure.align_ylabels(panels)
    panels[-1].set_xlabel(timed(panels, result, most=9))
    figure.supxlabel(_caption(result) if caption is None else caption, fontsize=7, color="0.35", x=0.02, ha="left")
    return figure


#: Shares of the runs that lie in the bands of a fan, the wider one first.
BANDS = (0.9, 0.5)


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
    names = [variables] if isinstance(variables, str) else list(variables)
    if not names or "run" not in runs.dims or "time" not in runs.dims:
        raise InvalidValue("what is drawn", names, "variables of an ensemble, with runs and times", where="plot_fan")
    figure, panels = _below_each_other(len(names), title)
    times = runs["time"].to_numpy()
    for axes, name in zip(panels, names, strict=True):
        course = runs.cp[name]
        if set(course.dims) != {"run", "time"}:
            raise InvalidValue("a variable", name, "one element of it, as in Name[element]", where="plot_fan")
        values = course.transpose("run", "time").to_numpy()
        ends = {band: np.nanquantile(values, [(1 - band) / 2, (1 + band) / 2], axis=0) for band in BANDS}
        pairs = {f"{band:.0%} of the runs": (low, high, 0.2) for band, (low, high) in ends.items()}
        bands(axes, times, np.nanmedian(values, axis=0), pairs, PALETTE[0])
        axes.set_ylabel(labelled(str(course.attrs.get("long_name", name)), course.attrs.get("units")))
    panels[0].legend(frameon=False, fontsize=8)
    panels[-1].set_xlabel(timed(panels, runs, most=9))
    return figure


def _below_each_other(n: int, title: str) -> "tuple[Figure, list[Axes]]":
    """A figure that a notebook shows, with ``n`` panels that have one axis of time."""
    from cipark_sd.pages.figures.shown import Figure

    figure = Figure(figsize=(7.2, 1.0 + 2.9 * n), layout="constrained")
    if title:
        figure.suptitle(title, fontsize=11, x=0.02, ha="left")
    return figure, list(figure.subplots(n, 1, sharex=True, squeeze=False)[:, 0])


def _draw_panel(
    axes: "Axes", result: "xr.Dataset", names: Sequence[str], units: str, observations: Sequence[Observed]
) -> None:
    times = result["time"].to_numpy()
    lines = 0
    for name in names:
        array = result[name]
        label = str(array.attrs.get("long_name", name))
        dims = [dim for dim in array.dims if dim != "time"]
        courses = {label: array} if not dims else {}
        if dims:
            stacked = array.stack(_element=dims)
            for key in stacked["_element"].to_index():
                # a scenario is no element of the variable
                of = dict(zip(dims, map(str, key), strict=True))
                scenario = f", {of.pop('scenario')}" if "scenario" in of else ""
                elements = f"[{','.join(of.values())}]" if of else ""
                courses[f"{label}{elements}{scenario}"] = stacked.sel(_element=key)
        for text, course in courses.items():
            colour = PALETTE[lines % len(PALETTE)]
            style = _STYLES[lines // len(PALETTE) % len(_STYLES)]
            axes.plot(times, course.to_numpy(), color=colour, linestyle=style, linewidth=1.6, label=text)
            lines += 1
    for series in observations:
        label = str(result[canonical(series.variable)].attrs.get("long_name", series.variable))
        text = series.label if lines == 1 else f"{label}, {series.label}"
        if series.low is not None and series.high is not None:
            axes.vlines(series.times, series.low, series.high, color="black", linewidth=1, zorder=3)
        white: dict[str, Any] = {"color": "black", "markerfacecolor": "white", "markersize": 4.5}
        axes.plot(series.times, series.values, "o", label=text, zorder=4, **white)
    subject = str(result[names[0]].attrs.get("long_name", names[0])) if len(names) == 1 else ""
    axes.set_ylabel(labelled(subject, units) if subject else f"[{units or 'no units'}]")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.margins(x=0.01)
    if lines + len(observations) > 1:
        axes.legend(frameon=False, fontsize=8, ncols=1 if lines < 8 else 2)


def _caption(result: "xr.Dataset") -> str:
    facts = result.attrs
    digest = str(facts.get("model_digest", ""))[:8]
    made_by = f"engine {facts.get('engine', '?')}, {facts.get('integration_method', '?')}"
    step = f"step {facts.get('time_step', float('nan')):g}"
    version = facts.get("cipark_sd_version", "?")
    return f"Model {facts.get('model', '?')} ({digest}), {made_by}, {step}; cipark_sd {version}"
