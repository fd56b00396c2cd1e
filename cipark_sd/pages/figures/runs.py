"""Figures of runs: one with observed values, the fan of many, and what policies change, over time and by mechanism."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cipark_sd.analysis.experiments.definition import BASE, ONLY, WEIGHTED
from cipark_sd.base.errors import InvalidValue, UnknownName
from cipark_sd.base.naming import canonical, protected_among
from cipark_sd.base.wording import labelled, written_unit
from cipark_sd.pages.figures.observed import Observed
from cipark_sd.pages.figures.panels import ENDS, PALETTE, WIDTH, bands, grid, interval, note, plain, timed
from cipark_sd.pages.first_screen import ASSUMED, INFORMED, UNDECIDED
from cipark_sd.statements.claims import WORDS, Kind

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Panels below each other that a figure has room for.
MOST_PANELS = 8
_STYLES = ("-", "--", "-.", ":")
_BLUE, _GREY = PALETTE[0], "0.55"
_MEDIAN: Any = {"linewidth": 1.8, "label": "median"}
#: What stands above the effects of each class, and their colour: those of the page's three lines. Effects that have no
#: class stand without a head.
HEADS: Mapping[str, tuple[str, str]] = {
    "informed": (f"● {WORDS['informed'].capitalize()}", INFORMED),
    "undecided": (f"◐ {WORDS['undecided'].capitalize()}", UNDECIDED),
    "built in": (f"◌ {WORDS['built in'].capitalize()}", ASSUMED),
    "": ("", PALETTE[0]),
    "no change": ("No change", "0.35"),
}
#: Policies up to which the figure is 4.4 inches wide: with titles of two lines it is as high then, a phone's screen.
FEW = 12
#: Columns of a table of effects that are drawn, in the order of :data:`ENDS`.
QUANTILES = ("low90", "low50", "median", "high50", "high90")


@plain
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
    result : Dataset
        Of :func:`cipark_sd.simulate`.
    variables : sequence of str
        By any spelling of their names; the elements of a subscripted one are a line each. Without any, all of the
        result.
    observations : sequence of Observed
        Points, with a bar from ``low`` to ``high``, in the panel of their variable.
    title : str
        Above the figure.
    caption : str, optional
        The line under the figure; without it model, engine, method and step of the run.

    Returns
    -------
    Figure
        Of matplotlib, shown or saved by nobody yet.

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


@plain
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
    title : str
        Above the figure.

    Returns
    -------
    Figure
        Of matplotlib, with the medians as lines and the bands as areas.

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
        tints = {"90% of the runs": 0.2, "50% of the runs": 0.2}
        bands(axes, times, np.nanquantile(values, ENDS, axis=0), PALETTE[0], tints, **_MEDIAN)
        axes.set_ylabel(labelled(str(course.attrs.get("long_name", name)), course.attrs.get("units")))
    panels[0].legend(frameon=False, fontsize=8)
    panels[-1].set_xlabel(timed(panels, runs, most=9))
    return figure


def _below_each_other(n: int, title: str) -> "tuple[Figure, list[Axes]]":
    """A figure of ``n`` panels that have one axis of time."""
    figure, panels = grid(n, 1, 1.0 + 2.9 * n, letters=None, sharex=True)
    if title:
        figure.suptitle(title, fontsize=11, x=0.02, ha="left")
    return figure, list(panels[:, 0])


def _draw_panel(
    axes: "Axes", result: "xr.Dataset", names: Sequence[str], units: str, observations: Sequence[Observed]
) -> None:
    times = result["time"].to_numpy()
    courses = [course for name in names for course in _courses(result[name], name)]
    for number, (text, course) in enumerate(courses):
        colour = PALETTE[number % len(PALETTE)]
        style = _STYLES[number // len(PALETTE) % len(_STYLES)]
        axes.plot(times, course, color=colour, linestyle=style, linewidth=1.6, label=text)
    for series in observations:
        label = str(result[canonical(series.variable)].attrs.get("long_name", series.variable))
        text = series.label if len(courses) == 1 else f"{label}, {series.label}"
        if series.low is not None and series.high is not None:
            axes.vlines(series.times, series.low, series.high, color="black", linewidth=1, zorder=3)
        white: dict[str, Any] = {"color": "black", "markerfacecolor": "white", "markersize": 4.5}
        axes.plot(series.times, series.values, "o", label=text, zorder=4, **white)
    subject = str(result[names[0]].attrs.get("long_name", names[0])) if len(names) == 1 else ""
    axes.set_ylabel(labelled(subject, units) if subject else f"[{units or 'no units'}]")
    _open(axes, "y")
    axes.margins(x=0.01)
    if len(courses) + len(observations) > 1:
        axes.legend(frameon=False, fontsize=8, ncols=1 if len(courses) < 8 else 2)


def _courses(array: "xr.DataArray", name: str) -> "Iterator[tuple[str, np.ndarray[Any, Any]]]":
    """Each element of a variable over time, with what the legend says."""
    label, dims = str(array.attrs.get("long_name", name)), [dim for dim in array.dims if dim != "time"]
    if not dims:
        yield label, array.to_numpy()
        return
    stacked = array.stack(_element=dims)
    for key in stacked["_element"].to_index():
        # a scenario is no element of the variable
        of = dict(zip(dims, map(str, key), strict=True))
        scenario = f", {of.pop('scenario')}" if "scenario" in of else ""
        elements = f"[{','.join(of.values())}]" if of else ""
        yield f"{label}{elements}{scenario}", stacked.sel(_element=key).to_numpy()


def _caption(result: "xr.Dataset") -> str:
    facts = result.attrs
    digest = str(facts.get("model_digest", ""))[:8]
    made_by = f"engine {facts.get('engine', '?')}, {facts.get('integration_method', '?')}"
    step = f"step {facts.get('time_step', float('nan')):g}"
    version = facts.get("cipark_sd_version", "?")
    return f"Model {facts.get('model', '?')} ({digest}), {made_by}, {step}; cipark_sd {version}"


@plain
def plot_policies(
    frame: "pd.DataFrame",
    outcome: str,
    at: float,
    *,
    kinds: Mapping[str, Kind] = MappingProxyType({}),
    title: str = "",
) -> "Figure":
    """Effects of all policies on one outcome by their classes, in each the surest sign first.

    Thick and thin bars are the 50 and 90% intervals over the rivals by weight where the table has them, else under the
    first rival; grey ticks are the medians under each of the others. The line at zero is the base.

    Parameters
    ----------
    frame : DataFrame
        Of :func:`cipark_sd.analysis.experiments.effects.table`.
    outcome : str
        Its id.
    at : float
        One of the times of the table.
    kinds : mapping of str to {"informed", "undecided", "built in"}
        The class of each policy's effect; empty where there are none.
    title : str
        Of the outcome, with its unit and the time.

    Raises
    ------
    InvalidValue
        When the table has no such outcome or time.
    """
    of = frame[(frame["outcome"] == outcome) & np.isclose(frame["time"], at)]
    if of.empty:
        raise InvalidValue("the outcome and time", (outcome, at), "one of the table", where="plot_policies")
    first = WEIGHTED if (of["rival"] == WEIGHTED).any() else of["rival"].iloc[0]
    shown = of[of["rival"] == first]
    surest = -shown[["above_zero", "below_zero"]].max(axis=1)
    shown = shown.assign(surest=surest, size=-shown["median"].abs()).sort_values(["surest", "size"], kind="stable")
    # letters of a title in a line: with 44 a browser, whose letters are wider, cut the first one
    letters, width = (24, 4.4) if len(shown) <= FEW else (36, WIDTH)
    still = (shown["low90"] == 0) & (shown["high90"] == 0)
    groups: list[tuple[str, pd.DataFrame]] = [
        (kind, shown[~still & (shown["policy"].map(kinds.get) == kind)]) for kind in WORDS
    ]
    groups += [("", shown[~still & ~shown["policy"].isin(kinds)]), ("no change", shown[still])]
    rows: list[tuple[str, str, tuple[float, ...] | None, Sequence[float]]] = []
    for group, of_group in groups:
        head, colour = HEADS[group]
        if head and len(of_group):
            rows.append((head, colour, None, ()))
        for policy, name, *numbers in of_group[["policy", "title", *QUANTILES]].itertuples(index=False):
            medians = of[(of["policy"] == policy) & (of["rival"] != first)]["median"]
            rows.append((textwrap.fill(name, letters), colour, tuple(numbers), medians))
    heights = [0.18 + 0.12 * name.count("\n") for name, *_ in rows]
    middles = np.cumsum(heights) - np.array(heights) / 2
    figure, ((axes,),) = grid(1, 1, 0.6 + sum(heights), width=width, letters=None)
    # inches at the side: a browser's letters are some 5% wider than those that were measured, and are not cut
    figure.set_layout_engine("constrained", w_pad=0.15)
    axes.axvline(0, color="black", linewidth=0.8)
    for row, (_, colour, ends, medians) in zip(middles, rows, strict=True):
        axes.plot(medians, np.full(len(medians), row), "|", color=_GREY, markersize=7, zorder=2)
        if ends:
            interval(axes, row, ends, colour)
    axes.set_yticks(middles, [name for name, *_ in rows], fontsize=7.5)
    for label, (_, colour, ends, _) in zip(axes.get_yticklabels(), rows, strict=True):
        label.set(color="black" if ends else colour, fontweight="normal" if ends else "bold")
    axes.set_ylim(sum(heights), 0)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    _open(axes)
    axes.set_xlabel(textwrap.fill(f"{title or outcome}: change from the base", 40 if width < WIDTH else 90))
    return figure


@plain
def plot_fans(result: "xr.Dataset", outcome: str, *, caption: str = "") -> "Figure":
    """The course of an outcome under each policy: median, 50 and 90% bands, with the base's median beside them.

    Parameters
    ----------
    result : Dataset
        Of :func:`cipark_sd.analysis.experiments.run.run_policies`; its first rival is drawn.
    outcome : str
        Its id.
    caption : str
        The line under the figure.
    """
    policies = [str(name) for name in result["policy"].to_numpy()]
    shown = [name for name in policies if name != BASE] or policies
    times = result["time"].to_numpy()
    array = result[outcome].isel(rival=0).transpose("policy", "draw", "time")
    ends = {name: np.nanquantile(array.sel(policy=name).to_numpy(), ENDS, axis=0) for name in policies}
    columns = min(2, len(shown))
    rows = -(-len(shown) // columns)
    figure, table = grid(rows, columns, 0.9 + 2.5 * rows, letters=None, sharex=True, sharey=True)
    panels = table.ravel()
    for number, (axes, name) in enumerate(zip(panels, shown, strict=False)):
        bands(axes, times, ends[name], PALETTE[number % len(PALETTE)], {"90%": 0.18, "50%": 0.35}, **_MEDIAN)
        if BASE in policies and name != BASE:
            axes.plot(times, ends[BASE][2], color="black", linewidth=1, linestyle="--", label="base, median")
        axes.set_title(f"{name}  {result['policy_title'].sel(policy=name).item()}", fontsize=9, loc="left")
        axes.margins(x=0.01)
    # when all is drawn: a limit that is set stops the shared axis from growing
    if min(*(np.nanmin(ends[name][0]) for name in shown), np.nanmin(ends.get(BASE, ends[shown[0]])[2])) >= 0:
        panels[0].set_ylim(bottom=0)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    panels[0].legend(frameon=False, fontsize=8)
    label = str(result[outcome].attrs.get("long_name", outcome))
    figure.supylabel(labelled(label, result[outcome].attrs.get("units")), fontsize=9)
    for axes in panels[: len(shown)][-columns:]:
        axes.set_xlabel(timed(panels[: len(shown)], result, most=5), fontsize=9)
    return _finished(figure, panels, "The largest effects over time", f"{_rival(result)}{caption}", "y")


def _rival(result: "xr.Dataset") -> str:
    """Whose draws a figure of the first rival shows; nothing to say where there is one structure only."""
    name = str(result["rival"].to_numpy()[0])
    return "" if name == ONLY else f"Structure {name}. "


@plain
def plot_shapley(
    shapley: "xr.Dataset", outcome: str, at: float, *, title: str = "", caption: str = "", when: str = ""
) -> "Figure":
    """What each mechanism did: Shapley values with bands.

    Parameters
    ----------
    shapley : Dataset
        Of :func:`cipark_sd.commands.policy.attribution.attribution`; bars and bands are of its first rival.
    outcome : str
        Its id.
    at : float
        One of its times.
    title, caption : str
        Of the outcome, and the line under the figure.
    when : str
        The time in words; without them a number.
    """
    values = shapley[outcome].sel(time=at).transpose("factor", "rival", "draw").to_numpy()
    order = np.argsort(np.nanmean(values[:, 0], axis=-1), kind="stable")
    figure, ((axes,),) = grid(1, 1, 1.6 + 0.5 * len(order), letters=None)
    for row, factor in enumerate(order):
        first = not row
        mean = np.nanmean(values[factor, 0])
        axes.barh(row, mean, height=0.55, color=_BLUE, alpha=0.45, label="Shapley, mean" if first else None)
        interval(axes, row, np.nanquantile(values[factor, 0], ENDS), _BLUE, dot=0, label=first)
        of_rivals = np.nanmean(values[factor, 1:], axis=-1)
        label = "Shapley under other structures" if first and len(of_rivals) else None
        axes.plot(of_rivals, np.full(len(of_rivals), row), "|", color="black", markersize=11, alpha=0.6, label=label)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(order)), [str(t) for t in shapley["factor_title"].to_numpy()[order]], fontsize=9)
    axes.set_ylim(-0.8, len(order) - 0.4)
    low, high = axes.get_xlim()
    axes.set_xlim(low - 0.03 * (high - low), high)
    axes.set_xlabel(f"{title or outcome} {when or f'at {at:g}'}")
    axes.legend(frameon=False, fontsize=8, loc="best")
    heading = "What each mechanism did of the difference between all and none"
    return _finished(figure, [axes], heading, f"{_rival(shapley)}{caption}")


def _open(axes: "Axes", across: Literal["x", "y"] = "x") -> None:
    """A panel without a frame, and with a faint grid across one axis."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=across, color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)


def _finished(
    figure: "Figure", panels: "Iterable[Axes]", title: str, caption: str, across: Literal["x", "y"] = "x"
) -> "Figure":
    """A title above, a small line below, and open panels."""
    for axes in panels:
        _open(axes, across)
    figure.suptitle(title, fontsize=11, x=0.02, ha="left")
    note(figure, caption)
    return figure
