"""What a method of sensitivity analysis is: how it is computed, and how what it found is written down."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cipark_sd.analysis.sensitivities.ranking import Moment, Ranked, dated, leaders, ranked, sentences, unranked
from cipark_sd.base.checkpoints import Checkpoints
from cipark_sd.commands.sensitivity.findings import Findings, Inputs
from cipark_sd.pages.blocks import Block, Listing, Paragraph, Section, Table
from cipark_sd.pages.figures.panels import (
    REST,
    SHOWN,
    TINY,
    colours,
    grid,
    made,
    names_of,
    note,
    outputs_of,
    stacked,
    strongest,
    styled,
    timed,
    titled,
)
from cipark_sd.pages.parts import Drawing, Part, Pictures
from cipark_sd.statements.headline import Bounds, Headline

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cipark_sd.analysis.sensitivities.response import ModelResponse

#: Runs done and runs planned.
Step = Callable[[int, int], None]
#: Draws for claims and choices, and at least for a sample.
DRAWS = 1024
#: Over time, in sections of several methods.
OVER_TIME = "How that changes over time"


@dataclass(frozen=True, eq=False)
class Job:
    """What a method computes from.

    Parameters
    ----------
    runs : function
        The runs over the draws of a fit, or over priors and ranges: made when they are first asked for, and once.
    checkpoints : Checkpoints
        Where a design is kept that the same call goes on with.
    progress : function of the runs done and planned
    rows, resamples, loop_draws : int
        Of a Sobol design, of its bootstrap, and runs whose loops are looked at.
    """

    inputs: Inputs
    response: "ModelResponse"
    runs: "Callable[[], xr.Dataset]"
    checkpoints: Checkpoints
    progress: Step
    seed: int
    rows: int
    resamples: int
    loop_draws: int


class Method(Part[Findings]):
    """A method with its name in ``--method``.

    Parameters
    ----------
    joint : bool
        Whether it goes with constants that depend on each other, as draws of a posterior do, and is computed of them.
    default : bool
        Whether it is computed where none is named, with constants that do not depend on each other.
    source : str
        How its result is computed, with its source; empty where that needs no words.
    """

    __slots__ = ()
    name: ClassVar[str]
    joint: ClassVar[bool] = False
    default: ClassVar[bool] = False
    source: ClassVar[str] = ""

    @abstractmethod
    def compute(self, job: Job) -> "Mapping[str, xr.Dataset]":
        """Results by name, each of which becomes a file ``NAME.nc``; without one of its own name nothing is written."""

    def sentences(self, findings: Findings) -> Iterable[str]:
        """What the console and ``summary.txt`` say; by default nothing."""
        return ()

    def sections(self, findings: Findings, pictures: Pictures) -> Iterable[Section]:
        """Sections of the page; of a method that writes files alone none."""
        return ()

    def sureness(self, findings: Findings) -> Iterable[Block]:
        """How sure the results are, where that does not stand beside them."""
        return ()


class Indices(Method):
    """A method that gives shares of the variance of each output at each time, by which constants are ranked.

    Parameters
    ----------
    by : str
        How its intervals are made.
    share : str
        What a headline calls the index that ranks.
    figure : str
        The name of the figure of indices over time.
    """

    __slots__ = ()
    share: ClassVar[str]
    by: ClassVar[str] = "bootstrap"
    figure: ClassVar[str]

    def over(self, findings: Findings) -> str:
        """What its shares are taken over."""
        return findings.over

    def headlines(self, findings: Findings) -> Iterator[Headline]:
        """Of each output at each moment the share of the constant with the largest one."""
        effects = findings.results[self.name]
        basis = findings.over_runs(int(effects.attrs["rows"]))
        for label, moment, point in over_outputs(findings, effects):
            for row in [] if unranked(point) else ranked(effects, label, moment, count=1):
                estimand = f"{self.share} of {row.name} for {findings.output(label).at(row.time)}"
                bounds = Bounds(row.low, row.high, 0.95, self.by)
                yield findings.record(estimand, row.total, unit="", kind="index", interval=bounds, basis=basis)

    def sentences(self, findings: Findings) -> Iterable[str]:
        """The strongest constants."""
        return sentences(findings.results[self.name], findings.moments)

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """Indices over time."""
        yield Drawing(self.figure, _indices_over_time, findings.results[self.name], findings.moments)

    def rankings(self, findings: Findings) -> Iterator[Block]:
        """A table for each output at each moment, or why there is none."""
        effects = findings.results[self.name]
        for label, moment, point in over_outputs(findings, effects):
            if why := unranked(point):
                yield Paragraph(f"{label}, {moment.label}: no ranking, since {why}.", warning=True)
            else:
                caption = f"{label}, {moment.label}, {self.over(findings)}: "
                yield self.ranking(findings, ranked(effects, label, moment), point, caption)

    @abstractmethod
    def ranking(self, findings: Findings, rows: list[Ranked], point: "xr.Dataset", caption: str) -> Table:
        """The constants of one output at one moment; ``point`` is what the result has there."""

    def leaders(self, findings: Findings) -> Listing:
        """The strongest constant of each output over time."""
        effects, items = findings.results[self.name], []
        date = dated(effects)
        for output in outputs_of(effects):
            text = "; ".join(f"{name} from {date(a)} to {date(b)}" for a, b, name in leaders(effects, output))
            strongest = f"the strongest constant is {text}" if text else "no constant leads for long"
            items.append(f"{output}: {strongest}.")
        return Listing(tuple(items))


def at(dataset: "xr.Dataset", moments: "Sequence[Moment]") -> "pd.DataFrame":
    """A table of a Dataset at the computed times next to the moments.

    Parameters
    ----------
    dataset : Dataset
        With a dim time.

    Returns
    -------
    DataFrame
        A row for each place of the Dataset's dims, which are columns.
    """
    return dataset.sel(time=nearest(dataset, moments)).to_dataframe().reset_index()


def nearest(dataset: "xr.Dataset", moments: "Sequence[Moment]") -> list[float]:
    """The computed times next to the moments.

    Parameters
    ----------
    dataset : Dataset
        With a dim time.

    Returns
    -------
    list of float
        In the model's unit of time, each once.
    """
    times = dataset["time"].to_numpy()
    return list(dict.fromkeys(float(times[np.abs(times - moment.time).argmin()]) for moment in moments))


def over_outputs(findings: Findings, dataset: "xr.Dataset") -> "Iterator[tuple[str, Moment, xr.Dataset]]":
    """Each output at each moment.

    Parameters
    ----------
    findings : Findings
        With the moments.
    dataset : Dataset
        With dims output and time.

    Yields
    ------
    (str, Moment, Dataset)
        With what the Dataset has there, at the computed time next to the moment.
    """
    for output in outputs_of(dataset):
        for moment in findings.moments:
            yield output, moment, dataset.sel(output=output).sel(time=moment.time, method="nearest")


def interval(value: float, low: float, high: float) -> str:
    """An index with its ends.

    Parameters
    ----------
    value, low, high : float
        Shares of a variance, without unit.

    Returns
    -------
    str
        With two digits after the point, and three of what is small.
    """
    digits = 2 if value >= 0.1 else 3
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


#: Beside a panel, where names do not cover what is drawn.
_BESIDE = {"fontsize": TINY, "handlelength": 1.2, "loc": "center left", "bbox_to_anchor": (1.0, 0.5)}


@styled
def share_bars(rows: Sequence[Ranked], *, label: str) -> "Figure":
    """Shares of the variance of one output at one moment with their 95% intervals, as wide as a phone.

    Parameters
    ----------
    rows : sequence of Ranked
        The largest share first.
    label : str
        Of the output.
    """
    figure, ((axes,),) = grid(1, 1, 0.9 + 0.26 * len(rows), width=4.4)
    places = range(len(rows))
    shares = [max(row.total, 0.0) for row in rows]
    ends = [[max(s - r.low, 0.0) for s, r in zip(shares, rows, strict=True)],
            [max(min(r.high, 1.0) - s, 0.0) for s, r in zip(shares, rows, strict=True)]]  # fmt: skip
    axes.barh(places, shares, height=0.62, xerr=ends, ecolor="0.25", capsize=2)
    axes.set_yticks(places, [row.name for row in rows], fontsize=9)
    axes.tick_params(axis="x", labelsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of the variance", fontsize=9)
    axes.set_title(label, fontsize=10)
    return figure


@styled
def _indices_over_time(indices: "xr.Dataset", moments: Sequence[Moment] = ()) -> "Figure":
    """For each output an index as areas, what is left to interactions, and an index as lines with 95% bands.

    First-order and total indices, or Shapley effects twice, whichever the Dataset has. The striped edge of an area is
    its index's 95% interval, drawn around the upper end.
    """
    shapley = "Sh" in indices
    areas, lines = ("Sh", "Sh") if shapley else ("S1", "ST")
    outputs = outputs_of(indices)
    figure, panels = grid(len(outputs), 2, 0.5 + 2.1 * len(outputs), sharex=True, sharey="row")
    shown = {output: strongest(indices.sel(output=output), lines, SHOWN) for output in outputs}
    palette = colours(name for output in outputs for name in names_of(indices, shown[output]))
    for row, output in enumerate(outputs):
        at = indices.sel(output=output).transpose("parameter", "time", ...)
        _areas(panels[row, 0], at, areas, shown[output], palette)
        _bands(panels[row, 1], at, lines, shown[output], palette)
        titled(panels[row, 0], output, columns=2)
        panels[row, 1].legend(**_BESIDE)
        for axes in panels[row]:
            for moment in moments:
                axes.axvline(moment.time, color="0.5", linewidth=0.7, linestyle=":")
            axes.set_ylim(0, 1.02)
            axes.margins(x=0)
        panels[row, 0].set_ylabel("share of variance")
    label = timed(panels.ravel(), indices)
    for axes in panels[-1]:
        axes.set_xlabel(label)
    titled(panels[0, 0], f"{outputs[0]}: {'Shapley effects' if shapley else 'first-order indices'}, stacked", columns=2)
    titled(panels[0, 1], f"{'Shapley effects' if shapley else 'total indices'}, 95% intervals", columns=2)
    left = "" if shapley else "; white: interactions and error"
    words = (
        f"Left: striped edges are 95% intervals; grey: all other constants{left}. Dotted: the moments of the tables."
    )
    note(figure, f"{words} {made(indices)}")
    return figure


def _areas(axes: "Axes", at: "xr.Dataset", index: str, shown: Sequence[int], palette: Mapping[str, str]) -> None:
    times, first, widths = (at[name].to_numpy() for name in ("time", index, f"{index}_conf"))
    known = np.isfinite(first).all(axis=0)
    # an estimate may lie a little under zero, an area may not
    heights = np.maximum(np.where(known, first, 0.0), 0.0)
    tints = [palette[name] for name in names_of(at, shown)]
    inside = {"where": known.tolist()}
    for place, (i, tint) in enumerate(zip(shown, tints, strict=True)):
        upper = heights[shown[: place + 1]].sum(axis=0)
        edge = np.where(known, widths[i], 0.0)
        ends = np.maximum(upper - edge, 0), upper + edge
        axes.fill_between(times, *ends, color=tint, alpha=0.25, hatch="////", linewidth=0, **inside)
    unshown = [i for i in range(len(first)) if i not in set(shown)]
    remainder = np.maximum(np.where(known, first[unshown], 0.0).sum(axis=0), 0.0)
    below = stacked(axes, times, heights[shown], tints, alpha=0.75, **inside)
    axes.fill_between(times, below, np.minimum(below + remainder, 1.0), color=REST, linewidth=0, **inside)


def _bands(axes: "Axes", at: "xr.Dataset", index: str, shown: Sequence[int], palette: Mapping[str, str]) -> None:
    times, total, width = (at[name].to_numpy() for name in ("time", index, f"{index}_conf"))
    for i, name in zip(shown, names_of(at, shown), strict=True):
        axes.plot(times, total[i], color=palette[name], linewidth=1.6, label=name)
        ends = np.maximum(total[i] - width[i], 0), total[i] + width[i]
        axes.fill_between(times, *ends, color=palette[name], alpha=0.2, linewidth=0)
