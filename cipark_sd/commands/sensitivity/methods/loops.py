"""Feedback loops: which one bends the behaviour, and when."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cipark_sd.analysis.sensitivities.loops import (
    OTHERS,
    bands,
    common_leads,
    leading,
    loop_dominance,
    read_loops,
    takeovers,
)
from cipark_sd.analysis.sensitivities.ranking import dated
from cipark_sd.base.arrays import Array
from cipark_sd.commands.sensitivity.findings import Findings
from cipark_sd.commands.sensitivity.methods.base import Job, Method
from cipark_sd.pages.blocks import Block, Paragraph, Section
from cipark_sd.pages.figures.panels import COLOURS, SMALL, TINY, WIDTH, note, stacked, styled, timed, titled
from cipark_sd.pages.parts import Drawing, Pictures

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Loops(Method):
    """Loop dominance under the names in the model's .loops.toml, where there is one; asked for by ``--loops``."""

    name: ClassVar[str] = "loops"
    source: ClassVar[str] = "Loops That Matter: Schoenberg et al. 2020, by pysimlin."

    def compute(self, job: Job) -> "dict[str, xr.Dataset]":
        """Scores in the file's own run and over draws."""
        question, n = job.inputs.question, job.loop_draws
        origin, factors = question.model.origin, question.factors
        beside = None if origin is None else origin.path.with_name(f"{origin.path.stem}.loops.toml")
        names = read_loops(beside, question.model) if beside is not None and beside.is_file() else ()
        held = {name: value for name, value in question.scenario.overrides.items() if isinstance(value, float)}
        if job.inputs.draws is None:
            values = factors.from_unit(np.random.default_rng([job.seed, n]).random((n, len(factors))))
        else:
            every = len(job.inputs.draws)
            values = job.inputs.draws[np.linspace(0, every - 1, min(n, every)).round().astype(int)]
        draws = [held | dict(zip(factors.names, row, strict=True)) for row in values.tolist()]
        return {"loops": loop_dominance(question.model, names, draws=draws, progress=job.progress)}

    def sentences(self, findings: Findings) -> Iterator[str]:
        """Who leads when."""
        scores = findings.results["loops"]
        date = dated(scores)
        spans = [f"{name} from {date(start)} to {date(end)}" for start, end, name in takeovers(scores)]
        yield f"Feedback loops with the largest share of all scores: {'; '.join(spans) or 'none for long'}."
        draws = scores.sizes["run"] - 1
        if draws > 1:
            common = "; ".join(_in_words(lead, date) for lead in common_leads(scores))
            yield f"In most of {draws} draws the leading loop is: {common or 'none for long'}."

    def tables(self, findings: Findings) -> "dict[str, pd.DataFrame]":
        """Scores over time, and in which share of the draws each loop leads."""

        scores = findings.results["loops"]
        over_time = scores[["reinforcing", "balancing"]].to_dataframe().reset_index()
        return {"loops": over_time, "loop_bands": _bands_frame(scores)}

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """Loops over time."""
        yield Drawing("loops", plot_loops, findings.results["loops"])

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """Who leads when, and loops over time."""
        scores = findings.results["loops"]
        blocks: list[Block] = [
            Paragraph(
                "The score of a loop is its share in the change of the stocks that it links (Loops That Matter), so it "
                "says which loop bends the behaviour, not how much it moves an output. A loop leads while its score is "
                "the largest, for half a unit of time at least."
            ),
            *map(Paragraph, self.sentences(findings)),
        ]
        if not bool(np.asarray(scores["complete"]).all()):
            blocks.append(Paragraph("In some runs the search for loops did not see all of them.", warning=True))
        blocks += pictures.show("loops", "Loops over time, with bands over the draws.")
        yield Section("Leading feedback loops over time", tuple(blocks))


def _in_words(lead: tuple[float, float, str, float, float], date: Callable[[float], str]) -> str:
    """A span with the shares of the draws in it."""
    start, end, name, *shares = lead
    low, high = (f"{share:.0%}" for share in shares)
    of = low if low == high else f"{low} to {high}"
    return f"{name} from {date(start)} to {date(end)} (in {of} of them)"


def _bands_frame(scores: "xr.Dataset") -> "pd.DataFrame":
    """For each loop and time the median and 90% of its share over the draws, and in how many of them it leads."""
    import pandas as pd

    columns = dict(zip(("low90", "median", "high90", "leads"), (*bands(scores), leading(scores)), strict=True))
    index = pd.MultiIndex.from_product([map(str, scores["loop"].to_numpy()), scores["time"].to_numpy()])
    frame = pd.DataFrame({name: values.reshape(-1) for name, values in columns.items()}, index=index)
    return frame.rename_axis(["loop", "time"]).reset_index()


#: Names with a colour of their own.
_SHOWN = 6


@styled
def plot_loops(dominance: "xr.Dataset") -> "Figure":
    """The strongest loops, reinforcing above and balancing below zero; each with its median and 90% band over draws;
    and in which share of the draws each leads.

    Areas are of run 0, the file's own constants.
    """
    from matplotlib.figure import Figure

    times = dominance["time"].to_numpy()
    up, down = (dominance[name].transpose("run", "loop", "time").to_numpy() for name in ("reinforcing", "balancing"))
    names = [str(name) for name in dominance["loop"].to_numpy()]
    draws = len(up) - 1
    mean = (up + down)[0 if draws < 2 else slice(1, None)].reshape(-1, len(names), len(times)).mean(axis=(0, 2))
    unnamed = [i for i, name in enumerate(names) if name == OTHERS]
    strongest = [int(i) for i in np.argsort(-mean, kind="stable") if i not in unnamed][:_SHOWN]
    figure = Figure(figsize=(WIDTH, 7.6 if draws > 1 else 6.2), layout="constrained")
    parts = np.asarray(
        figure.subfigures(3 if draws > 1 else 2, 1, height_ratios=(1.0, 1.15, 0.75)[: 3 if draws > 1 else 2])
    )
    areas, bottom = parts[0].subplots(), parts[1]
    _areas(areas, times, up[0], down[0], strongest, names)
    panels = bottom.subplots(2, 3, sharex=True, sharey=True).ravel()
    for place, (axes, i) in enumerate(zip(panels, strongest, strict=False)):
        colour, total = COLOURS[place], (up + down)[:, i]
        if draws > 1:
            low, middle, high = bands(dominance)[:, i]
            axes.fill_between(times, low, high, color=colour, alpha=0.25, linewidth=0)
            axes.plot(times, middle, color=colour, linewidth=1.2)
        axes.plot(times, total[0], color="0.25" if draws > 1 else colour, linewidth=0.8)
        titled(axes, names[i], columns=3)
    for axes in panels[len(strongest) :]:
        axes.set_axis_off()
    for axes in (areas, *panels):
        axes.tick_params(labelsize=SMALL)
        axes.margins(x=0)
    panels[0].set_ylim(0, 1)
    bottom.supylabel("share of scores", fontsize=SMALL)
    timed([areas], dominance, most=9)
    bottom.supxlabel(timed(panels, dominance, most=4), fontsize=SMALL)
    if draws > 1:
        last = parts[2].subplots()
        _leading(last, times, leading(dominance), strongest)
        timed([last], dominance, most=9)
    over = (
        f"areas: the file's own constants; panels: band and line 90% and median of {draws} draws, thin line the "
        "file's own; last: in which share of the draws a loop has the largest score; "
        if draws > 1
        else ""
    )
    note(figure, f"Loops That Matter scores, {over}what is missing from one is in loops too small to list")
    return figure


def _leading(axes: "Axes", times: Array, shares: Array, strongest: Sequence[int]) -> None:
    """In which share of the draws each of the strongest leads, one above the other; white where others do."""
    stacked(axes, times, shares[strongest], COLOURS)
    axes.set_ylim(0, 1)
    axes.margins(x=0)
    axes.tick_params(labelsize=SMALL)
    axes.set_ylabel("share of draws\nin which it leads")


def _areas(axes: "Axes", times: Array, up: Array, down: Array, strongest: Sequence[int], names: Sequence[str]) -> None:
    weaker = [i for i in range(len(names)) if i not in strongest]
    colours, labels = [*COLOURS[: len(strongest)], "0.85"], [*(names[i] for i in strongest), "the others"]
    for values, shown in ((up, labels), (-down, [])):
        heights = [*values[strongest], values[weaker].sum(axis=0)]
        stacked(axes, times, heights, colours, shown)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_ylabel("share of scores\nbalancing | reinforcing")
    axes.legend(fontsize=TINY, handlelength=1.2, loc="center left", bbox_to_anchor=(1.0, 0.5))
